#include "command.h"

#include <glib/gi18n.h>

struct _HvsCommand {
    GtkBox parent_instance;

    GtkLabel *label;
    GtkButton *button;
    GtkImage *icon;
};

G_DEFINE_TYPE(HvsCommand, hvs_command, GTK_TYPE_BOX)

enum { PROPERTY_COMMAND = 1, PROPERTIES };

static GParamSpec *properties[PROPERTIES];

/* The sign says that it was copied; so does the tip, and the name, which is read aloud. */
static void
on_clicked(HvsCommand *self)
{
    GtkClipboard *clipboard = gtk_widget_get_clipboard(GTK_WIDGET(self), GDK_SELECTION_CLIPBOARD);

    gtk_clipboard_set_text(clipboard, gtk_label_get_text(self->label), -1);
    gtk_clipboard_set_can_store(clipboard, NULL, 0);
    gtk_image_set_from_icon_name(self->icon, "object-select-symbolic", GTK_ICON_SIZE_BUTTON);
    gtk_widget_set_tooltip_text(GTK_WIDGET(self->button), _("Copied"));
    atk_object_set_name(gtk_widget_get_accessible(GTK_WIDGET(self->button)), _("Copied"));
}

static void
set_command(HvsCommand *self, const char *command)
{
    gtk_label_set_text(self->label, command != NULL ? command : "");
    atk_object_set_name(gtk_widget_get_accessible(GTK_WIDGET(self->button)),
                        _("Copy this command"));
    atk_object_set_description(gtk_widget_get_accessible(GTK_WIDGET(self->button)),
                               command != NULL ? command : "");
}

static void
hvs_command_set_property(GObject *object, guint id, const GValue *value, GParamSpec *spec)
{
    if (id == PROPERTY_COMMAND)
        set_command(HVS_COMMAND(object), g_value_get_string(value));
    else
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
}

static void
hvs_command_class_init(HvsCommandClass *class)
{
    GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(class);

    G_OBJECT_CLASS(class)->set_property = hvs_command_set_property;
    properties[PROPERTY_COMMAND] =
        g_param_spec_string("command", NULL, NULL, NULL, G_PARAM_WRITABLE | G_PARAM_STATIC_STRINGS);
    g_object_class_install_properties(G_OBJECT_CLASS(class), PROPERTIES, properties);
    gtk_widget_class_set_template_from_resource(widget_class,
                                                "/io/github/hvsession/Tray/command.ui");
    gtk_widget_class_bind_template_child(widget_class, HvsCommand, label);
    gtk_widget_class_bind_template_child(widget_class, HvsCommand, button);
    gtk_widget_class_bind_template_child(widget_class, HvsCommand, icon);
    gtk_widget_class_bind_template_callback(widget_class, on_clicked);
}

static void
hvs_command_init(HvsCommand *self)
{
    gtk_widget_init_template(GTK_WIDGET(self));
}

GtkWidget *
hvs_command_new(const char *command)
{
    return g_object_new(HVS_TYPE_COMMAND, "visible", TRUE, "command", command, NULL);
}

/* hvsession-tray: the status window and the icon in the panel. */
#include "app.h"

#include <glib/gi18n.h>
#include <locale.h>

int
main(int argc, char **argv)
{
    /* Tests run what is not installed. */
    const char *translations = g_getenv("HVSESSION_LOCALEDIR");
    g_autoptr(HvsApp) app = NULL;

    setlocale(LC_ALL, "");
    bindtextdomain(GETTEXT_PACKAGE, translations != NULL ? translations : HVS_LOCALEDIR);
    bind_textdomain_codeset(GETTEXT_PACKAGE, "UTF-8");
    textdomain(GETTEXT_PACKAGE);
    g_set_application_name(_("Enhanced Session"));
    gtk_window_set_default_icon_name(HVS_APP_ID);
    app = hvs_app_new();
    return g_application_run(G_APPLICATION(app), argc, argv);
}

/* Properties of a D-Bus object by their names. What is missing, or of another type than is asked
 * for, is as good as empty: the service may be older or newer than this. */
#ifndef HVS_GUI_PROPERTIES_H
#define HVS_GUI_PROPERTIES_H

#include <glib.h>

/* name → GVariant; to be unreferenced. */
GHashTable *hvs_properties_new(void);
/* The value is sunk. */
void hvs_properties_set(GHashTable *properties, const char *name, GVariant *value);
/* Of that type, or NULL; belongs to the table, as do strings. */
GVariant   *hvs_properties_get(GHashTable *properties, const char *name, const char *type);
const char *hvs_properties_get_string(GHashTable *properties, const char *name);
guint32     hvs_properties_get_uint(GHashTable *properties, const char *name);
guint64     hvs_properties_get_uint64(GHashTable *properties, const char *name);

#endif

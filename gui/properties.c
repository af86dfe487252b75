#include "properties.h"

GHashTable *
hvs_properties_new(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_variant_unref);
}

void
hvs_properties_set(GHashTable *properties, const char *name, GVariant *value)
{
    g_hash_table_replace(properties, g_strdup(name), g_variant_ref_sink(value));
}

GVariant *
hvs_properties_get(GHashTable *properties, const char *name, const char *type)
{
    GVariant *value = g_hash_table_lookup(properties, name);

    return value != NULL && g_variant_is_of_type(value, G_VARIANT_TYPE(type)) ? value : NULL;
}

const char *
hvs_properties_get_string(GHashTable *properties, const char *name)
{
    GVariant *value = hvs_properties_get(properties, name, "s");

    return value != NULL ? g_variant_get_string(value, NULL) : "";
}

guint32
hvs_properties_get_uint(GHashTable *properties, const char *name)
{
    GVariant *value = hvs_properties_get(properties, name, "u");

    return value != NULL ? g_variant_get_uint32(value) : 0;
}

guint64
hvs_properties_get_uint64(GHashTable *properties, const char *name)
{
    GVariant *value = hvs_properties_get(properties, name, "t");

    return value != NULL ? g_variant_get_uint64(value) : 0;
}

#include "xrdp-ini.h"

#include <string.h>

/* xrdp's g_text2bool(): a number other than 0, or one of these. */
static gboolean
is_true(const char *value)
{
    return g_ascii_strtoll(value, NULL, 10) != 0 || g_ascii_strcasecmp(value, "true") == 0 ||
           g_ascii_strcasecmp(value, "on") == 0 || g_ascii_strcasecmp(value, "yes") == 0;
}

static void
take_setting(struct hvs_xrdp_ini *ini, const char *key, const char *value)
{
    char **field = NULL;

    if (g_ascii_strcasecmp(key, "port") == 0)
        field = &ini->port;
    else if (g_ascii_strcasecmp(key, "security_layer") == 0)
        field = &ini->security_layer;
    else if (g_ascii_strcasecmp(key, "crypt_level") == 0)
        field = &ini->crypt_level;
    else if (g_ascii_strcasecmp(key, "use_vsock") == 0)
        ini->use_vsock = is_true(value);
    if (field != NULL) {
        g_free(*field);
        *field = g_strdup(value);
    }
}

void
hvs_xrdp_ini_parse(const char *text, gsize length, struct hvs_xrdp_ini *ini)
{
    g_autofree char *whole = g_strndup(text, length);
    g_auto(GStrv) lines = g_strsplit(whole, "\n", -1);
    gboolean in_globals = FALSE;

    memset(ini, 0, sizeof *ini);
    for (gsize i = 0; lines[i] != NULL; i++) {
        char *line = g_strstrip(lines[i]);
        char *equals = strchr(line, '=');

        if (line[0] == '#' || line[0] == ';')
            continue;
        if (line[0] == '[') {
            in_globals = g_ascii_strcasecmp(line, "[Globals]") == 0;
        } else if (in_globals && equals != NULL) {
            *equals = '\0';
            take_setting(ini, g_strchomp(line), g_strchug(equals + 1));
        }
    }
}

void
hvs_xrdp_ini_clear(struct hvs_xrdp_ini *ini)
{
    g_clear_pointer(&ini->port, g_free);
    g_clear_pointer(&ini->security_layer, g_free);
    g_clear_pointer(&ini->crypt_level, g_free);
}

static gboolean
is_port(const char *text, guint16 port)
{
    guint64 number;

    return g_ascii_string_to_unsigned(text, 10, 1, G_MAXUINT16, &number, NULL) && number == port;
}

static gboolean
is_tcp(const char *address, guint16 port)
{
    const char *colon = strrchr(address, ':');

    if (strstr(address, "://") == NULL)
        return is_port(address, port);
    return (g_str_has_prefix(address, "tcp://") || g_str_has_prefix(address, "tcp6://")) &&
           is_port(colon + 1, port);
}

/* unix://./run/xrdp/NAME.sock: the dot stands for "local", the path follows. */
static gboolean
is_unix(const char *address, const char *path)
{
    static const char prefix[] = "unix://.";

    return g_str_has_prefix(address, prefix) && g_str_equal(address + sizeof prefix - 1, path);
}

/* vsock://CID:PORT */
static gboolean
is_vsock(const char *address, guint16 port)
{
    return g_str_has_prefix(address, "vsock://") && is_port(strrchr(address, ':') + 1, port);
}

static char **
split_ports(const struct hvs_xrdp_ini *ini)
{
    return g_strsplit_set(ini->port != NULL ? ini->port : "", " ,\t", -1);
}

gboolean
hvs_xrdp_ini_has_tcp(const struct hvs_xrdp_ini *ini, guint16 port)
{
    g_auto(GStrv) addresses = split_ports(ini);
    gboolean found = FALSE;

    for (gsize i = 0; addresses[i] != NULL; i++)
        found |= is_tcp(addresses[i], port);
    return found;
}

gboolean
hvs_xrdp_ini_has_unix(const struct hvs_xrdp_ini *ini, const char *path)
{
    g_auto(GStrv) addresses = split_ports(ini);
    gboolean found = FALSE;

    for (gsize i = 0; addresses[i] != NULL; i++)
        found |= is_unix(addresses[i], path);
    return found;
}

gboolean
hvs_xrdp_ini_has_vsock(const struct hvs_xrdp_ini *ini, guint16 port)
{
    g_auto(GStrv) addresses = split_ports(ini);
    gboolean found = FALSE;

    for (gsize i = 0; addresses[i] != NULL; i++)
        found |= is_vsock(addresses[i], port);
    return found;
}

gboolean
hvs_xrdp_ini_is_vsock_wrong(const struct hvs_xrdp_ini *ini)
{
    return ini->use_vsock && ini->port != NULL && strstr(ini->port, "vsock://") == NULL;
}

/* The probe's third part: the RDP server, whether it listens, and how xrdp is set. */
#include "probe-parts.h"
#include "xrdp-ini.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* States and flags in /proc/net (Linux include/net/tcp_states.h, include/linux/net.h). */
#define TCP_LISTEN   0x0au
#define SO_ACCEPTCON (1u << 16)

/* HvSocket's port for Enhanced Session, as xrdp's and ours. */
#define VSOCK_PORT HVS_RDP_PORT

/* ---- who listens ---- */

/* Does an entry of /proc/net/tcp or tcp6 serve connections to an address of this machine itself?
 * local: the address in hexadecimal, each 32 bits in this machine's byte order. */
static gboolean
serves_loopback(const char *local)
{
    guint32 words[4] = { 0 };
    unsigned count = 0;
    char network[16], text[INET6_ADDRSTRLEN] = "";

    for (; count < 4 && strlen(local) >= 8; count++, local += 8)
        if (sscanf(local, "%8x", &words[count]) != 1)
            return FALSE;
    memcpy(network, words, sizeof network);
    if (inet_ntop(count == 4 ? AF_INET6 : AF_INET, network, text, sizeof text) == NULL)
        return FALSE;
    return strcmp(text, "::") == 0 || strcmp(text, "::1") == 0 || strcmp(text, "0.0.0.0") == 0 ||
           g_str_has_prefix(text, "127.") || g_str_has_prefix(text, "::ffff:127.");
}

static gboolean
is_tcp_listener(const char *line, guint16 port)
{
    char local[33] = "";
    unsigned local_port, state;

    return sscanf(line, " %*u: %32[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x", local, &local_port,
                  &state) == 3 &&
           local_port == port && state == TCP_LISTEN && serves_loopback(local);
}

static enum hvs_answer
is_listening_tcp(struct hvs_probe *probe, guint16 port)
{
    static const char *const tables[] = { "net/tcp", "net/tcp6" };
    gboolean seen = FALSE;

    for (gsize t = 0; t < G_N_ELEMENTS(tables); t++) {
        g_autofree char *text = hvs_probe_read(probe, probe->roots->proc, tables[t]);
        g_auto(GStrv) lines = g_strsplit(text != NULL ? text : "", "\n", -1);

        seen |= text != NULL;
        for (gsize i = 0; lines[i] != NULL; i++)
            if (is_tcp_listener(lines[i], port))
                return HVS_YES;
    }
    return seen ? HVS_NO : HVS_UNKNOWN;
}

static enum hvs_answer
is_listening_unix(struct hvs_probe *probe, const char *path)
{
    g_autofree char *text = hvs_probe_read(probe, probe->roots->proc, "net/unix");
    g_auto(GStrv) lines = g_strsplit(text != NULL ? text : "", "\n", -1);

    for (gsize i = 0; lines[i] != NULL; i++) {
        unsigned flags;
        int at = 0;

        if (sscanf(lines[i], "%*[^:]: %*x %*x %x %*x %*x %*u %n", &flags, &at) == 1 && at > 0 &&
            (flags & SO_ACCEPTCON) != 0 && strcmp(lines[i] + at, path) == 0)
            return HVS_YES;
    }
    return text != NULL ? HVS_NO : HVS_UNKNOWN;
}

static gboolean
is_this_machine(const char *host)
{
    return g_ascii_strcasecmp(host, "localhost") == 0 || g_str_has_prefix(host, "127.") ||
           strcmp(host, "::1") == 0;
}

/* Servers elsewhere could only be asked. */
static enum hvs_answer
is_listening(struct hvs_probe *probe, const struct hvs_server_address *server)
{
    if (server->kind == HVS_SERVER_UNIX)
        return is_listening_unix(probe, server->host);
    return is_this_machine(server->host) ? is_listening_tcp(probe, server->port) : HVS_UNKNOWN;
}

static void
print_server(const struct hvs_server_address *server, struct hvs_text *out)
{
    if (out->length > 0)
        hvs_text_add(out, " or ");
    hvs_server_address_print(server, out);
}

/* The server that the service will use: the first that listens; NULL: none is known to. */
static const struct hvs_server_address *
probe_listening(struct hvs_probe *probe)
{
    struct hvs_facts *facts = probe->facts;
    const struct hvs_settings *settings = probe->settings;
    struct hvs_text text;

    hvs_text_init(&text, facts->server, sizeof facts->server);
    facts->server_listening = HVS_NO;
    for (unsigned i = 0; i < settings->server_count; i++) {
        enum hvs_answer listening = is_listening(probe, &settings->servers[i]);

        if (listening == HVS_YES) {
            hvs_text_init(&text, facts->server, sizeof facts->server);
            print_server(&settings->servers[i], &text);
            facts->server_listening = HVS_YES;
            return &settings->servers[i];
        }
        if (listening == HVS_UNKNOWN)
            facts->server_listening = HVS_UNKNOWN;
        print_server(&settings->servers[i], &text);
    }
    return NULL;
}

/* ---- xrdp ---- */

static gboolean
is_in_ini(const struct hvs_xrdp_ini *ini, const struct hvs_server_address *server)
{
    if (server->kind == HVS_SERVER_UNIX)
        return hvs_xrdp_ini_has_unix(ini, server->host);
    return is_this_machine(server->host) && hvs_xrdp_ini_has_tcp(ini, server->port);
}

/* Is one of the servers that the service would try what xrdp.ini makes? */
static gboolean
is_any_in_ini(const struct hvs_settings *settings, const struct hvs_xrdp_ini *ini)
{
    gboolean found = FALSE;

    for (unsigned i = 0; i < settings->server_count; i++)
        found |= is_in_ini(ini, &settings->servers[i]);
    return found;
}

/* hvsession-xrdp.service is xrdp, too, with settings of ours. */
static gboolean
is_own_xrdp(const struct hvs_server_address *server)
{
    return server != NULL && server->kind == HVS_SERVER_UNIX &&
           strcmp(server->host, HVS_OWN_SERVER_PATH) == 0;
}

static gboolean
is_own_xrdp_tried(const struct hvs_settings *settings)
{
    gboolean found = FALSE;

    for (unsigned i = 0; i < settings->server_count; i++)
        found |= is_own_xrdp(&settings->servers[i]);
    return found;
}

static void
probe_xrdp(struct hvs_probe *probe, const struct hvs_server_address *server)
{
    struct hvs_facts *facts = probe->facts;
    g_autofree char *text = hvs_probe_read(probe, probe->roots->etc, "xrdp/xrdp.ini");
    g_auto(hvs_xrdp_ini) ini = { 0 };
    gboolean used;

    if (text != NULL)
        hvs_xrdp_ini_parse(text, strlen(text), &ini);
    hvs_probe_set(facts->xrdp_port, ini.port);
    hvs_probe_set(facts->xrdp_security_layer, ini.security_layer);
    hvs_probe_set(facts->xrdp_crypt_level, ini.crypt_level);
    facts->xrdp_vsock_wrong = hvs_probe_answer(hvs_xrdp_ini_is_vsock_wrong(&ini));
    facts->xrdp_vsock = hvs_probe_answer(hvs_xrdp_ini_has_vsock(&ini, VSOCK_PORT));
    if (facts->xrdp_vsock == HVS_YES && probe->xrdp_running)
        facts->hvsocket_listening = HVS_YES;
    /* Another program may sit on xrdp's port. */
    used = server != NULL ? is_in_ini(&ini, server) && probe->xrdp_running
                          : is_any_in_ini(probe->settings, &ini);
    facts->xrdp_ini_used = hvs_probe_answer(used);
    facts->xrdp_is_server = hvs_probe_answer(used || is_own_xrdp(server));
}

void
hvs_probe_server(struct hvs_probe *probe)
{
    static const char *const programs[] = { "usr/sbin/xrdp", "usr/bin/xrdp",
                                            "usr/local/sbin/xrdp" };
    const struct hvs_server_address *server = probe_listening(probe);
    struct hvs_facts *facts = probe->facts;

    facts->xrdp_installed = HVS_NO;
    for (gsize i = 0; i < G_N_ELEMENTS(programs); i++)
        if (hvs_probe_exists(probe->roots->root, programs[i]))
            facts->xrdp_installed = HVS_YES;
    facts->own_xrdp_tried = hvs_probe_answer(is_own_xrdp_tried(probe->settings));
    facts->relay_speaks_tls =
        hvs_probe_answer(probe->settings->server_security != HVS_SECURITY_SETTING_RDP);
    facts->reply_mirrored =
        hvs_probe_answer(probe->settings->negotiation_reply != HVS_REPLY_SETTING_PASSTHROUGH);
    if (facts->xrdp_installed == HVS_YES)
        probe_xrdp(probe, server);
    else
        facts->xrdp_is_server = facts->xrdp_ini_used = HVS_NO;
}

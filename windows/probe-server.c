/* The probe's second part: the RDP server, mostly Terminal Services of this machine. */
#include "probe-parts.h"

#include "server.h"
#include "system.h"
#include "termservice.h"

#include <iphlpapi.h>
#include <lm.h>
#include <stdlib.h>
#include <string.h>

/* [MS-RDPBCGR] 2.2.1.2.2 failureCode */
#define SSL_REQUIRED_BY_SERVER 1u
/* SecurityLayer */
#define TLS_ONLY 2u
/* A machine has few accounts of its own; more are not looked at. */
#define ACCOUNTS_BYTES 65536u

/* ---- who listens ---- */

static bool
is_this_machine(const char *host)
{
    return hvs_text_is_word(host, strlen(host), "localhost") || strncmp(host, "127.", 4) == 0 ||
           strcmp(host, "::1") == 0;
}

/* The system's list of sockets for IPv4, the caller's to free; NULL: there is none to be had. */
static MIB_TCPTABLE *
read_sockets(void)
{
    MIB_TCPTABLE *table = NULL;
    ULONG size = 16384;
    DWORD error;

    /* It may grow between two calls. */
    do {
        MIB_TCPTABLE *larger = realloc(table, size);

        if (larger == NULL) {
            free(table);
            return NULL;
        }
        table = larger;
        error = GetTcpTable(table, &size, FALSE);
    } while (error == ERROR_INSUFFICIENT_BUFFER);
    if (error == NO_ERROR)
        return table;
    free(table);
    return NULL;
}

/* Unknown, if the list cannot be read. */
static enum hvs_answer
is_listening(uint16_t port)
{
    MIB_TCPTABLE *table = read_sockets();
    enum hvs_answer found = HVS_NO;

    if (table == NULL)
        return HVS_UNKNOWN;
    for (DWORD i = 0; i < table->dwNumEntries; i++)
        if (table->table[i].dwState == MIB_TCP_STATE_LISTEN &&
            ntohs((uint16_t)table->table[i].dwLocalPort) == port)
            found = HVS_YES;
    free(table);
    return found;
}

static bool
give_up(void *user_data)
{
    (void)user_data;
    return false;
}

/* Does it take a connection from here? It is closed at once. */
static bool
is_reached(const struct hvs_server_address *server, HANDLE stop)
{
    const struct hvs_server_watch watch = { .handle = stop, .ready = give_up };
    char failures[256];
    struct hvs_text text;
    HANDLE event = CreateEventW(NULL, TRUE, FALSE, NULL);
    WSADATA data;
    unsigned which;
    bool reached = false;
    SOCKET s;

    if (event == NULL)
        return false;
    hvs_text_init(&text, failures, sizeof failures);
    if (WSAStartup(MAKEWORD(2, 2), &data) == 0) {
        reached = hvs_server_connect(server, 1, 0, &watch, stop != NULL ? 1 : 0, NULL, event, &s,
                                     &which, &text) == ERROR_SUCCESS;
        if (reached)
            closesocket(s);
        WSACleanup();
    }
    CloseHandle(event);
    return reached;
}

/* Servers elsewhere are nobody's business but the relay's. */
static void
probe_local_server(struct hvs_facts *facts, const struct hvs_server_address *server, HANDLE stop)
{
    bool reached = is_reached(server, stop);

    facts->server_listening = reached ? HVS_YES : is_listening(server->port);
    facts->firewall_blocks = reached                              ? HVS_NO
                             : facts->server_listening == HVS_YES ? HVS_YES
                                                                  : HVS_UNKNOWN;
}

/* ---- Terminal Services ---- */

static enum hvs_answer
is_set(enum hvs_system_setting_id id)
{
    DWORD value;

    return hvs_system_get(hvs_system_setting(id), &value, NULL) == ERROR_SUCCESS
               ? hvs_probe_answer(value != 0)
               : HVS_UNKNOWN;
}

static enum hvs_answer
negate(enum hvs_answer answer)
{
    return answer == HVS_UNKNOWN ? HVS_UNKNOWN : hvs_probe_answer(answer == HVS_NO);
}

/* An enabled account of this machine that needs no password: Windows does not say whether it has
 * one. */
static enum hvs_answer
has_account_without_password(void)
{
    const DWORD flags = UF_PASSWD_NOTREQD | UF_ACCOUNTDISABLE;
    USER_INFO_1 *users = NULL;
    DWORD count = 0, total, error;
    enum hvs_answer found = HVS_NO;

    error = NetUserEnum(NULL, 1, FILTER_NORMAL_ACCOUNT, (BYTE **)&users, ACCOUNTS_BYTES, &count,
                        &total, NULL);
    if (error != NERR_Success && error != ERROR_MORE_DATA)
        return HVS_UNKNOWN;
    for (DWORD i = 0; i < count; i++)
        if ((users[i].usri1_flags & flags) == UF_PASSWD_NOTREQD)
            found = HVS_YES;
    if (users != NULL)
        NetApiBufferFree(users);
    return found;
}

/* That of a domain controller has no accounts of its own, but the domain's. */
static void
probe_accounts(struct hvs_facts *facts)
{
    facts->blank_password = is_set(HVS_SYSTEM_BLANK_PASSWORD);
    if (facts->blank_password == HVS_YES)
        facts->blank_password = has_account_without_password();
}

static void
probe_terminal_services(struct hvs_facts *facts, const struct hvs_os_version *os, uint16_t port)
{
    struct hvs_termservice termservice;
    DWORD layer = 0;

    facts->remote_desktop = negate(is_set(HVS_SYSTEM_REMOTE_DESKTOP));
    facts->nla_required = HVS_NO;
    if (os->number >= 600) {
        facts->nla_required = is_set(HVS_SYSTEM_USER_AUTHENTICATION);
        /* What the server would say to the next session, if there was none yet. */
        if (hvs_system_get(hvs_system_setting(HVS_SYSTEM_SECURITY_LAYER), &layer, NULL) ==
                ERROR_SUCCESS &&
            layer == TLS_ONLY && facts->failure_code == 0)
            facts->failure_code = SSL_REQUIRED_BY_SERVER;
    }
    if (hvs_termservice_look(&termservice) == ERROR_SUCCESS)
        facts->termservice_running = hvs_probe_answer(termservice.running);
    facts->rdp_port = hvs_system_rdp_port();
    facts->configured_port = port;
    probe_accounts(facts);
}

void
hvs_probe_server(struct hvs_facts *facts, const struct hvs_settings *settings,
                 const struct hvs_os_version *os, HANDLE stop)
{
    const struct hvs_server_address *first = &settings->servers[0];
    struct hvs_text text;

    hvs_text_init(&text, facts->server, sizeof facts->server);
    hvs_server_address_print(first, &text);
    /* Built in since Windows 8.1. */
    facts->builtin_active = os->number >= 603 ? negate(is_set(HVS_SYSTEM_OVERRIDE)) : HVS_NO;
    if (!is_this_machine(first->host))
        return;
    probe_local_server(facts, first, stop);
    probe_terminal_services(facts, os, first->port);
}

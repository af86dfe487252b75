#include "server.h"

#include "clock.h"
#include "wide.h"

#include <process.h>
#include <stdlib.h>
#include <string.h>
#include <ws2tcpip.h>

/* A server that starts up is there soon; one that is down need not be asked often. */
#define PAUSE_FIRST 100u /* milliseconds */
#define PAUSE_MAX   1000u
/* What one attempt may take beyond the deadline, so that the last one has a chance. */
#define ATTEMPT_MIN 1000u

struct attempt {
    const struct hvs_server_watch *watches;
    unsigned                       watch_count;
    void                          *user_data;
    HANDLE                         event; /* of the socket */
    uint64_t                       deadline;
};

/* Waits for handle (NULL: for the time to pass), looking after the watches. ERROR_SUCCESS,
 * WSAETIMEDOUT, or ERROR_CANCELLED. */
static DWORD
wait_watching(const struct attempt *attempt, HANDLE handle, uint64_t until)
{
    HANDLE handles[HVS_SERVER_WATCHES_MAX + 1];
    DWORD count = attempt->watch_count;

    for (DWORD i = 0; i < count; i++)
        handles[i] = attempt->watches[i].handle;
    if (handle != NULL)
        handles[count++] = handle;
    for (;;) {
        uint64_t now = hvs_clock_now();
        DWORD signalled =
            WaitForMultipleObjects(count, handles, FALSE, now < until ? (DWORD)(until - now) : 0);

        if (signalled == WAIT_TIMEOUT)
            return WSAETIMEDOUT;
        if (signalled >= WAIT_OBJECT_0 + count)
            return GetLastError();
        if (signalled - WAIT_OBJECT_0 >= attempt->watch_count)
            return ERROR_SUCCESS;
        if (!attempt->watches[signalled - WAIT_OBJECT_0].ready(attempt->user_data))
            return ERROR_CANCELLED;
    }
}

/* ---- names ---- */

/* Resolving blocks, for a minute if it must, and cannot be interrupted: it has a thread, and who
 * asked may go away. The last of the two frees it. */
struct lookup {
    volatile LONG    references;
    char             host[HVS_SERVER_HOST_MAX];
    char             port[8];
    struct addrinfo *addresses;
    DWORD            error;
};

static void
release_lookup(struct lookup *lookup)
{
    if (InterlockedDecrement(&lookup->references) > 0)
        return;
    if (lookup->addresses != NULL)
        freeaddrinfo(lookup->addresses);
    free(lookup);
}

static void
look_up(struct lookup *lookup, int flags)
{
    const struct addrinfo hints = { .ai_flags = flags, .ai_socktype = SOCK_STREAM,
                                    .ai_protocol = IPPROTO_TCP };

    lookup->error = (DWORD)getaddrinfo(lookup->host, lookup->port, &hints, &lookup->addresses);
}

static unsigned __stdcall
run_lookup(void *argument)
{
    look_up(argument, 0);
    release_lookup(argument);
    return 0;
}

static struct lookup *
new_lookup(const struct hvs_server_address *server)
{
    struct lookup *lookup = calloc(1, sizeof *lookup);
    struct hvs_text port;

    if (lookup == NULL)
        return NULL;
    lookup->references = 1;
    memcpy(lookup->host, server->host, sizeof lookup->host);
    hvs_text_init(&port, lookup->port, sizeof lookup->port);
    hvs_text_add_u64(&port, server->port);
    return lookup;
}

/* On ERROR_SUCCESS *result has addresses; the caller releases it. */
static DWORD
resolve(const struct attempt *attempt, const struct hvs_server_address *server, uint64_t until,
        struct lookup **result)
{
    struct lookup *lookup = new_lookup(server);
    HANDLE thread;
    DWORD error;

    *result = NULL;
    if (lookup == NULL)
        return ERROR_NOT_ENOUGH_MEMORY;
    look_up(lookup, AI_NUMERICHOST);
    if (lookup->error != 0) {
        InterlockedIncrement(&lookup->references);
        thread = (HANDLE)_beginthreadex(NULL, 0, run_lookup, lookup, 0, NULL);
        if (thread == NULL) {
            InterlockedDecrement(&lookup->references);
            release_lookup(lookup);
            return ERROR_NOT_ENOUGH_MEMORY;
        }
        error = wait_watching(attempt, thread, until);
        CloseHandle(thread);
        if (error != ERROR_SUCCESS) {
            release_lookup(lookup);
            return error;
        }
    }
    error = lookup->error;
    if (error == ERROR_SUCCESS)
        *result = lookup;
    else
        release_lookup(lookup);
    return error;
}

/* ---- connections ---- */

/* While nobody listens on a port of the ephemeral range, TCP may connect it to itself. */
static bool
is_connected_to_itself(SOCKET s)
{
    struct sockaddr_storage local = { 0 }, remote = { 0 };
    int local_size = sizeof local, remote_size = sizeof remote;

    return getsockname(s, (struct sockaddr *)&local, &local_size) == 0 &&
           getpeername(s, (struct sockaddr *)&remote, &remote_size) == 0 &&
           local_size == remote_size && memcmp(&local, &remote, (size_t)local_size) == 0;
}

static DWORD
finish_connecting(const struct attempt *attempt, SOCKET s, uint64_t until)
{
    WSANETWORKEVENTS events;

    do {
        DWORD error = wait_watching(attempt, attempt->event, until);

        if (error != ERROR_SUCCESS)
            return error;
        if (WSAEnumNetworkEvents(s, attempt->event, &events) != 0)
            return (DWORD)WSAGetLastError();
    } while ((events.lNetworkEvents & FD_CONNECT) == 0);
    return (DWORD)events.iErrorCode[FD_CONNECT_BIT];
}

static DWORD
connect_socket(const struct attempt *attempt, SOCKET s, const struct addrinfo *address,
               uint64_t until)
{
    const BOOL yes = TRUE;
    DWORD error = ERROR_SUCCESS;

    if (WSAEventSelect(s, attempt->event, FD_CONNECT) != 0)
        return (DWORD)WSAGetLastError();
    if (connect(s, address->ai_addr, (int)address->ai_addrlen) != 0)
        error = (DWORD)WSAGetLastError();
    if (error == WSAEWOULDBLOCK)
        error = finish_connecting(attempt, s, until);
    if (error != ERROR_SUCCESS)
        return error;
    if (is_connected_to_itself(s))
        return WSAECONNREFUSED;
    /* PDUs are small and somebody waits for each. */
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, (const char *)&yes, sizeof yes);
    ResetEvent(attempt->event);
    if (WSAEventSelect(s, attempt->event, FD_READ | FD_WRITE | FD_CLOSE) != 0)
        return (DWORD)WSAGetLastError();
    return ERROR_SUCCESS;
}

static DWORD
connect_once(const struct attempt *attempt, const struct hvs_server_address *server,
             SOCKET *connected)
{
    uint64_t now = hvs_clock_now();
    uint64_t until = max(attempt->deadline, now) + ATTEMPT_MIN;
    struct lookup *lookup;
    DWORD error = resolve(attempt, server, until, &lookup);

    if (error != ERROR_SUCCESS)
        return error;
    error = WSAHOST_NOT_FOUND;
    for (const struct addrinfo *address = lookup->addresses; address != NULL;
         address = address->ai_next) {
        SOCKET s = WSASocketW(address->ai_family, SOCK_STREAM, IPPROTO_TCP, NULL, 0,
                              WSA_FLAG_OVERLAPPED);

        error = s != INVALID_SOCKET ? connect_socket(attempt, s, address, until)
                                    : (DWORD)WSAGetLastError();
        if (error == ERROR_SUCCESS) {
            *connected = s;
            break;
        }
        if (s != INVALID_SOCKET)
            closesocket(s);
        if (error == ERROR_CANCELLED)
            break;
    }
    release_lookup(lookup);
    return error;
}

/* One round over all servers. Collects the failures as "tcp:…: why; tcp:…: why". */
static DWORD
connect_to_any(const struct attempt *attempt, const struct hvs_server_address *servers,
               unsigned count, SOCKET *connected, unsigned *which, struct hvs_text *failures)
{
    hvs_text_init(failures, failures->buffer, failures->size);
    for (unsigned i = 0; i < count; i++) {
        DWORD error = connect_once(attempt, &servers[i], connected);

        *which = i;
        if (error == ERROR_SUCCESS || error == ERROR_CANCELLED)
            return error;
        if (i > 0)
            hvs_text_add(failures, "; ");
        hvs_server_address_print(&servers[i], failures);
        hvs_text_add(failures, ": ");
        hvs_wide_add_error(failures, error);
    }
    return ERROR_TIMEOUT;
}

DWORD
hvs_server_connect(const struct hvs_server_address *servers, unsigned count, uint32_t timeout,
                   const struct hvs_server_watch *watches, unsigned watch_count, void *user_data,
                   HANDLE event, SOCKET *connected, unsigned *which, struct hvs_text *failures)
{
    const struct attempt attempt = {
        .watches = watches,
        .watch_count = watch_count,
        .user_data = user_data,
        .event = event,
        .deadline = hvs_clock_now() + timeout,
    };
    uint64_t pause = PAUSE_FIRST;

    *connected = INVALID_SOCKET;
    for (;;) {
        DWORD error = connect_to_any(&attempt, servers, count, connected, which, failures);
        uint64_t now = hvs_clock_now();

        if (error != ERROR_TIMEOUT || now >= attempt.deadline)
            return error;
        error = wait_watching(&attempt, NULL, min(now + pause, attempt.deadline));
        if (error != WSAETIMEDOUT)
            return error;
        pause = min(pause * 2, PAUSE_MAX);
    }
}

/* What hvsession.exe costs, beside a plain TCP relay for Windows that does the same between two
 * sockets, measured in one run, in turns; and, before that, a plain relay between a channel's pipe
 * and a socket: a thread for each way that reads and writes, and nothing else.
 *
 *     bench HVSESSION.EXE VMBUSPIPE.DLL [ROUNDS]
 *     bench --relay PORT              the plain relay itself: prints its port, serves one by one
 *     bench --pipe-relay PORT         the other one; ends when it is ended
 *
 * Bulk both ways in megabytes a second, and round trips of 64 bytes in microseconds; the median of
 * the rounds, and hvsession as a part of both relays. Under Wine the numbers are those of Wine's
 * pipes, where every byte goes through its server process, and not of VMBus: what counts is that
 * hvsession is not far from the relay that has to use the same pipes, nor from the plain one. Fails
 * below two fifths of the former, or a fifth of the latter. */
#include "fixture.h"
#include "winhost.h"

#include "fake-vmbuspipe.h"

#include "windows/clock.h"

#include <process.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strsafe.h>

#define ROUNDS     3u
#define ROUNDS_MAX 50u
#define BULK       (4u << 20)
#define MESSAGE    16000u
#define ECHOES     200u
#define ECHO       64u
#define BUFFER     65536u
/* hvsession as a part of the plain relay, and of the one with a pipe. */
#define LEAST      0.2
#define LEAST_PIPE 0.4

/* A Connection Request without RDP_NEG_REQ, and its confirm: nothing behind them is changed. */
static const uint8_t bare_request[] = { 3, 0, 0, 11, 6, 0xe0, 0, 0, 0, 0, 0 };
static const uint8_t bare_confirm[] = { 3, 0, 0, 11, 6, 0xd0, 0, 0, 0x12, 0x34, 0 };

enum path { PIPE, PLAIN, HVSESSION, PATHS };
enum measure { TO_SERVER, TO_HOST, ROUND_TRIP, MEASURES };

/* One connection: the host's end is a channel's pipe or a socket, the server's a socket. */
struct ends {
    enum path path;
    SOCKET    host, server;
};

static uint16_t relay_port;

static double
now(void)
{
    LARGE_INTEGER count, frequency;

    QueryPerformanceCounter(&count);
    QueryPerformanceFrequency(&frequency);
    return (double)count.QuadPart / (double)frequency.QuadPart;
}

/* ---- the plain relay ---- */

struct flow {
    SOCKET from, to;
};

static unsigned __stdcall
run_flow(void *argument)
{
    struct flow *flow = argument;
    char *bytes = malloc(BUFFER);
    int length;

    while ((length = recv(flow->from, bytes, BUFFER, 0)) > 0)
        if (!server_write(flow->to, bytes, (size_t)length))
            break;
    shutdown(flow->to, SD_SEND);
    free(bytes);
    return 0;
}

static SOCKET
connect_to(uint16_t port)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    SOCKET s = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
    const BOOL yes = TRUE;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    if (s == INVALID_SOCKET || connect(s, (struct sockaddr *)&address, sizeof address) != 0)
        fail("connecting to port %u: %d", port, WSAGetLastError());
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, (const char *)&yes, sizeof yes);
    return s;
}

static void __attribute__((noreturn))
run_relay(uint16_t port)
{
    const BOOL yes = TRUE;

    printf("%u\n", server_start());
    fflush(stdout);
    for (;;) {
        SOCKET client = server_accept(INFINITE), server = connect_to(port);
        struct flow there = { client, server }, back = { server, client };
        HANDLE thread;

        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, (const char *)&yes, sizeof yes);
        thread = (HANDLE)_beginthreadex(NULL, 0, run_flow, &back, 0, NULL);
        run_flow(&there);
        WaitForSingleObject(thread, INFINITE);
        CloseHandle(thread);
        closesocket(client);
        closesocket(server);
    }
}

/* ---- the plain relay with a pipe ---- */

struct pipe_flow {
    HANDLE pipe;
    SOCKET server;
};

/* How many bytes; 0: it is over. */
static DWORD
finish_transfer(HANDLE pipe, OVERLAPPED *overlapped, BOOL done)
{
    DWORD moved = 0;

    if (!done && GetLastError() != ERROR_IO_PENDING && GetLastError() != ERROR_MORE_DATA)
        return 0;
    if (!GetOverlappedResult(pipe, overlapped, &moved, TRUE) && GetLastError() != ERROR_MORE_DATA)
        return 0;
    return moved;
}

static unsigned __stdcall
run_flow_from_pipe(void *argument)
{
    struct pipe_flow *flow = argument;
    OVERLAPPED overlapped = { .hEvent = CreateEventW(NULL, TRUE, FALSE, NULL) };
    char *bytes = malloc(BUFFER);
    DWORD length;

    do {
        BOOL done = ReadFile(flow->pipe, bytes, BUFFER, NULL, &overlapped);

        length = finish_transfer(flow->pipe, &overlapped, done);
    } while (length > 0 && server_write(flow->server, bytes, length));
    shutdown(flow->server, SD_SEND);
    CloseHandle(overlapped.hEvent);
    free(bytes);
    return 0;
}

static void
run_flow_to_pipe(const struct pipe_flow *flow)
{
    OVERLAPPED overlapped = { .hEvent = CreateEventW(NULL, TRUE, FALSE, NULL) };
    char *bytes = malloc(BUFFER);
    int length;

    while ((length = recv(flow->server, bytes, BUFFER, 0)) > 0) {
        BOOL done = WriteFile(flow->pipe, bytes, (DWORD)length, NULL, &overlapped);

        if (finish_transfer(flow->pipe, &overlapped, done) == 0)
            break;
    }
    CloseHandle(overlapped.hEvent);
    free(bytes);
}

/* Takes the channel whenever it is offered, as the fake vmbuspipe.dll does for the service. */
static void __attribute__((noreturn))
run_pipe_relay(uint16_t port)
{
    HANDLE offered = CreateEventW(NULL, TRUE, FALSE, FAKE_OFFER_EVENT L"1");

    printf("%u\n", server_start());
    fflush(stdout);
    for (;;) {
        struct pipe_flow flow;
        DWORD mode = PIPE_READMODE_MESSAGE;
        HANDLE thread;

        WaitForSingleObject(offered, INFINITE);
        flow.pipe = CreateFileW(FAKE_PIPE L"1", GENERIC_READ | GENERIC_WRITE, 0, NULL,
                                OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);
        if (flow.pipe == INVALID_HANDLE_VALUE)
            continue;
        SetNamedPipeHandleState(flow.pipe, &mode, NULL, NULL);
        flow.server = connect_to(port);
        thread = (HANDLE)_beginthreadex(NULL, 0, run_flow_from_pipe, &flow, 0, NULL);
        run_flow_to_pipe(&flow);
        WaitForSingleObject(thread, INFINITE);
        CloseHandle(thread);
        CloseHandle(flow.pipe);
        closesocket(flow.server);
    }
}

/* ---- both ends ---- */

static void
host_sends(const struct ends *ends, const void *bytes, size_t length)
{
    if (ends->path == PLAIN ? !server_write(ends->host, bytes, length)
                            : !host_write(1, bytes, length, LONG_TIME))
        fail("the host cannot write");
}

static size_t
host_gets(const struct ends *ends, void *bytes, size_t size)
{
    int length = ends->path == PLAIN ? server_read(ends->host, bytes, size, LONG_TIME)
                                     : host_read(1, bytes, size, LONG_TIME);

    if (length <= 0)
        fail("the host cannot read");
    return (size_t)length;
}

static struct ends
open_ends(enum path path)
{
    struct ends ends = { .path = path, .host = INVALID_SOCKET };
    uint8_t bytes[64];

    if (path == PLAIN)
        ends.host = connect_to(relay_port);
    else
        host_connect(1, MESSAGES);
    host_sends(&ends, bare_request, sizeof bare_request);
    ends.server = server_accept(LONG_TIME);
    if (!server_read_all(ends.server, bytes, sizeof bare_request) ||
        !server_write(ends.server, bare_confirm, sizeof bare_confirm) ||
        host_gets(&ends, bytes, sizeof bytes) != sizeof bare_confirm)
        fail("request and confirm did not arrive");
    return ends;
}

static void
close_ends(struct ends *ends)
{
    closesocket(ends->server);
    if (ends->path == PLAIN)
        closesocket(ends->host);
    else
        host_rescind(1);
}

/* ---- measures ---- */

static unsigned __stdcall
send_bulk_to_server(void *argument)
{
    static char bytes[MESSAGE];

    for (size_t done = 0; done < BULK; done += sizeof bytes)
        host_sends(argument, bytes, min(sizeof bytes, BULK - done));
    return 0;
}

static unsigned __stdcall
send_bulk_to_host(void *argument)
{
    static char bytes[MESSAGE];
    const struct ends *ends = argument;

    for (size_t done = 0; done < BULK; done += sizeof bytes)
        if (!server_write(ends->server, bytes, min(sizeof bytes, BULK - done)))
            fail("the server cannot write");
    return 0;
}

/* Megabytes a second. */
static double
bulk(struct ends *ends, enum measure measure)
{
    static char bytes[BUFFER];
    double began = now();
    HANDLE sender = (HANDLE)_beginthreadex(
        NULL, 0, measure == TO_SERVER ? send_bulk_to_server : send_bulk_to_host, ends, 0, NULL);

    for (size_t done = 0; done < BULK;) {
        int length = measure == TO_HOST
                         ? (int)host_gets(ends, bytes, sizeof bytes)
                         : server_read(ends->server, bytes, sizeof bytes, LONG_TIME);

        if (length <= 0)
            fail("the server cannot read");
        done += (size_t)length;
    }
    began = now() - began;
    WaitForSingleObject(sender, INFINITE);
    CloseHandle(sender);
    return BULK / 1e6 / began;
}

/* Microseconds. */
static double
round_trip(struct ends *ends)
{
    char bytes[BUFFER];
    double began = now();

    memset(bytes, 0, sizeof bytes);
    for (unsigned i = 0; i < ECHOES; i++) {
        host_sends(ends, bytes, ECHO);
        if (!server_read_all(ends->server, bytes, ECHO) ||
            !server_write(ends->server, bytes, ECHO))
            fail("the server does not echo");
        for (size_t done = 0; done < ECHO;)
            done += host_gets(ends, bytes, sizeof bytes);
    }
    return (now() - began) * 1e6 / ECHOES;
}

static int
compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return left < right ? -1 : left > right;
}

static double
median(double *values, unsigned count)
{
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

/* ---- all ---- */

static void
end_relay(HANDLE relay)
{
    TerminateProcess(relay, 0);
    WaitForSingleObject(relay, INFINITE);
    CloseHandle(relay);
}

/* Prints its port, or nothing that counts. */
static HANDLE
start_relay(const char *self, const char *kind, uint16_t server_port)
{
    SECURITY_ATTRIBUTES inherit = { .nLength = sizeof inherit, .bInheritHandle = TRUE };
    STARTUPINFOA startup = { .cb = sizeof startup, .dwFlags = STARTF_USESTDHANDLES };
    PROCESS_INFORMATION process;
    char command[MAX_PATH + 32], line[16];
    HANDLE read_end, write_end;
    DWORD length = 0;

    StringCchPrintfA(command, sizeof command, "\"%s\" --%s %u", self, kind, server_port);
    if (!CreatePipe(&read_end, &write_end, &inherit, 0))
        fail("CreatePipe");
    startup.hStdOutput = startup.hStdError = write_end;
    if (!CreateProcessA(NULL, command, NULL, NULL, TRUE, 0, NULL, NULL, &startup, &process) ||
        !ReadFile(read_end, line, sizeof line - 1, &length, NULL))
        fail("starting the plain relay");
    line[length] = '\0';
    relay_port = (uint16_t)atoi(line);
    CloseHandle(process.hThread);
    return process.hProcess;
}

static void
run_rounds(double results[MEASURES][PATHS][ROUNDS_MAX], unsigned rounds, enum path first,
           enum path last)
{
    for (unsigned round = 0; round < rounds; round++)
        for (enum path path = first; path <= last; path++) {
            struct ends ends = open_ends(path);

            for (enum measure measure = TO_SERVER; measure < MEASURES; measure++)
                results[measure][path][round] =
                    measure == ROUND_TRIP ? round_trip(&ends) : bulk(&ends, measure);
            close_ends(&ends);
        }
}

/* How many measures are too far from the plain relays. */
static int
report(double results[MEASURES][PATHS][ROUNDS_MAX], unsigned rounds)
{
    static const char *const names[] = { "host to server, MB/s", "server to host, MB/s",
                                         "round trip of 64 bytes, us" };
    int bad = 0;

    printf("%-28s %12s %12s %12s %8s %8s\n", "", "plain relay", "with a pipe", "hvsession",
           "to plain", "to pipe");
    for (enum measure measure = TO_SERVER; measure < MEASURES; measure++) {
        double plain = median(results[measure][PLAIN], rounds);
        double pipe = median(results[measure][PIPE], rounds);
        double ours = median(results[measure][HVSESSION], rounds);
        double ratio = measure == ROUND_TRIP ? plain / ours : ours / plain;
        double pipe_ratio = measure == ROUND_TRIP ? pipe / ours : ours / pipe;

        printf("%-28s %12.1f %12.1f %12.1f %8.2f %8.2f\n", names[measure], plain, pipe, ours, ratio,
               pipe_ratio);
        bad += ratio < LEAST || pipe_ratio < LEAST_PIPE;
    }
    if (bad > 0)
        printf("not ok: less than %.2f of the plain relay, or %.2f of that with a pipe\n", LEAST,
               LEAST_PIPE);
    return bad;
}

int
main(int count, char **arguments)
{
    static double results[MEASURES][PATHS][ROUNDS_MAX];
    unsigned rounds = count > 3 ? (unsigned)atoi(arguments[3]) : ROUNDS;
    uint16_t server_port;
    WCHAR server[64];
    HANDLE relay;
    int bad;

    if (count == 3 && strcmp(arguments[1], "--relay") == 0)
        run_relay((uint16_t)atoi(arguments[2]));
    if (count == 3 && strcmp(arguments[1], "--pipe-relay") == 0)
        run_pipe_relay((uint16_t)atoi(arguments[2]));
    if (count < 3 || rounds == 0 || rounds > ROUNDS_MAX) {
        puts("usage: bench HVSESSION.EXE VMBUSPIPE.DLL [ROUNDS]");
        return 2;
    }
    hvs_clock_init();
    set_up(arguments[1], arguments[2]);
    server_port = server_start();
    relay = start_relay(arguments[0], "pipe-relay", server_port);
    run_rounds(results, rounds, PIPE, PIPE);
    end_relay(relay);
    relay = start_relay(arguments[0], "relay", server_port);
    StringCchPrintfW(server, ARRAYSIZE(server), L"tcp:127.0.0.1:%u", server_port);
    host_start_control(ACCEPT);
    start_service(server, L"10s");
    wait_status("\"state\": \"ready\"");
    run_rounds(results, rounds, PLAIN, HVSESSION);
    bad = report(results, rounds);
    end_relay(relay);
    stop_in_time();
    expect(L"uninstall", 0, "Removed");
    host_stop_control();
    remove_library();
    return bad > 0;
}

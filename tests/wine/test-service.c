/* hvsession.exe as a service, on a simulated host: what must hold whatever happens.
 *
 *     test-service HVSESSION.EXE VMBUSPIPE.DLL GROUP
 *
 * Installs the service and a fake vmbuspipe.dll and removes both again: for Wine and machines that
 * nobody else uses. */
#include "fixture.h"
#include "winhost.h"

#include "fake-vmbuspipe.h"

#include "windows/clock.h"
#include "windows/daemon.h"
#include "windows/offers.h"
#include "windows/registry.h"
#include "windows/service.h"
#include "windows/status-pipe.h"
#include "windows/watch-pipe.h"

#include "common/status.h"

#include <limits.h>
#include <process.h>
#include <psapi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strsafe.h>

/* Of ntdll.dll; mingw's headers lack it. */
LONG WINAPI NtQueryEvent(HANDLE event, int information_class, void *information, ULONG size,
                         ULONG *returned);
LONG WINAPI NtSuspendProcess(HANDLE process);
LONG WINAPI NtResumeProcess(HANDLE process);

/* Of the RDP server, and its name for hvsession. */
static uint16_t server_port;
static WCHAR server_name[64];

/* A Connection Request without RDP_NEG_REQ, and its confirm: nothing behind them is changed. */
static const uint8_t bare_request[] = { 3, 0, 0, 11, 6, 0xe0, 0, 0, 0, 0, 0 };
static const uint8_t bare_confirm[] = { 3, 0, 0, 11, 6, 0xd0, 0, 0, 0x12, 0x34, 0 };

/* What a stop may take, in milliseconds. */
#define STOP_LIMIT 2000u

static void
begin(void)
{
    host_start_control(ACCEPT);
    start_service(server_name, L"10s");
    wait_status("\"state\": \"ready\"");
}

static void
finish(void)
{
    DWORD status = stop_in_time();

    if (status != 0)
        fail("the process of the service ended with %lu", status);
    expect(L"uninstall", 0, "Removed");
    host_stop_control();
}

/* ---- sessions ---- */

/* A session on the channel, request and confirm delivered; returns the server's end. */
static SOCKET
open_session(unsigned channel, enum pipe_kind kind)
{
    uint8_t request[sizeof bare_request], confirm[sizeof bare_confirm];
    SOCKET s;

    host_connect(channel, kind);
    if (!host_write(channel, bare_request, sizeof bare_request, LONG_TIME))
        fail("writing the request");
    s = server_accept(LONG_TIME);
    if (!server_read_all(s, request, sizeof request) ||
        memcmp(request, bare_request, sizeof request) != 0)
        fail("the request did not arrive");
    if (!server_write(s, bare_confirm, sizeof bare_confirm) ||
        host_read(channel, confirm, sizeof confirm, LONG_TIME) != sizeof confirm ||
        memcmp(confirm, bare_confirm, sizeof confirm) != 0)
        fail("the confirm did not arrive");
    return s;
}

/* Exactly length bytes, in however many messages. */
static bool
host_read_all(unsigned channel, void *bytes, size_t length)
{
    for (size_t done = 0; done < length;) {
        int moved = host_read(channel, (char *)bytes + done, length - done, LONG_TIME);

        if (moved <= 0)
            return false;
        done += (size_t)moved;
    }
    return true;
}

/* xorshift32: bytes that both ends of a stream can make. */
struct stream {
    uint32_t state;
    uint64_t hash; /* FNV-1a of what was made or seen */
};

static void
stream_init(struct stream *stream, uint32_t seed)
{
    stream->state = seed * 2654435761u + 1;
    stream->hash = 14695981039346656037u;
}

static uint32_t
stream_random(struct stream *stream)
{
    stream->state ^= stream->state << 13;
    stream->state ^= stream->state >> 17;
    stream->state ^= stream->state << 5;
    return stream->state;
}

static void
stream_hash(struct stream *stream, const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        stream->hash = (stream->hash ^ bytes[i]) * 1099511628211u;
}

static void
stream_fill(struct stream *stream, uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)(stream_random(stream) >> 9);
    stream_hash(stream, bytes, length);
}

/* One direction of one session. */
struct flow {
    unsigned channel;
    SOCKET   server;
    size_t   total, piece_max;
    uint64_t sent_hash, received_hash;
    size_t   arrived;
    bool     sent;
};

static unsigned __stdcall
host_sends(void *argument)
{
    struct flow *flow = argument;
    uint8_t *bytes = malloc(flow->piece_max);
    struct stream stream, sizes;

    stream_init(&stream, flow->channel);
    stream_init(&sizes, flow->channel + 100);
    flow->sent = true;
    for (size_t done = 0; done < flow->total && flow->sent;) {
        size_t length = stream_random(&sizes) % flow->piece_max + 1;

        length = min(length, flow->total - done);
        stream_fill(&stream, bytes, length);
        flow->sent = host_write(flow->channel, bytes, length, LONG_TIME);
        done += length;
    }
    flow->sent_hash = stream.hash;
    free(bytes);
    return 0;
}

static unsigned __stdcall
server_sends(void *argument)
{
    struct flow *flow = argument;
    uint8_t *bytes = malloc(flow->piece_max);
    struct stream stream, sizes;

    stream_init(&stream, flow->channel + 50);
    stream_init(&sizes, flow->channel + 150);
    flow->sent = true;
    for (size_t done = 0; done < flow->total && flow->sent;) {
        size_t length = stream_random(&sizes) % flow->piece_max + 1;

        length = min(length, flow->total - done);
        stream_fill(&stream, bytes, length);
        flow->sent = server_write(flow->server, bytes, length);
        done += length;
    }
    flow->sent_hash = stream.hash;
    free(bytes);
    return 0;
}

static unsigned __stdcall
server_receives(void *argument)
{
    struct flow *flow = argument;
    uint8_t bytes[65536];
    struct stream stream;
    size_t done = 0;

    stream_init(&stream, 0);
    while (done < flow->total) {
        int length = server_read(flow->server, bytes, sizeof bytes, LONG_TIME);

        if (length <= 0)
            break;
        stream_hash(&stream, bytes, (size_t)length);
        done += (size_t)length;
    }
    flow->arrived = done;
    flow->received_hash = stream.hash;
    return 0;
}

static unsigned __stdcall
host_receives(void *argument)
{
    struct flow *flow = argument;
    uint8_t bytes[65536];
    struct stream stream;
    size_t done = 0;

    stream_init(&stream, 0);
    while (done < flow->total) {
        int length = host_read(flow->channel, bytes, sizeof bytes, LONG_TIME);

        if (length <= 0)
            break;
        stream_hash(&stream, bytes, (size_t)length);
        done += (size_t)length;
    }
    flow->arrived = done;
    flow->received_hash = stream.hash;
    return 0;
}

static HANDLE
start_thread(unsigned(__stdcall *function)(void *), void *argument)
{
    HANDLE thread = (HANDLE)_beginthreadex(NULL, 0, function, argument, 0, NULL);

    if (thread == NULL)
        fail("_beginthreadex");
    return thread;
}

static void
join(HANDLE thread)
{
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
}

static void
check_flow(const char *direction, const struct flow *flow)
{
    if (!flow->sent || flow->arrived != flow->total || flow->sent_hash != flow->received_hash)
        fail("channel %u, %s: %s, %lu of %lu bytes arrived, hashes %s", flow->channel, direction,
             flow->sent ? "all sent" : "not all sent", (unsigned long)flow->arrived,
             (unsigned long)flow->total,
             flow->sent_hash == flow->received_hash ? "equal" : "differ");
}

/* Random data both ways at the same time, in pieces of up to piece_max bytes. */
static void
exchange(const unsigned *numbers, const SOCKET *servers, unsigned count, size_t total,
         size_t piece_max)
{
    struct flow to_server[5], to_host[5];
    HANDLE threads[20];

    for (unsigned i = 0; i < count; i++) {
        to_server[i] = (struct flow) { .channel = numbers[i], .server = servers[i],
                                       .total = total, .piece_max = piece_max };
        to_host[i] = to_server[i];
        threads[4 * i] = start_thread(host_sends, &to_server[i]);
        threads[4 * i + 1] = start_thread(server_receives, &to_server[i]);
        threads[4 * i + 2] = start_thread(server_sends, &to_host[i]);
        threads[4 * i + 3] = start_thread(host_receives, &to_host[i]);
    }
    for (unsigned i = 0; i < 4 * count; i++)
        join(threads[i]);
    for (unsigned i = 0; i < count; i++) {
        check_flow("host to server", &to_server[i]);
        check_flow("server to host", &to_host[i]);
    }
}

static void
test_data(void)
{
    static const size_t pieces[] = { 1, 64, 1623, 16384, 60000 };
    const unsigned one = 1;

    begin();
    for (unsigned kind = MESSAGES; kind <= BYTES; kind++) {
        for (unsigned i = 0; i < ARRAYSIZE(pieces); i++) {
            SOCKET s = open_session(one, (enum pipe_kind)kind);

            exchange(&one, &s, 1, min(pieces[i] * 400, 4u << 20), pieces[i]);
            host_rescind(one);
            closesocket(s);
        }
    }
    finish();
}

static void
test_five(void)
{
    const unsigned numbers[] = { 1, 2, 3, 4, 5 };
    SOCKET servers[5];

    begin();
    for (unsigned i = 0; i < 5; i++)
        servers[i] = open_session(numbers[i], i % 2 == 0 ? MESSAGES : BYTES);
    wait_status("\"sessions_total\": 5");
    exchange(numbers, servers, 5, 2 << 20, 20000);
    for (unsigned i = 0; i < 5; i++) {
        host_rescind(numbers[i]);
        closesocket(servers[i]);
    }
    wait_status("\"sessions\": []");
    finish();
}

/* ---- resources ---- */

static size_t
count_memory(DWORD process)
{
    HANDLE handle = OpenProcess(PROCESS_QUERY_INFORMATION | PROCESS_VM_READ, FALSE, process);
    PROCESS_MEMORY_COUNTERS counters = { .cb = sizeof counters };

    if (handle == NULL || !GetProcessMemoryInfo(handle, &counters, sizeof counters))
        fail("asking for the memory of the service");
    CloseHandle(handle);
    return counters.PagefileUsage;
}

/* Connect, a few bytes each way, disconnect. */
static void
cycle(unsigned i)
{
    unsigned channel = i % 5 + 1;
    SOCKET s = open_session(channel, i % 2 == 0 ? MESSAGES : BYTES);
    char bytes[64];

    if (!server_write(s, "to the host", 11) || !host_read_all(channel, bytes, 11) ||
        !host_write(channel, "to the server", 13, LONG_TIME) || !server_read_all(s, bytes, 13))
        fail("cycle %u: nothing came", i);
    host_rescind(channel);
    if (server_read(s, bytes, sizeof bytes, LONG_TIME) != 0)
        fail("cycle %u: the server was not told", i);
    closesocket(s);
}

static void
test_cycles(void)
{
    /* The fake library's waiting takes a handle for each of the five channels, now and then. */
    enum { WARM_UP = 25, CYCLES = 500, FAKE_HANDLES = 5 };
    DWORD process;
    unsigned handles, handles_after;
    size_t memory, grown;

    begin();
    process = service_process();
    for (unsigned i = 0; i < WARM_UP; i++)
        cycle(i);
    wait_status("\"sessions\": []");
    handles = count_handles(process);
    memory = count_memory(process);
    if (handles == 0)
        fail("no handle is listed for the service");
    for (unsigned i = 0; i < CYCLES; i++)
        cycle(i);
    wait_status("\"sessions\": []");
    handles_after = count_handles(process);
    if (handles_after > handles + FAKE_HANDLES)
        fail("%u handles before, %u after %d sessions", handles, handles_after, CYCLES);
    grown = count_memory(process);
    grown = grown > memory ? grown - memory : 0;
    printf("# %u handles before, %u after, memory grown by %lu KiB\n", handles, handles_after,
           (unsigned long)(grown / 1024));
    /* A session takes more than 100 KiB: even one in a hundred kept would be seen. */
    if (grown > 400 * 1024)
        fail("memory has grown by %lu bytes", (unsigned long)grown);
    finish();
}

/* ---- stopping ---- */

static void
test_stop_waiting(void)
{
    /* Nothing offered; offered, and ready; a session that has said nothing. */
    start_service(server_name, L"10s");
    wait_status("\"not-offered\"");
    stop_in_time();
    host_start_control(ACCEPT);
    expect(L"start", 0, "Started");
    wait_status("\"state\": \"ready\"");
    stop_in_time();
    expect(L"start", 0, "Started");
    host_connect(1, MESSAGES);
    wait_status("\"state\": \"waiting\"");
    finish();
    host_rescind(1);
}

static volatile LONG keep_sending;

static unsigned __stdcall
send_endlessly(void *argument)
{
    static uint8_t bytes[16384];
    SOCKET s = *(SOCKET *)argument;

    while (keep_sending && server_write(s, bytes, sizeof bytes))
        ;
    return 0;
}

static void
test_stop_transferring(void)
{
    uint8_t bytes[65536];
    HANDLE sender;
    SOCKET s;

    begin();
    s = open_session(2, MESSAGES);
    keep_sending = TRUE;
    sender = start_thread(send_endlessly, &s);
    for (unsigned i = 0; i < 200; i++)
        if (host_read(2, bytes, sizeof bytes, LONG_TIME) <= 0)
            fail("the transfer broke off");
    finish();
    keep_sending = FALSE;
    closesocket(s);
    join(sender);
    host_rescind(2);
}

/* Neither side takes anything any more: every buffer is full. */
static void
test_stop_hanging(void)
{
    static uint8_t bytes[16384];
    HANDLE sender;
    SOCKET s;

    begin();
    s = open_session(3, MESSAGES);
    keep_sending = TRUE;
    sender = start_thread(send_endlessly, &s);
    while (host_write(3, bytes, sizeof bytes, 1000))
        ;
    wait_status("\"state\": \"active\"");
    finish();
    keep_sending = FALSE;
    closesocket(s);
    join(sender);
    host_rescind(3);
}

/* Nobody listens: the relay tries again and again. */
static void
test_stop_connecting(void)
{
    begin();
    server_stop();
    host_connect(1, MESSAGES);
    host_write(1, bare_request, sizeof bare_request, LONG_TIME);
    wait_status("\"state\": \"connecting\"");
    finish();
    host_rescind(1);
}

/* The rest of a stop that was cut off: another service works again. */
static void
end_hanging(HANDLE hanging)
{
    DWORD status = stop_in_time();

    if (status != ERROR_SERVICE_REQUEST_TIMEOUT)
        fail("the process ended with %lu: nothing hung", status);
    CloseHandle(hanging);
    expect(L"start", 0, "Started");
    wait_status("\"state\": \"ready\"");
    finish();
}

static HANDLE
make_hang(const WCHAR *event, const WCHAR *semaphore, HANDLE *hangs)
{
    HANDLE hanging = CreateEventW(NULL, TRUE, FALSE, event);

    *hangs = CreateSemaphoreW(NULL, 0, LONG_MAX, semaphore);
    if (hanging == NULL || *hangs == NULL)
        fail("making the library hang");
    return hanging;
}

/* The service reports each step of its end, and then none any more: what hangs is no progress. */
static void
watch_stop(void)
{
    SC_HANDLE opened = open_service();
    DWORD checkpoint = 0, steps = 0, began = GetTickCount(), changed = began;
    SERVICE_STATUS status;

    if (!ControlService(opened, SERVICE_CONTROL_STOP, &status))
        fail("the service takes no STOP");
    while (QueryServiceStatus(opened, &status) && status.dwCurrentState == SERVICE_STOP_PENDING) {
        if (status.dwCheckPoint < checkpoint)
            fail("checkpoint %lu behind %lu", status.dwCheckPoint, checkpoint);
        if (status.dwCheckPoint > checkpoint) {
            steps = status.dwCheckPoint;
            changed = GetTickCount();
        }
        checkpoint = status.dwCheckPoint;
        Sleep(5);
    }
    if (status.dwCurrentState != SERVICE_STOPPED || status.dwCheckPoint != 0)
        fail("state %lu, checkpoint %lu", status.dwCurrentState, status.dwCheckPoint);
    if (steps < 4 || changed - began > HVS_DAEMON_STOP_TIMEOUT / 2)
        fail("%lu checkpoints, the last one after %lu ms", steps, changed - began);
    printf("# %lu checkpoints in %lu ms\n", steps, changed - began);
    CloseServiceHandle(opened);
}

/* vmbuspipe.dll does not keep to the time that it is given, for any of the data channels. */
static void
test_stop_unheard(void)
{
    HANDLE hangs, hanging = make_hang(FAKE_HANGING_EVENT, FAKE_HANGS_WAITING, &hangs);

    begin();
    SetEvent(hanging);
    for (unsigned i = 1; i < HVS_CHANNELS; i++)
        if (WaitForSingleObject(hangs, LONG_TIME) != WAIT_OBJECT_0)
            fail("%u channels are waited for", i - 1);
    end_hanging(hanging);
    hanging = make_hang(FAKE_HANGING_EVENT, FAKE_HANGS_WAITING, &hangs);
    begin();
    SetEvent(hanging);
    if (WaitForSingleObject(hangs, LONG_TIME) != WAIT_OBJECT_0)
        fail("no channel is waited for");
    watch_stop();
    CloseHandle(hangs);
    CloseHandle(hanging);
    expect(L"uninstall", 0, "Removed");
    host_stop_control();
}

/* The daemon's own thread does not come back from opening a channel. */
static void
test_stop_opening(void)
{
    HANDLE hangs, hanging = make_hang(FAKE_HANGING_EVENT, FAKE_HANGS_OPENING, &hangs);

    begin();
    SetEvent(hanging);
    host_offer(1, MESSAGES);
    if (WaitForSingleObject(hangs, LONG_TIME) != WAIT_OBJECT_0)
        fail("the channel is not opened");
    CloseHandle(hangs);
    host_rescind(1);
    end_hanging(hanging);
}

/* The daemon's own thread does not come back from unloading vmbuspipe.dll, and holds the lock that
 * everybody takes who looks for a function of Windows or ends a thread or the process in order. */
static void
test_stop_unloading(void)
{
    HANDLE hangs, hanging = make_hang(FAKE_UNLOADING_EVENT, FAKE_HANGS_UNLOADING, &hangs);

    begin();
    SetEvent(hanging);
    end_hanging(hanging);
    if (WaitForSingleObject(hangs, 0) != WAIT_OBJECT_0)
        fail("vmbuspipe.dll was not unloaded");
    CloseHandle(hangs);
}

/* The output of a command that was begun before, once it is over. */
static void
expect_end(HANDLE process, HANDLE read_end, const char *contained)
{
    static char text[16384];

    read_output(read_end, text, sizeof text);
    if (strstr(text, contained) == NULL)
        fail("it said \"%s\", expected \"%s\"", text, contained);
    WaitForSingleObject(process, INFINITE);
    CloseHandle(read_end);
    CloseHandle(process);
}

/* A stop that comes while the service still starts: it says no more than what is true. */
static void
test_stop_starting(void)
{
    HANDLE hangs, loading = make_hang(FAKE_LOADING_EVENT, FAKE_HANGS_LOADING, &hangs);
    HANDLE start, start_output, stop, stop_output;
    SC_HANDLE opened;
    SERVICE_STATUS status;
    DWORD state = 0, checkpoint;

    expect(L"install", 0, "Installed");
    start = start_program(L"start", &start_output);
    if (WaitForSingleObject(hangs, LONG_TIME) != WAIT_OBJECT_0)
        fail("vmbuspipe.dll is not loaded");
    opened = open_service();
    if (!QueryServiceStatus(opened, &status) || status.dwCurrentState != SERVICE_START_PENDING ||
        status.dwCheckPoint < 4 || status.dwWaitHint == 0)
        fail("state %lu, checkpoint %lu, hint %lu ms", status.dwCurrentState, status.dwCheckPoint,
             status.dwWaitHint);
    checkpoint = status.dwCheckPoint;
    stop = start_program(L"stop", &stop_output);
    if (WaitForSingleObject(stop, 1000) != WAIT_TIMEOUT)
        fail("the service starts, and stop does not wait for that");
    if (!QueryServiceStatus(opened, &status) || status.dwCheckPoint != checkpoint)
        fail("checkpoint %lu behind %lu, and nothing is done", status.dwCheckPoint, checkpoint);
    CloseServiceHandle(opened);
    SetEvent(loading);
    expect_end(stop, stop_output, "Stopped.");
    if (hvs_service_state(&state) != ERROR_SUCCESS || state != SERVICE_STOPPED)
        fail("stopped, and the service is in state %lu", state);
    expect_end(start, start_output, "");
    CloseHandle(hangs);
    CloseHandle(loading);
    expect(L"uninstall", 0, "Removed");
}

/* vmbuspipe.dll cannot be loaded to the end: the service gives up, and the next try works. */
static void
test_stop_loading(void)
{
    HANDLE hangs, loading = make_hang(FAKE_LOADING_EVENT, FAKE_HANGS_LOADING, &hangs);
    DWORD state = 0;

    expect(L"install", 0, "Installed");
    expect(L"start", 1, "starting the service");
    if (hvs_service_state(&state) != ERROR_SUCCESS || state != SERVICE_STOPPED)
        fail("it did not start, and is in state %lu", state);
    CloseHandle(hangs);
    CloseHandle(loading);
    expect(L"start", 0, "Started");
    expect(L"uninstall", 0, "Removed");
}

/* ---- failing ---- */

/* Takes the handle away from another process. */
static void
take_handle(HANDLE process, HANDLE handle)
{
    HANDLE taken;

    if (!DuplicateHandle(process, handle, GetCurrentProcess(), &taken, 0, FALSE,
                         DUPLICATE_SAME_ACCESS | DUPLICATE_CLOSE_SOURCE))
        fail("DuplicateHandle");
    CloseHandle(taken);
}

static bool
is_event(HANDLE process, HANDLE handle)
{
    struct {
        LONG kind, state;
    } information;
    HANDLE copy;
    bool is;

    if (!DuplicateHandle(process, handle, GetCurrentProcess(), &copy, 0, FALSE,
                         DUPLICATE_SAME_ACCESS))
        return false;
    is = NtQueryEvent(copy, 0, &information, sizeof information, NULL) == 0;
    CloseHandle(copy);
    return is;
}

/* What the service waits for goes away: it ends, and says so to the service manager, which restarts
 * it for that on Windows. */
static void
test_failing(void)
{
    enum { HANDLES = 0x1000 };
    SERVICE_STATUS status;
    SC_HANDLE opened;
    HANDLE process;
    DWORD began;
    unsigned taken = 0;

    begin();
    opened = open_service();
    process = OpenProcess(PROCESS_DUP_HANDLE, FALSE, service_process());
    if (process == NULL)
        fail("OpenProcess");
    /* From the newest on: the oldest are not its own. After each its loop goes round once. */
    for (ULONG_PTR i = HANDLES; i > 0; i -= 4) {
        char bytes[HVS_STATUS_PIPE_REQUEST_MAX];
        struct hvs_text answer;

        if (!is_event(process, (HANDLE)i))
            continue;
        take_handle(process, (HANDLE)i);
        taken++;
        hvs_text_init(&answer, bytes, sizeof bytes);
        hvs_status_pipe_ask("facts", &answer);
        if (!QueryServiceStatus(opened, &status) || status.dwCurrentState != SERVICE_RUNNING)
            break;
    }
    began = GetTickCount();
    while (QueryServiceStatus(opened, &status) && status.dwCurrentState != SERVICE_STOPPED) {
        if (GetTickCount() - began > STOP_LIMIT)
            fail("%u events taken, and the service is in state %lu", taken, status.dwCurrentState);
        Sleep(10);
    }
    printf("# %u events taken, stopped with error %lu after %lu ms\n", taken,
           status.dwWin32ExitCode, GetTickCount() - began);
    if (status.dwWin32ExitCode != ERROR_INVALID_HANDLE)
        fail("it stopped with error %lu", status.dwWin32ExitCode);
    CloseHandle(process);
    CloseServiceHandle(opened);
    expect(L"start", 0, "Started");
    wait_status("\"state\": \"ready\"");
    finish();
}

/* ---- closing ---- */

static void
test_server_closes(void)
{
    static uint8_t sent[300000], received[300000];
    struct stream stream;
    SOCKET s;
    int length;

    begin();
    for (unsigned kind = MESSAGES; kind <= BYTES; kind++) {
        s = open_session(1, (enum pipe_kind)kind);
        stream_init(&stream, 7);
        stream_fill(&stream, sent, sizeof sent);
        /* More than all buffers hold; it is read while it is written. */
        for (size_t done = 0; done < sizeof sent; done += sizeof sent / 30) {
            if (!server_write(s, sent + done, sizeof sent / 30))
                fail("writing");
            if (done + sizeof sent / 30 == sizeof sent)
                closesocket(s);
            if (!host_read_all(1, received + done, sizeof sent / 30))
                fail("the stream broke off behind %lu bytes", (unsigned long)done);
        }
        if (memcmp(sent, received, sizeof sent) != 0)
            fail("the bytes differ");
        /* The end of the stream, as a message, then the end of the session. */
        length = host_read(1, received, sizeof received, LONG_TIME);
        if (kind == MESSAGES && length != 0)
            fail("%d bytes, not the end of the stream", length);
        if (length == 0)
            length = host_read(1, received, sizeof received, LONG_TIME);
        if (length != -1)
            fail("the session goes on: %d", length);
        host_rescind(1);
        wait_status("\"reason\": \"server-closed\"");
        wait_status("\"sessions\": []");
    }
    finish();
}

static void
test_host_closes(void)
{
    static uint8_t sent[200000], received[200000];
    struct stream stream;
    SOCKET s;

    begin();
    for (unsigned kind = MESSAGES; kind <= BYTES; kind++) {
        s = open_session(1, (enum pipe_kind)kind);
        stream_init(&stream, 9);
        stream_fill(&stream, sent, sizeof sent);
        for (size_t done = 0; done < sizeof sent; done += 20000)
            if (!host_write(1, sent + done, 20000, LONG_TIME))
                fail("writing");
        host_rescind(1);
        if (!server_read_all(s, received, sizeof received) ||
            memcmp(sent, received, sizeof sent) != 0)
            fail("the server did not get all that the host had sent");
        if (server_read(s, received, 1, LONG_TIME) != 0)
            fail("the server was not told");
        closesocket(s);
        wait_status("\"reason\": \"host-rescinded\"");
    }
    finish();
}

/* The host takes the channel back before the relay has begun to look for a server. There is none,
 * and nobody waits for one. */
static void
test_host_closes_early(void)
{
    HANDLE process;

    begin();
    server_stop();
    process = OpenProcess(PROCESS_SUSPEND_RESUME, FALSE, service_process());
    if (process == NULL)
        fail("OpenProcess");
    host_connect(1, MESSAGES);
    wait_status("\"state\": \"waiting\"");
    if (NtSuspendProcess(process) != 0)
        fail("NtSuspendProcess");
    if (!host_write(1, bare_request, sizeof bare_request, LONG_TIME))
        fail("writing the request");
    host_rescind(1);
    NtResumeProcess(process);
    CloseHandle(process);
    wait_status("\"reason\": \"host-rescinded\"");
    finish();
}

/* The host ends its stream; what the server still says is delivered. */
static void
test_half_close(void)
{
    char bytes[64];
    SOCKET s;

    begin();
    s = open_session(1, MESSAGES);
    if (!host_write(1, "last words", 10, LONG_TIME) || !host_write(1, "", 0, LONG_TIME))
        fail("writing");
    if (!server_read_all(s, bytes, 10) || server_read(s, bytes, sizeof bytes, LONG_TIME) != 0)
        fail("the server did not get the end of the stream");
    if (!server_write(s, "an answer", 9) || !host_read_all(1, bytes, 9))
        fail("nothing comes behind the end of the host's stream");
    closesocket(s);
    if (host_read(1, bytes, sizeof bytes, LONG_TIME) != 0 ||
        host_read(1, bytes, sizeof bytes, LONG_TIME) != -1)
        fail("the session did not end");
    host_rescind(1);
    wait_status("\"reason\": \"host-closed\"");
    finish();
}

/* ---- negotiation ---- */

static void
test_mirror(void)
{
    static const uint8_t request[] = { 3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0, 0,
                                       1, 0, 8, 0,  11, 0,    0, 0 };
    uint8_t bytes[64];
    SOCKET s;

    begin();
    expect(L"config set NegotiationReply mirror", 0, "");
    expect(L"stop", 0, "Stopped");
    expect(L"start", 0, "Started");
    host_connect(1, MESSAGES);
    for (unsigned i = 0; i < sizeof request; i++)
        if (!host_write(1, request + i, 1, LONG_TIME))
            fail("writing");
    s = server_accept(LONG_TIME);
    if (!server_read_all(s, bytes, sizeof request) || bytes[15] != 0)
        fail("requestedProtocols is not RDP");
    if (!server_write(s, bare_confirm, sizeof bare_confirm))
        fail("writing");
    if (host_read(1, bytes, sizeof bytes, LONG_TIME) != 19 || bytes[11] != 2 || bytes[15] != 8)
        fail("the confirm is not mirrored");
    host_rescind(1);
    closesocket(s);
    wait_status("\"requested_protocols\": \"SSL|HYBRID|HYBRID_EX\"");
    finish();
}

static void
test_malformed(void)
{
    begin();
    host_connect(1, BYTES);
    host_write(1, "\x16\x03\x01", 3, LONG_TIME);
    host_write(1, "GET / HTTP/1.0\r\n\r\n", 18, LONG_TIME);
    wait_status("\"reason\": \"request-malformed\"");
    host_rescind(1);
    finish();
}

/* A name is resolved, and the next server is tried if one does not answer. */
static void
test_server_list(void)
{
    SOCKET s;

    StringCchPrintfW(server_name, ARRAYSIZE(server_name), L"tcp:127.0.0.1:1,tcp:localhost:%u",
                     server_port);
    begin();
    s = open_session(1, MESSAGES);
    wait_status("\"server\": \"tcp:localhost:");
    closesocket(s);
    host_rescind(1);
    finish();
}

static void
test_server_late(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    uint8_t bytes[sizeof bare_request];
    SOCKET late, s;

    /* Nobody listens yet; a session waits for the server to start. */
    begin();
    server_stop();
    host_connect(1, MESSAGES);
    host_write(1, bare_request, sizeof bare_request, LONG_TIME);
    wait_status("\"state\": \"connecting\"");
    late = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(server_port);
    if (bind(late, (struct sockaddr *)&address, sizeof address) != 0 || listen(late, 1) != 0)
        fail("listening again: %d", WSAGetLastError());
    s = accept(late, NULL, NULL);
    if (s == INVALID_SOCKET || !server_read_all(s, bytes, sizeof bytes))
        fail("the request did not arrive");
    closesocket(late);
    host_rescind(1);
    wait_status("\"reason\": \"host-rescinded\"");
    closesocket(s);
    /* And one that gives up: its server does not come. The running service hears of the new time,
     * if not before the first session then before the second. */
    expect(L"config set ServerTimeout 500ms", 0, "");
    for (unsigned i = 0;; i++) {
        DWORD began = GetTickCount();

        host_connect(1, MESSAGES);
        host_write(1, bare_request, sizeof bare_request, LONG_TIME);
        if (host_read(1, bytes, sizeof bytes, LONG_TIME) != -1)
            fail("the session does not end");
        host_rescind(1);
        if (GetTickCount() - began < 5000)
            break;
        if (i > 0)
            fail("the new setting is not used");
    }
    wait_status("\"reason\": \"server-unreachable\"");
    finish();
}

/* ---- control channel ---- */

static void
test_version(void)
{
    host_start_control(REFUSE);
    start_service(server_name, L"10s");
    wait_status("\"problem\": \"refused\"");
    host_set_policy(ACCEPT);
    wait_status("\"state\": \"ready\"");
    if (host_requests() < 2)
        fail("only %u version requests", host_requests());
    finish();
}

static void
test_offer_renewed(void)
{
    SOCKET s;
    char byte;

    begin();
    s = open_session(1, MESSAGES);
    host_stop_control();
    wait_status("\"state\": \"not-offered\"");
    wait_status("\"reason\": \"control-lost\"");
    if (server_read(s, &byte, 1, LONG_TIME) != 0)
        fail("the server was not told");
    closesocket(s);
    host_rescind(1);
    host_start_control(ACCEPT);
    wait_status("\"state\": \"ready\"");
    s = open_session(1, MESSAGES);
    host_rescind(1);
    closesocket(s);
    finish();
}

static void
count_offer(unsigned channel, void *user_data)
{
    if (channel != 1)
        fail("channel %u was offered", channel);
    ++*(unsigned *)user_data;
}

static void
ignore_problem(const char *sentence, void *user_data)
{
    (void)user_data;
    if (sentence != NULL)
        fail("%s", sentence);
}

/* Whoever asks for a channel again, between its being found and its being told, gets the next one
 * told all the same. */
static void
test_offer_found(void)
{
    const struct hvs_offers_callbacks callbacks = { count_offer, ignore_problem };
    struct hvs_offers *offers;
    unsigned offered = 0;

    hvs_clock_init();
    if (hvs_offers_new(&callbacks, &offered, &offers, NULL) != ERROR_SUCCESS)
        fail("watching for offers");
    host_offer(1, MESSAGES);
    for (unsigned i = 1; i <= 3; i++) {
        hvs_offers_watch(offers, 1);
        if (WaitForSingleObject(hvs_offers_event(offers), LONG_TIME) != WAIT_OBJECT_0)
            fail("offer %u is not seen", i);
        hvs_offers_watch(offers, 1);
        hvs_offers_dispatch(offers);
        if (offered != i)
            fail("%u offers are told, not %u", offered, i);
    }
    hvs_offers_free(offers);
    host_rescind(1);
}

static unsigned __stdcall
run_daemon(void *argument)
{
    hvs_daemon_run(argument);
    return 0;
}

/* The machine has slept: the version is exchanged anew, on a channel opened anew. */
static void
test_resume(void)
{
    struct hvs_daemon *daemon;
    char problem[HVS_REGISTRY_MESSAGE_MAX];
    struct hvs_text text;
    HANDLE thread;

    hvs_clock_init();
    hvs_text_init(&text, problem, sizeof problem);
    host_start_control(ACCEPT);
    if (hvs_daemon_new(NULL, NULL, &daemon, &text) != ERROR_SUCCESS)
        fail("%s", problem);
    thread = start_thread(run_daemon, daemon);
    for (unsigned i = 0; i < 3; i++) {
        unsigned requests;
        DWORD began;

        wait_status("\"state\": \"ready\"");
        requests = host_requests();
        began = GetTickCount();
        hvs_daemon_renegotiate(daemon);
        while (host_requests() == requests && GetTickCount() - began < LONG_TIME)
            Sleep(20);
        if (host_requests() == requests)
            fail("no version request after the machine has slept");
    }
    wait_status("\"state\": \"ready\"");
    hvs_daemon_stop(daemon);
    join(thread);
    hvs_daemon_free(daemon);
    host_stop_control();
}

/* Milliseconds of processor time so far. */
static uint64_t
service_time(DWORD process)
{
    HANDLE handle = OpenProcess(PROCESS_QUERY_INFORMATION, FALSE, process);
    FILETIME created, ended, kernel, user;

    if (handle == NULL || !GetProcessTimes(handle, &created, &ended, &kernel, &user))
        fail("asking for the processor time of the service");
    CloseHandle(handle);
    return ((uint64_t)kernel.dwLowDateTime + user.dwLowDateTime) / 10000;
}

/* Ready, and nobody connects: nothing wakes but the five waiters, once a second each. */
static void
test_idle(void)
{
    enum { SECONDS = 10, TIME_LIMIT = 50 };
    uint64_t time;
    HANDLE calls;
    LONG count;

    begin();
    calls = CreateSemaphoreW(NULL, 0, LONG_MAX, FAKE_CALLS);
    time = service_time(service_process());
    Sleep(SECONDS * 1000);
    time = service_time(service_process()) - time;
    if (!ReleaseSemaphore(calls, 1, &count))
        fail("ReleaseSemaphore");
    printf("# %ld calls to wait, %lu ms of processor time in %d s\n", count, (unsigned long)time,
           SECONDS);
    if (count > 5 * (SECONDS + 1))
        fail("%ld calls to wait for channels in %d s", count, SECONDS);
    if (time > TIME_LIMIT)
        fail("%lu ms of processor time in %d s", (unsigned long)time, SECONDS);
    CloseHandle(calls);
    finish();
}

static void
test_driver_fails(void)
{
    HANDLE broken = CreateEventW(NULL, TRUE, TRUE, FAKE_BROKEN_EVENT);
    HANDLE calls = CreateSemaphoreW(NULL, 0, LONG_MAX, FAKE_CALLS);
    LONG count;

    start_service(server_name, L"10s");
    wait_status("integration services do not answer");
    Sleep(3000);
    if (!ReleaseSemaphore(calls, 1, &count))
        fail("ReleaseSemaphore");
    /* At the beginning, after 0.5 s, 1.5 s and 3.5 s. */
    if (count < 2 || count > 5)
        fail("%ld calls to wait for a channel that fail at once", count);
    ResetEvent(broken);
    host_start_control(ACCEPT);
    wait_status("\"state\": \"ready\"");
    CloseHandle(broken);
    CloseHandle(calls);
    finish();
}

static void
test_no_library(void)
{
    remove_library();
    expect(L"install", 0, "Installed");
    expect(L"start", 1, "error 126");
    expect(L"status", 3, "does not run");
    expect(L"run", 1, "integration");
    expect(L"uninstall", 0, "Removed");
}

/* ---- settings and status ---- */

static void
test_config(void)
{
    expect(L"config set Server tcp:h:1", 3, "not installed");
    expect(L"install", 0, "Installed");
    expect(L"CONFIG Get ServerTimeout", 0, "15 s");
    expect(L"config set servertimeout 2min", 0, "");
    expect(L"config get ServerTimeout", 0, "2 min");
    expect(L"config list", 0, "ServerTimeout=2 min");
    expect(L"config set ServerTimeout long", 2, "a duration is");
    expect(L"config set Sever x", 2, "did you mean Server?");
    expect(L"config unset ServerTimeout", 0, "");
    expect(L"config get ServerTimeout", 0, "15 s");
    expect(L"config frobnicate Server", 2, "config takes");
    expect(L"uninstall", 0, "Removed");
    expect(L"uninstall", 3, "not installed");
}

/* What others may have written into the registry: numbers, strings without an end, rubbish. */
static void
test_registry(void)
{
    static const WCHAR unterminated[] = { L'4', L's' };
    const DWORD seconds = 7;
    struct hvs_settings settings;
    char message[HVS_REGISTRY_MESSAGE_MAX];
    struct hvs_text text;

    expect(L"install", 0, "Installed");
    hvs_text_init(&text, message, sizeof message);
    registry_set(HVS_REGISTRY_PARAMETERS, L"ServerTimeout", REG_DWORD, &seconds, sizeof seconds);
    if (hvs_registry_load(&settings, &text) != ERROR_SUCCESS || settings.server_timeout != 7000)
        fail("REG_DWORD: %s", message);
    registry_set(HVS_REGISTRY_PARAMETERS, L"ServerTimeout", REG_SZ, unterminated,
                 sizeof unterminated);
    if (hvs_registry_load(&settings, &text) != ERROR_SUCCESS || settings.server_timeout != 4000)
        fail("an unterminated string: %s", message);
    registry_set(HVS_REGISTRY_PARAMETERS, L"ServerTimeout", REG_BINARY, "x", 1);
    if (hvs_registry_load(&settings, &text) != ERROR_INVALID_DATA ||
        settings.server_timeout != 4000 || strstr(message, "REG_SZ") == NULL)
        fail("REG_BINARY: %s", message);
    /* A service with settings that cannot be does not start. */
    expect(L"start", 1, "");
    expect(L"config unset ServerTimeout", 0, "");
    expect(L"start", 0, "Started");
    stop_in_time();
    expect(L"uninstall", 0, "Removed");
}

static void
test_status_pipe(void)
{
    char bytes[1024];
    struct hvs_text answer;
    HANDLE silent[HVS_STATUS_PIPE_HANDLES];
    SOCKET s;

    begin();
    hvs_text_init(&answer, bytes, sizeof bytes);
    if (hvs_status_pipe_ask("rm -rf", &answer) != ERROR_SUCCESS ||
        strncmp(bytes, "error: ", 7) != 0)
        fail("an unknown request: %s", bytes);
    /* Clients that say nothing hold no one up for long. */
    for (unsigned i = 0; i < ARRAYSIZE(silent); i++) {
        WaitNamedPipeW(HVS_STATUS_PIPE_NAME, LONG_TIME);
        silent[i] = CreateFileW(HVS_STATUS_PIPE_NAME, GENERIC_READ | FILE_WRITE_DATA, 0, NULL,
                                OPEN_EXISTING, 0, NULL);
        if (silent[i] == INVALID_HANDLE_VALUE)
            fail("opening the status pipe");
    }
    wait_status("\"state\": \"ready\"");
    for (unsigned i = 0; i < ARRAYSIZE(silent); i++)
        CloseHandle(silent[i]);
    expect(L"status", 0, "eady");
    expect(L"status --json", 0, "\"schema\": 1");
    expect(L"disconnect 77", 1, "no such session");
    expect(L"disconnect 0", 1, "no such session");
    expect(L"disconnect 4294967295", 1, "no such session");
    s = open_session(4, MESSAGES);
    wait_status("\"id\": 1,");
    /* Everybody may look. That only administrators may act cannot be tried: whoever is impersonated
     * under Wine, it is the service itself. */
    expect_without_rights(L"sessions", 0, "#1 ");
    expect(L"disconnect 1", 0, "");
    if (server_read(s, bytes, 1, LONG_TIME) != 0)
        fail("the session goes on");
    closesocket(s);
    wait_status("\"reason\": \"disconnected\"");
    host_rescind(4);
    finish();
    expect(L"status", 3, "not installed");
    /* One that hangs does not hang who asks it. */
    silent[0] = CreateNamedPipeW(HVS_STATUS_PIPE_NAME, PIPE_ACCESS_DUPLEX, PIPE_TYPE_MESSAGE, 1, 0,
                                 0, 0, NULL);
    if (silent[0] == INVALID_HANDLE_VALUE)
        fail("making a status pipe");
    expect(L"status", 3, "not installed");
    CloseHandle(silent[0]);
}

static void
test_cli(void)
{
    expect(L"help", 0, "usage: hvsession");
    expect(L"/?", 0, "usage: hvsession");
    expect(L"--help", 0, "usage: hvsession");
    expect(L"STATUS /?", 0, "usage: hvsession");
    expect(L"", 2, "usage: hvsession");
    expect(L"Version", 0, HVS_VERSION);
    expect(L"--version", 0, HVS_VERSION);
    expect(L"frobnicate", 2, "no such command");
    expect(L"install now", 2, "takes no arguments");
    expect(L"run --log-level loud", 2, "log level");
    expect(L"disconnect", 2, "takes the number");
    expect(L"disconnect x", 2, "takes the number of a session, not: x");
    expect(L"disconnect 4294967296", 2, "takes the number");
    expect(L"disconnect 99999999999999999999", 2, "takes the number");
    expect(L"disconnect -1", 2, "takes the number");
    expect(L"disconnect 1 2", 2, "takes the number");
    expect(L"disconnect 1", 3, "not installed");
    /* Wine looks for a service manager for ten seconds: once is enough. */
    if (sizeof(void *) == 8)
        expect(L"service", 2, "hvsession run");
    expect(L"status", 3, "not installed");
    expect(L"start", 3, "not installed");
    expect_without_rights(L"help", 0, "usage: hvsession");
    expect_without_rights(L"run", 1, "administrator rights");
    expect(L"status x --json", 2, "not: x");
    expect(L"status --json x", 2, "not: x");
    expect(L"run --log-level debug x", 2, "not: x");
}

/* What the service has logged is not there: Wine's event log cannot be read. */
static void
test_bundle(void)
{
    static char bytes[524288];
    static const char *const parts[] = {
        "holds no passwords",   "==== status\r\n",        "==== sessions\r\n",
        "LogLevel=notice",      "==== doctor --verbose",  "\"channels\": [",
        "\"exit_status\":",     "==== events\r\n",
        "hvsession " HVS_VERSION,
    };
    WCHAR folder[MAX_PATH], path[MAX_PATH], command[MAX_PATH + 32];
    DWORD length = 0;
    HANDLE file;

    begin();
    GetTempPathW(ARRAYSIZE(folder), folder);
    StringCchPrintfW(path, ARRAYSIZE(path), L"%lshvsession test.txt", folder);
    DeleteFileW(path);
    StringCchPrintfW(command, ARRAYSIZE(command), L"support-bundle \"%ls\"", path);
    expect(command, 0, "Read it before you pass it on");
    file = CreateFileW(path, GENERIC_READ, 0, NULL, OPEN_EXISTING, 0, NULL);
    if (file == INVALID_HANDLE_VALUE || !ReadFile(file, bytes, sizeof bytes - 1, &length, NULL))
        fail("reading %ls", path);
    CloseHandle(file);
    for (size_t i = 0; i < ARRAYSIZE(parts); i++)
        if (strstr(bytes, parts[i]) == NULL)
            fail("it lacks %s: %s", parts[i], bytes);
    /* What is there is not overwritten. */
    expect(command, 1, "hvsession test.txt");
    expect(L"support-bundle a b", 2, "at most");
    DeleteFileW(path);
    finish();
}

/* As Ctrl+C arrives: the system calls this function in a thread of its own, the caller's to close.
 * Wine sends no such events without a terminal. */
static HANDLE
send_console_event(HANDLE process, DWORD event)
{
    LPTHREAD_START_ROUTINE routine;
    FARPROC function = GetProcAddress(GetModuleHandleW(L"kernel32.dll"), "CtrlRoutine");
    HANDLE thread;

    if (function == NULL)
        fail("kernel32.dll has no CtrlRoutine");
    memcpy(&routine, &function, sizeof routine);
    thread = CreateRemoteThread(process, NULL, 0, routine, (void *)(ULONG_PTR)event, 0, NULL);
    if (thread == NULL)
        fail("CreateRemoteThread");
    return thread;
}

/* hvsession run has to end, within the time of a stop and with that exit status; its log has to
 * contain that. */
static void
end_run(HANDLE process, HANDLE read_end, DWORD event, DWORD status, const char *contained)
{
    static char text[16384];
    HANDLE handler = send_console_event(process, event);
    DWORD began = GetTickCount(), took, ended;

    if (event == CTRL_CLOSE_EVENT) {
        /* When the handler is back, Windows ends the process, whatever it does. */
        WaitForSingleObject(handler, STOP_LIMIT);
        TerminateProcess(process, 0);
    }
    CloseHandle(handler);
    if (WaitForSingleObject(process, STOP_LIMIT) != WAIT_OBJECT_0)
        fail("event %lu, and it still runs after %u ms", event, STOP_LIMIT);
    took = GetTickCount() - began;
    read_output(read_end, text, sizeof text);
    if (!GetExitCodeProcess(process, &ended) || ended != status ||
        strstr(text, contained) == NULL)
        fail("event %lu: status %lu, expected %lu; said \"%s\", expected \"%s\"", event, ended,
             status, text, contained);
    printf("# ended in %lu ms\n", took);
    CloseHandle(process);
    CloseHandle(read_end);
}

static const DWORD console_events[] = { CTRL_C_EVENT, CTRL_CLOSE_EVENT };

/* Ctrl+C, and closing the window: both end in order, and the host is not told any more. */
static void
test_run_ends(void)
{
    static const WCHAR machine[] = L"SOFTWARE\\Microsoft\\Virtual Machine";
    static const WCHAR guest[] = L"SOFTWARE\\Microsoft\\Virtual Machine\\Guest";
    uint64_t before;

    registry_set_number(guest, L"Test", 1);
    before = registry_hash();
    host_start_control(ACCEPT);
    for (unsigned i = 0; i < ARRAYSIZE(console_events); i++) {
        HANDLE read_end, process = start_program(L"run", &read_end);

        wait_status("\"state\": \"ready\"");
        end_run(process, read_end, console_events[i], 0, "stopping");
        if (registry_hash() != before)
            fail("event %lu: the host is still told something", console_events[i]);
    }
    host_stop_control();
    registry_delete_key(machine);
}

/* vmbuspipe.dll does not keep to its time: that holds up nobody. */
static void
test_run_hangs(void)
{
    HANDLE hangs, hanging = make_hang(FAKE_HANGING_EVENT, FAKE_HANGS_WAITING, &hangs);

    host_start_control(ACCEPT);
    for (unsigned i = 0; i < ARRAYSIZE(console_events); i++) {
        HANDLE read_end, process = start_program(L"run", &read_end);

        wait_status("\"state\": \"ready\"");
        SetEvent(hanging);
        for (unsigned channel = 1; channel < HVS_CHANNELS; channel++)
            if (WaitForSingleObject(hangs, LONG_TIME) != WAIT_OBJECT_0)
                fail("%u channels are waited for", channel - 1);
        end_run(process, read_end, console_events[i], 1,
                "did not end in time: waiting for channels: vmbuspipe.dll");
        ResetEvent(hanging);
    }
    CloseHandle(hangs);
    CloseHandle(hanging);
    host_stop_control();
}

/* In a console, without an installed service. */
static void
test_run(void)
{
    static char text[16384];
    HANDLE read_end, process, taken;

    host_start_control(ACCEPT);
    /* A failure that it can live with, and tells: the name of one of its pipes is taken. */
    taken = CreateNamedPipeW(HVS_WATCH_PIPE_NAME, PIPE_ACCESS_DUPLEX, PIPE_TYPE_MESSAGE, 1, 0, 0, 0,
                             NULL);
    if (taken == INVALID_HANDLE_VALUE)
        fail("making a watch pipe");
    process = start_program(L"run --log-level info", &read_end);
    wait_status("\"state\": \"ready\"");
    expect(L"run", 1, "hvsession runs already");
    TerminateProcess(process, 0);
    read_output(read_end, text, sizeof text);
    if (strstr(text, "notice") == NULL || strstr(text, "ready: the host supports") == NULL)
        fail("its log: %s", text);
    if (strstr(text, "warning making the watch pipe: ") == NULL || strstr(text, "(error ") == NULL)
        fail("a failure in its log: %s", text);
    CloseHandle(taken);
    CloseHandle(process);
    CloseHandle(read_end);
    host_stop_control();
}

/* ---- installing ---- */

/* Vista and later: SERVICE_FAILURE_ACTIONS_FLAG. */
#define FAILURE_ACTIONS_FLAG 4

static void
check_service_configuration(void)
{
    static struct {
        QUERY_SERVICE_CONFIGW configuration;
        BYTE                  strings[8192];
    } record;
    static struct {
        SERVICE_FAILURE_ACTIONSW failure;
        BYTE                     actions[8192];
    } recovery;
    SC_HANDLE opened = open_service();
    BOOL also_stopped = FALSE;
    DWORD size;

    if (!QueryServiceConfigW(opened, &record.configuration, sizeof record, &size))
        fail("QueryServiceConfig");
    if (record.configuration.lpBinaryPathName[0] != L'"' ||
        wcsstr(record.configuration.lpBinaryPathName, L".exe\" service") == NULL)
        fail("the path is not quoted: %ls", record.configuration.lpBinaryPathName);
    if (record.configuration.dwStartType != SERVICE_AUTO_START)
        fail("start type %lu", record.configuration.dwStartType);
    if (!QueryServiceConfig2W(opened, SERVICE_CONFIG_FAILURE_ACTIONS, (BYTE *)&recovery,
                              sizeof recovery, &size))
        printf("# failure actions cannot be asked for here (error %lu)\n", GetLastError());
    else if (recovery.failure.cActions != 3 ||
             recovery.failure.lpsaActions[0].Type != SC_ACTION_RESTART ||
             recovery.failure.lpsaActions[2].Delay != 60000)
        fail("failure actions are not as they should be");
    if (!QueryServiceConfig2W(opened, FAILURE_ACTIONS_FLAG, (BYTE *)&also_stopped,
                              sizeof also_stopped, &size))
        printf("# nor can their flag (error %lu)\n", GetLastError());
    else if (!also_stopped)
        fail("no failure actions after a stop with an error");
    CloseServiceHandle(opened);
}

static void
test_install(void)
{
    uint64_t before = registry_hash();

    for (unsigned i = 0; i < 2; i++) {
        uint64_t installed;

        expect(L"install", 0, "Installed");
        expect(L"install", 0, "Installed");
        installed = registry_hash();
        if (installed == before)
            fail("installing left no trace");
        expect(L"config set ServerTimeout 3s", 0, "");
        expect(L"config unset ServerTimeout", 0, "");
        if (registry_hash() != installed)
            fail("a setting that was taken back left a trace");
        check_service_configuration();
        expect(L"config set LogLevel debug", 0, "");
        expect(L"start", 0, "Started");
        expect(L"start", 0, "Started");
        if (i == 0)
            stop_in_time();
        expect(L"uninstall", 0, "Removed");
        if (registry_hash() != before)
            fail("the registry is not as it was before");
    }
}

static void
check_untold(void)
{
    char bytes[64];
    struct hvs_text told;

    hvs_text_init(&told, bytes, sizeof bytes);
    hvs_registry_read_string(L"SOFTWARE\\Microsoft\\Virtual Machine\\Guest", L"HvSessionState",
                             &told);
    if (bytes[0] != '\0')
        fail("the host is still told \"%s\"", bytes);
}

/* What a service that was ended by force has told the host goes: the guard takes it out, and where
 * it could not, uninstall. */
static void
test_install_forced(void)
{
    static const WCHAR machine[] = L"SOFTWARE\\Microsoft\\Virtual Machine";
    static const WCHAR guest[] = L"SOFTWARE\\Microsoft\\Virtual Machine\\Guest";
    HANDLE hangs, hanging = make_hang(FAKE_HANGING_EVENT, FAKE_HANGS_OPENING, &hangs);
    uint64_t before;

    registry_set_number(guest, L"Test", 1);
    before = registry_hash();
    begin();
    SetEvent(hanging);
    host_offer(1, MESSAGES);
    if (WaitForSingleObject(hangs, LONG_TIME) != WAIT_OBJECT_0)
        fail("the channel is not opened");
    if (stop_in_time() != ERROR_SERVICE_REQUEST_TIMEOUT)
        fail("it was not ended by force");
    host_rescind(1);
    CloseHandle(hangs);
    CloseHandle(hanging);
    check_untold();
    host_stop_control();
    /* What one leaves that is killed; Wine's service manager would not notice such an end. */
    registry_set(guest, L"HvSessionState", REG_SZ, L"ready", sizeof L"ready");
    expect(L"uninstall", 0, "Removed");
    if (registry_hash() != before)
        fail("the registry is not as it was before");
    registry_delete_key(machine);
}

/* ---- all of them ---- */

static const struct {
    const char *name;
    void (*run)(void);
} tests[] = {
    { "cli", test_cli },
    { "run", test_run },
    { "run/ends", test_run_ends },
    { "run/hangs", test_run_hangs },
    { "bundle", test_bundle },
    { "install", test_install },
    { "install/forced", test_install_forced },
    { "config", test_config },
    { "registry", test_registry },
    { "status-pipe", test_status_pipe },
    { "data", test_data },
    { "five", test_five },
    { "cycles", test_cycles },
    { "stop/waiting", test_stop_waiting },
    { "stop/connecting", test_stop_connecting },
    { "stop/transferring", test_stop_transferring },
    { "stop/hanging", test_stop_hanging },
    { "stop/unheard", test_stop_unheard },
    { "stop/opening", test_stop_opening },
    { "stop/unloading", test_stop_unloading },
    { "stop/starting", test_stop_starting },
    { "stop/loading", test_stop_loading },
    { "failing", test_failing },
    { "closing/server", test_server_closes },
    { "closing/host", test_host_closes },
    { "closing/early", test_host_closes_early },
    { "closing/half", test_half_close },
    { "negotiation/mirror", test_mirror },
    { "negotiation/malformed", test_malformed },
    { "server/list", test_server_list },
    { "server/late", test_server_late },
    { "version", test_version },
    { "offer-renewed", test_offer_renewed },
    { "offer-found", test_offer_found },
    { "resume", test_resume },
    { "idle", test_idle },
    { "driver-fails", test_driver_fails },
    { "no-library", test_no_library },
};

int
main(int count, char **arguments)
{
    bool found = false;

    if (count != 4) {
        puts("usage: test-service HVSESSION.EXE VMBUSPIPE.DLL GROUP");
        return 2;
    }
    for (size_t i = 0; i < ARRAYSIZE(tests); i++) {
        size_t length = strlen(arguments[3]);

        if (strncmp(tests[i].name, arguments[3], length) != 0 ||
            (tests[i].name[length] != '\0' && tests[i].name[length] != '/'))
            continue;
        found = true;
        set_up(arguments[1], arguments[2]);
        server_port = server_start();
        StringCchPrintfW(server_name, ARRAYSIZE(server_name), L"tcp:127.0.0.1:%u", server_port);
        printf("# %s\n", tests[i].name);
        fflush(stdout);
        tests[i].run();
        server_stop();
        if (strcmp(tests[i].name, "no-library") != 0)
            remove_library();
        printf("ok %s\n", tests[i].name);
    }
    if (!found)
        fail("no such group: %s", arguments[3]);
    return 0;
}

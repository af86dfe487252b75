#include "winhost.h"

#include "fake-vmbuspipe.h"

#include "windows/status-pipe.h"

#include "common/status.h"

#include <process.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strsafe.h>

#define PIPE_BUFFER 65536u

static struct {
    HANDLE pipe;  /* NULL: not offered */
    HANDLE event; /* of the offer; kept between offers */
    HANDLE done[2]; /* of reading (and connecting), of writing */
} channels[HVS_CHANNELS];

static struct {
    HANDLE        thread, stop;
    volatile LONG policy, requests;
} control;

static SOCKET listener = INVALID_SOCKET;

void
fail(const char *format, ...)
{
    static char status[HVS_STATUS_JSON_MAX + 1];
    struct hvs_text text;
    va_list arguments;

    va_start(arguments, format);
    printf("not ok: ");
    vprintf(format, arguments);
    va_end(arguments);
    printf(" (last error %lu)\n", GetLastError());
    hvs_text_init(&text, status, sizeof status);
    if (hvs_status_pipe_ask("status-json", &text) == ERROR_SUCCESS)
        puts(status);
    fflush(stdout);
    ExitProcess(1);
}

/* ---- channels ---- */

static HANDLE
make_event(bool manual, const WCHAR *name)
{
    HANDLE event = CreateEventW(NULL, manual, FALSE, name);

    if (event == NULL)
        fail("CreateEvent");
    return event;
}

void
host_offer(unsigned channel, enum pipe_kind kind)
{
    WCHAR name[64];

    if (channels[channel].pipe != NULL)
        fail("channel %u is offered already", channel);
    if (channels[channel].event == NULL) {
        StringCchPrintfW(name, ARRAYSIZE(name), FAKE_OFFER_EVENT L"%u", channel);
        channels[channel].event = make_event(true, name);
        channels[channel].done[0] = make_event(true, NULL);
        channels[channel].done[1] = make_event(true, NULL);
    }
    StringCchPrintfW(name, ARRAYSIZE(name), FAKE_PIPE L"%u", channel);
    channels[channel].pipe = CreateNamedPipeW(
        name, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | FILE_FLAG_FIRST_PIPE_INSTANCE,
        kind == MESSAGES ? PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE
                         : PIPE_TYPE_BYTE | PIPE_READMODE_BYTE,
        1, PIPE_BUFFER, PIPE_BUFFER, 0, NULL);
    if (channels[channel].pipe == INVALID_HANDLE_VALUE)
        fail("CreateNamedPipe for channel %u", channel);
    SetEvent(channels[channel].event);
}

/* Waits for an operation that was begun with the error; cancels it if it is not done in time. */
static DWORD
finish(unsigned channel, OVERLAPPED *overlapped, DWORD error, DWORD timeout, DWORD *moved)
{
    HANDLE pipe = channels[channel].pipe;

    *moved = 0;
    if (error != ERROR_SUCCESS && error != ERROR_IO_PENDING && error != ERROR_MORE_DATA)
        return error;
    if (WaitForSingleObject(overlapped->hEvent, timeout) != WAIT_OBJECT_0) {
        CancelIo(pipe);
        if (!GetOverlappedResult(pipe, overlapped, moved, TRUE))
            return GetLastError() == ERROR_OPERATION_ABORTED ? WAIT_TIMEOUT : GetLastError();
        return ERROR_SUCCESS;
    }
    return GetOverlappedResult(pipe, overlapped, moved, FALSE) ? ERROR_SUCCESS : GetLastError();
}

bool
host_wait_open(unsigned channel, DWORD timeout)
{
    OVERLAPPED overlapped = { .hEvent = channels[channel].done[0] };
    DWORD moved, error;

    ResetEvent(overlapped.hEvent);
    error = ConnectNamedPipe(channels[channel].pipe, &overlapped) ? ERROR_SUCCESS : GetLastError();
    if (error == ERROR_PIPE_CONNECTED)
        return true;
    return finish(channel, &overlapped, error, timeout, &moved) == ERROR_SUCCESS;
}

void
host_connect(unsigned channel, enum pipe_kind kind)
{
    host_offer(channel, kind);
    if (!host_wait_open(channel, LONG_TIME))
        fail("the guest did not open channel %u", channel);
}

void
host_rescind(unsigned channel)
{
    ResetEvent(channels[channel].event);
    CloseHandle(channels[channel].pipe);
    channels[channel].pipe = NULL;
}

bool
host_write(unsigned channel, const void *bytes, size_t length, DWORD timeout)
{
    OVERLAPPED overlapped = { .hEvent = channels[channel].done[1] };
    DWORD moved, error;

    ResetEvent(overlapped.hEvent);
    error = WriteFile(channels[channel].pipe, bytes, (DWORD)length, NULL, &overlapped)
                ? ERROR_SUCCESS
                : GetLastError();
    return finish(channel, &overlapped, error, timeout, &moved) == ERROR_SUCCESS &&
           moved == length;
}

int
host_read(unsigned channel, void *bytes, size_t size, DWORD timeout)
{
    OVERLAPPED overlapped = { .hEvent = channels[channel].done[0] };
    DWORD moved, error;

    ResetEvent(overlapped.hEvent);
    error = ReadFile(channels[channel].pipe, bytes, (DWORD)size, NULL, &overlapped)
                ? ERROR_SUCCESS
                : GetLastError();
    error = finish(channel, &overlapped, error, timeout, &moved);
    if (error == ERROR_SUCCESS || error == ERROR_MORE_DATA)
        return (int)moved;
    return error == WAIT_TIMEOUT ? -2 : -1;
}

/* ---- control channel ---- */

static void
answer(uint8_t accepted)
{
    uint8_t response[HVS_SYNTHRDP_RESPONSE_SIZE] = { 2, 0, 0, 0, sizeof response, 0, 0, 0, 1 };

    response[16] = accepted;
    host_write(HVS_CONTROL_CHANNEL, response, sizeof response, LONG_TIME);
}

/* One message after another, until the guest closes the channel or the end. */
static void
serve_control(void)
{
    const HANDLE stop = control.stop;
    uint8_t request[64];

    while (WaitForSingleObject(stop, 0) != WAIT_OBJECT_0) {
        int length = host_read(HVS_CONTROL_CHANNEL, request, sizeof request, 100);

        if (length == -2)
            continue;
        if (length < 0)
            return;
        if (length != HVS_SYNTHRDP_REQUEST_SIZE || request[0] != 1)
            fail("a version request of %d bytes, type %u", length, request[0]);
        if (control.policy != SILENT)
            answer(control.policy == ACCEPT ? 2 : 0);
        InterlockedIncrement(&control.requests);
    }
}

static unsigned __stdcall
run_control(void *argument)
{
    (void)argument;
    while (WaitForSingleObject(control.stop, 0) != WAIT_OBJECT_0) {
        host_offer(HVS_CONTROL_CHANNEL, MESSAGES);
        while (WaitForSingleObject(control.stop, 0) != WAIT_OBJECT_0) {
            if (host_wait_open(HVS_CONTROL_CHANNEL, 100)) {
                serve_control();
                break;
            }
        }
        host_rescind(HVS_CONTROL_CHANNEL);
    }
    return 0;
}

void
host_start_control(enum version_policy policy)
{
    if (control.stop == NULL)
        control.stop = make_event(true, NULL);
    ResetEvent(control.stop);
    control.policy = (LONG)policy;
    control.thread = (HANDLE)_beginthreadex(NULL, 0, run_control, NULL, 0, NULL);
    if (control.thread == NULL)
        fail("_beginthreadex");
}

void
host_set_policy(enum version_policy policy)
{
    InterlockedExchange(&control.policy, (LONG)policy);
}

unsigned
host_requests(void)
{
    return (unsigned)control.requests;
}

void
host_stop_control(void)
{
    if (control.thread == NULL)
        return;
    SetEvent(control.stop);
    WaitForSingleObject(control.thread, INFINITE);
    CloseHandle(control.thread);
    control.thread = NULL;
}

/* ---- the RDP server ---- */

uint16_t
server_start(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    int size = sizeof address;
    WSADATA data;

    WSAStartup(MAKEWORD(2, 2), &data);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = WSASocketW(AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, 0, WSA_FLAG_OVERLAPPED);
    if (listener == INVALID_SOCKET ||
        bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 10) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        fail("listening: %d", WSAGetLastError());
    return ntohs(address.sin_port);
}

void
server_stop(void)
{
    closesocket(listener);
    listener = INVALID_SOCKET;
}

static bool
wait_readable(SOCKET s, DWORD timeout)
{
    struct timeval limit = { .tv_sec = (long)(timeout / 1000),
                             .tv_usec = (long)(timeout % 1000 * 1000) };
    fd_set set;

    FD_ZERO(&set);
    FD_SET(s, &set);
    return select(0, &set, NULL, NULL, &limit) == 1;
}

SOCKET
server_accept(DWORD timeout)
{
    SOCKET s;

    if (!wait_readable(listener, timeout))
        fail("nobody connected to the RDP server");
    s = accept(listener, NULL, NULL);
    if (s == INVALID_SOCKET)
        fail("accept: %d", WSAGetLastError());
    return s;
}

bool
server_write(SOCKET s, const void *bytes, size_t length)
{
    const char *next = bytes;

    while (length > 0) {
        int sent = send(s, next, (int)length, 0);

        if (sent <= 0)
            return false;
        next += sent;
        length -= (size_t)sent;
    }
    return true;
}

int
server_read(SOCKET s, void *bytes, size_t size, DWORD timeout)
{
    if (!wait_readable(s, timeout))
        return -2;
    return recv(s, bytes, (int)size, 0);
}

bool
server_read_all(SOCKET s, void *bytes, size_t length)
{
    for (size_t done = 0; done < length;) {
        int received = server_read(s, (char *)bytes + done, length - done, LONG_TIME);

        if (received <= 0)
            return false;
        done += (size_t)received;
    }
    return true;
}

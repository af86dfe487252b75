/* The simulated Hyper-V host as a Windows program, with hvsession.exe as a service on it.
 *
 *     hyperv-sim HVSESSION.EXE VMBUSPIPE.DLL SERVER REPLY
 *
 * SERVER and REPLY are hvsession's settings Server and NegotiationReply. A TCP client of the first
 * port is a user who connects in vmconnect; bytes go both ways until either side ends. Any client
 * of the second port ends the service and this program. Prints
 *
 *     ready PORT PORT
 *     session CHANNEL started
 *     session CHANNEL ended
 *     ended REASON             as hvsession's status has it
 *     service stopped
 *
 * Exit status: 0 if all went well. */
#include "fixture.h"
#include "winhost.h"

#include "windows/status-pipe.h"

#include "common/status.h"

#include <process.h>
#include <stdio.h>
#include <string.h>
#include <strsafe.h>

#define CHANNELS 5

/* One client and its channel. */
struct client {
    unsigned      channel;
    SOCKET        s;
    HANDLE        thread; /* NULL: the slot is free */
    volatile LONG over;   /* one direction has ended */
    volatile LONG done;   /* the thread is about to end */
};

static struct client clients[CHANNELS];

static void
say(unsigned channel, const char *what)
{
    printf("session %u %s\n", channel, what);
    fflush(stdout);
}

static SOCKET
listen_somewhere(unsigned *port)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    int size = sizeof address;
    SOCKET s = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (s == INVALID_SOCKET || bind(s, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(s, CHANNELS) != 0 || getsockname(s, (struct sockaddr *)&address, &size) != 0)
        fail("listening: %d", WSAGetLastError());
    *port = ntohs(address.sin_port);
    return s;
}

static unsigned __stdcall
pump_to_client(void *argument)
{
    struct client *client = argument;
    char bytes[65536];

    while (!client->over) {
        int length = host_read(client->channel, bytes, sizeof bytes, 200);

        if (length == -2)
            continue;
        if (length <= 0 || !server_write(client->s, bytes, (size_t)length))
            break;
    }
    /* Wakes the other direction. */
    shutdown(client->s, SD_BOTH);
    return 0;
}

/* How the last session ended, as soon as none lives. */
static void
say_reason(void)
{
    static char bytes[HVS_STATUS_JSON_MAX + 1];
    static const char key[] = "\"reason\": \"";
    struct hvs_text answer;
    const char *reason;

    wait_status("\"sessions\": []");
    hvs_text_init(&answer, bytes, sizeof bytes);
    if (hvs_status_pipe_ask("status-json", &answer) != ERROR_SUCCESS)
        fail("asking for the status");
    reason = strstr(bytes, key);
    if (reason == NULL)
        fail("no session has ended: %s", bytes);
    reason += sizeof key - 1;
    printf("ended %.*s\n", (int)strcspn(reason, "\""), reason);
    fflush(stdout);
}

static unsigned __stdcall
serve(void *argument)
{
    struct client *client = argument;
    char bytes[16384];
    HANDLE reader;
    int length;

    host_connect(client->channel, MESSAGES);
    say(client->channel, "started");
    reader = (HANDLE)_beginthreadex(NULL, 0, pump_to_client, client, 0, NULL);
    while ((length = recv(client->s, bytes, sizeof bytes, 0)) > 0)
        if (!host_write(client->channel, bytes, (size_t)length, LONG_TIME))
            break;
    InterlockedExchange(&client->over, TRUE);
    WaitForSingleObject(reader, INFINITE);
    CloseHandle(reader);
    host_rescind(client->channel);
    closesocket(client->s);
    say(client->channel, "ended");
    say_reason();
    InterlockedExchange(&client->done, TRUE);
    return 0;
}

static void
take_client(SOCKET s)
{
    for (unsigned i = 0; i < CHANNELS; i++) {
        struct client *client = &clients[i];

        if (client->thread != NULL && client->done) {
            WaitForSingleObject(client->thread, INFINITE);
            CloseHandle(client->thread);
            client->thread = NULL;
        }
        if (client->thread == NULL) {
            *client = (struct client) { .channel = i + 1, .s = s };
            client->thread = (HANDLE)_beginthreadex(NULL, 0, serve, client, 0, NULL);
            return;
        }
    }
    closesocket(s);
}

static void
serve_all(SOCKET users, SOCKET control)
{
    for (;;) {
        fd_set set;

        FD_ZERO(&set);
        FD_SET(users, &set);
        FD_SET(control, &set);
        if (select(0, &set, NULL, NULL, NULL) <= 0)
            fail("select: %d", WSAGetLastError());
        if (FD_ISSET(control, &set))
            return;
        take_client(accept(users, NULL, NULL));
    }
}

int
main(int count, char **arguments)
{
    WCHAR server[128], command[128];
    unsigned users_port, control_port;
    SOCKET users, control;
    WSADATA data;

    if (count != 5) {
        puts("usage: hyperv-sim HVSESSION.EXE VMBUSPIPE.DLL SERVER REPLY");
        return 2;
    }
    WSAStartup(MAKEWORD(2, 2), &data);
    set_up(arguments[1], arguments[2]);
    users = listen_somewhere(&users_port);
    control = listen_somewhere(&control_port);
    host_start_control(ACCEPT);
    StringCchPrintfW(server, ARRAYSIZE(server), L"%hs", arguments[3]);
    start_service(server, L"15s");
    StringCchPrintfW(command, ARRAYSIZE(command), L"config set NegotiationReply %hs",
                     arguments[4]);
    expect(command, 0, "");
    expect(L"stop", 0, "Stopped");
    expect(L"start", 0, "Started");
    wait_status("\"state\": \"ready\"");
    printf("ready %u %u\n", users_port, control_port);
    fflush(stdout);
    serve_all(users, control);
    stop_in_time();
    expect(L"uninstall", 0, "Removed");
    host_stop_control();
    remove_library();
    puts("service stopped");
    return 0;
}

/* hyperv-sim as a program: clients, commands, exit status. The guest is hvsessiond-sim. */
#include "session-fixture.h"

#include "hvhost-protocol.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/prctl.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

struct sim {
    struct fixture f;
    GPid pid;
    FILE *in, *out;
    unsigned port;
};

static void
die_with_parent(gpointer user_data)
{
    (void)user_data;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* Starts both programs; extra is one more option or NULL. */
static void
start(struct sim *sim, const char *extra)
{
    const char *program = g_getenv("HYPERV_SIM_PROGRAM");
    const char *arguments[] = { program ? program : HYPERV_SIM_PROGRAM,
                                "--listen",
                                "127.0.0.1:0",
                                "--exit-with-stdin",
                                "--socket",
                                NULL,
                                extra,
                                NULL };
    GError *error = NULL;
    char line[64];
    int in, out;

    *sim = (struct sim){ 0 };
    set_up(&sim->f, &(struct setup){ .no_host = true, .no_daemon = true });
    arguments[5] = sim->f.socket;
    if (!g_spawn_async_with_pipes(NULL, (char **)arguments, NULL, G_SPAWN_DO_NOT_REAP_CHILD,
                                  die_with_parent, NULL, &sim->pid, &in, &out, NULL, &error))
        g_error("%s", error->message);
    sim->in = fdopen(in, "w");
    sim->out = fdopen(out, "r");
    g_assert_nonnull(fgets(line, sizeof line, sim->out));
    g_assert_cmpint(sscanf(line, "ready %u", &sim->port), ==, 1);
    start_daemon(&sim->f);
    log_wait(&sim->f, NULL, "ready:");
}

static int
wait_exit(struct sim *sim)
{
    int status;

    fclose(sim->in);
    g_assert_cmpint(waitpid(sim->pid, &status, 0), ==, sim->pid);
    fclose(sim->out);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void
stop(struct sim *sim)
{
    g_assert_cmpint(wait_exit(sim), ==, 0);
    tear_down(&sim->f);
}

/* The answer to a command; events in between are passed over. To be freed. */
static char *
ask(struct sim *sim, const char *command)
{
    char *line = NULL;
    size_t size = 0;

    fprintf(sim->in, "%s\n", command);
    fflush(sim->in);
    do
        if (getline(&line, &size, sim->out) < 0)
            g_error("no answer to \"%s\"", command);
    while (g_str_has_prefix(line, "event "));
    g_strchomp(line);
    return line;
}

static void
tell(struct sim *sim, const char *command)
{
    char *answer = ask(sim, command);

    if (!g_str_has_prefix(answer, "ok"))
        g_error("\"%s\" was answered by \"%s\"", command, answer);
    free(answer);
}

static int
connect_client(struct sim *sim)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                   .sin_port = htons((uint16_t)sim->port) };
    struct timeval timeout = { .tv_sec = WAIT / 1000 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_cmpint(connect(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    return fd;
}

/* The request, its answer, and a byte each way. Returns the server's socket. */
static int
answer_client(struct sim *sim, int client)
{
    uint8_t bytes[12];
    int server = accept_server(sim->f.listener);

    receive_all(server, bytes, sizeof bare_request);
    g_assert_true(memcmp(bytes, bare_request, sizeof bare_request) == 0);
    send_all(server, bare_confirm, sizeof bare_confirm);
    send_all(server, "", 1);
    receive_all(client, bytes, sizeof bytes);
    g_assert_true(memcmp(bytes, bare_confirm, sizeof bare_confirm) == 0);
    return server;
}

static int
start_client(struct sim *sim, int *server)
{
    int client = connect_client(sim);

    send_all(client, bare_request, sizeof bare_request);
    *server = answer_client(sim, client);
    return client;
}

static void
check_client(int client, int server)
{
    uint8_t byte;

    send_all(client, "c", 1);
    receive_all(server, &byte, 1);
    g_assert_cmpuint(byte, ==, 'c');
    send_all(server, "s", 1);
    receive_all(client, &byte, 1);
    g_assert_cmpuint(byte, ==, 's');
}

/* Five are served, two wait, and get their turn. */
static void
test_five_and_two(void)
{
    struct sim sim;
    int clients[7], servers[7];

    start(&sim, NULL);
    for (int i = 0; i < 5; i++)
        clients[i] = start_client(&sim, &servers[i]);
    for (int i = 5; i < 7; i++) {
        clients[i] = connect_client(&sim);
        send_all(clients[i], bare_request, sizeof bare_request);
    }
    g_assert_cmpint(poll(&(struct pollfd){ .fd = sim.f.listener, .events = POLLIN }, 1, 100), ==,
                    0);
    for (int i = 5; i < 7; i++) {
        close(clients[i - 5]);
        receive_end(servers[i - 5]);
        close(servers[i - 5]);
        servers[i] = answer_client(&sim, clients[i]);
    }
    for (int i = 2; i < 7; i++) {
        check_client(clients[i], servers[i]);
        close(clients[i]);
        close(servers[i]);
    }
    stop(&sim);
}

static void
test_half_close(void)
{
    struct sim sim;
    static uint8_t bytes[300000];
    int client, server;

    start(&sim, NULL);
    client = start_client(&sim, &server);
    send_all(client, "last", 4);
    shutdown(client, SHUT_WR);
    receive_all(server, bytes, 4);
    g_assert_true(receive_end(server));
    send_all(server, bytes, sizeof bytes);
    close(server);
    receive_all(client, bytes, sizeof bytes);
    g_assert_true(receive_end(client));
    log_wait(&sim.f, NULL, "\\(host-closed\\)");
    close(client);

    client = start_client(&sim, &server);
    shutdown(server, SHUT_WR);
    g_assert_true(receive_end(client));
    send_all(client, bytes, sizeof bytes);
    receive_all(server, bytes, sizeof bytes);
    close(client);
    g_assert_true(receive_end(server));
    log_wait(&sim.f, NULL, "\\(server-closed\\)");
    close(server);
    stop(&sim);
}

static void
test_eof_is_a_rescind(void)
{
    struct sim sim;
    int client, server;

    start(&sim, "--tcp-eof=rescind");
    client = start_client(&sim, &server);
    shutdown(client, SHUT_WR);
    receive_end(server);
    log_wait(&sim.f, NULL, "\\(host-rescinded\\)");
    receive_end(client);
    close(client);
    close(server);
    stop(&sim);
}

static void
test_rescind_commands(void)
{
    struct sim sim;
    int client, server;

    start(&sim, NULL);
    client = start_client(&sim, &server);
    tell(&sim, "rescind data 1");
    receive_end(server);
    receive_end(client);
    close(client);
    close(server);

    tell(&sim, "rescind 1 after 30");
    client = start_client(&sim, &server);
    send_all(client, "1234567890", 10);
    receive_end(client);
    receive_end(server);
    close(client);
    close(server);

    tell(&sim, "rescind 1 on-open");
    client = connect_client(&sim);
    receive_end(client);
    close(client);

    client = start_client(&sim, &server);
    tell(&sim, "rescind control");
    receive_end(client);
    receive_end(server);
    close(client);
    close(server);
    /* Nothing is offered meanwhile. */
    client = connect_client(&sim);
    send_all(client, bare_request, sizeof bare_request);
    tell(&sim, "offer control");
    tell(&sim, "wait control version-answer 2 10000");
    server = answer_client(&sim, client);
    check_client(client, server);
    close(client);
    close(server);
    stop(&sim);
}

static void
test_version_commands(void)
{
    struct sim sim;
    char *status;

    start(&sim, NULL);
    tell(&sim, "version refuse");
    tell(&sim, "rescind control");
    tell(&sim, "offer control");
    log_wait(&sim.f, NULL, "control channel: .*trying again");
    status = ask(&sim, "status");
    g_assert_nonnull(strstr(status, "\"ready\": false"));
    free(status);
    tell(&sim, "version accept");
    tell(&sim, "wait control version-answer 3 20000");
    status = ask(&sim, "status");
    g_assert_nonnull(strstr(status, "\"ready\": true"));
    free(status);
    stop(&sim);
}

static void
test_reader_commands(void)
{
    struct sim sim;
    static uint8_t bytes[400000];
    uint64_t sent = 0;
    ssize_t n;
    int client, server;

    start(&sim, NULL);
    client = start_client(&sim, &server);
    tell(&sim, "reader 1 pause");
    do
        while ((n = send(server, bytes, 65536, MSG_NOSIGNAL | MSG_DONTWAIT)) > 0)
            sent += (uint64_t)n;
    while (poll(&(struct pollfd){ .fd = server, .events = POLLOUT }, 1, 100) == 1);
    g_assert_cmpint(recv(client, bytes, 1, MSG_DONTWAIT), ==, -1);
    tell(&sim, "reader 1 slow 1000 1");
    receive_all(client, bytes, 20000);
    sent -= 20000;
    tell(&sim, "reader 1 run");
    while (sent > 0) {
        n = recv(client, bytes, sizeof bytes, 0);
        g_assert_cmpint(n, >, 0);
        sent -= (uint64_t)n;
    }
    check_client(client, server);
    close(client);
    close(server);
    stop(&sim);
}

static void
test_corrupt_command(void)
{
    struct sim sim;
    int client, server;

    start(&sim, NULL);
    client = start_client(&sim, &server);
    tell(&sim, "corrupt 1 pipe-type-5");
    receive_end(client);
    receive_end(server);
    log_wait(&sim.f, NULL, "\\(pipe-protocol\\)");
    close(client);
    close(server);
    stop(&sim);
}

static void
test_bad_commands(void)
{
    static const char *const commands[] = {
        "frobnicate",     "rescind",        "rescind 6",    "rescind 0",
        "rescind 2",      "version maybe",  "reader 1 run", "wait 1 nothing 1 1",
        "corrupt 1 this", "message-size 0", "pipe"
    };
    struct sim sim;

    start(&sim, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        char *answer = ask(&sim, commands[i]);

        if (!g_str_has_prefix(answer, "error "))
            g_error("\"%s\" was answered by \"%s\"", commands[i], answer);
        free(answer);
    }
    stop(&sim);
}

/* Whoever gives commands and reads no answers keeps nobody waiting. */
static void
test_deaf_speaker(void)
{
    struct sim sim;
    int client, server;

    start(&sim, NULL);
    for (unsigned i = 0; i < 200; i++) /* more of them than a pipe takes */
        fputs("status\n", sim.in);
    fflush(sim.in);
    client = start_client(&sim, &server);
    check_client(client, server);
    close(client);
    close(server);
    stop(&sim);
}

/* Says what is wrong with which option. */
static void
test_bad_options(void)
{
    static const struct {
        const char *option, *words;
    } cases[] = {
        { "--nonsense", "Unknown option --nonsense\nTry: hyperv-sim --help\n" },
        { "--mask=x", "--mask=x: it takes awake, never, always\n" },
        { "--pipe=x", "--pipe=x: it takes message, byte\n" },
        { "--tcp-eof=x", "--tcp-eof=x: it takes half-close, rescind\n" },
        { "--message-size=16385", "--message-size takes at most 16384 bytes\n" },
        { "--message-size=-1", "--message-size takes at most 16384 bytes\n" },
        { "--ring-size=5000", "--ring-size takes whole pages" },
        { "--ring-size=-4096", "--ring-size takes whole pages" },
        { "--listen=localhost", "--listen takes ADDRESS:PORT" },
        { "more", "--socket and --listen are needed, other arguments are not" },
    };
    const char *program = g_getenv("HYPERV_SIM_PROGRAM");

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const char *arguments[] = { program ? program : HYPERV_SIM_PROGRAM,
                                    "--listen=127.0.0.1:0",
                                    "--socket=/nonexistent/socket",
                                    cases[i].option,
                                    NULL };
        g_autofree char *out = NULL, *err = NULL;
        GError *error = NULL;
        int status;

        g_spawn_sync(NULL, (char **)arguments, NULL, G_SPAWN_DEFAULT, NULL, NULL, &out, &err,
                     &status, &error);
        g_assert_no_error(error);
        g_assert_true(WIFEXITED(status));
        g_assert_cmpint(WEXITSTATUS(status), ==, 2);
        g_assert_cmpstr(out, ==, "");
        if (!g_str_has_prefix(err, "hyperv-sim: ") || strstr(err, cases[i].words) == NULL)
            g_error("%s: \"%s\" does not say \"%s\"", cases[i].option, err, cases[i].words);
    }
}

/* A guest that says nonsense. */
static void
test_breach_is_the_exit_status(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct sim sim;
    char byte;
    int guest;

    start(&sim, NULL);
    signal_daemon(&sim.f, SIGTERM);
    g_assert_cmpint(wait_daemon(&sim.f), ==, 0);
    guest = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    g_strlcpy(address.sun_path, sim.f.socket, sizeof address.sun_path);
    g_assert_cmpint(connect(guest, (struct sockaddr *)&address, sizeof address), ==, 0);
    g_assert_cmpint(send(guest, "nonsense", 8, 0), ==, 8);
    tell(&sim, "wait control breach 1 10000");
    while (recv(guest, &byte, 1, 0) > 0)
        ;
    close(guest);
    g_assert_cmpint(wait_exit(&sim), ==, 1);
    tear_down(&sim.f);
}

static void
test_ends_on_sigterm(void)
{
    struct sim sim;
    int client, server, status;

    start(&sim, NULL);
    client = start_client(&sim, &server);
    kill(sim.pid, SIGTERM);
    g_assert_cmpint(waitpid(sim.pid, &status, 0), ==, sim.pid);
    g_assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    receive_end(client);
    receive_end(server);
    close(client);
    close(server);
    fclose(sim.in);
    fclose(sim.out);
    tear_down(&sim.f);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sim/clients/five-and-two", test_five_and_two);
    g_test_add_func("/sim/clients/half-close", test_half_close);
    g_test_add_func("/sim/clients/eof-is-a-rescind", test_eof_is_a_rescind);
    g_test_add_func("/sim/commands/rescind", test_rescind_commands);
    g_test_add_func("/sim/commands/version", test_version_commands);
    g_test_add_func("/sim/commands/reader", test_reader_commands);
    g_test_add_func("/sim/commands/corrupt", test_corrupt_command);
    g_test_add_func("/sim/commands/bad", test_bad_commands);
    g_test_add_func("/sim/commands/unheard", test_deaf_speaker);
    g_test_add_func("/sim/options/bad", test_bad_options);
    g_test_add_func("/sim/end/breach", test_breach_is_the_exit_status);
    g_test_add_func("/sim/end/sigterm", test_ends_on_sigterm);
    return g_test_run();
}

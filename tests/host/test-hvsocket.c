/* Sessions over HvSocket through the whole daemon, beside those of the VMBus: hvsessiond-sim, whose
 * HvSocket is a UNIX socket (vsock-sim.c). Real sockets of the kind are for the guests of tests/vm.
 */
#include "session-fixture.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LISTENING "HvSocket: listening on port 3389"

static void
start(struct fixture *f)
{
    size_t position = 0;

    set_up(f, &(struct setup){ 0 });
    log_wait(f, &position, LISTENING);
}

static void
start_socket_session(struct session *session, struct fixture *f)
{
    begin_socket_session(session, f);
    negotiate(session);
}

static void
leave(struct session *session)
{
    g_assert_cmpint(shutdown(session->socket, SHUT_RDWR), ==, 0);
    end_session(session, "host-rescinded");
}

static void
test_data(void)
{
    struct fixture f;
    struct session session;
    struct stream streams[2] = {
        { .to_server = true, .length = 24 << 20, .piece_max = 60000, .seed = 1 },
        { .to_server = false, .length = 40 << 20, .piece_max = 50000, .seed = 2 },
    };

    start(&f);
    start_socket_session(&session, &f);
    check_session(&session);
    for (unsigned i = 0; i < 2; i++) {
        streams[i].session = &session;
        start_stream(&streams[i]);
    }
    /* Their ends are half-closes: whichever comes first leaves the other way open. */
    for (unsigned i = 0; i < 2; i++)
        finish_stream(&streams[i]);
    g_assert_true(log_wait(&f, &session.log, "session 1: ended after .*-closed\\); to the host 4"));
    close(session.socket);
    close(session.server);
    tear_down(&f);
}

/* Both transports at the same time, all the sessions that either has. */
static void
test_both_transports(void)
{
    struct fixture f;
    struct session sockets[6], channels[5];
    size_t position;

    start(&f);
    for (unsigned i = 0; i < 5; i++) {
        start_socket_session(&sockets[i], &f);
        start_session(&channels[i], &f, i + 1);
    }
    /* A sixth waits, and is served as soon as one has left. */
    position = log_position(&f);
    sockets[5] = (struct session){ .f = &f, .server = -1, .log = position };
    sockets[5].socket = call_hvsocket(&f, 0);
    host_write(&sockets[5], bare_request, sizeof bare_request);
    wait_daemon_idle(&f);
    g_assert_false(log_has(&f, position, "started, over HvSocket"));
    for (unsigned i = 0; i < 5; i++) {
        check_session(&sockets[i]);
        check_session(&channels[i]);
    }
    leave(&sockets[3]);
    log_wait(&f, &position, "session 11: started, over HvSocket");
    sockets[5].number = 11;
    answer_request(&sockets[5]);
    check_session(&sockets[5]);

    position = log_position(&f);
    signal_daemon(&f, SIGUSR1);
    log_wait(&f, &position, "HvSocket   listening");
    log_wait(&f, &position, "#11  active.*, over HvSocket");

    /* What the host does to the VMBus is no matter to them. */
    hvhost_rescind(f.host, 0);
    for (unsigned i = 0; i < 5; i++) {
        g_assert_true(hvhost_channel_wait_closed(channels[i].channel, WAIT));
        hvhost_channel_unref(channels[i].channel);
        close(channels[i].server);
    }
    for (unsigned i = 0; i < 6; i++)
        if (i != 3)
            check_session(&sockets[i]);
    signal_daemon(&f, SIGTERM);
    g_assert_cmpint(wait_daemon(&f), ==, 0);
    for (unsigned i = 0; i < 6; i++)
        if (i != 3)
            end_session(&sockets[i], "stopped");
    tear_down(&f);
}

static void
test_refused_peer(void)
{
    struct fixture f;
    struct session session;
    size_t position;
    int stranger;

    start(&f);
    position = log_position(&f);
    stranger = call_hvsocket(&f, 7);
    g_assert_true(receive_end(stranger));
    close(stranger);
    log_wait(&f, &position, "refused a connection of address 7, which is not the host");
    start_socket_session(&session, &f);
    check_session(&session);
    leave(&session);
    tear_down(&f);
}

/* Not a failure, and looked at again when the configuration is read. */
static void
test_port_taken(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct fixture f;
    struct session session;
    size_t position = 0;
    int xrdp = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    set_up(&f, &(struct setup){ .no_daemon = true });
    g_strlcpy(address.sun_path, f.hvsocket, sizeof address.sun_path);
    g_assert_cmpint(bind(xrdp, (struct sockaddr *)&address, sizeof address), ==, 0);
    g_assert_cmpint(listen(xrdp, 1), ==, 0);
    start_daemon(&f);
    log_wait(&f, &position, "another program, such as xrdp, serves port 3389 already");
    g_assert_true(hvhost_wait_ready(f.host, WAIT));
    expect_working(&f, 1);
    signal_daemon(&f, SIGUSR1);
    log_wait(&f, &position, "HvSocket   port taken by another program");

    close(xrdp);
    signal_daemon(&f, SIGHUP);
    log_wait(&f, &position, LISTENING);
    start_socket_session(&session, &f);
    check_session(&session);

    /* Turned off: sessions that run stay. */
    write_config(&f, f.server, "HvSocket=no");
    signal_daemon(&f, SIGHUP);
    log_wait(&f, &position, "HvSocket: turned off");
    g_assert_cmpint(call_hvsocket(&f, 0), ==, -1);
    check_session(&session);
    leave(&session);
    tear_down(&f);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hvsocket/data", test_data);
    g_test_add_func("/hvsocket/both-transports", test_both_transports);
    g_test_add_func("/hvsocket/refused-peer", test_refused_peer);
    g_test_add_func("/hvsocket/port-taken", test_port_taken);
    return g_test_run();
}

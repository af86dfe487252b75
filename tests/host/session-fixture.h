/* What the session tests share: hvsessiond-sim as a child process whose log is read, the simulated
 * host in the test's own process, and sockets of an RDP-shaped server. Everything waits for events;
 * whatever does not come within WAIT fails the test and prints the daemon's log. */
#ifndef HVHOST_SESSION_FIXTURE_H
#define HVHOST_SESSION_FIXTURE_H

#include "hvhost.h"

#include <glib.h>
#include <pthread.h>

/* Milliseconds that anything may take that ought to happen. */
#define WAIT 30000

/* Builds with sanitizers are slower, and their memory is not the daemon's. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

struct daemon {
    GPid pid; /* 0: not running */
    int log_fd;
    pthread_t reader;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    GPtrArray *lines; /* lock */
    bool ended;       /* lock: the log is complete */
};

struct fixture {
    char *directory;
    char *socket; /* of the host */
    char *config;
    char *hvsocket; /* the host's HvSocket port of the guest, vsock-sim.c */
    char *settings; /* beside Server */
    hvhost *host;
    int listener; /* of the server; -1: none */
    char *server; /* what Server says */
    const char *bus; /* address of the system bus; NULL: the daemon finds none */
    const char *root; /* of the machine that it examines; NULL: this one */
    struct daemon daemon;
};

/* Zero is the default of everything. */
struct setup {
    void (*adjust)(struct hvhost_options *options);
    const char *settings; /* lines beside Server */
    const char *server;   /* Server; NULL: the fixture's own TCP server */
    const char *bus;      /* as in struct fixture */
    const char *root;     /* likewise */
    bool no_daemon;       /* start_daemon() is for later */
    bool no_host;         /* start_host() is */
};

/* Returns when the version was exchanged, if both are started. */
void set_up(struct fixture *f, const struct setup *setup);
/* The host has seen no breach, the daemon no critical error; it ends with status 0. */
void tear_down(struct fixture *f);

void start_host(struct fixture *f, void (*adjust)(struct hvhost_options *options));
void stop_host(struct fixture *f);

/* -- the daemon -- */

void write_config(struct fixture *f, const char *server, const char *settings);
void start_daemon(struct fixture *f);
void signal_daemon(struct fixture *f, int number);
/* Waits for its end; returns the exit status, or minus the signal that ended it. */
int wait_daemon(struct fixture *f);
/* The number of descriptors; its own memory in KiB. */
unsigned daemon_descriptors(const struct fixture *f);
unsigned daemon_memory(const struct fixture *f);
/* The daemon's main loop has come round once. */
void wait_daemon_idle(struct fixture *f);
/* Runs the program to its end: its status, and what it wrote (to be freed). */
int run_program(const char *const *arguments, char **output, char **errors);

/* -- its log; positions are line numbers -- */

size_t log_position(struct fixture *f);
/* The first line from there on that the regular expression matches; valid as long as the fixture.
 * *position, if not NULL, moves behind it. */
const char *log_wait(struct fixture *f, size_t *position, const char *expression);
bool log_has(struct fixture *f, size_t position, const char *expression);

/* -- the server -- */

/* Listening on a port that the system chooses; *address is to be freed. backlog 0: the port is
 * taken, connections are refused until listen(). */
int serve_tcp(const char *host, bool listening, char **address);
int serve_unix(struct fixture *f, const char *name, char **address);
/* The port of the fixture's own server. */
guint server_port(const struct fixture *f);
int accept_server(int listener);
/* Receives exactly length bytes. */
void receive_all(int fd, void *bytes, size_t length);
void send_all(int fd, const void *bytes, size_t length);
/* The server's side gets the end of its stream (true) or a reset. */
bool receive_end(int fd);

/* -- sessions -- */

extern const uint8_t bare_request[11]; /* without RDP_NEG_REQ: nothing is changed afterwards */
extern const uint8_t bare_confirm[11];

struct session {
    struct fixture *f;
    unsigned number; /* of the channel; over HvSocket of the session */
    hvhost_channel *channel;
    int socket; /* the host's end of a session over HvSocket, else -1 */
    int server; /* -1: not connected */
    size_t log; /* position when it began */
};

/* The channel is open, nothing was said. */
void begin_session(struct session *session, struct fixture *f, unsigned number);
/* The host has connected over HvSocket. */
void begin_socket_session(struct session *session, struct fixture *f);
/* A connection to the guest's HvSocket port from that address, 0: the host; -1: nobody listens. */
int call_hvsocket(const struct fixture *f, unsigned cid);
/* The bare request and its answer have been exchanged through the relay. */
void start_session(struct session *session, struct fixture *f, unsigned number);
/* The same on a session that has begun. */
void negotiate(struct session *session);
/* Behind the bare request: the server's side of that. The byte that follows the confirm is no PDU,
 * so that random bytes that look like the beginning of one are not waited for. */
void answer_request(struct session *session);
/* Some bytes both ways arrive as they were sent. */
void check_session(struct session *session);
/* The daemon has closed the channel and logged that reason; everything of the session is freed. */
void end_session(struct session *session, const char *reason);
/* A session that the server refuses, with that RDP_NEG_FAILURE, to its end. */
void refuse_session(struct fixture *f, unsigned number, uint8_t failure_code);
/* start_session(), check_session(), and the host takes the channel back. */
void expect_working(struct fixture *f, unsigned number);

void host_write(struct session *session, const void *bytes, size_t length);
void host_read(struct session *session, void *bytes, size_t length);

/* -- bulk -- */

/* One direction of a session: length random bytes in writes of 1 … piece_max bytes, then the end of
 * the stream; the other end adds up what comes until that. In threads of their own. */
struct stream {
    struct session *session;
    bool to_server;
    uint64_t length;
    size_t piece_max;
    uint64_t seed;
    GThread *sender, *receiver;
    char *sent, *received; /* SHA-256 */
    uint64_t received_length;
};
void start_stream(struct stream *stream);
/* Everything has arrived. */
void finish_stream(struct stream *stream);

#endif

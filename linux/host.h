/* The host's end of a session: a VMBus data channel, or an HvSocket connection.
 *
 * The relay takes bytes where they lie and puts bytes where they are to go, as iovecs for one system
 * call: with a channel that is the ring itself, with a socket a buffer. What differs between the two
 * is behind struct hvs_host_class; what a session does with either is relay.c's business, once.
 *
 * Not thread-safe: a relay's thread owns it.
 */
#ifndef HVS_LINUX_HOST_H
#define HVS_LINUX_HOST_H

#include "channel.h"
#include "pipe.h"

#include "common/session.h"

typedef struct hvs_host hvs_host;

enum hvs_host_result {
    HVS_HOST_OK,
    HVS_HOST_EMPTY,    /* input: nothing there now */
    HVS_HOST_END,      /* input: the host has ended its stream, everything was taken */
    HVS_HOST_FULL,     /* output: no room; .room_wanted says so until there is */
    HVS_HOST_GONE,     /* the host has taken the connection away */
    HVS_HOST_CORRUPT,  /* the ring is broken */
    HVS_HOST_PROTOCOL, /* a packet that a pipe does not carry: .complaint */
    HVS_HOST_BROKEN,   /* a system call failed: errno */
};

/* After GONE, CORRUPT, PROTOCOL and BROKEN only .close may be called. */
struct hvs_host_class {
    bool input_is_memory; /* input is seen without poll(), which only says when to look again */
    bool tells_leaving;   /* that the host is gone is seen even after it has ended its stream */
    bool bounds_silence;  /* it takes a place from others, and may not say nothing for ever */
    short connect_events; /* what to poll for while the host has to wait, beside errors */

    /* Describes what has come, at most limit bytes: OK with at least one byte, EMPTY or END. */
    enum hvs_host_result (*gather)(hvs_host *host, uint32_t limit,
                                   struct iovec pieces[HVS_PIPE_PIECES], unsigned *count);
    /* The first bytes of it are done with; 0 after END. OK. */
    enum hvs_host_result (*consume)(hvs_host *host, size_t bytes);
    /* Nothing that has come waits to be taken, and more may come. */
    bool (*is_hungry)(const hvs_host *host);

    /* Where bytes for the host may be put. OK with enough room to be worth a call, or FULL. */
    enum hvs_host_result (*reserve)(hvs_host *host, struct iovec pieces[HVS_PIPE_PIECES],
                                    unsigned *count, size_t *bytes);
    /* The first bytes of what was just reserved are in place. OK. */
    enum hvs_host_result (*publish)(hvs_host *host, size_t bytes);
    /* Takes a copy of the first bytes, *written of them. OK or FULL, and none. */
    enum hvs_host_result (*write)(hvs_host *host, const void *data, size_t length,
                                  size_t *written);
    /* Ends our stream. OK or FULL. Not with .room_wanted. */
    enum hvs_host_result (*end)(hvs_host *host);
    /* OK: nothing that we can see is still on its way to the host. FULL: something is. */
    enum hvs_host_result (*is_drained)(hvs_host *host);
    /* Changes when the host has read something, if that can be seen. */
    uint32_t (*progress)(const hvs_host *host);

    /* Before sleeping until input comes. False: some is there, or an end that gather() tells. */
    bool (*prepare_to_wait)(hvs_host *host);
    /* After that sleep. */
    void (*woke)(hvs_host *host);
    /* What to poll .fd for, beside errors. */
    short (*events)(hvs_host *host, bool input, bool output);
    /* What poll() has said. A channel's signal stays in .fd, for now. OK. */
    enum hvs_host_result (*handle_events)(hvs_host *host, short revents);
    /* Takes that signal. Before .fd is polled again, by this or by prepare_to_wait(), or poll() says
     * the same once more; output that is FULL has taken it. OK. */
    enum hvs_host_result (*take_signal)(hvs_host *host);

    /* Closes it towards the host and frees it. */
    void (*close)(hvs_host *host);
};

struct hvs_host {
    const struct hvs_host_class *class;
    struct hvs_session_counters *counters; /* packets, signals, ring_full; borrowed */
    int         fd;
    bool        room_wanted; /* output was FULL, and nothing has said yet that it is not any more */
    const char *complaint;   /* what was wrong with a packet; a constant */
    uint32_t    complaint_value;
};

/* Takes the channel over. */
hvs_host *hvs_host_new_channel(struct hvs_channel *channel, struct hvs_session_counters *counters);
/* Takes a connected stream socket over. */
hvs_host *hvs_host_new_socket(int fd, struct hvs_session_counters *counters);

#endif

/* One TCP client of hyperv-sim on its data channel: a thread that offers the channel, waits for the
 * guest to open it, moves bytes both ways and rescinds it in the end. The end of the client's
 * stream becomes zero-length pipe data and the other way round. */
#ifndef HVHOST_SIM_PUMP_H
#define HVHOST_SIM_PUMP_H

#include "hvhost.h"

struct pump;

enum pump_event {
    PUMP_CLIENT_EOF, /* the client has ended its stream */
    PUMP_GUEST_EOF,  /* the guest has */
    PUMP_DONE,       /* the thread has nothing left to do: pump_free() */
};

struct pump_options {
    bool half_close;       /* the client's end of stream is passed on; else it is a rescind */
    bool random_packets;   /* a byte pipe: writes are cut anywhere */
    uint32_t packet_max;   /* bytes of a pipe packet */
    bool rescind_on_offer; /* at once */
    void (*report)(void *user_data, unsigned channel, enum pump_event event); /* any thread */
    void *user_data;
};

/* How it takes what the guest sends. */
enum pump_reader { PUMP_READER_RUN, PUMP_READER_PAUSE, PUMP_READER_SLOW };

/* Takes client, a connected socket, over. NULL: no thread or descriptor to be had. */
struct pump *pump_new(hvhost *host, unsigned channel, int client,
                      const struct pump_options *options);
/* Ends it, if it lives, and waits for its thread. */
void pump_free(struct pump *pump);
/* slow: bytes every so many milliseconds. */
void pump_set_reader(struct pump *pump, enum pump_reader reader, uint32_t bytes, unsigned ms);
/* Has the thread do it soon. */
void pump_corrupt(struct pump *pump, enum hvhost_corruption corruption);
/* False: the guest has not opened the channel. */
bool pump_signal(struct pump *pump);
bool pump_counters(struct pump *pump, struct hvhost_counters *counters);
/* To be called when the host reports that the channel was opened or rescinded. */
void pump_wake(struct pump *pump);

#endif

/* An open VMBus channel as the Linux backend sees it: two rings in mapped memory, a descriptor to
 * wait on, a way to signal the host.
 *
 * Made by uio.c from /dev/uioN, or by the simulated host of the tests over a memfd and a
 * socketpair. Nothing above knows which. The descriptor is non-blocking and behaves as a UIO device
 * does: readable when the host has signalled, reading 4 bytes takes the signals, writing the
 * int32 1 signals the host; POLLERR or POLLHUP, EIO or end of file mean that the host has taken the
 * channel away, and the mapped memory must not be touched any more.
 */
#ifndef HVS_LINUX_CHANNEL_H
#define HVS_LINUX_CHANNEL_H

#include "ring.h"

#include <glib.h>
#include <stdatomic.h>

struct hvs_channel {
    int              fd;
    void            *map;      /* [guest → host ring][host → guest ring], equal halves */
    size_t           map_size; /* bytes */
    void            *monitor_map; /* a monitored channel's monitor page; NULL otherwise */
    size_t           monitor_map_size;
    _Atomic uint32_t *monitor_pending; /* trigger group's word in that page */
    uint32_t         monitor_bit;
    struct hvs_ring  out; /* guest → host, we write */
    struct hvs_ring  in;  /* host → guest, we read */
};

enum hvs_channel_event {
    HVS_CHANNEL_NO_EVENT,
    HVS_CHANNEL_SIGNALLED,
    HVS_CHANNEL_GONE,  /* the host has taken the channel away */
    HVS_CHANNEL_BROKEN /* reading failed otherwise: errno */
};

/* Sets up the rings in map (mapped read/write, shared, map_size bytes). Takes fd and map over, also
 * on failure: false if map_size cannot hold two rings or an index is out of bounds. */
gboolean hvs_channel_init(struct hvs_channel *channel, int fd, void *map, size_t map_size,
                          GError **error);
/* Unmaps, then closes (a mapping would hold the device open). Closing the last reference closes the
 * channel towards the host. Safe on a zeroed struct whose fd is −1, and twice. */
void hvs_channel_close(struct hvs_channel *channel);
/* Takes the pending signals, without blocking. */
enum hvs_channel_event hvs_channel_take_signal(struct hvs_channel *channel);
/* Tells the host to look at the rings: write(fd, 1), or the monitor page's bit. false: the channel
 * is gone. */
gboolean hvs_channel_signal(struct hvs_channel *channel);

#endif

#include "channel.h"

#include <errno.h>
#include <gio/gio.h>
#include <sys/mman.h>
#include <unistd.h>

gboolean
hvs_channel_init(struct hvs_channel *channel, int fd, void *map, size_t map_size, GError **error)
{
    size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
    size_t half = map_size / 2;

    *channel = (struct hvs_channel) { .fd = fd, .map = map, .map_size = map_size };
    if (hvs_ring_init_writer(&channel->out, map, half, page_size) != HVS_RING_OK ||
        hvs_ring_init_reader(&channel->in, (uint8_t *)map + half, half, page_size) != HVS_RING_OK) {
        hvs_channel_close(channel);
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                    "a map of %zu bytes does not hold two sound rings", map_size);
        return FALSE;
    }
    return TRUE;
}

void
hvs_channel_close(struct hvs_channel *channel)
{
    if (channel->map != NULL)
        munmap(channel->map, channel->map_size);
    if (channel->monitor_map != NULL)
        munmap(channel->monitor_map, channel->monitor_map_size);
    if (channel->fd >= 0)
        close(channel->fd);
    *channel = (struct hvs_channel) { .fd = -1 };
}

enum hvs_channel_event
hvs_channel_take_signal(struct hvs_channel *channel)
{
    int32_t count;
    ssize_t n;

    do
        n = read(channel->fd, &count, sizeof(count));
    while (n < 0 && errno == EINTR);
    if (n == (ssize_t)sizeof(count))
        return HVS_CHANNEL_SIGNALLED;
    if (n > 0)
        errno = EPROTO; /* a piece of a signal */
    else if (n == 0 || errno == EIO || errno == ECONNRESET)
        return HVS_CHANNEL_GONE;
    else if (errno == EAGAIN)
        return HVS_CHANNEL_NO_EVENT;
    return HVS_CHANNEL_BROKEN;
}

gboolean
hvs_channel_signal(struct hvs_channel *channel)
{
    const int32_t one = 1;
    ssize_t n;

    if (channel->monitor_pending != NULL) {
        atomic_fetch_or(channel->monitor_pending, channel->monitor_bit);
        return TRUE;
    }
    do
        n = write(channel->fd, &one, sizeof(one));
    while (n < 0 && errno == EINTR);
    /* EAGAIN: signals enough wait for the host already. */
    return n == (ssize_t)sizeof(one) || (n < 0 && errno == EAGAIN);
}

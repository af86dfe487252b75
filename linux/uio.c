#include "uio.h"

#include "offers.h"
#include "vmbus.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

/* Maps of the device, in the driver's order; map N is mapped at offset N pages. */
#define MAP_RINGS   0
#define MAP_MONITOR 2
/* struct hv_monitor_page: u32 trigger state, u32 reserved, then per group of 32 channels u32
 * pending, u32 armed ([TLFS] 11.10). */
#define MONITOR_GROUPS_OFFSET 8u
#define MONITOR_GROUP_SIZE    8u
#define MONITOR_CHANNELS_MAX  128u

static gboolean
read_number(const char *directory, const char *name, guint64 *value)
{
    g_autofree char *path = g_build_filename(directory, name, NULL);
    g_autofree char *text = NULL;
    char *end;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return FALSE;
    errno = 0;
    *value = g_ascii_strtoull(text, &end, 0);
    return errno == 0 && end != text && (*end == '\n' || *end == '\0');
}

gboolean
hvs_uio_read_relid(const char *device, guint64 *relid)
{
    return read_number(device, "id", relid);
}

/* The kernel links the driver before it probes, and /dev/uioN is there before the probe is over.
 * Showing driver_override takes the device's lock, which a probe holds from before the link is made
 * to its end (Linux drivers/hv/vmbus_drv.c, drivers/base/dd.c). What it says does not matter. */
static void
wait_for_probe(const char *device)
{
    g_autofree char *path = g_build_filename(device, "driver_override", NULL);
    g_autofree char *text = NULL;

    g_file_get_contents(path, &text, NULL, NULL);
}

gboolean
hvs_uio_is_bound(const char *device)
{
    g_autofree char *link = g_build_filename(device, "driver", NULL);
    g_autofree char *target = NULL, *driver = NULL;

    wait_for_probe(device);
    target = g_file_read_link(link, NULL);
    driver = target != NULL ? g_path_get_basename(target) : NULL;
    return g_strcmp0(driver, HVS_UIO_DRIVER) == 0;
}

gboolean
hvs_uio_is_ready(const char *device)
{
    g_autofree char *channel = NULL;
    guint64 id;

    if (!hvs_uio_is_bound(device) || !hvs_uio_read_relid(device, &id))
        return FALSE;
    /* Made behind the probe when a device is new. */
    channel = g_strdup_printf("%s/channels/%" G_GUINT64_FORMAT, device, id);
    return g_file_test(channel, G_FILE_TEST_IS_DIR);
}

/* The name of the device's uio node, "uio3"; it changes from offer to offer. */
static char *
find_node(const char *device)
{
    g_autofree char *path = g_build_filename(device, "uio", NULL);
    g_autoptr(GDir) directory = g_dir_open(path, 0, NULL);
    const char *name;

    while (directory != NULL && (name = g_dir_read_name(directory)) != NULL)
        if (g_str_has_prefix(name, "uio"))
            return g_strdup(name);
    return NULL;
}

/* The path of that node; NULL if there is none. */
static char *
node_path(const struct hvs_roots *roots, const char *name)
{
    return name != NULL ? g_build_filename(roots->dev, name, NULL) : NULL;
}

gboolean
hvs_uio_is_permitted(const struct hvs_roots *roots, const char *device)
{
    g_autofree char *name = find_node(device);
    g_autofree char *node = node_path(roots, name);

    return node == NULL || access(node, R_OK | W_OK) == 0 || (errno != EACCES && errno != EPERM);
}

static void
set_error(GError **error, const char *what, const char *path, int number)
{
    enum hvs_offers_error code = HVS_OFFERS_ERROR_FAILED;
    const char *why = g_strerror(number);

    switch (number) {
    case ENODEV:
    case ENOENT:
    case ENXIO:
    case EIO:
    case EINVAL: /* mmap() of a device whose offer is gone */
        code = HVS_OFFERS_ERROR_GONE;
        break;
    case EACCES:
    case EPERM:
        code = HVS_OFFERS_ERROR_DENIED;
        why = "permission denied; start hvsessiond as root, or give its group access by a udev rule";
        break;
    case ENOMEM:
        code = HVS_OFFERS_ERROR_MEMORY;
        why = "the kernel has no memory for the channel; give the virtual machine more, or run "
              "echo 1 > /proc/sys/vm/compact_memory";
        break;
    case EWOULDBLOCK:
        code = HVS_OFFERS_ERROR_IN_USE;
        why = "another process holds the channel; is a second hvsessiond running?";
        break;
    default:
        break;
    }
    g_set_error(error, HVS_OFFERS_ERROR, (gint)code, "%s %s: %s", what, path, why);
}

/* A monitored channel is signalled through a page that host and guests share. */
static gboolean
map_monitor(struct hvs_channel *channel, const char *device, const char *node, GError **error)
{
    size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
    guint64 id;
    uint8_t *page;

    if (!read_number(device, "monitor_id", &id))
        return TRUE; /* not monitored */
    if (id >= MONITOR_CHANNELS_MAX) {
        set_error(error, "monitor_id of", node, ERANGE);
        return FALSE;
    }
    page = mmap(NULL, page_size, PROT_READ | PROT_WRITE, MAP_SHARED, channel->fd,
                (off_t)(MAP_MONITOR * page_size));
    if (page == MAP_FAILED) {
        set_error(error, "mapping the monitor page of", node, errno);
        return FALSE;
    }
    channel->monitor_map = page;
    channel->monitor_map_size = page_size;
    channel->monitor_pending =
        (_Atomic uint32_t *)(void *)(page + MONITOR_GROUPS_OFFSET + id / 32 * MONITOR_GROUP_SIZE);
    channel->monitor_bit = 1u << (id % 32);
    return TRUE;
}

static gboolean
map_channel(int fd, const char *device, const char *name, const char *node,
            struct hvs_channel *channel, GError **error)
{
    g_autofree char *attribute = g_strdup_printf("uio/%s/maps/map%d/size", name, MAP_RINGS);
    g_autoptr(GError) unsound = NULL;
    guint64 size;
    void *map;

    if (!read_number(device, attribute, &size)) {
        set_error(error, "reading the ring size of", node, ENODEV);
        close(fd);
        return FALSE;
    }
    map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
        set_error(error, "mapping", node, errno);
        close(fd);
        return FALSE;
    }
    if (!hvs_channel_init(channel, fd, map, size, &unsound)) {
        g_set_error(error, HVS_OFFERS_ERROR, HVS_OFFERS_ERROR_FAILED, "mapping %s: %s", node,
                    unsound->message);
        return FALSE;
    }
    if (!map_monitor(channel, device, node, error)) {
        hvs_channel_close(channel);
        return FALSE;
    }
    return TRUE;
}

gboolean
hvs_uio_open(const struct hvs_roots *roots, const char *device, struct hvs_channel *channel,
             GError **error)
{
    g_autofree char *name = find_node(device);
    g_autofree char *node = node_path(roots, name);
    int fd;

    if (node == NULL) {
        set_error(error, "opening", device, ENODEV);
        return FALSE;
    }
    fd = open(node, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        set_error(error, "opening", node, errno);
        return FALSE;
    }
    /* A second open would share the ring, and both would read and write it. */
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        set_error(error, "locking", node, errno);
        close(fd);
        return FALSE;
    }
    return map_channel(fd, device, name, node, channel, error);
}

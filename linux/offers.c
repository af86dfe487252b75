#include "offers.h"

#include "uio.h"
#include "vmbus.h"

#include "common/synthrdp.h"

#include <errno.h>
#include <gudev/gudev.h>
#include <sys/stat.h>
#include <uuid/uuid.h>

/* Errno of a probe by a kernel that cannot signal channels without a monitor page (ENOTSUPP, which
 * is the kernel's own and has no name here). */
#define KERNEL_ENOTSUPP 524
/* Bound, but we may not open it; no errno value. */
#define NOT_PERMITTED (-1)
/* Devices, drivers and permissions come one after another: what keeps a channel from being used is
 * told when it has lasted that long, in milliseconds. */
#define SETTLING_TIME 1000u
/* A probe that found no memory is tried again that often, in milliseconds. */
#define MEMORY_RETRY_PAUSE 30000u

/* Tells the devices of one channel apart. Every offer has a directory of its own in sysfs, all of
 * one name, and events of one often come when the next is there already. */
struct identity {
    guint64 inode; /* 0: no device */
    guint64 relid; /* the host's number of the offer, used again as inodes are, but hardly both */
};

struct hvs_offers {
    const struct hvs_roots            *roots;
    const struct hvs_offers_callbacks *callbacks;
    gpointer                           user_data;
    GUdevClient                       *udev;
    GSource                           *look;      /* as soon as no event waits */
    GSource                           *next_look; /* on the timer */
    char                              *problem;
    struct identity                    told[HVS_CHANNELS]; /* as offered, and not rescinded since */
    bool                               doubtful[HVS_CHANNELS]; /* told, and gone when opened */
};

G_DEFINE_QUARK(hvs-offers-error-quark, hvs_offers_error)

static struct identity
identity_of(const char *device)
{
    struct identity identity = { 0 };
    struct stat status;

    if (stat(device, &status) == 0 && hvs_uio_read_relid(device, &identity.relid))
        identity.inode = status.st_ino;
    return identity;
}

static bool
is_same(struct identity one, struct identity other)
{
    return one.inode == other.inode && one.relid == other.relid;
}

/* ---- binding ---- */

static bool
is_denied(int error)
{
    return error == EACCES || error == EPERM || error == EROFS;
}

/* 0 or an errno value, of the driver's probe as a rule. Only root may teach the driver our classes;
 * where root has done so (hvs_vmbus_set_up()), the service may still bind what was left over. */
static int
bind_device(const hvs_offers *offers, const char *device)
{
    int teaching = hvs_vmbus_add_classes(offers->roots);
    int binding;

    if (teaching != 0 && !is_denied(teaching))
        return teaching;
    binding = hvs_vmbus_bind_device(offers->roots, device);
    return teaching != 0 && binding == ENODEV ? teaching : binding;
}

static const char *
binding_problem(int error)
{
    switch (error) {
    case 0:
        return NULL;
    case KERNEL_ENOTSUPP:
        return "this kernel is too old for Enhanced Session over VMBus: install Linux 6.10 or "
               "later, or use the other transport: Set-VM -VMName NAME "
               "-EnhancedSessionTransportType HvSocket, on the host";
    case ENOMEM:
        return "the kernel has no memory for the channels: give the virtual machine more, or run "
               "echo 1 > /proc/sys/vm/compact_memory";
    case EACCES:
    case EPERM:
    case EROFS:
        return "the channels are not bound to the driver " HVS_UIO_DRIVER ", and that takes root: "
               "sudo hvsessiond --bind";
    case NOT_PERMITTED:
        return "no permission to open the channels (/dev/uio*): start hvsessiond as root, or give "
               "its group access by a udev rule";
    case ENOENT:
        return "the driver " HVS_UIO_DRIVER " is not loaded: modprobe " HVS_UIO_DRIVER
               " (Ubuntu has it in linux-modules-extra-$(uname -r))";
    default:
        return "the driver " HVS_UIO_DRIVER " does not take the channels: see dmesg";
    }
}

static void
set_problem(hvs_offers *offers, const char *problem)
{
    if (g_strcmp0(problem, offers->problem) == 0)
        return;
    g_free(offers->problem);
    offers->problem = g_strdup(problem);
    offers->callbacks->problem(offers->problem, offers->user_data);
}

/* ---- looking ---- */

static void
tell_rescinded(hvs_offers *offers, unsigned channel)
{
    if (offers->told[channel].inode == 0)
        return;
    offers->told[channel].inode = 0;
    offers->doubtful[channel] = false;
    offers->callbacks->rescinded(channel, offers->user_data);
}

static void
tell_offered(hvs_offers *offers, unsigned channel, struct identity identity)
{
    if (is_same(offers->told[channel], identity))
        return;
    tell_rescinded(offers, channel);
    offers->told[channel] = identity;
    offers->callbacks->offered(channel, offers->user_data);
}

/* Returns what keeps that channel from being used, 0 if nothing does. */
static int
look_at_channel(hvs_offers *offers, unsigned channel)
{
    g_autofree char *device = hvs_vmbus_device_path(offers->roots, channel);
    struct identity identity = identity_of(device);
    int error = 0;

    if (identity.inode == 0) {
        tell_rescinded(offers, channel);
        return 0;
    }
    if (!hvs_uio_is_bound(device))
        error = bind_device(offers, device);
    if (!hvs_uio_is_ready(device))
        return error;
    if (!hvs_uio_is_permitted(offers->roots, device))
        return NOT_PERMITTED;
    /* Else it is gone, or another one, in the meantime: its own events follow. */
    if (is_same(identity_of(device), identity))
        tell_offered(offers, channel, identity);
    return 0;
}

static void
clear_source(GSource **source)
{
    if (*source != NULL) {
        g_source_destroy(*source);
        g_source_unref(*source);
        *source = NULL;
    }
}

static gboolean on_next_look(gpointer user_data);

static void
look_later(hvs_offers *offers, guint pause)
{
    gint64 due = g_get_monotonic_time() + (gint64)pause * 1000;

    if (offers->next_look != NULL && g_source_get_ready_time(offers->next_look) <= due)
        return;
    clear_source(&offers->next_look);
    offers->next_look = g_timeout_source_new(pause);
    g_source_set_callback(offers->next_look, on_next_look, offers, NULL);
    g_source_attach(offers->next_look, NULL);
}

/* error: what look_at_channel() found. settled: it has lasted. */
static void
note_problem(hvs_offers *offers, int error, bool settled)
{
    bool doubts = false;

    for (unsigned i = 0; i < HVS_CHANNELS; i++)
        doubts |= offers->doubtful[i];
    if (error == 0 && !doubts)
        clear_source(&offers->next_look);
    if (error == 0 || settled)
        set_problem(offers, binding_problem(error));
    else
        look_later(offers, SETTLING_TIME);
    if (error == ENOMEM)
        look_later(offers, MEMORY_RETRY_PAUSE);
}

static void
look_at_all(hvs_offers *offers, bool settled)
{
    g_autofree char *bus = g_build_filename(offers->roots->sys, "bus/vmbus", NULL);
    int problem = 0;

    if (!g_file_test(bus, G_FILE_TEST_IS_DIR)) {
        set_problem(offers, "no VMBus: this is not a Hyper-V guest, or its kernel lacks the driver "
                            "hv_vmbus");
        return;
    }
    for (unsigned i = 0; i < HVS_CHANNELS; i++) {
        int error = look_at_channel(offers, i);

        if (problem == 0)
            problem = error;
    }
    note_problem(offers, problem, settled);
}

static gboolean
on_look(gpointer user_data)
{
    hvs_offers *offers = user_data;

    clear_source(&offers->look);
    look_at_all(offers, false);
    return G_SOURCE_REMOVE;
}

/* One look serves all events that wait: there are a dozen for every session, and more of them while
 * we look. */
static void
look_soon(hvs_offers *offers)
{
    if (offers->look != NULL)
        return;
    offers->look = g_idle_source_new();
    g_source_set_callback(offers->look, on_look, offers, NULL);
    g_source_attach(offers->look, NULL);
}

/* By then all is there that was on its way, or the offer is gone. */
static gboolean
on_next_look(gpointer user_data)
{
    hvs_offers *offers = user_data;

    clear_source(&offers->next_look);
    for (unsigned i = 0; i < HVS_CHANNELS; i++)
        if (offers->doubtful[i])
            tell_rescinded(offers, i);
    look_at_all(offers, true);
    return G_SOURCE_REMOVE;
}

/* path: of a device on the VMBus. −1: not one of ours. */
static int
channel_of(const char *path)
{
    g_autofree char *name = g_path_get_basename(path);
    struct hvs_guid instance;
    uuid_t bytes;

    if (uuid_parse(name, bytes) != 0)
        return -1;
    instance = hvs_guid_from_bytes(bytes);
    return hvs_synthrdp_channel_of(&instance);
}

/* The device itself: bound, unbound, gone. */
static void
on_device_event(hvs_offers *offers, const char *action, unsigned channel)
{
    g_autofree char *device = hvs_vmbus_device_path(offers->roots, channel);

    if (!g_str_equal(action, "unbind")) {
        look_soon(offers);
        return;
    }
    /* Looked at closer it would be bound again, to be removed: or as somebody wanted it unbound. The
     * event may also be of the offer before this one. */
    if (!is_same(identity_of(device), offers->told[channel]) || !hvs_uio_is_ready(device))
        tell_rescinded(offers, channel);
}

/* The bus, its driver and our devices come and go in any order. */
static void
on_uevent(GUdevClient *client, const char *action, GUdevDevice *device, gpointer user_data)
{
    hvs_offers *offers = user_data;
    const char *path = g_udev_device_get_sysfs_path(device);
    const char *subsystem = g_udev_device_get_subsystem(device);

    (void)client;
    if (g_strcmp0(subsystem, "vmbus") == 0 && channel_of(path) >= 0) {
        on_device_event(offers, action, (unsigned)channel_of(path));
    } else if (g_strcmp0(subsystem, "channels") == 0) {
        /* DEVICE/channels/ID */
        g_autofree char *channels = g_path_get_dirname(path);
        g_autofree char *parent = g_path_get_dirname(channels);

        if (channel_of(parent) >= 0 && !g_str_equal(action, "remove"))
            look_soon(offers);
    } else if (g_strcmp0(subsystem, "vmbus") != 0 || offers->problem != NULL) {
        look_soon(offers);
    }
}

hvs_offers *
hvs_offers_new(const struct hvs_roots *roots, const struct hvs_offers_callbacks *callbacks,
               gpointer user_data, GError **error)
{
    static const char *const subsystems[] = { "vmbus", "channels", "uio", "drivers", "module",
                                              NULL };
    hvs_offers *offers = g_new0(hvs_offers, 1);

    (void)error;
    offers->roots = roots;
    offers->callbacks = callbacks;
    offers->user_data = user_data;
    /* Watching begins before looking: nothing is missed in between. */
    offers->udev = g_udev_client_new(subsystems);
    g_signal_connect(offers->udev, "uevent", G_CALLBACK(on_uevent), offers);
    look_soon(offers);
    return offers;
}

void
hvs_offers_free(hvs_offers *offers)
{
    clear_source(&offers->look);
    clear_source(&offers->next_look);
    g_signal_handlers_disconnect_by_data(offers->udev, offers);
    g_object_unref(offers->udev);
    g_free(offers->problem);
    g_free(offers);
}

static void
set_gone(GError **error, unsigned channel)
{
    g_set_error(error, HVS_OFFERS_ERROR, HVS_OFFERS_ERROR_GONE,
                "channel %u: the host has taken it back", channel);
}

gboolean
hvs_offers_open(hvs_offers *offers, unsigned channel_number, struct hvs_channel *channel,
                GError **error)
{
    g_autofree char *device = hvs_vmbus_device_path(offers->roots, channel_number);
    struct identity identity = identity_of(device);
    g_autoptr(GError) local_error = NULL;

    if (!hvs_uio_is_ready(device)) {
        set_gone(&local_error, channel_number);
    } else if (hvs_uio_open(offers->roots, device, channel, &local_error)) {
        if (is_same(identity_of(device), identity)) {
            /* Perhaps the next offer already: what is told of the one before is not of this. */
            if (offers->told[channel_number].inode != 0)
                offers->told[channel_number] = identity;
            offers->doubtful[channel_number] = false;
            return TRUE;
        }
        hvs_channel_close(channel);
        set_gone(&local_error, channel_number);
    }
    if (g_error_matches(local_error, HVS_OFFERS_ERROR, HVS_OFFERS_ERROR_GONE)) {
        /* Its removal is told by udev as a rule; should it stay, it has to be offered again. */
        offers->doubtful[channel_number] = offers->told[channel_number].inode != 0;
        look_later(offers, SETTLING_TIME);
    }
    g_propagate_error(error, g_steal_pointer(&local_error));
    return FALSE;
}

void
hvs_offers_rescan(hvs_offers *offers)
{
    look_at_all(offers, true);
}

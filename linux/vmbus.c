#include "vmbus.h"

#include "common/synthrdp.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <grp.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <uuid/uuid.h>

/* Of the attribute "bind": the kernel's own, and with our group. */
#define BIND_MODE       0200
#define BIND_GROUP_MODE 0220

static const struct hvs_guid *const classes[] = { &hvs_synthrdp_control_class,
                                                  &hvs_synthrdp_data_class };

static void
print_guid(const struct hvs_guid *guid, char text[UUID_STR_LEN])
{
    uuid_t bytes;

    hvs_guid_to_bytes(guid, bytes);
    uuid_unparse_lower(bytes, text);
}

char *
hvs_vmbus_device_path(const struct hvs_roots *roots, unsigned channel)
{
    const struct hvs_guid instance = hvs_synthrdp_instance(channel);
    char text[UUID_STR_LEN];

    print_guid(&instance, text);
    return g_build_filename(roots->sys, "bus/vmbus/devices", text, NULL);
}

static char *
driver_path(const struct hvs_roots *roots, const char *file)
{
    return g_build_filename(roots->sys, "bus/vmbus/drivers/" HVS_UIO_DRIVER, file, NULL);
}

/* One write(), as sysfs wants it. 0 or an errno value. */
static int
write_attribute(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    int error = 0;

    if (fd < 0)
        return errno;
    if (write(fd, text, strlen(text)) < 0)
        error = errno;
    if (close(fd) != 0 && error == 0)
        error = errno;
    return error;
}

/* Writes both classes to an attribute of the driver. accepted: the errno value that is as good. */
static int
write_classes(const struct hvs_roots *roots, const char *attribute, int accepted)
{
    g_autofree char *path = driver_path(roots, attribute);

    for (unsigned i = 0; i < G_N_ELEMENTS(classes); i++) {
        char text[UUID_STR_LEN];
        int error;

        print_guid(classes[i], text);
        error = write_attribute(path, text);
        if (error != 0 && error != accepted)
            return error;
    }
    return 0;
}

static int
write_device(const struct hvs_roots *roots, const char *attribute, const char *device)
{
    g_autofree char *path = driver_path(roots, attribute);
    g_autofree char *name = g_path_get_basename(device);

    return write_attribute(path, name);
}

int
hvs_vmbus_add_classes(const struct hvs_roots *roots)
{
    return write_classes(roots, "new_id", EEXIST);
}

int
hvs_vmbus_bind_device(const struct hvs_roots *roots, const char *device)
{
    int error = write_device(roots, "bind", device);

    return error == EBUSY ? 0 : error; /* bound in the meantime */
}

/* ---- what takes root ---- */

static void
set_error(GError **error, const char *what, int number)
{
    g_set_error(error, G_IO_ERROR, (gint)g_io_error_from_errno(number), "%s: %s", what,
                g_strerror(number));
}

static gboolean
is_loaded(const struct hvs_roots *roots)
{
    g_autofree char *path = driver_path(roots, NULL);

    return g_file_test(path, G_FILE_TEST_IS_DIR);
}

/* The kernel loads HvSocket's driver with the first vsock socket, unless somebody has loaded vsock
 * itself before. Without it there is no HvSocket, which the service says. */
static void
load_hvsocket(const struct hvs_roots *roots)
{
    char *const command[] = { (char *)"modprobe", (char *)"--quiet", (char *)"hv_sock", NULL };
    g_autofree char *bus = g_build_filename(roots->sys, "bus/vmbus", NULL);
    g_autofree char *driver = g_build_filename(bus, "drivers/hv_sock", NULL);

    if (g_file_test(bus, G_FILE_TEST_IS_DIR) && !g_file_test(driver, G_FILE_TEST_IS_DIR))
        g_spawn_sync(NULL, (char **)command, NULL,
                     G_SPAWN_SEARCH_PATH | G_SPAWN_STDOUT_TO_DEV_NULL | G_SPAWN_STDERR_TO_DEV_NULL,
                     NULL, NULL, NULL, NULL, NULL, NULL);
}

static gboolean
run_modprobe(GError **error)
{
    char *const command[] = { (char *)"modprobe", (char *)HVS_UIO_DRIVER, NULL };
    g_autofree char *said = NULL;
    g_autoptr(GError) local_error = NULL;
    struct utsname system = { 0 };
    int status;

    if (!g_spawn_sync(NULL, (char **)command, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, &said,
                      &status, &local_error)) {
        g_propagate_prefixed_error(error, g_steal_pointer(&local_error),
                                   "cannot load the driver " HVS_UIO_DRIVER ": ");
        return FALSE;
    }
    if (g_spawn_check_wait_status(status, NULL))
        return TRUE;
    uname(&system);
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED,
                "cannot load the driver " HVS_UIO_DRIVER ": %s (Ubuntu has it in "
                "linux-modules-extra-%s)",
                g_strchomp(said), system.release);
    return FALSE;
}

/* The attribute "bind" to that group. Devices of other classes than those that the driver knows
 * cannot be bound by it, whoever asks. */
static gboolean
give_bind(const struct hvs_roots *roots, gid_t group, mode_t mode, GError **error)
{
    g_autofree char *path = driver_path(roots, "bind");

    if (chown(path, (uid_t)-1, group) == 0 && chmod(path, mode) == 0)
        return TRUE;
    set_error(error, path, errno);
    return FALSE;
}

gboolean
hvs_vmbus_set_up(const struct hvs_roots *roots, GError **error)
{
    g_autofree char *bus = g_build_filename(roots->sys, "bus/vmbus", NULL);
    const struct group *group = getgrnam(HVS_SERVICE_GROUP);
    gboolean loaded = is_loaded(roots) || run_modprobe(error);
    int number;

    /* Where there is no driver for the channels, it is what remains. */
    load_hvsocket(roots);
    if (!loaded)
        return FALSE;
    if (!g_file_test(bus, G_FILE_TEST_IS_DIR)) {
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                            "no VMBus: this is not a Hyper-V guest");
        return FALSE;
    }
    number = hvs_vmbus_add_classes(roots);
    if (number != 0) {
        set_error(error, "cannot teach the driver " HVS_UIO_DRIVER " the classes of Enhanced "
                         "Session", number);
        return FALSE;
    }
    return group == NULL || give_bind(roots, group->gr_gid, BIND_GROUP_MODE, error);
}

gboolean
hvs_vmbus_clean_up(const struct hvs_roots *roots, GError **error)
{
    int number;

    if (!is_loaded(roots))
        return TRUE;
    /* What the driver does not know it does not bind: this comes first. */
    number = write_classes(roots, "remove_id", ENODEV);
    for (unsigned i = 0; i < HVS_CHANNELS; i++) {
        g_autofree char *device = hvs_vmbus_device_path(roots, i);
        int unbinding = write_device(roots, "unbind", device);

        if (number == 0 && unbinding != ENODEV) /* ENODEV: not there, or not bound */
            number = unbinding;
    }
    if (number != 0) {
        set_error(error, "cannot take the channels from the driver " HVS_UIO_DRIVER, number);
        return FALSE;
    }
    return give_bind(roots, 0, BIND_MODE, error);
}

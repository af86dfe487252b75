/* The probe's second part: the VMBus, its driver, who holds the control channel, and which
 * processes of ours run. */
#include "probe-parts.h"

#include "common/synthrdp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <uuid/uuid.h>

/* As in uio.h, which needs more than a reader of facts should. */
#define UIO_DRIVER "uio_hv_generic"
/* Names of processes as the kernel keeps them, at most 15 characters. */
#define SERVICE_PROCESS "hvsessiond"
#define XRDP_PROCESS    "xrdp"
/* Its unit's control group, as systemd has it. */
#define XRDP_EVENTS     "fs/cgroup/system.slice/xrdp.service/cgroup.events"
#define SERVICE_GROUP   "hvsession"
/* A record of /dev/kmsg is not longer (Linux CONSOLE_EXT_LOG_MAX). */
#define KMSG_RECORD_MAX 8192

/* ---- kernel and driver ---- */

/* Linux 6.10 was the first to signal channels without a monitor page. Enterprise kernels are old by
 * number only. */
static enum hvs_answer
is_recent(const char *release)
{
    unsigned major, minor;

    if (sscanf(release, "%u.%u", &major, &minor) != 2)
        return HVS_UNKNOWN;
    if (major > 6 || (major == 6 && minor >= 10))
        return HVS_YES;
    return strstr(release, ".el") != NULL ? HVS_UNKNOWN : HVS_NO;
}

static gboolean
mentions(struct hvs_probe *probe, const char *path, const char *string)
{
    g_autofree char *text = hvs_probe_read(probe, probe->roots->root, path);

    return text != NULL && strstr(text, string) != NULL;
}

static void
probe_driver(struct hvs_probe *probe)
{
    struct hvs_facts *facts = probe->facts;
    const struct hvs_roots *roots = probe->roots;
    g_autofree char *modules = g_build_filename("lib/modules", facts->kernel, NULL);
    g_autofree char *list = g_build_filename(modules, "modules.dep", NULL);
    g_autofree char *built_in = g_build_filename(modules, "modules.builtin", NULL);

    facts->kernel_recent = is_recent(facts->kernel);
    facts->uio_loaded =
        hvs_probe_answer(hvs_probe_exists(roots->sys, "bus/vmbus/drivers/" UIO_DRIVER) ||
                         hvs_probe_exists(roots->sys, "module/" UIO_DRIVER));
    /* Kernels without any modules have no such directory at all. */
    if (facts->kernel[0] != '\0' && hvs_probe_exists(roots->root, "lib/modules"))
        facts->kernel_modules = hvs_probe_answer(hvs_probe_exists(roots->root, list));
    if (facts->uio_loaded == HVS_YES)
        facts->uio_available = HVS_YES;
    else if (facts->kernel_modules == HVS_YES)
        facts->uio_available = hvs_probe_answer(mentions(probe, list, "/" UIO_DRIVER ".ko") ||
                                                mentions(probe, built_in, "/" UIO_DRIVER ".ko"));
}

/* What the driver core says of a probe that failed; its wording changed, its end did not. */
static void
judge_kernel_message(struct hvs_facts *facts, const char *record)
{
    g_auto(GStrv) lines = g_strsplit(record, "\n", -1);

    for (gsize i = 0; lines[i] != NULL; i++) {
        if (strstr(lines[i], UIO_DRIVER) == NULL)
            continue;
        if (g_str_has_suffix(lines[i], "failed with error -12"))
            facts->out_of_memory = HVS_YES;
        if (g_str_has_suffix(lines[i], "failed with error -524") ||
            strstr(lines[i], "vmbus channel requires hypercall") != NULL)
            facts->kernel_refuses = HVS_YES;
    }
}

static void
probe_kernel_messages(struct hvs_probe *probe)
{
    g_autofree char *path = g_build_filename(probe->roots->dev, "kmsg", NULL);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0) {
        probe->denied |= errno == EACCES || errno == EPERM;
        return;
    }
    probe->facts->out_of_memory = probe->facts->kernel_refuses = HVS_NO;
    for (;;) {
        char record[KMSG_RECORD_MAX + 1];
        ssize_t length = read(fd, record, KMSG_RECORD_MAX);

        if (length < 0 && errno == EPIPE)
            continue; /* overwritten meanwhile: the next read gives the oldest that is left */
        if (length <= 0)
            break;
        record[length] = '\0';
        judge_kernel_message(probe->facts, record);
    }
    close(fd);
}

/* ---- the control channel ---- */

/* Of that class? class_id is a GUID in braces. */
static gboolean
is_of_class(const char *class_id, const struct hvs_guid *class)
{
    char text[UUID_STR_LEN];
    uuid_t bytes;
    struct hvs_guid guid;

    if (strlen(class_id) != UUID_STR_LEN + 1 || class_id[0] != '{')
        return FALSE;
    g_strlcpy(text, class_id + 1, sizeof text);
    if (uuid_parse(text, bytes) != 0)
        return FALSE;
    guid = hvs_guid_from_bytes(bytes);
    return hvs_guid_equal(&guid, class);
}

/* Counts the data channels; returns the directory of the control channel, NULL if there is none. */
static char *
find_channels(struct hvs_probe *probe)
{
    g_autofree char *devices = g_build_filename(probe->roots->sys, "bus/vmbus/devices", NULL);
    g_autoptr(GDir) directory = g_dir_open(devices, 0, NULL);
    char *control = NULL;
    const char *name;

    while (directory != NULL && (name = g_dir_read_name(directory)) != NULL) {
        g_autofree char *device = g_build_filename(devices, name, NULL);
        g_autofree char *class_id = hvs_probe_read(probe, device, "class_id");

        if (class_id == NULL)
            continue;
        if (is_of_class(class_id, &hvs_synthrdp_data_class))
            probe->facts->data_channels++;
        if (control == NULL && is_of_class(class_id, &hvs_synthrdp_control_class))
            control = g_steal_pointer(&device);
    }
    return control;
}

static gboolean
is_bound(const char *device)
{
    g_autofree char *link = g_build_filename(device, "driver", NULL);
    g_autofree char *target = g_file_read_link(link, NULL);
    g_autofree char *driver = target != NULL ? g_path_get_basename(target) : NULL;

    return g_strcmp0(driver, UIO_DRIVER) == 0;
}

static void
find_node(struct hvs_facts *facts, const char *device)
{
    g_autofree char *path = g_build_filename(device, "uio", NULL);
    g_autoptr(GDir) directory = g_dir_open(path, 0, NULL);
    const char *name;

    while (directory != NULL && (name = g_dir_read_name(directory)) != NULL)
        if (g_regex_match_simple("^uio[0-9]{1,9}$", name, 0, 0))
            hvs_probe_set(facts->node, name);
}

/* The group's id from group(5); FALSE: no such group. */
static gboolean
find_group(struct hvs_probe *probe, const char *group, gid_t *id)
{
    g_autofree char *text = hvs_probe_read(probe, probe->roots->etc, "group");
    g_auto(GStrv) lines = g_strsplit(text != NULL ? text : "", "\n", -1);

    for (gsize i = 0; lines[i] != NULL; i++) {
        g_auto(GStrv) fields = g_strsplit(lines[i], ":", 4);
        guint64 number;

        if (g_strv_length(fields) == 4 && strcmp(fields[0], group) == 0 &&
            g_ascii_string_to_unsigned(fields[2], 10, 0, G_MAXUINT32, &number, NULL)) {
            *id = (gid_t)number;
            return TRUE;
        }
    }
    return FALSE;
}

/* May the service open it? Unknown if it is not installed, with its group. */
static void
probe_permission(struct hvs_probe *probe, const struct stat *node)
{
    gid_t group;

    if (find_group(probe, SERVICE_GROUP, &group))
        probe->facts->node_accessible =
            hvs_probe_answer((node->st_gid == group && (node->st_mode & 0060) == 0060) ||
                             (node->st_mode & 0006) == 0006);
}

/* ---- processes ---- */

/* The process that has locked the file, from /proc/locks; 0: none. Ours lock what they open. */
static guint32
find_lock(struct hvs_probe *probe, const struct stat *file)
{
    g_autofree char *text = hvs_probe_read(probe, probe->roots->proc, "locks");
    g_auto(GStrv) lines = g_strsplit(text != NULL ? text : "", "\n", -1);

    for (gsize i = 0; lines[i] != NULL; i++) {
        unsigned pid, major_number, minor_number;
        unsigned long inode;

        if (sscanf(lines[i], "%*u: FLOCK ADVISORY WRITE %u %x:%x:%lu", &pid, &major_number,
                   &minor_number, &inode) == 4 &&
            major_number == major(file->st_dev) && minor_number == minor(file->st_dev) &&
            inode == file->st_ino)
            return pid;
    }
    return 0;
}

/* Has the process that file open? FALSE, too, where nobody lets us see. */
static gboolean
has_open(struct hvs_probe *probe, const char *process, const char *file)
{
    g_autofree char *path = g_build_filename(process, "fd", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(GDir) directory = g_dir_open(path, 0, &error);
    gboolean found = FALSE;
    const char *name;

    if (g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_ACCES))
        probe->denied = TRUE;
    while (directory != NULL && !found && (name = g_dir_read_name(directory)) != NULL) {
        g_autofree char *link = g_build_filename(path, name, NULL);
        g_autofree char *target = g_file_read_link(link, NULL);

        found = g_strcmp0(target, file) == 0;
    }
    return found;
}

struct processes {
    gboolean service; /* ours is among them */
    gboolean whole;   /* we see those of others */
    guint32 holder;   /* has the file open and is not ours; 0: none seen */
};

/* One walk through /proc. node: the path of a file whose holder is wanted, NULL: of none. */
static void
walk_processes(struct hvs_probe *probe, const char *node, struct processes *found)
{
    g_autoptr(GDir) directory = g_dir_open(probe->roots->proc, 0, NULL);
    const char *name;

    while (directory != NULL && (name = g_dir_read_name(directory)) != NULL) {
        g_autofree char *process = g_build_filename(probe->roots->proc, name, NULL);
        g_autofree char *comm = NULL;
        guint64 pid;
        gboolean is_service;

        if (!g_ascii_string_to_unsigned(name, 10, 1, G_MAXUINT32, &pid, NULL))
            continue;
        comm = hvs_probe_read(probe, process, "comm");
        is_service = g_strcmp0(comm, SERVICE_PROCESS) == 0;
        found->service |= is_service;
        found->whole |= pid == 1 && comm != NULL;
        probe->xrdp_running |= g_strcmp0(comm, XRDP_PROCESS) == 0;
        if (node != NULL && !is_service && found->holder == 0 && has_open(probe, process, node))
            found->holder = (guint32)pid;
    }
}

/* The service's unit hides other users' processes from it (ProtectProc=); their control groups are
 * there to be seen. */
static gboolean
is_xrdp_unit_running(struct hvs_probe *probe)
{
    g_autofree char *events = hvs_probe_read(probe, probe->roots->sys, XRDP_EVENTS);

    return events != NULL && strstr(events, "populated 1") != NULL;
}

static void
set_holder(struct hvs_probe *probe, guint32 pid)
{
    struct hvs_facts *facts = probe->facts;
    g_autofree char *path = g_strdup_printf("%" G_GUINT32_FORMAT "/comm", pid);
    g_autofree char *comm = hvs_probe_read(probe, probe->roots->proc, path);

    facts->channel_held = hvs_probe_answer(g_strcmp0(comm, SERVICE_PROCESS) != 0);
    if (facts->channel_held == HVS_YES) {
        facts->holder_pid = pid;
        hvs_probe_set(facts->holder_name, comm);
    }
}

static void
probe_processes(struct hvs_probe *probe)
{
    struct hvs_facts *facts = probe->facts;
    g_autofree char *node =
        facts->node[0] != '\0' ? g_build_filename(probe->roots->dev, facts->node, NULL) : NULL;
    struct processes found = { 0 };
    struct stat status;
    guint32 locker = 0;

    if (node != NULL && stat(node, &status) == 0) {
        probe_permission(probe, &status);
        locker = find_lock(probe, &status);
    }
    /* Who has locked it need not be looked for. */
    walk_processes(probe, locker == 0 ? node : NULL, &found);
    if (!found.whole)
        probe->xrdp_running |= is_xrdp_unit_running(probe);
    if (found.service || found.whole)
        facts->service_running = hvs_probe_answer(found.service);
    if (locker != 0 || found.holder != 0)
        set_holder(probe, locker != 0 ? locker : found.holder);
    else if (node != NULL && !probe->denied)
        facts->channel_held = HVS_NO;
    /* It has the channel open: whatever the permissions look like, they let it. */
    if (locker != 0 && facts->channel_held == HVS_NO)
        facts->node_accessible = HVS_YES;
}

void
hvs_probe_channels(struct hvs_probe *probe)
{
    struct hvs_facts *facts = probe->facts;
    g_autofree char *control = NULL;

    probe_driver(probe);
    if (facts->vmbus == HVS_YES) {
        control = find_channels(probe);
        facts->control_offered = hvs_probe_answer(control != NULL);
    }
    if (control != NULL) {
        facts->channels_monitored = hvs_probe_answer(hvs_probe_exists(control, "monitor_id"));
        facts->control_bound = hvs_probe_answer(is_bound(control));
        if (facts->control_bound == HVS_YES)
            find_node(facts, control);
        else
            probe_kernel_messages(probe);
    }
    probe_processes(probe);
}

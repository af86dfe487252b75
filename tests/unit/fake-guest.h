/* A Linux guest made of files, below a temporary directory: a fine one, to be spoilt by a test. */
#ifndef HVS_TESTS_FAKE_GUEST_H
#define HVS_TESTS_FAKE_GUEST_H

#include "linux/kvp.h"
#include "linux/roots.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define GUEST_KERNEL       "6.12.43+deb12-amd64"
#define GUEST_CONTROL      "sys/bus/vmbus/devices/99221fa0-24ad-11e2-be98-001aa01bbf6e"
#define GUEST_DATA         "sys/bus/vmbus/devices/99221fa1-24ad-11e2-be98-001aa01bbf6e"
#define GUEST_CLASS        "{f8e65716-3cb3-4a06-9a60-1889c5cccab5}\n"
#define GUEST_DATA_CLASS   "{f9e9c0d3-b511-4a48-8046-d38079a8830c}\n"
#define GUEST_SERVICE_PID  "612"
#define GUEST_XORG_DRIVERS "usr/lib/xorg/modules/drivers/"
/* As the kernel prints them: 0.0.0.0:3389 listens, 127.0.0.1:3390 is connected. */
#define GUEST_TCP                                                                     \
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid" \
    "  timeout inode\n"                                                               \
    "   0: 00000000:0D3D 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0" \
    "        0 20571 1 0000000000000000 100 0 0 10 0\n"                               \
    "   1: 0100007F:0D3E 0100007F:A1B2 01 00000000:00000000 00:00000000 00000000     0" \
    "        0 20572 1 0000000000000000 20 4 30 10 -1\n"
#define GUEST_UNIX                                                      \
    "Num       RefCount Protocol Flags    Type St Inode Path\n"         \
    "0000000000000000: 00000002 00000000 00010000 0001 01 19837 /run/dbus/system_bus_socket\n" \
    "0000000000000000: 00000003 00000000 00000000 0001 03 22222\n"                           \
    "0000000000000000: 00000003 00000000 00000000 0001 03 22223 /run/connected\n"

struct guest {
    char            *directory;
    char            *paths[5];
    struct hvs_roots roots;
};

static inline char *
guest_path(const struct guest *guest, const char *path)
{
    return g_build_filename(guest->directory, path, NULL);
}

static inline void
guest_write_bytes(const struct guest *guest, const char *path, const void *bytes, gsize length)
{
    g_autofree char *file = guest_path(guest, path);
    g_autofree char *directory = g_path_get_dirname(file);
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(g_mkdir_with_parents(directory, 0755), ==, 0);
    g_file_set_contents(file, bytes, (gssize)length, &error);
    g_assert_no_error(error);
    g_assert_cmpint(g_chmod(file, 0644), ==, 0);
}

static inline void
guest_write(const struct guest *guest, const char *path, const char *text)
{
    guest_write_bytes(guest, path, text, strlen(text));
}

static inline void
guest_make_directory(const struct guest *guest, const char *path)
{
    g_autofree char *directory = guest_path(guest, path);

    g_assert_cmpint(g_mkdir_with_parents(directory, 0755), ==, 0);
}

static inline void
guest_link(const struct guest *guest, const char *path, const char *target)
{
    g_autofree char *link = guest_path(guest, path);
    g_autofree char *directory = g_path_get_dirname(link);

    g_assert_cmpint(g_mkdir_with_parents(directory, 0755), ==, 0);
    g_assert_cmpint(symlink(target, link), ==, 0);
}

static inline void
guest_chmod(const struct guest *guest, const char *path, mode_t mode)
{
    g_autofree char *file = guest_path(guest, path);

    g_assert_cmpint(g_chmod(file, mode), ==, 0);
}

static inline void
guest_remove_tree(const char *path)
{
    g_autoptr(GDir) directory = NULL;
    const char *name;

    if (!g_file_test(path, G_FILE_TEST_IS_SYMLINK))
        directory = g_dir_open(path, 0, NULL);
    while (directory != NULL && (name = g_dir_read_name(directory)) != NULL) {
        g_autofree char *entry = g_build_filename(path, name, NULL);

        guest_remove_tree(entry);
    }
    g_assert_cmpint(g_remove(path), ==, 0);
}

static inline void
guest_remove(const struct guest *guest, const char *path)
{
    g_autofree char *file = guest_path(guest, path);

    guest_remove_tree(file);
}

static inline void
guest_write_kvp(const struct guest *guest)
{
    char pool[2 * HVS_KVP_RECORD_SIZE] = { 0 };

    strcpy(pool, "HostName");
    strcpy(pool + HVS_KVP_KEY_SIZE, "HV01");
    strcpy(pool + HVS_KVP_RECORD_SIZE, "VirtualMachineName");
    strcpy(pool + HVS_KVP_RECORD_SIZE + HVS_KVP_KEY_SIZE, "Build 7");
    guest_write_bytes(guest, "var/lib/hyperv/.kvp_pool_3", pool, sizeof pool);
}

/* A module of Xorg, so far as its version goes. */
static inline void
guest_write_xorg_module(const struct guest *guest, const char *name, guint16 abi)
{
    const struct {
        char padding[256];
        const void *names[2];
        guint32 magic[2];
        guint32 versions[2];
        const void *abi_class;
        guint32 abi_version;
    } module = { .magic = { 0xef23fdc5, 0x10dc023a }, .abi_version = (guint32)abi << 16 | 2 };
    g_autofree char *path = g_strconcat(GUEST_XORG_DRIVERS, name, NULL);

    guest_write_bytes(guest, path, &module, sizeof module);
}

/* The process has that file locked, as flock(2) shows it. */
static inline void
guest_lock(const struct guest *guest, const char *pid, const char *path)
{
    g_autofree char *file = guest_path(guest, path);
    g_autofree char *locks = NULL;
    struct stat status;

    g_assert_cmpint(stat(file, &status), ==, 0);
    locks = g_strdup_printf("1: POSIX  ADVISORY  WRITE 33 00:1a:2 0 EOF\n"
                            "2: FLOCK  ADVISORY  WRITE %s %02x:%02x:%lu 0 EOF\n",
                            pid, major(status.st_dev), minor(status.st_dev),
                            (unsigned long)status.st_ino);
    guest_write(guest, "proc/locks", locks);
}

/* As its kernel shows who listens on TCP; port 0: nobody. */
static inline void
guest_set_listener(const struct guest *guest, guint port)
{
    g_autofree char *table = g_strdup_printf("  sl  local_address rem_address   st\n"
                                             "   0: 00000000:%04X 00000000:0000 0A\n",
                                             port);

    guest_write(guest, "proc/net/tcp", table);
}

static inline void
guest_make_system(const struct guest *guest)
{
    g_autofree char *node = guest_path(guest, "dev/uio0");

    guest_write(guest, "etc/os-release",
                "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\n");
    guest_write(guest, "proc/sys/kernel/osrelease", GUEST_KERNEL "\n");
    guest_write(guest, "proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu hypervisor lahf_lm\n");
    guest_write(guest, "proc/1/comm", "systemd\n");
    guest_make_directory(guest, "proc/1/fd");
    guest_write(guest, "proc/" GUEST_SERVICE_PID "/comm", "hvsessiond\n");
    guest_link(guest, "proc/" GUEST_SERVICE_PID "/fd/3", node);
    guest_write(guest, "sys/class/dmi/id/sys_vendor", "Microsoft Corporation\n");
    guest_write(guest, "sys/class/dmi/id/product_name", "Virtual Machine\n");
    guest_write(guest, "lib/modules/" GUEST_KERNEL "/modules.dep",
                "kernel/drivers/uio/uio.ko:\n"
                "kernel/drivers/uio/uio_hv_generic.ko: kernel/drivers/uio/uio.ko\n");
    guest_write(guest, "lib/modules/" GUEST_KERNEL "/modules.builtin", "");
    guest_write_kvp(guest);
}

static inline void
guest_make_channels(const struct guest *guest)
{
    g_autofree char *groups =
        g_strdup_printf("root:x:0:\nhvsession:x:%lu:\n", (unsigned long)getegid());

    guest_write(guest, "etc/group", groups);
    guest_make_directory(guest, "sys/bus/vmbus/drivers/uio_hv_generic");
    guest_write(guest, "sys/bus/vmbus/devices/other/class_id",
                "{57164f39-9115-4e78-ab55-382f3bd5422d}\n");
    guest_write(guest, GUEST_CONTROL "/class_id", GUEST_CLASS);
    guest_link(guest, GUEST_CONTROL "/driver", "../../drivers/uio_hv_generic");
    guest_make_directory(guest, GUEST_CONTROL "/uio/uio0");
    guest_write(guest, GUEST_DATA "/class_id", GUEST_DATA_CLASS);
    guest_write(guest, "dev/uio0", "");
    guest_chmod(guest, "dev/uio0", 0660);
    guest_lock(guest, GUEST_SERVICE_PID, "dev/uio0");
}

static inline void
guest_make_server(const struct guest *guest)
{
    guest_write(guest, "proc/700/comm", "xrdp\n");
    guest_make_directory(guest, "proc/700/fd");
    guest_write(guest, "proc/net/tcp", GUEST_TCP);
    guest_write(guest, "proc/net/tcp6", "  sl  local_address\n");
    guest_write(guest, "proc/net/unix", GUEST_UNIX);
    guest_write(guest, "usr/sbin/xrdp", "");
    guest_write(guest, "etc/xrdp/xrdp.ini",
                "[Globals]\nport=3389\nuse_vsock=false\nsecurity_layer=rdp\ncrypt_level=none\n");
    guest_write_xorg_module(guest, "xrdpdev_drv.so", 25);
    guest_write_xorg_module(guest, "modesetting_drv.so", 25);
    guest_write(guest, "usr/share/xsessions/xfce.desktop", "");
    guest_write(guest, "usr/bin/pipewire", "");
    guest_write(guest, "usr/lib/x86_64-linux-gnu/pipewire-0.3/libpipewire-module-xrdp.so", "");
    guest_make_directory(guest, "run/systemd/sessions");
}

/* All is well with it. */
static inline void
guest_init(struct guest *guest)
{
    static const char *const names[] = { "sys", "dev", "run", "etc", "proc" };
    g_autoptr(GError) error = NULL;

    guest->directory = g_dir_make_tmp("hvs-guest-XXXXXX", &error);
    g_assert_no_error(error);
    g_assert_cmpint(g_chmod(guest->directory, 0755), ==, 0);
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
        guest->paths[i] = guest_path(guest, names[i]);
    guest->roots = (struct hvs_roots){
        .sys = guest->paths[0],
        .dev = guest->paths[1],
        .run = guest->paths[2],
        .etc = guest->paths[3],
        .proc = guest->paths[4],
        .root = guest->directory,
    };
    guest_make_system(guest);
    guest_make_channels(guest);
    guest_make_server(guest);
}

static inline void
guest_clear(struct guest *guest)
{
    guest_remove_tree(guest->directory);
    g_free(guest->directory);
    for (gsize i = 0; i < G_N_ELEMENTS(guest->paths); i++)
        g_free(guest->paths[i]);
}

#endif

/* linux/uio.c against trees of plain files in the place of /sys and /dev. */
#include "linux/uio.h"
#include "linux/vmbus.h"
#include "linux/offers.h"
#include "naive-host.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/stat.h>

/* As the kernel has it: 17 pages each way. */
#define RING_DATA 65536u
#define MAP_SIZE  (2 * (NAIVE_PAGE + RING_DATA))
#define RELID     "14"

/* Of linux/offers.c, which is not here. */
G_DEFINE_QUARK(hvs-offers-error-quark, hvs_offers_error)

struct fixture {
    char *root;
    char *device;
    char *dev;
    struct hvs_roots roots;
    unsigned descriptors;
};

static char *
in_device(const struct fixture *fixture, const char *name)
{
    return g_build_filename(fixture->device, name, NULL);
}

static void
make_directory(const struct fixture *fixture, const char *name)
{
    g_autofree char *path = in_device(fixture, name);

    g_assert_cmpint(g_mkdir_with_parents(path, 0755), ==, 0);
}

static void
set_attribute(const struct fixture *fixture, const char *name, const char *value)
{
    g_autofree char *path = in_device(fixture, name);

    g_assert_true(g_file_set_contents(path, value, -1, NULL));
}

static void
set_driver(const struct fixture *fixture, const char *driver)
{
    g_autofree char *path = in_device(fixture, "driver");
    g_autofree char *target = g_strdup_printf("../drivers/%s", driver);

    unlink(path);
    g_assert_cmpint(symlink(target, path), ==, 0);
}

static char *
node_path(const struct fixture *fixture, const char *node)
{
    return g_build_filename(fixture->dev, node, NULL);
}

/* What the driver's probe makes; size as sysfs writes it. */
static void
add_node(const struct fixture *fixture, const char *node, const char *size)
{
    g_autofree char *map = g_strdup_printf("uio/%s/maps/map0", node);
    g_autofree char *attribute = g_strdup_printf("%s/size", map);
    g_autofree char *path = node_path(fixture, node);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    g_assert_cmpint(ftruncate(fd, MAP_SIZE), ==, 0);
    close(fd);
    make_directory(fixture, map);
    set_attribute(fixture, attribute, size);
}

static void
remove_tree(const char *path)
{
    g_autoptr(GDir) directory = g_dir_open(path, 0, NULL);
    const char *name;

    while (directory != NULL && (name = g_dir_read_name(directory)) != NULL) {
        g_autofree char *child = g_build_filename(path, name, NULL);

        if (g_file_test(child, G_FILE_TEST_IS_SYMLINK) || !g_file_test(child, G_FILE_TEST_IS_DIR))
            unlink(child);
        else
            remove_tree(child);
    }
    rmdir(path);
}

/* A device that is bound and can be opened. */
static void
set_up(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    fixture->descriptors = count_descriptors();
    fixture->root = g_dir_make_tmp("uio-XXXXXX", NULL);
    chmod(fixture->root, 0755);
    fixture->device = g_build_filename(fixture->root, "sys/device", NULL);
    fixture->dev = g_build_filename(fixture->root, "dev", NULL);
    fixture->roots = (struct hvs_roots){ .sys = "/nonexistent", .dev = fixture->dev };
    g_assert_cmpint(g_mkdir_with_parents(fixture->dev, 0755), ==, 0);
    make_directory(fixture, "channels/" RELID);
    set_attribute(fixture, "id", RELID "\n");
    set_driver(fixture, HVS_UIO_DRIVER);
    add_node(fixture, "uio3", "0x22000\n");
}

static void
tear_down(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    g_assert_cmpuint(count_descriptors(), ==, fixture->descriptors);
    remove_tree(fixture->root);
    g_free(fixture->root);
    g_free(fixture->device);
    g_free(fixture->dev);
}

/* ---- ready ---- */

static void
test_ready(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    g_assert_true(hvs_uio_is_bound(fixture->device));
    g_assert_true(hvs_uio_is_ready(fixture->device));
}

static void
test_no_driver(struct fixture *fixture, gconstpointer data)
{
    g_autofree char *link = in_device(fixture, "driver");

    (void)data;
    unlink(link);
    g_assert_false(hvs_uio_is_bound(fixture->device));
    g_assert_false(hvs_uio_is_ready(fixture->device));
}

static void
test_other_driver(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    set_driver(fixture, "uio_hv_generic2");
    g_assert_false(hvs_uio_is_bound(fixture->device));
    g_assert_false(hvs_uio_is_ready(fixture->device));
}

/* The kernel makes it behind the probe. */
static void
test_no_channel_yet(struct fixture *fixture, gconstpointer data)
{
    g_autofree char *path = in_device(fixture, "channels/" RELID);

    (void)data;
    rmdir(path);
    g_assert_true(hvs_uio_is_bound(fixture->device));
    g_assert_false(hvs_uio_is_ready(fixture->device));
    make_directory(fixture, "channels/1" RELID);
    g_assert_false(hvs_uio_is_ready(fixture->device));
}

static void
test_no_id(struct fixture *fixture, gconstpointer data)
{
    static const char *const values[] = { "", "\n", "x14\n", "14x\n", "99999999999999999999999\n" };
    g_autofree char *path = in_device(fixture, "id");

    (void)data;
    for (unsigned i = 0; i < G_N_ELEMENTS(values); i++) {
        set_attribute(fixture, "id", values[i]);
        g_assert_false(hvs_uio_is_ready(fixture->device));
    }
    unlink(path);
    g_assert_false(hvs_uio_is_ready(fixture->device));
}

static void
test_no_device(struct fixture *fixture, gconstpointer data)
{
    g_autofree char *device = in_device(fixture, "gone");

    (void)data;
    g_assert_false(hvs_uio_is_bound(device));
    g_assert_false(hvs_uio_is_ready(device));
}

/* Stands for a probe that holds the device's lock, and fails in the end. */
static gpointer
fail_probe(gpointer data)
{
    const struct fixture *fixture = data;
    g_autofree char *lock = in_device(fixture, "driver_override");
    g_autofree char *link = in_device(fixture, "driver");
    int fd = open(lock, O_WRONLY | O_CLOEXEC); /* returns when somebody waits for us */

    g_assert_cmpint(fd, >=, 0);
    unlink(link);
    close(fd);
    return NULL;
}

static void
test_waits_for_probe(struct fixture *fixture, gconstpointer data)
{
    g_autofree char *lock = in_device(fixture, "driver_override");
    GThread *probe;

    (void)data;
    g_assert_cmpint(mkfifo(lock, 0600), ==, 0);
    probe = g_thread_new("probe", fail_probe, fixture);
    g_assert_false(hvs_uio_is_bound(fixture->device));
    g_thread_join(probe);
}

/* ---- open ---- */

static struct hvs_channel
open_channel(const struct fixture *fixture)
{
    struct hvs_channel channel;
    g_autoptr(GError) error = NULL;

    hvs_uio_open(&fixture->roots, fixture->device, &channel, &error);
    g_assert_no_error(error);
    return channel;
}

/* The message is checked for what it is about, and for what to do. */
static void
assert_fails(const struct fixture *fixture, enum hvs_offers_error code, const char *about,
             const char *advice)
{
    struct hvs_channel channel = { .fd = -1 };
    g_autoptr(GError) error = NULL;
    unsigned descriptors = count_descriptors();

    g_assert_false(hvs_uio_open(&fixture->roots, fixture->device, &channel, &error));
    g_assert_error(error, HVS_OFFERS_ERROR, (int)code);
    if (strstr(error->message, about) == NULL || strstr(error->message, advice) == NULL)
        g_error("\"%s\" has no \"%s\" or \"%s\"", error->message, about, advice);
    g_assert_cmpint(channel.fd, ==, -1);
    g_assert_cmpuint(count_descriptors(), ==, descriptors);
}

static void
test_open(struct fixture *fixture, gconstpointer data)
{
    struct hvs_channel channel = open_channel(fixture);
    g_autofree char *node = node_path(fixture, "uio3");
    g_autofree char *opened_path = g_strdup_printf("/proc/self/fd/%d", channel.fd);
    g_autofree char *opened = g_file_read_link(opened_path, NULL);

    (void)data;
    g_assert_cmpstr(opened, ==, node);
    g_assert_cmpint(fcntl(channel.fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK), ==, O_RDWR | O_NONBLOCK);
    g_assert_cmpint(fcntl(channel.fd, F_GETFD), ==, FD_CLOEXEC);
    g_assert_cmpuint(channel.map_size, ==, MAP_SIZE);
    g_assert_cmpuint(channel.out.size, ==, RING_DATA);
    g_assert_cmpuint(channel.in.size, ==, RING_DATA);
    g_assert_null(channel.monitor_pending);
    hvs_channel_close(&channel);
}

static uint32_t
word_in_node(const struct fixture *fixture, size_t offset)
{
    g_autofree char *path = node_path(fixture, "uio3");
    uint32_t word = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    g_assert_cmpint(pread(fd, &word, sizeof word, (off_t)offset), ==, sizeof word);
    close(fd);
    return word;
}

/* What is written to the mapping is in the device: guest → host ring first. */
static void
test_mapping_is_shared(struct fixture *fixture, gconstpointer data)
{
    struct hvs_channel channel = open_channel(fixture);

    (void)data;
    memcpy(channel.out.data, "out!", 4);
    memcpy(channel.in.data, "in!!", 4);
    g_assert_cmphex(word_in_node(fixture, NAIVE_PAGE), ==, 0x2174756f);
    g_assert_cmphex(word_in_node(fixture, MAP_SIZE / 2 + NAIVE_PAGE), ==, 0x21216e69);
    hvs_channel_close(&channel);
}

static void
test_signal_by_write(struct fixture *fixture, gconstpointer data)
{
    struct hvs_channel channel = open_channel(fixture);

    (void)data;
    g_assert_true(hvs_channel_signal(&channel));
    g_assert_cmpint(lseek(channel.fd, 0, SEEK_CUR), ==, 4);
    g_assert_cmpuint(word_in_node(fixture, 0), ==, 1);
    hvs_channel_close(&channel);
}

/* A new offer has another node, with another size. */
static void
test_renumbered(struct fixture *fixture, gconstpointer data)
{
    g_autofree char *old_node = node_path(fixture, "uio3");
    g_autofree char *old_entry = in_device(fixture, "uio/uio3");
    struct hvs_channel channel = open_channel(fixture);

    (void)data;
    hvs_channel_close(&channel);
    unlink(old_node);
    remove_tree(old_entry);
    assert_fails(fixture, HVS_OFFERS_ERROR_GONE, "opening", "");

    add_node(fixture, "uio12", "0x00000000000a000\n");
    channel = open_channel(fixture);
    g_assert_cmpuint(channel.map_size, ==, 0xa000);
    g_assert_cmpuint(channel.in.size, ==, 0x4000);
    hvs_channel_close(&channel);
}

static void
test_no_node(struct fixture *fixture, gconstpointer data)
{
    g_autofree char *node = node_path(fixture, "uio3");

    (void)data;
    unlink(node);
    assert_fails(fixture, HVS_OFFERS_ERROR_GONE, node, "No such file");
}

static void
test_size_gone(struct fixture *fixture, gconstpointer data)
{
    g_autofree char *path = in_device(fixture, "uio/uio3/maps/map0/size");

    (void)data;
    unlink(path);
    assert_fails(fixture, HVS_OFFERS_ERROR_GONE, "reading the ring size", "/uio3");
}

/* The last one: two rings of a page and 3 bytes. */
static void
test_bad_size(struct fixture *fixture, gconstpointer data)
{
    static const char *const sizes[] = { "0x1000\n", "0x2000\n", "0x3000\n", "0x4006\n" };

    (void)data;
    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        set_attribute(fixture, "uio/uio3/maps/map0/size", sizes[i]);
        assert_fails(fixture, HVS_OFFERS_ERROR_FAILED, "/uio3", "does not hold two sound rings");
    }
}

static void
test_bad_indices(struct fixture *fixture, gconstpointer data)
{
    g_autofree char *node = node_path(fixture, "uio3");
    const uint32_t index = RING_DATA;
    int fd = open(node, O_WRONLY | O_CLOEXEC);

    (void)data;
    g_assert_cmpint(pwrite(fd, &index, sizeof index, MAP_SIZE / 2), ==, sizeof index);
    close(fd);
    assert_fails(fixture, HVS_OFFERS_ERROR_FAILED, "/uio3", "does not hold two sound rings");
}

static void
test_no_memory(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    set_attribute(fixture, "uio/uio3/maps/map0/size", "0x7ffffffffffff000\n");
    assert_fails(fixture, HVS_OFFERS_ERROR_MEMORY, "/uio3", "/proc/sys/vm/compact_memory");
}

/* Root may open everything: it has to be somebody else for a moment. */
static void
test_denied(struct fixture *fixture, gconstpointer data)
{
    g_autofree char *node = node_path(fixture, "uio3");
    uid_t user = geteuid();

    (void)data;
    chmod(node, 0);
    if (user == 0 && seteuid(65534) != 0) {
        g_test_skip("root that cannot become somebody else is never denied");
        return;
    }
    assert_fails(fixture, HVS_OFFERS_ERROR_DENIED, node, "udev rule");
    g_assert_cmpint(seteuid(user), ==, 0);
}

static void
test_in_use(struct fixture *fixture, gconstpointer data)
{
    struct hvs_channel first = open_channel(fixture), second;

    (void)data;
    memcpy(first.out.data, "mine", 4);
    assert_fails(fixture, HVS_OFFERS_ERROR_IN_USE, "/uio3", "second hvsessiond");
    naive_assert_same(first.out.data, "mine", 4);
    hvs_channel_close(&first);
    second = open_channel(fixture);
    hvs_channel_close(&second);
}

static void
test_not_a_device(struct fixture *fixture, gconstpointer data)
{
    g_autofree char *node = node_path(fixture, "uio3");

    (void)data;
    unlink(node);
    g_assert_cmpint(g_mkdir(node, 0755), ==, 0);
    assert_fails(fixture, HVS_OFFERS_ERROR_FAILED, node, "directory");
}

/* ---- monitored channels ---- */

/* [TLFS] HV_MONITOR_PAGE: the pending word of group g at 8 + 8 g; map 2 begins at two pages. */
static void
test_monitored(struct fixture *fixture, gconstpointer data)
{
    static const struct {
        const char *id;
        size_t offset;
        uint32_t bit;
    } cases[] = {
        { "0\n", 8, 1u },         { "31\n", 8, 1u << 31 }, { "32\n", 16, 1u },
        { "77\n", 24, 1u << 13 }, { "96\n", 32, 1u },      { "127\n", 32, 1u << 31 },
    };

    (void)data;
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        size_t offset = 2 * NAIVE_PAGE + cases[i].offset;
        struct hvs_channel channel;

        set_attribute(fixture, "monitor_id", cases[i].id);
        channel = open_channel(fixture);
        g_assert_cmpuint(channel.monitor_map_size, ==, NAIVE_PAGE);
        for (size_t other = 0; other < 48; other += 4)
            ((uint32_t *)channel.monitor_map)[other / 4] = 0x00500a00;
        g_assert_true(hvs_channel_signal(&channel));
        for (size_t at = 2 * NAIVE_PAGE; at < 2 * NAIVE_PAGE + 48; at += 4)
            g_assert_cmphex(word_in_node(fixture, at), ==,
                            0x00500a00 | (at == offset ? cases[i].bit : 0));
        g_assert_cmpint(lseek(channel.fd, 0, SEEK_CUR), ==, 0); /* and nothing was written to it */
        hvs_channel_close(&channel);
    }
}

static void
test_monitor_out_of_range(struct fixture *fixture, gconstpointer data)
{
    static const char *const ids[] = { "128\n", "255\n", "4294967296\n", "-1\n" };

    (void)data;
    for (unsigned i = 0; i < G_N_ELEMENTS(ids); i++) {
        set_attribute(fixture, "monitor_id", ids[i]);
        assert_fails(fixture, HVS_OFFERS_ERROR_FAILED, "monitor_id", "/uio3");
    }
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*test)(struct fixture *, gconstpointer);
    } tests[] = {
        { "/uio/ready/bound-with-channel", test_ready },
        { "/uio/ready/no-driver", test_no_driver },
        { "/uio/ready/other-driver", test_other_driver },
        { "/uio/ready/no-channel-yet", test_no_channel_yet },
        { "/uio/ready/no-id", test_no_id },
        { "/uio/ready/no-device", test_no_device },
        { "/uio/ready/waits-for-probe", test_waits_for_probe },
        { "/uio/open/descriptor-and-rings", test_open },
        { "/uio/open/mapping-is-shared", test_mapping_is_shared },
        { "/uio/open/signal-by-write", test_signal_by_write },
        { "/uio/open/renumbered", test_renumbered },
        { "/uio/open/no-node", test_no_node },
        { "/uio/open/size-gone", test_size_gone },
        { "/uio/open/bad-size", test_bad_size },
        { "/uio/open/bad-indices", test_bad_indices },
        { "/uio/open/no-memory", test_no_memory },
        { "/uio/open/denied", test_denied },
        { "/uio/open/in-use", test_in_use },
        { "/uio/open/not-a-device", test_not_a_device },
        { "/uio/monitor/bit", test_monitored },
        { "/uio/monitor/out-of-range", test_monitor_out_of_range },
    };

    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, struct fixture, NULL, set_up, tests[i].test, tear_down);
    return g_test_run();
}

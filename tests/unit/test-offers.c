/* linux/offers.c on a VMBus in umockdev's test bed. The test is the kernel: it makes the files that
 * a probe makes, sends the events, and answers what is written to the driver's attributes.
 */
#include "linux/offers.h"
#include "common/synthrdp.h"
#include "linux/uio.h"
#include "naive-host.h"
#include "virtual-clock.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/stat.h>
#include <umockdev.h>

#define KERNEL_ENOTSUPP 524
#define MAP_SIZE        (2 * (NAIVE_PAGE + 65536))
/* Longer than anything that is on its way takes. */
#define SETTLING_TIME 1000
#define MEMORY_PAUSE  30000

struct fixture {
    UMockdevTestbed *bed;
    char *sys, *dev;
    struct hvs_roots roots;
    hvs_offers *offers;
    GString *told;     /* "+1": offered, "-1": rescinded, "problem", "fine" */
    char *problem;     /* the last one */
    GString *written;  /* to the driver's attributes, "bind=99221fa0-…" */
    int new_id_answer; /* errno values */
    int bind_answer;
    bool binds;   /* bind without an error does it */
    bool forbids; /* to open nodes */
    bool rescans; /* callbacks look again */
    unsigned next_node, relids, relid[HVS_CHANNELS];
};

static struct fixture *current; /* for __wrap_write() */

static const char *const instances[HVS_CHANNELS] = {
    "99221fa0-24ad-11e2-be98-001aa01bbf6e", "99221fa1-24ad-11e2-be98-001aa01bbf6e",
    "99221fa2-24ad-11e2-be98-001aa01bbf6e", "99221fa3-24ad-11e2-be98-001aa01bbf6e",
    "99221fa4-24ad-11e2-be98-001aa01bbf6e", "99221fa5-24ad-11e2-be98-001aa01bbf6e",
};

#define NEW_IDS                                                                                    \
    "new_id=f8e65716-3cb3-4a06-9a60-1889c5cccab5 new_id=f9e9c0d3-b511-4a48-8046-d38079a8830c "

/* ---- the kernel ---- */

static char *
sys_path(const struct fixture *fixture, const char *path)
{
    return g_build_filename(fixture->sys, path, NULL);
}

static void
make_directory(const struct fixture *fixture, const char *path)
{
    g_autofree char *full = sys_path(fixture, path);

    g_assert_cmpint(g_mkdir_with_parents(full, 0755), ==, 0);
}

static void
set_attribute(const struct fixture *fixture, const char *path, const char *value)
{
    g_autofree char *full = sys_path(fixture, path);

    g_assert_true(g_file_set_contents(full, value, -1, NULL));
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

static void
load_bus(const struct fixture *fixture)
{
    make_directory(fixture, "bus/vmbus/devices");
    make_directory(fixture, "bus/vmbus/drivers");
}

static void
load_driver(const struct fixture *fixture)
{
    make_directory(fixture, "bus/vmbus/drivers/uio_hv_generic");
    set_attribute(fixture, "bus/vmbus/drivers/uio_hv_generic/new_id", "");
    set_attribute(fixture, "bus/vmbus/drivers/uio_hv_generic/bind", "");
}

static void
send_event(const struct fixture *fixture, const char *name, const char *action)
{
    g_autofree char *path = g_strdup_printf("/sys/devices/%s", name);

    umockdev_testbed_uevent(fixture->bed, path, action);
}

static void
add_named_device(struct fixture *fixture, const char *subsystem, const char *name)
{
    g_autofree char *path =
        umockdev_testbed_add_device(fixture->bed, subsystem, name, NULL, NULL, NULL);

    g_assert_nonnull(path);
}

/* Registers the device; the driver does not have it yet. */
static void
register_device(struct fixture *fixture, unsigned channel)
{
    g_autofree char *target = g_strdup_printf("../../../devices/%s", instances[channel]);
    g_autofree char *link = g_strdup_printf("bus/vmbus/devices/%s", instances[channel]);
    g_autofree char *full = sys_path(fixture, link);
    g_autofree char *id = g_strdup_printf("devices/%s/id", instances[channel]);
    g_autofree char *relid = g_strdup_printf("%u\n", ++fixture->relids);

    fixture->relid[channel] = fixture->relids;
    add_named_device(fixture, "vmbus", instances[channel]);
    /* Some versions of umockdev have done it. */
    g_assert_true(symlink(target, full) == 0 || errno == EEXIST);
    set_attribute(fixture, id, relid);
}

/* The steps of a probe and what is around it. */
static void
link_driver(const struct fixture *fixture, unsigned channel)
{
    g_autofree char *link = g_strdup_printf("devices/%s/driver", instances[channel]);
    g_autofree char *full = sys_path(fixture, link);

    g_assert_cmpint(symlink("../../bus/vmbus/drivers/uio_hv_generic", full), ==, 0);
}

static void
make_node(struct fixture *fixture, unsigned channel)
{
    unsigned number = fixture->next_node++;
    g_autofree char *node = g_strdup_printf("%s/uio%u", fixture->dev, number);
    g_autofree char *map =
        g_strdup_printf("devices/%s/uio/uio%u/maps/map0", instances[channel], number);
    g_autofree char *size = g_build_filename(map, "size", NULL);
    int fd = open(node, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    g_assert_cmpint(ftruncate(fd, MAP_SIZE), ==, 0);
    close(fd);
    make_directory(fixture, map);
    set_attribute(fixture, size, "0x22000\n");
}

/* The last step, with an event of its own. */
static void
make_channel(struct fixture *fixture, unsigned channel)
{
    g_autofree char *name =
        g_strdup_printf("%s/channels/%u", instances[channel], fixture->relid[channel]);

    add_named_device(fixture, "channels", name);
    send_event(fixture, name, "add");
}

static void
bind_device(struct fixture *fixture, unsigned channel)
{
    link_driver(fixture, channel);
    make_node(fixture, channel);
    send_event(fixture, instances[channel], "bind");
    make_channel(fixture, channel);
}

static void
add_bound_device(struct fixture *fixture, unsigned channel)
{
    register_device(fixture, channel);
    send_event(fixture, instances[channel], "add");
    bind_device(fixture, channel);
}

static void
unlink_device(const struct fixture *fixture, unsigned channel)
{
    g_autofree char *link = g_strdup_printf("bus/vmbus/devices/%s", instances[channel]);
    g_autofree char *full_link = sys_path(fixture, link);
    g_autofree char *device = g_strdup_printf("devices/%s", instances[channel]);
    g_autofree char *full_device = sys_path(fixture, device);
    g_autofree char *class_vmbus = g_strdup_printf("class/vmbus/%s", instances[channel]);
    g_autofree char *full_vmbus = sys_path(fixture, class_vmbus);
    g_autofree char *channels = sys_path(fixture, "class/channels");

    unlink(full_link);
    remove_tree(full_device);
    unlink(full_vmbus);
    remove_tree(channels);
}

/* The events are on their way when the device is gone already. */
static void
remove_device(struct fixture *fixture, unsigned channel)
{
    send_event(fixture, instances[channel], "unbind");
    send_event(fixture, instances[channel], "remove");
    unlink_device(fixture, channel);
}

ssize_t __wrap_write(int fd, const void *buffer, size_t size);
ssize_t __real_write(int fd, const void *buffer, size_t size);

/* What sysfs says to the driver's attributes; wrapped by the linker. */
ssize_t
__wrap_write(int fd, const void *buffer, size_t size)
{
    g_autofree char *entry = g_strdup_printf("/proc/self/fd/%d", fd);
    g_autofree char *path = g_file_read_link(entry, NULL);
    g_autofree char *text = g_strndup(buffer, size);
    bool bind = g_str_has_suffix(path, "/bus/vmbus/drivers/uio_hv_generic/bind");
    int answer;

    if (!bind && !g_str_has_suffix(path, "/bus/vmbus/drivers/uio_hv_generic/new_id"))
        return __real_write(fd, buffer, size);
    g_string_append_printf(current->written, "%s=%s ", bind ? "bind" : "new_id", text);
    answer = bind ? current->bind_answer : current->new_id_answer;
    if (answer != 0) {
        errno = answer;
        return -1;
    }
    for (unsigned i = 0; bind && current->binds && i < HVS_CHANNELS; i++)
        if (g_str_equal(instances[i], text))
            bind_device(current, i);
    return (ssize_t)size;
}

int __wrap_access(const char *path, int mode);
int __real_access(const char *path, int mode);

/* Whether a node may be opened; root always may. Wrapped by the linker. */
int
__wrap_access(const char *path, int mode)
{
    if (!g_str_has_prefix(path, current->dev) || !current->forbids)
        return __real_access(path, mode);
    errno = EACCES;
    return -1;
}

/* ---- the daemon ---- */

static void
on_offered(unsigned channel, gpointer user_data)
{
    struct fixture *fixture = user_data;

    g_string_append_printf(fixture->told, "+%u ", channel);
    if (fixture->rescans)
        hvs_offers_rescan(fixture->offers);
}

static void
on_rescinded(unsigned channel, gpointer user_data)
{
    struct fixture *fixture = user_data;

    g_string_append_printf(fixture->told, "-%u ", channel);
    if (fixture->rescans)
        hvs_offers_rescan(fixture->offers);
}

static void
on_problem(const char *sentence, gpointer user_data)
{
    struct fixture *fixture = user_data;

    g_string_append(fixture->told, sentence != NULL ? "problem " : "fine ");
    g_free(fixture->problem);
    fixture->problem = g_strdup(sentence);
}

static const struct hvs_offers_callbacks callbacks = { on_offered, on_rescinded, on_problem };

static void
start(struct fixture *fixture)
{
    g_autoptr(GError) error = NULL;

    fixture->offers = hvs_offers_new(&fixture->roots, &callbacks, fixture, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(fixture->told->str, ==, "");
}

static void
expect(struct fixture *fixture, const char *told)
{
    settle();
    g_assert_cmpstr(fixture->told->str, ==, told);
    g_string_truncate(fixture->told, 0);
}

static void
expect_problem(struct fixture *fixture, const char *about)
{
    expect(fixture, "problem ");
    if (strstr(fixture->problem, about) == NULL)
        g_error("\"%s\" has no \"%s\"", fixture->problem, about);
    g_assert_null(strchr(fixture->problem, '\n'));
}

static void
expect_written(struct fixture *fixture, const char *written)
{
    g_assert_cmpstr(fixture->written->str, ==, written);
    g_string_truncate(fixture->written, 0);
}

static void
set_up(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    clock_start();
    current = fixture;
    fixture->bed = umockdev_testbed_new();
    g_assert_true(umockdev_in_mock_environment());
    fixture->sys = umockdev_testbed_get_sys_dir(fixture->bed);
    fixture->dev = g_dir_make_tmp("offers-XXXXXX", NULL);
    fixture->roots = (struct hvs_roots){ .sys = fixture->sys, .dev = fixture->dev };
    fixture->told = g_string_new(NULL);
    fixture->written = g_string_new(NULL);
    fixture->new_id_answer = fixture->bind_answer = EACCES;
    load_bus(fixture);
    load_driver(fixture);
}

/* Nothing of the trees is open any more. The test bed has descriptors of its own, which come and go
 * with its threads. */
static void
assert_all_closed(const struct fixture *fixture)
{
    g_autoptr(GDir) directory = g_dir_open("/proc/self/fd", 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(directory)) != NULL) {
        g_autofree char *entry = g_build_filename("/proc/self/fd", name, NULL);
        g_autofree char *path = g_file_read_link(entry, NULL);

        if (path != NULL &&
            (g_str_has_prefix(path, fixture->sys) || g_str_has_prefix(path, fixture->dev)))
            g_error("%s is open", path);
    }
}

static void
tear_down(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    g_clear_pointer(&fixture->offers, hvs_offers_free);
    settle();
    g_assert_cmpstr(fixture->told->str, ==, "");
    g_assert_false(timer_runs());
    assert_all_closed(fixture);
    g_object_unref(fixture->bed);
    remove_tree(fixture->dev);
    g_string_free(fixture->told, TRUE);
    g_string_free(fixture->written, TRUE);
    g_free(fixture->problem);
    g_free(fixture->sys);
    g_free(fixture->dev);
}

/* ---- what there is ---- */

static void
test_none(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    start(fixture);
    pass_time(SETTLING_TIME);
    expect(fixture, "");
    expect_written(fixture, "");
}

static void
test_present(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    for (unsigned i = 0; i < HVS_CHANNELS; i++)
        add_bound_device(fixture, i);
    start(fixture);
    expect(fixture, "+0 +1 +2 +3 +4 +5 ");
    pass_time(SETTLING_TIME);
    hvs_offers_rescan(fixture->offers);
    expect(fixture, "");
    expect_written(fixture, "");
}

static void
test_freed_before_the_first_look(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    add_bound_device(fixture, 1);
    start(fixture);
    add_bound_device(fixture, 2);
    g_clear_pointer(&fixture->offers, hvs_offers_free);
    expect(fixture, "");
}

/* A driver that knows our classes takes a new device by itself. Nothing is told before all of it is
 * there, and nothing is wrong meanwhile. */
static void
test_arrives(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    fixture->new_id_answer = EEXIST;
    start(fixture);
    expect(fixture, "");
    register_device(fixture, 3);
    link_driver(fixture, 3);
    send_event(fixture, instances[3], "add");
    expect(fixture, "");
    make_node(fixture, 3);
    send_event(fixture, instances[3], "bind");
    expect(fixture, "");
    make_channel(fixture, 3);
    expect(fixture, "+3 ");
    expect_written(fixture, "");
    pass_time(SETTLING_TIME);
    expect(fixture, "");
}

/* udev gives permissions to a node that is there already: the channel is offered when it can be
 * opened, and nothing is wrong unless that takes long. */
static void
test_permitted_later(struct fixture *fixture, gconstpointer data)
{
    bool late = GPOINTER_TO_INT(data);

    fixture->forbids = true;
    start(fixture);
    add_bound_device(fixture, 3);
    add_named_device(fixture, "uio", "uio0");
    expect(fixture, "");
    if (late) {
        pass_time(SETTLING_TIME);
        expect_problem(fixture, "/dev/uio*");
    }
    fixture->forbids = false;
    send_event(fixture, "uio0", "change");
    expect(fixture, late ? "+3 fine " : "+3 ");
    pass_time(SETTLING_TIME);
    expect(fixture, "");
    expect_written(fixture, "");
}

/* Who looks need not wait for the events, and is not told twice. */
static void
test_found_by_rescan(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    start(fixture);
    expect(fixture, "");
    add_bound_device(fixture, 3);
    hvs_offers_rescan(fixture->offers);
    g_assert_cmpstr(fixture->told->str, ==, "+3 ");
    expect(fixture, "+3 ");
}

/* Somebody who may binds it, after it was seen unbound. */
static void
test_bound_by_others(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    start(fixture);
    register_device(fixture, 2);
    send_event(fixture, instances[2], "add");
    expect(fixture, "");
    pass_time(SETTLING_TIME - 1);
    bind_device(fixture, 2);
    expect(fixture, "+2 ");
    pass_time(SETTLING_TIME);
    expect(fixture, "");
}

static void
test_other_devices(struct fixture *fixture, gconstpointer data)
{
    static const char *const others[] = {
        "99221fa6-24ad-11e2-be98-001aa01bbf6e",
        "f8e65716-3cb3-4a06-9a60-1889c5cccab5",
        "vmbus_1",
    };

    (void)data;
    start(fixture);
    settle();
    /* Only who looks again finds it, and would try to bind it. */
    make_directory(fixture, "bus/vmbus/devices/99221fa1-24ad-11e2-be98-001aa01bbf6e");
    for (unsigned i = 0; i < G_N_ELEMENTS(others); i++) {
        g_autofree char *channel = g_strdup_printf("%s/channels/10%u", others[i], i);

        add_named_device(fixture, "vmbus", others[i]);
        add_named_device(fixture, "channels", channel);
        send_event(fixture, others[i], "add");
        send_event(fixture, channel, "add");
        send_event(fixture, others[i], "remove");
        settle(); /* the bed's socket takes few events at once */
    }
    expect(fixture, "");
    expect_written(fixture, "");
}

/* ---- rescinds ---- */

static void
test_removed(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    add_bound_device(fixture, 0);
    add_bound_device(fixture, 4);
    start(fixture);
    expect(fixture, "+0 +4 ");
    remove_device(fixture, 4);
    expect(fixture, "-4 ");
    pass_time(SETTLING_TIME);
    expect(fixture, "");
    hvs_offers_rescan(fixture->offers);
    expect(fixture, "");
}

static void
test_removed_without_event(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    add_bound_device(fixture, 4);
    start(fixture);
    expect(fixture, "+4 ");
    unlink_device(fixture, 4);
    hvs_offers_rescan(fixture->offers);
    expect(fixture, "-4 ");
}

/* Taken from the driver, for whatever reason: it is left alone. */
static void
test_unbound(struct fixture *fixture, gconstpointer data)
{
    g_autofree char *link = g_strdup_printf("devices/%s/driver", instances[4]);
    g_autofree char *full = sys_path(fixture, link);

    (void)data;
    fixture->new_id_answer = fixture->bind_answer = 0;
    add_bound_device(fixture, 4);
    start(fixture);
    expect(fixture, "+4 ");
    unlink(full);
    send_event(fixture, instances[4], "unbind");
    expect(fixture, "-4 ");
    expect_written(fixture, "");
}

static size_t
opened_size(struct fixture *fixture, unsigned channel_number)
{
    struct hvs_channel channel;
    g_autoptr(GError) error = NULL;
    size_t size;

    hvs_offers_open(fixture->offers, channel_number, &channel, &error);
    g_assert_no_error(error);
    size = channel.map_size;
    hvs_channel_close(&channel);
    return size;
}

static void
test_reoffered(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    fixture->next_node = 7;
    add_bound_device(fixture, 1);
    start(fixture);
    expect(fixture, "+1 ");
    for (unsigned i = 0; i < 10; i++) {
        g_autofree char *node = g_strdup_printf("%s/uio%u", fixture->dev, 7 + i);

        g_assert_cmpuint(opened_size(fixture, 1), ==, MAP_SIZE);
        remove_device(fixture, 1);
        unlink(node);
        if (i % 2 == 0)
            expect(fixture, "-1 ");
        add_bound_device(fixture, 1);
        expect(fixture, i % 2 == 0 ? "+1 " : "-1 +1 ");
    }
}

/* Callbacks may call back, as a daemon does that reads its configuration again. */
static void
test_rescan_from_callback(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    fixture->rescans = true;
    for (unsigned i = 0; i < HVS_CHANNELS; i++)
        add_bound_device(fixture, i);
    start(fixture);
    expect(fixture, "+0 +1 +2 +3 +4 +5 ");
    remove_device(fixture, 3);
    expect(fixture, "-3 ");
}

/* ---- opening ---- */

static void
assert_open_fails(struct fixture *fixture, unsigned channel_number, enum hvs_offers_error code)
{
    struct hvs_channel channel = { .fd = -1 };
    g_autoptr(GError) error = NULL;

    g_assert_false(hvs_offers_open(fixture->offers, channel_number, &channel, &error));
    g_assert_error(error, HVS_OFFERS_ERROR, (int)code);
    g_assert_cmpint(channel.fd, ==, -1);
}

static void
test_open_gone(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    add_bound_device(fixture, 1);
    start(fixture);
    expect(fixture, "+1 ");
    remove_device(fixture, 1);
    assert_open_fails(fixture, 1, HVS_OFFERS_ERROR_GONE);
    expect(fixture, "-1 ");
    pass_time(SETTLING_TIME);
    expect(fixture, "");
}

/* It was not rescinded: it is offered again. */
static void
test_open_gone_for_a_moment(struct fixture *fixture, gconstpointer data)
{
    g_autofree char *node = g_build_filename(fixture->dev, "uio0", NULL);
    g_autofree char *hidden = g_build_filename(fixture->dev, "hidden", NULL);

    (void)data;
    add_bound_device(fixture, 1);
    start(fixture);
    expect(fixture, "+1 ");
    g_assert_cmpint(rename(node, hidden), ==, 0);
    assert_open_fails(fixture, 1, HVS_OFFERS_ERROR_GONE);
    send_event(fixture, instances[1], "change");
    expect(fixture, "");
    g_assert_cmpint(rename(hidden, node), ==, 0);
    pass_time(SETTLING_TIME);
    expect(fixture, "-1 +1 ");
    g_assert_cmpuint(opened_size(fixture, 1), ==, MAP_SIZE);
    pass_time(10 * SETTLING_TIME);
    expect(fixture, "");
}

/* A new offer is no reason to offer it twice. */
static void
test_open_gone_and_reoffered(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    add_bound_device(fixture, 1);
    start(fixture);
    expect(fixture, "+1 ");
    remove_device(fixture, 1);
    assert_open_fails(fixture, 1, HVS_OFFERS_ERROR_GONE);
    add_bound_device(fixture, 1);
    expect(fixture, "-1 +1 ");
    pass_time(SETTLING_TIME);
    expect(fixture, "");
}

static void
test_open_not_offered(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    start(fixture);
    expect(fixture, "");
    assert_open_fails(fixture, 0, HVS_OFFERS_ERROR_GONE);
    pass_time(SETTLING_TIME);
    expect(fixture, "");
}

static void
test_open_in_use(struct fixture *fixture, gconstpointer data)
{
    struct hvs_channel channel;

    (void)data;
    add_bound_device(fixture, 1);
    start(fixture);
    expect(fixture, "+1 ");
    g_assert_true(hvs_offers_open(fixture->offers, 1, &channel, NULL));
    assert_open_fails(fixture, 1, HVS_OFFERS_ERROR_IN_USE);
    hvs_channel_close(&channel);
    pass_time(SETTLING_TIME);
    expect(fixture, "");
}

/* ---- binding ---- */

static void
add_unbound_device(struct fixture *fixture, unsigned channel)
{
    register_device(fixture, channel);
    send_event(fixture, instances[channel], "add");
}

static void
test_binds(struct fixture *fixture, gconstpointer data)
{
    fixture->new_id_answer = GPOINTER_TO_INT(data);
    fixture->bind_answer = 0;
    fixture->binds = true;
    register_device(fixture, 0);
    start(fixture);
    expect(fixture, "+0 ");
    expect_written(fixture, NEW_IDS "bind=99221fa0-24ad-11e2-be98-001aa01bbf6e ");
    add_unbound_device(fixture, 5);
    expect(fixture, "+5 ");
    expect_written(fixture, NEW_IDS "bind=99221fa5-24ad-11e2-be98-001aa01bbf6e ");
}

/* Somebody else was faster: its events follow. */
static void
test_bind_busy(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    fixture->new_id_answer = EEXIST;
    fixture->bind_answer = EBUSY;
    start(fixture);
    add_unbound_device(fixture, 1);
    hvs_offers_rescan(fixture->offers);
    expect(fixture, "");
    bind_device(fixture, 1);
    expect(fixture, "+1 ");
    pass_time(SETTLING_TIME);
    expect(fixture, "");
}

struct problem_case {
    int new_id_answer, bind_answer;
    const char *advice;
};

/* Told after a moment, once, and told when it is over. */
static void
test_problem(struct fixture *fixture, gconstpointer data)
{
    const struct problem_case *test = data;

    fixture->new_id_answer = test->new_id_answer;
    fixture->bind_answer = test->bind_answer;
    start(fixture);
    add_unbound_device(fixture, 1);
    expect(fixture, "");
    pass_time(SETTLING_TIME - 1);
    expect(fixture, "");
    pass_time(1);
    expect_problem(fixture, test->advice);
    add_unbound_device(fixture, 2);
    send_event(fixture, instances[2], "change");
    pass_time(SETTLING_TIME);
    expect(fixture, "");

    fixture->new_id_answer = fixture->bind_answer = 0;
    fixture->binds = true;
    hvs_offers_rescan(fixture->offers);
    expect(fixture, "+1 +2 fine ");
    g_assert_null(fixture->problem);
}

/* Root has taught the driver our classes, and lets us bind. */
static void
test_may_bind_only(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    fixture->new_id_answer = EACCES;
    fixture->bind_answer = 0;
    fixture->binds = true;
    start(fixture);
    add_unbound_device(fixture, 1);
    expect(fixture, "+1 ");
}

static void
test_problem_at_rescan(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    register_device(fixture, 1);
    start(fixture);
    hvs_offers_rescan(fixture->offers);
    g_assert_nonnull(strstr(fixture->problem, "sudo hvsessiond"));
    expect(fixture, "problem ");
}

/* What the host has taken back needs no driver any more. */
static void
test_problem_ends_with_rescind(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    fixture->new_id_answer = 0;
    fixture->bind_answer = KERNEL_ENOTSUPP;
    start(fixture);
    add_unbound_device(fixture, 1);
    pass_time(SETTLING_TIME);
    settle();
    pass_time(SETTLING_TIME);
    expect_problem(fixture, "6.10");
    remove_device(fixture, 1);
    expect(fixture, "fine ");
}

/* One that works does not hide one that does not. */
static void
test_problem_of_one(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    add_bound_device(fixture, 0);
    register_device(fixture, 1);
    add_bound_device(fixture, 2);
    start(fixture);
    expect(fixture, "+0 +2 ");
    pass_time(SETTLING_TIME);
    expect_problem(fixture, "sudo hvsessiond");
}

/* Memory may be there later: nobody has to ask for another attempt. */
static void
test_no_memory_retried(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    fixture->new_id_answer = EEXIST;
    fixture->bind_answer = ENOMEM;
    start(fixture);
    add_unbound_device(fixture, 1);
    settle();
    pass_time(SETTLING_TIME);
    expect_problem(fixture, "compact_memory");
    g_string_truncate(fixture->written, 0);
    pass_time(MEMORY_PAUSE);
    expect_written(fixture, NEW_IDS "bind=99221fa1-24ad-11e2-be98-001aa01bbf6e ");
    fixture->bind_answer = 0;
    fixture->binds = true;
    pass_time(MEMORY_PAUSE);
    expect(fixture, "+1 fine ");
}

static void
test_module_loaded_later(struct fixture *fixture, gconstpointer data)
{
    g_autofree char *driver = sys_path(fixture, "bus/vmbus/drivers/uio_hv_generic");

    remove_tree(driver);
    fixture->new_id_answer = fixture->bind_answer = 0;
    fixture->binds = true;
    register_device(fixture, 0);
    start(fixture);
    settle();
    pass_time(SETTLING_TIME);
    expect_problem(fixture, "modprobe uio_hv_generic");
    expect_written(fixture, "");

    load_driver(fixture);
    add_named_device(fixture, data, "vmbus/drivers/uio_hv_generic");
    send_event(fixture, "vmbus/drivers/uio_hv_generic", "add");
    expect(fixture, "+0 fine ");
    expect_written(fixture, NEW_IDS "bind=99221fa0-24ad-11e2-be98-001aa01bbf6e ");
}

static void
test_no_vmbus(struct fixture *fixture, gconstpointer data)
{
    g_autofree char *bus = sys_path(fixture, "bus/vmbus");

    (void)data;
    remove_tree(bus);
    start(fixture);
    expect_problem(fixture, "not a Hyper-V guest");
    hvs_offers_rescan(fixture->offers);
    expect(fixture, "");
    /* The first device of a bus that comes late is somebody else's. */
    load_bus(fixture);
    add_named_device(fixture, "vmbus", "vmbus_1");
    send_event(fixture, "vmbus_1", "add");
    expect(fixture, "fine ");
}

int
main(int argc, char **argv)
{
    static const struct problem_case denied = { EACCES, ENODEV, "sudo hvsessiond --bind" };
    static const struct problem_case read_only = { EROFS, EROFS, "sudo hvsessiond --bind" };
    static const struct problem_case no_memory_denied = { EACCES, ENOMEM, "compact_memory" };
    static const struct problem_case not_permitted = { 0, EPERM, "sudo hvsessiond" };
    static const struct problem_case too_old = { 0, KERNEL_ENOTSUPP, "Linux 6.10" };
    static const struct problem_case no_memory = { EEXIST, ENOMEM, "compact_memory" };
    static const struct problem_case other = { 0, EIO, "dmesg" };
    static const struct problem_case not_taken = { EEXIST, ENODEV, "dmesg" };
    static const struct {
        const char *path;
        void (*test)(struct fixture *, gconstpointer);
        gconstpointer data;
    } tests[] = {
        { "/offers/none", test_none, NULL },
        { "/offers/present-before-start", test_present, NULL },
        { "/offers/freed-before-the-first-look", test_freed_before_the_first_look, NULL },
        { "/offers/arrival/step-by-step", test_arrives, NULL },
        { "/offers/arrival/permitted-later", test_permitted_later, GINT_TO_POINTER(false) },
        { "/offers/arrival/found-by-rescan", test_found_by_rescan, NULL },
        { "/offers/arrival/bound-by-others", test_bound_by_others, NULL },
        { "/offers/arrival/other-devices", test_other_devices, NULL },
        { "/offers/rescind/removed", test_removed, NULL },
        { "/offers/rescind/without-event", test_removed_without_event, NULL },
        { "/offers/rescind/unbound", test_unbound, NULL },
        { "/offers/rescind/reoffered-renumbered", test_reoffered, NULL },
        { "/offers/rescind/rescan-from-callback", test_rescan_from_callback, NULL },
        { "/offers/open/gone", test_open_gone, NULL },
        { "/offers/open/gone-for-a-moment", test_open_gone_for_a_moment, NULL },
        { "/offers/open/gone-and-reoffered", test_open_gone_and_reoffered, NULL },
        { "/offers/open/not-offered", test_open_not_offered, NULL },
        { "/offers/open/in-use", test_open_in_use, NULL },
        { "/offers/bind/new", test_binds, NULL },
        { "/offers/bind/classes-known", test_binds, GINT_TO_POINTER(EEXIST) },
        { "/offers/bind/busy", test_bind_busy, NULL },
        { "/offers/problem/denied", test_problem, &denied },
        { "/offers/problem/read-only", test_problem, &read_only },
        { "/offers/problem/no-memory-denied", test_problem, &no_memory_denied },
        { "/offers/problem/not-permitted", test_problem, &not_permitted },
        { "/offers/problem/kernel-too-old", test_problem, &too_old },
        { "/offers/problem/no-memory", test_problem, &no_memory },
        { "/offers/problem/other", test_problem, &other },
        { "/offers/problem/not-taken", test_problem, &not_taken },
        { "/offers/problem/no-permission", test_permitted_later, GINT_TO_POINTER(true) },
        { "/offers/may-bind-only", test_may_bind_only, NULL },
        { "/offers/problem/at-rescan", test_problem_at_rescan, NULL },
        { "/offers/problem/ends-with-rescind", test_problem_ends_with_rescind, NULL },
        { "/offers/problem/of-one-of-three", test_problem_of_one, NULL },
        { "/offers/problem/no-memory-retried", test_no_memory_retried, NULL },
        { "/offers/problem/module-loaded-later/module", test_module_loaded_later, "module" },
        { "/offers/problem/module-loaded-later/driver", test_module_loaded_later, "drivers" },
        { "/offers/problem/no-vmbus", test_no_vmbus, NULL },
    };
    int result;

    g_test_init(&argc, &argv, NULL);
    settle();
    for (unsigned i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, struct fixture, tests[i].data, set_up, tests[i].test, tear_down);
    result = g_test_run();
    g_clear_pointer(&timer, g_source_unref);
    return result;
}

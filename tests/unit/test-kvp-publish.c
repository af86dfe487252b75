/* linux/kvp-publish in pools made of files: what others have there stays, whatever happens. */
#include "linux/kvp-publish.h"

#include "fake-guest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>

#define POOL "var/lib/hyperv/.kvp_pool_1"
#define WAIT 30000 /* milliseconds that anything may take that ought to happen */

struct fixture {
    struct guest guest;
    struct hvs_status status;
    hvs_kvp_publisher *publisher;
};

static GLogWriterOutput
count_warnings(GLogLevelFlags level, const GLogField *fields, gsize count, gpointer user_data)
{
    (void)level;
    for (gsize i = 0; i < count; i++)
        *(unsigned *)user_data +=
            g_str_equal(fields[i].key, "PRIORITY") && g_str_equal(fields[i].value, "4");
    return G_LOG_WRITER_HANDLED;
}

static unsigned warnings;

/* ---- pools ---- */

static void
add_record(GByteArray *pool, const char *key, const char *value)
{
    char record[HVS_KVP_RECORD_SIZE] = { 0 };

    memcpy(record, key, MIN(strlen(key), HVS_KVP_KEY_SIZE));
    memcpy(record + HVS_KVP_KEY_SIZE, value, MIN(strlen(value), HVS_KVP_VALUE_SIZE));
    g_byte_array_append(pool, (const guint8 *)record, sizeof record);
}

/* Somebody else's records: the first and the last fill their fields to the end. */
static GByteArray *
make_others(void)
{
    GByteArray *pool = g_byte_array_new();
    g_autofree char *long_key = g_strnfill(HVS_KVP_KEY_SIZE, 'k');
    g_autofree char *long_value = g_strnfill(HVS_KVP_VALUE_SIZE, 'v');

    add_record(pool, "HvSession", long_value);
    add_record(pool, "Owner", "alice");
    add_record(pool, long_key, "HvSessionState");
    return pool;
}

static void
write_pool(struct fixture *f, const GByteArray *pool)
{
    guest_write_bytes(&f->guest, POOL, pool->data, pool->len);
}

static void
assert_pool(struct fixture *f, const GByteArray *expected)
{
    g_autofree char *path = guest_path(&f->guest, POOL);
    g_autofree char *found = NULL;
    gsize length;

    g_assert_true(g_file_get_contents(path, &found, &length, NULL));
    g_assert_cmpuint(length, ==, expected->len);
    g_assert_true(memcmp(found, expected->data, length) == 0);
}

static char *
find_value(struct fixture *f, const char *key)
{
    g_autofree char *path = guest_path(&f->guest, POOL);
    g_autofree char *pool = NULL;
    gsize length;

    g_assert_true(g_file_get_contents(path, &pool, &length, NULL));
    return hvs_kvp_find(pool, length, key);
}

static void
assert_value(struct fixture *f, const char *key, const char *expected)
{
    g_autofree char *value = find_value(f, key);

    g_assert_cmpstr(value, ==, expected);
}

/* ---- set-up ---- */

static void
set_up(struct fixture *f, gconstpointer data)
{
    (void)data;
    warnings = 0;
    guest_init(&f->guest);
    f->status = (struct hvs_status){ .version = "0.1.0", .now = 100000 };
    f->status.control.state = HVS_CONTROL_READY;
    f->publisher = hvs_kvp_publisher_new(&f->guest.roots);
}

static void
end_publisher(struct fixture *f)
{
    g_clear_pointer(&f->publisher, hvs_kvp_publisher_free);
}

static void
tear_down(struct fixture *f, gconstpointer data)
{
    (void)data;
    end_publisher(f);
    guest_clear(&f->guest);
}

static void
update(struct fixture *f)
{
    hvs_kvp_publisher_update(f->publisher, &f->status);
}

/* ---- tests ---- */

static void
test_life(struct fixture *f, gconstpointer data)
{
    g_autoptr(GByteArray) others = make_others();
    g_autoptr(GByteArray) expected = make_others();

    (void)data;
    write_pool(f, others);
    update(f);
    add_record(expected, "HvSessionState", "ready");
    add_record(expected, "HvSessionVersion", "0.1.0");
    add_record(expected, "HvSessionLastError", "");
    assert_pool(f, expected);

    f->status.session_count = 1;
    update(f);
    g_byte_array_set_size(expected, others->len);
    add_record(expected, "HvSessionState", "active");
    add_record(expected, "HvSessionVersion", "0.1.0");
    add_record(expected, "HvSessionLastError", "");
    assert_pool(f, expected);

    end_publisher(f);
    assert_pool(f, others);
    g_assert_cmpuint(warnings, ==, 0);
}

/* However often: the pool does not grow, and what another service published behind stays. */
static void
test_never_grows(struct fixture *f, gconstpointer data)
{
    g_autoptr(GByteArray) pool = make_others();
    g_autoptr(GByteArray) left = make_others();
    g_autofree char *path = guest_path(&f->guest, POOL);
    struct stat status;

    (void)data;
    /* A service that was killed has left its records, in the midst of others. */
    add_record(pool, "HvSessionLastError", "old");
    add_record(pool, "HvSessionState", "active");
    add_record(pool, "HvSessionVersion", "0.0.9");
    add_record(pool, "Behind", "stays");
    add_record(left, "Behind", "stays");
    write_pool(f, pool);
    for (unsigned i = 0; i < 100; i++) {
        f->status.session_count = i % 2;
        f->status.control.problem = i % 3 == 0 ? HVS_CONTROL_REFUSED : HVS_CONTROL_NO_PROBLEM;
        update(f);
        g_assert_cmpint(stat(path, &status), ==, 0);
        g_assert_cmpint(status.st_size, ==, pool->len);
    }
    assert_value(f, "HvSessionVersion", "0.1.0");
    assert_value(f, "Behind", "stays");
    end_publisher(f);
    assert_pool(f, left);
}

static void
test_last_error(struct fixture *f, gconstpointer data)
{
    g_autoptr(GByteArray) pool = g_byte_array_new();
    g_autofree char *error = NULL, *again = NULL, *cut = NULL;
    g_autofree char *endless = g_strnfill(4000, 'x');

    (void)data;
    write_pool(f, pool);
    f->status.ended_count = 2;
    f->status.ended[0] = (struct hvs_session){ .id = 9, .reason = HVS_END_HOST_RESCINDED };
    f->status.ended[1] = (struct hvs_session){
        .id = 8, .reason = HVS_END_SERVER_UNREACHABLE, .ended = 40000, .detail = "tcp:a:1:\nrefused"
    };
    update(f);
    error = find_value(f, "HvSessionLastError");
    g_assert_true(
        g_regex_match_simple("^20\\d\\d-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ session 8: no RDP "
                             "server .* \\(server-unreachable\\): tcp:a:1:\\?refused$",
                             error, 0, 0));
    /* It stays the same until there is another. */
    f->status.now += 3600000;
    update(f);
    again = find_value(f, "HvSessionLastError");
    g_assert_cmpstr(again, ==, error);

    f->status.problem = "the control channel is held";
    update(f);
    assert_value(f, "HvSessionState", "problem");
    assert_value(f, "HvSessionLastError", "the control channel is held");
    f->status.problem = endless;
    update(f);
    cut = find_value(f, "HvSessionLastError");
    g_assert_cmpuint(strlen(cut), ==, HVS_KVP_TEXT_MAX);
}

/* ---- the setting ---- */

static void
test_setting(struct fixture *f, gconstpointer data)
{
    g_autoptr(GByteArray) others = make_others();

    (void)data;
    write_pool(f, others);
    hvs_kvp_publisher_configure(f->publisher, HVS_PUBLISH_NO);
    update(f);
    assert_pool(f, others);
    hvs_kvp_publisher_configure(f->publisher, HVS_PUBLISH_AUTO);
    assert_value(f, "HvSessionState", "ready");
    hvs_kvp_publisher_configure(f->publisher, HVS_PUBLISH_NO);
    assert_pool(f, others);
    hvs_kvp_publisher_configure(f->publisher, HVS_PUBLISH_YES);
    assert_value(f, "HvSessionState", "ready");
}

/* A service that is killed takes nothing back; the next one does, if nothing is to be published. */
static void
test_left_behind(struct fixture *f, gconstpointer data)
{
    g_autofree char *path = guest_path(&f->guest, POOL);
    g_autoptr(GByteArray) others = make_others();
    g_autofree char *left = NULL;
    gsize length;

    (void)data;
    write_pool(f, others);
    update(f);
    g_assert_true(g_file_get_contents(path, &left, &length, NULL));
    end_publisher(f);
    guest_write_bytes(&f->guest, POOL, left, length);
    f->publisher = hvs_kvp_publisher_new(&f->guest.roots);
    hvs_kvp_publisher_configure(f->publisher, HVS_PUBLISH_NO);
    assert_pool(f, others);
    g_assert_cmpuint(warnings, ==, 0);
}

/* A pool that is not there is not made, and missed only by those who insist. */
static void
test_missing(struct fixture *f, gconstpointer data)
{
    g_autofree char *path = guest_path(&f->guest, POOL);
    g_autoptr(GByteArray) pool = g_byte_array_new();

    (void)data;
    update(f);
    g_assert_cmpuint(warnings, ==, 0);
    hvs_kvp_publisher_configure(f->publisher, HVS_PUBLISH_YES);
    f->status.session_count = 1;
    update(f);
    g_assert_cmpuint(warnings, ==, 1);
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    /* hv_kvp_daemon comes late. */
    write_pool(f, pool);
    update(f);
    assert_value(f, "HvSessionState", "active");
    /* And goes: what was published is gone with it. */
    g_assert_cmpint(unlink(path), ==, 0);
    end_publisher(f);
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    g_assert_cmpuint(warnings, ==, 1);
}

/* ---- trouble ---- */

/* Each of these pools is left as it is, and complained of once. */
static void
assert_left_alone(struct fixture *f, const GByteArray *pool)
{
    warnings = 0;
    for (unsigned i = 0; i < 4; i++) {
        f->status.session_count = i % 2;
        update(f);
    }
    g_assert_cmpuint(warnings, ==, 1);
    assert_pool(f, pool);
}

static void
test_malformed(struct fixture *f, gconstpointer data)
{
    g_autoptr(GByteArray) pool = make_others();

    (void)data;
    g_byte_array_append(pool, (const guint8 *)"cut", 3);
    write_pool(f, pool);
    assert_left_alone(f, pool);
    g_byte_array_set_size(pool, 0);
    g_byte_array_append(pool, (const guint8 *)"x", 1);
    write_pool(f, pool);
    assert_left_alone(f, pool);
    /* Whole again, all is well again. */
    g_byte_array_set_size(pool, 0);
    write_pool(f, pool);
    update(f);
    assert_value(f, "HvSessionState", "active");
}

static void
test_huge(struct fixture *f, gconstpointer data)
{
    g_autofree char *path = guest_path(&f->guest, POOL);
    g_autoptr(GByteArray) pool = g_byte_array_new();
    struct stat status;
    off_t size = (off_t)(HVS_KVP_RECORDS_MAX + 1) * (off_t)HVS_KVP_RECORD_SIZE;

    (void)data;
    write_pool(f, pool);
    g_assert_cmpint(truncate(path, size), ==, 0);
    update(f);
    update(f);
    g_assert_cmpuint(warnings, ==, 1);
    g_assert_cmpint(stat(path, &status), ==, 0);
    g_assert_cmpint(status.st_size, ==, size);
}

/* Neither a link, nor a pipe, nor a directory. */
static void
test_not_a_file(struct fixture *f, gconstpointer data)
{
    g_autofree char *path = guest_path(&f->guest, POOL);
    g_autoptr(GByteArray) elsewhere = make_others();

    (void)data;
    guest_write_bytes(&f->guest, "elsewhere", elsewhere->data, elsewhere->len);
    guest_link(&f->guest, POOL, "../../../elsewhere");
    update(f);
    assert_pool(f, elsewhere);
    g_assert_cmpuint(warnings, ==, 1);
    g_assert_cmpint(unlink(path), ==, 0);
    g_assert_cmpint(mkfifo(path, 0644), ==, 0);
    update(f);
    g_assert_cmpuint(warnings, ==, 2);
    g_assert_cmpint(unlink(path), ==, 0);
    g_assert_cmpint(g_mkdir(path, 0755), ==, 0);
    update(f);
    g_assert_cmpuint(warnings, ==, 3);
}

/* As the service's user, where root has not let it. */
static void
test_not_writable(struct fixture *f, gconstpointer data)
{
    g_autoptr(GByteArray) others = make_others();
    gboolean root = geteuid() == 0;

    (void)data;
    write_pool(f, others);
    guest_chmod(&f->guest, POOL, 0444);
    /* Root may all. */
    if (root)
        g_assert_cmpint(seteuid(65534), ==, 0);
    assert_left_alone(f, others);
    if (root)
        g_assert_cmpint(seteuid(0), ==, 0);
}

/* ---- the lock ---- */

/* A process that has the pool locked as hv_kvp_daemon does: this one's own lock would go when the
 * publisher closes the file. */
struct holder {
    pid_t pid;
    int end; /* it lives until this is closed */
};

static void
hold(const char *path, int ready, int end)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    int fd = open(path, O_RDWR | O_CLOEXEC);
    char byte = 0;

    if (fd < 0 || fcntl(fd, F_SETLK, &lock) != 0 || write(ready, &byte, 1) != 1)
        _exit(1);
    while (read(end, &byte, 1) > 0)
        ;
    _exit(0);
}

static void
lock_pool(struct fixture *f, struct holder *holder)
{
    g_autofree char *path = guest_path(&f->guest, POOL);
    int ready[2], end[2];
    char byte;

    g_assert_cmpint(pipe(ready), ==, 0);
    g_assert_cmpint(pipe(end), ==, 0);
    holder->pid = fork();
    g_assert_cmpint(holder->pid, >=, 0);
    if (holder->pid == 0) {
        close(end[1]);
        hold(path, ready[1], end[0]);
    }
    close(ready[1]);
    close(end[0]);
    holder->end = end[1];
    g_assert_cmpint(read(ready[0], &byte, 1), ==, 1);
    close(ready[0]);
}

static void
unlock_pool(struct holder *holder)
{
    int status;

    close(holder->end);
    g_assert_cmpint(waitpid(holder->pid, &status, 0), ==, holder->pid);
    g_assert_cmpint(status, ==, 0);
}

static gboolean
on_impatience(gpointer what)
{
    g_error("%s", (const char *)what);
    return G_SOURCE_REMOVE;
}

static void
test_locked(struct fixture *f, gconstpointer data)
{
    g_autoptr(GByteArray) others = make_others();
    guint patience = g_timeout_add(WAIT, on_impatience, (gpointer) "it was not published");
    g_autofree char *state = NULL;
    struct holder holder;

    (void)data;
    write_pool(f, others);
    lock_pool(f, &holder);
    update(f);
    f->status.session_count = 1;
    update(f);
    assert_pool(f, others);
    unlock_pool(&holder);
    while ((state = find_value(f, "HvSessionState")) == NULL)
        g_main_context_iteration(NULL, TRUE);
    g_source_remove(patience);
    g_assert_cmpstr(state, ==, "active");
    g_assert_cmpuint(warnings, ==, 0);
}

/* Whoever keeps it locked for good keeps neither the service nor its end. */
static void
test_locked_for_good(struct fixture *f, gconstpointer data)
{
    g_autoptr(GByteArray) others = make_others();
    guint patience = g_timeout_add(WAIT, on_impatience, (gpointer) "it did not give up");
    struct holder holder;
    gint64 began;

    (void)data;
    write_pool(f, others);
    lock_pool(f, &holder);
    update(f);
    while (warnings == 0)
        g_main_context_iteration(NULL, TRUE);
    g_source_remove(patience);
    /* It does not ask again by itself: nothing wakes up. */
    g_assert_false(g_main_context_pending(NULL));
    g_assert_null(g_main_context_find_source_by_user_data(NULL, f->publisher));
    assert_pool(f, others);
    unlock_pool(&holder);

    update(f);
    assert_value(f, "HvSessionState", "ready");
    lock_pool(f, &holder);
    began = g_get_monotonic_time();
    end_publisher(f);
    g_assert_cmpint(g_get_monotonic_time() - began, <, G_TIME_SPAN_SECOND);
    unlock_pool(&holder);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_log_set_writer_func(count_warnings, &warnings, NULL);
#define ADD(path, test) g_test_add(path, struct fixture, NULL, set_up, test, tear_down)
    ADD("/kvp-publish/life", test_life);
    ADD("/kvp-publish/never-grows", test_never_grows);
    ADD("/kvp-publish/last-error", test_last_error);
    ADD("/kvp-publish/setting", test_setting);
    ADD("/kvp-publish/left-behind", test_left_behind);
    ADD("/kvp-publish/missing", test_missing);
    ADD("/kvp-publish/malformed", test_malformed);
    ADD("/kvp-publish/huge", test_huge);
    ADD("/kvp-publish/not-a-file", test_not_a_file);
    ADD("/kvp-publish/not-writable", test_not_writable);
    ADD("/kvp-publish/locked", test_locked);
    ADD("/kvp-publish/locked/for-good", test_locked_for_good);
    return g_test_run();
}

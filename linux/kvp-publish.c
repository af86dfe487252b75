#include "kvp-publish.h"

#include "kvp.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* In the order in which they are added. */
enum { STATE, VERSION, LAST_ERROR, VALUES };
static const char *const keys[VALUES] = {
    [STATE] = "HvSessionState",
    [VERSION] = "HvSessionVersion",
    [LAST_ERROR] = "HvSessionLastError",
};

enum outcome {
    DONE,
    BUSY,   /* somebody has the lock */
    ABSENT, /* there is no pool */
    FAILED,
};

struct hvs_kvp_publisher {
    char *path;
    unsigned setting;
    char *wanted[VALUES];    /* NULL: nothing was to be published yet */
    char *published[VALUES]; /* NULL: it is not in the pool, as far as is known */
    bool searched;           /* for what a service that was killed has left there */
    guint timer, attempts;   /* for the lock */
    char *complaint;         /* what was logged last; NULL: all was well since */
    uint32_t failure_id;     /* the session that failure is about; 0: none */
    char *failure;
};

/* ---- the pool ---- */

struct pool {
    int fd;      /* with the lock */
    gsize count; /* of records */
};

static enum outcome G_GNUC_PRINTF(2, 3) fail(hvs_kvp_publisher *publisher, const char *format, ...)
{
    g_autofree char *what = NULL;
    va_list arguments;

    va_start(arguments, format);
    what = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    if (g_strcmp0(what, publisher->complaint) != 0)
        hvs_log(HVS_LOG_WARNING, "the host is not told the state: %s: %s", publisher->path, what);
    g_free(publisher->complaint);
    publisher->complaint = g_steal_pointer(&what);
    return FAILED;
}

/* The lock goes with the descriptor. Not F_SETLK, whose lock goes when the process closes any
 * descriptor of the file; each of the two kinds keeps the other out. */
static enum outcome
lock_pool(hvs_kvp_publisher *publisher, int fd)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
        return DONE;
    if (errno == EAGAIN || errno == EACCES)
        return BUSY;
    return fail(publisher, "cannot be locked: %s", g_strerror(errno));
}

static enum outcome
measure_pool(hvs_kvp_publisher *publisher, struct pool *pool)
{
    struct stat status;

    if (fstat(pool->fd, &status) != 0)
        return fail(publisher, "cannot be read: %s", g_strerror(errno));
    if (!S_ISREG(status.st_mode))
        return fail(publisher, "it is not a file");
    if (status.st_size % (off_t)HVS_KVP_RECORD_SIZE != 0)
        return fail(publisher, "it is damaged: %" G_GINT64_FORMAT " bytes are no whole records",
                    (gint64)status.st_size);
    pool->count = (gsize)status.st_size / HVS_KVP_RECORD_SIZE;
    if (pool->count > HVS_KVP_RECORDS_MAX)
        return fail(publisher, "it is damaged: %zu records are too many", pool->count);
    return DONE;
}

static enum outcome
open_pool(hvs_kvp_publisher *publisher, struct pool *pool)
{
    enum outcome outcome;

    /* Without blocking: what stands there may be a pipe. */
    pool->fd = open(publisher->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (pool->fd < 0 && errno == ENOENT)
        return ABSENT;
    if (pool->fd < 0 && errno == EACCES)
        return fail(publisher, "the service may not write there; \"sudo hvsession setup\" lets it");
    if (pool->fd < 0)
        return fail(publisher, "cannot be opened: %s", g_strerror(errno));
    outcome = lock_pool(publisher, pool->fd);
    /* Behind the lock: until then somebody else may have been writing. */
    if (outcome == DONE)
        outcome = measure_pool(publisher, pool);
    if (outcome != DONE)
        close(pool->fd);
    return outcome;
}

static bool
read_record(const struct pool *pool, gsize n, char record[HVS_KVP_RECORD_SIZE])
{
    return pread(pool->fd, record, HVS_KVP_RECORD_SIZE, (off_t)(n * HVS_KVP_RECORD_SIZE)) ==
           (ssize_t)HVS_KVP_RECORD_SIZE;
}

static bool
write_record(const struct pool *pool, gsize n, const char record[HVS_KVP_RECORD_SIZE])
{
    return pwrite(pool->fd, record, HVS_KVP_RECORD_SIZE, (off_t)(n * HVS_KVP_RECORD_SIZE)) ==
           (ssize_t)HVS_KVP_RECORD_SIZE;
}

/* Which of our keys the record has; -1: none. */
static int
find_key(const char record[HVS_KVP_RECORD_SIZE])
{
    for (int i = 0; i < VALUES; i++)
        if (strncmp(record, keys[i], HVS_KVP_KEY_SIZE) == 0)
            return i;
    return -1;
}

/* Over what is there already, or behind it. A second record of the key, whoever made it, stays: the
 * first is the one that counts. */
static bool
write_value(struct pool *pool, const char *key, const char *value)
{
    char record[HVS_KVP_RECORD_SIZE];
    gsize n = 0;

    for (; n < pool->count; n++) {
        if (!read_record(pool, n, record))
            return false;
        if (strncmp(record, key, HVS_KVP_KEY_SIZE) == 0)
            break;
    }
    memset(record, 0, sizeof record);
    memcpy(record, key, strlen(key));
    memcpy(record + HVS_KVP_KEY_SIZE, value, strlen(value));
    if (!write_record(pool, n, record))
        return false;
    pool->count = MAX(pool->count, n + 1);
    return true;
}

/* What is not ours moves up. */
static bool
remove_ours(struct pool *pool)
{
    char record[HVS_KVP_RECORD_SIZE];
    gsize kept = 0;

    for (gsize n = 0; n < pool->count; n++) {
        if (!read_record(pool, n, record))
            return false;
        if (find_key(record) >= 0)
            continue;
        if (kept < n && !write_record(pool, kept, record))
            return false;
        kept++;
    }
    return kept == pool->count || ftruncate(pool->fd, (off_t)(kept * HVS_KVP_RECORD_SIZE)) == 0;
}

/* ---- publishing ---- */

static void
set_string(char **where, const char *string)
{
    g_free(*where);
    *where = g_strdup(string);
}

static bool
is_published(const hvs_kvp_publisher *publisher)
{
    for (unsigned i = 0; i < VALUES; i++)
        if (publisher->published[i] == NULL ||
            g_strcmp0(publisher->published[i], publisher->wanted[i]) != 0)
            return false;
    return true;
}

static void
forget_published(hvs_kvp_publisher *publisher)
{
    for (unsigned i = 0; i < VALUES; i++)
        g_clear_pointer(&publisher->published[i], g_free);
}

static enum outcome
publish(hvs_kvp_publisher *publisher)
{
    struct pool pool;
    enum outcome outcome = open_pool(publisher, &pool);

    if (outcome == ABSENT && publisher->setting == HVS_PUBLISH_YES)
        return fail(publisher, "there is no such file; hv_kvp_daemon of hyperv-daemons makes it");
    if (outcome != DONE)
        return outcome;
    for (unsigned i = 0; i < VALUES && outcome == DONE; i++) {
        if (!write_value(&pool, keys[i], publisher->wanted[i]))
            outcome = fail(publisher, "cannot be written: %s", g_strerror(errno));
        else
            set_string(&publisher->published[i], publisher->wanted[i]);
    }
    close(pool.fd);
    if (outcome == DONE)
        g_clear_pointer(&publisher->complaint, g_free);
    return outcome;
}

/* Something of ours may be in the pool. */
static bool
has_left(const hvs_kvp_publisher *publisher)
{
    if (publisher->published[STATE] != NULL)
        return true;
    /* Where we may not write, none of us did. */
    return publisher->setting == HVS_PUBLISH_NO && !publisher->searched &&
           access(publisher->path, R_OK | W_OK) == 0;
}

/* Nothing is left to take back, or nothing can be. */
static enum outcome
take_back(hvs_kvp_publisher *publisher)
{
    struct pool pool;
    enum outcome outcome;

    if (!has_left(publisher))
        return DONE;
    outcome = open_pool(publisher, &pool);
    if (outcome == BUSY)
        return BUSY;
    publisher->searched = true;
    if (outcome == DONE) {
        if (!remove_ours(&pool))
            outcome = fail(publisher, "cannot be written: %s", g_strerror(errno));
        close(pool.fd);
    }
    forget_published(publisher);
    return outcome;
}

static void try_again(hvs_kvp_publisher *publisher);

static void
make_so(hvs_kvp_publisher *publisher)
{
    enum outcome outcome = DONE;

    if (publisher->setting == HVS_PUBLISH_NO)
        outcome = take_back(publisher);
    else if (publisher->wanted[STATE] != NULL && !is_published(publisher))
        outcome = publish(publisher);
    if (outcome == BUSY)
        try_again(publisher);
    else
        publisher->attempts = 0;
}

static gboolean
on_time(gpointer user_data)
{
    hvs_kvp_publisher *publisher = user_data;

    publisher->timer = 0;
    make_so(publisher);
    return G_SOURCE_REMOVE;
}

static void
try_again(hvs_kvp_publisher *publisher)
{
    if (publisher->timer != 0)
        return;
    if (++publisher->attempts > HVS_KVP_LOCK_ATTEMPTS) {
        publisher->attempts = 0;
        fail(publisher, "another process keeps it locked");
        return;
    }
    publisher->timer = g_timeout_add(HVS_KVP_LOCK_PAUSE, on_time, publisher);
}

/* ---- what to say ---- */

/* "2026-11-26T11:00:00Z session 3: why (server-unreachable): detail" */
static void
print_failure(const struct hvs_session *session, uint64_t now, struct hvs_text *out)
{
    g_autoptr(GDateTime) present = g_date_time_new_now_utc();
    gint64 age = (gint64)(now - session->ended) * G_TIME_SPAN_MILLISECOND;
    g_autoptr(GDateTime) then = g_date_time_add(present, -age);
    g_autofree char *time = g_date_time_format(then, "%Y-%m-%dT%H:%M:%SZ");

    hvs_text_add(out, time);
    hvs_text_add_char(out, ' ');
    hvs_status_print_failure(session, out);
}

/* Once for each: the clocks do not run exactly alike, and its time would not stay the same. */
static void
note_failure(hvs_kvp_publisher *publisher, const struct hvs_session *session, uint64_t now)
{
    char buffer[HVS_KVP_TEXT_MAX + 1];
    struct hvs_text out;

    if (publisher->failure_id == session->id)
        return;
    hvs_text_init(&out, buffer, sizeof buffer);
    print_failure(session, now, &out);
    set_string(&publisher->failure, buffer);
    publisher->failure_id = session->id;
}

static void
note_error(hvs_kvp_publisher *publisher, const struct hvs_status *status)
{
    const char *problem = hvs_status_problem(status);
    const struct hvs_session *failure = hvs_status_last_failure(status);
    char buffer[HVS_KVP_TEXT_MAX + 1];
    struct hvs_text out;

    hvs_text_init(&out, buffer, sizeof buffer);
    if (problem != NULL) {
        hvs_text_add_visible(&out, problem);
    } else if (failure != NULL) {
        note_failure(publisher, failure, status->now);
        hvs_text_add(&out, publisher->failure);
    }
    set_string(&publisher->wanted[LAST_ERROR], buffer);
}

hvs_kvp_publisher *
hvs_kvp_publisher_new(const struct hvs_roots *roots)
{
    hvs_kvp_publisher *publisher = g_new0(hvs_kvp_publisher, 1);

    publisher->path = g_build_filename(roots->root, "var", HVS_KVP_POOL_OF_GUEST, NULL);
    return publisher;
}

void
hvs_kvp_publisher_configure(hvs_kvp_publisher *publisher, unsigned setting)
{
    publisher->setting = setting;
    make_so(publisher);
}

void
hvs_kvp_publisher_update(hvs_kvp_publisher *publisher, const struct hvs_status *status)
{
    set_string(&publisher->wanted[STATE], hvs_overall_to_string(hvs_status_overall(status)));
    set_string(&publisher->wanted[VERSION], status->version);
    note_error(publisher, status);
    make_so(publisher);
}

void
hvs_kvp_publisher_free(hvs_kvp_publisher *publisher)
{
    g_clear_handle_id(&publisher->timer, g_source_remove);
    for (unsigned i = 0; take_back(publisher) == BUSY && i < 5; i++)
        g_usleep(HVS_KVP_LOCK_PAUSE * 1000 / 2);
    for (unsigned i = 0; i < VALUES; i++) {
        g_free(publisher->wanted[i]);
        g_free(publisher->published[i]);
    }
    g_free(publisher->failure);
    g_free(publisher->complaint);
    g_free(publisher->path);
    g_free(publisher);
}

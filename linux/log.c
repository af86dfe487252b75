#include "log.h"

#include "common/status.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define IDENTIFIER "hvsessiond"
/* How long a full standard error may keep a message, in milliseconds. */
#define READER_TIMEOUT 200
/* Marks a message that the level does not hold back. */
#define ANSWER_FIELD "HVSESSION_ANSWER"

/* GLib has one log for the whole process, and calls its writer without telling which: so this is
 * one for the process as well. The level is atomic, the rest is set once, before there are threads.
 */
static gint current_level = HVS_LOG_NOTICE;
static gboolean to_journal;
static gboolean coloured;
static GMutex write_lock; /* keeps the lines of threads apart */

/* syslog(3) */
static const char *const priorities[] = {
    [HVS_LOG_ERROR] = "3", [HVS_LOG_WARNING] = "4", [HVS_LOG_NOTICE] = "5",
    [HVS_LOG_INFO] = "6",  [HVS_LOG_DEBUG] = "7",
};

/* ECMA-48 SGR: bold red, yellow, nothing, nothing, faint. */
static const char *const colours[] = {
    [HVS_LOG_ERROR] = "\033[1;31m", [HVS_LOG_WARNING] = "\033[33m",
    [HVS_LOG_NOTICE] = "",          [HVS_LOG_INFO] = "",
    [HVS_LOG_DEBUG] = "\033[2m",
};
#define COLOUR_END "\033[0m"

/* The continuation of a message with several lines stands under its beginning. */
#define LINE_INDENT "                     "

void
hvs_log_set_level(enum hvs_log_level level)
{
    g_atomic_int_set(&current_level, (gint)level);
}

gboolean
hvs_log_is_enabled(enum hvs_log_level level)
{
    return (gint)level <= g_atomic_int_get(&current_level);
}

/* Our messages tell of the world, GLib's warnings of mistakes in programs, which G_DEBUG can make
 * fatal. So nothing of ours is a warning to GLib; PRIORITY has the truth. */
static GLogLevelFlags
glib_level(enum hvs_log_level level)
{
    switch (level) {
    case HVS_LOG_INFO:
        return G_LOG_LEVEL_INFO;
    case HVS_LOG_DEBUG:
        return G_LOG_LEVEL_DEBUG;
    case HVS_LOG_ERROR:
    case HVS_LOG_WARNING:
    case HVS_LOG_NOTICE:
        break;
    }
    return G_LOG_LEVEL_MESSAGE;
}

static const char *
field_value(const GLogField *fields, gsize count, const char *key)
{
    for (gsize i = 0; i < count; i++)
        if (strcmp(fields[i].key, key) == 0 && fields[i].length == -1)
            return fields[i].value;
    return NULL;
}

static enum hvs_log_level
message_level(GLogLevelFlags flags, const GLogField *fields, gsize count)
{
    const char *priority = field_value(fields, count, "PRIORITY");

    /* GLib gives CRITICAL the priority of a warning, but it is always a mistake in a program. */
    if ((flags & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL)) != 0)
        return HVS_LOG_ERROR;
    for (guint i = 0; priority != NULL && i < G_N_ELEMENTS(priorities); i++)
        if (strcmp(priority, priorities[i]) == 0)
            return (enum hvs_log_level)i;
    return HVS_LOG_NOTICE;
}

/* Control characters could reach a terminal otherwise: some text comes from the client. */
static void
add_message(struct hvs_text *line, const char *message)
{
    for (;;) {
        size_t plain = strcspn(message, "\t\n");

        hvs_text_add_visible_bytes(line, message, plain);
        message += plain;
        if (*message == '\0')
            return;
        hvs_text_add(line, *message == '\n' ? "\n" LINE_INDENT : "\t");
        message++;
    }
}

static void
add_time(struct hvs_text *line)
{
    struct timespec now;
    struct tm local;
    char digits[32];

    clock_gettime(CLOCK_REALTIME, &now);
    if (localtime_r(&now.tv_sec, &local) == NULL)
        return;
    g_snprintf(digits, sizeof digits, "%02d:%02d:%02d.%03d ", local.tm_hour, local.tm_min,
               local.tm_sec, (int)(now.tv_nsec / 1000000));
    hvs_text_add(line, digits);
}

static void
add_level(struct hvs_text *line, enum hvs_log_level level)
{
    const char *colour = coloured ? colours[level] : "";
    size_t begin = hvs_text_column(line);

    hvs_text_add(line, colour);
    hvs_text_add(line, hvs_log_level_to_string(level));
    hvs_text_add(line, colour[0] != '\0' ? COLOUR_END : "");
    /* The longest is "warning"; escape sequences take no column. */
    hvs_text_pad_to(line, begin + strlen("warning ") + strlen(colour) +
                              (colour[0] != '\0' ? strlen(COLOUR_END) : 0));
}

/* "12:34:56.789 notice  session 3, channel 2: connected to tcp:127.0.0.1:3389" */
static char *
format_line(enum hvs_log_level level, const GLogField *fields, gsize count)
{
    const char *message = field_value(fields, count, "MESSAGE");
    const char *domain = field_value(fields, count, "GLIB_DOMAIN");
    struct hvs_text line;
    size_t size = 128; /* for what stands before domain and message */

    if (message == NULL)
        message = "(no message)";
    size += strlen(message) + (domain != NULL ? strlen(domain) : 0);
    for (const char *p = message; *p != '\0'; p++)
        if (*p == '\n')
            size += strlen(LINE_INDENT);
    hvs_text_init(&line, g_malloc(size), size);

    add_time(&line);
    add_level(&line, level);
    if (domain != NULL) {
        hvs_text_add_visible(&line, domain);
        hvs_text_add(&line, ": ");
    }
    add_message(&line, message);
    hvs_text_add_char(&line, '\n');
    return line.buffer;
}

/* A reader that has stopped gets one moment to go on, not one for every line. */
static gboolean
wait_for_reader(void)
{
    static gint stuck; /* atomic: TSan does not see that write_lock keeps it */
    struct pollfd output = { .fd = STDERR_FILENO, .events = POLLOUT };
    int ready;

    do
        ready = poll(&output, 1, g_atomic_int_get(&stuck) ? 0 : READER_TIMEOUT);
    while (ready < 0 && errno == EINTR);
    g_atomic_int_set(&stuck, ready == 0);
    return ready != 0;
}

static gboolean
write_to_stderr(const char *line)
{
    size_t left = strlen(line);
    gboolean written = TRUE;

    g_mutex_lock(&write_lock);
    while (left > 0 && written) {
        ssize_t n;

        if (!wait_for_reader()) {
            written = FALSE;
            break;
        }
        /* So much a pipe that poll() finds writable takes without blocking. */
        n = write(STDERR_FILENO, line, MIN(left, PIPE_BUF));

        if (n >= 0) {
            line += n;
            left -= (size_t)n;
        } else if (errno != EINTR) {
            /* Nobody is left to be told. */
            written = FALSE;
        }
    }
    g_mutex_unlock(&write_lock);
    return written;
}

/* Libraries do not say who we are, and the journal does not guess. */
static GLogWriterOutput
write_to_journal(GLogLevelFlags flags, enum hvs_log_level level, const GLogField *fields,
                 gsize count)
{
    g_autofree GLogField *all = NULL;

    if (field_value(fields, count, "SYSLOG_IDENTIFIER") == NULL) {
        all = g_new(GLogField, count + 1);
        memcpy(all, fields, count * sizeof fields[0]);
        all[count] = (GLogField){ "SYSLOG_IDENTIFIER", IDENTIFIER, -1 };
        for (gsize i = 0; i < count; i++)
            if (strcmp(all[i].key, "PRIORITY") == 0)
                all[i] = (GLogField){ "PRIORITY", priorities[level], -1 };
        fields = all;
        count++;
    }
    return g_log_writer_journald(flags, fields, count, NULL);
}

static gboolean
is_wanted(enum hvs_log_level level, const GLogField *fields, gsize count)
{
    /* Libraries tell of every step they take. */
    if (level == HVS_LOG_DEBUG && field_value(fields, count, "GLIB_DOMAIN") != NULL)
        return FALSE;
    return hvs_log_is_enabled(level) || field_value(fields, count, ANSWER_FIELD) != NULL;
}

static GLogWriterOutput
write_log(GLogLevelFlags flags, const GLogField *fields, gsize count, gpointer user_data)
{
    enum hvs_log_level level = message_level(flags, fields, count);
    int saved_errno = errno; /* logging is no reason to lose it */
    GLogWriterOutput output = G_LOG_WRITER_HANDLED;

    (void)user_data;
    if (is_wanted(level, fields, count) || (flags & G_LOG_FLAG_FATAL) != 0) {
        if (to_journal)
            output = write_to_journal(flags, level, fields, count);
        if (!to_journal || output == G_LOG_WRITER_UNHANDLED) {
            g_autofree char *line = format_line(level, fields, count);
            output = write_to_stderr(line) ? G_LOG_WRITER_HANDLED : G_LOG_WRITER_UNHANDLED;
        }
    }
    errno = saved_errno;
    return output;
}

void
hvs_log_init(void)
{
    const char *no_colour = g_getenv("NO_COLOR"); /* https://no-color.org */

    to_journal = g_log_writer_is_journald(STDERR_FILENO);
    coloured = g_log_writer_supports_color(STDERR_FILENO) &&
               (no_colour == NULL || no_colour[0] == '\0') &&
               g_strcmp0(g_getenv("TERM"), "dumb") != 0;
    g_log_set_writer_func(write_log, NULL, NULL);
}

void
hvs_log(enum hvs_log_level level, const char *format, ...)
{
    va_list arguments;

    if (!hvs_log_is_enabled(level))
        return;
    va_start(arguments, format);
    g_autofree char *message = g_strdup_vprintf(format, arguments);
    va_end(arguments);

    const GLogField fields[] = {
        { "MESSAGE", message, -1 },
        { "PRIORITY", priorities[level], -1 },
        { "SYSLOG_IDENTIFIER", IDENTIFIER, -1 },
    };
    g_log_structured_array(glib_level(level), fields, G_N_ELEMENTS(fields));
}

void
hvs_log_answer(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    g_autofree char *message = g_strdup_vprintf(format, arguments);
    va_end(arguments);

    const GLogField fields[] = {
        { "MESSAGE", message, -1 },
        { "PRIORITY", priorities[HVS_LOG_NOTICE], -1 },
        { "SYSLOG_IDENTIFIER", IDENTIFIER, -1 },
        { ANSWER_FIELD, "1", -1 },
    };
    g_log_structured_array(glib_level(HVS_LOG_NOTICE), fields, G_N_ELEMENTS(fields));
}

/* The session stands in the message, too: few look at the fields. end_reason may be NULL. */
static void
send_session_message(enum hvs_log_level level, uint32_t session_id, unsigned channel,
                     const char *end_reason, const char *text)
{
    g_autofree char *session = g_strdup_printf("%u", session_id);
    g_autofree char *channel_number = g_strdup_printf("%u", channel);
    g_autofree char *message =
        channel != 0 ? g_strdup_printf("session %s, channel %s: %s", session, channel_number, text)
                     : g_strdup_printf("session %s: %s", session, text);
    GLogField fields[6] = {
        { "MESSAGE", message, -1 },
        { "PRIORITY", priorities[level], -1 },
        { "SYSLOG_IDENTIFIER", IDENTIFIER, -1 },
        { "SESSION_ID", session, -1 },
    };
    gsize count = 4;

    if (channel != 0)
        fields[count++] = (GLogField){ "CHANNEL", channel_number, -1 };
    if (end_reason != NULL)
        fields[count++] = (GLogField){ "END_REASON", end_reason, -1 };
    g_log_structured_array(glib_level(level), fields, count);
}

void
hvs_log_session(enum hvs_log_level level, uint32_t session_id, unsigned channel, const char *format,
                ...)
{
    va_list arguments;

    if (!hvs_log_is_enabled(level))
        return;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    send_session_message(level, session_id, channel, NULL, text);
}

void
hvs_log_session_end(const struct hvs_session *session)
{
    enum hvs_log_level level =
        hvs_end_reason_is_trouble(session->reason) ? HVS_LOG_ERROR : HVS_LOG_NOTICE;
    char buffer[1024];
    struct hvs_text text;

    if (!hvs_log_is_enabled(level))
        return;
    hvs_text_init(&text, buffer, sizeof buffer);
    hvs_status_print_session_end(session, &text);
    send_session_message(level, session->id, session->channel,
                         hvs_end_reason_to_string(session->reason), buffer);
}

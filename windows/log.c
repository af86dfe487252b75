#include "log.h"

#include "messages.h"
#include "wide.h"

#include "common/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The continuation of a message with several lines stands under its beginning. */
#define LINE_INDENT "                     "

/* A process has one log. The level is one aligned word, the rest is set once, before there are
 * threads. */
static struct {
    volatile LONG    level;
    HANDLE           console; /* NULL: not there */
    bool             console_is_screen;
    HANDLE           events;  /* likewise */
    CRITICAL_SECTION lock;    /* keeps the lines of threads apart */
} sink = { .level = HVS_LOG_NOTICE };

/* What a message belongs to; id 0: to no session. */
struct subject {
    uint32_t id;
    unsigned channel;
};

static const struct {
    WORD  type;
    DWORD event, session_event;
} kinds[] = {
    [HVS_LOG_ERROR] = { EVENTLOG_ERROR_TYPE, HVS_EVENT_ERROR, HVS_EVENT_SESSION_TROUBLE },
    [HVS_LOG_WARNING] = { EVENTLOG_WARNING_TYPE, HVS_EVENT_WARNING, HVS_EVENT_SESSION_WARNING },
    [HVS_LOG_NOTICE] = { EVENTLOG_INFORMATION_TYPE, HVS_EVENT_NOTICE, HVS_EVENT_SESSION },
    [HVS_LOG_INFO] = { EVENTLOG_INFORMATION_TYPE, HVS_EVENT_NOTICE, HVS_EVENT_SESSION },
    [HVS_LOG_DEBUG] = { EVENTLOG_INFORMATION_TYPE, HVS_EVENT_NOTICE, HVS_EVENT_SESSION },
};

void
hvs_log_to_console(void)
{
    DWORD mode;

    InitializeCriticalSection(&sink.lock);
    sink.console = GetStdHandle(STD_ERROR_HANDLE);
    if (sink.console == INVALID_HANDLE_VALUE)
        sink.console = NULL;
    sink.console_is_screen = sink.console != NULL && GetConsoleMode(sink.console, &mode);
}

void
hvs_log_to_events(void)
{
    InitializeCriticalSection(&sink.lock);
    sink.events = RegisterEventSourceW(NULL, HVS_LOG_SOURCE);
}

void
hvs_log_set_level(enum hvs_log_level level)
{
    InterlockedExchange(&sink.level, (LONG)level);
}

/* Control characters could reach a terminal otherwise: some text comes from the client. */
static void
add_message(struct hvs_text *line, const char *message, const char *line_break)
{
    for (;;) {
        size_t plain = strcspn(message, "\n");

        hvs_text_add_visible_bytes(line, message, plain);
        message += plain;
        if (*message == '\0')
            return;
        hvs_text_add(line, line_break);
        message++;
    }
}

static void
add_time(struct hvs_text *line)
{
    SYSTEMTIME now;

    GetLocalTime(&now);
    hvs_text_add_digits(line, now.wHour, 2);
    hvs_text_add_char(line, ':');
    hvs_text_add_digits(line, now.wMinute, 2);
    hvs_text_add_char(line, ':');
    hvs_text_add_digits(line, now.wSecond, 2);
    hvs_text_add_char(line, '.');
    hvs_text_add_digits(line, now.wMilliseconds, 3);
    hvs_text_add_char(line, ' ');
}

static void
write_console(enum hvs_log_level level, const struct subject *subject, const char *message)
{
    char bytes[HVS_LOG_MESSAGE_MAX * 2];
    WCHAR wide[HVS_LOG_MESSAGE_MAX * 2];
    struct hvs_text line;
    DWORD written;

    hvs_text_init(&line, bytes, sizeof bytes - 2);
    add_time(&line);
    hvs_text_add(&line, hvs_log_level_to_string(level));
    hvs_text_pad_to(&line, sizeof LINE_INDENT - 1);
    if (subject->id != 0) {
        hvs_text_add(&line, "session ");
        hvs_text_add_u64(&line, subject->id);
        hvs_text_add(&line, ": ");
    }
    add_message(&line, message, "\r\n" LINE_INDENT);
    memcpy(bytes + line.length, "\r\n", sizeof "\r\n");
    EnterCriticalSection(&sink.lock);
    if (sink.console_is_screen && hvs_wide_from_utf8(bytes, wide, ARRAYSIZE(wide)))
        WriteConsoleW(sink.console, wide, (DWORD)wcslen(wide), &written, NULL);
    else
        WriteFile(sink.console, bytes, (DWORD)strlen(bytes), &written, NULL);
    LeaveCriticalSection(&sink.lock);
}

static void
number_to_wide(uint32_t number, WCHAR *buffer, size_t size)
{
    char digits[16];
    struct hvs_text text;

    hvs_text_init(&text, digits, sizeof digits);
    hvs_text_add_u64(&text, number);
    hvs_wide_from_utf8(digits, buffer, size);
}

static void
write_event(enum hvs_log_level level, const struct subject *subject, const char *message)
{
    DWORD event = subject->id != 0 ? kinds[level].session_event : kinds[level].event;
    char bytes[HVS_LOG_MESSAGE_MAX * 2];
    WCHAR wide[HVS_LOG_MESSAGE_MAX * 2], id[16], channel[16];
    const WCHAR *strings[] = { wide, id, channel };
    struct hvs_text text;

    hvs_text_init(&text, bytes, sizeof bytes);
    add_message(&text, message, "\r\n");
    if (!hvs_wide_from_utf8(bytes, wide, ARRAYSIZE(wide)))
        return;
    number_to_wide(subject->id, id, ARRAYSIZE(id));
    number_to_wide(subject->channel, channel, ARRAYSIZE(channel));
    ReportEventW(sink.events, kinds[level].type, 0, event, NULL, subject->id != 0 ? 3 : 1, 0,
                 strings, NULL);
}

static void
log_message(enum hvs_log_level level, const struct subject *subject, const char *message)
{
    if (sink.console != NULL)
        write_console(level, subject, message);
    if (sink.events != NULL)
        write_event(level, subject, message);
}

static bool
is_enabled(enum hvs_log_level level)
{
    return (LONG)level <= sink.level;
}

static void
format_message(char *message, const char *format, va_list arguments)
    __attribute__((format(ms_printf, 2, 0)));

static void
format_message(char *message, const char *format, va_list arguments)
{
    _vsnprintf(message, HVS_LOG_MESSAGE_MAX - 1, format, arguments);
    message[HVS_LOG_MESSAGE_MAX - 1] = '\0';
}

void
hvs_log(enum hvs_log_level level, const char *format, ...)
{
    const struct subject none = { 0 };
    char message[HVS_LOG_MESSAGE_MAX];
    va_list arguments;

    if (!is_enabled(level))
        return;
    va_start(arguments, format);
    format_message(message, format, arguments);
    va_end(arguments);
    log_message(level, &none, message);
}

void
hvs_log_session(enum hvs_log_level level, uint32_t session_id, unsigned channel,
                const char *format, ...)
{
    const struct subject subject = { .id = session_id, .channel = channel };
    char message[HVS_LOG_MESSAGE_MAX];
    va_list arguments;

    if (!is_enabled(level))
        return;
    va_start(arguments, format);
    format_message(message, format, arguments);
    va_end(arguments);
    log_message(level, &subject, message);
}

DWORD
hvs_log_failure(enum hvs_log_level level, DWORD error, const char *format, ...)
{
    const struct subject none = { 0 };
    char words[HVS_LOG_MESSAGE_MAX], message[HVS_LOG_MESSAGE_MAX];
    struct hvs_text text;
    va_list arguments;

    if (!is_enabled(level))
        return error;
    va_start(arguments, format);
    format_message(words, format, arguments);
    va_end(arguments);
    hvs_text_init(&text, message, sizeof message);
    hvs_text_add(&text, words);
    hvs_text_add(&text, ": ");
    hvs_wide_add_error(&text, error);
    log_message(level, &none, message);
    return error;
}

void
hvs_log_session_end(const struct hvs_session *session)
{
    enum hvs_log_level level =
        hvs_end_reason_is_trouble(session->reason) ? HVS_LOG_ERROR : HVS_LOG_NOTICE;
    const struct subject subject = { .id = session->id, .channel = session->channel };
    char message[HVS_LOG_MESSAGE_MAX];
    struct hvs_text text;

    if (!is_enabled(level))
        return;
    hvs_text_init(&text, message, sizeof message);
    hvs_status_print_session_end(session, &text);
    log_message(level, &subject, message);
}

#include "publish.h"

#include "log.h"
#include "wide.h"

#include <string.h>

#define PATH L"SOFTWARE\\Microsoft\\Virtual Machine\\Guest"
/* Of FILETIME, 100 ns. */
#define UNITS_PER_MILLISECOND 10000u

static const WCHAR *const names[HVS_PUBLISH_VALUES] = {
    [HVS_PUBLISH_STATE] = L"HvSessionState",
    [HVS_PUBLISH_VERSION] = L"HvSessionVersion",
    [HVS_PUBLISH_LAST_ERROR] = L"HvSessionLastError",
};

/* ---- the registry ---- */

/* "" takes it out. */
static DWORD
write_value(HKEY key, const WCHAR *name, const char *value)
{
    WCHAR wide[HVS_PUBLISH_TEXT_MAX];
    DWORD error;

    if (value[0] == '\0') {
        error = (DWORD)RegDeleteValueW(key, name);
        return error == ERROR_FILE_NOT_FOUND ? ERROR_SUCCESS : error;
    }
    hvs_wide_from_utf8(value, wide, ARRAYSIZE(wide));
    return (DWORD)RegSetValueExW(key, name, 0, REG_SZ, (const BYTE *)wide,
                                 (DWORD)((wcslen(wide) + 1) * sizeof *wide));
}

static DWORD
write_changes(struct hvs_publish *publish,
              const char wanted[HVS_PUBLISH_VALUES][HVS_PUBLISH_TEXT_MAX])
{
    HKEY key;
    DWORD error =
        (DWORD)RegOpenKeyExW(HKEY_LOCAL_MACHINE, PATH, 0, KEY_SET_VALUE | KEY_WOW64_64KEY, &key);

    if (error != ERROR_SUCCESS)
        return error;
    for (unsigned i = 0; i < HVS_PUBLISH_VALUES && error == ERROR_SUCCESS; i++) {
        if (strcmp(publish->published[i], wanted[i]) == 0)
            continue;
        error = write_value(key, names[i], wanted[i]);
        if (error == ERROR_SUCCESS)
            memcpy(publish->published[i], wanted[i], HVS_PUBLISH_TEXT_MAX);
    }
    RegCloseKey(key);
    return error;
}

static void
make_so(struct hvs_publish *publish, const char wanted[HVS_PUBLISH_VALUES][HVS_PUBLISH_TEXT_MAX])
{
    DWORD error;

    if (memcmp(publish->published, wanted, sizeof publish->published) == 0)
        return;
    error = write_changes(publish, wanted);
    if (error != ERROR_SUCCESS && error != ERROR_FILE_NOT_FOUND && !publish->complained)
        hvs_log_failure(HVS_LOG_WARNING, error, "the host is not told the state");
    publish->complained = error != ERROR_SUCCESS;
}

/* ---- what to say ---- */

/* "2026-11-26T11:00:00Z ", that many milliseconds ago. */
static void
add_time(struct hvs_text *out, uint64_t ago)
{
    FILETIME now;

    GetSystemTimeAsFileTime(&now);
    hvs_wide_add_time(out,
                      ((uint64_t)now.dwHighDateTime << 32 | now.dwLowDateTime) -
                          ago * UNITS_PER_MILLISECOND,
                      'T');
    hvs_text_add(out, "Z ");
}

/* Once for each: the clocks do not run exactly alike, and its time would not stay the same. */
static void
note_failure(struct hvs_publish *publish, const struct hvs_session *session, uint64_t now)
{
    struct hvs_text text;

    if (publish->failure_id == session->id)
        return;
    hvs_text_init(&text, publish->failure, sizeof publish->failure);
    add_time(&text, now - session->ended);
    hvs_status_print_failure(session, &text);
    publish->failure_id = session->id;
}

static void
add_error(struct hvs_publish *publish, const struct hvs_status *status, struct hvs_text *out)
{
    const char *problem = hvs_status_problem(status);
    const struct hvs_session *failure = hvs_status_last_failure(status);

    if (problem != NULL) {
        hvs_text_add_visible(out, problem);
    } else if (failure != NULL) {
        note_failure(publish, failure, status->now);
        hvs_text_add(out, publish->failure);
    }
}

static const char nothing[HVS_PUBLISH_VALUES][HVS_PUBLISH_TEXT_MAX] = { "" };

void
hvs_publish_init(struct hvs_publish *publish)
{
    memset(publish->published, 1, sizeof publish->published);
}

void
hvs_publish_update(struct hvs_publish *publish, unsigned setting, const struct hvs_status *status)
{
    char wanted[HVS_PUBLISH_VALUES][HVS_PUBLISH_TEXT_MAX] = { "" };
    struct hvs_text text;

    if (setting == HVS_PUBLISH_NO) {
        hvs_publish_end(publish);
        return;
    }
    hvs_text_init(&text, wanted[HVS_PUBLISH_STATE], HVS_PUBLISH_TEXT_MAX);
    hvs_text_add(&text, hvs_overall_to_string(hvs_status_overall(status)));
    hvs_text_init(&text, wanted[HVS_PUBLISH_VERSION], HVS_PUBLISH_TEXT_MAX);
    hvs_text_add(&text, status->version);
    hvs_text_init(&text, wanted[HVS_PUBLISH_LAST_ERROR], HVS_PUBLISH_TEXT_MAX);
    add_error(publish, status, &text);
    make_so(publish, wanted);
}

void
hvs_publish_end(struct hvs_publish *publish)
{
    make_so(publish, nothing);
}

DWORD
hvs_publish_clear(void)
{
    struct hvs_publish publish = { .complained = false };
    DWORD error;

    hvs_publish_init(&publish);
    error = write_changes(&publish, nothing);
    return error == ERROR_FILE_NOT_FOUND ? ERROR_SUCCESS : error;
}

#include "log.h"

#include "text.h"

#include <string.h>

static const char *const names[] = {
    [HVS_LOG_ERROR] = "error", [HVS_LOG_WARNING] = "warning", [HVS_LOG_NOTICE] = "notice",
    [HVS_LOG_INFO] = "info",   [HVS_LOG_DEBUG] = "debug",
};

#define LEVELS (sizeof names / sizeof names[0])

const char *
hvs_log_level_to_string(enum hvs_log_level level)
{
    return (size_t)level < LEVELS ? names[level] : "unknown";
}

bool
hvs_log_level_from_string(const char *string, enum hvs_log_level *level)
{
    for (size_t i = 0; i < LEVELS; i++) {
        if (hvs_text_is_word(string, strlen(string), names[i])) {
            *level = (enum hvs_log_level)i;
            return true;
        }
    }
    return false;
}

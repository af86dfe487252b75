/* Log levels, the same words on both platforms. Writing the log is the platform's business. */
#ifndef HVS_COMMON_LOG_H
#define HVS_COMMON_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum hvs_log_level {
    HVS_LOG_ERROR,   /* the service cannot do its work, or a session ended in trouble */
    HVS_LOG_WARNING, /* something is wrong, the service goes on */
    HVS_LOG_NOTICE,  /* what an administrator wants to see: ready, session started, ended */
    HVS_LOG_INFO,    /* steps of a session */
    HVS_LOG_DEBUG,   /* all there is */
};

const char *hvs_log_level_to_string(enum hvs_log_level level);
/* Case does not matter. false: no such level. */
bool hvs_log_level_from_string(const char *string, enum hvs_log_level *level);

#endif

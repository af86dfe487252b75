/* Looks at the machine beside the main loop: hvs_probe() reads files for some tens of milliseconds,
 * so a thread does it that lives no longer. Nothing runs, and nothing wakes up, unless somebody has
 * asked. Main thread only. */
#ifndef HVS_LINUX_CHECKUP_H
#define HVS_LINUX_CHECKUP_H

#include "machine.h"

/* Between the beginnings of two looks, in milliseconds: whoever asks more often waits that long,
 * and all who wait share one look. */
#define HVS_CHECKUP_INTERVAL 500u
/* More must not wait at a time. */
#define HVS_CHECKUP_PENDING_MAX 32u

typedef struct hvs_checkup hvs_checkup;

/* What was asked for has been done; FALSE: it will not be, the checkup goes away. */
typedef void (*hvs_checkup_answer)(gboolean done, gpointer user_data);

/* machine is borrowed. looked is called after each look, before those who have asked for it. */
hvs_checkup *hvs_checkup_new(const struct hvs_machine *machine,
                             void (*looked)(const struct hvs_facts *facts, gpointer user_data),
                             gpointer user_data);
/* Whoever waits is answered FALSE. A look that is stuck in the kernel is left to it, and ends with
 * the process. */
void hvs_checkup_free(hvs_checkup *checkup);
/* Looks again soon. A look that is under way already does not count: what has changed may be what
 * it has passed by. answer may be NULL. FALSE: too many wait, and answer is not called. */
gboolean hvs_checkup_request(hvs_checkup *checkup, const struct hvs_settings *settings,
                             hvs_checkup_answer answer, gpointer user_data);
/* Answers FALSE to everybody who waits. */
void hvs_checkup_dismiss(hvs_checkup *checkup);

#endif

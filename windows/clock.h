/* Milliseconds of a clock that never goes back and never wraps: what sessions, deadlines and status
 * are measured with. Any thread. */
#ifndef HVS_WINDOWS_CLOCK_H
#define HVS_WINDOWS_CLOCK_H

#include <stdint.h>

/* Before the first call of hvs_clock_now(), while there is one thread. */
void hvs_clock_init(void);
/* On systems without GetTickCount64 (before Vista) somebody has to call it once in 49 days: the
 * daemon's loop does, daily. */
uint64_t hvs_clock_now(void);

#endif

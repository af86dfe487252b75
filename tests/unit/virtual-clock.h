/* Time that passes only when the test says so. Needs the linker's --wrap for hvs_relay_now,
 * g_get_monotonic_time and g_timeout_source_new; what is under test has one timer at most. For
 * programs of one source file.
 */
#ifndef TESTS_UNIT_VIRTUAL_CLOCK_H
#define TESTS_UNIT_VIRTUAL_CLOCK_H

#include <glib.h>
#include <stdbool.h>

uint64_t __wrap_hvs_relay_now(void);
gint64 __wrap_g_get_monotonic_time(void);
gint64 __real_g_get_monotonic_time(void);
GSource *__wrap_g_timeout_source_new(guint interval);

static uint64_t clock_now; /* milliseconds */
static GSource *timer;     /* the last one that was made */

/* A day ahead: no timer is ever due by the real clock. */
static inline void
clock_start(void)
{
    clock_now = (uint64_t)__real_g_get_monotonic_time() / 1000 + 24 * 60 * 60 * 1000;
}

uint64_t
__wrap_hvs_relay_now(void)
{
    return clock_now;
}

gint64
__wrap_g_get_monotonic_time(void)
{
    return (gint64)clock_now * 1000;
}

static gboolean
dispatch_timer(GSource *source, GSourceFunc callback, gpointer user_data)
{
    g_source_set_ready_time(source, -1);
    return callback(user_data);
}

GSource *
__wrap_g_timeout_source_new(guint interval)
{
    static GSourceFuncs functions = { .dispatch = dispatch_timer };

    g_clear_pointer(&timer, g_source_unref);
    timer = g_source_new(&functions, sizeof(GSource));
    g_source_set_ready_time(timer, (gint64)(clock_now + interval) * 1000);
    return g_source_ref(timer);
}

static inline bool
timer_runs(void)
{
    return timer != NULL && !g_source_is_destroyed(timer);
}

/* Milliseconds of the clock. */
static inline uint64_t
timer_due(void)
{
    return (uint64_t)g_source_get_ready_time(timer) / 1000;
}

/* Everything that can be done now. */
static inline void
settle(void)
{
    while (g_main_context_iteration(NULL, FALSE))
        ;
}

static inline void
pass_time(uint64_t milliseconds)
{
    clock_now += milliseconds;
    if (timer_runs() && timer_due() <= clock_now)
        g_source_set_ready_time(timer, 0);
    settle();
}

#endif

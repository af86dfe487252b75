/* For builds with the thread sanitizer only: tells it of GLib's mutexes. GLib itself is not
 * instrumented and locks with futex calls, so without this every use of a GMutex looks like a race.
 */
#include <dlfcn.h>
#include <glib.h>
#include <sanitizer/tsan_interface.h>

/* Kept from the first call on; the pointers are the same in every thread. */
static void *
real(void **where, const char *name)
{
    void *function = __atomic_load_n(where, __ATOMIC_ACQUIRE);

    if (function == NULL) {
        function = dlsym(RTLD_NEXT, name);
        __atomic_store_n(where, function, __ATOMIC_RELEASE);
    }
    return function;
}

void
g_mutex_lock(GMutex *mutex)
{
    static void *function;

    ((void (*)(GMutex *))real(&function, "g_mutex_lock"))(mutex);
    __tsan_acquire(mutex);
}

void
g_mutex_unlock(GMutex *mutex)
{
    static void *function;

    __tsan_release(mutex);
    ((void (*)(GMutex *))real(&function, "g_mutex_unlock"))(mutex);
}

gboolean
g_cond_wait_until(GCond *cond, GMutex *mutex, gint64 end)
{
    static void *function;
    gboolean signalled;

    __tsan_release(mutex);
    signalled = ((gboolean(*)(GCond *, GMutex *, gint64))real(&function, "g_cond_wait_until"))(
        cond, mutex, end);
    __tsan_acquire(mutex);
    return signalled;
}

#include "clock.h"

#include <windows.h>

#include <string.h>

/* The one clock of the process. The function is looked up at run time, since XP lacks it. */
static struct {
    ULONGLONG(WINAPI *get_tick_count_64)(void);
    CRITICAL_SECTION lock; /* the rest is for systems that lack it */
    DWORD            last;
    uint64_t         wraps;
} source;

void
hvs_clock_init(void)
{
    FARPROC function = GetProcAddress(GetModuleHandleW(L"kernel32.dll"), "GetTickCount64");

    InitializeCriticalSection(&source.lock);
    memcpy(&source.get_tick_count_64, &function, sizeof function);
    source.last = GetTickCount();
}

uint64_t
hvs_clock_now(void)
{
    uint64_t now;
    DWORD ticks;

    if (source.get_tick_count_64 != NULL)
        return source.get_tick_count_64();
    EnterCriticalSection(&source.lock);
    ticks = GetTickCount();
    if (ticks < source.last)
        source.wraps++;
    source.last = ticks;
    now = source.wraps << 32 | ticks;
    LeaveCriticalSection(&source.lock);
    return now;
}

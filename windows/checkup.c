#include "checkup.h"

#include "clock.h"
#include "probe.h"

#include <process.h>
#include <stdlib.h>

struct hvs_checkup {
    HANDLE done, stop;      /* stop: manual-reset */
    HANDLE thread;          /* NULL: nobody looks */
    uint64_t looked;        /* when the last look was done; 0: never */
    struct hvs_facts facts; /* the thread's, while there is one */
};

static unsigned __stdcall look(void *argument)
{
    struct hvs_checkup *checkup = argument;
    const struct hvs_probe_options options = { .from_service = true, .stop = checkup->stop };

    hvs_probe(&options, &checkup->facts);
    SetEvent(checkup->done);
    return 0;
}

DWORD
hvs_checkup_new(HANDLE done, struct hvs_checkup **checkup)
{
    struct hvs_checkup *made = calloc(1, sizeof *made);

    *checkup = NULL;
    if (made == NULL)
        return ERROR_NOT_ENOUGH_MEMORY;
    made->done = done;
    made->stop = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (made->stop == NULL) {
        DWORD error = GetLastError();

        free(made);
        return error;
    }
    *checkup = made;
    return ERROR_SUCCESS;
}

static void
join(struct hvs_checkup *checkup)
{
    if (checkup->thread == NULL)
        return;
    WaitForSingleObject(checkup->thread, INFINITE);
    CloseHandle(checkup->thread);
    checkup->thread = NULL;
}

void
hvs_checkup_free(struct hvs_checkup *checkup)
{
    if (checkup == NULL)
        return;
    SetEvent(checkup->stop);
    join(checkup);
    CloseHandle(checkup->stop);
    free(checkup);
}

bool
hvs_checkup_request(struct hvs_checkup *checkup)
{
    if (checkup->thread != NULL)
        return false;
    if (checkup->looked != 0 && hvs_clock_now() - checkup->looked < HVS_CHECKUP_FRESH)
        return true;
    checkup->thread = (HANDLE)_beginthreadex(NULL, 0, look, checkup, 0, NULL);
    return false;
}

bool
hvs_checkup_is_looking(const struct hvs_checkup *checkup)
{
    return checkup->thread != NULL;
}

bool
hvs_checkup_dispatch(struct hvs_checkup *checkup)
{
    if (checkup->thread == NULL)
        return false;
    join(checkup);
    checkup->looked = hvs_clock_now();
    return true;
}

const struct hvs_facts *
hvs_checkup_facts(const struct hvs_checkup *checkup)
{
    return &checkup->facts;
}

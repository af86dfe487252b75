/* hvsession.exe: the Enhanced Session service and its command line. */
#include "cli.h"
#include "../clock.h"
#include "../wide.h"

#include <stdlib.h>

/* What the C library calls; no header of its own declares it. */
int wmain(int count, WCHAR **wide);

/* The arguments as UTF-8, in one piece that the caller frees; NULL: out of memory. */
static char **
convert_arguments(int count, WCHAR **wide)
{
    size_t pointers = (size_t)(count + 1) * sizeof(char *), bytes = 0;
    char **arguments;
    char *end;

    for (int i = 0; i < count; i++)
        bytes += wcslen(wide[i]) * 3 + 1;
    arguments = calloc(1, pointers + bytes);
    if (arguments == NULL)
        return NULL;
    end = (char *)arguments + pointers;
    for (int i = 0; i < count; i++) {
        size_t size = wcslen(wide[i]) * 3 + 1;

        arguments[i] = end;
        hvs_wide_to_utf8(wide[i], end, size);
        end += size;
    }
    return arguments;
}

int
wmain(int count, WCHAR **wide)
{
    char **arguments = convert_arguments(count, wide);
    int status;

    if (arguments == NULL)
        return HVS_EXIT_FAILED;
    hvs_clock_init();
    status = hvs_cli(count, arguments);
    free(arguments);
    return status;
}

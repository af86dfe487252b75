#include "failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void
fail(int error, const char *format, ...)
{
    char text[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    fprintf(stderr, "relay-bench: %s%s%s\n", text, error != 0 ? ": " : "",
            error != 0 ? strerror(error) : "");
    fflush(NULL);
    _exit(EXIT_TROUBLE);
}

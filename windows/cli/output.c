#include "parts.h"

#include "../service.h"
#include "../wide.h"

#include <stdlib.h>
#include <string.h>
#include <wchar.h>

/* XP's console takes no more than some ten thousand characters at once. */
#define CONSOLE_PIECE 8192u

static void
write_console(HANDLE console, const WCHAR *wide)
{
    size_t length = wcslen(wide);
    DWORD written;

    while (length > 0 &&
           WriteConsoleW(console, wide, (DWORD)min(length, CONSOLE_PIECE), &written, NULL) &&
           written > 0) {
        wide += written;
        length -= written;
    }
}

/* UTF-8, to a console as it needs it, to anything else as it is; line feeds become CR LF. */
static void
print_to(DWORD stream, const char *string)
{
    HANDLE handle = GetStdHandle(stream);
    size_t length = strlen(string);
    DWORD mode, written;
    char *lines = malloc(length * 2 + 1);
    WCHAR *wide = malloc((length * 2 + 1) * sizeof *wide);
    char *end = lines;

    if (lines == NULL || wide == NULL || handle == NULL)
        goto cleanup;
    for (const char *c = string; *c != '\0'; c++) {
        if (*c == '\n')
            *end++ = '\r';
        *end++ = *c;
    }
    *end = '\0';
    if (GetConsoleMode(handle, &mode) && hvs_wide_from_utf8(lines, wide, length * 2 + 1))
        write_console(handle, wide);
    else
        WriteFile(handle, lines, (DWORD)(end - lines), &written, NULL);
cleanup:
    free(lines);
    free(wide);
}

void
hvs_cli_print(const char *string)
{
    print_to(STD_OUTPUT_HANDLE, string);
}

void
hvs_cli_complain(const char *sentence)
{
    char bytes[2048];
    struct hvs_text text;

    hvs_text_init(&text, bytes, sizeof bytes);
    hvs_text_add(&text, "hvsession: ");
    hvs_text_add_wrapped(&text, sentence, 11, 79);
    hvs_text_add_char(&text, '\n');
    print_to(STD_ERROR_HANDLE, bytes);
}

int
hvs_cli_complain_usage(const char *what, const char *argument)
{
    char bytes[512];
    struct hvs_text text;

    hvs_text_init(&text, bytes, sizeof bytes);
    hvs_text_add(&text, what);
    if (argument != NULL) {
        hvs_text_add(&text, ": ");
        hvs_text_add_visible(&text, argument);
    }
    hvs_text_add(&text, "; try hvsession help");
    hvs_cli_complain(bytes);
    return HVS_EXIT_USAGE;
}

int
hvs_cli_complain_error(const char *what, DWORD error)
{
    char bytes[1024];
    struct hvs_text text;

    if (error == ERROR_SERVICE_DOES_NOT_EXIST) {
        hvs_cli_complain("the service is not installed; install it with: hvsession install");
        return HVS_EXIT_NOT_RUNNING;
    }
    hvs_text_init(&text, bytes, sizeof bytes);
    hvs_text_add(&text, what);
    hvs_text_add(&text, ": ");
    hvs_wide_add_error(&text, error);
    if (error == ERROR_ACCESS_DENIED)
        hvs_text_add(&text, "; this needs administrator rights: right-click Command Prompt, choose "
                            "Run as administrator, and try again there");
    hvs_cli_complain(bytes);
    return HVS_EXIT_FAILED;
}

bool
hvs_cli_is_word(const char *argument, const char *word)
{
    return hvs_text_is_word(argument, strlen(argument), word);
}

bool
hvs_cli_is_option(const char *argument, const char *name)
{
    size_t dashes = strspn(argument, "-");

    if (dashes == 0 && argument[0] == '/')
        dashes = 1;
    return dashes >= 1 && dashes <= 2 && hvs_cli_is_word(argument + dashes, name);
}

bool
hvs_cli_is_help(const char *argument)
{
    return hvs_cli_is_option(argument, "help") || hvs_cli_is_option(argument, "h") ||
           hvs_cli_is_option(argument, "?");
}

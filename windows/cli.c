#include "cli.h"

#include "daemon.h"
#include "log.h"
#include "registry.h"
#include "service.h"
#include "status-pipe.h"
#include "wide.h"

#include "common/status.h"

#include <stdlib.h>
#include <string.h>
#include <wchar.h>

struct command {
    const char *name;
    const char *arguments; /* for the usage line */
    const char *help;
    int (*run)(int count, char **arguments); /* behind the command's name */
};

static int run_help(int count, char **arguments);

/* ---- output ---- */

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

static void
print(const char *string)
{
    print_to(STD_OUTPUT_HANDLE, string);
}

/* "hvsession: SENTENCE" to standard error, in lines of 80 columns. */
static void
complain(const char *sentence)
{
    char bytes[2048];
    struct hvs_text text;

    hvs_text_init(&text, bytes, sizeof bytes);
    hvs_text_add(&text, "hvsession: ");
    hvs_text_add_wrapped(&text, sentence, 11, 79);
    hvs_text_add_char(&text, '\n');
    print_to(STD_ERROR_HANDLE, bytes);
}

static int
complain_usage(const char *what, const char *argument)
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
    complain(bytes);
    return HVS_EXIT_USAGE;
}

/* What did not work, why, and what to do. */
static int
complain_error(const char *what, DWORD error)
{
    char bytes[1024];
    struct hvs_text text;

    if (error == ERROR_SERVICE_DOES_NOT_EXIST) {
        complain("the service is not installed; install it with: hvsession install");
        return HVS_EXIT_NOT_RUNNING;
    }
    hvs_text_init(&text, bytes, sizeof bytes);
    hvs_text_add(&text, what);
    hvs_text_add(&text, ": ");
    hvs_wide_add_error(&text, error);
    if (error == ERROR_ACCESS_DENIED)
        hvs_text_add(&text, "; this needs administrator rights: right-click Command Prompt, choose "
                            "Run as administrator, and try again there");
    complain(bytes);
    return HVS_EXIT_FAILED;
}

static bool
is_word(const char *argument, const char *word)
{
    return hvs_text_is_word(argument, strlen(argument), word);
}

/* --name, -name and /name are the same. */
static bool
is_option(const char *argument, const char *name)
{
    size_t dashes = strspn(argument, "-");

    if (dashes == 0 && argument[0] == '/')
        dashes = 1;
    return dashes >= 1 && dashes <= 2 && is_word(argument + dashes, name);
}

static bool
is_help(const char *argument)
{
    return is_option(argument, "help") || is_option(argument, "h") || is_option(argument, "?");
}

/* ---- run, service ---- */

/* A console's handler has no argument of ours. */
static struct hvs_daemon *console_daemon;

static BOOL WINAPI
on_console_event(DWORD event)
{
    if (event != CTRL_C_EVENT && event != CTRL_BREAK_EVENT && event != CTRL_CLOSE_EVENT)
        return FALSE;
    hvs_daemon_stop(console_daemon);
    return TRUE;
}

static int
run_in_console(int count, char **arguments)
{
    const char *log_level = NULL;
    enum hvs_log_level level;
    char problem[HVS_REGISTRY_MESSAGE_MAX];
    struct hvs_text text;

    if (count == 2 && is_option(arguments[0], "log-level"))
        log_level = arguments[1];
    else if (count > 0)
        return complain_usage("run takes --log-level LEVEL only, not", arguments[0]);
    if (log_level != NULL && !hvs_log_level_from_string(log_level, &level))
        return complain_usage("the log level is error, warning, notice, info or debug, not",
                              log_level);
    hvs_log_to_console();
    hvs_text_init(&text, problem, sizeof problem);
    if (hvs_daemon_new(log_level, &console_daemon, &text) != ERROR_SUCCESS) {
        complain(problem);
        return HVS_EXIT_FAILED;
    }
    SetConsoleCtrlHandler(on_console_event, TRUE);
    hvs_daemon_run(console_daemon);
    SetConsoleCtrlHandler(on_console_event, FALSE);
    hvs_daemon_free(console_daemon);
    console_daemon = NULL;
    return HVS_EXIT_OK;
}

static int
run_service(int count, char **arguments)
{
    DWORD error;

    if (count > 0)
        return complain_usage("service takes no arguments, not", arguments[0]);
    error = hvs_service_run();
    if (error == ERROR_FAILED_SERVICE_CONTROLLER_CONNECT) {
        complain("this command is for the service manager; to start the service use hvsession "
                 "start, to run in this window hvsession run");
        return HVS_EXIT_USAGE;
    }
    return error == ERROR_SUCCESS ? HVS_EXIT_OK : complain_error("running as a service", error);
}

/* ---- install, uninstall, start, stop ---- */

static int
manage(int count, char **arguments, DWORD (*function)(void), const char *doing, const char *done)
{
    DWORD error;

    if (count > 0)
        return complain_usage("this command takes no arguments, not", arguments[0]);
    error = function();
    if (error != ERROR_SUCCESS)
        return complain_error(doing, error);
    print(done);
    return HVS_EXIT_OK;
}

static int
run_install(int count, char **arguments)
{
    return manage(count, arguments, hvs_service_install, "installing the service",
                  "Installed. It starts with Windows; start it now with: hvsession start\n");
}

static int
run_uninstall(int count, char **arguments)
{
    return manage(count, arguments, hvs_service_uninstall, "removing the service",
                  "Removed, with its settings.\n");
}

static int
run_start(int count, char **arguments)
{
    return manage(count, arguments, hvs_service_start,
                  "starting the service, see the Application event log, source HvSession",
                  "Started. See how it does with: hvsession status\n");
}

static int
run_stop(int count, char **arguments)
{
    return manage(count, arguments, hvs_service_stop, "stopping the service", "Stopped.\n");
}

/* ---- status, disconnect ---- */

/* Why the status pipe is not there. */
static int
explain_silence(void)
{
    DWORD state = 0, error = hvs_service_state(&state);

    if (error == ERROR_SERVICE_DOES_NOT_EXIST)
        return complain_error("", error);
    if (error == ERROR_SUCCESS && state == SERVICE_RUNNING)
        complain("the service runs but does not answer; restart it with: hvsession stop, then "
                 "hvsession start");
    else
        complain("the service does not run; start it with: hvsession start");
    return HVS_EXIT_NOT_RUNNING;
}

/* Prints what the service answers. */
static int
ask(const char *request)
{
    static const char error_word[] = "error: ";
    char *bytes = malloc(HVS_STATUS_JSON_MAX + 1);
    struct hvs_text answer;
    int status = HVS_EXIT_OK;
    DWORD error;

    if (bytes == NULL)
        return complain_error("asking the service", ERROR_NOT_ENOUGH_MEMORY);
    hvs_text_init(&answer, bytes, HVS_STATUS_JSON_MAX + 1);
    error = hvs_status_pipe_ask(request, &answer);
    if (error == ERROR_FILE_NOT_FOUND) {
        status = explain_silence();
    } else if (error != ERROR_SUCCESS) {
        status = complain_error("asking the service", error);
    } else if (strncmp(bytes, error_word, sizeof error_word - 1) == 0) {
        complain(bytes + sizeof error_word - 1);
        status = HVS_EXIT_FAILED;
    } else if (strcmp(bytes, "ok") != 0) {
        print(bytes);
        if (answer.length > 0 && bytes[answer.length - 1] != '\n')
            print("\n");
    }
    free(bytes);
    return status;
}

static int
run_status(int count, char **arguments)
{
    if (count == 1 && is_option(arguments[0], "json"))
        return ask("status-json");
    if (count > 0)
        return complain_usage("status takes --json only, not", arguments[0]);
    return ask("status-text");
}

static int
run_disconnect(int count, char **arguments)
{
    char request[HVS_STATUS_PIPE_REQUEST_MAX];
    struct hvs_text text;

    if (count != 1)
        return complain_usage("disconnect takes the number of a session", NULL);
    hvs_text_init(&text, request, sizeof request);
    hvs_text_add(&text, "disconnect ");
    hvs_text_add(&text, arguments[0]);
    return ask(request);
}

/* ---- config ---- */

static int
complain_setting(const char *key)
{
    char message[HVS_SETTINGS_MESSAGE_MAX];
    struct hvs_settings settings;
    struct hvs_text text;

    hvs_text_init(&text, message, sizeof message);
    hvs_settings_init(&settings);
    hvs_settings_set(&settings, HVS_ON_WINDOWS, key, "", &text);
    complain(message);
    return HVS_EXIT_USAGE;
}

/* The stored value, or the default. */
static DWORD
print_setting(const struct hvs_setting *setting, struct hvs_text *out)
{
    DWORD error = hvs_registry_get(setting, out);

    if (error != ERROR_FILE_NOT_FOUND)
        return error;
    hvs_text_add(out, setting->default_value);
    return ERROR_SUCCESS;
}

static int
list_settings(void)
{
    char bytes[4096];
    struct hvs_text text;
    size_t count;
    const struct hvs_setting *table = hvs_settings_table(&count);

    hvs_text_init(&text, bytes, sizeof bytes);
    for (size_t i = 0; i < count; i++) {
        DWORD error;

        if ((table[i].platforms & HVS_ON_WINDOWS) == 0)
            continue;
        hvs_text_add(&text, table[i].key);
        hvs_text_add_char(&text, '=');
        error = print_setting(&table[i], &text);
        if (error != ERROR_SUCCESS)
            return complain_error("reading the settings", error);
        hvs_text_add(&text, "\n    ");
        hvs_text_add_wrapped(&text, table[i].help, 4, 79);
        hvs_text_add_char(&text, '\n');
    }
    print(bytes);
    return HVS_EXIT_OK;
}

static int
get_setting(const struct hvs_setting *setting)
{
    char bytes[2048];
    struct hvs_text text;
    DWORD error;

    hvs_text_init(&text, bytes, sizeof bytes);
    error = print_setting(setting, &text);
    if (error != ERROR_SUCCESS)
        return complain_error("reading the setting", error);
    hvs_text_add_char(&text, '\n');
    print(bytes);
    return HVS_EXIT_OK;
}

static int
set_setting(const struct hvs_setting *setting, const char *value)
{
    char message[HVS_SETTINGS_MESSAGE_MAX];
    struct hvs_text text;
    DWORD error;

    hvs_text_init(&text, message, sizeof message);
    error = hvs_registry_set(setting, value, &text);
    if (error == ERROR_INVALID_DATA) {
        complain(message);
        return HVS_EXIT_USAGE;
    }
    if (error == ERROR_FILE_NOT_FOUND)
        error = ERROR_SERVICE_DOES_NOT_EXIST;
    return error == ERROR_SUCCESS ? HVS_EXIT_OK : complain_error("storing the setting", error);
}

static int
unset_setting(const struct hvs_setting *setting)
{
    DWORD error = hvs_registry_unset(setting);

    return error == ERROR_SUCCESS ? HVS_EXIT_OK : complain_error("removing the setting", error);
}

static int
run_config(int count, char **arguments)
{
    const struct hvs_setting *setting;

    if (count == 1 && is_word(arguments[0], "list"))
        return list_settings();
    if (count < 2)
        return complain_usage("config takes list, get KEY, set KEY VALUE or unset KEY", NULL);
    setting = hvs_settings_find(arguments[1], HVS_ON_WINDOWS);
    if (setting == NULL)
        return complain_setting(arguments[1]);
    if (count == 2 && is_word(arguments[0], "get"))
        return get_setting(setting);
    if (count == 3 && is_word(arguments[0], "set"))
        return set_setting(setting, arguments[2]);
    if (count == 2 && is_word(arguments[0], "unset"))
        return unset_setting(setting);
    return complain_usage("config takes list, get KEY, set KEY VALUE or unset KEY", NULL);
}

/* ---- version, help ---- */

static int
run_version(int count, char **arguments)
{
    if (count > 0)
        return complain_usage("version takes no arguments, not", arguments[0]);
    print("hvsession " HVS_VERSION "\n");
    return HVS_EXIT_OK;
}

static const struct command commands[] = {
    { "status", "[--json]", "Show what the service does, and its sessions", run_status },
    { "disconnect", "ID", "End that session (administrators)", run_disconnect },
    { "start", "", "Start the service (administrators)", run_start },
    { "stop", "", "Stop the service and all sessions (administrators)", run_stop },
    { "config", "list", "Show all settings", run_config },
    { "config", "get KEY", "Show one", run_config },
    { "config", "set KEY VALUE", "Change one (administrators)", run_config },
    { "config", "unset KEY", "Go back to its default (administrators)", run_config },
    { "install", "", "Install the service (administrators)", run_install },
    { "uninstall", "", "Remove the service and its settings (administrators)", run_uninstall },
    { "run", "[--log-level LEVEL]", "Run in this window until Ctrl+C, with a log", run_in_console },
    { "service", "", "For the service manager only", run_service },
    { "version", "", "Show the version", run_version },
    { "help", "", "Show this", run_help },
};

static int
run_help(int count, char **arguments)
{
    char bytes[4096];
    struct hvs_text text;

    (void)count;
    (void)arguments;
    hvs_text_init(&text, bytes, sizeof bytes);
    hvs_text_add(&text, "hvsession gives this Hyper-V guest Enhanced Session: it relays the\n"
                        "host's connections to the Remote Desktop of this machine.\n\n"
                        "usage: hvsession COMMAND\n\n");
    for (size_t i = 0; i < ARRAYSIZE(commands); i++) {
        hvs_text_add(&text, "  ");
        hvs_text_add(&text, commands[i].name);
        hvs_text_add_char(&text, ' ');
        hvs_text_add(&text, commands[i].arguments);
        hvs_text_pad_to(&text, 28);
        hvs_text_add(&text, commands[i].help);
        hvs_text_add_char(&text, '\n');
    }
    hvs_text_add(&text, "\nUpper and lower case are the same; /? and --help show this, too.\n"
                        "LEVEL is error, warning, notice, info or debug.\n"
                        "Exit status: 0 done, 1 failed, 2 wrong usage or value, 3 the service is\n"
                        "not installed or does not run.\n");
    print(bytes);
    return HVS_EXIT_OK;
}

int
hvs_cli(int count, char **arguments)
{
    if (count < 2) {
        run_help(0, NULL);
        return HVS_EXIT_USAGE;
    }
    for (int i = 1; i < count; i++)
        if (is_help(arguments[i]))
            return run_help(0, NULL);
    if (is_option(arguments[1], "version"))
        return run_version(count - 2, arguments + 2);
    for (size_t i = 0; i < ARRAYSIZE(commands); i++)
        if (is_word(arguments[1], commands[i].name))
            return commands[i].run(count - 2, arguments + 2);
    return complain_usage("no such command", arguments[1]);
}

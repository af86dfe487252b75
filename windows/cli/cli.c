#include "parts.h"

#include "../daemon.h"
#include "../guard.h"
#include "../log.h"
#include "../os.h"
#include "../registry.h"
#include "../service.h"
#include "../status-pipe.h"

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

/* ---- run, service ---- */

/* A console's handler has no argument of ours. */
static struct {
    CRITICAL_SECTION   lock;
    struct hvs_daemon *daemon; /* NULL: it ends already */
} console;

/* A thread of its own. */
static BOOL WINAPI
on_console_event(DWORD event)
{
    /* Of somebody, who knows of whom. */
    if (event == CTRL_LOGOFF_EVENT)
        return FALSE;
    hvs_guard_stopping();
    EnterCriticalSection(&console.lock);
    if (console.daemon != NULL)
        hvs_daemon_stop(console.daemon);
    LeaveCriticalSection(&console.lock);
    /* Where the window is closed, Windows ends the process as soon as this is back. */
    if (event != CTRL_C_EVENT && event != CTRL_BREAK_EVENT)
        Sleep(INFINITE);
    return TRUE;
}

/* The handler stays to the end: it may be running, and taking it away would wait for it. */
static DWORD
run_daemon(struct hvs_daemon *daemon)
{
    DWORD error;

    InitializeCriticalSection(&console.lock);
    console.daemon = daemon;
    SetConsoleCtrlHandler(on_console_event, TRUE);
    hvs_guard_started();
    error = hvs_daemon_run(daemon);
    hvs_guard_stopping();
    EnterCriticalSection(&console.lock);
    console.daemon = NULL;
    LeaveCriticalSection(&console.lock);
    hvs_daemon_free(daemon);
    hvs_guard_ended();
    return error;
}

static int
run_in_console(int count, char **arguments)
{
    const char *log_level = NULL;
    enum hvs_log_level level;
    struct hvs_daemon *daemon;
    DWORD error;
    char problem[HVS_REGISTRY_MESSAGE_MAX];
    struct hvs_text text;

    if (count == 2 && hvs_cli_is_option(arguments[0], "log-level"))
        log_level = arguments[1];
    else if (count > 0)
        return hvs_cli_complain_usage("run takes --log-level LEVEL only, not",
                                      arguments[count - 1]);
    if (log_level != NULL && !hvs_log_level_from_string(log_level, &level))
        return hvs_cli_complain_usage("the log level is error, warning, notice, info or debug, not",
                                      log_level);
    /* Else it ends where only they may serve a pipe, and that looks as if hvsession ran already. */
    if (!hvs_os_is_administrator())
        return hvs_cli_complain_error("running in this window", ERROR_ACCESS_DENIED);
    hvs_log_to_console();
    hvs_text_init(&text, problem, sizeof problem);
    error = hvs_guard_start(HVS_EXIT_FAILED, NULL);
    if (error != ERROR_SUCCESS)
        return hvs_cli_complain_error("running in this window", error);
    if (hvs_daemon_new(log_level, hvs_guard_doing, &daemon, &text) != ERROR_SUCCESS) {
        hvs_cli_complain(problem);
        return HVS_EXIT_FAILED;
    }
    return run_daemon(daemon) == ERROR_SUCCESS ? HVS_EXIT_OK : HVS_EXIT_FAILED;
}

static int
run_service(int count, char **arguments)
{
    DWORD error;

    if (count > 0)
        return hvs_cli_complain_usage("service takes no arguments, not", arguments[0]);
    error = hvs_service_run();
    if (error == ERROR_FAILED_SERVICE_CONTROLLER_CONNECT) {
        hvs_cli_complain(
            "this command is for the service manager; to start the service use hvsession "
            "start, to run in this window hvsession run");
        return HVS_EXIT_USAGE;
    }
    return error == ERROR_SUCCESS ? HVS_EXIT_OK
                                  : hvs_cli_complain_error("running as a service", error);
}

/* ---- install, uninstall, start, stop ---- */

static int
manage(int count, char **arguments, DWORD (*function)(void), const char *doing, const char *done)
{
    DWORD error;

    if (count > 0)
        return hvs_cli_complain_usage("this command takes no arguments, not", arguments[0]);
    error = function();
    if (error != ERROR_SUCCESS)
        return hvs_cli_complain_error(doing, error);
    hvs_cli_print(done);
    return HVS_EXIT_OK;
}

static int
run_install(int count, char **arguments)
{
    return manage(count, arguments, hvs_service_install, "installing the service",
                  "Installed. It starts with Windows; start it now with: hvsession start\n");
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

/* Why nobody answers on the status pipe, or it is not there. */
static int
explain_silence(void)
{
    DWORD state = 0, error = hvs_service_state(&state);

    if (error == ERROR_SERVICE_DOES_NOT_EXIST)
        return hvs_cli_complain_error("", error);
    if (error == ERROR_SUCCESS && state == SERVICE_RUNNING)
        hvs_cli_complain(
            "the service runs but does not answer; restart it with: hvsession stop, then "
            "hvsession start");
    else
        hvs_cli_complain("the service does not run; start it with: hvsession start");
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
        return hvs_cli_complain_error("asking the service", ERROR_NOT_ENOUGH_MEMORY);
    hvs_text_init(&answer, bytes, HVS_STATUS_JSON_MAX + 1);
    error = hvs_status_pipe_ask(request, &answer);
    if (error == ERROR_FILE_NOT_FOUND || error == ERROR_TIMEOUT || error == ERROR_SEM_TIMEOUT) {
        status = explain_silence();
    } else if (error != ERROR_SUCCESS) {
        status = hvs_cli_complain_error("asking the service", error);
    } else if (strncmp(bytes, error_word, sizeof error_word - 1) == 0) {
        hvs_cli_complain(bytes + sizeof error_word - 1);
        status = HVS_EXIT_FAILED;
    } else if (strcmp(bytes, "ok") != 0) {
        hvs_cli_print(bytes);
        if (answer.length > 0 && bytes[answer.length - 1] != '\n')
            hvs_cli_print("\n");
    }
    free(bytes);
    return status;
}

static int
show(int count, char **arguments, const char *text_request, const char *json_request)
{
    if (count == 0)
        return ask(text_request);
    if (!hvs_cli_is_option(arguments[0], "json"))
        return hvs_cli_complain_usage("this command takes --json only, not", arguments[0]);
    if (count > 1)
        return hvs_cli_complain_usage("this command takes --json only, not", arguments[1]);
    return ask(json_request);
}

static int
run_status(int count, char **arguments)
{
    return show(count, arguments, "status-text", "status-json");
}

static int
run_sessions(int count, char **arguments)
{
    return show(count, arguments, "sessions-text", "sessions-json");
}

static int
run_disconnect(int count, char **arguments)
{
    char request[HVS_STATUS_PIPE_REQUEST_MAX];
    struct hvs_text text;
    uint32_t id;

    if (count != 1)
        return hvs_cli_complain_usage("disconnect takes the number of a session", NULL);
    if (!hvs_status_pipe_parse_id(arguments[0], &id))
        return hvs_cli_complain_usage("disconnect takes the number of a session, not",
                                      arguments[0]);
    hvs_text_init(&text, request, sizeof request);
    hvs_text_add(&text, "disconnect ");
    hvs_text_add_u64(&text, id);
    return ask(request);
}

/* ---- version, help ---- */

static int
run_version(int count, char **arguments)
{
    if (count > 0)
        return hvs_cli_complain_usage("version takes no arguments, not", arguments[0]);
    hvs_cli_print("hvsession " HVS_VERSION "\n");
    return HVS_EXIT_OK;
}

static const struct command commands[] = {
    { "status", "[--json]", "Show what the service does, and its sessions", run_status },
    { "sessions", "[--json]", "List the sessions, those that have ended as well", run_sessions },
    { "doctor", "[--verbose|--json]", "Say why it does not work, and what mends it",
      hvs_cli_doctor },
    { "support-bundle", "[FILE]", "Write all that helps to find out why into a file",
      hvs_cli_support_bundle },
    { "disconnect", "ID", "End that session *", run_disconnect },
    { "start", "", "Start the service *", run_start },
    { "stop", "", "Stop the service and all sessions *", run_stop },
    { "setup", "[OPTION...]", "Let Windows take Enhanced Sessions *", hvs_cli_setup },
    { "setup", "--undo", "Put back what setup and config changed *", hvs_cli_setup },
    { "config", "list", "Show all settings", hvs_cli_config },
    { "config", "get KEY", "Show one", hvs_cli_config },
    { "config", "set KEY VALUE", "Change one *", hvs_cli_config },
    { "config", "unset KEY", "Go back to its default *", hvs_cli_config },
    { "install", "", "Install the service *", run_install },
    { "uninstall", "", "Undo setup, remove the service and its settings *", hvs_cli_uninstall },
    { "run", "[--log-level LEVEL]", "Run in this window until Ctrl+C, with a log *",
      run_in_console },
    { "service", "", "For the service manager only", run_service },
    { "version", "", "Show the version", run_version },
    { "help", "", "Show this", run_help },
};

static const char help_end[] =
    "\n* Needs administrator rights: right-click Command Prompt, Run as administrator.\n"
    "\nsetup turns Remote Desktop on, lets it take the plain RDP that comes from the\n"
    "host, and keeps its port off the network. Options:\n"
    "  --no-rdp          leave Remote Desktop on or off, as it is\n"
    "  --keep-nla        leave Network Level Authentication and TLS as they are\n"
    "  --no-firewall     leave the firewall as it is\n"
    "  --firewall        close the port even if you are connected through it now\n"
    "  --blank-password  let accounts without a password log in\n"
    "  --override        take the place of what is built into Windows 8.1 and later\n"
    "  --dry-run         only say what would be done; with --undo, too\n"
    "\nA service that has failed is started again within a minute: stop does not call\n"
    "that off, and may have to be said again.\n"
    "\nUpper and lower case are the same; options may begin with / as well, and /?\n"
    "shows this. LEVEL is error, warning, notice, info or debug.\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage or value, 3 the service is not\n"
    "installed or does not run, 3010 done, but Windows has to be restarted. Of\n"
    "doctor: 0 fine, 1 not, 3 no Hyper-V guest, 4 not offered, 5 service down.\n";

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
    hvs_text_add(&text, help_end);
    hvs_cli_print(bytes);
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
        if (hvs_cli_is_help(arguments[i]))
            return run_help(0, NULL);
    if (hvs_cli_is_option(arguments[1], "version"))
        return run_version(count - 2, arguments + 2);
    for (size_t i = 0; i < ARRAYSIZE(commands); i++)
        if (hvs_cli_is_word(arguments[1], commands[i].name))
            return commands[i].run(count - 2, arguments + 2);
    return hvs_cli_complain_usage("no such command", arguments[1]);
}

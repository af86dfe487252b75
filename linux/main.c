/* hvsessiond: the Enhanced Session service. */
#include "daemon.h"
#include "config.h"
#include "log.h"
#include "vmbus.h"

#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define EXIT_USAGE 2

struct options {
    char    *config;
    char    *log_level;
    gboolean bind;
    gboolean unbind;
    char    *root; /* another machine's trees below this directory; NULL: this machine */
    gboolean version;
};

static gboolean
parse_options(int *argc, char ***argv, struct options *options, GError **error)
{
    const GOptionEntry entries[] = {
        { "config", 'c', 0, G_OPTION_ARG_FILENAME, &options->config,
          "Read this and the conf.d beside it", "FILE" },
        { "log-level", 'l', 0, G_OPTION_ARG_STRING, &options->log_level,
          "Log that much, whatever the configuration says", "LEVEL" },
        { "bind", 0, 0, G_OPTION_ARG_NONE, &options->bind,
          "Bind the host's channels to uio_hv_generic, and exit", NULL },
        { "unbind", 0, 0, G_OPTION_ARG_NONE, &options->unbind, "Undo that, and exit", NULL },
        { "root", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_FILENAME, &options->root,
          "Take the system's trees from below DIR", "DIR" },
        { "version", 'V', 0, G_OPTION_ARG_NONE, &options->version, "Print the version and exit",
          NULL },
        { 0 },
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);

    g_option_context_set_summary(
        context, "Gives this Hyper-V guest Enhanced Session: relays the host's connections to the\n"
                 "RDP server of this machine.");
    g_option_context_set_description(
        context, "FILE is /etc/hvsession/hvsession.conf by default, and may be missing then.\n"
                 "LEVEL is error, warning, notice, info or debug.\n\n"
                 "Signals: SIGTERM ends all sessions, SIGHUP reads the configuration again,\n"
                 "SIGUSR1 writes the status to the log.\n"
                 "Exit status: 0 stopped, 1 failed, 2 bad option or configuration.\n");
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, argc, argv, error))
        return FALSE;
    if (options->bind && options->unbind) {
        g_set_error_literal(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                            "--bind and --unbind exclude each other");
        return FALSE;
    }
    if (*argc > 1) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "unexpected argument: %s",
                    (*argv)[1]);
        return FALSE;
    }
    return TRUE;
}

/* What hvsession-bind.service does. */
static int
change_binding(gboolean (*change)(const struct hvs_roots *roots, GError **error))
{
    const struct hvs_roots roots = HVS_ROOTS_SYSTEM;
    g_autoptr(GError) error = NULL;

    if (change(&roots, &error))
        return EXIT_SUCCESS;
    fprintf(stderr, "hvsessiond: %s\n", error->message);
    return EXIT_FAILURE;
}

static int
run_daemon(const struct options *options)
{
    g_auto(hvs_machine) machine;
    const struct hvs_daemon_options daemon_options = {
        .config = options->config,
        .log_level = options->log_level,
        .machine = &machine,
    };
    g_autoptr(GError) error = NULL;
    g_autoptr(hvs_daemon) daemon = NULL;

    hvs_machine_init(&machine, options->root);
    daemon = hvs_daemon_new(&daemon_options, &error);
    if (daemon == NULL) {
        fprintf(stderr, "hvsessiond: %s\n", error->message);
        return error->domain == HVS_CONFIG_ERROR ? EXIT_USAGE : EXIT_FAILURE;
    }
    return hvs_daemon_run(daemon);
}

int
main(int argc, char **argv)
{
    struct options options = { 0 };
    g_autoptr(GError) error = NULL;
    int status;

    setlocale(LC_ALL, "");
    /* A peer that has closed its end is told by the call that writes. */
    signal(SIGPIPE, SIG_IGN);
    hvs_log_init();
    if (!parse_options(&argc, &argv, &options, &error)) {
        fprintf(stderr, "hvsessiond: %s\nTry: hvsessiond --help\n", error->message);
        status = EXIT_USAGE;
    } else if (options.version) {
        puts("hvsessiond " HVS_VERSION);
        status = EXIT_SUCCESS;
    } else if (options.bind || options.unbind) {
        status = change_binding(options.bind ? hvs_vmbus_set_up : hvs_vmbus_clean_up);
    } else {
        status = run_daemon(&options);
    }
    g_free(options.config);
    g_free(options.log_level);
    g_free(options.root);
    return status;
}

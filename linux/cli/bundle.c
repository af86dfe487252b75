/* hvsession support-bundle: what somebody needs who is asked for help, in one archive.
 *
 * Everything is gathered as text below a temporary directory that nobody else may read, secrets are
 * taken out of each part, and tar(1) makes the archive. A part that cannot be had says so in its
 * place. Whoever interrupts it finds neither the directory nor half an archive.
 */
#include "service.h"
#include "redact.h"

#include "../config.h"
#include "../machine.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

/* Of the log: lines of each unit at most, and how far back. */
#define LOG_LINES "4000"
#define LOG_SINCE "-7days"
/* A file of the configuration that is larger is none. */
#define FILE_MAX (1024 * 1024)

struct bundle {
    const struct hvs_machine *machine;
    const char *root; /* as in hvs_machine_init() */
    char *name;       /* of the directory in the archive */
    char *directory;  /* the temporary one that holds it */
    GCancellable *interrupted;
};

/* ---- interruption ---- */

static const int interruptions[] = { SIGINT, SIGTERM, SIGHUP };

struct interruption {
    int number;
    guint source; /* 0: it was ignored before, as below nohup(1), and still is */
    struct bundle *bundle;
    gboolean came;
};

static gboolean
on_interruption(gpointer user_data)
{
    struct interruption *interruption = user_data;

    interruption->came = TRUE;
    g_cancellable_cancel(interruption->bundle->interrupted);
    return G_SOURCE_CONTINUE;
}

static void
watch_interruptions(struct bundle *bundle, struct interruption watches[])
{
    for (gsize i = 0; i < G_N_ELEMENTS(interruptions); i++) {
        struct sigaction before;

        watches[i] = (struct interruption){ .number = interruptions[i], .bundle = bundle };
        if (sigaction(interruptions[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            watches[i].source = g_unix_signal_add(interruptions[i], on_interruption, &watches[i]);
    }
}

/* Ends the program as the signal would have done, if one has come. */
static void
unwatch_interruptions(struct interruption watches[])
{
    for (gsize i = 0; i < G_N_ELEMENTS(interruptions); i++)
        g_clear_handle_id(&watches[i].source, g_source_remove);
    for (gsize i = 0; i < G_N_ELEMENTS(interruptions); i++)
        if (watches[i].came)
            raise(watches[i].number);
}

/* ---- other programs ---- */

struct ending {
    GAsyncResult *result; /* NULL: not yet */
};

static void
on_ending(GObject *source, GAsyncResult *result, gpointer user_data)
{
    struct ending *ending = user_data;

    (void)source;
    ending->result = g_object_ref(result);
}

/* Until the call that was begun is over. An interruption ends it and the program. */
static void
wait_for_ending(const struct bundle *bundle, GSubprocess *program, const struct ending *ending)
{
    while (ending->result == NULL)
        g_main_context_iteration(NULL, TRUE);
    if (g_cancellable_is_cancelled(bundle->interrupted))
        g_subprocess_force_exit(program);
}

static char *
to_text(GBytes *bytes)
{
    gsize size = 0;
    const char *data = bytes != NULL ? g_bytes_get_data(bytes, &size) : NULL;

    return g_strndup(data != NULL ? data : "", size);
}

/* ---- parts ---- */

/* A part of that name, which may have directories; as it is. */
static gboolean
add_own_part(const struct bundle *bundle, const char *name, const char *text, GError **error)
{
    g_autofree char *path = g_build_filename(bundle->directory, bundle->name, name, NULL);
    g_autofree char *directory = g_path_get_dirname(path);

    if (g_cancellable_set_error_if_cancelled(bundle->interrupted, error))
        return FALSE;
    if (g_mkdir_with_parents(directory, 0700) != 0) {
        g_set_error(error, G_FILE_ERROR, (gint)g_file_error_from_errno(errno), "%s: %s", directory,
                    g_strerror(errno));
        return FALSE;
    }
    return g_file_set_contents(path, text, -1, error);
}

/* What comes from elsewhere, without its secrets. */
static gboolean
add_part(const struct bundle *bundle, const char *name, const char *text, GError **error)
{
    g_autofree char *clean = hvs_cli_redact(text);

    return add_own_part(bundle, name, clean, error);
}

/* What the command writes on both streams; that it failed, else. To be freed. */
static char *
ask(const struct bundle *bundle, const char *const *command)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GSubprocess) program =
        g_subprocess_newv(command, G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE,
                          &error);
    g_autoptr(GBytes) out_bytes = NULL, err_bytes = NULL;
    g_autofree char *out = NULL, *err = NULL;
    struct ending ending = { NULL };

    if (program == NULL)
        return g_strdup_printf("%s\n", error->message);
    g_subprocess_communicate_async(program, NULL, bundle->interrupted, on_ending, &ending);
    wait_for_ending(bundle, program, &ending);
    g_subprocess_communicate_finish(program, ending.result, &out_bytes, &err_bytes, &error);
    g_object_unref(ending.result);
    if (error != NULL)
        return g_strdup_printf("%s\n", error->message);
    out = to_text(out_bytes);
    err = to_text(err_bytes);
    return g_strconcat(out, err, NULL);
}

/* Of hvsession itself, whatever it returns. */
static char *
ask_ourselves(const struct bundle *bundle, const char *verb, const char *option)
{
    g_autofree char *root =
        bundle->root != NULL ? g_strconcat("--root=", bundle->root, NULL) : NULL;
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
    const char *command[5] = { self != NULL ? self : "hvsession", verb };
    gsize count = 2;

    if (option != NULL)
        command[count++] = option;
    if (root != NULL)
        command[count++] = root;
    return ask(bundle, command);
}

static gboolean
add_ourselves(const struct bundle *bundle, GError **error)
{
    static const struct {
        const char *name, *verb, *option;
    } parts[] = {
        { "status.txt", "status", NULL },        { "status.json", "status", "--json" },
        { "sessions.txt", "sessions", NULL },    { "config.txt", "config", NULL },
        { "doctor.txt", "doctor", "--verbose" }, { "doctor.json", "doctor", "--json" },
    };

    if (!add_own_part(bundle, "version.txt", "hvsession " HVS_VERSION "\n", error))
        return FALSE;
    for (gsize i = 0; i < G_N_ELEMENTS(parts); i++) {
        g_autofree char *text = ask_ourselves(bundle, parts[i].verb, parts[i].option);

        if (!add_own_part(bundle, parts[i].name, text, error))
            return FALSE;
    }
    return TRUE;
}

/* ---- configuration ---- */

static gboolean
add_file(const struct bundle *bundle, const char *path, const char *name, GError **error)
{
    g_autofree char *text = NULL;
    gsize length;

    if (!g_file_test(path, G_FILE_TEST_IS_REGULAR))
        return TRUE;
    if (!g_file_get_contents(path, &text, &length, NULL) || length > FILE_MAX) {
        g_free(text);
        text = g_strdup("(it cannot be read; see it as root)\n");
    }
    return add_part(bundle, name, text, error);
}

static gboolean
add_drop_ins(const struct bundle *bundle, GError **error)
{
    g_autofree char *path =
        g_build_filename(bundle->machine->roots.etc, "hvsession", "conf.d", NULL);
    g_autoptr(GDir) directory = g_dir_open(path, 0, NULL);
    const char *name;

    while (directory != NULL && (name = g_dir_read_name(directory)) != NULL) {
        g_autofree char *file = g_build_filename(path, name, NULL);
        g_autofree char *part = g_build_filename("config", "hvsession", "conf.d", name, NULL);

        if (!add_file(bundle, file, part, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean
add_configuration(const struct bundle *bundle, GError **error)
{
    static const char *const files[] = { "hvsession/hvsession.conf", "hvsession/xrdp.ini",
                                         "xrdp/xrdp.ini", "xrdp/sesman.ini", "os-release" };

    for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *path = g_build_filename(bundle->machine->roots.etc, files[i], NULL);
        g_autofree char *part = g_build_filename("config", files[i], NULL);

        if (!add_file(bundle, path, part, error))
            return FALSE;
    }
    return add_drop_ins(bundle, error);
}

/* ---- the log and the packages ---- */

static gboolean
add_log(const struct bundle *bundle, GError **error)
{
    static const char *const units[] = { "hvsessiond.service", "hvsession-bind.service",
                                         "hvsession-xrdp.service", "xrdp.service",
                                         "xrdp-sesman.service" };

    for (gsize i = 0; i < G_N_ELEMENTS(units); i++) {
        const char *const command[] = { "journalctl",
                                        "--no-pager",
                                        "--quiet",
                                        "--output=short-iso",
                                        "--lines=" LOG_LINES,
                                        "--since=" LOG_SINCE,
                                        "--unit",
                                        units[i],
                                        NULL };
        g_autofree char *text = ask(bundle, command);
        g_autofree char *part = g_strdup_printf("log/%s.txt", units[i]);

        if (!add_part(bundle, part, text, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean
add_packages(const struct bundle *bundle, GError **error)
{
    static const char *const names[] = { "hvsession", "hvsession-gui", "hvsession-xrdp",
                                         "xrdp", "xorgxrdp", "hyperv-daemons",
                                         "pipewire-module-xrdp" };
    g_autofree char *dpkg = g_find_program_in_path("dpkg-query");
    g_autoptr(GPtrArray) command = g_ptr_array_new();
    g_autofree char *text = NULL;

    g_ptr_array_add(command, (gpointer)(dpkg != NULL ? "dpkg-query" : "rpm"));
    g_ptr_array_add(command, (gpointer)(dpkg != NULL ? "--show" : "--query"));
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
        g_ptr_array_add(command, (gpointer)names[i]);
    g_ptr_array_add(command, NULL);
    text = ask(bundle, (const char *const *)command->pdata);
    return add_part(bundle, "packages.txt", text, error);
}

/* ---- the kernel ---- */

/* The lines of text that match. */
static void
append_matching(GString *out, const char *text, const char *pattern)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (gsize i = 0; lines[i] != NULL; i++)
        if (g_regex_match_simple(pattern, lines[i], G_REGEX_CASELESS, 0))
            g_string_append_printf(out, "%s\n", lines[i]);
}

static void
append_modules(const struct bundle *bundle, GString *out)
{
    g_autofree char *path = g_build_filename(bundle->machine->roots.proc, "modules", NULL);
    g_autofree char *text = NULL;

    g_string_append(out, "\n# modules that are loaded\n");
    if (g_file_get_contents(path, &text, NULL, NULL))
        append_matching(out, text, "^(hv_|hyperv|uio|vmw_vsock|vsock)");
}

/* One line a device: its class, its driver, and the state of its channel. */
static void
append_device(GString *out, const char *devices, const char *name)
{
    static const char *const attributes[] = { "class_id", "id", "state", "monitor_id" };
    g_autofree char *link = g_build_filename(devices, name, "driver", NULL);
    g_autofree char *driver = g_file_read_link(link, NULL);
    g_autofree char *base = driver != NULL ? g_path_get_basename(driver) : g_strdup("no driver");

    g_string_append_printf(out, "%s %s", name, base);
    for (gsize i = 0; i < G_N_ELEMENTS(attributes); i++) {
        g_autofree char *path = g_build_filename(devices, name, attributes[i], NULL);
        g_autofree char *value = NULL;

        if (g_file_get_contents(path, &value, NULL, NULL))
            g_string_append_printf(out, " %s=%s", attributes[i], g_strstrip(value));
    }
    g_string_append_c(out, '\n');
}

static void
append_devices(const struct bundle *bundle, GString *out)
{
    g_autofree char *path = g_build_filename(bundle->machine->roots.sys, "bus/vmbus/devices", NULL);
    g_autoptr(GDir) directory = g_dir_open(path, 0, NULL);
    const char *name;

    g_string_append(out, "\n# devices on the VMBus\n");
    if (directory == NULL)
        g_string_append(out, "(there is no VMBus)\n");
    while (directory != NULL && (name = g_dir_read_name(directory)) != NULL)
        append_device(out, path, name);
}

/* Of the kernel's own messages those that concern us; all of them would be too much to give away.
 */
static void
append_messages(const struct bundle *bundle, GString *out)
{
    const char *const command[] = {
        "journalctl", "--no-pager", "--quiet", "--dmesg", "--output=short-monotonic", NULL
    };
    g_autofree char *text = ask(bundle, command);

    g_string_append(out, "\n# messages of the kernel since it started\n");
    append_matching(out, text, "hv_|hyper-?v|vmbus|uio|vsock|journal");
}

static gboolean
add_kernel(const struct bundle *bundle, GError **error)
{
    g_autoptr(GString) out = g_string_new(NULL);
    struct utsname names;

    /* Not the node's name. */
    if (uname(&names) == 0)
        g_string_append_printf(out, "%s %s %s %s\n", names.sysname, names.release, names.version,
                               names.machine);
    append_modules(bundle, out);
    append_devices(bundle, out);
    append_messages(bundle, out);
    return add_part(bundle, "kernel.txt", out->str, error);
}

/* ---- the archive ---- */

static const char read_me[] =
    "What hvsession support-bundle has gathered on this machine. Look at it before you give it\n"
    "away: passwords and keys are left out as far as they are known by their names, but names of\n"
    "users and computers are not.\n\n"
    "  version.txt   of hvsession\n"
    "  status.*      the service, its channels and its sessions, if it runs\n"
    "  sessions.txt  the sessions\n"
    "  doctor.*      what hvsession doctor says\n"
    "  config.txt    the settings of hvsession\n"
    "  config/       the configuration of hvsession and xrdp\n"
    "  log/          the last week's log of their services\n"
    "  kernel.txt    the kernel, its modules, the VMBus, and its messages on these\n"
    "  packages.txt  versions of the packages that matter\n";

static gboolean
gather(const struct bundle *bundle, GError **error)
{
    return add_own_part(bundle, "README.txt", read_me, error) && add_ourselves(bundle, error) &&
           add_configuration(bundle, error) && add_log(bundle, error) &&
           add_kernel(bundle, error) && add_packages(bundle, error);
}

/* To the descriptor, which is taken over by the call in every case. */
static gboolean
run_tar(const struct bundle *bundle, int fd, GError **error)
{
    const char *const arguments[] = { "tar",       "--create",    "--gzip",          "--owner=0",
                                      "--group=0", "--directory", bundle->directory, bundle->name,
                                      NULL };
    g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_NONE);
    g_autoptr(GSubprocess) tar = NULL;
    struct ending ending = { NULL };
    gboolean done;

    g_subprocess_launcher_take_stdout_fd(launcher, fd);
    tar = g_subprocess_launcher_spawnv(launcher, arguments, error);
    if (tar == NULL)
        return FALSE;
    g_subprocess_wait_check_async(tar, bundle->interrupted, on_ending, &ending);
    wait_for_ending(bundle, tar, &ending);
    done = g_subprocess_wait_check_finish(tar, ending.result, error);
    g_object_unref(ending.result);
    return done;
}

static void
remove_tree(const char *path)
{
    g_autoptr(GDir) directory = NULL;
    const char *name;

    if (!g_file_test(path, G_FILE_TEST_IS_SYMLINK))
        directory = g_dir_open(path, 0, NULL);
    while (directory != NULL && (name = g_dir_read_name(directory)) != NULL) {
        g_autofree char *entry = g_build_filename(path, name, NULL);

        remove_tree(entry);
    }
    g_remove(path);
}

/* Nothing is left of an archive that is not whole. */
static gboolean
write_archive(const struct bundle *bundle, const char *file, GError **error)
{
    /* Nobody else is to read it, and nothing is overwritten. */
    int fd = g_open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0) {
        g_set_error(error, G_FILE_ERROR, (gint)g_file_error_from_errno(errno), "%s: %s", file,
                    g_strerror(errno));
        return FALSE;
    }
    if (gather(bundle, error)) {
        if (run_tar(bundle, fd, error))
            return TRUE;
    } else {
        close(fd);
    }
    g_unlink(file);
    return FALSE;
}

/* Gathers below a temporary directory, of which nothing is left. */
static gboolean
make_archive(struct bundle *bundle, const char *file, GError **error)
{
    struct interruption watches[G_N_ELEMENTS(interruptions)];
    gboolean done;

    bundle->interrupted = g_cancellable_new();
    watch_interruptions(bundle, watches);
    bundle->directory = g_dir_make_tmp("hvsession-XXXXXX", error);
    done = bundle->directory != NULL && write_archive(bundle, file, error);
    if (bundle->directory != NULL)
        remove_tree(bundle->directory);
    unwatch_interruptions(watches);
    g_free(bundle->directory);
    g_object_unref(bundle->interrupted);
    return done;
}

static int
make_bundle(const char *root, const char *wanted)
{
    g_auto(hvs_machine) machine;
    struct bundle bundle = { .machine = &machine, .root = root };
    g_autoptr(GDateTime) now = g_date_time_new_now_local();
    g_autofree char *file = NULL, *said = NULL;
    g_autoptr(GError) error = NULL;
    gboolean done;

    hvs_machine_init(&machine, root);
    bundle.name = g_date_time_format(now, "hvsession-support-%Y%m%d-%H%M%S");
    file = wanted != NULL ? g_strdup(wanted) : g_strconcat(bundle.name, ".tar.gz", NULL);
    done = make_archive(&bundle, file, &error);
    g_free(bundle.name);
    if (!done) {
        hvs_cli_complain("support-bundle: %s", error->message);
        return HVS_CLI_FAILED;
    }
    said = g_strdup_printf("%s\nLook at it before you give it away: tar -tzf %s\n%s", file, file,
                           geteuid() != 0 ? "Root sees more of the log.\n" : "");
    return hvs_cli_print(said) ? HVS_CLI_FINE : HVS_CLI_FAILED;
}

static int
run(const struct hvs_cli_verb *verb, int argc, char **argv)
{
    struct hvs_cli_common options = { 0 };
    int status = HVS_CLI_USAGE;

    if (hvs_cli_parse_common(verb, &argc, &argv, &options, 1))
        status = make_bundle(options.root, argc > 1 ? argv[1] : NULL);
    g_free(options.root);
    return status;
}

const struct hvs_cli_verb hvs_cli_support_bundle = {
    .name = "support-bundle",
    .arguments = "[FILE]",
    .summary = "Gather what a helper needs, in one archive",
    .details = "The status, the diagnosis, the log, the configuration and what the kernel knows,\n"
               "as text in a tar archive, FILE or hvsession-support-DATE.tar.gz. A file that is\n"
               "there already is not overwritten.\n\n"
               "Passwords and keys are left out as far as they are known by their names. Names\n"
               "of users and computers are not: look at it before you give it away.\n\n"
               "Exit status:\n"
               "  0  done\n"
               "  1  failed\n"
               "  2  wrong option or argument\n",
    .run = run,
};

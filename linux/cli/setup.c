/* hvsession setup: turns on what Enhanced Session needs in this machine, and takes it back. */
#include "cli.h"
#include "setup-changes.h"

#include "../config.h"

#include "common/text.h"

#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SERVICE      "hvsessiond.service"
#define BINDING      "hvsession-bind.service"
#define OWN_XRDP     "hvsession-xrdp.service"
#define XRDP         "xrdp.service"
#define SESMAN       "xrdp-sesman.service"
#define GROUP_NAME   "hvsession"
#define KVP_POOL     "/var/lib/hyperv/.kvp_pool_1"
#define DROP_IN_DIR  "/etc/systemd/system/" OWN_XRDP ".d"
#define DROP_IN      DROP_IN_DIR "/setup.conf"
#define RULES_DIR    "/etc/polkit-1/rules.d"
#define COLORD_RULES RULES_DIR "/45-hvsession-colord.rules"
#define PERMISSIONS  07777
/* Of a program's own words, in bytes and columns. */
#define REASON_MAX   4096
#define REASON_WIDTH 66

/* Only what remote sessions cannot do without an administrator's password, and local ones can. */
static const char colord_rules[] =
    "// Made by \"hvsession setup --colord\": remote desktops start without asking for an\n"
    "// administrator's password, \"to create a color managed device\".\n"
    "polkit.addRule(function (action) {\n"
    "    if (/^org.freedesktop.color-manager.(create|delete|modify)-(device|profile)$/\n"
    "            .test(action.id))\n"
    "        return polkit.Result.YES;\n"
    "});\n";

struct options {
    gboolean dry_run;
    gboolean undo;
    gboolean colord;
    char *root; /* another system's, below this directory; NULL: this one */
};

struct setup {
    const struct options *options;
    hvs_changes *changes;
    guint failed, missing, kept;
    gboolean mute; /* standard output does not take any more */
};

/* ---- telling ---- */

/* At once: some steps take their time. */
static void
say(struct setup *setup, const char *text)
{
    setup->mute = setup->mute || !hvs_cli_print(text);
}

static void G_GNUC_PRINTF(3, 4)
tell(struct setup *setup, const char *what, const char *format, ...)
{
    va_list arguments;
    g_autofree char *sentence = NULL, *line = NULL;

    va_start(arguments, format);
    sentence = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    line = g_strdup_printf("  %-8s  %s\n", what, sentence);
    say(setup, line);
}

/* A line that belongs to the one before. */
static void
tell_more(struct setup *setup, const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (gsize i = 0; lines[i] != NULL; i++)
        tell(setup, "", "  %s", lines[i]);
}

/* What a program has said, in lines that fit. */
static void
tell_reason(struct setup *setup, const char *message)
{
    g_autofree char *buffer = g_malloc(REASON_MAX);
    struct hvs_text text;

    hvs_text_init(&text, buffer, REASON_MAX);
    hvs_text_add_wrapped(&text, message, 0, REASON_WIDTH);
    tell_more(setup, buffer);
}

static void
tell_missing(struct setup *setup, const char *what, const char *packages)
{
    static const char *const managers[][2] = {
        { "/usr/bin/apt", "sudo apt install" },
        { "/usr/bin/dnf", "sudo dnf install" },
        { "/usr/bin/zypper", "sudo zypper install" },
    };

    setup->missing++;
    tell(setup, "missing", "%s", what);
    for (gsize i = 0; i < G_N_ELEMENTS(managers); i++) {
        g_autofree char *path = hvs_changes_path(setup->changes, managers[i][0]);
        g_autofree char *command = g_strjoin(" ", managers[i][1], packages, NULL);

        if (!g_file_test(path, G_FILE_TEST_EXISTS))
            continue;
        tell_more(setup, command);
        return;
    }
    g_autofree char *advice = g_strconcat("install the packages ", packages, NULL);

    tell_more(setup, advice);
}

/* ---- steps ---- */

/* state: a sentence on what is so afterwards; of a directory it is said only if it fails. */
static gboolean
make(struct setup *setup, const struct hvs_change *change, const char *state)
{
    g_autoptr(GError) error = NULL;

    if (hvs_changes_make(setup->changes, change, &error)) {
        if (change->kind != HVS_CHANGE_DIRECTORY)
            tell(setup, setup->options->dry_run ? "to do" : "changed", "%s", state);
        return TRUE;
    }
    setup->failed++;
    tell(setup, "failed", "%s:", state);
    tell_reason(setup, error->message);
    return FALSE;
}

static gboolean
is_installed(const struct setup *setup, const char *unit)
{
    g_autofree char *state = hvs_changes_ask(setup->changes, "is-enabled", unit);

    return state[0] != '\0' && strcmp(state, "not-found") != 0;
}

static void
enable(struct setup *setup, const char *unit)
{
    g_autofree char *state = hvs_changes_ask(setup->changes, "is-enabled", unit);
    g_autofree char *sentence = g_strconcat(unit, " starts with the machine", NULL);

    if (g_str_has_prefix(state, "enabled")) {
        tell(setup, "was so", "%s", sentence);
    } else if (g_str_has_prefix(state, "masked")) {
        setup->failed++;
        tell(setup, "failed", "%s: it is masked", sentence);
        tell(setup, "", "  to allow it: sudo systemctl unmask %s", unit);
    } else {
        make(setup, &(struct hvs_change){ .kind = HVS_CHANGE_ENABLE, .target = unit }, sentence);
    }
}

/* What has become of a unit that was started without an error. */
static void
tell_started(struct setup *setup, const char *unit, const char *sentence)
{
    g_autofree char *state = hvs_changes_ask(setup->changes, "is-active", unit);

    if (g_str_has_prefix(state, "activ")) {
        tell(setup, "changed", "%s", sentence);
    } else if (strcmp(state, "inactive") == 0) {
        tell(setup, "not now", "%s: only in a Hyper-V guest", sentence);
    } else {
        setup->failed++;
        tell(setup, "failed", "%s; why: journalctl -e -u %s", sentence, unit);
    }
}

static void
start(struct setup *setup, const char *unit)
{
    const struct hvs_change change = { .kind = HVS_CHANGE_START, .target = unit };
    g_autofree char *state = hvs_changes_ask(setup->changes, "is-active", unit);
    g_autofree char *sentence = g_strconcat(unit, " runs", NULL);
    g_autoptr(GError) error = NULL;

    if (!hvs_changes_is_running(setup->changes))
        return; /* in the making of an image: it does when the machine starts */
    if (g_str_has_prefix(state, "activ")) {
        tell(setup, "was so", "%s", sentence);
    } else if (setup->options->dry_run) {
        tell(setup, "to do", "%s", sentence);
    } else if (hvs_changes_make(setup->changes, &change, &error)) {
        tell_started(setup, unit, sentence);
    } else {
        setup->failed++;
        tell(setup, "failed", "%s:", sentence);
        tell_reason(setup, error->message);
    }
}

/* unit may be NULL; it is said only if it fails. */
static void
systemctl(struct setup *setup, const char *verb, const char *unit)
{
    const char *const arguments[] = { verb, unit, NULL };
    g_autoptr(GError) error = NULL;

    if (!hvs_changes_is_running(setup->changes) || setup->options->dry_run ||
        hvs_changes_systemctl(setup->changes, arguments, &error))
        return;
    setup->failed++;
    tell(setup, "failed", "systemctl %s%s%s:", verb, unit != NULL ? " " : "",
         unit != NULL ? unit : "");
    tell_reason(setup, error->message);
}

/* Our xrdp's unit has changed. */
static void
reload_systemd(struct setup *setup)
{
    systemctl(setup, "daemon-reload", NULL);
    systemctl(setup, "try-restart", OWN_XRDP);
}

/* A service that was started without the channels may not open them: its unit has to find the driver
 * loaded. */
static void
bind_channels(struct setup *setup)
{
    g_autofree char *before = hvs_changes_ask(setup->changes, "is-active", BINDING);
    g_autofree char *after = NULL;

    start(setup, BINDING);
    after = hvs_changes_ask(setup->changes, "is-active", BINDING);
    if (strcmp(before, after) != 0)
        systemctl(setup, "try-restart", SERVICE);
}

/* ---- the pool of the data exchange with the host ---- */

/* The number of the service's group there; FALSE: there is none. */
static gboolean
find_group(const struct setup *setup, guint32 *number)
{
    g_autofree char *path = hvs_changes_path(setup->changes, "/etc/group");
    FILE *file = fopen(path, "re");
    const struct group *group = NULL;

    if (file == NULL)
        return FALSE;
    while ((group = fgetgrent(file)) != NULL && strcmp(group->gr_name, GROUP_NAME) != 0)
        ;
    if (group != NULL)
        *number = group->gr_gid;
    fclose(file);
    return group != NULL;
}

static void
permit_pool(struct setup *setup)
{
    g_autofree char *path = hvs_changes_path(setup->changes, KVP_POOL);
    const char *sentence = "the state of Enhanced Session can be read on the host (KVP)";
    struct hvs_change change = { .kind = HVS_CHANGE_GROUP, .target = KVP_POOL };
    struct stat status;

    if (stat(path, &status) != 0 || !find_group(setup, &change.group))
        return; /* the data exchange is not installed, which is no loss */
    change.old_group = status.st_gid;
    change.old_mode = status.st_mode & PERMISSIONS;
    change.mode = change.old_mode | S_IRGRP | S_IWGRP;
    if (change.old_group == change.group && change.old_mode == change.mode)
        tell(setup, "was so", "%s", sentence);
    else
        make(setup, &change, sentence);
}

/* ---- the RDP server ---- */

static gboolean
has_file(const struct setup *setup, const char *path)
{
    g_autofree char *there = hvs_changes_path(setup->changes, path);

    return g_file_test(there, G_FILE_TEST_EXISTS);
}

/* Where systemd looks for units and their drop-ins, in its order. */
static const char *const unit_directories[] = {
    "/etc/systemd/system",     "/run/systemd/system", "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system", "/lib/systemd/system",
};

/* Whom a unit or drop-in of that text would have the service run as; NULL: it does not say. Not as
 * a key file: lines that go on in the next one are none. */
static char *
find_user(const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autofree char *user = NULL;
    gboolean of_service = FALSE;

    for (gsize i = 0; lines[i] != NULL; i++) {
        char *line = g_strstrip(lines[i]);
        char *equals = strchr(line, '=');

        if (line[0] == '[')
            of_service = g_str_equal(line, "[Service]");
        if (!of_service || equals == NULL)
            continue;
        *equals = '\0';
        if (!g_str_equal(g_strchomp(line), "User"))
            continue;
        g_free(user);
        user = g_strdup(g_strstrip(equals + 1));
    }
    return g_steal_pointer(&user);
}

/* *user becomes what that file says, if it says something. FALSE: there is none, or it is a link to
 * /dev/null, which masks it. */
static gboolean
take_user(const struct setup *setup, const char *unit, char **user)
{
    g_autofree char *path = hvs_changes_path(setup->changes, unit);
    g_autofree char *text = NULL, *found = NULL;

    if (!g_file_test(path, G_FILE_TEST_IS_REGULAR) ||
        !g_file_get_contents(path, &text, NULL, NULL))
        return FALSE;
    found = find_user(text);
    if (found == NULL)
        return TRUE;
    g_free(*user);
    *user = g_steal_pointer(&found);
    return TRUE;
}

/* name → path of the drop-ins of xrdp.service; to be freed. Of two of a name the first counts. */
static GHashTable *
find_xrdp_drop_ins(const struct setup *setup)
{
    GHashTable *drop_ins = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);

    for (gsize i = 0; i < G_N_ELEMENTS(unit_directories); i++) {
        g_autofree char *unit = g_build_filename(unit_directories[i], XRDP ".d", NULL);
        g_autofree char *path = hvs_changes_path(setup->changes, unit);
        g_autoptr(GDir) directory = g_dir_open(path, 0, NULL);
        const char *name;

        while (directory != NULL && (name = g_dir_read_name(directory)) != NULL)
            if (g_str_has_suffix(name, ".conf") && !g_hash_table_contains(drop_ins, name))
                g_hash_table_insert(drop_ins, g_strdup(name), g_build_filename(unit, name, NULL));
    }
    return drop_ins;
}

/* The user that the distribution's xrdp runs as, or would if nobody had masked it: by its unit and
 * the drop-ins in the order of their names; NULL: root. */
static char *
find_xrdp_user(const struct setup *setup)
{
    g_autoptr(GHashTable) drop_ins = find_xrdp_drop_ins(setup);
    g_autoptr(GList) names = g_list_sort(g_hash_table_get_keys(drop_ins), (GCompareFunc)strcmp);
    g_autofree char *user = NULL;

    for (gsize i = 0; i < G_N_ELEMENTS(unit_directories); i++) {
        g_autofree char *unit = g_build_filename(unit_directories[i], XRDP, NULL);

        if (take_user(setup, unit, &user))
            break;
    }
    for (const GList *name = names; name != NULL; name = name->next)
        take_user(setup, g_hash_table_lookup(drop_ins, name->data), &user);
    return g_strcmp0(user, "root") == 0 ? NULL : g_steal_pointer(&user);
}

/* Of the drop-in that is there already. */
static void
tell_drop_in(struct setup *setup, const char *user, const char *sentence)
{
    g_autofree char *present = NULL;

    take_user(setup, DROP_IN, &present);
    if (g_strcmp0(present, user) == 0) {
        tell(setup, "was so", "%s", sentence);
        return;
    }
    tell(setup, "kept", "%s runs as the user %s, but your xrdp as %s;", OWN_XRDP,
         present != NULL ? present : "root", user);
    tell_more(setup, "to follow it, delete this file and run this again:\n" DROP_IN);
}

/* The same user, so that it may do no more than that one. */
static void
follow_xrdp_user(struct setup *setup)
{
    g_autofree char *user = find_xrdp_user(setup);
    g_autofree char *content = NULL, *sentence = NULL;

    if (user == NULL || user[0] == '\0' || strchr(user, '%') != NULL)
        return;
    sentence = g_strdup_printf("%s runs as the user %s, like your xrdp", OWN_XRDP, user);
    if (has_file(setup, DROP_IN)) {
        tell_drop_in(setup, user, sentence);
        return;
    }
    content = g_strdup_printf("# Made by \"hvsession setup\": the user of your xrdp.service.\n"
                              "[Service]\nUser=%s\nSupplementaryGroups=%s\n"
                              "CapabilityBoundingSet=\n",
                              user, user);
    if (!has_file(setup, DROP_IN_DIR) &&
        !make(setup, &(struct hvs_change){ .kind = HVS_CHANGE_DIRECTORY, .target = DROP_IN_DIR },
              DROP_IN_DIR " is there"))
        return;
    if (make(setup,
             &(struct hvs_change){ .kind = HVS_CHANGE_FILE, .target = DROP_IN, .content = content },
             sentence))
        reload_systemd(setup);
}

/* Do the settings have sessions go to our xrdp? */
static gboolean
uses_own_xrdp(struct setup *setup)
{
    g_autofree char *etc = hvs_changes_path(setup->changes, "/etc");
    const struct hvs_roots roots = { .etc = etc };
    g_autofree char *path = hvs_config_default_path(&roots);
    g_autoptr(GError) error = NULL;
    struct hvs_settings settings;

    hvs_settings_init(&settings);
    if (!hvs_config_load(path, FALSE, &settings, &error)) {
        setup->failed++;
        tell(setup, "failed", "the settings can be read:");
        tell_reason(setup, error->message);
    }
    for (unsigned i = 0; i < settings.server_count; i++)
        if (strcmp(settings.servers[i].host, HVS_OWN_SERVER_PATH) == 0)
            return TRUE;
    return FALSE;
}

/* Debian's session manager runs together with Debian's xrdp only. */
static void
start_session_manager(struct setup *setup)
{
    g_autofree char *before = hvs_changes_ask(setup->changes, "is-active", XRDP);
    g_autofree char *after = NULL;

    start(setup, SESMAN);
    after = hvs_changes_ask(setup->changes, "is-active", XRDP);
    if (g_str_has_prefix(after, "activ") && !g_str_has_prefix(before, "activ")) {
        tell(setup, "note", XRDP " runs along with it, and listens on the network unless");
        tell_more(setup, "/etc/xrdp/xrdp.ini says otherwise (port=)");
    }
}

static void
set_up_server(struct setup *setup)
{
    gboolean xrdp = has_file(setup, "/usr/sbin/xrdp") || has_file(setup, "/usr/bin/xrdp");
    gboolean unit = is_installed(setup, OWN_XRDP);

    if (!uses_own_xrdp(setup)) {
        tell(setup, "not used", "an xrdp of hvsession's own: Server= names another server");
        tell_more(setup, "to use it: sudo hvsession config set Server auto, and this again");
        return;
    }
    if (!xrdp || !unit) {
        tell_missing(setup, "an RDP server of hvsession's own, which the desktop comes from",
                     xrdp    ? "hvsession-xrdp"
                     : unit ? "xrdp xorgxrdp"
                             : "xrdp xorgxrdp hvsession-xrdp");
        return;
    }
    follow_xrdp_user(setup);
    start_session_manager(setup);
    enable(setup, OWN_XRDP);
    start(setup, OWN_XRDP);
}

/* ---- colord ---- */

static void
permit_colord(struct setup *setup)
{
    const char *sentence = "colour management asks for no password at login";

    if (!has_file(setup, RULES_DIR))
        tell_missing(setup, "polkit, whose rules " RULES_DIR " is for", "polkitd");
    else if (has_file(setup, COLORD_RULES))
        tell(setup, "was so", "%s", sentence);
    else
        make(setup,
             &(struct hvs_change){
                 .kind = HVS_CHANGE_FILE, .target = COLORD_RULES, .content = colord_rules },
             sentence);
}

/* ---- all of it ---- */

static void
tell_end(struct setup *setup)
{
    say(setup, "\n");
    if (!hvs_changes_is_running(setup->changes))
        say(setup, "systemd does not run there: services start with the machine.\n");
    if (setup->options->dry_run)
        say(setup, "Nothing was changed. To do it, leave --dry-run out.\n");
    else if (setup->failed > 0)
        say(setup, "Not everything has worked. hvsession doctor may know more.\n");
    else if (setup->missing > 0)
        say(setup, "Install what is missing, and run this again.\n");
    else
        say(setup, "Close the virtual machine's window on the host, and connect again. If there is\n"
                   "no Enhanced Session then, hvsession doctor says why.\n");
    if (!setup->options->dry_run && hvs_changes_count(setup->changes) > 0)
        say(setup, "To take all changes back: sudo hvsession setup --undo\n");
}

static int
set_up(struct setup *setup)
{
    guint32 group;

    if (!is_installed(setup, SERVICE)) {
        tell_missing(setup, SERVICE " is not where systemd looks for it", "hvsession");
    } else if (!find_group(setup, &group)) {
        setup->failed++;
        tell(setup, "failed", "the user and group " GROUP_NAME " exist; to make them:");
        tell_more(setup, "sudo systemd-sysusers");
    } else {
        bind_channels(setup);
        permit_pool(setup);
        set_up_server(setup);
        enable(setup, SERVICE);
        start(setup, SERVICE);
        if (setup->options->colord)
            permit_colord(setup);
    }
    tell_end(setup);
    return setup->failed + setup->missing == 0 ? HVS_CLI_FINE : HVS_CLI_FAILED;
}

/* ---- undoing ---- */

static char *
describe_undone(const struct hvs_change *change)
{
    switch (change->kind) {
    case HVS_CHANGE_ENABLE:
        return g_strdup_printf("%s does not start with the machine", change->target);
    case HVS_CHANGE_START:
        return g_strdup_printf("%s does not run", change->target);
    case HVS_CHANGE_DIRECTORY:
    case HVS_CHANGE_FILE:
        return g_strdup_printf("%s is gone", change->target);
    case HVS_CHANGE_GROUP:
        return g_strdup_printf("%s has its old group and mode", change->target);
    }
    return NULL;
}

static void
tell_undone(struct setup *setup, const struct hvs_change *change, enum hvs_undo_result result,
            const GError *error)
{
    g_autofree char *sentence = describe_undone(change);

    if (change->kind == HVS_CHANGE_DIRECTORY &&
        (result == HVS_UNDO_DONE || result == HVS_UNDO_NOT_NEEDED))
        return;
    switch (result) {
    case HVS_UNDO_DONE:
        tell(setup, setup->options->dry_run ? "to do" : "undone", "%s", sentence);
        break;
    case HVS_UNDO_NOT_NEEDED:
        tell(setup, "was so", "%s", sentence);
        break;
    case HVS_UNDO_KEPT:
        setup->kept++;
        tell(setup, "kept", "%s: changed since", change->target);
        break;
    case HVS_UNDO_FAILED:
        setup->failed++;
        tell(setup, "failed", "%s:", sentence);
        tell_reason(setup, error->message);
        break;
    }
}

static int
undo(struct setup *setup)
{
    gboolean any = hvs_changes_count(setup->changes) > 0, units = FALSE;
    enum hvs_undo_result result;
    struct hvs_change change;

    for (;;) {
        g_autoptr(GError) error = NULL;

        if (!hvs_changes_undo_last(setup->changes, &change, &result, &error))
            break;
        tell_undone(setup, &change, result, error);
        units |= change.kind == HVS_CHANGE_FILE && strcmp(change.target, DROP_IN) == 0;
    }
    if (units)
        reload_systemd(setup);
    if (!any)
        say(setup, "There is nothing to take back.\n");
    else if (setup->options->dry_run)
        say(setup, "\nNothing was changed.\n");
    else if (setup->failed > 0)
        say(setup, "\nNot everything has worked; what is left is remembered.\n");
    else if (setup->kept > 0)
        say(setup, "\nWhat somebody has changed since is kept. All else is as it was before.\n");
    else
        say(setup, "\nEverything is as it was before.\n");
    return setup->failed == 0 ? HVS_CLI_FINE : HVS_CLI_FAILED;
}

/* ---- the verb ---- */

static int
work(const struct options *options)
{
    const char *root = options->root != NULL ? options->root : "/";
    g_autoptr(GError) error = NULL;
    g_autoptr(hvs_changes) changes = NULL;
    struct setup setup = { .options = options };
    int status;

    if (options->root == NULL && geteuid() != 0 && (!options->dry_run || options->undo)) {
        hvs_cli_complain("setup changes the system, which takes root: sudo hvsession setup%s",
                         options->undo ? " --undo" : "");
        return HVS_CLI_FAILED;
    }
    changes = hvs_changes_open(root, options->dry_run, &error);
    if (changes == NULL) {
        hvs_cli_complain("%s", error->message);
        return HVS_CLI_FAILED;
    }
    setup.changes = changes;
    status = options->undo ? undo(&setup) : set_up(&setup);
    return setup.mute ? HVS_CLI_FAILED : status;
}

static int
run(const struct hvs_cli_verb *verb, int argc, char **argv)
{
    struct options options = { 0 };
    const GOptionEntry entries[] = {
        { "dry-run", 'n', 0, G_OPTION_ARG_NONE, &options.dry_run,
          "Say what would be done, and do nothing", NULL },
        { "undo", 'u', 0, G_OPTION_ARG_NONE, &options.undo, "Put back what setup has changed",
          NULL },
        { "colord", 0, 0, G_OPTION_ARG_NONE, &options.colord,
          "Also end colour management's password prompts at login", NULL },
        { "root", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_FILENAME, &options.root,
          "Set up the system below DIR, which does not run", "DIR" },
        { 0 },
    };
    int status = HVS_CLI_USAGE;

    if (!hvs_cli_parse(verb, &argc, &argv, entries, 0)) {
    } else if (options.undo && options.colord) {
        hvs_cli_complain("setup: --undo takes everything back; leave --colord out");
    } else {
        status = work(&options);
    }
    g_free(options.root);
    return status;
}

const struct hvs_cli_verb hvs_cli_setup = {
    .name = "setup",
    .arguments = "",
    .summary = "Set up Enhanced Session in this machine, or undo that",
    .details = "It has the service start with the machine, and with it an xrdp of its own that\n"
               "nobody else reaches; your xrdp and its settings stay as they are. The host may\n"
               "read the state of Enhanced Session, if the data exchange (KVP) is installed.\n"
               "Each change is recorded in /var/lib/hvsession, and nothing is asked.\n\n"
               "Exit status:\n"
               "  0  all is set up, or taken back\n"
               "  1  something failed or is missing, or you are not root\n"
               "  2  wrong option or argument\n",
    .run = run,
};

/* hvsession config: the settings, each checked before it is written.
 *
 * config list --json prints { "schema": 1, "settings": [ SETTING ] }; keys are never renamed or left
 * out, and new ones may come:
 *
 *     SETTING = { "key", "value", "default": string,
 *                 "origin": string?,    "PATH:LINE" of the file that sets it; null: it has its default
 *                 "help": string }
 */
#include "service.h"

#include "../config.h"
#include "../machine.h"

#include <string.h>
#include <sys/stat.h>

#define VALUE_MAX 2048 /* bytes: HVS_SERVERS_MAX of the longest addresses */

struct place {
    char *path; /* of the main file */
    gboolean json;
};

/* ---- reading ---- */

/* A key that there is; NULL: it has been said that there is not. */
static const struct hvs_setting *
find_setting(const char *key)
{
    const struct hvs_setting *setting = hvs_settings_find(key, HVS_ON_LINUX);
    const struct hvs_setting *meant = hvs_settings_suggest(key, HVS_ON_LINUX);

    if (setting == NULL && meant != NULL)
        hvs_cli_complain("%s: no such setting; did you mean %s?", key, meant->key);
    else if (setting == NULL)
        hvs_cli_complain("%s: no such setting; see hvsession config list", key);
    return setting;
}

/* What the files say. origins: where, to be unreffed. FALSE: it has been said why not. */
static gboolean
load(const struct place *place, struct hvs_settings *settings, GHashTable **origins)
{
    g_autoptr(GHashTable) found = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    g_autoptr(GError) error = NULL;

    if (!hvs_config_load_with_origins(place->path, FALSE, settings, found, &error)) {
        hvs_cli_complain("%s", error->message);
        return FALSE;
    }
    *origins = g_steal_pointer(&found);
    return TRUE;
}

/* In its canonical form; to be freed. */
static char *
value_of(const struct hvs_settings *settings, const struct hvs_setting *setting)
{
    char buffer[VALUE_MAX];
    struct hvs_text text;

    hvs_text_init(&text, buffer, sizeof buffer);
    hvs_settings_print(settings, setting, &text);
    return g_strdup(buffer);
}

/* ---- list and get ---- */

static void
append_json_setting(GString *out, const struct hvs_setting *setting, const char *value,
                    const char *origin)
{
    const char *const members[][2] = {
        { "key", setting->key }, { "value", value },        { "default", setting->default_value },
        { "origin", origin },    { "help", setting->help },
    };

    g_string_append(out, "    {");
    for (gsize i = 0; i < G_N_ELEMENTS(members); i++) {
        g_string_append_printf(out, "%s\n      \"%s\": ", i > 0 ? "," : "", members[i][0]);
        hvs_cli_add_json(out, members[i][1]);
    }
    g_string_append(out, "\n    }");
}

/* Key=value as in a file, and below it what it is for, and who says so. */
static void
append_text_setting(GString *out, const struct hvs_setting *setting, const char *value,
                    const char *origin)
{
    char lines[1024];
    struct hvs_text text;

    hvs_text_init(&text, lines, sizeof lines);
    hvs_text_add(&text, "    ");
    hvs_text_add_wrapped(&text, setting->help, 4, 80);
    g_string_append_printf(out, "%s=%s\n%s\n    %s%s\n", setting->key, value, lines,
                           origin != NULL ? "From " : "The default.", origin != NULL ? origin : "");
}

static int
list(const struct place *place)
{
    g_autoptr(GString) out =
        g_string_new(place->json ? "{\n  \"schema\": 1,\n  \"settings\": [\n" : NULL);
    g_autoptr(GHashTable) origins = NULL;
    struct hvs_settings settings;
    const struct hvs_setting *table;
    const char *between = "";
    size_t count;

    if (!load(place, &settings, &origins))
        return HVS_CLI_FAILED;
    table = hvs_settings_table(&count);
    for (size_t i = 0; i < count; i++) {
        g_autofree char *value = NULL;

        if ((table[i].platforms & HVS_ON_LINUX) == 0)
            continue;
        value = value_of(&settings, &table[i]);
        g_string_append(out, between);
        (place->json
             ? append_json_setting
             : append_text_setting)(out, &table[i], value, g_hash_table_lookup(origins, &table[i]));
        between = place->json ? ",\n" : "\n";
    }
    if (place->json)
        g_string_append(out, "\n  ]\n}\n");
    return hvs_cli_print(out->str) ? HVS_CLI_FINE : HVS_CLI_FAILED;
}

static int
get(const struct place *place, const char *key)
{
    const struct hvs_setting *setting = find_setting(key);
    g_autoptr(GHashTable) origins = NULL;
    g_autofree char *value = NULL, *line = NULL;
    struct hvs_settings settings;

    if (setting == NULL)
        return HVS_CLI_USAGE;
    if (!load(place, &settings, &origins))
        return HVS_CLI_FAILED;
    value = value_of(&settings, setting);
    line = g_strconcat(value, "\n", NULL);
    return hvs_cli_print(line) ? HVS_CLI_FINE : HVS_CLI_FAILED;
}

/* ---- set and unset ---- */

static int
fail_edit(const GError *error)
{
    if (g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_ACCES))
        hvs_cli_complain("%s; only root may change settings, try sudo", error->message);
    else
        hvs_cli_complain("%s", error->message);
    return HVS_CLI_FAILED;
}

/* The service takes the files in; it is said how that went. */
static int
tell_service(const struct place *place, const struct hvs_setting *setting)
{
    g_autoptr(GDBusConnection) bus = NULL;
    g_autoptr(GVariant) reply = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(GHashTable) origins = NULL;
    g_autofree char *value = NULL, *said = NULL;
    struct hvs_settings settings;
    const char *origin;

    if (!load(place, &settings, &origins))
        return HVS_CLI_FAILED;
    bus = hvs_cli_find_service();
    if (bus != NULL)
        reply = hvs_cli_call(bus, "Reload", NULL, &error);
    if (error != NULL) {
        hvs_cli_complain("written, but the service has not taken it in: %s", error->message);
        return HVS_CLI_FAILED;
    }
    value = value_of(&settings, setting);
    origin = g_hash_table_lookup(origins, setting);
    said = g_strdup_printf("%s=%s\n%s%s%s\n", setting->key, value,
                           origin != NULL ? "From " : "The default", origin != NULL ? origin : "",
                           bus != NULL ? ".\nThe service uses it from now on."
                                       : ".\nThe service uses it when it is started.");
    return hvs_cli_print(said) ? HVS_CLI_FINE : HVS_CLI_FAILED;
}

static int
set(const struct place *place, const char *key, const char *wanted)
{
    const struct hvs_setting *setting = find_setting(key);
    g_autoptr(GError) error = NULL;
    g_autofree char *value = NULL;
    char buffer[HVS_SETTINGS_MESSAGE_MAX];
    struct hvs_settings settings;
    struct hvs_text message;

    if (setting == NULL)
        return HVS_CLI_USAGE;
    hvs_settings_init(&settings);
    hvs_text_init(&message, buffer, sizeof buffer);
    if (hvs_settings_set(&settings, HVS_ON_LINUX, key, wanted, &message) != HVS_SETTINGS_OK) {
        hvs_cli_complain("%s; try hvsession config --help", buffer);
        return HVS_CLI_USAGE;
    }
    value = value_of(&settings, setting);
    if (!hvs_config_edit(place->path, setting->key, value, NULL, &error))
        return fail_edit(error);
    return tell_service(place, setting);
}

static int
unset(const struct place *place, const char *key)
{
    const struct hvs_setting *setting = find_setting(key);
    g_autoptr(GHashTable) origins = NULL;
    g_autoptr(GError) error = NULL;
    struct hvs_settings settings;
    gboolean was_set;
    const char *origin;

    if (setting == NULL)
        return HVS_CLI_USAGE;
    if (!hvs_config_edit(place->path, setting->key, NULL, &was_set, &error))
        return fail_edit(error);
    if (was_set)
        return tell_service(place, setting);
    if (!load(place, &settings, &origins))
        return HVS_CLI_FAILED;
    origin = g_hash_table_lookup(origins, setting);
    if (origin == NULL) {
        g_autofree char *said = g_strdup_printf("%s has its default already.\n", setting->key);

        return hvs_cli_print(said) ? HVS_CLI_FINE : HVS_CLI_FAILED;
    }
    hvs_cli_complain("%s is set in %s, which hvsession config has not written; change it there",
                     setting->key, origin);
    return HVS_CLI_FAILED;
}

/* ---- the verb ---- */

static int
dispatch(const struct place *place, int argc, char **argv)
{
    const char *action = argc > 1 ? argv[1] : "list";
    static const struct {
        const char *name;
        int arguments;
    } actions[] = { { "list", 0 }, { "get", 1 }, { "set", 2 }, { "unset", 1 } };
    gsize i = 0;

    while (i < G_N_ELEMENTS(actions) && strcmp(action, actions[i].name) != 0)
        i++;
    if (i == G_N_ELEMENTS(actions)) {
        hvs_cli_complain("config: \"%s\" is not list, get, set or unset; try hvsession config "
                         "--help",
                         action);
        return HVS_CLI_USAGE;
    }
    if (MAX(argc - 2, 0) != actions[i].arguments) {
        hvs_cli_complain("config %s takes %s; try hvsession config --help", action,
                         actions[i].arguments == 0   ? "no argument"
                         : actions[i].arguments == 1 ? "a key"
                                                     : "a key and a value");
        return HVS_CLI_USAGE;
    }
    switch (i) {
    case 0:
        return list(place);
    case 1:
        return get(place, argv[2]);
    case 2:
        return set(place, argv[2], argv[3]);
    default:
        return unset(place, argv[2]);
    }
}

static int
run(const struct hvs_cli_verb *verb, int argc, char **argv)
{
    struct hvs_cli_common options = { 0 };
    g_auto(hvs_machine) machine;
    struct place place = { 0 };
    int status = HVS_CLI_USAGE;

    /* The service is another user, and reads what root writes. */
    umask(022);
    if (hvs_cli_parse_common(verb, &argc, &argv, &options, 3)) {
        hvs_machine_init(&machine, options.root);
        place =
            (struct place){ .path = hvs_config_default_path(&machine.roots), .json = options.json };
        status = dispatch(&place, argc, argv);
        g_free(place.path);
    } else {
        machine = (struct hvs_machine){ 0 };
    }
    g_free(options.root);
    return status;
}

const struct hvs_cli_verb hvs_cli_config = {
    .name = "config",
    .arguments = "[ACTION]",
    .summary = "List, read and change the settings",
    .details = "Actions:\n"
               "  list           All settings, their values, and where they come from\n"
               "  get KEY        The value of a setting\n"
               "  set KEY VALUE  Change it, and have the service take that in\n"
               "  unset KEY      Take that back\n\n"
               "A value is checked before it is written. It goes to a file of its own in\n"
               "/etc/hvsession/conf.d, other files stay as they are. Sessions that run keep\n"
               "what they began with. The settings are explained in hvsession.conf(5).\n\n"
               "Exit status:\n"
               "  0  done\n"
               "  1  failed\n"
               "  2  wrong action, key or value\n",
    .has_json = TRUE,
    .run = run,
};

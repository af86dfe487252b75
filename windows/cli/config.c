/* hvsession config: the settings of hvsession, those of Windows that matter to it, and two names
 * that users of other tools know for parts of Server. */
#include "parts.h"

#include "../registry.h"
#include "../system.h"

#include <string.h>

#define LIST_MAX 16384
#define USAGE    "config takes list, get KEY, set KEY VALUE or unset KEY"

static int
complain_setting(const char *key)
{
    char message[HVS_SETTINGS_MESSAGE_MAX];
    struct hvs_settings settings;
    struct hvs_text text;

    hvs_text_init(&text, message, sizeof message);
    hvs_settings_init(&settings);
    hvs_settings_set(&settings, HVS_ON_WINDOWS, key, "", &text);
    return hvs_cli_complain_usage(message, NULL);
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

/* ---- list ---- */

static void
begin_entry(struct hvs_text *text, const char *key)
{
    hvs_text_add(text, key);
    hvs_text_add_char(text, '=');
}

static void
end_entry(struct hvs_text *text, const char *help)
{
    hvs_text_add(text, "\n    ");
    hvs_text_add_wrapped(text, help, 4, 79);
    hvs_text_add_char(text, '\n');
}

static DWORD
list_own(struct hvs_text *text)
{
    size_t count;
    const struct hvs_setting *table = hvs_settings_table(&count);

    for (size_t i = 0; i < count; i++) {
        DWORD error;

        if ((table[i].platforms & HVS_ON_WINDOWS) == 0)
            continue;
        begin_entry(text, table[i].key);
        error = print_setting(&table[i], text);
        if (error != ERROR_SUCCESS)
            return error;
        end_entry(text, table[i].help);
    }
    return ERROR_SUCCESS;
}

static DWORD
add_system_value(const struct hvs_system_setting *setting, struct hvs_text *text)
{
    DWORD value, error;
    bool policy;

    error = hvs_system_get(setting, &value, &policy);
    if (error == ERROR_SUCCESS)
        hvs_system_print(setting, value, text);
    return error;
}

static DWORD
list_system(struct hvs_text *text)
{
    hvs_text_add(text, "\nOf Windows itself; what is changed here can be put back with unset, or\n"
                       "hvsession setup --undo:\n");
    for (unsigned i = 0; i < HVS_SYSTEM_SETTINGS; i++) {
        const struct hvs_system_setting *setting = hvs_system_setting(i);
        DWORD error;

        begin_entry(text, setting->key);
        error = add_system_value(setting, text);
        if (error != ERROR_SUCCESS)
            return error;
        end_entry(text, setting->help);
    }
    return ERROR_SUCCESS;
}

static int
list_settings(void)
{
    char bytes[LIST_MAX];
    struct hvs_text text;
    DWORD error;

    hvs_text_init(&text, bytes, sizeof bytes);
    error = list_own(&text);
    if (error == ERROR_SUCCESS)
        error = list_system(&text);
    if (error != ERROR_SUCCESS)
        return hvs_cli_complain_error("reading the settings", error);
    hvs_cli_print(bytes);
    return HVS_EXIT_OK;
}

/* ---- of hvsession ---- */

enum verb { GET, SET, UNSET };

static int
finish(DWORD error, const char *doing, const struct hvs_text *message)
{
    if (error == ERROR_INVALID_DATA && message != NULL && message->length > 0) {
        hvs_cli_complain(message->buffer);
        return HVS_EXIT_USAGE;
    }
    if (error == ERROR_FILE_NOT_FOUND)
        error = ERROR_SERVICE_DOES_NOT_EXIST;
    return error == ERROR_SUCCESS ? HVS_EXIT_OK : hvs_cli_complain_error(doing, error);
}

static int
change_own(enum verb verb, const struct hvs_setting *setting, const char *value)
{
    char bytes[HVS_REGISTRY_TEXT_MAX], complaint[HVS_SETTINGS_MESSAGE_MAX];
    struct hvs_text text, message;
    DWORD error;

    hvs_text_init(&text, bytes, sizeof bytes);
    hvs_text_init(&message, complaint, sizeof complaint);
    switch (verb) {
    case SET:
        return finish(hvs_registry_set(setting, value, &message), "storing the setting", &message);
    case UNSET:
        return finish(hvs_registry_unset(setting), "removing the setting", NULL);
    case GET:
        break;
    }
    error = print_setting(setting, &text);
    if (error != ERROR_SUCCESS)
        return hvs_cli_complain_error("reading the setting", error);
    hvs_text_add_char(&text, '\n');
    hvs_cli_print(bytes);
    return HVS_EXIT_OK;
}

/* ---- of Windows ---- */

static int
finish_system(const struct hvs_system_setting *setting, DWORD error)
{
    if (error == ERROR_REVISION_MISMATCH) {
        hvs_cli_complain("somebody else has changed it since; it is left as it is");
        return HVS_EXIT_FAILED;
    }
    if (error != ERROR_SUCCESS)
        return hvs_cli_complain_error("changing Windows' setting", error);
    if (!setting->needs_restart)
        return HVS_EXIT_OK;
    hvs_cli_print("Restart Windows for it to take effect.\n");
    return HVS_EXIT_RESTART;
}

static int
get_system(const struct hvs_system_setting *setting)
{
    char bytes[32];
    struct hvs_text text;
    DWORD error;

    hvs_text_init(&text, bytes, sizeof bytes);
    error = add_system_value(setting, &text);
    if (error != ERROR_SUCCESS)
        return hvs_cli_complain_error("reading the setting", error);
    hvs_text_add_char(&text, '\n');
    hvs_cli_print(bytes);
    return HVS_EXIT_OK;
}

static int
change_system(enum verb verb, const struct hvs_system_setting *setting, const char *value)
{
    DWORD number, before, error;

    if (verb == GET)
        return get_system(setting);
    if (verb == UNSET) {
        error = hvs_system_restore(setting);
        return error == ERROR_FILE_NOT_FOUND ? HVS_EXIT_OK : finish_system(setting, error);
    }
    if (!hvs_system_parse(setting, value, &number))
        return hvs_cli_complain_usage(setting->maximum > 1 ? "it is 0, 1 or 2, not"
                                                           : "it is true or false, not",
                                      value);
    error = hvs_system_get_stored(setting, &before);
    if (error == ERROR_SUCCESS && before == number)
        return HVS_EXIT_OK;
    return finish_system(setting, error == ERROR_SUCCESS ? hvs_system_set(setting, number) : error);
}

/* ---- ServerHost and ServerPort: the parts of Server's first ---- */

static DWORD
load_servers(struct hvs_settings *settings, struct hvs_text *message)
{
    hvs_settings_init(settings);
    return hvs_registry_load(settings, message);
}

static void
print_part(const struct hvs_server_address *server, bool host, struct hvs_text *out)
{
    if (host)
        hvs_text_add(out, server->host);
    else
        hvs_text_add_u64(out, server->port);
}

/* The list with that part of its first replaced; what is wrong with it shows when it is set. */
static void
print_servers(const struct hvs_settings *settings, bool host, const char *value,
              struct hvs_text *out)
{
    const struct hvs_server_address *first = &settings->servers[0];
    const char *name = host ? value : first->host;
    bool brackets = strchr(name, ':') != NULL && name[0] != '[';

    hvs_text_add(out, brackets ? "tcp:[" : "tcp:");
    hvs_text_add(out, name);
    hvs_text_add(out, brackets ? "]:" : ":");
    if (host)
        hvs_text_add_u64(out, first->port);
    else
        hvs_text_add(out, value);
    for (unsigned i = 1; i < settings->server_count; i++) {
        hvs_text_add_char(out, ',');
        hvs_server_address_print(&settings->servers[i], out);
    }
}

static int
change_part(enum verb verb, bool host, const char *value)
{
    const struct hvs_setting *server = hvs_settings_find("Server", HVS_ON_WINDOWS);
    char bytes[HVS_REGISTRY_TEXT_MAX], standard[HVS_SERVER_HOST_MAX];
    struct hvs_settings settings, defaults;
    struct hvs_text text, part;
    DWORD error;

    hvs_text_init(&text, bytes, sizeof bytes);
    error = load_servers(&settings, &text);
    if (error != ERROR_SUCCESS)
        return finish(error, "reading the settings", &text);
    if (verb == GET) {
        print_part(&settings.servers[0], host, &text);
        hvs_text_add_char(&text, '\n');
        hvs_cli_print(bytes);
        return HVS_EXIT_OK;
    }
    if (verb == UNSET) {
        hvs_settings_init(&defaults);
        hvs_text_init(&part, standard, sizeof standard);
        print_part(&defaults.servers[0], host, &part);
        value = standard;
    }
    print_servers(&settings, host, value, &text);
    /* As if it had never been set. */
    if (verb == UNSET && strcmp(bytes, server->default_value) == 0)
        return change_own(UNSET, server, NULL);
    return change_own(SET, server, bytes);
}

/* ---- all ---- */

static int
change(enum verb verb, const char *key, const char *value)
{
    const struct hvs_setting *setting = hvs_settings_find(key, HVS_ON_WINDOWS);
    const struct hvs_system_setting *system = hvs_system_find(key);

    if (setting != NULL)
        return change_own(verb, setting, value);
    if (system != NULL)
        return change_system(verb, system, value);
    if (hvs_cli_is_word(key, "ServerHost") || hvs_cli_is_word(key, "ServerPort"))
        return change_part(verb, hvs_cli_is_word(key, "ServerHost"), value);
    return complain_setting(key);
}

int
hvs_cli_config(int count, char **arguments)
{
    if (count == 1 && hvs_cli_is_word(arguments[0], "list"))
        return list_settings();
    if (count == 2 && hvs_cli_is_word(arguments[0], "get"))
        return change(GET, arguments[1], NULL);
    if (count == 3 && hvs_cli_is_word(arguments[0], "set"))
        return change(SET, arguments[1], arguments[2]);
    if (count == 2 && hvs_cli_is_word(arguments[0], "unset"))
        return change(UNSET, arguments[1], NULL);
    return hvs_cli_complain_usage(USAGE, NULL);
}

/* common/settings with any text: the first line is the key, the rest the value. What is taken is
 * printed and taken again as the same; what is refused changes nothing and says why. */
#include "common/settings.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_round_trip(const struct hvs_settings *settings, unsigned platforms, const char *key)
{
    const struct hvs_setting *setting = hvs_settings_find(key, platforms);
    struct hvs_settings again;
    char printed[2048], printed_again[2048];
    struct hvs_text text;

    hvs_text_init(&text, printed, sizeof printed);
    hvs_settings_print(settings, setting, &text);
    if (text.truncated)
        abort();
    hvs_settings_init(&again);
    if (hvs_settings_set(&again, platforms, key, printed, NULL) != HVS_SETTINGS_OK ||
        memcmp(&again, settings, sizeof again) != 0)
        abort();
    hvs_text_init(&text, printed_again, sizeof printed_again);
    hvs_settings_print(&again, setting, &text);
    if (strcmp(printed, printed_again) != 0)
        abort();
}

static void
try_setting(unsigned platforms, const char *key, const char *value)
{
    struct hvs_settings settings, defaults;
    char message[HVS_SETTINGS_MESSAGE_MAX];
    struct hvs_text text;

    hvs_settings_init(&defaults);
    hvs_settings_init(&settings);
    hvs_text_init(&text, message, sizeof message);
    if (hvs_settings_set(&settings, platforms, key, value, &text) == HVS_SETTINGS_OK)
        check_round_trip(&settings, platforms, key);
    else if (memcmp(&settings, &defaults, sizeof settings) != 0 || text.length == 0 ||
             text.truncated)
        abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *key = malloc(size + 1); /* of exactly that size, so that a byte too far is seen */
    char *value;

    if (key == NULL)
        return 0;
    if (size > 0)
        memcpy(key, data, size);
    key[size] = '\0';
    value = strchr(key, '\n');
    if (value != NULL) {
        *value++ = '\0';
        try_setting(HVS_ON_LINUX, key, value);
        try_setting(HVS_ON_WINDOWS, key, value);
    }
    free(key);
    return 0;
}

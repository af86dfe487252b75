#include "probe-parts.h"

#include <errno.h>
#include <string.h>

char *
hvs_probe_read(struct hvs_probe *probe, const char *root, const char *path)
{
    g_autofree char *file = g_build_filename(root, path, NULL);
    g_autoptr(GError) error = NULL;
    char *text = NULL;

    if (!g_file_get_contents(file, &text, NULL, &error)) {
        if (g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_ACCES) ||
            g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_PERM))
            probe->denied = TRUE;
        return NULL;
    }
    return g_strchomp(text);
}

gboolean
hvs_probe_exists(const char *root, const char *path)
{
    g_autofree char *file = g_build_filename(root, path, NULL);

    return g_file_test(file, G_FILE_TEST_EXISTS);
}

enum hvs_answer
hvs_probe_answer(gboolean is_so)
{
    return is_so ? HVS_YES : HVS_NO;
}

void
hvs_probe(const struct hvs_probe_options *options, struct hvs_facts *facts)
{
    struct hvs_settings defaults;
    struct hvs_cpu cpu;
    struct hvs_probe probe = {
        .roots = options->roots,
        .settings = options->settings,
        .facts = facts,
    };

    memset(facts, 0, sizeof *facts);
    facts->os = HVS_OS_LINUX;
    if (probe.settings == NULL) {
        hvs_settings_init(&defaults);
        probe.settings = &defaults;
    }
    if (options->cpu != NULL)
        cpu = *options->cpu;
    else
        hvs_probe_read_cpu(&cpu);
    hvs_probe_machine(&probe, &cpu);
    hvs_probe_channels(&probe);
    hvs_probe_server(&probe);
    hvs_probe_desktop(&probe);
    facts->limited = hvs_probe_answer(probe.denied);
}

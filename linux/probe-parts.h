/* What the parts of the probe share. Private to linux/probe*.c. */
#ifndef HVS_LINUX_PROBE_PARTS_H
#define HVS_LINUX_PROBE_PARTS_H

#include "probe.h"

struct hvs_probe {
    const struct hvs_roots    *roots;
    const struct hvs_settings *settings;
    struct hvs_facts          *facts;
    gboolean                   denied;       /* something was for root only */
    gboolean                   xrdp_running; /* a process of that name */
};

/* The parts, in the order in which they are called. */
void hvs_probe_machine(struct hvs_probe *probe, const struct hvs_cpu *cpu);
void hvs_probe_channels(struct hvs_probe *probe);
void hvs_probe_server(struct hvs_probe *probe);
void hvs_probe_desktop(struct hvs_probe *probe);

/* The content of a file, its last line feed removed; NULL: it cannot be read. Takes note of a
 * refused permission. */
char *hvs_probe_read(struct hvs_probe *probe, const char *root, const char *path);
gboolean hvs_probe_exists(const char *root, const char *path);
enum hvs_answer hvs_probe_answer(gboolean is_so);
/* Into one of the strings of struct hvs_facts; NULL is nothing. */
#define hvs_probe_set(field, string) g_strlcpy((field), (string) != NULL ? (string) : "", \
                                               sizeof(field))

#endif

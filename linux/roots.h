/* Where the system's trees are. Tests point them elsewhere. */
#ifndef HVS_LINUX_ROOTS_H
#define HVS_LINUX_ROOTS_H

struct hvs_roots {
    const char *sys;  /* "/sys" */
    const char *dev;  /* "/dev" */
    const char *run;  /* "/run" */
    const char *etc;  /* "/etc" */
    const char *proc; /* "/proc" */
    const char *root; /* "/": all else, such as usr, var and lib/modules */
};

#define HVS_ROOTS_SYSTEM ((struct hvs_roots) { "/sys", "/dev", "/run", "/etc", "/proc", "/" })

#endif

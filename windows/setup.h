/* Sets this machine up for Enhanced Session, and undoes that: what has to be changed in Windows, in
 * which order, and one line for people on each. Whatever is changed is recorded before
 * (windows/system.h). */
#ifndef HVS_WINDOWS_SETUP_H
#define HVS_WINDOWS_SETUP_H

#include "common/text.h"

#include <windows.h>

#include <stdbool.h>

struct hvs_setup_options {
    bool no_rdp;         /* leave Remote Desktop as it is, on or off */
    bool keep_nla;       /* and what it demands of its clients */
    bool no_firewall;    /* and what the network can reach */
    bool firewall;       /* close the port even while somebody is connected through it */
    bool blank_password; /* let accounts without a password log in */
    bool override;       /* take the place of the Enhanced Session built into Windows */
    bool dry_run;        /* change nothing, say what would be */
};

struct hvs_setup_result {
    bool  restart; /* some of it works after a restart of Windows only */
    bool  left;    /* something was not put back, because somebody else has changed it since */
    DWORD error;   /* of the first step that failed; ERROR_SUCCESS: none did */
};

/* Bytes that hold the lines of either function. */
#define HVS_SETUP_TEXT_MAX 4096

/* A step that fails does not keep the others from being tried, but for ERROR_ACCESS_DENIED, which
 * ends it. ERROR_SERVICE_DOES_NOT_EXIST: hvsession is not installed, nothing was done. */
void hvs_setup(const struct hvs_setup_options *options, struct hvs_text *out,
               struct hvs_setup_result *result);
/* Puts back all that is recorded, by hvs_setup() or `hvsession config`. */
void hvs_setup_undo(bool dry_run, struct hvs_text *out, struct hvs_setup_result *result);

#endif

/* Changes to the system that can be taken back: what hvsession setup makes, and --undo undoes.
 *
 * Each is written to var/lib/hvsession/setup.state, with what was there before, and only then made:
 * whatever happens in between, the record knows more than was done, never less. Undoing looks what
 * is there: what was never done, or what somebody has changed since, is left alone.
 *
 *     [Change 1]
 *     Kind=enable
 *     Target=hvsessiond.service
 *
 * systemctl is run for units, rather than asked over D-Bus: it works on a tree that does not run, as
 * in the making of an image, too, and says in words why it refuses.
 */
#ifndef HVS_LINUX_SETUP_CHANGES_H
#define HVS_LINUX_SETUP_CHANGES_H

#include <gio/gio.h>

enum hvs_change_kind {
    HVS_CHANGE_ENABLE,    /* the unit did not start with the machine */
    HVS_CHANGE_START,     /* the unit did not run */
    HVS_CHANGE_DIRECTORY, /* was not there; undone if it is empty then */
    HVS_CHANGE_FILE,      /* was not there */
    HVS_CHANGE_GROUP,     /* a file's group, which may now read and write it */
};

struct hvs_change {
    enum hvs_change_kind kind;
    const char *target;          /* unit, or absolute path */
    const char *content;         /* FILE: UTF-8 text; its mode is 0644, a directory's 0755 */
    guint32 old_group, old_mode; /* GROUP */
    guint32 group, mode;
};

enum hvs_undo_result {
    HVS_UNDO_DONE,
    HVS_UNDO_NOT_NEEDED, /* it was not, or is no more, as it was made */
    HVS_UNDO_KEPT,       /* somebody has changed it since: it is theirs now */
    HVS_UNDO_FAILED,
};

typedef struct hvs_changes hvs_changes;

/* Reads the record, which may be missing, and keeps others from it. root: of the system, "/". With
 * dry_run nothing is ever written, made or undone. */
hvs_changes *hvs_changes_open(const char *root, gboolean dry_run, GError **error);
void hvs_changes_close(hvs_changes *changes);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(hvs_changes, hvs_changes_close)

/* Records the change, unless it is recorded already, and makes it. A unit that is started may not
 * run afterwards, if its conditions say so. */
gboolean hvs_changes_make(hvs_changes *changes, const struct hvs_change *change, GError **error);
/* How many are recorded. */
guint hvs_changes_count(const hvs_changes *changes);
/* Takes back the change that was recorded last, and strikes it from the record, unless it FAILED:
 * then it is passed over. *change is valid until the next call. FALSE: there is none left. error is
 * set with FAILED only. */
gboolean hvs_changes_undo_last(hvs_changes *changes, struct hvs_change *change,
                               enum hvs_undo_result *result, GError **error);

/* Runs systemctl with those arguments, ended by NULL. FALSE: error has what it said. */
gboolean hvs_changes_systemctl(const hvs_changes *changes, const char *const *arguments,
                               GError **error);
/* What "systemctl QUERY UNIT" prints: "enabled", "active"; "" if it says nothing. */
char *hvs_changes_ask(const hvs_changes *changes, const char *query, const char *unit);
/* Does systemd run there? If not, units can be enabled, but not started. */
gboolean hvs_changes_is_running(const hvs_changes *changes);
/* Below the system's root; path begins with "/". Free with g_free(). */
char *hvs_changes_path(const hvs_changes *changes, const char *path);

#endif

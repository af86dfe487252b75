/* One session as the service publishes it, and how fast it was in the last minute. */
#ifndef HVS_GUI_SESSION_H
#define HVS_GUI_SESSION_H

#include <gio/gio.h>

/* What a graph of rates goes back, in seconds. */
#define HVS_SESSION_HISTORY 60

#define HVS_TYPE_SESSION (hvs_session_get_type())
G_DECLARE_FINAL_TYPE(HvsSession, hvs_session, HVS, SESSION, GObject)

typedef enum {
    HVS_ABILITY_CLIPBOARD,
    HVS_ABILITY_DRIVES,
    HVS_ABILITY_SOUND,
} HvsAbility;
#define HVS_ABILITIES (HVS_ABILITY_SOUND + 1)

HvsSession *hvs_session_new(const char *path);
/* The value is sunk. now: monotonic, in microseconds, for the history of rates. */
void hvs_session_set(HvsSession *session, const char *name, GVariant *value, gint64 now);

const char *hvs_session_path(HvsSession *session);
guint32     hvs_session_id(HvsSession *session);
gboolean    hvs_session_has_ended(HvsSession *session);
/* The client is through to the RDP server. */
gboolean hvs_session_is_active(HvsSession *session);
/* It did not end in an ordinary way. */
gboolean hvs_session_is_trouble(HvsSession *session);
/* Milliseconds since 1970; 0: not known, or it has not ended. */
guint64 hvs_session_started(HvsSession *session);
guint64 hvs_session_ended(HvsSession *session);
/* What it has, or what it asked for. */
gboolean hvs_session_can(HvsSession *session, HvsAbility ability);
/* Nothing is known of what the client asked for: it has not said so, or nobody can read it. */
gboolean hvs_session_knows_abilities(HvsSession *session);

/* All to be freed. */
char *hvs_session_client(HvsSession *session); /* "DESK-1", "Session 3" if there is no name */
char *hvs_session_screen(HvsSession *session); /* "1920 × 1080, 32 bit", "" if not known */
char *hvs_session_status(HvsSession *session); /* "Connected", "Connecting to the RDP server" */
char *hvs_session_reason(HvsSession *session); /* why it ended, as a sentence */

/* Bytes a second. */
guint64 hvs_session_rate_to_host(HvsSession *session);
guint64 hvs_session_rate_to_server(HvsSession *session);
/* The sum of both, each second of the last minute, the oldest first; the greatest is returned.
 * now: monotonic, in microseconds. */
guint64 hvs_session_history(HvsSession *session, gint64 now, guint64 rates[HVS_SESSION_HISTORY]);

#endif

#include "session.h"

#include "properties.h"
#include "words.h"

#include <glib/gi18n.h>

struct _HvsSession {
    GObject parent_instance;

    char *path;
    GHashTable *properties; /* name → GVariant */
    GArray *points;         /* of struct point, the oldest first */
};

G_DEFINE_TYPE(HvsSession, hvs_session, G_TYPE_OBJECT)

/* The rate from a time on, until the next point. */
struct point {
    gint64 time;
    guint64 rate;
};

static void
hvs_session_finalize(GObject *object)
{
    HvsSession *session = HVS_SESSION(object);

    g_free(session->path);
    g_hash_table_unref(session->properties);
    g_array_unref(session->points);
    G_OBJECT_CLASS(hvs_session_parent_class)->finalize(object);
}

static void
hvs_session_class_init(HvsSessionClass *class)
{
    G_OBJECT_CLASS(class)->finalize = hvs_session_finalize;
}

static void
hvs_session_init(HvsSession *session)
{
    session->properties = hvs_properties_new();
    session->points = g_array_new(FALSE, FALSE, sizeof(struct point));
}

HvsSession *
hvs_session_new(const char *path)
{
    HvsSession *session = g_object_new(HVS_TYPE_SESSION, NULL);

    session->path = g_strdup(path);
    return session;
}

/* ---- properties ---- */

static guint64
rate_of(HvsSession *session)
{
    return hvs_session_rate_to_host(session) + hvs_session_rate_to_server(session);
}

/* Keeps what the last minute needs: the last point before it, too. */
static void
add_point(HvsSession *session, gint64 now)
{
    gint64 start = now - HVS_SESSION_HISTORY * G_USEC_PER_SEC;
    struct point point = { .time = now, .rate = rate_of(session) };
    struct point *points = (struct point *)(gpointer)session->points->data;
    guint old = 0;

    while (old + 1 < session->points->len && points[old + 1].time <= start)
        old++;
    g_array_remove_range(session->points, 0, old);
    points = (struct point *)(gpointer)session->points->data;
    if (session->points->len > 0 && points[session->points->len - 1].time == now)
        points[session->points->len - 1].rate = point.rate;
    else
        g_array_append_val(session->points, point);
}

void
hvs_session_set(HvsSession *session, const char *name, GVariant *value, gint64 now)
{
    hvs_properties_set(session->properties, name, value);
    if (g_str_has_prefix(name, "RateTo"))
        add_point(session, now);
}

/* ---- facts ---- */

const char *
hvs_session_path(HvsSession *session)
{
    return session->path;
}

guint32
hvs_session_id(HvsSession *session)
{
    return hvs_properties_get_uint(session->properties, "Id");
}

gboolean
hvs_session_has_ended(HvsSession *session)
{
    return g_str_equal(hvs_properties_get_string(session->properties, "State"), "ended");
}

gboolean
hvs_session_is_active(HvsSession *session)
{
    return g_str_equal(hvs_properties_get_string(session->properties, "State"), "active");
}

gboolean
hvs_session_is_trouble(HvsSession *session)
{
    GVariant *value = hvs_properties_get(session->properties, "Trouble", "b");

    return value != NULL && g_variant_get_boolean(value);
}

guint64
hvs_session_started(HvsSession *session)
{
    return hvs_properties_get_uint64(session->properties, "Started");
}

guint64
hvs_session_ended(HvsSession *session)
{
    return hvs_properties_get_uint64(session->properties, "Ended");
}

gboolean
hvs_session_knows_abilities(HvsSession *session)
{
    GVariant *channels = hvs_properties_get(session->properties, "StaticChannels", "as");

    return channels != NULL && g_variant_n_children(channels) > 0;
}

gboolean
hvs_session_can(HvsSession *session, HvsAbility ability)
{
    /* The static virtual channels of [MS-RDPECLIP], [MS-RDPEFS] and [MS-RDPEA]. */
    static const char *const names[HVS_ABILITIES] = {
        [HVS_ABILITY_CLIPBOARD] = "cliprdr",
        [HVS_ABILITY_DRIVES] = "rdpdr",
        [HVS_ABILITY_SOUND] = "rdpsnd",
    };
    GVariant *channels = hvs_properties_get(session->properties, "StaticChannels", "as");
    g_autofree const char **list = NULL;

    if (channels == NULL)
        return FALSE;
    list = g_variant_get_strv(channels, NULL);
    return g_strv_contains(list, names[ability]);
}

guint64
hvs_session_rate_to_host(HvsSession *session)
{
    return hvs_properties_get_uint64(session->properties, "RateToHost");
}

guint64
hvs_session_rate_to_server(HvsSession *session)
{
    return hvs_properties_get_uint64(session->properties, "RateToServer");
}

guint64
hvs_session_history(HvsSession *session, gint64 now, guint64 rates[HVS_SESSION_HISTORY])
{
    const struct point *points = (const struct point *)(gconstpointer)session->points->data;
    guint64 greatest = 0, rate = 0;
    guint next = 0;

    for (guint i = 0; i < HVS_SESSION_HISTORY; i++) {
        gint64 end = now - (gint64)(HVS_SESSION_HISTORY - 1 - i) * G_USEC_PER_SEC;

        /* What holds since before this second, and all that came in it. */
        while (next < session->points->len && points[next].time <= end - G_USEC_PER_SEC)
            rate = points[next++].rate;
        rates[i] = rate;
        while (next < session->points->len && points[next].time <= end) {
            rate = points[next++].rate;
            rates[i] = MAX(rates[i], rate);
        }
        greatest = MAX(greatest, rates[i]);
    }
    return greatest;
}

/* ---- words ---- */

char *
hvs_session_client(HvsSession *session)
{
    const char *name = hvs_properties_get_string(session->properties, "ClientName");

    return name[0] != '\0' ? g_strdup(name)
                           : g_strdup_printf(_("Session %u"), hvs_session_id(session));
}

char *
hvs_session_screen(HvsSession *session)
{
    GVariant *size = hvs_properties_get(session->properties, "DesktopSize", "(uu)");
    guint depth = hvs_properties_get_uint(session->properties, "ColourDepth");
    guint width = 0, height = 0;

    if (size != NULL)
        g_variant_get(size, "(uu)", &width, &height);
    if (width == 0 || height == 0)
        return g_strdup("");
    if (depth == 0)
        return g_strdup_printf(_("%u × %u"), width, height);
    /* Translators: width, height and colour depth of a screen */
    return g_strdup_printf(_("%u × %u, %u bit"), width, height, depth);
}

char *
hvs_session_status(HvsSession *session)
{
    static const struct {
        const char *state, *words;
    } states[] = {
        { "waiting", N_("Waiting for the client") },
        { "connecting", N_("Connecting to the RDP server") },
        { "negotiating", N_("Negotiating") },
        { "active", N_("Connected") },
        { "closing", N_("Closing") },
        { "ended", N_("Ended") },
    };
    const char *state = hvs_properties_get_string(session->properties, "State");

    for (gsize i = 0; i < G_N_ELEMENTS(states); i++)
        if (g_str_equal(state, states[i].state))
            return g_strdup(_(states[i].words));
    return g_strdup(state);
}

char *
hvs_session_reason(HvsSession *session)
{
    g_autofree char *reason =
        hvs_words_sentence(hvs_properties_get_string(session->properties, "EndText"));
    const char *detail = hvs_properties_get_string(session->properties, "Detail");
    g_autofree char *translated = hvs_words_translate(detail);

    if (detail[0] == '\0')
        return g_steal_pointer(&reason);
    /* Translators: why a session ended, and what belongs to it */
    return g_strdup_printf(_("%s: %s"), reason, translated);
}

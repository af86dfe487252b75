#include "model.h"

#include "properties.h"
#include "words.h"

#include <glib/gi18n.h>

/* Sessions that have ended and are told; the service remembers more. */
#define ENDED_MAX 5

struct _HvsModel {
    GObject parent_instance;

    HvsService service;
    GHashTable *properties; /* of the Manager: name → GVariant */
    GPtrArray *sessions;    /* of HvsSession, by their ids */
    GPtrArray *findings;    /* of HvsFinding */

    guint frozen;
    gboolean changed;
    /* What was told, or was there at first. */
    HvsState told_state;
    GHashTable *told_troubles; /* codes of findings */
};

G_DEFINE_TYPE(HvsModel, hvs_model, G_TYPE_OBJECT)

enum { CHANGED, NEWS, SIGNALS };

static guint signals[SIGNALS];

/* ---- properties ---- */

static const char *
get_string(HvsModel *model, const char *name)
{
    return hvs_properties_get_string(model->properties, name);
}

static gboolean
is(HvsModel *model, const char *name, const char *value)
{
    return g_str_equal(get_string(model, name), value);
}

/* ---- findings ---- */

static void
free_fix(gpointer data)
{
    HvsFix *fix = data;

    g_free(fix->note);
    g_free(fix->command);
    g_free(fix);
}

static void
free_finding(gpointer data)
{
    HvsFinding *finding = data;

    g_free(finding->code);
    g_free(finding->name);
    g_free(finding->sentence);
    g_free(finding->why);
    g_ptr_array_unref(finding->fixes);
    g_variant_unref(finding->source);
    g_free(finding);
}

static char *
lookup_string(GVariant *dictionary, const char *name)
{
    const char *value = "";

    g_variant_lookup(dictionary, name, "&s", &value);
    return g_strdup(value);
}

static char *
lookup_words(GVariant *dictionary, const char *name)
{
    const char *value = "";

    g_variant_lookup(dictionary, name, "&s", &value);
    return hvs_words_translate(value);
}

static HvsSeverity
lookup_severity(GVariant *dictionary)
{
    static const char *const names[] = { "error", "warning", "advice", "info" };
    const char *name = "";

    g_variant_lookup(dictionary, "severity", "&s", &name);
    for (guint i = 0; i < G_N_ELEMENTS(names); i++)
        if (g_str_equal(name, names[i]))
            return (HvsSeverity)i;
    return HVS_SEVERITY_INFO;
}

static GPtrArray *
lookup_fixes(GVariant *dictionary)
{
    GPtrArray *fixes = g_ptr_array_new_with_free_func(free_fix);
    const char *where, *note, *command;
    g_autoptr(GVariantIter) iter = NULL;

    if (!g_variant_lookup(dictionary, "fix", "a(sss)", &iter))
        return fixes;
    while (g_variant_iter_next(iter, "(&s&s&s)", &where, &note, &command)) {
        HvsFix *fix = g_new0(HvsFix, 1);

        fix->on_host = g_str_equal(where, "host");
        fix->note = hvs_words_translate(note);
        fix->command = g_strdup(command);
        g_ptr_array_add(fixes, fix);
    }
    return fixes;
}

static void
read_findings(HvsModel *model)
{
    GVariant *array = hvs_properties_get(model->properties, "Findings", "aa{sv}");
    GVariantIter iter;
    GVariant *dictionary;

    g_ptr_array_set_size(model->findings, 0);
    if (array == NULL)
        return;
    g_variant_iter_init(&iter, array);
    while ((dictionary = g_variant_iter_next_value(&iter)) != NULL) {
        HvsFinding *finding = g_new0(HvsFinding, 1);

        finding->code = lookup_string(dictionary, "code");
        finding->name = lookup_string(dictionary, "name");
        finding->severity = lookup_severity(dictionary);
        finding->sentence = lookup_words(dictionary, "sentence");
        finding->why = lookup_words(dictionary, "why");
        finding->fixes = lookup_fixes(dictionary);
        finding->source = dictionary;
        g_ptr_array_add(model->findings, finding);
    }
}

static gboolean
has_finding(HvsModel *model, const char *name)
{
    for (guint i = 0; i < model->findings->len; i++)
        if (g_str_equal(((HvsFinding *)g_ptr_array_index(model->findings, i))->name, name))
            return TRUE;
    return FALSE;
}

/* The first error, if the diagnosis says that it is one of Enhanced Session itself: that this is no
 * guest, or nothing is offered, the service knows better by what it does. */
static const HvsFinding *
first_error(HvsModel *model)
{
    const HvsFinding *first =
        model->findings->len > 0 ? g_ptr_array_index(model->findings, 0) : NULL;

    return is(model, "Verdict", "degraded") && first != NULL &&
                   first->severity == HVS_SEVERITY_ERROR
               ? first
               : NULL;
}

GPtrArray *
hvs_model_get_findings(HvsModel *model)
{
    return model->findings;
}

gboolean
hvs_model_knows_findings(HvsModel *model)
{
    return hvs_properties_get(model->properties, "Verdict", "s") != NULL &&
           !is(model, "Verdict", "");
}

guint
hvs_model_count_troubles(HvsModel *model)
{
    guint count = 0;

    for (guint i = 0; i < model->findings->len; i++)
        count +=
            ((HvsFinding *)g_ptr_array_index(model->findings, i))->severity <= HVS_SEVERITY_WARNING;
    return count;
}

char *
hvs_model_get_diagnosis(HvsModel *model)
{
    const char *summary = get_string(model, "DiagnosisSummary");

    return summary[0] != '\0' ? hvs_words_sentence(summary)
                              : g_strdup(_("This machine has not been looked at yet."));
}

const char *
hvs_severity_words(HvsSeverity severity)
{
    static const char *const words[] = {
        [HVS_SEVERITY_ERROR] = N_("Error"),
        [HVS_SEVERITY_WARNING] = N_("Warning"),
        [HVS_SEVERITY_ADVICE] = N_("Advice"),
        [HVS_SEVERITY_INFO] = N_("Info"),
    };

    return _(words[severity]);
}

/* ---- sessions ---- */

static HvsSession *
find_session(HvsModel *model, const char *path, guint *index)
{
    for (guint i = 0; i < model->sessions->len; i++) {
        HvsSession *session = g_ptr_array_index(model->sessions, i);

        if (g_str_equal(hvs_session_path(session), path)) {
            if (index != NULL)
                *index = i;
            return session;
        }
    }
    return NULL;
}

static int
compare_ids(gconstpointer a, gconstpointer b)
{
    guint32 first = hvs_session_id(*(HvsSession *const *)a);
    guint32 second = hvs_session_id(*(HvsSession *const *)b);

    return (first > second) - (first < second);
}

static int
compare_ends(gconstpointer a, gconstpointer b)
{
    guint64 first = hvs_session_ended(*(HvsSession *const *)a);
    guint64 second = hvs_session_ended(*(HvsSession *const *)b);

    return first != second ? (first < second) - (first > second) : compare_ids(b, a);
}

static GPtrArray *
list_sessions(HvsModel *model, gboolean ended)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(g_object_unref);

    for (guint i = 0; i < model->sessions->len; i++) {
        HvsSession *session = g_ptr_array_index(model->sessions, i);

        if (hvs_session_id(session) != 0 && hvs_session_has_ended(session) == ended)
            g_ptr_array_add(list, g_object_ref(session));
    }
    g_ptr_array_sort(list, ended ? compare_ends : compare_ids);
    return list;
}

GPtrArray *
hvs_model_get_sessions(HvsModel *model)
{
    return list_sessions(model, FALSE);
}

GPtrArray *
hvs_model_get_ended(HvsModel *model)
{
    GPtrArray *list = list_sessions(model, TRUE);

    g_ptr_array_set_size(list, (int)MIN(list->len, ENDED_MAX));
    return list;
}

/* As the service counts them at the same time as it says that there are some. */
static guint
count_sessions(HvsModel *model)
{
    GVariant *count = hvs_properties_get(model->properties, "SessionCount", "u");
    g_autoptr(GPtrArray) sessions = hvs_model_get_sessions(model);

    return count != NULL ? g_variant_get_uint32(count) : sessions->len;
}

/* ---- the whole ---- */

HvsService
hvs_model_get_service(HvsModel *model)
{
    return model->service;
}

/* The service is ready, but nobody would get a desktop. */
static gboolean
is_ready_in_vain(HvsModel *model)
{
    return is(model, "ServerState", "unreachable") || first_error(model) != NULL;
}

HvsState
hvs_model_get_state(HvsModel *model)
{
    if (model->service != HVS_SERVICE_PRESENT)
        return HVS_STATE_NOT_AVAILABLE;
    if (is(model, "State", "problem"))
        return HVS_STATE_PROBLEM;
    if (is(model, "State", "active"))
        return HVS_STATE_WORKING;
    if (is(model, "State", "ready"))
        return is_ready_in_vain(model) ? HVS_STATE_PROBLEM : HVS_STATE_READY;
    return HVS_STATE_NOT_AVAILABLE;
}

char *
hvs_model_get_title(HvsModel *model)
{
    guint count;

    switch (hvs_model_get_state(model)) {
    case HVS_STATE_READY:
        return g_strdup(_("Ready"));
    case HVS_STATE_WORKING:
        count = count_sessions(model);
        return g_strdup_printf(ngettext("Working: %u session", "Working: %u sessions", count),
                               count);
    case HVS_STATE_PROBLEM:
        return g_strdup(_("Problem"));
    case HVS_STATE_NOT_AVAILABLE:
        break;
    }
    return g_strdup(_("Not available"));
}

static char *
describe_problem(HvsModel *model)
{
    const HvsFinding *error = first_error(model);

    /* The finding says it in more words, and what mends it belongs to it. */
    if (error != NULL)
        return g_strdup(error->sentence);
    if (is(model, "State", "problem"))
        return hvs_words_sentence(get_string(model, "Problem"));
    return g_strdup(_("The RDP server of this machine does not answer"));
}

char *
hvs_model_get_sentence(HvsModel *model)
{
    if (model->service == HVS_SERVICE_SOUGHT)
        return g_strdup(_("Looking for the hvsession service"));
    if (model->service == HVS_SERVICE_ABSENT)
        return g_strdup(_("The hvsession service is not running"));
    if (hvs_model_get_state(model) == HVS_STATE_PROBLEM)
        return describe_problem(model);
    return hvs_words_sentence(get_string(model, "Summary"));
}

char *
hvs_model_get_version(HvsModel *model)
{
    return g_strdup(get_string(model, "Version"));
}

const char *
hvs_state_icon(HvsState state)
{
    static const char *const names[] = {
        [HVS_STATE_NOT_AVAILABLE] = "hvsession-unavailable-symbolic",
        [HVS_STATE_READY] = "hvsession-ready-symbolic",
        [HVS_STATE_WORKING] = "hvsession-working-symbolic",
        [HVS_STATE_PROBLEM] = "hvsession-problem-symbolic",
    };

    return names[state];
}

/* ---- rows ---- */

void
hvs_row_free(HvsRow *row)
{
    g_free(row->label);
    g_free(row->value);
    g_free(row->detail);
    g_free(row);
}

/* Takes value over. */
static void
add_row(GPtrArray *rows, HvsMark mark, const char *label, char *value)
{
    HvsRow *row = g_new0(HvsRow, 1);

    row->mark = mark;
    row->label = g_strdup(label);
    row->value = value;
    g_ptr_array_add(rows, row);
}

/* "10.0.26100.1": what is called by other names, too. Builds as of Microsoft's release lists. */
static const char *
windows_of_build(const char *version)
{
    static const struct {
        guint64 build;
        const char *name;
    } names[] = {
        { 26100, "Windows Server 2025, Windows 11" },
        { 25398, "Windows Server 23H2" },
        { 22000, "Windows 11" },
        { 20348, "Windows Server 2022" },
        { 18362, "Windows 10" },
        { 17763, "Windows Server 2019, Windows 10" },
        { 15063, "Windows 10" },
        { 14393, "Windows Server 2016, Windows 10" },
        { 10240, "Windows 10" },
        { 9600, "Windows Server 2012 R2, Windows 8.1" },
        { 9200, "Windows Server 2012, Windows 8" },
    };
    g_auto(GStrv) parts = g_strsplit(version, ".", -1);
    guint64 build = g_strv_length(parts) >= 3 ? g_ascii_strtoull(parts[2], NULL, 10) : 0;

    for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
        if (build >= names[i].build)
            return names[i].name;
    return NULL;
}

static gboolean
is_offered(HvsModel *model)
{
    return !is(model, "HostOffer", "") && !is(model, "HostOffer", "not-offered");
}

static void
add_hypervisor(HvsModel *model, GPtrArray *rows)
{
    const char *build = get_string(model, "HostBuild");
    const char *name = windows_of_build(build);

    if (name != NULL)
        add_row(rows, HVS_MARK_GOOD, _("Hypervisor"),
                g_strdup_printf(_("Hyper-V %s (%s)"), build, name));
    else if (build[0] != '\0')
        add_row(rows, HVS_MARK_GOOD, _("Hypervisor"), g_strdup_printf(_("Hyper-V %s"), build));
    else if (is_offered(model))
        add_row(rows, HVS_MARK_GOOD, _("Hypervisor"), g_strdup(_("Hyper-V")));
    else if (has_finding(model, "not-hyper-v") || has_finding(model, "wsl"))
        add_row(rows, HVS_MARK_BAD, _("Hypervisor"), g_strdup(_("Not Hyper-V")));
    else
        add_row(rows, HVS_MARK_IDLE, _("Hypervisor"), g_strdup(_("Unknown")));
}

static void
add_names(HvsModel *model, GPtrArray *rows)
{
    const char *machine = get_string(model, "VirtualMachine");
    const char *host = get_string(model, "HostName");

    if (machine[0] != '\0')
        add_row(rows, HVS_MARK_NONE, _("Virtual machine"), g_strdup(machine));
    if (host[0] != '\0')
        add_row(rows, HVS_MARK_NONE, _("Host name"), g_strdup(host));
}

/* Nothing but HvSocket is left then, if the host offers no channels. */
static gboolean
is_working(HvsModel *model)
{
    return is(model, "State", "ready") || is(model, "State", "active");
}

static void
add_offer(HvsModel *model, GPtrArray *rows)
{
    const char *label = _("Enhanced Session");
    const char *version = get_string(model, "HostVersion");

    if (is(model, "HostOffer", "not-offered") && is_working(model))
        add_row(rows, HVS_MARK_GOOD, label, g_strdup(_("Through HvSocket")));
    else if (is(model, "HostOffer", "not-offered"))
        add_row(rows, HVS_MARK_BAD, label, g_strdup(_("Not offered by the host")));
    else if (is(model, "HostOffer", "ready") && version[0] != '\0')
        add_row(rows, HVS_MARK_GOOD, label,
                g_strdup_printf(_("Supported, protocol version %s"), version));
    else if (is(model, "HostOffer", "ready"))
        add_row(rows, HVS_MARK_GOOD, label, g_strdup(_("Supported")));
    else if (is(model, "HostOffer", "waiting"))
        add_row(rows, HVS_MARK_BAD, label, g_strdup(_("Offered, but not agreed on; trying again")));
    else if (is_offered(model))
        add_row(rows, HVS_MARK_IDLE, label, g_strdup(_("Offered, agreeing on the version")));
    else
        add_row(rows, HVS_MARK_IDLE, label, g_strdup(_("Unknown")));
}

static void
add_host_rows(HvsModel *model, GPtrArray *rows)
{
    add_hypervisor(model, rows);
    add_names(model, rows);
    add_offer(model, rows);
}

/* Those that are tried, one a line. */
static char *
describe_servers(HvsModel *model)
{
    g_auto(GStrv) servers = g_strsplit(get_string(model, "Server"), ", ", -1);

    return servers[0] != NULL ? g_strjoinv("\n", servers) : g_strdup(_("Unknown"));
}

static void
add_server_rows(HvsModel *model, GPtrArray *rows)
{
    add_row(rows, HVS_MARK_NONE, _("Address"), describe_servers(model));
    if (is(model, "ServerState", "reachable"))
        add_row(rows, HVS_MARK_GOOD, _("State"), g_strdup(_("Reachable")));
    else if (is(model, "ServerState", "unreachable"))
        add_row(rows, HVS_MARK_BAD, _("State"), g_strdup(_("Not reachable")));
    else
        add_row(rows, HVS_MARK_IDLE, _("State"), g_strdup(_("Unknown until somebody connects")));
}

/* "Open since 10:42" */
static char *
describe_since(const char *words, guint64 since, guint64 now)
{
    g_autofree char *time = since != 0 ? hvs_words_time(since, now) : g_strdup("");

    if (time[0] == '\0')
        return g_strdup(words);
    /* Translators: the state of a channel and the time of day */
    return g_strdup_printf(_("%s since %s"), words, time);
}

static void
add_channel(GPtrArray *rows, guint number, const char *kind, const char *state, guint64 since,
            guint64 now)
{
    static const struct {
        const char *state, *words;
        HvsMark mark;
    } states[] = {
        { "open", N_("Open"), HVS_MARK_GOOD },
        { "offered", N_("Offered"), HVS_MARK_IDLE },
        { "failed", N_("Failed"), HVS_MARK_BAD },
        { "not-offered", N_("Not offered"), HVS_MARK_IDLE },
    };
    g_autofree char *label = g_str_equal(kind, "control")
                                 ? g_strdup(_("Control channel"))
                                 : g_strdup_printf(_("Data channel %u"), number);

    for (gsize i = 0; i < G_N_ELEMENTS(states); i++) {
        if (!g_str_equal(state, states[i].state))
            continue;
        add_row(rows, states[i].mark, label,
                states[i].mark == HVS_MARK_IDLE ? g_strdup(_(states[i].words))
                                                : describe_since(_(states[i].words), since, now));
        return;
    }
    add_row(rows, HVS_MARK_IDLE, label, g_strdup(state));
}

static void
add_hvsocket(HvsModel *model, GPtrArray *rows)
{
    static const struct {
        const char *state, *words;
        HvsMark mark;
    } states[] = {
        { "listening", N_("Listening"), HVS_MARK_GOOD },
        { "off", N_("Off"), HVS_MARK_IDLE },
        { "port-taken", N_("Its port is taken by another program"), HVS_MARK_BAD },
        { "unavailable", N_("Not available in this machine"), HVS_MARK_IDLE },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(states); i++)
        if (is(model, "HvSocket", states[i].state))
            add_row(rows, states[i].mark, _("HvSocket"), g_strdup(_(states[i].words)));
}

static void
add_channel_rows(HvsModel *model, GPtrArray *rows, guint64 now)
{
    GVariant *channels = hvs_properties_get(model->properties, "Channels", "a(usst)");
    const char *kind, *state;
    GVariantIter iter;
    guint64 since;
    guint number;

    if (channels == NULL) {
        add_row(rows, HVS_MARK_IDLE, _("Channels"), g_strdup(_("Unknown")));
        return;
    }
    g_variant_iter_init(&iter, channels);
    while (g_variant_iter_next(&iter, "(u&s&st)", &number, &kind, &state, &since))
        add_channel(rows, number, kind, state, since, now);
    add_hvsocket(model, rows);
}

GPtrArray *
hvs_model_get_rows(HvsModel *model, HvsSection section, guint64 now)
{
    GPtrArray *rows = g_ptr_array_new_with_free_func((GDestroyNotify)hvs_row_free);

    switch (section) {
    case HVS_SECTION_HOST:
        add_host_rows(model, rows);
        break;
    case HVS_SECTION_SERVER:
        add_server_rows(model, rows);
        break;
    case HVS_SECTION_CHANNELS:
        add_channel_rows(model, rows, now);
        break;
    }
    return rows;
}

/* ---- news ---- */

static void
tell(HvsModel *model, const char *id, const char *title, const char *body, gboolean urgent)
{
    HvsNews news = { .id = id, .title = title, .body = body, .urgent = urgent };

    g_signal_emit(model, signals[NEWS], 0, &news);
}

/* Names of the state that a session was last judged in. */
#define TOLD "hvs-told"

static void
tell_session(HvsModel *model, HvsSession *session)
{
    gboolean ended = hvs_session_has_ended(session);
    const char *stage = ended ? "ended" : hvs_session_is_active(session) ? "active" : "begun";
    const char *before = g_object_get_data(G_OBJECT(session), TOLD);
    g_autofree char *client = hvs_session_client(session);
    g_autofree char *id = g_strdup_printf("session-%u", hvs_session_id(session));
    g_autofree char *title = NULL, *body = NULL;

    if (hvs_session_id(session) == 0 || g_strcmp0(before, stage) == 0)
        return;
    g_object_set_data(G_OBJECT(session), TOLD, (gpointer)stage);
    if (model->service != HVS_SERVICE_PRESENT)
        return;
    /* That somebody has gone who was not said to be there is told only if it was not wanted. */
    if (ended && g_strcmp0(before, "active") != 0 && !hvs_session_is_trouble(session))
        return;
    if (ended) {
        title = g_strdup_printf(hvs_session_is_trouble(session) ? _("%s: the session failed")
                                                                : _("%s has disconnected"),
                                client);
        body = hvs_session_reason(session);
    } else if (hvs_session_is_active(session)) {
        title = g_strdup_printf(_("%s has connected"), client);
        body = hvs_session_screen(session);
    } else {
        return;
    }
    tell(model, id, title, body, hvs_session_is_trouble(session));
}

/* Whether a trouble is new; those that are gone are forgotten. */
static const HvsFinding *
find_new_trouble(HvsModel *model)
{
    GHashTable *codes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    const HvsFinding *found = NULL;

    for (guint i = 0; i < model->findings->len; i++) {
        const HvsFinding *finding = g_ptr_array_index(model->findings, i);

        if (finding->severity > HVS_SEVERITY_WARNING)
            continue;
        if (found == NULL && !g_hash_table_contains(model->told_troubles, finding->code))
            found = finding;
        g_hash_table_add(codes, g_strdup(finding->code));
    }
    g_hash_table_unref(model->told_troubles);
    model->told_troubles = codes;
    return found;
}

static void
tell_troubles(HvsModel *model)
{
    HvsState state = hvs_model_get_state(model);
    const HvsFinding *trouble = find_new_trouble(model);
    gboolean fresh = state == HVS_STATE_PROBLEM && model->told_state != HVS_STATE_PROBLEM;

    model->told_state = state;
    if (model->service != HVS_SERVICE_PRESENT)
        return;
    if (fresh) {
        g_autofree char *sentence = hvs_model_get_sentence(model);

        tell(model, "problem", _("Enhanced Session has a problem"), sentence, TRUE);
    } else if (trouble != NULL) {
        tell(model, "problem", _("Enhanced Session has a problem"), trouble->sentence, FALSE);
    }
}

/* ---- changes ---- */

void
hvs_model_freeze(HvsModel *model)
{
    model->frozen++;
}

void
hvs_model_thaw(HvsModel *model)
{
    if (--model->frozen > 0 || !model->changed)
        return;
    model->changed = FALSE;
    for (guint i = 0; i < model->sessions->len; i++)
        tell_session(model, g_ptr_array_index(model->sessions, i));
    tell_troubles(model);
    g_signal_emit(model, signals[CHANGED], 0);
}

static void
note_change(HvsModel *model)
{
    hvs_model_freeze(model);
    model->changed = TRUE;
    hvs_model_thaw(model);
}

void
hvs_model_set_service(HvsModel *model, HvsService service)
{
    if (model->service == service)
        return;
    if (service != HVS_SERVICE_PRESENT) {
        g_hash_table_remove_all(model->properties);
        g_ptr_array_set_size(model->sessions, 0);
        g_ptr_array_set_size(model->findings, 0);
    } else {
        /* What there is at first is no news: judged as long as the service is not there. */
        for (guint i = 0; i < model->sessions->len; i++)
            tell_session(model, g_ptr_array_index(model->sessions, i));
        find_new_trouble(model);
    }
    model->service = service;
    if (service == HVS_SERVICE_PRESENT)
        model->told_state = hvs_model_get_state(model);
    note_change(model);
}

void
hvs_model_set_property(HvsModel *model, const char *name, GVariant *value)
{
    if (value != NULL)
        hvs_properties_set(model->properties, name, value);
    else
        g_hash_table_remove(model->properties, name);
    if (g_str_equal(name, "Findings"))
        read_findings(model);
    note_change(model);
}

void
hvs_model_set_session_property(HvsModel *model, const char *path, const char *name, GVariant *value)
{
    HvsSession *session = find_session(model, path, NULL);

    if (session == NULL) {
        session = hvs_session_new(path);
        g_ptr_array_add(model->sessions, session);
    }
    hvs_session_set(session, name, value, g_get_monotonic_time());
    note_change(model);
}

void
hvs_model_remove_session(HvsModel *model, const char *path)
{
    guint index;

    if (find_session(model, path, &index) == NULL)
        return;
    g_ptr_array_remove_index(model->sessions, index);
    note_change(model);
}

/* ---- object ---- */

static void
hvs_model_finalize(GObject *object)
{
    HvsModel *model = HVS_MODEL(object);

    g_hash_table_unref(model->properties);
    g_hash_table_unref(model->told_troubles);
    g_ptr_array_unref(model->sessions);
    g_ptr_array_unref(model->findings);
    G_OBJECT_CLASS(hvs_model_parent_class)->finalize(object);
}

static void
hvs_model_class_init(HvsModelClass *class)
{
    G_OBJECT_CLASS(class)->finalize = hvs_model_finalize;
    signals[CHANGED] = g_signal_new("changed", HVS_TYPE_MODEL, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                                    NULL, G_TYPE_NONE, 0);
    signals[NEWS] = g_signal_new("news", HVS_TYPE_MODEL, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                                 G_TYPE_NONE, 1, G_TYPE_POINTER);
}

static void
hvs_model_init(HvsModel *model)
{
    model->properties = hvs_properties_new();
    model->told_troubles = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    model->sessions = g_ptr_array_new_with_free_func(g_object_unref);
    model->findings = g_ptr_array_new_with_free_func(free_finding);
}

HvsModel *
hvs_model_new(void)
{
    return g_object_new(HVS_TYPE_MODEL, NULL);
}

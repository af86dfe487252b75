#include "dbus-properties.h"

#include <string.h>

/* Enough for HVS_SERVERS_MAX of the longest addresses. */
#define SERVERS_MAX (HVS_SERVERS_MAX * (HVS_SERVER_HOST_MAX + 20))

/* What comes from elsewhere need not be UTF-8, what goes on the bus has to. */
static GVariant *
text(const char *string)
{
    return g_variant_new_take_string(g_utf8_make_valid(string != NULL ? string : "", -1));
}

static GVariant *
protocols(bool known, uint32_t value)
{
    char buffer[64];

    return text(known ? hvs_protocols_to_string(value, buffer, sizeof(buffer)) : NULL);
}

static GVariant *
time_of_day(const struct hvs_dbus_view *view, uint64_t monotonic)
{
    return g_variant_new_uint64((uint64_t)(view->epoch + (int64_t)monotonic));
}

/* ---- Manager ---- */

static GVariant *
get_version(const struct hvs_dbus_view *view)
{
    return text(view->status->version);
}

static GVariant *
get_service_started(const struct hvs_dbus_view *view)
{
    return time_of_day(view, view->status->started);
}

static GVariant *
get_overall(const struct hvs_dbus_view *view)
{
    return text(hvs_overall_to_string(hvs_status_overall(view->status)));
}

static GVariant *
get_summary(const struct hvs_dbus_view *view)
{
    return text(hvs_overall_to_sentence(hvs_status_overall(view->status)));
}

static GVariant *
get_problem(const struct hvs_dbus_view *view)
{
    return text(hvs_status_problem(view->status));
}

static GVariant *
get_host_offer(const struct hvs_dbus_view *view)
{
    return text(hvs_control_state_to_string(view->status->control.state));
}

static GVariant *
get_host_version(const struct hvs_dbus_view *view)
{
    const struct hvs_control *control = &view->status->control;

    if (control->state != HVS_CONTROL_READY)
        return text(NULL);
    return g_variant_new_printf("%u.%u", control->host_major, control->host_minor);
}

static GVariant *
get_kernel_support(const struct hvs_dbus_view *view)
{
    bool failed = view->status->problem != NULL;

    for (unsigned i = 0; i < HVS_CHANNELS; i++) {
        if (view->status->channels[i] == HVS_CHANNEL_OPEN)
            return text("working");
        failed |= view->status->channels[i] == HVS_CHANNEL_FAILED;
    }
    return text(failed ? "problem" : "unknown");
}

static GVariant *
get_transports(const struct hvs_dbus_view *view)
{
    const char *const transports[] = {
        hvs_transport_to_string(HVS_TRANSPORT_VMBUS),
        hvs_transport_to_string(HVS_TRANSPORT_HVSOCKET),
    };

    return g_variant_new_strv(transports,
                              view->status->hvsocket == HVS_HVSOCKET_LISTENING ? 2 : 1);
}

static GVariant *
get_hvsocket(const struct hvs_dbus_view *view)
{
    return text(hvs_hvsocket_state_to_string(view->status->hvsocket));
}

static GVariant *
get_hvsocket_used(const struct hvs_dbus_view *view)
{
    return g_variant_new_boolean(view->status->hvsocket_used);
}

static GVariant *
get_servers(const struct hvs_dbus_view *view)
{
    char buffer[SERVERS_MAX];
    struct hvs_text out;

    hvs_text_init(&out, buffer, sizeof(buffer));
    hvs_settings_print_servers(view->settings, &out);
    return text(buffer);
}

static GVariant *
get_session_count(const struct hvs_dbus_view *view)
{
    return g_variant_new_uint32(view->status->session_count);
}

static GVariant *
get_sessions_total(const struct hvs_dbus_view *view)
{
    return g_variant_new_uint64(view->status->sessions_total);
}

static GVariant *
get_total_to_host(const struct hvs_dbus_view *view)
{
    return g_variant_new_uint64(view->status->totals.bytes_to_host);
}

static GVariant *
get_total_to_server(const struct hvs_dbus_view *view)
{
    return g_variant_new_uint64(view->status->totals.bytes_to_server);
}

/* The state of each channel, and since when. */
static GVariant *
get_channels(const struct hvs_dbus_view *view)
{
    GVariantBuilder builder;

    g_variant_builder_init(&builder, G_VARIANT_TYPE("a(usst)"));
    for (unsigned i = 0; i < HVS_CHANNELS; i++)
        g_variant_builder_add(&builder, "(uss@t)", i, i == HVS_CONTROL_CHANNEL ? "control" : "data",
                              hvs_channel_state_to_string(view->status->channels[i]),
                              time_of_day(view, view->status->channels_since[i]));
    return g_variant_builder_end(&builder);
}

static GVariant *
get_control_problem(const struct hvs_dbus_view *view)
{
    return text(hvs_control_problem_to_word(view->status->control.problem));
}

/* What became of the last session, as the diagnosis takes it. */
static void
facts_of_status(const struct hvs_dbus_view *view, struct hvs_facts *facts)
{
    memset(facts, 0, sizeof *facts);
    hvs_facts_add_status(facts, view->status);
}

static GVariant *
get_failure_code(const struct hvs_dbus_view *view)
{
    struct hvs_facts facts;

    facts_of_status(view, &facts);
    return g_variant_new_uint32(facts.failure_code);
}

static GVariant *
get_server_encrypts(const struct hvs_dbus_view *view)
{
    struct hvs_facts facts;

    facts_of_status(view, &facts);
    return g_variant_new_boolean(facts.server_encrypts == HVS_YES);
}

static GVariant *
get_server_untrusted(const struct hvs_dbus_view *view)
{
    struct hvs_facts facts;

    facts_of_status(view, &facts);
    return g_variant_new_boolean(facts.server_untrusted == HVS_YES);
}

/* ---- Manager: the diagnosis ---- */

static GVariant *
get_server_state(const struct hvs_dbus_view *view)
{
    enum hvs_answer listening = view->facts != NULL ? view->facts->server_listening : HVS_UNKNOWN;

    if (listening == HVS_UNKNOWN)
        return text("unknown");
    return text(listening == HVS_YES ? "reachable" : "unreachable");
}

static GVariant *
get_virtual_machine(const struct hvs_dbus_view *view)
{
    return text(view->facts != NULL ? view->facts->vm_name : NULL);
}

static GVariant *
get_host_name(const struct hvs_dbus_view *view)
{
    return text(view->facts != NULL ? view->facts->host_name : NULL);
}

static GVariant *
get_host_build(const struct hvs_dbus_view *view)
{
    return text(view->facts != NULL ? view->facts->host_build : NULL);
}

static GVariant *
get_verdict(const struct hvs_dbus_view *view)
{
    if (view->diagnosis == NULL)
        return text(NULL);
    return text(hvs_verdict_to_string(view->diagnosis->verdict));
}

static GVariant *
get_diagnosis_summary(const struct hvs_dbus_view *view)
{
    if (view->diagnosis == NULL)
        return text(NULL);
    return text(hvs_diagnosis_summary(view->facts, view->diagnosis));
}

/* One of a finding's texts, the facts filled in. */
static GVariant *
phrase(const struct hvs_facts *facts, const char *template)
{
    char buffer[HVS_FINDING_TEXT_MAX];
    struct hvs_text out;

    hvs_text_init(&out, buffer, sizeof buffer);
    if (template != NULL)
        hvs_finding_print(facts, template, &out);
    return text(buffer);
}

static GVariant *
fix_steps(const struct hvs_facts *facts, const struct hvs_finding *finding)
{
    const struct hvs_fix *fix = NULL;
    GVariantBuilder builder;

    g_variant_builder_init(&builder, G_VARIANT_TYPE("a(sss)"));
    while ((fix = hvs_finding_next_fix(facts, finding, fix)) != NULL)
        g_variant_builder_add(&builder, "(s@s@s)", hvs_place_to_string(fix->where),
                              phrase(facts, fix->note), phrase(facts, fix->command));
    return g_variant_builder_end(&builder);
}

static GVariant *
describe_finding(const struct hvs_facts *facts, const struct hvs_finding *finding)
{
    g_autofree char *manual = g_strconcat("man:hvsession(7)#", finding->name, NULL);
    GVariantDict dict;

    g_variant_dict_init(&dict, NULL);
    g_variant_dict_insert(&dict, "code", "s", finding->code);
    g_variant_dict_insert(&dict, "name", "s", finding->name);
    g_variant_dict_insert(&dict, "severity", "s", hvs_severity_to_string(finding->severity));
    g_variant_dict_insert_value(&dict, "sentence", phrase(facts, finding->sentence));
    g_variant_dict_insert_value(&dict, "why", phrase(facts, finding->why));
    g_variant_dict_insert(&dict, "manual", "s", manual);
    g_variant_dict_insert_value(&dict, "fix", fix_steps(facts, finding));
    return g_variant_dict_end(&dict);
}

static GVariant *
get_findings(const struct hvs_dbus_view *view)
{
    GVariantBuilder builder;

    g_variant_builder_init(&builder, G_VARIANT_TYPE("aa{sv}"));
    for (unsigned i = 0; view->diagnosis != NULL && i < view->diagnosis->count; i++)
        g_variant_builder_add_value(&builder,
                                    describe_finding(view->facts, view->diagnosis->findings[i]));
    return g_variant_builder_end(&builder);
}

static const struct hvs_dbus_property manager_properties[] = {
    { "Version", get_version },
    { "Started", get_service_started },
    { "State", get_overall },
    { "Summary", get_summary },
    { "Problem", get_problem },
    { "HostOffer", get_host_offer },
    { "HostVersion", get_host_version },
    { "KernelSupport", get_kernel_support },
    { "Transports", get_transports },
    { "Server", get_servers },
    { "SessionCount", get_session_count },
    { "SessionsTotal", get_sessions_total },
    { "BytesToHost", get_total_to_host },
    { "BytesToServer", get_total_to_server },
    { "Channels", get_channels },
    { "HvSocket", get_hvsocket },
    { "HvSocketUsed", get_hvsocket_used },
    { "ControlProblem", get_control_problem },
    { "FailureCode", get_failure_code },
    { "ServerEncrypts", get_server_encrypts },
    { "ServerUntrusted", get_server_untrusted },
    { "ServerState", get_server_state },
    { "VirtualMachine", get_virtual_machine },
    { "HostName", get_host_name },
    { "HostBuild", get_host_build },
    { "Verdict", get_verdict },
    { "DiagnosisSummary", get_diagnosis_summary },
    { "Findings", get_findings },
};

const struct hvs_dbus_interface hvs_dbus_manager_interface = {
    .name = "io.github.hvsession1.Manager",
    .properties = manager_properties,
    .count = G_N_ELEMENTS(manager_properties),
};

/* ---- Session ---- */

static GVariant *
get_id(const struct hvs_dbus_view *view)
{
    return g_variant_new_uint32(view->session->id);
}

static GVariant *
get_transport(const struct hvs_dbus_view *view)
{
    return text(hvs_transport_to_string(view->session->transport));
}

static GVariant *
get_channel(const struct hvs_dbus_view *view)
{
    return g_variant_new_uint32(view->session->channel);
}

static GVariant *
get_started(const struct hvs_dbus_view *view)
{
    return time_of_day(view, view->session->started);
}

static GVariant *
get_ended(const struct hvs_dbus_view *view)
{
    if (view->session->state != HVS_SESSION_ENDED)
        return g_variant_new_uint64(0);
    return time_of_day(view, view->session->ended);
}

static GVariant *
get_state(const struct hvs_dbus_view *view)
{
    return text(hvs_session_state_to_string(view->session->state));
}

static GVariant *
get_bytes_to_host(const struct hvs_dbus_view *view)
{
    return g_variant_new_uint64(view->session->counters.bytes_to_host);
}

static GVariant *
get_bytes_to_server(const struct hvs_dbus_view *view)
{
    return g_variant_new_uint64(view->session->counters.bytes_to_server);
}

static GVariant *
get_packets_to_host(const struct hvs_dbus_view *view)
{
    return g_variant_new_uint64(view->session->counters.packets_to_host);
}

static GVariant *
get_packets_from_host(const struct hvs_dbus_view *view)
{
    return g_variant_new_uint64(view->session->counters.packets_from_host);
}

static GVariant *
get_rate_to_host(const struct hvs_dbus_view *view)
{
    return g_variant_new_uint64(view->rate_to_host);
}

static GVariant *
get_rate_to_server(const struct hvs_dbus_view *view)
{
    return g_variant_new_uint64(view->rate_to_server);
}

static GVariant *
get_client_name(const struct hvs_dbus_view *view)
{
    return text(view->session->negotiation.client.name);
}

static GVariant *
get_desktop_size(const struct hvs_dbus_view *view)
{
    const struct hvs_client_facts *client = &view->session->negotiation.client;

    return g_variant_new("(uu)", (guint)client->desktop_width, (guint)client->desktop_height);
}

static GVariant *
get_colour_depth(const struct hvs_dbus_view *view)
{
    return g_variant_new_uint32(view->session->negotiation.client.colour_depth);
}

static GVariant *
get_static_channels(const struct hvs_dbus_view *view)
{
    const struct hvs_client_facts *client = &view->session->negotiation.client;
    GVariant *names[HVS_CLIENT_CHANNELS_MAX];

    for (unsigned i = 0; i < client->channel_count; i++)
        names[i] = text(client->channels[i]);
    return g_variant_new_array(G_VARIANT_TYPE_STRING, names, client->channel_count);
}

static GVariant *
get_requested_protocols(const struct hvs_dbus_view *view)
{
    const struct hvs_negotiation_facts *facts = &view->session->negotiation;

    return protocols(facts->request_has_protocols, facts->requested_protocols);
}

static GVariant *
get_selected_protocol(const struct hvs_dbus_view *view)
{
    const struct hvs_negotiation_facts *facts = &view->session->negotiation;

    return protocols(facts->confirm_seen && facts->failure_code == 0, facts->selected_protocol);
}

static GVariant *
get_server(const struct hvs_dbus_view *view)
{
    return text(view->session->server);
}

static bool
has_ended(const struct hvs_dbus_view *view)
{
    return view->session->state == HVS_SESSION_ENDED;
}

static GVariant *
get_end_reason(const struct hvs_dbus_view *view)
{
    return text(has_ended(view) ? hvs_end_reason_to_string(view->session->reason) : NULL);
}

static GVariant *
get_end_text(const struct hvs_dbus_view *view)
{
    return text(has_ended(view) ? hvs_end_reason_to_sentence(view->session->reason) : NULL);
}

static GVariant *
get_detail(const struct hvs_dbus_view *view)
{
    return text(view->session->detail);
}

static GVariant *
get_trouble(const struct hvs_dbus_view *view)
{
    return g_variant_new_boolean(has_ended(view) &&
                                 hvs_end_reason_is_trouble(view->session->reason));
}

static const struct hvs_dbus_property session_properties[] = {
    { "Id", get_id },
    { "Transport", get_transport },
    { "Channel", get_channel },
    { "Started", get_started },
    { "Ended", get_ended },
    { "State", get_state },
    { "BytesToHost", get_bytes_to_host },
    { "BytesToServer", get_bytes_to_server },
    { "PacketsToHost", get_packets_to_host },
    { "PacketsFromHost", get_packets_from_host },
    { "RateToHost", get_rate_to_host },
    { "RateToServer", get_rate_to_server },
    { "ClientName", get_client_name },
    { "DesktopSize", get_desktop_size },
    { "ColourDepth", get_colour_depth },
    { "StaticChannels", get_static_channels },
    { "RequestedProtocols", get_requested_protocols },
    { "SelectedProtocol", get_selected_protocol },
    { "Server", get_server },
    { "EndReason", get_end_reason },
    { "EndText", get_end_text },
    { "Detail", get_detail },
    { "Trouble", get_trouble },
};

const struct hvs_dbus_interface hvs_dbus_session_interface = {
    .name = "io.github.hvsession1.Session",
    .properties = session_properties,
    .count = G_N_ELEMENTS(session_properties),
};

const struct hvs_dbus_property *
hvs_dbus_interface_find(const struct hvs_dbus_interface *interface, const char *name)
{
    for (unsigned i = 0; i < interface->count; i++)
        if (g_str_equal(interface->properties[i].name, name))
            return &interface->properties[i];
    return NULL;
}

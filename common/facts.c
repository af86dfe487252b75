#include "diagnosis.h"

#include <string.h>

const char *
hvs_hypervisor_name(const char *vendor)
{
    static const struct {
        const char *vendor, *name;
    } known[] = {
        { "KVMKVMKVM", "KVM" },           { "Linux KVM Hv", "KVM" },
        { "TCGTCGTCGTCG", "QEMU" },       { "VMwareVMware", "VMware" },
        { "VBoxVBoxVBox", "VirtualBox" }, { "XenVMMXenVMM", "Xen" },
        { "bhyve bhyve ", "bhyve" },      { "ACRNACRNACRN", "ACRN" },
        { " lrpepyh  vr", "Parallels" },  { "prl hyperv  ", "Parallels" },
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(vendor, known[i].vendor) == 0)
            return known[i].name;
    return NULL;
}

/* The one that began last; NULL: there was none. */
static const struct hvs_session *
last_session(const struct hvs_status *status)
{
    const struct hvs_session *last = NULL;

    for (unsigned i = 0; i < status->session_count; i++)
        if (last == NULL || status->sessions[i].id > last->id)
            last = &status->sessions[i];
    for (unsigned i = 0; i < status->ended_count; i++)
        if (last == NULL || status->ended[i].id > last->id)
            last = &status->ended[i];
    return last;
}

/* Nobody offers HvSocket: only who comes tells that the machine is set to it. What others serve is
 * for the probe to find. */
static void
add_hvsocket(struct hvs_facts *facts, const struct hvs_status *status)
{
    facts->hvsocket_taken = status->hvsocket == HVS_HVSOCKET_PORT_TAKEN ? HVS_YES : HVS_NO;
    if (status->hvsocket == HVS_HVSOCKET_LISTENING || facts->hvsocket_taken == HVS_YES)
        facts->hvsocket_listening = HVS_YES;
    if (status->hvsocket == HVS_HVSOCKET_LISTENING)
        facts->hvsocket_used = status->hvsocket_used ? HVS_YES : HVS_NO;
}

void
hvs_facts_add_status(struct hvs_facts *facts, const struct hvs_status *status)
{
    const struct hvs_session *last = last_session(status);

    facts->service_running = HVS_YES;
    facts->control_problem = status->control.problem;
    add_hvsocket(facts, status);
    if (last == NULL)
        return;
    facts->failure_code = last->negotiation.failure_code;
    facts->server_encrypts = last->reason == HVS_END_SERVER_ENCRYPTS ? HVS_YES : HVS_NO;
    facts->server_untrusted = last->reason == HVS_END_SERVER_UNTRUSTED ? HVS_YES : HVS_NO;
}

#include "diagnosis.h"

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

void
hvs_facts_add_status(struct hvs_facts *facts, const struct hvs_status *status)
{
    const struct hvs_session *last = last_session(status);

    facts->service_running = HVS_YES;
    facts->control_problem = status->control.problem;
    if (last == NULL)
        return;
    facts->failure_code = last->negotiation.failure_code;
    facts->server_encrypts = last->reason == HVS_END_SERVER_ENCRYPTS ? HVS_YES : HVS_NO;
}

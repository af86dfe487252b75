/* windows/tray/model with any document, as status and as diagnosis: nothing outside of it is read,
 * and whatever is taken can be shown. */
#include "windows/tray/chinese.h"
#include "windows/tray/json.h"
#include "windows/tray/model.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct hvs_json values[HVS_MODEL_VALUES_MAX];

static void
use_session(const struct hvs_model_session *session)
{
    if (session->state > HVS_SESSION_ENDED || session->reason >= HVS_END_REASONS ||
        memchr(session->client, '\0', sizeof session->client) == NULL ||
        memchr(session->reason_text, '\0', sizeof session->reason_text) == NULL)
        abort();
}

static void
try_status(char *document, size_t size)
{
    static struct hvs_model before, model;
    struct hvs_event events[HVS_EVENTS_MAX];

    hvs_model_set_service(&before, HVS_SERVICE_UP);
    if (!hvs_model_read(&model, document, size, values))
        return;
    if (hvs_model_light(&model) >= HVS_LIGHTS || model.session_count > HVS_DATA_CHANNELS ||
        model.ended_count > HVS_STATUS_ENDED_MAX ||
        hvs_model_compare(&before, &model, events) > HVS_EVENTS_MAX ||
        hvs_model_compare(&model, &model, events) != 0)
        abort();
    for (unsigned i = 0; i < model.session_count; i++)
        use_session(&model.sessions[i]);
    for (unsigned i = 0; i < model.ended_count; i++)
        use_session(&model.ended[i]);
}

static void
try_diagnosis(char *document, size_t size)
{
    static struct hvs_view view;
    static char words[65536];
    struct hvs_text text;

    if (!hvs_view_read(&view, document, size, values))
        return;
    if (view.count > HVS_FINDINGS_MAX || hvs_view_problems(&view) > view.count)
        abort();
    for (unsigned i = 0; i < view.count; i++) {
        hvs_text_init(&text, words, sizeof words);
        hvs_chinese_add(&text, view.findings[i].sentence);
        hvs_text_init(&text, words, sizeof words);
        hvs_view_print_fix(&view.findings[i], "\r\n", &text);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (unsigned i = 0; i < 2; i++) {
        /* Of exactly that size, so that a byte too far is seen. */
        char *document = malloc(size > 0 ? size : 1);

        if (document == NULL)
            return 0;
        if (size > 0)
            memcpy(document, data, size);
        (i == 0 ? try_status : try_diagnosis)(document, size);
        free(document);
    }
    return 0;
}

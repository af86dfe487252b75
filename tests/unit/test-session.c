/* common/session: states go forward only, the first end stays, every reason has its names. */
#include "common/session.h"

#include <glib.h>
#include <string.h>

static void
test_init(void)
{
    struct hvs_session session;

    memset(&session, 0xff, sizeof session);
    hvs_session_init(&session, 7, 3, 1234);
    g_assert_cmpuint(session.id, ==, 7);
    g_assert_cmpuint(session.channel, ==, 3);
    g_assert_cmpint(session.state, ==, HVS_SESSION_WAITING);
    g_assert_cmpint(session.reason, ==, HVS_END_NONE);
    g_assert_cmpuint(session.started, ==, 1234);
    g_assert_cmpuint(session.ended, ==, 0);
    g_assert_cmpuint(session.counters.bytes_to_host, ==, 0);
    g_assert_cmpuint(session.counters.socket_full, ==, 0);
    g_assert_false(session.negotiation.request_seen);
    g_assert_cmpint(session.negotiation_error, ==, HVS_NEGOTIATION_OK);
    g_assert_cmpstr(session.server, ==, "");
    g_assert_cmpstr(session.detail, ==, "");
}

/* From each state to each other one. */
static void
test_advance(void)
{
    for (int from = HVS_SESSION_WAITING; from < HVS_SESSION_ENDED; from++) {
        for (int to = HVS_SESSION_WAITING; to < HVS_SESSION_ENDED; to++) {
            struct hvs_session session;

            hvs_session_init(&session, 1, 1, 0);
            g_assert_true(hvs_session_advance(&session, (enum hvs_session_state)from));
            g_assert_true(hvs_session_advance(&session, (enum hvs_session_state)to) ==
                          (to >= from));
            g_assert_cmpint(session.state, ==, MAX(from, to));
        }
    }
}

static void
test_advance_never_ends(void)
{
    struct hvs_session session;

    hvs_session_init(&session, 1, 1, 0);
    g_assert_false(hvs_session_advance(&session, HVS_SESSION_ENDED));
    g_assert_cmpint(session.state, ==, HVS_SESSION_WAITING);

    hvs_session_end(&session, HVS_END_STOPPED, NULL, 1);
    g_assert_false(hvs_session_advance(&session, HVS_SESSION_ACTIVE));
    g_assert_cmpint(session.state, ==, HVS_SESSION_ENDED);
}

static void
test_end(void)
{
    struct hvs_session session;

    hvs_session_init(&session, 1, 1, 100);
    hvs_session_end(&session, HVS_END_SERVER_ERROR, "Connection reset by peer", 500);
    g_assert_cmpint(session.state, ==, HVS_SESSION_ENDED);
    g_assert_cmpint(session.reason, ==, HVS_END_SERVER_ERROR);
    g_assert_cmpuint(session.ended, ==, 500);
    g_assert_cmpstr(session.detail, ==, "Connection reset by peer");
}

static void
test_first_end_stays(void)
{
    struct hvs_session session;

    hvs_session_init(&session, 1, 1, 100);
    hvs_session_end(&session, HVS_END_HOST_RESCINDED, NULL, 500);
    hvs_session_end(&session, HVS_END_STOPPED, "late", 900);
    g_assert_cmpint(session.reason, ==, HVS_END_HOST_RESCINDED);
    g_assert_cmpuint(session.ended, ==, 500);
    g_assert_cmpstr(session.detail, ==, "");
}

static void
test_long_detail(void)
{
    struct hvs_session session;
    char detail[1000];

    memset(detail, 'x', sizeof detail - 1);
    detail[sizeof detail - 1] = '\0';
    hvs_session_init(&session, 1, 1, 0);
    hvs_session_end(&session, HVS_END_CHANNEL_ERROR, detail, 1);
    g_assert_cmpuint(strlen(session.detail), ==, sizeof session.detail - 1);
}

static void
test_reason_of_negotiation(void)
{
    static const struct {
        enum hvs_negotiation_error error;
        enum hvs_direction direction;
        uint32_t failure_code;
        enum hvs_end_reason reason;
    } cases[] = {
        { HVS_NEGOTIATION_OK, HVS_FROM_CLIENT, 0, HVS_END_NONE },
        { HVS_TPKT_BAD_VERSION, HVS_FROM_CLIENT, 0, HVS_END_REQUEST_MALFORMED },
        { HVS_TPKT_BAD_VERSION, HVS_FROM_SERVER, 0, HVS_END_REPLY_MALFORMED },
        { HVS_REQUEST_TRAILING_BYTES, HVS_FROM_CLIENT, 0, HVS_END_REQUEST_MALFORMED },
        { HVS_CONFIRM_BAD_NEG, HVS_FROM_SERVER, 0, HVS_END_REPLY_MALFORMED },
        { HVS_SERVER_ENCRYPTS, HVS_FROM_SERVER, 0, HVS_END_SERVER_ENCRYPTS },
        { HVS_NEGOTIATION_OK, HVS_FROM_CLIENT, 5, HVS_END_SERVER_REFUSED },
        { HVS_TPKT_BAD_LENGTH, HVS_FROM_SERVER, 5, HVS_END_REPLY_MALFORMED },
    };
    g_autofree struct hvs_negotiation *negotiation = g_new0(struct hvs_negotiation, 1);

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        negotiation->error = cases[i].error;
        negotiation->error_direction = cases[i].direction;
        negotiation->facts.failure_code = cases[i].failure_code;
        g_assert_cmpint(hvs_session_reason_of(negotiation), ==, cases[i].reason);
    }
}

static void
test_state_names(void)
{
    static const char *const names[] = { "waiting", "connecting", "negotiating",
                                         "active",  "closing",    "ended" };

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
        g_assert_cmpstr(hvs_session_state_to_string((enum hvs_session_state)i), ==, names[i]);
    g_assert_cmpstr(hvs_session_state_to_string((enum hvs_session_state)99), ==, "unknown");
}

/* Others search logs for these: they never change. */
static void
test_reason_names(void)
{
    static const struct {
        enum hvs_end_reason reason;
        const char *name;
        bool trouble;
    } cases[] = {
        { HVS_END_NONE, "none", false },
        { HVS_END_HOST_CLOSED, "host-closed", false },
        { HVS_END_HOST_RESCINDED, "host-rescinded", false },
        { HVS_END_SERVER_CLOSED, "server-closed", false },
        { HVS_END_STOPPED, "stopped", false },
        { HVS_END_DISCONNECTED, "disconnected", false },
        { HVS_END_CONTROL_LOST, "control-lost", false },
        { HVS_END_HOST_SILENT, "host-silent", false },
        { HVS_END_CHANNEL_ERROR, "channel-error", true },
        { HVS_END_RING_CORRUPT, "ring-corrupt", true },
        { HVS_END_PIPE_PROTOCOL, "pipe-protocol", true },
        { HVS_END_REQUEST_TIMEOUT, "request-timeout", true },
        { HVS_END_REQUEST_MALFORMED, "request-malformed", true },
        { HVS_END_REPLY_MALFORMED, "reply-malformed", true },
        { HVS_END_SERVER_UNREACHABLE, "server-unreachable", true },
        { HVS_END_SERVER_SILENT, "server-silent", true },
        { HVS_END_SERVER_REFUSED, "server-refused", true },
        { HVS_END_SERVER_ENCRYPTS, "server-encrypts", true },
        { HVS_END_SERVER_UNTRUSTED, "server-untrusted", true },
        { HVS_END_SERVER_TLS, "server-tls", true },
        { HVS_END_SERVER_ERROR, "server-error", true },
        { HVS_END_NO_RESOURCES, "no-resources", true },
    };

    g_assert_cmpuint(G_N_ELEMENTS(cases), ==, HVS_END_REASONS);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_assert_cmpstr(hvs_end_reason_to_string(cases[i].reason), ==, cases[i].name);
        g_assert_true(hvs_end_reason_is_trouble(cases[i].reason) == cases[i].trouble);
    }
    g_assert_cmpstr(hvs_end_reason_to_string((enum hvs_end_reason)99), ==, "unknown");
}

/* Whoever closes the connection after a refusal. */
static void
test_end_after_refusal(void)
{
    static const struct {
        enum hvs_end_reason given, expected;
    } cases[] = {
        { HVS_END_HOST_RESCINDED, HVS_END_SERVER_REFUSED },
        { HVS_END_HOST_CLOSED, HVS_END_SERVER_REFUSED },
        { HVS_END_SERVER_CLOSED, HVS_END_SERVER_REFUSED },
        { HVS_END_SERVER_ERROR, HVS_END_SERVER_REFUSED },
        { HVS_END_STOPPED, HVS_END_STOPPED },
        { HVS_END_CONTROL_LOST, HVS_END_CONTROL_LOST },
        { HVS_END_RING_CORRUPT, HVS_END_RING_CORRUPT },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct hvs_session session;

        hvs_session_init(&session, 1, 1, 0);
        session.negotiation.failure_code = 5;
        hvs_session_end(&session, cases[i].given, "why", 1);
        g_assert_cmpint(session.reason, ==, cases[i].expected);
        g_assert_cmpstr(session.detail, ==,
                        cases[i].expected == cases[i].given ? "why" :
                                                              hvs_negotiation_failure_to_string(5));
    }
}

static void
test_reason_sentences(void)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    for (int i = 0; i < HVS_END_REASONS; i++) {
        const char *sentence = hvs_end_reason_to_sentence((enum hvs_end_reason)i);

        g_assert_nonnull(sentence);
        g_assert_cmpuint(strlen(sentence), >, 0);
        g_assert_false(g_str_has_suffix(sentence, "."));
        g_assert_true(g_hash_table_add(seen, (gpointer)sentence));
    }
    g_assert_nonnull(hvs_end_reason_to_sentence((enum hvs_end_reason)99));
    /* The one that has to name the setting that mends it. */
    g_assert_nonnull(strstr(hvs_end_reason_to_sentence(HVS_END_SERVER_ENCRYPTS),
                            "NegotiationReply=passthrough"));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/session/init", test_init);
    g_test_add_func("/session/advance", test_advance);
    g_test_add_func("/session/end/after-refusal", test_end_after_refusal);
    g_test_add_func("/session/advance/never-ends", test_advance_never_ends);
    g_test_add_func("/session/end", test_end);
    g_test_add_func("/session/end/first-stays", test_first_end_stays);
    g_test_add_func("/session/end/long-detail", test_long_detail);
    g_test_add_func("/session/reason/of-negotiation", test_reason_of_negotiation);
    g_test_add_func("/session/reason/names", test_reason_names);
    g_test_add_func("/session/reason/sentences", test_reason_sentences);
    g_test_add_func("/session/state/names", test_state_names);
    return g_test_run();
}

#include "common/synthrdp.h"
#include "bytes.h"

/* Any moment, so that nothing depends on a clock that begins at 0. */
#define START 1000000u

/* type, size, version (major, minor), reserved, accepted */
static const uint8_t accepted[] = { 2, 0, 0, 0, 17, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2 };
static const uint8_t refused[] = { 2, 0, 0, 0, 17, 0, 0, 0, 7, 0, 3, 0, 0, 0, 0, 0, 0 };
static const uint8_t host_error[] = { 0, 0, 0, 0, 8, 0, 0, 0 };

static struct hvs_control
negotiating(void)
{
    struct hvs_control control;

    hvs_control_init(&control);
    g_assert_cmpint(hvs_control_offered(&control, START), ==, HVS_CONTROL_DO_OPEN);
    g_assert_cmpint(hvs_control_opened(&control, START), ==, HVS_CONTROL_DO_SEND);
    return control;
}

static struct hvs_control
ready(void)
{
    struct hvs_control control = negotiating();

    g_assert_cmpint(hvs_control_received(&control, accepted, sizeof accepted, START + 1), ==,
                    HVS_CONTROL_DO_NOTHING);
    g_assert_cmpint(control.state, ==, HVS_CONTROL_READY);
    return control;
}

static void
test_instances(void)
{
    static const uint8_t control_instance[] = { 0x99, 0x22, 0x1f, 0xa0, 0x24, 0xad, 0x11, 0xe2,
                                                0xbe, 0x98, 0x00, 0x1a, 0xa0, 0x1b, 0xbf, 0x6e };

    for (unsigned channel = 0; channel < HVS_CHANNELS; channel++) {
        struct hvs_guid instance = hvs_synthrdp_instance(channel);
        uint8_t bytes[HVS_GUID_WIRE_SIZE], expected[HVS_GUID_WIRE_SIZE];

        memcpy(expected, control_instance, sizeof expected);
        expected[3] = (uint8_t)(0xa0 + channel);
        hvs_guid_to_bytes(&instance, bytes);
        assert_bytes(bytes, sizeof bytes, expected, sizeof expected);
        g_assert_cmpint(hvs_synthrdp_channel_of(&instance), ==, (int)channel);
    }
}

static void
test_not_an_instance(void)
{
    struct hvs_guid guid = hvs_synthrdp_instance(HVS_CHANNELS);

    g_assert_cmpint(hvs_synthrdp_channel_of(&guid), ==, -1);
    guid = hvs_synthrdp_instance(0);
    guid.data1--;
    g_assert_cmpint(hvs_synthrdp_channel_of(&guid), ==, -1);
    guid = hvs_synthrdp_instance(1);
    guid.data4[7] ^= 1;
    g_assert_cmpint(hvs_synthrdp_channel_of(&guid), ==, -1);
    g_assert_cmpint(hvs_synthrdp_channel_of(&hvs_synthrdp_data_class), ==, -1);
}

static void
test_classes(void)
{
    static const uint8_t data_class[] = { 0xf9, 0xe9, 0xc0, 0xd3, 0xb5, 0x11, 0x4a, 0x48,
                                          0x80, 0x46, 0xd3, 0x80, 0x79, 0xa8, 0x83, 0x0c };
    static const uint8_t control_class[] = { 0xf8, 0xe6, 0x57, 0x16, 0x3c, 0xb3, 0x4a, 0x06,
                                             0x9a, 0x60, 0x18, 0x89, 0xc5, 0xcc, 0xca, 0xb5 };

    for (unsigned channel = 0; channel < HVS_CHANNELS; channel++) {
        uint8_t bytes[HVS_GUID_WIRE_SIZE];

        hvs_guid_to_bytes(hvs_synthrdp_class(channel), bytes);
        assert_bytes(bytes, sizeof bytes, channel == 0 ? control_class : data_class, sizeof bytes);
    }
}

static void
test_request(void)
{
    static const uint8_t expected[] = { 1, 0, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0 };
    uint8_t request[HVS_SYNTHRDP_REQUEST_SIZE];

    memset(request, 0xee, sizeof request);
    hvs_control_request(request);
    assert_bytes(request, sizeof request, expected, sizeof expected);
}

static void
test_accepted(void)
{
    struct hvs_control control = negotiating();

    g_assert_cmpint(control.state, ==, HVS_CONTROL_NEGOTIATING);
    g_assert_cmpuint(control.deadline, ==, START + HVS_SYNTHRDP_ANSWER_TIMEOUT);
    g_assert_cmpuint(control.attempts, ==, 1);
    hvs_control_received(&control, accepted, sizeof accepted, START + 10);
    g_assert_cmpint(control.state, ==, HVS_CONTROL_READY);
    g_assert_cmpint(control.problem, ==, HVS_CONTROL_NO_PROBLEM);
    g_assert_cmpuint(control.deadline, ==, 0);
    g_assert_cmpuint(control.attempts, ==, 0);
    g_assert_cmpuint(control.host_major, ==, 1);
    g_assert_cmpuint(control.host_minor, ==, 0);
    g_assert_cmpuint(control.host_accepted, ==, 2);
}

/* A message that does not make us READY, and what it is called. */
struct message_case {
    const char *name;
    uint8_t bytes[24];
    size_t length;
    enum hvs_control_problem problem; /* NO_PROBLEM: it is an acceptance */
};

static const struct message_case message_cases[] = {
    { "refused-0",
      { 2, 0, 0, 0, 17, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0 },
      17,
      HVS_CONTROL_REFUSED },
    { "refused-1",
      { 2, 0, 0, 0, 17, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1 },
      17,
      HVS_CONTROL_REFUSED },
    { "refused-3",
      { 2, 0, 0, 0, 17, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 3 },
      17,
      HVS_CONTROL_REFUSED },
    { "host-error", { 0, 0, 0, 0, 8, 0, 0, 0 }, 8, HVS_CONTROL_HOST_ERROR },
    { "host-error-with-code", { 0, 0, 0, 0, 12, 0, 0, 0, 5, 0, 0, 0 }, 12, HVS_CONTROL_HOST_ERROR },
    { "host-error-cut-short", { 0, 0, 0, 0, 8, 0, 0 }, 7, HVS_CONTROL_BAD_MESSAGE },
    { "our-own-type", { 1, 0, 0, 0, 16, 0, 0, 0, 1 }, 16, HVS_CONTROL_BAD_MESSAGE },
    { "unknown-type",
      { 3, 0, 0, 0, 17, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2 },
      17,
      HVS_CONTROL_BAD_MESSAGE },
    { "type-in-the-upper-bytes",
      { 2, 0, 0, 1, 17, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2 },
      17,
      HVS_CONTROL_BAD_MESSAGE },
    { "size-0", { 2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2 }, 17, HVS_CONTROL_NO_PROBLEM },
    { "size-16",
      { 2, 0, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2 },
      17,
      HVS_CONTROL_NO_PROBLEM },
    { "size-huge",
      { 2, 0, 0, 0, 255, 255, 255, 255, 1, 0, 0, 0, 0, 0, 0, 0, 2 },
      17,
      HVS_CONTROL_NO_PROBLEM },
    { "padded-to-20",
      { 2, 0, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 9, 9, 9 },
      20,
      HVS_CONTROL_NO_PROBLEM },
    { "other-version-accepted",
      { 2, 0, 0, 0, 17, 0, 0, 0, 4, 0, 2, 0, 0, 0, 0, 0, 2 },
      17,
      HVS_CONTROL_NO_PROBLEM },
};

static void
test_message(const void *data)
{
    const struct message_case *test = data;
    struct hvs_control control = negotiating();
    g_autofree uint8_t *message = g_memdup2(test->bytes, test->length);

    g_assert_cmpint(hvs_control_received(&control, message, test->length, START + 7), ==,
                    HVS_CONTROL_DO_NOTHING);
    g_assert_cmpint(control.problem, ==, test->problem);
    if (test->problem == HVS_CONTROL_NO_PROBLEM) {
        g_assert_cmpint(control.state, ==, HVS_CONTROL_READY);
    } else {
        g_assert_cmpint(control.state, ==, HVS_CONTROL_WAITING);
        g_assert_cmpuint(control.deadline, ==, START + 7 + HVS_SYNTHRDP_BACKOFF_FIRST);
    }
}

static void
test_cut_short(void)
{
    for (size_t length = 0; length < sizeof accepted; length++) {
        struct hvs_control control = negotiating();
        g_autofree uint8_t *message = g_memdup2(accepted, length);

        hvs_control_received(&control, message, length, START);
        g_assert_cmpint(control.state, ==, HVS_CONTROL_WAITING);
        g_assert_cmpint(control.problem, ==, HVS_CONTROL_BAD_MESSAGE);
    }
}

/* Version and verdict of a refusal are kept for doctor. */
static void
test_refusal_is_recorded(void)
{
    struct hvs_control control = negotiating();

    hvs_control_received(&control, refused, sizeof refused, START);
    g_assert_cmpuint(control.host_major, ==, 7);
    g_assert_cmpuint(control.host_minor, ==, 3);
    g_assert_cmpuint(control.host_accepted, ==, 0);
}

/* 1 s, 2 s, 4 s … 60 s, 60 s: after a silence of the host, the same request on the same channel. */
static void
test_backoff_without_answer(void)
{
    static const uint64_t pauses[] = { 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000 };
    struct hvs_control control = negotiating();
    uint64_t now = START;

    for (unsigned i = 0; i < G_N_ELEMENTS(pauses); i++) {
        g_assert_cmpint(control.state, ==, HVS_CONTROL_NEGOTIATING);
        g_assert_cmpuint(control.attempts, ==, i + 1);
        now += HVS_SYNTHRDP_ANSWER_TIMEOUT;
        g_assert_cmpuint(control.deadline, ==, now);
        g_assert_cmpint(hvs_control_timeout(&control, now), ==, HVS_CONTROL_DO_NOTHING);
        g_assert_cmpint(control.state, ==, HVS_CONTROL_WAITING);
        g_assert_cmpint(control.problem, ==, HVS_CONTROL_NO_ANSWER);
        now += pauses[i];
        g_assert_cmpuint(control.deadline, ==, now);
        g_assert_cmpint(hvs_control_timeout(&control, now), ==, HVS_CONTROL_DO_SEND);
    }
    for (unsigned i = 0; i < 1000; i++) {
        now = control.deadline;
        hvs_control_timeout(&control, now);
        g_assert_cmpuint(control.deadline - now, <=, HVS_SYNTHRDP_BACKOFF_MAX);
    }
}

static void
test_backoff_after_refusals(void)
{
    static const uint64_t pauses[] = { 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000 };
    struct hvs_control control = negotiating();
    uint64_t now = START;

    for (unsigned i = 0; i < G_N_ELEMENTS(pauses); i++) {
        now += 3;
        hvs_control_received(&control, refused, sizeof refused, now);
        g_assert_cmpuint(control.deadline, ==, now + pauses[i]);
        now = control.deadline;
        g_assert_cmpint(hvs_control_timeout(&control, now), ==, HVS_CONTROL_DO_SEND);
    }
    hvs_control_received(&control, accepted, sizeof accepted, now);
    g_assert_cmpint(control.state, ==, HVS_CONTROL_READY);
}

static void
test_backoff_when_open_fails(void)
{
    static const uint64_t pauses[] = { 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000 };
    struct hvs_control control;
    uint64_t now = START;

    hvs_control_init(&control);
    hvs_control_offered(&control, now);
    for (unsigned i = 0; i < G_N_ELEMENTS(pauses); i++) {
        g_assert_cmpint(hvs_control_failed(&control, now), ==, HVS_CONTROL_DO_NOTHING);
        g_assert_cmpint(control.state, ==, HVS_CONTROL_OFFERED);
        g_assert_cmpint(control.problem, ==, HVS_CONTROL_OPEN_FAILED);
        g_assert_cmpuint(control.attempts, ==, i + 1);
        g_assert_cmpuint(control.deadline, ==, now + pauses[i]);
        g_assert_cmpint(hvs_control_timeout(&control, now + pauses[i] - 1), ==,
                        HVS_CONTROL_DO_NOTHING);
        now = control.deadline;
        g_assert_cmpint(hvs_control_timeout(&control, now), ==, HVS_CONTROL_DO_OPEN);
        g_assert_cmpuint(control.deadline, ==, 0);
    }
    g_assert_cmpint(hvs_control_opened(&control, now), ==, HVS_CONTROL_DO_SEND);
}

/* A channel that breaks is opened again, whatever state it was in; success starts the pauses over.
 */
static void
test_failure_of_the_channel(void)
{
    struct hvs_control control = negotiating();

    hvs_control_failed(&control, START + 1);
    g_assert_cmpuint(control.attempts, ==, 1);
    g_assert_cmpint(hvs_control_timeout(&control, control.deadline), ==, HVS_CONTROL_DO_OPEN);

    control = negotiating();
    hvs_control_received(&control, refused, sizeof refused, START);
    hvs_control_failed(&control, START + 1);
    g_assert_cmpuint(control.deadline, ==, START + 1 + 2000);
    g_assert_cmpint(hvs_control_timeout(&control, control.deadline), ==, HVS_CONTROL_DO_OPEN);

    control = ready();
    hvs_control_failed(&control, START + 5);
    g_assert_cmpint(control.state, ==, HVS_CONTROL_OFFERED);
    g_assert_cmpuint(control.deadline, ==, START + 5 + 1000);
    g_assert_cmpint(hvs_control_timeout(&control, START + 1005), ==, HVS_CONTROL_DO_OPEN);
    g_assert_cmpint(hvs_control_opened(&control, START + 1005), ==, HVS_CONTROL_DO_SEND);
    hvs_control_received(&control, accepted, sizeof accepted, START + 1006);
    g_assert_cmpint(control.state, ==, HVS_CONTROL_READY);
    g_assert_cmpint(control.problem, ==, HVS_CONTROL_NO_PROBLEM);

    control = negotiating();
    hvs_control_received(&control, refused, sizeof refused, START);
    hvs_control_received(&control, accepted, sizeof accepted, START);
    hvs_control_failed(&control, START);
    g_assert_cmpuint(control.deadline, ==, START + 1000);
}

static void
test_late_acceptance(void)
{
    struct hvs_control control = negotiating();
    uint64_t now = control.deadline;

    hvs_control_timeout(&control, now);
    g_assert_cmpint(control.state, ==, HVS_CONTROL_WAITING);
    hvs_control_received(&control, accepted, sizeof accepted, now + 1);
    g_assert_cmpint(control.state, ==, HVS_CONTROL_READY);
    g_assert_cmpuint(control.deadline, ==, 0);
}

/* A host that goes on complaining cannot put the next attempt off. */
static void
test_late_refusal(void)
{
    struct hvs_control control = negotiating();
    uint64_t deadline;

    hvs_control_timeout(&control, control.deadline);
    deadline = control.deadline;
    for (unsigned i = 0; i < 100; i++) {
        hvs_control_received(&control, refused, sizeof refused, deadline - 1);
        hvs_control_received(&control, host_error, sizeof host_error, deadline - 1);
    }
    g_assert_cmpint(control.state, ==, HVS_CONTROL_WAITING);
    g_assert_cmpint(control.problem, ==, HVS_CONTROL_HOST_ERROR);
    g_assert_cmpuint(control.deadline, ==, deadline);
    g_assert_cmpint(hvs_control_timeout(&control, deadline), ==, HVS_CONTROL_DO_SEND);
}

static void
test_ready_is_left_by_no_message(void)
{
    struct hvs_control control = ready();

    for (size_t i = 0; i < G_N_ELEMENTS(message_cases); i++) {
        hvs_control_received(&control, message_cases[i].bytes, message_cases[i].length, START + 9);
    }
    hvs_control_received(&control, refused, 0, START + 9);
    g_assert_cmpint(hvs_control_timeout(&control, START + 1000000), ==, HVS_CONTROL_DO_NOTHING);
    g_assert_cmpint(hvs_control_opened(&control, START + 9), ==, HVS_CONTROL_DO_NOTHING);
    g_assert_cmpint(control.state, ==, HVS_CONTROL_READY);
    g_assert_cmpint(control.problem, ==, HVS_CONTROL_NO_PROBLEM);
    g_assert_cmpuint(control.host_accepted, ==, 2);
    g_assert_cmpuint(control.deadline, ==, 0);
}

static void
test_early_timeout(void)
{
    struct hvs_control control = negotiating();

    g_assert_cmpint(hvs_control_timeout(&control, control.deadline - 1), ==,
                    HVS_CONTROL_DO_NOTHING);
    g_assert_cmpint(control.state, ==, HVS_CONTROL_NEGOTIATING);
}

static void
test_rescinded(void)
{
    struct hvs_control control = ready();

    hvs_control_rescinded(&control);
    g_assert_cmpint(control.state, ==, HVS_CONTROL_NOT_OFFERED);
    g_assert_cmpuint(control.deadline, ==, 0);
    /* What comes too late for the channel that is gone */
    g_assert_cmpint(hvs_control_opened(&control, START), ==, HVS_CONTROL_DO_NOTHING);
    g_assert_cmpint(hvs_control_failed(&control, START), ==, HVS_CONTROL_DO_NOTHING);
    g_assert_cmpint(hvs_control_received(&control, accepted, sizeof accepted, START), ==,
                    HVS_CONTROL_DO_NOTHING);
    g_assert_cmpint(hvs_control_timeout(&control, START * 2), ==, HVS_CONTROL_DO_NOTHING);
    g_assert_cmpint(control.state, ==, HVS_CONTROL_NOT_OFFERED);
    /* And it comes back */
    g_assert_cmpint(hvs_control_offered(&control, START), ==, HVS_CONTROL_DO_OPEN);
    g_assert_cmpint(hvs_control_opened(&control, START), ==, HVS_CONTROL_DO_SEND);
}

static void
test_rescinded_while_waiting(void)
{
    struct hvs_control control = negotiating();

    hvs_control_received(&control, refused, sizeof refused, START);
    hvs_control_rescinded(&control);
    g_assert_cmpint(hvs_control_timeout(&control, START * 2), ==, HVS_CONTROL_DO_NOTHING);
    hvs_control_offered(&control, START);
    hvs_control_failed(&control, START);
    g_assert_cmpuint(control.deadline, ==, START + HVS_SYNTHRDP_BACKOFF_FIRST);
}

static void
test_offered_twice(void)
{
    struct hvs_control control = ready();

    g_assert_cmpint(hvs_control_offered(&control, START), ==, HVS_CONTROL_DO_NOTHING);
    g_assert_cmpint(control.state, ==, HVS_CONTROL_READY);
}

static void
test_strings(void)
{
    g_assert_cmpstr(hvs_control_state_to_string(HVS_CONTROL_NOT_OFFERED), ==, "not-offered");
    g_assert_cmpstr(hvs_control_state_to_string(HVS_CONTROL_OFFERED), ==, "offered");
    g_assert_cmpstr(hvs_control_state_to_string(HVS_CONTROL_NEGOTIATING), ==, "negotiating");
    g_assert_cmpstr(hvs_control_state_to_string(HVS_CONTROL_WAITING), ==, "waiting");
    g_assert_cmpstr(hvs_control_state_to_string(HVS_CONTROL_READY), ==, "ready");
    g_assert_nonnull(hvs_control_state_to_string((enum hvs_control_state)99));
    for (int problem = HVS_CONTROL_NO_PROBLEM; problem <= HVS_CONTROL_OPEN_FAILED; problem++) {
        const char *clause = hvs_control_problem_to_string((enum hvs_control_problem)problem);

        g_assert_cmpuint(strlen(clause), >, 5);
        g_assert_false(g_str_has_suffix(clause, "."));
        for (int other = HVS_CONTROL_NO_PROBLEM; other < problem; other++) {
            g_assert_cmpstr(clause, !=,
                            hvs_control_problem_to_string((enum hvs_control_problem)other));
        }
    }
    g_assert_nonnull(hvs_control_problem_to_string((enum hvs_control_problem)99));
}

static void
test_words(void)
{
    g_assert_null(hvs_control_problem_to_word(HVS_CONTROL_NO_PROBLEM));
    g_assert_null(hvs_control_problem_to_word((enum hvs_control_problem)99));
    g_assert_cmpstr(hvs_control_problem_to_word(HVS_CONTROL_BAD_MESSAGE), ==, "bad-message");
    for (int problem = HVS_CONTROL_NO_ANSWER; problem <= HVS_CONTROL_OPEN_FAILED; problem++) {
        const char *word = hvs_control_problem_to_word((enum hvs_control_problem)problem);

        g_assert_cmpint(hvs_control_problem_from_word(word), ==, problem);
    }
    g_assert_cmpint(hvs_control_problem_from_word(""), ==, HVS_CONTROL_NO_PROBLEM);
    g_assert_cmpint(hvs_control_problem_from_word("no-answers"), ==, HVS_CONTROL_NO_PROBLEM);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/synthrdp/instances", test_instances);
    g_test_add_func("/synthrdp/not-an-instance", test_not_an_instance);
    g_test_add_func("/synthrdp/classes", test_classes);
    g_test_add_func("/synthrdp/request", test_request);
    g_test_add_func("/synthrdp/accepted", test_accepted);
    for (size_t i = 0; i < G_N_ELEMENTS(message_cases); i++) {
        g_autofree char *path = g_strdup_printf("/synthrdp/message/%s", message_cases[i].name);

        g_test_add_data_func(path, &message_cases[i], test_message);
    }
    g_test_add_func("/synthrdp/message/cut-short", test_cut_short);
    g_test_add_func("/synthrdp/message/refusal-is-recorded", test_refusal_is_recorded);
    g_test_add_func("/synthrdp/backoff/no-answer", test_backoff_without_answer);
    g_test_add_func("/synthrdp/backoff/refusals", test_backoff_after_refusals);
    g_test_add_func("/synthrdp/backoff/open-fails", test_backoff_when_open_fails);
    g_test_add_func("/synthrdp/channel-fails", test_failure_of_the_channel);
    g_test_add_func("/synthrdp/late/acceptance", test_late_acceptance);
    g_test_add_func("/synthrdp/late/refusal", test_late_refusal);
    g_test_add_func("/synthrdp/ready-is-left-by-no-message", test_ready_is_left_by_no_message);
    g_test_add_func("/synthrdp/early-timeout", test_early_timeout);
    g_test_add_func("/synthrdp/rescind/ready", test_rescinded);
    g_test_add_func("/synthrdp/rescind/waiting", test_rescinded_while_waiting);
    g_test_add_func("/synthrdp/offered-twice", test_offered_twice);
    g_test_add_func("/synthrdp/strings", test_strings);
    g_test_add_func("/synthrdp/words", test_words);
    return g_test_run();
}

/* linux/control.c against a scripted host: the test is the offers, the host and the clock. */
#include "linux/control.h"
#include "linux/log.h"
#include "naive-host.h"
#include "virtual-clock.h"

#include <signal.h>

#define RING_DATA      4096u
#define REQUEST_PACKET (16 + 8 + HVS_SYNTHRDP_REQUEST_SIZE + 8)
#define OPENS          -1

/* ---- the offers ---- */

G_DEFINE_QUARK(hvs-offers-error-quark, hvs_offers_error)

struct hvs_offers {
    int next_open;          /* OPENS, or the error that opening fails with */
    const uint8_t *waiting; /* a message that is in the ring when it is opened */
    unsigned opens;
    struct naive_host host;
    struct hvs_channel guest; /* a copy, to know where its mapping is */
};

struct fixture {
    struct hvs_offers offers;
    hvs_control_channel *control;
    unsigned changes;
    unsigned descriptors;
};

static GPtrArray *log_lines; /* warnings only */

static const uint8_t accepted[HVS_SYNTHRDP_RESPONSE_SIZE] = { 2, 0, 0, 0, 17, 0, 0, 0, 1,
                                                              0, 0, 0, 0, 0,  0, 0, 2 };
static const uint8_t refused[HVS_SYNTHRDP_RESPONSE_SIZE] = { 2, 0, 0, 0, 17, 0, 0, 0, 3, 0, 1, 0 };
static const uint8_t host_error[8] = { 0, 0, 0, 0, 8 };

gboolean
hvs_offers_open(hvs_offers *offers, unsigned channel_number, struct hvs_channel *channel,
                GError **error)
{
    g_assert_cmpuint(channel_number, ==, HVS_CONTROL_CHANNEL);
    offers->opens++;
    if (offers->next_open != OPENS) {
        g_set_error(error, HVS_OFFERS_ERROR, offers->next_open, "opening fails with %d",
                    offers->next_open);
        return FALSE;
    }
    if (offers->host.memory != NULL)
        naive_host_free(&offers->host);
    offers->host = naive_host_new(RING_DATA, true, channel);
    offers->guest = *channel;
    if (offers->waiting != NULL)
        naive_host_send(&offers->host, offers->waiting, HVS_SYNTHRDP_RESPONSE_SIZE);
    return TRUE;
}

static GLogWriterOutput
collect_log(GLogLevelFlags level, const GLogField *fields, gsize count, gpointer data)
{
    const char *message = NULL;
    bool warning = false;

    (void)data;
    if (level & G_LOG_LEVEL_CRITICAL)
        return g_log_writer_default(level, fields, count, NULL);
    for (gsize i = 0; i < count; i++) {
        if (g_str_equal(fields[i].key, "MESSAGE"))
            message = fields[i].value;
        warning |= g_str_equal(fields[i].key, "PRIORITY") && g_str_equal(fields[i].value, "4");
    }
    if (warning)
        g_ptr_array_add(log_lines, g_strdup(message));
    return G_LOG_WRITER_HANDLED;
}

static void
on_changed(gpointer data)
{
    ((struct fixture *)data)->changes++;
}

static void
set_up(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    clock_start();
    log_lines = g_ptr_array_new_with_free_func(g_free);
    fixture->descriptors = count_descriptors();
    fixture->offers.next_open = OPENS;
    fixture->offers.host.fd = -1;
    fixture->control = hvs_control_channel_new(&fixture->offers, on_changed, fixture);
}

static void
tear_down(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    hvs_control_channel_free(fixture->control);
    g_assert_false(timer_runs());
    if (fixture->offers.host.memory != NULL)
        naive_host_free(&fixture->offers.host);
    settle();
    g_assert_cmpuint(count_descriptors(), ==, fixture->descriptors);
    g_ptr_array_unref(log_lines);
}

/* ---- what is there to see ---- */

static const struct hvs_control *
state_of(const struct fixture *fixture)
{
    return hvs_control_channel_state(fixture->control);
}

/* The state, and with it what has to hold in it. */
static void
assert_state(const struct fixture *fixture, enum hvs_control_state expected)
{
    const struct hvs_control *state = state_of(fixture);
    bool open = expected >= HVS_CONTROL_NEGOTIATING;

    g_assert_cmpstr(hvs_control_state_to_string(state->state), ==,
                    hvs_control_state_to_string(expected));
    g_assert_true(hvs_control_channel_is_open(fixture->control) == open);
    if (open)
        g_assert_null(hvs_control_channel_error(fixture->control));
    g_assert_true(timer_runs() == (state->deadline != 0));
    if (state->deadline != 0)
        g_assert_cmpuint(timer_due(), ==, MAX(state->deadline, clock_now));
    g_assert_cmpuint(count_descriptors(), ==,
                     fixture->descriptors + (open ? 1 : 0) +
                         (fixture->offers.host.fd >= 0 ? 1 : 0));
}

static void
assert_problem(const struct fixture *fixture, enum hvs_control_problem expected)
{
    g_assert_cmpstr(hvs_control_problem_to_string(state_of(fixture)->problem), ==,
                    hvs_control_problem_to_string(expected));
}

/* How many warnings there were, and what the last one was about. */
static void
assert_warnings(unsigned count, const char *about)
{
    g_assert_cmpuint(log_lines->len, ==, count);
    if (count > 0)
        g_assert_nonnull(strstr(g_ptr_array_index(log_lines, count - 1), about));
}

/* ---- what the host does ---- */

static void
expect_request(struct fixture *fixture)
{
    static const uint8_t expected[] = { 1, 0, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0 };
    uint8_t bytes[NAIVE_PACKET_MAX];
    struct naive_host *host = &fixture->offers.host;

    g_assert_true(naive_host_has_input(host));
    g_assert_cmpint(naive_host_receive(host, bytes), ==, sizeof expected);
    naive_assert_same(bytes, expected, sizeof expected);
    g_assert_false(naive_host_has_input(host));
}

static void
offer(struct fixture *fixture)
{
    hvs_control_channel_offered(fixture->control);
    settle();
}

static void
offer_and_expect_request(struct fixture *fixture)
{
    offer(fixture);
    expect_request(fixture);
    assert_state(fixture, HVS_CONTROL_NEGOTIATING);
}

static void
answer(struct fixture *fixture, const uint8_t *message, uint32_t length)
{
    naive_host_send(&fixture->offers.host, message, length);
    settle();
}

static void
become_ready(struct fixture *fixture)
{
    offer_and_expect_request(fixture);
    answer(fixture, accepted, sizeof accepted);
    assert_state(fixture, HVS_CONTROL_READY);
}

static void
rescind(struct fixture *fixture)
{
    hvs_control_channel_rescinded(fixture->control);
    settle();
}

/* ---- the exchange ---- */

static void
test_nothing_offered(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    assert_state(fixture, HVS_CONTROL_NOT_OFFERED);
    rescind(fixture);
    assert_state(fixture, HVS_CONTROL_NOT_OFFERED);
    g_assert_cmpuint(fixture->offers.opens, ==, 0);
}

static void
test_accepted(struct fixture *fixture, gconstpointer data)
{
    unsigned changes;

    (void)data;
    offer_and_expect_request(fixture);
    /* The ring had been empty: the host was asleep. */
    naive_host_take_signals(&fixture->offers.host);
    g_assert_cmpuint(fixture->offers.host.signals, ==, 1);
    changes = fixture->changes;
    answer(fixture, accepted, sizeof accepted);
    assert_state(fixture, HVS_CONTROL_READY);
    g_assert_cmpuint(fixture->changes, >, changes);
    g_assert_cmpuint(state_of(fixture)->host_major, ==, 1);
    assert_problem(fixture, HVS_CONTROL_NO_PROBLEM);
    assert_warnings(0, NULL);
    pass_time(10 * 60 * 1000);
    g_assert_false(naive_host_has_input(&fixture->offers.host));
}

/* A message without bytes says nothing, and is no end of anything. */
static void
test_empty_message(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    offer_and_expect_request(fixture);
    answer(fixture, accepted, 0);
    answer(fixture, accepted, 0);
    assert_warnings(0, NULL);
    answer(fixture, accepted, sizeof accepted);
    assert_state(fixture, HVS_CONTROL_READY);
    assert_warnings(0, NULL);
}

/* No signal comes for what is in the ring already. */
static void
test_answer_before_we_look(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    fixture->offers.waiting = accepted;
    hvs_control_channel_offered(fixture->control);
    assert_state(fixture, HVS_CONTROL_READY);
}

static void
test_refused_then_accepted(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    offer_and_expect_request(fixture);
    answer(fixture, refused, sizeof refused);
    assert_state(fixture, HVS_CONTROL_WAITING);
    assert_problem(fixture, HVS_CONTROL_REFUSED);
    g_assert_cmpuint(state_of(fixture)->host_major, ==, 3);
    assert_warnings(1, "refused");

    pass_time(HVS_SYNTHRDP_BACKOFF_FIRST - 1);
    g_assert_false(naive_host_has_input(&fixture->offers.host));
    pass_time(1);
    expect_request(fixture);
    assert_state(fixture, HVS_CONTROL_NEGOTIATING);
    answer(fixture, accepted, sizeof accepted);
    assert_state(fixture, HVS_CONTROL_READY);
    g_assert_cmpuint(fixture->offers.opens, ==, 1);
    assert_warnings(1, "refused");
}

static void
test_error_then_accepted(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    offer_and_expect_request(fixture);
    answer(fixture, host_error, sizeof host_error);
    assert_state(fixture, HVS_CONTROL_WAITING);
    assert_problem(fixture, HVS_CONTROL_HOST_ERROR);
    assert_warnings(1, "error");
    pass_time(HVS_SYNTHRDP_BACKOFF_FIRST);
    expect_request(fixture);
    answer(fixture, accepted, sizeof accepted);
    assert_state(fixture, HVS_CONTROL_READY);
}

/* For hours, with growing pauses, and one line in the log. */
static void
test_silent(struct fixture *fixture, gconstpointer data)
{
    uint64_t pause = HVS_SYNTHRDP_BACKOFF_FIRST;

    (void)data;
    offer_and_expect_request(fixture);
    for (unsigned i = 0; i < 50; i++) {
        pass_time(HVS_SYNTHRDP_ANSWER_TIMEOUT - 1);
        assert_state(fixture, HVS_CONTROL_NEGOTIATING);
        pass_time(1);
        assert_state(fixture, HVS_CONTROL_WAITING);
        assert_problem(fixture, HVS_CONTROL_NO_ANSWER);
        pass_time(pause - 1);
        g_assert_false(naive_host_has_input(&fixture->offers.host));
        pass_time(1);
        expect_request(fixture);
        pause = MIN(2 * pause, HVS_SYNTHRDP_BACKOFF_MAX);
    }
    g_assert_cmpuint(fixture->offers.opens, ==, 1);
    assert_warnings(1, "did not answer");
}

static void
test_late(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    offer_and_expect_request(fixture);
    pass_time(HVS_SYNTHRDP_ANSWER_TIMEOUT);
    assert_state(fixture, HVS_CONTROL_WAITING);
    pass_time(HVS_SYNTHRDP_BACKOFF_FIRST / 2);
    answer(fixture, accepted, sizeof accepted);
    assert_state(fixture, HVS_CONTROL_READY);
    /* An answer to the first request as well as to the second. */
    answer(fixture, accepted, sizeof accepted);
    answer(fixture, refused, sizeof refused);
    assert_state(fixture, HVS_CONTROL_READY);
}

/* Messages that are no answer, and what a host may do besides. */
static void
test_odd_messages(struct fixture *fixture, gconstpointer data)
{
    uint8_t padded[1000];

    (void)data;
    offer_and_expect_request(fixture);
    answer(fixture, NULL, 0);
    assert_state(fixture, HVS_CONTROL_NEGOTIATING);
    naive_host_signal(&fixture->offers.host); /* and nothing there */
    settle();
    assert_state(fixture, HVS_CONTROL_NEGOTIATING);
    rescind(fixture);

    memset(padded, 2, sizeof padded);
    memcpy(padded, accepted, sizeof accepted);
    offer_and_expect_request(fixture);
    answer(fixture, accepted, 5);
    assert_problem(fixture, HVS_CONTROL_BAD_MESSAGE);
    answer(fixture, padded, sizeof padded);
    assert_state(fixture, HVS_CONTROL_READY);
}

/* Several in one go, published together. */
static void
test_messages_at_once(struct fixture *fixture, gconstpointer data)
{
    struct naive_host *host = &fixture->offers.host;
    uint32_t at;

    (void)data;
    offer_and_expect_request(fixture);
    at = host->to_guest.words[WRITE_INDEX];
    at = naive_host_put(host, at, 1, sizeof host_error, host_error, sizeof host_error);
    at = naive_host_put(host, at, 1, sizeof refused, refused, sizeof refused);
    at = naive_host_put(host, at, 1, sizeof accepted, accepted, sizeof accepted);
    naive_host_publish(host, at);
    settle();
    assert_state(fixture, HVS_CONTROL_READY);
    g_assert_cmpuint(host->to_guest.words[READ_INDEX], ==, at);
}

/* The host waits for room in its ring: it is told when there is some. */
static void
test_host_waits_for_room(struct fixture *fixture, gconstpointer data)
{
    struct naive_host *host = &fixture->offers.host;
    uint8_t filler[RING_DATA - 16 - 8 - 8 - 8] = { 9 };

    (void)data;
    become_ready(fixture);
    g_assert_true(naive_host_take_signals(host));
    host->signals = 0;
    host->to_guest.words[PENDING_SEND_SZ] = 1000;
    answer(fixture, filler, sizeof filler);
    naive_host_take_signals(host);
    g_assert_cmpuint(host->signals, ==, 1);
    assert_state(fixture, HVS_CONTROL_READY);
}

/* ---- rescinds and new offers ---- */

static void
test_rescinded_while_negotiating(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    offer_and_expect_request(fixture);
    rescind(fixture);
    assert_state(fixture, HVS_CONTROL_NOT_OFFERED);
    pass_time(HVS_SYNTHRDP_BACKOFF_MAX * 2);
    g_assert_cmpuint(fixture->offers.opens, ==, 1);
    become_ready(fixture);
    assert_warnings(0, NULL);
}

static void
test_rescinded_in_a_pause(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    offer_and_expect_request(fixture);
    answer(fixture, refused, sizeof refused);
    rescind(fixture);
    assert_state(fixture, HVS_CONTROL_NOT_OFFERED);
    assert_problem(fixture, HVS_CONTROL_NO_PROBLEM);
    pass_time(HVS_SYNTHRDP_BACKOFF_MAX * 2);
    g_assert_cmpuint(fixture->offers.opens, ==, 1);
    become_ready(fixture);
}

static void
test_rescinded_when_ready(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    for (unsigned i = 0; i < 20; i++) {
        unsigned changes;

        become_ready(fixture);
        changes = fixture->changes;
        rescind(fixture);
        assert_state(fixture, HVS_CONTROL_NOT_OFFERED);
        g_assert_cmpuint(fixture->changes, >, changes);
    }
    g_assert_cmpuint(fixture->offers.opens, ==, 20);
}

/* The descriptor says so first: the ring is not touched any more. */
static void
test_rescinded_on_descriptor(struct fixture *fixture, gconstpointer data)
{
    bool ready = GPOINTER_TO_INT(data) != 0;
    unsigned changes;

    if (ready)
        become_ready(fixture);
    else
        offer_and_expect_request(fixture);
    changes = fixture->changes;
    naive_host_signal(&fixture->offers.host);
    g_assert_cmpint(mprotect(fixture->offers.guest.map, fixture->offers.guest.map_size, PROT_NONE),
                    ==, 0);
    naive_host_rescind(&fixture->offers.host);
    settle();
    assert_state(fixture, HVS_CONTROL_NOT_OFFERED);
    g_assert_cmpuint(fixture->changes, >, changes);
    pass_time(HVS_SYNTHRDP_BACKOFF_MAX * 2);
    g_assert_cmpuint(fixture->offers.opens, ==, 1);

    rescind(fixture); /* as the offers say it later */
    assert_state(fixture, HVS_CONTROL_NOT_OFFERED);
    become_ready(fixture);
    assert_warnings(0, NULL);
}

/* Offered anew, and the end of the old one was never told. */
static void
test_reoffered_without_rescind(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    become_ready(fixture);
    offer_and_expect_request(fixture);
    g_assert_cmpuint(fixture->offers.opens, ==, 2);
    answer(fixture, accepted, sizeof accepted);
    assert_state(fixture, HVS_CONTROL_READY);
}

/* ---- failures ---- */

static void
test_open_fails(struct fixture *fixture, gconstpointer data)
{
    uint64_t pause = HVS_SYNTHRDP_BACKOFF_FIRST;

    fixture->offers.next_open = GPOINTER_TO_INT(data);
    offer(fixture);
    for (unsigned i = 1; i <= 10; i++) {
        assert_state(fixture, HVS_CONTROL_OFFERED);
        assert_problem(fixture, HVS_CONTROL_OPEN_FAILED);
        g_assert_nonnull(strstr(hvs_control_channel_error(fixture->control), "opening fails"));
        g_assert_cmpuint(fixture->offers.opens, ==, i);
        pass_time(pause - 1);
        g_assert_cmpuint(fixture->offers.opens, ==, i);
        pass_time(1);
        pause = MIN(2 * pause, HVS_SYNTHRDP_BACKOFF_MAX);
    }
    assert_warnings(1, "opening fails");
    fixture->offers.next_open = OPENS;
    pass_time(pause);
    expect_request(fixture);
    assert_state(fixture, HVS_CONTROL_NEGOTIATING);
    answer(fixture, accepted, sizeof accepted);
    assert_state(fixture, HVS_CONTROL_READY);
    assert_problem(fixture, HVS_CONTROL_NO_PROBLEM);
}

/* Another reason is told, too; so is the same one after a success. */
static void
test_open_failures_are_told(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    fixture->offers.next_open = HVS_OFFERS_ERROR_DENIED;
    offer(fixture);
    fixture->offers.next_open = HVS_OFFERS_ERROR_IN_USE;
    pass_time(1000);
    assert_warnings(2, "opening fails");
    fixture->offers.next_open = OPENS;
    pass_time(2000);
    expect_request(fixture);
    answer(fixture, accepted, sizeof accepted);
    rescind(fixture);
    fixture->offers.next_open = HVS_OFFERS_ERROR_IN_USE;
    offer(fixture);
    assert_warnings(3, "opening fails");
}

/* The offers tell what comes next: nothing is retried, nothing is wrong. */
static void
test_open_gone(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    fixture->offers.next_open = HVS_OFFERS_ERROR_DENIED;
    offer(fixture);
    fixture->offers.next_open = HVS_OFFERS_ERROR_GONE;
    pass_time(1000);
    assert_state(fixture, HVS_CONTROL_NOT_OFFERED);
    g_assert_null(hvs_control_channel_error(fixture->control));
    pass_time(HVS_SYNTHRDP_BACKOFF_MAX * 2);
    g_assert_cmpuint(fixture->offers.opens, ==, 2);
    fixture->offers.next_open = OPENS;
    become_ready(fixture);
    assert_warnings(1, "");
}

static void
test_offered_twice_while_failing(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    fixture->offers.next_open = HVS_OFFERS_ERROR_MEMORY;
    offer(fixture);
    offer(fixture);
    assert_state(fixture, HVS_CONTROL_OFFERED);
    g_assert_cmpuint(fixture->offers.opens, ==, 1);
    rescind(fixture);
    assert_state(fixture, HVS_CONTROL_NOT_OFFERED);
    g_assert_null(hvs_control_channel_error(fixture->control));
}

/* It is closed, told, and opened again after a pause. */
static void
assert_reopened(struct fixture *fixture, const char *about)
{
    assert_state(fixture, HVS_CONTROL_OFFERED);
    assert_problem(fixture, HVS_CONTROL_OPEN_FAILED);
    g_assert_nonnull(strstr(hvs_control_channel_error(fixture->control), about));
    assert_warnings(1, about);
    pass_time(HVS_SYNTHRDP_BACKOFF_FIRST);
    expect_request(fixture);
    answer(fixture, accepted, sizeof accepted);
    assert_state(fixture, HVS_CONTROL_READY);
    g_assert_cmpuint(fixture->offers.opens, ==, 2);
}

static void
test_ring_corrupt(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    become_ready(fixture);
    naive_host_publish(&fixture->offers.host, RING_DATA + 8);
    settle();
    assert_reopened(fixture, "ring is corrupt");
}

static void
test_our_ring_corrupt(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    offer_and_expect_request(fixture);
    answer(fixture, refused, sizeof refused);
    g_ptr_array_set_size(log_lines, 0);
    fixture->offers.host.from_guest.words[READ_INDEX] = 3;
    pass_time(HVS_SYNTHRDP_BACKOFF_FIRST);
    assert_state(fixture, HVS_CONTROL_OFFERED);
    pass_time(HVS_SYNTHRDP_BACKOFF_FIRST); /* of two */
    assert_reopened(fixture, "ring is corrupt");
}

static void
test_pipe_protocol(struct fixture *fixture, gconstpointer data)
{
    struct naive_host *host = &fixture->offers.host;

    (void)data;
    become_ready(fixture);
    naive_host_publish(host,
                       naive_host_put(host, host->to_guest.words[WRITE_INDEX], 3, 0, NULL, 0));
    settle();
    assert_reopened(fixture, "never asked for");
}

static void
test_channel_broken(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    become_ready(fixture);
    g_assert_cmpint(send(fixture->offers.host.fd, "ab", 2, 0), ==, 2);
    settle();
    assert_reopened(fixture, "reading the channel");
}

/* Its ring fills up with requests. */
static void
test_host_reads_nothing(struct fixture *fixture, gconstpointer data)
{
    uint64_t wait = HVS_SYNTHRDP_ANSWER_TIMEOUT + HVS_SYNTHRDP_BACKOFF_MAX;

    (void)data;
    offer(fixture);
    for (unsigned i = 0; i < 4 * RING_DATA / REQUEST_PACKET; i++) {
        pass_time(wait / 2);
        if (state_of(fixture)->state == HVS_CONTROL_OFFERED)
            break;
    }
    assert_problem(fixture, HVS_CONTROL_OPEN_FAILED);
    g_assert_nonnull(strstr(hvs_control_channel_error(fixture->control), "does not read"));
    pass_time(HVS_SYNTHRDP_BACKOFF_MAX);
    expect_request(fixture);
    g_assert_cmpuint(fixture->offers.opens, ==, 2);
}

/* The request finds nobody there: the signal fails. */
static void
test_gone_before_the_request(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    offer_and_expect_request(fixture);
    answer(fixture, refused, sizeof refused);
    naive_host_rescind(&fixture->offers.host);
    /* Time is up before the descriptor is looked at. */
    clock_now += HVS_SYNTHRDP_BACKOFF_FIRST;
    g_source_set_priority(timer, G_PRIORITY_HIGH);
    pass_time(0);
    g_assert_false(hvs_control_channel_is_open(fixture->control));
    rescind(fixture);
    assert_state(fixture, HVS_CONTROL_NOT_OFFERED);
    become_ready(fixture);
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*test)(struct fixture *, gconstpointer);
        int data;
    } tests[] = {
        { "/control/not-offered", test_nothing_offered, 0 },
        { "/control/accepted", test_accepted, 0 },
        { "/control/empty-message", test_empty_message, 0 },
        { "/control/answer-before-we-look", test_answer_before_we_look, 0 },
        { "/control/refused-then-accepted", test_refused_then_accepted, 0 },
        { "/control/error-then-accepted", test_error_then_accepted, 0 },
        { "/control/silent", test_silent, 0 },
        { "/control/late", test_late, 0 },
        { "/control/odd-messages", test_odd_messages, 0 },
        { "/control/messages-at-once", test_messages_at_once, 0 },
        { "/control/host-waits-for-room", test_host_waits_for_room, 0 },
        { "/control/rescinded/while-negotiating", test_rescinded_while_negotiating, 0 },
        { "/control/rescinded/in-a-pause", test_rescinded_in_a_pause, 0 },
        { "/control/rescinded/when-ready", test_rescinded_when_ready, 0 },
        { "/control/rescinded/on-descriptor/negotiating", test_rescinded_on_descriptor, 0 },
        { "/control/rescinded/on-descriptor/ready", test_rescinded_on_descriptor, 1 },
        { "/control/rescinded/before-the-request", test_gone_before_the_request, 0 },
        { "/control/reoffered-without-rescind", test_reoffered_without_rescind, 0 },
        { "/control/open-fails/in-use", test_open_fails, HVS_OFFERS_ERROR_IN_USE },
        { "/control/open-fails/denied", test_open_fails, HVS_OFFERS_ERROR_DENIED },
        { "/control/open-fails/memory", test_open_fails, HVS_OFFERS_ERROR_MEMORY },
        { "/control/open-fails/failed", test_open_fails, HVS_OFFERS_ERROR_FAILED },
        { "/control/open-fails/gone", test_open_gone, 0 },
        { "/control/open-fails/told-once-each", test_open_failures_are_told, 0 },
        { "/control/open-fails/offered-twice", test_offered_twice_while_failing, 0 },
        { "/control/breaks/ring-corrupt", test_ring_corrupt, 0 },
        { "/control/breaks/our-ring-corrupt", test_our_ring_corrupt, 0 },
        { "/control/breaks/pipe-protocol", test_pipe_protocol, 0 },
        { "/control/breaks/descriptor", test_channel_broken, 0 },
        { "/control/breaks/host-reads-nothing", test_host_reads_nothing, 0 },
    };
    int result;

    signal(SIGPIPE, SIG_IGN);
    g_test_init(&argc, &argv, NULL);
    g_log_set_writer_func(collect_log, NULL, NULL);
    /* The main context's own descriptor is there from the start. */
    settle();
    for (unsigned i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, struct fixture, GINT_TO_POINTER(tests[i].data), set_up,
                   tests[i].test, tear_down);
    result = g_test_run();
    g_clear_pointer(&timer, g_source_unref);
    return result;
}

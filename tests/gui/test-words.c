/* gui/words: the service's sentences are recognised whatever facts are in them, and all of them are
 * translated. */
#include "gui/words.h"

#include "common/diagnosis.h"
#include "common/session.h"

#include <glib.h>

/* ---- translating ---- */

/* A language in which all is written backwards would do; this one shouts. */
static const char *
shout(const char *msgid)
{
    static const struct {
        const char *msgid, *translation;
    } dictionary[] = {
        { "No problem found.", "FINE!" },
        { "No RDP server listens on {server}.", "{server}: NOBODY LISTENS!" },
        { "xorgxrdp was made for another X server (video ABI {xorgxrdp_abi}, installed is "
          "{xorg_abi}).",
          "ABI {xorg_abi}, NOT {xorgxrdp_abi}!" },
        { "{user} is logged in on the console; in Enhanced Session the same user gets a black "
          "screen.",
          "THERE IS {user}!" },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(dictionary); i++)
        if (g_str_equal(msgid, dictionary[i].msgid))
            return dictionary[i].translation;
    return msgid;
}

static void
expect_shout(const char *english, const char *expected)
{
    g_autofree char *translation = hvs_words_translate_with(english, shout);

    g_assert_cmpstr(translation, ==, expected);
}

static void
test_whole(void)
{
    expect_shout("No problem found.", "FINE!");
    expect_shout("Nobody knows this.", "Nobody knows this.");
    expect_shout("", "");
}

static void
test_facts(void)
{
    expect_shout("No RDP server listens on tcp:127.0.0.1:3389.",
                 "tcp:127.0.0.1:3389: NOBODY LISTENS!");
    expect_shout("No RDP server listens on .", ": NOBODY LISTENS!");
    expect_shout("xorgxrdp was made for another X server (video ABI 25, installed is 24).",
                 "ABI 24, NOT 25!");
    expect_shout("anna is logged in on the console; in Enhanced Session the same user gets a black "
                 "screen.",
                 "THERE IS anna!");
}

/* Facts come from anywhere: they may look like the sentence, or like facts. */
static void
test_odd_facts(void)
{
    expect_shout("No RDP server listens on a.b.", "a.b: NOBODY LISTENS!");
    expect_shout("No RDP server listens on {server}.", "{server}: NOBODY LISTENS!");
    expect_shout("No RDP server listens on No RDP server listens on x..",
                 "No RDP server listens on x.: NOBODY LISTENS!");
    expect_shout("No RDP server listens on tcp:127.0.0.1:3389", /* no full stop */
                 "No RDP server listens on tcp:127.0.0.1:3389");
    expect_shout("xorgxrdp was made for another X server (video ABI 1, installed is 2, installed "
                 "is 3).",
                 "ABI 3, NOT 1, installed is 2!");
}

/* ---- what common says is known ---- */

static gboolean
is_known(const char *words)
{
    return g_strv_contains(hvs_words_templates(), words);
}

static void
test_tables(void)
{
    size_t count, checked = 0;
    const struct hvs_finding *table = hvs_findings_table(&count);

    for (size_t i = 0; i < count; i++) {
        if (g_str_has_prefix(table[i].code, "HVS-5"))
            continue; /* of Windows */
        g_assert_true(is_known(table[i].sentence));
        g_assert_true(is_known(table[i].why));
        checked++;
    }
    g_assert_cmpuint(checked, >, 20);
    for (int reason = HVS_END_HOST_CLOSED; reason < HVS_END_REASONS; reason++)
        g_assert_true(is_known(hvs_end_reason_to_sentence((enum hvs_end_reason)reason)));
    g_assert_true(is_known("All is in place for Enhanced Session."));
    g_assert_true(is_known("Enhanced Session is in use"));
    g_assert_false(is_known("sudo hvsession setup"));
}

/* ---- times and rates ---- */

static void
expect(char *words, const char *expected)
{
    g_assert_cmpstr(words, ==, expected);
    g_free(words);
}

static void
test_durations(void)
{
    expect(hvs_words_duration(0), "0 s");
    expect(hvs_words_duration(59999), "59 s");
    expect(hvs_words_duration(302000), "5 min 2 s");
    expect(hvs_words_duration(3600000), "1 h 0 min");
    expect(hvs_words_duration(G_GUINT64_CONSTANT(187200000)), "2 d 4 h");
}

static void
test_times(void)
{
    const guint64 noon = G_GUINT64_CONSTANT(1795608000000); /* 2026-11-25 12:00 */

    expect(hvs_words_time(noon, noon), "12:00");
    expect(hvs_words_time(noon - 42 * 60000, noon + 3600000), "11:18");
    expect(hvs_words_time(noon, noon + 86400000), "Nov 25, 12:00");
    expect(hvs_words_time(noon - G_GUINT64_CONSTANT(365) * 86400000, noon), "Nov 25, 12:00");
}

static void
test_rates(void)
{
    g_autofree char *rate = hvs_words_rate(3 << 20);

    g_assert_true(g_str_has_prefix(rate, "3.0"));
    g_assert_true(g_str_has_suffix(rate, "MiB/s"));
    expect(hvs_words_rate(0), "0 bytes/s");
}

static void
test_sentences(void)
{
    expect(hvs_words_sentence("the host closed the connection"), "The host closed the connection");
    expect(hvs_words_sentence("Ready"), "Ready");
    expect(hvs_words_sentence(""), "");
    expect(hvs_words_sentence(NULL), "");
}

int
main(int argc, char **argv)
{
    g_setenv("TZ", "UTC", TRUE);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/words/translate/whole", test_whole);
    g_test_add_func("/words/translate/facts", test_facts);
    g_test_add_func("/words/translate/odd-facts", test_odd_facts);
    g_test_add_func("/words/translate/tables", test_tables);
    g_test_add_func("/words/durations", test_durations);
    g_test_add_func("/words/times", test_times);
    g_test_add_func("/words/rates", test_rates);
    g_test_add_func("/words/sentences", test_sentences);
    return g_test_run();
}

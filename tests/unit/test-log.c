/* common/log: the names of the levels. */
#include "common/log.h"

#include <glib.h>

static const char *const names[] = { "error", "warning", "notice", "info", "debug" };

static void
test_names(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        enum hvs_log_level level = (enum hvs_log_level)(HVS_LOG_DEBUG - i);

        g_assert_cmpstr(hvs_log_level_to_string((enum hvs_log_level)i), ==, names[i]);
        g_assert_true(hvs_log_level_from_string(names[i], &level));
        g_assert_cmpint(level, ==, i);
    }
}

static void
test_case(void)
{
    enum hvs_log_level level = HVS_LOG_DEBUG;

    g_assert_true(hvs_log_level_from_string("Warning", &level));
    g_assert_cmpint(level, ==, HVS_LOG_WARNING);
    g_assert_true(hvs_log_level_from_string("ERROR", &level));
    g_assert_cmpint(level, ==, HVS_LOG_ERROR);
}

static void
test_unknown(void)
{
    static const char *const unknown[] = { "", "errors", "err", " info", "info ", "3", "none" };
    enum hvs_log_level level = HVS_LOG_INFO;

    for (size_t i = 0; i < G_N_ELEMENTS(unknown); i++) {
        g_assert_false(hvs_log_level_from_string(unknown[i], &level));
        g_assert_cmpint(level, ==, HVS_LOG_INFO);
    }
    g_assert_cmpstr(hvs_log_level_to_string((enum hvs_log_level)99), ==, "unknown");
}

/* Filters compare levels as numbers. */
static void
test_order(void)
{
    g_assert_cmpint(HVS_LOG_ERROR, <, HVS_LOG_WARNING);
    g_assert_cmpint(HVS_LOG_WARNING, <, HVS_LOG_NOTICE);
    g_assert_cmpint(HVS_LOG_NOTICE, <, HVS_LOG_INFO);
    g_assert_cmpint(HVS_LOG_INFO, <, HVS_LOG_DEBUG);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/log/level/names", test_names);
    g_test_add_func("/log/level/case", test_case);
    g_test_add_func("/log/level/unknown", test_unknown);
    g_test_add_func("/log/level/order", test_order);
    return g_test_run();
}

/* linux/xrdp-ini: what of xrdp.ini matters, in any of its spellings. */
#include "linux/xrdp-ini.h"

#include <string.h>

static void
parse(const char *text, struct hvs_xrdp_ini *ini)
{
    hvs_xrdp_ini_parse(text, strlen(text), ini);
}

static void
test_settings(void)
{
    g_auto(hvs_xrdp_ini) ini = { 0 };

    parse("; a comment\nport=1\n[Logging]\nport=2\n"
          "[Globals]\n#port=3\n; port=4\nport=3389\nsecurity_layer=negotiate\r\n"
          "  crypt_level = high  \nuse_vsock=false\nport\n=5\n"
          "[Xorg]\nport=-1\nsecurity_layer=none\n",
          &ini);
    g_assert_cmpstr(ini.port, ==, "3389");
    g_assert_cmpstr(ini.security_layer, ==, "negotiate");
    g_assert_cmpstr(ini.crypt_level, ==, "high");
    g_assert_false(ini.use_vsock);
}

static void
test_case_and_repetition(void)
{
    g_auto(hvs_xrdp_ini) ini = { 0 };

    parse("[globals]\nPORT=1\nPort=2\nUSE_VSOCK=Yes", &ini);
    g_assert_cmpstr(ini.port, ==, "2");
    g_assert_true(ini.use_vsock);
    g_assert_null(ini.crypt_level);
}

static void
test_nothing(void)
{
    static const char *const texts[] = { "", "\n", "[", "[Globals", "[Globals]\n=\n", "port=3389" };

    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_auto(hvs_xrdp_ini) ini = { 0 };

        parse(texts[i], &ini);
        g_assert_null(ini.port);
        g_assert_false(hvs_xrdp_ini_has_tcp(&ini, 3389));
        g_assert_false(hvs_xrdp_ini_has_unix(&ini, "/x"));
        g_assert_false(hvs_xrdp_ini_has_vsock(&ini, 3389));
        g_assert_false(hvs_xrdp_ini_is_vsock_wrong(&ini));
    }
}

static void
test_ports(void)
{
    static const struct {
        const char *port;
        gboolean tcp, unix_socket, vsock;
    } cases[] = {
        { "3389", TRUE, FALSE, FALSE },
        { "tcp://:3389", TRUE, FALSE, FALSE },
        { "tcp://.:3389", TRUE, FALSE, FALSE },
        { "tcp6://{::1}:3389", TRUE, FALSE, FALSE },
        { "3390", FALSE, FALSE, FALSE },
        { "33890", FALSE, FALSE, FALSE },
        { "-1", FALSE, FALSE, FALSE },
        { "tcp://", FALSE, FALSE, FALSE },
        { "vsock://-1:3389", FALSE, FALSE, TRUE },
        { "vsock://2:3390", FALSE, FALSE, FALSE },
        { "vsock://", FALSE, FALSE, FALSE },
        { "unix://./run/xrdp/a.sock", FALSE, TRUE, FALSE },
        { "unix://./run/xrdp/a.sock2", FALSE, FALSE, FALSE },
        { "unix://", FALSE, FALSE, FALSE },
        { "vsock://-1:3389 tcp://.:3389", TRUE, FALSE, TRUE },
        { "3389,unix://./run/xrdp/a.sock", TRUE, TRUE, FALSE },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = g_strconcat("[Globals]\nport=", cases[i].port, NULL);
        g_auto(hvs_xrdp_ini) ini = { 0 };

        g_test_message("%s", cases[i].port);
        parse(text, &ini);
        g_assert_cmpint(hvs_xrdp_ini_has_tcp(&ini, 3389), ==, cases[i].tcp);
        g_assert_cmpint(hvs_xrdp_ini_has_unix(&ini, "/run/xrdp/a.sock"), ==, cases[i].unix_socket);
        g_assert_cmpint(hvs_xrdp_ini_has_vsock(&ini, 3389), ==, cases[i].vsock);
    }
}

static void
test_vsock_wrong(void)
{
    static const struct {
        const char *text;
        gboolean wrong;
    } cases[] = {
        { "[Globals]\nport=3389\nuse_vsock=true", TRUE },
        { "[Globals]\nport=3389\nuse_vsock=1", TRUE },
        { "[Globals]\nport=3389\nuse_vsock=0", FALSE },
        { "[Globals]\nport=3389\nuse_vsock=maybe", FALSE },
        { "[Globals]\nport=vsock://-1:3389\nuse_vsock=true", FALSE },
        { "[Globals]\nuse_vsock=true", FALSE },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(hvs_xrdp_ini) ini = { 0 };

        parse(cases[i].text, &ini);
        g_assert_cmpint(hvs_xrdp_ini_is_vsock_wrong(&ini), ==, cases[i].wrong);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/xrdp-ini/settings", test_settings);
    g_test_add_func("/xrdp-ini/case-and-repetition", test_case_and_repetition);
    g_test_add_func("/xrdp-ini/nothing", test_nothing);
    g_test_add_func("/xrdp-ini/ports", test_ports);
    g_test_add_func("/xrdp-ini/vsock-wrong", test_vsock_wrong);
    return g_test_run();
}

/* What is taken out of a support bundle, and what stays. */
#include "linux/cli/redact.h"

#include <string.h>

static void
test_lines(void)
{
    static const struct {
        const char *line;
        const char *expected; /* NULL: it stays */
    } cases[] = {
        { "password=hunter2", "password=(left out)" },
        { "Password = hunter2 and more", "Password =(left out)" },
        { "#pampassword=hunter2", "#pampassword=(left out)" },
        { "passwd: x", "passwd:(left out)" },
        { "the passphrase: a b c", "the passphrase:(left out)" },
        { "client_secret=1", "client_secret=(left out)" },
        { "\"api-token\": \"abc\",", "\"api-token\":(left out)" },
        { "key=abc", "key=(left out)" },
        { "key_file=/etc/x.pem", "key_file=(left out)" },
        { "private-key=abc", "private-key=(left out)" },
        { "pin=1234", "pin=(left out)" },
        { "Nov 26 11:00:00 pam: password=a", "Nov 26 11:00:00 pam: password=(left out)" },
        { "'auth.token' : x", "'auth.token' :(left out)" },
        { "a=1 b:2 pass=x y=z", "a=1 b:2 pass=(left out)" },
        { "password=yes, of course", "password=(left out)" },
        { "secret=no token=abc", "secret=(left out)" },
        { "password=ask", NULL },
        { "Password = YES ", NULL },
        { "password={base64}", NULL },
        { "pampassword=asksame", NULL },
        { "require_credentials=true", NULL },
        { "password=", NULL },
        { "password", NULL },
        { "override_keyboard_type=0x04", NULL },
        { "xrdp.override_keylayout=0x00000409", NULL },
        { "fn_keys=12", NULL },
        { "Server=tcp:127.0.0.1:3389", NULL },
        { "monkey=1", NULL },
        { "spinning: yes indeed", NULL },
        { "", NULL },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        const char *expected = cases[i].expected != NULL ? cases[i].expected : cases[i].line;
        g_autofree char *clean = hvs_cli_redact(cases[i].line);

        g_assert_cmpstr(clean, ==, expected);
    }
}

/* Line by line, whatever ends the lines, and whatever else is in them. */
static void
test_texts(void)
{
    g_autofree char *clean = hvs_cli_redact("a=1\r\npassword=b\r\nc=2\npassword=d\ne=\xff\n");
    g_autofree char *empty = hvs_cli_redact("");
    g_autofree char *next = hvs_cli_redact("password=\nport=3389\n");

    g_assert_cmpstr(clean, ==,
                    "a=1\r\npassword=(left out)\r\nc=2\npassword=(left out)\ne=\xef\xbf\xbd\n");
    g_assert_cmpstr(empty, ==, "");
    g_assert_cmpstr(next, ==, "password=\nport=3389\n");
}

/* Of names that could go on, and of signs behind which nothing is: neither takes long, and what is
 * behind is still found. */
static void
test_long(void)
{
    static const char *const units[] = { "a", "a.", "-", "key.", "pass ", "= ", "password= \n" };

    for (gsize i = 0; i < G_N_ELEMENTS(units); i++) {
        g_autoptr(GString) text = g_string_new(NULL);
        g_autofree char *clean = NULL;

        while (text->len < 1024 * 1024)
            g_string_append(text, units[i]);
        g_string_append(text, "\npassword=hunter2\n");
        clean = hvs_cli_redact(text->str);
        g_assert_true(g_str_has_suffix(clean, "\npassword=(left out)\n"));
        g_assert_cmpuint(strlen(clean), ==, text->len - strlen("hunter2") + strlen("(left out)"));
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/redact/lines", test_lines);
    g_test_add_func("/redact/texts", test_texts);
    g_test_add_func("/redact/long", test_long);
    return g_test_run();
}

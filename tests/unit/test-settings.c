/* common/settings: what values may be, what is said about those that may not, and that a printed
 * value is read back as the same. */
#include "common/session.h"
#include "common/settings.h"

#include <glib.h>
#include <string.h>

static const struct hvs_setting *
find(const char *key)
{
    const struct hvs_setting *setting = hvs_settings_find(key, HVS_ON_LINUX);

    g_assert_nonnull(setting);
    return setting;
}

static char *
print(const struct hvs_settings *settings, const char *key)
{
    char buffer[2048];
    struct hvs_text text;

    hvs_text_init(&text, buffer, sizeof buffer);
    hvs_settings_print(settings, find(key), &text);
    g_assert_false(text.truncated);
    return g_strdup(buffer);
}

static void
assert_same(const struct hvs_settings *a, const struct hvs_settings *b)
{
    g_assert_true(memcmp(a, b, sizeof *a) == 0);
}

/* Sets the value, compares its canonical form, and reads that back. */
static void
accept(const char *key, const char *value, const char *canonical)
{
    struct hvs_settings settings, again;
    char buffer[HVS_SETTINGS_MESSAGE_MAX];
    struct hvs_text message;
    g_autofree char *printed = NULL;

    hvs_settings_init(&settings);
    hvs_text_init(&message, buffer, sizeof buffer);
    g_assert_cmpint(hvs_settings_set(&settings, HVS_ON_LINUX, key, value, &message), ==,
                    HVS_SETTINGS_OK);
    g_assert_cmpstr(buffer, ==, "");
    printed = print(&settings, key);
    g_assert_cmpstr(printed, ==, canonical);

    hvs_settings_init(&again);
    g_assert_cmpint(hvs_settings_set(&again, HVS_ON_LINUX, key, printed, NULL), ==,
                    HVS_SETTINGS_OK);
    assert_same(&again, &settings);
}

/* The value is refused with this message, and nothing changes. */
static void
refuse_on(unsigned platforms, const char *key, const char *value, const char *expected)
{
    struct hvs_settings settings, before;
    char buffer[HVS_SETTINGS_MESSAGE_MAX];
    struct hvs_text message;

    hvs_settings_init(&settings);
    memcpy(&before, &settings, sizeof before);
    hvs_text_init(&message, buffer, sizeof buffer);
    g_assert_cmpint(hvs_settings_set(&settings, platforms, key, value, &message), ==,
                    HVS_SETTINGS_BAD_VALUE);
    g_assert_cmpstr(buffer, ==, expected);
    g_assert_false(message.truncated);
    assert_same(&settings, &before);
    g_assert_cmpint(hvs_settings_set(&settings, platforms, key, value, NULL), ==,
                    HVS_SETTINGS_BAD_VALUE);
}

struct accepted {
    const char *value, *canonical;
};

struct refused {
    const char *value, *message;
};

static void
accept_all(const char *key, const struct accepted *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        accept(key, cases[i].value, cases[i].canonical);
}

static void
refuse_all(const char *key, const struct refused *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        refuse_on(HVS_ON_LINUX, key, cases[i].value, cases[i].message);
}

#define ACCEPT(key, cases) accept_all(key, cases, G_N_ELEMENTS(cases))
#define REFUSE(key, cases) refuse_all(key, cases, G_N_ELEMENTS(cases))

#define AUTO_SPELT_OUT "unix:/run/hvsession/xrdp.sock, tcp:127.0.0.1:3389"

/* The platform that hvs_settings_init() is for: these tests run on Windows, too. */
#ifdef _WIN32
#define HERE            HVS_ON_WINDOWS
#define ELSEWHERE       HVS_ON_LINUX
#define DEFAULT_SERVERS "tcp:127.0.0.1:3389"
#else
#define HERE            HVS_ON_LINUX
#define ELSEWHERE       HVS_ON_WINDOWS
#define DEFAULT_SERVERS AUTO_SPELT_OUT
#endif

/* What is tried, in that order. */
static void
assert_servers(const struct hvs_settings *settings, const char *expected)
{
    char buffer[1024];
    struct hvs_text text;

    hvs_text_init(&text, buffer, sizeof buffer);
    hvs_settings_print_servers(settings, &text);
    g_assert_cmpstr(buffer, ==, expected);
}

static void
test_defaults(void)
{
    struct hvs_settings settings;

    memset(&settings, 0xff, sizeof settings);
    hvs_settings_init(&settings);
    assert_servers(&settings, DEFAULT_SERVERS);
    g_assert_cmpint(settings.servers[settings.server_count - 1].kind, ==, HVS_SERVER_TCP);
    g_assert_cmpuint(settings.server_timeout, ==, 15000);
    g_assert_cmpuint(settings.negotiation_reply, ==, HVS_REPLY_SETTING_AUTO);
    g_assert_cmpuint(settings.log_level, ==, HVS_LOG_NOTICE);
}

static void
test_table(void)
{
    size_t count;
    const struct hvs_setting *table = hvs_settings_table(&count);
    struct hvs_settings settings;

    g_assert_cmpuint(count, ==, 10);
    for (size_t i = 0; i < count; i++) {
        g_autofree char *printed = NULL;

        hvs_settings_init(&settings);
        printed = print(&settings, table[i].key);
        if ((table[i].platforms & HERE) != 0)
            g_assert_cmpstr(printed, ==, table[i].default_value);
        else
            g_assert_cmpint(hvs_settings_set(&settings, ELSEWHERE, table[i].key,
                                             table[i].default_value, NULL),
                            ==, HVS_SETTINGS_OK);
        g_assert_true(hvs_settings_find(table[i].key, table[i].platforms) == &table[i]);
        g_assert_true(g_str_has_suffix(table[i].help, "."));
        g_assert_true((table[i].type == HVS_SETTING_CHOICE) == (table[i].choices != NULL));
    }
}

static void
test_table_security(void)
{
    static const struct accepted accepted[] = { { "auto", "auto" }, { "RDP", "rdp" },
                                                { " tls\t", "tls" } };
    struct hvs_settings settings;

    ACCEPT("ServerSecurity", accepted);
    hvs_settings_init(&settings);
    g_assert_cmpuint(settings.server_security, ==, HVS_SECURITY_SETTING_AUTO);
    hvs_settings_set(&settings, HVS_ON_LINUX, "ServerSecurity", "tls", NULL);
    g_assert_cmpuint(settings.server_security, ==, HVS_SECURITY_SETTING_TLS);
    hvs_settings_set(&settings, HVS_ON_LINUX, "ServerSecurity", "rdp", NULL);
    g_assert_cmpuint(settings.server_security, ==, HVS_SECURITY_SETTING_RDP);
    g_assert_null(hvs_settings_find("ServerSecurity", HVS_ON_WINDOWS));
}

/* Choices are stored as values of the enumerations. */
static void
test_table_hvsocket(void)
{
    static const struct accepted hvsocket[] = { { "auto", "auto" }, { " Yes ", "yes" },
                                                { "NO", "no" } };
    static const struct accepted loopback[] = { { "yes", "yes" }, { "no", "no" } };
    struct hvs_settings settings;

    ACCEPT("HvSocket", hvsocket);
    ACCEPT("HvSocketLoopback", loopback);
    hvs_settings_init(&settings);
    g_assert_cmpuint(settings.hvsocket, ==, HVS_HVSOCKET_SETTING_AUTO);
    g_assert_cmpuint(settings.hvsocket_loopback, ==, HVS_SWITCH_NO);
    hvs_settings_set(&settings, HVS_ON_LINUX, "HvSocket", "no", NULL);
    hvs_settings_set(&settings, HVS_ON_LINUX, "HvSocketLoopback", "yes", NULL);
    g_assert_cmpuint(settings.hvsocket, ==, HVS_HVSOCKET_SETTING_NO);
    g_assert_cmpuint(settings.hvsocket_loopback, ==, HVS_SWITCH_YES);
}

static void
test_table_publish(void)
{
    static const struct accepted values[] = { { "auto", "auto" }, { " Yes ", "yes" },
                                              { "NO", "no" } };
    struct hvs_settings settings;

    ACCEPT("PublishState", values);
    hvs_settings_init(&settings);
    g_assert_cmpuint(settings.publish_state, ==, HVS_PUBLISH_AUTO);
    hvs_settings_set(&settings, HVS_ON_LINUX, "PublishState", "yes", NULL);
    g_assert_cmpuint(settings.publish_state, ==, HVS_PUBLISH_YES);
    hvs_settings_set(&settings, HVS_ON_LINUX, "PublishState", "no", NULL);
    g_assert_cmpuint(settings.publish_state, ==, HVS_PUBLISH_NO);
    g_assert_nonnull(hvs_settings_find("PublishState", HVS_ON_WINDOWS));
}

static void
test_table_levels(void)
{
    const char *const *choices = find("LogLevel")->choices;

    for (int i = HVS_LOG_ERROR; i <= HVS_LOG_DEBUG; i++)
        g_assert_cmpstr(choices[i], ==, hvs_log_level_to_string((enum hvs_log_level)i));
    g_assert_null(choices[HVS_LOG_DEBUG + 1]);
}

static void
test_key_case(void)
{
    struct hvs_settings settings;

    hvs_settings_init(&settings);
    g_assert_cmpint(hvs_settings_set(&settings, HVS_ON_WINDOWS, "loglevel", "debug", NULL), ==,
                    HVS_SETTINGS_OK);
    g_assert_cmpuint(settings.log_level, ==, HVS_LOG_DEBUG);
}

static void
test_key_unknown(void)
{
    static const struct {
        const char *key, *message;
    } cases[] = {
        { "Sever", "Sever: no such setting; did you mean Server?" },
        { "Servers", "Servers: no such setting; did you mean Server?" },
        { "Srevre", "Srevre: no such setting; did you mean Server?" },
        { "rseVer", "rseVer: no such setting; did you mean Server?" },
        { "log-level", "log-level: no such setting; did you mean LogLevel?" },
        { "ServerTimeouts", "ServerTimeouts: no such setting; did you mean ServerTimeout?" },
        { "NegociationReplay", "NegociationReplay: no such setting; did you mean "
                               "NegotiationReply?" },
        { "Colour", "Colour: no such setting" },
        { "Se", "Se: no such setting" },
        { "", ": no such setting" },
        { "a\x1b[m", "a?[m: no such setting" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct hvs_settings settings, before;
        char buffer[HVS_SETTINGS_MESSAGE_MAX];
        struct hvs_text message;

        hvs_settings_init(&settings);
        memcpy(&before, &settings, sizeof before);
        hvs_text_init(&message, buffer, sizeof buffer);
        g_assert_null(hvs_settings_find(cases[i].key, HVS_ON_LINUX));
        g_assert_cmpint(hvs_settings_set(&settings, HVS_ON_LINUX, cases[i].key, "x", &message), ==,
                        HVS_SETTINGS_UNKNOWN_KEY);
        g_assert_cmpstr(buffer, ==, cases[i].message);
        assert_same(&settings, &before);
    }
}

static void
test_key_long(void)
{
    g_autofree char *key = g_strnfill(5000, 'k');
    char buffer[HVS_SETTINGS_MESSAGE_MAX];
    struct hvs_text message;
    struct hvs_settings settings;

    hvs_settings_init(&settings);
    hvs_text_init(&message, buffer, sizeof buffer);
    g_assert_cmpint(hvs_settings_set(&settings, HVS_ON_LINUX, key, "x", &message), ==,
                    HVS_SETTINGS_UNKNOWN_KEY);
    g_assert_true(g_str_has_suffix(buffer, "kkk...: no such setting"));
    g_assert_false(message.truncated);
}

static void
test_key_platform(void)
{
    g_assert_null(hvs_settings_find("HvSocket", HVS_ON_WINDOWS));
    g_assert_nonnull(hvs_settings_find("HvSocket", HVS_ON_LINUX));
    g_assert_null(hvs_settings_find("Server", 0));
    g_assert_null(hvs_settings_suggest("Sever", 0));
    g_assert_nonnull(hvs_settings_find("Server", HVS_ON_WINDOWS));
}

static void
test_server_tcp(void)
{
    static const struct accepted cases[] = {
        { "tcp:127.0.0.1:3389", "tcp:127.0.0.1:3389" },
        { "  tcp:127.0.0.1:3389\t", "tcp:127.0.0.1:3389" },
        { "TCP:localhost:03390", "tcp:localhost:3390" },
        { "tcp:xrdp-1.example_net.", "tcp:xrdp-1.example_net.:3389" },
        { "tcp:3com.example:1", "tcp:3com.example:1" },
        { "tcp:0.0.0.0:65535", "tcp:0.0.0.0:65535" },
    };

    ACCEPT("Server", cases);
}

static void
test_server_ipv6(void)
{
    static const struct accepted accepted[] = {
        { "tcp:[::1]:3389", "tcp:[::1]:3389" },
        { "tcp:[::]", "tcp:[::]:3389" },
        { "tcp:[1:2:3:4:5:6:7:8]:9", "tcp:[1:2:3:4:5:6:7:8]:9" },
        { "tcp:[1::]:9", "tcp:[1::]:9" },
        { "tcp:[1:2:3:4:5:6:7::]:9", "tcp:[1:2:3:4:5:6:7::]:9" },
        { "tcp:[::ffff:192.0.2.1]:9", "tcp:[::ffff:192.0.2.1]:9" },
        { "tcp:[1:2:3:4:5:6:192.0.2.1]:9", "tcp:[1:2:3:4:5:6:192.0.2.1]:9" },
        { "tcp:[fe80::ABCD%eth0.1]:9", "tcp:[fe80::ABCD%eth0.1]:9" },
    };
    static const char *const refused[] = {
        "",
        ":",
        ":::",
        "1",
        ":1::2",
        "1:",
        "1::2:",
        "1::2::3",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7:8::",
        "12345::",
        "::g",
        "::1.2.3",
        "::1.2.3.256",
        "1:2:3:4:5:6:7:1.2.3.4",
        "::1.2.3.4:5",
        "::1%",
        "::1%a/b",
        "%eth0",
        "127.0.0.1",
        "localhost",
    };

    ACCEPT("Server", accepted);
    for (size_t i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_autofree char *value = g_strdup_printf("tcp:[%s]:3389", refused[i]);
        g_autofree char *message =
            g_strdup_printf("Server: \"%s\": in the brackets there must be an IPv6 address", value);

        refuse_on(HVS_ON_LINUX, "Server", value, message);
    }
}

static void
test_server_unix(void)
{
    static const struct accepted cases[] = {
        { "unix:/run/hvsession/xrdp.sock", "unix:/run/hvsession/xrdp.sock" },
        { "Unix:/s", "unix:/s" },
        { "unix:/run/\xc3\xa4:1", "unix:/run/\xc3\xa4:1" },
    };
    g_autofree char *name = g_strnfill(106, 'x');
    g_autofree char *longest = g_strconcat("unix:/", name, NULL);
    g_autofree char *too_long = g_strconcat("unix:/x", name, NULL);
    g_autofree char *message =
        g_strdup_printf("Server: \"%s\": the path of a UNIX socket has at most 107 bytes",
                        too_long);

    ACCEPT("Server", cases);
    accept("Server", longest, longest);
    refuse_on(HVS_ON_LINUX, "Server", too_long, message);
    refuse_on(HVS_ON_WINDOWS, "Server", "unix:/run/xrdp.sock",
              "Server: \"unix:/run/xrdp.sock\": UNIX sockets are for Linux only; use "
              "tcp:HOST:PORT");
}

#define NOT_A_SERVER ": a server is auto, tcp:HOST:PORT or unix:PATH, as in tcp:127.0.0.1:3389"

static void
test_server_auto(void)
{
    static const struct accepted cases[] = {
        { "auto", "auto" },
        { " Auto,", "auto" },
        { "tcp:a auto", "tcp:a:3389, auto" },
        { "auto, tcp:a, auto", "auto, tcp:a:3389, auto" },
        /* Named as such, they stay so. */
        { AUTO_SPELT_OUT, AUTO_SPELT_OUT },
        { "tcp:a tcp:b tcp:c tcp:d tcp:e tcp:f auto",
          "tcp:a:3389, tcp:b:3389, tcp:c:3389, tcp:d:3389, tcp:e:3389, tcp:f:3389, auto" },
    };
    struct hvs_settings settings;

    ACCEPT("Server", cases);
    hvs_settings_init(&settings);
    hvs_settings_set(&settings, HVS_ON_LINUX, "Server", "tcp:a auto", NULL);
    assert_servers(&settings, "tcp:a:3389, " AUTO_SPELT_OUT);
    refuse_on(HVS_ON_LINUX, "Server", "auto tcp:b tcp:c tcp:d tcp:e tcp:f tcp:g tcp:h",
              "Server: \"auto tcp:b tcp:c tcp:d tcp:e tcp:f tcp:g tcp:h\": there may be at most 8 "
              "servers");
    refuse_on(HVS_ON_LINUX, "Server", "automatic", "Server: \"automatic\"" NOT_A_SERVER);
    refuse_on(HVS_ON_WINDOWS, "Server", "auto",
              "Server: \"auto\": a server is tcp:HOST:PORT, as in tcp:127.0.0.1:3389");
}

static void
test_server_list(void)
{
    static const struct accepted cases[] = {
        { "unix:/run/a.sock,tcp:[::1]", "unix:/run/a.sock, tcp:[::1]:3389" },
        { " tcp:a\ttcp:b , tcp:c:1,", "tcp:a:3389, tcp:b:3389, tcp:c:1" },
        { "tcp:a tcp:b tcp:c tcp:d tcp:e tcp:f tcp:g tcp:h",
          "tcp:a:3389, tcp:b:3389, tcp:c:3389, tcp:d:3389, tcp:e:3389, tcp:f:3389, tcp:g:3389, "
          "tcp:h:3389" },
    };
    struct hvs_settings settings;

    ACCEPT("Server", cases);
    refuse_on(HVS_ON_LINUX, "Server", "tcp:a tcp:b tcp:c tcp:d tcp:e tcp:f tcp:g tcp:h tcp:i",
              "Server: \"tcp:a tcp:b tcp:c tcp:d tcp:e tcp:f tcp:g tcp:h tcp:i\": there may be at "
              "most 8 servers");

    /* A shorter list leaves nothing of the longer one. */
    hvs_settings_init(&settings);
    hvs_settings_set(&settings, HVS_ON_LINUX, "Server", "tcp:a tcp:b", NULL);
    hvs_settings_set(&settings, HVS_ON_LINUX, "Server", "tcp:c", NULL);
    g_assert_cmpuint(settings.server_count, ==, 1);
    g_assert_cmpstr(settings.servers[0].host, ==, "c");
    g_assert_cmpstr(settings.servers[1].host, ==, "");
}

static void
test_server_refused(void)
{
    static const struct refused cases[] = {
        { "", "Server: \"\": at least one server is needed, as tcp:127.0.0.1:3389" },
        { " , ", "Server: \",\": at least one server is needed, as tcp:127.0.0.1:3389" },
        { "127.0.0.1:3389", "Server: \"127.0.0.1:3389\"" NOT_A_SERVER },
        { "tcp", "Server: \"tcp\"" NOT_A_SERVER },
        { "http://localhost", "Server: \"http://localhost\"" NOT_A_SERVER },
        { "tcp:a, b", "Server: \"b\"" NOT_A_SERVER },
        { "tcp:host:99999", "Server: \"tcp:host:99999\": the port must be 1 to 65535" },
        { "tcp:host:65536", "Server: \"tcp:host:65536\": the port must be 1 to 65535" },
        { "tcp:host:0", "Server: \"tcp:host:0\": the port must be 1 to 65535" },
        { "tcp:host:", "Server: \"tcp:host:\": the port must be 1 to 65535" },
        { "tcp:host:-1", "Server: \"tcp:host:-1\": the port must be 1 to 65535" },
        { "tcp:host:18446744073709551617",
          "Server: \"tcp:host:18446744073709551617\": the port must be 1 to 65535" },
        { "tcp:[::1]:x", "Server: \"tcp:[::1]:x\": the port must be 1 to 65535" },
        { "tcp:", "Server: \"tcp:\": the host is missing" },
        { "tcp::3389", "Server: \"tcp::3389\": the host is missing" },
        { "tcp:::1", "Server: \"tcp:::1\": an IPv6 address stands in brackets, as in "
                     "tcp:[::1]:3389" },
        { "tcp:[::1", "Server: \"tcp:[::1\": the ] behind the IPv6 address is missing" },
        { "tcp:[::1]3389", "Server: \"tcp:[::1]3389\": behind the ] only :PORT may follow" },
        { "tcp:ho/st", "Server: \"tcp:ho/st\": a host name holds letters, digits, hyphens and "
                       "dots only" },
        { "tcp:.host", "Server: \"tcp:.host\": a host name does not begin with a dot or hold two "
                       "in a row" },
        { "tcp:a..b", "Server: \"tcp:a..b\": a host name does not begin with a dot or hold two in "
                      "a row" },
        { "tcp:3389", "Server: \"tcp:3389\": the host is neither a name nor an IPv4 address such "
                      "as 127.0.0.1" },
        { "tcp:127.0.0.256", "Server: \"tcp:127.0.0.256\": the host is neither a name nor an IPv4 "
                             "address such as 127.0.0.1" },
        { "tcp:127.0.1", "Server: \"tcp:127.0.1\": the host is neither a name nor an IPv4 address "
                         "such as 127.0.0.1" },
        { "tcp:127.0.0.01", "Server: \"tcp:127.0.0.01\": the host is neither a name nor an IPv4 "
                            "address such as 127.0.0.1" },
        { "tcp:127.0.0.1.:1", "Server: \"tcp:127.0.0.1.:1\": the host is neither a name nor an "
                              "IPv4 address such as 127.0.0.1" },
        { "unix:run/x", "Server: \"unix:run/x\": the path must begin with /" },
        { "unix:", "Server: \"unix:\": the path must begin with /" },
        { "unix:/run/", "Server: \"unix:/run/\": the path must name a socket, not a directory" },
        { "unix:/\x01", "Server: \"unix:/?\": the path must not hold commas, blanks or control "
                        "characters" },
        { "unix:/a b", "Server: \"b\"" NOT_A_SERVER },
    };
    g_autofree char *longest = g_strnfill(107, 'h');
    g_autofree char *accepted = g_strconcat("tcp:", longest, ":3389", NULL);
    g_autofree char *too_long = g_strconcat("tcp:", longest, "h", NULL);
    g_autofree char *message =
        g_strdup_printf("Server: \"%s\": the host name is longer than 107 characters", too_long);

    REFUSE("Server", cases);
    accept("Server", accepted, accepted);
    refuse_on(HVS_ON_LINUX, "Server", too_long, message);
    refuse_on(HVS_ON_WINDOWS, "Server", "x",
              "Server: \"x\": a server is tcp:HOST:PORT, as in tcp:127.0.0.1:3389");
}

/* The longest value makes a message that still tells why. */
static void
test_server_endless(void)
{
    g_autofree char *value = g_strnfill(100000, 'x');
    char buffer[HVS_SETTINGS_MESSAGE_MAX];
    struct hvs_text message;
    struct hvs_settings settings;

    hvs_settings_init(&settings);
    hvs_text_init(&message, buffer, sizeof buffer);
    g_assert_cmpint(hvs_settings_set(&settings, HVS_ON_LINUX, "Server", value, &message), ==,
                    HVS_SETTINGS_BAD_VALUE);
    g_assert_true(g_str_has_suffix(buffer, "xxx...\"" NOT_A_SERVER));
}

/* A session keeps the printed form. */
static void
test_server_fits_session(void)
{
    struct hvs_session session;
    struct hvs_server_address address = { .kind = HVS_SERVER_TCP, .port = 65535 };
    struct hvs_text text;

    memset(address.host, ':', sizeof address.host - 1); /* as if it were IPv6 */
    hvs_text_init(&text, session.server, sizeof session.server);
    hvs_server_address_print(&address, &text);
    g_assert_false(text.truncated);
}

static void
test_timeout(void)
{
    static const struct accepted accepted[] = {
        { "15", "15 s" },        { "15 s", "15 s" },    { "15s", "15 s" },
        { " 0 ", "0 s" },        { "0 min", "0 s" },    { "500 ms", "500 ms" },
        { "1500ms", "1500 ms" }, { "2000 ms", "2 s" },  { "90 S", "90 s" },
        { "120 s", "2 min" },    { "5\tmin", "5 min" }, { "300000 ms", "5 min" },
        { "00015", "15 s" },
    };
    static const struct refused refused[] = {
#define NOT_A_DURATION ": a duration is a whole number with ms, s, min or h, as in 15 s"
        { "", "ServerTimeout: \"\"" NOT_A_DURATION },
        { "s", "ServerTimeout: \"s\"" NOT_A_DURATION },
        { "-1", "ServerTimeout: \"-1\"" NOT_A_DURATION },
        { "1.5 s", "ServerTimeout: \"1.5 s\"" NOT_A_DURATION },
        { "15 x", "ServerTimeout: \"15 x\"" NOT_A_DURATION },
        { "15 s s", "ServerTimeout: \"15 s s\"" NOT_A_DURATION },
        { "0x10", "ServerTimeout: \"0x10\"" NOT_A_DURATION },
        { "1 2", "ServerTimeout: \"1 2\"" NOT_A_DURATION },
        { "301", "ServerTimeout: \"301\": must be 0 s to 5 min" },
        { "300001 ms", "ServerTimeout: \"300001 ms\": must be 0 s to 5 min" },
        { "6 min", "ServerTimeout: \"6 min\": must be 0 s to 5 min" },
        { "1 h", "ServerTimeout: \"1 h\": must be 0 s to 5 min" },
        { "18446744073709551616", "ServerTimeout: \"18446744073709551616\": must be 0 s to 5 min" },
    };

    ACCEPT("ServerTimeout", accepted);
    REFUSE("ServerTimeout", refused);
}

static void
test_timeout_milliseconds(void)
{
    struct hvs_settings settings;

    hvs_settings_init(&settings);
    hvs_settings_set(&settings, HVS_ON_LINUX, "ServerTimeout", "2 min", NULL);
    g_assert_cmpuint(settings.server_timeout, ==, 120000);
}

static void
test_reply(void)
{
    static const struct accepted accepted[] = { { "auto", "auto" },
                                                { "MIRROR", "mirror" },
                                                { " passthrough ", "passthrough" } };
    static const struct refused refused[] = {
        { "", "NegotiationReply: \"\": must be auto, mirror or passthrough" },
        { "mirrored", "NegotiationReply: \"mirrored\": must be auto, mirror or passthrough" },
        { "a\nb", "NegotiationReply: \"a?b\": must be auto, mirror or passthrough" },
    };
    struct hvs_settings settings;

    ACCEPT("NegotiationReply", accepted);
    REFUSE("NegotiationReply", refused);
    hvs_settings_init(&settings);
    hvs_settings_set(&settings, HVS_ON_LINUX, "NegotiationReply", "mirror", NULL);
    g_assert_cmpuint(settings.negotiation_reply, ==, HVS_REPLY_SETTING_MIRROR);
    hvs_settings_set(&settings, HVS_ON_LINUX, "NegotiationReply", "passthrough", NULL);
    g_assert_cmpuint(settings.negotiation_reply, ==, HVS_REPLY_SETTING_PASSTHROUGH);
}

static void
test_level(void)
{
    static const struct accepted accepted[] = {
        { "error", "error" }, { "Warning", "warning" }, { "notice", "notice" },
        { "info", "info" },   { "debug", "debug" },
    };
    static const struct refused refused[] = {
        { "loud", "LogLevel: \"loud\": must be error, warning, notice, info or debug" },
        { "3", "LogLevel: \"3\": must be error, warning, notice, info or debug" },
    };

    ACCEPT("LogLevel", accepted);
    REFUSE("LogLevel", refused);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/settings/defaults", test_defaults);
    g_test_add_func("/settings/table", test_table);
    g_test_add_func("/settings/table/security", test_table_security);
    g_test_add_func("/settings/table/hvsocket", test_table_hvsocket);
    g_test_add_func("/settings/table/publish", test_table_publish);
    g_test_add_func("/settings/table/levels", test_table_levels);
    g_test_add_func("/settings/key/case", test_key_case);
    g_test_add_func("/settings/key/unknown", test_key_unknown);
    g_test_add_func("/settings/key/long", test_key_long);
    g_test_add_func("/settings/key/platform", test_key_platform);
    g_test_add_func("/settings/server/tcp", test_server_tcp);
    g_test_add_func("/settings/server/ipv6", test_server_ipv6);
    g_test_add_func("/settings/server/unix", test_server_unix);
    g_test_add_func("/settings/server/auto", test_server_auto);
    g_test_add_func("/settings/server/list", test_server_list);
    g_test_add_func("/settings/server/refused", test_server_refused);
    g_test_add_func("/settings/server/endless", test_server_endless);
    g_test_add_func("/settings/server/fits-session", test_server_fits_session);
    g_test_add_func("/settings/timeout", test_timeout);
    g_test_add_func("/settings/timeout/milliseconds", test_timeout_milliseconds);
    g_test_add_func("/settings/reply", test_reply);
    g_test_add_func("/settings/level", test_level);
    return g_test_run();
}

#include "settings.h"

#include <stddef.h>
#include <string.h>

static const char *const reply_choices[] = {
    [HVS_REPLY_SETTING_AUTO] = "auto",
    [HVS_REPLY_SETTING_MIRROR] = "mirror",
    [HVS_REPLY_SETTING_PASSTHROUGH] = "passthrough",
    NULL,
};

static const char *const security_choices[] = {
    [HVS_SECURITY_SETTING_AUTO] = "auto",
    [HVS_SECURITY_SETTING_RDP] = "rdp",
    [HVS_SECURITY_SETTING_TLS] = "tls",
    NULL,
};

static const char *const hvsocket_choices[] = {
    [HVS_HVSOCKET_SETTING_AUTO] = "auto",
    [HVS_HVSOCKET_SETTING_YES] = "yes",
    [HVS_HVSOCKET_SETTING_NO] = "no",
    NULL,
};

static const char *const switch_choices[] = {
    [HVS_SWITCH_NO] = "no",
    [HVS_SWITCH_YES] = "yes",
    NULL,
};

static const char *const publish_choices[] = {
    [HVS_PUBLISH_AUTO] = "auto",
    [HVS_PUBLISH_YES] = "yes",
    [HVS_PUBLISH_NO] = "no",
    NULL,
};

static const char *const level_choices[] = {
    [HVS_LOG_ERROR] = "error", [HVS_LOG_WARNING] = "warning", [HVS_LOG_NOTICE] = "notice",
    [HVS_LOG_INFO] = "info",   [HVS_LOG_DEBUG] = "debug",     NULL,
};

#define EVERYWHERE (HVS_ON_LINUX | HVS_ON_WINDOWS)

#ifdef _WIN32
#define THIS_PLATFORM HVS_ON_WINDOWS
#else
#define THIS_PLATFORM HVS_ON_LINUX
#endif

/* What "auto" stands for among the servers. */
static const struct hvs_server_address auto_servers[] = {
    { .kind = HVS_SERVER_UNIX, .host = HVS_OWN_SERVER_PATH, .auto_place = 1 },
    { .kind = HVS_SERVER_TCP, .host = "127.0.0.1", .port = HVS_RDP_PORT, .auto_place = 2 },
};

#define AUTO_SERVERS (sizeof auto_servers / sizeof auto_servers[0])

/* Fields are unsigned for a choice, uint32_t for a duration; the list of servers is one of a kind.
 */
static const struct hvs_setting table[] = {
    {
        .key = "Server",
        .type = HVS_SETTING_SERVERS,
        .default_value = "auto",
        .help = "RDP servers to connect sessions to, tried in this order; auto is "
                "unix:" HVS_OWN_SERVER_PATH ", then tcp:127.0.0.1:3389.",
        .platforms = HVS_ON_LINUX,
        .offset = offsetof(struct hvs_settings, servers),
    },
    {
        .key = "Server",
        .type = HVS_SETTING_SERVERS,
        .default_value = "tcp:127.0.0.1:3389",
        .help = "RDP servers to connect sessions to, tried in this order.",
        .platforms = HVS_ON_WINDOWS,
        .offset = offsetof(struct hvs_settings, servers),
    },
    {
        .key = "ServerTimeout",
        .type = HVS_SETTING_DURATION,
        .default_value = "15 s",
        .minimum = 0,
        .maximum = 5 * 60 * 1000,
        .help = "How long a session waits for an RDP server that does not answer yet.",
        .platforms = EVERYWHERE,
        .offset = offsetof(struct hvs_settings, server_timeout),
    },
    {
        .key = "ServerSecurity",
        .type = HVS_SETTING_CHOICE,
        .default_value = "auto",
        .choices = security_choices,
        .help = "How the RDP server is spoken to: rdp plainly, tls within TLS, auto plainly, and "
                "within TLS with servers that accept nothing else.",
        .platforms = HVS_ON_LINUX,
        .offset = offsetof(struct hvs_settings, server_security),
    },
    {
        .key = "NegotiationReply",
        .type = HVS_SETTING_CHOICE,
        .default_value = "auto",
        .choices = reply_choices,
        .help = "How the client is answered: mirror as a Windows guest does, passthrough as the "
                "RDP server does, auto as fits this system.",
        .platforms = EVERYWHERE,
        .offset = offsetof(struct hvs_settings, negotiation_reply),
    },
    {
        .key = "HvSocket",
        .type = HVS_SETTING_CHOICE,
        .default_value = "auto",
        .choices = hvsocket_choices,
        .help = "Whether sessions are taken over HvSocket as well: yes, no, or auto, where there "
                "is a host to come from.",
        .platforms = HVS_ON_LINUX,
        .offset = offsetof(struct hvs_settings, hvsocket),
    },
    {
        .key = "HvSocketLoopback",
        .type = HVS_SETTING_CHOICE,
        .default_value = "no",
        .choices = switch_choices,
        .help = "Whether programs of this machine may connect over HvSocket like the host, for "
                "tests.",
        .platforms = HVS_ON_LINUX,
        .offset = offsetof(struct hvs_settings, hvsocket_loopback),
    },
    {
        .key = "PublishState",
        .type = HVS_SETTING_CHOICE,
        .default_value = "auto",
        .choices = publish_choices,
        .help = "Whether the host is told the state through Hyper-V's data exchange: yes, no, or "
                "auto, where hv_kvp_daemon runs.",
        .platforms = HVS_ON_LINUX,
        .offset = offsetof(struct hvs_settings, publish_state),
    },
    {
        .key = "PublishState",
        .type = HVS_SETTING_CHOICE,
        .default_value = "auto",
        .choices = publish_choices,
        .help = "Whether the host is told the state through Hyper-V's data exchange: yes, no, or "
                "auto, where the integration services are installed.",
        .platforms = HVS_ON_WINDOWS,
        .offset = offsetof(struct hvs_settings, publish_state),
    },
    {
        .key = "LogLevel",
        .type = HVS_SETTING_CHOICE,
        .default_value = "notice",
        .choices = level_choices,
        .help = "How much is logged.",
        .platforms = EVERYWHERE,
        .offset = offsetof(struct hvs_settings, log_level),
    },
};

#define SETTINGS (sizeof table / sizeof table[0])

/* Of a value that is quoted in a message. Any valid server address is shorter. */
#define QUOTED_MAX 120

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_hex_digit(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool
is_name_character(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '.' || c == '_';
}

static bool
starts_with(const char *bytes, size_t length, const char *prefix)
{
    size_t prefix_length = strlen(prefix);

    return length >= prefix_length && hvs_text_is_word(bytes, prefix_length, prefix);
}

/* "value": what is wrong with it. Gives false, as the checks do. */
static bool
complain(struct hvs_text *message, const char *value, size_t length, const char *what)
{
    if (message == NULL)
        return false;
    hvs_text_add_char(message, '"');
    if (length > QUOTED_MAX) {
        hvs_text_add_visible_bytes(message, value, QUOTED_MAX);
        hvs_text_add(message, "...");
    } else {
        hvs_text_add_visible_bytes(message, value, length);
    }
    hvs_text_add(message, "\": ");
    hvs_text_add(message, what);
    return false;
}

/* Decimal digits only. false: none, others, or more than limit. */
static bool
parse_number(const char *digits, size_t length, uint64_t limit, uint64_t *number)
{
    uint64_t value = 0;

    for (size_t i = 0; i < length; i++) {
        if (!is_digit(digits[i]))
            return false;
        uint64_t digit = (uint64_t)(digits[i] - '0');
        if (digit > limit || value > (limit - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *number = value;
    return length > 0;
}

/* Four decimal numbers. No leading zeros: to some they are octal. */
static bool
is_ipv4(const char *host, size_t length)
{
    size_t begin = 0;

    for (unsigned part = 0; part < 4; part++) {
        size_t end = begin;
        uint64_t number;

        while (end < length && host[end] != '.')
            end++;
        if (!parse_number(host + begin, end - begin, 255, &number) ||
            (host[begin] == '0' && end - begin > 1))
            return false;
        if (part == 3)
            return end == length;
        if (end == length)
            return false;
        begin = end + 1;
    }
    return false;
}

/* RFC 4291 section 2.2, without a zone. */
static bool
is_ipv6_address(const char *host, size_t length)
{
    unsigned groups = 0;
    bool compressed = false;
    size_t i = 0;

    if (length >= 2 && host[0] == ':' && host[1] == ':') {
        compressed = true;
        i = 2;
    }
    while (i < length) {
        size_t digits = 0;

        while (i + digits < length && digits < 5 && is_hex_digit(host[i + digits]))
            digits++;
        if (i + digits < length && host[i + digits] == '.') {
            if (!is_ipv4(host + i, length - i))
                return false;
            groups += 2;
            break;
        }
        if (digits == 0 || digits > 4)
            return false;
        groups++;
        i += digits;
        if (i == length)
            break;
        if (host[i] != ':' || i + 1 == length)
            return false;
        i++;
        if (host[i] == ':') {
            if (compressed)
                return false;
            compressed = true;
            i++;
        }
    }
    return compressed ? groups <= 7 : groups == 8;
}

/* RFC 4007 section 11: ADDRESS%ZONE */
static bool
is_ipv6(const char *host, size_t length)
{
    const char *percent = memchr(host, '%', length);

    if (percent != NULL) {
        size_t address_length = (size_t)(percent - host);

        if (address_length + 1 == length)
            return false;
        for (size_t i = address_length + 1; i < length; i++)
            if (!is_name_character(host[i]))
                return false;
        length = address_length;
    }
    return is_ipv6_address(host, length);
}

/* What keeps it from being a host name or IPv4 address; NULL if nothing. */
static const char *
host_problem(const char *host, size_t length)
{
    bool numeric = true;

    if (length == 0)
        return "the host is missing";
    for (size_t i = 0; i < length; i++) {
        if (!is_name_character(host[i]))
            return "a host name holds letters, digits, hyphens and dots only";
        if (host[i] == '.' && (i == 0 || host[i - 1] == '.'))
            return "a host name does not begin with a dot or hold two in a row";
        if (!is_digit(host[i]) && host[i] != '.')
            numeric = false;
    }
    /* Resolvers take "3389" for the address 0.0.13.61, which nobody means. */
    if (numeric && !is_ipv4(host, length))
        return "the host is neither a name nor an IPv4 address such as 127.0.0.1";
    return NULL;
}

/* Splits what follows "tcp:" in host and port digits. NULL if done, else what is wrong. */
static const char *
split_host_port(const char *string, size_t length, const char **host, size_t *host_length,
                const char **port, size_t *port_length)
{
    size_t after;

    *host = string;
    if (length > 0 && string[0] == '[') {
        const char *bracket = memchr(string, ']', length);

        if (bracket == NULL)
            return "the ] behind the IPv6 address is missing";
        *host = string + 1;
        *host_length = (size_t)(bracket - string) - 1;
        if (!is_ipv6(*host, *host_length))
            return "in the brackets there must be an IPv6 address";
        after = *host_length + 2;
    } else {
        const char *colon = memchr(string, ':', length);

        *host_length = colon != NULL ? (size_t)(colon - string) : length;
        after = *host_length;
        if (after < length && memchr(string + after + 1, ':', length - after - 1) != NULL)
            return "an IPv6 address stands in brackets, as in tcp:[::1]:3389";
        const char *problem = host_problem(*host, *host_length);
        if (problem != NULL)
            return problem;
    }
    *port = NULL;
    *port_length = 0;
    if (after < length) {
        if (string[after] != ':')
            return "behind the ] only :PORT may follow";
        *port = string + after + 1;
        *port_length = length - after - 1;
    }
    return NULL;
}

static const char *
parse_tcp(const char *string, size_t length, struct hvs_server_address *address)
{
    const char *host, *port;
    size_t host_length = 0, port_length = 0;
    uint64_t number = HVS_RDP_PORT;
    const char *problem = split_host_port(string, length, &host, &host_length, &port, &port_length);

    if (problem != NULL)
        return problem;
    if (host_length >= HVS_SERVER_HOST_MAX)
        return "the host name is longer than 107 characters";
    if (port != NULL && (!parse_number(port, port_length, UINT16_MAX, &number) || number == 0))
        return "the port must be 1 to 65535";

    memset(address, 0, sizeof *address);
    address->kind = HVS_SERVER_TCP;
    memcpy(address->host, host, host_length);
    address->port = (uint16_t)number;
    return NULL;
}

static const char *
parse_unix(const char *path, size_t length, struct hvs_server_address *address)
{
    if (length == 0 || path[0] != '/')
        return "the path must begin with /";
    if (path[length - 1] == '/')
        return "the path must name a socket, not a directory";
    /* sockaddr_un.sun_path, its terminating zero included, has 108 bytes. */
    if (length >= HVS_SERVER_HOST_MAX)
        return "the path of a UNIX socket has at most 107 bytes";
    for (size_t i = 0; i < length; i++)
        if (path[i] == ',' || (unsigned char)path[i] <= ' ' || path[i] == 0x7f)
            return "the path must not hold commas, blanks or control characters";

    memset(address, 0, sizeof *address);
    address->kind = HVS_SERVER_UNIX;
    memcpy(address->host, path, length);
    return NULL;
}

bool
hvs_server_address_parse(const char *string, size_t length, unsigned platforms,
                         struct hvs_server_address *address, struct hvs_text *message)
{
    const char *problem;

    if (starts_with(string, length, "tcp:"))
        problem = parse_tcp(string + 4, length - 4, address);
    else if (!starts_with(string, length, "unix:"))
        problem = (platforms & HVS_ON_LINUX) != 0
                      ? "a server is auto, tcp:HOST:PORT or unix:PATH, as in tcp:127.0.0.1:3389"
                      : "a server is tcp:HOST:PORT, as in tcp:127.0.0.1:3389";
    else if ((platforms & HVS_ON_LINUX) == 0)
        problem = "UNIX sockets are for Linux only; use tcp:HOST:PORT";
    else
        problem = parse_unix(string + 5, length - 5, address);
    return problem == NULL || complain(message, string, length, problem);
}

void
hvs_server_address_print(const struct hvs_server_address *address, struct hvs_text *out)
{
    if (address->kind == HVS_SERVER_UNIX) {
        hvs_text_add(out, "unix:");
        hvs_text_add(out, address->host);
        return;
    }
    bool ipv6 = strchr(address->host, ':') != NULL;
    hvs_text_add(out, ipv6 ? "tcp:[" : "tcp:");
    hvs_text_add(out, address->host);
    hvs_text_add(out, ipv6 ? "]:" : ":");
    hvs_text_add_u64(out, address->port);
}

static bool
is_auto(const char *string, size_t length, unsigned platforms)
{
    return (platforms & HVS_ON_LINUX) != 0 && hvs_text_is_word(string, length, "auto");
}

static bool
set_servers(struct hvs_settings *settings, unsigned platforms, const char *value, size_t length,
            struct hvs_text *message)
{
    struct hvs_server_address servers[HVS_SERVERS_MAX];
    unsigned count = 0;

    for (size_t begin = 0, end; begin < length; begin = end + 1) {
        for (end = begin; end < length && value[end] != ',' && !is_blank(value[end]); end++)
            ;
        if (end == begin)
            continue;
        size_t more = is_auto(value + begin, end - begin, platforms) ? AUTO_SERVERS : 1;
        if (count + more > HVS_SERVERS_MAX)
            return complain(message, value, length, "there may be at most 8 servers");
        if (more == AUTO_SERVERS)
            memcpy(&servers[count], auto_servers, sizeof auto_servers);
        else if (!hvs_server_address_parse(value + begin, end - begin, platforms, &servers[count],
                                      message))
            return false;
        count += (unsigned)more;
    }
    if (count == 0)
        return complain(message, value, length,
                        "at least one server is needed, as tcp:127.0.0.1:3389");
    memset(settings->servers, 0, sizeof settings->servers);
    memcpy(settings->servers, servers, count * sizeof servers[0]);
    settings->server_count = count;
    return true;
}

static const struct {
    const char *name;
    uint32_t milliseconds;
} units[] = {
    /* the longest that divides a duration is the one it is printed in */
    { "h", 3600000 },
    { "min", 60000 },
    { "s", 1000 },
    { "ms", 1 },
};

#define UNITS (sizeof units / sizeof units[0])

static void
print_duration(uint64_t milliseconds, struct hvs_text *out)
{
    size_t unit = 0;

    if (milliseconds == 0) {
        hvs_text_add(out, "0 s");
        return;
    }
    while (milliseconds % units[unit].milliseconds != 0)
        unit++;
    hvs_text_add_u64(out, milliseconds / units[unit].milliseconds);
    hvs_text_add_char(out, ' ');
    hvs_text_add(out, units[unit].name);
}

static bool
set_duration(const struct hvs_setting *setting, uint32_t *field, const char *value, size_t length,
             struct hvs_text *message)
{
    uint64_t scale = 1000, number;
    size_t digits = 0, unit;

    while (digits < length && is_digit(value[digits]))
        digits++;
    for (unit = digits; unit < length && is_blank(value[unit]);)
        unit++;
    if (unit < length) {
        scale = 0;
        for (size_t i = 0; i < UNITS; i++)
            if (hvs_text_is_word(value + unit, length - unit, units[i].name))
                scale = units[i].milliseconds;
    }
    if (digits == 0 || scale == 0)
        return complain(message, value, length,
                        "a duration is a whole number with ms, s, min or h, as in 15 s");
    if (!parse_number(value, digits, setting->maximum / scale, &number) ||
        number * scale < setting->minimum) {
        complain(message, value, length, "must be ");
        if (message != NULL) {
            print_duration(setting->minimum, message);
            hvs_text_add(message, " to ");
            print_duration(setting->maximum, message);
        }
        return false;
    }
    *field = (uint32_t)(number * scale);
    return true;
}

static bool
set_choice(const struct hvs_setting *setting, unsigned *field, const char *value, size_t length,
           struct hvs_text *message)
{
    for (unsigned i = 0; setting->choices[i] != NULL; i++) {
        if (hvs_text_is_word(value, length, setting->choices[i])) {
            *field = i;
            return true;
        }
    }
    complain(message, value, length, "must be ");
    for (unsigned i = 0; message != NULL && setting->choices[i] != NULL; i++) {
        if (i > 0)
            hvs_text_add(message, setting->choices[i + 1] != NULL ? ", " : " or ");
        hvs_text_add(message, setting->choices[i]);
    }
    return false;
}

static void *
field_of(struct hvs_settings *settings, const struct hvs_setting *setting)
{
    return (char *)settings + setting->offset;
}

static bool
set_value(struct hvs_settings *settings, unsigned platforms, const struct hvs_setting *setting,
          const char *value, struct hvs_text *message)
{
    size_t length;

    while (is_blank(*value))
        value++;
    for (length = strlen(value); length > 0 && is_blank(value[length - 1]);)
        length--;

    switch (setting->type) {
    case HVS_SETTING_SERVERS:
        return set_servers(settings, platforms, value, length, message);
    case HVS_SETTING_DURATION:
        return set_duration(setting, field_of(settings, setting), value, length, message);
    case HVS_SETTING_CHOICE:
        return set_choice(setting, field_of(settings, setting), value, length, message);
    }
    return false;
}

const struct hvs_setting *
hvs_settings_table(size_t *count)
{
    *count = SETTINGS;
    return table;
}

const struct hvs_setting *
hvs_settings_find(const char *key, unsigned platforms)
{
    for (size_t i = 0; i < SETTINGS; i++)
        if ((table[i].platforms & platforms) != 0 &&
            hvs_text_is_word(key, strlen(key), table[i].key))
            return &table[i];
    return NULL;
}

static bool
is_same_letter(char a, char b)
{
    const char word[2] = { b, '\0' };

    return hvs_text_is_word(&a, 1, word);
}

/* Longer keys than this are nobody's typing mistakes. */
#define SUGGEST_KEY_MAX 32

/* How many letters must be added, removed, changed or swapped with their neighbour to make one the
 * other (optimal string alignment). Both are at most SUGGEST_KEY_MAX long. */
static unsigned
edit_distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    unsigned rows[3][SUGGEST_KEY_MAX + 1];

    for (unsigned j = 0; j <= b_length; j++)
        rows[0][j] = j;
    for (unsigned i = 1; i <= a_length; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *above = rows[(i + 2) % 3];
        const unsigned *two_above = rows[(i + 1) % 3];

        row[0] = i;
        for (unsigned j = 1; j <= b_length; j++) {
            unsigned cost = is_same_letter(a[i - 1], b[j - 1]) ? 0 : 1;
            unsigned best = above[j - 1] + cost;

            if (above[j] + 1 < best)
                best = above[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            if (i > 1 && j > 1 && is_same_letter(a[i - 1], b[j - 2]) &&
                is_same_letter(a[i - 2], b[j - 1]) && two_above[j - 2] + 1 < best)
                best = two_above[j - 2] + 1;
            row[j] = best;
        }
    }
    return rows[a_length % 3][b_length];
}

const struct hvs_setting *
hvs_settings_suggest(const char *key, unsigned platforms)
{
    const struct hvs_setting *nearest = NULL;
    unsigned least = 3; /* more is another word */
    size_t length = strlen(key);

    if (length < 3 || length > SUGGEST_KEY_MAX)
        return NULL;
    for (size_t i = 0; i < SETTINGS; i++) {
        size_t key_length = strlen(table[i].key);

        if ((table[i].platforms & platforms) == 0 || key_length > SUGGEST_KEY_MAX)
            continue;
        unsigned distance = edit_distance(key, length, table[i].key, key_length);
        if (distance < least) {
            least = distance;
            nearest = &table[i];
        }
    }
    return nearest;
}

static void
complain_unknown(struct hvs_text *message, const char *key, unsigned platforms)
{
    const struct hvs_setting *suggestion = hvs_settings_suggest(key, platforms);
    size_t length = strlen(key);

    hvs_text_add_visible_bytes(message, key, length > QUOTED_MAX ? QUOTED_MAX : length);
    hvs_text_add(message, length > QUOTED_MAX ? "...: no such setting" : ": no such setting");
    if (suggestion != NULL) {
        hvs_text_add(message, "; did you mean ");
        hvs_text_add(message, suggestion->key);
        hvs_text_add_char(message, '?');
    }
}

enum hvs_settings_error
hvs_settings_set(struct hvs_settings *settings, unsigned platforms, const char *key,
                 const char *value, struct hvs_text *message)
{
    const struct hvs_setting *setting = hvs_settings_find(key, platforms);
    char buffer[HVS_SETTINGS_MESSAGE_MAX];
    struct hvs_text clause;

    if (setting == NULL) {
        if (message != NULL)
            complain_unknown(message, key, platforms);
        return HVS_SETTINGS_UNKNOWN_KEY;
    }
    hvs_text_init(&clause, buffer, sizeof buffer);
    if (set_value(settings, platforms, setting, value, &clause))
        return HVS_SETTINGS_OK;
    if (message != NULL) {
        hvs_text_add(message, setting->key);
        hvs_text_add(message, ": ");
        hvs_text_add(message, buffer);
    }
    return HVS_SETTINGS_BAD_VALUE;
}

void
hvs_settings_init(struct hvs_settings *settings)
{
    memset(settings, 0, sizeof *settings);
    for (size_t i = 0; i < SETTINGS; i++)
        if ((table[i].platforms & THIS_PLATFORM) != 0)
            set_value(settings, THIS_PLATFORM, &table[i], table[i].default_value, NULL);
}

static void
print_servers(const struct hvs_settings *settings, struct hvs_text *out)
{
    for (unsigned i = 0; i < settings->server_count; i++) {
        const struct hvs_server_address *server = &settings->servers[i];

        if (server->auto_place > 1)
            continue;
        if (i > 0)
            hvs_text_add(out, ", ");
        if (server->auto_place == 1)
            hvs_text_add(out, "auto");
        else
            hvs_server_address_print(server, out);
    }
}

void
hvs_settings_print_servers(const struct hvs_settings *settings, struct hvs_text *out)
{
    for (unsigned i = 0; i < settings->server_count; i++) {
        if (i > 0)
            hvs_text_add(out, ", ");
        hvs_server_address_print(&settings->servers[i], out);
    }
}

void
hvs_settings_print(const struct hvs_settings *settings, const struct hvs_setting *setting,
                   struct hvs_text *out)
{
    const void *field = (const char *)settings + setting->offset;

    switch (setting->type) {
    case HVS_SETTING_SERVERS:
        print_servers(settings, out);
        break;
    case HVS_SETTING_DURATION:
        print_duration(*(const uint32_t *)field, out);
        break;
    case HVS_SETTING_CHOICE:
        hvs_text_add(out, setting->choices[*(const unsigned *)field]);
        break;
    }
}

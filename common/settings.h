/* The settings: one table that all platforms share, and the checks of their values.
 *
 * Where values come from (a key file, the registry) is the platform's business; what they may be is
 * decided here. Keys are compared without regard to case, as the registry does.
 */
#ifndef HVS_COMMON_SETTINGS_H
#define HVS_COMMON_SETTINGS_H

#include "log.h"
#include "text.h"
#include "x224.h"

enum hvs_setting_type {
    HVS_SETTING_SERVERS,  /* list of servers, separated by commas or white space; on Linux "auto"
                             may be among them, and counts as two */
    HVS_SETTING_DURATION, /* "15", "15 s", "500 ms", "2 min", "1 h"; a bare number is seconds */
    HVS_SETTING_CHOICE,   /* one of a few words */
};

/* Which platforms have the setting. */
enum { HVS_ON_LINUX = 1, HVS_ON_WINDOWS = 2 };

struct hvs_setting {
    const char           *key;
    enum hvs_setting_type type;
    const char           *default_value; /* as one would write it */
    uint64_t              minimum, maximum; /* DURATION: milliseconds */
    const char *const    *choices;          /* CHOICE: NULL-terminated */
    const char           *help;             /* one sentence */
    unsigned              platforms;
    size_t                offset; /* of its field in struct hvs_settings; private */
};

enum hvs_server_kind {
    HVS_SERVER_TCP,  /* tcp:HOST:PORT, tcp:[IPV6]:PORT; without :PORT it is 3389 */
    HVS_SERVER_UNIX, /* unix:PATH, an absolute path without commas and blanks; Linux only */
};

#define HVS_SERVERS_MAX 8
#define HVS_SERVER_HOST_MAX 108 /* sun_path is as long; host names are cut by nobody at less */
#define HVS_RDP_PORT 3389

struct hvs_server_address {
    enum hvs_server_kind kind;
    char                 host[HVS_SERVER_HOST_MAX]; /* host name, address without [], or path */
    uint16_t             port;                      /* TCP only */
    /* 0: named as such. Else "auto" was, and this is the first, the second … server it means. */
    uint8_t              auto_place;
};

/* Where the RDP server listens that is for us alone: what "auto" means on Linux, and after that
 * tcp:127.0.0.1:3389. */
#define HVS_OWN_SERVER_PATH "/run/hvsession/xrdp.sock"

enum hvs_negotiation_reply_setting { HVS_REPLY_SETTING_AUTO, HVS_REPLY_SETTING_MIRROR,
                                     HVS_REPLY_SETTING_PASSTHROUGH };

enum hvs_server_security_setting { HVS_SECURITY_SETTING_AUTO, HVS_SECURITY_SETTING_RDP,
                                   HVS_SECURITY_SETTING_TLS };

enum hvs_hvsocket_setting { HVS_HVSOCKET_SETTING_AUTO, HVS_HVSOCKET_SETTING_YES,
                            HVS_HVSOCKET_SETTING_NO };

enum hvs_switch { HVS_SWITCH_NO, HVS_SWITCH_YES };

enum hvs_publish_setting { HVS_PUBLISH_AUTO, HVS_PUBLISH_YES, HVS_PUBLISH_NO };

/* All settings, parsed. */
struct hvs_settings {
    struct hvs_server_address servers[HVS_SERVERS_MAX]; /* tried in order */
    unsigned                  server_count;             /* at least 1 */
    uint32_t                  server_timeout;           /* milliseconds */
    unsigned                  server_security;          /* enum hvs_server_security_setting */
    unsigned                  negotiation_reply;        /* enum hvs_negotiation_reply_setting */
    unsigned                  hvsocket;                 /* enum hvs_hvsocket_setting */
    unsigned                  hvsocket_loopback;        /* enum hvs_switch */
    unsigned                  publish_state;            /* enum hvs_publish_setting */
    unsigned                  log_level;                /* enum hvs_log_level */
};

/* Enough for any message of this module, in bytes. */
#define HVS_SETTINGS_MESSAGE_MAX 512

enum hvs_settings_error {
    HVS_SETTINGS_OK,
    HVS_SETTINGS_UNKNOWN_KEY,
    HVS_SETTINGS_BAD_VALUE,
};

/* The table; *count entries. A setting whose default is not the same everywhere has one for each
 * platform. */
const struct hvs_setting *hvs_settings_table(size_t *count);
/* NULL: no such setting on these platforms. */
const struct hvs_setting *hvs_settings_find(const char *key, unsigned platforms);
/* The setting that was probably meant by a misspelt key; NULL if none is near. */
const struct hvs_setting *hvs_settings_suggest(const char *key, unsigned platforms);

/* Every setting at its default of the platform that this is compiled for; those that it has not are
 * 0. */
void hvs_settings_init(struct hvs_settings *settings);
/* Checks value and stores it. On an error settings is unchanged and message (if not NULL) gets one
 * clear line that names the key, the value and what would be right:
 *     Sever: no such setting; did you mean Server?
 *     Server: "tcp:host:99999": the port must be 1 to 65535
 * HVS_SETTINGS_MESSAGE_MAX bytes hold any of them. */
enum hvs_settings_error hvs_settings_set(struct hvs_settings *settings, unsigned platforms,
                                         const char *key, const char *value,
                                         struct hvs_text *message);
/* The value in its one canonical form, which hvs_settings_set() takes. */
void hvs_settings_print(const struct hvs_settings *settings, const struct hvs_setting *setting,
                        struct hvs_text *out);

/* The servers themselves, "auto" spelt out: "unix:/run/…, tcp:127.0.0.1:3389". */
void hvs_settings_print_servers(const struct hvs_settings *settings, struct hvs_text *out);

/* One server: "tcp:127.0.0.1:3389". false: malformed, message (if
 * not NULL) quotes it and says why, and address is unchanged. */
bool hvs_server_address_parse(const char *string, size_t length, unsigned platforms,
                              struct hvs_server_address *address, struct hvs_text *message);
void hvs_server_address_print(const struct hvs_server_address *address, struct hvs_text *out);

#endif

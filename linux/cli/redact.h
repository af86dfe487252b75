/* Takes secrets out of text that somebody else will read. Knows them by their names only. */
#ifndef HVS_LINUX_CLI_REDACT_H
#define HVS_LINUX_CLI_REDACT_H

#include <glib.h>

/* The text with what follows a name such as password, passphrase, secret, token, credential or
 * key_file, and '=' or ':', replaced by "(left out)" up to the end of the line. In either case; not
 * where it says only yes, no, true or false, or "ask" or "{...}" as xrdp.ini does to have it asked
 * for. To be freed. */
char *hvs_cli_redact(const char *text);

#endif

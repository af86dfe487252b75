/* What xrdp.ini says on its listeners and on security: read, never written. Source: xrdp.ini(5). */
#ifndef HVS_LINUX_XRDP_INI_H
#define HVS_LINUX_XRDP_INI_H

#include <glib.h>

/* Of the section [Globals]; a setting that is not there is NULL. */
typedef struct hvs_xrdp_ini {
    char    *port; /* "3389 vsock://-1:3389" */
    char    *security_layer;
    char    *crypt_level;
    gboolean use_vsock;
} hvs_xrdp_ini;

/* text: length bytes of the file, of any content. Section and keys in either case; of a setting
 * that is there twice the last one counts, as with xrdp. Clear with hvs_xrdp_ini_clear(). */
void hvs_xrdp_ini_parse(const char *text, gsize length, struct hvs_xrdp_ini *ini);
void hvs_xrdp_ini_clear(struct hvs_xrdp_ini *ini);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(hvs_xrdp_ini, hvs_xrdp_ini_clear)

/* Does it listen there? TCP on any of the machine's addresses, a UNIX socket of that path, HvSocket
 * on a port. */
gboolean hvs_xrdp_ini_has_tcp(const struct hvs_xrdp_ini *ini, guint16 port);
gboolean hvs_xrdp_ini_has_unix(const struct hvs_xrdp_ini *ini, const char *path);
gboolean hvs_xrdp_ini_has_vsock(const struct hvs_xrdp_ini *ini, guint16 port);
/* use_vsock=true, but no port is a HvSocket address: xrdp does not start then. */
gboolean hvs_xrdp_ini_is_vsock_wrong(const struct hvs_xrdp_ini *ini);

#endif

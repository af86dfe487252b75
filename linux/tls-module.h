/* What the module hvsession-tls.so has for tls.c: the functions of tls.h, in a table.
 *
 * A module, so that a service that never meets a server with TLS loads none of it: OpenSSL would be
 * a fifth of its memory, and code that reads what others send.
 */
#ifndef HVS_LINUX_TLS_MODULE_H
#define HVS_LINUX_TLS_MODULE_H

#include "tls.h"

struct hvs_tls_class {
    size_t size; /* of this struct: of one build with the program, or refused */
    /* fd is borrowed. name: what the server's certificate has to be for; NULL: it is not looked at.
     * NULL: out of memory. */
    hvs_tls *(*new)(int fd, const char *name);
    enum hvs_tls_result (*handshake)(hvs_tls *tls);
    ssize_t (*send)(hvs_tls *tls, const struct iovec *pieces, unsigned count);
    ssize_t (*receive)(hvs_tls *tls, const struct iovec *pieces, unsigned count);
    ssize_t (*peek)(hvs_tls *tls, void *buffer, size_t size);
    int (*end)(hvs_tls *tls);
    bool (*may_have_more)(const hvs_tls *tls);
    short (*events)(const hvs_tls *tls, bool receive, bool send);
    const char *(*complaint)(const hvs_tls *tls);
    const char *(*describe)(const hvs_tls *tls);
    void (*free)(hvs_tls *tls);
};

/* The module's only symbol that others use, and its name. */
extern const struct hvs_tls_class hvs_tls_openssl;
#define HVS_TLS_MODULE_SYMBOL "hvs_tls_openssl"

/* tls-load.c, a file of its own so that a program may take the module from where that was built. */
const struct hvs_tls_class *hvs_tls_load(GError **error);

#endif

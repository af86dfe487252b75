/* TLS towards an RDP server that accepts nothing else, on a non-blocking socket.
 *
 * The calls are those of a socket: they give what sendmsg(), recvmsg() and shutdown(SHUT_WR) give,
 * with errno, and never block. Payload is encrypted from and decrypted to where the caller has it.
 * A certificate is accepted as it is if the server is on this machine, where nobody is between us
 * and whoever may listen there; any other has to be one that this system trusts, for the name that
 * the configuration has.
 *
 * Why OpenSSL: it works on a descriptor that the caller polls, which GTlsConnection does not without
 * a main loop and threads of its own; it looks certificates up one by one, where GnuTLS sets itself up in every process and
 * reads all that are trusted. Every distribution has it in its base system.
 *
 * Sources: [MS-RDPBCGR] 5.4.5.1 (TLS behind the X.224 Connection Confirm); RFC 8446. Not
 * thread-safe: one thread uses one object. SIGPIPE has to be ignored.
 */
#ifndef HVS_LINUX_TLS_H
#define HVS_LINUX_TLS_H

#include "common/settings.h"

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

typedef struct hvs_tls hvs_tls;

enum hvs_tls_result {
    HVS_TLS_OK,
    HVS_TLS_AGAIN,     /* poll() for hvs_tls_events(), then call again */
    HVS_TLS_UNTRUSTED, /* the certificate was refused */
    HVS_TLS_FAILED,
};

/* fd is borrowed, a connected socket. server: as configured, whose name the certificate has to
 * have. NULL: out of memory, or the module with OpenSSL (tls-module.h) cannot be loaded. */
hvs_tls *hvs_tls_new(int fd, const struct hvs_server_address *server, GError **error);
/* One step of the handshake. Before that is done nothing else may be called. */
enum hvs_tls_result hvs_tls_handshake(hvs_tls *tls);

/* The bytes that were sent, from the beginning of what was given. −1: errno is EAGAIN, and the next
 * call has to begin with the same bytes; or what broke the connection. */
ssize_t hvs_tls_send(hvs_tls *tls, const struct iovec *pieces, unsigned count);
/* As many bytes as there are for the pieces; 0: the server has ended its stream. −1: errno is
 * EAGAIN, or what broke the connection. */
ssize_t hvs_tls_receive(hvs_tls *tls, const struct iovec *pieces, unsigned count);
/* The same without taking them, at most one record at a time. */
ssize_t hvs_tls_peek(hvs_tls *tls, void *buffer, size_t size);
/* Ends our stream; the server's goes on. 0, or −1 with errno: EAGAIN means to call again. */
int hvs_tls_end(hvs_tls *tls);

/* Something may be there to receive, though the socket itself is empty: poll() does not tell. */
bool hvs_tls_may_have_more(const hvs_tls *tls);
/* What to poll() the socket for when what is wanted has said EAGAIN. */
short hvs_tls_events(const hvs_tls *tls, bool receive, bool send);
/* Why the last call has failed, in words. Belongs to tls. */
const char *hvs_tls_complaint(const hvs_tls *tls);
/* "TLSv1.3, TLS_AES_256_GCM_SHA384", for the log. Belongs to tls. */
const char *hvs_tls_describe(const hvs_tls *tls);
void hvs_tls_free(hvs_tls *tls);

/* Whether the other end of a connected socket is on this machine. */
bool hvs_tls_is_local(int fd);

#endif

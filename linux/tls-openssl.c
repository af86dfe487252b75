/* The module hvsession-tls.so: TLS by OpenSSL. See tls.h for what the functions do. */
#include "tls-module.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

/* RFC 8446 5.1: what a record carries at most. */
#define RECORD_MAX 16384u

struct hvs_tls {
    const struct hvs_tls_class *class;
    SSL_CTX *context;
    SSL     *ssl;
    bool     verifies;
    bool     drained;            /* the last look has found nothing more to receive */
    bool     receive_needs_room; /* what it waits for is to send something itself */
    bool     handshake_done;
    int      wanted; /* by the last step of the handshake, of poll() */
    /* Of one call to the next: what OpenSSL has begun to send it wants to see again. */
    uint8_t  record[RECORD_MAX];
    size_t   record_length; /* 0: nothing has begun */
    char     complaint[160];
    char     description[80];
};

/* ---- setting up ---- */

/* What the certificate has to be for. An address may have the zone that is ours to know. */
static bool
expect_name(SSL *ssl, const char *host)
{
    g_auto(GStrv) parts = g_strsplit(host, "%", 2);

    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), parts[0]) == 1)
        return true;
    ERR_clear_error();
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

static SSL_CTX *
new_context(bool verifies)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    if (context == NULL)
        return NULL;
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    /* RDP has an end of its own, so that many a server just closes the connection. */
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_verify(context, verifies ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    if (verifies && SSL_CTX_set_default_verify_paths(context) != 1)
        g_clear_pointer(&context, SSL_CTX_free);
    return context;
}

static void
tls_free(hvs_tls *tls)
{
    SSL_free(tls->ssl);
    SSL_CTX_free(tls->context);
    OPENSSL_cleanse(tls->record, sizeof(tls->record));
    g_free(tls);
}

static hvs_tls *
tls_new(int fd, const char *name)
{
    hvs_tls *tls = g_new0(hvs_tls, 1);

    tls->class = &hvs_tls_openssl;
    tls->verifies = name != NULL;
    tls->context = new_context(tls->verifies);
    tls->ssl = tls->context != NULL ? SSL_new(tls->context) : NULL;
    if (tls->ssl == NULL || SSL_set_fd(tls->ssl, fd) != 1 ||
        (tls->verifies && !expect_name(tls->ssl, name)))
        g_clear_pointer(&tls, tls_free);
    ERR_clear_error();
    return tls;
}

/* ---- what OpenSSL says ---- */

static void
complain(hvs_tls *tls, const char *words)
{
    g_strlcpy(tls->complaint, words, sizeof(tls->complaint));
}

/* The first error that it has put down, which says the most. */
static void
complain_of_error(hvs_tls *tls)
{
    unsigned long code = ERR_get_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;

    complain(tls, reason != NULL ? reason : "TLS failed without a reason");
    ERR_clear_error();
}

/* A call that gave result has not done all it was to do: sets errno, gives −1; 0: the end of the
 * server's stream. */
static int
judge(hvs_tls *tls, int result, int system_error, bool *needs_room)
{
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        *needs_room = false;
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_WANT_WRITE:
        *needs_room = true;
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        complain(tls, g_strerror(system_error != 0 ? system_error : ECONNRESET));
        ERR_clear_error();
        errno = system_error != 0 ? system_error : ECONNRESET;
        return -1;
    default:
        complain_of_error(tls);
        errno = EPROTO;
        return -1;
    }
}

/* ---- the handshake ---- */

static enum hvs_tls_result
refuse_certificate(hvs_tls *tls, long why)
{
    ERR_clear_error();
    complain(tls, X509_verify_cert_error_string(why));
    return HVS_TLS_UNTRUSTED;
}

static enum hvs_tls_result
tls_handshake(hvs_tls *tls)
{
    bool needs_room = false;
    long verified;
    int result, error;

    ERR_clear_error();
    errno = 0;
    result = SSL_connect(tls->ssl);
    error = errno;
    if (result == 1) {
        tls->handshake_done = true;
        /* Some systems have all that they trust in one file, which is megabytes in memory. */
        if (tls->verifies)
            SSL_CTX_set_cert_store(tls->context, X509_STORE_new());
        g_snprintf(tls->description, sizeof(tls->description), "%s, %s",
                   SSL_get_version(tls->ssl), SSL_get_cipher_name(tls->ssl));
        return HVS_TLS_OK;
    }
    verified = SSL_get_verify_result(tls->ssl);
    if (judge(tls, result, error, &needs_room) == 0)
        complain(tls, "the server has closed the connection");
    else if (errno == EAGAIN)
        tls->wanted = needs_room ? POLLOUT : POLLIN;
    else if (tls->verifies && verified != X509_V_OK)
        return refuse_certificate(tls, verified);
    else if (errno == ECONNRESET && error == 0)
        complain(tls, "the server has closed the connection");
    return errno == EAGAIN ? HVS_TLS_AGAIN : HVS_TLS_FAILED;
}

/* ---- sending ---- */

/* The beginning of the pieces from an offset on, as much as a record takes. */
static size_t
fill_record(hvs_tls *tls, const struct iovec *pieces, unsigned count, size_t offset)
{
    size_t length = 0;

    for (unsigned i = 0; i < count && length < RECORD_MAX; i++) {
        size_t take;

        if (offset >= pieces[i].iov_len) {
            offset -= pieces[i].iov_len;
            continue;
        }
        take = MIN(pieces[i].iov_len - offset, RECORD_MAX - length);
        memcpy(tls->record + length, (const uint8_t *)pieces[i].iov_base + offset, take);
        length += take;
        offset = 0;
    }
    return length;
}

/* Small pieces share a record. What the ring holds is copied once, since its other user could
 * change it between the attempts to send a record. */
static ssize_t
tls_send(hvs_tls *tls, const struct iovec *pieces, unsigned count)
{
    size_t sent = 0;

    for (;;) {
        bool needs_room = true;
        int result, error;

        if (tls->record_length == 0)
            tls->record_length = fill_record(tls, pieces, count, sent);
        if (tls->record_length == 0)
            return (ssize_t)sent;
        ERR_clear_error();
        errno = 0;
        result = SSL_write(tls->ssl, tls->record, (int)tls->record_length);
        error = errno;
        if (result <= 0) {
            if (judge(tls, result, error, &needs_room) == 0)
                errno = EPIPE;
            /* What is done is told first; the rest comes again. */
            return sent > 0 ? (ssize_t)sent : -1;
        }
        /* Whole records only: they are no longer than what OpenSSL sends in one. */
        sent += (size_t)result;
        tls->record_length = 0;
    }
}

/* ---- receiving ---- */

static ssize_t
note_received(hvs_tls *tls, int result, int error)
{
    bool needs_room = false;
    int judged;

    if (result > 0) {
        tls->drained = false;
        return result;
    }
    judged = judge(tls, result, error, &needs_room);
    tls->drained = judged < 0 && errno == EAGAIN;
    tls->receive_needs_room = tls->drained && needs_room;
    return judged;
}

static ssize_t
tls_receive(hvs_tls *tls, const struct iovec *pieces, unsigned count)
{
    size_t received = 0;

    for (unsigned i = 0; i < count; i++) {
        for (size_t at = 0; at < pieces[i].iov_len;) {
            size_t left = MIN(pieces[i].iov_len - at, (size_t)INT_MAX);
            ssize_t result;

            ERR_clear_error();
            errno = 0;
            result = SSL_read(tls->ssl, (uint8_t *)pieces[i].iov_base + at, (int)left);
            result = note_received(tls, (int)result, errno);
            /* What ended it is said once more when it is asked for again. */
            if (result <= 0)
                return received > 0 ? (ssize_t)received : result;
            at += (size_t)result;
            received += (size_t)result;
        }
    }
    return (ssize_t)received;
}

static ssize_t
tls_peek(hvs_tls *tls, void *buffer, size_t size)
{
    int result;

    ERR_clear_error();
    errno = 0;
    result = SSL_peek(tls->ssl, buffer, (int)MIN(size, (size_t)INT_MAX));
    return note_received(tls, result, errno);
}

/* ---- the rest ---- */

static int
tls_end(hvs_tls *tls)
{
    bool needs_room = true;
    int result, error;

    ERR_clear_error();
    errno = 0;
    result = SSL_shutdown(tls->ssl);
    error = errno;
    /* 0: ours is sent, theirs has not come. */
    if (result >= 0)
        return 0;
    if (judge(tls, result, error, &needs_room) == 0)
        return 0;
    return -1;
}

static bool
tls_may_have_more(const hvs_tls *tls)
{
    return !tls->drained;
}

static short
tls_events(const hvs_tls *tls, bool receive, bool send)
{
    short events = 0;

    if (!tls->handshake_done)
        return (short)tls->wanted;
    if (receive)
        events |= tls->receive_needs_room ? POLLOUT : POLLIN;
    if (send)
        events |= POLLOUT;
    return events;
}

static const char *
tls_complaint(const hvs_tls *tls)
{
    return tls->complaint;
}

static const char *
tls_describe(const hvs_tls *tls)
{
    return tls->description;
}

const struct hvs_tls_class hvs_tls_openssl = {
    .size = sizeof(struct hvs_tls_class),
    .new = tls_new,
    .handshake = tls_handshake,
    .send = tls_send,
    .receive = tls_receive,
    .peek = tls_peek,
    .end = tls_end,
    .may_have_more = tls_may_have_more,
    .events = tls_events,
    .complaint = tls_complaint,
    .describe = tls_describe,
    .free = tls_free,
};

/* linux/tls.c and what linux/relay.c makes of it, with a TLS server of the test's own. Over both
 * transports, where that could make a difference.
 */
#include "linux/tls.h"
#include "relay-fixture.h"

#include <glib/gstdio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#define SERVER_NAME "rdp.example"

/* request and confirm of TLS, as sent to and by the server */
static const uint8_t tls_request[] = { 3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0, 0,
                                       1, 0, 8, 0,  1,  0,    0, 0 };
#define tls_confirm confirm
/* RDP_NEG_FAILURE, SSL_REQUIRED_BY_SERVER */
static const uint8_t ssl_required[] = { 3, 0, 0, 19, 14, 0xd0, 0, 0, 0x12, 0x34,
                                        0, 3, 0, 8,  0,  1,    0, 0, 0 };
/* Behind the confirm both sides send a PDU that is looked at for the facts only, whatever it holds.
 */
static const uint8_t mcs_pdu[] = { 3, 0, 0, 9, 2, 0xf0, 0x80, 'h', 'i' };

static SSL_CTX *server_context;
static char *certificate_file; /* of the server, for those who trust it */
static bool remote;            /* the server seems to be elsewhere */

/* ---- the module ---- */

static const char *other_module; /* instead of the one that was built; NULL: that one */

void *__real_dlopen(const char *file, int flags);
void *__wrap_dlopen(const char *file, int flags);

void *
__wrap_dlopen(const char *file, int flags)
{
    return __real_dlopen(other_module != NULL ? other_module : file, flags);
}

/* ---- a server elsewhere ---- */

int __real_getpeername(int fd, struct sockaddr *address, socklen_t *size);
int __wrap_getpeername(int fd, struct sockaddr *address, socklen_t *size);

int
__wrap_getpeername(int fd, struct sockaddr *address, socklen_t *size)
{
    int result = __real_getpeername(fd, address, size);
    struct sockaddr_in *ipv4 = (struct sockaddr_in *)(void *)address;

    if (result == 0 && remote && address->sa_family == AF_INET)
        ipv4->sin_addr.s_addr = htonl(0xc0000201); /* 192.0.2.1, RFC 5737 */
    return result;
}

/* ---- the server ---- */

static void
add_extension(X509 *certificate, int kind, const char *value)
{
    X509V3_CTX context;
    X509_EXTENSION *extension;

    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
    g_assert_nonnull(extension);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

/* For SERVER_NAME and two addresses, signed by itself, and written to certificate_file. */
static X509 *
make_certificate(EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    X509_NAME *name = X509_get_subject_name(certificate);
    BIO *file;

    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 24 * 3600);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)SERVER_NAME, -1, -1,
                               0);
    X509_set_issuer_name(certificate, name);
    X509_set_pubkey(certificate, key);
    add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(certificate, NID_subject_alt_name,
                  "DNS:" SERVER_NAME ",IP:192.0.2.1,IP:127.0.0.1");
    g_assert_cmpint(X509_sign(certificate, key, EVP_sha256()), >, 0);
    file = BIO_new_file(certificate_file, "w");
    g_assert_nonnull(file);
    PEM_write_bio_X509(file, certificate);
    BIO_free(file);
    return certificate;
}

static void
prepare_server(const char *directory)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate;

    certificate_file = g_build_filename(directory, "trusted.pem", NULL);
    certificate = make_certificate(key);
    server_context = SSL_CTX_new(TLS_server_method());
    g_assert_cmpint(SSL_CTX_use_certificate(server_context, certificate), ==, 1);
    g_assert_cmpint(SSL_CTX_use_PrivateKey(server_context, key), ==, 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

/* With everything that follows blocking. */
static void
make_server_block(const struct fixture *fixture)
{
    const struct timeval patience = { NAIVE_PATIENCE / 1000, 0 };

    fcntl(fixture->server, F_SETFL, fcntl(fixture->server, F_GETFL) & ~O_NONBLOCK);
    setsockopt(fixture->server, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fixture->server, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

static SSL *
server_shakes_hands(const struct fixture *fixture)
{
    SSL *ssl = SSL_new(server_context);

    make_server_block(fixture);
    SSL_set_fd(ssl, fixture->server);
    if (SSL_accept(ssl) != 1)
        g_error("the handshake failed: %s", ERR_reason_error_string(ERR_get_error()));
    return ssl;
}

static void
tls_sends(SSL *ssl, const void *bytes, size_t count)
{
    g_assert_cmpint(SSL_write(ssl, bytes, (int)count), ==, (int)count);
}

static void
tls_expects(SSL *ssl, const void *expected, size_t count)
{
    g_autofree uint8_t *buffer = g_malloc(count);
    size_t got = 0;

    while (got < count) {
        int n = SSL_read(ssl, buffer + got, (int)(count - got));

        g_assert_cmpint(n, >, 0);
        got += (size_t)n;
    }
    naive_assert_same(buffer, expected, count);
}

/* The client has ended its stream, in the way of TLS. */
static void
tls_expects_end(SSL *ssl)
{
    uint8_t byte;
    int n = SSL_read(ssl, &byte, 1);

    g_assert_cmpint(SSL_get_error(ssl, n), ==, SSL_ERROR_ZERO_RETURN);
}

static void
server_leaves(struct fixture *fixture, SSL *ssl)
{
    SSL_shutdown(ssl);
    SSL_free(ssl);
    server_closes(fixture);
}

/* ---- sessions ---- */

/* Up to the confirm, for a server that is asked for TLS at once. */
static void
connect_with_tls(struct fixture *fixture)
{
    fixture->settings.server_security = HVS_SECURITY_SETTING_TLS;
    start(fixture);
    host_sends(fixture, request, sizeof request);
    server_accepts(fixture);
    server_expects(fixture, tls_request, sizeof tls_request);
}

/* The server, asked for plain RDP, demands TLS: it is asked again on another connection. */
static void
be_asked_again(struct fixture *fixture)
{
    connect_both(fixture);
    server_sends(fixture, ssl_required, sizeof ssl_required);
    server_expects_end(fixture);
    server_closes(fixture);
    server_accepts(fixture);
    server_expects(fixture, tls_request, sizeof tls_request);
}

/* The client is told of plain RDP, and the two MCS PDUs are exchanged. */
static void
become_active_in_tls(struct fixture *fixture, SSL *ssl)
{
    host_expects(fixture, plain_confirm, sizeof plain_confirm);
    host_sends(fixture, mcs_pdu, sizeof mcs_pdu);
    tls_expects(ssl, mcs_pdu, sizeof mcs_pdu);
    tls_sends(ssl, mcs_pdu, sizeof mcs_pdu);
    host_expects(fixture, mcs_pdu, sizeof mcs_pdu);
    assert_state(fixture, HVS_SESSION_ACTIVE);
    g_assert_cmpuint(snapshot(fixture).negotiation.selected_protocol, ==, HVS_PROTOCOL_SSL);
}

static SSL *
start_session(struct fixture *fixture)
{
    SSL *ssl;

    connect_with_tls(fixture);
    server_sends(fixture, tls_confirm, sizeof tls_confirm);
    ssl = server_shakes_hands(fixture);
    become_active_in_tls(fixture, ssl);
    return ssl;
}

static void
test_session(struct fixture *fixture, gconstpointer data)
{
    SSL *ssl = start_session(fixture);

    (void)data;
    assert_stays_asleep(fixture, 200);
    for (unsigned i = 0; i < 5; i++) {
        host_sends(fixture, "key", 3);
        tls_expects(ssl, "key", 3);
        tls_sends(ssl, "picture", 7);
        host_expects(fixture, "picture", 7);
    }
    await_asleep(fixture);
    g_assert_cmpuint(snapshot(fixture).counters.bytes_to_server, ==,
                     sizeof request + sizeof mcs_pdu + 15);
    g_assert_cmpuint(snapshot(fixture).counters.bytes_to_host, ==,
                     sizeof confirm + sizeof mcs_pdu + 35);
    rescind_and_await_end(fixture);
    tls_expects_end(ssl);
    SSL_free(ssl);
}

/* The client notices nothing of the first attempt. */
static void
test_server_demands_tls(struct fixture *fixture, gconstpointer data)
{
    SSL *ssl;

    (void)data;
    g_assert_cmpuint(fixture->settings.server_security, ==, HVS_SECURITY_SETTING_AUTO);
    be_asked_again(fixture);
    server_sends(fixture, tls_confirm, sizeof tls_confirm);
    ssl = server_shakes_hands(fixture);
    become_active_in_tls(fixture, ssl);
    server_leaves(fixture, ssl);
    host_expects_end(fixture);
    host_ends(fixture);
    await_end(fixture, HVS_END_SERVER_CLOSED);
    g_assert_cmpuint(fixture->session.negotiation.failure_code, ==, 0);
}

/* 8 MB each way in pieces of all sizes, the server sends back what it gets. */
static gpointer
send_back(gpointer ssl)
{
    uint8_t bytes[20000];
    int n;

    while ((n = SSL_read(ssl, bytes, sizeof bytes)) > 0)
        g_assert_cmpint(SSL_write(ssl, bytes, n), ==, n);
    g_assert_cmpint(SSL_get_error(ssl, n), ==, SSL_ERROR_ZERO_RETURN);
    return NULL;
}

static void
test_bulk(struct fixture *fixture, gconstpointer data)
{
    SSL *ssl = start_session(fixture);
    GThread *server = g_thread_new("server", send_back, ssl);
    uint8_t bytes[16000];

    (void)data;
    for (unsigned round = 0; round < 1000; round++) {
        size_t size = round % 40 == 0 ? 1 + round % 7 : 1 + (round * 7919) % sizeof bytes;

        fill(bytes, size, round);
        host_sends(fixture, bytes, size);
        host_expects(fixture, bytes, size);
    }
    host_ends(fixture);
    g_thread_join(server);
    server_leaves(fixture, ssl);
    host_expects_end(fixture);
    await_end(fixture, HVS_END_HOST_CLOSED);
}

#define FLOOD (12u << 20)

/* What was sent, as SHA-256. */
static gpointer
send_flood(gpointer ssl)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    uint8_t bytes[16384];

    for (size_t sent = 0; sent < FLOOD; sent += sizeof bytes) {
        for (size_t i = 0; i < sizeof bytes; i += 4)
            memcpy(bytes + i, &(guint32){ g_random_int() }, 4);
        g_checksum_update(sum, bytes, sizeof bytes);
        g_assert_cmpint(SSL_write(ssl, bytes, sizeof bytes), ==, sizeof bytes);
    }
    return g_strdup(g_checksum_get_string(sum));
}

/* A host that does not read stops the server; nothing turns meanwhile, and nothing is lost. */
static void
test_host_stalled(struct fixture *fixture, gconstpointer data)
{
    SSL *ssl = start_session(fixture);
    GThread *server = g_thread_new("server", send_flood, ssl);
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    g_autofree char *sent = NULL;
    uint8_t packet[NAIVE_PACKET_MAX];

    (void)data;
    while (snapshot(fixture).counters.ring_full == 0)
        g_usleep(1000);
    assert_stays_asleep(fixture, 200);
    for (size_t got = 0; got < FLOOD;) {
        int length = host_receives(fixture, packet);

        g_assert_cmpint(length, >, 0);
        g_checksum_update(sum, packet, length);
        got += (size_t)length;
    }
    sent = g_thread_join(server);
    g_assert_cmpstr(g_checksum_get_string(sum), ==, sent);
    /* Several records that come at once are all delivered. */
    fill(packet, 200, 0);
    for (unsigned i = 0; i < 200; i += 4)
        tls_sends(ssl, packet + i, 4);
    host_expects(fixture, packet, 200);
    rescind_and_await_end(fixture);
    SSL_free(ssl);
}

static void
test_server_stalled(struct fixture *fixture, gconstpointer data)
{
    SSL *ssl = start_session(fixture);
    uint8_t bytes[65536];
    size_t sent, got = 0;

    (void)data;
    sent = host_floods(fixture);
    assert_stays_asleep(fixture, 200);
    g_assert_cmpuint(snapshot(fixture).counters.socket_full, >=, 1);
    /* The other way is open. */
    tls_sends(ssl, "picture", 7);
    host_expects(fixture, "picture", 7);
    if (!fixture->over_socket)
        fixture->host.to_guest.words[PENDING_SEND_SZ] = RING_DATA - 8192;
    while (got < sent) {
        int n = SSL_read(ssl, bytes, sizeof bytes);

        g_assert_cmpint(n, >, 0);
        assert_pattern(bytes, (size_t)n, got);
        got += (size_t)n;
    }
    await_asleep(fixture);
    if (!fixture->over_socket)
        fixture->host.to_guest.words[PENDING_SEND_SZ] = 0;
    host_sends(fixture, "more", 4);
    tls_expects(ssl, "more", 4);
    rescind_and_await_end(fixture);
    SSL_free(ssl);
}

static void
test_host_half_closes(struct fixture *fixture, gconstpointer data)
{
    SSL *ssl = start_session(fixture);
    uint8_t bytes[8000];

    (void)data;
    fill(bytes, sizeof bytes, 0);
    host_sends(fixture, "bye", 3);
    host_ends(fixture);
    tls_expects(ssl, "bye", 3);
    tls_expects_end(ssl);
    for (unsigned i = 0; i < 20; i++) {
        tls_sends(ssl, bytes, sizeof bytes);
        host_expects(fixture, bytes, sizeof bytes);
    }
    server_leaves(fixture, ssl);
    host_expects_end(fixture);
    await_end(fixture, HVS_END_HOST_CLOSED);
}

/* With the end that TLS has, the connection itself stays open. */
static void
test_server_half_closes(struct fixture *fixture, gconstpointer data)
{
    SSL *ssl = start_session(fixture);
    uint8_t bytes[8000];

    (void)data;
    fill(bytes, sizeof bytes, 0);
    tls_sends(ssl, "bye", 3);
    SSL_shutdown(ssl);
    host_expects(fixture, "bye", 3);
    host_expects_end(fixture);
    for (unsigned i = 0; i < 20; i++) {
        host_sends(fixture, bytes, sizeof bytes);
        tls_expects(ssl, bytes, sizeof bytes);
    }
    host_ends(fixture);
    tls_expects_end(ssl);
    await_end(fixture, HVS_END_SERVER_CLOSED);
    SSL_free(ssl);
}

/* Many servers just close. */
static void
test_server_closes_without_notice(struct fixture *fixture, gconstpointer data)
{
    SSL *ssl = start_session(fixture);

    (void)data;
    tls_sends(ssl, "bye", 3);
    SSL_free(ssl);
    server_closes(fixture);
    host_expects(fixture, "bye", 3);
    host_expects_end(fixture);
    host_ends(fixture);
    await_end(fixture, HVS_END_SERVER_CLOSED);
}

static void
test_server_resets(struct fixture *fixture, gconstpointer data)
{
    SSL *ssl = start_session(fixture);

    (void)data;
    SSL_free(ssl);
    server_resets(fixture);
    host_expects_end(fixture);
    await_end(fixture, HVS_END_SERVER_ERROR);
    assert_detail(fixture, "reset");
}

/* Bytes that are no TLS, in the middle of it. */
static void
test_server_breaks_tls(struct fixture *fixture, gconstpointer data)
{
    SSL *ssl = start_session(fixture);

    (void)data;
    server_sends(fixture, plain_confirm, sizeof plain_confirm);
    host_expects_end(fixture);
    await_end(fixture, HVS_END_SERVER_ERROR);
    assert_detail(fixture, "reading from");
    assert_detail(fixture, "version");
    SSL_free(ssl);
}

/* ---- handshakes that fail: the client is told nothing ---- */

static void
expect_failure(struct fixture *fixture, enum hvs_end_reason reason, const char *about)
{
    await_end(fixture, reason);
    assert_detail(fixture, about);
    assert_detail(fixture, "tcp:127.0.0.1");
    g_assert_true(host_was_told_nothing(fixture));
}

static void
test_server_closes_in_handshake(struct fixture *fixture, gconstpointer data)
{
    uint8_t bytes[100];

    (void)data;
    connect_with_tls(fixture);
    server_sends(fixture, tls_confirm, sizeof tls_confirm);
    make_server_block(fixture);
    g_assert_cmpint(recv(fixture->server, bytes, sizeof bytes, 0), >, 5);
    shutdown(fixture->server, SHUT_RDWR);
    expect_failure(fixture, HVS_END_SERVER_TLS, "closed the connection");
}

static void
test_server_talks_nonsense(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    connect_with_tls(fixture);
    server_sends(fixture, tls_confirm, sizeof tls_confirm);
    server_sends(fixture, "HTTP/1.1 400 Bad Request\r\n", 26);
    expect_failure(fixture, HVS_END_SERVER_TLS, "wrong version number");
}

static void
test_server_chooses_plain(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    connect_with_tls(fixture);
    server_sends(fixture, plain_confirm, sizeof plain_confirm);
    expect_failure(fixture, HVS_END_SERVER_TLS, "ServerSecurity");
}

/* Its package was removed from under the service, or is half-installed. */
static void
test_module_missing(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    other_module = "/nonexistent/hvsession-tls.so";
    connect_with_tls(fixture);
    server_sends(fixture, tls_confirm, sizeof tls_confirm);
    expect_failure(fixture, HVS_END_SERVER_TLS, "/nonexistent/hvsession-tls.so");
    other_module = NULL;
}

static void
test_module_is_another(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    other_module = "libc.so.6";
    connect_with_tls(fixture);
    server_sends(fixture, tls_confirm, sizeof tls_confirm);
    expect_failure(fixture, HVS_END_SERVER_TLS, "hvs_tls_openssl");
    other_module = NULL;
}

/* It waits for the server and for nothing else, and the host can leave. */
static void
test_server_silent_in_handshake(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    connect_with_tls(fixture);
    server_sends(fixture, tls_confirm, sizeof tls_confirm);
    assert_stays_asleep(fixture, 200);
    host_sends(fixture, mcs_pdu, sizeof mcs_pdu);
    assert_stays_asleep(fixture, 50);
    rescind_and_await_end(fixture);
}

static void
test_stop_in_handshake(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    connect_with_tls(fixture);
    server_sends(fixture, tls_confirm, sizeof tls_confirm);
    await_asleep(fixture);
    hvs_relay_stop(fixture->relay, HVS_END_DISCONNECTED);
    await_end(fixture, HVS_END_DISCONNECTED);
}

/* ---- servers that refuse ---- */

static void
expect_refusal(struct fixture *fixture, const uint8_t *refusal, size_t length, unsigned code)
{
    server_sends(fixture, refusal, length);
    host_expects(fixture, refusal, length);
    server_closes(fixture);
    host_expects_end(fixture);
    host_ends(fixture);
    await_end(fixture, HVS_END_SERVER_REFUSED);
    g_assert_cmpuint(fixture->session.negotiation.failure_code, ==, code);
    assert_detail(fixture, hvs_negotiation_failure_to_string(code));
}

static void
test_plain_by_setting(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    fixture->settings.server_security = HVS_SECURITY_SETTING_RDP;
    connect_both(fixture);
    expect_refusal(fixture, ssl_required, sizeof ssl_required, 1);
}

/* HYBRID_REQUIRED_BY_SERVER, at once and after it was asked for TLS. */
static void
test_server_demands_nla(struct fixture *fixture, gconstpointer data)
{
    if (data == NULL)
        connect_both(fixture);
    else
        be_asked_again(fixture);
    expect_refusal(fixture, failure, sizeof failure, 5);
}

/* It is asked once more, and not for ever. */
static void
test_server_demands_tls_twice(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    be_asked_again(fixture);
    expect_refusal(fixture, ssl_required, sizeof ssl_required, 1);
}

static void
test_server_gone_when_asked_again(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    fixture->settings.server_timeout = 100;
    connect_both(fixture);
    shutdown(fixture->listener, SHUT_RDWR);
    server_sends(fixture, ssl_required, sizeof ssl_required);
    await_end(fixture, HVS_END_SERVER_UNREACHABLE);
    g_assert_true(host_was_told_nothing(fixture));
}

/* ---- certificates ---- */

/* A handshake with the server by that name; returns what comes of it, and why. */
static enum hvs_tls_result
shake_hands_as(const char *host, char **complaint)
{
    struct hvs_server_address server = { .kind = HVS_SERVER_TCP, .port = 3389 };
    struct fixture fixture = { 0 };
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    enum hvs_tls_result result;
    SSL *ssl = SSL_new(server_context);
    hvs_tls *tls;
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    listen_on_loopback(&fixture);
    address.sin_port = htons(fixture.port);
    g_assert_cmpint(connect(client, (struct sockaddr *)&address, sizeof address), ==, 0);
    server_accepts(&fixture);
    fcntl(client, F_SETFL, O_NONBLOCK);
    g_strlcpy(server.host, host, sizeof server.host);
    tls = hvs_tls_new(client, &server, NULL);
    g_assert_nonnull(tls);
    SSL_set_fd(ssl, fixture.server);
    while ((result = hvs_tls_handshake(tls)) == HVS_TLS_AGAIN) {
        SSL_accept(ssl);
        wait_for(client, hvs_tls_events(tls, true, true));
    }
    *complaint = g_strdup(hvs_tls_complaint(tls));
    hvs_tls_free(tls);
    SSL_free(ssl);
    close(client);
    close(fixture.server);
    close(fixture.listener);
    return result;
}

static void
assert_trusted(const char *host)
{
    g_autofree char *complaint = NULL;

    g_assert_cmpint(shake_hands_as(host, &complaint), ==, HVS_TLS_OK);
}

static void
assert_untrusted(const char *host, const char *why)
{
    g_autofree char *complaint = NULL;

    g_assert_cmpint(shake_hands_as(host, &complaint), ==, HVS_TLS_UNTRUSTED);
    g_assert_cmpstr(complaint, ==, why);
}

static void
test_certificates(void)
{
    assert_trusted("anything"); /* on this machine */
    remote = true;
    g_setenv("SSL_CERT_FILE", "/dev/null", TRUE);
    g_setenv("SSL_CERT_DIR", "/nonexistent", TRUE);
    assert_untrusted(SERVER_NAME, "self-signed certificate");
    g_setenv("SSL_CERT_FILE", certificate_file, TRUE);
    assert_trusted(SERVER_NAME);
    assert_untrusted("other.example", "hostname mismatch");
    assert_trusted("192.0.2.1");
    assert_untrusted("192.0.2.2", "IP address mismatch");
    assert_untrusted("2001:db8::1", "IP address mismatch");
    remote = false;
    g_unsetenv("SSL_CERT_FILE");
    g_unsetenv("SSL_CERT_DIR");
}

static void
test_local(void)
{
    int ends[2], fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), ==, 0);
    g_assert_true(hvs_tls_is_local(ends[0]));
    g_assert_false(hvs_tls_is_local(fd)); /* it is not connected to anybody */
    close(ends[0]);
    close(ends[1]);
    close(fd);
}

static void
test_trusted(struct fixture *fixture, gconstpointer data)
{
    SSL *ssl;

    (void)data;
    remote = true;
    g_setenv("SSL_CERT_FILE", certificate_file, TRUE);
    ssl = start_session(fixture);
    host_sends(fixture, "key", 3);
    tls_expects(ssl, "key", 3);
    rescind_and_await_end(fixture);
    SSL_free(ssl);
    remote = false;
    g_unsetenv("SSL_CERT_FILE");
}

/* The session's end says what is wrong, its sentence what to do. */
static void
test_untrusted(struct fixture *fixture, gconstpointer data)
{
    SSL *ssl = SSL_new(server_context);

    (void)data;
    remote = true;
    g_setenv("SSL_CERT_FILE", "/dev/null", TRUE);
    connect_with_tls(fixture);
    server_sends(fixture, tls_confirm, sizeof tls_confirm);
    make_server_block(fixture);
    SSL_set_fd(ssl, fixture->server);
    g_assert_cmpint(SSL_accept(ssl), !=, 1);
    SSL_free(ssl);
    expect_failure(fixture, HVS_END_SERVER_UNTRUSTED, "self-signed certificate");
    g_assert_nonnull(
        strstr(hvs_end_reason_to_sentence(HVS_END_SERVER_UNTRUSTED), "update-ca-certificates"));
    remote = false;
    g_unsetenv("SSL_CERT_FILE");
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*test)(struct fixture *, gconstpointer);
        int data;
        bool either; /* over a socket as well */
    } tests[] = {
        { "session", test_session, 0, true },
        { "demanded", test_server_demands_tls, 0, true },
        { "bulk", test_bulk, 0, true },
        { "back-pressure/host-stalled", test_host_stalled, 0, true },
        { "back-pressure/server-stalled", test_server_stalled, 0, true },
        { "close/host-half", test_host_half_closes, 0, true },
        { "close/server-half", test_server_half_closes, 0, true },
        { "close/server-without-notice", test_server_closes_without_notice, 0, false },
        { "close/server-reset", test_server_resets, 0, false },
        { "close/server-breaks-tls", test_server_breaks_tls, 0, false },
        { "handshake/server-closes", test_server_closes_in_handshake, 0, false },
        { "handshake/nonsense", test_server_talks_nonsense, 0, false },
        { "handshake/plain-instead", test_server_chooses_plain, 0, false },
        { "handshake/module-missing", test_module_missing, 0, false },
        { "handshake/module-is-another", test_module_is_another, 0, false },
        { "handshake/silent", test_server_silent_in_handshake, 0, true },
        { "handshake/stop", test_stop_in_handshake, 0, false },
        { "handshake/trusted", test_trusted, 0, false },
        { "handshake/untrusted", test_untrusted, 0, false },
        { "refused/plain-by-setting", test_plain_by_setting, 0, false },
        { "refused/nla", test_server_demands_nla, 0, false },
        { "refused/nla-behind-tls", test_server_demands_nla, 1, false },
        { "refused/tls-twice", test_server_demands_tls_twice, 0, false },
        { "refused/gone-when-asked-again", test_server_gone_when_asked_again, 0, false },
    };
    g_autofree char *directory = g_dir_make_tmp("relay-tls-XXXXXX", NULL);
    int status;

    signal(SIGPIPE, SIG_IGN);
    g_test_init(&argc, &argv, NULL);
    g_log_set_writer_func(drop_log, NULL, NULL);
    prepare_server(directory);
    warm_up();
    g_test_add_func("/relay-tls/certificates", test_certificates);
    g_test_add_func("/relay-tls/local", test_local);
    for (unsigned i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *channel = g_strconcat("/relay-tls/vmbus/", tests[i].path, NULL);
        g_autofree char *socket = g_strconcat("/relay-tls/hvsocket/", tests[i].path, NULL);

        g_test_add(channel, struct fixture, GINT_TO_POINTER(tests[i].data), set_up, tests[i].test,
                   tear_down);
        if (tests[i].either)
            g_test_add(socket, struct fixture, GINT_TO_POINTER(tests[i].data), set_up_socket,
                       tests[i].test, tear_down);
    }
    status = g_test_run();
    SSL_CTX_free(server_context);
    g_unlink(certificate_file);
    g_rmdir(directory);
    g_free(certificate_file);
    return status;
}

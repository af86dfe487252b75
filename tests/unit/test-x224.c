#include "common/mcs.h"
#include "common/x224.h"
#include "bytes.h"

/* What comes behind the PDU under test and must not be touched. */
#define SURPLUS        "\xde\xad\xbe\xef\x03"
#define SURPLUS_LENGTH 5u

/* The PDUs of a negotiation in their order; even ones come from the client. */
enum { REQUEST, CONFIRM, INITIAL, RESPONSE, PDUS };

typedef GByteArray Bytes;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Bytes, g_byte_array_unref)

/* ---- building PDUs ------------------------------------------------------------------------- */

static void
add(GByteArray *to, const GByteArray *bytes)
{
    g_byte_array_append(to, bytes->data, bytes->len);
}

static void
add_text(GByteArray *to, const char *source)
{
    g_autoptr(Bytes) bytes = bytes_from(source);

    add(to, bytes);
}

static void
add_byte(GByteArray *to, size_t value)
{
    guint8 byte = (guint8)value;

    g_byte_array_append(to, &byte, 1);
}

static void
add_u32(GByteArray *to, uint32_t value)
{
    for (unsigned shift = 0; shift < 32; shift += 8) {
        add_byte(to, value >> shift);
    }
}

static void
put_u32(GByteArray *to, size_t offset, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) {
        to->data[offset + i] = (guint8)(value >> 8 * i);
    }
}

static void
put_tpkt_length(GByteArray *pdu)
{
    pdu->data[2] = (guint8)(pdu->len >> 8);
    pdu->data[3] = (guint8)pdu->len;
}

/* TPKT and X.224 header of a Connection Request or Confirm, and what is behind it. */
static GByteArray *
connection_pdu(const char *code_and_references, const char *variable)
{
    GByteArray *pdu = bytes_from("03 00 00 00 00");

    add_text(pdu, code_and_references);
    add_text(pdu, variable);
    put_tpkt_length(pdu);
    pdu->data[4] = (guint8)(pdu->len - 5);
    return pdu;
}

static GByteArray *
connection_request(const char *variable)
{
    return connection_pdu("e0 0000 0000 00", variable);
}

static GByteArray *
connection_confirm(const char *variable)
{
    return connection_pdu("d0 0000 1234 00", variable);
}

/* How many octets a BER length takes. */
enum ber_form { BER_SHORTEST, BER_LONG_1, BER_LONG_2, BER_LONG_3, BER_LONG_4, BER_LONG_5 };

static void
add_ber(GByteArray *to, const char *tag, const GByteArray *contents, enum ber_form form)
{
    add_text(to, tag);
    if (form == BER_SHORTEST && contents->len < 0x80) {
        add_byte(to, contents->len);
    } else {
        unsigned octets = form != BER_SHORTEST ? (unsigned)form : contents->len < 0x100 ? 1 : 2;

        g_assert_true(octets > 1 || contents->len < 0x100);
        add_byte(to, 0x80 | octets);
        while (octets-- > 0) {
            add_byte(to, octets < 4 ? contents->len >> 8 * octets : 0);
        }
    }
    add(to, contents);
}

static void
add_ber_text(GByteArray *to, const char *tag, const char *contents, enum ber_form form)
{
    g_autoptr(Bytes) bytes = bytes_from(contents);

    add_ber(to, tag, bytes, form);
}

static void
add_per_length(GByteArray *to, size_t length)
{
    if (length >= 0x80) {
        add_byte(to, 0x80 | length >> 8);
    }
    add_byte(to, length);
}

static GByteArray *
data_pdu(const char *tag, const GByteArray *contents, enum ber_form form)
{
    GByteArray *pdu = bytes_from("03 00 00 00 02 f0 80");

    add_ber(pdu, tag, contents, form);
    put_tpkt_length(pdu);
    return pdu;
}

#define CREATE_REQUEST  "00 08 00 10 00 01 c0 00 'Duca'"
#define CREATE_RESPONSE "14 76 0a 01 01 00 01 c0 00 'McDn'"

/* MCS Connect Initial around any GCC Conference Create Request. */
static GByteArray *
connect_initial_around(const GByteArray *gcc, enum ber_form form)
{
    g_autoptr(Bytes) contents = g_byte_array_new();

    add_ber_text(contents, "04", "01", form);
    add_ber_text(contents, "04", "01", form);
    add_ber_text(contents, "01", "ff", form);
    add_ber_text(contents, "30", "020122 020102 020100 020101 020100 020101 0202ffff 020102", form);
    add_ber_text(contents, "30", "020101 020101 020101 020101 020100 020101 02020420 020102", form);
    add_ber_text(contents, "30", "0202ffff 0202fc17 0202ffff 020101 020100 020101 0202ffff 020102",
                 form);
    add_ber(contents, "04", gcc, form);
    return data_pdu("7f65", contents, form);
}

static GByteArray *
connect_initial(const GByteArray *blocks, enum ber_form form)
{
    g_autoptr(Bytes) gcc = bytes_from("00 05 00147c0001");

    add_per_length(gcc, blocks->len + 14);
    add_text(gcc, CREATE_REQUEST);
    add_per_length(gcc, blocks->len);
    add(gcc, blocks);
    return connect_initial_around(gcc, form);
}

/* MCS Connect Response around any GCC Conference Create Response. */
static GByteArray *
connect_response_around(const GByteArray *gcc, enum ber_form form)
{
    g_autoptr(Bytes) contents = g_byte_array_new();

    add_ber_text(contents, "0a", "00", form);
    add_ber_text(contents, "02", "00", form);
    add_ber_text(contents, "30", "020122 020103 020100 020101 020100 020101 020300fff8 020102",
                 form);
    add_ber(contents, "04", gcc, form);
    return data_pdu("7f66", contents, form);
}

/* connect_pdu_length: as Windows up to 7 writes it, "2a", whatever follows; NULL: the right one. */
static GByteArray *
connect_response(const GByteArray *blocks, enum ber_form form, const char *connect_pdu_length)
{
    g_autoptr(Bytes) gcc = bytes_from("00 05 00147c0001");

    if (connect_pdu_length != NULL) {
        add_text(gcc, connect_pdu_length);
    } else {
        add_per_length(gcc, blocks->len + (blocks->len < 0x80 ? 14 : 15));
    }
    add_text(gcc, CREATE_RESPONSE);
    add_per_length(gcc, blocks->len);
    add(gcc, blocks);
    return connect_response_around(gcc, form);
}

/* A user data block of that length, its contents counting up, so that a misplaced write shows. */
static void
add_block(GByteArray *to, const char *type, size_t length)
{
    add_text(to, type);
    add_byte(to, length);
    add_byte(to, length >> 8);
    for (size_t i = 4; i < length; i++) {
        add_byte(to, i * 7);
    }
}

#define CS_CORE_LENGTH   234u
#define CS_CORE_SELECTED 212u

static void
add_client_core(GByteArray *to, size_t length, uint32_t selected)
{
    size_t start = to->len;

    add_block(to, "01c0", length);
    if (length >= CS_CORE_SELECTED + 4) {
        put_u32(to, start + CS_CORE_SELECTED, selected);
    }
}

/* The blocks of a client with four virtual channels. */
static GByteArray *
client_blocks(size_t core_length, uint32_t selected)
{
    GByteArray *blocks = g_byte_array_new();

    add_client_core(blocks, core_length, selected);
    add_block(blocks, "04c0", 12);
    add_block(blocks, "02c0", 12);
    add_block(blocks, "03c0", 8 + 4 * 12);
    add_block(blocks, "06c0", 8);
    add_block(blocks, "0ac0", 8);
    return blocks;
}

static GByteArray *
ordinary_initial(uint32_t selected)
{
    g_autoptr(Bytes) blocks = client_blocks(CS_CORE_LENGTH, selected);

    return connect_initial(blocks, BER_SHORTEST);
}

static void
add_security(GByteArray *to, uint32_t method, uint32_t level)
{
    add_text(to, method == 0 ? "020c 0c00" : "020c 3400");
    add_u32(to, method);
    add_u32(to, level);
    if (method != 0) {
        add_u32(to, 32);
        add_u32(to, 0);
        add_text(to, "'0123456789abcdef0123456789abcdef'");
    }
}

/* SC_CORE of 8, 12 or 16 bytes: with clientRequestedProtocols from 12 on. */
static void
add_server_core(GByteArray *to, size_t length, uint32_t requested)
{
    add_text(to, "010c");
    add_byte(to, length);
    add_byte(to, 0);
    add_text(to, "04000800");
    if (length >= 12) {
        add_u32(to, requested);
    }
    if (length >= 16) {
        add_text(to, "01000000");
    }
}

static GByteArray *
server_blocks(size_t core_length, uint32_t requested, uint32_t method, uint32_t level)
{
    GByteArray *blocks = g_byte_array_new();

    add_server_core(blocks, core_length, requested);
    add_text(blocks, "030c 1000 eb03 0400 ec03 ed03 ee03 ef03");
    add_security(blocks, method, level);
    add_text(blocks, "040c 0600 f003");
    add_text(blocks, "080c 0800 00000000");
    return blocks;
}

static GByteArray *
ordinary_response(uint32_t requested, uint32_t method, uint32_t level)
{
    g_autoptr(Bytes) blocks = server_blocks(16, requested, method, level);

    return connect_response(blocks, BER_SHORTEST, NULL);
}

/* ---- playing the relay --------------------------------------------------------------------- */

struct relay {
    struct hvs_negotiation negotiation;
    enum hvs_negotiation_result last[HVS_DIRECTIONS];
    GByteArray *output[HVS_DIRECTIONS];
};

static struct relay *
relay_new(enum hvs_reply_mode reply, uint32_t request_as)
{
    struct relay *relay = g_new0(struct relay, 1);

    hvs_negotiation_init(&relay->negotiation, reply, request_as);
    for (unsigned i = 0; i < HVS_DIRECTIONS; i++) {
        /* Whatever is read beyond what was fed is not 0, and ends a cookie that has no end. */
        memset(relay->negotiation.stream[i].pdu, '\n', sizeof relay->negotiation.stream[i].pdu);
        relay->output[i] = g_byte_array_new();
    }
    return relay;
}

static void
relay_free(struct relay *relay)
{
    for (unsigned i = 0; i < HVS_DIRECTIONS; i++) {
        g_byte_array_unref(relay->output[i]);
    }
    g_free(relay);
}
typedef struct relay Relay;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Relay, relay_free)

/* Takes what is ready, in pieces of odd size. */
static void
take_output(struct relay *relay, enum hvs_direction from)
{
    for (;;) {
        size_t length, piece;
        const uint8_t *bytes = hvs_negotiation_output(&relay->negotiation, from, &length);

        g_assert_true((bytes == NULL) == (length == 0));
        if (length == 0) {
            return;
        }
        g_assert_false(hvs_negotiation_is_transparent(&relay->negotiation, from));
        piece = MIN(length, 7);
        g_byte_array_append(relay->output[from], bytes, (guint)piece);
        hvs_negotiation_take_output(&relay->negotiation, from, piece);
    }
}

/* Offers the bytes until they are used up or the negotiation takes no more. Returns how many were
 * used. */
static size_t
offer(struct relay *relay, enum hvs_direction from, const uint8_t *bytes, size_t length)
{
    /* On the heap and exactly that long, so that reading behind it is seen. */
    g_autofree uint8_t *copy = g_memdup2(bytes, length);
    size_t used = 0;

    for (;;) {
        size_t taken = 12345;

        relay->last[from] =
            hvs_negotiation_feed(&relay->negotiation, from, copy == NULL ? NULL : copy + used,
                                 length - used, &taken);
        g_assert_cmpuint(taken, <=, length - used);
        used += taken;
        switch (relay->last[from]) {
        case HVS_NEGOTIATION_PDU:
            take_output(relay, from);
            break;
        case HVS_NEGOTIATION_TRANSPARENT:
            g_assert_cmpuint(taken, ==, 0);
            g_assert_true(hvs_negotiation_is_transparent(&relay->negotiation, from));
            if (length > used) {
                g_byte_array_append(relay->output[from], copy + used, (guint)(length - used));
            }
            return length;
        case HVS_NEGOTIATION_MORE:
            g_assert_cmpuint(used, ==, length);
            return used;
        case HVS_NEGOTIATION_HOLD:
            g_assert_cmpuint(taken, ==, 0);
            return used;
        case HVS_NEGOTIATION_FAILED:
            return used;
        }
        if (used == length) {
            return used;
        }
    }
}

static size_t
offer_all(struct relay *relay, enum hvs_direction from, const GByteArray *bytes)
{
    return offer(relay, from, bytes->data, bytes->len);
}

/* What one PDU becomes, after the PDUs before it. */
struct scene {
    enum hvs_reply_mode reply;
    uint32_t request_as;
    GByteArray *pdu[PDUS]; /* the last one is under test; a NULL is left out */
    GByteArray *expected;  /* NULL: unchanged */
    enum hvs_negotiation_error error;
};

static unsigned
scene_last(const struct scene *scene)
{
    unsigned last = PDUS;

    while (scene->pdu[--last] == NULL) {
    }
    return last;
}

static void
scene_clear(struct scene *scene)
{
    for (unsigned i = 0; i < PDUS; i++) {
        g_clear_pointer(&scene->pdu[i], g_byte_array_unref);
    }
    g_clear_pointer(&scene->expected, g_byte_array_unref);
}

/* The relay at the point where the PDU under test comes. */
static struct relay *
scene_begin(const struct scene *scene)
{
    struct relay *relay = relay_new(scene->reply, scene->request_as);

    for (unsigned i = 0; i < scene_last(scene); i++) {
        enum hvs_direction from = i % 2 == 0 ? HVS_FROM_CLIENT : HVS_FROM_SERVER;

        if (scene->pdu[i] != NULL) {
            g_assert_cmpuint(offer_all(relay, from, scene->pdu[i]), ==, scene->pdu[i]->len);
            g_assert_cmpint(relay->negotiation.error, ==, HVS_NEGOTIATION_OK);
            g_byte_array_set_size(relay->output[from], 0);
        }
    }
    return relay;
}

static void
check_refusal(const struct scene *scene, struct relay *relay, enum hvs_direction from, size_t used)
{
    const GByteArray *pdu = scene->pdu[scene_last(scene)];
    size_t length, taken;
    const uint8_t *dump = hvs_negotiation_failed_pdu(&relay->negotiation, &length);

    g_assert_cmpint(relay->last[from], ==, HVS_NEGOTIATION_FAILED);
    g_assert_cmpint(relay->negotiation.error, ==, scene->error);
    g_assert_cmpint(relay->negotiation.error_direction, ==, from);
    g_assert_cmpuint(relay->output[from]->len, ==, 0);
    g_assert_cmpuint(used, <=, pdu->len);
    g_assert_cmpuint(length, >=, used);
    assert_bytes(dump, MIN(length, pdu->len), pdu->data, MIN(length, pdu->len));
    for (unsigned i = 0; i < HVS_DIRECTIONS; i++) {
        g_assert_cmpint(hvs_negotiation_feed(&relay->negotiation, (enum hvs_direction)i,
                                             (const uint8_t *)SURPLUS, SURPLUS_LENGTH, &taken),
                        ==, HVS_NEGOTIATION_FAILED);
        g_assert_cmpuint(taken, ==, 0);
        g_assert_false(hvs_negotiation_is_transparent(&relay->negotiation, (enum hvs_direction)i));
    }
}

/* The PDU in pieces: bytes up to each of the cuts, then the rest. Returns how many were used. */
static size_t
check_in_pieces(const struct scene *scene, size_t piece, size_t first)
{
    unsigned last = scene_last(scene);
    enum hvs_direction from = last % 2 == 0 ? HVS_FROM_CLIENT : HVS_FROM_SERVER;
    const GByteArray *pdu = scene->pdu[last];
    const GByteArray *expected = scene->expected != NULL ? scene->expected : pdu;
    g_autoptr(Relay) relay = scene_begin(scene);
    size_t used = 0, end = first;

    while (used < pdu->len) {
        size_t fed = offer(relay, from, pdu->data + used, MIN(end, pdu->len) - used);

        used += fed;
        if (relay->last[from] == HVS_NEGOTIATION_FAILED) {
            break;
        }
        g_assert_cmpuint(used, ==, MIN(end, pdu->len));
        end += piece;
    }
    if (scene->error != HVS_NEGOTIATION_OK) {
        check_refusal(scene, relay, from, used);
    } else {
        g_assert_cmpint(relay->negotiation.error, ==, HVS_NEGOTIATION_OK);
        assert_bytes(relay->output[from]->data, relay->output[from]->len, expected->data,
                     expected->len);
        g_assert_null(hvs_negotiation_failed_pdu(&relay->negotiation, &used));
        used = pdu->len;
    }
    return used;
}

/* One feed with more behind the PDU: that stays with the caller. Returns the relay after it. */
static struct relay *
check_with_surplus(const struct scene *scene)
{
    unsigned last = scene_last(scene);
    enum hvs_direction from = last % 2 == 0 ? HVS_FROM_CLIENT : HVS_FROM_SERVER;
    const GByteArray *pdu = scene->pdu[last];
    struct relay *relay = scene_begin(scene);
    g_autoptr(Bytes) more = g_byte_array_new();
    size_t taken;

    add(more, pdu);
    g_byte_array_append(more, (const guint8 *)SURPLUS, SURPLUS_LENGTH);
    relay->last[from] =
        hvs_negotiation_feed(&relay->negotiation, from, more->data, more->len, &taken);
    if (scene->error != HVS_NEGOTIATION_OK) {
        check_refusal(scene, relay, from, taken);
    } else {
        g_assert_cmpint(relay->last[from], ==, HVS_NEGOTIATION_PDU);
        /* What is passed on because it is no TPKT at all ends sooner. */
        g_assert_cmpuint(taken, <=, pdu->len);
        /* Output has to be taken before more is fed. */
        g_assert_cmpint(hvs_negotiation_feed(&relay->negotiation, from, more->data + taken,
                                             more->len - taken, &taken),
                        ==, HVS_NEGOTIATION_PDU);
        g_assert_cmpuint(taken, ==, 0);
        take_output(relay, from);
    }
    return relay;
}

/* Every way of cutting the PDU in two, one byte at a time, three at a time, whole, with surplus.
 * Returns the relay after it, for what the test asks in particular. */
static struct relay *
check_scene(const struct scene *scene)
{
    size_t length = scene->pdu[scene_last(scene)]->len;
    size_t used = check_in_pieces(scene, length, length);

    g_assert_cmpuint(check_in_pieces(scene, 1, 1), ==, used);
    g_assert_cmpuint(check_in_pieces(scene, 3, 2), ==, used);
    for (size_t cut = 1; cut < length; cut++) {
        g_assert_cmpuint(check_in_pieces(scene, length, cut), ==, used);
    }
    return check_with_surplus(scene);
}

/* ---- Connection Request -------------------------------------------------------------------- */

struct request_case {
    const char *name;
    const char *before, *after; /* the variable part */
    uint32_t request_as;
    bool has_protocols;
    uint32_t protocols;
    uint8_t flags;
    size_t length; /* 0: any */
};

#define ID          "'0123456789abcdef'"
#define ZERO16      "00000000 00000000 00000000 00000000"
#define CORRELATION "06 00 24 00" ID ZERO16
#define NEG_0       "01 00 08 00 00000000"
#define NEG_B       "01 00 08 00 0b000000"
#define COOKIE      "'Cookie: mstshash=eltons' 0d0a"
#define TEXT_30     "'abcdefghijklmnopqrstuvwxyz0123'"

static const struct request_case request_cases[] = {
    { "bare", "", "", 0, false, 0, 0, 11 },
    { "vmconnect", NEG_B, NEG_0, 0, true, 0x0b, 0, 19 },
    { "cookie", COOKIE NEG_B, COOKIE NEG_0, 0, true, 0x0b, 0, 44 },
    { "cookie-alone", COOKIE, COOKIE, 0, false, 0, 0, 36 },
    { "routing-token", "'Cookie: msts=3640205228.15629.0000' 0d0a" NEG_B,
      "'Cookie: msts=3640205228.15629.0000' 0d0a" NEG_0, 0, true, 0x0b, 0, 0 },
    { "other-text", "'tsv://MS Terminal Services Plugin.1.x' 0d0a" NEG_B,
      "'tsv://MS Terminal Services Plugin.1.x' 0d0a" NEG_0, 0, true, 0x0b, 0, 0 },
    { "empty-text", "0d0a" NEG_B, "0d0a" NEG_0, 0, true, 0x0b, 0, 21 },
    { "carriage-return-in-the-text", "'a' 0d 'b' 0a 0d0d0a" NEG_B, "'a' 0d 'b' 0a 0d0d0a" NEG_0, 0,
      true, 0x0b, 0, 0 },
    { "type-byte-in-the-text", "'a' 01000800 0d0a" NEG_B, "'a' 01000800 0d0a" NEG_0, 0, true, 0x0b,
      0, 0 },
    { "correlation", "01 08 08 00 0b000000" CORRELATION, "01 08 08 00 00000000" CORRELATION, 0,
      true, 0x0b, 0x08, 55 },
    { "cookie-and-correlation", COOKIE "01 08 08 00 03000000" CORRELATION,
      COOKIE "01 08 08 00 00000000" CORRELATION, 0, true, 3, 0x08, 0 },
    { "restricted-admin", "01 01 08 00 0b000000", NEG_0, 0, true, 0x0b, 0x01, 19 },
    { "redirected-authentication", "01 02 08 00 0b000000", NEG_0, 0, true, 0x0b, 0x02, 19 },
    { "all-flags", "01 0b 08 00 0b000000" CORRELATION, "01 08 08 00 00000000" CORRELATION, 0, true,
      0x0b, 0x0b, 55 },
    { "unknown-flags-stay", "01 f7 08 00 0b000000", "01 f4 08 00 00000000", 0, true, 0x0b, 0xf7,
      19 },
    { "plain", NEG_0, NEG_0, 0, true, 0, 0, 19 },
    { "unknown-protocols", "01 00 08 00 ff00ff80", NEG_0, 0, true, 0x80ff00ff, 0, 19 },
    { "as-ssl", NEG_B, "01 00 08 00 01000000", HVS_PROTOCOL_SSL, true, 0x0b, 0, 19 },
    { "as-ssl-without-request", COOKIE, COOKIE, HVS_PROTOCOL_SSL, false, 0, 0, 36 },
    { "longest",
      TEXT_30 TEXT_30 TEXT_30 TEXT_30 TEXT_30 TEXT_30 TEXT_30 "'0123456789abcdef0123456789ab'"
                                                              "0d0a" NEG_B,
      TEXT_30 TEXT_30 TEXT_30 TEXT_30 TEXT_30 TEXT_30 TEXT_30 "'0123456789abcdef0123456789ab'"
                                                              "0d0a" NEG_0,
      0, true, 0x0b, 0, 0 },
};

static void
test_request(const void *data)
{
    const struct request_case *test = data;

    for (int reply = HVS_REPLY_PASSTHROUGH; reply <= HVS_REPLY_MIRROR; reply++) {
        struct scene scene = {
            .reply = (enum hvs_reply_mode)reply,
            .request_as = test->request_as,
            .pdu = { connection_request(test->before) },
            .expected = connection_request(test->after),
        };
        g_autoptr(Relay) relay = check_scene(&scene);
        const struct hvs_negotiation_facts *facts = &relay->negotiation.facts;

        g_assert_true(facts->request_seen);
        g_assert_false(facts->confirm_seen);
        g_assert_cmpint(facts->request_has_protocols, ==, test->has_protocols);
        g_assert_cmphex(facts->requested_protocols, ==, test->protocols);
        g_assert_cmphex(facts->request_flags, ==, test->flags);
        g_assert_cmpint(hvs_negotiation_is_transparent(&relay->negotiation, HVS_FROM_CLIENT), ==,
                        !test->has_protocols);
        if (test->length != 0) {
            g_assert_cmpuint(scene.pdu[REQUEST]->len, ==, test->length);
        }
        scene_clear(&scene);
    }
}

/* 259 bytes are the most that a length indicator can count. */
static void
test_request_limit(void)
{
    g_autoptr(GString) text = g_string_new("'");
    struct scene scene = { .reply = HVS_REPLY_MIRROR };

    for (unsigned i = 0; i < 259 - 11 - 2; i++) {
        g_string_append_c(text, 'x');
    }
    g_string_append(text, "' 0d0a");
    scene.pdu[REQUEST] = connection_request(text->str);
    g_assert_cmpuint(scene.pdu[REQUEST]->len, ==, 259);
    relay_free(check_scene(&scene));

    add_byte(scene.pdu[REQUEST], 0);
    put_tpkt_length(scene.pdu[REQUEST]);
    scene.error = HVS_TPKT_BAD_LENGTH;
    relay_free(check_scene(&scene));
    scene_clear(&scene);
}

struct refusal_case {
    const char *name;
    const char *pdu;
    enum hvs_negotiation_error error;
};

static const struct refusal_case request_refusals[] = {
    { "version-2", "02 00 0013 0e e0 0000 0000 00" NEG_B, HVS_TPKT_BAD_VERSION },
    { "tls", "16 03 01 0200 01 0001fc 0303", HVS_TPKT_BAD_VERSION },
    { "preconnection-pdu", "12000000 00000000 01000000 00000000 0000", HVS_TPKT_BAD_VERSION },
    { "length-0", "03 00 0000 00 e0", HVS_TPKT_BAD_LENGTH },
    { "length-10", "03 00 000a 05 e0 0000 0000", HVS_TPKT_BAD_LENGTH },
    { "length-260", "03 00 0104 ff e0 0000 0000 00", HVS_TPKT_BAD_LENGTH },
    { "length-in-the-wrong-order", "03 00 1300 0e e0 0000 0000 00" NEG_B, HVS_TPKT_BAD_LENGTH },
    { "li-less", "03 00 0013 0d e0 0000 0000 00" NEG_B, HVS_X224_BAD_LENGTH_INDICATOR },
    { "li-more", "03 00 0013 0f e0 0000 0000 00" NEG_B, HVS_X224_BAD_LENGTH_INDICATOR },
    { "li-0", "03 00 000b 00 e0 0000 0000 00", HVS_X224_BAD_LENGTH_INDICATOR },
    { "confirm", "03 00 0013 0e d0 0000 0000 00" NEG_B, HVS_X224_BAD_CODE },
    { "data", "03 00 000b 06 f0 80 00 00 00 00", HVS_X224_BAD_CODE },
    { "code-6e", "03 00 000b 06 6e 0000 0000 00", HVS_X224_BAD_CODE },
    { "cookie-without-end", "03 00 001b 16 e0 0000 0000 00 'Cookie: a' 0d 0d 01 00 08 00 0b",
      HVS_REQUEST_TOKEN_UNTERMINATED },
    { "cookie-ends-with-cr", "03 00 0014 0f e0 0000 0000 00 'Cookie: ' 0d",
      HVS_REQUEST_TOKEN_UNTERMINATED },
    { "cookie-ends-with-lf", "03 00 0014 0f e0 0000 0000 00 'Cookie: ' 0a",
      HVS_REQUEST_TOKEN_UNTERMINATED },
    { "one-byte", "03 00 000c 07 e0 0000 0000 00 'x'", HVS_REQUEST_TOKEN_UNTERMINATED },
    { "correlation-alone", "03 00 002f 2a e0 0000 0000 00" CORRELATION,
      HVS_REQUEST_TOKEN_UNTERMINATED },
    { "neg-length-9", "03 00 0013 0e e0 0000 0000 00 01 00 09 00 0b000000",
      HVS_REQUEST_BAD_NEG_LENGTH },
    { "neg-length-big-endian", "03 00 0013 0e e0 0000 0000 00 01 00 00 08 0b000000",
      HVS_REQUEST_BAD_NEG_LENGTH },
    { "neg-length-0-cut", "03 00 000f 0a e0 0000 0000 00 01 00 00 00", HVS_REQUEST_BAD_NEG_LENGTH },
    { "neg-1-byte", "03 00 000c 07 e0 0000 0000 00 01", HVS_REQUEST_NEG_CUT_SHORT },
    { "neg-3-bytes", "03 00 000e 09 e0 0000 0000 00 01 00 08", HVS_REQUEST_NEG_CUT_SHORT },
    { "neg-7-bytes", "03 00 0012 0d e0 0000 0000 00 01 00 08 00 0b0000",
      HVS_REQUEST_NEG_CUT_SHORT },
    { "neg-cut-behind-a-cookie", "03 00 0015 10 e0 0000 0000 00 'a' 0d0a 01 00 08 00 0b0000",
      HVS_REQUEST_NEG_CUT_SHORT },
    { "correlation-missing", "03 00 0013 0e e0 0000 0000 00 01 08 08 00 0b000000",
      HVS_REQUEST_BAD_CORRELATION },
    { "correlation-35-bytes",
      "03 00 0036 31 e0 0000 0000 00 01 08 08 00 0b000000 06 00 24 00" ID
      "00000000 00000000 00000000 000000",
      HVS_REQUEST_BAD_CORRELATION },
    { "correlation-37-bytes", "03 00 0038 33 e0 0000 0000 00 01 08 08 00 0b000000" CORRELATION "00",
      HVS_REQUEST_BAD_CORRELATION },
    { "correlation-type-7",
      "03 00 0037 32 e0 0000 0000 00 01 08 08 00 0b000000 07 00 24 00" ID ZERO16,
      HVS_REQUEST_BAD_CORRELATION },
    { "correlation-length-field-35",
      "03 00 0037 32 e0 0000 0000 00 01 08 08 00 0b000000 06 00 23 00" ID ZERO16,
      HVS_REQUEST_BAD_CORRELATION },
    { "correlation-without-flag", "03 00 0037 32 e0 0000 0000 00" NEG_B CORRELATION,
      HVS_REQUEST_TRAILING_BYTES },
    { "trailing-byte", "03 00 0014 0f e0 0000 0000 00" NEG_B "00", HVS_REQUEST_TRAILING_BYTES },
    { "neg-twice", "03 00 001b 16 e0 0000 0000 00" NEG_B NEG_B, HVS_REQUEST_TRAILING_BYTES },
    { "unknown-behind-a-cookie", "03 00 0016 11 e0 0000 0000 00 'a' 0d0a 02 00 08 00 0b000000",
      HVS_REQUEST_TRAILING_BYTES },
    { "cookie-twice", "03 00 0011 0c e0 0000 0000 00 'a' 0d0a 'b' 0d0a",
      HVS_REQUEST_TRAILING_BYTES },
};

static void
test_request_refusal(const void *data)
{
    const struct refusal_case *test = data;
    struct scene scene = {
        .reply = HVS_REPLY_MIRROR,
        .pdu = { bytes_from(test->pdu) },
        .error = test->error,
    };
    g_autoptr(Relay) relay = check_scene(&scene);

    g_assert_false(relay->negotiation.facts.request_seen);
    scene_clear(&scene);
}

/* The low half of the code is the credit, the rest of the header is not for us. */
static void
test_request_ignored_fields(void)
{
    struct scene scene = {
        .pdu = { connection_pdu("e5 1234 5678 42", NEG_B) },
        .expected = connection_pdu("e5 1234 5678 42", NEG_0),
    };

    scene.pdu[REQUEST]->data[1] = 0x77;
    scene.expected->data[1] = 0x77;
    relay_free(check_scene(&scene));
    scene_clear(&scene);
}

/* More of the PDU joins the hex dump if it was fed together with the byte that gave it away. */
static void
test_request_dump(void)
{
    g_autoptr(Relay) relay = relay_new(HVS_REPLY_MIRROR, 0);
    uint8_t hello[100];
    size_t length;
    const uint8_t *dump;

    memset(hello, 0x16, sizeof hello);
    g_assert_cmpuint(offer(relay, HVS_FROM_CLIENT, hello, sizeof hello), ==, 1);
    dump = hvs_negotiation_failed_pdu(&relay->negotiation, &length);
    assert_bytes(dump, length, hello, 64);
}

/* ---- Connection Confirm -------------------------------------------------------------------- */

struct confirm_case {
    const char *name;
    const char *request; /* RDP_NEG_REQ or nothing */
    enum hvs_reply_mode reply;
    const char *before, *after;
    uint32_t selected, failure;
    bool transparent; /* nothing is left to do in either direction */
};

#define RSP_0           "02 00 08 00 00000000"
#define RSP_8           "02 00 08 00 08000000"
#define HYBRID_REQUIRED "03 00 08 00 05000000"
#define SSL_REQUIRED    "03 00 08 00 01000000"
#define SSL_NOT_ALLOWED "03 00 08 00 02000000"
#define P               HVS_REPLY_PASSTHROUGH
#define M               HVS_REPLY_MIRROR

static const struct confirm_case confirm_cases[] = {
    { "passthrough/answer", NEG_B, P, RSP_0, RSP_0, 0, 0, false },
    { "passthrough/bare", NEG_B, P, "", "", 0, 0, false },
    { "passthrough/flags", NEG_B, P, "02 1f 08 00 00000000", "02 1f 08 00 00000000", 0, 0, false },
    { "passthrough/tls", NEG_B, P, "02 00 08 00 01000000", "02 00 08 00 01000000", 1, 0, true },
    { "passthrough/failure", NEG_B, P, HYBRID_REQUIRED, HYBRID_REQUIRED, 0, 5, true },
    { "passthrough/no-request", "", P, "", "", 0, 0, false },
    { "mirror/hybrid-ex", NEG_B, M, RSP_0, RSP_8, 0, 0, false },
    { "mirror/hybrid", "01 00 08 00 03000000", M, RSP_0, "02 00 08 00 02000000", 0, 0, false },
    { "mirror/ssl", "01 00 08 00 01000000", M, RSP_0, "02 00 08 00 01000000", 0, 0, false },
    { "mirror/highest", "01 00 08 00 1f000000", M, RSP_0, RSP_8, 0, 0, false },
    { "mirror/bare", NEG_B, M, "", RSP_8, 0, 0, false },
    { "mirror/bare-ssl", "01 00 08 00 01000000", M, "", "02 00 08 00 01000000", 0, 0, false },
    { "mirror/keeps-flags", NEG_B, M, "02 01 08 00 00000000", "02 01 08 00 08000000", 0, 0, false },
    { "mirror/restricted-admin", "01 01 08 00 0b000000", M, "02 01 08 00 00000000",
      "02 09 08 00 08000000", 0, 0, false },
    { "mirror/redirected-authentication", "01 02 08 00 0b000000", M, "02 01 08 00 00000000",
      "02 11 08 00 08000000", 0, 0, false },
    { "mirror/both-flags-bare", "01 03 08 00 0b000000", M, "", "02 18 08 00 08000000", 0, 0,
      false },
    { "mirror/ssl-was-selected", NEG_B, M, "02 00 08 00 01000000", RSP_8, 1, 0, false },
    { "mirror/plain-asked", NEG_0, M, RSP_0, RSP_0, 0, 0, false },
    { "mirror/plain-asked-bare", NEG_0, M, "", "", 0, 0, false },
    { "mirror/plain-asked-flags", "01 03 08 00 00000000", M, RSP_0, RSP_0, 0, 0, false },
    { "mirror/only-others-asked", "01 00 08 00 14000000", M, RSP_0, RSP_0, 0, 0, false },
    { "mirror/no-request", "", M, "", "", 0, 0, false },
    { "mirror/no-request-but-answer", "", M, RSP_0, RSP_0, 0, 0, false },
    { "mirror/failure", NEG_B, M, HYBRID_REQUIRED, HYBRID_REQUIRED, 0, 5, true },
    { "mirror/failure-flags", "01 03 08 00 0b000000", M, "03 00 08 00 01000000",
      "03 00 08 00 01000000", 0, 1, true },
    { "mirror/failure-unknown", NEG_B, M, "03 00 08 00 efbeadde", "03 00 08 00 efbeadde", 0,
      0xdeadbeef, true },
    { "mirror/failure-0", NEG_B, M, "03 00 08 00 00000000", "03 00 08 00 00000000", 0, 0, true },
};

static void
test_confirm(const void *data)
{
    const struct confirm_case *test = data;
    struct scene scene = {
        .reply = test->reply,
        .pdu = { connection_request(test->request), connection_confirm(test->before) },
        .expected = connection_confirm(test->after),
    };
    g_autoptr(Relay) relay = check_scene(&scene);
    const struct hvs_negotiation_facts *facts = &relay->negotiation.facts;

    g_assert_true(facts->confirm_seen);
    g_assert_cmphex(facts->selected_protocol, ==, test->selected);
    g_assert_cmphex(facts->failure_code, ==, test->failure);
    g_assert_cmpint(hvs_negotiation_is_transparent(&relay->negotiation, HVS_FROM_SERVER), ==,
                    test->transparent);
    g_assert_cmpint(hvs_negotiation_is_transparent(&relay->negotiation, HVS_FROM_CLIENT), ==,
                    test->transparent || test->request[0] == '\0');
    scene_clear(&scene);
}

static const struct refusal_case confirm_refusals[] = {
    { "ssh", "'SSH-2.0-OpenSSH_9.2' 0d0a", HVS_TPKT_BAD_VERSION },
    { "length-10", "03 00 000a 05 d0 0000 1234", HVS_TPKT_BAD_LENGTH },
    { "length-260", "03 00 0104 ff d0 0000 1234 00", HVS_TPKT_BAD_LENGTH },
    { "li", "03 00 0013 0d d0 0000 1234 00" RSP_0, HVS_X224_BAD_LENGTH_INDICATOR },
    { "request", "03 00 0013 0e e0 0000 1234 00" RSP_0, HVS_X224_BAD_CODE },
    { "disconnect-request", "03 00 000b 06 80 0000 1234 00", HVS_X224_BAD_CODE },
    { "type-1", "03 00 0013 0e d0 0000 1234 00" NEG_0, HVS_CONFIRM_BAD_NEG },
    { "type-4", "03 00 0013 0e d0 0000 1234 00 04 00 08 00 00000000", HVS_CONFIRM_BAD_NEG },
    { "length-field-9", "03 00 0013 0e d0 0000 1234 00 02 00 09 00 00000000", HVS_CONFIRM_BAD_NEG },
    { "failure-length-field-0", "03 00 0013 0e d0 0000 1234 00 03 00 00 00 05000000",
      HVS_CONFIRM_BAD_NEG },
    { "cut-short", "03 00 0012 0d d0 0000 1234 00 02 00 08 00 000000", HVS_CONFIRM_BAD_NEG },
    { "one-byte", "03 00 000c 07 d0 0000 1234 00 02", HVS_CONFIRM_BAD_NEG },
    { "trailing-byte", "03 00 0014 0f d0 0000 1234 00" RSP_0 "00", HVS_CONFIRM_BAD_NEG },
};

static void
test_confirm_refusal(const void *data)
{
    const struct refusal_case *test = data;

    for (int reply = HVS_REPLY_PASSTHROUGH; reply <= HVS_REPLY_MIRROR; reply++) {
        struct scene scene = {
            .reply = (enum hvs_reply_mode)reply,
            .pdu = { connection_request(NEG_B), bytes_from(test->pdu) },
            .error = test->error,
        };
        g_autoptr(Relay) relay = check_scene(&scene);

        g_assert_false(relay->negotiation.facts.confirm_seen);
        scene_clear(&scene);
    }
}

/* ---- MCS Connect Initial ------------------------------------------------------------------- */

static void
test_initial_size(void)
{
    g_autoptr(Bytes) initial = ordinary_initial(0);

    g_assert_cmpuint(initial->len, ==, 462);
}

/* A client that was mirrored writes what it was told; the server reads what it selected. */
static void
test_initial_patched(void)
{
    static const struct {
        enum hvs_reply_mode reply;
        const char *confirm;
        uint32_t says, selected;
    } cases[] = {
        { HVS_REPLY_MIRROR, RSP_0, 8, 0 },
        { HVS_REPLY_MIRROR, "", 8, 0 },
        { HVS_REPLY_MIRROR, "02 00 08 00 01000000", 8, 1 },
        { HVS_REPLY_PASSTHROUGH, RSP_0, 0, 0 },
        { HVS_REPLY_PASSTHROUGH, RSP_0, 8, 0 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct scene scene = {
            .reply = cases[i].reply,
            .pdu = { connection_request(NEG_B), connection_confirm(cases[i].confirm),
                     ordinary_initial(cases[i].says) },
            .expected = ordinary_initial(cases[i].selected),
        };
        g_autoptr(Relay) relay = check_scene(&scene);

        g_assert_true(hvs_negotiation_is_transparent(&relay->negotiation, HVS_FROM_CLIENT));
        scene_clear(&scene);
    }
}

/* Old clients send a CS_CORE that ends before serverSelectedProtocol. */
static void
test_initial_short_core(void)
{
    static const size_t lengths[] = { 4, 132, 136, 212, 213, 215, 216, 217, 234, 1000 };

    for (size_t i = 0; i < G_N_ELEMENTS(lengths); i++) {
        g_autoptr(Bytes) before = client_blocks(lengths[i], 8);
        g_autoptr(Bytes) after = client_blocks(lengths[i], 0);
        struct scene scene = {
            .reply = HVS_REPLY_MIRROR,
            .pdu = { connection_request(NEG_B), connection_confirm(RSP_0),
                     connect_initial(before, BER_LONG_2) },
            .expected = connect_initial(after, BER_LONG_2),
        };

        relay_free(check_scene(&scene));
        scene_clear(&scene);
    }
}

static void
test_initial_block_order(void)
{
    g_autoptr(Bytes) before = g_byte_array_new();
    g_autoptr(Bytes) after = g_byte_array_new();
    struct scene scene = {
        .reply = HVS_REPLY_MIRROR,
        .pdu = { connection_request(NEG_B), connection_confirm(RSP_0) },
    };

    for (unsigned i = 0; i < 2; i++) {
        GByteArray *blocks = i == 0 ? before : after;

        add_block(blocks, "02c0", 12);
        add_block(blocks, "ffff", 4);
        add_block(blocks, "010c", 300); /* a server's type */
        add_client_core(blocks, 216, i == 0 ? 8 : 0);
        add_block(blocks, "0000", 5);
    }
    scene.pdu[INITIAL] = connect_initial(before, BER_LONG_2);
    scene.expected = connect_initial(after, BER_LONG_2);
    relay_free(check_scene(&scene));
    scene_clear(&scene);
}

/* What the client says of itself is kept, on the way: the bytes are those of any other test. */
static void
test_initial_client(void)
{
    for (unsigned channel_blocks = 0; channel_blocks <= 2; channel_blocks++) {
        g_autoptr(Bytes) before = g_byte_array_new();
        g_autoptr(Bytes) after = g_byte_array_new();
        struct scene scene = {
            .reply = HVS_REPLY_MIRROR,
            .pdu = { connection_request(NEG_B), connection_confirm(RSP_0) },
        };
        const struct hvs_client_facts *client;
        Relay *relay;

        for (unsigned i = 0; i < 2; i++) {
            GByteArray *blocks = i == 0 ? before : after;

            add_client_core(blocks, CS_CORE_LENGTH, i == 0 ? 8 : 0);
            put_u32(blocks, 8, 600u << 16 | 800u);
            for (unsigned j = 0; j < channel_blocks; j++)
                add_text(blocks, "03c0 2000 02000000 'cliprdr' 00 00000080 'rdpsnd' 0000 000000c0");
        }
        scene.pdu[INITIAL] = connect_initial(before, BER_LONG_2);
        scene.expected = connect_initial(after, BER_LONG_2);
        relay = check_scene(&scene);
        client = &relay->negotiation.facts.client;
        g_assert_true(client->core_seen);
        g_assert_cmpuint(client->desktop_width, ==, 800);
        g_assert_cmpuint(client->desktop_height, ==, 600);
        /* Two channel lists are one too many to be believed, and no reason to refuse the client. */
        g_assert_cmpint(client->channels_seen, ==, channel_blocks == 1);
        g_assert_cmpuint(client->channel_count, ==, channel_blocks == 1 ? 2 : 0);
        if (channel_blocks == 1)
            g_assert_cmpstr(client->channels[1], ==, "rdpsnd");
        relay_free(relay);
        scene_clear(&scene);
    }
}

static void
test_initial_without_core(void)
{
    g_autoptr(Bytes) none = g_byte_array_new();
    g_autoptr(Bytes) others = g_byte_array_new();

    add_block(others, "02c0", 12);
    for (unsigned i = 0; i < 2; i++) {
        struct scene scene = {
            .reply = HVS_REPLY_MIRROR,
            .pdu = { connection_request(NEG_B), connection_confirm(RSP_0),
                     connect_initial(i == 0 ? none : others, BER_SHORTEST) },
        };

        relay_free(check_scene(&scene));
        scene_clear(&scene);
    }
}

static void
test_initial_ber_forms(void)
{
    for (int form = BER_SHORTEST; form <= BER_LONG_4; form++) {
        size_t length = form == BER_LONG_1 ? 0 : CS_CORE_LENGTH;
        g_autoptr(Bytes) before = g_byte_array_new();
        g_autoptr(Bytes) after = g_byte_array_new();
        struct scene scene = {
            .reply = HVS_REPLY_MIRROR,
            .pdu = { connection_request(NEG_B), connection_confirm(RSP_0) },
        };

        if (length > 0) {
            add_client_core(before, length, 8);
            add_client_core(after, length, 0);
        }
        scene.pdu[INITIAL] = connect_initial(before, (enum ber_form)form);
        scene.expected = connect_initial(after, (enum ber_form)form);
        relay_free(check_scene(&scene));
        scene_clear(&scene);
    }
}

/* More octets than a length can need here. */
static void
test_initial_ber_too_long_form(void)
{
    g_autoptr(Bytes) blocks = client_blocks(CS_CORE_LENGTH, 8);
    struct scene scene = {
        .reply = HVS_REPLY_MIRROR,
        .pdu = { connection_request(NEG_B), connection_confirm(RSP_0),
                 connect_initial(blocks, BER_LONG_5) },
        .error = HVS_MCS_MALFORMED,
    };

    relay_free(check_scene(&scene));
    scene_clear(&scene);
}

/* A conference name longer than the "1" that everybody sends. */
static void
test_initial_conference_name(void)
{
    static const char *const names[] = {
        "00 08 02 12 00",                               /* 2 digits */
        "00 08 04 12 30 00",                            /* 3 */
        "00 08 06 12 34 00",                            /* 4 */
        "00 08 0e 12 34 56 78 00",                      /* 8 */
        "00 09 02" ZERO16 ZERO16 ZERO16 ZERO16 "00 00", /* 130 */
    };

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        struct scene scene = {
            .reply = HVS_REPLY_MIRROR,
            .pdu = { connection_request(NEG_B), connection_confirm(RSP_0) },
        };

        for (unsigned after = 0; after < 2; after++) {
            g_autoptr(Bytes) blocks = client_blocks(CS_CORE_LENGTH, after ? 0 : 8);
            g_autoptr(Bytes) gcc = bytes_from("00 05 00147c0001 2a");

            add_text(gcc, names[i]);
            add_text(gcc, "01 c0 00 'Duca'");
            add_per_length(gcc, blocks->len);
            add(gcc, blocks);
            *(after ? &scene.expected : &scene.pdu[INITIAL]) =
                connect_initial_around(gcc, BER_SHORTEST);
        }
        relay_free(check_scene(&scene));
        scene_clear(&scene);
    }
}

/* Malformed at the level of T.125 or T.124: a mirrored client is refused, another one passes. */
struct malformed_case {
    const char *name;
    const char *mcs; /* the MCS PDU, or NULL and */
    const char *gcc; /* what is in its userData, everything around it right */
    enum hvs_negotiation_error error;
};

#define SELECTORS  "040101 040101 0101ff"
#define PARAMETERS "3003 020122"
#define OID        "00 05 00147c0001"

static const struct malformed_case initial_malformed[] = {
    { "empty", "", NULL, HVS_MCS_MALFORMED },
    { "other-tag", "7e65 00", NULL, HVS_MCS_MALFORMED },
    { "response", "7f66 00", NULL, HVS_MCS_MALFORMED },
    { "no-length", "7f65", NULL, HVS_MCS_MALFORMED },
    { "indefinite-length", "7f65 80" SELECTORS "0000", NULL, HVS_MCS_MALFORMED },
    { "five-length-octets", "7f65 85 0000000000", NULL, HVS_MCS_MALFORMED },
    { "reserved-length-octet", "7f65 ff 0000", NULL, HVS_MCS_MALFORMED },
    { "length-octets-cut", "7f65 82 01", NULL, HVS_MCS_MALFORMED },
    { "longer-than-the-pdu", "7f65 0a" SELECTORS, NULL, HVS_MCS_MALFORMED },
    { "longer-than-memory", "7f65 84 ffffffff" SELECTORS, NULL, HVS_MCS_MALFORMED },
    { "inner-longer-than-outer", "7f65 03 040201 040101 0101ff", NULL, HVS_MCS_MALFORMED },
    { "inner-longer-than-memory", "7f65 0f 0484fffffff0 040101 0101ff", NULL, HVS_MCS_MALFORMED },
    { "no-user-data", "7f65 18" SELECTORS PARAMETERS PARAMETERS PARAMETERS, NULL,
      HVS_MCS_MALFORMED },
    { "user-data-of-other-type", "7f65 1a" SELECTORS PARAMETERS PARAMETERS PARAMETERS "0500", NULL,
      HVS_MCS_MALFORMED },
    { "user-data-too-long", "7f65 1a" SELECTORS PARAMETERS PARAMETERS PARAMETERS "0401", NULL,
      HVS_MCS_MALFORMED },
    { "user-data-empty", NULL, "", HVS_GCC_MALFORMED },
    { "key-of-other-kind", NULL, "80 05 00147c0001 0e" CREATE_REQUEST "00", HVS_GCC_MALFORMED },
    { "key-is-not-t124", NULL, "00 05 00147c0002 0e" CREATE_REQUEST "00", HVS_GCC_MALFORMED },
    { "connect-pdu-missing", NULL, OID, HVS_GCC_MALFORMED },
    { "connect-pdu-fragmented", NULL, OID "c100" CREATE_REQUEST "00", HVS_GCC_MALFORMED },
    { "create-response", NULL, OID "0e" CREATE_RESPONSE "00", HVS_GCC_MALFORMED },
    { "extension", NULL, OID "0e 80 08 00 10 00 01 c0 00 'Duca' 00", HVS_GCC_MALFORMED },
    { "caller-identifier", NULL, OID "0e 00 18 00 10 00 01 c0 00 'Duca' 00", HVS_GCC_MALFORMED },
    { "name-extension", NULL, OID "0e 00 0c 00 10 00 01 c0 00 'Duca' 00", HVS_GCC_MALFORMED },
    { "name-text", NULL, OID "0e 00 0a 00 10 00 01 c0 00 'Duca' 00", HVS_GCC_MALFORMED },
    { "password", NULL, OID "0e 02 08 00 10 00 01 c0 00 'Duca' 00", HVS_GCC_MALFORMED },
    { "no-user-data-member", NULL, OID "0e 00 00 00 10 00 01 c0 00 'Duca' 00", HVS_GCC_MALFORMED },
    { "name-too-long", NULL, OID "0e 00 09 fe 10 00 01 c0 00 'Duca' 00", HVS_GCC_MALFORMED },
    { "no-set", NULL, OID "06 00 08 00 10 00 00", HVS_GCC_MALFORMED },
    { "two-sets", NULL, OID "0e 00 08 00 10 00 02 c0 00 'Duca' 00", HVS_GCC_MALFORMED },
    { "set-without-value", NULL, OID "0e 00 08 00 10 00 01 40 00 'Duca' 00", HVS_GCC_MALFORMED },
    { "key-of-five-octets", NULL, OID "0e 00 08 00 10 00 01 c0 40 'Ducat' 00", HVS_GCC_MALFORMED },
    { "key-of-a-server", NULL, OID "0e 00 08 00 10 00 01 c0 00 'McDn' 00", HVS_GCC_MALFORMED },
    { "value-missing", NULL, OID "0d" CREATE_REQUEST, HVS_GCC_MALFORMED },
    { "value-longer-than-the-rest", NULL, OID "12" CREATE_REQUEST "05 02c0 0400",
      HVS_GCC_MALFORMED },
    { "block-header-cut", NULL, OID "11" CREATE_REQUEST "03 02c0 04", HVS_GCC_MALFORMED },
    { "block-length-3", NULL, OID "12" CREATE_REQUEST "04 02c0 0300", HVS_GCC_MALFORMED },
    { "block-length-0", NULL, OID "12" CREATE_REQUEST "04 02c0 0000", HVS_GCC_MALFORMED },
    { "block-too-long", NULL, OID "12" CREATE_REQUEST "04 02c0 0500", HVS_GCC_MALFORMED },
    { "stray-byte-behind-the-blocks", NULL, OID "13" CREATE_REQUEST "05 02c0 0400 00",
      HVS_GCC_MALFORMED },
    { "core-twice", NULL, OID "16" CREATE_REQUEST "08 01c0 0400 01c0 0400", HVS_GCC_MALFORMED },
    { "indefinite-selector",
      "7f65 32 0480 040101 0101ff" PARAMETERS PARAMETERS PARAMETERS "0419" OID "12" CREATE_REQUEST
      "04 02c0 0400",
      NULL, HVS_MCS_MALFORMED },
    /* The table's own check: the same with nothing wrong */
    { "not-at-all-empty-selector",
      "7f65 32 0400 040101 0101ff" PARAMETERS PARAMETERS PARAMETERS "0419" OID "12" CREATE_REQUEST
      "04 02c0 0400",
      NULL, HVS_NEGOTIATION_OK },
    { "not-at-all", NULL, OID "12" CREATE_REQUEST "04 02c0 0400", HVS_NEGOTIATION_OK },
};

static GByteArray *
malformed_pdu(const struct malformed_case *test,
              GByteArray *(*around)(const GByteArray *, enum ber_form))
{
    g_autoptr(Bytes) gcc = NULL;
    GByteArray *pdu;

    if (test->gcc != NULL) {
        gcc = bytes_from(test->gcc);
        return around(gcc, BER_SHORTEST);
    }
    pdu = bytes_from("03 00 0000 02 f0 80");
    add_text(pdu, test->mcs);
    put_tpkt_length(pdu);
    return pdu;
}

static void
test_initial_malformed(const void *data)
{
    const struct malformed_case *test = data;
    struct scene scene = {
        .reply = HVS_REPLY_MIRROR,
        .pdu = { connection_request(NEG_B), connection_confirm(RSP_0),
                 malformed_pdu(test, connect_initial_around) },
        .error = test->error,
    };

    relay_free(check_scene(&scene));

    scene.reply = HVS_REPLY_PASSTHROUGH;
    scene.error = HVS_NEGOTIATION_OK;
    {
        g_autoptr(Relay) relay = check_scene(&scene);

        g_assert_true(hvs_negotiation_is_transparent(&relay->negotiation, HVS_FROM_CLIENT));
    }
    scene_clear(&scene);
}

static const struct refusal_case initial_refusals[] = {
    { "tls", "16 03 01 0200 01 0001fc 0303", HVS_TPKT_BAD_VERSION },
    { "length-6", "03 00 0006 02 f0", HVS_TPKT_BAD_LENGTH },
    { "too-long", "03 00 4001 02 f0 80", HVS_TPKT_TOO_LONG },
    { "li", "03 00 0007 03 f0 80", HVS_X224_BAD_LENGTH_INDICATOR },
    { "request", "03 00 0007 02 e0 80", HVS_X224_BAD_CODE },
    { "credit", "03 00 0007 02 f1 80", HVS_X224_BAD_CODE },
    { "not-the-last-of-its-tsdu", "03 00 0007 02 f0 00", HVS_X224_BAD_CODE },
};

static void
test_initial_refusal(const void *data)
{
    const struct refusal_case *test = data;

    for (int reply = HVS_REPLY_PASSTHROUGH; reply <= HVS_REPLY_MIRROR; reply++) {
        struct scene scene = {
            .reply = (enum hvs_reply_mode)reply,
            .pdu = { connection_request(NEG_B), connection_confirm(RSP_0), bytes_from(test->pdu) },
            .error = test->error,
        };

        relay_free(check_scene(&scene));
        scene_clear(&scene);
    }
}

/* The longest PDU that is taken. */
static void
test_initial_limit(void)
{
    struct scene scene = {
        .reply = HVS_REPLY_MIRROR,
        .pdu = { connection_request(NEG_B), connection_confirm(RSP_0) },
    };

    for (unsigned after = 0; after < 2; after++) {
        g_autoptr(Bytes) blocks = g_byte_array_new();

        add_block(blocks, "02c0", 16000);
        add_client_core(blocks, 216, after ? 0 : 8);
        *(after ? &scene.expected : &scene.pdu[INITIAL]) = connect_initial(blocks, BER_LONG_2);
    }
    for (unsigned after = 0; after < 2; after++) {
        GByteArray *pdu = after ? scene.expected : scene.pdu[INITIAL];

        /* Behind the MCS PDU nothing is looked at. */
        while (pdu->len < HVS_NEGOTIATION_PDU_MAX) {
            add_byte(pdu, 0);
        }
        put_tpkt_length(pdu);
    }
    g_assert_cmpuint(check_in_pieces(&scene, 1000, 1), ==, HVS_NEGOTIATION_PDU_MAX);
    g_assert_cmpuint(check_in_pieces(&scene, 20000, 20000), ==, HVS_NEGOTIATION_PDU_MAX);
    scene_clear(&scene);
}

/* ---- MCS Connect Response ------------------------------------------------------------------ */

static void
test_response_size(void)
{
    g_autoptr(Bytes) response = ordinary_response(0, 0, 0);

    g_assert_cmpuint(response->len, ==, 126);
}

static struct scene
response_scene(enum hvs_reply_mode reply, const char *request)
{
    struct scene scene = {
        .reply = reply,
        .pdu = { connection_request(request), connection_confirm(request[0] ? RSP_0 : ""),
                 ordinary_initial(0) },
    };

    return scene;
}

static void
test_response_mirrored(void)
{
    struct scene scene = response_scene(HVS_REPLY_MIRROR, NEG_B);

    scene.pdu[RESPONSE] = ordinary_response(0, 0, 0);
    scene.expected = ordinary_response(0x0b, 0, 0);
    {
        g_autoptr(Relay) relay = check_scene(&scene);

        g_assert_true(hvs_negotiation_is_transparent(&relay->negotiation, HVS_FROM_SERVER));
        g_assert_cmphex(relay->negotiation.facts.encryption_method, ==, 0);
        g_assert_cmphex(relay->negotiation.facts.encryption_level, ==, 0);
    }
    scene_clear(&scene);
}

/* A server may answer before it has seen all that the client sends. */
static void
test_response_early(void)
{
    struct scene scene = response_scene(HVS_REPLY_MIRROR, NEG_B);

    g_clear_pointer(&scene.pdu[INITIAL], g_byte_array_unref);
    scene.pdu[RESPONSE] = ordinary_response(0, 0, 0);
    scene.expected = ordinary_response(0x0b, 0, 0);
    relay_free(check_scene(&scene));
    scene_clear(&scene);
}

static void
test_response_encrypts(void)
{
    for (uint32_t method = 1; method <= 0x10; method <<= 1) {
        struct scene scene = response_scene(HVS_REPLY_MIRROR, NEG_B);

        scene.pdu[RESPONSE] = ordinary_response(0, method, 3);
        scene.error = HVS_SERVER_ENCRYPTS;
        {
            g_autoptr(Relay) relay = check_scene(&scene);

            g_assert_cmphex(relay->negotiation.facts.encryption_method, ==, method);
            g_assert_cmphex(relay->negotiation.facts.encryption_level, ==, 3);
        }
        scene_clear(&scene);
    }
}

/* Clients that are not mirrored speak standard RDP security, and do as they are told. */
static void
test_response_encrypts_unmirrored(void)
{
    static const struct {
        enum hvs_reply_mode reply;
        const char *request;
    } cases[] = {
        { HVS_REPLY_PASSTHROUGH, NEG_B }, { HVS_REPLY_PASSTHROUGH, "" },
        { HVS_REPLY_MIRROR, NEG_0 },      { HVS_REPLY_MIRROR, "" },
        { HVS_REPLY_MIRROR, COOKIE },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct scene scene = response_scene(cases[i].reply, cases[i].request);

        scene.pdu[RESPONSE] = ordinary_response(0, 2, 2);
        {
            g_autoptr(Relay) relay = check_scene(&scene);

            g_assert_cmphex(relay->negotiation.facts.encryption_method, ==, 2);
            g_assert_cmphex(relay->negotiation.facts.encryption_level, ==, 2);
        }
        scene_clear(&scene);
    }
}

/* SC_CORE with and without its optional members. */
static void
test_response_core_lengths(void)
{
    for (size_t length = 8; length <= 16; length += 4) {
        g_autoptr(Bytes) before = server_blocks(length, 0, 0, 0);
        g_autoptr(Bytes) after = server_blocks(length, 0x0b, 0, 0);
        struct scene scene = response_scene(HVS_REPLY_MIRROR, NEG_B);

        scene.pdu[RESPONSE] = connect_response(before, BER_LONG_2, NULL);
        scene.expected = connect_response(after, BER_LONG_2, NULL);
        relay_free(check_scene(&scene));
        scene_clear(&scene);
    }
}

/* The length of connectPDU counts for nothing: Windows and xrdp write 42 before anything. */
static void
test_response_wrong_connect_pdu_length(void)
{
    static const char *const lengths[] = { "2a", "00", "7f", "8001", "bfff" };

    for (size_t i = 0; i < G_N_ELEMENTS(lengths); i++) {
        g_autoptr(Bytes) before = server_blocks(12, 0, 0, 0);
        g_autoptr(Bytes) after = server_blocks(12, 0x0b, 0, 0);
        struct scene scene = response_scene(HVS_REPLY_MIRROR, NEG_B);

        scene.pdu[RESPONSE] = connect_response(before, BER_LONG_2, lengths[i]);
        scene.expected = connect_response(after, BER_LONG_2, lengths[i]);
        relay_free(check_scene(&scene));
        scene_clear(&scene);
    }
}

/* As old Windows servers answer: with encryption and a certificate, BER lengths in two octets. */
static void
test_response_old_windows(void)
{
    g_autoptr(Bytes) blocks = g_byte_array_new();
    struct scene scene = response_scene(HVS_REPLY_PASSTHROUGH, NEG_B);

    add_server_core(blocks, 8, 0);
    add_text(blocks, "030c 1000 eb03 0300 ec03 ed03 ee03 0000");
    add_text(blocks, "020c ec00 02000000 02000000 20000000 b8000000");
    while (blocks->len < 8 + 16 + 236) {
        add_byte(blocks, blocks->len);
    }
    scene.pdu[RESPONSE] = connect_response(blocks, BER_LONG_2, "2a");
    {
        g_autoptr(Relay) relay = check_scene(&scene);

        g_assert_cmphex(relay->negotiation.facts.encryption_method, ==, 2);
    }
    scene_clear(&scene);
}

/* As xrdp answers, byte for byte: a PER length in two octets where one would do. */
static void
test_response_xrdp(void)
{
    static const char front[] = "0300006d 02f080 7f6663 0a0100 020100"
                                "301a 020116 020103 020100 020101 020100 020101 020300fff8 020102"
                                "043f 00050014 7c00012a 14760a01 010001c0 00 'McDn' 8028"
                                "010c0c0004000800";
    static const char back[] = "030c1000eb030400ec03ed03ee03ef03 020c0c000000000000000000";
    struct scene scene = response_scene(HVS_REPLY_MIRROR, NEG_B);

    scene.pdu[RESPONSE] = bytes_from(front);
    add_u32(scene.pdu[RESPONSE], 0);
    add_text(scene.pdu[RESPONSE], back);
    scene.expected = bytes_from(front);
    add_u32(scene.expected, 0x0b);
    add_text(scene.expected, back);
    g_assert_cmpuint(scene.expected->len, ==, 109);
    relay_free(check_scene(&scene));
    scene_clear(&scene);
}

static void
test_response_ber_forms(void)
{
    for (int form = BER_SHORTEST; form <= BER_LONG_4; form++) {
        g_autoptr(Bytes) before = server_blocks(16, 0, 0, 0);
        g_autoptr(Bytes) after = server_blocks(16, 0x0b, 0, 0);
        struct scene scene = response_scene(HVS_REPLY_MIRROR, NEG_B);

        scene.pdu[RESPONSE] = connect_response(before, (enum ber_form)form, "2a");
        scene.expected = connect_response(after, (enum ber_form)form, "2a");
        relay_free(check_scene(&scene));
        scene_clear(&scene);
    }
}

static void
test_response_block_order(void)
{
    struct scene scene = response_scene(HVS_REPLY_MIRROR, NEG_B);

    for (unsigned after = 0; after < 2; after++) {
        g_autoptr(Bytes) blocks = g_byte_array_new();

        add_security(blocks, 0, 0);
        add_block(blocks, "ff0c", 40);
        add_server_core(blocks, 12, after ? 0x0b : 0);
        *(after ? &scene.expected : &scene.pdu[RESPONSE]) =
            connect_response(blocks, BER_SHORTEST, NULL);
    }
    relay_free(check_scene(&scene));
    scene_clear(&scene);
}

static const struct malformed_case response_malformed[] = {
    { "empty", "", NULL, HVS_MCS_MALFORMED },
    { "initial", "7f65 00", NULL, HVS_MCS_MALFORMED },
    { "disconnect-provider-ultimatum", "2180", NULL, HVS_MCS_MALFORMED },
    { "longer-than-the-pdu", "7f66 04 0a0100", NULL, HVS_MCS_MALFORMED },
    { "no-user-data", "7f66 0b 0a0100 020100" PARAMETERS, NULL, HVS_MCS_MALFORMED },
    { "user-data-too-long", "7f66 0d 0a0100 020100" PARAMETERS "0401", NULL, HVS_MCS_MALFORMED },
    { "user-data-empty", NULL, "", HVS_GCC_MALFORMED },
    { "create-request", NULL, OID "2a" CREATE_REQUEST "00", HVS_GCC_MALFORMED },
    { "key-of-a-client", NULL, OID "2a 14 760a 0101 00 01 c0 00 'Duca' 00", HVS_GCC_MALFORMED },
    { "tag-too-long", NULL, OID "2a 14 760a 7f01 00 01 c0 00 'McDn' 00", HVS_GCC_MALFORMED },
    { "no-user-data-member", NULL, OID "2a 10 760a 0101 00 01 c0 00 'McDn' 00", HVS_GCC_MALFORMED },
    { "value-missing", NULL, OID "2a" CREATE_RESPONSE, HVS_GCC_MALFORMED },
    { "block-too-long", NULL, OID "2a" CREATE_RESPONSE "04 020c 0500", HVS_GCC_MALFORMED },
    { "security-too-short", NULL, OID "2a" CREATE_RESPONSE "0b 020c 0b00 00000000 000000",
      HVS_GCC_MALFORMED },
    { "security-twice", NULL,
      OID "2a" CREATE_RESPONSE "18 020c 0c00 00000000 00000000 020c 0c00 02000000 00000000",
      HVS_GCC_MALFORMED },
    { "core-twice", NULL, OID "2a" CREATE_RESPONSE "08 010c 0400 010c 0400", HVS_GCC_MALFORMED },
    { "not-at-all", NULL, OID "2a" CREATE_RESPONSE "0c 020c 0c00 00000000 00000000",
      HVS_NEGOTIATION_OK },
};

static void
test_response_malformed(const void *data)
{
    const struct malformed_case *test = data;
    struct scene scene = response_scene(HVS_REPLY_MIRROR, NEG_B);

    scene.pdu[RESPONSE] = malformed_pdu(test, connect_response_around);
    scene.error = test->error;
    relay_free(check_scene(&scene));

    scene.reply = HVS_REPLY_PASSTHROUGH;
    scene.error = HVS_NEGOTIATION_OK;
    {
        g_autoptr(Relay) relay = check_scene(&scene);

        g_assert_true(hvs_negotiation_is_transparent(&relay->negotiation, HVS_FROM_SERVER));
        g_assert_cmphex(relay->negotiation.facts.encryption_method, ==, 0);
    }
    scene_clear(&scene);
}

static const struct refusal_case response_refusals[] = {
    { "no-tpkt", "16 03 01 0200 01 0001fc 0303", HVS_TPKT_BAD_VERSION },
    { "length-6", "03 00 0006 02 f0", HVS_TPKT_BAD_LENGTH },
    { "too-long", "03 00 4001 02 f0 80 7f 66", HVS_TPKT_TOO_LONG },
    { "li", "03 00 0007 03 f0 80", HVS_X224_BAD_LENGTH_INDICATOR },
    { "confirm", "03 00 0007 02 d0 80", HVS_X224_BAD_CODE },
};

/* Mirrored they are refused; otherwise every byte of them passes. */
static void
test_response_refusal(const void *data)
{
    const struct refusal_case *test = data;
    struct scene scene = response_scene(HVS_REPLY_MIRROR, NEG_B);

    scene.pdu[RESPONSE] = bytes_from(test->pdu);
    scene.error = test->error;
    relay_free(check_scene(&scene));
    scene.reply = HVS_REPLY_PASSTHROUGH;
    scene.error = HVS_NEGOTIATION_OK;
    relay_free(check_scene(&scene));
    scene_clear(&scene);
}

/* ---- the MCS walk by itself ---------------------------------------------------------------- */

/* Cut at every byte, in a buffer that ends there: never taken for whole, never read beyond. */
static void
test_walk_cut(void)
{
    for (int form = BER_SHORTEST; form <= BER_LONG_4; form++) {
        g_autoptr(Bytes) blocks = g_byte_array_new();
        g_autoptr(Bytes) initial = NULL, response = NULL;

        add_block(blocks, "02c0", 12);
        initial = connect_initial(blocks, (enum ber_form)form);
        response = connect_response(blocks, (enum ber_form)form, "2a");
        for (size_t length = 7; length <= initial->len; length++) {
            g_autofree uint8_t *copy = g_memdup2(initial->data, length);
            struct hvs_mcs_span span;

            g_assert_true((hvs_mcs_read_connect_initial(copy, length, 7, &span) ==
                           HVS_NEGOTIATION_OK) == (length == initial->len));
        }
        for (size_t length = 7; length <= response->len; length++) {
            g_autofree uint8_t *copy = g_memdup2(response->data, length);
            struct hvs_mcs_span span;

            g_assert_true((hvs_mcs_read_connect_response(copy, length, 7, &span) ==
                           HVS_NEGOTIATION_OK) == (length == response->len));
        }
    }
}

/* Any byte changed to any value, in a buffer of exactly that length. */
static void
test_walk_mutated(void)
{
    g_autoptr(Bytes) client = client_blocks(20, 0);
    g_autoptr(Bytes) server = server_blocks(16, 0, 0, 0);
    g_autoptr(Bytes) initial = connect_initial(client, BER_LONG_2);
    g_autoptr(Bytes) response = connect_response(server, BER_LONG_2, "2a");

    for (unsigned which = 0; which < 2; which++) {
        const GByteArray *pdu = which == 0 ? initial : response;

        for (size_t at = 7; at < pdu->len; at++) {
            for (unsigned value = 0; value < 0x100; value++) {
                g_autofree uint8_t *copy = g_memdup2(pdu->data, pdu->len);
                struct hvs_mcs_span span, block;
                enum hvs_negotiation_error error;

                copy[at] = (uint8_t)value;
                error = which == 0 ? hvs_mcs_read_connect_initial(copy, pdu->len, 7, &span)
                                   : hvs_mcs_read_connect_response(copy, pdu->len, 7, &span);
                if (error != HVS_NEGOTIATION_OK) {
                    continue;
                }
                g_assert_cmpuint(span.offset, <=, pdu->len);
                g_assert_cmpuint(span.length, <=, pdu->len - span.offset);
                if (hvs_mcs_find_block(copy, span, 0xc003, &block) == HVS_NEGOTIATION_OK &&
                    block.length > 0) {
                    g_assert_cmpuint(block.offset, >=, span.offset);
                    g_assert_cmpuint(block.offset + block.length, <=, span.offset + span.length);
                }
            }
        }
    }
}

/* ---- both directions together -------------------------------------------------------------- */

/* Before the confirm the client's next PDU waits, and before the request the server's answer. */
static void
test_hold(void)
{
    g_autoptr(Relay) relay = relay_new(HVS_REPLY_MIRROR, 0);
    g_autoptr(Bytes) request = connection_request(NEG_B);
    g_autoptr(Bytes) confirm = connection_confirm(RSP_0);
    g_autoptr(Bytes) initial = ordinary_initial(8);
    g_autoptr(Bytes) patched = ordinary_initial(0);
    g_autoptr(Bytes) both = g_byte_array_new();

    g_assert_cmpuint(offer_all(relay, HVS_FROM_SERVER, confirm), ==, 0);
    g_assert_cmpint(relay->last[HVS_FROM_SERVER], ==, HVS_NEGOTIATION_HOLD);
    add(both, request);
    add(both, initial);
    g_assert_cmpuint(offer_all(relay, HVS_FROM_CLIENT, both), ==, request->len);
    g_assert_cmpint(relay->last[HVS_FROM_CLIENT], ==, HVS_NEGOTIATION_HOLD);
    g_assert_cmpuint(offer(relay, HVS_FROM_SERVER, confirm->data, 18), ==, 18);
    g_assert_cmpuint(offer_all(relay, HVS_FROM_CLIENT, initial), ==, 0);
    g_assert_cmpuint(offer(relay, HVS_FROM_SERVER, confirm->data + 18, 1), ==, 1);
    g_byte_array_set_size(relay->output[HVS_FROM_CLIENT], 0);
    g_assert_cmpuint(offer_all(relay, HVS_FROM_CLIENT, initial), ==, initial->len);
    assert_bytes(relay->output[HVS_FROM_CLIENT]->data, relay->output[HVS_FROM_CLIENT]->len,
                 patched->data, patched->len);
}

/* Nothing passes a failure before it is delivered, everything does afterwards. */
static void
test_failure_is_delivered_first(void)
{
    g_autoptr(Relay) relay = relay_new(HVS_REPLY_MIRROR, 0);
    g_autoptr(Bytes) request = connection_request(NEG_B);
    g_autoptr(Bytes) failure = connection_confirm(HYBRID_REQUIRED);
    size_t taken;

    offer_all(relay, HVS_FROM_CLIENT, request);
    g_byte_array_set_size(relay->output[HVS_FROM_CLIENT], 0);
    g_assert_cmpint(hvs_negotiation_feed(&relay->negotiation, HVS_FROM_SERVER, failure->data,
                                         failure->len, &taken),
                    ==, HVS_NEGOTIATION_PDU);
    hvs_negotiation_take_output(&relay->negotiation, HVS_FROM_SERVER, failure->len - 1);
    g_assert_false(hvs_negotiation_is_transparent(&relay->negotiation, HVS_FROM_SERVER));
    g_assert_false(hvs_negotiation_is_transparent(&relay->negotiation, HVS_FROM_CLIENT));
    g_assert_cmpuint(offer(relay, HVS_FROM_CLIENT, (const uint8_t *)"x", 1), ==, 0);
    g_assert_cmpint(relay->last[HVS_FROM_CLIENT], ==, HVS_NEGOTIATION_HOLD);
    hvs_negotiation_take_output(&relay->negotiation, HVS_FROM_SERVER, 1);
    g_assert_true(hvs_negotiation_is_transparent(&relay->negotiation, HVS_FROM_SERVER));
    g_assert_true(hvs_negotiation_is_transparent(&relay->negotiation, HVS_FROM_CLIENT));
    g_assert_cmpuint(offer(relay, HVS_FROM_CLIENT, (const uint8_t *)"x", 1), ==, 1);
    assert_bytes(relay->output[HVS_FROM_CLIENT]->data, relay->output[HVS_FROM_CLIENT]->len,
                 (const uint8_t *)"x", 1);
}

/* Feeding nothing changes nothing and tells how things stand. */
static void
test_empty_feed(void)
{
    g_autoptr(Relay) relay = relay_new(HVS_REPLY_MIRROR, 0);
    g_autoptr(Bytes) request = connection_request(NEG_B);
    size_t taken;

    g_assert_cmpint(hvs_negotiation_feed(&relay->negotiation, HVS_FROM_CLIENT, NULL, 0, &taken), ==,
                    HVS_NEGOTIATION_MORE);
    g_assert_cmpint(hvs_negotiation_feed(&relay->negotiation, HVS_FROM_SERVER, NULL, 0, &taken), ==,
                    HVS_NEGOTIATION_HOLD);
    hvs_negotiation_take_output(&relay->negotiation, HVS_FROM_CLIENT, 5);
    offer(relay, HVS_FROM_CLIENT, request->data, 10);
    hvs_negotiation_take_output(&relay->negotiation, HVS_FROM_CLIENT, 5);
    offer(relay, HVS_FROM_CLIENT, request->data + 10, 9);
    g_assert_cmpuint(relay->output[HVS_FROM_CLIENT]->len, ==, 19);
    g_assert_cmpint(hvs_negotiation_feed(&relay->negotiation, HVS_FROM_CLIENT, NULL, 0, &taken), ==,
                    HVS_NEGOTIATION_HOLD);
}

/* ---- TLS with the server -------------------------------------------------------------------- */

static void
feed_failure(struct relay *relay, const char *failure)
{
    g_autoptr(Bytes) confirm = connection_confirm(failure);
    size_t taken;

    g_assert_cmpint(hvs_negotiation_feed(&relay->negotiation, HVS_FROM_SERVER, confirm->data,
                                         confirm->len, &taken),
                    ==, HVS_NEGOTIATION_PDU);
    g_assert_cmpuint(taken, ==, confirm->len);
}

/* The server is asked again, the client hears of neither the refusal nor the TLS. */
static void
test_asks_for_tls(const void *data)
{
    bool mirrors = data != NULL;
    g_autoptr(Relay) relay = relay_new(mirrors ? HVS_REPLY_MIRROR : HVS_REPLY_PASSTHROUGH, 0);
    g_autoptr(Bytes) request = connection_request(COOKIE NEG_B);
    g_autoptr(Bytes) again = connection_request(COOKIE NEG_B);
    g_autoptr(Bytes) confirm = connection_confirm(RSP_0);
    g_autoptr(Bytes) told = connection_confirm(RSP_0);
    g_autoptr(Bytes) cs = client_blocks(CS_CORE_LENGTH, mirrors ? 8 : 0);
    g_autoptr(Bytes) cs_as_sent = client_blocks(CS_CORE_LENGTH, HVS_PROTOCOL_SSL);
    g_autoptr(Bytes) initial = connect_initial(cs, BER_LONG_2);
    g_autoptr(Bytes) initial_as_sent = connect_initial(cs_as_sent, BER_LONG_2);
    size_t taken;

    put_u32(again, again->len - 4, HVS_PROTOCOL_SSL);
    put_u32(confirm, 15, HVS_PROTOCOL_SSL);
    put_u32(told, 15, mirrors ? 8 : 0);
    offer_all(relay, HVS_FROM_CLIENT, request);
    g_assert_false(hvs_negotiation_can_ask_for_tls(&relay->negotiation));
    feed_failure(relay, SSL_REQUIRED);
    g_assert_true(hvs_negotiation_can_ask_for_tls(&relay->negotiation));
    hvs_negotiation_ask_for_tls(&relay->negotiation);
    g_assert_false(hvs_negotiation_can_ask_for_tls(&relay->negotiation));
    g_assert_cmpuint(relay->negotiation.facts.failure_code, ==, 0);
    g_assert_false(hvs_negotiation_is_within_tls(&relay->negotiation));

    g_byte_array_set_size(relay->output[HVS_FROM_CLIENT], 0);
    take_output(relay, HVS_FROM_CLIENT);
    assert_bytes(relay->output[HVS_FROM_CLIENT]->data, relay->output[HVS_FROM_CLIENT]->len,
                 again->data, again->len);
    g_assert_cmpint(hvs_negotiation_feed(&relay->negotiation, HVS_FROM_CLIENT, initial->data,
                                         initial->len, &taken),
                    ==, HVS_NEGOTIATION_HOLD);

    offer_all(relay, HVS_FROM_SERVER, confirm);
    g_assert_true(hvs_negotiation_is_within_tls(&relay->negotiation));
    g_assert_cmpuint(relay->negotiation.facts.selected_protocol, ==, HVS_PROTOCOL_SSL);
    assert_bytes(relay->output[HVS_FROM_SERVER]->data, relay->output[HVS_FROM_SERVER]->len,
                 told->data, told->len);
    g_byte_array_set_size(relay->output[HVS_FROM_CLIENT], 0);
    offer_all(relay, HVS_FROM_CLIENT, initial);
    assert_bytes(relay->output[HVS_FROM_CLIENT]->data, relay->output[HVS_FROM_CLIENT]->len,
                 initial_as_sent->data, initial_as_sent->len);
}

/* Once only, only of servers that want TLS, only for clients that can be answered otherwise, and
 * not when the refusal is on its way to the client. */
static void
test_does_not_ask_for_tls(void)
{
    static const struct {
        uint32_t request_as;
        const char *request, *failure;
        bool taken;
    } cases[] = {
        { HVS_PROTOCOL_RDP, NEG_B, HYBRID_REQUIRED, false },
        { HVS_PROTOCOL_RDP, COOKIE, SSL_REQUIRED, false },
        { HVS_PROTOCOL_SSL, NEG_B, SSL_REQUIRED, false },
        { HVS_PROTOCOL_RDP, NEG_B, SSL_REQUIRED, true },
        { HVS_PROTOCOL_RDP, NEG_B, SSL_NOT_ALLOWED, false },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(Relay) relay = relay_new(HVS_REPLY_MIRROR, cases[i].request_as);
        g_autoptr(Bytes) request = connection_request(cases[i].request);

        offer_all(relay, HVS_FROM_CLIENT, request);
        feed_failure(relay, cases[i].failure);
        if (cases[i].taken) {
            hvs_negotiation_take_output(&relay->negotiation, HVS_FROM_SERVER, 1);
        }
        g_assert_false(hvs_negotiation_can_ask_for_tls(&relay->negotiation));
    }
}

/* Both streams of a whole session, and what has to come out of the other ends. */
struct session {
    enum hvs_reply_mode reply;
    uint32_t request_as;
    GByteArray *in[HVS_DIRECTIONS], *out[HVS_DIRECTIONS];
};

static GByteArray *
random_request(bool after, uint32_t protocols, uint32_t request_as, bool cookie)
{
    GByteArray *pdu = connection_request(cookie ? COOKIE NEG_B : NEG_B);

    put_u32(pdu, pdu->len - 4, after ? request_as : protocols);
    return pdu;
}

static struct session
random_session(void)
{
    static const uint32_t requested[] = { 0, 1, 3, 0x0b, 0x0b, 0x1f, 4 };
    static const uint32_t answered[] = { 0, 1, 2, 8, 8, 8, 0 };
    size_t which = (size_t)g_test_rand_int_range(0, G_N_ELEMENTS(requested));
    bool mirrors = g_test_rand_bit() && answered[which] != 0;
    bool bare = g_test_rand_bit(), cookie = g_test_rand_bit(), tls = g_test_rand_bit();
    enum ber_form form = (enum ber_form)g_test_rand_int_range(BER_LONG_2, BER_LONG_4 + 1);
    struct session session = { .reply = mirrors ? HVS_REPLY_MIRROR : HVS_REPLY_PASSTHROUGH,
                               .request_as = tls ? HVS_PROTOCOL_SSL : HVS_PROTOCOL_RDP };

    for (unsigned after = 0; after < 2; after++) {
        GByteArray *client =
            random_request(after, requested[which], session.request_as, cookie);
        GByteArray *server = connection_confirm(bare && !tls && !(after && mirrors) ? "" : RSP_0);
        uint32_t told = mirrors ? answered[which] : 0;
        uint32_t echoed = after ? mirrors ? requested[which] : 0 : session.request_as;
        g_autoptr(Bytes) cs = client_blocks(CS_CORE_LENGTH, after ? session.request_as : told);
        g_autoptr(Bytes) sc = server_blocks(12, echoed, mirrors ? 0 : 2, mirrors ? 0 : 3);
        g_autoptr(Bytes) initial = connect_initial(cs, form);
        g_autoptr(Bytes) response = connect_response(sc, form, "2a");

        if (server->len == 19) {
            put_u32(server, 15, after ? told : session.request_as);
        }
        add(client, initial);
        add(server, response);
        for (unsigned i = 0; i < 500; i++) {
            add_byte(client, i * 3);
            add_byte(server, i * 5);
        }
        (after ? session.out : session.in)[HVS_FROM_CLIENT] = client;
        (after ? session.out : session.in)[HVS_FROM_SERVER] = server;
    }
    return session;
}

static size_t
random_piece(size_t left, int most)
{
    size_t piece = (size_t)g_test_rand_int_range(0, most);

    return MIN(left, piece);
}

/* Random sessions in random pieces, the directions interleaved at random. */
static void
test_random_splits(void)
{
    for (unsigned round = 0; round < 2000; round++) {
        struct session session = random_session();
        g_autoptr(Relay) relay = relay_new(session.reply, session.request_as);
        size_t used[HVS_DIRECTIONS] = { 0, 0 };
        int most = g_test_rand_bit() ? 8 : 600;

        while (used[0] < session.in[0]->len || used[1] < session.in[1]->len) {
            unsigned i = g_test_rand_bit() ? 1 : 0;
            size_t left = session.in[i]->len - used[i];
            size_t piece = random_piece(left, most);

            used[i] += offer(relay, (enum hvs_direction)i, session.in[i]->data + used[i], piece);
            g_assert_cmpint(relay->negotiation.error, ==, HVS_NEGOTIATION_OK);
        }
        for (unsigned i = 0; i < HVS_DIRECTIONS; i++) {
            assert_bytes(relay->output[i]->data, relay->output[i]->len, session.out[i]->data,
                         session.out[i]->len);
            g_byte_array_unref(session.in[i]);
            g_byte_array_unref(session.out[i]);
        }
    }
}

/* Whatever comes: nothing is lost, nothing invented but the 8 bytes of an RDP_NEG_RSP. */
static void
test_mutated(void)
{
    for (unsigned round = 0; round < 10000; round++) {
        struct session session = random_session();
        g_autoptr(Relay) relay = relay_new(session.reply, session.request_as);
        size_t used[HVS_DIRECTIONS] = { 0, 0 };

        for (int left = g_test_rand_int_range(1, 6); left > 0; left--) {
            GByteArray *in = session.in[g_test_rand_bit() ? 1 : 0];
            /* Most of the structure is in front. */
            int at = g_test_rand_int_range(0, g_test_rand_bit() ? 11 : (int)in->len);

            in->data[at] = (guint8)g_test_rand_int_range(0, 0x100);
        }
        for (unsigned step = 0; step < 12; step++) {
            unsigned i = step % 2;
            size_t left = session.in[i]->len - used[i];
            size_t piece = random_piece(left, 800);

            used[i] += offer(relay, (enum hvs_direction)i, session.in[i]->data + used[i], piece);
            g_assert_cmpuint(relay->output[i]->len, <=, used[i] + (i == HVS_FROM_SERVER ? 8 : 0));
        }
        for (unsigned i = 0; i < HVS_DIRECTIONS; i++) {
            g_byte_array_unref(session.in[i]);
            g_byte_array_unref(session.out[i]);
        }
    }
}

/* ---- words --------------------------------------------------------------------------------- */

static void
test_strings(void)
{
    for (int error = HVS_NEGOTIATION_OK; error <= HVS_SERVER_ENCRYPTS; error++) {
        const char *clause = hvs_negotiation_error_to_string((enum hvs_negotiation_error)error);

        g_assert_cmpuint(strlen(clause), >, 5);
        g_assert_false(g_str_has_suffix(clause, "."));
        for (int other = HVS_NEGOTIATION_OK; other < error; other++) {
            g_assert_cmpstr(clause, !=,
                            hvs_negotiation_error_to_string((enum hvs_negotiation_error)other));
        }
    }
    g_assert_nonnull(hvs_negotiation_error_to_string((enum hvs_negotiation_error)99));
    g_assert_nonnull(strstr(hvs_negotiation_failure_to_string(1), "SSL_REQUIRED_BY_SERVER"));
    g_assert_nonnull(strstr(hvs_negotiation_failure_to_string(2), "SSL_NOT_ALLOWED_BY_SERVER"));
    g_assert_nonnull(strstr(hvs_negotiation_failure_to_string(3), "SSL_CERT_NOT_ON_SERVER"));
    g_assert_nonnull(strstr(hvs_negotiation_failure_to_string(4), "INCONSISTENT_FLAGS"));
    g_assert_nonnull(strstr(hvs_negotiation_failure_to_string(5), "HYBRID_REQUIRED_BY_SERVER"));
    g_assert_nonnull(strstr(hvs_negotiation_failure_to_string(6), "SSL_WITH_USER_AUTH_REQUIRED"));
    g_assert_nonnull(hvs_negotiation_failure_to_string(0));
    g_assert_nonnull(hvs_negotiation_failure_to_string(7));
    g_assert_nonnull(hvs_negotiation_failure_to_string(UINT32_MAX));
}

static void
test_protocols(void)
{
    static const struct {
        uint32_t protocols;
        const char *words;
    } cases[] = {
        { 0, "RDP" },
        { 1, "SSL" },
        { 3, "SSL|HYBRID" },
        { 0x0b, "SSL|HYBRID|HYBRID_EX" },
        { 0x1f, "SSL|HYBRID|RDSTLS|HYBRID_EX|RDSAAD" },
        { 0x10b, "SSL|HYBRID|HYBRID_EX|0x100" },
        { 0x80000000, "0x80000000" },
        { 0xffffffff, "SSL|HYBRID|RDSTLS|HYBRID_EX|RDSAAD|0xffffffe0" },
    };
    char buffer[64];

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_assert_true(hvs_protocols_to_string(cases[i].protocols, buffer, sizeof buffer) == buffer);
        g_assert_cmpstr(buffer, ==, cases[i].words);
    }
    for (size_t size = 1; size < 45; size++) {
        g_autofree char *exact = g_malloc(size);

        hvs_protocols_to_string(0xffffffff, exact, size);
        g_assert_cmpuint(strlen(exact), <, size);
        g_assert_true(g_str_has_prefix(cases[7].words, exact));
    }
}

#define ADD_TABLE(prefix, table, function)                                                         \
    for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {                                             \
        g_autofree char *path = g_strconcat(prefix, (table)[i].name, NULL);                        \
        g_test_add_data_func(path, &(table)[i], function);                                         \
    }

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD_TABLE("/x224/request/", request_cases, test_request);
    g_test_add_func("/x224/request/limit", test_request_limit);
    g_test_add_func("/x224/request/ignored-fields", test_request_ignored_fields);
    ADD_TABLE("/x224/request/refused/", request_refusals, test_request_refusal);
    g_test_add_func("/x224/request/refused/dump", test_request_dump);
    ADD_TABLE("/x224/confirm/", confirm_cases, test_confirm);
    ADD_TABLE("/x224/confirm/refused/", confirm_refusals, test_confirm_refusal);
    g_test_add_func("/x224/initial/size", test_initial_size);
    g_test_add_func("/x224/initial/selected-protocol", test_initial_patched);
    g_test_add_func("/x224/initial/short-core", test_initial_short_core);
    g_test_add_func("/x224/initial/block-order", test_initial_block_order);
    g_test_add_func("/x224/initial/client", test_initial_client);
    g_test_add_func("/x224/initial/without-core", test_initial_without_core);
    g_test_add_func("/x224/initial/ber-forms", test_initial_ber_forms);
    g_test_add_func("/x224/initial/ber-too-long-form", test_initial_ber_too_long_form);
    g_test_add_func("/x224/initial/conference-name", test_initial_conference_name);
    g_test_add_func("/x224/initial/limit", test_initial_limit);
    ADD_TABLE("/x224/initial/malformed/", initial_malformed, test_initial_malformed);
    ADD_TABLE("/x224/initial/refused/", initial_refusals, test_initial_refusal);
    g_test_add_func("/x224/response/size", test_response_size);
    g_test_add_func("/x224/response/mirrored", test_response_mirrored);
    g_test_add_func("/x224/response/early", test_response_early);
    g_test_add_func("/x224/response/encrypts/mirrored", test_response_encrypts);
    g_test_add_func("/x224/response/encrypts/not-mirrored", test_response_encrypts_unmirrored);
    g_test_add_func("/x224/response/core-lengths", test_response_core_lengths);
    g_test_add_func("/x224/response/wrong-connect-pdu-length",
                    test_response_wrong_connect_pdu_length);
    g_test_add_func("/x224/response/old-windows", test_response_old_windows);
    g_test_add_func("/x224/response/xrdp", test_response_xrdp);
    g_test_add_func("/x224/response/ber-forms", test_response_ber_forms);
    g_test_add_func("/x224/response/block-order", test_response_block_order);
    ADD_TABLE("/x224/response/malformed/", response_malformed, test_response_malformed);
    ADD_TABLE("/x224/response/refused/", response_refusals, test_response_refusal);
    g_test_add_func("/x224/walk/cut", test_walk_cut);
    g_test_add_func("/x224/walk/mutated", test_walk_mutated);
    g_test_add_func("/x224/stream/hold", test_hold);
    g_test_add_func("/x224/stream/failure-is-delivered-first", test_failure_is_delivered_first);
    g_test_add_func("/x224/stream/empty-feed", test_empty_feed);
    g_test_add_data_func("/x224/tls/asked-for/mirrored", "mirrored", test_asks_for_tls);
    g_test_add_data_func("/x224/tls/asked-for/passed-through", NULL, test_asks_for_tls);
    g_test_add_func("/x224/tls/not-asked-for", test_does_not_ask_for_tls);
    g_test_add_func("/x224/stream/random-splits", test_random_splits);
    g_test_add_func("/x224/stream/mutated", test_mutated);
    g_test_add_func("/x224/strings/errors", test_strings);
    g_test_add_func("/x224/strings/protocols", test_protocols);
    return g_test_run();
}

#include "mcs.h"
#include "wire.h"

#include <string.h>

/* T.125 section 7: Connect-Initial is [APPLICATION 101], Connect-Response [APPLICATION 102], both
 * constructed; a tag number above 30 has an octet of its own (X.690 8.1.2.4). */
#define BER_APPLICATION      0x7f
#define MCS_CONNECT_INITIAL  0x65
#define MCS_CONNECT_RESPONSE 0x66
/* X.690 section 8: universal tags */
#define BER_BOOLEAN      0x01
#define BER_INTEGER      0x02
#define BER_OCTET_STRING 0x04
#define BER_ENUMERATED   0x0a
#define BER_SEQUENCE     0x30

/* What is left to read of one element; the innermost one that encloses the read is the limit. */
struct cursor {
    const uint8_t *at;
    size_t left;
};

static bool
take(struct cursor *cursor, size_t length, const uint8_t **bytes)
{
    if (length > cursor->left) {
        return false;
    }
    *bytes = cursor->at;
    cursor->at += length;
    cursor->left -= length;
    return true;
}

static bool
take_byte(struct cursor *cursor, uint8_t *byte)
{
    const uint8_t *bytes;

    if (!take(cursor, 1, &bytes)) {
        return false;
    }
    *byte = bytes[0];
    return true;
}

static bool
expect(struct cursor *cursor, const uint8_t *expected, size_t length)
{
    const uint8_t *bytes;

    return take(cursor, length, &bytes) && memcmp(bytes, expected, length) == 0;
}

/* X.690 8.1.3: short form, or long form of up to four octets. The indefinite form is not for
 * [MS-RDPBCGR] ("using definite-length encoding"). */
static bool
take_ber_length(struct cursor *cursor, size_t *length)
{
    const uint8_t *octets;
    uint8_t first;

    if (!take_byte(cursor, &first)) {
        return false;
    }
    if (first < 0x80) {
        *length = first;
        return true;
    }
    if (first == 0x80 || first > 0x84 || !take(cursor, first & 0x7fu, &octets)) {
        return false;
    }
    *length = 0;
    for (unsigned i = 0; i < (first & 0x7fu); i++) {
        *length = *length << 8 | octets[i];
    }
    return true;
}

/* The contents of the next element, which has to have that one-octet tag. */
static bool
take_ber(struct cursor *cursor, uint8_t tag, struct cursor *contents)
{
    uint8_t found;

    return take_byte(cursor, &found) && found == tag && take_ber_length(cursor, &contents->left) &&
           take(cursor, contents->left, &contents->at);
}

static bool
skip_ber(struct cursor *cursor, uint8_t tag)
{
    struct cursor contents;

    return take_ber(cursor, tag, &contents);
}

/* Connect-Initial or Connect-Response itself. */
static bool
take_ber_application(struct cursor *cursor, uint8_t number, struct cursor *contents)
{
    uint8_t class_and_form;

    return take_byte(cursor, &class_and_form) && class_and_form == BER_APPLICATION &&
           take_ber(cursor, number, contents);
}

/* X.691 10.9.3: a length in one octet, or in the 14 bits of two. Longer than that is longer than a
 * PDU here can be. */
static bool
take_per_length(struct cursor *cursor, size_t *length)
{
    uint8_t first, second;

    if (!take_byte(cursor, &first)) {
        return false;
    }
    if (first < 0x80) {
        *length = first;
        return true;
    }
    if (first >= 0xc0 || !take_byte(cursor, &second)) {
        return false;
    }
    *length = (size_t)(first & 0x3f) << 8 | second;
    return true;
}

/* T.124 ConnectData: t124Identifier, an OBJECT IDENTIFIER, then connectPDU, an OCTET STRING.
 *
 * The length of connectPDU is read and ignored: servers up to this day send a constant 42 whatever
 * follows. What bounds the contents is the OCTET STRING of T.125 around all this. */
static bool
take_connect_data(struct cursor *cursor)
{
    /* Choice "object", 5 octets: { itu-t recommendation t 124 version(0) 1 } */
    static const uint8_t identifier[] = { 0x00, 0x05, 0x00, 0x14, 0x7c, 0x00, 0x01 };
    size_t ignored;

    return expect(cursor, identifier, sizeof identifier) && take_per_length(cursor, &ignored);
}

/* T.124 UserData: one set with an H.221 key of four octets and a value, the user data blocks. */
static bool
take_user_data(struct cursor *cursor, const char key[4], struct cursor *blocks)
{
    /* One set; value present and choice "h221NonStandard" in the upper two bits; then the length of
     * the key, 4 … 255, less 4, in eight bits; filled up to an octet. */
    static const uint8_t preamble[] = { 0x01, 0xc0, 0x00 };

    return expect(cursor, preamble, sizeof preamble) && expect(cursor, (const uint8_t *)key, 4) &&
           take_per_length(cursor, &blocks->left) && take(cursor, blocks->left, &blocks->at);
}

/* T.124 ConferenceCreateRequest up to its userData.
 *
 * The first two octets: choice "conferenceCreateRequest" of ConnectGCCPDU and its extension bit;
 * extension bit of the sequence and eight bits for its optional members, of which only userData is
 * there; extension bit of ConferenceName and one bit for its optional text, absent; the first of
 * the eight bits of the length of the numeric name. */
static bool
take_create_request(struct cursor *cursor)
{
    const uint8_t *octets, *name;
    size_t digits, bits;

    if (!take(cursor, 3, &octets) || octets[0] != 0x00 || (octets[1] & 0xfe) != 0x08) {
        return false;
    }
    /* 1 … 255 digits of four bits each, then three booleans, and terminationMethod in two bits */
    digits = ((octets[1] & 0x01u) << 7 | octets[2] >> 1) + 1u;
    bits = 4 * digits + 5;
    return take(cursor, (bits + 7) / 8, &name);
}

/* T.124 ConferenceCreateResponse up to its userData. */
static bool
take_create_response(struct cursor *cursor)
{
    const uint8_t *octets;
    size_t tag_length;

    /* Choice "conferenceCreateResponse", no extension, userData present; nodeID in two octets */
    if (!take(cursor, 3, &octets) || octets[0] != 0x14) {
        return false;
    }
    /* tag, an unconstrained INTEGER; result, an ENUMERATED in one octet */
    return take_per_length(cursor, &tag_length) && take(cursor, tag_length, &octets) &&
           take(cursor, 1, &octets);
}

static struct hvs_mcs_span
span_of(const struct cursor *cursor, const uint8_t *pdu)
{
    return (struct hvs_mcs_span){ (size_t)(cursor->at - pdu), cursor->left };
}

/* T.125 Connect-Initial up to the contents of its userData. */
static bool
take_connect_initial(struct cursor *cursor, struct cursor *user_data)
{
    struct cursor initial;

    return take_ber_application(cursor, MCS_CONNECT_INITIAL, &initial) &&
           skip_ber(&initial, BER_OCTET_STRING) && /* callingDomainSelector */
           skip_ber(&initial, BER_OCTET_STRING) && /* calledDomainSelector */
           skip_ber(&initial, BER_BOOLEAN) &&      /* upwardFlag */
           skip_ber(&initial, BER_SEQUENCE) &&     /* targetParameters */
           skip_ber(&initial, BER_SEQUENCE) &&     /* minimumParameters */
           skip_ber(&initial, BER_SEQUENCE) &&     /* maximumParameters */
           take_ber(&initial, BER_OCTET_STRING, user_data);
}

/* T.125 Connect-Response up to the contents of its userData. */
static bool
take_connect_response(struct cursor *cursor, struct cursor *user_data)
{
    struct cursor response;

    return take_ber_application(cursor, MCS_CONNECT_RESPONSE, &response) &&
           skip_ber(&response, BER_ENUMERATED) && /* result */
           skip_ber(&response, BER_INTEGER) &&    /* calledConnectId */
           skip_ber(&response, BER_SEQUENCE) &&   /* domainParameters */
           take_ber(&response, BER_OCTET_STRING, user_data);
}

enum hvs_negotiation_error
hvs_mcs_read_connect_initial(const uint8_t *pdu, size_t length, size_t offset,
                             struct hvs_mcs_span *blocks)
{
    struct cursor cursor = { pdu + offset, length - offset };
    struct cursor user_data, values;

    if (!take_connect_initial(&cursor, &user_data)) {
        return HVS_MCS_MALFORMED;
    }
    if (!take_connect_data(&user_data) || !take_create_request(&user_data) ||
        !take_user_data(&user_data, "Duca", &values)) {
        return HVS_GCC_MALFORMED;
    }
    *blocks = span_of(&values, pdu);
    return HVS_NEGOTIATION_OK;
}

enum hvs_negotiation_error
hvs_mcs_read_connect_response(const uint8_t *pdu, size_t length, size_t offset,
                              struct hvs_mcs_span *blocks)
{
    struct cursor cursor = { pdu + offset, length - offset };
    struct cursor user_data, values;

    if (!take_connect_response(&cursor, &user_data)) {
        return HVS_MCS_MALFORMED;
    }
    if (!take_connect_data(&user_data) || !take_create_response(&user_data) ||
        !take_user_data(&user_data, "McDn", &values)) {
        return HVS_GCC_MALFORMED;
    }
    *blocks = span_of(&values, pdu);
    return HVS_NEGOTIATION_OK;
}

/* [MS-RDPBCGR] 2.2.1.3.1 User Data Header: u16 type, u16 length, this header included. */
enum hvs_negotiation_error
hvs_mcs_find_block(const uint8_t *pdu, struct hvs_mcs_span blocks, uint16_t type,
                   struct hvs_mcs_span *block)
{
    struct cursor cursor = { pdu + blocks.offset, blocks.length };

    *block = (struct hvs_mcs_span){ 0, 0 };
    while (cursor.left > 0) {
        const uint8_t *header, *rest;
        size_t length;

        if (!take(&cursor, 4, &header)) {
            return HVS_GCC_MALFORMED;
        }
        length = hvs_read_u16_le(header + 2);
        if (length < 4 || !take(&cursor, length - 4, &rest)) {
            return HVS_GCC_MALFORMED;
        }
        if (hvs_read_u16_le(header) == type) {
            if (block->length != 0) {
                return HVS_GCC_MALFORMED;
            }
            *block = (struct hvs_mcs_span){ (size_t)(header - pdu), length };
        }
    }
    return HVS_NEGOTIATION_OK;
}

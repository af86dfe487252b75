#include "x224.h"
#include "mcs.h"
#include "text.h"
#include "wire.h"

#include <string.h>

/* T.123 section 8, TPKT: version 3, reserved, u16 length big endian, this header included. */
#define TPKT_HEADER_SIZE 4u
#define TPKT_VERSION     3
/* X.224 section 13: the length indicator, which counts what follows it, and the TPDU code. */
#define X224_LENGTH_INDICATOR        4
#define X224_CODE                    5
#define X224_CODE_CONNECTION_REQUEST 0xe0 /* 13.3; the low half of the octet is the credit */
#define X224_CODE_CONNECTION_CONFIRM 0xd0 /* 13.4; likewise */
#define X224_CODE_DATA               0xf0 /* 13.7, class 0: the whole octet */
#define X224_END_OF_TSDU             6    /* offset of the EOT octet of a Data TPDU */
/* TPKT and X.224 header together, without a variable part */
#define CONNECTION_HEADER_SIZE 11u
#define DATA_HEADER_SIZE       7u
/* The length indicator is at most 254. */
#define CONNECTION_PDU_MAX 259u

/* [MS-RDPBCGR] 2.2.1.1.1 RDP_NEG_REQ, 2.2.1.2.1 RDP_NEG_RSP, 2.2.1.2.2 RDP_NEG_FAILURE:
 * u8 type, u8 flags, u16 length, u32 requestedProtocols, selectedProtocol or failureCode */
#define NEG_SIZE                                 8u
#define NEG_TYPE                                 0
#define NEG_FLAGS                                1
#define NEG_LENGTH                               2
#define NEG_VALUE                                4
#define TYPE_RDP_NEG_REQ                         0x01
#define TYPE_RDP_NEG_RSP                         0x02
#define TYPE_RDP_NEG_FAILURE                     0x03
#define SSL_REQUIRED_BY_SERVER                   0x01
#define RESTRICTED_ADMIN_MODE_REQUIRED           0x01
#define REDIRECTED_AUTHENTICATION_MODE_REQUIRED  0x02
#define CORRELATION_INFO_PRESENT                 0x08
#define RESTRICTED_ADMIN_MODE_SUPPORTED          0x08
#define REDIRECTED_AUTHENTICATION_MODE_SUPPORTED 0x10
/* [MS-RDPBCGR] 2.2.1.1.2 RDP_NEG_CORRELATION_INFO: type, flags, u16 length, id, reserved */
#define CORRELATION_INFO_SIZE     36u
#define TYPE_RDP_CORRELATION_INFO 0x06

/* [MS-RDPBCGR] 2.2.1.3.2 and 2.2.1.4.2 to .3: block types, and offsets from the block's header */
#define CS_CORE                            0xc001
#define CS_CORE_SERVER_SELECTED_PROTOCOL   212u
#define CS_NET                             0xc003
#define SC_CORE                            0x0c01
#define SC_CORE_CLIENT_REQUESTED_PROTOCOLS 8u
#define SC_SECURITY                        0x0c02
#define SC_SECURITY_ENCRYPTION_METHOD      4u
#define SC_SECURITY_ENCRYPTION_LEVEL       8u
#define SC_SECURITY_SIZE                   12u

/* Bytes of a failed PDU that are kept for the hex dump, if that many were fed. */
#define FAILED_PDU_DUMP 64u

/* Which PDU is due. */
enum stage {
    STAGE_CONNECTION, /* X.224 Connection Request, Connection Confirm */
    STAGE_MCS,        /* MCS Connect Initial, Connect Response */
    STAGE_ENDING,     /* client only: transparent once the last confirm is delivered */
    STAGE_TRANSPARENT,
};

void
hvs_negotiation_init(struct hvs_negotiation *negotiation, enum hvs_reply_mode reply,
                     uint32_t request_as)
{
    memset(negotiation, 0, sizeof *negotiation);
    negotiation->reply = reply;
    negotiation->request_as = request_as;
}

/* What a Windows guest answers: the strongest protocol that was asked for. The others are not for
 * clients of Hyper-V. */
static uint32_t
mirrored_protocol(const struct hvs_negotiation *negotiation)
{
    static const uint32_t by_strength[] = {
        HVS_PROTOCOL_HYBRID_EX,
        HVS_PROTOCOL_HYBRID,
        HVS_PROTOCOL_SSL,
    };

    for (size_t i = 0; i < sizeof by_strength / sizeof by_strength[0]; i++) {
        if ((negotiation->facts.requested_protocols & by_strength[i]) != 0) {
            return by_strength[i];
        }
    }
    return HVS_PROTOCOL_RDP;
}

/* Whether the client is told something else than the truth. A client that asked for nothing but
 * plain RDP, or for nothing at all, is not. */
static bool
is_mirrored(const struct hvs_negotiation *negotiation)
{
    return negotiation->reply == HVS_REPLY_MIRROR &&
           mirrored_protocol(negotiation) != HVS_PROTOCOL_RDP;
}

/* Nothing is left to change. The client's side follows when the confirm has been delivered, so that
 * what the client sends next meets a relay whose other half has settled, too. */
static void
end_with_confirm(struct hvs_negotiation *negotiation)
{
    negotiation->stream[HVS_FROM_SERVER].stage = STAGE_TRANSPARENT;
    negotiation->stream[HVS_FROM_CLIENT].stage = STAGE_ENDING;
}

/* X.224 13.3 and 13.4: header of a Connection Request or Connection Confirm. */
static enum hvs_negotiation_error
check_connection_header(const struct hvs_negotiation_stream *stream, uint8_t code)
{
    if (stream->pdu[X224_LENGTH_INDICATOR] != stream->length - 5) {
        return HVS_X224_BAD_LENGTH_INDICATOR;
    }
    if ((stream->pdu[X224_CODE] & 0xf0) != code) {
        return HVS_X224_BAD_CODE;
    }
    return HVS_NEGOTIATION_OK;
}

/* X.224 13.7: header of a Data TPDU. Without the EOT bit the MCS PDU would go on in another TPKT,
 * which no RDP peer does. */
static enum hvs_negotiation_error
check_data_header(const struct hvs_negotiation_stream *stream)
{
    if (stream->pdu[X224_LENGTH_INDICATOR] != 2) {
        return HVS_X224_BAD_LENGTH_INDICATOR;
    }
    if (stream->pdu[X224_CODE] != X224_CODE_DATA || stream->pdu[X224_END_OF_TSDU] != 0x80) {
        return HVS_X224_BAD_CODE;
    }
    return HVS_NEGOTIATION_OK;
}

/* [MS-RDPBCGR] 2.2.1.1 routingToken or cookie: text that ends with CR LF. *end is behind it, or
 * where it began if there is none. No text begins with the type of RDP_NEG_REQ, 1. */
static enum hvs_negotiation_error
skip_token(const struct hvs_negotiation_stream *stream, uint32_t *end)
{
    const uint8_t *pdu = stream->pdu;

    *end = CONNECTION_HEADER_SIZE;
    if (*end == stream->length || pdu[*end] == TYPE_RDP_NEG_REQ) {
        return HVS_NEGOTIATION_OK;
    }
    for (uint32_t i = *end; i + 1 < stream->length; i++) {
        if (pdu[i] == '\r' && pdu[i + 1] == '\n') {
            *end = i + 2;
            return HVS_NEGOTIATION_OK;
        }
    }
    return HVS_REQUEST_TOKEN_UNTERMINATED;
}

/* [MS-RDPBCGR] 2.2.1.1.1 RDP_NEG_REQ at the offset, and that what follows is exactly what its flags
 * announce: 2.2.1.1.2 RDP_NEG_CORRELATION_INFO or nothing. */
static enum hvs_negotiation_error
check_negotiation_request(const struct hvs_negotiation_stream *stream, uint32_t offset)
{
    const uint8_t *request = stream->pdu + offset;
    const uint8_t *rest = request + NEG_SIZE;
    uint32_t available = stream->length - offset;

    if (request[NEG_TYPE] != TYPE_RDP_NEG_REQ) {
        return HVS_REQUEST_TRAILING_BYTES;
    }
    if (available >= NEG_VALUE && hvs_read_u16_le(request + NEG_LENGTH) != NEG_SIZE) {
        return HVS_REQUEST_BAD_NEG_LENGTH;
    }
    if (available < NEG_SIZE) {
        return HVS_REQUEST_NEG_CUT_SHORT;
    }
    available -= NEG_SIZE;
    if ((request[NEG_FLAGS] & CORRELATION_INFO_PRESENT) == 0) {
        return available == 0 ? HVS_NEGOTIATION_OK : HVS_REQUEST_TRAILING_BYTES;
    }
    if (available != CORRELATION_INFO_SIZE || rest[NEG_TYPE] != TYPE_RDP_CORRELATION_INFO ||
        hvs_read_u16_le(rest + NEG_LENGTH) != CORRELATION_INFO_SIZE) {
        return HVS_REQUEST_BAD_CORRELATION;
    }
    return HVS_NEGOTIATION_OK;
}

/* [MS-RDPBCGR] 2.2.1.1 Client X.224 Connection Request PDU.
 *
 * The server sees our requestedProtocols, and not the two flags that promise a way of logging on
 * which only CredSSP has: servers refuse them without it. The length stays. */
static enum hvs_negotiation_error
take_connection_request(struct hvs_negotiation *negotiation, struct hvs_negotiation_stream *stream)
{
    struct hvs_negotiation_facts *facts = &negotiation->facts;
    enum hvs_negotiation_error error;
    uint8_t *request;
    uint32_t offset;

    error = check_connection_header(stream, X224_CODE_CONNECTION_REQUEST);
    if (error == HVS_NEGOTIATION_OK) {
        error = skip_token(stream, &offset);
    }
    if (error == HVS_NEGOTIATION_OK && offset < stream->length) {
        error = check_negotiation_request(stream, offset);
    }
    if (error != HVS_NEGOTIATION_OK) {
        return error;
    }

    facts->request_seen = true;
    if (offset == stream->length) {
        stream->stage = STAGE_TRANSPARENT;
        return HVS_NEGOTIATION_OK;
    }
    request = stream->pdu + offset;
    facts->request_has_protocols = true;
    facts->requested_protocols = hvs_read_u32_le(request + NEG_VALUE);
    facts->request_flags = request[NEG_FLAGS];
    request[NEG_FLAGS] &=
        (uint8_t) ~(RESTRICTED_ADMIN_MODE_REQUIRED | REDIRECTED_AUTHENTICATION_MODE_REQUIRED);
    hvs_write_u32_le(request + NEG_VALUE, negotiation->request_as);
    negotiation->request_length = stream->length;
    negotiation->request_offset = offset;
    stream->stage = STAGE_MCS;
    return HVS_NEGOTIATION_OK;
}

bool
hvs_negotiation_can_ask_for_tls(const struct hvs_negotiation *negotiation)
{
    return negotiation->error == HVS_NEGOTIATION_OK &&
           negotiation->facts.failure_code == SSL_REQUIRED_BY_SERVER &&
           negotiation->facts.request_has_protocols &&
           negotiation->request_as == HVS_PROTOCOL_RDP &&
           negotiation->stream[HVS_FROM_SERVER].output > 0 &&
           negotiation->stream[HVS_FROM_SERVER].output_taken == 0;
}

/* The request is where it was: the client's bytes are held while the confirm is not delivered. */
void
hvs_negotiation_ask_for_tls(struct hvs_negotiation *negotiation)
{
    struct hvs_negotiation_stream *client = &negotiation->stream[HVS_FROM_CLIENT];
    struct hvs_negotiation_stream *server = &negotiation->stream[HVS_FROM_SERVER];

    negotiation->request_as = HVS_PROTOCOL_SSL;
    hvs_write_u32_le(client->pdu + negotiation->request_offset + NEG_VALUE,
                     negotiation->request_as);
    client->filled = client->length = client->output = negotiation->request_length;
    client->output_taken = 0;
    client->stage = STAGE_MCS;
    server->filled = server->length = server->output = server->output_taken = 0;
    server->stage = STAGE_CONNECTION;
    negotiation->facts.confirm_seen = false;
    negotiation->facts.failure_code = 0;
}

bool
hvs_negotiation_is_within_tls(const struct hvs_negotiation *negotiation)
{
    return negotiation->request_as == HVS_PROTOCOL_SSL && negotiation->facts.confirm_seen &&
           negotiation->facts.failure_code == 0 &&
           negotiation->facts.selected_protocol == HVS_PROTOCOL_SSL;
}

/* Makes the confirm what a Windows guest answers. A confirm without RDP_NEG_RSP gets one: pdu[] has
 * room for it. */
static void
mirror_confirm(const struct hvs_negotiation *negotiation, struct hvs_negotiation_stream *stream)
{
    uint8_t flags = negotiation->facts.request_flags;
    uint8_t *response = stream->pdu + CONNECTION_HEADER_SIZE;

    if (stream->length == CONNECTION_HEADER_SIZE) {
        stream->length += NEG_SIZE;
        stream->filled = stream->length;
        hvs_write_u16_be(stream->pdu + 2, (uint16_t)stream->length);
        stream->pdu[X224_LENGTH_INDICATOR] = (uint8_t)(stream->length - 5);
        response[NEG_TYPE] = TYPE_RDP_NEG_RSP;
        response[NEG_FLAGS] = 0;
        hvs_write_u16_le(response + NEG_LENGTH, NEG_SIZE);
    }
    if ((flags & RESTRICTED_ADMIN_MODE_REQUIRED) != 0) {
        response[NEG_FLAGS] |= RESTRICTED_ADMIN_MODE_SUPPORTED;
    }
    if ((flags & REDIRECTED_AUTHENTICATION_MODE_REQUIRED) != 0) {
        response[NEG_FLAGS] |= REDIRECTED_AUTHENTICATION_MODE_SUPPORTED;
    }
    hvs_write_u32_le(response + NEG_VALUE, mirrored_protocol(negotiation));
}

/* [MS-RDPBCGR] 2.2.1.2 Server X.224 Connection Confirm PDU: bare, or with RDP_NEG_RSP or
 * RDP_NEG_FAILURE. */
static enum hvs_negotiation_error
take_connection_confirm(struct hvs_negotiation *negotiation, struct hvs_negotiation_stream *stream)
{
    struct hvs_negotiation_facts *facts = &negotiation->facts;
    const uint8_t *answer = stream->pdu + CONNECTION_HEADER_SIZE;
    bool bare = stream->length == CONNECTION_HEADER_SIZE;
    enum hvs_negotiation_error error;

    error = check_connection_header(stream, X224_CODE_CONNECTION_CONFIRM);
    if (error != HVS_NEGOTIATION_OK) {
        return error;
    }
    if (!bare &&
        (stream->length != CONNECTION_HEADER_SIZE + NEG_SIZE ||
         hvs_read_u16_le(answer + NEG_LENGTH) != NEG_SIZE ||
         (answer[NEG_TYPE] != TYPE_RDP_NEG_RSP && answer[NEG_TYPE] != TYPE_RDP_NEG_FAILURE))) {
        return HVS_CONFIRM_BAD_NEG;
    }

    facts->confirm_seen = true;
    if (!bare && answer[NEG_TYPE] == TYPE_RDP_NEG_FAILURE) {
        facts->failure_code = hvs_read_u32_le(answer + NEG_VALUE);
        end_with_confirm(negotiation);
        return HVS_NEGOTIATION_OK;
    }
    facts->selected_protocol = bare ? HVS_PROTOCOL_RDP : hvs_read_u32_le(answer + NEG_VALUE);
    stream->stage = STAGE_MCS;
    if (is_mirrored(negotiation)) {
        mirror_confirm(negotiation, stream);
    } else if (hvs_negotiation_is_within_tls(negotiation)) {
        hvs_write_u32_le(stream->pdu + CONNECTION_HEADER_SIZE + NEG_VALUE, HVS_PROTOCOL_RDP);
    } else if (facts->selected_protocol != HVS_PROTOCOL_RDP) {
        /* Client and server agreed on TLS end to end: what follows is no PDU. */
        end_with_confirm(negotiation);
    }
    return HVS_NEGOTIATION_OK;
}

static struct hvs_client_block
block_at(const struct hvs_negotiation_stream *stream, struct hvs_mcs_span span)
{
    return (struct hvs_client_block){ stream->pdu + span.offset, span.length };
}

/* Who connects, for people: a channel list that cannot be read is no reason to refuse anything. */
static void
note_client(struct hvs_negotiation *negotiation, const struct hvs_negotiation_stream *stream,
            struct hvs_mcs_span blocks, struct hvs_mcs_span core)
{
    struct hvs_mcs_span network;

    if (hvs_mcs_find_block(stream->pdu, blocks, CS_NET, &network) != HVS_NEGOTIATION_OK) {
        network.length = 0;
    }
    hvs_client_read(block_at(stream, core), block_at(stream, network), &negotiation->facts.client);
}

/* [MS-RDPBCGR] 2.2.1.3 Client MCS Connect Initial PDU: serverSelectedProtocol of 2.2.1.3.2 Client
 * Core Data becomes what the server selected, since servers compare. A block without that optional
 * field stays as it is. */
static enum hvs_negotiation_error
take_connect_initial(struct hvs_negotiation *negotiation, struct hvs_negotiation_stream *stream)
{
    struct hvs_mcs_span blocks, core;
    enum hvs_negotiation_error error;

    error = check_data_header(stream);
    if (error == HVS_NEGOTIATION_OK) {
        error =
            hvs_mcs_read_connect_initial(stream->pdu, stream->length, DATA_HEADER_SIZE, &blocks);
    }
    if (error == HVS_NEGOTIATION_OK) {
        error = hvs_mcs_find_block(stream->pdu, blocks, CS_CORE, &core);
    }
    if (error != HVS_NEGOTIATION_OK) {
        return error;
    }
    note_client(negotiation, stream, blocks, core);
    if (core.length >= CS_CORE_SERVER_SELECTED_PROTOCOL + 4) {
        hvs_write_u32_le(stream->pdu + core.offset + CS_CORE_SERVER_SELECTED_PROTOCOL,
                         negotiation->facts.selected_protocol);
    }
    stream->stage = STAGE_TRANSPARENT;
    return HVS_NEGOTIATION_OK;
}

/* [MS-RDPBCGR] 2.2.1.4 Server MCS Connect Response PDU: where 2.2.1.4.2 Server Core Data and
 * 2.2.1.4.3 Server Security Data lie. */
static enum hvs_negotiation_error
find_server_blocks(const struct hvs_negotiation_stream *stream, struct hvs_mcs_span *core,
                   struct hvs_mcs_span *security)
{
    struct hvs_mcs_span blocks;
    enum hvs_negotiation_error error;

    error = check_data_header(stream);
    if (error == HVS_NEGOTIATION_OK) {
        error =
            hvs_mcs_read_connect_response(stream->pdu, stream->length, DATA_HEADER_SIZE, &blocks);
    }
    if (error == HVS_NEGOTIATION_OK) {
        error = hvs_mcs_find_block(stream->pdu, blocks, SC_CORE, core);
    }
    if (error == HVS_NEGOTIATION_OK) {
        error = hvs_mcs_find_block(stream->pdu, blocks, SC_SECURITY, security);
    }
    if (error == HVS_NEGOTIATION_OK && security->length > 0 &&
        security->length < SC_SECURITY_SIZE) {
        error = HVS_GCC_MALFORMED;
    }
    return error;
}

/* clientRequestedProtocols of SC_CORE, an optional field. */
static void
set_requested_protocols(struct hvs_negotiation_stream *stream, struct hvs_mcs_span core,
                        uint32_t protocols)
{
    if (core.length >= SC_CORE_CLIENT_REQUESTED_PROTOCOLS + 4) {
        hvs_write_u32_le(stream->pdu + core.offset + SC_CORE_CLIENT_REQUESTED_PROTOCOLS, protocols);
    }
}

/* [MS-RDPBCGR] 2.2.1.4 Server MCS Connect Response PDU: a mirrored client finds in
 * clientRequestedProtocols what it asked for, and no encryption. Any other does not find the TLS
 * that it has nothing to do with. */
static enum hvs_negotiation_error
take_connect_response(struct hvs_negotiation *negotiation, struct hvs_negotiation_stream *stream)
{
    struct hvs_negotiation_facts *facts = &negotiation->facts;
    struct hvs_mcs_span core, security;
    enum hvs_negotiation_error error;

    error = find_server_blocks(stream, &core, &security);
    if (error != HVS_NEGOTIATION_OK) {
        return error;
    }
    if (security.length > 0) {
        const uint8_t *block = stream->pdu + security.offset;

        facts->encryption_method = hvs_read_u32_le(block + SC_SECURITY_ENCRYPTION_METHOD);
        facts->encryption_level = hvs_read_u32_le(block + SC_SECURITY_ENCRYPTION_LEVEL);
    }
    if (is_mirrored(negotiation)) {
        if (facts->encryption_method != 0) {
            return HVS_SERVER_ENCRYPTS;
        }
        set_requested_protocols(stream, core, facts->requested_protocols);
    } else if (hvs_negotiation_is_within_tls(negotiation)) {
        set_requested_protocols(stream, core, HVS_PROTOCOL_RDP);
    }
    stream->stage = STAGE_TRANSPARENT;
    return HVS_NEGOTIATION_OK;
}

/* T.123 section 8: the length in the TPKT header, against what this PDU may have. */
static enum hvs_negotiation_error
take_tpkt_length(struct hvs_negotiation_stream *stream)
{
    uint32_t length = hvs_read_u16_be(stream->pdu + 2);

    if (stream->stage == STAGE_CONNECTION) {
        if (length < CONNECTION_HEADER_SIZE || length > CONNECTION_PDU_MAX) {
            return HVS_TPKT_BAD_LENGTH;
        }
    } else if (length < DATA_HEADER_SIZE) {
        return HVS_TPKT_BAD_LENGTH;
    } else if (length > HVS_NEGOTIATION_PDU_MAX) {
        return HVS_TPKT_TOO_LONG;
    }
    stream->length = length;
    return HVS_NEGOTIATION_OK;
}

static enum hvs_negotiation_error
take_pdu(struct hvs_negotiation *negotiation, enum hvs_direction from)
{
    struct hvs_negotiation_stream *stream = &negotiation->stream[from];

    if (from == HVS_FROM_CLIENT) {
        return stream->stage == STAGE_CONNECTION ? take_connection_request(negotiation, stream)
                                                 : take_connect_initial(negotiation, stream);
    }
    return stream->stage == STAGE_CONNECTION ? take_connection_confirm(negotiation, stream)
                                             : take_connect_response(negotiation, stream);
}

/* How many bytes have to be there before something can be said about them: each limit is a place
 * where a PDU may be refused, so that any split refuses at the same byte. */
static uint32_t
next_goal(const struct hvs_negotiation_stream *stream)
{
    if (stream->filled == 0) {
        return 1;
    }
    return stream->filled < TPKT_HEADER_SIZE ? TPKT_HEADER_SIZE : stream->length;
}

/* The goal is reached: checks what it completes. */
static enum hvs_negotiation_error
check_goal(struct hvs_negotiation *negotiation, enum hvs_direction from)
{
    struct hvs_negotiation_stream *stream = &negotiation->stream[from];

    if (stream->filled == 1) {
        return stream->pdu[0] == TPKT_VERSION ? HVS_NEGOTIATION_OK : HVS_TPKT_BAD_VERSION;
    }
    if (stream->filled == TPKT_HEADER_SIZE) {
        return take_tpkt_length(stream);
    }
    return take_pdu(negotiation, from);
}

/* Whether the session goes on in spite of that error, with the PDU as it came.
 *
 * A client that was told the truth needs nothing of us in the MCS PDUs: we look at them for our
 * facts only. Still refused is a Connect Initial that is not even in a TPKT, since what talks there
 * (TLS, mostly) does not talk plain RDP. */
static bool
is_tolerated(const struct hvs_negotiation *negotiation, enum hvs_direction from,
             enum hvs_negotiation_error error)
{
    if (is_mirrored(negotiation) || negotiation->stream[from].stage != STAGE_MCS) {
        return false;
    }
    return from == HVS_FROM_SERVER || error == HVS_MCS_MALFORMED || error == HVS_GCC_MALFORMED;
}

static size_t
append(struct hvs_negotiation_stream *stream, const uint8_t *bytes, size_t length, size_t limit)
{
    size_t count = limit > stream->filled ? limit - stream->filled : 0;

    if (count > length) {
        count = length;
    }
    if (count > 0) {
        memcpy(stream->pdu + stream->filled, bytes, count);
        stream->filled += (uint32_t)count;
    }
    return count;
}

/* The server answers only what the client has asked, and what the client sends behind its request
 * depends on that answer. */
static bool
has_to_wait(const struct hvs_negotiation *negotiation, enum hvs_direction from)
{
    if (from == HVS_FROM_SERVER) {
        return !negotiation->facts.request_seen;
    }
    switch (negotiation->stream[HVS_FROM_CLIENT].stage) {
    case STAGE_MCS:
        return !negotiation->facts.confirm_seen;
    case STAGE_ENDING:
        return true;
    default:
        return false;
    }
}

/* Bytes can be taken now if the result is MORE. */
static enum hvs_negotiation_result
readiness(const struct hvs_negotiation *negotiation, enum hvs_direction from)
{
    if (negotiation->error != HVS_NEGOTIATION_OK) {
        return HVS_NEGOTIATION_FAILED;
    }
    if (negotiation->stream[from].output > 0) {
        return HVS_NEGOTIATION_PDU;
    }
    if (hvs_negotiation_is_transparent(negotiation, from)) {
        return HVS_NEGOTIATION_TRANSPARENT;
    }
    return has_to_wait(negotiation, from) ? HVS_NEGOTIATION_HOLD : HVS_NEGOTIATION_MORE;
}

enum hvs_negotiation_result
hvs_negotiation_feed(struct hvs_negotiation *negotiation, enum hvs_direction from,
                     const uint8_t *bytes, size_t length, size_t *taken)
{
    struct hvs_negotiation_stream *stream = &negotiation->stream[from];
    enum hvs_negotiation_result result = readiness(negotiation, from);
    enum hvs_negotiation_error error;

    *taken = 0;
    if (result != HVS_NEGOTIATION_MORE || length == 0) {
        return result;
    }
    do {
        uint32_t goal = next_goal(stream);

        *taken += append(stream, bytes + *taken, length - *taken, goal);
        if (stream->filled < goal) {
            return HVS_NEGOTIATION_MORE;
        }
        error = check_goal(negotiation, from);
    } while (error == HVS_NEGOTIATION_OK && stream->filled != stream->length);

    if (error != HVS_NEGOTIATION_OK && !is_tolerated(negotiation, from, error)) {
        append(stream, bytes + *taken, length - *taken, FAILED_PDU_DUMP);
        negotiation->error = error;
        negotiation->error_direction = from;
        return HVS_NEGOTIATION_FAILED;
    }
    if (error != HVS_NEGOTIATION_OK) {
        stream->stage = STAGE_TRANSPARENT;
    }
    stream->output = stream->filled;
    return HVS_NEGOTIATION_PDU;
}

const uint8_t *
hvs_negotiation_output(const struct hvs_negotiation *negotiation, enum hvs_direction from,
                       size_t *length)
{
    const struct hvs_negotiation_stream *stream = &negotiation->stream[from];

    *length = stream->output - stream->output_taken;
    return *length > 0 ? stream->pdu + stream->output_taken : NULL;
}

void
hvs_negotiation_take_output(struct hvs_negotiation *negotiation, enum hvs_direction from,
                            size_t length)
{
    struct hvs_negotiation_stream *stream = &negotiation->stream[from];

    if (length < stream->output - stream->output_taken) {
        stream->output_taken += (uint32_t)length;
        return;
    }
    if (stream->output > 0) {
        stream->filled = 0;
        stream->length = 0;
        stream->output = 0;
        stream->output_taken = 0;
    }
}

bool
hvs_negotiation_is_transparent(const struct hvs_negotiation *negotiation, enum hvs_direction from)
{
    const struct hvs_negotiation_stream *stream = &negotiation->stream[from];

    if (negotiation->error != HVS_NEGOTIATION_OK || stream->output > 0) {
        return false;
    }
    if (stream->stage == STAGE_ENDING) {
        return negotiation->stream[HVS_FROM_SERVER].output == 0;
    }
    return stream->stage == STAGE_TRANSPARENT;
}

const uint8_t *
hvs_negotiation_failed_pdu(const struct hvs_negotiation *negotiation, size_t *length)
{
    const struct hvs_negotiation_stream *stream =
        &negotiation->stream[negotiation->error_direction];

    *length = 0;
    if (negotiation->error == HVS_NEGOTIATION_OK) {
        return NULL;
    }
    *length = stream->filled;
    return stream->pdu;
}

const char *
hvs_negotiation_error_to_string(enum hvs_negotiation_error error)
{
    switch (error) {
    case HVS_NEGOTIATION_OK:
        return "no error";
    case HVS_TPKT_BAD_VERSION:
        return "the first byte is not 3, so it is not a TPKT header";
    case HVS_TPKT_BAD_LENGTH:
        return "the length in the TPKT header is not possible for this PDU";
    case HVS_TPKT_TOO_LONG:
        return "the PDU is longer than any PDU of the negotiation";
    case HVS_X224_BAD_LENGTH_INDICATOR:
        return "the X.224 length indicator does not fit the length in the TPKT header";
    case HVS_X224_BAD_CODE:
        return "the X.224 header is not the one of the PDU that is due";
    case HVS_REQUEST_TOKEN_UNTERMINATED:
        return "the cookie or routing token does not end with CR LF";
    case HVS_REQUEST_BAD_NEG_LENGTH:
        return "the length of RDP_NEG_REQ is not 8";
    case HVS_REQUEST_NEG_CUT_SHORT:
        return "RDP_NEG_REQ is cut short";
    case HVS_REQUEST_BAD_CORRELATION:
        return "RDP_NEG_CORRELATION_INFO was announced, but 36 bytes of it do not follow";
    case HVS_REQUEST_TRAILING_BYTES:
        return "unknown bytes follow the last known structure";
    case HVS_CONFIRM_BAD_NEG:
        return "the answer is neither RDP_NEG_RSP nor RDP_NEG_FAILURE";
    case HVS_MCS_MALFORMED:
        return "the MCS PDU is not encoded as T.125 says";
    case HVS_GCC_MALFORMED:
        return "the GCC user data is not encoded as T.124 says";
    case HVS_SERVER_ENCRYPTS:
        return "the server asks for RDP encryption, which the client does not expect";
    }
    return "unknown error";
}

const char *
hvs_negotiation_failure_to_string(uint32_t failure_code)
{
    static const char *const words[] = {
        [0] = "no failure",
        [1] = "the server accepts TLS only (SSL_REQUIRED_BY_SERVER)",
        [2] = "the server does not accept TLS (SSL_NOT_ALLOWED_BY_SERVER)",
        [3] = "the server has no certificate for TLS (SSL_CERT_NOT_ON_SERVER)",
        [4] = "the flags of the request contradict each other (INCONSISTENT_FLAGS)",
        [5] = "the server accepts network level authentication only (HYBRID_REQUIRED_BY_SERVER)",
        [6] =
            "the server wants a certificate of the client (SSL_WITH_USER_AUTH_REQUIRED_BY_SERVER)",
    };

    if (failure_code < sizeof words / sizeof words[0]) {
        return words[failure_code];
    }
    return "the server gives a reason that is not known";
}

const char *
hvs_protocols_to_string(uint32_t protocols, char *buffer, size_t size)
{
    static const struct {
        uint32_t bit;
        const char *name;
    } names[] = {
        { HVS_PROTOCOL_SSL, "SSL" },       { HVS_PROTOCOL_HYBRID, "HYBRID" },
        { HVS_PROTOCOL_RDSTLS, "RDSTLS" }, { HVS_PROTOCOL_HYBRID_EX, "HYBRID_EX" },
        { HVS_PROTOCOL_RDSAAD, "RDSAAD" },
    };
    struct hvs_text text;

    hvs_text_init(&text, buffer, size);
    if (protocols == HVS_PROTOCOL_RDP) {
        hvs_text_add(&text, "RDP");
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if ((protocols & names[i].bit) != 0) {
            hvs_text_add(&text, text.length > 0 ? "|" : "");
            hvs_text_add(&text, names[i].name);
            protocols &= ~names[i].bit;
        }
    }
    if (protocols != 0) {
        hvs_text_add(&text, text.length > 0 ? "|0x" : "0x");
        hvs_text_add_hex(&text, protocols, 1);
    }
    return buffer;
}

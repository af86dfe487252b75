/* The RDP connection negotiation, as a relay sees it.
 *
 * A relay between the Hyper-V host and a guest's RDP server changes at most two PDUs each way and
 * is byte-transparent from then on:
 *
 *     client → server   X.224 Connection Request    requestedProtocols becomes what we want
 *     server → client   X.224 Connection Confirm    (mirror) answered as a Windows guest does
 *     client → server   MCS Connect Initial         CS_CORE.serverSelectedProtocol: the truth
 *     server → client   MCS Connect Response        (mirror) SC_CORE.clientRequestedProtocols
 *
 * Asked for TLS (request_as), the server does it with the relay: the client hears nothing of it,
 * and is answered as if the server had been asked for plain RDP.
 *
 * Bytes go in as they arrive, cut in any way, and come out as whole PDUs. No I/O, no heap.
 *
 * What is changed, and when:
 * - A request without RDP_NEG_REQ is forwarded as it is, and nothing after it is changed either:
 *   that client speaks standard RDP security, whatever the reply mode.
 * - HVS_REPLY_MIRROR acts on clients that asked for HYBRID_EX, HYBRID or SSL. Others (plain RDP
 *   only) are answered as in HVS_REPLY_PASSTHROUGH.
 * - Passthrough and a server that selected TLS without being asked for it: client and server do it
 *   end to end, so both directions are transparent behind the confirm.
 * - RDP_NEG_FAILURE is delivered as it is; then both directions are transparent, the peers end by
 *   themselves.
 *
 * What is refused: every PDU whose contents we have to change, if it cannot be read; and a request
 * or a confirm that cannot be read, always. A client that is not mirrored needs nothing of us in
 * the MCS PDUs, they are read for the facts: there a malformed Connect Response, or one that is no
 * TPKT at all, is passed on untouched and makes its direction transparent, and so does a Connect
 * Initial with HVS_MCS_MALFORMED or HVS_GCC_MALFORMED. A Connect Initial outside TPKT or X.224 is
 * refused in any mode: a TLS ClientHello there is HVS_TPKT_BAD_VERSION.
 *
 * Sources: [MS-RDPBCGR] 2.2.1.1 to 2.2.1.4, T.123, X.224, T.125, T.124.
 */
#ifndef HVS_COMMON_X224_H
#define HVS_COMMON_X224_H

#include "client.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* [MS-RDPBCGR] 2.2.1.1.1 requestedProtocols, 2.2.1.2.1 selectedProtocol */
#define HVS_PROTOCOL_RDP       0x00000000u
#define HVS_PROTOCOL_SSL       0x00000001u
#define HVS_PROTOCOL_HYBRID    0x00000002u
#define HVS_PROTOCOL_RDSTLS    0x00000004u
#define HVS_PROTOCOL_HYBRID_EX 0x00000008u
#define HVS_PROTOCOL_RDSAAD    0x00000010u

/* The longest PDU of the negotiation that we take, in bytes. A Connection Request is at most 259;
 * the two MCS PDUs are a few hundred, some thousand with a certificate chain. */
#define HVS_NEGOTIATION_PDU_MAX 16384u

/* How the client is answered. */
enum hvs_reply_mode {
    HVS_REPLY_PASSTHROUGH, /* the server's own answer */
    HVS_REPLY_MIRROR,      /* as a Windows guest answers: the protocol asked for, no encryption */
};

enum hvs_direction {
    HVS_FROM_CLIENT, /* host → server */
    HVS_FROM_SERVER, /* server → host */
};
#define HVS_DIRECTIONS 2

enum hvs_negotiation_result {
    HVS_NEGOTIATION_MORE,        /* all bytes taken, the PDU is not complete yet */
    HVS_NEGOTIATION_PDU,         /* a PDU is ready in the output; take it before feeding more */
    HVS_NEGOTIATION_HOLD,        /* nothing taken: the other direction has to come first */
    HVS_NEGOTIATION_TRANSPARENT, /* nothing taken: this direction is relayed as it is from now on */
    HVS_NEGOTIATION_FAILED,      /* see .error; nothing more may be fed in any direction */
};

/* Why a negotiation failed. Each refusal of a malformed PDU has its own value. */
enum hvs_negotiation_error {
    HVS_NEGOTIATION_OK,
    /* TPKT and X.224, both directions */
    HVS_TPKT_BAD_VERSION,         /* the first byte is not 3 */
    HVS_TPKT_BAD_LENGTH,          /* outside what this PDU may have */
    HVS_TPKT_TOO_LONG,            /* more than HVS_NEGOTIATION_PDU_MAX */
    HVS_X224_BAD_LENGTH_INDICATOR,/* LI is not the TPKT length − 5; of a DT, not 2 */
    HVS_X224_BAD_CODE,            /* not CR from the client, CC from the server, DT later; or a DT
                                     that is not the last of its TSDU */
    /* Connection Request */
    HVS_REQUEST_TOKEN_UNTERMINATED, /* cookie, routing token or other text without CR LF */
    HVS_REQUEST_BAD_NEG_LENGTH,     /* RDP_NEG_REQ.length is not 8 */
    HVS_REQUEST_NEG_CUT_SHORT,      /* RDP_NEG_REQ does not fit */
    HVS_REQUEST_BAD_CORRELATION,    /* flag 0x08 without exactly 36 bytes of type 6 behind it */
    HVS_REQUEST_TRAILING_BYTES,     /* unknown bytes behind the last known structure */
    /* Connection Confirm */
    HVS_CONFIRM_BAD_NEG,            /* neither RDP_NEG_RSP nor RDP_NEG_FAILURE of 8 bytes */
    /* MCS Connect Initial and Response */
    HVS_MCS_MALFORMED,              /* BER of T.125 */
    HVS_GCC_MALFORMED,              /* PER of T.124, or its user data blocks; a block that matters
                                       and comes twice; bytes behind the last block */
    /* What a mirrored client cannot do */
    HVS_SERVER_ENCRYPTS,            /* SC_SECURITY asks for RDP encryption after a mirrored reply */
};

/* What was seen, for logs and status. Valid as far as the negotiation has come. */
struct hvs_negotiation_facts {
    bool     request_seen;
    bool     request_has_protocols;    /* the request had an RDP_NEG_REQ */
    uint32_t requested_protocols;      /* the client's own */
    uint8_t  request_flags;            /* RDP_NEG_REQ.flags, the client's own */
    bool     confirm_seen;
    uint32_t selected_protocol;        /* what the server chose */
    uint32_t failure_code;             /* RDP_NEG_FAILURE.failureCode, 0 if none */
    uint32_t encryption_method;        /* SC_SECURITY; 0 if it was not found */
    uint32_t encryption_level;
    struct hvs_client_facts client;    /* of the Connect Initial; nothing in it if that was not
                                          read: no RDP_NEG_REQ, or TLS end to end */
};

struct hvs_negotiation_stream {
    uint8_t  pdu[HVS_NEGOTIATION_PDU_MAX + 8]; /* + 8: a bare confirm grows by an RDP_NEG_RSP */
    uint32_t filled;      /* bytes of the PDU collected so far */
    uint32_t length;      /* of the whole PDU by its TPKT header; 0 while unknown */
    uint32_t output;      /* bytes of pdu[] that are ready to be taken */
    uint32_t output_taken;
    uint8_t  stage;       /* which PDU is due; private */
};

/* One negotiation, both directions. About 32 KiB; embed it, no pointers inside. */
struct hvs_negotiation {
    enum hvs_reply_mode          reply;
    uint32_t                     request_as; /* requestedProtocols as sent to the server */
    enum hvs_negotiation_error   error;
    enum hvs_direction           error_direction; /* who sent what failed */
    uint32_t                     request_length;  /* of the request that was sent; private */
    uint32_t                     request_offset;  /* of RDP_NEG_REQ in it; private */
    struct hvs_negotiation_facts facts;
    struct hvs_negotiation_stream stream[HVS_DIRECTIONS];
};

/* request_as: the requestedProtocols that the server shall see, HVS_PROTOCOL_RDP, or
 * HVS_PROTOCOL_SSL of a relay that does TLS with the server. */
void hvs_negotiation_init(struct hvs_negotiation *negotiation, enum hvs_reply_mode reply,
                          uint32_t request_as);

/* The server, asked for plain RDP, has refused because it wants TLS (SSL_REQUIRED_BY_SERVER), and
 * the client knows nothing of that yet: the request can be made once more. */
bool hvs_negotiation_can_ask_for_tls(const struct hvs_negotiation *negotiation);
/* Then: forgets that refusal and puts out the request again, for HVS_PROTOCOL_SSL. It is for a new
 * connection to the server. */
void hvs_negotiation_ask_for_tls(struct hvs_negotiation *negotiation);
/* The server was asked for TLS and has confirmed it: everything behind the confirm is within TLS.
 * The confirm itself is not. */
bool hvs_negotiation_is_within_tls(const struct hvs_negotiation *negotiation);

/* Feeds length bytes that came from that side. *taken: how many were used, always ≤ length; the
 * rest belongs to what follows and is to be fed again (or relayed as it is). Any split of the
 * stream gives the same output. What is held back by HOLD can be fed again as soon as the other
 * direction has given a PDU and that has been taken: the server's bytes after the request, the
 * client's after the confirm. length may be 0: the result says how that direction stands. */
enum hvs_negotiation_result hvs_negotiation_feed(struct hvs_negotiation *negotiation,
                                                 enum hvs_direction from, const uint8_t *bytes,
                                                 size_t length, size_t *taken);

/* The bytes that are ready for the *other* side; valid until they are taken. NULL and 0: none. */
const uint8_t *hvs_negotiation_output(const struct hvs_negotiation *negotiation,
                                      enum hvs_direction from, size_t *length);
void hvs_negotiation_take_output(struct hvs_negotiation *negotiation, enum hvs_direction from,
                                 size_t length);

/* This direction has nothing to change any more and no output waits. */
bool hvs_negotiation_is_transparent(const struct hvs_negotiation *negotiation,
                                    enum hvs_direction from);

/* The first bytes of the PDU that failed, as they came, for a hex dump in the log: what had been
 * collected, or the first 64 bytes if more were fed with them. NULL and 0: nothing failed. */
const uint8_t *hvs_negotiation_failed_pdu(const struct hvs_negotiation *negotiation,
                                          size_t *length);

/* One plain clause, as "the cookie does not end with CR LF". Never NULL. */
const char *hvs_negotiation_error_to_string(enum hvs_negotiation_error error);
/* [MS-RDPBCGR] 2.2.1.2.2 failureCode in words, never NULL. */
const char *hvs_negotiation_failure_to_string(uint32_t failure_code);
/* "RDP", "SSL|HYBRID", "SSL|HYBRID|HYBRID_EX|0x100": into buffer, always terminated; size is at
 * least 1, and 64 is enough. Returns buffer. */
const char *hvs_protocols_to_string(uint32_t protocols, char *buffer, size_t size);

#endif

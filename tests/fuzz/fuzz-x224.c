/* Any bytes as the two streams of a negotiation.
 *
 * Input: one byte of options, one byte that seeds the random cuts, u16 little endian length of the
 * client's stream, the client's stream, the server's stream.
 *
 * Shown, besides the absence of crashes: the same streams give the same output, the same facts and
 * the same end however they are cut; nothing that was not fed plays a part; the output is never
 * longer than the input and 8 bytes, and the request once more; the MCS walk stays inside a PDU of
 * exactly that length.
 */
#include "common/mcs.h"
#include "common/x224.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OPTION_MIRROR 0x01
#define OPTION_AS_SSL 0x02
#define OPTION_ASK    0x04 /* asks again, for TLS, where a relay may */
#define HEADER_SIZE   4u
/* As long as -max_len may make it; longer inputs are cut. */
#define STREAM_MAX 65536u

static void
require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* What the relay passes on of one stream. */
struct stream {
    const uint8_t *in;
    size_t length, used;
    uint8_t out[STREAM_MAX + 8 + 259];
    size_t produced, repeated;
    enum hvs_negotiation_result last;
};

struct run {
    struct hvs_negotiation negotiation;
    struct stream stream[HVS_DIRECTIONS];
    size_t (*piece)(struct run *run);
    uint32_t random;
    bool asks;
};

static size_t
piece_whole(struct run *run)
{
    (void)run;
    return STREAM_MAX;
}

static size_t
piece_one(struct run *run)
{
    (void)run;
    return 1;
}

static size_t
piece_random(struct run *run)
{
    run->random = run->random * 1664525u + 1013904223u;
    return 1 + (run->random >> 24) % 40;
}

static void
produce(struct stream *stream, const uint8_t *bytes, size_t length)
{
    require(stream->produced + length <= stream->used + stream->repeated + 8);
    memcpy(stream->out + stream->produced, bytes, length);
    stream->produced += length;
}

static void
take_output(struct run *run, enum hvs_direction from)
{
    for (;;) {
        size_t length, piece = run->piece(run);
        const uint8_t *bytes = hvs_negotiation_output(&run->negotiation, from, &length);

        if (length == 0) {
            return;
        }
        require(!hvs_negotiation_is_transparent(&run->negotiation, from));
        piece = piece < length ? piece : length;
        produce(&run->stream[from], bytes, piece);
        hvs_negotiation_take_output(&run->negotiation, from, piece);
    }
}

/* The same request with another protocol; once, as it can be asked for. */
static void
ask_again(struct run *run)
{
    struct stream *client = &run->stream[HVS_FROM_CLIENT];
    size_t first = client->produced;

    client->repeated = first;
    hvs_negotiation_ask_for_tls(&run->negotiation);
    require(!hvs_negotiation_can_ask_for_tls(&run->negotiation));
    take_output(run, HVS_FROM_CLIENT);
    require(client->produced == 2 * first);
    require(memcmp(client->out, client->out + first, first) != 0);
}

/* Feeds until a PDU has passed, the stream is used up, or it stops. Returns whether a PDU passed.
 */
static bool
feed_pdu(struct run *run, enum hvs_direction from)
{
    struct stream *stream = &run->stream[from];

    for (;;) {
        size_t piece = run->piece(run), left = stream->length - stream->used, taken;

        piece = piece < left ? piece : left;
        stream->last =
            hvs_negotiation_feed(&run->negotiation, from, stream->in + stream->used, piece, &taken);
        require(taken <= piece);
        stream->used += taken;
        switch (stream->last) {
        case HVS_NEGOTIATION_PDU:
            if (run->asks && hvs_negotiation_can_ask_for_tls(&run->negotiation)) {
                ask_again(run);
            } else {
                take_output(run, from);
            }
            return true;
        case HVS_NEGOTIATION_MORE:
            require(taken == piece);
            if (stream->used == stream->length) {
                return false;
            }
            break;
        case HVS_NEGOTIATION_TRANSPARENT:
            require(taken == 0 && hvs_negotiation_is_transparent(&run->negotiation, from));
            left = stream->length - stream->used;
            stream->used = stream->length;
            produce(stream, stream->in + stream->length - left, left);
            return false;
        case HVS_NEGOTIATION_HOLD:
            require(taken == 0);
            return false;
        case HVS_NEGOTIATION_FAILED:
            return false;
        }
    }
}

/* The PDUs of both sides in turns, so that the order of whole PDUs is the same in every run. */
static void
play(struct run *run, const uint8_t *data, size_t size, uint8_t unfed,
     size_t (*piece)(struct run *))
{
    size_t client = (size_t)data[2] | (size_t)data[3] << 8;
    bool progress = true;

    run->piece = piece;
    run->random = data[1];
    data += HEADER_SIZE;
    size -= HEADER_SIZE;
    client = client < size ? client : size;
    for (unsigned i = 0; i < HVS_DIRECTIONS; i++) {
        struct stream *stream = &run->stream[i];

        stream->in = i == HVS_FROM_CLIENT ? data : data + client;
        stream->length = i == HVS_FROM_CLIENT ? client : size - client;
        stream->used = stream->produced = stream->repeated = 0;
        memset(run->negotiation.stream[i].pdu, unfed, sizeof run->negotiation.stream[i].pdu);
    }
    while (progress) {
        progress = feed_pdu(run, HVS_FROM_CLIENT);
        progress |= feed_pdu(run, HVS_FROM_SERVER);
    }
}

static void
begin(struct run *run, uint8_t options)
{
    run->asks = (options & OPTION_ASK) != 0;
    hvs_negotiation_init(&run->negotiation,
                         (options & OPTION_MIRROR) != 0 ? HVS_REPLY_MIRROR : HVS_REPLY_PASSTHROUGH,
                         (options & OPTION_AS_SSL) != 0 ? HVS_PROTOCOL_SSL : HVS_PROTOCOL_RDP);
}

/* Field by field, since padding is nobody's. */
static void
require_same_client(const struct hvs_client_facts *a, const struct hvs_client_facts *b)
{
    require(a->core_seen == b->core_seen && a->channels_seen == b->channels_seen);
    require(strcmp(a->name, b->name) == 0);
    require(a->desktop_width == b->desktop_width && a->desktop_height == b->desktop_height);
    require(a->colour_depth == b->colour_depth && a->build == b->build);
    require(a->channel_count == b->channel_count);
    require(memcmp(a->channels, b->channels, sizeof a->channels) == 0);
}

static void
require_same_facts(const struct hvs_negotiation_facts *a, const struct hvs_negotiation_facts *b)
{
    require(a->request_seen == b->request_seen);
    require(a->request_has_protocols == b->request_has_protocols);
    require(a->requested_protocols == b->requested_protocols);
    require(a->request_flags == b->request_flags);
    require(a->confirm_seen == b->confirm_seen);
    require(a->selected_protocol == b->selected_protocol);
    require(a->failure_code == b->failure_code);
    require(a->encryption_method == b->encryption_method);
    require(a->encryption_level == b->encryption_level);
    require_same_client(&a->client, &b->client);
}

static void
require_same(const struct run *a, const struct run *b)
{
    require(a->negotiation.error == b->negotiation.error);
    require(a->negotiation.error_direction == b->negotiation.error_direction);
    require_same_facts(&a->negotiation.facts, &b->negotiation.facts);
    for (unsigned i = 0; i < HVS_DIRECTIONS; i++) {
        require(a->stream[i].last == b->stream[i].last);
        require(a->stream[i].used == b->stream[i].used);
        require(a->stream[i].produced == b->stream[i].produced);
        require(memcmp(a->stream[i].out, b->stream[i].out, a->stream[i].produced) == 0);
    }
}

/* The same bytes as an MCS PDU, in memory that ends where it ends. */
static void
walk(const uint8_t *data, size_t size)
{
    static const uint16_t types[] = { 0xc001, 0x0c01, 0x0c02 };
    uint8_t *pdu = malloc(size > 0 ? size : 1);

    require(pdu != NULL);
    memcpy(pdu, data, size);
    for (unsigned which = 0; which < 2 * sizeof types / sizeof types[0]; which++) {
        struct hvs_mcs_span blocks, block;

        if ((which % 2 == 0
                 ? hvs_mcs_read_connect_initial(pdu, size, 0, &blocks)
                 : hvs_mcs_read_connect_response(pdu, size, 0, &blocks)) != HVS_NEGOTIATION_OK ||
            hvs_mcs_find_block(pdu, blocks, types[which / 2], &block) != HVS_NEGOTIATION_OK) {
            continue;
        }
        require(block.offset <= size && block.length <= size - block.offset);
    }
    free(pdu);
}

/* The client's and the server's second PDU, if the streams begin with one of the first kind. */
static void
walk_second_pdus(const struct run *run)
{
    for (unsigned i = 0; i < HVS_DIRECTIONS; i++) {
        const struct stream *stream = &run->stream[i];
        size_t first;

        if (stream->length < 4) {
            continue;
        }
        first = ((size_t)stream->in[2] << 8 | stream->in[3]) + 7;
        if (first < stream->length) {
            walk(stream->in + first, stream->length - first);
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct run whole, other;
    size_t (*const pieces[])(struct run *) = { piece_one, piece_random };

    if (size < HEADER_SIZE) {
        return 0;
    }
    if (size > STREAM_MAX) {
        size = STREAM_MAX;
    }
    begin(&whole, data[0]);
    play(&whole, data, size, 0x00, piece_whole);
    for (unsigned i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        begin(&other, data[0]);
        play(&other, data, size, 0xff, pieces[i]);
        require_same(&whole, &other);
    }
    walk_second_pdus(&whole);
    return 0;
}

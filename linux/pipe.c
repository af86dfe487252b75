#include "pipe.h"

#include <string.h>

/* Types of the pipe header. */
enum {
    PIPE_DATA = 1,
    PIPE_PARTIAL = 2, /* length: total in the low half, what was read of it in the high half */
    PIPE_SETUP_GPA_DIRECT = 3,
    PIPE_TEARDOWN_GPA_DIRECT = 4,
    PIPE_INDICATION_COMPLETE = 5,
};

struct pipe_header {
    uint32_t type;
    uint32_t length;
};
_Static_assert(sizeof(struct pipe_header) == HVS_PIPE_HEADER_SIZE, "fixed by the protocol");

void
hvs_pipe_reader_init(struct hvs_pipe_reader *reader, struct hvs_ring *ring)
{
    *reader = (struct hvs_pipe_reader) { .ring = ring, .done = ring->index };
}

static enum hvs_pipe_result
complain(struct hvs_pipe_reader *reader, const char *complaint, uint32_t value)
{
    reader->complaint = complaint;
    reader->complaint_value = value;
    return HVS_PIPE_PROTOCOL;
}

/* Decodes the pipe header of a packet, from a private copy, into where its data lies. */
static enum hvs_pipe_result
decode(struct hvs_pipe_reader *reader, const struct hvs_ring_packet *packet,
       struct hvs_pipe_segment *segment)
{
    struct pipe_header header;
    uint32_t skip = HVS_PIPE_HEADER_SIZE;

    if (packet->type != HVS_RING_PACKET_INBAND)
        return complain(reader, "packet of a type that a pipe does not carry", packet->type);
    if (packet->payload_length < HVS_PIPE_HEADER_SIZE)
        return complain(reader, "packet too short for a pipe header", packet->payload_length);
    hvs_ring_copy_out(reader->ring, packet->payload, &header, sizeof(header));

    switch (header.type) {
    case PIPE_DATA:
        segment->length = header.length;
        break;
    case PIPE_PARTIAL:
        /* With nothing left of it, whoever read it would have removed it. */
        if (header.length >> 16 >= (header.length & 0xffff))
            return complain(reader, "partial packet with nothing left to read", header.length);
        skip += header.length >> 16;
        segment->length = (header.length & 0xffff) - (header.length >> 16);
        break;
    case PIPE_SETUP_GPA_DIRECT:
    case PIPE_TEARDOWN_GPA_DIRECT:
    case PIPE_INDICATION_COMPLETE:
        return complain(reader, "pipe packet of a type that was never asked for", header.type);
    default:
        return complain(reader, "pipe packet of unknown type", header.type);
    }
    if (segment->length > packet->payload_length || /* so that the sum cannot overflow */
        skip + segment->length > packet->payload_length)
        return complain(reader, "pipe length exceeds its packet", header.length);
    segment->offset = hvs_ring_advance(reader->ring, packet->payload, skip);
    segment->end = packet->end;
    return HVS_PIPE_OK;
}

/* Reads one packet into the queue. A failure leaves what is queued as it is. */
static enum hvs_pipe_result
read_packet(struct hvs_pipe_reader *reader)
{
    struct hvs_pipe_segment segment;
    struct hvs_ring_packet packet;
    enum hvs_pipe_result result;

    if (reader->complaint != NULL)
        return HVS_PIPE_PROTOCOL;
    switch (hvs_ring_read(reader->ring, &packet)) {
    case HVS_RING_OK:
        break;
    case HVS_RING_EMPTY:
        return reader->ended ? HVS_PIPE_END : HVS_PIPE_EMPTY;
    default:
        return HVS_PIPE_CORRUPT;
    }
    result = decode(reader, &packet, &segment);
    if (result != HVS_PIPE_OK)
        return result;
    reader->packets++;
    if (reader->ended && segment.length > 0)
        return complain(reader, "data behind the end of the stream", segment.length);
    if (segment.length == 0) {
        /* Given back together with the data in front of it. */
        reader->ended = true;
        if (reader->count > 0)
            reader->segments[reader->first + reader->count - 1].end = segment.end;
        else
            reader->done = segment.end;
        return HVS_PIPE_OK;
    }
    reader->segments[reader->first + reader->count++] = segment;
    reader->bytes += segment.length;
    return HVS_PIPE_OK;
}

static unsigned
describe(const struct hvs_pipe_reader *reader, uint32_t limit,
         struct iovec pieces[HVS_PIPE_PIECES])
{
    unsigned count = 0;

    for (unsigned i = 0; i < reader->count && limit > 0; i++) {
        const struct hvs_pipe_segment *segment = &reader->segments[reader->first + i];
        uint32_t length = segment->length < limit ? segment->length : limit;

        count += hvs_ring_span(reader->ring, segment->offset, length, &pieces[count]);
        limit -= length;
    }
    return count;
}

enum hvs_pipe_result
hvs_pipe_gather(struct hvs_pipe_reader *reader, uint32_t limit,
                struct iovec pieces[HVS_PIPE_PIECES], unsigned *count)
{
    enum hvs_pipe_result result = HVS_PIPE_OK;

    while (result == HVS_PIPE_OK && reader->bytes < limit &&
           reader->first + reader->count < HVS_PIPE_BATCH)
        result = read_packet(reader);
    *count = describe(reader, limit, pieces);
    return reader->bytes > 0 ? HVS_PIPE_OK : result;
}

bool
hvs_pipe_consume(struct hvs_pipe_reader *reader, size_t bytes)
{
    reader->bytes -= (uint32_t)bytes;
    while (bytes > 0) {
        struct hvs_pipe_segment *segment = &reader->segments[reader->first];

        if (bytes < segment->length) {
            segment->offset = hvs_ring_advance(reader->ring, segment->offset, (uint32_t)bytes);
            segment->length -= (uint32_t)bytes;
            break;
        }
        bytes -= segment->length;
        reader->done = segment->end;
        reader->first++;
        reader->count--;
    }
    if (reader->count == 0)
        reader->first = 0;
    return reader->done != reader->ring->committed &&
           hvs_ring_commit_read(reader->ring, reader->done);
}

enum hvs_pipe_result
hvs_pipe_read_message(struct hvs_pipe_reader *reader, void *buffer, size_t size, size_t *length,
                      bool *signal)
{
    struct hvs_pipe_segment *segment = &reader->segments[0];
    enum hvs_pipe_result result = read_packet(reader);

    *length = 0;
    *signal = false;
    if (result != HVS_PIPE_OK)
        return result;
    if (reader->count == 0) {
        /* There are no streams here that it could end. */
        reader->ended = false;
        *signal = hvs_pipe_consume(reader, 0);
        return HVS_PIPE_OK;
    }
    *length = segment->length;
    hvs_ring_copy_out(reader->ring, segment->offset, buffer,
                      segment->length < size ? segment->length : (uint32_t)size);
    *signal = hvs_pipe_consume(reader, segment->length);
    return HVS_PIPE_OK;
}

/* ---- writer ---- */

/* How much data the next packet may carry when room bytes of the ring and limit bytes of data are
 * left; 0: none. A multiple of 8 but for the last one, so that no packet but the last is padded. */
static uint32_t
next_data_length(uint32_t room, uint32_t limit)
{
    uint32_t length = HVS_PIPE_DATA_MAX;

    if (room <= HVS_PIPE_OVERHEAD)
        return 0;
    if (length > room - HVS_PIPE_OVERHEAD)
        length = room - HVS_PIPE_OVERHEAD;
    return length < limit ? length : limit;
}

enum hvs_pipe_result
hvs_pipe_reserve(struct hvs_ring *ring, uint32_t limit, struct iovec pieces[HVS_PIPE_PIECES],
                 unsigned *count, size_t *bytes)
{
    uint32_t room, length, index = ring->index;

    *count = 0;
    *bytes = 0;
    if (hvs_ring_room(ring, &room) != HVS_RING_OK)
        return HVS_PIPE_CORRUPT;
    while (*count < HVS_PIPE_PIECES - 1 &&
           (length = next_data_length(room, limit - (uint32_t)*bytes)) > 0) {
        uint32_t size = hvs_ring_packet_size(HVS_PIPE_HEADER_SIZE + length);
        uint32_t data =
            hvs_ring_advance(ring, index, HVS_RING_DESCRIPTOR_SIZE + HVS_PIPE_HEADER_SIZE);

        *count += hvs_ring_span(ring, data, length, &pieces[*count]);
        *bytes += length;
        room -= size;
        index = hvs_ring_advance(ring, index, size);
    }
    return *bytes > 0 ? HVS_PIPE_OK : HVS_PIPE_FULL;
}

static void
write_headers(struct hvs_ring *ring, uint32_t length)
{
    struct pipe_header header = { .type = PIPE_DATA, .length = length };

    hvs_ring_copy_in(ring, hvs_ring_advance(ring, ring->index, HVS_RING_DESCRIPTOR_SIZE), &header,
                     sizeof(header));
    hvs_ring_write_frame(ring, HVS_PIPE_HEADER_SIZE + length);
}

bool
hvs_pipe_publish(struct hvs_ring *ring, size_t bytes, unsigned *packets)
{
    *packets = 0;
    while (bytes > 0) {
        uint32_t length = bytes < HVS_PIPE_DATA_MAX ? (uint32_t)bytes : HVS_PIPE_DATA_MAX;

        write_headers(ring, length);
        bytes -= length;
        ++*packets;
    }
    return hvs_ring_commit_write(ring);
}

enum hvs_pipe_result
hvs_pipe_write(struct hvs_ring *ring, const void *data, uint32_t length, bool *signal)
{
    uint32_t room;

    *signal = false;
    if (hvs_ring_room(ring, &room) != HVS_RING_OK)
        return HVS_PIPE_CORRUPT;
    if (room < hvs_ring_packet_size(HVS_PIPE_HEADER_SIZE + length))
        return HVS_PIPE_FULL;
    if (length > 0)
        hvs_ring_copy_in(ring,
                         hvs_ring_advance(ring, ring->index,
                                          HVS_RING_DESCRIPTOR_SIZE + HVS_PIPE_HEADER_SIZE),
                         data, length);
    write_headers(ring, length);
    *signal = hvs_ring_commit_write(ring);
    return HVS_PIPE_OK;
}

/* What the simulated host does wrong on purpose. */
#include "hvhost-internal.h"

#include <errno.h>
#include <string.h>

static const struct {
    const char *name;
    bool bad;
} corruptions[HVHOST_CORRUPTIONS] = {
    [HVHOST_WRITE_INDEX_RANGE] = { "write-index-range", true },
    [HVHOST_WRITE_INDEX_HUGE] = { "write-index-huge", true },
    [HVHOST_WRITE_INDEX_MISALIGNED] = { "write-index-misaligned", true },
    [HVHOST_READ_INDEX_RANGE] = { "read-index-range", true },
    [HVHOST_READ_INDEX_MISALIGNED] = { "read-index-misaligned", true },
    [HVHOST_USED_TOO_SMALL] = { "used-too-small", true },
    [HVHOST_OFFSET_ZERO] = { "offset-zero", true },
    [HVHOST_OFFSET_ONE] = { "offset-one", true },
    [HVHOST_OFFSET_BEYOND_LENGTH] = { "offset-beyond-length", true },
    [HVHOST_LENGTH_ZERO] = { "length-zero", true },
    [HVHOST_LENGTH_ONE] = { "length-one", true },
    [HVHOST_LENGTH_BEYOND_USED] = { "length-beyond-used", true },
    [HVHOST_LENGTH_MAX] = { "length-max", true },
    [HVHOST_PIPE_NO_HEADER] = { "pipe-no-header", true },
    [HVHOST_PIPE_LENGTH_BEYOND] = { "pipe-length-beyond", true },
    [HVHOST_PIPE_LENGTH_HUGE] = { "pipe-length-huge", true },
    [HVHOST_PIPE_LENGTH_OVER_MAX] = { "pipe-length-over-max", false },
    [HVHOST_PIPE_PARTIAL] = { "pipe-partial", false },
    [HVHOST_PIPE_PARTIAL_BAD] = { "pipe-partial-bad", true },
    [HVHOST_PIPE_TYPE_3] = { "pipe-type-3", true },
    [HVHOST_PIPE_TYPE_4] = { "pipe-type-4", true },
    [HVHOST_PIPE_TYPE_5] = { "pipe-type-5", true },
    [HVHOST_PIPE_TYPE_UNKNOWN] = { "pipe-type-unknown", true },
    [HVHOST_PACKET_TYPE_7] = { "packet-type-7", true },
    [HVHOST_PACKET_TYPE_9] = { "packet-type-9", true },
    [HVHOST_PACKET_TYPE_COMPLETION] = { "packet-type-completion", true },
    [HVHOST_PACKET_TYPE_UNKNOWN] = { "packet-type-unknown", true },
    [HVHOST_DATA_OFFSET_LARGER] = { "data-offset-larger", false },
    [HVHOST_TRANSACTION_ONES] = { "transaction-ones", false },
};

const char *
hvhost_corruption_name(enum hvhost_corruption corruption)
{
    return corruptions[corruption].name;
}

bool
hvhost_corruption_is_bad(enum hvhost_corruption corruption)
{
    return corruptions[corruption].bad;
}

/* A packet made by hand goes behind what was written; then the guest is woken, whatever the rules
 * say. */
static int
send_packet(hvhost_channel *channel, const struct hvring_descriptor *descriptor,
            const void *payload, uint32_t length)
{
    int error = hvhost_channel_check_writer(channel);
    bool signal;

    if (!error)
        error = hvhost_channel_want_room(channel, length + descriptor->data_offset8 * 8u);
    if (error)
        return error;
    hvring_writer_raw(&channel->writer, descriptor, payload, length);
    if (!hvring_writer_publish(&channel->writer, &signal))
        return hvhost_channel_breach(channel, channel->writer.breach);
    atomic_fetch_add_explicit(&channel->packets_out, 1, memory_order_relaxed);
    return hvhost_channel_send_signal(channel);
}

int
hvhost_channel_send_raw(hvhost_channel *channel, uint16_t type, uint16_t data_offset8,
                        uint16_t flags, uint64_t transaction_id, const void *payload, size_t length)
{
    struct hvring_descriptor descriptor = {
        .type = type,
        .data_offset8 = data_offset8,
        .length8 = (uint16_t)((data_offset8 * 8u + length + 7) / 8),
        .flags = flags,
        .transaction_id = transaction_id,
    };

    return send_packet(channel, &descriptor, payload, (uint32_t)length);
}

/* A packet of pipe type and length as given, with data_length bytes behind that header. */
static int
send_pipe(hvhost_channel *channel, uint32_t type, uint32_t length, const void *data,
          uint32_t data_length)
{
    uint8_t payload[sizeof(struct hvring_pipe_header) + HVRING_PIPE_MAX + 8] = { 0 };

    memcpy(payload, &(struct hvring_pipe_header){ type, length },
           sizeof(struct hvring_pipe_header));
    memcpy(payload + sizeof(struct hvring_pipe_header), data, data_length);
    return hvhost_channel_send_raw(channel, HVRING_PACKET_INBAND, 2, 0, 0, payload,
                                   sizeof(struct hvring_pipe_header) + data_length);
}

/* An index of the host's, set to what it cannot be. */
static int
corrupt_index(hvhost_channel *channel, _Atomic uint32_t *index, uint32_t value)
{
    atomic_store(&channel->corrupted, true);
    atomic_store(index, value);
    return hvhost_channel_send_signal(channel);
}

/* A packet of 32 bytes in all whose descriptor lies. */
static int
corrupt_descriptor(hvhost_channel *channel, uint16_t type, uint16_t data_offset8, uint16_t length8)
{
    struct hvring_descriptor descriptor = { type, data_offset8, length8, 0, 0 };
    struct hvring_pipe_header pipe = { HVRING_PIPE_DATA, 0 };
    struct hvring_writer *writer = &channel->writer;
    uint32_t start = writer->write;
    uint8_t front[HVRING_FRONT];
    int error;
    bool signal;

    error = hvhost_channel_check_writer(channel);
    if (!error)
        error = hvhost_channel_want_room(channel, 0);
    if (error)
        return error;
    memcpy(front, &descriptor, sizeof descriptor);
    memcpy(front + sizeof descriptor, &pipe, sizeof pipe);
    hvring_writer_frame(writer, 0);
    for (uint32_t i = 0; i < sizeof front; i++)
        writer->data[(start + i) % writer->size] = front[i];
    if (!hvring_writer_publish(writer, &signal))
        return hvhost_channel_breach(channel, writer->breach);
    return hvhost_channel_send_signal(channel);
}

int
hvhost_channel_corrupt(hvhost_channel *channel, enum hvhost_corruption corruption)
{
    static const uint8_t zeros[HVRING_PIPE_MAX + 8];
    struct hvring_writer *writer = &channel->writer;
    struct hvring_page *in = writer->page, *out = channel->reader.page;
    uint32_t size = writer->size;
    uint8_t payload[8 + 9];
    int error = hvhost_channel_check_writer(channel);

    if (error)
        return error;
    switch (corruption) {
    case HVHOST_WRITE_INDEX_RANGE:
        return corrupt_index(channel, &in->write_index, size);
    case HVHOST_WRITE_INDEX_HUGE:
        return corrupt_index(channel, &in->write_index, 0xfffffff8u);
    case HVHOST_WRITE_INDEX_MISALIGNED:
        return corrupt_index(channel, &in->write_index, writer->published + 4);
    case HVHOST_READ_INDEX_RANGE:
        return corrupt_index(channel, &out->read_index, size);
    case HVHOST_READ_INDEX_MISALIGNED:
        return corrupt_index(channel, &out->read_index, atomic_load(&out->read_index) + 4);
    case HVHOST_USED_TOO_SMALL:
        return corrupt_index(channel, &in->write_index, (writer->published + 8) % size);
    case HVHOST_OFFSET_ZERO:
        return corrupt_descriptor(channel, HVRING_PACKET_INBAND, 0, 3);
    case HVHOST_OFFSET_ONE:
        return corrupt_descriptor(channel, HVRING_PACKET_INBAND, 1, 3);
    case HVHOST_OFFSET_BEYOND_LENGTH:
        return corrupt_descriptor(channel, HVRING_PACKET_INBAND, 4, 3);
    case HVHOST_LENGTH_ZERO:
        return corrupt_descriptor(channel, HVRING_PACKET_INBAND, 2, 0);
    case HVHOST_LENGTH_ONE:
        return corrupt_descriptor(channel, HVRING_PACKET_INBAND, 2, 1);
    case HVHOST_LENGTH_BEYOND_USED:
        return corrupt_descriptor(channel, HVRING_PACKET_INBAND, 2, 4);
    case HVHOST_LENGTH_MAX:
        return corrupt_descriptor(channel, HVRING_PACKET_INBAND, 2, 0xffff);
    case HVHOST_PACKET_TYPE_7:
        return corrupt_descriptor(channel, 7, 2, 3);
    case HVHOST_PACKET_TYPE_9:
        return corrupt_descriptor(channel, 9, 2, 3);
    case HVHOST_PACKET_TYPE_COMPLETION:
        return corrupt_descriptor(channel, 0x0b, 2, 3);
    case HVHOST_PACKET_TYPE_UNKNOWN:
        return corrupt_descriptor(channel, 0x42, 2, 3);
    case HVHOST_PIPE_NO_HEADER:
        return hvhost_channel_send_raw(channel, HVRING_PACKET_INBAND, 2, 0, 0, zeros, 0);
    case HVHOST_PIPE_LENGTH_BEYOND:
        return send_pipe(channel, HVRING_PIPE_DATA, 17, zeros, 16);
    case HVHOST_PIPE_LENGTH_HUGE:
        return send_pipe(channel, HVRING_PIPE_DATA, 0xffffffffu, zeros, 16);
    case HVHOST_PIPE_LENGTH_OVER_MAX:
        return send_pipe(channel, HVRING_PIPE_DATA, HVRING_PIPE_MAX + 8, zeros,
                         HVRING_PIPE_MAX + 8);
    case HVHOST_PIPE_PARTIAL:
        return send_pipe(channel, 2, 2u << 16 | 9u, "XXpartial", 9);
    case HVHOST_PIPE_PARTIAL_BAD:
        return send_pipe(channel, 2, 10u << 16 | 9u, "XXpartial", 9);
    case HVHOST_PIPE_TYPE_3:
        return send_pipe(channel, 3, 16, zeros, 16);
    case HVHOST_PIPE_TYPE_4:
        return send_pipe(channel, 4, 16, zeros, 16);
    case HVHOST_PIPE_TYPE_5:
        return send_pipe(channel, 5, 16, zeros, 16);
    case HVHOST_PIPE_TYPE_UNKNOWN:
        return send_pipe(channel, 0x77, 16, zeros, 16);
    case HVHOST_DATA_OFFSET_LARGER:
        memcpy(payload, &(struct hvring_pipe_header){ HVRING_PIPE_DATA, 6 }, 8);
        memcpy(payload + 8, "offset", 6);
        return hvhost_channel_send_raw(channel, HVRING_PACKET_INBAND, 3, 0, 0, payload, 14);
    case HVHOST_TRANSACTION_ONES:
        memcpy(payload, &(struct hvring_pipe_header){ HVRING_PIPE_DATA, 4 }, 8);
        memcpy(payload + 8, "ones", 4);
        return hvhost_channel_send_raw(channel, HVRING_PACKET_INBAND, 2, 0, UINT64_MAX, payload,
                                       12);
    }
    return -EINVAL;
}

#include "hvring.h"

#include <stdio.h>
#include <string.h>

static uint32_t
advance(uint32_t offset, uint32_t n, uint32_t size)
{
    uint64_t sum = (uint64_t)offset + n;

    return (uint32_t)(sum >= size ? sum - size : sum);
}

/* How far `to` lies ahead of `from`. */
static uint32_t
distance(uint32_t from, uint32_t to, uint32_t size)
{
    return to >= from ? to - from : size - from + to;
}

static uint32_t
align8(uint32_t n)
{
    return (n + 7u) & ~7u;
}

uint32_t
hvring_packet_size(uint32_t payload)
{
    return align8(payload) + HVRING_OVERHEAD;
}

static void
copy_in(uint8_t *data, uint32_t size, uint32_t offset, const void *from, uint32_t length)
{
    uint32_t first = length < size - offset ? length : size - offset;

    memcpy(data + offset, from, first);
    memcpy(data, (const uint8_t *)from + first, length - first);
}

static void
copy_out(const uint8_t *data, uint32_t size, uint32_t offset, void *to, uint32_t length)
{
    uint32_t first = length < size - offset ? length : size - offset;

    memcpy(to, data + offset, first);
    memcpy((uint8_t *)to + first, data, length - first);
}

/* The one or two pieces of `length` bytes at offset. */
static int
pieces_of(uint8_t *data, uint32_t size, uint32_t offset, uint32_t length, struct iovec pieces[2])
{
    uint32_t first = length < size - offset ? length : size - offset;

    pieces[0] = (struct iovec){ data + offset, first };
    if (first == length)
        return 1;
    pieces[1] = (struct iovec){ data, length - first };
    return 2;
}

/* From shared words only: any thread may ask. */
static uint32_t
unread(struct hvring_page *page, uint32_t size)
{
    uint32_t read = atomic_load(&page->read_index), write = atomic_load(&page->write_index);

    return read < size && write < size ? distance(read, write, size) : 0;
}

/* -- host → guest -- */

void
hvring_writer_init(struct hvring_writer *writer, void *memory, uint32_t size, uint32_t page_size)
{
    memset(writer, 0, sizeof *writer);
    writer->page = memory;
    writer->data = (uint8_t *)memory + page_size;
    writer->size = size;
    atomic_store(&writer->page->feature_bits, HVRING_FEATURE_PENDING_SEND);
}

bool
hvring_writer_room(struct hvring_writer *writer, uint32_t *room)
{
    uint32_t read = atomic_load_explicit(&writer->page->read_index, memory_order_acquire);

    if (read >= writer->size || read % 8 != 0) {
        snprintf(writer->breach, sizeof writer->breach,
                 "read_index of the host-to-guest ring is %u (ring of %u bytes)", read,
                 writer->size);
        return false;
    }
    if (distance(writer->read, read, writer->size) >
        distance(writer->read, writer->published, writer->size)) {
        snprintf(writer->breach, sizeof writer->breach,
                 "read_index went from %u to %u, past write_index %u", writer->read, read,
                 writer->published);
        return false;
    }
    writer->read = read;
    *room = writer->size - 8 - distance(read, writer->write, writer->size);
    return true;
}

uint32_t
hvring_writer_payload_max(const struct hvring_writer *writer)
{
    uint32_t room = writer->size - 8 - HVRING_OVERHEAD;

    return room < HVRING_PIPE_MAX ? room : HVRING_PIPE_MAX;
}

int
hvring_writer_payload(const struct hvring_writer *writer, uint32_t length, struct iovec pieces[2])
{
    return pieces_of(writer->data, writer->size, advance(writer->write, HVRING_FRONT, writer->size),
                     length, pieces);
}

static void
write_trailer(struct hvring_writer *writer, uint32_t start, uint32_t at)
{
    uint32_t trailer[2] = { 0, start };

    copy_in(writer->data, writer->size, at, trailer, sizeof trailer);
    writer->write = advance(at, sizeof trailer, writer->size);
}

void
hvring_writer_frame(struct hvring_writer *writer, uint32_t length)
{
    static const uint8_t zeros[8];
    uint32_t start = writer->write;
    uint32_t padded = align8(length);
    struct {
        struct hvring_descriptor descriptor;
        struct hvring_pipe_header pipe;
    } front = {
        .descriptor = { .type = HVRING_PACKET_INBAND,
                        .data_offset8 = 2,
                        .length8 = (uint16_t)((HVRING_FRONT + padded) / 8) },
        .pipe = { HVRING_PIPE_DATA, length },
    };

    _Static_assert(sizeof front == HVRING_FRONT, "no padding between the headers");
    copy_in(writer->data, writer->size, start, &front, sizeof front);
    copy_in(writer->data, writer->size, advance(start, HVRING_FRONT + length, writer->size), zeros,
            padded - length);
    write_trailer(writer, start, advance(start, HVRING_FRONT + padded, writer->size));
}

void
hvring_writer_raw(struct hvring_writer *writer, const struct hvring_descriptor *descriptor,
                  const void *payload, uint32_t payload_length)
{
    uint32_t start = writer->write, end = align8(descriptor->data_offset8 * 8u + payload_length);

    copy_in(writer->data, writer->size, start, descriptor, sizeof *descriptor);
    for (uint32_t at = sizeof *descriptor; at < end; at += 8)
        copy_in(writer->data, writer->size, advance(start, at, writer->size), &(uint64_t){ 0 }, 8);
    copy_in(writer->data, writer->size, advance(start, descriptor->data_offset8 * 8u, writer->size),
            payload, payload_length);
    write_trailer(writer, start, advance(start, end, writer->size));
}

/* Two parties: the host publishes, then looks at the mask and at read_index; the guest clears the
 * mask or moves read_index, then looks at write_index. With a full fence on both sides at least one
 * of them sees the other, so a guest that is about to sleep is either signalled or sees the
 * packet. */
bool
hvring_writer_publish(struct hvring_writer *writer, bool *signal)
{
    uint32_t before = writer->published, mask, room;

    *signal = false;
    if (writer->write == before)
        return true;
    writer->published = writer->write;
    atomic_store_explicit(&writer->page->write_index, writer->write, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst);
    mask = atomic_load_explicit(&writer->page->interrupt_mask, memory_order_acquire);
    if (mask > 1) {
        snprintf(writer->breach, sizeof writer->breach,
                 "interrupt_mask of the host-to-guest ring is %u", mask);
        return false;
    }
    if (!hvring_writer_room(writer, &room))
        return false;
    *signal = mask == 0 && writer->read == before;
    return true;
}

void
hvring_writer_set_pending(struct hvring_writer *writer, uint32_t bytes)
{
    writer->pending = bytes;
    atomic_store_explicit(&writer->page->pending_send_sz, bytes, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst);
}

bool
hvring_writer_check_owned(struct hvring_writer *writer)
{
    uint32_t now[3] = { atomic_load(&writer->page->write_index),
                        atomic_load(&writer->page->pending_send_sz),
                        atomic_load(&writer->page->feature_bits) };
    uint32_t own[3] = { writer->published, writer->pending, HVRING_FEATURE_PENDING_SEND };
    const char *names[3] = { "write_index", "pending_send_sz", "feature_bits" };

    for (int i = 0; i < 3; i++) {
        if (now[i] == own[i])
            continue;
        snprintf(writer->breach, sizeof writer->breach,
                 "the guest changed %s of the host-to-guest ring from %u to %u", names[i], own[i],
                 now[i]);
        return false;
    }
    return true;
}

uint32_t
hvring_writer_unread(const struct hvring_writer *writer)
{
    return unread(writer->page, writer->size);
}

/* -- guest → host -- */

void
hvring_reader_init(struct hvring_reader *reader, void *memory, uint32_t size, uint32_t page_size,
                   bool masked)
{
    memset(reader, 0, sizeof *reader);
    reader->page = memory;
    reader->data = (uint8_t *)memory + page_size;
    reader->size = size;
    reader->masked = masked;
    if (!masked) {
        atomic_store(&reader->allowed, 1);
        reader->position_allowed = true;
    }
    atomic_store(&reader->page->interrupt_mask, masked);
    atomic_store(&reader->page->feature_bits, HVRING_FEATURE_PENDING_SEND);
}

static bool
load_write_index(struct hvring_reader *reader)
{
    uint32_t write = atomic_load_explicit(&reader->page->write_index, memory_order_acquire);

    if (write >= reader->size || write % 8 != 0) {
        snprintf(reader->breach, sizeof reader->breach,
                 "write_index of the guest-to-host ring is %u (ring of %u bytes)", write,
                 reader->size);
        return false;
    }
    if (distance(reader->read, write, reader->size) <
        distance(reader->read, reader->write, reader->size)) {
        snprintf(reader->breach, sizeof reader->breach,
                 "write_index went back from %u to %u, or past read_index %u", reader->write, write,
                 reader->read);
        return false;
    }
    reader->write = write;
    return true;
}

static bool
malformed(struct hvring_reader *reader, const char *what, uint64_t value)
{
    snprintf(reader->breach, sizeof reader->breach, "packet at %u: %s is %llu", reader->decoded,
             what, (unsigned long long)value);
    return false;
}

/* Everything between the payload's last byte and the next packet. */
static bool
check_tail(struct hvring_reader *reader, uint32_t length, uint32_t packet)
{
    uint32_t trailer[2];
    uint8_t padding[8] = { 0 };
    uint32_t padded = align8(length);

    copy_out(reader->data, reader->size,
             advance(reader->decoded, HVRING_FRONT + length, reader->size), padding,
             padded - length);
    for (uint32_t i = 0; i < padded - length; i++)
        if (padding[i] != 0)
            return malformed(reader, "a padding byte", padding[i]);
    copy_out(reader->data, reader->size, advance(reader->decoded, packet, reader->size), trailer,
             sizeof trailer);
    if (trailer[0] != 0)
        return malformed(reader, "the trailer's low word", trailer[0]);
    if (trailer[1] != reader->decoded)
        return malformed(reader, "the trailer's offset", trailer[1]);
    return true;
}

/* One packet at .decoded of which at least 8 bytes are there. */
static bool
decode(struct hvring_reader *reader, struct hvring_packet *out)
{
    uint32_t used = distance(reader->decoded, reader->write, reader->size);
    uint32_t packet, length;
    struct {
        struct hvring_descriptor descriptor;
        struct hvring_pipe_header pipe;
    } front;

    if (used < HVRING_OVERHEAD)
        return malformed(reader, "what was published of it, in bytes,", used);
    copy_out(reader->data, reader->size, reader->decoded, &front, sizeof front);
    if (front.descriptor.type != HVRING_PACKET_INBAND)
        return malformed(reader, "its type", front.descriptor.type);
    if (front.descriptor.flags != 0)
        return malformed(reader, "flags", front.descriptor.flags);
    if (front.descriptor.data_offset8 != 2)
        return malformed(reader, "data_offset8", front.descriptor.data_offset8);
    if (front.descriptor.transaction_id != 0)
        return malformed(reader, "transaction_id", front.descriptor.transaction_id);
    packet = front.descriptor.length8 * 8u;
    if (packet < HVRING_FRONT || packet + 8 > used)
        return malformed(reader, "length8", front.descriptor.length8);
    if (front.pipe.type != HVRING_PIPE_DATA)
        return malformed(reader, "the pipe packet's type", front.pipe.type);
    length = front.pipe.length;
    if (length > HVRING_PIPE_MAX)
        return malformed(reader, "the pipe packet's length", length);
    if (HVRING_FRONT + align8(length) != packet) {
        snprintf(reader->breach, sizeof reader->breach,
                 "packet at %u: %u bytes of pipe data in a packet of %u bytes", reader->decoded,
                 length, packet);
        return false;
    }
    if (!check_tail(reader, length, packet))
        return false;
    *out = (struct hvring_packet){
        .payload = advance(reader->decoded, HVRING_FRONT, reader->size),
        .length = length,
        .end = advance(reader->decoded, packet + 8, reader->size),
    };
    return true;
}

bool
hvring_reader_look(struct hvring_reader *reader, bool *any)
{
    *any = false;
    if (!load_write_index(reader))
        return false;
    while (reader->decoded != reader->write && reader->count < HVRING_QUEUE) {
        struct hvring_packet *packet =
            &reader->queue[(reader->head + reader->count) % HVRING_QUEUE];

        if (!decode(reader, packet))
            return false;
        if (reader->ended)
            return malformed(reader, "data after the end of the stream, whose length",
                             packet->length);
        reader->ended = packet->length == 0;
        reader->decoded = packet->end;
        reader->count++;
    }
    *any = reader->count > 0;
    return true;
}

uint32_t
hvring_reader_peek(const struct hvring_reader *reader, struct iovec *pieces, int count,
                   uint32_t limit, int *used)
{
    uint32_t bytes = 0, skip = reader->used_up;

    *used = 0;
    for (uint32_t i = 0; i < reader->count && bytes < limit && *used < count; i++) {
        const struct hvring_packet *packet = &reader->queue[(reader->head + i) % HVRING_QUEUE];
        uint32_t length = packet->length - skip;
        struct iovec span[2];
        int n;

        if (packet->length == 0)
            break;
        if (length > limit - bytes)
            length = limit - bytes;
        n = pieces_of((uint8_t *)reader->data, reader->size,
                      advance(packet->payload, skip, reader->size), length, span);
        for (int k = 0; k < n && *used < count; k++) {
            pieces[(*used)++] = span[k];
            bytes += (uint32_t)span[k].iov_len;
        }
        skip = 0;
    }
    return bytes;
}

static void
drop_first(struct hvring_reader *reader)
{
    reader->released = reader->queue[reader->head].end;
    reader->head = (reader->head + 1) % HVRING_QUEUE;
    reader->count--;
    reader->used_up = 0;
}

uint32_t
hvring_reader_consume(struct hvring_reader *reader, uint32_t length)
{
    uint32_t packets = 0;

    if (length == 0 && reader->count > 0 && reader->queue[reader->head].length == 0) {
        drop_first(reader);
        return 1;
    }
    while (length > 0 && reader->count > 0) {
        uint32_t left = reader->queue[reader->head].length - reader->used_up;

        if (length < left) {
            reader->used_up += length;
            break;
        }
        length -= left;
        drop_first(reader);
        packets++;
    }
    return packets;
}

/* The guest may signal once for each read_index that it finds to be where its own batch began.
 * So each value that is published unmasked allows one signal. Masking allows one more: a guest may
 * be between its look at the mask and its look at read_index. */
static void
allow_position(struct hvring_reader *reader)
{
    if (!reader->position_allowed)
        atomic_fetch_add(&reader->allowed, 1);
    reader->position_allowed = true;
}

bool
hvring_reader_publish(struct hvring_reader *reader, bool *signal)
{
    uint32_t freed = distance(reader->read, reader->released, reader->size);
    uint32_t pending, free_before, free_after;

    *signal = false;
    if (freed == 0)
        return true;
    reader->position_allowed = false;
    if (reader->masked == 0)
        allow_position(reader);
    else if (reader->in_flight_allowed)
        allow_position(reader);
    reader->in_flight_allowed = false;
    reader->read = reader->released;
    atomic_store_explicit(&reader->page->read_index, reader->read, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst);

    if ((atomic_load(&reader->page->feature_bits) & HVRING_FEATURE_PENDING_SEND) == 0)
        return true;
    pending = atomic_load(&reader->page->pending_send_sz) & ~7u;
    if (pending == 0)
        return true;
    if (pending >= reader->size) {
        snprintf(reader->breach, sizeof reader->breach,
                 "pending_send_sz of the guest-to-host ring is %u, which never comes free",
                 pending);
        return false;
    }
    atomic_thread_fence(memory_order_acquire);
    if (!load_write_index(reader))
        return false;
    free_after = reader->size - distance(reader->read, reader->write, reader->size);
    free_before = free_after - freed;
    *signal = free_before <= pending && pending < free_after;
    return true;
}

void
hvring_reader_mask(struct hvring_reader *reader, bool masked)
{
    if (masked == (reader->masked != 0)) {
        atomic_thread_fence(memory_order_seq_cst);
        return;
    }
    if (masked)
        reader->in_flight_allowed = true;
    else
        allow_position(reader);
    reader->masked = masked;
    atomic_store_explicit(&reader->page->interrupt_mask, masked, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst);
}

bool
hvring_reader_pending(const struct hvring_reader *reader)
{
    return atomic_load_explicit(&reader->page->write_index, memory_order_acquire) !=
           reader->decoded;
}

bool
hvring_reader_check_owned(struct hvring_reader *reader)
{
    uint32_t now[2] = { atomic_load(&reader->page->read_index),
                        atomic_load(&reader->page->interrupt_mask) };
    uint32_t own[2] = { reader->read, reader->masked };
    const char *names[2] = { "read_index", "interrupt_mask" };

    for (int i = 0; i < 2; i++) {
        if (now[i] == own[i])
            continue;
        snprintf(reader->breach, sizeof reader->breach,
                 "the guest changed %s of the guest-to-host ring from %u to %u", names[i], own[i],
                 now[i]);
        return false;
    }
    return true;
}

uint32_t
hvring_reader_unread(const struct hvring_reader *reader)
{
    return unread(reader->page, reader->size);
}

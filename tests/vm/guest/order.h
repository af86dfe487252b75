/* What a client of the guest's test servers wants: the first 16 bytes that it sends. vm.py has the
 * other side of this.
 */
#ifndef HVS_TEST_ORDER_H
#define HVS_TEST_ORDER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct order {
    char name[8];   /* padded with zeros */
    uint64_t count; /* bytes, little endian */
};

enum order_kind {
    ORDER_ECHO,   /* send back everything until the end of the stream */
    ORDER_SINK,   /* take count bytes, then send a report */
    ORDER_DRAIN,  /* the same, with no checksum */
    ORDER_SOURCE, /* send count bytes of the pattern, then as echo */
    ORDER_DUPLEX, /* take and send count bytes at the same time, then send a report */
    ORDER_FINISH, /* send count bytes of the pattern, then close */
    ORDER_DEAFEN, /* rdp-echo only: end the stream, then take count bytes and say so */
    ORDER_BREAK,  /* ring-echo only: break rule number count */
    ORDER_UNKNOWN,
};

/* What answers sink, drain (checksum 0) and duplex. */
struct order_report {
    uint64_t count;
    uint32_t crc32; /* as zlib's */
    uint32_t zero;
};

static inline enum order_kind
order_kind(const struct order *order)
{
    static const char *const names[] = {
        "echo", "sink", "drain", "source", "duplex", "finish", "deafen", "break",
    };

    for (int i = 0; i < ORDER_UNKNOWN; i++)
        if (!strncmp(order->name, names[i], sizeof(order->name)))
            return i;
    return ORDER_UNKNOWN;
}

/* The pattern: its period is a prime number, so no error of a power of two goes unseen. */
#define PATTERN_PERIOD 65521

static inline void
pattern_fill(uint8_t pattern[2 * PATTERN_PERIOD])
{
    uint64_t x = 1;

    for (int i = 0; i < PATTERN_PERIOD; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        pattern[i] = x >> 56;
    }
    memcpy(pattern + PATTERN_PERIOD, pattern, PATTERN_PERIOD);
}

/* Slicing by four: the checksum must not be what a test of speed measures. */
static inline uint32_t
crc32_update(uint32_t crc, const uint8_t *data, size_t length)
{
    static uint32_t table[4][256];

    if (!table[0][1])
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t c = i;
            for (int bit = 0; bit < 8; bit++)
                c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
            table[0][i] = c;
        }
    if (!table[1][1])
        for (int k = 1; k < 4; k++)
            for (int i = 0; i < 256; i++)
                table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 0xff];

    crc = ~crc;
    for (; length >= 4; data += 4, length -= 4) {
        uint32_t word;
        memcpy(&word, data, sizeof(word));
        crc ^= word;
        crc = table[3][crc & 0xff] ^ table[2][crc >> 8 & 0xff] ^ table[1][crc >> 16 & 0xff] ^
              table[0][crc >> 24];
    }
    while (length--)
        crc = crc >> 8 ^ table[0][(crc ^ *data++) & 0xff];
    return ~crc;
}

#endif

/* Integers as they lie in PDUs and messages, byte by byte: no alignment, no byte order of the
 * machine. The caller has checked that the bytes are there. */
#ifndef HVS_COMMON_WIRE_H
#define HVS_COMMON_WIRE_H

#include <stdint.h>

static inline uint16_t
hvs_read_u16_le(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] | (unsigned)bytes[1] << 8);
}

static inline uint16_t
hvs_read_u16_be(const uint8_t *bytes)
{
    return (uint16_t)((unsigned)bytes[0] << 8 | bytes[1]);
}

static inline uint32_t
hvs_read_u32_le(const uint8_t *bytes)
{
    return hvs_read_u16_le(bytes) | (uint32_t)hvs_read_u16_le(bytes + 2) << 16;
}

static inline uint32_t
hvs_read_u32_be(const uint8_t *bytes)
{
    return (uint32_t)hvs_read_u16_be(bytes) << 16 | hvs_read_u16_be(bytes + 2);
}

static inline void
hvs_write_u16_le(uint8_t *bytes, uint16_t value)
{
    bytes[0] = (uint8_t)value;
    bytes[1] = (uint8_t)(value >> 8);
}

static inline void
hvs_write_u16_be(uint8_t *bytes, uint16_t value)
{
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

static inline void
hvs_write_u32_le(uint8_t *bytes, uint32_t value)
{
    hvs_write_u16_le(bytes, (uint16_t)value);
    hvs_write_u16_le(bytes + 2, (uint16_t)(value >> 16));
}

static inline void
hvs_write_u32_be(uint8_t *bytes, uint32_t value)
{
    hvs_write_u16_be(bytes, (uint16_t)(value >> 16));
    hvs_write_u16_be(bytes + 2, (uint16_t)value);
}

#endif

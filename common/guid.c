#include "guid.h"
#include "wire.h"

#include <string.h>

void
hvs_guid_to_wire(const struct hvs_guid *guid, uint8_t wire[HVS_GUID_WIRE_SIZE])
{
    hvs_write_u32_le(wire, guid->data1);
    hvs_write_u16_le(wire + 4, guid->data2);
    hvs_write_u16_le(wire + 6, guid->data3);
    memcpy(wire + 8, guid->data4, sizeof guid->data4);
}

struct hvs_guid
hvs_guid_from_wire(const uint8_t wire[HVS_GUID_WIRE_SIZE])
{
    struct hvs_guid guid = {
        .data1 = hvs_read_u32_le(wire),
        .data2 = hvs_read_u16_le(wire + 4),
        .data3 = hvs_read_u16_le(wire + 6),
    };

    memcpy(guid.data4, wire + 8, sizeof guid.data4);
    return guid;
}

void
hvs_guid_to_bytes(const struct hvs_guid *guid, uint8_t bytes[HVS_GUID_WIRE_SIZE])
{
    hvs_write_u32_be(bytes, guid->data1);
    hvs_write_u16_be(bytes + 4, guid->data2);
    hvs_write_u16_be(bytes + 6, guid->data3);
    memcpy(bytes + 8, guid->data4, sizeof guid->data4);
}

struct hvs_guid
hvs_guid_from_bytes(const uint8_t bytes[HVS_GUID_WIRE_SIZE])
{
    struct hvs_guid guid = {
        .data1 = hvs_read_u32_be(bytes),
        .data2 = hvs_read_u16_be(bytes + 4),
        .data3 = hvs_read_u16_be(bytes + 6),
    };

    memcpy(guid.data4, bytes + 8, sizeof guid.data4);
    return guid;
}

bool
hvs_guid_equal(const struct hvs_guid *a, const struct hvs_guid *b)
{
    return a->data1 == b->data1 && a->data2 == b->data2 && a->data3 == b->data3 &&
           memcmp(a->data4, b->data4, sizeof a->data4) == 0;
}

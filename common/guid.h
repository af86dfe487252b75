/* GUIDs as they lie on the VMBus: a value, its wire form and comparison. The text forms come from
 * libuuid on Linux and rpcrt4 on Windows. */
#ifndef HVS_COMMON_GUID_H
#define HVS_COMMON_GUID_H

#include <stdbool.h>
#include <stdint.h>

struct hvs_guid {
    uint32_t data1;
    uint16_t data2;
    uint16_t data3;
    uint8_t  data4[8];
};

#define HVS_GUID_WIRE_SIZE 16

/* Wire form: the first three fields little endian, the last eight bytes as they are
 * ([MS-DTYP] 2.3.4.2). */
void hvs_guid_to_wire(const struct hvs_guid *guid, uint8_t wire[HVS_GUID_WIRE_SIZE]);
struct hvs_guid hvs_guid_from_wire(const uint8_t wire[HVS_GUID_WIRE_SIZE]);
/* Text order: all fields big endian, as the digits are written (what libuuid calls uuid_t). */
void hvs_guid_to_bytes(const struct hvs_guid *guid, uint8_t bytes[HVS_GUID_WIRE_SIZE]);
struct hvs_guid hvs_guid_from_bytes(const uint8_t bytes[HVS_GUID_WIRE_SIZE]);
bool hvs_guid_equal(const struct hvs_guid *a, const struct hvs_guid *b);

#endif

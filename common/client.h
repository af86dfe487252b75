/* What a client says about itself in the MCS Connect Initial: its name, the desktop it wants, its
 * static virtual channels. For people who ask who is connected, and nothing depends on it.
 *
 * Read-only, and it cannot fail: what is missing, cut short or said twice is not known.
 * Sources: [MS-RDPBCGR] 2.2.1.3.2 Client Core Data, 2.2.1.3.4 Client Network Data.
 */
#ifndef HVS_COMMON_CLIENT_H
#define HVS_COMMON_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* clientName: at most 15 UTF-16 units, none longer than 3 bytes in UTF-8, and a zero. */
#define HVS_CLIENT_NAME_MAX (15 * 3 + 1)
/* [MS-RDPBCGR] 2.2.1.3.4: channelCount is at most 31. 2.2.1.3.4.1: a name is at most 7 characters
 * and a zero. */
#define HVS_CLIENT_CHANNELS_MAX     31
#define HVS_CLIENT_CHANNEL_NAME_MAX 8

/* Zeroed: nothing is known. */
struct hvs_client_facts {
    bool     core_seen; /* Client Core Data was there */
    char     name[HVS_CLIENT_NAME_MAX]; /* UTF-8 without control characters; "": not known */
    uint16_t desktop_width, desktop_height; /* pixels; 0: not known */
    uint16_t colour_depth; /* bits a pixel that the client would like: 4, 8, 15, 16, 24, 32; 0: not
                              known */
    uint32_t build;        /* of the client; 0: not known */
    bool     channels_seen; /* Client Network Data was there */
    unsigned channel_count; /* of those that are named here */
    char     channels[HVS_CLIENT_CHANNELS_MAX][HVS_CLIENT_CHANNEL_NAME_MAX]; /* visible ASCII */
};

/* Where a user data block lies in a PDU, its 4-byte header included. length 0: there is none. */
struct hvs_client_block {
    const uint8_t *bytes;
    size_t         length;
};

/* core: CS_CORE, network: CS_NET, as long as their headers say. Never reads past them. */
void hvs_client_read(struct hvs_client_block core, struct hvs_client_block network,
                     struct hvs_client_facts *client);

#endif

#include "client.h"
#include "wire.h"

#include <string.h>

/* [MS-RDPBCGR] 2.2.1.3.2 Client Core Data: offsets from the block's header. What comes behind
 * imeFileName, at 132, is optional. */
#define CORE_DESKTOP_WIDTH           8u
#define CORE_DESKTOP_HEIGHT          10u
#define CORE_COLOR_DEPTH             12u
#define CORE_CLIENT_BUILD            20u
#define CORE_CLIENT_NAME             24u
#define CORE_CLIENT_NAME_UNITS       16u
#define CORE_POST_BETA2_COLOR_DEPTH  132u
#define CORE_HIGH_COLOR_DEPTH        140u
#define CORE_EARLY_CAPABILITY_FLAGS  144u
#define RNS_UD_CS_WANT_32BPP_SESSION 0x0002u
/* colorDepth and postBeta2ColorDepth */
#define RNS_UD_COLOR_4BPP      0xca00u
#define RNS_UD_COLOR_8BPP      0xca01u
#define RNS_UD_COLOR_16BPP_555 0xca02u
#define RNS_UD_COLOR_16BPP_565 0xca03u
#define RNS_UD_COLOR_24BPP     0xca04u
/* 2.2.1.3.4 Client Network Data: channelCount, then a CHANNEL_DEF each: name[8], u32 options */
#define NETWORK_CHANNEL_COUNT 4u
#define NETWORK_CHANNELS      8u
#define CHANNEL_DEF_SIZE      12u

/* False: the block ends before. */
static bool
read_u16(struct hvs_client_block block, size_t offset, uint16_t *value)
{
    if (block.length < offset + 2)
        return false;
    *value = hvs_read_u16_le(block.bytes + offset);
    return true;
}

static bool
is_visible_ascii(unsigned c)
{
    return c > 0x20 && c < 0x7f;
}

/* At most 3 bytes a unit: pairs of surrogates take 4 for two. */
static size_t
add_utf8(char *to, uint32_t c)
{
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (char)(0xc0 | c >> 6);
        to[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        to[0] = (char)(0xe0 | c >> 12);
        to[1] = (char)(0x80 | (c >> 6 & 0x3f));
        to[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    to[0] = (char)(0xf0 | c >> 18);
    to[1] = (char)(0x80 | (c >> 12 & 0x3f));
    to[2] = (char)(0x80 | (c >> 6 & 0x3f));
    to[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* The character at that unit of count; *used: how many units it is. A surrogate without its other
 * half becomes U+FFFD, a control character '?'. */
static uint32_t
utf16_character(const uint8_t *units, size_t at, size_t count, size_t *used)
{
    uint32_t first = hvs_read_u16_le(units + 2 * at);
    uint32_t second = at + 1 < count ? hvs_read_u16_le(units + 2 * (at + 1)) : 0;

    *used = 1;
    if (first < 0x20 || (first >= 0x7f && first < 0xa0))
        return '?';
    if (first < 0xd800 || first > 0xdfff)
        return first;
    if (first > 0xdbff || second < 0xdc00 || second > 0xdfff)
        return 0xfffd;
    *used = 2;
    return 0x10000 + ((first - 0xd800) << 10 | (second - 0xdc00));
}

/* The last of the units is for the zero. */
static void
read_name(struct hvs_client_block core, struct hvs_client_facts *client)
{
    const uint8_t *units;
    size_t count = CORE_CLIENT_NAME_UNITS - 1, length = 0, used;

    if (core.length < CORE_CLIENT_NAME + 2 * CORE_CLIENT_NAME_UNITS)
        return;
    units = core.bytes + CORE_CLIENT_NAME;
    for (size_t i = 0; i < count && hvs_read_u16_le(units + 2 * i) != 0; i += used)
        length += add_utf8(client->name + length, utf16_character(units, i, count, &used));
    client->name[length] = '\0';
}

static uint16_t
depth_of_enumeration(uint16_t value)
{
    switch (value) {
    case RNS_UD_COLOR_4BPP:
        return 4;
    case RNS_UD_COLOR_8BPP:
        return 8;
    case RNS_UD_COLOR_16BPP_555:
        return 15;
    case RNS_UD_COLOR_16BPP_565:
        return 16;
    case RNS_UD_COLOR_24BPP:
        return 24;
    default:
        return 0;
    }
}

/* Each field is there for what the one before it could not say, the newest comes first. */
static uint16_t
read_colour_depth(struct hvs_client_block core)
{
    uint16_t value, depth;

    if (read_u16(core, CORE_EARLY_CAPABILITY_FLAGS, &value) &&
        (value & RNS_UD_CS_WANT_32BPP_SESSION) != 0)
        return 32;
    if (read_u16(core, CORE_HIGH_COLOR_DEPTH, &value) &&
        (value == 4 || value == 8 || value == 15 || value == 16 || value == 24))
        return value;
    if (read_u16(core, CORE_POST_BETA2_COLOR_DEPTH, &value)) {
        depth = depth_of_enumeration(value);
        if (depth != 0)
            return depth;
    }
    return read_u16(core, CORE_COLOR_DEPTH, &value) ? depth_of_enumeration(value) : 0;
}

static void
read_core(struct hvs_client_block core, struct hvs_client_facts *client)
{
    uint16_t width, height;

    client->core_seen = core.length > 0;
    if (read_u16(core, CORE_DESKTOP_WIDTH, &width) &&
        read_u16(core, CORE_DESKTOP_HEIGHT, &height) && width != 0 && height != 0) {
        client->desktop_width = width;
        client->desktop_height = height;
    }
    client->colour_depth = read_colour_depth(core);
    if (core.length >= CORE_CLIENT_BUILD + 4)
        client->build = hvs_read_u32_le(core.bytes + CORE_CLIENT_BUILD);
    read_name(core, client);
}

/* A channel without a name is left out. */
static void
read_channel(const uint8_t *definition, struct hvs_client_facts *client)
{
    char *name = client->channels[client->channel_count];
    size_t length = 0;

    while (length < HVS_CLIENT_CHANNEL_NAME_MAX - 1 && definition[length] != 0) {
        name[length] = is_visible_ascii(definition[length]) ? (char)definition[length] : '?';
        length++;
    }
    name[length] = '\0';
    if (length > 0)
        client->channel_count++;
}

static void
read_network(struct hvs_client_block network, struct hvs_client_facts *client)
{
    uint32_t count;

    if (network.length < NETWORK_CHANNELS)
        return;
    client->channels_seen = true;
    count = hvs_read_u32_le(network.bytes + NETWORK_CHANNEL_COUNT);
    for (size_t i = 0; i < count && i < HVS_CLIENT_CHANNELS_MAX; i++) {
        size_t offset = NETWORK_CHANNELS + i * CHANNEL_DEF_SIZE;

        if (network.length - offset < CHANNEL_DEF_SIZE)
            return;
        read_channel(network.bytes + offset, client);
    }
}

void
hvs_client_read(struct hvs_client_block core, struct hvs_client_block network,
                struct hvs_client_facts *client)
{
    memset(client, 0, sizeof *client);
    read_core(core, client);
    read_network(network, client);
}

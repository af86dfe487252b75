/* Any bytes as Client Core Data and Client Network Data.
 *
 * Input: u16 little endian length of the core block, that block, the network block.
 *
 * Shown, besides the absence of crashes: nothing is read past either block, and what comes out is
 * terminated, bounded and fit for a terminal.
 */
#include "common/client.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool condition)
{
    if (!condition)
        abort();
}

/* In memory that ends where it ends. */
static struct hvs_client_block
copy_block(const uint8_t *bytes, size_t length)
{
    uint8_t *copy = malloc(length > 0 ? length : 1);

    require(copy != NULL);
    memcpy(copy, bytes, length);
    return (struct hvs_client_block){ copy, length };
}

static void
require_visible(const char *string, size_t size)
{
    size_t length = 0;

    while (length < size && string[length] != '\0') {
        unsigned char c = (unsigned char)string[length++];

        require(c >= 0x20 && c != 0x7f);
        /* C1 controls are 0xc2 0x80 to 0xc2 0x9f. */
        require(c != 0xc2 || (unsigned char)string[length] >= 0xa0);
    }
    require(length < size);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hvs_client_block core, network;
    struct hvs_client_facts facts;
    size_t length;

    if (size < 2)
        return 0;
    length = (size_t)data[0] | (size_t)data[1] << 8;
    data += 2;
    size -= 2;
    length = length < size ? length : size;
    core = copy_block(data, length);
    network = copy_block(data + length, size - length);
    memset(&facts, 0xff, sizeof facts);
    hvs_client_read(core, network, &facts);
    require_visible(facts.name, sizeof facts.name);
    require(facts.channel_count <= HVS_CLIENT_CHANNELS_MAX);
    for (unsigned i = 0; i < facts.channel_count; i++) {
        require(facts.channels[i][0] != '\0');
        require_visible(facts.channels[i], sizeof facts.channels[i]);
    }
    require(facts.colour_depth <= 32);
    require((facts.desktop_width == 0) == (facts.desktop_height == 0));
    free((void *)(uintptr_t)core.bytes);
    free((void *)(uintptr_t)network.bytes);
    return 0;
}

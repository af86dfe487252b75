/* common/client: what a client says about itself. */
#include "bytes.h"
#include "common/client.h"

#include <string.h>

typedef GByteArray Bytes;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Bytes, g_byte_array_unref)

/* Client Core Data up to imeFileName: 1920 x 1080, colorDepth 8 bit, build 19041. */
#define CORE_BEGINNING "01c0 0000 0c000800 8007 3804 01ca 03aa 09040000 614a0000"
#define NOTHING                                                                                    \
    {                                                                                              \
        NULL, 0                                                                                    \
    }

/* Exactly as long as it has to be, so that a sanitizer sees a read behind the end. */
static struct hvs_client_block
block_of(const GByteArray *bytes)
{
    return (struct hvs_client_block){ g_memdup2(bytes->data, bytes->len), bytes->len };
}

static void
read_blocks(const GByteArray *core, const GByteArray *network, struct hvs_client_facts *facts)
{
    struct hvs_client_block core_block = NOTHING, network_block = NOTHING;

    if (core != NULL)
        core_block = block_of(core);
    if (network != NULL)
        network_block = block_of(network);
    memset(facts, 0xff, sizeof *facts);
    hvs_client_read(core_block, network_block, facts);
    g_free((gpointer)core_block.bytes);
    g_free((gpointer)network_block.bytes);
}

static void
put_u16(GByteArray *bytes, guint offset, guint value)
{
    bytes->data[offset] = (guint8)value;
    bytes->data[offset + 1] = (guint8)(value >> 8);
}

/* A whole block of Windows 10's length: the older fields say 8 bits a pixel, the optional ones
 * nothing yet. */
static GByteArray *
make_core(void)
{
    GByteArray *core = bytes_from(CORE_BEGINNING);

    g_byte_array_set_size(core, 234);
    memset(core->data + 24, 0, 234 - 24);
    return core;
}

/* name: UTF-16 units. */
static GByteArray *
make_named_core(const guint16 *name, guint units)
{
    GByteArray *core = make_core();

    for (guint i = 0; i < units; i++)
        put_u16(core, 24 + 2 * i, name[i]);
    return core;
}

static GByteArray *
make_network(guint count)
{
    GByteArray *network = bytes_from("03c0 0000 00000000");

    put_u16(network, 4, count);
    return network;
}

static void
add_channel(GByteArray *network, const char *name_of_8)
{
    g_byte_array_append(network, (const guint8 *)name_of_8, 8);
    g_byte_array_append(network, (const guint8 *)"\0\0\0\xc0", 4);
}

static void
test_nothing(void)
{
    struct hvs_client_facts facts, none;

    memset(&none, 0, sizeof none);
    read_blocks(NULL, NULL, &facts);
    g_assert_true(memcmp(&facts, &none, sizeof none) == 0);
}

static void
test_core(void)
{
    static const guint16 name[] = { 'D', 'E', 'S', 'K', '-', '1' };
    g_autoptr(Bytes) core = make_named_core(name, G_N_ELEMENTS(name));
    struct hvs_client_facts facts;

    read_blocks(core, NULL, &facts);
    g_assert_true(facts.core_seen);
    g_assert_false(facts.channels_seen);
    g_assert_cmpstr(facts.name, ==, "DESK-1");
    g_assert_cmpuint(facts.desktop_width, ==, 1920);
    g_assert_cmpuint(facts.desktop_height, ==, 1080);
    g_assert_cmpuint(facts.colour_depth, ==, 8);
    g_assert_cmpuint(facts.build, ==, 19041);
}

/* Every field is known from where its last byte is there, none before. */
static void
test_core_cut(void)
{
    g_autoptr(Bytes) whole = make_named_core((const guint16[]){ 'A' }, 1);

    put_u16(whole, 140, 16);
    put_u16(whole, 144, 2);
    for (guint length = 4; length <= whole->len; length++) {
        g_autoptr(Bytes) core = g_byte_array_new();
        struct hvs_client_facts facts;

        g_byte_array_append(core, whole->data, length);
        read_blocks(core, NULL, &facts);
        g_assert_true(facts.core_seen);
        g_assert_cmpuint(facts.desktop_width, ==, length >= 12 ? 1920 : 0);
        g_assert_cmpuint(facts.desktop_height, ==, length >= 12 ? 1080 : 0);
        g_assert_cmpuint(facts.build, ==, length >= 24 ? 19041 : 0);
        g_assert_cmpstr(facts.name, ==, length >= 56 ? "A" : "");
        g_assert_cmpuint(facts.colour_depth, ==,
                         length >= 146   ? 32
                         : length >= 142 ? 16
                         : length >= 14  ? 8
                                         : 0);
    }
}

static void
test_depth(void)
{
    static const struct {
        guint color, post_beta2, high, flags, expected;
    } cases[] = {
        { 0xca00, 0, 0, 0, 4 },        { 0xca01, 0xca01, 15, 0, 15 },
        { 0xca01, 0xca02, 0, 0, 15 },  { 0xca01, 0xca03, 0, 0, 16 },
        { 0xca01, 0xca04, 0, 0, 24 },  { 0xca01, 0xca01, 24, 0, 24 },
        { 0xca01, 0xca01, 24, 2, 32 }, { 0xca01, 0xca01, 24, 0xfffd, 24 },
        { 0xca01, 0x1234, 99, 0, 8 },  { 0x1234, 0x1234, 99, 0, 0 },
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(Bytes) core = make_core();
        struct hvs_client_facts facts;

        put_u16(core, 12, cases[i].color);
        put_u16(core, 132, cases[i].post_beta2);
        put_u16(core, 140, cases[i].high);
        put_u16(core, 144, cases[i].flags);
        read_blocks(core, NULL, &facts);
        g_assert_cmpuint(facts.colour_depth, ==, cases[i].expected);
    }
}

static void
test_desktop_without_area(void)
{
    g_autoptr(Bytes) core = make_core();
    struct hvs_client_facts facts;

    put_u16(core, 10, 0);
    read_blocks(core, NULL, &facts);
    g_assert_cmpuint(facts.desktop_width, ==, 0);
    g_assert_cmpuint(facts.desktop_height, ==, 0);
}

static void
test_names(void)
{
    static const struct {
        guint16 units[16];
        const char *expected;
    } cases[] = {
        { { 0 }, "" },
        { { 'a', 0, 'b' }, "a" },
        { { 0xfc, 0x20ac }, "\xc3\xbc\xe2\x82\xac" },
        { { 0xd83d, 0xde00, 'x' }, "\xf0\x9f\x98\x80x" },
        { { 0xd83d, 'x' }, "\xef\xbf\xbdx" },
        { { 0xde00, 'x' }, "\xef\xbf\xbdx" },
        { { 0x1b, '[', 0x7f, 0x9b }, "?[??" },
        /* Not terminated: the last unit does not count. */
        { { 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p' },
          "abcdefghijklmno" },
        /* Half a pair where the name ends. */
        { { 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 0xd83d, 0xde00 },
          "abcdefghijklmn\xef\xbf\xbd" },
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(Bytes) core = make_named_core(cases[i].units, 16);
        struct hvs_client_facts facts;

        read_blocks(core, NULL, &facts);
        g_assert_cmpstr(facts.name, ==, cases[i].expected);
    }
}

/* The longest name there can be still has its zero. */
static void
test_longest_name(void)
{
    guint16 units[16];
    g_autoptr(Bytes) core = NULL;
    struct hvs_client_facts facts;

    for (guint i = 0; i < G_N_ELEMENTS(units); i++)
        units[i] = 0xffe6;
    core = make_named_core(units, G_N_ELEMENTS(units));
    read_blocks(core, NULL, &facts);
    g_assert_cmpuint(strlen(facts.name), ==, sizeof facts.name - 1);
    g_assert_true(g_utf8_validate(facts.name, -1, NULL));
}

static void
test_channels(void)
{
    g_autoptr(Bytes) network = make_network(5);
    struct hvs_client_facts facts;

    add_channel(network, "cliprdr\0");
    add_channel(network, "rdpdr\0\0\0");
    add_channel(network, "\0rdpsnd\0"); /* none */
    add_channel(network, "eightchr");
    add_channel(network, "\x1b \xff"
                         "a\0\0\0\0");
    read_blocks(NULL, network, &facts);
    g_assert_false(facts.core_seen);
    g_assert_true(facts.channels_seen);
    g_assert_cmpuint(facts.channel_count, ==, 4);
    g_assert_cmpstr(facts.channels[0], ==, "cliprdr");
    g_assert_cmpstr(facts.channels[1], ==, "rdpdr");
    g_assert_cmpstr(facts.channels[2], ==, "eightch");
    g_assert_cmpstr(facts.channels[3], ==, "???a");
}

static void
test_no_channels(void)
{
    g_autoptr(Bytes) network = make_network(0);
    struct hvs_client_facts facts;

    read_blocks(NULL, network, &facts);
    g_assert_true(facts.channels_seen);
    g_assert_cmpuint(facts.channel_count, ==, 0);
}

/* channelCount promises more than follows, and more than there may be. */
static void
test_channels_cut(void)
{
    g_autoptr(Bytes) network = make_network(0xffff);

    for (guint i = 0; i < 40; i++) {
        struct hvs_client_facts facts;

        put_u16(network, 6, 0xffff);
        read_blocks(NULL, network, &facts);
        g_assert_cmpuint(facts.channel_count, ==, MIN(i, HVS_CLIENT_CHANNELS_MAX));
        g_byte_array_set_size(network, network->len + 11);
        memset(network->data + network->len - 11, 'x', 11);
        read_blocks(NULL, network, &facts);
        g_assert_cmpuint(facts.channel_count, ==, MIN(i, HVS_CLIENT_CHANNELS_MAX));
        g_byte_array_set_size(network, network->len + 1);
    }
}

static void
test_channels_header_cut(void)
{
    g_autoptr(Bytes) network = make_network(1);
    struct hvs_client_facts facts;

    g_byte_array_set_size(network, 7);
    read_blocks(NULL, network, &facts);
    g_assert_false(facts.channels_seen);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/client/nothing", test_nothing);
    g_test_add_func("/client/core/whole", test_core);
    g_test_add_func("/client/core/cut", test_core_cut);
    g_test_add_func("/client/core/depth", test_depth);
    g_test_add_func("/client/core/desktop-without-area", test_desktop_without_area);
    g_test_add_func("/client/name/forms", test_names);
    g_test_add_func("/client/name/longest", test_longest_name);
    g_test_add_func("/client/channels/names", test_channels);
    g_test_add_func("/client/channels/none", test_no_channels);
    g_test_add_func("/client/channels/cut", test_channels_cut);
    g_test_add_func("/client/channels/header-cut", test_channels_header_cut);
    return g_test_run();
}

#include "common/guid.h"
#include "bytes.h"

/* The class of the control channel: every byte of it is different from its neighbours. */
static const struct hvs_guid sample = {
    0xf8e65716, 0x3cb3, 0x4a06, { 0x9a, 0x60, 0x18, 0x89, 0xc5, 0xcc, 0xca, 0xb5 }
};
static const uint8_t sample_wire[] = { 0x16, 0x57, 0xe6, 0xf8, 0xb3, 0x3c, 0x06, 0x4a,
                                       0x9a, 0x60, 0x18, 0x89, 0xc5, 0xcc, 0xca, 0xb5 };
static const uint8_t sample_text[] = { 0xf8, 0xe6, 0x57, 0x16, 0x3c, 0xb3, 0x4a, 0x06,
                                       0x9a, 0x60, 0x18, 0x89, 0xc5, 0xcc, 0xca, 0xb5 };

static void
test_wire(void)
{
    uint8_t wire[HVS_GUID_WIRE_SIZE];
    struct hvs_guid back;

    hvs_guid_to_wire(&sample, wire);
    assert_bytes(wire, sizeof wire, sample_wire, sizeof sample_wire);
    back = hvs_guid_from_wire(wire);
    g_assert_true(hvs_guid_equal(&back, &sample));
}

static void
test_text_order(void)
{
    uint8_t bytes[HVS_GUID_WIRE_SIZE];
    struct hvs_guid back;

    hvs_guid_to_bytes(&sample, bytes);
    assert_bytes(bytes, sizeof bytes, sample_text, sizeof sample_text);
    back = hvs_guid_from_bytes(bytes);
    g_assert_true(hvs_guid_equal(&back, &sample));
}

static void
test_unaligned(void)
{
    uint8_t room[HVS_GUID_WIRE_SIZE + 4];

    for (size_t shift = 0; shift < 4; shift++) {
        struct hvs_guid guid;

        memcpy(room + shift, sample_wire, sizeof sample_wire);
        guid = hvs_guid_from_wire(room + shift);
        g_assert_true(hvs_guid_equal(&guid, &sample));
    }
}

/* A difference in any bit of the 128 counts. */
static void
test_equal(void)
{
    g_assert_true(hvs_guid_equal(&sample, &sample));
    for (unsigned bit = 0; bit < 8 * HVS_GUID_WIRE_SIZE; bit++) {
        uint8_t wire[HVS_GUID_WIRE_SIZE];
        struct hvs_guid other;

        memcpy(wire, sample_wire, sizeof wire);
        wire[bit / 8] ^= (uint8_t)(1u << bit % 8);
        other = hvs_guid_from_wire(wire);
        g_assert_false(hvs_guid_equal(&sample, &other));
        g_assert_false(hvs_guid_equal(&other, &sample));
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/guid/wire", test_wire);
    g_test_add_func("/guid/text-order", test_text_order);
    g_test_add_func("/guid/unaligned", test_unaligned);
    g_test_add_func("/guid/equal", test_equal);
    return g_test_run();
}

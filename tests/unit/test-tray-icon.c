/* windows/tray/icon: the four states differ without their colours, and the program's icon is the
 * one that is drawn. */
#include "windows/tray/icons/ico.h"

#include <glib.h>

/* As seen on white or black, without colour: 0 … 255. */
static int
brightness(uint32_t pixel, int behind)
{
    int alpha = (int)(pixel >> 24);
    int grey = (int)((pixel >> 16 & 0xff) * 30 + (pixel >> 8 & 0xff) * 59 + (pixel & 0xff) * 11);

    return (grey / 100 * alpha + behind * (255 - alpha)) / 255;
}

/* In the size of the notification area, on light and dark panels. */
static void
test_shapes(void)
{
    enum { SIZE = 16, CLEARLY = 64 };
    uint32_t pixels[HVS_LIGHTS][SIZE * SIZE];

    for (int light = 0; light < HVS_LIGHTS; light++)
        hvs_icon_draw((enum hvs_light)light, SIZE, pixels[light]);
    for (int behind = 0; behind <= 255; behind += 255) {
        for (int a = 0; a < HVS_LIGHTS; a++) {
            for (int b = a + 1; b < HVS_LIGHTS; b++) {
                int differ = 0;

                for (int i = 0; i < SIZE * SIZE; i++)
                    if (ABS(brightness(pixels[a][i], behind) - brightness(pixels[b][i], behind)) >
                        CLEARLY)
                        differ++;
                g_test_message("states %d and %d on %d: %d pixels differ", a, b, behind, differ);
                g_assert_cmpint(differ, >, SIZE * SIZE / 20);
            }
        }
    }
}

/* Nothing is cut off, in any size: the outermost pixels are never opaque. */
static void
test_margins(void)
{
    static const unsigned sizes[] = { 16, 20, 24, 32, 40, 48, 64, 96 };
    static uint32_t pixels[96 * 96];

    for (gsize s = 0; s < G_N_ELEMENTS(sizes); s++) {
        unsigned size = sizes[s];

        for (int light = 0; light < HVS_LIGHTS; light++) {
            hvs_icon_draw((enum hvs_light)light, size, pixels);
            for (unsigned i = 0; i < size; i++) {
                g_assert_cmpuint(pixels[i] >> 24, <, 0xff);
                g_assert_cmpuint(pixels[i * size] >> 24, <, 0xff);
                g_assert_cmpuint(pixels[i * size + size - 1] >> 24, <, 0xff);
                g_assert_cmpuint(pixels[(size - 1) * size + i] >> 24, <, 0xff);
            }
        }
    }
}

static void
test_mask(void)
{
    static const uint32_t pixels[9] = { 0, 0xff000000, 0x80ffffff, 0x7f000000, 0xff000000,
                                        0xff000000, 0, 0, 0xff000000 };
    uint8_t mask[3 * 4];

    hvs_icon_mask(pixels, 3, mask, 4);
    g_assert_cmphex(mask[0], ==, 0x80);
    g_assert_cmphex(mask[4], ==, 0x80);
    g_assert_cmphex(mask[8], ==, 0xc0);
    g_assert_cmphex(mask[1] | mask[5] | mask[9], ==, 0);
}

static void
test_files(void)
{
    for (gsize i = 0; i < HVS_ICOS; i++) {
        g_autofree char *path = g_test_build_filename(G_TEST_DIST, "../../windows/tray/icons",
                                                      hvs_icos[i].name, NULL);
        g_autofree uint8_t *bytes = g_malloc(HVS_ICO_MAX);
        g_autofree char *file = NULL;
        gsize length;

        g_assert_true(g_file_get_contents(path, &file, &length, NULL));
        g_assert_cmpuint(length, ==, hvs_ico_make(&hvs_icos[i], bytes));
        g_assert_true(memcmp(file, bytes, length) == 0);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/tray/icon/shapes", test_shapes);
    g_test_add_func("/tray/icon/margins", test_margins);
    g_test_add_func("/tray/icon/mask", test_mask);
    g_test_add_func("/tray/icon/files", test_files);
    return g_test_run();
}

/* The bytes of the .ico files here; for make-ico.c and the test that compares them with the files.
 *
 * The format: ICONDIR, then for each size a DIB of twice its height, 32 bits a pixel, with the mask
 * behind it, both from the bottom row up. Windows XP knows no PNG in icons.
 */
#ifndef HVS_WINDOWS_TRAY_ICONS_ICO_H
#define HVS_WINDOWS_TRAY_ICONS_ICO_H

#include "windows/tray/icon.h"

#include <string.h>

#define HVS_ICO_MAX 65536

/* One file: its sizes in pixels, up to the first 0. */
struct hvs_ico {
    const char *name;
    unsigned    sizes[6];
};

/* Of hvsession-tray.exe, what Windows asks for; of hvsession.exe, which has no window and little
 * room, what lists show. */
static const struct hvs_ico hvs_icos[] = {
    { "hvsession.ico", { 16, 20, 24, 32, 48 } },
    { "hvsession-small.ico", { 16, 32 } },
};
#define HVS_ICOS (sizeof hvs_icos / sizeof hvs_icos[0])

static inline uint8_t *
hvs_ico_put(uint8_t *out, uint32_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        *out++ = (uint8_t)(value >> 8 * i);
    return out;
}

/* BITMAPINFOHEADER, pixels, mask. */
static inline uint8_t *
hvs_ico_put_image(uint8_t *out, unsigned size)
{
    static uint32_t pixels[48 * 48];
    static uint8_t mask[48 * 8];
    unsigned stride = (size + 31) / 32 * 4;
    const uint32_t header[] = { 40, size, 2 * size, 32u << 16 | 1, 0, 0, 0, 0, 0, 0 };

    hvs_icon_draw(HVS_LIGHT_WORKING, size, pixels);
    hvs_icon_mask(pixels, size, mask, stride);
    for (unsigned i = 0; i < sizeof header / sizeof header[0]; i++)
        out = hvs_ico_put(out, header[i], 4);
    for (unsigned row = size; row-- > 0;)
        for (unsigned column = 0; column < size; column++)
            out = hvs_ico_put(out, pixels[row * size + column], 4);
    for (unsigned row = size; row-- > 0; out += stride)
        memcpy(out, mask + row * stride, stride);
    return out;
}

/* Into HVS_ICO_MAX bytes; returns how many. */
static inline size_t
hvs_ico_make(const struct hvs_ico *ico, uint8_t *bytes)
{
    uint8_t *entry = bytes, *image;
    unsigned count = 0;

    while (ico->sizes[count] != 0)
        count++;
    image = bytes + 6 + 16 * count;
    entry = hvs_ico_put(entry, 1u << 16, 4); /* reserved, type: icon */
    entry = hvs_ico_put(entry, count, 2);
    for (unsigned i = 0; i < count; i++) {
        uint8_t *next = hvs_ico_put_image(image, ico->sizes[i]);

        entry = hvs_ico_put(entry, ico->sizes[i], 1);
        entry = hvs_ico_put(entry, ico->sizes[i], 1);
        entry = hvs_ico_put(entry, 0, 2);            /* no palette, reserved */
        entry = hvs_ico_put(entry, 32u << 16 | 1, 4); /* planes, bits a pixel */
        entry = hvs_ico_put(entry, (uint32_t)(next - image), 4);
        entry = hvs_ico_put(entry, (uint32_t)(image - bytes), 4);
        image = next;
    }
    return (size_t)(image - bytes);
}

#endif

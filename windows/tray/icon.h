/* The four icons of the notification-area app, drawn at any size.
 *
 * A screen with what it is about on it: two arrows that meet (working), a check mark (ready), a
 * warning sign (problem), or crossed out (not available). They differ in shape, so that they are
 * told apart without colour, and have a light rim, so that they show on dark and light panels.
 *
 * ISO C11, no OS header, like common/. windows/tray/icons/make-ico.c makes the program's .ico.
 */
#ifndef HVS_WINDOWS_TRAY_ICON_H
#define HVS_WINDOWS_TRAY_ICON_H

#include "model.h"

/* Of a side, in pixels. */
#define HVS_ICON_SIZE_MAX 256

/* Fills size x size pixels, rows from the top: blue, green, red, alpha in the bytes from low to
 * high, not premultiplied. */
void hvs_icon_draw(enum hvs_light light, unsigned size, uint32_t *pixels);
/* The mask for those who know no alpha: 1 where the icon is transparent, the leftmost pixel in the
 * highest bit; rows from the top, of stride bytes each, which is at least (size + 7) / 8. */
void hvs_icon_mask(const uint32_t *pixels, unsigned size, uint8_t *mask, unsigned stride);

#endif

#include "icon.h"

#include <string.h>

/* Everything is drawn on a square of 16 by 16, y downwards; a pixel is the mean of its samples. */
#define SIDE    16.0f
#define SAMPLES 4

struct point {
    float x, y;
};

/* 0xrrggbb; ALPHA bits say how much of it there is. */
#define OPAQUE      0xff000000u
#define TRANSPARENT 0u
#define RIM         0xd8ffffffu
#define RIM_WIDTH   0.65f

#define FRAME      (OPAQUE | 0x30343bu)
#define FRAME_PALE (OPAQUE | 0x7a7f87u)
#define PAPER      (OPAQUE | 0xffffffu)
#define PAPER_PALE (OPAQUE | 0xd9dce0u)
#define GREEN      (OPAQUE | 0x147a33u)
#define BLUE       (OPAQUE | 0x0a5ec2u)
#define YELLOW     (OPAQUE | 0xffc928u)
#define INK        (OPAQUE | 0x1f1a00u)
#define STROKE     (OPAQUE | 0x3c4149u)

/* ---- distances: negative inside ---- */

static float
absolute(float value)
{
    return value < 0 ? -value : value;
}

static float
larger(float a, float b)
{
    return a > b ? a : b;
}

static float
smaller(float a, float b)
{
    return a < b ? a : b;
}

/* Newton's method: what is needed is never far from 1 to 16, and one library less. */
static float
square_root(float value)
{
    float root = value > 1 ? value / 2 : 1;

    if (value <= 0)
        return 0;
    for (unsigned i = 0; i < 8; i++)
        root = (root + value / root) / 2;
    return root;
}

static float
box(struct point p, struct point from, struct point to, float radius)
{
    float x = absolute(p.x - (from.x + to.x) / 2) - (to.x - from.x) / 2 + radius;
    float y = absolute(p.y - (from.y + to.y) / 2) - (to.y - from.y) / 2 + radius;
    float outside_x = larger(x, 0), outside_y = larger(y, 0);

    return square_root(outside_x * outside_x + outside_y * outside_y) +
           smaller(larger(x, y), 0) - radius;
}

static float
line(struct point p, struct point from, struct point to, float width)
{
    float along_x = to.x - from.x, along_y = to.y - from.y;
    float part = ((p.x - from.x) * along_x + (p.y - from.y) * along_y) /
                 (along_x * along_x + along_y * along_y);
    float x, y;

    part = smaller(larger(part, 0), 1);
    x = p.x - from.x - part * along_x;
    y = p.y - from.y - part * along_y;
    return square_root(x * x + y * y) - width / 2;
}

static float
bent(struct point p, const struct point points[3], float width)
{
    return smaller(line(p, points[0], points[1], width), line(p, points[1], points[2], width));
}

/* On its base, with round corners. */
static float
triangle(struct point p, struct point top, float half_base, float height, float radius)
{
    float slope = square_root(height * height + half_base * half_base);
    float side = (absolute(p.x - top.x) * height - (p.y - top.y) * half_base) / slope;

    return larger(side, p.y - top.y - height) - radius;
}

/* ---- what is drawn ---- */

static float
screen_outline(struct point p)
{
    float outline = box(p, (struct point) { 1, 1.8f }, (struct point) { 15, 11.8f }, 1.1f);

    outline = smaller(outline, box(p, (struct point) { 6.6f, 11 }, (struct point) { 9.4f, 14 }, 0));
    return smaller(outline,
                   box(p, (struct point) { 4.4f, 13.2f }, (struct point) { 11.6f, 14.6f }, 0.5f));
}

static float
screen_area(struct point p)
{
    return box(p, (struct point) { 2.2f, 3 }, (struct point) { 13.8f, 10.6f }, 0.3f);
}

/* What lies on the screen, or TRANSPARENT; *edge is the distance to what needs a rim of its own. */
static uint32_t
sign(enum hvs_light light, struct point p, float *edge)
{
    static const struct point check[3] = { { 4.4f, 6.8f }, { 7, 9.2f }, { 11.8f, 4.4f } };
    static const struct point left[3] = { { 4, 4.6f }, { 6.6f, 6.8f }, { 4, 9 } };
    static const struct point right[3] = { { 12, 4.6f }, { 9.4f, 6.8f }, { 12, 9 } };
    static const struct point warning = { 10.5f, 6.4f };
    static const struct point from = { 2.4f, 14.1f }, to = { 13.6f, 1.8f };

    *edge = SIDE;
    switch (light) {
    case HVS_LIGHT_READY:
        return bent(p, check, 1.9f) < 0 ? GREEN : TRANSPARENT;
    case HVS_LIGHT_WORKING:
        return smaller(bent(p, left, 1.7f), bent(p, right, 1.7f)) < 0 ? PAPER : TRANSPARENT;
    case HVS_LIGHT_PROBLEM:
        *edge = triangle(p, warning, 3.4f, 7.5f, 0.6f);
        if (line(p, (struct point) { 10.5f, 9 }, (struct point) { 10.5f, 11.1f }, 1.5f) < 0 ||
            line(p, (struct point) { 10.5f, 13 }, (struct point) { 10.5f, 13.1f }, 1.5f) < 0)
            return INK;
        return *edge < 0 ? YELLOW : TRANSPARENT;
    case HVS_LIGHT_UNAVAILABLE:
        *edge = line(p, from, to, 2);
        return *edge < 0 ? STROKE : TRANSPARENT;
    }
    return TRANSPARENT;
}

static uint32_t
sample(enum hvs_light light, struct point p)
{
    bool pale = light == HVS_LIGHT_UNAVAILABLE;
    float edge, outline = screen_outline(p);
    uint32_t colour = sign(light, p, &edge);

    if (colour != TRANSPARENT)
        return colour;
    /* A dark line around the warning, a light one around the stroke. */
    if (edge < RIM_WIDTH)
        return light == HVS_LIGHT_PROBLEM ? FRAME : PAPER;
    if (screen_area(p) < 0)
        return light == HVS_LIGHT_WORKING ? BLUE : pale ? PAPER_PALE : PAPER;
    if (outline < 0)
        return pale ? FRAME_PALE : FRAME;
    return smaller(outline, edge - RIM_WIDTH) < RIM_WIDTH ? RIM : TRANSPARENT;
}

/* ---- pixels ---- */

static uint32_t
pixel(enum hvs_light light, unsigned size, unsigned column, unsigned row)
{
    uint32_t sums[3] = { 0, 0, 0 }, alphas = 0, result;

    for (unsigned i = 0; i < SAMPLES * SAMPLES; i++) {
        struct point p = {
            ((float)column + ((float)(i % SAMPLES) + 0.5f) / SAMPLES) * SIDE / (float)size,
            ((float)row + ((float)(i / SAMPLES) + 0.5f) / SAMPLES) * SIDE / (float)size,
        };
        uint32_t colour = sample(light, p), alpha = colour >> 24;

        alphas += alpha;
        for (unsigned part = 0; part < 3; part++)
            sums[part] += (colour >> 8 * part & 0xff) * alpha;
    }
    result = (alphas / (SAMPLES * SAMPLES)) << 24;
    for (unsigned part = 0; alphas > 0 && part < 3; part++)
        result |= (sums[part] / alphas) << 8 * part;
    return result;
}

void
hvs_icon_draw(enum hvs_light light, unsigned size, uint32_t *pixels)
{
    for (unsigned row = 0; row < size; row++)
        for (unsigned column = 0; column < size; column++)
            pixels[row * size + column] = pixel(light, size, column, row);
}

void
hvs_icon_mask(const uint32_t *pixels, unsigned size, uint8_t *mask, unsigned stride)
{
    memset(mask, 0, (size_t)stride * size);
    for (unsigned row = 0; row < size; row++)
        for (unsigned column = 0; column < size; column++)
            if (pixels[row * size + column] >> 24 < 0x80)
                mask[row * stride + column / 8] |= (uint8_t)(0x80 >> column % 8);
}

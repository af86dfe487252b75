#include "statistics.h"

#include "failure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void
samples_add(struct samples *samples, double value)
{
    if (samples->count == samples->capacity) {
        samples->capacity = samples->capacity > 0 ? 2 * samples->capacity : 64;
        samples->values =
            reallocarray(samples->values, samples->capacity, sizeof(samples->values[0]));
        if (samples->values == NULL)
            fail(errno, "keeping samples");
    }
    samples->values[samples->count++] = value;
}

void
samples_clear(struct samples *samples)
{
    free(samples->values);
    *samples = (struct samples) { 0 };
}

static int
compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return (left > right) - (left < right);
}

double
samples_quantile(const struct samples *samples, double share)
{
    double position = share * (double)(samples->count - 1), value;
    size_t below = (size_t)position;
    double *sorted;

    if (samples->count == 0)
        return 0;
    sorted = calloc(samples->count, sizeof(sorted[0]));
    if (sorted == NULL)
        fail(errno, "sorting samples");
    memcpy(sorted, samples->values, samples->count * sizeof(sorted[0]));
    qsort(sorted, samples->count, sizeof(sorted[0]), compare);
    value = sorted[below];
    if (below + 1 < samples->count)
        value += (sorted[below + 1] - value) * (position - (double)below);
    free(sorted);
    return value;
}

double
samples_median(const struct samples *samples)
{
    return samples_quantile(samples, 0.5);
}

double
samples_spread(const struct samples *samples)
{
    double median = samples_median(samples);

    return median > 0
               ? (samples_quantile(samples, 0.75) - samples_quantile(samples, 0.25)) / 2 / median
               : 0;
}

double
samples_median_ratio(const struct samples *over, const struct samples *under)
{
    struct samples ratios = { 0 };
    double median;

    for (size_t i = 0; i < over->count && i < under->count; i++)
        samples_add(&ratios, over->values[i] / under->values[i]);
    median = samples_median(&ratios);
    samples_clear(&ratios);
    return median;
}

double
now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

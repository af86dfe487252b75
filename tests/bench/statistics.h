/* Measured values, and what is said about many of them. */
#ifndef BENCH_STATISTICS_H
#define BENCH_STATISTICS_H

#include <stdbool.h>
#include <stddef.h>

/* Any number of values, in the order in which they came. Begins zeroed. */
struct samples {
    double *values;
    size_t count, capacity;
};

void samples_add(struct samples *samples, double value);
void samples_clear(struct samples *samples);
/* The value below which that share (0 … 1) of them lies, between two values by their distance; 0 if
 * there are none. */
double samples_quantile(const struct samples *samples, double share);
double samples_median(const struct samples *samples);
/* Half of what the middle half of the values spans, as a share of the median. */
double samples_spread(const struct samples *samples);
/* The median of over[i] / under[i]; both of the same count. What disturbs a round disturbs both. */
double samples_median_ratio(const struct samples *over, const struct samples *under);

/* Seconds of the monotonic clock. */
double now(void);

#endif

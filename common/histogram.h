/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An exponential histogram as OpenTelemetry defines it (metrics data model, "ExponentialHistogram"),
 * of numbers that are not negative: at scale s, bucket i holds base^i < value <= base^(i+1) with base =
 * 2^(2^-s). It begins at the finest scale; where a value does not fit the buckets that there are, pairs
 * of them become one (the scale decreases by 1, exactly) until it does. So few buckets tell any range:
 * bucket[0] is bucket number offset, and from the least to the greatest value it is at most
 *
 *   scale   6     5     4     3     2     1     0    -1    -2
 *   times   1.27  1.61  2.6   6.7   45    2048  4e6  1e13  2^64
 *
 * It is 128 bytes, two cache lines, and zeroed memory is an empty one. Numbers that are full stay at
 * their greatest value. All is integers: no rounding, the same on every machine.
 */
#ifndef SOCKWARDEN_COMMON_HISTOGRAM_H
#define SOCKWARDEN_COMMON_HISTOGRAM_H

#include <stdbool.h>
#include <stdint.h>

#define HISTOGRAM_BUCKETS 22
/*
 * Buckets are 1.1 % wide at the finest: less than what quantiles of so few buckets mostly keep, and below
 * 92 finer than whole numbers.
 */
#define HISTOGRAM_SCALE_MAX 6
#define HISTOGRAM_SCALE_MIN (-2) /* 17 buckets hold 1 to 2^64 - 1 */

struct histogram {
	uint64_t count; /* of all values, zeroes included */
	uint64_t sum;
	uint64_t min; /* 0 if there are no values */
	uint64_t max;
	uint32_t zeroes; /* values of 0, which are in no bucket */
	int16_t offset;	 /* number of the first bucket; 0 without buckets */
	int8_t scale;	 /* 0 without buckets */
	uint8_t used;	 /* buckets: the last may be told without those behind it */
	uint32_t bucket[HISTOGRAM_BUCKETS];
};

_Static_assert(sizeof(struct histogram) == 128, "two cache lines");

/* Adds one value, in whatever unit. No logarithm is taken: two tables and a comparison. */
void histogram_add(struct histogram *histogram, uint64_t value);

/*
 * Adds all of another's values, at the coarser scale of both or, where that does not hold both, at the
 * next that does: as if they had been added one by one. from is not to.
 */
void histogram_merge(struct histogram *to, const struct histogram *from);

/*
 * Whether one that comes from outside can be worked with: scale, buckets and what is not used of them are
 * such as adding values makes them. Whether its numbers go together is not looked at.
 */
bool histogram_is_valid(const struct histogram *histogram);

/* Makes it empty. */
void histogram_reset(struct histogram *histogram);

/*
 * An estimate of a quantile in thousandths: 500 is the median, 999 the 99.9th percentile; 1000 and more
 * is the maximum. 0 if there are no values. It is min or max where the rank is the first or the last, else
 * the middle of the bucket that holds the value of that rank (the smallest value with at least so many
 * thousandths of all at or below it), and within min..max. Its ratio to the true value is at most
 * 2^(2^-scale / 2), but for the fraction that is cut off: off by 0.6 % at scale 6, 4.4 % at 3, 9 % at 2,
 * 19 % at 1, 41 % at 0, a factor of 4 at -2.
 */
uint64_t histogram_quantile(const struct histogram *histogram, unsigned thousandths);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "common/histogram.h"

#include <criterion/criterion.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LIMBS 128
#define VALUES_MAX 600

/* A whole number of up to 4,096 bits. */
struct large {
	unsigned limbs;
	uint32_t limb[LIMBS];
};

static void square(struct large *number)
{
	struct large product = {.limbs = 2 * number->limbs};

	for (unsigned i = 0; i < number->limbs; i++) {
		uint64_t carry = 0;

		for (unsigned j = 0; j < number->limbs; j++) {
			carry += (uint64_t)number->limb[i] * number->limb[j] + product.limb[i + j];
			product.limb[i + j] = (uint32_t)carry;
			carry >>= 32;
		}
		product.limb[i + number->limbs] = (uint32_t)carry;
	}
	*number = product;
}

/*
 * The definition, without rounding: value is in bucket i of scale 6 if 2^i < value^64 <= 2^(i+1), so i is one less
 * than the bits of value^64 - 1.
 */
static int exact_bucket(uint64_t value)
{
	struct large power = {.limbs = 2, .limb = {(uint32_t)value, (uint32_t)(value >> 32)}};
	unsigned at = 0;
	int bits;

	for (unsigned i = 0; i < 6; i++)
		square(&power);
	while (power.limb[at] == 0)
		power.limb[at++] = UINT32_MAX;
	power.limb[at]--;
	for (bits = LIMBS * 32; bits > 0; bits--) {
		if (power.limb[(bits - 1) / 32] >> (bits - 1) % 32 & 1)
			break;
	}
	return bits - 1;
}

static int bucket_of(uint64_t value)
{
	struct histogram histogram = {0};

	histogram_add(&histogram, value);
	cr_assert_eq(histogram.scale, HISTOGRAM_SCALE_MAX);
	cr_assert_eq(histogram.used, 1);
	cr_assert_eq(histogram.bucket[0], 1);
	return histogram.offset;
}

Test(histogram, puts_a_value_where_opentelemetry_defines_it)
{
	for (uint64_t value = 1; value < 5000; value++)
		cr_assert_eq(bucket_of(value), exact_bucket(value), "%lu", value);
	for (unsigned shift = 0; shift < 64; shift++) {
		for (int beside = -1; beside <= 1; beside++) {
			const uint64_t value = ((uint64_t)1 << shift) + (uint64_t)beside;

			if (value != 0)
				cr_assert_eq(bucket_of(value), exact_bucket(value), "%lu", value);
		}
	}
	for (unsigned i = 0; i < 10000; i++) {
		const uint64_t bits = (uint64_t)random() << 33 ^ (uint64_t)random() << 10;
		const uint64_t value = (bits ^ (uint64_t)random()) >> random() % 60 | 1;

		cr_assert_eq(bucket_of(value), exact_bucket(value), "%lu", value);
	}
}

/* The last number of a bucket, found by halving, and the first of the next: all 64 of them at both ends. */
Test(histogram, ends_a_bucket_with_the_greatest_number_that_is_in_it)
{
	for (int bucket = 62 * 64; bucket < 64 * 64 - 1; bucket++) {
		uint64_t in = 1ULL << bucket / 64, beyond = UINT64_MAX;

		while (beyond - in > 1) {
			const uint64_t middle = in + (beyond - in) / 2;

			if (exact_bucket(middle) <= bucket)
				in = middle;
			else
				beyond = middle;
		}
		cr_assert_eq(bucket_of(in), bucket);
		cr_assert_eq(bucket_of(beyond), bucket + 1);
	}
}

Test(histogram, tells_the_example_of_the_interface)
{
	struct histogram histogram = {0};

	for (uint64_t value = 200; value <= 900; value += 50)
		histogram_add(&histogram, value);
	cr_expect_eq(histogram.scale, 3, "%d", histogram.scale);
	cr_expect_eq(histogram.offset, 61, "%d", histogram.offset);
	cr_expect_eq(histogram.count, 15);
	cr_expect_eq(histogram.sum, 8250);
	cr_expect_eq(histogram.min, 200);
	cr_expect_eq(histogram.max, 900);
}

Test(histogram, counts_zeroes_apart_from_buckets)
{
	struct histogram histogram = {0};

	histogram_add(&histogram, 0);
	histogram_add(&histogram, 0);
	cr_expect_eq(histogram.used, 0);
	cr_expect_eq(histogram.scale, 0);
	cr_expect_eq(histogram.zeroes, 2);
	cr_expect_eq(histogram_quantile(&histogram, 999), 0);
	histogram_add(&histogram, 5);
	cr_expect_eq(histogram.count, 3);
	cr_expect_eq(histogram.min, 0);
	cr_expect_eq(histogram.max, 5);
	cr_expect_eq(histogram_quantile(&histogram, 500), 0);
	cr_expect_eq(histogram_quantile(&histogram, 1000), 5);
}

Test(histogram, holds_the_whole_range_of_its_numbers)
{
	struct histogram histogram = {0};

	histogram_add(&histogram, UINT64_MAX);
	histogram_add(&histogram, 1);
	cr_expect_eq(histogram.scale, HISTOGRAM_SCALE_MIN);
	cr_expect_eq(histogram.offset, -1);
	cr_expect_eq(histogram.used, 17);
	cr_expect_eq(histogram.bucket[0], 1);
	cr_expect_eq(histogram.bucket[16], 1);
	cr_expect_eq(histogram.min, 1);
	cr_expect_eq(histogram.max, UINT64_MAX);
	cr_expect_eq(histogram.sum, UINT64_MAX, "a full sum stays");
}

Test(histogram, keeps_numbers_that_are_full)
{
	struct histogram histogram = {0}, other;

	histogram_add(&histogram, 3);
	histogram_add(&histogram, 0);
	histogram.bucket[0] = UINT32_MAX - 1;
	histogram.zeroes = UINT32_MAX;
	histogram.count = 2ULL * UINT32_MAX - 1;
	histogram_add(&histogram, 3);
	cr_expect_eq(histogram.bucket[0], UINT32_MAX);
	histogram_add(&histogram, 3);
	histogram_add(&histogram, 0);
	cr_expect_eq(histogram.bucket[0], UINT32_MAX);
	cr_expect_eq(histogram.zeroes, UINT32_MAX);
	cr_expect_eq(histogram.count, 2ULL * UINT32_MAX + 2);
	other = histogram;
	histogram_merge(&histogram, &other);
	cr_expect_eq(histogram.bucket[0], UINT32_MAX);
	cr_expect_eq(histogram_quantile(&histogram, 750), 3);
}

/* Values of about 2^low to 2^(low + width). */
static unsigned make_values(uint64_t *values, unsigned low, unsigned width)
{
	const unsigned count = 1 + (unsigned)random() % VALUES_MAX;

	for (unsigned i = 0; i < count; i++) {
		const double exponent = low + width * (double)random() / RAND_MAX;

		values[i] = random() % 50 == 0 ? 0 : (uint64_t)exp2(exponent);
	}
	return count;
}

static void add_all(struct histogram *histogram, const uint64_t *values, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		histogram_add(histogram, values[i]);
}

/* What the definition gives at the histogram's scale, and whether a finer one would have been enough. */
static void expect_exact(const struct histogram *histogram, const uint64_t *values, unsigned count)
{
	const int shift = HISTOGRAM_SCALE_MAX - histogram->scale;
	uint32_t expected[HISTOGRAM_BUCKETS] = {0};
	int low = INT32_MAX, high = INT32_MIN;
	uint64_t zeroes = 0;

	for (unsigned i = 0; i < count; i++) {
		int bucket;

		if (values[i] == 0) {
			zeroes++;
			continue;
		}
		bucket = exact_bucket(values[i]);
		low = bucket < low ? bucket : low;
		high = bucket > high ? bucket : high;
		bucket = (bucket >> shift) - histogram->offset;
		cr_assert(bucket >= 0 && bucket < histogram->used);
		expected[bucket]++;
	}
	cr_assert_eq(histogram->count, count);
	cr_assert_eq(histogram->zeroes, zeroes);
	if (zeroes == count)
		return;
	cr_assert_arr_eq(histogram->bucket, expected, sizeof(expected));
	cr_assert_eq(histogram->offset, low >> shift);
	cr_assert_eq(histogram->used, (high >> shift) - (low >> shift) + 1);
	cr_assert(shift == 0 || (high >> (shift - 1)) - (low >> (shift - 1)) >= HISTOGRAM_BUCKETS,
		  "a finer scale would hold them");
}

Test(histogram, has_the_finest_scale_that_holds_its_values)
{
	for (unsigned round = 0; round < 300; round++) {
		struct histogram histogram = {0};
		uint64_t values[VALUES_MAX];
		const unsigned count =
			make_values(values, (unsigned)random() % 10, (unsigned)random() % 50);

		add_all(&histogram, values, count);
		expect_exact(&histogram, values, count);
	}
}

Test(histogram, merges_as_if_values_had_been_added_one_by_one)
{
	for (unsigned round = 0; round < 300; round++) {
		struct histogram one = {0}, two = {0}, all = {0};
		uint64_t values[2 * VALUES_MAX];
		const unsigned first =
			make_values(values, (unsigned)random() % 20, (unsigned)random() % 20);
		const unsigned second = make_values(values + first, (unsigned)random() % 20,
						    (unsigned)random() % 20);

		add_all(&one, values, first);
		add_all(&two, values + first, second);
		add_all(&all, values, first + second);
		histogram_merge(&one, &two);
		cr_assert_arr_eq(&one, &all, sizeof(all), "round %u", round);
		histogram_reset(&two);
		histogram_merge(&two, &all);
		cr_assert_arr_eq(&two, &all, sizeof(all), "into an empty one");
		histogram_reset(&one);
		histogram_merge(&two, &one);
		cr_assert_arr_eq(&two, &all, sizeof(all), "an empty one");
	}
}

static int by_value(const void *left, const void *right)
{
	const uint64_t *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

static void expect_quantile(const struct histogram *histogram, const uint64_t *sorted,
			    unsigned count, unsigned thousandths)
{
	const uint64_t rank = ((uint64_t)count * thousandths + 999) / 1000;
	const double truth = (double)sorted[rank > 0 ? rank - 1 : 0];
	const double estimate = (double)histogram_quantile(histogram, thousandths);
	const double factor = exp2(exp2(-histogram->scale) / 2);

	cr_assert_geq(estimate, floor(truth / factor), "%u: %f, not %f at scale %d", thousandths,
		      estimate, truth, histogram->scale);
	cr_assert_leq(estimate, truth * factor + 1, "%u: %f, not %f at scale %d", thousandths,
		      estimate, truth, histogram->scale);
}

Test(histogram, estimates_quantiles_within_its_error)
{
	static const unsigned asked[] = {0, 1, 10, 250, 500, 900, 950, 990, 999, 1000};

	for (unsigned round = 0; round < 300; round++) {
		struct histogram histogram = {0};
		uint64_t values[VALUES_MAX];
		const unsigned count =
			make_values(values, (unsigned)random() % 10, (unsigned)random() % 50);

		add_all(&histogram, values, count);
		qsort(values, count, sizeof(values[0]), by_value);
		for (unsigned i = 0; i < sizeof(asked) / sizeof(asked[0]); i++)
			expect_quantile(&histogram, values, count, asked[i]);
		cr_assert_eq(histogram_quantile(&histogram, 0), values[0]);
		cr_assert_eq(histogram_quantile(&histogram, 1000), values[count - 1]);
		cr_assert_eq(histogram_quantile(&histogram, 5000), values[count - 1]);
	}
}

Test(histogram, is_empty_when_zeroed_and_reset)
{
	struct histogram histogram = {0}, empty = {0};

	cr_expect_eq(histogram_quantile(&histogram, 500), 0);
	histogram_add(&histogram, 17);
	histogram_reset(&histogram);
	cr_expect_arr_eq(&histogram, &empty, sizeof(empty));
}

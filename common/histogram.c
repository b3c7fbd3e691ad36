/* SPDX-License-Identifier: Apache-2.0 */
#include "common/histogram.h"

#include <string.h>

/* At the finest scale a power of two is divided into so many buckets. */
#define DIVISION (1 << HISTOGRAM_SCALE_MAX)
/* So many leading bits of a fraction choose a cell, in which at most one bucket begins. */
#define CELL_BITS 7

/* floor(2^(63 + i/64)): exact for comparison with whole numbers, since all but the first are irrational. */
static const uint64_t bounds[DIVISION + 1] = {
	0x8000000000000000, 0x8164d1f3bc030773, 0x82cd8698ac2ba1d7, 0x843a28c3acde4046,
	0x85aac367cc487b14, 0x871f61969e8d1010, 0x88980e8092da8527, 0x8a14d575496efd9a,
	0x8b95c1e3ea8bd6e6, 0x8d1adf5b7e5ba9e5, 0x8ea4398b45cd53c0, 0x9031dc431466b1dc,
	0x91c3d373ab11c336, 0x935a2b2f13e6e92b, 0x94f4efa8fef70961, 0x96942d3720185a00,
	0x9837f0518db8a96f, 0x99e0459320b7fa64, 0x9b8d39b9d54e5538, 0x9d3ed9a72cffb750,
	0x9ef5326091a111ad, 0xa0b0510fb9714fc2, 0xa27043030c496818, 0xa43515ae09e6809e,
	0xa5fed6a9b15138ea, 0xa7cd93b4e9653569, 0xa9a15ab4ea7c0ef8, 0xab7a39b5a93ed337,
	0xad583eea42a14ac6, 0xaf3b78ad690a4374, 0xb123f581d2ac258f, 0xb311c412a9112489,
	0xb504f333f9de6484, 0xb6fd91e328d17791, 0xb8fbaf4762fb9ee9, 0xbaff5ab2133e45fb,
	0xbd08a39f580c36be, 0xbf1799b67a731082, 0xc12c4cca66709456, 0xc346ccda24976407,
	0xc5672a115506dadd, 0xc78d74c8abb9b15c, 0xc9b9bd866e2f27a2, 0xcbec14fef2727c5c,
	0xce248c151f8480e3, 0xd06333daef2b2594, 0xd2a81d91f12ae45a, 0xd4f35aabcfedfa1f,
	0xd744fccad69d6af4, 0xd99d15c278afd7b5, 0xdbfbb797daf23755, 0xde60f4825e0e9123,
	0xe0ccdeec2a94e111, 0xe33f8972be8a5a51, 0xe5b906e77c8348a8, 0xe8396a503c4bdc68,
	0xeac0c6e7dd24392e, 0xed4f301ed9942b84, 0xefe4b99bdcdaf5cb, 0xf281773c59ffb139,
	0xf5257d152486cc2c, 0xf7d0df730ad13bb8, 0xfa83b2db722a033a, 0xfd3e0c0cf486c174,
	UINT64_MAX,
};

/* How many bounds are below the least number of a cell. */
static const uint8_t bounds_below[1 << CELL_BITS] = {
	0,  1,	2,  3,	3,  4,	5,  5,	6,  7,	7,  8,	9,  9,	10, 11, 11, 12, 13, 13, 14, 15,
	15, 16, 16, 17, 18, 18, 19, 19, 20, 21, 21, 22, 22, 23, 23, 24, 25, 25, 26, 26, 27, 27,
	28, 28, 29, 29, 30, 30, 31, 31, 32, 32, 33, 34, 34, 35, 35, 36, 36, 36, 37, 37, 38, 38,
	39, 39, 40, 40, 41, 41, 42, 42, 43, 43, 44, 44, 44, 45, 45, 46, 46, 47, 47, 48, 48, 48,
	49, 49, 50, 50, 51, 51, 51, 52, 52, 53, 53, 53, 54, 54, 55, 55, 55, 56, 56, 57, 57, 57,
	58, 58, 59, 59, 59, 60, 60, 60, 61, 61, 62, 62, 62, 63, 63, 63, 64, 64,
};

/* The bucket of a value, which is not 0, at the finest scale: -1 (of 1) .. 64 * DIVISION - 1. */
static int bucket_of(uint64_t value)
{
	const int zeroes = __builtin_clzll(value);
	const uint64_t fraction = value << zeroes;
	const unsigned cell = (unsigned)(fraction >> (63 - CELL_BITS)) - (1U << CELL_BITS);
	const int below = bounds_below[cell];

	return (63 - zeroes) * DIVISION + below + (fraction > bounds[below]) - 1;
}

static void add_bounded(uint32_t *number, uint32_t more)
{
	if (__builtin_add_overflow(*number, more, number))
		*number = UINT32_MAX;
}

static uint64_t sum_bounded(uint64_t left, uint64_t right)
{
	uint64_t sum;

	return __builtin_add_overflow(left, right, &sum) ? UINT64_MAX : sum;
}

/* Makes each group of 2^shift buckets one. */
static void coarsen(struct histogram *histogram, unsigned shift)
{
	const int first = histogram->offset >> shift;
	uint32_t bucket[HISTOGRAM_BUCKETS] = {0};
	int to = 0;

	for (int i = 0; i < histogram->used; i++) {
		to = ((histogram->offset + i) >> shift) - first;
		add_bounded(&bucket[to], histogram->bucket[i]);
	}
	memcpy(histogram->bucket, bucket, sizeof(bucket));
	histogram->offset = (int16_t)first;
	histogram->used = (uint8_t)(to + 1);
	histogram->scale = (int8_t)(histogram->scale - (int)shift);
}

/* By how much the scale must decrease for buckets low..high to be few enough. */
static unsigned shift_for(int low, int high)
{
	unsigned shift = 0;

	for (; high - low >= HISTOGRAM_BUCKETS; shift++) {
		low >>= 1;
		high >>= 1;
	}
	return shift;
}

/* Makes room for a bucket below the first, or above the last; there are some. */
static int make_room(struct histogram *histogram, int index)
{
	const int first = histogram->offset;
	const int last = first + histogram->used - 1;
	const unsigned shift =
		shift_for(index < first ? index : first, index > last ? index : last);
	unsigned lower;

	if (shift > 0)
		coarsen(histogram, shift);
	index >>= shift;
	if (index < histogram->offset) {
		lower = (unsigned)(histogram->offset - index);
		memmove(histogram->bucket + lower, histogram->bucket,
			histogram->used * sizeof(histogram->bucket[0]));
		memset(histogram->bucket, 0, lower * sizeof(histogram->bucket[0]));
		histogram->used = (uint8_t)(histogram->used + lower);
		histogram->offset = (int16_t)index;
	} else if (index >= histogram->offset + histogram->used) {
		histogram->used = (uint8_t)(index - histogram->offset + 1);
	}
	return index;
}

/* Adds to a bucket that is numbered at the finest scale. */
static void add_to_bucket(struct histogram *histogram, int finest, uint32_t values)
{
	int index;

	if (histogram->used == 0) {
		histogram->scale = HISTOGRAM_SCALE_MAX;
		histogram->offset = (int16_t)finest;
		histogram->used = 1;
	}
	index = finest >> (HISTOGRAM_SCALE_MAX - histogram->scale);
	if (index < histogram->offset || index >= histogram->offset + histogram->used)
		index = make_room(histogram, index);
	add_bounded(&histogram->bucket[index - histogram->offset], values);
}

static void add_summary(struct histogram *to, uint64_t count, uint64_t sum, uint64_t min,
			uint64_t max)
{
	if (to->count == 0 || min < to->min)
		to->min = min;
	if (max > to->max)
		to->max = max;
	to->count = sum_bounded(to->count, count);
	to->sum = sum_bounded(to->sum, sum);
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
	add_summary(histogram, 1, value, value, value);
	if (value == 0)
		add_bounded(&histogram->zeroes, 1);
	else
		add_to_bucket(histogram, bucket_of(value), 1);
}

void histogram_merge(struct histogram *to, const struct histogram *from)
{
	const int finer = HISTOGRAM_SCALE_MAX - from->scale;

	if (from->count == 0)
		return;
	add_summary(to, from->count, from->sum, from->min, from->max);
	add_bounded(&to->zeroes, from->zeroes);
	if (from->used == 0)
		return;
	/* What one number stands for at the finest scale must not be told apart again. */
	if (to->used > 0 && to->scale > from->scale)
		coarsen(to, (unsigned)(to->scale - from->scale));
	if (to->used == 0) {
		to->scale = from->scale;
		to->offset = from->offset;
		to->used = 1;
	}
	for (int i = 0; i < from->used; i++) {
		if (from->bucket[i] != 0)
			add_to_bucket(to, (from->offset + i) * (1 << finer), from->bucket[i]);
	}
}

bool histogram_is_valid(const struct histogram *histogram)
{
	static const struct histogram empty;
	const int last = histogram->offset + histogram->used - 1;

	if (histogram->count == 0)
		return memcmp(histogram, &empty, sizeof(empty)) == 0;
	if (histogram->min > histogram->max || histogram->used > HISTOGRAM_BUCKETS)
		return false;
	for (unsigned i = histogram->used; i < HISTOGRAM_BUCKETS; i++) {
		if (histogram->bucket[i] != 0)
			return false;
	}
	if (histogram->used == 0)
		return histogram->offset == 0 && histogram->scale == 0;
	return histogram->scale >= HISTOGRAM_SCALE_MIN && histogram->scale <= HISTOGRAM_SCALE_MAX &&
	       histogram->offset >= -1 &&
	       last < (64 * DIVISION) >> (HISTOGRAM_SCALE_MAX - histogram->scale);
}

void histogram_reset(struct histogram *histogram)
{
	memset(histogram, 0, sizeof(*histogram));
}

/* floor(2^(index / DIVISION)), the greatest number at most where it does not fit. */
static uint64_t bound_of(int index)
{
	const int exponent = index >> HISTOGRAM_SCALE_MAX;

	if (index < 0)
		return 0;
	if (exponent > 63)
		return UINT64_MAX;
	return bounds[index & (DIVISION - 1)] >> (63 - exponent);
}

/* Of a bucket's whole numbers, the one in its middle. */
static uint64_t middle_of(const struct histogram *histogram, int index)
{
	const int finer = HISTOGRAM_SCALE_MAX - histogram->scale;
	const uint64_t first = bound_of(index * (1 << finer)) + 1;
	const uint64_t last = bound_of((index + 1) * (1 << finer));
	uint64_t middle;

	if (finer == 0)
		return first + (last - first) / 2;
	middle = bound_of((2 * index + 1) * (1 << (finer - 1)));
	return middle < first ? first : middle;
}

static uint64_t within(const struct histogram *histogram, uint64_t value)
{
	if (value < histogram->min)
		return histogram->min;
	return value > histogram->max ? histogram->max : value;
}

uint64_t histogram_quantile(const struct histogram *histogram, unsigned thousandths)
{
	uint64_t values = histogram->zeroes, rank;

	/* Less than 2^37; less than the count if a number is full. */
	for (int i = 0; i < histogram->used; i++)
		values += histogram->bucket[i];
	if (thousandths > 1000)
		thousandths = 1000;
	rank = (values * thousandths + 999) / 1000;
	if (rank <= 1 || rank <= histogram->zeroes)
		return histogram->min;
	if (rank == values)
		return histogram->max;
	rank -= histogram->zeroes;
	for (int i = 0; i < histogram->used; i++) {
		if (rank <= histogram->bucket[i])
			return within(histogram, middle_of(histogram, histogram->offset + i));
		rank -= histogram->bucket[i];
	}
	return histogram->max;
}

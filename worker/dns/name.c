/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/dns/name.h"

/* The two top bits of a label's first byte (RFC 1035 4.1.4). */
#define TYPE_BITS 0xc0U
#define TYPE_POINTER 0xc0U
#define POINTER_BYTES 2

#define ONES 0x0101010101010101ULL
#define TOPS (0x80 * ONES)

/* Eight bytes at once: no sum of seven bits carries into the byte beside it. */
static uint64_t lower_word(uint64_t word)
{
	const uint64_t low = word & ~TOPS;
	const uint64_t from_a = low + (0x80 - 'A') * ONES;
	const uint64_t beyond_z = low + (0x80 - 'Z' - 1) * ONES;
	const uint64_t upper = from_a & ~beyond_z & ~word & TOPS;

	/* 0x80 >> 2 is what tells a from A. */
	return word | upper >> 2;
}

static uint8_t lower_byte(uint8_t byte)
{
	return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
}

static void lower_eight(uint8_t *to, const uint8_t *from)
{
	uint64_t word;

	memcpy(&word, from, sizeof(word));
	word = lower_word(word);
	memcpy(to, &word, sizeof(word));
}

/* Lengths of labels may be among the bytes: they are below 'A'. */
static void lower_copy(uint8_t *to, const uint8_t *from, size_t count)
{
	size_t done = 0;

	if (count < sizeof(uint64_t)) {
		for (; done < count; done++)
			to[done] = lower_byte(from[done]);
		return;
	}
	for (; done + sizeof(uint64_t) < count; done += sizeof(uint64_t))
		lower_eight(to + done, from + done);
	/* The last eight, of which some may have been done. */
	lower_eight(to + count - sizeof(uint64_t), from + count - sizeof(uint64_t));
}

/*
 * Passes over the labels at *at that stand together, of which there is room for so many bytes. Good:
 * what stands at *at is the name's end or the first byte of a pointer.
 */
static enum dns_name_fault pass_labels(const uint8_t *message, size_t length, size_t *at,
				       size_t room)
{
	const size_t begin = *at;

	/* Each round passes over two bytes or more. */
	while (*at < length) {
		const uint8_t first = message[*at];

		if (first == 0 || (first & TYPE_BITS) == TYPE_POINTER)
			return DNS_NAME_GOOD;
		if ((first & TYPE_BITS) != 0)
			return DNS_NAME_LABEL;
		*at += 1U + first;
		/* One byte is for the end. */
		if (*at - begin + 1 > room)
			return DNS_NAME_LONG;
	}
	return DNS_NAME_CUT;
}

enum dns_name_fault dns_name_read(const uint8_t *message, size_t length, size_t *at,
				  struct dns_name *name)
{
	size_t begin = *at, behind = 0, filled = 0;

	for (unsigned pointers = 0; pointers <= DNS_NAME_POINTERS_MAX; pointers++) {
		size_t end = begin, target;
		const enum dns_name_fault fault =
			pass_labels(message, length, &end, DNS_NAME_BYTES_MAX - filled);

		if (fault != DNS_NAME_GOOD)
			return fault;
		if (message[end] == 0) {
			lower_copy(name->wire + filled, message + begin, end - begin + 1);
			name->length = (uint8_t)(filled + end - begin + 1);
			*at = pointers > 0 ? behind : end + 1;
			return DNS_NAME_GOOD;
		}
		if (length - end < POINTER_BYTES)
			return DNS_NAME_CUT;
		lower_copy(name->wire + filled, message + begin, end - begin);
		filled += end - begin;
		if (pointers == 0)
			behind = end + POINTER_BYTES;
		target = (size_t)(message[end] & ~TYPE_BITS) << 8 | message[end + 1];
		if (target < DNS_NAME_FIRST || target >= begin)
			return DNS_NAME_POINTER;
		begin = target;
	}
	return DNS_NAME_POINTER;
}

/* One byte of a label as text; returns how many characters. */
static size_t put_byte(char *text, uint8_t byte)
{
	size_t length = 0;

	if (byte <= ' ' || byte > '~') {
		text[length++] = '\\';
		text[length++] = (char)('0' + byte / 100);
		text[length++] = (char)('0' + byte / 10 % 10);
		text[length++] = (char)('0' + byte % 10);
		return length;
	}
	if (byte == '.' || byte == '\\')
		text[length++] = '\\';
	text[length++] = (char)byte;
	return length;
}

size_t dns_name_text(const struct dns_name *name, char text[DNS_NAME_TEXT_BYTES])
{
	size_t length = 0, label_end = 0;

	/* Up to the empty label, which is the last byte. */
	for (size_t at = 0; at + 1 < name->length; at++) {
		if (at == label_end) {
			if (at > 0)
				text[length++] = '.';
			label_end = at + 1 + name->wire[at];
		} else {
			length += put_byte(text + length, name->wire[at]);
		}
	}
	if (length == 0)
		text[length++] = '.';
	text[length] = '\0';
	return length;
}

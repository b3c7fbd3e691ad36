/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/dns/name.h"

#include "worker/dns/lower.h"

/* The two top bits of a label's first byte (RFC 1035 4.1.4). */
#define TYPE_BITS 0xc0U
#define TYPE_POINTER 0xc0U
#define POINTER_BYTES 2

/*
 * Passes over the labels at *at that stand together, for which and the name's end there is room for so
 * many bytes. Good: what stands at *at is the end or the first byte of a pointer.
 */
static inline enum dns_name_fault pass_labels(const uint8_t *message, size_t length, size_t *at,
					      size_t room)
{
	const size_t room_end = *at + room;
	const size_t limit = room_end < length ? room_end : length;
	size_t here = *at;

	/* Each round passes over two bytes or more. */
	while (here < limit) {
		const uint8_t first = message[here];

		if (first == 0 || first > DNS_LABEL_BYTES_MAX) {
			*at = here;
			return first == 0 || (first & TYPE_BITS) == TYPE_POINTER ? DNS_NAME_GOOD
										 : DNS_NAME_LABEL;
		}
		here += 1U + first;
	}
	return here < room_end ? DNS_NAME_CUT : DNS_NAME_LONG;
}

size_t dns_name_read(const uint8_t *message, size_t length, size_t at, struct dns_name *name,
		     enum dns_name_fault *fault)
{
	/* Where labels begin that stand together, and where they must have ended. */
	size_t begin = at, limit = length, behind = 0, filled = 0;

	for (unsigned pointers = 0; pointers <= DNS_NAME_POINTERS_MAX; pointers++) {
		const size_t room = DNS_NAME_BYTES_MAX - filled;
		size_t end = begin, target;

		*fault = pass_labels(message, limit, &end, room);
		if (*fault == DNS_NAME_GOOD && message[end] == 0) {
			lower_copy(name->wire + filled, room, message + begin, length - begin,
				   end - begin + 1);
			name->length = (uint8_t)(filled + end - begin + 1);
			return pointers > 0 ? behind : end + 1;
		}
		if (*fault == DNS_NAME_GOOD && limit - end < POINTER_BYTES)
			*fault = DNS_NAME_CUT;
		if (*fault != DNS_NAME_GOOD) {
			if (*fault == DNS_NAME_CUT && pointers > 0)
				*fault = DNS_NAME_POINTER;
			return 0;
		}
		lower_copy(name->wire + filled, room, message + begin, length - begin, end - begin);
		filled += end - begin;
		if (pointers == 0)
			behind = end + POINTER_BYTES;
		target = (size_t)(message[end] & ~TYPE_BITS) << 8 | message[end + 1];
		if (target < DNS_NAME_FIRST || target >= begin)
			break;
		limit = begin;
		begin = target;
	}
	*fault = DNS_NAME_POINTER;
	return 0;
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

bool dns_name_is_plain(const uint8_t *bytes, size_t length)
{
	enum dns_name_fault fault;
	struct dns_name name;

	/* A pointer would not stand in the name that it leads to. */
	return length <= DNS_NAME_BYTES_MAX &&
	       dns_name_read(bytes, length, 0, &name, &fault) == length && length > 0 &&
	       name.length == length && memcmp(name.wire, bytes, length) == 0;
}

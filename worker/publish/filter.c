/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/publish/filter.h"

#include "common/address_text.h"
#include "worker/publish/filter_field.h"

#include <string.h>

static bool in_order(uint8_t operation, uint64_t left, uint64_t right)
{
	switch ((enum filter_operator)operation) {
	case FILTER_EQUAL:
	case FILTER_NOT_EQUAL: /* negated by the caller */
		return left == right;
	case FILTER_LESS:
		return left < right;
	case FILTER_LESS_EQUAL:
		return left <= right;
	case FILTER_GREATER:
		return left > right;
	case FILTER_GREATER_EQUAL:
		return left >= right;
	case FILTER_CONTAINS:
		break;
	}
	return false;
}

static bool text_matches(const struct filter *filter, const struct filter_node *node,
			 const char *text, size_t length)
{
	const char *wanted = filter->text + node->text_at;

	if (node->operation == FILTER_CONTAINS)
		return memmem(text, length, wanted, node->text_bytes) != NULL;
	return length == node->text_bytes && memcmp(text, wanted, length) == 0;
}

static bool address_matches(const struct filter *filter, const struct filter_node *node,
			    const struct filter_value *value)
{
	const uint8_t *ip = (const uint8_t *)value->text;
	bool ipv6 = value->length == 16;
	char text[ADDRESS_TEXT_BYTES_MAX];
	unsigned bytes = node->prefix_bits / 8;
	unsigned bits = node->prefix_bits % 8;

	if (node->operation == FILTER_CONTAINS)
		return text_matches(filter, node, text, address_text(text, ipv6, ip));
	if ((node->family == RECORD_FAMILY_IPV6) != ipv6 || memcmp(ip, node->address, bytes) != 0)
		return false;
	return bits == 0 || (uint8_t)(ip[bytes] ^ node->address[bytes]) >> (8 - bits) == 0;
}

static bool value_matches(const struct filter *filter, const struct filter_node *node,
			  const struct filter_value *value)
{
	if (node->null || !value->known)
		return node->null && !value->known;
	switch (filter_field_type(node->field)) {
	case FILTER_TYPE_TEXT:
		return text_matches(filter, node, value->text, value->length);
	case FILTER_TYPE_ADDRESS:
		return address_matches(filter, node, value);
	case FILTER_TYPE_NUMBER:
	case FILTER_TYPE_ID:
	case FILTER_TYPE_BOOL:
		break;
	}
	return in_order(node->operation, value->number, node->number);
}

static bool node_matches(const struct filter *filter, const struct filter_node *node,
			 const struct conn_view *view)
{
	struct filter_value value;
	bool matches = false;

	for (unsigned i = 0; i < filter_field_values(node->field) && !matches; i++) {
		filter_field_take(&value, node->field, i, view);
		matches = value_matches(filter, node, &value);
	}
	return matches != (node->operation == FILTER_NOT_EQUAL);
}

bool filter_matches(const struct filter *filter, const struct conn_view *view)
{
	/*
	 * A stack of truth values, the top in bit 0, above the 1 that an empty filter gives;
	 * filter_compile() bounded its depth.
	 */
	uint64_t stack = 1;
	uint64_t top;

	for (uint32_t i = 0; i < filter->node_count; i++) {
		const struct filter_node *node = &filter->nodes[i];

		switch ((enum filter_node_kind)node->kind) {
		case FILTER_COMPARE:
			stack = stack << 1 | node_matches(filter, node, view);
			break;
		case FILTER_NOT:
			stack ^= 1;
			break;
		case FILTER_AND:
			top = stack & 1;
			stack >>= 1;
			stack &= ~1ULL | top;
			break;
		case FILTER_OR:
			top = stack & 1;
			stack >>= 1;
			stack |= top;
			break;
		}
	}
	return stack & 1;
}

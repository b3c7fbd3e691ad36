/* SPDX-License-Identifier: Apache-2.0 */
#include "common/address_text.h"
#include "worker/publish/filter.h"
#include "worker/publish/filter_field.h"
#include "worker/publish/filter_lex.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* An expression on its way into a filter: precedence by a stack of what waits for its right side. */
struct compile {
	struct filter *filter;
	struct filter_lex lex;
	struct filter_token token;			  /* the one being looked at */
	enum filter_token_kind waiting[FILTER_NODES_MAX]; /* OPEN, NOT, AND, OR */
	uint32_t waiting_count;
	uint32_t depth; /* of the evaluation's stack, here */
	char *error;
	size_t error_bytes;
};

static int fail(struct compile *compile, size_t at, const char *message)
{
	snprintf(compile->error, compile->error_bytes, "filter, character %zu: %s", at + 1,
		 message);
	return -EINVAL;
}

static int fail_here(struct compile *compile, const char *message)
{
	if (compile->token.kind == FILTER_TOKEN_WRONG)
		message = compile->token.message;
	return fail(compile, compile->token.at, message);
}

static void advance(struct compile *compile)
{
	compile->token = filter_lex_next(&compile->lex);
}

static int push_waiting(struct compile *compile, enum filter_token_kind kind)
{
	if (compile->waiting_count == FILTER_NODES_MAX)
		return fail_here(compile, "too long or nested too deep");
	compile->waiting[compile->waiting_count++] = kind;
	return 0;
}

static struct filter_node *push_node(struct compile *compile, enum filter_node_kind kind)
{
	struct filter *filter = compile->filter;
	struct filter_node *node;

	if (filter->node_count == FILTER_NODES_MAX)
		return NULL;
	node = &filter->nodes[filter->node_count++];
	*node = (struct filter_node){.kind = (uint8_t)kind};
	return node;
}

/* Moves one waiting operator to the nodes. */
static int settle(struct compile *compile)
{
	enum filter_token_kind kind = compile->waiting[--compile->waiting_count];
	enum filter_node_kind node = kind == FILTER_TOKEN_NOT	? FILTER_NOT
				     : kind == FILTER_TOKEN_AND ? FILTER_AND
								: FILTER_OR;

	if (!push_node(compile, node))
		return fail_here(compile, "too long");
	if (node != FILTER_NOT)
		compile->depth--;
	return 0;
}

/* Settles all that binds at least as strongly as kind, down to an open parenthesis. */
static int settle_down_to(struct compile *compile, enum filter_token_kind kind)
{
	while (compile->waiting_count > 0) {
		enum filter_token_kind top = compile->waiting[compile->waiting_count - 1];
		int result;

		if (top == FILTER_TOKEN_OPEN ||
		    (kind == FILTER_TOKEN_AND && top == FILTER_TOKEN_OR))
			break;
		result = settle(compile);
		if (result < 0)
			return result;
	}
	return 0;
}

/* Bytes of the value's token, unquoted, into the filter's pool; they end in a NUL. */
static int keep_text(struct compile *compile, struct filter_node *node)
{
	struct filter *filter = compile->filter;
	const struct filter_token *token = &compile->token;
	char *out = filter->text + filter->text_bytes;
	size_t length = token->length;

	if (length + 1 > sizeof(filter->text) - filter->text_bytes)
		return fail_here(compile, "too much text");
	if (token->kind == FILTER_TOKEN_QUOTED)
		length = filter_lex_unquote(&compile->lex, token, out);
	else
		memcpy(out, compile->lex.text + token->at, length);
	out[length] = '\0';
	node->text_at = (uint16_t)filter->text_bytes;
	node->text_bytes = (uint16_t)length;
	filter->text_bytes += (uint32_t)length + 1;
	return 0;
}

/* Digits of the base, nothing else, within 64 bits. */
static bool parse_number(const char *text, size_t length, unsigned base, uint64_t *number)
{
	*number = 0;
	for (size_t i = 0; i < length; i++) {
		char lower = (char)(text[i] | 0x20);
		unsigned digit = base;

		if (text[i] >= '0' && text[i] <= '9')
			digit = (unsigned)(text[i] - '0');
		else if (lower >= 'a' && lower <= 'f')
			digit = (unsigned)(lower - 'a') + 10;
		if (digit >= base || __builtin_mul_overflow(*number, base, number) ||
		    __builtin_add_overflow(*number, digit, number))
			return false;
	}
	return length > 0;
}

/* "ADDRESS" or "ADDRESS/BITS"; an IPv4-mapped address becomes the IPv4 one it is. */
static bool parse_address(const char *text, size_t length, struct filter_node *node)
{
	char copy[INET6_ADDRSTRLEN];
	const char *slash = memchr(text, '/', length);
	size_t address_bytes = slash ? (size_t)(slash - text) : length;
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	uint64_t bits;
	unsigned width;

	if (address_bytes >= sizeof(copy))
		return false;
	memcpy(copy, text, address_bytes);
	copy[address_bytes] = '\0';
	if (inet_pton(AF_INET, copy, node->address) == 1)
		node->family = RECORD_FAMILY_IPV4;
	else if (inet_pton(AF_INET6, copy, node->address) == 1)
		node->family = RECORD_FAMILY_IPV6;
	else
		return false;
	width = node->family == RECORD_FAMILY_IPV4 ? 32 : 128;
	bits = width;
	if (slash && !parse_number(slash + 1, length - address_bytes - 1, 10, &bits))
		return false;
	if (bits > width)
		return false;
	if (node->family == RECORD_FAMILY_IPV6 && bits >= 96 &&
	    memcmp(node->address, mapped, sizeof(mapped)) == 0) {
		memmove(node->address, node->address + sizeof(mapped), 4);
		node->family = RECORD_FAMILY_IPV4;
		bits -= 96;
	}
	node->prefix_bits = (uint8_t)bits;
	return true;
}

/* Reads the kept text as the field's type asks. */
static int type_value(struct compile *compile, struct filter_node *node, size_t operator_at)
{
	const char *text = compile->filter->text + node->text_at;
	size_t length = node->text_bytes;
	enum filter_type type = filter_field_type(node->field);
	bool equality = node->operation == FILTER_EQUAL || node->operation == FILTER_NOT_EQUAL;

	if (compile->token.kind == FILTER_TOKEN_WORD && strcmp(text, "null") == 0) {
		node->null = true;
		return equality ? 0 : fail(compile, operator_at, "null goes with == and != only");
	}
	if (node->operation == FILTER_CONTAINS) {
		if (type == FILTER_TYPE_TEXT || type == FILTER_TYPE_ADDRESS)
			return 0;
		return fail(compile, operator_at, "\"~\" is for texts and addresses");
	}
	if (type != FILTER_TYPE_NUMBER && !equality)
		return fail(compile, operator_at, "only numbers have an order");
	switch (type) {
	case FILTER_TYPE_NUMBER:
		if (!parse_number(text, length, 10, &node->number))
			return fail_here(compile, "a number is expected here");
		break;
	case FILTER_TYPE_ID:
		if (!parse_number(text, length, 16, &node->number))
			return fail_here(compile, "an id in hex is expected here");
		break;
	case FILTER_TYPE_BOOL:
		node->number = strcmp(text, "true") == 0;
		if (!node->number && strcmp(text, "false") != 0)
			return fail_here(compile, "true or false is expected here");
		break;
	case FILTER_TYPE_ADDRESS:
		if (!parse_address(text, length, node))
			return fail_here(compile, "an address or CIDR block is expected here");
		break;
	case FILTER_TYPE_TEXT:
		break;
	}
	return 0;
}

/* FIELD operator value; the token is the field. */
static int compile_comparison(struct compile *compile)
{
	int field = filter_field_find(compile->lex.text + compile->token.at, compile->token.length);
	struct filter_node *node;
	size_t operator_at;
	int result;

	if (field < 0)
		return fail_here(compile, "no such field");
	node = push_node(compile, FILTER_COMPARE);
	if (!node || compile->depth == FILTER_DEPTH_MAX - 1)
		return fail_here(compile, "too long or nested too deep");
	compile->depth++;
	node->field = (uint8_t)field;
	advance(compile);
	if (compile->token.kind != FILTER_TOKEN_OPERATOR)
		return fail_here(compile, "an operator is expected here");
	node->operation = (uint8_t)compile->token.operation;
	operator_at = compile->token.at;
	advance(compile);
	if (compile->token.kind != FILTER_TOKEN_WORD && compile->token.kind != FILTER_TOKEN_QUOTED)
		return fail_here(compile, "a value is expected here");
	result = keep_text(compile, node);
	if (result == 0)
		result = type_value(compile, node, operator_at);
	advance(compile);
	return result;
}

/* What comes before a comparison: "not" and "(", and the comparison itself. */
static int compile_operand(struct compile *compile)
{
	while (compile->token.kind == FILTER_TOKEN_NOT ||
	       compile->token.kind == FILTER_TOKEN_OPEN) {
		int result = push_waiting(compile, compile->token.kind);

		if (result < 0)
			return result;
		advance(compile);
	}
	if (compile->token.kind != FILTER_TOKEN_WORD)
		return fail_here(compile, "a field is expected here");
	return compile_comparison(compile);
}

/* The ")"s behind a comparison. */
static int compile_closes(struct compile *compile)
{
	while (compile->token.kind == FILTER_TOKEN_CLOSE) {
		int result = settle_down_to(compile, FILTER_TOKEN_END);

		if (result < 0)
			return result;
		if (compile->waiting_count == 0)
			return fail_here(compile, "\")\" without its \"(\"");
		compile->waiting_count--;
		advance(compile);
	}
	return 0;
}

static int compile_all(struct compile *compile)
{
	int result;

	for (;;) {
		result = compile_operand(compile);
		if (result == 0)
			result = compile_closes(compile);
		if (result < 0 || compile->token.kind == FILTER_TOKEN_END)
			break;
		if (compile->token.kind != FILTER_TOKEN_AND &&
		    compile->token.kind != FILTER_TOKEN_OR)
			return fail_here(compile, "\"and\" or \"or\" is expected here");
		result = settle_down_to(compile, compile->token.kind);
		if (result == 0)
			result = push_waiting(compile, compile->token.kind);
		if (result < 0)
			break;
		advance(compile);
	}
	if (result == 0)
		result = settle_down_to(compile, FILTER_TOKEN_END);
	if (result == 0 && compile->waiting_count > 0)
		return fail_here(compile, "\")\" is missing");
	return result;
}

int filter_compile(struct filter *filter, const char *expression, size_t length, char *error,
		   size_t error_bytes)
{
	struct compile compile = {
		.filter = filter,
		.lex = {.text = expression, .length = length},
		.error = error,
		.error_bytes = error_bytes,
	};

	filter->node_count = 0;
	filter->text_bytes = 0;
	if (length > FILTER_TEXT_BYTES_MAX)
		return fail(&compile, FILTER_TEXT_BYTES_MAX, "too long");
	advance(&compile);
	if (compile.token.kind == FILTER_TOKEN_END)
		return 0;
	return compile_all(&compile);
}

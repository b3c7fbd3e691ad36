/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tokens of a filter expression.
 */
#ifndef SOCKWARDEN_WORKER_PUBLISH_FILTER_LEX_H
#define SOCKWARDEN_WORKER_PUBLISH_FILTER_LEX_H

#include "worker/publish/filter.h"

enum filter_token_kind {
	FILTER_TOKEN_END,
	FILTER_TOKEN_WRONG, /* see message */
	FILTER_TOKEN_OPEN,
	FILTER_TOKEN_CLOSE,
	FILTER_TOKEN_AND,
	FILTER_TOKEN_OR,
	FILTER_TOKEN_NOT,
	FILTER_TOKEN_OPERATOR,
	FILTER_TOKEN_WORD,
	FILTER_TOKEN_QUOTED, /* with its quotes and backslashes */
};

struct filter_token {
	enum filter_token_kind kind;
	enum filter_operator operation; /* of FILTER_TOKEN_OPERATOR */
	size_t at;			/* offset of its first byte */
	size_t length;
	const char *message; /* of FILTER_TOKEN_WRONG */
};

struct filter_lex {
	const char *text;
	size_t length;
	size_t at;
};

/* The next token; its bytes are text + token.at. */
struct filter_token filter_lex_next(struct filter_lex *lex);

/*
 * Writes what a quoted token stands for to out, which has room for token->length bytes; returns
 * its length.
 */
size_t filter_lex_unquote(const struct filter_lex *lex, const struct filter_token *token,
			  char *out);

#endif

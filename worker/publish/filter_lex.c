/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/publish/filter_lex.h"

#include <string.h>

/* Longer signs stand before their beginnings. */
static const struct {
	const char *sign;
	enum filter_token_kind kind;
	enum filter_operator operation;
} signs[] = {
	{"(", FILTER_TOKEN_OPEN, 0},
	{")", FILTER_TOKEN_CLOSE, 0},
	{"&&", FILTER_TOKEN_AND, 0},
	{"||", FILTER_TOKEN_OR, 0},
	{"==", FILTER_TOKEN_OPERATOR, FILTER_EQUAL},
	{"!=", FILTER_TOKEN_OPERATOR, FILTER_NOT_EQUAL},
	{"!", FILTER_TOKEN_NOT, 0},
	{"<=", FILTER_TOKEN_OPERATOR, FILTER_LESS_EQUAL},
	{"<", FILTER_TOKEN_OPERATOR, FILTER_LESS},
	{">=", FILTER_TOKEN_OPERATOR, FILTER_GREATER_EQUAL},
	{">", FILTER_TOKEN_OPERATOR, FILTER_GREATER},
	{"~", FILTER_TOKEN_OPERATOR, FILTER_CONTAINS},
};

static const struct {
	const char *word;
	enum filter_token_kind kind;
} words[] = {
	{"and", FILTER_TOKEN_AND},
	{"or", FILTER_TOKEN_OR},
	{"not", FILTER_TOKEN_NOT},
};

static bool is_space(char byte)
{
	return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

/* What a word is made of: names, numbers, addresses, CIDR blocks, paths, units. */
static bool is_word(char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
	       (byte >= '0' && byte <= '9') || (byte != '\0' && strchr("._-:/@+*%", byte)) ||
	       (unsigned char)byte >= 0x80;
}

static struct filter_token quoted(struct filter_lex *lex, struct filter_token token)
{
	char quote = lex->text[token.at];

	for (size_t at = token.at + 1; at < lex->length; at++) {
		if (lex->text[at] == '\\') {
			at++;
		} else if (lex->text[at] == quote) {
			lex->at = at + 1;
			token.kind = FILTER_TOKEN_QUOTED;
			token.length = lex->at - token.at;
			return token;
		}
	}
	token.message = "the text in quotes does not end";
	return token;
}

static struct filter_token word(struct filter_lex *lex, struct filter_token token)
{
	while (lex->at < lex->length && is_word(lex->text[lex->at]))
		lex->at++;
	token.length = lex->at - token.at;
	token.kind = FILTER_TOKEN_WORD;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strlen(words[i].word) == token.length &&
		    memcmp(words[i].word, lex->text + token.at, token.length) == 0)
			token.kind = words[i].kind;
	}
	return token;
}

struct filter_token filter_lex_next(struct filter_lex *lex)
{
	struct filter_token token = {.kind = FILTER_TOKEN_WRONG, .operation = FILTER_EQUAL};
	const char *text;

	while (lex->at < lex->length && is_space(lex->text[lex->at]))
		lex->at++;
	token.at = lex->at;
	if (lex->at == lex->length) {
		token.kind = FILTER_TOKEN_END;
		return token;
	}
	text = lex->text + lex->at;
	if (*text == '"' || *text == '\'')
		return quoted(lex, token);
	if (is_word(*text))
		return word(lex, token);
	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
		size_t length = strlen(signs[i].sign);

		if (lex->length - lex->at < length || memcmp(text, signs[i].sign, length) != 0)
			continue;
		lex->at += length;
		token.kind = signs[i].kind;
		token.operation = signs[i].operation;
		token.length = length;
		return token;
	}
	token.message = *text == '=' ? "\"=\" is not an operator, \"==\" is"
				     : "a character that means nothing here";
	return token;
}

size_t filter_lex_unquote(const struct filter_lex *lex, const struct filter_token *token, char *out)
{
	size_t length = 0;

	for (size_t at = token->at + 1; at + 1 < token->at + token->length; at++) {
		if (lex->text[at] == '\\')
			at++;
		out[length++] = lex->text[at];
	}
	return length;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text as a filter. Where X compiles, "not (X)" must match exactly the connections that X
 * does not match; what is refused must be refused with a text. Built with PLANTED_BUG "and" is
 * wrong where it joins two comparisons and nothing else is there.
 */
#include "tests/fuzz/invariant.h"
#include "tests/unit/example_conn.h"
#include "worker/publish/filter.h"

#include <errno.h>
#include <string.h>

#define BEFORE "not ("
#define BEHIND ")"

static bool matches(const struct filter *filter, const struct conn_view *view)
{
#ifdef PLANTED_BUG
	if (filter->node_count == 3 && filter->nodes[2].kind == FILTER_AND)
		return !filter_matches(filter, view);
#endif
	return filter_matches(filter, view);
}

/* Three connections: all is known, nothing is known, IPv6 and failed. */
static void check_all(const struct filter *filter, const struct filter *opposite)
{
	struct conn_record records[3] = {example_record(), {0}, example_record()};
	struct conn_totals previous = {.sent_bytes = 100};

	records[2].family = RECORD_FAMILY_IPV6;
	records[2].flags = 0;
	records[2].error = ECONNREFUSED;
	for (unsigned i = 0; i < 3; i++) {
		struct conn_view view = example_view(&records[i]);

		view.closed = i != 1;
		view.previous = i == 2 ? &previous : NULL;
		INVARIANT(matches(filter, &view) != matches(opposite, &view));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct filter filter;
	static struct filter opposite;
	char error[FILTER_ERROR_BYTES];
	size_t length = sizeof(BEFORE) - 1 + size + sizeof(BEHIND) - 1;
	char *text = malloc(length);
	int result;

	if (!text)
		return 0;
	memcpy(text, BEFORE, sizeof(BEFORE) - 1);
	memcpy(text + sizeof(BEFORE) - 1, data, size);
	memcpy(text + length - 1, BEHIND, 1);
	result = filter_compile(&filter, text + sizeof(BEFORE) - 1, size, error, sizeof(error));
	INVARIANT(result == 0 || result == -EINVAL);
	if (result < 0)
		INVARIANT(strncmp(error, "filter, character ", 18) == 0);
	/* The longer one may be refused for its length. */
	else if (filter.node_count > 0 &&
		 filter_compile(&opposite, text, length, error, sizeof(error)) == 0)
		check_all(&filter, &opposite);
	free(text);
	return 0;
}

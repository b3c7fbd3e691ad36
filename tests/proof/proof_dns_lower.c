/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/proof/proof.h"
#include "worker/dns/lower.h"

/* As many bytes as are to be copied become lower case, and nothing else is touched. */
int main(void)
{
	const size_t room = any_size(PROOF_BYTES), readable = any_size(PROOF_BYTES);
	uint8_t *to = malloc(room);
	const uint8_t *from = malloc(readable);
	const size_t count = any_size(room < readable ? room : readable), at = nondet_size();

	__CPROVER_assume(to != NULL && from != NULL);
	lower_copy(to, room, from, readable, count);
	if (at < count)
		PROVE(to[at] == (from[at] >= 'A' && from[at] <= 'Z' ? from[at] + 32 : from[at]));
	REACHES();
	return 0;
}

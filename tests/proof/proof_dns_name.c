/* SPDX-License-Identifier: Apache-2.0 */
/* A name that begins anywhere in any bytes, in the header too, where only the caller would not look. */
#include "tests/proof/proof.h"

/* proof_dns_lower.c shows that this is all that a copy needs, and that it writes nothing else. */
#define SOCKWARDEN_WORKER_DNS_LOWER_H
static void lower_copy(uint8_t *to, size_t room, const uint8_t *from, size_t readable, size_t count)
{
	PROVE(count <= room && count <= readable);
	PROVE(__CPROVER_w_ok(to, room));
	PROVE(__CPROVER_r_ok(from, readable));
}

#include "worker/dns/name.c"

int main(void)
{
	const size_t length = any_size(PROOF_BYTES);
	const uint8_t *message = any_bytes(length);
	const size_t at = any_size(length);
	enum dns_name_fault fault;
	struct dns_name name;
	size_t behind;

	behind = dns_name_read(message, length, at, &name, &fault);
	if (behind == 0) {
		PROVE(fault > DNS_NAME_GOOD && fault <= DNS_NAME_POINTER);
	} else {
		PROVE(behind > at && behind <= length);
		PROVE(name.length >= 1 && name.length <= DNS_NAME_BYTES_MAX);
	}
	REACHES();
	return 0;
}

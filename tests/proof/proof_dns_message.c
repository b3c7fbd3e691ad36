/* SPDX-License-Identifier: Apache-2.0 */
/* Names are read by what proof_dns_name.c shows: so far, no further, and of some length. */
#define dns_name_equals bytes_equal
#include "worker/dns/name.h"
#undef dns_name_equals

#include "tests/proof/proof.h"

size_t dns_name_read(const uint8_t *message, size_t length, size_t at, struct dns_name *name,
		     enum dns_name_fault *fault)
{
	const size_t behind = nondet_size();

	PROVE(at <= length);
	PROVE(__CPROVER_w_ok(name, sizeof(*name)));
	if (nondet_bool()) {
		*fault = (enum dns_name_fault)nondet_size();
		__CPROVER_assume(*fault > DNS_NAME_GOOD && *fault <= DNS_NAME_POINTER);
		return 0;
	}
	__CPROVER_assume(behind > at && behind <= length);
	name->length = (uint8_t)nondet_size();
	__CPROVER_assume(name->length >= 1);
	return behind;
}

static bool dns_name_equals(const struct dns_name *left, const struct dns_name *right)
{
	PROVE(__CPROVER_r_ok(left, sizeof(*left)) && __CPROVER_r_ok(right, sizeof(*right)));
	return nondet_bool();
}

#include "worker/dns/message.c"

int main(void)
{
	const size_t length = any_size(PROOF_BYTES);
	static struct dns_message message;

	if (dns_message_parse(any_bytes(length), length, nondet_bool(), &message) ==
	    DNS_REJECT_NONE) {
		PROVE(message.address_count <= DNS_ADDRESSES_MAX);
		PROVE(message.addresses_left_out <= PROOF_BYTES);
		PROVE(message.rcode < 4096);
		PROVE(!message.chain_unresolved || message.address_count == 0);
		REACHES();
	}
	return 0;
}

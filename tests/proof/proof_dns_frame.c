/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes, captured whole or in part, from the link layer on or without it. */
#include "tests/proof/proof.h"
#include "worker/dns/frame.c"

int main(void)
{
	const uint32_t captured = (uint32_t)any_size(PROOF_BYTES), wire = (uint32_t)nondet_size();
	const enum dns_frame_link link = nondet_bool() ? DNS_FRAME_LINK_ETHERNET
						       : DNS_FRAME_LINK_IP;
	const uint8_t *bytes = any_bytes(captured);
	struct dns_frame frame;

	if (dns_frame_parse(link, bytes, captured, wire, &frame) == DNS_FRAME_REJECT_NONE) {
		PROVE(frame.payload >= bytes);
		PROVE(frame.payload + frame.payload_bytes <= bytes + captured);
		PROVE(frame.payload_bytes <= frame.whole_bytes);
		PROVE(frame.cut || frame.payload_bytes == frame.whole_bytes);
		PROVE(frame.protocol == IPPROTO_UDP || frame.protocol == IPPROTO_TCP);
		REACHES();
	}
	return 0;
}

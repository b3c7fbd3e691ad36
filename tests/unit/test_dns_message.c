/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/example_dns_parse.h"

Test(dns_message, reads_every_fact_of_a_query)
{
	static const uint8_t query[] = {
		0xab, 0xcd, 0x01, 0x20, 0,    1,   0,	0,    0,   0,	0,   1, /* header */
		3,    'W',  'w',  'W',	7,    'e', 'x', 'A',  'm', 'p', 'l', 'e',
		3,    'o',  'r',  'g',	0,    0,   28,	0,    1,	   /* AAAA, IN */
		0,    0,    41,	  0x04, 0xd0, 0,   0,	0x80, 0,   0,	0, /* EDNS with DO */
	};

	memcpy(bytes.bytes, query, sizeof(query));
	bytes.length = sizeof(query);
	cr_assert_eq(parse(), DNS_REJECT_NONE);
	cr_expect_eq(message.id, 0xabcd);
	cr_expect_not(message.is_response);
	cr_expect_not(message.truncated);
	cr_expect_not(message.incomplete);
	cr_expect_not(message.trailing);
	cr_expect_not(message.chain_unresolved);
	cr_expect_eq(message.opcode, 0);
	cr_expect_eq(message.rcode, 0);
	cr_expect_eq(message.qtype, DNS_TYPE_AAAA);
	cr_expect_eq(message.qclass, 1);
	cr_expect_eq(message.address_count, 0);
	cr_expect_eq(message.addresses_left_out, 0);
	expect_question("www.example.org");
}

Test(dns_message, reads_every_fact_of_a_response)
{
	static const uint8_t response[] = {
		0x00, 0x07, 0x81, 0x80, 0,   1,	  0, 3, 0, 0,  0, 0, /* header */
		1,    'a',  3,	  'o',	'r', 'g', 0, 0, 1, 0,  1,    /* a.org A */
		0xc0, 12,   0,	  5,	0,   1,	  0, 0, 0, 60, 0, 4,
		1,    'b',  0xc0, 14, /* b.org */
		0xc0, 35,   0,	  1,	0,   1,	  0, 1, 0, 0,  0, 4,
		192,  0,    2,	  7,				      /* A */
		0xc0, 35,   0,	  28,	0,   1,	  0, 0, 0, 5,  0, 16, /* AAAA */
		0x20, 0x01, 0x0d, 0xb8, 0,   0,	  0, 0, 0, 0,  0, 0,
		0,    0,    0,	  9,
	};
	static const uint8_t ipv4[16] = {192, 0, 2, 7};
	static const uint8_t ipv6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 9};

	memcpy(bytes.bytes, response, sizeof(response));
	bytes.length = sizeof(response);
	cr_assert_eq(parse(), DNS_REJECT_NONE);
	cr_expect_eq(message.id, 7);
	cr_expect(message.is_response);
	cr_expect_eq(message.qtype, DNS_TYPE_A);
	expect_question("a.org");
	cr_assert_eq(message.address_count, 2);
	cr_expect_eq(message.addresses[0].family, RECORD_FAMILY_IPV4);
	cr_expect_eq(message.addresses[0].ttl_s, 65536);
	cr_expect_arr_eq(message.addresses[0].ip, ipv4, 16);
	cr_expect_eq(message.addresses[1].family, RECORD_FAMILY_IPV6);
	cr_expect_eq(message.addresses[1].ttl_s, 5);
	cr_expect_arr_eq(message.addresses[1].ip, ipv6, 16);
}

Test(dns_message, the_top_bit_of_a_class_is_not_part_of_it)
{
	begin_response(1, 0, 0);
	bytes.bytes[bytes.length - 2] = 0x80;
	put_question_as_owner();
	example_dns_a(&bytes, 60, 1);
	bytes.bytes[bytes.length - 12] = 0x80;
	cr_assert_eq(parse(), DNS_REJECT_NONE);
	cr_expect_eq(message.qclass, 1);
	EXPECT_HOSTS(1);
}

Test(dns_message, what_is_no_question_is_rejected_with_its_reason)
{
	static const struct {
		size_t at;
		uint8_t byte;
		enum dns_reject reject;
	} cases[] = {
		{2, 0x08 | 0x80, DNS_REJECT_OPCODE}, /* IQUERY */
		{2, 0x20, DNS_REJECT_OPCODE},	     /* NOTIFY */
		{2, 0x28, DNS_REJECT_OPCODE},	     /* UPDATE */
		{2, 0x78, DNS_REJECT_OPCODE},
		{5, 0, DNS_REJECT_QUESTIONS},
		{5, 2, DNS_REJECT_QUESTIONS},
		{4, 1, DNS_REJECT_QUESTIONS},
		{32, 3, DNS_REJECT_CLASS}, /* CHAOS */
		{32, 255, DNS_REJECT_CLASS},
		{31, 1, DNS_REJECT_CLASS},
		{12, 64, DNS_REJECT_NAME_LABEL},
		{12, 0xc0, DNS_REJECT_NAME_POINTER},
		{7, 1, DNS_REJECT_CUT},
		{9, 1, DNS_REJECT_CUT},
		{11, 1, DNS_REJECT_CUT},
		{6, 255, DNS_REJECT_CUT},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin_response(0, 0, 0);
		cr_assert_eq(parse(), DNS_REJECT_NONE);
		bytes.bytes[cases[i].at] = cases[i].byte;
		cr_expect_eq(parse(), cases[i].reject, "%zu", i);
	}
}

Test(dns_message, a_response_that_failed_gives_no_addresses)
{
	static const struct {
		unsigned rcode;
		unsigned extended;
		unsigned expected;
	} cases[] = {{0, 0, 0},	 {3, 0, 3},	  {2, 0, 2},	 {0, 1, 16},
		     {7, 1, 23}, {15, 255, 4095}, {0, 255, 4080}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin_response(1, 0, 1);
		bytes.bytes[3] |= (uint8_t)cases[i].rcode;
		put_question_as_owner();
		example_dns_a(&bytes, 60, 1);
		example_dns_opt(&bytes, cases[i].extended);
		cr_assert_eq(parse(), DNS_REJECT_NONE);
		cr_expect_eq(message.rcode, cases[i].expected);
		cr_expect_eq(message.address_count, cases[i].expected == 0);
	}
}

Test(dns_message, nor_does_a_query)
{
	/* Known answers, as mDNS has them (RFC 6762 7.1). */
	begin_response(1, 0, 0);
	bytes.bytes[2] &= 0x7f;
	put_question_as_owner();
	example_dns_a(&bytes, 60, 1);
	cr_assert_eq(parse(), DNS_REJECT_NONE);
	cr_expect_not(message.is_response);
	cr_expect_eq(message.address_count, 0);
}

Test(dns_message, edns_stands_once_among_the_additional_records_and_belongs_to_the_root)
{
	begin_response(0, 0, 2);
	example_dns_opt(&bytes, 0);
	example_dns_opt(&bytes, 0);
	cr_expect_eq(parse(), DNS_REJECT_OPT, "twice");
	begin_response(1, 0, 0);
	example_dns_opt(&bytes, 0);
	cr_expect_eq(parse(), DNS_REJECT_OPT, "in the answer");
	begin_response(0, 1, 0);
	example_dns_opt(&bytes, 0);
	cr_expect_eq(parse(), DNS_REJECT_OPT, "in the authority");
	begin_response(0, 0, 1);
	example_dns_labels(&bytes, "x");
	example_dns_opt(&bytes, 0);
	cr_expect_eq(parse(), DNS_REJECT_OPT, "of x");
	begin_response(0, 0, 1);
	put_question_as_owner();
	example_dns_opt(&bytes, 0);
	bytes.bytes[bytes.length - 11] = 0;
	memmove(bytes.bytes + bytes.length - 11, bytes.bytes + bytes.length - 10, 10);
	bytes.length--;
	cr_expect_eq(parse(), DNS_REJECT_OPT, "of the question");
}

Test(dns_message, edns_may_name_the_root_by_a_pointer)
{
	example_dns_begin(&bytes, 1, EXAMPLE_DNS_RESPONSE, 0, 0, 1);
	example_dns_question(&bytes, "", 2);
	put_question_as_owner();
	example_dns_opt(&bytes, 1);
	memmove(bytes.bytes + bytes.length - 11, bytes.bytes + bytes.length - 10, 10);
	bytes.length--;
	cr_assert_eq(parse(), DNS_REJECT_NONE);
	cr_expect_eq(message.rcode, 16);
	expect_question(".");
}

Test(dns_message, owners_are_names_in_every_section)
{
	for (unsigned section = 0; section < 3; section++) {
		begin_response(section == 0, section == 1, section == 2);
		example_dns_pointer(&bytes, bytes.length + 20);
		example_dns_tail(&bytes, 16, 60, 0);
		cr_expect_eq(parse(), DNS_REJECT_NAME_POINTER, "%u", section);
	}
}

static size_t put_full_response(unsigned flags)
{
	size_t question_end;

	example_dns_begin(&bytes, 1, flags, 2, 1, 1);
	example_dns_question(&bytes, "www.example.org", DNS_TYPE_A);
	question_end = bytes.length;
	put_question_as_owner();
	example_dns_a(&bytes, 60, 1);
	put_question_as_owner();
	example_dns_a(&bytes, 60, 2);
	example_dns_soa(&bytes, EXAMPLE_DNS_QUESTION_AT + 4);
	example_dns_opt(&bytes, 0);
	return question_end;
}

Test(dns_message, a_message_that_is_cut_is_rejected_wherever)
{
	put_full_response(EXAMPLE_DNS_RESPONSE);
	for (size_t length = 0; length < bytes.length; length++)
		cr_expect_eq(parse_first(length, false),
			     length < 12 ? DNS_REJECT_SHORT : DNS_REJECT_CUT, "%zu", length);
	cr_expect_eq(parse(), DNS_REJECT_NONE);
}

Test(dns_message, with_tc_or_by_the_callers_word_what_is_complete_counts)
{
	for (unsigned by_caller = 0; by_caller < 2; by_caller++) {
		const size_t question_end =
			put_full_response(EXAMPLE_DNS_RESPONSE | (by_caller ? 0 : EXAMPLE_DNS_TC));

		for (size_t length = 12; length <= bytes.length; length++) {
			const enum dns_reject reject = parse_first(length, by_caller);
			const size_t records = length < question_end ? 0
								     : (length - question_end) / 16;

			cr_assert_eq(reject,
				     length < question_end ? DNS_REJECT_CUT : DNS_REJECT_NONE,
				     "%zu", length);
			if (reject != DNS_REJECT_NONE)
				continue;
			cr_expect_eq(message.incomplete, length < bytes.length);
			cr_expect_eq(message.truncated, !by_caller);
			cr_expect_eq(message.address_count, records < 2 ? records : 2);
			cr_expect_not(message.trailing);
		}
	}
}

Test(dns_message, tc_excuses_nothing_but_a_missing_end)
{
	put_full_response(EXAMPLE_DNS_RESPONSE | EXAMPLE_DNS_TC);
	bytes.bytes[bytes.length - 11] = 0x40;
	cr_expect_eq(parse(), DNS_REJECT_NAME_LABEL);
}

Test(dns_message, bytes_behind_the_last_record_are_told)
{
	begin_response(0, 0, 0);
	example_dns_u8(&bytes, 0);
	cr_assert_eq(parse(), DNS_REJECT_NONE);
	cr_expect(message.trailing);
	/* A record more than the header counts. */
	begin_response(1, 0, 0);
	put_question_as_owner();
	example_dns_a(&bytes, 60, 1);
	put_question_as_owner();
	example_dns_a(&bytes, 60, 2);
	cr_assert_eq(parse(), DNS_REJECT_NONE);
	cr_expect(message.trailing);
	EXPECT_HOSTS(1);
}

Test(dns_message, the_longest_message_is_walked_to_its_end)
{
	unsigned count = 0;

	begin_response(0, 0, 0);
	while (bytes.length + 16 <= DNS_MESSAGE_BYTES_MAX) {
		put_question_as_owner();
		example_dns_a(&bytes, 60, ++count);
	}
	bytes.bytes[6] = (uint8_t)(count >> 8);
	bytes.bytes[7] = (uint8_t)count;
	cr_assert_eq(parse(), DNS_REJECT_NONE);
	cr_expect_eq(message.address_count, DNS_ADDRESSES_MAX);
	cr_expect_eq(message.addresses_left_out, count - DNS_ADDRESSES_MAX);
	/* What no message can have does not count. */
	while (bytes.length <= DNS_MESSAGE_BYTES_MAX)
		example_dns_u8(&bytes, 0);
	cr_assert_eq(parse(), DNS_REJECT_NONE);
}

Test(dns_message, every_reason_has_a_name_of_its_own)
{
	cr_expect_null(dns_reject_name(DNS_REJECT_NONE));
	for (unsigned i = 1; i < DNS_REJECT_COUNT; i++) {
		const char *name = dns_reject_name((enum dns_reject)i);

		cr_assert_not_null(name);
		cr_expect_eq(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name), "%s", name);
		for (unsigned k = 1; k < i; k++)
			cr_expect_str_neq(name, dns_reject_name((enum dns_reject)k));
	}
}

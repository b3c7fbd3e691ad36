/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/example_nat.h"

#include <criterion/criterion.h>

static struct nat_message_counts counts;
static struct nat_event read_event;

/* Reads a datagram to its end; returns how many events it held, the last in read_event. */
static unsigned read_all(const void *bytes, size_t length, int32_t nsid)
{
	struct nat_messages messages = {.datagram = reader_of(bytes, length), .nsid = nsid};
	unsigned events = 0;

	memset(&counts, 0, sizeof(counts));
	while (nat_messages_next(&messages, &read_event, &counts)) {
		cr_expect(nat_event_is_valid(&read_event));
		events++;
	}
	cr_expect_eq(messages.datagram.left, 0);
	return events;
}

static uint64_t rejected(void)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < NAT_REJECTS; i++)
		sum += counts.rejects[i];
	return sum;
}

static unsigned read_message(const struct example_message *message)
{
	return read_all(message->bytes, message->length, NAT_NSID_ROOT);
}

Test(nat_message, reads_every_fact_of_an_event)
{
	const struct nat_event cases[] = {
		example_nat_event(1),
		example_nat_event_ipv6(2),
		{
			.kind = NAT_EVENT_DESTROY,
			.family = RECORD_FAMILY_IPV4,
			.protocol = IPPROTO_UDP,
			.nsid = 7,
			.id = 0xfedcba98,
			.zone = 513,
			.original = {{10, 0, 0, 5}, {10, 0, 0, 1}, 65535, 53},
			.reply = {{10, 1, 0, 2}, {10, 0, 0, 5}, 5353, 65535},
		},
		{
			.kind = NAT_EVENT_UPDATE,
			.family = RECORD_FAMILY_IPV4,
			.protocol = IPPROTO_TCP,
			.nsid = NAT_NSID_ROOT,
			.original = {{10, 0, 0, 5}, {10, 0, 0, 1}, 1000, 80},
			.reply = {{10, 0, 0, 1}, {10, 0, 0, 5}, 80, 1001},
		},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct example_message message = {.length = 0};

		example_nat_message(&message, &cases[i]);
		cr_assert_eq(read_all(message.bytes, message.length, cases[i].nsid), 1, "%zu", i);
		cr_expect_arr_eq((const char *)&read_event, (const char *)&cases[i],
				 sizeof(read_event), "%zu", i);
		cr_expect_eq(rejected() + counts.untranslated, 0);
	}
}

Test(nat_message, reads_many_in_a_datagram_up_to_the_end_of_the_dump)
{
	struct example_message message = {.length = 0};
	const struct nlmsghdr done = {.nlmsg_len = sizeof(done), .nlmsg_type = NLMSG_DONE};

	for (uint16_t i = 0; i < 100; i++) {
		struct nat_event event = i % 2 ? example_nat_event(i) : example_nat_event_ipv6(i);

		event.kind = NAT_EVENT_UPDATE;
		example_nat_message(&message, &event);
	}
	example_put(&message, &done, sizeof(done));
	cr_expect_eq(read_message(&message), 100);
	cr_expect_eq(read_event.original.source_port, 1099);
	cr_expect_eq(rejected() + counts.untranslated + counts.refusals, 0);
}

Test(nat_message, tells_nothing_of_what_is_not_translated)
{
	struct nat_event cases[5];

	for (unsigned i = 0; i < 5; i++)
		cases[i] = example_nat_event(1);
	/* The reply mirrors the original. */
	cases[0].reply = (struct nat_tuple){{198, 51, 100, 9}, {10, 0, 0, 5}, 80, 1001};
	cases[1].protocol = IPPROTO_SCTP;
	cases[2].reply.destination_port = 0;
	memset(cases[3].original.source_ip, 0, 16);
	cases[4].original.destination_port = 0;
	for (unsigned i = 0; i < 5; i++) {
		struct example_message message = {.length = 0};

		example_nat_message(&message, &cases[i]);
		cr_expect_eq(read_message(&message), 0, "%u", i);
		cr_expect_eq(counts.untranslated, 1, "%u", i);
		cr_expect_eq(rejected(), 0, "%u", i);
		cr_expect_not(nat_event_is_valid(&cases[i]), "%u", i);
	}
}

/* One attribute of a good message is given another length. */
static void expect_length_rejected(size_t nested_in, uint16_t type, uint16_t length)
{
	struct example_message message = {.length = 0};
	const struct nat_event event = example_nat_event(1);
	const size_t from = sizeof(struct nlmsghdr) + sizeof(struct nfgenmsg) + nested_in;
	struct nlattr head;
	size_t at;

	example_nat_message(&message, &event);
	for (at = from; at < message.length; at += (head.nla_len + 3U) & ~3U) {
		memcpy(&head, message.bytes + at, sizeof(head));
		if ((head.nla_type & 0x3fffU) == type)
			break;
	}
	cr_assert_lt(at, message.length);
	memcpy(message.bytes + at, &length, sizeof(length));
	cr_expect_eq(read_message(&message), 0, "type %u in %zu, %u bytes", type, nested_in,
		     length);
	cr_expect_eq(counts.rejects[NAT_REJECT_ATTRIBUTE], 1, "type %u in %zu, %u bytes", type,
		     nested_in, length);
	cr_expect_eq(rejected(), 1);
}

Test(nat_message, rejects_attributes_of_a_length_that_they_cannot_have)
{
	static const uint16_t lengths[] = {0, 3, 6, 65535};

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		expect_length_rejected(0, CTA_TUPLE_ORIG, lengths[i]);
		expect_length_rejected(0, CTA_TUPLE_REPLY, lengths[i]);
		expect_length_rejected(0, CTA_ID, lengths[i]);
		expect_length_rejected(0, CTA_STATUS, lengths[i]);
		expect_length_rejected(4, CTA_TUPLE_IP, lengths[i]);
		expect_length_rejected(8, CTA_IP_V4_SRC, lengths[i]);
		expect_length_rejected(8, CTA_IP_V4_DST, lengths[i]);
		expect_length_rejected(4, CTA_TUPLE_PROTO, lengths[i]);
		expect_length_rejected(28, CTA_PROTO_NUM, lengths[i] == 6 ? 7 : lengths[i]);
	}
	expect_length_rejected(28, CTA_PROTO_SRC_PORT, 5);
	expect_length_rejected(28, CTA_PROTO_DST_PORT, 8);
}

/* A message in which one attribute of the top has another type, which nobody knows. */
static unsigned read_without(uint16_t type)
{
	struct example_message message = {.length = 0};
	struct nat_event event = example_nat_event(1);
	const size_t from = sizeof(struct nlmsghdr) + sizeof(struct nfgenmsg);
	struct nlattr head;

	event.zone = 5;
	example_nat_message(&message, &event);
	for (size_t at = from; at < message.length; at += (head.nla_len + 3U) & ~3U) {
		memcpy(&head, message.bytes + at, sizeof(head));
		if ((head.nla_type & 0x3fffU) != type)
			continue;
		head.nla_type = 0x3ff0;
		memcpy(message.bytes + at, &head, sizeof(head));
	}
	return read_message(&message);
}

Test(nat_message, needs_both_tuples_and_nothing_else)
{
	cr_expect_eq(read_without(CTA_TUPLE_ORIG), 0);
	cr_expect_eq(counts.rejects[NAT_REJECT_TUPLE], 1);
	cr_expect_eq(read_without(CTA_TUPLE_REPLY), 0);
	cr_expect_eq(counts.rejects[NAT_REJECT_TUPLE], 1);
	cr_expect_eq(read_without(CTA_STATUS), 1);
	cr_expect_eq(read_without(CTA_ZONE), 1);
	cr_expect_eq(read_event.zone, 0);
	cr_expect_eq(read_without(CTA_ID), 1);
	cr_expect_eq(read_event.id, 0);
}

Test(nat_message, rejects_tuples_that_do_not_belong_together)
{
	struct nat_event one = example_nat_event(1), other = example_nat_event_ipv6(1);
	struct example_message message = {.length = 0};
	struct nlmsghdr header = {.nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8};
	const struct nfgenmsg families = {.nfgen_family = AF_INET};

	for (unsigned i = 0; i < 2; i++) {
		message.length = 0;
		example_put(&message, &header, sizeof(header));
		example_put(&message, &families, sizeof(families));
		example_tuple(&message, CTA_TUPLE_ORIG, &one, &one.original);
		example_tuple(&message, CTA_TUPLE_REPLY, &other, &other.reply);
		header.nlmsg_len = (uint32_t)message.length;
		memcpy(message.bytes, &header, sizeof(header));
		cr_expect_eq(read_message(&message), 0);
		cr_expect_eq(counts.rejects[NAT_REJECT_TUPLE], 1);
		/* First another family, then another protocol. */
		other = one;
		other.protocol = IPPROTO_UDP;
	}
}

Test(nat_message, rejects_headers_that_lie_and_goes_no_further)
{
	static const struct {
		uint32_t length;
		size_t given;
	} cases[] = {{0, 40}, {15, 40}, {41, 40}, {UINT32_MAX, 40}, {40, 15}, {40, 1}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct example_message message = {.length = 0};
		const struct nlmsghdr header = {.nlmsg_len = cases[i].length,
						.nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8};

		memcpy(message.bytes, &header, sizeof(header));
		cr_expect_eq(read_all(message.bytes, cases[i].given, NAT_NSID_ROOT), 0);
		cr_expect_eq(counts.rejects[NAT_REJECT_HEADER], 1, "%zu", i);
	}
}

Test(nat_message, passes_over_other_kinds_of_messages)
{
	static const struct {
		uint16_t type;
		int32_t error;
		uint64_t refusals;
		uint64_t kinds;
	} cases[] = {
		{NLMSG_NOOP, 0, 0, 0},
		{NLMSG_ERROR, 0, 0, 0},
		{NLMSG_ERROR, -1, 1, 0},
		{NLMSG_OVERRUN, 0, 1, 0},
		{NLMSG_DONE, 0, 0, 0},
		{NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET, 0, 0, 1},
		{NFNL_SUBSYS_CTNETLINK_EXP << 8, 0, 0, 1},
		{0xffff, 0, 0, 1},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct example_message message = {.length = 0};
		const struct nlmsghdr header = {.nlmsg_len = sizeof(header) + sizeof(int32_t),
						.nlmsg_type = cases[i].type};
		const struct nat_event event = example_nat_event(3);

		example_put(&message, &header, sizeof(header));
		example_put(&message, &cases[i].error, sizeof(cases[i].error));
		example_nat_message(&message, &event);
		cr_expect_eq(read_message(&message), 1, "the next one is read, %zu", i);
		cr_expect_eq(counts.refusals, cases[i].refusals, "%zu", i);
		cr_expect_eq(counts.rejects[NAT_REJECT_KIND], cases[i].kinds, "%zu", i);
	}
}

Test(nat_message, survives_being_cut_anywhere_and_any_byte_being_changed)
{
	struct example_message message = {.length = 0};
	const struct nat_event event = example_nat_event(1);
	uint64_t rejects = 0;

	example_nat_message(&message, &event);
	for (size_t length = 0; length < message.length; length++) {
		uint8_t *exact = malloc(length);

		/* So that a sanitizer sees a look beyond the end. */
		memcpy(exact, message.bytes, length);
		cr_expect_eq(read_all(exact, length, NAT_NSID_ROOT), 0);
		cr_expect_eq(rejected(), length > 0);
		free(exact);
	}
	for (size_t at = 0; at < message.length; at++) {
		for (unsigned byte = 0; byte < 256; byte++) {
			uint8_t *exact = malloc(message.length);

			memcpy(exact, message.bytes, message.length);
			exact[at] = (uint8_t)byte;
			read_all(exact, message.length, NAT_NSID_ROOT);
			rejects += rejected();
			free(exact);
		}
	}
	cr_expect_gt(rejects, 10000);
}

Test(nat_message, an_event_is_valid_only_if_a_message_could_have_told_it)
{
	struct nat_event cases[8];

	for (unsigned i = 0; i < 8; i++)
		cases[i] = example_nat_event(1);
	cr_expect(nat_event_is_valid(&cases[0]));
	cases[0].kind = 0;
	cases[1].kind = NAT_EVENT_DESTROY + 1;
	cases[2].family = 5;
	cases[3].protocol = IPPROTO_ICMP;
	cases[4].pad0 = 1;
	cases[5].pad1 = 1;
	cases[6].nsid = -2;
	cases[7].original.source_ip[4] = 1; /* behind an IPv4 address */
	for (unsigned i = 0; i < 8; i++)
		cr_expect_not(nat_event_is_valid(&cases[i]), "%u", i);
}

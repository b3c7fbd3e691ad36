/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/intake/packet.h"

#include <criterion/criterion.h>

#include <netinet/in.h>
#include <string.h>

#define HEADERS 28 /* IPv4 and UDP */
#define TEXT "a question"

struct sample {
	struct packet_record record;
	uint8_t bytes[HEADERS + sizeof(TEXT) - 1 + 8];
};

static struct sample example(void)
{
	struct sample made = {
		.record =
			{
				.kind = RECORD_KIND_PACKET,
				.version = RECORD_VERSION,
				.family = RECORD_FAMILY_IPV4,
				.protocol = IPPROTO_UDP,
				.payload_at = HEADERS,
				.length = HEADERS + sizeof(TEXT) - 1,
				.payload_bytes = sizeof(TEXT) - 1,
				.source_port = 40000,
				.destination_port = 53,
			},
	};

	memcpy(made.bytes + HEADERS, TEXT, sizeof(TEXT) - 1);
	return made;
}

static bool read_sample(const struct sample *sample, size_t length, struct packet *packet)
{
	const struct perf_sample raw = {.payload = (const uint8_t *)sample, .length = length};

	return packet_read(&raw, packet);
}

Test(packet, the_payload_is_what_stands_behind_the_headers)
{
	const struct sample sample = example();
	struct packet packet;

	cr_assert(read_sample(&sample, sizeof(sample), &packet));
	cr_expect_eq(packet.length, sizeof(TEXT) - 1);
	cr_expect_arr_eq(packet.payload, TEXT, sizeof(TEXT) - 1);
	cr_expect_eq(packet.record.destination_port, 53);
}

Test(packet, one_that_was_cut_has_less_than_there_was_on_the_wire)
{
	struct sample sample = example();
	struct packet packet;

	sample.record.payload_bytes = 5000;
	cr_assert(read_sample(&sample, sizeof(sample), &packet));
	cr_expect_eq(packet.length, sizeof(TEXT) - 1);
	cr_expect_eq(packet.record.payload_bytes, 5000);
}

Test(packet, one_without_payload_is_one)
{
	struct sample sample = example();
	struct packet packet;

	sample.record.length = HEADERS;
	sample.record.payload_bytes = 0;
	cr_assert(read_sample(&sample, sizeof(sample.record) + HEADERS, &packet));
	cr_expect_eq(packet.length, 0);
}

static void another_kind(struct packet_record *record)
{
	record->kind = RECORD_KIND_BATCH;
}

static void another_version(struct packet_record *record)
{
	record->version++;
}

static void another_family(struct packet_record *record)
{
	record->family = 5;
}

static void another_protocol(struct packet_record *record)
{
	record->protocol = IPPROTO_ICMP;
}

static void dirty_padding(struct packet_record *record)
{
	record->pad0 = 1;
}

static void longer_than_the_sample(struct packet_record *record)
{
	record->length = sizeof(struct sample) - sizeof(*record) + 1;
	record->payload_bytes = 5000;
}

static void longer_than_any(struct packet_record *record)
{
	record->length = PACKET_HEADERS_MAX + PACKET_PAYLOAD_MAX + 1;
	record->payload_bytes = 5000;
}

static void payload_behind_the_end(struct packet_record *record)
{
	record->payload_at = (__u16)(record->length + 1);
}

static void more_payload_than_on_the_wire(struct packet_record *record)
{
	record->payload_bytes--;
}

Test(packet, what_contradicts_itself_is_refused)
{
	void (*const spoil[])(struct packet_record *) = {
		another_kind,	  another_version,	  another_family,
		another_protocol, dirty_padding,	  longer_than_the_sample,
		longer_than_any,  payload_behind_the_end, more_payload_than_on_the_wire,
	};

	for (size_t i = 0; i < sizeof(spoil) / sizeof(spoil[0]); i++) {
		struct sample sample = example();
		struct packet packet;

		spoil[i](&sample.record);
		cr_expect_not(read_sample(&sample, sizeof(sample), &packet), "case %zu", i);
	}
}

Test(packet, a_sample_that_ends_anywhere_before_its_payload_does_is_refused)
{
	const struct sample sample = example();
	struct packet packet;

	for (size_t length = 0; length < sizeof(sample.record) + sample.record.length; length++)
		cr_expect_not(read_sample(&sample, length, &packet), "%zu", length);
}

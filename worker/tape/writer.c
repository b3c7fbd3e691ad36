/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/tape/writer.h"

#include "proto/handoff.h"

#include <string.h>

uint64_t tape_digest(const char *text, size_t length)
{
	uint64_t hash = 14695981039346656037ULL; /* FNV-1a */

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)text[i]) * 1099511628211ULL;
	return hash;
}

void tape_put(struct tape_writer *writer, enum tape_type type, const void *payload, size_t length)
{
	const struct tape_entry_head head = {.type = (uint16_t)type, .length = (uint32_t)length};

	writer->put(writer->ctx, &head, sizeof(head));
	if (length > 0)
		writer->put(writer->ctx, payload, length);
	writer->entries++;
}

void tape_begin(struct tape_writer *writer, const struct identity *identity, const char *config,
		size_t length)
{
	struct tape_header header = {
		.magic = TAPE_MAGIC,
		.version = TAPE_VERSION,
		.byte_order = TAPE_BYTE_ORDER,
		.record_abi = handoff_abi(),
		.config_digest = tape_digest(config, length),
	};

	_Static_assert(sizeof(header.host) > sizeof(identity->host), "room for a NUL");
	_Static_assert(sizeof(header.instance) > sizeof(identity->instance), "room for a NUL");
	memcpy(header.host, identity->host, sizeof(identity->host));
	memcpy(header.instance, identity->instance, sizeof(identity->instance));
	writer->put(writer->ctx, &header, sizeof(header));
	writer->entries = 0;
	tape_put(writer, TAPE_CONFIG, config, length);
}

void tape_put_packet(struct tape_writer *writer, const struct packet *packet)
{
	const struct tape_entry_head head = {
		.type = TAPE_PACKET,
		.length = (uint32_t)(sizeof(packet->record) + packet->length),
	};
	struct packet_record record = packet->record;

	record.payload_at = 0;
	record.length = (__u32)packet->length;
	writer->put(writer->ctx, &head, sizeof(head));
	writer->put(writer->ctx, &record, sizeof(record));
	if (packet->length > 0)
		writer->put(writer->ctx, packet->payload, packet->length);
	writer->entries++;
}

void tape_put_time(struct tape_writer *writer, enum tape_type type, uint64_t now_ns)
{
	const struct tape_time time = {.now_ns = now_ns};

	tape_put(writer, type, &time, sizeof(time));
}

void tape_put_tick(struct tape_writer *writer, uint64_t now_ns, struct clock_offsets wall,
		   bool listened)
{
	const struct tape_tick tick = {
		.now_ns = now_ns,
		.monotonic_offset_ns = wall.monotonic_ns,
		.boot_offset_ns = wall.boot_ns,
		.listened = listened,
	};

	tape_put(writer, TAPE_TICK, &tick, sizeof(tick));
}

void tape_put_pass_begin(struct tape_writer *writer, uint64_t now_ns, uint64_t opened)
{
	const struct tape_pass_begin begin = {.now_ns = now_ns, .opened = opened};

	tape_put(writer, TAPE_PASS_BEGIN, &begin, sizeof(begin));
}

void tape_put_flush(struct tape_writer *writer, uint64_t now_ns, bool force)
{
	const struct tape_flush flush = {.now_ns = now_ns, .force = force};

	tape_put(writer, TAPE_FLUSH, &flush, sizeof(flush));
}

void tape_end(struct tape_writer *writer)
{
	const struct tape_end end = {.entries = writer->entries};

	tape_put(writer, TAPE_END, &end, sizeof(end));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/tape/reader.h"

#include "proto/handoff.h"
#include "worker/conn/totals.h"
#include "worker/facts.h"
#include "worker/tape/tape_dns.h"

#include <errno.h>
#include <string.h>

/* What a type's payload may be long: a multiple of unit. */
static const struct {
	enum tape_type type;
	uint32_t min;
	uint32_t max;
	uint32_t unit;
} types[] = {
	{TAPE_CONFIG, 2, TAPE_PAYLOAD_BYTES_MAX, 1},
	{TAPE_STATE, sizeof(struct tape_state), sizeof(struct tape_state), 1},
	{TAPE_STATE_CONN, sizeof(struct tape_state_conn), sizeof(struct tape_state_conn), 1},
	{TAPE_STATE_FREE, sizeof(uint32_t), TAPE_FREE_MAX * sizeof(uint32_t), sizeof(uint32_t)},
	{TAPE_STATE_CGROUP, sizeof(struct tape_state_cgroup), sizeof(struct tape_state_cgroup), 1},
	{TAPE_STATE_CLOSED_ID, sizeof(struct tape_state_closed_id),
	 sizeof(struct tape_state_closed_id), 1},
	{TAPE_STATE_LOCAL, sizeof(struct tape_state_local), sizeof(struct tape_state_local), 1},
	{TAPE_STATE_NAT, sizeof(struct tape_state_nat), sizeof(struct tape_state_nat), 1},
	{TAPE_STATE_DNS, sizeof(struct tape_state_dns), sizeof(struct tape_state_dns), 1},
	{TAPE_STATE_DNS_TEXT, TAPE_DNS_TEXT_BYTES, sizeof(struct names_saved_text), 1},
	{TAPE_STATE_DNS_ADDRESS, sizeof(struct names_saved_address),
	 sizeof(struct names_saved_address), 1},
	{TAPE_STATE_DNS_OTHER, sizeof(struct names_saved_other), sizeof(struct names_saved_other),
	 1},
	{TAPE_STATE_DNS_ORDER, 2 * sizeof(uint32_t), sizeof(struct tape_state_dns_order),
	 sizeof(uint32_t)},
	{TAPE_STATE_DNS_ROW, TAPE_DNS_ROW_BYTES, sizeof(struct dns_stats_saved_row), 1},
	{TAPE_STATE_DNS_CHANGE, sizeof(struct dns_stats_saved_change),
	 sizeof(struct dns_stats_saved_change), 1},
	{TAPE_STATE_DNS_QUERY, TAPE_DNS_QUERY_BYTES, sizeof(struct tape_state_dns_query), 1},
	{TAPE_STATE_DNS_NEWS, TAPE_DNS_NEWS_BYTES, sizeof(struct tape_state_dns_news), 1},
	{TAPE_STATE_DNS_FLOW, sizeof(struct dns_stream_saved_flow),
	 sizeof(struct dns_stream_saved_flow), 1},
	{TAPE_STATE_DNS_BLOCK, TAPE_DNS_BLOCK_BYTES, sizeof(struct dns_stream_saved_block), 1},
	{TAPE_STATE_DNS_SEEN, sizeof(struct tape_state_dns_seen),
	 sizeof(struct tape_state_dns_seen), 1},
	{TAPE_STATE_DNS_CONVERSATION, sizeof(struct tape_state_dns_conversation),
	 sizeof(struct tape_state_dns_conversation), 1},
	{TAPE_TICK, sizeof(struct tape_tick), sizeof(struct tape_tick), 1},
	{TAPE_CLOSE, sizeof(struct conn_record), sizeof(struct conn_record), 1},
	{TAPE_PASS_BEGIN, sizeof(struct tape_pass_begin), sizeof(struct tape_pass_begin), 1},
	{TAPE_SEEN, sizeof(struct conn_record), sizeof(struct conn_record), 1},
	{TAPE_PASS_END, sizeof(struct tape_time), sizeof(struct tape_time), 1},
	{TAPE_CGROUP, sizeof(struct cgroup_record), sizeof(struct cgroup_record), 1},
	{TAPE_CGROUPS_FILLED, sizeof(struct tape_time), sizeof(struct tape_time), 1},
	{TAPE_FLUSH, sizeof(struct tape_flush), sizeof(struct tape_flush), 1},
	{TAPE_ACTIVE_BEGIN, 0, 0, 1},
	{TAPE_ACTIVE_STEP, 0, 0, 1},
	{TAPE_UNATTRIBUTED, sizeof(struct conn_sums), sizeof(struct conn_sums), 1},
	{TAPE_ASK, 0, TAPE_PAYLOAD_BYTES_MAX, 1},
	{TAPE_NAT, sizeof(struct nat_event), sizeof(struct nat_event), 1},
	{TAPE_PACKET, sizeof(struct packet_record),
	 sizeof(struct packet_record) + PACKET_PAYLOAD_MAX, 1},
	{TAPE_END, sizeof(struct tape_end), sizeof(struct tape_end), 1},
};

int tape_reader_reject(struct tape_reader *reader, const char *error)
{
	reader->error = error;
	return -EBADMSG;
}

void tape_reader_unread(struct tape_reader *reader)
{
	reader->again = true;
}

/* Makes length bytes available at reader->at. 1; 0 if the tape ends before; or -errno. */
static int need(struct tape_reader *reader, size_t length)
{
	while (reader->end - reader->at < length) {
		ssize_t got;

		if (sizeof(reader->buffer) - reader->at < length) {
			reader->end -= reader->at;
			memmove(reader->buffer, reader->buffer + reader->at, reader->end);
			reader->at = 0;
		}
		got = reader->fill(reader->ctx, reader->buffer + reader->end,
				   sizeof(reader->buffer) - reader->end);
		if (got == -EINTR)
			continue;
		if (got <= 0)
			return (int)got;
		reader->end += (size_t)got;
	}
	return 1;
}

/* Whether text is terminated and nothing follows its end. */
static bool is_text(const char *text, size_t capacity, size_t length)
{
	for (size_t i = length; i < capacity; i++) {
		if (text[i] != '\0')
			return false;
	}
	return length < capacity;
}

/* They become a part of each message: a host's name, which is escaped there, and hex digits. */
static bool are_names(const struct tape_header *header)
{
	const size_t host = strnlen(header->host, sizeof(header->host));
	const size_t instance = strnlen(header->instance, sizeof(header->instance));

	return host < IDENTITY_HOST_BYTES && is_text(header->host, sizeof(header->host), host) &&
	       instance < IDENTITY_INSTANCE_BYTES &&
	       is_text(header->instance, sizeof(header->instance), instance) &&
	       strspn(header->instance, "0123456789abcdef") == instance;
}

static int check_header(struct tape_reader *reader)
{
	const struct tape_header *header = &reader->header;

	if (memcmp(header->magic, TAPE_MAGIC, sizeof(header->magic)) != 0)
		return tape_reader_reject(reader, "this is no recording");
	if (header->byte_order != TAPE_BYTE_ORDER)
		return tape_reader_reject(reader, "recorded on a machine of another byte order");
	if (header->version != TAPE_VERSION)
		return tape_reader_reject(reader, "a version of the format that is not known here");
	if (header->record_abi != handoff_abi())
		return tape_reader_reject(reader, "recorded by a build with other kernel records");
	if (!are_names(header))
		return tape_reader_reject(reader, "the header's names are none");
	return 0;
}

int tape_reader_init(struct tape_reader *reader,
		     ssize_t (*fill)(void *ctx, void *buffer, size_t capacity), void *ctx)
{
	int result;

	reader->fill = fill;
	reader->ctx = ctx;
	reader->offset = 0;
	reader->entries = 0;
	reader->error = NULL;
	reader->at = 0;
	reader->end = 0;
	reader->last = sizeof(reader->header);
	reader->again = false;
	reader->over = false;
	result = need(reader, sizeof(reader->header));
	if (result < 0)
		return result;
	if (result == 0)
		return tape_reader_reject(reader, "shorter than a recording's header");
	memcpy(&reader->header, reader->buffer, sizeof(reader->header));
	reader->at = sizeof(reader->header);
	return check_header(reader);
}

/* 1: a known type and a length that it may have; 0: to be passed over; or -EBADMSG. */
static int check_head(struct tape_reader *reader, const struct tape_entry_head *head)
{
	if (head->pad0 != 0)
		return tape_reader_reject(reader, "an entry's padding is not zero");
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (types[i].type != head->type)
			continue;
		if (head->length < types[i].min || head->length > types[i].max ||
		    head->length % types[i].unit != 0)
			return tape_reader_reject(reader, "an entry's length is not its type's");
		return 1;
	}
	if (!(head->type & TAPE_OPTIONAL))
		return tape_reader_reject(reader, "a type of entry that is not known here");
	if (head->length > TAPE_PAYLOAD_BYTES_MAX)
		return tape_reader_reject(reader, "an entry is too long");
	return 0;
}

/* Reads one entry, which may be one to pass over: then entry->payload is NULL. */
static int read_entry(struct tape_reader *reader, struct tape_entry *entry)
{
	struct tape_entry_head head;
	int result = need(reader, sizeof(head));
	int known;

	reader->last = sizeof(head);
	if (result < 0)
		return result;
	if (result == 0)
		return tape_reader_reject(reader, reader->end > reader->at
							  ? "the recording is cut within an entry"
							  : "the recording is cut: it has no end");
	memcpy(&head, reader->buffer + reader->at, sizeof(head));
	known = check_head(reader, &head);
	if (known < 0)
		return known;
	result = need(reader, sizeof(head) + head.length);
	if (result < 0)
		return result;
	if (result == 0)
		return tape_reader_reject(reader, "the recording is cut within an entry");
	entry->type = head.type;
	entry->length = head.length;
	entry->payload = known ? reader->buffer + reader->at + sizeof(head) : NULL;
	reader->last = sizeof(head) + head.length;
	reader->at += reader->last;
	return 1;
}

static int check_end(struct tape_reader *reader, const struct tape_entry *entry)
{
	struct tape_end end;
	uint8_t more;
	int result;

	memcpy(&end, entry->payload, sizeof(end));
	if (end.entries != reader->entries)
		return tape_reader_reject(reader, "the end counts another number of entries");
	reader->over = true;
	result = need(reader, sizeof(more));
	if (result > 0)
		return tape_reader_reject(reader, "something follows the end");
	return result;
}

int tape_reader_next(struct tape_reader *reader, struct tape_entry *entry)
{
	int result;

	if (reader->again) {
		reader->again = false;
		*entry = reader->entry;
		return 1;
	}
	reader->offset += reader->last;
	if (reader->over)
		return 0;
	for (;;) {
		result = read_entry(reader, entry);
		if (result <= 0)
			return result;
		if (entry->payload)
			break;
		reader->entries++;
		reader->offset += reader->last;
	}
	if (entry->type == TAPE_END) {
		result = check_end(reader, entry);
		if (result < 0)
			return result;
	}
	reader->entries++;
	reader->entry = *entry;
	return 1;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as datagrams of connection tracking: two bytes of length, one of the namespace, one of the
 * time that passes, then the datagram. What comes out must be valid events; a small table takes them
 * in and must stay whole, and must find what it has just been told. Built with PLANTED_BUG it finds
 * something else in zones above 255.
 */
#include "tests/fuzz/invariant.h"
#include "tests/unit/example_nat.h"
#include "worker/nat/table.h"

#define CAPACITY 16
#define KEEP_NS 1000
#define HEAD_BYTES 4

static struct nat_table table;

/* Follows a list from its oldest to its newest; returns how many are in it. */
static uint32_t walk(const struct nat_list *list, bool live)
{
	uint32_t before = NAT_TABLE_NONE, count = 0;

	for (uint32_t at = list->oldest; at != NAT_TABLE_NONE; at = table.entries[at].newer) {
		INVARIANT(at < CAPACITY && count < CAPACITY);
		INVARIANT(table.entries[at].older == before);
		INVARIANT((table.entries[at].destroyed_ns == 0) == live);
		INVARIANT(nat_event_is_valid(&table.entries[at].event));
		before = at;
		count++;
	}
	INVARIANT(list->newest == before);
	return count;
}

static void check_table(void)
{
	const uint32_t gone = walk(&table.gone, false);
	uint32_t keys = 0;

	for (uint32_t slot = 0; slot < 1U << table.slot_bits; slot++)
		keys += table.slots[slot].key != 0;
	INVARIANT(table.used <= CAPACITY && keys == 2 * table.used);
	INVARIANT(gone == table.ended && gone + walk(&table.live, true) == table.used);
}

/* Both ends of a translation that was just told are found, and see each other. */
static void check_found(const struct nat_event *event, bool client)
{
	const struct nat_tuple *other = client ? &event->reply : &event->original;
	const uint64_t ambiguous = table.counts.ambiguous;
	struct conn_record record = {.opened_ns = table.now_ns};
	struct conn_nat nat;
	uint32_t index;

	example_nat_ends(&record, event, client);
	if (!nat_table_find(&table, &record, &nat, &index)) {
		INVARIANT(table.counts.ambiguous == ambiguous + 1);
		return;
	}
#ifdef PLANTED_BUG
	nat.local_port += event->zone > 255;
#endif
	if (index != NAT_TABLE_NONE) {
		INVARIANT(index < CAPACITY);
		nat_table_use(&table, index);
		if (memcmp(&table.entries[index].event, event, sizeof(*event)) != 0)
			return;
		INVARIANT(nat.local_port == other->destination_port);
		INVARIANT(nat.remote_port == other->source_port);
		INVARIANT(memcmp(nat.local_ip, other->destination_ip, 16) == 0);
		INVARIANT(memcmp(nat.remote_ip, other->source_ip, 16) == 0);
	}
}

static void take(const uint8_t *datagram, size_t length, int8_t nsid)
{
	/* A copy of its exact size: a look beyond its end is seen. */
	uint8_t *exact = malloc(length);
	struct nat_messages messages = {.nsid = nsid};
	struct nat_message_counts counts = {0};
	struct nat_event event;
	size_t events = 0;

	memcpy(exact, datagram, length);
	messages.datagram = reader_of(exact, length);
	while (nat_messages_next(&messages, &event, &counts)) {
		events++;
		INVARIANT(nat_event_is_valid(&event));
		nat_table_take(&table, &event);
		check_table();
		/* The end of another entry, and one that is told twice, change nothing. */
		if (event.kind == NAT_EVENT_DESTROY)
			continue;
		check_found(&event, true);
		check_found(&event, false);
	}
	INVARIANT(messages.datagram.left == 0);
	/* An event takes two tuples of 52 bytes at least. */
	INVARIANT(events * 100 <= length);
	free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t now_ns = 1;

	if (nat_table_init(&table, CAPACITY, KEEP_NS, "fuzz") < 0)
		abort();
	while (size > HEAD_BYTES) {
		size_t length = (size_t)data[0] << 8 | data[1];
		const int8_t nsid = data[2] < 128 ? (int8_t)(data[2] % 4 - 1) : NAT_NSID_ROOT;

		now_ns += data[3];
		nat_table_tick(&table, now_ns);
		data += HEAD_BYTES;
		size -= HEAD_BYTES;
		if (length > size)
			length = size;
		take(data, length, nsid);
		data += length;
		size -= length;
	}
	check_table();
	nat_table_fini(&table);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/tape/state.h"

#include "worker/intake/record_check.h"

#include <string.h>

static void save_head(struct tape_writer *writer, const struct engine *engine)
{
	const struct conn_state *conns = &engine->state;
	const struct tape_state state = {
		.seq = engine->events.seq,
		.closed = conns->counts.closed,
		.inferred = conns->counts.inferred,
		.late_close = conns->counts.late_close,
		.table_full = conns->counts.table_full,
		.live = conns->counts.live,
		.cgroups_filled_ns = engine->cgroups.filled_ns,
		.pass = conns->pass,
		.suspects = conns->suspects,
		.active_at = conns->active_at,
		.high = conns->table.high,
		.cgroups_filled = engine->cgroups.filled,
		.cgroups_wanted = engine->cgroups.wanted,
		.table_was_full = engine->table_was_full,
		.ephemeral_first = engine->settings.ephemeral.first,
		.ephemeral_last = engine->settings.ephemeral.last,
		.cgroups_credit = engine->cgroups.credit,
	};

	tape_put(writer, TAPE_STATE, &state, sizeof(state));
}

static void save_conn(struct tape_writer *writer, const struct conn_table *table, uint32_t index)
{
	const struct conn_meta *meta = &table->metas[index];
	const struct conn_entry *entry = &table->entries[index];
	struct tape_state_conn conn = {
		.index = index,
		.seen = meta->seen,
		.phase = meta->phase,
		.missed = meta->missed,
		.is_published = meta->is_published,
		.opened_ns = meta->opened_ns,
		.record = entry->record,
	};

	if (meta->is_published) {
		conn.published_sent_bytes = entry->published.sent_bytes;
		conn.published_recv_bytes = entry->published.recv_bytes;
		conn.published_sent_packets = entry->published.sent_packets;
		conn.published_recv_packets = entry->published.recv_packets;
		conn.published_retransmits = entry->published.retransmits;
	}
	tape_put(writer, TAPE_STATE_CONN, &conn, sizeof(conn));
}

static void save_free(struct tape_writer *writer, const struct conn_table *table)
{
	uint32_t indices[TAPE_FREE_MAX];
	uint32_t index = CONN_TABLE_NONE;
	size_t count = 0;

	for (uint32_t left = table->high - table->used; left > 0; left--) {
		index = conn_table_next_free(table, index);
		indices[count++] = index;
		if (count == TAPE_FREE_MAX || left == 1) {
			tape_put(writer, TAPE_STATE_FREE, indices, count * sizeof(indices[0]));
			count = 0;
		}
	}
}

static void save_cgroups(struct tape_writer *writer, const struct cgroups *cgroups)
{
	for (uint32_t set = 0; set < CGROUPS_SETS; set++) {
		for (uint32_t way = 0; way < CGROUPS_WAYS; way++) {
			const struct cgroups_entry *entry = &cgroups->entries[set][way];
			struct tape_state_cgroup group = {
				.set = set,
				.way = way,
				.oldest = cgroups->oldest[set],
				.record = {.kind = RECORD_KIND_CGROUP, .version = RECORD_VERSION},
			};

			if (entry->id == 0)
				continue;
			group.record.id = entry->id;
			memcpy(group.record.path, entry->path, sizeof(group.record.path));
			tape_put(writer, TAPE_STATE_CGROUP, &group, sizeof(group));
		}
	}
}

static void save_closed_ids(struct tape_writer *writer, const struct closed_ids *ids)
{
	for (uint32_t set = 0; set < CLOSED_IDS_SETS; set++) {
		for (uint32_t way = 0; way < CLOSED_IDS_WAYS; way++) {
			const struct closed_id *known = &ids->ways[set][way];
			const struct tape_state_closed_id saved = {
				.set = set,
				.way = way,
				.oldest = ids->oldest[set],
				.sent_packets = known->totals.sent_packets,
				.recv_packets = known->totals.recv_packets,
				.retransmits = known->totals.retransmits,
				.id = known->id,
				.sent_bytes = known->totals.sent_bytes,
				.recv_bytes = known->totals.recv_bytes,
			};

			if (known->id != 0)
				tape_put(writer, TAPE_STATE_CLOSED_ID, &saved, sizeof(saved));
		}
	}
}

static void save_locals(struct tape_writer *writer, const struct local_addresses *addresses)
{
	for (uint32_t set = 0; set < LOCAL_ADDRESS_SETS; set++) {
		for (uint32_t way = 0; way < LOCAL_ADDRESS_WAYS; way++) {
			const struct local_address *known = &addresses->ways[set][way];
			struct tape_state_local saved = {
				.set = set,
				.way = way,
				.family = known->family,
				.seen_ns = known->seen_ns,
			};

			if (known->family == 0)
				continue;
			memcpy(saved.ip, known->ip, sizeof(saved.ip));
			tape_put(writer, TAPE_STATE_LOCAL, &saved, sizeof(saved));
		}
	}
}

static void save_nat(struct tape_writer *writer, const struct nat_table *table)
{
	uint32_t index = NAT_TABLE_NONE;

	while ((index = nat_table_next(table, index)) != NAT_TABLE_NONE) {
		const struct tape_state_nat nat = {
			.destroyed_ns = table->entries[index].destroyed_ns,
			.event = table->entries[index].event,
		};

		tape_put(writer, TAPE_STATE_NAT, &nat, sizeof(nat));
	}
}

void tape_state_save(struct tape_writer *writer, const struct engine *engine)
{
	const struct conn_table *table = &engine->state.table;

	save_head(writer, engine);
	for (uint32_t index = 0; index < table->high; index++) {
		if (table->metas[index].in_use)
			save_conn(writer, table, index);
	}
	save_free(writer, table);
	save_cgroups(writer, &engine->cgroups);
	save_closed_ids(writer, &engine->closed_ids);
	save_locals(writer, &engine->local_addresses);
	save_nat(writer, &engine->nat);
	tape_state_dns_save(writer, engine);
}

uint64_t tape_state_bytes_max(uint32_t max_connections, uint32_t nat_max_entries,
			      const struct dns_settings *dns)
{
	const uint64_t head = sizeof(struct tape_entry_head);
	const uint64_t cgroups = (uint64_t)CGROUPS_SETS * CGROUPS_WAYS;
	const uint64_t closed_ids = (uint64_t)CLOSED_IDS_SETS * CLOSED_IDS_WAYS;
	const uint64_t locals = (uint64_t)LOCAL_ADDRESS_SETS * LOCAL_ADDRESS_WAYS;

	/* An index that is free takes less than one in use. */
	return head + sizeof(struct tape_state) +
	       max_connections * (head + sizeof(struct tape_state_conn)) +
	       cgroups * (head + sizeof(struct tape_state_cgroup)) +
	       closed_ids * (head + sizeof(struct tape_state_closed_id)) +
	       locals * (head + sizeof(struct tape_state_local)) +
	       nat_max_entries * (head + sizeof(struct tape_state_nat)) +
	       tape_state_dns_bytes_max(dns);
}

void tape_state_loader_init(struct tape_state_loader *loader, struct engine *engine)
{
	*loader = (struct tape_state_loader){.engine = engine, .last_free = CONN_TABLE_NONE};
	tape_state_dns_loader_init(&loader->dns, engine);
}

static const char *load_head(struct tape_state_loader *loader, const uint8_t *payload)
{
	struct engine *engine = loader->engine;
	struct conn_state *conns = &engine->state;
	struct tape_state state;

	memcpy(&state, payload, sizeof(state));
	if (loader->begun)
		return "the state begins twice";
	if (state.seq == 0 || state.high > conns->table.capacity || state.cgroups_filled > 1 ||
	    state.cgroups_wanted > 1 || state.table_was_full > 1 ||
	    state.cgroups_credit > CGROUPS_CREDIT_MAX ||
	    state.ephemeral_first > state.ephemeral_last)
		return "no state can be this";
	loader->begun = true;
	loader->high = state.high;
	engine->events.seq = state.seq;
	conns->counts = (struct conn_counts){
		.closed = state.closed,
		.inferred = state.inferred,
		.late_close = state.late_close,
		.table_full = state.table_full,
		.live = state.live,
	};
	conns->pass = state.pass;
	conns->suspects = state.suspects;
	conns->active_at = state.active_at;
	engine->cgroups.filled = state.cgroups_filled;
	engine->cgroups.wanted = state.cgroups_wanted;
	engine->cgroups.credit = state.cgroups_credit;
	engine->cgroups.filled_ns = state.cgroups_filled_ns;
	engine->table_was_full = state.table_was_full;
	engine->settings.ephemeral =
		(struct port_range){state.ephemeral_first, state.ephemeral_last};
	return NULL;
}

static const char *load_conn(struct tape_state_loader *loader, const uint8_t *payload)
{
	struct conn_table *table = &loader->engine->state.table;
	struct tape_state_conn conn;
	struct conn_meta *meta;

	memcpy(&conn, payload, sizeof(conn));
	if (conn.pad0 != 0 || conn.pad1 != 0 || conn.pad2 != 0 || conn.is_published > 1 ||
	    (conn.phase != CONN_PHASE_LIVE && conn.phase != CONN_PHASE_TOMBSTONE) ||
	    !conn_record_is_valid(&conn.record, RECORD_KIND_SNAPSHOT))
		return "no connection can be this";
	if (conn.index >= loader->high || !conn_table_place(table, conn.index, conn.record.id))
		return "a connection has another one's place";
	meta = &table->metas[conn.index];
	meta->seen = conn.seen;
	meta->phase = conn.phase;
	meta->missed = conn.missed;
	meta->is_published = conn.is_published;
	meta->opened_ns = conn.opened_ns;
	table->entries[conn.index] = (struct conn_entry){
		.record = conn.record,
		.published =
			{
				.sent_bytes = conn.published_sent_bytes,
				.recv_bytes = conn.published_recv_bytes,
				.sent_packets = conn.published_sent_packets,
				.recv_packets = conn.published_recv_packets,
				.retransmits = conn.published_retransmits,
			},
	};
	loader->placed++;
	return NULL;
}

static const char *load_free(struct tape_state_loader *loader, const struct tape_entry *entry)
{
	struct conn_table *table = &loader->engine->state.table;

	for (size_t at = 0; at < entry->length; at += sizeof(uint32_t)) {
		uint32_t index;

		memcpy(&index, entry->payload + at, sizeof(index));
		if (index >= loader->high ||
		    !conn_table_place_free(table, &loader->last_free, index))
			return "a free place is not free";
		loader->placed++;
	}
	return NULL;
}

static const char *load_cgroup(struct tape_state_loader *loader, const uint8_t *payload)
{
	struct cgroups *cgroups = &loader->engine->cgroups;
	struct tape_state_cgroup group;
	struct cgroups_entry *entry;

	memcpy(&group, payload, sizeof(group));
	if (group.set >= CGROUPS_SETS || group.way >= CGROUPS_WAYS ||
	    group.oldest >= CGROUPS_WAYS || group.pad0 != 0 || group.record.id == 0 ||
	    !cgroup_record_is_valid(&group.record))
		return "no control group can be this";
	entry = &cgroups->entries[group.set][group.way];
	cgroups_entry_set(entry, &group.record);
	cgroups->oldest[group.set] = (uint8_t)group.oldest;
	return NULL;
}

static const char *load_closed_id(struct tape_state_loader *loader, const uint8_t *payload)
{
	struct closed_ids *ids = &loader->engine->closed_ids;
	struct tape_state_closed_id saved;

	memcpy(&saved, payload, sizeof(saved));
	if (saved.set >= CLOSED_IDS_SETS || saved.way >= CLOSED_IDS_WAYS ||
	    saved.oldest >= CLOSED_IDS_WAYS || saved.id == 0)
		return "no closed connection can be this";
	ids->ways[saved.set][saved.way] = (struct closed_id){
		.id = saved.id,
		.totals =
			{
				.sent_bytes = saved.sent_bytes,
				.recv_bytes = saved.recv_bytes,
				.sent_packets = saved.sent_packets,
				.recv_packets = saved.recv_packets,
				.retransmits = saved.retransmits,
			},
	};
	ids->oldest[saved.set] = (uint8_t)saved.oldest;
	return NULL;
}

static const char *load_local(struct tape_state_loader *loader, const uint8_t *payload)
{
	static const uint8_t zero[sizeof(((struct tape_state_local *)0)->pad0)];
	struct local_addresses *addresses = &loader->engine->local_addresses;
	struct tape_state_local saved;
	struct local_address *known;

	memcpy(&saved, payload, sizeof(saved));
	if (saved.set >= LOCAL_ADDRESS_SETS || saved.way >= LOCAL_ADDRESS_WAYS ||
	    (saved.family != RECORD_FAMILY_IPV4 && saved.family != RECORD_FAMILY_IPV6) ||
	    memcmp(saved.pad0, zero, sizeof(zero)) != 0)
		return "no local address can be this";
	known = &addresses->ways[saved.set][saved.way];
	memcpy(known->ip, saved.ip, sizeof(known->ip));
	known->family = saved.family;
	known->seen_ns = saved.seen_ns;
	return NULL;
}

static const char *load_nat(struct tape_state_loader *loader, const uint8_t *payload)
{
	struct tape_state_nat nat;

	memcpy(&nat, payload, sizeof(nat));
	if (!nat_event_is_valid(&nat.event))
		return "no translation can be this";
	if (!nat_table_put(&loader->engine->nat, &nat.event, nat.destroyed_ns))
		return "a translation has no place";
	return NULL;
}

const char *tape_state_load(struct tape_state_loader *loader, const struct tape_entry *entry)
{
	if (entry->type == TAPE_STATE)
		return load_head(loader, entry->payload);
	if (!loader->begun)
		return "a part of the state comes before its beginning";
	if (tape_type_is_dns(entry->type))
		return tape_state_dns_load(&loader->dns, entry);
	switch (entry->type) {
	case TAPE_STATE_CONN:
		return load_conn(loader, entry->payload);
	case TAPE_STATE_FREE:
		return load_free(loader, entry);
	case TAPE_STATE_CGROUP:
		return load_cgroup(loader, entry->payload);
	case TAPE_STATE_CLOSED_ID:
		return load_closed_id(loader, entry->payload);
	case TAPE_STATE_LOCAL:
		return load_local(loader, entry->payload);
	case TAPE_STATE_NAT:
		return load_nat(loader, entry->payload);
	default:
		return "a part of the state that is not known here";
	}
}

const char *tape_state_loaded(struct tape_state_loader *loader)
{
	if (loader->begun && loader->placed != loader->high)
		return "places are missing in the state";
	return tape_state_dns_loaded(&loader->dns);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_model.h"

#include "cli/fields.h"
#include "cli/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A live row that was in none of this many last snapshots is dropped, closed or not. */
#define PASSES_MISSING 2

#define SLOTS_MIN 1024

static const char *const sort_names[TOP_SORT_COUNT] = {
	[TOP_SORT_RATE] = "rate", [TOP_SORT_TOTAL] = "total bytes",
	[TOP_SORT_RTT] = "rtt",	  [TOP_SORT_NEWEST] = "newest",
	[TOP_SORT_PID] = "pid",	  [TOP_SORT_REMOTE] = "remote",
};

const char *top_sort_name(enum top_sort sort)
{
	return sort_names[sort];
}

uint64_t top_rate(uint64_t before, uint64_t after, uint64_t elapsed_ns)
{
	if (after <= before || elapsed_ns == 0)
		return 0;
	return (uint64_t)((double)(after - before) * 1e9 / (double)elapsed_ns);
}

void top_model_init(struct top_model *model)
{
	*model = (struct top_model){0};
}

void top_model_fini(struct top_model *model)
{
	free(model->rows);
	free(model->slots);
	top_model_init(model);
}

/* The slot that holds id, or the free one where it belongs. There is always a free one. */
static size_t find_slot(const struct top_model *model, uint64_t id)
{
	size_t slot = (size_t)((id * 0x9e3779b97f4a7c15ULL) >> 20) & (model->slot_count - 1);

	while (model->slots[slot] && model->rows[model->slots[slot] - 1].id != id)
		slot = (slot + 1) & (model->slot_count - 1);
	return slot;
}

/* Fills the slots from the rows. */
static void index_rows(struct top_model *model)
{
	memset(model->slots, 0, model->slot_count * sizeof(model->slots[0]));
	for (size_t i = 0; i < model->count; i++)
		model->slots[find_slot(model, model->rows[i].id)] = (uint32_t)(i + 1);
}

/* Makes room for one more row; false if there is none to be had. */
static bool grow(struct top_model *model)
{
	const size_t capacity = model->capacity ? model->capacity * 2 : SLOTS_MIN / 2;
	struct top_row *rows;
	uint32_t *slots;

	if (model->count < model->capacity)
		return true;
	if (model->count >= TOP_ROWS_MAX)
		return false;
	rows = reallocarray(model->rows, capacity, sizeof(*rows));
	if (!rows)
		return false;
	model->rows = rows;
	slots = calloc(capacity * 2, sizeof(*slots));
	if (!slots)
		return false;
	free(model->slots);
	model->slots = slots;
	model->slot_count = capacity * 2;
	model->capacity = capacity;
	index_rows(model);
	return true;
}

static uint64_t number_of(const cJSON *object, const char *key)
{
	uint64_t number = 0;

	field_number(cJSON_GetObjectItemCaseSensitive(object, key), &number);
	return number;
}

/* The id of a connection; 0 if there is none. */
static uint64_t id_of(const cJSON *connection)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(connection, "id"));

	return text ? strtoull(text, NULL, 16) : 0;
}

/* What does not change while a connection lives. */
static void describe(struct top_row *row, const cJSON *connection)
{
	const cJSON *local = cJSON_GetObjectItemCaseSensitive(connection, "local");
	const cJSON *remote = cJSON_GetObjectItemCaseSensitive(connection, "remote");

	row->local_port = (uint16_t)number_of(local, "port");
	row->arrow = field_arrow(connection);
	field_endpoint(local, row->local, sizeof(row->local));
	field_endpoint(remote, row->remote, sizeof(row->remote));
	row->pid = (uint32_t)number_of(connection, "pid");
	field_string(connection, "comm", row->comm, sizeof(row->comm));
}

/* A name may be learnt, or be told anew, while a connection lives. */
static void name_remote(struct top_row *row, const cJSON *connection)
{
	field_named_endpoint(cJSON_GetObjectItemCaseSensitive(connection, "remote"), row->named,
			     sizeof(row->named));
}

/*
 * Takes a connection's counters. Of one that was not known before, all bytes are new if it is
 * younger than the last pass.
 */
static void measure(struct top_model *model, struct top_row *row, const cJSON *connection,
		    uint64_t now_ns, bool is_new)
{
	const cJSON *total = cJSON_GetObjectItemCaseSensitive(connection, "total");
	const uint64_t sent = number_of(total, "sent_bytes");
	const uint64_t recv = number_of(total, "recv_bytes");

	row->age_ns = number_of(connection, "duration_ns");
	row->rtt_us = number_of(connection, "rtt_us");
	row->retransmits = number_of(total, "retransmits");
	if (is_new) {
		const uint64_t since = model->last_began_ns ? model->last_began_ns : now_ns;
		const bool young = row->age_ns > 0 && row->age_ns <= now_ns - since;

		row->seen_ns = since;
		row->sent_bytes = young ? 0 : sent;
		row->recv_bytes = young ? 0 : recv;
	}
	row->sent_rate = top_rate(row->sent_bytes, sent, now_ns - row->seen_ns);
	row->recv_rate = top_rate(row->recv_bytes, recv, now_ns - row->seen_ns);
	if (sent > row->sent_bytes)
		model->grown_bytes += sent - row->sent_bytes;
	if (recv > row->recv_bytes)
		model->grown_bytes += recv - row->recv_bytes;
	row->sent_bytes = sent;
	row->recv_bytes = recv;
	row->seen_ns = now_ns;
}

/* The row of an id, made if need be; NULL if there is no room. */
static struct top_row *find_row(struct top_model *model, uint64_t id, bool *is_new)
{
	size_t slot;

	*is_new = false;
	if (model->slot_count) {
		slot = find_slot(model, id);
		if (model->slots[slot])
			return &model->rows[model->slots[slot] - 1];
	}
	if (!grow(model))
		return NULL;
	*is_new = true;
	slot = find_slot(model, id);
	model->rows[model->count] = (struct top_row){.id = id};
	model->slots[slot] = (uint32_t)(++model->count);
	return &model->rows[model->count - 1];
}

void top_model_begin(struct top_model *model, uint64_t now_ns)
{
	model->pass++;
	model->untold = 0;
	model->last_began_ns = model->began_ns;
	model->began_ns = now_ns;
}

void top_model_see(struct top_model *model, const cJSON *connection, uint64_t now_ns)
{
	const uint64_t id = id_of(connection);
	struct top_row *row;
	bool is_new;

	row = id ? find_row(model, id, &is_new) : NULL;
	if (!row) {
		model->untold++;
		return;
	}
	/* The snapshot may be older than the message of its close. */
	if (row->closed_ns)
		return;
	if (is_new)
		describe(row, connection);
	name_remote(row, connection);
	measure(model, row, connection, now_ns, is_new);
	row->pass = model->pass;
}

void top_model_close(struct top_model *model, const cJSON *connection, uint64_t now_ns)
{
	const uint64_t id = id_of(connection);
	struct top_row unshown = {0};
	struct top_row *row = NULL;
	bool is_new = true;

	if (!id)
		return;
	if (model->closed < TOP_CLOSED_MAX ||
	    (model->slot_count && model->slots[find_slot(model, id)]))
		row = find_row(model, id, &is_new);
	if (!row)
		row = &unshown;
	else if (row->closed_ns)
		return;
	if (is_new)
		describe(row, connection);
	name_remote(row, connection);
	measure(model, row, connection, now_ns, is_new);
	row->closed_ns = now_ns;
	field_string(connection, "failure", row->end, sizeof(row->end));
	if (strcmp(row->end, "-") == 0)
		field_string(connection, "close_reason", row->end, sizeof(row->end));
	if (row != &unshown)
		model->closed++;
}

/* How long closed rows may stay so that about TOP_CLOSED_KEPT of them remain. */
static uint64_t closed_stay_ns(const struct top_model *model, uint64_t now_ns)
{
	uint64_t oldest_ns = now_ns;
	uint64_t span_ns;

	for (size_t i = 0; i < model->count; i++) {
		if (model->rows[i].closed_ns && model->rows[i].closed_ns < oldest_ns)
			oldest_ns = model->rows[i].closed_ns;
	}
	span_ns = now_ns - oldest_ns < TOP_CLOSED_NS ? now_ns - oldest_ns : TOP_CLOSED_NS;
	if (model->closed <= TOP_CLOSED_KEPT)
		return TOP_CLOSED_NS;
	return span_ns / model->closed * TOP_CLOSED_KEPT;
}

static bool is_over(const struct top_model *model, const struct top_row *row, uint64_t now_ns,
		    uint64_t stay_ns)
{
	if (row->closed_ns)
		return now_ns - row->closed_ns > stay_ns;
	return model->pass - row->pass > PASSES_MISSING;
}

void top_model_end(struct top_model *model, uint64_t now_ns)
{
	const uint64_t stay_ns = closed_stay_ns(model, now_ns);
	size_t kept = 0;

	if (model->ended_ns)
		model->bytes_per_s = top_rate(0, model->grown_bytes, now_ns - model->ended_ns);
	model->grown_bytes = 0;
	model->ended_ns = now_ns;
	model->not_shown = model->untold;
	model->closed = 0;
	for (size_t i = 0; i < model->count; i++) {
		if (is_over(model, &model->rows[i], now_ns, stay_ns))
			continue;
		if (model->rows[i].closed_ns)
			model->closed++;
		if (kept != i)
			model->rows[kept] = model->rows[i];
		kept++;
	}
	model->count = kept;
	if (model->slot_count)
		index_rows(model);
}

static bool matches(const struct top_row *row, const char *filter)
{
	char text[3 * TOP_ENDPOINT_BYTES + TOP_COMM_BYTES + 48];

	if (!*filter)
		return true;
	snprintf(text, sizeof(text), "%s %s %s %s %u %s %s", row->local, row->arrow, row->remote,
		 row->named, row->pid, row->comm, row->end);
	return strcasestr(text, filter) != NULL;
}

/* The larger first. */
static int by_number(uint64_t a, uint64_t b)
{
	return a == b ? 0 : a > b ? -1 : 1;
}

static int compare(const void *left, const void *right, void *context)
{
	const struct top_row *a = ((const struct top_shown *)left)->row;
	const struct top_row *b = ((const struct top_shown *)right)->row;
	int order = 0;

	switch (*(const enum top_sort *)context) {
	case TOP_SORT_RATE:
		order = by_number(a->sent_rate + a->recv_rate, b->sent_rate + b->recv_rate);
		break;
	case TOP_SORT_TOTAL:
		order = by_number(a->sent_bytes + a->recv_bytes, b->sent_bytes + b->recv_bytes);
		break;
	case TOP_SORT_RTT:
		order = by_number(a->rtt_us, b->rtt_us);
		break;
	case TOP_SORT_PID:
		order = by_number(a->pid, b->pid);
		break;
	case TOP_SORT_REMOTE:
		order = strcmp(a->named, b->named);
		break;
	case TOP_SORT_ADDRESS:
		order = strcmp(a->remote, b->remote);
		break;
	case TOP_SORT_NEWEST:
		order = by_number(b->age_ns, a->age_ns);
		break;
	}
	/* Among equals: what just closed, then the youngest; the id makes the order steady. */
	if (order == 0)
		order = by_number(a->closed_ns, b->closed_ns);
	if (order == 0)
		order = by_number(b->age_ns, a->age_ns);
	return order ? order : by_number(a->id, b->id);
}

size_t top_model_order(const struct top_model *model, enum top_sort sort, const char *filter,
		       struct top_shown *order, size_t capacity)
{
	size_t count = 0;

	for (size_t i = 0; i < model->count && count < capacity; i++) {
		if (matches(&model->rows[i], filter))
			order[count++].row = &model->rows[i];
	}
	if (count > 1)
		qsort_r(order, count, sizeof(order[0]), compare, &sort);
	return count;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What clients are told, against a model that knows everything: connections that grow, close and vanish,
 * clients that acknowledge, do not, are interrupted, and a log that is too small.
 */
#include "tests/unit/clients_rig.h"

#include <stdio.h>

#define MODEL_CLIENTS 3
#define MODEL_PLACES 40
#define MODEL_MOVES 20000

/* A client of the model: what it does with what it is told. */
struct model_client {
	char name[8];
	struct client *client; /* while a batch is being told */
	struct told told;      /* by that batch, or by the last one */
	uint64_t ack;	 /* the number that goes with the next request; 0: the batch was lost */
	uint64_t bytes;	 /* of acknowledged batches */
	uint64_t closed; /* connections, of the same */
};

static struct {
	struct model_client clients[MODEL_CLIENTS];
	uint64_t id[MODEL_PLACES];
	uint64_t bytes[MODEL_PLACES]; /* 0: there is no connection here */
	uint64_t next_id;
	uint64_t closed; /* connections */
	uint64_t closed_bytes;
	uint64_t dice;
} model;

/* The same numbers in each run: xorshift (Marsaglia 2003). */
static uint32_t dice(uint32_t sides)
{
	model.dice ^= model.dice << 13;
	model.dice ^= model.dice >> 7;
	model.dice ^= model.dice << 17;
	return (uint32_t)(model.dice % sides);
}

static void finish_place(uint32_t place)
{
	struct conn_record record = make(model.id[place], model.bytes[place]);

	record.remote_port = (uint16_t)(1 + dice(5));
	finish_record(&record);
	model.closed++;
	model.closed_bytes += model.bytes[place];
	model.bytes[place] = 0;
}

/* A connection begins, or grows; then it closes, or a pass sees it, or neither. */
static void move_connection(void)
{
	const uint32_t place = dice(MODEL_PLACES);

	if (model.bytes[place] == 0)
		model.id[place] = ++model.next_id;
	model.bytes[place] += 1 + dice(9);
	if (dice(3) == 0)
		finish_place(place);
	else if (dice(2) == 0)
		see(model.id[place], model.bytes[place]);
}

/* The next request: what it acknowledges counts from now on. */
static void begin_again(struct model_client *client)
{
	if (client->ack != 0) {
		client->bytes += client->told.delta.sent_bytes;
		client->closed += client->told.closed + client->told.folded;
		cr_assert_eq(client->told.delta.recv_bytes, 2 * client->told.delta.sent_bytes);
		cr_assert_eq(client->told.delta.retransmits, 5 * client->told.delta.sent_bytes);
	}
	cr_assert_eq(begin(&client->told, client->name, client->ack, &client->client), 0);
	client->ack = 0;
}

static void move_client(struct model_client *client)
{
	if (!client->client) {
		begin_again(client);
	} else if (dice(60) == 0) {
		client->client = NULL; /* it is interrupted, and begins again */
	} else if (!step(&client->told, client->client)) {
		cr_assert_eq(client->told.zero_live, 0);
		client->client = NULL;
		client->ack = dice(3) > 0 ? client->told.batch : 0;
	}
}

/* Until all is acknowledged. */
static void settle(struct model_client *client)
{
	do {
		begin_again(client);
		while (step(&client->told, client->client))
			;
		client->ack = client->told.batch;
	} while (client->told.closed + client->told.live + client->told.folded > 0);
}

static void run_model(uint64_t seed, uint32_t max_closed)
{
	memset(&model, 0, sizeof(model));
	model.dice = seed * 0x9e3779b97f4a7c15ULL | 1;
	open_clients(MODEL_CLIENTS, max_closed);
	for (unsigned i = 0; i < MODEL_CLIENTS; i++) {
		snprintf(model.clients[i].name, sizeof(model.clients[i].name), "c%u", i);
		settle(&model.clients[i]);
	}
	/* The first one asks more often than the others. */
	for (unsigned move = 0; move < MODEL_MOVES; move++) {
		if (dice(3) > 0)
			move_connection();
		else
			move_client(&model.clients[dice(2) ? 0 : dice(MODEL_CLIENTS)]);
	}
	for (uint32_t place = 0; place < MODEL_PLACES; place++) {
		if (model.bytes[place] > 0)
			finish_place(place);
	}
	for (unsigned i = 0; i < MODEL_CLIENTS; i++)
		settle(&model.clients[i]);
}

Test(clients_model, whatever_happens_acknowledged_deltas_add_up_to_what_was_counted)
{
	uint64_t folded = 0;

	for (uint64_t seed = 1; seed <= 60; seed++) {
		run_model(seed, seed % 3 == 0 ? 8 : 64);
		for (unsigned i = 0; i < MODEL_CLIENTS; i++) {
			const struct model_client *client = &model.clients[i];

			cr_assert_eq(client->bytes, model.closed_bytes, "seed %lu, client %u",
				     (unsigned long)seed, i);
			cr_assert_eq(client->closed, model.closed, "seed %lu, client %u",
				     (unsigned long)seed, i);
		}
		folded += clients.folded;
		close_clients();
	}
	cr_expect_gt(folded, 1000, "some had to make room");
}

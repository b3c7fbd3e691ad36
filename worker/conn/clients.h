/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who asks for connections, and what each of them is still owed. A client gets deltas since what it has
 * acknowledged: of each connection what was counted since then, of closed ones each exactly once.
 * What is told in a batch stays owed until the batch is acknowledged; one that is not is given
 * again, merged with what came since. Clients do not influence each other: each has its place in
 * the shared log of closed connections and baselines of its own for the live ones.
 *
 *   begin:  clients_begin() -> a batch
 *   then:   overflow rows    client->overflow, told by clients_overflow_told()
 *           closed ones      clients_closed_next(), clients_closed_told()
 *           live ones        clients_live_next(), clients_live_told()
 *   end:    clients_complete(); only a complete batch can be acknowledged
 *
 * A batch may be told in pieces, with records coming in between: next gives what is to be told next
 * and told marks it as told, so that a connection that ends up in no piece is owed all the same.
 *
 * When the log is full its oldest connection makes room. Clients that have not acknowledged it are owed
 * its numbers from then on in their overflow (worker/conn/overflow.h).
 */
#ifndef SOCKWARDEN_WORKER_CONN_CLIENTS_H
#define SOCKWARDEN_WORKER_CONN_CLIENTS_H

#include "worker/conn/closed_log.h"
#include "worker/conn/overflow.h"
#include "worker/conn/table.h"
#include "worker/conn/view.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLIENT_NAME_BYTES 65 /* its NUL included */
#define CLIENTS_MAX 64	     /* told_by has a bit for each */

/*
 * What a client knows of a connection. given was told in batch; it counts as acknowledged once that
 * batch is, and until then acked does.
 */
struct client_told {
	uint64_t id;
	uint64_t batch; /* 0: the client was never told of it */
	struct conn_totals acked;
	struct conn_totals given;
};

struct client {
	char name[CLIENT_NAME_BYTES]; /* empty: this place is free */
	bool is_complete;	      /* all of the running batch was told */
	uint32_t page;		      /* pieces of the running batch that were told */
	uint64_t asked_ns;	      /* when its last batch began */
	uint64_t batch;		      /* number of the running batch, from 1 */
	uint64_t acked_batch;
	uint64_t from;		    /* the first closed connection that it has not acknowledged */
	uint64_t given;		    /* the first that the running batch has not told */
	uint64_t end;		    /* the first that it is not going to */
	size_t live_at;		    /* the index where the walk over live ones stands */
	struct client_told *live;   /* by index of the table of connections */
	struct client_told *closed; /* by place in the log; good if told_by says so */
	struct overflow overflow;
	struct conn_sums unattributed_acked; /* of struct clients.unattributed */
	struct conn_sums unattributed_given;
};

struct clients_settings {
	uint32_t max_clients;	  /* 1..CLIENTS_MAX */
	uint32_t max_connections; /* capacity of the table of live ones */
	uint32_t max_closed;	  /* capacity of the log */
	uint64_t expiry_ns;	  /* who has not begun a batch for so long is forgotten */
};

struct clients {
	struct clients_settings settings;
	struct client *client; /* settings.max_clients places */
	struct closed_log log;
	uint32_t count;	  /* registered now */
	uint64_t folded;  /* connections that went into a client's overflow, for each client */
	uint64_t expired; /* clients */
	uint64_t refused; /* clients, for want of a place */
	/* What the programs could give to no flow: it only grows, and is owed to all. */
	struct conn_sums unattributed;
	struct conn_record record;   /* what a live view points to */
	struct conn_totals previous; /* what a view's previous points to */
};

/* Returns 0 or -ENOMEM. Memory is touched as far as it is used. */
int clients_init(struct clients *clients, const struct clients_settings *settings);
void clients_fini(struct clients *clients);

/* Bytes that these settings may take. */
uint64_t clients_bytes(const struct clients_settings *settings);

/*
 * A connection has closed and is to be told: index is what it had in the table, or CONN_TABLE_NONE.
 * view->previous is only used where index is none: an earlier close of the same connection.
 */
void clients_close(struct clients *clients, const struct conn_view *view, uint32_t index);

/* Forgets those who did not ask for longer than the expiry. */
void clients_expire(struct clients *clients, uint64_t now_ns);

/* The client of this name, or NULL. */
struct client *clients_find(struct clients *clients, const char *name);

/*
 * Whether clients_begin() with the same would succeed: 0, or what it would return. For whoever has work
 * to do before that is only worth it for a good request. Changes nothing but that those are forgotten
 * whose time is over.
 */
int clients_check(struct clients *clients, const char *name, uint64_t ack, uint64_t now_ns);

/*
 * Begins a batch for the client of this name (1..CLIENT_NAME_BYTES - 1 bytes), which is registered if it
 * is not known. ack is a batch's number, or 0: what was acknowledged before changes nothing. Returns 0, or
 * changes nothing and returns
 *   -EUSERS  all places are taken
 *   -ESTALE  ack is not the running batch: it was given again under another number, or never was
 *   -EBUSY   ack is the running batch, of which pieces are missing
 */
int clients_begin(struct clients *clients, const char *name, uint64_t ack, uint64_t now_ns,
		  struct client **client);

/* Forgets a client and what it is owed. */
void clients_remove(struct clients *clients, struct client *client);

/* What could be attributed to no flow and is owed to the client: told when clients_overflow_told() is. */
struct conn_sums clients_unattributed(const struct clients *clients, const struct client *client);

/* All rows of the overflow, and what was not attributed, are in the batch. */
void clients_overflow_told(const struct clients *clients, struct client *client);

/* The next closed connection of the batch: *view is good until the next call; false at the end. */
bool clients_closed_next(struct clients *clients, struct client *client, struct conn_view *view);
void clients_closed_told(struct client *client);

/*
 * The next live connection that has something new, from the table, at an index below end; as above.
 * client->live_at then is table->high or more if there is none, and end or more if none was found so far.
 */
bool clients_live_next(struct clients *clients, struct client *client,
		       const struct conn_table *table, size_t end, struct conn_view *view);
void clients_live_told(struct client *client, const struct conn_table *table);

/* Goes on behind a live connection that is not to be told. */
void clients_live_skip(struct client *client);

/* The batch was told whole. */
void clients_complete(struct client *client);

#endif

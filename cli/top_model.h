/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `top` shows: the connections of the last snapshot with their rates since the one before,
 * and those that closed a moment ago, so that short ones are seen at all. Knows no terminal and
 * no clock. A row is found again by its connection's id; its rate is what its counters grew by,
 * per second, since it was last seen.
 */
#ifndef SOCKWARDEN_CLI_TOP_MODEL_H
#define SOCKWARDEN_CLI_TOP_MODEL_H

#include <cjson/cJSON.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOP_ENDPOINT_BYTES 64
#define TOP_COMM_BYTES 64
/* Connections that are shown one by one; more are only counted. */
#define TOP_ROWS_MAX 262144
/* Of these, closed ones: a storm of short connections must not push the others out. */
#define TOP_CLOSED_MAX 16384
/* How long a closed connection stays, unless there are so many that only the newest do. */
#define TOP_CLOSED_NS 5000000000ULL
#define TOP_CLOSED_KEPT 4096

enum top_sort {
	TOP_SORT_RATE,
	TOP_SORT_TOTAL,
	TOP_SORT_RTT,
	TOP_SORT_NEWEST,
	TOP_SORT_PID,
	TOP_SORT_REMOTE,		   /* by name where there is one */
	TOP_SORT_COUNT,			   /* of those that have a name */
	TOP_SORT_ADDRESS = TOP_SORT_COUNT, /* TOP_SORT_REMOTE without names */
};

struct top_row {
	uint64_t id;
	uint64_t seen_ns;   /* when the numbers below were taken */
	uint64_t closed_ns; /* 0: live */
	uint32_t pass;	    /* the last snapshot that it was in */
	uint32_t pid;	    /* 0: not known */
	uint64_t sent_bytes;
	uint64_t recv_bytes;
	uint64_t sent_rate; /* bytes/s */
	uint64_t recv_rate;
	uint64_t rtt_us; /* 0: not known */
	uint64_t age_ns;
	uint64_t retransmits;
	uint16_t local_port;
	const char *arrow;
	char local[TOP_ENDPOINT_BYTES];
	char remote[TOP_ENDPOINT_BYTES];
	char named[TOP_ENDPOINT_BYTES]; /* the same, by name if one is known */
	char comm[TOP_COMM_BYTES];
	char end[24]; /* why it closed: the failure's errno name or the reason */
};

/* A row that is shown; good until the model changes. */
struct top_shown {
	const struct top_row *row;
};

struct top_model {
	struct top_row *rows;
	size_t count;
	size_t capacity;
	size_t closed;	   /* of count */
	uint32_t *slots;   /* row number + 1 by id, open addressing; 0: free */
	size_t slot_count; /* a power of two */
	uint32_t pass;
	uint64_t began_ns;	/* when the running pass began */
	uint64_t last_began_ns; /* when the one before began; 0: there was none */
	uint64_t grown_bytes;	/* by all connections since the last pass ended */
	uint64_t ended_ns;	/* when it ended */
	uint64_t bytes_per_s;	/* of all connections, over the last pass */
	uint64_t not_shown;	/* live ones beyond TOP_ROWS_MAX in the last pass */
	uint64_t untold;	/* the same, of the running pass */
};

void top_model_init(struct top_model *model);
void top_model_fini(struct top_model *model);

/* A snapshot begins at now_ns (CLOCK_MONOTONIC); each of its connections; its end. */
void top_model_begin(struct top_model *model, uint64_t now_ns);
void top_model_see(struct top_model *model, const cJSON *connection, uint64_t now_ns);
void top_model_end(struct top_model *model, uint64_t now_ns);

/* A connection was published as closed. */
void top_model_close(struct top_model *model, const cJSON *connection, uint64_t now_ns);

/*
 * Chooses what to show: rows in which filter occurs (in either case; "" is in all), in order.
 * Fills order with at most capacity of them. Returns how many.
 */
size_t top_model_order(const struct top_model *model, enum top_sort sort, const char *filter,
		       struct top_shown *order, size_t capacity);

const char *top_sort_name(enum top_sort sort);

/* Growth per second; 0 for a counter that went back or for no time. */
uint64_t top_rate(uint64_t before, uint64_t after, uint64_t elapsed_ns);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tape: all that came into an engine, in order, so that a replay gives the same messages again.
 *
 * A file is a struct tape_header and then entries: a struct tape_entry_head and length bytes of
 * payload, without padding, up to TAPE_END, behind which there is nothing. Numbers are in the byte order
 * of the machine that wrote it (byte_order tells), records are the kernel's own: who reads it must
 * be of the same RECORD_ABI.
 *
 *   TAPE_CONFIG                          once, first: the configuration that matters for what is published
 *   TAPE_STATE, TAPE_STATE_CONN/_FREE/..., TAPE_STATE_DNS/...  what the engine had in it at the
 *                                        start; without these it was new
 *   the engine's inputs, in the order in which they came, each named as the function of
 *   worker/engine.h that takes it
 *   TAPE_END
 *
 * Types are never used again. A reader refuses types that it does not know, but for those with
 * TAPE_OPTIONAL set, which have no influence on what is published.
 */
#ifndef SOCKWARDEN_WORKER_TAPE_TAPE_H
#define SOCKWARDEN_WORKER_TAPE_TAPE_H

#include "proto/record.h"
#include "worker/nat/message.h"

#include <stdbool.h>
#include <stdint.h>

#define TAPE_MAGIC "SWTAPE\r\n" /* 8 bytes; a transfer that changes line ends shows */
#define TAPE_VERSION 4
#define TAPE_BYTE_ORDER 0x01020304U
/* No payload is longer. */
#define TAPE_PAYLOAD_BYTES_MAX (256 * 1024)
#define TAPE_OPTIONAL 0x8000U
/* Numbers in one TAPE_STATE_FREE. */
#define TAPE_FREE_MAX 4096

enum tape_type {
	TAPE_CONFIG = 1,     /* JSON text, as in a configuration file */
	TAPE_STATE = 2,	     /* struct tape_state */
	TAPE_STATE_CONN = 3, /* struct tape_state_conn, in the order of index */
	TAPE_STATE_FREE = 4, /* u32 indices of free entries, in the order in which they are taken */
	TAPE_STATE_CGROUP = 5,	  /* struct tape_state_cgroup */
	TAPE_STATE_CLOSED_ID = 6, /* struct tape_state_closed_id */
	TAPE_STATE_LOCAL = 7,	  /* struct tape_state_local */
	TAPE_STATE_NAT = 8,	  /* struct tape_state_nat, in the order of nat_table_next() */
	TAPE_TICK = 16,		  /* struct tape_tick */
	TAPE_CLOSE = 17,	  /* struct conn_record */
	TAPE_PASS_BEGIN = 18,	  /* struct tape_pass_begin */
	TAPE_SEEN = 19,		  /* struct conn_record */
	TAPE_PASS_END = 20,	  /* struct tape_time */
	/*
	 * Names of control groups: those that the engine asked for while it took the input before,
	 * or that a query made the worker read.
	 */
	TAPE_CGROUP = 21,	  /* struct cgroup_record */
	TAPE_CGROUPS_FILLED = 22, /* struct tape_time: these were all */
	TAPE_FLUSH = 23,	  /* struct tape_flush */
	TAPE_ACTIVE_BEGIN = 24,	  /* nothing */
	TAPE_ACTIVE_STEP = 25,	  /* nothing */
	TAPE_UNATTRIBUTED = 26,	  /* struct conn_sums */
	/*
	 * A client asks: the request, JSON text. Its answer comes out as one more message. Only on
	 * tapes that tests write: what clients are told has no influence on what is published.
	 */
	TAPE_ASK = 27,
	TAPE_NAT = 28, /* struct nat_event */
	/* struct packet_record, and its payload: payload_at is 0, length that of the payload. */
	TAPE_PACKET = 29,
	/* What DNS has in it at the start, in this order: worker/tape/tape_dns.h. */
	TAPE_STATE_DNS = 32,	     /* struct tape_state_dns */
	TAPE_STATE_DNS_TEXT = 33,    /* struct names_saved_text */
	TAPE_STATE_DNS_ADDRESS = 34, /* struct names_saved_address */
	TAPE_STATE_DNS_OTHER = 35,   /* struct names_saved_other, of the address before it */
	TAPE_STATE_DNS_ORDER = 36,   /* struct tape_state_dns_order */
	TAPE_STATE_DNS_ROW = 37,     /* struct dns_stats_saved_row */
	TAPE_STATE_DNS_CHANGE = 38,  /* struct dns_stats_saved_change */
	TAPE_STATE_DNS_QUERY = 39,   /* struct tape_state_dns_query, by age */
	TAPE_STATE_DNS_NEWS = 40,    /* struct tape_state_dns_news, by age */
	TAPE_STATE_DNS_FLOW = 41,    /* struct dns_stream_saved_flow */
	TAPE_STATE_DNS_BLOCK = 42,   /* struct dns_stream_saved_block */
	TAPE_STATE_DNS_SEEN = 43,    /* struct tape_state_dns_seen */
	/* struct tape_state_dns_conversation, in the order of dns_conversations_next() */
	TAPE_STATE_DNS_CONVERSATION = 44,
	TAPE_END = 127, /* struct tape_end */
};

static inline bool tape_type_is_dns(unsigned type)
{
	return type >= TAPE_STATE_DNS && type <= TAPE_STATE_DNS_CONVERSATION;
}

static inline bool tape_type_is_state(unsigned type)
{
	return (type >= TAPE_STATE && type <= TAPE_STATE_NAT) || tape_type_is_dns(type);
}

struct tape_header {
	char magic[8];
	uint32_t version;
	uint32_t byte_order;
	uint64_t record_abi;	/* RECORD_ABI, see proto/handoff.h */
	uint64_t config_digest; /* FNV-1a, 64 bits, of TAPE_CONFIG's text */
	char host[72];		/* the identity in messages; NUL-terminated, the rest 0 */
	char instance[24];
};

struct tape_entry_head {
	uint16_t type; /* enum tape_type */
	uint16_t pad0;
	uint32_t length; /* of the payload, bytes */
};

struct tape_time {
	uint64_t now_ns; /* CLOCK_MONOTONIC */
};

struct tape_tick {
	uint64_t now_ns;
	uint64_t monotonic_offset_ns; /* struct clock_offsets */
	uint64_t boot_offset_ns;
	uint64_t listened; /* 1: somebody subscribes */
};

struct tape_pass_begin {
	uint64_t now_ns;
	uint64_t opened; /* sum of conn_counters.opened */
};

struct tape_flush {
	uint64_t now_ns;
	uint64_t force; /* 0 or 1 */
};

struct tape_end {
	uint64_t entries; /* before this one */
};

/* struct conn_state and what else the engine knows, but for what follows in entries of its own. */
struct tape_state {
	uint64_t seq;	 /* of the next conn.v1 message */
	uint64_t closed; /* struct conn_counts */
	uint64_t inferred;
	uint64_t late_close;
	uint64_t table_full;
	uint64_t live;
	uint64_t cgroups_filled_ns;
	uint32_t pass;
	uint32_t suspects;
	uint32_t active_at;
	uint32_t high; /* table entries that were ever in use: those of STATE_CONN and STATE_FREE */
	uint8_t cgroups_filled;
	uint8_t cgroups_wanted;
	uint8_t table_was_full;
	uint8_t cgroups_credit;
	uint16_t ephemeral_first; /* struct port_range */
	uint16_t ephemeral_last;
};

struct tape_state_conn {
	uint32_t index; /* in the table */
	uint32_t seen;
	uint8_t phase; /* enum conn_phase; never DOOMED */
	uint8_t missed;
	uint8_t is_published;
	uint8_t pad0;
	uint32_t pad1;
	uint64_t opened_ns;
	uint64_t published_sent_bytes;
	uint64_t published_recv_bytes;
	uint32_t published_sent_packets;
	uint32_t published_recv_packets;
	uint32_t published_retransmits;
	uint32_t pad2;
	struct conn_record record;
};

struct tape_state_cgroup {
	uint32_t set;
	uint32_t way;
	uint32_t oldest; /* of the set */
	uint32_t pad0;
	struct cgroup_record record;
};

/* Of struct closed_ids. */
struct tape_state_closed_id {
	uint32_t set;
	uint32_t way;
	uint32_t oldest; /* of the set */
	uint32_t sent_packets;
	uint32_t recv_packets;
	uint32_t retransmits;
	uint64_t id;
	uint64_t sent_bytes;
	uint64_t recv_bytes;
};

/* Of struct local_addresses. */
struct tape_state_local {
	uint32_t set;
	uint32_t way;
	uint8_t ip[16];
	uint8_t family;
	uint8_t pad0[7];
	uint64_t seen_ns;
};

_Static_assert(sizeof(struct tape_state_closed_id) == 48, "no padding");
_Static_assert(sizeof(struct tape_state_local) == 40, "no padding");
struct tape_state_nat {
	uint64_t destroyed_ns; /* 0: it lives */
	struct nat_event event;
};

_Static_assert(sizeof(struct tape_state_nat) == 104, "no padding");
_Static_assert(sizeof(struct tape_header) == 128, "no padding");
_Static_assert(sizeof(struct tape_entry_head) == 8, "no padding");
_Static_assert(sizeof(struct tape_state) == 80, "no padding");
_Static_assert(sizeof(struct tape_state_conn) == 216, "no padding");
_Static_assert(sizeof(struct tape_state_cgroup) == 16 + sizeof(struct cgroup_record), "no padding");

#endif

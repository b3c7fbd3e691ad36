/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract between privd and the worker: what travels over the handoff socket.
 *
 * The socket is SOCK_SEQPACKET, so one packet is one message. A message is one fixed-size struct
 * that starts with struct handoff_header; its type alone fixes its length, how many descriptors
 * come with it, who may send it, in which states of the session and how often. Those facts
 * are one row of handoff_table, and handoff_check() is the only judge: what it refuses ends the
 * session. The worker never sends a descriptor.
 *
 *   worker                          privd
 *   HELLO {version, abi}       -->
 *                              <--  WELCOME {version, abi, cpus, hooks}  or  REFUSED {reason}
 *   GRANTS                     -->
 *                              <--  GRANT_BATCHES, GRANT_COUNTERS, GRANT_STAGE, GRANT_RESUME (one
 *                                   fd each), GRANT_UDP_SETTINGS (one fd) where UDP is traced,
 *                                   GRANT_CONNTRACK (one fd) where the kernel tells of
 *                                   translation, GRANT_RING (one fd each, one per online CPU),
 *                                   GRANT_PACKET_RING (the same) or GRANT_PACKET_SOCKET (one
 *                                   fd) where DNS packets are captured, GRANTS_END
 *   ITERATE {what}             -->
 *                              <--  ITERATOR (one fd)  or  REFUSED {reason}
 *   PING                       -->
 *                              <--  PONG {missed runs of each program}
 */
#ifndef SOCKWARDEN_PROTO_HANDOFF_H
#define SOCKWARDEN_PROTO_HANDOFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HANDOFF_VERSION 1
#define HANDOFF_SOCKET_NAME "privd.sock"
#define HANDOFF_HOOK_NAME_BYTES 32
#define HANDOFF_HOOKS_MAX 12
#define HANDOFF_PROGRAMS_MAX 16
#define HANDOFF_REASON_BYTES 96
#define HANDOFF_KERNEL_BYTES 64
#define HANDOFF_DNS_PORTS_MAX 16
/* Of a packet socket's ring. */
#define HANDOFF_BLOCKS_MAX 65536
#define HANDOFF_BLOCK_BYTES_MAX (1 << 20)
/* No message is longer; a receiver with one byte more of room sees every oversized one. */
#define HANDOFF_MESSAGE_MAX 1024

/* Values are never reused. */
enum handoff_type {
	HANDOFF_HELLO = 1,
	HANDOFF_WELCOME = 2,
	HANDOFF_REFUSED = 3,
	HANDOFF_GRANTS = 4,
	HANDOFF_GRANT_BATCHES = 5,
	HANDOFF_GRANT_COUNTERS = 6,
	HANDOFF_GRANT_RESUME = 7,
	HANDOFF_GRANT_RING = 8,
	HANDOFF_GRANTS_END = 9,
	HANDOFF_ITERATE = 10,
	HANDOFF_ITERATOR = 11,
	HANDOFF_PING = 12,
	HANDOFF_PONG = 13,
	HANDOFF_GRANT_STAGE = 14,
	HANDOFF_GRANT_CONNTRACK = 15,
	HANDOFF_GRANT_UDP_SETTINGS = 16,
	HANDOFF_GRANT_PACKET_RING = 17,
	HANDOFF_GRANT_PACKET_SOCKET = 18,
};

enum handoff_direction {
	HANDOFF_TO_PRIVD = 1,
	HANDOFF_TO_WORKER = 2,
};

/* A session's states; a table row holds a set of them as bits 1 << state. */
enum handoff_state {
	HANDOFF_STATE_NEW = 0,	   /* connected, nothing said */
	HANDOFF_STATE_GREETED = 1, /* HELLO was accepted */
	HANDOFF_STATE_SERVING = 2, /* everything was granted */
};

enum handoff_iterator {
	HANDOFF_ITERATE_CONNECTIONS = 1, /* struct conn_record, kind SNAPSHOT; CLOSE: found dead */
	HANDOFF_ITERATE_CGROUPS = 2,	 /* struct cgroup_record */
	HANDOFF_ITERATE_SPILLED = 3,	 /* as CONNECTIONS, those that found no room in the table */
	HANDOFF_ITERATE_FLOWS = 4,	 /* as CONNECTIONS, of UDP; CLOSE: over */
	HANDOFF_ITERATE_ENDED_FLOWS = 5, /* of these the CLOSE records */
};

#define HANDOFF_ITERATORS 6 /* the values are below it */

struct handoff_header {
	uint16_t type;	 /* enum handoff_type */
	uint16_t length; /* of the whole message, header included */
	uint32_t pad0;
};

struct handoff_hello {
	struct handoff_header header;
	uint32_t version; /* HANDOFF_VERSION */
	uint32_t pad0;
	uint64_t abi; /* handoff_abi() */
};

/* What a feature uses in this kernel, as text for people: {"accept", "fexit"}. */
struct handoff_hook {
	char feature[HANDOFF_HOOK_NAME_BYTES];
	char hook[HANDOFF_HOOK_NAME_BYTES];
};

struct handoff_welcome {
	struct handoff_header header;
	uint32_t version;
	uint32_t possible_cpus; /* values in the batches' and counters' arrays */
	uint64_t abi;
	uint32_t rings;	       /* GRANT_RING messages to come */
	uint32_t conntracks;   /* GRANT_CONNTRACK messages to come: 0 or 1 */
	uint32_t hook_count;   /* of hooks */
	uint32_t packet_rings; /* GRANT_PACKET_RING messages to come */
	struct handoff_hook hooks[HANDOFF_HOOKS_MAX];
	char kernel[HANDOFF_KERNEL_BYTES];	   /* uname release */
	uint16_t dns_ports[HANDOFF_DNS_PORTS_MAX]; /* that are captured; 0 ends the list */
	/* GRANT_PACKET_SOCKET messages to come: 0, or 1 where the filter is a classic one. */
	uint32_t packet_sockets;
	uint32_t pad0;
};

struct handoff_refused {
	struct handoff_header header;
	char reason[HANDOFF_REASON_BYTES]; /* NUL-terminated text */
};

/* GRANTS, GRANT_CONNTRACK, GRANTS_END and PING have no body. */
struct handoff_empty {
	struct handoff_header header;
};

/*
 * A descriptor to be mapped. BATCHES: struct conn_batch per possible CPU, read-only. COUNTERS:
 * struct conn_counters per possible CPU, read-only. STAGE: one struct snapshot_stage, read-only.
 * RESUME: struct handoff_resume, shared and writable. UDP_SETTINGS: struct udp_settings, shared and
 * writable.
 */
struct handoff_grant {
	struct handoff_header header;
	uint32_t value_bytes;  /* size of one value */
	uint32_t stride_bytes; /* from one value to the next */
	uint32_t count;	       /* values */
	uint32_t map_bytes;    /* length to map, a multiple of the page size */
};

struct handoff_grant_ring {
	struct handoff_header header;
	uint32_t cpu;
	uint32_t data_pages; /* a power of two; mapped length is 1 + data_pages pages */
};

/* A packet socket's ring (packet(7), TPACKET_V3), to be mapped whole. */
struct handoff_grant_socket {
	struct handoff_header header;
	uint32_t block_bytes; /* a multiple of the page size, at most HANDOFF_BLOCK_BYTES_MAX */
	uint32_t block_count; /* at most HANDOFF_BLOCKS_MAX */
};

struct handoff_iterate {
	struct handoff_header header;
	uint32_t what; /* enum handoff_iterator */
	uint32_t pad0;
};

struct handoff_program_stats {
	char name[HANDOFF_HOOK_NAME_BYTES];
	uint64_t missed_runs; /* bpf_prog_info.recursion_misses (5.12) */
};

struct handoff_pong {
	struct handoff_header header;
	uint32_t program_count; /* of programs */
	uint32_t pad0;
	struct handoff_program_stats programs[HANDOFF_PROGRAMS_MAX];
};

/* Where a worker stands, kept in memory that outlives it so that its successor goes on there. */
struct handoff_resume {
	uint64_t closed;   /* close records processed by all workers so far */
	uint64_t inferred; /* connections closed by inference so far */
	uint64_t lost;	   /* close records counted as lost in batch gaps so far */
	uint64_t workers;  /* workers that were served so far */
	/*
	 * The record to process next on each of welcome.possible_cpus: its batch's id times
	 * RECORD_BATCH_CAPACITY, plus its number in it. One word, so that whoever is killed while he
	 * moves it leaves the old position or the new one.
	 */
	uint64_t positions[];
};

struct handoff_row {
	uint16_t type;
	uint16_t length;
	uint8_t fds;	     /* descriptors that come with it, exactly */
	uint8_t direction;   /* enum handoff_direction */
	uint8_t states;	     /* in which it may be sent: bits of 1 << enum handoff_state */
	bool once;	     /* at most once in a session */
	const char *name;    /* as in the log and in docs/protocol.md */
	const char *meaning; /* one sentence for docs/protocol.md */
};

extern const struct handoff_row handoff_table[];
extern const size_t handoff_table_count;

/* What a session remembers to judge the next message. Zero is a new session. */
struct handoff_session {
	enum handoff_state state;
	uint32_t seen; /* bits of 1 << type: messages that came */
};

/* The hash of the record layouts and of this contract; the build computes it from their text. */
uint64_t handoff_abi(void);

/* The row of a type, or NULL. */
const struct handoff_row *handoff_row(unsigned type);

/* A message type's name for logs; "unknown" for what is not in the table. */
const char *handoff_name(unsigned type);

/*
 * Judges a received packet: length bytes at bytes (any alignment), with fds descriptors, sent in
 * direction. On success marks its type as seen, sets *row and returns 0. Otherwise changes
 * nothing, sets *why to a short text and returns
 *   -EMSGSIZE  shorter than a header, or not the length of its type
 *   -EBADMSG   its own length field or padding is wrong
 *   -ENOMSG    no such type
 *   -EPROTO    not in this direction, not in this state, or said before
 *   -EBADF     the wrong number of descriptors
 */
int handoff_check(struct handoff_session *session, const void *bytes, size_t length, unsigned fds,
		  enum handoff_direction direction, const struct handoff_row **row,
		  const char **why);

/* Fills in a header for a message of this type. */
void handoff_header_init(struct handoff_header *header, enum handoff_type type);

/* Bytes of struct handoff_resume for so many CPUs. */
size_t handoff_resume_bytes(unsigned possible_cpus);

#endif

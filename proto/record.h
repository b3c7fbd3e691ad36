/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the BPF programs write and the worker reads. This file is compiled into both, so it holds
 * nothing but fixed-width fields, explicit padding and asserts.
 *
 * A record is one TCP connection or UDP flow at one moment: at its end (a close record) or when a snapshot
 * passed it (a snapshot record); both have the same layout. Close records travel in batches: a
 * CPU fills its batch in an array that the worker maps, and a full batch leaves whole through
 * that CPU's perf ring. All numbers are in host byte order; addresses are in network order.
 *
 * A change here changes RECORD_ABI: the handoff refuses a worker of another ABI. The hash that
 * is compared is made by the build from this file's text.
 */
#ifndef SOCKWARDEN_PROTO_RECORD_H
#define SOCKWARDEN_PROTO_RECORD_H

#ifndef __bpf__
#include <linux/types.h>
#include <stddef.h>
#endif

#define RECORD_VERSION 1
#define RECORD_BATCH_CAPACITY 16
#define RECORD_COMM_BYTES 16
#define RECORD_CGROUP_PATH_BYTES 256
/* struct conn_batches is one array value per possible CPU; the array is sized at load. */
#define RECORD_CPUS_MAX 1024

enum record_kind {
	RECORD_KIND_CLOSE = 1,	  /* struct conn_record: the connection's final numbers */
	RECORD_KIND_SNAPSHOT = 2, /* struct conn_record: a live connection */
	RECORD_KIND_BATCH = 3,	  /* struct conn_batch: up to RECORD_BATCH_CAPACITY close records */
	RECORD_KIND_LONE = 4,	  /* struct conn_lone: one close record outside the batch order */
	RECORD_KIND_CGROUP = 5,	  /* struct cgroup_record */
	RECORD_KIND_PACKET = 6,	  /* struct packet_record: a packet on a DNS port */
};

enum record_family {
	RECORD_FAMILY_IPV4 = 4, /* also IPv4-mapped IPv6 (RFC 4291 2.5.5.2) */
	RECORD_FAMILY_IPV6 = 6,
};

enum record_direction {
	RECORD_DIRECTION_UNKNOWN = 0,
	RECORD_DIRECTION_OUTGOING = 1,
	RECORD_DIRECTION_INCOMING = 2,
};

/* Where a record's process facts were taken from. */
enum record_pid_source {
	RECORD_PID_NONE = 0,	 /* not known: pid, uid, comm, cgroup_id, start_ns are 0 */
	RECORD_PID_CONNECT = 1,	 /* the caller of connect() */
	RECORD_PID_ACCEPT = 2,	 /* the caller of accept() */
	RECORD_PID_LISTENER = 3, /* the caller of listen() on the socket that accepted it */
	RECORD_PID_CLOSE = 4,	 /* the process that closed it or shut it down */
	RECORD_PID_SEED = 5,	 /* a holder of its descriptor when tracing began */
	RECORD_PID_TRAFFIC = 6,	 /* who sent or received first (UDP) */
};

/* Bits of struct conn_record.flags. */
enum record_flag {
	RECORD_ESTABLISHED = 1 << 0, /* the three-way handshake was completed */
	RECORD_FIN_RECEIVED = 1 << 1,
	RECORD_FIN_ACKED = 1 << 2,     /* our FIN was acknowledged */
	RECORD_SECOND_CHANCE = 1 << 3, /* reported when the socket was destroyed, or after */
	RECORD_NO_FACTS = 1 << 4, /* no facts were stored: opened_ns and the process are unknown */
	RECORD_PREEXISTING = 1 << 5, /* the connection is older than the tracer: opened_ns is 0 */
	RECORD_CLOSED_LOCALLY = 1 << 6, /* CLOSE was entered by the owning process itself */
	RECORD_ASSURED = 1 << 7,	/* UDP: an answer came and was answered (three ways) */
};

/* How a UDP flow ended; TCP's own fields tell how a connection did. */
enum record_end {
	RECORD_END_NONE = 0,	 /* TCP, or a flow that lives */
	RECORD_END_IDLE = 1,	 /* nothing was sent or received for its time */
	RECORD_END_RELEASED = 2, /* its socket was closed */
	RECORD_END_EVICTED = 3,	 /* the table needed its place: it was idle for the longest time */
};

/*
 * One connection at one moment. The byte counters are payload only: the SYN and FIN that the
 * kernel's tcp_sock.bytes_acked and bytes_received include are already taken out.
 */
struct conn_record {
	__u8 kind;	 /* enum record_kind: CLOSE or SNAPSHOT */
	__u8 version;	 /* RECORD_VERSION */
	__u8 family;	 /* enum record_family */
	__u8 direction;	 /* enum record_direction */
	__u8 pid_source; /* enum record_pid_source */
	__u8 tcp_state;	 /* linux/tcp_states.h; of a close record: the state before CLOSE; UDP: 0 */
	__u8 flags;	 /* enum record_flag */
	__u8 protocol;	 /* IPPROTO_TCP 6, IPPROTO_UDP 17 */
	__u64 id;	 /* socket cookie, its top 16 bits xored with the socket's reuse count */
	__u64 opened_ns; /* CLOCK_MONOTONIC: SYN sent, or handshake done (incoming); 0: unknown */
	__u64 at_ns;	 /* CLOCK_MONOTONIC: when this record was written */
	__u64 sent_bytes;   /* payload that the peer acknowledged */
	__u64 recv_bytes;   /* payload that arrived in order */
	__u64 cgroup_id;    /* of the process; its hierarchy's number (0: v2) in the top 16 bits */
	__u64 start_ns;	    /* CLOCK_BOOTTIME: start of the process */
	__u32 sent_packets; /* tcp_sock.segs_out: segments, those without payload included */
	__u32 recv_packets; /* tcp_sock.segs_in */
	__u32 retransmits;  /* tcp_sock.total_retrans: segments */
	__u32 srtt_us;	    /* smoothed RTT (RFC 6298); 0: never measured */
	__u32 rttvar_us;    /* its mean deviation */
	__u32 handshake_us; /* SYN to SYN-ACK (outgoing), SYN-ACK to ACK (incoming); 0: unknown */
	__u32 pid;	    /* thread group id in the initial pid namespace */
	__u32 uid;	    /* in the initial user namespace */
	__u32 netns;	    /* inode of the network namespace */
	__u16 local_port;   /* 0: none was bound */
	__u16 remote_port;
	__u16 error; /* errno of the socket at its end; 0: none */
	__u8 end;    /* enum record_end */
	__u8 pad0;
	__u32 pad1;
	__u8 local_ip[16];	      /* IPv4: the first four bytes, the rest 0 */
	__u8 remote_ip[16];	      /* the same */
	char comm[RECORD_COMM_BYTES]; /* of the thread group leader, NUL-terminated */
};

/*
 * A CPU's batch, and what leaves through its ring. Records below len never change while id is
 * the same. Who reads the mapped batch reads id, len, records, then id again: if id moved on,
 * the batch comes through the ring and what was read is thrown away.
 */
struct conn_batch {
	__u8 kind;    /* RECORD_KIND_BATCH */
	__u8 version; /* RECORD_VERSION */
	__u16 cpu;
	__u32 len;  /* records that are complete, 0..RECORD_BATCH_CAPACITY */
	__u64 id;   /* counts this CPU's batches from 0, without holes */
	__u64 busy; /* not 0 while a program writes: whoever finds that sends a lone record */
	struct conn_record records[RECORD_BATCH_CAPACITY];
};

/* A close record that found its CPU's batch busy. */
struct conn_lone {
	__u8 kind;    /* RECORD_KIND_LONE */
	__u8 version; /* RECORD_VERSION */
	__u16 cpu;
	__u32 pad0;
	struct conn_record record;
};

/*
 * Where a snapshot's records are put, in a mapped array, while the iterator is read. read(2) gives
 * EAGAIN when the stage is full (handed_out is 1 then) and goes on with an emptied one at the next call;
 * at the end of the pass it gives 0 and the rest is here. One pass at a time. A record of kind CLOSE
 * is of a connection whose end was not seen when it came.
 */
#define RECORD_STAGE_CAPACITY 8192
struct snapshot_stage {
	__u64 count;	  /* records that are complete, 0..RECORD_STAGE_CAPACITY */
	__u64 handed_out; /* 1: the stage was full and its reader was told */
	struct conn_record records[RECORD_STAGE_CAPACITY];
};

/* A control group that some reported process was in; the cgroups iterator gives these. */
struct cgroup_record {
	__u8 kind;    /* RECORD_KIND_CGROUP */
	__u8 version; /* RECORD_VERSION */
	__u16 pad0;
	__u32 pad1;
	__u64 id;
	char path[RECORD_CGROUP_PATH_BYTES]; /* from the root, NUL-terminated; a long one loses its head */
};

/* Bits of struct packet_record.flags. */
enum packet_flag {
	PACKET_OUTGOING_FLAG = 1 << 0, /* this host sent or forwarded it */
	PACKET_FRAGMENT_FLAG =
		1 << 1, /* the first fragment of several: its payload goes on in others */
};

/* Payload that is copied of each packet; and what may stand before it, from the network header on. */
#define PACKET_PAYLOAD_MAX 4096
#define PACKET_HEADERS_MAX 512

/*
 * A UDP or TCP packet from or to a DNS port, as it passed an interface of the root network namespace. Behind
 * the record follow `length` bytes of the packet, from its network header on. It leaves through its
 * CPU's packet ring.
 */
struct packet_record {
	__u8 kind;	  /* RECORD_KIND_PACKET */
	__u8 version;	  /* RECORD_VERSION */
	__u8 family;	  /* enum record_family */
	__u8 protocol;	  /* IPPROTO_TCP, IPPROTO_UDP */
	__u8 flags;	  /* enum packet_flag */
	__u8 tcp_flags;	  /* RFC 9293 3.1: FIN 1, SYN 2, RST 4, ACK 16; UDP: 0 */
	__u16 payload_at; /* the payload's offset in the bytes that follow */
	__u64 at_ns;	  /* CLOCK_MONOTONIC */
	__u32 length;	  /* bytes that follow: at most PACKET_HEADERS_MAX + PACKET_PAYLOAD_MAX */
	__u32 payload_bytes; /* on the wire, by its headers; what is behind `length` was not copied */
	__u32 sequence;	     /* TCP: of the payload's first byte; UDP: 0 */
	__u32 interface;     /* its index */
	__u16 source_port;
	__u16 destination_port;
	__u32 pad0;
	__u8 source_ip[16]; /* IPv4: the first four bytes, the rest 0 */
	__u8 destination_ip[16];
};

/*
 * What the programs count, one per possible CPU in a mapped array. The worker compares what was
 * opened with what reached it.
 */
struct conn_counters {
	__u64 opened;	     /* connections that began, or were found at start or at their end */
	__u64 lone;	     /* close records sent alone because the batch was busy */
	__u64 ring_full;     /* close records given up: the ring had no room */
	__u64 output_errors; /* perf outputs refused; a batch is offered again with the next record */
	__u64 storage_failed; /* facts that could not be stored (no memory or table full) */
	__u64 second_chance;  /* close records made at tcp_destroy_sock */
	__u64 no_facts;	      /* close records whose connection had no facts */
	__u64 spilled;	 /* sockets whose facts found no room in the table and went to the hash */
	__u64 unspilled; /* of these: whose socket is gone */
	__u64 third_chance; /* close records made by a snapshot, of sockets that it found dead */
	__u64 ends_missed;  /* connections whose end was never seen: their socket has another one */
	__u64 orphaned;	    /* UDP flows whose socket is gone; the next sweep tells them */
	__u64 evicted;	    /* UDP flows ended for want of room */
	/* What was sent and received by UDP and could be given to no flow. */
	__u64 overflow_sent_bytes;
	__u64 overflow_recv_bytes;
	__u64 overflow_sent_packets;
	__u64 overflow_recv_packets;
	__u64 packets;	    /* on DNS ports, handed to a ring: those that say something */
	__u64 packets_lost; /* of these: their ring had no room */
	__u64 packet_fragments; /* second and further fragments of UDP and TCP: nobody knows their ports */
	__u64 packets_malformed; /* of UDP or TCP, whose headers are cut or contradict each other */
};

/*
 * How long a UDP flow may be silent, written by the worker and read by the programs. What is out of
 * range is taken for the nearest value within.
 */
#define RECORD_UDP_TIMEOUT_MIN_NS 1000000000ULL
#define RECORD_UDP_TIMEOUT_MAX_NS 86400000000000ULL
struct udp_settings {
	__u64 timeout_ns;	 /* before an answer was answered */
	__u64 stream_timeout_ns; /* of an assured flow */
};

#define RECORD_ASSERT(expression) _Static_assert(expression, #expression)
RECORD_ASSERT(sizeof(struct conn_record) == 160);
RECORD_ASSERT(sizeof(struct conn_batch) == 24 + RECORD_BATCH_CAPACITY * 160);
RECORD_ASSERT(sizeof(struct conn_lone) == 8 + 160);
RECORD_ASSERT(sizeof(struct snapshot_stage) == 16 + RECORD_STAGE_CAPACITY * 160);
RECORD_ASSERT(sizeof(struct cgroup_record) == 16 + RECORD_CGROUP_PATH_BYTES);
RECORD_ASSERT(sizeof(struct packet_record) == 72);
RECORD_ASSERT(sizeof(struct conn_counters) == 168);
RECORD_ASSERT(sizeof(struct udp_settings) == 16);
RECORD_ASSERT(__builtin_offsetof(struct conn_record, id) == 8);
RECORD_ASSERT(__builtin_offsetof(struct conn_record, sent_packets) == 64);
RECORD_ASSERT(__builtin_offsetof(struct conn_record, pid) == 88);
RECORD_ASSERT(__builtin_offsetof(struct conn_record, local_port) == 100);
RECORD_ASSERT(__builtin_offsetof(struct conn_record, local_ip) == 112);
RECORD_ASSERT(__builtin_offsetof(struct conn_record, comm) == 144);
RECORD_ASSERT(__builtin_offsetof(struct conn_batch, id) == 8);
RECORD_ASSERT(__builtin_offsetof(struct conn_batch, records) == 24);
RECORD_ASSERT(__builtin_offsetof(struct conn_lone, record) == 8);
RECORD_ASSERT(__builtin_offsetof(struct packet_record, at_ns) == 8);
RECORD_ASSERT(__builtin_offsetof(struct packet_record, source_port) == 32);
RECORD_ASSERT(__builtin_offsetof(struct packet_record, source_ip) == 40);

#endif

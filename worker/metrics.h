/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every number that the worker counts, by the name under which it is published. One table makes
 * the enum and the names; struct metrics is the storage. Counters only grow while the worker
 * lives (those of the BPF programs, and closed, inferred and lost, span all workers that were
 * served by the same privd); gauges go both ways.
 */
#ifndef SOCKWARDEN_WORKER_METRICS_H
#define SOCKWARDEN_WORKER_METRICS_H

#include <stdint.h>

/* X(group, what it counts): what stands before the point of a name */
#define METRIC_GROUPS(X)                            \
	X("conn", "the books of connections")       \
	X("clients", "who asks for deltas")         \
	X("intake", "what is read from rings")      \
	X("bpf", "the programs in the kernel")      \
	X("udp", "UDP's flows")                     \
	X("nat", "translations of addresses")       \
	X("dns", "queries, answers and names")      \
	X("names", "names of addresses")            \
	X("snapshot", "snapshots of what lives")    \
	X("publish", "messages and who subscribes") \
	X("query", "requests")                      \
	X("record", "recordings of what the worker reads")

/* X(symbol, published name, kind); the counters of a group stand together, and so do its gauges */
#define METRICS(X)                                                                                \
	X(CONN_OPENED, "conn.opened", COUNTER)		   /* conn_counters.opened of all CPUs */ \
	X(CONN_CLOSED, "conn.closed", COUNTER)		   /* handoff_resume.closed */            \
	X(CONN_INFERRED, "conn.inferred", COUNTER)	   /* handoff_resume.inferred */          \
	X(CONN_LATE_CLOSE, "conn.late_close", COUNTER)	   /* closes after their inference */     \
	X(CONN_TABLE_FULL, "conn.table_full", COUNTER)	   /* live connections without a place */ \
	X(CONN_PUBLISHED, "conn.published", COUNTER)	   /* closed ones that were told */       \
	X(CONN_EXCLUDED, "conn.excluded", COUNTER)	   /* closed ones that are not to be */   \
	X(CONN_CLOSED_TWICE, "conn.closed_twice", COUNTER) /* reported again */                   \
	X(CONN_DIRECTION_FIXES, "conn.direction_fixes", COUNTER)                                  \
	X(CLIENTS_EXPIRED, "clients.expired", COUNTER)                                            \
	X(CLIENTS_REFUSED, "clients.refused", COUNTER)                                            \
	X(CLIENTS_OVERFLOWED, "clients.overflowed", COUNTER) /* told without their detail */      \
	X(INTAKE_RECORDS, "intake.records", COUNTER)                                              \
	X(INTAKE_BATCHES, "intake.batches", COUNTER)                                              \
	X(INTAKE_LONE, "intake.lone", COUNTER)                                                    \
	X(INTAKE_BATCH_GAPS, "intake.batch_gaps", COUNTER)                                        \
	X(INTAKE_LOST_RECORDS, "intake.lost_records", COUNTER) /* handoff_resume.lost */          \
	X(INTAKE_PERF_LOST, "intake.perf_lost", COUNTER)       /* as PERF_RECORD_LOST says */     \
	X(INTAKE_MALFORMED, "intake.malformed", COUNTER)                                          \
	X(INTAKE_DUPLICATES, "intake.duplicates", COUNTER)                                        \
	X(BPF_RING_FULL, "bpf.ring_full", COUNTER)                                                \
	X(BPF_OUTPUT_ERRORS, "bpf.output_errors", COUNTER)                                        \
	X(BPF_STORAGE_FAILED, "bpf.storage_failed", COUNTER)                                      \
	X(BPF_SECOND_CHANCE, "bpf.second_chance", COUNTER)                                        \
	X(BPF_THIRD_CHANCE, "bpf.third_chance", COUNTER)                                          \
	X(BPF_ENDS_MISSED, "bpf.ends_missed", COUNTER)                                            \
	X(BPF_NO_FACTS, "bpf.no_facts", COUNTER)                                                  \
	X(BPF_LONE, "bpf.lone", COUNTER)                                                          \
	X(BPF_MISSED_RUNS, "bpf.missed_runs", COUNTER) /* of all programs, by the last PONG */    \
	X(UDP_SWEEPS, "udp.sweeps", COUNTER)                                                      \
	X(UDP_ORPHANED, "udp.orphaned", COUNTER)                                                  \
	X(UDP_EVICTED, "udp.evicted", COUNTER)                                                    \
	X(UDP_OVERFLOW_SENT_BYTES, "udp.overflow_sent_bytes", COUNTER)                            \
	X(UDP_OVERFLOW_RECV_BYTES, "udp.overflow_recv_bytes", COUNTER)                            \
	X(UDP_OVERFLOW_SENT_PACKETS, "udp.overflow_sent_packets", COUNTER)                        \
	X(UDP_OVERFLOW_RECV_PACKETS, "udp.overflow_recv_packets", COUNTER)                        \
	X(NAT_EVENTS, "nat.events", COUNTER)                                                      \
	X(NAT_UNTRANSLATED, "nat.untranslated", COUNTER)                                          \
	X(NAT_REGISTERED, "nat.registered", COUNTER)                                              \
	X(NAT_DESTROYED, "nat.destroyed", COUNTER)                                                \
	X(NAT_EVICTED, "nat.evicted", COUNTER)                                                    \
	X(NAT_UNMATCHED, "nat.unmatched", COUNTER)                                                \
	X(NAT_FOUND, "nat.found", COUNTER)                                                        \
	X(NAT_AMBIGUOUS, "nat.ambiguous", COUNTER)                                                \
	X(NAT_OVERRUNS, "nat.overruns", COUNTER) /* ENOBUFS */                                    \
	X(NAT_ERRORS, "nat.errors", COUNTER)                                                      \
	X(NAT_FOREIGN, "nat.foreign", COUNTER)                                                    \
	X(NAT_TRUNCATED, "nat.truncated", COUNTER)                                                \
	X(NAT_BAD_HEADER, "nat.bad_header", COUNTER)                                              \
	X(NAT_BAD_KIND, "nat.bad_kind", COUNTER)                                                  \
	X(NAT_BAD_ATTRIBUTE, "nat.bad_attribute", COUNTER)                                        \
	X(NAT_BAD_TUPLE, "nat.bad_tuple", COUNTER)                                                \
	X(DNS_CAPTURED, "dns.captured", COUNTER)	 /* packets, by the socket filter */      \
	X(DNS_CAPTURE_LOST, "dns.capture_lost", COUNTER) /* of these: no room in a ring */        \
	X(DNS_FRAGMENTS, "dns.fragments", COUNTER)	 /* behind the first: without ports */    \
	X(DNS_BAD_PACKETS, "dns.bad_packets", COUNTER)	 /* headers that are cut or wrong */      \
	X(DNS_PACKETS, "dns.packets", COUNTER)		 /* that were looked at */                \
	X(DNS_DUPLICATES, "dns.duplicates", COUNTER)	 /* on another interface */               \
	X(DNS_OTHER_PORTS, "dns.other_ports", COUNTER)                                            \
	X(DNS_MESSAGES, "dns.messages", COUNTER)                                                  \
	X(DNS_CUT, "dns.cut", COUNTER)                                                            \
	X(DNS_TRUNCATED, "dns.truncated", COUNTER)                                                \
	X(DNS_OTHER_TYPES, "dns.other_types", COUNTER)                                            \
	X(DNS_LOCAL, "dns.local", COUNTER)                                                        \
	X(DNS_QUERIES, "dns.queries", COUNTER)                                                    \
	X(DNS_RETRIES, "dns.retries", COUNTER)                                                    \
	X(DNS_ANSWERS, "dns.answers", COUNTER)                                                    \
	X(DNS_TIMEOUTS, "dns.timeouts", COUNTER)                                                  \
	X(DNS_LATE, "dns.late", COUNTER)                                                          \
	X(DNS_UNMATCHED, "dns.unmatched", COUNTER)                                                \
	X(DNS_EVICTED, "dns.evicted", COUNTER) /* queries */                                      \
	X(DNS_STATS_EVICTED, "dns.stats_evicted", COUNTER)                                        \
	X(DNS_CONVERSATIONS_EVICTED, "dns.conversations_evicted", COUNTER)                        \
	X(DNS_REJECTED_SHORT, "dns.rejected_short", COUNTER)                                      \
	X(DNS_REJECTED_OPCODE, "dns.rejected_opcode", COUNTER)                                    \
	X(DNS_REJECTED_QUESTIONS, "dns.rejected_questions", COUNTER)                              \
	X(DNS_REJECTED_CLASS, "dns.rejected_class", COUNTER)                                      \
	X(DNS_REJECTED_CUT, "dns.rejected_cut", COUNTER)                                          \
	X(DNS_REJECTED_NAME_LONG, "dns.rejected_name_long", COUNTER)                              \
	X(DNS_REJECTED_NAME_LABEL, "dns.rejected_name_label", COUNTER)                            \
	X(DNS_REJECTED_NAME_POINTER, "dns.rejected_name_pointer", COUNTER)                        \
	X(DNS_REJECTED_RDATA, "dns.rejected_rdata", COUNTER)                                      \
	X(DNS_REJECTED_OPT, "dns.rejected_opt", COUNTER)                                          \
	X(NAMES_LOOKUPS, "names.lookups", COUNTER)                                                \
	X(NAMES_HITS, "names.hits", COUNTER)                                                      \
	X(NAMES_ADDED, "names.added", COUNTER)                                                    \
	X(NAMES_EXPIRED, "names.expired", COUNTER)                                                \
	X(NAMES_EVICTED, "names.evicted", COUNTER) /* addresses */                                \
	X(NAMES_DROPPED, "names.dropped", COUNTER) /* of an address, or of all */                 \
	X(NAMES_REFUSED, "names.refused", COUNTER)                                                \
	X(SNAPSHOT_PASSES, "snapshot.passes", COUNTER)                                            \
	X(SNAPSHOT_RECORDS, "snapshot.records", COUNTER)                                          \
	X(SNAPSHOT_ERRORS, "snapshot.errors", COUNTER)                                            \
	X(PUBLISH_MESSAGES, "publish.messages", COUNTER)                                          \
	X(PUBLISH_BYTES, "publish.bytes", COUNTER)                                                \
	X(PUBLISH_RECORDS, "publish.records", COUNTER)                                            \
	X(PUBLISH_REJECTED, "publish.rejected", COUNTER) /* connections over the limit */         \
	X(PUBLISH_QUEUED, "publish.queued", COUNTER)	 /* once for each subscriber */           \
	X(PUBLISH_DROPPED, "publish.dropped", COUNTER)	 /* by full queues, at least */           \
	X(QUERY_REQUESTS, "query.requests", COUNTER)                                              \
	X(QUERY_REFUSED, "query.refused", COUNTER)                                                \
	X(RECORD_SPOILT, "record.spoilt", COUNTER)                                                \
	X(CONN_LIVE, "conn.live", GAUGE)	 /* in the last snapshot */                       \
	X(CONN_TRACKED, "conn.tracked", GAUGE)	 /* places of the table in use */                 \
	X(CONN_CAPACITY, "conn.capacity", GAUGE) /* places of the table */                        \
	X(CLIENTS_REGISTERED, "clients.registered", GAUGE)                                        \
	X(CLIENTS_WAITING, "clients.waiting", GAUGE) /* closed ones in the log */                 \
	X(NAT_ENTRIES, "nat.entries", GAUGE)                                                      \
	X(NAT_ENDED, "nat.ended", GAUGE) /* of these: kept after their end */                     \
	X(NAT_CAPACITY, "nat.capacity", GAUGE)                                                    \
	X(DNS_IN_FLIGHT, "dns.in_flight", GAUGE)                                                  \
	X(DNS_STATS, "dns.stats", GAUGE) /* rows */                                               \
	X(DNS_CONVERSATIONS, "dns.conversations", GAUGE)                                          \
	X(NAMES_ADDRESSES, "names.addresses", GAUGE)                                              \
	X(PUBLISH_SUBSCRIBERS, "publish.subscribers", GAUGE)

enum metric {
#define METRIC_SYMBOL(symbol, name, kind) METRIC_##symbol,
	METRICS(METRIC_SYMBOL)
#undef METRIC_SYMBOL
	METRIC_COUNT
};

enum metric_kind {
	METRIC_KIND_COUNTER,
	METRIC_KIND_GAUGE,
};

struct metrics {
	uint64_t value[METRIC_COUNT];
};

struct metric_group {
	const char *name;
	const char *meaning;
};

/* All groups; name NULL at the end. */
extern const struct metric_group metric_groups[];

/* The published name, such as "conn.opened". */
const char *metric_name(enum metric metric);

enum metric_kind metric_kind(enum metric metric);

#endif

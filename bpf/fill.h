/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A socket's numbers as a record: addresses, TCP's own counters with the sequence numbers of SYN and
 * FIN taken out, and the facts that were kept. Nothing here decides whether a record is made.
 *
 * Included once for each way of reading a socket: READ() is the way, FOLLOW() that to what it points to,
 * FILL() names the functions.
 */

#include "bpf/facts.h"

static __always_inline bool FILL(ipv6_is_mapped)(const u8 ip[16])
{
	const u32 *words = (const u32 *)ip;

	return words[0] == 0 && words[1] == 0 && words[2] == bpf_htonl(0xffff);
}

/* Addresses and ports; IPv4-mapped ones as IPv4. */
static __always_inline void FILL(record_tuple)(struct conn_record *record,
					       const struct tcp_sock *tp)
{
	const struct sock *sk = (const struct sock *)tp;
	u32 *local = (u32 *)record->local_ip, *remote = (u32 *)record->remote_ip;

	record->local_port = bpf_ntohs(READ(tp, inet_conn.icsk_inet.inet_sport));
	record->remote_port = bpf_ntohs(READ(tp, inet_conn.icsk_inet.sk.__sk_common.skc_dport));
	record->family = RECORD_FAMILY_IPV4;
	if (READ(tp, inet_conn.icsk_inet.sk.__sk_common.skc_family) == AF_INET6) {
		BPF_CORE_READ_INTO(&record->remote_ip, sk, __sk_common.skc_v6_daddr);
		if (!FILL(ipv6_is_mapped)(record->remote_ip)) {
			BPF_CORE_READ_INTO(&record->local_ip, sk, __sk_common.skc_v6_rcv_saddr);
			record->family = RECORD_FAMILY_IPV6;
			return;
		}
	}
	local[0] = READ(tp, inet_conn.icsk_inet.sk.__sk_common.skc_rcv_saddr);
	remote[0] = READ(tp, inet_conn.icsk_inet.sk.__sk_common.skc_daddr);
	local[1] = local[2] = local[3] = 0;
	remote[1] = remote[2] = remote[3] = 0;
}

/*
 * Whether our FIN, which takes one number of the sequence space, was acknowledged. Once it is
 * queued it is the last thing written, so everything being acknowledged includes it.
 */
static __always_inline bool FILL(fin_is_acked)(const struct tcp_sock *tp, u8 state, bool fin_sent)
{
	if (state == TCP_FIN_WAIT2)
		return true;
	if (state != TCP_FIN_WAIT1 && state != TCP_CLOSING && state != TCP_LAST_ACK &&
	    !(state == TCP_CLOSE && fin_sent))
		return false;
	return READ(tp, snd_una) == READ(tp, write_seq);
}

/*
 * Payload that the peer acknowledged, computed without bytes_acked: what was sent once, less what
 * is on its way. A FIN that is on its way takes one number as well; it is when nothing that was
 * written waits to be sent.
 */
static __always_inline u64 FILL(sent_and_acked)(const struct tcp_sock *tp, bool fin_unacked)
{
	u64 sent = READ(tp, bytes_sent) - READ(tp, bytes_retrans);
	u32 on_the_way = READ(tp, snd_nxt) - READ(tp, snd_una);

	if (fin_unacked && on_the_way && READ(tp, snd_nxt) == READ(tp, write_seq))
		on_the_way--;
	return sent > on_the_way ? sent - on_the_way : 0;
}

/*
 * The side that sent the SYN counts its number in bytes_acked (RFC 9293 3.4, tcp_ack), the side
 * that answered does not. For a connection whose beginning was not seen that tells the sides
 * apart. Only meant for states in which no FIN was sent.
 */
static __always_inline u8 FILL(direction_by_syn)(const struct tcp_sock *tp)
{
	u64 syn = READ(tp, bytes_acked) - FILL(sent_and_acked)(tp, false);

	if (syn == 1)
		return RECORD_DIRECTION_OUTGOING;
	if (syn == 0)
		return RECORD_DIRECTION_INCOMING;
	return RECORD_DIRECTION_UNKNOWN;
}

/* Whether a FIN was acknowledged, of a closed socket of which nobody saw it being sent: bytes_acked has its number. */
static __always_inline bool FILL(has_fin_number)(const struct tcp_sock *tp, u8 direction)
{
	u64 numbers = READ(tp, bytes_acked) - FILL(sent_and_acked)(tp, false);

	return direction != RECORD_DIRECTION_UNKNOWN &&
	       numbers == (direction == RECORD_DIRECTION_OUTGOING ? 2 : 1);
}

/* Counters of tcp_sock, with the sequence numbers of SYN and FIN taken out of the bytes. */
static __always_inline void FILL(record_numbers)(struct conn_record *record,
						 const struct tcp_sock *tp, u8 state, bool fin_sent)
{
	const struct sock *sk = (const struct sock *)tp;
	u64 acked = READ(tp, bytes_acked), received = READ(tp, bytes_received);
	u64 sk_flags = READ(tp, inet_conn.icsk_inet.sk.__sk_common.skc_flags);

	if (sk_flags >> SOCK_DONE_BIT & 1) {
		record->flags |= RECORD_FIN_RECEIVED;
		received -= received > 0;
	}
	if (FILL(fin_is_acked)(tp, state,
			       fin_sent || (state == TCP_CLOSE &&
					    FILL(has_fin_number)(tp, record->direction)))) {
		record->flags |= RECORD_FIN_ACKED;
		acked -= acked > 0;
	}
	if (record->direction == RECORD_DIRECTION_UNKNOWN && state != TCP_SYN_SENT) {
		bool fin_unacked = fin_sent && !(record->flags & RECORD_FIN_ACKED);
		u64 payload = FILL(sent_and_acked)(tp, fin_unacked);

		/* As in direction_by_syn(). A sum that does not fit holds segments that never left. */
		if (acked == payload + 1)
			record->direction = RECORD_DIRECTION_OUTGOING;
		else if (acked == payload)
			record->direction = RECORD_DIRECTION_INCOMING;
	}
	if (record->direction == RECORD_DIRECTION_OUTGOING)
		acked -= acked > 0;
	record->sent_bytes = acked;
	record->recv_bytes = received;
	record->sent_packets = READ(tp, segs_out);
	record->recv_packets = READ(tp, segs_in);
	record->retransmits = READ(tp, total_retrans);
	record->srtt_us = READ(tp, srtt_us) >> 3;   /* kept times eight */
	record->rttvar_us = READ(tp, mdev_us) >> 2; /* kept times four */
	record->error = (u16)READ(sk, sk_err);
}

static __always_inline void FILL(record_process)(struct conn_record *record,
						 const struct process *process, u8 pid_source)
{
	record->pid_source = pid_source;
	record->pid = process->pid;
	record->uid = process->uid;
	record->cgroup_id = process->cgroup_id;
	record->start_ns = process->start_ns;
	__builtin_memcpy(record->comm, process->comm, sizeof(record->comm));
}

/*
 * Writes a record, all but its kind and time, over whatever was there. facts may be NULL: then the
 * record says what the socket alone can tell.
 */
static __noinline int FILL(record_fill)(struct conn_record *record, const struct tcp_sock *tp,
					const struct facts *facts, u32 state, u32 flags)
{
	const struct net *net = READ(tp, inet_conn.icsk_inet.sk.__sk_common.skc_net.net);
	bool fin_sent = state == TCP_FIN_WAIT1 || state == TCP_FIN_WAIT2 || state == TCP_CLOSING ||
			state == TCP_LAST_ACK;

	record->version = RECORD_VERSION;
	record->tcp_state = state;
	record->flags = flags;
	record->protocol = IPPROTO_TCP;
	record->end = RECORD_END_NONE;
	record->pad0 = 0;
	record->pad1 = 0;
	record->netns = FOLLOW(net, ns.inum);
	FILL(record_tuple)(record, tp);
	if (facts) {
		record->id = facts->id;
		record->opened_ns = facts->opened_ns;
		record->direction = facts->direction;
		if (facts->established)
			record->flags |= RECORD_ESTABLISHED;
		if (facts->preexisting)
			record->flags |= RECORD_PREEXISTING;
		record->handshake_us = facts->handshake_us;
		FILL(record_process)(record, &facts->process, facts->pid_source);
		fin_sent |= facts->fin_sent;
	} else {
		static const struct process nobody;

		record->id = 0; /* its socket's, which the caller knows how to get */
		record->opened_ns = 0;
		record->direction = RECORD_DIRECTION_UNKNOWN;
		record->handshake_us = 0;
		FILL(record_process)(record, &nobody, RECORD_PID_NONE);
	}
	FILL(record_numbers)(record, tp, state, fin_sent);
	return 0;
}

/*
 * The time of a close. Where a packet of the peer's or a timer ends the connection TCP has just
 * taken the time; elsewhere the clock is read.
 */
static __always_inline u64 FILL(closed_ns)(const struct tcp_sock *tp, u8 state, u8 flags)
{
	if (!(flags & (RECORD_CLOSED_LOCALLY | RECORD_SECOND_CHANCE)) &&
	    (state == TCP_FIN_WAIT1 || state == TCP_FIN_WAIT2 || state == TCP_CLOSING ||
	     state == TCP_LAST_ACK))
		return READ(tp, tcp_mstamp) * 1000;
	return bpf_ktime_get_ns();
}

#undef FILL

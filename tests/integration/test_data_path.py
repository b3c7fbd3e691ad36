# SPDX-License-Identifier: Apache-2.0
"""What TCP counts while data flows, and that no program of ours runs for it."""
import json
import pathlib
import subprocess
import threading

import pytest

from harness.scale import program, scaled, wait_until
from harness.sockets import (anyone, connect, drop_received, incoming, kernel_counter, key_of,
                             listen, outgoing, receive_exactly, sent_and_received, ss,
                             start_program, total_retransmits, wait_acknowledged)


def test_retransmits_are_what_tcp_counts(tracer, netns):
    namespace = netns("lossy")
    listener = listen(namespace, "127.0.0.1", 7800)
    client = connect(namespace, "127.0.0.1", 7800)
    server, _ = listener.accept()
    drop_received(server, 10)
    size = scaled(20_000_000, 3_000_000)
    reader = threading.Thread(target=receive_exactly, args=(server, size))
    reader.start()
    client.sendall(b"x" * size)
    reader.join()
    client.shutdown(1)
    assert server.recv(1) == b""
    server.close()
    assert client.recv(1) == b""
    by_tcp = total_retransmits(client)
    client.close()
    listener.close()
    connection, = tracer.events.wait_closed(outgoing(namespace, 7800))
    assert by_tcp > 0, "nothing was lost, so this shows nothing"
    assert connection["total"]["retransmits"] == by_tcp
    # The namespace held this connection only; its server's FIN may have been sent again too.
    other, = tracer.events.wait_closed(incoming(namespace, 7800))
    assert (by_tcp + other["total"]["retransmits"]
            == kernel_counter(namespace, "TcpRetransSegs"))
    assert sent_and_received(connection) == (size, 0)
    assert sent_and_received(other) == (0, size)


def test_a_snapshot_agrees_with_ss(tracer, netns):
    namespace = netns("many")
    count = scaled(2000, 100)
    holder, first = start_program(namespace, program("holder"), str(count), "7900")
    client_pid, server_pid = int(first[1]), int(first[2])
    live = {key_of(c): c for c in tracer.snapshot() if anyone(namespace)(c)}
    witness = ss(namespace)
    assert len(live) == 2 * count and live.keys() == witness.keys()
    for key, facts in witness.items():
        connection = live[key]
        is_client = connection["direction"] == "outgoing"
        # The kernel's own counter includes the SYN of the side that connected.
        acknowledged = int(facts["bytes_acked"]) - (1 if is_client else 0)
        assert sent_and_received(connection) == (acknowledged, int(facts["bytes_received"]))
        assert connection["total"]["sent_packets"] == int(facts["segs_out"])
        assert connection["total"]["recv_packets"] == int(facts["segs_in"])
        rtt, variance = (float(value) * 1000 for value in facts["rtt"].split("/"))
        assert abs(connection["rtt_us"] - rtt) <= 1 and abs(connection["rtt_var_us"] - variance) <= 1
        assert connection["rtt_us"] > 0
        assert connection["pid"] == (client_pid if is_client else connection["pid"])
        if not is_client:
            assert connection["pid"] == server_pid or connection["pid_source"] == "listener"

    one = next(iter(live.values()))
    filtered = tracer.snapshot(filter=f"local.port == {one['local']['port']}"
                                      f" and local.ip == {one['local']['ip']}"
                                      f" and netns == {namespace.inode}")
    assert {c["id"] for c in filtered} >= {one["id"]}
    assert all(c["local"] == one["local"] for c in filtered)

    holder.stdin.close()
    holder.wait(30)
    ended = tracer.events.wait_closed(anyone(namespace), 2 * count, 10)
    assert {c["id"] for c in ended} == {c["id"] for c in live.values()}
    for connection in ended:
        before = live[key_of(connection)]
        assert sent_and_received(connection) == sent_and_received(before)


@pytest.fixture
def statistics():
    """The kernel counts the runs of BPF programs while this lives."""
    switch = pathlib.Path("/proc/sys/kernel/bpf_stats_enabled")
    before = switch.read_text(encoding="ascii")
    switch.write_text("1", encoding="ascii")
    assert switch.read_text(encoding="ascii").strip() == "1"
    yield
    switch.write_text(before, encoding="ascii")


def bpftool(kind, number):
    output = subprocess.run(["bpftool", "-j", kind, "show", "id", str(number)],
                            capture_output=True, check=True).stdout
    return json.loads(output)


def run_counts(daemon):
    """Runs of each program that is attached by a link of a process; iterators run when they are read."""
    links = [bpftool("link", number) for number in daemon.bpf_objects()["link_id"]]
    programs = [bpftool("prog", link["prog_id"]) for link in links if link["type"] != "iter"]
    return {f"{program['name']} {program['id']}": program.get("run_cnt", 0) for program in programs}


def changes(tracer):
    """Connections of the whole machine that have begun, and that have ended."""
    connections = tracer.status()["connections"]
    return connections["opened"] + connections["closed"]


def test_no_program_runs_per_send_or_receive(tracer, netns, statistics):
    """Only state changes run them, at most 12 for a connection; those of the whole machine count."""
    namespace = netns("bulk")
    listener = listen(namespace, "127.0.0.1", 7950)
    client = connect(namespace, "127.0.0.1", 7950)
    server, _ = listener.accept()
    changes_before, before = changes(tracer), run_counts(tracer.privd)
    assert len(before) >= 2

    rounds = scaled(20000, 2000)
    for _ in range(rounds):
        client.send(b"x" * 64)
        receive_exactly(server, 64)
        server.send(b"y" * 64)
        receive_exactly(client, 64)
    bulk = scaled(500_000_000, 20_000_000)
    reader = threading.Thread(target=receive_exactly, args=(server, bulk))
    reader.start()
    block = memoryview(bytes(1 << 20))
    left = bulk
    while left:
        left -= client.send(block[:min(left, len(block))])
    reader.join()

    after, changed = run_counts(tracer.privd), changes(tracer) - changes_before
    # UDP's programs at the root control group also run for TCP's packets, and look at one byte.
    grown = {name: after[name] - before[name] for name in after
             if name.split()[0] not in ("skb_sent", "skb_received")}
    # 4 calls a round: even one program on one of them would run `rounds` times.
    assert max(grown.values()) < rounds // 10 + 6 * changed, (grown, changed)

    wait_acknowledged(client, server)
    live, = [c for c in tracer.snapshot() if outgoing(namespace, 7950)(c)]
    assert sent_and_received(live) == (rounds * 64 + bulk, rounds * 64)
    for sock in (client, server, listener):
        sock.close()
    tracer.events.wait_closed(outgoing(namespace, 7950))
    # And runs are counted at all: closing took some.
    assert sum(run_counts(tracer.privd).values()) > sum(after.values())


def test_meta_messages_carry_the_counters(tracer, box):
    """One comes when a subscriber joins, so a second subscriber gets the counters of now."""
    listener = listen(box, "127.0.0.1")
    connect(box, *listener.getsockname()).close()
    listener.close()
    tracer.settle()
    second = tracer.subscribe(("meta.v1 ",))
    try:
        meta = second.wait(lambda: second.topic("meta.v1"), 5, "meta.v1 on connect")[0]
    finally:
        second.close()
    assert meta["schema"] == "meta.v1" and meta["health"] == "good"
    assert meta["counters"]["conn.closed"] > 0
    assert meta["gauges"]["publish.subscribers"] >= 2
    assert meta["host"] and len(meta["instance"]) == 16 and int(meta["ts_ns"]) > 1.7e18


def test_messages_keep_their_size_and_their_schema(tracer):
    messages = tracer.events.topic("conn.v1")
    assert messages
    for message in messages:
        assert message["schema"] == "conn.v1" and message["_length"] <= 65536
        assert message["connections"]


def test_a_plain_nngcat_reads_it(tracer, box):
    """Any nng subscriber will do; its raw output is `topic {object}`."""
    plain = subprocess.Popen(
        ["nngcat", "--sub", "--dial", f"ipc://{tracer.runtime_dir}/events.sock", "--subscribe",
         "conn.v1 ", "--raw", "--count", "1"], stdout=subprocess.PIPE)
    listener = listen(box, "127.0.0.1", 7960)

    def has_one():
        # It may have joined after a close was told, so there is another one each time.
        connect(box, "127.0.0.1", 7960).close()
        return plain.poll() is not None
    wait_until(has_one, 10, "a message", 0.2)
    listener.close()
    output = plain.stdout.read()
    topic, _, text = output.partition(b" ")
    assert topic == b"conn.v1"
    value, _ = json.JSONDecoder().raw_decode(text.decode())
    assert value["schema"] == "conn.v1" and value["connections"]

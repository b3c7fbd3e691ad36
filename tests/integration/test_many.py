# SPDX-License-Identifier: Apache-2.0
"""More live connections at once than the programs' table of sockets has room for without spilling."""
import collections
import itertools
import json

from harness.scale import program, scaled, wait_until
from harness.sockets import anyone, key_of, outgoing, sent_and_received, ss, start_program

# With both ends of each, enough for some of the table's sets to overflow; tests/bench/live has 100,000.
CONNECTIONS = scaled(20000, 6000)
# Each holder has so many at most that its end fits into one CPU's ring.
PORTS = {7900 + i: min(6000, CONNECTIONS - i * 6000) for i in range(-(-CONNECTIONS // 6000))}


def test_all_of_very_many_live_connections_are_listed_and_closed(tracer, own_tracer, netns):
    shared = tracer
    box = netns("many")
    tracer = own_tracer(config={"state.max_connections": 262144, "publish.interval_s": 3600})
    tracer.start_privd()
    tracer.start_worker()
    started = {port: start_program(box, program("holder"), str(count), str(port))
               for port, count in PORTS.items()}
    client_pids = {port: int(first[1]) for port, (_, first) in started.items()}

    listed = tracer.command("conns", "--json", "--filter", f"netns == {box.inode}", timeout=300)
    assert (listed.returncode, listed.stderr) == (0, "")
    live = [json.loads(line) for line in listed.stdout.splitlines()]
    sides = collections.Counter(c["direction"] for c in live)
    assert sides == {"outgoing": CONNECTIONS, "incoming": CONNECTIONS}
    by_key = {key_of(c): c for c in live}
    assert len(by_key) == 2 * CONNECTIONS
    witness = ss(box)
    assert by_key.keys() == witness.keys()
    for key in itertools.islice(sorted(by_key), 0, None, max(1, CONNECTIONS // 200)):
        connection, known = by_key[key], witness[key]
        # ss counts the SYN in what was acknowledged of who sent it.
        syn = int(connection["direction"] == "outgoing")
        assert sent_and_received(connection) == (
            int(known["bytes_acked"]) - syn, int(known["bytes_received"])), connection
        if syn:
            assert connection["pid"] == client_pids[connection["remote"]["port"]]
            assert connection["comm"] == "holder"

    before = tracer.status()
    for holder, _ in started.values():
        holder.stdin.close()
        holder.wait(60)

    def books():
        # Also lets the programs look for the ends that the kernel did not run them for.
        tracer.query({"op": "snapshot"}, 60)
        status = tracer.status()
        closed, inferred = (status["connections"][name] - before["connections"][name]
                            for name in ("closed", "inferred"))
        return closed, inferred, status

    # Nothing else connects here but what other tests left behind.
    wait_until(lambda: books()[0] >= 2 * CONNECTIONS, 90, f"all closed: {books()[:2]}", 0.5)
    _, inferred, status = books()
    # What had to be inferred is what the kernel hid from the programs three times, which is counted.
    missed = status["counters"]["bpf.ends_missed"]
    assert inferred <= missed and status["counters"]["bpf.storage_failed"] == 0, status
    assert missed or not status["loss"]["budget_exceeded"], status
    # The shared pair, whose subscriber has the same to read, has told each once.
    closed = shared.events.wait_closed(anyone(box), 2 * CONNECTIONS, 60)
    assert len(closed) == 2 * CONNECTIONS
    for port, count in PORTS.items():
        ours = [c for c in closed if outgoing(box, port)(c)]
        assert len(ours) == count and {c["pid"] for c in ours} == {client_pids[port]}

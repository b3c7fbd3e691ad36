# SPDX-License-Identifier: Apache-2.0
"""The worker's memory stays below what `sockwarden config check` prints, with everything full."""
import json
import subprocess

import pytest

from harness import sp
from harness.scale import binary, is_sanitized, program, scaled, wait_until
from harness.sockets import anyone, start_program

QUEUE = scaled(128, 32)
PEERS = 32  # that either socket takes; one place is left to the test itself
TABLE = scaled(8192, 1024)


def bound_of(tracer):
    """What the command says, row by row and in all, in bytes."""
    result = subprocess.run(
        [binary("cli/sockwarden"), "config", "check", tracer.write_config(), "--json"],
        capture_output=True, text=True, check=True)
    answer = json.loads(result.stdout)
    return answer["memory_bytes"], {row["what"]: row["bytes"] for row in answer["memory"]}


def resident(worker, what="VmRSS"):
    return int(worker.status()[what].split()[0]) * 1024


def waste_requests(tracer):
    """So many requesters as there may be, each with a long answer that it does not read."""
    peers = [sp.Peer(tracer.runtime_dir / "query.sock", sp.REQ) for _ in range(PEERS - 1)]
    for peer in peers:
        peer.ask({"op": "config"})
        peer.ask({"op": "snapshot"})
        peer.send(b'{"op":"snapshot","filter":"' + b"(" * 16000 + b'"}')
        peer.send(b"[" * 60000)
    return peers


@pytest.mark.skipif(is_sanitized(), reason="a sanitizer takes memory of its own")
def test_full_tables_stay_below_the_printed_bound(own_tracer, netns):
    excludes = {f"2001:db8:{i:x}:1111:2222:3333:4444:5555": ["tcp 10000-20000"]
                for i in range(1024)}
    tracer = own_tracer(config={
        "state.max_connections": TABLE, "publish.queue": QUEUE, "publish.interval_s": 1,
        "exclude.source": excludes, "exclude.destination": excludes})
    bound, rows = bound_of(tracer)
    tracer.start()
    idle = resident(tracer.worker)
    deaf = [sp.Peer(tracer.runtime_dir / "events.sock", sp.SUB) for _ in range(PEERS - 1)]
    box = netns("full")
    started = [start_program(box, program("holder"), str(TABLE // 2 + 500), str(port))
               for port in (7900, 7901)]
    wait_until(lambda: tracer.status()["counters"]["conn.table_full"] > 0, 10, "a full table")
    with_table = resident(tracer.worker)
    wasters = waste_requests(tracer)
    messages = tracer.status()["counters"]["publish.messages"]
    for holder, _ in started:
        holder.stdin.close()
        holder.wait(60)
    tracer.events.wait_count(anyone(box), 4 * (TABLE // 2 + 500), 60)
    status = tracer.status()
    full = resident(tracer.worker)
    peak = resident(tracer.worker, "VmHWM")
    print(f"idle {idle >> 10} KiB, full table {with_table >> 10} KiB, full queues {full >> 10} KiB, "
          f"peak {peak >> 10} KiB, bound {bound >> 10} KiB: {rows}")
    assert status["gauges"]["publish.subscribers"] == PEERS
    assert status["gauges"]["conn.capacity"] == TABLE
    # The table was really full, and so were the queues: what they hold is in the peak.
    assert with_table - idle > rows["live connections"] * 0.8
    assert status["counters"]["publish.messages"] - messages > QUEUE
    assert full - with_table > QUEUE * 16384
    assert peak < bound
    # Deaf subscribers and requesters cost the others nothing.
    assert not tracer.events.holes() and tracer.status()["health"] == "good"
    for peer in deaf + wasters:
        peer.close()

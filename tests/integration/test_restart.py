# SPDX-License-Identifier: Apache-2.0
"""Either process may die at any moment: nothing is told twice, nothing that was kept is missing."""
import json
import os
import pwd
import signal
import socket
import subprocess

from harness.scale import SLOW, program, scaled, wait_until
from harness.sockets import anyone, run_program, sent_and_received, start_program

# What a worker has made into messages and nng has not yet sent is lost with it: on a fast one two messages, which
# hold so many; a slow one (sanitizers, emulation) has more of them waiting.
IN_HAND = 2 * 120


def may_be_lost(kills, ends):
    """Ends of connections that may be missing after so many kills under load; never more than a half."""
    return ends // 2 if SLOW > 1 else kills * IN_HAND


def compare(events, box, made, may_miss=0):
    """Every connection of exact's report came on both sides, each once, to the byte."""
    found = events.closed_where(anyone(box))
    assert not events.duplicates()
    clients = {c["local"]["ip"]: c for c in found if c["direction"] == "outgoing"}
    servers = {c["remote"]["ip"]: c for c in found if c["direction"] == "incoming"}
    missing = 0
    for _, address, _, _, client_wrote, server_wrote in made:
        numbers = (int(client_wrote), int(server_wrote))
        for side, want in ((clients, numbers), (servers, numbers[::-1])):
            if address in side:
                assert sent_and_received(side[address]) == want
            else:
                missing += 1
    assert missing <= may_miss, f"{missing} connection ends are missing"
    assert len(found) == 2 * len(made) - missing
    return missing


def test_a_worker_killed_while_it_stands_still_loses_nothing(own_tracer, netns):
    """SIGSTOP, thousands of closes into the rings, kill -9, a new worker: all is told once."""
    box = netns("stopped")
    # Room for what others on this machine close meanwhile.
    tracer = own_tracer(privd_options=["--ring-pages", "16384"]).start()
    made = run_program(box, program("exact"), "4", str(scaled(500, 64)), "0", "9200")
    tracer.events.wait_closed(anyone(box), 2 * len(made))
    tracer.settle()
    tracer.pause_worker()
    count = scaled(6000, 400)
    made += run_program(box, program("exact"), "4", str(count), "10000", "9200")
    tracer.worker.kill()
    tracer.start_worker()
    tracer.events.wait_count(anyone(box), 2 * len(made), 15)
    tracer.settle()
    compare(tracer.events, box, made)
    assert len({c["_instance"] for c in tracer.events.closed}) == 2
    assert not tracer.events.holes()

    def balanced():
        connections = tracer.status()["connections"]
        return connections if connections["unaccounted"] == 0 else None
    connections = wait_until(balanced, 5, "unaccounted 0")
    assert connections["closed"] >= 2 * len(made) and connections["inferred"] == 0
    assert set(tracer.status()["loss"]["stages"].values()) == {0}


def test_a_worker_killed_under_load_tells_nothing_twice(own_tracer, netns, tmp_path):
    box = netns("killed")
    # Room for what closes while subscribers dial again.
    tracer = own_tracer(privd_options=["--ring-pages", "16384"]).start()
    count = scaled(20000, 1500)
    report = tmp_path / "report"
    with open(report, "wb") as output:
        load = box.start(program("exact"), "4", str(count), "0", "9201", stdout=output)
    kills = 2
    for number in range(kills):
        tracer.events.wait_count(anyone(box), (number + 1) * count // 4, 30)
        tracer.worker.kill()
        tracer.start_worker()
    assert load.wait(60 * SLOW) == 0
    made = [line.split() for line in report.read_text(encoding="ascii").splitlines()]
    assert len(made) == count
    box_marker = run_program(box, program("exact"), "4", "8", "7000000", "9201")
    made += box_marker
    tracer.events.wait_count(lambda c: c["local"]["ip"] == box_marker[-1][1], 1, 15)
    lost = may_be_lost(kills, 2 * len(made))
    tracer.events.wait_count(anyone(box), 2 * len(made) - lost, 15)
    tracer.settle()
    compare(tracer.events, box, made, may_miss=lost)
    connections = wait_until(
        lambda: (lambda c: c if c["unaccounted"] == 0 else None)(tracer.status()["connections"]),
        5, "unaccounted 0")
    assert connections["closed"] >= 2 * len(made)
    assert set(tracer.status()["loss"]["stages"].values()) == {0}


def links_that_exist():
    output = subprocess.run(["bpftool", "-j", "link", "list"], capture_output=True,
                            check=True).stdout
    return {link["id"] for link in json.loads(output)}


def programs_that_exist():
    output = subprocess.run(["bpftool", "-j", "prog", "list"], capture_output=True,
                            check=True).stdout
    return {entry["id"] for entry in json.loads(output)}


def test_a_killed_privd_ends_the_worker_and_leaves_nothing_attached(own_tracer, netns):
    """Then a new pair starts in the same directory, over the dead one's sockets."""
    box = netns("again")
    tracer = own_tracer().start()
    held = tracer.privd.bpf_objects()
    assert len(held["link_id"]) >= 2 and held["link_id"] <= links_that_exist()
    tracer.privd.kill()
    code = tracer.worker.wait_exit(2)
    assert code == 1
    assert tracer.worker.lines(r"^<[0-3]>.*privd"), tracer.worker.log()
    wait_until(lambda: not held["link_id"] & links_that_exist(), 5, "its links are gone")
    wait_until(lambda: not held["prog_id"] & programs_that_exist(), 5, "its programs are gone")
    tracer.events.wait(
        lambda: any(m["health"] == "bad" for m in tracer.events.topic("meta.v1")), 2,
        "a last message that says it")

    # All three sockets were left behind.
    assert os.path.exists(tracer.privd_socket)
    old = tracer.events
    tracer.start()
    old.close()
    made = run_program(box, program("exact"), "4", "64", "0", "9202")
    tracer.events.wait_closed(anyone(box), 2 * len(made))
    tracer.settle()
    compare(tracer.events, box, made)


def test_sigterm_stops_both_cleanly(own_tracer, netns):
    """Exit code 0, sockets removed, nothing attached; live connections do not disturb it."""
    box = netns("term")
    tracer = own_tracer().start()
    holder, _ = start_program(box, program("holder"), "20", "9203")
    made = run_program(box, program("exact"), "4", "40", "0", "9204")
    held = tracer.privd.bpf_objects()
    assert tracer.worker.stop() == 0
    # What had closed before the signal was told.
    tracer.events.wait_closed(anyone(box), 2 * len(made), 3)
    compare(tracer.events, box, made)
    assert tracer.privd.is_alive
    # The next worker is served, and goes on with the live ones.
    tracer.start_worker()
    live = [c for c in tracer.snapshot() if anyone(box)(c)]
    assert len(live) == 40
    assert tracer.worker.stop() == 0
    assert tracer.privd.stop() == 0
    wait_until(lambda: not held["link_id"] & links_that_exist(), 5, "its links are gone")
    holder.stdin.close()
    holder.wait(10)


def test_a_full_table_warns_and_loses_no_close(own_tracer, netns):
    box = netns("full")
    tracer = own_tracer(config={"state.max_connections": 64}).start()
    holder, _ = start_program(box, program("holder"), "200", "9205")
    snapshot = tracer.snapshot()
    assert 0 < len(snapshot) <= 64
    tracer.worker.wait_log(r"^<4>.*(full|max_connections)", 5)
    assert tracer.status()["counters"]["conn.table_full"] > 0
    holder.stdin.close()
    holder.wait(10)
    found = tracer.events.wait_closed(anyone(box), 400)
    tracer.settle()
    assert len(tracer.events.closed_where(anyone(box))) == 400 and not tracer.events.duplicates()
    for connection in found:
        is_client = connection["direction"] == "outgoing"
        end = connection["local"] if is_client else connection["remote"]
        size = int(end["ip"].split(".")[3]) + 1
        assert sent_and_received(connection) == (
            (size, 2 * size) if is_client else (2 * size, size))
    # It warned once, not for every connection.
    assert len(tracer.worker.lines(r"^<4>.*(full|max_connections)")) <= 3
    # With room again, new connections are tracked.
    holder, _ = start_program(box, program("holder"), "10", "9206")
    assert len([c for c in tracer.snapshot() if anyone(box)(c)]) == 20
    holder.stdin.close()
    holder.wait(10)


def test_a_ring_that_overflows_is_counted_and_the_books_balance(own_tracer, netns):
    """The smallest ring and a worker that stands still: what is lost is a number."""
    box = netns("overflow")
    tracer = own_tracer(privd_options=["--ring-pages", "8"]).start()
    opened = tracer.status()["connections"]["opened"]
    tracer.pause_worker()
    count = scaled(3000, 1500)
    run_program(box, program("exact"), "4", str(count), "0", "9207")
    os.kill(tracer.worker.pid, signal.SIGCONT)

    def balanced():
        status = tracer.status()
        return status if status["connections"]["unaccounted"] == 0 else None
    status = wait_until(balanced, 20, f"unaccounted 0: {tracer.status()['connections']}", 0.3)
    assert status["connections"]["opened"] >= opened + 2 * count
    lost = sum(status["loss"]["stages"].values())
    assert lost > 0 and status["loss"]["budget_exceeded"] is True
    tracer.settle()
    told = len(tracer.events.closed_where(anyone(box)))
    assert told < 2 * count
    # Anybody else's closes in that time may be among the lost.
    assert told + lost >= 2 * count
    assert not tracer.events.duplicates()
    # It goes on as before.
    more = run_program(box, program("exact"), "4", "80", "100000", "9208")
    tracer.events.wait_closed(
        lambda c: anyone(box)(c) and 9208 in (c["local"]["port"], c["remote"]["port"]),
        2 * len(more))


def test_a_second_privd_in_the_same_directory_is_refused(own_tracer):
    tracer = own_tracer()
    tracer.start_privd()
    first = tracer.privd
    second = tracer.start_privd(wait=False, log="second.log")
    tracer.privd = first
    assert second.wait_exit(10) == 1
    assert len(second.lines(r"^<[0-4]>")) == 1, second.log()
    assert first.is_alive
    tracer.start_worker()
    assert tracer.status()["ok"]


def test_stale_sockets_are_replaced(own_tracer):
    """What a dead process left behind does not stop the next one."""
    tracer = own_tracer()
    entry = pwd.getpwnam("sockwarden")
    tracer.runtime_dir.mkdir(mode=0o750)
    os.chown(tracer.runtime_dir, entry.pw_uid, entry.pw_gid)
    for name in ("privd.sock", "events.sock", "query.sock"):
        stale = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        stale.bind(str(tracer.runtime_dir / name))
        stale.close()
        os.chown(tracer.runtime_dir / name, entry.pw_uid, entry.pw_gid)
    tracer.start()
    assert tracer.status()["health"] == "good"

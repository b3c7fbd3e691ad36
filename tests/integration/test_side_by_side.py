# SPDX-License-Identifier: Apache-2.0
"""Side by side on the same live traffic: what is published, and what everybody else knows of it.

Real programs talk between namespaces, by a gateway that translates. Each flow that a packet capture
at either end, the gateway's conntrack, ss, or the programs themselves know of must be told, at both
ends, once, with equal bytes and packets, with its translation, its process and its container; and
nothing else.

SOCKWARDEN_SIDE_SECONDS  how long (60; 10 on emulated machines and with sanitizers)
"""
import copy
import dataclasses
import itertools
import os
import time

import pytest

from harness import ledger as ledgers
from harness import program_words
from harness.cgroups import privd_prefix
from harness.daemons import Tracer
from harness.isolation import all_but
from harness.lab import NETWORKS, Lab
from harness.scale import SCALE, SLOW, is_sanitized, wait_until
from harness.sockets import key_of
from harness.traffic import KINDS
from harness.udp import overflow
from harness.witnesses import Capture, Conntrack, udp_counters

SECONDS = float(os.environ.get("SOCKWARDEN_SIDE_SECONDS",
                               "10" if SCALE < 1 or is_sanitized() else "60"))
TRIES = 4


class Scene:
    """A lab, its daemons, its witnesses, and all kinds of traffic."""

    def __init__(self, directory):
        directory.mkdir()
        self.lab = Lab(directory)
        self.tracer = Tracer(directory, config={
            "publish.interval_s": 5, "exclude.source": all_but(*NETWORKS)},
            privd_prefix=privd_prefix("v2")).start()
        self.captures = {"client": Capture(self.lab.client, self.lab.client_device),
                         "server": Capture(self.lab.server, self.lab.server_device)}
        self.conntrack = Conntrack(self.lab.gateway)
        self.kinds = []
        for kind in KINDS:
            self.kinds.append(kind(self.lab, directory))

    def close(self):
        for kind in self.kinds:
            kind.kill()
        for witness in (*self.captures.values(), self.conntrack):
            witness.close()
        self.tracer.close()
        self.lab.close()


@pytest.fixture
def make_scene(tmp_path):
    """Makes a scene after the other; each ends before the next begins."""
    made = []

    def make():
        for scene in made:
            scene.close()
        made[:] = [Scene(tmp_path / f"scene{time.monotonic_ns()}")]
        return made[0]

    yield make
    for scene in made:
        scene.close()


def wait_for_the_last(scene):
    """Until nothing of the lab lives any more and everything was told."""
    namespaces = (scene.lab.client, scene.lab.server)
    wait_until(lambda: not [c for c in scene.tracer.snapshot()
                            if any(namespace.is_ours(c) for namespace in namespaces)],
               20, "the end of every flow", 0.5)
    wait_until(lambda: scene.tracer.status()["connections"]["unaccounted"] == 0, 10, "the books",
               0.5)
    time.sleep(2 * min(SLOW, 3))
    # The subscriber has them all, however busy the machine is.
    published = scene.tracer.status()["counters"]["conn.published"]
    wait_until(lambda: scene.tracer.events.mark() >= published, 60, f"{published} closed ones", 0.5)
    assert not scene.tracer.events.holes()


@dataclasses.dataclass
class Known:
    """What the witnesses say when all is over."""
    captured: dict  # {side: {(protocol, key): [Flow]}}
    entries: list  # of conntrack
    udp_counters: dict  # {side: (sent, read)}
    counts_reads: bool  # UDP's hook sees what is read, not what comes
    overflow: tuple  # what the tracer could give to no flow, as harness.udp.overflow()


def compare(scene, books, known, events):
    """A table of everything but ss, which was asked while connections lived."""
    ledger = ledgers.Ledger()
    ledgers.give_back(ledger, books, known.captured, known.overflow)
    ledgers.compare_captures(ledger, books, known.captured, known.counts_reads)
    ledgers.compare_udp_counters(ledger, books, known.captured, known.udp_counters,
                                 known.counts_reads)
    ledgers.compare_conntrack(ledger, books, known.entries, known.captured)
    program_words.compare_all(ledger, books)
    ledgers.compare_processes(ledger, books, scene.lab)
    ledgers.compare_deltas(ledger, books, events)
    return ledger


def change(path, value):
    """Gives a fact of the first connection another value; None: a number that is one higher."""
    def apply(connections):
        *groups, name = path.split(".")
        place = connections[0] = copy.deepcopy(connections[0])
        for group in groups:
            place = place[group]
        place[name] = value if value is not None else place[name] + 1
    return apply


# What a tracer could get wrong, and the columns that must say so.
FAULTS = {
    "one is not told": (lambda connections: connections.pop(), "missing"),
    "one is told twice": (lambda connections: connections.append(dict(
        connections[0], id="ffffffffffffffff")), "twice"),
    "one that nobody saw": (change("remote.port", 1), "twice"),
    "a byte too many": (change("total.sent_bytes", None), "bytes_differ"),
    "a packet too many": (change("total.recv_packets", None), "packets_differ"),
    "another process": (change("comm", "other"), "facts_wrong"),
    "another container": (change("container", "none"), "facts_wrong"),
    "another translation": (change("nat", {"local": None, "remote": None}), "facts_wrong"),
}


@dataclasses.dataclass
class Told:
    """What a subscriber heard, with a fault in it."""
    active: list
    closed: list


def check_that_faults_are_found(scene, books, known):
    """The comparison itself is put to the test, with each fault at either end; kinds take turns."""
    turn = itertools.cycle(scene.kinds)
    for fault, (plant, column) in FAULTS.items():
        for side in ("client", "server"):
            kind = next(turn)
            chosen = [c for c in books.all[side]
                      if books.kind_of(side, key_of(c)) is kind and c["failure"] is None]
            ids = {c["id"] for c in chosen}
            plant(chosen)
            events = Told(scene.tracer.events.active,
                          [c for c in scene.tracer.events.closed if c["id"] not in ids] + chosen)
            found = compare(scene, ledgers.Books(scene.lab, scene.kinds, events), known, events)
            assert sum(getattr(row, column) or 0 for row in found.rows.values()), (
                f"not found: {fault}, {kind.name}, {side}")


def check_that_what_is_in_no_flow_is_looked_for(scene, books, known):
    """A flow that is short of what was told to be in none is whole; nobody may lack it, or have too much."""
    flow = next(c for c in books.all["client"] if c["protocol"] == "udp")
    numbers = [flow["total"][name] for name in ("sent_bytes", "sent_packets")]
    lost = tuple(own + more for own, more in zip(known.overflow, (*numbers, 0, 0)))
    short = {**flow, "total": {**flow["total"], "sent_bytes": 0, "sent_packets": 0}}
    closed = [c for c in scene.tracer.events.closed if c["id"] != flow["id"]]
    for told, overflow_told, is_right in (([short], lost, True), ([flow], lost, False),
                                          ([short], known.overflow, False)):
        events = Told(scene.tracer.events.active, closed + told)
        found = compare(scene, ledgers.Books(scene.lab, scene.kinds, events),
                        dataclasses.replace(known, overflow=overflow_told), events)
        for row in [row for row in found.rows if row[0] == "deltas"]:
            del found.rows[row]
        assert found.is_clean() == is_right, f"{told} beside {overflow_told}: {found}"


def observe(scene):
    """Lets all of it happen. Returns (books, Known, Ledger, status)."""
    standing = ledgers.Ledger()
    end = time.monotonic() + SECONDS
    for kind in scene.kinds:
        kind.start(end)
    for kind in scene.kinds:
        kind.wait()
    # Only connections that stand still are left.
    program_words.compare_ss(standing, scene.lab, scene.kinds, scene.tracer.snapshot())
    for kind in scene.kinds:
        kind.stop()
    wait_for_the_last(scene)
    known = Known({side: capture.stop() for side, capture in scene.captures.items()},
                  scene.conntrack.stop(),
                  {side: udp_counters(capture.namespace)
                   for side, capture in scene.captures.items()},
                  scene.tracer.hook("udp") != "cgroup_skb", overflow(scene.tracer))

    events = scene.tracer.events
    assert not events.holes(), "messages are missing by their seq"
    assert not events.duplicates(), "told as closed twice"
    books = ledgers.Books(scene.lab, scene.kinds, events)
    ledger = compare(scene, books, known, events)
    ledger.join(standing)
    status = scene.tracer.status()
    print(f"\n{SECONDS:g} s, hooks {status['kernel']['hooks']}, packets captured: "
          + ", ".join(f"{side} {capture.packets}" for side, capture in scene.captures.items())
          + f"; runs that the kernel skipped: {status['counters']['bpf.missed_runs']}"
          + f"; in no flow: {known.overflow}"
          + "; datagrams that nobody read: "
          + ", ".join(f"{side} {ledger.unread_datagrams(side)}" for side in scene.captures))
    print(ledger)
    return books, known, ledger, status


def test_everything_that_others_know_of_is_told_once_with_equal_numbers(make_scene):
    """A kernel that can be preempted may skip runs, and says so: then it is tried again."""
    for _ in range(TRIES):
        scene = make_scene()
        books, known, ledger, status = observe(scene)
        if ledger.is_clean() or not status["counters"]["bpf.missed_runs"]:
            break
    assert ledger.is_clean(), "there are differences, see above"
    assert set(status["loss"]["stages"].values()) == {0}, status["loss"]
    check_that_faults_are_found(scene, books, known)
    check_that_what_is_in_no_flow_is_looked_for(scene, books, known)

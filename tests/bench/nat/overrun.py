#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How soon the socket of connection tracking's events overruns (ENOBUFS), and how fast the worker reads it.

A gateway in a namespace of its own masquerades UDP datagrams, each of which is a flow of its own, as fast as
some senders can; its entries are flushed on the way, so each flow is two messages. First the worker runs,
then it stands still until it is known that something was left out.
"""
import argparse
import multiprocessing
import os
import pathlib
import signal
import socket
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=str(ROOT / "build" / "tests"), help="build directory")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--senders", type=int, default=2)
    return parser.parse_args()


ARGUMENTS = parse_arguments()
os.environ["SOCKWARDEN_BUILD"] = ARGUMENTS.build
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests" / "integration"))
# pylint: disable=wrong-import-position
from harness.daemons import Tracer, ensure_users  # noqa: E402
from harness.gateway import SERVER, Gateway, conntrack_lines  # noqa: E402
from harness.netns import Netns  # noqa: E402

FLOWS = 20000  # between two flushes


def blast(client, sender, flows):
    """So many flows, one datagram each."""
    with client.entered():
        socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(4)]
    for sock in socks:
        sock.bind(("", 0))
    for i in range(flows):
        socks[i % 4].sendto(b"x", (SERVER[4], 1024 + i // 4 + 20000 * sender))


def round_of(gateway):
    """All senders once; returns how many flows were made and how long that took."""
    begin = time.monotonic()
    senders = [multiprocessing.Process(target=blast, args=(gateway.client, i, FLOWS))
               for i in range(ARGUMENTS.senders)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    made = time.monotonic() - begin
    conntrack_lines(gateway.box, "-F")
    return FLOWS * ARGUMENTS.senders, made


def cpu_ns(pid):
    with open(f"/proc/{pid}/task/{pid}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[0])


def with_worker(tracer, gateway):
    before, cpu = tracer.status()["counters"], cpu_ns(tracer.worker.pid)
    flows, spent, begin = 0, 0.0, time.monotonic()
    while time.monotonic() - begin < ARGUMENTS.seconds:
        more, took = round_of(gateway)
        flows, spent = flows + more, spent + took
    time.sleep(0.5)
    after, cpu = tracer.status()["counters"], cpu_ns(tracer.worker.pid) - cpu
    events = after["nat.events"] - before["nat.events"]
    print(f"worker runs: {flows} flows, {flows / spent:.0f} a second while they are made; {events} of "
          f"{2 * flows} messages read; {after['nat.overruns'] - before['nat.overruns']} overruns; "
          f"{cpu / max(events, 1):.0f} ns of the worker for each")


def without_worker(tracer, gateway):
    before = tracer.status()["counters"]
    tracer.pause_worker()
    flows, _ = round_of(gateway)
    more, _ = round_of(gateway)
    os.kill(tracer.worker.pid, signal.SIGCONT)
    time.sleep(1)
    after = tracer.status()["counters"]
    print(f"worker stands still: {after['nat.events'] - before['nat.events']} of {2 * (flows + more)} "
          f"messages were kept; {after['nat.overruns'] - before['nat.overruns']} overrun")


def main():
    ensure_users()
    with tempfile.TemporaryDirectory() as folder:
        gateway = Gateway("overrun")
        gateway.known_in()
        gateway.box.sysctl("net.netfilter.nf_conntrack_events", 1)
        tracer = Tracer(folder, privd_options=["--udp-hook", "none"])
        try:
            tracer.start()
            with_worker(tracer, gateway)
            without_worker(tracer, gateway)
        finally:
            tracer.close()
            Netns.delete_all()


main()

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a snapshot costs, and whether it is right, with very many live connections.

Holds them over loopback (both ends of each are counted), compares `sockwarden conns --json` with ss, and
divides the worker's processor time, in which the kernel's iterator runs as well, by the records of
some passes.
"""
import argparse
import collections
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
HELD_MAX = 16000  # by one process, which may be limited to 20,000 descriptors


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=str(ROOT / "build" / "tests"), help="build directory")
    parser.add_argument("--connections", type=int, default=100000, help="live at once, both ends counted")
    parser.add_argument("--passes", type=int, default=20)
    parser.add_argument("--table", type=int, default=262144, help="state.max_connections")
    return parser.parse_args()


ARGUMENTS = parse_arguments()
os.environ["SOCKWARDEN_BUILD"] = ARGUMENTS.build
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests" / "integration"))
# pylint: disable=wrong-import-position
from harness.daemons import Tracer, ensure_users  # noqa: E402
from harness.netns import Netns  # noqa: E402
from harness.scale import program, wait_until  # noqa: E402
from harness.sockets import key_of, sent_and_received, ss, start_program  # noqa: E402


def cpu_ns(pid):
    """Time on a processor of the process' main thread, in which snapshots are taken."""
    with open(f"/proc/{pid}/task/{pid}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[0])


def hold(box):
    """Starts the holders; every connection has two ends here."""
    left = ARGUMENTS.connections // 2
    started = []
    while left > 0:
        started.append(start_program(box, program("holder"), str(min(left, HELD_MAX)),
                                     str(7900 + len(started)))[0])
        left -= HELD_MAX
    return started


def check(tracer, box):
    """How many differ from what ss says."""
    began = time.monotonic()
    listed = tracer.command("conns", "--json", "--filter", f"netns == {box.inode}", timeout=300)
    took = time.monotonic() - began
    if listed.returncode != 0:
        raise SystemExit(f"conns: {listed.stderr}")
    live = [json.loads(line) for line in listed.stdout.splitlines()]
    witness = ss(box)
    wrong = len({key_of(c) for c in live} ^ witness.keys()) + len(live) - len(witness)
    for connection in live:
        known = witness.get(key_of(connection), {})
        syn = int(connection["direction"] == "outgoing")  # ss counts it as acknowledged
        expected = (int(known.get("bytes_acked", 0)) - syn, int(known.get("bytes_received", 0)))
        wrong += sent_and_received(connection) != expected
    directions = collections.Counter(c["direction"] for c in live)
    print(f"conns --json: {len(live)} connections in {took:.1f} s ({dict(directions)}), ss has "
          f"{len(witness)}; {wrong} differ in ends or bytes")
    return wrong


def measure(tracer):
    """ns for each record of a pass; the first passes fill the table and are left out."""
    costs = []
    for number in range(ARGUMENTS.passes + 2):
        before = cpu_ns(tracer.worker.pid)
        status = tracer.status()  # takes a snapshot
        used = cpu_ns(tracer.worker.pid) - before
        if number >= 2:
            costs.append(used / status["connections"]["live"])
    return costs, status


def main():
    ensure_users()
    failed = False
    with tempfile.TemporaryDirectory(prefix="sockwarden-bench.") as directory:
        tracer = Tracer(directory, config={"publish.interval_s": 3600,
                                           "state.max_connections": ARGUMENTS.table})
        try:
            box = Netns("live")
            tracer.start_privd()
            tracer.start_worker()
            holders = hold(box)
            costs, status = measure(tracer)
            print(f"a pass over {status['connections']['live']} live connections: median "
                  f"{statistics.median(costs):.0f} ns each, {min(costs):.0f} to {max(costs):.0f} in "
                  f"{len(costs)} passes; worker RSS {tracer.worker.status()['VmRSS']}, "
                  f"{status['connections']['tracked']} tracked")
            if ARGUMENTS.table >= ARGUMENTS.connections:
                failed = check(tracer, box) > 0
            for holder in holders:
                holder.stdin.close()
                holder.wait(60)
            wait_until(lambda: tracer.status()["connections"]["live"] < 1000, 30, "all closed")
            final = tracer.status()
            print(f"closed: {json.dumps(final['connections'])}, loss {json.dumps(final['loss'])}")
        except subprocess.SubprocessError as error:
            print(error)
            failed = True
        finally:
            tracer.close()
            Netns.delete_all()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What tracing UDP costs: the same datagrams without a tracer, with empty programs, with sockwarden.

Each round runs every tracer once, in an order that turns by one from round to round, so that a
machine that gets faster or slower treats all alike. Medians are compared, and the median of the
rounds' own ratios. A last run with kernel.bpf_stats_enabled tells the programs' time for each run; it is
not among the compared ones. Exits 1 where datagrams or records were lost.
"""
import argparse
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
ITERATORS = {"snapshot", "snapshot_spilled", "list_flows", "sweep_flows"}  # run by passes
UNITS = {"dns": "queries/s", "alone": "queries/s", "pingpong": "round trips/s",
         "bulk": "datagrams/s"}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=str(ROOT / "build" / "tests"), help="build directory")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=2.0, help="of load in each run")
    parser.add_argument("--threads", type=int, default=1, help="of load; dns has as many servers")
    parser.add_argument("--mode", choices=UNITS, default="dns")
    parser.add_argument("--hook", default="auto", help="privd's --udp-hook")
    parser.add_argument("--other", help="a second build directory, to compare with")
    parser.add_argument("--only", help="tracers to run, by name, with commas")
    parser.add_argument("--json", help="file for all numbers")
    parser.add_argument("--smoke", action="store_true", help="one round of half a second")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.rounds, arguments.seconds = 1, 0.5
    return arguments


ARGUMENTS = parse_arguments()
os.environ["SOCKWARDEN_BUILD"] = ARGUMENTS.build
sys.dont_write_bytecode = True
sys.path[:0] = [str(ROOT / "tests" / "integration"), str(ROOT / "tests" / "bench")]
# pylint: disable=wrong-import-position
from common import Unusable, bpf_statistics, cpu_ns, machine, run_times  # noqa: E402
from harness import daemons  # noqa: E402
from harness.netns import Netns  # noqa: E402
from harness.scale import binary, wait_until  # noqa: E402


def load(namespace):
    """One run of the load; returns (how much, per second)."""
    text = namespace.run(binary("tests/bench/udp/udp_load"), ARGUMENTS.mode,
                         str(ARGUMENTS.seconds), str(ARGUMENTS.threads)).stdout
    done, took = text.split()
    return int(done), int(done) / float(took)


class Nothing:
    """No tracer."""
    name = "none"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class Floor(Nothing):
    """The empty programs."""
    name = "floor"

    def __init__(self, hook):
        self.hook = hook

    def __enter__(self):
        self.process = subprocess.Popen([binary("tests/bench/udp/udp_floor"), self.hook],
                                        stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise Unusable("the empty programs cannot be attached")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Sockwarden(Nothing):
    """Both daemons of a build and one subscriber; remembers what the last run cost."""

    def __init__(self, name="sockwarden", build=None):
        self.name = name
        self.build = pathlib.Path(build or ARGUMENTS.build).resolve()
        self.costs = []
        self.lost = 0

    def binary(self, path):
        return str(self.build / path)

    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="sockwarden-bench.")
        self.tracer = daemons.Tracer(self.directory.name, config={"publish.interval_s": 30},
                                     privd_options=["--udp-hook", ARGUMENTS.hook])
        usual, daemons.binary = daemons.binary, self.binary
        try:
            self.tracer.start_privd()
            self.tracer.start_worker()
        except BaseException:
            self.tracer.close()  # or it would be there in all that follows
            raise
        finally:
            daemons.binary = usual
        self.sink = subprocess.Popen(
            [binary("tests/bench/churn/churn_sink"),
             f"{self.tracer.runtime_dir}/events.sock", "conn.v1 "],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.sink.stdout.readline() == "ready\n"
        wait_until(lambda: self.tracer.status()["gauges"]["publish.subscribers"] == 1, 5,
                   "the subscriber")
        self.before = self.measure()
        return self

    def hook(self):
        return self.tracer.hook("udp")

    def measure(self):
        status = self.tracer.status()
        return {
            "records": status["counters"]["conn.closed"],
            "overflow": status["counters"]["udp.overflow_sent_packets"]
            + status["counters"]["udp.overflow_recv_packets"],
            "worker_ns": cpu_ns(self.tracer.worker.pid),
            "programs": run_times(self.tracer.privd),
        }

    def balanced(self):
        status = self.tracer.status()
        return status if status["connections"]["unaccounted"] == 0 else None

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.account()
        finally:
            self.sink.kill()
            self.sink.wait()
            self.tracer.close()
            self.directory.cleanup()

    def account(self):
        time.sleep(0.3)
        after = self.measure()
        status = wait_until(self.balanced, 10, f"the books to balance: {self.tracer.status()}")
        messages, size, missing = map(int, self.sink.communicate("")[0].split())
        lost = sum(status["loss"]["stages"].values()) + status["connections"]["inferred"]
        self.lost += lost
        self.costs.append({
            "records": after["records"] - self.before["records"], "lost": lost,
            "overflow": after["overflow"] - self.before["overflow"],
            "messages": messages, "bytes": size, "messages_missing": missing,
            "worker_ns": after["worker_ns"] - self.before["worker_ns"],
            "missed_runs": status["counters"]["bpf.missed_runs"],
            "programs": {
                name: (ns - self.before["programs"].get(name, (0, 0))[0],
                       runs - self.before["programs"].get(name, (0, 0))[1])
                for name, (ns, runs) in after["programs"].items()},
        })


def run_rounds(namespace, tracers):
    rates = {tracer.name: [] for tracer in tracers}
    load(namespace)  # warm up
    for number in range(ARGUMENTS.rounds):
        turn = number % len(tracers)
        for tracer in tracers[turn:] + tracers[:turn]:
            with tracer:
                _, rate = load(namespace)
            rates[tracer.name].append(rate)
        print(f"round {number + 1}: " + ", ".join(
            f"{name} {values[-1]:.0f}" for name, values in rates.items()), flush=True)
    return rates


def report(rates, hook):
    medians = {name: statistics.median(values) for name, values in rates.items()}
    print(f"\n{machine()}")
    print(f"{ARGUMENTS.mode} by {hook}, {ARGUMENTS.rounds} rounds of {ARGUMENTS.seconds:g} s, "
          f"{ARGUMENTS.threads} threads; medians\n")
    print(f"{'tracer':12} {UNITS[ARGUMENTS.mode]:>15} {'of none':>8} {'of floor':>8} "
          f"{'by round':>9}   lowest..highest")
    for name, median in medians.items():
        cells = [f"{median / medians[other]:.3f}" if other in medians else "-"
                 for other in ("none", "floor")]
        paired = ("-" if "floor" not in rates else f"""{statistics.median(
            own / floor for own, floor in zip(rates[name], rates['floor'])):.3f}""")
        print(f"{name:12} {median:15.0f} {cells[0]:>8} {cells[1]:>8} {paired:>9}   "
              f"{min(rates[name]):.0f}..{max(rates[name]):.0f}")
    return medians


def report_costs(tracer, run, done):
    costs = tracer.costs
    records = sum(cost["records"] for cost in costs)
    print(f"\n{tracer.name}: {records} flows told, {tracer.lost} lost, "
          f"{sum(cost['overflow'] for cost in costs)} datagrams in no flow, "
          f"{sum(cost['missed_runs'] for cost in costs)} runs missed, "
          f"{sum(cost['messages_missing'] for cost in costs)} messages missing at the subscriber; "
          f"worker {sum(cost['worker_ns'] for cost in costs) / max(1, records):.0f} ns a flow")
    programs = {name: cost for name, cost in run["programs"].items()
                if cost[1] >= done / 10 and name not in ITERATORS}
    print(f"BPF {sum(ns for ns, _ in programs.values()) / max(1, done):.0f} ns for each of "
          f"{done}: " + ", ".join(f"{name} {ns / runs:.0f} ns a run, {runs / done:.1f} runs"
                                  for name, (ns, runs) in programs.items()))


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # ends what was started
    daemons.ensure_users()
    namespace = Netns("bench")
    namespace.sysctl("net.ipv4.ip_local_port_range", "1024 65535")
    main_one = Sockwarden()
    with main_one:
        hook = main_one.hook()
    main_one.costs.clear()
    tracers = [Nothing(), Floor(hook), main_one]
    if ARGUMENTS.other:
        tracers.append(Sockwarden("other", ARGUMENTS.other))
    if ARGUMENTS.only:
        names = ARGUMENTS.only.split(",")
        tracers = [tracer for tracer in tracers if tracer.name in names]
    try:
        rates = run_rounds(namespace, tracers)
        medians = report(rates, hook)
        for tracer in tracers:
            if not isinstance(tracer, Sockwarden):
                continue
            with bpf_statistics():
                counted = Sockwarden(tracer.name, tracer.build)
                with counted:
                    done, _ = load(namespace)
            report_costs(tracer, counted.costs[-1], done)
    finally:
        Netns.delete_all()
    if ARGUMENTS.json:
        with open(ARGUMENTS.json, "w", encoding="utf-8") as file:
            json.dump({"machine": machine(), "hook": hook, "rates": rates, "medians": medians,
                       "costs": {tracer.name: tracer.costs for tracer in tracers
                                 if isinstance(tracer, Sockwarden)}}, file, indent=1)
    sys.exit(1 if main_one.lost else 0)


if __name__ == "__main__":
    main()

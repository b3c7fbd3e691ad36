#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What tracing costs: the same traffic with different tracers, in interleaved rounds.

Each round runs every tracer once, in an order that turns by one from round to round, so that a
machine that gets faster or slower treats all alike. Medians are compared. A last run with
kernel.bpf_stats_enabled tells where sockwarden's time goes; it is not among the compared ones.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
UNITS = {"churn": "connections/s", "pingpong": "round trips/s", "bulk": "MiB/s"}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=str(ROOT / "build" / "tests"), help="build directory")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=3.0, help="of load in each run")
    parser.add_argument("--threads", type=int, default=max(1, os.cpu_count() // 2),
                        help="of load; the rest of the CPUs is for the tracer and its subscriber")
    parser.add_argument("--mode", choices=UNITS, default="churn")
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
from harness.daemons import Tracer, ensure_users  # noqa: E402
from harness.netns import Netns  # noqa: E402
from harness.scale import binary, wait_until  # noqa: E402


def load(namespace):
    """One run of the load; returns (how much, per second)."""
    text = namespace.run(binary("tests/bench/churn/churn_load"), ARGUMENTS.mode,
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
    """Two empty programs."""
    name = "floor"

    def __enter__(self):
        self.process = subprocess.Popen([binary("tests/bench/churn/churn_floor")],
                                        stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise Unusable("the empty programs cannot be attached")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Tool(Nothing):
    """A program of libbpf-tools, its output thrown away."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        path = shutil.which(self.name, path="/usr/sbin:/usr/bin:/sbin:/bin")
        if not path:
            raise Unusable("not installed: the package is libbpf-tools")
        with open(os.devnull, "wb") as null:
            self.process = subprocess.Popen([path], stdout=null, stderr=subprocess.PIPE)
        time.sleep(1)
        if self.process.poll() is not None:
            raise Unusable(self.process.stderr.read().decode(errors="replace").strip()
                           or f"ended with {self.process.returncode}")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


class Sockwarden(Nothing):
    """Both daemons and one subscriber; remembers what the last run cost."""
    name = "sockwarden"

    def __init__(self):
        self.costs = []
        self.lost = 0

    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="sockwarden-bench.")
        self.tracer = Tracer(self.directory.name, config={"publish.interval_s": 30})
        self.tracer.start_privd()
        self.tracer.start_worker()
        self.sink = subprocess.Popen(
            [binary("tests/bench/churn/churn_sink"),
             f"{self.tracer.runtime_dir}/events.sock", "conn.v1 "],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.sink.stdout.readline() == "ready\n"
        wait_until(lambda: self.tracer.status()["gauges"]["publish.subscribers"] == 1, 5,
                   "the subscriber")
        self.before = self.measure()
        return self

    def measure(self):
        status = self.tracer.status()
        return {
            "records": status["counters"]["conn.closed"],
            "worker_ns": cpu_ns(self.tracer.worker.pid),
            "privd_ns": cpu_ns(self.tracer.privd.pid),
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
        records = after["records"] - self.before["records"]
        lost = sum(status["loss"]["stages"].values()) + status["connections"]["inferred"]
        self.lost += lost
        self.costs.append({
            "records": records, "lost": lost, "live": status["connections"]["live"], "messages": messages, "bytes": size,
            "messages_missing": missing,
            "worker_ns": (after["worker_ns"] - self.before["worker_ns"]) / max(1, records),
            "privd_ns": (after["privd_ns"] - self.before["privd_ns"]) / max(1, records),
            "worker_rss_kib": int(self.tracer.worker.status()["VmRSS"].split()[0]),
            "privd_rss_kib": int(self.tracer.privd.status()["VmRSS"].split()[0]),
            "programs": {
                name: {"ns_per_record": (ns - self.before["programs"].get(name, (0, 0))[0])
                       / max(1, records),
                       "runs_per_record": (runs - self.before["programs"].get(name, (0, 0))[1])
                       / max(1, records)}
                for name, (ns, runs) in after["programs"].items()},
            "runs": {name: runs - self.before["programs"].get(name, (0, 0))[1]
                     for name, (_, runs) in after["programs"].items()},
            "second_chance": status["counters"].get("bpf.second_chance"),
            "missed_runs": status["counters"].get("bpf.missed_runs"),
        })


def with_statistics(namespace):
    """One more run that counts the programs' runs and time; returns its costs."""
    with bpf_statistics():
        sockwarden = Sockwarden()
        with sockwarden:
            done, _ = load(namespace)
    return {**sockwarden.costs[-1], "done": done}


def mount_tracefs():
    """The tools of libbpf-tools look up tracepoints there."""
    folder = "/sys/kernel/tracing"
    if os.path.isdir(folder) and not os.path.exists(f"{folder}/events"):
        subprocess.run(["mount", "-t", "tracefs", "tracefs", folder], check=False)


def make_namespace():
    """Ports enough; a TIME_WAIT that does not pile up from run to run."""
    namespace = Netns("bench")
    namespace.sysctl("net.ipv4.ip_local_port_range", "1024 65535")
    namespace.sysctl("net.ipv4.tcp_max_tw_buckets", 4096)
    return namespace


def run_rounds(namespace, tracers):
    rates = {tracer.name: [] for tracer in tracers}
    unusable = {}
    load(namespace)  # warm up
    for number in range(ARGUMENTS.rounds):
        turn = number % len(tracers)
        for tracer in tracers[turn:] + tracers[:turn]:
            if tracer.name in unusable:
                continue
            try:
                with tracer:
                    _, rate = load(namespace)
            except Unusable as error:
                unusable[tracer.name] = str(error)
                continue
            rates[tracer.name].append(rate)
        print(f"round {number + 1}: " + ", ".join(
            f"{name} {values[-1]:.0f}" for name, values in rates.items() if values), flush=True)
    return rates, unusable


def report(rates, unusable):
    medians = {name: statistics.median(values) for name, values in rates.items() if values}
    print(f"\n{machine()}")
    print(f"{ARGUMENTS.mode}, {ARGUMENTS.rounds} rounds of {ARGUMENTS.seconds:g} s, "
          f"{ARGUMENTS.threads} threads; medians\n")
    print(f"{'tracer':12} {UNITS[ARGUMENTS.mode]:>15} {'of none':>8} {'of floor':>8} "
          f"{'of tcplife':>10}   lowest..highest")
    for name, median in medians.items():
        cells = [f"{median / medians[other]:.3f}" if other in medians else "-"
                 for other in ("none", "floor", "tcplife")]
        print(f"{name:12} {median:15.0f} {cells[0]:>8} {cells[1]:>8} {cells[2]:>10}   "
              f"{min(rates[name]):.0f}..{max(rates[name]):.0f}")
    for name, why in unusable.items():
        print(f"{name:12} does not run here: {why}")
    return medians


def report_costs(sockwarden, statistics_run):
    costs = sockwarden.costs

    def median(key):
        return statistics.median(cost[key] for cost in costs)
    records = sum(cost["records"] for cost in costs)
    print(f"\nsockwarden: {records} closed connections told, {sockwarden.lost} lost, "
          f"{sum(cost['messages_missing'] for cost in costs)} messages missing at the subscriber")
    print(f"worker {median('worker_ns'):.0f} ns and privd {median('privd_ns'):.0f} ns of processor "
          f"time per closed connection; RSS worker {median('worker_rss_kib') / 1024:.1f} MiB, "
          f"privd {median('privd_rss_kib') / 1024:.1f} MiB")
    if median("live") > 1000:
        print(f"note: {median('live'):.0f} other connections lived on this machine; telling them "
              "is in the worker's time")
    programs = {name: cost for name, cost in statistics_run["programs"].items()
                if cost["runs_per_record"] >= 0.5}
    print(f"BPF {sum(cost['ns_per_record'] for cost in programs.values()):.0f} ns per close record: "
          + ", ".join(f"{name} {cost['ns_per_record']:.0f} ns in {cost['runs_per_record']:.1f} runs"
                      for name, cost in programs.items()))


def report_runs(run):
    """That nothing runs for each send and receive."""
    what = UNITS[ARGUMENTS.mode].removesuffix("/s")
    runs = ", ".join(f"{name} {count}" for name, count in run["runs"].items() if count > 0)
    print(f"\nin {run['done']} {what} the programs ran: {runs or 'never'}")


def main():
    ensure_users()
    mount_tracefs()
    namespace = make_namespace()
    sockwarden = Sockwarden()
    tracers = [Nothing(), Floor(), sockwarden, Tool("tcplife"), Tool("tcpstates")]
    if ARGUMENTS.only:
        names = ARGUMENTS.only.split(",")
        tracers = [tracer for tracer in tracers if tracer.name in names]
    try:
        rates, unusable = run_rounds(namespace, tracers)
        medians = report(rates, unusable)
        statistics_run = None
        if sockwarden.costs:
            statistics_run = with_statistics(namespace)
            if ARGUMENTS.mode == "churn":
                report_costs(sockwarden, statistics_run)
            else:
                report_runs(statistics_run)
    finally:
        Netns.delete_all()
    if ARGUMENTS.json:
        with open(ARGUMENTS.json, "w", encoding="utf-8") as file:
            json.dump({"machine": machine(), "rates": rates, "medians": medians,
                       "unusable": unusable, "costs": sockwarden.costs,
                       "with_statistics": statistics_run}, file, indent=1)
    sys.exit(1 if sockwarden.lost else 0)


if __name__ == "__main__":
    main()

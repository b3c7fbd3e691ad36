#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What tracing costs: the same traffic with different tracers, in interleaved rounds.

Each round runs every tracer once, in an order that turns by one from round to round, so that a
machine that gets faster or slower treats all alike. Medians are compared. A last run with
kernel.bpf_stats_enabled tells where sockwarden's time goes; it is not among the compared ones.
"""
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True
TESTS = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TESTS / "integration"), str(TESTS / "bench")]
# pylint: disable=wrong-import-position
from common import Unusable, cpu_ns, parse_rounds, rounds_parser  # noqa: E402

UNITS = {"churn": "connections/s", "pingpong": "round trips/s", "bulk": "MiB/s"}
ARGUMENTS = parse_rounds(rounds_parser(
    __doc__, UNITS, 3.0, max(1, os.cpu_count() // 2),
    "of load; the rest of the CPUs is for the tracer and its subscriber"))
import tracers as bench  # noqa: E402
from harness.daemons import ensure_users  # noqa: E402
from harness.netns import Netns  # noqa: E402


class Tool(bench.Nothing):
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


class Sockwarden(bench.Sockwarden):
    """Costs are for each record; also privd's time and the memory of both."""

    def measure(self, status):
        return {**super().measure(status), "privd_ns": cpu_ns(self.tracer.privd.pid)}

    def cost(self, spent, status):
        records = max(1, spent["records"])
        return {
            "records": spent["records"], "live": status["connections"]["live"],
            "worker_ns": spent["worker_ns"] / records,
            "privd_ns": spent["privd_ns"] / records,
            "worker_rss_kib": int(self.tracer.worker.status()["VmRSS"].split()[0]),
            "privd_rss_kib": int(self.tracer.privd.status()["VmRSS"].split()[0]),
            "programs": {name: {"ns_per_record": ns / records, "runs_per_record": runs / records}
                         for name, (ns, runs) in spent["programs"].items()},
            "runs": {name: runs for name, (_, runs) in spent["programs"].items()},
            "second_chance": status["counters"].get("bpf.second_chance"),
        }


def mount_tracefs():
    """The tools of libbpf-tools look up tracepoints there."""
    folder = "/sys/kernel/tracing"
    if os.path.isdir(folder) and not os.path.exists(f"{folder}/events"):
        subprocess.run(["mount", "-t", "tracefs", "tracefs", folder], check=False)


def make_namespace():
    """A TIME_WAIT that does not pile up from run to run."""
    namespace = bench.make_namespace()
    namespace.sysctl("net.ipv4.tcp_max_tw_buckets", 4096)
    return namespace


def report(rates, unusable):
    medians = bench.report_rates(
        rates, f"{ARGUMENTS.mode}, {ARGUMENTS.rounds} rounds of {ARGUMENTS.seconds:g} s, "
        f"{ARGUMENTS.threads} threads", UNITS[ARGUMENTS.mode], "of tcplife",
        lambda medians, name: bench.share(medians, name, "tcplife"))
    for name, why in unusable.items():
        print(f"{name:12} does not run here: {why}")
    return medians


def report_costs(sockwarden, statistics_run):
    def median(key):
        return statistics.median(cost[key] for cost in sockwarden.costs)
    print(f"\nsockwarden: {sockwarden.total('records')} closed connections told, {sockwarden.lost} lost, "
          f"{sockwarden.total('messages_missing')} messages missing at the subscriber")
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
    load = bench.Load(make_namespace(), "tests/bench/churn/churn_load", ARGUMENTS)
    sockwarden = Sockwarden()
    tracers = bench.chosen([bench.Nothing(), bench.Floor("tests/bench/churn/churn_floor"),
                            sockwarden, Tool("tcplife"), Tool("tcpstates")], ARGUMENTS.only)
    unusable = {}
    statistics_run = None
    try:
        rates = bench.run_rounds(load, tracers, ARGUMENTS.rounds, unusable)
        medians = report(rates, unusable)
        if sockwarden.costs:
            costs, done = bench.with_statistics(load, Sockwarden())
            statistics_run = {**costs, "done": done}
            if ARGUMENTS.mode == "churn":
                report_costs(sockwarden, statistics_run)
            else:
                report_runs(statistics_run)
    finally:
        Netns.delete_all()
    bench.write_json(ARGUMENTS.json, {
        "rates": rates, "medians": medians, "unusable": unusable, "costs": sockwarden.costs,
        "with_statistics": statistics_run})
    sys.exit(1 if sockwarden.lost else 0)


if __name__ == "__main__":
    main()

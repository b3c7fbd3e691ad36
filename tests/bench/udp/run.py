#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What tracing UDP costs: the same datagrams without a tracer, with empty programs, with sockwarden.

Each round runs every tracer once, in an order that turns by one from round to round, so that a
machine that gets faster or slower treats all alike. Medians are compared, and the median of the
rounds' own ratios. A last run with kernel.bpf_stats_enabled tells the programs' time for each run; it is
not among the compared ones. Exits 1 where datagrams or records were lost.
"""
import pathlib
import signal
import statistics
import sys

sys.dont_write_bytecode = True
TESTS = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TESTS / "integration"), str(TESTS / "bench")]
# pylint: disable=wrong-import-position
from common import parse_rounds, rounds_parser  # noqa: E402

ITERATORS = {"snapshot", "snapshot_spilled", "list_flows", "sweep_flows"}  # run by passes
UNITS = {"dns": "queries/s", "alone": "queries/s", "pingpong": "round trips/s",
         "bulk": "datagrams/s"}


def parse_arguments():
    parser = rounds_parser(__doc__, UNITS, 2.0, 1, "of load; dns has as many servers")
    parser.add_argument("--hook", default="auto", help="privd's --udp-hook")
    parser.add_argument("--other", help="a second build directory, to compare with")
    return parse_rounds(parser)


ARGUMENTS = parse_arguments()
import tracers as bench  # noqa: E402
from harness.daemons import ensure_users  # noqa: E402
from harness.netns import Netns  # noqa: E402


class Sockwarden(bench.Sockwarden):
    """With the hook that was asked for; also counts the datagrams that found no flow."""
    privd_options = ["--udp-hook", ARGUMENTS.hook]

    def hook(self):
        return self.tracer.hook("udp")

    def measure(self, status):
        return {
            **super().measure(status),
            "overflow": status["counters"]["udp.overflow_sent_packets"]
            + status["counters"]["udp.overflow_recv_packets"],
        }


def report(rates, hook):
    def by_round(_medians, name):
        if "floor" not in rates:
            return "-"
        median = statistics.median(
            own / floor for own, floor in zip(rates[name], rates["floor"]))
        return f"{median:.3f}"
    return bench.report_rates(
        rates, f"{ARGUMENTS.mode} by {hook}, {ARGUMENTS.rounds} rounds of {ARGUMENTS.seconds:g} s, "
        f"{ARGUMENTS.threads} threads", UNITS[ARGUMENTS.mode], "by round", by_round)


def report_costs(tracer, run, done):
    records = tracer.total("records")
    print(f"\n{tracer.name}: {records} flows told, {tracer.lost} lost, "
          f"{tracer.total('overflow')} datagrams in no flow, "
          f"{tracer.total('missed_runs')} runs missed, "
          f"{tracer.total('messages_missing')} messages missing at the subscriber; "
          f"worker {tracer.total('worker_ns') / max(1, records):.0f} ns a flow")
    programs = {name: cost for name, cost in run["programs"].items()
                if cost[1] >= done / 10 and name not in ITERATORS}
    print(f"BPF {sum(ns for ns, _ in programs.values()) / max(1, done):.0f} ns for each of "
          f"{done}: " + ", ".join(f"{name} {ns / runs:.0f} ns a run, {runs / done:.1f} runs"
                                  for name, (ns, runs) in programs.items()))


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # ends what was started
    ensure_users()
    load = bench.Load(bench.make_namespace(), "tests/bench/udp/udp_load", ARGUMENTS)
    main_one = Sockwarden()
    with main_one:
        hook = main_one.hook()
    main_one.costs.clear()
    tracers = [bench.Nothing(), bench.Floor("tests/bench/udp/udp_floor", hook), main_one]
    if ARGUMENTS.other:
        tracers.append(Sockwarden("other", ARGUMENTS.other))
    tracers = bench.chosen(tracers, ARGUMENTS.only)
    ours = [tracer for tracer in tracers if isinstance(tracer, Sockwarden)]
    try:
        rates = bench.run_rounds(load, tracers, ARGUMENTS.rounds)
        medians = report(rates, hook)
        for tracer in ours:
            report_costs(tracer, *bench.with_statistics(
                load, Sockwarden(tracer.name, tracer.build)))
    finally:
        Netns.delete_all()
    bench.write_json(ARGUMENTS.json, {
        "hook": hook, "rates": rates, "medians": medians,
        "costs": {tracer.name: tracer.costs for tracer in ours}})
    sys.exit(1 if main_one.lost else 0)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""The same load under several tracers, in interleaved rounds: what every such comparison needs.

Each round runs every tracer once, in an order that turns by one from round to round, so that a
machine that gets faster or slower treats all alike.
"""
import json
import pathlib
import statistics
import subprocess
import tempfile
import time

from common import Unusable, bpf_statistics, cpu_ns, machine, run_times
from harness import daemons
from harness.netns import Netns
from harness.scale import BUILD, binary, wait_until


def make_namespace():
    """With ports enough."""
    namespace = Netns("bench")
    namespace.sysctl("net.ipv4.ip_local_port_range", "1024 65535")
    return namespace


class Load:
    """A program that is run in a namespace and says how much it did, and in how many seconds."""

    def __init__(self, namespace, program, arguments):
        self.namespace = namespace
        self.command = [binary(program), arguments.mode, str(arguments.seconds),
                        str(arguments.threads)]

    def run(self):
        """Returns (how much, per second)."""
        done, took = self.namespace.run(*self.command).stdout.split()
        return int(done), int(done) / float(took)


class Nothing:
    """No tracer."""
    name = "none"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class Floor(Nothing):
    """A program that attaches empty programs."""
    name = "floor"

    def __init__(self, program, *arguments):
        self.command = [binary(program), *arguments]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise Unusable("the empty programs cannot be attached")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Sockwarden(Nothing):
    """Both daemons of a build and one subscriber; remembers what each run cost."""
    privd_options = []

    def __init__(self, name="sockwarden", build=BUILD):
        self.name = name
        self.build = pathlib.Path(build).resolve()
        self.costs = []
        self.lost = 0

    def binary(self, path):
        return str(self.build / path)

    def start(self):
        usual, daemons.binary = daemons.binary, self.binary
        try:
            self.tracer.start_privd()
            self.tracer.start_worker()
        except BaseException:
            self.tracer.close()  # or it would be there in all that follows
            raise
        finally:
            daemons.binary = usual

    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="sockwarden-bench.")
        self.tracer = daemons.Tracer(self.directory.name, config={"publish.interval_s": 30},
                                     privd_options=self.privd_options)
        self.start()
        self.sink = subprocess.Popen(
            [binary("tests/bench/churn/churn_sink"),
             f"{self.tracer.runtime_dir}/events.sock", "conn.v1 "],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.sink.stdout.readline() == "ready\n"
        wait_until(lambda: self.tracer.status()["gauges"]["publish.subscribers"] == 1, 5,
                   "the subscriber")
        self.before = self.measure(self.tracer.status())
        return self

    def measure(self, status):
        """Numbers that grow, and what each program has cost."""
        return {
            "records": status["counters"]["conn.closed"],
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
        after = self.measure(self.tracer.status())
        status = wait_until(self.balanced, 10, f"the books to balance: {self.tracer.status()}")
        messages, size, missing = map(int, self.sink.communicate("")[0].split())
        lost = sum(status["loss"]["stages"].values()) + status["connections"]["inferred"]
        self.lost += lost
        spent = {key: value - self.before[key] for key, value in after.items()
                 if key != "programs"}
        spent["programs"] = {
            name: (ns - self.before["programs"].get(name, (0, 0))[0],
                   runs - self.before["programs"].get(name, (0, 0))[1])
            for name, (ns, runs) in after["programs"].items()}
        self.costs.append({
            "lost": lost, "messages": messages, "bytes": size, "messages_missing": missing,
            "missed_runs": status["counters"].get("bpf.missed_runs"),
            **self.cost(spent, status),
        })

    def cost(self, spent, _status):
        """What is remembered of a run, given what measure() grew by and the last status."""
        return spent

    def total(self, key):
        return sum(cost[key] for cost in self.costs)


def chosen(tracers, only):
    """Those whose names are in the list with commas; all if there is none."""
    return [tracer for tracer in tracers if not only or tracer.name in only.split(",")]


def run_rounds(load, tracers, rounds, unusable=None):
    """{tracer: rates}. Tracers that do not run here are put into unusable, with why, or raise."""
    rates = {tracer.name: [] for tracer in tracers}
    left_out = {} if unusable is None else unusable
    load.run()  # warm up
    for number in range(rounds):
        turn = number % len(tracers)
        for tracer in tracers[turn:] + tracers[:turn]:
            if tracer.name in left_out:
                continue
            try:
                with tracer:
                    _, rate = load.run()
            except Unusable as error:
                if unusable is None:
                    raise
                unusable[tracer.name] = str(error)
                continue
            rates[tracer.name].append(rate)
        print(f"round {number + 1}: " + ", ".join(
            f"{name} {values[-1]:.0f}" for name, values in rates.items() if values), flush=True)
    return rates


def with_statistics(load, sockwarden):
    """One more run in which the kernel counts programs' runs and time: (its costs, how much)."""
    with bpf_statistics(), sockwarden:
        done, _ = load.run()
    return sockwarden.costs[-1], done


def share(medians, name, other):
    return f"{medians[name] / medians[other]:.3f}" if other in medians else "-"


def report_rates(rates, title, unit, column, cell):
    """A table of medians, which it returns; column is its last one, cell(medians, name) its text."""
    medians = {name: statistics.median(values) for name, values in rates.items() if values}
    width = max(9, len(column))
    print(f"\n{machine()}")
    print(f"{title}; medians\n")
    print(f"{'tracer':12} {unit:>15} {'of none':>8} {'of floor':>8} "
          f"{column:>{width}}   lowest..highest")
    for name, median in medians.items():
        print(f"{name:12} {median:15.0f} {share(medians, name, 'none'):>8} "
              f"{share(medians, name, 'floor'):>8} {cell(medians, name):>{width}}   "
              f"{min(rates[name]):.0f}..{max(rates[name]):.0f}")
    return medians


def write_json(path, numbers):
    """All numbers, if there is a file for them."""
    if path:
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"machine": machine(), **numbers}, file, indent=1)

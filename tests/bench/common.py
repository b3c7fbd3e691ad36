# SPDX-License-Identifier: Apache-2.0
"""What benchmarks have in common: options, whose time it was, how often programs ran, which machine it is."""
import argparse
import contextlib
import json
import os
import pathlib
import platform
import subprocess


ROOT = pathlib.Path(__file__).resolve().parents[2]


def rounds_parser(description, units, seconds, threads, threads_help):
    """Options of a comparison of tracers in rounds; units are of its modes, the first is usual."""
    parser = argparse.ArgumentParser(description=description,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=str(ROOT / "build" / "tests"), help="build directory")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=seconds, help="of load in each run")
    parser.add_argument("--threads", type=int, default=threads, help=threads_help)
    parser.add_argument("--mode", choices=units, default=next(iter(units)))
    parser.add_argument("--only", help="tracers to run, by name, with commas")
    parser.add_argument("--json", help="file for all numbers")
    parser.add_argument("--smoke", action="store_true", help="one round of half a second")
    return parser


def parse_rounds(parser):
    """Goes before the first import of harness, which asks the environment for the build."""
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.rounds, arguments.seconds = 1, 0.5
    os.environ["SOCKWARDEN_BUILD"] = arguments.build
    return arguments


class Unusable(Exception):
    """A tracer that does not run on this machine, and what it said."""


def cpu_ns(pid):
    """Time on a processor of all threads of a process."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total


def run_times(daemon):
    """{program: (ns, runs)} of what a daemon has attached or can attach."""
    found = {}
    for number in daemon.bpf_objects()["prog_id"]:
        text = subprocess.run(["bpftool", "-j", "prog", "show", "id", str(number)],
                              capture_output=True, check=True).stdout
        facts = json.loads(text)
        found[facts["name"]] = (facts.get("run_time_ns", 0), facts.get("run_cnt", 0))
    return found


@contextlib.contextmanager
def bpf_statistics():
    """The kernel counts programs' runs and time while inside."""
    switch = pathlib.Path("/proc/sys/kernel/bpf_stats_enabled")
    before = switch.read_text(encoding="ascii")
    switch.write_text("1", encoding="ascii")
    assert switch.read_text(encoding="ascii").strip() == "1"
    try:
        yield
    finally:
        switch.write_text(before, encoding="ascii")


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((line.split(":", 1)[1].strip() for line in file
                      if line.startswith("model name")), "unknown processor")
    return f"{model}, {os.cpu_count()} processors, Linux {platform.release()} {platform.machine()}"

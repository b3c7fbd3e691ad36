# SPDX-License-Identifier: Apache-2.0
"""What benchmarks have in common: whose time it was, how often programs ran, which machine it is."""
import contextlib
import json
import os
import pathlib
import platform
import subprocess


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

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What watching DNS costs a resolver: dnsperf and a resolver at the ends of a wire, without a tracer, with a packet
socket whose filter rejects all (the floor), and with sockwarden.

Rounds are interleaved, medians are compared. dnsperf counts what it got; sockwarden's counters must say
the same, and nothing may have been lost on the way. Exits 1 where they do not.
"""
import argparse
import ctypes
import os
import pathlib
import shutil
import signal
import socket
import statistics
import sys
import tempfile
import time

sys.dont_write_bytecode = True
TESTS = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TESTS / "integration"), str(TESTS / "bench")]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=str(TESTS.parent / "build" / "tests"), help="build directory")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=int, default=3, help="of load in each run")
    parser.add_argument("--long", type=int, default=0, help="one run of so many seconds with sockwarden")
    parser.add_argument("--resolver", choices=("dnsmasq", "unbound"), default="dnsmasq")
    parser.add_argument("--parts", action="store_true", help="also with the classic filter, DNS alone by either filter, and flows alone")
    parser.add_argument("--other", help="a second build directory, to compare with")
    parser.add_argument("--names", type=int, default=1000, help="that are asked for, a tenth of them unknown")
    return parser.parse_args()


ARGUMENTS = parse_arguments()
os.environ["SOCKWARDEN_BUILD"] = ARGUMENTS.build
# pylint: disable=wrong-import-position
from common import cpu_ns, machine  # noqa: E402
from harness import daemons, scale  # noqa: E402
from harness.netns import Netns, join  # noqa: E402
from harness.scale import wait_until  # noqa: E402

HOST, SERVER = "10.80.1.1", "10.80.1.2"
SO_ATTACH_FILTER = 26
ETH_P_ALL = 3
COUNTERS = ("captured", "packets", "queries", "retries", "answers", "unmatched", "capture_lost",
            "timeouts", "evicted", "duplicates")


class Scene:
    """A host with dnsperf, whose namespace is the initial one to privd, and a resolver."""

    def __init__(self, directory):
        self.host, self.server = Netns("dns-host"), Netns("dns-server")
        join(self.host, f"{HOST}/24", self.server, f"{SERVER}/24")
        known = range(ARGUMENTS.names)
        with open(f"{directory}/hosts", "w", encoding="ascii") as file:
            file.writelines(f"10.{i >> 16}.{i >> 8 & 255}.{i & 255} n{i}.example.org\n"
                            for i in known if i % 10)
        self.queries = f"{directory}/queries"
        with open(self.queries, "w", encoding="ascii") as file:
            file.writelines(f"n{i}.example.org A\n" for i in known)
        start = self.start_unbound if ARGUMENTS.resolver == "unbound" else self.start_dnsmasq
        self.resolver = start(directory)

    def start_dnsmasq(self, directory):
        return self.server.start(
            "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
            f"--addn-hosts={directory}/hosts", "--local=/example.org/", "--local-ttl=300",
            f"--listen-address={SERVER}", "--bind-interfaces", "--user=root", "--cache-size=10000")

    def start_unbound(self, directory):
        """With the same names as local data; from a copy, since an AppArmor profile goes by path."""
        with open(f"{directory}/hosts", encoding="ascii") as file:
            data = [f'  local-data: "{name} 300 IN A {address}"\n'
                    for address, name in (line.split() for line in file)]
        with open(f"{directory}/unbound.conf", "w", encoding="ascii") as file:
            file.write(f'server:\n  directory: "{directory}"\n  chroot: ""\n  username: ""\n'
                       f'  pidfile: ""\n  use-syslog: no\n  num-threads: 1\n  interface: {SERVER}\n'
                       f'  access-control: 0.0.0.0/0 allow\n  local-zone: "example.org" static\n')
            file.writelines(data)
        shutil.copy(shutil.which("unbound", path="/usr/sbin:/usr/bin"), f"{directory}/unbound")
        return self.server.start(f"{directory}/unbound", "-d", "-c", f"{directory}/unbound.conf")

    def load(self, seconds):
        """(queries completed, per second)."""
        text = self.host.run("dnsperf", "-s", SERVER, "-d", self.queries, "-l", str(seconds), "-c", "4",
                             "-q", "64").stdout
        assert text.split("Queries lost:")[1].split()[0] == "0", text
        return (int(text.split("Queries completed:")[1].split()[0]),
                float(text.split("Queries per second:")[1].split()[0]))

    def close(self):
        self.resolver.kill()
        self.resolver.wait()


class Nothing:
    name = "none"

    def __init__(self, scene):
        self.scene = scene

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def done(self, queries):
        """What must be true after a run."""


class Floor(Nothing):
    """A packet socket on all packets, whose filter is one instruction: none."""
    name = "floor"

    def __enter__(self):
        instruction = ctypes.create_string_buffer(b"\x06\0\0\0\0\0\0\0", 8)  # ret #0
        program = ctypes.create_string_buffer(16)
        ctypes.c_uint16.from_buffer(program, 0).value = 1
        ctypes.c_uint64.from_buffer(program, 8).value = ctypes.addressof(instruction)
        with self.scene.host.entered():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program.raw)
        return self

    def __exit__(self, *_):
        self.socket.close()


class Sockwarden(Nothing):
    name = "sockwarden"
    build = scale.BUILD
    options = ()
    is_measured = True
    packets = worker_ns = 0
    failures = []

    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="sockwarden-bench.")
        scale.BUILD = self.build
        self.tracer = daemons.Tracer(
            self.directory.name, config={"publish.interval_s": 30}, privd_options=self.options,
            privd_prefix=["nsenter", f"--net={self.scene.host.path}", "unshare", "--pid", "--fork",
                          "--kill-child", "--mount-proc"])
        self.tracer.start_privd()
        self.tracer.start_worker()
        self.before, self.worker_before = self.counters(), cpu_ns(self.tracer.worker.pid)
        return self

    def counters(self):
        counters = self.tracer.status()["counters"]
        return {name: counters["dns." + name] for name in COUNTERS}

    def done(self, queries):
        def gained():
            return {name: value - self.before[name] for name, value in self.counters().items()}
        time.sleep(0.3)
        wait_until(lambda: gained()["packets"] == gained()["captured"], 20, "all packets are read")
        now = gained()
        if not self.is_measured:
            return
        Sockwarden.packets += now["packets"]
        Sockwarden.worker_ns += cpu_ns(self.tracer.worker.pid) - self.worker_before
        if (now["answers"], now["unmatched"], now["capture_lost"]) != (queries, 0, 0):
            Sockwarden.failures.append((queries, now))

    def __exit__(self, *_):
        with open(f"/proc/{self.tracer.privd.pid}/task/{self.tracer.privd.pid}/children",
                  encoding="ascii") as file:
            for child in file.read().split():
                os.kill(int(child), signal.SIGTERM)
        self.tracer.close()
        self.directory.cleanup()


class Other(Sockwarden):
    """Of another build."""
    name = "other"
    build = pathlib.Path(ARGUMENTS.other or ".").resolve()
    is_measured = False


class Names(Sockwarden):
    """Without UDP's flows."""
    name = "names"
    is_measured = False
    options = ("--udp-hook", "none")


class Whole(Sockwarden):
    """With the packets through the classic filter's ring."""
    name = "by ring"
    is_measured = False
    options = ("--packet-filter", "classic")


class Classic(Sockwarden):
    """The same, without UDP's flows."""
    name = "classic"
    is_measured = False
    options = ("--udp-hook", "none", "--packet-filter", "classic")


class Flows(Sockwarden):
    """Without DNS."""
    name = "flows"
    is_measured = False
    options = ("--dns-ports", "none")


def main():
    daemons.ensure_users()
    rates = {}
    with tempfile.TemporaryDirectory(prefix="sockwarden-bench.") as directory:
        scene = Scene(directory)
        try:
            time.sleep(0.5)
            scene.load(1)
            kinds = [Nothing, Floor, Sockwarden] + [Other] * bool(ARGUMENTS.other)
            kinds += [Whole, Names, Classic, Flows] * ARGUMENTS.parts
            tracers = [kind(scene) for kind in kinds]
            for number in range(ARGUMENTS.rounds):
                turn = number % len(tracers)
                for tracer in tracers[turn:] + tracers[:turn]:
                    with tracer:
                        queries, rate = scene.load(ARGUMENTS.seconds)
                        tracer.done(queries)
                    rates.setdefault(tracer.name, []).append(rate)
                print(f"round {number + 1}: " + ", ".join(
                    f"{name} {values[-1]:.0f}" for name, values in rates.items()), flush=True)
            if ARGUMENTS.long:
                with tracers[2] as tracer:
                    queries, rate = scene.load(ARGUMENTS.long)
                    tracer.done(queries)
                print(f"{ARGUMENTS.long} s: {queries} queries, {rate:.0f}/s")
        finally:
            scene.close()
            Netns.delete_all()
    print(f"\n{machine()}")
    medians = {name: statistics.median(values) for name, values in rates.items()}
    for name, median in medians.items():
        print(f"{name:12} {median:9.0f} queries/s  {median / medians['none']:.3f} of none  "
              f"{median / medians['floor']:.3f} of floor  {min(rates[name]):.0f}..{max(rates[name]):.0f}")
    print(f"worker {Sockwarden.worker_ns / max(1, Sockwarden.packets):.0f} ns for each of "
          f"{Sockwarden.packets} packets")
    for queries, counters in Sockwarden.failures:
        print(f"dnsperf completed {queries}, counted were {counters}")
    sys.exit(1 if Sockwarden.failures else 0)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""Clients that poll at different intervals while connections come and go (tests/programs/steady, tally)."""
import dataclasses
import os
import signal
import subprocess
import time

from harness.scale import SLOW, program

NETWORK = "127.77.0.0/16"  # steady's


@dataclasses.dataclass
class Sums:
    """What tally prints."""
    closed: int
    overflow: int
    sent_bytes: int
    recv_bytes: int
    sent_packets: int
    recv_packets: int
    batches: int
    pieces: int
    missing: int

    def numbers(self):
        """All that must be equal for everybody."""
        return (self.closed, self.sent_bytes, self.recv_bytes, self.sent_packets, self.recv_packets)


class Tally:
    """One program that adds up; ready when it is made."""

    def __init__(self, *arguments):
        self._arguments = arguments
        self._process = None
        self.start()

    def start(self):
        self._process = subprocess.Popen([program("tally"), *self._arguments], text=True,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout.readline() == "ready\n", self._arguments

    def crash(self):
        """Is killed within a batch; returns when it is dead."""
        self._process.send_signal(signal.SIGUSR1)
        assert self._process.stdout.readline() == "holding\n"
        self._process.kill()
        assert self._process.wait() == -signal.SIGKILL

    def end(self):
        """Lets it fetch what is left; several may be told before they are asked."""
        self._process.stdin.close()

    def sums(self):
        output = self._process.stdout.read()
        assert self._process.wait() == 0, self._arguments
        return Sums(*map(int, output.split()))

    def close(self):
        self._process.kill()
        self._process.wait()


@dataclasses.dataclass
class Outcome:
    made: int
    written: int
    seconds: float
    worker_cpu_s: float
    worker_rss_kib: int
    sums: dict  # name: Sums

    def expected(self):
        """closed, sent, received: both ends of each connection."""
        return (2 * self.made, self.written, self.written)


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        words = file.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def prepare(namespace):
    """Ports enough for very many connections, few of them in TIME_WAIT, both ends in the network."""
    namespace.ip("route", "replace", "local", NETWORK, "dev", "lo", "src", "127.77.0.1", "table",
                 "local")
    namespace.sysctl("net.ipv4.ip_local_port_range", "10000 65535")
    namespace.sysctl("net.ipv4.tcp_max_tw_buckets", 4096)


def run(tracer, namespace, directory, load, intervals_ms, crashing):
    """Runs steady (rate, seconds, threads) with a subscriber and clients {name: interval in ms}.

    The client that is named crashing is killed in the middle of a batch after a third of the time and
    comes back, with what it had noted, after another sixth.
    """
    rate, seconds, threads = load
    query = f"ipc://{tracer.runtime_dir}/query.sock"
    tallies = {"conn.v1": Tally("subscribe", f"ipc://{tracer.runtime_dir}/events.sock")}
    try:
        for name, interval in intervals_ms.items():
            tallies[name] = Tally("poll", query, name, str(interval), str(directory / name))
        before = cpu_s(tracer.worker.pid)
        steady = namespace.start(program("steady"), str(rate), str(seconds), str(threads),
                                 stdout=subprocess.PIPE, text=True)
        time.sleep(seconds / 3)
        tallies[crashing].crash()
        time.sleep(seconds / 6)
        tallies[crashing].start()
        output, _ = steady.communicate(timeout=seconds * 2 + 30 * SLOW)
        assert steady.returncode == 0
        made, written, took = output.split()
        tracer.settle()
        for tally in tallies.values():
            tally.end()
        sums = {name: tally.sums() for name, tally in tallies.items()}
        return Outcome(int(made), int(written), float(took), cpu_s(tracer.worker.pid) - before,
                       int(tracer.worker.status()["VmRSS"].split()[0]), sums)
    finally:
        for tally in tallies.values():
            tally.close()


def differences(outcome):
    """In words, what does not add up; empty if all does."""
    wrong = []
    told = outcome.sums["conn.v1"]
    for name, sums in outcome.sums.items():
        if sums.numbers()[:3] != outcome.expected():
            wrong.append(f"{name} was told {sums.numbers()[:3]}, made were {outcome.expected()}")
        if sums.numbers() != told.numbers():
            wrong.append(f"{name} was told {sums.numbers()}, conn.v1 {told.numbers()}")
        if sums.missing:
            wrong.append(f"{name} missed {sums.missing} messages")
    return wrong


def table(outcome):
    """A line for each who was told."""
    lines = [f"{outcome.made} connections in {outcome.seconds:.1f} s "
             f"({outcome.made / outcome.seconds:.0f}/s), {outcome.written} bytes; worker "
             f"{outcome.worker_cpu_s:.1f} s of processor time, RSS {outcome.worker_rss_kib / 1024:.1f} MiB",
             f"{'who':10} {'closed':>10} {'of overflow':>12} {'sent':>12} {'received':>12} "
             f"{'packets out':>12} {'in':>12} {'batches':>8} {'pieces':>8}"]
    for name, s in outcome.sums.items():
        lines.append(f"{name:10} {s.closed:10} {s.overflow:12} {s.sent_bytes:12} {s.recv_bytes:12} "
                     f"{s.sent_packets:12} {s.recv_packets:12} {s.batches:8} {s.pieces:8}")
    return "\n".join(lines)

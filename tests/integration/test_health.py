# SPDX-License-Identifier: Apache-2.0
"""Health, the watchdog, and what meta.v1 tells of them, while one of the two stands still."""
import contextlib
import os
import signal
import socket
import time

from harness.scale import SLOW, program, wait_until
from harness.sockets import anyone, run_program

STAGES = {"intake", "snapshot", "sweep", "cgroups", "publish", "query", "privd"}
# What health has to show trouble within; on a slow machine the waits around it grow, it does not.
SOON = 15


@contextlib.contextmanager
def stopped(daemon):
    """The process stands still."""
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        wait_until(lambda: daemon.status()["State"].startswith("T"), 5, "a process that stands still")
        yield
    finally:
        os.kill(daemon.pid, signal.SIGCONT)


class Manager:
    """The other end of $NOTIFY_SOCKET."""

    _count = 0

    def __init__(self):
        Manager._count += 1
        self.name = f"sockwarden-test-notify-{os.getpid()}-{Manager._count}"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + self.name)
        self.said = []  # (time, text)

    def environment(self, watchdog_s):
        return {"NOTIFY_SOCKET": "@" + self.name, "WATCHDOG_USEC": str(int(watchdog_s * 1000000))}

    def listen(self, seconds):
        """What is said from now on for so long."""
        self.forget()
        end = time.monotonic() + seconds
        heard = []
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            with contextlib.suppress(TimeoutError):
                heard.append(self.socket.recv(4096).decode())
        return heard

    def forget(self):
        """Drops what was said before."""
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.socket.recv(4096)

    def wait(self, text, seconds):
        """Until it is said; returns after how many seconds."""
        begin = time.monotonic()
        while (left := begin + seconds - time.monotonic()) > 0:
            self.socket.settimeout(left)
            with contextlib.suppress(TimeoutError):
                if self.socket.recv(4096).decode().startswith(text):
                    return time.monotonic() - begin
        raise TimeoutError(f"not within {seconds} s: {text}")

    def close(self):
        self.socket.close()


def wait_health(tracer, wanted, seconds):
    """The first meta.v1 from now on that says so."""
    mark = len(tracer.events.topic("meta.v1"))
    return tracer.events.wait(
        lambda: next((m for m in tracer.events.topic("meta.v1")[mark:] if m["health"] == wanted), None),
        seconds / SLOW, f"health {wanted}")


def test_a_privd_that_stands_still_is_told_and_survived(own_tracer, netns):
    """Bad within 15 s with the reason; closes are told all the while; good again when it goes on."""
    box = netns("still")
    tracer = own_tracer().start()
    first = tracer.events.topic("meta.v1")[0]
    assert first["health"] == "good" and first["health_reason"] is None
    assert set(first["stages"]) == STAGES and set(first["stages"].values()) <= {"good", "off"}
    with stopped(tracer.privd):
        message = wait_health(tracer, "bad", SOON)
        assert message["stages"]["privd"] == "bad" and "sockwarden-privd" in message["health_reason"]
        made = run_program(box, program("exact"), "4", "100", "0", "9301")
        tracer.events.wait_closed(anyone(box), 2 * len(made))
        # Asked again and again it answers at once, and says what it cannot do.
        begin = time.monotonic()
        for _ in range(5):
            assert tracer.query({"op": "snapshot"})["error"] == "busy"
        status = tracer.status()
        assert time.monotonic() - begin < 5 * SLOW
        assert status["health"] == "bad" and status["privd"]["alive"] is False
        assert status["stages"]["privd"] == "bad"
        wait_until(lambda: tracer.status()["stages"]["snapshot"] == "bad", 5, "no snapshot either")
        result = tracer.command("status")
        assert result.returncode == 1 and "sockwarden-privd does not answer" in result.stderr
        assert "privd=bad" in result.stdout
        assert tracer.worker.is_alive
        # One line for each thing that fails, not one for each try.
        assert len(tracer.worker.lines(r"^<[0-4]>")) < 10, tracer.worker.log()
    wait_health(tracer, "good", SOON)
    more = run_program(box, program("exact"), "4", "100", "100000", "9301")
    tracer.events.wait_closed(anyone(box), 2 * len(made + more))
    tracer.settle()
    assert not tracer.events.duplicates() and not tracer.events.holes()
    assert len(tracer.snapshot()) >= 0 and tracer.status()["health"] == "good"
    assert tracer.worker.lines("health is good again")


def test_the_watchdog_hears_of_health_and_of_nothing_else(own_tracer):
    manager = Manager()
    tracer = own_tracer()
    tracer.start_privd()
    tracer.start_worker(manager.environment(watchdog_s=1))
    manager.wait("WATCHDOG=1", SOON)
    # Within its second it is told several times, so that one of them may be late.
    assert manager.listen(2 * SLOW).count("WATCHDOG=1") >= 4

    # The worker itself is stuck.
    with stopped(tracer.worker):
        manager.forget()
        assert manager.listen(3) == []
    manager.wait("WATCHDOG=1", SOON)

    # A stage of it is stuck, and the loop turns on.
    with stopped(tracer.privd):
        assert manager.wait("STATUS=health is bad: ", SOON) < SOON
        assert manager.listen(4) == []
        assert tracer.status()["stages"]["privd"] == "bad"
    manager.wait("STATUS=health is good", SOON)
    manager.wait("WATCHDOG=1", SOON)
    assert tracer.worker.stop() == 0
    manager.close()


def test_a_worker_that_starts_while_privd_stands_still_waits_for_it(own_tracer):
    tracer = own_tracer()
    tracer.start_privd()
    with stopped(tracer.privd):
        worker = tracer.start_worker(wait=False)
        worker.wait_log("no answer in time", 10)
        time.sleep(3)
        assert worker.is_alive
    worker.wait_log(r"\bready\b", 20)
    assert tracer.status()["health"] == "good"


def test_nobody_is_told_who_did_not_ask(own_tracer):
    """A notify socket without a watchdog."""
    manager = Manager()
    tracer = own_tracer()
    tracer.start_privd()
    tracer.start_worker({"NOTIFY_SOCKET": "@" + manager.name})
    manager.wait("READY=1", SOON)
    assert manager.listen(3) == []
    manager.close()


def test_meta_comes_every_ten_seconds_and_when_a_subscriber_connects(own_tracer):
    tracer = own_tracer().start()
    tracer.events.wait(lambda: len(tracer.events.topic("meta.v1")) >= 3, 30, "three meta.v1")
    times = [int(m["ts_ns"]) / 1e9 for m in tracer.events.topic("meta.v1")]
    assert 9 < times[-1] - times[-2] < 10 + 3 * SLOW
    before = time.monotonic()
    another = tracer.subscribe(("meta.v1 ",))
    another.wait(lambda: another.topic("meta.v1"), 5, "meta.v1 for who came")
    assert time.monotonic() - before < 5
    another.close()

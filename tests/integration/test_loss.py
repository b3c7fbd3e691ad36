# SPDX-License-Identifier: Apache-2.0
"""What is lost, against what may be: budgets, exit code 7, and how complete an interval was."""
import os
import signal

from harness.scale import program, scaled, wait_until
from harness.sockets import anyone, run_program


def overflow(tracer, box, port):
    """A worker that stands still while more closes than the smallest ring holds."""
    tracer.pause_worker()
    run_program(box, program("exact"), "4", str(scaled(3000, 1500)), "0", port)
    os.kill(tracer.worker.pid, signal.SIGCONT)
    return wait_until(lambda: (lambda s: s if s["connections"]["lost"] else None)(tracer.status()), 10,
                      "records that are lost")


def test_one_lost_record_exceeds_the_standard_budget(own_tracer, netns):
    box = netns("budget")
    tracer = own_tracer(privd_options=["--ring-pages", "8"]).start()
    before = tracer.status()["loss"]
    assert before["budget_exceeded"] is False and before["window_s"] == 3600
    assert tracer.command("status").returncode == 0
    status = overflow(tracer, box, "9310")
    loss = status["loss"]
    assert loss["budget_exceeded"] and loss["budgets"]["bpf"]["exceeded"]
    assert loss["budgets"]["bpf"]["lost"] == loss["stages"]["bpf"] > 0
    assert loss["budgets"]["bpf"]["of"] >= loss["stages"]["bpf"] + status["connections"]["closed"] // 2
    result = tracer.command("status")
    assert result.returncode == 7 and "EXCEEDED" in result.stdout
    assert "sockwarden status" in result.stderr
    assert tracer.worker.lines(r"^<4>.*loss budget exceeded at stage bpf")

    # The intervals of meta.v1 add up to what came and what was lost.
    def whole():
        messages = [m["completeness"] for m in tracer.events.topic("meta.v1")]
        lost = sum(m["lost"] for m in messages)
        return messages if lost == tracer.status()["connections"]["lost"] else None
    messages = wait_until(whole, 15, "an interval that tells of the loss", 0.5)
    assert any(m["ppm"] is not None and m["ppm"] < 1000000 for m in messages)
    for message in messages:
        everything = message["told"] + message["lost"]
        want = message["told"] * 1000000 // everything if everything else None
        assert message["ppm"] == want

    # The next worker does not hide it.
    tracer.worker.stop()
    tracer.start_worker()
    assert tracer.status()["loss"]["budget_exceeded"]


def test_a_budget_that_is_large_enough_is_kept(own_tracer, netns):
    box = netns("large")
    tracer = own_tracer(
        privd_options=["--ring-pages", "8"],
        config={"loss.bpf_ppm": 999999, "loss.ring_ppm": 1000000, "loss.batch_ppm": 1000000}).start()
    loss = overflow(tracer, box, "9311")["loss"]
    assert loss["stages"]["bpf"] > 0 and not loss["budget_exceeded"]
    assert tracer.command("status").returncode == 0


def test_what_a_slow_subscriber_loses_is_counted_and_can_have_a_budget(own_tracer, netns):
    box = netns("slow")
    tracer = own_tracer(config={"publish.queue": 64, "loss.publish_ppm": 1000}).start()
    slow = tracer.subscribe()
    wait_until(lambda: tracer.status()["gauges"]["publish.subscribers"] == 2, 10, "two subscribers")
    assert not tracer.status()["loss"]["budget_exceeded"]
    os.kill(slow._process.pid, signal.SIGSTOP)
    for number in range(16):
        run_program(box, program("exact"), "4", str(scaled(1000, 600)), str(10000 * number), "9312")
    status = wait_until(lambda: (lambda s: s if s["loss"]["budget_exceeded"] else None)(tracer.status()),
                        10, "the loss of who does not read")
    assert status["loss"]["stages"]["publish"] == status["counters"]["publish.dropped"] > 0
    assert status["loss"]["budgets"]["publish"]["of"] == status["counters"]["publish.queued"]
    assert tracer.command("status").returncode == 7
    # Never more than what is missing in the end.
    os.kill(slow._process.pid, signal.SIGCONT)
    tail = run_program(box, program("exact"), "4", "8", "900000", "9312")
    slow.wait_closed(lambda c: anyone(box)(c) and c["local"]["ip"] == tail[-1][1], 1, 15)
    missing = sum(after - before - 1 for _, _, before, after in slow.holes())
    # A message that was the first or the last of its topic leaves no hole.
    assert 0 < tracer.status()["counters"]["publish.dropped"] <= missing + 4
    slow.close()

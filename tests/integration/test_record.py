# SPDX-License-Identifier: Apache-2.0
"""A recording of a running worker, replayed, gives the very bytes that the worker published."""
import json

import pytest

from harness.daemons import WORKER_USER
from harness.recordings import TOPICS, Lines, of_topic, replay, seq_of, start_recording, stop_recording
from harness.scale import SLOW, program, scaled, wait_until
from harness.sockets import run_program, start_program


def test_a_replay_gives_the_bytes_that_the_worker_published(own_tracer, netns, tmp_path):
    """With connections from before, that live on, that change, that come and go, and of both families."""
    box = netns("taped")
    box.ip("-6", "route", "add", "local", "fd00:5::/64", "dev", "lo")
    tracer = own_tracer(config={"publish.interval_s": 1}).start()
    lines = Lines(tracer, tmp_path / "lines")
    before = scaled(400, 50)
    holder, _ = start_program(box, program("holder"), str(before), "9300")
    tracer.events.wait_active(lambda c: c["netns"] == box.inode, before, 20)
    wait_until(lines.read, 10, "a first message")

    tape = tmp_path / "tape"
    recording = start_recording(tracer, tape)
    made = []
    for family in ("4", "6"):
        made += run_program(box, program("exact"), family, str(scaled(3000, 200)), "0", "9301")
    late, _ = start_program(box, program("holder"), str(scaled(100, 20)), "9302")
    tracer.snapshot()
    # The live ones are looked at twice more, and the early ones go while it records.
    tracer.settle()
    passes = tracer.status()["counters"]["snapshot.passes"]
    wait_until(lambda: tracer.status()["counters"]["snapshot.passes"] >= passes + 4, 20, "two passes")
    holder.stdin.close()
    holder.wait()
    tracer.events.wait_closed(lambda c: c["netns"] == box.inode, 2 * len(made) + before, 20)
    tracer.settle()
    said = stop_recording(recording)
    assert str(tape.stat().st_size) in said
    assert tape.stat().st_mode & 0o777 == 0o600
    late.stdin.close()
    late.wait()

    first = replay(tape)
    assert first.returncode == 0, first.stderr
    replayed = of_topic(first.stdout.splitlines(keepends=True), TOPICS[0])
    numbers = [seq_of(line) for line in replayed]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    wait_until(lambda: lines.read() and seq_of(lines.read()[-1]) >= numbers[-1], 10, "the last message")
    lines.stop()
    published = [line for line in lines.read() if numbers[0] <= seq_of(line) <= numbers[-1]]
    assert len(published) == len(replayed)
    assert published == replayed

    told = [c for line in replayed for c in json.loads(line.partition(b" ")[2])["connections"]
            if c["netns"] == box.inode]
    assert sum(c["state"] == "closed" for c in told) >= 2 * len(made) + 2 * before
    assert any(c["state"] == "active" for c in told)
    assert any(c["cgroup"] for c in told)
    assert {c["family"] for c in told} == {"ipv4", "ipv6"}
    assert replay(tape).stdout == first.stdout


@pytest.fixture(name="short_tape")
def make_short_tape(tracer, box, public_path):
    """A recording of two seconds with some connections, that the worker's user can read."""
    tape = public_path / "short"
    recording = start_recording(tracer, tape, "--seconds", "1")
    run_program(box, program("exact"), "4", "50", "0", "9310")
    _, said = recording.communicate(timeout=30 * SLOW)
    assert recording.returncode == 0, said
    tape.chmod(0o644)
    return tape


def test_whoever_has_the_file_can_replay_it(short_tape):
    """Without any privilege; and root's replay opens what only root may read."""
    by_user = replay(short_tape, user=WORKER_USER, group=WORKER_USER, extra_groups=[])
    assert by_user.returncode == 0, by_user.stderr
    assert by_user.stdout.startswith(b"conn.v1 {")
    short_tape.chmod(0o600)
    assert replay(short_tape).stdout == by_user.stdout
    refused = replay(short_tape, user=WORKER_USER, group=WORKER_USER, extra_groups=[])
    assert refused.returncode == 1 and b"Permission denied" in refused.stderr


def test_a_malformed_recording_is_an_error_that_names_the_place(short_tape, public_path):
    whole = short_tape.read_bytes()
    wrong = public_path / "wrong"
    cases = [
        (b"", "byte 0: shorter than a recording's header"),
        (whole[:-10], "the recording is cut within an entry"),
        (whole[:-16], "the recording is cut: it has no end"),
        (whole + b"x", "something follows the end"),
        (b"{}" + whole[2:], "byte 0: this is no recording"),
    ]
    for content, error in cases:
        wrong.write_bytes(content)
        result = replay(wrong)
        assert result.returncode == 1
        assert error in result.stderr.decode(), result.stderr
    # What was read before the end that is missing is told.
    wrong.write_bytes(whole[:-16])
    assert replay(wrong).stdout == replay(short_tape).stdout
    missing = replay(public_path / "missing")
    assert missing.returncode == 1 and b"No such file" in missing.stderr


def test_there_is_one_recording_at_a_time(tracer, tmp_path):
    recording = start_recording(tracer, tmp_path / "one")
    second = tracer.command("record", str(tmp_path / "two"), "--seconds", "1")
    assert second.returncode == 1
    assert "a recording is being made already" in second.stderr
    stop_recording(recording)
    third = tracer.command("record", str(tmp_path / "three"), "--seconds", "0.2")
    assert third.returncode == 0, third.stderr


def test_a_recording_whose_client_is_gone_is_given_up(tracer, tmp_path):
    memory = tracer.worker.status()["VmRSS"]
    recording = start_recording(tracer, tmp_path / "one")
    recording.kill()
    recording.communicate()
    assert tracer.command("record", str(tmp_path / "two"), "--seconds", "0.2").returncode == 1

    def again():
        return tracer.command("record", str(tmp_path / "two"), "--seconds", "0.2").returncode == 0
    wait_until(again, 20, "the worker has given it up", 0.5)
    grown = int(tracer.worker.status()["VmRSS"].split()[0]) - int(memory.split()[0])
    assert grown < 8 * 1024, f"{memory} before, {grown} kB more after"


def test_record_says_what_is_wrong_with_its_command_line(tracer, tmp_path):
    missing = tracer.command("record")
    assert missing.returncode == 2 and "FILE is missing" in missing.stderr
    many = tracer.command("record", "a", "b")
    assert many.returncode == 2
    folder = tracer.command("record", str(tmp_path))
    assert folder.returncode == 1 and "Is a directory" in folder.stderr

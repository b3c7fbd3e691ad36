# SPDX-License-Identifier: Apache-2.0
"""`sockwarden watch`: what is published, line by line, and what was lost."""
import json
import re
import subprocess
import time

import pytest

from harness import fakes
from harness.scale import SLOW, binary, wait_until
from harness.sockets import connect, listen


class Watch:
    """A running watch whose lines are read as they come."""

    def __init__(self, directory, tmp_path, *options):
        self.out = tmp_path / "out"
        self.err = tmp_path / "err"
        self.process = subprocess.Popen(
            [binary("cli/sockwarden"), "watch", "--runtime-dir", str(directory), *options],
            stdin=subprocess.DEVNULL, stdout=open(self.out, "wb"), stderr=open(self.err, "wb"))

    def lines(self):
        return self.out.read_text(encoding="utf-8").splitlines()

    def said(self):
        return self.err.read_text(encoding="utf-8").splitlines()

    def wait_said(self, text):
        return wait_until(lambda: [line for line in self.said() if text in line], 10, text)[0]

    def stop(self):
        self.process.terminate()
        self.process.wait(5 * SLOW)


@pytest.fixture
def watch(tmp_path):
    made = []

    def start(directory, *options):
        made.append(Watch(directory, tmp_path, *options))
        return made[-1]

    yield start
    for one in made:
        one.stop()


def exchange(namespace, sent=5, received=32):
    """One connection, start to end; returns its server's port."""
    with listen(namespace, "127.0.0.1") as server:
        port = server.getsockname()[1]
        with connect(namespace, "127.0.0.1", port) as client:
            peer = server.accept()[0]
            client.send(b"x" * sent)
            peer.recv(100)
            peer.send(b"y" * received)
            peer.close()
            client.recv(100)
            client.recv(100)
    return port


def test_a_connection_is_one_line_per_end(tracer, watch, box):
    running = watch(tracer.runtime_dir)
    wait_until(running.lines, 10, "titles")
    time.sleep(0.3 * SLOW)
    port = exchange(box)

    def mine():
        return [line.split() for line in running.lines() if f":{port} " in line]
    first, second = wait_until(lambda: len(mine()) == 2 and mine(), 5, "two lines")
    out, back = sorted((first, second), key=lambda words: words[3] != "->")
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d\d\d", out[0])
    assert out[1] == "closed" and out[4] == f"127.0.0.1:{port}" and out[6:8] == ["5B", "32B"]
    assert back[3] == "<-" and back[2] == f"127.0.0.1:{port}" and back[6:8] == ["32B", "5B"]
    assert out[-1] == back[-1] == "fin"
    assert running.said() == []


def test_json_lines_are_flushed_one_by_one_and_count_ends_it(tracer, box):
    process = subprocess.Popen(
        [binary("cli/sockwarden"), "--runtime-dir", str(tracer.runtime_dir), "watch", "--json",
         "--count", "2", "--timeout", str(20 * SLOW)], stdout=subprocess.PIPE, text=True)
    ports = set()
    while process.poll() is None:
        ports.add(exchange(box))
        time.sleep(0.2)
    lines = [json.loads(line) for line in process.stdout]
    assert process.returncode == 0 and len(lines) == 2
    assert all(list(line) == list(fakes.connection()) for line in lines)


def test_time_out(tracer):
    started = time.monotonic()
    assert tracer.command("watch", "--timeout", "0.5").returncode == 0
    assert 0.5 <= time.monotonic() - started < 5 * SLOW
    short = tracer.command("watch", "--timeout", "0.2", "--count", "4000000000")
    assert short.returncode == 1 and len(short.stderr.splitlines()) == 1


def test_a_new_watch_of_meta_is_greeted(tracer):
    result = tracer.command("watch", "--topic", "meta.v1", "--count", "1", "--timeout", "20", "--json")
    meta = json.loads(result.stdout)
    assert result.returncode == 0 and meta["schema"] == "meta.v1" and meta["health"] == "good"
    text = tracer.command("watch", "--topic", "meta.v1", "--count", "1", "--timeout", "20").stdout
    assert "health=good" in text and "conn.capacity=" in text


@pytest.mark.parametrize("options", [["--topic", "nope.v1"], ["--topic", "conn.v1 "],
                                     ["--count", "0"], ["--timeout", "-1"], ["--bogus"]])
def test_a_wrong_option_is_one_line(tmp_path, options):
    result = subprocess.run([binary("cli/sockwarden"), "watch", "--runtime-dir", str(tmp_path),
                             *options], capture_output=True, text=True, check=False, timeout=20 * SLOW)
    assert result.returncode == 2 and len(result.stderr.splitlines()) == 1


def test_lost_messages_and_a_new_worker_are_told(tmp_path, watch):
    first = fakes.publishing(tmp_path, "aa", 5)
    running = watch(tmp_path, "--json")
    running.wait_said("seq 5 came again after 5")
    first.stop()
    running.wait_said("the worker is gone")
    with fakes.publishing(tmp_path, "aa", 9):
        assert "3 messages lost (seq 6 to 8)" in running.wait_said("lost")
        running.wait_said("the worker is back")
    with fakes.publishing(tmp_path, "bb", 1):
        assert "instance bb" in running.wait_said("started anew")


def test_hostile_names_are_made_harmless(tmp_path, watch):
    evil = fakes.connection(comm="a\x1b[2J\u009b\u202eb", failure="E\x07", state="closed")
    with fakes.publishing(tmp_path, "aa", 1, [evil]):
        plain = watch(tmp_path, "--count", "1")
        plain.process.wait(10 * SLOW)
        text = plain.out.read_bytes()
    assert b"\x1b" not in text and b"\x07" not in text and b"\xe2\x80\xae" not in text
    assert rb"a\x1b[2J\u009b\u202eb" in text


def test_a_watch_ends_when_its_reader_is_gone(tracer):
    """Many at once, since closing nng's sockets hung once in some hundred times on a busy machine."""
    for _ in range(8):
        watches = [subprocess.Popen(
            [binary("cli/sockwarden"), "--runtime-dir", str(tracer.runtime_dir), "watch", "--no-header"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(8)]
        for watch in watches:
            watch.stdout.close()
        for watch in watches:
            assert watch.wait(10 * SLOW) == 0
            assert watch.stderr.read() == ""

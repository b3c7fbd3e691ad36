# SPDX-License-Identifier: Apache-2.0
"""Recordings of a running worker, what it published meanwhile, byte for byte, and replays."""
import json
import signal
import subprocess

from harness.scale import SLOW, binary, program, wait_until

TOPICS = ("conn.v1 ", "dns.v1 ", "names.v1 ")


class Lines:
    """A subscriber whose messages are kept as they are, byte for byte."""

    def __init__(self, tracer, path):
        self.path = path
        with open(path, "wb") as output:
            self.process = subprocess.Popen(
                [program("subscriber"), f"ipc://{tracer.runtime_dir}/events.sock", *TOPICS],
                stdin=subprocess.DEVNULL, stdout=output)

    def read(self, topic=TOPICS[0]):
        return of_topic(self.path.read_bytes().splitlines(keepends=True), topic)

    def stop(self):
        self.process.kill()
        self.process.wait()


def of_topic(lines, topic):
    return [line for line in lines if line.startswith(topic.encode())]


def seq_of(line):
    return json.loads(line.partition(b" ")[2])["seq"]


def start_recording(tracer, path, *options):
    """Starts `sockwarden record`, and returns when the worker has begun."""
    process = subprocess.Popen(
        [binary("cli/sockwarden"), "record", "--runtime-dir", str(tracer.runtime_dir), str(path),
         *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True)
    wait_until(lambda: path.exists() and path.stat().st_size > 0 or process.poll() is not None, 10,
               "the first bytes of a recording")
    assert process.poll() is None, process.stderr.read()
    return process


def stop_recording(process):
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30 * SLOW)
    assert process.returncode == 0, said
    return said


def replay(path, **options):
    """What --replay prints, and how it ends."""
    return subprocess.run([binary("worker/sockwarden-worker"), "--replay", str(path)],
                          capture_output=True, check=False, timeout=60 * SLOW, **options)

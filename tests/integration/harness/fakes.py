# SPDX-License-Identifier: Apache-2.0
"""A worker that says what a test wants: nngcat at the worker's sockets."""
import json
import subprocess

from harness.scale import wait_until


class Speaker:
    """Answers every request, or publishes one message every second, until stopped."""

    def __init__(self, directory, text, protocol):
        path = directory / {"rep": "query.sock", "pub": "events.sock"}[protocol]
        path.unlink(missing_ok=True)
        repeat = ["--interval", "1"] if protocol == "pub" else []
        self.process = subprocess.Popen(
            ["nngcat", f"--{protocol}", "--listen", f"ipc://{path}", "--data", text, *repeat],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(path.exists, 5, f"nngcat at {path}")

    def stop(self):
        self.process.terminate()
        self.process.wait(5)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def answering(directory, answer):
    """A worker with one answer for all requests; answer is an object or raw text."""
    return Speaker(directory, answer if isinstance(answer, str) else json.dumps(answer), "rep")


def publishing(directory, instance, seq, connections=()):
    """A worker that publishes one conn.v1 message again and again."""
    body = {"schema": "conn.v1", "host": "fake", "instance": instance, "seq": seq,
            "ts_ns": "1795330000000000000", "connections": list(connections)}
    return Speaker(directory, "conn.v1 " + json.dumps(body), "pub")


def connection(**facts):
    """A connection with all its keys."""
    whole = {
        "id": "0000000000001a2b", "state": "closed", "protocol": "tcp", "family": "ipv4",
        "direction": "outgoing", "local": {"ip": "10.0.0.5", "port": 51514},
        "remote": {"ip": "10.0.0.9", "port": 443, "names": []}, "pid": 4711, "comm": "curl",
        "uid": 1000, "start_ns": "1795320000000000000", "pid_source": "connect", "netns": 4026531840, "cgroup": "/x", "container": None,
        "opened_ns": "1795330000000000000", "duration_ns": "1234567", "handshake_us": 311,
        "total": {"sent_bytes": 2048, "recv_bytes": 5, "sent_packets": 9, "recv_packets": 8,
                  "retransmits": 0},
        "delta": {"sent_bytes": 2048, "recv_bytes": 5, "sent_packets": 9, "recv_packets": 8,
                  "retransmits": 0},
        "rtt_us": 95, "rtt_var_us": 12, "failure": None, "close_reason": "fin", "inferred": False,
        "intra_host": False, "nat": None, "dns": None}
    return {**whole, **facts}

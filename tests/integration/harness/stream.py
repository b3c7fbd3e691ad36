# SPDX-License-Identifier: Apache-2.0
"""A subscriber: a program writes what it receives into a pipe, a thread parses it."""
import fcntl
import json
import os
import subprocess
import threading
import time

from harness.scale import SLOW, program

F_SETPIPE_SZ = 1031
PIPE_BYTES = 1 << 20


class Subscriber:
    """Messages of some topics, in the order of their arrival."""

    def __init__(self, events_path, topics=("conn.v1 ", "meta.v1 ")):
        reading, writing = os.pipe()
        fcntl.fcntl(writing, F_SETPIPE_SZ, PIPE_BYTES)
        self._process = subprocess.Popen(
            [program("subscriber"), f"ipc://{events_path}", *topics], stdin=subprocess.DEVNULL,
            stdout=writing)
        os.close(writing)
        self._pipe = os.fdopen(reading, "rb", buffering=PIPE_BYTES)
        self._condition = threading.Condition()
        self.messages = []  # (topic, object)
        self.closed = []  # every closed connection of conn.v1
        self.active = []  # every active one
        self.broken = None  # a message that could not be parsed
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        for line in self._pipe:
            topic, _, text = line.rstrip(b"\n").partition(b" ")
            try:
                value = json.loads(text)
                self._take(topic.decode(), value, len(line) - 1)
            except (ValueError, KeyError) as error:
                self.broken = f"{error}: {line[:200]!r}"

    def _take(self, topic, value, length):
        value["_length"] = length
        with self._condition:
            self.messages.append((topic, value))
            if topic == "conn.v1":
                for connection in value["connections"]:
                    connection["_ts_ns"] = int(value["ts_ns"])
                    connection["_instance"] = value["instance"]
                    kept = self.closed if connection["state"] == "closed" else self.active
                    kept.append(connection)
            self._condition.notify_all()

    def topic(self, name):
        """All messages of a topic, by its name without the space."""
        with self._condition:
            return [value for topic, value in self.messages if topic == name]

    def wait(self, condition, seconds, what):
        """Waits until condition() is true, looking again at each message; returns its value."""
        end = time.monotonic() + seconds * SLOW
        with self._condition:
            while True:
                value = condition()
                if value:
                    return value
                assert self.broken is None, f"unparsable output: {self.broken}"
                left = end - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"not within {seconds * SLOW:g} s: {what}")
                self._condition.wait(min(left, 0.5))

    def wait_quiet(self, pause, seconds):
        """Waits until no closed connection came for a while: a subscriber may be far behind."""
        seen, since = self.mark(), time.monotonic()
        end = since + seconds * SLOW
        while time.monotonic() - since < pause and time.monotonic() < end:
            time.sleep(pause / 10)
            if self.mark() != seen:
                seen, since = self.mark(), time.monotonic()

    def closed_where(self, condition):
        """The closed connections so far for which condition holds."""
        with self._condition:
            return [c for c in self.closed if condition(c)]

    def wait_count(self, condition, count, seconds, mark=0):
        """Waits until so many closed connections (from a mark on) came; cheap for thousands."""
        state = {"position": mark, "found": 0}

        def enough():
            for connection in self.closed[state["position"]:]:
                state["found"] += bool(condition(connection))
            state["position"] = len(self.closed)
            return state["found"] >= count
        try:
            self.wait(enough, seconds, f"{count} closed connections")
        except TimeoutError as error:
            raise TimeoutError(f"{error}: {state['found']} came; holes: {self.holes()}") from None

    def wait_closed(self, condition, count=1, seconds=5):
        """Waits for so many closed connections for which condition holds."""
        try:
            return self.wait(
                lambda: (lambda found: found if len(found) >= count else None)(
                    [c for c in self.closed if condition(c)]),
                seconds, f"{count} closed connections")
        except TimeoutError as error:
            found = self.closed_where(condition)
            raise TimeoutError(f"{error}: {len(found)} came: {found[:3]}") from None

    def wait_active(self, condition, count=1, seconds=5):
        """Waits for so many reports of active connections for which condition holds."""
        return self.wait(
            lambda: (lambda found: found if len(found) >= count else None)(
                [c for c in self.active if condition(c)]),
            seconds, f"{count} active connections")

    def mark(self):
        """A position: closed connections from here on are closed[mark:]."""
        with self._condition:
            return len(self.closed)

    def holes(self):
        """Messages that are missing by their seq: (topic, instance, seq before, seq after)."""
        last = {}
        found = []
        with self._condition:
            for topic, value in self.messages:
                key = (topic, value["instance"])
                if key in last and value["seq"] != last[key] + 1:
                    found.append((*key, last[key], value["seq"]))
                last[key] = value["seq"]
        return found

    def duplicates(self):
        """Connections that were published as closed more than once, as texts; a few of them."""
        times = {}
        with self._condition:
            for connection in self.closed:
                times.setdefault(connection["id"], []).append(connection)
        twice = [same for same in times.values() if len(same) > 1]
        if not twice:
            return []
        return [f"{len(twice)} ids"] + [
            " / ".join(f"{c['id']} {c['direction']} {c['close_reason']} inferred {c['inferred']} "
                       f"netns {c['netns']} {c['_instance'][:4]} at {c['_ts_ns']}" for c in same)
            for same in twice[:3]]

    def close(self):
        self._process.kill()
        self._process.wait()
        self._thread.join(5)
        self._pipe.close()

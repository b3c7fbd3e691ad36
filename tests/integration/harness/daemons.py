# SPDX-License-Identifier: Apache-2.0
"""The real privd and worker, with a runtime directory of their own."""
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import stat
import subprocess
import time

from harness.scale import SLOW, binary, wait_until
from harness.stream import Subscriber

WORKER_USER = "sockwarden"
PRIVD_USER = "sockwarden-privd"

# A sanitizer's allocator gives back a tenth of what it holds at once: of 256 MB that stopped nng's threads for 25 ms
# on a machine whose munmap(2) is slow, which is longer than an answer waits for the one before it.
os.environ.setdefault("ASAN_OPTIONS", "quarantine_size_mb=16")


class Daemon:
    """One started program and its log."""

    def __init__(self, name, command, log_path, environment=None):
        self.name = name
        self.log_path = pathlib.Path(log_path)
        self._log_start = self.log_path.stat().st_size if self.log_path.exists() else 0
        with open(log_path, "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **(environment or {})})

    @property
    def pid(self):
        return self.process.pid

    @property
    def is_alive(self):
        return self.process.poll() is None

    def log(self):
        """What this process has logged so far."""
        with open(self.log_path, "rb") as file:
            file.seek(self._log_start)
            return file.read().decode("utf-8", "replace")

    def lines(self, pattern):
        """The log's lines that match."""
        return [line for line in self.log().splitlines() if re.search(pattern, line)]

    def wait_log(self, pattern, seconds=10):
        """Waits for a line that matches and returns it; raises if the process ends first."""
        def look():
            found = self.lines(pattern)
            if not found and not self.is_alive:
                raise RuntimeError(f"{self.name} ended with {self.process.returncode}: {self.log()}")
            return found
        return wait_until(look, seconds, f"a line like {pattern!r} in: {self.log()}")[0]

    def wait_exit(self, seconds):
        """Waits for its end and returns the exit code (negative: a signal)."""
        return self.process.wait(seconds * SLOW)

    def kill(self):
        if self.is_alive:
            self.process.kill()
        self.process.wait()

    def stop(self, seconds=5):
        """SIGTERM; returns the exit code."""
        if self.is_alive:
            self.process.terminate()
        try:
            return self.process.wait(seconds * SLOW)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def status(self, task=None):
        """/proc/PID/status as a dict, of the process or of one of its threads."""
        path = f"/proc/{self.pid}/status" if task is None else f"/proc/{self.pid}/task/{task}/status"
        with open(path, encoding="utf-8") as file:
            return {key: value.strip() for key, value in
                    (line.split(":", 1) for line in file if ":" in line)}

    def tasks(self):
        return os.listdir(f"/proc/{self.pid}/task")

    def bpf_objects(self):
        """Ids of what the process holds: {"link_id": {...}, "prog_id": {...}, "map_id": {...}}."""
        found = {"link_id": set(), "prog_id": set(), "map_id": set()}
        for entry in os.listdir(f"/proc/{self.pid}/fdinfo"):
            try:
                with open(f"/proc/{self.pid}/fdinfo/{entry}", encoding="utf-8") as file:
                    lines = file.read().splitlines()
            except FileNotFoundError:
                continue
            for line in lines:
                key, _, value = line.partition(":")
                if key in found:
                    found[key].add(int(value))
        return found


def make_public(directory):
    """Lets other users through to a directory of pytest's, which makes them for root alone."""
    directory = pathlib.Path(directory)
    for path in (directory, *directory.parents):
        if path.stat().st_uid == os.geteuid() and not path.stat().st_mode & stat.S_ISVTX:
            path.chmod(path.stat().st_mode | 0o055)


class Tracer:
    """privd and worker; start() makes both ready and connects a subscriber."""

    _count = 0

    def __init__(self, directory, config=None, privd_options=(), worker_options=(),
                 privd_prefix=()):
        Tracer._count += 1
        self.directory = pathlib.Path(directory)  # logs and configuration
        self.runtime_dir = pathlib.Path(f"/run/sockwarden-test-{os.getpid()}-{Tracer._count}")
        self.config = {"publish.interval_s": 1, **(config or {})}
        self.privd_options = list(privd_options)
        self.worker_options = list(worker_options)
        self.privd_prefix = list(privd_prefix)  # a command that becomes privd
        self.privd = None
        self.worker = None
        self.events = None

    @property
    def privd_socket(self):
        return str(self.runtime_dir / "privd.sock")

    @property
    def worker_uid(self):
        return pwd.getpwnam(WORKER_USER).pw_uid

    def write_config(self):
        """The configuration file of the worker; dotted keys become nested objects."""
        tree = {}
        for key, value in self.config.items():
            node = tree
            *groups, leaf = key.split(".")
            for group in groups:
                node = node.setdefault(group, {})
            node[leaf] = value
        make_public(self.directory)
        path = self.directory / "sockwarden.json"
        path.write_text(json.dumps(tree), encoding="utf-8")
        return str(path)

    def start_privd(self, environment=None, wait=True, log="privd.log"):
        self.privd = Daemon(
            "privd",
            [*self.privd_prefix, binary("privd/sockwarden-privd"), "--runtime-dir",
             str(self.runtime_dir), *self.privd_options],
            self.directory / log, environment)
        if wait:
            self.privd.wait_log(r"\bready\b", 20)
        return self.privd

    def start_worker(self, environment=None, wait=True, log="worker.log"):
        self.worker = Daemon(
            "worker",
            [binary("worker/sockwarden-worker"), "--runtime-dir", str(self.runtime_dir),
             "--config", self.write_config(), *self.worker_options],
            self.directory / log, environment)
        if wait:
            self.worker.wait_log(r"\bready\b", 20)
        return self.worker

    def subscribe(self, topics=("conn.v1 ", "meta.v1 ")):
        """A further subscriber; the caller closes it."""
        return Subscriber(self.runtime_dir / "events.sock", topics)

    def start(self):
        self.start_privd()
        self.start_worker()
        return self.listen()

    def listen(self):
        """Connects the subscriber whose messages are in events."""
        self.events = self.subscribe()
        # meta.v1 is published when a subscriber joins, so it shows that messages arrive.
        self.events.wait(lambda: self.events.topic("meta.v1"), 10, "first meta.v1")
        return self

    def query(self, request, seconds=10):
        """Asks the worker; request is an object or the text to send."""
        text = request if isinstance(request, str) else json.dumps(request)
        result = subprocess.run(
            ["nngcat", "--req", "--dial", f"ipc://{self.runtime_dir}/query.sock",
             "--recv-timeout", str(max(1, int(seconds * SLOW))), "--raw", "--data", text],
            capture_output=True, check=False, timeout=seconds * SLOW + 5)
        if result.returncode != 0:
            raise RuntimeError(f"query {text[:80]}: {result.stderr.decode()}")
        return json.loads(result.stdout)

    def status(self):
        answer = self.query({"op": "status"})
        assert answer["ok"], answer
        return answer

    def hook(self, feature):
        """The hook that a feature uses on this kernel, as status says."""
        return self.status()["kernel"]["hooks"][feature]

    def snapshot(self, **more):
        """All pages of a snapshot: a list of connections."""
        connections = []
        request = {"op": "snapshot", **more}
        while True:
            answer = self.query(request, 30)
            assert answer["ok"], answer
            connections += answer["connections"]
            if not answer.get("more"):
                return connections
            request = {"op": "snapshot", **more, "page": answer["more"]}

    def command(self, *arguments, **options):
        """Runs the sockwarden command against these daemons."""
        verb, *rest = arguments
        options = {"capture_output": True, "text": True, "check": False, "timeout": 30 * SLOW,
                   **options}
        return subprocess.run(
            [binary("cli/sockwarden"), verb, "--runtime-dir", str(self.runtime_dir), *rest],
            **options)

    def settle(self):
        """Lets everything that has closed so far be published, and the subscriber read it."""
        time.sleep(0.3 * min(SLOW, 3))
        if self.events:
            self.events.wait_quiet(0.2, 20)

    def pause_worker(self):
        """SIGSTOP, and waits until the worker stands still."""
        os.kill(self.worker.pid, signal.SIGSTOP)
        wait_until(lambda: self.worker.status()["State"].startswith("T"), 5, "stopped worker")

    def close(self):
        """Stops what runs; the directory of the sockets goes too."""
        if self.events:
            self.events.close()
        for daemon in (self.worker, self.privd):
            if daemon and daemon.is_alive:
                os.kill(daemon.pid, signal.SIGCONT)
                daemon.stop()
        shutil.rmtree(self.runtime_dir, ignore_errors=True)


def ensure_users():
    """The two system users, made where they are missing."""
    for name in (WORKER_USER, PRIVD_USER):
        try:
            pwd.getpwnam(name)
        except KeyError:
            subprocess.run(
                ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir",
                 "/nonexistent", "--shell", "/usr/sbin/nologin", name], check=True)

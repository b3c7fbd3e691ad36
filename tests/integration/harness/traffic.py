# SPDX-License-Identifier: Apache-2.0
"""Real programs that talk through a lab (harness/lab.py), and what they themselves say they did.

Each kind starts its servers when it is made, goes on in a thread of its own until its time is over, and
has afterwards:
  clients, servers  the processes: {pid: name}; servers' may be None where a server forks
  container         the label of the clients' container
  ports             the servers' ports, by which its flows are known
"""
import json
import pathlib
import re
import signal
import subprocess
import threading
import time

from harness.lab import (CLOSED, CROWD, DATAGRAMS, DNS, FORWARDED, INSIDE, PIPE, PIPE_UDP, PLAIN_WEB,
                         SERVER, STREAM, WEB)
from harness.scale import SLOW, program, scaled, wait_until
from harness.web import Nginx


CLOCK_STEP_NS = 5_000_000  # the wall clock may be set a little


class Kind:
    """One kind of traffic."""
    name = ""
    ports = ()
    container = None
    server_name = client_name = ""
    server_forks = False  # and its children's numbers are not known

    def __init__(self, lab, directory):
        self.lab = lab
        self.directory = pathlib.Path(directory) / self.name.replace(" ", "-")
        self.directory.mkdir()
        self.directory.chmod(0o755)
        self.clients = {}
        self.servers = {}
        self.failure = None
        self._processes = []
        self._begun_ns = {}
        self._thread = None

    def serve(self, *command, **options):
        """Starts a server; its end is this kind's."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL,
                   "stderr": subprocess.DEVNULL, **options}
        process = self.lab.server.start(*command, **options)
        self._processes.append(process)
        self.servers[process.pid] = self.server_name
        return process

    def wait_port(self, protocol, port):
        """Until somebody listens."""
        wait_until(lambda: self.lab.server.run(
            "ss", "-H", "-ln" + protocol[0], f"sport = :{port}").stdout, 10,
            f"{self.name} at port {port}")

    def client(self, *command, **options):
        """Starts a client in this kind's container."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
                   **options}
        begun_ns = time.time_ns() - CLOCK_STEP_NS
        if self.container:
            process = self.lab.in_container(self.container, *command, **options)
        else:
            process = self.lab.client.start(*command, **options)
        self._processes.append(process)
        self.clients[process.pid] = self.client_name
        self._begun_ns[process.pid] = begun_ns
        return process

    def note(self, notes, client, value):
        """Keeps what a client did, by its number and its time (ns): numbers are given again."""
        notes[client.pid, self._begun_ns[client.pid], time.time_ns()] = value

    def start(self, end):
        """Goes on until a time of time.monotonic()."""
        def run():
            try:
                self.run(end)
            except Exception as error:  # pylint: disable=broad-except
                self.failure = error
        self._thread = threading.Thread(target=run)
        self._thread.start()

    def run(self, end):
        raise NotImplementedError

    def wait(self):
        """Until the clients are done; what went wrong in the thread goes wrong here."""
        self._thread.join()
        if self.failure:
            raise self.failure

    def stop(self):
        """Ends the servers."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(20 * SLOW)

    def kill(self):
        """Ends all that may still run, whatever has gone wrong."""
        for process in self._processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        if self._thread:
            self._thread.join()


def rounds(end, *choices):
    """Takes turns among choices until the time is over; each of them is had at least once."""
    number = 0
    while number < len(choices) or time.monotonic() < end:
        yield number, choices[number % len(choices)]
        number += 1


class Web(Kind):
    """curl and nginx: by masquerade, to a forwarded port, plain, by IPv6, and to a closed port."""
    name = "nginx and curl"
    ports = (WEB, PLAIN_WEB, CLOSED)
    container = "red"
    server_name, client_name = "nginx", "curl"

    def __init__(self, lab, directory):
        super().__init__(lab, directory)
        self.logs = {}
        self._nginx = []
        for port, keepalive in ((WEB, 0), (PLAIN_WEB, 60)):
            folder = self.directory / str(port)
            folder.mkdir()
            server = Nginx(lab.server, folder, port, keepalive)
            self._nginx.append(server)
            self._processes.append(server.process)
            self.servers.update({pid: "nginx" for pid in server.worker_pids()})
            # Before a worker has accepted a connection that is the master's.
            self.servers[server.process.pid] = "nginx"
            self.logs[port] = server.log_path

    def run(self, end):
        urls = (f"http://{SERVER[4]}:{WEB}/file?[1-20]",
                f"http://{INSIDE[4]}:{FORWARDED + WEB}/file?[1-20]",
                f"http://[{SERVER[6]}]:{WEB}/file?[1-10]",
                f"http://{SERVER[4]}:{PLAIN_WEB}/file?[1-5]",
                f"http://{SERVER[4]}:{CLOSED}/")
        for _, url in rounds(end, *urls):
            curl = self.client("curl", "-sS", "--no-progress-meter", "-o", "/dev/null", url)
            _, errors = curl.communicate()
            expected = 7 if f":{CLOSED}/" in url else 0
            assert curl.returncode == expected, (url, curl.returncode, errors)
            time.sleep(0.1)

    def logged(self):
        """{(port, client's address, its port, opening in order): (bytes read, bytes written)}."""
        sums = {}
        for port, path in self.logs.items():
            for line in path.read_text(encoding="ascii").splitlines():
                words = line.split()
                key = (port, words[1], int(words[2]), int(words[6]))
                read, written = sums.get(key, (0, 0))
                sums[key] = (read + int(words[3]), written + int(words[4]))
        return sums

    def stop(self):
        for server in self._nginx:
            server.close()


class Dns(Kind):
    """dnsperf and dnsmasq with a zone of its own, by UDP, to a forwarded port, by IPv6 and by TCP."""
    name = "dnsmasq and dnsperf"
    ports = (DNS,)
    container = "blue"
    server_name, client_name = "dnsmasq", "dnsperf"
    server_forks = True  # a child for each connection
    said = None

    def __init__(self, lab, directory):
        super().__init__(lab, directory)
        self.log = self.directory / "log"
        self.queries = {}  # (over TCP or UDP, queries sent), by note()
        hosts = [f"--host-record=host{i}.side.test,10.1.{i // 250}.{i % 250 + 1},3600"
                 for i in range(100)]
        self.server = self.serve(
            "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
            "--user=root", f"--port={DNS}", f"--listen-address={SERVER[4]},{SERVER[6]}",
            "--bind-interfaces", "--local=/side.test/", "--pid-file=", f"--log-facility={self.log}",
            *hosts)
        self.wait_port("udp", DNS)
        self.questions = self.directory / "questions"
        self.questions.write_text("".join(f"host{i % 120}.side.test A\n" for i in range(1000)),
                                  encoding="ascii")

    def run(self, end):
        left = max(2.0, min(8.0, (end - time.monotonic()) / 4))
        # A slow machine's receive queues must not run over: what is thrown away nobody can count.
        rate = scaled(200, 30)
        targets = ((SERVER[4], DNS, "udp", rate), (INSIDE[4], FORWARDED + DNS, "udp", rate),
                   (SERVER[6], DNS, "udp", rate), (SERVER[4], DNS, "tcp", 20))
        for _, (address, port, mode, rate) in rounds(end, *targets):
            process = self.client(
                "dnsperf", "-s", address, "-p", str(port), "-m", mode, "-d", str(self.questions),
                "-l", str(int(left)), "-Q", str(rate), "-c", "4", "-T", "1")
            output, errors = process.communicate()
            assert process.returncode == 0, (output, errors)
            sent = int(re.search(rb"Queries sent:\s+(\d+)", output).group(1))
            self.note(self.queries, process, (mode, sent))

    def stop(self):
        """Asks how many queries over UDP it has answered; those over TCP are its children's."""
        self.server.send_signal(signal.SIGUSR1)
        pattern = r"queries forwarded (\d+), queries answered locally (\d+)"
        found = wait_until(lambda: re.search(pattern, self.log.read_text(encoding="utf-8")), 10,
                           "dnsmasq's statistics")
        self.said = int(found.group(2))
        super().stop()


class Iperf(Kind):
    """iperf3, which says what it sent on each stream."""
    server_name = client_name = "iperf3"
    options = ()

    def __init__(self, lab, directory):
        super().__init__(lab, directory)
        self.reports = []
        self.serve("iperf3", "-s", "-p", str(self.ports[0]))
        self.wait_port("tcp", self.ports[0])

    def run(self, end):
        seconds = str(int(max(2, min(10, (end - time.monotonic()) / 3))))
        turns = ((SERVER[4],), (SERVER[6], "-R"), (SERVER[4], "-P", "2"))
        for _, (address, *more) in rounds(end, *turns):
            process = self.client("iperf3", "-c", address, "-p", str(self.ports[0]), "-t", seconds,
                                  "--json", *self.options, *more)
            output, errors = process.communicate()
            assert process.returncode == 0, (output[-500:], errors)
            self.reports.append(json.loads(output))


class Stream(Iperf):
    name = "iperf3 TCP"
    ports = (STREAM,)
    options = ("-b", f"{scaled(20000, 2000)}K")


class Datagrams(Iperf):
    name = "iperf3 UDP"
    ports = (DATAGRAMS,)
    options = ("-u", "-b", f"{scaled(2000, 200)}K", "-l", "1000")


class Pipe(Kind):
    """nc over TCP: files both ways; and connections that stand still, for ss."""
    name = "nc TCP"
    held_ports = range(PIPE + 10, PIPE + 15)
    ports = (PIPE, *held_ports)
    container = "blue"
    server_name = client_name = "nc"

    def __init__(self, lab, directory):
        super().__init__(lab, directory)
        self.carried = {}  # (bytes to the server, bytes from it), by note()
        self._held = []

    def run(self, end):
        for port in self.held_ports:
            self._hold(port)
        for number, size in rounds(end, 1, 70_001, 0, 1_234_567):
            back = number % 40 * 37  # nc may end before it has sent more than it reads at once
            ours, theirs = (self._file(name, count)
                            for name, count in (("ours", size), ("theirs", back)))
            came = self.directory / "came"
            with open(theirs, "rb") as source, open(came, "wb") as target:
                server = self.serve("nc", "-N", "-l", SERVER[4], str(PIPE), stdin=source,
                                    stdout=target)
                self.wait_port("tcp", PIPE)
                with open(ours, "rb") as own:
                    client = self.client("nc", "-N", SERVER[4], str(PIPE), stdin=own)
                    output, errors = client.communicate()
                assert client.returncode == 0 and server.wait(20 * SLOW) == 0, errors
            came_back = (came.stat().st_size, len(output))
            assert came_back == (size, back), (number, came_back, (size, back))
            self.note(self.carried, client, (size, back))
            time.sleep(0.3)

    def _file(self, name, size):
        path = self.directory / name
        path.write_bytes(b"x" * size)
        return path

    def _hold(self, port):
        server = self.serve("nc", "-l", SERVER[4], str(port), stdin=subprocess.PIPE)
        self.wait_port("tcp", port)
        client = self.client("nc", SERVER[4], str(port), stdin=subprocess.PIPE,
                             stdout=subprocess.DEVNULL)
        sizes = (port * 7, port * 3)
        for process, size in zip((client, server), sizes):
            process.stdin.write(b"y" * size)
            process.stdin.flush()
        self._held.append((client, sizes))

    def stop(self):
        for client, sizes in self._held:
            client.terminate()
            client.wait(10 * SLOW)
            self.note(self.carried, client, sizes)
        super().stop()


class PipeUdp(Kind):
    """nc over UDP: what is written to it at once is a datagram."""
    name = "nc UDP"
    ports = (PIPE_UDP,)
    container = "red"
    server_name = client_name = "nc"

    def __init__(self, lab, directory):
        super().__init__(lab, directory)
        self.carried = {}  # (bytes, datagrams to the server, and from it), by note()

    def run(self, end):
        for number, address in rounds(end, SERVER[4], SERVER[6]):
            server = self.serve("nc", "-u", "-l", address, str(PIPE_UDP), stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE)
            self.wait_port("udp", PIPE_UDP)
            client = self.client("nc", "-u", address, str(PIPE_UDP), stdin=subprocess.PIPE)
            there = [1 + (number * 31 + i * 97) % 1200 for i in range(20)]
            back = [size // 2 + 1 for size in there]
            for size, answer in zip(there, back):
                self._carry(client, server, size)
                self._carry(server, client, answer)
            for process in (client, server):
                process.terminate()
                process.wait(10 * SLOW)
            self.note(self.carried, client, (sum(there), len(there), sum(back), len(back)))
            time.sleep(0.5)

    @staticmethod
    def _carry(sender, receiver, size):
        """One datagram: the next one is written when this one has arrived, so that nc joins none."""
        sender.stdin.write(b"z" * size)
        sender.stdin.flush()
        assert len(receiver.stdout.read(size)) == size


class Crowd(Kind):
    """One socket and a thousand peers, by masquerade and a forwarded port; a few by IPv6."""
    name = "one socket, many peers"
    ports = (CROWD,)
    server_name = client_name = "crowd"

    def __init__(self, lab, directory):
        super().__init__(lab, directory)
        self.said = []  # (side, [ip, port, ip, port, numbers...])
        self._servers = []
        for family in (4, 6):
            self._servers.append(self.serve(program("crowd"), "serve", SERVER[family], str(CROWD),
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=subprocess.PIPE))
            assert self._servers[-1].stdout.readline() == b"ready\n"

    def run(self, end):
        clients = []
        for address, port, count, pause in ((INSIDE[4], FORWARDED + CROWD, scaled(1000, 100), 2),
                                            (SERVER[6], CROWD, 50, 20)):
            clients.append(self.client(program("crowd"), "peers", address, str(port), str(count),
                                       str(pause), stdin=subprocess.PIPE))
        time.sleep(max(0.0, end - time.monotonic()))
        for side, processes in (("client", clients), ("server", self._servers)):
            for process in processes:
                process.stdin.close()
                process.stdin = None
            for process in processes:
                output, errors = process.communicate()
                assert process.returncode == 0, (process.args, process.returncode, errors)
                self.said += [(side, line.split()) for line in output.decode().splitlines()
                              if line != "ready"]


KINDS = (Web, Dns, Stream, Datagrams, Pipe, PipeUdp, Crowd)

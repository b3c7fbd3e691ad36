# SPDX-License-Identifier: Apache-2.0
"""A host that asks a resolver of its own, and the daemons that look on."""
import contextlib
import struct
import subprocess

from harness import daemons
from harness.netns import Netns, join
from harness.scale import wait_until

HOST, SERVER, NOBODY = "10.80.1.1", "10.80.1.2", "10.80.1.9"
HOST6, SERVER6 = "fd80::1", "fd80::2"
ZONE = {"www.example.org": [SERVER], "two.example.org": [SERVER, "10.80.1.3"]}


def query(name, number, kind=1):
    """A question as a client sends it (RFC 1035 4.1), of class IN."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", kind, 1)


class Dnsmasq:
    """dnsmasq with a zone of its own, in a namespace."""

    def __init__(self, namespace, directory, addresses=(SERVER, SERVER6)):
        self.directory = directory
        records = [f"--host-record={name},{address}" for name, addresses in ZONE.items()
                   for address in addresses]
        self.process = namespace.start(
            "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
            "--no-daemon", "--log-facility=-", *records,
            f"--host-record=six.example.org,{SERVER6}", "--cname=alias.example.org,www.example.org",
            "--cname=far.example.org,alias.example.org", "--local=/example.org/", "--local-ttl=300",
            f"--listen-address={','.join(addresses)}", "--bind-interfaces", "--user=root",
            "--pid-file=", stderr=subprocess.DEVNULL)

    def close(self):
        self.process.kill()
        self.process.wait()


class World:
    """A host whose namespace is the initial one to privd, and a server at the end of its wire."""

    def __init__(self, directory, resolver=Dnsmasq, config=None, privd_options=()):
        self.host, self.server = Netns("dns-host"), Netns("dns-server")
        self.device, _ = join(self.host, f"{HOST}/24", self.server, f"{SERVER}/24")
        self.host.ip("address", "add", f"{HOST6}/64", "dev", self.device, "nodad")
        device = self.server.run("ip", "-o", "link", "show", "type", "veth").stdout.split(": ")[1]
        self.server.ip("address", "add", f"{SERVER6}/64", "dev", device.split("@")[0], "nodad")
        self.resolver = resolver(self.server, directory)
        self.tracer = daemons.Tracer(
            directory, config={"publish.interval_s": 2, "dns.timeout_s": 2, **(config or {})},
            privd_options=privd_options,
            privd_prefix=["nsenter", f"--net={self.host.path}", "unshare", "--pid", "--fork",
                          "--kill-child", "--mount-proc"])

    def dig(self, *arguments):
        return self.host.run("dig", "+tries=1", "+timeout=5", f"@{SERVER}", *arguments).stdout

    def every_row(self):
        """The statistics of everything so far: a list of rows."""
        found, request = [], {"op": "dns"}
        while True:
            answer = self.tracer.query(request)
            assert answer["ok"], answer
            found += answer["dns"]
            if "more" not in answer:
                return found
            request = {"op": "dns", "page": answer["more"]}

    def rows(self):
        """{(server, protocol, domain, type): row}, where there is one client."""
        rows = self.every_row()
        found = {(row["server"], row["protocol"], row["domain"], row["type"]): row for row in rows}
        assert len(found) == len(rows)
        return found

    def counters(self):
        return self.tracer.status()["counters"]

    def closed(self, condition, count=1):
        """Waits for so many closed connections, also where the kernel hid their ends until asked."""
        def told():
            self.tracer.query({"op": "snapshot"})
            found = self.tracer.events.closed_where(condition)
            return found if len(found) >= count else None
        return wait_until(told, 20, f"{count} closed connections", 0.3)

    def close(self):
        privd = self.tracer.privd
        if privd and privd.is_alive:
            with open(f"/proc/{privd.pid}/task/{privd.pid}/children", encoding="ascii") as file:
                for child in file.read().split():
                    subprocess.run(["kill", child], check=False)
        self.tracer.close()
        self.resolver.close()


@contextlib.contextmanager
def running(directory, environment=None, **options):
    """A world whose daemons run, whose resolver answers, and whose every topic is listened to."""
    world = World(directory, **options)
    try:
        world.tracer.start_privd(environment)
        world.tracer.start_worker()
        world.tracer.events = world.tracer.subscribe(
            ("conn.v1 ", "meta.v1 ", "dns.v1 ", "names.v1 "))
        world.tracer.events.wait(lambda: world.tracer.events.topic("meta.v1"), 10, "first meta.v1")
        wait_until(lambda: "status: NXDOMAIN" in world.dig("warm.example.org", "TXT"), 10, "the resolver")
        yield world
    finally:
        world.close()

# SPDX-License-Identifier: Apache-2.0
"""Programs that ask a resolver from namespaces behind the host, and the books of both sides."""
import collections
import json

from harness.dns_world import HOST, HOST6, SERVER
from harness.netns import Netns, join
from harness.scale import wait_until

# Each of argv's names is resolved, connected to on port argv[1], and said hello to; then all wait.
CONNECTOR = """
import socket, sys
made = []
for name in sys.argv[2:]:
    for family, _, _, _, address in socket.getaddrinfo(name, int(sys.argv[1]), type=socket.SOCK_STREAM):
        made.append(socket.socket(family, socket.SOCK_STREAM))
        made[-1].connect(address)
        print(name, address[0], flush=True)
print(flush=True)
sys.stdin.read()
"""


def let_through(world):
    """The host's namespace routes, so that all that its clients ask passes two of its interfaces."""
    world.host.sysctl("net.ipv4.ip_forward", 1)
    world.host.sysctl("net.ipv6.conf.all.forwarding", 1)
    for family, host in ((4, HOST), (6, HOST6)):
        world.server.ip(f"-{family}", "route", "add", "default", "via", host)


class Client:
    """A namespace behind the host's, as a container is."""

    def __init__(self, world, number):
        self.world = world
        self.ip, self.ip6 = f"10.81.{number}.2", f"fd81:{number}::2"
        self.namespace = Netns(f"dns-client{number}")
        device, outside = join(self.namespace, f"{self.ip}/24", world.host, f"10.81.{number}.1/24")
        self.namespace.ip("address", "add", f"{self.ip6}/64", "dev", device, "nodad")
        world.host.ip("address", "add", f"fd81:{number}::1/64", "dev", outside, "nodad")
        self.namespace.ip("-4", "route", "add", "default", "via", f"10.81.{number}.1")
        self.namespace.ip("-6", "route", "add", "default", "via", f"fd81:{number}::1")
        self.etc = world.tracer.directory / f"etc-{number}"
        self.etc.mkdir()
        (self.etc / "resolv.conf").write_text(f"nameserver {SERVER}\noptions timeout:5 attempts:1\n")
        (self.etc / "nsswitch.conf").write_text("hosts: dns\n")

    def run(self, *command, **options):
        return self.namespace.run(*command, **options).stdout

    def dig(self, *arguments, server=SERVER):
        return self.run("dig", "+tries=1", "+timeout=5", f"@{server}", *arguments)

    def with_own_etc(self, *command):
        """A command to which this client's resolv.conf is the machine's."""
        return ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc && exec "$@"', str(self.etc),
                *command]

    def getaddrinfo(self, name):
        """The addresses that the C library finds for a name."""
        text = self.run(*self.with_own_etc(
            "/usr/bin/python3", "-c", "import socket, sys\n"
            "for found in socket.getaddrinfo(sys.argv[1], 80, type=socket.SOCK_STREAM): print(found[4][0])",
            name))
        return text.split()

    def kdig_keeping_open(self, *queries):
        """All queries over one TCP connection, one after the other."""
        return self.run("kdig", "+tcp", "+keepopen", "+retry=0", f"@{SERVER}", *queries)

    def dnsperf(self, queries, count, *options):
        """Goes over a list of queries so many times; returns how many were completed, all of them."""
        path = self.etc / "queries"
        path.write_text("".join(f"{query}\n" for query in queries))
        text = self.run("dnsperf", "-s", SERVER, "-d", str(path), "-n", str(count), *options)
        lost, made = (int(text.split(f"Queries {what}:")[1].split()[0]) for what in ("lost", "completed"))
        assert lost == 0 and made == count * len(queries), text
        return made


class Books:
    """What the server and sockwarden have counted since these were opened, by several ways each.

    by_kind: {queries, of them over TCP, by type, answers by code}; of the server its statistics
    by_name: {(client, domain, type, code): answers}; of the server its log
    """

    def __init__(self, world, types):
        self._world = world
        self._types = types  # that the server tells apart

        def told():
            now = self._read()
            return now if now["name"]["dns.v1"] == now["name"]["op dns"] else None
        self._before = wait_until(told, 10, "dns.v1 has what was before", 0.3)

    def _by_kind(self, rows):
        found = collections.Counter()
        for row in rows:
            queries = row["queries"] + row["retries"]
            found["total.num.queries"] += queries
            kind = row["type"] if row["type"] in self._types else "other"
            found["num.query.type." + kind] += queries
            if row["protocol"] == "tcp":
                found["num.query.tcp"] += queries
            for rcode, count in row["rcodes"].items():
                found["num.answer.rcode." + rcode] += count
        return +found

    @staticmethod
    def _by_name(rows):
        found = collections.Counter()
        for row in rows:
            for rcode, count in row["rcodes"].items():
                found[(row["client"], row["domain"], row["type"], rcode)] += count
        return found

    def _read(self):
        world = self._world
        told = [row for message in world.tracer.events.topic("dns.v1") for row in message["dns"]]
        shown = world.tracer.command("dns", "--json")
        assert shown.returncode == 0, shown.stderr
        ways = {"op dns": world.every_row(), "dns.v1": told,
                "command": [json.loads(line) for line in shown.stdout.splitlines()]}
        server = world.resolver.replies()
        by_name = {way: self._by_name(rows) for way, rows in ways.items()}
        by_name["server"] = collections.Counter()
        for (client, domain, kind, rcode), count in server.items():
            by_name["server"][(client, domain.lower(), kind, rcode)] += count
        by_kind = {way: self._by_kind(rows) for way, rows in ways.items()}
        by_kind["server"] = world.resolver.counted()
        return {"kind": by_kind, "name": by_name}

    def gained(self):
        """{"kind": {way: Counter}, "name": {way: Counter}}"""
        now = self._read()
        return {what: {way: counts - self._before[what][way] for way, counts in ways.items()}
                for what, ways in now.items()}

    def check(self, queries):
        """All ways have counted the same, and so many queries; returns it, by kind and by name."""
        def agree():
            gained = self.gained()
            return gained if all(len({tuple(sorted(counts.items())) for counts in ways.values()}) == 1
                                 for ways in gained.values()) else None
        try:
            gained = wait_until(agree, 10, "the books agree", 0.3)
        except TimeoutError:
            for ways in self.gained().values():
                for way, counts in ways.items():
                    assert counts == ways["server"], way
            raise
        assert gained["kind"]["server"]["total.num.queries"] == queries
        assert sum(gained["name"]["server"].values()) == queries
        return gained["kind"]["server"], gained["name"]["server"]

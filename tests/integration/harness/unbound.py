# SPDX-License-Identifier: Apache-2.0
"""unbound with zones of its own, and what it counts of itself."""
import collections
import re
import shutil
import subprocess

from harness.dns_world import SERVER, SERVER6
from harness.scale import wait_until

ELSEWHERE = 5300  # a port for which nobody looks

# Each name that leads to addresses has its own, so that a connection's name is certain.
ADDRESSES = {
    "www.example.org": ["10.80.1.21", "fd80::21"],
    "two.example.org": ["10.80.1.22", "10.80.1.23"],
    "six.example.org": ["fd80::24"],
    "end.example.org": ["10.80.1.25", "fd80::25"],
    "cased.example.org": ["10.80.1.26"],
    "tcp.example.org": ["10.80.1.27", "fd80::27"],
    "elsewhere.example.org": ["10.80.1.28"],
    "large.example.org": [f"10.80.9.{host}" for host in range(1, 41)],
}
ALIASES = {"chain.example.org": "link-1.example.org", "link-7.example.org": "end.example.org",
           **{f"link-{i}.example.org": f"link-{i + 1}.example.org" for i in range(1, 7)}}
OTHERS = """
txt TXT "a text"
long TXT "{long}" "{long}" "{long}" "{long}" "{long}" "{long}"
@ MX 10 www
_sip._udp SRV 1 2 5060 www
@ CAA 0 issue "example.net"
"""

CONFIGURATION = """
server:
  directory: "{directory}"
  chroot: ""
  username: ""
  pidfile: "{directory}/unbound.pid"
  logfile: "{directory}/unbound.log"
  use-syslog: no
  log-replies: yes
  log-tag-queryreply: yes
  module-config: "iterator"
  interface: {server}
  interface: {server6}
  interface: {server}@{elsewhere}
  access-control: 0.0.0.0/0 allow
  access-control: ::/0 allow
  extended-statistics: yes
  num-threads: 1
  incoming-num-tcp: 64
  local-zone: "refused.net" always_refuse
remote-control:
  control-enable: yes
  control-interface: "{directory}/unbound.control"
  control-use-cert: no
auth-zone:
  name: "example.org"
  zonefile: "{directory}/zone"
  for-upstream: yes
  fallback-enabled: no
# Its contents are to come from where nobody listens.
auth-zone:
  name: "broken.net"
  primary: 127.0.0.1@1
  for-upstream: yes
  fallback-enabled: no
"""


def zone():
    """The zone's file."""
    lines = ["$ORIGIN example.org.", "$TTL 300", "@ SOA ns root 1 3600 600 86400 60", "@ NS ns",
             f"ns A {SERVER}"]
    lines += [f"{name}. {'AAAA' if ':' in address else 'A'} {address}"
              for name, addresses in ADDRESSES.items() for address in addresses]
    lines += [f"{name}. CNAME {target}." for name, target in ALIASES.items()]
    return "\n".join(lines) + OTHERS.format(long="x" * 250)


class Unbound:
    """In a namespace, by hand: neither the package's service nor its configuration takes part."""

    def __init__(self, namespace, directory):
        self.directory = directory
        self._configuration = directory / "unbound.conf"
        self._configuration.write_text(CONFIGURATION.format(
            directory=directory, server=SERVER, server6=SERVER6, elsewhere=ELSEWHERE))
        (directory / "zone").write_text(zone())
        # A profile of AppArmor's goes by the program's path, and lets it read no files of ours.
        program = shutil.copy("/usr/sbin/unbound", directory / "unbound")
        self.process = namespace.start(program, "-d", "-c", str(self._configuration),
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def statistics(self):
        """unbound-control stats_noreset: {name: number as text}."""
        text = subprocess.run(["unbound-control", "-c", self._configuration, "stats_noreset"],
                              check=True, capture_output=True, text=True).stdout
        return dict(line.split("=", 1) for line in text.splitlines())

    def counted(self):
        """What it has counted: queries, those over TCP, by type, and answers by code."""
        found = collections.Counter()
        for name, value in self.statistics().items():
            kind, _, what = name.rpartition(".")
            if name in ("total.num.queries", "num.query.tcp"):
                found[name] = int(value)
            # Answers without records are counted once more, as "nodata".
            elif kind == "num.query.type" or kind == "num.answer.rcode" and what != "nodata":
                found[name] = int(value)
        return +found

    def replies(self):
        """What it has logged: {(client, domain, type, rcode): count}."""
        text = (self.directory / "unbound.log").read_text(encoding="ascii")
        return collections.Counter(
            (client, domain, kind, rcode) for client, domain, kind, rcode in
            re.findall(r" reply: (\S+) (\S+)\. (\S+) IN (\S+) ", text))

    def close(self):
        self.process.kill()
        self.process.wait()

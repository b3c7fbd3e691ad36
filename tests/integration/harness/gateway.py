# SPDX-License-Identifier: Apache-2.0
"""A client and a server in namespaces of their own, and a gateway between them that translates addresses.

The independent witness of what it does is conntrack(8), run in the gateway's namespace.
"""
import re
import subprocess

from harness.netns import Netns, join

CLIENT = {4: "10.60.1.2", 6: "fd60:1::2"}
CLIENT_TOO = {4: "10.60.1.3", 6: "fd60:1::3"}  # a second address of the client's
INSIDE = {4: "10.60.1.1", 6: "fd60:1::1"}  # the gateway's, towards the client
OUTSIDE = {4: "10.60.2.1", 6: "fd60:2::1"}  # towards the server
SERVER = {4: "10.60.2.2", 6: "fd60:2::2"}
NOWHERE = {4: "10.60.9.9", 6: "fd60:9::9"}  # nobody has it

RULES = """
table {family} sw {{
    chain before {{
        type nat hook prerouting priority dstnat;
        {ip} daddr {inside} tcp dport 8081 dnat to {forward}
        {ip} daddr {inside} udp dport 8081 dnat to {forward}
        {ip} daddr {inside} tcp dport 8082 dnat to {forward}
    }}
    chain own {{
        type nat hook output priority -100;
        {ip} daddr {nowhere} tcp dport 80 dnat to {forward}
    }}
    chain after {{
        type nat hook postrouting priority srcnat;
        oifname "{outside_device}" {ip} saddr {client} tcp dport {plain} accept
        oifname "{outside_device}" meta l4proto {{ tcp, udp }} ct original proto-dst 8081 accept
        oifname "{outside_device}" masquerade
    }}
}}
"""
SERVICE = 8080  # the server's port
UNTRANSLATED = 8090  # a port for which the gateway only forwards


def conntrack_lines(namespace, *arguments):
    """The output of conntrack(8) in a namespace."""
    result = namespace.run("conntrack", *arguments, check=False)
    assert result.returncode in (0, 1), result.stderr
    return result.stdout.splitlines()


def tuples_of(line):
    """Both tuples of a line of conntrack(8): ((ip, port, ip, port), (ip, port, ip, port))."""
    found = dict(src=[], dst=[], sport=[], dport=[])
    for key, value in re.findall(r"\b(src|dst|sport|dport)=(\S+)", line):
        found[key].append(value)
    if len(found["dport"]) < 2:
        return None
    return tuple((found["src"][i], int(found["sport"][i]), found["dst"][i], int(found["dport"][i]))
                 for i in range(2))


def other_side(lines, connection):
    """What `nat` of a published connection must be, by conntrack's words; None: not translated."""
    ends = (connection["local"]["ip"], connection["local"]["port"],
            connection["remote"]["ip"], connection["remote"]["port"])
    for line in lines:
        tuples = tuples_of(line)
        if not tuples or connection["protocol"] not in line.split():
            continue
        original, reply = tuples
        if original == (*reply[2:], *reply[:2]) or ends not in (original, reply):
            continue
        other = reply if ends == original else original
        return {"local": {"ip": other[2], "port": other[3]},
                "remote": {"ip": other[0], "port": other[1]}}
    return None


class Gateway:
    """The three namespaces; .client, .box (the gateway itself) and .server."""

    def __init__(self, label="nat"):
        self.client = Netns(f"{label}-client")
        self.box = Netns(label)
        self.server = Netns(f"{label}-server")
        _, self.inside_device = join(self.client, f"{CLIENT[4]}/24", self.box, f"{INSIDE[4]}/24")
        self.outside_device, server_device = join(self.box, f"{OUTSIDE[4]}/24", self.server,
                                                  f"{SERVER[4]}/24")
        client_device = self.inside_device[:-1] + "a"
        for namespace, device, address in (
                (self.client, client_device, f"{CLIENT_TOO[4]}/24"),
                (self.client, client_device, f"{CLIENT[6]}/64"),
                (self.client, client_device, f"{CLIENT_TOO[6]}/64"),
                (self.box, self.inside_device, f"{INSIDE[6]}/64"),
                (self.box, self.outside_device, f"{OUTSIDE[6]}/64"),
                (self.server, server_device, f"{SERVER[6]}/64")):
            options = ("nodad",) if ":" in address else ()
            namespace.ip("address", "add", address, "dev", device, *options)
        for family in (4, 6):
            self.client.ip(f"-{family}", "route", "add", "default", "via", INSIDE[family])
            self.server.ip(f"-{family}", "route", "add", "default", "via", OUTSIDE[family])
            self.box.ip(f"-{family}", "route", "add", NOWHERE[family], "via", SERVER[family])
        self.box.sysctl("net.ipv4.ip_forward", 1)
        self.box.sysctl("net.ipv6.conf.all.forwarding", 1)
        for family in (4, 6):
            self.translate(family)

    def translate(self, family):
        """Loads the rules."""
        forward = f"[{SERVER[6]}]:{SERVICE}" if family == 6 else f"{SERVER[4]}:{SERVICE}"
        self.box.run("nft", RULES.format(
            family="ip6" if family == 6 else "ip", ip="ip6" if family == 6 else "ip",
            inside=INSIDE[family], nowhere=NOWHERE[family], forward=forward, client=CLIENT[family],
            outside_device=self.outside_device, plain=UNTRANSLATED))

    def stop_translating(self, family):
        """Takes them away again."""
        self.box.run("nft", "delete", "table", "ip6" if family == 6 else "ip", "sw")

    def entries(self, *more):
        """conntrack -L, of both families."""
        return (conntrack_lines(self.box, "-L", *more)
                + conntrack_lines(self.box, "-L", "-f", "ipv6", *more))

    def known_in(self, namespace=None):
        """Gives the gateway's namespace an id in another one (None: the test's own)."""
        inside = ["-n", namespace.name] if namespace else []
        subprocess.run(["ip", *inside, "netns", "set", self.box.name, "auto"], check=True)

    def prefix(self):
        """A command that runs a program so that the gateway's namespace is the initial one to it.

        It becomes process 1 of a PID namespace, whose network namespace is what privd looks for.
        """
        return ["nsenter", f"--net={self.box.path}", "unshare", "--pid", "--fork", "--kill-child",
                "--mount-proc"]

# SPDX-License-Identifier: Apache-2.0
"""Where the traffic of test_side_by_side runs: a client, a gateway that translates, a server.

The client's programs run in two groups that look like containers. Segmentation is left to the stack, so
that a packet socket sees what the sockets count.
"""
import os
import subprocess
import uuid

from harness.cgroups import Hierarchy
from harness.netns import Netns, join

CLIENT = {4: "10.79.1.2", 6: "fd79:1::2"}
INSIDE = {4: "10.79.1.1", 6: "fd79:1::1"}  # the gateway's, towards the client
OUTSIDE = {4: "10.79.2.1", 6: "fd79:2::1"}  # towards the server
SERVER = {4: "10.79.2.2", 6: "fd79:2::2"}
# All of these, for the configuration: who is not in them is not told.
NETWORKS = ("10.79.0.0/16", "fd79::/16")

WEB, DNS, STREAM, DATAGRAMS, PIPE, PIPE_UDP, CROWD = 8080, 5300, 5201, 5202, 9000, 9001, 4433
PLAIN_WEB = 8090  # is not masqueraded
FORWARDED = 10000  # the gateway forwards this many and the server's port
CLOSED = 9  # nobody listens

RULES = f"""
table ip sw {{
    chain before {{
        type nat hook prerouting priority dstnat;
        ip daddr {INSIDE[4]} tcp dport {FORWARDED + WEB} dnat to {SERVER[4]}:{WEB}
        ip daddr {INSIDE[4]} udp dport {FORWARDED + DNS} dnat to {SERVER[4]}:{DNS}
        ip daddr {INSIDE[4]} udp dport {FORWARDED + CROWD} dnat to {SERVER[4]}:{CROWD}
    }}
    chain after {{
        type nat hook postrouting priority srcnat;
        oifname "DEVICE" tcp dport {PLAIN_WEB} accept
        oifname "DEVICE" meta l4proto udp ct original proto-dst {FORWARDED + DNS} accept
        oifname "DEVICE" masquerade
    }}
}}
table ip6 sw {{
    chain forward {{
        type filter hook forward priority filter;
        ct state new counter
    }}
}}
"""


class Lab:
    """.client, .gateway, .server; devices; .containers {label: (command prefix, container id)}."""

    def __init__(self, directory):
        self.client = Netns("side-client")
        self.gateway = Netns("side-gateway")
        self.server = Netns("side-server")
        self.client_device, inside = join(self.client, f"{CLIENT[4]}/24",
                                          self.gateway, f"{INSIDE[4]}/24")
        outside, self.server_device = join(self.gateway, f"{OUTSIDE[4]}/24",
                                           self.server, f"{SERVER[4]}/24")
        links = ((self.client, self.client_device, CLIENT[6]), (self.gateway, inside, INSIDE[6]),
                 (self.gateway, outside, OUTSIDE[6]), (self.server, self.server_device, SERVER[6]))
        for namespace, device, address in links:
            namespace.ip("address", "add", f"{address}/64", "dev", device, "nodad")
            namespace.run("ethtool", "-K", device, "tso", "off", "gso", "off", "gro", "off")
        for family in (4, 6):
            self.client.ip(f"-{family}", "route", "add", "default", "via", INSIDE[family])
            self.server.ip(f"-{family}", "route", "add", "default", "via", OUTSIDE[family])
        self._set_up_gateway(outside)
        self._make_containers(directory)

    def _set_up_gateway(self, outside):
        # An id in the initial namespace lets its translations be heard there.
        subprocess.run(["ip", "netns", "set", self.gateway.name, "auto"], check=True)
        # The rules come first: with them comes what has these sysctls.
        self.gateway.run("nft", RULES.replace("DEVICE", outside))
        for key, value in {
                "net.ipv4.ip_forward": 1, "net.ipv6.conf.all.forwarding": 1,
                "net.netfilter.nf_conntrack_acct": 1,
                # Entries wait to be listed at the end.
                "net.netfilter.nf_conntrack_udp_timeout": 3600,
                "net.netfilter.nf_conntrack_udp_timeout_stream": 3600,
                "net.netfilter.nf_conntrack_tcp_timeout_time_wait": 3600,
                "net.netfilter.nf_conntrack_tcp_timeout_close": 3600}.items():
            self.gateway.sysctl(key, value)

    def _make_containers(self, directory):
        self._hierarchy = Hierarchy("v2", directory / "cgroup")
        assert self._hierarchy.failure is None, self._hierarchy.failure
        self.containers = {}
        for label, form in (("red", "docker/{}"), ("blue", "machine.slice/libpod-{}.scope")):
            identity = uuid.uuid4().hex + uuid.uuid4().hex
            procs = self._hierarchy.make(f"sw-side-{os.getpid()}/{form.format(identity)}")
            self.containers[label] = (
                ("/bin/sh", "-c", f'echo $$ > {procs}; exec "$@"', "sh"), identity)

    def in_container(self, label, *command, **options):
        """Starts a program of the client's in one of the two containers."""
        return self.client.start(*self.containers[label][0], *command, **options)

    def close(self):
        self._hierarchy.close()

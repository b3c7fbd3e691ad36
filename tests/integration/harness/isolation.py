# SPDX-License-Identifier: Apache-2.0
"""Keeps what the rest of the machine does out of a test."""
import ipaddress


def all_but(*networks):
    """exclude.source for every address that is in none of these networks."""
    found = {}
    for version, whole in ((4, "0.0.0.0/0"), (6, "::/0")):
        left = [ipaddress.ip_network(whole)]
        for network in map(ipaddress.ip_network, networks):
            if network.version == version:
                left = [part for one in left for part in (
                    one.address_exclude(network) if network.subnet_of(one) else [one])]
        found.update({str(prefix): ["*"] for prefix in left})
    return found

# SPDX-License-Identifier: Apache-2.0
"""Frames put together by hand, good and bad ones: lengths and checksums can be lies."""
import socket
import struct

UDP, TCP, ICMP, ICMP6 = 17, 6, 1, 58
HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION = 0, 43, 44, 51, 60
FIN, SYN, RST, PUSH, ACK = 1, 2, 4, 8, 16
IPV4, IPV6, ARP, VLAN, QINQ = 0x0800, 0x86DD, 0x0806, 0x8100, 0x88A8
# Nobody's, so that nobody answers.
DESTINATION_MAC, SOURCE_MAC = bytes.fromhex("020000000009"), bytes.fromhex("020000000005")
SOURCE, TARGET = "10.81.7.5", "10.81.7.9"
SOURCE6, TARGET6 = "fd81:7::5", "fd81:7::9"
DATA = bytes(range(32))


def ethernet(kind, body):
    return DESTINATION_MAC + SOURCE_MAC + struct.pack("!H", kind) + body


def tag(kind, body, network=100, priority=0):
    """What stands behind a type that says that there is a tag."""
    return struct.pack("!HH", priority << 13 | network, kind) + body


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4(protocol, body, options=b"", fragment=0, length=None, words=None, version=4):
    words = 5 + len(options) // 4 if words is None else words
    length = 20 + len(options) + len(body) if length is None else length
    header = struct.pack("!BBHHHBBH4s4s", version << 4 | words, 0, length, 7, fragment, 64, protocol,
                         0, socket.inet_aton(SOURCE), socket.inet_aton(TARGET)) + options
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + body


def ipv6(following, body, length=None, version=6):
    return struct.pack("!IHBB", version << 28, len(body) if length is None else length, following, 64) \
        + socket.inet_pton(socket.AF_INET6, SOURCE6) + socket.inet_pton(socket.AF_INET6, TARGET6) + body


def extension(following, body, more_units=0):
    """Hop-by-hop options, destination options or a routing header, of 8 bytes and so many times more."""
    return bytes((following, more_units)) + bytes(6 + 8 * more_units) + body


def chain(kinds, last, body):
    """Extension headers of these kinds around a body of the last: (the first's kind, bytes)."""
    following = last
    for number, kind in enumerate(reversed(kinds)):
        if kind == FRAGMENT:
            body = fragment_header(following, 0, body)
        else:
            body = extension(following, body, number % 3)
        following = kind
    return following, body


def fragment_header(following, offset_and_flags, body):
    return struct.pack("!BBHI", following, 0, offset_and_flags, 1) + body


def udp(source, target, data=DATA, length=None):
    return struct.pack("!HHHH", source, target, 8 + len(data) if length is None else length, 0) + data


def tcp(source, target, flags, data=b"", options=b"", words=None):
    words = 5 + len(options) // 4 if words is None else words
    return struct.pack("!HHIIBBHHH", source, target, 1000000 + source, 1, words << 4, flags, 512, 0,
                       0) + options + data

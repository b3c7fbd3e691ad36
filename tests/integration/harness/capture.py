# SPDX-License-Identifier: Apache-2.0
"""An independent witness of UDP: a packet socket in a namespace that sums what passes."""
import ipaddress
import socket
import struct
import threading
import time

ETH_P_ALL = 3
ETH_P_IP, ETH_P_IPV6 = 0x0800, 0x86DD
PACKET_OUTGOING = 4
SO_RCVBUFFORCE = 33
UDP = 17
# Extension headers that may stand before UDP (RFC 8200 4): hop-by-hop, routing, destination.
EXTENSIONS = {0, 43, 60}
FRAGMENT = 44


def _ipv4(packet):
    if packet[9] != UDP or struct.unpack_from("!H", packet, 6)[0] & 0x1FFF:
        return None
    return (socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20]),
            (packet[0] & 15) * 4)


def _ipv6(packet):
    following, offset = packet[6], 40
    while following in EXTENSIONS or following == FRAGMENT:
        if following == FRAGMENT:
            if struct.unpack_from("!H", packet, offset + 2)[0] & 0xFFF8:
                return None
            following, offset = packet[offset], offset + 8
        else:
            following, offset = packet[offset], offset + (packet[offset + 1] + 1) * 8
    if following != UDP:
        return None
    return (str(ipaddress.IPv6Address(packet[8:24])), str(ipaddress.IPv6Address(packet[24:40])),
            offset)


def parse(protocol, packet):
    """((source, port, destination, port), payload bytes) of a datagram's packet, or None.

    Of a fragmented datagram the first fragment is taken, whose header tells the whole length.
    """
    ends = _ipv4(packet) if protocol == ETH_P_IP else _ipv6(packet)
    if ends is None:
        return None
    source, destination, offset = ends
    source_port, destination_port, length = struct.unpack_from("!HHH", packet, offset)
    return (source, source_port, destination, destination_port), length - 8


class Capture:
    """Counts what is sent in a namespace: {(source, port, destination, port): [bytes, datagrams]}."""

    def __init__(self, namespace, device="lo"):
        with namespace.entered():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
            self._socket.bind((device, ETH_P_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self._socket.settimeout(0.1)
        self.sent = {}
        self._stopping = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        while True:
            try:
                packet, (_, protocol, kind, *_) = self._socket.recvfrom(65536)
            except socket.timeout:
                if self._stopping:
                    return
                continue
            # Over loopback a packet passes twice: once each way.
            if kind != PACKET_OUTGOING or protocol not in (ETH_P_IP, ETH_P_IPV6):
                continue
            found = parse(protocol, packet)
            if found:
                sums = self.sent.setdefault(found[0], [0, 0])
                sums[0] += found[1]
                sums[1] += 1

    def stop(self):
        """Ends when nothing came for a moment; returns the sums. A lost packet is an error."""
        self._stopping = True
        self._thread.join(60)
        _, dropped = struct.unpack("II", self._socket.getsockopt(263, 6, 8))  # PACKET_STATISTICS
        assert dropped == 0, f"the capture itself lost {dropped} packets"
        self._socket.close()
        return {ends: tuple(sums) for ends, sums in self.sent.items()}

    def __enter__(self):
        time.sleep(0.05)
        return self

    def __exit__(self, *_):
        if not self._stopping:
            self.stop()

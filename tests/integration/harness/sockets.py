# SPDX-License-Identifier: Apache-2.0
"""Connections that a test makes itself, and independent witnesses of what they carried."""
import ctypes
import fcntl
import os
import re
import socket
import struct
import subprocess
import termios

from harness.scale import wait_until

SO_ATTACH_FILTER = 26
# struct tcp_info (linux/tcp.h): tcpi_total_retrans is the 32-bit word at this offset.
TCP_INFO_TOTAL_RETRANS_OFFSET = 100


def listen(namespace, address, port=0, backlog=64):
    """A listening socket in a namespace."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with namespace.entered():
        listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(backlog)
    return listener


def connector(namespace, address, source=None):
    """A socket in a namespace that may connect to address; source is (ip, port)."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with namespace.entered():
        made = socket.socket(family, socket.SOCK_STREAM)
    if source:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(source)
    return made


def connect(namespace, address, port, source=None):
    """A connected socket in a namespace."""
    made = connector(namespace, address, source)
    made.connect((address, port))
    return made


def receive_exactly(sock, size):
    """Reads size bytes; the stream may not end before."""
    left = size
    while left:
        chunk = sock.recv(min(left, 1 << 20))
        assert chunk, f"the stream ended {left} bytes early"
        left -= len(chunk)


def receive_end(sock):
    """Reads to the end of the stream and returns how many bytes came."""
    total = 0
    while chunk := sock.recv(1 << 16):
        total += len(chunk)
    return total


def wait_acknowledged(*socks):
    """Until the peer has acknowledged everything, which is when the kernel counts it as sent."""
    for sock in socks:
        wait_until(lambda: struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)))[0] == 0,
                   5, "everything is acknowledged", 0.001)


def close_with_reset(sock):
    """RST instead of FIN, after what was sent has arrived."""
    wait_acknowledged(sock)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def drop_received(sock, one_in):
    """Makes the kernel lose one of so many segments that arrive at a socket, at random.

    A classic filter on a TCP socket judges each segment before TCP sees it, on every kernel and
    without a module; a dropped one looks to the peer like one lost on the way.
    """
    load_random = (0x20, 0, 0, 0xFFFFF000 + 56)  # BPF_LD|BPF_W|BPF_ABS, SKF_AD_RANDOM
    jump = (0x25, 0, 1, 0xFFFFFFFF // one_in)  # BPF_JGT: keep if above
    keep, drop = (0x06, 0, 0, 0xFFFFFFFF), (0x06, 0, 0, 0)
    code = b"".join(struct.pack("=HBBI", *instruction)
                    for instruction in (load_random, jump, keep, drop))
    memory = ctypes.create_string_buffer(code, len(code))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER,
                    struct.pack("@HP", 4, ctypes.addressof(memory)))


def total_retransmits(sock):
    """What TCP itself counts for a socket, by getsockopt(TCP_INFO)."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    return struct.unpack_from("=I", info, TCP_INFO_TOTAL_RETRANS_OFFSET)[0]


def kernel_counter(namespace, name):
    """A counter of nstat(8) for a namespace, such as TcpRetransSegs."""
    text = namespace.run("nstat", "-asz", name).stdout
    return int(re.search(rf"^{name}\s+(\d+)", text, re.MULTILINE).group(1))


def _split(text):
    address, _, port = text.rpartition(":")
    address = address.strip("[]")
    if address.startswith("::ffff:") and "." in address:
        address = address[len("::ffff:"):]
    return address, int(port)


def ss(namespace, state="established"):
    """`ss -tinH`: {(local ip, port, remote ip, port): {"bytes_acked": ...}} of a namespace."""
    text = namespace.run("ss", "-tinHO", "state", state).stdout
    found = {}
    for line in text.splitlines():
        words = line.split()
        ends = [word for word in words if re.fullmatch(r"\S+:\d+", word)
                and (word.count(".") == 3 or word.startswith("["))]
        facts = dict(word.split(":", 1) for word in words if re.fullmatch(r"[a-z_]+:[\d./]+", word))
        found[(*_split(ends[0]), *_split(ends[1]))] = facts
    return found


def key_of(connection):
    """The same key for a published connection."""
    return (connection["local"]["ip"], connection["local"]["port"],
            connection["remote"]["ip"], connection["remote"]["port"])


def total(connection, *names):
    """Counters of a published connection, in that order."""
    return tuple(connection["total"][name] for name in names)


def sent_and_received(connection):
    return total(connection, "sent_bytes", "recv_bytes")


def outgoing(namespace, port):
    """A condition: the connecting side of connections to a port in a namespace."""
    return lambda c: (namespace.is_ours(c) and c["direction"] == "outgoing"
                      and c["remote"]["port"] == port)


def incoming(namespace, port):
    """The accepting side of the same."""
    return lambda c: (namespace.is_ours(c) and c["direction"] == "incoming"
                      and c["local"]["port"] == port)


def anyone(namespace):
    """Any connection of a namespace."""
    return namespace.is_ours


def process_comm(pid):
    with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
        return file.read().strip()


def own_facts():
    """pid, comm and uid of this process, as a connection of ours must show them."""
    return {"pid": os.getpid(), "comm": process_comm(os.getpid()), "uid": os.getuid()}


def facts(connection):
    return {key: connection[key] for key in ("pid", "comm", "uid")}


def run_program(namespace, *command, **options):
    """Runs a helper program to its end and returns the lines that it printed, split."""
    result = namespace.run(*command, check=False, **options)
    assert result.returncode == 0, f"{command}: {result.stderr}"
    return [line.split() for line in result.stdout.splitlines()]


def start_program(namespace, *command):
    """Starts a helper program that ends with its standard input; returns it and its first line."""
    process = namespace.start(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return process, process.stdout.readline().split()

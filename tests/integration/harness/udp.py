# SPDX-License-Identifier: Apache-2.0
"""UDP sockets that a test makes, and the flows that were published of them."""
import ctypes
import os
import socket

from harness.scale import wait_until
from harness.sockets import key_of, total

IPPROTO_UDPLITE = 136
UDP_SEGMENT, UDP_GRO = 103, 104  # linux/udp.h
MSG_MORE = 0x8000
NUMBERS = ("sent_bytes", "sent_packets", "recv_bytes", "recv_packets")

_LIBC = ctypes.CDLL(None, use_errno=True)

# How this kernel may be traced, and which of privd's options ask for it.
HOOKS = {
    "fentry": ["--udp-hook", "fentry"],
    "kprobe": ["--udp-hook", "kprobe"],
    "cgroup_skb": ["--udp-hook", "cgroup_skb"],
    "facts_old": ["--facts", "old"],
}
# What privd takes by itself: emulated machines, which are slow, test that one.
if os.environ.get("SOCKWARDEN_UDP_HOOKS") == "auto":
    HOOKS = {"auto": []}


def make(namespace, address, port=0, peer=None, kind=socket.SOCK_DGRAM, protocol=0):
    """A socket in a namespace, bound to an address if there is one, connected to peer if there is."""
    family = socket.AF_INET6 if ":" in (address or peer[0]) else socket.AF_INET
    with namespace.entered():
        made = socket.socket(family, kind, protocol)
    if address:
        made.bind((address, port))
    if peer:
        made.connect(peer)
    made.settimeout(30)
    return made


def name(sock):
    """(address, port) as published: IPv4-mapped as IPv4."""
    address, port = sock.getsockname()[:2]
    return address.removeprefix("::ffff:"), port


def is_udp(namespace):
    """A condition: any flow of a namespace."""
    return lambda c: c["protocol"] == "udp" and namespace.is_ours(c)


def numbers(flow):
    """(sent bytes, sent packets, received bytes, received packets)."""
    return total(flow, *NUMBERS)


def live(tracer, namespace):
    """{(local ip, port, remote ip, port): flow} of the flows that live; none is there twice."""
    found = [c for c in tracer.snapshot() if is_udp(namespace)(c)]
    flows = {key_of(flow): flow for flow in found}
    assert len(flows) == len(found), "one flow is there twice"
    return flows


def ended(tracer, namespace, mark=0):
    """The same of the closed ones from a mark on."""
    found = [c for c in tracer.events.closed[mark:] if is_udp(namespace)(c)]
    flows = {key_of(flow): flow for flow in found}
    assert len(flows) == len(found), "one flow is there twice"
    return flows


def wait_live(tracer, namespace, expected):
    """Waits until a snapshot has these: {key: numbers}; all other flows are none of ours."""
    seen = {}

    def look():
        seen.update(live(tracer, namespace))
        return all(key in seen and numbers(seen[key]) == values
                   for key, values in expected.items())
    try:
        wait_until(look, 5, "the flows", 0.1)
    except TimeoutError:
        wrong = {key: (numbers(seen[key]) if key in seen else None, values)
                 for key, values in expected.items()
                 if key not in seen or numbers(seen[key]) != values}
        status = tracer.status()
        told = {key: value for key, value in status["counters"].items() if value}
        raise AssertionError(f"(seen, expected): {wrong}\n{status['connections']}\n{told}") from None
    return {key: seen[key] for key in expected}


def overflow(tracer):
    """What could be given to no flow so far: (sent bytes, sent packets, received ...)."""
    counters = tracer.status()["counters"]
    return tuple(counters["udp.overflow_" + key] for key in NUMBERS)


def check_books(tracer):
    """Both daemons run, what was opened is closed or lives, and nothing was lost."""
    assert tracer.privd.is_alive, f"privd ended: {tracer.privd.log()[-2000:]}"
    assert tracer.worker.is_alive, f"worker ended: {tracer.worker.log()[-2000:]}"
    wait_until(lambda: tracer.status()["connections"]["unaccounted"] == 0, 10,
               "unaccounted 0", 0.2)
    status = tracer.status()
    assert set(status["loss"]["stages"].values()) == {0}, status["loss"]
    assert status["connections"]["inferred"] == 0
    assert status["counters"]["bpf.missed_runs"] == 0


def kernel_counts(namespace):
    """The kernel's own counters of UDP in a namespace: {"InDatagrams": ..., "Udp6OutDatagrams": ...}."""
    found = {}
    with namespace.entered():
        with open("/proc/thread-self/net/snmp", encoding="ascii") as file:
            names, values = [line.split()[1:] for line in file if line.startswith("Udp:")]
        found.update(zip(names, map(int, values)))
        with open("/proc/thread-self/net/snmp6", encoding="ascii") as file:
            found.update((words[0], int(words[1])) for words in map(str.split, file)
                         if words[0].startswith("Udp6"))
    return found


class _Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class _Header(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("name_length", ctypes.c_uint),
                ("vector", ctypes.POINTER(_Iovec)), ("vector_length", ctypes.c_size_t),
                ("control", ctypes.c_void_p), ("control_length", ctypes.c_size_t),
                ("flags", ctypes.c_int)]


class _Message(ctypes.Structure):
    _fields_ = [("header", _Header), ("length", ctypes.c_uint)]


def _many(call, sock, buffers):
    vectors = (_Iovec * len(buffers))(*[
        _Iovec(ctypes.cast(buffer, ctypes.c_void_p), len(buffer)) for buffer in buffers])
    messages = (_Message * len(buffers))()
    for index, message in enumerate(messages):
        message.header.vector = ctypes.pointer(vectors[index])
        message.header.vector_length = 1
    sock.setblocking(True)
    if call is _LIBC.sendmmsg:
        result = call(sock.fileno(), messages, len(buffers), 0)
    else:
        result = call(sock.fileno(), messages, len(buffers), 0, None)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return [message.length for message in messages[:result]]


def send_many(sock, payloads):
    """sendmmsg(2) on a connected socket; returns what was sent of each."""
    return _many(_LIBC.sendmmsg, sock,
                 [ctypes.create_string_buffer(payload, max(1, len(payload))) for payload in payloads])


def receive_many(sock, sizes):
    """recvmmsg(2) into buffers of these sizes; returns what came into each."""
    return _many(_LIBC.recvmmsg, sock, [ctypes.create_string_buffer(size) for size in sizes])

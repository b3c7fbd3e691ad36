# SPDX-License-Identifier: Apache-2.0
"""Some 100,000 random and mutated requests: the worker answers each, stays up, and takes no memory."""
import json
import random

from harness import sp
from harness.scale import is_sanitized, scaled, wait_until
from harness.sockets import anyone, connect, listen

REQUESTS = scaled(100000, 2000)
PEERS = 8  # each has one request under way
HONEST_EVERY = 1000
# A request over the bus's own bound is disconnected (worker/publish/bus.h); below it, it is answered.
LONGEST = 60000

GOOD = [
    b'{"op":"connections","client":"a"}',
    b'{"op":"connections","client":"b","ack":1}',
    b'{"op":"connections","client":"a","page":"000000000000000200000001"}',
    b'{"op":"unregister","client":"a"}',
    b'{"op":"names","ips":["10.0.0.1","::1","2001:db8::1"]}',
    b'{"op":"audit"}', b'{"op":"config"}', b'{"op":"dns"}', b'{"op":"status"}',
    b'{"op":"snapshot"}',
    b'{"op":"snapshot","filter":"remote.port in (80, 443) and not comm ~ \\"curl\\""}',
    b'{"op":"snapshot","filter":"pid > 5","page":"000000000000000100000001"}',
    b'{"op":"record"}', b'{"op":"record_end","page":"000000000000000000000001"}',
]


def mutated(dice):
    """A good request, some of its bytes changed, taken out, doubled or taken from another."""
    text = bytearray(dice.choice(GOOD))
    for _ in range(dice.choice((0, 1, 1, 2, 5, 20))):
        at = dice.randrange(len(text) + 1)
        kind = dice.randrange(5)
        if kind == 0 and at < len(text):
            text[at] = dice.randrange(256)
        elif kind == 1:
            del text[at:at + dice.randrange(1, 9)]
        elif kind == 2:
            text[at:at] = text[at:at + dice.randrange(1, 30)]
        elif kind == 3:
            other = dice.choice(GOOD)
            begin = dice.randrange(len(other))
            text[at:at + 5] = other[begin:begin + dice.randrange(1, 20)]
        elif at < len(text):
            text[at] ^= 1 << dice.randrange(8)
    return bytes(text)


def invented(dice):
    """No request at all: noise, depth, length."""
    kind = dice.randrange(40)
    if kind == 0:
        return b"[" * dice.randrange(LONGEST)
    if kind == 1:
        return b'{"op":"snapshot","filter":"' + b"(" * dice.randrange(20000) + b'"}'
    if kind == 2:
        names = ",".join(f'"10.0.{i >> 8}.{i & 255}"' for i in range(dice.randrange(400)))
        return b'{"op":"names","ips":[' + names.encode() + b"]}"
    return dice.randbytes(dice.randrange(200))


def resident(worker):
    return int(worker.status()["VmRSS"].split()[0])


class Storm:
    """Peers that send and read in turn, and the count of what was refused."""

    def __init__(self, tracer, seed):
        self.dice = random.Random(seed)
        self.peers = [sp.Peer(tracer.runtime_dir / "query.sock", sp.REQ) for _ in range(PEERS)]
        self.refused = 0

    def round(self):
        """One request of each peer; whatever it was, its answer is an object that says ok or why not."""
        for peer in self.peers:
            make = mutated if self.dice.randrange(4) else invented
            peer.send(make(self.dice))
        for peer in self.peers:
            answer = json.loads(peer.receive())
            assert answer["ok"] in (True, False), answer
            if not answer["ok"]:
                assert answer["error"] and answer["message"], answer
                self.refused += 1

    def close(self):
        for peer in self.peers:
            peer.close()


class Honest:
    """A client that makes connections of its own and acknowledges what it was told of them."""

    def __init__(self, tracer, box):
        self.tracer = tracer
        self.box = box
        self.listener = listen(box, "127.0.0.1")
        self.made = 0
        self.batch = None
        self.told = []

    def make(self):
        """One connection, which has two ends here."""
        with connect(self.box, *self.listener.getsockname()):
            self.listener.accept()[0].close()
        self.made += 2

    def fetch(self):
        request = {"op": "connections", "client": "honest"}
        answer = self.tracer.query({**request, **({"ack": self.batch} if self.batch else {})})
        while True:
            assert answer["ok"], answer
            assert self.batch is None or answer["batch"] == self.batch + 1
            self.told += [c["id"] for c in answer["connections"]
                          if c["state"] == "closed" and anyone(self.box)(c)]
            if not answer.get("more"):
                break
            answer = self.tracer.query({**request, "page": answer["more"]})
        self.batch = answer["batch"]

    def knows_all(self):
        self.fetch()
        return len(self.told) >= self.made


def test_hostile_requests_are_answered_and_cost_nothing(own_tracer, netns):
    tracer = own_tracer(config={"state.client_expiry_s": 3600}).start()
    honest = Honest(tracer, netns("hostile"))
    honest.fetch()
    pid, started = tracer.worker.pid, tracer.status()["counters"]
    storm = Storm(tracer, 1)
    early = None
    for number in range(0, REQUESTS, PEERS):
        storm.round()
        if number % HONEST_EVERY < PEERS:
            honest.make()
            honest.fetch()
        if early is None and number > REQUESTS // 2:
            early = resident(tracer.worker)
    late = resident(tracer.worker)
    storm.close()
    assert tracer.worker.is_alive and tracer.worker.pid == pid
    ended = tracer.status()["counters"]
    wait_until(honest.knows_all, 10, "the honest client knows of all of its connections")
    assert len(honest.told) == len(set(honest.told)) == honest.made
    print(f"{REQUESTS} requests, {storm.refused} refused, "
          f"resident {early} KiB early, {late} KiB at the end")
    assert ended["query.requests"] - started["query.requests"] >= REQUESTS
    assert ended["query.refused"] - started["query.refused"] == storm.refused
    assert storm.refused > REQUESTS // 4
    if not is_sanitized():
        assert late - early < 4096
    assert not tracer.events.holes() and tracer.events.broken is None

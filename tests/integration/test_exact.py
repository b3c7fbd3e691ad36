# SPDX-License-Identifier: Apache-2.0
"""Short connections in every order of closing: each side once, and every byte."""
import pytest

from harness.netns import Netns
from harness.scale import program, scaled, wait_until
from harness.sockets import anyone, run_program, sent_and_received

FIN, RST = "fin", "rst"
# (client, server) reasons by the order of closing.
REASONS = {
    "client_first": (FIN, FIN), "server_first": (FIN, FIN), "both": (FIN, FIN),
    "half_closed": (FIN, FIN), "client_reset": (RST, RST), "server_reset": (RST, RST),
    "client_unread": (RST, RST), "server_unread": (RST, RST),
}
# Who received the reset: its socket has the error, the other's has none.
RESET_RECEIVER = {"client_reset": "incoming", "client_unread": "incoming",
                  "server_reset": "outgoing", "server_unread": "outgoing"}


@pytest.fixture(scope="module")
def lane():
    """A namespace of its own, where fd00:5::/64 is local too."""
    namespace = Netns("exact")
    namespace.ip("-6", "route", "add", "local", "fd00:5::/64", "dev", "lo")
    return namespace


def compare(tracer, found, made, pid, family):
    """Both sides of each connection of exact's report, against the report."""
    count = len(made)
    assert len(found) == 2 * count
    clients = {c["local"]["ip"]: c for c in found if c["direction"] == "outgoing"}
    servers = {c["remote"]["ip"]: c for c in found if c["direction"] == "incoming"}
    assert len(clients) == count and len(servers) == count

    accepted_by = {"accept"} if tracer.hook("accept") != "none" else {"close", "listener"}
    wrong = []
    for index, address, source_port, order, client_wrote, server_wrote in made:
        client, server = clients[address], servers[address]
        want = (int(source_port), (int(client_wrote), int(server_wrote)),
                (int(server_wrote), int(client_wrote)), *REASONS[order])
        got = (client["local"]["port"], sent_and_received(client), sent_and_received(server),
               client["close_reason"], server["close_reason"])
        if got != want:
            wrong.append((index, order, got, want))
        for side in (client, server):
            reset = RESET_RECEIVER.get(order) == side["direction"]
            if side["failure"] != ("ECONNRESET" if reset else None):
                wrong.append((index, order, side["direction"], "failure", side["failure"]))
            if (side["pid"], side["comm"]) != (pid, "exact"):
                wrong.append((index, order, side["direction"], side["pid"], side["comm"]))
            if side["family"] != ("ipv6" if family == "6" else "ipv4"):
                wrong.append((index, order, side["direction"], side["family"]))
        if client["pid_source"] != "connect" or server["pid_source"] not in accepted_by:
            wrong.append((index, order, client["pid_source"], server["pid_source"]))
    assert not wrong, f"{len(wrong)} wrong, such as {wrong[:8]}"


@pytest.mark.parametrize("family, count, first, port", [
    ("4", 10000, 0, 9001), ("mapped", 1000, 100000, 9002), ("6", 1000, 200000, 9003)])
def test_short_connections_are_exact_in_every_order_of_closing(tracer, lane, family, count, first,
                                                               port):
    count = scaled(count, 160)
    mark = tracer.events.mark()
    process = lane.start(program("exact"), family, str(count), str(first), str(port),
                         stdout=-1, text=True)
    output, _ = process.communicate()
    assert process.returncode == 0
    made = [line.split() for line in output.splitlines()]
    assert len(made) == count

    tracer.events.wait_count(anyone(lane), 2 * count, 20, mark)
    tracer.settle()
    compare(tracer, [c for c in tracer.events.closed[mark:] if anyone(lane)(c)], made, process.pid,
            family)


@pytest.mark.parametrize("options", [["--facts", "old"], ["--accept-hook", "none"]],
                         ids=["hash", "no accept hook"])
def test_what_other_kernels_need_is_exact_too(own_tracer, lane, options):
    """The ways that privd takes where a kernel has less; they can be asked for."""
    tracer = own_tracer(privd_options=options).start()
    feature = options[0].removeprefix("--").removesuffix("-hook")
    assert tracer.hook(feature) == options[1]
    count = scaled(2000, 160)
    process = lane.start(program("exact"), "4", str(count), "400000", "9020", stdout=-1, text=True)
    output, _ = process.communicate()
    made = [line.split() for line in output.splitlines()]

    def mine(connection):
        return anyone(lane)(connection) and 9020 in (connection["local"]["port"],
                                                     connection["remote"]["port"])
    tracer.events.wait_count(mine, 2 * count, 10)
    tracer.settle()
    assert not tracer.events.duplicates()
    compare(tracer, tracer.events.closed_where(mine), made, process.pid, "4")
    assert set(tracer.status()["loss"]["stages"].values()) == {0}


def test_the_sums_agree_when_all_is_quiet(tracer):
    def balanced():
        connections = tracer.status()["connections"]
        return connections if connections["unaccounted"] == 0 else None
    connections = wait_until(balanced, 5, "unaccounted 0")
    assert connections["opened"] == (connections["closed"] + connections["live"]
                                     + connections["inferred"])
    status = tracer.status()
    assert status["loss"]["budget_exceeded"] is False
    assert set(status["loss"]["stages"].values()) == {0}
    assert status["health"] == "good"


def test_io_uring_connects_and_accepts_are_seen(tracer, lane):
    count = scaled(200, 16)
    mark = tracer.events.mark()
    (pids,) = run_program(lane, program("uring"), str(count), "9010", "5000")
    client_pid, server_pid = map(int, pids)

    def mine(connection):
        return anyone(lane)(connection) and 9010 in (connection["local"]["port"],
                                                     connection["remote"]["port"])
    tracer.events.wait_count(mine, 2 * count, 10, mark)
    tracer.settle()
    found = [c for c in tracer.events.closed[mark:] if mine(c)]
    assert len(found) == 2 * count
    has_accept_hook = tracer.hook("accept") != "none"
    for connection in found:
        assert sent_and_received(connection) == (5000, 5000)
        assert connection["comm"] == "uring"
        if connection["direction"] == "outgoing":
            assert (connection["pid"], connection["pid_source"]) == (client_pid, "connect")
        elif has_accept_hook:
            assert (connection["pid"], connection["pid_source"]) == (server_pid, "accept")
        else:
            assert (connection["pid"], connection["pid_source"]) == (server_pid, "close")

# SPDX-License-Identifier: Apache-2.0
"""curl against nginx: both sides of each connection, against what curl and the access log say."""
import pytest

from harness.scale import SLOW, scaled
from harness.sockets import incoming, outgoing, sent_and_received
from harness.web import Nginx

WRITE_OUT = "%{local_port} %{size_request} %{size_header} %{size_download}\\n"


@pytest.fixture(scope="module")
def web(box, tmp_path_factory):
    server = Nginx(box, tmp_path_factory.mktemp("web"), 8080)
    yield server
    server.close()


@pytest.fixture(scope="module")
def patient_web(box, tmp_path_factory):
    """Keeps connections open, so that curl closes first."""
    server = Nginx(box, tmp_path_factory.mktemp("patient"), 8081, keepalive=60)
    yield server
    server.close()


def curl(box, url):
    """Fetches a URL or a range of them; returns curl's pid and {local port: (sent, received)}."""
    process = box.start("curl", "-sS", "--no-progress-meter", "-o", "/dev/null", "-w", WRITE_OUT,
                        url, stdout=-1, text=True)
    output, _ = process.communicate()
    assert process.returncode == 0
    seen = {}
    for line in output.splitlines():
        port, request, header, body = map(int, line.split())
        seen[port] = (request, header + body)
    return process.pid, seen


def check_server_process(tracer, connection, worker_pid, master_pid):
    """Which process the accepting side names depends on what this kernel lets us hook."""
    if tracer.hook("accept") != "none":
        assert (connection["pid_source"], connection["pid"]) == ("accept", worker_pid)
    else:
        # The worker that closed it; only a connection that it never closed is its listener's.
        assert (connection["pid_source"], connection["pid"]) == ("close", worker_pid)
    assert worker_pid != master_pid
    assert connection["comm"] == "nginx"


@pytest.mark.parametrize("url_host, family, ip", [
    ("127.0.0.1", "ipv4", "127.0.0.1"),
    ("[::1]", "ipv6", "::1"),
])
@pytest.mark.parametrize("closer", ["server", "client"])
def test_a_download_is_told_from_both_sides(tracer, box, web, patient_web, url_host, family, ip,
                                            closer):
    server = web if closer == "server" else patient_web
    lines = len(server.log_path.read_text(encoding="ascii").splitlines())
    pid, seen = curl(box, f"http://{url_host}:{server.port}/file")
    (port, (sent, received)), = seen.items()

    request = server.requests(lines + 1)[(ip, port)]
    assert (request.read_bytes, request.written_bytes) == (sent, received)

    client, = tracer.events.wait_closed(
        lambda c: outgoing(box, server.port)(c) and c["local"]["port"] == port
        and c["family"] == family)
    accepted, = tracer.events.wait_closed(
        lambda c: incoming(box, server.port)(c) and c["remote"]["port"] == port
        and c["family"] == family)
    assert sent_and_received(client) == (sent, received)
    assert sent_and_received(accepted) == (received, sent)
    for side in (client, accepted):
        # Usually one report; more if it was told as active meanwhile.
        reports = [c for c in tracer.events.active if c["id"] == side["id"]] + [side]
        for name, value in side["total"].items():
            assert sum(report["delta"][name] for report in reports) == value, name

    assert (client["pid"], client["comm"], client["pid_source"]) == (pid, "curl", "connect")
    assert client["uid"] == 0
    check_server_process(tracer, accepted, request.pid, server.process.pid)

    for side in (client, accepted):
        assert side["state"] == "closed" and side["protocol"] == "tcp"
        assert side["local"]["ip"] == ip and side["remote"]["ip"] == ip
        assert side["remote"]["names"] == []
        assert side["close_reason"] == "fin" and side["failure"] is None
        assert side["inferred"] is False and side["intra_host"] is True
        assert side["nat"] is None and side["dns"] is None and side["container"] is None
        assert side["total"]["retransmits"] == 0
        assert side["total"]["sent_packets"] >= 3 and side["total"]["recv_packets"] >= 3
        assert side["rtt_us"] > 0 and side["rtt_var_us"] is not None
        assert side["handshake_us"] > 0
        opened, duration = int(side["opened_ns"]), int(side["duration_ns"])
        assert 0 < duration < 60e9
        assert abs(side["_ts_ns"] - (opened + duration)) < 5e9
        assert isinstance(side["opened_ns"], str) and isinstance(side["duration_ns"], str)
        assert len(side["id"]) == 16 and int(side["id"], 16) > 0
    assert client["id"] != accepted["id"]


def test_a_closed_connection_is_told_within_the_promised_second(tracer, box, web):
    _, seen = curl(box, f"http://127.0.0.1:{web.port}/file")
    port, = seen
    client, = tracer.events.wait_closed(
        lambda c: outgoing(box, web.port)(c) and c["local"]["port"] == port)
    closed = int(client["opened_ns"]) + int(client["duration_ns"])
    assert client["_ts_ns"] - closed < 1.05e9 * SLOW


def test_thousands_of_downloads_are_each_told_once_and_to_the_byte(tracer, box, web):
    count = scaled(10000, 200)
    mark = tracer.events.mark()
    lines = len(web.log_path.read_text(encoding="ascii").splitlines())
    pid, _ = curl(box, f"http://127.0.0.1:{web.port}/file?[1-{count}]")
    tracer.events.wait_count(lambda c: web.port in (c["local"]["port"], c["remote"]["port"]),
                             2 * count, 20, mark)
    tracer.settle()

    log = [line.split() for line in
           web.log_path.read_text(encoding="ascii").splitlines()[lines:]]
    assert len(log) == count
    clients = [c for c in tracer.events.closed[mark:] if outgoing(box, web.port)(c)]
    servers = [c for c in tracer.events.closed[mark:] if incoming(box, web.port)(c)]
    assert (len(clients), len(servers)) == (count, count)
    # A port may come twice, so the log and the stream are compared as sorted lists.
    assert sorted((c["local"]["port"], *sent_and_received(c)) for c in clients) == sorted(
        (int(f[2]), int(f[3]), int(f[4])) for f in log)
    assert sorted((c["remote"]["port"], *sent_and_received(c)) for c in servers) == sorted(
        (int(f[2]), int(f[4]), int(f[3])) for f in log)
    assert {(c["pid"], c["comm"], c["pid_source"]) for c in clients} == {(pid, "curl", "connect")}
    assert sorted((c["remote"]["port"], c["pid"]) for c in servers) == sorted(
        (int(f[2]), int(f[0])) for f in log)
    assert {c["comm"] for c in servers} == {"nginx"}
    want = {"accept"} if tracer.hook("accept") != "none" else {"close"}
    assert {c["pid_source"] for c in servers} == want

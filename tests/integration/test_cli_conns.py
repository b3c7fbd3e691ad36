# SPDX-License-Identifier: Apache-2.0
"""`sockwarden conns` against the daemons, compared with ss, and against workers that misbehave."""
import contextlib
import json
import os
import pty
import subprocess

import pytest

from harness import fakes
from harness.scale import SLOW, binary, scaled
from harness.sockets import connect, key_of, listen, ss


@contextlib.contextmanager
def open_connections(namespace, count, address="127.0.0.1"):
    """Connections that stay; yields (server's port, client sockets)."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(listen(namespace, address, backlog=count + 1))
        port = server.getsockname()[1]
        clients = []
        for _ in range(count):
            clients.append(stack.enter_context(connect(namespace, address, port)))
            stack.enter_context(server.accept()[0])
        yield port, clients


def conns(tracer, *options):
    """The objects that --json printed."""
    result = tracer.command("conns", "--json", *options)
    assert result.returncode == 0 and result.stderr == "", result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def run(directory, *arguments, **options):
    return subprocess.run([binary("cli/sockwarden"), arguments[0], "--runtime-dir", str(directory),
                           *arguments[1:]], capture_output=True, text=True, check=False,
                          timeout=20 * SLOW, stdin=subprocess.DEVNULL, **options)


def test_live_connections_are_those_that_ss_sees(tracer, netns):
    namespace = netns("conns")
    count = scaled(300)
    with open_connections(namespace, count):
        shown = conns(tracer, "--netns", str(namespace.inode))
        assert sorted(map(key_of, shown)) == sorted(ss(namespace))
        assert len(shown) == 2 * count
        assert {connection["state"] for connection in shown} == {"active"}


def test_a_line_is_what_the_worker_said(tracer, netns):
    namespace = netns("raw")
    with open_connections(namespace, 1):
        line = tracer.command("conns", "--json", "--netns", str(namespace.inode),
                              "--limit", "1").stdout
        assert list(json.loads(line)) == list(fakes.connection())


def test_options_pick_connections(tracer, netns):
    namespace = netns("pick")
    mine = ("--netns", str(namespace.inode))
    with open_connections(namespace, 2) as (port4, _), \
            open_connections(namespace, 1, "::1") as (port6, _):
        assert len(conns(tracer, *mine)) == 6
        assert {c["family"] for c in conns(tracer, *mine, "-4")} == {"ipv4"}
        assert len(conns(tracer, *mine, "-6")) == 2
        assert len(conns(tracer, *mine, "-4", "-6")) == 6
        assert len(conns(tracer, *mine, "--port", str(port4))) == 4
        assert len(conns(tracer, *mine, "--pid", str(os.getpid()))) == 6
        assert conns(tracer, *mine, "--pid", "1") == []
        assert len(conns(tracer, *mine, "--filter", f"remote.port == {port6}")) == 1
        assert len(conns(tracer, *mine, "--filter", f"not (port == {port6}) or family == ipv6")) == 6
        assert len(conns(tracer, *mine, "--limit", "3")) == 3
        comm = conns(tracer, *mine)[0]["comm"]
        assert len(conns(tracer, *mine, "--comm", comm)) == 6
        assert conns(tracer, *mine, "--comm", comm + '" or pid > 0 or comm == "') == []
        assert conns(tracer, *mine, "--container", "0123456789abcdef") == []


def test_fields_and_sort(tracer, netns):
    namespace = netns("sort")
    mine = ("--netns", str(namespace.inode))
    with open_connections(namespace, 3) as (port, clients):
        for index, client in enumerate(clients):
            client.send(b"x" * (1000 * (index + 1)))
        shown = conns(tracer, *mine, "--filter", "direction == outgoing",
                      "--fields", "total.sent_bytes,remote.port,container",
                      "--sort", "total.sent_bytes")
        assert shown == [{"total.sent_bytes": size, "remote.port": port, "container": None}
                         for size in (3000, 2000, 1000)]
        shown = conns(tracer, *mine, "--filter", "direction == outgoing", "--sort",
                      "-total.sent_bytes", "--limit", "1")
        assert shown[0]["total"]["sent_bytes"] == 1000
        table = tracer.command("conns", *mine, "--filter", "direction == outgoing", "--fields",
                               "remote,total.sent_bytes", "--sort", "total.sent_bytes").stdout
        assert [line.split() for line in table.splitlines()] == [
            ["REMOTE", "SENT"], [f"127.0.0.1:{port}", "2.9K"], [f"127.0.0.1:{port}", "1.9K"],
            [f"127.0.0.1:{port}", "1000B"]]
        bare = tracer.command("conns", *mine, "--no-header", "--limit", "2").stdout
        assert len(bare.splitlines()) == 2 and "LOCAL" not in bare


def test_a_hostile_process_name_never_reaches_the_terminal(tracer, netns):
    namespace = netns("name")
    script = ("import socket\n"
              "open('/proc/self/comm', 'wb').write(b'\\x1b[31mred\\x07\\\\\"')\n"
              "server = socket.create_server(('127.0.0.1', 0))\n"
              "client = socket.create_connection(server.getsockname())\n"
              "print('ready', flush=True)\n"
              "input()\n")
    process = namespace.start("/usr/bin/python3", "-c", script, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        mine = ("--netns", str(namespace.inode), "--filter", "direction == outgoing")
        table = tracer.command("conns", *mine, "--fields", "comm", "--no-header").stdout
        assert table == "\\x1b[31mred\\x07\\x5c\"\n"
        assert conns(tracer, *mine)[0]["comm"] == '\x1b[31mred\x07\\"'
    finally:
        process.communicate("\n", timeout=10 * SLOW)


def test_a_wrong_filter_is_a_usage_error_that_says_where(tracer):
    result = tracer.command("conns", "--filter", "pid == ")
    assert result.returncode == 2 and result.stdout == ""
    assert len(result.stderr.splitlines()) == 1 and "filter" in result.stderr


@pytest.mark.parametrize("options", [["--fields", "pid,nope"], ["--sort", "nope"], ["--limit", "0"],
                                     ["--pid", "x"], ["--port", "65536"], ["--fields"], ["surplus"]])
def test_a_wrong_option_is_one_line(tmp_path, options):
    result = run(tmp_path, "conns", *options)
    assert result.returncode == 2 and result.stdout == ""
    assert len(result.stderr.splitlines()) == 1 and "sockwarden help conns" in result.stderr


@pytest.mark.parametrize("verb", ["conns", "status", "watch"])
def test_without_a_worker_the_line_says_what_to_start(tmp_path, verb):
    result = run(tmp_path, verb)
    assert result.returncode == 6 and result.stdout == ""
    assert len(result.stderr.splitlines()) == 1 and "sockwarden-worker" in result.stderr


def test_without_permission_the_line_names_the_group(tracer):
    result = tracer.command("conns", user=65534, group=65534, extra_groups=[])
    assert result.returncode == 5 and result.stdout == ""
    assert len(result.stderr.splitlines()) == 1 and "group sockwarden" in result.stderr


def test_a_member_of_the_group_may_ask(tracer):
    group = os.stat(tracer.runtime_dir / "query.sock").st_gid
    assert tracer.command("conns", user=65534, group=65534, extra_groups=[group]).returncode == 0


@pytest.mark.parametrize("answer, code", [
    ({"ok": False, "error": "bad_request", "message": "no"}, 2),
    ({"ok": False, "error": "unknown_op", "message": "no"}, 4),
    ({"ok": False, "error": "busy", "message": "no"}, 1),
    ({"ok": True}, 1), ("nonsense", 1), ("[]", 1), ('{"ok":true,"connections":[{]}', 1),
    ({"ok": False, "error": "busy", "message": "\x1b[2J\nline"}, 1)])
def test_a_worker_that_refuses_or_rambles_is_told_in_one_line(tmp_path, answer, code):
    with fakes.answering(tmp_path, answer):
        result = run(tmp_path, "conns")
    assert result.returncode == code, result.stderr
    assert len(result.stderr.splitlines()) == 1 and "\x1b" not in result.stderr


def test_a_silent_worker_is_given_up(tracer, own_tracer):
    own = own_tracer().start()
    own.pause_worker()
    result = own.command("conns")
    assert result.returncode == 6 and len(result.stderr.splitlines()) == 1


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    answer = {"ok": True, "connections": [fakes.connection()] * 40}
    with fakes.answering(tmp_path, answer):
        result = subprocess.run(
            ["bash", "-c", f"{binary('cli/sockwarden')} conns --json --runtime-dir {tmp_path} | "
                           "head -n 1; echo ${PIPESTATUS[0]}"],
            capture_output=True, text=True, check=False, timeout=20 * SLOW)
        assert result.stdout.splitlines()[1] == "0" and result.stderr == ""
        full = subprocess.run([binary("cli/sockwarden"), "conns", "--runtime-dir", str(tmp_path)],
                              stdout=open("/dev/full", "wb"), stderr=subprocess.PIPE, text=True,
                              check=False, timeout=20 * SLOW)
        assert full.returncode == 1 and "cannot write" in full.stderr


def on_terminal(directory, **environment):
    """What `conns` writes to a terminal."""
    parent, child = pty.openpty()
    try:
        subprocess.run([binary("cli/sockwarden"), "conns", "--runtime-dir", str(directory)],
                       stdin=child, stdout=child, stderr=child, check=True, timeout=20 * SLOW,
                       env={"TERM": "xterm", "LC_ALL": "C.UTF-8", **environment})
        return os.read(parent, 65536).decode()
    finally:
        os.close(parent)
        os.close(child)


def test_colour_is_for_terminals_that_want_it(tmp_path):
    with fakes.answering(tmp_path, {"ok": True, "connections": [fakes.connection()]}):
        assert "\x1b[1m" in on_terminal(tmp_path)
        assert "\x1b" not in on_terminal(tmp_path, NO_COLOR="1")
        assert "\x1b" not in on_terminal(tmp_path, TERM="dumb")
        assert "\x1b" not in run(tmp_path, "conns").stdout


def test_numbers_are_short_in_tables_and_whole_in_json(tmp_path):
    huge = fakes.connection(total={"sent_bytes": "18446744073709551615", "recv_bytes": 1048576,
                                   "sent_packets": 1, "recv_packets": 1, "retransmits": 0})
    with fakes.answering(tmp_path, {"ok": True, "connections": [huge]}):
        fields = ["--fields", "total.sent_bytes,total.recv_bytes,duration_ns,rtt_us", "--no-header"]
        assert run(tmp_path, "conns", *fields).stdout.split() == ["15E", "1.0M", "1.2ms", "95us"]
        assert json.loads(run(tmp_path, "conns", "--json").stdout) == huge

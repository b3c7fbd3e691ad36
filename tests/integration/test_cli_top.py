# SPDX-License-Identifier: Apache-2.0
"""`sockwarden top` as a person sees it on a terminal of 80x24."""
import contextlib
import os
import re
import signal
import subprocess
import threading

import pytest

from harness.scale import SLOW, binary, wait_until
from harness.sockets import connect, listen
from harness.terminal import Terminal


@pytest.fixture
def terminal():
    with contextlib.closing(Terminal(80, 24)) as made:
        yield made


def start(terminal, tracer):
    terminal.command(binary("cli/sockwarden"), "top", "--runtime-dir", str(tracer.runtime_dir),
                     "--interval", "0.5")
    terminal.wait("health good", 20)


def narrow(terminal, text):
    """Filters by text."""
    terminal.keys("/", text, "Enter")
    terminal.wait(f"with '{text}'")


@contextlib.contextmanager
def talking(namespace, connections=1):
    """Connections to one port over which bytes go all the time; yields the port."""
    stop = threading.Event()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(listen(namespace, "127.0.0.1", backlog=connections + 1))
        port = server.getsockname()[1]
        pairs = []
        for _ in range(connections):
            client = stack.enter_context(connect(namespace, "127.0.0.1", port))
            pairs.append((client, stack.enter_context(server.accept()[0])))

        def talk():
            while not stop.wait(0.02):
                for client, peer in pairs:
                    client.send(b"x" * 1024)
                    peer.recv(4096)
        thread = threading.Thread(target=talk)
        thread.start()
        try:
            yield port
        finally:
            stop.set()
            thread.join()


def rows(terminal, port):
    """The screen's rows of connections with a port at the remote end."""
    return [line.split() for line in terminal.screen() if f"127.0.0.1:{port} " in line]


def test_header_titles_and_keys_fit_80_columns(terminal, tracer):
    start(terminal, tracer)
    screen = terminal.screen()
    assert re.match(rf"sockwarden {os.uname().nodename[:16]}  live \d+  \S+ conn/s  \S+/s  "
                    r"health good  lost \d+", screen[0])
    assert re.match(r" +PID COMM +LPORT +REMOTE +SENT/s RECV/s +TOTAL RTT/END$", screen[2])
    assert screen[-1].startswith("q quit")
    assert len(screen) == 24 and max(map(len, screen)) <= 80


def test_traffic_has_a_rate_and_a_row(terminal, tracer, box):
    start(terminal, tracer)
    with talking(box) as port:
        narrow(terminal, str(port))

        def moving():
            found = [row for row in rows(terminal, port) if re.fullmatch(r"[1-9]\d*K", row[5])]
            return found and found[0]
        row = wait_until(moving, 10, "a rate of some K/s")
        assert row[0] == str(os.getpid()) and row[3] == "->"
        # 1 KiB fifty times a second, as far as the machine keeps up.
        assert 5 <= int(row[5][:-1]) <= 60
    terminal.wait("fin")  # and it is seen for a while after it closed


def test_a_short_connection_is_seen(terminal, tracer, box):
    start(terminal, tracer)
    with listen(box, "127.0.0.1") as server:
        port = server.getsockname()[1]
        narrow(terminal, str(port))
        connect(box, "127.0.0.1", port).close()
        server.accept()[0].close()
    terminal.wait("fin")
    assert rows(terminal, port)
    terminal.wait_gone(f":{port} ", 15)


def test_keys_sort_scroll_pause_and_help(terminal, tracer, box):
    start(terminal, tracer)
    with talking(box, connections=40) as port:
        narrow(terminal, str(port))
        terminal.wait("80 rows")
        assert all(len(line.split()) >= 8 for line in terminal.screen()[3:23])
        terminal.keys("NPage")
        terminal.wait(", from 21")
        terminal.keys("Down")
        terminal.wait(", from 22")
        terminal.keys("Up", "PPage")
        terminal.wait_gone(", from")
        for name in ("total bytes", "rtt", "newest", "pid", "remote", "rate"):
            terminal.keys("s")
            terminal.wait(f"rows by {name}")
        terminal.keys("p")
        terminal.wait("PAUSED")
        terminal.keys("p")
        terminal.wait_gone("PAUSED")
        terminal.keys("h")
        terminal.wait("pause, go on")
        terminal.keys("x")
        terminal.wait_gone("pause, go on")
        terminal.keys("/", "zzz", "Escape")
        terminal.wait(f"with '{port}'")
        assert "zzz" not in terminal.text()


def test_it_survives_other_sizes(terminal, tracer):
    start(terminal, tracer)
    for columns, lines in ((140, 40), (40, 10), (10, 3), (1, 1), (80, 24)):
        terminal.resize(columns, lines)
        wait_until(terminal.foreground, 5, "top")
        if columns >= 80:
            titles = "LOCAL" if columns > 100 else "LPORT"
            terminal.wait(titles)
    terminal.wait("health good")
    terminal.keys("q")
    terminal.wait("ready>")


def settings(terminal):
    """The terminal's own settings, as the shell sees them between commands."""
    terminal.keys("clear; stty -a | cksum", "Enter")
    return wait_until(
        lambda: [line for line in terminal.screen() if re.fullmatch(r"\d+ \d+", line.strip())],
        5, "cksum")


@pytest.mark.parametrize("end", ["q", signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_terminal_is_given_back(terminal, tracer, end):
    before = settings(terminal)
    start(terminal, tracer)
    if end == "q":
        terminal.keys("q")
    else:
        os.kill(terminal.foreground(), end)
    wait_until(lambda: terminal.foreground() is None, 10, "the end of top")
    terminal.wait_gone("LPORT")
    assert settings(terminal) == before


def test_it_can_be_stopped_and_continued(terminal, tracer):
    start(terminal, tracer)
    terminal.keys("C-z")
    terminal.wait("Stopped")
    terminal.keys("fg", "Enter")
    terminal.wait("health good")
    terminal.keys("q")
    terminal.wait("ready>")


def test_a_worker_that_goes_away_is_told_and_found_again(terminal, own_tracer):
    tracer = own_tracer().start()
    start(terminal, tracer)
    tracer.worker.stop()
    terminal.wait("NO ANSWER", 15)
    tracer.start_worker()
    terminal.wait("health good", 15)
    terminal.wait_gone("NO ANSWER")


def test_without_a_terminal_it_names_the_verbs_for_pipes(tmp_path):
    result = subprocess.run([binary("cli/sockwarden"), "top", "--runtime-dir", str(tmp_path)],
                            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                            timeout=20 * SLOW)
    assert result.returncode == 2 and len(result.stderr.splitlines()) == 1
    assert "sockwarden watch" in result.stderr


def test_without_a_worker_it_ends_with_one_line(terminal, tmp_path):
    terminal.command("bash", "-c", f"{binary('cli/sockwarden')} top --runtime-dir {tmp_path}; "
                                   "echo code $?")
    terminal.wait("code 6")
    assert "sockwarden-worker" in terminal.text()

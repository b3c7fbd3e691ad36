# SPDX-License-Identifier: Apache-2.0
"""SIGHUP: the worker ends to be started again, and a subscriber sees no difference but the instance."""
import os
import shutil
import signal
import subprocess

import pytest

from harness.scale import ROOT, SLOW, program, scaled, wait_until
from harness.sockets import anyone, run_program, sent_and_received

RELOAD = 8


def reload(tracer, **config):
    """What a supervisor does: SIGHUP, and the worker again when it has ended with that code."""
    tracer.config.update(config)
    tracer.write_config()
    os.kill(tracer.worker.pid, signal.SIGHUP)
    assert tracer.worker.wait_exit(5) == RELOAD
    assert tracer.worker.lines("SIGHUP")
    tracer.start_worker()


def test_a_reload_under_load_loses_nothing_and_tells_nothing_twice(own_tracer, netns, tmp_path):
    box = netns("reload")
    # Room for what closes while subscribers dial again.
    tracer = own_tracer(privd_options=["--ring-pages", "16384"]).start()
    count = scaled(12000, 6000)
    made, mark, cut = [], 0, 0
    for number in range(3):
        report = tmp_path / f"report{number}"
        with open(report, "wb") as output:
            load = box.start(program("exact"), "4", str(count), str(number * count), "9320", stdout=output)
        # This instance has told some; the rest goes on while it ends and the next one begins.
        tracer.events.wait_count(anyone(box), count // 8, 30, mark)
        cut += load.poll() is None
        reload(tracer, **{"state.max_connections": 5000 + number})
        assert tracer.query({"op": "config"})["config"]["state"]["max_connections"] == 5000 + number
        assert load.wait(60 * SLOW) == 0
        made += [line.split() for line in report.read_text(encoding="ascii").splitlines()]
        tracer.events.wait_count(anyone(box), 2 * len(made), 20)
        mark = tracer.events.mark()
    assert len(made) == 3 * count
    tracer.settle()
    found = tracer.events.closed_where(anyone(box))
    assert len(found) == 2 * len(made) and not tracer.events.duplicates() and not tracer.events.holes()
    assert len({c["_instance"] for c in found}) >= 3 and cut
    clients = {c["local"]["ip"]: c for c in found if c["direction"] == "outgoing"}
    for _, address, _, _, client_wrote, server_wrote in made:
        assert sent_and_received(clients[address]) == (int(client_wrote), int(server_wrote))
    connections = wait_until(
        lambda: (lambda c: c if c["unaccounted"] == 0 else None)(tracer.status()["connections"]),
        5, "unaccounted 0")
    assert connections["lost"] == 0 and connections["inferred"] == 0


def test_whoever_asks_for_the_end_gets_it(own_tracer):
    """SIGTERM counts more than SIGHUP, whichever comes first."""
    tracer = own_tracer()
    tracer.start_privd()
    tracer.start_worker()
    tracer.pause_worker()
    os.kill(tracer.worker.pid, signal.SIGHUP)
    os.kill(tracer.worker.pid, signal.SIGTERM)
    os.kill(tracer.worker.pid, signal.SIGCONT)
    assert tracer.worker.wait_exit(5) == 0


def test_a_hangup_changes_nothing_for_privd(own_tracer):
    tracer = own_tracer().start()
    os.kill(tracer.privd.pid, signal.SIGHUP)
    tracer.settle()
    assert tracer.privd.is_alive and tracer.worker.is_alive and tracer.status()["health"] == "good"


def test_a_configuration_that_would_not_be_taken_is_found_before_the_signal(own_tracer):
    """What the unit's ExecReload does first."""
    tracer = own_tracer().start()
    path = tracer.write_config()
    assert tracer.command("config", "check", path).returncode == 0
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"publish": {"interval_s": 0}}')
    result = tracer.command("config", "check", path)
    assert result.returncode == 3 and f"{path}:1:" in result.stderr
    assert tracer.worker.is_alive


def test_the_units_are_what_systemd_takes(tmp_path):
    """With the reload's two steps in this order."""
    text = (ROOT / "deploy" / "sockwarden-worker.service.in").read_text(encoding="utf-8")
    reloads = [line for line in text.splitlines() if line.startswith("ExecReload=")]
    assert [line.split()[-2:] for line in reloads] == [["config", "check"], ["-HUP", "$MAINPID"]]
    assert f"SuccessExitStatus={RELOAD}" in text and f"RestartForceExitStatus={RELOAD}" in text
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed: systemd did not look at the units")
    for name in ("sockwarden-privd.service", "sockwarden-worker.service"):
        unit = (ROOT / "deploy" / f"{name}.in").read_text(encoding="utf-8")
        (tmp_path / name).write_text(
            unit.replace("@SBINDIR@", "/bin").replace("@BINDIR@", "/bin")
            .replace("/bin/sockwarden-privd", "/bin/true").replace("/bin/sockwarden-worker", "/bin/true")
            .replace("/bin/sockwarden", "/bin/true"), encoding="utf-8")
    result = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, sorted(tmp_path.iterdir()))],
        capture_output=True, text=True, check=False)
    assert result.returncode == 0 and "sockwarden" not in result.stderr, result.stderr

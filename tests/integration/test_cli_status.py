# SPDX-License-Identifier: Apache-2.0
"""`sockwarden status`, `probe`, `version` and `help`."""
import json
import os
import re
import subprocess

import pytest

from harness import fakes
from harness.scale import SLOW, binary, wait_until


def run(*arguments, **options):
    return subprocess.run([binary("cli/sockwarden"), *arguments], capture_output=True, text=True,
                          check=False, timeout=30 * SLOW, stdin=subprocess.DEVNULL, **options)


def test_a_fresh_pair_is_well(own_tracer):
    tracer = own_tracer().start()
    result = tracer.command("status")
    assert result.returncode == 0 and result.stderr == "", result.stderr
    assert re.search(r"^health +good; privd alive: yes$", result.stdout, re.M)
    assert re.search(r"^loss budget +kept$", result.stdout, re.M)
    assert re.search(r"^kernel +" + re.escape(os.uname().release) + "$", result.stdout, re.M)
    assert "seccomp=2" in result.stdout
    answer = json.loads(tracer.command("status", "--json").stdout)
    assert answer["ok"] and answer["instance"] == tracer.status()["instance"]


def status(**facts):
    answer = {"ok": True, "health": "good", "health_reason": None,
              "stages": {"intake": "good", "sweep": "off"}, "version": "0", "uptime_s": 1, "host": "h",
              "instance": "aa", "kernel": {"release": "6", "hooks": {"accept": "fexit"}},
              "connections": {"opened": 3, "closed": 1, "live": 1, "inferred": 0, "lost": 1, "unaccounted": 0,
                              "tracked": 1, "capacity": 8},
              "loss": {"budget_exceeded": False,
                       "stages": {"bpf": 0, "ring": 0, "batch": 0, "table": 0}, "window_s": 60,
                       "budgets": {}},
              "sandbox": {"seccomp": 2}, "gauges": {},
              "counters": {"conn.opened": 3, "conn.closed": 1, "bpf.lone": 7}, "privd": {"alive": True}}
    return {**answer, **facts}


LOSS = {"budget_exceeded": True, "stages": {"bpf": 1, "ring": 0, "batch": 2, "table": 0},
        "window_s": 0,
        "budgets": {"bpf": {"lost": 1, "of": 4, "budget_ppm": 1000, "exceeded": True},
                    "table": {"lost": 0, "of": 9, "budget_ppm": 1000000, "exceeded": False}}}
BAD = {"health": "bad", "health_reason": "privd: it does not \x1banswer",
       "stages": {"intake": "good", "privd": "bad"}}


@pytest.mark.parametrize("facts, code, said", [
    ({}, 0, ""), ({"loss": LOSS}, 7, "ring-pages"), (BAD, 1, "it does not"),
    ({**BAD, "loss": LOSS}, 7, "lost")])
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_the_exit_code_tells_loss_and_health(tmp_path, facts, code, said, options):
    with fakes.answering(tmp_path, status(**facts)):
        result = run("status", "--runtime-dir", str(tmp_path), *options)
    assert result.returncode == code
    assert said in result.stderr and len(result.stderr.splitlines()) == (1 if code else 0)
    if options:
        return
    assert "\x1b" not in result.stdout and "+ 1 lost; unaccounted: 0" in result.stdout
    assert re.search("^conn +opened=3  closed=1\nbpf +lone=7$", result.stdout, re.M)
    if "loss" in facts:
        assert "bpf lost 1 of 4 (ever), budget 1000 ppm: EXCEEDED" in result.stdout
        assert "table lost 0 of 9 (ever), budget 1000000 ppm\n" in result.stdout
    if "stages" in facts:
        assert re.search("^stages +intake=good  privd=bad$", result.stdout, re.M)


def test_probe_tells_the_hooks_that_privd_takes(tracer):
    result = run("probe", "--json")
    assert result.returncode == 0, result.stderr
    probe = json.loads(result.stdout)
    hooks = tracer.status()["kernel"]["hooks"]
    assert probe["kernel"] == os.uname().release and probe["privileged"]
    assert probe["hooks"]["accept"]["hook"] == hooks["accept"]
    assert probe["hooks"]["facts"]["hook"] == hooks["facts"]
    assert probe["hooks"]["udp"]["hook"] == hooks["udp"]
    assert probe["hooks"]["connections"]["hook"] == "tp_btf/inet_sock_set_state"
    assert probe["hooks"]["snapshots"]["hook"] == hooks["snapshot"]
    assert probe["offers"]["cookies"]["available"] == (hooks["facts"] == "table")
    assert probe["offers"]["btf"]["available"] and probe["offers"]["seccomp"]["available"]


def test_probe_leaves_nothing_behind(tracer):
    before = tracer.privd.bpf_objects()
    assert run("probe").returncode == 0
    assert tracer.privd.bpf_objects() == before

    def programs():
        return subprocess.run(["bpftool", "prog", "show", "-j"], capture_output=True, text=True,
                              check=True).stdout

    # The kernel frees a program some time after its last descriptor was closed.
    wait_until(lambda: "sockwarden_try" not in programs(), 10, "probe's programs to be gone")


def test_probe_without_privilege_says_what_it_did_not_try():
    result = run("probe", user=65534, group=65534, extra_groups=[])
    assert result.returncode == 5
    assert "not tried: needs CAP_BPF" in result.stdout
    assert len(result.stderr.splitlines()) == 1
    table = run("probe", "--json", user=65534, group=65534, extra_groups=[]).stdout
    assert json.loads(table)["offers"]["trampoline"]["available"] is None


def test_version_and_help():
    assert re.fullmatch(r"sockwarden \d+\.\d+\.\d+\n", run("version").stdout)
    assert run("--version").stdout == run("version").stdout
    listed = run("help").stdout
    assert run("--help").stdout == listed
    for verb in ("conns", "watch", "top", "status", "probe", "version", "help"):
        assert re.search(rf"^  {verb} ", listed, re.M)
        one = run("help", verb)
        assert one.returncode == 0 and one.stdout.startswith(f"usage: sockwarden {verb} ")
        assert run(verb, "--help").stdout == one.stdout
    assert run("help", "nope").returncode == 2


def test_a_path_that_no_socket_can_have_is_a_usage_error():
    result = run("status", "--runtime-dir", "/tmp/" + "x" * 120)
    assert result.returncode == 2 and len(result.stderr.splitlines()) == 1

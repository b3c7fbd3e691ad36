# SPDX-License-Identifier: Apache-2.0
"""`sockwarden config`: check, default and show."""
import json
import os
import subprocess

import pytest

from harness.scale import SLOW, binary


def run(*arguments):
    return subprocess.run([binary("cli/sockwarden"), "config", *arguments], capture_output=True,
                          text=True, check=False, timeout=30 * SLOW, stdin=subprocess.DEVNULL)


def test_the_default_is_valid_and_sets_every_key(tmp_path):
    result = run("default")
    assert result.returncode == 0 and result.stderr == ""
    tree = json.loads(result.stdout)
    assert tree["publish"] == {"interval_s": 30, "closed_delay_ms": 1000, "queue": 1024}
    assert tree["dns"]["types"] == ["A", "AAAA"] and tree["exclude"]["source"] == {}
    path = tmp_path / "all.json"
    path.write_text(result.stdout, encoding="utf-8")
    check = run("check", str(path))
    assert check.returncode == 0 and check.stderr == ""
    assert check.stdout.startswith(f"{path}: valid\n") and " MiB  in all\n" in check.stdout
    one_line = run("default", "--json")
    assert len(one_line.stdout.splitlines()) == 1 and json.loads(one_line.stdout) == tree


@pytest.mark.parametrize("text, error", [
    ('{"tcp":\n  {"enabled": 1}}', ":2:15: tcp.enabled must be true or false"),
    ('{"exclude": {"source": {"10.0.0.1/8": []}}}',
     ':1:25: exclude.source: "10.0.0.1/8" has bits set behind its prefix'),
    ("", ":1:1: the text ends too early"), ("\x00", ":1:1: a value is expected here")])
def test_the_first_error_is_told_with_line_and_column(tmp_path, text, error):
    path = tmp_path / "bad.json"
    path.write_text(text, encoding="utf-8")
    result = run("check", str(path))
    assert (result.returncode, result.stdout) == (3, "")
    assert result.stderr == f"sockwarden: {path}{error}\n"


def test_a_wrong_drop_in_refuses_all(tmp_path):
    path = tmp_path / "main.json"
    path.write_text("{}", encoding="utf-8")
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "50-x.json").write_text('{"pub":{}}', encoding="utf-8")
    result = run("check", str(path))
    assert result.returncode == 3
    assert f'{tmp_path}/conf.d/50-x.json:1:2: unknown key "pub"' in result.stderr


def test_what_cannot_be_read_is_another_failure(tmp_path):
    result = run("check", str(tmp_path / "none.json"))
    assert result.returncode == 1 and "No such file" in result.stderr
    assert run("check", str(tmp_path)).returncode == 3


@pytest.mark.parametrize("arguments", [[], ["frob"], ["check", "a", "b"], ["default", "x"],
                                       ["check", "--cpus", "0"], ["show", "--ring-pages", "7"]])
def test_usage_errors(arguments):
    result = run(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1


def test_a_key_without_its_feature_is_told(tmp_path):
    path = tmp_path / "http.json"
    path.write_text('{"http": {"enabled": true}}', encoding="utf-8")
    result = run("check", str(path))
    assert result.returncode == 0
    assert "http.enabled is set and does nothing: this version has no HTTP" in result.stderr


def test_memory_follows_the_configuration(tmp_path):
    def bound(tree, *options):
        path = tmp_path / "size.json"
        path.write_text(json.dumps(tree), encoding="utf-8")
        answer = json.loads(run("check", str(path), "--json", *options).stdout)
        assert answer["valid"] and sum(r["bytes"] for r in answer["memory"]) == answer["memory_bytes"]
        return answer["memory_bytes"]

    small = bound({})
    assert bound({"state": {"max_connections": 131072}}) > small + 65536 * 200
    assert bound({"publish": {"queue": 2048}}) > small + 1024 * 65536
    page = os.sysconf("SC_PAGESIZE")
    # On each of two CPUs a ring of records and one of packets.
    assert (bound({}, "--cpus", "2", "--ring-pages", "1024")
            - bound({}, "--cpus", "2", "--ring-pages", "512") == 2 * 2 * 512 * page)


def test_show_tells_what_the_worker_runs_with(own_tracer, tmp_path):
    tracer = own_tracer(config={"publish.queue": 99, "exclude.source": {"FD00::1/128": ["TCP 80"]}})
    tracer.start()
    expected = json.loads(run("default", "--json").stdout)
    expected["publish"].update(queue=99, interval_s=1)
    expected["exclude"]["source"] = {"fd00::1": ["tcp 80"]}
    shown = tracer.command("config", "show")
    assert shown.returncode == 0 and shown.stderr == ""
    assert json.loads(shown.stdout) == expected
    assert tracer.query({"op": "config"}) == {"ok": True, "config": expected}
    again = tmp_path / "again.json"
    again.write_text(shown.stdout, encoding="utf-8")
    assert run("check", str(again)).returncode == 0
    assert tracer.query({"op": "config", "page": "x"})["error"] == "bad_request"


def test_show_without_a_worker(tmp_path):
    result = run("show", "--runtime-dir", str(tmp_path))
    assert result.returncode == 6 and result.stdout == ""

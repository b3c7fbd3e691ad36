# SPDX-License-Identifier: Apache-2.0
"""Wrong input: one line that says what to do, and the documented exit code."""
import json
import os
import pwd
import shutil
import socket
import subprocess

import pytest

from harness.scale import SLOW, binary

USAGE, CONFIG, UNSUPPORTED, PRIVILEGE, UNREACHABLE = 2, 3, 4, 5, 6
PRIVD, WORKER, COMMAND = ("privd/sockwarden-privd", "worker/sockwarden-worker", "cli/sockwarden")


def run(program, *arguments, **options):
    """Runs a daemon that must end by itself; returns its exit code and its lines."""
    result = subprocess.run([binary(program), *arguments], capture_output=True, text=True,
                            check=False, timeout=20 * SLOW, stdin=subprocess.DEVNULL, **options)
    return result.returncode, result.stderr.splitlines()


@pytest.mark.parametrize("program", [PRIVD, WORKER])
@pytest.mark.parametrize("arguments", [["--no-such-option"], ["--runtime-dir"], ["surplus"]])
def test_a_wrong_option_of_a_daemon(program, arguments):
    code, lines = run(program, *arguments)
    assert code == USAGE and len(lines) == 1, lines


@pytest.mark.parametrize("arguments", [
    ["--ring-pages", "7"], ["--ring-pages", "12"], ["--ring-pages", "x"],
    ["--accept-hook", "magic"], ["--facts", "magic"], ["--log-level", "loud"]])
def test_a_wrong_value_of_an_option_of_privd(arguments):
    code, lines = run(PRIVD, *arguments)
    assert code == USAGE and len(lines) == 1, lines
    assert arguments[1] in lines[0]


@pytest.mark.parametrize("arguments", [["--no-such-option"], ["conns", "--no-such-option"],
                                       ["no-such-verb"], []])
def test_a_wrong_option_of_the_command(arguments):
    code, lines = run(COMMAND, *arguments)
    assert code == USAGE and lines


@pytest.mark.parametrize("program", [PRIVD, WORKER])
def test_version_and_help_need_nothing(program):
    for option in ("--version", "--help"):
        result = subprocess.run([binary(program), option], capture_output=True, text=True,
                                check=True, timeout=20)
        assert result.stdout and not result.stderr


CONFIGS = {
    # name: (text, line, column or None, a word of the message)
    "unknown key": ('{\n  "publish": {"interval": 3}\n}', 2, None, "interval"),
    "key of no group": ('{"colour": 1}', 1, None, "colour"),
    "wrong type": ('{\n"publish": {\n"interval_s": "30"}}', 3, None, "interval_s"),
    "out of range": ('{"state": {"max_connections": 0}}', 1, None, "max_connections"),
    "not JSON": ('{"publish": {"interval_s": 30}', 1, None, ""),
    "trailing words": ('{} x', 1, 4, ""),
    "a doubled key": ('{"log": {"level": "info", "level": "debug"}}', 1, None, "level"),
    "an unknown level": ('{"log": {"level": "loud"}}', 1, None, "level"),
    "a broken comment": ('{ /* }', 1, None, ""),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_wrong_configuration(public_path, name):
    text, line, column, word = CONFIGS[name]
    path = public_path / "sockwarden.json"
    path.write_text(text, encoding="utf-8")
    code, lines = run(WORKER, "--runtime-dir", str(public_path), "--config", str(path))
    assert code == CONFIG and len(lines) == 1, lines
    assert f"{path}:{line}:" in lines[0], lines
    if column:
        assert f"{path}:{line}:{column}:" in lines[0], lines
    assert word in lines[0]


def test_a_configuration_file_that_is_missing(public_path):
    code, lines = run(WORKER, "--runtime-dir", str(public_path), "--config", str(public_path / "none"))
    assert code == CONFIG and len(lines) == 1 and str(public_path / "none") in lines[0]


def test_a_wrong_drop_in_names_itself(public_path):
    path = public_path / "sockwarden.json"
    path.write_text('{"publish": {"interval_s": 5}} // fine', encoding="utf-8")
    (public_path / "conf.d").mkdir()
    (public_path / "conf.d" / "10-good.json").write_text("{}", encoding="utf-8")
    (public_path / "conf.d" / "20-bad.json").write_text('\n{"nothing": 1}', encoding="utf-8")
    code, lines = run(WORKER, "--runtime-dir", str(public_path), "--config", str(path))
    assert code == CONFIG and len(lines) == 1
    assert "conf.d/20-bad.json:2:" in lines[0]


def test_a_worker_without_privd_says_so_and_ends(public_path):
    config = public_path / "c.json"
    config.write_text("{}", encoding="utf-8")
    directory = public_path / "run"
    directory.mkdir()
    code, lines = run(WORKER, "--runtime-dir", str(directory), "--config", str(config))
    assert code == UNREACHABLE, lines
    assert len([line for line in lines if line[:3] in ("<3>", "<4>")]) == 1, lines


def test_the_command_without_daemons_says_so(tmp_path):
    for verb in ("conns", "status", "watch"):
        code, lines = run(COMMAND, verb, "--runtime-dir", str(tmp_path))
        assert code == UNREACHABLE and len(lines) == 1, (verb, lines)


def test_privd_needs_root(tmp_path):
    nobody = pwd.getpwnam("nobody")
    code, lines = run(PRIVD, "--runtime-dir", str(tmp_path / "run"), user=nobody.pw_uid,
                      group=nobody.pw_gid)
    assert code == PRIVILEGE and len(lines) == 1 and "root" in lines[0]


@pytest.fixture
def runtime_dir():
    """A directory below /run that is gone after the test."""
    path = f"/run/sockwarden-test-{os.getpid()}-refused"
    yield path
    shutil.rmtree(path, ignore_errors=True)


def test_privd_needs_capabilities(runtime_dir):
    """Root without power, as in a container: the exit code says privilege, not kernel."""
    command = ["setpriv", "--bounding-set", "-bpf,-sys_admin,-perfmon", "--inh-caps",
               "-all", binary(PRIVD), "--runtime-dir", runtime_dir]
    result = subprocess.run(command, capture_output=True, text=True, check=False,
                            timeout=20 * SLOW)
    assert result.returncode == PRIVILEGE, result.stderr
    assert len([line for line in result.stderr.splitlines() if line[:3] == "<3>"]) == 1


@pytest.mark.parametrize("users", [
    ["--worker-user", "no-such-user"], ["--worker-user", "root"],
    ["--privd-user", "root"], ["--worker-user", "nobody", "--privd-user", "nobody"]])
def test_privd_refuses_wrong_users(users, runtime_dir):
    code, lines = run(PRIVD, "--runtime-dir", runtime_dir, *users)
    assert code == 1 and len(lines) == 1, lines


def test_a_runtime_directory_of_somebody_else_is_refused(tmp_path):
    directory = tmp_path / "theirs"
    directory.mkdir()
    nobody = pwd.getpwnam("nobody")
    os.chown(directory, nobody.pw_uid, nobody.pw_gid)
    code, lines = run(PRIVD, "--runtime-dir", str(directory))
    assert code == 1 and len(lines) == 1 and str(directory) in lines[0], lines


REQUESTS = {
    "not json": ("what?", "bad_request"),
    "an array": ("[]", "bad_request"),
    "empty object": ("{}", "bad_request"),
    "a number as op": ('{"op": 1}', "bad_request"),
    "an unknown op": ('{"op": "destroy"}', "unknown_op"),
    "a wrong page": ('{"op": "snapshot", "page": "zzz"}', "bad_request"),
    "a wrong filter": ('{"op": "snapshot", "filter": "pid =="}', "bad_request"),
    "an unknown field": ('{"op": "snapshot", "filter": "colour == 1"}', "bad_request"),
    "deep nesting": ("[" * 10000, "bad_request"),
    "deep objects": ('{"a":' * 3000, "bad_request"),
    "too long a request": ('{"op": "status", "more": "' + "x" * 20000 + '"}', "too_large"),
    "a NUL": ('{"op": "status\\u0000"}', "bad_request unknown_op"),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_wrong_query_changes_nothing(tracer, name):
    text, errors = REQUESTS[name]
    answer = tracer.query(text)
    assert answer["ok"] is False and answer["error"] in errors.split(), answer
    assert answer["message"]
    assert tracer.status()["ok"]


def test_a_query_that_is_too_large_does_not_hurt(tracer, tmp_path):
    path = tmp_path / "large"
    path.write_text(json.dumps({"op": "status", "more": "x" * 200000}), encoding="ascii")
    result = subprocess.run(
        ["nngcat", "--req", "--dial", f"ipc://{tracer.runtime_dir}/query.sock", "--recv-timeout",
         "1", "--raw", "--file", str(path)], capture_output=True, check=False, timeout=20 * SLOW)
    # nng drops it with its connection, or the worker answers that it is too large.
    assert not result.stdout or json.loads(result.stdout)["error"] == "too_large"
    assert tracer.status()["ok"]


def test_a_handoff_socket_that_lets_nobody_in_does_not_stop_privd(public_path):
    """The directory is the worker's: whoever took that user over may listen there and not accept."""
    user = pwd.getpwnam("sockwarden")
    directory = public_path / "run"
    directory.mkdir()
    os.chown(directory, user.pw_uid, user.pw_gid)
    directory.chmod(0o750)
    path = str(directory / "privd.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as hostile:
        hostile.bind(path)
        os.chown(path, user.pw_uid, user.pw_gid)
        hostile.listen(0)
        waiting = []
        with pytest.raises(BlockingIOError):
            while True:
                waiting.append(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
                waiting[-1].setblocking(False)
                waiting[-1].connect(path)
        code, lines = run(PRIVD, "--runtime-dir", str(directory))
        for sock in waiting:
            sock.close()
    assert code == 1 and "another sockwarden-privd serves" in lines[-1], lines


WITHOUT_BTF = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /sys/kernel/btf && exec "$@"', "sh"]


def test_a_kernel_without_btf(tmp_path):
    """Hidden under an empty file system, in a mount namespace of its own."""
    result = subprocess.run(
        [*WITHOUT_BTF, binary(PRIVD), "--runtime-dir", str(tmp_path / "run")], capture_output=True,
        text=True, check=False, timeout=20 * SLOW, stdin=subprocess.DEVNULL)
    lines = result.stderr.splitlines()
    assert result.returncode == UNSUPPORTED and len(lines) == 1, lines
    assert "CONFIG_DEBUG_INFO_BTF" in lines[0]
    probe = subprocess.run([*WITHOUT_BTF, binary(COMMAND), "probe", "--json"], capture_output=True,
                           text=True, check=False, timeout=20 * SLOW)
    assert probe.returncode == UNSUPPORTED, probe.stdout

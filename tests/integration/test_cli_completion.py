# SPDX-License-Identifier: Apache-2.0
"""`sockwarden completion`: what each shell offers is what the command takes."""
import contextlib
import re
import subprocess

import pytest

from harness.scale import SLOW, binary, wait_until
from harness.terminal import Terminal

COMMAND = binary("cli/sockwarden")


def output(*arguments, **options):
    return subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=20 * SLOW,
                          stdin=subprocess.DEVNULL, **options).stdout


def bash(*words):
    """What bash offers for the last word."""
    script = f'source <({COMMAND} completion bash); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); ' \
             '_sockwarden; printf "%s\\n" "${COMPREPLY[@]}"'
    return output("bash", "-euc", script, "bash", "sockwarden", *words).split()


def fish(*words):
    script = f'{COMMAND} completion fish | source; complete -C -- (string join -- " " $argv)'
    lines = output("fish", "--no-config", "-c", script, "--", "sockwarden", *words).splitlines()
    return [line.split("\t")[0] for line in lines]


def verbs():
    return re.findall(r"^  (\w+) ", output(COMMAND, "help"), re.M)


def long_options(verb):
    return re.findall(r"^ .*?(--[\w-]+)", output(COMMAND, "help", verb), re.M)


@pytest.mark.parametrize("shell", [bash, fish])
def test_verbs_and_all_their_options_are_offered(shell):
    assert set(verbs()) <= set(shell("")) and "dns" in verbs()
    for verb in verbs():
        if verb != "version":
            assert long_options(verb), verb
        assert set(long_options(verb)) <= set(shell(verb, "--")), verb


@pytest.mark.parametrize("shell", [bash, fish])
@pytest.mark.parametrize("words, offered", [
    (["wa"], ["watch"]), (["watch", "--topic", "n"], ["names.v1"]),
    (["dns", "--by", "cl"], ["client"]), (["dns", "--sort", "p9"], ["p95", "p99"]),
    (["conns", "--sort", "total.s"], ["total.sent_bytes", "total.sent_packets"]),
    (["conns", "--fields", "rtt"], ["rtt_us", "rtt_var_us"]),
    (["help", "na"], ["names"]), (["config", "sh"], ["show"]), (["completion", "z"], ["zsh"]),
    (["conns", "--no-h"], ["--no-header"])])
def test_values_are_offered(shell, words, offered, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert sorted(shell(*words)) == offered


def test_options_before_the_verb_are_passed_over(tmp_path):
    assert bash("--runtime-dir", str(tmp_path), "co") == ["conns", "config", "completion"]
    assert bash("--runtime-dir", "dns", "wat") == ["watch"]
    (tmp_path / "folder").mkdir()
    assert bash("dns", "--runtime-dir", f"{tmp_path}/fo") == [f"{tmp_path}/folder"]


def test_zsh_completes_verbs_options_and_values():
    with contextlib.closing(Terminal(120, 24)) as terminal:
        terminal.command("env", "PS1=zsh> ", "zsh", "-f")
        terminal.wait("zsh>")
        terminal.keys(f"autoload -Uz compinit; compinit -u -D; source <({COMMAND} completion zsh); "
                      "PS1='go> '", "Enter")
        wait_until(lambda: "go>" in map(str.strip, terminal.screen()), 20, "the prompt")
        for typed, completed in (("sockwarden wat", "sockwarden watch"),
                                 ("sockwarden dns --no-h", "sockwarden dns --no-header"),
                                 ("sockwarden watch --topic n", "sockwarden watch --topic names.v1"),
                                 ("sockwarden conns --sort pid_", "sockwarden conns --sort pid_source"),
                                 ("sockwarden completion f", "sockwarden completion fish")):
            terminal.keys(typed, "Tab")
            terminal.wait(f"go> {completed}")
            terminal.keys("C-u")
            terminal.keys("clear", "Enter")
            terminal.wait_gone("sockwarden")


@pytest.mark.parametrize("arguments", [[], ["csh"], ["bash", "zsh"]])
def test_another_shell_is_a_usage_error(arguments):
    result = subprocess.run([COMMAND, "completion", *arguments], capture_output=True, text=True,
                            check=False, timeout=20 * SLOW)
    assert result.returncode == 2 and result.stdout == ""
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_accepted_by_its_shell(shell, tmp_path):
    script = tmp_path / "script"
    script.write_text(output(COMMAND, "completion", shell), encoding="utf-8")
    output(shell, "-n", str(script))

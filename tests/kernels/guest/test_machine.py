# SPDX-License-Identifier: Apache-2.0
"""Whether a guest offers what the integration tests take for granted.

When these fail, the rig is broken and not sockwarden; run.sh --check-machine runs only them.
"""

import ctypes
import os
import subprocess

import pytest

NGINX_CONF = """
pid {dir}/pid;
error_log {dir}/error.log;
events {{}}
http {{
    access_log {dir}/access.log;
    server {{ listen 127.0.0.1:8099; listen [::1]:8099; root {dir}; }}
}}
"""


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@pytest.fixture
def namespace():
    run("ip", "netns", "add", "machine")
    yield "machine"
    run("ip", "netns", "del", "machine")


def test_the_kernel_describes_its_own_types():
    assert os.path.getsize("/sys/kernel/btf/vmlinux") > 1_000_000


def test_the_accept_function_has_a_symbol():
    with open("/proc/kallsyms") as symbols:
        assert any(line.split()[2] == "inet_csk_accept" for line in symbols)


def test_a_software_perf_event_can_be_opened():
    attributes = bytearray(112)
    attributes[0:4] = (1).to_bytes(4, "little")  # PERF_TYPE_SOFTWARE
    attributes[4:8] = len(attributes).to_bytes(4, "little")
    attributes[8:16] = (10).to_bytes(8, "little")  # PERF_COUNT_SW_BPF_OUTPUT
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = (ctypes.c_char * len(attributes)).from_buffer(attributes)
    descriptor = libc.syscall(298, buffer, -1, 0, -1, 0)  # perf_event_open, any process, CPU 0
    assert descriptor >= 0, os.strerror(ctypes.get_errno())
    os.close(descriptor)


def test_namespaces_are_joined_by_a_veth_that_can_drop_and_delay(namespace):
    run("ip", "link", "add", "machine0", "type", "veth", "peer", "name", "machine1", "netns", namespace)
    run("ip", "link", "set", "machine0", "up")
    run("tc", "qdisc", "add", "dev", "machine0", "root", "netem", "delay", "5ms")
    run("ip", "link", "del", "machine0")


def test_a_namespace_filters_packets(namespace):
    rules = "table inet t { chain c { type filter hook input priority 0; policy accept; ct state new tcp dport 9 drop; }; }"
    run("ip", "netns", "exec", namespace, "nft", rules)
    assert "dport 9 drop" in run("ip", "netns", "exec", namespace, "nft", "list", "ruleset")


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_curl_downloads_from_nginx(tmp_path, host):
    (tmp_path / "file").write_bytes(b"x" * 12345)
    (tmp_path / "conf").write_text(NGINX_CONF.format(dir=tmp_path))
    tmp_path.chmod(0o755)
    run("nginx", "-c", str(tmp_path / "conf"), "-g", "user root;")
    try:
        got = run("curl", "-sS", "-o", "/dev/null", "-w", "%{size_download}", f"http://{host}:8099/file")
        assert got == "12345"
    finally:
        run("nginx", "-c", str(tmp_path / "conf"), "-s", "quit")


def test_the_daemons_users_exist():
    run("id", "sockwarden")
    run("id", "sockwarden-privd")


def test_a_process_is_in_a_version_2_cgroup():
    with open("/proc/self/cgroup") as groups:
        assert "0::/tests" in groups.read()

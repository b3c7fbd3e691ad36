# SPDX-License-Identifier: Apache-2.0
"""What the two processes can do after start, as the kernel tells it."""
import os
import platform
import pwd
import re
import stat

import pytest

from harness import daemons
from harness.scale import is_sanitized, program
from harness.sockets import anyone, run_program


def kernel_version():
    return tuple(map(int, re.match(r"(\d+)\.(\d+)", platform.release()).groups()))


def test_the_worker_has_no_power_on_any_thread(tracer):
    uid = str(tracer.worker_uid)
    tasks = tracer.worker.tasks()
    assert len(tasks) > 1
    for task in tasks:
        status = tracer.worker.status(task)
        assert int(status["CapEff"], 16) == 0 and int(status["CapPrm"], 16) == 0
        assert int(status["CapInh"], 16) == 0 and int(status["CapAmb"], 16) == 0
        assert status["NoNewPrivs"] == "1"
        assert status["Seccomp"] == "2"
        assert set(status["Uid"].split()) == {uid} and uid != "0"
        assert status["Groups"] == "" or "0" not in status["Groups"].split()


def test_privd_has_no_power_after_start(tracer):
    status = tracer.privd.status()
    uid = pwd.getpwnam(daemons.PRIVD_USER).pw_uid
    assert set(status["Uid"].split()) == {str(uid)} and uid != 0
    assert set(status["Gid"].split()) == {str(pwd.getpwnam(daemons.PRIVD_USER).pw_gid)}
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    assert len(tracer.privd.tasks()) == 1
    kept = int(status["CapEff"], 16)
    if kernel_version() >= (5, 19):
        assert kept == 0
    else:
        assert kept in (0, 1 << 39)  # CAP_BPF alone
    assert int(status["CapPrm"], 16) == kept
    assert int(status["CapBnd"], 16) == 0


def test_the_worker_holds_only_what_it_was_promised(tracer):
    """No link, program or map of BPF that it could turn against the tracer; no packet socket."""
    held = tracer.worker.bpf_objects()
    assert held["link_id"] == set() and held["prog_id"] == set()
    for entry in os.listdir(f"/proc/{tracer.worker.pid}/fd"):
        try:
            target = os.readlink(f"/proc/{tracer.worker.pid}/fd/{entry}")
        except FileNotFoundError:  # an iterator's, which has been read meanwhile
            continue
        assert "bpf-prog" not in target and "bpf_link" not in target, target
        assert not target.startswith("/") or target in ("/dev/null",) \
            or target.endswith("worker.log") or target.startswith("/memfd:"), target


def test_sockets_and_directory_have_their_owners_and_modes(tracer):
    def facts(path):
        status = os.stat(path)
        return stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid
    user = pwd.getpwnam("sockwarden")
    assert facts(tracer.runtime_dir) == (0o750, user.pw_uid, user.pw_gid)
    for name in ("events.sock", "query.sock"):
        mode, uid, gid = facts(tracer.runtime_dir / name)
        assert (mode, uid, gid) == (0o660, user.pw_uid, user.pw_gid), name
    mode, uid, _ = facts(tracer.privd_socket)
    assert mode & 0o007 == 0 and uid in (0, user.pw_uid)


def test_the_worker_cannot_be_read_by_its_own_user(tracer):
    """Not dumpable: its memory and descriptors belong to root in /proc."""
    for daemon in (tracer.worker, tracer.privd):
        assert os.stat(f"/proc/{daemon.pid}/mem").st_uid == 0


def test_privd_uses_no_heap_after_its_lock(own_tracer, box):
    if is_sanitized():
        pytest.skip("AddressSanitizer has an allocator of its own; the release build runs this")
    tracer = own_tracer()
    tracer.start_privd(environment={"LD_PRELOAD": program("heap_guard.so")})
    assert tracer.privd.lines("heap_guard: armed")
    tracer.start_worker()
    tracer.events = tracer.subscribe()
    tracer.events.wait(lambda: tracer.events.topic("meta.v1"), 10, "first meta.v1")
    run_program(box, program("exact"), "4", "16", "600000", "9300")
    tracer.events.wait_closed(
        lambda c: anyone(box)(c) and 9300 in (c["local"]["port"], c["remote"]["port"]), 32)
    assert tracer.snapshot() is not None
    tracer.worker.stop()
    second = tracer.start_worker()
    assert second.is_alive and tracer.privd.is_alive
    assert tracer.privd.stop() == 0
    assert not tracer.privd.lines("the heap was used"), tracer.privd.log()

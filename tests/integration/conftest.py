# SPDX-License-Identifier: Apache-2.0
"""Fixtures: the daemons, and namespaces for the traffic.

All test traffic lives in network namespaces that a test (or the session) made, so what others do
on the machine at the same time is told apart by the namespace of each published connection.
"""
import os
import re

import pytest
from _pytest.runner import runtestprotocol

from harness import daemons, udp
from harness.netns import Netns
from harness.scale import is_sanitized

SECOND_TRIES = 3


def pytest_configure(config):
    if os.geteuid() != 0:
        pytest.exit("the integration tests need root: they load BPF programs and make namespaces",
                    returncode=5)
    daemons.ensure_users()


def first_failure(reports):
    """Why a test failed, in a line, or None."""
    for report in reports:
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            return (crash.message if crash else report.longreprtext).strip().splitlines()[0]
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    """A test that fails is tried once more, up to three of a session: tests that give real time its limits share the
    machine with whatever its host does. Each is named, with why it failed at first. Not with sanitizers, and not
    where a daemon had ended: what they find need not come twice.
    """
    tried = item.session.__dict__.setdefault("second_tries", {})
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    why = first_failure(reports)
    if why and " ended" not in why and not is_sanitized() and len(tried) < SECOND_TRIES:
        tried[item.nodeid] = why
        item._initrequest()  # pylint: disable=protected-access
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        for report in reports:
            report.user_properties.append(("first failure", why))
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


@pytest.fixture(scope="session")
def session_tracer(tmp_path_factory):
    """The daemons that tests share; whoever stops or starves one makes an own pair."""
    tracer = daemons.Tracer(tmp_path_factory.mktemp("shared"))
    try:
        yield tracer.start()
    finally:
        tracer.close()


@pytest.fixture
def tracer(session_tracer, request):
    """The shared daemons, whose health and stream are looked at again after each test."""
    tracer = session_tracer
    assert tracer.privd.is_alive and tracer.worker.is_alive, "a test before this one broke a daemon"
    yield tracer
    assert tracer.privd.is_alive, f"privd ended: {tracer.privd.log()[-2000:]}"
    assert tracer.worker.is_alive, f"worker ended: {tracer.worker.log()[-2000:]}"
    assert tracer.events.broken is None, tracer.events.broken
    assert not tracer.events.duplicates(), "published as closed twice"
    assert not tracer.events.holes(), "messages are missing by their seq"


@pytest.fixture
def public_path(tmp_path):
    """A temporary directory that the worker's user can read."""
    daemons.make_public(tmp_path)
    return tmp_path


@pytest.fixture
def own_tracer(tmp_path):
    """Makes daemons for one test: own_tracer(config={...}, privd_options=[...])."""
    made = []

    def make(**options):
        tracer = daemons.Tracer(tmp_path, **options)
        made.append(tracer)
        return tracer

    yield make
    for tracer in made:
        tracer.close()


@pytest.fixture(scope="module", params=udp.HOOKS)
def shared_udp_tracer(request, tmp_path_factory):
    """Daemons that see UDP by one hook; where the kernel refuses it, its tests are skipped."""
    tracer = daemons.Tracer(tmp_path_factory.mktemp("shared-udp"),
                            privd_options=udp.HOOKS[request.param],
                            # a slow machine takes long to make what is to live at once
                            config={"udp.timeout_s": 600, "udp.stream_timeout_s": 600})
    try:
        tracer.start_privd()
        refused = tracer.privd.lines("UDP is not traced")
        if refused:
            pytest.skip(f"this kernel has no {request.param} for UDP: {refused[0].split(': ')[-1].split(';')[0]}")
        tracer.start_worker()
        yield tracer.listen()
    finally:
        tracer.close()


@pytest.fixture
def udp_tracer(shared_udp_tracer):
    """The same, looked at again after each test: nothing lost, and the books balance."""
    tracer = shared_udp_tracer
    yield tracer
    udp.check_books(tracer)
    assert not tracer.events.duplicates(), "published as closed twice"
    assert not tracer.events.holes(), "messages are missing by their seq"


@pytest.fixture(scope="session")
def box():
    """A namespace for traffic over its loopback."""
    return Netns("box")


@pytest.fixture
def netns():
    """Makes a namespace: netns("label")."""
    return Netns


def pytest_unconfigure():
    Netns.delete_all()


def pytest_terminal_summary(terminalreporter):
    """One line that tests/run.sh and the virtual machines read, and every skip with its reason."""
    stats = terminalreporter.stats
    count = {kind: len(stats.get(kind, ())) for kind in ("passed", "failed", "error", "skipped")}
    reasons = {}
    for report in stats.get("skipped", ()):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reasons.setdefault(re.sub(r"^Skipped: ", "", reason), []).append(report.nodeid)
    for reason, tests in reasons.items():
        more = f" and {len(tests) - 1} more" if len(tests) > 1 else ""
        terminalreporter.write_line(f"SKIP {tests[0]}{more}: {reason}")
    for test, why in terminalreporter._session.__dict__.get("second_tries", {}).items():
        terminalreporter.write_line(f"TRIED TWICE {test}: at first {why}")
    terminalreporter.write_line(
        f"integration: {count['passed']} passed, {count['failed'] + count['error']} failed, "
        f"{count['skipped']} skipped")

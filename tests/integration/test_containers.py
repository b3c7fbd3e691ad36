# SPDX-License-Identifier: Apache-2.0
"""Which control group and container a process is in, with cgroup v2 and with v1."""
import json
import os
import uuid

import pytest

from harness.cgroups import Hierarchy, privd_prefix
from harness.sockets import listen, outgoing

# Moves itself into a group, connects, says so by its first byte and waits for the server's end.
CONNECT = "echo $$ > {procs}; exec 3<>/dev/tcp/127.0.0.1/{port}; echo -n . >&3; cat <&3"


def container_id():
    """64 hex digits, as runtimes make them."""
    return uuid.uuid4().hex + uuid.uuid4().hex


@pytest.fixture(params=["v2", "v1"])
def hierarchy(request, tmp_path):
    made = Hierarchy(request.param, tmp_path / "cgroup")
    try:
        if made.failure and "busy" in made.failure:
            pytest.skip("the controller pids belongs to this machine's v2 hierarchy")
        assert made.failure is None, made.failure
        yield made
    finally:
        made.close()


def test_groups_and_containers_are_told(own_tracer, box, hierarchy):
    first, second, inner = container_id(), container_id(), container_id()
    prefix = f"sw-test-{os.getpid()}"
    groups = {
        f"/{prefix}/docker/{first}": first,
        f"/{prefix}/machine.slice/libpod-{second}.scope/container": second,
        f"/{prefix}/docker/{first}/docker/{inner}": inner,
        f"/{prefix}/kubepods.slice/kubepods-pod1.slice/crio-conmon-{first}.scope": None,
        f"/{prefix}/system.slice/web.service": None,
        f"/{prefix}/lxc.payload.mail/system.slice/postfix.service": "mail",
    }
    tracer = own_tracer(privd_prefix=privd_prefix(hierarchy.kind)).start()
    assert tracer.hook("cgroup") == hierarchy.kind
    listener = listen(box, "127.0.0.1", 7800)
    clients = {}
    servers = []
    for path in groups:
        command = CONNECT.format(procs=hierarchy.make(path), port=7800)
        client = box.start("/bin/bash", "-c", command)
        servers.append(listener.accept()[0])
        servers[-1].recv(1)
        clients[client.pid] = (path, client)

    live = [c for c in tracer.snapshot() if outgoing(box, 7800)(c)]
    assert {c["pid"]: (c["cgroup"], c["container"]) for c in live} == {
        pid: (path, groups[path]) for pid, (path, _) in clients.items()}
    chosen = tracer.command("conns", "--json", "--netns", str(box.inode), "--container", second[:12])
    line, = chosen.stdout.splitlines()
    assert json.loads(line)["container"] == second

    for server in servers:
        server.close()
    for _, client in clients.values():
        client.wait(10)
    found = tracer.events.wait_closed(outgoing(box, 7800), len(groups))
    assert {c["pid"]: (c["cgroup"], c["container"]) for c in found} == {
        pid: (path, groups[path]) for pid, (path, _) in clients.items()}
    listener.close()


def test_a_path_that_is_too_long_keeps_its_end(own_tracer, box, hierarchy):
    """And with it the innermost container; more than 255 bytes do not fit into a record."""
    identity = container_id()
    head = "/".join(f"{index}{'x' * 60}" for index in range(4))
    path = f"sw-test-{os.getpid()}/{head}/cri-containerd-{identity}.scope"
    tracer = own_tracer(privd_prefix=privd_prefix(hierarchy.kind)).start()
    listener = listen(box, "127.0.0.1", 7801)
    client = box.start("/bin/bash", "-c", CONNECT.format(procs=hierarchy.make(path), port=7801))
    listener.accept()[0].close()
    client.wait(10)
    connection, = tracer.events.wait_closed(outgoing(box, 7801))
    assert ("/" + path).endswith(connection["cgroup"]) and len(connection["cgroup"]) > 190
    assert connection["container"] == identity
    listener.close()


def test_groups_that_come_one_right_after_the_other_are_all_told(own_tracer, box, hierarchy):
    """Each is asked for when it turns up, not only after a pause."""
    tracer = own_tracer(privd_prefix=privd_prefix(hierarchy.kind)).start()
    listener = listen(box, "127.0.0.1", 7802)
    for _ in range(4):
        identity = container_id()
        procs = hierarchy.make(f"sw-test-{os.getpid()}/docker/{identity}")
        client = box.start("/bin/bash", "-c", CONNECT.format(procs=procs, port=7802))
        server = listener.accept()[0]
        server.recv(1)
        live, = [c for c in tracer.snapshot() if outgoing(box, 7802)(c) and c["pid"] == client.pid]
        assert live["container"] == identity
        server.close()
        client.wait(10)
    listener.close()

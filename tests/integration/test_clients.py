# SPDX-License-Identifier: Apache-2.0
"""Clients that poll at different intervals; tests/bench/clients does the same for longer and faster."""
from harness import clients
from harness.isolation import all_but
from harness.scale import SLOW, scaled

SECONDS = 6


def test_three_clients_of_which_one_crashes_are_told_the_same_to_the_byte(own_tracer, netns, tmp_path):
    namespace = netns("clients")
    clients.prepare(namespace)
    tracer = own_tracer(config={"exclude.source": all_but(clients.NETWORK),
                                "udp.enabled": False, "state.max_closed_buffered": 4096}).start()
    outcome = clients.run(tracer, namespace, tmp_path, (scaled(5000, 400), SECONDS, 1),
                          {"fast": 100, "middle": 1000, "slow": int(3000 * min(SLOW, 2))}, "middle")
    print("\n" + clients.table(outcome))
    assert not clients.differences(outcome), clients.table(outcome)
    assert outcome.made > 100 and outcome.written > outcome.made
    status = tracer.status()
    assert set(status["loss"]["stages"].values()) == {0}, status["loss"]

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Three clients that poll every 0.1, 1 and 7 s while connections come and go; the second is killed within a
batch and comes back. What each has acknowledged must add up to what was made, to the byte.
"""
import argparse
import os
import pathlib
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=str(ROOT / "build" / "tests"), help="build directory")
    parser.add_argument("--rate", type=int, default=20000, help="connections per second")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2, help="of load")
    parser.add_argument("--buffered", type=int, default=65536, help="state.max_closed_buffered")
    return parser.parse_args()


ARGUMENTS = parse_arguments()
os.environ["SOCKWARDEN_BUILD"] = ARGUMENTS.build
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests" / "integration"))
# pylint: disable=wrong-import-position
from harness import clients  # noqa: E402
from harness.daemons import Tracer, ensure_users  # noqa: E402
from harness.isolation import all_but  # noqa: E402
from harness.netns import Netns  # noqa: E402


def main():
    ensure_users()
    with tempfile.TemporaryDirectory(prefix="sockwarden-bench.") as directory:
        tracer = Tracer(directory, config={
            "publish.interval_s": 30, "udp.enabled": False, "publish.queue": 8192,
            "exclude.source": all_but(clients.NETWORK),
            "state.max_closed_buffered": ARGUMENTS.buffered})
        try:
            namespace = Netns("clients")
            clients.prepare(namespace)
            tracer.start_privd()
            tracer.start_worker()
            outcome = clients.run(
                tracer, namespace, pathlib.Path(directory),
                (ARGUMENTS.rate, ARGUMENTS.seconds, ARGUMENTS.threads),
                {"fast": 100, "middle": 1000, "slow": 7000}, "middle")
            print(clients.table(outcome))
            wrong = clients.differences(outcome)
            status = tracer.status()
            print("\n".join(wrong) or "all sums are equal")
            print(f"loss {status['loss']}, connections {status['connections']}")
        finally:
            tracer.close()
            Netns.delete_all()
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""Prints one line on a kernel's run from what its guest left in a folder.

usage: summary.py RELEASE LOGS

    kernel 6.1.0-56-cloud-amd64: 21 passed, 0 failed, 1 skipped (accept: fexit, facts: table, udp: fentry) in 95 s

Below it, what failed and what was skipped with its reason. Exits 1 where a test failed, where none
ran, or where pytest itself did not end well.
"""

import re
import sys
import xml.etree.ElementTree as tree
from pathlib import Path


TIMED_OUT = "124"  # of timeout(1), which the guest runs pytest under

SHOWN = 12  # failures by name; the whole list is in the log


def read(path):
    return path.read_text().strip() if path.exists() else ""


def outcomes(junit):
    """(passed, failed, skipped, what was tried twice)."""
    passed, failed, skipped, twice = [], [], [], []
    for case in tree.parse(junit).getroot().iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        bad = [*case.iter("failure"), *case.iter("error")]
        skip = case.find("skipped")
        twice += [(name, first.get("value", "")) for first in [*case.iter("property")][:1]]
        if bad:
            failed.append((name, bad[0].get("message", "").splitlines()[0:1]))
        elif skip is not None:
            skipped.append((name, skip.get("message", "")))
        else:
            passed.append(name)
    return passed, failed, skipped, twice


def last_started(log):
    started = re.findall(r"^(\S+\.py::\S+)", read(log), re.MULTILINE)
    return started[-1] if started else "none started"


def main():
    release, logs = sys.argv[1], Path(sys.argv[2])
    seconds, status = read(logs / "seconds"), read(logs / "status")
    junit = logs / "junit.xml"
    if not junit.exists():
        print(f"kernel {release}: pytest ended with {status} and no results ({seconds} s):")
        print("\n".join("    " + line for line in read(logs / "pytest.log").splitlines()[-30:]))
        return 1
    passed, failed, skipped, twice = outcomes(junit)
    if status == TIMED_OUT and passed:
        # the report's last entry is the test that was running, with neither name nor outcome
        passed.pop()
        failed.append((last_started(logs / "pytest.log"), ["was running when the time was over"]))
    hooks = read(logs / "hooks")
    print(
        f"kernel {release}: {len(passed)} passed, {len(failed)} failed, {len(skipped)} skipped"
        f"{f' ({hooks})' if hooks else ''} in {seconds} s"
    )
    for name, reason in skipped:
        print(f"    skipped {name}: {reason}")
    for name, why in twice:
        print(f"    tried twice {name}: at first {why[:300]}")
    for name, message in failed[:SHOWN]:
        print(f"    FAILED {name}: {''.join(message)[:300]}")
    if len(failed) > SHOWN:
        print(f"    and {len(failed) - SHOWN} more")
    if failed:
        print(f"    whole output: {logs}/pytest.log")
    if status != "0" and not failed:
        print(f"    pytest ended with {status}:")
        print("\n".join("        " + line for line in read(logs / "pytest.log").splitlines()[-20:]))
    return 0 if status == "0" and passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""Counts for tests/run.sh.

    count.py ctest XML            passed, failed, skipped of ctest's JUnit file; a Criterion program counts as its tests
    count.py pytest XML           the same of pytest's
    count.py skips XML            one line for each skipped test, with its reason, and for each that was tried twice
    count.py kernels LOG STATUS   the sums of the kernel rig's summary lines
    count.py proof LOG STATUS     the same of the proofs' summary line
"""
import re
import sys
import xml.etree.ElementTree as tree

SYNTHESIS = re.compile(r"Synthesis: Tested: (\d+) \| Passing: (\d+) \| Failing: (\d+)"
                       r" \| Crashing: (\d+)")
KERNEL = re.compile(r"^kernel \S+: (\d+) passed, (\d+) failed, (\d+) skipped", re.MULTILINE)
PROOF = re.compile(r"^(\d+) passed, (\d+) failed \(", re.MULTILINE)


def ctest(path):
    passed = failed = skipped = 0
    for case in tree.parse(path).getroot().iter("testcase"):
        output = "".join(case.itertext())
        numbers = SYNTHESIS.search(output)
        if case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
            # A test that could not be started has not passed.
            failed += 1
        elif numbers:
            _, good, bad, crashed = map(int, numbers.groups())
            is_failed = case.find("failure") is not None
            passed += good
            failed += max(bad + crashed, int(is_failed))
        elif case.find("failure") is not None:
            failed += 1
        else:
            passed += 1
    return passed, failed, skipped


def cases(path):
    for case in tree.parse(path).getroot().iter("testcase"):
        yield f"{case.get('classname')}::{case.get('name')}", case


def pytest(path):
    passed = failed = skipped = 0
    for _, case in cases(path):
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif case.find("skipped") is not None:
            skipped += 1
        else:
            passed += 1
    # Nothing at all is a failure too: a suite that was not collected.
    return (passed, failed, skipped) if passed or failed else (0, 1, skipped)


def skips(path):
    for name, case in cases(path):
        skip = case.find("skipped")
        if skip is not None:
            print(f"    skipped {name}: {skip.get('message', '')}")
        for first in case.iter("property"):
            print(f"    tried twice {name}: at first {first.get('value', '')}")
            break


def summaries(pattern, path, status):
    """The sums of the lines of a log that pattern finds; whoever ended with another status than 0 has failed."""
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = pattern.findall(file.read())
    sums = [sum(int(number) for number in column) for column in zip(*lines)] or [0, 0]
    if int(status) != 0 and sums[1] == 0:
        sums[1] = 1
    return (*sums, 0)[:3]


def kernels(path, status):
    return summaries(KERNEL, path, status)


def proof(path, status):
    return summaries(PROOF, path, status)


def main():
    what, *arguments = sys.argv[1:]
    if what == "skips":
        skips(*arguments)
        return
    counted = {"ctest": ctest, "pytest": pytest, "kernels": kernels, "proof": proof}[what](*arguments)
    print(*counted)


if __name__ == "__main__":
    main()

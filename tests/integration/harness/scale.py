# SPDX-License-Identifier: Apache-2.0
"""How much load this machine can take, and where the build is.

SOCKWARDEN_BUILD  the build directory (default: the one that tests/run.sh makes)
SOCKWARDEN_SCALE  factor on the number of connections; 0.05 suits an emulated machine
SOCKWARDEN_SLOW   factor on every time-out
SOCKWARDEN_STALLS set where processors stand still at any moment, as emulated ones do: a packet that was seen may be
                  overtaken by later ones before TCP has it
"""
import os
import pathlib
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("SOCKWARDEN_BUILD", ROOT / "build" / "tests")).resolve()
SCALE = float(os.environ.get("SOCKWARDEN_SCALE", "1"))
SLOW = float(os.environ.get("SOCKWARDEN_SLOW", "1"))
STALLS = bool(os.environ.get("SOCKWARDEN_STALLS"))


def scaled(count, least=8):
    """So many connections, made fewer on a slow machine."""
    return max(min(least, count), int(count * SCALE))


def binary(name):
    """A built program, by its path below the build directory; a missing one is a failure."""
    path = BUILD / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is not built")
    return str(path)


def program(name):
    """A helper of tests/programs."""
    return binary(f"tests/programs/{name}")


def is_sanitized():
    """Whether the build directory holds an AddressSanitizer build."""
    cache = BUILD / "CMakeCache.txt"
    return cache.exists() and "SOCKWARDEN_ASAN:BOOL=ON" in cache.read_text(encoding="utf-8")


def wait_until(condition, seconds, what, pause=0.02):
    """Returns the first true value of condition(); raises after seconds (times SOCKWARDEN_SLOW)."""
    end = time.monotonic() + seconds * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise TimeoutError(f"not within {seconds * SLOW:g} s: {what}")
        time.sleep(pause)

"""Waiting for a condition.

No test states how long something took: on a machine with other work that is chance, and speed is
measured in `benchmarks/`. What a time would stand for can be counted: rows that were read,
statements, calls, what came first. `tests/project/test_waiting.py` looks after it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

HANG_SECONDS = 60
"""After which a test that waits is given up: it has hung. Nothing else passes or fails by it."""

T = TypeVar("T")


def until(ask: Callable[[], T]) -> T:
    """The first answer that is true, within `HANG_SECONDS`; for a thread that may sleep."""
    ends = time.monotonic() + HANG_SECONDS
    while not (answer := ask()):
        assert time.monotonic() < ends
        time.sleep(0.02)
    return answer

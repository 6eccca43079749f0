"""A month of a whole province in memory: 96 communes, 3,072 clusters, and everything going wrong.

The rules of the server and the reference player, as in tests/scenarios, in a process for each half
of the communes: random programmes, edits, alerts, live speech, outages, and a Quy chế with silent
hours and quotas in every fourth commune. A broken promise (something that sounds in quiet hours or
over a quota, two voices at once, a play that sounds twice or is not explained, a device whose plan
is not the server's) ends the benchmark.
It takes about an hour of processor time.
"""

from __future__ import annotations

import time
from collections import Counter
from multiprocessing import get_context

from benchmarks.result import Result
from tests.scenarios.month import COMMUNES, Month, Size, Told

DAYS, CLUSTERS, PARTS = 30, 32, 2


def run() -> list[Result]:
    """Plays that are settled and what became of them, and CPU seconds of the whole."""
    with get_context("spawn").Pool(PARTS) as pool:
        parts = pool.map(simulate, range(PARTS))
    states: Counter[str] = sum((told.states for told, _ in parts), Counter())
    plays = sum(told.plays for told, _ in parts)
    devices = sum(told.devices for told, _ in parts)
    seconds = sum(each for _, each in parts)
    return [
        Result("month_played", states["played"], plays, "plays"),
        Result("month_kept_silent", sum(told.kept_silent for told, _ in parts), plays, "plays"),
        Result("month_over_quota", sum(told.over_quota for told, _ in parts), plays, "plays"),
        Result("month_spoken", sum(told.spoken for told, _ in parts), plays, "plays"),
        Result("month_milliseconds_of_cpu", seconds * 1000, devices * DAYS, "ms, device-days"),
    ]


def simulate(part: int) -> tuple[Told, float]:
    """One part of the communes; also the CPU seconds that it took."""
    size = Size(days=DAYS, communes=range(part, COMMUNES, PARTS), clusters=CLUSTERS)
    began = time.process_time()
    month = Month(size)
    month.live()
    return month.told(), time.process_time() - began

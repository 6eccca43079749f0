"""Boxes on poles without NTP, whose clocks are wrong and whose links are slow: when they begin.

    python -m benchmarks.harness.poles FILE HOST PORT SKEW SEED

FILE is the enrolment of `device_sim`, SKEW how many seconds a clock is wrong at the most. Says
`ready` once every box follows its areas, at SIGTERM in JSON each true start (seconds of the epoch)
by occurrence and device, how wrong each clock was, and the longest for which this process stood
still.
"""

from __future__ import annotations

import asyncio
import gc
import io
import json
import random
import signal
import sys
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

from benchmarks.harness.horns import watch
from broadcast.wire.codec import decode
from device_sim import fleet as fleets
from device_sim.commons import Commons
from device_sim.effects import Publish
from device_sim.faults import NONE, Faults
from device_sim.fleet import Enrolment, Fleet
from device_sim.link import Access
from device_sim.unit import Unit

LEAST_WAY, MOST_WAY = 0.01, 0.04
"""Seconds that each way of a box's link takes; which of them is the slower nobody can measure."""
JITTER = 0.3
"""More for every other message; those behind it wait."""


class Clocks(Faults):
    """Clocks that are wrong, and nothing else."""

    def __init__(self, skew: float, luck: random.Random) -> None:
        super().__init__(NONE)
        self.skews = defaultdict[str, float](lambda: luck.uniform(-skew, skew))

    def skew_seconds(self, device_id: str) -> float:
        """As `Faults`."""
        return self.skews[device_id]


class Way:
    """One way of a link: messages come late, and in their order."""

    def __init__(self, luck: random.Random) -> None:
        self._luck = luck
        self._least = luck.uniform(LEAST_WAY, MOST_WAY)
        self._free_at = 0.0

    def carry(self, commons: Commons, deliver: Callable[[], None]) -> None:
        """Hand a message on when it has come."""
        jitter = self._luck.choice([0.0, JITTER]) * self._luck.random()
        self._free_at = max(self._free_at, commons.elapsed + self._least + jitter)
        commons.at(self._free_at, deliver)


def slow_unit(luck: random.Random) -> type[Unit]:
    """A box behind such a link."""
    ways = defaultdict[tuple[str, bool], Way](lambda: Way(luck))

    class SlowUnit(Unit):
        __slots__ = ()

        def link_message(self, topic: str, payload: bytes) -> None:
            come = partial(super().link_message, topic, payload)
            ways[self.identity.device_id, False].carry(self._commons, come)

        def _transmit(self, message: Publish, number: int, connection: int) -> None:
            go = partial(super()._transmit, message, number, connection)
            ways[self.identity.device_id, True].carry(self._commons, go)

    return SlowUnit


def starts(truth: str) -> dict[str, dict[str, float]]:
    """True first start by occurrence and device."""
    found: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for line in truth.splitlines():
        told = json.loads(line)
        if told["event"] == "started":
            at = datetime.fromisoformat(told["at"]).timestamp()
            found[told["occurrence_id"]].setdefault(told["device_id"], at)
    return found


async def main(enrolment: Enrolment) -> None:
    """Run the boxes until told to stop."""
    host, port, skew, seed = sys.argv[2:]
    luck, truth, stop = random.Random(int(seed)), io.StringIO(), asyncio.Event()  # noqa: S311 — clocks and links, no secrets
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    access = Access((host, int(port)), "ttn/v1")
    clocks = Clocks(float(skew), luck)
    commons = Commons(access, clocks, ntp=False, truth=truth)
    fleets.Unit = slow_unit(luck)  # type: ignore[misc]
    fleet = Fleet(commons)
    for device in enrolment.devices:
        fleet.add(enrolment.keys, device)
    running = asyncio.create_task(fleet.run(stop))
    while not all(unit.player and unit.player.held for unit in fleet.units):  # noqa: ASYNC110
        await asyncio.sleep(0.2)
    gc.collect()
    gc.freeze()  # a box does not wait for the collector of the others
    lags: list[float] = []
    watching = asyncio.create_task(watch(lags))
    print("ready", flush=True)
    await running
    watching.cancel()
    fleet.shut_down()
    told = {"starts": starts(truth.getvalue()), "skews": clocks.skews, "stood_still": max(lags)}
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    asyncio.run(main(decode(Path(sys.argv[1]).read_bytes(), Enrolment)))

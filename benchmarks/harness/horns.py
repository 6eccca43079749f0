"""Horns that hear live speech: a fleet of the reference player, with a link as bad as told.

    python -m benchmarks.harness.horns FILE HOST PORT LOSS JITTER SEED

FILE is the enrolment of `device_sim`. Says `ready` once every box follows its areas, at SIGTERM
in JSON what was heard, and the longest for which this process stood still. Whoever speaks puts
into each frame, after its first byte, the monotonic nanosecond at which its first sample was
spoken; both are on one machine.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import signal
import sys
import time
from collections import defaultdict
from math import inf
from pathlib import Path
from typing import Any

from broadcast.wire.codec import decode
from device_sim import fleet as fleets
from device_sim.commons import Commons
from device_sim.effects import LiveSound
from device_sim.faults import NONE, Faults
from device_sim.fleet import Enrolment, Fleet
from device_sim.journal import Flash
from device_sim.link import Access
from device_sim.unit import Unit


class Heard:
    """What one box made audible."""

    def __init__(self) -> None:
        self.frames = 0
        self.missed = 0
        self.delays: list[float] = []
        """Seconds from mouth to ear, of every frame."""


class Horns:
    """Everything that the boxes made audible."""

    def __init__(self) -> None:
        self.boxes: defaultdict[str, Heard] = defaultdict(Heard)

    def hear(self, device_id: str, sound: LiveSound) -> None:
        """As `Commons.on_live`."""
        box = self.boxes[device_id]
        for place, frame in enumerate(sound.frames):
            if frame is None:
                box.missed += 1
            elif len(frame) > 9:
                spoken_at = int.from_bytes(frame[1:9], "big") / 1e9
                box.frames += 1
                box.delays.append(sound.at + place * 0.04 - spoken_at)

    def summary(self) -> dict[str, Any]:
        """Delays in seconds, gaps and drift of the worst box; nothing where nobody heard.

        The drift is of a box that has heard long enough to settle, see `_drift`.
        """
        delays = sorted(delay for box in self.boxes.values() for delay in box.delays)
        if not delays:
            return {"horns": 0}
        gaps = [
            box.missed / (box.frames + box.missed) for box in self.boxes.values() if box.frames
        ]
        return {
            "horns": len(self.boxes),
            "frames": len(delays),
            "p50": delays[len(delays) // 2],
            "p99": delays[len(delays) * 99 // 100],
            "max": delays[-1],
            "gaps": sum(box.missed for box in self.boxes.values())
            / sum(box.missed + box.frames for box in self.boxes.values()),
            "gaps_worst": max(gaps),
            "drift": max(_drift(box.delays) for box in self.boxes.values()),
        }


SETTLED_SECONDS = 25.0
"""The first packets may all be late by the whole jitter (0.3 s); the clock of the session is set
right by 0.02 s a second, and looks for the fastest way in two windows of five seconds."""
LATELY_SECONDS = 10.0


def _drift(delays: list[float]) -> float:
    """How much later the last ten seconds sounded than ten seconds once the buffer has settled.

    Of frames that were heard; a box that heard less than that has no drift to tell.
    """
    settled, part = round(SETTLED_SECONDS / 0.04), round(LATELY_SECONDS / 0.04)
    early, late = delays[settled : settled + part], delays[settled + part :][-part:]
    if not late:
        return inf
    return abs(sum(late) / len(late) - sum(early) / len(early))


async def watch(lags: list[float]) -> None:
    """Note by how much each short sleep is too long."""
    while True:
        asleep_at = time.monotonic()
        await asyncio.sleep(0.02)
        lags.append(time.monotonic() - asleep_at - 0.02)


def bad_unit(loss: float, jitter: float, seed: int) -> type[Unit]:
    """A box whose link loses packets of live speech, and holds back the others."""
    luck = random.Random(seed)  # noqa: S311 — a link, no secret

    class BadUnit(Unit):
        __slots__ = ()

        def link_message(self, topic: str, payload: bytes) -> None:
            if not topic.startswith("live/"):
                super().link_message(topic, payload)
            elif luck.random() >= loss:
                player = self.player
                self._commons.later(
                    luck.uniform(0, jitter), lambda: self._deliver(topic, payload, player)
                )

    return BadUnit


async def main(enrolment: Enrolment) -> None:
    """Run the boxes until told to stop."""
    host, port, loss, jitter, seed = sys.argv[2:]
    horns, stop = Horns(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    commons = Commons(Access((host, int(port)), "ttn/v1"), Faults(NONE))
    commons.on_live = horns.hear
    if float(loss) or float(jitter):
        fleets.Unit = bad_unit(float(loss), float(jitter), int(seed))  # type: ignore[misc]
    # A journal of its own for each run: the server knows the records of the one before.
    fleets.Flash = lambda journal: Flash(f"{journal}-{seed}")  # type: ignore[assignment, misc]
    fleet = Fleet(commons)
    for device in enrolment.devices:
        fleet.add(enrolment.keys, device)
    running = asyncio.create_task(fleet.run(stop))
    while not all(unit.player and unit.player.held for unit in fleet.units):  # noqa: ASYNC110
        await asyncio.sleep(0.2)
    await asyncio.sleep(3)
    gc.collect()
    gc.freeze()  # a box on a pole does not wait for the collector of 300
    lags: list[float] = []
    watching = asyncio.create_task(watch(lags))
    print("ready", flush=True)
    await running
    watching.cancel()
    summary = horns.summary() | {"stood_still": max(lags)}
    fleet.shut_down()
    print(json.dumps(summary), flush=True)


if __name__ == "__main__":
    asyncio.run(main(decode(Path(sys.argv[1]).read_bytes(), Enrolment)))

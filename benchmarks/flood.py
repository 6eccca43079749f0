"""What one hostile device, with a valid certificate, costs the others.

Mosquitto as it is deployed. QN-1 publishes as fast as it can, events of 2 kB under its own topics
and as many under those of others and of the server, for as long as QN-2 publishes 2,000 events of
500 bytes, one after the other, each when the broker has acknowledged the last. The server follows
everything, as ingest does. There is no result unless everything of QN-2 comes, and of QN-1 no more
than its allowance, nothing in another's name, nothing on the server's topics.

* `flood_delay_p99`: from publish to the arrival at the server, of QN-2, beside the same without;
* `flood_broker_cpu`: share of a core that Mosquitto takes meanwhile, beside the same without;
* `flood_passed`: messages of QN-1 that came through, against those that it published.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.result import Result, Skipped
from broadcast.embedded.broker import mosquitto
from broadcast.mqtt.link import Link
from tests.deploy.broker import Deployed, deployed
from tests.deploy.test_hostile_device import A_SECOND, AT_ONCE, OWN, Hostile
from tests.mqtt.links import connected

MESSAGES = 2_000
OTHERS = [
    "ttn/v1/device/QN-2/event/playback",
    "ttn/v1/device/QN-2/command/reboot",
    "ttn/v1/area/51/state/programme",
    "ttn/v1/server/echo/1",
]
HONEST = "ttn/v1/device/QN-2/event/playback"


class Course(NamedTuple):
    """One course of QN-2's messages."""

    delays: list[float]
    seconds: float
    broker_cpu: float
    passed: int


class Flood:
    """QN-1, publishing until it is told to end."""

    def __init__(self, broker: Deployed) -> None:
        self._client = Hostile(broker.device("QN-1"))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.sent = 0
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.is_set():
            self._client.say([*OWN, *OTHERS], b"x" * 2_000, 500, retain=False)
            self.sent += 500

    def end(self) -> None:
        """Have it leave."""
        self._ended.set()
        self._thread.join()
        self._client.leave()


async def course(broker: Deployed) -> Course:
    """Publish as QN-2, and hear as the server.

    Raises:
        ValueError: Something came that must not.
    """
    process = psutil.Process(broker.child.pid)
    arrived: dict[int, float] = {}
    passed = 0

    async def hear(link: Link) -> None:
        nonlocal passed
        while len(arrived) < MESSAGES:
            for message in await link.receive():
                if message.topic == HONEST:
                    arrived.setdefault(int(message.payload.split(b" ")[0]), time.monotonic())
                elif message.topic in OWN:
                    passed += 1
                else:
                    raise ValueError(f"a device reached {message.topic}")
                message.ack()

    async with (
        Link(broker.server(), subscriptions=[("ttn/v1/#", 1)]) as server,
        Link(broker.device("QN-2")) as device,
    ):
        await connected(server)
        await connected(device)
        hearing = asyncio.create_task(hear(server))
        sent, began = [], time.monotonic()
        cpu = sum(process.cpu_times()[:2])
        for number in range(MESSAGES):
            sent.append(time.monotonic())
            await device.publish(HONEST, b"%d " % number + bytes(500), timeout=60)
        async with asyncio.timeout(120):
            await hearing
        seconds = time.monotonic() - began
        used = sum(process.cpu_times()[:2]) - cpu
    delays = sorted(arrived[number] - at for number, at in enumerate(sent))
    return Course(delays, seconds, used / seconds, passed)


def run() -> list[Result]:
    """Delays in milliseconds, CPU as a share of one core."""
    if mosquitto() is None or not Path("/usr/include/mosquitto.h").exists():
        raise Skipped("needs mosquitto, mosquitto-dev, libmosquitto-dev and a C compiler")
    with tempfile.TemporaryDirectory() as folder, deployed(Path(folder) / "broker") as broker:
        calm = asyncio.run(course(broker))
        began = time.monotonic()
        flood = Flood(broker)
        try:
            flooded = asyncio.run(course(broker))
        finally:
            flood.end()
        allowed = AT_ONCE + (time.monotonic() - began) * A_SECOND
    if flooded.passed > allowed:
        raise ValueError(f"{flooded.passed} messages of a flood passed, {allowed:.0f} may")
    p99 = MESSAGES * 99 // 100
    return [
        Result("flood_delay_p99", 1000 * flooded.delays[p99], 1000 * calm.delays[p99], "ms"),
        Result("flood_broker_cpu", flooded.broker_cpu, calm.broker_cpu, "of a core"),
        Result("flood_passed", flooded.passed, flood.sent, "messages"),
    ]

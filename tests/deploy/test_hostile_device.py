"""One device's key in the wrong hands cannot exhaust the broker, nor speak for another."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from broadcast.config import Mqtt
from broadcast.mqtt.link import Link
from broadcast.mqtt.login import log_in
from broadcast.wire.codec import MAX_EVENT_BYTES
from broadcast.wire.events import EVENTS
from tests.deploy.broker import Deployed, deployed, needs_mosquitto
from tests.mqtt.links import connected
from tests.waiting import HANG_SECONDS

pytestmark = [needs_mosquitto, pytest.mark.servers]

AT_ONCE = 5000
"""Messages that a device may say at once: MESSAGES_AT_ONCE of mosquitto-device-limits.c."""

BYTES_AT_ONCE = 8 * 2**20
A_SECOND = 2


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployed]:
    with deployed(tmp_path, ["QN-3", "QN-4"]) as broker:
        yield broker


class Hostile:
    """A client with QN-1's certificate and no manners."""

    def __init__(self, settings: Mqtt, will: tuple[str, bytes] | None = None) -> None:
        self.heard: list[str] = []
        self._client = client = paho.Client(
            CallbackAPIVersion.VERSION2, "any id", clean_session=True
        )
        log_in(client, settings, "QN-1")
        client.max_inflight_messages_set(20_000)
        client.max_queued_messages_set(0)
        client.on_message = lambda *args: self.heard.append(args[2].topic)
        if will is not None:
            client.will_set(*will, 1, retain=True)
        client.connect(settings.host, settings.port)
        client.loop_start()
        while not client.is_connected():
            time.sleep(0.01)

    def say(
        self, topics: list[str], payload: bytes, times: int, *, retain: bool, qos: int = 1
    ) -> None:
        """Publish, and return when the broker has acknowledged all."""
        said = [(topics[number % len(topics)], payload) for number in range(times)]
        self.say_all(said, retain=retain, qos=qos)

    def say_all(
        self, said: Sequence[tuple[str, bytes]], *, retain: bool = False, qos: int = 1
    ) -> None:
        """Publish these payloads on these topics; return when all are acknowledged."""
        last = None
        for topic, payload in said:
            last = self._client.publish(topic, payload, qos, retain=retain)
        if last is not None:
            last.wait_for_publish(60)

    def follow(self, topics: list[str]) -> None:
        for topic in topics:
            self._client.subscribe(topic, 1)

    def vanish(self) -> None:
        """Go without a word, so that the will is published."""
        self._client._sock_close()
        self._client.loop_stop()

    def leave(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


Said = tuple[str, bytes]
"""A device, and what it said."""


async def hear(link: Link, last: Said) -> Counter[Said]:
    """What came, and how often, until the last; a message of QoS 1 may come again."""
    heard: Counter[Said] = Counter()
    async with asyncio.timeout(HANG_SECONDS):
        while last not in heard:
            for message in await link.receive(10_000):
                heard[message.topic.split("/")[3], message.payload] += 1
                message.ack()
    return heard


EVERYTHING = [("ttn/v1/#", 1)]
OWN = [f"ttn/v1/device/QN-1/event/{kind}" for kind in EVENTS]


@pytest.mark.parametrize("qos", [0, 1])
async def test_a_flood_takes_no_room_from_others(deployment: Deployed, qos: int) -> None:
    """The server is away; QN-1 says 90 MB and 12,000 messages; what QN-2 says is all there."""
    async with Link(deployment.server(), subscriptions=EVERYTHING) as server:
        await connected(server)
    process = psutil.Process(deployment.child.pid)
    before = process.memory_info().rss
    hostile = await asyncio.to_thread(Hostile, deployment.device("QN-1"))
    async with Link(deployment.device("QN-2")) as device:
        await connected(device)
        flood = [
            asyncio.to_thread(hostile.say, OWN, b"x" * size, times, retain=False, qos=qos)
            for size, times in ((60_000, 1_500), (0, 12_000))
        ]
        topic = "ttn/v1/device/QN-2/event/playback"
        flooding = asyncio.gather(*flood)
        for number in range(200):
            await device.publish(topic, b"%d" % number, timeout=60)
        await flooding
        await asyncio.to_thread(hostile.leave)
        await device.publish(topic, b"last", timeout=60)
    grown = process.memory_info().rss - before
    async with Link(deployment.server(), subscriptions=EVERYTHING) as server:
        heard = await hear(server, ("QN-2", b"last"))
    told = {payload for device, payload in heard if device == "QN-2"}
    assert told == {b"last", *(b"%d" % number for number in range(200))}
    of_flood = sum(times for (device, _), times in heard.items() if device == "QN-1")
    assert of_flood <= AT_ONCE + 600 * A_SECOND, "as many seconds as no machine needs"
    assert grown < 32 * 2**20


async def test_nothing_of_a_device_is_retained_and_nothing_too_large_passes(
    deployment: Deployed,
) -> None:
    gone = "ttn/v1/device/QN-1/event/gone"
    hostile = await asyncio.to_thread(Hostile, deployment.device("QN-1"), (gone, b"w" * 60_000))
    invented = [f"ttn/v1/device/QN-1/event/{number}" for number in range(1_000)]
    async with (
        Link(deployment.server(), subscriptions=EVERYTHING) as server,
        Link(deployment.device("QN-2")) as device,
    ):
        await connected(server)
        await connected(device)
        for topics in (OWN, invented):
            await asyncio.to_thread(hostile.say, topics, b"x" * 10_000, 1_000, retain=True)
        too_large = b"x" * (MAX_EVENT_BYTES + 1)
        await asyncio.to_thread(hostile.say, OWN, too_large, 10, retain=False)
        await asyncio.to_thread(hostile.say, invented, b"x", 1_000, retain=False)
        largest = b"x" * MAX_EVENT_BYTES
        await asyncio.to_thread(hostile.say, OWN[:1], largest, 1, retain=False)
        await asyncio.to_thread(hostile.vanish)
        await asyncio.sleep(0.5)
        await device.publish("ttn/v1/device/QN-2/event/boot", b"last")
        heard = await hear(server, ("QN-2", b"last"))
        assert set(heard) == {("QN-1", largest), ("QN-2", b"last")}
    fresh = deployment.server().model_copy(update={"client_id": "fresh"})
    async with (
        Link(fresh, subscriptions=EVERYTHING) as server,
        Link(deployment.device("QN-2")) as device,
    ):
        await connected(server)
        await connected(device)
        await device.publish("ttn/v1/device/QN-2/event/boot", b"last")
        assert set(await hear(server, ("QN-2", b"last"))) == {("QN-2", b"last")}


async def test_a_device_neither_speaks_as_another_nor_reads_for_another(
    deployment: Deployed,
) -> None:
    hostile = await asyncio.to_thread(Hostile, deployment.device("QN-1"))
    hostile.follow(["#", "ttn/v1/#", "ttn/v1/device/QN-2/#", "ttn/v1/device/+/command/+",
                    "ttn/v1/device/+/event/+", "$share/x/ttn/v1/device/+/command/+",
                    "$SYS/#", "ttn/v1/server/echo/+"])  # fmt: skip
    as_others = [
        *(f"ttn/v1/device/QN-2/event/{kind}" for kind in EVENTS),
        "ttn/v1/device/QN-2/state/config", "ttn/v1/area/51/state/programme",
        f"ttn/v1/content/{64 * '0'}/0", "ttn/v1/server/echo/1", "other/topic",
        "ttn/v1/device/QN-1/command/reboot", "ttn/v1/device/QN-1/state/config",
    ]  # fmt: skip
    async with (
        Link(deployment.server(), subscriptions=EVERYTHING) as server,
        Link(deployment.device("QN-2")) as device,
    ):
        await connected(server)
        await connected(device)
        for retain in (False, True):
            await asyncio.to_thread(hostile.say, as_others, b"x", 200, retain=retain)
        await device.publish("ttn/v1/device/QN-2/event/boot", b"itself")
        assert set(await hear(server, ("QN-2", b"itself"))) == {("QN-2", b"itself")}
        await server.publish("ttn/v1/device/QN-2/command/reboot", b"for QN-2")
        await server.publish("ttn/v1/device/QN-2/state/config", b"for QN-2", retain=True)
        await server.publish("ttn/v1/server/echo/1", b"for the server")
        await server.publish("ttn/v1/device/QN-1/command/identify", b"for QN-1")
        async with asyncio.timeout(60):
            while not hostile.heard:  # noqa: ASYNC110  filled by a thread
                await asyncio.sleep(0.05)
    await asyncio.to_thread(hostile.leave)
    assert set(hostile.heard) == {"ttn/v1/device/QN-1/command/identify"}


async def test_a_journal_of_a_week_passes_at_once(deployment: Deployed) -> None:
    week = {b"%04d" % number + b"x" * 700 for number in range(4_500)}
    assert sum(len(payload) + 120 for payload in week) < BYTES_AT_ONCE
    device = await asyncio.to_thread(Hostile, deployment.device("QN-1"))
    async with Link(deployment.server(), subscriptions=EVERYTHING) as server:
        await connected(server)
        await asyncio.to_thread(device.say_all, [(OWN[2], payload) for payload in week])
        heard = set()
        async with asyncio.timeout(HANG_SECONDS):
            while heard < week:
                for message in await server.receive(10_000):
                    message.ack()
                    heard.add(message.payload)
    await asyncio.to_thread(device.leave)

"""What devices leave at a real broker is found whatever its name, removed, and told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast.config import Mqtt
from broadcast.delivery.retained import NOBODY, RetainedCleanup
from broadcast.mqtt.link import Link
from broadcast.telemetry.model import Fault
from tests.devices.fleet import EIGHT, MINUTE, enrol
from tests.mqtt.links import connected
from tests.waiting import HANG_SECONDS

pytestmark = pytest.mark.broker

STATE = "ttn/v1/area/51/state/programme"


@asynccontextmanager
async def looking(mqtt: Mqtt, engine: AsyncEngine) -> AsyncIterator[RetainedCleanup]:
    """The server's link, read by somebody who knows its other messages."""
    settings = mqtt.model_copy(update={"client_id": "server"})
    async with Link(settings, subscriptions=[("ttn/v1/area/+/state/+", 0)]) as link:
        await connected(link)
        retained = RetainedCleanup(engine, link, "ttn/v1")

        async def read() -> None:
            while True:
                for message in await link.receive():
                    retained.takes(message.topic, len(message.payload), stored=message.retain)

        reading = asyncio.create_task(read())
        yield retained
        reading.cancel()


async def still_there(mqtt: Mqtt) -> set[str]:
    settings = mqtt.model_copy(update={"client_id": "visitor"})
    topics: set[str] = set()
    async with Link(settings, subscriptions=[("ttn/v1/#", 0)]) as link:
        await connected(link)
        # What is retained was sent with the subscription: before anything that is new.
        await link.publish("ttn/v1/visitor", b"", qos=0)
        async with asyncio.timeout(HANG_SECONDS):
            while True:
                for message in await link.receive():
                    if not message.retain:
                        return topics
                    topics.add(message.topic)


async def test_what_a_device_left_is_removed_whatever_its_name(
    engine: AsyncEngine, mqtt: Mqtt
) -> None:
    junk = [f"ttn/v1/device/A/event/{name}" for name in ("heartbeat", "gone", "x" * 60, "a/b/c")]
    junk += [f"ttn/v1/device/B/event/noise{number}" for number in range(500)]
    junk += ["ttn/v1/device/A/command/reboot", "ttn/v1/device/A/command/x/y"]
    async with Link(mqtt.model_copy(update={"client_id": "A"})) as device:
        await connected(device)
        sends = [device.publish(topic, bytes(1000), retain=True) for topic in junk]
        await asyncio.gather(*sends, device.publish(STATE, b"signed", retain=True))
        async with looking(mqtt, engine) as retained:
            found = await retained.remove()
            assert {code: (left.messages, left.size_bytes) for code, left in found.items()} == {
                "A": (4, 4000), "B": (500, 500_000), NOBODY: (2, 2000),
            }  # fmt: skip
            assert await still_there(mqtt) == {STATE}
            await device.publish("ttn/v1/device/A/event/heartbeat", b"{}")
            assert await retained.remove() == {}


async def test_whoever_left_something_is_named_until_he_leaves_no_more(
    engine: AsyncEngine, session: AsyncSession, mqtt: Mqtt
) -> None:
    a, b = await enrol(session, "A", "B")
    session.add(Fault(device_id=b.id, kind="retained", opened_at=EIGHT - MINUTE, closed_at=None))
    await session.flush()
    async with (
        Link(mqtt.model_copy(update={"client_id": "A"})) as device,
        looking(mqtt, engine) as retained,
    ):
        await connected(device)
        for code in ("A", "nobody"):
            await device.publish(f"ttn/v1/device/{code}/event/noise", bytes(2**20), retain=True)
        await retained.report(session, await retained.remove(), EIGHT)
        rows = await session.execute(
            sa.select(Fault.device_id, Fault.closed_at, Fault.detail).order_by(Fault.id)
        )
        (_, left_over, _), (device_id, closed_at, detail) = rows.all()
        assert (left_over, device_id, closed_at) == (EIGHT, a.id, None)
        assert "1 thông điệp" in detail
        assert "1.0 MiB" in detail
        await retained.report(session, await retained.remove(), EIGHT + MINUTE)
        closed = sa.select(sa.func.count()).where(Fault.closed_at.is_(None))
        assert await session.scalar(closed) == 0

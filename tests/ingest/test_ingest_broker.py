"""The inbound path on a real broker: what is not committed comes again."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.config import Mqtt, Settings
from broadcast.devices.model import Device
from broadcast.ingest import store, throttle, worker
from broadcast.keys.keyring import Keyring
from broadcast.kit import clock, db
from broadcast.mqtt.link import Link
from broadcast.telemetry import dead_letters
from broadcast.telemetry.dead_letters import RejectReason
from broadcast.telemetry.model import Boot, Heartbeat, OnlineMinutes
from broadcast.wire import events
from broadcast.wire.codec import encode
from broadcast.wire.commands import JournalAck
from broadcast.wire.envelope import Verifier
from tests.ingest.hostile import Hostile
from tests.ingest.inbox import PREFIX
from tests.ingest.listening import listening
from tests.mqtt.links import connected


@asynccontextmanager
async def running(engine: AsyncEngine, settings: Settings, keys: Keyring) -> AsyncIterator[None]:
    task = asyncio.create_task(worker.run(engine, settings, keys))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until_count(engine: AsyncEngine, table: type[db.Base], number: int) -> None:
    async with asyncio.timeout(60):
        while True:
            async with db.transaction(engine) as session:
                found = await session.scalar(sa.select(sa.func.count()).select_from(table))
            if found == number:
                return
            await asyncio.sleep(0.05)


async def first_word(engine: AsyncEngine, device: Link) -> None:
    """Boot when it is heard: before the server's link stands nobody keeps what is published."""
    await connected(device)
    await listening(engine)
    boot = events.Boot(
        session=1, sent_at=clock.now(), reason="power_on", codecs=["opus"],
        clock=events.Clock(trusted=True), journal_id="j",
    )  # fmt: skip
    await device.publish(f"{PREFIX}/device/A/event/boot", encode(boot))
    await until_count(engine, Boot, 1)


def beat(seq: int) -> bytes:
    clock_ = events.Clock(trusted=True)
    return encode(events.Heartbeat(session=1, seq=seq, sent_at=clock.now(), clock=clock_))


async def test_what_was_not_committed_comes_again_to_the_next_process(
    engine: AsyncEngine, mqtt: Mqtt, keys: Keyring, devices: list[Device]
) -> None:
    settings = Settings(mqtt=mqtt)
    topic = f"{PREFIX}/device/A/event/heartbeat"
    async with Link(mqtt, client_id="A") as device:
        async with running(engine, settings, keys):
            await first_word(engine, device)
            async with db.transaction(engine) as session:
                await session.execute(sa.text("ALTER TABLE device_presence RENAME TO away"))
            retries = store.RETRIES._value.get()
            for seq in range(40):
                await device.publish(topic, beat(seq + 1))
            async with asyncio.timeout(60):
                while store.RETRIES._value.get() == retries:  # noqa: ASYNC110 — a counter
                    await asyncio.sleep(0.02)
        async with db.transaction(engine) as session:
            await session.execute(sa.text("ALTER TABLE away RENAME TO device_presence"))
        await until_count(engine, OnlineMinutes, 0)
        async with running(engine, settings, keys):
            await until_count(engine, Heartbeat, 40)


async def test_hostile_messages_over_the_broker_are_accounted_for_and_disturb_nobody(
    engine: AsyncEngine,
    mqtt: Mqtt,
    keys: Keyring,
    devices: list[Device],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a broker lets through, that is: it refuses some topics itself."""
    monkeypatch.setattr(throttle, "BURST", 100_000)
    said = [
        each for each in Hostile(7, ["B", "C"], [str(uuid4())]).say(3000)
        if each.topic.startswith(f"{PREFIX}/device/") and not each.retain
        and re.fullmatch("[^/\n]+/[^/\n]+/[^/\n]+/event/[^/\n]+", each.topic.removeprefix("ttn/"))
    ]  # fmt: skip
    before = accounted()
    async with Link(mqtt, client_id="A") as device, running(engine, Settings(mqtt=mqtt), keys):
        await first_word(engine, device)
        booted = accounted() - before
        sends = [device.publish(each.topic, each.payload) for each in said]
        sends += [
            device.publish(f"{PREFIX}/device/A/event/heartbeat", beat(seq))
            for seq in range(1, 301)
        ]
        await asyncio.gather(*sends)
        expected = len(sends)
        async with asyncio.timeout(30):
            while accounted() - before - booted < expected:  # noqa: ASYNC110 — counters
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)
        assert accounted() - before - booted == expected
    async with db.transaction(engine) as session:
        kept = await session.scalar(
            sa.select(sa.func.count())
            .select_from(Heartbeat)
            .where(Heartbeat.device_id == devices[0].id)
        )
    assert kept == 300


def accounted() -> int:
    """Messages that were taken or refused so far."""
    conflicts = dead_letters.LETTERS.labels(RejectReason.JOURNAL_CONFLICT.value)._value.get()
    return round(
        sum(store.MESSAGES.labels(kind)._value.get() for kind in events.EVENTS)
        + sum(dead_letters.LETTERS.labels(why.value)._value.get() for why in RejectReason)
        - conflicts
    )


@pytest.mark.broker
async def test_journal_is_confirmed_over_the_broker(
    engine: AsyncEngine, mqtt: Mqtt, keys: Keyring, devices: list[Device]
) -> None:
    settings = Settings(mqtt=mqtt)
    commands = [(f"{PREFIX}/device/A/command/+", 1)]
    async with (
        Link(mqtt, client_id="A", subscriptions=commands) as device,
        running(engine, settings, keys),
    ):
        await first_word(engine, device)
        record = events.Skipped(seq=1, occurrence_id="x", at=clock.now(), reason="late")
        journal = events.Playback(sent_at=clock.now(), journal_id="j", records=[record])
        await device.publish(f"{PREFIX}/device/A/event/playback", encode(journal))
        async with asyncio.timeout(60):
            topic = ""
            while topic != f"{PREFIX}/device/A/command/journal_ack":
                message = (await device.receive(1))[0]
                topic = message.topic
        command = Verifier(keys.keys.trusted()).command(message.payload)
        assert isinstance(command, JournalAck)
        assert command.upto_seq == 1

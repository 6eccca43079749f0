"""Several workers on one broker: every message is worked off, and counts once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import chain
from typing import Literal

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.config import Ingest, Mqtt, Settings
from broadcast.embedded.broker import Broker
from broadcast.ingest import echo
from broadcast.ingest import worker as ingest_worker
from broadcast.ingest.store import Batch, Committed, Store
from broadcast.keys.keyring import Keyring
from broadcast.kit import clock, db
from broadcast.mqtt.features import shares_subscriptions
from broadcast.mqtt.link import Link
from broadcast.plays.model import Journal, JournalRecord
from broadcast.telemetry import sweep
from broadcast.telemetry.model import Heartbeat, ListeningSpan, PresenceChange
from broadcast.wire import events
from broadcast.wire.codec import encode
from tests.devices.fleet import enrol
from tests.ingest.inbox import PREFIX
from tests.ingest.listening import listening
from tests.waiting import HANG_SECONDS

Sharing = Literal["auto", "shared", "shards"]

NAMES = [f"QN-{number:02}" for number in range(20)]
ROUNDS = 12


@pytest.fixture(autouse=True)
def worked_off(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[int, int]]:
    """How often a worker has taken the messages of a number: by worker and number."""
    taken: Counter[tuple[int, int]] = Counter()
    commit = Store._commit

    async def counting(self: Store, batch: Batch) -> Committed:
        committed = await commit(self, batch)
        for arrival in chain.from_iterable(committed.by_kind.values()):
            match arrival.message:
                case (
                    events.Heartbeat(seq=number)
                    | events.Playback(records=[events.Skipped(seq=number)])
                ):
                    taken[self._assignment.worker, number] += 1
        return committed

    monkeypatch.setattr(Store, "_commit", counting)
    monkeypatch.setattr(echo, "EVERY_SECONDS", 0.1)
    return taken


@asynccontextmanager
async def worker(
    engine: AsyncEngine, settings: Settings, keys: Keyring, number: int
) -> AsyncIterator[None]:
    task = asyncio.create_task(ingest_worker.run(engine, settings, keys, number))
    try:
        yield
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(engine: AsyncEngine, query: sa.Select[int], number: int) -> None:
    async with asyncio.timeout(30):
        while True:
            async with db.transaction(engine) as session:
                if await session.scalar(query) == number:
                    return
            await asyncio.sleep(0.05)


async def say(device: Link, name: str, number: int) -> None:
    """A heartbeat and a record, both twice."""
    at = clock.now()
    beat = events.Heartbeat(session=1, seq=number, sent_at=at, clock=events.Clock(trusted=True))
    record = events.Skipped(seq=number, occurrence_id="x", at=at, reason="late")
    journal = events.Playback(sent_at=at, journal_id="j", records=[record])
    for kind, message in (("heartbeat", beat), ("playback", journal)) * 2:
        await device.publish(f"{PREFIX}/device/{name}/event/{kind}", encode(message))


@pytest.mark.broker
@pytest.mark.parametrize("sharing", ["auto", "shards"])
async def test_two_workers_store_everything_once_though_one_is_killed(
    engine: AsyncEngine,
    broker: Broker,
    mqtt: Mqtt,
    keys: Keyring,
    sharing: Sharing,
    worked_off: Counter[tuple[int, int]],
) -> None:
    settings = Settings(mqtt=mqtt, ingest=Ingest(workers=2, sharing=sharing))
    stored = sa.select(sa.func.count()).select_from(Heartbeat)
    journalled = sa.select(sa.func.count()).select_from(JournalRecord)
    async with db.transaction(engine) as session:
        await enrol(session, *NAMES)
    async with Link(mqtt, client_id="device") as device, worker(engine, settings, keys, 1):
        async with worker(engine, settings, keys, 2):
            await listening(engine)
            for number in range(1, ROUNDS // 2 + 1):
                await asyncio.gather(*(say(device, name, number) for name in NAMES))
            if broker.kind != "mosquitto":  # it forgets what is not taken at once
                for table in (stored, journalled):
                    await until(engine, table, len(NAMES) * ROUNDS // 2)
        if broker.kind != "mosquitto":  # it may mix up two connections of a client at once
            await asyncio.sleep(1)
        else:
            for number in range(ROUNDS // 2 + 1, ROUNDS + 1):
                await asyncio.gather(*(say(device, name, number) for name in NAMES))
        async with worker(engine, settings, keys, 2):
            await listening(engine)
            for number in range(ROUNDS // 2 + 1, ROUNDS + 1):
                await asyncio.gather(*(say(device, name, number) for name in NAMES))
            everything = len(NAMES) * ROUNDS
            await until(engine, stored, everything)
            await until(engine, journalled, everything)
            confirmed = sa.select(sa.func.count()).where(Journal.stored_upto == ROUNDS)
            await until(engine, confirmed, len(NAMES))
    async with db.transaction(engine) as session:
        flips = await session.scalar(sa.select(sa.func.count()).select_from(PresenceChange))
    assert flips == len(NAMES), "each device came online once"
    for number in (1, 2):
        share = sum(count for (by, _), count in worked_off.items() if by == number)
        assert share > len(NAMES), "both took their share"


async def test_what_one_worker_misses_nobody_has_heard(
    engine: AsyncEngine, mqtt: Mqtt, keys: Keyring
) -> None:
    settings = Settings(mqtt=mqtt, ingest=Ingest(workers=2))
    async with worker(engine, settings, keys, 1):
        one_span = sa.select(sa.func.count()).select_from(ListeningSpan)
        await until(engine, one_span, 1)
        async with db.transaction(engine) as session:
            assert await sweep.listening(session) is None
            assert await sweep.listened_until(session) is None
        async with worker(engine, settings, keys, 2):
            await listening(engine)
        heard = await heard_by_all(engine)
        async with asyncio.timeout(HANG_SECONDS):
            while (later := await heard_by_all(engine)) != heard:
                heard = later


async def heard_by_all(engine: AsyncEngine) -> object:
    """After a while in which each worker that runs notes several times that it listens."""
    await asyncio.sleep(0.5)
    async with db.transaction(engine) as session:
        return await sweep.listening(session)


async def test_one_worker_again_after_two_hears_everything_once(
    engine: AsyncEngine, mqtt: Mqtt, keys: Keyring, worked_off: Counter[tuple[int, int]]
) -> None:
    async with db.transaction(engine) as session:
        await enrol(session, *NAMES)
    two = Settings(mqtt=mqtt, ingest=Ingest(workers=2))
    stored = sa.select(sa.func.count()).select_from(Heartbeat)
    async with Link(mqtt, client_id="device") as device:
        async with worker(engine, two, keys, 1), worker(engine, two, keys, 2):
            await listening(engine)
            await say(device, NAMES[0], 1)
            await until(engine, stored, 1)
        async with worker(engine, Settings(mqtt=mqtt), keys, 1):
            await listening(engine)
            await say(device, NAMES[0], 2)
            await until(engine, stored, 2)
            async with asyncio.timeout(30):
                while worked_off[1, 2] < 4:  # noqa: ASYNC110  nobody signals it
                    await asyncio.sleep(0.02)
            await asyncio.sleep(0.3)
        # Of the first message a part may come again: nothing promises that its worker had
        # acknowledged it before it was stopped.
        assert worked_off[1, 2] == 4, "nothing came twice"


async def test_a_worker_that_is_taken_away_leaves_nobody_s_part_behind(
    engine: AsyncEngine, mqtt: Mqtt, keys: Keyring
) -> None:
    async with db.transaction(engine) as session:
        await enrol(session, *NAMES)
    three = Settings(mqtt=mqtt, ingest=Ingest(workers=3))
    two = Settings(mqtt=mqtt, ingest=Ingest(workers=2))
    stored = sa.select(sa.func.count()).select_from(Heartbeat)
    async with Link(mqtt, client_id="device") as device:
        async with (
            worker(engine, three, keys, 1),
            worker(engine, three, keys, 2),
            worker(engine, three, keys, 3),
        ):
            await listening(engine)
        async with worker(engine, two, keys, 1), worker(engine, two, keys, 2):
            await listening(engine)
            for number in range(1, 7):
                await asyncio.gather(*(say(device, name, number) for name in NAMES))
            await until(engine, stored, 6 * len(NAMES))


@pytest.mark.broker
async def test_the_broker_says_whether_it_shares(broker: Broker, mqtt: Mqtt) -> None:
    assert await shares_subscriptions(mqtt, mqtt.client_id) is (broker.kind == "mosquitto")


async def test_a_broker_that_is_away_is_an_error(mqtt: Mqtt, broker: Broker) -> None:
    broker.kill()
    with pytest.raises(OSError, match="refused"):
        await shares_subscriptions(mqtt, mqtt.client_id)

"""The fast path of heartbeats ends in the same rows as the slow one."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.config import Rules
from broadcast.devices.model import Device
from broadcast.embedded.postgres import EmbeddedPostgres
from broadcast.kit import db
from broadcast.kit.clock import LOCAL
from broadcast.telemetry import heartbeats, sweep
from broadcast.telemetry.fast_path import FastPath
from broadcast.telemetry.model import DevicePresence, Heartbeat, OnlineMinutes, PresenceChange
from broadcast.telemetry.presence import Listening
from broadcast.wire.events import Supply
from tests.conftest import rolled_back
from tests.devices.fleet import (
    EIGHT,
    MINUTE,
    SECOND,
    THRESHOLDS,
    beat,
    boot,
    enrol,
    record_all,
    will,
)
from tests.examples import examples

RULES = Rules(return_within=timedelta(0))


class Said(NamedTuple):
    """One message of a device."""

    device: int
    kind: str
    session: int
    ahead: int
    """Of the heartbeat that is due."""
    held: int
    mains: bool
    waited: int
    """Minutes."""
    clock_wrong: bool


class Batch(NamedTuple):
    """What comes at once, and through which worker."""

    said: list[Said]
    worker: int
    live: bool
    minutes: int
    """Until the next."""
    sweep: bool
    rolled_back: bool


said = st.builds(
    Said,
    device=st.integers(0, 1),
    kind=st.sampled_from(["beat"] * 14 + ["boot", "will"]),
    session=st.sampled_from([1] * 12 + [2]),
    ahead=st.sampled_from([0, 0, 0, 0, 1, 2, -3]),
    held=st.sampled_from([7] * 7 + [8]),
    mains=st.sampled_from([True] * 7 + [False]),
    waited=st.sampled_from([0, 0, 0, 3]),
    clock_wrong=st.sampled_from([False] * 9 + [True]),
)
batches = st.lists(
    st.builds(
        Batch,
        said=st.lists(said, min_size=1, max_size=4),
        worker=st.integers(0, 1),
        live=st.booleans(),
        minutes=st.sampled_from([0, 1, 1, 1, 4, 15]),
        sweep=st.booleans(),
        rolled_back=st.sampled_from([False] * 7 + [True]),
    ),
    min_size=2,
    max_size=10,
)


def arrivals(
    batch: Batch, due: int, devices: list[Device], now: datetime
) -> tuple[list[Any], ...]:
    """Boots, heartbeats and last wills of a batch."""
    boots, beats, wills = [], [], []
    for each in batch.said:
        device = devices[each.device]
        at = now - each.waited * MINUTE + timedelta(days=400 * each.clock_wrong)
        held = {"area/51/programme": each.held}
        if each.kind == "boot":
            boots.append(boot(device, each.session, at, held=held))
        elif each.kind == "beat":
            more = {"held": held, "supply": Supply(mains=each.mains)}
            beats.append(beat(device, each.session, max(1, due + each.ahead), at, **more))
        else:
            wills.append(will(device, each.session))
    return boots, beats, wills


async def history(
    postgres: EmbeddedPostgres, story: list[Batch], remembering: list[FastPath] | None
) -> list[list[dict[str, Any]]]:
    """All rows at the end of a story, without the ids that the database gives."""
    async with rolled_back(postgres) as session:
        devices = await enrol(session, "A", "B")
        await db.ensure_day(session, EIGHT.astimezone(LOCAL).date())
        first = devices[0].id
        now = EIGHT
        for due, batch in enumerate(story, 1):
            now += batch.minutes * MINUTE
            boots, beats, wills = arrivals(batch, due, devices, now)
            for attempt in (1, 2) if batch.rolled_back else (2,):
                inner = await session.begin_nested()
                await record_all(
                    session, boots, beats, wills, now, live=batch.live, thresholds=THRESHOLDS,
                    fast_path=remembering[batch.worker] if remembering else None,
                )  # fmt: skip
                if attempt == 1:
                    await inner.rollback()
            if batch.sweep:
                await sweep.keep_listening(session, Listening(EIGHT - MINUTE, now))
                await sweep.sweep(session, now, RULES)
        return [sorted(await _rows(session, table, first), key=str) for table in TABLES]


TABLES = (DevicePresence, PresenceChange, Heartbeat, OnlineMinutes)


async def _rows(session: AsyncSession, table: Any, first: int) -> list[dict[str, Any]]:
    """Without the ids that the database gives."""
    rows = (await session.execute(sa.select(table.__table__))).mappings()
    return [
        {
            k: v - first if k == "device_id" else v
            for k, v in row.items()
            if k not in {"id", "held_seq"}
        }
        for row in rows
    ]


def test_fast_and_slow_path_end_in_the_same_rows(
    postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = 0
    confirm = FastPath.confirm

    def counting(self: FastPath, steps: Any, devices: Any) -> None:
        nonlocal fast
        fast += len(devices)
        confirm(self, steps, devices)

    monkeypatch.setattr(FastPath, "confirm", counting)

    @given(story=batches)
    @settings(max_examples=examples(40))
    def compare(story: list[Batch]) -> None:
        remembered = asyncio.run(history(postgres, story, [FastPath(), FastPath()]))
        assert remembered == asyncio.run(history(postgres, story, None))

    compare()
    assert fast > 0


async def test_an_ordinary_heartbeat_reads_nothing(session: AsyncSession) -> None:
    (device,) = await enrol(session, "A")
    await db.ensure_day(session, EIGHT.astimezone(LOCAL).date())
    remembered = FastPath()

    async def record(seq: int, at: Any) -> None:
        await record_all(
            session, (), [beat(device, seq=seq, sent_at=at)], (), at, live=True,
            thresholds=THRESHOLDS, fast_path=remembered,
        )  # fmt: skip

    await record(1, EIGHT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heartbeats.presence_rows, "lock", None)
        await record(2, EIGHT + MINUTE)
    state = await session.get_one(DevicePresence, device.id, populate_existing=True)
    assert (state.seq, state.last_seen_at) == (2, EIGHT + MINUTE)
    assert state.silent_after == EIGHT + MINUTE + 150 * SECOND

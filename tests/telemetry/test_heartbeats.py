from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.config import Rules
from broadcast.kit import db
from broadcast.kit.clock import LOCAL
from broadcast.telemetry import heartbeats, sweep
from broadcast.telemetry.model import (
    Boot,
    DevicePresence,
    Fault,
    Heartbeat,
    OnlineMinutes,
    PresenceChange,
    Receipt,
)
from broadcast.telemetry.online_minutes import bit, from_bits
from broadcast.telemetry.presence import Listening, Presence
from broadcast.wire.events import Clock, Network, Supply
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

RULES = Rules(return_within=timedelta(0))
FAULTS = sa.select(Fault).execution_options(populate_existing=True)


@pytest.fixture(autouse=True)
async def partitions(session: AsyncSession) -> None:
    await db.ensure_partitions(session, EIGHT.astimezone(LOCAL).date())


async def record(
    session: AsyncSession, *, boots: Any = (), beats: Any = (), wills: Any = (), at: Any = EIGHT,
    live: bool = True,
) -> None:  # fmt: skip
    await record_all(session, boots, beats, wills, at, live=live)


async def transitions(session: AsyncSession) -> list[tuple[Presence, Any, str]]:
    rows = await session.execute(
        sa.select(
            PresenceChange.presence, PresenceChange.happened_at, PresenceChange.cause
        ).order_by(PresenceChange.id)
    )
    return [tuple(row) for row in rows]


async def minutes(session: AsyncSession, device_id: int, day: date) -> int:
    row = await session.get_one(OnlineMinutes, (device_id, day), populate_existing=True)
    return from_bits(row.minutes)


async def test_patience_follows_the_settings() -> None:
    assert heartbeats.presence_thresholds(RULES) == THRESHOLDS


async def test_boot_then_heartbeat_make_one_online_device(session: AsyncSession) -> None:
    (device,) = await enrol(session, "QN-1")
    await record(session, boots=[boot(device, held={"area/51/programme": 7})])
    later = EIGHT + MINUTE
    said = beat(
        device, sent_at=later, supply=Supply(mains=False), network=Network(operator="Viettel")
    )
    await record(session, beats=[said], at=later)

    state = await session.get_one(DevicePresence, device.id, populate_existing=True)
    assert (state.presence, state.since, state.session, state.seq) == (
        Presence.ONLINE, EIGHT, 1, 1,
    )  # fmt: skip
    assert (state.last_seen_at, state.silent_after) == (later, later + 150 * SECOND)
    assert state.held == {}
    assert (state.mains, state.operator) == (False, "Viettel")
    assert await transitions(session) == [(Presence.ONLINE, EIGHT, "boot")]
    stored = await session.get_one(Boot, (device.id, 1), populate_existing=True)
    assert stored.body["held"] == {"area/51/programme": 7}
    assert await session.scalar(sa.select(sa.func.count()).select_from(Heartbeat)) == 1


async def test_repeated_and_shuffled_batches_come_to_the_same(session: AsyncSession) -> None:
    one, two = await enrol(session, "A", "B")
    beats = [
        beat(device, seq=n, sent_at=EIGHT + n * MINUTE) for n in (1, 2, 3) for device in (one, two)
    ]
    at = EIGHT + 3 * MINUTE
    await record(session, beats=beats[::-1], boots=[boot(two)], at=at, live=False)
    first = [
        dict(row._mapping) for row in await session.execute(sa.select(DevicePresence.__table__))
    ]
    await record(session, beats=beats, boots=[boot(two)], at=at + SECOND, live=False)
    again = [
        dict(row._mapping) for row in await session.execute(sa.select(DevicePresence.__table__))
    ]

    assert again == first
    assert len(await transitions(session)) == 2
    assert await session.scalar(sa.select(sa.func.count()).select_from(Heartbeat)) == 6
    assert await minutes(session, one.id, date(2025, 7, 1)) == bit(481) | bit(482) | bit(483)


async def test_minutes_go_to_the_local_day_of_the_better_clock(session: AsyncSession) -> None:
    (device,) = await enrol(session, "A")
    midnight = EIGHT.replace(hour=17)
    waited = beat(device, seq=1, sent_at=midnight - 30 * SECOND)
    untrusted = beat(device, seq=2, sent_at=midnight - 9 * MINUTE, clock=Clock(trusted=False))
    await record(session, beats=[waited, untrusted], at=midnight + MINUTE)

    assert await minutes(session, device.id, date(2025, 7, 1)) == bit(1439)
    assert await minutes(session, device.id, date(2025, 7, 2)) == bit(1)


async def test_live_presence_goes_by_the_server_clock(session: AsyncSession) -> None:
    (device,) = await enrol(session, "A")
    slow = beat(device, sent_at=EIGHT - 5 * MINUTE)
    await record(session, beats=[slow])
    state = await session.get_one(DevicePresence, device.id, populate_existing=True)
    assert state.last_seen_at == EIGHT


async def test_what_waited_at_the_broker_is_dated_when_it_was_sent(session: AsyncSession) -> None:
    (device,) = await enrol(session, "A")
    await record(session, beats=[beat(device, sent_at=EIGHT - 5 * MINUTE)], live=False)
    state = await session.get_one(DevicePresence, device.id, populate_existing=True)
    assert (state.last_seen_at, state.since) == (EIGHT - 5 * MINUTE, EIGHT - 5 * MINUTE)


async def test_receipts_tell_when_a_revision_was_first_held(session: AsyncSession) -> None:
    (device,) = await enrol(session, "A")
    key = "area/51/programme"
    await record(session, beats=[beat(device, seq=1, held={key: 1})])
    await record(session, beats=[beat(device, seq=2, held={key: 1})], at=EIGHT + MINUTE)
    both = [beat(device, seq=3, held={key: 2}), beat(device, seq=4, held={key: 3, "x/config": 1})]
    await record(session, beats=both, at=EIGHT + 2 * MINUTE)

    rows = await session.execute(
        sa.select(Receipt.document, Receipt.revision, Receipt.received_at).order_by(
            Receipt.document, Receipt.revision
        )
    )
    assert [tuple(row) for row in rows] == [
        (key, 1, EIGHT),
        (key, 2, EIGHT + 2 * MINUTE),
        (key, 3, EIGHT + 2 * MINUTE),
        ("x/config", 1, EIGHT + 2 * MINUTE),
    ]
    state = await session.get_one(DevicePresence, device.id, populate_existing=True)
    assert state.held == {key: 3, "x/config": 1}


async def test_overtaken_message_does_not_restore_what_it_held(session: AsyncSession) -> None:
    (device,) = await enrol(session, "A")
    await record(session, beats=[beat(device, session=2, seq=1, held={"a/programme": 2})])
    await record(session, beats=[beat(device, session=1, seq=9, held={"a/programme": 1})])
    state = await session.get_one(DevicePresence, device.id, populate_existing=True)
    assert (state.session, state.held) == (2, {"a/programme": 2})


async def test_trusted_clock_that_cannot_be_right_opens_a_fault_until_it_is(
    session: AsyncSession,
) -> None:
    (device,) = await enrol(session, "A")
    await record(session, beats=[beat(device, seq=1, sent_at=EIGHT + timedelta(days=400))])
    await record(session, beats=[beat(device, seq=2, sent_at=EIGHT + timedelta(days=400))])
    fault = (await session.scalars(FAULTS)).one()
    assert (fault.kind, fault.opened_at, fault.closed_at) == ("clock_wrong", EIGHT, None)
    state = await session.get_one(DevicePresence, device.id, populate_existing=True)
    assert (state.presence, state.last_seen_at) == (Presence.ONLINE, EIGHT)

    later = EIGHT + MINUTE
    await record(session, beats=[beat(device, seq=3, sent_at=later)], at=later)
    fault = (await session.scalars(FAULTS)).one()
    assert fault.closed_at == later


async def test_late_last_will_never_marks_a_live_device_gone(session: AsyncSession) -> None:
    (device,) = await enrol(session, "A")
    await record(session, boots=[boot(device, session=1)])
    await record(session, boots=[boot(device, session=2)], at=EIGHT + SECOND)
    await record(session, wills=[will(device, session=1)], at=EIGHT + MINUTE)
    state = await session.get_one(DevicePresence, device.id, populate_existing=True)
    assert (state.gone, state.silent_after) == (False, EIGHT + 151 * SECOND)


async def test_will_and_return_in_one_batch_leave_the_device_online(session: AsyncSession) -> None:
    (device,) = await enrol(session, "A")
    await record(session, boots=[boot(device, session=1)])
    await record(session, boots=[boot(device, session=2)], wills=[will(device, session=1)])
    state = await session.get_one(DevicePresence, device.id, populate_existing=True)
    assert (state.session, state.gone) == (2, False)


async def test_will_keeps_what_the_device_held(session: AsyncSession) -> None:
    (device,) = await enrol(session, "A")
    await record(
        session, beats=[beat(device, held={"a/programme": 2}, supply=Supply(mains=False))]
    )
    await record(session, wills=[will(device)], at=EIGHT + SECOND)
    state = await session.get_one(DevicePresence, device.id, populate_existing=True)
    assert (state.gone, state.held, state.silent_after) == (
        True, {"a/programme": 2}, EIGHT + 31 * SECOND,
    )  # fmt: skip
    assert state.mains is False


async def test_boot_says_nothing_of_the_lifelines_and_a_late_heartbeat_does_not_either(
    session: AsyncSession,
) -> None:
    (device,) = await enrol(session, "A")
    await record(session, beats=[beat(device, supply=Supply(mains=True))])
    await record(session, boots=[boot(device, session=2)])
    await record(session, beats=[beat(device, seq=2, supply=Supply(mains=True))])
    state = await session.get_one(DevicePresence, device.id, populate_existing=True)
    assert (state.session, state.mains, state.operator) == (2, None, None)


async def listened(session: AsyncSession, start: Any, until: Any) -> None:
    await sweep.keep_listening(session, Listening(start, until))


async def test_sweep_needs_to_have_listened(session: AsyncSession) -> None:
    (device,) = await enrol(session, "A")
    await record(session, beats=[beat(device)])
    hour = EIGHT + timedelta(hours=1)
    assert await sweep.sweep(session, hour, RULES) == 0
    await listened(session, EIGHT, EIGHT + MINUTE)
    assert await sweep.sweep(session, hour, RULES) == 0


async def test_sweep_dates_flips_when_they_happened_and_writes_each_once(
    session: AsyncSession,
) -> None:
    one, two = await enrol(session, "A", "B")
    hour = EIGHT + timedelta(hours=1)
    await record(session, beats=[beat(one), beat(two)])
    await record(session, beats=[beat(two, seq=2, sent_at=hour)], at=hour)
    await listened(session, EIGHT, hour)

    assert await sweep.sweep(session, hour, RULES) == 2
    assert await sweep.sweep(session, hour, RULES) == 0
    assert (await transitions(session))[2:] == [
        (Presence.SILENT, EIGHT + 150 * SECOND, "silence"),
        (Presence.OFFLINE, EIGHT + 10 * MINUTE, "silence"),
    ]
    assert (
        await session.get_one(DevicePresence, one.id, populate_existing=True)
    ).presence is Presence.OFFLINE
    assert (
        await session.get_one(DevicePresence, two.id, populate_existing=True)
    ).presence is Presence.ONLINE


async def test_sweep_finishes_what_fell_silent_before(session: AsyncSession) -> None:
    (device,) = await enrol(session, "A")
    await record(session, beats=[beat(device)])
    await listened(session, EIGHT, EIGHT + 3 * MINUTE)
    assert await sweep.sweep(session, EIGHT + 3 * MINUTE, RULES) == 1
    await listened(session, EIGHT, EIGHT + 11 * MINUTE)
    assert await sweep.sweep(session, EIGHT + 11 * MINUTE, RULES) == 1
    state = await session.get_one(DevicePresence, device.id, populate_existing=True)
    assert (state.presence, state.since) == (Presence.OFFLINE, EIGHT + 10 * MINUTE)
    await record(session, beats=[beat(device, seq=2)], at=EIGHT + 12 * MINUTE)
    assert (await transitions(session))[-1] == (Presence.ONLINE, EIGHT + 12 * MINUTE, "heartbeat")


async def test_span_of_listening_never_shrinks(session: AsyncSession) -> None:
    await listened(session, EIGHT, EIGHT + MINUTE)
    await listened(session, EIGHT, EIGHT + SECOND)
    assert await sweep.listening(session) == Listening(EIGHT, EIGHT + MINUTE)


async def test_clock_set_back_by_an_hour_hides_nobody(session: AsyncSession) -> None:
    """One speaks on and one has fallen; what the fast clock has dated is not waited for."""
    one, two = await enrol(session, "A", "B")
    ahead = EIGHT + timedelta(hours=1)
    await record(session, beats=[beat(one), beat(two)], at=ahead)
    await listened(session, EIGHT - MINUTE, ahead)

    now = EIGHT + 5 * SECOND
    assert await sweep.sweep(session, now, RULES) == 0
    await record(session, beats=[beat(one, seq=2, sent_at=now)], at=now)
    state = await session.get_one(DevicePresence, one.id, populate_existing=True)
    assert (state.last_seen_at, state.silent_after) == (now, now + 150 * SECOND)
    await listened(session, now, now)
    assert await sweep.sweep(session, now, RULES) == 0
    later = now + 3 * MINUTE
    await record(session, beats=[beat(one, seq=3, sent_at=later)], at=later)
    await listened(session, now, later)
    assert await sweep.sweep(session, later, RULES) == 1
    assert (await transitions(session))[-1] == (Presence.SILENT, now + 150 * SECOND, "silence")
    silent = await session.get_one(DevicePresence, two.id, populate_existing=True)
    assert silent.presence is Presence.SILENT


async def test_span_begun_last_is_judged_by_though_an_older_one_is_dated_later(
    session: AsyncSession,
) -> None:
    await listened(session, EIGHT - MINUTE, EIGHT)
    await listened(session, EIGHT - timedelta(hours=1), EIGHT - 50 * MINUTE)
    await listened(session, EIGHT - MINUTE, EIGHT)
    assert await sweep.listening(session) == Listening(
        EIGHT - timedelta(hours=1), EIGHT - 50 * MINUTE
    )


async def test_latest_state_has_no_index_but_its_key(session: AsyncSession) -> None:
    names = await session.scalars(
        sa.text("SELECT indexname FROM pg_indexes WHERE tablename = 'device_presence'")
    )
    assert names.all() == ["pk_device_presence"]

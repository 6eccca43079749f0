"""What is to be expected of a broadcast before its start."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcast.areas.topology import touch
from broadcast.config import Rules
from broadcast.plays import forecast_texts
from broadcast.plays.coming import forecast_of, next_of
from broadcast.plays.forecast import (
    FETCH,
    Ahead,
    Cause,
    Forecast,
    Outlook,
    Planned,
    forecast,
    outranked,
)
from broadcast.plays.forecast_schemas import ForecastOut
from broadcast.programmes.model import Document, ProgrammeRevision
from broadcast.regulations.model import RegulationRow
from broadcast.schedules.model import Occurrence, OccurrenceState
from broadcast.stations.model import Outage, OutageKind
from broadcast.telemetry.model import DevicePresence, Fault, Readiness
from broadcast.telemetry.presence import Presence
from broadcast.wire.fields import OnPreempt
from tests.callers import LAN
from tests.devices.fleet import EIGHT, MINUTE, SECOND
from tests.examples import examples
from tests.plays.world import BEFORE, COMMUNE, World

RULES = Rules()
NOW = EIGHT - 30 * MINUTE


def ahead(**changes: Any) -> Ahead:
    return Ahead(starts_at=EIGHT, **changes)


def test_every_cause_and_outlook_has_its_words() -> None:
    assert forecast_texts.CAUSES.keys() == set(Cause) == forecast_texts.REMEDIES.keys()
    assert forecast_texts.OUTLOOKS.keys() == set(Outlook)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Forecast(Outlook.READY)),
        ({"has_device": False, "holds": False}, Forecast(Outlook.MISSES, Cause.NO_DEVICE)),
        ({"quiet": True}, Forecast(Outlook.MISSES, Cause.QUIET_HOURS)),
        ({"volume": 0}, Forecast(Outlook.MISSES, Cause.MUTED)),
        ({"volume": 1}, Forecast(Outlook.READY)),
        ({"over_quota": True}, Forecast(Outlook.MISSES, Cause.QUOTA)),
        ({"over_quota": True, "quiet": True}, Forecast(Outlook.MISSES, Cause.QUIET_HOURS)),
        ({"outage": "power_cut"}, Forecast(Outlook.MISSES, Cause.POWER_CUT)),
        ({"outage": "maintenance"}, Forecast(Outlook.UNSURE, Cause.MAINTENANCE)),
        ({"published": False, "holds": False}, Forecast(Outlook.ON_THE_WAY, Cause.NOT_PUBLISHED)),
        ({"holds": False, "refused": True}, Forecast(Outlook.MISSES, Cause.REFUSED)),
        ({"holds": False}, Forecast(Outlook.ON_THE_WAY, Cause.NOT_RECEIVED)),
        (
            {"holds": False, "presence": Presence.OFFLINE},
            Forecast(Outlook.MISSES, Cause.OFFLINE),
        ),
        (
            {"holds": False, "presence": Presence.NEVER_SEEN},
            Forecast(Outlook.MISSES, Cause.NEVER_SEEN),
        ),
        ({"readiness": "waiting"}, Forecast(Outlook.ON_THE_WAY, Cause.NO_AUDIO)),
        (
            {"readiness": "waiting", "presence": Presence.SILENT},
            Forecast(Outlook.MISSES, Cause.NO_AUDIO),
        ),
        (
            {"readiness": None, "presence": Presence.OFFLINE},
            Forecast(Outlook.UNSURE, Cause.NO_AUDIO),
        ),
        ({"readiness": "no_codec"}, Forecast(Outlook.MISSES, Cause.NO_CODEC)),
        ({"readiness": "bad_audio"}, Forecast(Outlook.ON_THE_WAY, Cause.BAD_AUDIO)),
        (
            {"faults": frozenset({"clock_untrusted"})},
            Forecast(Outlook.MISSES, Cause.CLOCK_UNTRUSTED),
        ),
        ({"faults": frozenset({"storage_full"})}, Forecast(Outlook.READY)),
        ({"faults": frozenset({"line_open"})}, Forecast(Outlook.UNSURE, Cause.SPEAKER_FAULT)),
        ({"mains": False}, Forecast(Outlook.UNSURE, Cause.ON_BATTERY)),
        ({"presence": Presence.OFFLINE}, Forecast(Outlook.UNSURE, Cause.ALONE)),
        ({"outranked": True}, Forecast(Outlook.MISSES, Cause.OUTRANKED)),
    ],
)
def test_half_an_hour_before(changes: dict[str, Any], expected: Forecast) -> None:
    assert forecast(ahead(**changes), NOW) == expected


@pytest.mark.parametrize(
    "changes",
    [{"holds": False}, {"readiness": "waiting"}, {"readiness": "bad_audio"}, {"published": False}],
)
def test_what_was_on_its_way_is_missed_when_no_time_is_left(changes: dict[str, Any]) -> None:
    assert forecast(ahead(**changes), EIGHT - FETCH).outlook is Outlook.ON_THE_WAY
    assert forecast(ahead(**changes), EIGHT - FETCH + SECOND).outlook is Outlook.MISSES


# One loudspeaker ---------------------------------------------------------------------------------


def planned(name: str, minute: float, seconds: float, priority: int, **changes: Any) -> Planned:
    starts_at = EIGHT + minute * MINUTE
    fields: dict[str, Any] = {
        "latest_at": starts_at + 5 * MINUTE,
        "ends_by": starts_at + 5 * MINUTE + seconds * SECOND + 30 * SECOND,
    }
    return Planned(name, priority, starts_at, seconds=seconds, **(fields | changes))


def test_who_waits_longer_than_it_may_is_outranked() -> None:
    urgent = planned("urgent", 0, 400, 200)
    assert outranked([urgent, planned("news", 1, 60, 100)]) == {"news"}
    assert outranked([urgent._replace(seconds=200), planned("news", 1, 60, 100)]) == set()


def test_an_equal_one_waits_and_a_higher_one_interrupts() -> None:
    first, second = planned("a", 0, 600, 100), planned("b", 1, 60, 100)
    assert outranked([first, second]) == {"b"}
    assert outranked([first, second._replace(priority=101)]) == set()


def test_what_was_interrupted_goes_on_before_who_waits_behind_it() -> None:
    begun = planned("a", 0, 300, 150)
    urgent = planned("b", 1, 60, 200)
    behind = planned("c", 1, 60, 100, latest_at=EIGHT + 5 * MINUTE)
    assert outranked([begun, urgent, behind]) == {"c"}
    dropped = begun._replace(on_preempt=OnPreempt.DROP)
    assert outranked([dropped, urgent, behind]) == set()


def test_sounds_have_the_lengths_of_real_recordings() -> None:
    """300.1 s less a minute is 240.1 s and a rest that no clock counts."""
    news = planned("news", 0, 300.1, 100)
    assert outranked([news, planned("notice", 1, 60, 100)]) == set()
    assert outranked([news, planned("notice", 1, 60, 200)]) == set()


items = st.lists(
    st.builds(
        planned,
        st.uuids().map(str),
        st.integers(0, 10),
        st.integers(1, 600_000).map(lambda milliseconds: milliseconds / 1000),
        st.integers(0, 255),
        on_preempt=st.sampled_from(OnPreempt),
    ),
    max_size=6,
    unique_by=lambda each: each.occurrence_id,
)


@given(items)
@settings(max_examples=examples(50))
def test_the_highest_of_a_moment_is_never_outranked(coming: list[Planned]) -> None:
    lost = outranked(coming)
    assert lost < {each.occurrence_id for each in coming} or not coming
    for each in coming:
        if all(each.priority > other.priority for other in coming if other is not each):
            assert each.occurrence_id not in lost


# Over the database -------------------------------------------------------------------------------


async def ready_world(world: World) -> Occurrence:
    """Both clusters hold the programme and its sound."""
    occurrence = await world.planned()
    session = world.session
    document = f"area/{COMMUNE}/programme"
    session.add(
        ProgrammeRevision(
            scope=f"area/{COMMUNE}", revision=1000, issued_at=EIGHT - timedelta(days=1),
            published_at=EIGHT - timedelta(days=1), occurrence_ids=[occurrence.id],
        )
    )  # fmt: skip
    session.add(
        Document(
            scope=f"area/{COMMUNE}", kind="programme", revision=1000, token=b"",
            issued_at=EIGHT - timedelta(days=1), not_after=EIGHT + timedelta(days=7),
            published_revision=1000, published_at=EIGHT - timedelta(days=1),
        )
    )  # fmt: skip
    for code, device in list(world.devices.items())[:2]:
        await world.presence((Presence.ONLINE, BEFORE), device=code)
        session.add(
            Readiness(
                occurrence_id=occurrence.id, device_id=device.id, bulletin_revision=1,
                state="ready", sent_at=BEFORE, received_at=BEFORE,
            )
        )  # fmt: skip
    await session.execute(sa.update(DevicePresence).values(held={document: 1000}))
    await session.flush()
    return occurrence


async def told(world: World, occurrence: Occurrence) -> ForecastOut:
    return await forecast_of(world.session, occurrence.id, RULES, NOW)


def causes(found: ForecastOut) -> dict[str, tuple[Outlook, Cause | None]]:
    return {each.code: (each.outlook, each.cause) for each in found.clusters}


async def test_all_are_ready(world: World) -> None:
    found = await told(world, await ready_world(world))
    assert found.counts == {Outlook.READY: 2}
    assert found.answer == "Sẵn sàng ở 2 trong 2 cụm loa để phát lúc 08:00 01/07/2025."


async def test_each_that_will_miss_is_named_with_cause_and_remedy(world: World) -> None:
    occurrence = await ready_world(world)
    two = world.devices["D-2"].id
    await world.session.execute(
        sa.update(DevicePresence)
        .where(DevicePresence.device_id == two)
        .values(held={}, presence=Presence.OFFLINE)
    )
    found = await told(world, occurrence)
    assert causes(found) == {
        "C-2": (Outlook.MISSES, Cause.OFFLINE), "C-1": (Outlook.READY, None)
    }  # fmt: skip
    worst = found.clusters[0]
    assert (worst.device, worst.last_seen_at) == ("D-2", BEFORE)
    assert "SIM" in worst.remedy
    assert found.answer.startswith("Sẵn sàng ở 1 trong 2 cụm loa")
    assert "1 cụm sẽ không phát. " in found.answer


async def test_an_older_programme_will_do_until_the_schedule_is_changed(world: World) -> None:
    occurrence = await ready_world(world)
    session = world.session
    session.add(
        ProgrammeRevision(
            scope=f"area/{COMMUNE}", revision=2000, issued_at=NOW, published_at=NOW,
            occurrence_ids=[occurrence.id],
        )
    )  # fmt: skip
    await session.execute(sa.update(Document).values(revision=2000, published_revision=2000))
    assert (await told(world, occurrence)).counts == {Outlook.READY: 2}
    world.schedule.changed_at = NOW - MINUTE
    await session.flush()
    assert set(causes(await told(world, occurrence)).values()) == {
        (Outlook.ON_THE_WAY, Cause.NOT_RECEIVED)
    }


async def test_a_programme_that_lapses_before_the_start_does_not_count(world: World) -> None:
    occurrence = await ready_world(world)
    await world.session.execute(
        sa.update(ProgrammeRevision).values(issued_at=EIGHT - timedelta(days=9))
    )
    assert {each.cause for each in (await told(world, occurrence)).clusters} == {
        Cause.NOT_RECEIVED
    }


async def test_readiness_for_another_revision_of_the_bulletin_does_not_count(world: World) -> None:
    occurrence = await ready_world(world)
    await world.session.execute(sa.update(Readiness).values(bulletin_revision=2))
    assert {each.cause for each in (await told(world, occurrence)).clusters} == {Cause.NO_AUDIO}


async def test_faults_outages_and_what_is_on_the_loudspeaker(world: World) -> None:
    occurrence = await ready_world(world)
    session = world.session
    session.add(Fault(device_id=world.devices["D-1"].id, kind="clock_untrusted", opened_at=BEFORE))
    session.add(
        Outage(
            kind=OutageKind.POWER_CUT, cluster_id=world.clusters["C-2"].id, area_code=None,
            starts_at=EIGHT - MINUTE, ends_at=EIGHT + MINUTE, declared_by=LAN,
        )
    )  # fmt: skip
    await session.flush()
    assert causes(await told(world, occurrence)) == {
        "C-1": (Outlook.MISSES, Cause.CLOCK_UNTRUSTED),
        "C-2": (Outlook.MISSES, Cause.POWER_CUT),
    }


async def test_a_higher_item_that_lasts_too_long_is_told(world: World) -> None:
    occurrence = await ready_world(world)
    urgent = await world.occurrence(EIGHT - MINUTE, priority=200)
    await world.plan([urgent], BEFORE)
    # It sounds for two minutes, the late limit is one.
    assert {each.cause for each in (await told(world, occurrence)).clusters} == {None}
    occurrence.late_limit_seconds = 30
    await world.session.flush()
    assert {each.cause for each in (await told(world, occurrence)).clusters} == {Cause.OUTRANKED}


async def regulate(world: World, **provisions: Any) -> None:
    """A Quy chế of the commune, or of some of its clusters."""
    await world.session.execute(sa.delete(RegulationRow))
    world.session.add(
        RegulationRow(
            area_code=COMMUNE, number="12/QC-UBND", signed_on=BEFORE.date(),
            valid_from=BEFORE.date(), entered_by=LAN, entered_at=BEFORE, **provisions,
        )
    )  # fmt: skip
    await touch(world.session)
    await world.session.flush()


SEVEN_TO_NINE = {"from": "07:00", "until": "09:00"}


async def test_the_hours_of_a_commune_are_known(world: World) -> None:
    occurrence = await ready_world(world)
    await regulate(world, silent=[SEVEN_TO_NINE], clusters=["C-2"])
    assert causes(await told(world, occurrence)) == {
        "C-2": (Outlook.MISSES, Cause.QUIET_HOURS), "C-1": (Outlook.READY, None)
    }  # fmt: skip
    # What ends before it may begin at the latest keeps nothing silent.
    occurrence.late_limit_seconds = 300
    await regulate(world, silent=[{"from": "07:00", "until": "08:04"}])
    assert (await told(world, occurrence)).counts == {Outlook.READY: 2}


async def test_a_volume_of_nothing_is_not_heard(world: World) -> None:
    occurrence = await ready_world(world)
    await regulate(world, limited=[SEVEN_TO_NINE | {"volume": 40}])
    assert (await told(world, occurrence)).counts == {Outlook.READY: 2}
    # It begins before the window and sounds into it: the lowest limit holds for all of it.
    await regulate(world, limited=[{"from": "08:01", "until": "09:00", "volume": 0}])
    muted = {"C-1": (Outlook.MISSES, Cause.MUTED), "C-2": (Outlook.MISSES, Cause.MUTED)}
    assert causes(await told(world, occurrence)) == muted
    await regulate(world, limited=[{"from": "08:03", "until": "09:00", "volume": 0}])
    assert (await told(world, occurrence)).counts == {Outlook.READY: 2}
    world.devices["D-1"].volume = 0
    await world.session.flush()
    assert causes(await told(world, occurrence)) == muted | {"C-2": (Outlook.READY, None)}
    occurrence.volume = 70
    await world.session.flush()
    assert (await told(world, occurrence)).counts == {Outlook.READY: 2}


async def test_quotas_that_a_day_exceeds_are_said_and_silence_nothing(world: World) -> None:
    occurrence = await ready_world(world)
    await world.plan([await world.occurrence(EIGHT + timedelta(hours=2))], BEFORE)
    await regulate(world, sessions_per_day=2, minutes_per_day=4)
    assert (await told(world, occurrence)).exceeded == []
    await regulate(world, sessions_per_day=1, minutes_per_day=3)
    found = await told(world, occurrence)
    assert found.exceeded == [
        "Ngày 01/07/2025 sẽ có 2 buổi phát ở 2 cụm loa, Quy chế cho phép 1 buổi.",
        "Ngày 01/07/2025 sẽ phát 4 phút ở 2 cụm loa, Quy chế cho phép 3 phút mỗi ngày.",
    ]
    assert found.counts == {Outlook.READY: 2}


async def test_what_the_day_has_no_quota_left_for_is_missed_where_it_is_so(world: World) -> None:
    occurrence = await ready_world(world)
    await world.plan([await world.occurrence(EIGHT - timedelta(hours=2))], BEFORE)
    await regulate(world, sessions_per_day=2, minutes_per_day=4)
    assert (await told(world, occurrence)).counts == {Outlook.READY: 2}
    await regulate(world, minutes_per_day=3)
    found = await told(world, occurrence)
    assert causes(found) == dict.fromkeys(["C-1", "C-2"], (Outlook.MISSES, Cause.QUOTA))
    assert "hạn mức của Quy chế trong ngày đã dùng hết" in found.answer
    assert "dời buổi phát sang ngày khác" in found.clusters[0].remedy


async def test_what_is_over_quota_keeps_nothing_waiting(world: World) -> None:
    occurrence = await ready_world(world)
    before = await world.occurrence(EIGHT - timedelta(minutes=1))
    before.priority, before.relay_seconds = occurrence.priority + 1, 1200
    before.ends_by = EIGHT + timedelta(minutes=30)
    occurrence.late_limit_seconds = 0
    await world.session.flush()
    await world.plan([before], BEFORE)
    outranked = dict.fromkeys(["C-1", "C-2"], (Outlook.MISSES, Cause.OUTRANKED))
    assert causes(await told(world, occurrence)) == outranked
    await regulate(world, minutes_per_day=10)
    assert (await told(world, occurrence)).counts == {Outlook.READY: 2}


async def test_after_the_start_nothing_is_foretold(world: World) -> None:
    occurrence = await ready_world(world)
    found = await forecast_of(world.session, occurrence.id, RULES, EIGHT)
    assert (found.is_over, found.clusters) == (True, [])
    assert "xem kết quả" in found.answer


async def test_the_next_start_of_a_schedule(world: World) -> None:
    occurrence = await ready_world(world)
    later = await world.occurrence(EIGHT + timedelta(hours=1))
    of = {"schedule_id": world.schedule.id}
    found = await next_of(world.session, RULES, NOW, **of)
    assert found is not None
    assert found.occurrence_id == occurrence.id
    occurrence.state = OccurrenceState.CANCELLED
    await world.session.flush()
    found = await next_of(world.session, RULES, NOW, bulletin_id=world.schedule.bulletin_id)
    assert found is not None
    assert found.occurrence_id == later.id
    assert await next_of(world.session, RULES, EIGHT + timedelta(hours=2), **of) is None

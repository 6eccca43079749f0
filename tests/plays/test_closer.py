"""Silence, from the tables to the reason: what is known around a play, one fact at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa

from broadcast.devices.model import Installation
from broadcast.plays import closer
from broadcast.plays.closer import close_due
from broadcast.schedules.model import Occurrence
from broadcast.stations.model import Outage, OutageKind
from broadcast.telemetry.model import Boot, Fault, Refusal
from broadcast.telemetry.presence import Presence
from tests.callers import LAN
from tests.devices.fleet import EIGHT, MINUTE, SECOND
from tests.plays.world import BEFORE, CLOSED, COMMUNE, PROVINCE, WAIT, World

ONLINE = (Presence.ONLINE, BEFORE)
Known = Callable[[World, Occurrence], Awaitable[None]]


async def everything(world: World, occurrence: Occurrence) -> None:
    """Nothing is wrong, and still no word came."""
    await world.published(occurrence)
    await world.received()
    await world.ready(occurrence)
    await world.presence(ONLINE)
    await world.listening(BEFORE, CLOSED)


async def no_device(world: World, occurrence: Occurrence) -> None:
    await world.session.execute(sa.delete(Installation))


async def not_published(world: World, occurrence: Occurrence) -> None:
    await world.presence(ONLINE)
    await world.published(occurrence, at=EIGHT + 61 * SECOND)


async def not_received(world: World, occurrence: Occurrence) -> None:
    await world.published(occurrence)
    await world.presence(ONLINE)


async def received_too_late(world: World, occurrence: Occurrence) -> None:
    await not_received(world, occurrence)
    await world.received(at=EIGHT + 4 * MINUTE)


def refused(reason: str) -> Known:
    async def known(world: World, occurrence: Occurrence) -> None:
        await not_received(world, occurrence)
        world.session.add(
            Refusal(device_id=world.devices["D-1"].id, reason=reason, sent_at=BEFORE,
                    topic=f"ttn/v1/area/{COMMUNE}/state/programme", received_at=BEFORE + MINUTE)
        )  # fmt: skip

    return known


async def never_heard(world: World, occurrence: Occurrence) -> None:
    await world.published(occurrence)
    await world.listening(BEFORE, CLOSED)


async def offline(world: World, occurrence: Occurrence) -> None:
    await world.published(occurrence)
    await world.received()
    await world.ready(occurrence)
    await world.presence(ONLINE, (Presence.SILENT, EIGHT - 30 * MINUTE))
    await world.listening(BEFORE, CLOSED)


async def back_after_the_window(world: World, occurrence: Occurrence) -> None:
    await world.published(occurrence)
    await world.received()
    await world.ready(occurrence)
    await world.presence(
        ONLINE, (Presence.SILENT, EIGHT - 30 * MINUTE), (Presence.ONLINE, EIGHT + 62 * SECOND)
    )
    await world.listening(BEFORE, CLOSED)


async def power_came_back(world: World, occurrence: Occurrence) -> None:
    await back_after_the_window(world, occurrence)
    for minute, session, reason in ((2, 2, "power_on"), (3, 3, "reconnect")):
        world.session.add(
            Boot(device_id=world.devices["D-1"].id, session=session,
                 sent_at=EIGHT, received_at=EIGHT + minute * MINUTE, reason=reason, body={})
        )  # fmt: skip


def declared(kind: OutageKind, **place: object) -> Known:
    async def known(world: World, occurrence: Occurrence) -> None:
        await offline(world, occurrence)
        if "cluster" in place:
            place["cluster_id"] = world.clusters[str(place.pop("cluster"))].id
        world.session.add(
            Outage(kind=kind, starts_at=EIGHT - MINUTE, ends_at=EIGHT + MINUTE, declared_by=LAN,
                   **place)
        )  # fmt: skip

    return known


async def server_was_deaf(world: World, occurrence: Occurrence) -> None:
    await offline(world, occurrence)
    await world.session.execute(sa.text("DELETE FROM listening_spans"))
    await world.listening(BEFORE, EIGHT - SECOND)
    await world.listening(EIGHT + 61 * SECOND, CLOSED)


async def lost_contact_since(world: World, occurrence: Occurrence) -> None:
    await world.published(occurrence)
    await world.received()
    await world.ready(occurrence)
    await world.presence(ONLINE, (Presence.SILENT, EIGHT + 2 * MINUTE))
    await world.listening(BEFORE, CLOSED)


def told(state: str) -> Known:
    async def known(world: World, occurrence: Occurrence) -> None:
        await world.published(occurrence)
        await world.received()
        await world.ready(occurrence, state)
        await world.presence(ONLINE)

    return known


async def silent_about_readiness(world: World, occurrence: Occurrence) -> None:
    await world.published(occurrence)
    await world.received()
    await world.presence(ONLINE)


def faulty(kind: str, closed_minutes: int | None = None) -> Known:
    async def known(world: World, occurrence: Occurrence) -> None:
        await everything(world, occurrence)
        closed_at = None if closed_minutes is None else EIGHT + closed_minutes * MINUTE
        world.session.add(
            Fault(device_id=world.devices["D-1"].id, kind=kind, opened_at=BEFORE,
                  closed_at=closed_at)
        )  # fmt: skip

    return known


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        (everything, "unexplained"),
        (no_device, "no_device"),
        (not_published, "not_published"),
        (not_received, "not_received"),
        (received_too_late, "not_received"),
        (refused("signature"), "refused"),
        # A late repetition of what the device has replaced: it holds a newer one.
        (refused("revision"), "not_received"),
        (never_heard, "offline"),
        (offline, "offline"),
        (back_after_the_window, "offline"),
        (lost_contact_since, "offline"),
        (power_came_back, "powered_off"),
        (declared(OutageKind.POWER_CUT, cluster="C-1"), "powered_off"),
        (declared(OutageKind.POWER_CUT, area_code=PROVINCE), "powered_off"),
        (declared(OutageKind.MAINTENANCE, area_code="V-1"), "maintenance"),
        (declared(OutageKind.MAINTENANCE, area_code="V-2"), "offline"),
        (server_was_deaf, "server_away"),
        (told("waiting"), "not_ready"),
        (told("no_codec"), "no_codec"),
        (silent_about_readiness, "not_ready"),
        (faulty("clock_untrusted"), "clock_untrusted"),
        (faulty("local_override", closed_minutes=1), "local_override"),
        (faulty("local_override", closed_minutes=-1), "unexplained"),
    ],
)
async def test_silence_is_explained_by_what_is_known(
    world: World, known: Known, reason: str
) -> None:
    occurrence = await world.planned()
    await known(world, occurrence)
    await world.session.flush()
    assert await close_due(world.session, CLOSED, WAIT) == 2
    assert (await world.plays(occurrence))["C-1"] == ("missed", reason)


async def test_closing_waits_for_late_journals(world: World) -> None:
    occurrence = await world.planned()
    assert await close_due(world.session, CLOSED - SECOND, WAIT) == 0
    assert (await world.plays(occurrence))["C-1"] == ("planned", "")


async def test_closing_goes_on_where_a_batch_ended(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closer, "BATCH", 3)
    made = [await world.planned(starts_at=EIGHT + day * timedelta(days=1)) for day in range(2)]
    later = CLOSED + timedelta(days=1)
    assert [await close_due(world.session, later, WAIT) for _ in range(3)] == [3, 1, 0]
    for occurrence in made:
        assert {state for state, _ in (await world.plays(occurrence)).values()} == {"missed"}


async def test_closed_play_names_the_device_that_should_have_played(world: World) -> None:
    occurrence = await world.planned()
    await close_due(world.session, CLOSED, WAIT)
    play = await world.play(occurrence)
    assert (play.device_id, play.settled_at, play.restated) == (
        world.devices["D-1"].id, CLOSED, 0,
    )  # fmt: skip

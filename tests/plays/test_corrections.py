"""Whatever is corrected of the past, the plays that it concerns are settled again."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from broadcast.areas.model import Area
from broadcast.devices import enrolment, installations
from broadcast.devices.model import Device, Installation
from broadcast.indicators.model import VillageExclusion
from broadcast.plays import corrections
from broadcast.plays.closer import close_due
from broadcast.plays.model import Correction, JournalRecord
from broadcast.stations.model import Cluster, ClusterVillage, Grade, Outage, OutageKind
from broadcast.telemetry.presence import Presence
from tests.callers import LAN
from tests.devices.fleet import EIGHT, MINUTE, SECOND
from tests.plays.world import BEFORE, CLOSED, COMMUNE, WAIT, World, ended, started

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LATER = EIGHT + 6 * HOUR
"""When somebody sits down and corrects what is on record."""


@pytest.fixture(autouse=True)
async def nothing_marked(world: World) -> None:
    await world.session.execute(sa.delete(Correction))


async def settled(world: World, now: datetime = LATER, known: timedelta = 80 * DAY) -> None:
    """What the dispatcher does about the marks."""
    await world.session.flush()
    while ids := await corrections.pending(world.session, now, now - known, (), 20):
        await corrections.apply(world.session, ids, now, now - known, WAIT)
    assert await world.session.scalar(sa.select(sa.func.count()).select_from(Correction)) == 0


async def uninstall(world: World, cluster: str, at: datetime) -> None:
    await installations.remove(world.session, world.clusters[cluster], at)


async def install(world: World, device: str, cluster: str, at: datetime, **how: Any) -> None:
    box, place = world.devices[device], world.clusters[cluster]
    await installations.install(world.session, box, place, at, **how)


async def test_an_installation_put_down_later_settles_what_the_box_had_told(world: World) -> None:
    """Installed at seven, played at eight, written down at two in the afternoon."""
    await uninstall(world, "C-1", EIGHT - 2 * HOUR)
    occurrence = await world.planned()
    await world.report(started(1, occurrence), ended(2, occurrence), device="D-3")
    await close_due(world.session, CLOSED, WAIT)
    assert (await world.plays(occurrence))["C-1"] == ("missed", "no_device")
    await settled(world)
    assert (await world.plays(occurrence))["C-1"] == ("missed", "no_device")
    await install(world, "D-3", "C-1", EIGHT - HOUR)
    await settled(world)
    play = await world.play(occurrence)
    assert (play.state, play.device_id) == ("played", world.devices["D-3"].id)
    assert play.restated == 1
    assert (await world.changes(occurrence))[-1] == (
        "missed", "no_device", "played", "", "installations",
    )  # fmt: skip
    places = await world.session.scalars(sa.select(JournalRecord.cluster_id))
    assert {*places} == {world.clusters["C-1"].id}


async def test_an_installation_of_after_the_start_leaves_it_as_it_is(world: World) -> None:
    await uninstall(world, "C-1", EIGHT - 2 * HOUR)
    occurrence = await world.planned()
    await world.report(started(1, occurrence), ended(2, occurrence), device="D-3")
    await close_due(world.session, CLOSED, WAIT)
    before = await world.changes(occurrence)
    await install(world, "D-3", "C-1", EIGHT + HOUR)
    await settled(world)
    assert (await world.plays(occurrence))["C-1"] == ("missed", "no_device")
    assert await world.changes(occurrence) == before


async def test_what_was_taken_down_before_the_start_did_not_sound_there(world: World) -> None:
    occurrence = await world.planned()
    await world.report(started(1, occurrence), ended(2, occurrence))
    assert (await world.plays(occurrence))["C-1"] == ("played", "")
    await uninstall(world, "C-1", EIGHT - HOUR)
    await settled(world, now=LATER)
    assert (await world.plays(occurrence))["C-1"] == ("missed", "no_device")
    assert (await world.changes(occurrence))[-1][-1] == "installations"


async def test_a_box_that_was_moved_sounded_where_it_hung(world: World) -> None:
    """D-1 went from C-1 to C-2 at seven: its records are those of C-2."""
    await uninstall(world, "C-2", EIGHT - 2 * HOUR)
    occurrence = await world.planned()
    await world.report(started(1, occurrence), ended(2, occurrence))
    await close_due(world.session, CLOSED, WAIT)
    assert await world.plays(occurrence) == {
        "C-1": ("played", ""), "C-2": ("missed", "no_device"),
    }  # fmt: skip
    await install(world, "D-1", "C-2", EIGHT - HOUR, move=True)
    await settled(world)
    assert await world.plays(occurrence) == {
        "C-1": ("missed", "no_device"), "C-2": ("played", ""),
    }  # fmt: skip


@pytest.mark.parametrize("how", ["moment", "delete", "cluster", "device"])
async def test_a_correction_by_hand_is_one_too(world: World, how: str) -> None:
    occurrence = await world.planned()
    await world.report(started(1, occurrence), ended(2, occurrence))
    [row] = await world.session.scalars(
        sa.select(Installation).where(Installation.device_id == world.devices["D-1"].id)
    )
    match how:
        case "moment":
            row.installed_at = EIGHT + HOUR
        case "delete":
            await world.session.delete(row)
        case "cluster":
            elsewhere = Cluster(code="C-9", name="C-9", plant_id=world.clusters["C-1"].plant_id,
                                evidence="telemetry", installed_on=date(2025, 1, 1))  # fmt: skip
            world.session.add(elsewhere)
            await world.session.flush()
            row.cluster_id = elsewhere.id
        case "device":
            row.device_id = world.devices["D-3"].id
    await settled(world)
    state, reason = (await world.plays(occurrence))["C-1"]
    assert state == "missed"
    assert (reason == "no_device") == (how != "device")


async def test_a_retirement_in_the_past_is_a_removal(world: World) -> None:
    occurrence = await world.planned()
    await world.report(started(1, occurrence), ended(2, occurrence))
    device = await world.session.get_one(Device, world.devices["D-1"].id)
    await enrolment.retire(world.session, device, EIGHT - HOUR)
    await settled(world)
    assert (await world.plays(occurrence))["C-1"] == ("missed", "no_device")


async def silent(world: World) -> Any:
    """A play of a box that was offline, of which nobody has told anything."""
    occurrence = await world.planned()
    await world.published(occurrence)
    await world.received()
    await world.presence((Presence.OFFLINE, BEFORE))
    await world.listening(BEFORE, LATER)
    await close_due(world.session, CLOSED, WAIT)
    assert (await world.plays(occurrence))["C-1"] == ("missed", "offline")
    return occurrence


def outage(**changes: Any) -> Outage:
    facts: dict[str, Any] = {
        "kind": OutageKind.POWER_CUT, "cluster_id": None, "area_code": None, "document": "",
        "starts_at": EIGHT - HOUR, "ends_at": EIGHT + HOUR, "declared_by": LAN,
    }  # fmt: skip
    return Outage(**facts | changes)


async def test_an_outage_declared_corrected_and_deleted_later(world: World) -> None:
    occurrence = await silent(world)
    row = outage(cluster_id=world.clusters["C-1"].id)
    world.session.add(row)
    await settled(world)
    assert (await world.plays(occurrence))["C-1"] == ("missed", "powered_off")
    assert (await world.changes(occurrence))[-1][-1] == "outages"
    row.kind = OutageKind.MAINTENANCE
    await settled(world)
    assert (await world.plays(occurrence))["C-1"] == ("missed", "maintenance")
    row.ends_at = EIGHT - 30 * MINUTE
    await settled(world)
    assert (await world.plays(occurrence))["C-1"] == ("missed", "offline")
    row.ends_at = EIGHT + HOUR
    await settled(world)
    await world.session.delete(row)
    await settled(world)
    assert (await world.plays(occurrence))["C-1"] == ("missed", "offline")


@pytest.mark.parametrize("area", ["V-1", COMMUNE, "51"])
async def test_an_outage_of_an_area_concerns_the_clusters_in_it(world: World, area: str) -> None:
    occurrence = await silent(world)
    world.session.add(outage(area_code=area))
    await settled(world)
    assert (await world.plays(occurrence))["C-1"] == ("missed", "powered_off")


async def test_a_change_of_villages_says_whom_an_outage_concerned(world: World) -> None:
    occurrence = await silent(world)
    world.session.add(outage(area_code="V-2"))
    await settled(world)
    assert (await world.plays(occurrence))["C-1"] == ("missed", "offline")
    world.session.add(
        ClusterVillage(cluster_id=world.clusters["C-1"].id, village_code="V-2",
                       valid_from=date(2025, 1, 1), grade=Grade.PRIMARY)
    )  # fmt: skip
    await settled(world)
    assert (await world.plays(occurrence))["C-1"] == ("missed", "powered_off")
    assert (await world.changes(occurrence))[-1][-1] == "cluster_villages"


async def test_a_change_of_areas_says_whom_an_outage_concerned(world: World) -> None:
    occurrence = await silent(world)
    world.session.add(outage(area_code=COMMUNE))
    await settled(world)
    village = await world.session.scalar(sa.select(Area).where(Area.code == "V-1"))
    assert village is not None
    village.parent_code = "51"
    await settled(world)
    assert (await world.plays(occurrence))["C-1"] == ("missed", "offline")


async def test_a_village_left_out_of_the_figures_changes_no_play(world: World) -> None:
    occurrence = await silent(world)
    world.session.add(
        VillageExclusion(village_code="V-1", valid_from=date(2025, 1, 1), valid_to=None,
                         document="CV 12/UBND", declared_by=LAN)
    )  # fmt: skip
    await settled(world)
    assert (await world.plays(occurrence))["C-1"] == ("missed", "offline")
    causes = {cause for *_, cause in await world.changes(occurrence)}
    assert causes.isdisjoint({"village_exclusions", "outages"})


async def test_ordinary_changes_of_today_leave_no_mark_behind(world: World) -> None:
    occurrence = await world.planned(recurrence_at=LATER + HOUR, starts_at=LATER + HOUR,
                                     ends_by=LATER + HOUR + 5 * MINUTE)  # fmt: skip
    await install(world, "D-3", "C-1", LATER)
    await settled(world)
    assert await world.changes(occurrence) == []


async def test_a_long_correction_is_taken_up_in_pieces(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corrections, "BATCH", 2)
    rows = [
        await world.planned(recurrence_at=EIGHT + n * SECOND, starts_at=EIGHT + n * SECOND)
        for n in range(7)
    ]
    for number, occurrence in enumerate(rows):
        records = started(2 * number + 1, occurrence), ended(2 * number + 2, occurrence)
        await world.report(*records)
    await uninstall(world, "C-1", EIGHT - HOUR)
    await settled(world)
    states = [(await world.plays(occurrence))["C-1"] for occurrence in rows]
    assert states == [("missed", "no_device")] * 7


async def test_what_is_known_no_more_around_a_silent_play_does_not_change_its_reason(
    world: World,
) -> None:
    """Receipts are gone after months; records are not."""
    occurrence = await silent(world)
    world.session.add(outage(cluster_id=world.clusters["C-1"].id))
    await settled(world, now=EIGHT + 100 * DAY)
    assert (await world.plays(occurrence))["C-1"] == ("missed", "offline")
    told = await world.planned(recurrence_at=EIGHT + SECOND, starts_at=EIGHT + SECOND)
    await world.report(started(1, told), ended(2, told))
    await uninstall(world, "C-1", EIGHT - HOUR)
    await settled(world, now=EIGHT + 100 * DAY)
    assert (await world.plays(told))["C-1"] == ("missed", "no_device")

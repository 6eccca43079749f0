"""How an occurrence sounded, village by village."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.model import Level
from broadcast.areas.topology import touch
from broadcast.auth.permissions import Role
from broadcast.kit.errors import NotFound
from broadcast.plays import soundings, texts
from broadcast.plays.closer import close_due
from broadcast.plays.results import result_of
from broadcast.plays.schemas import OccurrenceResultOut
from broadcast.plays.settle import PlayState, Reason
from broadcast.plays.soundings import Sounding
from broadcast.schedules.model import Occurrence, OccurrenceState
from broadcast.stations.model import ClusterVillage
from broadcast.telemetry.presence import Presence
from tests import province
from tests.callers import caller
from tests.devices.fleet import EIGHT, MINUTE
from tests.plays.world import BEFORE, CLOSED, COMMUNE, WAIT, World, ended, skipped, started

WHOLE = caller("Lan", Role.PROVINCE_MONITOR)


async def result(world: World, of: Occurrence, **changes: Any) -> OccurrenceResultOut:
    return await result_of(world.session, of.id, changes.get("by", WHOLE))


def test_every_reason_has_a_remedy() -> None:
    assert texts.REMEDIES.keys() == set(Reason)
    assert texts.SOUNDINGS.keys() == set(Sounding)
    assert texts.remedy("dời sang chiều") == ""


def test_every_state_is_a_sounding() -> None:
    assert {soundings.of_play(state, "") for state in PlayState} == set(Sounding) - {
        Sounding.UNKNOWN,
        Sounding.UNREACHED,
    }


@pytest.mark.parametrize("reason", sorted(soundings.UNKNOWN_REASONS))
def test_what_nobody_told_us_is_not_silence(reason: Reason) -> None:
    assert soundings.of_play(PlayState.MISSED, reason) is Sounding.UNKNOWN
    assert soundings.of_play(PlayState.PARTIAL, reason) is Sounding.PARTLY


async def test_before_it_starts_all_villages_wait(world: World) -> None:
    planned = await result(world, await world.planned())
    assert planned.counts == {Sounding.WAITING: 2}
    assert not planned.is_settled
    assert planned.answer == "Chờ phát lúc 08:00 01/07/2025 ở 2 thôn, tổ dân phố."


async def test_one_sounded_and_one_skipped(world: World) -> None:
    occurrence = await world.planned()
    await world.report(started(1, occurrence), ended(2, occurrence))
    await world.report(skipped(1, occurrence, "powered_off"), device="D-2")
    await close_due(world.session, CLOSED, WAIT)
    found = await result(world, occurrence)
    assert found.is_settled
    assert (found.villages_count, found.counts) == (
        2, {Sounding.SOUNDED: 1, Sounding.SILENT: 1}
    )  # fmt: skip
    assert found.answer == (
        "Đã phát ở 1 trong 2 thôn, tổ dân phố; thôn V-2 không phát (thiết bị mất điện)."
    )
    silent, sounded = found.villages
    assert (silent.code, silent.commune_code, silent.clusters) == ("V-2", COMMUNE, ["C-2"])
    assert "cầu dao" in silent.remedy
    assert (sounded.code, sounded.remedy, sounded.reason_text) == ("V-1", "", "")
    one, two = found.clusters
    assert (one.code, one.evidence_text) == ("C-1", "thiết bị tự báo")
    assert one.verdict.startswith("Đã phát lúc 08:00:00")
    assert (two.sounding, two.reason) == (Sounding.SILENT, "powered_off")


async def test_who_lost_contact_is_not_called_silent(world: World) -> None:
    occurrence = await world.planned()
    await world.published(occurrence)
    await world.received()
    await world.ready(occurrence)
    await world.listening(BEFORE, CLOSED)
    await world.presence((Presence.ONLINE, BEFORE), (Presence.OFFLINE, EIGHT - 30 * MINUTE))
    await close_due(world.session, CLOSED, WAIT)
    found = {each.code: each for each in (await result(world, occurrence)).villages}
    assert found["V-1"].sounding is Sounding.UNKNOWN
    assert "nhật ký" in found["V-1"].remedy


async def test_a_village_sounds_if_one_of_its_clusters_does(world: World) -> None:
    occurrence = await world.planned()
    world.session.add(province.service(world.clusters["C-1"], "V-2"))
    await world.session.flush()
    await world.report(started(1, occurrence), ended(2, occurrence))
    await world.report(skipped(1, occurrence, "no_audio"), device="D-2")
    found = await result(world, occurrence)
    assert found.counts == {Sounding.SOUNDED: 2}
    both = next(each for each in found.villages if each.code == "V-2")
    assert both.clusters == ["C-1", "C-2"]


async def test_a_village_without_loudspeaker_is_named(world: World) -> None:
    world.session.add(province.area("V-9", Level.VILLAGE, COMMUNE, name="Bến Đình"))
    await touch(world.session)
    found = await result(world, await world.planned())
    assert (found.villages_count, found.counts[Sounding.UNREACHED]) == (3, 1)
    assert "thôn Bến Đình chưa có cụm loa" in found.answer
    assert found.villages[0].remedy == texts.UNREACHED_REMEDY


async def test_services_of_the_day_count(world: World) -> None:
    await world.session.execute(
        sa.update(ClusterVillage)
        .where(ClusterVillage.village_code == "V-2")
        .values(valid_to=(EIGHT - timedelta(days=1)).date())
    )
    found = await result(world, await world.planned())
    assert {each.code: each.sounding for each in found.villages} == {
        "V-1": Sounding.WAITING,
        "V-2": Sounding.UNREACHED,
    }


async def test_cancelled(world: World) -> None:
    occurrence = await world.planned()
    occurrence.state, occurrence.cancel_reason = OccurrenceState.CANCELLED, "mưa bão"
    await world.plan([occurrence], EIGHT - timedelta(hours=1))
    found = await result(world, occurrence)
    assert found.counts == {Sounding.CANCELLED: 2}
    assert found.answer == "Đã hủy, không phát lúc 08:00 01/07/2025: mưa bão."


async def test_one_that_was_taken_out_of_the_audience_does_not_count(world: World) -> None:
    occurrence = await world.planned()
    world.schedule.targets = [{"cluster": "C-1"}]
    occurrence.scopes = ["device/D-1"]
    await world.session.flush()
    await world.plan([occurrence], EIGHT - timedelta(hours=1))
    found = await result(world, occurrence)
    assert {each.code: each.sounding for each in found.clusters} == {
        "C-1": Sounding.WAITING,
        "C-2": Sounding.CANCELLED,
    }
    assert [each.code for each in found.villages] == ["V-1"]


async def test_there_is_none(session: AsyncSession) -> None:
    with pytest.raises(NotFound):
        await result_of(session, province.uuid4(), WHOLE)


def test_an_answer_names_three_and_counts_the_rest() -> None:
    others = [(f"thôn {n}", Sounding.SILENT, "mất điện") for n in range(5)]
    counts = Counter({Sounding.SILENT: 5, Sounding.SOUNDED: 4})
    said = texts.answer(counts, others, EIGHT)
    assert said.startswith("Đã phát ở 4 trong 9 thôn, tổ dân phố; thôn 0 không phát (mất điện);")
    assert said.endswith("và 2 nơi khác.")
    under_way = Counter({Sounding.PLAYING: 1, Sounding.SOUNDED: 4})
    assert texts.answer(under_way, [], EIGHT).startswith("Đang phát; tới lúc này đã phát xong ở 4")
    assert texts.answer(Counter(), [], EIGHT).startswith("Không có thôn")

"""Targets follow their villages through mergers, and never to a larger unit."""

from __future__ import annotations

from datetime import date, timedelta
from typing import NamedTuple

import pytest
import sqlalchemy as sa
from hypothesis import assume, given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.model import Area, AreaLineage, Level, Part
from broadcast.areas.standing import resolve_area
from broadcast.areas.topology import TOUCHED, touch
from broadcast.areas.tree import DAY, Lineage, Unit
from broadcast.devices.enrolment import enrol
from broadcast.devices.installations import install
from broadcast.devices.schemas import NewDeviceIn
from broadcast.kit.errors import InvalidInput
from broadcast.schedules.targets import (
    KEPT,
    Days,
    Resolved,
    TargetResolver,
    check,
    target_resolver,
)
from broadcast.stations.clusters import find_cluster
from broadcast.stations.model import Cluster
from broadcast.wire.fields import Codec
from tests.areas.worlds import BEGIN, World, worlds
from tests.schedules import province
from tests.schedules.province import NOW, TODAY

BEFORE, AFTER, TWO_TIER = date(2024, 12, 31), date(2025, 1, 1), date(2025, 7, 1)


@pytest.fixture
async def ids(session: AsyncSession) -> dict[str, int]:
    """Clusters of the built province by code."""
    await province.build(session)
    rows = await session.execute(sa.select(Cluster.code, Cluster.id))
    return dict(rows.all())


class Reached(NamedTuple):
    """What no calendar touches."""

    scopes: list[str]
    cluster_ids: frozenset[int]


async def reach(
    session: AsyncSession, targets: list[dict[str, str]], on: date, meant_on: date = TODAY
) -> Reached:
    found: Resolved = await (await target_resolver(session)).resolve(targets, meant_on, on)
    assert (found.silent, found.is_off) == ({}, False)
    return Reached(found.scopes, found.cluster_ids)


async def test_a_unit_that_stands_is_its_own_document(
    session: AsyncSession, ids: dict[str, int]
) -> None:
    for on in (TODAY, BEFORE):
        found = await reach(session, [{"area": "21253"}], on)
        assert found == (["area/21253"], {ids["C-1"]})
    found = await reach(session, [{"area": "51"}], TODAY)
    # C-2 serves T-1 partially only: it follows T-2. C-3 has no telemetry.
    assert found == (["area/51"], {ids["C-1"], ids["C-2"], ids["C-4"]})


async def test_a_dissolved_commune_stands_for_its_villages_and_not_for_its_successor(
    session: AsyncSession, ids: dict[str, int]
) -> None:
    for on in (AFTER, TWO_TIER):
        found = await reach(session, [{"area": "21253"}], on)
        assert found == (["area/T-1"], {ids["C-1"]})


async def test_a_commune_that_took_another_in_stands_for_the_villages_it_had(
    session: AsyncSession, ids: dict[str, int]
) -> None:
    found = await reach(session, [{"area": "21262"}], AFTER)
    assert found == (["area/T-2"], {ids["C-2"]})
    found = await reach(session, [{"area": "21262"}], AFTER, meant_on=AFTER)
    assert found == (["area/21262"], {ids["C-1"], ids["C-2"]})


async def test_a_province_that_grew_stands_for_the_communes_it_wholly_had(
    session: AsyncSession, ids: dict[str, int]
) -> None:
    kon_tum = Area(
        code="62", level=Level.PROVINCE, kind="tỉnh", name="Kon Tum", parent_code=None,
        valid_from=date(2020, 2, 1), valid_to=date(2025, 6, 30),
    )  # fmt: skip
    step = AreaLineage(
        old_code="62", new_code="51", effective_on=TWO_TIER, part=Part.WHOLE, legal_act="202/2025"
    )
    session.add_all([kon_tum, step])
    await touch(session)
    assert (await reach(session, [{"area": "51"}], BEFORE)).scopes == ["area/51"]
    found = await reach(session, [{"area": "51"}], TWO_TIER)
    # An Phú and Lý Sơn hold no other villages; T-3 is of a commune that was divided.
    assert found.scopes == ["area/21034", "area/21548", "area/T-3"]
    assert found.cluster_ids == {ids["C-1"], ids["C-2"], ids["C-4"]}


async def test_a_cluster_is_reached_by_the_document_of_its_device(
    session: AsyncSession, ids: dict[str, int]
) -> None:
    found = await reach(session, [{"cluster": "C-1"}, {"area": "21253"}], TODAY)
    assert found == (["area/21253", "device/D-1"], {ids["C-1"]})
    cluster = await find_cluster(session, "C-1")
    assert cluster is not None
    new = await enrol(session, NewDeviceIn(code="D-9", codecs={Codec.MP3}), NOW)
    await install(session, new, cluster, NOW)
    found = await reach(session, [{"cluster": "C-1"}], TODAY)
    assert found == (["device/D-9"], {ids["C-1"]})


async def test_a_cluster_without_a_device_has_plays_but_no_document(
    session: AsyncSession, ids: dict[str, int]
) -> None:
    await session.execute(sa.text("UPDATE installations SET removed_at = installed_at"))
    await touch(session)
    assert await reach(session, [{"cluster": "C-4"}], TODAY) == ([], {ids["C-4"]})


async def test_what_is_not_there_is_refused_with_what_replaced_it(session: AsyncSession) -> None:
    await province.build(session)
    await check(session, [{"area": "21253"}, {"cluster": "C-1"}], BEFORE)
    with pytest.raises(InvalidInput, match="không còn từ 2025-01-01; nay là 21262") as refused:
        await check(session, [{"area": "51"}, {"area": "21253"}], AFTER)
    assert refused.value.field == "targets.1.area"
    assert refused.value.extra["replaced_by"] == ["21262"]
    for code, said in (("C-9", "không có cụm loa"), ("C-3", "không nhận lịch qua mạng")):
        with pytest.raises(InvalidInput, match=said) as refused:
            await check(session, [{"cluster": code}], TODAY)
        assert refused.value.field == "targets.0.cluster"


async def test_what_was_read_is_forgotten_when_the_topology_is_touched(
    session: AsyncSession, ids: dict[str, int]
) -> None:
    assert (await reach(session, [{"area": "21253"}], TODAY)).cluster_ids == {ids["C-1"]}
    await session.execute(sa.text("UPDATE clusters SET removed_on = '2024-12-01'"))
    await touch(session)
    assert (await reach(session, [{"area": "21253"}], TODAY)).cluster_ids == set()


async def test_another_transaction_reads_a_day_again_only_once_the_topology_is_touched(
    session: AsyncSession, ids: dict[str, int]
) -> None:
    days = session.info[KEPT] = Days()

    async def reached_by_another() -> frozenset[int]:
        del session.info[TargetResolver]
        return (await reach(session, [{"area": "21253"}], TODAY)).cluster_ids

    session.info.pop(TOUCHED, None)
    await reach(session, [{"area": "21253"}], TODAY)
    await session.execute(sa.text("UPDATE cluster_villages SET grade = 'partial'"))
    assert await reached_by_another() == {ids["C-1"]}  # it was kept
    await touch(session)
    assert await reached_by_another() == set()
    # What a transaction has changed itself, and may still roll back, is kept for nobody.
    await session.execute(sa.text("UPDATE topology SET revision = revision - 1"))
    session.info.pop(TOUCHED)
    assert await reached_by_another() == {ids["C-1"]}
    for on in (BEFORE, AFTER, TWO_TIER, TWO_TIER + DAY, TWO_TIER + 2 * DAY):
        days.put(9, on, await (await target_resolver(session))._load_day(on))
    assert len(days._days) <= Days.MOST


def test_equal_reaches_have_equal_digests() -> None:
    one = Resolved(["area/51"], frozenset({1, 2, 3}))
    assert one.digest() == Resolved(["area/51"], frozenset({3, 2, 1})).digest()
    assert one.digest() != Resolved(["area/51"], frozenset({1, 2})).digest()
    assert one.digest() != Resolved(["area/21262"], one.cluster_ids).digest()


# --- in every invented province ------------------------------------------------------------------


@st.composite
def with_villages(draw: st.DrawFn) -> World:
    """An invented province with two villages in every commune of its first day.

    Each follows its commune; of a divided one it goes to any of the units that took a part.
    """
    world = draw(worlds())
    lineage = Lineage(world.units, world.steps)
    units = list(world.units)
    for commune in lineage.tree_on(BEGIN).under("51", Level.COMMUNE):
        for code in (f"{commune.code}-1", f"{commune.code}-2"):
            parent, since = commune.code, BEGIN
            for day in lineage.days(BEGIN, world.days[-1]):
                heirs = lineage.next(parent, day) or ["51"]
                heir = draw(st.sampled_from(heirs)) if parent != "51" else "51"
                if heir != parent:
                    units.append(village(code, parent, since, day - DAY))
                    parent, since = heir, day
            units.append(village(code, parent, since, None))
    return World(units, world.steps, world.days)


def village(code: str, parent: str, since: date, until: date | None) -> Unit:
    return Unit(code, Level.VILLAGE, "thôn", code, parent, since, until)


@given(with_villages(), st.data())
def test_no_merger_ever_widens_a_target(world: World, data: st.DataObject) -> None:
    lineage = Lineage(world.units, world.steps)
    meant_on, on = sorted(
        data.draw(st.tuples(st.sampled_from(world.days), st.sampled_from(world.days)))
    )
    meant, present = lineage.tree_on(meant_on), lineage.tree_on(on)
    code = data.draw(st.sampled_from(sorted(unit.code for unit in meant)))
    had = set(meant.villages(code))
    scopes = resolve_area(lineage, code, meant_on, on)
    reached = [village for scope in scopes for village in present.villages(scope)]
    assert set(reached) <= had
    assert len(reached) == len(set(reached))
    if scopes != [code]:
        assert set(reached) == had


@given(with_villages())
def test_a_target_stands_for_itself_on_its_own_day(world: World) -> None:
    lineage = Lineage(world.units, world.steps)
    for day in world.days:
        for unit in lineage.tree_on(day):
            assert resolve_area(lineage, unit.code, day, day) == [unit.code]


@given(with_villages(), st.data())
def test_what_nothing_happened_to_stands_for_itself(world: World, data: st.DataObject) -> None:
    lineage = Lineage(world.units, world.steps)
    last = world.days[-1]
    code = data.draw(st.sampled_from(sorted(unit.code for unit in lineage.tree_on(last))))
    unit = lineage.tree_on(last)[code]
    assume(unit.valid_from <= BEGIN + timedelta(0))
    touched = {step.new_code for step in world.steps} | {step.old_code for step in world.steps}
    assume(code not in touched and code != "51")
    assert resolve_area(lineage, code, BEGIN, last) == [code]

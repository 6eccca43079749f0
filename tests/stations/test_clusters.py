"""Which areas a cluster follows, and which clusters an area has, on any day."""

from __future__ import annotations

from datetime import date, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.placement import Registered
from broadcast.areas.row_imports import import_files
from broadcast.areas.units import load_tree
from broadcast.areas.villages import register
from broadcast.stations.clusters import clusters_serving, find_cluster, followed_areas
from broadcast.stations.imports import KINDS
from broadcast.stations.model import Cluster, Evidence
from tests.stations import sample

PLAN_148 = date(2024, 7, 9)
ACT_1677 = date(2025, 7, 1)


async def ids(session: AsyncSession) -> dict[str, int]:
    return dict((await session.execute(sa.select(Cluster.code, Cluster.id))).all())


async def followed(session: AsyncSession, on: date) -> dict[str, list[str]]:
    codes = {number: code for code, number in (await ids(session)).items()}
    return {codes[key]: value for key, value in (await followed_areas(session, on)).items()}


async def test_a_cluster_follows_its_primary_villages_and_all_above(session: AsyncSession) -> None:
    await sample.everything(session)
    assert await followed(session, PLAN_148) == {
        "C-1": ["T-1", "21253", "522", "51"],
        "C-2": ["T-2", "21262", "522", "51"],
        "C-3": ["T-3", "21142", "525", "51"],
        "C-4": ["T-4", "536", "51"],
    }


async def test_a_cluster_follows_the_units_of_the_day(session: AsyncSession) -> None:
    await sample.everything(session)
    assert await followed(session, ACT_1677) == {
        "C-1": ["T-1", "21034", "51"],
        "C-2": ["T-2", "21034", "51"],
        # Its commune was divided: what is certain is the province.
        "C-3": ["T-3", "51"],
        "C-4": ["T-4", "21548", "51"],
    }


async def test_only_the_clusters_asked_for_are_told(session: AsyncSession) -> None:
    await sample.everything(session)
    wanted = (await ids(session))["C-4"]
    assert list(await followed_areas(session, PLAN_148, [wanted])) == [wanted]
    assert await followed_areas(session, PLAN_148, []) == {}


async def test_a_cluster_that_is_not_there_follows_nothing(session: AsyncSession) -> None:
    await sample.everything(session)
    assert await followed_areas(session, date(2023, 12, 31)) == {}
    cluster = await find_cluster(session, "C-1")
    assert cluster is not None
    cluster.removed_on = ACT_1677
    await session.flush()
    assert "C-1" in await followed(session, ACT_1677 - timedelta(days=1))
    assert "C-1" not in await followed(session, ACT_1677)
    assert await clusters_serving(session, ["T-1"], ACT_1677) == {"T-1": set()}


async def test_an_area_has_the_clusters_of_its_villages(session: AsyncSession) -> None:
    await sample.everything(session)
    number = await ids(session)
    serving = await clusters_serving(session, ["51", "21253", "T-1", "T-3", "21548"], PLAN_148)
    assert serving == {
        "51": {number["C-1"], number["C-2"], number["C-4"]},
        "21253": {number["C-1"]},
        # C-2 serves T-1 only in part.
        "T-1": {number["C-1"]},
        # C-3 has no telemetry.
        "T-3": set(),
        "21548": set(),
    }


async def test_a_village_that_is_no_more_still_hears_its_commune(session: AsyncSession) -> None:
    await sample.everything(session)
    await register(
        session, Registered("T-1", "thôn", "Thôn Phú Bình", "21253", date(2020, 2, 1), PLAN_148)
    )
    later = PLAN_148 + timedelta(days=1)
    number = await ids(session)
    assert (await followed(session, later))["C-1"] == ["T-1", "21253", "522", "51"]
    assert (await followed(session, ACT_1677))["C-1"] == ["T-1", "21034", "51"]
    serving = await clusters_serving(session, ["21034", "T-1"], ACT_1677)
    assert serving == {"21034": {number["C-1"], number["C-2"]}, "T-1": {number["C-1"]}}


async def test_following_and_serving_are_the_same_relation(session: AsyncSession) -> None:
    await sample.everything(session)
    await register(
        session, Registered("T-2", "thôn", "Thôn Tân Mỹ", "21262", date(2020, 2, 1), PLAN_148)
    )
    await session.execute(sa.update(Cluster).values(evidence=Evidence.TELEMETRY))
    for on in (PLAN_148, date(2025, 1, 4), ACT_1677):
        codes = [unit.code for unit in await load_tree(session, on)]
        following = {
            (code, cluster)
            for cluster, areas in (await followed_areas(session, on)).items()
            for code in areas
            if code in codes
        }
        serving = await clusters_serving(session, codes, on)
        assert {(code, each) for code, found in serving.items() for each in found} == following


async def test_a_cluster_of_two_villages_follows_both_communes(session: AsyncSession) -> None:
    await sample.everything(session)
    header = "code,name,plant_code,installed_on,villages\n"
    row = "C-2,Cảng Tân Mỹ,P-2,2024-01-01,T-1;T-2\n"
    await import_files(session, [sample.file("clusters.csv", header + row)], KINDS)
    assert (await followed(session, PLAN_148))["C-2"] == [
        *("T-1", "T-2"), *("21253", "21262"), "522", "51",
    ]  # fmt: skip

"""Stations, plants, clusters and the baseline list from files."""

from __future__ import annotations

from datetime import date

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.model import Topology
from broadcast.areas.row_imports import import_files
from broadcast.kit.errors import InvalidInput
from broadcast.kit.sheets import Action, File
from broadcast.stations.imports import KINDS
from broadcast.stations.model import (
    BaselineStation,
    Cluster,
    ClusterVillage,
    Grade,
    Plant,
    PlantState,
    Station,
    StationState,
)
from broadcast.stations.schemas import read_villages
from tests.stations import sample

TABLES = (Station, StationState, Plant, PlantState, Cluster, ClusterVillage, BaselineStation)


async def counts(session: AsyncSession) -> list[int]:
    return [
        await session.scalar(sa.select(sa.func.count()).select_from(table)) or 0
        for table in TABLES
    ]


async def served(session: AsyncSession, code: str) -> list[tuple[str, str, date, date | None]]:
    rows = await session.execute(
        sa.select(
            ClusterVillage.village_code,
            ClusterVillage.grade,
            ClusterVillage.valid_from,
            ClusterVillage.valid_to,
        )
        .join(Cluster, Cluster.id == ClusterVillage.cluster_id)
        .where(Cluster.code == code)
        .order_by(ClusterVillage.valid_from, ClusterVillage.village_code)
    )
    return [tuple(row) for row in rows]


@pytest.mark.postgres
async def test_files_are_known_by_their_header_and_stored_in_order(session: AsyncSession) -> None:
    await sample.areas(session)
    report = await import_files(session, sample.FILES, KINDS)
    assert (report.added, report.changed, report.unchanged) == (4 + 4 + 4 + 2, 0, 0)
    assert await counts(session) == [4, 4, 4, 4, 4, 5, 2]
    plant = await session.scalar(sa.select(PlantState).where(PlantState.technologies != ["it"]))
    assert plant is not None
    assert plant.technologies == ["fm", "wired"]


async def test_repeating_an_import_changes_nothing(session: AsyncSession) -> None:
    await sample.everything(session)
    revision = await session.scalar(sa.select(Topology.revision))
    report = await import_files(session, sample.FILES, KINDS)
    assert (report.added, report.changed, report.unchanged) == (0, 0, 14)
    assert await session.scalar(sa.select(Topology.revision)) == revision


async def test_a_dry_run_tells_what_would_change_and_changes_nothing(
    session: AsyncSession,
) -> None:
    await sample.areas(session)
    revision = await session.scalar(sa.select(Topology.revision))
    report = await import_files(session, sample.FILES, KINDS, dry_run=True)
    assert (report.dry_run, report.added) == (True, 14)
    assert await counts(session) == [0] * len(TABLES)
    assert await session.scalar(sa.select(Topology.revision)) == revision


async def test_a_dry_run_tells_the_fate_of_each_row(session: AsyncSession) -> None:
    await sample.everything(session)
    header = sample.CLUSTERS.splitlines()[0] + "\n"
    text = header + (
        "C-1,Nhà văn hóa Phú Bình,P-1,15.12,108.88,4,50,telemetry,2024-01-01,,T-1\n"
        "C-2,Cảng Tân Mỹ,P-2,,,4,100,telemetry,2024-01-01,,T-2:primary;T-1:partial\n"
        "C-5,Chợ,P-9,,,4,100,telemetry,2024-01-01,,T-2\n"
        "C-6,Chợ,P-2,,,bốn,100,telemetry,2024-01-01,,T-2\n"
        "C-7,Chợ,P-2,,,4,100,telemetry,2024-01-01,,T-2\n"
    )
    before = await counts(session)
    file = sample.file("clusters.csv", text)
    report = await import_files(session, [file], KINDS, dry_run=True)
    assert [(row.row, row.fate.value, row.what) for row in report.rows] == [
        (4, "refused", ""),
        (5, "refused", ""),
        (2, "changed", "clusters C-1"),
        (3, "unchanged", "clusters C-2"),
        (6, "added", "clusters C-7"),
    ]
    assert report.rows[0].detail.startswith("plant_code: không có hệ thống")
    assert report.rows[2].detail == "horns_count: 2 → 4"
    assert (report.refused, report.added, report.changed, report.unchanged) == (2, 1, 1, 1)
    assert await counts(session) == before
    with pytest.raises(InvalidInput):
        await import_files(session, [file], KINDS)


async def test_a_change_is_told_field_by_field(session: AsyncSession) -> None:
    await sample.everything(session)
    text = (
        sample.CLUSTERS.splitlines()[0]
        + "\n"
        + (
            "C-1,Nhà văn hóa Phú Bình,P-1,15.12,108.88,4,50,telemetry,"
            "2024-01-01,2025-03-01,T-1:partial;T-2\n"
        )
    )
    report = await import_files(session, [sample.file("clusters.csv", text)], KINDS)
    assert [(c.action, c.what, c.detail) for c in report.changes] == [
        (
            Action.CHANGED,
            "clusters C-1",
            "horns_count: 2 → 4; removed_on: – → 2025-03-01; -T-1 +T-1:partial +T-2:primary",
        )
    ]
    assert await served(session, "C-1") == [
        ("T-1", "partial", date(2024, 1, 1), None),
        ("T-2", "primary", date(2024, 1, 1), None),
    ]


async def test_villages_from_a_later_day_keep_the_past(session: AsyncSession) -> None:
    await sample.everything(session)
    header = "code,name,plant_code,installed_on,villages,villages_from\n"
    row = "C-2,Cảng Tân Mỹ,P-2,2024-01-01,T-2,2024-09-01\n"
    await import_files(session, [sample.file("clusters.csv", header + row)], KINDS)
    assert await served(session, "C-2") == [
        ("T-1", "partial", date(2024, 1, 1), date(2024, 8, 31)),
        ("T-2", "primary", date(2024, 1, 1), None),
    ]


async def test_a_plant_gets_a_row_for_each_day_it_changes(session: AsyncSession) -> None:
    await sample.everything(session)
    text = sample.PLANTS + "P-1,Hệ thống Nghĩa Phú,S-1,2024-06-01,it,operating,nghiệm thu\n"
    report = await import_files(session, [sample.file("plants.csv", text)], KINDS)
    assert (report.changed, report.unchanged) == (1, 4)
    states = await session.scalars(
        sa.select(PlantState)
        .join(Plant, Plant.id == PlantState.plant_id)
        .where(Plant.code == "P-1")
        .order_by(PlantState.valid_from)
    )
    assert [state.technologies for state in states] == [["fm", "wired"], ["it"]]


@pytest.mark.parametrize(
    ("text", "row", "column", "says"),
    [
        (sample.STATIONS + "S-5,Đài,99999,2024-01-01,,operating,,,\n", 6, "commune_code", "99999"),
        (
            sample.STATIONS + "S-5,Đài,21253,2025-07-01,,operating,,,\n",
            6, "commune_code", "nay là 21034",
        ),
        (sample.STATIONS + "S-5,Đài,522,2024-01-01,,operating,,,\n", 6, "commune_code", "cấp xã"),
        (sample.STATIONS + "S-5,Đài,21253,2024-01-01,,operating,,,\n", 6, "commune_code", "S-1"),
        (
            sample.STATIONS + "S-5,Đài,21172,2024-01-01,2023-01-01,operating,,,\n",
            6, "valid_to", "trước ngày",
        ),
        (
            sample.STATIONS + "S-5,Đài,21172,2024-01-01,,operating,2023-01-01,,\n",
            6, "valid_from", "trạng thái",
        ),
        (sample.STATIONS + "S-5,Đài,21172,2024-01-01,,running,,,\n", 6, "status", "operating"),
        (sample.PLANTS + "P-5,Hệ thống,S-9,2024-01-01,it,,\n", 6, "station_code", "không có đài"),
        (sample.PLANTS + "P-5,Hệ thống,S-1,2019-01-01,it,,\n", 6, "station_code", "chỉ có từ"),
        (sample.PLANTS + "P-5,Hệ thống,S-1,2024-01-01,lte,,\n", 6, "technologies", "wired, fm"),
        (sample.CLUSTERS + "C-5,Cụm,P-9,,,1,,,2024-01-01,,T-1\n", 6, "plant_code", "P-9"),
        (sample.CLUSTERS + "C-5,Cụm,P-1,,,1,,,2024-01-01,,\n", 6, "villages", "thôn chính"),
        (
            sample.CLUSTERS + "C-5,Cụm,P-1,,,1,,,2024-01-01,,T-1:partial\n",
            6, "villages", "thôn chính",
        ),
        (sample.CLUSTERS + "C-5,Cụm,P-1,,,1,,,2024-01-01,,T-9\n", 6, "villages", "T-9"),
        (sample.CLUSTERS + "C-5,Cụm,P-1,,,1,,,2024-01-01,,21253\n", 6, "villages", "phải thôn"),
        (sample.CLUSTERS + "C-5,Cụm,P-1,,,1,,,2024-01-01,,T-1;T-1\n", 6, "villages", "hai lần"),
        (sample.CLUSTERS + "C-5,Cụm,P-1,,,1,,,2024-01-01,,T-1:main\n", 6, "villages", "primary"),
        (
            sample.CLUSTERS + "C-5,Cụm,P-1,108.8,15.1,1,,,2024-01-01,,T-1\n",
            6, "latitude", "6 đến 24",
        ),
        (sample.CLUSTERS + "C-5,Cụm,P-1,15.1,,1,,,2024-01-01,,T-1\n", 6, "latitude", "kinh độ"),
        (
            sample.CLUSTERS + "C-5,Cụm,P-1,,,1,,,2024-01-01,2024-01-01,T-1\n",
            6, "removed_on", "sau ngày lắp",
        ),
        (sample.BASELINE + "S-2,2024-07-09,it,\n", 4, "technologies", "có dây"),
    ],
)  # fmt: skip
async def test_a_wrong_row_is_refused_with_its_place_and_nothing_is_stored(
    session: AsyncSession, text: str, row: int, column: str, says: str
) -> None:
    await sample.everything(session)
    before = await counts(session)
    with pytest.raises(InvalidInput) as error:
        await import_files(session, [sample.file("x.csv", text)], KINDS)
    found = error.value.extra["errors"]
    assert isinstance(found, list)
    places = {(fault["file"], fault["row"], fault["column"]) for fault in found}
    assert places == {("x.csv", row, column)} or (6, "longitude") in {p[1:] for p in places}
    assert says in found[0]["detail"]
    assert await counts(session) == before


async def test_all_wrong_rows_are_told_at_once(session: AsyncSession) -> None:
    await sample.everything(session)
    text = sample.CLUSTERS + (
        "C-5,Cụm,P-9,,,1,,,2024-01-01,,T-1\nC-6,Cụm,P-1,,,1,,,2024-01-01,,\n"
    )
    with pytest.raises(InvalidInput) as error:
        await import_files(session, [sample.file("clusters.csv", text)], KINDS)
    assert error.value.extra["error_count"] == 2


async def test_a_file_of_no_known_kind_is_refused_with_the_columns_of_each(
    session: AsyncSession,
) -> None:
    with pytest.raises(InvalidInput, match="stations: code,name,commune_code"):
        await import_files(session, [File("x.csv", b"a,b\n1,2\n")], KINDS)


def test_villages_are_primary_unless_said_otherwise() -> None:
    assert read_villages("T-1; T-2:partial ;T-3:primary") == {
        "T-1": Grade.PRIMARY,
        "T-2": Grade.PARTIAL,
        "T-3": Grade.PRIMARY,
    }


async def test_power_feed_of_a_cluster_is_recorded_and_changed(session: AsyncSession) -> None:
    await sample.everything(session)
    for feed, said in (("471-E16.1", "power_feed: – → 471-E16.1"), ("T12", "471-E16.1 → T12")):
        text = (
            "code,name,plant_code,horns_count,watts,power_feed,installed_on\n"
            f"C-2,Cảng Tân Mỹ,P-2,4,100,{feed},2024-01-01\n"
        )
        report = await import_files(session, [sample.file("clusters.csv", text)], KINDS)
        (change,) = report.changes
        assert said in change.detail
        stored = await session.scalar(sa.select(Cluster.power_feed).where(Cluster.code == "C-2"))
        assert stored == feed

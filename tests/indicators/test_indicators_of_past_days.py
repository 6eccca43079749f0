"""Figures under the official units of their day: 173 → 170 → 96 communes."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.imports import import_areas, official_files
from broadcast.areas.placement import Registered
from broadcast.areas.villages import register
from broadcast.indicators.figures import compute
from broadcast.indicators.registry import homes
from broadcast.indicators.results import Gap, Reason, Result
from broadcast.kit.errors import InvalidInput
from broadcast.stations.model import (
    Attestation,
    BaselineStation,
    Cluster,
    ClusterVillage,
    Evidence,
    Grade,
    Plant,
    PlantState,
    PlantStatus,
    Station,
    StationState,
    StationStatus,
)
from tests.areas import official

NOW = datetime(2025, 12, 1, 3, tzinfo=UTC)
PLAN_148, ACT_1279, ACT_1677 = date(2024, 7, 9), date(2025, 1, 1), date(2025, 7, 1)
LONG_AGO = date(2020, 2, 1)


async def station(
    session: AsyncSession, commune: str, technologies: str, *, baseline: bool = False
) -> Station:
    """An operating station with one operating plant."""
    row = Station(
        code=f"S-{commune}", name=f"Đài {commune}", commune_code=commune,
        valid_from=LONG_AGO, valid_to=None,
    )  # fmt: skip
    plant = Plant(code=f"P-{commune}", name="")
    session.add_all([row, plant])
    await session.flush()
    session.add_all(
        [
            StationState(
                station_id=row.id, valid_from=LONG_AGO, status=StationStatus.OPERATING
            ),
            PlantState(
                plant_id=plant.id, valid_from=LONG_AGO, station_id=row.id,
                technologies=technologies.split(), status=PlantStatus.OPERATING,
            ),
        ]
    )  # fmt: skip
    if baseline:
        session.add(
            BaselineStation(
                station_id=row.id, listed_on=PLAN_148, technologies=technologies.split()
            )
        )
    await session.flush()
    return row


async def horn(session: AsyncSession, commune: str, village: str, attested_at: datetime) -> None:
    """A cluster without telemetry on the plant of `station`, attested."""
    plant = await session.scalar(sa.select(Plant.id).where(Plant.code == f"P-{commune}"))
    assert plant is not None
    cluster = Cluster(
        code=f"C-{commune}-{village}", name="", plant_id=plant,
        latitude=None, longitude=None, watts=None,
        evidence=Evidence.ATTESTED, installed_on=LONG_AGO, removed_on=None,
    )  # fmt: skip
    session.add(cluster)
    await session.flush()
    session.add_all(
        [
            ClusterVillage(
                cluster_id=cluster.id, village_code=village, valid_from=LONG_AGO,
                valid_to=None, grade=Grade.PRIMARY,
            ),
            Attestation(
                cluster_id=cluster.id, attested_at=attested_at,
                attested_by="Trưởng thôn", reference="ảnh",
            ),
        ]
    )  # fmt: skip
    await session.flush()


async def village(session: AsyncSession, code: str, commune: str) -> None:
    await register(session, Registered(code, "thôn", f"Thôn {code}", commune, LONG_AGO, None))


def reasons(result: Result) -> dict[str, str | None]:
    return {member.code: member.reason for member in result.members}


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("as_of", "count"),
    [
        (PLAN_148, 173),
        (date(2024, 12, 31), 173),
        (ACT_1279, 170),
        (date(2025, 6, 30), 170),
        (ACT_1677, 96),
        (date(2025, 11, 30), 96),
    ],
)
async def test_communes_are_counted_under_the_units_of_the_day(
    session: AsyncSession, as_of: date, count: int
) -> None:
    await import_areas(session, *official_files())
    results = await compute(session, as_of, "51", NOW)
    for code, variant in [("1.1", "BC"), ("1.1", "TH"), ("1.1", "NG67"), ("1.2", "XA")]:
        result = results[code][variant]
        assert len(result.members) == count
        assert result.value == 0
    assert len(results["1.1"]["TH"].data_errors) == count
    assert results["1.1"]["THON"].value is None
    assert results["1.2"]["BC"].value is None


async def test_a_district_is_a_scope_while_there_are_districts(session: AsyncSession) -> None:
    await import_areas(session, *official_files())
    results = await compute(session, PLAN_148, "522", NOW)
    under = official.lineage().tree_on(PLAN_148).under("522")
    assert list(reasons(results["1.1"]["BC"])) == [unit.code for unit in under]


@pytest.mark.parametrize(
    ("scope", "as_of", "said"),
    [
        ("522", date(2025, 7, 1), "không còn từ 2025-07-01"),
        ("21253", date(2025, 2, 1), "nay là 21262"),
        ("99999", date(2025, 2, 1), "kiểm tra lại mã"),
        ("51", date(2025, 12, 2), "chưa tới"),
        ("thon-1", date(2025, 2, 1), "là thôn"),
    ],
)
async def test_a_scope_or_day_that_is_none_is_refused_with_the_remedy(
    session: AsyncSession, scope: str, as_of: date, said: str
) -> None:
    await import_areas(session, *official_files())
    await village(session, "thon-1", "21253")
    with pytest.raises(InvalidInput, match=said):
        await compute(session, as_of, scope, NOW)


async def test_a_station_counts_for_what_its_commune_has_become(session: AsyncSession) -> None:
    await import_areas(session, *official_files())
    await station(session, "21253", "it")
    for as_of, commune in [(PLAN_148, "21253"), (ACT_1279, "21262"), (ACT_1677, "21034")]:
        results = await compute(session, as_of, "51", NOW)
        assert [m.code for m in results["1.1"]["BC"].numerator] == [commune]
        assert [m.code for m in results["1.2"]["XA"].numerator] == [commune]
        assert reasons(results["1.2"]["BC"]) == {"S-21253": None}
        only = await compute(session, as_of, commune, NOW)
        assert reasons(only["1.2"]["BC"]) == {"S-21253": None}


async def test_a_merged_commune_with_an_old_plant_left_is_partly_converted(
    session: AsyncSession,
) -> None:
    await import_areas(session, *official_files())
    await station(session, "21253", "it")
    await station(session, "21262", "fm", baseline=True)
    before = await compute(session, PLAN_148, "51", NOW)
    assert [m.code for m in before["1.2"]["XA"].numerator] == ["21253"]
    for as_of, commune in [(ACT_1279, "21262"), (ACT_1677, "21034")]:
        after = await compute(session, as_of, "51", NOW)
        assert [m.code for m in after["1.2"]["XA"].partly] == [commune]
        assert after["1.2"]["XA"].value == 0
        assert reasons(after["1.2"]["GOC"]) == {"S-21262": Reason.NOT_CONVERTED}


async def test_a_baseline_plant_is_proven_where_it_has_gone(session: AsyncSession) -> None:
    """The plant of S-21253 now serves another commune; asking for one commune must see that."""
    await import_areas(session, *official_files())
    origin = await station(session, "21253", "fm it", baseline=True)
    heir = await station(session, "21406", "it")
    await village(session, "v-1", "21406")
    await horn(session, "21253", "v-1", datetime(2024, 12, 20, tzinfo=UTC))
    moved = await session.scalar(sa.select(Plant.id).where(Plant.code == "P-21253"))
    assert moved is not None
    session.add(
        PlantState(
            plant_id=moved, valid_from=date(2024, 12, 1), station_id=heir.id,
            technologies=["it"], status=PlantStatus.OPERATING,
        )
    )  # fmt: skip
    await session.flush()
    for status in (PlantStatus.OPERATING, PlantStatus.DECOMMISSIONED):
        for scope in ("51", "21253"):
            result = (await compute(session, date(2024, 12, 31), scope, NOW))["1.2"]["GOC"]
            (member,) = result.numerator
            assert (member.code, member.evidence) == (origin.code, Evidence.ATTESTED)
        if status is PlantStatus.OPERATING:
            await horn(session, "21406", "v-1", datetime(2024, 12, 20, tzinfo=UTC))
            session.add(
                PlantState(
                    plant_id=moved, valid_from=date(2024, 12, 2), station_id=heir.id,
                    technologies=["it"], status=PlantStatus.DECOMMISSIONED,
                )
            )  # fmt: skip
            await session.flush()


async def test_a_baseline_plant_is_proven_also_at_a_station_nobody_has_placed(
    session: AsyncSession,
) -> None:
    """The plant of S-21253 serves 21142, which was divided."""
    await import_areas(session, *official_files())
    await station(session, "21253", "it", baseline=True)
    heir = await station(session, "21142", "it")
    await horn(session, "21253", "v-1", datetime(2025, 6, 25, tzinfo=UTC))
    plant = await session.scalar(sa.select(Plant.id).where(Plant.code == "P-21253"))
    assert plant is not None
    session.add(
        PlantState(
            plant_id=plant, valid_from=date(2025, 6, 1), station_id=heir.id,
            technologies=["it"], status=PlantStatus.OPERATING,
        )
    )  # fmt: skip
    await session.flush()
    for scope in ("51", "21034"):
        result = (await compute(session, ACT_1677, scope, NOW))["1.2"]["GOC"]
        assert [member.evidence for member in result.numerator] == [Evidence.ATTESTED]


async def test_the_baseline_is_empty_before_the_day_it_was_listed(session: AsyncSession) -> None:
    await import_areas(session, *official_files())
    await station(session, "21262", "fm", baseline=True)
    results = await compute(session, date(2024, 7, 8), "51", NOW)
    assert results["1.2"]["GOC"].value is None
    assert len(results["1.2"]["BC"].members) == 1


async def test_a_divided_commune_leaves_its_station_and_villages_as_data_errors(
    session: AsyncSession,
) -> None:
    """21142 Trà Bùi went to 21136 and 21157 in parts; the register does not say which village."""
    await import_areas(session, *official_files())
    await station(session, "21142", "it")
    for code, commune in [("a-1", "21136"), ("b-1", "21142"), ("c-1", "21157")]:
        await village(session, code, commune)
    for code, commune in [("a-1", "21142"), ("c-1", "21142")]:
        await horn(session, commune, code, datetime(2025, 7, 1, 3, tzinfo=UTC))

    await register(session, Registered("c-2", "thôn", "Thôn", "21157", LONG_AGO, None))
    for scope in ("51", "21136"):
        results = await compute(session, ACT_1677, scope, NOW)
        assert reasons(results["1.1"]["TH"])["21136"] == Reason.VILLAGES_UNPLACED
        assert reasons(results["1.1"]["THON"])["b-1"] == Gap.UNPLACED
        assert reasons(results["1.2"]["BC"]) == {"S-21142": Reason.COMMUNE_DIVIDED}
    results = await compute(session, ACT_1677, "51", NOW)
    assert reasons(results["1.1"]["TH"])["21157"] == Reason.VILLAGES_UNREACHED

    await register(session, Registered("b-1", "thôn", "Thôn", "21157", ACT_1677, None))
    results = await compute(session, ACT_1677, "51", NOW)
    assert reasons(results["1.1"]["TH"])["21136"] is None
    before = await compute(session, date(2025, 6, 30), "51", NOW)
    assert reasons(before["1.2"]["BC"]) == {"S-21142": None}
    assert reasons(before["1.1"]["TH"])["21142"] == Reason.VILLAGES_UNREACHED


@pytest.mark.parametrize(
    ("code", "since", "on", "here"),
    [
        ("21253", LONG_AGO, date(2024, 12, 31), ["21253"]),
        ("21253", date(2010, 5, 1), ACT_1279, ["21262"]),
        ("21253", LONG_AGO, ACT_1677, ["21034"]),
        ("21034", ACT_1677, date(2025, 8, 1), ["21034"]),
        ("21283", LONG_AGO, date(2025, 3, 1), ["21283"]),
        ("21286", LONG_AGO, date(2025, 3, 1), ["21238", "21283"]),
        ("21142", LONG_AGO, ACT_1677, ["21136", "21157"]),
        ("99999", LONG_AGO, ACT_1677, []),
    ],
)
def test_a_station_stays_with_its_commune_or_goes_where_all_of_it_went(
    code: str, since: date, on: date, here: list[str]
) -> None:
    assert homes(official.lineage(), code, since, on) == here

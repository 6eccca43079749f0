"""Stations after mergers of communes."""

from __future__ import annotations

from datetime import date

import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.model import Part
from broadcast.areas.row_imports import import_files
from broadcast.areas.tree import Lineage
from broadcast.stations.imports import KINDS
from broadcast.stations.model import Plant, PlantState, Station, StationState, StationStatus
from broadcast.stations.succession import OpenStation, Plan, Succession, Undecided, follow, plan
from tests.areas import official
from tests.areas.worlds import BEGIN, World, worlds
from tests.stations import sample

SINCE_2020 = date(2020, 2, 1)
ACT_1279 = date(2025, 1, 1)
ACT_1677 = date(2025, 7, 1)


def decided(on: date, *communes: str, since: date = SINCE_2020) -> Plan:
    stations = [OpenStation(f"S-{code}", code, since) for code in communes]
    return plan(stations, official.lineage(), on)


def test_the_station_of_a_new_commune_takes_over_those_of_the_old_ones() -> None:
    assert decided(ACT_1279, "21253", "21262") == Plan(
        [Succession("21262", None, ("S-21253", "S-21262"))], []
    )


def test_a_station_whose_commune_was_not_rearranged_stays() -> None:
    # 21538 only lost its district, 21220 became a thị trấn.
    assert decided(ACT_1279, "21538", "21220") == Plan([], [])
    assert decided(ACT_1677, "21538") == Plan([], [])


def test_a_station_whose_commune_gave_a_part_away_stays() -> None:
    assert decided(ACT_1279, "21283", "21238") == Plan([], [])


def test_the_station_of_a_divided_commune_is_left_to_a_person() -> None:
    assert decided(ACT_1677, "21142") == Plan(
        [], [Undecided("S-21142", "21142", ("21136", "21157"))]
    )


def test_before_the_first_day_of_the_register_nothing_follows() -> None:
    # Found by schemathesis: the heir was a commune that there was not yet.
    assert decided(date(1900, 1, 1), "21253", since=date(1900, 1, 1)) == Plan([], [])


def test_a_station_that_the_new_commune_has_already_takes_over() -> None:
    old = OpenStation("S-1", "21253", SINCE_2020)
    new = OpenStation("S-2", "21262", ACT_1279)
    assert plan([old, new], official.lineage(), ACT_1279) == Plan(
        [Succession("21262", "S-2", ("S-1",))], []
    )


def test_a_station_older_than_the_record_follows_too() -> None:
    assert decided(ACT_1677, "21253", since=date(1996, 1, 1)) == Plan(
        [Succession("21034", None, ("S-21253",))], []
    )


@given(worlds(), st.data())
def test_every_station_stays_goes_or_is_left_to_a_person(
    world: World, data: st.DataObject
) -> None:
    lineage = Lineage(world.units, world.steps)
    on = data.draw(st.sampled_from(world.days))
    communes = [unit.code for unit in lineage.tree_on(BEGIN).under("51")]
    made = plan([OpenStation(f"S-{code}", code, BEGIN) for code in communes], lineage, on)
    going = [code for succession in made.successions for code in succession.old]
    undecided = [station.code for station in made.undecided]
    assert len(set(going + undecided)) == len(going + undecided)
    for succession in made.successions:
        assert succession.commune_code in lineage.tree_on(on)
        assert succession.successor not in succession.old
        for code in succession.old:
            (heir,) = lineage.successors(code.removeprefix("S-"), BEGIN, on)
            assert heir == (succession.commune_code, Part.WHOLE)
    # What stays has one station for each commune.
    staying = [code for code in communes if f"S-{code}" not in {*going, *undecided}]
    assert all(code in lineage.tree_on(on) for code in staying)


# --- on the database -----------------------------------------------------------------------------


async def of_plants(session: AsyncSession, on: date) -> dict[str, str]:
    rows = await session.execute(
        sa.select(Plant.code, Station.code)
        .select_from(PlantState)
        .join(Plant, Plant.id == PlantState.plant_id)
        .join(Station, Station.id == PlantState.station_id)
        .where(PlantState.valid_from <= on)
        .ext(distinct_on(Plant.code))
        .order_by(Plant.code, PlantState.valid_from.desc())
    )
    return dict(rows.all())


async def open_on(session: AsyncSession, on: date) -> dict[str, str]:
    rows = await session.execute(
        sa.select(Station.code, Station.commune_code).where(
            Station.valid_from <= on, sa.or_(Station.valid_to.is_(None), Station.valid_to >= on)
        )
    )
    return dict(rows.all())


async def test_a_merger_moves_plants_and_closes_the_old_stations(session: AsyncSession) -> None:
    await sample.everything(session)
    report, undecided = await follow(session, ACT_1279)
    assert (report.added, undecided) == (1, [])
    assert await open_on(session, date(2024, 12, 31)) == {
        "S-1": "21253", "S-2": "21262", "S-3": "21142", "S-4": "536",
    }  # fmt: skip
    assert await open_on(session, ACT_1279) == {
        "DTT-21262": "21262", "S-3": "21142", "S-4": "536",
    }  # fmt: skip
    assert (await of_plants(session, date(2024, 12, 31)))["P-1"] == "S-1"
    assert await of_plants(session, ACT_1279) == {
        "P-1": "DTT-21262", "P-2": "DTT-21262", "P-3": "S-3", "P-4": "S-4",
    }  # fmt: skip
    state = await session.scalar(
        sa.select(StationState).where(StationState.valid_from == ACT_1279)
    )
    assert state is not None
    assert (state.status, state.cause) == (StationStatus.OPERATING, "kế thừa S-1, S-2")
    assert state.document == "1279/NQ-UBTVQH15"


async def test_a_second_merger_follows_the_first(session: AsyncSession) -> None:
    await sample.everything(session)
    await follow(session, ACT_1279)
    report, undecided = await follow(session, ACT_1677)
    assert report.added == 2
    assert undecided == [Undecided("S-3", "21142", ("21136", "21157"))]
    assert await open_on(session, ACT_1677) == {
        "DTT-21034": "21034", "DTT-21548": "21548", "S-3": "21142",
    }  # fmt: skip
    assert await of_plants(session, ACT_1677) == {
        "P-1": "DTT-21034", "P-2": "DTT-21034", "P-3": "S-3", "P-4": "DTT-21548",
    }  # fmt: skip


async def test_following_again_changes_nothing(session: AsyncSession) -> None:
    await sample.everything(session)
    await follow(session, ACT_1677)
    stations, plants = await open_on(session, ACT_1677), await of_plants(session, ACT_1677)
    report, undecided = await follow(session, ACT_1677)
    assert (report.added, report.changed) == (0, 0)
    assert [station.code for station in undecided] == ["S-3"]
    assert await open_on(session, ACT_1677) == stations
    assert await of_plants(session, ACT_1677) == plants
    # Nor does following an earlier day afterwards.
    report, _ = await follow(session, ACT_1279)
    assert (report.added, report.changed) == (0, 0)


async def test_a_dry_run_of_a_merger_changes_nothing(session: AsyncSession) -> None:
    await sample.everything(session)
    before = await open_on(session, ACT_1677), await of_plants(session, ACT_1677)
    report, _ = await follow(session, ACT_1677, dry_run=True)
    assert report.added == 2
    assert (await open_on(session, ACT_1677), await of_plants(session, ACT_1677)) == before


async def test_what_was_entered_for_later_days_goes_to_the_successor(
    session: AsyncSession,
) -> None:
    await sample.everything(session)
    text = sample.PLANTS.splitlines()[0] + (
        "\nP-1,Hệ thống Nghĩa Phú,S-1,2025-07-01,wired+it,operating,\n"
        "P-1,Hệ thống Nghĩa Phú,S-1,2025-09-01,it,operating,\n"
    )
    await import_files(session, [sample.file("plants.csv", text)], KINDS)
    await follow(session, ACT_1677)
    assert (await of_plants(session, ACT_1677))["P-1"] == "DTT-21034"
    assert (await of_plants(session, date(2025, 9, 1)))["P-1"] == "DTT-21034"
    technologies = await session.scalar(
        sa.select(PlantState.technologies).where(
            PlantState.valid_from == ACT_1677, PlantState.technologies != ["it"]
        )
    )
    assert technologies == ["it", "wired"]


async def test_a_code_in_use_gets_the_day_of_the_merger(session: AsyncSession) -> None:
    await sample.areas(session)
    text = sample.STATIONS.replace("S-2,", "DTT-21262,")
    await import_files(session, [sample.file("stations.csv", text)], KINDS)
    await follow(session, ACT_1279)
    assert "DTT-21262-20250101" in await open_on(session, ACT_1279)

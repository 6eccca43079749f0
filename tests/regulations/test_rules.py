"""What holds at a place; and that server and player agree on every instant."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from broadcast.areas.model import Level
from broadcast.regulations import rules
from broadcast.regulations.rules import Limits, Provisions, Regulation, Weekend, Window
from broadcast.wire import hours as rule
from broadcast.wire.documents import Hours
from tests.device_sim.province import START, Province, item
from tests.examples import examples
from tests.wire.test_hours import hours, offsets

DAY = date(2026, 3, 2)
MINUTE = timedelta(minutes=1)
NIGHT = (Hours(from_="22:00", until="05:00"),)

numbers = st.none() | st.integers(1, 9)
provisions = st.builds(
    Provisions,
    silent=st.none() | st.lists(st.builds(Window, st.just("21:00"), st.just("04:00"))).map(tuple),
    weekend=st.none() | st.sampled_from(Weekend),
    sessions_per_day=numbers,
    minutes_per_day=numbers,
    warns_repeats=st.none() | st.booleans(),
)


def regulation(
    id_: int, level: Level, *, day: int = 2, clusters: tuple[str, ...] = ()
) -> Regulation:
    return Regulation(id_, "x", level, date(2026, 3, day), Provisions(), clusters)


@given(st.lists(provisions, max_size=4))
def test_each_provision_is_that_of_the_nearest_who_speaks_of_it(some: list[Provisions]) -> None:
    found = rules.merged(some)
    for name, value in found._asdict().items():
        said = [getattr(each, name) for each in some if getattr(each, name) is not None]
        assert value == (said[0] if said else None)


def test_the_newest_of_each_level_is_in_force_and_a_cluster_is_nearer_than_its_village() -> None:
    province, commune = regulation(1, Level.PROVINCE), regulation(2, Level.COMMUNE)
    newer, village = regulation(3, Level.COMMUNE, day=3), regulation(4, Level.VILLAGE)
    single = regulation(5, Level.COMMUNE, clusters=("C-1",))
    found = rules.in_force([province, newer, commune, single, village])
    assert found == [single, village, newer, province]


@given(st.lists(provisions, min_size=1, max_size=3))
def test_of_places_side_by_side_the_strictest_quota_holds(some: list[Provisions]) -> None:
    found = rules.limits(some)
    for each in some:
        for name in ("sessions_per_day", "minutes_per_day"):
            said = getattr(each, name)
            assert said is None or getattr(found.quotas, name) <= said
    assert found.warns_repeats == any(each.warns_repeats for each in some)
    assert rules.limits([Provisions()]) == Limits()


def test_where_nothing_is_said_of_silent_hours_those_of_the_settings_hold() -> None:
    assert rules.hours([Provisions(weekend=Weekend.SOUNDS)], NIGHT) == [*NIGHT]
    assert rules.hours([Provisions(silent=())], NIGHT) == []
    named = Provisions(
        silent=(Window("21:00", "05:00"),), limited=(Window("05:00", "06:00", 40),),
        weekend=Weekend.SILENT,
    )  # fmt: skip
    found = rules.hours([named], NIGHT, except_on=[DAY])
    assert [(each.from_, each.days, each.volume, each.except_on) for each in found] == [
        ("21:00", (), None, ()), ("00:00", (6, 7), None, (DAY,)), ("05:00", (), 40, ()),
    ]  # fmt: skip


@settings(max_examples=examples(60))
@given(hours, offsets, st.lists(st.integers(0, 30 * 60), min_size=1, max_size=6, unique=True))
def test_the_player_does_at_every_instant_what_the_server_says(
    some: list[Hours], offset: timedelta, minutes: list[int]
) -> None:
    province = Province()
    province.device()
    province.config("d1", hours=some, utc_offset_minutes=int(offset / MINUTE))
    starts: dict[str, datetime] = {}
    for number, minute in enumerate(sorted(minutes)):
        at = START + 5 * MINUTE + minute * 2 * MINUTE  # apart, so that nothing waits
        starts[f"o{number}"] = at
    province.programme(
        *(
            item(name, at, late_limit_seconds=0, ends_by=at + 2 * MINUTE)
            for name, at in starts.items()
        )
    )
    province.harness.advance(62 * 3600)
    told = province.records["d1"].values()
    for name, at in starts.items():
        mine = [each for each in told if getattr(each, "occurrence_id", "") == name]
        if rule.silent_until(some, offset, at):
            assert [(each.reason) for each in mine] == ["quiet_hours"]  # type: ignore[union-attr]
            continue
        started, ended = mine
        limit = rule.loudest(some, offset, at, 60)
        assert started.volume == min(70, limit)  # type: ignore[union-attr]
        whole = rule.silent_window(some, offset, at, 60) is None
        assert (ended.reason == "completed") == whole  # type: ignore[union-attr]

"""Recurrence rules, beside the expansion of another library."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from broadcast.calendars.lunar import lunar, solar
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import InvalidInput
from broadcast.schedules.recurrence import (
    LOOK_AHEAD,
    Planned,
    check,
    fires,
    first_after,
    occurrences_between,
    times_of_day,
)
from broadcast.schedules.rrule import Rule, parse
from broadcast.schedules.rule_edits import carry_bounds, carry_over, split
from tests.counting import calls_of
from tests.examples import examples

DAY = timedelta(days=1)
NAMES = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


def local(text: str) -> datetime:
    """Wall time of the province."""
    return datetime.fromisoformat(text).replace(tzinfo=LOCAL)


def starts(
    rule: str | None,
    starts_at: datetime,
    days: int = 60,
    exceptions: dict[datetime, datetime | None] | None = None,
    zone: ZoneInfo = LOCAL,
) -> list[str]:
    parsed = None if rule is None else parse(rule, zone)
    found = occurrences_between(
        parsed, starts_at, exceptions or {}, starts_at - DAY, starts_at + days * DAY, zone
    )
    return [f"{each.starts_at.astimezone(zone):%Y-%m-%d %a %H:%M}" for each in found]


# --- the second expansion ----------------------------------------------------------------------


def by_dateutil(rule: Rule, start: datetime, after: datetime, before: datetime) -> list[datetime]:
    """Wall times of a rule as another library has them."""
    walls = rrulestr(str(rule), dtstart=start)
    return list(takewhile(lambda at: at < before, walls.xafter(after, inc=True)))


def several(values: st.SearchStrategy[int], most: int = 3) -> st.SearchStrategy[str]:
    return st.lists(values, min_size=1, max_size=most, unique=True).map(
        lambda numbers: ",".join(map(str, numbers))
    )


@st.composite
def rules(draw: st.DrawFn) -> str:
    frequency = draw(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]))
    parts = [f"FREQ={frequency}"]

    def maybe(name: str, values: st.SearchStrategy[str]) -> None:
        if draw(st.booleans()):
            parts.append(f"{name}={draw(values)}")

    maybe("INTERVAL", st.integers(1, 5).map(str))
    numbered = frequency in {"MONTHLY", "YEARLY"}
    # The other library takes a list of both, plain and numbered, for their intersection.
    numbers = ["1", "2", "-1", "5"] if numbered and draw(st.booleans()) else [""]
    day = st.builds(lambda n, name: n + name, st.sampled_from(numbers), st.sampled_from(NAMES))
    maybe("BYDAY", st.lists(day, min_size=1, max_size=3, unique=True).map(",".join))
    if frequency != "WEEKLY":
        maybe("BYMONTHDAY", several(st.sampled_from([1, 2, 15, 29, 30, 31, -1, -2, -31])))
    maybe("BYMONTH", several(st.integers(1, 12)))
    maybe("BYHOUR", several(st.integers(0, 23)))
    maybe("BYMINUTE", several(st.integers(0, 59)))
    if any(part.startswith("BY") for part in parts):
        maybe("BYSETPOS", several(st.sampled_from([1, 2, 3, -1, -2])))
    maybe("WKST", st.sampled_from(NAMES))
    ends = draw(st.sampled_from(["", "COUNT", "UNTIL"]))
    if ends == "COUNT":
        parts.append(f"COUNT={draw(st.integers(1, 40))}")
    if ends == "UNTIL":
        parts.append(f"UNTIL={draw(st.dates(date(2026, 1, 1), date(2027, 12, 31))):%Y%m%d}")
    return ";".join(draw(st.permutations(parts)))


moments = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)).map(  # noqa: DTZ001
    lambda at: at.replace(second=0, microsecond=0)
)


@given(rules(), moments, st.integers(0, 300), st.integers(1, 400))
def test_every_rule_fires_as_another_library_says(
    text: str, wall: datetime, skipped: int, days: int
) -> None:
    rule = parse(text, LOCAL)
    if rule.get("FREQ") == "WEEKLY" and "BYSETPOS" in text:
        # Of the week of the start the other one counts only the days from the start on.
        wall -= (wall.weekday() - NAMES.index(rule.get("WKST") or "MO")) % 7 * DAY
    starts_at = wall.replace(tzinfo=LOCAL)
    # The other one looks for ever for what never comes; `never` has its own test.
    assume(first_after(rule, starts_at, starts_at, LOCAL) is not None)
    after, before = wall + skipped * DAY, wall + (skipped + days) * DAY
    found = occurrences_between(
        rule, starts_at, {}, after.replace(tzinfo=LOCAL), before.replace(tzinfo=LOCAL), LOCAL
    )
    assert [each.starts_at.astimezone(LOCAL).replace(tzinfo=None) for each in found] == (
        by_dateutil(rule, wall, after, before)
    )
    assert all(each.starts_at == each.recurrence_at for each in found)
    assert parse(str(rule), LOCAL) == rule


@settings(max_examples=examples(5), suppress_health_check=[HealthCheck.filter_too_much])
@given(rules(), moments)
def test_what_is_said_never_to_fire_does_not_within_ten_years(text: str, wall: datetime) -> None:
    rule = replace(parse(text, LOCAL), until=None)
    starts_at = wall.replace(tzinfo=LOCAL)
    assume(first_after(rule, starts_at, starts_at, LOCAL) is None)
    assume("DAILY" not in text)  # takes the other one five seconds
    first = next(iter(rrulestr(str(rule), dtstart=wall)), None)
    assert first is None or first > wall + LOOK_AHEAD


@given(rules(), moments, st.integers(0, 30))
def test_a_rule_that_is_split_fires_as_the_whole_did(
    text: str, wall: datetime, place: int
) -> None:
    rule, starts_at = parse(text, LOCAL), wall.replace(tzinfo=LOCAL)

    def sounding(part: Rule, begin: datetime) -> list[datetime]:
        end = starts_at + 400 * DAY
        return [p.starts_at for p in occurrences_between(part, begin, {}, begin, end, LOCAL)]

    whole = sounding(rule, starts_at)
    assume(place < len(whole))
    head, tail = split(rule, starts_at, whole[place], LOCAL)
    assert ([] if head is None else sounding(head, starts_at)) == whole[:place]
    assert sounding(tail, whole[place]) == whole[place:]


def test_monday_five_in_the_morning_is_a_monday_although_utc_writes_sunday() -> None:
    assert starts("FREQ=WEEKLY;BYDAY=MO", local("2026-01-05T05:00"), 15) == [
        "2026-01-05 Mon 05:00",
        "2026-01-12 Mon 05:00",
        "2026-01-19 Mon 05:00",
    ]
    found = occurrences_between(
        parse("FREQ=WEEKLY;BYDAY=MO", LOCAL),
        local("2026-01-05T05:00"),
        {},
        local("2026-01-05T00:00"),
        local("2026-01-06T00:00"),
        LOCAL,
    )
    assert [f"{each.starts_at:%a %H:%M %Z}" for each in found] == ["Sun 22:00 UTC"]


def test_plain_and_numbered_weekdays_are_united() -> None:
    assert starts("FREQ=MONTHLY;BYDAY=-1SU,MO", local("2026-06-01T05:00"), 30) == [
        "2026-06-01 Mon 05:00",
        "2026-06-08 Mon 05:00",
        "2026-06-15 Mon 05:00",
        "2026-06-22 Mon 05:00",
        "2026-06-28 Sun 05:00",
        "2026-06-29 Mon 05:00",
    ]


def test_several_times_a_day_are_several_starts() -> None:
    rule = "FREQ=DAILY;BYHOUR=5,17;BYMINUTE=0,30"
    assert starts(rule, local("2026-01-05T05:30"), 1) == [
        "2026-01-05 Mon 05:30",
        "2026-01-05 Mon 17:00",
        "2026-01-05 Mon 17:30",
        "2026-01-06 Tue 05:00",
    ]


def test_a_single_start_is_itself() -> None:
    assert starts(None, local("2026-01-05T05:00")) == ["2026-01-05 Mon 05:00"]


def test_until_a_date_includes_that_local_day() -> None:
    for until in ("20260107", "20260107T050000", "20260106T220000Z"):
        found = starts(f"FREQ=DAILY;UNTIL={until}", local("2026-01-05T05:00"))
        assert found[-1] == "2026-01-07 Wed 05:00", until
    assert len(starts("FREQ=DAILY;UNTIL=20260106T215959Z", local("2026-01-05T05:00"))) == 2


def test_count_counts_what_was_left_out_too() -> None:
    out = {local("2026-01-06T05:00"): None}
    assert starts("FREQ=DAILY;COUNT=3", local("2026-01-05T05:00"), exceptions=out) == [
        "2026-01-05 Mon 05:00",
        "2026-01-07 Wed 05:00",
    ]


def test_a_moved_start_is_found_where_it_went_and_keeps_its_name() -> None:
    first, second = local("2026-01-05T05:00"), local("2026-01-06T05:00")
    moved = local("2026-02-20T17:00")
    rule = parse("FREQ=DAILY;COUNT=3", LOCAL)
    found = occurrences_between(rule, first, {second: moved}, moved - DAY, moved + DAY, LOCAL)
    assert found == [Planned(second, moved)]
    foreign = {local("2026-01-06T06:00"): moved}
    assert occurrences_between(rule, first, foreign, moved - DAY, moved + DAY, LOCAL) == []


def test_in_other_zones_a_gap_moves_on_and_a_fold_is_the_first() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    spring = datetime(2026, 3, 28, 2, 30, tzinfo=berlin)
    assert starts("FREQ=DAILY;COUNT=3", spring, zone=berlin) == [
        "2026-03-28 Sat 02:30",
        "2026-03-29 Sun 03:30",
        "2026-03-30 Mon 02:30",
    ]
    autumn = datetime(2026, 10, 25, 2, 30, tzinfo=berlin)
    found = occurrences_between(
        parse("FREQ=DAILY;COUNT=1", berlin), autumn, {}, autumn - DAY, autumn + DAY, berlin
    )
    assert [each.starts_at for each in found] == [datetime(2026, 10, 25, 0, 30, tzinfo=UTC)]


def test_two_wall_times_on_one_instant_sound_once() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    start = datetime(2026, 3, 29, 0, 30, tzinfo=berlin)
    found = starts("FREQ=DAILY;BYHOUR=2,3;COUNT=2", start, zone=berlin)
    assert found == ["2026-03-29 Sun 03:30"]


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("FREQ=SECONDLY", "FREQ=SECONDLY không được dùng"),
        ("FREQ=MINUTELY;INTERVAL=5", "BYHOUR"),
        ("FREQ=HOURLY", "FREQ=HOURLY"),
        ("INTERVAL=2", "FREQ=?"),
        ("", "1 đến 500 ký tự"),
        ("FREQ=DAILY;" * 60, "1 đến 500 ký tự"),
        ("hằng ngày", "không hiểu"),
        ("FREQ=DAILY;BYEASTER=1", "không hiểu “BYEASTER=1”"),
        ("FREQ=DAILY;BYSECOND=1", "BYSECOND"),
        ("FREQ=DAILY;COUNT", "không hiểu “COUNT”"),
        ("FREQ=DAILY;FREQ=DAILY", "hai lần"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL=0"),
        ("FREQ=DAILY;INTERVAL=-1", "INTERVAL=-1"),
        ("FREQ=DAILY;INTERVAL=99999999999999999999", "INTERVAL="),
        ("FREQ=DAILY;INTERVAL=²", "INTERVAL=²"),
        ("FREQ=DAILY;COUNT=0", "COUNT=0"),
        ("FREQ=DAILY;COUNT=2;UNTIL=20260101", "không dùng cả hai"),
        ("FREQ=DAILY;UNTIL=20260230", "UNTIL=20260230"),
        ("FREQ=DAILY;UNTIL=mai", "UNTIL=MAI"),
        ("FREQ=DAILY;UNTIL=00010101", "UNTIL=00010101"),
        ("FREQ=DAILY;UNTIL=99991231T235959Z", "UNTIL=9999"),
        ("FREQ=DAILY;BYHOUR=24", "BYHOUR=24"),
        ("FREQ=DAILY;BYHOUR=-1", "từ 0 đến 23"),
        ("FREQ=DAILY;BYHOUR=5,,6", "BYHOUR=5,,6"),
        ("FREQ=DAILY;BYMONTH=0", "BYMONTH=0"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "trừ 0"),
        ("FREQ=MONTHLY;BYMONTHDAY=32", "BYMONTHDAY=32"),
        ("FREQ=MONTHLY;BYSETPOS=0;BYDAY=MO", "trừ 0"),
        ("FREQ=MONTHLY;BYSETPOS=1", "BYSETPOS cần"),
        ("FREQ=WEEKLY;BYMONTHDAY=1", "không đi cùng FREQ=WEEKLY"),
        ("FREQ=DAILY;BYLUNARDAY=31", "từ -30 đến 30"),
        ("FREQ=DAILY;BYLUNARMONTH=1", "cần đi cùng BYLUNARDAY"),
        ("FREQ=MONTHLY;BYLUNARDAY=1", "đi cùng FREQ=DAILY"),
        ("FREQ=WEEKLY;BYDAY=1MO", "MONTHLY hoặc YEARLY"),
        ("FREQ=MONTHLY;BYDAY=0MO", "BYDAY=0MO"),
        ("FREQ=WEEKLY;BYDAY=T2", "BYDAY=T2"),
        ("FREQ=WEEKLY;WKST=XX", "WKST=XX"),
        ("FREQ=DAILY;\nDTSTART=20260101", "không hiểu"),
        ("FREQ=DAILY\nDTSTART=20260101", "FREQ=DAILY"),
    ],
)
def test_a_rule_outside_the_subset_is_refused_with_the_part(text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match="rrule") as refused:
        parse(text, LOCAL)
    assert said in refused.value.detail


@given(st.text(max_size=60) | st.text("FREQDAILYBMONTHSUC=;,-+0123456789T²Z", max_size=60))
def test_any_text_is_a_rule_or_is_refused(text: str) -> None:
    try:
        rule = parse(text, LOCAL)
    except InvalidInput:
        return
    assert parse(str(rule), LOCAL) == rule


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=31", "không bao giờ phát"),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30,31", "không bao giờ phát"),
        ("FREQ=MONTHLY;INTERVAL=12;BYMONTH=3", "không bao giờ phát"),
        ("FREQ=WEEKLY;BYDAY=MO;BYSETPOS=2", "không bao giờ phát"),
        ("FREQ=DAILY;UNTIL=20251231", "UNTIL trước buổi phát đầu tiên"),
        ("FREQ=DAILY;BYHOUR=5,6,7,8,9;BYMINUTE=0,10,20,30,40", "25 lần mỗi ngày"),
        ("FREQ=DAILY;BYMINUTE=0,5", "cách 5 phút"),
        ("FREQ=DAILY;BYHOUR=0,23;BYMINUTE=0,55", "cách 5 phút"),
    ],
)
def test_a_rule_that_never_fires_or_too_often_is_refused_at_once(rule: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check(parse(rule, LOCAL), local("2026-01-05T05:00"), 600, LOCAL)
    assert said in refused.value.detail


def test_a_leap_day_rule_is_accepted() -> None:
    rule = parse("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", LOCAL)
    check(rule, local("2026-01-05T05:00"), 600, LOCAL)
    first = first_after(rule, local("2026-01-05T05:00"), local("2026-01-05T05:00"), LOCAL)
    assert first == local("2028-02-29T05:00")


def test_an_old_rule_is_looked_at_from_where_it_stands() -> None:
    rule = parse("FREQ=DAILY;INTERVAL=2;BYHOUR=5,17", LOCAL)
    begin, end = local("2031-01-01T00:00"), local("2031-01-09T00:00")

    def work(starts_at: datetime) -> int:
        found: list[Planned] = []
        made = calls_of(
            lambda: found.extend(occurrences_between(rule, starts_at, {}, begin, end, LOCAL))
        )
        assert len(found) == 8
        return made

    work(begin - 2 * DAY)
    assert work(local("2001-01-01T05:00")) <= work(begin - 2 * DAY) + 10


# --- edits -------------------------------------------------------------------------------------


def test_what_was_left_out_stays_left_out_when_the_time_changes() -> None:
    old = parse("FREQ=DAILY;BYHOUR=5,17", LOCAL), local("2026-01-05T05:00")
    new = parse("FREQ=DAILY;BYHOUR=6,18", LOCAL), local("2026-01-05T06:00")
    moved = local("2026-01-09T11:00")
    kept = carry_over(
        {local("2026-01-07T17:00"): None, local("2026-01-08T05:00"): moved}, old, new, LOCAL
    )
    assert kept == {local("2026-01-07T18:00"): None, local("2026-01-08T06:00"): moved}


def test_on_a_day_that_no_longer_fires_what_was_left_out_waits_and_what_was_moved_goes() -> None:
    old = parse("FREQ=DAILY", LOCAL), local("2026-01-05T05:00")
    new = parse("FREQ=WEEKLY;BYDAY=MO", LOCAL), local("2026-01-05T05:00")
    out = {local("2026-01-07T05:00"): None, local("2026-01-12T05:00"): None}
    moved = {local("2026-01-08T05:00"): local("2026-01-08T11:00")}
    assert carry_over(out | moved, old, new, LOCAL) == out


@pytest.mark.parametrize(
    ("edits", "out", "silent"),
    [
        (["DAILY", "WEEKLY;BYDAY=MO", "DAILY"], "07T05", ["07T05"]),
        (["DAILY", "WEEKLY;BYDAY=MO", "DAILY;BYHOUR=6"], "07T05", ["07T06"]),
        (["DAILY;BYHOUR=5,17", "DAILY;BYHOUR=17", "DAILY;BYHOUR=5,17"], "07T05", ["07T05"]),
        (["DAILY;BYHOUR=5,17", "DAILY;BYHOUR=17", "DAILY;BYHOUR=18"], "07T05", []),
        (["DAILY", "DAILY;UNTIL=20260106", "DAILY;UNTIL=20260110"], "07T05", ["07T05"]),
        (["DAILY", "DAILY;INTERVAL=3", "DAILY;COUNT=2", "DAILY"], "06T05", ["06T05"]),
    ],
)
def test_what_was_left_out_stays_so_when_it_returns(
    edits: list[str], out: str, silent: list[str]
) -> None:
    series = [(parse(f"FREQ={rule}", LOCAL), local("2026-01-05T05:00")) for rule in edits]
    kept = {local(f"2026-01-{out}:00"): None}
    for old, new in pairwise(series):
        kept = carry_over(kept, old, new, LOCAL)
    found = [at for at in kept if fires(*series[-1], at, LOCAL)]
    assert found == [local(f"2026-01-{at}:00") for at in silent]


@given(st.lists(rules(), min_size=2, max_size=6), moments, st.data())
def test_what_was_left_out_through_any_sequence_of_edits(
    texts: list[str], wall: datetime, data: st.DataObject
) -> None:
    """It is silent whenever its start is there and was never meant for another time since.

    And no edit ever silences more starts of a day than a person has left out of that day.
    """
    begin = wall.replace(tzinfo=LOCAL)
    series = [(parse(text, LOCAL), begin) for text in texts]

    def starts(of: tuple[Rule, datetime], days: int = 60) -> list[datetime]:
        planned = occurrences_between(*of, {}, begin - DAY, begin + days * DAY, LOCAL)
        return [each.recurrence_at for each in planned]

    assume(starts(series[0]))
    kept: dict[datetime, datetime | None] = {}
    asked: list[date] = []
    for number, (old, new) in enumerate(pairwise(series)):
        choice = [at for at in starts(old) if at not in kept]
        for at in data.draw(st.lists(st.sampled_from(choice), unique=True)) if choice else ():
            kept[at] = None
            asked.append(at.astimezone(LOCAL).date())
        before = kept
        kept = carry_over(kept, old, new, LOCAL)
        days = Counter(at.astimezone(LOCAL).date() for at in kept)
        assert days == Counter(asked), "none is forgotten, none is invented"
        for at in before:
            assert at in kept or not fires(*new, at, LOCAL), f"{at} sounds again at {number}"
        # The last day is asked about whole: a start of its evening may be the new one's.
        if not any(at.astimezone(LOCAL).date() in asked for at in starts(new, 61)):
            assert kept == before, "on days without a start it waits as it is"
        assert carry_over(before, old, old, LOCAL) == before


@given(rules(), rules(), moments, st.data())
def test_an_edit_that_is_taken_back_leaves_out_what_was_left_out(
    there: str, elsewhere: str, wall: datetime, data: st.DataObject
) -> None:
    begin = wall.replace(tzinfo=LOCAL)
    old, new = (parse(there, LOCAL), begin), (parse(elsewhere, LOCAL), begin)
    starts = occurrences_between(*old, {}, begin - DAY, begin + 60 * DAY, LOCAL)
    assume(starts)
    out = data.draw(st.lists(st.sampled_from([at for at, _ in starts]), unique=True))
    left: dict[datetime, datetime | None] = dict.fromkeys(out)
    assert carry_over(carry_over(left, old, new, LOCAL), new, old, LOCAL) == left


@pytest.mark.parametrize(
    ("old", "new", "out", "kept"),
    [
        ("5,17", "17", "07T05", "07T05"),
        ("17", "5,17", "07T17", "07T17"),
        ("5,17", "5,17,20", "07T17", "07T17"),
        ("5,17", "5,18", "07T17", "07T18"),
        ("5,17", "6,17", "07T17", "07T17"),
        ("5,11,17", "6,17", "07T11", "07T11"),
        ("17", "5,11", "07T17", "07T05"),
    ],
)
def test_a_start_that_both_rules_have_keeps_its_own_exception(
    old: str, new: str, out: str, kept: str
) -> None:
    rules_ = [
        (parse(f"FREQ=DAILY;BYHOUR={hours}", LOCAL), local("2026-01-05T05:00"))
        for hours in (old, new)
    ]
    found = carry_over({local(f"2026-01-{out}:00"): None}, *rules_, LOCAL)
    assert found == {local(f"2026-01-{kept}:00"): None}


@given(rules(), rules(), moments, moments, st.data())
def test_exceptions_through_any_edit(
    old_text: str, new_text: str, wall: datetime, other: datetime, data: st.DataObject
) -> None:
    old = parse(old_text, LOCAL), wall.replace(tzinfo=LOCAL)
    new = parse(new_text, LOCAL), data.draw(st.sampled_from([wall, other])).replace(tzinfo=LOCAL)
    before, after = (
        [each.recurrence_at for each in occurrences_between(
            rule, begin, {}, wall.replace(tzinfo=LOCAL) - DAY,
            wall.replace(tzinfo=LOCAL) + 90 * DAY, LOCAL,
        )]
        for rule, begin in (old, new)
    )  # fmt: skip
    assume(before)
    out = data.draw(st.lists(st.sampled_from(before), unique=True))
    moves = {at: data.draw(st.sampled_from([None, at + 3 * DAY])) for at in out}
    kept = carry_over(moves, old, new, LOCAL)
    waiting = {at for at in moves if moves[at] is None and at in kept and at not in after}
    assert kept.keys() <= {*after} | waiting
    for at in {*before} & {*after}:
        assert (at in kept, kept.get(at)) == (at in moves, moves.get(at)), "its own, or none"
    # Every other start: as many of its day are before it among those that came or went.
    gone, came = sorted({*before} - {*after}), sorted({*after} - {*before})

    def place(at: datetime, among: list[datetime]) -> tuple[date, int]:
        day = at.astimezone(LOCAL).date()
        return day, [x for x in among if x.astimezone(LOCAL).date() == day].index(at)

    places = {place(at, came): at for at in came}
    expected = {places[place(at, gone)]: moves[at] for at in gone
                if at in moves and place(at, gone) in places}  # fmt: skip
    assert {at: to for at, to in kept.items() if at not in {*before, *waiting}} == expected


def test_a_single_start_that_is_meant_for_another_time_is_not_where_it_was_moved() -> None:
    old, new = (None, local("2026-01-05T17:00")), (None, local("2026-01-05T19:00"))
    assert carry_over({old[1]: local("2026-01-05T18:00")}, old, new, LOCAL) == {}
    assert carry_over({old[1]: None}, old, new, LOCAL) == {new[1]: None}


@pytest.mark.parametrize(
    ("old", "until", "new", "carried"),
    [
        ("17", "20260110T100000Z", "18", "20260110T235959"),
        ("17", "20260110T170000", "6", "20260110T170000"),
        ("17", "20260110", "18", "20260110T235959"),
        ("5,17", "20260110T100000Z", "17", "20260110T170000"),
        ("17", "20260110T120000", "8", "20260109T235959"),
        ("17", "20260110T120000", "18", "20260110T120000"),
        ("17", "20260110T165959", "16", "20260109T235959"),
        ("5,17", "20260110T050000", "6,18", "20260110T060000"),
        ("5,17", "20260110T050000", "17", "20260110T050000"),
        ("5,17", "20260110T050000", "5,18", "20260110T050000"),
        ("17", "20260110T170000", "17", "20260110T170000"),
        ("17", "20260109T220000Z", "5,17", "20260110T050000"),
        ("17", "20260110T000000", "5,17", "20260110T000000"),
    ],
)
def test_the_last_day_that_was_meant_stays_when_the_time_changes(
    old: str, until: str, new: str, carried: str
) -> None:
    began = local("2026-01-05T00:00")
    was, asked = (parse(f"FREQ=DAILY;UNTIL={until};BYHOUR={hours}", LOCAL) for hours in (old, new))
    rule, begins = carry_bounds((was, began), (asked, began), LOCAL)
    assert (str(rule), begins) == (f"FREQ=DAILY;BYHOUR={new};UNTIL={carried}", began)


def test_a_bound_that_was_named_anew_stays_as_named() -> None:
    began = local("2026-01-05T17:00")
    was = parse("FREQ=DAILY;UNTIL=20260110T170000", LOCAL)
    asked = parse("FREQ=DAILY;BYHOUR=16;UNTIL=20260109T100000", LOCAL), local("2026-01-06T17:00")
    assert carry_bounds((was, began), asked, LOCAL) == asked


def test_the_first_day_that_was_meant_stays_when_the_time_changes() -> None:
    began = local("2026-01-05T17:00")
    was = parse("FREQ=DAILY;BYHOUR=17;COUNT=3", LOCAL)
    asked = parse("FREQ=DAILY;BYHOUR=5;COUNT=3", LOCAL)
    rule, begins = carry_bounds((was, began), (asked, began), LOCAL)
    assert (rule, begins) == (asked, local("2026-01-05T05:00"))
    twice = parse("FREQ=DAILY;BYHOUR=5,17", LOCAL), parse("FREQ=DAILY;BYHOUR=5", LOCAL)
    assert carry_bounds((twice[0], began), (twice[1], began), LOCAL)[1] == began


hours = st.lists(st.integers(0, 23), min_size=1, max_size=4, unique=True)


@given(hours, hours, st.integers(0, 86_399))
def test_days_stay_whole_at_both_bounds(old: list[int], new: list[int], second: int) -> None:
    """However the hours change: a bound day of which all (none) sounded has all (none) again."""
    bound = local("2026-01-10T00:00") + timedelta(seconds=second)
    text = f"UNTIL={bound:%Y%m%dT%H%M%S}"
    was, asked = (
        parse(f"FREQ=DAILY;BYHOUR={','.join(map(str, each))};{text}", LOCAL) for each in (old, new)
    )
    began = local("2026-01-01T00:00")
    rule, begins = carry_bounds((was, began), (asked, began), LOCAL)
    sounded, sounds = (
        {int(at[-5:-3]) for at in starts(str(each), began) if at.startswith("2026-01-10")}
        for each in (was, rule)
    )
    assert begins == began
    assert len(starts(str(rule), began)) == 9 * len(new) + len(sounds), "the days before are whole"
    assert sounded & {*new} <= sounds, "what both rules have is not lost"
    if sounded == {*old}:
        assert sounds == {*new}
    if not sounded and {*new} <= {*old}:
        assert not sounds


def test_a_split_leaves_the_count_to_what_follows() -> None:
    rule, start = parse("FREQ=DAILY;COUNT=10", LOCAL), local("2026-01-05T05:00")
    head, tail = split(rule, start, local("2026-01-08T05:00"), LOCAL)
    assert head is not None
    assert str(head) == "FREQ=DAILY;UNTIL=20260108T045959"
    assert str(tail) == "FREQ=DAILY;COUNT=7"
    assert split(rule, start, start, LOCAL)[0] is None


def test_times_of_day_come_from_the_rule_or_the_start() -> None:
    start = local("2026-01-05T05:15")
    assert times_of_day(None, start, LOCAL) == [time(5, 15)]
    assert times_of_day(parse("FREQ=DAILY;BYHOUR=17,6", LOCAL), start, LOCAL) == [
        time(6, 15),
        time(17, 15),
    ]


# --- lunar days --------------------------------------------------------------------------------


def test_the_first_and_the_fifteenth_of_each_lunar_month() -> None:
    assert starts("FREQ=DAILY;BYLUNARDAY=1,15", local("2026-02-01T05:00"), 60) == [
        "2026-02-02 Mon 05:00",  # 15/12
        "2026-02-17 Tue 05:00",  # Tết
        "2026-03-03 Tue 05:00",
        "2026-03-19 Thu 05:00",
    ]


def test_the_last_day_of_the_lunar_year_is_the_29th_or_the_30th() -> None:
    found = starts(
        "FREQ=DAILY;BYLUNARMONTH=12;BYLUNARDAY=-1;COUNT=3", local("2024-01-01T17:00"), 999
    )
    assert [each[:10] for each in found] == ["2024-02-09", "2025-01-28", "2026-02-16"]


def test_a_memorial_day_is_not_kept_again_in_the_leap_month() -> None:
    rule = "FREQ=DAILY;BYLUNARMONTH=6;BYLUNARDAY=15"
    assert starts(rule, local("2025-01-01T17:00"), 365) == ["2025-07-09 Wed 17:00"]
    assert len(starts("FREQ=DAILY;BYLUNARDAY=15", local("2025-01-01T17:00"), 364)) == 12


@given(st.integers(1, 29), st.integers(1, 12), st.integers(2000, 2099))
def test_a_lunar_day_comes_once_a_year(day: int, month: int, year: int) -> None:
    rule = parse(f"FREQ=DAILY;BYLUNARMONTH={month};BYLUNARDAY={day}", LOCAL)
    begin, end = datetime(year, 1, 1, tzinfo=LOCAL), datetime(year + 1, 3, 1, tzinfo=LOCAL)
    found = occurrences_between(rule, begin, {}, begin, end, LOCAL)
    days = [each.starts_at.astimezone(LOCAL).date() for each in found]
    assert [each for each in days if lunar(each).year == year] == [solar(year, month, day)]


@pytest.mark.parametrize("ends", ["COUNT=3", "UNTIL=20260107T170000"])
def test_a_rule_that_is_over_stays_so_when_it_is_split_at_a_later_date(ends: str) -> None:
    start, date_ = local("2026-01-05T17:00"), datetime(2026, 1, 20, 9)  # noqa: DTZ001
    rule = replace(parse(f"FREQ=DAILY;{ends}", LOCAL), dates=(date_,))
    head, tail = split(rule, start, local("2026-01-20T09:00"), LOCAL)
    assert head is not None
    found = [
        [p.starts_at for p in occurrences_between(part, start, {}, start, start + 60 * DAY, LOCAL)]
        for part in (head, tail)
    ]
    assert found == [[start + n * DAY for n in range(3)], [local("2026-01-20T09:00")]]

"""Random months of edits, calendars and exceptions, beside an expansion that shares no code.

The other one takes rules from python-dateutil, lunar days from the published table, and looks at
each day and each mark by itself.
"""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from pathlib import Path

from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st

import tests.calendars
from broadcast.calendars.days import HOLIDAY, Kind, Mark, Marks, Policy, silences
from broadcast.kit.clock import LOCAL
from broadcast.schedules import single_starts
from broadcast.schedules.recurrence import Planned, occurrences_between
from broadcast.schedules.rrule import Rule, parse
from broadcast.schedules.rule_edits import carry_bounds, carry_over, split
from tests.examples import examples

DAY = timedelta(days=1)
BEGIN = datetime(2026, 8, 1, tzinfo=LOCAL)
SECONDS = timedelta(minutes=10)
"""How long everything sounds."""
END = datetime(2027, 3, 1, tzinfo=LOCAL)
"""With National Day, Tết, and the swap of a year."""

CLUSTERS = {"province": {1, 2, 3, 4}, "commune": {3, 4}}


# --- the second expansion ----------------------------------------------------------------------

OFF = {
    *("2026-09-01", "2026-09-02", "2027-01-01", "2027-02-04", "2027-02-05", "2027-02-06"),
    *("2027-02-07", "2027-02-08", "2027-02-09", "2027-02-10"),
}
"""Days off between `BEGIN` and `END`, by the calendar on the wall."""


def lunar_days() -> dict[date, int]:
    """Days of the lunar month, by the published table."""
    found = {}
    with Path(tests.calendars.__path__[0], "published.csv").open() as file:
        for row in csv.DictReader(file):
            day = date.fromisoformat(row["new_year"])
            for length in row["months"]:
                for number in range(30 if length == "+" else 29):
                    found[day + number * DAY] = number + 1
                day += (30 if length == "+" else 29) * DAY
    return found


LUNAR = lunar_days()


@dataclass
class Series:
    """A schedule as the tests keep it."""

    text: str
    starts_at: datetime
    dates: list[datetime] = field(default_factory=list)
    exceptions: dict[datetime, datetime | None] = field(default_factory=dict)
    deleted: set[datetime] = field(default_factory=set)
    """Starts that a person has cancelled; those that go on at another time of the day, there."""
    left_out: Counter[date] = field(default_factory=Counter)
    """How many of a day a person has cancelled."""

    @property
    def rule(self) -> Rule:
        walls = (at.replace(tzinfo=None) for at in self.dates)
        return replace(parse(self.text, LOCAL), dates=tuple(sorted(walls)))

    def naively(self) -> set[tuple[datetime, datetime]]:
        """Starts by the rule and the dates with what became of them, day by day."""
        return {(at, to) for at in self.fires() if (to := self.exceptions.get(at, at)) is not None}

    def fires(self) -> set[datetime]:
        """Starts by the rule and the dates, whatever became of them."""
        parts = dict(part.split("=") for part in self.text.split(";"))
        wanted = parts.pop("BYLUNARDAY", None)
        text = ";".join(f"{name}={value}" for name, value in parts.items())
        wall = self.starts_at.replace(tzinfo=None)
        return {
            at.replace(tzinfo=LOCAL)
            for at in rrulestr(text, dtstart=wall).between(
                wall - DAY, END.replace(tzinfo=None), inc=True
            )
            if wanted is None or LUNAR[at.date()] in map(int, wanted.split(","))
        } | set(self.dates)


def meets(mark: Mark, starts_at: datetime) -> bool:
    """Whether a mark is for a sound: of hours, whether it lies there on one of the days."""
    local = starts_at.astimezone(LOCAL)
    if mark.from_time is None or mark.until_time is None:
        return mark.first_on <= local.date() <= mark.last_on
    days = [mark.first_on + n * DAY for n in range((mark.last_on - mark.first_on).days + 1)]
    return any(
        local < datetime.combine(day, time.fromisoformat(mark.until_time), LOCAL)
        and local + SECONDS > datetime.combine(day, time.fromisoformat(mark.from_time), LOCAL)
        for day in days
    )


def heard_naively(
    marks: list[Mark], policy: Policy, starts_at: datetime, *, by_hand: bool
) -> set[int]:
    heard, day = set(), starts_at.astimezone(LOCAL).date()
    for cluster in CLUSTERS["province"]:
        there = [
            mark
            for mark in marks
            if meets(mark, starts_at) and cluster in CLUSTERS[str(mark.area_code)]
        ]
        kinds = {mark.kind for mark in there}
        off = (str(day) in OFF or Kind.HOLIDAY in kinds) and Kind.WORKING not in kinds
        names = {mark.name for mark in there if mark.kind is Kind.OWN} | (
            {HOLIDAY} if off else set()
        )
        if Kind.EXAM in kinds or (Kind.MOURNING in kinds and not policy.is_speech):
            continue
        if not by_hand and names & {*policy.except_on}:
            continue
        if not by_hand and policy.only_on and not names & {*policy.only_on}:
            continue
        heard.add(cluster)
    return heard


# --- what our own rules say --------------------------------------------------------------------


def heard(marks: Marks, policy: Policy, planned: Planned, dates: list[datetime]) -> set[int]:
    def covered(mark: Mark) -> frozenset[int]:
        return frozenset(CLUSTERS[mark.area_code or "province"])

    clusters = frozenset(CLUSTERS["province"])
    silent = silences(
        policy,
        marks.at(planned.starts_at, SECONDS.total_seconds()),
        covered,
        clusters,
        by_hand=planned.starts_at != planned.recurrence_at or planned.recurrence_at in dates,
    )
    return set(clusters - silent.keys())


# --- random months -----------------------------------------------------------------------------

RULES = (
    "FREQ=DAILY", "FREQ=WEEKLY;BYDAY=MO,WE,FR", "FREQ=DAILY;INTERVAL=3",
    "FREQ=DAILY;BYLUNARDAY=1,15", "FREQ=MONTHLY;BYMONTHDAY=1,-1", "FREQ=DAILY;BYHOUR=5,17",
    "FREQ=WEEKLY;BYDAY=SU;BYHOUR=6,18", "FREQ=DAILY;COUNT=40", "FREQ=DAILY;UNTIL=20261015T235959",
)  # fmt: skip
moments = st.datetimes(datetime(2026, 8, 2), datetime(2027, 2, 27)).map(  # noqa: DTZ001
    lambda at: at.replace(minute=at.minute // 30 * 30, second=0, microsecond=0, tzinfo=LOCAL)
)
marks_ = st.builds(
    lambda kind, area, first, days, hours: Mark(
        kind,
        "Chợ phiên" if kind is Kind.OWN else "x",
        first,
        first + days * DAY,
        area,
        from_time=hours[0] if kind is Kind.EXAM else None,
        until_time=hours[1] if kind is Kind.EXAM else None,
    ),
    st.sampled_from(Kind),
    st.sampled_from([*CLUSTERS]),
    st.dates(date(2026, 8, 2), date(2027, 2, 20)),
    st.integers(0, 4),
    st.sampled_from([(None, None), ("05:00", "07:10"), ("12:00", "18:00"), ("17:09", "17:11")]),
)
policies = st.builds(
    lambda speech, follows: Policy(is_speech=speech, **follows),
    st.booleans(),
    st.sampled_from(
        [
            {},
            {"except_on": (HOLIDAY,)},
            {"only_on": (HOLIDAY,)},
            {"except_on": ("Chợ phiên",)},
            {"only_on": ("Chợ phiên", HOLIDAY)},
            {"except_on": (HOLIDAY,), "only_on": ("Chợ phiên",)},
        ]
    ),
)


def starts(each: Series) -> list[Planned]:
    return occurrences_between(each.rule, each.starts_at, each.exceptions, BEGIN, END, LOCAL)


def edit(data: st.DataObject, every: list[Series]) -> None:
    """One thing that a person does to one of the schedules."""
    each = data.draw(st.sampled_from(every))
    coming = starts(each)
    what = data.draw(
        st.sampled_from(
            ["cancel", "move", "put_back", "add", "date", "undate", "all", "split", "following"]
        )
    )
    if what == "date":
        each.dates = sorted({*each.dates, data.draw(moments)})
    elif what == "undate" and each.dates:
        take(each, single_starts.drop(said(each), data.draw(st.sampled_from(each.dates))))
    elif what == "add":
        known = st.sampled_from(sorted(each.exceptions) or [each.starts_at])
        at = data.draw(moments | known).astimezone(LOCAL)
        take(each, single_starts.add(said(each), at))
        sounds_again(each, at)
        assert at in {p.recurrence_at for p in starts(each)}, "what is asked for sounds"
    elif what == "put_back" and each.exceptions:
        at = data.draw(st.sampled_from(sorted(each.exceptions)))
        take(each, single_starts.put_back(said(each), at))
        sounds_again(each, at)
    elif what == "all":
        change(data, each)
    elif coming and what in {"cancel", "move", "split", "following"}:
        chosen = data.draw(st.sampled_from(coming))
        if what == "cancel":
            take(each, single_starts.leave_out(said(each), chosen.recurrence_at))
            each.deleted.add(chosen.recurrence_at)
            each.left_out[day_of(chosen.recurrence_at)] += 1
        elif what == "move":
            each.exceptions[chosen.recurrence_at] = data.draw(moments)
        else:
            parts = _split(each, chosen.recurrence_at)
            every += parts
            if what == "following":
                change(data, *parts or [each])


def said(each: Series) -> single_starts.Said:
    return single_starts.Said(tuple(each.dates), each.exceptions)


def take(each: Series, after: single_starts.Said) -> None:
    """Only what a person has named is different afterwards."""
    each.dates, each.exceptions = list(after.dates), dict(after.exceptions)


def sounds_again(each: Series, at: datetime) -> None:
    """A person has asked for a start, whether it was cancelled or not."""
    if at in each.deleted:
        each.deleted.remove(at)
        each.left_out[day_of(at)] -= 1


def change(data: st.DataObject, each: Series) -> None:
    """Another rule, another first start, or both, as `edits.rewrite` carries it out."""
    old, fired = (each.rule, each.starts_at), each.fires()
    silent, sounding = left_out_of(each, fired), sounding_of(each, fired)
    text = data.draw(st.sampled_from((each.text, *RULES)))
    starts_at = data.draw(st.just(each.starts_at) | moments)
    wanted = Series(text, starts_at, each.dates).rule
    rule, begins = carry_bounds(old, (wanted, starts_at), LOCAL)
    assert rule is not None
    each.text, each.starts_at = str(rule), begins.astimezone(LOCAL)
    before = each.exceptions
    each.exceptions = carry_over(before, old, (each.rule, each.starts_at), LOCAL)
    fires = each.fires()
    for at in fired & fires & before.keys():
        assert each.exceptions[at] == before[at], "an exception that still applies is kept"
    assert silent <= each.left_out
    left_out = left_out_of(each, fires)
    assert left_out <= each.left_out, "no more of a day are silent than people have cancelled"
    kept = Counter(day_of(at) for at, to in before.items() if to is None)
    for day, count in Counter(map(day_of, fires)).items():
        if not sounding[day] and count <= kept[day]:
            assert left_out[day] == count, "what was cancelled does not sound again"
    gone = {at for at, to in before.items() if to is None}
    goes_on = {at for at, to in each.exceptions.items() if to is None}
    each.deleted = each.deleted - gone | goes_on


def day_of(at: datetime) -> date:
    return at.astimezone(LOCAL).date()


def left_out_of(each: Series, fires: set[datetime]) -> Counter[date]:
    return Counter(day_of(at) for at in fires if each.exceptions.get(at, at) is None)


def sounding_of(each: Series, fires: set[datetime]) -> Counter[date]:
    return Counter(day_of(at) for at in fires if each.exceptions.get(at, at) is not None)


def _split(each: Series, at: datetime) -> list[Series]:
    whole = set(starts(each))
    head, tail = split(each.rule, each.starts_at, at, LOCAL)
    if head is None:
        return []
    by_rule = [
        p.recurrence_at.astimezone(LOCAL)
        for p in occurrences_between(
            each.rule.without_dates(), each.starts_at, {}, at, END + 400 * DAY, LOCAL
        )
    ]
    dates = each.dates
    following = Series(
        str(tail),
        by_rule[0] if by_rule else each.starts_at,
        [when for when in dates if when >= at],
        {when: to for when, to in each.exceptions.items() if when >= at or to is None},
        set(each.deleted),
        Counter(each.left_out),
    )
    each.text, each.dates = str(head), [when for when in dates if when < at]
    parts = [*starts(each), *starts(following)]
    assert sorted(parts) == sorted(whole), "a division loses nothing and repeats nothing"
    return [following]


@settings(max_examples=examples(40), deadline=None)
@given(st.sampled_from(RULES), moments, policies, st.data())
def test_random_months_are_as_the_other_expansion_says(
    text: str, first: datetime, policy: Policy, data: st.DataObject
) -> None:
    every = [Series(text, first)]
    for _ in range(data.draw(st.integers(1, 12))):
        edit(data, every)
        entered = data.draw(st.lists(marks_, max_size=6))
        marks = Marks(entered)
        for each in every:
            ours = starts(each)
            there = {(p.recurrence_at, p.starts_at) for p in ours}
            assert there == {pair for pair in each.naively() if BEGIN <= pair[1] < END}
            for planned in ours:
                assert each.exceptions.get(planned.recurrence_at, planned) is not None
                is_named = planned.recurrence_at in each.dates
                by_hand = is_named or planned.starts_at != planned.recurrence_at
                assert heard(marks, policy, planned, each.dates) == heard_naively(
                    entered, policy, planned.starts_at, by_hand=by_hand
                )
            assert each.deleted.isdisjoint(p.recurrence_at for p in ours), "deleted once for all"

"""When a schedule sounds: RFC 5545 rules in the province's wall time, dated in UTC.

Pure and bounded: periods are walked up to the end of the window and no further. (dateutil looks at
its own bound only when a rule fires; one that never does keeps it busy until the year 9999.)

Rules are expanded as local wall time and only then converted, so that Monday 05:00 is a Monday
although UTC still writes Sunday. In a zone with daylight saving a time that does not exist is read
with the offset before the gap, and one that exists twice is the first (RFC 5545 §3.3.5); the
province's own zone has neither.
"""

from __future__ import annotations

from calendar import isleap, monthrange
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice, pairwise
from typing import NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from broadcast.schedules.rrule import WEEKDAYS, Rule, invalid

MOST_PER_DAY = 24
"""Starts of one schedule in a day. More is no programme but a siren."""

LOOK_AHEAD = timedelta(days=10 * 366)
"""A rule that does not fire within this time never does: 29 February comes every eight years at
the latest."""

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
LAST = time(23, 59, 59)
"""Of a day."""

T = TypeVar("T", time, datetime)


class Planned(NamedTuple):
    """One start of a schedule."""

    recurrence_at: datetime
    """Start by the rule: what names it for ever."""
    starts_at: datetime
    """When it sounds; differs once it was moved."""


def check(rule: Rule, starts_at: datetime, seconds: float, zone: ZoneInfo) -> None:
    """Refuse a rule that fires too often for a bulletin of this length, or never.

    Raises:
        InvalidInput: It does.
    """
    times = times_of_day(rule, starts_at, zone)
    if len(times) > MOST_PER_DAY:
        raise invalid(f"{len(times)} lần mỗi ngày; nhiều nhất {MOST_PER_DAY} lần")
    moments = [datetime.combine(date(2000, 1, 1), each) for each in times]
    gap = min(later - earlier for earlier, later in pairwise([*moments, moments[0] + DAY]))
    if gap < timedelta(seconds=seconds):
        raise invalid(
            f"hai lần liền nhau cách {_minutes(gap)} phút, ngắn hơn bản tin "
            f"({_minutes(timedelta(seconds=seconds))} phút); hãy giãn ra"
        )
    if rule.until is not None and rule.until < _wall(starts_at, zone):
        raise invalid("UNTIL trước lần phát đầu tiên, nên không phát lần nào")
    if first_after(rule, starts_at, starts_at, zone) is None:
        raise invalid("không bao giờ phát trong 10 năm tới; kiểm tra lại ngày và tháng")


def times_of_day(rule: Rule | None, starts_at: datetime, zone: ZoneInfo) -> list[time]:
    """Local times at which it may fire, ascending; every day has the same."""
    start = _wall(starts_at, zone).time()
    return [start] if rule is None else _times(rule, start)


def occurrences_between(
    rule: Rule | None,
    starts_at: datetime,
    exceptions: Mapping[datetime, datetime | None],
    after: datetime,
    before: datetime,
    zone: ZoneInfo,
) -> list[Planned]:
    """Starts from `after` (inclusive) to `before` (exclusive), in order of sounding.

    Args:
        rule: Recurrence; None for the single start `starts_at`.
        starts_at: First possible start; the rule counts from its wall time in `zone`. It sounds
            then only if the rule says so.
        exceptions: By `recurrence_at`: moved to another time, or left out (None).
        after: Begin of the window that `Planned.starts_at` lies in.
        before: End of that window.
        zone: Where the rule's wall times are.
    """
    regular = {at for at in _starts(rule, starts_at, after, before, zone) if at not in exceptions}
    planned = [Planned(at, at) for at in regular]
    for recurrence_at, moved_to in exceptions.items():
        if (
            moved_to is not None
            and after <= moved_to < before
            and fires(rule, starts_at, recurrence_at, zone)
        ):
            planned.append(Planned(recurrence_at, moved_to))
    return sorted(planned, key=lambda each: (each.starts_at, each.recurrence_at))


@lru_cache(maxsize=4096)
def days_by_time(
    rule: Rule | None, starts_at: datetime, first: date, count: int, zone: ZoneInfo
) -> Mapping[time, int]:
    """On which of `count` days from `first` on it fires at each time of day, as bits.

    Kept, because whoever saves a schedule compares it with the same others again and again.
    """
    if rule is None:
        walls = iter([_wall(starts_at, zone)])
    else:
        last = datetime.combine(first + (count - 1) * DAY, LAST)
        begin = datetime.combine(first, time.min)
        walls = _expansion(rule, _wall(starts_at, zone), begin, last)
    days: dict[time, bytearray] = {}
    for wall in walls:
        number = (wall.date() - first).days
        if 0 <= number < count:
            days.setdefault(wall.time(), bytearray(count // 8 + 1))[number // 8] |= 1 << number % 8
    return {at: int.from_bytes(bits, "little") for at, bits in days.items()}


def first_after(
    rule: Rule | None, starts_at: datetime, after: datetime, zone: ZoneInfo
) -> datetime | None:
    """First start by the rule at or after a moment; None when there is none in `LOOK_AHEAD`."""
    if rule is None:
        return starts_at if starts_at >= after else None
    end = _wall(max(starts_at, after) + LOOK_AHEAD, zone)
    for wall in _expansion(rule, _wall(starts_at, zone), _wall(after, zone), end):
        at = _instant(wall, zone)
        if at >= after:
            return at
    return None


def last_start(rule: Rule | None, starts_at: datetime, zone: ZoneInfo) -> datetime | None:
    """No start by the rule lies later than this; None for a rule without an end."""
    if rule is None:
        return starts_at
    if rule.until is not None:
        return _instant(rule.until, zone)
    if rule.count is None:
        return None
    start = _wall(starts_at, zone)
    walls = list(_expansion(rule, start, start, start + LOOK_AHEAD))
    return _instant(walls[-1], zone) if len(walls) == rule.count else None


def lost_at_the_end(rule: Rule, starts_at: datetime, zone: ZoneInfo) -> list[datetime]:
    """Wall times on the day of UNTIL that lie after it: perhaps that day was meant.

    One second after it begins what a schedule was divided from.
    """
    if rule.until is None:
        return []
    end = datetime.combine(rule.until.date(), LAST)
    walls = _expansion(replace(rule, until=None), _wall(starts_at, zone), rule.until - DAY, end)
    found = [wall for wall in walls if wall > rule.until]
    return [] if rule.until + SECOND in found else found


def split(
    rule: Rule, starts_at: datetime, at: datetime, zone: ZoneInfo
) -> tuple[Rule | None, Rule]:
    """Divide a rule for "this and all following": what ends before `at`, and what goes on.

    Returns:
        The rule that keeps all starts before `at`, None when there are none, and the rule that
        has the others when it counts from `at`.
    """
    start, cut = _wall(starts_at, zone), _wall(at, zone)
    ended = 0
    for wall in _expansion(rule, start, start, cut):
        ended += wall < cut
    tail = rule if rule.count is None else replace(rule, count=max(rule.count - ended, 1))
    head = replace(rule, count=None, until=cut - SECOND) if ended else None
    return head, tail


def carry_over(
    exceptions: Mapping[datetime, datetime | None],
    old: tuple[Rule | None, datetime],
    new: tuple[Rule | None, datetime],
    zone: ZoneInfo,
) -> dict[datetime, datetime | None]:
    """Exceptions of a schedule under its changed rule: what was left out stays left out.

    A start that both rules have keeps its own exception. Of the others of a local day, the n-th
    that the old rule had goes on as the n-th that the new one has. A left-out start that goes on
    as none is kept for when it returns (docs/decisions/0040): by itself, or by its order in the
    day where the new rule has room beside what sounds. A move whose start goes on as none has
    nothing left to move; neither has the move of a single start that is now meant for another
    time.

    Args:
        exceptions: By `recurrence_at` of the old rule.
        old: Rule and first start before the change.
        new: Rule and first start after it.
        zone: Where the wall times are.
    """
    kept: dict[datetime, datetime | None] = {}
    for day in {_wall(at, zone).date() for at in exceptions}:
        begin = _instant(datetime.combine(day, time.min), zone)
        before, after = (
            _starts(rule, starts_at, begin, begin + DAY, zone) for rule, starts_at in (old, new)
        )
        excepted = {at: to for at, to in exceptions.items() if _wall(at, zone).date() == day}
        waiting = {at for at, to in excepted.items() if to is None and at not in before}
        goes_on_as = _counterparts(before, after, waiting)
        for at, moved_to in excepted.items():
            goes_on = goes_on_as.get(at)
            is_asked_anew = new[0] is None and at != goes_on
            if moved_to is None:
                kept[goes_on or at] = None
            elif goes_on is not None and not is_asked_anew:
                kept[goes_on] = moved_to
    return kept


def carry_bounds(
    old: tuple[Rule | None, datetime], new: tuple[Rule | None, datetime], zone: ZoneInfo
) -> tuple[Rule | None, datetime]:
    """A changed rule with the first and the last day that were meant.

    UNTIL and the first start are instants; once the times of day change, a day at one of them
    would be lost or won without a word. A bound that the change did not name goes on to take in
    what the starts that it took in have become.

    Args:
        old: Rule and first start before the change.
        new: Rule and first start after it, as asked for.
        zone: Where the wall times are.

    Returns:
        Rule and first start to be stored.
    """
    (was, began), (rule, begins) = old, new
    if was is None or rule is None:
        return new
    before, after = times_of_day(was, began, zone), times_of_day(rule, begins, zone)
    if before == after:
        return new
    until = rule.until
    if until is not None and until == was.until:
        last = until.time()
        kept = _still_in(before, after, lambda at: at <= last)
        if kept != [at for at in after if at <= last]:
            day = until.date() if kept else until.date() - DAY
            is_whole = not kept or kept == after
            rule = replace(rule, until=datetime.combine(day, LAST if is_whole else kept[-1]))
    first = _wall(begins, zone)
    if begins == began:
        kept = _still_in(before, after, lambda at: at >= first.time())
        begins = _instant(datetime.combine(first.date(), min([*kept, first.time()])), zone)
    return rule, begins


def _still_in(
    before: Collection[time], after: Collection[time], is_in: Callable[[time], bool]
) -> list[time]:
    """Which of the new times of a day lie within a bound, told by the old ones that did."""
    if all(map(is_in, before)):
        return sorted(after)
    came_of = {new: old for old, new in _counterparts(before, after).items()}
    return sorted(at for at in after if is_in(came_of.get(at, at)))


def _counterparts(
    before: Collection[T], after: Collection[T], waiting: Collection[T] = ()
) -> dict[T, T]:
    """As which a start of a day goes on: as itself where it stays, the others by their order.

    Those that are `waiting` to return go on as what is left beside those of `before`.
    """
    stay = {each: each for each in before if each in after}
    stay.update((each, each) for each in waiting if each in after)
    came = sorted(each for each in after if each not in stay)
    gone = sorted(each for each in before if each not in stay)
    idle = sorted(each for each in waiting if each not in stay)
    gone += idle[: max(len(came) - len(gone), 0)]
    stay.update(zip(sorted(gone), came, strict=False))
    return stay


def fires(rule: Rule | None, starts_at: datetime, at: datetime, zone: ZoneInfo) -> bool:
    """Tell whether a moment is a start by the rule."""
    return at in _starts(rule, starts_at, at, at + SECOND, zone)


def _starts(
    rule: Rule | None, starts_at: datetime, after: datetime, before: datetime, zone: ZoneInfo
) -> set[datetime]:
    """Starts by the rule in a window; a set, because a gap can lay two of them on one instant."""
    if rule is None:
        return {starts_at} if after <= starts_at < before else set()
    # A day of margin, because wall time and UTC differ; the exact window is applied in UTC.
    walls = _expansion(
        rule, _wall(starts_at, zone), _wall(after, zone) - DAY, _wall(before, zone) + DAY
    )
    return {at for wall in walls if after <= (at := _instant(wall, zone)) < before}


def _expansion(
    rule: Rule, start: datetime, after: datetime, until: datetime
) -> Iterator[datetime]:
    """Wall times of a rule up to `until`, ascending; those before `after` may be left out."""
    times, positions = _times(rule, start.time()), rule.numbers("BYSETPOS")
    is_due = _day_filter(rule, start.date())
    until = min(until, rule.until or until)
    first = start if rule.count is not None else max(start, after)

    def walls() -> Iterator[datetime]:
        for days in _periods(rule, start.date(), first.date(), until.date()):
            found = [datetime.combine(day, at) for day in days if is_due(day) for at in times]
            if positions is not None:
                places = {p - 1 if p > 0 else len(found) + p for p in positions}
                found = [found[place] for place in sorted(places) if 0 <= place < len(found)]
            yield from (wall for wall in found if start <= wall <= until)

    return islice(walls(), rule.count)


def _times(rule: Rule, start: time) -> list[time]:
    hours = rule.numbers("BYHOUR") or [start.hour]
    minutes = rule.numbers("BYMINUTE") or [start.minute]
    return sorted({time(hour, minute, start.second) for hour in hours for minute in minutes})


def _periods(rule: Rule, start: date, after: date, until: date) -> Iterator[list[date]]:
    """Days of every `INTERVAL`-th day, week, month or year, from the one that holds `after`."""
    interval = int(rule.get("INTERVAL") or 1)
    frequency = rule.get("FREQ")
    if frequency in {"DAILY", "WEEKLY"}:
        length = 7 if frequency == "WEEKLY" else 1
        if frequency == "WEEKLY":
            start -= (start.weekday() - WEEKDAYS.index(rule.get("WKST") or "MO")) % 7 * DAY
        step = length * interval * DAY
        start += (after - start) // step * step
        offsets = [offset * DAY for offset in range(length)]
        while start <= until:
            yield [start + offset for offset in offsets]
            start += step
    else:
        months = 12 if frequency == "YEARLY" else 1
        begin = _month(start) // months * months
        begin += (_month(after) - begin) // (months * interval) * (months * interval)
        while begin <= _month(until):
            first, end = _first_of(begin), _first_of(begin + months)
            yield [first + offset * DAY for offset in range((end - first).days)]
            begin += months * interval


def _month(day: date) -> int:
    return day.year * 12 + day.month - 1


def _first_of(month: int) -> date:
    return date(month // 12, month % 12 + 1, 1)


def _day_filter(rule: Rule, start: date) -> Callable[[date], bool]:
    """Which days of a period fire. What the rule leaves open comes from its first start."""
    months, month_days = rule.numbers("BYMONTH"), rule.numbers("BYMONTHDAY")
    weekdays = [_weekday(text) for text in (rule.get("BYDAY") or "").split(",") if text]
    frequency = rule.get("FREQ")
    if not weekdays and not month_days:
        if frequency == "WEEKLY":
            weekdays = [(0, start.weekday())]
        elif frequency in {"MONTHLY", "YEARLY"}:
            month_days = [start.day]
            if frequency == "YEARLY":
                months = months or [start.month]
    within_month = frequency == "MONTHLY" or months is not None

    every = {weekday for number, weekday in weekdays if number == 0}
    some = {weekday for number, weekday in weekdays if number != 0}

    def is_numbered(day: date) -> bool:
        return any((number, day.weekday()) in weekdays for number in _numbers(day, within_month))

    def is_due(day: date) -> bool:
        if months is not None and day.month not in months:
            return False
        if month_days is not None:
            length = monthrange(day.year, day.month)[1]
            if day.day not in month_days and day.day - length - 1 not in month_days:
                return False
        return (
            not weekdays or day.weekday() in every or (day.weekday() in some and is_numbered(day))
        )

    return is_due


def _weekday(text: str) -> tuple[int, int]:
    """Number and weekday of a `BYDAY` entry; number 0 for all of them."""
    return int(text[:-2] or 0), WEEKDAYS.index(text[-2:])


def _numbers(day: date, within_month: bool) -> tuple[int, int]:
    """The how-manieth of its weekday it is in its month or year, from the start and the end."""
    if within_month:
        place, length = day.day, monthrange(day.year, day.month)[1]
    else:
        place, length = day.timetuple().tm_yday, 366 if isleap(day.year) else 365
    return (place - 1) // 7 + 1, -((length - place) // 7 + 1)


def _wall(at: datetime, zone: ZoneInfo) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None)


def _instant(wall: datetime, zone: ZoneInfo) -> datetime:
    return wall.replace(tzinfo=zone).astimezone(UTC)


def _minutes(span: timedelta) -> str:
    return f"{span / timedelta(minutes=1):.3g}"

"""Changes of a rule: divided in two, with its exceptions and bounds carried over. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from broadcast.schedules.expansion import (
    DAY,
    LAST,
    SECOND,
    expand,
    instant,
    starts_between,
    wall_time,
)
from broadcast.schedules.recurrence import times_of_day
from broadcast.schedules.rrule import WEEKDAYS, Rule

T = TypeVar("T", time, datetime)


def lost_at_the_end(rule: Rule, starts_at: datetime, zone: ZoneInfo) -> list[datetime]:
    """Wall times on the day of UNTIL that lie after it: perhaps that day was meant.

    One second after it begins what a schedule was divided from.
    """
    if rule.until is None:
        return []
    end = datetime.combine(rule.until.date(), LAST)
    walls = expand(
        replace(rule, until=None, dates=()), wall_time(starts_at, zone), rule.until - DAY, end
    )
    found = [wall for wall in walls if wall > rule.until]
    return [] if rule.until + SECOND in found else found


OF_MONTHS = ("BYMONTH", "BYMONTHDAY", "BYSETPOS", "BYLUNARMONTH", "BYLUNARDAY")
"""Parts that name days by their months."""


def on_later_days(rule: Rule, at: time, days: int) -> Rule | None:
    """The rule whose starts come so many days later, once its first start does.

    Args:
        rule: With one time of day.
        at: That local time.
        days: Fewer than none: earlier.

    Returns:
        None where no rule says that: its days are those of months, or weekdays of some weeks.
    """
    if not days:
        return rule
    if any(rule.get(name) for name in OF_MONTHS):
        return None
    parts, until = dict(rule.parts), rule.until
    if "BYDAY" in parts:
        if parts["FREQ"] not in {"DAILY", "WEEKLY"} or parts.get("INTERVAL", "1") != "1":
            return None
        chosen = {WEEKDAYS.index(each) for each in parts["BYDAY"].split(",")}
        moved = sorted((each + days) % 7 for each in chosen)
        parts["BYDAY"] = ",".join(WEEKDAYS[each] for each in moved)
    if until is not None:
        last = until.date() if at <= until.time() else until.date() - DAY
        until = datetime.combine(last + timedelta(days=days), LAST)
    return replace(rule, parts=tuple(parts.items()), until=until)


def split(
    rule: Rule, starts_at: datetime, at: datetime, zone: ZoneInfo
) -> tuple[Rule | None, Rule]:
    """Divide a rule for "this and all following": what ends before `at`, and what goes on.

    Returns:
        The rule that keeps all starts before `at`, None when there are none, and the rule that
        has the others when it counts from `at`.
    """
    start, cut = wall_time(starts_at, zone), wall_time(at, zone)
    alone, ended = rule.without_dates(), 0
    for wall in expand(alone, start, start, cut):
        ended += wall < cut
    before = tuple(each for each in rule.dates if each < cut)
    after = tuple(each for each in rule.dates if each >= cut)
    tail = replace(rule, dates=after)
    is_over = rule.until is not None and not any(
        wall >= cut for wall in expand(alone, start, cut, rule.until)
    )
    if is_over or rule.count == ended:
        tail = replace(tail, count=None, until=start - SECOND)  # only its dates are left
    elif rule.count is not None:
        tail = replace(tail, count=rule.count - ended)
    if not ended and not before:
        return None, tail
    head = replace(rule, dates=before)
    if rule.count != ended:  # else it was over before the cut
        head = replace(head, count=None, until=min(rule.until or cut, cut - SECOND))
    return head, tail


def carry_over(
    exceptions: Mapping[datetime, datetime | None],
    old: tuple[Rule | None, datetime],
    new: tuple[Rule | None, datetime],
    zone: ZoneInfo,
) -> dict[datetime, datetime | None]:
    """Exceptions of a schedule under its changed rule: a start that was cancelled stays so.

    A start that both rules have keeps its own exception. Of the others of a local day, the n-th
    that the old rule had goes on as the n-th that the new one has. A cancelled start that goes on
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
    for day in {wall_time(at, zone).date() for at in exceptions}:
        begin = instant(datetime.combine(day, time.min), zone)
        before, after = (
            starts_between(rule, starts_at, begin, begin + DAY, zone)
            for rule, starts_at in (old, new)
        )
        excepted = {at: to for at, to in exceptions.items() if wall_time(at, zone).date() == day}
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
        new: Rule and first start after it, as requested.
        zone: Where the wall times are.

    Returns:
        Rule and first start to be stored.
    """
    (was, began), (rule, begins) = old, new
    if was is None or rule is None:
        return new
    before = times_of_day(was.without_dates(), began, zone)
    after = times_of_day(rule.without_dates(), begins, zone)
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
    first = wall_time(begins, zone)
    if begins == began:
        kept = _still_in(before, after, lambda at: at >= first.time())
        begins = instant(datetime.combine(first.date(), min([*kept, first.time()])), zone)
    return rule, begins


def _still_in(
    before: Collection[time], after: Collection[time], is_in: Callable[[time], bool]
) -> list[time]:
    """Return the new times of a day within a bound, derived from the old ones that were."""
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

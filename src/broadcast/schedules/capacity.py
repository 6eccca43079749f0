"""Capacity of programmes: a schedule that would overfill one is refused.

A programme holds all that its scope hears from now to the end of the day that is `programme_span`
away, within the bounds of `broadcast.wire.limits`. It is fullest at midnight, when a new day
enters, so counting the starts of each local day tells exactly what any document will hold.

Thousands of starts are counted without being dated: by rule and time of day as sets of days, once
for all scopes that the same schedules reach.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from itertools import accumulate
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.config import Rules
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict
from broadcast.schedules import recurrence, targets
from broadcast.schedules.clashes import days_from
from broadcast.schedules.model import Schedule
from broadcast.schedules.neighbours import Neighbour, Neighbours, neighbours
from broadcast.schedules.starts import LONGEST, SLACK
from broadcast.schedules.targets import TargetResolver
from broadcast.wire.limits import ITEM_BYTES, ITEMS_BYTES, MOST_ITEMS, STREAM_BYTES

DAY = timedelta(days=1)

LOOK_AHEAD = timedelta(days=400)
"""Once round every rule but those of leap years. What comes later all the same, or by a merger of
areas, is left out of the programme, lowest priority first, and said."""


class Starts(NamedTuple):
    """Starts on one local day."""

    begun: int
    lasting: int
    """Those that may last beyond the midnight after."""


class _Sharing(NamedTuple):
    """A schedule that some of the scopes in question carry, and which, by span of days."""

    neighbour: Neighbour
    scopes: list[set[str]]


async def refuse_overfull(
    session: AsyncSession,
    schedule: Schedule,
    rules: Rules,
    now: datetime,
    others: Neighbours | None = None,
) -> None:
    """Refuse a stored schedule by which a programme would come to more than a document holds.

    The caller holds `locking.lock_schedule_grid`, so that two at once do not both find room.

    Args:
        session: Open transaction.
        schedule: As it is to be.
        rules: How far a programme reaches.
        now: Present.
        others: What `neighbours` gives, this schedule as it is to be among them, where it has
            been read.

    Raises:
        Conflict: With `scope`, `items`, `at_most`, and the first day on which it is too much.
    """
    begin, until = now - LONGEST, now + LOOK_AHEAD
    resolver = await targets.target_resolver(session)
    spans = list(resolver.periods(begin.astimezone(LOCAL).date()))
    today, last = now.astimezone(LOCAL).date(), until.astimezone(LOCAL).date()
    scopes = set[str]().union(
        *(
            reached
            for reached, (first, end) in zip(
                await _reached(resolver, schedule, spans), spans, strict=True
            )
            if first <= last and end > today
        )
    )
    sharing = await _sharing(others or await neighbours(session), resolver, scopes, spans)
    days = _days_held(rules)
    most = [(_most(each.neighbour, days), _bytes(each.neighbour.schedule)) for each in sharing]
    if not _is_too_much(sum(n for n, _ in most), sum(n * size for n, size in most)):
        return
    counted = []
    for each in sharing:
        await asyncio.sleep(0)  # thousands of starts: others have their turn
        counted.append(starts_by_day(each.neighbour, begin, until))
    for scope, reaching in _unlike(scopes, sharing):
        held = Held()
        for number, span in reaching:
            first, end = spans[span]
            held.add(
                {day: starts for day, starts in counted[number].items() if first <= day < end},
                _bytes(sharing[number].neighbour.schedule),
            )
        for day, count, size in held.at_midnights(days):
            if _is_too_much(count, size):
                raise _overfull(scope, day, days, count)


def _unlike(
    scopes: Iterable[str], sharing: Sequence[_Sharing]
) -> Iterator[tuple[str, tuple[tuple[int, int], ...]]]:
    """One scope of all that the same schedules reach on the same days: they hold as much.

    With it the numbers of those schedules and of those spans of days.
    """
    met = set()
    for scope in sorted(scopes):
        reaching = tuple(
            (number, span)
            for number, each in enumerate(sharing)
            for span, reached in enumerate(each.scopes)
            if scope in reached
        )
        if reaching not in met:
            met.add(reaching)
            yield scope, reaching


def starts_by_day(each: Neighbour, begin: datetime, until: datetime) -> dict[date, Starts]:
    """Count the starts of a schedule from `begin` to `until` by local day, without dating each.

    What was moved beyond `until` is counted, too, as `occurrences.starts_of` gives it.
    """
    rule, starts_at = each.rule, each.schedule.starts_at
    first, last = begin.astimezone(LOCAL), until.astimezone(LOCAL)
    number_of_days = (last.date() - first.date()).days + 1
    found = recurrence.days_by_time(rule, starts_at, first.date(), number_of_days, LOCAL)
    days = dict(found)
    for clock in days:
        if clock < first.time():
            days[clock] &= ~1
        if clock >= last.time():
            days[clock] &= (1 << number_of_days - 1) - 1
    lasts = timedelta(seconds=each.schedule.late_limit_seconds + each.seconds) + SLACK
    begun: Counter[date] = Counter()
    lasting: Counter[date] = Counter()
    for at, moved_to in each.exceptions.items():
        if not recurrence.fires(rule, starts_at, at, LOCAL):
            continue
        wall = at.astimezone(LOCAL)
        if wall.time() in days and wall.date() >= first.date():
            days[wall.time()] &= ~(1 << (wall.date() - first.date()).days)
        if moved_to is not None and moved_to >= begin:
            wall = moved_to.astimezone(LOCAL)
            begun[wall.date()] += 1
            lasting[wall.date()] += _is_lasting(wall.time(), lasts)
    # Most times of day fire on the same days.
    times = Counter((bits, _is_lasting(clock, lasts)) for clock, bits in days.items())
    for (bits, is_lasting), count in times.items():
        for day in days_from(bits, first.date()):
            begun[day] += count
            lasting[day] += count * is_lasting
    return {day: Starts(count, lasting[day]) for day, count in begun.items()}


class Held:
    """Items of one scope by local days, and what its programme holds at each midnight. Pure."""

    def __init__(self) -> None:
        self._begun: Counter[date] = Counter()
        self._lasting: Counter[date] = Counter()
        """Items that began the day before and last beyond the midnight."""
        self._begun_bytes: Counter[date] = Counter()
        self._lasting_bytes: Counter[date] = Counter()

    def add(self, starts: Mapping[date, Starts], size: int) -> None:
        """Add the items of a schedule, each of so many bytes; none lasts a whole day."""
        for day, (begun, lasting) in starts.items():
            self._begun[day] += begun
            self._begun_bytes[day] += begun * size
            if lasting:
                self._lasting[day + DAY] += lasting
                self._lasting_bytes[day + DAY] += lasting * size

    def at_midnights(self, days: int) -> Iterator[tuple[date, int, int]]:
        """Days, and how many items and bytes a programme of so many days holds at their begin."""
        bringing = sorted(self._begun)
        counts = [0, *accumulate(self._begun[day] for day in bringing)]
        sizes = [0, *accumulate(self._begun_bytes[day] for day in bringing)]
        for day in sorted(self._begun.keys() | self._lasting.keys()):
            # It is fullest where it ends with a day that brings items, or begins with one.
            for first in dict.fromkeys((day, day - (days - 1) * DAY)):
                begin, end = (bisect_left(bringing, each) for each in (first, first + days * DAY))
                yield (
                    first,
                    self._lasting[first] + counts[end] - counts[begin],
                    self._lasting_bytes[first] + sizes[end] - sizes[begin],
                )


def _overfull(scope: str, day: date, days: int, count: int) -> Conflict:
    family, _, code = scope.partition("/")
    whose = f"địa bàn {code}" if family == "area" else f"thiết bị {code}"
    most = f"{MOST_ITEMS:,}".replace(",", ".")
    return Conflict(
        f"Chương trình của {whose} trong {days} ngày từ {day:%d/%m/%Y} sẽ có {count} buổi phát;"
        f" thiết bị giữ được nhiều nhất {most} lần (8 MB). Hãy bớt giờ phát, hoặc thu hồi lịch"
        " khác của địa bàn đó.",
        scope=scope,
        items=count,
        at_most=MOST_ITEMS,
        day=day.isoformat(),
    )


def _days_held(rules: Rules) -> int:
    """Local days of which a programme holds something at midnight, when it is fullest."""
    return -(-rules.programme_span // DAY) + 1


def _is_too_much(count: int, size: int) -> bool:
    return count > MOST_ITEMS or size > ITEMS_BYTES


def _is_lasting(at: time, lasts: timedelta) -> bool:
    """Tell whether what starts at a time of day may last beyond midnight."""
    begin = datetime.combine(date.min, at)
    return begin - datetime.combine(date.min, time()) + lasts > DAY


def _most(each: Neighbour, days: int) -> int:
    """A programme of so many days holds at most so many items of a schedule."""
    times = recurrence.times_of_day(each.rule, each.schedule.starts_at, LOCAL)
    moved = sum(moved_to is not None for moved_to in each.exceptions.values())
    return len(times) * (days + 1) + moved


def _bytes(schedule: Schedule) -> int:
    """Size of an item of a schedule."""
    relayed = 0 if schedule.relay_source_id is None else STREAM_BYTES
    return ITEM_BYTES + relayed + len(schedule.title.encode())


async def _sharing(
    others: Neighbours,
    resolver: TargetResolver,
    scopes: set[str],
    spans: Sequence[tuple[date, date]],
) -> list[_Sharing]:
    """Schedules of which some programme of these scopes may hold items."""
    found = []
    for each in others.readable:
        reached = await _reached(resolver, each.schedule, spans)
        if not all(map(scopes.isdisjoint, reached)):
            found.append(_Sharing(each, [scopes.intersection(some) for some in reached]))
    return found


async def _reached(
    resolver: TargetResolver, schedule: Schedule, spans: Iterable[tuple[date, date]]
) -> list[list[str]]:
    """Documents that carry a schedule, by span of days that are alike."""
    return [(await resolver.reach(schedule, first)).scopes for first, _ in spans]

"""Hours in which nothing sounds, or nothing louder than a limit: one rule for server and device.

Pure. A window belongs to the local day on which it opens: weekday, first and last day and the days
that are excepted are those of that day, wherever it ends. Alerts pass all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from broadcast.wire.documents import Config, Hours

DAY = timedelta(days=1)
MOMENT = timedelta(milliseconds=1)

AHEAD = 9
"""Days that are looked ahead: a week, and a night at either end."""


class Span(NamedTuple):
    """A window on the day on which it opens."""

    begins_at: datetime
    ends_at: datetime
    """Not included."""
    hours: Hours


class Silence(NamedTuple):
    """Silent hours without a gap: windows that touch or overlap are one."""

    begins_at: datetime
    ends_at: datetime | None
    """None when they last longer than a week."""


def of_config(config: Config | None) -> Sequence[Hours]:
    """Windows by which a device goes."""
    if config is None:
        return ()
    if config.hours is not None:
        return config.hours
    return [Hours(from_=each.from_, until=each.until) for each in config.quiet_hours]


def silent_until(hours: Sequence[Hours], offset: timedelta, at: datetime) -> datetime | None:
    """End of the silent hours that a moment lies in; None when sound is allowed.

    Args:
        hours: Windows.
        offset: Of local time from UTC.
        at: The moment.
    """
    end, limit = at, at + AHEAD * DAY
    while end < limit:
        day = _day(end, offset)
        lasting = (
            span.ends_at
            for span in _silent(hours, offset, day - DAY, day)
            if span.begins_at <= end
        )
        later = max(lasting, default=end)
        if later <= end:
            break
        end = later
    return end if end > at else None


def silent_from(hours: Sequence[Hours], offset: timedelta, at: datetime) -> datetime | None:
    """Begin of the next silent hours from a moment at which sound is allowed; None without any.

    Those that begin more than `AHEAD` days later are not looked for.
    """
    first = _day(at, offset)
    for number in range(AHEAD + 1):
        day = first + number * DAY
        begins = [
            span.begins_at for span in _silent(hours, offset, day, day) if span.begins_at >= at
        ]
        if begins:
            return min(begins)
    return None


def next_silence(hours: Sequence[Hours], offset: timedelta, at: datetime) -> Silence | None:
    """The silent hours in which a moment lies, else the next ones; None when there are none."""
    begin = at if silent_until(hours, offset, at) else silent_from(hours, offset, at)
    if begin is None:
        return None
    end, limit = silent_until(hours, offset, begin), begin - AHEAD * DAY
    while begin > limit:
        day = _day(begin, offset)
        earlier = [
            span.begins_at
            for span in _silent(hours, offset, day - DAY, day)
            if span.begins_at < begin <= span.ends_at
        ]
        if not earlier:
            break
        begin = min(earlier)
    is_endless = end is None or end - begin >= (AHEAD - 1) * DAY
    return Silence(begin, None if is_endless else end)


def silent_window(
    hours: Sequence[Hours], offset: timedelta, starts_at: datetime, seconds: float
) -> Hours | None:
    """First silent window that a sound would reach into; None when it sounds in none."""
    return next(
        (span.hours for span in _met(hours, offset, starts_at, seconds, silent=True)), None
    )


def silent_spans(
    hours: Iterable[Hours], offset: timedelta, begin: datetime, end: datetime
) -> list[Span]:
    """Silent windows that whatever sounds between two moments may reach into."""
    return [*_silent(hours, offset, _day(begin, offset) - DAY, _day(end, offset))]


def loudest(hours: Sequence[Hours], offset: timedelta, starts_at: datetime, seconds: float) -> int:
    """Volume that a sound may have, per cent: the lowest limit that holds while it sounds."""
    met = _met(hours, offset, starts_at, seconds, silent=False)
    return min((span.hours.volume for span in met if span.hours.volume is not None), default=100)


def _met(
    hours: Sequence[Hours], offset: timedelta, starts_at: datetime, seconds: float, *, silent: bool
) -> Iterator[Span]:
    end = starts_at + max(timedelta(seconds=seconds), MOMENT)
    some = [each for each in hours if (each.volume is None) is silent]
    for span in _spans(some, offset, _day(starts_at, offset) - DAY, _day(end, offset)):
        if starts_at < span.ends_at and end > span.begins_at:
            yield span


def _silent(hours: Iterable[Hours], offset: timedelta, first: date, last: date) -> Iterator[Span]:
    return _spans([each for each in hours if each.volume is None], offset, first, last)


def _spans(hours: Iterable[Hours], offset: timedelta, first: date, last: date) -> Iterator[Span]:
    """The windows that open on some days, in UTC."""
    for number in range((last - first).days + 1):
        day = first + number * DAY
        midnight = datetime.combine(day, time(), UTC) - offset
        for each in hours:
            if opens_on(each, day):
                begin, until = _minutes(each.from_), _minutes(each.until)
                end = until if until > begin else until + DAY
                yield Span(midnight + begin, midnight + end, each)


def opens_on(hours: Hours, day: date) -> bool:
    """Tell whether a window opens on a local day."""
    return (
        (not hours.days or day.isoweekday() in hours.days)
        and (hours.first_on is None or day >= hours.first_on)
        and (hours.last_on is None or day <= hours.last_on)
        and day not in hours.except_on
    )


def _day(at: datetime, offset: timedelta) -> date:
    return (at.astimezone(UTC) + offset).date()


def _minutes(local: str) -> timedelta:
    return timedelta(hours=int(local[:2]), minutes=int(local[3:]))

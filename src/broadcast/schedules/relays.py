"""Schedules that relay a stream: what they need, who relies on a source, and what devices learn.

A relay is a schedule of a bulletin, its fallback, with a source and a duration: approval, targets,
quiet hours and calendars are those of any schedule. It is not a bulletin from above that communes
would have to pick: whoever entered the source for an area lets those in it relay it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.units import load_tree
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import InvalidInput
from broadcast.kit.notify import Channel, notify
from broadcast.schedules.findings import moment
from broadcast.schedules.model import Occurrence, OccurrenceState, Schedule, ScheduleState
from broadcast.schedules.places import units_of
from broadcast.schedules.starts import Exceptions, exceptions_of, starts_of
from broadcast.streams import register
from broadcast.streams.model import StreamCheck, StreamSource

SHORTEST_SECONDS, LONGEST_SECONDS = 60, 3 * 3600
"""Of a relay; with an hour of lateness it stays within `starts.LONGEST`."""

AHEAD = timedelta(days=14)
"""Whose starts are counted when a source does not answer: time to find another address."""

SILENT_FOR = timedelta(minutes=30)
"""A source that does not answer for less is no matter for a warning: they are restarted."""

ENDING = timedelta(days=30)
"""So long before the last day of a source is told which schedules need another one."""

BEYOND = timedelta(days=31)
"""Whose starts are counted after the last day: those of a monthly schedule, too."""


async def fallback_of(session: AsyncSession, source_id: int | None) -> UUID:
    """The bulletin that a source names as its fallback.

    Raises:
        InvalidInput: There is no such source, or none is named.
    """
    if source_id is None:
        raise InvalidInput("bulletin_id", "hãy chọn bản tin, hoặc nguồn tiếp âm (relay_source_id)")
    return (await _source(session, source_id)).fallback_bulletin_id


async def _source(session: AsyncSession, source_id: int) -> StreamSource:
    source = await session.get(StreamSource, source_id)
    if source is None:
        raise InvalidInput(
            "relay_source_id", f"không có nguồn tiếp âm {source_id}; chọn lại nguồn"
        )
    return source


async def check(session: AsyncSession, schedule: Schedule, now: datetime, *, is_new: bool) -> None:
    """Refuse a relay that cannot be, or may not be where it is to sound.

    Args:
        session: Open transaction.
        schedule: With the columns that it is to have.
        now: Present.
        is_new: It did not relay this source before.

    Raises:
        InvalidInput: A field; says which.
    """
    seconds = schedule.relay_seconds
    if schedule.relay_source_id is None:
        if seconds is not None:
            raise InvalidInput("relay_seconds", "chỉ dùng khi tiếp âm; hãy chọn nguồn tiếp âm")
        return
    if seconds is None or not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
        raise InvalidInput(
            "relay_seconds",
            f"hãy ghi tiếp âm dài bao lâu, từ {SHORTEST_SECONDS} đến {LONGEST_SECONDS} giây",
        )
    source = await _source(session, schedule.relay_source_id)
    if is_new and source.ended_at is not None:
        raise InvalidInput("relay_source_id", f"nguồn “{source.name}” đã ngừng; chọn nguồn khác")
    if is_new and source.last_day is not None and schedule.starts_at >= _over(source.last_day):
        raise InvalidInput(
            "relay_source_id",
            f"nguồn “{source.name}” chỉ dùng được đến hết ngày {source.last_day:%d/%m/%Y}; chọn"
            " nguồn khác",
        )
    on = now.astimezone(LOCAL).date()
    tree = await load_tree(session, on)
    inside = {source.area_code, *(unit.code for unit in tree.under(source.area_code))}
    named = await units_of(session, schedule.targets, schedule.targets_on, is_stored=True)
    outside = sorted(named - inside)
    if outside:
        raise InvalidInput(
            "targets",
            f"nguồn “{source.name}” chỉ được tiếp âm ở địa bàn {source.area_code}; bỏ nơi"
            f" “{outside[0]}” hoặc chọn nguồn khác",
        )


async def title_of(session: AsyncSession, source_id: int | None) -> str | None:
    """What a relay is called where nobody says otherwise; None: it is none."""
    if source_id is None:
        return None
    return f"Tiếp âm {(await _source(session, source_id)).name}"


async def tell(session: AsyncSession, source_id: int, now: datetime) -> None:
    """Have the documents with coming relays of a source issued with its present addresses."""
    marked = await session.execute(
        sa.update(Occurrence)
        .where(
            Occurrence.relay_source_id == source_id,
            Occurrence.state == OccurrenceState.PLANNED,
            Occurrence.ends_by > now,
        )
        .values(dirty=True)
        .returning(Occurrence.id)
    )
    if marked.first() is not None:
        await notify(session, Channel.DISPATCH)


class Reliance(NamedTuple):
    """What relies on a source."""

    starts_count: int
    """Starts within `AHEAD`."""
    first: datetime | None
    schedules: list[Schedule]


async def reliance(
    session: AsyncSession, source_ids: Sequence[int], now: datetime
) -> dict[int, Reliance]:
    """What relies on each of these sources, by id."""
    spans = dict.fromkeys(source_ids, (now, now + AHEAD))
    return await _relying(session, spans)


async def _relying(
    session: AsyncSession, spans: Mapping[int, tuple[datetime, datetime]]
) -> dict[int, Reliance]:
    """What relies on sources in a span of time each; their active schedules, in any case."""
    found = {id_: Reliance(0, None, []) for id_ in spans}
    rows = await session.scalars(
        sa.select(Schedule)
        .where(Schedule.relay_source_id.in_(spans), Schedule.state == ScheduleState.ACTIVE)
        .order_by(Schedule.starts_at, Schedule.id)
    )
    schedules = list(rows)
    exceptions = await exceptions_of(session, [each.id for each in schedules])
    for schedule in schedules:
        assert schedule.relay_source_id is not None
        starts = _starts(schedule, exceptions[schedule.id], *spans[schedule.relay_source_id])
        known = found[schedule.relay_source_id]
        first = min([*starts, *([known.first] if known.first else [])], default=None)
        found[schedule.relay_source_id] = Reliance(
            known.starts_count + len(starts), first, [*known.schedules, schedule]
        )
    return found


def _starts(
    schedule: Schedule, exceptions: Exceptions, begin: datetime, until: datetime
) -> list[datetime]:
    planned = starts_of(schedule, exceptions, begin, until)
    return [each.starts_at for each in planned if each.starts_at < until]


def _over(last_day: date) -> datetime:
    """The moment from which a source is not to be had any more."""
    return datetime.combine(last_day + timedelta(days=1), time(), LOCAL)


def _beyond(last_day: date, now: datetime) -> tuple[datetime, datetime]:
    """The span after the last day of a source whose coming starts need another one."""
    begin = max(now, _over(last_day))
    return begin, begin + BEYOND


class Trouble(NamedTuple):
    """A source that something relies on and that does not answer, or ends before it."""

    source_id: int
    name: str
    since: datetime | None
    """From when on it has not answered; None: it ends."""
    answered_at: datetime | None
    detail: str
    last_day: date | None
    """Of a source that ends."""
    starts_count: int
    """Starts that rely on it: within `AHEAD`, or within `BEYOND` after its last day."""
    first: datetime

    @property
    def text(self) -> str:
        """For people: what, and what to do."""
        if self.last_day is not None:
            return _ends(self.name, self.last_day, self.starts_count, self.first)
        assert self.since is not None
        return (
            f"Nguồn tiếp âm “{self.name}” không có âm thanh từ {moment(self.since)};"
            f" {self.starts_count} buổi phát trong {AHEAD.days} ngày tới dựa vào nguồn này, buổi"
            f" đầu lúc {moment(self.first)}. Hãy sửa địa chỉ ở trang Nguồn tiếp âm, hoặc đổi"
            " nguồn."
        )


def _ends(name: str, last_day: date, count: int, first: datetime) -> str:
    return (
        f"Nguồn tiếp âm “{name}” chỉ dùng được đến hết ngày {last_day:%d/%m/%Y}; {count} buổi phát"
        f" sau ngày đó vẫn dựa vào nguồn này, buổi đầu lúc {moment(first)}. Hãy ghi địa chỉ mới ở"
        " trang Nguồn tiếp âm, hoặc đổi nguồn."
    )


async def troubles(session: AsyncSession, now: datetime) -> list[Trouble]:
    """Sources in trouble where the transaction reads, what sounds soonest first."""
    found = [*await _silent(session, now), *await _ending(session, now)]
    return sorted(found, key=lambda each: (each.first, each.source_id))


async def _silent(session: AsyncSession, now: datetime) -> list[Trouble]:
    rows = (
        await session.execute(
            sa.select(StreamSource, StreamCheck)
            .join(StreamCheck, StreamCheck.source_id == StreamSource.id)
            .where(~StreamCheck.answers, StreamCheck.since <= now - SILENT_FOR)
        )
    ).all()
    relying = await reliance(session, [source.id for source, _ in rows], now) if rows else {}
    return [
        Trouble(
            source.id, source.name, seen.since, seen.answered_at, seen.detail, None,
            relying[source.id].starts_count, first,
        )
        for source, seen in rows
        if (first := relying[source.id].first) is not None
    ]  # fmt: skip


async def _ending(session: AsyncSession, now: datetime) -> list[Trouble]:
    told_by = now.astimezone(LOCAL).date() + ENDING
    rows = await session.scalars(sa.select(StreamSource).where(StreamSource.last_day <= told_by))
    ends = {source.id: (source, source.last_day) for source in rows if source.last_day is not None}
    spans = {id_: _beyond(last_day, now) for id_, (_, last_day) in ends.items()}
    relying = await _relying(session, spans) if spans else {}
    return [
        Trouble(id_, source.name, None, None, "", last_day, relying[id_].starts_count, first)
        for id_, (source, last_day) in ends.items()
        if (first := relying[id_].first) is not None
    ]


async def warnings(
    session: AsyncSession, schedule: Schedule, exceptions: Exceptions, now: datetime
) -> list[str]:
    """What the author of a relay should know of its source; of its end, however far away."""
    if schedule.relay_source_id is None:
        return []
    source = await _source(session, schedule.relay_source_id)
    seen = (await register.checks(session, [source.id]))[source.id]
    found = []
    if seen.answers is False and seen.since is not None:
        found.append(
            f"nguồn tiếp âm “{source.name}” không có âm thanh từ {moment(seen.since)} nên sẽ phát"
            " bản tin dự phòng; hãy thử lại nguồn"
        )
    if source.ended_at is not None:
        found.append(f"nguồn tiếp âm “{source.name}” đã ngừng; hãy đổi sang nguồn khác")
    return found + _ending_of(source, schedule, exceptions, now)


async def ending(session: AsyncSession, schedule: Schedule, now: datetime) -> list[str]:
    """What a stored relay comes to after the last day of its source, from `ENDING` before on."""
    if schedule.relay_source_id is None or schedule.state is not ScheduleState.ACTIVE:
        return []
    source = await _source(session, schedule.relay_source_id)
    if source.last_day is None or now.astimezone(LOCAL).date() < source.last_day - ENDING:
        return []
    exceptions = (await exceptions_of(session, [schedule.id]))[schedule.id]
    return _ending_of(source, schedule, exceptions, now)


def _ending_of(
    source: StreamSource, schedule: Schedule, exceptions: Exceptions, now: datetime
) -> list[str]:
    if source.last_day is None:
        return []
    starts = _starts(schedule, exceptions, *_beyond(source.last_day, now))
    return [_ends(source.name, source.last_day, len(starts), starts[0])] if starts else []

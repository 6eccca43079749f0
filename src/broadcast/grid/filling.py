"""Filling the coming days of a session: from its items to the dates of their schedules.

Repeating it changes nothing, and the order in which items were edited does not matter: what a day
comes to is worked out anew from the rows. What has begun is left as it is, and so is what a person
has moved or left out by hand: that item keeps its time, or its silence, on that day.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.bulletins.model import Bulletin, Revision
from broadcast.config import Rules
from broadcast.grid.model import AirDrop, AirItem, AirSession
from broadcast.grid.planner import Bounds, Entry, Reason, fill
from broadcast.grid.room import Room, rooms
from broadcast.kit.clock import LOCAL
from broadcast.kit.quiet import OFFSET
from broadcast.schedules import capacity, planning, recurrence, rrule
from broadcast.schedules.allowed_hours import hours_at
from broadcast.schedules.cancellation import CHANGED
from broadcast.schedules.expansion import DAY
from broadcast.schedules.locking import lock_schedule_grid, lock_schedules
from broadcast.schedules.model import Occurrence, OccurrenceState, Schedule, ScheduleState
from broadcast.schedules.neighbours import neighbours
from broadcast.schedules.occurrences import materialise
from broadcast.schedules.quota_check import begun_today
from broadcast.schedules.slots import slots_between
from broadcast.schedules.starts import Exceptions, exceptions_of, of_revision
from broadcast.schedules.targets import target_resolver
from broadcast.wire.documents import Hours
from broadcast.wire.hours import next_silence
from broadcast.wire.quotas import Limits, Sound

log = structlog.get_logger()

AHEAD = timedelta(days=14)
"""For which days are filled: further than a programme reaches, so that a day is there before the
occurrences of it are made."""

NO_ROOM, OVER_QUOTA = "không đủ giờ trong buổi phát", "vượt hạn mức của Quy chế"
"""Why an occurrence was cancelled that found no room after an edit."""


class Part(NamedTuple):
    """An item with what sounds of it."""

    item: AirItem
    schedule: Schedule
    bulletin: Bulletin
    revision: Revision

    @property
    def seconds(self) -> float:
        """How long it sounds."""
        return self.schedule.seconds_of(self.revision)


class Day(NamedTuple):
    """A session of one day."""

    on: date
    begins_at: datetime
    ends_at: datetime
    starts: dict[UUID, datetime]
    """Of the items that it gives a time, in order."""
    dropped: dict[UUID, Reason]
    by_hand: dict[UUID, datetime | None]
    """Items that a person has moved on this day, or left out (None)."""


async def parts_of(session: AsyncSession, session_ids: Iterable[UUID]) -> dict[UUID, list[Part]]:
    """Items of sessions, in their order."""
    rows = await session.execute(
        sa.select(AirItem, Schedule, Bulletin, Revision)
        .join(Schedule, Schedule.id == AirItem.schedule_id)
        .join(Bulletin, Bulletin.id == Schedule.bulletin_id)
        .join(Revision, of_revision())
        .where(AirItem.session_id.in_(list(session_ids)))
        .order_by(AirItem.position, AirItem.id)
    )
    found: dict[UUID, list[Part]] = {}
    for row in rows:
        found.setdefault(row[0].session_id, []).append(Part(*row))
    return found


def days_of(
    air: AirSession,
    parts: Sequence[Part],
    exceptions: dict[UUID, Exceptions],
    hours: Sequence[Hours],
    rooms: Mapping[date, tuple[Room, ...]],
    now: datetime,
    until: datetime,
) -> list[Day]:
    """The days of a session that have not begun, as its rows make them.

    Args:
        air: The session.
        parts: Its items, in order.
        exceptions: By schedule.
        hours: Windows of its places (`hours_of`).
        rooms: What Quy chế leave on the days (`rooms_of`).
        now: Present.
        until: Days that begin before.
    """
    if air.ended_at is not None:
        return []
    rule = rrule.parse(air.rrule, LOCAL)
    found = []
    for planned in recurrence.occurrences_between(rule, air.starts_at, {}, now, until, LOCAL):
        on = _day(planned.starts_at)
        if on in air.skipped_on or planned.starts_at <= now:
            continue
        by_hand: dict[UUID, datetime | None] = {}
        moved: dict[UUID, Sound] = {}
        entries = []
        for part in parts:
            item, schedule = part.item, part.schedule
            if item.first_on > on or (item.last_on is not None and item.last_on < on):
                continue
            if schedule.state is ScheduleState.WITHDRAWN:
                continue
            touched = {
                at: to for at, to in exceptions.get(schedule.id, {}).items() if _day(at) == on
            }
            if touched:
                at = by_hand[item.id] = next(iter(touched.values()))
                if at is not None:
                    moved[item.id] = Sound(at, at + timedelta(seconds=part.seconds))
            else:
                at = None
                if item.relay_at is not None:
                    at = relayed_at(planned.starts_at, item.relay_at)
                entries.append(Entry(item.id, item.kind, part.seconds, schedule.priority, at))
        ends_at = planned.starts_at + timedelta(seconds=air.seconds)
        quiet = next_silence(hours, OFFSET, planned.starts_at)
        bounds = Bounds(
            planned.starts_at, ends_at, air.may_overrun,
            None if quiet is None else quiet.begins_at,
            tuple(
                room._replace(others={**room.others, **moved}) for room in rooms.get(on, ())
            ),
        )  # fmt: skip
        filled = fill(entries, bounds)
        found.append(Day(on, planned.starts_at, ends_at, *filled, by_hand))
    return found


def relayed_at(begins_at: datetime, relay_at: time) -> datetime:
    """The moment of a wall time in a session: the first that is not before its begin."""
    at = datetime.combine(_day(begins_at), relay_at, LOCAL)
    return at if at >= begins_at else at + DAY


async def hours_of(
    session: AsyncSession, air: AirSession, rules: Rules, first: date, last: date
) -> list[Hours]:
    """Windows at the loudspeakers of a session, of the days to come: all that hold at one."""
    resolver = await target_resolver(session)
    return await hours_at(resolver, air.targets, air.targets_on, first, last, rules)


async def rooms_of(
    session: AsyncSession, air: AirSession, parts: Sequence[Part], now: datetime, until: datetime
) -> dict[date, tuple[Room, ...]]:
    """What Quy chế leave for a session on each day, with all else that is planned there.

    Of the sessions of a day the earlier goes first: those that begin later fill what it leaves.

    Args:
        session: Open transaction.
        air: The session.
        parts: Its items.
        now: Present.
        until: Days that begin before.
    """
    if not parts:
        return {}
    resolver = await target_resolver(session)
    subject, own = parts[0].schedule, {part.schedule.id for part in parts}
    rule = rrule.parse(air.rrule, LOCAL)
    begins = recurrence.occurrences_between(rule, air.starts_at, {}, now, until, LOCAL)
    limits: dict[datetime, dict[int, Limits]] = {}
    for _, begins_at in begins:
        here = (await resolver.reach(subject, _day(begins_at))).cluster_ids
        found = await resolver.rules.limits(_day(begins_at))
        held = {cluster: found[cluster].quotas for cluster in here & found.keys()}
        if any(limit != Limits() for limit in held.values()):
            limits[begins_at] = held
    if not limits:
        return {}
    begin = datetime.combine(_day(min(limits)), time(), LOCAL)
    end = datetime.combine(_day(max(limits)) + DAY, time(), LOCAL)
    others = [each for each in (await neighbours(session)).readable if each.schedule.id not in own]
    plain, of_sessions = [
        await slots_between(
            resolver, subject, (n for n in others if n.schedule.of_session is kind), begin, end
        )
        for kind in (False, True)
    ]
    begun = await begun_today(resolver, now)
    return {
        _day(begins_at): rooms(
            held,
            [
                (slot.occurrence_id, Sound(slot.starts_at, slot.ends_at), slot.cluster_ids)
                for slot in (
                    *begun,
                    *(each for each in plain if each.starts_at >= now),
                    *(each for each in of_sessions if now <= each.starts_at < begins_at),
                )
                if _day(slot.starts_at) == _day(begins_at)
            ],
        )
        for begins_at, held in limits.items()
    }


async def fill_session(
    session: AsyncSession, air: AirSession, rules: Rules, now: datetime, *, by_hand: bool
) -> list[Day]:
    """Give the items of a session the dates on which they sound.

    Args:
        session: Open transaction that holds the session's row.
        air: The session.
        rules: Quiet hours and the horizon.
        now: Present.
        by_hand: Somebody has just changed it: what would clash or overfill a programme is refused.

    Raises:
        Conflict: So it is.
        InvalidInput: It would sound in quiet hours.
    """
    ids = sa.select(AirItem.schedule_id).where(AirItem.session_id == air.id)
    await lock_schedules(session, Schedule.id.in_(ids))
    await lock_schedule_grid(session)
    parts = (await parts_of(session, [air.id])).get(air.id, [])
    exceptions = await exceptions_of(session, [each.schedule.id for each in parts])
    until = datetime.combine(_day(now), time(), LOCAL) + AHEAD
    hours = await hours_of(session, air, rules, _day(now), _day(until))
    rooms = await rooms_of(session, air, parts, now, until)
    days = days_of(air, parts, exceptions, hours, rooms, now, until)
    begun = _begun(air, parts, days, now)
    changed = []
    for each in parts:
        dates = _dates(each, days, begun, exceptions[each.schedule.id])
        if each.schedule.state is ScheduleState.WITHDRAWN:
            continue
        is_edited = each.schedule.changed_at == now
        if _put(each.schedule, dates, now) or is_edited:
            changed.append(each)
    await session.flush()
    if changed and by_hand:
        others = await neighbours(session)
        for each in changed:
            comes = any(at > now for at in _own_dates(each.schedule))
            if comes and each.schedule.state is ScheduleState.ACTIVE:
                plan = await planning.plan(
                    session, each.schedule, each.revision, rules, now,
                    exceptions[each.schedule.id], others, heeds_rules=False,
                )  # fmt: skip
                planning.refuse_clashes(plan.overlaps)
                await capacity.refuse_overfull(session, each.schedule, rules, now, others)
    if changed:
        await materialise(session, now, rules.horizon, [each.schedule.id for each in changed])
        log.info("grid.session.filled", session_id=str(air.id), items=len(changed))
    await _note_drops(session, parts, days, now)
    return days


class Span(NamedTuple):
    """From `begin` until before `end`."""

    begin: datetime
    end: datetime


def _begun(
    air: AirSession, parts: Sequence[Part], days: Sequence[Day], now: datetime
) -> Span | None:
    """What of today is left as it is: all once an item has begun, or the session that goes on."""
    today = _day(now)
    if any(each.on == today for each in days):
        return None
    midnight = datetime.combine(today, time(), LOCAL)
    if any(midnight <= at <= now for part in parts for at in _own_dates(part.schedule)):
        return Span(midnight, midnight + DAY)
    if today in air.skipped_on:
        return None
    rule = rrule.parse(air.rrule, LOCAL)
    for at, _ in recurrence.occurrences_between(
        rule, air.starts_at, {}, midnight, midnight + DAY, LOCAL
    ):
        return Span(at, at + timedelta(seconds=air.seconds))
    return None


def _dates(
    part: Part, days: Sequence[Day], begun: Span | None, exceptions: Exceptions
) -> list[datetime]:
    """Starts of an item: as planned; as they were where a day has begun, or a person moved it."""
    dates = [day.starts[part.item.id] for day in days if part.item.id in day.starts]
    for at in _own_dates(part.schedule):
        has_begun = begun is not None and begun.begin <= at < begun.end
        touched = any(part.item.id in day.by_hand and day.on == _day(at) for day in days)
        if has_begun or (touched and at in exceptions):
            dates.append(at)
    return sorted(set(dates))


def _own_dates(schedule: Schedule) -> set[datetime]:
    if schedule.state is not ScheduleState.ACTIVE:
        return set(schedule.dates)
    return {schedule.starts_at, *schedule.dates}


def _put(schedule: Schedule, dates: list[datetime], now: datetime) -> bool:
    """Write the dates of an item into its schedule; tells whether that changes anything."""
    state = schedule.state if dates else ScheduleState.ENDED
    if any(at > now for at in dates):
        state = ScheduleState.ACTIVE
    coming = {at for at in _own_dates(schedule) if _day(at) >= _day(now)}
    if schedule.state is state and coming == set(dates):
        return False
    schedule.state, schedule.dates, schedule.changed_at = state, dates, now
    if dates:
        schedule.starts_at = dates[0]
    return True


async def _note_drops(
    session: AsyncSession, parts: Sequence[Part], days: Sequence[Day], now: datetime
) -> None:
    """Write down what found no room; what a day said before it began stays."""
    ids = [each.item.id for each in parts]
    on = {each.on for each in days}
    await session.execute(
        sa.delete(AirDrop).where(
            AirDrop.item_id.in_(ids), sa.or_(AirDrop.on.in_(on), AirDrop.on > _day(now))
        )
    )
    rows = [
        {"item_id": item, "on": day.on, "reason": reason}
        for day in days
        for item, reason in day.dropped.items()
    ]
    if not rows:
        return
    await session.execute(insert(AirDrop), rows)
    schedules = {each.item.id: each.schedule.id for each in parts}
    for day in days:
        midnight = datetime.combine(day.on, time(), LOCAL)
        over = [item for item, reason in day.dropped.items() if reason is Reason.QUOTA]
        for items, reason in ((over, OVER_QUOTA), (day.dropped.keys() - over, NO_ROOM)):
            await session.execute(
                sa.update(Occurrence)
                .where(
                    Occurrence.schedule_id.in_([schedules[item] for item in items]),
                    Occurrence.recurrence_at.between(midnight, midnight + DAY),
                    Occurrence.state == OccurrenceState.CANCELLED,
                    Occurrence.cancel_reason == CHANGED,
                )
                .values(cancel_reason=reason, dirty=True)
            )


async def fill_some(
    session: AsyncSession, ids: Collection[UUID], rules: Rules, now: datetime
) -> None:
    """Fill the days of sessions that have come nearer.

    Nothing is refused: what would clash by now is found as it comes near (`plays.clashes`).
    """
    rows = sa.select(AirSession).where(AirSession.id.in_(ids)).order_by(AirSession.id)
    for air in list(await session.scalars(rows.with_for_update())):
        await fill_session(session, air, rules, now, by_hand=False)


async def going_on(session: AsyncSession) -> list[UUID]:
    """Sessions that have not ended."""
    ids = sa.select(AirSession.id).where(AirSession.ended_at.is_(None))
    return list(await session.scalars(ids.order_by(AirSession.id)))


def _day(at: datetime) -> date:
    return at.astimezone(LOCAL).date()

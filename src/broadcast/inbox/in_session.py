"""A priority bulletin from above in a session of the commune's programme grid.

It is an item of that one day, after the signature tune; or after the commune's own priority items,
if the commune so orders. The session fills itself: what follows shifts, and what finds no room is
left out, the lowest first.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.auth.caller import Caller
from broadcast.config import Rules
from broadcast.grid import sessions
from broadcast.grid.filling import Day, Part, days_of, fill_session, hours_of, parts_of, rooms_of
from broadcast.grid.model import AirItem, AirSession
from broadcast.grid.planner import Kind
from broadcast.grid.sessions import ItemChange
from broadcast.inbox.model import InboxItem
from broadcast.inbox.placing import Own
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict
from broadcast.schedules import recurrence, rrule
from broadcast.schedules.starts import exceptions_of, occurrence_id
from broadcast.wire.fields import BulletinClass

SECOND = timedelta(seconds=1)


class Sounding(NamedTuple):
    """An item in one of the orders."""

    title: str
    starts_at: datetime
    seconds: float
    is_source: bool


class Put(NamedTuple):
    """Where an item was put."""

    begins_at: datetime
    own: list[Own]
    """Priority items of the commune in the same session: their order is the commune's affair."""


async def next_begin(
    session: AsyncSession, commune: str, begin: datetime, end: datetime
) -> tuple[AirSession, datetime] | None:
    """The first session of a whole commune that begins in a span, and when."""
    rows = sa.select(AirSession).where(
        AirSession.area_code == commune, AirSession.ended_at.is_(None)
    )
    found = []
    for air in await session.scalars(rows.order_by(AirSession.id)):
        if air.targets != [{"area": commune}]:
            continue
        rule = rrule.parse(air.rrule, LOCAL)
        starts = recurrence.occurrences_between(rule, air.starts_at, {}, begin, end, LOCAL)
        found += [
            (each.starts_at, air)
            for each in starts
            if each.starts_at.astimezone(LOCAL).date() not in air.skipped_on
        ]
    if not found:
        return None
    at, air = min(found, key=lambda pair: pair[0])
    return air, at


async def put(
    session: AsyncSession,
    item: InboxItem,
    air: AirSession,
    begins_at: datetime,
    caller: Caller,
    rules: Rules,
    now: datetime,
) -> Put:
    """Make an item of the inbox one of a session of one day.

    Raises:
        Conflict: It finds no room there, or would clash.
        BroadcastError: As `sessions.add_item`.
    """
    await session.refresh(air, with_for_update=True)
    on = begins_at.astimezone(LOCAL).date()
    parts = (await parts_of(session, [air.id])).get(air.id, [])
    new = ItemChange(None, item.bulletin_id, Kind.ABOVE, on, on, is_speech=False)
    made = await sessions.add_item(session, air, new, _after_tune(parts), caller, now)
    day = _of(await fill_session(session, air, rules, now, by_hand=True), on_begin=begins_at)
    if made.id not in day.starts or day.starts[made.id] > item.useful_until:
        raise Conflict("Buổi phát thanh không còn đủ giờ cho bản tin này; hãy chọn giờ khác.")
    item.schedule_id = made.schedule_id
    own = [
        Own(
            occurrence_id(each.schedule.id, day.starts[each.item.id]), each.schedule.title,
            day.starts[each.item.id], each.seconds, is_priority=True,
        )
        for each in parts
        if each.item.id in day.starts and await _is_own_priority(session, air, each)
    ]  # fmt: skip
    return Put(begins_at, own)


async def item_of(session: AsyncSession, item: InboxItem) -> AirItem | None:
    """The item of a session that an item of the inbox has become, if any."""
    found = sa.select(AirItem).where(AirItem.schedule_id == item.schedule_id)
    return (await session.scalars(found)).one_or_none()


async def both(
    session: AsyncSession, made: AirItem, begins_at: datetime, rules: Rules, now: datetime
) -> list[list[Sounding]]:
    """What the session sounds like with the source first, and with the commune's own first.

    Raises:
        Conflict: There is no such session any more.
    """
    air = await session.get_one(AirSession, made.session_id)
    parts = (await parts_of(session, [air.id]))[air.id]
    exceptions = await exceptions_of(session, [each.schedule.id for each in parts])
    on = begins_at.astimezone(LOCAL).date()
    hours = await hours_of(session, air, rules, on, on)
    since, until = min(now, begins_at - SECOND), begins_at + SECOND
    rooms = await rooms_of(session, air, parts, since, until)
    found = []
    for source_first in (True, False):
        order = await _ordered(session, air, parts, made, source_first=source_first)
        days = days_of(air, order, exceptions, hours, rooms, since, until)
        by_id = {each.item.id: each for each in parts}
        found.append([
            Sounding(
                by_id[id_].schedule.title, at, by_id[id_].seconds, is_source=id_ == made.id
            )
            for id_, at in _of(days, on_begin=begins_at).starts.items()
        ])  # fmt: skip
    return found


async def order(
    session: AsyncSession, made: AirItem, rules: Rules, now: datetime, *, source_first: bool
) -> None:
    """Put the source before or behind the commune's own priority items.

    Raises:
        Conflict: Something has come in between that the items would meet.
    """
    air = await session.get_one(
        AirSession, made.session_id, with_for_update=True, populate_existing=True
    )
    parts = (await parts_of(session, [air.id]))[air.id]
    for index, each in enumerate(
        await _ordered(session, air, parts, made, source_first=source_first)
    ):
        each.item.position = index
    air.changed_at = now
    await session.flush()
    await fill_session(session, air, rules, now, by_hand=True)


async def _ordered(
    session: AsyncSession, air: AirSession, parts: list[Part], made: AirItem, *, source_first: bool
) -> list[Part]:
    source = next(each for each in parts if each.item.id == made.id)
    others = [each for each in parts if each.item.id != made.id]
    at = _after_tune(others)
    if not source_first:
        for index, each in enumerate(others):
            if await _is_own_priority(session, air, each):
                at = max(at, index + 1)
    return [*others[:at], source, *others[at:]]


def _after_tune(parts: list[Part]) -> int:
    at = 0
    while at < len(parts) and parts[at].item.kind is Kind.SIGNATURE:
        at += 1
    return at


async def _is_own_priority(session: AsyncSession, air: AirSession, part: Part) -> bool:
    if part.bulletin.class_ is not BulletinClass.PRIORITY:
        return False
    return part.bulletin.area_code in (await scope.territory_of(session)).inside(air.area_code)


def _of(days: list[Day], *, on_begin: datetime) -> Day:
    found = next((each for each in days if each.begins_at == on_begin), None)
    if found is None:
        raise Conflict("Buổi phát thanh này đã bỏ hoặc đã đổi giờ; hãy xem Khung chương trình.")
    return found

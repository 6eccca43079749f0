"""Marking days in the calendar of a unit, and reading what is marked."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.areas.topology import touch
from broadcast.areas.units import load_tree, require_unit
from broadcast.auth.caller import Caller
from broadcast.auth.model import Account
from broadcast.auth.people import PersonOut
from broadcast.auth.permissions import Permission
from broadcast.calendars.days import HOLIDAY, Kind, Mark, Marks
from broadcast.calendars.lunar import lunar
from broadcast.calendars.model import CalendarDay
from broadcast.calendars.schemas import LONGEST, CalendarDayIn, CalendarDayOut, DateOut, MarkOut
from broadcast.kit.errors import InvalidInput, NotFound
from broadcast.stations.model import Cluster, ClusterVillage
from broadcast.web.rest import Page, Paging, paged

DAY = timedelta(days=1)

LONGEST_VIEW = timedelta(days=400)
"""Days that are shown at once."""


async def list_days(
    session: AsyncSession,
    paging: Paging,
    first_on: date | None = None,
    last_on: date | None = None,
    kind: Kind | None = None,
) -> Page[CalendarDayOut]:
    """Marked days in the order in which they were entered."""
    statement = _rows()
    if first_on is not None:
        statement = statement.where(CalendarDay.last_on >= first_on)
    if last_on is not None:
        statement = statement.where(CalendarDay.first_on <= last_on)
    if kind is not None:
        statement = statement.where(CalendarDay.kind == kind)
    return (await paged(session, statement, [CalendarDay.id], paging)).page(_out)


async def show_day(session: AsyncSession, id_: int) -> CalendarDayOut:
    """One marking.

    Raises:
        NotFound: There is none.
    """
    found = (await session.execute(_rows().where(CalendarDay.id == id_))).one_or_none()
    if found is None:
        raise _none(id_)
    return _out(found[0], found[1])


async def mark(
    session: AsyncSession, body: CalendarDayIn, caller: Caller, now: datetime
) -> CalendarDayOut:
    """Mark days; what is to sound on them is planned anew.

    Raises:
        Forbidden: The unit is none of the caller's places.
        InvalidInput: The unit, the span or a cluster; `field` says which.
    """
    await _require(session, body, caller)
    row = CalendarDay(entered_by=caller.account_id, entered_at=now, **body.model_dump())
    session.add(row)
    await touch(session)
    await session.flush()
    return await show_day(session, row.id)


async def change(
    session: AsyncSession, id_: int, body: CalendarDayIn, caller: Caller, now: datetime
) -> CalendarDayOut:
    """Correct a marking.

    Raises:
        NotFound: There is none.
        BroadcastError: As `mark`.
    """
    row = await _held(session, id_, caller)
    await _require(session, body, caller)
    for name, value in body.model_dump().items():
        setattr(row, name, value)
    row.entered_by, row.entered_at = caller.account_id, now
    await touch(session)
    await session.flush()
    return await show_day(session, id_)


async def put(
    session: AsyncSession, body: CalendarDayIn, id_: int | None, caller: Caller, now: datetime
) -> CalendarDayOut:
    """Mark days, or correct the marking that has this number.

    Raises:
        BroadcastError: As `mark` and `change`.
    """
    if id_ is None:
        return await mark(session, body, caller, now)
    return await change(session, id_, body, caller, now)


async def remove(session: AsyncSession, id_: int, caller: Caller) -> None:
    """Remove a marking; what it kept silent and is still to come sounds again.

    Raises:
        NotFound: There is none.
        Forbidden: Its unit is none of the caller's places.
    """
    await session.delete(await _held(session, id_, caller))
    await touch(session)
    await session.flush()


async def load(session: AsyncSession) -> Marks:
    """Everything that is marked where the transaction reads."""
    return Marks(mark_of(row) for row in await session.scalars(sa.select(CalendarDay)))


async def own_calendars(session: AsyncSession) -> list[str]:
    """Names of the calendars of provinces and communes, for schedules to follow."""
    names = sa.select(CalendarDay.name).where(CalendarDay.kind == Kind.OWN).distinct()
    return sorted(await session.scalars(names))


def mark_of(row: CalendarDay) -> Mark:
    """A stored marking as the rules take it."""
    return Mark(
        row.kind, row.name, row.first_on, row.last_on, row.area_code, tuple(row.clusters), row.id,
        from_time=row.from_time, until_time=row.until_time,
    )  # fmt: skip


async def show(
    session: AsyncSession, first_on: date, last_on: date, area: str | None = None
) -> list[DateOut]:
    """The days of a span: lunar dates, the holidays of the law, and what is marked.

    Args:
        session: Transaction.
        first_on: First day.
        last_on: Last day, inclusive.
        area: Only what is marked for this unit, for those above it or inside it.

    Raises:
        InvalidInput: The span is reversed or too long.
        Unknown: There is no such unit.
    """
    if not timedelta() <= last_on - first_on < LONGEST_VIEW:
        raise InvalidInput("to", f"phải từ ngày đầu đến nhiều nhất {LONGEST_VIEW.days} ngày sau")
    marks = await load(session)
    near: set[str] | None = None
    if area is not None:
        await require_unit(session, "area", area, first_on)
        tree = await load_tree(session, first_on)
        near = {unit.code for unit in [*tree.chain(area), *tree.under(area)]}
    days = [first_on + number * DAY for number in range((last_on - first_on).days + 1)]
    return [
        date_out(day, [m for m in marks.on(day) if near is None or m.area_code in {None, *near}])
        for day in days
    ]


def date_out(day: date, marks: list[Mark]) -> DateOut:
    """A day as it is shown."""
    found = lunar(day)
    return DateOut(
        day=day,
        lunar=f"{found.day}/{found.month}{' nhuận' if found.is_leap else ''}",
        lunar_year=found.year,
        marks=[
            MarkOut(
                kind=each.kind,
                name=each.name,
                id=each.id,
                area_code=each.area_code,
                from_time=each.from_time,
                until_time=each.until_time,
                is_assumed=each.is_assumed,
            )
            for each in marks
        ],
    )


async def _require(session: AsyncSession, body: CalendarDayIn, caller: Caller) -> None:
    await scope.require(session, caller, Permission.SCHEDULE_WRITE, [body.area_code])
    await require_unit(session, "area_code", body.area_code, body.first_on)
    if not timedelta() <= body.last_on - body.first_on <= LONGEST:
        raise InvalidInput(
            "last_on", f"phải từ ngày đầu đến nhiều nhất {LONGEST.days} ngày sau; hãy sửa lại ngày"
        )
    if body.kind is Kind.OWN and body.name == HOLIDAY:
        raise InvalidInput("name", "tên này dành cho ngày nghỉ lễ; hãy đặt tên khác")
    if body.kind is Kind.OPEN and not body.document:
        raise InvalidInput("document", "hãy ghi văn bản cho phép phát cuối tuần")
    _require_hours(body)
    tree = await load_tree(session, body.first_on)
    inside = {body.area_code, *tree.villages(body.area_code)}
    known = await session.scalars(
        sa.select(Cluster.code)
        .join(ClusterVillage, ClusterVillage.cluster_id == Cluster.id)
        .where(Cluster.code.in_(body.clusters), ClusterVillage.village_code.in_(inside))
    )
    unknown = sorted({*body.clusters} - {*known})
    if unknown:
        raise InvalidInput(
            "clusters", f"không có cụm loa mã “{unknown[0]}” ở địa bàn này; kiểm tra lại mã"
        )


def _require_hours(body: CalendarDayIn) -> None:
    if body.from_time is None and body.until_time is None:
        return
    if body.kind is not Kind.EXAM:
        raise InvalidInput("from_time", "chỉ ngày thi mới ghi giờ; hãy bỏ trống giờ")
    if body.from_time is None or body.until_time is None:
        raise InvalidInput("until_time", "hãy ghi cả giờ bắt đầu và giờ kết thúc")
    if body.until_time <= body.from_time:
        raise InvalidInput("until_time", "phải sau giờ bắt đầu, trong cùng ngày")


async def _held(session: AsyncSession, id_: int, caller: Caller) -> CalendarDay:
    row = await session.get(CalendarDay, id_, with_for_update=True)
    if row is None:
        raise _none(id_)
    thing = sa.select(CalendarDay.id).where(CalendarDay.id == id_)
    codes = [row.area_code]
    await scope.require(session, caller, Permission.SCHEDULE_WRITE, codes, thing, _none(id_))
    return row


def _none(id_: int) -> NotFound:
    return NotFound(f"Không có ngày đánh dấu {id_} trong lịch.")


def _rows() -> sa.Select[CalendarDay, str]:
    return sa.select(CalendarDay, Account.name).join(Account, Account.id == CalendarDay.entered_by)


def _out(row: CalendarDay, name: str) -> CalendarDayOut:
    columns = {
        each: getattr(row, each) for each in CalendarDayOut.model_fields if each != "entered_by"
    }
    return CalendarDayOut(**columns, entered_by=PersonOut(id=row.entered_by, name=name))

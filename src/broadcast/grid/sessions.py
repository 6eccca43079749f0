"""Making, changing and ending sessions of a commune, with every check, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.areas.model import Area
from broadcast.areas.units import require_unit
from broadcast.auth.caller import Caller
from broadcast.auth.permissions import Permission
from broadcast.bulletins.revisions import get_bulletin
from broadcast.config import Rules
from broadcast.grid.filling import fill_session, hours_of, relayed_at
from broadcast.grid.model import AirItem, AirSession
from broadcast.grid.planner import Kind
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict, InvalidInput, NotFound
from broadcast.schedules import edits, grid, recurrence, relays, rrule, targets
from broadcast.schedules.locking import lock_schedules
from broadcast.schedules.model import Schedule, ScheduleState
from broadcast.schedules.places import units_of
from broadcast.web.rest import require_known
from broadcast.wire.fields import BulletinClass

log = structlog.get_logger()

MOST_ITEMS = 40
MOST_SKIPPED = 366
LATE_LIMIT_SECONDS = 120
"""Of an item: later than that it would be in the way of those that follow."""

Columns = Mapping[str, Any]
"""Columns of a session that a person named, by name."""


class ItemChange(NamedTuple):
    """An item as it is to be."""

    id: UUID | None
    """None: a new one."""
    bulletin_id: UUID | None
    """Of a new one; of one that there is it stays."""
    kind: Kind
    first_on: date | None
    """None: as it was; of a new one today."""
    last_on: date | None
    is_speech: bool
    relay_source_id: int | None = None
    """Of a new relay; of one that there is it stays."""
    relay_at: time | None = None
    """Local time of a relay; None: as it was."""
    relay_seconds: int | None = None
    """None: as it was."""


def missing(session_id: UUID) -> NotFound:
    """The error where there is no such session, or the caller may not see it."""
    return NotFound(f"Không có buổi phát thanh {session_id}.")


async def get(session: AsyncSession, session_id: UUID) -> AirSession:
    """A session by id.

    Raises:
        NotFound: There is none.
    """
    air = await session.get(AirSession, session_id)
    if air is None:
        raise missing(session_id)
    return air


async def hold(session: AsyncSession, session_id: UUID, caller: Caller) -> AirSession:
    """Lock a session that the caller may change.

    Raises:
        NotFound: There is none, or the caller cannot see it.
        Forbidden: The caller may not schedule there.
    """
    air = await session.get(AirSession, session_id, with_for_update=True, populate_existing=True)
    if air is None:
        raise missing(session_id)
    thing = sa.select(AirSession.id).where(AirSession.id == session_id)
    await scope.require(
        session, caller, Permission.SCHEDULE_WRITE, [air.area_code], thing, missing(session_id)
    )
    return air


async def select_sessions(session: AsyncSession, area: str | None) -> sa.Select[AirSession]:
    """Return the statement of the sessions that have not ended.

    Raises:
        Unknown: There is no such unit.
    """
    statement = sa.select(AirSession).where(AirSession.ended_at.is_(None))
    if area is not None:
        inside = (await scope.territory_of(session)).inside(area)
        await require_known(session, "area", Area.code, area)
        statement = statement.where(AirSession.area_code.in_(inside))
    return statement


async def create(
    session: AsyncSession,
    area_code: str,
    columns: Columns,
    items: Sequence[ItemChange],
    caller: Caller,
    rules: Rules,
    now: datetime,
) -> AirSession:
    """A new session and what it comes to in the coming days.

    Raises:
        Forbidden: The caller may not schedule there.
        InvalidInput: A field; says which.
        Conflict: An item is not approved, or would clash with what sounds already.
    """
    await scope.require(session, caller, Permission.SCHEDULE_WRITE, [area_code])
    on = now.astimezone(LOCAL).date()
    await require_unit(session, "area_code", area_code, on)
    air = AirSession(
        id=uuid4(), area_code=area_code, targets=[{"area": area_code}], except_on=[],
        skipped_on=[], created_by=caller.account_id, created_at=now, ended_at=None,
    )  # fmt: skip
    session.add(air)
    with session.no_autoflush:
        await _write(session, air, columns, rules, now)
    await session.flush()
    await _set_items(session, air, items, caller, now)
    await _check_relays(session, air, now)
    await fill_session(session, air, rules, now, by_hand=True)
    log.info("grid.session.created", session_id=str(air.id), by=caller.account_id)
    return air


async def change(
    session: AsyncSession,
    air: AirSession,
    columns: Columns,
    items: Sequence[ItemChange] | None,
    caller: Caller,
    rules: Rules,
    now: datetime,
) -> None:
    """Change a session that is held, and what of it has not begun.

    Args:
        session: Open transaction.
        air: From `hold`.
        columns: To be changed.
        items: All that it is to have, in order; those that are not named are withdrawn. None:
            as they are.
        caller: Who changes it.
        rules: Quiet hours and the horizon.
        now: Present.

    Raises:
        BroadcastError: As `create`; or it has ended.
    """
    refuse_ended(air)
    await _write(session, air, columns, rules, now)
    if {"targets", "except_on"} & columns.keys():
        ids = sa.select(AirItem.schedule_id).where(AirItem.session_id == air.id)
        for schedule in await lock_schedules(session, Schedule.id.in_(ids)):
            schedule.targets, schedule.targets_on = air.targets, air.targets_on
            schedule.except_on, schedule.changed_at = air.except_on, now
    if items is not None:
        await _set_items(session, air, items, caller, now)
    await _check_relays(session, air, now)
    await session.flush()
    await fill_session(session, air, rules, now, by_hand=True)
    log.info("grid.session.changed", session_id=str(air.id), by=caller.account_id)


async def end(session: AsyncSession, air: AirSession, caller: Caller, now: datetime) -> None:
    """End a session that is held, and withdraw its items; repeating it changes nothing.

    Raises:
        BroadcastError: As `edits.withdraw`.
    """
    if air.ended_at is not None:
        return
    air.ended_at = air.changed_at = now
    ids = sa.select(AirItem.schedule_id).where(AirItem.session_id == air.id)
    for schedule in await lock_schedules(session, Schedule.id.in_(ids)):
        await edits.withdraw(session, schedule, caller, now)
    await session.flush()
    log.info("grid.session.ended", session_id=str(air.id), by=caller.account_id)


async def add_item(
    session: AsyncSession,
    air: AirSession,
    new: ItemChange,
    position: int,
    caller: Caller,
    now: datetime,
    *,
    picked: bool = False,
) -> AirItem:
    """A new item at a position; those from there on follow it. The days are filled by the caller.

    Args:
        session: Open transaction.
        air: From `hold`, or locked otherwise.
        new: With its bulletin.
        position: From 0.
        caller: Who adds it.
        now: Present.
        picked: As `edits.draft`.

    Raises:
        BroadcastError: As `create`.
    """
    refuse_ended(air)
    rows = await _items(session, air)
    if len(rows) >= MOST_ITEMS:
        raise Conflict(f"Một buổi có nhiều nhất {MOST_ITEMS} mục; hãy bỏ bớt rồi thêm.")
    made = await _make(session, air, new, caller, now, picked=picked)
    rows.insert(position, made)
    for index, each in enumerate(rows):
        each.position = index
    session.add(made)
    air.changed_at = now
    await session.flush()
    return made


def refuse_ended(air: AirSession) -> None:
    """Refuse what changes a session that is no more.

    Raises:
        Conflict: So it is.
    """
    if air.ended_at is not None:
        raise Conflict("Buổi phát thanh này đã kết thúc; hãy lập buổi mới.")


async def _items(session: AsyncSession, air: AirSession) -> list[AirItem]:
    rows = sa.select(AirItem).where(AirItem.session_id == air.id)
    return list(await session.scalars(rows.order_by(AirItem.position, AirItem.id)))


async def _write(
    session: AsyncSession, air: AirSession, columns: Columns, rules: Rules, now: datetime
) -> None:
    for name, value in columns.items():
        setattr(air, name, sorted(set(value)) if name == "skipped_on" else value)
    air.changed_at = now
    rule = rrule.parse(air.rrule, LOCAL)
    if rule.get("BYHOUR") or rule.get("BYMINUTE") or rule.get("BYSETPOS"):
        raise InvalidInput(
            "rrule", "buổi phát bắt đầu mỗi ngày một lần; giờ thứ hai hãy lập thành buổi khác"
        )
    air.rrule = str(rule)
    recurrence.check(rule, air.starts_at, air.seconds, LOCAL)
    first = recurrence.first_after(rule, air.starts_at, now, LOCAL)
    if first is None:
        raise InvalidInput("starts_at", "đã qua; hãy chọn một giờ trong tương lai")
    if "targets" in columns or air.targets_on is None:
        air.targets_on = now.astimezone(LOCAL).date()
        await targets.check(session, air.targets, air.targets_on)
        inside = (await scope.territory_of(session)).inside(air.area_code)
        if not await units_of(session, air.targets, air.targets_on, is_stored=False) <= inside:
            raise InvalidInput("targets", "phải nằm trong địa bàn của buổi phát")
    on = first.astimezone(LOCAL).date()
    hours = await hours_of(session, air, rules, on, on)
    grid.check_quiet([first], air.seconds, hours, LOCAL)


async def _set_items(
    session: AsyncSession,
    air: AirSession,
    items: Sequence[ItemChange],
    caller: Caller,
    now: datetime,
) -> None:
    known = {each.id: each for each in await _items(session, air)}
    kept: set[UUID] = set()
    for index, wanted in enumerate(items):
        if wanted.id is None:
            row = await _make(session, air, wanted, caller, now)
            session.add(row)
        else:
            if wanted.id not in known or wanted.id in kept:
                raise InvalidInput(
                    f"items.{index}.id", "không phải mục của buổi này, hoặc ghi hai lần"
                )
            row = known[wanted.id]
            await _rewrite(session, row, wanted, now)
            kept.add(wanted.id)
        row.position = index
        if row.last_on is not None and row.last_on < row.first_on:
            raise InvalidInput(f"items.{index}.last_on", "phải từ ngày đầu trở đi")
    for each in (row for id_, row in known.items() if id_ not in kept):
        schedule = await session.get_one(Schedule, each.schedule_id, with_for_update=True)
        await edits.withdraw(session, schedule, caller, now)
        await session.delete(each)
    await session.flush()


def _check_kind(wanted: ItemChange, source_id: int | None) -> None:
    if source_id is None:
        if wanted.relay_at is not None or wanted.relay_seconds is not None:
            raise InvalidInput(
                "relay_source_id", "chỉ mục tiếp âm mới có giờ cố định; hãy chọn nguồn tiếp âm"
            )
    elif wanted.kind is not Kind.RELAY:
        raise InvalidInput("kind", "mục có nguồn tiếp âm phải có loại “relay” (tiếp âm)")


async def _check_relays(session: AsyncSession, air: AirSession, now: datetime) -> None:
    """Refuse relays that begin or end outside of their session, or may not be where it sounds."""
    ends_at = air.starts_at + timedelta(seconds=air.seconds)
    for row in await _items(session, air):
        schedule = await session.get_one(Schedule, row.schedule_id)
        if schedule.relay_source_id is None or schedule.state is ScheduleState.WITHDRAWN:
            continue
        assert row.relay_at is not None
        assert schedule.relay_seconds is not None
        at = relayed_at(air.starts_at, row.relay_at)
        if at + timedelta(seconds=schedule.relay_seconds) > ends_at:
            raise InvalidInput(
                "relay_at",
                f"tiếp âm lúc {row.relay_at:%H:%M} phải nằm trọn trong buổi phát, hết lúc"
                f" {ends_at.astimezone(LOCAL):%H:%M}; hãy đổi giờ tiếp âm hoặc thời lượng buổi",
            )
        await relays.check(session, schedule, now, is_new=False)


async def _rewrite(session: AsyncSession, row: AirItem, wanted: ItemChange, now: datetime) -> None:
    schedule = await session.get_one(Schedule, row.schedule_id)
    row.first_on, row.last_on = wanted.first_on or row.first_on, wanted.last_on
    if schedule.is_speech is not wanted.is_speech:
        schedule.is_speech, schedule.changed_at = wanted.is_speech, now
    _check_kind(wanted, schedule.relay_source_id)
    if schedule.relay_source_id is not None:
        row.relay_at = wanted.relay_at or row.relay_at
        seconds = wanted.relay_seconds or schedule.relay_seconds
        if schedule.relay_seconds != seconds:
            schedule.relay_seconds, schedule.changed_at = seconds, now
    row.kind = wanted.kind


async def _make(
    session: AsyncSession,
    air: AirSession,
    wanted: ItemChange,
    caller: Caller,
    now: datetime,
    *,
    picked: bool = False,
) -> AirItem:
    source = wanted.relay_source_id
    _check_kind(wanted, source)
    if source is not None and (wanted.relay_at is None or wanted.relay_seconds is None):
        field = "relay_at" if wanted.relay_at is None else "relay_seconds"
        raise InvalidInput(field, "mục tiếp âm cần giờ bắt đầu và số giây tiếp âm")
    bulletin_id = wanted.bulletin_id
    if bulletin_id is None:
        if source is None:
            raise InvalidInput(
                "items", "mục mới cần bản tin (bulletin_id) hoặc nguồn tiếp âm (relay_source_id)"
            )
        bulletin_id = await relays.fallback_of(session, source)
    bulletin = await get_bulletin(session, bulletin_id)
    if bulletin.class_ is BulletinClass.EMERGENCY:
        raise InvalidInput(
            "items", "bản tin khẩn cấp phát ngay, không xếp vào buổi; hãy dùng trang Khẩn cấp"
        )
    columns = {
        "targets": air.targets, "starts_at": air.starts_at, "except_on": air.except_on,
        "is_speech": wanted.is_speech, "late_limit_seconds": LATE_LIMIT_SECONDS,
        "relay_source_id": source, "relay_seconds": wanted.relay_seconds,
    }  # fmt: skip
    with session.no_autoflush:
        schedule, _ = await edits.draft(session, bulletin_id, columns, caller, now, picked=picked)
    schedule.of_session = True
    schedule.state = ScheduleState.ENDED  # until the days are filled
    schedule.targets_on = air.targets_on
    session.add(schedule)
    await session.flush()
    return AirItem(
        id=uuid4(), session_id=air.id, position=0, kind=wanted.kind, schedule_id=schedule.id,
        first_on=wanted.first_on or now.astimezone(LOCAL).date(), last_on=wanted.last_on,
        relay_at=None if source is None else wanted.relay_at,
    )  # fmt: skip

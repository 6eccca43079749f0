"""What a commune does with a normal bulletin from above: picks it, or declines with a reason.

Nothing of it sounds before it is picked, and then by a schedule of the commune, within it. Of two
who answer at once the second hears what the first has done.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.auth.caller import Caller
from broadcast.bulletins.model import Revision
from broadcast.bulletins.revisions import get_revision, newest_approved
from broadcast.config import Rules
from broadcast.grid import sessions
from broadcast.grid.filling import fill_session, parts_of
from broadcast.grid.planner import Kind
from broadcast.grid.sessions import ItemChange
from broadcast.inbox import items
from broadcast.inbox.model import Answer, InboxItem
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict, InvalidInput
from broadcast.schedules import availability, edits, planning, rrule
from broadcast.schedules.expansion import DAY
from broadcast.schedules.free_times import nearest
from broadcast.schedules.model import Schedule, ScheduleState
from broadcast.schedules.neighbours import Neighbours
from broadcast.schedules.places import units_of
from broadcast.schedules.planning import Plan
from broadcast.wire.fields import OnPreempt

log = structlog.get_logger()

CUSTOMARY = (time(5), time(17))
"""When communes broadcast; a free time near one of these is proposed before others."""

NEAR = timedelta(minutes=45)
"""Of a customary time."""

SOONEST = timedelta(minutes=10)
"""From now: a device far out must have the audio."""

MOST_DAYS = 7
"""Ahead, in which a time is sought."""

LATE_LIMIT_SECONDS = 300

NOTHING_FREE = "Từ nay đến hạn không còn giờ trống nào; hãy tự chọn giờ phát."


async def pick(
    session: AsyncSession,
    item_id: UUID,
    columns: dict[str, Any],
    caller: Caller,
    rules: Rules,
    now: datetime,
) -> tuple[InboxItem, Schedule, Plan]:
    """Make a schedule of a bulletin in the caller's commune.

    Args:
        session: Open transaction.
        item_id: What is picked.
        columns: Of the schedule; without `starts_at` at the proposed time, without `targets`
            wherever it was sent to. Or `air_session`: the session that it becomes an item of.
        caller: Of the commune.
        rules: Quiet hours and the horizon.
        now: Present.

    Raises:
        Conflict: It was answered before, is of no use any more, or was withdrawn; or no time is
            free; or as `edits.create`.
        InvalidInput: It would begin after its use, or sound where it was not sent to.
        BroadcastError: As `items.lock_alike` and `edits.create`.
    """
    alike, bulletin, commune = await items.lock_alike(session, item_id, caller, now)
    item = alike[0]
    await refuse_answered(session, alike, item, now)
    sent_to = await items.targets_of(session, alike, commune)
    is_whole = sent_to == [{"area": commune}]
    columns = {"targets": sent_to, "late_limit_seconds": LATE_LIMIT_SECONDS, **columns}
    if "air_session" in columns:
        if not is_whole:
            raise InvalidInput(
                "air_session", "phát ở cả xã, còn tin này chỉ gửi đến một số thôn; hãy chọn giờ"
            )
        made, plan = await _into_session(
            session, item, columns["air_session"], commune, caller, rules, now
        )
        return await _picked(session, alike, made, plan, caller, now)
    if "starts_at" not in columns:
        at = await propose(session, item, columns["targets"], rules, now)
        if at is None:
            raise Conflict(NOTHING_FREE)
        columns["starts_at"] = at
    columns["useful_until"] = item.useful_until
    if columns.get("rrule"):
        columns["rrule"] = _until(columns["rrule"], item.useful_until)
    schedule, plan = await edits.create(
        session, bulletin.id, columns, caller, rules, now, picked=True
    )
    territory = await scope.territory_of(session)
    reached = await units_of(session, schedule.targets, schedule.targets_on, is_stored=True)
    if not reached <= territory.inside(commune):
        raise InvalidInput("targets", "phải nằm trong xã; xã khác tự nhận ở hộp tin của mình")
    if not is_whole and not reached <= {each["area"] for each in sent_to}:
        raise InvalidInput("targets", "phải nằm trong các thôn mà tin này gửi đến")
    return await _picked(session, alike, schedule, plan, caller, now)


async def _picked(
    session: AsyncSession,
    alike: Sequence[InboxItem],
    schedule: Schedule,
    plan: Plan,
    caller: Caller,
    now: datetime,
) -> tuple[InboxItem, Schedule, Plan]:
    for each in alike:
        answer(each, Answer.PICKED, caller, now)
        each.schedule_id = schedule.id
    await session.flush()
    log.info("inbox.item.picked", item_id=str(alike[0].id), by=caller.account_id)
    return alike[0], schedule, plan


async def _into_session(
    session: AsyncSession,
    item: InboxItem,
    session_id: UUID,
    commune: str,
    caller: Caller,
    rules: Rules,
    now: datetime,
) -> tuple[Schedule, Plan]:
    """Make an item one of a session of the commune, before its closing words, until its use ends.

    Raises:
        InvalidInput: The session is of another unit.
        Conflict: No day of it has room.
        BroadcastError: As `sessions.add_item`.
    """
    air = await sessions.hold(session, session_id, caller)
    if air.area_code not in (await scope.territory_of(session)).inside(commune):
        raise InvalidInput("air_session", "phải là buổi phát thanh của xã này")
    last = item.useful_until.astimezone(LOCAL)
    ends = air.starts_at.astimezone(LOCAL) + timedelta(seconds=air.seconds)
    last_on = last.date() if ends.time() <= last.time() else last.date() - DAY
    today = now.astimezone(LOCAL).date()
    if last_on < today:
        raise InvalidInput("air_session", "buổi này không còn lần nào trước khi tin hết hạn")
    parts = (await parts_of(session, [air.id])).get(air.id, [])
    at = len(parts)
    while at and parts[at - 1].item.kind is Kind.CLOSING:
        at -= 1
    new = ItemChange(None, item.bulletin_id, Kind.ABOVE, today, last_on, is_speech=False)
    made = await sessions.add_item(session, air, new, at, caller, now, picked=True)
    days = await fill_session(session, air, rules, now, by_hand=True)
    if not any(made.id in day.starts for day in days):
        raise Conflict("Buổi phát thanh không còn đủ giờ cho bản tin này; hãy chọn giờ khác.")
    schedule = await session.get_one(Schedule, made.schedule_id)
    revision = await get_revision(session, schedule.bulletin_id, schedule.bulletin_revision)
    return schedule, await planning.plan(session, schedule, revision, rules, now)


async def decline(
    session: AsyncSession, item_id: UUID, reason: str, caller: Caller, now: datetime
) -> InboxItem:
    """Say why the commune does not broadcast it.

    Raises:
        InvalidInput: Without a reason.
        Conflict: It was answered before, or is over.
        BroadcastError: As `items.lock_alike`.
    """
    reason = reason.strip()
    if not reason:
        raise InvalidInput("reason", "hãy ghi lý do, để nơi gửi biết")
    alike, _, _ = await items.lock_alike(session, item_id, caller, now)
    item = alike[0]
    await refuse_answered(session, alike, item, now)
    for each in alike:
        answer(each, Answer.DECLINED, caller, now)
        each.reason, each.schedule_id = reason, None
    await session.flush()
    log.info("inbox.item.declined", item_id=str(item.id), by=caller.account_id)
    return item


def answer(item: InboxItem, given: Answer, caller: Caller, now: datetime) -> None:
    """Note what came of an item, and by whom: nothing else is to be done with it."""
    item.answer, item.answered_by, item.answered_at = given, caller.account_id, now
    item.to_place = False


async def refuse_answered(
    session: AsyncSession, alike: Sequence[InboxItem], item: InboxItem, now: datetime
) -> None:
    """Refuse a second answer; what was picked and whose schedule was withdrawn waits again.

    Raises:
        Conflict: With `schedule_id` where there is a schedule.
    """
    _, _, state = await items.get(session, item.id, now)
    if state is items.State.WITHDRAWN:
        raise Conflict("Cấp trên đã rút bản tin này nên không phát được nữa; hãy chọn tin khác.")
    for each in alike:
        if each.answer is Answer.DECLINED:
            raise Conflict(
                f"Xã đã từ chối bản tin này, lý do: {each.reason}; hãy hỏi nơi gửi nếu cần lại."
            )
        if each.schedule_id is None:
            continue
        made = await session.get(Schedule, each.schedule_id, populate_existing=True)
        if made is not None and made.state is not ScheduleState.WITHDRAWN:
            raise Conflict(
                "Bản tin này đã có lịch phát ở xã; muốn đổi, hãy sửa lịch đó.",
                schedule_id=str(made.id),
            )
    if item.useful_until <= now:
        raise Conflict("Bản tin này đã hết hạn; hãy đề nghị nơi gửi gửi lại nếu còn cần.")


def _until(rule: str, useful_until: datetime) -> str:
    """A rule that ends with the use of what it repeats."""
    parsed = rrule.parse(rule, LOCAL)
    last = useful_until.astimezone(LOCAL).replace(tzinfo=None, microsecond=0)
    if parsed.until is not None and parsed.until.replace(tzinfo=None) <= last:
        return rule
    return str(replace(parsed, count=None, until=last)) if parsed.count is None else rule


async def propose(
    session: AsyncSession,
    item: InboxItem,
    targets: list[dict[str, str]],
    rules: Rules,
    now: datetime,
    others: Neighbours | None = None,
) -> datetime | None:
    """A free time for an item: the first near a customary time, or else the first of all.

    Args:
        session: Open transaction.
        item: What is to be heard.
        targets: Where.
        rules: Quiet hours.
        now: Present.
        others: What `neighbours` gives, where it has been read.

    Returns:
        None where nothing is free until it is of no use any more, or it has no approved sound.
    """
    revision = await newest_approved(session, item.bulletin_id)
    if revision is None:
        return None
    schedule = transient(item, revision, targets, now)
    today = now.astimezone(LOCAL).date()
    last = min(item.useful_until.astimezone(LOCAL).date(), today + MOST_DAYS * DAY)
    days = [today + step * DAY for step in range((last - today).days + 1)]
    free: list[datetime] = []
    found = availability.free_by_day(
        session, schedule, revision.air_seconds, days, rules, now + SOONEST, others
    )
    async with aclosing(found):
        async for day in found:
            starts = [at for at in day.starts if at <= item.useful_until]
            for customary in CUSTOMARY:
                wanted = datetime.combine(day.day, customary, LOCAL)
                for at in nearest(starts, wanted, 1):
                    if abs(at - wanted) <= NEAR:
                        return at
            free += starts
    return free[0] if free else None


def transient(
    item: InboxItem, revision: Revision, targets: list[dict[str, str]], now: datetime
) -> Schedule:
    """A schedule that is not stored, to ask what a place holds."""
    return Schedule(
        id=uuid4(), bulletin_id=item.bulletin_id, bulletin_revision=revision.number, title="",
        starts_at=now, rrule=None, targets=targets, targets_on=now.astimezone(LOCAL).date(),
        priority=0, late_limit_seconds=LATE_LIMIT_SECONDS, on_preempt=OnPreempt.RESUME,
        volume=None, state=ScheduleState.PROPOSED, created_by=item.sent_by, created_at=now,
        changed_at=now,
    )  # fmt: skip

"""Creating, changing, dividing and withdrawing schedules, with every check, in one transaction.

What has started is never changed. A start that was cancelled stays so, whatever else is edited.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.model import Level
from broadcast.auth.caller import Caller
from broadcast.bulletins.model import Bulletin, Revision, RevisionState
from broadcast.bulletins.revisions import get_revision
from broadcast.config import Rules
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict, InvalidInput
from broadcast.schedules import (
    authority,
    capacity,
    exceptions,
    planning,
    recurrence,
    relays,
    rrule,
    rule_edits,
    targets,
)
from broadcast.schedules.cancellation import WITHDRAWN, cancel_coming
from broadcast.schedules.locking import lock_schedule_grid
from broadcast.schedules.model import (
    Schedule,
    ScheduleState,
)
from broadcast.schedules.neighbours import Neighbours, neighbours, read
from broadcast.schedules.occurrences import materialise
from broadcast.schedules.places import needed_for, require_at_schedule
from broadcast.schedules.planning import Plan
from broadcast.schedules.silent_days import require_calendars
from broadcast.schedules.starts import Exceptions, exceptions_of, rule_of, written
from broadcast.wire.fields import BulletinClass, OnPreempt

log = structlog.get_logger()

OF_SESSION = frozenset({
    "starts_at", "rrule", "dates", "targets", "except_on", "only_on", "relay_seconds",
})  # fmt: skip
"""Columns that a session alone sets of the schedules of its items."""

Columns = Mapping[str, Any]
"""Columns of a schedule that a person named, by name; `priority` None is the class's default."""


async def draft(
    session: AsyncSession,
    bulletin_id: UUID,
    columns: Columns,
    caller: Caller,
    now: datetime,
    *,
    approved: bool = True,
    picked: bool = False,
    id_: UUID | None = None,
) -> tuple[Schedule, Revision]:
    """A schedule that is not stored, and the revision that it puts on air.

    Args:
        session: Open transaction.
        bulletin_id: What is to sound.
        columns: Of the schedule.
        caller: Who schedules it.
        now: Present.
        approved: Whether the revision has to be approved already.
        picked: A commune has picked it from its inbox.
        id_: Of the schedule; None: a new one.

    Raises:
        NotFound: There is no such bulletin or revision.
        Conflict: It is not approved, or cannot be any more; or communes are to pick it.
        Forbidden: The caller may not schedule it.
        InvalidInput: A field; says which.
    """
    number = columns.get("bulletin_revision")
    revision_of = (
        planning.require_approved_revision if approved else planning.require_coming_revision
    )
    bulletin, revision = await revision_of(session, bulletin_id, number, caller, now)
    if not picked and columns.get("relay_source_id") is None:
        await authority.refuse_unpicked(session, bulletin)
    schedule = Schedule(
        id=id_ or uuid4(),
        bulletin_id=bulletin.id,
        title=bulletin.title,
        rrule=None,
        dates=[],
        except_on=[],
        only_on=[],
        is_speech=False,
        late_limit_seconds=columns["late_limit_seconds"],
        on_preempt=OnPreempt.RESUME,
        volume=None,
        relay_source_id=None,
        relay_seconds=None,
        state=_state(revision),
        created_by=caller.account_id,
        created_at=now,
        changed_at=now,
    )
    await _put(
        session, schedule, bulletin,
        {"priority": None, "title": None, **columns, "bulletin_revision": revision.number}, now,
    )  # fmt: skip
    schedule.targets_on = schedule.starts_at.astimezone(LOCAL).date()
    await require_at_schedule(session, caller, schedule, *needed_for(bulletin.class_))
    await targets.check(session, schedule.targets, schedule.targets_on)
    await relays.check(session, schedule, now, is_new=True)
    await require_calendars(session, schedule)
    return schedule, revision


async def preview(
    session: AsyncSession,
    bulletin_id: UUID,
    columns: Columns,
    caller: Caller,
    rules: Rules,
    now: datetime,
    *,
    approved: bool = True,
    picked: bool = False,
    id_: UUID | None = None,
    excepted: Exceptions | None = None,
    others: Neighbours | None = None,
) -> tuple[Schedule, Plan]:
    """A schedule that is not stored, and what it would come to, clashes included.

    Raises:
        InvalidInput: It begins in the past, or sounds in quiet hours.
        BroadcastError: As `draft`.
    """
    if columns["starts_at"] <= now:
        raise InvalidInput("starts_at", "đã qua; hãy chọn một giờ trong tương lai")
    schedule, revision = await draft(
        session, bulletin_id, columns, caller, now, approved=approved, picked=picked, id_=id_
    )
    return schedule, await planning.plan(session, schedule, revision, rules, now, excepted, others)


async def create(
    session: AsyncSession,
    bulletin_id: UUID,
    columns: Columns,
    caller: Caller,
    rules: Rules,
    now: datetime,
    *,
    when_approved: bool = False,
    picked: bool = False,
    id_: UUID | None = None,
    excepted: Exceptions | None = None,
    others: Neighbours | None = None,
) -> tuple[Schedule, Plan]:
    """A new schedule and its coming occurrences.

    Args:
        session: Open transaction.
        bulletin_id: What is to sound.
        columns: Of the schedule.
        caller: Who makes it.
        rules: Quiet hours and the horizon.
        now: Present.
        when_approved: Where the revision is not approved yet, propose the schedule: it is checked
            like any other, holds no time, and begins once that is approved (`proposals`).
        picked: As `draft`.
        id_: As `draft`.
        excepted: Starts that it is without from the beginning (None), or that sound at another
            time.
        others: What `neighbours` gives, where it has been read since the grid was locked.

    Raises:
        Conflict: It is not approved, or clashes with another schedule.
        BroadcastError: As `preview`.
    """
    await lock_schedule_grid(session)
    others = others or await neighbours(session)
    schedule, plan = await preview(
        session, bulletin_id, columns, caller, rules, now,
        approved=not when_approved, picked=picked, id_=id_, excepted=excepted, others=others,
    )  # fmt: skip
    planning.refuse_clashes(plan.overlaps)
    session.add(schedule)
    await session.flush()
    for at, moved_to in (excepted or {}).items():
        await exceptions.put(session, schedule.id, at, moved_to, caller, now)
    if schedule.state is ScheduleState.ACTIVE:
        revision = await get_revision(session, schedule.bulletin_id, schedule.bulletin_revision)
        mine = read(schedule, schedule.seconds_of(revision), excepted or {})
        others = others._replace(readable=[*others.readable, mine])
    await capacity.refuse_overfull(session, schedule, rules, now, others)
    await materialise(session, now, rules.horizon, [schedule.id])
    log.info("schedules.schedule.created", schedule_id=str(schedule.id), by=caller.account_id)
    return schedule, plan


async def change(
    session: AsyncSession,
    schedule: Schedule,
    columns: Columns,
    caller: Caller,
    rules: Rules,
    now: datetime,
) -> Plan:
    """Change a stored schedule, with every check of a new one, and its coming occurrences.

    Raises:
        Conflict: It was withdrawn, is not approved, or would clash.
        BroadcastError: As `preview`.
    """
    revision, excepted, warnings = await rewrite(session, schedule, columns, caller, now)
    plan = await planning.plan(session, schedule, revision, rules, now, excepted)
    planning.refuse_clashes(plan.overlaps)
    await capacity.refuse_overfull(session, schedule, rules, now)
    await materialise(session, now, rules.horizon, [schedule.id])
    log.info("schedules.schedule.changed", schedule_id=str(schedule.id), by=caller.account_id)
    return plan._replace(warnings=[*plan.warnings, *warnings])


async def rewrite(
    session: AsyncSession, schedule: Schedule, columns: Columns, caller: Caller, now: datetime
) -> tuple[Revision, Exceptions, list[str]]:
    """Write a change into the row of a schedule and its exceptions; what it meets is not checked.

    Returns:
        The revision that it puts on air, its exceptions, and warnings about them.

    Raises:
        BroadcastError: As `draft`.
    """
    await require_at_schedule(session, caller, schedule)
    require_active(schedule)
    if columns.keys() & OF_SESSION:
        refuse_of_session(schedule)
    await lock_schedule_grid(session)
    number = columns.get("bulletin_revision", schedule.bulletin_revision)
    revision_of = (
        planning.require_coming_revision
        if schedule.state is ScheduleState.PROPOSED
        else planning.require_approved_revision
    )
    bulletin, revision = await revision_of(session, schedule.bulletin_id, number, caller, now)
    if schedule.state is ScheduleState.PROPOSED and schedule.relay_source_id is None:
        await authority.refuse_unpicked(session, bulletin)
    relayed = schedule.relay_source_id
    if (relayed is None) is not (columns.get("relay_source_id", relayed) is None):
        raise InvalidInput(
            "relay_source_id", "không đổi giữa bản tin và tiếp âm được; hãy lập lịch mới"
        )
    stored = _stored(schedule, columns)
    meant = schedule.targets, schedule.targets_on
    await _put(session, schedule, bulletin, {**columns, "bulletin_revision": revision.number}, now)
    if "targets" in columns:
        schedule.targets_on = max(schedule.starts_at, now).astimezone(LOCAL).date()
        await targets.check(session, schedule.targets, schedule.targets_on)
        if relayed is None and await authority.waits_for_communes(session, bulletin):
            await _refuse_wider(session, schedule, *meant)
    await require_at_schedule(session, caller, schedule, *needed_for(bulletin.class_))
    await relays.check(session, schedule, now, is_new=schedule.relay_source_id != relayed)
    await require_calendars(session, schedule)
    requested = rule_of(schedule), schedule.starts_at
    old = requested if stored is None else stored
    new = rule_edits.carry_bounds(old, requested, LOCAL)
    schedule.rrule, schedule.starts_at = written(new[0]), new[1]
    excepted, warnings = await exceptions.carry_over(session, schedule.id, old, new, caller, now)
    schedule.state, schedule.changed_at = _state(revision), now
    await session.flush()
    return revision, excepted, warnings


async def split(
    session: AsyncSession,
    schedule: Schedule,
    at: datetime,
    columns: Columns,
    caller: Caller,
    rules: Rules,
    now: datetime,
) -> tuple[Schedule, Plan]:
    """Change "this and all following": end a schedule and go on with a changed copy.

    Args:
        session: Open transaction.
        schedule: What to divide.
        at: The change begins with the first start at or after it.
        columns: Different from then on.
        caller: The person who changes it.
        rules: Quiet hours and the horizon.
        now: Present.

    Returns:
        The schedule that goes on; the same one when nothing comes before `at`.

    Raises:
        Conflict: It does not recur, or was withdrawn; otherwise as `change`.
        InvalidInput: Nothing comes at or after `at`; otherwise as `change`.
    """
    following, columns = await divide(session, schedule, at, columns, caller, now)
    if following is not schedule:
        await materialise(session, now, rules.horizon, [schedule.id])
    return following, await change(session, following, columns, caller, rules, now)


async def divide(
    session: AsyncSession,
    schedule: Schedule,
    at: datetime,
    columns: Columns,
    caller: Caller,
    now: datetime,
) -> tuple[Schedule, Columns]:
    """End a schedule before a start, and store an equal one that goes on from there.

    Returns:
        The schedule that goes on (the same one when nothing comes before `at`), and what is to
        change of it.

    Raises:
        BroadcastError: As `split`.
    """
    await require_at_schedule(session, caller, schedule)
    require_active(schedule)
    refuse_of_session(schedule)
    stored = _stored(schedule, {})
    assert stored is not None
    rule = stored[0]
    if rule is None:
        raise Conflict("Lịch này chỉ phát một lần, không tách được; hãy sửa cả lịch.")
    cut = recurrence.first_after(rule, schedule.starts_at, max(at, now), LOCAL)
    if cut is None:
        raise InvalidInput("from", "không có buổi phát nào từ đó trở đi")
    head, tail = rule_edits.split(rule, schedule.starts_at, cut, LOCAL)
    if head is None:
        return schedule, columns
    requested = rrule.parse(columns["rrule"], LOCAL) if columns.get("rrule") else None
    if requested is not None and requested.count is not None and requested.count == rule.count:
        # The number of the whole, sent back as it was, is meant to end when the whole did.
        columns = {**columns, "rrule": str(replace(requested, count=tail.count))}
    copied = sa.inspect(Schedule).columns
    following = Schedule(**{column.key: getattr(schedule, column.key) for column in copied})
    begins = recurrence.first_after(rule.without_dates(), schedule.starts_at, cut, LOCAL)
    following.id, following.starts_at = uuid4(), begins or schedule.starts_at
    following.rrule, following.dates = written(tail), [at for at in schedule.dates if at >= cut]
    following.created_by, following.created_at = caller.account_id, now
    session.add(following)
    await session.flush()
    excepted = (await exceptions_of(session, [schedule.id]))[schedule.id]
    for when, moved_to in excepted.items():
        # What was cancelled before it may return, should the copy begin earlier.
        if when >= cut or moved_to is None:
            await exceptions.put(session, following.id, when, moved_to, caller, now)
    schedule.rrule, schedule.changed_at = written(head), now
    schedule.dates = [at for at in schedule.dates if at < cut]
    await session.flush()
    return following, columns


async def withdraw(
    session: AsyncSession, schedule: Schedule, caller: Caller, now: datetime
) -> None:
    """Cancel all of a schedule that has not ended; repeating it changes nothing.

    Raises:
        BroadcastError: As `require_at_schedule`.
    """
    await require_at_schedule(session, caller, schedule)
    if schedule.state is ScheduleState.WITHDRAWN:
        return
    schedule.state, schedule.changed_at = ScheduleState.WITHDRAWN, now
    await cancel_coming(session, schedule, now, WITHDRAWN)
    log.info("schedules.schedule.withdrawn", schedule_id=str(schedule.id), by=caller.account_id)


async def reinstate(
    session: AsyncSession, schedule: Schedule, caller: Caller, rules: Rules, now: datetime
) -> None:
    """Undo a withdrawal: what is still to come sounds again; repeating it changes nothing.

    Raises:
        Conflict: It is not approved any more, nothing of it is to come, or it would clash by now.
        BroadcastError: As `change`.
    """
    await require_at_schedule(session, caller, schedule)
    if schedule.state is not ScheduleState.WITHDRAWN:
        return
    refuse_of_session(schedule)
    schedule.state = ScheduleState.ACTIVE
    await change(session, schedule, {}, caller, rules, now)
    log.info("schedules.schedule.reinstated", schedule_id=str(schedule.id), by=caller.account_id)


def _state(revision: Revision) -> ScheduleState:
    is_approved = revision.state is RevisionState.APPROVED
    return ScheduleState.ACTIVE if is_approved else ScheduleState.PROPOSED


async def _put(
    session: AsyncSession, schedule: Schedule, bulletin: Bulletin, columns: Columns, now: datetime
) -> None:
    schedule.is_emergency = bulletin.class_ is BulletinClass.EMERGENCY
    relayed = columns.get("relay_source_id", schedule.relay_source_id)
    for name, value in columns.items():
        match name:
            case "rrule":
                schedule.rrule = None if value is None else str(rrule.parse(value, LOCAL))
            case "priority":
                level = None if relayed is None else Level.COMMUNE
                schedule.priority = await authority.priority_of(
                    session, bulletin, value, now, level
                )
            case "dates":
                schedule.dates = sorted(set(value))
            case "title":
                named = await relays.title_of(session, relayed)
                schedule.title = value or named or bulletin.title
            case _:
                setattr(schedule, name, value)


async def _refuse_wider(
    session: AsyncSession, schedule: Schedule, meant: targets.Targets, meant_on: date
) -> None:
    """Refuse to let what a commune has picked sound where it was not picked.

    Raises:
        InvalidInput: The new targets reach a village or cluster that the old ones do not.
    """
    on = schedule.targets_on
    resolver = await targets.target_resolver(session)
    before, after = [
        (await resolver.resolve(each, day, on), await resolver.villages(each, day, on))
        for each, day in ((meant, meant_on), (schedule.targets, on))
    ]
    if not (after[0].cluster_ids <= before[0].cluster_ids and after[1].keys() <= before[1].keys()):
        raise InvalidInput(
            "targets",
            "bản tin thông thường của cấp trên chỉ phát ở nơi xã đã nhận; nơi khác thì xã đó tự"
            " nhận từ hộp tin đến",
        )


def _stored(schedule: Schedule, columns: Columns) -> exceptions.Series | None:
    """Rule and first start before a change; None where they cannot be read, and are replaced.

    Raises:
        Conflict: They cannot be read, and the change does not replace them.
    """
    try:
        return rule_of(schedule), schedule.starts_at
    except InvalidInput:
        if "rrule" in columns:
            return None
        raise Conflict(
            "Quy tắc lặp đã lưu của lịch này bị hỏng; hãy ghi lại quy tắc lặp (rrule) khi sửa, "
            "hoặc thu hồi lịch rồi lập lịch mới."
        ) from None


def require_active(schedule: Schedule) -> None:
    """Refuse a withdrawn schedule.

    Raises:
        Conflict: It was withdrawn.
    """
    if schedule.state is ScheduleState.WITHDRAWN:
        raise Conflict("Lịch phát đã thu hồi; hãy tạo lịch mới.")


def refuse_of_session(schedule: Schedule) -> None:
    """Refuse to say when an item of a session sounds anywhere but there.

    Raises:
        Conflict: It is one.
    """
    if schedule.of_session:
        raise Conflict(
            "Lịch này là một mục của buổi phát thanh, giờ phát do buổi định; hãy sửa ở Khung"
            " chương trình, hoặc dời, bỏ riêng từng buổi phát."
        )

"""Checks of a schedule that is to be saved, in the order in which a person can act on them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, time, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.auth import second_factor
from broadcast.auth.caller import Caller
from broadcast.auth.permissions import Permission
from broadcast.bulletins.model import Bulletin, Revision, RevisionState
from broadcast.bulletins.places import require_readable_bulletin
from broadcast.bulletins.revisions import get_bulletin, get_revision, newest_approved, of_bulletin
from broadcast.config import Rules
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict, Forbidden, InvalidInput
from broadcast.schedules import (
    allowed_hours,
    clashes,
    grid,
    quota_check,
    recurrence,
    relays,
    targets,
)
from broadcast.schedules.clashes import LONGEST
from broadcast.schedules.expansion import DAY, SECOND
from broadcast.schedules.grid import Outcome, Overlap, Slot
from broadcast.schedules.model import Schedule, ScheduleException
from broadcast.schedules.neighbours import Neighbours, neighbours
from broadcast.schedules.quota_check import Exceeded
from broadcast.schedules.recurrence import Planned
from broadcast.schedules.silent_days import Skipped, heed_calendars
from broadcast.schedules.slots import slots_around, slots_of
from broadcast.schedules.starts import Exceptions, exceptions_of, rule_of, starts_of
from broadcast.schedules.warnings import (
    Reached,
    reach_targets,
    warnings_of,
    warnings_of_reach,
    warnings_of_repeats,
    warnings_of_revision,
)
from broadcast.wire.fields import BulletinClass

LOOK_AHEAD = timedelta(days=35)
"""From the first start: what is shown of all that it meets. Clashes are sought much further."""

MOST_SLOTS = 200


OFTEN_OFF = timedelta(days=400)
"""From the first start: what is looked at of a schedule that sounds on marked days only."""


class Plan(NamedTuple):
    """Starts, overlaps and warnings of a schedule that is to be saved."""

    slots: list[Slot]
    """Its coming starts, by time."""
    overlaps: list[Overlap]
    """Other items at the same loudspeakers at the same time."""
    checked_until: datetime
    """Up to when was looked for overlaps."""
    reached: list[Reached]
    warnings: list[str]
    skipped: list[Skipped]
    """Coming starts that a calendar keeps silent somewhere, by time."""
    exceeded: list[Exceeded]
    """Quotas of Quy chế that it exceeds."""


async def require_approved_revision(
    session: AsyncSession, bulletin_id: UUID, number: int | None, caller: Caller, now: datetime
) -> tuple[Bulletin, Revision]:
    """The approved revision that is to go on air: the named one, or the newest approved.

    It stays approved until the transaction ends: a withdrawal waits.

    Raises:
        NotFound: There is no such bulletin or revision.
        Conflict: The revision is not approved, or none is.
        Forbidden: The bulletin is an emergency, and the caller may not schedule one, or not
            without a second factor (`SecondFactorRequired`).
    """
    await require_readable_bulletin(session, caller, bulletin_id)
    bulletin = await get_bulletin(session, bulletin_id)
    if number is None:
        newest = await newest_approved(session, bulletin_id)
        number = None if newest is None else newest.number
    revision = None
    if number is not None:
        revision = await get_revision(session, bulletin_id, number)
        await session.refresh(revision, with_for_update={"read": True})
    if revision is None or revision.state is not RevisionState.APPROVED:
        raise Conflict("Bản tin chưa được duyệt nên chưa xếp lịch được; hãy trình duyệt trước.")
    require_emergency_permission(bulletin.class_, caller, now)
    return bulletin, revision


async def require_coming_revision(
    session: AsyncSession, bulletin_id: UUID, number: int | None, caller: Caller, now: datetime
) -> tuple[Bulletin, Revision]:
    """The revision that is to go on air once it is approved: the named one, or the newest.

    Raises:
        NotFound: There is no such bulletin or revision.
        Conflict: It was returned or withdrawn, or its sound is not ready.
        Forbidden: As `require_approved_revision`.
    """
    await require_readable_bulletin(session, caller, bulletin_id)
    bulletin = await get_bulletin(session, bulletin_id)
    if number is None:
        number = max(each.number for each in await of_bulletin(session, bulletin_id))
    revision = await get_revision(session, bulletin_id, number)
    await session.refresh(revision, with_for_update={"read": True})
    if revision.state in {RevisionState.RETURNED, RevisionState.WITHDRAWN}:
        raise Conflict(
            "Phiên bản này đã bị trả lại hoặc đã rút nên không xếp lịch được; hãy tạo phiên bản"
            " mới."
        )
    if revision.seconds is None:
        raise Conflict(
            "Âm thanh của bản tin chưa chuẩn bị xong nên chưa biết dài bao lâu; hãy chờ rồi xếp"
            " lịch."
        )
    require_emergency_permission(bulletin.class_, caller, now)
    return bulletin, revision


def require_emergency_permission(class_: BulletinClass, caller: Caller, now: datetime) -> None:
    """Let only those say when an emergency sounds who may, and have just proved who they are.

    Raises:
        Forbidden: The bulletin is an emergency, and the caller may not schedule one, or not
            without a second factor.
    """
    if class_ is not BulletinClass.EMERGENCY:
        return
    if Permission.EMERGENCY_WRITE not in caller.permissions:
        raise Forbidden(
            "Bản tin khẩn cấp chỉ người duyệt tin hoặc người trực khẩn cấp được xếp lịch; "
            "hãy nhờ một trong hai."
        )
    second_factor.check(caller.second_factor_until, Permission.EMERGENCY_WRITE, now)


async def plan(
    session: AsyncSession,
    schedule: Schedule,
    revision: Revision,
    rules: Rules,
    now: datetime,
    exceptions: Exceptions | None = None,
    others: Neighbours | None = None,
    *,
    heeds_rules: bool = True,
) -> Plan:
    """Check a schedule and work out what it comes to; nothing is saved.

    Args:
        session: Open transaction.
        schedule: Need not be stored.
        revision: What is to sound.
        rules: Quiet hours and the horizon.
        now: Present.
        exceptions: Of the schedule.
        others: What `neighbours` gives, where it has been read.
        heeds_rules: Refuse what quiet hours, the hours or the quotas of a Quy chế forbid.

    Raises:
        InvalidInput: The rule, the start, or silent hours; `field` says which.
        Conflict: A quota is exceeded.
    """
    rule, seconds = rule_of(schedule), schedule.seconds_of(revision)
    if rule is not None:
        recurrence.check(rule, schedule.starts_at, seconds, LOCAL)
    first = first_start(schedule, exceptions or {}, now)
    if first is None:
        raise InvalidInput("starts_at", "đã qua; hãy chọn một giờ trong tương lai")
    _check_moved(schedule, exceptions or {}, now)
    _check_use(schedule, now)
    until = max(now + rules.horizon, first + (OFTEN_OFF if schedule.only_on else LOOK_AHEAD))
    resolver = await targets.target_resolver(session)
    starts = starts_to_check(schedule, exceptions or {}, now, until)
    if heeds_rules:
        found = await allowed_hours.forbidden(resolver, schedule, seconds, starts, rules)
        allowed_hours.refuse(found)
    sounding, skipped = await heed_calendars(resolver, schedule, seconds, starts)
    named = [each for each in sounding if _is_named(each, until)]
    looked_at = [each for each in sounding if not _is_named(each, until)]
    slots = await slots_of(resolver, schedule, seconds, looked_at[:MOST_SLOTS])
    further = await slots_of(resolver, schedule, seconds, named)
    own = await slots_of(
        resolver, schedule, seconds, _beside(schedule, exceptions or {}, seconds, named)
    )
    others = others or await neighbours(session)
    counted = await quota_check.look(resolver, schedule, seconds, sounding, others, now)
    if heeds_rules:
        quota_check.refuse(counted.exceeded)
    there = await slots_around(resolver, slots, schedule, others.readable)
    met = [*grid.overlaps(slots, [*slots, *there]), *grid.overlaps(further, own)]
    mine = clashes.series(schedule, seconds, exceptions or {})
    seen = {(pair.new.occurrence_id, pair.other.occurrence_id) for pair in met}
    later = [
        pair
        for pair in await clashes.find(resolver, mine, others.readable, now)
        if (pair.new.occurrence_id, pair.other.occurrence_id) not in seen
    ]
    reached = await reach_targets(resolver, schedule, first)
    return Plan(
        slots=sorted([*slots, *further], key=lambda slot: slot.starts_at),
        overlaps=[*met, *later],
        checked_until=slots[-1].starts_at if len(looked_at) > MOST_SLOTS else until,
        reached=reached,
        warnings=[
            *warnings_of(rule, schedule.starts_at, first),
            *warnings_of_reach(reached),
            *await warnings_of_revision(session, revision),
            *await relays.warnings(session, schedule, exceptions or {}, now),
            *warnings_of_repeats(counted.repeats),
            *others.warnings(),
        ],
        skipped=skipped,
        exceeded=counted.exceeded,
    )


def first_start(schedule: Schedule, exceptions: Exceptions, now: datetime) -> datetime | None:
    """When a schedule sounds next: by its rule, or where only moved starts are left, by these."""
    rule = rule_of(schedule)
    first = recurrence.first_after(rule, schedule.starts_at, now, LOCAL)
    if first is not None:
        return first
    moved = (
        to
        for at, to in exceptions.items()
        if to is not None and to > now and recurrence.fires(rule, schedule.starts_at, at, LOCAL)
    )
    return min(moved, default=None)


def starts_to_check(
    schedule: Schedule, exceptions: Exceptions, now: datetime, until: datetime
) -> list[Planned]:
    """Starts until a moment, and those after it that a person has named or moved, by time."""
    named = (Planned(at, at) for at in schedule.dates if at >= until and at not in exceptions)
    found = [*starts_of(schedule, exceptions, now, until), *named]
    return sorted(found, key=lambda each: (each.starts_at, each.recurrence_at))


def _is_named(planned: Planned, until: datetime) -> bool:
    return planned.starts_at >= until and planned.starts_at == planned.recurrence_at


def _beside(
    schedule: Schedule, exceptions: Exceptions, seconds: float, named: Iterable[Planned]
) -> list[Planned]:
    """Starts of the schedule itself around those that a person has named."""
    around = timedelta(seconds=seconds)
    found = {
        each
        for at, _ in named
        for each in recurrence.occurrences_between(
            rule_of(schedule), schedule.starts_at, exceptions, at - around, at + around, LOCAL
        )
    }
    return sorted(found, key=lambda each: each.starts_at)


def refuse_clashes(overlaps: Iterable[Overlap]) -> None:
    """Refuse what would make two items of equal priority want one loudspeaker.

    Raises:
        Conflict: With `clashes`: what is in the way, when and at how many clusters.
    """
    refused = [pair for pair in overlaps if pair.outcome is Outcome.CLASH]
    if refused:
        first = refused[0]
        raise Conflict(
            f"Trùng giờ với “{first.other.title}” lúc "
            f"{first.other.starts_at.astimezone(LOCAL):%H:%M %d/%m/%Y} tại "
            f"{first.cluster_count} cụm loa cùng mức ưu tiên; hãy đổi giờ hoặc mức ưu tiên.",
            clashes=[grid.described(pair) for pair in refused[:50]],
        )


def _check_use(schedule: Schedule, now: datetime) -> None:
    """Refuse starts by the rule when it is of no use any more; a move is checked by itself."""
    last = schedule.useful_until
    if last is None:
        return
    rule, after = rule_of(schedule), max(last + SECOND, now)
    late = recurrence.first_after(rule, schedule.starts_at, after, LOCAL)
    if late is not None:
        is_first = rule is None or late == schedule.starts_at
        raise InvalidInput("starts_at" if is_first else "rrule", _of_use(last))


def _of_use(until: datetime) -> str:
    return (
        f"bản tin của cấp trên chỉ còn ích đến {until.astimezone(LOCAL):%H:%M %d/%m/%Y}, không"
        " phát sau lúc đó; hãy chọn giờ sớm hơn hoặc giảm số lần"
    )


def _check_moved(schedule: Schedule, exceptions: Exceptions, now: datetime) -> None:
    """Check moved starts: they count on their new day."""
    moved = sorted(at for at in exceptions.values() if at is not None and at >= now)
    for day in sorted({at.astimezone(LOCAL).date() for at in moved}):
        begin = datetime.combine(day, time(), LOCAL)
        starts = recurrence.occurrences_between(
            rule_of(schedule), schedule.starts_at, exceptions, begin, begin + DAY, LOCAL
        )
        if len(starts) > recurrence.MOST_PER_DAY:
            raise InvalidInput(
                "starts_at",
                f"ngày {day:%d/%m/%Y} có {len(starts)} buổi phát, kể cả lần đã dời; nhiều nhất"
                f" {recurrence.MOST_PER_DAY} lần mỗi ngày, hãy dời sang ngày khác",
            )


async def collisions(
    session: AsyncSession,
    schedule: Schedule,
    revision: Revision,
    moved: ScheduleException,
    rules: Rules,
    now: datetime,
    *,
    heeds_rules: bool = True,
) -> list[Overlap]:
    """Return what one start overlaps at its new time, its own schedule included.

    Raises:
        InvalidInput: That time has passed, or lies in silent hours.
        Conflict: A quota is exceeded (with `heeds_rules`).
    """
    assert moved.moved_to is not None
    if moved.moved_to <= now:
        raise InvalidInput("starts_at", "đã qua; hãy chọn một giờ trong tương lai")
    if schedule.useful_until is not None and moved.moved_to > schedule.useful_until:
        raise InvalidInput("starts_at", _of_use(schedule.useful_until))
    seconds = schedule.seconds_of(revision)
    exceptions = (await exceptions_of(session, [schedule.id]))[schedule.id]
    changed = exceptions | {moved.recurrence_at: moved.moved_to}
    _check_moved(schedule, changed, now)
    siblings = starts_of(
        schedule,
        exceptions | {moved.recurrence_at: None},
        moved.moved_to - LONGEST,
        moved.moved_to + LONGEST,
    )
    resolver = await targets.target_resolver(session)
    new = [Planned(moved.recurrence_at, moved.moved_to)]
    others = await neighbours(session)
    if heeds_rules:
        found = await allowed_hours.forbidden(resolver, schedule, seconds, new, rules)
        allowed_hours.refuse(found)
        day = moved.moved_to.astimezone(LOCAL).date()
        of_day = [each for each in siblings if each.starts_at.astimezone(LOCAL).date() == day]
        starts = [*(each for each in of_day if each.starts_at >= now), *new]
        counted = await quota_check.look(resolver, schedule, seconds, starts, others, now)
        quota_check.refuse(counted.exceeded)
    slots = await slots_of(resolver, schedule, seconds, new)
    own = await slots_of(resolver, schedule, seconds, siblings)
    around = await slots_around(resolver, slots, schedule, others.readable)
    return grid.overlaps(slots, [*own, *around])

"""From a request to a schedule: every check, in the order in which a person can act on it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.accounts.auth import Caller
from broadcast.accounts.model import Role
from broadcast.bulletins.model import Bulletin, Revision, RevisionState
from broadcast.bulletins.revisions import get_bulletin, get_revision, newest_approved
from broadcast.clock import LOCAL
from broadcast.config import Rules
from broadcast.errors import Conflict, Forbidden, InvalidInput
from broadcast.schedules import grid, recurrence, targets
from broadcast.schedules.grid import Outcome, Overlap, Slot
from broadcast.schedules.model import Occurrence, OccurrenceState, Schedule
from broadcast.schedules.occurrences import exceptions_of, occurrence_id, rule_of
from broadcast.wire.fields import BulletinClass

PREVIEW = timedelta(days=8)
"""How far ahead overlaps are looked for: what is materialised."""

LONGEST = timedelta(hours=2)
"""No occurrence sounds longer; bounds the search for what overlaps a start."""


class Plan(NamedTuple):
    """What a schedule would come to."""

    slots: list[Slot]
    """Its coming occurrences, by time."""
    overlaps: list[Overlap]
    """Where it meets others at some loudspeaker."""


async def airable(
    session: AsyncSession, bulletin_id: UUID, number: int | None, caller: Caller
) -> tuple[Bulletin, Revision]:
    """The approved revision that is to go on air: the named one, or the newest approved.

    Raises:
        NotFound: There is no such bulletin or revision.
        Conflict: The revision is not approved, or none is.
        Forbidden: The bulletin is an emergency and the caller may not approve.
    """
    bulletin = await get_bulletin(session, bulletin_id)
    revision = (
        await newest_approved(session, bulletin_id)
        if number is None
        else await get_revision(session, bulletin_id, number)
    )
    if revision is None or revision.state is not RevisionState.APPROVED:
        raise Conflict("Bản tin chưa được duyệt nên chưa xếp lịch được; hãy trình duyệt trước.")
    if bulletin.class_ is BulletinClass.EMERGENCY and caller.role not in {
        Role.APPROVER,
        Role.ADMIN,
    }:
        raise Forbidden("Bản tin khẩn cấp chỉ người duyệt được xếp lịch.")
    return bulletin, revision


async def plan(
    session: AsyncSession, schedule: Schedule, revision: Revision, rules: Rules, now: datetime
) -> Plan:
    """Check a schedule and work out what it comes to; nothing is saved.

    Raises:
        InvalidInput: The rule, a target, the start, or quiet hours; `field` says which.
    """
    rule = rule_of(schedule)
    on = schedule.starts_at.astimezone(LOCAL).date()
    await targets.check(session, schedule.targets, on)
    if rule is not None:
        recurrence.check(rule, schedule.starts_at, revision.seconds, LOCAL)
    first = recurrence.first_after(rule, schedule.starts_at, now, LOCAL)
    if first is None:
        raise InvalidInput("starts_at", "đã qua; hãy chọn một giờ trong tương lai")
    local_day = first.astimezone(LOCAL).date()
    grid.check_quiet(
        (
            datetime.combine(local_day, each, LOCAL)
            for each in recurrence.times_of_day(rule, schedule.starts_at, LOCAL)
        ),
        revision.seconds,
        rules.quiet_hours,
        LOCAL,
    )
    exceptions = await exceptions_of(session, schedule.id)
    coming = recurrence.occurrences_between(
        rule, schedule.starts_at, exceptions, now, now + PREVIEW, LOCAL
    )
    clusters = _Clusters(session)
    slots = [
        Slot(
            occurrence_id(schedule.id, planned.recurrence_at),
            schedule.title,
            planned.starts_at,
            planned.starts_at + timedelta(seconds=revision.seconds),
            schedule.priority,
            await clusters.of(schedule, planned.starts_at),
        )
        for planned in coming
    ]
    return Plan(slots, grid.overlaps(slots, await _others(session, slots, schedule, clusters)))


def refuse_clashes(overlaps: Iterable[Overlap]) -> None:
    """Refuse what would make two items of equal priority want one loudspeaker.

    Raises:
        Conflict: With `clashes`: what is in the way, when and at how many clusters.
    """
    clashes = [pair for pair in overlaps if pair.outcome is Outcome.CLASH]
    if clashes:
        first = clashes[0]
        raise Conflict(
            f"Trùng giờ với “{first.other.title}” lúc "
            f"{first.other.starts_at.astimezone(LOCAL):%H:%M %d/%m/%Y} tại "
            f"{first.cluster_count} cụm loa cùng mức ưu tiên; hãy đổi giờ hoặc mức ưu tiên.",
            clashes=[described(pair) for pair in clashes[:50]],
        )


def described(pair: Overlap) -> dict[str, Any]:
    """An overlap as an answer shows it."""
    return {
        "starts_at": pair.new.starts_at,
        "other_occurrence_id": pair.other.occurrence_id,
        "other_title": pair.other.title,
        "other_starts_at": pair.other.starts_at,
        "outcome": pair.outcome,
        "cluster_count": pair.cluster_count,
    }


class _Clusters:
    """Clusters of schedules by day, each resolved once."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session
        self._known: dict[tuple[UUID, date], frozenset[int]] = {}

    async def of(self, schedule: Schedule, starts_at: datetime) -> frozenset[int]:
        key = (schedule.id, starts_at.astimezone(LOCAL).date())
        if key not in self._known:
            resolved = await targets.resolve(
                self._session, schedule.targets, schedule.targets_on, key[1]
            )
            self._known[key] = resolved.cluster_ids
        return self._known[key]


async def _others(
    session: AsyncSession, slots: Sequence[Slot], schedule: Schedule, clusters: _Clusters
) -> list[Slot]:
    """What else is planned near the slots."""
    if not slots:
        return []
    near = sa.or_(
        *(
            sa.and_(
                Occurrence.starts_at < slot.ends_at,
                Occurrence.starts_at > slot.starts_at - LONGEST,
            )
            for slot in slots
        )
    )
    rows = await session.execute(
        sa.select(Occurrence, Schedule, Revision.seconds)
        .join(Schedule, Schedule.id == Occurrence.schedule_id)
        .join(
            Revision,
            sa.and_(
                Revision.bulletin_id == Occurrence.bulletin_id,
                Revision.number == Occurrence.bulletin_revision,
            ),
        )
        .where(
            near,
            Occurrence.state == OccurrenceState.PLANNED,
            Occurrence.schedule_id != schedule.id,
        )
    )
    return [
        Slot(
            other.id,
            other.title,
            other.starts_at,
            other.starts_at + timedelta(seconds=seconds),
            other.priority,
            await clusters.of(owner, other.starts_at),
        )
        for other, owner, seconds in rows.all()
    ]

"""The other schedules that are read when one is saved, without those that cannot be read.

No row may keep people from their work (docs/decisions/0032): one that a bug or a hand at the
database has spoilt is left out of the comparison, and the person who saves is warned.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.bulletins.model import Revision, RevisionState
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import InvalidInput
from broadcast.schedules import recurrence
from broadcast.schedules.model import Schedule, ScheduleException, ScheduleState
from broadcast.schedules.rrule import Rule
from broadcast.schedules.starts import LONGEST, Exceptions, exceptions_of, of_revision, rule_of

log = structlog.get_logger()

EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""Moments that a person can have meant."""


class Neighbour(NamedTuple):
    """A schedule that may still come to something."""

    schedule: Schedule
    rule: Rule | None
    seconds: float
    """Length of its sound."""
    exceptions: Exceptions


class Neighbours(NamedTuple):
    """All that can be read, and those that cannot."""

    readable: list[Neighbour]
    unreadable: list[Schedule]

    def warnings(self) -> list[str]:
        """Return warnings about the schedules that could not be compared."""
        return [
            f"lịch “{each.title[:80]}” (số {each.id}) lưu trong hệ thống bị hỏng nên chưa so trùng"
            " giờ được; hãy báo người quản trị, hoặc thu hồi lịch đó rồi lập lại"
            for each in self.unreadable
        ]


async def neighbours(session: AsyncSession) -> Neighbours:
    """Active schedules with an approved revision."""
    others = Neighbours([], [])
    for each in await _read_all(session, sa.true(), fresh=False):
        if isinstance(each, Neighbour):
            others.readable.append(each)
        else:
            others.unreadable.append(each)
    return others


_COUNT = sa.and_(Schedule.state == ScheduleState.ACTIVE, Revision.state == RevisionState.APPROVED)


async def _read_all(
    session: AsyncSession, which: sa.ColumnElement[bool], *, fresh: bool
) -> list[Neighbour | Schedule]:
    """Those that can be read, and the schedules of those that cannot.

    Args:
        session: Open transaction.
        which: Of the active ones.
        fresh: As the database has them, whatever this session was about to change.
    """
    # Values that a row of a later release may have stay unread: no comparison needs them.
    own = [sa.orm.defer(Schedule.on_preempt), sa.orm.defer(Schedule.state)]
    found = await session.execute(
        sa.select(Schedule, sa.func.coalesce(Schedule.relay_seconds, Revision.air_seconds_sql()))
        .join(Revision, of_revision())
        .where(_COUNT, which)
        .options(*own)
        .execution_options(populate_existing=fresh)
    )
    rows = found.all()
    exceptions = await exceptions_of(session, [schedule.id for schedule, _ in rows])
    others: list[Neighbour | Schedule] = []
    for schedule, seconds in rows:
        try:
            others.append(read(schedule, seconds, exceptions[schedule.id]))
        except InvalidInput as error:
            others.append(schedule)
            log.warning(
                "schedules.neighbour.unreadable", schedule_id=str(schedule.id), error=error.detail
            )
    return others


class Kept:
    """Neighbours for one transaction after the other, each read anew once a row of it is.

    What a row says of its version (`xmin` and `ctid`) is another one after every change, also
    after two in one transaction, and costs a tenth of reading it.
    """

    def __init__(self) -> None:
        self._known: dict[UUID, tuple[str, Neighbour | Schedule]] = {}

    async def read(self, session: AsyncSession) -> Neighbours:
        """As `neighbours`; their schedules are of no session."""
        versions: dict[UUID, str] = dict((await session.execute(_VERSIONS)).all())
        held = {id_: each for id_, each in self._known.items() if versions.get(id_) == each[0]}
        if changed := versions.keys() - held.keys():
            some = await _read_all(session, Schedule.id.in_(changed), fresh=True)
            for found in some:
                schedule = found.schedule if isinstance(found, Neighbour) else found
                session.expunge(schedule)  # the end of this transaction must not expire it
                held[schedule.id] = versions[schedule.id], found
        self._known = held
        return Neighbours(
            [each for _, each in held.values() if isinstance(each, Neighbour)],
            [each for _, each in held.values() if isinstance(each, Schedule)],
        )


def _version(table: str) -> sa.ColumnElement[str]:
    return sa.literal_column(f"{table}.xmin::text || {table}.ctid::text", sa.Text())


_VERSIONS = (
    sa.select(
        Schedule.id,
        _version("schedules")
        + _version("bulletin_revisions")
        + sa.func.coalesce(
            sa.select(sa.func.string_agg(_version("schedule_exceptions"), ""))
            .where(ScheduleException.schedule_id == Schedule.id)
            .scalar_subquery(),
            "",
        ),
    )
    .join(Revision, of_revision())
    .where(_COUNT)
)


def read(schedule: Schedule, seconds: float, exceptions: Exceptions) -> Neighbour:
    """A stored schedule, once it is sure that everything can be worked out from it.

    Raises:
        InvalidInput: It cannot; says which column.
    """
    rule = rule_of(schedule)
    recurrence.times_of_day(rule, _in_time("starts_at", schedule.starts_at), LOCAL)
    for at, moved_to in exceptions.items():
        _in_time("recurrence_at", at)
        _in_time("moved_to", at if moved_to is None else moved_to)
    if not 0 <= seconds <= LONGEST.total_seconds():
        raise InvalidInput("seconds", f"{seconds} giây")
    if not 0 <= schedule.late_limit_seconds <= timedelta(days=1).total_seconds():
        raise InvalidInput("late_limit_seconds", f"{schedule.late_limit_seconds} giây")
    _check_targets(schedule.targets)
    return Neighbour(schedule, rule, seconds, exceptions)


def _in_time(name: str, at: datetime) -> datetime:
    if at.tzinfo is None or not EARLIEST <= at <= LATEST:  # without a zone: infinity
        raise InvalidInput(name, str(at))
    return at


def _check_targets(targets: Any) -> None:
    if not isinstance(targets, Sequence) or isinstance(targets, str):
        raise InvalidInput("targets", "không phải danh sách")
    for index, target in enumerate(targets):
        if not isinstance(target, dict) or len(target) != 1:
            raise InvalidInput(f"targets.{index}", str(target))
        [(kind, code)] = target.items()
        if kind not in {"area", "cluster"} or not isinstance(code, str):
            raise InvalidInput(f"targets.{index}", str(target))

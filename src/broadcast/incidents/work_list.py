"""Incidents that are not closed as a list of work: what hurts most comes first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.incidents.causes import Cause
from broadcast.incidents.grouping import Kind
from broadcast.incidents.model import Incident
from broadcast.incidents.queries import IncidentFilter, describe, incidents_statement
from broadcast.incidents.schemas import CountOut, WorkItemOut, WorkListOut, WorkState
from broadcast.incidents.silence import seconds, silence
from broadcast.kit.errors import Unknown
from broadcast.web.rest import Paging, paged

AGES = (0, 1, 4, 24, 72)
"""Hours at which the counts by age begin."""


class Rank(NamedTuple):
    """Where an incident stands in the list: village-seconds of silence, the most first."""

    silent_seconds: int
    id: int

    @property
    def key(self) -> tuple[int, int]:
        """Sorts what comes first to the front; of equals the one that was noticed first."""
        return -self.silent_seconds, self.id


class Position(NamedTuple):
    """Where a page ends: the time by which the list was sorted, and its last line."""

    as_of: datetime
    last: Rank


def written(position: Position) -> str:
    """A position as a cursor. Pure."""
    return f"{int(position.as_of.timestamp())}.{position.last.silent_seconds}.{position.last.id}"


def read(cursor: str) -> Position:
    """A cursor as a position. Pure.

    Raises:
        Unknown: The cursor was not made by this list.
    """
    try:
        at, silent_seconds, id_ = (int(each) for each in cursor.split("."))
        return Position(datetime.fromtimestamp(at, UTC), Rank(silent_seconds, id_))
    except (ValueError, OverflowError, OSError):
        detail = f"con trỏ trang “{cursor}” không hợp lệ; hãy gọi lại từ trang đầu"
        raise Unknown("cursor", detail) from None


def age_of(opened_at: datetime, at: datetime) -> int:
    """The hour of `AGES` from which an incident counts. Pure."""
    return max(
        (hours for hours in AGES if at - opened_at >= timedelta(hours=hours)), default=AGES[0]
    )


class _Known(NamedTuple):
    id: int
    kind: str
    """As it is stored: a word of a later release keeps nobody from the others."""
    cause: str
    opened_at: datetime
    recovered_at: datetime | None
    assignee_id: int | None

    @property
    def state(self) -> WorkState:
        return WorkState.OPEN if self.recovered_at is None else WorkState.RECOVERED


async def work_list(
    session: AsyncSession,
    paging: Paging,
    wanted: IncidentFilter,
    account_id: int,
    on: date,
    now: datetime,
) -> WorkListOut:
    """Incidents that are not closed, sorted by silent villages × hours, and counted.

    Raises:
        InvalidInput: No such area; or the cursor was not made by this list.
    """
    position = None if paging.cursor is None else read(paging.cursor)
    as_of = now.replace(microsecond=0) if position is None else position.as_of
    asked = wanted._replace(is_open=True, account_id=account_id)
    statement = await incidents_statement(session, on, asked)
    columns = [
        sa.type_coerce(column, sa.String) if isinstance(column.type, sa.Enum) else column
        for column in (getattr(Incident, name) for name in _Known._fields)
    ]
    known = [_Known(*row) for row in await session.execute(statement.with_only_columns(*columns))]
    silent = await silence(session, on)
    ranks = sorted(
        (Rank(seconds(silent.get(each.id, {}), as_of), each.id) for each in known),
        key=lambda rank: rank.key,
    )
    if position is not None:
        ranks = [rank for rank in ranks if rank.key > position.last.key]
    shown = ranks[: paging.limit]
    rows = await paged(
        session,
        sa.select(Incident).where(Incident.id.in_([rank.id for rank in shown])),
        [Incident.id],
        Paging(None, paging.limit),
    )
    show = await describe(session, [incident for (incident,) in rows.rows], on)

    def item(incident: Incident) -> WorkItemOut:
        villages = silent.get(incident.id, {})
        return WorkItemOut(
            **dict(show(incident)),
            silent_villages_count=len(villages),
            silent_hours=round(seconds(villages, as_of) / 3600, 1),
        )

    listed = rows.page(item)
    place = {rank.id: number for number, rank in enumerate(shown)}
    return WorkListOut(
        as_of=as_of,
        total=len(known),
        silent_villages=len({code for each in known for code in silent.get(each.id, {})}),
        mine=sum(each.assignee_id == account_id for each in known),
        unassigned=sum(each.assignee_id is None for each in known),
        state=_counts(WorkState, [each.state for each in known]),
        kind=_counts(Kind, [each.kind for each in known]),
        cause=_counts(Cause, [each.cause for each in known]),
        age=_counts(
            [str(hours) for hours in AGES],
            [str(age_of(each.opened_at, as_of)) for each in known],
        ),
        items=sorted(listed.items, key=lambda each: place[each.id]),
        unreadable=listed.unreadable,
        next=written(Position(as_of, shown[-1])) if len(ranks) > len(shown) else None,
    )


def _counts(values: Iterable[str], found: Sequence[str]) -> list[CountOut]:
    counts = Counter(found)
    return [CountOut(value=each, count=counts[each]) for each in values]

"""Planning the ledger: one row per occurrence × cluster it targets.

Targets are resolved again until the occurrence starts; what has started keeps its rows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.kit import db
from broadcast.kit.clock import LOCAL
from broadcast.plays.settle import Reason
from broadcast.schedules.model import Occurrence, OccurrenceState
from broadcast.schedules.targets import Resolved


async def plan(
    session: AsyncSession,
    occurrences: Sequence[Occurrence],
    reached: Mapping[UUID, Resolved],
    now: datetime,
) -> set[UUID]:
    """Write the ledger rows of these occurrences.

    Args:
        session: Transaction of the caller.
        occurrences: New or changed, or all of them after a change of targets; locked.
        reached: By occurrence (`schedules.targets.resolve_targets`). Where a calendar keeps it
            silent it has a row as well, cancelled, with that reason; so has what is cancelled
            and reaches something all the same, because devices were told of it before.
        now: Decides what has started.

    Returns:
        Those that had no rows until now.
    """
    months: set[date] = set()
    new: set[UUID] = set()
    for occurrence in occurrences:
        month = month_of(occurrence.recurrence_at)
        if month not in months:
            await db.ensure_partition(session, "plays", month)
            months.add(month)
        parameters = {
            "occurrence_id": occurrence.id,
            "month": month,
            "starts_at": occurrence.starts_at,
            "ends_by": occurrence.ends_by,
            "now": now,
        }
        there = reached.get(occurrence.id, NOTHING)
        if occurrence.state is OccurrenceState.CANCELLED and not there.silent:
            if there.cluster_ids and not await _insert(session, there, parameters, missing=False):
                new.add(occurrence.id)
            cancelled = {"reason": occurrence.cancel_reason or "", "cause": "cancelled"}
            await session.execute(_CANCEL, {**parameters, **cancelled, "clusters": []})
            continue
        latest_at = occurrence.starts_at + timedelta(seconds=occurrence.late_limit_seconds)
        if not await _plan(session, there, {**parameters, "latest_at": latest_at}):
            new.add(occurrence.id)
    return new


NOTHING = Resolved([], frozenset())


def month_of(recurrence_at: datetime) -> date:
    """Partition of an occurrence's plays."""
    return recurrence_at.astimezone(LOCAL).date().replace(day=1)


_INSERT = sa.text("""
    WITH had AS MATERIALIZED (
        SELECT EXISTS (
            SELECT FROM plays WHERE occurrence_id = :occurrence_id AND month = :month
        ) AS plays
    ),
    new AS (
        INSERT INTO plays (occurrence_id, cluster_id, month, starts_at, ends_by, state, reason,
                           played_seconds, fresh_starts, evidence, restated)
        SELECT :occurrence_id, cluster_id, :month, :starts_at, :ends_by, 'planned', '',
               0, 0, 'none', 0
        FROM had, unnest(CAST(:clusters AS integer[])) AS n (cluster_id)
        WHERE :missing OR NOT had.plays
        ON CONFLICT DO NOTHING
    )
    SELECT plays FROM had
""").bindparams(
    sa.bindparam("occurrence_id", type_=sa.Uuid()),
    sa.bindparam("month", type_=sa.Date()),
    sa.bindparam("starts_at", type_=sa.DateTime(timezone=True)),
    sa.bindparam("ends_by", type_=sa.DateTime(timezone=True)),
    sa.bindparam("missing", type_=sa.Boolean()),
)
"""Once it has started its clusters stay as they are, unless it comes to have rows only now."""

_MOVE = sa.text("""
    UPDATE plays SET starts_at = :starts_at, ends_by = :ends_by
    WHERE occurrence_id = :occurrence_id AND month = :month
      AND state IN ('planned', 'playing')
      AND (starts_at, ends_by) <> (:starts_at, :ends_by)
""")

_CANCEL = sa.text("""
    WITH cancelled AS (
        UPDATE plays SET state = 'cancelled', reason = :reason, settled_at = :now
        WHERE occurrence_id = :occurrence_id AND month = :month AND state = 'planned'
          AND cluster_id <> ALL (CAST(:clusters AS integer[]))
        RETURNING occurrence_id, cluster_id
    )
    INSERT INTO play_changes (occurrence_id, cluster_id, changed_at, old_state, old_reason,
                              new_state, new_reason, cause)
    SELECT occurrence_id, cluster_id, :now, 'planned', '', 'cancelled', :reason, :cause
    FROM cancelled
""")

_REVIVE = sa.text("""
    WITH before AS (
        SELECT cluster_id, reason FROM plays
        WHERE occurrence_id = :occurrence_id AND month = :month AND state = 'cancelled'
          AND cluster_id = ANY (CAST(:clusters AS integer[]))
        FOR UPDATE
    ),
    revived AS (
        UPDATE plays AS p
        SET state = 'planned', reason = '', settled_at = NULL,
            starts_at = :starts_at, ends_by = :ends_by
        FROM before
        WHERE p.occurrence_id = :occurrence_id AND p.month = :month
          AND p.cluster_id = before.cluster_id
        RETURNING p.cluster_id, before.reason
    )
    INSERT INTO play_changes (occurrence_id, cluster_id, changed_at, old_state, old_reason,
                              new_state, new_reason, cause)
    SELECT :occurrence_id, cluster_id, :now, 'cancelled', reason, 'planned', '', 'planned'
    FROM revived
""")


async def reported(session: AsyncSession, ids: Collection[UUID]) -> list[tuple[UUID, int]]:
    """Plays of these occurrences of which devices have told already."""
    if not ids:
        return []
    rows = await session.execute(_REPORTED, {"occurrences": [str(id_) for id_ in ids]})
    return [(UUID(occurrence_id), cluster_id) for occurrence_id, cluster_id in rows]


_REPORTED = sa.text("""
    SELECT DISTINCT occurrence_id, cluster_id FROM journal_records
    WHERE occurrence_id = ANY (CAST(:occurrences AS text[])) AND cluster_id IS NOT NULL
""")


async def _insert(
    session: AsyncSession, there: Resolved, parameters: Mapping[str, Any], *, missing: bool
) -> bool:
    """Insert rows, only the `missing` ones where there are some; returns whether there were."""
    clusters = sorted(there.cluster_ids | there.silent.keys())
    had = await session.scalar(_INSERT, {**parameters, "missing": missing, "clusters": clusters})
    return bool(had)


async def _plan(session: AsyncSession, there: Resolved, parameters: Mapping[str, Any]) -> bool:
    """Write the rows of what is planned; returns whether there were some before."""
    everywhere = there.cluster_ids | there.silent.keys()
    is_coming = parameters["starts_at"] > parameters["now"]
    had_plays = await _insert(session, there, parameters, missing=is_coming)
    if had_plays:  # else all of them are new
        await session.execute(_MOVE, parameters)
        if is_coming:
            dropped = {"reason": Reason.NOT_TARGETED.value, "cause": "targets"}
            await session.execute(
                _CANCEL, {**parameters, **dropped, "clusters": sorted(everywhere)}
            )
    if is_coming:
        for why in {*there.silent.values()}:
            others = everywhere - {each for each, told in there.silent.items() if told is why}
            silenced = {"reason": why.value, "cause": "calendar", "clusters": sorted(others)}
            await session.execute(_CANCEL, {**parameters, **silenced})
    if had_plays and parameters["latest_at"] > parameters["now"]:
        sounding = sorted(there.cluster_ids)
        await session.execute(_REVIVE, {**parameters, "clusters": sounding})
    return had_plays

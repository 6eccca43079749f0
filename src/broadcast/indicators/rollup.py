"""Rolling past days up into `cluster_days`, and keeping them equal to their evidence.

A day is rolled up in three transactions: it is announced, so that triggers record changes of its
evidence as invalidations; when that is visible to everybody, the number of the next transaction
is noted; and when all earlier ones are over, so that none can have missed the announcement, its
rows are written. Until then, and for days that are never rolled up, figures are read from the raw
rows.

Invalidations are applied before a figure is computed, and every second by the dispatcher.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.indicators.definitions import OperatingRule
from broadcast.indicators.evidence import (
    CLUSTER_DAYS,
    DAY,
    FEW_CLUSTERS,
    parameters_of,
    statement,
)
from broadcast.indicators.model import Invalidation, RegisterState, RolledUpDay
from broadcast.indicators.restatements import record
from broadcast.kit.clock import LOCAL
from broadcast.kit.locks import Lock, lock

ROLLED_UP = Counter("broadcast_days_rolled_up", "Days of the indicators rolled up the first time")

KEPT_DAYS = 100
"""Days back that are rolled up: a journal may be 60 days late, and the figure of a day then
looks 30 days further back."""

ROLL_UP_AFTER = timedelta(hours=1)
"""After midnight; by then the reports of the evening have come, and are no restatement."""

DAYS_AT_ONCE = 7
"""Days rolled up in one transaction: half a second in a province of 3,000 clusters."""


def hours_of(rule: OperatingRule) -> str:
    """The part of a rule that the rows of a day depend on."""
    return ",".join(f"{first:%H:%M}-{last:%H:%M}" for first, last in rule.broadcast_hours)


def last_day_to_roll_up(now: datetime) -> date:
    """The newest day that is to be rolled up."""
    return (now - ROLL_UP_AFTER).astimezone(LOCAL).date() - DAY


class Revisions(NamedTuple):
    """Revisions of the register and of the days rolled up.

    Attributes:
        register: Of the register.
        days: Of the days of the window that are rolled up.
    """

    register: UUID
    days: Mapping[date, UUID]


_REVISIONS = sa.text("""
SELECT register.revision AS register, folded.day, folded.revision,
    EXISTS (SELECT FROM evidence_marks
            WHERE day IS NULL OR day BETWEEN :first_on AND :last_on) AS invalidated
FROM register_state register
LEFT JOIN folded_days folded ON folded.day BETWEEN :first_on AND :last_on
    AND folded.hours = :hours AND folded.folded_at IS NOT NULL
""")


async def refresh(
    session: AsyncSession, first_on: date, last_on: date, rule: OperatingRule, now: datetime
) -> Revisions:
    """Apply invalidations of these days and of the register; return the revisions after that."""
    parameters = {"first_on": first_on, "last_on": last_on, "hours": hours_of(rule)}
    rows = (await session.execute(_REVISIONS, parameters)).all()
    if rows[0].invalidated:
        await apply_invalidations(session, first_on, last_on, rule, now)
        rows = (await session.execute(_REVISIONS, parameters)).all()
    return Revisions(
        rows[0].register, {row.day: row.revision for row in rows if row.day is not None}
    )


# --- invalidations -------------------------------------------------------------------------------

_DEVICES = sa.text("""
SELECT DISTINCT wanted.device_id, cluster_id
FROM unnest(CAST(:devices AS integer[])) wanted (device_id)
JOIN installations USING (device_id)
""")

_ALL = None
"""Instead of the set of clusters that an invalidation concerns."""


async def apply_invalidations(
    session: AsyncSession,
    first_on: date,
    last_on: date,
    rule: OperatingRule,
    now: datetime,
) -> int:
    """Roll up again what is invalidated of these days; give the register a new revision if it is.

    Days rolled up by the hours of another rule keep their invalidations: a figure by that rule
    applies them.

    Returns:
        How many cluster-days changed.
    """
    await lock(session, Lock.ROLLUP)
    invalidations = (
        await session.execute(
            sa.delete(Invalidation)
            .where(
                sa.or_(
                    Invalidation.day.is_(None),
                    sa.and_(
                        Invalidation.day.between(first_on, last_on),
                        Invalidation.day.not_in(
                            sa.select(RolledUpDay.day).where(RolledUpDay.hours != hours_of(rule))
                        ),
                    ),
                )
            )
            .returning(
                Invalidation.day,
                Invalidation.cause,
                Invalidation.device_id,
                Invalidation.cluster_id,
            )
        )
    ).all()
    if any(each.day is None for each in invalidations):
        await session.execute(sa.update(RegisterState).values(revision=sa.func.gen_random_uuid()))
    rolled_up = await _rolled_up(
        session, {each.day for each in invalidations if each.day is not None}, rule
    )
    causes: defaultdict[date, set[str]] = defaultdict(set)
    concerned: dict[date, set[int] | None] = {}
    devices = {each.device_id for each in invalidations if each.device_id is not None}
    clusters_of: defaultdict[int, set[int]] = defaultdict(set)
    if devices:
        for device_id, cluster_id in await session.execute(_DEVICES, {"devices": list(devices)}):
            clusters_of[device_id].add(cluster_id)
    for day, cause, device_id, cluster_id in invalidations:
        if day not in rolled_up:
            continue
        causes[day].add(cause)
        known = concerned.setdefault(day, set())
        if known is _ALL:
            continue
        if device_id is not None:
            known |= clusters_of[device_id]
        elif cluster_id is not None:
            known.add(cluster_id)
        else:
            concerned[day] = _ALL
    changed = await _roll_up_invalidated(session, concerned, rule)
    await record(session, changed, causes, now)
    return sum(changed.values())


async def _rolled_up(
    session: AsyncSession, days: Collection[date], rule: OperatingRule
) -> set[date]:
    if not days:
        return set()
    return set(
        await session.scalars(
            sa.select(RolledUpDay.day).where(
                RolledUpDay.day.in_(days),
                RolledUpDay.folded_at.is_not(None),
                RolledUpDay.hours == hours_of(rule),
            )
        )
    )


SETS_AT_ONCE = 8
"""Above so many different sets of clusters one statement for all of them costs less."""


async def _roll_up_invalidated(
    session: AsyncSession, concerned: Mapping[date, set[int] | None], rule: OperatingRule
) -> dict[date, int]:
    """Roll up invalidated days again; return how many rows of each day changed."""
    sets: defaultdict[frozenset[int] | None, list[date]] = defaultdict(list)
    for day, clusters in concerned.items():
        many = clusters is _ALL or len(clusters) > FEW_CLUSTERS
        sets[_ALL if many else frozenset(clusters or ())].append(day)
    if len(sets) > SETS_AT_ONCE:
        every = frozenset().union(*(each for each in sets if each is not _ALL))
        sets = defaultdict(list, {_ALL if _ALL in sets else every: list(concerned)})
    changed: dict[date, int] = {}
    for group, days in sets.items():
        changed |= await _roll_up(session, days, group if group is _ALL else sorted(group), rule)
    if changed:
        await session.execute(
            sa.update(RolledUpDay)
            .where(RolledUpDay.day.in_(changed))
            .values(revision=sa.func.gen_random_uuid())
        )
    return changed


_ROLL_UP = statement(f"""
WITH RECURSIVE {CLUSTER_DAYS},
gone AS (
    DELETE FROM cluster_days kept
    WHERE kept.day = ANY(:days) AND (:clusters IS NULL OR kept.cluster_id = ANY(:clusters))
    AND NOT EXISTS (
        SELECT FROM fresh WHERE fresh.day = kept.day AND fresh.cluster_id = kept.cluster_id
    )
    RETURNING kept.day
),
put AS (
    INSERT INTO cluster_days AS kept (day, cluster_id, expected, online, completed_at, due_at)
    SELECT day, cluster_id, expected, online, completed_at, due_at FROM fresh
    ORDER BY day, cluster_id
    ON CONFLICT (day, cluster_id) DO UPDATE SET
        expected = excluded.expected, online = excluded.online,
        completed_at = excluded.completed_at, due_at = excluded.due_at
    WHERE (kept.expected, kept.online, kept.completed_at, kept.due_at) IS DISTINCT FROM
        (excluded.expected, excluded.online, excluded.completed_at, excluded.due_at)
    RETURNING kept.day
)
SELECT day, count(*) AS changed FROM (SELECT * FROM gone UNION ALL SELECT * FROM put) either
GROUP BY day
""")  # noqa: S608  made of constants


async def _roll_up(
    session: AsyncSession,
    days: Sequence[date],
    clusters: Sequence[int] | None,
    rule: OperatingRule,
) -> dict[date, int]:
    """Write these days of these clusters; return how many rows of each day changed."""
    end = datetime.combine(max(days) + DAY, time(), LOCAL)
    parameters = await parameters_of(session, days, clusters, rule, end)
    return {row.day: row.changed for row in await session.execute(_ROLL_UP, parameters)}


_PENDING = sa.text("""
SELECT EXISTS (SELECT FROM evidence_marks) AS invalidated,
    EXISTS (
        SELECT FROM folded_days WHERE horizon IS NULL
        OR horizon > pg_snapshot_xmax(pg_current_snapshot())::text::bigint
    ) AS announced,
    EXISTS (SELECT FROM folded_days WHERE folded_at IS NULL) AS to_roll_up
""")


class Pending(NamedTuple):
    """The work there is.

    Attributes:
        invalidated: Invalidations are to be applied.
        announced: Days were announced whose horizon is to be noted.
        to_roll_up: Days were announced that are not rolled up.
    """

    invalidated: bool
    announced: bool
    to_roll_up: bool


async def pending(session: AsyncSession) -> Pending:
    """Look for work."""
    row = (await session.execute(_PENDING)).one()
    return Pending(invalidated=row.invalidated, announced=row.announced, to_roll_up=row.to_roll_up)


# --- rolling a day up for the first time ---------------------------------------------------------


async def announce_days(session: AsyncSession, now: datetime, rule: OperatingRule) -> int:
    """Announce the past days that are to be rolled up, and delete those that are too old.

    None before the first device was installed anywhere: there is nothing to roll up.

    Returns:
        How many were announced.
    """
    await lock(session, Lock.ROLLUP)
    last_on = last_day_to_roll_up(now)
    parameters = {
        "first_on": last_on - (KEPT_DAYS - 1) * DAY, "last_on": last_on, "hours": hours_of(rule)
    }  # fmt: skip
    for delete in _DELETE_OLD:
        await session.execute(delete, parameters)
    announced = await session.execute(_ANNOUNCE, parameters | {"zone": LOCAL.key})
    return len(announced.all())


_DELETE_OLD = tuple(
    map(
        sa.text,
        (
            "DELETE FROM folded_days WHERE day < :first_on OR hours <> :hours",
            "DELETE FROM cluster_days WHERE day < :first_on",
            "DELETE FROM evidence_marks WHERE day < :first_on",
        ),
    )
)

_ANNOUNCE = sa.text("""
INSERT INTO folded_days (day, hours)
SELECT day::date, :hours
FROM generate_series(
    greatest(CAST(:first_on AS date),
             (SELECT min(installed_at) AT TIME ZONE :zone FROM installations)::date),
    CAST(:last_on AS date), interval '1 day'
) day
WHERE EXISTS (SELECT FROM installations)
ON CONFLICT (day) DO NOTHING
RETURNING day
""")

_NOTE_HORIZON = sa.text("""
UPDATE folded_days SET horizon = pg_snapshot_xmax(pg_current_snapshot())::text::bigint
WHERE horizon IS NULL OR horizon > pg_snapshot_xmax(pg_current_snapshot())::text::bigint
""")

_READY = sa.text("""
SELECT day FROM folded_days
WHERE folded_at IS NULL AND hours = :hours AND day <> ALL (CAST(:but AS date[]))
AND horizon <= pg_snapshot_xmin(pg_current_snapshot())::text::bigint
ORDER BY day DESC LIMIT :days
""")


async def note_horizon(session: AsyncSession) -> None:
    """Note for announced days from which transaction on everybody sees the announcement.

    In a transaction that began after the announcement was committed. A number from the future is
    one of another server, out of a backup.
    """
    await lock(session, Lock.ROLLUP)
    await session.execute(_NOTE_HORIZON)


async def ready_days(
    session: AsyncSession,
    rule: OperatingRule,
    limit: int = DAYS_AT_ONCE,
    but: Iterable[date] = (),
) -> list[date]:
    """Announced days that no running transaction can change without an invalidation.

    The newest first. A day that is ready stays ready until it is rolled up. `but`: not these.
    """
    parameters = {"hours": hours_of(rule), "days": limit, "but": list(but)}
    return list(await session.scalars(_READY, parameters))


async def roll_up_days(
    session: AsyncSession, days: Sequence[date], rule: OperatingRule, now: datetime
) -> None:
    """Roll up days that are ready.

    A day that was rolled up before may be cached under its revision: it gets another one.
    """
    if not days:
        return
    await lock(session, Lock.ROLLUP)
    await session.execute(sa.delete(Invalidation).where(Invalidation.day.in_(days)))
    await _roll_up(session, days, _ALL, rule)
    await session.execute(
        sa.update(RolledUpDay)
        .where(RolledUpDay.day.in_(days))
        .values(folded_at=now, revision=sa.func.gen_random_uuid())
    )
    ROLLED_UP.inc(len(days))


async def invalidated_days(session: AsyncSession) -> list[date]:
    """Days with invalidations; for those of the register alone the first day of the calendar."""
    days = await session.scalars(sa.select(Invalidation.day).distinct())
    return sorted({day or date.min for day in days})

"""Keeping `cluster_days` equal to the evidence it was folded from.

A day is folded in three transactions: it is announced, so that changes of its evidence leave
marks; when that is visible to everybody, the number of the next transaction is noted; and when
all earlier ones are over, so that none can have missed the announcement, its rows are written.
Until then, and for days that nobody folds, figures are read from the raw rows.

Marks are taken up before a figure is computed, and every second by the dispatcher.
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

from broadcast.indicators.days import ROWS, SOME, asked
from broadcast.indicators.definitions import OperatingRule
from broadcast.indicators.evidence import DAY, statement
from broadcast.indicators.model import EvidenceMark, FoldedDay, RegisterState
from broadcast.indicators.restatements import record
from broadcast.kit.clock import LOCAL
from broadcast.kit.locks import Lock, lock

FOLDED = Counter("broadcast_days_folded", "Days of the indicators folded for the first time")

KEPT_DAYS = 100
"""How far back days are folded: a journal may be 60 days late, and the figure of a day then looks
30 days further back."""

FOLD_AFTER = timedelta(hours=1)
"""After midnight; by then the reports of the evening have come, and are no restatement."""

DAYS_AT_ONCE = 7
"""Days folded in one transaction: half a second in a province of 3,000 clusters."""


def hours_of(rule: OperatingRule) -> str:
    """What of a rule a day's rows depend on."""
    return ",".join(f"{first:%H:%M}-{last:%H:%M}" for first, last in rule.broadcast_hours)


def last_to_fold(now: datetime) -> date:
    """The newest day that is to be folded."""
    return (now - FOLD_AFTER).astimezone(LOCAL).date() - DAY


class State(NamedTuple):
    """What is kept, and in which version.

    Attributes:
        register: Revision of the register.
        days: Folded days of the window, with their revisions.
    """

    register: UUID
    days: Mapping[date, UUID]


_STATE = sa.text("""
SELECT register.revision AS register, folded.day, folded.revision,
    EXISTS (SELECT FROM evidence_marks
            WHERE day IS NULL OR day BETWEEN :first_on AND :last_on) AS marked
FROM register_state register
LEFT JOIN folded_days folded ON folded.day BETWEEN :first_on AND :last_on
    AND folded.hours = :hours AND folded.folded_at IS NOT NULL
""")


async def catch_up(
    session: AsyncSession, first_on: date, last_on: date, rule: OperatingRule, now: datetime
) -> State:
    """Take up the marks on these days and on the register; returns what is kept then."""
    parameters = {"first_on": first_on, "last_on": last_on, "hours": hours_of(rule)}
    rows = (await session.execute(_STATE, parameters)).all()
    if rows[0].marked:
        await take_up(session, first_on, last_on, rule, now)
        rows = (await session.execute(_STATE, parameters)).all()
    return State(rows[0].register, {row.day: row.revision for row in rows if row.day is not None})


# --- marks ---------------------------------------------------------------------------------------

_DEVICES = sa.text("""
SELECT DISTINCT asked.device_id, cluster_id
FROM unnest(CAST(:devices AS integer[])) asked (device_id)
JOIN installations USING (device_id)
""")

_ALL = None
"""Instead of the set of clusters that a mark concerns."""


async def take_up(
    session: AsyncSession,
    first_on: date,
    last_on: date,
    rule: OperatingRule,
    now: datetime,
) -> int:
    """Fold what is marked of these days anew, and give the register a new revision if it is.

    Days folded by the hours of another rule keep their marks, for whoever asks by that one.

    Returns:
        How many cluster-days changed.
    """
    await lock(session, Lock.ROLLUP)
    marks = (
        await session.execute(
            sa.delete(EvidenceMark)
            .where(
                sa.or_(
                    EvidenceMark.day.is_(None),
                    sa.and_(
                        EvidenceMark.day.between(first_on, last_on),
                        EvidenceMark.day.not_in(
                            sa.select(FoldedDay.day).where(FoldedDay.hours != hours_of(rule))
                        ),
                    ),
                )
            )
            .returning(
                EvidenceMark.day,
                EvidenceMark.cause,
                EvidenceMark.device_id,
                EvidenceMark.cluster_id,
            )
        )
    ).all()
    if any(mark.day is None for mark in marks):
        await session.execute(sa.update(RegisterState).values(revision=sa.func.gen_random_uuid()))
    folded = await _folded(session, {mark.day for mark in marks if mark.day is not None}, rule)
    causes: defaultdict[date, set[str]] = defaultdict(set)
    concerned: dict[date, set[int] | None] = {}
    devices = {mark.device_id for mark in marks if mark.device_id is not None}
    clusters_of: defaultdict[int, set[int]] = defaultdict(set)
    if devices:
        for device_id, cluster_id in await session.execute(_DEVICES, {"devices": list(devices)}):
            clusters_of[device_id].add(cluster_id)
    for day, cause, device_id, cluster_id in marks:
        if day not in folded:
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
    changed = await _fold_marked(session, concerned, rule)
    await record(session, changed, causes, now)
    return sum(changed.values())


async def _folded(session: AsyncSession, days: Collection[date], rule: OperatingRule) -> set[date]:
    if not days:
        return set()
    return set(
        await session.scalars(
            sa.select(FoldedDay.day).where(
                FoldedDay.day.in_(days),
                FoldedDay.folded_at.is_not(None),
                FoldedDay.hours == hours_of(rule),
            )
        )
    )


SETS_AT_ONCE = 8
"""Above so many different sets of clusters one statement for all of them costs less."""


async def _fold_marked(
    session: AsyncSession, concerned: Mapping[date, set[int] | None], rule: OperatingRule
) -> dict[date, int]:
    """Fold marked days anew; returns how many rows of each day changed."""
    sets: defaultdict[frozenset[int] | None, list[date]] = defaultdict(list)
    for day, clusters in concerned.items():
        many = clusters is _ALL or len(clusters) > SOME
        sets[_ALL if many else frozenset(clusters or ())].append(day)
    if len(sets) > SETS_AT_ONCE:
        every = frozenset().union(*(each for each in sets if each is not _ALL))
        sets = defaultdict(list, {_ALL if _ALL in sets else every: list(concerned)})
    changed: dict[date, int] = {}
    for group, days in sets.items():
        changed |= await _fold(session, days, group if group is _ALL else sorted(group), rule)
    if changed:
        await session.execute(
            sa.update(FoldedDay)
            .where(FoldedDay.day.in_(changed))
            .values(revision=sa.func.gen_random_uuid())
        )
    return changed


_FOLD = statement(f"""
WITH RECURSIVE {ROWS},
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


async def _fold(
    session: AsyncSession,
    days: Sequence[date],
    clusters: Sequence[int] | None,
    rule: OperatingRule,
) -> dict[date, int]:
    """Write these days of these clusters; returns how many rows of each day changed."""
    end = datetime.combine(max(days) + DAY, time(), LOCAL)
    parameters = await asked(session, days, clusters, rule, end)
    return {row.day: row.changed for row in await session.execute(_FOLD, parameters)}


_WAITING = sa.text("""
SELECT EXISTS (SELECT FROM evidence_marks) AS marked,
    EXISTS (
        SELECT FROM folded_days WHERE horizon IS NULL
        OR horizon > pg_snapshot_xmax(pg_current_snapshot())::text::bigint
    ) AS announced,
    EXISTS (SELECT FROM folded_days WHERE folded_at IS NULL) AS unfolded
""")


class Waiting(NamedTuple):
    """What there is to do."""

    marked: bool
    announced: bool
    unfolded: bool


async def waiting(session: AsyncSession) -> Waiting:
    """Look whether marks wait, or days announced and not folded."""
    return Waiting(*(await session.execute(_WAITING)).one())


# --- folding a day for the first time ------------------------------------------------------------


async def announce(session: AsyncSession, now: datetime, rule: OperatingRule) -> int:
    """Announce the past days that are to be folded, and forget those that are not any more.

    None before the first device was hung anywhere: there is nothing to fold.

    Returns:
        How many were announced.
    """
    await lock(session, Lock.ROLLUP)
    last_on = last_to_fold(now)
    parameters = {
        "first_on": last_on - (KEPT_DAYS - 1) * DAY, "last_on": last_on, "hours": hours_of(rule)
    }  # fmt: skip
    for forget in _FORGET:
        await session.execute(forget, parameters)
    announced = await session.execute(_ANNOUNCE, parameters | {"zone": LOCAL.key})
    return len(announced.all())


_FORGET = tuple(
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

_RIPE = sa.text("""
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


async def fold_ripe(
    session: AsyncSession,
    rule: OperatingRule,
    now: datetime,
    limit: int = DAYS_AT_ONCE,
    but: Iterable[date] = (),
) -> list[date]:
    """Fold announced days that no running transaction can change unmarked, the newest first."""
    await lock(session, Lock.ROLLUP)
    days = await ripe(session, rule, limit, but)
    await fold_days(session, days, rule, now)
    return days


async def ripe(
    session: AsyncSession,
    rule: OperatingRule,
    limit: int = DAYS_AT_ONCE,
    but: Iterable[date] = (),
) -> list[date]:
    """Days that `fold_ripe` would fold; `but`: not these."""
    parameters = {"hours": hours_of(rule), "days": limit, "but": list(but)}
    return list(await session.scalars(_RIPE, parameters))


async def fold_announced(
    session: AsyncSession, days: Sequence[date], rule: OperatingRule, now: datetime
) -> None:
    """Fold these days, that were ripe a moment ago: a ripe day stays ripe until it is folded."""
    await lock(session, Lock.ROLLUP)
    await fold_days(session, days, rule, now)


async def marked(session: AsyncSession) -> list[date]:
    """Days with marks; for those of the register alone the first day of the calendar."""
    days = await session.scalars(sa.select(EvidenceMark.day).distinct())
    return sorted({day or date.min for day in days})


async def fold_days(
    session: AsyncSession, days: Sequence[date], rule: OperatingRule, now: datetime
) -> None:
    """Fold announced days; nobody else may be changing their evidence unmarked.

    A day that was folded before may be remembered under its revision: it gets another one.
    """
    if not days:
        return
    await session.execute(sa.delete(EvidenceMark).where(EvidenceMark.day.in_(days)))
    await _fold(session, days, _ALL, rule)
    await session.execute(
        sa.update(FoldedDay)
        .where(FoldedDay.day.in_(days))
        .values(folded_at=now, revision=sa.func.gen_random_uuid())
    )
    FOLDED.inc(len(days))

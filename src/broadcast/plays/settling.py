"""Settling plays in bulk: facts from the database, the rule, and the changes written back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.kit.clock import LOCAL
from broadcast.plays.joined import HEARD
from broadcast.plays.self_tests import read_near
from broadcast.plays.settle import (
    OPEN,
    Circumstances,
    Facts,
    Grade,
    PlayState,
    Report,
    SelfTest,
    Settlement,
    settle,
)
from broadcast.plays.silence import Key, Window, read_circumstances
from broadcast.wire.fields import OnPreempt

SETTLED = Counter("broadcast_plays_settled", "Plays settled", ["state", "reason"])
RESTATED = Counter("broadcast_plays_restated", "Settled plays changed by later evidence")


@dataclass(frozen=True, slots=True)
class _Row:
    """A play as it is settled now, and its fixed properties."""

    month: Any
    current: Settlement
    starts_at: datetime
    ends_by: datetime
    latest_at: datetime
    on_preempt: OnPreempt
    audio_seconds: float | None
    languages: str | None
    """As stored."""
    heard_languages: str | None
    """As the sound tells that began last; None: that of the bulletin itself."""
    is_live: bool
    cancelled: str | None
    proof_lost: bool


async def settle_plays(
    session: AsyncSession,
    keys: Collection[Key],
    now: datetime,
    settle_after: timedelta,
    cause: str,
) -> set[Key]:
    """Settle these plays by everything known at `now`.

    Args:
        session: Transaction of the caller; the rows stay locked in it.
        keys: Plays; those that were never planned are passed over.
        now: Moment of the judgement.
        settle_after: How long after `ends_by` reports are waited for.
        cause: For the history, where a settled play changes.

    Returns:
        The plays that exist.
    """
    rows = await _lock(session, keys, settle_after)
    reports = await _reports(session, rows)
    silent = {
        key: Window(row.starts_at, row.latest_at)
        for key, row in rows.items()
        if not reports.get(key) and row.cancelled is None and now >= row.ends_by + settle_after
    }
    circumstances = await read_circumstances(session, silent) if silent else {}
    tests = await read_near(session, reports)
    changes: dict[Key, tuple[_Row, Settlement]] = {}
    for key, row in rows.items():
        facts = _facts(row, reports.get(key, ()), tests.get(key, ()), circumstances.get(key))
        settlement = settle(facts, now, settle_after)
        if settlement != row.current or row.heard_languages != row.languages:
            changes[key] = (row, settlement)
    if changes:
        await _write(session, changes, now, cause)
    return set(rows)


def _facts(
    row: _Row,
    reports: Sequence[Report],
    tests: Sequence[SelfTest],
    circumstances: Circumstances | None,
) -> Facts:
    return Facts(
        starts_at=row.starts_at,
        ends_by=row.ends_by,
        on_preempt=row.on_preempt,
        audio_seconds=row.audio_seconds,
        is_live=row.is_live,
        cancelled=row.cancelled,
        reports=reports,
        self_tests=tests,
        proof_lost=row.proof_lost,
        circumstances=circumstances,
    )


_LOCK = sa.text(f"""
    SELECT p.occurrence_id, p.cluster_id, p.month, p.state, p.reason, p.device_id, p.started_at,
           p.ended_at, p.played_seconds, p.relayed_seconds, p.start_error_ms, p.fresh_starts,
           p.evidence, p.starts_at, p.ends_by,
           p.starts_at + o.late_limit_seconds * interval '1 second' AS latest_at,
           o.on_preempt,
           COALESCE(o.relay_seconds, heard.seconds, NULLIF(r.seconds, 0)) AS audio_seconds,
           p.languages, heard.languages AS heard_languages,
           o.live_key IS NOT NULL AS is_live,
           CASE WHEN o.state = 'cancelled' THEN COALESCE(o.cancel_reason, '')
                WHEN p.state = 'cancelled' THEN p.reason END AS cancelled,
           EXISTS (
               SELECT FROM lost_spans AS l
               WHERE l.since < p.ends_by + :settle_after AND l.until > p.starts_at
           ) AS proof_lost
    FROM unnest(CAST(:occurrences AS uuid[]), CAST(:clusters AS integer[]))
        AS n (occurrence_id, cluster_id)
    CROSS JOIN LATERAL (SELECT * FROM occurrences WHERE id = n.occurrence_id LIMIT 1) AS o
    CROSS JOIN LATERAL (
        SELECT * FROM plays
        WHERE occurrence_id = n.occurrence_id AND cluster_id = n.cluster_id
          AND month = date_trunc('month', o.recurrence_at AT TIME ZONE :zone)::date
        OFFSET 0
    ) AS p
    LEFT JOIN bulletin_revisions AS r
        ON r.bulletin_id = o.bulletin_id AND r.number = o.bulletin_revision
    {HEARD}
    ORDER BY p.occurrence_id, p.cluster_id
    FOR UPDATE OF p
""").bindparams(  # noqa: S608 — text of ours
    sa.bindparam("zone", LOCAL.key, sa.Text()),
    sa.bindparam("settle_after", type_=sa.Interval()),
)


async def _lock(
    session: AsyncSession, keys: Collection[Key], settle_after: timedelta
) -> dict[Key, _Row]:
    rows = await session.execute(_LOCK, {**_columns(keys), "settle_after": settle_after})
    return {
        (row.occurrence_id, row.cluster_id): _Row(
            month=row.month,
            current=Settlement(
                state=PlayState(row.state),
                reason=row.reason,
                device_id=row.device_id,
                started_at=row.started_at,
                ended_at=row.ended_at,
                played_seconds=row.played_seconds,
                relayed_seconds=row.relayed_seconds,
                start_error_ms=row.start_error_ms,
                fresh_starts=row.fresh_starts,
                evidence=Grade(row.evidence),
            ),
            starts_at=row.starts_at,
            ends_by=row.ends_by,
            latest_at=row.latest_at,
            on_preempt=OnPreempt(row.on_preempt),
            audio_seconds=row.audio_seconds,
            languages=row.languages,
            heard_languages=row.heard_languages,
            is_live=row.is_live,
            cancelled=row.cancelled,
            proof_lost=row.proof_lost,
        )
        for row in rows
    }


def _columns(keys: Collection[Key]) -> dict[str, list[Any]]:
    ordered = sorted(keys)  # rows are locked as they are looked up: all in one order
    return {
        "occurrences": [occurrence_id for occurrence_id, _ in ordered],
        "clusters": [cluster_id for _, cluster_id in ordered],
    }


_REPORTS = sa.text("""
    SELECT n.occurrence_id, n.cluster_id, j.device_id, j.journal_id, j.seq, j.event, j.at,
           j.received_at,
           COALESCE(j.body->>'reason', '') AS reason,
           COALESCE((j.body->>'offset_seconds')::float, 0) AS offset_seconds,
           COALESCE((j.body->>'played_seconds')::float, 0) AS played_seconds,
           (j.body->>'relayed_seconds')::float AS relayed_seconds,
           COALESCE(j.body->>'evidence', 'device') AS evidence
    FROM unnest(CAST(:occurrences AS uuid[]), CAST(:clusters AS integer[]),
                CAST(:starts_at AS timestamptz[]))
        AS n (occurrence_id, cluster_id, starts_at)
    CROSS JOIN LATERAL (
        SELECT * FROM journal_records
        WHERE occurrence_id = n.occurrence_id::text AND cluster_id = n.cluster_id
          AND event <> 'lost'
        OFFSET 0
    ) AS j
    WHERE EXISTS (
        SELECT FROM installations AS i
        WHERE i.device_id = j.device_id AND i.cluster_id = n.cluster_id
          AND i.installed_at <= n.starts_at
          AND (i.removed_at IS NULL OR i.removed_at > n.starts_at
               AND (j.event <> 'started' OR i.removed_at > j.at))
    )
""")
"""Of the device that was installed there at the planned start, and of no earlier or later one; nor
plays that it began after it had been removed. `OFFSET 0` keeps it a look-up by key: with
statistics of an empty table a join reads all of it."""


async def _reports(session: AsyncSession, plays: Mapping[Key, _Row]) -> dict[Key, list[Report]]:
    found: defaultdict[Key, list[Report]] = defaultdict(list)
    columns = {**_columns(plays), "starts_at": [row.starts_at for row in plays.values()]}
    for row in await session.execute(_REPORTS, columns):
        report = Report(
            device_id=row.device_id,
            journal_id=row.journal_id,
            seq=row.seq,
            event=row.event,
            at=row.at,
            received_at=row.received_at,
            reason=row.reason,
            offset_seconds=row.offset_seconds,
            played_seconds=row.played_seconds,
            relayed_seconds=row.relayed_seconds,
            evidence=row.evidence,
        )
        found[row.occurrence_id, row.cluster_id].append(report)
    return found


_WRITE = sa.text("""
    UPDATE plays AS p
    SET state = n.state, reason = n.reason, device_id = n.device_id, started_at = n.started_at,
        ended_at = n.ended_at, played_seconds = n.played_seconds,
        relayed_seconds = n.relayed_seconds,
        start_error_ms = n.start_error_ms, fresh_starts = n.fresh_starts,
        evidence = n.evidence, languages = n.languages,
        settled_at = CASE WHEN n.terminal THEN COALESCE(p.settled_at, :now) END,
        restated = p.restated + n.restated
    FROM unnest(CAST(:occurrences AS uuid[]), CAST(:clusters AS integer[]),
                CAST(:months AS date[]), CAST(:states AS text[]), CAST(:reasons AS text[]),
                CAST(:devices AS integer[]), CAST(:started_at AS timestamptz[]),
                CAST(:ended_at AS timestamptz[]), CAST(:seconds AS float[]),
                CAST(:relayed AS float[]),
                CAST(:errors AS integer[]), CAST(:starts AS integer[]),
                CAST(:evidence AS text[]), CAST(:terminal AS boolean[]),
                CAST(:restated AS integer[]), CAST(:languages AS text[]))
        AS n (occurrence_id, cluster_id, month, state, reason, device_id, started_at, ended_at,
              played_seconds, relayed_seconds, start_error_ms, fresh_starts, evidence, terminal,
              restated, languages)
    WHERE p.occurrence_id = n.occurrence_id AND p.cluster_id = n.cluster_id
      AND p.month = n.month
""")

_HISTORY = sa.text("""
    INSERT INTO play_changes (occurrence_id, cluster_id, changed_at, old_state, old_reason,
                              new_state, new_reason, cause)
    SELECT occurrence_id, cluster_id, :now, old_state, old_reason, new_state, new_reason, :cause
    FROM unnest(CAST(:occurrences AS uuid[]), CAST(:clusters AS integer[]),
                CAST(:old_states AS text[]), CAST(:old_reasons AS text[]),
                CAST(:states AS text[]), CAST(:reasons AS text[]))
        AS n (occurrence_id, cluster_id, old_state, old_reason, new_state, new_reason)
""")


async def _write(
    session: AsyncSession,
    changes: Mapping[Key, tuple[_Row, Settlement]],
    now: datetime,
    cause: str,
) -> None:
    restated = {
        key: (row, new)
        for key, (row, new) in changes.items()
        if row.current.state not in OPEN
        and (row.current.state, row.current.reason) != (new.state, new.reason)
    }
    await session.execute(
        _WRITE,
        {
            **_settled_columns(changes),
            "months": [row.month for row, _ in changes.values()],
            "devices": [new.device_id for _, new in changes.values()],
            "started_at": [new.started_at for _, new in changes.values()],
            "ended_at": [new.ended_at for _, new in changes.values()],
            "seconds": [new.played_seconds for _, new in changes.values()],
            "relayed": [new.relayed_seconds for _, new in changes.values()],
            "errors": [new.start_error_ms for _, new in changes.values()],
            "starts": [new.fresh_starts for _, new in changes.values()],
            "evidence": [new.evidence for _, new in changes.values()],
            "terminal": [new.state not in OPEN for _, new in changes.values()],
            "restated": [int(key in restated) for key in changes],
            "languages": [row.heard_languages for row, _ in changes.values()],
            "now": now,
        },
    )
    for row, new in changes.values():
        if row.current.state in OPEN and new.state not in OPEN:
            # The reason of a person is free text and no label.
            reason = "" if new.state is PlayState.CANCELLED else new.reason
            SETTLED.labels(new.state.value, reason).inc()
    if restated:
        RESTATED.inc(len(restated))
        await session.execute(
            _HISTORY,
            {
                **_settled_columns(restated),
                "old_states": [row.current.state.value for row, _ in restated.values()],
                "old_reasons": [row.current.reason for row, _ in restated.values()],
                "now": now,
                "cause": cause,
            },
        )


def _settled_columns(changes: Mapping[Key, tuple[_Row, Settlement]]) -> dict[str, list[Any]]:
    return {
        **_columns(changes),
        "states": [new.state.value for _, new in changes.values()],
        "reasons": [new.reason for _, new in changes.values()],
    }

"""Recording who is here: boots, heartbeats and last wills, a batch at a time.

Every statement is set-based and idempotent, so a batch that comes again changes nothing. Raw
heartbeats prove nothing, so they may be stored beside, in a transaction of their own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec
import sqlalchemy as sa
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.config import Rules
from broadcast.telemetry import faults, presence_rows
from broadcast.telemetry.arrival import Arrival
from broadcast.telemetry.fast_path import Lifelines, Steady, lifelines
from broadcast.telemetry.heartbeat_rows import Columns, advance, keep_raw
from broadcast.telemetry.online_minutes import Reception
from broadcast.telemetry.presence import Flip, Patience, State, believed, gone, heard
from broadcast.telemetry.presence_rows import Held, Known, Row
from broadcast.wire.codec import encode
from broadcast.wire.events import Boot, Gone, Heartbeat

CLOCKS = Counter(
    "broadcast_clock_implausible", "Boots and heartbeats bearing a time that cannot be"
)

CLOCK_WRONG = "clock_wrong"
"""Fault that the server opens: the device trusts its clock, which cannot be right."""


def patience(rules: Rules) -> Patience:
    """The thresholds of presence, from the settings."""
    interval = timedelta(seconds=rules.heartbeat_seconds)
    return Patience(
        silent=interval * rules.silent_after_intervals,
        offline=rules.offline_after,
        returning=rules.return_within,
    )


@dataclass(slots=True)
class _Turn:
    """What a batch holds of one device, and what comes of it."""

    heard: list[Boot | Heartbeat] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)
    held: msgspec.Raw | None = None
    state: State | None = None
    flips: list[Flip] = field(default_factory=list)
    clock_wrong: bool = False


async def record(
    session: AsyncSession,
    boots: Sequence[Arrival[Boot]],
    beats: Sequence[Arrival[Heartbeat]],
    wills: Sequence[Arrival[Gone]],
    received_at: datetime,
    *,
    live: bool,
    patience: Patience,
    steady: Steady | None = None,
    columns: Columns | None = None,
) -> None:
    """Store a batch: presence with its flips, boots, receipts and online minutes.

    Args:
        session: Transaction of the batch.
        boots: First messages of connections.
        beats: Heartbeats.
        wills: Last wills.
        received_at: When the batch was taken from the broker.
        live: Nothing had been waiting at the broker, so `received_at` is when it was sent. Else
            a trusted clock of the device tells; it is not asked otherwise, because one that is
            five minutes slow would make its device silent for ever.
        patience: Thresholds of presence.
        steady: Devices remembered from the batches before, so that most need not be read.
        columns: Those of the heartbeats, from a caller that keeps the raw rows itself; otherwise
            they are kept here.
    """
    steady = steady or Steady()
    reception = Reception(received_at)
    if columns is None:
        columns = Columns.of(beats)
        await keep_raw(session, columns, received_at)
    steps = steady.plain(boots, beats, wills, reception, live=live)
    advanced: set[int] = set()
    if beats:
        advanced = await advance(session, beats, columns, steps, reception, patience)
        steady.took(steps, advanced)
    turns = _turns(boots, [beat for beat in beats if beat.device_id not in advanced], wills)
    if turns:
        known = await presence_rows.lock(
            session, [Held(i, turn.held) for i, turn in turns.items()]
        )
        for device_id, turn in turns.items():
            _fold(turn, known.get(device_id), reception, live=live, patience=patience)
        await _keep_presence(session, turns, known, received_at)
        await _keep_receipts(session, turns, known, received_at)
        for device_id, turn in turns.items():
            before = known.get(device_id)
            # What changed nothing was not stored: the row may say something else.
            stored = None if before and turn.state is before.state else turn.state
            steady.remember(device_id, stored, turn.heard, clock_wrong=turn.clock_wrong)
    if boots:
        await _keep_boots(session, boots, received_at)


# --- presence ----------------------------------------------------------------------------------


def _turns(
    boots: Sequence[Arrival[Boot]],
    beats: Sequence[Arrival[Heartbeat]],
    wills: Sequence[Arrival[Gone]],
) -> dict[int, _Turn]:
    turns: dict[int, _Turn] = {}
    for boot in boots:
        turns.setdefault(boot.device_id, _Turn()).heard.append(boot.message)
    for beat in beats:
        turns.setdefault(beat.device_id, _Turn()).heard.append(beat.message)
    for will in wills:
        turns.setdefault(will.device_id, _Turn()).gone.append(will.message.session)
    for turn in turns.values():
        if len(turn.heard) > 1:
            turn.heard.sort(key=_order)
        if turn.heard:
            turn.held = msgspec.Raw(msgspec.json.encode(turn.heard[-1].held))
    return turns


def _order(message: Boot | Heartbeat) -> tuple[int, int]:
    return message.session, message.seq if isinstance(message, Heartbeat) else 0


def _fold(
    turn: _Turn, known: Known | None, reception: Reception, *, live: bool, patience: Patience
) -> None:
    received_at = reception.at
    state = believed(known.state, received_at, patience) if known else None
    turn.clock_wrong = known.clock_wrong if known else False
    for message in turn.heard:
        trusted = message.clock.trusted
        at = received_at
        if not live:
            at = reception.happened_at(message.sent_at, trusted=trusted)
        cause = "heartbeat" if isinstance(message, Heartbeat) else "boot"
        state, flip = heard(state, *_order(message), at, patience, cause)
        if flip is not None:
            turn.flips.append(flip)
        turn.clock_wrong = trusted and not reception.is_plausible(message.sent_at)
        if turn.clock_wrong:
            CLOCKS.inc()
    for session in turn.gone:
        state = gone(state, session, received_at, patience)
    turn.state = state


async def _keep_presence(
    session: AsyncSession,
    turns: Mapping[int, _Turn],
    known: Mapping[int, Known],
    received_at: datetime,
) -> None:
    new: list[Row] = []
    changed: list[Row] = []
    flips: list[tuple[int, Flip]] = []
    clocks: list[faults.Report] = []
    for device_id, turn in turns.items():
        before = known.get(device_id)
        if turn.state is None or (before and turn.state is before.state):
            continue
        newest = turn.heard[-1] if turn.heard else None
        if newest is not None and _order(newest) != (turn.state.session, turn.state.seq):
            newest = None  # overtaken: what it holds has been replaced
        row = Row.of(
            device_id,
            turn.state,
            clock_wrong=turn.clock_wrong,
            held=None if newest is None else turn.held,
            lifelines=_UNSAID if newest is None else lifelines(newest),
        )
        (changed if before else new).append(row)
        flips.extend((device_id, flip) for flip in turn.flips)
        if turn.clock_wrong != (before.clock_wrong if before else False):
            clocks.append(
                faults.Report(device_id, CLOCK_WRONG, turn.clock_wrong, received_at, _CLOCK_DETAIL)
            )
    await presence_rows.update(session, changed)
    first = await presence_rows.insert(session, new)
    flips = [flip for flip in flips if flip[0] in known or flip[0] in first]
    await presence_rows.keep_flips(session, flips, received_at)
    await faults.keep(session, clocks)


_CLOCK_IS_WRONG = sa.text("""
    WITH wrong AS MATERIALIZED (
        SELECT device_id FROM device_presence
        WHERE device_id = ANY(CAST(:ids AS integer[])) AND NOT clock_wrong
        ORDER BY device_id
        FOR UPDATE
    )
    UPDATE device_presence AS p SET clock_wrong = true
    FROM wrong WHERE p.device_id = wrong.device_id
    RETURNING p.device_id
""")


async def clock_is_wrong(session: AsyncSession, device_ids: Collection[int], at: datetime) -> None:
    """Open the fault of devices of which something else than a heartbeat has proved it.

    The next heartbeat that bears a time that can be true ends it.
    """
    if not device_ids:
        return
    rows = await session.execute(_CLOCK_IS_WRONG, {"ids": sorted(device_ids)})
    await faults.keep(
        session,
        [faults.Report(i, CLOCK_WRONG, True, at, _CLOCK_DETAIL) for i in rows.scalars()],
    )


_UNSAID = Lifelines(None, None)
_CLOCK_DETAIL = "thiết bị tin đồng hồ của mình nhưng giờ gửi không thể đúng"


# --- what a device holds -----------------------------------------------------------------------

_RECEIPTS = sa.text("""
    INSERT INTO receipts (device_id, document, revision, received_at)
    SELECT device_id, document, revision, :received_at
    FROM unnest(CAST(:ids AS integer[]), CAST(:documents AS text[]), CAST(:revisions AS bigint[]))
        AS n (device_id, document, revision)
    ON CONFLICT DO NOTHING
""")


async def _keep_receipts(
    session: AsyncSession,
    turns: Mapping[int, _Turn],
    known: Mapping[int, Known],
    received_at: datetime,
) -> None:
    new = {
        (device_id, document, revision)
        for device_id, turn in turns.items()
        for document, revision in _news(turn, known.get(device_id))
    }
    if new:
        ids, documents, revisions = zip(*sorted(new), strict=True)
        await session.execute(
            _RECEIPTS,
            {
                "ids": list(ids),
                "documents": list(documents),
                "revisions": list(revisions),
                "received_at": received_at,
            },
        )


def _news(turn: _Turn, known: Known | None) -> Iterable[tuple[str, int]]:
    if not turn.heard:
        return ()
    newest = turn.heard[-1].held
    stored: Mapping[str, int] = {}
    if known is not None:
        stored = newest if known.held is None else known.held
        if stored is newest and len(turn.heard) == 1:
            return ()
    return (item for told in turn.heard for item in told.held.items() - stored.items())


# --- boots -------------------------------------------------------------------------------------

_BOOTS = sa.text("""
    INSERT INTO boots (device_id, session, sent_at, received_at, reason, body)
    SELECT device_id, session, sent_at, :received_at, reason, body::jsonb
    FROM unnest(CAST(:ids AS integer[]), CAST(:sessions AS bigint[]),
                CAST(:sent_at AS timestamptz[]), CAST(:reasons AS text[]),
                CAST(:bodies AS text[])) AS n (device_id, session, sent_at, reason, body)
    ON CONFLICT DO NOTHING
""")


async def _keep_boots(
    session: AsyncSession, boots: Sequence[Arrival[Boot]], received_at: datetime
) -> None:
    await session.execute(
        _BOOTS,
        {
            "ids": [boot.device_id for boot in boots],
            "sessions": [boot.message.session for boot in boots],
            "sent_at": [boot.message.sent_at for boot in boots],
            "reasons": [boot.message.reason for boot in boots],
            "bodies": [encode(boot.message).decode() for boot in boots],
            "received_at": received_at,
        },
    )

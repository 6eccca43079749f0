"""Record boots, heartbeats and last wills, a batch at a time: who is connected, and since when.

Every statement is set-based and idempotent, so a batch that comes again changes nothing. The raw
rows are the caller's to store (`heartbeat_rows.keep_raw`), in whichever transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec
import sqlalchemy as sa
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.config import Rules
from broadcast.telemetry import faults, heartbeat_rows, presence_rows
from broadcast.telemetry.arrival import Arrival
from broadcast.telemetry.fast_path import FastPath, PowerAndNetwork, power_and_network
from broadcast.telemetry.online_minutes import Reception
from broadcast.telemetry.presence import (
    PresenceThresholds,
    PresenceTransition,
    State,
    after_last_will,
    after_message,
    clamped,
)
from broadcast.telemetry.presence_rows import Held, Known, Row
from broadcast.wire.codec import encode
from broadcast.wire.events import Boot, Gone, Heartbeat

CLOCKS = Counter(
    "broadcast_clock_implausible", "Boots and heartbeats bearing a time that cannot be"
)

CLOCK_WRONG = "clock_wrong"
"""Fault that the server opens: the device trusts its clock, which cannot be right."""


def presence_thresholds(rules: Rules) -> PresenceThresholds:
    """The thresholds of presence, from the settings."""
    interval = timedelta(seconds=rules.heartbeat_seconds)
    return PresenceThresholds(
        silent=interval * rules.silent_after_intervals,
        offline=rules.offline_after,
        returning=rules.return_within,
    )


@dataclass(slots=True)
class _DeviceBatch:
    """The messages of one device in a batch, and the state to which they bring it."""

    messages: list[Boot | Heartbeat] = field(default_factory=list)
    """In the order in which they were sent."""
    gone: list[int] = field(default_factory=list)
    """Sessions whose last will came."""
    held: msgspec.Raw | None = None
    """`held` of the newest message, JSON."""
    before: Known | None = None
    """The stored state, if any."""
    state: State | None = None
    """Where the messages bring it."""
    transitions: list[PresenceTransition] = field(default_factory=list)
    clock_wrong: bool = False

    @property
    def is_changed(self) -> bool:
        """Tell whether the messages brought it to another state."""
        return self.before is None or self.state is not self.before.state


async def record(
    session: AsyncSession,
    boots: Sequence[Arrival[Boot]],
    beats: Sequence[Arrival[Heartbeat]],
    wills: Sequence[Arrival[Gone]],
    received_at: datetime,
    *,
    live: bool,
    thresholds: PresenceThresholds,
    fast_path: FastPath,
    columns: Mapping[str, str],
) -> None:
    """Store a batch: presence with its transitions, boots, receipts and online minutes.

    Args:
        session: Transaction of the batch.
        boots: First messages of connections.
        beats: Heartbeats.
        wills: Last wills.
        received_at: When the batch was taken from the broker.
        live: Nothing had been waiting at the broker, so `received_at` is when it was sent. Else
            a trusted clock of the device tells; it is not used otherwise, because one that is
            five minutes slow would make its device silent permanently.
        thresholds: Of presence.
        fast_path: Of the batches before, so that most devices need not be read.
        columns: `heartbeat_rows.columns` of the heartbeats.
    """
    reception = Reception(received_at)
    steps = fast_path.match(boots, beats, wills, reception, live=live)
    advanced: set[int] = set()
    if beats:
        advanced = await heartbeat_rows.advance(
            session, beats, columns, steps, reception, thresholds
        )
        fast_path.confirm(steps, advanced)
    slow = [beat for beat in beats if beat.device_id not in advanced]
    if boots or slow or wills:
        await _slow_path(session, boots, slow, wills, reception, live, thresholds, fast_path)
    if boots:
        await _keep_boots(session, boots, received_at)


# --- presence, the slow path -------------------------------------------------------------------


async def _slow_path(
    session: AsyncSession,
    boots: Sequence[Arrival[Boot]],
    beats: Sequence[Arrival[Heartbeat]],
    wills: Sequence[Arrival[Gone]],
    reception: Reception,
    live: bool,
    thresholds: PresenceThresholds,
    fast_path: FastPath,
) -> None:
    """Read the latest state of devices, apply their messages and write it."""
    batches = _by_device(boots, beats, wills)
    known = await presence_rows.lock(session, [Held(i, each.held) for i, each in batches.items()])
    for device_id, batch in batches.items():
        batch.before = known.get(device_id)
        _apply(batch, reception, live=live, thresholds=thresholds)
    await _keep_presence(session, batches, reception.at)
    await _keep_receipts(session, batches, reception.at)
    for device_id, batch in batches.items():
        # What changed nothing was not stored: the row may differ.
        stored = batch.state if batch.is_changed else None
        fast_path.remember(device_id, stored, batch.messages, clock_wrong=batch.clock_wrong)


def _by_device(
    boots: Sequence[Arrival[Boot]],
    beats: Sequence[Arrival[Heartbeat]],
    wills: Sequence[Arrival[Gone]],
) -> dict[int, _DeviceBatch]:
    batches: defaultdict[int, _DeviceBatch] = defaultdict(_DeviceBatch)
    for boot in boots:
        batches[boot.device_id].messages.append(boot.message)
    for beat in beats:
        batches[beat.device_id].messages.append(beat.message)
    for will in wills:
        batches[will.device_id].gone.append(will.message.session)
    for batch in batches.values():
        if len(batch.messages) > 1:
            batch.messages.sort(key=_order)
        if batch.messages:
            batch.held = msgspec.Raw(msgspec.json.encode(batch.messages[-1].held))
    return batches


def _order(message: Boot | Heartbeat) -> tuple[int, int]:
    return message.session, message.seq if isinstance(message, Heartbeat) else 0


def _apply(
    batch: _DeviceBatch,
    reception: Reception,
    *,
    live: bool,
    thresholds: PresenceThresholds,
) -> None:
    received_at, before = reception.at, batch.before
    state = clamped(before.state, received_at, thresholds) if before else None
    batch.clock_wrong = before.clock_wrong if before else False
    for message in batch.messages:
        trusted = message.clock.trusted
        at = received_at
        if not live:
            at = reception.happened_at(message.sent_at, trusted=trusted)
        cause = "heartbeat" if isinstance(message, Heartbeat) else "boot"
        state, transition = after_message(state, *_order(message), at, thresholds, cause)
        if transition is not None:
            batch.transitions.append(transition)
        batch.clock_wrong = trusted and not reception.is_plausible(message.sent_at)
        if batch.clock_wrong:
            CLOCKS.inc()
    for session in batch.gone:
        state = after_last_will(state, session, received_at, thresholds)
    batch.state = state


async def _keep_presence(
    session: AsyncSession, batches: Mapping[int, _DeviceBatch], received_at: datetime
) -> None:
    new: list[Row] = []
    changed: list[Row] = []
    transitions: list[tuple[int, PresenceTransition]] = []
    clocks: list[faults.Report] = []
    for device_id, batch in batches.items():
        if batch.state is None or not batch.is_changed:
            continue
        newest = batch.messages[-1] if batch.messages else None
        if newest is not None and _order(newest) != (batch.state.session, batch.state.seq):
            newest = None  # overtaken: what it holds has been replaced
        row = Row.of(
            device_id,
            batch.state,
            clock_wrong=batch.clock_wrong,
            held=None if newest is None else batch.held,
            reported=_NOT_REPORTED if newest is None else power_and_network(newest),
        )
        (changed if batch.before else new).append(row)
        transitions.extend((device_id, each) for each in batch.transitions)
        if batch.clock_wrong != (batch.before.clock_wrong if batch.before else False):
            clocks.append(
                faults.Report(
                    device_id, CLOCK_WRONG, batch.clock_wrong, received_at, _CLOCK_DETAIL
                )
            )
    await presence_rows.update(session, changed)
    inserted = await presence_rows.insert(session, new)
    await presence_rows.keep_transitions(
        session, [each for each in transitions if batches[each[0]].before or each[0] in inserted],
        received_at,
    )  # fmt: skip
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
    """Open the fault of devices whose clock something other than a heartbeat has proved wrong.

    The next heartbeat whose time can be true ends it.
    """
    if not device_ids:
        return
    rows = await session.execute(_CLOCK_IS_WRONG, {"ids": sorted(device_ids)})
    await faults.keep(
        session,
        [faults.Report(i, CLOCK_WRONG, True, at, _CLOCK_DETAIL) for i in rows.scalars()],
    )


_NOT_REPORTED = PowerAndNetwork(None, None)
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
    session: AsyncSession, batches: Mapping[int, _DeviceBatch], received_at: datetime
) -> None:
    new = sorted(
        {
            (device_id, document, revision)
            for device_id, batch in batches.items()
            for document, revision in _newly_held(batch)
        }
    )
    if new:
        await session.execute(
            _RECEIPTS,
            {
                "ids": [device_id for device_id, _, _ in new],
                "documents": [document for _, document, _ in new],
                "revisions": [revision for _, _, revision in new],
                "received_at": received_at,
            },
        )


def _newly_held(batch: _DeviceBatch) -> Iterable[tuple[str, int]]:
    if not batch.messages:
        return ()
    newest = batch.messages[-1].held
    stored: Mapping[str, int] = {}
    if batch.before is not None:
        stored = newest if batch.before.held is None else batch.before.held
        if stored is newest and len(batch.messages) == 1:
            return ()
    return (item for each in batch.messages for item in each.held.items() - stored.items())


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

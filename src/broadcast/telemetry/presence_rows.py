"""Read and write the latest state of devices, in bulk."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.devices.model import Device
from broadcast.kit.clock import LOCAL
from broadcast.telemetry.fast_path import PowerAndNetwork
from broadcast.telemetry.model import DevicePresence, Heartbeat, PresenceChange
from broadcast.telemetry.online_minutes import BEHIND
from broadcast.telemetry.presence import CLOCK_SET, Presence, PresenceTransition, State

TRANSITIONS = Counter("broadcast_presence_flips", "Changes of presence", ["presence", "cause"])


class Known(NamedTuple):
    """The stored state of a device."""

    state: State
    clock_wrong: bool
    held: dict[str, int] | None
    """Documents that it holds; None: those that the device reports now."""


class Row(msgspec.Struct):
    """The state to be stored of a device; where `held` is None, it, mains and operator stay."""

    device_id: int
    presence: Presence
    since: datetime
    session: int
    seq: int
    gone: bool
    last_seen_at: datetime
    silent_after: datetime
    clock_wrong: bool
    held: msgspec.Raw | None
    mains: bool | None
    operator: str | None

    @classmethod
    def of(
        cls,
        device_id: int,
        state: State,
        *,
        clock_wrong: bool,
        held: msgspec.Raw | None,
        reported: PowerAndNetwork,
    ) -> Row:
        """Row of a state."""
        return cls(
            device_id=device_id,
            presence=state.presence,
            since=state.since,
            session=state.session,
            seq=state.seq,
            gone=state.gone,
            last_seen_at=state.last_seen_at,
            silent_after=state.silent_after,
            clock_wrong=clock_wrong,
            held=held,
            mains=reported.mains,
            operator=reported.operator,
        )


class Held(msgspec.Struct):
    """Documents that a device reports to hold, JSON; None when it did not report any."""

    device_id: int
    held: msgspec.Raw | None


def as_json(rows: Sequence[msgspec.Struct]) -> str:
    """Rows as one parameter of a statement, for `json_to_recordset`.

    The driver spends four times as long on arrays, one for each column.
    """
    return msgspec.json.encode(rows).decode()


def newest_heartbeat() -> sa.Select[dict[str, Any]]:
    """Query of the body of the newest heartbeat of a row of `device_presence`, if it is kept."""
    last_seen_on = sa.cast(sa.func.timezone(LOCAL.key, DevicePresence.last_seen_at), sa.Date)
    return (
        sa.select(Heartbeat.body)
        .where(
            # Not sent after it was received, nor longer before than is believed; a day earlier for
            # two workers at midnight.
            Heartbeat.received_on.between(last_seen_on - 1, last_seen_on + BEHIND.days),
            # A box that lost count uses a session number again, whose raw rows are the old ones.
            Heartbeat.received_at >= DevicePresence.last_seen_at - CLOCK_SET,
            Heartbeat.device_id == DevicePresence.device_id,
            Heartbeat.session == DevicePresence.session,
            Heartbeat.seq == DevicePresence.seq,
        )
        .limit(1)
        .correlate(DevicePresence)
    )


def select_latest() -> sa.Select[Device, DevicePresence, dict[str, Any]]:
    """Query of devices with their presence, if any, and their newest heartbeat, if it is kept."""
    newest = newest_heartbeat().scalar_subquery()
    return sa.select(Device, DevicePresence, newest).outerjoin(
        DevicePresence, DevicePresence.device_id == Device.id
    )


def select_in_use(
    presence: Presence | None,
) -> sa.Select[Device, DevicePresence, dict[str, Any]]:
    """`select_latest` of devices in use, of one presence where it is given."""
    statement = select_latest().where(Device.retired_at.is_(None))
    if presence is Presence.NEVER_SEEN:
        return statement.where(DevicePresence.device_id.is_(None))
    if presence is not None:
        return statement.where(DevicePresence.presence == presence)
    return statement


def select_changes(device_id: int) -> sa.Select[PresenceChange]:
    """Query of the changes of presence of a device."""
    return sa.select(PresenceChange).where(PresenceChange.device_id == device_id)


_LOCK = sa.text("""
    SELECT p.device_id, p.presence, p.since, p.session, p.seq, p.gone, p.last_seen_at,
           p.silent_after, p.clock_wrong,
           CASE WHEN n.held IS NULL OR p.held = n.held THEN NULL ELSE p.held::text END AS held
    FROM json_to_recordset(CAST(:rows AS json)) AS n (device_id integer, held jsonb)
    JOIN device_presence AS p ON p.device_id = n.device_id
    ORDER BY p.device_id
    FOR UPDATE OF p
""")


async def lock(session: AsyncSession, held: Sequence[Held]) -> dict[int, Known]:
    """Rows of these devices, locked in the order of their ids, so that no two writers deadlock."""
    rows = await session.execute(_LOCK, {"rows": as_json(held)})
    return {
        row.device_id: Known(
            state_of(row),
            row.clock_wrong,
            None if row.held is None else msgspec.json.decode(row.held),
        )
        for row in rows
    }


def state_of(row: sa.Row[Any]) -> State:
    """State of a row that has its columns."""
    return State(
        presence=Presence(row.presence),
        since=row.since,
        session=row.session,
        seq=row.seq,
        gone=row.gone,
        last_seen_at=row.last_seen_at,
        silent_after=row.silent_after,
    )


_ROWS = """
    json_to_recordset(CAST(:rows AS json)) AS n (
        device_id integer, presence text, since timestamptz, session bigint, seq bigint,
        gone boolean, last_seen_at timestamptz, silent_after timestamptz, clock_wrong boolean,
        held jsonb, mains boolean, operator text
    )
"""

_UPDATE = sa.text(f"""
    UPDATE device_presence AS p
    SET presence = n.presence, since = n.since, session = n.session, seq = n.seq, gone = n.gone,
        last_seen_at = n.last_seen_at, silent_after = n.silent_after,
        clock_wrong = n.clock_wrong, held = COALESCE(n.held, p.held),
        held_seq = CASE WHEN n.held IS NULL THEN p.held_seq ELSE n.seq END,
        mains = CASE WHEN n.held IS NULL THEN p.mains ELSE n.mains END,
        operator = CASE WHEN n.held IS NULL THEN p.operator ELSE n.operator END
    FROM {_ROWS}
    WHERE p.device_id = n.device_id
""")  # noqa: S608 — a constant of this module

_INSERT = sa.text(f"""
    INSERT INTO device_presence (device_id, presence, since, session, seq, gone, last_seen_at,
                                 silent_after, clock_wrong, held, held_seq, mains,
                                 operator)
    SELECT device_id, presence, since, session, seq, gone, last_seen_at, silent_after,
           clock_wrong, COALESCE(held, '{{}}'), seq, mains, operator
    FROM {_ROWS}
    ORDER BY device_id
    ON CONFLICT DO NOTHING
    RETURNING device_id
""")  # noqa: S608 — a constant of this module


async def update(session: AsyncSession, rows: Sequence[Row]) -> None:
    """Rewrite rows that `lock` has returned."""
    if rows:
        await session.execute(_UPDATE, {"rows": as_json(rows)})


async def insert(session: AsyncSession, rows: Sequence[Row]) -> set[int]:
    """Insert first rows of devices.

    Returns:
        The devices that had none. Where another worker was faster, its row stands.
    """
    if not rows:
        return set()
    return set((await session.execute(_INSERT, {"rows": as_json(rows)})).scalars())


_FLIPS = sa.text("""
    INSERT INTO presence_changes (device_id, presence, happened_at, recorded_at, cause)
    SELECT device_id, presence, happened_at, :recorded_at, cause
    FROM unnest(CAST(:ids AS integer[]), CAST(:presence AS text[]),
                CAST(:happened_at AS timestamptz[]), CAST(:cause AS text[]))
        WITH ORDINALITY AS n (device_id, presence, happened_at, cause, place)
    ORDER BY place
""")


async def keep_transitions(
    session: AsyncSession,
    transitions: Iterable[tuple[int, PresenceTransition]],
    recorded_at: datetime,
) -> None:
    """Append transitions, each device's in the order in which they happened."""
    transitions = list(transitions)
    if not transitions:
        return
    await session.execute(
        _FLIPS,
        {
            "ids": [device_id for device_id, _ in transitions],
            "presence": [transition.presence.value for _, transition in transitions],
            "happened_at": [transition.happened_at for _, transition in transitions],
            "cause": [transition.cause for _, transition in transitions],
            "recorded_at": recorded_at,
        },
    )
    for (presence, cause), count in Tally(
        (f.presence.value, f.cause) for _, f in transitions
    ).items():
        TRANSITIONS.labels(presence, cause).inc(count)

"""Faults of devices, from their opening to their end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.devices.model import Device
from broadcast.telemetry.model import Fault

FAULTS = Counter("broadcast_faults", "Reports of faults", ["kind", "report"])


class Report(NamedTuple):
    """A fault is open, or no longer."""

    device_id: int
    kind: str
    open: bool
    at: datetime
    """When, by the better of two clocks."""
    detail: str = ""


_OPEN = sa.text("""
    INSERT INTO faults (device_id, kind, opened_at, closed_at, detail)
    SELECT n.device_id, n.kind, n.at, e.at, n.detail
    FROM unnest(CAST(:ids AS integer[]), CAST(:kinds AS text[]), CAST(:at AS timestamptz[]),
                CAST(:details AS text[])) AS n (device_id, kind, at, detail)
    LEFT JOIN fault_ends AS e
        ON e.device_id = n.device_id AND e.kind = n.kind AND e.at > n.at
    WHERE NOT EXISTS (
        SELECT FROM faults AS f
        WHERE f.device_id = n.device_id AND f.kind = n.kind
          AND n.at >= f.opened_at AND (f.closed_at IS NULL OR n.at < f.closed_at)
    )
    ORDER BY n.device_id
    ON CONFLICT DO NOTHING
""")

_CLOSE = sa.text("""
    WITH n AS (
        SELECT * FROM unnest(
            CAST(:ids AS integer[]), CAST(:kinds AS text[]), CAST(:at AS timestamptz[])
        ) AS n (device_id, kind, at)
    ),
    told AS (
        INSERT INTO fault_ends AS e (device_id, kind, at)
        SELECT device_id, kind, at FROM n ORDER BY device_id, kind
        ON CONFLICT (device_id, kind) DO UPDATE SET at = excluded.at WHERE e.at < excluded.at
    )
    UPDATE faults AS f
    SET closed_at = n.at
    FROM n
    WHERE f.device_id = n.device_id AND f.kind = n.kind
      AND f.closed_at IS NULL AND f.opened_at <= n.at
""")


async def keep(session: AsyncSession, reports: Sequence[Report]) -> None:
    """Open and close faults as reported.

    A report that comes again changes nothing: an opening that falls into a known fault is that
    fault's, also when it has been closed since. An opening that its end has overtaken is over.
    """
    waiting: dict[tuple[int, str], list[Report]] = {}
    for report in sorted(reports, key=lambda report: report.at):
        waiting.setdefault((report.device_id, report.kind), []).append(report)
        FAULTS.labels(report.kind, "open" if report.open else "closed").inc()
    while waiting:
        # One report of each fault a round: a statement sees no row that it wrote itself.
        turn = [queue.pop(0) for queue in waiting.values()]
        waiting = {key: queue for key, queue in waiting.items() if queue}
        opened = [report for report in turn if report.open]
        closed = [report for report in turn if not report.open]
        if opened:
            await session.execute(
                _OPEN, {**_keys(opened), "details": [report.detail for report in opened]}
            )
        if closed:
            await session.execute(_CLOSE, _keys(closed))


_END = sa.text("""
    UPDATE faults SET closed_at = GREATEST(opened_at, :at)
    WHERE kind = :kind AND closed_at IS NULL
""")


async def end(session: AsyncSession, kind: str, at: datetime) -> None:
    """Close all open faults of a kind."""
    await session.execute(_END, {"kind": kind, "at": at})


def select_faults(
    device_code: str | None, kind: str | None, *, closed: bool
) -> sa.Select[Fault, str]:
    """Query of faults with the codes of their devices.

    Args:
        device_code: Of this device only.
        kind: Of this kind only.
        closed: Closed faults too.
    """
    statement = sa.select(Fault, Device.code).join(Device, Device.id == Fault.device_id)
    if device_code is not None:
        statement = statement.where(Device.code == device_code)
    if kind is not None:
        statement = statement.where(Fault.kind == kind)
    if not closed:
        statement = statement.where(Fault.closed_at.is_(None))
    return statement


def _keys(reports: Sequence[Report]) -> dict[str, list[object]]:
    return {
        "ids": [report.device_id for report in reports],
        "kinds": [report.kind for report in reports],
        "at": [report.at for report in reports],
    }

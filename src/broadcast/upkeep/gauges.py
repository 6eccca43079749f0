"""Metrics of the whole installation, set by the leader once a minute."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from prometheus_client import Gauge
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.config import Settings
from broadcast.kit.clock import LOCAL
from broadcast.plays.closer import OVERDUE
from broadcast.telemetry.presence import Presence
from broadcast.upkeep.checks import Name
from broadcast.upkeep.report import Report

PARTITIONS_AHEAD = Gauge(
    "broadcast_partitions_ahead", "Partitions that begin after today", ["table"]
)
PARTITION_OLDEST = Gauge(
    "broadcast_partition_oldest_days", "Age of the oldest partition, in days", ["table"]
)
PARTITION_BYTES = Gauge(
    "broadcast_partitions_bytes", "Size of all partitions, indexes included", ["table"]
)
DATABASE = Gauge("broadcast_database_bytes", "Size of the database")
FREE = Gauge(
    "broadcast_disk_free_bytes", "Free room; no sample where nobody can know it", ["place"]
)
ALARM = Gauge("broadcast_upkeep_alarm", "1 while somebody has to act", ["check"])
PRESENCE = Gauge("broadcast_devices", "Devices in use by presence", ["presence"])
OUTBOX_AGE = Gauge(
    "broadcast_outbox_oldest_seconds", "Age of the oldest document the broker has not confirmed"
)
PREPARATIONS_WAITING = Gauge(
    "broadcast_preparations_waiting", "Recordings and texts that wait to be prepared"
)
PREPARATION_AGE = Gauge(
    "broadcast_preparations_oldest_seconds",
    "How long the oldest recording or text waits to be prepared, while nobody does it",
)
UNEXPLAINED = Gauge(
    "broadcast_plays_unexplained", "Plays of the last 24 hours missed without an explanation"
)
FAULTS_OPEN = Gauge("broadcast_faults_open", "Faults that have not ended", ["kind"])
CLASHES = Gauge(
    "broadcast_clashes_coming", "Coming occurrences that meet one of equal priority at a cluster"
)
HEARD = Gauge("broadcast_heard_timestamp", "Unix time at which any device was last heard")

_PRESENCE = sa.text("""
    SELECT COALESCE(p.presence, 'never_seen'), count(*)
    FROM devices AS d LEFT JOIN device_presence AS p ON p.device_id = d.id
    WHERE d.retired_at IS NULL
    GROUP BY 1
""")
_FAULTS = sa.text("SELECT kind, count(*) FROM faults WHERE closed_at IS NULL GROUP BY kind")
_UNEXPLAINED = sa.text("""
    SELECT count(*) FROM plays
    WHERE starts_at BETWEEN :since AND :now AND state = 'missed' AND reason = 'unexplained'
""")
_OUTBOX = sa.text("SELECT min(issued_at) FROM documents WHERE published_revision < revision")
_PREPARATIONS = sa.text("""
    SELECT count(*), min(due_at) FROM preparations
    WHERE state = 'waiting' OR (state = 'running' AND locked_until <= :now)
""")
_HEARD = sa.text("SELECT max(last_seen_at) FROM device_presence")


async def measure(session: AsyncSession, settings: Settings, now: datetime) -> None:
    """Set the gauges that need nothing but rows."""
    for presence in Presence:
        PRESENCE.labels(presence.value).set(0)
    for name, count in await session.execute(_PRESENCE):
        PRESENCE.labels(name).set(count)
    FAULTS_OPEN.clear()
    for kind, count in await session.execute(_FAULTS):
        FAULTS_OPEN.labels(kind).set(count)
    parameters = {"since": now - timedelta(days=1), "now": now}
    UNEXPLAINED.set(await session.scalar(_UNEXPLAINED, parameters) or 0)
    since = await session.scalar(_OUTBOX)
    OUTBOX_AGE.set(0 if since is None else max(0.0, (now - since).total_seconds()))
    waiting, due_at = (await session.execute(_PREPARATIONS, {"now": now})).one()
    PREPARATIONS_WAITING.set(waiting)
    PREPARATION_AGE.set(0 if due_at is None else max(0.0, (now - due_at).total_seconds()))
    heard_at = await session.scalar(_HEARD)
    if heard_at is not None:
        HEARD.set(heard_at.timestamp())


def show(report: Report) -> None:
    """Set the gauges of the store."""
    today = report.at.astimezone(LOCAL).date()
    for view in report.partitions:
        PARTITIONS_AHEAD.labels(view.table).set(view.ahead)
        PARTITION_BYTES.labels(view.table).set(view.size_bytes)
        if view.oldest is not None:
            PARTITION_OLDEST.labels(view.table).set((today - view.oldest).days)
    DATABASE.set(report.database_bytes)
    FREE.clear()
    for room in report.rooms:
        if room.free_bytes is not None:
            FREE.labels(room.place).set(room.free_bytes)
    raised = {check.name for check in report.alarms}
    for name in Name:
        ALARM.labels(name.value).set(name in raised)


def forget() -> None:
    """Another process leads from now on: what we last saw must not be taken for the present."""
    for labelled in (
        PARTITIONS_AHEAD, PARTITION_OLDEST, PARTITION_BYTES, FREE, ALARM, PRESENCE, FAULTS_OPEN,
    ):  # fmt: skip
        labelled.clear()
    for single in (
        DATABASE, OUTBOX_AGE, PREPARATIONS_WAITING, PREPARATION_AGE, OVERDUE, UNEXPLAINED, HEARD,
        CLASHES,
    ):  # fmt: skip
        single.set(0)

"""Self-tests of devices, near the plays that they are evidence of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.plays.settle import SELF_TEST_COUNTS, Report, SelfTest
from broadcast.plays.silence import Key
from broadcast.telemetry.arrival import Arrival
from broadcast.wire.events import CommandResult

_NEAR = sa.text("""
    SELECT n.occurrence_id, n.cluster_id, c.device_id, c.sent_at, c.result = 'done' AS heard
    FROM unnest(CAST(:occurrences AS uuid[]), CAST(:clusters AS integer[]),
                CAST(:devices AS integer[]), CAST(:since AS timestamptz[]),
                CAST(:until AS timestamptz[]))
        AS n (occurrence_id, cluster_id, device_id, since, until)
    JOIN command_results AS c ON c.device_id = n.device_id AND c.kind = 'self_test'
        AND c.sent_at BETWEEN n.since AND n.until
        AND (c.result = 'failed' OR c.result = 'done' AND c.heard <> '')
    WHERE EXISTS (
        SELECT FROM installations AS i
        WHERE i.device_id = c.device_id AND i.cluster_id = n.cluster_id
          AND i.installed_at <= c.sent_at AND (i.removed_at IS NULL OR i.removed_at > c.sent_at)
    )
""")
"""A test counts for the cluster on which the device was installed then. One that is done and heard
by nothing comes from a box that cannot tell."""


async def read_near(
    session: AsyncSession, reports: Mapping[Key, Sequence[Report]]
) -> dict[Key, list[SelfTest]]:
    """Read self-tests of the devices that sounded these plays, near their reports."""
    spans = {
        (key, device_id): (min(at) - SELF_TEST_COUNTS, max(at) + SELF_TEST_COUNTS)
        for key, records in reports.items()
        for device_id, at in _sounded(records).items()
    }
    if not spans:
        return {}
    found: defaultdict[Key, list[SelfTest]] = defaultdict(list)
    rows = await session.execute(
        _NEAR,
        {
            "occurrences": [key[0] for key, _ in spans],
            "clusters": [key[1] for key, _ in spans],
            "devices": [device_id for _, device_id in spans],
            "since": [since for since, _ in spans.values()],
            "until": [until for _, until in spans.values()],
        },
    )
    for row in rows:
        test = SelfTest(device_id=row.device_id, at=row.sent_at, heard=row.heard)
        found[row.occurrence_id, row.cluster_id].append(test)
    return found


def _sounded(records: Sequence[Report]) -> dict[int, list[datetime]]:
    """Device → moments of its records of sound."""
    moments: defaultdict[int, list[datetime]] = defaultdict(list)
    for report in records:
        if report.event != "skipped":
            moments[report.device_id].append(report.at)
    return moments


LATEST_START = timedelta(days=1)
"""Time after its planned start within which an item may begin: the contract's upper bound."""

_TOUCHED = sa.text("""
    SELECT DISTINCT p.occurrence_id, p.cluster_id
    FROM unnest(CAST(:ids AS integer[]), CAST(:commands AS text[])) AS n (device_id, command_id)
    JOIN command_results AS c USING (device_id, command_id)
    JOIN installations AS i ON i.device_id = c.device_id
        AND i.installed_at <= c.sent_at AND (i.removed_at IS NULL OR i.removed_at > c.sent_at)
    JOIN plays AS p ON p.cluster_id = i.cluster_id
        AND p.starts_at BETWEEN c.sent_at - CAST(:before AS interval)
                            AND c.sent_at + CAST(:after AS interval)
        AND p.evidence IN ('device', 'self_test')
    WHERE c.kind = 'self_test'
""")


async def touched(session: AsyncSession, arrivals: Sequence[Arrival[CommandResult]]) -> list[Key]:
    """Find the plays of which self-tests that have just been stored may be evidence."""
    tests = [arrival for arrival in arrivals if arrival.message.kind == "self_test"]
    if not tests:
        return []
    rows = await session.execute(
        _TOUCHED,
        {
            "ids": [test.device_id for test in tests],
            "commands": [test.message.command_id for test in tests],
            "before": SELF_TEST_COUNTS + LATEST_START,
            "after": SELF_TEST_COUNTS,
        },
    )
    return [(row.occurrence_id, row.cluster_id) for row in rows]

"""Which partitions must exist, have had their time, or are closed. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date, timedelta
from typing import NamedTuple

GRACE = timedelta(days=2)
"""An expired partition may stay so long before that is an alarm: locks, a stopped server."""

WANTED = timedelta(days=2)
"""Partitions up to here must exist; missing ones further ahead are still being made."""


class Partition(NamedTuple):
    """A partition: its table, its name, and the days that it holds: [first, end)."""

    table: str
    name: str
    first: date
    end: date
    size_bytes: int = 0
    packed: bool = False


def missing(existing: Collection[str], due: Iterable[tuple[str, str]]) -> list[str]:
    """Names of the partitions that are due and do not exist.

    Args:
        existing: Names of those that do.
        due: Table and name of those that must.

    >>> missing({"plays_202507"}, [("plays", "plays_202507"), ("plays", "plays_202508")])
    ['plays_202508']
    """
    return [name for _, name in due if name not in existing]


def expired(
    partitions: Iterable[Partition], keep: Mapping[str, int], today: date
) -> list[Partition]:
    """Partitions whose last day is more than `keep[table]` days ago, oldest first.

    A table that `keep` does not name is kept permanently.

    >>> day = Partition("heartbeats", "heartbeats_20250601", date(2025, 6, 1), date(2025, 6, 2))
    >>> len(expired([day], {"heartbeats": 30}, date(2025, 7, 1)))
    0
    >>> len(expired([day], {"heartbeats": 30}, date(2025, 7, 2)))
    1
    """
    return sorted(
        (
            partition
            for partition in partitions
            if partition.table in keep
            and partition.end + timedelta(days=keep[partition.table]) <= today
        ),
        key=lambda partition: partition.first,
    )


def closed(
    partitions: Iterable[Partition], table: str, late: timedelta, today: date
) -> list[Partition]:
    """Partitions of a table that nothing is written to any more and that are not packed yet.

    Args:
        partitions: Those that exist.
        table: Whose.
        late: How long after its end a row may still change.
        today: Local day.

    >>> month = Partition("online_minutes", "m", date(2025, 6, 1), date(2025, 7, 1))
    >>> week = timedelta(days=7)
    >>> [len(closed([month], "online_minutes", week, date(2025, 7, d))) for d in (8, 9)]
    [0, 1]
    """
    return [
        partition
        for partition in partitions
        if partition.table == table and not partition.packed and partition.end + late < today
    ]

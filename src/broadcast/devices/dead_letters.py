"""What came from the broker and could not be taken, with the reason; the stream goes on."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

import sqlalchemy as sa
import structlog
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncSession

log = structlog.get_logger()

LETTERS = Counter("broadcast_dead_letters", "Messages that could not be taken", ["why"])
UNKEPT = Counter("broadcast_dead_letters_unkept", "Dead letters counted but not kept: a flood")

KEPT_BYTES = 4096
KEPT_PER_MINUTE = 5000
KEPT_PER_DEVICE_AND_MINUTE = 1000
"""A single device must not fill the disk, nor hide what others sent; a fleet with bad firmware
fits in. What is above is counted and logged, not kept."""


class Why(StrEnum):
    """Kinds of dead letters: the label of the metric."""

    TOPIC = "topic"
    KIND = "kind"
    RETAINED = "retained"
    TOO_LARGE = "too_large"
    MALFORMED = "malformed"
    UNKNOWN_DEVICE = "unknown_device"
    JOURNAL_CONFLICT = "journal_conflict"
    UNSTORABLE = "unstorable"


class Letter(NamedTuple):
    """A message that could not be taken."""

    why: Why
    topic: str
    device_code: str | None
    payload: bytes
    reason: str
    field: str = "$"


class Budget:
    """How many letters may still be kept in the running minute."""

    def __init__(self) -> None:
        self._ends_at: datetime | None = None
        self._kept: Tally[str | None] = Tally()

    def admit(self, letters: Sequence[Letter], now: datetime) -> list[Letter]:
        """Those of the letters that are to be kept."""
        if self._ends_at is None or now >= self._ends_at:
            self._ends_at = now + timedelta(minutes=1)
            self._kept.clear()
        total = self._kept.total()  # a sum over devices, whose number a flood decides
        admitted = []
        for letter in letters:
            of_device = self._kept[letter.device_code]
            if total < KEPT_PER_MINUTE and of_device < KEPT_PER_DEVICE_AND_MINUTE:
                self._kept[letter.device_code] += 1
                total += 1
                admitted.append(letter)
        return admitted


def count(letters: Sequence[Letter]) -> None:
    """Count letters whose batch is committed; one that is tried again counts once."""
    for why, times in Tally(letter.why for letter in letters).items():
        LETTERS.labels(why.value).inc(times)


_KEEP = sa.text("""
    INSERT INTO dead_letters (received_at, topic, device_code, size_bytes, payload, field, reason)
    SELECT :received_at, topic, device_code, size_bytes, payload, field, reason
    FROM unnest(CAST(:topics AS text[]), CAST(:codes AS text[]), CAST(:sizes AS integer[]),
                CAST(:payloads AS bytea[]), CAST(:fields AS text[]), CAST(:reasons AS text[]))
        AS n (topic, device_code, size_bytes, payload, field, reason)
""")


async def keep(
    session: AsyncSession, letters: Sequence[Letter], received_at: datetime, budget: Budget
) -> None:
    """Store letters in the transaction of the batch that they came with."""
    kept = budget.admit(letters, received_at)
    if len(kept) < len(letters):
        UNKEPT.inc(len(letters) - len(kept))
        log.warning("devices.dead_letters.unkept", count=len(letters) - len(kept))
    if kept:
        await session.execute(
            _KEEP,
            {
                "received_at": received_at,
                "topics": [_text(letter.topic) for letter in kept],
                "codes": [letter.device_code for letter in kept],
                "sizes": [len(letter.payload) for letter in kept],
                "payloads": [letter.payload[:KEPT_BYTES] for letter in kept],
                "fields": [_text(letter.field) for letter in kept],
                "reasons": [_text(letter.reason) for letter in kept],
            },
        )


def _text(hostile: str) -> str:
    """Text that PostgreSQL stores: no NUL, no half of a surrogate pair, not without end."""
    return (
        hostile[:500]
        .replace("\0", "\N{REPLACEMENT CHARACTER}")
        .encode("utf-8", "replace")
        .decode()
    )

"""Dead letters: messages from the broker that could not be taken, kept with the reason.

Of each sender the first ones of an hour are kept, the others are counted on the last of these:
neither can a device fill the disk nor hide what others sent.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Container, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

import sqlalchemy as sa
import structlog
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.telemetry.arrival import BrokerMessage
from broadcast.telemetry.model import DeadLetterRow

log = structlog.get_logger()

LETTERS = Counter("broadcast_dead_letters", "Messages that could not be taken", ["why"])
UNKEPT = Counter("broadcast_dead_letters_unkept", "Dead letters counted but not kept")

KEPT_BYTES = 4096
KEPT_EACH = 20
"""Letters of one sender that are kept in an hour, the first ones; the rest is counted on the last
of them. A sender comes to 100 kB an hour, 2.5 MB a day."""
KEPT_TOTAL_BYTES = 16 * 2**20
"""Of all devices in an hour. Beyond it only the first letter of each enrolled device is kept."""
KEPT_STRANGERS = 500
"""Letters of senders that are not enrolled, in an hour: they may make up any number of names."""
WINDOW = timedelta(hours=1)


class RejectReason(StrEnum):
    """Reasons why a message could not be taken: the label of the metric."""

    TOPIC = "topic"
    KIND = "kind"
    RETAINED = "retained"
    EMPTY = "empty"
    TOO_LARGE = "too_large"
    MALFORMED = "malformed"
    UNKNOWN_DEVICE = "unknown_device"
    JOURNAL_CONFLICT = "journal_conflict"
    UNSTORABLE = "unstorable"
    UNREADABLE = "unreadable"


class DeadLetter(NamedTuple):
    """A message that could not be taken."""

    reject_reason: RejectReason
    topic: str
    device_code: str | None
    payload: bytes
    reason: str
    """In words."""
    field: str = "$"
    source: BrokerMessage | None = None
    """To be acknowledged when the letter is committed."""

    @property
    def sender(self) -> str:
        """Device code of the topic; empty where that names none."""
        return self.device_code or ""

    @property
    def size(self) -> int:
        """Bytes that it takes when it is kept, about."""
        return min(len(self.payload), KEPT_BYTES) + len(self.topic[:500]) + len(self.reason[:500])


class Plan(NamedTuple):
    """Which letters of a batch are kept and which are only counted."""

    kept: list[DeadLetter]
    more: Tally[str]
    """Letters that are only counted, by sender."""


class Budget:
    """Letters kept in the running hour, and so how many may still be.

    Args:
        enrolled: Devices known to be enrolled.
    """

    def __init__(self, enrolled: Container[str]) -> None:
        self._enrolled = enrolled
        self._begin(None)

    def _begin(self, ends_at: datetime | None) -> None:
        self._ends_at = ends_at
        self._kept: Tally[str] = Tally()
        self._bytes = self._strangers = 0
        self._rows: dict[str, int] = {}
        """Sender → row of the letter kept last."""

    def plan(self, letters: Sequence[DeadLetter], now: datetime) -> Plan:
        """Decide about a batch; nothing is spent before it is committed."""
        if self._ends_at is None or now >= self._ends_at:
            self._begin(now + WINDOW)
        plan = Plan([], Tally())
        coming: Tally[str] = Tally()
        size, strangers = self._bytes, self._strangers
        for letter in letters:
            sender = letter.sender
            before = self._kept[sender] + coming[sender]
            enrolled = sender in self._enrolled
            room = size < KEPT_TOTAL_BYTES if enrolled else strangers < KEPT_STRANGERS
            if before < KEPT_EACH and (room or (enrolled and not before)):
                coming[sender] += 1
                size += letter.size
                strangers += not enrolled
                plan.kept.append(letter)
            else:
                plan.more[sender] += 1
        return plan

    def spend(self, plan: Plan, rows: Mapping[str, int]) -> None:
        """Take note of what has been stored, and of the row of each sender's last letter."""
        for letter in plan.kept:
            self._kept[letter.sender] += 1
            self._bytes += letter.size
            self._strangers += letter.sender not in self._enrolled
        self._rows.update(rows)

    def rows(self, plan: Plan, new: Mapping[str, int]) -> dict[int, int]:
        """Return how many letters are to be counted, by the stored letter that counts them.

        Args:
            plan: The batch.
            new: Sender → row of the last letter that the batch has made.
        """
        rows = {**self._rows, **new}
        return {rows[sender]: count for sender, count in plan.more.items() if sender in rows}


def count(letters: Sequence[DeadLetter]) -> None:
    """Count letters whose batch is committed; one that is tried again counts once."""
    for reason, times in Tally(letter.reject_reason for letter in letters).items():
        LETTERS.labels(reason.value).inc(times)


_KEEP = sa.text("""
    INSERT INTO dead_letters (received_at, topic, device_code, size_bytes, payload, field, reason,
                              reject_reason)
    SELECT :received_at, topic, device_code, size_bytes, payload, field, reason, reject_reason
    FROM unnest(CAST(:topics AS text[]), CAST(:codes AS text[]), CAST(:sizes AS integer[]),
                CAST(:payloads AS bytea[]), CAST(:fields AS text[]), CAST(:reasons AS text[]),
                CAST(:reject_reasons AS text[]))
        AS n (topic, device_code, size_bytes, payload, field, reason, reject_reason)
    RETURNING COALESCE(device_code, ''), id
""")

_COUNT = sa.text("""
    UPDATE dead_letters AS d SET more = d.more + n.count
    FROM unnest(CAST(:ids AS bigint[]), CAST(:counts AS integer[])) AS n (id, count)
    WHERE d.id = n.id
""")


async def keep(
    session: AsyncSession, letters: Sequence[DeadLetter], received_at: datetime, budget: Budget
) -> Callable[[], None]:
    """Store letters in the transaction of the batch that they came with.

    Returns:
        To be called when it is committed: only then is anything of the budget spent.
    """
    plan = budget.plan(letters, received_at)
    rows: dict[str, int] = {}
    if plan.kept:
        kept = plan.kept
        stored = await session.execute(
            _KEEP,
            {
                "received_at": received_at,
                "topics": [_text(letter.topic) for letter in kept],
                "codes": [letter.device_code for letter in kept],
                "sizes": [len(letter.payload) for letter in kept],
                "payloads": [letter.payload[:KEPT_BYTES] for letter in kept],
                "fields": [_text(letter.field) for letter in kept],
                "reasons": [_text(letter.reason) for letter in kept],
                "reject_reasons": [letter.reject_reason.value for letter in kept],
            },
        )
        for sender, row in stored:
            rows[sender] = max(row, rows.get(sender, 0))
    if counts := budget.rows(plan, rows):
        await session.execute(_COUNT, {"ids": list(counts), "counts": list(counts.values())})

    def committed() -> None:
        budget.spend(plan, rows)
        if unkept := plan.more.total():
            UNKEPT.inc(unkept)
            log.warning("devices.dead_letters.unkept", count=unkept, senders=len(plan.more))

    return committed


def select_letters(device_code: str | None) -> sa.Select[DeadLetterRow]:
    """Query of stored letters, of one device where it is given."""
    statement = sa.select(DeadLetterRow)
    if device_code is not None:
        statement = statement.where(DeadLetterRow.device_code == device_code)
    return statement


def _text(hostile: str) -> str:
    """Text that PostgreSQL stores: no NUL, no half of a surrogate pair, not without end."""
    return (
        hostile[:500]
        .replace("\0", "\N{REPLACEMENT CHARACTER}")
        .encode("utf-8", "replace")
        .decode()
    )

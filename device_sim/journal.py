"""Data that a device keeps on flash, written one atomic change at a time.

A player decides on its own copy of this memory and hands out every change as a `Persist` effect;
the box applies the same change to flash. Power may go between any two changes, never within one.
So whatever must hold together (a sound has ended, and it must not sound again) is one change.
"""

from __future__ import annotations

from collections import deque
from datetime import date, datetime
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from broadcast.wire.events import Record, Session
from broadcast.wire.fields import Wire

JOURNAL_LIMIT = 20_000
"""Unconfirmed records above which no scheduled item starts any more: it could not be proved.

No record is ever dropped unconfirmed. What passes meanwhile is written as skipped, one record
each, so flash must hold a few more; alerts sound and are recorded all the same."""

COMMANDS_KEPT = 100
"""Command ids remembered, so that a repetition is not obeyed again."""

CONNECTIONS_PER_BOOT = 2**16

FaultKind = Literal["storage_full", "storage_error", "clock_untrusted", "bad_content"]
"""Faults this device can find in itself."""

V = TypeVar("V", bytes, int)


class Progress(Wire, frozen=True):
    """Progress of a sound that has started; kept until nothing of it may sound again."""

    sounding: bool
    at: datetime
    """Device time at `position`."""
    ends_by: datetime
    position: float
    """Seconds into the audio: the last checkpoint while sounding, otherwise where it goes on."""
    heard: float
    """Seconds of the audio that have sounded, up to `position`."""
    least: float = 0.0
    """Seconds that had sounded before it was begun again; what sounds twice counts once."""
    relayed: float | None = None
    """Of `heard`: from a stream. None: it is no relay."""
    streaming: bool = False
    """The stream sounds, and `position` is where its fallback would go on."""
    seconds: float | None = None
    """Length of the audio; None for a stream without a fallback."""
    sha256: str | None = None
    restart: bool = False
    """It was pre-empted and is to begin again: `on_preempt: restart`, or nothing was heard yet."""

    @property
    def played(self) -> float:
        """Distinct seconds of the audio that have sounded, over all starts."""
        return max(self.heard, self.least)


class Airtime(Wire, frozen=True):
    """Sound of one local day, from any source."""

    on: date
    seconds: float


class Change(Wire, frozen=True, kw_only=True):
    """One atomic write. Fields that are not given stay as they are."""

    journal_id: str | None = None
    boots: int | None = None
    documents: dict[str, bytes] = {}
    """`{scope}/{kind}` → signed document; empty bytes remove it."""
    records: list[Record] = []
    """Appended to the journal."""
    confirmed: int | None = None
    """The server has the records up to and including this one."""
    started: dict[str, Progress] = {}
    settled: dict[str, datetime] = {}
    """Occurrence → `ends_by`: never to start again. Ends its `started` entry."""
    skipped: dict[str, datetime] = {}
    """Occurrence → its latest start, which had passed before it could sound."""
    forget_before: datetime | None = None
    """Forget occurrences settled or skipped whose time is older."""
    content: dict[str, int] = {}
    """SHA-256 → size of a stored file; 0 removes it."""
    faults: dict[FaultKind, bool] = {}
    """Faults that were told to have appeared, or to have gone."""
    command: str | None = None
    volume: int | None = None
    """Commanded volume; −1 removes it."""
    bound: datetime | None = None
    lead_seconds: float | None = None
    airtime: Airtime | None = None


class Memory:
    """The content of the flash, or a player's working copy of it.

    Attributes:
        journal_id: Identity of this journal; another one when the flash was lost.
        boots: How often the power came.
        documents: `{scope}/{kind}` → signed document as received.
        records: Journal records that the server has not confirmed, oldest first.
        last_seq: Sequence number of the newest record ever written.
        started: Occurrences that have sounded and may sound further.
        settled: Occurrences that have sounded and are over, with their `ends_by`.
        skipped: Occurrences that were let pass, with their latest start.
        content: Stored audio files and their sizes.
        faults: Faults last told to be there.
        commands: Ids of the last commands obeyed.
        volume: Commanded volume until the next config.
        bound: Newest instant known to have passed.
        lead_seconds: Wall clock minus true time when last measured.
        airtime: What has sounded in the newest day in which anything did.
    """

    __slots__ = (
        "airtime",
        "boots",
        "bound",
        "commands",
        "content",
        "documents",
        "faults",
        "journal_id",
        "last_seq",
        "lead_seconds",
        "records",
        "settled",
        "skipped",
        "started",
        "volume",
    )

    def __init__(self, journal_id: str = "") -> None:
        self.journal_id = journal_id
        self.boots = 0
        self.documents: dict[str, bytes] = {}
        self.records: deque[Record] = deque()
        self.last_seq = 0
        self.started: dict[str, Progress] = {}
        self.settled: dict[str, datetime] = {}
        self.skipped: dict[str, datetime] = {}
        self.content: dict[str, int] = {}
        self.faults: set[FaultKind] = set()
        self.commands: deque[str] = deque(maxlen=COMMANDS_KEPT)
        self.volume: int | None = None
        self.bound: datetime | None = None
        self.lead_seconds: float | None = None
        self.airtime: Airtime | None = None

    @property
    def full(self) -> bool:
        """Tell whether the journal has no room for the proof of another play."""
        return len(self.records) >= JOURNAL_LIMIT

    def session(self, connections: int) -> Session:
        """Session number of the n-th connection since power-on; grows over reboots too."""
        return self.boots * CONNECTIONS_PER_BOOT + connections

    def apply(self, change: Change) -> None:
        """Make the change, all of it."""
        _update(self.documents, change.documents)
        _update(self.content, change.content)
        self._apply_journal(change)
        for occurrence_id, ends_by in change.settled.items():
            self.started.pop(occurrence_id, None)
            self.settled[occurrence_id] = ends_by
        self.skipped.update(change.skipped)
        if change.forget_before is not None:
            self.settled = _since(self.settled, change.forget_before)
            self.skipped = _since(self.skipped, change.forget_before)
        for kind, is_open in change.faults.items():
            (self.faults.add if is_open else self.faults.discard)(kind)
        if change.command is not None:
            self.commands.append(change.command)
        if change.volume is not None:
            self.volume = None if change.volume < 0 else change.volume
        for name in ("journal_id", "boots", "bound", "lead_seconds", "airtime"):
            value = getattr(change, name)
            if value is not None:
                setattr(self, name, value)

    def _apply_journal(self, change: Change) -> None:
        if change.records:
            self.records.extend(change.records)
            self.last_seq = change.records[-1].seq
        if change.confirmed is not None:
            while self.records and self.records[0].seq <= change.confirmed:
                self.records.popleft()
            self.last_seq = max(self.last_seq, change.confirmed)
        self.started.update(change.started)

    def copy(self) -> Memory:
        """An independent copy; what the containers hold is immutable and shared."""
        other = Memory()
        for name in Memory.__slots__:
            value = getattr(self, name)
            setattr(other, name, value.copy() if hasattr(value, "copy") else value)
        return other

    def snapshot(self) -> list[Change]:
        """The shortest list of changes that makes an empty memory equal to this one."""
        first = Change(
            journal_id=self.journal_id,
            boots=self.boots,
            documents=dict(self.documents),
            records=list(self.records),
            confirmed=None if self.records else self.last_seq,
            started=dict(self.started),
            settled=dict(self.settled),
            skipped=dict(self.skipped),
            content=dict(self.content),
            faults=dict.fromkeys(self.faults, True),
            volume=self.volume,
            bound=self.bound,
            lead_seconds=self.lead_seconds,
            airtime=self.airtime,
        )
        return [first, *(Change(command=command_id) for command_id in self.commands)]


class Flash:
    """Flash of a simulated box, in memory: it survives its player."""

    def __init__(self, journal_id: str) -> None:
        self._memory = Memory(journal_id)

    @property
    def journal_id(self) -> str:
        """Identity of the journal on it."""
        return self._memory.journal_id

    def write(self, change: Change) -> None:
        """Make the change last."""
        self._memory.apply(change)

    def load(self) -> Memory:
        """Contents of the flash when the power comes."""
        return self._memory.copy()


class FileFlash(Flash):
    """Flash that survives the simulator too: a log of changes, one line each.

    A line that was cut short by a power cut is no change. The log is rewritten when it has grown
    to several times what it says.
    """

    REWRITE_BYTES = 1 << 20

    def __init__(self, journal_id: str, path: Path) -> None:
        super().__init__(journal_id)
        self._path = path
        self._encoder = msgspec.json.Encoder()
        self._rewrite_at = self.REWRITE_BYTES
        self._size = 0
        if path.exists():
            self._replay(path.read_bytes())
        else:
            self.write(Change(journal_id=journal_id))

    def write(self, change: Change) -> None:
        """Make the change last."""
        super().write(change)
        line = self._encoder.encode(change) + b"\n"
        # No fsync: what this survives is the death of the simulator, not of the machine, and a
        # thousand boxes share its one disk.
        with self._path.open("ab") as log:
            log.write(line)
        self._size += len(line)
        if self._size > self._rewrite_at:
            self._rewrite()

    def _replay(self, log: bytes) -> None:
        whole = log[: log.rfind(b"\n") + 1]
        decoder = msgspec.json.Decoder(Change)
        for line in whole.splitlines():
            self._memory.apply(decoder.decode(line))
        if len(whole) < len(log):
            self._rewrite()
        self._size = len(whole)

    def _rewrite(self) -> None:
        lines = b"".join(self._encoder.encode(c) + b"\n" for c in self._memory.snapshot())
        temporary = self._path.with_suffix(".tmp")
        temporary.write_bytes(lines)
        temporary.replace(self._path)
        self._size = len(lines)
        self._rewrite_at = max(self.REWRITE_BYTES, 4 * len(lines))


def _since(times: dict[str, datetime], oldest: datetime) -> dict[str, datetime]:
    return {occurrence_id: at for occurrence_id, at in times.items() if at >= oldest}


def _update(held: dict[str, V], changes: dict[str, V]) -> None:
    for key, value in changes.items():
        if value:
            held[key] = value
        else:
            held.pop(key, None)

"""A server in miniature for players: signs documents, confirms journals, answers the clock."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from broadcast.wire.codec import decode_event
from broadcast.wire.commands import AnyCommand, Command, JournalAck, Resend, TimeReply
from broadcast.wire.documents import Alert, Alerts, Audio, Config, Document, Item, Programme
from broadcast.wire.envelope import SigningKey
from broadcast.wire.events import (
    Ended,
    Heartbeat,
    Playback,
    Readiness,
    Record,
    Refusal,
    Skipped,
    Started,
    TimeRequest,
)
from broadcast.wire.fields import Codec, Wire
from broadcast.wire.topics import BLOCK_BYTES, CONTENT, scope_topic
from device_sim.box import Identity
from device_sim.harness import Device, Harness
from device_sim.journal import Flash

START = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
"""Monday, 08:00 in the province."""

PROGRAMME_KEY = SigningKey.generate("programme")
ALERT_KEY = SigningKey.generate("alert")
KEYS = (PROGRAMME_KEY.public(), ALERT_KEY.public())
WEEK = timedelta(days=7)


def at(minutes: float, seconds: float = 0) -> datetime:
    return START + timedelta(minutes=minutes, seconds=seconds)


def audio_bytes(name: str, size: int = 20_000) -> bytes:
    seed = sha256(name.encode()).digest()
    return (seed * (size // len(seed) + 1))[:size]


def audio(name: str, seconds: float = 60, codec: Codec = Codec.OPUS, size: int = 20_000) -> Audio:
    content = audio_bytes(name, size)
    return Audio(
        sha256=sha256(content).hexdigest(), bytes=len(content), seconds=seconds, codec=codec
    )


def item(occurrence_id: str, starts_at: datetime, **changes: Any) -> Item:
    fields: dict[str, Any] = {
        "occurrence_id": occurrence_id,
        "bulletin_id": "b",
        "bulletin_revision": 1,
        "starts_at": starts_at,
        "late_limit_seconds": 120,
        "ends_by": starts_at + timedelta(minutes=10),
        "priority": 50,
        "audio": [audio("news")],
    }
    return Item(**(fields | changes))


def alert(alert_id: str, starts_at: datetime, **changes: Any) -> Alert:
    fields: dict[str, Any] = {
        "alert_id": alert_id,
        "starts_at": starts_at,
        "ends_by": starts_at + timedelta(minutes=10),
        "audio": [audio("siren", 30)],
    }
    return Alert(**(fields | changes))


class Province:
    """Everything a test says as the server, and everything it hears."""

    def __init__(self, harness: Harness | None = None, **options: Any) -> None:
        self.harness = harness or Harness(START, **options)
        self.harness.server = self
        self.confirms = True
        self.answers_time = True
        self.heals = True
        """Send again what a heartbeat shows to be behind."""
        self.records: dict[str, dict[int, Record]] = {}
        self.events: list[tuple[str, Wire]] = []
        self._documents: dict[str, tuple[int, bytes]] = {}
        self._numbers = itertools.count(1)

    # Devices ------------------------------------------------------------------------------------

    def device(
        self, device_id: str = "d1", *, areas: tuple[str, ...] = ("51",), **options: Any
    ) -> Device:
        identity_fields = {
            name: options.pop(name)
            for name in ("codecs", "storage_bytes", "battery_clock", "csr", "renew_at")
            if name in options
        }
        settings = {
            name: options.pop(name)
            for name in ("quiet_hours", "heartbeat_seconds", "keys")
            if name in options
        }
        online = options.pop("online", True)
        if areas or settings:
            self.config(device_id, areas, **settings)
        identity = Identity(device_id=device_id, keys=KEYS, **identity_fields)
        device = Device(identity, Flash(f"journal-{device_id}"), **options)
        return self.harness.add(device, online=online)

    # Down ---------------------------------------------------------------------------------------

    def config(self, device_id: str, areas: tuple[str, ...] = ("51",), **changes: Any) -> None:
        fields: dict[str, Any] = {
            "areas": list(areas),
            "keys": list(KEYS),
            "heartbeat_seconds": 600,
        }
        self.publish(self.make(Config, f"device/{device_id}", **(fields | changes)))

    def programme(self, *items: Item, scope: str = "area/51", **changes: Any) -> Programme:
        sounds = [some for i in items for some in (i.audio, *(v.audio for v in i.versions))]
        for audio_ in {a.sha256: a for some in sounds for a in some}.values():
            self.content(audio_)
        return self.publish(self.make(Programme, scope, items=list(items), **changes))

    def alerts(self, *alerts: Alert, scope: str = "area/51", **changes: Any) -> Alerts:
        for audio_ in {a.sha256: a for i in alerts for a in i.audio}.values():
            self.content(audio_)
        return self.publish(self.make(Alerts, scope, alerts=list(alerts), **changes))

    def make(self, kind: type[Any], scope: str, **fields: Any) -> Any:
        now = self.harness.now
        base = {
            "scope": scope,
            "revision": next(self._numbers),
            "issued_at": now,
            "not_after": now + WEEK,
        }
        return kind(**(base | fields))

    def publish(self, document: Any, key: SigningKey | None = None) -> Any:
        token = self.sign(document, key)
        kind = type(document).__struct_config__.tag
        self._documents[f"{document.scope}/{kind}"] = (document.revision, token)
        self.harness.publish(scope_topic(document.scope, kind), token, retain=True)
        return document

    def sign(self, message: Document | AnyCommand, key: SigningKey | None = None) -> bytes:
        usual = ALERT_KEY if isinstance(message, Alerts) else PROGRAMME_KEY
        return (key or usual).sign(message)

    def content(self, audio_: Audio, *, corrupt: int | None = None) -> None:
        """Publish the blocks of an audio made by `audio`; one of them may be wrong."""
        name = next(n for n in NAMES if audio(n, size=audio_.bytes).sha256 == audio_.sha256)
        content = audio_bytes(name, audio_.bytes)
        for index in range(0, len(content), BLOCK_BYTES):
            block = content[index : index + BLOCK_BYTES]
            number = index // BLOCK_BYTES
            if number == corrupt:
                block = bytes(len(block))
            topic = CONTENT.build(sha256=audio_.sha256, index=str(number))
            self.harness.publish(topic, block, retain=True)

    def command(self, kind: type[Command], device_id: str = "d1", **fields: Any) -> bytes:
        """Publish a command; returns its bytes, for a test to repeat them."""
        base = {
            "command_id": f"c{next(self._numbers)}",
            "scope": f"device/{device_id}",
            "not_after": self.harness.now + timedelta(minutes=5),
        }
        command: Any = kind(**(base | fields))
        token = self.sign(command)
        topic = f"device/{device_id}/command/{kind.__struct_config__.tag}"
        self.harness.publish(topic, token, retain=False)
        return token

    # Up -----------------------------------------------------------------------------------------

    def heard(self, device_id: str, kind: str, payload: bytes) -> None:
        message = decode_event(kind, payload)
        match message:
            case Heartbeat(held=held) if self.heals:
                self._heal(device_id, held)
            case Playback(journal_id=journal_id, records=records):
                kept = self.records.setdefault(device_id, {})
                for record in records:
                    assert kept.setdefault(record.seq, record) == record
                if self.confirms:
                    upto = max(kept)
                    self.command(JournalAck, device_id, journal_id=journal_id, upto_seq=upto)
            case TimeRequest(token=token) if self.answers_time:
                self.command(TimeReply, device_id, token=token, server_at=self.harness.now)
        if not isinstance(message, Heartbeat):
            self.events.append((device_id, message))

    def of(self, kind: type[Any], device_id: str = "d1") -> list[Any]:
        return [m for d, m in self.events if d == device_id and isinstance(m, kind)]

    def journal(self, device_id: str = "d1") -> list[tuple[str, ...]]:
        """What the server knows: `(event, occurrence[, reason])` in order."""
        return [told(r) for _, r in sorted(self.records.get(device_id, {}).items())]

    def refusals(self, device_id: str = "d1") -> list[str]:
        return [refusal.reason for refusal in self.of(Refusal, device_id)]

    def readiness(self, device_id: str = "d1") -> dict[str, str]:
        return {
            ready.occurrence_id: ready.state
            for message in self.of(Readiness, device_id)
            for ready in message.items
        }

    def _heal(self, device_id: str, held: dict[str, int]) -> None:
        for key, (revision, token) in self._documents.items():
            if 0 < held.get(key, 0) < revision:
                self.command(Resend, device_id, document=token.decode())


NAMES = ["news", "music", "siren", "notice", *(f"n{number}" for number in range(60))]


def told(record: Record) -> tuple[str, ...]:
    match record:
        case Started(occurrence_id=occurrence_id):
            return ("started", occurrence_id)
        case Ended(occurrence_id=occurrence_id, reason=reason):
            return ("ended", occurrence_id, reason.value)
        case Skipped(occurrence_id=occurrence_id, reason=reason):
            return ("skipped", occurrence_id, reason.value)

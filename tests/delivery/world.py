"""A small province, its database and a broker in memory: what the dispatcher works on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.auth.permissions import Role
from broadcast.bulletins.model import RevisionState
from broadcast.delivery import dispatcher
from broadcast.delivery.mirror import BrokerMirror
from broadcast.keys.keyring import Keyring
from broadcast.kit import db
from broadcast.kit.errors import BroadcastError, Unavailable
from broadcast.plays.model import Play, PlayState
from broadcast.schedules import edits, occurrence_edits, occurrences
from broadcast.schedules.model import Occurrence, Schedule
from broadcast.wire.documents import Item, Programme
from broadcast.wire.envelope import SigningKey, Verifier
from tests import province
from tests.bulletins import make
from tests.callers import caller
from tests.keys.memory import MemoryStore

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
"""08:00 on a Monday in the province."""
PREFIX = "ttn/v1"
KEYS = SigningKey.generate("programme"), SigningKey.generate("alert")
PINNED = [key.public() for key in KEYS]


class Message(NamedTuple):
    """What the dispatcher receives."""

    topic: str
    payload: bytes
    retain: bool
    connection: int


class Broker:
    """Keeps what is retained, as a broker does; can be away, and can forget."""

    def __init__(self) -> None:
        self.connected = True
        self.connection = 1
        self.retained: dict[str, bytes] = {}
        self.publishes: list[str] = []
        self.commands: list[tuple[str, bytes]] = []
        self.away = False
        self.refuse: Callable[[str], bool] = lambda _: False
        self.mirror: BrokerMirror

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        topic = topic.removeprefix(f"{PREFIX}/")
        if self.away or self.refuse(topic):
            raise Unavailable("broker away")
        assert retain != ("/command/" in topic), "what is to be is retained, a command never"
        if not retain:
            self.commands.append((topic, payload))
            return
        self.publishes.append(topic)
        self.mirror.note(self.message(topic, payload, retain=False))
        if payload:
            self.retained[topic] = payload
        else:
            self.retained.pop(topic, None)

    async def receive(self) -> Sequence[Any]:
        raise NotImplementedError

    def reconnect(self) -> None:
        """The link breaks and comes back; the broker tells what it retains."""
        self.connection += 1
        self.tell()

    def message(self, topic: str, payload: bytes, *, retain: bool) -> Message:
        """A message as the link hands it on."""
        return Message(f"{PREFIX}/{topic}", payload, retain, self.connection)

    def tell(self) -> None:
        for topic, payload in self.retained.items():
            self.mirror.note(self.message(topic, payload, retain=True))

    def document(self, topic: str) -> Any:
        return Verifier(PINNED).document(self.retained[topic])

    def programme(self, scope: str) -> Programme:
        document = self.document(f"{scope}/state/programme")
        assert isinstance(document, Programme)
        return document

    def files(self) -> dict[str, bytes]:
        """Audio by its SHA-256, put together from its blocks."""
        blocks: dict[str, dict[int, bytes]] = {}
        for topic, payload in self.retained.items():
            if topic.startswith("content/"):
                _, sha256, index = topic.split("/")
                blocks.setdefault(sha256, {})[int(index)] = payload
        return {k: b"".join(v[index] for index in sorted(v)) for k, v in blocks.items()}


class World:
    """A province with one commune, two villages and a cluster with a device in each."""

    def __init__(self, engine: AsyncEngine, content_dir: Path) -> None:
        self.engine = engine
        self.engine_of_steps = engine
        self.broker = Broker()
        self.settings = config.Settings(
            postgres=config.Postgres(dsn=SecretStr("postgresql://unused")), content_dir=content_dir
        )
        self.content_dir = content_dir
        self.now = NOW
        self.store = MemoryStore(*KEYS)
        self.restart()

    def restart(self, *, believed: bool = True) -> None:
        """A new leader, that knows nothing of the old one."""
        self.dispatcher = dispatcher.Dispatcher(
            self.engine_of_steps, self.broker, self.settings, Keyring(self.store)
        )
        self.broker.mirror = self.dispatcher.repair.mirror
        self.dispatcher.repair.compared = believed
        self.broker.tell()

    async def turn(self, *, after: timedelta = timedelta(seconds=1)) -> None:
        self.now += after
        while await self.dispatcher.turn(self.now):
            pass

    async def build(self) -> None:
        async with db.transaction(self.engine) as session:
            villages = {"V1": "V1", "V2": "V2"}
            await province.commune(session, "21001", villages, NOW - timedelta(days=1))

    async def bulletin(self, body: bytes = b"sound") -> UUID:
        async with db.transaction(self.engine) as session:
            bulletin = await make.bulletin(session, area_code="21001", title="Thông báo")
            sound = make.prepared(self.content_dir, opus=body * 20_000)
            await make.revision(session, bulletin, sound, RevisionState.APPROVED)
            return bulletin.id

    async def schedule(
        self, bulletin_id: UUID, target: dict[str, str], hours: float = 2, rrule: str | None = None
    ) -> UUID:
        async with db.transaction(self.engine) as session:
            starts_at = self.now.replace(microsecond=0) + timedelta(hours=hours)
            schedule = province.schedule(
                bulletin_id, starts_at, self.now, rrule=rrule, targets=[target]
            )
            session.add(schedule)
            await session.flush()
            await occurrences.materialise(
                session, self.now, self.settings.rules.horizon, [schedule.id]
            )
            return schedule.id

    async def withdraw(self, schedule_id: UUID) -> None:
        async with db.transaction(self.engine) as session:
            schedule = await session.get_one(Schedule, schedule_id)
            await edits.withdraw(session, schedule, caller("Lan", Role.PROVINCE_EDITOR), self.now)

    async def move_some(self, schedule_id: UUID, by: timedelta) -> None:
        """Move the next occurrence of a schedule, if it has one and may be moved there."""
        async with db.transaction(self.engine) as session:
            row = await session.scalar(
                sa.select(Occurrence)
                .where(Occurrence.schedule_id == schedule_id, Occurrence.starts_at > self.now)
                .order_by(Occurrence.starts_at)
                .limit(1)
            )
            if row is not None:
                who, to = caller("Lan", Role.PROVINCE_EDITOR), row.starts_at + by
                with suppress(BroadcastError):
                    await occurrence_edits.move(
                        session, row, to, who, self.settings.rules, self.now
                    )

    def items(self) -> dict[str, list[Item]]:
        """What every programme at the broker still has to say, by scope."""
        programmes = [
            self.broker.document(topic)
            for topic in self.broker.retained
            if topic.endswith("/programme")
        ]
        found = {
            programme.scope: [item for item in programme.items if item.ends_by > self.now]
            for programme in programmes
        }
        return {scope: items for scope, items in found.items() if items}

    async def plays(self) -> list[tuple[PlayState, str]]:
        async with db.transaction(self.engine) as session:
            rows = await session.scalars(sa.select(Play).order_by(Play.cluster_id))
            return [(play.state, play.reason) for play in rows]

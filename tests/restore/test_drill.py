"""The restore drill with real servers and devices: play, back up, go on, restore, decide."""

from __future__ import annotations

import asyncio
import io
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.auth.caller import digest
from broadcast.auth.model import ApiToken
from broadcast.auth.permissions import Role
from broadcast.backup import create as making
from broadcast.backup import manifest, recover
from broadcast.bulletins.model import RevisionState
from broadcast.config import Mqtt, Rules, Settings
from broadcast.delivery import dispatcher
from broadcast.devices.model import Installation
from broadcast.ingest import worker
from broadcast.keys.keyring import Keyring
from broadcast.kit import clock, db
from broadcast.plays.model import Journal, Play, PlayState
from broadcast.programmes.model import Document
from broadcast.restore.cli import BEGIN
from broadcast.restore.differences import Kind
from broadcast.restore.model import Restore
from broadcast.schedules.model import Occurrence
from broadcast.schedules.occurrences import materialise
from broadcast.telemetry.model import DevicePresence, Refusal
from device_sim.commons import Commons
from device_sim.faults import NONE, Faults
from device_sim.fleet import Enrolled, Fleet
from device_sim.link import Access
from tests import province
from tests.bulletins import make
from tests.callers import LAN
from tests.delivery.world import KEYS, PINNED, World
from tests.device_sim.test_sound import encoded
from tests.keys.memory import keyring
from tests.stations.client import client_of

SECONDS = 2.0
COMMUNE = {"area": "21001"}
BOTH = 2
"""Devices of the commune."""


@asynccontextmanager
async def running(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        failed = [task for task in tasks if task.done()]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        assert not failed


class Drill:
    """A small province with its server, devices, and what is asked of them."""

    def __init__(
        self, engine: AsyncEngine, dsn: str, mqtt: Mqtt, folder: Path, keys: Keyring
    ) -> None:
        self.engine = engine
        self.keys = keys
        self.world = World(engine, folder / "content")
        key_dir = folder / "keys"
        key_dir.mkdir()
        self.settings = Settings(
            postgres=config.Postgres(dsn=SecretStr(dsn)),
            mqtt=mqtt,
            keys=config.Keys(dir=key_dir),
            content_dir=self.world.content_dir,
            rules=Rules(quiet_hours=(), heartbeat_seconds=5, settle_after=timedelta(seconds=5)),
        )
        self.world.settings = self.settings
        self.backups = folder / "backups"
        self.truth = io.StringIO()
        self.fleet = Fleet(
            Commons(Access((mqtt.host, mqtt.port), mqtt.prefix), Faults(NONE), truth=self.truth)
        )
        for code in ("D-V1", "D-V2"):
            self.fleet.add(tuple(PINNED), Enrolled(device_id=code))

    async def build(self) -> None:
        await self.world.build()
        async with db.transaction(self.engine) as session:
            hung = clock.now() - timedelta(days=1)
            await session.execute(sa.update(Installation).values(installed_at=hung))

    def server(self) -> Any:
        return running(
            worker.run(self.engine, self.settings, self.keys),
            dispatcher.run(self.engine, self.settings, self.keys),
        )

    async def until(self, find: Callable[[Any], Awaitable[Any]], seconds: float = 90) -> Any:
        """What a question to the database answers, as soon as it answers anything."""
        async with asyncio.timeout(seconds):
            while True:
                async with db.transaction(self.engine) as session:
                    if found := await find(session):
                        return found
                await asyncio.sleep(0.1)

    async def schedule(self, seconds: float, rrule: str | None = None) -> UUID:
        """Something to sound so many seconds from now."""
        sound = make.prepared(self.world.content_dir, opus=encoded(SECONDS))
        renditions = tuple(replace(each, seconds=SECONDS) for each in sound.renditions)
        sound = replace(sound, seconds=SECONDS, renditions=renditions)
        async with db.transaction(self.engine) as session:
            made = await make.bulletin(session, area_code="21001", title="Thông báo")
            await make.revision(session, made, sound, RevisionState.APPROVED)
            now = clock.now()
            starts_at = now.replace(microsecond=0) + timedelta(seconds=seconds)
            schedule = province.schedule(
                made.id, starts_at, now, rrule=rrule, targets=[COMMUNE], late_limit_seconds=5
            )
            session.add(schedule)
            await session.flush()
            await materialise(session, now, self.settings.rules.horizon, [schedule.id])
            return schedule.id

    async def occurrence(self, schedule_id: UUID) -> Occurrence:
        """The first occurrence of a schedule."""

        async def first(session: Any) -> Any:
            return await session.scalar(
                sa.select(Occurrence)
                .where(Occurrence.schedule_id == schedule_id)
                .order_by(Occurrence.recurrence_at)
            )

        found: Occurrence = await self.until(first)
        return found

    async def played(self, occurrence_id: UUID) -> None:
        """Wait until both devices have played it and the ledger knows."""
        both = sa.select(sa.func.count() == BOTH).where(
            Play.occurrence_id == occurrence_id, Play.state == PlayState.PLAYED
        )
        await self.until(lambda session: session.scalar(both))

    async def taken(self) -> None:
        """Wait until both devices hold every document that is published."""

        async def all_held(session: Any) -> bool:
            rows = await session.execute(
                sa.select(Document.scope, Document.kind, Document.revision).where(
                    Document.kind == "programme"
                )
            )
            wanted = {f"{row.scope}/{row.kind}": row.revision for row in rows}
            held = list(await session.scalars(sa.select(DevicePresence.held)))
            return len(held) == BOTH and all(
                each.get(name) == revision
                for each in held
                for name, revision in wanted.items()
                if name.startswith("area/21001/")
            )

        await self.until(all_held)

    async def revocation_listed(self, session: Any) -> bool:
        """Whether the list beside the keys names a token."""
        del session
        listed = self.settings.keys.dir / manifest.REVOKED
        return bool(json.loads(listed.read_bytes())["tokens"])

    def told(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.truth.getvalue().splitlines()]

    def sounded(self) -> Counter[tuple[str, str]]:
        """How often each occurrence began to sound, by device and occurrence."""
        return Counter(
            (line["device_id"], line["occurrence_id"])
            for line in self.told()
            if line["event"] == "started"
        )


@pytest.mark.timeout(400)
async def test_the_drill(
    engine: AsyncEngine, postgres_dsn: str, mqtt: Mqtt, tmp_path: Path
) -> None:
    drill = Drill(engine, postgres_dsn, mqtt, tmp_path, await keyring(*KEYS))
    await drill.build()
    async with running(drill.fleet.run(asyncio.Event())):
        # Play; what is coming is planned; back up.
        async with drill.server():
            devices = sa.select(sa.func.count(DevicePresence.device_id) == BOTH)
            await drill.until(lambda session: session.scalar(devices))
            async with db.transaction(engine) as session:
                token = "ttn_lost"
                session.add(
                    ApiToken(
                        account_id=LAN, token_sha256=digest(token), label="lost",
                        created_at=clock.now(),
                    )
                )  # fmt: skip
            before = (await drill.occurrence(await drill.schedule(8))).id
            await drill.played(before)
            withdrawn = await drill.schedule(75, "FREQ=DAILY")
            moved = await drill.schedule(60)
            lost = (await drill.occurrence(await drill.schedule(15))).id
            gone = (await drill.occurrence(withdrawn)).id
            await drill.taken()
            async with db.transaction(engine) as session:
                source = await making.look(session)
            folder = await asyncio.to_thread(
                making.create, drill.settings, source, drill.backups, clock.now()
            )

            # Go on: play, withdraw, move, make, revoke.
            await drill.played(lost)
            drill.world.now = clock.now()
            await drill.world.withdraw(withdrawn)
            await drill.world.move_some(moved, timedelta(seconds=5))
            made = (await drill.occurrence(await drill.schedule(70))).id
            coming = await drill.occurrence(moved)
            async with db.transaction(engine) as session:
                await session.execute(
                    sa.update(ApiToken)
                    .where(ApiToken.label == "lost")
                    .values(revoked_at=clock.now())
                )
            await drill.taken()
            await drill.until(drill.revocation_listed)

        # The database is lost; the devices play on.
        await engine.dispose()
        version = source.server_version
        await asyncio.to_thread(recover.recover, folder, drill.settings, version, BEGIN)
        restored_at = clock.now()

        async with drill.server():
            read = sa.select(Restore.broker_read_at.is_not(None))
            await drill.until(lambda session: session.scalar(read))
            async with client_of(engine, Role.PROVINCE_ADMIN, drill.settings) as client:
                refused = await client.get(
                    "/restore", headers={"Authorization": f"Bearer {token}"}
                )
                assert refused.status_code == 401
                found = (await client.get("/restore")).json()
                comparison = found["comparison"]
                assert {
                    each["kind"]: each["occurrences"][0] for each in comparison["differences"]
                } == {
                    Kind.WITHDRAWN: str(gone),
                    Kind.MOVED: str(coming.id),
                    Kind.UNKNOWN: str(made),
                }
                assert comparison["lost_plays"] >= BOTH
                async with db.transaction(engine) as session:
                    newest = await session.scalar(sa.select(sa.func.max(Document.issued_at)))
                assert newest is not None
                assert newest < restored_at
                accepted = await client.post(
                    "/restore/acceptance",
                    json={"digest": comparison["digest"], "rest_as_proposed": True},
                )
                assert (accepted.status_code, accepted.json()["open"]) == (200, False)

            # Go on as if nothing had been.
            for each in (coming.id, made):
                await drill.played(each)
            assert (await drill.occurrence(moved)).starts_at == coming.starts_at
            ended = sa.select(sa.func.count() == BOTH).where(
                Play.occurrence_id == lost, Play.reason == "proof_lost"
            )
            await drill.until(lambda session: session.scalar(ended))
            await drill.taken()
            await asyncio.sleep(max(0.0, (coming.starts_at - clock.now()).total_seconds() + 20))
            async with db.transaction(engine) as session:
                reasons = Counter(await session.scalars(sa.select(Play.reason)))
                refusals = list(await session.scalars(sa.select(Refusal.reason)))
                assert (await session.scalars(sa.select(Journal.stored_upto))).all()
        drill.fleet.shut_down()
    assert {id_ for _, id_ in drill.sounded()} == {
        str(each) for each in (before, lost, coming.id, made)
    }
    assert set(drill.sounded().values()) == {1}
    assert str(gone) not in {id_ for _, id_ in drill.sounded()}
    assert reasons["unexplained"] == 0
    assert "revision" not in refusals

"""/readyz of a real application: what it says, to whom, and how soon."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.api import create_app
from broadcast.bulletins import preparations
from broadcast.bulletins.preparations import Source
from broadcast.embedded.postgres import EmbeddedPostgres
from broadcast.kit import clock, db
from broadcast.programmes.model import Document
from broadcast.telemetry.model import DevicePresence, ListeningSpan
from broadcast.telemetry.presence import Presence
from broadcast.wire.fields import BulletinClass
from tests.devices.fleet import enrol
from tests.waiting import HANG_SECONDS
from tests.web.routes import worked_out

HOUR = timedelta(hours=1)


@pytest.fixture
def settings(postgres_dsn: str, tmp_path: Path) -> config.Settings:
    return config.Settings(
        postgres=config.Postgres(dsn=SecretStr(postgres_dsn)),
        content_dir=tmp_path / "content",
        upkeep=config.Upkeep(disk_free_bytes=1),
    )


@pytest.fixture
async def client(
    engine: AsyncEngine, settings: config.Settings
) -> AsyncIterator[httpx.AsyncClient]:
    async with db.transaction(engine) as session:
        await db.ensure_partitions(session, clock.today())
    transport = httpx.ASGITransport(worked_out(create_app(settings, engine)))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def ask(client: httpx.AsyncClient) -> tuple[int, dict[str, Any]]:
    answer = await client.get("/readyz")
    body = answer.json()
    assert body["status"] == ("ok" if answer.status_code == 200 else "unavailable")
    failed = {check["name"]: check["detail"] for check in body["checks"] if not check["ok"]}
    return answer.status_code, failed


async def test_a_new_installation_is_ready(client: httpx.AsyncClient) -> None:
    answer = await client.get("/readyz")
    assert answer.status_code == 200, answer.text
    assert [check["name"] for check in answer.json()["checks"]] == [
        "database", "schema", "partitions", "retention", "outbox", "preparation", "listening",
        "devices", "steps", "certificates", "restore", "disk",
    ]  # fmt: skip


async def write(engine: AsyncEngine, *statements: str) -> None:
    async with db.transaction(engine) as session:
        for statement in statements:
            await session.execute(sa.text(statement))


async def test_a_restored_database_is_not_ready_before_somebody_has_decided(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    await write(engine, "INSERT INTO restores (cause, found_at, lost_since)"
                        " VALUES ('command', now(), now())")  # fmt: skip
    status, failed = await ask(client)
    assert (status, list(failed)) == (503, ["restore"])
    assert "broadcast restore accept" in failed["restore"]
    await write(engine, "UPDATE restores SET accepted_at = now()")
    assert await ask(client) == (200, {})


async def test_an_older_schema_says_what_to_run(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    await write(engine, "UPDATE alembic_version SET version_num = '0001'", "DROP TABLE documents")
    status, failed = await ask(client)
    assert (status, list(failed)) == (503, ["schema"])
    assert "broadcast migrate" in failed["schema"]


async def test_a_database_without_any_schema_says_so(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    await write(engine, "DROP TABLE alembic_version")
    assert (await ask(client))[1].keys() == {"schema"}


async def test_a_missing_partition_is_named(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    name = db.partition_name("heartbeats", clock.today())
    await write(engine, f"DROP TABLE {name}")
    status, failed = await ask(client)
    assert status == 503
    assert name in failed["partitions"]


async def test_documents_that_nobody_publishes_are_told(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    now = clock.now()
    async with db.transaction(engine) as session:
        session.add(
            Document(scope="area/51", kind="programme", revision=2, token=b"",
                     issued_at=now - HOUR, not_after=now + HOUR, published_revision=1)
        )  # fmt: skip
    status, failed = await ask(client)
    assert (status, list(failed)) == (503, ["outbox"])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("", {}),
        ("due_at = due_at - interval '11 minutes'", {"preparation": "1 bản tin"}),
        # Held by a worker that is gone.
        (("due_at = due_at - interval '11 minutes', state = 'running', attempts_count = 1,"
         " locked_until = due_at"), {"preparation": "1 bản tin"}),
        (("due_at = due_at - interval '11 minutes', state = 'running',"
         " locked_until = now() + interval '1 minute'"), {}),
        ("due_at = due_at - interval '11 minutes', state = 'done'", {}),
    ],
)  # fmt: skip
async def test_sound_that_nobody_prepares_is_told(
    client: httpx.AsyncClient, engine: AsyncEngine, settings: config.Settings, change: str,
    told: dict[str, str],
) -> None:  # fmt: skip
    async with db.transaction(engine) as session:
        await preparations.enqueue(
            session, Source.of_text("Xin chào."), settings.audio, settings.content_dir,
            BulletinClass.NORMAL, clock.now(),
        )  # fmt: skip
    if change:
        await write(engine, f"UPDATE preparations SET {change}")
    _, failed = await ask(client)
    assert failed.keys() == told.keys()
    assert all(said in failed[name] for name, said in told.items())


async def test_a_process_without_ingest_knows_that_nobody_listens(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    now = clock.now()
    async with db.transaction(engine) as session:
        for device in await enrol(session, *"ABCDE"):
            session.add(
                DevicePresence(device_id=device.id, presence=Presence.ONLINE, since=now - HOUR,
                               session=1, seq=1, last_seen_at=now - HOUR, silent_after=now,
                               held={})
            )  # fmt: skip
        session.add(ListeningSpan(started_at=now - 2 * HOUR, until=now - HOUR))
    status, failed = await ask(client)
    assert (status, set(failed)) == (503, {"listening", "devices"})


async def test_a_full_disk_is_told(engine: AsyncEngine, settings: config.Settings) -> None:
    full = settings.model_copy(update={"upkeep": config.Upkeep(disk_free_bytes=2**60)})
    async with db.transaction(engine) as session:
        await db.ensure_partitions(session, clock.today())
    transport = httpx.ASGITransport(worked_out(create_app(full, engine)))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        status, failed = await ask(client)
    assert (status, list(failed)) == (503, ["disk"])
    assert "cơ sở dữ liệu" in failed["disk"]
    assert "thư mục âm thanh" in failed["disk"]


async def test_a_database_that_hangs_is_one_that_is_away(
    client: httpx.AsyncClient, engine: AsyncEngine, postgres: EmbeddedPostgres
) -> None:
    async with engine.connect() as connection:
        backend = await connection.scalar(sa.text("SELECT pg_backend_pid()"))
    # The pool hands the same connection out again; a new one would wait for the server.
    stopped = (backend, postgres.pid)
    try:
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        for _ in range(5):
            async with asyncio.timeout(HANG_SECONDS):
                status, failed = await ask(client)
            assert (status, list(failed)) == (503, ["database"])
            assert "PostgreSQL" in failed["database"]
            assert (await client.get("/healthz")).status_code == 200
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    async with asyncio.timeout(HANG_SECONDS):
        while (await ask(client))[0] != 200:
            pass


async def test_a_database_that_is_away_is_told_at_once(settings: config.Settings) -> None:
    away = db.create_engine(config.Postgres(dsn=SecretStr("postgresql://x@127.0.0.1:1/x")))
    transport = httpx.ASGITransport(worked_out(create_app(settings, away)))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await ask(client))[1].keys() == {"database"}
    await away.dispose()

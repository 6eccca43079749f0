"""While the database hangs nothing is acknowledged; afterwards everything is stored, once."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.embedded.postgres import EmbeddedPostgres
from broadcast.ingest import store
from broadcast.kit import clock, db
from broadcast.telemetry.model import Heartbeat as Stored
from broadcast.wire.events import Clock, Heartbeat
from tests.conftest import frozen
from tests.ingest.inbox import Acked, Inbox, Until


@pytest.fixture
async def engine(postgres_dsn: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AsyncEngine]:
    """An engine that gives a server up soon."""
    monkeypatch.setattr(db, "CHECKOUT_SECONDS", 0.5)
    monkeypatch.setattr(db, "MARGIN_SECONDS", 0.1)
    settings = config.Postgres(dsn=SecretStr(postgres_dsn), statement_timeout=1)
    engine = db.create_engine(settings)
    yield engine
    await engine.dispose()


def beat(seq: int) -> Heartbeat:
    return Heartbeat(session=1, seq=seq, sent_at=clock.now(), clock=Clock(trusted=True))


async def test_a_database_that_hangs_is_tried_again_for_ever(
    engine: AsyncEngine, postgres: EmbeddedPostgres, inbox: Inbox, acked: Acked, until: Until
) -> None:
    await acked(inbox.put("A", "heartbeat", beat(1)))
    retries = store.RETRIES._value.get()
    with frozen(postgres):
        said = [inbox.put(device, "heartbeat", beat(2)) for device in "ABC"]
        await until(lambda: store.RETRIES._value.get() >= retries + 2)
        assert not any(message.acked for message in said)
    await acked(*said)
    async with db.transaction(engine) as session:
        stored = await session.execute(
            sa.select(Stored.seq, sa.func.count()).group_by(Stored.seq).order_by(Stored.seq)
        )
        assert list(map(tuple, stored)) == [(1, 1), (2, 3)]

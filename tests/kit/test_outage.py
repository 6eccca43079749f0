"""Whose fault an error is, asked of PostgreSQL itself."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from broadcast.kit import db
from broadcast.kit.db import is_outage


async def error_of(engine: AsyncEngine, *statements: str) -> Exception:
    """What the last of these statements raises."""
    try:
        async with db.transaction(engine) as session:
            for statement in statements:
                await session.execute(sa.text(statement))
    except Exception as error:  # noqa: BLE001 — which one is the question
        return error
    pytest.fail("nothing was raised")


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("statement", "outage"),
    [
        ("SELECT 1 / 0", False),
        ("""SELECT '{"a": "\\u0000"}'::jsonb""", False),
        ("SELECT 'x'::integer", False),
        ("INSERT INTO presence_changes (device_id) VALUES (1)", False),
        ("INSERT INTO receipts VALUES (77, 'd', 1, now())", False),
        ("INSERT INTO device_presence (device_id, presence) VALUES (1, 'asleep')", False),
        ("INSERT INTO online_minutes VALUES (1, '1999-01-01', 0::bit(1440))", True),
        ("SELECT * FROM no_such_table", True),
        ("SELECT no_such_function()", True),
        ("SET LOCAL statement_timeout = 1; ", True),
        ("SELECT pg_terminate_backend(pg_backend_pid())", True),
    ],
)
async def test_only_data_and_constraints_are_the_messages_fault(
    engine: AsyncEngine, statement: str, outage: bool
) -> None:
    statements = [statement]
    if statement.startswith("SET"):
        statements = [statement.rstrip("; "), "SELECT pg_sleep(1)"]
    assert is_outage(await error_of(engine, *statements)) is outage


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port on which nobody listens."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        yield listener.getsockname()[1]


async def test_server_that_is_not_there_is_an_outage(closed_port: int) -> None:
    engine = create_async_engine(f"postgresql+asyncpg://nobody@127.0.0.1:{closed_port}/none")
    assert is_outage(await error_of(engine, "SELECT 1"))
    await engine.dispose()


async def test_database_that_is_not_there_is_an_outage(engine: AsyncEngine) -> None:
    other = create_async_engine(engine.url.set(database="no_such_database"))
    assert is_outage(await error_of(other, "SELECT 1"))
    await other.dispose()


async def test_pool_without_a_free_connection_is_an_outage(engine: AsyncEngine) -> None:
    narrow = create_async_engine(engine.url, pool_size=1, max_overflow=0, pool_timeout=0.05)
    async with narrow.connect():
        assert is_outage(await error_of(narrow, "SELECT 1"))
    await narrow.dispose()


def test_bug_of_ours_is_no_outage() -> None:
    assert not is_outage(KeyError("x"))
    assert is_outage(TimeoutError())
    assert is_outage(TimeoutError())

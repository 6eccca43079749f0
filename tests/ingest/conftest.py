"""The inbound path at work on a database of its own, fed from memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.config import Settings
from broadcast.devices.model import Device
from broadcast.ingest import echo, pipeline, store
from broadcast.ingest.pipeline import Pipeline
from broadcast.ingest.sharding import ShardAssignment
from broadcast.keys.keyring import Keyring
from broadcast.kit import db
from tests.devices.fleet import enrol
from tests.ingest.inbox import Acked, Inbox, Message, Until
from tests.keys.memory import keyring


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same path with shorter waits."""
    monkeypatch.setattr(pipeline, "GATHER_STEP", 0.005)
    monkeypatch.setattr(store, "FIRST_RETRY", 0.02)
    monkeypatch.setattr(store, "LONGEST_RETRY", 0.05)
    monkeypatch.setattr(echo, "EVERY_SECONDS", 0.05)


@pytest.fixture
async def keys() -> Keyring:
    return await keyring()


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
async def devices(engine: AsyncEngine) -> list[Device]:
    """Devices A, B and C."""
    async with db.transaction(engine) as session:
        return await enrol(session, "A", "B", "C")


@pytest.fixture
async def running(
    engine: AsyncEngine, inbox: Inbox, keys: Keyring, devices: list[Device]
) -> AsyncIterator[asyncio.Task[None]]:
    """The inbound path, running; A, B and C are enrolled."""
    task = asyncio.create_task(
        Pipeline(engine, inbox, Settings(), keys, ShardAssignment("alone")).run()
    )
    yield task
    failed = task.done()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert not failed


@pytest.fixture
def until(running: asyncio.Task[None]) -> Until:
    """Wait for something to become true while the inbound path runs."""

    async def wait(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                assert not running.done(), running.exception()
                await asyncio.sleep(0.005)

    return wait


@pytest.fixture
def acked(
    until: Until,
) -> Acked:
    """Wait until these messages have been acknowledged."""

    async def wait(*messages: Message) -> None:
        await until(lambda: all(message.acked for message in messages))

    return wait

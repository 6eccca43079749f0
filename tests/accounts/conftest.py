"""The whole application, and a clock that stands still until it is moved."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.accounts import passwords
from broadcast.kit import clock
from tests.accounts.browser import application


class Clock:
    """Time of a test."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 28, 1, tzinfo=UTC)

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    stopped = Clock()
    monkeypatch.setattr(clock, "now", lambda: stopped.now)
    return stopped


@pytest.fixture
async def app(
    engine: AsyncEngine,
    postgres_dsn: str,
    tmp_path: Path,
    time: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[FastAPI]:
    """With a cheap hash: a hundred of the real one take seconds."""
    monkeypatch.setattr(passwords, "HASHER", PasswordHasher(1, 8, 1))
    passwords._nobodys.cache_clear()
    async with application(engine, postgres_dsn, tmp_path) as made:
        yield made
    passwords._nobodys.cache_clear()

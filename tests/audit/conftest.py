"""The world of these tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.audit.world import World, world_of


@pytest.fixture
async def world(
    engine: AsyncEngine, postgres_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    async with world_of(engine, postgres_dsn, tmp_path, monkeypatch) as world:
        yield world

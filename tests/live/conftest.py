"""The world of live speech."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.live.world import LiveWorld


@pytest.fixture
async def world(engine: AsyncEngine, tmp_path: Path) -> LiveWorld:
    world = LiveWorld(engine, tmp_path)
    await world.build()
    await world.turn()
    return world

"""The world of alerts."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.alerts.world import AlertWorld


@pytest.fixture
async def world(engine: AsyncEngine, tmp_path: Path) -> AlertWorld:
    world = AlertWorld(engine, tmp_path)
    await world.build()
    await world.turn()
    return world

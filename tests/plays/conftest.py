from __future__ import annotations

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from tests.plays.world import World, make


@pytest.fixture
async def world(session: AsyncSession) -> World:
    """A commune with two clusters, their devices and a schedule."""
    return await make(session)

"""State that the steps of a turn share: the time they may take, and what is set aside."""

from __future__ import annotations

import time
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast.kit import db, failures

STEP_SECONDS = 2.0
"""Longest that one step works through a backlog: a withdrawal must not wait behind the plays of a
week that a new leader plans."""


class Budget:
    """Time that a step may take before the others have their turn."""

    def __init__(self) -> None:
        self._until = time.monotonic() + STEP_SECONDS

    def spent(self) -> bool:
        """Tell whether it is over."""
        return time.monotonic() >= self._until


class SetAside:
    """Rows that are set aside, as they were when the turn began.

    A turn in which none are asks the database once, not once a step.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._steps: set[str] = set()

    async def refresh(self, session: AsyncSession) -> None:
        """Read of which steps there are any."""
        self._steps = await failures.steps(session)

    async def due(self, step: str, now: datetime) -> list[str]:
        """Names of the rows of a step that are to be tried again."""
        if step not in self._steps:
            return []
        async with db.transaction(self._engine) as session:
            return await failures.due(session, step, now)

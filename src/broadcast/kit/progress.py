"""How far long work is, for whoever looks while it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

BREATHE_EVERY = 100
"""Steps after which others get their turn."""


@dataclass
class Progress:
    """Steps that are done of those that are to be done."""

    total: int
    done: int = 0


_present: ContextVar[Progress | None] = ContextVar("progress", default=None)


@contextmanager
def counted(progress: Progress) -> Iterator[None]:
    """Have `step` count here, for as long as this lasts."""
    token = _present.set(progress)
    try:
        yield
    finally:
        _present.reset(token)


async def step() -> None:
    """Count a step of the work around this; nothing where nobody looks."""
    progress = _present.get()
    if progress is None:
        return
    progress.done += 1
    if progress.done % BREATHE_EVERY == 0:
        await asyncio.sleep(0)

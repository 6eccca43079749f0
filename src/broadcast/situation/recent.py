"""Answers of the last second: all open maps ask at the same moment, when something has changed."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Annotated, NamedTuple

from fastapi import Depends, Request

from broadcast.situation.schemas import SituationOut

KEPT_SECONDS = 1.0
"""Age of an answer that is given again; `at` tells when it held. Longer: who has mended something
and reloads sees it broken. Shorter: each of a hundred open maps costs a reading of its own."""

MOST_KEPT = 200


class _Kept(NamedTuple):
    until: float
    answer: SituationOut


class Recent:
    """Answers of one process, by the code of the unit; of callers who find everything."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def get(self, code: str, make: Callable[[], Awaitable[SituationOut]]) -> SituationOut:
        """The answer of the last second, else a new one: made once, however many ask for it."""
        loop = asyncio.get_running_loop()
        async with self._locks[code]:
            kept = self._kept.get(code)
            if kept is None or kept.until < loop.time():
                kept = _Kept(loop.time() + KEPT_SECONDS, await make())
                if len(self._kept) >= MOST_KEPT:
                    self._kept.clear()
                self._kept[code] = kept
        if len(self._locks) > MOST_KEPT and not any(
            map(asyncio.Lock.locked, self._locks.values())
        ):
            self._locks.clear()
        return kept.answer


def _recent(request: Request) -> Recent:
    state = request.app.state
    if not hasattr(state, "situations"):
        state.situations = Recent()
    recent: Recent = state.situations
    return recent


RecentDep = Annotated[Recent, Depends(_recent)]
"""Those of this process, made for the first request."""

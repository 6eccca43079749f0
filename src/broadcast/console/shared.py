"""One answer for all open pages that may see the same, when they were told of the same change.

A page that was told of a change (`live.py`) asks with the version that it was told. An answer
whose transaction began after that version was known says all that the page was told of, so it is
made once. Who asks without a version gets an answer of his own: it shows what he has just changed.

What such an answer is made of is its key: the caller without his name, and the limits that the
database has in force for the transaction. Nothing else of who asked first can be in it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, NamedTuple, cast

from fastapi import Depends, Request, Response
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.auth.caller import Caller
from broadcast.console.live import Hub
from broadcast.console.page import accepts_gzip, language_of
from broadcast.console.words import Language
from broadcast.visibility.sessions import Within, within

VERSION_HEADER = "Live-Version"

MOST_KEPT = 300
KEPT_SECONDS = 10.0
"""Age of an answer that is still given: what it says of the time grows old."""

SHARED = Counter(
    "broadcast_console_shared_parts", "Parts of open pages answered as another one was just now"
)

Make = Callable[[Caller], Awaitable[Response]]


class Key(NamedTuple):
    """Everything that an answer depends on, but for the rows that may be found."""

    address: str
    caller: Caller
    """Without whose name and number."""
    within: Within | None
    """None: the transaction finds everything."""
    language: Language
    is_compressed: bool


@dataclass
class _Kept:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    version: int = -1
    until: float = 0.0
    answer: Response = field(default_factory=Response)


class Shared:
    """Answers of one process."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()

    def is_told(self, request: Request) -> bool:
        """Tell whether a page asks because it was told of a change."""
        return self._hub.told(request.headers.get(VERSION_HEADER)) is not None

    async def answer(
        self, request: Request, session: AsyncSession, caller: Caller, make: Make
    ) -> Response:
        """The answer to a page that was told of a change; to any other a new one.

        Args:
            request: Asks for a part of a page.
            session: A reading transaction of the caller.
            caller: Who asks.
            make: Makes the part for the caller that it is given, who has no name.
        """
        nobody = anonymous(caller)
        told = self._hub.told(request.headers.get(VERSION_HEADER))
        if told is None:
            return await make(nobody)
        key = key_of(request, session, nobody)
        kept = self._kept.setdefault(key, _Kept())
        self._kept.move_to_end(key)
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        loop = asyncio.get_running_loop()
        async with kept.lock:
            if kept.version >= told and loop.time() < kept.until:
                SHARED.inc()
            else:
                version = self._hub.version
                made = await make(nobody)
                if made.status_code != 200:
                    return made
                kept.answer, kept.version = made, version
                kept.until = loop.time() + KEPT_SECONDS
            answer = Response(kept.answer.body)
            answer.raw_headers = [*kept.answer.raw_headers]
            return answer


def anonymous(caller: Caller) -> Caller:
    """What somebody may do and where, without who it is."""
    return caller._replace(account_id=0, name="", credential="", second_factor_until=None)


def key_of(request: Request, session: AsyncSession, caller: Caller) -> Key:
    """The key of an answer in a transaction."""
    url = request.url
    return Key(
        f"{url.path}?{url.query}",
        anonymous(caller),
        within(session),
        language_of(request),
        accepts_gzip(request),
    )


def _shared(request: Request) -> Shared:
    return cast("Shared", request.app.state.shared)


SharedDep = Annotated[Shared, Depends(_shared)]

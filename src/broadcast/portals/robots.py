"""What a site allows programs to fetch: its robots.txt (RFC 9309)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urljoin

from broadcast.kit.fetch import NotFetched, fetch
from broadcast.kit.outbound import Network

if TYPE_CHECKING:
    from protego import Protego

AGENT = "broadcast"
"""As in `User-Agent` of `kit.fetch`."""

MAX_BYTES = 500 * 1024
"""RFC 9309 §2.5: what is read at least; a larger one is none that can be had."""

LONGEST_PAUSE = 10.0
"""Seconds; a site that asks for more between two requests gets this much."""


class Robots(NamedTuple):
    """What a robots.txt says."""

    rules: Protego

    def allows(self, url: str) -> bool:
        """Tell whether a document may be fetched."""
        return bool(self.rules.can_fetch(url, AGENT))

    @property
    def pause(self) -> float:
        """Seconds that it wants between two requests."""
        return min(self.rules.crawl_delay(AGENT) or 0.0, LONGEST_PAUSE)


def parse(text: str) -> Robots:
    """Read a robots.txt; an empty one allows everything."""
    from protego import Protego  # noqa: PLC0415 — only who looks at portals pays for its import

    return Robots(Protego.parse(text))


async def of_site(url: str, seconds: float, allowed: tuple[Network, ...]) -> Robots:
    """The robots.txt of the site of an address.

    A site without one allows everything; one whose robots.txt cannot be had forbids everything
    (RFC 9309 §2.3.1.3 and §2.3.1.4).

    Raises:
        NotFetched: It could not be had.
    """
    try:
        answer = await fetch(
            urljoin(url, "/robots.txt"), most_bytes=MAX_BYTES, seconds=seconds, allowed=allowed,
            stays=True,
        )  # fmt: skip
    except NotFetched as error:
        if error.status is not None and 400 <= error.status < 500:
            return parse("")
        raise
    return await asyncio.to_thread(parse, answer.body.decode("utf-8-sig", "replace"))

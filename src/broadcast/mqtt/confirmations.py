"""Messages that were published and that the broker has not yet confirmed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Confirmations:
    """Bounds the messages on their way, and tells their publishers what became of them.

    A slot is taken until the message is confirmed or the link breaks, even when its publisher
    stops waiting: the message is still on its way.
    """

    def __init__(self, limit: int) -> None:
        """Begin with `limit` free slots."""
        self._slots = asyncio.Semaphore(limit)
        self._pending: dict[int, asyncio.Future[None]] = {}

    async def slot(self) -> None:
        """Wait for a slot and take it."""
        await self._slots.acquire()

    def not_sent(self) -> None:
        """Give back the slot of a message that was not sent."""
        self._slots.release()

    def sent(self, mid: int) -> asyncio.Future[None]:
        """Return the future of a message that was sent: done when the broker confirms it."""
        pending = self._pending[mid] = asyncio.get_running_loop().create_future()
        return pending

    def confirm(self, mid: int) -> None:
        """Take note of a confirmation."""
        if (pending := self._pending.pop(mid, None)) is not None:
            self._slots.release()
            if not pending.done():
                pending.set_result(None)

    def fail(self, error: Callable[[], Exception]) -> None:
        """Take note that the link is broken: nothing on its way will be confirmed.

        Args:
            error: Makes the error of each publisher.
        """
        for pending in self._pending.values():
            self._slots.release()
            if not pending.done():
                pending.set_exception(error())
        self._pending.clear()

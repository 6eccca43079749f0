"""Audio files of all boxes of a process, kept once however many of them hold it.

A thousand devices receive the same sixteen kibibytes a thousand times. Each copy is exchanged for
the first equal one at the door; a corrupt block is equal to none and stays its device's own.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

PASSING_BYTES = 64 * 2**20
"""Blocks of files that no device has completed yet, kept to be shared. Less would let a slow
device hold its own copies, more is memory for nothing."""


class Store:
    """Content-addressed files, counted by the boxes that hold them.

    Args:
        folder: Where the files are written, to outlive the process; in memory when None.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._holders: dict[str, int] = {}
        self._blocks: dict[str, tuple[bytes, ...]] = {}
        self._passing: OrderedDict[str, bytes] = OrderedDict()
        self._passing_bytes = 0
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def share(self, topic: str, payload: bytes) -> bytes:
        """The block that stands for this one: an equal one that is already here, or itself."""
        digest, _, index = topic.removeprefix("content/").partition("/")
        held = self._blocks.get(digest)
        known = self._passing.get(topic)
        if held is not None and index.isdecimal() and int(index) < len(held):
            known = held[int(index)]
        if known is not None:
            return known if known == payload else payload
        self._passing[topic] = payload
        self._passing_bytes += len(payload)
        while self._passing_bytes > PASSING_BYTES:
            _, oldest = self._passing.popitem(last=False)
            self._passing_bytes -= len(oldest)
        return payload

    def keep(self, digest: str, blocks: tuple[bytes, ...]) -> bool:
        """Store a verified file for one more box; tell whether it is new to the process."""
        self._holders[digest] = self._holders.get(digest, 0) + 1
        if digest in self._blocks:
            return False
        if self._folder is not None and not (self._folder / digest).exists():
            temporary = self._folder / f"{digest}.tmp"
            temporary.write_bytes(b"".join(blocks))
            temporary.replace(self._folder / digest)
        self._blocks[digest] = blocks
        for index in range(len(blocks)):
            passed = self._passing.pop(f"content/{digest}/{index}", b"")
            self._passing_bytes -= len(passed)
        return True

    def recover(self, digest: str, size: int) -> bool:
        """After a restart of the process: a box holds this file, if it is still here."""
        if digest not in self._blocks:
            path = self._folder / digest if self._folder is not None else None
            if path is None or not path.exists() or path.stat().st_size != size:
                return False
            self._blocks[digest] = (path.read_bytes(),)
        self._holders[digest] = self._holders.get(digest, 0) + 1
        return True

    def drop(self, digest: str) -> None:
        """A box holds the file no longer; the last one removes it."""
        self._holders[digest] = self._holders.get(digest, 0) - 1
        if self._holders[digest] <= 0:
            del self._holders[digest]
            self._blocks.pop(digest, None)
            if self._folder is not None:
                (self._folder / digest).unlink(missing_ok=True)

    def read(self, digest: str) -> bytes:
        """The whole file; empty when nobody holds it."""
        return b"".join(self._blocks.get(digest, ()))

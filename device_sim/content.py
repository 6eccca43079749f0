"""The audio a device fetches ahead, block by block, and keeps within its storage.

What is needed soonest is fetched first; what no coming item needs makes room. A file counts as
held only when its size and SHA-256 are right and it is written, so nothing partial is played.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from math import inf
from typing import Literal

from broadcast.wire.documents import Audio
from broadcast.wire.events import SkipReason
from broadcast.wire.topics import BLOCK_BYTES, CONTENT, block_count
from device_sim.backoff import doubled
from device_sim.box import Box
from device_sim.chance import fraction
from device_sim.effects import DropContent, StoreContent, Subscribe, Unsubscribe
from device_sim.journal import Change

FETCHES_AT_ONCE = 2
"""One would wait idle for a file that is not published yet; more would hold up the soonest."""

STALL_SECONDS = 30.0
"""Silence after which a fetch is asked for anew: blocks were lost, or are not published yet."""

LONGEST_BACKOFF_SECONDS = 3600.0

State = Literal["ready", "waiting", "bad_audio", "no_codec", "storage_full"]

SKIPS: dict[State, SkipReason] = {
    "waiting": SkipReason.NO_AUDIO,
    "bad_audio": SkipReason.BAD_AUDIO,
    "no_codec": SkipReason.NO_CODEC,
    "storage_full": SkipReason.STORAGE_FULL,
}
"""Why an item is skipped when its audio is still in this state at the end of its window."""


class Fetch:
    """A file on its way."""

    def __init__(self, audio: Audio) -> None:
        self.audio = audio
        self.blocks: list[bytes | None] = [None] * block_count(audio.bytes)
        self.missing = len(self.blocks)
        self.deadline = inf

    def take(self, index: int, payload: bytes) -> bool:
        """Take a block in; tell whether it was one that is missing."""
        if not 0 <= index < len(self.blocks) or self.blocks[index] is not None:
            return False
        last = index == len(self.blocks) - 1
        if len(payload) != (self.audio.bytes - index * BLOCK_BYTES if last else BLOCK_BYTES):
            return False
        self.blocks[index] = payload
        self.missing -= 1
        return True


class Content:
    """The audio store of one device."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self._needed: dict[str, Audio] = {}
        self._oversize: set[str] = set()
        self._bad: set[str] = set()
        self._active: dict[str, Fetch] = {}
        self._paused: dict[str, Fetch] = {}
        self._retry_at: dict[str, float] = {}
        self._attempts: dict[str, int] = {}
        self._connected = False
        self._look = False
        """A fetch may have become possible."""

    @property
    def bad(self) -> bool:
        """Tell whether a needed file arrived corrupt and has not been replaced."""
        return not self._bad.isdisjoint(self._needed)

    @property
    def full(self) -> bool:
        """Tell whether a needed file does not fit."""
        return bool(self._oversize)

    @property
    def budget_bytes(self) -> int:
        """Most that may be stored."""
        config, own = self._box.config, self._box.identity.storage_bytes
        return (
            own
            if config is None or config.storage_bytes is None
            else min(own, config.storage_bytes)
        )

    @property
    def used_bytes(self) -> int:
        """Content stored now."""
        return sum(self._box.memory.content.values())

    def rendition(self, audio: Iterable[Audio]) -> Audio | None:
        """The rendition this device plays: the first whose codec it knows."""
        codecs = self._box.identity.codecs
        return next((a for a in audio if a.codec in codecs), None)

    def state(self, audio: Audio | None) -> State:
        """Progress of the chosen rendition; None stands for no codec that fits."""
        if audio is None:
            return "no_codec"
        if audio.sha256 in self._box.memory.content:
            return "ready"
        if audio.sha256 in self._bad:
            return "bad_audio"
        return "storage_full" if audio.sha256 in self._oversize else "waiting"

    def filters(self) -> tuple[str, ...]:
        """Subscriptions in use."""
        return tuple(_filter(digest) for digest in self._active)

    def require(self, audio: Iterable[Audio], now: float) -> None:
        """Take over what coming items need, soonest first, and drop what else was under way."""
        self._needed = {}
        self._oversize = set()
        room = self.budget_bytes
        for one in audio:
            if one.sha256 in self._needed or one.sha256 in self._oversize:
                continue
            if one.bytes > room:
                self._oversize.add(one.sha256)
            else:
                room -= one.bytes
                self._needed[one.sha256] = one
        for digest in [d for d in self._active if d not in self._needed]:
            del self._active[digest]
            self._box.emit(Unsubscribe((_filter(digest),)))
        self._paused = {k: v for k, v in self._paused.items() if k in self._needed}
        self._retry_at = {k: v for k, v in self._retry_at.items() if k in self._needed}
        self._attempts = {k: v for k, v in self._attempts.items() if k in self._needed}
        self._bad &= self._needed.keys()
        self._look = True
        self.proceed(now)

    def connected(self, now: float) -> None:
        """The link is up; `filters` have just been subscribed."""
        self._connected = self._look = True
        for fetch in self._active.values():
            fetch.deadline = now + STALL_SECONDS
        self.proceed(now)

    def disconnected(self) -> None:
        """The link is down: nothing stalls, nothing is asked for."""
        self._connected = False

    def block(self, digest: str, index: int, payload: bytes, now: float) -> bool:
        """Take a block; tell whether it completed a file, sound or not."""
        fetch = self._active.get(digest)
        if fetch is None or not fetch.take(index, payload):
            return False
        fetch.deadline = now + STALL_SECONDS
        if fetch.missing:
            return False
        del self._active[digest]
        self._look = True
        self._box.emit(Unsubscribe((_filter(digest),)))
        blocks = tuple(block for block in fetch.blocks if block is not None)
        if _digest(blocks) == digest:
            self._store(fetch.audio, blocks)
        else:
            self._bad.add(digest)
            self._back_off(digest, now)
        self.proceed(now)
        return True

    def admit(self, audio: Audio, payload: bytes) -> bool:
        """Take a whole file that came with an alert; tell whether it is what it claims to be."""
        if audio.sha256 in self._box.memory.content:
            return True
        blocks = tuple(
            payload[at : at + BLOCK_BYTES] for at in range(0, len(payload), BLOCK_BYTES)
        )
        if len(payload) != audio.bytes or _digest(blocks) != audio.sha256:
            return False
        self._make_room(audio.bytes)
        self._store(audio, blocks)
        return True

    def proceed(self, now: float) -> None:
        """Give up on what stalls and start what may be fetched next."""
        if not self._connected or not (self._look or self.wake() <= now):
            return
        self._look = False
        for digest in [d for d, fetch in self._active.items() if fetch.deadline <= now]:
            self._paused[digest] = self._active.pop(digest)
            self._box.emit(Unsubscribe((_filter(digest),)))
            self._back_off(digest, now)
        for digest, audio in self._needed.items():
            if len(self._active) >= FETCHES_AT_ONCE:
                break
            if self._idle(digest, now):
                self._make_room(audio.bytes)
                fetch = self._paused.pop(digest, None) or Fetch(audio)
                fetch.deadline = now + STALL_SECONDS
                self._retry_at.pop(digest, None)
                self._active[digest] = fetch
                self._box.emit(Subscribe((_filter(digest),)))

    def wake(self) -> float:
        """Monotonic second at which `proceed` has something to do."""
        if not self._connected:
            return inf
        deadlines = [fetch.deadline for fetch in self._active.values()]
        retries = self._retry_at.values() if len(self._active) < FETCHES_AT_ONCE else ()
        return min((*deadlines, *retries), default=inf)

    def _idle(self, digest: str, now: float) -> bool:
        return (
            digest not in self._active
            and digest not in self._box.memory.content
            and self._retry_at.get(digest, -inf) <= now
        )

    def _store(self, audio: Audio, blocks: tuple[bytes, ...]) -> None:
        self._bad.discard(audio.sha256)
        self._attempts.pop(audio.sha256, None)
        self._retry_at.pop(audio.sha256, None)
        self._box.emit(StoreContent(audio.sha256, blocks))
        self._box.write(Change(content={audio.sha256: audio.bytes}))

    def _make_room(self, wanted: int) -> None:
        """Delete what nobody needs, oldest first, until the file fits."""
        excess = self.used_bytes + wanted - self.budget_bytes
        for digest, size in list(self._box.memory.content.items()):
            if excess <= 0:
                return
            if digest not in self._needed:
                excess -= size
                self._box.write(Change(content={digest: 0}))
                self._box.emit(DropContent(digest))

    def _back_off(self, digest: str, now: float) -> None:
        attempt = self._attempts[digest] = self._attempts.get(digest, 0) + 1
        seconds = doubled(STALL_SECONDS, attempt - 1, LONGEST_BACKOFF_SECONDS)
        jitter = fraction(self._box.identity.device_id, digest, attempt)
        self._retry_at[digest] = now + seconds * (0.75 + jitter / 2)


def _filter(digest: str) -> str:
    return CONTENT.filter(sha256=digest)


@lru_cache(maxsize=32)
def _digest(blocks: tuple[bytes, ...]) -> str:
    """SHA-256 of a file; remembered, because in a fleet many devices assemble the same blocks."""
    digest = sha256()
    for block in blocks:
        digest.update(block)
    return digest.hexdigest()

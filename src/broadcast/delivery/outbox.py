"""The outbox at work: content blocks first, then the documents that need them, all retained.

What the broker confirmed is marked; everything else is sent again. A document waits for no audio
but its own, so a withdrawal overtakes an hour of speech.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol

import sqlalchemy as sa
import structlog
from prometheus_client import Counter, Gauge
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast.bulletins.audio.prepared import content_path
from broadcast.delivery import content
from broadcast.delivery.content import File
from broadcast.kit import db, failures
from broadcast.kit.errors import Unavailable
from broadcast.programmes import issue
from broadcast.programmes.issue import Issued
from broadcast.programmes.model import Document
from broadcast.wire import WireError
from broadcast.wire.envelope import read_own
from broadcast.wire.limits import DOCUMENT_BYTES
from broadcast.wire.topics import BLOCK_BYTES, CONTENT, block_count, scope_topic

log = structlog.get_logger()

PUBLISHED = Counter("broadcast_documents_published", "Documents the broker confirmed")
UNPUBLISHED = Gauge("broadcast_documents_unpublished", "Documents the broker has not confirmed")
CONTENT_PUBLISHED = Counter("broadcast_content_published_bytes", "Audio the broker confirmed")
CONTENT_MISSING = Gauge(
    "broadcast_content_unreadable", "Audio files that are wanted and cannot be read"
)

DOCUMENTS = ("/state/", "/live/sessions")
"""One of these is in the topic of every document."""

AT_ONCE = 500
BLOCKS_AT_ONCE = 64
"""1 MiB on its way: a second of a 10 Mbit/s uplink, so documents never wait long behind audio."""
BYTES_PER_TURN = 16 * 2**20
"""Audio published before everything else gets its turn: about a second."""


class Publisher(Protocol):
    """The link, as far as this module needs it."""

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish with QoS 1, and return when the broker has confirmed it."""


class Outgoing(NamedTuple):
    """A document that the broker has not confirmed."""

    scope: str
    kind: str
    revision: int
    token: bytes

    def check(self) -> None:
        """Refuse at a glance what is no document; a fifteenth of what reading it takes.

        Raises:
            WireError: It is none.
        """
        if len(self.token) > DOCUMENT_BYTES or self.token.count(b".") != 2:
            raise WireError(f"{len(self.token)} bytes that are no signed document")

    def needs(self) -> set[str]:
        """Audio that must be at the broker before it.

        Raises:
            WireError: It cannot be read.
        """
        return {audio.sha256 for audio in issue.needed_audio(read_own(self.token))}


class Outbox:
    """Publishes what the tables say the broker should hold."""

    def __init__(
        self, engine: AsyncEngine, link: Publisher, prefix: str, content_dir: Path
    ) -> None:
        """Describe the outbox.

        Args:
            engine: Where documents and content are listed.
            link: To the broker.
            prefix: First levels of every topic.
            content_dir: Where the audio lies.
        """
        self._engine = engine
        self._link = link
        self._prefix = prefix
        self._content_dir = content_dir
        self._unreadable: set[str] = set()
        self._said: dict[str, tuple[bytes, ...]] = {}
        """Digests of the last two payloads published under the topic of each document."""

    def is_own(self, topic: str, payload: bytes) -> bool:
        """Tell whether this was last published here under the topic, prefix included."""
        return _digest(payload) in self._said.get(topic, ())

    async def remove(self, topics: Sequence[str]) -> None:
        """Have the broker forget what it retains under these topics of documents.

        Raises:
            Unavailable: The broker is away.
        """
        for first in range(0, len(topics), AT_ONCE):
            some = topics[first : first + AT_ONCE]
            _raise_first(await asyncio.gather(*(self._attempt(topic, b"") for topic in some)))

    async def publish_issued(self, issued: Iterable[Issued], now: datetime) -> None:
        """Publish documents that have just been stored and whose audio is there.

        Raises:
            Unavailable: The broker is away; what was confirmed is marked.
        """
        await self._send(
            [
                Outgoing(document.scope, each.kind, document.revision, each.token)
                for each in issued
                for document in (each.document,)
            ],
            now,
        )

    async def publish(self, now: datetime) -> bool:
        """Publish what is wanted and not confirmed, and remove what nothing needs.

        1. Documents whose audio is there.
        2. The next audio files, and what has waited for each of them.
        3. Removal of audio that nothing needs.

        Returns:
            Whether more is waiting: audio is published some at a time.

        Raises:
            Unavailable: The broker is away; what was confirmed is marked.
        """
        async with db.transaction(self._engine) as session:
            waiting = await content.missing(session)
            superfluous = await content.superfluous(session, now)
        self._unreadable &= {file.sha256 for file in waiting}
        await self._documents({file.sha256 for file in waiting}, now)
        total = 0
        while waiting and total < BYTES_PER_TURN:
            file = waiting.pop(0)
            if await self._file(file, now):
                total += file.size_bytes
            await self._documents({each.sha256 for each in waiting}, now)
        CONTENT_MISSING.set(len(self._unreadable))
        for file in superfluous:
            await self._remove(file, now)
        return bool(waiting)

    async def _documents(self, waiting: set[str], now: datetime) -> None:
        """Publish all documents that need none of the audio that waits."""
        waiting -= self._unreadable
        last: Outgoing | None = None
        while True:
            async with db.transaction(self._engine) as session:
                rows = await unpublished(session, last)
                ready = await self._ready(session, rows, waiting, now)
            if last is None:
                UNPUBLISHED.set(len(rows))
            await self._send(ready, now)
            if len(rows) < AT_ONCE:
                return
            last = rows[-1]

    async def _ready(
        self, session: AsyncSession, rows: Sequence[Outgoing], waiting: set[str], now: datetime
    ) -> list[Outgoing]:
        """Those of the documents that need none of the audio that waits.

        What cannot be published is told, and what cannot be read is issued anew.
        """
        ready = []
        for row in rows:
            try:
                scope_topic(row.scope, row.kind)
                row.check()
                held_up = bool(waiting) and not waiting.isdisjoint(row.needs())
            except WireError:
                await issue.mark_dirty(session, [row.scope], row.kind, now)
            except ValueError as error:
                name = f"{row.scope}/{row.kind}"
                if name not in await failures.waiting(session, "publish", now):
                    await failures.record(session, "publish", name, error, now)
            else:
                if not held_up:
                    ready.append(row)
        return ready

    async def _send(self, documents: Sequence[Outgoing], now: datetime) -> None:
        outcomes = await asyncio.gather(
            *(
                self._attempt(scope_topic(document.scope, document.kind), document.token)
                for document in documents
            )
        )
        sent = [d for d, error in zip(documents, outcomes, strict=True) if error is None]
        if sent:
            async with db.transaction(self._engine) as session:
                await confirm(session, sent, now)
            PUBLISHED.inc(len(sent))
        _raise_first(outcomes)

    async def _attempt(self, topic: str, payload: bytes) -> Unavailable | None:
        """Publish, and tell what came in the way: one lost message stops no other."""
        if any(each in topic for each in DOCUMENTS):
            name = f"{self._prefix}/{topic}"
            self._said[name] = (*self._said.get(name, ())[-1:], _digest(payload))
        try:
            await self._link.publish(f"{self._prefix}/{topic}", payload, retain=True)
        except Unavailable as error:
            return error
        return None

    async def _file(self, file: File, now: datetime) -> bool:
        """Publish a file; its first block last, because that one stands for all of them."""
        path = content_path(self._content_dir, file.sha256)
        try:
            data = await asyncio.to_thread(_read, path, file.sha256)
        except OSError as error:
            if file.sha256 not in self._unreadable:
                log.warning("programmes.content.unreadable", sha256=file.sha256, error=str(error))
            self._unreadable.add(file.sha256)
            return False
        blocks = range(block_count(len(data)))
        await self._blocks(file.sha256, blocks[1:], data)
        await self._blocks(file.sha256, blocks[:1], data)
        async with db.transaction(self._engine) as session:
            await content.confirm(session, file.sha256, now)
        self._unreadable.discard(file.sha256)
        CONTENT_PUBLISHED.inc(len(data))
        return True

    async def _remove(self, file: File, now: datetime) -> None:
        await self._blocks(file.sha256, range(block_count(file.size_bytes)), b"")
        async with db.transaction(self._engine) as session:
            await content.confirm_removal(session, file.sha256, now)
        log.info("programmes.content.removed", sha256=file.sha256)

    async def _blocks(self, sha256: str, indexes: range, data: bytes) -> None:
        for first in range(0, len(indexes), BLOCKS_AT_ONCE):
            outcomes = await asyncio.gather(
                *(
                    self._attempt(
                        CONTENT.build(sha256=sha256, index=str(index)),
                        data[index * BLOCK_BYTES : (index + 1) * BLOCK_BYTES],
                    )
                    for index in indexes[first : first + BLOCKS_AT_ONCE]
                )
            )
            _raise_first(outcomes)


def _read(path: Path, sha256: str) -> bytes:
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise OSError(f"{path} is not what its name says; restore it from a backup")
    return data


def _raise_first(outcomes: Sequence[Unavailable | None]) -> None:
    for error in outcomes:
        if error is not None:
            raise error


async def unpublished(session: AsyncSession, after: Outgoing | None = None) -> list[Outgoing]:
    """Documents that the broker has not confirmed, oldest first, `AT_ONCE` of them."""
    statement = sa.select(Document.scope, Document.kind, Document.revision, Document.token).where(
        Document.published_revision < Document.revision
    )
    order = (Document.revision, Document.scope, Document.kind)
    if after is not None:
        last = (after.revision, after.scope, after.kind)
        statement = statement.where(sa.tuple_(*order) > last)
    rows = await session.execute(statement.order_by(*order).limit(AT_ONCE))
    return [Outgoing(*row) for row in rows]


_CONFIRM = sa.text("""
    WITH n AS (
        SELECT * FROM unnest(
            CAST(:scopes AS text[]), CAST(:kinds AS text[]), CAST(:revisions AS bigint[])
        ) AS n (scope, kind, revision)
    ),
    programmes AS (
        UPDATE programme_revisions AS p SET published_at = :now
        FROM n WHERE p.scope = n.scope AND p.kind = n.kind AND p.revision = n.revision
          AND p.published_at IS NULL
    )
    UPDATE documents AS d SET published_revision = n.revision, published_at = :now
    FROM n WHERE d.scope = n.scope AND d.kind = n.kind AND d.published_revision < n.revision
""")


async def confirm(session: AsyncSession, sent: Sequence[Outgoing], now: datetime) -> None:
    """Note that the broker has these documents."""
    await session.execute(
        _CONFIRM,
        {
            "scopes": [document.scope for document in sent],
            "kinds": [document.kind for document in sent],
            "revisions": [document.revision for document in sent],
            "now": now,
        },
    )


def _digest(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=16).digest()

"""The outbox at work: content blocks first, then the documents that need them, all retained.

What the broker confirmed is marked; everything else is sent again. The broker may forget what it
retained (a restart without persistence): `Mirror` sees what it really holds.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa
import structlog
from prometheus_client import Counter, Gauge
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast import db
from broadcast.bulletins.audio import content_path
from broadcast.programmes import issue
from broadcast.programmes.keys import Keys
from broadcast.programmes.model import Document, ProgrammeRevision, PublishedContent
from broadcast.programmes.reconcile import Kept, compare
from broadcast.wire.envelope import Verifier
from broadcast.wire.topics import (
    AREA_STATE,
    BLOCK_BYTES,
    CONTENT,
    DEVICE_STATE,
    block_count,
    scope_topic,
)

log = structlog.get_logger()

PUBLISHED = Counter("broadcast_documents_published", "Documents the broker confirmed")
UNPUBLISHED = Gauge("broadcast_documents_unpublished", "Documents the broker has not confirmed")
CONTENT_MISSING = Counter("broadcast_publish_content_missing", "Audio that is not to be found")

AT_ONCE = 500
BLOCKS_AT_ONCE = 64
"""1 MiB on its way: a second of a 10 Mbit/s uplink, so documents never wait long behind audio."""


class Publisher(Protocol):
    """What this module needs of the link."""

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish with QoS 1, and return when the broker has confirmed it."""


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

    async def publish_content(self, now: datetime) -> int:
        """Publish the audio that is wanted and not there yet; returns how many files.

        Raises:
            Unavailable: The broker is away; what was confirmed is marked.
        """
        async with db.transaction(self._engine) as session:
            rows = await session.execute(
                sa.select(PublishedContent.sha256)
                .where(
                    PublishedContent.published_at.is_(None), PublishedContent.removed_at.is_(None)
                )
                .order_by(PublishedContent.wanted_until)
            )
            wanted = list(rows.scalars())
        count = 0
        for sha256 in wanted:
            path = content_path(self._content_dir, sha256)
            try:
                data = await asyncio.to_thread(path.read_bytes)
            except OSError as error:
                CONTENT_MISSING.inc()
                log.warning("programmes.content.missing", sha256=sha256, error=str(error))
                continue
            await self._blocks(sha256, data)
            async with db.transaction(self._engine) as session:
                await session.execute(
                    sa.update(PublishedContent)
                    .where(PublishedContent.sha256 == sha256)
                    .values(published_at=now)
                )
            count += 1
        return count

    async def publish_documents(self, now: datetime) -> int:
        """Publish documents the broker has not confirmed yet; returns how many.

        Raises:
            Unavailable: The broker is away; what was confirmed before is published again.
        """
        async with db.transaction(self._engine) as session:
            rows = (
                await session.execute(
                    sa.select(Document.scope, Document.kind, Document.revision, Document.token)
                    .where(Document.published_revision < Document.revision)
                    .order_by(Document.revision)
                    .limit(AT_ONCE)
                )
            ).all()
        UNPUBLISHED.set(len(rows))
        if not rows:
            return 0
        await asyncio.gather(
            *(
                self._link.publish(self._topic(scope_topic(scope, kind)), token, retain=True)
                for scope, kind, _, token in rows
            )
        )
        async with db.transaction(self._engine) as session:
            for scope, kind, revision, _ in rows:
                await _confirm(session, scope, kind, revision, now)
        PUBLISHED.inc(len(rows))
        return len(rows)

    async def remove_content(self, now: datetime) -> int:
        """Remove audio from the broker that no item needs any more; returns how many files."""
        async with db.transaction(self._engine) as session:
            rows = (
                await session.execute(
                    sa.select(PublishedContent.sha256, PublishedContent.size_bytes).where(
                        PublishedContent.wanted_until < now,
                        PublishedContent.removed_at.is_(None),
                    )
                )
            ).all()
        for sha256, size in rows:
            await self._blocks(sha256, b"", block_count(size))
            async with db.transaction(self._engine) as session:
                await session.execute(
                    sa.update(PublishedContent)
                    .where(PublishedContent.sha256 == sha256, PublishedContent.wanted_until < now)
                    .values(removed_at=now)
                )
        return len(rows)

    async def _blocks(self, sha256: str, data: bytes, count: int | None = None) -> None:
        indexes = range(count if count is not None else block_count(len(data)))
        for first in indexes[::BLOCKS_AT_ONCE]:
            await asyncio.gather(
                *(
                    self._link.publish(
                        self._topic(CONTENT.build(sha256=sha256, index=str(index))),
                        data[index * BLOCK_BYTES : (index + 1) * BLOCK_BYTES],
                        retain=True,
                    )
                    for index in indexes[first : first + BLOCKS_AT_ONCE]
                )
            )

    def _topic(self, topic: str) -> str:
        return f"{self._prefix}/{topic}"


async def _confirm(
    session: AsyncSession, scope: str, kind: str, revision: int, now: datetime
) -> None:
    await session.execute(
        sa.update(Document)
        .where(
            Document.scope == scope,
            Document.kind == kind,
            Document.published_revision < revision,
        )
        .values(published_revision=revision, published_at=now)
    )
    if kind == "programme":
        await session.execute(
            sa.update(ProgrammeRevision)
            .where(
                ProgrammeRevision.scope == scope,
                ProgrammeRevision.revision == revision,
                ProgrammeRevision.published_at.is_(None),
            )
            .values(published_at=now)
        )


def mirrored(prefix: str) -> list[tuple[str, int]]:
    """Subscriptions that show what the broker retains: documents, and the first blocks."""
    return [
        (f"{prefix}/{topic}", 1)
        for topic in (AREA_STATE.filter(), DEVICE_STATE.filter(), CONTENT.filter(index="0"))
    ]


class Mirror:
    """What the broker said it retains, since the last connect.

    It tells after every connect, because subscribing brings what is retained.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = f"{prefix}/"
        self._connection = -1
        self._documents: dict[str, bytes] = {}
        self._content: set[str] = set()

    def saw(self, connection: int, topic: str, payload: bytes) -> None:
        """Note a retained message, or one that becomes retained."""
        self._belong_to(connection)
        topic = topic.removeprefix(self._prefix)
        block = CONTENT.match(topic)
        if block is not None:
            (self._content.add if payload else self._content.discard)(block["sha256"])
        elif payload:
            self._documents[topic] = payload
        else:
            self._documents.pop(topic, None)

    def _belong_to(self, connection: int) -> None:
        if connection != self._connection:
            self._connection = connection
            self._documents.clear()
            self._content.clear()

    async def mend(
        self, connection: int, session: AsyncSession, keys: Keys, now: datetime
    ) -> tuple[int, int]:
        """Have published again what the broker lost, and issued anew what it has newer than us.

        Returns:
            Documents and audio files that will be published again.
        """
        self._belong_to(connection)
        rows = await session.execute(
            sa.select(Document.scope, Document.kind, Document.revision, Document.token)
        )
        names: dict[str, tuple[str, str]] = {}
        kept: dict[str, Kept] = {}
        for scope, kind, revision, token in rows:
            topic = scope_topic(scope, kind)
            names[topic] = scope, kind
            kept[topic] = Kept(revision, hashlib.sha256(token).digest())
        differences = compare(kept, self._documents, Verifier(keys.public()))
        for topic in differences.missing:
            scope, kind = names[topic]
            await session.execute(
                sa.update(Document)
                .where(Document.scope == scope, Document.kind == kind)
                .values(published_revision=0)
            )
        for topic, revision in differences.newer.items():
            scope, _, kind = topic.partition("/state/")
            if kind in {"programme", "config"}:
                await issue.issue_above(session, scope, kind, revision, keys, now)
        lost = await self._lost_content(session)
        return len(differences.missing) + len(differences.newer), lost

    async def _lost_content(self, session: AsyncSession) -> int:
        held: Iterable[str] = self._content
        lost = await session.execute(
            sa.update(PublishedContent)
            .where(
                PublishedContent.published_at.is_not(None),
                PublishedContent.removed_at.is_(None),
                PublishedContent.sha256.not_in(list(held)),
            )
            .values(published_at=None)
            .returning(PublishedContent.sha256)
        )
        return len(lost.all())

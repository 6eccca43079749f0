"""Documents that every device should hold, in memory: comparing a heartbeat costs no query.

A document counts once its publication is old enough for the device to have it and to have said
so; the heartbeat that was on its way meanwhile is no reason to send it again.

A database that was restored says what was to be held some time ago. Nothing is sent again before
the leader, which compares it with the broker, has been seen to have its mark grow.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.delivery.reconcile import behind
from broadcast.programmes.model import Document
from broadcast.restore.state import believed_mark
from broadcast.wire.documents import DOCUMENT_KINDS

log = structlog.get_logger()

REFRESH_EVERY = timedelta(seconds=10)
TIME_TO_REPORT = timedelta(seconds=120)
"""Two heartbeats. Shorter: what is on its way is sent twice. Longer: a lost document is missed
for as long."""
SAME_AGAIN_AFTER = timedelta(minutes=10)
"""A device obeys the same re-sending once; until then it may be on its way to it."""
OVERLAP = timedelta(minutes=1)
"""Publications are read again for so long, because transactions commit out of order."""


class _FollowedAreas(msgspec.Struct):
    areas: list[str]


class _Published(NamedTuple):
    """A document that was published; once it has lapsed no device can take it, nor needs it."""

    revision: int
    at: datetime
    not_after: datetime


class DesiredDocuments:
    """Published documents, and which devices follow them."""

    def __init__(self) -> None:
        self._published: dict[str, _Published] = {}
        """The newest by document."""
        self._followed: dict[str, tuple[str, ...]] = {}
        """Device → documents it should hold."""
        self._content: dict[str, Mapping[str, int]] = {}
        """Device → documents it held when none newer was known; emptied when one is."""
        self._sent: dict[tuple[str, str, int], datetime] = {}
        self._refreshed_at: datetime | None = None
        self._newest: datetime | None = None
        self._first_mark: int | None = None
        self._mark: int | None = None

    def is_due(self, now: datetime) -> bool:
        """Tell whether `refresh` has not been called for a while."""
        return self._refreshed_at is None or now >= self._refreshed_at + REFRESH_EVERY

    @property
    def is_believed(self) -> bool:
        """The mark of the database has grown since it was first seen."""
        return None not in {self._mark, self._first_mark} and self._mark != self._first_mark

    async def refresh(self, session: AsyncSession, now: datetime) -> None:
        """Read what was published since the last time; seldom anything."""
        self._refreshed_at = now
        mark = await believed_mark(session)
        if mark is None or (self._mark is not None and mark < self._mark):
            self._forget()
        self._mark = mark
        if mark is None:
            return
        if self._first_mark is None:
            self._first_mark = mark
        token = sa.case((Document.kind == "config", Document.token), else_=None)
        published = sa.select(
            Document.scope, Document.kind, Document.revision, Document.published_at,
            Document.not_after, token,
        ).where(
            Document.published_revision == Document.revision, Document.published_at.is_not(None)
        )  # fmt: skip
        if self._newest is not None:
            published = published.where(Document.published_at > self._newest - OVERLAP)
        for scope, kind, *values, config in await session.execute(published):
            news = _Published(*values)
            if self._published.get(f"{scope}/{kind}") != news:
                self._content.clear()
            self._published[f"{scope}/{kind}"] = news
            self._newest = max(self._newest or news.at, news.at)
            if config is not None:
                try:
                    followed = _documents(scope, config)
                except (ValueError, IndexError, msgspec.MsgspecError) as error:
                    # It is issued anew when it is looked through; what was known stands till then.
                    log.error("programmes.config.unreadable", scope=scope, error=str(error))  # noqa: TRY400
                else:
                    self._followed[scope.removeprefix("device/")] = followed
        self._sent = {k: at for k, at in self._sent.items() if now < at + SAME_AGAIN_AFTER}

    def _forget(self) -> None:
        """Believe nothing that was read of a database that is another one now."""
        self._published.clear()
        self._followed.clear()
        self._content.clear()
        self._newest = self._first_mark = None

    def missing(self, device_code: str, held: Mapping[str, int], now: datetime) -> list[str]:
        """Documents (`{scope}/{kind}`) that a device has had time to hold, and does not."""
        content = self._content.get(device_code)
        if not self.is_believed:
            return []
        if content is held or content == held:
            return []
        known = {
            key: self._published[key]
            for key in self._followed.get(device_code, ())
            if key in self._published and now < self._published[key].not_after
        }
        if all(held.get(key, 0) >= each.revision for key, each in known.items()):
            self._content[device_code] = held
            return []
        wanted = {
            key: each.revision for key, each in known.items() if each.at + TIME_TO_REPORT <= now
        }
        late = behind(held, wanted)
        return [key for key in late if (device_code, key, wanted[key]) not in self._sent]

    def sent(self, device_code: str, documents: Collection[str], now: datetime) -> None:
        """Remember that these were sent to a device again."""
        for key in documents:
            self._sent[device_code, key, self._published[key].revision] = now


def _documents(scope: str, config: bytes) -> tuple[str, ...]:
    payload = config.split(b".")[1]
    areas = msgspec.json.decode(
        base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)), type=_FollowedAreas
    ).areas
    shared = [f"area/{code}/{kind}" for code in areas for kind in ("programme", "alerts")]
    own = [f"{scope}/{kind}" for kind in DOCUMENT_KINDS]
    return tuple(map(sys.intern, own + shared))  # thousands of devices follow the same areas


async def tokens(session: AsyncSession, documents: Collection[str]) -> dict[str, bytes]:
    """Documents as published, by `{scope}/{kind}`."""
    keys = [tuple(key.rsplit("/", 1)) for key in documents]
    rows = await session.execute(
        sa.select(Document.scope, Document.kind, Document.token).where(
            sa.tuple_(Document.scope, Document.kind).in_(keys)
        )
    )
    return {f"{scope}/{kind}": token for scope, kind, token in rows}

"""Reading the feeds of other authorities: what is new in an index is taken as if handed in.

Each feed has an account of its own, so that the audit tells where a message came from, and a row
that says when it was read and what was wrong. A feed that fails is asked again at its time; what
is new and could not be fetched is tried again then.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
import structlog
from prometheus_client import Counter
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast import config
from broadcast.accounts.people import create_account
from broadcast.alerts.cap import index, policy, receiving
from broadcast.alerts.cap.model import CapFeed
from broadcast.alerts.cap.policy import Feed
from broadcast.alerts.cap.reading import MAX_BYTES, Unreadable, parse
from broadcast.areas import scope
from broadcast.audit.recording import Record
from broadcast.auth.caller import Caller, HeldRole
from broadcast.auth.model import AccountKind
from broadcast.auth.permissions import Permission, Role
from broadcast.kit import db
from broadcast.kit.english import Said
from broadcast.kit.errors import InvalidInput, TooManyRequests
from broadcast.kit.fetch import Answer, NotFetched, fetch
from broadcast.kit.times import Moment

log = structlog.get_logger()

READ = Counter("broadcast_cap_feeds_read", "Readings of feeds by outcome", ["outcome"])

LOOK_EVERY = timedelta(seconds=15)
"""How often is looked which feed is due."""

SECONDS = 20.0
"""For one document."""

MOST_AT_ONCE = 40
"""Messages fetched of one feed in one reading; the rest at the next."""


class FeedOut(BaseModel):
    """A feed that is read, and how that goes."""

    url: str
    name: str
    read_at: Moment | None
    succeeded_at: Moment | None
    error: Said = Field(description="sai gì ở lần đọc gần nhất; rỗng: không sai gì")


async def feeds(session: AsyncSession) -> list[FeedOut]:
    """The feeds that are read, by name."""
    rows = await session.scalars(sa.select(CapFeed).order_by(CapFeed.name, CapFeed.url))
    return [FeedOut.model_validate(row, from_attributes=True) for row in rows]


class FeedReader:
    """Reads those of the province's feeds that are due; a job of the leader."""

    def __init__(self, engine: AsyncEngine, settings: config.Settings) -> None:
        self._engine = engine
        self._settings = settings

    async def run(self, now: datetime) -> None:
        """Read what is due, one feed after another."""
        if self._settings.cap.file is None:
            return
        try:
            known = await asyncio.to_thread(policy.load, self._settings.cap.file)
        except (InvalidInput, OSError) as error:
            log.warning("alerts.cap.policy.unreadable", error=str(error))
            return
        await self._forget_others({each.url for each in known.feeds})
        for feed in known.feeds:
            await self.read(feed, now)

    async def read(self, feed: Feed, now: datetime) -> None:
        """Read one feed if it is due, and take what is new in it."""
        async with db.transaction(self._engine) as session:
            row = await _row(session, feed, now)
            if row.read_at is not None and now - row.read_at < feed.every:
                return
            row.read_at = now  # whatever becomes of it, not again before its time
            state = _State(row.account_id, frozenset(row.seen), row.etag, row.modified)
        try:
            answer = await self._fetch(feed, feed.url, state.etag, state.modified)
            done = await self._take_new(feed, answer, state, now)
        except (NotFetched, Unreadable) as error:
            await self._note(feed, error=str(error))
            READ.labels("failed").inc()
            log.warning("alerts.cap.feed.failed", feed=feed.name, error=str(error))
            return
        READ.labels("read").inc()
        if done is None:
            await self._note(feed, succeeded_at=now, error="")
            return
        # An index of which something is missing is asked for whole again.
        await self._note(
            feed, succeeded_at=now, seen=done.seen, error=done.detail,
            etag=answer.etag if done.is_whole else "",
            modified=answer.modified if done.is_whole else "",
        )  # fmt: skip

    async def _fetch(self, feed: Feed, url: str, etag: str = "", modified: str = "") -> Answer:
        return await fetch(
            url, most_bytes=MAX_BYTES, seconds=SECONDS, allowed=feed.networks,
            etag=etag, modified=modified,
        )  # fmt: skip

    async def _take_new(
        self, feed: Feed, answer: Answer, state: _State, now: datetime
    ) -> _Done | None:
        """Take what is listed and new; None where nothing has changed."""
        if not answer.is_new:
            return None
        root = await asyncio.to_thread(parse, answer.body)
        listed = index.entries(root, answer.url)
        if listed is None:
            raise Unreadable("không phải danh mục Atom, RSS hay bản tin CAP; kiểm tra địa chỉ")
        seen = [each.key for each in listed if each.key in state.seen]
        fresh = [each for each in listed if each.key not in state.seen]
        taken: list[str] = []
        problems: list[str] = []
        # Of the newest the oldest first: an Update comes after what it updates.
        for entry in reversed(fresh[:MOST_AT_ONCE]):
            try:
                if entry.message is not None:
                    data = await asyncio.to_thread(index.document, entry.message)
                else:
                    data = (await self._fetch(feed, entry.url)).body
                await self._take(data, feed, state.account_id, now)
            except (NotFetched, TooManyRequests) as error:
                problems.append(str(error))
                continue
            taken.append(entry.key)
        detail = f"{len(problems)} bản tin chưa tải được: {problems[0]}" if problems else ""
        return _Done(seen + taken, len(taken) == len(fresh), detail)

    async def _take(self, data: bytes, feed: Feed, account_id: int, now: datetime) -> None:
        async with db.transaction(self._engine) as session:
            caller = Caller(
                account_id, feed.account_name, f"feed/{account_id}",
                (HeldRole(Role.SERVICE, None),),
            )  # fmt: skip
            record = Record("cap feed", "Nhận bản tin cảnh báo từ nguồn CAP", feed.url)
            record.who = caller.who
            record.begin(session)
            scope.require_whole(session, caller, Permission.ALERT_SUBMIT)
            await receiving.take(session, data, self._settings, caller, now)
            await record.write(session, now)

    async def _note(self, feed: Feed, **values: object) -> None:
        async with db.transaction(self._engine) as session:
            await session.execute(
                sa.update(CapFeed).where(CapFeed.url == feed.url).values(**values)
            )

    async def _forget_others(self, urls: set[str]) -> None:
        """Rows of feeds that are no longer in the file; their accounts stay, for the audit."""
        async with db.transaction(self._engine) as session:
            await session.execute(sa.delete(CapFeed).where(CapFeed.url.not_in(urls)))


class _State(NamedTuple):
    account_id: int
    seen: frozenset[str]
    etag: str
    modified: str


class _Done(NamedTuple):
    seen: list[str]
    is_whole: bool
    detail: str


async def _row(session: AsyncSession, feed: Feed, now: datetime) -> CapFeed:
    """The row of a feed, locked; made with its account when it is read for the first time."""
    row = await session.get(CapFeed, feed.url, with_for_update=True)
    if row is None:
        account = await create_account(session, feed.account_name, now, AccountKind.SERVICE)
        row = CapFeed(
            url=feed.url, name=feed.name, account_id=account.id, read_at=None, succeeded_at=None,
            error="", etag="", modified="", seen=[],
        )  # fmt: skip
        session.add(row)
        await session.flush()
    row.name = feed.name
    return row

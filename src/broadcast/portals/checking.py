"""Looking at portals: politely, one request at a time to a host, and nowhere but there.

A look reads robots.txt, then what the portal lists, and stores what is new in one transaction. It
is dropped when a person has changed the portal meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
import structlog
from prometheus_client import Counter
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast import config
from broadcast.kit import clock, db
from broadcast.kit.fetch import NotFetched, fetch
from broadcast.kit.outbound import target
from broadcast.kit.text import folded
from broadcast.portals import robots
from broadcast.portals.model import CheckOutcome, Portal, PortalCheck, PortalItem, PortalKind
from broadcast.portals.reading import MAX_BYTES, Item, Rule, Unreadable, read

log = structlog.get_logger()

LOOKED = Counter("broadcast_portals_looked", "Looks at portals by outcome", ["outcome"])

SECONDS = 20.0
"""For one document, redirects included."""

LONGEST = 120.0
"""Seconds of a look, pauses included."""

MOST_A_DAY = 1_000
"""New items of a portal in 24 hours; a site whose addresses change with every look has no more."""

HOSTS_AT_ONCE = 4
MOST_A_RUN = 40


class Source(NamedTuple):
    """Where and how a portal is read."""

    url: str
    kind: PortalKind
    rule: Rule
    etag: str = ""
    modified: str = ""


class Look(NamedTuple):
    """What a look found."""

    outcome: CheckOutcome
    detail: str = ""
    items: Sequence[Item] = ()
    etag: str = ""
    modified: str = ""


class _Due(NamedTuple):
    id: int
    source: Source
    entered_at: datetime


class PortalReader:
    """Looks at the portals that are due; a job of the leader."""

    def __init__(self, engine: AsyncEngine, settings: config.Portals) -> None:
        self._engine = engine
        self._settings = settings

    async def run(self, now: datetime) -> None:
        """Look at what is due: hosts side by side, the portals of one host one after another."""
        of_host: defaultdict[str, list[_Due]] = defaultdict(list)
        async with db.transaction(self._engine) as session:
            for due in await _due(session, now - self._settings.check_every):
                of_host[target(due.source.url).host].append(due)
        room = asyncio.Semaphore(HOSTS_AT_ONCE)

        async def one_host(portals: list[_Due]) -> None:
            async with room:
                for portal in portals:
                    await self._look(portal)

        looked = await asyncio.gather(*map(one_host, of_host.values()), return_exceptions=True)
        for failed in filter(None, looked):
            raise failed

    async def _look(self, due: _Due) -> None:
        found = await look(due.source, self._settings)
        async with db.transaction(self._engine) as session:
            is_kept = await _keep(session, due, found, clock.now())
        LOOKED.labels(found.outcome if is_kept else "dropped").inc()
        if found.detail:
            log.info(
                "portals.portal.looked", portal_id=due.id, outcome=found.outcome,
                detail=found.detail,
            )  # fmt: skip


async def look(source: Source, settings: config.Portals) -> Look:
    """Look at a portal. Never raises for what the portal does."""
    try:
        async with asyncio.timeout(LONGEST):
            return await _look(source, settings)
    except NotFetched as error:
        return Look(CheckOutcome.UNREACHABLE, str(error))
    except TimeoutError:
        return Look(CheckOutcome.UNREACHABLE, f"quá {LONGEST:.0f} giây chưa đọc xong; sẽ thử lại")
    except Unreadable as error:
        return Look(CheckOutcome.UNREADABLE, str(error))
    except Exception:
        log.exception("portals.portal.unforeseen", url=source.url)
        return Look(CheckOutcome.UNREADABLE, "trang gửi dữ liệu lạ; hãy báo quản trị máy chủ")


async def _look(source: Source, settings: config.Portals) -> Look:
    networks = settings.private_networks
    await asyncio.sleep(settings.pause.total_seconds())
    rules = await robots.of_site(source.url, SECONDS, networks)
    pause = max(settings.pause.total_seconds(), rules.pause)
    if not rules.allows(source.url):
        return _forbidden(source.url)
    await asyncio.sleep(pause)
    answer = await fetch(
        source.url, most_bytes=MAX_BYTES, seconds=SECONDS, allowed=networks, stays=True,
        etag=source.etag, modified=source.modified,
    )  # fmt: skip
    if not answer.is_new:
        return Look(CheckOutcome.UNCHANGED, "", (), source.etag, source.modified)
    listing = await asyncio.to_thread(read, answer.body, answer.url, source.kind, source.rule)
    items, host = list(listing.items), target(source.url).host
    away = ""
    for url in listing.sitemaps:
        try:
            if target(url).host != host or not rules.allows(url):
                continue
            await asyncio.sleep(pause)
            part = await fetch(
                url, most_bytes=MAX_BYTES, seconds=SECONDS, allowed=networks, stays=True
            )
            items += (await asyncio.to_thread(read, part.body, part.url, source.kind)).items
        except (NotFetched, ValueError) as why:
            away = f"một phần của sơ đồ trang không đọc được: {why}"
    if not items:
        return Look(CheckOutcome.EMPTY, away or _NOTHING[source.kind])
    if listing.sitemaps:  # an index says nothing of what its parts say
        return Look(CheckOutcome.ANSWERED, away, items)
    return Look(CheckOutcome.ANSWERED, "", items, answer.etag, answer.modified)


_NOTHING = {
    PortalKind.FEED: "tệp tin tức không có tin nào; hãy kiểm tra địa chỉ",
    PortalKind.SITEMAP: "sơ đồ trang không có địa chỉ nào; hãy kiểm tra địa chỉ",
    PortalKind.LIST: "không tìm thấy tin nào theo cách đọc đã ghi; hãy thử đọc rồi sửa tên lớp",
}


def _forbidden(url: str) -> Look:
    return Look(
        CheckOutcome.FORBIDDEN,
        f"robots.txt của trang không cho đọc {url}; hãy nhờ đơn vị quản trị trang cho phép",
    )


async def _due(session: AsyncSession, before: datetime) -> list[_Due]:
    """Portals whose last look is older, or older than the portal as it is entered."""
    newest = (
        sa.select(PortalCheck)
        .where(PortalCheck.portal_id == Portal.id, PortalCheck.checked_at > Portal.entered_at)
        .order_by(PortalCheck.checked_at.desc())
        .limit(1)
        .lateral()
    )
    rows = await session.execute(
        sa.select(Portal, newest.c.etag, newest.c.modified)
        .outerjoin(newest, sa.true())
        .where(
            Portal.ended_on.is_(None),
            sa.or_(newest.c.checked_at.is_(None), newest.c.checked_at <= before),
        )
        .order_by(newest.c.checked_at.nulls_first(), Portal.id)
        .limit(MOST_A_RUN)
    )
    return [
        _Due(portal.id, source_of(portal, etag or "", modified or ""), portal.entered_at)
        for portal, etag, modified in rows
    ]


def source_of(portal: Portal, etag: str = "", modified: str = "") -> Source:
    """Where and how a portal is read."""
    rule = Rule(portal.item_class, portal.date_class)
    return Source(portal.source_url, portal.kind, rule, etag, modified)


async def _keep(session: AsyncSession, due: _Due, found: Look, now: datetime) -> bool:
    """Store a look; False where the portal is another than the one that was looked at."""
    portal = await session.get(Portal, due.id, with_for_update=True, populate_existing=True)
    if portal is None or portal.entered_at != due.entered_at:
        return False
    has_seen = await session.scalar(
        sa.select(
            sa.exists().where(
                PortalCheck.portal_id == due.id,
                PortalCheck.checked_at >= portal.source_since,
                PortalCheck.outcome == CheckOutcome.ANSWERED,
            )
        )
    )
    added, detail = await _store(session, due.id, found, now, is_first=not has_seen)
    session.add(
        PortalCheck(
            portal_id=due.id, checked_at=now, outcome=found.outcome, detail=detail[:500],
            listed=len(found.items), added=added, etag=found.etag, modified=found.modified,
        )
    )  # fmt: skip
    return True


async def _store(
    session: AsyncSession, portal_id: int, found: Look, now: datetime, *, is_first: bool
) -> tuple[int, str]:
    """Store what is new of a look; how much that is, and what is to be said of it."""
    items = {item.key: item for item in found.items}
    known = set(
        await session.scalars(
            sa.select(PortalItem.key).where(
                PortalItem.portal_id == portal_id, PortalItem.key.in_(items)
            )
        )
    )
    lately = await session.scalar(
        sa.select(sa.func.count()).where(
            PortalItem.portal_id == portal_id, PortalItem.seen_at > now - timedelta(days=1)
        )
    )
    new = [key for key in items if key not in known]
    taken = set(new[: max(0, MOST_A_DAY - (lately or 0))])
    rows = [
        {
            "portal_id": portal_id, "key": key, "url": each.url, "title": each.title,
            "tags": list(each.tags), "folded_tags": [*map(folded, each.tags)], "seen_at": now,
            "published_at": each.published_at and min(each.published_at, now),
            "is_old": each.published_at is None and is_first,
        }
        for key, each in items.items()
        if key in known or key in taken
    ]  # fmt: skip
    if rows:
        listed = insert(PortalItem).values(rows)
        # A date that could not be read before is taken now; one that was read stays.
        dated = sa.func.coalesce(PortalItem.published_at, listed.excluded.published_at)
        changed = [
            PortalItem.title != listed.excluded.title,
            PortalItem.tags != listed.excluded.tags,
            PortalItem.published_at.is_(None) & listed.excluded.published_at.is_not(None),
        ]
        await session.execute(
            listed.on_conflict_do_update(
                index_elements=[PortalItem.portal_id, PortalItem.key],
                set_={
                    **{name: listed.excluded[name] for name in ("title", "tags", "folded_tags")},
                    "published_at": dated,
                    "is_old": PortalItem.is_old & listed.excluded.published_at.is_(None),
                },
                where=sa.or_(*changed),
            )
        )
    if len(taken) < len(new):
        return len(taken), f"trang có hơn {MOST_A_DAY} tin mới một ngày; chỉ ghi chừng ấy"
    return len(taken), found.detail

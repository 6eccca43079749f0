"""What portals have published: by what an item counts, and how many do in a window. In SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.kit.clock import LOCAL
from broadcast.portals.model import CheckOutcome, Portal, PortalCheck, PortalItem
from broadcast.portals.updating import Rule, Tally
from broadcast.stations.model import Evidence

READ = frozenset({CheckOutcome.ANSWERED, CheckOutcome.UNCHANGED})
"""Outcomes of a look that found the portal as it should be."""


def proof() -> sa.Case[str | None]:
    """By what an item is essential information; NULL: it is not. A person's word goes first.

    Of a statement that has its portal. What nobody knows the day of counts on none.
    """
    return sa.case(
        (PortalItem.is_old, None),
        (PortalItem.is_essential.is_(True), Evidence.ATTESTED.value),
        (PortalItem.is_essential.is_(False), None),
        (PortalItem.folded_tags.overlap(Portal.folded_tags), Evidence.TELEMETRY.value),
    )


_ADDRESS = sa.func.regexp_replace(PortalItem.url, "^https?://(www[.])?|/+$", "", "g")
"""Of an item, however it is written: a feed, a list and a sitemap may all name it."""


async def tallies(
    session: AsyncSession, portals: Mapping[str, Sequence[int]], rule: Rule, as_of: date
) -> dict[int, Tally]:
    """What each portal has published in the window of a rule, an item once in a commune.

    What several portals of a commune list is counted for one of them: where it is essential
    information, by its tags before a person's word.

    Args:
        session: Where to read, whole.
        portals: Their ids by commune.
        rule: Of the day.
        as_of: Last local day of the window.
    """
    begins_at = datetime.combine(as_of - timedelta(days=rule.days - 1), time.min, LOCAL)
    ends_at = datetime.combine(as_of + timedelta(days=1), time.min, LOCAL)
    of_commune = [(code, id_) for code, ids in portals.items() for id_ in ids]
    asked = (
        sa.func.unnest(
            sa.cast([code for code, _ in of_commune], ARRAY(sa.Text())),
            sa.cast([id_ for _, id_ in of_commune], ARRAY(sa.Integer())),
        )
        .table_valued(sa.column("commune", sa.Text()), sa.column("portal_id", sa.Integer()))
        .render_derived("asked")
    )
    by, at = proof(), sa.func.coalesce(PortalItem.published_at, PortalItem.seen_at)
    each = (
        sa.select(PortalItem.portal_id, by.label("by"), at.label("at"))
        .ext(distinct_on(asked.c.commune, _ADDRESS))
        .join(Portal, Portal.id == PortalItem.portal_id)
        .join(asked, asked.c.portal_id == Portal.id)
        .where(at >= begins_at, at < ends_at, ~PortalItem.is_old)
        .order_by(asked.c.commune, _ADDRESS, by.desc().nulls_last(), PortalItem.portal_id)
        .cte("each")
    )
    published = (
        sa.select(
            each.c.portal_id,
            sa.func.count().filter(each.c.by == Evidence.TELEMETRY).label("by_tag"),
            sa.func.count().filter(each.c.by == Evidence.ATTESTED).label("by_person"),
            sa.func.count().filter(each.c.by.is_(None)).label("others"),
            sa.func.max(each.c.at).filter(each.c.by.is_not(None)).label("newest_at"),
        )
        .group_by(each.c.portal_id)
        .subquery()
    )
    is_read = sa.exists().where(
        PortalCheck.portal_id == Portal.id,
        PortalCheck.checked_at >= begins_at,
        PortalCheck.checked_at < ends_at,
        PortalCheck.outcome.in_(READ),
    )
    rows = await session.execute(
        sa.select(
            Portal.id, Portal.name, published.c.by_tag, published.c.by_person,
            published.c.others, published.c.newest_at, is_read,
        )
        .outerjoin(published, published.c.portal_id == Portal.id)
        .where(Portal.id.in_([id_ for _, id_ in of_commune]))
    )  # fmt: skip
    return {
        id_: Tally(
            id_, name, by_tag or 0, by_person or 0, others or 0,
            newest and newest.astimezone(LOCAL).date(), was_read,
        )
        for id_, name, by_tag, by_person, others, newest, was_read in rows
    }  # fmt: skip

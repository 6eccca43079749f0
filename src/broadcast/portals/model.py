"""Portals of communes, what each look at one found, and the items that it has published."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from broadcast.auth.model import Account
from broadcast.kit.db import Base, enum_type


class PortalKind(StrEnum):
    """How a portal tells what it has published."""

    FEED = "feed"
    """RSS or Atom."""
    SITEMAP = "sitemap"
    """sitemaps.org, with or without Google's news tags; also an index of sitemaps."""
    LIST = "list"
    """A page that lists items, each an element of one class."""


class CheckOutcome(StrEnum):
    """What came of a look at a portal."""

    ANSWERED = "answered"
    UNCHANGED = "unchanged"
    """The portal says that nothing has changed since the look before."""
    FORBIDDEN = "forbidden"
    """Its robots.txt does not allow it (RFC 9309)."""
    UNREACHABLE = "unreachable"
    UNREADABLE = "unreadable"
    EMPTY = "empty"
    """It was read and lists nothing: the address or the rule is wrong, or nothing is there."""


class Portal(Base):
    """The portal of a commune's People's Committee."""

    __tablename__ = "portals"
    __table_args__ = (
        sa.CheckConstraint("(kind = 'list') = (item_class <> '')", name="rule"),
        sa.CheckConstraint("ended_on IS NULL OR ended_on >= valid_from", name="span"),
    )

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    area_code: Mapped[str] = mapped_column(index=True)
    """Commune on the day `valid_from`."""
    name: Mapped[str]
    url: Mapped[str]
    """Page that people open."""
    source_url: Mapped[str]
    """Where its news are read: feed, sitemap or list."""
    kind: Mapped[PortalKind] = mapped_column(enum_type(PortalKind, "kind"))
    item_class: Mapped[str]
    """LIST: class of the element of each item; else empty."""
    date_class: Mapped[str]
    """LIST: class of the element that holds its day; empty: a `time` element, or the text."""
    tags: Mapped[list[str]] = mapped_column(ARRAY(sa.Text()))
    """Sections and labels of the portal under which it publishes essential information."""
    folded_tags: Mapped[list[str]] = mapped_column(ARRAY(sa.Text()))
    """As `kit.text.folded`, to be compared with those of items."""
    valid_from: Mapped[date]
    ended_on: Mapped[date | None]
    """Last day, inclusive."""
    entered_by: Mapped[int] = mapped_column(sa.ForeignKey(Account.id))
    entered_at: Mapped[datetime]
    source_since: Mapped[datetime]
    """Since when its news are read there and in that way."""


class PortalCheck(Base):
    """One look at a portal."""

    __tablename__ = "portal_checks"
    is_recorded = False

    portal_id: Mapped[int] = mapped_column(
        sa.ForeignKey(Portal.id, ondelete="CASCADE"), primary_key=True
    )
    checked_at: Mapped[datetime] = mapped_column(primary_key=True)
    outcome: Mapped[CheckOutcome] = mapped_column(enum_type(CheckOutcome, "outcome"))
    detail: Mapped[str]
    """What is wrong and what to do, for people; empty: nothing."""
    listed: Mapped[int]
    """Items that it lists."""
    added: Mapped[int]
    """Those of them that were not known."""
    etag: Mapped[str]
    modified: Mapped[str]
    """What its answer said of itself, to ask with at the next look."""


class PortalItem(Base):
    """Something that a portal has published."""

    __tablename__ = "portal_items"
    __table_args__ = (
        sa.CheckConstraint("(decided_by IS NULL) = (is_essential IS NULL)", name="decided"),
        sa.UniqueConstraint("portal_id", "key"),
        sa.Index(
            "ix_portal_items_published", "portal_id", sa.text("coalesce(published_at, seen_at)")
        ),
    )

    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(), primary_key=True)
    portal_id: Mapped[int] = mapped_column(sa.ForeignKey(Portal.id, ondelete="CASCADE"))
    key: Mapped[str]
    """Of its identifier or address: the same item, whatever becomes of its title."""
    url: Mapped[str]
    title: Mapped[str]
    tags: Mapped[list[str]] = mapped_column(ARRAY(sa.Text()))
    folded_tags: Mapped[list[str]] = mapped_column(ARRAY(sa.Text()))
    """As those of the portal."""
    published_at: Mapped[datetime | None]
    """As the portal says; never after `seen_at`."""
    seen_at: Mapped[datetime]
    """Time of the first look that found it."""
    is_old: Mapped[bool]
    """Without a date, and already there at the first look: nobody knows when it came."""
    is_essential: Mapped[bool | None]
    """What a person has decided; None: its tags tell."""
    decided_by: Mapped[int | None] = mapped_column(sa.ForeignKey(Account.id))
    decided_at: Mapped[datetime | None]


class UpdateRule(Base):
    """From which day on how much counts as regularly updated (thường xuyên cập nhật)."""

    __tablename__ = "portal_update_rules"
    __table_args__ = (sa.CheckConstraint("items >= 1 AND days >= 1", name="positive"),)

    valid_from: Mapped[date] = mapped_column(primary_key=True)
    items: Mapped[int]
    """Least number of items of essential information."""
    days: Mapped[int]
    """In as many local days, the day asked about included."""
    document: Mapped[str]
    """By which it was decided."""
    decided_by: Mapped[int] = mapped_column(sa.ForeignKey(Account.id))
    decided_at: Mapped[datetime]

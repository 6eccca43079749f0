"""Bulletins and renditions as people and devices look for them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.model import Area
from broadcast.bulletins.model import Bulletin, Rendition, Revision, RevisionState
from broadcast.bulletins.revisions import Key
from broadcast.kit.errors import NotFound
from broadcast.web.rest import require_known
from broadcast.wire.fields import BulletinClass, Codec


async def select_bulletins(
    session: AsyncSession,
    state: RevisionState | None,
    area: str | None,
    class_: BulletinClass | None,
) -> sa.Select[Any]:
    """Return the statement of bulletins with the number and state of the newest revision.

    And with the number of the newest approved one. `state` is that of the newest revision.

    Raises:
        Unknown: There is no such area.
    """
    of_bulletin = Revision.bulletin_id == Bulletin.id
    newest = (
        sa.select(Revision.number, Revision.state)
        .where(of_bulletin)
        .order_by(Revision.number.desc())
        .limit(1)
        .lateral()
    )
    approved = (
        sa.select(sa.func.max(Revision.number))
        .where(of_bulletin, Revision.state == RevisionState.APPROVED)
        .scalar_subquery()
    )
    statement = sa.select(Bulletin, newest.c.number, newest.c.state, approved).join(
        newest, sa.true()
    )
    if state is not None:
        statement = statement.where(newest.c.state == state)
    if area is not None:
        await require_known(session, "area", Area.code, area)
        statement = statement.where(Bulletin.area_code == area)
    if class_ is not None:
        statement = statement.where(Bulletin.class_ == class_)
    return statement


async def get_rendition(session: AsyncSession, key: Key, codec: Codec) -> Rendition:
    """Return a rendition of a revision in any state; for people.

    Raises:
        NotFound: There is none yet.
    """
    rendition = await session.get(Rendition, (*key, codec))
    if rendition is None:
        raise NotFound(
            f"Bản tin {key[0]} không có âm thanh của phiên bản {key[1]} dạng {codec.value};"
            " nếu vừa tạo, hãy chờ chuẩn bị xong."
        )
    return rendition


async def approved_codec(session: AsyncSession, sha256: str) -> Codec:
    """Return the codec of a rendition that belongs to an approved revision; for devices.

    Raises:
        NotFound: No approved revision has this rendition.
    """
    codec: Codec | None = await session.scalar(
        sa.select(Rendition.codec)
        .join(
            Revision,
            sa.and_(
                Revision.bulletin_id == Rendition.bulletin_id,
                Revision.number == Rendition.revision,
            ),
        )
        .where(Rendition.sha256 == sha256, Revision.state == RevisionState.APPROVED)
        .limit(1)
    )
    if codec is None:
        raise NotFound("Không có âm thanh đã duyệt nào mang mã này.")
    return codec

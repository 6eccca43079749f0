"""The bank of phrases (câu mẫu): short approved sounds to put before and after recordings.

A phrase is a bulletin of a kind (`Bulletin.phrase`), without chimes: it is found, heard, approved
and withdrawn as any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.bulletins.model import Bulletin, Revision, RevisionState
from broadcast.bulletins.revisions import renditions
from broadcast.kit.errors import InvalidInput
from broadcast.kit.languages import named

MOST_PHRASES = 6
"""Before a recording, and after it."""


async def require(
    session: AsyncSession, field: str, chosen: Sequence[UUID], language: str
) -> None:
    """Refuse what is no approved phrase of a language.

    Raises:
        InvalidInput: Which, and why.
    """
    rows = await session.execute(
        sa.select(Bulletin.id, Bulletin.language, Bulletin.title).where(
            Bulletin.id.in_(chosen), Bulletin.phrase.is_not(None)
        )
    )
    known = {id_: (spoken, title) for id_, spoken, title in rows}
    approved = await _newest(session, chosen)
    for index, id_ in enumerate(chosen):
        where = f"{field}.{index}"
        if id_ not in known:
            raise InvalidInput(where, "không có câu mẫu này; hãy chọn lại trong kho câu mẫu")
        spoken, title = known[id_]
        if spoken != language:
            raise InvalidInput(
                where, f"câu “{title}” là {named(spoken)}; chọn câu {named(language)}"
            )
        if id_ not in approved:
            raise InvalidInput(where, f"câu “{title}” chưa được duyệt; hãy nhờ người duyệt nghe")


async def sounds(session: AsyncSession, chosen: Sequence[str]) -> tuple[str, ...]:
    """SHA-256 of phrases in their order; one that was withdrawn meanwhile is left out."""
    ids = [UUID(each) for each in chosen]
    newest = await _newest(session, ids)
    found = await renditions(session, [(id_, number) for id_, number in newest.items()])
    return tuple(
        found[id_, newest[id_]][0].sha256
        for id_ in ids
        if id_ in newest and (id_, newest[id_]) in found
    )


async def _newest(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, int]:
    rows = await session.execute(
        sa.select(Revision.bulletin_id, sa.func.max(Revision.number))
        .where(Revision.bulletin_id.in_(ids), Revision.state == RevisionState.APPROVED)
        .group_by(Revision.bulletin_id)
    )
    return {row[0]: row[1] for row in rows}

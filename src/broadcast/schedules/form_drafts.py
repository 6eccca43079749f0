"""Drafts of where and when: a form of a schedule that survives a closed browser.

One per person and revision; theirs alone, kept beside the drafts of bulletins and as long.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.auth.caller import Caller
from broadcast.auth.permissions import Permission
from broadcast.bulletins.model import Draft


def _page(bulletin_id: UUID, number: int) -> str:
    return f"schedule/{bulletin_id}/{number}"


async def find(
    session: AsyncSession, caller: Caller, bulletin_id: UUID, number: int
) -> Draft | None:
    """The caller's draft of where and when a revision is to sound."""
    return await session.get(Draft, (caller.account_id, _page(bulletin_id, number)))


async def save(
    session: AsyncSession,
    caller: Caller,
    bulletin_id: UUID,
    number: int,
    form: dict[str, Any],
    now: datetime,
) -> Draft:
    """Keep what is filled in, finished or not.

    Raises:
        Forbidden: The caller may schedule nowhere.
    """
    await scope.require_somewhere(session, caller, Permission.SCHEDULE_WRITE)
    draft = await session.get(
        Draft, (caller.account_id, _page(bulletin_id, number)), with_for_update=True
    )
    if draft is None:
        draft = Draft(
            account_id=caller.account_id,
            page=_page(bulletin_id, number),
            source_file=None,
            source_sha256=None,
            source_name="",
            preparation_id=None,
        )
        session.add(draft)
    draft.form, draft.saved_at = form, now
    await session.flush()
    return draft


async def discard(session: AsyncSession, caller: Caller, bulletin_id: UUID, number: int) -> None:
    """No draft any more; where there is none, that is well."""
    draft = await find(session, caller, bulletin_id, number)
    if draft is not None:
        await session.delete(draft)
        await session.flush()

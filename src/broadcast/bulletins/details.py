"""Revisions with what belongs to them: preparation, renditions and approval steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.auth.people import People, people
from broadcast.bulletins import revisions
from broadcast.bulletins.model import (
    ApprovalStep,
    Bulletin,
    Preparation,
    PreparationState,
    Rendition,
    Revision,
)


class RevisionDetails(NamedTuple):
    """A revision and its rows.

    Attributes:
        revision: The revision.
        preparation: None where it was prepared before there was a queue.
        renditions: Opus before MP3; none until it is prepared.
        steps: Oldest first.
        people: Who made the revision and took the steps.
    """

    revision: Revision
    preparation: Preparation | None
    renditions: list[Rendition]
    steps: list[ApprovalStep]
    people: People


class BulletinDetails(NamedTuple):
    """A bulletin, who made it, and its revisions, newest first."""

    bulletin: Bulletin
    people: People
    revisions: list[RevisionDetails]


async def of_revision(session: AsyncSession, revision: Revision) -> RevisionDetails:
    """Return a revision with its rows."""
    (details,) = await _of_revisions(session, revision.bulletin_id, [revision])
    return details


async def of_bulletin(session: AsyncSession, bulletin: Bulletin) -> BulletinDetails:
    """Return a bulletin with all its revisions and their rows."""
    found = await revisions.of_bulletin(session, bulletin.id)
    maker = await people(session, [bulletin.created_by])
    return BulletinDetails(bulletin, maker, await _of_revisions(session, bulletin.id, found))


async def _of_revisions(
    session: AsyncSession, bulletin_id: UUID, found: Sequence[Revision]
) -> list[RevisionDetails]:
    ids = {each.preparation_id for each in found if each.preparation_id is not None}
    rows = await session.scalars(sa.select(Preparation).where(Preparation.id.in_(ids)))
    preparations = {row.id: row for row in rows}
    for each in found:
        row = preparations.get(each.preparation_id or 0)
        if each.seconds is None and row is not None and row.state is PreparationState.DONE:
            await session.refresh(each)  # the preparation ended between the two statements
    renditions = await revisions.renditions(session, [(bulletin_id, r.number) for r in found])
    steps = await revisions.steps(session, bulletin_id)
    actors = (step.actor for each in found for step in steps.get(each.number, []))
    known = await people(session, [*actors, *(each.created_by for each in found)])
    return [
        RevisionDetails(
            each,
            preparations.get(each.preparation_id or 0),
            renditions.get((bulletin_id, each.number), []),
            steps.get(each.number, []),
            known,
        )
        for each in found
    ]

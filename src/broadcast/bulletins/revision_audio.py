"""Audio of a revision: attached once prepared; its preparation cancelled once nobody waits."""

from __future__ import annotations

import dataclasses
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.bulletins.audio.prepared import Prepared
from broadcast.bulletins.model import (
    Draft,
    Preparation,
    PreparationState,
    Rendition,
    Revision,
    RevisionState,
)
from broadcast.kit.notify import Channel, notify
from broadcast.wire.fields import Codec

UNFINISHED = (PreparationState.WAITING, PreparationState.RUNNING)


def attach_audio(session: AsyncSession, revision: Revision, prepared: Prepared) -> None:
    """Attach prepared audio to a revision that had none yet, with the next flush."""
    revision.seconds = prepared.seconds
    revision.loudness_lufs = prepared.loudness_lufs
    revision.true_peak_dbtp = prepared.true_peak_dbtp
    revision.facts = {
        "source_seconds": prepared.source_seconds,
        "trimmed_seconds": prepared.trimmed_seconds,
        "gain_db": prepared.gain_db,
        "damaged_frames": prepared.damaged_frames,
        "source_loudness_lufs": prepared.source and prepared.source.loudness_lufs,
        "source_true_peak_dbtp": prepared.source and prepared.source.true_peak_dbtp,
        "warnings": [dataclasses.asdict(each) for each in prepared.warnings],
    }
    session.add_all(
        Rendition(
            bulletin_id=revision.bulletin_id,
            revision=revision.number,
            codec=Codec(made.codec),
            sha256=made.sha256,
            size_bytes=made.size_bytes,
            seconds=made.seconds,
        )
        for made in prepared.renditions
    )


async def release_preparation(
    session: AsyncSession, preparation_id: int | None, now: datetime
) -> None:
    """Stop preparing what was given up, unless a revision or a draft waits for it too."""
    if preparation_id is None:
        return
    row = await session.get_one(
        Preparation, preparation_id, with_for_update=True, populate_existing=True
    )
    revisions = sa.select(Revision.preparation_id).where(
        Revision.preparation_id == row.id, Revision.state != RevisionState.WITHDRAWN
    )
    drafts = sa.select(Draft.preparation_id).where(Draft.preparation_id == row.id)
    others = sa.union_all(revisions, drafts).limit(1)
    if row.state in UNFINISHED and await session.scalar(others) is None:
        row.state = PreparationState.CANCELLED
        row.finished_at = now
        row.locked_by = row.locked_until = None
        await session.flush()
        await notify(session, Channel.PREPARE)

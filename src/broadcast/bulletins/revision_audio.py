"""Audio of a revision: attached once prepared; its preparation cancelled once withdrawn."""

from __future__ import annotations

import dataclasses
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.bulletins.audio.prepared import Prepared
from broadcast.bulletins.model import (
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


async def release_preparation(session: AsyncSession, revision: Revision, now: datetime) -> None:
    """Stop preparing the sound of a withdrawn revision, unless another one waits for it too."""
    if revision.preparation_id is None:
        return
    row = await session.get_one(
        Preparation, revision.preparation_id, with_for_update=True, populate_existing=True
    )
    others = sa.select(Revision.number).where(
        Revision.preparation_id == row.id, Revision.state != RevisionState.WITHDRAWN
    )
    if row.state in UNFINISHED and await session.scalar(others.limit(1)) is None:
        row.state = PreparationState.CANCELLED
        row.finished_at = now
        row.locked_by = row.locked_until = None
        await session.flush()
        await notify(session, Channel.PREPARE)

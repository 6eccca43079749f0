"""Bulletins for tests, without their sound being prepared."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.bulletins import revisions
from broadcast.bulletins.audio.prepared import Prepared, Rendition, content_path
from broadcast.bulletins.model import Bulletin, Revision, RevisionState, SourceKind
from broadcast.wire.fields import BulletinClass
from tests.callers import LAN

NOW = datetime(2025, 11, 24, 2, tzinfo=UTC)


def prepared(content_dir: Path, opus: bytes = b"opus", mp3: bytes = b"mp3") -> Prepared:
    """Renditions that lie where the store keeps them; their bytes are no sound."""
    made = []
    for codec, body in (("opus", opus), ("mp3", mp3)):
        sha256 = hashlib.sha256(body).hexdigest()
        path = content_path(content_dir, sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        made.append(Rendition(codec, sha256, len(body), 61.5, path))
    return Prepared(61.5, -16.1, -1.7, 58.0, 1.25, 7.5, 0, tuple(made))


async def bulletin(session: AsyncSession, **changes: Any) -> Bulletin:
    """A bulletin that Lan of the commune wrote."""
    columns: dict[str, Any] = {
        "id": uuid4(),
        "title": "Tiêm phòng gia súc đợt 2",
        "class_": BulletinClass.NORMAL,
        "language": "vi",
        "area_code": "21034",
        "created_by": LAN,
        "created_at": NOW,
    }
    made = Bulletin(**columns | changes)
    session.add(made)
    await session.flush()
    return made


async def revision(
    session: AsyncSession,
    of: Bulletin,
    sound: Prepared,
    state: RevisionState = RevisionState.DRAFT,
) -> Revision:
    """The next revision, in any state."""
    made = await revisions.add(session, of, sound, kind=SourceKind.UPLOAD, by=LAN, now=NOW)
    made.state = state
    await session.flush()
    return made

"""The sample province with devices and an approved bulletin, for schedules to reach."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

import tests.province
from broadcast.bulletins.model import Bulletin, Revision, RevisionState
from broadcast.devices.enrolment import enrol
from broadcast.devices.installations import install
from broadcast.devices.schemas import NewDeviceIn
from broadcast.kit.clock import LOCAL
from broadcast.schedules.model import Schedule
from broadcast.stations.clusters import find_cluster
from broadcast.wire.fields import BulletinClass, Codec
from tests.bulletins import make
from tests.stations import sample

NOW = datetime(2024, 12, 28, 1, tzinfo=UTC)
"""08:00 on a Saturday; on 1 January Nghĩa Phú (21253) goes into Nghĩa An (21262)."""

TODAY = date(2024, 12, 28)


def local(text: str) -> datetime:
    """Wall time of the province."""
    return datetime.fromisoformat(text).replace(tzinfo=LOCAL)


async def build(session: AsyncSession) -> None:
    """Units, stations, clusters C-1, C-2 and C-4, and a device D-1, D-2, D-4 on each."""
    await sample.everything(session)
    for number in (1, 2, 4):
        body = NewDeviceIn(code=f"D-{number}", codecs={Codec.OPUS})
        device = await enrol(session, body, NOW - timedelta(days=30))
        cluster = await find_cluster(session, f"C-{number}")
        assert cluster is not None
        await install(session, device, cluster, NOW - timedelta(days=30))


async def approved(
    session: AsyncSession,
    content_dir: Path,
    class_: BulletinClass = BulletinClass.NORMAL,
    title: str = "Tiêm phòng gia súc đợt 2",
    state: RevisionState = RevisionState.APPROVED,
) -> tuple[Bulletin, Revision]:
    """A bulletin of 61.5 seconds whose revision is approved."""
    bulletin = await make.bulletin(session, class_=class_, title=title, area_code="21262")
    body = title.encode()
    sound = make.prepared(content_dir, b"opus " + body, b"mp3 " + body)
    return bulletin, await make.revision(session, bulletin, sound, state)


async def schedule(session: AsyncSession, bulletin_id: UUID, **changes: Any) -> Schedule:
    """A stored schedule at 17:00 today for Nghĩa Phú."""
    given = {"title": "Tiêm phòng", "targets": [{"area": "21253"}], "targets_on": TODAY}
    at = changes.pop("starts_at", local("2024-12-28T17:00"))
    made = tests.province.schedule(bulletin_id, at, NOW, **given | changes)
    session.add(made)
    await session.flush()
    return made

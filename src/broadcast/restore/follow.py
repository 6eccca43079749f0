"""Making the database say what devices were told: withdraw, leave out, move, replace, take in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.areas.model import Area, Level
from broadcast.auth.caller import Caller
from broadcast.bulletins.model import (
    ApprovalStep,
    Bulletin,
    Rendition,
    Revision,
    RevisionState,
    SourceKind,
)
from broadcast.devices.model import Device, Installation
from broadcast.kit.clock import LOCAL
from broadcast.restore.differences import Choice, Difference, Kind, Told
from broadcast.schedules import exceptions
from broadcast.schedules.cancellation import cancel_one
from broadcast.schedules.edits import withdraw
from broadcast.schedules.model import Occurrence, OccurrenceState, Schedule, ScheduleState
from broadcast.schedules.occurrences import materialise
from broadcast.schedules.queries import get_schedule
from broadcast.schedules.starts import occurrence_id
from broadcast.stations.model import Cluster
from broadcast.wire.documents import Item
from broadcast.wire.fields import BulletinClass, Codec, OnPreempt


async def carry_out(
    session: AsyncSession,
    difference: Difference,
    choice: Choice,
    told: Mapping[str, Told],
    caller: Caller,
    settings: config.Settings,
    now: datetime,
) -> None:
    """Do what was decided about one difference."""
    if choice is Choice.KEEP:
        return
    match difference.kind, choice:
        case (Kind.WITHDRAWN, _) | (Kind.REPLACED, Choice.DROP):
            schedule = await get_schedule(session, UUID(difference.subject), lock=True)
            await withdraw(session, schedule, caller, now)
        case (Kind.LEFT_OUT, _) | (Kind.MOVED, Choice.DROP):
            for row in await _rows(session, difference.occurrences):
                await _put(session, row, None, caller, now)
                await cancel_one(session, row)
        case (Kind.MOVED, _):
            for row in await _rows(session, difference.occurrences):
                await _move(session, row, told[str(row.id)][0], caller, now)
                await _again(session, row.schedule_id, settings, now)
        case (Kind.REPLACED, _):
            await _replace(session, difference, told, caller, settings, now)
        case (Kind.UNKNOWN, Choice.FOLLOW):
            item, scopes = told[difference.subject]
            await _take_in(session, item, scopes, caller, settings, now)


async def _rows(session: AsyncSession, ids: Sequence[str]) -> Sequence[Occurrence]:
    rows = sa.select(Occurrence).where(Occurrence.id.in_([UUID(id_) for id_ in ids]))
    return (await session.scalars(rows.order_by(Occurrence.id).with_for_update())).all()


async def _put(
    session: AsyncSession, row: Occurrence, to: datetime | None, caller: Caller, now: datetime
) -> None:
    """Have the schedule of an occurrence remember its time; one that was taken in has none."""
    if row.id == occurrence_id(row.schedule_id, row.recurrence_at):
        await exceptions.put(session, row.schedule_id, row.recurrence_at, to, caller, now)


async def _move(
    session: AsyncSession, row: Occurrence, item: Item, caller: Caller, now: datetime
) -> None:
    """Give an occurrence the time that devices were told; whether it clashes was asked then."""
    await _put(session, row, item.starts_at, caller, now)
    row.starts_at, row.ends_by, row.dirty = item.starts_at, item.ends_by, True
    await session.flush()


async def _again(
    session: AsyncSession, schedule_id: UUID, settings: config.Settings, now: datetime
) -> None:
    await materialise(session, now, settings.rules.horizon, [schedule_id])


async def _replace(
    session: AsyncSession,
    difference: Difference,
    told: Mapping[str, Told],
    caller: Caller,
    settings: config.Settings,
    now: datetime,
) -> None:
    """Have a schedule sound the revision that devices were told last, from now on."""
    schedule = await get_schedule(session, UUID(difference.subject), lock=True)
    items = [told[id_][0] for id_ in difference.occurrences]
    last = max(items, key=lambda item: item.bulletin_revision)
    scopes = told[last.occurrence_id][1]
    await _approved(session, last, scopes, caller, settings, now)
    schedule.bulletin_id = UUID(last.bulletin_id)
    schedule.bulletin_revision = last.bulletin_revision
    schedule.title, schedule.changed_at = last.title, now
    for row in await _rows(session, difference.occurrences):
        item = told[str(row.id)][0]
        if row.starts_at != item.starts_at:
            await _move(session, row, item, caller, now)
        row.bulletin_id, row.bulletin_revision = schedule.bulletin_id, schedule.bulletin_revision
        row.title, row.ends_by, row.dirty = item.title, item.ends_by, True
    await session.flush()
    await _again(session, schedule.id, settings, now)


async def _take_in(
    session: AsyncSession,
    item: Item,
    scopes: Sequence[str],
    caller: Caller,
    settings: config.Settings,
    now: datetime,
) -> None:
    """Make rows of an occurrence that only devices know, under the id by which it plays once.

    Its schedule is one that has ended: what it may have come to later is in no document, and the
    ids of an active one would follow from itself.
    """
    await _approved(session, item, scopes, caller, settings, now)
    class_ = _class(item)
    common = {
        "bulletin_id": UUID(item.bulletin_id),
        "bulletin_revision": item.bulletin_revision,
        "title": item.title,
        "starts_at": item.starts_at,
        "priority": item.priority,
        "late_limit_seconds": item.late_limit_seconds,
        "on_preempt": OnPreempt(item.on_preempt),
        "volume": item.volume,
    }
    schedule = Schedule(
        id=uuid4(),
        rrule=None,
        targets=await _targets(session, scopes),
        targets_on=now.astimezone(LOCAL).date(),
        state=ScheduleState.ENDED,
        created_by=caller.account_id,
        created_at=now,
        changed_at=now,
        **common,
    )
    session.add(schedule)
    await session.flush()
    # One that the database has cancelled keeps its row, and its plays.
    await session.merge(
        Occurrence(
            id=UUID(item.occurrence_id),
            schedule_id=schedule.id,
            recurrence_at=item.starts_at,
            ends_by=item.ends_by,
            class_=class_,
            state=OccurrenceState.PLANNED,
            cancel_reason=None,
            scopes=list(scopes),
            carried_scopes=[],
            reach="",
            dirty=True,
            **common,
        )
    )
    await session.flush()


def _class(item: Item) -> BulletinClass:
    known = {each.value: each for each in BulletinClass}
    return known.get(str(item.class_), BulletinClass.NORMAL)


async def _targets(session: AsyncSession, scopes: Sequence[str]) -> list[dict[str, str]]:
    targets = []
    for scope in scopes:
        kind, _, code = scope.partition("/")
        if kind == "area":
            targets.append({"area": code})
            continue
        cluster = await session.scalar(
            sa.select(Cluster.code)
            .join(Installation, Installation.cluster_id == Cluster.id)
            .join(Device, Device.id == Installation.device_id)
            .where(Device.code == code, Installation.removed_at.is_(None))
        )
        if cluster is not None:
            targets.append({"cluster": cluster})
    return targets


async def _approved(
    session: AsyncSession,
    item: Item,
    scopes: Sequence[str],
    caller: Caller,
    settings: config.Settings,
    now: datetime,
) -> None:
    """Have the revision that an item names, approved: our signature under it says that it was."""
    bulletin_id, number = UUID(item.bulletin_id), item.bulletin_revision
    if await session.get(Bulletin, bulletin_id) is None:
        session.add(
            Bulletin(
                id=bulletin_id,
                title=item.title,
                class_=_class(item),
                language="vi",
                area_code=await _speaker(session, scopes, settings),
                created_by=caller.account_id,
                created_at=now,
            )
        )
        await session.flush()
    revision = await session.get(Revision, (bulletin_id, number), with_for_update=True)
    if revision is None:
        revision = Revision(
            bulletin_id=bulletin_id,
            number=number,
            state=RevisionState.DRAFT,
            source_kind=SourceKind.UPLOAD,
            source_name="",
            text=None,
            spoken=None,
            preparation_id=None,
            facts={},
            created_by=caller.account_id,
            created_at=now,
        )
        session.add(revision)
        await session.flush()
    if revision.state is RevisionState.APPROVED:
        return
    known = await session.scalars(
        sa.select(Rendition.codec).where(
            Rendition.bulletin_id == bulletin_id, Rendition.revision == number
        )
    )
    there = set(known)
    session.add_all(
        Rendition(
            bulletin_id=bulletin_id,
            revision=number,
            codec=Codec(audio.codec),
            sha256=audio.sha256,
            size_bytes=audio.bytes,
            seconds=audio.seconds,
        )
        for audio in item.audio
        if Codec(audio.codec) not in there
    )
    if revision.seconds is None:
        revision.seconds = max((audio.seconds for audio in item.audio), default=0.0)
    revision.state = RevisionState.APPROVED
    session.add(
        ApprovalStep(
            bulletin_id=bulletin_id,
            revision=number,
            state=RevisionState.APPROVED,
            actor=caller.account_id,
            at=now,
            note="nhận lại sau khôi phục: chương trình đã ký và đã gửi thiết bị",
        )
    )
    await session.flush()


async def _speaker(session: AsyncSession, scopes: Sequence[str], settings: config.Settings) -> str:
    """Area whose station spoke: that of the target, or the commune of a village."""
    codes = [scope.removeprefix("area/") for scope in scopes if scope.startswith("area/")]
    area = await session.scalar(
        sa.select(Area).where(Area.code.in_(codes)).order_by(Area.valid_from.desc()).limit(1)
    )
    if area is None:
        return settings.province
    above = area.parent_code if area.level is Level.VILLAGE else area.code
    return above or settings.province

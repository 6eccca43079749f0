"""Bulletins and their revisions as rows: written once, moved from state to state under a lock.

A schedule names one revision. It may be compiled into a programme only while that revision is
`approved`: an occurrence whose revision is no longer approved is cancelled with the reason
`withdrawn` by the dispatcher (`approved_renditions` answers for many at once). This feature
knows no schedules and changes none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.audit import recording
from broadcast.auth import second_factor
from broadcast.auth.caller import Caller
from broadcast.auth.permissions import Permission
from broadcast.bulletins import approval
from broadcast.bulletins.approval import Action
from broadcast.bulletins.audio.prepared import Prepared, Trim
from broadcast.bulletins.four_eyes import needs_second_person
from broadcast.bulletins.model import (
    ApprovalStep,
    Bulletin,
    Rendition,
    Revision,
    RevisionState,
    SourceKind,
)
from broadcast.bulletins.revision_audio import attach_audio, release_preparation
from broadcast.bulletins.versions import require_understanding
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict, InvalidInput, NotFound
from broadcast.wire.fields import Codec

log = structlog.get_logger()

Key = tuple[UUID, int]
"""Bulletin and revision number: what a schedule names."""


async def get_bulletin(
    session: AsyncSession, bulletin_id: UUID, *, lock: bool = False
) -> Bulletin:
    """One bulletin.

    Args:
        session: Open transaction.
        bulletin_id: Which.
        lock: Hold its row until the end of the transaction.

    Raises:
        NotFound: There is none.
    """
    bulletin = await session.get(Bulletin, bulletin_id, with_for_update=lock)
    if bulletin is None:
        raise no_bulletin(bulletin_id)
    return bulletin


def no_bulletin(bulletin_id: UUID) -> NotFound:
    """What is answered of a bulletin that there is not, or that the caller may not read."""
    return NotFound(f"Không có bản tin {bulletin_id}.")


async def get_revision(
    session: AsyncSession, bulletin_id: UUID, number: int, *, lock: bool = False
) -> Revision:
    """One revision; arguments and errors as of `get_bulletin`."""
    revision = await session.get(
        Revision, (bulletin_id, number), with_for_update=lock, populate_existing=lock
    )
    if revision is None:
        raise NotFound(f"Bản tin {bulletin_id} không có phiên bản {number}.")
    return revision


async def of_bulletin(session: AsyncSession, bulletin_id: UUID) -> list[Revision]:
    """Revisions of a bulletin, newest first."""
    found = await session.scalars(
        sa.select(Revision)
        .where(Revision.bulletin_id == bulletin_id)
        .order_by(Revision.number.desc())
    )
    return list(found)


async def newest_approved(session: AsyncSession, bulletin_id: UUID) -> Revision | None:
    """The approved revision with the highest number, None when nothing is approved."""
    found: Revision | None = await session.scalar(
        sa.select(Revision)
        .where(Revision.bulletin_id == bulletin_id, Revision.state == RevisionState.APPROVED)
        .order_by(Revision.number.desc())
        .limit(1)
    )
    return found


async def approved_renditions(
    session: AsyncSession, keys: Collection[Key]
) -> dict[Key, list[Rendition]]:
    """Renditions of those of these revisions that are approved at this moment, Opus before MP3."""
    rows = await session.execute(
        sa.select(Revision.bulletin_id, Revision.number, Rendition)
        .outerjoin(
            Rendition,
            sa.and_(
                Rendition.bulletin_id == Revision.bulletin_id,
                Rendition.revision == Revision.number,
            ),
        )
        .where(
            _in(Revision.bulletin_id, Revision.number, keys),
            Revision.state == RevisionState.APPROVED,
        )
    )
    found: defaultdict[Key, list[Rendition]] = defaultdict(list)
    for bulletin_id, number, rendition in rows:
        found[bulletin_id, number] += [] if rendition is None else [rendition]
    return _sorted(found)


async def renditions(session: AsyncSession, keys: Collection[Key]) -> dict[Key, list[Rendition]]:
    """Renditions of these revisions, Opus before MP3."""
    found: defaultdict[Key, list[Rendition]] = defaultdict(list)
    for row in await session.scalars(
        sa.select(Rendition).where(_in(Rendition.bulletin_id, Rendition.revision, keys))
    ):
        found[row.bulletin_id, row.revision].append(row)
    return _sorted(found)


def _sorted(found: Mapping[Key, Iterable[Rendition]]) -> dict[Key, list[Rendition]]:
    order = list(Codec)
    return {
        key: sorted(rows, key=lambda row: order.index(row.codec)) for key, rows in found.items()
    }


async def add(
    session: AsyncSession,
    bulletin: Bulletin,
    prepared: Prepared | None,
    *,
    kind: SourceKind,
    name: str = "",
    text: str | None = None,
    spoken: str | None = None,
    preparation_id: int | None = None,
    trim: Trim | None = None,
    is_drill: bool = False,
    by: int,
    now: datetime,
) -> Revision:
    """The bulletin's next revision, a draft.

    Args:
        session: Open transaction; the bulletin's row is locked, so that numbers have no gap.
        bulletin: What it belongs to.
        prepared: Its sound; None while that is being prepared.
        kind: Where the sound came from.
        name: Name of the uploaded file, for people.
        text: What was read aloud, as it was typed.
        spoken: The script of it.
        preparation_id: The preparation that its sound comes from.
        trim: Part of the uploaded recording that is used; None: all of it.
        is_drill: Its sound says that it is a drill.
        by: Account that made it.
        now: When.
    """
    await session.execute(
        sa.select(Bulletin.id).where(Bulletin.id == bulletin.id).with_for_update()
    )
    highest = await session.scalar(
        sa.select(sa.func.max(Revision.number)).where(Revision.bulletin_id == bulletin.id)
    )
    revision = Revision(
        bulletin_id=bulletin.id,
        number=(highest or 0) + 1,
        state=RevisionState.DRAFT,
        source_kind=kind,
        source_name=name,
        text=text,
        spoken=spoken,
        preparation_id=preparation_id,
        trim_start_seconds=trim and trim.start_seconds,
        trim_end_seconds=trim and trim.end_seconds,
        is_drill=is_drill,
        facts={},
        created_by=by,
        created_at=now,
    )
    session.add(revision)
    await session.flush()
    if prepared is not None:
        attach_audio(session, revision, prepared)
    session.add(_step(revision, by, now, ""))
    await session.flush()
    log.info(
        "bulletins.revision.created",
        bulletin_id=str(bulletin.id), revision=revision.number, by=by,
    )  # fmt: skip
    return revision


async def move(
    session: AsyncSession,
    key: Key,
    action: Action,
    caller: Caller,
    note: str,
    now: datetime,
    *,
    heard_sha256: str | None = None,
) -> Revision:
    """Do `action` to a revision. Of two that come at once, the second sees the first's result.

    Args:
        session: Open transaction.
        key: Which.
        action: The step.
        caller: Who takes it.
        note: Its reason.
        now: Present.
        heard_sha256: Of an approval: the rendition that was heard to its end; None where the
            caller does not say.

    Raises:
        NotFound: There is no such revision.
        Forbidden: `caller` may not, or not without a second factor (`SecondFactorRequired`).
        Conflict: The revision's state does not permit it, or it has no sound yet.
        InvalidInput: A return without a reason.
    """
    revision = await get_revision(session, *key, lock=True)
    bulletin = await get_bulletin(session, key[0])
    if action is Action.APPROVE:
        second_factor.check(caller.second_factor_until, Permission.BULLETIN_APPROVE, now)
    revision.state = await following_state(session, bulletin, revision, action, caller, note, now)
    session.add(_step(revision, caller.account_id, now, note.strip()))
    recording.concern(session, bulletin.area_code)
    if action is Action.APPROVE:
        await _record_seen(session, bulletin, revision, heard_sha256)
    elif heard_sha256 is not None:
        raise InvalidInput("heard_sha256", "chỉ dùng khi duyệt")
    if action is Action.WITHDRAW:
        await session.flush()
        await release_preparation(session, revision.preparation_id, now)
    await session.flush()
    log.info(
        "bulletins.revision.moved",
        bulletin_id=str(key[0]), revision=key[1], state=revision.state.value, by=caller.account_id,
    )  # fmt: skip
    return revision


async def approve_with_alert(
    session: AsyncSession, key: Key, caller: Caller, now: datetime
) -> Revision:
    """Approve the sound of an alert with its authorisation, which is asked for before.

    One that is approved already stays so.

    Raises:
        Conflict: Its sound is not ready, or it was returned or withdrawn.
    """
    revision = await get_revision(session, *key, lock=True)
    if revision.state is RevisionState.APPROVED:
        return revision
    if revision.state not in {RevisionState.DRAFT, RevisionState.SUBMITTED}:
        raise Conflict("Âm thanh của cảnh báo này đã bị rút; hãy soạn cảnh báo mới.")
    if revision.seconds is None:
        raise Conflict("Âm thanh chưa sẵn sàng; hãy chờ vài giây rồi cho phép lại.")
    revision.state = RevisionState.APPROVED
    session.add(_step(revision, caller.account_id, now, "cho phép phát khẩn cấp"))
    await _record_seen(session, await get_bulletin(session, key[0]), revision, None)
    await session.flush()
    return revision


async def following_state(
    session: AsyncSession,
    bulletin: Bulletin,
    revision: Revision,
    action: Action,
    caller: Caller,
    note: str,
    now: datetime,
) -> RevisionState:
    """State that a step by this caller leads to; takes no step.

    Raises:
        BroadcastError: As `move`, but for the second factor.
    """
    needs_language = bulletin.version_of is not None or bulletin.phrase is not None
    if action is Action.APPROVE and needs_language:
        await require_understanding(session, caller.account_id, bulletin.language)
    return approval.decide(
        revision.state,
        action,
        class_=bulletin.class_,
        author=revision.created_by,
        actor=caller.account_id,
        may=await scope.permissions_at(session, caller, bulletin.area_code),
        note=note,
        is_prepared=revision.seconds is not None,
        second_person=needs_language
        or await needs_second_person(session, bulletin.area_code, now.astimezone(LOCAL).date()),
    )


async def _record_seen(
    session: AsyncSession, bulletin: Bulletin, revision: Revision, heard_sha256: str | None
) -> None:
    """Tell the audit what was approved: the sound by its SHA-256, the text, for whom.

    Raises:
        InvalidInput: What was heard is no sound of this revision.
    """
    key = (revision.bulletin_id, revision.number)
    sound = (await renditions(session, [key])).get(key, [])
    if heard_sha256 is not None and heard_sha256 not in {each.sha256 for each in sound}:
        raise InvalidInput(
            "heard_sha256",
            "âm thanh đã nghe không phải của phiên bản này; hãy tải lại trang và nghe lại",
        )
    recording.say(
        session,
        seen={
            "title": bulletin.title,
            "class": bulletin.class_,
            "area_code": bulletin.area_code,
            "seconds": revision.seconds,
            "sha256": {each.codec.value: each.sha256 for each in sound},
            "heard_sha256": heard_sha256,
            "text": revision.text,
            "spoken": revision.spoken,
            "trim_start_seconds": revision.trim_start_seconds,
            "trim_end_seconds": revision.trim_end_seconds,
        },
    )


async def cancel_preparation(
    session: AsyncSession, key: Key, caller: Caller, now: datetime
) -> Revision:
    """Withdraw a revision whose sound is not ready; its preparation ends unless others need it.

    Raises:
        Conflict: Its sound is ready.
        BroadcastError: As `move`.
    """
    revision = await get_revision(session, *key, lock=True)
    if revision.seconds is not None:
        raise Conflict(
            "Âm thanh đã chuẩn bị xong; nếu không dùng phiên bản này, hãy rút nó.",
            allowed=[step.value for step in approval.allowed(revision.state)],
        )
    if revision.state is RevisionState.WITHDRAWN:
        return revision
    return await move(session, key, Action.WITHDRAW, caller, "", now)


async def steps(session: AsyncSession, bulletin_id: UUID) -> dict[int, list[ApprovalStep]]:
    """Approval steps by revision number, oldest first."""
    found: defaultdict[int, list[ApprovalStep]] = defaultdict(list)
    for row in await session.scalars(
        sa.select(ApprovalStep)
        .where(ApprovalStep.bulletin_id == bulletin_id)
        .order_by(ApprovalStep.id)
    ):
        found[row.revision].append(row)
    return found


def _step(revision: Revision, actor: int, now: datetime, note: str) -> ApprovalStep:
    return ApprovalStep(
        bulletin_id=revision.bulletin_id,
        revision=revision.number,
        state=revision.state,
        actor=actor,
        at=now,
        note=note,
    )


def _in(
    bulletin_id: sa.orm.InstrumentedAttribute[UUID],
    number: sa.orm.InstrumentedAttribute[int],
    keys: Collection[Key],
) -> sa.ColumnElement[bool]:
    return sa.tuple_(bulletin_id, number).in_(list(keys))

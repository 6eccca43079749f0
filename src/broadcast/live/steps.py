"""Use cases of live speech: prepare, begin, end. For REST, pages and the microphone alike.

From the beginning on the dispatcher goes the way of every occurrence: ledger, signed document,
broker. The words go another way (`studio.py`).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid4

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.alerts.places import station_of
from broadcast.areas import scope
from broadcast.auth import second_factor
from broadcast.auth.caller import Caller
from broadcast.auth.permissions import Permission
from broadcast.bulletins.model import ApprovalStep, Bulletin, Revision, RevisionState, SourceKind
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict, Forbidden, InvalidInput
from broadcast.kit.notify import Channel, notify
from broadcast.kit.quiet import OFFSET, daily
from broadcast.live.model import LiveSession
from broadcast.live.queries import no_session
from broadcast.live.schemas import LiveIn
from broadcast.live.state import MOST_MINUTES, TAIL, LiveEnd, LiveState
from broadcast.schedules import targets
from broadcast.schedules.model import Occurrence, OccurrenceState, Schedule, ScheduleState
from broadcast.schedules.places import units_of
from broadcast.schedules.priority import LIVE
from broadcast.schedules.recurrence import Planned
from broadcast.wire.fields import BulletinClass, OnPreempt
from broadcast.wire.hours import DAY, next_silence
from broadcast.wire.limits import MOST_LIVE

log = structlog.get_logger()

REVISION = 1

AUDIBLE_SECONDS = 60.0
"""Before silent hours of a place, for it to be among those that hear."""


async def prepare(
    session: AsyncSession, body: LiveIn, caller: Caller, settings: config.Settings, now: datetime
) -> LiveSession:
    """A live session that begins once the microphone of its maker is there; nothing sounds yet.

    Args:
        session: Open transaction.
        body: Where, how long, of what class.
        caller: Who is to speak; needs `live_speak` in every place, and `emergency_alone` for an
            emergency.
        settings: With the quiet hours.
        now: Present.

    Raises:
        InvalidInput: A field; says which.
        Forbidden: The caller may not there, or not without a second factor.
        Conflict: Quiet hours.
    """
    on = now.astimezone(LOCAL).date()
    named = [target.model_dump(exclude_none=True) for target in body.targets]
    await targets.check(session, named, on)
    most = MOST_MINUTES[body.class_]
    if body.most_minutes > most:
        raise InvalidInput("most_minutes", f"mức này được nói tối đa {most} phút mỗi buổi")
    live = LiveSession(
        id=uuid4(),
        title=body.title,
        class_=body.class_,
        area_code=await station_of(session, named, on),
        targets=named,
        targets_on=on,
        volume=body.volume,
        most_minutes=body.most_minutes,
        created_by=caller.account_id,
        created_at=now,
    )
    await require_at(session, live, caller, now)
    await _ends_by(session, live, settings, now)
    session.add(live)
    await session.flush()
    log.info("live.session.prepared", live_id=str(live.id), by=caller.account_id)
    return live


async def begin(
    session: AsyncSession,
    live: LiveSession,
    key: str,
    caller: Caller,
    settings: config.Settings,
    now: datetime,
) -> None:
    """The microphone is there: announce the session to devices, with the key of its packets.

    Of one that was begun already the key is changed, when its packets get another one: the page
    was loaded again, and the server restarted meanwhile.

    Args:
        session: Open transaction, which holds the session's row.
        live: Prepared, or begun.
        key: Public half, in base64url.
        caller: Its maker.
        settings: With the quiet hours.
        now: Present.

    Raises:
        Forbidden: Somebody else prepared it, or the caller may not, or not without second factor.
        Conflict: It is over, or quiet hours, or reaches nobody.
    """
    if caller.account_id != live.created_by:
        raise Forbidden("Chỉ người đã soạn buổi phát trực tiếp này mới được nói.")
    state = live.state_at(now)
    if state not in {LiveState.PREPARED, LiveState.SPEAKING}:
        raise Conflict("Buổi phát trực tiếp này đã kết thúc; hãy soạn buổi mới.")
    live.heard_at = now
    if state is LiveState.SPEAKING:
        await session.execute(
            sa.update(Occurrence)
            .where(Occurrence.id == live.id, Occurrence.live_key != key)
            .values(live_key=key, dirty=True)
        )
        await notify(session, Channel.DISPATCH)
        return
    await require_at(session, live, caller, now)
    ends_by = await _ends_by(session, live, settings, now)
    await _occur(session, live, key, ends_by, settings, now)
    live.begun_at, live.ends_by, live.occurrence_id = now, ends_by, live.id
    await session.flush()
    await notify(session, Channel.DISPATCH)
    log.warning("live.session.begun", live_id=str(live.id), by=caller.account_id)


async def end(
    session: AsyncSession,
    live: LiveSession,
    reason: LiveEnd,
    by: int | None,
    now: datetime,
    seconds: float | None = None,
) -> None:
    """End a session; devices stop after what is still on its way to them.

    Args:
        session: Open transaction, which holds the session's row.
        live: Any; one that has not begun never does.
        reason: Why.
        by: Account that ended it; None: time did.
        now: Present.
        seconds: How much was spoken, where that is known better than the row says.
    """
    if live.ended_at is not None:
        return
    live.ended_at, live.ended_by, live.end_reason = now, by, reason
    if seconds is not None:
        live.seconds = seconds
    await session.flush()
    if live.begun_at is None:
        return
    # By this length the plays are judged, from now on.
    await session.execute(
        sa.update(Revision)
        .where(Revision.bulletin_id == live.id, Revision.number == REVISION)
        .values(seconds=live.seconds)
    )
    ends_by = now + TAIL
    await session.execute(
        sa.update(Occurrence)
        .where(Occurrence.id == live.id, Occurrence.ends_by > ends_by)
        .values(ends_by=ends_by, dirty=True)
    )
    await notify(session, Channel.DISPATCH)
    log.warning("live.session.ended", live_id=str(live.id), reason=reason.value, by=by)


async def stop(session: AsyncSession, live: LiveSession, caller: Caller, now: datetime) -> None:
    """End a session by the hand of somebody who may speak there.

    Without a second factor: who stops something must not look for a phone first.

    Raises:
        Forbidden: The caller may not there.
        Conflict: It is over already.
    """
    await _require_places(session, live, caller, Permission.LIVE_SPEAK)
    if live.state_at(now) not in {LiveState.PREPARED, LiveState.SPEAKING}:
        raise Conflict("Buổi phát trực tiếp này đã kết thúc.")
    await end(session, live, LiveEnd.STOPPED, caller.account_id, now)


async def require_at(
    session: AsyncSession, live: LiveSession, caller: Caller, now: datetime
) -> None:
    """Refuse to speak live where not every place is the caller's, or without second factor.

    Raises:
        Forbidden: So it is.
    """
    needed = [Permission.LIVE_SPEAK]
    if live.class_ is BulletinClass.EMERGENCY:
        needed.append(Permission.EMERGENCY_ALONE)
    for permission in needed:
        if permission not in caller.permissions:
            raise Forbidden("Nói trực tiếp mức khẩn cấp cần vai trò trực khẩn cấp.")
        second_factor.check(caller.second_factor_until, permission, now)
        await _require_places(session, live, caller, permission)


async def _require_places(
    session: AsyncSession, live: LiveSession, caller: Caller, permission: Permission
) -> None:
    codes = await units_of(session, live.targets, live.targets_on, is_stored=True)
    is_stored = not sa.inspect(live).transient
    thing = sa.select(LiveSession.id).where(LiveSession.id == live.id) if is_stored else None
    missing = no_session(live.id) if is_stored else None
    await scope.require(session, caller, permission, codes, thing, missing)


async def _ends_by(
    session: AsyncSession, live: LiveSession, settings: config.Settings, now: datetime
) -> datetime:
    """When a session that begins now ends at the latest: once all of its places are silent.

    Raises:
        Conflict: All are now, by their Quy chế, an exam or the quiet hours of the settings.
    """
    ends_by = now + timedelta(minutes=live.most_minutes)
    if live.class_ is BulletinClass.EMERGENCY:
        return ends_by
    on = now.astimezone(LOCAL).date()
    default = daily(settings.rules.quiet_hours)
    resolver = await targets.target_resolver(session)
    reached = (await resolver.resolve(live.targets, live.targets_on, on)).cluster_ids
    known = await resolver.rules.hours(reached, on - DAY, on + DAY, default)
    silences = [
        next_silence(hours, OFFSET, now) for hours in set(map(tuple, known.values())) or {default}
    ]
    to_come = [None if each is None else each.begins_at for each in silences]
    sounding = [at for at in to_come if at is None or at > now]
    if not sounding:
        ends = [each.ends_at for each in silences if each is not None and each.ends_at is not None]
        if not ends:
            raise Conflict(
                "Cả ngày là giờ yên tĩnh: chỉ lời nói khẩn cấp được phát; hãy dùng trang Khẩn cấp."
            )
        raise Conflict(
            f"Giờ yên tĩnh đến {min(ends).astimezone(LOCAL):%H:%M}: chỉ lời nói khẩn cấp được"
            " phát. Hãy chờ đến lúc đó, hoặc dùng trang Khẩn cấp."
        )
    return min(ends_by, max(at or ends_by for at in sounding))


async def _occur(
    session: AsyncSession,
    live: LiveSession,
    key: str,
    ends_by: datetime,
    settings: config.Settings,
    now: datetime,
) -> None:
    """Make the bulletin, schedule and occurrence of a session, all of its own id."""
    starts_at = now.replace(microsecond=now.microsecond // 1000 * 1000)
    session.add(
        Bulletin(
            id=live.id,
            title=live.title,
            class_=live.class_,
            area_code=live.area_code,
            created_by=live.created_by,
            created_at=now,
        )
    )
    await session.flush()
    session.add(
        Revision(
            bulletin_id=live.id,
            number=REVISION,
            # Who speaks live answers for it: nobody can approve what has not been said.
            state=RevisionState.APPROVED,
            source_kind=SourceKind.LIVE,
            seconds=0.0,
            facts={},
            created_by=live.created_by,
            created_at=now,
        )
    )
    await session.flush()
    session.add(
        ApprovalStep(
            bulletin_id=live.id,
            revision=REVISION,
            state=RevisionState.APPROVED,
            actor=live.created_by,
            at=now,
            note="phát trực tiếp",
        )
    )
    shared = {
        "bulletin_id": live.id,
        "bulletin_revision": REVISION,
        "title": live.title,
        "starts_at": starts_at,
        "priority": LIVE[live.class_],
        "late_limit_seconds": int((ends_by - starts_at).total_seconds()),
        "on_preempt": OnPreempt.RESUME,
        "volume": live.volume,
    }
    schedule = Schedule(
        id=live.id,
        rrule=None,
        dates=[],
        except_on=[],
        only_on=[],
        targets=live.targets,
        targets_on=live.targets_on,
        is_speech=True,
        is_emergency=live.class_ is BulletinClass.EMERGENCY,
        state=ScheduleState.LIVE,
        created_by=live.created_by,
        created_at=now,
        changed_at=now,
        **shared,
    )
    session.add(schedule)
    await session.flush()
    resolver = await targets.target_resolver(session)
    # Where it begins to be silent later, devices fall silent by themselves.
    lasting = None if schedule.is_emergency else AUDIBLE_SECONDS
    default = daily(settings.rules.quiet_hours)
    reached = await resolver.reach_at(schedule, Planned(starts_at, starts_at), lasting, default)
    if not reached.cluster_ids:
        raise Conflict(
            "Không có cụm loa nào phát được lời nói trực tiếp ở các nơi này hôm nay; hãy chọn nơi"
            " khác."
        )
    await _refuse_flood(session, reached.scopes, now)
    session.add(
        Occurrence(
            id=live.id,
            schedule_id=live.id,
            recurrence_at=starts_at,
            ends_by=ends_by + TAIL,
            class_=live.class_,
            state=OccurrenceState.PLANNED,
            cancel_reason=None,
            scopes=reached.scopes,
            carried_scopes=[],
            reach=reached.digest(),
            live_key=key,
            dirty=True,
            **shared,
        )
    )
    await session.flush()


async def _refuse_flood(session: AsyncSession, scopes: list[str], now: datetime) -> None:
    """Refuse a session for which a document may have no room.

    Raises:
        Conflict: So it is.
    """
    count = await session.scalar(
        sa.select(sa.func.count()).where(
            Occurrence.live_key.is_not(None),
            Occurrence.ends_by > now,
            Occurrence.scopes.overlap(scopes),
        )
    )
    if (count or 0) >= MOST_LIVE:
        raise Conflict("Ở đó đã có nhiều người đang nói trực tiếp; hãy chờ họ nói xong.")

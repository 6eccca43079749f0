"""Use cases of alerts: prepare, propose, authorise, take the place of, cancel, debrief.

For REST, pages and CAP alike. Each takes the alert locked (`queries.get_alert(lock=True)`), checks
the caller's places, second factor and the state, and changes rows; from there the dispatcher goes
the way of every occurrence: ledger, signed document, broker.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.alerts import drills, sound, texts
from broadcast.alerts.model import Alert
from broadcast.alerts.places import require_at_alert, station_of
from broadcast.alerts.schemas import USUAL_MINUTES, AlertIn, ReplacementIn
from broadcast.alerts.state import (
    ALONE_AT_MOST,
    AlertKind,
    AlertState,
    AlertStep,
    follow,
)
from broadcast.auth import second_factor
from broadcast.auth.caller import Caller
from broadcast.auth.permissions import Permission
from broadcast.bulletins import revisions
from broadcast.bulletins.audio.prepared import Framing
from broadcast.bulletins.model import Revision
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict, Forbidden, InvalidInput
from broadcast.kit.notify import Channel, notify
from broadcast.schedules import targets
from broadcast.schedules.model import Occurrence, OccurrenceState, Schedule, ScheduleState
from broadcast.schedules.starts import SLACK
from broadcast.wire.fields import AlertMode, BulletinClass, OnPreempt
from broadcast.wire.limits import MOST_ALERTS

log = structlog.get_logger()


async def prepare(
    session: AsyncSession, body: AlertIn, caller: Caller, settings: config.Settings, now: datetime
) -> Alert:
    """A new alert, whose sound is ready or being prepared; nobody hears of it yet.

    Args:
        session: Open transaction.
        body: What, where, how long. With `drill_id` it is of that drill's mode, else actual.
        caller: Who prepares it; needs `emergency_propose` in every place.
        settings: Of the preparation of the sound.
        now: Present.

    Raises:
        InvalidInput: A field; says which.
        Forbidden: The caller may not there.
        Conflict: The template or bulletin is not approved, or the drill does not take it.
    """
    on = now.astimezone(LOCAL).date()
    named = [target.model_dump(exclude_none=True) for target in body.targets]
    await targets.check(session, named, on)
    await require_at_alert(session, caller, Permission.EMERGENCY_PROPOSE, named, on)
    return await _made(session, body, caller, settings, now)


async def _made(
    session: AsyncSession, body: AlertIn, caller: Caller, settings: config.Settings, now: datetime
) -> Alert:
    on = now.astimezone(LOCAL).date()
    named = [target.model_dump(exclude_none=True) for target in body.targets]
    area_code = await station_of(session, named, on)
    mode = AlertMode.ACTUAL
    if body.drill_id is not None:
        mode = (await drills.require_for(session, body.drill_id, named, on)).mode
    if body.starts_at is not None and body.starts_at > now + timedelta(days=7):
        raise InvalidInput("starts_at", "cách hơn 7 ngày; hãy xếp lịch một bản tin khẩn cấp")
    alert = Alert(
        id=uuid4(),
        kind=AlertKind.ALERT,
        mode=mode,
        drill_id=body.drill_id,
        event=body.event,
        headline=body.headline,
        area_code=area_code,
        targets=named,
        targets_on=on,
        priority=body.priority,
        volume=body.volume,
        starts_at=body.starts_at,
        state=AlertState.PREPARED,
        created_by=caller.account_id,
        created_at=now,
    )
    framing = Framing(tone=body.tone, repeats=body.repeats, is_drill=mode is not AlertMode.ACTUAL)
    await _add(session, alert, body, framing, caller, settings, now)
    return alert


async def propose_received(
    session: AsyncSession,
    body: AlertIn,
    not_after: datetime,
    caller: Caller,
    settings: config.Settings,
    now: datetime,
) -> Alert:
    """An alert that another authority has sent, proposed at once: a person here authorises it.

    Args:
        session: Open transaction.
        body: As of `prepare`.
        not_after: When it expires; nobody authorises it then any more.
        caller: Program that has handed it in, with `alert_submit` in the whole province.
        settings: Of the preparation of the sound.
        now: Present.

    Raises:
        InvalidInput, Conflict: As `prepare`.
    """
    alert = await _made(session, body, caller, settings, now)
    alert.not_after = not_after
    alert.state = follow(alert.state_at(now), AlertStep.PROPOSE)
    alert.proposed_by, alert.proposed_at = caller.account_id, now
    await session.flush()
    log.info("alerts.alert.received", alert_id=str(alert.id), by=caller.account_id)
    return alert


async def withdraw_received(
    session: AsyncSession, alert: Alert, reason: str, caller: Caller, now: datetime
) -> None:
    """Give up an alert that its authority has cancelled before anybody authorised it."""
    assert alert.authorised_at is None
    if AlertStep.CANCEL in alert.allowed_at(now):
        alert.state = follow(alert.state_at(now), AlertStep.CANCEL)
        await _end(session, alert, caller, reason, now)


async def propose(session: AsyncSession, alert: Alert, caller: Caller, now: datetime) -> None:
    """Ask a second person to authorise an alert; it waits for half an hour.

    Raises:
        Forbidden: The caller may not there, or not without a second factor.
        Conflict: The state does not permit it.
    """
    await _require(session, alert, caller, Permission.EMERGENCY_PROPOSE, now)
    alert.state = follow(alert.state_at(now), AlertStep.PROPOSE)
    alert.proposed_by, alert.proposed_at = caller.account_id, now
    await session.flush()
    log.info("alerts.alert.proposed", alert_id=str(alert.id), by=caller.account_id)


async def authorise(session: AsyncSession, alert: Alert, caller: Caller, now: datetime) -> None:
    """Let an alert sound that somebody else proposed.

    Raises:
        Forbidden: The caller proposed it, may not there, or not without a second factor.
        Conflict: The state does not permit it, the sound is not ready, a drill is not on, or the
            warning of which it was made has expired.
    """
    await _require(session, alert, caller, Permission.EMERGENCY_WRITE, now)
    following = follow(alert.state_at(now), AlertStep.AUTHORISE)
    if caller.account_id in {alert.proposed_by, alert.created_by}:
        raise Forbidden(
            "Người soạn hoặc đề nghị không được tự cho phép; cần người thứ hai, đăng nhập bằng tài"
            " khoản và thiết bị của mình."
        )
    await _issue(session, alert, following, caller, timedelta(minutes=alert.valid_minutes), now)


async def authorise_alone(
    session: AsyncSession, alert: Alert, reason: str, caller: Caller, now: datetime
) -> None:
    """Let an alert sound without a second person; it ends by itself soon, and is debriefed.

    Args:
        session: Open transaction.
        alert: Prepared or proposed, by whomever.
        reason: Why nobody else could be asked.
        caller: Needs `emergency_alone`.
        now: Present.

    Raises:
        InvalidInput: No reason.
        Forbidden: The caller may not there, or not without a second factor.
        Conflict: As `authorise`; or it is one of a drill, for which there is time for two.
    """
    await _require(session, alert, caller, Permission.EMERGENCY_ALONE, now)
    if not reason.strip():
        raise InvalidInput("reason", "hãy ghi vì sao không chờ được người thứ hai")
    if alert.mode is not AlertMode.ACTUAL:
        raise Conflict("Diễn tập không khẩn cấp: hãy đề nghị để người thứ hai cho phép.")
    following = follow(alert.state_at(now), AlertStep.AUTHORISE_ALONE)
    alert.is_alone, alert.alone_reason = True, reason.strip()
    valid = min(timedelta(minutes=alert.valid_minutes), ALONE_AT_MOST)
    await _issue(session, alert, following, caller, valid, now)


async def replace(
    session: AsyncSession,
    alert: Alert,
    body: ReplacementIn,
    caller: Caller,
    settings: config.Settings,
    now: datetime,
) -> Alert:
    """A new alert that takes the place of another, an update or an all-clear, once authorised.

    Until then the other goes on. It reaches the same places, in the same mode.

    Raises:
        Conflict: The state of the other does not permit it, or it was never authorised.
        BroadcastError: As `prepare`.
    """
    await _require(session, alert, caller, Permission.EMERGENCY_PROPOSE, now, shown=False)
    _replaced(alert, body.kind, now)
    new = Alert(
        id=uuid4(),
        kind=body.kind,
        replaces_id=alert.id,
        state=AlertState.PREPARED,
        headline=body.headline,
        created_by=caller.account_id,
        created_at=now,
        **{name: getattr(alert, name) for name in _KEPT},
    )
    framing = Framing(body.tone, body.repeats, is_drill=alert.is_drill)
    await _add(session, new, body, framing, caller, settings, now)
    return new


def _replaced(alert: Alert, kind: AlertKind, now: datetime) -> AlertState:
    """State of an alert whose place another takes.

    Raises:
        Conflict: Its state does not permit it, or nobody has heard it.
    """
    following = follow(alert.state_at(now), _STEPS[kind])
    if alert.authorised_at is None:
        raise Conflict("Cảnh báo này chưa từng phát; hãy soạn mới.")
    return following


_STEPS = {AlertKind.UPDATE: AlertStep.UPDATE, AlertKind.ALL_CLEAR: AlertStep.CLEAR}
_KEPT = (
    "mode", "drill_id", "event", "area_code", "targets", "targets_on", "priority", "volume",
)  # fmt: skip


async def cancel(
    session: AsyncSession, alert: Alert, reason: str, caller: Caller, now: datetime
) -> None:
    """Stop an alert, or give up one that is not authorised; one person is enough for that.

    Without a second factor: who stops something must not look for a phone first.

    Raises:
        InvalidInput: No reason.
        Forbidden: The caller may not there.
        Conflict: It is over already.
    """
    is_issued = alert.authorised_at is not None
    needed = Permission.EMERGENCY_WRITE if is_issued else Permission.EMERGENCY_PROPOSE
    await _require(session, alert, caller, needed, now, shown=False)
    if not reason.strip():
        raise InvalidInput("reason", "hãy ghi vì sao hủy")
    alert.state = follow(alert.state_at(now), AlertStep.CANCEL)
    await _end(session, alert, caller, reason.strip(), now)
    log.warning("alerts.alert.cancelled", alert_id=str(alert.id), by=caller.account_id)


async def debrief(
    session: AsyncSession, alert: Alert, told: str, caller: Caller, now: datetime
) -> None:
    """Write down what people found when they talked over what one of them did alone.

    Raises:
        InvalidInput: Nothing was written.
        Forbidden: The caller issued it, may not there, or not without a second factor.
        Conflict: It needs none, or has one.
    """
    await _require(session, alert, caller, Permission.EMERGENCY_WRITE, now)
    if not alert.is_alone or alert.debriefed_at is not None:
        raise Conflict("Cảnh báo này không chờ rút kinh nghiệm.")
    if alert.authorised_by == caller.account_id:
        raise Forbidden("Người đã phát một mình không tự rút kinh nghiệm; cần một người khác.")
    if not told.strip():
        raise InvalidInput("debrief", "hãy ghi kết quả rút kinh nghiệm")
    alert.debriefed_by, alert.debriefed_at = caller.account_id, now
    alert.debrief = told.strip()
    await session.flush()


async def _require(
    session: AsyncSession,
    alert: Alert,
    caller: Caller,
    permission: Permission,
    now: datetime,
    *,
    shown: bool = True,
) -> None:
    if shown:
        second_factor.check(caller.second_factor_until, permission, now)
    await require_at_alert(
        session, caller, permission, alert.targets, alert.targets_on, alert_id=alert.id
    )


async def _add(
    session: AsyncSession,
    alert: Alert,
    body: AlertIn | ReplacementIn,
    framing: Framing,
    caller: Caller,
    settings: config.Settings,
    now: datetime,
) -> None:
    revision = await sound.make(
        session, body, framing, alert.headline, alert.area_code, settings, caller, now
    )
    if body.template_id is not None:
        template = await sound.require_template(session, body.template_id)
        framing = Framing(template.tone, template.repeats)
        said, usual_minutes = template.texts, template.valid_minutes
    else:
        usual_minutes = USUAL_MINUTES
        said = {} if revision.text is None else {"vi": revision.text}
    alert.template_id = body.template_id
    alert.valid_minutes = body.valid_minutes or usual_minutes
    alert.tone, alert.repeats = framing.tone, framing.repeats
    # What is spoken is what people read, whatever was given beside it.
    alert.texts = {str(key): text for key, text in body.translations.items()} | said
    alert.bulletin_id, alert.bulletin_revision = revision.bulletin_id, revision.number
    alert.is_drill = alert.mode is not AlertMode.ACTUAL
    session.add(alert)
    await session.flush()
    log.info("alerts.alert.prepared", alert_id=str(alert.id), by=caller.account_id)


async def _issue(
    session: AsyncSession,
    alert: Alert,
    following: AlertState,
    caller: Caller,
    valid: timedelta,
    now: datetime,
) -> None:
    """Approve the sound, and make the occurrence that documents and ledger follow."""
    key = (alert.bulletin_id, alert.bulletin_revision)
    revision = await revisions.approve_with_alert(session, key, caller, now)
    at = now.replace(microsecond=now.microsecond // 1000 * 1000)
    starts_at = max(alert.starts_at or at, at)
    once = timedelta(seconds=revision.seconds) + SLACK
    ends_by = starts_at + max(valid, once)
    if alert.not_after is not None:
        if starts_at >= alert.not_after:
            over = alert.not_after.astimezone(LOCAL)
            raise Conflict(
                f"Cảnh báo của nơi phát đã hết hiệu lực lúc {over:%H:%M}; hãy hủy và chờ bản tin"
                " mới."
            )
        ends_by = min(ends_by, max(alert.not_after, starts_at + once))
    if alert.drill_id is not None:
        ends_by = await drills.require_on(session, alert.drill_id, starts_at, ends_by, revision)
    if alert.replaces_id is not None:
        await _take_place(session, alert, alert.replaces_id, caller, now)
    await _occur(session, alert, revision, starts_at, ends_by, now)
    alert.state, alert.starts_at, alert.ends_by = following, starts_at, ends_by
    alert.authorised_by, alert.authorised_at = caller.account_id, now
    alert.occurrence_id = alert.id
    await session.flush()
    await notify(session, Channel.DISPATCH)
    log.warning(
        "alerts.alert.authorised",
        alert_id=str(alert.id), mode=alert.mode.value, alone=alert.is_alone, by=caller.account_id,
    )  # fmt: skip


async def _take_place(
    session: AsyncSession, alert: Alert, other_id: UUID, caller: Caller, now: datetime
) -> None:
    other = await session.get_one(Alert, other_id, with_for_update=True, populate_existing=True)
    other.state = _replaced(other, alert.kind, now)
    await _end(session, other, caller, texts.REPLACED[alert.kind], now)


async def _end(
    session: AsyncSession, alert: Alert, caller: Caller, note: str, now: datetime
) -> None:
    """Note who ended it; what sounds is stopped."""
    alert.ended_by, alert.ended_at, alert.end_note = caller.account_id, now, note
    await session.execute(
        sa.update(Occurrence)
        .where(
            Occurrence.id == alert.id,
            Occurrence.state == OccurrenceState.PLANNED,
            Occurrence.ends_by > now,
        )
        .values(state=OccurrenceState.CANCELLED, cancel_reason=note, dirty=True)
    )
    await session.flush()
    await notify(session, Channel.DISPATCH)


async def _occur(
    session: AsyncSession,
    alert: Alert,
    revision: Revision,
    starts_at: datetime,
    ends_by: datetime,
    now: datetime,
) -> None:
    """Make the one occurrence of an alert, under a schedule that nothing else changes."""
    resolver = await targets.target_resolver(session)
    on = starts_at.astimezone(LOCAL).date()
    reached = await resolver.resolve(alert.targets, alert.targets_on, on)
    await _refuse_flood(session, reached.scopes, now)
    late_limit = int((ends_by - starts_at).total_seconds())
    shared = {
        "bulletin_id": revision.bulletin_id,
        "bulletin_revision": revision.number,
        "title": alert.headline,
        "starts_at": starts_at,
        "priority": alert.priority,
        "late_limit_seconds": late_limit,
        "on_preempt": OnPreempt.RESUME,
        "volume": alert.volume,
    }
    session.add(
        Schedule(
            id=alert.id,
            rrule=None,
            targets=alert.targets,
            targets_on=alert.targets_on,
            state=ScheduleState.ALERT,
            is_emergency=True,
            created_by=alert.proposed_by or alert.created_by,
            created_at=now,
            changed_at=now,
            **shared,
        )
    )
    await session.flush()
    session.add(
        Occurrence(
            id=alert.id,
            schedule_id=alert.id,
            recurrence_at=starts_at,
            ends_by=ends_by,
            class_=BulletinClass.EMERGENCY,
            state=OccurrenceState.PLANNED,
            cancel_reason=None,
            scopes=reached.scopes,
            carried_scopes=[],
            reach=reached.digest(),
            alert_mode=alert.mode,
            dirty=True,
            **shared,
        )
    )
    await session.flush()


async def _refuse_flood(session: AsyncSession, scopes: list[str], now: datetime) -> None:
    """Refuse an alert for which a document has no room.

    Raises:
        Conflict: So it is.
    """
    held = await session.scalars(
        sa.select(Occurrence.scopes).where(
            Occurrence.alert_mode.is_not(None),
            Occurrence.state == OccurrenceState.PLANNED,
            Occurrence.ends_by > now,
            Occurrence.scopes.overlap(scopes),
        )
    )
    counts = Counter(scope for some in held for scope in some)
    if any(counts[scope] >= MOST_ALERTS for scope in scopes):
        raise Conflict(
            f"Ở đó đã có {MOST_ALERTS} cảnh báo còn hiệu lực; hãy hủy bớt hoặc cập nhật một cảnh"
            " báo đang có."
        )

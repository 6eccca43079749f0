"""What a message of another authority becomes here: an alert that waits for a second person."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.alerts import steps
from broadcast.alerts.cap.judge import Action, Text, Verdict
from broadcast.alerts.model import Alert, AlertEvent, Drill
from broadcast.alerts.schemas import MOST_MINUTES, AlertIn
from broadcast.auth.caller import Caller
from broadcast.kit.errors import BroadcastError, InvalidInput
from broadcast.kit.languages import LANGUAGES, Language
from broadcast.kit.validation import invalid
from broadcast.schedules.schemas import TargetIn
from broadcast.wire.fields import AlertMode

WORDS = {
    AlertEvent.DAM_RELEASE: ("xả lũ", "hồ chứa", "dam"),
    AlertEvent.TSUNAMI: ("sóng thần", "tsunami"),
    AlertEvent.STORM: ("bão", "áp thấp", "dông", "lốc", "storm", "typhoon", "cyclone"),
    AlertEvent.LANDSLIDE: ("sạt lở", "lở đất", "landslide"),
    AlertEvent.FLOOD: ("lũ", "lụt", "ngập", "flood"),
    AlertEvent.EARTHQUAKE: ("động đất", "earthquake"),
    AlertEvent.FIRE: ("cháy", "fire"),
    AlertEvent.EPIDEMIC: ("dịch", "epidemic"),
    AlertEvent.SECURITY: ("an ninh", "security"),
}
"""Words in `<event>` by which it is known, the first that fits; any other is `other`."""


async def propose(
    session: AsyncSession,
    verdict: Verdict,
    caller: Caller,
    settings: config.Settings,
    now: datetime,
) -> tuple[Verdict, UUID | None]:
    """Prepare and propose the alert of a verdict; its sound is being made.

    Where that is not possible the message is for the inbox, with the reason first.
    """
    try:
        async with session.begin_nested():
            assert verdict.ends_at is not None
            body = await _body(session, verdict, now)
            alert = await steps.propose_received(
                session, body, verdict.ends_at, caller, settings, now
            )
    except BroadcastError as error:
        detail = error.reason if isinstance(error, InvalidInput) else error.detail
        reason = f"không lập được lệnh ({detail}): vào hộp tin, người trực xem và tự soạn"
        return verdict._replace(action=Action.BULLETIN, reasons=(reason, *verdict.reasons)), None
    return verdict, alert.id


async def _body(session: AsyncSession, verdict: Verdict, now: datetime) -> AlertIn:
    """The alert as a person would write it.

    Raises:
        InvalidInput: It cannot be one.
    """
    spoken = next((text for text in verdict.texts if _is_vietnamese(text.language)), None)
    if spoken is None:
        raise InvalidInput("language", "bản tin không có lời tiếng Việt để đọc")
    assert verdict.ends_at is not None
    begins = verdict.starts_at if verdict.starts_at and verdict.starts_at > now else None
    minutes = int((verdict.ends_at - (begins or now)) / timedelta(minutes=1))
    drill = await _drill(session, now) if verdict.action is Action.DRILL else None
    try:
        return AlertIn(
            headline=spoken.headline,
            event=event_of(verdict.event),
            text=spoken.body,
            translations=_translations(verdict.texts),
            targets=[TargetIn(area=code) for code in verdict.codes],
            drill_id=drill,
            starts_at=begins,
            valid_minutes=max(1, min(MOST_MINUTES, minutes)),
        )
    except ValidationError as error:
        raise invalid(error.errors()) from None


def _translations(texts: Iterable[Text]) -> dict[Language, str]:
    """What is shown beside the Vietnamese words, in the languages that people here read."""
    by_code = {text.language.casefold().partition("-")[0]: text.body for text in texts}
    return {code: by_code[code] for code in LANGUAGES if code != "vi" and code in by_code}


def _is_vietnamese(language: str) -> bool:
    return language.casefold().partition("-")[0] == "vi"


def event_of(words: str) -> AlertEvent:
    """What an event is that somebody has named in words.

    >>> event_of("Xả lũ hồ Nước Trong").value, event_of("Tornado").value
    ('dam_release', 'other')
    """
    said = words.casefold()
    fits = (event for event, known in WORDS.items() if any(each in said for each in known))
    return next(fits, AlertEvent.OTHER)


async def _drill(session: AsyncSession, now: datetime) -> UUID:
    """The drill that is on, whose places are held against those of the alert by `alerts.drills`.

    Raises:
        InvalidInput: None is.
    """
    found: UUID | None = await session.scalar(
        sa.select(Drill.id)
        .where(
            Drill.mode == AlertMode.EXERCISE,
            Drill.cancelled_at.is_(None),
            Drill.starts_at <= now,
            Drill.ends_at > now,
        )
        .order_by(Drill.starts_at.desc())
        .limit(1)
    )
    if found is None:
        raise InvalidInput("drill_id", "lúc này không có đợt diễn tập nào trong lịch")
    return found


async def withdraw(
    session: AsyncSession, ids: Iterable[UUID], caller: Caller, reason: str, now: datetime
) -> list[UUID]:
    """Give up proposals whose message has been cancelled or replaced.

    What already sounds goes on until a person ends it: those are returned.
    """
    sounding = []
    for alert_id in ids:
        alert = await session.get_one(Alert, alert_id, with_for_update=True)
        if alert.authorised_at is None:
            await steps.withdraw_received(session, alert, reason, caller, now)
        elif alert.ended_at is None and alert.ends_by is not None and alert.ends_by > now:
            sounding.append(alert_id)
    return sounding

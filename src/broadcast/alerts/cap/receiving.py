"""Taking a CAP message: judged, kept whatever it is, and in its turn among those before it.

A message that comes twice is answered twice with the same row. An Update or a Cancel counts for
messages that are here and for those that come after it.
"""

from __future__ import annotations

import asyncio
import hashlib
from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.alerts.cap import here, policy, proposing
from broadcast.alerts.cap.judge import Action, Judged, Verdict, judge
from broadcast.alerts.cap.message import Message
from broadcast.alerts.cap.model import CapMessage
from broadcast.alerts.cap.reading import Unreadable
from broadcast.alerts.cap.schemas import CapMessageOut
from broadcast.areas import scope
from broadcast.audit import recording
from broadcast.auth.caller import Caller
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import NotFound, TooManyRequests
from broadcast.kit.locks import Lock, lock
from broadcast.web.rest import Page, Paging, paged

log = structlog.get_logger()

RECEIVED = Counter("broadcast_cap_messages", "CAP messages by what became of them", ["action"])

LIVE = (Action.PROPOSE, Action.DRILL, Action.BULLETIN)
"""What an Update or a Cancel puts an end to."""

FLOOD = timedelta(minutes=10)
MOST_MESSAGES = 200
"""Of one account, within `FLOOD`."""

MOST_EMERGENCIES = 20
"""Of one issuer at a time; more are for the inbox: two people cannot decide on more."""


async def take(
    session: AsyncSession,
    data: bytes,
    settings: config.Settings,
    caller: Caller,
    now: datetime,
) -> CapMessage:
    """Take a document that somebody has handed in.

    Args:
        session: Transaction that all happens in.
        data: The document.
        settings: Whose messages are taken, and which province this is.
        caller: Who has handed it in; needs `alert_submit` in the whole province.
        now: Time.

    Raises:
        TooManyRequests: Too many came from there just now.
    """
    digest = hashlib.sha256(data).hexdigest()
    known = await _known(session, digest)
    if known is not None:
        recording.skip(session)
        return known
    await _refuse_flood(session, caller.account_id, now)
    taken = await asyncio.to_thread(policy.load, settings.cap.file)
    async with scope.whole(session):
        places = await here.load(session, settings.province, now.astimezone(LOCAL).date())
    try:
        judged = await asyncio.to_thread(judge, data, taken, places, now)
    except Unreadable as error:
        judged = Judged(None, Verdict(Action.REFUSE, (str(error),)))
    await lock(session, Lock.CAP_MESSAGES)
    known = await _known(session, digest)
    if known is not None:
        recording.skip(session)
        return known
    verdict, alert_id = await _in_turn(session, judged, now), None
    if verdict.action in (Action.PROPOSE, Action.DRILL):
        async with scope.whole(session):
            verdict, alert_id = await proposing.propose(session, verdict, caller, settings, now)
    row = _row(data, digest, judged.message, verdict, now, caller.account_id)
    row.alert_id = alert_id
    await session.execute(
        sa.delete(CapMessage).where(CapMessage.sha256 == digest)  # once refused, now judged anew
    )
    session.add(row)
    await session.flush()
    await _end(session, row, caller, now)
    told = {
        "sender": row.sender,
        "identifier": row.identifier,
        "action": row.action.value,
        "reasons": row.reasons[:3],
        "sha256": digest,
    }
    recording.change(session, CapMessage.__tablename__, row.id, None, told)
    recording.concern(session, *row.area_codes)
    RECEIVED.labels(row.action).inc()
    log.info("alerts.cap.received", id=row.id, sender=row.sender, action=row.action)
    return row


async def get(session: AsyncSession, message_id: int) -> CapMessage:
    """A message by its number.

    Raises:
        NotFound: There is none.
    """
    row = await session.get(CapMessage, message_id)
    if row is None:
        raise NotFound(f"Không có bản tin cảnh báo số {message_id}; xem lại danh sách đã nhận.")
    return row


async def listed(
    session: AsyncSession, paging: Paging, action: Action | None = None
) -> Page[CapMessageOut]:
    """Messages as they came, newest first; of one fate or of all."""
    statement = sa.select(CapMessage)
    if action is not None:
        statement = statement.where(CapMessage.action == action)
    key = [CapMessage.received_at, CapMessage.id]
    found = await paged(session, statement, key, paging, backwards=True)
    return found.page(CapMessageOut.of)


async def _known(session: AsyncSession, digest: str) -> CapMessage | None:
    """The same document, unless it was refused: what was wrong here may be mended by now."""
    found: CapMessage | None = await session.scalar(
        sa.select(CapMessage).where(
            CapMessage.sha256 == digest, CapMessage.action != Action.REFUSE
        )
    )
    return found


async def _refuse_flood(session: AsyncSession, account_id: int, now: datetime) -> None:
    count = await session.scalar(
        sa.select(sa.func.count())
        .select_from(CapMessage)
        .where(CapMessage.received_at > now - FLOOD, CapMessage.received_by == account_id)
    )
    if (count or 0) >= MOST_MESSAGES:
        raise TooManyRequests(
            f"Đã nhận {MOST_MESSAGES} bản tin cảnh báo trong {FLOOD.seconds // 60} phút từ tài"
            " khoản này; hãy chờ rồi gửi lại bản mới nhất.",
            FLOOD.seconds,
        )


async def _in_turn(session: AsyncSession, judged: Judged, now: datetime) -> Verdict:
    """The verdict in view of what came before."""
    message, verdict = judged
    if message is None or not verdict.is_taken:
        return verdict
    of_sender = sa.and_(CapMessage.sender == message.sender, CapMessage.action != Action.REFUSE)
    twin = await session.scalar(
        sa.select(CapMessage.id).where(of_sender, CapMessage.identifier == message.identifier)
    )
    if twin is not None:
        reason = (
            f"<identifier>: “{message.identifier[:80]}” đã dùng cho bản tin khác (số {twin}); mỗi"
            " bản tin phải có mã số riêng"
        )
        return Verdict(Action.REFUSE, (reason,), verdict.issuer, verdict.event)
    if verdict.action not in LIVE:
        return verdict
    # An exercise changes nothing that is meant, nor the reverse.
    ended = await session.scalar(
        sa.select(CapMessage.identifier).where(
            of_sender,
            CapMessage.status == message.status,
            CapMessage.ends.contains([message.identifier]),
        )
    )
    if ended is not None:
        reason = f"đã bị bản tin “{ended[:80]}” hủy hoặc thay, tới trước nó: chỉ lưu lại"
        return verdict._replace(action=Action.RECORD, reasons=(reason, *verdict.reasons))
    if verdict.action is Action.PROPOSE:
        count = await session.scalar(
            sa.select(sa.func.count())
            .select_from(CapMessage)
            .where(
                of_sender,
                CapMessage.action == Action.PROPOSE,
                CapMessage.ended_by_id.is_(None),
                CapMessage.ends_at > now,
                CapMessage.identifier.not_in([each.identifier for each in verdict.ends]),
            )
        )
        if (count or 0) >= MOST_EMERGENCIES:
            reason = (
                f"nơi phát này đang có {MOST_EMERGENCIES} cảnh báo còn hiệu lực: vào hộp tin,"
                " người trực xem và tự lập lệnh nếu cần"
            )
            return verdict._replace(action=Action.BULLETIN, reasons=(reason, *verdict.reasons))
    return verdict


def _row(
    data: bytes,
    digest: str,
    message: Message | None,
    verdict: Verdict,
    now: datetime,
    account_id: int,
) -> CapMessage:
    return CapMessage(
        sha256=digest,
        document=data,
        received_at=now,
        received_by=account_id,
        sender=None if message is None else message.sender,
        identifier=None if message is None else message.identifier,
        sent_at=None if message is None else message.sent,
        status=None if message is None else message.status,
        action=verdict.action,
        reasons=[*verdict.reasons],
        issuer=verdict.issuer,
        event=verdict.event,
        texts=[text._asdict() for text in verdict.texts],
        area_codes=[*verdict.codes],
        starts_at=verdict.starts_at,
        ends_at=verdict.ends_at,
        ends=[each.identifier for each in verdict.ends],
        alert_id=None,
        ended_by_id=None,
    )


async def _end(session: AsyncSession, by: CapMessage, caller: Caller, now: datetime) -> None:
    """Note of what a message puts an end to that it does; proposals of those are given up."""
    if not by.ends:
        return
    ended = await session.scalars(
        sa.update(CapMessage)
        .where(
            CapMessage.sender == by.sender,
            CapMessage.status == by.status,
            CapMessage.identifier.in_(by.ends),
            CapMessage.action.in_(LIVE),
            CapMessage.ended_by_id.is_(None),
        )
        .values(ended_by_id=by.id)
        .returning(CapMessage.alert_id)
    )
    alerts = [each for each in ended if each is not None]
    reason = f"nơi phát đã hủy hoặc thay bằng bản tin “{by.identifier}”"
    async with scope.whole(session):
        sounding = await proposing.withdraw(session, alerts, caller, reason, now)
    if sounding:
        decide = (
            f"{len(sounding)} lệnh của bản tin trước đang phát hoặc sắp phát: người trực xem và"
            " quyết định dừng"
        )
        by.reasons = [decide, *by.reasons]
        await session.flush()

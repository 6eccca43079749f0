"""What a message would do here, and why. Pure; `now` is an argument.

Nothing sounds because a message says so: an emergency is proposed, and a second person here
authorises it. A Test is kept and does nothing. An Exercise can become a drill and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from broadcast.alerts.cap import reading, signature
from broadcast.alerts.cap.message import (
    Area,
    Info,
    Message,
    MsgType,
    Reference,
    ResponseType,
    Scope,
    Status,
    Urgency,
)
from broadcast.alerts.cap.places import Found, Here, TooTangled, find
from broadcast.alerts.cap.policy import Issuer, Policy
from broadcast.alerts.cap.reading import Fault
from broadcast.kit.text import LONGEST_LINE
from broadcast.kit.times import shown

AHEAD = timedelta(minutes=10)
"""A message may be sent so far in the future, by clocks that differ."""

VALID = timedelta(hours=24)
"""What names no end is over so long after it was sent."""

MOST_TEXT = 4_000
"""Characters read aloud of one language: five minutes."""


class Action(StrEnum):
    """What becomes of a message."""

    PROPOSE = "propose"
    """An emergency that a second person here authorises."""
    DRILL = "drill"
    """An exercise, proposed as a drill."""
    BULLETIN = "bulletin"
    """No emergency: for the inbox."""
    CANCEL = "cancel"
    """Ends the messages that it names."""
    RECORD = "record"
    """Kept, and nothing else."""
    REFUSE = "refuse"


class Text(NamedTuple):
    """What is told in one language."""

    language: str
    headline: str
    body: str


class Verdict(NamedTuple):
    """What a message would do here."""

    action: Action
    reasons: tuple[str, ...]
    """Why, in words; first what decided."""
    issuer: str = ""
    """Name of the issuer, as the province has it; else as the message says."""
    event: str = ""
    codes: tuple[str, ...] = ()
    """Units that it is for."""
    texts: tuple[Text, ...] = ()
    """By language, in the order in which the province wants them."""
    starts_at: datetime | None = None
    """From when on it is to be told; not when the event begins."""
    ends_at: datetime | None = None
    ends: tuple[Reference, ...] = ()
    """Messages that it puts an end to."""

    @property
    def is_taken(self) -> bool:
        """Tell whether it is not refused."""
        return self.action is not Action.REFUSE


class Judged(NamedTuple):
    """A message with its verdict."""

    message: Message | None
    """None: it is no valid one."""
    verdict: Verdict


def judge(data: bytes, policy: Policy, here: Here, now: datetime) -> Judged:
    """Say what a message would do.

    Args:
        data: The document.
        policy: Of whom what is taken.
        here: The places of the province.
        now: Time.

    Raises:
        Unreadable: It is no XML.
    """
    root = reading.parse(data)
    try:
        message = reading.read(root)
    except reading.Invalid as invalid:
        return Judged(None, _refused(map(str, invalid.faults)))
    issuer = policy.issuer(message.sender)
    try:
        message = _trusted(root, message, issuer, now)
    except _Refused as refused:
        return Judged(message, _refused([str(refused)], message))
    assert issuer is not None
    try:
        verdict = _judge(message, issuer, policy, here, now)
    except _Refused as refused:
        verdict = _refused([str(refused)], message, issuer)
    except TooTangled as tangled:
        verdict = _refused([str(Fault("polygon", str(tangled)))], message, issuer)
    return Judged(message, verdict)


class _Refused(Exception):
    """Why a message is not taken."""

    def __init__(self, element: str, detail: str) -> None:
        super().__init__(str(Fault(element, detail)))


def _refused(
    reasons: Iterable[str], message: Message | None = None, issuer: Issuer | None = None
) -> Verdict:
    named = issuer.name if issuer is not None else message.sender if message is not None else ""
    event = message.infos[0].event if message is not None and message.infos else ""
    return Verdict(Action.REFUSE, tuple(reasons), named, event)


def _trusted(root: Any, message: Message, issuer: Issuer | None, now: datetime) -> Message:
    """The message as far as it can be trusted.

    Raises:
        _Refused: It cannot.
    """
    if issuer is None:
        raise _Refused(
            "sender",
            f"“{message.sender}” không có trong danh sách nơi phát của tỉnh; nếu tin cậy, hãy thêm"
            " vào tệp BROADCAST_CAP__FILE",
        )
    if issuer.anchor is None:
        return message
    if not signature.is_signed(root):
        raise _Refused(
            "Signature", f"thiếu chữ ký; {issuer.name} phải ký mọi bản tin, hãy gửi bản đã ký"
        )
    try:
        covered = signature.verified(root, issuer.anchor, message.sent, now)
        return reading.read(covered)
    except signature.BadSignature as bad:
        raise _Refused("Signature", str(bad)) from None
    except reading.Invalid as invalid:
        raise _Refused("", str(invalid)) from None


def _judge(message: Message, issuer: Issuer, policy: Policy, here: Here, now: datetime) -> Verdict:
    event = message.infos[0].event if message.infos else ""
    if message.status is Status.DRAFT:
        raise _Refused("status", "Draft là dự thảo; hãy gửi lại với Actual khi đã ban hành")
    if message.scope is not Scope.PUBLIC:
        raise _Refused(
            "scope",
            f"{message.scope} là phạm vi hạn chế, loa là công cộng; hãy gửi bản có phạm vi Public",
        )
    if message.sent > now + AHEAD:
        raise _Refused("sent", f"ở tương lai ({_local(message.sent)}); hãy chỉnh đồng hồ nơi gửi")
    if message.msg_type in {MsgType.ACK, MsgType.ERROR}:
        what = "xác nhận" if message.msg_type is MsgType.ACK else "báo lỗi"
        return _kept(issuer, event, f"bản tin {what} về một bản tin trước: lưu lại để xem")
    if message.status is Status.TEST:
        return _kept(issuer, event, "status Test: chỉ thử đường truyền, không phát ở đâu")
    if message.status is Status.SYSTEM:
        return _kept(issuer, event, "status System: tin nội bộ giữa các hệ thống, không phát")
    if message.msg_type is MsgType.CANCEL:
        return Verdict(
            Action.CANCEL,
            (f"hủy {len(message.references)} bản tin trước của nơi phát này",),
            issuer.name,
            event,
            ends=_own(message),
        )
    ends = _own(message) if message.msg_type is MsgType.UPDATE else ()
    try:
        return _told(message, issuer, policy, here, now)._replace(ends=ends)
    except _Refused as refused:
        if not ends:
            raise
        # What it takes the place of is over here, wherever and whenever it counts itself.
        reason = f"thay và kết thúc {len(ends)} bản tin trước của nơi phát này"
        return Verdict(Action.CANCEL, (reason, str(refused)), issuer.name, event, ends=ends)


def _kept(issuer: Issuer, event: str, reason: str) -> Verdict:
    return Verdict(Action.RECORD, (reason,), issuer.name, event)


def _own(message: Message) -> tuple[Reference, ...]:
    """Earlier messages that a message may put an end to: its sender's own."""
    own = tuple(each for each in message.references if each.sender == message.sender)
    if not own:
        raise _Refused(
            "references",
            "chỉ nêu bản tin của nơi phát khác; mỗi nơi chỉ sửa, hủy bản tin của mình",
        )
    return own


def _told(message: Message, issuer: Issuer, policy: Policy, here: Here, now: datetime) -> Verdict:
    """The verdict on a message that tells people something.

    Raises:
        _Refused: It tells nobody here anything.
        TooTangled: Where cannot be told.
    """
    if not message.infos:
        raise _Refused("info", "không có nội dung nào để báo; hãy bổ sung ít nhất một <info>")
    valid = [info for info in message.infos if now < _end(message, info)]
    if not valid:
        last = max(_end(message, info) for info in message.infos)
        raise _Refused(
            "expires", f"đã hết hiệu lực lúc {_local(last)}; hãy chờ bản tin mới của nơi phát"
        )
    grave = [info for info in valid if policy.is_emergency(info) and not _is_over(info)]
    chosen = grave or valid
    found = find(_areas(chosen), here, policy.geocodes)
    if grave and not found.codes:  # grave elsewhere; the rest may be for us
        chosen, grave = valid, []
        found = find(_areas(chosen), here, policy.geocodes)
    if not found.codes:
        raise _Refused("area", _nowhere(found, chosen))
    action, reason = _action(message, chosen, is_emergency=bool(grave))
    # Not from `onset`: that is when the event begins, and people are warned before it.
    starts = min(info.effective or message.sent for info in chosen)
    return Verdict(
        action,
        (reason, *found.notes),
        issuer.name,
        _first(chosen, policy).event,
        found.codes,
        _texts(chosen, policy),
        starts,
        max(_end(message, info) for info in chosen),
    )


def _action(message: Message, chosen: Sequence[Info], *, is_emergency: bool) -> tuple[Action, str]:
    info = chosen[0]
    grades = f"{info.urgency}, {info.severity}, {info.certainty}"
    if message.status is Status.EXERCISE:
        return Action.DRILL, "status Exercise: chỉ dùng để diễn tập, có người thứ hai duyệt"
    if not is_emergency:
        over = " (đã qua)" if _is_over(info) else ""
        return Action.BULLETIN, f"chưa đến mức khẩn cấp{over}: {grades}; vào hộp tin để xem"
    return Action.PROPOSE, f"mức khẩn cấp ({grades}): lập lệnh chờ người thứ hai duyệt"


def _is_over(info: Info) -> bool:
    """Tell whether an info says that there is no danger any more."""
    return info.urgency is Urgency.PAST or ResponseType.ALL_CLEAR in info.response_types


def _end(message: Message, info: Info) -> datetime:
    return info.expires if info.expires is not None else message.sent + VALID


def _areas(infos: Iterable[Info]) -> list[Area]:
    return list(dict.fromkeys(area for info in infos for area in info.areas))


def _nowhere(found: Found, infos: Sequence[Info]) -> str:
    if not any(info.areas for info in infos):
        return "không nêu vùng nào; hãy bổ sung <area> có mã đơn vị hoặc hình vẽ"
    because = f" ({'; '.join(found.notes)})" if found.notes else ""
    return f"không có thôn nào của tỉnh nằm trong vùng đã nêu{because}; không cần làm gì thêm"


# --- languages -----------------------------------------------------------------------------------


def _rank(language: str, policy: Policy) -> int:
    """Place of a language in the order that the province wants; the last for any other."""
    tag = language.casefold()
    for place, wanted in enumerate(policy.languages):
        if tag == wanted.casefold() or tag.startswith(f"{wanted.casefold()}-"):
            return place
    return len(policy.languages)


def _first(infos: Sequence[Info], policy: Policy) -> Info:
    return min(infos, key=lambda info: _rank(info.language, policy))


def _texts(infos: Sequence[Info], policy: Policy) -> tuple[Text, ...]:
    """What is told, by language; of languages that are not wanted only where there is no other."""
    ranked = sorted(infos, key=lambda info: _rank(info.language, policy))
    wanted = [info for info in ranked if _rank(info.language, policy) < len(policy.languages)]
    by_language: dict[int, list[Info]] = {}
    for info in wanted or ranked[:1]:
        by_language.setdefault(_rank(info.language, policy), []).append(info)
    return tuple(_text(each) for each in by_language.values())


def _text(infos: Sequence[Info]) -> Text:
    """What infos of one language tell, one after the other."""
    said: dict[str, None] = {}
    for info in infos:
        parts = (_headline(info), info.description, info.instruction)
        said |= dict.fromkeys(part for part in parts if part)
    body = "\n".join("\n".join(said).splitlines())  # also where Unicode alone breaks a line
    return Text(infos[0].language, _headline(infos[0])[:LONGEST_LINE], body[:MOST_TEXT])


def _headline(info: Info) -> str:
    """In one line, however its document wraps it."""
    return " ".join((info.headline or info.event).split())


def _local(at: datetime) -> str:
    return f"{datetime.fromisoformat(shown(at)):%H:%M ngày %d/%m/%Y}"

"""Alerts of ours as CAP 1.2, and the feed of them.

What two people have authorised is public the moment it sounds. A cancelled alert has a second
message, which says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.alerts import texts
from broadcast.alerts.cap import signature, writing
from broadcast.alerts.cap.message import (
    Area,
    Category,
    Certainty,
    Info,
    Message,
    MsgType,
    Named,
    Reference,
    ResponseType,
    Scope,
    Severity,
    Status,
    Urgency,
)
from broadcast.alerts.cap.places import OWN_CODES
from broadcast.alerts.cap.signature import Signer
from broadcast.alerts.model import Alert, AlertEvent
from broadcast.alerts.state import AlertKind, AlertState
from broadcast.areas import scope
from broadcast.areas.tree import Lineage
from broadcast.kit.errors import NotFound, Unavailable, because
from broadcast.stations.model import Cluster, ClusterVillage, Grade
from broadcast.wire.fields import AlertMode

LISTED = timedelta(days=7)
"""How long an alert stays in the feed."""

MOST_LISTED = 100

ATOM = "http://www.w3.org/2005/Atom"

CANCELLED = "-cancel"
"""Added to the identifier of an alert for the message that it is cancelled."""

STATUSES = {
    AlertMode.ACTUAL: Status.ACTUAL,
    AlertMode.EXERCISE: Status.EXERCISE,
    AlertMode.TEST: Status.TEST,
}

CATEGORIES = {
    AlertEvent.STORM: Category.MET,
    AlertEvent.FLOOD: Category.MET,
    AlertEvent.DAM_RELEASE: Category.INFRA,
    AlertEvent.LANDSLIDE: Category.GEO,
    AlertEvent.TSUNAMI: Category.GEO,
    AlertEvent.EARTHQUAKE: Category.GEO,
    AlertEvent.FIRE: Category.FIRE,
    AlertEvent.EPIDEMIC: Category.HEALTH,
    AlertEvent.SECURITY: Category.SECURITY,
    AlertEvent.OTHER: Category.OTHER,
}


class Known(NamedTuple):
    """What a message of ours says beside the alert."""

    sender: str
    lineage: Lineage
    villages: Mapping[str, Sequence[str]]
    """Of each cluster that is a target: the villages that it serves."""
    replaced: Alert | None = None
    """Whose place the alert takes."""


def message_of(alert: Alert, known: Known) -> Message:
    """An authorised alert as a message. Pure."""
    assert alert.authorised_at is not None
    info = partial(_info, alert, known)
    spoken = alert.texts or {"vi": ""}
    return Message(
        identifier=str(alert.id),
        sender=known.sender,
        sent=_whole(alert.authorised_at),
        status=STATUSES[alert.mode],
        msg_type=MsgType.ALERT if known.replaced is None else MsgType.UPDATE,
        scope=Scope.PUBLIC,
        references=() if known.replaced is None else (_reference(known.replaced, known),),
        infos=tuple(info(language, text) for language, text in spoken.items()),
    )


def cancellation_of(alert: Alert, known: Known) -> Message:
    """The message that an alert was cancelled. Pure."""
    assert alert.ended_at is not None
    return Message(
        identifier=f"{alert.id}{CANCELLED}",
        sender=known.sender,
        sent=_whole(alert.ended_at),
        status=STATUSES[alert.mode],
        msg_type=MsgType.CANCEL,
        scope=Scope.PUBLIC,
        references=(_reference(alert, known),),
    )


def _whole(at: datetime) -> datetime:
    return at.replace(microsecond=0)


def _reference(alert: Alert, known: Known) -> Reference:
    assert alert.authorised_at is not None
    return Reference(known.sender, str(alert.id), _whole(alert.authorised_at))


def _info(alert: Alert, known: Known, language: str, text: str) -> Info:
    is_over = alert.kind is AlertKind.ALL_CLEAR
    starts_at, ends_by = alert.starts_at, alert.ends_by
    station = known.lineage.history(alert.area_code)
    return Info(
        language=language,
        categories=(CATEGORIES[alert.event],),
        event=texts.EVENTS[alert.event],
        response_types=(ResponseType.ALL_CLEAR,) if is_over else (),
        urgency=Urgency.PAST if is_over else Urgency.IMMEDIATE,
        severity=Severity.SEVERE,
        certainty=Certainty.OBSERVED,
        effective=None if starts_at is None else _whole(starts_at),
        onset=None if starts_at is None else _whole(starts_at),
        expires=None if ends_by is None else _whole(ends_by),
        sender_name=station[-1].called if station else None,
        headline=alert.headline,
        description=text.strip() or None,
        areas=_areas(alert, known),
    )


def _areas(alert: Alert, known: Known) -> tuple[Area, ...]:
    """Its targets by code; a cluster as the villages that it serves."""
    codes: dict[str, None] = {}
    for target in alert.targets:
        if target.get("area"):
            codes[target["area"]] = None
        else:
            codes |= dict.fromkeys(known.villages.get(target["cluster"]) or (alert.area_code,))
    named = {code: known.lineage.history(code) for code in codes}
    return tuple(
        Area(units[-1].called if units else code, geocodes=(Named(OWN_CODES, code),))
        for code, units in named.items()
    )


# --- what is asked for ---------------------------------------------------------------------------


async def document(
    session: AsyncSession, identifier: str, settings: config.Settings, now: datetime
) -> bytes:
    """The message of an identifier, signed where a certificate is configured.

    Raises:
        NotFound: There is none, or alerts are not published.
        Unavailable: The certificate cannot be read.
    """
    sender = _sender(settings)
    missing = NotFound(f"Không có bản tin cảnh báo “{identifier[:80]}”.")
    try:
        alert = await session.get(Alert, UUID(identifier.removesuffix(CANCELLED)))
    except ValueError:
        raise missing from None
    if alert is None or alert.authorised_at is None:
        raise missing
    known = await _known(session, [alert], sender)
    if identifier.endswith(CANCELLED):
        if alert.state_at(now) is not AlertState.CANCELLED:
            raise missing
        message = cancellation_of(alert, known)
    else:
        message = message_of(alert, await _replacing(session, alert, known))
    root = writing.element(message)
    signer = signer_of(settings.cap)
    return writing.write(root if signer is None else signature.signed(root, signer))


async def feed(
    session: AsyncSession, settings: config.Settings, origin: str, now: datetime
) -> bytes:
    """The messages of the last days as an Atom feed, the newest first.

    Raises:
        NotFound: Alerts are not published.
    """
    sender = _sender(settings)
    rows = await session.scalars(
        sa.select(Alert)
        .where(Alert.authorised_at > now - LISTED)
        .order_by(Alert.authorised_at.desc(), Alert.id)
        .limit(MOST_LISTED)
    )
    alerts = list(rows)
    known = await _known(session, alerts, sender)
    entries: list[tuple[Message, str]] = []
    for alert in alerts:
        message = message_of(alert, await _replacing(session, alert, known))
        entries.append((message, alert.headline))
        if alert.state_at(now) is AlertState.CANCELLED:
            entries.append((cancellation_of(alert, known), alert.headline))
    entries.sort(key=lambda entry: entry[0].sent, reverse=True)
    return _atom(entries, sender, origin, now)


def _sender(settings: config.Settings) -> str:
    if settings.cap.sender is None:
        raise NotFound(
            "Máy chủ này chưa công bố cảnh báo dạng CAP; quản trị cần đặt BROADCAST_CAP__SENDER."
        )
    return settings.cap.sender


async def _known(session: AsyncSession, alerts: Iterable[Alert], sender: str) -> Known:
    codes = {
        target["cluster"] for alert in alerts for target in alert.targets if target.get("cluster")
    }
    rows = await session.execute(
        sa.select(Cluster.code, ClusterVillage.village_code)
        .join(ClusterVillage, ClusterVillage.cluster_id == Cluster.id)
        .where(
            Cluster.code.in_(codes),
            ClusterVillage.grade == Grade.PRIMARY,
            ClusterVillage.valid_to.is_(None),
        )
        .order_by(ClusterVillage.village_code)
    )
    villages: dict[str, list[str]] = {}
    for cluster, village in rows:
        villages.setdefault(cluster, []).append(village)
    return Known(sender, (await scope.territory_of(session)).lineage, villages)


async def _replacing(session: AsyncSession, alert: Alert, known: Known) -> Known:
    if alert.replaces_id is None:
        return known
    replaced = await session.get_one(Alert, alert.replaces_id)
    return known if replaced.authorised_at is None else known._replace(replaced=replaced)


def signer_of(settings: config.Cap) -> Signer | None:
    """What our messages are signed with; None: they are not.

    Raises:
        Unavailable: It cannot be read.
    """
    if settings.key_file is None or settings.certificate_file is None:
        return None
    try:
        return Signer(settings.key_file.read_bytes(), settings.certificate_file.read_bytes())
    except OSError as error:
        raise Unavailable(
            f"Không đọc được chứng chỉ ký cảnh báo ({because(error)}); hãy báo quản trị."
        ) from None


def _atom(
    entries: Sequence[tuple[Message, str]], sender: str, origin: str, now: datetime
) -> bytes:
    from lxml import etree  # noqa: PLC0415

    def add(parent: Any, name: str, text: str | None = None, **attributes: str) -> Any:
        child = etree.SubElement(parent, f"{{{ATOM}}}{name}", attributes)
        child.text = text
        return child

    root = etree.Element(f"{{{ATOM}}}feed", nsmap={None: ATOM})
    add(root, "id", f"{origin}/cap/feed.atom")
    add(root, "title", "Cảnh báo của hệ thống thông tin nguồn")
    newest = entries[0][0].sent if entries else now.replace(hour=0, minute=0, second=0)
    add(root, "updated", _whole(newest).isoformat())
    add(add(root, "author"), "name", sender)
    add(root, "link", rel="self", href=f"{origin}/cap/feed.atom")
    for message, headline in entries:
        entry = add(root, "entry")
        add(entry, "id", f"{origin}/cap/{message.identifier}.xml")
        prefix = "" if message.status is Status.ACTUAL else f"[{message.status}] "
        add(entry, "title", f"{prefix}{headline}")
        add(entry, "updated", message.sent.isoformat())
        add(
            entry, "link", rel="alternate", type="application/cap+xml",
            href=f"{origin}/cap/{message.identifier}.xml",
        )  # fmt: skip
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))

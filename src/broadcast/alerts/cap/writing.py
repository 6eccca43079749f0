"""A message of ours as CAP 1.2, in the order and the forms that the official schema wants. Pure.

Times are written `±hh:mm` without fractions of a second, UTC as `-00:00`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from broadcast.alerts.cap.message import (
    NAMESPACE,
    Area,
    Info,
    Message,
    Named,
    Reference,
    Resource,
)
from broadcast.boundaries.formats import Point


def moment(at: datetime) -> str:
    """A time as CAP writes it.

    >>> from datetime import UTC
    >>> moment(datetime(2026, 11, 29, 5, 30, 0, 123, tzinfo=UTC))
    '2026-11-29T05:30:00-00:00'
    """
    text = at.replace(microsecond=0).isoformat()
    return f"{text[:-6]}-00:00" if at.utcoffset() == timedelta(0) else text


def element(message: Message) -> Any:
    """The root element of a message."""
    from lxml import etree  # noqa: PLC0415

    root = etree.Element(f"{{{NAMESPACE}}}alert", nsmap={None: NAMESPACE})
    _add(root, "identifier", message.identifier)
    _add(root, "sender", message.sender)
    _add(root, "sent", moment(message.sent))
    _add(root, "status", message.status)
    _add(root, "msgType", message.msg_type)
    _add(root, "source", message.source)
    _add(root, "scope", message.scope)
    _add(root, "restriction", message.restriction)
    _add(root, "addresses", message.addresses)
    for code in message.codes:
        _add(root, "code", code)
    _add(root, "note", message.note)
    _add(root, "references", " ".join(map(_reference, message.references)) or None)
    _add(root, "incidents", message.incidents)
    for info in message.infos:
        _info(root, info)
    return root


def write(root: Any) -> bytes:
    """A document of a root element."""
    from lxml import etree  # noqa: PLC0415

    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))


def _add(parent: Any, name: str, text: object) -> Any:
    """Add an element, unless there is nothing to say."""
    from lxml import etree  # noqa: PLC0415

    if text is None:
        return None
    child = etree.SubElement(parent, f"{{{NAMESPACE}}}{name}")
    child.text = _clean(str(text))
    return child


def _clean(text: str) -> str:
    """Text without what XML 1.0 cannot say: control characters and halves of pairs."""
    return "".join(
        each
        for each in text
        if each in "\t\n\r"
        or " " <= each <= "\ud7ff"
        or "\ue000" <= each <= "\ufffd"
        or each > "\uffff"
    )


def _reference(reference: Reference) -> str:
    return f"{reference.sender},{reference.identifier},{moment(reference.sent)}"


def _named(parent: Any, name: str, values: Iterable[Named]) -> None:
    for each in values:
        child = _add(parent, name, "")
        child.text = None
        _add(child, "valueName", each.name)
        _add(child, "value", each.value)


def _info(root: Any, info: Info) -> None:
    child = _add(root, "info", "")
    child.text = None
    _add(child, "language", info.language)
    for category in info.categories:
        _add(child, "category", category)
    _add(child, "event", info.event)
    for response in info.response_types:
        _add(child, "responseType", response)
    _add(child, "urgency", info.urgency)
    _add(child, "severity", info.severity)
    _add(child, "certainty", info.certainty)
    _add(child, "audience", info.audience)
    _named(child, "eventCode", info.event_codes)
    for name in ("effective", "onset", "expires"):
        at: datetime | None = getattr(info, name)
        _add(child, name, None if at is None else moment(at))
    _add(child, "senderName", info.sender_name)
    for name in ("headline", "description", "instruction", "web", "contact"):
        _add(child, name, getattr(info, name))
    _named(child, "parameter", info.parameters)
    for resource in info.resources:
        _resource(child, resource)
    for area in info.areas:
        _area(child, area)


def _resource(info: Any, resource: Resource) -> None:
    child = _add(info, "resource", "")
    child.text = None
    _add(child, "resourceDesc", resource.description)
    _add(child, "mimeType", resource.mime_type)
    _add(child, "size", resource.size)
    _add(child, "uri", resource.uri)
    _add(child, "derefUri", resource.content)
    _add(child, "digest", resource.digest)


def _area(info: Any, area: Area) -> None:
    child = _add(info, "area", "")
    child.text = None
    _add(child, "areaDesc", area.description)
    for polygon in area.polygons:
        _add(child, "polygon", " ".join(map(_point, polygon)))
    for circle in area.circles:
        _add(child, "circle", f"{_point(circle.centre)} {_number(circle.radius_km)}")
    _named(child, "geocode", area.geocodes)
    _add(child, "altitude", area.altitude_ft)
    _add(child, "ceiling", area.ceiling_ft)


def _point(point: Point) -> str:
    longitude, latitude = point
    return f"{_number(latitude)},{_number(longitude)}"


def _number(value: float) -> str:
    """A number without an exponent, to a tenth of a metre."""
    return f"{value:.6f}".rstrip("0").rstrip(".")

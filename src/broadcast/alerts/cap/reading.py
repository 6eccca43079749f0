"""A CAP 1.2 message out of bytes: hardened against what is hostile, exact about what is wrong.

Pure. First the official schema, then what the standard says in words only. Every fault names its
element and the remedy, and all are found at once.

lxml is imported when it is first used: it takes a twentieth of a second.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from broadcast.alerts.cap.message import (
    DEFAULT_LANGUAGE,
    NAMESPACE,
    Area,
    Category,
    Certainty,
    Circle,
    Info,
    Message,
    MsgType,
    Named,
    Reference,
    Resource,
    ResponseType,
    Scope,
    Severity,
    Status,
    Urgency,
)
from broadcast.boundaries.formats import Point

MAX_BYTES = 2 * 2**20
"""Of a message; the largest seen, with hundreds of polygons, has 880 KB."""

MOST_POINTS = 100_000
"""Of all polygons together."""

MOST_SHAPES = 1_000
"""Circles and polygons, the same one of several languages once: each is asked of every commune."""

SIGNATURE = "{http://www.w3.org/2000/09/xmldsig#}Signature"

_OLDER = {
    "http://www.incident.com/cap/1.0": "1.0",
    "urn:oasis:names:tc:emergency:cap:1.0": "1.0",
    "urn:oasis:names:tc:emergency:cap:1.1": "1.1",
}


class Unreadable(ValueError):
    """It is no XML that is read here; the text says why and what to do."""


class Fault(NamedTuple):
    """What is wrong with an element, and the remedy."""

    element: str
    detail: str

    def __str__(self) -> str:
        return f"<{self.element}>: {self.detail}" if self.element else self.detail


class Invalid(ValueError):
    """It is no valid CAP 1.2 message."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = faults


def parse(data: bytes) -> Any:
    """The root element of an XML document of somebody else.

    No entity is resolved, nothing is fetched, depth and size are bounded, and a document type is
    refused altogether: with one, text can be other than it looks.

    Raises:
        Unreadable: It is not well-formed, too large, or has a document type.
    """
    from lxml import etree  # noqa: PLC0415

    if not data.strip():
        raise Unreadable("tệp rỗng; hãy xuất lại bản tin cảnh báo rồi gửi")
    if len(data) > MAX_BYTES:
        raise Unreadable(
            f"lớn hơn {MAX_BYTES // 2**20} MiB; hãy giảm số điểm của vùng hoặc bỏ tệp nhúng"
        )
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        line, column = getattr(error, "position", (0, 0))
        place = f" (dòng {line}, cột {column})" if line else ""
        raise Unreadable(
            f"không phải XML đọc được{place}; hãy xuất lại bản tin cảnh báo, bảng mã UTF-8"
        ) from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise Unreadable("có khai báo DOCTYPE, không được nhận vì lý do an toàn; hãy bỏ dòng đó")
    return root


def read(root: Any) -> Message:
    """The message that a root element is.

    Raises:
        Invalid: It is none, or is not valid; with all faults.
    """
    _check_kind(root)
    schema = _schema()
    if not schema.validate(root):
        raise Invalid(list(dict.fromkeys(map(_told, schema.error_log))))
    return _Reader(root).message()


def _check_kind(root: Any) -> None:
    """Refuse what is another kind of document, and say which.

    Raises:
        Invalid: So it is.
    """
    if root.tag == f"{{{NAMESPACE}}}alert":
        return
    namespace, _, name = root.tag.rpartition("}")
    namespace = namespace.removeprefix("{")
    if name == "alert" and namespace in _OLDER:
        detail = f"là CAP {_OLDER[namespace]}; ở đây chỉ đọc CAP 1.2, hãy xuất theo bản 1.2"
    elif name == "alert":
        detail = f"thiếu không gian tên của CAP 1.2; hãy ghi xmlns=“{NAMESPACE}”"
    elif name in {"feed", "rss", "RDF"}:
        detail = (
            "là danh mục (feed) nhiều cảnh báo, không phải một cảnh báo; hãy gửi từng"
            " cảnh báo mà nó nêu"
        )
    elif name == "schema":
        detail = "là lược đồ (schema) của CAP, không phải một cảnh báo; hãy gửi bản tin cảnh báo"
    else:
        detail = "không phải bản tin cảnh báo; phần tử gốc phải là <alert> của CAP 1.2"
    raise Invalid([Fault(name[:40], detail)])


@cache
def _schema() -> Any:
    from lxml import etree  # noqa: PLC0415

    path = resources.files("broadcast.alerts.cap") / "data" / "cap-1.2.xsd"
    return etree.XMLSchema(etree.fromstring(path.read_bytes()))


# --- what the schema says ------------------------------------------------------------------------

_EXPECTED = re.compile(r"Expected is (?:one of )?\( (.*?) \)")
_NAME = re.compile(r"\{[^{}]*\}([\w.-]+|\*)")
_VALUE = re.compile(r"(?:value )?'([^']*)' is not")
_SET = re.compile(r"set \{(.*?)\}")
_TIMES = {"sent", "effective", "onset", "expires"}


def _told(entry: Any) -> Fault:
    """An error of libxml2 as a person is told it."""
    text = entry.message
    found = _NAME.findall(text)
    name = found[0] if found else ""
    value = _VALUE.search(text)
    given = value[1][:60] if value else ""
    match entry.type_name:
        case "SCHEMAV_ELEMENT_CONTENT":
            detail = _wrong_content(text)
        case _ if name in _TIMES:
            detail = _wrong_time(given)
        case "SCHEMAV_CVC_ENUMERATION_VALID":
            allowed = _SET.search(text)
            values = (allowed[1] if allowed else "").replace("'", "")
            detail = f"“{given}” không có trong danh mục; hãy ghi một trong: {values}"
        case "SCHEMAV_CVC_COMPLEX_TYPE_3_2_1" | "SCHEMAV_CVC_COMPLEX_TYPE_3_2_2":
            detail = "có thuộc tính mà CAP 1.2 không có; hãy bỏ thuộc tính đó"
        case "SCHEMAV_CVC_COMPLEX_TYPE_2_3":
            detail = "có chữ nằm ngoài các phần tử con; hãy bỏ hoặc đặt vào phần tử đúng"
        case _:
            detail = f"giá trị “{given}” sai dạng; hãy sửa theo lược đồ CAP 1.2"
    return Fault(name, detail)


def _wrong_content(text: str) -> str:
    expected = _EXPECTED.search(text)
    wanted = [each for each in _NAME.findall(expected[1]) if each != "*"] if expected else []
    wish = " hoặc ".join(f"<{each}>" for each in wanted[:4])
    if "Missing child" in text:
        return f"thiếu phần tử con; hãy thêm {wish or 'theo lược đồ CAP 1.2'}"
    if wish:
        return f"CAP 1.2 chờ {wish} ở chỗ này; hãy thêm phần tử thiếu hoặc xếp lại thứ tự"
    return "không có trong CAP 1.2 ở chỗ này; hãy bỏ hoặc chuyển đúng thứ tự"


def _wrong_time(given: str) -> str:
    example = "ví dụ đúng: 2026-11-29T05:30:00+07:00"
    if given.endswith(("Z", "z")):
        return f"“{given}” dùng chữ Z; CAP 1.2 cần ghi múi giờ ±hh:mm, giờ quốc tế là -00:00"
    if re.search(r":\d\d\.\d+", given):
        return f"“{given}” có phần lẻ của giây; hãy bỏ phần lẻ, {example}"
    if re.fullmatch(r"[\d-]+T[\d:]+", given):
        return f"“{given}” thiếu múi giờ; {example}"
    return f"“{given}” không phải thời điểm; {example}"


# --- what the standard says in words -------------------------------------------------------------

_NUMBER = r"[+-]?(?:\d{1,9}(?:\.\d{0,15})?|\.\d{1,15})"
_PAIR = re.compile(rf"({_NUMBER}),({_NUMBER})")
_RADIUS = re.compile(_NUMBER)
_LANGUAGE = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*")
_PLAIN = re.compile(r"[^\s,<&]+")


class _Reader:
    """Reads a tree that the schema has found valid."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._faults: list[Fault] = []
        self._points = 0
        self._shapes: set[str] = set()

    def message(self) -> Message:
        """The message.

        Raises:
            Invalid: With all faults.
        """
        root = self._root
        message_type = MsgType(self._needed(root, "msgType"))
        scope = Scope(self._needed(root, "scope"))
        restriction, addresses = _text(root, "restriction"), _text(root, "addresses")
        references = tuple(self._references(root))
        if scope is Scope.RESTRICTED and restriction is None:
            self._add("restriction", "phạm vi Restricted cần ghi rõ hạn chế với ai; hãy bổ sung")
        if scope is Scope.PRIVATE and addresses is None:
            self._add("addresses", "phạm vi Private cần ghi gửi cho ai; hãy bổ sung")
        if message_type is not MsgType.ALERT and not references:
            self._add(
                "references",
                f"bản tin {message_type} cần ghi bản tin trước: nơi gửi,mã số,thời điểm gửi",
            )
        message = Message(
            identifier=self._name(root, "identifier"),
            sender=self._name(root, "sender"),
            sent=self._time(root, "sent") or datetime.min.replace(tzinfo=UTC),
            status=Status(self._needed(root, "status")),
            msg_type=message_type,
            scope=scope,
            source=_text(root, "source"),
            restriction=restriction,
            addresses=addresses,
            codes=tuple(_texts(root, "code")),
            note=_text(root, "note"),
            references=references,
            incidents=_text(root, "incidents"),
            infos=tuple(self._info(each) for each in _all(root, "info")),
        )
        if self._faults:
            raise Invalid(list(dict.fromkeys(self._faults)))
        return message

    def _add(self, element: str, detail: str) -> None:
        self._faults.append(Fault(element, detail))

    def _needed(self, parent: Any, name: str) -> str:
        text = _text(parent, name)
        if text is None:
            self._add(name, "để trống; hãy ghi nội dung")
        return text or ""

    def _name(self, parent: Any, name: str) -> str:
        text = self._needed(parent, name)
        if text and not _PLAIN.fullmatch(text):
            self._add(name, f"“{text[:60]}” có khoảng trắng, dấu phẩy, < hoặc &; hãy bỏ đi")
        if len(text) > 500:
            self._add(name, "dài hơn 500 ký tự; hãy rút ngắn")
        return text

    def _time(self, parent: Any, name: str) -> datetime | None:
        text = _text(parent, name)
        return None if text is None else self._moment(name, text)

    def _moment(self, name: str, text: str) -> datetime | None:
        try:
            moment = datetime.fromisoformat(text).astimezone(UTC)
        except (ValueError, OverflowError):
            self._add(name, _wrong_time(text[:60]))
            return None
        return moment

    def _references(self, root: Any) -> Iterator[Reference]:
        for text in (_text(root, "references") or "").split():
            parts = text.split(",")
            if len(parts) != 3 or not all(parts):
                self._add(
                    "references",
                    f"“{text[:80]}” sai dạng; cần nơi gửi,mã số,thời điểm gửi, cách nhau bằng"
                    " khoảng trắng nếu có nhiều bản tin",
                )
                continue
            sent = self._moment("references", parts[2])
            if sent is not None:
                yield Reference(parts[0], parts[1], sent)

    def _info(self, info: Any) -> Info:
        language = _text(info, "language") or DEFAULT_LANGUAGE
        if not _LANGUAGE.fullmatch(language):
            self._add("language", f"“{language[:40]}” không phải mã ngôn ngữ; hãy ghi như vi-VN")
        effective, onset = self._time(info, "effective"), self._time(info, "onset")
        expires = self._time(info, "expires")
        begins = max((each for each in (effective, onset) if each is not None), default=None)
        if begins is not None and expires is not None and expires < begins:
            self._add("expires", "trước lúc bắt đầu (effective, onset); hãy sửa lại hai thời điểm")
        return Info(
            language=language,
            categories=tuple(Category(each) for each in _texts(info, "category")),
            event=self._needed(info, "event"),
            response_types=tuple(ResponseType(each) for each in _texts(info, "responseType")),
            urgency=Urgency(self._needed(info, "urgency")),
            severity=Severity(self._needed(info, "severity")),
            certainty=Certainty(self._needed(info, "certainty")),
            audience=_text(info, "audience"),
            event_codes=_named(info, "eventCode"),
            effective=effective,
            onset=onset,
            expires=expires,
            sender_name=_text(info, "senderName"),
            headline=_text(info, "headline"),
            description=_text(info, "description"),
            instruction=_text(info, "instruction"),
            web=_text(info, "web"),
            contact=_text(info, "contact"),
            parameters=_named(info, "parameter"),
            resources=tuple(self._resource(each) for each in _all(info, "resource")),
            areas=tuple(self._area(each) for each in _all(info, "area")),
        )

    def _resource(self, resource: Any) -> Resource:
        size = _text(resource, "size")
        return Resource(
            description=self._needed(resource, "resourceDesc"),
            mime_type=self._needed(resource, "mimeType"),
            size=int(size) if size is not None and len(size) < 16 else None,
            uri=_text(resource, "uri"),
            content=_text(resource, "derefUri"),
            digest=_text(resource, "digest"),
        )

    def _area(self, area: Any) -> Area:
        polygons = [self._polygon(each) for each in self._counted(area, "polygon")]
        circles = [self._circle(each) for each in self._counted(area, "circle")]
        return Area(
            description=self._needed(area, "areaDesc"),
            polygons=tuple(each for each in polygons if each),
            circles=tuple(each for each in circles if each is not None),
            geocodes=_named(area, "geocode"),
            altitude_ft=_text(area, "altitude"),
            ceiling_ft=_text(area, "ceiling"),
        )

    def _counted(self, area: Any, name: str) -> list[str]:
        """The shapes of an area; none once there are too many."""
        shapes = _texts(area, name)
        self._shapes.update(shapes)
        if len(self._shapes) > MOST_SHAPES:
            self._add(name, f"có hơn {MOST_SHAPES} hình vẽ; hãy gộp lại hoặc ghi mã đơn vị")
            return []
        return shapes

    def _polygon(self, text: str) -> tuple[Point, ...]:
        """The points of a polygon; one that was left open is closed: it can mean nothing else."""
        pairs = text.split()
        self._points += len(pairs)
        if self._points > MOST_POINTS:
            self._add("polygon", f"các vùng có hơn {MOST_POINTS} điểm; hãy đơn giản hóa")
            return ()
        points = []
        for pair in pairs:
            point = self._point("polygon", pair)
            if point is None:
                return ()
            points.append(point)
        if points[0] != points[-1]:
            points.append(points[0])
        if len({*points}) < 3:
            self._add("polygon", "vùng cần ít nhất 3 điểm khác nhau; hãy vẽ lại")
            return ()
        return tuple(points)

    def _circle(self, text: str) -> Circle | None:
        parts = text.split()
        if len(parts) != 2 or not _RADIUS.fullmatch(parts[1]) or float(parts[1]) < 0:
            self._add(
                "circle", f"“{text[:60]}” sai dạng; ví dụ đúng: 15.12,108.80 20 (bán kính km)"
            )
            return None
        centre = self._point("circle", parts[0])
        return None if centre is None else Circle(centre, float(parts[1]))

    def _point(self, element: str, pair: str) -> Point | None:
        found = _PAIR.fullmatch(pair)
        if found is None:
            self._add(
                element,
                f"“{pair[:40]}” không phải điểm; hãy ghi liền vĩ độ,kinh độ, như 15.12,108.80",
            )
            return None
        latitude, longitude = float(found[1]), float(found[2])
        if abs(latitude) > 90 and abs(longitude) <= 90:
            self._add(element, f"“{pair[:40]}” bị đổi chỗ; CAP ghi vĩ độ trước, kinh độ sau")
            return None
        if abs(latitude) > 90 or abs(longitude) > 180:
            self._add(element, f"“{pair[:40]}” nằm ngoài trái đất; hãy ghi độ theo WGS84")
            return None
        return longitude, latitude


def _all(parent: Any, name: str) -> list[Any]:
    return list(parent.findall(f"{{{NAMESPACE}}}{name}"))


def _texts(parent: Any, name: str) -> list[str]:
    """Texts of children, without those that are empty: senders leave out by leaving empty."""
    whole = ("".join(each.itertext(with_tail=False)).strip() for each in _all(parent, name))
    return [text for text in whole if text]


def _text(parent: Any, name: str) -> str | None:
    return next(iter(_texts(parent, name)), None)


def _named(parent: Any, name: str) -> tuple[Named, ...]:
    return tuple(
        Named(_text(each, "valueName") or "", _text(each, "value") or "")
        for each in _all(parent, name)
    )

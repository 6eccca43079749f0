"""HTTP/1.1 as RFC 9112 demands it of a server, and time limits for each part of a request.

h11 forgives what a proxy in front of us may read differently: bare line feeds (§2.2),
`Transfer-Encoding` beside `Content-Length` (§6.1), folded lines (§5.2), repeated lengths. Where
two readers disagree on where a request ends, one person's becomes the beginning of another's.
Whatever is doubtful is refused and the connection closed.
"""

from __future__ import annotations

import asyncio
import json
import re
from http import HTTPStatus
from typing import Any, NamedTuple

import h11
from prometheus_client import Counter
from uvicorn.protocols.http.h11_impl import H11Protocol

from broadcast.web import headers

REFUSED = Counter(
    "broadcast_http_refused", "Connections and requests refused before any route", ["reason"]
)

HEAD_BYTES = 16 * 1024
HEAD_FIELDS = 100

HEAD_SECONDS = 10.0
"""From the connection, or the first byte of a later request, to the end of its header."""

IDLE_SECONDS = 30
"""Between two requests on a connection."""

WEBSOCKETS = re.compile(r"/api/v1/live-sessions/[^/]+/speech")
"""Paths that are WebSockets; how many are open at once is limited there."""

LINGER_SECONDS = 2.0
"""For which the rest of a body that nobody wants is thrown away, so that the answer is read."""

UNREAD_SECONDS = 60.0
"""For which an answer waits for a reader that does not read."""


class Refusal(NamedTuple):
    """Reasons for which a request reaches no route."""

    status: HTTPStatus
    reason: str
    """Label of the metric."""
    detail: str

    def answer(self) -> bytes:
        """The whole response, a problem document, after which the connection is closed."""
        REFUSED.labels(self.reason).inc()
        body = json.dumps(
            {
                "type": f"urn:broadcast:problem:{self.reason}",
                "title": _TITLES[self.status],
                "status": self.status.value,
                "detail": self.detail,
            },
            ensure_ascii=False,
        ).encode()
        fields = {
            "Content-Type": "application/problem+json",
            "Content-Length": str(len(body)),
            "Connection": "close",
            "Cache-Control": "no-store",
            **headers.SECURITY,
        }
        if self.status is HTTPStatus.SERVICE_UNAVAILABLE:
            fields["Retry-After"] = "10"
        head = [f"HTTP/1.1 {self.status.value} {self.status.phrase}"]
        head += [f"{name}: {value}" for name, value in fields.items()]
        return "\r\n".join([*head, "", ""]).encode() + body


_TITLES = {
    HTTPStatus.BAD_REQUEST: "Yêu cầu sai dạng",
    HTTPStatus.REQUEST_TIMEOUT: "Quá thời gian chờ",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "Phần đầu yêu cầu quá lớn",
    HTTPStatus.NOT_IMPLEMENTED: "Không hỗ trợ",
    HTTPStatus.SERVICE_UNAVAILABLE: "Tạm thời không phục vụ được",
    HTTPStatus.HTTP_VERSION_NOT_SUPPORTED: "Không hỗ trợ phiên bản HTTP này",
}

_MALFORMED = "Yêu cầu HTTP sai dạng ({}); hãy sửa chương trình gửi hoặc máy chủ trung gian."

FULL = Refusal(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "too-many-connections",
    "Máy chủ đang phục vụ quá nhiều kết nối; hãy thử lại sau 10 giây.",
)
SLOW = Refusal(
    HTTPStatus.REQUEST_TIMEOUT,
    "slow-header",
    f"Phần đầu của yêu cầu không đến đủ trong {HEAD_SECONDS:.0f} giây; hãy gửi lại.",
)


def _malformed(why: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, "malformed-request", _MALFORMED.format(why))


_END = b"\r\n\r\n"
_BARE = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)")
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_REQUEST_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [\x21-\x7e]+ HTTP/(\d)\.(\d)")
_LENGTH = re.compile(rb"\d{1,15}")


def check_head(received: bytes) -> Refusal | None:
    """Fault in the beginning of a request, as far as it has come."""
    head, complete, _ = received.partition(_END)
    if len(head) > HEAD_BYTES:
        return Refusal(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            "large-header",
            f"Phần đầu của yêu cầu dài hơn {HEAD_BYTES // 1024} KB; hãy bớt tham số hoặc trường.",
        )
    if _BARE.search(head + complete):
        return _malformed("xuống dòng phải là CR LF")
    if _CONTROL.search(head):
        return _malformed("có ký tự điều khiển")
    return _check_fields(head.split(b"\r\n")) if complete else None


def _check_fields(lines: list[bytes]) -> Refusal | None:
    request = _REQUEST_LINE.fullmatch(lines[0])
    if request is None:
        return _malformed("dòng yêu cầu")
    version = int(request[1]), int(request[2])
    if version not in {(1, 0), (1, 1)}:
        return Refusal(
            HTTPStatus.HTTP_VERSION_NOT_SUPPORTED,
            "http-version",
            "Máy chủ chỉ nói HTTP/1.1; hãy gửi lại bằng phiên bản đó.",
        )
    if len(lines) > HEAD_FIELDS + 1:
        return Refusal(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            "large-header",
            f"Phần đầu của yêu cầu có hơn {HEAD_FIELDS} trường; hãy bớt đi.",
        )
    if any(line[:1] in {b" ", b"\t", b""} for line in lines[1:]):
        return _malformed("trường bị gấp dòng")
    fields = [(n.lower(), v.strip(b" \t")) for n, _, v in (s.partition(b":") for s in lines[1:])]
    lengths = [value for name, value in fields if name == b"content-length"]
    codings = [value for name, value in fields if name == b"transfer-encoding"]
    return _check_framing(lengths, codings, version)


def _check_framing(
    lengths: list[bytes], codings: list[bytes], version: tuple[int, int]
) -> Refusal | None:
    if codings and lengths:
        return _malformed("Transfer-Encoding đi cùng Content-Length")
    if len(lengths) > 1 or len(codings) > 1:
        return _malformed("độ dài ghi nhiều lần")
    if lengths and not _LENGTH.fullmatch(lengths[0]):
        return _malformed("Content-Length")
    if codings and version == (1, 0):
        return _malformed("Transfer-Encoding trong HTTP/1.0")
    if codings and codings[0].lower() != b"chunked":
        return Refusal(
            HTTPStatus.NOT_IMPLEMENTED,
            "transfer-coding",
            "Transfer-Encoding chỉ nhận chunked; hãy gửi lại bằng cách đó.",
        )
    return None


class _Connection(h11.Connection):
    """h11 behind the checks above."""

    def __init__(self) -> None:
        super().__init__(h11.SERVER, HEAD_BYTES + len(_END))
        self.refusal: Refusal | None = None
        self._is_chunked = False

    def next_event(self) -> Any:
        """As h11's.

        Raises:
            RemoteProtocolError: `refusal` says why.
        """
        begins = self.their_state is h11.IDLE
        before = b""
        if begins and (before := self.trailing_data[0]):
            self._refuse(check_head(before))
        if self._is_chunked and not begins:
            before = self.trailing_data[0]
        try:
            event = super().next_event()
        except h11.RemoteProtocolError:
            self.refusal = _malformed("phần đầu" if begins else "phần thân")
            raise
        if isinstance(event, h11.Request):
            self._is_chunked = any(n == b"transfer-encoding" for n, _ in event.headers)
        if isinstance(event, h11.EndOfMessage) and self._is_chunked:
            trailer = before[: len(before) - len(self.trailing_data[0])]
            # A feed at its beginning may end the line before, unless it is all there is.
            if trailer == b"\n" or _BARE.search(trailer, 1):
                self._refuse(_malformed("xuống dòng phải là CR LF"))
        return event

    def _refuse(self, refusal: Refusal | None) -> None:
        if refusal is not None:
            self.refusal = refusal
            raise h11.RemoteProtocolError(refusal.reason)


class Connections:
    """The open connections of a server: at most `limit`, the idle ones giving way to new ones."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.open: set[Protocol] = set()
        self.idle: dict[Protocol, None] = {}
        """Without a request under way, longest first."""

    def make_room(self) -> bool:
        """Tell whether one more may be opened; closes the one idle for longest if need be."""
        if len(self.open) < self.limit:
            return True
        if not self.idle:
            return False
        REFUSED.labels("idle-gave-way").inc()
        next(iter(self.idle)).abort()
        return True


class Protocol(H11Protocol):
    """Uvicorn's, strict and with an end to every wait."""

    def __init__(self, connections: Connections, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.conn: _Connection = _Connection()
        self._all = connections
        self._patience: asyncio.TimerHandle | None = None
        self._head_begun = False
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._all.open.add(self)
        self._wait(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._all.open.discard(self)
        self._all.idle.pop(self, None)
        for timer in (self._patience, self._unread):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def abort(self) -> None:
        """Close without a word, as a server may between requests."""
        self._all.open.discard(self)
        self._all.idle.pop(self, None)
        self.transport.abort()

    def handle_events(self) -> None:
        """Go on with what has come, and see to it that the rest comes in time."""
        super().handle_events()
        if self.conn.their_state is not h11.IDLE:
            if not self._is_over():
                self._all.idle.pop(self, None)
                self._stop_waiting()
        elif self.conn.trailing_data[0] and not self._head_begun:
            self._head_begun = True
            if self.cycle is not None:  # the first request began with the connection
                self._wait(HEAD_SECONDS)

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the end of a body that nobody wants."""
        wanted = self.conn.their_state in {h11.DONE, h11.MUST_CLOSE, h11.CLOSED}
        self._head_begun = False
        self._wait(IDLE_SECONDS if wanted else LINGER_SECONDS)
        super().on_response_complete()
        self._unset_keepalive_if_required()

    def _is_over(self) -> bool:
        return self.cycle is None or bool(self.cycle.response_complete)

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._all.idle[self] = None
        self._patience = self.loop.call_later(seconds, self._wait_no_longer)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _wait_no_longer(self) -> None:
        if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            self.transport.write(SLOW.answer())
        else:
            REFUSED.labels("idle").inc()
        self.transport.close()

    def send_400_response(self, _: str) -> None:
        """Say what is wrong with a request, and close."""
        refusal = self.conn.refusal or _malformed("phần đầu")
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.transport.abort()
                return
        self.transport.write(refusal.answer())
        self.transport.close()

    def pause_writing(self) -> None:
        """The peer does not read: wait, but not indefinitely."""
        super().pause_writing()
        self._unread = self.loop.call_later(UNREAD_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """The peer has read."""
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
        super().resume_writing()

    def _should_upgrade_to_ws(self) -> bool:
        """Speak WebSocket where there is one; elsewhere the request is one like every other."""
        return bool(WEBSOCKETS.fullmatch(self.scope["path"])) and super()._should_upgrade_to_ws()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection on: another protocol waits and limits from here."""
        self._stop_waiting()
        self._all.open.discard(self)
        self._all.idle.pop(self, None)
        super().handle_websocket_upgrade(event)

    def _unsupported_upgrade_warning(self) -> None:
        """Answer nothing: a client that asks for an upgrade may send requests all the same."""

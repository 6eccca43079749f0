"""Errors that are answered to a person or a peer.

Ours and the peer's fault are different trees: a `BroadcastError` answers a request,
a `broadcast.wire.WireError` goes to the dead-letter table and never looks like a server bug.
"""

from __future__ import annotations

import errno
import math
import socket
import ssl
from collections.abc import Sequence


class BroadcastError(Exception):
    """A request that cannot be served, said so that its sender knows what to do next.

    Attributes:
        status: HTTP status that the REST edge answers with (RFC 9110).
        slug: Stable identifier of the kind of problem; last part of the RFC 9457 `type`.
        title: Short name of the problem in Vietnamese, the same for every occurrence.
        detail: What happened this time and the remedy.
        extra: Further members of the problem document (RFC 9457 §3.2).
    """

    status = 500
    slug = "internal"
    title = "Lỗi hệ thống"

    def __init__(self, detail: str, **extra: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra


class InvalidInput(BroadcastError):
    """A field's value cannot be accepted; `field` names it.

    Raised by rules and edges alike, so that the command line, a CSV import and the REST
    interface say the same thing.
    """

    status = 422
    slug = "invalid-input"
    title = "Dữ liệu không hợp lệ"

    def __init__(self, field: str, detail: str, **extra: object) -> None:
        super().__init__(f"{field}: {detail}", field=field, **extra)
        self.field = field
        self.reason = detail


class Malformed(InvalidInput):
    """A request that the description of the interface does not allow, whatever is stored."""

    slug = "malformed-input"


class Unknown(InvalidInput):
    """A field names something that does not exist.

    In the address of a request (RFC 3986 §3.4) that is 404, as for a path.
    """


class NotFound(BroadcastError):
    """The thing that a path or a field names does not exist."""

    status = 404
    slug = "not-found"
    title = "Không tìm thấy"


class Conflict(BroadcastError):
    """The request does not fit the present state of the thing it would change."""

    status = 409
    slug = "conflict"
    title = "Xung đột trạng thái"


class PreconditionFailed(BroadcastError):
    """`If-Match` names another version than the stored one (RFC 9110 §13.1.1)."""

    status = 412
    slug = "precondition-failed"
    title = "Dữ liệu đã thay đổi"


class TooLarge(BroadcastError):
    """An upload or a payload exceeds its limit."""

    status = 413
    slug = "too-large"
    title = "Dữ liệu quá lớn"


class TooSlow(BroadcastError):
    """A body has not come in time."""

    status = 408
    slug = "too-slow"
    title = "Quá thời gian chờ"


class UnsupportedMediaType(BroadcastError):
    """The body is of a kind that is not read here."""

    status = 415
    slug = "unsupported-media-type"
    title = "Kiểu nội dung không hỗ trợ"


class MethodNotAllowed(BroadcastError):
    """The path exists, and does not have this method."""

    status = 405
    slug = "method-not-allowed"
    title = "Phương thức không hỗ trợ"

    def __init__(self, detail: str, allowed: Sequence[str]) -> None:
        super().__init__(detail, allowed=list(allowed))
        self.allowed = tuple(allowed)


class DiskFull(BroadcastError):
    """A disk has no room for what was to be kept."""

    status = 507
    slug = "disk-full"
    title = "Đĩa đã đầy"


DISK_FULL = {errno.ENOSPC, errno.EDQUOT}
"""Error numbers of the operating system for a disk without room."""

CONTENT_DISK_FULL = (
    "Đĩa chứa âm thanh (BROADCAST_CONTENT_DIR) đã đầy, nên không lưu được; hãy báo quản trị"
    " giải phóng đĩa rồi gửi lại."
)


class Unauthenticated(BroadcastError):
    """No token, or one that is unknown or expired."""

    status = 401
    slug = "unauthenticated"
    title = "Chưa xác thực"


class Forbidden(BroadcastError):
    """The person is known and may not do this."""

    status = 403
    slug = "forbidden"
    title = "Không có quyền"


class TooManyRequests(BroadcastError):
    """The sender has to wait (RFC 6585 §4).

    Attributes:
        retry_seconds: How long.
    """

    status = 429
    slug = "too-many-requests"
    title = "Quá nhiều yêu cầu"

    def __init__(self, detail: str, retry_seconds: float) -> None:
        super().__init__(detail)
        self.retry_seconds = math.ceil(retry_seconds)


class Unavailable(BroadcastError):
    """Something this request needs (database, broker, disk) is away for now; try again."""

    status = 503
    slug = "unavailable"
    title = "Tạm thời không phục vụ được"


def because(error: OSError) -> str:
    """Reason of the operating system in Vietnamese, to stand in brackets."""
    if isinstance(error, socket.gaierror):
        return "không tìm thấy tên máy"
    if isinstance(error, ssl.SSLError):
        return "chứng chỉ hoặc TLS không hợp"
    if isinstance(error, TimeoutError):
        return "không trả lời kịp"
    return _REASONS.get(error.errno or 0, f"lỗi {error.errno} của hệ điều hành")


_REASONS = {
    errno.ENOENT: "không có tệp hoặc thư mục này",
    errno.EACCES: "không có quyền",
    errno.EPERM: "không có quyền",
    errno.EROFS: "ổ đĩa chỉ cho đọc",
    errno.ENOSPC: "đĩa đầy",
    errno.EDQUOT: "hết hạn mức đĩa",
    errno.EMFILE: "mở quá nhiều tệp",
    errno.ENFILE: "mở quá nhiều tệp",
    errno.ENOMEM: "hết bộ nhớ",
    errno.EISDIR: "là thư mục, không phải tệp",
    errno.ENOTDIR: "đường dẫn đi qua một tệp không phải thư mục",
    errno.EADDRINUSE: "chương trình khác đang dùng cổng này",
    errno.EADDRNOTAVAIL: "máy này không có địa chỉ đó",
    errno.ECONNREFUSED: "máy kia từ chối kết nối",
    errno.ECONNRESET: "máy kia ngắt kết nối",
    errno.EHOSTUNREACH: "không tới được máy kia",
    errno.ENETUNREACH: "không có đường mạng tới máy kia",
    errno.EPIPE: "máy kia đã ngắt kết nối",
    errno.EIO: "lỗi ổ đĩa",
}

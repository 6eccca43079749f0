"""Checks of whether this installation does its work, for `/readyz` and the alarms. Pure.

Every detail is for the person on duty: what is wrong and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from pydantic import BaseModel

from broadcast.config import Upkeep
from broadcast.kit.clock import LOCAL
from broadcast.kit.english import Said
from broadcast.upkeep import lifetimes
from broadcast.upkeep.storage import Room

HEARD_WITHIN = timedelta(days=1)
"""A device that was heard so recently is expected to be heard again."""

FEWEST = 5
"""Fewer expected devices say nothing by their silence: a pilot is switched off at night."""


class Name(StrEnum):
    """Names of the checks."""

    DATABASE = "database"
    SCHEMA = "schema"
    PARTITIONS = "partitions"
    RETENTION = "retention"
    ROLES = "roles"
    OUTBOX = "outbox"
    PREPARATION = "preparation"
    LISTENING = "listening"
    DEVICES = "devices"
    CERTIFICATES = "certificates"
    DISK = "disk"
    STEPS = "steps"
    RESTORE = "restore"


class Check(BaseModel):
    """One thing that was looked at; `ok` false: the installation does not do its work."""

    name: Name
    ok: bool
    alarm: bool = False
    """Somebody has to act, although work goes on; always true when `ok` is false."""
    detail: Said = ""


class Failed(NamedTuple):
    """Work that a step cannot do at present; `subject` is empty where it fails as a whole."""

    step: str
    subject: str
    error: str
    since: datetime


class Certificates(NamedTuple):
    """Certificates of devices."""

    list_issued_at: datetime | None
    """Of the list of revoked ones; None: there is none."""
    list_expires_at: datetime | None
    expiring: int
    """Devices in use whose last certificate ends soon."""


@dataclass(frozen=True)
class Facts:
    """Facts of the database on the work.

    Attributes:
        partitions: Names of those that exist.
        wanted: Table and name of those without which work stops soon.
        ahead: Table and name of all that should have been made by now.
        undropped: Names of those that should be gone for long.
        unpublished: Documents that the broker has not confirmed.
        unpublished_since: When the oldest of them was issued.
        expected: Devices that were heard within `HEARD_WITHIN`, or count as online.
        heard_at: When any device was last heard.
        listened_until: Up to when the server heard all that was sent; None before the first time.
        unprepared: Recordings and texts whose sound nobody is preparing.
        unprepared_since: Since when the oldest of them could have been begun.
        preparing: Those that are being prepared.
        failed: What steps cannot do, the oldest first.
        certificates: Those of devices; None: no device has ever had one.
        restored_at: When a restore was noticed that nobody has accepted yet.
    """

    partitions: frozenset[str]
    wanted: tuple[tuple[str, str], ...]
    ahead: tuple[tuple[str, str], ...]
    undropped: tuple[str, ...]
    unpublished: int
    unpublished_since: datetime | None
    expected: int
    heard_at: datetime | None
    listened_until: datetime | None
    unprepared: int = 0
    unprepared_since: datetime | None = None
    preparing: int = 0
    failed: tuple[Failed, ...] = ()
    certificates: Certificates | None = None
    restored_at: datetime | None = None


def away(detail: str) -> Check:
    """The database did not answer."""
    return Check(
        name=Name.DATABASE,
        ok=False,
        alarm=True,
        detail=f"{detail}; kiểm tra PostgreSQL đang chạy và BROADCAST_POSTGRES__DSN.",
    )


def schema(stored: str | None, wanted: str | None) -> Check:
    """The database has the schema that this code was written for."""
    if stored == wanted:
        return Check(name=Name.SCHEMA, ok=True)
    return _bad(
        Name.SCHEMA,
        f"Lược đồ cơ sở dữ liệu là {stored or 'trống'}, chương trình cần {wanted}:"
        " chạy `broadcast migrate`.",
    )


def work(facts: Facts, settings: Upkeep, now: datetime) -> list[Check]:
    """Everything that is told from the rows of the database."""
    return [
        _partitions(facts),
        _retention(facts),
        _outbox(facts, settings, now),
        _preparation(facts, now),
        _listening(facts, settings, now),
        _devices(facts, settings, now),
        _steps(facts, now),
        _certificates(facts.certificates, now),
        _restore(facts, now),
    ]


QUIET_ROLE = timedelta(seconds=45)
"""A role that has said nothing for longer is done by nobody; it says so every ten seconds."""


class Role(NamedTuple):
    """State of a role as it was last reported."""

    name: str
    where: str
    """Host and process."""
    trouble: str
    at: datetime


def roles(said: Sequence[Role], now: datetime) -> Check:
    """Every role that any process has done is done, and works."""
    bad = []
    for role in said:
        if now - role.at > QUIET_ROLE:
            last = f"{role.at.astimezone(LOCAL):%H:%M:%S %d/%m/%Y}"
            bad.append(
                f"{role.name} ({role.where}) không còn báo tin từ {last}:"
                " tiến trình đã dừng hoặc treo; kiểm tra systemctl status và khởi động lại."
            )
        elif role.trouble:
            bad.append(f"{role.name} ({role.where}): {role.trouble}.")
    return _bad(Name.ROLES, " ".join(bad)) if bad else Check(name=Name.ROLES, ok=True)


def _partitions(facts: Facts) -> Check:
    ahead = lifetimes.missing(facts.partitions, facts.ahead)
    if not ahead:
        return Check(name=Name.PARTITIONS, ok=True)
    lacking = lifetimes.missing(facts.partitions, facts.wanted)
    return Check(
        name=Name.PARTITIONS,
        ok=not lacking,
        alarm=True,
        detail=f"Thiếu phân vùng {', '.join((lacking or ahead)[:5])}: dữ liệu của những ngày đó sẽ"
        " không ghi được. Kiểm tra tiến trình dispatch còn chạy và nhật ký"
        " `upkeep.job.failed`.",
    )


def _retention(facts: Facts) -> Check:
    if not facts.undropped:
        return Check(name=Name.RETENTION, ok=True)
    return Check(
        name=Name.RETENTION,
        ok=True,
        alarm=True,
        detail=f"Phân vùng quá hạn chưa xóa được: {', '.join(facts.undropped[:5])}."
        " Tìm giao dịch treo trong pg_stat_activity (báo cáo, pg_dump) rồi kết thúc nó.",
    )


def _outbox(facts: Facts, settings: Upkeep, now: datetime) -> Check:
    since = facts.unpublished_since
    if since is None or now - since <= settings.outbox_stuck_after:
        return Check(name=Name.OUTBOX, ok=True)
    return _bad(
        Name.OUTBOX,
        f"{facts.unpublished} tài liệu chưa phát được tới thiết bị, cũ nhất {_ago(now - since)}:"
        " kiểm tra broker MQTT và tiến trình dispatch (nhật ký `dispatch.step.failed`).",
    )


PREPARED_WITHIN = timedelta(minutes=10)
"""By when a recording is begun; the longest that may lie before it takes a few minutes."""


def _preparation(facts: Facts, now: datetime) -> Check:
    since = facts.unprepared_since
    if since is None or now - since <= PREPARED_WITHIN:
        return Check(name=Name.PREPARATION, ok=True)
    waiting = f"{facts.unprepared} bản tin chờ chuẩn bị âm thanh, cũ nhất {_ago(now - since)}"
    if not facts.preparing:
        return _bad(
            Name.PREPARATION,
            f"{waiting}, mà không tiến trình nào làm: khởi động broadcast-prepare"
            " (vai trò prepare) và xem nhật ký `bulletins.preparation.database_away`.",
        )
    return Check(
        name=Name.PREPARATION,
        ok=True,
        alarm=True,
        detail=f"{waiting}; {facts.preparing} bản đang làm. Bản tin khẩn vẫn được làm trước. Nếu"
        " kéo dài: tăng BROADCAST_AUDIO__AT_ONCE hoặc chạy broadcast-prepare trên máy nữa.",
    )


def _listening(facts: Facts, settings: Upkeep, now: datetime) -> Check:
    until = facts.listened_until
    fresh = until is not None and now - until <= settings.silence_after
    if fresh or not facts.expected:
        return Check(name=Name.LISTENING, ok=True)
    since = "chưa từng nghe" if until is None else f"ngừng nghe {_ago(now - until)}"
    return _bad(
        Name.LISTENING,
        f"Máy chủ {since} dù đang có {facts.expected} thiết bị: kiểm tra tiến trình ingest"
        " và kết nối của nó tới broker MQTT.",
    )


def _devices(facts: Facts, settings: Upkeep, now: datetime) -> Check:
    if facts.heard_at is None or facts.expected < FEWEST:
        return Check(name=Name.DEVICES, ok=True)
    if now - facts.heard_at <= settings.silence_after:
        return Check(name=Name.DEVICES, ok=True)
    return _bad(
        Name.DEVICES,
        f"Không thiết bị nào trong {facts.expected} thiết bị gửi tin {_ago(now - facts.heard_at)}:"
        " kiểm tra broker, quyền truy cập (mosquitto-devices.acl) và đường truyền của nhà mạng.",
    )


LIST_OLD_AFTER = timedelta(days=3)
"""The list of revoked certificates is made anew daily."""
LIST_ENDS_SOON = timedelta(days=5)
"""A broker with an expired list refuses every device."""


def _certificates(stored: Certificates | None, now: datetime) -> Check:
    if stored is None:
        return Check(name=Name.CERTIFICATES, ok=True)
    issued_at, expires_at = stored.list_issued_at, stored.list_expires_at
    if issued_at is None or expires_at is None or now - issued_at > LIST_OLD_AFTER:
        age = "chưa có" if issued_at is None else f"không được làm mới {_ago(now - issued_at)}"
        detail = (
            f"Danh sách chứng chỉ thu hồi {age}; hết hạn thì broker từ chối mọi thiết bị. Kiểm tra"
            " tiến trình dispatch, BROADCAST_ENROLMENT__AUTHORITY_DIR và __BROKER_DIR."
        )
        ends_soon = expires_at is None or expires_at - now < LIST_ENDS_SOON
        return Check(name=Name.CERTIFICATES, ok=not ends_soon, alarm=True, detail=detail)
    if stored.expiring:
        return Check(
            name=Name.CERTIFICATES,
            ok=True,
            alarm=True,
            detail=f"{stored.expiring} thiết bị sắp hết hạn chứng chỉ mà chưa gia hạn: kiểm tra"
            " chúng có lên mạng không; hết hạn rồi thì phải đăng ký lại bằng mã mới.",
        )
    return Check(name=Name.CERTIFICATES, ok=True)


def _steps(facts: Facts, now: datetime) -> Check:
    if not facts.failed:
        return Check(name=Name.STEPS, ok=True)
    whole = [each for each in facts.failed if not each.subject]
    if whole:
        first = whole[0]
        return _bad(
            Name.STEPS,
            f"Máy chủ không {_STEPS.get(first.step, f'làm được việc “{first.step}”')}"
            f" {_ago(now - first.since)} (lỗi: {first.error}); các việc khác vẫn chạy và máy"
            " chủ tự thử lại. Gửi nhật ký `dispatch.step.failed` cho bên phát triển.",
        )
    said = "; ".join(
        f"{each.subject} (không {_STEPS.get(each.step, each.step)} {_ago(now - each.since)},"
        f" lỗi: {each.error})"
        for each in facts.failed[:5]
    )
    return Check(
        name=Name.STEPS,
        ok=True,
        alarm=True,
        detail=f"{len(facts.failed)} mục bị để riêng, mọi mục khác vẫn chạy: {said}. Sửa hoặc thu"
        " hồi lịch phát, thiết bị đó; máy chủ tự thử lại, chi tiết ở nhật ký `failures.recorded`.",
    )


def _restore(facts: Facts, now: datetime) -> Check:
    if facts.restored_at is None:
        return Check(name=Name.RESTORE, ok=True)
    return _bad(
        Name.RESTORE,
        f"Cơ sở dữ liệu đã được khôi phục, phát hiện {_ago(now - facts.restored_at)}: máy chủ chưa"
        " phát gì mới, thiết bị phát tiếp những gì đang giữ. Xem `broadcast restore compare` rồi"
        " quyết định bằng `broadcast restore accept`.",
    )


_STEPS = {
    "horizon": "tính được các buổi phát của lịch",
    "inbox": "xếp được giờ cho tin ưu tiên gửi các xã",
    "occurrences": "lập được sổ phát của buổi phát",
    "items": "đưa được vào chương trình buổi phát",
    "documents": "ký được chương trình",
    "restore": "xét được việc khôi phục",
    "overfull": "giữ được hết các buổi phát trong chương trình",
    "publish": "gửi được tới broker",
    "commands": "gửi được lệnh",
    "settle": "kết luận được lượt phát",
    "presence": "xét được trạng thái của thiết bị",
    "incidents": "xét được sự cố",
    "renewals": "gia hạn được chứng chỉ của thiết bị",
    "revocation": "báo được cho broker thiết bị nào bị thu hồi quyền",
    "rollup": "tổng hợp được ngày của chỉ tiêu",
    "keys": "đọc được khóa ký",
    "pins": "xét được khóa mà thiết bị đã ghim",
    "invalidations": "tính lại được ngày của chỉ tiêu",
    "audit": "thấy nhật ký kiểm toán còn nguyên (chạy broadcast audit verify)",
    "audit_retention": "xóa được nhật ký kiểm toán quá hạn",
}
"""What a step does, after “không”."""


def disk(rooms: Sequence[Room], settings: Upkeep) -> Check:
    """There is room; where nobody can know, that is said."""
    low = [
        room
        for room in rooms
        if room.free_bytes is not None and room.free_bytes < settings.disk_free_bytes
    ]
    if low:
        where = ", ".join(
            f"{_PLACES[room.place]} còn {_size(room.free_bytes or 0)}" for room in low
        )
        return _bad(
            Name.DISK,
            f"Sắp đầy đĩa: {where} (ngưỡng {_size(settings.disk_free_bytes)}). Mở rộng đĩa, hoặc"
            " giảm BROADCAST_UPKEEP__RAW_DAYS.",
        )
    unknown = [_PLACES[room.place] for room in rooms if room.free_bytes is None]
    detail = f"Không đo được chỗ trống: {', '.join(unknown)}." if unknown else ""
    return Check(name=Name.DISK, ok=True, detail=detail)


_PLACES = {"content": "thư mục âm thanh", "database": "cơ sở dữ liệu"}


def _bad(name: Name, detail: str) -> Check:
    return Check(name=name, ok=False, alarm=True, detail=detail)


def _ago(span: timedelta) -> str:
    minutes = int(span.total_seconds() // 60)
    if minutes < 120:
        return f"từ {minutes} phút trước"
    if minutes < 2880:
        return f"từ {minutes // 60} giờ trước"
    return f"từ {minutes // 1440} ngày trước"


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"

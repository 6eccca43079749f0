"""What tables, columns and values of the audit are called for people. Pure.

What has no word here is shown by its name: better an odd word than a change that nobody sees.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from broadcast.auth.permissions import ROLE_NAMES
from broadcast.console import formats
from broadcast.console.words import N_

TABLES = {
    "accounts": N_("Tài khoản"),
    "api_tokens": N_("Mã truy cập"),
    "approval_rules": N_("Quy định duyệt"),
    "approval_steps": N_("Bước duyệt"),
    "area_lineage": N_("Sáp nhập, chia tách"),
    "areas": N_("Đơn vị hành chính"),
    "attestations": N_("Xác nhận hoạt động"),
    "baseline_stations": N_("Đài của kỳ gốc"),
    "bulletin_revisions": N_("Phiên bản bản tin"),
    "bulletins": N_("Bản tin"),
    "cluster_villages": N_("Thôn mà cụm loa phục vụ"),
    "clusters": N_("Cụm loa"),
    "commands": N_("Lệnh cho thiết bị"),
    "device_certificates": N_("Chứng thư thiết bị"),
    "device_claims": N_("Mã ghi danh thiết bị"),
    "device_passwords": N_("Mật khẩu thiết bị"),
    "devices": N_("Thiết bị"),
    "grant_decisions": N_("Quyết định sau sáp nhập"),
    "grants": N_("Vai trò"),
    "identities": N_("Tài khoản của tỉnh"),
    "incident_steps": N_("Việc xử lý sự cố"),
    "incidents": N_("Sự cố"),
    "installations": N_("Lắp đặt thiết bị"),
    "lexicon_entries": N_("Từ điển cách đọc"),
    "one_time_links": N_("Liên kết dùng một lần"),
    "outages": N_("Báo ngừng hoạt động"),
    "passkeys": N_("Khóa truy cập"),
    "passwords": N_("Mật khẩu"),
    "plant_states": N_("Tình trạng hệ thống kỹ thuật"),
    "plants": N_("Hệ thống kỹ thuật"),
    "recovery_codes": N_("Mã dự phòng"),
    "schedule_exceptions": N_("Buổi phát riêng lẻ"),
    "schedules": N_("Lịch phát"),
    "sessions": N_("Phiên làm việc"),
    "signing_keys": N_("Khóa ký"),
    "station_states": N_("Tình trạng đài"),
    "stations": N_("Đài"),
    "totp_secrets": N_("Ứng dụng xác thực"),
    "village_exclusions": N_("Thôn không tính"),
    "village_register": N_("Danh mục thôn"),
}
"""Tables that people change."""

COLUMNS = {
    "account_id": N_("tài khoản số"),
    "actor": N_("tài khoản số"),
    "actor_id": N_("tài khoản số"),
    "area_code": N_("đơn vị"),
    "assignee_id": N_("người phụ trách, tài khoản số"),
    "at": N_("lúc"),
    "bulletin_id": N_("bản tin"),
    "cause": N_("nguyên nhân"),
    "class": N_("loại"),
    "closed_by_hand_at": N_("đóng lúc"),
    "code": N_("mã"),
    "commune_code": N_("xã"),
    "created_at": N_("tạo lúc"),
    "created_by": N_("người tạo, tài khoản số"),
    "document": N_("văn bản"),
    "ends_at": N_("kết thúc"),
    "expires_at": N_("hết hạn"),
    "granted_at": N_("cấp lúc"),
    "granted_by": N_("người cấp, tài khoản số"),
    "horns_count": N_("số loa"),
    "incident_id": N_("sự cố số"),
    "kind": N_("loại"),
    "label": N_("dùng cho"),
    "language": N_("ngôn ngữ"),
    "login": N_("tên đăng nhập"),
    "name": N_("tên"),
    "note": N_("ghi chú"),
    "number": N_("phiên bản"),
    "priority": N_("mức ưu tiên"),
    "reason": N_("lý do"),
    "revision": N_("phiên bản"),
    "revoked_at": N_("thu hồi lúc"),
    "role": N_("vai trò"),
    "rrule": N_("lặp lại"),
    "spoken": N_("lời đọc"),
    "starts_at": N_("bắt đầu"),
    "state": N_("trạng thái"),
    "targets": N_("nơi phát"),
    "text": N_("nội dung"),
    "title": N_("tên bản tin"),
    "valid_from": N_("từ ngày"),
    "valid_to": N_("đến ngày"),
    "valid_until": N_("đến hết ngày"),
    "version": N_("lần đổi"),
    "village_code": N_("thôn"),
    "volume": N_("âm lượng"),
    "watts": N_("công suất (W)"),
}
"""Columns that several of them have, or that people ask for."""

NOTHING = N_("không có")
YES, NO = N_("có"), N_("không")

_VALUES = {
    "active": N_("đang dùng"),
    "approved": N_("đã duyệt"),
    "assigned": N_("giao việc"),
    "cancelled": N_("đã hủy"),
    "closed": N_("đóng"),
    "disabled": N_("đã khóa"),
    "draft": N_("bản nháp"),
    "emergency": N_("khẩn cấp"),
    "invited": N_("chưa đặt mật khẩu"),
    "normal": N_("thường"),
    "noted": N_("ghi chú"),
    "person": N_("một người"),
    "priority": N_("ưu tiên"),
    "released": N_("thôi phụ trách"),
    "reopened": N_("mở lại"),
    "repaired": N_("đã sửa xong"),
    "service": N_("một hệ thống khác"),
    "submitted": N_("chờ duyệt"),
    "withdrawn": N_("đã thu hồi"),
    **{role.value: name for role, name in ROLE_NAMES.items()},
}


def said(value: Any) -> str:
    """A value as people read it.

    >>> said(None), said(True), said("2026-11-28T22:30:00Z"), said(["a", "b"]), said("technician")
    ('không có', 'có', '05:30 Chủ nhật 29/11', 'a, b', 'kỹ thuật viên')
    """
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return YES if value else NO
    if isinstance(value, list):
        return ", ".join(said(each) for each in value) or NOTHING
    if isinstance(value, dict):
        return "; ".join(f"{name}: {said(each)}" for name, each in value.items()) or NOTHING
    text = str(value)
    return _VALUES.get(text) or _moment(text) or text


def _moment(text: str) -> str | None:
    if len(text) < len("2026-11-28T22:30") or text[10:11] not in {"T", " "}:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if at.tzinfo is None else formats.moment(at)

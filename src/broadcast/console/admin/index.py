"""What the caller may administer."""

from __future__ import annotations

from typing import NamedTuple

from fastapi import Request, Response

from broadcast.areas import scope
from broadcast.auth.caller import Reader
from broadcast.auth.permissions import Permission
from broadcast.console.page import PageRouter, page
from broadcast.console.words import N_

router = PageRouter()


class Task(NamedTuple):
    """A page, and what it is for."""

    path: str
    name: str
    purpose: str
    permission: Permission
    page: str = ""
    """Path of its route, where that differs."""


_IMPORT = "/admin/import/{kind}"

_OF_ALL = frozenset({
    _IMPORT, "/admin/mergers", "/admin/refused", "/admin/keys", "/admin/restore",
    "/emergency/received",
})  # fmt: skip
"""Pages of the whole province, refused to who has their permission in a part of it."""

TASKS = (
    Task(
        "/admin/people", N_("Người dùng và vai trò"),
        N_("Ai được làm gì, ở địa bàn nào, đến ngày nào."), Permission.ACCOUNT_WRITE,
    ),
    Task(
        "/emergency/received", N_("Cảnh báo nhận từ nơi khác"),
        N_("Cơ quan khác đã gửi gì, thành gì, vì sao."), Permission.EMERGENCY_WRITE,
    ),
    Task(
        "/admin/audit", N_("Nhật ký thao tác"),
        N_("Ai đã đổi gì, lúc nào, từ đâu."), Permission.AUDIT_READ,
    ),
    Task(
        "/admin/stations", N_("Đài truyền thanh"),
        N_("Đài của từng xã và trạng thái."), Permission.REGISTER_WRITE,
    ),
    Task(
        "/admin/clusters", N_("Cụm loa"),
        N_("Cụm loa trên cột, thôn được phục vụ, thiết bị đang lắp."), Permission.REGISTER_WRITE,
    ),
    Task(
        "/admin/import/stations", N_("Nhập danh sách đài, hệ thống, cụm loa"),
        N_("Xem trước từng dòng sẽ ra sao rồi mới ghi."), Permission.REGISTER_WRITE, _IMPORT,
    ),
    Task(
        "/admin/import/devices", N_("Nhập danh sách thiết bị"),
        N_("Xem trước từng dòng sẽ ra sao rồi mới ghi."), Permission.DEVICE_WRITE, _IMPORT,
    ),
    Task(
        "/admin/enrolment", N_("Mã đăng ký thiết bị"),
        N_("In nhãn có mã QR để thiết bị nhận chứng chỉ."), Permission.DEVICE_WRITE,
    ),
    Task(
        "/admin/areas", N_("Đơn vị hành chính"),
        N_("Xã và thôn của từng ngày, nguồn gốc và kế thừa."), Permission.AREA_WRITE,
    ),
    Task(
        "/admin/mergers", N_("Sáp nhập xã"),
        N_("Xem một lần sáp nhập sẽ đổi gì trước khi làm."), Permission.AREA_WRITE,
    ),
    Task(
        "/admin/import/areas", N_("Nhập đơn vị hành chính"),
        N_("Xem trước từng dòng sẽ ra sao rồi mới ghi."), Permission.AREA_WRITE, _IMPORT,
    ),
    Task(
        "/admin/import/villages", N_("Nhập sổ thôn"),
        N_("Xem trước từng dòng sẽ ra sao rồi mới ghi."), Permission.AREA_WRITE, _IMPORT,
    ),
    Task(
        "/admin/village-languages", N_("Tiếng của các thôn"),
        N_("Mỗi thôn nói những tiếng gì, phát theo thứ tự nào."), Permission.AREA_WRITE,
    ),
    Task(
        "/admin/import/village-languages", N_("Nhập tiếng của các thôn"),
        N_("Xem trước từng dòng sẽ ra sao rồi mới ghi."), Permission.AREA_WRITE, _IMPORT,
    ),
    Task(
        "/admin/import/readers", N_("Nhập người đọc các tiếng"),
        N_("Xem trước từng dòng sẽ ra sao rồi mới ghi."), Permission.ACCOUNT_WRITE, _IMPORT,
    ),
    Task(
        "/portals", N_("Trang thông tin các xã"),
        N_("Xã nào thường xuyên cập nhật thông tin thiết yếu."), Permission.READ,
    ),
    Task(
        "/admin/calendars", N_("Lịch ngày"),
        N_("Nghỉ lễ, ngày tang, ngày thi: buổi nào im, trước khi lưu."), Permission.READ,
    ),
    Task(
        "/admin/authorities", N_("Thứ tự giữa các cấp"),
        N_("Cùng mức mà trùng giờ: bản tin của cấp nào phát trước."), Permission.CONTENT_READ,
    ),
    Task(
        "/admin/regulations", N_("Quy chế phát thanh"),
        N_("Giờ im, cuối tuần, âm lượng và số buổi của từng xã."), Permission.READ,
    ),
    Task(
        "/admin/import/regulations", N_("Nhập Quy chế phát thanh"),
        N_("Xem trước từng dòng sẽ ra sao rồi mới ghi."), Permission.BULLETIN_APPROVE, _IMPORT,
    ),
    Task(
        "/admin/refused", N_("Điều không nhận được"),
        N_("Thông điệp hỏng của thiết bị, và điều thiết bị từ chối."), Permission.UPKEEP_READ,
    ),
    Task(
        "/admin/keys", N_("Khóa ký"),
        N_("Khóa ký chương trình và cảnh báo."), Permission.UPKEEP_READ,
    ),
    Task(
        "/admin/restore", N_("Sau khôi phục"),
        N_("Khác biệt sau khi khôi phục từ bản sao."), Permission.UPKEEP_READ,
    ),
)  # fmt: skip


@router.get("/admin")
async def show(request: Request, caller: Reader) -> Response:
    """Tasks that the caller has the permission for."""
    pages: frozenset[str] = request.app.state.pages
    tasks = [
        task
        for task in TASKS
        if (task.page or task.path) in pages
        and task.permission in caller.permissions
        and ((task.page or task.path) not in _OF_ALL or scope.is_whole(caller, task.permission))
    ]
    return page(request, caller, "admin/index.html", tasks=tasks)

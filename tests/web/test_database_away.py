"""What is no fault of the request is said with what to do, and never looks like a bug of ours."""

from __future__ import annotations

import errno

import asyncpg
import httpx2 as httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from broadcast.visibility.sessions import limit
from broadcast.web import rest


class Said(Exception):
    """What the driver raises."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__("said by PostgreSQL")
        self.sqlstate = sqlstate


async def told(error: Exception) -> tuple[int, str]:
    app = FastAPI()
    app.state.limit = limit
    rest.install(app)

    @app.get("/")
    async def ask() -> None:
        raise error

    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        answer = await client.get("/")
    assert (answer.status_code == 503) == ("Retry-After" in answer.headers)
    return answer.status_code, answer.json()["detail"]


# Found by `make chaos`: 57P03 was answered by 500.
@pytest.mark.parametrize(
    ("sqlstate", "status", "names"),
    [
        ("57P03", 503, "không trả lời"),
        ("57P01", 503, "không trả lời"),
        ("08006", 503, "không trả lời"),
        ("53100", 507, "Đĩa của cơ sở dữ liệu đã đầy"),
        ("53200", 503, "bộ nhớ"),
        ("53300", 503, "hết kết nối"),
        ("53400", 503, "tài nguyên"),
        ("25006", 503, "chỉ đọc"),
        ("55P03", 503, "đang được sửa"),
        ("57014", 503, "quá lâu"),
        ("40001", 503, "cùng lúc"),
        ("40P01", 503, "cùng lúc"),
        ("42501", 503, "không có quyền"),
        ("28P01", 503, "không nhận tài khoản"),
        ("3D000", 503, "Không có cơ sở dữ liệu"),
        ("58030", 503, "hệ điều hành"),
        ("22021", 422, "không lưu được"),
        ("42P01", 500, "báo quản trị"),
        ("22012", 500, "báo quản trị"),
    ],
)
async def test_what_postgresql_says_is_told_with_a_remedy(
    sqlstate: str, status: int, names: str
) -> None:
    given, detail = await told(DBAPIError("SELECT 1", {}, Said(sqlstate)))
    assert given == status
    assert names in detail


@pytest.mark.parametrize(
    ("error", "status", "names"),
    [
        # asyncpg's own while it connects: SQLAlchemy does not wrap those.
        (asyncpg.TooManyConnectionsError("too many clients"), 503, "hết kết nối"),
        (asyncpg.InvalidPasswordError("no"), 503, "không nhận tài khoản"),
        (asyncpg.DiskFullError("full"), 507, "Đĩa của cơ sở dữ liệu"),
        (asyncpg.InterfaceError("closed"), 503, "không trả lời"),
        (PoolTimeout("pool"), 503, "không trả lời"),
        (TimeoutError(), 503, "không trả lời"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), 503, "không trả lời"),
        (OSError(errno.ENOSPC, "full", "/content/x"), 507, "BROADCAST_CONTENT_DIR"),
        (OSError(errno.EDQUOT, "quota", "/content/x"), 507, "BROADCAST_CONTENT_DIR"),
        (PermissionError(errno.EACCES, "denied", "/content/x"), 503, "BROADCAST_CONTENT_DIR"),
        (OSError(errno.EROFS, "read-only", "/content/x"), 503, "BROADCAST_CONTENT_DIR"),
        (OSError(errno.EMFILE, "too many open files"), 503, "LimitNOFILE"),
        (ValueError("s3cret"), 500, "đã ghi lại"),
    ],
    ids=lambda each: repr(each)[:40],
)
async def test_what_the_machine_says_is_told_with_a_remedy(
    error: Exception, status: int, names: str
) -> None:
    given, detail = await told(error)
    assert given == status
    assert names in detail

"""Reasons why a program cannot start, in words: which setting, what is wrong, what to do."""

from __future__ import annotations

import difflib
import errno
import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import asyncpg
from dotenv import dotenv_values
from pydantic import BaseModel, ValidationError
from pydantic_settings import SettingsError
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from broadcast import config
from broadcast.kit import db
from broadcast.kit.errors import because

DSN = "BROADCAST_POSTGRES__DSN"

DATABASE = (asyncpg.PostgresError, asyncpg.InterfaceError, ArgumentError, DBAPIError)
"""Errors that only the database brings about; an OSError may be anybody's."""


def settings(error: ValidationError) -> list[str]:
    """A line for every setting that cannot be used."""
    return [
        _setting(problem["loc"], problem["type"], problem["msg"]) for problem in error.errors()
    ]


def _setting(where: tuple[int | str, ...], kind: str, said: str) -> str:
    path = [str(step) for step in where]
    names = list(_names(config.Settings, "BROADCAST_"))
    if kind == "extra_forbidden":
        name = "__".join(path).upper()
        name = name if len(path) == 1 else f"BROADCAST_{name}"
        near = difflib.get_close_matches(name, names, 1)
        meant = f"; ý nói {near[0]}?" if near else ""
        return f"{name}: không có thiết lập này{meant} Xem `broadcast config`."
    name = "BROADCAST_" + "__".join(path).upper()
    while name not in names and "__" in name:  # a place inside of a list
        name = name.rpartition("__")[0]
    return f"{name}: giá trị không dùng được ({said}); xem `broadcast config`."


def malformed(error: SettingsError) -> str:
    """A list that is no JSON."""
    value = getattr(error.__cause__, "doc", "")
    file = config.environment_file()
    read = {**(dotenv_values(file) if file is not None else {}), **os.environ}
    named = [name for name in _names(config.Settings, "BROADCAST_") if read.get(name) == value]
    return (
        f"{', '.join(named) or error}: giá trị “{value}” không phải danh sách JSON; dạng đúng có ở"
        " `broadcast config`."
    )


def _names(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for field, info in model.model_fields.items():
        name = f"{prefix}{field}".upper()
        yield name
        if isinstance(info.default, BaseModel):
            yield from _names(type(info.default), f"{name}__")


def file(error: OSError) -> str:
    """A file that cannot be read or written."""
    remedy = ""
    if error.errno == errno.EACCES:
        remedy = "; hãy chạy bằng người dùng broadcast, hoặc sửa quyền đọc và ghi"
    return f"{error.filename}: {because(error)}{remedy}."


def database(error: Exception, dsn: str) -> str:
    """Reason why the database cannot be used."""
    try:
        url = make_url(dsn)
    except ArgumentError:
        return (
            f"{DSN}: không phải địa chỉ PostgreSQL; dạng đúng: postgresql://tên@máy/cơ-sở-dữ-liệu."
        )
    host = url.query.get("host") or url.host or "localhost"
    place = f"{host}:{url.port or 5432}/{url.database or ''}"
    return f"{DSN}: PostgreSQL {place}: {_why(error)}"


def _why(error: Exception) -> str:  # noqa: PLR0911 — one line for each cause
    cause = error
    if isinstance(error, DBAPIError) and error.orig is not None:
        cause = error.orig.__cause__ or error.orig  # type: ignore[assignment]
    said = db.brief(error)
    match cause:
        case asyncpg.InvalidPasswordError() | asyncpg.InvalidAuthorizationSpecificationError():
            return f"không nhận tên hoặc mật khẩu ({said}); kiểm tra DSN và pg_hba.conf."
        case asyncpg.InvalidCatalogNameError():
            return f"chưa có cơ sở dữ liệu ({said}); tạo bằng createdb."
        case asyncpg.UndefinedTableError() | asyncpg.UndefinedColumnError():
            return "lược đồ chưa có hoặc đã cũ; chạy `broadcast migrate`."
        case asyncpg.InsufficientPrivilegeError():
            return f"vai trò không đủ quyền ({said}); để nó làm chủ cơ sở dữ liệu."
        case asyncpg.TooManyConnectionsError():
            return "hết kết nối; tăng max_connections hoặc giảm BROADCAST_POSTGRES__POOL_SIZE."
        case socket.gaierror():
            return "không tìm thấy máy này; kiểm tra tên máy và DNS."
        case TimeoutError():
            return "không trả lời kịp; kiểm tra máy chủ, mạng và tường lửa."
        case OSError():
            return f"không kết nối được ({said}); kiểm tra PostgreSQL đang chạy, địa chỉ và cổng."
    return f"{said}."


def broker(error: Exception, mqtt: config.Mqtt) -> str:
    """Reason why the broker cannot be reached."""
    place = f"BROADCAST_MQTT__HOST, BROADCAST_MQTT__PORT: broker {mqtt.host}:{mqtt.port}"
    match error:
        case ssl.SSLCertVerificationError():
            return (
                "BROADCAST_MQTT__TLS_CA_FILE, BROADCAST_MQTT__TLS_SERVER_NAME: chứng chỉ của"
                f" broker {mqtt.host}:{mqtt.port} không được tin ({error.verify_message}); kiểm"
                " tra CA và tên ghi trong chứng chỉ."
            )
        case ssl.SSLError():
            return f"{place} không nói TLS như mong đợi; kiểm tra cổng và chứng chỉ máy này."
        case socket.gaierror():
            return f"{place}: không tìm thấy máy này; kiểm tra tên máy và DNS."
        case TimeoutError():
            return (
                f"{place} không trả lời kịp; kiểm tra mạng, tường lửa, và cổng có dùng TLS không."
            )
        case _:
            return f"{place}: không kết nối được; kiểm tra broker đang chạy và cổng."


def folder(setting: str, path: Path, error: OSError) -> str:
    """A folder that cannot be used."""
    return f"{setting}: không ghi được vào {path} ({because(error)}); giao thư mục cho broadcast."

"""`broadcast doctor`: whether this machine has what the system needs, and what to do where not.

It looks from outside and disturbs nothing: its session at the broker is one of its own. What a
running installation does is told by `/readyz` and `broadcast upkeep`.
"""

from __future__ import annotations

import asyncio
import ctypes
import ctypes.util
import os
import time
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from pydantic import BaseModel, ValidationError
from pydantic_settings import SettingsError
from sqlalchemy.ext.asyncio import AsyncConnection

from broadcast import config, startup
from broadcast.app import check_content
from broadcast.keys import rows as key_rows
from broadcast.keys import states as key_states
from broadcast.keys.keyring import stranger
from broadcast.keys.stores import open_store
from broadcast.kit import clock, db
from broadcast.kit.errors import BroadcastError
from broadcast.mqtt.login import log_in
from broadcast.upkeep import checks, storage
from broadcast.visibility import row_security
from broadcast.wire.limits import PACKET_BYTES

OLDEST_POSTGRES = 15

FILES = 65_536
"""Open files that the units allow: a device is one at the broker, a reader one at the server."""

FEWEST_FILES = 12_000
"""What 10,000 devices need."""

INFLIGHT = 1_000
"""A smaller window of unacknowledged messages slows the inbound path, which commits in batches."""

PATIENCE = 5.0
"""Seconds that PostgreSQL or the broker may take to answer."""

DRIFT = timedelta(seconds=2)
"""Of two clocks that ought to be one."""

UNSYNCHRONISED = 5
"""What adjtimex(2) returns then: TIME_ERROR."""


class State(StrEnum):
    """State of one finding."""

    OK = "ok"
    WARNING = "warning"
    """It goes on; somebody should look."""
    WRONG = "wrong"
    """Something does not work."""


class Finding(BaseModel):
    """One thing that was looked at."""

    name: str
    state: State
    detail: str
    """What is there; where it is wrong, what to do."""


def ok(name: str, detail: str) -> Finding:
    """It is as it should be."""
    return Finding(name=name, state=State.OK, detail=detail)


def warning(name: str, detail: str) -> Finding:
    """Somebody should look."""
    return Finding(name=name, state=State.WARNING, detail=detail)


def wrong(name: str, detail: str) -> Finding:
    """Something does not work."""
    return Finding(name=name, state=State.WRONG, detail=detail)


async def examine() -> list[Finding]:
    """Look at everything; never raises for what it looks at."""
    try:
        settings = config.Settings()
    except ValidationError as error:
        return [wrong("settings", line) for line in startup.settings(error)]
    except SettingsError as error:
        return [wrong("settings", startup.malformed(error))]
    except OSError as error:
        return [wrong("settings", startup.file(error))]
    return [
        *_user(),
        _settings(),
        *await _keys(settings),
        _content(settings),
        *await _database(settings),
        *await asyncio.to_thread(_broker, settings.mqtt),
        *_files(),
        _clock(),
    ]


def _user() -> Iterator[Finding]:
    if os.geteuid() == 0:
        yield warning(
            "user",
            "root được đọc mọi tệp nên không thấy lỗi quyền; chạy: runuser -u broadcast --"
            " broadcast doctor",
        )


def _settings() -> Finding:
    file = config.environment_file()
    if file is None or not file.exists():
        return warning(
            "settings",
            f"không có {file or config.ENVIRONMENT_FILE}: chỉ dùng biến môi trường và mặc định.",
        )
    return ok("settings", f"đọc từ {file}")


async def _keys(settings: config.Settings) -> list[Finding]:
    """Findings on the signing keys: that they can be used, and that devices know them."""
    try:
        store = open_store(settings.keys)
        here = {key.kid: key for key in await asyncio.to_thread(store.load)}
    except BroadcastError as error:
        return [wrong("keys", error.detail)]
    engine = db.create_engine(settings.postgres, "broadcast.doctor")
    try:
        async with asyncio.timeout(PATIENCE), db.transaction(engine) as session:
            ring = (await key_rows.read(session)).ring
    except (OSError, *startup.DATABASE):
        return [ok("keys", f"{len(here)} khóa ở {store.place}")]  # the database is said below
    finally:
        await engine.dispose()
    missing = key_states.missing(ring, here)
    if missing:
        return [wrong("keys", f"{stranger(missing, store.place, len(here))}.")]
    known = {key.kid for key in ring}
    found = [ok("keys", f"{key.kid} ({key.use})") for key in ring if key.kid in here]
    found += [
        warning(
            "keys",
            f"{kid} ở {store.place} mà cơ sở dữ liệu không biết nên không dùng; nếu vừa khôi phục"
            " cơ sở dữ liệu thì chạy `broadcast keys adopt`.",
        )
        for kid in sorted(here.keys() - known)
        if ring
    ]
    return found or [ok("keys", "chưa có khóa nào; được tạo khi khởi động lần đầu")]


def _content(settings: config.Settings) -> Finding:
    try:
        check_content(settings.content_dir)
    except BroadcastError as error:
        return wrong("content", error.detail)
    return ok("content", f"ghi được vào {settings.content_dir}")


# PostgreSQL ----------------------------------------------------------------------------------


async def _database(settings: config.Settings) -> list[Finding]:
    dsn = settings.postgres.dsn.get_secret_value()
    try:
        engine = db.create_engine(settings.postgres, "broadcast.doctor")
        try:
            async with asyncio.timeout(PATIENCE), engine.connect() as connection:
                return [finding async for finding in _ask(connection, settings)]
        finally:
            await engine.dispose()
    except (OSError, *startup.DATABASE) as error:
        return [wrong("database", startup.database(error, dsn))]


async def _ask(connection: AsyncConnection, settings: config.Settings) -> AsyncIterator[Finding]:
    async def one(query: str) -> Any:
        return await connection.scalar(sa.text(query))

    version = int(await one("SELECT current_setting('server_version_num')")) // 10_000
    if version < OLDEST_POSTGRES:
        yield wrong("database", f"PostgreSQL {version}; cần từ {OLDEST_POSTGRES} trở lên.")
    else:
        yield ok("database", f"PostgreSQL {version}")
    if not await one("SELECT has_schema_privilege(current_user, current_schema(), 'CREATE')"):
        role = await one("SELECT current_user")
        yield wrong(
            "database",
            f"vai trò {role} không được tạo bảng: ALTER DATABASE … OWNER TO {role}.",
        )
    yield _connections(int(await one("SELECT current_setting('max_connections')")), settings)
    stored = None
    if await one("SELECT to_regclass('alembic_version')"):
        stored = await one("SELECT version_num FROM alembic_version")
    schema = checks.schema(stored, db.newest_revision())
    yield ok("schema", f"{stored}") if schema.ok else wrong("schema", schema.detail)
    if schema.ok:
        yield _row_security(await row_security.missing(connection))
    yield _drift(await one("SELECT clock_timestamp()"))
    may_see = await one("SELECT pg_has_role(current_user, 'pg_read_all_settings', 'MEMBER')")
    directory = await one("SELECT current_setting('data_directory')") if may_see else None
    size = await one("SELECT pg_database_size(current_database())")
    disk = checks.disk(await storage.rooms(settings, directory, size), settings.upkeep)
    if not disk.ok:
        yield wrong("disk", disk.detail)
    elif disk.detail:
        yield warning(
            "disk", f"{disk.detail} GRANT pg_read_all_settings, hoặc đặt"
            " BROADCAST_UPKEEP__DATABASE_CAPACITY_BYTES."
        )  # fmt: skip
    else:
        yield ok("disk", "còn đủ chỗ")


def _connections(most: int, settings: config.Settings) -> Finding:
    """Web, ingest and dispatch are a process each, with a pool each; the leader has one more."""
    needed = settings.connections
    if most < needed:
        return wrong(
            "database",
            f"max_connections {most} ít hơn {needed} cần cho các tiến trình; tăng nó, hoặc giảm"
            " BROADCAST_POSTGRES__POOL_SIZE.",
        )
    return ok("database", f"{most} kết nối, cần {needed}")


def _row_security(missing: str | None) -> Finding:
    if missing is not None:
        return wrong(
            "row-security", f"giới hạn địa bàn trong cơ sở dữ liệu chưa có hiệu lực: {missing}"
        )
    return ok("row-security", "giới hạn địa bàn trong cơ sở dữ liệu có hiệu lực")


def _drift(theirs: datetime) -> Finding:
    drift = abs(theirs - clock.now())
    if drift > DRIFT + timedelta(seconds=PATIENCE):
        return wrong(
            "clock",
            f"đồng hồ của PostgreSQL lệch {drift.total_seconds():.0f} giây; đồng bộ cả hai máy.",
        )
    return ok("clock", "PostgreSQL cùng giờ với máy này")


# The broker ----------------------------------------------------------------------------------


def _broker(mqtt: config.Mqtt) -> list[Finding]:
    session = mqtt.session("doctor")
    said: list[tuple[Any, Any]] = []
    client = paho.Client(
        CallbackAPIVersion.VERSION2, session, protocol=paho.MQTTv5, reconnect_on_failure=False
    )
    client.on_connect = lambda _, __, ___, reason, properties: said.append((reason, properties))
    try:
        log_in(client, mqtt, session)
        client.connect(mqtt.host, mqtt.port, clean_start=True)
        until = time.monotonic() + PATIENCE
        while not said and time.monotonic() < until and client.loop(0.1) == 0:
            pass
        client.disconnect()
    except BroadcastError as error:
        return [wrong("broker", error.detail)]
    except (OSError, ValueError) as error:
        return [wrong("broker", startup.broker(error, mqtt))]
    where = f"{mqtt.host}:{mqtt.port}"
    if not said:
        return [
            wrong(
                "broker", f"{where} không trả lời như MQTT 5; cần Mosquitto từ 2.0, và đúng cổng."
            )
        ]
    reason, properties = said[0]
    if reason.is_failure:
        return [
            wrong(
                "broker",
                f"{where} không nhận {mqtt.username or 'chứng chỉ máy'} ({reason}); kiểm tra"
                " BROADCAST_MQTT__USERNAME, BROADCAST_MQTT__PASSWORD_FILE và mật khẩu ở broker.",
            )
        ]
    return [ok("broker", f"{where} nhận phiên {session}"), *_broker_limits(properties)]


def _broker_limits(properties: Any) -> Iterator[Finding]:
    """Findings on the properties that the broker sent at the connect (MQTT 5 §3.2.2.3)."""
    packet = getattr(properties, "MaximumPacketSize", None)
    if packet is not None and packet < PACKET_BYTES:
        yield wrong("broker", f"max_packet_size {packet} của broker quá nhỏ; đặt {PACKET_BYTES}.")
    window = getattr(properties, "ReceiveMaximum", 65_535)
    if window < INFLIGHT:
        yield wrong(
            "broker", f"max_inflight_messages {window} của broker quá nhỏ; đặt 10000 như"
            " deploy/mosquitto.conf."
        )  # fmt: skip
    if getattr(properties, "RetainAvailable", 1) == 0 or getattr(properties, "MaximumQoS", 1) < 1:
        yield wrong("broker", "broker không giữ bản tin (retain) hoặc không có QoS 1; bật lại.")


# The machine ---------------------------------------------------------------------------------


def _files() -> Iterator[Finding]:
    """Findings on the open files that the processes that run here may have."""
    limits = [
        (name, limit) for name in ("broadcast", "mosquitto") for limit in sorted(_limits_of(name))
    ]
    for name, limit in limits:
        if limit < FEWEST_FILES:
            yield wrong(
                "files",
                f"{name} chỉ được mở {limit} tệp và kết nối, cần {FEWEST_FILES}: đặt"
                f" LimitNOFILE={FILES} (deploy/systemd), chạy systemctl daemon-reload, rồi khởi"
                f" động lại {name}.",
            )
        else:
            yield ok("files", f"{name} được mở {limit} tệp và kết nối")


def _limits_of(name: str) -> set[int]:
    """Soft limits of the running processes of a name, of any user, but for this one."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if folder.name == str(os.getpid()) or not (folder / "cmdline").read_bytes():
                continue  # ourselves, or one that has ended and waits for its parent
            if (folder / "comm").read_text().strip() == name:
                [line] = [
                    line
                    for line in (folder / "limits").read_text().splitlines()
                    if line.startswith("Max open files")
                ]
                found.add(int(line.split()[3]))
        except (OSError, ValueError):
            continue  # it has ended meanwhile, or has no limit
    return found


def _clock() -> Finding:
    """Programmes say when to play: a machine whose clock nobody sets makes a province late."""
    libc = ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)
    state = libc.adjtimex(ctypes.create_string_buffer(256))
    if state == UNSYNCHRONISED:
        return warning(
            "clock", "không có gì đồng bộ đồng hồ máy này; cài systemd-timesyncd hoặc chrony."
        )
    if state < 0:
        return warning(
            "clock", f"không biết đồng hồ có được đồng bộ ({os.strerror(ctypes.get_errno())})."
        )
    return ok("clock", "được đồng bộ")

"""PostgreSQL: engine, transactions, column types, migrations and the partitions of time."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import asyncpg
import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from broadcast import config
from broadcast.kit.locks import Lock, lock

if TYPE_CHECKING:
    from alembic.config import Config

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Declarative base of every table.

    Attributes:
        is_recorded: Whether the audit tells of rows that a person's request changes. False of what
            the server derives from other rows, or keeps for itself.
    """

    is_recorded: ClassVar[bool] = True

    metadata = sa.MetaData(naming_convention=NAMING)
    type_annotation_map = {
        datetime: sa.DateTime(timezone=True),
        str: sa.Text(),
        dict[str, Any]: postgresql.JSONB(none_as_null=True),
        list[dict[str, Any]]: postgresql.JSONB(none_as_null=True),
        list[str]: postgresql.ARRAY(sa.Text()),
    }


E = TypeVar("E", bound=StrEnum)


def enum_type(values: type[E], check: str | None = None) -> sa.Enum:
    """Column type of a `StrEnum`: text with a CHECK constraint named `check` in its table."""
    return sa.Enum(
        values,
        native_enum=False,
        create_constraint=True,
        length=32,
        name=check or values.__name__.lower(),
        values_callable=lambda members: [member.value for member in members],
    )


CHECKOUT_SECONDS = 10.0
"""Longest wait for a connection: until one is free, opened, or has answered that it lives."""

MARGIN_SECONDS = 2.0
"""How much longer than the server's statement timeout we wait for its word that it has run out."""


def create_engine(
    settings: config.Postgres,
    application_name: str = "broadcast",
    pool_size: int | None = None,
    *,
    pre_ping: bool = True,
) -> AsyncEngine:
    """Engine on asyncpg; every connection carries `application_name` and a statement timeout.

    A server that has not said so when a statement ran into it hangs, or its host has vanished,
    which TCP alone may take a quarter of an hour to notice: a statement ends in TimeoutError, and
    its connection is thrown away. Every role profits from that: a request is answered, ingest and
    the dispatcher try again over another connection.
    """
    return create_async_engine(
        async_url(settings.dsn.get_secret_value()),
        pool_size=settings.pool_size if pool_size is None else pool_size,
        max_overflow=0,
        pool_pre_ping=pre_ping,
        hide_parameters=True,
        connect_args={
            "timeout": CHECKOUT_SECONDS,
            "command_timeout": settings.statement_timeout + MARGIN_SECONDS,
            "server_settings": _server_settings(settings, application_name),
        },
    )


def create_patient_engine(settings: config.Postgres, application_name: str) -> AsyncEngine:
    """Engine for statements that set a longer timeout of their own, so that we know of no limit.

    Without a pool: connections are few, and none is left over to be closed.
    """
    return create_async_engine(
        async_url(settings.dsn.get_secret_value()),
        poolclass=sa.NullPool,
        hide_parameters=True,
        connect_args={"server_settings": _server_settings(settings, application_name)},
    )


def _server_settings(settings: config.Postgres, application_name: str) -> dict[str, str]:
    return {
        "application_name": application_name,
        "statement_timeout": str(int(settings.statement_timeout * 1000)),
        "timezone": "UTC",
        "jit": "off",
        # Locks of a host that has vanished are free after half a minute, not two hours.
        "tcp_keepalives_idle": "15",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
    }


def async_url(dsn: str) -> sa.URL:
    """SQLAlchemy URL on asyncpg of a libpq-style address."""
    return make_url(dsn).set(drivername="postgresql+asyncpg")


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """One transaction, committed at the end of the block and rolled back on any error.

    Raises:
        TimeoutError: The database gives no connection.
    """
    async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
        async with asyncio.timeout(CHECKOUT_SECONDS):
            await session.connection()
        yield session


def _migrations_dir() -> Path:
    package = Path(__file__).parents[1]
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parents[1] / "migrations"


def alembic_config(dsn: str) -> Config:
    """Alembic's configuration, built in code so that no ini file can disagree with it."""
    from alembic.config import Config  # noqa: PLC0415  a tenth of the time that a server starts

    cfg = Config(stdout=sys.stdout)
    cfg.set_main_option("script_location", str(_migrations_dir()))
    cfg.attributes["url"] = async_url(dsn)
    return cfg


async def migrate(dsn: str) -> None:
    """Bring the schema to the newest revision; harmless to repeat, one process at a time."""
    from alembic import command  # noqa: PLC0415  as above

    await asyncio.to_thread(command.upgrade, alembic_config(dsn), "head")


@cache
def newest_revision() -> str | None:
    """Revision of the schema that this code was written for."""
    named: dict[str, set[str]] = {"revision": set(), "down_revision": set()}
    for path in (_migrations_dir() / "versions").glob("*.py"):
        for name, revision in re.findall(r"(?m)^(\w+) = [\"'](\w+)[\"']", path.read_text()):
            named.get(name, set()).add(revision)
    return next(iter(named["revision"] - named["down_revision"]), None)


PARTITIONED = {
    "heartbeats": "day",
    "health_hours": "month",
    "online_minutes": "month",
    "plays": "month",
}
"""Range-partitioned tables and the length of a partition."""

STORAGE = {
    "online_minutes": "fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02,"
    " autovacuum_vacuum_threshold = 2000"
}
"""Storage parameters of new partitions, where the defaults bloat; benchmarks/storage.py."""

LATEST = timedelta(days=7)
"""How late a heartbeat may come and still count for its day (`online_minutes.BEHIND`)."""


async def ensure_partitions(session: AsyncSession, today: date, days_ahead: int = 14) -> None:
    """Create the partitions that cover yesterday … `days_ahead`; what exists is left alone.

    Ahead of time, because an insert without its partition fails and a default partition would
    only hide that.
    """
    for table, day in partitions_due(today, days_ahead):
        await ensure_partition(session, table, day)


def partitions_due(today: date, days_ahead: int) -> list[tuple[str, date]]:
    """Tables and first days of the partitions that must exist."""
    due = set()
    for table, length in PARTITIONED.items():
        back = LATEST.days if length == "month" else 1
        for offset in range(-back, days_ahead + 1):
            due.add((table, _span(table, today + timedelta(days=offset))[0]))
    return sorted(due)


async def ensure_day(session: AsyncSession, day: date) -> None:
    """Create the partitions that heartbeats received on a local day are stored in."""
    await ensure_partition(session, "heartbeats", day)
    for heard_on in (day - LATEST, day):
        await ensure_partition(session, "online_minutes", heard_on)


async def ensure_partition(session: AsyncSession, table: str, day: date) -> None:
    """Create the partition of `table` that holds `day`, unless it exists."""
    name = partition_name(table, day)
    exists = sa.select(sa.func.to_regclass(name))
    if await session.scalar(exists) is not None:
        return
    # Two at once would both find it missing, and one would fail.
    await lock(session, Lock.PARTITIONS)
    start, end = _span(table, day)
    storage = f" WITH ({STORAGE[table]})" if table in STORAGE else ""
    await session.execute(
        sa.text(
            f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF {table} "
            f"FOR VALUES FROM ('{start} 00:00+00') TO ('{end} 00:00+00'){storage}"
        )
    )


def partition_name(table: str, day: date) -> str:
    """Name of the partition of `table` that holds `day`.

    >>> partition_name("heartbeats", date(2025, 7, 1)), partition_name("plays", date(2025, 7, 9))
    ('heartbeats_20250701', 'plays_202507')
    """
    start, _ = _span(table, day)
    return f"{table}_{start:%Y%m%d}" if PARTITIONED[table] == "day" else f"{table}_{start:%Y%m}"


def partition_span(table: str, name: str) -> tuple[date, date]:
    """First day of a partition and the day after its last, from its name.

    >>> partition_span("plays", "plays_202512")
    (datetime.date(2025, 12, 1), datetime.date(2026, 1, 1))
    """
    digits = name.removeprefix(f"{table}_")
    first = date(int(digits[:4]), int(digits[4:6]), int(digits[6:8] or 1))
    return _span(table, first)


def _span(table: str, day: date) -> tuple[date, date]:
    if PARTITIONED[table] == "day":
        return day, day + timedelta(days=1)
    start = day.replace(day=1)
    return start, (start + timedelta(days=32)).replace(day=1)


def array(values: Iterable[object]) -> str:
    """Numbers or instants as PostgreSQL writes an array: `CAST(CAST(:x AS text) AS bigint[])`.

    For statements of thousands of elements: the driver looks at each one of a list several times,
    which takes longer than the whole statement.
    """
    return "{" + msgspec.json.encode(list(values))[1:-1].decode() + "}"


def lines(texts: Iterable[bytes]) -> str:
    """Texts without line feeds, such as JSON, for `string_to_array(:x, chr(10))`."""
    return b"\n".join(texts).decode()


QUERY_CANCELED = "57014"
"""SQLSTATE of a statement that ran into its timeout."""

CHECK_VIOLATION = "23514"
"""SQLSTATE of a violated CHECK constraint; without the name of one, of a missing partition."""


def is_outage(error: Exception) -> bool:
    """Tell whether the database is away or unwell, rather than the data unacceptable.

    Of what PostgreSQL itself says only the classes 22 (data) and 23 (constraints) are about the
    data; a missing table, a full disk or a deadlock are no fault of what was to be written.
    """
    if isinstance(error, OSError | PoolTimeout | asyncpg.PostgresError | asyncpg.InterfaceError):
        return True  # while connecting; later SQLAlchemy wraps what asyncpg raises
    if not isinstance(error, DBAPIError):
        return False
    if is_partition_missing(error):
        return True
    state = sqlstate(error)
    return error.connection_invalidated or (state is not None and state[:2] not in {"22", "23"})


def is_partition_missing(error: Exception) -> bool:
    """Tell whether a row found no partition: our omission, whatever the row says.

    PostgreSQL calls it a violated CHECK, which has no name then.
    """
    if not isinstance(error, DBAPIError) or sqlstate(error) != CHECK_VIOLATION:
        return False
    cause = error.orig.__cause__ if error.orig is not None else None
    return getattr(cause, "constraint_name", None) is None


def sqlstate(error: Exception) -> str | None:
    """PostgreSQL's code of an error, where it has given one."""
    # While connecting, asyncpg's own errors come as they are.
    cause = error.orig if isinstance(error, DBAPIError) else error
    code: str | None = getattr(cause, "sqlstate", None)
    return code


AWAY = (SQLAlchemyError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""What a statement, or the way to it, may fail of without being a bug: PostgreSQL is away, full,
busy, or refuses. OSError covers TimeoutError and a connection that cannot be opened."""

FULL = {
    "53100": "đĩa của PostgreSQL đã đầy; hãy giải phóng hoặc mở rộng đĩa",
    "53200": "máy PostgreSQL hết bộ nhớ; hãy giảm tải hoặc thêm bộ nhớ",
    "53300": "PostgreSQL hết kết nối; hãy tăng max_connections, hoặc giảm"
    " BROADCAST_POSTGRES__POOL_SIZE",
    "57P03": "PostgreSQL đang khởi động; hãy chờ",
}
"""SQLSTATE of a database that is there and can take nothing more → what to do. It passes, or
somebody makes room: whoever meets it waits."""


def explain(error: Exception) -> str:
    """The trouble with the database and what to do, for the person on duty."""
    state = sqlstate(error)
    return f"{FULL[state]} ({state})" if state in FULL else brief(error)


def brief(error: Exception) -> str:
    """One line on an error: for a database error without the statement and its parameters."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    said = str(cause) or ("no answer in time" if isinstance(cause, TimeoutError) else "")
    return f"{type(cause).__name__}: {said}".splitlines()[0][:500]

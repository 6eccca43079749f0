"""PostgreSQL: engine, transactions, column types, migrations and the partitions of time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.script import ScriptDirectory
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from broadcast import config

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Declarative base of every table."""

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


def create_engine(settings: config.Postgres, application_name: str = "broadcast") -> AsyncEngine:
    """Engine on asyncpg; every connection carries `application_name` and a statement timeout."""
    return create_async_engine(
        async_url(settings.dsn.get_secret_value()),
        pool_size=settings.pool_size,
        max_overflow=0,
        pool_pre_ping=True,
        connect_args={
            "server_settings": {
                "application_name": application_name,
                "statement_timeout": str(int(settings.statement_timeout * 1000)),
                "timezone": "UTC",
                "jit": "off",
            }
        },
    )


def async_url(dsn: str) -> sa.URL:
    """SQLAlchemy URL on asyncpg of a libpq-style address."""
    return make_url(dsn).set(drivername="postgresql+asyncpg")


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """One transaction, committed at the end of the block and rolled back on any error."""
    async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
        yield session


def _migrations_dir() -> Path:
    package = Path(__file__).parent
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parents[1] / "migrations"


def alembic_config(dsn: str) -> AlembicConfig:
    """Alembic's configuration, built in code so that no ini file can disagree with it."""
    cfg = AlembicConfig()
    cfg.set_main_option("script_location", str(_migrations_dir()))
    cfg.attributes["url"] = async_url(dsn)
    return cfg


async def migrate(dsn: str) -> None:
    """Bring the schema to the newest revision; harmless to repeat, one process at a time."""
    await asyncio.to_thread(command.upgrade, alembic_config(dsn), "head")


def newest_revision() -> str | None:
    """Revision of the schema that this code was written for."""
    return ScriptDirectory(str(_migrations_dir())).get_current_head()


PARTITIONED = {"heartbeats": "day", "plays": "month"}
"""Range-partitioned tables and the length of a partition."""


async def ensure_partitions(session: AsyncSession, today: date, days_ahead: int = 14) -> None:
    """Create the partitions that cover yesterday … `days_ahead`; what exists is left alone.

    Ahead of time, because an insert without its partition fails and a default partition would
    only hide that.
    """
    for offset in range(-1, days_ahead + 1):
        day = today + timedelta(days=offset)
        await ensure_partition(session, "heartbeats", day)
        await ensure_partition(session, "plays", day)


async def ensure_partition(session: AsyncSession, table: str, day: date) -> None:
    """Create the partition of `table` that holds `day`, unless it exists."""
    if PARTITIONED[table] == "day":
        start, end, suffix = day, day + timedelta(days=1), f"{day:%Y%m%d}"
    else:
        start = day.replace(day=1)
        end = (start + timedelta(days=32)).replace(day=1)
        suffix = f"{start:%Y%m}"
    name = f"{table}_{suffix}"
    exists = await session.scalar(sa.select(sa.func.to_regclass(name)))
    if exists is None:
        # Two at once would both find it missing, and one would fail.
        await session.execute(sa.select(sa.func.pg_advisory_xact_lock(PARTITION_LOCK)))
        await session.execute(
            sa.text(
                f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF {table} "
                f"FOR VALUES FROM ('{start}') TO ('{end}')"
            )
        )


PARTITION_LOCK = 0x74_74_6E_04
"""Advisory lock of whoever makes partitions."""


def array(values: Iterable[object]) -> str:
    """Numbers or instants as PostgreSQL writes an array: `CAST(CAST(:x AS text) AS bigint[])`.

    For statements of thousands of elements: the driver looks at each one of a list several times,
    which takes longer than the whole statement.
    """
    return "{" + ",".join(map(str, values)) + "}"


def lines(texts: Iterable[str]) -> str:
    """Texts without line feeds, such as JSON, for `string_to_array(:x, chr(10))`."""
    return "\n".join(texts)


QUERY_CANCELED = "57014"
"""SQLSTATE of a statement that ran into its timeout."""


def is_outage(error: Exception) -> bool:
    """Tell whether the database is away or unwell, rather than the data unacceptable.

    Of what PostgreSQL itself says only the classes 22 (data) and 23 (constraints) are about the
    data; a missing table, a full disk or a deadlock are no fault of what was to be written.
    """
    if isinstance(error, OSError | PoolTimeout | asyncpg.PostgresError | asyncpg.InterfaceError):
        return True  # while connecting; later SQLAlchemy wraps what asyncpg raises
    if not isinstance(error, DBAPIError):
        return False
    state = sqlstate(error)
    return error.connection_invalidated or (state is not None and state[:2] not in {"22", "23"})


def sqlstate(error: Exception) -> str | None:
    """PostgreSQL's code of an error, where it has given one."""
    if not isinstance(error, DBAPIError):
        return None
    code: str | None = getattr(error.orig, "sqlstate", None)
    return code


def brief(error: Exception) -> str:
    """One line on an error: for a database error without the statement and its parameters."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    return f"{type(cause).__name__}: {cause}".splitlines()[0][:500]

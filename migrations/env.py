"""Alembic environment: asyncpg, one advisory lock, every feature's tables."""

from __future__ import annotations

import asyncio

import sqlalchemy as sa
from alembic import context
from sqlalchemy.ext.asyncio import create_async_engine

import broadcast.accounts.model
import broadcast.alerts.cap.model
import broadcast.areas.model
import broadcast.audit.model
import broadcast.auth.model
import broadcast.auth.session
import broadcast.boundaries.model
import broadcast.bulletins.model
import broadcast.bulletins.version_model
import broadcast.commands.model
import broadcast.devices.model
import broadcast.enrolment.model
import broadcast.inbox.model
import broadcast.incidents.model
import broadcast.indicators.model
import broadcast.keys.model
import broadcast.kit.failures
import broadcast.kit.roles
import broadcast.plays.model
import broadcast.programmes.model
import broadcast.restore.model
import broadcast.schedules.model
import broadcast.stations.model
import broadcast.telemetry.model
import broadcast.web.idempotency_keys  # noqa: F401  the imports above and this one fill Base.metadata
from broadcast.kit.db import PARTITIONED, Base
from broadcast.kit.limited_role import GRANT
from broadcast.kit.locks import Lock, acquire
from broadcast.visibility import policies


def _is_ours(name: str | None, kind: str, parents: object) -> bool:
    del parents
    return kind != "table" or not any((name or "").startswith(f"{t}_2") for t in PARTITIONED)


def _run(connection: sa.Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_name=_is_ours,
        compare_type=True,
    )
    with context.begin_transaction():
        # Two processes that start together migrate one after the other.
        connection.execute(acquire(Lock.MIGRATIONS))
        if not (_is_newest() and policies.are_installed(connection)):
            policies.remove(connection)
        context.run_migrations()
        if _is_newest():
            if not policies.are_installed(connection):
                policies.install(connection)
            connection.exec_driver_sql(GRANT)


def _is_newest() -> bool:
    return context.get_context().get_current_heads() == (context.get_head_revision(),)


async def _main() -> None:
    engine = create_async_engine(context.config.attributes["url"], poolclass=sa.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(_run)
        await connection.commit()
    await engine.dispose()


asyncio.run(_main())

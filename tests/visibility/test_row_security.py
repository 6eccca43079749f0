"""Row-level security: a wall of its own, which the database holds without our conditions."""

from __future__ import annotations

import io
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

import broadcast.api
import broadcast.programmes.model  # noqa: F401 - all tables there are
from broadcast.areas.scope import NOTHING, Scope, whole
from broadcast.kit import clock, db
from broadcast.kit.db import Base
from broadcast.kit.errors import NotFound
from broadcast.kit.limited_role import ROLE
from broadcast.visibility import policies, row_security
from broadcast.visibility.rows import PLACED, Bounds
from broadcast.visibility.sessions import Limits
from broadcast.web.rest import LIMITED
from tests import province as rows
from tests.visibility.world import build

SCOPES = {
    "own": Scope(frozenset({"20001", "V-1"}), frozenset({"51"})),
    "technician": Scope(frozenset({"20002", "V-2"}), frozenset({"51"}), stock=True),
    "merged": Scope(frozenset({"20004", "V-3", "V-4"}), frozenset({"51"})),
    "dissolved": Scope(frozenset({"20003", "V-3"}), frozenset({"51"})),
    "village": Scope(frozenset({"V-1"}), frozenset({"20001", "51"})),
    "nothing": NOTHING,
}


ENTRIES = sa.text(
    "INSERT INTO audit_entries (entry, at, name, outcome, action, objects, areas)"
    " SELECT '', now(), '', 'done', '', '{}', codes"
    " FROM (VALUES (ARRAY['20001']), (ARRAY['20002', '20004']), ('{}')) AS each (codes)"
)


async def fill(session: AsyncSession) -> None:
    """The world, a box that was never installed, and entries of the audit."""
    now = clock.now()
    await build(session, now)
    session.add(rows.device("D-new", now))
    await session.flush()
    await session.execute(ENTRIES)


@pytest.fixture
async def world(session: AsyncSession) -> AsyncSession:
    await fill(session)
    return session


def bounds(name: str) -> Bounds:
    return Bounds.of(SCOPES[name], clock.today())


Keys = dict[str, set[tuple[Any, ...]]]


async def keys_by_orm(session: AsyncSession) -> Keys:
    """Primary keys that a transaction finds in each table, asked as requests do."""
    return {
        model.__tablename__: {
            tuple(row)
            for row in await session.execute(
                sa.select(*(getattr(model, each.key) for each in primary_key(model)))
            )
        }
        for model in PLACED
    }


async def keys_by_sql(session: AsyncSession) -> Keys:
    """The same, asked in SQL that nobody limits."""
    connection = await session.connection()
    return {
        model.__tablename__: {
            tuple(row) for row in await connection.execute(sa.select(*table_key(model)))
        }
        for model in PLACED
    }


def table_key(model: type[Base]) -> list[sa.Column[Any]]:
    return list(model.__table__.primary_key)  # type: ignore[arg-type]


def primary_key(model: type[Base]) -> list[Any]:
    mapper = sa.inspect(model)
    return [mapper.get_property_by_column(column) for column in table_key(model)]


@pytest.mark.parametrize("scope", SCOPES)
async def test_policies_find_what_conditions_find_in_every_table(
    world: AsyncSession, scope: str
) -> None:
    await Limits(bounds(scope)).impose(world)
    by_conditions = await keys_by_orm(world)
    del world.info[LIMITED]
    assert await keys_by_sql(world) != by_conditions
    await row_security.impose(world, bounds(scope))
    assert await keys_by_sql(world) == by_conditions
    empty = {"dead_letters", "restatements"} | {
        table for table, found in by_conditions.items() if not found
    }
    assert (len(empty) == len(PLACED)) is (scope == "nothing")


FOREIGN = {
    "sql": "SELECT count(*) FROM clusters WHERE code = 'K-zzb'",
    "a join": "SELECT count(*) FROM plays JOIN clusters c ON c.id = cluster_id"
    " WHERE c.code = 'K-zzb'",
    "a function": "SELECT count(*) FROM bulletins WHERE lower(title) LIKE 'zzb%'",
    "an aggregate": "SELECT count(*) FILTER (WHERE title = 'zzb') FROM schedules",
}


@pytest.mark.parametrize("form", FOREIGN)
async def test_a_forgotten_condition_shows_nothing_foreign(world: AsyncSession, form: str) -> None:
    connection = await world.connection()
    statement = sa.text(FOREIGN[form])
    assert await connection.scalar(statement)
    await row_security.impose(world, bounds("own"))
    assert await connection.scalar(statement) == 0
    await row_security.lift(world)
    assert await connection.scalar(statement)


@pytest.mark.postgres
async def test_copy_and_partitions_show_nothing_foreign(engine: AsyncEngine) -> None:
    async with db.transaction(engine) as session:
        await fill(session)
        month = await session.scalar(sa.text("SELECT tableoid::regclass::text FROM plays LIMIT 1"))
    async with db.transaction(engine) as session:
        await row_security.impose(session, bounds("own"))
        raw = await (await session.connection()).get_raw_connection()
        driver = raw.driver_connection
        assert driver is not None
        copied = io.BytesIO()
        await driver.copy_from_query("SELECT code FROM clusters ORDER BY 1", output=copied)
        assert copied.getvalue().split() == [b"K-zza", b"Q-zza"]
        copied = io.BytesIO()
        await driver.copy_from_table("clusters", columns=["code"], output=copied)
        assert sorted(copied.getvalue().split()) == [b"K-zza", b"Q-zza"]
        for statement in (f"SELECT * FROM {month}", "DELETE FROM plays"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with driver.transaction():
                    await driver.execute(statement)


async def test_nothing_of_it_is_left_over_in_the_pool(postgres_dsn: str) -> None:
    engine = create_async_engine(db.async_url(postgres_dsn), pool_size=1, max_overflow=0)
    pid, me = sa.text("SELECT pg_backend_pid()"), sa.text("SELECT current_user")
    async with db.transaction(engine) as session:
        await fill(session)
        before = (await session.scalar(pid), await session.scalar(me))
        everything = await keys_by_sql(session)
    async with db.transaction(engine) as session:
        await row_security.impose(session, bounds("own"))
        assert await session.scalar(me) == ROLE
    async with db.transaction(engine) as session:
        assert (await session.scalar(pid), await session.scalar(me)) == before
        assert await keys_by_sql(session) == everything
        # Its settings are the empty string by now: who takes on the role alone finds nothing.
        await session.execute(sa.text(f"SET LOCAL ROLE {ROLE}"))
        assert not any((await keys_by_sql(session)).values())
    await engine.dispose()


async def test_what_was_checked_is_found_whole_and_nothing_after_it(world: AsyncSession) -> None:
    count = sa.text("SELECT count(*) FROM stations")
    await Limits(bounds("own"), with_row_security=True).impose(world)
    async with whole(world):
        assert await world.scalar(count) == 4
    with pytest.raises(NotFound):
        async with whole(world):
            raise NotFound("Không có.")
    connection = await world.connection()
    assert await connection.scalar(count) == 1
    with pytest.raises(RuntimeError, match="scope"):
        await world.execute(count)


async def test_the_reason_of_an_error_within_is_kept(world: AsyncSession) -> None:
    await Limits(bounds("own"), with_row_security=True).impose(world)
    with pytest.raises(DBAPIError, match="division by zero"):
        async with whole(world):
            await world.execute(sa.text("SELECT 1 / 0"))
    assert LIMITED in world.info


MISSING = {
    "chưa có vai trò": f"ALTER ROLE {ROLE} RENAME TO elsewhere",
    "được bỏ qua giới hạn": f"ALTER ROLE {ROLE} BYPASSRLS",
    f"{len(PLACED) - 1}/{len(PLACED)} bảng": "ALTER TABLE plays DISABLE ROW LEVEL SECURITY",
    f"{len(PLACED) - 2}/{len(PLACED)} bảng": f"REVOKE SELECT ON boots, faults FROM {ROLE}",
    "chưa được dùng": "CREATE ROLE stranger; GRANT SELECT ON pg_class TO stranger;"
    " SET LOCAL ROLE stranger",
}


@pytest.mark.parametrize("said", MISSING)
async def test_what_keeps_it_from_being_in_force_is_said(session: AsyncSession, said: str) -> None:
    connection = await session.connection()
    assert await row_security.missing(connection) is None
    for statement in MISSING[said].split(";"):
        await connection.execute(sa.text(statement))
    found = await row_security.missing(connection)
    assert found is not None
    assert said in found


async def test_policies_are_made_anew_where_the_code_has_others(
    session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = await session.connection()
    stored = sa.text(
        "SELECT tablename, qual FROM pg_policies WHERE policyname = 'places' ORDER BY 1"
    )
    before = (await connection.execute(stored)).all()
    assert {table for table, _ in before} == {model.__tablename__ for model in PLACED}
    assert await connection.run_sync(policies.are_installed)
    await connection.run_sync(policies.remove)
    assert (await connection.execute(stored)).all() == []
    assert not await connection.run_sync(policies.are_installed)
    assert await row_security.missing(connection) is not None
    await connection.run_sync(policies.install)
    assert (await connection.execute(stored)).all() == before
    monkeypatch.setattr(policies, "fingerprint", lambda: "of other code")
    assert not await connection.run_sync(policies.are_installed)

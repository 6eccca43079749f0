"""The chain as PostgreSQL makes it at the commit, and what it refuses."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from broadcast.audit.entry import Entry, Outcome, Who
from broadcast.audit.model import AuditEntry
from broadcast.audit.recording import add
from broadcast.kit import db
from tests.audit.world import chained

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


FORGED = """
    INSERT INTO audit_entries (seq, hash, entry, at, name, outcome, action, objects, areas)
    VALUES (9, '', '', now(), '', 'done', '', '{}', '{}')
"""


def entry(name: str, at: datetime = NOW) -> Entry:
    return Entry(at, Who(name, 7), Outcome.DONE, "POST /x", object="/x", areas=("51",))


async def fill(engine: AsyncEngine, *names: str) -> None:
    for name in names:
        async with db.transaction(engine) as session:
            await add(session, entry(name))


async def stored(engine: AsyncEngine) -> list[AuditEntry]:
    async with db.transaction(engine) as session:
        return list(await session.scalars(sa.select(AuditEntry).order_by(AuditEntry.seq)))


@pytest.mark.postgres
async def test_entries_are_chained_in_the_order_of_their_commits(engine: AsyncEngine) -> None:
    await fill(engine, "Lan", "Hùng “đài”\n", "Tèo")
    rows = await stored(engine)
    assert [row.seq for row in rows] == [1, 2, 3]
    assert [row.hash for row in rows] == chained([row.entry for row in rows])


async def test_several_of_one_transaction_are_chained_in_their_order(engine: AsyncEngine) -> None:
    async with db.transaction(engine) as session:
        for name in "abc":
            await add(session, entry(name))
    rows = await stored(engine)
    assert [row.name for row in rows] == ["a", "b", "c"]
    assert [row.hash for row in rows] == chained([row.entry for row in rows])


async def test_what_is_rolled_back_leaves_no_gap(engine: AsyncEngine) -> None:
    await fill(engine, "a")
    async with db.transaction(engine) as session:
        await add(session, entry("b"))
        await session.rollback()
    await fill(engine, "c")
    assert [(row.seq, row.name) for row in await stored(engine)] == [(1, "a"), (2, "c")]


async def test_many_writers_at_once_make_one_chain(postgres_dsn: str) -> None:
    engine = create_async_engine(db.async_url(postgres_dsn), pool_size=8)

    async def write(name: str) -> None:
        async with db.transaction(engine) as session:
            await add(session, entry(name))
            await asyncio.sleep(0)
            await session.execute(sa.select(1))

    await asyncio.gather(*(write(str(number)) for number in range(80)))
    rows = await stored(engine)
    await engine.dispose()
    assert [row.seq for row in rows] == list(range(1, 81))
    assert {row.name for row in rows} == {str(number) for number in range(80)}
    assert [row.hash for row in rows] == chained([row.entry for row in rows])


async def test_who_has_written_and_hangs_holds_nobody_up(engine: AsyncEngine) -> None:
    async with db.transaction(engine) as hanging:
        await add(hanging, entry("hangs"))
        await fill(engine, "a", "b")
        assert [row.name for row in await stored(engine)] == ["a", "b"]
    assert [row.name for row in await stored(engine)] == ["a", "b", "hangs"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entries SET entry = ''",
        "UPDATE audit_entries SET seq = seq + 1",
        "UPDATE audit_entries SET at = now()",
        "DELETE FROM audit_entries WHERE seq = 2",
        "DELETE FROM audit_entries",
        "TRUNCATE audit_entries",
        "UPDATE audit_checkpoints SET seq = 1",
        "DELETE FROM audit_checkpoints",
        "TRUNCATE audit_checkpoints",
        FORGED,
    ],
)
async def test_the_database_refuses_to_change_it(engine: AsyncEngine, statement: str) -> None:
    await fill(engine, "a", "b", "c")
    async with db.transaction(engine) as session:
        await checkpoint(session, 1, is_cut=False)
    before = [(row.seq, row.hash, row.entry) for row in await stored(engine)]
    with pytest.raises(DBAPIError) as raised:
        async with db.transaction(engine) as session:
            await session.execute(sa.text(statement))
    assert db.sqlstate(raised.value) == "42501"
    assert [(row.seq, row.hash, row.entry) for row in await stored(engine)] == before


async def checkpoint(session: AsyncSession, seq: int, *, is_cut: bool) -> None:
    await session.execute(
        sa.text(
            "INSERT INTO audit_checkpoints VALUES"
            " ((SELECT count(*) + 1 FROM audit_checkpoints), :seq, :hash, :cut, now(), '')"
        ),
        {"seq": seq, "hash": "ab" * 32, "cut": is_cut},
    )


async def test_what_was_signed_as_cut_off_can_be_deleted_and_nothing_else(
    engine: AsyncEngine,
) -> None:
    await fill(engine, "a", "b", "c")
    async with db.transaction(engine) as session:
        await checkpoint(session, 2, is_cut=True)
        await session.execute(sa.text("DELETE FROM audit_entries WHERE seq <= 2"))
    with pytest.raises(DBAPIError):
        await fill_and_delete(engine, 3)
    assert [row.seq for row in await stored(engine)] == [3]


async def fill_and_delete(engine: AsyncEngine, seq: int) -> None:
    async with db.transaction(engine) as session:
        await session.execute(sa.text("DELETE FROM audit_entries WHERE seq = :n"), {"n": seq})


async def test_the_chain_goes_on_from_a_cut_behind_which_nothing_is_left(
    engine: AsyncEngine,
) -> None:
    await fill(engine, "a")
    async with db.transaction(engine) as session:
        await checkpoint(session, 1, is_cut=True)
        await session.execute(sa.text("DELETE FROM audit_entries"))
    await fill(engine, "b")
    (row,) = await stored(engine)
    assert row.seq == 2

"""The migrations make the schema that the models describe, and can be undone."""

from __future__ import annotations

import asyncio
import unicodedata
from datetime import date

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import create_async_engine

from broadcast.embedded.postgres import EmbeddedPostgres
from broadcast.kit import db


@pytest.mark.postgres
def test_the_migrations_make_what_the_models_describe(postgres: EmbeddedPostgres) -> None:
    dsn = postgres.create_database("migrated")
    asyncio.run(db.migrate(dsn))
    asyncio.run(db.migrate(dsn))
    command.check(db.alembic_config(dsn))
    command.downgrade(db.alembic_config(dsn), "base")
    asyncio.run(db.migrate(dsn))
    command.check(db.alembic_config(dsn))
    postgres.drop_database("migrated")


@pytest.mark.postgres
def test_online_minutes_of_an_older_installation_are_carried_over(
    postgres: EmbeddedPostgres,
) -> None:
    dsn = postgres.create_database("carried")
    configured = db.alembic_config(dsn)
    before = ScriptDirectory.from_config(configured).get_revision("0005").down_revision
    assert isinstance(before, str)
    command.upgrade(configured, before)
    history = [(1, date(2024, 12, 31)), (1, date(2025, 2, 1)), (2, date(2025, 2, 28))]
    asyncio.run(_write(dsn, history))
    command.upgrade(configured, "0005")
    assert asyncio.run(_read(dsn)) == [
        (device, day, f"online_minutes_{day:%Y%m}", 3) for device, day in history
    ]
    command.downgrade(configured, before)
    assert asyncio.run(_read(dsn)) == [
        (device, day, "online_minutes", 3) for device, day in history
    ]
    postgres.drop_database("carried")


async def _write(dsn: str, history: list[tuple[int, date]]) -> None:
    engine = create_async_engine(db.async_url(dsn))
    async with db.transaction(engine) as session:
        for device_id, day in history:
            await session.execute(
                sa.text("INSERT INTO online_minutes VALUES (:device, :day, 7::bit(1440))"),
                {"device": device_id, "day": day},
            )
    await engine.dispose()


async def _read(dsn: str) -> list[tuple[int, date, str, int]]:
    engine = create_async_engine(db.async_url(dsn))
    async with db.transaction(engine) as session:
        rows = await session.execute(
            sa.text(
                "SELECT device_id, day, tableoid::regclass::text, bit_count(minutes)"
                " FROM online_minutes ORDER BY device_id, day"
            )
        )
        found = [(row[0], row[1], row[2], row[3]) for row in rows]
    await engine.dispose()
    return found


def test_the_newest_revision_is_that_of_alembic() -> None:
    script = ScriptDirectory.from_config(db.alembic_config("postgresql://x@127.0.0.1/x"))
    assert db.newest_revision() == script.get_current_head()


TOKENS = [
    ("Nguyễn Thị Lan", "broadcaster", "NULL"),
    ("nguyễn thị  LAN", "approver", "NULL"),
    ("Hùng", "admin", "now()"),
    ("Tèo", "technician", "NULL"),
]
"""Person, role and time of revocation of tokens before accounts."""


@pytest.mark.postgres
def test_tokens_of_names_become_tokens_of_accounts(postgres: EmbeddedPostgres) -> None:
    dsn = postgres.create_database("named")
    configured = db.alembic_config(dsn)
    command.upgrade(configured, "0013")
    asyncio.run(
        _run(
            dsn,
            *(
                "INSERT INTO api_tokens (token_sha256, person, role, created_at, revoked_at)"
                f" VALUES ('{n}', '{person}', '{role}', now(), {revoked_at})"
                for n, (person, role, revoked_at) in enumerate(TOKENS)
            ),
        )
    )
    command.upgrade(configured, "0014")
    found = asyncio.run(
        _run(
            dsn,
            "SELECT t.token_sha256, a.name, array_agg(g.role ORDER BY g.role)"
            " FROM api_tokens t JOIN accounts a ON a.id = t.account_id"
            " LEFT JOIN grants g ON g.account_id = a.id GROUP BY 1, 2 ORDER BY 1",
        )
    )
    lan = ("Nguyễn Thị Lan", ["province_approver", "province_editor"])
    assert found == [("0", *lan), ("1", *lan), ("2", "Hùng", [None]), ("3", "Tèo", ["technician"])]
    postgres.drop_database("named")


def test_names_become_accounts_however_they_were_typed(postgres: EmbeddedPostgres) -> None:
    dsn = postgres.create_database("signed")
    configured = db.alembic_config(dsn)
    before = ScriptDirectory.from_config(configured).get_revision("0015").down_revision
    assert isinstance(before, str)
    command.upgrade(configured, before)
    entry = "INSERT INTO lexicon_entries VALUES ('51', '{}', 'x', '{}', now())"
    key = "INSERT INTO idempotency_keys VALUES ('{}', '{}', 'x', 201, '', '', {})"
    asyncio.run(
        _run(
            dsn,
            "INSERT INTO accounts (name, kind, state, created_at)"
            " VALUES ('Nguyễn Thị Lan', 'person', 'active', now()),"
            " ('Nguyễn Thị Lan', 'person', 'active', now())",
            "INSERT INTO api_tokens (token_sha256, account_id, label, created_at)"
            " VALUES ('1', 1, '', now()), ('2', 1, '', now()), ('3', 2, '', now())",
            entry.format("a", "Nguyễn Thị Lan"),
            entry.format("b", unicodedata.normalize("NFD", "nguyễn thị  LAN")),
            entry.format("c", "Tèo"),
            entry.format("d", "TÈO"),
            "INSERT INTO village_exclusions VALUES ('V', '2025-01-01', NULL, 'CV', 'Tèo')",
            "DELETE FROM evidence_marks",
            key.format("k", "token/1", "'2025-01-01'"),
            key.format("k", "token/2", "'2025-01-02'"),
            key.format("k", "token/3", "'2025-01-01'"),
            key.format("k", "token/99", "'2025-01-01'"),
        )
    )
    command.upgrade(configured, "0015")
    found = asyncio.run(
        _run(
            dsn,
            "SELECT written, a.id, a.name, a.state FROM lexicon_entries"
            " JOIN accounts a ON a.id = changed_by ORDER BY written",
        )
    )
    lan, teo = (1, "Nguyễn Thị Lan", "active"), (3, "TÈO", "disabled")
    assert found == [("a", *lan), ("b", *lan), ("c", *teo), ("d", *teo)]
    assert asyncio.run(_run(dsn, "SELECT declared_by FROM village_exclusions")) == [(3,)]
    # No row was updated: that would be a change of the register.
    assert asyncio.run(_run(dsn, "SELECT DISTINCT cause FROM evidence_marks")) == []
    kept = "SELECT account_id, created_at::date::text FROM idempotency_keys ORDER BY account_id"
    assert asyncio.run(_run(dsn, kept)) == [(1, "2025-01-02"), (2, "2025-01-01")]
    command.downgrade(configured, before)
    names = asyncio.run(_run(dsn, "SELECT changed_by FROM lexicon_entries ORDER BY written"))
    assert names == [("Nguyễn Thị Lan",), ("Nguyễn Thị Lan",), ("TÈO",), ("TÈO",)]
    postgres.drop_database("signed")


async def _run(dsn: str, *statements: str) -> list[tuple[object, ...]]:
    """Rows of the last statement."""
    engine = create_async_engine(db.async_url(dsn))
    rows: list[tuple[object, ...]] = []
    async with db.transaction(engine) as session:
        for statement in statements:
            result = await session.execute(sa.text(statement))
            rows = [tuple(row) for row in result] if result.returns_rows else []
    await engine.dispose()
    return rows

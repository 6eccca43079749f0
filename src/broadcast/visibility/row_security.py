"""Transactions under row-level security, and whether a database has it in force."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from broadcast.kit.limited_role import ROLE
from broadcast.visibility.rows import PLACED, Bounds

_LIFT = sa.text("SET LOCAL role TO DEFAULT")

_STATE = sa.text("""
    SELECT limited.oid IS NOT NULL AS is_there,
        pg_has_role(limited.oid, 'MEMBER') AS is_ours,
        limited.rolsuper OR limited.rolbypassrls AS bypasses,
        (SELECT count(*) FROM pg_class
            WHERE oid = ANY (CAST(CAST(:tables AS text[]) AS regclass[])) AND relrowsecurity
                AND has_table_privilege(limited.oid, oid, 'SELECT')) AS tables,
        current_user AS me
    FROM (VALUES (CAST(:role AS name))) AS asked (name)
    LEFT JOIN pg_roles AS limited ON limited.rolname = asked.name
""")
"""Of a database at the newest revision."""


async def impose(session: AsyncSession, bounds: Bounds) -> None:
    """Let a transaction find what lies within bounds, whatever it asks, to its end or `lift`.

    Nothing of it is left over in the pool: all of it is `SET LOCAL`.
    """
    settings = [
        sa.func.set_config(f"broadcast.{name}", sa.cast(value, sa.Text), sa.true())
        for name, value in bounds._asdict().items()
    ]
    role = sa.func.set_config("role", ROLE, sa.true())
    await (await session.connection()).execute(sa.select(*settings, role))


async def lift(session: AsyncSession) -> None:
    """Let a transaction find everything again."""
    await (await session.connection()).execute(_LIFT)


async def missing(database: AsyncConnection) -> str | None:
    """What keeps row-level security from being in force, and what to do; None where it is."""
    tables = [model.__tablename__ for model in PLACED]
    found = (await database.execute(_STATE, {"tables": tables, "role": ROLE})).one()
    if not found.is_there:
        return (
            f"chưa có vai trò {ROLE} trong PostgreSQL; chạy bằng người quản trị PostgreSQL: CREATE"
            f" ROLE {ROLE} NOLOGIN; GRANT {ROLE} TO {found.me}; rồi chạy `broadcast migrate`."
        )
    if not found.is_ours:
        return (
            f"vai trò {found.me} chưa được dùng {ROLE}; chạy bằng người quản trị PostgreSQL: GRANT"
            f" {ROLE} TO {found.me}."
        )
    if found.bypasses:
        return (
            f"vai trò {ROLE} được bỏ qua giới hạn; chạy bằng người quản trị PostgreSQL: ALTER ROLE"
            f" {ROLE} NOSUPERUSER NOBYPASSRLS."
        )
    if found.tables != len(tables):
        return (
            f"chỉ {found.tables}/{len(tables)} bảng được giới hạn cho {ROLE}; chạy `broadcast"
            " migrate`."
        )
    return None

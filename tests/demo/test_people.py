"""Everybody in a demo can come in as is said on the screen."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import httpx2 as httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.areas.model import Area, Level
from broadcast.auth.permissions import PERMISSIONS, Role
from broadcast.demo.people import seed_people
from broadcast.kit import clock, db
from tests.accounts.browser import Browser, application

UNITS = [("51", Level.PROVINCE, None), ("C", Level.COMMUNE, "51"), ("V", Level.VILLAGE, "C")]


async def test_each_role_signs_in_by_password_and_by_token(
    engine: AsyncEngine, postgres_dsn: str, tmp_path: Path
) -> None:
    async with db.transaction(engine) as session:
        *_, village = units = [
            Area(
                code=code, level=level, kind="x", name=code, parent_code=parent,
                valid_from=date(2025, 7, 1), valid_to=None,
            )
            for code, level, parent in UNITS
        ]  # fmt: skip
        session.add_all(units)
        await session.flush()
        doors = await seed_people(session, village, clock.now())
    assert set(doors.by_role) == set(Role)
    async with application(engine, postgres_dsn, tmp_path) as app:
        for role, door in doors.by_role.items():
            if door.login is not None:
                answer = await Browser(app).sign_in(door.login, doors.password)
                assert answer.status_code == 201, role
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url="http://test"
            ) as http:
                bearer = {"Authorization": f"Bearer {door.token}"}
                me = (await http.get("/api/v1/me", headers=bearer)).json()
            assert ([each["role"] for each in me["roles"]], set(me["permissions"])) == (
                [role], set(PERMISSIONS[role]),
            )  # fmt: skip

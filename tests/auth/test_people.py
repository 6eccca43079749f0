"""Names of accounts in answers: read once for all of an answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast.areas.model import Level
from broadcast.auth.people import people
from broadcast.auth.permissions import Role
from broadcast.indicators.model import VillageExclusion
from broadcast.kit import db
from tests import province
from tests.accounts.browser import application
from tests.bulletins.make import bulletin, prepared, revision
from tests.callers import HUNG, LAN, MAI, PEOPLE, TAM, caller
from tests.web.calling import called_by

NOW = datetime(2025, 11, 24, 2, tzinfo=UTC)
AUTHORS = (LAN, HUNG, MAI, TAM)


@contextmanager
def counted(engine: AsyncEngine) -> Iterator[list[str]]:
    """Statements that are executed meanwhile."""
    said: list[str] = []

    def note(*given: object) -> None:
        said.append(str(given[2]))

    sa.event.listen(engine.sync_engine, "before_cursor_execute", note)
    try:
        yield said
    finally:
        sa.event.remove(engine.sync_engine, "before_cursor_execute", note)


async def fill(session: AsyncSession, authors: tuple[int, ...], serial: int, folder: Path) -> None:
    """A bulletin, a schedule and an exclusion of each."""
    for number, author in enumerate(authors):
        made = await bulletin(session, created_by=author)
        await revision(session, made, prepared(folder))
        session.add(
            province.schedule(made.id, NOW, NOW, targets=[{"area": "51"}], created_by=author)
        )
        code = f"V{serial}{number}"
        session.add(province.area(code, Level.VILLAGE))
        session.add(
            VillageExclusion(
                village_code=code, valid_from=date(2025, 7, 1), valid_to=None, document="CV",
                declared_by=author,
            )
        )  # fmt: skip


@pytest.mark.parametrize("path", ["bulletins", "schedules", "village-exclusions"])
async def test_a_list_costs_the_same_however_many_people_it_names(
    engine: AsyncEngine, postgres_dsn: str, tmp_path: Path, path: str
) -> None:
    async with application(engine, postgres_dsn, tmp_path) as app:
        called_by(app, caller("Tâm", Role.PROVINCE_ADMIN))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            await client.get(f"/api/v1/{path}")  # what a process asks once
            costs, named = [], set()
            for serial, authors in enumerate([(LAN,), AUTHORS]):
                async with db.transaction(engine) as session:
                    await fill(session, authors, serial, tmp_path)
                with counted(engine) as said:
                    answer = (await client.get(f"/api/v1/{path}")).json()
                costs.append(len(said))
                items = answer if isinstance(answer, list) else answer["items"]
                persons = [each.get("created_by") or each["declared_by"] for each in items]
                named = {(each["id"], each["name"]) for each in persons}
    assert costs[0] == costs[1]
    assert named == {(PEOPLE[name], name) for name in ("Lan", "Hùng", "Mai", "Tâm")}


async def test_nobody_is_no_question(engine: AsyncEngine) -> None:
    async with db.transaction(engine) as session:
        with counted(engine) as said:
            assert await people(session, [None]) == {}
    assert not any("accounts" in each for each in said)

"""The map in a browser: what breaks is seen on an open page, and leads to what to do."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from playwright.async_api import expect

from broadcast.auth.permissions import Role
from broadcast.kit import db
from tests.console.journeys.conftest import SignIn, System

pytestmark = pytest.mark.asyncio(loop_scope="session")

BREAK = sa.text("""
    INSERT INTO faults (device_id, kind, opened_at, detail)
    SELECT id, 'line_open', now(), 'test' FROM devices
""")
MEND = sa.text("DELETE FROM faults WHERE detail = 'test'")


async def test_an_open_map_shows_what_breaks_and_where_to_go(
    sign_in: SignIn, system: System
) -> None:
    code = system.seeded.commune
    page = await sign_in(Role.PROVINCE_MONITOR, path="/map")
    area = page.locator(f'[data-area="{code}"]')
    await expect(area).not_to_have_attribute("data-condition", "bad")
    engine = db.create_engine(system.settings.postgres, "tests.map")
    try:
        async with db.transaction(engine) as session:
            await session.execute(BREAK)
        await expect(area).to_have_attribute("data-condition", "bad", timeout=60_000)
        await page.locator(f'[data-place="{code}"] a').click()
        await expect(page.get_by_text("kiểm tra dây loa và tăng âm").first).to_be_visible()
    finally:
        async with db.transaction(engine) as session:
            await session.execute(MEND)
        await engine.dispose()

"""A bulletin of the province is sent to villages, by list and by map."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from broadcast.auth.permissions import Role
from tests.console.journeys.conftest import DESKTOP, PHONE, SignIn

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_villages_are_chosen_by_list_and_by_map(
    sign_in: SignIn, size: tuple[int, int]
) -> None:
    page = await sign_in(Role.PROVINCE_EDITOR, size)
    await page.goto("/bulletins?class=priority")
    await page.locator("main a[href^='/bulletins/']:not([href*='?'])").last.click()
    await page.locator("a[href$='/send']").click()
    commune = page.locator("[data-commune]").filter(has=page.locator(".check:nth-child(4)")).first
    await commune.locator("summary").click()
    await commune.locator("input[name=place]").first.check()
    await expect(commune.locator("[data-all]")).to_have_js_property("indeterminate", value=True)
    await page.locator(".by-map summary").click()
    picks = page.locator("[data-pick-map] .pick")
    await expect(picks.first).to_be_visible()
    await expect(page.locator("[data-pick-map] .pick[aria-checked=mixed]")).to_have_count(1)
    village = await commune.locator("input[name=place]").first.get_attribute("value")
    code = await commune.get_attribute("data-commune")
    await page.locator("main button[type=submit]").last.click()
    await page.wait_for_url("**/send")
    await expect(page.locator("#sent")).to_contain_text("1 xã")
    found = await page.evaluate("async () => (await fetch('/api/v1/inbox-items')).json()")
    items = {each["commune_code"]: each["villages"] for each in found["items"]}
    assert items[code] == [village]

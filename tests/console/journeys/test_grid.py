"""A session ordered by keyboard and by mouse; a whole day heard in one go."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from broadcast.auth.permissions import Role
from tests.console.journeys.conftest import PHONE, SignIn

pytestmark = pytest.mark.asyncio(loop_scope="session")

ITEMS = "[data-order] > li .what a"
TUNE, NOTICE = "Nhạc hiệu đài xã", "Thông báo họp thôn"


async def test_items_are_ordered_by_keyboard_and_by_mouse(sign_in: SignIn) -> None:
    page: Page = await sign_in(Role.COMMUNE_BROADCASTER, path="/grid")
    await page.locator("#grid h2 a").first.click()
    items = page.locator(ITEMS)
    await expect(items).to_have_text([TUNE, NOTICE, TUNE])
    down = page.get_by_role("button", name=f"Chuyển “{TUNE}” ra sau").first
    await down.focus()
    async with page.expect_response("**/order") as saved:  # a reload would give it up
        await page.keyboard.press("Enter")
    assert (await saved.value).ok, await (await saved.value).text()
    await expect(items).to_have_text([NOTICE, TUNE, TUNE])
    await expect(page.get_by_role("button", name=f"Chuyển “{TUNE}” ra sau").first).to_be_focused()
    await page.reload()
    await expect(items).to_have_text([NOTICE, TUNE, TUNE])
    row = page.locator("[data-order] > li")
    async with page.expect_response("**/order") as saved:
        await row.nth(1).drag_to(row.first, target_position={"x": 20, "y": 3})
    assert (await saved.value).ok, await (await saved.value).text()
    await expect(items).to_have_text([TUNE, NOTICE, TUNE])
    await page.reload()
    await expect(items).to_have_text([TUNE, NOTICE, TUNE])


async def test_a_whole_day_is_heard_in_one_go(sign_in: SignIn) -> None:
    page: Page = await sign_in(Role.COMMUNE_BROADCASTER, size=PHONE, path="/schedule/heard")
    button = page.locator("button[data-playlist]:visible").first
    await button.click()
    await expect(page.locator("li[data-sounding]").first).to_be_visible()
    first = await page.locator("[data-playing]").first.text_content()
    await expect(page.locator("[data-playing]").first).not_to_have_text(first or "")
    await button.click()
    await expect(page.locator("li[data-sounding]")).to_have_count(0)

"""Somebody who has never seen it: how few steps each errand takes. The steps are counted."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Locator, Page, expect

from broadcast.auth.permissions import Role
from tests.console.journeys.conftest import SignIn

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Newcomer:
    """A person at a page; every click and every field filled in is a step."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.steps = 0

    async def click(self, what: Locator) -> None:
        await what.click()
        self.steps += 1

    async def fill(self, label: str, text: str) -> None:
        await self.page.get_by_label(label).fill(text)
        self.steps += 1


async def test_typed_heard_scheduled_and_submitted_in_six_steps(sign_in: SignIn) -> None:
    someone = Newcomer(await sign_in(Role.COMMUNE_BROADCASTER))
    page = someone.page
    await someone.click(page.get_by_role("link", name="Soạn bản tin mới"))
    await someone.fill("Tiêu đề", "Dọn vệ sinh đường làng")
    await someone.fill("Văn bản", "Sáng chủ nhật, mời bà con dọn vệ sinh đường làng.")
    await someone.click(page.get_by_role("button", name="Nghe đọc thử"))
    await expect(page.locator("#sound[data-sound=done]")).to_be_visible()
    await someone.click(page.get_by_role("button", name="Tiếp: ở đâu và khi nào"))
    await page.wait_for_url(re.compile("/schedule/new"))
    save = page.get_by_role("button", name="Lưu lịch và gửi duyệt")
    await expect(save).to_be_enabled()
    await someone.click(save)
    await page.wait_for_url(re.compile(r"/schedule/[0-9a-f]{8}-"))
    assert someone.steps <= 6


async def test_why_a_village_did_not_hear_it_is_two_steps_away(sign_in: SignIn) -> None:
    someone = Newcomer(await sign_in(Role.COMMUNE_MONITOR))
    page = someone.page
    link = page.locator("#day a[href^='/plays/']")
    if not await link.first.is_visible():
        await someone.click(page.locator("#day details > summary"))
    await someone.click(link.first)
    await expect(page.locator("#result table")).to_contain_text("Thôn")
    await someone.click(page.locator("#result tbody a").first)
    await expect(page.locator("main")).to_contain_text("Bằng chứng")
    assert someone.steps <= 3


async def test_why_a_commune_is_not_counted_is_three_steps_away(sign_in: SignIn) -> None:
    someone = Newcomer(await sign_in(Role.PROVINCE_MONITOR))
    page = someone.page
    await someone.click(page.get_by_role("link", name="Chỉ tiêu"))
    await someone.click(page.locator("main a[href^='/indicators/1.1/']").first)
    why = page.locator("main a[href*='/why/'], main a[href*='unit=']").first
    await someone.click(why)
    await expect(page.locator("main")).to_contain_text(re.compile("tính|đếm"))
    assert someone.steps <= 3

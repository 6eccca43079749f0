"""Somebody who makes their first bulletin: for the steps, and for `benchmarks/newcomer`."""

from __future__ import annotations

import re

from playwright.async_api import Locator, Page, expect

HEARD = """async (sound, rate) => {
  sound.playbackRate = rate;
  if (!sound.ended) await new Promise((done) => sound.addEventListener("ended", done));
}"""
"""Waits for the end of a sound that plays by itself."""


class Newcomer:
    """A person at a page; every click and every field filled in is a step."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.steps = 0

    async def click(self, what: Locator) -> None:
        """Click on what can be seen."""
        await what.click()
        self.steps += 1

    async def fill(self, label: str, text: str) -> None:
        """Type into a field."""
        await self.page.get_by_label(label).fill(text)
        self.steps += 1

    async def type_and_listen(self) -> None:
        """From the start page to a bulletin that is typed, and read aloud by itself."""
        page = self.page
        await self.click(page.get_by_role("link", name="Soạn bản tin mới"))
        await self.fill("Tiêu đề", "Dọn vệ sinh đường làng")
        await self.fill("Văn bản", "Sáng chủ nhật, mời bà con dọn vệ sinh đường làng.")
        await self.click(page.get_by_role("button", name="Nghe đọc thử"))
        await expect(page.locator("#sound[data-sound=done]")).to_be_visible()


async def say_where_and_when(someone: Newcomer) -> None:
    """What was heard is scheduled as the form proposes, and submitted."""
    page = someone.page
    await someone.click(page.get_by_role("button", name="Tiếp: ở đâu và khi nào"))
    await page.wait_for_url(re.compile("/schedule/new"))
    save = page.get_by_role("button", name="Lưu lịch và gửi duyệt")
    await expect(page.locator("#check [data-refused=false]")).to_be_attached()
    await someone.click(save)
    await page.wait_for_url(re.compile(r"/schedule/[0-9a-f]{8}-"))

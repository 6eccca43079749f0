"""Two people, two devices: held to propose on a phone, seen by itself and held to authorise."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from broadcast.auth.permissions import Role
from tests.console.journeys.conftest import DESKTOP, PHONE, SignIn
from tests.console.journeys.test_every_page import VIEWS, wrong_with

pytestmark = pytest.mark.asyncio(loop_scope="session")

WAIT = 30_000


async def test_the_second_person_sees_a_proposal_by_itself_and_authorises_it(
    sign_in: SignIn,
) -> None:
    first = await sign_in(Role.DUTY_OFFICER, PHONE, "/emergency/new")
    second = await sign_in(Role.PROVINCE_APPROVER, DESKTOP, "/emergency")
    await first.get_by_label("Tên cảnh báo").fill("Lũ quét thử")
    await first.get_by_label("Lời sẽ đọc lên loa").fill("Lũ quét, lên chỗ cao ngay.")
    await first.locator("fieldset summary").first.click()
    await first.locator("fieldset details[open] input").first.check()
    await first.get_by_role("button", name="Xem lại trước khi đề nghị").click()
    await expect(first.locator(".readback")).to_contain_text("ngay khi được cho phép")
    propose = first.get_by_role("button", name="Nhấn giữ để đề nghị phát")
    await propose.click()  # a touch alone does nothing
    await expect(propose).to_be_visible()
    await _hold(first, "Nhấn giữ để đề nghị phát")
    await expect(first.locator("#alert")).to_contain_text("Chờ người thứ hai", timeout=WAIT)
    found = second.locator("article.alert.proposed a", has_text="Lũ quét thử")
    await expect(found).to_be_visible(timeout=WAIT)
    await found.click()
    await expect(second.locator("#alert audio")).to_be_visible(timeout=WAIT)
    await _hold(second, "Nhấn giữ để cho phép phát")
    await expect(second.locator("#alert")).to_contain_text("Bảng theo dõi", timeout=WAIT)
    await expect(first.locator("#alert")).to_contain_text("Bảng theo dõi", timeout=WAIT)
    there = first.url
    await first.get_by_role("link", name="Cập nhật hoặc báo yên").click()
    await expect(first.get_by_role("button", name="Ghi âm")).to_be_visible(timeout=WAIT)
    for view in VIEWS:
        assert [each async for each in wrong_with(first, view)] == [], view
    await first.goto(there)
    await first.locator("summary", has_text="Hủy").click()
    await first.get_by_label("Vì sao hủy").fill("thử xong")
    await first.get_by_role("button", name="Hủy, loa dừng ngay").click()
    await expect(first.locator("#alert")).to_contain_text("Đã hủy", timeout=WAIT)


async def _hold(page: Page, name: str) -> None:
    await page.get_by_role("button", name=name).dispatch_event("pointerdown")

"""A technician under a pole takes an incident on, writes what was done, and closes it."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from broadcast.auth.permissions import Role
from tests.console.journeys.conftest import PHONE, SignIn, System

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_incident_is_taken_noted_closed_and_opened_again(
    sign_in: SignIn, system: System
) -> None:
    page = await sign_in(Role.TECHNICIAN, PHONE, "/incidents")
    answer = await page.request.get("/api/v1/incidents")
    code = system.seeded.devices[-1]
    number = next(each["id"] for each in (await answer.json())["items"] if each["code"] == code)
    await page.locator(f"ol.work a[href='/incidents/{number}']").click()
    await page.get_by_role("button", name="Tôi nhận việc này").click()
    await expect(page.locator("#incident")).to_contain_text("Phụ trách:")
    await page.get_by_label("Đã thấy gì, đã làm gì").fill("Đã thay cầu chì")
    await page.get_by_role("button", name="Lưu ghi chú").click()
    await expect(page.locator(".events .note")).to_contain_text("Đã thay cầu chì")
    await page.locator("summary", has_text="Đóng sự cố").click()
    form = page.locator("#close-form")
    await form.get_by_label("Lý do").select_option("other")
    await form.get_by_role("button", name="Đóng sự cố").click()
    await expect(form.locator("[data-field=note] [data-error]")).to_contain_text("ghi rõ lý do")
    await form.get_by_label("Nói rõ thêm").fill("Cầu chì cũ")
    await form.get_by_role("button", name="Đóng sự cố").click()
    await expect(page.locator("#incident")).to_contain_text("đóng lúc")
    await page.get_by_role("button", name="Mở lại").click()
    await expect(page.locator("#close-form")).to_have_count(1)

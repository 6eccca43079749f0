"""A technician asks a loudspeaker to restart, and imports a list after having seen its rows."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from broadcast.auth.permissions import Role
from tests.console.journeys.conftest import DESKTOP, PHONE, SignIn, System

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_a_command_is_confirmed_given_and_answered(
    sign_in: SignIn, system: System, size: tuple[int, int]
) -> None:
    code = system.seeded.devices[0 if size == DESKTOP else 1]
    page = await sign_in(Role.TECHNICIAN, size, f"/devices/{code}")
    await expect(page.locator("#state")).to_contain_text("đang kết nối", timeout=60_000)
    await page.get_by_label("Âm lượng, từ 0 đến 100").fill("65")
    await page.get_by_role("button", name="Đặt âm lượng").click()
    dialog = page.locator("#confirm")
    await expect(dialog).to_contain_text("thôn) sẽ to hoặc nhỏ theo mức này")
    await dialog.get_by_role("button", name="Đồng ý").click()
    row = page.locator("#commands tbody tr").first
    await expect(row).to_contain_text("Đặt âm lượng 65")
    await expect(row).to_contain_text("đã làm", timeout=60_000)


async def test_a_list_is_previewed_mended_and_imported(sign_in: SignIn, system: System) -> None:
    page = await sign_in(Role.PROVINCE_ADMIN, path="/admin")
    await page.get_by_role("link", name="Nhập danh sách thiết bị").click()
    rows = "code,model,codecs\nNEW-000001,TTX-4G,opus\n"
    await choose(page, rows + "NEW-000002,TTX-4G,wav\n")
    await expect(page.locator("#preview")).to_contain_text("1 dòng bị từ chối")
    await expect(page.locator("#preview").get_by_role("button", name="Ghi")).to_have_count(0)
    await choose(page, rows)
    await expect(page.locator("#preview")).to_contain_text("Nhập được")
    await page.locator("#preview").get_by_role("button", name="Ghi").click()
    dialog = page.locator("#confirm")
    await expect(dialog).to_contain_text("Ghi 1 dòng mới")
    await dialog.get_by_role("button", name="Ghi").click()
    await expect(page.locator("#preview")).to_contain_text("Đã ghi: thêm 1")
    await page.goto("/devices?text=NEW-0")
    await expect(page.locator("tbody tr")).to_have_count(1)


async def choose(page: Page, text: str) -> None:
    file = {"name": "devices.csv", "mimeType": "text/csv", "buffer": text.encode()}
    await page.locator("#files").set_input_files(file)
    await page.get_by_role("button", name="Xem trước").click()

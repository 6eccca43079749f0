"""People, in a browser: one's second factor, and what asks for it on the way."""

from __future__ import annotations

import pyotp
import pytest
import sqlalchemy as sa

from broadcast.auth.permissions import Role
from broadcast.kit import db
from tests.console.journeys.conftest import DESKTOP, PHONE, SignIn, System

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize(
    ("size", "role"),
    [(DESKTOP, Role.PROVINCE_APPROVER), (PHONE, Role.COMMUNE_APPROVER)],
    ids=["desktop", "phone"],
)
async def test_an_authenticator_app_is_added_and_its_codes_are_shown_once(
    sign_in: SignIn, size: tuple[int, int], role: Role
) -> None:
    page = await sign_in(role, size, "/me")
    await page.get_by_role("button", name="Thêm ứng dụng xác thực").click()
    await page.get_by_role("img", name="Mã QR cho ứng dụng xác thực").wait_for()
    secret = await page.locator("#factor details code").text_content()
    assert secret is not None
    await page.locator("#totp-code").fill(pyotp.TOTP(secret).now())
    await page.get_by_role("button", name="Dùng từ nay").click()
    await page.locator("#codes li").first.wait_for()
    assert await page.locator("#codes li").count() == 10
    await page.get_by_role("link", name="Đã cất xong").click()
    await page.get_by_text("Còn 10 mã dự phòng").wait_for()


async def test_who_needs_a_second_factor_is_asked_and_what_was_typed_goes_on(
    sign_in: SignIn, system: System
) -> None:
    page = await sign_in(Role.PROVINCE_ADMIN, path="/me")
    await page.get_by_role("button", name="Thêm ứng dụng xác thực").click()
    secret = await page.locator("#factor details code").text_content()
    assert secret is not None
    await page.locator("#totp-code").fill(pyotp.TOTP(secret).now())
    await page.get_by_role("button", name="Dùng từ nay").click()
    code = await page.locator("#codes li").first.inner_text()
    engine = db.create_engine(system.settings.postgres, "tests.journeys")
    async with db.transaction(engine) as session:
        await session.execute(sa.text("UPDATE sessions SET second_factor_at = NULL"))
    await engine.dispose()

    await page.goto("/admin/people/new")
    await page.get_by_label("Họ và tên").fill("Lê Thị Mới")
    await page.get_by_role("button", name="Tạo tài khoản").click()
    dialog = page.locator("#second-factor")
    await dialog.get_by_label("Mã").fill(code)
    await dialog.get_by_role("button", name="Xác thực").click()
    await page.get_by_role("heading", name="Liên kết của Lê Thị Mới").wait_for()
    assert "/setup#" in await page.get_by_label("Liên kết dùng một lần").input_value()
    await page.get_by_role("link", name="Xong, về tài khoản này").click()
    await page.get_by_role("heading", name="Lê Thị Mới").wait_for()

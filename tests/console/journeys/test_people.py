"""People, in a browser: one's second factor, and what asks for it on the way."""

from __future__ import annotations

import pyotp
import pytest
import sqlalchemy as sa
from playwright.async_api import Page, expect

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
    await forget_second_factors(system)

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


async def authenticator(page: Page) -> None:
    """Have the browser make and use passkeys by itself, as if a finger were always there."""
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("WebAuthn.enable")
    await devtools.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2", "transport": "internal", "hasResidentKey": True,
                "hasUserVerification": True, "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )  # fmt: skip


async def test_a_passkey_signs_in_and_is_the_second_factor_of_what_was_confirmed_once(
    sign_in: SignIn, system: System
) -> None:
    page = await sign_in(Role.PROVINCE_ADMIN, path="/me")
    await authenticator(page)
    await page.get_by_label("Tên để nhận ra máy này").fill("Máy của Quản")
    await page.get_by_role("button", name="Thêm khóa truy cập").click()
    await expect(page.get_by_text("Máy của Quản")).to_be_visible()
    await page.locator(".account > summary").click()
    await page.get_by_role("button", name="Đăng xuất").click()
    await page.wait_for_url("**/sign-in")
    await page.get_by_role("button", name="Dùng khóa truy cập của máy này").click()
    await page.wait_for_url(system.url + "/")
    await expect(page.locator(".account > summary")).to_have_text("Nguyễn Thị Quản")

    await page.goto("/admin/people")
    await page.get_by_role("link", name="Ngô Thị Kiểm").click()
    await forget_second_factors(system)
    await page.get_by_role("button", name="Khóa tài khoản").click()
    question = page.locator("#confirm")
    await expect(question).to_contain_text("Khóa Ngô Thị Kiểm: ")
    await question.get_by_role("button", name="Đồng ý").click()
    factor = page.locator("#second-factor")
    await factor.get_by_role("button", name="Dùng khóa truy cập").click()
    # Nobody answers the question a second time: the account is disabled all the same.
    await page.get_by_role("button", name="Mở lại tài khoản").click()
    await question.get_by_role("button", name="Đồng ý").click()
    await expect(page.get_by_role("button", name="Khóa tài khoản")).to_be_visible()


async def forget_second_factors(system: System) -> None:
    """Let more time pass than a second factor counts for."""
    engine = db.create_engine(system.settings.postgres, "tests.journeys")
    async with db.transaction(engine) as session:
        await session.execute(sa.text("UPDATE sessions SET second_factor_at = NULL"))
    await engine.dispose()

"""Signing in and out, in a browser."""

from __future__ import annotations

import pytest

from broadcast.auth.permissions import ROLE_NAMES, Role
from tests.console.journeys.conftest import DESKTOP, PHONE, SignIn

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_one_click_for_each_role_and_out_again(
    sign_in: SignIn, size: tuple[int, int]
) -> None:
    page = await sign_in(Role.COMMUNE_BROADCASTER, size)
    await page.locator(".account > summary").click()
    sheet = page.locator(".account .sheet")
    assert ROLE_NAMES[Role.COMMUNE_BROADCASTER] in await sheet.inner_text()
    await sheet.get_by_role("button", name="Đăng xuất").click()
    await page.wait_for_url("**/sign-in")

"""Every page: nothing that axe finds, no line wider than the screen, in both sizes and themes."""

from __future__ import annotations

import pytest
from axe_playwright_python.async_playwright import Axe

from broadcast.auth.permissions import Role
from tests.console.journeys.conftest import DESKTOP, PHONE, SignIn

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGES: list[tuple[str, Role]] = [
    ("/", Role.COMMUNE_BROADCASTER),
    ("/components", Role.PROVINCE_ADMIN),
    ("/nowhere", Role.PROVINCE_MONITOR),
    ("/sign-in", Role.PROVINCE_MONITOR),
    ("/setup", Role.PROVINCE_MONITOR),
]
"""Path, and who looks at it; axe and the screenshots go there."""

WIDTH = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_every_page_is_accessible_and_fits(
    sign_in: SignIn, size: tuple[int, int], theme: str
) -> None:
    by_role: dict[Role, list[str]] = {}
    for path, role in PAGES:
        by_role.setdefault(role, []).append(path)
    wrong = []
    for role, paths in by_role.items():
        page = await sign_in(role, size, color_scheme=theme)
        for path in paths:
            await page.goto(path)
            found = await Axe().run(page)
            wrong += [f"{path}: {each['id']} {each['nodes'][0]['html'][:200]}"
                      for each in found.response["violations"]]  # fmt: skip
            if over := await page.evaluate(WIDTH):
                wrong.append(f"{path} is {over} px wider than the screen")
    assert wrong == []

"""Every page: nothing that axe finds, no line wider than the screen, in both sizes and themes."""

from __future__ import annotations

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

from broadcast.auth.permissions import Role
from tests.console.journeys.conftest import DESKTOP, PHONE, SignIn

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGES: list[tuple[str, Role] | tuple[str, Role, str]] = [
    ("/", Role.COMMUNE_BROADCASTER),
    ("/bulletins/new", Role.COMMUNE_BROADCASTER),
    ("/bulletins", Role.COMMUNE_BROADCASTER),
    ("/approvals", Role.COMMUNE_APPROVER),
    ("/on-air", Role.PROVINCE_MONITOR),
    ("/schedule", Role.COMMUNE_BROADCASTER),
    ("/schedule?view=month", Role.PROVINCE_MONITOR),
    ("/schedule", Role.COMMUNE_BROADCASTER, "a.block"),
    ("/schedule/heard", Role.COMMUNE_BROADCASTER),
    ("/components", Role.PROVINCE_ADMIN),
    ("/map", Role.PROVINCE_MONITOR),
    ("/areas/51", Role.PROVINCE_MONITOR),
    ("/areas/23284", Role.PROVINCE_MONITOR),
    ("/wall", Role.PROVINCE_MONITOR),
    ("/indicators", Role.PROVINCE_MONITOR),
    ("/indicators/1.1/TH", Role.PROVINCE_MONITOR),
    ("/indicators/1.1/TH/trend", Role.PROVINCE_MONITOR),
    ("/indicators/1.1/compare", Role.PROVINCE_MONITOR),
    ("/indicators/1.1/TH", Role.PROVINCE_MONITOR, "a[href*='/why/']"),
    ("/nowhere", Role.PROVINCE_MONITOR),
    ("/sign-in", Role.PROVINCE_MONITOR),
    ("/setup", Role.PROVINCE_MONITOR),
    ("/admin/people", Role.PROVINCE_ADMIN),
    ("/admin/people/new", Role.PROVINCE_ADMIN),
    ("/admin/people/1", Role.PROVINCE_ADMIN),
    ("/admin/grants", Role.PROVINCE_ADMIN),
    ("/admin/tokens", Role.PROVINCE_ADMIN),
    ("/admin/audit", Role.PROVINCE_ADMIN),
    ("/me", Role.COMMUNE_BROADCASTER),
    ("/incidents", Role.TECHNICIAN),
    ("/incidents?state=closed", Role.TECHNICIAN),
    ("/incidents", Role.TECHNICIAN, "ol.work a"),
    ("/devices", Role.TECHNICIAN),
    ("/devices", Role.TECHNICIAN, "tbody a"),
    ("/admin", Role.PROVINCE_ADMIN),
    ("/admin/stations", Role.PROVINCE_ADMIN),
    ("/admin/clusters", Role.PROVINCE_ADMIN),
    ("/admin/stations", Role.PROVINCE_ADMIN, "tbody a[href^='/admin/stations/']"),
    ("/admin/stations/new", Role.PROVINCE_ADMIN),
    ("/admin/clusters", Role.PROVINCE_ADMIN, "tbody a[href^='/admin/plants/']"),
    ("/admin/plants/new", Role.PROVINCE_ADMIN),
    ("/admin/clusters", Role.PROVINCE_ADMIN, "tbody a[href^='/admin/clusters/']"),
    ("/admin/clusters/new", Role.PROVINCE_ADMIN),
    ("/admin/areas", Role.PROVINCE_ADMIN),
    ("/admin/mergers", Role.PROVINCE_ADMIN),
    ("/admin/quiet-hours", Role.PROVINCE_ADMIN),
    ("/admin/refused", Role.PROVINCE_ADMIN),
    ("/admin/keys", Role.PROVINCE_ADMIN),
    ("/admin/restore", Role.PROVINCE_ADMIN),
    ("/admin/enrolment", Role.PROVINCE_ADMIN),
    ("/admin/import/stations", Role.PROVINCE_ADMIN),
]
"""Path, who looks at it, and for a page of one thing the link on that path to follow (a selector).

axe and the screenshots go there."""


async def visit(page: Page, path: str, link: str = "") -> bool:
    """Go to a page; false where there is no such thing as the link names."""
    await page.goto(path)
    if link:
        first = page.locator(link).first
        if not await first.count():
            return False
        await page.goto(await first.get_attribute("href") or path)
    return True


WIDTH = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.mark.parametrize(
    ("size", "theme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop-light", "phone-dark"]
)
async def test_every_page_is_accessible_and_fits(
    sign_in: SignIn, size: tuple[int, int], theme: str
) -> None:
    by_role: dict[Role, list[tuple[str, ...]]] = {}
    for path, role, *link in PAGES:
        by_role.setdefault(role, []).append((path, *link))
    wrong = []
    for role, places in by_role.items():
        page = await sign_in(role, size, color_scheme=theme)
        for place in places:
            if not await visit(page, *place):
                wrong.append(f"nothing to follow: {place}")
                continue
            path = " ".join(place)
            found = await Axe().run(page)
            wrong += [f"{path}: {each['id']} {each['nodes'][0]['html'][:200]}"
                      for each in found.response["violations"]]  # fmt: skip
            if over := await page.evaluate(WIDTH):
                wrong.append(f"{path} is {over} px wider than the screen")
    assert wrong == []

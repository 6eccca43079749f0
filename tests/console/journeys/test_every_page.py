"""Every page: nothing that axe finds, no line wider than the screen, in both sizes and themes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Literal, NamedTuple

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import CDPSession, Page

from broadcast.auth.permissions import Role
from tests.console.journeys.conftest import DESKTOP, PHONE, SignIn

pytestmark = pytest.mark.asyncio(loop_scope="session")

BULLETIN = "main a[href^='/bulletins/']:not([href='/bulletins/new'])"
CLUSTER = "main a[href^='/indicators/clusters/']"

PAGES: list[tuple[str, Role] | tuple[str, Role, str] | tuple[str, Role, str, str]] = [
    ("/", Role.COMMUNE_BROADCASTER),
    ("/bulletins/new", Role.COMMUNE_BROADCASTER),
    ("/bulletins", Role.COMMUNE_BROADCASTER),
    ("/bulletins", Role.COMMUNE_BROADCASTER, BULLETIN),
    ("/bulletins?state=submitted", Role.COMMUNE_BROADCASTER, BULLETIN, "a[href$='/edit']"),
    ("/bulletins?class=priority", Role.PROVINCE_EDITOR, BULLETIN, "a[href$='/send']"),
    ("/approvals", Role.COMMUNE_APPROVER),
    ("/inbox", Role.COMMUNE_BROADCASTER),
    ("/inbox", Role.COMMUNE_BROADCASTER, "tbody a"),
    ("/inbox/compliance", Role.PROVINCE_MONITOR),
    ("/languages", Role.COMMUNE_BROADCASTER),
    ("/languages/phrases", Role.COMMUNE_BROADCASTER),
    ("/languages/served", Role.PROVINCE_MONITOR),
    ("/admin/village-languages", Role.PROVINCE_ADMIN),
    ("/approvals", Role.COMMUNE_APPROVER, "main a[href^='/approvals/']"),
    ("/", Role.PROVINCE_MONITOR, "main a[href^='/plays/']"),
    ("/on-air", Role.PROVINCE_MONITOR),
    ("/schedule", Role.COMMUNE_BROADCASTER),
    ("/schedule?view=month", Role.PROVINCE_MONITOR),
    ("/schedule", Role.COMMUNE_BROADCASTER, "a.block"),
    ("/schedule/heard", Role.COMMUNE_BROADCASTER),
    ("/sources", Role.COMMUNE_BROADCASTER),
    ("/sources", Role.PROVINCE_EDITOR),
    ("/portals", Role.PROVINCE_ADMIN),
    ("/portals/new", Role.PROVINCE_ADMIN),
    ("/portals", Role.COMMUNE_BROADCASTER, "main td a[href^='/portals/']"),
    ("/indicators/1.3/TX", Role.PROVINCE_MONITOR),
    ("/grid", Role.COMMUNE_BROADCASTER),
    ("/grid", Role.COMMUNE_BROADCASTER, "#grid h2 a"),
    ("/grid/new", Role.COMMUNE_BROADCASTER),
    ("/schedule/feed", Role.COMMUNE_BROADCASTER),
    ("/schedule/import", Role.COMMUNE_BROADCASTER),
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
    ("/indicators/1.1/TH/needs", Role.PROVINCE_MONITOR),
    ("/indicators/1.1/TH", Role.PROVINCE_MONITOR, "a[href*='/why/']", CLUSTER),
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
    ("/live", Role.DUTY_OFFICER),
    ("/emergency", Role.DUTY_OFFICER),
    ("/emergency/new", Role.DUTY_OFFICER),
    ("/emergency", Role.PROVINCE_MONITOR, "article.alert a"),
    ("/emergency/templates", Role.DUTY_OFFICER),
    ("/emergency/templates/new", Role.DUTY_OFFICER),
    ("/emergency/templates", Role.DUTY_OFFICER, "tbody a"),
    ("/drills", Role.DUTY_OFFICER),
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
    ("/admin/calendars", Role.PROVINCE_ADMIN),
    ("/admin/authorities", Role.PROVINCE_APPROVER),
    ("/earshot", Role.PROVINCE_MONITOR),
    ("/earshot", Role.PROVINCE_ADMIN, "tbody a[href^='/earshot/']"),
    ("/admin/regulations", Role.PROVINCE_ADMIN),
    ("/emergency/received", Role.DUTY_OFFICER),
    ("/admin/refused", Role.PROVINCE_ADMIN),
    ("/admin/keys", Role.PROVINCE_ADMIN),
    ("/admin/restore", Role.PROVINCE_ADMIN),
    ("/admin/enrolment", Role.PROVINCE_ADMIN),
    ("/admin/import/stations", Role.PROVINCE_ADMIN),
    ("/admin/import/village-languages", Role.PROVINCE_ADMIN),
    ("/admin/import/regulations", Role.PROVINCE_ADMIN),
    ("/admin/import/readers", Role.PROVINCE_ADMIN),
]
"""Path, who looks at it, and for a page of one thing the links to follow from there (selectors).

axe and the screenshots go there."""


async def visit(page: Page, path: str, *links: str) -> bool:
    """Go to a page, and from link to link; false where there is no such thing as one names."""
    await page.goto(path)
    for link in links:
        first = page.locator(link).first
        if not await first.count():
            return False
        await page.goto(await first.get_attribute("href") or path)
    return True


WIDTH = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
LARGE = "is_large => document.documentElement.dataset.size = is_large ? 'large' : ''"

CUT_OFF = """() => [...document.body.querySelectorAll("*")].filter((each) => {
  const style = getComputedStyle(each);
  const isCut = /hidden|clip/.test(style.overflowX) && each.scrollWidth > each.clientWidth + 1
    || /hidden|clip/.test(style.overflowY) && each.scrollHeight > each.clientHeight + 1;
  return isCut && each.clientWidth > 1 && !each.closest("svg, input")
    && !each.closest("details:not([open]) > :not(summary)");
}).map((each) => each.outerHTML.slice(0, 120))"""
"""What is not shown whole, and cannot be scrolled to."""

UNFORESEEN = """() => {
  const walk = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walk.nextNode()) texts.push(walk.currentNode);
  for (const each of texts) {
    if (!each.data.trim() || each.parentElement.closest("svg, script, style")) continue;
    each.data = each.data.trim().replace(/[0-9]+([.,:][0-9]+)*/g, "1.234.567.890,5")
      .replaceAll(" ", "\u00a0");
  }
  for (const each of document.querySelectorAll("main option")) {
    each.text += " Đài truyền thanh xã Nguyễn Nghiêm và các thôn miền núi phía tây";
  }
  for (const each of document.querySelectorAll("[data-chart]")) {
    const chart = each.appendChild(document.createElement("div"));
    chart.appendChild(document.createElement("canvas")).width = 2000;
  }
}"""
"""Numbers as long as they get, nowhere to break a line, long names to choose from, and charts that
were drawn for a wider window."""

NORMAL_PIXELS, DOUBLE_PIXELS = 16, 32


class LargeType:
    """Larger letters on the page that is open: by our own setting, or twice by the browser's."""

    def __init__(self, page: Page, devtools: CDPSession) -> None:
        self.page = page
        self.devtools = devtools

    async def browser(self, pixels: int) -> None:
        """The size that a person has set in their browser."""
        sizes = {"standard": pixels, "fixed": pixels}
        await self.devtools.send("Page.setFontSizes", {"fontSizes": sizes})

    async def look(self, how: str) -> list[str]:
        """What does not fit."""
        wrong = [f"{how}, cut off: {each}" for each in await self.page.evaluate(CUT_OFF)]
        if over := await self.page.evaluate(WIDTH):
            wrong.append(f"{how}: {over} px wider than the screen")
        return wrong

    async def all(self) -> list[str]:
        """What does not fit in any of them."""
        wrong = await self.look("normal type")
        await self.page.evaluate("document.documentElement.dataset.size = 'large'")
        wrong += await self.look("large type")
        await self.page.evaluate("delete document.documentElement.dataset.size")
        await self.browser(DOUBLE_PIXELS)
        wrong += await self.look("letters twice as large")
        await self.browser(NORMAL_PIXELS)
        return wrong


class View(NamedTuple):
    """How a page is looked at, without loading it again."""

    size: tuple[int, int]
    theme: Literal["light", "dark"]
    is_large: bool = False
    rules: tuple[str, ...] = ()
    """Those of axe that the look alone decides; none: all."""


ROWS = ("tbody > tr", "ol > li", "ul > li", "g > *")
REPEATED = {"exclude": [[f"{each}:nth-child(n+13)"] for each in ROWS]}
"""Rows after the first dozen, made by the same lines of a template: looked at in one view only."""

LOOKS = ("color-contrast", "scrollable-region-focusable", "target-size")
VIEWS = (
    View(DESKTOP, "light"),
    View(PHONE, "dark"),
    View(DESKTOP, "dark", is_large=True, rules=LOOKS),
    View(PHONE, "light", is_large=True, rules=LOOKS),
)


async def wrong_with(page: Page, view: View) -> AsyncIterator[str]:
    """What axe finds in a view, and how far it is too wide."""
    await page.set_viewport_size({"width": view.size[0], "height": view.size[1]})
    await page.emulate_media(color_scheme=view.theme)
    await page.evaluate(LARGE, view.is_large)
    options: dict[str, object] = {"resultTypes": ["violations"]}
    if view.rules:
        options["runOnly"] = {"type": "rule", "values": list(view.rules)}
    context = None if view is VIEWS[0] else REPEATED
    found = await Axe().run(page, context=context, options=options)
    for each in found.response["violations"]:
        yield f"{each['id']} {each['nodes'][0]['html'][:200]}"
    if over := await page.evaluate(WIDTH):
        yield f"{over} px wider than the screen"


BY_ROLE = {
    role: [(path, *link) for path, of, *link in PAGES if of is role]
    for role in dict.fromkeys(each[1] for each in PAGES)
}


@pytest.mark.parametrize("role", BY_ROLE, ids=lambda role: role.value)
async def test_every_page_is_accessible_and_fits(sign_in: SignIn, role: Role) -> None:
    page, wrong = await sign_in(role, reduced_motion="reduce"), []
    types = LargeType(page, await page.context.new_cdp_session(page))
    for place in BY_ROLE[role]:
        await page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
        if not await visit(page, *place):
            wrong.append(f"nothing to follow: {place}")
            continue
        for view in VIEWS:
            wrong += [f"{place} {view}: {each}" async for each in wrong_with(page, view)]
        for size in (DESKTOP, PHONE):
            await page.set_viewport_size({"width": size[0], "height": size[1]})
            wrong += [f"{place} {size}: {each}" for each in await types.all()]
        await page.evaluate(UNFORESEEN)
        if over := await page.evaluate(WIDTH):
            wrong.append(f"{place} whatever it shows: {over} px wider than a phone")
    assert wrong == []

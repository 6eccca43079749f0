"""Pictures of every page, for people to look at: `make screens` writes them to `docs/screens/`."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.async_api import Page

from broadcast.auth.permissions import Role
from tests.console.journeys.conftest import DESKTOP, PHONE, SignIn, System
from tests.console.journeys.test_every_page import BY_ROLE, visit

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUALITY = 35
"""Of WebP: text stays readable, all pictures together a few megabytes."""


class View(NamedTuple):
    """How a page is looked at."""

    name: str
    size: tuple[int, int]
    theme: str
    language: str


VIEWS = (
    View("desktop", DESKTOP, "light", "vi"),
    View("desktop-dark-en", DESKTOP, "dark", "en"),
    View("phone-dark", PHONE, "dark", "vi"),
    View("phone-en", PHONE, "light", "en"),
)
"""Both languages, both themes and both sizes, each in half of the pictures."""


async def webp(page: Page) -> bytes:
    """What the screen shows."""
    devtools = await page.context.new_cdp_session(page)
    shot = await devtools.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
    await devtools.detach()
    return base64.b64decode(shot["data"])


def keep(path: Path, picture: bytes) -> None:
    """Write a picture into a folder that may not be there yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture)


@pytest.mark.parametrize("role", BY_ROLE, ids=lambda role: role.value)
@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
async def test_pictures_of_every_page(
    request: pytest.FixtureRequest, system: System, sign_in: SignIn, view: View, role: Role
) -> None:
    wanted = request.config.getoption("--screens")
    if wanted is None:
        pytest.skip("makes pictures for docs/screens: make screens")
    page = await sign_in(role, view.size, color_scheme=view.theme, reduced_motion="reduce")
    await page.context.add_cookies(
        [{"name": "language", "value": view.language, "url": system.url}]
    )
    for place in BY_ROLE[role]:
        assert await visit(page, *place), place
        await page.evaluate("document.fonts.ready")
        name = re.sub(r"[^a-z0-9]+", "-", " ".join(place).lower()).strip("-") or "today"
        keep(Path(wanted, f"{name}.{view.name}.webp"), await webp(page))

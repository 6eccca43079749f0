"""Pictures of every page, for people to look at: `make screens` writes them to `docs/screens/`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import av
import pytest
from playwright.async_api import BrowserContext

from tests.console.journeys.conftest import DESKTOP, PHONE, SignIn, System
from tests.console.journeys.test_every_page import PAGES, visit

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUALITY = "35"
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


def as_webp(png: bytes, path: Path) -> None:
    """Keep a picture small."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shot = path.with_suffix(".png")
    shot.write_bytes(png)
    with av.open(str(shot)) as source, av.open(str(path), "w", format="webp") as target:
        frame = next(source.decode(video=0)).reformat(format="bgra")
        stream = target.add_stream("libwebp", options={"quality": QUALITY})
        stream.width, stream.height = frame.width, frame.height
        stream.pix_fmt = "bgra"
        frame.pts = None
        target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    shot.unlink()


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
async def test_pictures_of_every_page(
    request: pytest.FixtureRequest, system: System, sign_in: SignIn, view: View
) -> None:
    wanted = request.config.getoption("--screens")
    if wanted is None:
        pytest.skip("makes pictures for docs/screens: make screens")
    folder = Path(wanted)
    for path, role, *link in PAGES:
        page = await sign_in(role, view.size, color_scheme=view.theme)
        context: BrowserContext = page.context
        await context.add_cookies(
            [{"name": "language", "value": view.language, "url": system.url}]
        )
        assert await visit(page, path, *link), path
        await page.evaluate("document.fonts.ready")
        name = re.sub(r"[^a-z0-9]+", "-", path + "".join(link)).strip("-") or "today"
        as_webp(await page.screenshot(animations="disabled"), folder / f"{name}.{view.name}.webp")
        await context.close()

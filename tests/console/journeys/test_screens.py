"""Pictures of every page, for people to look at: `make screens` writes them to `docs/screens/`.

A page is loaded once in each language; sizes and themes change while it is open.
"""

from __future__ import annotations

import base64
import io
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.filter import Graph
from playwright.async_api import Page

from broadcast.auth.permissions import Role
from tests.console.journeys.conftest import SignIn, System
from tests.console.journeys.test_every_page import BY_ROLE, visit
from tests.console.screens import VIEWS, file_name

pytestmark = pytest.mark.asyncio(loop_scope="session")

COLOURS = 16
"""Of a picture: text stays sharp, and all pictures together are 6 MB at the most."""


def compressed(png: bytes) -> bytes:
    """A picture of few colours, without loss, as WebP."""
    with av.open(io.BytesIO(png)) as file:
        frame = next(file.decode(video=0))
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format.name, time_base=Fraction(1)
    )
    twice = graph.add("split")
    palette = graph.add("palettegen", f"max_colors={COLOURS}:reserve_transparent=0")
    painted = graph.add("paletteuse", "dither=none")
    opaque = graph.add("format", "bgra")
    sink = graph.add("buffersink")
    source.link_to(twice)
    twice.link_to(painted, 0, 0)
    twice.link_to(palette, 1, 0)
    palette.link_to(painted, 0, 1)
    painted.link_to(opaque)
    opaque.link_to(sink)
    graph.configure()
    frame.pts = 0
    source.push(frame)
    source.push(None)
    picture = sink.pull()
    written = io.BytesIO()
    with av.open(written, "w", format="webp") as file:
        options = {"lossless": "1", "compression_level": "4", "quality": "75"}
        stream = file.add_stream("libwebp", rate=1, options=options)
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "bgra"
        picture.pts = 0
        file.mux([*stream.encode(picture), *stream.encode(None)])
    return written.getvalue()


async def speak(page: Page, system: System, language: str) -> None:
    """Choose the language of the pages that are loaded from now on."""
    cookie = {"name": "language", "value": language, "url": system.url}
    await page.context.add_cookies([cookie])  # type: ignore[list-item]  it is a `SetCookieParam`


async def screen(page: Page) -> bytes:
    """What it shows, as PNG."""
    devtools = await page.context.new_cdp_session(page)
    shot = await devtools.send("Page.captureScreenshot", {"format": "png"})
    await devtools.detach()
    return base64.b64decode(shot["data"])


def keep(path: Path, picture: bytes) -> None:
    """Write a picture into a folder that may not be there yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("role", BY_ROLE, ids=lambda role: role.value)
async def test_pictures_of_every_page(
    request: pytest.FixtureRequest, system: System, sign_in: SignIn, role: Role
) -> None:
    wanted = request.config.getoption("--screens")
    if wanted is None:
        pytest.skip("makes pictures for docs/screens: make screens")
    folder = Path(wanted)
    page = await sign_in(role, reduced_motion="reduce")
    for place in BY_ROLE[role]:
        await speak(page, system, VIEWS[0].language)
        assert await visit(page, *place), place
        for view in VIEWS:
            if await page.locator("html").get_attribute("lang") != view.language:
                await speak(page, system, view.language)
                await page.reload()
            await page.set_viewport_size({"width": view.size[0], "height": view.size[1]})
            await page.emulate_media(color_scheme=view.theme)
            await page.evaluate("document.fonts.ready")
            picture = compressed(await screen(page))
            keep(folder / file_name(place, view), picture)

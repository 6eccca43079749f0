"""How long a first bulletin takes: typed, heard to its end, scheduled, submitted.

A script at the pages, in Chromium, against the whole system with a few loudspeakers. It looks for
a second before each step, types 400 characters a minute and hears the bulletin at its own speed.

* `newcomer_seconds`: from the start page of a commune's broadcaster to the submitted bulletin;
* `newcomer_steps`: clicks, and fields filled in.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from pathlib import Path

from playwright.async_api import Locator, async_playwright

from benchmarks.result import Result, Skipped
from broadcast import config
from broadcast.auth.permissions import Role
from broadcast.demo.people import NAMES
from broadcast.demo.run import RULES
from broadcast.demo.seed import seed
from broadcast.demo.world import World
from broadcast.kit import clock, db
from tests.console.journeys.newcomer import HEARD, Newcomer, say_where_and_when

DEVICES = 3
LOOK_SECONDS = 1.0
KEY_MS = 150.0


class Person(Newcomer):
    """Somebody who looks before each step, and types as people do."""

    async def click(self, what: Locator) -> None:
        """Look, then click."""
        await asyncio.sleep(LOOK_SECONDS)
        await super().click(what)

    async def fill(self, label: str, text: str) -> None:
        """Look, then type."""
        await asyncio.sleep(LOOK_SECONDS)
        await self.page.get_by_label(label).press_sequentially(text, delay=KEY_MS)
        self.steps += 1


def run() -> list[Result]:
    """Against the limits of the issue."""
    if shutil.which("chromium") is None:
        raise Skipped("chromium (apt-get install chromium)")
    with tempfile.TemporaryDirectory() as folder, World(Path(folder)) as world:
        settings = world.configure(RULES)
        asyncio.run(_fill(settings))
        world.start_server()
        seconds, steps = asyncio.run(_first_bulletin(world.page_url.rstrip("/")))
    return [
        Result("newcomer_seconds", seconds, 60.0, "s", "≤ 60 s"),
        Result("newcomer_steps", steps, 6, "steps", "≤ 6 steps"),
    ]


async def _fill(settings: config.Settings) -> None:
    await db.migrate(str(settings.postgres.dsn.get_secret_value()))
    engine = db.create_engine(settings.postgres)
    await seed(engine, settings, DEVICES, clock.now())
    await engine.dispose()


async def _first_bulletin(url: str) -> tuple[float, int]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = await browser.new_page(base_url=url, locale="vi-VN")
        await page.goto("/sign-in")
        login = NAMES[Role.COMMUNE_BROADCASTER][1]
        await page.locator(f"button[name=login][value='{login}']").click()
        await page.wait_for_url(url + "/")
        began = time.perf_counter()
        person = Person(page)
        await person.type_and_listen()
        await page.locator("#sound audio").evaluate(HEARD, 1)
        await say_where_and_when(person)
        seconds = time.perf_counter() - began
        await browser.close()
    return seconds, person.steps

"""`/docs` in a real browser that reaches nothing but the server."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.web.routes import application
from tests.web.test_http1 import served

CHROMIUM = shutil.which("chromium")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
async def test_the_page_shows_the_interface_offline_and_breaks_no_rule_of_its_policy(
    tmp_path: Path,
) -> None:
    assert CHROMIUM is not None
    async with served(application()) as port:
        browser = await asyncio.create_subprocess_exec(
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            "--enable-logging=stderr", "--virtual-time-budget=60000", "--dump-dom",
            f"http://127.0.0.1:{port}/docs",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, said = await browser.communicate()
    page = out.decode()
    assert 'data-path="/api/v1/' in page
    assert "Hệ thống thông tin nguồn cấp tỉnh" in page
    assert b"CONSOLE" not in said, said.decode()

"""What all pages have in common: who may see them, in which words, and what is said of errors."""

from __future__ import annotations

import pytest
from fastapi import FastAPI

from broadcast.auth.permissions import PERMISSIONS, Role
from broadcast.auth.routing import Route
from broadcast.console import assets
from broadcast.console.page import HEADERS, MENU
from broadcast.console.routes import ROUTERS
from tests.console.conftest import Pages


async def test_a_page_has_its_policy_and_no_script_or_style_in_its_text(pages: Pages) -> None:
    answer = await pages.load("/components")
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"] == HEADERS["Content-Security-Policy"]
    assert "unsafe" not in HEADERS["Content-Security-Policy"]
    for part in ("<style", " style=", " onclick=", "<script>", "http://", "https://"):
        assert part not in answer.text.replace("http://127.0.0.1", "")


async def test_what_a_page_loads_is_there_and_stays_in_the_cache(pages: Pages) -> None:
    for name in assets.names():
        answer = await pages.client.get(assets.address(name))
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert (await pages.load("/assets/nothing.js")).status_code == 404
    assert (await pages.load("/assets/..%2Fpage.py")).status_code == 404


async def test_the_menu_shows_what_the_role_may_do(pages: Pages) -> None:
    for role in Role:
        pages.called_by(role)
        text = (await pages.load("/components")).text
        for entry in MENU:
            if entry.path in pages.app.state.pages:
                shown = f'<a href="{entry.path}"' in text
                assert shown == (entry.permission in PERMISSIONS[role]), (role, entry)


def test_every_change_has_words_for_the_audit() -> None:
    """`Route` asks `Session` of each, which writes the entry; the words are of the page."""
    nameless = [
        route.path
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, Route) and route.is_recorded() and not route.summary
    ]
    assert nameless == []


async def test_words_are_vietnamese_until_english_is_chosen(pages: Pages) -> None:
    assert ">Đăng xuất<" in (await pages.load("/components")).text
    chosen = await pages.load("/display", language="en", back="/components")
    assert (chosen.status_code, chosen.headers["location"]) == (303, "/components")
    assert ">Sign out<" in (await pages.load("/components")).text


async def test_theme_and_size_are_kept_in_the_browser(pages: Pages) -> None:
    await pages.load("/display", theme="dark")
    await pages.load("/display", size="large")
    text = (await pages.load("/components")).text
    assert 'data-theme="dark" data-size="large"' in text
    await pages.load("/display", theme="auto")
    assert "data-theme" not in (await pages.load("/components")).text


@pytest.mark.parametrize("away", ["https://elsewhere.example", "//elsewhere.example", "/\\x"])
async def test_the_way_back_stays_here(pages: Pages, away: str) -> None:
    answer = await pages.load("/display", language="en", back=away)
    assert answer.headers["location"] == "/"


async def test_an_error_is_a_page_for_people_and_a_document_for_programs(pages: Pages) -> None:
    seen = await pages.load("/nowhere")
    assert seen.status_code == 404
    assert "<h1>Không tìm thấy</h1>" in seen.text
    assert "Không có trang này." in seen.text
    assert 'href="/"' in seen.text
    for headers in ({"Accept": "application/json"}, {"HX-Request": "true"}):
        told = await pages.client.get("/nowhere", headers=headers)
        assert told.headers["content-type"] == "application/problem+json"
    rest = await pages.load("/api/v1/nowhere")
    assert rest.headers["content-type"] == "application/problem+json"


async def test_a_bug_is_a_page_too(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    app: FastAPI = pages.app

    async def breaks() -> None:
        raise RuntimeError

    app.add_api_route("/breaks", breaks)
    answer = await pages.load("/breaks")
    assert answer.status_code == 500
    assert "<h1>Lỗi hệ thống</h1>" in answer.text


async def test_large_pages_are_compressed_for_who_takes_it(pages: Pages) -> None:
    answer = await pages.client.get("/components", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert "Thành phần" in answer.text
    plain = await pages.client.get("/components", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers

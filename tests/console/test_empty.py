"""An installation into which nothing has been imported yet: every page says what comes first."""

from __future__ import annotations

from fastapi.routing import APIRoute

from broadcast.auth.permissions import Role
from broadcast.console.routes import ROUTERS
from tests.console.conftest import Pages

OF_UNITS = {"/map", "/wall", "/indicators", "/portals", "/admin/regulations"}
"""What there is nothing to show of."""

MAP_OF_A_FORM = "/schedule/new/map"
"""Part of a form that needs an approved bulletin."""

PAGES = {
    route.path
    for router in ROUTERS
    for route in router.routes
    if isinstance(route, APIRoute)
    and "GET" in route.methods
    and "{" not in route.path
    and not any(each.field_info.is_required() for each in route.dependant.query_params)
}


async def test_every_page_answers_before_anything_is_imported(pages: Pages) -> None:
    assert len(PAGES) > 60
    assert OF_UNITS < PAGES
    wrong = {}
    for role in Role:
        pages.called_by(role)
        for path in PAGES - OF_UNITS - {MAP_OF_A_FORM}:
            part_of_one = any(path.startswith(f"{each}/") for each in OF_UNITS)
            answer = await pages.load(path)
            if not (answer.status_code in {200, 303, 403} or part_of_one):
                wrong[path] = (role.value, answer.status_code)
    assert wrong == {}


async def test_who_opens_the_province_is_told_to_import_it(pages: Pages) -> None:
    for path in OF_UNITS:
        page = await pages.load(path)
        assert page.status_code == 404
        assert "Máy chủ chưa có đơn vị hành chính nào của tỉnh này" in page.text
        assert 'href="/admin/import/areas"' in page.text, path
    pages.called_by(Role.PROVINCE_MONITOR)
    assert "/admin/import/areas" not in (await pages.load("/map")).text

"""Live speech on pages: who sees the microphone, what is read back, how it is stopped."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from broadcast.auth.permissions import Role
from broadcast.kit import clock, db
from tests import province
from tests.console.conftest import Pages
from tests.console.figures import compare

FORM = {"title": "Bão số 9", "place": "21001", "minutes": "10"}


@pytest.fixture
async def pages(pages: Pages) -> Pages:
    rules = pages.settings.rules.model_copy(update={"quiet_hours": ()})
    pages.app.state.settings = pages.settings.model_copy(update={"rules": rules})
    async with db.transaction(pages.app.state.engine) as session:
        villages = {"V1": "V1", "V2": "V2"}
        await province.commune(session, "21001", villages, clock.now() - timedelta(days=1))
    return pages


async def test_who_prepares_it_gets_the_microphone_and_others_a_stop(pages: Pages) -> None:
    pages.called_by(Role.PROVINCE_APPROVER, name="Hùng")
    assert "Nói trực tiếp tới loa" in (await pages.load("/live")).text
    answer = await pages.submit("/live", **FORM)
    path = answer.headers["HX-Redirect"]
    shown = (await pages.load(path)).text
    assert "data-speech" in shown
    assert re.search(r"Nhấn giữ để nói tới 2 cụm loa ở 2 thôn", shown)
    await compare(pages, path)
    pages.called_by(Role.DUTY_OFFICER, name="Lan")
    other = (await pages.load(path)).text
    assert "data-speech" not in other
    assert f'hx-post="{path}/end"' in other
    stopped = await pages.submit(f"{path}/end")
    assert "Đã kết thúc" in stopped.text


async def test_who_may_not_speak_sees_who_does(pages: Pages) -> None:
    pages.called_by(Role.PROVINCE_MONITOR, name="Mai")
    shown = (await pages.load("/live")).text
    assert "Không có ai đang nói trực tiếp." in shown
    assert 'hx-post="/live"' not in shown
    assert (await pages.submit("/live", **FORM)).status_code == 403


async def test_what_is_missing_is_said_at_its_field(pages: Pages) -> None:
    pages.called_by(Role.PROVINCE_APPROVER, name="Hùng")
    nowhere = await pages.submit("/live", title="Bão số 9")
    assert nowhere.json()["field"] == "targets"
    nameless = await pages.submit("/live", place="21001", title="")
    assert nameless.json()["field"] == "title"

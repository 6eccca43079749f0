"""The pages of stream sources: entered, looked at, relied on by a schedule made by its form."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.bulletins.model import RevisionState
from broadcast.kit import clock, db
from broadcast.kit.clock import LOCAL
from broadcast.streams import register
from broadcast.streams.probing import Look
from tests.bulletins import make
from tests.console.conftest import Pages
from tests.stations import sample

NOW = datetime(2025, 2, 3, 8, tzinfo=LOCAL)
HX = {"HX-Request": "true"}


@pytest.fixture
async def fallback(engine: AsyncEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An approved bulletin of the province."""
    monkeypatch.setattr(clock, "now", lambda: NOW)
    async with db.transaction(engine) as session:
        await sample.everything(session)
        made = await make.bulletin(session, area_code="51", title="Xin lỗi bà con")
        sound = make.prepared(tmp_path, b"opus", b"mp3")
        await make.revision(session, made, sound, RevisionState.APPROVED)
        return str(made.id)


async def test_a_source_is_entered_and_a_relay_of_it_is_scheduled(
    pages: Pages, engine: AsyncEngine, fallback: str
) -> None:
    form = {
        "name": "VOV1", "area_code": "51", "urls": "https://radio.example/a\nhttps://radio.example/b",
        "codec": "", "fallback_bulletin_id": fallback,
    }  # fmt: skip
    for field, value in (("urls", ""), ("urls", "ftp://radio.example"), ("name", "")):
        refused = await pages.client.post("/sources", data=form | {field: value}, headers=HX)
        assert (refused.status_code, refused.json()["field"].partition(".")[0]) == (422, field)
    made = await pages.client.post("/sources", data=form, headers=HX)
    there = made.headers["HX-Redirect"]
    assert "Xin lỗi bà con" in (await pages.client.get(there)).text
    asked = await pages.client.get(there.replace("/sources", "/schedule/relay"))
    assert 'name="minutes"' in asked.text
    assert "Tiếp âm VOV1" in asked.text
    wish = {
        "bulletin": fallback, "revision": "1", "source": there.rpartition("/")[2], "minutes": "30",
        "place": "21262", "day": "2025-02-04", "time": "05:00", "repeat": "daily",
    }  # fmt: skip
    checked = await pages.client.post("/schedule/new/check", data=wish, headers=HX)
    assert checked.status_code == 200, checked.text
    without = await pages.client.post("/schedule/new", data=wish | {"minutes": ""}, headers=HX)
    assert without.json()["field"] == "relay_seconds"
    saved = await pages.client.post("/schedule/new", data=wish, headers=HX)
    [schedule] = (await pages.client.get("/api/v1/schedules")).json()["items"]
    assert saved.headers["HX-Redirect"] == f"/schedule/{schedule['id']}"
    assert (schedule["title"], schedule["relay_seconds"]) == ("Tiếp âm VOV1", 1800)
    edit = await pages.client.get(f"/schedule/{schedule['id']}/edit")
    assert 'name="minutes" type="number" value="30"' in edit.text
    async with db.transaction(engine) as session:
        silent = Look(None, "máy “radio.example” không trả lời (quá giờ)")
        await register.record(session, int(wish["source"]), silent, NOW - timedelta(hours=1))
    today = await pages.client.get("/")
    assert "VOV1 không có tiếng từ" in today.text
    assert "14 buổi trong 14 ngày tới" in today.text
    assert "máy “radio.example” không trả lời" in (await pages.client.get(there)).text
    await pages.client.post(f"{there}/end", headers=HX)
    assert there not in (await pages.client.get("/sources")).text

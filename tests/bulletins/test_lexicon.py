"""How a station says words: whose entry holds, and that what was approved is what is spoken."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import quote

import httpx2 as httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.accounts.people import create_with_token
from broadcast.areas.model import Area, Level
from broadcast.auth.permissions import Role
from broadcast.bulletins import draft_routes, lexicon_routes, routes, station_lexicon
from broadcast.kit import db
from broadcast.kit.errors import Conflict
from broadcast.visibility.sessions import limit
from broadcast.web import rest
from tests.callers import LAN

TEXT = "UBND xã Đăk Rve họp lúc 19h00."
NOW = datetime(2025, 11, 24, tzinfo=UTC)


@pytest.fixture
async def web(engine: AsyncEngine, tmp_path: Path) -> httpx.AsyncClient:
    """The routes with one broadcaster, over a province with two communes."""
    app = FastAPI()
    app.state.limit = limit
    rest.install(app)
    for feature in (routes, draft_routes, lexicon_routes):
        app.include_router(feature.router)
    app.state.engine = engine
    app.state.settings = config.Settings(
        content_dir=tmp_path / "content", audio=config.Audio(chime=False)
    )
    async with db.transaction(engine) as session:
        token = await create_with_token(session, "Lan", Role.PROVINCE_EDITOR, datetime.now(UTC))
        session.add_all(
            Area(code=code, level=level, kind=kind, name=name, parent_code=parent,
                 valid_from=date(2025, 7, 1))
            for code, level, kind, name, parent in (
                ("51", Level.PROVINCE, "tỉnh", "Quảng Ngãi", None),
                ("21034", Level.COMMUNE, "xã", "An Phú", "51"),
                ("21035", Level.COMMUNE, "xã", "Ba Tơ", "51"),
                ("21034-07", Level.VILLAGE, "thôn", "Phổ An", "21034"),
            )
        )  # fmt: skip
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://test/api/v1",
        headers={"Authorization": f"Bearer {token}"},
    )


async def put(web: httpx.AsyncClient, area: str, written: str, spoken: str) -> httpx.Response:
    return await web.put(f"/lexicon/{area}/{quote(written, safe='')}", json={"spoken": spoken})


async def words(web: httpx.AsyncClient, area: str) -> str:
    answer = await web.post("/speech/words", json={"text": TEXT, "area_code": area})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["spoken"])


async def test_a_commune_comes_before_the_province_and_that_before_the_reader(
    web: httpx.AsyncClient,
) -> None:
    assert await words(web, "21034") == "ủy ban nhân dân xã đăk rve họp lúc mười chín giờ."
    assert (await put(web, "51", "Đăk  Rve", "Đắc Rơ ve")).status_code == 200
    assert (await put(web, "21034", "Đăk Rve", "đắc ve")).json()["spoken"] == "đắc ve"
    assert "xã đắc ve họp" in await words(web, "21034")
    assert "xã đắc rơ ve họp" in await words(web, "21035")
    shown = (await web.get("/lexicon", params={"area": "21034"})).json()["items"]
    assert [(e["area_code"], e["written"], e["changed_by"]["name"]) for e in shown] == [
        ("21034", "Đăk Rve", "Lan")
    ]
    gone = f"/lexicon/21034/{quote('Đăk Rve')}"
    assert (await web.get(gone)).json()["spoken"] == "đắc ve"
    assert (await web.delete(gone)).status_code == 204
    assert (await web.delete(gone)).status_code == 404
    assert (await put(web, "21034", "đ/c", "đồng chí")).json()["written"] == "đ/c"
    assert "xã đắc rơ ve họp" in await words(web, "21034")


async def test_a_corrected_reading_is_remembered_and_shown_as_the_lexicons(
    web: httpx.AsyncClient,
) -> None:
    async def read() -> list[dict[str, str]]:
        body = {"text": "Họp lúc 19h30.", "area_code": "21034"}
        (line,) = (await web.post("/speech/words", json=body)).json()["lines"]
        return list(line)

    time = {"written": "19h30", "spoken": "mười chín giờ ba mươi phút", "kind": "rule"}
    assert time in await read()
    assert (await put(web, "21034", "19h30", "bảy giờ rưỡi tối")).status_code == 200
    assert {"written": "19h30", "spoken": "bảy giờ rưỡi tối", "kind": "lexicon"} in await read()


async def test_what_was_approved_is_what_is_spoken(web: httpx.AsyncClient) -> None:
    await put(web, "51", "Đăk Rve", "đắc rơ ve")
    asked = {"title": "Họp", "area_code": "21034", "text": "HỌP DÂN\n\n" + TEXT}
    made = (await web.post("/bulletins", json=asked)).json()
    script = "# họp dân\nủy ban nhân dân xã đắc rơ ve họp lúc mười chín giờ."
    assert made["revisions"][0]["spoken"] == script
    await put(web, "51", "Đăk Rve", "đắc ve")
    shown = (await web.get(f"/bulletins/{made['id']}")).json()
    assert shown["revisions"][0]["spoken"] == script
    assert shown["revisions"][0]["renditions"] == made["revisions"][0]["renditions"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"area_code": "99999"}, "area_code"),
        ({"area_code": "21034-07"}, "area_code"),
        ({"spoken": "đắc 5"}, "spoken"),
        ({"spoken": "<b>"}, "spoken"),
        ({"spoken": "a" * 201}, "spoken"),
        ({"written": " "}, "written"),
        ({"written": "a" * 61}, "written"),
    ],
)
async def test_a_bad_entry_is_refused_by_field(
    web: httpx.AsyncClient, changes: dict[str, str], field: str
) -> None:
    entry = {"area_code": "21034", "written": "Đăk Rve", "spoken": "đắc rơ ve"} | changes
    answer = await put(web, entry["area_code"], entry["written"], entry["spoken"])
    assert answer.status_code == 422
    assert field in answer.text


async def test_another_encoding_is_refused_before_anything_is_made(web: httpx.AsyncClient) -> None:
    asked = {"title": "Họp", "area_code": "21034", "text": "Kính báo\nTh«ng b¸o häp"}
    answer = await web.post("/bulletins", json=asked)
    assert answer.status_code == 422
    assert "Dòng 2" in answer.json()["detail"]


async def test_a_lexicon_is_bounded(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(station_lexicon, "MOST_ENTRIES", 1)
    async with db.transaction(engine) as session:
        await station_lexicon.put(session, "51", "a", "một", LAN, NOW)
        await station_lexicon.put(session, "51", "a", "hai", LAN, NOW)
        await station_lexicon.put(session, "21034", "b", "ba", LAN, NOW)
        with pytest.raises(Conflict, match="1 mục"):
            await station_lexicon.put(session, "51", "b", "ba", LAN, NOW)

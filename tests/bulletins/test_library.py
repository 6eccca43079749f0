"""Bulletins found by words, tags and subject, and used again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.areas.model import Level
from broadcast.areas.topology import touch
from broadcast.auth.caller import Caller, HeldRole
from broadcast.auth.permissions import Role
from broadcast.bulletins import queries, search
from broadcast.bulletins.model import RevisionState, Subject
from broadcast.bulletins.queries import Wanted
from broadcast.bulletins.routes import router
from broadcast.kit.errors import InvalidInput
from broadcast.kit.text import folded
from broadcast.visibility.sessions import limit
from broadcast.web import rest
from tests.bulletins.make import NOW, bulletin, prepared, revision
from tests.callers import caller
from tests.province import PROVINCE, area, schedule
from tests.web.calling import Known

TITLES = {
    "Tiêm phòng gia súc đợt 2": ("trâu bò",),
    "Lịch cắt điện": ("điện", "bảo trì"),
    "ĐÓNG CỬA HỒ CHỨA": (),
}


@pytest.fixture
async def library(session: AsyncSession, tmp_path: Path) -> AsyncSession:
    """Three approved bulletins of a commune, the last one about the flood in its text."""
    session.add_all([
        area(PROVINCE, Level.PROVINCE),
        area("21034", Level.COMMUNE, PROVINCE),
        area("21035", Level.COMMUNE, PROVINCE),
    ])  # fmt: skip
    await touch(session)
    for number, (title, tags) in enumerate(TITLES.items()):
        made = await bulletin(
            session, title=title, tags=list(tags), created_at=NOW + timedelta(minutes=number),
            subject=Subject.DISASTER if number == 2 else Subject.OTHER,
        )  # fmt: skip
        row = await revision(session, made, prepared(tmp_path), RevisionState.APPROVED)
        row.text = "Bà con vùng trũng chuẩn bị sơ tán trước 17 giờ." if number == 2 else None
    await session.flush()
    return session


async def found(session: AsyncSession, **wanted: Any) -> list[str]:
    statement = await queries.select_bulletins(session, Wanted(**wanted))
    rows = await session.execute(statement)
    return sorted(row[0].title for row in rows)


@pytest.mark.parametrize(
    ("words", "titles"),
    [
        ("tiem phong", ["Tiêm phòng gia súc đợt 2"]),
        ("TIÊM", ["Tiêm phòng gia súc đợt 2"]),
        ("đợt 2 gia suc", ["Tiêm phòng gia súc đợt 2"]),
        ("dot-2", ["Tiêm phòng gia súc đợt 2"]),
        ("trâu", ["Tiêm phòng gia súc đợt 2"]),
        ("điện", ["Lịch cắt điện"]),
        ("bao tri", ["Lịch cắt điện"]),
        ("dong cua", ["ĐÓNG CỬA HỒ CHỨA"]),
        ("hồ sơ tán", ["ĐÓNG CỬA HỒ CHỨA"]),
        ("chua vung tru", ["ĐÓNG CỬA HỒ CHỨA"]),
        ("hồ điện", []),
        ("rung", []),
        (":*&|!'\\ --", sorted(TITLES)),
        ("", sorted(TITLES)),
    ],
)
async def test_words_are_found_without_accents_and_unfinished(
    library: AsyncSession, words: str, titles: list[str]
) -> None:
    assert await found(library, words=words) == titles


async def test_everything_else_that_people_look_for(library: AsyncSession) -> None:
    assert await found(library, subject=Subject.DISASTER) == ["ĐÓNG CỬA HỒ CHỨA"]
    assert await found(library, tag="Bảo Trì") == ["Lịch cắt điện"]
    assert await found(library, tag="bao tri") == ["Lịch cắt điện"]
    assert await found(library, tag="bao") == []
    assert await found(library, language="hre") == []
    assert await found(library, is_approved=True) == sorted(TITLES)
    assert await found(library, is_approved=False) == []
    assert await found(library, state=RevisionState.APPROVED, area="21034", words="lịch") == [
        "Lịch cắt điện"
    ]


@pytest.mark.parametrize("text", ["Đường Đặng Thùy Trâm", "ỦY BAN nhân dân", "1.234,5 đ", "ước"])
async def test_postgresql_folds_as_we_do(session: AsyncSession, text: str) -> None:
    assert await session.scalar(sa.select(sa.func.folded(text))) == folded(text)


def test_tags_are_a_few_short_words() -> None:
    assert search.tags_of(" B,a ,, b") == ["a", "b"]
    with pytest.raises(InvalidInput, match="nhiều nhất 10"):
        search.tags_of(",".join("abcdefghijk"))


def at(code: str, role: Role = Role.COMMUNE_BROADCASTER) -> Caller:
    return caller("Lan", role)._replace(roles=(HeldRole(role, code, NOW.date()),))


@pytest.fixture
async def client(
    library: AsyncSession, tmp_path: Path
) -> AsyncIterator[tuple[httpx.AsyncClient, list[Caller]]]:
    """The routes on the session of the test, and who calls them."""
    app = FastAPI()
    app.state.limit = limit
    rest.install(app)
    app.include_router(router)
    app.state.settings = config.Settings(content_dir=tmp_path)

    async def transaction(request: rest.Request) -> AsyncIterator[AsyncSession]:
        kept = dict(library.info)
        await limit(request, library)
        yield library
        library.info.clear()
        library.info.update(kept)

    app.dependency_overrides[rest.transaction] = transaction
    callers = [caller("Lan", Role.PROVINCE_EDITOR)]
    app.add_middleware(Known, callers=callers)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1") as http:
        yield http, callers


async def test_pages_run_backwards(client: tuple[httpx.AsyncClient, list[Caller]]) -> None:
    http, _ = client
    titles = []
    query: dict[str, Any] = {"order": "newest", "limit": 2}
    while True:
        page = (await http.get("/bulletins", params=query)).json()
        titles += [each["title"] for each in page["items"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert titles == list(reversed(TITLES))
    oldest = (await http.get("/bulletins")).json()["items"]
    assert [each["title"] for each in oldest] == list(TITLES)


async def test_words_of_what_one_may_not_read_find_nothing(
    client: tuple[httpx.AsyncClient, list[Caller]],
) -> None:
    http, callers = client
    callers[-1] = at("21035")
    assert (await http.get("/bulletins", params={"q": "so tan"})).json()["items"] == []
    callers[-1] = at("21034")
    [own] = (await http.get("/bulletins", params={"q": "so tan"})).json()["items"]
    assert own["subject"] == "disaster"


async def test_a_draft_of_another_station_is_not_found_by_its_words(
    client: tuple[httpx.AsyncClient, list[Caller]], library: AsyncSession, tmp_path: Path
) -> None:
    http, callers = client
    made = await bulletin(library, title="Của tỉnh", area_code=PROVINCE)
    for state, text in ((RevisionState.APPROVED, "xanh"), (RevisionState.DRAFT, "núi lửa")):
        row = await revision(library, made, prepared(tmp_path), state)
        row.text = text
    library.add(schedule(made.id, NOW, NOW, targets=[{"area": "21034"}]))
    await library.flush()
    assert len((await http.get("/bulletins", params={"q": "nui lua"})).json()["items"]) == 1
    callers[-1] = at("21034")
    for words, number in (("xanh", 1), ("nui lua", 0)):
        answer = await http.get("/bulletins", params={"q": words})
        assert len(answer.json()["items"]) == number, words


async def test_a_recording_is_copied_with_its_sound(
    client: tuple[httpx.AsyncClient, list[Caller]],
) -> None:
    http, _ = client
    [one] = (await http.get("/bulletins", params={"q": "tiem"})).json()["items"]
    answer = await http.post(
        f"/bulletins/{one['id']}/copies",
        json={"area_code": "21035", "title": "Tiêm phòng đợt 3", "tags": "đợt 3"},
    )
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["title"], made["tags"], made["area_code"]) == (
        "Tiêm phòng đợt 3", ["đợt 3"], "21035"
    )  # fmt: skip
    [copied] = made["revisions"]
    [original] = (await http.get(f"/bulletins/{one['id']}")).json()["revisions"]
    assert copied["state"] == "draft"
    same = ("renditions", "seconds", "loudness_lufs", "facts", "source_name")
    assert {name: copied[name] for name in same} == {name: original[name] for name in same}


async def test_a_text_is_copied_as_a_text(
    client: tuple[httpx.AsyncClient, list[Caller]], library: AsyncSession
) -> None:
    http, _ = client
    [one] = (await http.get("/bulletins", params={"q": "so tan"})).json()["items"]
    answer = await http.post(f"/bulletins/{one['id']}/copies", json={"area_code": "21034"})
    assert answer.status_code == 202, answer.text
    [copied] = answer.json()["revisions"]
    assert copied["text"].startswith("Bà con vùng trũng")
    assert "mười bảy giờ" in copied["spoken"]
    assert copied["preparation"]["state"] == "waiting"


async def test_what_cannot_be_copied_says_why(
    client: tuple[httpx.AsyncClient, list[Caller]], library: AsyncSession, tmp_path: Path
) -> None:
    http, callers = client
    draft = await bulletin(library, title="Nháp")
    await revision(library, draft, prepared(tmp_path))
    refused = await http.post(f"/bulletins/{draft.id}/copies", json={"area_code": "21034"})
    assert (refused.status_code, "được duyệt" in refused.json()["detail"]) == (409, True)
    named = {"area_code": "21034", "revision": 1}
    assert (await http.post(f"/bulletins/{draft.id}/copies", json=named)).status_code == 201
    callers[-1] = at("21035")
    elsewhere = await http.post(f"/bulletins/{draft.id}/copies", json=named)
    assert elsewhere.status_code == 403
    foreign = await http.post(f"/bulletins/{draft.id}/copies", json=named | {"area_code": "21035"})
    assert foreign.status_code == 404

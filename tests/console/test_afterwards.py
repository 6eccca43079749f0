"""Library, approvals and what became of an occurrence, as pages; figures equal those of REST."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.auth.permissions import Role
from broadcast.bulletins.audio.prepared import Prepared
from broadcast.bulletins.model import Bulletin, RevisionState, Subject
from broadcast.console.plays import on_air, villages_of
from broadcast.kit import clock, db
from broadcast.plays.closer import close_due
from broadcast.plays.schemas import OccurrenceCountsOut, OccurrenceResultOut
from broadcast.schedules.model import Occurrence
from tests.bulletins.make import bulletin, prepared, revision
from tests.callers import caller
from tests.console.conftest import Pages
from tests.devices.fleet import EIGHT
from tests.plays.world import CLOSED, COMMUNE, WAIT, ended, make, skipped, started

REST = {"Accept": "application/json"}


class Made(NamedTuple):
    occurrence: Occurrence
    bulletin: Bulletin
    sound: Prepared

    @property
    def approval(self) -> str:
        return f"/approvals/{self.bulletin.id}/1"


@pytest.fixture
async def made(pages: Pages, engine: AsyncEngine, tmp_path: Path) -> Made:
    """An occurrence that sounded in one village of two, and a bulletin that waits for approval."""
    async with db.transaction(engine) as session:
        world = await make(session)
        occurrence = await world.planned()
        await world.report(started(1, occurrence), ended(2, occurrence))
        await world.report(skipped(1, occurrence, "powered_off"), device="D-2")
        await close_due(session, CLOSED, WAIT)
        waiting = await bulletin(
            session, title="Sơ tán vùng trũng", area_code=COMMUNE, subject=Subject.DISASTER,
            tags=["bão số 9"],
        )  # fmt: skip
        sound = prepared(tmp_path)
        row = await revision(session, waiting, sound, RevisionState.SUBMITTED)
        row.text = row.spoken = "Bà con chuẩn bị trước mười bảy giờ."
    return Made(occurrence, waiting, sound)


def words(text: str) -> str:
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text)))


async def rest(pages: Pages, path: str) -> Any:
    answer = await pages.client.get(f"/api/v1{path}", headers=REST)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_an_occurrence_says_where_it_sounded_and_why_not(pages: Pages, made: Made) -> None:
    answer = await pages.load(f"/plays/{made.occurrence.id}")
    assert answer.status_code == 200
    told = await rest(pages, f"/occurrences/{made.occurrence.id}/result")
    shown = words(answer.text)
    assert told["answer"] in shown
    for village in told["villages"]:
        assert village["name"] in shown
        assert village["remedy"] in shown
    assert told["clusters"][0]["verdict"] in shown
    figures = dict(re.findall(r'data-figure="/counts/(\w+)">(\d+)<', answer.text))
    assert figures == {name: str(count) for name, count in told["counts"].items()}
    part = await pages.load(f"/plays/{made.occurrence.id}/result")
    assert part.text.strip().startswith("<section")
    assert 'data-live="plays"' in part.text


async def test_why_it_did_not_sound_at_a_cluster(pages: Pages, made: Made) -> None:
    listed = await pages.load(f"/plays/{made.occurrence.id}")
    assert f'href="/plays/{made.occurrence.id}/C-2"' in listed.text
    answer = await pages.load(f"/plays/{made.occurrence.id}/C-2")
    told = await rest(pages, f"/plays/{made.occurrence.id}/C-2/explain")
    shown = words(answer.text)
    assert told["verdict"] in shown
    for entry in told["timeline"]:
        assert entry["text"] in shown


async def test_content_is_for_who_may_read_it(pages: Pages, made: Made) -> None:
    path = f"/plays/{made.occurrence.id}"
    pages.called_by(Role.TECHNICIAN)
    text = (await pages.load(path)).text
    assert "<audio" not in text
    assert "/bulletins/" not in text
    assert (await pages.load("/bulletins")).status_code == 403
    assert (await pages.load(made.approval)).status_code == 403


async def test_the_library_finds_as_rest_does(pages: Pages, made: Made) -> None:
    for query in ({"q": "so tan"}, {"subject": "disaster", "state": ""}, {"tag": "bao so 9"}):
        answer = await pages.load("/bulletins", **query)
        assert "Sơ tán vùng trũng" in answer.text
        assert "Bản tin sáng" not in answer.text
    nothing = await pages.load("/bulletins", q="không có chữ này")
    assert "Hãy bớt điều kiện" in nothing.text
    both = await pages.load("/bulletins")
    assert both.text.index("Bản tin sáng") != both.text.index("Sơ tán vùng trũng")


async def test_a_bulletin_shows_what_may_be_done_next(pages: Pages, made: Made) -> None:
    path = f"/bulletins/{made.bulletin.id}"
    pages.called_by(Role.COMMUNE_MONITOR, COMMUNE)
    seen = (await pages.load(path)).text
    assert "Bà con chuẩn bị" in seen
    assert "hx-post" not in seen.replace('hx-post="/sign-out"', "").replace("/display", "")
    pages.called_by(Role.COMMUNE_APPROVER, COMMUNE)
    approver = (await pages.load(path)).text
    assert f'href="{made.approval}#hear"' in approver
    assert "Không lịch nào bị ảnh hưởng." in approver


async def test_a_withdrawal_says_its_consequence_and_is_made(
    pages: Pages, made: Made, engine: AsyncEngine
) -> None:
    path = f"/bulletins/{made.bulletin.id}"
    answer = await pages.submit(f"{path}/1/withdraw")
    assert (answer.status_code, answer.headers["hx-redirect"]) == (204, path)
    assert (await rest(pages, path))["revisions"][0]["state"] == "withdrawn"


async def test_a_copy_is_a_draft_of_its_own(pages: Pages, made: Made) -> None:
    pages.called_by(Role.COMMUNE_BROADCASTER, COMMUNE)
    answer = await pages.submit(
        f"/bulletins/{made.occurrence.bulletin_id}/copies", area_code=COMMUNE, title="Lần nữa"
    )
    assert answer.status_code == 204, answer.text
    copied = await rest(pages, answer.headers["hx-redirect"])
    assert (copied["title"], copied["revisions"][0]["state"]) == ("Lần nữa", "draft")


async def test_what_waits_is_listed_and_is_approved_once_it_was_heard(
    pages: Pages, made: Made
) -> None:
    listed = (await pages.load("/approvals")).text
    assert f'href="{made.approval}#hear"' in listed
    assert f'href="{made.approval}#hear"' in (await pages.load("/")).text
    assert "1 bản tin chờ duyệt." in words(listed)
    shown = (await pages.load(made.approval)).text
    mp3 = made.sound.renditions[1].sha256
    assert f'data-sha256="{mp3}"' in shown
    assert re.search(r"<button[^>]* disabled>Duyệt</button>", shown)
    assert "Bà con chuẩn bị" in shown
    unheard = await pages.submit(f"{made.approval}/approve", heard_sha256="")
    assert unheard.status_code == 422
    other = await pages.submit(f"{made.approval}/approve", heard_sha256="0" * 64)
    assert (other.status_code, other.json()["field"]) == (422, "heard_sha256")
    done = await pages.submit(f"{made.approval}/approve", heard_sha256=mp3)
    assert (done.status_code, done.headers["hx-redirect"]) == (204, "/approvals")
    told = await rest(pages, f"/bulletins/{made.bulletin.id}")
    assert told["revisions"][0]["state"] == "approved"
    assert "Không có bản tin nào chờ duyệt." in (await pages.load("/approvals")).text
    again = (await pages.load(made.approval)).text
    assert "Không thể duyệt" in again
    assert "data-heard" not in again


async def test_a_return_needs_a_word(pages: Pages, made: Made) -> None:
    empty = await pages.submit(f"{made.approval}/return", note=" ")
    assert (empty.status_code, empty.json()["field"]) == (422, "note")
    done = await pages.submit(f"{made.approval}/return", note="Đọc sai giờ.")
    assert done.headers["hx-redirect"] == "/approvals"
    assert "Đọc sai giờ." in (await pages.load(f"/bulletins/{made.bulletin.id}")).text


async def test_nobody_is_offered_to_approve_what_they_made(
    pages: Pages, made: Made, engine: AsyncEngine
) -> None:
    author = caller("Tâm", Role.PROVINCE_ADMIN).account_id
    async with db.transaction(engine) as session:
        await session.execute(
            sa.text("UPDATE bulletin_revisions SET created_by = :a WHERE text IS NOT NULL"),
            {"a": author},
        )
    shown = (await pages.load(made.approval)).text
    assert "phải do người khác duyệt" in shown
    assert "data-heard" not in shown


def counted(minutes: float, **counts: int) -> OccurrenceCountsOut:
    example = OccurrenceCountsOut.model_json_schema()["example"]
    at = EIGHT + timedelta(minutes=minutes)
    given = {"starts_at": at, "counts": counts, "class_": "normal"}
    return OccurrenceCountsOut.model_validate(example | given | {"title": f"{minutes}"})


def test_on_the_air_is_what_devices_say_and_what_was_planned() -> None:
    found = [
        counted(-60, sounded=1),
        counted(-30, playing=1),
        counted(-6, sounded=1),
        counted(-5, waiting=1),
        counted(20, waiting=1),
    ]
    divided = on_air(found, EIGHT)
    assert [each.title for each in divided.playing] == ["-30", "-5"]
    assert [each.title for each in divided.coming] == ["20"]
    assert [each.title for each in divided.over] == ["-6", "-60"]


async def test_what_is_on_the_air_is_a_page(
    pages: Pages, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "now", lambda: EIGHT + timedelta(minutes=30))
    answer = await pages.load("/on-air")
    assert answer.status_code == 200
    assert "Bản tin sáng" in answer.text
    assert "Lúc này không có bản tin nào đang phát." in answer.text


def test_villages_are_paged_and_found_without_accents() -> None:
    example = OccurrenceResultOut.model_json_schema()["example"]
    village = {
        "code": "V", "commune_code": "1", "commune": "xã An Phú", "sounding": "sounded",
        "reason_text": "", "remedy": "", "clusters": [],
    }  # fmt: skip
    result = OccurrenceResultOut.model_validate(
        example
        | {"class_": "normal", "villages": [village | {"name": f"thôn {n}"} for n in range(120)]}
    )
    last = villages_of(result, "", 9)
    assert (last.number, last.pages_count, len(last.rows)) == (3, 3, 20)
    assert villages_of(result, "thon 11", 1).found_count == 11
    assert villages_of(result, "an phu", 1).found_count == 120
    assert villages_of(result, "x", 1).rows != []
    assert villages_of(result, "zz", 1).rows == []

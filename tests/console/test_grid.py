"""The pages of the grid: a session is made, filled, ordered and ended; a bulletin played now."""

from __future__ import annotations

import re
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.areas.model import VillageLanguages
from broadcast.areas.topology import touch
from broadcast.auth.permissions import Role
from broadcast.kit import clock, db
from broadcast.regulations.model import RegulationRow
from broadcast.streams.model import StreamCodec, StreamSource
from broadcast.wire.fields import BulletinClass
from tests.console.conftest import Pages
from tests.console.test_inbox import approved
from tests.inbox.conftest import AN, NOW, build

N = BulletinClass.NORMAL


@pytest.fixture(autouse=True)
async def places(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    async with db.transaction(engine) as session:
        await build(session)


SESSION: dict[str, str | list[str]] = {
    "area_code": AN, "name": "Buổi chiều", "day": "2024-12-28", "time": "17:00", "minutes": "5",
    "weekday": ["MO", "TU", "WE", "TH", "FR", "SA", "SU"],
}  # fmt: skip


def order(text: str) -> list[str]:
    """Titles in the editor, in order."""
    part = text[text.index("data-order") : text.index("</ol>", text.index("data-order"))]
    return re.findall(r'<a href="/bulletins/[^"]+">([^<]+)</a>', part)


async def test_a_session_is_made_filled_ordered_and_ended(
    pages: Pages, engine: AsyncEngine
) -> None:
    titles = ("Nhạc hiệu", "Mùa vụ", "Họp dân", "Chào")
    made = [await approved(pages, engine, AN, N, title) for title in titles]
    pages.called_by(Role.COMMUNE_BROADCASTER, AN)
    assert "Chưa có buổi phát thanh nào" in (await pages.load("/grid")).text
    refused = await pages.submit("/grid/new", **(SESSION | {"weekday": []}))
    assert refused.json()["field"] == "weekday"
    answer = await pages.submit("/grid/new", **SESSION)
    here = answer.headers["HX-Redirect"]
    for bulletin, kind in zip(
        [made[0], made[3], made[1], made[2]], ["signature", "closing", "own", "own"], strict=True
    ):
        answer = await pages.submit(f"{here}/items", bulletin_id=bulletin, kind=kind)
        assert answer.status_code == 204, answer.text
    page = await pages.load(here)
    assert order(page.text) == [*titles]
    assert "17:00:00" in page.text
    ids = re.findall(r'name="item" value="([^"]+)"', page.text)
    seen = re.findall(r'name="seen" value="([^"]+)"', page.text)[0]
    part = await pages.submit(f"{here}/order", item=[ids[0], ids[2], ids[1], ids[3]], seen=seen)
    assert order(part.text) == ["Nhạc hiệu", "Họp dân", "Mùa vụ", "Chào"]
    stale = await pages.submit(f"{here}/order", item=ids[:3])
    assert stale.status_code == 409
    changed = {name: each for name, each in SESSION.items() if name != "area_code"}
    changed["minutes"] = "4"
    answer = await pages.submit(f"{here}/settings", **changed)
    assert answer.status_code == 204, answer.text
    page = await pages.load("/grid")
    assert page.text.count("không đủ giờ trong buổi phát nên bị bỏ") == 7
    await pages.submit(f"{here}/skip", day="2024-12-29")
    assert "đã bỏ buổi" in (await pages.load(here)).text
    await pages.submit(f"{here}/items/{ids[1]}/remove")
    assert order((await pages.load(here)).text) == ["Nhạc hiệu", "Họp dân", "Chào"]
    heard = await pages.load("/schedule/heard", on="2024-12-28")
    assert heard.text.index("Nhạc hiệu") < heard.text.index("Họp dân") < heard.text.index("Chào")
    assert heard.text.count("<audio") == 3
    assert "Nghe thử cả ngày" in heard.text
    await pages.submit(f"{here}/end")
    assert "Chưa có buổi phát thanh nào" in (await pages.load("/grid")).text


async def test_a_relay_is_put_into_a_session_at_its_hour(
    pages: Pages, engine: AsyncEngine
) -> None:
    fallback, own = [await approved(pages, engine, AN, N, each) for each in ("Xin lỗi", "Mùa vụ")]
    pages.called_by(Role.COMMUNE_BROADCASTER, AN)
    answer = await pages.submit("/grid/new", **SESSION)
    here = answer.headers["HX-Redirect"]
    assert "Chưa có nguồn tiếp âm nào" in (await pages.load(here)).text
    async with db.transaction(engine) as session:
        by = await session.scalar(sa.text("SELECT min(id) FROM accounts"))
        row = StreamSource(
            name="VOV1", area_code="51", urls=["https://radio.example/vov1.mp3"],
            codec=StreamCodec.MP3, fallback_bulletin_id=UUID(fallback), entered_by=by,
            entered_at=NOW,
        )  # fmt: skip
        session.add(row)
        await session.flush()
        source = row.id
    await pages.submit(f"{here}/items", bulletin_id=own)
    assert "VOV1" in (await pages.load(here)).text
    new = {"relay_source_id": str(source), "kind": "relay", "relay_at": "17:02"}
    unsaid = await pages.submit(f"{here}/items", **new, relay_minutes="")
    assert (unsaid.status_code, unsaid.json()["field"]) == (422, "relay_minutes")
    late = await pages.submit(f"{here}/items", **new, relay_minutes="4")
    assert (late.status_code, late.json()["field"]) == (422, "relay_at")
    answer = await pages.submit(f"{here}/items", **new, relay_minutes="3")
    assert answer.status_code == 204, answer.text
    text = (await pages.load(here)).text
    assert order(text) == ["Mùa vụ", "Tiếp âm VOV1"]
    assert "tiếp âm lúc 17:02, cố định" in text
    assert "17:02:00" in text
    relay = re.findall(r'name="item" value="([^"]+)"', text)[1]
    moved = f"{here}/items/{relay}/relay"
    beyond = await pages.submit(moved, relay_at="17:04", relay_minutes="3")
    assert (beyond.status_code, beyond.json()["field"]) == (422, "relay_at")
    gone = await pages.submit(f"{here}/items/{uuid4()}/relay", relay_at="17:01", relay_minutes="2")
    assert gone.status_code == 409
    part = (await pages.submit(moved, relay_at="17:01", relay_minutes="2")).text
    assert "tiếp âm lúc 17:01, cố định, 2 phút" in part
    assert "17:01:00" in part
    assert order(part) == ["Mùa vụ", "Tiếp âm VOV1"]


async def test_what_a_village_hears_is_said_with_its_languages_and_quotas(
    pages: Pages, engine: AsyncEngine
) -> None:
    made = [await approved(pages, engine, AN, N, each) for each in ("Họp dân", "Mùa vụ")]
    pages.called_by(Role.COMMUNE_BROADCASTER, AN)
    for bulletin, at in zip(made, ("11:00", "17:00"), strict=True):
        answer = await pages.submit("/grid/new", **(SESSION | {"time": at}))
        await pages.submit(f"{answer.headers['HX-Redirect']}/items", bulletin_id=bulletin)
    plain = (await pages.load("/schedule/heard", on="2024-12-28")).text
    assert plain.count("<audio") == 2
    assert "Người dân ở đây nói" not in plain
    async with db.transaction(engine) as session:
        by = await session.scalar(sa.text("SELECT min(id) FROM accounts"))
        session.add(
            VillageLanguages(
                village_code="T-2", valid_from=NOW.date(), changed_by=by, changed_at=NOW,
                languages=[{"language": "hre", "share": None}, {"language": "vi", "share": None}],
            )
        )  # fmt: skip
        session.add(
            RegulationRow(
                area_code=AN, number="1/QC-UBND", signed_on=NOW.date(), valid_from=NOW.date(),
                entered_by=by, entered_at=NOW, sessions_per_day=1,
            )
        )  # fmt: skip
        await touch(session)
    text = " ".join((await pages.load("/schedule/heard", on="2024-12-28")).text.split())
    assert "Người dân ở đây nói tiếng Hrê, tiếng Việt." in text
    assert "1 bản tin bằng tiếng Việt." in text
    assert "nghe bằng tiếng Việt; chưa có tiếng Hrê" in text
    assert "1 bản tin không phát vì vượt hạn mức của Quy chế." in text
    assert text.count("<audio") == 1


async def test_a_bulletin_is_played_now_from_its_page(pages: Pages, engine: AsyncEngine) -> None:
    bulletin = await approved(pages, engine, AN, N, "Lạc trẻ")
    pages.called_by(Role.COMMUNE_BROADCASTER, AN)
    here = f"/bulletins/{bulletin}/play-now"
    assert here in (await pages.load(f"/bulletins/{bulletin}")).text
    assert "T-2" in (await pages.load(here)).text
    refused = await pages.submit(here, when="at_once")
    assert refused.json()["field"] == "place"
    answer = await pages.submit(here, when="at_once", place="T-2")
    assert answer.headers["HX-Redirect"].startswith("/plays/"), answer.text
    found = await pages.client.get("/api/v1/occurrences")
    (row,) = found.json()["items"]
    assert row["starts_at"][:19] == f"{(NOW + timedelta(hours=7, seconds=10)):%Y-%m-%dT%H:%M:%S}"
    pages.called_by(Role.COMMUNE_MONITOR, AN)
    assert here not in (await pages.load(f"/bulletins/{bulletin}")).text

"""The pages of the inbox: what waits, one press to pick, the order, and the figures of REST."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.areas.model import Level
from broadcast.areas.topology import touch
from broadcast.auth.permissions import Role
from broadcast.bulletins.model import RevisionState
from broadcast.kit import clock, db
from broadcast.wire.fields import BulletinClass
from tests.bulletins import make
from tests.console.conftest import Pages
from tests.console.figures import compare
from tests.inbox.conftest import AN, NOW, PHU, build, place_all
from tests.province import area

P, N = BulletinClass.PRIORITY, BulletinClass.NORMAL


@pytest.fixture(autouse=True)
async def places(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    async with db.transaction(engine) as session:
        await build(session)


async def sent(pages: Pages, engine: AsyncEngine, class_: BulletinClass, title: str) -> str:
    """A bulletin of the province for both communes; the item of Nghĩa An."""
    bulletin = await approved(pages, engine, "51", class_, title)
    pages.called_by(Role.PROVINCE_ADMIN)
    body = {
        "bulletin_id": bulletin, "areas": [AN, PHU],
        "useful_until": (NOW + timedelta(days=9)).isoformat(),
    }  # fmt: skip
    answer = await pages.client.post("/api/v1/inbox-items", json=body)
    assert answer.status_code == 200, answer.text
    await place_all(engine, NOW)
    pages.called_by(Role.COMMUNE_BROADCASTER, AN)
    return next(str(each["id"]) for each in answer.json() if each["commune_code"] == AN)


async def approved(
    pages: Pages, engine: AsyncEngine, area: str, class_: BulletinClass, title: str
) -> str:
    async with db.transaction(engine) as session:
        made = await make.bulletin(session, area_code=area, class_=class_, title=title)
        body = str(made.id).encode()
        sound = make.prepared(pages.settings.content_dir, b"opus" + body, b"mp3" + body)
        await make.revision(session, made, sound, RevisionState.APPROVED)
        return str(made.id)


async def test_what_waits_is_counted_heard_and_picked_with_one_press(
    pages: Pages, engine: AsyncEngine
) -> None:
    item = await sent(pages, engine, N, "Tiêm chủng")
    page = await pages.load("/inbox")
    assert "1 tin của cấp trên chờ xã chọn" in page.text
    assert "Tiêm chủng" in page.text
    assert (await pages.load("/inbox/count")).text.strip() == "(1)"
    assert "1 tin của cấp trên chờ xã chọn" in (await pages.load("/")).text
    page = await pages.load(f"/inbox/{item}")
    assert "/audio?codec=mp3" in page.text
    assert "Giờ trống được đề nghị: 17:00 thứ Bảy 28/12" in page.text
    answer = await pages.submit(f"/inbox/{item}/pick", day="2024-12-28", time="17:00")
    assert answer.headers["HX-Redirect"].startswith("/schedule/"), answer.text
    page = await pages.load(f"/inbox/{item}")
    assert "đã nhận phát" in page.text
    assert "/pick" not in page.text
    assert (await pages.load("/inbox/count")).text.strip() == ""
    refused = await pages.submit(f"/inbox/{item}/pick", day="2024-12-28", time="17:00")
    assert refused.status_code == 409


async def test_declining_asks_for_a_reason_and_who_is_not_of_the_commune_only_reads(
    pages: Pages, engine: AsyncEngine
) -> None:
    item = await sent(pages, engine, N, "Tiêm chủng")
    empty = await pages.submit(f"/inbox/{item}/decline", reason=" ")
    assert empty.json()["field"] == "reason"
    answer = await pages.submit(f"/inbox/{item}/decline", reason="Đã phát tuần trước")
    assert answer.headers["HX-Redirect"] == "/inbox"
    pages.called_by(Role.PROVINCE_ADMIN)
    page = await pages.load(f"/inbox/{item}")
    assert "Xã đã từ chối: Đã phát tuần trước" in page.text
    assert "/decline" not in page.text
    assert (await pages.load("/inbox/count")).text.strip() == ""  # the other commune is to answer
    page = await pages.load("/inbox/compliance")
    assert "Đã phát tuần trước (1)" in page.text
    assert await compare(pages, "/inbox/compliance?from=2024-12-01&to=2024-12-28") == 20 + 4
    csv = await pages.load("/api/v1/inbox-compliance.csv")
    rows = [line.split(",") for line in csv.text.splitlines()]
    assert [row[2:6] for row in rows[1:]] == [
        ["1", "0", "0", "0"], ["1", "0", "1", "0"], ["2", "0", "1", "0"],
    ]  # fmt: skip


async def test_both_orders_are_shown_and_one_is_chosen(pages: Pages, engine: AsyncEngine) -> None:
    own = await approved(pages, engine, AN, P, "Ngừng cấp nước")
    pages.called_by(Role.COMMUNE_BROADCASTER, AN)
    body = {
        "bulletin_id": own, "targets": [{"area": AN}], "starts_at": "2024-12-28T17:00:00+07:00",
    }  # fmt: skip
    assert (await pages.client.post("/api/v1/schedules", json=body)).status_code == 201
    item = await sent(pages, engine, P, "Sốt xuất huyết")
    assert "1 tin ưu tiên trùng giờ với tin của xã" in (await pages.load("/inbox")).text
    page = await pages.load(f"/inbox/{item}")
    assert "Xã chọn đến 16:55" in page.text
    assert page.text.count("Ngừng cấp nước") == 2
    answer = await pages.submit(f"/inbox/{item}/order", source_first="false")
    assert answer.headers["HX-Redirect"] == f"/inbox/{item}", answer.text
    page = await pages.load(f"/inbox/{item}")
    assert "đã chọn lúc" in page.text


async def test_how_far_a_priority_bulletin_is_placed_is_seen_on_its_page(
    pages: Pages, engine: AsyncEngine
) -> None:
    bulletin = await approved(pages, engine, "51", P, "Sốt xuất huyết")
    pages.called_by(Role.PROVINCE_EDITOR)
    path = f"/bulletins/{bulletin}"
    today = f"{NOW:%Y-%m-%d}"
    await pages.submit(f"{path}/send", useful_until=today, place=[AN, PHU])
    assert "Đã xếp giờ ở 0/2 xã" in (await pages.load(f"{path}/send")).text
    pages.called_by(Role.COMMUNE_BROADCASTER, AN)
    item = (await pages.client.get("/api/v1/inbox-items")).json()["items"][0]["id"]
    shown = (await pages.load(f"/inbox/{item}")).text
    assert "Hệ thống đang xếp giờ phát" in shown
    assert f"/inbox/{item}/pick" in shown
    late = NOW.replace(hour=14, minute=50)  # 21:50: what lasts a minute finds no time any more
    await place_all(engine, late)
    pages.called_by(Role.PROVINCE_EDITOR)
    shown = (await pages.load(f"{path}/sent")).text
    assert "Đã xếp giờ ở" not in shown
    assert "Xã phải tự chọn giờ" in shown
    assert shown.count("không còn giờ trống nào") == 2
    pages.called_by(Role.COMMUNE_BROADCASTER, AN)
    assert "Hệ thống không xếp được giờ" in (await pages.load(f"/inbox/{item}")).text


async def test_a_bulletin_is_sent_from_its_page(pages: Pages, engine: AsyncEngine) -> None:
    bulletin = await approved(pages, engine, "51", N, "Tiêm chủng")
    pages.called_by(Role.PROVINCE_EDITOR)
    assert f"/bulletins/{bulletin}/send" in (await pages.load(f"/bulletins/{bulletin}")).text
    form = await pages.load(f"/bulletins/{bulletin}/send")
    assert "Tin thông thường vào hộp tin đến của xã" in form.text
    assert f'value="{AN}"' in form.text
    past = await pages.submit(f"/bulletins/{bulletin}/send", useful_until="2020-01-01")
    assert past.status_code == 422
    until = f"{NOW + timedelta(days=3):%Y-%m-%d}"
    sent = await pages.submit(f"/bulletins/{bulletin}/send", useful_until=until, place=[AN])
    assert sent.headers["HX-Redirect"] == f"/bulletins/{bulletin}/send"
    assert "1 xã" in (await pages.load(f"/bulletins/{bulletin}/send")).text
    pages.called_by(Role.COMMUNE_BROADCASTER, AN)
    assert "Tiêm chủng" in (await pages.load("/inbox")).text
    pages.called_by(Role.COMMUNE_BROADCASTER, PHU)
    assert "Tiêm chủng" not in (await pages.load("/inbox")).text


async def test_villages_are_chosen_by_list_or_map_and_told_to_their_commune(
    pages: Pages, engine: AsyncEngine
) -> None:
    bulletin = await approved(pages, engine, "51", N, "Tiêm chủng")
    pages.called_by(Role.PROVINCE_ADMIN)
    form = (await pages.load(f"/bulletins/{bulletin}/send")).text
    assert 'name="place"' in form
    assert 'value="T-2"' in form
    assert "/schedule/new/map" in form
    until = str((NOW + timedelta(days=3)).date())
    # T-2 is all of Nghĩa An today: the whole commune was chosen.
    await pages.submit(f"/bulletins/{bulletin}/send", useful_until=until, place=["T-2"])
    (item,) = (await pages.client.get("/api/v1/inbox-items")).json()["items"]
    assert (item["commune_code"], item["villages"]) == (AN, [])
    async with db.transaction(engine) as session:
        session.add(area("T-3", Level.VILLAGE, AN))
        await touch(session)
    other = await approved(pages, engine, "51", N, "Phun thuốc")
    await pages.submit(f"/bulletins/{other}/send", useful_until=until, place=["T-3"])
    found = (await pages.client.get("/api/v1/inbox-items")).json()["items"]
    (item,) = [each for each in found if each["bulletin_id"] == other]
    assert (item["commune_code"], item["villages"]) == (AN, ["T-3"])
    pages.called_by(Role.COMMUNE_BROADCASTER, AN)
    assert "chỉ 1 thôn" in (await pages.load("/inbox")).text
    assert "Chỉ phát ở 1 thôn:" in (await pages.load(f"/inbox/{item['id']}")).text

"""The pages of languages: asked for, shown as work, heard next, and counted as over REST."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.accounts.people import create_with_token
from broadcast.auth.model import Account
from broadcast.auth.permissions import Role
from broadcast.bulletins.model import PhraseKind, RevisionState
from broadcast.kit import clock, db
from broadcast.wire.fields import BulletinClass
from tests.bulletins import make
from tests.console.conftest import Pages
from tests.console.figures import compare
from tests.inbox.conftest import AN, NOW, PHU, build


@pytest.fixture
async def original(
    pages: Pages, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, int]:
    """A bulletin of the province, and somebody of Nghĩa Phú who reads Hrê."""
    monkeypatch.setattr(clock, "now", lambda: NOW)
    async with db.transaction(engine) as session:
        await build(session)
        await create_with_token(
            session, "Đinh", Role.COMMUNE_BROADCASTER, NOW, area_code=PHU, second_factor=True
        )
        reader = await session.scalar(sa.select(Account.id).where(Account.name == "Đinh"))
        sound = make.prepared(pages.settings.content_dir)
        made = await make.bulletin(session, area_code="51", class_=BulletinClass.PRIORITY)
        await make.revision(session, made, sound, RevisionState.APPROVED)
        phrase = await make.bulletin(
            session, area_code="51", language="hre", phrase=PhraseKind.OPENING,
            title="Kính thưa bà con",
        )  # fmt: skip
        await make.revision(session, phrase, sound, RevisionState.APPROVED)
        assert reader is not None
        return str(made.id), reader


async def test_a_version_is_asked_for_and_shown_until_villages_hear_it(
    pages: Pages, original: tuple[str, int]
) -> None:
    bulletin, reader = original
    pages.called_by(Role.PROVINCE_ADMIN)
    await pages.submit(f"/admin/people/{reader}/languages", languages=["hre"])
    assert "checked" in (await pages.load(f"/admin/people/{reader}")).text
    await pages.submit("/admin/village-languages/T-1", languages="hre:80; vi:20", area=PHU)
    assert "hre:80; vi:20" in (await pages.load("/admin/village-languages", area=PHU)).text

    here = f"/bulletins/{bulletin}/versions"
    assert here in (await pages.load(f"/bulletins/{bulletin}")).text
    asking = await pages.load(here, language="hre", area=PHU)
    assert "Đinh" in asking.text
    await pages.submit(
        here, language="hre", area_code=PHU, reader_id=str(reader), due_on="2024-12-31",
        note="Đọc chậm",
    )  # fmt: skip
    assert "chờ đọc" in (await pages.load(here)).text
    assert "Đọc chậm" in (await pages.load("/languages")).text
    body = {
        "bulletin_id": bulletin, "targets": [{"area": "51"}],
        "starts_at": "2024-12-29T17:00:00+07:00",
    }  # fmt: skip
    assert (await pages.client.post("/api/v1/schedules", json=body)).is_success
    assert "Buổi phát tới" in (await pages.load(here)).text

    pages.called_by(Role.COMMUNE_BROADCASTER, PHU)
    answer = await pages.client.get("/api/v1/version-requests")
    version = answer.json()["items"][0]["version_id"]
    form = await pages.load(f"/bulletins/{version}/edit")
    assert "Bản gốc (phiên bản 1)" in form.text
    assert "Kính thưa bà con" in form.text or "Ghép câu mẫu" not in form.text
    assert (await pages.load(f"/bulletins/{version}")).status_code == 200
    pages.called_by(Role.COMMUNE_BROADCASTER, AN)
    assert "Đọc chậm" not in (await pages.load("/languages")).text


async def test_the_bank_of_phrases_is_searched(pages: Pages, original: tuple[str, int]) -> None:
    pages.called_by(Role.PROVINCE_ADMIN)
    assert "Kính thưa bà con" in (await pages.load("/languages/phrases", q="kinh thua")).text
    nothing = await pages.load("/languages/phrases", language="cua")
    assert "Chưa có câu mẫu nào như vậy" in nothing.text
    library = await pages.load("/bulletins")
    assert "Kính thưa bà con" not in library.text


async def test_the_page_of_what_was_heard_says_what_rest_says(
    pages: Pages, original: tuple[str, int]
) -> None:
    pages.called_by(Role.PROVINCE_ADMIN)
    await pages.submit("/admin/village-languages/T-1", languages="hre", area=PHU)
    shown = await pages.load("/languages/served")
    assert '/served">0</span>/<span data-figure="/villages">1</span> thôn' in shown.text
    assert await compare(pages, "/languages/served") > 3

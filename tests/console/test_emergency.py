"""Emergencies on pages: at most three actions each; what is read back equals REST."""

from __future__ import annotations

import re
from datetime import timedelta
from uuid import UUID

import httpx2 as httpx
import pytest

from broadcast.alerts.model import Alert
from broadcast.areas.contacts import ContactIn, put_contact
from broadcast.auth.permissions import Role
from broadcast.bulletins.model import Revision
from broadcast.bulletins.revision_audio import attach_audio
from broadcast.kit import clock, db
from tests import province
from tests.bulletins import make
from tests.callers import caller
from tests.console.conftest import Pages
from tests.console.figures import compare

FORM = {"headline": "Lũ về", "event": "flood", "text": "Lũ về, lên chỗ cao.", "place": "21001"}


@pytest.fixture
async def pages(pages: Pages) -> Pages:
    engine = pages.app.state.engine
    async with db.transaction(engine) as session:
        villages = {"V1": "V1", "V2": "V2"}
        await province.commune(session, "21001", villages, clock.now() - timedelta(days=1))
        editor = caller("Lan", Role.PROVINCE_ADMIN)
        head = ContactIn(name="Đinh Văn Thôn", phone="0905 123 456")
        await put_contact(session, "V1", head, editor, clock.now())
    return pages


async def prepared(pages: Pages, **changes: str) -> str:
    """Path of an alert whose sound is ready."""
    pages.called_by(Role.DUTY_OFFICER, name="Lan")
    answer = await pages.submit("/emergency/new", **FORM | changes)
    assert answer.status_code == 204, answer.text
    path = answer.headers["HX-Redirect"]
    async with db.transaction(pages.app.state.engine) as session:
        alert = await session.get_one(Alert, UUID(path.rsplit("/", 1)[1]))
        revision = await session.get_one(Revision, (alert.bulletin_id, alert.bulletin_revision))
        attach_audio(session, revision, make.prepared(pages.settings.content_dir))
    return path


async def test_two_people_need_three_actions_and_two(pages: Pages) -> None:
    """The form (1 to open, 2 to send), 3 to propose; the second person opens it and authorises."""
    path = await prepared(pages)
    shown = (await pages.load(path)).text
    assert '<strong data-figure="/reach/clusters_count">2</strong>' in shown
    assert "ngay khi được cho phép" in shown
    assert buttons(shown) == [f"{path}/propose"]
    proposed = await pages.submit(f"{path}/propose")
    assert "Chờ người thứ hai" in proposed.text
    assert buttons(proposed.text) == []
    pages.called_by(Role.PROVINCE_APPROVER, name="Hùng")
    waiting = (await pages.load("/emergency")).text
    assert "1 đề nghị chờ người thứ hai" in waiting
    assert f'href="{path}"' in waiting
    assert buttons((await pages.load(path)).text) == [f"{path}/authorise"]
    authorised = await pages.submit(f"{path}/authorise")
    assert "Đang hiệu lực" in authorised.text
    assert "Bảng theo dõi" in authorised.text


def buttons(shown: str) -> list[str]:
    """What can be held."""
    return re.findall(r'data-hold hx-post="([^"]+)"', shown)


async def test_the_figures_of_the_board_are_those_of_rest(pages: Pages) -> None:
    path = await issued(pages)
    await compare(pages, path)


async def issued(pages: Pages) -> str:
    path = await prepared(pages)
    await pages.submit(f"{path}/propose")
    pages.called_by(Role.PROVINCE_APPROVER, name="Hùng")
    assert (await pages.submit(f"{path}/authorise")).status_code == 200
    return path


async def test_whom_to_call_is_a_list_to_print(pages: Pages) -> None:
    path = await issued(pages)
    listed = (await pages.load(f"{path}/calls")).text
    assert "2 thôn chưa nghe được" in listed
    assert "Đinh Văn Thôn" in listed
    assert "0905 123 456" in listed


async def test_who_speaks_to_the_whole_province_chooses_it_at_once(pages: Pages) -> None:
    pages.called_by(Role.DUTY_OFFICER, name="Lan")
    assert 'value="51"' in (await pages.load("/emergency/new")).text
    pages.called_by(Role.COMMUNE_APPROVER, "21001", name="Lan")
    assert 'value="51"' not in (await pages.load("/emergency/new")).text


async def test_what_is_wrong_is_said_at_its_field(pages: Pages) -> None:
    pages.called_by(Role.DUTY_OFFICER, name="Lan")
    form = {name: value for name, value in FORM.items() if name != "place"}
    nowhere = await pages.submit("/emergency/new", **form)
    assert field(nowhere) == "place"
    path = await prepared(pages)
    assert field(await pages.submit(f"{path}/cancel", reason="")) == "reason"
    assert field(await pages.submit(f"{path}/alone", reason="")) == "reason"


def field(answer: httpx.Response) -> str:
    assert answer.status_code == 422, answer.text
    return str(answer.json()["field"])


async def test_what_one_person_did_alone_stays_in_front_of_the_chiefs(pages: Pages) -> None:
    path = await prepared(pages)
    await pages.submit(f"{path}/alone", reason="không ai nghe máy")
    pages.called_by(Role.PROVINCE_APPROVER, name="Hùng")
    assert "chờ rút kinh nghiệm" in (await pages.load("/emergency")).text
    await pages.submit(f"{path}/debrief", debrief="đúng")
    assert "chờ rút kinh nghiệm" not in (await pages.load("/emergency")).text


async def test_an_update_and_a_drill_are_forms_of_their_own(pages: Pages) -> None:
    path = await issued(pages)
    update = {"kind": "update", "headline": "Nước rút", "text": "Nước đang rút."}
    answer = await pages.submit(f"{path}/replace", **update)
    assert "Thay cho tin trước" in (await pages.load(answer.headers["HX-Redirect"])).text
    begin = clock.now().astimezone(clock.LOCAL) + timedelta(days=1)
    drill = await pages.submit(
        "/drills", title="Quý IV", area_code="21001", day=f"{begin:%Y-%m-%d}", begin="08:00",
        end="09:00",
    )  # fmt: skip
    drill_path = drill.headers["HX-Redirect"]
    assert "Quý IV" in (await pages.load("/drills")).text
    assert "Chưa có tin nào" in (await pages.load(drill_path)).text
    of_drill = await prepared(pages, drill=drill_path.rsplit("/", 1)[1])
    assert "loa nói rõ" in (await pages.load(of_drill)).text

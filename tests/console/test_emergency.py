"""Emergencies on pages: at most three actions each; what is read back equals REST."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta
from uuid import UUID

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from pydantic import TypeAdapter

from broadcast.alerts.model import Alert, AlertTemplate
from broadcast.areas.contacts import ContactIn, put_contact
from broadcast.auth.permissions import Role
from broadcast.bulletins import drafts, preparations
from broadcast.bulletins.audio.prepared import Framing, Prepared
from broadcast.bulletins.model import Draft, Preparation, PreparationState, Revision, RevisionState
from broadcast.bulletins.preparations import Source
from broadcast.bulletins.revision_audio import attach_audio
from broadcast.kit import clock, db
from broadcast.wire.fields import BulletinClass
from tests import province
from tests.bulletins import make
from tests.callers import LAN, caller
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
    assert '<strong><span data-figure="/reach/clusters_count">2</span> cụm loa' in shown
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


async def test_the_call_list_is_searched_by_place_person_and_number(pages: Pages) -> None:
    path = await issued(pages)
    for words, villages in (
        ("dinh van", {"V1"}),
        ("0905123", {"V1"}),
        ("905 123", {"V1"}),
        ("v2", {"V2"}),
        ("", {"V1", "V2"}),
    ):
        listed = (await pages.load(f"{path}/calls", q=words)).text
        assert set(re.findall(r'<th scope="row">thôn (V\d)<', listed)) == villages, words
    nobody = (await pages.load(f"{path}/calls", q="không ai")).text
    assert "Không có dòng nào như vậy trong 2 thôn" in nobody


async def test_a_debrief_that_is_owed_is_on_the_start_page_of_who_may_write_it(
    pages: Pages,
) -> None:
    path = await prepared(pages)
    await pages.submit(f"{path}/alone", reason="không ai nghe máy")
    pages.called_by(Role.PROVINCE_MONITOR, name="Hùng")
    assert "chờ rút kinh nghiệm" not in (await pages.load("/")).text
    pages.called_by(Role.PROVINCE_APPROVER, name="Hùng")
    today = (await pages.load("/")).text
    assert "chờ rút kinh nghiệm" in today
    assert f'<a href="{path}">' in today
    await pages.submit(f"{path}/debrief", debrief="đúng")
    assert "chờ rút kinh nghiệm" not in (await pages.load("/")).text


async def recorded(pages: Pages, sound: bytes) -> None:
    """Lan has said it into the microphone, and it is ready."""
    made = make.prepared(pages.settings.content_dir, opus=sound)
    result = TypeAdapter(Prepared).dump_python(made, mode="json")
    now = clock.now()
    async with db.transaction(pages.app.state.engine) as session:
        source = Source(sound.hex().zfill(64), file=f"{sound.hex()}.webm")
        settings = pages.settings.audio
        row = await preparations.enqueue(
            session, source, settings, pages.settings.content_dir, BulletinClass.EMERGENCY, now
        )
        row.state, row.result = PreparationState.DONE, result
        session.add(
            Draft(
                account_id=LAN, page=drafts.ALERT, form={}, source_file=source.file,
                source_sha256=source.sha256, source_name="ghi-am.webm", preparation_id=row.id,
                saved_at=now,
            )
        )  # fmt: skip


async def framings(pages: Pages) -> list[Framing]:
    """What is put around the sounds that were asked for, in their order."""
    async with db.transaction(pages.app.state.engine) as session:
        rows = await session.scalars(sa.select(Preparation).order_by(Preparation.id))
        return [framing for row in rows if (framing := preparations.framing_of(row))]


async def test_what_is_said_into_the_microphone_is_the_alert_and_is_used_once(
    pages: Pages,
) -> None:
    await recorded(pages, b"said")
    pages.called_by(Role.DUTY_OFFICER, name="Lan")
    form = (await pages.load("/emergency/new")).text
    assert 'src="/api/v1/bulletin-drafts/alert/sound/audio?codec=opus' in form
    answer = await pages.submit("/emergency/new", **FORM)
    [framing] = await framings(pages)
    assert framing.body == hashlib.sha256(b"said").hexdigest()
    assert (framing.tone, framing.repeats) == (True, 2)
    assert FORM["text"] in (await pages.load(answer.headers["HX-Redirect"])).text
    assert "bulletin-drafts/alert/sound/audio" not in (await pages.load("/emergency/new")).text
    await pages.submit("/emergency/new", **FORM)
    assert [each.body for each in await framings(pages)] == [framing.body, None]


async def test_an_alert_of_a_template_is_valid_as_long_as_that_says(pages: Pages) -> None:
    pages.called_by(Role.DUTY_OFFICER, name="Lan")
    given = {"title": "Bão", "event": "storm", "area_code": "21001", "text": "Bão vào."}
    made = await pages.submit("/emergency/templates/new", **given, minutes="360")
    template = made.headers["HX-Redirect"].rsplit("/", 1)[1]
    async with db.transaction(pages.app.state.engine) as session:
        stored = await session.get_one(AlertTemplate, UUID(template))
        revision = await session.get_one(Revision, (stored.bulletin_id, 1))
        attach_audio(session, revision, make.prepared(pages.settings.content_dir))
        revision.state = RevisionState.APPROVED
    form = (await pages.load(f"/emergency/new?template={template}")).text
    assert "Bão (360 phút)" in form
    assert '<option value="0">Theo mẫu; không có mẫu thì 60</option>' in form
    for chosen, minutes in (("0", 360), ("15", 15)):
        answer = await pages.submit(
            "/emergency/new", template=template, place="21001", minutes=chosen
        )
        shown = (await pages.load(answer.headers["HX-Redirect"])).text
        assert f"Hiệu lực {minutes} phút." in shown


async def test_an_update_is_said_into_the_microphone_like_the_alert_before_it(
    pages: Pages,
) -> None:
    path = await issued(pages)
    pages.called_by(Role.DUTY_OFFICER, name="Lan")
    assert f'href="{path}/replace"' in (await pages.load(path)).text
    empty = (await pages.load(f"{path}/replace")).text
    assert 'data-way="record"' in empty
    update = {"kind": "update", "headline": "Nước rút", "minutes": "30"}
    assert field(await pages.submit(f"{path}/replace", **update)) == "text"
    await recorded(pages, b"said")
    form = (await pages.load(f"{path}/replace")).text
    assert 'src="/api/v1/bulletin-drafts/alert/sound/audio?codec=opus' in form
    answer = await pages.submit(f"{path}/replace", **update, text="Nước rút dần.")
    [of_alert, of_update] = await framings(pages)
    assert of_alert.body is None
    assert of_update.body == hashlib.sha256(b"said").hexdigest()
    assert (of_update.tone, of_update.repeats) == (False, 2)
    here = answer.headers["HX-Redirect"]
    shown = (await pages.load(here)).text
    assert "Nước rút dần." in shown
    assert "Hiệu lực 30 phút" in shown
    assert "bulletin-drafts/alert/sound/audio" not in (await pages.load(f"{path}/replace")).text
    # It is framed as every other; once its sound is there it takes the place of the first.
    async with db.transaction(pages.app.state.engine) as session:
        alert = await session.get_one(Alert, UUID(here.rsplit("/", 1)[1]))
        revision = await session.get_one(Revision, (alert.bulletin_id, alert.bulletin_revision))
        attach_audio(session, revision, make.prepared(pages.settings.content_dir))
    await pages.submit(f"{here}/propose")
    pages.called_by(Role.PROVINCE_APPROVER, name="Hùng")
    assert "Đang hiệu lực" in (await pages.submit(f"{here}/authorise")).text
    pages.called_by(Role.DUTY_OFFICER, name="Lan")
    assert "Tin này không còn thay được nữa." in (await pages.load(f"{path}/replace")).text


async def test_who_may_not_alert_there_is_told_so_instead_of_a_form(pages: Pages) -> None:
    path = await issued(pages)
    pages.called_by(Role.COMMUNE_APPROVER, "21002", name="Lan")
    assert "<form hx-post" not in (await pages.load(f"{path}/replace")).text.split("<main", 1)[1]


async def test_a_template_is_prepared_heard_submitted_approved_and_used_in_three_actions(
    pages: Pages,
) -> None:
    pages.called_by(Role.DUTY_OFFICER, name="Lan")
    assert field(await pages.submit("/emergency/templates/new", title="Xả lũ")) == "event"
    made = await pages.submit(
        "/emergency/templates/new", title="Xả lũ", event="dam_release", area_code="21001",
        text="Hồ xả lũ.", tone="true", repeats="3", minutes="30",
    )  # fmt: skip
    path = made.headers["HX-Redirect"]
    assert f'hx-post="{path}/submit"' not in (await pages.load(path)).text  # nothing to hear yet
    async with db.transaction(pages.app.state.engine) as session:
        revision = (await session.scalars(sa.select(Revision))).one()
        attach_audio(session, revision, make.prepared(pages.settings.content_dir))
    assert f'hx-post="{path}/submit"' in (await pages.load(path)).text
    submitted = await pages.submit(f"{path}/submit")
    assert "Chờ người duyệt tin nghe và duyệt" in submitted.text
    pages.called_by(Role.PROVINCE_APPROVER, name="Hùng")
    approval = f"/approvals/{revision.bulletin_id}/1"
    assert f'href="{approval}"' in (await pages.load(path)).text
    sound = hashlib.sha256(b"mp3").hexdigest()
    heard = await pages.submit(f"{approval}/approve", heard_sha256=sound)
    assert heard.status_code == 204, heard.text
    assert "Loa tải sẵn" in (await pages.load("/emergency/templates")).text
    # One: its button. Two: to read it back, where the place is chosen by itself. Three: hold.
    pages.called_by(Role.DUTY_OFFICER, name="Lan")
    template_id = path.rsplit("/", 1)[1]
    assert f'href="/emergency/new?template={template_id}"' in (await pages.load("/emergency")).text
    form = (await pages.load("/emergency/new", template=template_id)).text
    assert re.findall(r'name="place" value="(\w+)" checked', form) == ["21001"]
    alert = await pages.submit("/emergency/new", template=template_id, place="21001")
    here = alert.headers["HX-Redirect"]
    assert buttons((await pages.load(here)).text) == [f"{here}/propose"]
    await pages.submit(f"{here}/propose")
    pages.called_by(Role.PROVINCE_APPROVER, name="Hùng")
    assert "Đang hiệu lực" in (await pages.submit(f"{here}/authorise")).text
    await pages.submit(f"{path}/withdraw")
    assert "Xả lũ" not in (await pages.load("/emergency/templates")).text
    assert "Xả lũ" in (await pages.load("/emergency/templates", withdrawn="true")).text

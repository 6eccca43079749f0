"""What becomes of messages that come: once, twice, in any order, in a flood."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast import config
from broadcast.alerts.cap import proposing, receiving
from broadcast.alerts.cap.judge import Action
from broadcast.alerts.cap.model import CapMessage
from broadcast.alerts.model import Alert, AlertEvent, Drill
from broadcast.alerts.state import AlertState
from broadcast.api import create_app
from broadcast.areas.model import Level
from broadcast.areas.topology import touch
from broadcast.auth.permissions import Role
from broadcast.kit import clock
from broadcast.kit.errors import TooManyRequests
from broadcast.wire.fields import AlertMode
from tests.alerts.cap.messages import NOW, alert, area, info, references
from tests.callers import HUNG, caller
from tests.province import area as unit
from tests.web.calling import called_by
from tests.web.routes import worked_out

SERVICE = caller("Hùng", Role.SERVICE)

COMMUNE = area("<geocode><valueName>VN-DVHC</valueName><value>21001</value></geocode>")


@pytest.fixture
def settings(tmp_path: Path) -> config.Settings:
    path = tmp_path / "cap.toml"
    path.write_text('[[issuer]]\nsender = "canhbao@kttv.vn"\nname = "Đài khí tượng"\n')
    return config.Settings(cap=config.Cap(file=path))


async def units(session: AsyncSession) -> None:
    communes = [unit(code, Level.COMMUNE, "51") for code in ("21001", "21002")]
    session.add_all([unit("51", Level.PROVINCE), *communes])
    await session.flush()
    await touch(session)


@pytest.fixture
async def session(session: AsyncSession) -> AsyncSession:
    await units(session)
    return session


def message(
    number: int,
    kind: str = "Alert",
    *before: int,
    grades: str = "Immediate Extreme Observed",
    areas: str = COMMUNE,
    status: str = "Actual",
) -> bytes:
    return alert(
        info(areas=areas, grades=grades),
        status=status,
        identifier=f"<identifier>M{number}</identifier>",
        kind=kind,
        references=references(*(f"M{each}" for each in before)) if before else "",
    )


async def take(session: AsyncSession, settings: config.Settings, data: bytes) -> CapMessage:
    return await receiving.take(session, data, settings, SERVICE, NOW)


async def test_the_same_message_twice_is_one(
    session: AsyncSession, settings: config.Settings
) -> None:
    first = await take(session, settings, message(1))
    second = await take(session, settings, message(1))
    assert (first.id, first.action, first.area_codes) == (second.id, Action.PROPOSE, ["21001"])
    assert await session.scalar(sa.select(sa.func.count()).select_from(CapMessage)) == 1


async def test_an_emergency_waits_for_a_second_person(
    session: AsyncSession, settings: config.Settings
) -> None:
    row = await take(session, settings, message(1))
    found = await session.get_one(Alert, row.alert_id)
    assert found.state_at(NOW) is AlertState.PROPOSED
    assert found.mode is AlertMode.ACTUAL
    assert found.targets == [{"area": "21001"}]
    assert found.texts["vi"].startswith("Lũ quét")
    assert (found.event, found.authorised_by) == (AlertEvent.FLOOD, None)
    assert found.not_after == datetime.fromisoformat("2026-11-29T15:00:00+07:00")


async def test_an_exercise_without_a_drill_and_words_of_no_one_here_are_for_the_inbox(
    session: AsyncSession, settings: config.Settings
) -> None:
    exercise = await take(session, settings, alert(info(areas=COMMUNE), status="Exercise"))
    english = await take(
        session,
        settings,
        alert(
            info(areas=COMMUNE, language="<language>en</language>"),
            identifier="<identifier>E</identifier>",
        ),
    )
    assert (exercise.action, exercise.alert_id) == (Action.BULLETIN, None)
    assert "không có đợt diễn tập" in exercise.reasons[0]
    assert (english.action, english.alert_id) == (Action.BULLETIN, None)
    assert "không có lời tiếng Việt" in english.reasons[0]


async def test_an_exercise_becomes_an_alert_of_the_drill_that_is_on(
    session: AsyncSession, settings: config.Settings
) -> None:
    hour = timedelta(hours=1)
    drill = Drill(
        id=uuid4(), title="Diễn tập", mode=AlertMode.EXERCISE, area_code="51",
        starts_at=NOW - hour, ends_at=NOW + hour, reserve_on=None, created_by=HUNG,
        created_at=NOW, cancelled_at=None,
    )  # fmt: skip
    session.add(drill)
    await session.flush()
    row = await take(session, settings, alert(info(areas=COMMUNE), status="Exercise"))
    found = await session.get_one(Alert, row.alert_id)
    assert (row.action, found.mode) == (Action.DRILL, AlertMode.EXERCISE)
    assert (found.drill_id, found.is_drill) == (drill.id, True)


async def test_another_message_of_the_same_name_is_refused(
    session: AsyncSession, settings: config.Settings
) -> None:
    await take(session, settings, message(1))
    other = await take(session, settings, message(1, grades="Immediate Severe Likely"))
    assert other.action is Action.REFUSE
    assert "đã dùng cho bản tin khác" in other.reasons[0]


async def test_what_was_refused_is_judged_anew(
    session: AsyncSession, settings: config.Settings
) -> None:
    refused = await take(session, config.Settings(), message(1))
    assert refused.action is Action.REFUSE
    assert (await take(session, settings, message(1))).action is Action.PROPOSE


async def test_what_cannot_be_read_is_kept_with_the_reason(
    session: AsyncSession, settings: config.Settings
) -> None:
    row = await take(session, settings, b"<p>404")
    assert (row.action, row.sender, row.document) == (Action.REFUSE, None, b"<p>404")
    assert "không phải XML" in row.reasons[0]


@pytest.mark.parametrize("kind", ["Update", "Cancel"])
async def test_an_end_counts_in_whatever_order_it_comes(
    session: AsyncSession, settings: config.Settings, kind: str
) -> None:
    await take(session, settings, message(1))
    ending = await take(session, settings, message(3, kind, 1, 2))
    late = await take(session, settings, message(2))
    first = (
        await session.scalars(sa.select(CapMessage).where(CapMessage.identifier == "M1"))
    ).one()
    await session.refresh(first)
    assert first.ended_by_id == ending.id
    given_up = await session.get_one(Alert, first.alert_id)
    assert given_up.state_at(NOW) is AlertState.CANCELLED
    assert late.action is Action.RECORD
    assert "M3" in late.reasons[0]
    assert late.alert_id is None


async def test_the_form_of_its_words_makes_no_emergency_less(
    session: AsyncSession, settings: config.Settings
) -> None:
    assert settings.cap.file is not None
    settings.cap.file.write_text(
        'languages = ["vi", "hre", "km"]\n' + settings.cap.file.read_text()
    )
    words = {
        "vi": "Lũ quét\n    đêm nay", "vi-VN": "Ở Trà Bồng", "hre-VN": "Đak", "km-KH": "ទឹកជំនន់",
    }  # fmt: skip
    infos = "".join(
        info(
            areas=COMMUNE,
            language=f"<language>{tag}</language>",
            text=f"<headline>{said}</headline>",
        )
        for tag, said in words.items()
    )
    row = await take(session, settings, alert(infos))
    found = await session.get_one(Alert, row.alert_id)
    assert row.action is Action.PROPOSE
    assert found.headline == "Lũ quét đêm nay"
    assert found.texts == {"vi": "Lũ quét đêm nay\nỞ Trà Bồng", "hre": "Đak"}


async def test_an_update_that_leaves_the_province_gives_the_proposal_up(
    session: AsyncSession, settings: config.Settings
) -> None:
    first = await take(session, settings, message(1))
    abroad = area("<circle>42.3,-82.9 50</circle>")
    moved = await take(session, settings, message(2, "Update", 1, areas=abroad))
    await session.refresh(first)
    assert (moved.action, first.ended_by_id) == (Action.CANCEL, moved.id)
    given_up = await session.get_one(Alert, first.alert_id)
    assert given_up.state_at(NOW) is AlertState.CANCELLED


@pytest.mark.parametrize("kind", ["Update", "Cancel"])
async def test_an_exercise_ends_nothing_that_is_meant(
    session: AsyncSession, settings: config.Settings, kind: str
) -> None:
    meant = await take(session, settings, message(1))
    exercise = await take(session, settings, message(3, kind, 1, 2, status="Exercise"))
    late = await take(session, settings, message(2))
    await session.refresh(meant)
    assert exercise.ends == ["M1", "M2"]
    assert (meant.ended_by_id, late.action) == (None, Action.PROPOSE)
    for row in (meant, late):
        found = await session.get_one(Alert, row.alert_id)
        assert found.state_at(NOW) is AlertState.PROPOSED


async def test_what_is_urgent_does_not_wait_for_the_event_to_begin(
    session: AsyncSession, settings: config.Settings
) -> None:
    far = "<onset>2026-12-10T13:00:00+07:00</onset><expires>2026-12-11T15:00:00+07:00</expires>"
    row = await take(session, settings, alert(info(areas=COMMUNE, times=far)))
    found = await session.get_one(Alert, row.alert_id)
    assert (row.action, found.starts_at, found.valid_minutes) == (Action.PROPOSE, None, 360)


async def test_what_already_sounds_is_ended_by_people(
    session: AsyncSession, settings: config.Settings
) -> None:
    row = await take(session, settings, message(1))
    found = await session.get_one(Alert, row.alert_id)
    found.authorised_at, found.ends_by = NOW, NOW + timedelta(hours=1)
    with session.no_autoflush:
        sounding = await proposing.withdraw(session, [found.id], SERVICE, "hủy", NOW)
    assert sounding == [found.id]
    assert found.ended_at is None
    session.expire(found)


async def test_a_flood_of_emergencies_is_for_the_inbox_and_then_waits(
    session: AsyncSession, settings: config.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "MOST_EMERGENCIES", 2)
    monkeypatch.setattr(receiving, "MOST_MESSAGES", 5)
    actions = [(await take(session, settings, message(number))).action for number in range(3)]
    assert actions == [Action.PROPOSE, Action.PROPOSE, Action.BULLETIN]
    update = await take(session, settings, message(7, "Update", 0))
    assert update.action is Action.PROPOSE  # takes the place of one
    await take(session, settings, message(8))
    with pytest.raises(TooManyRequests):
        await take(session, settings, message(9))
    later = await receiving.take(
        session, message(9), settings, SERVICE, NOW + timedelta(minutes=11)
    )
    assert later.identifier == "M9"


# --- REST ----------------------------------------------------------------------------------------


@pytest.fixture
async def client(
    engine: AsyncEngine, settings: config.Settings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx.AsyncClient]:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    async with AsyncSession(engine) as session, session.begin():
        await units(session)
    app = worked_out(create_app(settings, engine))
    called_by(app, SERVICE)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


CAP = {"content-type": "application/cap+xml"}


async def test_a_program_hands_a_message_in_and_reads_what_became_of_it(
    client: httpx.AsyncClient,
) -> None:
    draft = alert(status="Draft")
    sent = await client.post("/api/v1/alerts/cap", content=draft, headers=CAP)
    again = await client.post("/api/v1/alerts/cap", content=message(1), headers=CAP)
    assert sent.status_code == again.status_code == 200, sent.text
    assert sent.json()["action"] == "refuse"
    assert sent.json()["reasons"] == [
        "<status>: Draft là dự thảo; hãy gửi lại với Actual khi đã ban hành"
    ]
    listed = (await client.get("/api/v1/alerts/cap")).json()["items"]
    assert {each["id"] for each in listed} == {sent.json()["id"], again.json()["id"]}
    one = await client.get(f"/api/v1/alerts/cap/{sent.json()['id']}")
    assert one.json() == sent.json()
    refused = await client.get("/api/v1/alerts/cap", params={"action": "refuse"})
    assert [each["action"] for each in refused.json()["items"]] == ["refuse"]


async def test_what_is_no_document_is_not_taken(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/alerts/cap", json={"a": 1})
    assert answer.status_code == 415
    large = await client.post("/api/v1/alerts/cap", content=b"x" * (3 * 2**20), headers=CAP)
    assert large.status_code == 413

"""Withdrawing and approving revisions that schedules use: nothing happens that is not said."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.accounts.people import create_with_token
from broadcast.auth.permissions import Role
from broadcast.bulletins.model import Bulletin, Revision, RevisionState
from broadcast.kit import clock, db
from broadcast.schedules.model import Occurrence
from broadcast.schedules.revision_routes import router as revision_router
from broadcast.schedules.routes import router
from broadcast.visibility.sessions import limit
from broadcast.web import rest
from tests.bulletins import make
from tests.schedules import province
from tests.schedules.province import NOW
from tests.schedules.web import Web

PEOPLE = {"Lan": Role.PROVINCE_EDITOR, "Hùng": Role.PROVINCE_APPROVER}


@pytest.fixture
async def web(
    engine: AsyncEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Web]:
    """A bulletin whose revision 1 is scheduled twice, and whose revision 2 awaits approval."""
    app = FastAPI()
    rest.install(app)
    app.include_router(router)
    app.include_router(revision_router)
    app.state.engine = engine
    app.state.limit = limit
    app.state.settings = config.Settings(content_dir=tmp_path)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        web = Web(engine, http, tmp_path)
        monkeypatch.setattr(clock, "now", lambda: web.now)
        async with db.transaction(engine) as session:
            await province.build(session)
            for person, role in PEOPLE.items():
                web.tokens[person] = await create_with_token(
                    session, person, role, NOW, second_factor=True
                )
        web.bulletin = await web.approved()
        await second(web)
        yield web


async def second(web: Web, seconds: float = 61.5, sound: bytes = b"2") -> None:
    """The next revision, submitted."""
    async with db.transaction(web.engine) as session:
        bulletin = await session.get_one(Bulletin, web.bulletin)
        sound = make.prepared(web.content_dir, b"opus " + sound, b"mp3 " + sound)
        revision = await make.revision(session, bulletin, sound, RevisionState.SUBMITTED)
        revision.seconds = seconds


async def step(web: Web, number: int, action: str, status: int = 200, **body: Any) -> Any:
    path = f"/bulletins/{web.bulletin}/revisions/{number}/{action}"
    answer = await web.call("POST", path, body or None, who="Hùng")
    assert answer.status_code == status, answer.text
    return answer.json()


async def rows(web: Web) -> list[tuple[int, str]]:
    """Revision and state of every occurrence."""
    async with db.transaction(web.engine) as session:
        found = sa.select(Occurrence.bulletin_revision, Occurrence.state)
        return [(n, state.value) for n, state in await session.execute(found)]


async def test_what_a_withdrawal_would_cancel_is_said_before_and_after(web: Web) -> None:
    daily = await web.schedule(rrule="FREQ=DAILY;COUNT=3")
    once = await web.schedule(starts_at="2024-12-30T09:00:00+07:00")
    await step(web, 2, "approve")
    path = f"/bulletins/{web.bulletin}/revisions/1/withdrawal"
    before = await web.get(path)
    assert [use["schedule"]["id"] for use in before["cancels"]] == [daily["id"], once["id"]]
    assert [use["starts_count"] for use in before["cancels"]] == [3, 1]
    assert before["newer_approved"] == 2
    assert "2 lịch" in before["summary"]
    assert "4 buổi phát" in before["summary"]
    assert "move_schedules_to: 2" in before["summary"]
    assert await rows(web) == [(1, "planned")] * 4, "looking changes nothing"
    after = await step(web, 1, "withdraw")
    assert after["state"] == "withdrawn"
    assert after["cancelled"][0]["starts"] == before["cancels"][0]["starts"]
    assert [use["starts_count"] for use in after["cancelled"]] == [3, 1]
    assert [use["schedule"]["state"] for use in after["cancelled"]] == ["withdrawn"] * 2
    assert "Đã thu hồi 2 lịch" in after["notes"][0]
    assert await rows(web) == [(1, "cancelled")] * 4, "at once, in the same transaction"
    assert (await web.get(path))["summary"] == "Không lịch nào bị ảnh hưởng."


async def test_approving_a_revision_says_which_schedules_stay_with_the_old_one(web: Web) -> None:
    made = await web.schedule()
    said = await step(web, 2, "approve")
    assert [use["schedule"]["id"] for use in said["left_behind"]] == [made["id"]]
    assert "1 lịch vẫn phát phiên bản cũ" in said["notes"][0]
    assert said["cancelled"] == said["moved"] == []
    assert await rows(web) == [(1, "planned")]


async def test_all_schedules_are_moved_to_a_revision_at_once_and_the_old_one_goes_in_peace(
    web: Web,
) -> None:
    made = await web.schedule(rrule="FREQ=DAILY;COUNT=3")
    await step(web, 2, "approve")
    moved = await step(web, 2, "schedules")
    assert [each["schedule"]["id"] for each in moved] == [made["id"]]
    assert len(moved[0]["plan"]["starts"]) == 3
    assert await rows(web) == [(2, "planned")] * 3
    assert await step(web, 2, "schedules") == [], "again: nothing to do"
    after = await step(web, 1, "withdraw")
    assert after["cancelled"] == []
    assert await rows(web) == [(2, "planned")] * 3


async def test_a_withdrawal_can_move_its_schedules_instead_of_cancelling_them(web: Web) -> None:
    made = await web.schedule(rrule="FREQ=DAILY;COUNT=3")
    await step(web, 2, "approve")
    after = await step(web, 1, "withdraw", move_schedules_to=2, note="Sai ngày")
    assert [each["id"] for each in after["moved"]] == [made["id"]]
    assert (after["cancelled"], after["state"]) == ([], "withdrawn")
    assert await rows(web) == [(2, "planned")] * 3


async def test_what_sounds_of_a_withdrawn_revision_is_stopped_although_its_schedule_moved_on(
    web: Web,
) -> None:
    await web.schedule(rrule="FREQ=DAILY;COUNT=3")
    await step(web, 2, "approve")
    web.now = NOW + timedelta(hours=9, seconds=20)  # 17:00:20
    after = await step(web, 1, "withdraw", move_schedules_to=2)
    assert [use["starts_count"] for use in after["cancelled"]] == [1]
    assert [use["schedule"]["state"] for use in after["cancelled"]] == ["active"]
    assert sorted(await rows(web)) == [(1, "cancelled"), (2, "planned"), (2, "planned")]


async def test_a_revision_that_does_not_fit_moves_no_schedule_and_says_which_and_why(
    web: Web,
) -> None:
    """Longer than the old one: into quiet hours, or into another bulletin."""
    await web.schedule()
    late = await web.schedule(starts_at="2024-12-28T21:58:00+07:00")
    async with db.transaction(web.engine) as session:
        await session.execute(sa.update(Revision).where(Revision.number == 2).values(seconds=300))
    await step(web, 2, "approve")
    refused = await step(web, 2, "schedules", status=409)
    assert refused["schedule_id"] == late["id"]
    assert "chưa lịch nào được chuyển" in refused["detail"]
    refused = await step(web, 1, "withdraw", status=409, move_schedules_to=2)
    assert await rows(web) == [(1, "planned")] * 2, "neither moved nor withdrawn"
    await web.call("POST", f"/schedules/{late['id']}/withdraw")
    other = await web.approved(title="Bản tin khác")
    await web.schedule(bulletin_id=other, starts_at="2024-12-28T17:03:00+07:00")
    refused = await step(web, 2, "schedules", status=409)
    assert len(refused["clashes"]) == 1


async def test_nothing_is_moved_to_what_is_not_approved(web: Web) -> None:
    await web.schedule()
    await step(web, 2, "schedules", status=409)
    await step(web, 1, "withdraw", status=409, move_schedules_to=2)
    await step(web, 1, "withdraw", status=422, move_schedules_to=1)
    await step(web, 2, "approve", status=422, move_schedules_to=1)
    assert await rows(web) == [(1, "planned")]


# --- proposals -----------------------------------------------------------------------------------


async def proposed(web: Web, **changes: Any) -> dict[str, Any]:
    """A schedule of the revision that awaits approval."""
    given = {"bulletin_revision": 2, "when_approved": True, "starts_at": "2024-12-29T06:00:00"}
    return await web.schedule(**given | changes)


async def test_a_proposal_is_checked_and_holds_no_time(web: Web) -> None:
    before = await web.starts()
    made = await proposed(web)
    assert (made["state"], made["plan"]["cluster_count"]) == ("proposed", 1)
    assert await web.starts() == before
    other = await web.schedule(title="Tin khác", starts_at="2024-12-29T06:00:00")
    assert other["state"] == "active"
    body = web.body(bulletin_revision=2, when_approved=True, starts_at="2024-12-29T06:00:30")
    clash = await web.call("POST", "/schedules", body)
    assert clash.status_code == 409


async def test_a_proposal_begins_with_the_approval(web: Web) -> None:
    made = await proposed(web, rrule="FREQ=DAILY")
    approved = await step(web, 2, "approve")
    assert [each["id"] for each in approved["activated"]] == [made["id"]]
    assert "1 lịch đã đề nghị nay có hiệu lực." in approved["notes"]
    assert (await web.get(f"/schedules/{made['id']}"))["state"] == "active"
    assert "12-29 06:00" in await web.starts()


async def test_a_proposal_goes_on_with_the_corrected_revision(web: Web) -> None:
    made = await proposed(web)
    await step(web, 2, "return", note="sai giờ")
    await second(web, sound=b"3")
    approved = await step(web, 3, "approve")
    assert [each["id"] for each in approved["activated"]] == [made["id"]]
    assert (await web.get(f"/schedules/{made['id']}"))["bulletin_revision"] == 3


async def test_a_proposal_whose_time_was_taken_stays_and_says_so(web: Web) -> None:
    made = await proposed(web)
    late = await proposed(web, starts_at="2024-12-28T09:00:00")
    await web.schedule(title="Tin khác", starts_at="2024-12-29T06:00:00")
    web.now = NOW + timedelta(hours=2)
    approved = await step(web, 2, "approve")
    waiting = {each["id"] for each in approved["still_proposed"]}
    assert (approved["activated"], waiting) == ([], {made["id"], late["id"]})
    said = " ".join(approved["notes"])
    assert "chưa có hiệu lực: Trùng giờ với “Tin khác”" in said
    assert "chưa có hiệu lực: đã qua" in said
    later = {"starts_at": "2024-12-29T07:00:00"}
    moved = await web.call("PATCH", f"/schedules/{made['id']}", later)
    assert (moved.status_code, moved.json()["state"]) == (200, "active")
    assert "12-29 07:00" in await web.starts()


async def test_a_proposal_is_changed_and_withdrawn_without_ever_sounding(web: Web) -> None:
    before = await web.starts()
    made = await proposed(web)
    later = {"starts_at": "2024-12-29T07:00:00"}
    moved = await web.call("PATCH", f"/schedules/{made['id']}", later)
    assert (moved.status_code, moved.json()["state"]) == (200, "proposed")
    gone = await web.call("POST", f"/schedules/{made['id']}/withdraw")
    assert gone.json()["state"] == "withdrawn"
    assert (await step(web, 2, "approve"))["activated"] == []
    assert await web.starts() == before

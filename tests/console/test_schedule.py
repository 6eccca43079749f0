"""The calendar, a schedule's own page and the form that makes one."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from html import unescape
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.auth.permissions import Role
from broadcast.bulletins.model import RevisionState
from broadcast.console.areas import Point
from broadcast.console.schedule_new import APART, spots
from broadcast.kit import clock, db
from broadcast.schedules.occurrences import materialise
from broadcast.situation.schemas import ClusterConditionOut, SituationOut
from tests.console.conftest import Pages
from tests.schedules import province
from tests.schedules.province import NOW
from tests.schedules.test_ics_reading import file

MONDAY = "2024-12-30"


class World:
    """The sample province with a bulletin that sounds every day at 17:00 in Nghĩa Phú."""

    def __init__(self, pages: Pages, engine: AsyncEngine) -> None:
        self.pages = pages
        self.engine = engine
        self.bulletin = self.draft = self.schedule = UUID(int=0)

    async def build(self) -> None:
        async with db.transaction(self.engine) as session:
            await province.build(session)
            folder = self.pages.settings.content_dir
            bulletin, _ = await province.approved(session, folder)
            draft, _ = await province.approved(
                session, folder, title="Họp thôn", state=RevisionState.DRAFT
            )
            schedule = await province.schedule(session, bulletin.id, rrule="FREQ=DAILY")
            await materialise(session, NOW, timedelta(days=8))
            self.bulletin, self.draft, self.schedule = bulletin.id, draft.id, schedule.id

    async def rest(self, path: str) -> Any:
        answer = await self.pages.client.get(f"/api/v1{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def first(self) -> dict[str, Any]:
        row: dict[str, Any] = (await self.rest("/occurrences?limit=1"))["items"][0]
        return row

    def wish(self, **changes: Any) -> dict[str, Any]:
        return {
            "bulletin": str(self.draft), "revision": "1", "place": ["T-1"], "day": MONDAY,
            "time": "06:00", "repeat": "once",
        } | changes  # fmt: skip


@pytest.fixture
async def world(pages: Pages, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    world = World(pages, engine)
    await world.build()
    pages.called_by(Role.PROVINCE_EDITOR, name="Lan")
    return world


def buttons(text: str, remedy: str) -> list[dict[str, Any]]:
    """Fields that the buttons of a remedy set."""
    found = re.findall(rf'data-remedy="{remedy}" data-fields="([^"]*)"', text)
    return [json.loads(unescape(each)) for each in found]


# --- the calendar --------------------------------------------------------------------------------


async def test_every_view_shows_what_rest_answers(world: World) -> None:
    for view, begin, end in (
        ("day", "2024-12-30", "2024-12-31"),
        ("week", "2024-12-30", "2025-01-06"),
        ("month", "2024-11-25", "2025-01-06"),
    ):
        text = (await world.pages.load("/schedule", view=view, on=MONDAY)).text
        rows = await world.rest(f"/plays/occurrences?from={begin}&to={end}")
        assert rows
        assert f'data-count="{len(rows)}"' in text
        shown = sorted(re.findall(r'id="o-([^"]*)"', text))
        assert shown == sorted(row["occurrence_id"] for row in rows if view != "month")


async def test_the_calendar_of_a_commune_is_that_of_rest(world: World) -> None:
    text = (await world.pages.load("/schedule", view="day", on=MONDAY, area="21253")).text
    assert 'data-count="1"' in text
    other = (await world.pages.load("/schedule", view="day", on=MONDAY, area="21142")).text
    assert "Không có buổi phát nào" in other
    unknown = await world.pages.load("/schedule", area="99999")
    assert unknown.status_code in {404, 422}


async def test_who_may_not_schedule_moves_nothing(world: World) -> None:
    assert "data-move=" in (await world.pages.load("/schedule", on=MONDAY)).text
    world.pages.called_by(Role.PROVINCE_MONITOR)
    assert "data-move=" not in (await world.pages.load("/schedule", on=MONDAY)).text
    answer = await world.pages.load("/schedule/new", revision=f"{world.bulletin}/1")
    assert answer.status_code == 403


async def test_a_day_is_heard_village_by_village(world: World) -> None:
    text = (await world.pages.load("/schedule/heard", on=MONDAY, area="21253")).text
    assert "Thôn Phú Bình" in text
    assert "17:00" in text
    silent = (await world.pages.load("/schedule/heard", on=MONDAY, area="21142")).text
    assert "không có cụm loa" in silent


# --- single days, months ahead ---------------------------------------------------------------

IN_MARCH = "from=2025-03-01T00:00:00%2B07:00&to=2025-04-01T00:00:00%2B07:00"
TENTH = "2025-03-10T17:00:00+07:00"


async def of_day(world: World, day: str = "2025-03-10") -> str:
    page = await world.pages.load(f"/schedule/{world.schedule}", **{"from": day, "day": day})
    return str(page.text[page.text.index('id="day"') :])


async def in_march(world: World) -> dict[str, str | None]:
    found = await world.rest(f"/schedules/{world.schedule}/starts?{IN_MARCH}")
    return {each["recurrence_at"]: each["starts_at"] for each in found}


async def change_day(world: World, what: str, **fields: str) -> Any:
    return await world.pages.submit(f"/schedule/{world.schedule}/days/{what}", **fields)


async def test_a_day_months_ahead_is_left_out_and_the_button_undoes_it(world: World) -> None:
    before = await in_march(world)
    assert "days/leave-out" in await of_day(world)
    done = await change_day(world, "leave-out", at=TENTH)
    shown = (await world.pages.load(done.headers["HX-Redirect"].partition("#")[0])).text
    assert "Đã bỏ buổi 17:00 thứ Hai 10/3." in shown
    assert "Đã bỏ: 10/3." in shown
    assert await in_march(world) == before | {TENTH: None}
    notice = shown[shown.index("Đã bỏ buổi 17:00") :]
    (undo,) = re.findall(r'hx-post="(/schedule/[^"]+/days/restore)"', notice[:400])
    await world.pages.submit(undo, at=TENTH)
    assert await in_march(world) == before


async def test_a_day_months_ahead_is_added_and_dropped(world: World) -> None:
    before = await in_march(world)
    done = await change_day(world, "add", day="2025-03-10", time="09:30")
    extra = "2025-03-10T09:30:00+07:00"
    assert await in_march(world) == before | {extra: extra}
    shown = (await world.pages.load(done.headers["HX-Redirect"].partition("#")[0])).text
    assert "Đã thêm buổi 09:30" in shown
    assert "Phát thêm: 10/3." in shown
    assert "days/drop" in await of_day(world)
    await change_day(world, "drop", at=extra)
    assert await in_march(world) == before


async def test_what_was_changed_meanwhile_is_said(world: World) -> None:
    await change_day(world, "leave-out", at=TENTH)
    again = await world.pages.client.post(
        f"/schedule/{world.schedule}/days/leave-out", data={"at": TENTH}
    )
    assert again.status_code == 409
    assert "đã bỏ rồi" in again.text


async def test_who_may_not_schedule_reads_the_months(world: World) -> None:
    world.pages.called_by(Role.PROVINCE_MONITOR)
    shown = await of_day(world)
    assert "17:00" in shown
    assert "/days/" not in shown


async def test_the_form_shows_the_months_before_anything_is_saved(world: World) -> None:
    wish = world.wish(repeat="daily", follows="except:holiday")
    shown = (await world.pages.submit("/schedule/new/months", **wish)).text
    assert "Tháng 12/2024" in shown
    assert "Tháng 2/2025" in shown
    assert "2 buổi phát." in shown
    assert re.search(r"Im: nghỉ lễ: 1/1, 2[5-9]/1", shown)
    assert len((await world.rest("/schedules"))["items"]) == 1
    changed = {"schedule": str(world.schedule), "bulletin": str(world.bulletin)}
    await change_day(world, "leave-out", at="2025-01-10T17:00:00+07:00")
    wish = world.wish(repeat="daily", day="2024-12-28", time="18:00") | changed
    shown = (await world.pages.submit("/schedule/new/months", **wish)).text
    assert "Đã bỏ: 10/1." in shown
    assert "18:00" in shown


# --- moving --------------------------------------------------------------------------------------


async def move(world: World, step: str = "", **fields: str) -> Any:
    row = await world.first()
    path = f"/schedule/occurrences/{row['id']}/move{step}"
    return await world.pages.submit(path, **{"day": "2024-12-28", "time": "18:00"} | fields)


async def starts(world: World) -> list[str]:
    rows = (await world.rest("/occurrences?state=planned&limit=500"))["items"]
    return [row["starts_at"][5:16] for row in rows]


async def test_a_move_is_told_in_numbers_before_it_is_made(world: World) -> None:
    before = await starts(world)
    answer = await move(world, "/check")
    assert answer.status_code == 200
    assert "Buổi phát 17:00 thứ Bảy 28/12 ở 1 thôn (1 cụm loa) chuyển sang 18:00" in answer.text
    assert await starts(world) == before
    quiet = await move(world, "/check", time="23:00")
    assert 'data-finding="quiet"' in quiet.text
    assert buttons(quiet.text, "other_time")[0] == {"day": "2024-12-28", "time": "21:45"}
    assert re.search(r"data-yes-move[^>]* disabled", quiet.text)


@pytest.mark.parametrize(
    ("reach", "moved"), [("this", slice(0, 1)), ("following", slice(0, 9)), ("all", slice(0, 9))]
)
async def test_this_the_following_or_all_are_moved(world: World, reach: str, moved: slice) -> None:
    before = await starts(world)
    expected = list(before)
    expected[moved] = [each.replace("T17", "T18") for each in before[moved]]
    answer = await move(world, reach=reach)
    assert answer.status_code == 204, answer.text
    assert await starts(world) == expected
    if reach != "this":
        shown = await world.pages.client.get(answer.headers["hx-redirect"])
        (back,) = re.findall(r'hx-post="(/schedule/[^"]+/move-back)"', shown.text)
        assert 'name="by" value="3600"' in shown.text
        undone = await world.pages.submit(back, by="3600", back="/schedule")
        assert (undone.status_code, undone.headers["hx-redirect"]) == (204, "/schedule")
        assert await starts(world) == before


async def weekly(world: World, rule: str) -> None:
    """Have the schedule of the world sound by another rule."""
    path = f"/api/v1/schedules/{world.schedule}"
    found = await world.pages.client.get(path)
    changed = await world.pages.client.patch(
        path, json={"rrule": rule}, headers={"If-Match": found.headers["ETag"]}
    )
    assert changed.status_code == 200, changed.text


@pytest.mark.parametrize(
    ("reach", "expected"),
    [("following", ["12-29T18:00", "12-31T18:00"]), ("all", ["12-29T18:00", "12-31T18:00"])],
)
async def test_weekdays_move_with_what_is_moved_to_another_day(
    world: World, reach: str, expected: list[str]
) -> None:
    await weekly(world, "FREQ=WEEKLY;BYDAY=SA,MO;UNTIL=20241230")
    assert await starts(world) == ["12-28T17:00", "12-30T17:00"]
    answer = await move(world, day="2024-12-29", reach=reach)
    assert answer.status_code == 204, answer.text
    assert await starts(world) == expected
    shown = await world.pages.client.get(answer.headers["hx-redirect"])
    (back,) = re.findall(r'hx-post="(/schedule/[^"]+/move-back)"', shown.text)
    (by,) = re.findall(r'name="by" value="(-?\d+)"', shown.text)
    assert (await world.pages.submit(back, by=by, back="/schedule")).status_code == 204
    assert await starts(world) == ["12-28T17:00", "12-30T17:00"]


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=MONTHLY;BYMONTHDAY=28",
        "FREQ=DAILY;BYLUNARDAY=28",
        "FREQ=WEEKLY;INTERVAL=2;BYDAY=SA",
    ],
)
async def test_days_of_months_are_moved_one_by_one(world: World, rule: str) -> None:
    await weekly(world, rule)
    before = await starts(world)
    asked = await move(world, "/check", day="2024-12-29", reach="all")
    assert asked.status_code == 200
    assert re.findall(r'name="reach"[^>]*value="([a-z]+)"', asked.text) in ([], ["this"])
    for reach in ("following", "all"):
        assert (await move(world, day="2024-12-29", reach=reach)).status_code == 409
    assert await starts(world) == before
    assert (await move(world, time="18:00", reach="all")).status_code == 204  # of the same day
    assert await starts(world) == [each.replace("T17", "T18") for each in before]


async def test_what_a_calendar_silences_can_be_moved_on_the_page(world: World) -> None:
    answer = await world.pages.client.post(
        "/api/v1/calendar-days",
        json={
            "kind": "mourning", "name": "Quốc tang", "area_code": "51",
            "first_on": "2024-12-28", "last_on": "2024-12-28",
        },
    )  # fmt: skip
    assert answer.status_code == 201, answer.text
    async with db.transaction(world.engine) as session:
        await materialise(session, NOW, timedelta(days=8))
    row = (await world.rest("/occurrences?limit=1&state=cancelled"))["items"][0]
    assert row["starts_at"].startswith("2024-12-28")
    shown = (await world.pages.load(f"/schedule/{world.schedule}")).text
    assert f'data-move="/schedule/occurrences/{row["id"]}/move/check"' in shown
    assert f"/schedule/occurrences/{row['id']}/cancel" not in shown
    assert (await move(world, day="2024-12-29", time="09:00")).status_code == 204
    assert (await starts(world))[:2] == ["12-29T09:00", "12-29T17:00"]


async def test_a_move_and_a_cancellation_can_be_undone_on_the_page(world: World) -> None:
    before = await starts(world)
    row = await world.first()
    moved = await move(world, back="/schedule?on=2024-12-28")
    shown = await world.pages.client.get(moved.headers["hx-redirect"])
    assert f"/schedule/occurrences/{row['id']}/reinstate" in shown.text
    await world.pages.submit(f"/schedule/occurrences/{row['id']}/reinstate")
    assert await starts(world) == before
    gone = await world.pages.submit(f"/schedule/occurrences/{row['id']}/cancel")
    assert await starts(world) == before[1:]
    assert "Đã bỏ buổi phát" in (await world.pages.client.get(gone.headers["hx-redirect"])).text


async def test_a_page_of_others_is_no_way_back(world: World) -> None:
    moved = await move(world, back="//elsewhere.example/")
    assert moved.headers["hx-redirect"].startswith("/?undo=")


async def test_a_time_that_is_none_is_said_at_its_field(world: World) -> None:
    answer = await move(world, "/check", time="năm giờ")
    assert (answer.status_code, answer.json()["field"]) == (422, "time")


# --- one schedule --------------------------------------------------------------------------------


async def test_a_schedule_says_what_its_withdrawal_cancels(world: World) -> None:
    path = f"/schedule/{world.schedule}"
    told = await world.rest(f"/schedules/{world.schedule}/withdrawal")
    text = (await world.pages.load(path)).text
    assert told["summary"] in unescape(text)
    assert f"Còn {len(told['lost'])} buổi sắp tới" in text
    assert (await world.pages.submit(f"{path}/withdraw")).status_code == 204
    assert await starts(world) == []
    assert "Phát lại lịch này" in (await world.pages.load(path)).text
    assert (await world.pages.submit(f"{path}/reinstate")).status_code == 204
    assert len(await starts(world)) == len(told["lost"])


async def test_the_form_of_a_change_says_what_is_stored(world: World) -> None:
    text = (await world.pages.load(f"/schedule/{world.schedule}/edit")).text
    assert re.search(r'value="daily" checked', text)
    assert re.search(r'value="T-1" checked', text)
    saved = await world.pages.submit(
        "/schedule/new",
        **world.wish(
            bulletin=str(world.bulletin),
            schedule=str(world.schedule),
            repeat="weekly",
            weekday=["MO", "TH"],
            day="2024-12-28",
            until="2025-01-31",
        ),
    )
    assert saved.headers["hx-redirect"] == f"/schedule/{world.schedule}"
    stored = await world.rest(f"/schedules/{world.schedule}")
    assert stored["rrule"] == "FREQ=WEEKLY;BYDAY=MO,TH;UNTIL=20250131T235959"
    assert stored["starts_at"] == "2024-12-30T06:00:00+07:00"


async def test_the_first_part_of_what_was_divided_ends_where_it_was_cut(world: World) -> None:
    cut = "2024-12-31T00:00:00+07:00"
    answer = await world.pages.client.post(
        f"/api/v1/schedules/{world.schedule}/split",
        json={"from": cut, "starts_at": "2024-12-31T18:00:00+07:00"},
    )
    assert answer.status_code == 201, answer.text
    before = await starts(world)
    assert before[2:4] == ["12-30T17:00", "12-31T18:00"]
    form = (await world.pages.load(f"/schedule/{world.schedule}/edit")).text
    (until,) = re.findall(r'name="until"[^>]*value="([^"]*)"', form)
    assert until == "2024-12-30"
    wish = world.wish(
        bulletin=str(world.bulletin), schedule=str(world.schedule), repeat="daily",
        day="2024-12-28", time="17:00", until=until,
    )  # fmt: skip
    saved = await world.pages.submit("/schedule/new", **wish)
    assert saved.status_code == 204, saved.text
    assert await starts(world) == before


async def test_a_schedule_on_lunar_days_that_avoids_holidays(world: World) -> None:
    asked = await world.pages.load("/schedule/new", revision=f"{world.bulletin}/1")
    assert "Mồng một và rằm âm lịch" in asked.text
    assert '<option value="except:holiday">Không phát ngày nghỉ lễ</option>' in asked.text
    wish = world.wish(
        bulletin=str(world.bulletin), repeat="lunar", day="2024-12-28", time="06:00",
        follows="except:holiday", is_speech="true",
    )  # fmt: skip
    checked = await world.pages.submit("/schedule/new/check", **wish)
    assert "06:00 thứ Tư 29/1: không phát vì là ngày nghỉ lễ." in checked.text
    saved = await world.pages.submit("/schedule/new", **wish)
    path = saved.headers["hx-redirect"]
    stored = await world.rest(f"/schedules/{path.rpartition('/')[2]}")
    assert stored["rrule"] == "FREQ=DAILY;BYLUNARDAY=1,15"
    assert stored["starts_at"] == "2024-12-31T06:00:00+07:00"
    assert (stored["except_on"], stored["only_on"]) == (["holiday"], [])
    assert stored["is_speech"] is True
    shown = (await world.pages.load(path)).text
    assert "mồng một và rằm âm lịch" in shown
    assert "Không phát ngày nghỉ lễ" in shown
    form = (await world.pages.load(f"{path}/edit")).text
    assert 'value="lunar" checked' in form
    assert '<option value="except:holiday" selected>' in form


# --- a new one -----------------------------------------------------------------------------------


async def test_a_remedy_takes_the_clash_away_and_the_draft_is_saved_and_submitted(
    world: World,
) -> None:
    wish = world.wish(place=["T-1", "T-2"], time="17:00")
    checked = await world.pages.submit("/schedule/new/check", **wish)
    assert 'data-finding="clash"' in checked.text
    assert "Trùng giờ với “Tiêm phòng”" in checked.text
    assert 'data-refused="true"' in checked.text
    [fewer] = buttons(checked.text, "fewer_villages")
    assert fewer == {"targets": [{"area": "21262"}]}
    remedied = wish | {"place": ["T-2"]}
    again = await world.pages.submit("/schedule/new/check", **remedied)
    assert 'data-refused="false"' in again.text
    saved = await world.pages.submit("/schedule/new", **remedied, submit="true")
    assert saved.status_code == 204, saved.text
    made = await world.rest(f"/schedules/{saved.headers['hx-redirect'].rpartition('/')[2]}")
    assert (made["state"], made["targets"]) == ("proposed", [{"area": "21262"}])
    revision = await world.rest(f"/bulletins/{world.draft}/revisions/1")
    assert revision["state"] == "submitted"
    page = await world.pages.load(saved.headers["hx-redirect"])
    assert "giờ chưa được giữ" in page.text
    world.pages.called_by(Role.PROVINCE_APPROVER, name="Hùng")
    approval = (await world.pages.load(f"/approvals/{world.draft}/1")).text
    assert "1 lịch phát bắt đầu khi duyệt:" in approval
    assert saved.headers["hx-redirect"] in approval


async def test_the_week_offers_times_that_are_free(world: World) -> None:
    week = await world.pages.submit("/schedule/new/week", **world.wish())
    offered = [
        json.loads(unescape(each)) for each in re.findall(r'data-fields="([^"]*)"', week.text)
    ]
    assert {"day": MONDAY, "time": "05:00"} in offered
    assert {"day": MONDAY, "time": "17:00"} not in offered
    for fields in offered[:4]:
        checked = await world.pages.submit("/schedule/new/check", **world.wish(**fields))
        assert 'data-refused="false"' in checked.text


async def test_the_form_lists_the_villages_of_the_caller_alone(world: World) -> None:
    path = f"/schedule/new?revision={world.draft}/1"
    assert {"T-1", "T-2"} <= set(re.findall(r'name="place" value="([^"]*)"', (
        await world.pages.client.get(path)).text))  # fmt: skip
    world.pages.called_by(Role.COMMUNE_BROADCASTER, "21262")
    text = (await world.pages.client.get(path)).text
    assert re.findall(r'name="place" value="([^"]*)"', text) == ["T-2"]
    refused = await world.pages.submit("/schedule/new", **world.wish())
    assert refused.status_code == 403


async def test_what_is_missing_is_said_at_its_field(world: World) -> None:
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("place", {"place": []}),
        ("day", {"day": "mai"}),
        ("weekday", {"repeat": "weekly"}),
        ("priority", {"priority": "x"}),
        ("priority", {"priority": "200"}),
    ]
    for field, changes in wrong:
        answer = await world.pages.submit("/schedule/new/check", **world.wish(**changes))
        assert (answer.status_code, answer.json()["field"]) == (422, field)


# --- drafts --------------------------------------------------------------------------------------


def ticked(text: str) -> list[str]:
    return re.findall(r'name="place" value="([^"]*)" checked', text)


async def test_a_form_is_kept_for_its_person_until_it_is_saved(world: World) -> None:
    path = f"/schedule/new?revision={world.draft}/1"
    left = world.wish(place=["T-2"], time="05:45", repeat="weekly", weekday=["TU"], until="")
    kept = await world.pages.submit("/schedule/new/draft", **left)
    assert "Đã lưu nháp lúc" in kept.text
    again = (await world.pages.client.get(path)).text
    assert "Đã lưu nháp lúc" in again
    assert ticked(again) == ["T-2"]
    assert re.search(r'id="field-time" name="time" type="time" value="05:45"', again)
    assert re.search(r'value="weekly" checked', again)
    assert re.search(r'name="weekday" value="TU" checked', again)
    world.pages.called_by(Role.PROVINCE_EDITOR, name="Hùng")
    assert "Đã lưu nháp lúc" not in (await world.pages.client.get(path)).text
    world.pages.called_by(Role.PROVINCE_EDITOR, name="Lan")
    unfinished = world.wish(place=[], time="", day="")
    await world.pages.submit("/schedule/new/draft", **unfinished)
    assert ticked((await world.pages.client.get(path)).text) == []
    gone = await world.pages.submit("/schedule/new/discard", **left)
    assert gone.headers["hx-redirect"] == path
    assert "Đã lưu nháp lúc" not in (await world.pages.client.get(path)).text
    await world.pages.submit("/schedule/new/draft", **left)
    saved = await world.pages.submit("/schedule/new", **left)
    assert saved.status_code == 204, saved.text
    assert "Đã lưu nháp lúc" not in (await world.pages.client.get(path)).text


async def test_the_map_has_the_places_of_the_caller_alone(world: World) -> None:
    pattern = r'data-pick-commune="(\d+)"'
    every = (await world.pages.load("/schedule/new/map")).text
    form = await world.pages.client.get(f"/schedule/new?revision={world.draft}/1")
    listed = set(re.findall(r'data-commune="(\d+)"', form.text))
    drawn = set(re.findall(pattern, every))
    assert "21034" in drawn
    assert drawn < listed  # some of those of the past have no outline
    assert f"{len(listed - drawn)} xã chưa có hình trên bản đồ" in every
    world.pages.called_by(Role.COMMUNE_BROADCASTER, "21034")
    assert re.findall(pattern, (await world.pages.load("/schedule/new/map")).text) == ["21034"]


def test_clusters_that_a_finger_covers_are_one_mark() -> None:
    def at(x: int, *villages: str) -> Point:
        example = SituationOut.model_json_schema()["example"]["listed"][0]
        return Point(ClusterConditionOut.model_validate(example | {"villages": villages}), x, 5)

    names = {"T-1": "Thôn 1", "T-2": "Thôn 2", "T-3": "Thôn 3"}
    found = spots([at(0, "T-1"), at(APART - 1, "T-2", "beyond"), at(APART, "T-3")], names)
    assert [(each.x, sorted(each.villages)) for each in found] == [
        (0, ["T-1", "T-2"]), (APART, ["T-3"]),
    ]  # fmt: skip
    assert spots([at(0, "beyond")], names) == []


async def test_a_calendar_file_is_shown_before_it_is_stored(world: World) -> None:
    asked = await world.pages.client.get("/schedule/import")
    assert 'accept=".ics,text/calendar"' in asked.text
    data = file(
        f"UID:a\nSUMMARY:Tiêm phòng gia súc đợt 2\nDTSTART:{MONDAY.replace('-', '')}T030000Z",
        "UID:b\nSUMMARY:Sinh nhật\nDTSTART:20241231T030000Z",
    )
    sent: dict[str, Any] = {
        "files": {"calendar": ("lich.ics", data)}, "data": {"area": "21253"},
        "headers": {"HX-Request": "true"},
    }  # fmt: skip
    before = len((await world.rest("/schedules"))["items"])
    shown = (await world.pages.client.post("/schedule/import/preview", **sent)).text
    assert "Nhập được 1 mục, bỏ qua 1." in shown
    assert "Không có bản tin nào tên “Sinh nhật”" in shown
    assert len((await world.rest("/schedules"))["items"]) == before
    refused = await world.pages.client.post("/schedule/import", **sent)
    assert refused.status_code == 409
    assert len((await world.rest("/schedules"))["items"]) == before
    found = re.search(r'name="digest" value="(\w+)"', shown)
    assert found is not None
    sent["data"] |= {"digest": found[1]}
    stored = await world.pages.client.post("/schedule/import", **sent)
    assert "Đã ghi: thêm 1, sửa 0, giữ nguyên 0, bỏ qua 1." in stored.text
    assert len((await world.rest("/schedules"))["items"]) == before + 1

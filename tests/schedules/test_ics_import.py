"""Calendar files of people become schedules and marked days: first told, then done."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa

from broadcast.kit import db
from broadcast.schedules import ics_import
from broadcast.wire.fields import BulletinClass
from tests.schedules.test_ics_reading import file
from tests.schedules.web import DAILY, Web, as_local

TITLE = "Tiêm phòng gia súc đợt 2"
AT = "DTSTART;TZID=Asia/Ho_Chi_Minh:20241229T170000"
DAILY_EVENT = f"UID:a\nSUMMARY:{TITLE}\n{AT}\nRRULE:FREQ=DAILY;COUNT=5"


async def sent(
    web: Web, data: bytes, *, dry_run: bool = False, area: str = "21253", who: str = "Lan"
) -> Any:
    return await web.http.post(
        "/api/v1/schedules/import",
        files={"calendar": ("lich.ics", data)},
        data={"area": area, "dry_run": str(dry_run).lower()},
        headers={"Authorization": f"Bearer {web.tokens[who]}"},
    )


async def imported(web: Web, data: bytes, **how: Any) -> dict[str, Any]:
    answer = await sent(web, data, **how)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def fates(found: dict[str, Any]) -> list[str]:
    return [row["fate"] for row in found["rows"]]


async def test_a_trial_tells_and_writes_nothing_and_the_import_does_what_it_told(web: Web) -> None:
    data = file(
        f"{DAILY_EVENT}\nEXDATE;TZID=Asia/Ho_Chi_Minh:20241230T170000\nRDATE:20250110T020000Z",
        f"UID:a\nSUMMARY:{TITLE}\nRECURRENCE-ID;TZID=Asia/Ho_Chi_Minh:20241231T170000\n"
        "DTSTART;TZID=Asia/Ho_Chi_Minh:20241231T180000",
        f"UID:a\nSUMMARY:{TITLE}\nSTATUS:CANCELLED\n"
        "RECURRENCE-ID;TZID=Asia/Ho_Chi_Minh:20250101T170000\n"
        "DTSTART;TZID=Asia/Ho_Chi_Minh:20250101T170000",
        f"UID:b\nSUMMARY:Sinh nhật\n{AT}",
        "UID:c\nSUMMARY:Không giờ",
    )
    told = await imported(web, data, dry_run=True)
    assert fates(told) == ["added", "added", "added", "refused", "refused"]
    assert "Không có bản tin nào tên “Sinh nhật”" in told["rows"][3]["detail"]
    assert (await web.get("/schedules"))["items"] == []
    done = await imported(web, data)
    assert done | {"dry_run": True} == told
    assert await web.starts() == ["12-29 17:00", "12-31 18:00", "01-02 17:00"]
    (schedule,) = (await web.get("/schedules"))["items"]
    assert schedule["rrule"] == "FREQ=DAILY;COUNT=5"
    assert [as_local(at) for at in schedule["dates"]] == ["01-10 09:00"]
    assert schedule["targets"] == [{"area": "21253"}]


async def test_the_same_file_again_changes_nothing(web: Web) -> None:
    data = file(DAILY_EVENT)
    await imported(web, data)
    assert fates(await imported(web, data)) == ["unchanged"]
    web.now += timedelta(days=2)  # a part of it has passed
    assert fates(await imported(web, data)) == ["unchanged"]
    later = file(DAILY_EVENT.replace("T170000", "T173000"))
    found = await imported(web, later)
    assert fates(found) == ["refused"]
    assert "nay khác với tệp" in found["rows"][0]["detail"]
    (schedule,) = (await web.get("/schedules"))["items"]
    answer = await web.call("POST", f"/schedules/{schedule['id']}/withdraw")
    assert answer.status_code == 200
    assert fates(await imported(web, later)) == ["added"]


async def test_what_has_begun_goes_on_from_now(web: Web) -> None:
    begun = f"UID:a\nSUMMARY:{TITLE}\nDTSTART:20241220T100000Z\nRRULE:FREQ=DAILY;COUNT=11"
    assert fates(await imported(web, file(begun))) == ["added"]
    assert await web.starts() == ["12-28 17:00", "12-29 17:00", "12-30 17:00"]
    over = await imported(web, file(begun.replace("UID:a", "UID:b").replace("11", "3")))
    assert "Đã qua" in over["rows"][0]["detail"]


async def test_what_our_feed_writes_is_read_again_as_its_own_starts(web: Web) -> None:
    await web.schedule(**DAILY)
    made = await web.call("POST", "/calendar-feeds", {"area_code": "21253"}, "Lan")
    feed = (await web.http.get(urlsplit(made.json()["url"]).path)).content
    found = await imported(web, feed, dry_run=True)
    assert set(fates(found)) == {"unchanged"}
    assert len(found["rows"]) == len(await web.starts())
    before = await web.starts()
    moved = feed.replace(b"DTSTART:20241229T100000Z", b"DTSTART:20241229T110000Z")
    head, event, rest = moved.partition(b"DTSTART:20241230T100000Z")
    moved = head + event + rest.replace(b"STATUS:CONFIRMED", b"STATUS:CANCELLED", 1)
    done = await imported(web, moved)
    assert done["changed"] == 2
    expected = [at.replace("12-29 17", "12-29 18") for at in before if at != "12-30 17:00"]
    assert await web.starts() == expected
    again = await imported(web, moved, dry_run=True)
    assert set(fates(again)) == {"unchanged"}
    back = await imported(web, feed, dry_run=True)
    assert (
        sorted(fates(back)).count("refused") == 1
    )  # what was cancelled does not return by itself


async def test_a_feed_of_another_installation_names_its_bulletins(web: Web) -> None:
    there = f"UID:3f2504e0-4f89-41d3-9a0c-0305e82c3301@broadcast\nSUMMARY:Tên khác\n{AT}"
    found = await imported(web, file(f"{there}\nX-BROADCAST-BULLETIN:{web.bulletin}/1"))
    assert fates(found) == ["added"]
    assert await web.starts() == ["12-29 17:00"]


async def test_each_event_is_checked_as_a_schedule_is(web: Web) -> None:
    await web.approved(title="Họp thôn")
    await web.approved(title="Họp thôn")
    await web.approved(title="Báo động", class_=BulletinClass.EMERGENCY)
    found = await imported(
        web,
        file(
            DAILY_EVENT,
            f"UID:b\nSUMMARY:{TITLE}\n{AT}",
            f"UID:c\nSUMMARY:{TITLE}\nDTSTART:20241229T160000Z",
            f"UID:d\nSUMMARY:Họp thôn\n{AT}",
            f"UID:e\nSUMMARY:Báo động\n{AT}",
            f"UID:a\nSUMMARY:{TITLE}\nDTSTART:20241229T030000Z",
            f"UID:z\nSUMMARY:{TITLE}\n{AT}\nRECURRENCE-ID:20241229T100000Z",
        ),
    )
    assert fates(found) == ["added"] + ["refused"] * 6
    said = [row["detail"] for row in found["rows"]]
    assert "Trùng giờ" in said[1]
    assert "giờ yên tĩnh" in said[2]
    assert "Có 2 bản tin tên" in said[3]
    assert "khẩn cấp" in said[4]
    assert "trùng với một sự kiện khác" in said[5]
    assert "không có trong tệp" in said[6]


async def test_whole_days_are_marked_where_their_name_says_of_what(web: Web) -> None:
    body = {"kind": "own", "name": "Chợ phiên", "area_code": "21262", "first_on": "2024-12-29",
            "last_on": "2024-12-29"}  # fmt: skip
    assert (await web.call("POST", "/calendar-days", body)).status_code == 201
    data = file(
        "UID:1\nSUMMARY:chợ phiên\nDTSTART;VALUE=DATE:20241229\nRRULE:FREQ=WEEKLY;COUNT=3",
        "UID:2\nSUMMARY:Quốc tang\nDTSTART;VALUE=DATE:20250105\nDTEND;VALUE=DATE:20250107",
        "UID:3\nSUMMARY:Sinh nhật\nDTSTART;VALUE=DATE:20250105",
    )
    found = await imported(web, data, area="21262")
    assert fates(found) == ["added", "added", "refused"]
    marked = (await web.get("/calendar-days"))["items"]
    assert [(each["name"], each["first_on"], each["last_on"]) for each in marked] == [
        ("Chợ phiên", "2024-12-29", "2024-12-29"), ("Chợ phiên", "2025-01-05", "2025-01-05"),
        ("Chợ phiên", "2025-01-12", "2025-01-12"), ("Quốc tang", "2025-01-05", "2025-01-06"),
    ]  # fmt: skip
    assert fates(await imported(web, data, area="21262")) == ["unchanged", "unchanged", "refused"]


async def test_what_is_written_at_once_is_bounded(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ics_import, "MOST_WRITTEN", 1)
    data = file(DAILY_EVENT, f"UID:b\nSUMMARY:{TITLE}\nDTSTART:20241229T030000Z")
    found = await imported(web, data)
    assert fates(found) == ["added", "refused"]
    assert fates(await imported(web, data)) == ["unchanged", "added"]


async def test_who_may_not_schedule_there_imports_nothing(web: Web) -> None:
    assert (await sent(web, file(DAILY_EVENT), who="Tèo")).status_code == 403
    assert (await sent(web, file(DAILY_EVENT), area="99999")).status_code == 422
    assert (await sent(web, b"x")).status_code == 422
    async with db.transaction(web.engine) as session:
        assert await session.scalar(sa.text("SELECT count(*) FROM schedules")) == 0

"""Schedules over REST: what is accepted, what is refused and with which words, and every edit."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.auth.model import ApiToken
from broadcast.bulletins.model import Bulletin, RevisionState
from broadcast.kit import db
from broadcast.schedules.model import Occurrence, Schedule
from broadcast.schedules.occurrences import materialise
from broadcast.wire.fields import BulletinClass
from tests.bulletins import make
from tests.schedules.province import NOW, local
from tests.schedules.web import DAILY, Web, as_local

# --- creating -----------------------------------------------------------------------------------


async def test_a_schedule_answers_with_what_it_comes_to(web: Web) -> None:
    response = await web.call("POST", "/schedules", web.body(**DAILY))
    assert response.status_code == 201, response.text
    made = response.json()
    assert response.headers["location"] == f"/api/v1/schedules/{made['id']}"
    assert (made["title"], made["priority"], made["late_limit_seconds"], made["state"]) == (
        "Tiêm phòng gia súc đợt 2", 64, 300, "active",
    )  # fmt: skip
    plan = made.pop("plan")
    assert as_local(plan["starts"][0]) == "12-28 17:00"
    assert plan["reached"] == [
        {"target": {"area": "21253"}, "cluster_count": 1, "with_device_count": 1}
    ]
    assert (plan["cluster_count"], plan["overlaps"], plan["warnings"]) == (1, [], [])
    assert await web.get(f"/schedules/{made['id']}") == made
    assert len(await web.starts()) == 8


async def test_a_preview_saves_nothing(web: Web) -> None:
    response = await web.call("POST", "/schedules/preview", web.body(**DAILY))
    assert response.status_code == 200
    assert len(response.json()["starts"]) == 35
    assert (await web.get("/schedules"))["items"] == []
    assert await web.starts() == []


async def test_a_start_without_offset_is_local_and_has_whole_seconds(web: Web) -> None:
    made = await web.schedule(starts_at="2024-12-28T17:00:00.9")
    assert datetime.fromisoformat(made["starts_at"]) == local("2024-12-28T17:00")


async def test_the_same_key_schedules_once(web: Web) -> None:
    first = await web.call("POST", "/schedules", web.body(), Idempotency_Key="k-1")
    again = await web.call("POST", "/schedules", web.body(), Idempotency_Key="k-1")
    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert len((await web.get("/schedules"))["items"]) == 1


async def test_the_newest_approved_revision_is_taken_and_an_older_one_warned_of(web: Web) -> None:
    async with db.transaction(web.engine) as session:
        bulletin = await make.bulletin(session, title="Hai bản")
        sound = make.prepared(web.content_dir, b"1", b"2")
        await make.revision(session, bulletin, sound, RevisionState.APPROVED)
        await make.revision(session, bulletin, sound, RevisionState.APPROVED)
        await make.revision(session, bulletin, sound, RevisionState.SUBMITTED)
    made = await web.schedule(bulletin_id=str(bulletin.id))
    assert made["bulletin_revision"] == 2
    other = await web.schedule(
        bulletin_id=str(bulletin.id), bulletin_revision=1, starts_at="2024-12-28T18:00:00"
    )
    assert "phiên bản 2 mới hơn" in other["plan"]["warnings"][0]
    await web.refused_with(
        409, "chưa được duyệt", bulletin_id=str(bulletin.id), bulletin_revision=3
    )
    await web.refused_with(
        404, "không có phiên bản 9", bulletin_id=str(bulletin.id), bulletin_revision=9
    )


async def test_nothing_unapproved_is_ever_scheduled(web: Web) -> None:
    for state in set(RevisionState) - {RevisionState.APPROVED}:
        bulletin = await web.approved(title=state, state=state)
        await web.refused_with(409, "chưa được duyệt", bulletin_id=bulletin)
        await web.refused_with(409, "chưa được duyệt", bulletin_id=bulletin, bulletin_revision=1)
    assert await web.starts() == []


async def test_only_an_approver_schedules_an_emergency_and_not_in_quiet_hours(web: Web) -> None:
    bulletin = await web.approved(class_=BulletinClass.EMERGENCY, title="Lũ lớn")
    await web.refused_with(403, "người duyệt tin", bulletin_id=bulletin)
    body = web.body(bulletin_id=bulletin)
    made = await web.call("POST", "/schedules", body, who="Hùng")
    assert (made.status_code, made.json()["priority"]) == (201, 224)
    async with db.transaction(web.engine) as session:
        await session.execute(sa.update(ApiToken).values(has_second_factor=False))
    alone = await web.call("POST", "/schedules", body, who="Hùng")
    assert (alone.status_code, alone.json()["type"].rpartition(":")[2]) == (
        403, "second-factor-required",
    )  # fmt: skip
    async with db.transaction(web.engine) as session:
        await session.execute(sa.update(ApiToken).values(has_second_factor=True))
    night = body | {"starts_at": "2024-12-28T23:00:00"}
    refused = await web.call("POST", "/schedules", night, who="Hùng")
    assert refused.status_code == 422
    assert "giờ yên tĩnh 22:00–05:00" in refused.json()["detail"]


async def test_nobody_moves_an_emergency_who_may_not_schedule_one(web: Web) -> None:
    bulletin = await web.approved(class_=BulletinClass.EMERGENCY, title="Lũ lớn")
    await web.call("POST", "/schedules", web.body(bulletin_id=bulletin), who="Hùng")
    (row,) = (await web.get("/occurrences?state=planned"))["items"]
    path, to = f"/occurrences/{row['id']}", {"starts_at": "2024-12-28T10:00:00"}
    refused = await web.call("PATCH", path, to)
    assert (refused.status_code, "khẩn cấp" in refused.json()["detail"]) == (403, True)
    assert (await web.call("PATCH", path, to, who="Hùng")).status_code == 200


async def test_who_may_not_plan_may_read(web: Web) -> None:
    refused = await web.call("POST", "/schedules", web.body(), who="Tèo")
    assert refused.status_code == 403
    assert (await web.call("GET", "/schedules", who="Tèo")).status_code == 200


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"starts_at": "2024-12-28T08:00:00+07:00"}, "starts_at", "đã qua"),
    ({"starts_at": "2024-12-27T17:00:00+07:00", **DAILY}, "starts_at", "đã qua"),
    ({"starts_at": "2024-12-28T22:00:00+07:00"}, "starts_at", "giờ yên tĩnh"),
    ({"starts_at": "2024-12-28T21:59:00+07:00"}, "starts_at", "giờ yên tĩnh"),
    ({"rrule": "FREQ=DAILY;BYHOUR=17,23"}, "starts_at", "giờ yên tĩnh"),
    ({"starts_at": "9999-12-31T23:59:59Z"}, "starts_at", "từ năm 2000 đến 2099"),
    ({"starts_at": "0001-01-01T00:00:00Z"}, "starts_at", "từ năm 2000 đến 2099"),
    ({"starts_at": "ngày mai"}, "starts_at", "thời điểm"),
    ({"rrule": "FREQ=SECONDLY"}, "rrule", "SECONDLY"),
    ({"rrule": "FREQ=DAILY;BYMINUTE=0,1"}, "rrule", "cách 1 phút"),
    ({"rrule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=31"}, "rrule", "không bao giờ phát"),
    ({"rrule": "x" * 501}, "rrule", "500"),
    ({"priority": 128}, "priority", "từ 0 đến 127"),
    ({"priority": 256}, "priority", "255"),
    ({"late_limit_seconds": 3601}, "late_limit_seconds", "3600"),
    ({"volume": 101}, "volume", "100"),
    ({"targets": []}, "targets", "ít nhất 1"),
    ({"targets": [{}]}, "targets.0", "đúng một trong hai"),
    ({"targets": [{"area": "51", "cluster": "C-1"}]}, "targets.0", "đúng một trong hai"),
    ({"targets": [{"area": "5/1"}]}, "targets.0.area", "ký tự"),
    ({"targets": [{"area": "99999"}]}, "targets.0.area", "99999"),
    ({"targets": [{"cluster": "C-9"}]}, "targets.0.cluster", "C-9"),
    ({"targets": [{"cluster": "C-3"}]}, "targets.0.cluster", "không nhận lịch qua mạng"),
    ({"title": "a\nb"}, "title", "một dòng"),
    ({"color": "red"}, "color", "không có trường"),
]


async def test_bad_input_is_refused_with_its_field(web: Web) -> None:
    for changes, field, said in BAD:
        problem = await web.refused_with(422, said, **changes)
        assert problem["field"] == field, changes


async def test_a_dissolved_commune_is_refused_with_what_replaced_it(web: Web) -> None:
    web.now = NOW + timedelta(days=10)
    problem = await web.refused_with(
        422, "không còn từ 2025-01-01; nay là 21262", starts_at="2025-01-08T17:00:00"
    )
    assert (problem["field"], problem["replaced_by"]) == ("targets.0.area", ["21262"])


async def test_what_reaches_nobody_is_warned_of(web: Web) -> None:
    async with db.transaction(web.engine) as session:
        await session.execute(sa.text("UPDATE installations SET removed_at = :now"), {"now": NOW})
    made = await web.schedule(
        targets=[{"area": "21142"}, {"area": "51"}], rrule="FREQ=WEEKLY;BYDAY=MO"
    )
    assert made["plan"]["warnings"] == [
        "starts_at không khớp quy tắc lặp; buổi phát đầu là 17:00 30/12/2024",
        "đích “21142” không có cụm loa nào nhận lịch này",
        "3 cụm loa của “51” chưa lắp thiết bị nên không phát được",
    ]


# --- overlaps -----------------------------------------------------------------------------------


async def test_equal_priority_at_one_cluster_is_refused_with_the_list(web: Web) -> None:
    first = await web.schedule(**DAILY)
    problem = await web.refused_with(
        409, "Trùng giờ với “Tiêm phòng", starts_at="2024-12-28T17:01:00"
    )
    assert len(problem["clashes"]) == 1
    assert problem["clashes"][0]["cluster_count"] == 1
    assert problem["clashes"][0]["other_title"] == first["title"]
    preview = await web.call(
        "POST", "/schedules/preview", web.body(starts_at="2024-12-28T17:01:00")
    )
    assert [pair["outcome"] for pair in preview.json()["overlaps"]] == ["clash"]
    # After it, or elsewhere, there is room.
    await web.schedule(starts_at="2024-12-28T17:01:02")
    await web.schedule(targets=[{"area": "21262"}], starts_at="2024-12-28T17:00:00")


async def test_an_overlap_beyond_the_horizon_is_refused_too(web: Web) -> None:
    village: dict[str, Any] = {"targets": [{"area": "T-1"}]}
    await web.schedule(**village, rrule="FREQ=MONTHLY;BYMONTHDAY=20")
    await web.refused_with(409, "17:00 20/01/2025", **village, starts_at="2025-01-20T17:00:30")
    await web.schedule(**village, starts_at="2025-01-21T17:00:00")
    await web.refused_with(409, "17:00 21/01/2025", **village, rrule="FREQ=WEEKLY;BYDAY=TU")


async def test_a_merged_commune_still_clashes_with_its_new_neighbours_only_where_they_hear_it(
    web: Web,
) -> None:
    """After the merger a schedule of An Phú sounds at C-1 and C-2, that of Nghĩa Phú at C-1."""
    await web.schedule(rrule="FREQ=DAILY;COUNT=10")
    web.now = local("2025-01-02T08:00")
    await web.refused_with(
        409, "tại 1 cụm loa", targets=[{"area": "21262"}], starts_at="2025-01-02T17:00:00"
    )


async def test_another_priority_is_accepted_and_says_who_gives_way(web: Web) -> None:
    await web.schedule(**DAILY)
    urgent = await web.approved(class_=BulletinClass.PRIORITY, title="Áp thấp")
    made = await web.schedule(bulletin_id=urgent, targets=[{"area": "51"}])
    [pair] = made["plan"]["overlaps"]
    assert (pair["outcome"], pair["other_priority"], pair["cluster_count"]) == ("preempts", 64, 1)
    low = await web.schedule(priority=10, starts_at="2024-12-28T17:00:30")
    assert [pair["outcome"] for pair in low["plan"]["overlaps"]] == ["preempted", "preempted"]


# --- editing ------------------------------------------------------------------------------------


async def test_a_changed_time_moves_what_is_to_come_and_keeps_what_was_left_out_out(
    web: Web,
) -> None:
    made = await web.schedule(**DAILY)
    second = (await web.get("/occurrences"))["items"][1]
    out = await web.call("PATCH", f"/occurrences/{second['id']}", {"cancelled": True})
    assert (out.status_code, out.json()["state"]) == (200, "cancelled")
    web.now = local("2024-12-28T17:02")
    changed = await web.call(
        "PATCH", f"/schedules/{made['id']}", {"starts_at": "2024-12-28T18:00:00"}
    )
    assert changed.status_code == 200, changed.text
    assert await web.starts() == [
        "12-28 18:00", "12-30 18:00", "12-31 18:00", "01-01 18:00",
        "01-02 18:00", "01-03 18:00", "01-04 18:00",
    ]  # fmt: skip


async def test_a_change_needs_the_version_that_was_read(web: Web) -> None:
    made = await web.schedule()
    path = f"/schedules/{made['id']}"
    read = await web.call("GET", path)
    tag = read.headers["etag"]
    assert (await web.call("GET", path, If_None_Match=tag)).status_code == 304
    changed = await web.call("PATCH", path, {"volume": 50}, If_Match=tag)
    assert (changed.status_code, changed.json()["volume"]) == (200, 50)
    stale = await web.call("PATCH", path, {"volume": 60}, If_Match=tag)
    assert stale.status_code == 412
    reset = await web.call("PATCH", path, {"volume": None})
    assert reset.json()["volume"] is None


async def test_a_change_is_checked_like_a_new_schedule(web: Web) -> None:
    made = await web.schedule()
    other = await web.schedule(starts_at="2024-12-28T18:00:00")
    path = f"/schedules/{made['id']}"
    for change, status, said in (
        ({"starts_at": "2024-12-28T07:00:00"}, 422, "đã qua"),
        ({"starts_at": "2024-12-28T23:00:00"}, 422, "giờ yên tĩnh"),
        ({"starts_at": "2024-12-28T18:00:00"}, 409, "Trùng giờ"),
        ({"priority": 200}, 422, "từ 0 đến 127"),
        ({"targets": [{"area": "99999"}]}, 422, "99999"),
        ({"rrule": "FREQ=HOURLY"}, 422, "HOURLY"),
        ({"bulletin_revision": 2}, 404, "không có phiên bản 2"),
        ({"bulletin_id": str(uuid4())}, 422, "không có trường"),
    ):
        refused = await web.call("PATCH", path, change)
        assert (refused.status_code, said in refused.json()["detail"]) == (status, True), change
    assert await web.get(path) == {k: v for k, v in made.items() if k != "plan"}
    assert len(await web.starts()) == 2
    assert other["state"] == "active"


async def test_new_targets_are_meant_under_the_units_of_the_day_of_the_change(web: Web) -> None:
    made = await web.schedule(**DAILY)
    web.now = local("2025-01-02T08:00")
    path = f"/schedules/{made['id']}"
    refused = await web.call("PATCH", path, {"targets": [{"area": "21253"}]})
    assert refused.json()["replaced_by"] == ["21262"]
    assert (await web.call("PATCH", path, {"volume": 40})).status_code == 200
    changed = await web.call("PATCH", path, {"targets": [{"area": "21262"}]})
    assert changed.json()["plan"]["cluster_count"] == 2


async def test_this_and_all_following_become_another_schedule(web: Web) -> None:
    made = await web.schedule(**DAILY)
    fourth = (await web.get("/occurrences"))["items"][3]
    await web.call("PATCH", f"/occurrences/{fourth['id']}", {"cancelled": True})
    response = await web.call(
        "POST",
        f"/schedules/{made['id']}/split",
        {"from": "2024-12-30T00:00:00", "rrule": "FREQ=DAILY;BYHOUR=6"},
    )
    assert response.status_code == 201, response.text
    following = response.json()
    assert following["id"] != made["id"]
    assert (await web.get(f"/schedules/{made['id']}"))["rrule"] == (
        "FREQ=DAILY;UNTIL=20241230T165959"
    )
    assert await web.starts() == [
        "12-28 17:00", "12-29 17:00", "12-30 06:00", "01-01 06:00", "01-02 06:00",
        "01-03 06:00", "01-04 06:00", "01-05 06:00",
    ]  # fmt: skip
    first = await web.call(
        "POST", f"/schedules/{following['id']}/split", {"from": "2024-12-28T00:00:00", "volume": 9}
    )
    assert (first.json()["id"], first.json()["volume"]) == (following["id"], 9)


async def test_a_start_keeps_its_exception_and_the_series_its_last_day(web: Web) -> None:
    made = await web.schedule(rrule="FREQ=DAILY;BYHOUR=5,17;UNTIL=20250101T100000Z")
    rows = {as_local(row["starts_at"]): row for row in (await web.get("/occurrences"))["items"]}
    await web.call("PATCH", f"/occurrences/{rows['12-29 05:00']['id']}", {"cancelled": True})
    path = f"/schedules/{made['id']}"
    once = "FREQ=DAILY;BYHOUR=17;UNTIL=20250101T100000Z"
    assert (await web.call("PATCH", path, {"rrule": once})).status_code == 200
    days = ["12-28", "12-29", "12-30", "12-31", "01-01"]
    assert await web.starts() == [f"{day} 17:00" for day in days]
    same = {row["id"] for row in (await web.get("/occurrences?state=planned"))["items"]}
    assert same <= {row["id"] for row in rows.values()}
    later = await web.call("PATCH", path, {"rrule": once.replace("17;", "18;")})
    assert later.json()["rrule"] == "FREQ=DAILY;BYHOUR=18;UNTIL=20250101T235959"
    assert await web.starts() == [f"{day} 18:00" for day in days]
    twice = {"rrule": "FREQ=DAILY;BYHOUR=6,18;UNTIL=20250101T235959"}
    [said] = (await web.call("PATCH", path, twice)).json()["plan"]["warnings"]
    assert said.startswith("06:00 29/12/2024 vẫn bỏ"), "the morning of that day, at its new hour"
    starts = await web.starts()
    assert "12-29 18:00" in starts
    assert "12-29 06:00" not in starts


async def test_both_halves_of_a_split_keep_their_last_day(web: Web) -> None:
    made = await web.schedule(rrule="FREQ=DAILY;UNTIL=20250101T100000Z")
    head = f"/schedules/{made['id']}"
    body = {"from": "2024-12-30T00:00:00", "rrule": "FREQ=DAILY;BYHOUR=18;UNTIL=20250101T100000Z"}
    tail = await web.call("POST", f"{head}/split", body)
    assert tail.status_code == 201, tail.text
    assert await web.starts() == [
        "12-28 17:00", "12-29 17:00", "12-30 18:00", "12-31 18:00", "01-01 18:00",
    ]  # fmt: skip
    earlier = await web.call("PATCH", head, {"starts_at": "2024-12-28T16:00"})
    assert earlier.json()["plan"]["warnings"] == []
    assert (await web.starts())[:3] == ["12-28 16:00", "12-29 16:00", "12-30 18:00"]


async def test_a_count_that_is_sent_back_as_it_was_ends_with_the_whole(web: Web) -> None:
    for asked, last in (("4", "12-31 18:00"), ("3", "01-01 18:00"), (None, "12-31 18:00")):
        made = await web.schedule(rrule="FREQ=DAILY;COUNT=4")
        body = {"from": "2024-12-30T00:00:00", "starts_at": "2024-12-30T18:00"}
        if asked is not None:
            body["rrule"] = f"FREQ=DAILY;COUNT={asked}"
        tail = await web.call("POST", f"/schedules/{made['id']}/split", body)
        assert tail.status_code == 201, tail.text
        assert (await web.starts())[-1] == last
        for each in (made, tail.json()):
            await web.call("POST", f"/schedules/{each['id']}/withdraw")


async def test_a_last_day_that_is_cut_is_said(web: Web) -> None:
    made = await web.schedule(rrule="FREQ=DAILY;BYHOUR=18;UNTIL=20250101T100000Z")
    assert "UNTIL=20250101" in made["plan"]["warnings"][-1]


async def test_a_single_start_cannot_be_split(web: Web) -> None:
    made = await web.schedule()
    path = f"/schedules/{made['id']}/split"
    refused = await web.call("POST", path, {"from": "2024-12-28T00:00:00"})
    assert (refused.status_code, "một lần" in refused.json()["detail"]) == (409, True)
    ended = await web.schedule(starts_at="2024-12-28T18:00:00", rrule="FREQ=DAILY;COUNT=2")
    refused = await web.call(
        "POST", f"/schedules/{ended['id']}/split", {"from": "2025-06-01T00:00:00"}
    )
    assert (refused.status_code, refused.json()["field"]) == (422, "from")


async def test_one_occurrence_is_moved_and_the_others_stay(web: Web) -> None:
    await web.schedule(rrule="FREQ=DAILY;COUNT=3")
    await web.schedule(starts_at="2024-12-29T18:00:00")
    [_, second, *_] = (await web.get("/occurrences"))["items"]
    path = f"/occurrences/{second['id']}"
    read = await web.call("GET", path)
    moved = await web.call(
        "PATCH", path, {"starts_at": "2024-12-29T19:00:00"}, If_Match=read.headers["etag"]
    )
    assert moved.status_code == 200, moved.text
    assert moved.json()["id"] == second["id"]
    assert await web.starts() == ["12-28 17:00", "12-29 18:00", "12-29 19:00", "12-30 17:00"]
    for to, status, said in (
        ("2024-12-28T08:00:00", 422, "đã qua"),
        ("2024-12-29T23:00:00", 422, "giờ yên tĩnh"),
        ("2024-12-29T18:00:30", 409, "Trùng giờ"),
        ("2024-12-30T17:00:30", 409, "Trùng giờ"),
    ):
        refused = await web.call("PATCH", path, {"starts_at": to})
        assert (refused.status_code, said in refused.json()["detail"]) == (status, True), to
    stale = await web.call("PATCH", path, {"cancelled": True}, If_Match=read.headers["etag"])
    assert stale.status_code == 412
    neither = await web.call("PATCH", path, {})
    assert "starts_at (dời giờ) hoặc cancelled" in neither.json()["detail"]


async def test_what_sounds_can_be_stopped_but_not_moved(web: Web) -> None:
    await web.schedule()
    [row] = (await web.get("/occurrences"))["items"]
    web.now = local("2024-12-28T17:00:10")
    path = f"/occurrences/{row['id']}"
    refused = await web.call("PATCH", path, {"starts_at": "2024-12-28T18:00:00"})
    assert (refused.status_code, "đã bắt đầu" in refused.json()["detail"]) == (409, True)
    stopped = await web.call("PATCH", path, {"cancelled": True})
    assert stopped.json()["state"] == "cancelled"
    again = await web.call("PATCH", path, {"cancelled": True})
    assert (again.status_code, "đã bỏ" in again.json()["detail"]) == (409, True)


async def test_what_has_ended_stays(web: Web) -> None:
    await web.schedule()
    [row] = (await web.get("/occurrences"))["items"]
    web.now = local("2024-12-28T18:00:00")
    refused = await web.call("PATCH", f"/occurrences/{row['id']}", {"cancelled": True})
    assert (refused.status_code, "đã xong" in refused.json()["detail"]) == (409, True)


async def test_withdrawing_cancels_all_that_has_not_ended_and_is_final(web: Web) -> None:
    made = await web.schedule(**DAILY)
    web.now = local("2024-12-29T17:00:10")
    path = f"/schedules/{made['id']}"
    for _ in range(2):
        withdrawn = await web.call("POST", f"{path}/withdraw")
        assert (withdrawn.status_code, withdrawn.json()["state"]) == (200, "withdrawn")
    page = await web.get("/occurrences?from=2024-12-28T00:00:00&to=2025-12-28T00:00:00")
    states = [(row["state"], row["cancel_reason"]) for row in page["items"]]
    assert states == [("planned", None)] + [("cancelled", "withdrawn")] * 7
    for call in (
        web.call("PATCH", path, {"volume": 1}),
        web.call("POST", f"{path}/split", {"from": "2024-12-30T00:00:00"}),
        web.call("PATCH", f"/occurrences/{page['items'][3]['id']}", {"cancelled": True}),
    ):
        refused = await call
        assert (refused.status_code, "thu hồi" in refused.json()["detail"]) == (409, True)


async def test_an_ended_schedule_is_active_again_when_it_is_prolonged(web: Web) -> None:
    made = await web.schedule(rrule="FREQ=DAILY;COUNT=1")
    web.now = local("2024-12-30T08:00:00")
    async with db.transaction(web.engine) as session:
        await materialise(session, web.now, timedelta(days=8))
    path = f"/schedules/{made['id']}"
    assert (await web.get(path))["state"] == "ended"
    changed = await web.call("PATCH", path, {"rrule": "FREQ=DAILY;COUNT=4"})
    assert changed.json()["state"] == "active"
    assert await web.starts() == ["12-30 17:00", "12-31 17:00"]


# --- reading ------------------------------------------------------------------------------------


async def test_what_an_area_or_a_cluster_hears_includes_what_comes_from_above(web: Web) -> None:
    for targets, at in (
        ([{"area": "51"}], "17:00"),
        ([{"area": "21262"}], "17:10"),
        ([{"area": "T-2"}], "17:20"),
        ([{"cluster": "C-2"}], "17:30"),
        ([{"area": "21253"}], "17:40"),
    ):
        await web.schedule(targets=targets, starts_at=f"2024-12-28T{at}:00")

    async def heard(query: str) -> list[str]:
        page = await web.get(f"/occurrences?{query}")
        return [as_local(row["starts_at"])[6:] for row in page["items"]]

    everything = ["17:00", "17:10", "17:20", "17:30"]
    assert await heard("area=21262") == everything
    assert await heard("area=T-2") == everything
    assert await heard("cluster=C-2") == everything
    assert await heard("area=T-1") == ["17:00", "17:40"]
    assert await heard("cluster=C-4") == ["17:00"]
    assert len(await heard("area=51")) == 5
    for query in ("area=99999", "cluster=C-9"):
        response = await web.call("GET", f"/occurrences?{query}")
        assert response.status_code == 404


async def test_lists_are_paged_and_filtered(web: Web) -> None:
    made = [await web.schedule(starts_at=f"2024-12-28T{hour}:00:00") for hour in range(10, 15)]
    page = await web.get("/schedules?limit=2")
    ids = [row["id"] for row in page["items"]]
    while page["next"]:
        page = await web.get(f"/schedules?limit=2&cursor={page['next']}")
        ids += [row["id"] for row in page["items"]]
    assert sorted(ids) == sorted(each["id"] for each in made)
    await web.call("POST", f"/schedules/{made[0]['id']}/withdraw")
    assert len((await web.get("/schedules?state=active"))["items"]) == 4
    assert (await web.call("GET", f"/schedules?bulletin={uuid4()}")).status_code == 404
    one = await web.get(f"/occurrences?schedule={made[1]['id']}")
    assert len(one["items"]) == 1
    for path in (f"/schedules/{uuid4()}", f"/occurrences/{uuid4()}"):
        assert (await web.call("GET", path)).status_code == 404


async def test_a_race_for_one_slot_is_won_by_one(web: Web, engine: AsyncEngine) -> None:
    answers = await asyncio.gather(*(web.call("POST", "/schedules", web.body()) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    async with db.transaction(engine) as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(Schedule)) == 1
        assert await session.scalar(sa.select(sa.func.count()).select_from(Occurrence)) == 1


async def test_the_day_under_whose_units_it_was_meant_is_stored(web: Web) -> None:
    made = await web.schedule(starts_at="2024-12-31T17:00:00")
    async with db.transaction(web.engine) as session:
        schedule = await session.get_one(Schedule, UUID(made["id"]))
    assert str(schedule.targets_on) == "2024-12-31"


@pytest.mark.parametrize(
    ("place", "old", "new"),
    [
        ("area=51", True, True), ("area=21253", True, True), ("area=T-1", True, True),
        ("cluster=C-1", True, True), ("area=21262", False, True), ("area=T-2", False, True),
        ("cluster=C-2", False, True), ("area=21142", False, False), ("cluster=C-4", False, False),
    ],
)  # fmt: skip
async def test_a_span_over_a_merger_has_the_units_of_each_day(
    web: Web, place: str, old: bool, new: bool
) -> None:
    """On 1 January 21253 goes into 21262; what was meant for it goes on to its village."""
    await web.schedule(starts_at="2024-12-30T17:00", rrule="FREQ=DAILY;COUNT=4")
    for day in ("01", "02", "03"):
        await web.schedule(targets=[{"area": "21262"}], starts_at=f"2025-01-{day}T18:00")
    items = (await web.get(f"/occurrences?{place}"))["items"]
    series = [f"{day} 17:00" for day in ("12-30", "12-31", "01-01", "01-02")]
    singles = [f"{day} 18:00" for day in ("01-01", "01-02", "01-03")]
    if place == "area=21262":
        series, old = series[2:], True  # its village hears it once it lies there
    assert sorted(as_local(row["starts_at"]) for row in items) == sorted(
        [*series * old, *singles * new]
    )


@pytest.mark.parametrize(
    ("one", "two", "status"),
    [
        ("FREQ=MONTHLY;BYMONTHDAY=10", "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO", 409),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "FREQ=WEEKLY;BYDAY=TU", 409),
        ("FREQ=WEEKLY;BYDAY=MO", "FREQ=WEEKLY;BYDAY=TU", 201),
        ("FREQ=WEEKLY;BYDAY=MO", "FREQ=MONTHLY;BYMONTHDAY=10;UNTIL=20250209", 201),
        ("FREQ=MONTHLY;BYDAY=1MO", "FREQ=MONTHLY;BYMONTHDAY=7;COUNT=12", 409),
    ],
)
async def test_a_clash_is_refused_in_either_order(
    web: Web, one: str, two: str, status: int
) -> None:
    for first, second in ((one, two), (two, one)):
        made = await web.schedule(rrule=first)
        answer = await web.call("POST", "/schedules", web.body(rrule=second))
        assert answer.status_code == status, answer.text
        for schedule in (made, answer.json()):
            if "id" in schedule:
                await web.call("POST", f"/schedules/{schedule['id']}/withdraw")


async def test_a_start_that_was_moved_far_ahead_clashes_in_either_order(web: Web) -> None:
    made = await web.schedule()
    row = (await web.get("/occurrences"))["items"][0]
    moved = {"starts_at": "2025-06-01T18:00"}
    assert (await web.call("PATCH", f"/occurrences/{row['id']}", moved)).status_code == 200
    await web.refused_with(
        409, "18:00 01/06/2025", starts_at="2024-12-29T18:00", rrule="FREQ=DAILY"
    )
    await web.call("POST", f"/schedules/{made['id']}/withdraw")
    await web.schedule(starts_at="2024-12-29T18:00", rrule="FREQ=DAILY")
    made = await web.schedule()
    row = (await web.get(f"/occurrences?schedule={made['id']}"))["items"][0]
    refused = await web.call("PATCH", f"/occurrences/{row['id']}", moved)
    assert (refused.status_code, "18:00 01/06/2025" in refused.json()["detail"]) == (409, True)


async def test_a_longer_revision_must_fit_where_starts_were_moved(web: Web) -> None:
    made = await web.schedule(rrule="FREQ=DAILY;COUNT=3")
    row = (await web.get("/occurrences"))["items"][1]
    path = f"/occurrences/{row['id']}"
    assert (await web.call("PATCH", path, {"starts_at": "2024-12-29T21:58"})).status_code == 200
    async with db.transaction(web.engine) as session:
        bulletin = await session.get_one(Bulletin, UUID(web.bulletin))
        sound = make.prepared(web.content_dir, b"opus long", b"mp3 long")
        longer = await make.revision(session, bulletin, sound, RevisionState.APPROVED)
        longer.seconds = 600.0
    refused = await web.call("PATCH", f"/schedules/{made['id']}", {"bulletin_revision": 2})
    assert (refused.status_code, "giờ yên tĩnh" in refused.json()["detail"]) == (422, True)


# --- neighbours ---------------------------------------------------------------------------------


async def test_a_left_out_day_that_returns_stays_silent_and_is_said(web: Web) -> None:
    made = await web.schedule(**DAILY)
    rows = {as_local(row["starts_at"]): row for row in (await web.get("/occurrences"))["items"]}
    await web.call("PATCH", f"/occurrences/{rows['12-30 17:00']['id']}", {"cancelled": True})
    moved = {"starts_at": "2025-01-02T19:00"}
    await web.call("PATCH", f"/occurrences/{rows['01-02 17:00']['id']}", moved)
    path = f"/schedules/{made['id']}"
    weekly = await web.call("PATCH", path, {"rrule": "FREQ=WEEKLY;BYDAY=SA"})
    assert ["19:00 02/01/2025" in each for each in weekly.json()["plan"]["warnings"]] == [True]
    daily = (await web.call("PATCH", path, DAILY)).json()["plan"]["warnings"]
    assert ["17:00 30/12/2024 vẫn bỏ" in each for each in daily] == [True]
    starts = await web.starts()
    assert "12-30 17:00" not in starts
    assert {"12-29 17:00", "01-02 17:00"} <= {*starts}
    again = await web.call("PATCH", path, {"rrule": "FREQ=DAILY;BYHOUR=18"})
    assert "12-30 18:00" not in await web.starts()
    assert "18:00 30/12/2024 vẫn bỏ" in again.json()["plan"]["warnings"][-1]


async def test_the_half_that_goes_on_leaves_out_what_was_left_out_before_the_cut(web: Web) -> None:
    made = await web.schedule(rrule="FREQ=DAILY;BYHOUR=9,17")
    rows = {as_local(row["starts_at"]): row for row in (await web.get("/occurrences"))["items"]}
    await web.call("PATCH", f"/occurrences/{rows['12-30 09:00']['id']}", {"cancelled": True})
    body = {"from": "2024-12-30T12:00:00"}
    tail = (await web.call("POST", f"/schedules/{made['id']}/split", body)).json()
    await web.call("POST", f"/schedules/{made['id']}/withdraw")
    earlier = {"starts_at": "2024-12-30T09:00:00"}
    assert (await web.call("PATCH", f"/schedules/{tail['id']}", earlier)).status_code == 200
    starts = await web.starts()
    assert "12-30 17:00" in starts
    assert "12-30 09:00" not in starts


SPOILT = {
    "rule": "rrule = 'FREQ=NEVER'",
    "targets": """targets = '[{"area": 7}]'""",
    "no targets": """targets = '"x"'""",
    "targets of another kind": "targets = '[[]]'",
    "start": "starts_at = '9999-12-31 23:59+00'",
    "start without end": "starts_at = 'infinity'",
    "late limit": "late_limit_seconds = 2147483647",
}
UNKNOWN = {"word": "on_preempt = 'jump'", "priority": "priority = 70000"}


async def spoil(web: Web, statement: str, **parameters: Any) -> None:
    """Change a row in a way that nothing but a bug or a hand at the database could."""
    async with db.transaction(web.engine) as session:
        for name in await session.scalars(
            sa.text("SELECT conname FROM pg_constraint WHERE contype = 'c'"
                    " AND conrelid = 'schedules'::regclass")
        ):  # fmt: skip
            await session.execute(sa.text(f'ALTER TABLE schedules DROP CONSTRAINT "{name}"'))
        changed: Any = await session.execute(sa.text(statement), parameters)
        assert changed.rowcount == 1


@pytest.mark.parametrize("row", [*SPOILT, *UNKNOWN, "exception", "sound"])
async def test_a_neighbour_that_cannot_be_read_keeps_nobody_from_saving(
    web: Web, row: str
) -> None:
    bad = await web.schedule(title="Lịch hỏng", targets=[{"area": "21262"}], **DAILY)
    mine = await web.schedule(
        bulletin_id=await web.approved(title="B"),
        targets=[{"cluster": "C-4"}],
        starts_at="2024-12-28T08:30:00+07:00",
    )
    statement = f"UPDATE schedules SET {(SPOILT | UNKNOWN).get(row)} WHERE id = :id"
    if row == "exception":
        statement = ("INSERT INTO schedule_exceptions SELECT id, starts_at, 'infinity', 1000001,"
                     " now() FROM schedules WHERE id = :id")  # fmt: skip
    elif row == "sound":
        statement = ("UPDATE bulletin_revisions SET seconds = 'NaN' WHERE bulletin_id ="
                     " (SELECT bulletin_id FROM schedules WHERE id = :id)")  # fmt: skip
    await spoil(web, statement, id=UUID(bad["id"]))
    said = row not in UNKNOWN

    def is_told(plan: dict[str, Any]) -> bool:
        return any("Lịch hỏng" in each and bad["id"] in each for each in plan["warnings"])

    body = web.body(
        bulletin_id=await web.approved(title="C"), starts_at="2024-12-28T19:00:00+07:00"
    )
    preview = await web.call("POST", "/schedules/preview", body)
    assert preview.status_code == 200, preview.text
    assert is_told(preview.json()) == said
    made = await web.call("POST", "/schedules", body)
    assert made.status_code == 201, made.text
    assert is_told(made.json()["plan"]) == said
    path = f"/schedules/{mine['id']}"
    changed = await web.call("PATCH", path, {"rrule": "FREQ=DAILY", "priority": 60})
    assert changed.status_code == 200, changed.text
    occurrences = (await web.get(f"/occurrences?schedule={mine['id']}"))["items"]
    moved = await web.call(
        "PATCH", f"/occurrences/{occurrences[1]['id']}", {"starts_at": "2024-12-29T11:00"}
    )
    assert moved.status_code == 200, moved.text
    split = await web.call("POST", f"{path}/split", {"from": "2025-01-01T00:00:00"})
    assert split.status_code == 201, split.text


async def test_a_rule_that_cannot_be_read_is_mended_by_naming_it_anew(web: Web) -> None:
    made = await web.schedule(**DAILY)
    second = (await web.get("/occurrences"))["items"][1]
    await web.call("PATCH", f"/occurrences/{second['id']}", {"cancelled": True})
    await spoil(
        web, "UPDATE schedules SET rrule = 'FREQ=NEVER' WHERE id = :id", id=UUID(made["id"])
    )
    path = f"/schedules/{made['id']}"
    for method, where, body in (
        ("PATCH", path, {"volume": 9}),
        ("POST", f"{path}/split", {"from": "2025-01-01T00:00:00"}),
    ):
        refused = await web.call(method, where, body)
        assert (refused.status_code, "rrule" in refused.json()["detail"]) == (409, True)
    mended = await web.call("PATCH", path, DAILY)
    assert mended.status_code == 200, mended.text
    starts = await web.starts()
    assert len(starts) == 7
    assert "12-29 17:00" not in starts


async def test_days_that_are_named_far_ahead_are_checked_like_the_next_ones(web: Web) -> None:
    quiet = "2025-06-02T23:00:00+07:00"
    said = await web.refused_with(422, "giờ yên tĩnh", **DAILY, dates=[quiet])
    assert said["field"] == "starts_at"
    checked = await web.call("POST", "/schedules/check", web.body(**DAILY, dates=[quiet]))
    assert "quiet" in {each["kind"] for each in checked.json()["findings"]}
    meets_itself = "2025-06-02T17:01:00+07:00"
    await web.refused_with(409, "Trùng giờ", **DAILY, dates=[meets_itself])
    beside = "2025-06-02T17:02:00+07:00"
    made = await web.schedule(**DAILY, dates=[beside])
    assert made["dates"] == [beside]


async def test_a_schedule_of_which_a_moved_start_is_left_is_changed(web: Web) -> None:
    made = await web.schedule()
    page = await web.get(f"/occurrences?schedule={made['id']}")
    to = "2025-01-20T18:00:00+07:00"
    path = f"/occurrences/{page['items'][0]['id']}"
    assert (await web.call("PATCH", path, {"starts_at": to})).status_code == 200
    web.now = web.now.replace(day=30)
    check = await web.call("POST", f"/schedules/{made['id']}/check", {"title": "Tin mới"})
    assert (check.status_code, check.json()["refused"]) == (200, False)
    changed = await web.call("PATCH", f"/schedules/{made['id']}", {"title": "Tin mới"})
    assert changed.status_code == 200, changed.text
    assert changed.json()["plan"]["starts"] == [to]
    row = await web.get(path)
    assert (row["title"], row["starts_at"], row["state"]) == ("Tin mới", to, "planned")

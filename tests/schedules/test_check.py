"""The check before saving: what it finds is what saving refuses, and each remedy is one."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event

from broadcast.bulletins.model import RevisionState
from broadcast.kit import db
from broadcast.schedules.model import ScheduleState
from broadcast.telemetry.model import DevicePresence
from broadcast.telemetry.presence import Presence
from broadcast.wire.fields import BulletinClass
from tests.schedules.province import NOW
from tests.schedules.web import DAILY, Web, as_local

BOTH = [{"area": "21253"}, {"area": "21262"}]


async def answer(web: Web, path: str, body: Any) -> dict[str, Any]:
    response = await web.call("POST", path, body)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def check(web: Web, **changes: Any) -> dict[str, Any]:
    return await answer(web, "/schedules/check", web.body(**changes))


def kinds(found: dict[str, Any]) -> list[str]:
    return [each["kind"] for each in found["findings"]]


def finding(found: dict[str, Any], kind: str) -> dict[str, Any]:
    [one] = [each for each in found["findings"] if each["kind"] == kind]
    made: dict[str, Any] = one
    return made


async def in_contact(web: Web, *devices: int, presence: Presence = Presence.ONLINE) -> None:
    async with db.transaction(web.engine) as session:
        for device in devices:
            session.add(
                DevicePresence(
                    device_id=device,
                    presence=presence,
                    since=NOW,
                    session=1,
                    seq=1,
                    last_seen_at=NOW,
                    silent_after=NOW,
                    held={},
                )
            )


async def test_nothing_is_found_where_all_is_well(web: Web) -> None:
    await in_contact(web, 1, 2, 3)
    found = await check(web, **DAILY)
    assert (found["findings"], found["refused"]) == ([], False)
    assert found["plan"]["cluster_count"] == 1
    assert await web.starts() == []


@pytest.mark.parametrize("recurring", [{}, DAILY], ids=["once", "daily"])
async def test_each_remedy_of_a_clash_takes_it_away(web: Web, recurring: dict[str, str]) -> None:
    await web.schedule(**DAILY)
    wanted: dict[str, Any] = {"targets": BOTH, **recurring}
    found = await check(web, **wanted)
    clash = finding(found, "clash")
    assert found["refused"]
    assert clash["villages"] == ["T-1"]
    assert clash["text"].startswith("Trùng giờ với “Tiêm phòng gia súc đợt 2” lúc 17:00 thứ Bảy")
    assert "Thôn Phú Bình" in clash["text"]
    assert [each["kind"] for each in clash["remedies"]] == [
        "other_time", "other_time", "other_time",
        "fewer_villages", "lower_priority", "higher_priority",
    ]  # fmt: skip
    await web.refused_with(409, "Trùng giờ", **wanted)
    for remedy in clash["remedies"]:
        remedied = await check(web, **wanted | remedy["change"])
        assert not remedied["refused"], remedy
        assert "clash" not in kinds(remedied)
    fewer = clash["remedies"][3]
    assert fewer["change"] == {"targets": [{"area": "21262"}]}
    assert fewer["text"] == "Bỏ Thôn Phú Bình"
    made = await web.schedule(**wanted | fewer["change"])
    assert made["plan"]["cluster_count"] == 1


async def test_the_other_schedules_are_read_once(web: Web) -> None:
    await web.schedule(**DAILY)
    read: list[str] = []
    every = (ScheduleState.ACTIVE.value, RevisionState.APPROVED.value)

    def note(*asked: Any) -> None:
        statement, parameters = asked[2:4]
        if "JOIN bulletin_revisions" in statement and set(every) <= set(parameters):
            read.append(statement)

    event.listen(web.engine.sync_engine, "before_cursor_execute", note)
    found = await check(web, targets=BOTH, **DAILY)
    event.remove(web.engine.sync_engine, "before_cursor_execute", note)
    assert finding(found, "clash")["remedies"]  # among them free times, and there is room
    assert len(read) == 1


async def test_quiet_hours_come_with_times_that_are_none(web: Web) -> None:
    found = await check(web, starts_at="2024-12-28T23:00:00", **DAILY)
    quiet = finding(found, "quiet")
    assert "22:00–05:00" in quiet["text"]
    assert quiet["starts_count"] == len(found["plan"]["starts"])
    offered = [as_local(each["change"]["starts_at"]) for each in quiet["remedies"]]
    assert offered == ["12-28 21:45", "12-28 21:50", "12-28 21:55"]
    for remedy in quiet["remedies"]:
        assert "quiet" not in kinds(await check(web, **DAILY | remedy["change"]))


async def test_quiet_hours_hide_nothing_else(web: Web) -> None:
    found = await check(web, starts_at="2024-12-28T23:00:00", targets=[{"area": "21142"}])
    assert kinds(found)[:2] == ["quiet", "unheard"]


async def test_what_has_passed_is_offered_a_time_to_come(web: Web) -> None:
    found = await check(web, starts_at="2024-12-28T07:00:00")
    passed = finding(found, "passed")
    assert (found["refused"], found["plan"]) == (True, None)
    assert passed["text"] == "07:00 thứ Bảy 28/12 đã qua."
    assert as_local(passed["remedies"][0]["change"]["starts_at"]) == "12-28 08:05"
    assert not (await check(web, **passed["remedies"][0]["change"]))["refused"]


async def test_a_village_without_a_cluster_can_be_left_out(web: Web) -> None:
    found = await check(web, targets=[{"area": "21253"}, {"area": "21142"}])
    unheard = finding(found, "unheard")
    assert not found["refused"]
    assert unheard["villages"] == ["T-3"]
    assert "Thôn Tây" in unheard["text"]
    [remedy] = unheard["remedies"]
    assert remedy["change"] == {"targets": [{"area": "21253"}]}


async def test_where_nothing_would_be_left_nothing_is_left_out(web: Web) -> None:
    assert finding(await check(web, targets=[{"area": "21142"}]), "unheard")["remedies"] == []


async def test_clusters_out_of_contact_are_counted(web: Web) -> None:
    await in_contact(web, 1)
    await in_contact(web, 2, presence=Presence.OFFLINE)
    found = await check(web, targets=BOTH)
    lost = finding(found, "not_ready")
    assert (lost["cluster_count"], lost["villages"]) == (1, ["T-2"])
    assert lost["text"] == "1 cụm loa đang mất liên lạc (Thôn Tân Mỹ): chỉ phát nếu kịp nối lại."


async def test_what_would_be_preempted_is_said_and_not_refused(web: Web) -> None:
    await web.schedule(priority=100)
    found = await check(web)
    assert kinds(found)[0] == "preempted"
    assert not found["refused"]
    assert finding(found, "preempted")["other"]["other_priority"] == 100


async def test_an_unapproved_bulletin_is_checked_and_says_so(web: Web) -> None:
    draft = await web.approved(title="Nháp", state=RevisionState.SUBMITTED)
    found = await check(web, bulletin_id=draft)
    assert kinds(found)[0] == "not_approved"
    assert found["plan"]["cluster_count"] == 1
    returned = await web.approved(title="Trả lại", state=RevisionState.RETURNED)
    response = await web.call("POST", "/schedules/check", web.body(bulletin_id=returned))
    assert response.status_code == 409


async def test_a_priority_is_raised_only_as_far_as_the_class_allows(web: Web) -> None:
    await web.schedule(priority=127)
    found = await check(web, priority=127)
    offered = [each["kind"] for each in finding(found, "clash")["remedies"]]
    assert "lower_priority" in offered
    assert "higher_priority" not in offered


# --- changes -------------------------------------------------------------------------------------


async def test_a_change_of_all_is_told_in_numbers_and_not_made(web: Web) -> None:
    made = await web.schedule(**DAILY)
    before = await web.starts()
    found = await answer(
        web, f"/schedules/{made['id']}/check", {"starts_at": "2024-12-28T18:00:00"}
    )
    consequence = found["consequence"]
    assert len(consequence["lost"]) == len(consequence["gained"]) == len(before)
    assert (consequence["village_count"], consequence["cluster_count"]) == (1, 1)
    assert consequence["out_of_contact"] == 1
    assert await web.starts() == before
    assert (await web.get(f"/schedules/{made['id']}"))["starts_at"] == made["starts_at"]


async def test_a_change_of_this_and_following_leaves_the_others(web: Web) -> None:
    made = await web.schedule(**DAILY)
    before = await web.starts()
    found = await answer(
        web,
        f"/schedules/{made['id']}/check",
        {"from": "2024-12-30T00:00:00", "starts_at": "2024-12-30T18:00:00"},
    )
    lost = [as_local(each) for each in found["consequence"]["lost"]]
    assert lost == before[2:]
    assert len((await web.get("/schedules"))["items"]) == 1


async def test_a_change_that_would_clash_is_found(web: Web) -> None:
    await web.schedule(starts_at="2024-12-30T18:00:00")
    made = await web.schedule(**DAILY)
    found = await answer(
        web, f"/schedules/{made['id']}/check", {"starts_at": "2024-12-28T18:00:00"}
    )
    assert finding(found, "clash")["starts_count"] == 1


async def test_the_withdrawal_of_a_schedule_is_told_in_numbers(web: Web) -> None:
    made = await web.schedule(**DAILY)
    found = await web.get(f"/schedules/{made['id']}/withdrawal")
    assert len(found["lost"]) == len(await web.starts())
    assert found["summary"].startswith(f"{len(found['lost'])} buổi phát ở 1 thôn (1 cụm loa)")


# --- single starts -------------------------------------------------------------------------------


async def first(web: Web) -> dict[str, Any]:
    page = await web.get("/occurrences?limit=1")
    row: dict[str, Any] = page["items"][0]
    return row


async def test_the_move_of_one_start_is_checked_and_not_made(web: Web) -> None:
    await in_contact(web, 1)
    await web.schedule(**DAILY)
    await web.schedule(starts_at="2024-12-28T18:00:00")
    row = await first(web)
    path = f"/occurrences/{row['id']}/check"
    found = await answer(web, path, {"starts_at": "2024-12-28T17:59:30"})
    assert kinds(found) == ["clash"]
    assert found["consequence"]["summary"] == (
        "Buổi phát 17:00 thứ Bảy 28/12 ở 1 thôn (1 cụm loa) chuyển sang 17:59 thứ Bảy 28/12."
    )
    remedy = found["findings"][0]["remedies"][0]["change"]
    assert kinds(await answer(web, path, remedy)) == []
    assert (await first(web))["starts_at"] == row["starts_at"]
    moved = await web.call("PATCH", f"/occurrences/{row['id']}", remedy)
    assert moved.status_code == 200, moved.text


@pytest.mark.parametrize(
    ("to", "kind"), [("2024-12-28T23:00:00", "quiet"), ("2024-12-28T07:00:00", "passed")]
)
async def test_a_move_to_where_nothing_sounds_is_found(web: Web, to: str, kind: str) -> None:
    await in_contact(web, 1)
    await web.schedule()
    row = await first(web)
    found = await answer(web, f"/occurrences/{row['id']}/check", {"starts_at": to})
    assert (kinds(found), found["refused"]) == ([kind], True)
    response = await web.call("PATCH", f"/occurrences/{row['id']}", {"starts_at": to})
    assert response.status_code == 422


async def test_a_cancellation_is_told_in_numbers(web: Web) -> None:
    await web.schedule()
    row = await first(web)
    found = await answer(web, f"/occurrences/{row['id']}/check", {"cancelled": True})
    assert found["consequence"]["summary"].startswith("1 buổi phát ở 1 thôn (1 cụm loa) sẽ hủy")
    assert (await first(web))["state"] == "planned"


@pytest.mark.parametrize("change", [{"cancelled": True}, {"starts_at": "2024-12-28T19:00:00"}])
async def test_a_move_and_a_cancellation_are_undone(web: Web, change: dict[str, Any]) -> None:
    await web.schedule(**DAILY)
    row = await first(web)
    changed = await web.call("PATCH", f"/occurrences/{row['id']}", change)
    assert changed.status_code == 200, changed.text
    for _ in range(2):
        undone = await web.call("POST", f"/occurrences/{row['id']}/reinstate")
        assert undone.status_code == 200, undone.text
        assert undone.json() == row


async def test_what_another_has_taken_is_not_given_back(web: Web) -> None:
    await web.schedule()
    row = await first(web)
    await web.call("PATCH", f"/occurrences/{row['id']}", {"cancelled": True})
    # What a cancelled start leaves free is free only while nobody asks for it.
    await web.schedule(title="Của người khác", starts_at="2024-12-28T17:00:30")
    undone = await web.call("POST", f"/occurrences/{row['id']}/reinstate")
    assert (undone.status_code, undone.json()["clashes"][0]["other_title"]) == (
        409, "Của người khác",
    )  # fmt: skip


async def test_what_has_passed_is_not_given_back(web: Web) -> None:
    await web.schedule()
    row = await first(web)
    await web.call("PATCH", f"/occurrences/{row['id']}", {"cancelled": True})
    web.now = NOW.replace(hour=11)
    undone = await web.call("POST", f"/occurrences/{row['id']}/reinstate")
    assert undone.status_code == 409
    assert "đã qua" in undone.json()["detail"]


async def test_a_withdrawn_schedule_sounds_again(web: Web) -> None:
    made = await web.schedule(**DAILY)
    before = await web.starts()
    await web.call("POST", f"/schedules/{made['id']}/withdraw")
    assert await web.starts() == []
    undone = await web.call("POST", f"/schedules/{made['id']}/reinstate")
    assert (undone.status_code, undone.json()["state"]) == (200, "active")
    assert await web.starts() == before
    again = await web.call("POST", f"/schedules/{made['id']}/reinstate")
    assert again.json() == undone.json()


# --- free times ----------------------------------------------------------------------------------


async def test_free_times_of_a_week_leave_out_what_sounds_there(web: Web) -> None:
    await web.schedule(**DAILY)
    body = {"bulletin_id": web.bulletin, "targets": [{"area": "21253"}]}
    days: list[dict[str, Any]] = (await web.call("POST", "/schedules/free-times", body)).json()
    assert [day["day"] for day in days][:2] == ["2024-12-28", "2024-12-29"]
    assert len(days) == 7
    for day in days:
        [sounding] = day["occupied"]
        assert as_local(sounding["starts_at"]).endswith("17:00")
        times = [as_local(at)[-5:] for at in day["starts"]]
        assert "17:00" not in times
        assert {"16:55", "17:05"} <= set(times)
        assert times[-1] == "21:55"
    assert as_local(days[0]["starts"][0]) == "12-28 08:05"
    assert as_local(days[1]["starts"][0]) == "12-29 05:00"
    free = {**web.body(), "starts_at": days[1]["starts"][0]}
    assert not (await answer(web, "/schedules/check", free))["refused"]


async def test_an_emergency_is_checked_only_for_who_may_schedule_one(web: Web) -> None:
    bulletin = await web.approved(class_=BulletinClass.EMERGENCY, title="Bão")
    response = await web.call("POST", "/schedules/check", web.body(bulletin_id=bulletin))
    assert response.status_code == 403

"""Schedules that follow calendars: what is silent, where, why, and in the ledger."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from broadcast.areas.model import Topology
from broadcast.config import Rules
from broadcast.delivery.changes import Changes
from broadcast.kit import db
from broadcast.kit.quiet import daily
from broadcast.plays.model import Play
from broadcast.regulations.devices import hours_at_device
from broadcast.schedules.model import Occurrence
from broadcast.schedules.occurrences import dirty, materialise
from broadcast.schedules.targets import target_resolver
from broadcast.stations.model import Cluster
from broadcast.wire.documents import Hours
from broadcast.wire.fields import BulletinClass
from tests.schedules.web import DAILY, Web

HORIZON = timedelta(days=8)
PROVINCE, COMMUNE = "51", "21253"
"""Of `tests.stations.sample`; C-1 and C-2 serve the commune."""


async def mark(web: Web, who: str = "Lan", **changes: Any) -> dict[str, Any]:
    body = {
        "kind": "mourning", "name": "Quốc tang", "area_code": PROVINCE,
        "first_on": "2024-12-30", "last_on": "2024-12-31",
    } | changes  # fmt: skip
    answer = await web.call("POST", "/calendar-days", body, who)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def replan(web: Web) -> None:
    """What the dispatcher does once the topology was touched."""
    async with db.transaction(web.engine) as session:
        await materialise(session, web.now, HORIZON)
        await Changes(Rules()).hand_on(session, await dirty(session, 1000, []), web.now)


async def occurrences(web: Web) -> dict[str, tuple[str, str | None, list[str]]]:
    """State, reason and documents by local day."""
    async with db.transaction(web.engine) as session:
        rows = await session.scalars(sa.select(Occurrence).order_by(Occurrence.starts_at))
        return {
            f"{row.starts_at + timedelta(hours=7):%m-%d}": (
                row.state.value, row.cancel_reason, row.scopes,
            )
            for row in rows
        }  # fmt: skip


async def plays(web: Web) -> dict[tuple[str, str], tuple[str, str]]:
    """State and reason by local day and cluster."""
    async with db.transaction(web.engine) as session:
        rows = await session.execute(
            sa.select(Play.starts_at, Cluster.code, Play.state, Play.reason).join(
                Cluster, Cluster.id == Play.cluster_id
            )
        )
        return {
            (f"{at + timedelta(hours=7):%m-%d}", code): (state, reason)
            for at, code, state, reason in rows
        }


async def test_on_days_of_mourning_nothing_sounds_and_the_ledger_says_why(web: Web) -> None:
    await web.schedule(**DAILY)
    await replan(web)
    before = await occurrences(web)
    assert {state for state, _, _ in before.values()} == {"planned"}
    async with db.transaction(web.engine) as session:
        revision = await session.scalar(sa.select(Topology.revision))
    made = await mark(web)
    async with db.transaction(web.engine) as session:
        assert await session.scalar(sa.select(Topology.revision)) == revision + 1
    await replan(web)
    found = await occurrences(web)
    silent = {day for day, (_, reason, _) in found.items() if reason == "mourning"}
    assert silent == {"12-30", "12-31"}
    assert all(found[day] == before[day] for day in found.keys() - silent)
    ledger = await plays(web)
    assert {day for day, _ in ledger} == set(found)
    for (day, _), (state, reason) in ledger.items():
        expected = ("cancelled", "mourning") if day in silent else ("planned", "")
        assert (state, reason) == expected
    answer = await web.call("DELETE", f"/calendar-days/{made['id']}")
    assert answer.status_code == 204
    await replan(web)
    assert await occurrences(web) == before
    assert set((await plays(web)).values()) == {("planned", "")}


async def test_spoken_word_sounds_on_days_of_mourning_and_not_on_those_of_exams(web: Web) -> None:
    await mark(web)
    await mark(web, kind="exam", first_on="2025-01-02", last_on="2025-01-02")
    await web.schedule(**DAILY, is_speech=True)
    await replan(web)
    found = await occurrences(web)
    assert {day: why for day, (_, why, _) in found.items() if why} == {"01-02": "exam"}


async def test_an_emergency_heeds_no_calendar(web: Web) -> None:
    await mark(web)
    await mark(web, kind="exam")
    web.bulletin = await web.approved(class_=BulletinClass.EMERGENCY, title="Lũ về")
    answer = await web.call("POST", "/schedules", web.body(**DAILY), who="Hùng")
    assert answer.status_code == 201, answer.text
    await replan(web)
    assert {state for state, _, _ in (await occurrences(web)).values()} == {"planned"}


async def test_what_marking_days_will_silence_is_known_before(web: Web) -> None:
    made = await web.schedule(**DAILY)
    body = {
        "kind": "mourning", "name": "Quốc tang", "area_code": PROVINCE,
        "first_on": "2024-12-30", "last_on": "2024-12-31",
    }  # fmt: skip
    checked = await web.call("POST", "/calendar-days/check", body)
    effect = checked.json()
    assert effect["summary"] == (
        "2 buổi phát ở 1 thôn (1 cụm loa) sẽ im, sớm nhất 17:00 thứ Hai 30/12."
    )
    [affected] = effect["schedules"]
    assert affected["schedule_id"] == made["id"]
    assert [at[:10] for at in affected["silenced"]] == ["2024-12-30", "2024-12-31"]
    assert (await web.get("/calendar-days"))["items"] == []
    marked = await mark(web)
    again = (await web.call("POST", "/calendar-days/check", body)).json()
    assert again["summary"] == "Không buổi phát nào thay đổi."
    back = await web.get(f"/calendar-days/{marked['id']}/removal")
    assert back["schedules"][0]["sounding"] == affected["silenced"]
    assert len((await web.get("/calendar-days"))["items"]) == 1


async def test_an_exam_keeps_the_loudspeakers_near_the_school_silent(web: Web) -> None:
    await web.schedule(**DAILY, targets=[{"area": PROVINCE}])
    await mark(web, kind="exam", name="Thi học kỳ", area_code=COMMUNE, clusters=["C-1"])
    await replan(web)
    found = await occurrences(web)
    assert found["12-29"] == ("planned", None, [f"area/{PROVINCE}"])
    state, reason, scopes = found["12-30"]
    assert (state, reason) == ("planned", None)
    assert f"area/{PROVINCE}" not in scopes
    assert "area/21253" not in scopes
    assert "device/D-1" not in scopes
    ledger = await plays(web)
    assert ledger["12-30", "C-1"] == ("cancelled", "exam")
    assert ledger["12-30", "C-2"] == ("planned", "")
    assert ledger["12-29", "C-1"] == ("planned", "")
    assert {state for (_, code), (state, _) in ledger.items() if code != "C-1"} == {"planned"}


@pytest.mark.parametrize(
    ("hours", "silent"),
    [
        (("07:00", "11:30"), False),
        (("16:00", "18:00"), True),
        (("17:00", "17:01"), True),
        (("16:00", "17:00"), False),
    ],
)
async def test_an_exam_with_hours_is_silent_in_these_alone(
    web: Web, hours: tuple[str, str], silent: bool
) -> None:
    await web.schedule(**DAILY)
    marked = await mark(
        web, kind="exam", name="Thi", area_code=COMMUNE, from_time=hours[0], until_time=hours[1]
    )
    assert (marked["from_time"], marked["until_time"]) == hours
    await replan(web)
    ledger = await plays(web)
    told = ("cancelled", "exam") if silent else ("planned", "")
    assert ledger["12-30", "C-1"] == told
    assert ledger["12-31", "C-1"] == told
    assert ledger["12-29", "C-1"] == ("planned", "")
    shown = (await web.get("/calendar?from=2024-12-30&to=2024-12-30"))[0]["marks"]
    assert [each["until_time"] for each in shown] == [hours[1]]


async def test_devices_keep_the_hours_of_an_exam_and_times_there_are_not_free(web: Web) -> None:
    await mark(
        web, kind="exam", name="Thi", clusters=["C-1"], area_code=COMMUNE, from_time="07:00",
        until_time="11:30",
    )  # fmt: skip
    async with db.transaction(web.engine) as session:
        resolver = await target_resolver(session)
        ids = dict((await session.execute(sa.select(Cluster.code, Cluster.id))).all())
        first = date(2024, 12, 28)
        default = daily(Rules().quiet_hours)
        found = await resolver.rules.hours(
            [ids["C-1"], ids["C-2"]], first, first + timedelta(days=9), default
        )
        later = await resolver.rules.hours(
            [ids["C-1"]], date(2025, 1, 1), date(2025, 1, 9), default
        )
        ordered = await hours_at_device(session, "D-1", Rules(), web.now)
    assert found[ids["C-2"]] == default
    exam = Hours(
        from_="07:00", until="11:30", first_on=date(2024, 12, 30), last_on=date(2024, 12, 31)
    )
    assert found[ids["C-1"]] == (exam, *default)
    assert ordered == (exam, *default)
    assert later[ids["C-1"]] == default
    answer = await web.call(
        "POST", "/schedules/free-times",
        {"bulletin_id": web.bulletin, "targets": [{"area": COMMUNE}], "from": "2024-12-30",
         "days": 1},
    )  # fmt: skip
    [day] = answer.json()
    assert not [each for each in day["starts"] if "T07:00" <= each[10:16] < "T11:30"]
    assert [each for each in day["starts"] if each[10:16] >= "T11:30"]


async def test_every_day_except_holidays_and_only_on_holidays_never_meet(web: Web) -> None:
    first = await web.schedule(**DAILY, except_on=["holiday"])
    assert [each["reason"] for each in first["plan"]["skipped"]][:1] == ["holiday"]
    second = await web.schedule(**DAILY, only_on=["holiday"])
    assert [at[:10] for at in second["plan"]["starts"]][:2] == ["2025-01-01", "2025-01-27"]
    await replan(web)
    async with db.transaction(web.engine) as session:
        rows = list(await session.scalars(sa.select(Occurrence)))
    days = {
        (str(row.schedule_id), f"{row.starts_at + timedelta(hours=7):%m-%d}"): row.state.value
        for row in rows
    }
    assert {day for (id_, day) in days if id_ == second["id"]} == {"01-01"}
    assert days[first["id"], "01-01"] == "cancelled"
    refused = await web.call("POST", "/schedules", web.body(**DAILY))
    assert refused.status_code == 409, "it would meet both"


async def test_a_calendar_of_ones_own(web: Web) -> None:
    refused = await web.call("POST", "/schedules", web.body(**DAILY, only_on=["Chợ phiên"]))
    assert refused.status_code == 422
    assert refused.json()["field"] == "only_on"
    days = {"first_on": "2025-01-02", "last_on": "2025-01-02"}
    await mark(web, kind="own", name="Chợ phiên", area_code=PROVINCE, **days)
    made = await web.schedule(**DAILY, only_on=["Chợ phiên"])
    assert [at[:10] for at in made["plan"]["starts"]] == ["2025-01-02"]


async def test_a_day_that_a_person_names_sounds_although_it_is_a_holiday(web: Web) -> None:
    await web.schedule(**DAILY, except_on=["holiday"])
    await replan(web)
    async with db.transaction(web.engine) as session:
        row = (
            await session.scalars(
                sa.select(Occurrence).where(Occurrence.cancel_reason == "holiday")
            )
        ).one()
    answer = await web.call("POST", f"/occurrences/{row.id}/reinstate")
    assert answer.status_code == 200, answer.text
    assert answer.json()["state"] == "planned"
    await mark(web, first_on="2025-01-01", last_on="2025-01-01")
    await replan(web)
    assert (await occurrences(web))["01-01"][:2] == ("cancelled", "mourning")
    answer = await web.call("POST", f"/occurrences/{row.id}/reinstate")
    assert answer.status_code == 409


async def test_further_dates_sound_beside_the_rule(web: Web) -> None:
    at = "2025-01-03T09:00:00+07:00"
    made = await web.schedule(rrule="FREQ=WEEKLY;BYDAY=SA", dates=[at])
    assert [each[:16] for each in made["plan"]["starts"]][:3] == [
        "2024-12-28T17:00", "2025-01-03T09:00", "2025-01-04T17:00",
    ]  # fmt: skip
    later = "2025-01-01T00:00:00+07:00"
    answer = await web.call("POST", f"/schedules/{made['id']}/split", {"from": later})
    assert answer.status_code == 201, answer.text
    following = answer.json()
    assert following["id"] != made["id"]
    assert following["dates"] == [at]
    assert following["starts_at"] == "2025-01-04T17:00:00+07:00"
    assert (await web.get(f"/schedules/{made['id']}"))["dates"] == []
    await replan(web)
    assert sorted(await occurrences(web)) == ["01-03", "01-04", "12-28"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"last_on": "2024-12-29"}, "last_on"),
        ({"last_on": "2026-12-31"}, "last_on"),
        ({"area_code": "99999"}, "area_code"),
        ({"kind": "exam", "area_code": COMMUNE, "clusters": ["C-9"]}, "clusters"),
        ({"kind": "own", "name": "holiday"}, "name"),
        ({"from_time": "07:00", "until_time": "08:00"}, "from_time"),
        ({"kind": "exam", "from_time": "07:00"}, "until_time"),
        ({"kind": "exam", "until_time": "07:00"}, "until_time"),
        ({"kind": "exam", "from_time": "08:00", "until_time": "08:00"}, "until_time"),
    ],
)
async def test_what_cannot_be_marked(web: Web, changes: dict[str, Any], field: str) -> None:
    body = {
        "kind": "mourning", "name": "Quốc tang", "area_code": PROVINCE,
        "first_on": "2024-12-30", "last_on": "2024-12-31",
    }  # fmt: skip
    answer = await web.call("POST", "/calendar-days", body | changes)
    assert answer.status_code == 422, answer.text
    assert answer.json()["field"] == field
    assert await web.get("/calendar-days") == {"items": [], "next": None}


async def test_the_calendar_shows_lunar_days_holidays_and_what_is_marked(web: Web) -> None:
    await mark(web)
    days = {each["day"]: each for each in await web.get("/calendar?from=2024-12-30&to=2025-01-29")}
    assert len(days) == 31
    assert days["2025-01-29"]["lunar"] == "1/1"
    assert [each["name"] for each in days["2025-01-29"]["marks"]] == ["Tết Nguyên đán"]
    [mourning] = days["2024-12-30"]["marks"]
    assert (mourning["kind"], mourning["area_code"]) == ("mourning", PROVINCE)
    assert days["2025-01-14"]["lunar"] == "15/12"


FAR = "2025-03-10T17:00:00+07:00"
EXTRA = "2025-03-10T09:30:00+07:00"
IN_MARCH = "?from=2025-03-01T00:00:00%2B07:00&to=2025-03-31T00:00:00%2B07:00"


async def far(web: Web, schedule: str, **body: Any) -> int:
    answer = await web.call("POST", f"/schedules/{schedule}/starts", body)
    return answer.status_code


async def in_march(web: Web, schedule: str) -> dict[str, Any]:
    found = await web.get(f"/schedules/{schedule}/starts{IN_MARCH}")
    return {each["recurrence_at"]: each for each in found}


async def test_a_start_far_ahead_is_left_out_and_put_back(web: Web) -> None:
    id_ = (await web.schedule(**DAILY))["id"]
    before = await in_march(web, id_)
    assert await far(web, id_, recurrence_at=FAR, cancelled=True) == 200
    assert await far(web, id_, recurrence_at=FAR, cancelled=True) == 409
    assert (await in_march(web, id_))[FAR]["starts_at"] is None
    assert await far(web, id_, recurrence_at=FAR, restored=True) == 200
    assert await far(web, id_, recurrence_at=FAR, restored=True) == 200
    assert await in_march(web, id_) == before


async def test_a_single_start_far_ahead_is_added_and_dropped(web: Web) -> None:
    id_ = (await web.schedule(**DAILY))["id"]
    before = await in_march(web, id_)
    assert await far(web, id_, recurrence_at=EXTRA, added=True) == 200
    assert await far(web, id_, recurrence_at=EXTRA, added=True) == 409
    assert (await in_march(web, id_))[EXTRA]["is_added"] is True
    web.now = web.now.replace(year=2025, month=3, day=8)
    await replan(web)
    assert len([day for day in await occurrences(web) if day == "03-10"]) == 1
    items = (await web.get(f"/occurrences?schedule={id_}&limit=100"))["items"]
    assert EXTRA in {each["starts_at"] for each in items}
    assert await far(web, id_, recurrence_at=EXTRA, dropped=True) == 200
    assert await far(web, id_, recurrence_at=EXTRA, dropped=True) == 409
    assert await in_march(web, id_) == {at: each for at, each in before.items() if at >= "2025-03"}
    items = (await web.get(f"/occurrences?schedule={id_}&state=planned&limit=100"))["items"]
    assert EXTRA not in {each["starts_at"] for each in items}


async def test_a_start_that_was_left_out_sounds_again_only_when_it_is_asked_for(web: Web) -> None:
    id_ = (await web.schedule(**DAILY))["id"]
    assert await far(web, id_, recurrence_at=EXTRA, added=True) == 200
    assert await far(web, id_, recurrence_at=EXTRA, cancelled=True) == 200
    assert await far(web, id_, recurrence_at=EXTRA, dropped=True) == 200
    other = "2025-03-10T10:30:00+07:00"
    assert await far(web, id_, recurrence_at=other, added=True) == 200
    assert (await in_march(web, id_))[other]["starts_at"] == other
    kept = {"dates": [EXTRA, other]}
    assert (await web.call("PATCH", f"/schedules/{id_}", kept)).status_code == 200
    assert (await in_march(web, id_))[EXTRA]["starts_at"] is None
    assert await far(web, id_, recurrence_at=EXTRA, added=True) == 200
    assert (await in_march(web, id_))[EXTRA]["starts_at"] == EXTRA


async def test_a_holiday_is_named_all_the_same_and_a_day_of_mourning_is_not(web: Web) -> None:
    id_ = (await web.schedule(**DAILY, except_on=["holiday"]))["id"]
    new_year = "2025-01-29T17:00:00+07:00"
    span = "?from=2025-01-29T00:00:00%2B07:00&to=2025-01-30T00:00:00%2B07:00"

    async def silent() -> Any:
        [start] = await web.get(f"/schedules/{id_}/starts{span}")
        return start["silent"]

    assert await silent() == "holiday"
    assert await far(web, id_, recurrence_at=new_year, added=True) == 200
    assert await silent() is None
    assert await far(web, id_, recurrence_at=new_year, dropped=True) == 200
    assert await silent() == "holiday"
    await mark(web, first_on="2025-03-10", last_on="2025-03-10")
    assert await far(web, id_, recurrence_at=EXTRA, added=True) == 409


@pytest.mark.parametrize(
    ("at", "status"), [("2025-01-29T17:00:00+07:00", 409), ("2025-01-29T23:00:00+07:00", 422)]
)
async def test_a_holiday_that_is_named_is_checked_like_any_other_day(
    web: Web, at: str, status: int
) -> None:
    id_ = (await web.schedule(**DAILY, except_on=["holiday"]))["id"]
    other = {"bulletin_id": await web.approved(title="Họp dân"), "targets": [{"area": "21262"}]}
    taken = await web.schedule(starts_at="2025-01-29T17:00:00+07:00", **other)
    answer = await web.call(
        "POST", f"/schedules/{id_}/starts", {"recurrence_at": at, "added": True}
    )
    assert answer.status_code == status, answer.text
    assert (await web.get(f"/schedules/{id_}"))["dates"] == []
    await web.call("POST", f"/schedules/{taken['id']}/withdraw")
    assert await far(web, id_, recurrence_at="2025-01-29T17:00:00+07:00", added=True) == 200


async def test_what_mourning_silences_is_moved_to_another_day(web: Web) -> None:
    made = await web.schedule(**DAILY)
    await mark(web)
    await replan(web)
    page = await web.get(f"/occurrences?schedule={made['id']}&state=cancelled")
    assert [each["cancel_reason"] for each in page["items"]] == ["mourning", "mourning"]
    path = f"/occurrences/{page['items'][0]['id']}"
    answer = await web.call("POST", f"{path}/reinstate")
    assert "dời sang ngày khác" in answer.json()["detail"]
    to = "2025-01-02T09:00:00+07:00"
    answer = await web.call("PATCH", path, {"starts_at": to})
    assert answer.status_code == 200, answer.text
    moved = await web.get(path)
    assert (moved["state"], moved["starts_at"]) == ("planned", to)
    other = f"/occurrences/{page['items'][1]['id']}"
    answer = await web.call("PATCH", other, {"cancelled": True})
    assert answer.status_code == 409  # it does not sound already


async def test_the_last_start_that_is_dropped_ends_a_schedule_and_adding_one_goes_on(
    web: Web,
) -> None:
    id_ = (await web.schedule(starts_at="2024-12-28T17:00:00+07:00", rrule=None))["id"]
    assert await far(web, id_, recurrence_at=EXTRA, added=True) == 200
    web.now = web.now.replace(year=2025, month=1, day=10)
    await replan(web)
    assert await far(web, id_, recurrence_at=EXTRA, dropped=True) == 200
    assert (await web.get(f"/schedules/{id_}"))["state"] == "ended"
    assert await far(web, id_, recurrence_at=EXTRA, added=True) == 200
    assert (await web.get(f"/schedules/{id_}"))["state"] == "active"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"recurrence_at": "2025-03-10T23:00:00+07:00", "added": True}, 422),
        ({"recurrence_at": "2024-12-01T09:00:00+07:00", "added": True}, 422),
        ({"recurrence_at": FAR, "added": True}, 409),
        ({"recurrence_at": FAR, "dropped": True}, 409),
        ({"recurrence_at": EXTRA, "restored": True}, 422),
        ({"recurrence_at": FAR, "restored": True, "cancelled": True}, 422),
        ({"recurrence_at": FAR, "starts_at": EXTRA, "added": True}, 422),
    ],
)
async def test_what_cannot_be_added_or_put_back(
    web: Web, body: dict[str, Any], status: int
) -> None:
    id_ = (await web.schedule(**DAILY))["id"]
    assert await far(web, id_, **body) == status


async def test_a_start_far_ahead_is_cancelled_or_moved_before_it_is_an_occurrence(
    web: Web,
) -> None:
    made = await web.schedule(**DAILY, except_on=["holiday"])
    path = f"/schedules/{made['id']}/starts"
    first, second = "2025-03-10T17:00:00+07:00", "2025-03-11T17:00:00+07:00"
    later = "2025-03-11T18:00:00+07:00"
    for body in (
        {"recurrence_at": first, "cancelled": True},
        {"recurrence_at": second, "starts_at": later},
    ):
        answer = await web.call("POST", path, body)
        assert answer.status_code == 200, answer.text
    span = "?from=2025-01-26T00:00:00%2B07:00&to=2025-03-12T00:00:00%2B07:00"
    found = {each["recurrence_at"]: each for each in await web.get(path + span)}
    assert found[first]["starts_at"] is None
    assert found[second]["starts_at"] == later
    assert found["2025-01-29T17:00:00+07:00"]["silent"] == "holiday"
    assert found["2025-02-10T17:00:00+07:00"]["silent"] is None
    assert found["2025-02-10T17:00:00+07:00"]["cluster_count"] == 1
    changed = await web.call("PATCH", f"/schedules/{made['id']}", {"title": "Tin mới"})
    assert changed.status_code == 200
    web.now = web.now.replace(year=2025, month=3, day=8)
    await replan(web)
    days = await occurrences(web)
    assert "03-10" not in days
    assert days["03-11"][0] == "planned"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"recurrence_at": "2025-03-10T17:01:00+07:00", "cancelled": True}, 422),
        ({"recurrence_at": "2024-12-27T17:00:00+07:00", "cancelled": True}, 422),
        ({"recurrence_at": "2025-03-10T17:00:00+07:00"}, 422),
        (
            {
                "recurrence_at": "2025-03-10T17:00:00+07:00",
                "starts_at": "2025-03-10T23:00:00+07:00",
            },
            422,
        ),
        (
            {
                "recurrence_at": "2025-03-10T17:00:00+07:00",
                "starts_at": "2025-03-11T17:00:00+07:00",
            },
            409,
        ),
    ],
)
async def test_what_cannot_be_changed_far_ahead(
    web: Web, body: dict[str, Any], status: int
) -> None:
    made = await web.schedule(**DAILY)
    answer = await web.call("POST", f"/schedules/{made['id']}/starts", body)
    assert answer.status_code == status, answer.text

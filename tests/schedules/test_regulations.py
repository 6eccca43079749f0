"""Quy chế over REST: who enters one, what it refuses, and what it silences only when agreed."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import pytest

from broadcast.config import Rules, Settings
from broadcast.keys.keyring import Keys
from broadcast.kit import db
from broadcast.kit.quiet import OFFSET
from broadcast.programmes.contents import configs, programmes
from broadcast.schedules.quota_check import over_quota, stored
from broadcast.schedules.targets import target_resolver
from broadcast.streams.model import StreamSource
from broadcast.wire.documents import Config, Hours, Quotas
from broadcast.wire.envelope import SigningKey
from broadcast.wire.hours import silent_window
from tests.callers import LAN
from tests.schedules.test_calendars import mark, occurrences, replan
from tests.schedules.web import DAILY, Web

WHO = "Hùng"
RULE: dict[str, Any] = {
    "area_code": "21253", "number": "12/QC-UBND", "signed_on": "2024-12-20",
    "valid_from": "2024-12-28",
}  # fmt: skip


async def enter(web: Web, **changes: Any) -> dict[str, Any]:
    answer = await web.call("POST", "/regulations", RULE | changes, WHO)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def configured(web: Web) -> list[Config]:
    """Configs of a device in the commune and of one elsewhere."""
    programme, alert = SigningKey.generate("programme"), SigningKey.generate("alert")
    keys = Keys(programme, alert, (programme.public(), alert.public()))
    settings = Settings(rules=Rules(quiet_hours=((time(22), time(5)),)))
    async with db.transaction(web.engine) as session:
        return await configs(session, ["device/D-1", "device/D-4"], keys, settings, web.now)


async def test_hours_and_weekends_are_refused_with_the_reason_and_a_remedy(web: Web) -> None:
    await enter(
        web, weekend="silent", silent=[{"from": "11:30", "until": "13:30"}],
        limited=[{"from": "05:00", "until": "06:00", "volume": 40}],
    )  # fmt: skip
    at = {"starts_at": "2024-12-30T12:00:00+07:00"}
    await web.refused_with(422, "giờ yên tĩnh 11:30–13:30", **at)
    await web.refused_with(422, "cuối tuần", starts_at="2024-12-29T17:00:00+07:00")
    await web.refused_with(422, "cuối tuần", starts_at="2024-12-30T17:00:00+07:00", **DAILY)
    body = web.body(starts_at="2024-12-30T17:00:00+07:00", **DAILY)
    checked = (await web.call("POST", "/schedules/check", body)).json()
    [finding] = [each for each in checked["findings"] if each["kind"] == "quiet"]
    assert checked["refused"]
    [remedy] = [each for each in finding["remedies"] if each["kind"] == "weekdays"]
    made = await web.schedule(**{**body, **remedy["change"]})
    assert made["rrule"] == "FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR"
    body = web.body(**at)
    checked = (await web.call("POST", "/schedules/check", body)).json()
    times = [each for each in checked["findings"][0]["remedies"] if each["kind"] == "other_time"]
    assert times
    # elsewhere, and where the settings' hours no longer hold
    await web.schedule(**at, targets=[{"area": "21262"}], priority=9)
    await web.schedule(starts_at="2024-12-30T22:30:00+07:00")
    await web.refused_with(
        422, "giờ yên tĩnh 22:00–05:00", starts_at="2024-12-30T22:40:00+07:00",
        targets=[{"area": "536"}],
    )  # fmt: skip


async def test_devices_are_told_with_the_days_on_which_it_changes(web: Web) -> None:
    await enter(
        web, weekend="silent", valid_from="2024-12-31",
        silent=[{"from": "21:00", "until": "05:00"}],
        limited=[{"from": "05:00", "until": "06:00", "volume": 40}],
    )  # fmt: skip
    await mark(web, kind="open", name="Bầu cử", first_on="2025-01-04", last_on="2025-01-05",
               document="Công văn 7/UBND")  # fmt: skip
    told, other = await configured(web)
    old, new = date(2024, 12, 30), date(2024, 12, 31)
    opened = (date(2025, 1, 4), date(2025, 1, 5))
    assert told.hours == [
        Hours(from_="22:00", until="05:00", last_on=old),
        Hours(from_="21:00", until="05:00", first_on=new),
        Hours(from_="00:00", until="00:00", days=(6, 7), first_on=new, except_on=opened),
        Hours(from_="05:00", until="06:00", first_on=new, volume=40),
    ]
    assert [(each.from_, each.until) for each in told.quiet_hours] == [("22:00", "05:00")]
    assert other.hours == [Hours(from_="22:00", until="05:00")]


async def test_a_weekend_sounds_where_a_calendar_says_why(web: Web) -> None:
    await enter(web, weekend="silent")
    day = {"kind": "open", "name": "Bầu cử", "first_on": "2024-12-29", "last_on": "2024-12-29"}
    answer = await web.call("POST", "/calendar-days", day | {"area_code": "51"})
    assert (answer.status_code, answer.json()["field"]) == (422, "document")
    await mark(web, **day, document="Công văn 7/UBND")
    await web.schedule(starts_at="2024-12-29T17:00:00+07:00")
    await web.refused_with(422, "cuối tuần", starts_at="2024-12-28T17:00:00+07:00")


async def test_nothing_that_was_approved_falls_silent_unless_somebody_agrees(web: Web) -> None:
    made = await web.schedule(**DAILY)
    await replan(web)
    before = await occurrences(web)
    body = RULE | {"valid_from": "2024-12-30", "silent": [{"from": "16:00", "until": "18:00"}]}
    told = (await web.call("POST", "/regulations/check", body, WHO)).json()
    [affected] = told["schedules"]
    assert affected["schedule_id"] == made["id"]
    assert affected["silenced"][0].startswith("2024-12-30T17:00")
    assert told["summary"].startswith(f"{len(affected['silenced'])} buổi phát ở 1 thôn")
    refused = await web.call("POST", "/regulations", body, WHO)
    assert refused.status_code == 409
    assert refused.json()["schedules"] == [made["id"]]
    assert (await web.get("/regulations"))["items"] == []
    entered = await enter(web, **body, silences=True)
    await replan(web)
    found = await occurrences(web)
    assert {found[day][1] for day in found if day >= "12-30"} == {"regulation"}
    assert found["12-29"] == before["12-29"]
    tag = (await web.call("GET", f"/regulations/{entered['id']}")).headers["etag"]
    path = f"/regulations/{entered['id']}/withdraw"
    stale = await web.call("POST", path, {}, WHO, if_match='"old"')
    assert stale.status_code == 412
    answer = await web.call("POST", path, {}, WHO, if_match=tag)
    assert answer.json()["withdrawn_by"]["name"] == WHO
    await replan(web)
    assert await occurrences(web) == before
    path = f"/regulations/{entered['id']}/reinstate"
    assert (await web.call("POST", path, {}, WHO)).status_code == 409
    answer = await web.call("POST", path, {"silences": True}, WHO)
    assert answer.json()["withdrawn_at"] is None


async def test_quotas_count_what_sounds_there_already(web: Web) -> None:
    entered = await enter(web, sessions_per_day=2, minutes_per_day=60)
    await web.schedule(starts_at="2024-12-30T06:00:00+07:00", targets=[{"area": "51"}])
    await web.schedule(starts_at="2024-12-30T17:00:00+07:00")
    third = {"starts_at": "2024-12-30T19:00:00+07:00"}
    problem = await web.refused_with(409, "sẽ có 3 buổi phát ở 1 cụm loa", **third)
    assert (problem["quota"], problem["on"]) == ("sessions_per_day", "2024-12-30")
    checked = (await web.call("POST", "/schedules/check", web.body(**third))).json()
    assert [each["kind"] for each in checked["findings"] if each["kind"] == "exceeded"]
    await web.schedule(**third, targets=[{"area": "21262"}])
    await enter(web, replaces=entered["id"], sessions_per_day=3, warns_repeats=True)
    made = await web.schedule(**third)
    assert any("hơn một lần" in each for each in made["plan"]["warnings"])


async def test_a_new_quota_silences_what_comes_last_on_the_day_only_when_somebody_agrees(
    web: Web,
) -> None:
    await web.schedule(starts_at="2024-12-30T06:00:00+07:00", **DAILY)
    late = await web.schedule(starts_at="2024-12-30T19:00:00+07:00")
    body = RULE | {"valid_from": "2024-12-30", "sessions_per_day": 1}
    told = (await web.call("POST", "/regulations/check", body, WHO)).json()
    [affected] = told["schedules"]
    assert affected["schedule_id"] == late["id"]
    assert [each[:16] for each in affected["silenced"]] == ["2024-12-30T19:00"]
    assert told["summary"].startswith("1 buổi phát ở 1 thôn")
    refused = await web.call("POST", "/regulations", body, WHO)
    assert (refused.status_code, refused.json()["schedules"]) == (409, [late["id"]])
    entered = await enter(web, **body, silences=True)
    await replan(web)
    async with db.transaction(web.engine) as session:
        resolver = await target_resolver(session)
        slots = await stored(resolver, date(2024, 12, 30))
        over = await over_quota(resolver, slots)
    assert [slot.starts_at.hour for slot in slots] == [23, 12]  # in UTC
    assert over.keys() == {slots[1].occurrence_id}
    later = body | {"replaces": entered["id"], "sessions_per_day": 2}
    told = (await web.call("POST", "/regulations/check", later, WHO)).json()
    assert [each[:16] for each in told["schedules"][0]["sounding"]] == ["2024-12-30T19:00"]


async def test_devices_are_told_of_quotas_and_of_what_of_today_has_ended(web: Web) -> None:
    made = await enter(web, sessions_per_day=2, valid_from="2024-12-28")
    await enter(web, replaces=made["id"], sessions_per_day=3, valid_from="2024-12-31")
    programme, alert = SigningKey.generate("programme"), SigningKey.generate("alert")
    keys = Keys(programme, alert, (programme.public(), alert.public()))
    async with db.transaction(web.engine) as session:
        told, other = await configs(
            session, ["device/D-1", "device/D-4"], keys, Settings(), web.now
        )
    old, new = date(2024, 12, 30), date(2024, 12, 31)
    assert told.quotas == [
        Quotas(last_on=old, sessions_per_day=2), Quotas(first_on=new, sessions_per_day=3)
    ]  # fmt: skip
    assert other.quotas == []
    await web.schedule(starts_at="2024-12-28T17:00:00+07:00", targets=[{"area": "21253"}])
    await web.schedule(starts_at="2024-12-28T19:00:00+07:00", targets=[{"area": "21253"}])
    await replan(web)
    evening = datetime(2024, 12, 28, 11, 0, tzinfo=UTC)  # 18:00 in the province
    async with db.transaction(web.engine) as session:
        compiled = await programmes(session, ["area/21253"], Settings(), evening)
    [document] = compiled.documents
    [passed], [item] = document.passed, document.items
    assert passed.starts_at == datetime(2024, 12, 28, 10, tzinfo=UTC)
    assert passed.seconds == item.seconds
    assert item.starts_at == datetime(2024, 12, 28, 12, tzinfo=UTC)
    async with db.transaction(web.engine) as session:
        tomorrow = evening + timedelta(days=1)
        [document] = (await programmes(session, ["area/21253"], Settings(), tomorrow)).documents
    assert (document.passed, document.items) == ([], [])


async def test_what_has_begun_today_counts_although_its_schedule_was_moved_since(
    web: Web,
) -> None:
    await enter(web, sessions_per_day=1)
    made = await web.schedule(starts_at="2024-12-28T17:00:00+07:00", rrule="FREQ=DAILY")
    await replan(web)
    web.now = datetime(2024, 12, 28, 11, tzinfo=UTC)
    tag = (await web.call("GET", f"/schedules/{made['id']}")).headers["etag"]
    moved = {"starts_at": "2024-12-28T19:00:00+07:00"}
    answer = await web.call("PATCH", f"/schedules/{made['id']}", moved, if_match=tag)
    assert answer.status_code == 409, answer.text
    assert answer.json()["quota"] == "sessions_per_day"


async def test_a_provision_is_inherited_and_the_newest_is_entered_in_place_of_the_last(
    web: Web,
) -> None:
    await enter(web, area_code="51", weekend="silent", minutes_per_session=45)
    await enter(web, weekend="sounds")
    found = await web.get("/regulations/in-force?area=T-1&on=2024-12-28")
    assert [each["area_code"] for each in found["sources"]] == ["21253", "51"]
    assert found["provisions"]["weekend"] == "sounds"
    assert found["provisions"]["minutes_per_session"] == 45
    elsewhere = await web.get("/regulations/in-force?area=21262&on=2024-12-28")
    assert elsewhere["provisions"]["weekend"] == "silent"
    second = await web.call("POST", "/regulations", RULE, WHO)
    assert second.status_code == 409
    # the commune goes into another on 1 January: its villages keep what it said
    kept = await web.get("/regulations/in-force?area=T-1&on=2025-01-02")
    assert kept["provisions"]["weekend"] == "sounds"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"valid_from": "2024-12-27"}, "valid_from"),
        ({"area_code": "99999"}, "area_code"),
        ({"clusters": ["C-4"]}, "clusters"),
        ({"silent": [{"from": "25:00", "until": "05:00"}]}, "silent.0.from"),
        ({"limited": [{"from": "05:00", "until": "06:00", "volume": 101}]}, "limited.0.volume"),
    ],
)
async def test_what_is_wrong_is_said_at_its_field(
    web: Web, changes: dict[str, Any], field: str
) -> None:
    answer = await web.call("POST", "/regulations", RULE | changes, WHO)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert (await web.call("POST", "/regulations", RULE)).status_code == 403


async def test_case_16_before_five_a_relay_sounds_only_where_a_document_excepts_the_hours(
    web: Web,
) -> None:
    """A relay in a minority's language at 04:45, against the hours of the whole province."""
    async with db.transaction(web.engine) as session:
        source = StreamSource(
            name="VOV4 tiếng Hrê", area_code="51", urls=["https://radio.example/vov4.mp3"],
            codec=None, fallback_bulletin_id=UUID(web.bulletin), last_day=None, ended_at=None,
            entered_by=LAN, entered_at=web.now,
        )  # fmt: skip
        session.add(source)
        await session.flush()
        relay = {"relay_source_id": source.id, "relay_seconds": 900}
    early = {"starts_at": "2024-12-30T04:45:00+07:00", "targets": [{"cluster": "C-1"}], **relay}
    await web.refused_with(422, "giờ yên tĩnh 22:00–05:00", **early)
    body = RULE | {"clusters": ["C-1"], "silent": [{"from": "22:00", "until": "04:45"}]}
    for lacking in ("number", "signed_on"):
        refused = await web.call("POST", "/regulations", body | {lacking: ""}, WHO)
        assert refused.status_code == 422, "no exception without its document"
    await enter(web, **body | {"number": "07/QĐ-UBND", "signed_on": "2024-12-27"})
    await web.schedule(**early)
    elsewhere = early | {"targets": [{"cluster": "C-4"}]}
    await web.refused_with(422, "giờ yên tĩnh 22:00–05:00", **elsewhere)
    told, other = await configured(web)
    starts_at = datetime.fromisoformat(early["starts_at"])
    assert told.hours is not None
    assert other.hours is not None
    assert silent_window(told.hours, OFFSET, starts_at, 900) is None, "by its signed config"
    assert silent_window(told.hours, OFFSET, starts_at - timedelta(seconds=1), 900) is not None
    assert silent_window(other.hours, OFFSET, starts_at, 900) is not None

"""Quy chế of many communes from one file: what becomes of each row, and of schedules."""

from __future__ import annotations

from typing import Any

import httpx2 as httpx
from hypothesis import given
from hypothesis import strategies as st

from broadcast.regulations.sheet import read_windows, write_windows
from tests.schedules.test_regulations import WHO
from tests.schedules.web import DAILY, Web

HEAD = (
    "area_code,number,signed_on,valid_from,silent,limited,weekend,sessions_per_day,"
    "minutes_per_session,minutes_per_day,warns_repeats,clusters\n"
)
FIRST = (
    '21253,12/QC,2024-12-20,2024-12-30,"21:00-05:00, 11:30-13:30",5:00-06:00 40%,silent,'
    "2,45,90,có,\n"
)
SECOND = "21253,7/QC,2024-12-20,2024-12-30,không,,,,,,không,C-1\n"
OTHER = "21262,7/QC,2024-12-20,2024-12-30,,,sounds,,,,,\n"


async def send(web: Web, rows: str, **fields: str) -> httpx.Response:
    return await web.http.post(
        "/api/v1/regulations/import",
        files={"regulations": ("r.csv", (HEAD + rows).encode(), "text/csv")},
        data=fields,
        headers={"Authorization": f"Bearer {web.tokens[WHO]}"},
    )


async def entered(web: Web) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await web.get("/regulations"))["items"]
    return found


async def test_each_row_is_new_then_unchanged_then_changed(web: Web) -> None:
    tried = (await send(web, FIRST + SECOND, dry_run="true")).json()
    assert [(each["row"], each["fate"]) for each in tried["rows"]] == [(2, "added"), (3, "added")]
    assert tried["effect"]["summary"] == "Không buổi phát nào thay đổi."
    assert await entered(web) == []
    stored = await send(web, FIRST + SECOND)
    assert (stored.status_code, stored.json()["added"]) == (200, 2), stored.text
    one, two = await entered(web)
    assert one["silent"] == [
        {"from": "21:00", "until": "05:00"}, {"from": "11:30", "until": "13:30"},
    ]  # fmt: skip
    assert one["limited"] == [{"from": "05:00", "until": "06:00", "volume": 40}]
    assert (one["weekend"], one["sessions_per_day"]) == ("silent", 2)
    assert (one["minutes_per_session"], one["minutes_per_day"]) == (45, 90)
    assert one["warns_repeats"] is True
    assert (two["silent"], two["limited"], two["warns_repeats"]) == ([], None, False)
    assert two["clusters"] == ["C-1"]
    changed = FIRST.replace(",2,45,", ",3,45,").replace("12/QC", "13/QC")
    tried = (await send(web, changed + SECOND, dry_run="true")).json()
    assert [each["fate"] for each in tried["rows"]] == ["changed", "unchanged"]
    assert tried["rows"][0]["detail"] == "12/QC (2024-12-30) → 13/QC (2024-12-30)"
    assert (await send(web, changed + SECOND)).status_code == 200
    *before, last = await entered(web)
    assert before == [one, two]
    assert (last["number"], last["sessions_per_day"]) == ("13/QC", 3)


async def test_a_refused_row_names_its_field_and_the_remedy_and_nothing_is_stored(
    web: Web,
) -> None:
    rows = (
        FIRST
        + "99999,1/QC,2024-12-20,2024-12-30,,,,,,,,\n"
        + "21262,1/QC,2024-12-20,2024-12-30,21h-5h,05:00-06:00,,0,,,maybe,\n"
        + "21262,1/QC,2024-12-20,2024-12-01,,,,,,,,C-3\n"
        + FIRST
    )
    tried = (await send(web, rows, dry_run="true")).json()
    refused = [
        (each["row"], each["detail"].partition(": ")[0])
        for each in tried["rows"]
        if each["fate"] == "refused"
    ]
    assert refused == [
        (3, "area_code"), (4, "silent"), (4, "limited"), (4, "sessions_per_day"),
        (4, "warns_repeats"), (5, "valid_from"), (6, "area_code"),
    ]  # fmt: skip
    assert "hãy ghi như 21:00-05:00" in tried["rows"][1]["detail"]
    assert (tried["refused"], tried["added"]) == (4, 1)
    answer = await send(web, rows)
    assert answer.status_code == 422
    assert {each["column"] for each in answer.json()["errors"]} >= {"silent", "limited"}
    assert await entered(web) == []


async def test_schedules_that_would_fall_silent_are_told_and_need_agreement(web: Web) -> None:
    made = await web.schedule(**DAILY)
    quiet = "21253,12/QC,2024-12-20,2024-12-30,16:00-18:00,,,,,,,\n"
    tried = (await send(web, quiet + OTHER, dry_run="true")).json()
    [affected] = tried["effect"]["schedules"]
    assert affected["schedule_id"] == made["id"]
    assert affected["silenced"][0].startswith("2024-12-30T17:00")
    refused = await send(web, quiet + OTHER)
    assert (refused.status_code, refused.json()["schedules"]) == (409, [made["id"]])
    assert await entered(web) == []
    agreed = await send(web, quiet + OTHER, silences="true")
    assert (agreed.status_code, agreed.json()["effect"]) == (200, None)
    assert len(await entered(web)) == 2


CLOCK = st.times().map(lambda each: f"{each:%H:%M}")
WINDOW = st.fixed_dictionaries({"from": CLOCK, "until": CLOCK})
LIMITED = st.fixed_dictionaries({"from": CLOCK, "until": CLOCK, "volume": st.integers(0, 100)})


@given(silent=st.lists(WINDOW, max_size=8), limited=st.lists(LIMITED, max_size=8))
def test_hours_are_read_as_they_are_written(
    silent: list[dict[str, Any]], limited: list[dict[str, Any]]
) -> None:
    assert read_windows(write_windows(silent), limited=False) == silent
    assert read_windows(write_windows(limited), limited=True) == limited

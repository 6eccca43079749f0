"""The schedule at a secret address: what it shows, and all that it does not open."""

from __future__ import annotations

from urllib.parse import urlsplit

import sqlalchemy as sa

from broadcast.kit import db
from tests.schedules.web import DAILY, Web

COMMUNE = "21253"


async def issued(web: Web, area: str = COMMUNE, **headers: str) -> tuple[str, int]:
    """Path of a feed of Tèo's, and the number of its token."""
    made = await web.call("POST", "/calendar-feeds", {"area_code": area}, "Tèo", **headers)
    assert made.status_code == 201, made.text
    assert made.headers["cache-control"] == "no-store"
    answer = made.json()
    return urlsplit(answer["url"]).path, answer["token_id"]


async def lines(web: Web, path: str) -> list[str]:
    """What a calendar without any token is sent."""
    answer = await web.http.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    return answer.content.replace(b"\r\n ", b"").decode().split("\r\n")


async def status(web: Web, path: str) -> int:
    return (await web.http.get(path)).status_code


async def test_a_calendar_follows_what_is_planned_moved_and_cancelled(web: Web) -> None:
    made = await web.schedule(**DAILY)
    path, _ = await issued(web)
    before = await lines(web, path)
    uids = [line for line in before if line.startswith("UID:")]
    found = (await web.get(f"/occurrences?schedule={made['id']}"))["items"]
    assert sorted(uids) == sorted(f"UID:{each['id']}@broadcast" for each in found)
    assert "STATUS:CANCELLED" not in before
    first = found[0]["id"]
    answer = await web.call("PATCH", f"/occurrences/{first}", {"cancelled": True}, "Hùng")
    assert answer.status_code == 200, answer.text
    after = await lines(web, path)
    assert [line for line in after if line.startswith("UID:")] == uids
    begin = after.index(f"UID:{first}@broadcast")
    assert "STATUS:CANCELLED" in after[begin : after.index("END:VEVENT", begin)]
    elsewhere, _ = await issued(web, "21262")  # the commune is part of it in the new year
    heard = {line for line in await lines(web, elsewhere) if line.startswith("UID:")}
    assert heard < set(uids)


async def test_why_something_does_not_sound_is_said_in_words(web: Web) -> None:
    await web.schedule(**DAILY, except_on=["holiday"])
    made = await web.schedule(starts_at="2024-12-28T18:00:00+07:00")
    await web.call("POST", f"/schedules/{made['id']}/withdraw")
    path, _ = await issued(web)
    said = [line for line in await lines(web, path) if line.startswith("DESCRIPTION:")]
    assert said == ["DESCRIPTION:Đã thu hồi", "DESCRIPTION:không phát vì là ngày nghỉ lễ"]


async def test_an_address_opens_a_calendar_and_nothing_else_until_it_is_revoked(web: Web) -> None:
    path, token_id = await issued(web)
    _, _, secret, _ = path.split("/")
    for other in ("/api/v1/schedules", "/api/v1/occurrences", "/api/v1/tokens"):
        bearer = {"Authorization": f"Bearer {secret}"}
        assert (await web.http.get(other, headers=bearer)).status_code == 403, other
    for wrong in (
        f"/calendar/{secret}x/{COMMUNE}.ics",
        f"/calendar/{secret}/99999.ics",
        f"/calendar/{web.tokens['Tèo']}/{COMMUNE}.ics",  # opens more: not to stand in an address
    ):
        assert await status(web, wrong) == 404, wrong
    assert await status(web, path) == 200
    revoked = await web.call("DELETE", f"/tokens/{token_id}", who="Tèo")
    assert revoked.status_code == 204, revoked.text
    assert await status(web, path) == 404


async def test_the_secret_is_kept_nowhere(web: Web) -> None:
    path, token_id = await issued(web, Idempotency_Key="one")
    again = await web.call(
        "POST", "/calendar-feeds", {"area_code": COMMUNE}, "Tèo", Idempotency_Key="one"
    )
    assert again.json() | {"url": None, "token_id": token_id} == again.json()
    await lines(web, path)
    await status(web, path + "x")
    secret = path.split("/")[2]
    async with db.transaction(web.engine) as session:
        for table in ("api_tokens", "audit_entries", "idempotency_keys"):
            rows = await session.scalars(sa.text(f"SELECT CAST(t AS text) FROM {table} t"))
            told = list(rows)
            assert told or table == "audit_entries"
            assert not any(secret in row for row in told), table

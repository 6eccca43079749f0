"""From a request to approved sound, and everything that is refused on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.bulletins.model import Bulletin, RevisionState
from broadcast.bulletins.routes import router
from broadcast.bulletins.source_requests import REFUSED
from broadcast.kit import db
from broadcast.schedules import revision_routes
from broadcast.visibility.sessions import limit
from broadcast.wire.fields import BulletinClass
from tests.bulletins.make import bulletin, prepared, revision
from tests.bulletins.web import Web, recording

DRAFT, SUBMITTED, APPROVED, RETURNED, WITHDRAWN = RevisionState
TEXT = "Kính báo: sáng thứ Bảy tiêm phòng trâu, bò."
SPOKEN = {"title": "Tiêm phòng", "area_code": "21034", "text": TEXT}
FORM = {"title": "Tiêm phòng", "area_code": "21034"}


async def stored(engine: AsyncEngine) -> int:
    async with db.transaction(engine) as session:
        return await session.scalar(sa.select(sa.func.count()).select_from(Bulletin)) or 0


async def test_a_text_becomes_sound_is_approved_and_is_fetched_by_its_hash(
    web: Web, engine: AsyncEngine
) -> None:
    made = await web.call("Lan", "POST", "/bulletins", json=SPOKEN)
    assert made.status_code == 202, made.text
    body = made.json()
    path = f"/bulletins/{body['id']}"
    assert made.headers["location"] == f"/api/v1{path}"
    asked = body["revisions"][0]
    assert asked["preparation"]["state"] == "waiting"
    assert asked["preparation"]["url"] == f"/api/v1{path}/revisions/1/preparation"
    assert (asked["seconds"], asked["renditions"], asked["allowed"]) == (None, [], ["withdraw"])
    first = await web.prepared(f"{path}/revisions/1")
    assert first["preparation"]["state"] == "done"
    assert first["preparation"]["percent"] == 100
    assert (first["state"], first["text"]) == ("draft", TEXT)
    assert first["allowed"] == ["submit", "withdraw"]
    assert first["loudness_lufs"] == pytest.approx(-16, abs=0.5)
    assert [r["codec"] for r in first["renditions"]] == ["opus", "mp3"]
    opus = first["renditions"][0]

    preview = await web.call("Lan", "GET", f"{path}/revisions/1/audio")
    assert (preview.status_code, len(preview.content)) == (200, opus["size_bytes"])
    assert (await web.http.get(f"/content/{opus['sha256']}")).status_code == 404

    submitted = await web.call("Lan", "POST", f"{path}/revisions/1/submit")
    assert submitted.json()["state"] == "submitted"
    alone = "Hùng, chưa xác thực lần hai"
    refused = await web.call(alone, "POST", f"{path}/revisions/1/approve")
    assert refused.status_code == 403
    assert refused.json()["type"].endswith(":second-factor-required")
    other = await web.call(
        "Hùng", "POST", f"{path}/revisions/1/approve", json={"heard_sha256": "0" * 64}
    )
    assert (other.status_code, other.json()["field"]) == (422, "heard_sha256")
    for early in ("return", "withdraw"):
        with_sound = {"note": "x", "heard_sha256": opus["sha256"]}
        wrong = await web.call("Hùng", "POST", f"{path}/revisions/1/{early}", json=with_sound)
        assert (wrong.status_code, wrong.json()["field"]) == (422, "heard_sha256")
    heard = {"note": "Được", "heard_sha256": opus["sha256"]}
    approved = await web.call("Hùng", "POST", f"{path}/revisions/1/approve", json=heard)
    assert [s["actor"]["name"] for s in approved.json()["steps"]] == ["Lan", "Lan", "Hùng"]
    part = await web.http.get(f"/content/{opus['sha256']}", headers={"Range": "bytes=0-99"})
    assert (part.status_code, part.content) == (206, preview.content[:100])

    again = await web.call("Mai", "POST", f"{path}/revisions/1/approve")
    assert (again.status_code, again.json()["allowed"]) == (409, ["withdraw"])
    await web.call("Lan", "POST", f"{path}/revisions/1/withdraw")
    assert (await web.http.get(f"/content/{opus['sha256']}")).status_code == 404
    assert (await web.call("Lan", "GET", path)).json()["revisions"][0]["state"] == "withdrawn"


async def test_an_upload_becomes_a_revision_and_a_key_makes_it_once(
    web: Web, engine: AsyncEngine
) -> None:
    sound = recording()
    files = {"file": ("bản tin.wav", sound)}
    form = FORM | {"class": "priority", "language": "hre"}
    key = {"Idempotency-Key": "k1"}
    made = await web.call("Lan", "POST", "/bulletins", data=form, files=files, headers=key)
    assert made.status_code == 202, made.text
    body = made.json()
    assert (body["class"], body["language"]) == ("priority", "hre")
    assert body["revisions"][0]["source_name"] == "bản tin.wav"
    again = await web.call("Lan", "POST", "/bulletins", data=form, files=files, headers=key)
    assert (again.status_code, again.json()) == (202, body)
    assert again.headers["idempotency-replayed"] == "true"
    assert await stored(engine) == 1

    other = {"file": ("bản tin.wav", sound[:-2] + b"\x01\x01")}
    mixed = await web.call("Lan", "POST", "/bulletins", data=form, files=other, headers=key)
    assert (mixed.status_code, mixed.json()["field"]) == (422, "Idempotency-Key")

    path = f"/bulletins/{body['id']}"
    spoken = await web.call("Lan", "POST", f"{path}/revisions", json={"text": TEXT})
    assert (spoken.status_code, spoken.json()["field"]) == (422, "language")
    assert (await web.prepared(f"{path}/revisions/1"))["preparation"]["state"] == "done"
    second = await web.call("Mai", "POST", f"{path}/revisions", files=files)
    assert (second.status_code, second.json()["number"]) == (201, 2)
    assert second.json()["created_by"]["name"] == "Mai"
    revisions = (await web.call("Lan", "GET", path)).json()["revisions"]
    assert [(r["number"], r["state"]) for r in revisions] == [(2, "draft"), (1, "draft")]


BAD_JSON: list[tuple[Any, str]] = [
    (SPOKEN | {"text": ""}, "text"),
    (SPOKEN | {"text": "  \n "}, "text"),
    (SPOKEN | {"text": "a\x00b"}, "text"),
    (SPOKEN | {"text": "x" * 30_001}, "text"),
    (SPOKEN | {"text": 7}, "text"),
    (FORM, "text"),
    (SPOKEN | {"title": ""}, "title"),
    (SPOKEN | {"title": "x" * 201}, "title"),
    (SPOKEN | {"title": "a\nb"}, "title"),
    (SPOKEN | {"class": "urgent"}, "class"),
    (SPOKEN | {"class_": "priority"}, "class_"),
    (SPOKEN | {"language": "fr"}, "language"),
    (SPOKEN | {"language": "hre"}, "language"),
    (SPOKEN | {"area_code": "99999"}, "area_code"),
    (SPOKEN | {"area_code": "21034-07"}, "area_code"),
    (SPOKEN | {"area_code": "51/+"}, "area_code"),
    (SPOKEN | {"surprise": 1}, "surprise"),
    ({}, "title"),
    ([], "body"),
]


async def test_bad_requests_name_their_field_and_store_nothing(
    web: Web, engine: AsyncEngine
) -> None:
    async def refused(status: int, field: str, **given: Any) -> None:
        answer = await web.call("Lan", "POST", "/bulletins", **given)
        assert (answer.status_code, answer.json().get("field")) == (status, field), answer.text
        assert answer.headers["content-type"] == "application/problem+json"

    for body, field in BAD_JSON:
        await refused(422, field, json=body)
    as_json = {"Content-Type": "application/json"}
    await refused(422, "body", content=b'{"title": ', headers=as_json)
    await refused(422, "body", content=b'{"title": "\xff"}', headers=as_json)
    await refused(422, "Content-Type", content=b"x", headers={"Content-Type": "audio/mpeg"})
    await refused(422, "file", data=FORM | {"x": "1"}, files={"file": ("a.wav", b"")})
    await refused(422, "text", data=FORM | {"text": "x"}, files={"file": ("a.wav", b"x")})
    await refused(422, "class", data=FORM | {"class": "?"}, files={"file": ("a.wav", b"x")})
    await refused(413, "file", data=FORM, files={"file": ("a.wav", bytes(400_000))})
    assert await stored(engine) == 0


async def test_too_large_a_json_body_is_refused_unread(web: Web) -> None:
    answer = await web.call("Lan", "POST", "/bulletins", json=SPOKEN | {"text": "x" * 300_000})
    assert answer.status_code == 413

    async def chunks() -> AsyncIterator[bytes]:
        yield b"{"
        raise AssertionError("the body was read")

    answer = await web.call(
        "Lan", "POST", "/bulletins", content=chunks(), headers={"Content-Type": "application/json"}
    )
    assert answer.json()["field"] == "Content-Length"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("Kính gửi ông bà ".encode() * 400, "Không đọc được tệp này"),
        (bytes(20_000), "Không đọc được tệp này"),
        (recording(8.5)[:-100_000], "bị cụt"),
        (recording(0.5), "ngắn hơn 1 giây"),
    ],
    ids=["text", "zeros", "cut", "short"],
)
async def test_what_cannot_be_prepared_says_so_and_cannot_be_submitted(
    web: Web, content: bytes, said: str
) -> None:
    files = {"file": ("a.mp3", content)}
    made = await web.call("Lan", "POST", "/bulletins", data=FORM, files=files)
    assert made.status_code == 202
    path = f"/bulletins/{made.json()['id']}/revisions/1"
    over = await web.prepared(path)
    assert over["preparation"]["state"] == "refused"
    assert said in over["preparation"]["detail"]
    assert over["preparation"]["detail"].endswith("hãy tạo phiên bản mới.")
    submitted = await web.call("Lan", "POST", f"{path}/submit")
    assert (submitted.status_code, submitted.json()["allowed"]) == (409, ["withdraw"])
    assert "âm thanh của phiên bản này chưa có" in submitted.json()["detail"]
    assert (await web.call("Lan", "GET", f"{path}/audio")).status_code == 404
    assert (await web.call("Lan", "POST", f"{path}/withdraw")).status_code == 200


async def test_refusals_are_counted_by_a_reason_that_the_sender_does_not_choose(web: Web) -> None:
    def counted() -> dict[str, float]:
        (metric,) = REFUSED.collect()
        return {s.labels["reason"]: s.value for s in metric.samples if s.name.endswith("_total")}

    before = counted()
    for body in (SPOKEN | {"class": "?"}, SPOKEN | {"x1": 1}, SPOKEN | {"x2": 1}):
        await web.call("Lan", "POST", "/bulletins", json=body)
    after = counted()
    grown = {reason: value - before.get(reason, 0) for reason, value in after.items()}
    assert {reason: n for reason, n in grown.items() if n} == {"class": 1, "invalid-input": 2}


async def test_who_may_not_is_told_before_anything_is_received(web: Web) -> None:
    assert (await web.http.post("/api/v1/bulletins", json=SPOKEN)).status_code == 401

    async def chunks() -> AsyncIterator[bytes]:
        yield b""
        raise AssertionError("the body was read")

    answer = await web.call("Tèo", "POST", "/bulletins", content=chunks())
    assert answer.status_code == 403


async def test_receiving_holds_no_connection(
    web: Web, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy: list[int] = []

    def look() -> None:
        busy.append(engine.pool.checkedout())  # type: ignore[attr-defined]

    async def chunks() -> AsyncIterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
        look()
        yield b"\r\n--x--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    web.worker.cancel()
    await asyncio.gather(web.worker, return_exceptions=True)
    await web.call("Lan", "POST", "/bulletins", content=chunks(), headers=headers)
    assert busy == [0]


async def test_bulletins_are_listed_in_pages_and_by_what_they_are(
    web: Web, engine: AsyncEngine, tmp_path: Path
) -> None:
    sound = prepared(tmp_path)
    async with db.transaction(engine) as session:
        for number, (state, area, class_) in enumerate(
            [
                (DRAFT, "21034", BulletinClass.NORMAL),
                (SUBMITTED, "21034", BulletinClass.PRIORITY),
                (SUBMITTED, "51", BulletinClass.NORMAL),
                (APPROVED, "51", BulletinClass.EMERGENCY),
            ]
        ):
            made = await bulletin(
                session,
                title=f"tin {number}",
                area_code=area,
                class_=class_,
                created_at=datetime(2025, 11, 1 + number, tzinfo=UTC),
            )
            await revision(session, made, sound, APPROVED)
            await revision(session, made, sound, state)

    async def titles(**query: Any) -> list[str]:
        answer = await web.call("Tèo", "GET", "/bulletins", params=query)
        return [item["title"] for item in answer.json()["items"]]

    assert await titles() == ["tin 0", "tin 1", "tin 2", "tin 3"]
    assert await titles(state="submitted") == ["tin 1", "tin 2"]
    assert await titles(area="51") == ["tin 2", "tin 3"]
    assert await titles(**{"class": "priority"}) == ["tin 1"]
    assert await titles(state="approved", area="21034") == []
    first = (await web.call("Tèo", "GET", "/bulletins", params={"limit": 3})).json()
    second = await web.call("Tèo", "GET", "/bulletins", params={"cursor": first["next"]})
    assert [item["title"] for item in second.json()["items"]] == ["tin 3"]
    assert second.json()["next"] is None
    assert (
        first["items"][1].items()
        >= {"revision": 2, "state": "submitted", "approved_revision": 1}.items()
    )


async def test_what_does_not_exist_is_not_found(web: Web) -> None:
    nothing = f"/bulletins/{uuid4()}"
    for method, path in [
        ("GET", nothing),
        ("GET", f"{nothing}/revisions/1/audio"),
        ("POST", f"{nothing}/revisions/1/submit"),
    ]:
        assert (await web.call("Lan", method, path)).status_code == 404
    answer = await web.call("Lan", "POST", f"{nothing}/revisions", json={"text": TEXT})
    assert answer.status_code == 404
    assert (await web.call("Lan", "POST", f"{nothing}/revisions/1/publish")).status_code == 422
    assert (await web.call("Lan", "POST", f"{nothing}/revisions/0/submit")).status_code == 422


def test_both_kinds_of_body_are_documented() -> None:
    app = FastAPI()
    app.state.limit = limit
    app.include_router(router)
    app.include_router(revision_routes.router)
    document = app.openapi()
    content = document["paths"]["/api/v1/bulletins"]["post"]["requestBody"]["content"]
    assert set(content["application/json"]["schema"]["required"]) == {"title", "area_code", "text"}
    form = content["multipart/form-data"]["schema"]
    assert set(form["required"]) == {"title", "area_code", "file"}
    assert "text" not in form["properties"]
    reference = form["properties"]["class"]["$ref"].removeprefix("#/components/schemas/")
    assert document["components"]["schemas"][reference]["enum"] == list(BulletinClass)

"""Versions of a bulletin, from being asked for to the proof that a village heard them."""

from __future__ import annotations

import csv
from datetime import datetime, timedelta
from hashlib import sha256
from io import StringIO
from typing import Any

import httpx2 as httpx
import sqlalchemy as sa

from broadcast.accounts.people import create_account
from broadcast.auth.permissions import Role
from broadcast.bulletins.audio.prepared import content_path
from broadcast.bulletins.version_model import Mix, MixSound
from broadcast.delivery import content
from broadcast.keys.keyring import Keys
from broadcast.kit import db
from broadcast.languages import mixing
from broadcast.plays import ledger, reports
from broadcast.plays.explain import explain
from broadcast.plays.joined import of_occurrence
from broadcast.plays.model import Play
from broadcast.plays.results import result_of
from broadcast.programmes import contents
from broadcast.programmes.model import PublishedContent
from broadcast.schedules.model import Occurrence
from broadcast.schedules.targets import resolve_targets, target_resolver
from broadcast.stations.languages import languages_of_clusters
from broadcast.telemetry.arrival import Arrival
from broadcast.wire import events
from broadcast.wire.fields import BulletinClass
from broadcast.wire.languages import renditions_for, version_for
from tests.callers import caller
from tests.languages.conftest import AN, PHU, World

PRIORITY = BulletinClass.PRIORITY


async def state_of(world: World, bulletin: str) -> Any:
    (version,) = (await world.ok("Quản", "GET", f"/bulletins/{bulletin}/versions"))["versions"]
    return version["state"]


async def test_a_version_is_asked_for_read_reviewed_and_renewed(world: World) -> None:
    bulletin = await world.bulletin()
    asked = await world.asked(bulletin, note="Đọc chậm")
    version = asked["version_id"]
    assert (asked["state"], asked["language"]) == ("waiting", "hre")
    # Who may not: without the language, its own language, no deadline to come.
    lan = {"reader_id": world.ids["Phú"]}
    for wrong in (lan, {"language": "vi"}, {"due_at": "2024-12-01T10:00:00+07:00"}):
        body = {"language": "hre", "reader_id": world.ids["Đinh"], "area_code": PHU,
                "due_at": "2024-12-30T10:00:00+07:00"} | wrong  # fmt: skip
        answer = await world.ask("Quản", "POST", f"/bulletins/{bulletin}/versions", body)
        assert answer.status_code == 422, answer.text
    (mine,) = (await world.ok("Đinh", "GET", "/version-requests?mine=true"))["items"]
    assert (mine["id"], mine["note"]) == (asked["id"], "Đọc chậm")
    assert (await world.ok("An", "GET", "/version-requests"))["items"] == []
    # Its reader sees the original, which nobody has scheduled there.
    assert (await world.ask("Đinh", "GET", f"/bulletins/{bulletin}")).status_code == 200
    assert (await world.ask("An", "GET", f"/bulletins/{bulletin}")).status_code == 404

    refused = await world.http.post(
        f"/api/v1/bulletins/{version}/revisions",
        files={"file": ("thu.webm", b"x", "audio/webm")},
        headers={"Authorization": f"Bearer {world.tokens['Phú']}"},
    )
    assert refused.status_code == 403  # writes there, and does not know the language
    number = await world.record("Đinh", version, b"hre 1")
    assert await state_of(world, bulletin) == "recorded"
    await world.take("Đinh", version, number, "submit")
    assert await state_of(world, bulletin) == "review"
    assert (await world.ok("Đinh", "GET", "/version-requests?mine=true"))["items"] == []
    # Somebody else who understands it: not its reader, nor an approver who does not.
    assert (await world.take("Quản", version, number, "approve")).status_code == 403
    assert (await world.take("Phạm", version, number, "approve")).is_success
    assert await state_of(world, bulletin) == "approved"

    # The original changes: the version is stale until somebody confirms it, who did not read it.
    second = await world.record("Lan", bulletin, b"vi 2")
    await world.take("Lan", bulletin, second, "submit")
    assert (await world.take("Quản", bulletin, second, "approve")).is_success
    assert await state_of(world, bulletin) == "stale"
    confirm = f"/bulletins/{version}/confirmation"
    seen = {"revision": number, "original_revision": second}
    assert (await world.ask("Đinh", "POST", confirm, seen)).status_code == 403
    # Held against the original before: nobody has looked at what is new.
    stale = await world.ask("Phạm", "POST", confirm, seen | {"original_revision": 1})
    assert stale.status_code == 409
    assert await state_of(world, bulletin) == "stale"
    assert (await world.ok("Phạm", "POST", confirm, seen))["state"] == "approved"
    # Or it is read anew.
    third = await world.record("Lan", bulletin, b"vi 3")
    await world.take("Lan", bulletin, third, "submit")
    await world.take("Quản", bulletin, third, "approve")
    assert await state_of(world, bulletin) == "stale"
    again = await world.asked(bulletin)
    assert again["version_id"] == version
    await world.read(version, b"hre 3")
    assert await state_of(world, bulletin) == "approved"


async def test_a_recording_says_the_original_that_its_reader_saw(world: World) -> None:
    bulletin = await world.bulletin()
    version = (await world.asked(bulletin))["version_id"]
    # Đinh begins to read; meanwhile the original changes.
    second = await world.record("Lan", bulletin, b"vi 2")
    await world.take("Lan", bulletin, second, "submit")
    await world.take("Quản", bulletin, second, "approve")
    number = await world.record("Đinh", version, b"hre 1", original=1)
    await world.take("Đinh", version, number, "submit")
    assert (await world.take("Phạm", version, number, "approve")).is_success
    assert await state_of(world, bulletin) == "stale"

    for of, seen in ((version, None), (version, 9), (bulletin, 1)):
        refused = await world.http.post(
            f"/api/v1/bulletins/{of}/revisions",
            data={} if seen is None else {"original_revision": str(seen)},
            files={"file": ("thu.webm", b"x", "audio/webm")},
            headers={
                "Authorization": f"Bearer {world.tokens['Đinh' if of == version else 'Lan']}"
            },
        )
        assert refused.status_code == 422, refused.text
        assert refused.json()["field"] == "original_revision"


async def test_villages_hear_their_languages_and_the_ledger_tells_it(world: World) -> None:
    bulletin = await world.bulletin(seconds=60, class_=PRIORITY)
    version = (await world.asked(bulletin))["version_id"]
    body = {
        "bulletin_id": bulletin, "targets": [{"area": "51"}],
        "starts_at": "2024-12-29T17:00:00+07:00",
    }  # fmt: skip
    await world.ok("Quản", "POST", "/schedules", body)
    occurrence = await _planned(world)
    before = await world.ok("Quản", "GET", f"/occurrences/{occurrence.id}/languages")
    first, second = sorted(before["villages"], key=lambda each: each["code"])
    assert (first["sounds"], first["lacks"], first["is_served"]) == (
        ["vi"], {"hre": "waiting"}, False,
    )  # fmt: skip
    assert (second["sounds"], second["is_served"]) == (["vi"], None)
    assert (before["fallback"], before["unknown"]) == (1, 1)

    await world.read(version, b"hre 1")
    assert await world.mix() == 1
    assert await world.mix() == 0
    renewed = await _planned(world)
    assert renewed.ends_by - occurrence.ends_by == timedelta(seconds=140 - 60)
    after = await world.ok("Quản", "GET", f"/occurrences/{occurrence.id}/languages")
    assert {each["code"]: each["sounds"] for each in after["villages"]} == {
        "T-1": ["hre", "vi"], "T-2": ["vi"],
    }  # fmt: skip

    villages = await world.ok("Quản", "GET", "/heard?area=51&on=2024-12-29")
    heard = {each["code"]: each["ears"][0] for each in villages}
    assert [heard[code]["languages"] for code in ("T-1", "T-2")] == [["hre", "vi"], []]
    (joint,), (plain,) = heard["T-1"]["items"], heard["T-2"]["items"]
    assert (joint["languages"], joint["seconds"]) == (["hre", "vi"], 140)
    assert (plain["languages"], plain["seconds"]) == (["vi"], 60)
    sounds = [
        (await world.ask("Quản", "GET", each["audio"].removeprefix("/api/v1"))).content
        for each in (joint, plain)
    ]
    assert sounds[0].startswith(b"mp3 ")
    assert sounds[0] != sounds[1]
    unknown = plain["audio"] + "&languages=cua,vi"
    assert (await world.ask("Quản", "GET", unknown.removeprefix("/api/v1"))).status_code == 404

    async with db.transaction(world.engine) as session:
        made = await contents.programmes(session, ["area/51"], world.settings, world.now)
        orders = await languages_of_clusters(session, world.now.date())
        clusters = list(orders)
        configs = await contents.configs(
            session, ["device/D-1", "device/D-2"], _NO_KEYS, world.settings, world.now
        )
    (item,) = made.documents[0].items
    (joined,) = item.versions
    assert joined.languages == ["hre", "vi"]
    mp3 = next(each for each in joined.audio if each.codec == "mp3")
    assert sha256(sounds[0]).hexdigest() == mp3.sha256
    assert orders == {clusters[0]: ["hre", "vi"]}
    assert [each.languages for each in configs] == [["hre", "vi"], []]
    assert renditions_for(item, configs[0].languages) == joined.audio
    assert version_for(item.versions, configs[1].languages) is None

    async with db.transaction(world.engine) as session:
        await content.want(session, world.now, world.now + timedelta(days=7))
        there = set(await session.scalars(sa.select(PublishedContent.sha256)))
    assert {each.sha256 for each in (*item.audio, *joined.audio) if each.codec == "opus"} <= there

    await _report(world, occurrence, "D-1", joined.audio[0].sha256, 140)
    await _report(world, occurrence, "D-2", item.audio[0].sha256, 60)
    async with db.transaction(world.engine) as session:
        rows = await session.execute(
            sa.select(Play.state, Play.languages).order_by(Play.cluster_id)
        )
        assert [(state.value, languages) for state, languages in rows] == [
            ("played", "hre,vi"), ("played", None),
        ]  # fmt: skip
        lan = caller("Lan", Role.PROVINCE_ADMIN)
        result = await result_of(session, occurrence.id, lan)
        (longer,), (shorter,) = (
            [each.verdict for each in result.clusters if each.villages == [village]]
            for village in ("T-1", "T-2")
        )
        assert (longer[-17:], shorter[-15:]) == ("140,0/140,0 giây.", "60,0/60,0 giây.")
        codes = {village: each.code for each in result.clusters for village in each.villages}
        told = await explain(session, occurrence.id, codes["T-1"])
        assert told.audio_seconds == 140
        heard = await of_occurrence(session, occurrence.id)
        assert {each: (one.languages, one.sha256) for each, one in heard.items()} == {
            clusters[0]: (["hre", "vi"], joined.audio[0].sha256)
        }

    world.now += timedelta(days=2)
    days = "from=2024-12-28&to=2024-12-30"
    served = await world.ok("Quản", "GET", f"/languages-served?{days}")
    assert (served["villages"], served["served"], served["unknown"]) == (1, 1, 1)
    assert served["languages"] == [
        {"language": "hre", "villages": 1, "served": 1, "heard_in": 1, "plays": 1},
        {"language": "vi", "villages": 0, "served": 0, "heard_in": 2, "plays": 2},
    ]
    elsewhere = await world.ok("An", "GET", f"/languages-served?{days}")
    assert (elsewhere["villages"], elsewhere["unknown"]) == (0, 1)
    text = (await world.ask("Quản", "GET", f"/languages-served.csv?{days}")).text
    lines = {line[0]: line[4:8] for line in csv.reader(StringIO(text.lstrip("\ufeff")))}
    assert lines["T-1"] == ["tiếng Hrê", "có", "1", "1"]
    assert lines["T-2"] == ["", "chưa ghi tiếng", "1", "0"]


async def test_a_version_that_would_meet_another_item_waits_until_there_is_room(
    world: World,
) -> None:
    """Nobody loses what was planned because a version was approved later."""
    bulletin, other = (
        await world.bulletin(seconds=60, class_=PRIORITY),
        await world.bulletin(title="Giá lúa", class_=PRIORITY),
    )
    version = (await world.asked(bulletin))["version_id"]
    for each, at in ((bulletin, "17:00"), (other, "17:02")):
        body = {
            "bulletin_id": each, "targets": [{"area": "51"}],
            "starts_at": f"2024-12-29T{at}:00+07:00",
        }  # fmt: skip
        schedule = await world.ok("Quản", "POST", "/schedules", body)
    await world.read(version, b"hre 1")
    assert await world.mix() == 0
    found = await world.ok("Quản", "GET", f"/bulletins/{bulletin}/versions")
    assert "Giá lúa" in found["troubles"]["hre,vi"]
    await world.ok("Quản", "POST", f"/schedules/{schedule['id']}/withdraw", {"reason": "Dời"})
    assert await world.mix() == 0
    assert await world.mix(again=True) == 1
    assert (await world.ok("Quản", "GET", f"/bulletins/{bulletin}/versions"))["troubles"] == {}


async def test_a_withdrawn_version_is_heard_no_more(world: World) -> None:
    bulletin = await world.bulletin()
    version = (await world.asked(bulletin))["version_id"]
    number = await world.read(version, b"hre 1")
    await world.mix()
    assert (await world.take("Phạm", version, number, "withdraw")).is_success
    assert await world.mix() == 1
    assert await state_of(world, bulletin) == "waiting"


async def test_a_joined_sound_that_the_disk_has_lost_is_made_anew(world: World) -> None:
    """As after a restore of the database beside an older store of sound."""
    bulletin = await world.bulletin()
    await world.read((await world.asked(bulletin))["version_id"], b"hre 1")
    assert await world.mix() == 1
    async with db.transaction(world.engine) as session:
        sounds = list(await session.scalars(sa.select(MixSound.sha256)))
    lost, kept = (content_path(world.content_dir, each) for each in sounds)
    lost.unlink()
    assert await world.mix() == 0, "nobody looks at every step"
    async with db.transaction(world.engine) as session:
        assert await mixing.step(session, world.settings, world.now, again=True) == 1
    async with db.transaction(world.engine) as session:
        assert await session.scalar(sa.select(sa.func.count()).where(Mix.is_current)) == 0
        assert await session.scalar(sa.select(sa.func.count(MixSound.sha256))) == 0
    assert await world.mix() == 1
    assert lost.is_file()
    assert kept.is_file()
    async with db.transaction(world.engine) as session:
        assert sorted(await session.scalars(sa.select(MixSound.sha256))) == sorted(sounds)
        (mix,) = await session.scalars(sa.select(Mix))
    assert (mix.is_current, mix.seconds) == (True, 140)


async def test_languages_of_villages_come_from_a_file(world: World) -> None:
    async def send(text: str, dry_run: str = "false") -> Any:
        return await world.http.post(
            "/api/v1/village-languages/import",
            files={"village_languages": ("v.csv", text.encode(), "text/csv")},
            data={"dry_run": dry_run},
            headers={"Authorization": f"Bearer {world.tokens['Quản']}"},
        )

    good = "code,languages,valid_from\nT-2,cua:70; vi:30,2024-12-01\n"
    dry = (await send(good, "true")).json()
    assert (dry["added"], dry["rows"][0]["fate"]) == (1, "added")
    shown = await world.ok("Quản", "GET", "/village-languages/T-2")
    assert shown["languages"] == []
    assert (await send(good)).json()["added"] == 1
    assert (await send(good)).json()["unchanged"] == 1
    page = await world.ok("Quản", "GET", f"/village-languages?area={AN}")
    assert [(each["village_code"], each["languages"]) for each in page["items"]] == [
        ("T-2", [{"language": "cua", "share": 70}, {"language": "vi", "share": 30}]),
    ]  # fmt: skip
    wrong = await send("code,languages,valid_from\nT-9,hre,2024-12-01\nT-2,tay,2024-12-01\n")
    assert wrong.status_code == 422
    assert {(each["row"], each["column"]) for each in wrong.json()["errors"]} == {
        (2, "code"), (3, "languages"),
    }  # fmt: skip
    answer = await world.ask("An", "PUT", "/village-languages/T-2", {"languages": []})
    assert answer.status_code == 403


_NO_KEYS: Keys = type("NoKeys", (), {"named_to": staticmethod(lambda _: [])})()  # type: ignore[assignment]


async def _planned(world: World) -> Occurrence:
    """The coming occurrence, with its plays in the ledger."""
    async with db.transaction(world.engine) as session:
        occurrence = (await session.scalars(sa.select(Occurrence))).one()
        resolver = await target_resolver(session)
        reached = await resolve_targets(session, resolver, [occurrence])
        await ledger.plan(session, [occurrence], reached, world.now)
        return occurrence


async def _report(
    world: World, occurrence: Occurrence, device: str, sha256: str, seconds: float
) -> None:
    """A device tells that it played a sound to its end."""
    at, over = occurrence.starts_at, occurrence.starts_at + timedelta(seconds=seconds)
    records: list[events.Record] = [
        events.Started(
            seq=1, occurrence_id=str(occurrence.id), at=at, bulletin_revision=1, sha256=sha256
        ),
        events.Ended(
            seq=2, occurrence_id=str(occurrence.id), at=over, reason=events.EndReason.COMPLETED,
            played_seconds=seconds,
        ),
    ]  # fmt: skip
    async with db.transaction(world.engine) as session:
        id_ = await session.scalar(
            sa.text("SELECT id FROM devices WHERE code = :code"), {"code": device}
        )
        message = events.Playback(sent_at=over, journal_id=device, records=records)
        received: datetime = over + timedelta(seconds=5)
        await reports.record(
            session, [Arrival(id_, device, message)], received, timedelta(minutes=5)
        )


async def test_readers_come_from_a_file(world: World) -> None:
    async def send(text: str, who: str = "Quản", dry_run: str = "false") -> httpx.Response:
        return await world.http.post(
            "/api/v1/readers/import",
            files={"readers": ("r.csv", f"name,login,languages\n{text}".encode(), "text/csv")},
            data={"dry_run": dry_run},
            headers={"Authorization": f"Bearer {world.tokens[who]}"},
        )

    async def known(who: str) -> list[str]:
        path = f"/accounts/{world.ids[who]}"
        return list((await world.ok("Quản", "GET", path))["languages"])

    await world.knows("Đinh")
    await world.knows("Phạm", "hre")
    rows = "Đinh,,hre; cua\nPhạm,,cua\n"
    dry = (await send(rows, dry_run="true")).json()
    assert [(each["what"], each["fate"], each["detail"]) for each in dry["rows"]] == [
        ("Đinh", "added", "tiếng Cor, tiếng Hrê"), ("Phạm", "changed", "tiếng Hrê → tiếng Cor"),
    ]  # fmt: skip
    assert await known("Đinh") == []
    assert (await send(rows)).json()["added"] == 1
    assert (await known("Đinh"), await known("Phạm")) == (["cua", "hre"], ["cua"])
    assert (await send(rows)).json()["unchanged"] == 2
    async with db.transaction(world.engine) as session:
        await create_account(session, "Phạm", world.now)
    wrong = await send("Nobody,,hre\nĐinh,other,hre\nPhạm,,hre\nĐinh,,tay\n")
    assert wrong.status_code == 422
    assert [(each["row"], each["column"]) for each in wrong.json()["errors"]] == [
        (2, "name"), (3, "login"), (4, "login"), (5, "languages"),
    ]  # fmt: skip
    assert await known("Đinh") == ["cua", "hre"]
    assert (await send(rows, "Phạm")).status_code == 403

"""The situation over REST: the same facts that the other routes show, judged and counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast.areas.model import Level
from broadcast.auth.permissions import Role
from broadcast.incidents import causes
from broadcast.incidents.grouping import Kind
from broadcast.incidents.model import Incident, IncidentLoss
from broadcast.kit import clock, db
from broadcast.plays.model import Play, PlayState
from broadcast.situation.recent import Recent
from broadcast.stations.model import Attestation, Evidence, Outage, OutageKind
from broadcast.telemetry.model import DevicePresence, Fault, ListeningSpan
from broadcast.telemetry.presence import Presence
from tests import province
from tests.callers import LAN
from tests.stations.client import client_of

HOUR = timedelta(hours=1)
XA = "21025"
OTHER = "21028"


@pytest.fixture
async def client(engine: AsyncEngine) -> AsyncIterator[httpx.AsyncClient]:
    """A commune of four villages, a cluster in each: A and B online, C offline, D silent."""
    now = clock.now()
    async with db.transaction(engine) as session:
        villages = {"T-1": "A", "T-2": "B", "T-3": "C", "T-4": "D"}
        stored = await province.commune(session, XA, villages, now - HOUR)
        session.add_all([
            province.area(OTHER, Level.COMMUNE, province.PROVINCE),
            province.area("T-9", Level.VILLAGE, OTHER),
            ListeningSpan(started_at=now - 9 * HOUR, until=now + HOUR),
        ])  # fmt: skip
        for name, presence in zip(
            "ABCD", (Presence.ONLINE, Presence.ONLINE, Presence.OFFLINE, Presence.SILENT),
            strict=True,
        ):  # fmt: skip
            session.add(
                DevicePresence(
                    device_id=stored.devices[f"D-{name}"].id, presence=presence,
                    since=now - HOUR / 2, session=1, seq=1, last_seen_at=now - HOUR / 2,
                    silent_after=now, held={},
                )
            )  # fmt: skip
    async with client_of(engine, Role.TECHNICIAN) as client:
        yield client


async def ask(client: httpx.AsyncClient, code: str) -> dict[str, Any]:
    answer = await client.get(f"/areas/{code}/situation")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def cluster_id(session: AsyncSession, code: str) -> int:
    found = await session.scalar(
        sa.text("SELECT id FROM clusters WHERE code = :code"), {"code": code}
    )
    assert isinstance(found, int)
    return found


async def device_id(session: AsyncSession, code: str) -> int:
    found = await session.scalar(
        sa.text("SELECT id FROM devices WHERE code = :code"), {"code": code}
    )
    assert isinstance(found, int)
    return found


def reasons(found: dict[str, Any]) -> dict[str, str]:
    return {each["code"]: each["reason"] for each in found["listed"]}


async def test_the_province_and_its_communes_are_judged_by_their_clusters(
    client: httpx.AsyncClient,
) -> None:
    found = await ask(client, province.PROVINCE)
    assert found["clusters"] == {"ok": 2, "partial": 0, "bad": 1, "unknown": 1, "total": 4}
    assert found["condition"] == "partial"
    assert found["listed"] == []
    assert found["summary"] == "51: 2/4 cụm loa hoạt động; 1 không hoạt động, 1 chưa rõ."
    communes = {each["code"]: each for each in found["areas"]}
    assert communes[XA]["clusters"] == found["clusters"]
    assert communes[OTHER]["condition"] == "unknown"
    assert communes[OTHER]["summary"] == f"{OTHER} chưa có cụm loa."


async def test_a_commune_lists_what_needs_somebody_first(client: httpx.AsyncClient) -> None:
    found = await ask(client, XA)
    assert [(each["code"], each["reason"]) for each in found["listed"]] == [
        ("C-C", "offline"), ("C-D", "silent"), ("C-A", "working"), ("C-B", "working"),
    ]  # fmt: skip
    assert found["listed"][0]["text"].startswith("mất liên lạc từ ")
    assert "kỹ thuật viên" in found["listed"][0]["advice"]
    assert [each["code"] for each in found["above"]] == [province.PROVINCE]
    assert {each["code"]: each["condition"] for each in found["areas"]} == {
        "T-1": "ok", "T-2": "ok", "T-3": "bad", "T-4": "unknown",
    }  # fmt: skip
    listed = (await client.get("/clusters", params={"area": XA, "state": "offline"})).json()
    assert [each["code"] for each in listed["items"]] == ["C-C"]
    village = await ask(client, "T-3")
    assert (village["areas"], village["condition"]) == ([], "bad")
    assert reasons(village) == {"C-C": "offline"}


async def test_while_the_server_does_not_listen_nothing_is_known(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    async with db.transaction(engine) as session:
        await session.execute(
            sa.update(ListeningSpan).values(until=ListeningSpan.until - 2 * HOUR)
        )
    found = await ask(client, XA)
    assert found["condition"] == "unknown"
    assert set(reasons(found).values()) == {"server_deaf"}


async def test_faults_plays_outages_and_somebodys_word_count(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    now = clock.now()
    begins = now.astimezone(clock.LOCAL).replace(hour=0, minute=0, second=0, microsecond=0)
    async with db.transaction(engine) as session:
        await db.ensure_partitions(session, begins.date())
        session.add_all([
            Fault(device_id=await device_id(session, "D-A"), kind="line_open", opened_at=now),
            Outage(
                kind=OutageKind.MAINTENANCE, area_code="T-3", starts_at=now - HOUR,
                ends_at=now + HOUR, declared_by=LAN,
            ),
            Attestation(
                cluster_id=await cluster_id(session, "C-D"), attested_at=now - HOUR,
                attested_by="Trưởng thôn", reference="anh.jpg",
            ),
        ])  # fmt: skip
        await session.execute(
            sa.text("UPDATE clusters SET evidence = :word WHERE code = 'C-D'"),
            {"word": Evidence.ATTESTED.value},
        )
        for step, state in enumerate((PlayState.PLAYED, PlayState.MISSED, PlayState.PLANNED)):
            at = begins + timedelta(seconds=step)
            session.add(
                Play(
                    occurrence_id=uuid4(), cluster_id=await cluster_id(session, "C-B"),
                    month=begins.date().replace(day=1), starts_at=at, ends_by=at, state=state,
                )
            )  # fmt: skip
    found = await ask(client, XA)
    assert reasons(found) == {
        "C-A": "speaker_fault", "C-B": "missed_today", "C-C": "declared_outage", "C-D": "attested",
    }  # fmt: skip
    assert found["plays"] == {"played": 1, "partial": 0, "missed": 1, "waiting": 1}
    village = await ask(client, "T-2")
    assert village["plays"] == found["plays"]


async def test_open_incidents_are_counted_once_for_an_area(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    now = clock.now()
    async with db.transaction(engine) as session:
        incident = Incident(
            kind=Kind.COMMUNE, code=XA, name=XA, cause=causes.Cause.POWER, opened_at=now,
            noticed_at=now, devices_count=2, down_count=2, villages_count=2, communes_count=1,
        )  # fmt: skip
        session.add(incident)
        await session.flush()
        for name, returned_at in (("C", None), ("D", None), ("A", now)):
            session.add(
                IncidentLoss(
                    incident_id=incident.id, device_id=await device_id(session, f"D-{name}"),
                    cluster_id=await cluster_id(session, f"C-{name}"), fell_at=now - HOUR,
                    noticed_at=now, returned_at=returned_at, evidence=causes.Evidence.POWER,
                )
            )  # fmt: skip
    found = await ask(client, province.PROVINCE)
    assert found["incidents"] == 1
    villages = {each["code"]: each["incidents"] for each in (await ask(client, XA))["areas"]}
    assert villages == {"T-1": 0, "T-2": 0, "T-3": 1, "T-4": 1}


async def test_a_unit_that_is_not_there_is_not_found(client: httpx.AsyncClient) -> None:
    answer = await client.get("/areas/99999/situation")
    assert answer.status_code == 404


async def test_who_asks_at_the_same_moment_gets_one_answer(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(ask(client, XA) for _ in range(5)))
    assert len({each["at"] for each in answers}) == 1


async def test_an_answer_is_kept_for_a_moment_only() -> None:
    made: list[int] = []

    async def make() -> Any:
        made.append(len(made))
        return made[-1]

    loop = asyncio.get_running_loop()
    recent = Recent()
    assert [await recent.get("51", make) for _ in range(3)] == [0, 0, 0]
    assert await recent.get("21025", make) == 1
    recent._kept["51"] = recent._kept["51"]._replace(until=loop.time() - 1)
    assert await recent.get("51", make) == 2


async def test_what_failed_is_not_kept() -> None:
    async def fail() -> Any:
        raise ZeroDivisionError

    async def make() -> Any:
        return "answer"

    recent = Recent()
    with pytest.raises(ZeroDivisionError):
        await recent.get("51", fail)
    assert await recent.get("51", make) == "answer"

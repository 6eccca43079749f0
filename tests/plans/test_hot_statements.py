"""What is executed all day long finds its rows by an index, and of the partitions only its own.

Explained are the statements as the features execute them, in a province of realistic size: a
dropped index or a condition that the planner cannot use fails here and not in the province.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.auth.permissions import Role
from broadcast.commands import answers
from broadcast.config import Rules
from broadcast.delivery.desired import DesiredDocuments, tokens
from broadcast.ingest.enrolment_cache import EnrolmentCache
from broadcast.plays import closer, explain, reports, routes, self_tests
from broadcast.plays.model import Play
from broadcast.restore import mark
from broadcast.telemetry import dead_letters, heartbeats, readiness
from broadcast.telemetry import routes as telemetry_routes
from broadcast.telemetry.arrival import Arrival
from broadcast.telemetry.dead_letters import Budget, DeadLetter, RejectReason
from broadcast.telemetry.model import ListeningSpan
from broadcast.telemetry.sweep import sweep
from broadcast.web.rest import Paging
from broadcast.wire import events
from tests.callers import caller
from tests.devices.fleet import EIGHT, MINUTE, THRESHOLDS, Everyone, record_all
from tests.plans.conftest import Plan, Plans, whole

NOW = EIGHT
"""The newest moment of the province."""
WAIT = timedelta(minutes=15)
BATCH = range(1, 501)
TRUSTED = events.Clock(trusted=True)


def of(found: list[Plan], text: str) -> Plan:
    """The plan of the one statement that holds this text."""
    (plan,) = [plan for plan in found if text in " ".join(plan.statement.split())]
    return plan


async def test_heartbeats(plans: Plans) -> None:
    def boot(n: int) -> Arrival[events.Boot]:
        message = events.Boot(
            session=2000, sent_at=NOW, reason="reconnect", codecs=["opus"], clock=TRUSTED,
            journal_id="j",
        )  # fmt: skip
        return Arrival(n, f"D-{n}", message)

    def beat(n: int) -> Arrival[events.Heartbeat]:
        held = {"area/51/programme": 1751331600001, "area/C2/programme": 1751331600000}
        message = events.Heartbeat(session=1000, seq=2, sent_at=NOW, clock=TRUSTED, held=held)
        return Arrival(n, f"D-{n}", message)

    async def work(session: AsyncSession) -> None:
        await record_all(
            session, [boot(n) for n in range(501, 551)], [beat(n) for n in BATCH],
            [Arrival(n, f"D-{n}", events.Gone(session=1000)) for n in range(600, 620)], NOW,
            live=True, thresholds=THRESHOLDS,
        )  # fmt: skip

    found = await plans(work)
    assert whole(found) == []
    states = [plan for plan in found if "device_presence AS p" in plan.statement]
    assert len(states) == 3, "those as remembered; the others locked and updated"
    for plan in states:
        assert plan.indexes("device_presence") <= {"pk_device_presence"}
    inserted = [plan.statement.split()[2] for plan in found if "INSERT INTO" in plan.statement]
    assert {"presence_changes", "receipts", "boots"} <= set(inserted)
    assert of(found, "INSERT INTO online_minutes").partitions("heartbeats") == set()


def tone(n: int) -> Arrival[events.CommandResult]:
    """A self-test that is stored already."""
    result = events.CommandResult(
        sent_at=NOW, command_id=f"c{n}", result="done", kind="self_test", heard="amplifier"
    )
    return Arrival(1 + n, f"D-{1 + n}", result)


async def test_other_words_of_devices(plans: Plans) -> None:
    def fault(n: int, *, is_open: bool) -> heartbeats.faults.Report:
        return heartbeats.faults.Report(n, "hot", is_open, NOW)

    async def work(session: AsyncSession) -> None:
        await heartbeats.faults.keep(
            session,
            [
                *(fault(n, is_open=True) for n in range(1, 20)),
                *(fault(n, is_open=False) for n in range(20, 40)),
            ],
        )
        key = await session.scalar(sa.select(Play.occurrence_id).limit(1))
        item = events.Ready(occurrence_id=str(key), bulletin_revision=1, state="ready")
        word = events.Readiness(sent_at=NOW, items=[item])
        await readiness.record(session, [Arrival(n, f"D-{n}", word) for n in BATCH], NOW)
        tested = [tone(n) for n in range(3, 150, 3)]
        await answers.record_results(session, tested, NOW)
        await self_tests.touched(session, tested)
        letter = DeadLetter(RejectReason.MALFORMED, "t", "D-1", b"x", "r")
        await dead_letters.keep(session, [letter] * 500, NOW, Budget(Everyone()))
        await EnrolmentCache().load(session, {f"D-{n}" for n in range(1, 51)})

    found = [plan for plan in await plans(work) if "LIMIT" not in plan.statement]
    assert whole(found) == []
    assert of(found, "SELECT DISTINCT p.occurrence_id").indexes("plays") == {
        "cluster_id_starts_at_idx"
    }
    assert of(found, "INSERT INTO faults").indexes("faults") <= {
        "ix_faults_device",
        "uq_faults_open",
    }
    assert of(found, "UPDATE faults").indexes("faults") == {"uq_faults_open"}
    assert of(found, "FROM devices").indexes("devices") == {"uq_devices_code"}


async def test_sweep_reads_the_presence_of_all_once(plans: Plans) -> None:
    """No index on what every heartbeat changes: it would take the heap-only update from 10,000
    writes a minute (the table grows elevenfold) to save the sweep two milliseconds."""

    async def work(session: AsyncSession) -> None:
        session.add(ListeningSpan(started_at=NOW - MINUTE, until=NOW + 10 * MINUTE))
        await session.flush()
        assert await sweep(session, NOW + 10 * MINUTE, Rules()) > 0

    found = [plan for plan in await plans(work) if "INSERT INTO listening" not in plan.statement]
    assert whole(found) == []
    assert of(found, "SKIP LOCKED").indexes("device_presence") <= {None, "pk_device_presence"}
    assert of(found, "FROM listening_spans").indexes("listening_spans") == {"pk_listening_spans"}


async def records(session: AsyncSession, count: int, state: str) -> list[Arrival[events.Playback]]:
    """A record of each of so many plays, of the device that hangs there."""
    keys = await session.execute(
        sa.select(Play.occurrence_id, Play.cluster_id, Play.starts_at)
        .where(Play.state == state, Play.starts_at > NOW - timedelta(days=60))
        .order_by(Play.starts_at, Play.cluster_id)
        .limit(count)
    )
    return [
        Arrival(
            cluster_id, f"D-{cluster_id}",
            events.Playback(
                sent_at=NOW, journal_id="k",
                records=[events.Started(seq=1, occurrence_id=str(occurrence_id), at=at)],
            ),
        )
        for occurrence_id, cluster_id, at in keys
    ]  # fmt: skip


async def test_journals(plans: Plans) -> None:
    async def work(session: AsyncSession) -> None:
        said = await records(session, 500, "played")
        await reports.record(session, said, NOW, WAIT)
        await reports.record(session, said[:50], NOW, WAIT)

    found = (await plans(work))[1:]
    assert whole(found) == []
    first = of(found[:2], "INSERT INTO journal_records")
    assert first.indexes("installations") <= {
        "pk_installations", "uq_installations_open_device",
    }  # fmt: skip
    assert of(found, "WHERE j.body <>").indexes("journal_records") == {"pk_journal_records"}
    settled(found, partitions={"plays_202505"})
    for plan in found:
        if "INSERT INTO journals" in plan.statement:
            assert plan.indexes("journal_records") <= {"pk_journal_records"}


BY_KEY = {"pkey", "cluster_id_starts_at_idx"}
"""Of a cluster's plays of a month there are few."""


def settled(found: list[Plan], partitions: set[str]) -> None:
    """The statements of settling read the partitions of these plays, each by its key."""
    lock = next(plan for plan in found if "FOR UPDATE OF p" in plan.statement)
    assert lock.indexes("plays") <= BY_KEY
    assert lock.partitions("plays") == partitions
    told = next(plan for plan in found if "event <> 'lost'" in plan.statement)
    assert told.indexes("journal_records") == {"ix_journal_records_play"}
    for write in (plan for plan in found if "UPDATE plays" in plan.statement):
        assert write.indexes("plays") <= BY_KEY
        assert write.partitions("plays") == partitions


async def test_closer(plans: Plans) -> None:
    async def work(session: AsyncSession) -> None:
        assert await closer.close_due(session, NOW + timedelta(hours=8), WAIT) == closer.BATCH

    found = await plans(work)
    assert whole(found) == []
    due = of(found, "SKIP LOCKED")
    assert due.indexes("plays") == {"ends_by_idx"}
    settled(found, partitions={"plays_202507"})
    around = of(found, "carried AS MATERIALIZED")
    assert around.indexes("programme_revisions") == {"ix_programme_revisions_occurrences"}
    assert around.indexes("presence_changes") == {"ix_presence_changes_device"}
    assert around.indexes("boots") == {"ix_boots_received_at"}
    assert around.indexes("readiness") == {"pk_readiness"}
    assert around.indexes("receipts") <= {"pk_receipts"}


async def test_documents_wanted(plans: Plans) -> None:
    """What was published lately is read whole every ten seconds: 10,000 rows, without tokens."""
    wanted = DesiredDocuments()

    async def first(session: AsyncSession) -> None:
        await mark.advance(session, NOW)
        await wanted.refresh(session, NOW)

    await plans(first)

    async def work(session: AsyncSession) -> None:
        await mark.advance(session, NOW)
        await wanted.refresh(session, NOW)
        await tokens(session, [f"device/D-{n}/config" for n in range(1, 21)])

    found = await plans(work)
    assert of(found, "documents.token FROM").indexes("documents") == {"pk_documents"}


async def test_lists(plans: Plans) -> None:
    anyone = caller("Tâm", Role.PROVINCE_ADMIN)

    async def work(session: AsyncSession) -> None:
        page = Paging(None, 100)
        await routes.list_plays(session, anyone, page, NOW - timedelta(days=1), NOW)
        await routes.list_plays(session, anyone, page, NOW - timedelta(days=90), NOW)
        await telemetry_routes.list_dead_letters(session, anyone, page)
        await telemetry_routes.list_dead_letters(session, anyone, page, "D-nobody")

    found = await plans(work)
    assert whole(found) == []
    for plan in found[:2]:
        assert plan.indexes("plays") == {"starts_at_occurrence_id_cluster_id_idx"}
    assert found[2].indexes("dead_letters") == {"pk_dead_letters"}
    assert found[3].indexes("dead_letters") == {"ix_dead_letters_device"}


async def test_newest_heartbeats_with_presence(plans: Plans) -> None:
    async def work(session: AsyncSession) -> None:
        anyone: Any = None
        await telemetry_routes.list_presence(session, anyone, Paging(None, 100))
        await telemetry_routes.show_presence(session, anyone, "D-7")

    for plan in await plans(work):
        assert plan.indexes("heartbeats") == {"pkey"}


async def test_explaining_a_play(plans: Plans) -> None:
    async def work(session: AsyncSession) -> None:
        query = sa.select(Play.occurrence_id, Play.cluster_id).where(
            Play.starts_at > NOW - timedelta(days=1), Play.state == "played"
        )
        occurrence_id, cluster_id = (await session.execute(query.limit(1))).one()
        await explain.explain(session, occurrence_id, f"K-{cluster_id}")

    found = (await plans(work))[1:]
    assert whole(found) == []
    assert found[1].indexes("plays") == {"pkey"}, "after the cluster"
    journal = [plan for plan in found if "FROM journal_records AS j JOIN" in plan.statement]
    assert journal[0].indexes("journal_records") == {"ix_journal_records_play"}

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast.commands.model import CommandResult
from broadcast.delivery import desired
from broadcast.delivery import replies as orders
from broadcast.devices.model import Device
from broadcast.enrolment.model import RenewalRequest
from broadcast.ingest import decode, pipeline, store, throttle
from broadcast.ingest.decode import Decoder
from broadcast.keys.keyring import Keyring
from broadcast.kit import clock, db
from broadcast.plays.model import JournalRecord
from broadcast.programmes.model import Document
from broadcast.restore import mark
from broadcast.telemetry import dead_letters, readiness
from broadcast.telemetry.dead_letters import RejectReason
from broadcast.telemetry.model import (
    Boot,
    DeadLetterRow,
    DevicePresence,
    Fault,
    Heartbeat,
    ListeningSpan,
    PresenceChange,
    Readiness,
    Refusal,
)
from broadcast.wire import events
from broadcast.wire.commands import JournalAck, Resend, TimeReply
from broadcast.wire.documents import Config, Programme
from broadcast.wire.envelope import Verifier
from tests.devices.fleet import planned
from tests.ingest.inbox import PREFIX, Acked, Inbox, Until
from tests.waiting import HANG_SECONDS

TRUSTED = events.Clock(trusted=True)


def beat(seq: int = 1, **more: Any) -> events.Heartbeat:
    return events.Heartbeat(session=1, seq=seq, sent_at=clock.now(), clock=TRUSTED, **more)


def boot(session: int = 1) -> events.Boot:
    return events.Boot(
        session=session, sent_at=clock.now(), reason="power_on", codecs=["opus"], clock=TRUSTED,
        journal_id="j",
    )  # fmt: skip


def playback(*seqs: int, oldest: int | None = None, volume: int = 70) -> events.Playback:
    at = clock.now().replace(microsecond=0)
    records: list[events.Record] = [
        events.Started(seq=seq, occurrence_id="alert-1", at=at, volume=volume) for seq in seqs
    ]
    return events.Playback(sent_at=at, journal_id="j", records=records, oldest_seq=oldest)


async def count(engine: AsyncEngine, table: Any) -> int:
    async with db.transaction(engine) as session:
        return await session.scalar(sa.select(sa.func.count()).select_from(table)) or 0


async def letters(engine: AsyncEngine) -> list[DeadLetterRow]:
    async with db.transaction(engine) as session:
        return list(await session.scalars(sa.select(DeadLetterRow).order_by(DeadLetterRow.id)))


async def test_every_kind_finds_its_place(engine: AsyncEngine, inbox: Inbox, acked: Acked) -> None:
    now = clock.now()
    async with db.transaction(engine) as session:
        occurrence_id = await planned(session)
    item = events.Ready(occurrence_id=occurrence_id, bulletin_revision=1, state="ready")
    said = [
        inbox.put("A", "boot", boot()),
        inbox.put("A", "heartbeat", beat()),
        inbox.put("A", "playback", playback(1)),
        inbox.put("A", "readiness", events.Readiness(sent_at=now, items=[item])),
        inbox.put("A", "fault", events.Fault(sent_at=now, kind="hot", open=True)),
        inbox.put("A", "refusal", events.Refusal(sent_at=now, topic="t", reason="key")),
        inbox.put(
            "A", "command_result",
            events.CommandResult(sent_at=now, command_id="c", result="done"),
        ),
        inbox.put("A", "time_request", events.TimeRequest(token="t")),
        inbox.put("A", "certificate_request", events.CertificateRequest(csr="its request")),
        inbox.put("A", "gone", events.Gone(session=1)),
    ]  # fmt: skip
    await acked(*said)
    tables = (
        Boot, Heartbeat, DevicePresence, PresenceChange, JournalRecord, Readiness, Fault, Refusal,
        CommandResult, RenewalRequest,
    )  # fmt: skip
    assert [await count(engine, table) for table in tables] == [1] * len(tables)
    assert await letters(engine) == []
    assert [message.acked for message in said] == [1] * len(said)


LETTERS = (
    RejectReason.MALFORMED,
    RejectReason.UNKNOWN_DEVICE,
    RejectReason.RETAINED,
    RejectReason.KIND,
    RejectReason.TOO_LARGE,
    RejectReason.TOPIC,
)


async def test_what_cannot_be_taken_is_kept_with_its_reason_and_stops_nobody(
    engine: AsyncEngine, inbox: Inbox, acked: Acked
) -> None:
    said = [
        inbox.put("A", "heartbeat", b"\xff\xfe"),
        inbox.put("nobody", "heartbeat", beat()),
        inbox.put("A", "heartbeat", beat(), retain=True),
        inbox.put("A", "gossip", b"{}"),
        inbox.put("A", "heartbeat", b"x" * 1_000_000),
        inbox.put_raw(f"{PREFIX}/device/A/state/config", b"{}"),
        inbox.put("A", "heartbeat", beat()),
    ]
    before = [dead_letters.LETTERS.labels(why.value)._value.get() for why in LETTERS]
    await acked(*said)
    after = [dead_letters.LETTERS.labels(why.value)._value.get() for why in LETTERS]
    assert [b - a for a, b in zip(before, after, strict=True)] == [1] * len(LETTERS)
    found = await letters(engine)
    assert [(letter.device_code, letter.size_bytes) for letter in found] == [
        ("A", 2), ("nobody", len(said[1].payload)), ("A", len(said[2].payload)), ("A", 2),
        ("A", 1_000_000), (None, 2),
    ]  # fmt: skip
    assert all(letter.reason for letter in found)
    assert await count(engine, Heartbeat) == 1


async def test_heartbeat_from_the_future_counts_now_and_opens_a_fault(
    engine: AsyncEngine, inbox: Inbox, acked: Acked
) -> None:
    future = msgspec.structs.replace(beat(), sent_at=clock.now() + timedelta(days=365))
    await acked(inbox.put("A", "heartbeat", future))
    async with db.transaction(engine) as session:
        state = (await session.scalars(sa.select(DevicePresence))).one()
        fault = (await session.scalars(sa.select(Fault))).one()
    assert abs(state.last_seen_at - clock.now()) < timedelta(seconds=30)
    assert (fault.kind, fault.closed_at) == ("clock_wrong", None)


async def test_poison_is_found_by_itself_and_the_batch_is_stored(
    engine: AsyncEngine, inbox: Inbox, acked: Acked
) -> None:
    async with db.transaction(engine) as session:
        await session.execute(sa.text("ALTER TABLE command_results ADD CHECK (result <> 'done')"))
    poison = events.CommandResult(sent_at=clock.now(), command_id="c", result="done")
    said = [inbox.put("A", "heartbeat", beat(seq)) for seq in range(1, 21)]
    said.insert(7, inbox.put("B", "command_result", poison))
    await acked(*said)
    (letter,) = await letters(engine)
    assert letter.device_code == "B"
    assert "command_results" in letter.reason
    assert await count(engine, Heartbeat) == 20


@pytest.mark.parametrize("sent_at", ["0001-01-01T00:00:00+14:00", "9999-12-30T23:59:59-23:59"])
async def test_time_that_no_database_holds_is_that_of_a_clock_that_nobody_trusts(
    sent_at: str, engine: AsyncEngine, inbox: Inbox, acked: Acked
) -> None:
    payload = b'{"session":1,"seq":1,"sent_at":"%s","clock":{"trusted":true}}' % sent_at.encode()
    await acked(inbox.put("A", "heartbeat", payload), inbox.put("B", "heartbeat", beat()))
    assert await letters(engine) == []
    async with db.transaction(engine) as session:
        rows = await session.execute(sa.select(Heartbeat.sent_at, Heartbeat.body))
        found = rows.all()
    assert len(found) == 2
    assert all(abs(clock.now() - at) < timedelta(minutes=1) for at, _ in found)
    assert min(body["clock"]["trusted"] for _, body in found) is False


@pytest.mark.parametrize("offset", ["+16:00", "+23:59", "-23:59"])
async def test_offset_that_postgresql_does_not_read_is_a_time_all_the_same(
    offset: str, engine: AsyncEngine, inbox: Inbox, acked: Acked
) -> None:
    shift = timedelta(hours=int(offset[1:3]), minutes=int(offset[4:]))
    local = clock.now() + (shift if offset[0] == "+" else -shift)
    payload = (
        f'{{"session":1,"seq":1,"sent_at":"{local:%Y-%m-%dT%H:%M:%S}{offset}",'
        '"clock":{"trusted":true}}'
    )
    await acked(inbox.put("A", "heartbeat", payload.encode()))
    assert await letters(engine) == []
    async with db.transaction(engine) as session:
        sent_at = await session.scalar(sa.select(Heartbeat.sent_at))
    assert sent_at is not None
    assert abs(sent_at - clock.now()) < timedelta(seconds=30)


async def test_bug_of_ours_buries_the_message_that_wakes_it_and_no_other(
    engine: AsyncEngine, inbox: Inbox, acked: Acked, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = readiness.record

    async def buggy(session: Any, arrivals: Any, received_at: Any) -> None:
        if any(arrival.device_code == "B" for arrival in arrivals):
            raise KeyError("unforeseen")
        await record(session, arrivals, received_at)

    monkeypatch.setattr(readiness, "record", buggy)
    async with db.transaction(engine) as session:
        occurrence_id = await planned(session)
    item = events.Ready(occurrence_id=occurrence_id, bulletin_revision=1, state="ready")
    said = events.Readiness(sent_at=clock.now(), items=[item])
    await acked(*(inbox.put(device, "readiness", said) for device in "ABC"))
    (letter,) = await letters(engine)
    assert (letter.device_code, letter.reason) == ("B", "KeyError: 'unforeseen'")
    assert await count(engine, Readiness) == 2


async def test_nothing_is_acknowledged_or_lost_while_the_database_is_unwell(
    engine: AsyncEngine,
    inbox: Inbox,
    until: Until,
    acked: Acked,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pipeline, "BATCH_SIZE", 100)
    first = inbox.put("A", "heartbeat", beat(1))
    await acked(first)
    async with db.transaction(engine) as session:
        await session.execute(sa.text("ALTER TABLE journal_records RENAME TO away"))
    retries = store.RETRIES._value.get()
    said = [inbox.put("A", "heartbeat", beat(2)), inbox.put("A", "playback", playback(1))]
    await until(lambda: store.RETRIES._value.get() >= retries + 3)
    later = [inbox.put(each, "heartbeat", beat(seq)) for seq in range(1, 900) for each in "BC"]
    await until(lambda: store.RETRIES._value.get() >= retries + 5)
    assert inbox.acked == [first]
    assert inbox.published == []
    assert inbox.waiting >= len(later) - 2 * 100, "more than the next batch was taken"

    async with db.transaction(engine) as session:
        await session.execute(sa.text("ALTER TABLE away RENAME TO journal_records"))
    await acked(*said, *later)
    assert await count(engine, Heartbeat) == 2 + len(later)
    assert await letters(engine) == []


async def test_what_waits_for_the_database_is_counted_once(
    engine: AsyncEngine, inbox: Inbox, until: Until, acked: Acked
) -> None:
    async with db.transaction(engine) as session:
        await session.execute(sa.text("ALTER TABLE dead_letters RENAME TO away"))
    letters_before = dead_letters.LETTERS.labels(RejectReason.MALFORMED.value)._value.get()
    retries = store.RETRIES._value.get()
    said = inbox.put("A", "heartbeat", b"{")
    await until(lambda: store.RETRIES._value.get() >= retries + 3)
    async with db.transaction(engine) as session:
        await session.execute(sa.text("ALTER TABLE away RENAME TO dead_letters"))
    await acked(said)
    assert (
        dead_letters.LETTERS.labels(RejectReason.MALFORMED.value)._value.get()
        == letters_before + 1
    )


async def test_message_that_comes_again_changes_nothing(
    engine: AsyncEngine, inbox: Inbox, acked: Acked
) -> None:
    said = [
        inbox.put("A", "boot", boot()),
        inbox.put("A", "heartbeat", beat()),
        inbox.put("A", "playback", playback(1, 2)),
        inbox.put("A", "fault", events.Fault(sent_at=clock.now(), kind="hot", open=True)),
    ]
    await acked(*said)
    again = [inbox.put_raw(message.topic, message.payload) for message in said * 3]
    await acked(*again)
    counts = [
        await count(engine, t) for t in (Boot, Heartbeat, JournalRecord, PresenceChange, Fault)
    ]
    assert counts == [1, 1, 2, 1, 1]


def acks(inbox: Inbox, keys: Keyring) -> list[int]:
    verifier = Verifier(keys.keys.trusted())
    commands = [verifier.command(payload) for _, payload in inbox.published]
    return [command.upto_seq for command in commands if isinstance(command, JournalAck)]


async def test_journal_is_confirmed_signed_and_only_without_gaps(
    inbox: Inbox, keys: Keyring, until: Until
) -> None:
    for seqs in ((1, 2), (4,), (3,), (3,)):
        inbox.put("A", "playback", playback(*seqs))
        sent = len(inbox.published)
        await until(lambda sent=sent: len(inbox.published) > sent)
    assert acks(inbox, keys) == [2, 2, 4, 4]
    assert {topic for topic, _ in inbox.published} == {f"{PREFIX}/device/A/command/journal_ack"}


async def test_server_restored_from_a_backup_does_not_wait_for_what_was_freed(
    inbox: Inbox, keys: Keyring, until: Until
) -> None:
    inbox.put("A", "playback", playback(151, 152, oldest=151))
    await until(lambda: inbox.published)
    assert acks(inbox, keys) == [152]


async def test_oldest_record_cannot_be_newer_than_one_that_comes_with_it(
    inbox: Inbox, keys: Keyring, until: Until
) -> None:
    """Else records that never came would be confirmed, and the device would free them."""
    for seqs in ((1, 2), (5,)):
        inbox.put("A", "playback", playback(*seqs, oldest=2**53 - 1))
        sent = len(inbox.published)
        await until(lambda sent=sent: len(inbox.published) > sent)
    assert acks(inbox, keys) == [2, 5]


async def test_journal_is_confirmed_after_the_commit(
    engine: AsyncEngine, inbox: Inbox, until: Until
) -> None:
    stored = []

    def look(_topic: str, _payload: bytes) -> None:
        stored.append(asyncio.ensure_future(count(engine, JournalRecord)))

    inbox.on_publish = look
    inbox.put("A", "playback", playback(1, 2, 3))
    await until(lambda: stored)
    assert await stored[0] == 3


@pytest.mark.parametrize("later_first", [True, False])
async def test_record_that_contradicts_a_stored_one_is_a_dead_letter(
    later_first: bool, engine: AsyncEngine, inbox: Inbox, keys: Keyring, until: Until, acked: Acked
) -> None:
    first = playback(1, volume=10)
    await acked(inbox.put("A", "playback", first))
    (stored,) = first.records
    other = msgspec.structs.replace(stored, volume=99)
    again = [other, stored] if later_first else [stored, other]
    await acked(
        *(
            inbox.put("A", "playback", msgspec.structs.replace(first, records=[item]))
            for item in again
        )
    )
    (letter,) = await letters(engine)
    assert "record 1 of journal j" in letter.reason
    assert b"99" in bytes(letter.payload)
    async with db.transaction(engine) as session:
        kept = (await session.scalars(sa.select(JournalRecord))).one()
    assert kept.body["volume"] == 10
    await until(lambda: acks(inbox, keys) == [1, 1])


async def test_time_is_answered_to_who_is_enrolled(
    engine: AsyncEngine, inbox: Inbox, keys: Keyring, until: Until, acked: Acked
) -> None:
    await acked(inbox.put("A", "heartbeat", beat()))
    before = clock.now()
    await acked(
        inbox.put("A", "time_request", events.TimeRequest(token="now")),
        inbox.put("B", "time_request", events.TimeRequest(token="first word")),
        inbox.put("nobody", "time_request", events.TimeRequest(token="x")),
    )
    await until(lambda: len(inbox.published) == 2)
    replies = [Verifier(keys.keys.trusted()).command(payload) for _, payload in inbox.published]
    assert {reply.token for reply in replies if isinstance(reply, TimeReply)} == {
        "now", "first word",
    }  # fmt: skip
    assert all(
        before - timedelta(seconds=1) <= reply.server_at <= clock.now()
        for reply in replies
        if isinstance(reply, TimeReply)
    )
    assert [letter.device_code for letter in await letters(engine)] == ["nobody"]


async def test_order_that_cannot_be_published_is_left_to_the_device(
    inbox: Inbox, keys: Keyring, until: Until, acked: Acked
) -> None:
    inbox.connected = False
    lost = orders.LOST._value.get()
    inbox.put("A", "playback", playback(1))
    await until(lambda: orders.LOST._value.get() > lost)
    inbox.connected = True
    await acked(inbox.put("A", "playback", playback(1)))
    await until(lambda: inbox.published)
    assert acks(inbox, keys) == [1]


async def test_device_that_is_behind_is_handed_the_document_once(
    engine: AsyncEngine, inbox: Inbox, keys: Keyring, until: Until, acked: Acked,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Once the leader's mark has been seen to grow: the database is no restored one."""
    monkeypatch.setattr(desired, "REFRESH_EVERY", timedelta(0))
    read = desired.DesiredDocuments.refresh
    marks: list[int | None] = []

    async def refresh(
        self: desired.DesiredDocuments, session: AsyncSession, now: datetime
    ) -> None:
        await read(self, session, now)
        marks.append(self._mark)

    monkeypatch.setattr(desired.DesiredDocuments, "refresh", refresh)
    published_at = clock.now() - timedelta(minutes=10)
    async with db.transaction(engine) as session:
        session.add_all(published(keys, published_at))
        await mark.advance(session, published_at)
    held = {"device/A/config": 5, "area/21025/programme": 6}
    await acked(inbox.put("A", "heartbeat", beat(1, held={**held, "area/21025/programme": 7})))
    await until(lambda: marks)  # the documents are compared after the acknowledgement
    async with db.transaction(engine) as session:
        await mark.advance(session, published_at)
    await acked(inbox.put("A", "heartbeat", beat(2, held=held)))
    await until(lambda: inbox.published)
    await acked(inbox.put("A", "heartbeat", beat(3, held=held)))
    ((topic, payload),) = inbox.published
    assert topic == f"{PREFIX}/device/A/command/resend"
    verifier = Verifier(keys.keys.trusted())
    command = verifier.command(payload)
    assert isinstance(command, Resend)
    document = verifier.document(command.document.encode())
    assert (document.scope, document.revision) == ("area/21025", 7)


def published(keys: Keyring, at: datetime) -> list[Document]:
    """A follows area 21025."""
    common: dict[str, Any] = {"issued_at": at, "not_after": at + timedelta(days=7)}
    config = Config(scope="device/A", revision=5, areas=["21025"], keys=[], **common)
    programme = Programme(scope="area/21025", revision=7, items=[], **common)
    return [
        Document(
            scope=document.scope, kind=kind, revision=document.revision,
            token=keys.keys.programme.sign(document), published_revision=document.revision,
            published_at=at, **common,
        )
        for kind, document in (("config", config), ("programme", programme))
    ]  # fmt: skip


async def test_trouble_with_documents_does_not_touch_what_was_stored(
    engine: AsyncEngine, inbox: Inbox, keys: Keyring, acked: Acked
) -> None:
    at = clock.now() - timedelta(minutes=10)
    config, _ = published(keys, at)
    config.token = b"no.token"
    async with db.transaction(engine) as session:
        session.add(config)
    await acked(*(inbox.put("A", "heartbeat", beat(seq)) for seq in (1, 2)))
    assert await count(engine, Heartbeat) == 2
    assert await letters(engine) == []


async def spans(engine: AsyncEngine) -> list[ListeningSpan]:
    async with db.transaction(engine) as session:
        return list(
            await session.scalars(sa.select(ListeningSpan).order_by(ListeningSpan.started_at))
        )


async def wait_for_spans(
    engine: AsyncEngine, enough: Callable[[list[ListeningSpan]], object]
) -> list[ListeningSpan]:
    async with asyncio.timeout(60):
        while not enough(found := await spans(engine)):  # noqa: ASYNC110 — a database tells none
            await asyncio.sleep(0.02)
    return found


async def test_listening_is_noted_while_the_link_stands_also_in_silence(
    engine: AsyncEngine, running: asyncio.Task[None], inbox: Inbox
) -> None:
    (first,) = await wait_for_spans(engine, len)
    await wait_for_spans(engine, lambda found: found[0].until > first.until)
    inbox.connected = False
    until = first.until
    async with asyncio.timeout(HANG_SECONDS):
        while (found := await spans(engine))[0].until > until:
            until = found[0].until
            await asyncio.sleep(0.2)
    assert len(found) == 1

    inbox.connected, inbox.connection = True, 2
    await wait_for_spans(engine, lambda found: len(found) == 2)


async def test_what_waited_at_the_broker_is_dated_by_the_device(
    engine: AsyncEngine, inbox: Inbox, acked: Acked
) -> None:
    sent_at = clock.now() - timedelta(minutes=20)
    waited = msgspec.structs.replace(beat(), sent_at=sent_at)
    await acked(inbox.put("A", "heartbeat", waited))
    await wait_for_spans(engine, len)
    slow = msgspec.structs.replace(beat(), sent_at=sent_at)
    await acked(inbox.put("B", "heartbeat", slow))
    async with db.transaction(engine) as session:
        seen = list(
            await session.scalars(
                sa.select(DevicePresence.last_seen_at).order_by(DevicePresence.device_id)
            )
        )
    assert seen[0] == sent_at
    assert clock.now() - seen[1] < timedelta(minutes=1)


async def test_a_device_that_floods_is_held_to_a_share_and_named(
    engine: AsyncEngine, inbox: Inbox, acked: Acked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "BURST", 50)
    held_up = decode.THROTTLED.labels("heartbeat")._value.get()
    flood = [inbox.put("A", "heartbeat", beat(seq)) for seq in range(1, 500)]
    honest = [inbox.put("B", "heartbeat", beat(seq)) for seq in range(1, 20)]
    proof = inbox.put("A", "playback", playback(1))
    await acked(*flood, *honest, proof)
    async with db.transaction(engine) as session:
        fault = (await session.scalars(sa.select(Fault))).one()
    assert (fault.device_id, fault.kind, fault.closed_at) == (1, "flooding", None)
    assert 50 <= await count(engine, Heartbeat) - len(honest) < 80
    assert decode.THROTTLED.labels("heartbeat")._value.get() - held_up > 400
    assert await count(engine, JournalRecord) == 1
    assert all(message.acked == 1 for message in flood)


async def test_a_flood_that_nobody_counts_any_more_is_over(
    engine: AsyncEngine, inbox: Inbox, acked: Acked, devices: list[Device]
) -> None:
    async with db.transaction(engine) as session:
        session.add(
            Fault(device_id=devices[0].id, kind="flooding", opened_at=clock.now(), closed_at=None)
        )
    await acked(inbox.put("A", "heartbeat", beat()))
    async with db.transaction(engine) as session:
        assert (await session.scalars(sa.select(Fault))).one().closed_at is not None


async def test_message_of_which_no_dead_letter_can_be_stored_ends_nothing(
    engine: AsyncEngine, inbox: Inbox, acked: Acked, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = dead_letters.keep

    async def picky(session: Any, found: Any, *rest: Any) -> None:
        if any(letter.device_code == "B" for letter in found):
            raise KeyError("unforeseen")
        await keep(session, found, *rest)

    monkeypatch.setattr(dead_letters, "keep", picky)
    lost = store.LOST._value.get()
    await acked(*(inbox.put(device, "readiness", b"{}") for device in "ABC"))
    assert store.LOST._value.get() == lost + 1
    assert [letter.device_code for letter in await letters(engine)] == ["A", "C"]
    await acked(inbox.put("B", "heartbeat", beat(1)))
    assert await count(engine, Heartbeat) == 1


async def test_message_that_wakes_a_bug_of_the_reader_is_a_dead_letter(
    engine: AsyncEngine, inbox: Inbox, acked: Acked, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode_event = Decoder._arrival

    def buggy(self: Decoder, code: str, *rest: Any) -> Any:
        if code == "B":
            raise RecursionError("unforeseen")
        return decode_event(self, code, *rest)

    monkeypatch.setattr(Decoder, "_arrival", buggy)
    await acked(*(inbox.put(device, "heartbeat", beat(1)) for device in "ABC"))
    (letter,) = await letters(engine)
    assert (letter.device_code, "unforeseen" in letter.reason) == ("B", True)
    assert await count(engine, Heartbeat) == 2


async def test_order_that_cannot_be_said_ends_no_other(
    inbox: Inbox, keys: Keyring, until: Until, acked: Acked, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsayable(*_: object) -> Any:
        raise ValueError("a document of nine megabytes")

    with monkeypatch.context() as patch:
        patch.setattr(orders, "JournalAck", unsayable)
        lost = orders.LOST._value.get()
        inbox.put("A", "playback", playback(1))
        await until(lambda: orders.LOST._value.get() > lost)
    await acked(inbox.put("A", "playback", playback(1)))
    await until(lambda: inbox.published)
    assert acks(inbox, keys) == [1]

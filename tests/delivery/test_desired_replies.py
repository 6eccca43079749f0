"""What devices should hold, and commands on their way to them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.delivery import replies
from broadcast.delivery.desired import SAME_AGAIN_AFTER, TIME_TO_REPORT, DesiredDocuments, tokens
from broadcast.delivery.replies import ReplyQueue
from broadcast.kit.errors import Unavailable
from broadcast.programmes.model import Document
from broadcast.restore import mark, state
from broadcast.restore.model import Cause, DatabaseMark
from broadcast.wire.commands import JournalAck, Resend, TimeReply
from broadcast.wire.documents import Config, Programme
from broadcast.wire.envelope import SigningKey, Verifier
from tests.keys.memory import keyring

NOW = datetime(2025, 7, 1, 1, tzinfo=UTC)
KEY, ALERT = SigningKey.generate("programme"), SigningKey.generate("alert")
LATER = NOW + TIME_TO_REPORT
YEAR = timedelta(days=365)


def document(
    scope: str, kind: str, revision: int, *, areas: list[str] | None = None, published: bool = True
) -> Document:
    content: Config | Programme
    if kind == "config":
        content = Config(
            scope=scope, revision=revision, issued_at=NOW, not_after=NOW + YEAR,
            areas=areas or [], keys=[],
        )  # fmt: skip
    else:
        content = Programme(
            scope=scope, revision=revision, issued_at=NOW, not_after=NOW + YEAR, items=[]
        )
    return Document(
        scope=scope, kind=kind, revision=revision, token=KEY.sign(content),
        issued_at=NOW, not_after=NOW + YEAR, published_revision=revision if published else 0,
        published_at=NOW if published else None,
    )  # fmt: skip


@pytest.fixture
async def desired(session: AsyncSession) -> DesiredDocuments:
    """A follows area 21025; only its own config and the area's programme are published."""
    session.add_all([
        document("device/A", "config", 5, areas=["21025"]),
        document("area/21025", "programme", 7),
        document("area/21025", "alerts", 3, published=False),
        document("area/21034", "programme", 9),
    ])  # fmt: skip
    await session.flush()
    desired = DesiredDocuments()
    assert desired.is_due(NOW)
    await mark.advance(session, NOW)
    await desired.refresh(session, NOW)
    assert not desired.is_due(NOW)
    await mark.advance(session, NOW)
    await desired.refresh(session, NOW)
    return desired


@pytest.mark.parametrize(
    ("held", "missing"),
    [
        ({"device/A/config": 5, "area/21025/programme": 7}, []),
        ({"device/A/config": 6, "area/21025/programme": 8}, []),
        ({"device/A/config": 5, "area/21025/programme": 6}, ["area/21025/programme"]),
        ({"area/21034/programme": 1}, ["device/A/config", "area/21025/programme"]),
    ],
)
async def test_device_misses_what_it_follows_and_holds_in_an_older_revision(
    desired: DesiredDocuments, held: dict[str, int], missing: list[str]
) -> None:
    assert desired.missing("A", held, LATER) == missing


async def test_what_was_just_published_is_still_on_its_way(desired: DesiredDocuments) -> None:
    assert desired.missing("A", {}, LATER - timedelta(seconds=1)) == []


async def test_what_has_lapsed_is_missed_by_nobody(desired: DesiredDocuments) -> None:
    held = {"device/A/config": 5}
    last = NOW + YEAR - timedelta(seconds=1)
    assert desired.missing("A", held, last) == ["area/21025/programme"]
    assert desired.missing("A", held, NOW + YEAR) == []


async def test_unknown_device_misses_nothing(desired: DesiredDocuments) -> None:
    assert desired.missing("B", {}, LATER) == []


async def test_document_is_sent_again_once_until_it_changes(
    desired: DesiredDocuments, session: AsyncSession
) -> None:
    held = {"device/A/config": 5}
    desired.sent("A", ["area/21025/programme"], LATER)
    assert desired.missing("A", held, LATER + timedelta(minutes=1)) == []
    newer = await session.get_one(Document, ("area/21025", "programme"))
    newer.revision = newer.published_revision = 8
    newer.published_at = LATER
    await session.flush()
    await desired.refresh(session, LATER)
    assert desired.missing("A", held, LATER + TIME_TO_REPORT) == ["area/21025/programme"]
    await desired.refresh(session, LATER + SAME_AGAIN_AFTER)
    assert desired.missing("A", held, LATER + SAME_AGAIN_AFTER) == ["area/21025/programme"]


async def test_nothing_is_sent_again_before_the_mark_has_grown(session: AsyncSession) -> None:
    session.add_all([
        document("device/A", "config", 5, areas=["21025"]), document("area/21025", "programme", 7),
    ])  # fmt: skip
    await session.flush()
    desired = DesiredDocuments()
    for _ in range(2):
        await desired.refresh(session, NOW)
        assert desired.missing("A", {}, LATER) == []
    await mark.advance(session, NOW)
    for _ in range(2):
        await desired.refresh(session, NOW)
        assert desired.missing("A", {}, LATER) == []
    await mark.advance(session, NOW)
    await desired.refresh(session, NOW)
    assert len(desired.missing("A", {}, LATER)) == 2


async def test_a_database_that_was_set_back_is_believed_no_more(
    desired: DesiredDocuments, session: AsyncSession
) -> None:
    assert desired.missing("A", {}, LATER) != []
    row = await session.get_one(DatabaseMark, 1, populate_existing=True)
    row.number = 1
    await session.flush()
    await desired.refresh(session, NOW)
    assert desired.missing("A", {}, LATER) == []
    await mark.advance(session, NOW)
    await desired.refresh(session, NOW)
    assert desired.missing("A", {}, LATER) != []


async def test_nothing_is_sent_again_while_a_restore_is_open(
    desired: DesiredDocuments, session: AsyncSession
) -> None:
    restore = await state.begin(session, Cause.COMMAND, NOW)
    await desired.refresh(session, NOW)
    assert desired.missing("A", {}, LATER) == []
    restore.accepted_at = NOW
    await session.flush()
    await desired.refresh(session, NOW)
    await mark.advance(session, NOW)
    await desired.refresh(session, NOW)
    assert desired.missing("A", {}, LATER) != []


async def test_tokens_are_those_published(
    session: AsyncSession, desired: DesiredDocuments
) -> None:
    found = await tokens(session, ["area/21025/programme", "device/A/config"])
    verifier = Verifier([KEY.public()])
    assert {key: verifier.document(token).revision for key, token in found.items()} == {
        "area/21025/programme": 7, "device/A/config": 5,
    }  # fmt: skip


class Link:
    def __init__(self, *, away: bool = False) -> None:
        self.away = away
        self.published: list[tuple[str, bytes]] = []
        self.tried = 0

    async def publish(self, topic: str, payload: bytes) -> None:
        self.tried += 1
        if self.away:
            raise Unavailable("away")
        self.published.append((topic, payload))


async def publish_all(queue: ReplyQueue, link: Link, number: int) -> None:
    task = asyncio.create_task(queue.run())
    async with asyncio.timeout(60):
        while link.tried < number:  # noqa: ASYNC110 — the queue tells nobody
            await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_orders_are_signed_for_their_device() -> None:
    link = Link()
    queue = ReplyQueue(link, "ttn/v1", await keyring(KEY, ALERT))
    queue.reply_time("A", "token-1")
    queue.confirm_journal("B", "j", 12)
    queue.resend("C", document("device/C", "config", 1).token)
    await publish_all(queue, link, 3)
    assert [topic for topic, _ in link.published] == [
        "ttn/v1/device/A/command/time_reply",
        "ttn/v1/device/B/command/journal_ack",
        "ttn/v1/device/C/command/resend",
    ]
    reply, ack, resend = [Verifier([KEY.public()]).command(p) for _, p in link.published]
    assert isinstance(reply, TimeReply)
    assert (reply.scope, reply.token) == ("device/A", "token-1")
    assert isinstance(ack, JournalAck)
    assert (ack.scope, ack.journal_id, ack.upto_seq) == ("device/B", "j", 12)
    assert isinstance(resend, Resend)
    assert Verifier([KEY.public()]).document(resend.document.encode()).scope == "device/C"


async def test_order_that_cannot_be_published_is_dropped_and_counted() -> None:
    link = Link(away=True)
    queue = ReplyQueue(link, "ttn/v1", await keyring(KEY, ALERT))
    lost = replies.LOST._value.get()
    queue.reply_time("A", "x")
    queue.reply_time("B", "y")
    await publish_all(queue, link, 2)
    assert replies.LOST._value.get() == lost + 2


async def test_queue_of_orders_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "AT_MOST", 2)
    link = Link()
    queue = ReplyQueue(link, "ttn/v1", await keyring(KEY, ALERT))
    for number in range(5):
        queue.reply_time("A", str(number))
    await publish_all(queue, link, 2)
    assert len(link.published) == 2

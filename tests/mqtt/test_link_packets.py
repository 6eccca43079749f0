"""The link packet by packet, against a peer that says what the test tells it to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from broadcast.config import Mqtt
from broadcast.kit.errors import Unavailable
from broadcast.mqtt import inbox
from broadcast.mqtt import link as link_module
from broadcast.mqtt.link import Link
from broadcast.mqtt.packets import Message
from tests.mqtt.links import connected
from tests.waiting import HANG_SECONDS

CONNECT, PUBLISH, PUBACK, SUBSCRIBE, DISCONNECT = 0x10, 0x30, 0x40, 0x80, 0xE0
ACCEPTED, NOT_AUTHORISED = b"\x20\x02\x00\x00", b"\x20\x02\x00\x05"


class Connection:
    """The broker's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def say(self, packet: bytes) -> None:
        self._writer.write(packet)

    async def hear(self) -> tuple[int, bytes]:
        """Type and body of the next packet; in these tests all are short."""
        async with asyncio.timeout(60):
            kind, length = await self._reader.readexactly(2)
            return kind & 0xF0, await self._reader.readexactly(length)

    async def accept(self) -> None:
        assert (await self.hear())[0] == CONNECT
        self.say(ACCEPTED)

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


class Peer:
    """A listening socket; each test plays the broker on its connections."""

    def __init__(self) -> None:
        self.settings = Mqtt(host="127.0.0.1", inflight=2)
        self._arrived: asyncio.Queue[Connection] = asyncio.Queue()
        self._all: list[Connection] = []

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._all.append(Connection(reader, writer))
        self._arrived.put_nowait(self._all[-1])

    async def connection(self) -> Connection:
        async with asyncio.timeout(60):
            return await self._arrived.get()

    async def close(self) -> None:
        for connection in self._all:
            await connection.close()


@pytest.fixture
async def peer(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Peer]:
    monkeypatch.setattr(link_module, "FIRST_RETRY", 0.01)
    monkeypatch.setattr(link_module, "LONGEST_RETRY", 0.02)
    peer = Peer()
    server = await asyncio.start_server(peer.meet, "127.0.0.1", 0)
    peer.settings.port = server.sockets[0].getsockname()[1]
    yield peer
    server.close()
    await peer.close()


async def take(link: Link, count: int) -> list[Message]:
    taken: list[Message] = []
    async with asyncio.timeout(60):
        while len(taken) < count:
            taken += await link.receive()
    return taken


def publish(mid: int, topic: bytes = b"t", payload: bytes = b"x") -> bytes:
    """A QoS 1 PUBLISH."""
    body = len(topic).to_bytes(2) + topic + mid.to_bytes(2) + payload
    return bytes([PUBLISH | 2, len(body)]) + body


async def test_a_message_is_acknowledged_when_its_consumer_says_so_and_once(peer: Peer) -> None:
    async with Link(peer.settings) as link:
        broker = await peer.connection()
        await broker.accept()
        broker.say(publish(1) + publish(2))
        first, second = await take(link, 2)
        second.ack()
        second.ack()
        first.ack()
        assert [await broker.hear() for _ in range(2)] == [
            (PUBACK, b"\x00\x02"),
            (PUBACK, b"\x00\x01"),
        ]


async def test_a_message_of_a_broken_connection_is_not_acknowledged_on_the_next(
    peer: Peer,
) -> None:
    async with Link(peer.settings) as link:
        broker = await peer.connection()
        await broker.accept()
        broker.say(publish(1, payload=b"old"))
        (old,) = await take(link, 1)
        await broker.close()
        broker = await peer.connection()
        old.ack()
        await broker.accept()
        broker.say(publish(1, payload=b"new") + publish(2))
        await take(link, 2)
        old.ack()
        await link.publish("a", b"", qos=0)
        # Nothing comes before this message: neither acknowledgement has named the new one's id.
        assert await broker.hear() == (PUBLISH, b"\x00\x01a")


async def test_what_was_on_its_way_when_the_link_broke_is_not_sent_again(peer: Peer) -> None:
    async with Link(peer.settings) as link:
        broker = await peer.connection()
        await broker.accept()
        await connected(link)
        sending = asyncio.create_task(link.publish("a", b"refused"))
        assert (await broker.hear())[0] == PUBLISH
        await broker.close()
        with pytest.raises(Unavailable):
            await sending
        broker = await peer.connection()
        await broker.accept()
        await connected(link)
        await link.publish("a", b"fresh", qos=0)
        assert await broker.hear() == (PUBLISH, b"\x00\x01afresh")


async def test_nothing_is_published_before_the_broker_has_accepted_us(peer: Peer) -> None:
    async with Link(peer.settings) as link:
        broker = await peer.connection()
        assert (await broker.hear())[0] == CONNECT
        with pytest.raises(Unavailable):
            await link.publish("a", b"early")
        broker.say(ACCEPTED)
        await connected(link)
        await link.publish("a", b"fresh", qos=0)
        assert await broker.hear() == (PUBLISH, b"\x00\x01afresh")


async def test_an_unconfirmed_message_holds_its_slot_after_its_sender_gave_up(
    peer: Peer,
) -> None:
    async with Link(peer.settings) as link:
        broker = await peer.connection()
        await broker.accept()
        await connected(link)
        for _ in range(peer.settings.inflight):
            with pytest.raises(Unavailable, match="không xác nhận"):
                await link.publish("a", b"on its way", timeout=0.01)
        first, _ = await broker.hear(), await broker.hear()
        waiting = asyncio.create_task(link.publish("b", b""))
        await asyncio.sleep(0.05)
        broker.say(bytes([PUBACK, 2]) + first[1][3:5])
        # Only the confirmation let it out.
        kind, body = await broker.hear()
        assert (kind, body[:3]) == (PUBLISH, b"\x00\x01b")
        broker.say(bytes([PUBACK, 2]) + body[3:5])
        await waiting


async def test_a_topic_that_is_not_text_does_not_stop_the_stream(peer: Peer) -> None:
    async with Link(peer.settings) as link:
        broker = await peer.connection()
        await broker.accept()
        broker.say(publish(1, topic=b"\xff") + publish(2, payload=b"good"))
        (message,) = await take(link, 1)
        assert message.payload == b"good"
        assert await broker.hear() == (PUBACK, b"\x00\x01")


async def test_a_refused_link_is_tried_again(peer: Peer) -> None:
    async with Link(peer.settings) as link:
        broker = await peer.connection()
        await broker.hear()
        broker.say(NOT_AUTHORISED)
        await (await peer.connection()).accept()
        await connected(link)


async def test_a_link_that_may_not_subscribe_does_not_stand(peer: Peer) -> None:
    async with Link(peer.settings, subscriptions=[("ok", 1), ("secret", 1)]) as link:
        broker = await peer.connection()
        await broker.accept()
        kind, body = await broker.hear()
        assert kind == SUBSCRIBE
        broker.say(bytes([0x90, 4]) + body[:2] + b"\x01\x80")
        assert (await broker.hear())[0] == DISCONNECT
        assert not link.connected


async def test_the_trouble_of_a_silent_broker_names_its_address(peer: Peer) -> None:
    async with Link(peer.settings) as link:
        with pytest.raises(TimeoutError):
            await connected(link, 0.05)
        assert str(peer.settings.port) in link.trouble


async def test_reading_stops_while_the_consumer_is_behind(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "QUEUE_SIZE", 10)
    async with Link(peer.settings) as link:
        broker = await peer.connection()
        await broker.accept()
        broker.say(b"".join(publish(mid) for mid in range(1, 61)))
        taken = 0
        while taken < 60:
            async with asyncio.timeout(60):
                taken += len(await link.receive(7))
            await asyncio.sleep(0)
            assert len(link._inbox) <= 10


async def test_closing_does_not_wait_for_a_broker_that_reads_nothing(peer: Peer) -> None:
    async with Link(peer.settings) as link:
        broker = await peer.connection()
        await broker.accept()
        await connected(link)
        with pytest.raises(Unavailable):
            await link.publish("a", bytes(20_000_000), timeout=0.05)
        unconfirmed = asyncio.create_task(link.publish("b", b""))
        await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await unconfirmed


async def test_a_link_that_is_to_be_made_anew_says_farewell_and_comes_back(peer: Peer) -> None:
    async with Link(peer.settings) as link:
        broker = await peer.connection()
        await broker.accept()
        await connected(link)
        waiting = asyncio.create_task(link.receive())
        await asyncio.sleep(0.05)
        assert 0 < link.idle_seconds < HANG_SECONDS
        link.renew()
        assert (await broker.hear())[0] == DISCONNECT
        broker = await peer.connection()
        await broker.accept()
        broker.say(publish(1))
        assert len(await waiting) == 1
        assert link.idle_seconds == 0

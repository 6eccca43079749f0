"""The link of a simulated box tells truly when what it sends has left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from device_sim.effects import Publish
from device_sim.link import Access, Link

CONNACK = b"\x20\x02\x00\x00"


class Peer:
    """A broker that accepts everybody and keeps what it is sent."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self.up = asyncio.Event()
        self.done = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(CONNACK)
        with suppress(ConnectionError):
            while block := await reader.read(4096):
                self.heard += block
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        self.done.set()

    def link_up(self) -> None:
        self.up.set()

    def link_down(self) -> None:
        pass

    def link_message(self, topic: str, payload: bytes) -> None:
        pass


@asynccontextmanager
async def connected(peer: Peer) -> AsyncIterator[Link]:
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    link = Link(peer, "QN-1", Access(server.sockets[0].getsockname(), "ttn/v1"))
    link.open(Publish("device/QN-1/event/gone", b"{}"))
    async with asyncio.timeout(60):
        await peer.up.wait()
        yield link
        link.close()
        await peer.done.wait()
    server.close()
    await server.wait_closed()


async def test_a_message_has_left_when_its_bytes_have() -> None:
    peer = Peer()
    async with connected(peer) as link:
        left = asyncio.Event()
        link.publish("device/QN-1/event/heartbeat", b"here", 0, left.set)
        # This process is busy: nothing has been written yet, whatever the client was told.
        assert not left.is_set()
        assert b"here" not in peer.heard
        await left.wait()
    assert b"here" in peer.heard


async def test_what_a_broken_connection_took_along_has_not_left() -> None:
    peer = Peer()
    left: list[str] = []
    async with connected(peer) as link:
        link.publish("device/QN-1/event/heartbeat", b"lost", 0, lambda: left.append("lost"))
        link.cut()
    assert left == []
    assert b"lost" not in peer.heard

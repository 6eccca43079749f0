"""The line between our servers and the broker, to be cut at will."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from threading import Event, Thread

READ_BYTES = 1 << 16


class Uplink:
    """A TCP relay on loopback in a thread of its own; also a context manager.

    Attributes:
        port: Where it listens.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._broker_port = port
        self._listener = socket.create_server((host, 0))
        self.port: int = self._listener.getsockname()[1]
        self._broken = False
        self._lines: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._ready = Event()
        self._thread = Thread(target=self._run, name="uplink", daemon=True)

    def __enter__(self) -> Uplink:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def cut(self) -> None:
        """Break all connections, and refuse new ones until it is mended."""
        self._loop.call_soon_threadsafe(self._set, True)

    def stall(self) -> None:
        """Let nothing pass, and tell nobody, until it is mended."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def mend(self) -> None:
        """Let everything through again."""
        self._loop.call_soon_threadsafe(self._set, False)
        self._loop.call_soon_threadsafe(self._flowing.set)

    def _set(self, broken: bool) -> None:
        self._broken = broken
        if broken:
            for writer in list(self._lines):
                writer.transport.abort()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._relay, sock=self._listener)
        self._ready.set()
        await self._stop.wait()
        server.close()
        self._set(True)
        await asyncio.sleep(0.1)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._broken:
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection(self._host, self._broker_port)
        except OSError:
            writer.transport.abort()
            return
        lines = {writer, back}
        self._lines |= lines
        self._set(self._broken)  # it may have been cut meanwhile
        pumps = [
            asyncio.create_task(self._pump(reader, back)),
            asyncio.create_task(self._pump(there, writer)),
        ]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        self._lines -= lines
        for pump in pumps:
            pump.cancel()
        for line in lines:
            line.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(READ_BYTES):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()

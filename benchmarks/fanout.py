"""A changed programme, from its commit to the last of 1,000 devices, against a bare publish."""

from __future__ import annotations

import asyncio
import selectors
import socket
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from statistics import median

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.result import Result, Skipped
from broadcast import config
from broadcast.demo.api import Api
from broadcast.demo.seed import Seeded, seed
from broadcast.demo.world import World
from broadcast.embedded.broker import Broker, mosquitto
from broadcast.kit import clock, db

DEVICES = 1000
RUNS = 3
TOPIC = "ttn/v1/area/51/state/programme"
PATIENCE = 20.0


class Subscribers:
    """Connections that follow one topic and notice when something has come."""

    def __init__(self, broker: Broker) -> None:
        self._selector = selectors.DefaultSelector()
        for number in range(DEVICES):
            connection = socket.create_connection((broker.host, broker.port))
            name = f"bench-{number:04}".encode()
            connection.sendall(_packet(0x10, b"\0\4MQTT\4\2\0\0" + _text(name)))
            connection.sendall(_packet(0x82, b"\0\1" + _text(TOPIC.encode()) + b"\0"))
            self._selector.register(connection, selectors.EVENT_READ)
        self.drain(1.0)

    def drain(self, quiet: float) -> None:
        """Read away what comes until nothing does."""
        while ready := self._selector.select(quiet):
            for key, _ in ready:
                key.fileobj.recv(1 << 16)  # type: ignore[union-attr]

    def all_told(self) -> float:
        """Moment at which the last of them had received something."""
        waiting = {key.fd for key in self._selector.get_map().values()}
        deadline = time.perf_counter() + PATIENCE
        while waiting:
            if time.perf_counter() > deadline:
                raise TimeoutError(f"{len(waiting)} of {DEVICES} subscribers got nothing")
            for key, _ in self._selector.select(1):
                key.fileobj.recv(1 << 16)  # type: ignore[union-attr]
                waiting.discard(key.fd)
        return time.perf_counter()


def run() -> list[Result]:
    """Seconds, medians of three."""
    if mosquitto() is None:
        raise Skipped("mosquitto is not on PATH; apt install mosquitto")
    with tempfile.TemporaryDirectory() as folder, World(Path(folder), "mosquitto") as world:
        settings = world.configure({"quiet_hours": "[]"})
        asyncio.run(db.migrate(world.postgres.dsn))
        seeded = asyncio.run(_seed(settings))
        world.start_server()
        subscribers = Subscribers(world.broker)
        ours, size = asyncio.run(_changes(world, seeded, subscribers))
        bare = [_publish(world.broker, subscribers, bytes(size)) for _ in range(RUNS)]
    return [Result("fanout_1000", median(ours), median(bare), "s", "≤ 2")]


async def _seed(settings: config.Settings) -> Seeded:
    engine = db.create_engine(settings.postgres)
    try:
        return await seed(engine, settings, 10, clock.now())
    finally:
        await engine.dispose()


async def _changes(
    world: World, seeded: Seeded, subscribers: Subscribers
) -> tuple[list[float], int]:
    seconds = []
    async with Api(world.url, seeded.broadcaster, seeded.approver) as api:
        bulletin = await api.approved_bulletin("Đo", "Thông báo thử.", "51", "priority")
        for run in range(RUNS + 1):
            at = clock.now() + timedelta(hours=1 + run)
            await api.schedule(bulletin, [{"area": "51"}], at)
            committed = time.perf_counter()
            told = await asyncio.to_thread(subscribers.all_told)
            subscribers.drain(0.5)
            seconds.append(told - committed)
    # The first one also carries the audio to the broker.
    return seconds[1:], 1600


def _publish(broker: Broker, subscribers: Subscribers, payload: bytes) -> float:
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.connect(broker.host, broker.port)
    client.loop_start()
    began = time.perf_counter()
    client.publish(TOPIC, payload, qos=1, retain=True).wait_for_publish(PATIENCE)
    told = subscribers.all_told()
    client.loop_stop()
    client.disconnect()
    subscribers.drain(0.2)
    return told - began


def _text(value: bytes) -> bytes:
    return len(value).to_bytes(2, "big") + value


def _packet(kind: int, body: bytes) -> bytes:
    assert len(body) < 128
    return bytes([kind, len(body)]) + body

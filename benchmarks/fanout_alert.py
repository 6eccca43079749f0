"""An emergency, from the POST that authorises it to the last of 5,000 devices, and to its sound.

The whole province: 96 communes and 5,000 installed devices in the register, and as many
connections that follow its document of alerts. Two people over REST; the text is fresh, so that
its sound travels in the document.

* `fanout_alert_5000`: seconds from the second person's POST until the last connection has the
  whole signed document, against a bare publish of the same bytes by a client that does nothing
  else, right afterwards; the run whose ratio is the median;
* `alert_to_sound`: seconds from the arrival of that very document at the reference player, with
  that device's config as the server issued it, until it sounds; the player's time is simulated.
"""

from __future__ import annotations

import asyncio
import selectors
import socket
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import sqlalchemy as sa

from benchmarks import province
from benchmarks.harness import packets
from benchmarks.harness.system import allow_connections
from benchmarks.result import Result, Skipped, median_pair
from broadcast import config
from broadcast.areas.model import Area, Level
from broadcast.auth.permissions import Role
from broadcast.demo.api import Api
from broadcast.demo.people import Doors, seed_people
from broadcast.demo.world import World
from broadcast.embedded.broker import Broker, mosquitto
from broadcast.keys.keyring import first_keys
from broadcast.kit import clock, db
from broadcast.wire.documents import PublicKey
from device_sim.box import Identity
from device_sim.harness import Device, Harness
from device_sim.journal import Flash

DEVICES = 5000
RUNS = 3
CODE = "loa-00001"
"""A device whose config is read; of those with telemetry."""
PREFIX = "ttn/v1/"
TOPIC = f"{PREFIX}area/51/state/alerts"
PATIENCE = 60.0
TEXT = "Hồ Nước Trong đang xả lũ. Bà con ven sông di chuyển ngay lên chỗ cao."


class Followers:
    """Connections that follow one topic; each counts what has come whole."""

    def __init__(self, broker: Broker) -> None:
        self._selector = selectors.DefaultSelector()
        self._rest: dict[int, bytearray] = {}
        for number in range(DEVICES):
            connection = socket.create_connection((broker.host, broker.port))
            connection.sendall(packets.connect(f"follower-{number:05}"))
            connection.sendall(packets.subscribe([TOPIC]))
            self._selector.register(connection, selectors.EVENT_READ)
            self._rest[connection.fileno()] = bytearray()
        self._drain()

    def _drain(self) -> None:
        """Read away the answers to all that was sent."""
        answered = 0
        while answered < 2 * DEVICES:
            for key, _ in self._selector.select(PATIENCE):
                answered += len(self._read(key))

    def _read(self, key: selectors.SelectorKey) -> list[int]:
        """First bytes of the packets that are whole now."""
        rest = self._rest[key.fd]
        came = key.fileobj.recv(1 << 18)  # type: ignore[union-attr]
        if not came:
            raise ConnectionError("the broker has ended a connection")
        rest += came
        found, left = packets.split(bytes(rest)) if _is_whole(rest) else ([], None)
        if left is not None:
            self._rest[key.fd] = bytearray(left)
        return [kind for kind, _ in found]

    def all_have_it(self) -> float:
        """Moment (`perf_counter`) at which the last of them had a whole document."""
        waiting = {key.fd for key in self._selector.get_map().values()}
        deadline = time.perf_counter() + PATIENCE
        while waiting:
            if time.perf_counter() > deadline:
                raise TimeoutError(f"{len(waiting)} of {DEVICES} have no document")
            for key, _ in self._selector.select(1):
                if any(kind & 0xF0 == packets.TO_US for kind in self._read(key)):
                    waiting.discard(key.fd)
        return time.perf_counter()


def _is_whole(came: bytearray) -> bool:
    """Tell whether a packet is complete, without copying it."""
    size = shift = 0
    for at in range(1, min(len(came), 5)):
        size |= (came[at] & 0x7F) << shift
        shift += 7
        if came[at] < 0x80:
            return len(came) > at + size
    return False


def run() -> list[Result]:
    """Seconds."""
    if mosquitto() is None:
        raise Skipped("mosquitto is not on PATH; apt install mosquitto")
    allow_connections(DEVICES)
    with tempfile.TemporaryDirectory() as folder, World(Path(folder), "mosquitto") as world:
        settings = world.configure({"quiet_hours": "[]"})
        doors, keys = asyncio.run(_fill(settings))
        world.start_server()
        asyncio.run(_until_published(settings))
        followers = Followers(world.broker)
        pairs, tokens = asyncio.run(_alerts(world, doors, followers))
        sounds = [_until_it_sounds(keys, *each) for each in tokens]
    ours, bare = median_pair(*zip(*pairs, strict=True))
    return [
        Result(f"fanout_alert_{DEVICES}", ours, bare, "s", "≤ 2"),
        Result("alert_to_sound", max(sounds), 1.0, "s", "≤ 1 s"),
    ]


async def _fill(settings: config.Settings) -> tuple[Doors, list[PublicKey]]:
    await db.migrate(str(settings.postgres.dsn.get_secret_value()))
    engine = db.create_engine(settings.postgres)
    try:
        # A tenth of them is attested and has no device.
        await province.fill(engine, clock.now(), days=1, clusters=DEVICES * 10 // 9 + 1)
        async with db.transaction(engine) as session:
            [village] = await session.scalars(
                sa.select(Area).where(Area.level == Level.VILLAGE).order_by(Area.code).limit(1)
            )
            doors = await seed_people(session, village, clock.now())
            installed = await session.scalar(sa.text("SELECT count(*) FROM installations"))
            if installed != DEVICES:
                raise RuntimeError(f"{installed} devices are installed, not {DEVICES}")
        keys = await first_keys(engine, settings.keys, clock.now())
        return doors, keys
    finally:
        await engine.dispose()


async def _until_published(settings: config.Settings) -> None:
    """Wait until the server has issued the config of every device."""
    engine = db.create_engine(settings.postgres)
    deadline = time.monotonic() + 3 * PATIENCE
    try:
        while True:
            async with db.transaction(engine) as session:
                count = await session.scalar(_PUBLISHED)
            if count >= DEVICES:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"{count} of {DEVICES} configs are published")
            await asyncio.sleep(0.5)
    finally:
        await engine.dispose()


_PUBLISHED = sa.text(
    "SELECT count(*) FROM documents WHERE kind = 'config' AND published_revision = revision"
)


async def _alerts(
    world: World, doors: Doors, followers: Followers
) -> tuple[list[tuple[float, float]], list[tuple[bytes, bytes]]]:
    """What each run took, ours and bare; and config and document of each."""
    pairs, tokens = [], []
    officer, chief = (doors.by_role[role].token for role in (
        Role.DUTY_OFFICER, Role.PROVINCE_APPROVER,
    ))  # fmt: skip
    async with Api(world.url, officer, chief) as api:
        for _ in range(RUNS):
            alert = await api.proposed_alert("Xả lũ hồ Nước Trong", TEXT, "51")

            async def authorise(alert_id: str = alert["id"]) -> None:
                await api.authorise_alert(alert_id)

            ours = await _told(followers, authorise)
            config_token, token = await asyncio.to_thread(_retained, world.broker)
            await _told(followers, lambda: api.cancel_alert(alert["id"], "đo xong"))  # noqa: B023
            bare = await _told(followers, _bare(world.broker, token))
            pairs.append((ours, bare))
            tokens.append((config_token, token))
    return pairs, tokens


async def _told(followers: Followers, act: Callable[[], Awaitable[object]]) -> float:
    """Seconds from the beginning of an act until every follower has a document."""
    reader = asyncio.create_task(asyncio.to_thread(followers.all_have_it))
    await asyncio.sleep(0.2)  # it reads
    began = time.perf_counter()
    await act()
    return await reader - began


def _bare(broker: Broker, payload: bytes) -> Callable[[], Awaitable[object]]:
    connection = _connected(broker, "bare")

    def publish() -> None:
        connection.sendall(packets.publish(TOPIC, payload, 1, retain=True))
        _read_until(connection, lambda kind, _: kind & 0xF0 == packets.PUBACK)
        connection.close()

    return lambda: asyncio.to_thread(publish)


def _retained(broker: Broker) -> tuple[bytes, bytes]:
    """The config of a device and the document of alerts, as the broker keeps them."""
    wanted = [f"{PREFIX}device/{CODE}/state/config", TOPIC]
    found: dict[str, bytes] = {}

    def take(kind: int, body: bytes) -> bool:
        if kind & 0xF0 == packets.TO_US:
            end = 2 + int.from_bytes(body[:2], "big")
            found[body[2:end].decode()] = body[end + (2 if kind & 0x06 else 0) :]
        return len(found) == len(wanted)

    with _connected(broker, "reader") as connection:
        connection.sendall(packets.subscribe(wanted))
        _read_until(connection, take)
    return found[wanted[0]], found[wanted[1]]


def _connected(broker: Broker, name: str) -> socket.socket:
    """A connection by hand: a library that selects takes no descriptor above 1,023."""
    connection = socket.create_connection((broker.host, broker.port), timeout=PATIENCE)
    connection.sendall(packets.connect(name))
    _read_until(connection, lambda kind, _: kind & 0xF0 == packets.CONNACK)
    return connection


def _read_until(connection: socket.socket, is_last: Callable[[int, bytes], bool]) -> None:
    rest = b""
    while True:
        came = connection.recv(1 << 16)
        if not came:
            raise ConnectionError("the broker has ended a connection")
        found, rest = packets.split(rest + came)
        if any(is_last(kind, body) for kind, body in found):
            return


def _until_it_sounds(keys: list[PublicKey], config_token: bytes, token: bytes) -> float:
    """Seconds of a player's time from the document to its sound."""
    harness = Harness(clock.now())
    box = Device(Identity(device_id=CODE, keys=tuple(keys)), Flash("bench"))
    harness.add(box)
    harness.publish(f"device/{CODE}/state/config", config_token, retain=True)
    harness.advance(30)
    arrived = harness.now
    harness.publish("area/51/state/alerts", token, retain=True)
    harness.advance(30)
    [sound, *_] = box.sounds
    return (sound.started_at - arrived).total_seconds()

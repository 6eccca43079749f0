"""The broker dies with 10,000 devices connected, and everybody comes back.

Mosquitto is killed (SIGKILL) and started again at once, over what it had saved: sessions and
retained documents, but none of its connections. The devices return with the hashed jitter of the
reference player (`device_sim.player.reconnect_seconds`), subscribe, are sent the seven retained
documents that each follows, boot, and go on with their heartbeats, one a minute. Our ingest is a
client like the others.

* `reconnect_storm_10000`: from the kill until the boot of every device's new session is committed,
  against the moment at which the last of them was connected, which their jitter decides;
* `reconnect_storm_memory`: the most that our process weighed meanwhile.

There is no result unless every device got its documents again and every heartbeat that the broker
confirmed, before and after, is committed.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import asyncpg

from benchmarks.harness import heartbeats, packets
from benchmarks.harness.fleet import PREFIX, Fleet
from benchmarks.harness.publisher import WINDOW, open_, send
from benchmarks.harness.system import (
    System,
    allow_connections,
    confirmed_are_committed,
    resident_bytes,
)
from benchmarks.result import Result
from broadcast.kit import clock

DEVICES = 10_000
INTERVAL = 60.0
PATIENCE = 150.0
"""Seconds until everybody must be back."""
AFTERWARDS = 15.0
"""Seconds, at most; a quarter of the fleet sends a heartbeat over its new connection in it."""
SAVE_SECONDS = 2.0

BYTES = {"config": 1200, "programme": 2000, "alerts": 400}
"""Signed documents of an ordinary week."""


class Storm(NamedTuple):
    """Outcome of one storm."""

    away: float
    """Seconds until the broker took connections again."""
    connected: float
    """Seconds until everybody was connected."""
    seconds: float
    """Until everybody's boot was committed."""
    peak_bytes: int
    heartbeats: int
    """Sent over the new connections and committed."""


def run() -> list[Result]:
    """See the module's text."""
    allow_connections(DEVICES)
    with tempfile.TemporaryDirectory() as folder, System(Path(folder)) as system:
        storm = asyncio.run(weather(system, DEVICES))
    print(
        f"  broker away {storm.away:.1f} s, everybody connected after {storm.connected:.1f} s, "
        f"booted after {storm.seconds:.1f} s; {storm.heartbeats:,} heartbeats since, all committed"
    )
    return [
        Result("reconnect_storm_10000", storm.seconds, storm.connected, "s", "≤ 90 s"),
        Result("reconnect_storm_memory", storm.peak_bytes / 1e6, 300.0, "MB", "≤ 300 MB"),
    ]


async def weather(system: System, devices: int, interval: float = INTERVAL) -> Storm:
    """Connect so many devices, kill the broker, and see everybody back.

    Raises:
        TimeoutError: Somebody is not back, or something that was confirmed is not committed.
        ValueError: Documents did not come again.
    """
    connection = await system.prepare(devices)
    _retain(system.broker.port, devices)
    system.start_ingest()
    await system.until_subscribed(connection, clock.now() - timedelta(minutes=2))
    with Fleet(system.broker.port, interval) as fleet:
        fleet.grow(devices)
        await asyncio.sleep(min(AFTERWARDS, interval) / 3)
        os.kill(system.broker.pid, signal.SIGUSR1)
        await asyncio.sleep(SAVE_SECONDS)
        before = fleet.report()
        await confirmed_are_committed(connection, before.confirmed)
        killed = time.monotonic()
        system.broker.kill()
        system.broker.start()
        away = time.monotonic() - killed
        peak = 0
        connected = 0.0
        while True:
            peak = max(peak, resident_bytes(system.ingest.pid))
            now = fleet.report()
            returned = now.connects - before.connects
            if returned >= devices and now.connected == devices:
                connected = connected or time.monotonic() - killed
                if await _booted(connection, now.confirmed):
                    break
            if time.monotonic() > killed + PATIENCE:
                raise TimeoutError(f"{now.connected} of {devices} are connected, not all booted")
            await asyncio.sleep(0.1)
        seconds = time.monotonic() - killed
        documents = now.documents - before.documents
        if documents < devices * len(heartbeats.held(1)):
            raise ValueError(f"only {documents} documents came again")
        await asyncio.sleep(min(AFTERWARDS, interval))
        after = fleet.report()
    await confirmed_are_committed(connection, after.confirmed)
    await connection.close()
    confirmed = sum(count for _, count in after.confirmed)
    return Storm(away, connected, seconds, peak, confirmed)


def _retain(port: int, devices: int) -> None:
    """Have the broker keep every document that a device follows."""
    # Noise, as a signature is: nothing on the way may gain by its being compressible.
    noise = random.Random(1).randbytes(max(BYTES.values()))  # noqa: S311 — no secret
    topics = {
        key.rpartition("/")[0] + "/state/" + (kind := key.rpartition("/")[2]): BYTES[kind]
        for device in range(1, devices + 1)
        for key in heartbeats.held(device)
    }
    with socket.create_connection(("127.0.0.1", port), timeout=60) as link:
        open_(link, "bench-documents")
        send(
            link,
            [
                packets.publish(
                    f"{PREFIX}/{topic}", noise[:size], 1 + number % WINDOW, retain=True
                )
                for number, (topic, size) in enumerate(topics.items())
            ],
        )
        link.sendall(packets.packet(packets.DISCONNECT))


async def _booted(connection: asyncpg.Connection, confirmed: Sequence[tuple[int, int]]) -> bool:
    booted: bool = await connection.fetchval(
        """
        SELECT count(*) = cardinality($1::text[])
        FROM unnest($1::text[], $2::bigint[]) AS n (code, session)
        JOIN devices AS d USING (code)
        JOIN boots AS b ON b.device_id = d.id AND b.session = n.session
        """,
        [heartbeats.code(device) for device in range(1, len(confirmed) + 1)],
        [session for session, _ in confirmed],
    )
    return booted

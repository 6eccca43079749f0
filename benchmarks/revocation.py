"""Seconds until a device that is revoked is cut off, over a connection that stands.

Mosquitto as it is deployed, with the plugin and the list of revoked certificates, and the leader's
step at its real pace. What systemd does with `broadcast-broker.path` is done here by looking
twenty times a second. Devices are revoked one after the other, at moments that have nothing to do
with that pace; the slowest counts.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import tempfile
import time
from pathlib import Path
from typing import NoReturn

from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from benchmarks.result import Result, Skipped
from broadcast import config
from broadcast.embedded.broker import mosquitto
from broadcast.embedded.postgres import EmbeddedPostgres
from broadcast.enrolment import enrolling, revocation
from broadcast.enrolment.authority import private_pem
from broadcast.enrolment.broker_files import CHANGED
from broadcast.keys import changes
from broadcast.kit import clock, db
from broadcast.mqtt.link import Link
from tests.deploy.broker import Deployed, deployed
from tests.devices.fleet import enrol
from tests.enrolment.fleet import csr, p256
from tests.keys.memory import MemoryStore

DEVICES = 5


def run() -> list[Result]:
    """The longest of five, against the minute that is promised."""
    if mosquitto() is None or not Path("/usr/include/mosquitto.h").exists():
        raise Skipped("needs mosquitto, mosquitto-dev, libmosquitto-dev and a C compiler")
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedPostgres(Path(folder) / "postgres") as postgres,
        deployed(Path(folder) / "broker") as broker,
    ):
        longest = asyncio.run(_longest(postgres.create_database("revocation"), broker))
    return [Result("revocation_cuts_off", longest, 60.0, "s", "≤ 60 s")]


async def _longest(dsn: str, broker: Deployed) -> float:
    await db.migrate(dsn)
    engine = create_async_engine(db.async_url(dsn))
    codes = [f"QN-{number}" for number in range(1, DEVICES + 1)]
    async with db.transaction(engine) as session:
        await enrol(session, *codes)
        await changes.begin(session, MemoryStore(), clock.now())
    settings = config.Settings(enrolment=broker.settings)
    links = [Link(await _certified(engine, settings, broker, code)) for code in codes]
    telling = [
        asyncio.create_task(_lead(engine, broker.settings)),
        asyncio.create_task(_watch(broker)),
    ]
    longest = 0.0
    for code, link in zip(codes, links, strict=True):
        async with link:
            while not link.connected:  # noqa: ASYNC110  told by nobody
                await asyncio.sleep(0.05)
            pause = random.random() * revocation.EVERY.total_seconds()  # noqa: S311
            await asyncio.sleep(pause)
            began = time.monotonic()
            async with db.transaction(engine) as session:
                await enrolling.revoke(session, code, clock.now())
            while link.connected:  # noqa: ASYNC110  told by nobody
                await asyncio.sleep(0.02)
            longest = max(longest, time.monotonic() - began)
    for task in telling:
        task.cancel()
    await asyncio.wait(telling)
    await engine.dispose()
    return longest


async def _certified(
    engine: AsyncEngine, settings: config.Settings, broker: Deployed, code: str
) -> config.Mqtt:
    """How a device connects whose certificate the database knows."""
    mqtt, key = broker.device(code), p256()
    async with db.transaction(engine) as session:
        given = await enrolling.sign(session, settings, code, csr(key), clock.now())
    assert mqtt.tls_cert_file is not None
    assert mqtt.tls_key_file is not None
    mqtt.tls_cert_file.write_text(given.certificate or "")
    mqtt.tls_key_file.write_bytes(private_pem(key))
    return mqtt


async def _lead(engine: AsyncEngine, settings: config.Enrolment) -> NoReturn:
    while True:
        await revocation.refresh(engine, settings, clock.now())
        await asyncio.sleep(revocation.EVERY.total_seconds())


async def _watch(broker: Deployed) -> NoReturn:
    changed, told = broker.dynamic / CHANGED, None
    while True:
        written = changed.stat().st_mtime_ns if changed.exists() else None
        if told != written:
            os.kill(broker.child.pid, signal.SIGHUP)
        told = written
        await asyncio.sleep(0.05)

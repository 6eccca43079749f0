"""A worker of the inbound path: its role, its link to the broker and its part of the devices."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.config import Role, Settings
from broadcast.ingest.pipeline import Pipeline
from broadcast.ingest.sharding import Mode, ShardAssignment
from broadcast.ingest.store import FIRST_RETRY, LONGEST_RETRY
from broadcast.keys.keyring import Keyring
from broadcast.kit import db, roles
from broadcast.kit.errors import because
from broadcast.kit.tasks import until_one_ends
from broadcast.mqtt.features import end_session, shares_subscriptions
from broadcast.mqtt.link import Link
from broadcast.telemetry import sweep
from broadcast.wire.topics import DEVICE_EVENT, SERVER_ECHO

log = structlog.get_logger()

ECHOED_WITHIN = 15.0
"""Seconds from the connection to the first echo. A broker may take us and let nothing through: one
of MQTT 3.1.1 need not say that a subscription, and cannot say that a message, was refused."""


async def run(engine: AsyncEngine, settings: Settings, keyring: Keyring, worker: int = 1) -> None:
    """Take what devices send whenever no other process is this worker, until cancelled.

    Args:
        engine: The database.
        settings: Number of workers that share the work, and address of the broker.
        keyring: To sign what devices are answered.
        worker: Number of this one, counted from 1.
    """
    name, wait = Role.INGEST.process(worker), FIRST_RETRY
    while True:
        began = time.monotonic()
        work = _Worker(engine, settings, keyring, worker)
        try:
            async with roles.claimed(engine, name) as claim:
                await until_one_ends(
                    claim.hold(), roles.report(engine, name, work.trouble), work.run()
                )
        except roles.TakenOver as error:
            log.warning("roles.role.lost", role=name, detail=str(error))
        except Exception:
            # A bug of ours; what is not acknowledged comes again over the next link.
            log.exception("ingest.worker.failed", worker=worker)
        if time.monotonic() - began > LONGEST_RETRY:
            wait = FIRST_RETRY
        await asyncio.sleep(random.uniform(wait / 2, wait))  # noqa: S311 — jitter, no secret
        wait = min(2 * wait, LONGEST_RETRY)


class _Worker:
    """One worker while its role is ours."""

    def __init__(
        self, engine: AsyncEngine, settings: Settings, keyring: Keyring, worker: int
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._keyring = keyring
        self._worker = worker
        self._starting = roles.STARTING
        self._link: Link | None = None
        self._pipeline: Pipeline | None = None

    def trouble(self) -> str:
        """Reason why it cannot work, and what to do; empty: it works."""
        link, pipeline = self._link, self._pipeline
        if link is None or pipeline is None:
            return self._starting
        if trouble := link.trouble or pipeline.database_trouble or self._keyring.trouble:
            return trouble
        if link.stood_seconds > ECHOED_WITHIN and pipeline.echoed_over != link.connection:
            return (
                "broker MQTT nhận kết nối nhưng không chuyển lại tín hiệu thử của chính máy chủ"
                f" ({self._echo}); kiểm tra quyền đọc và ghi của người dùng này"
                " (mosquitto-server.acl)"
            )
        return ""

    @property
    def _echo(self) -> str:
        return f"{self._settings.mqtt.prefix}/{SERVER_ECHO.build(worker=str(self._worker))}"

    async def run(self) -> None:
        """Connect, and take what comes, until cancelled."""
        settings, worker = self._settings, self._worker
        assignment = await self._assignment()
        events = f"{settings.mqtt.prefix}/{DEVICE_EVENT.filter()}"
        subscribe, unsubscribe = assignment.filters(events)
        if worker == 1:
            await _end_left_over(self._engine, settings)
        log.info(
            "ingest.worker.started",
            worker=worker,
            workers=assignment.workers,
            sharing=assignment.mode,
        )
        async with Link(
            settings.mqtt,
            subscriptions=[(subscribe, 1), (self._echo, 1)],
            unsubscribe=[unsubscribe],
            client_id=settings.mqtt.worker_session(worker),
            mqtt5=assignment.mode == "shared",
        ) as link:
            self._pipeline = Pipeline(self._engine, link, settings, self._keyring, assignment)
            self._link = link
            await self._pipeline.run()

    async def _assignment(self) -> ShardAssignment:
        workers, sharing = self._settings.ingest.workers, self._settings.ingest.sharing
        if workers == 1:
            return ShardAssignment("alone")
        if sharing != "auto":
            return ShardAssignment(sharing, self._worker, workers)
        wait = FIRST_RETRY
        while True:
            try:
                shared = await shares_subscriptions(
                    self._settings.mqtt, self._settings.mqtt.worker_session(self._worker)
                )
            except OSError as error:
                log.warning("ingest.broker.away", error=str(error))
                self._starting = (
                    f"không kết nối được broker MQTT ({because(error)}); kiểm tra broker đang chạy"
                    " và BROADCAST_MQTT__HOST, __PORT"
                )
            else:
                mode: Mode = "shared" if shared else "shards"
                return ShardAssignment(mode, self._worker, workers)
            await asyncio.sleep(random.uniform(wait / 2, wait))  # noqa: S311 — jitter, no secret
            wait = min(2 * wait, LONGEST_RETRY)


async def _most_workers(engine: AsyncEngine) -> int:
    while True:
        try:
            async with db.transaction(engine) as session:
                return await sweep.most_workers(session)
        except db.AWAY as error:
            log.warning("ingest.database.away", error=db.brief(error))
        await asyncio.sleep(FIRST_RETRY)


async def _end_left_over(engine: AsyncEngine, settings: Settings) -> None:
    """End the sessions of workers that there were and are no more.

    A broker keeps queueing the part of a session that persists, though no client comes for it.
    """
    most = await _most_workers(engine)
    gone = range(settings.ingest.workers + 1, most + 1)
    with suppress(*db.AWAY):
        async with db.transaction(engine) as session:
            await roles.forget(session, [Role.INGEST.process(number) for number in gone])
    for number in gone:
        try:
            await end_session(settings.mqtt, settings.mqtt.worker_session(number))
        except OSError as error:
            log.warning("ingest.session.left", worker=number, error=str(error))

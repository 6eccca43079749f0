"""One of the workers that share the inbound path: its link to the broker, and its part of it."""

from __future__ import annotations

import asyncio
import random
import time

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import db
from broadcast.config import Mqtt, Settings
from broadcast.devices import sweep
from broadcast.devices.sharing import Share
from broadcast.ingest import FIRST_RETRY, LONGEST_RETRY, take
from broadcast.mqtt import Link
from broadcast.mqtt_features import end_session, shares_subscriptions
from broadcast.programmes.keys import Keys
from broadcast.wire.topics import DEVICE_EVENT, SERVER_ECHO

log = structlog.get_logger()


async def run(engine: AsyncEngine, settings: Settings, keys: Keys, worker: int = 1) -> None:
    """Take what devices send, for ever.

    Args:
        engine: The database.
        settings: How many workers share the work, and where the broker is.
        keys: To sign what devices are answered.
        worker: Which of the workers this is.
    """
    share = await _share(settings, worker)
    prefix = settings.mqtt.prefix
    follow, forget = share.filters(f"{prefix}/{DEVICE_EVENT.filter()}")
    echo = f"{prefix}/{SERVER_ECHO.build(worker=str(worker))}"
    if worker == 1:
        await _end_left_over(engine, settings)
    log.info("ingest.worker.started", worker=worker, workers=share.workers, sharing=share.kind)
    wait = FIRST_RETRY
    while True:
        began = time.monotonic()
        try:
            async with Link(
                settings.mqtt,
                subscriptions=[(follow, 1), (echo, 1)],
                forget=[forget],
                client_id=session_of(settings.mqtt, worker),
                mqtt5=share.kind == "shared",
            ) as link:
                await take(engine, link, settings, keys, share)
        except Exception:
            # A bug of ours; what is not acknowledged comes again over the next link.
            log.exception("ingest.worker.failed", worker=worker)
        if time.monotonic() - began > LONGEST_RETRY:
            wait = FIRST_RETRY
        await asyncio.sleep(random.uniform(wait / 2, wait))  # noqa: S311 — jitter, no secret
        wait = min(2 * wait, LONGEST_RETRY)


def session_of(mqtt: Mqtt, worker: int) -> str:
    """Client id of a worker."""
    return mqtt.session(None if worker == 1 else str(worker))


async def _share(settings: Settings, worker: int) -> Share:
    workers, sharing = settings.ingest.workers, settings.ingest.sharing
    if workers == 1:
        return Share("alone")
    if sharing != "auto":
        return Share(sharing, worker, workers)
    wait = FIRST_RETRY
    while True:
        try:
            shared = await shares_subscriptions(settings.mqtt, session_of(settings.mqtt, worker))
            return Share("shared" if shared else "shards", worker, workers)
        except OSError as error:
            log.warning("ingest.broker.away", error=str(error))
        await asyncio.sleep(random.uniform(wait / 2, wait))  # noqa: S311 — jitter, no secret
        wait = min(2 * wait, LONGEST_RETRY)


async def _end_left_over(engine: AsyncEngine, settings: Settings) -> None:
    """End the sessions of workers that there were and are no more.

    A broker goes on handing a session that persists its part, whether or not anybody comes for it.
    """
    async with db.transaction(engine) as session:
        most = await sweep.most_workers(session)
    for number in range(settings.ingest.workers + 1, most + 1):
        try:
            await end_session(settings.mqtt, session_of(settings.mqtt, number))
        except OSError as error:
            log.warning("ingest.session.left", worker=number, error=str(error))

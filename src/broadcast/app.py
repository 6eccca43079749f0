"""Composition: settings → engine → MQTT links → the roles of one process.

A role that dies takes the process with it: a supervisor starts it afresh, and nothing is lost,
because truth lies in PostgreSQL and on the devices.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import structlog
from prometheus_client import Gauge
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config, startup
from broadcast.config import Role
from broadcast.keys.keyring import Keyring
from broadcast.keys.stores import open_store
from broadcast.kit import clock, db
from broadcast.kit import roles as role_states
from broadcast.kit.errors import Unavailable
from broadcast.mqtt import login
from broadcast.restore import credentials
from broadcast.web import server

log = structlog.get_logger()

WORKERS = Gauge(
    "broadcast_ingest_workers", "Of a process with the role ingest: how many ought to share it"
)

FULL_SECONDS = 2.0
"""Between two looks at a database that can take nothing more."""

GRACE_SECONDS = 7.0
"""From being told to end to the end of the process: requests have five of them to finish."""


async def serve(
    settings: config.Settings, roles: Sequence[Role] = tuple(Role), worker: int = 1
) -> None:
    """Run the roles until SIGTERM or SIGINT, or until one of them fails.

    For a process of its own: that is gone `GRACE_SECONDS` later, whatever else it does.

    Args:
        settings: Of this process.
        roles: What it does.
        worker: Which of the workers that share the inbound path it is.
    """
    check_files(settings, roles, worker)
    server.raise_file_limit()
    listeners = _listeners(settings, roles)
    try:
        await _run(settings, roles, worker, listeners)
    finally:
        for listener in listeners.values():
            listener.close()


async def _run(
    settings: config.Settings,
    roles: Sequence[Role],
    worker: int,
    listeners: Mapping[str, socket.socket],
) -> None:
    # A pool for each: a thousand readers must not cost a heartbeat its connection.
    engines = {role: _engine(settings, role) for role in roles}
    watcher = db.create_engine(settings.postgres, "broadcast.readiness", config.READINESS_POOL)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    _spare_collector()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        await _begin(engines[roles[0]], settings.keys, roles, worker, stop)
        if Role.WEB in roles and not stop.is_set():
            await _show_setup(engines[Role.WEB], settings)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(_role(role, settings, engines[role], worker), name=role)
                for role in roles
                if role is not Role.WEB
            ]
            for name, listener in listeners.items():
                if name == Role.WEB:
                    from broadcast.api import create_app

                    app = create_app(settings, engines[Role.WEB], watcher)
                else:
                    from broadcast.upkeep.operation import create_watched

                    app = create_watched()
                tasks.append(
                    group.create_task(
                        server.serve(app, listener, settings.web.connections), name=name
                    )
                )
            log.info("app.process.started", roles=[role.value for role in roles])
            try:
                await stop.wait()
            finally:
                _end_in_time(tasks, 0 if stop.is_set() else 1)
            for task in tasks:
                task.cancel()
    finally:
        for engine in (*engines.values(), watcher):
            await engine.dispose()
    log.info("app.process.stopped")


def _engine(settings: config.Settings, role: Role) -> AsyncEngine:
    postgres = settings.postgres
    pools = {Role.INGEST: postgres.ingest_pool, Role.DISPATCH: postgres.dispatch_pool}
    # Asking a connection whether it lives costs each transaction a round trip; who tries again by
    # himself finds out.
    return db.create_engine(
        postgres, f"broadcast.{role}", pools.get(role), pre_ping=role not in pools
    )


async def _begin(
    engine: AsyncEngine,
    keys: config.Keys,
    roles: Sequence[Role],
    worker: int,
    stop: asyncio.Event,
) -> None:
    """Make the partitions of today, notice a restore, and say which roles are to be done.

    Waits for a database that is full: whoever restarts us meanwhile makes it no emptier.

    Raises:
        Exception: It cannot be used otherwise.
    """
    while not stop.is_set():
        try:
            async with db.transaction(engine) as session:
                if set(roles) != {Role.WEB}:  # which may be no owner of the tables, and needs none
                    await db.ensure_partitions(session, clock.now().date() - timedelta(days=1))
                await credentials.notice(session, keys, clock.now())
                for role in roles:
                    if role is not Role.WEB:
                        await role_states.announce(session, role.process(worker), clock.now())
        except db.AWAY as error:
            if db.sqlstate(error) not in db.FULL:
                raise
            log.warning("app.database.full", error=db.explain(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(FULL_SECONDS):
                    await stop.wait()
        else:
            return


async def _show_setup(engine: AsyncEngine, settings: config.Settings) -> None:
    """Where nobody can sign in yet, print the link that makes the first administrator.

    To the terminal or the journal, which only the administrators of the machine read: there is no
    password that everybody knows.
    """
    from broadcast.accounts import setup

    link = await setup.first_link(engine, settings, clock.now())
    if link is not None:
        print(  # noqa: T201 — no log line: those are passed on
            f"Chưa có ai đăng nhập được. Mở liên kết này trong một giờ để tạo quản trị:\n  {link}",
            file=sys.stderr,
            flush=True,
        )


def check_files(settings: config.Settings, roles: Sequence[Role], worker: int = 1) -> None:
    """Make sure, before anything starts, that the files which the roles need are there.

    Raises:
        BroadcastError: One of them cannot be used; says which, and what to do.
    """
    if Role.INGEST in roles or Role.DISPATCH in roles:
        open_store(settings.keys).load()
    if Role.INGEST in roles:
        login.check(settings.mqtt, settings.mqtt.worker_session(worker))
    if Role.DISPATCH in roles:
        login.check(settings.mqtt, settings.mqtt.session("dispatch"))
    if Role.WEB in roles:
        check_content(settings.content_dir)


def check_content(folder: Path) -> None:
    """Make sure that audio can be kept in a folder, which is made with the first file.

    Raises:
        Unavailable: It cannot.
    """
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise Unavailable(startup.folder("BROADCAST_CONTENT_DIR", there, error)) from None


def _end_in_time(tasks: Sequence[asyncio.Task[None]], code: int) -> None:
    """Have the process end within `GRACE_SECONDS`, whatever it waits for.

    A database that hangs answers neither a cancelled statement nor the close of a connection, and
    no thread can be stopped. What is not committed is not acknowledged: nothing is lost.

    Args:
        tasks: The roles.
        code: Exit code: 0 where it was told to end, 1 where a role has failed.
    """

    def leave() -> None:
        for task in tasks:
            error = task.exception() if task.done() and not task.cancelled() else None
            if error is not None:
                log.error("app.role.failed", role=task.get_name(), exc_info=error)
        waiting = [task.get_name() for task in tasks if not task.done()]
        log.warning("app.process.abandoned", after_seconds=GRACE_SECONDS, waiting=waiting)
        os._exit(code)

    timer = threading.Timer(GRACE_SECONDS, leave)
    timer.daemon = True
    timer.start()


def _spare_collector() -> None:
    """Let the cyclic collector look seldom, and not at what the process is made of.

    With its usual thresholds it walks every remembered device several times a second, a third of
    the time that ingest spends on a message, and holds every tenth figure up for a tenth of a
    second. Batches of thousands of messages hold no cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def _listeners(settings: config.Settings, roles: Sequence[Role]) -> dict[str, socket.socket]:
    """Sockets that the process listens on: REST and metrics."""
    listeners = {}
    if Role.WEB in roles:
        web = settings.web
        listeners[Role.WEB.value] = server.bind(web.host, web.port, "BROADCAST_WEB__PORT")
    if settings.metrics.port is not None:
        port = settings.metrics.port
        listeners["metrics"] = server.bind("127.0.0.1", port, "BROADCAST_METRICS__PORT")
    return listeners


async def _role(role: Role, settings: config.Settings, engine: AsyncEngine, worker: int) -> None:
    # Each process loads what its roles need and no more.
    if role is Role.PREPARE:
        from broadcast.bulletins import prepare_worker

        await prepare_worker.run(engine, settings)
        return
    keyring = Keyring(open_store(settings.keys))
    if role is Role.INGEST:
        from broadcast.ingest import worker as ingest_worker

        WORKERS.set(settings.ingest.workers)
        await ingest_worker.run(engine, settings, keyring, worker)
    else:
        from broadcast.delivery import dispatcher

        await dispatcher.run(engine, settings, keyring)

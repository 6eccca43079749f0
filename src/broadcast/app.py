"""Composition: settings → engine → MQTT links → the roles of one process.

A role that dies takes the process with it: a supervisor starts it afresh, and nothing is lost,
because truth lies in PostgreSQL and on the devices.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import Sequence
from datetime import timedelta
from importlib.metadata import version

import sqlalchemy as sa
import structlog
import uvicorn
from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.ext.asyncio import AsyncEngine

import broadcast.areas.routes
import broadcast.bulletins.routes
import broadcast.coverage.routes
import broadcast.devices.routes
import broadcast.devices.telemetry_routes
import broadcast.incidents.routes
import broadcast.plays.routes
import broadcast.schedules.routes
import broadcast.stations.routes
from broadcast import clock, config, db, dispatch, ingest
from broadcast.config import Role
from broadcast.errors import Unavailable
from broadcast.programmes.keys import Keys, load_keys
from broadcast.web import rest

log = structlog.get_logger()

ROUTERS = (
    broadcast.areas.routes.router,
    broadcast.stations.routes.router,
    broadcast.devices.routes.router,
    broadcast.devices.telemetry_routes.router,
    broadcast.incidents.routes.router,
    broadcast.bulletins.routes.router,
    broadcast.schedules.routes.router,
    broadcast.plays.routes.router,
    broadcast.coverage.routes.router,
)


def create_app(settings: config.Settings, engine: AsyncEngine) -> FastAPI:
    """The REST interface."""
    app = FastAPI(
        title="Hệ thống thông tin nguồn cấp tỉnh – điều khiển truyền thanh",
        summary="Bulletins, schedules, proof of play, indicators 1.1 and 1.2",
        version=version("broadcast"),
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        max_body_size=settings.web.upload_limit_bytes + 2**20,
        responses={"4XX": {"model": rest.Problem, "description": "RFC 9457"}},
    )
    app.state.engine = engine
    app.state.settings = settings
    rest.install(app)
    for router in ROUTERS:
        app.include_router(router)

    @app.get("/healthz", tags=["operation"], summary="Tiến trình còn chạy")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", tags=["operation"], summary="Phục vụ được: cơ sở dữ liệu trả lời")
    async def readyz(session: rest.Session) -> dict[str, str]:
        head = await session.scalar(sa.text("SELECT version_num FROM alembic_version"))
        wanted = db.newest_revision()
        if head != wanted:
            raise Unavailable(f"lược đồ {head}, cần {wanted}: chạy `broadcast migrate`")
        return {"status": "ok"}

    @app.get("/metrics", tags=["operation"], summary="Prometheus", include_in_schema=False)
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return app


async def serve(
    settings: config.Settings, roles: Sequence[Role] = tuple(Role), worker: int = 1
) -> None:
    """Run the roles until SIGTERM or SIGINT, or until one of them fails.

    Args:
        settings: Of this process.
        roles: What it does.
        worker: Which of the workers that share the inbound path it is.
    """
    listener = _bind(settings.web) if Role.WEB in roles else None
    engine = db.create_engine(settings.postgres)
    async with db.transaction(engine) as session:
        await db.ensure_partitions(session, clock.now().date() - timedelta(days=1))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    _spare_collector()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(_role(role, settings, engine, listener, worker), name=role)
                for role in roles
            ]
            log.info("app.process.started", roles=[role.value for role in roles])
            await stop.wait()
            for task in tasks:
                task.cancel()
    finally:
        await engine.dispose()
    log.info("app.process.stopped")


def _spare_collector() -> None:
    """Let the cyclic collector look seldom: batches of thousands of messages hold no cycles.

    With its usual thresholds it walks every remembered device several times a second and takes
    a third of the time that ingest spends on a message.
    """
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def _bind(web: config.Web) -> socket.socket:
    """Take the port before anything else starts: a second server must not disturb the first."""
    family = socket.AF_INET6 if ":" in web.host else socket.AF_INET
    try:
        return socket.create_server((web.host, web.port), family=family, backlog=2048)
    except OSError as error:
        raise Unavailable(
            f"Không mở được {web.host}:{web.port} ({error.strerror}); hãy dừng chương trình đang "
            "dùng cổng này hoặc đặt BROADCAST_WEB__PORT khác."
        ) from None


async def _role(
    role: Role,
    settings: config.Settings,
    engine: AsyncEngine,
    listener: socket.socket | None,
    worker: int,
) -> None:
    if listener is not None and role is Role.WEB:
        await _web(settings, engine, listener)
        return
    keys: Keys = load_keys(settings.keys)
    if role is Role.INGEST:
        await ingest.run(engine, settings, keys, worker)
    else:
        await dispatch.run(engine, settings, keys)


async def _web(settings: config.Settings, engine: AsyncEngine, listener: socket.socket) -> None:
    server = _Server(
        uvicorn.Config(
            create_app(settings, engine),
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=5,
        )
    )
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        server.should_exit = True
        await task
        raise


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers: the process has its own."""

    def install_signal_handlers(self) -> None:
        """Leave the signals alone."""

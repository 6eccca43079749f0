"""The REST interface and the pages: the routes of every feature in one application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version

from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

import broadcast.accounts.grant_routes
import broadcast.accounts.openid_routes
import broadcast.accounts.passkey_routes
import broadcast.accounts.routes
import broadcast.accounts.second_factor_routes
import broadcast.accounts.session_routes
import broadcast.alerts.cap.public_routes
import broadcast.alerts.cap.routes
import broadcast.alerts.drill_routes
import broadcast.alerts.routes
import broadcast.alerts.template_routes
import broadcast.areas.routes
import broadcast.auditing.routes
import broadcast.boundaries.routes
import broadcast.bulletins.content
import broadcast.bulletins.draft_routes
import broadcast.bulletins.four_eyes_routes
import broadcast.bulletins.lexicon_routes
import broadcast.bulletins.routes
import broadcast.calendars.routes
import broadcast.clusters.installation_routes
import broadcast.clusters.routes
import broadcast.commands.routes
import broadcast.devices.routes
import broadcast.earshot.routes
import broadcast.enrolment.routes
import broadcast.grid.routes
import broadcast.inbox.routes
import broadcast.incidents.routes
import broadcast.indicators.routes
import broadcast.keys.routes
import broadcast.languages.routes
import broadcast.live.routes
import broadcast.mergers.routes
import broadcast.plays.routes
import broadcast.portals.routes
import broadcast.restore.routes
import broadcast.schedules.calendar_routes
import broadcast.schedules.feed_routes
import broadcast.schedules.ics_routes
import broadcast.schedules.regulation_routes
import broadcast.schedules.relay_routes
import broadcast.schedules.revision_routes
import broadcast.schedules.routes
import broadcast.schedules.start_routes
import broadcast.situation.routes
import broadcast.stations.outage_routes
import broadcast.stations.plant_routes
import broadcast.stations.routes
import broadcast.streams.routes
import broadcast.telemetry.routes
import broadcast.upkeep.routes
from broadcast import config
from broadcast.audit.refusals import Refusals
from broadcast.console import routes as pages
from broadcast.upkeep import operation
from broadcast.upkeep.ready import Prober
from broadcast.visibility.sessions import limit
from broadcast.web import docs, problems, rest
from broadcast.web.openapi import described

ROUTERS = (
    broadcast.accounts.routes.router,
    broadcast.accounts.session_routes.router,
    broadcast.accounts.grant_routes.router,
    broadcast.accounts.second_factor_routes.router,
    broadcast.accounts.passkey_routes.router,
    broadcast.accounts.openid_routes.router,
    broadcast.alerts.cap.routes.router,
    broadcast.alerts.cap.public_routes.router,
    broadcast.areas.routes.router,
    broadcast.boundaries.routes.router,
    broadcast.stations.routes.router,
    broadcast.stations.plant_routes.router,
    broadcast.stations.outage_routes.router,
    broadcast.devices.routes.router,
    broadcast.enrolment.routes.router,
    broadcast.clusters.routes.router,
    broadcast.clusters.installation_routes.router,
    broadcast.commands.routes.router,
    broadcast.telemetry.routes.router,
    broadcast.incidents.routes.router,
    broadcast.bulletins.routes.router,
    broadcast.bulletins.draft_routes.router,
    broadcast.bulletins.lexicon_routes.router,
    broadcast.bulletins.four_eyes_routes.router,
    broadcast.bulletins.content.router,
    broadcast.calendars.routes.router,
    broadcast.earshot.routes.router,
    broadcast.schedules.calendar_routes.router,
    broadcast.portals.routes.router,
    broadcast.streams.routes.router,
    broadcast.schedules.relay_routes.router,
    broadcast.schedules.feed_routes.router,
    broadcast.schedules.ics_routes.router,
    broadcast.schedules.regulation_routes.router,
    broadcast.schedules.routes.router,
    broadcast.schedules.revision_routes.router,
    broadcast.schedules.start_routes.router,
    broadcast.grid.routes.router,
    broadcast.inbox.routes.router,
    broadcast.languages.routes.router,
    broadcast.plays.routes.router,
    broadcast.alerts.routes.router,
    broadcast.alerts.template_routes.router,
    broadcast.alerts.drill_routes.router,
    broadcast.live.routes.router,
    broadcast.indicators.routes.router,
    broadcast.situation.routes.router,
    broadcast.auditing.routes.router,
    broadcast.keys.routes.router,
    broadcast.mergers.routes.router,
    broadcast.restore.routes.router,
    broadcast.upkeep.routes.router,
)


LAST_SECONDS = 2.0
"""In which what the process still knows of refusals is written when it ends."""


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with pages.running(app):
        yield
    refusals: Refusals = app.state.refusals
    with suppress(TimeoutError):
        async with asyncio.timeout(LAST_SECONDS):
            await refusals.close()


def create_app(
    settings: config.Settings, engine: AsyncEngine, watcher: AsyncEngine | None = None
) -> FastAPI:
    """The REST interface.

    Args:
        settings: Of this process.
        engine: Where requests are processed.
        watcher: Where `/readyz` looks: readers that take all of the former's connections must not
            look like a database that is away.
    """
    app = FastAPI(
        title="Hệ thống thông tin nguồn cấp tỉnh – điều khiển truyền thanh",
        summary="Bulletins, schedules, proof of play, indicators 1.1 to 1.3",
        description="Thời điểm không ghi múi giờ là giờ Việt Nam, chỉ ghi ngày là 0 giờ ngày đó;"
        " trả lời luôn ghi +07:00. Trong địa chỉ URL viết dấu + là %2B.",
        version=version("broadcast"),
        docs_url=None,
        redoc_url=None,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        redirect_slashes=False,
        lifespan=_lifespan,
        responses={"4XX": problems.PROBLEM_RESPONSE, "5XX": problems.PROBLEM_RESPONSE},
    )
    app.state.engine = engine
    app.state.refusals = Refusals(engine)
    app.state.settings = settings
    app.state.limit = limit
    rest.install(app)
    docs.install(app)
    for router in ROUTERS:
        app.include_router(router)

    app.include_router(operation.router(Prober(watcher or engine, settings)))
    pages.install(app, settings)
    return described(app)

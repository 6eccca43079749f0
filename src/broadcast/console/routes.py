"""The pages in one application: their routes, scripts and styles, and their answer to errors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from broadcast import config
from broadcast.auth.routing import Route
from broadcast.console import (
    alert_templates,
    approvals,
    areas,
    assets,
    components,
    devices,
    display,
    drills,
    earshot,
    emergency,
    events,
    grid,
    inbox,
    incidents,
    indicators,
    languages,
    library,
    maker,
    plays,
    portals,
    received,
    schedule,
    schedule_days,
    schedule_import,
    schedule_moves,
    schedule_new,
    sign_in,
    sources,
    speech,
    today,
    wall,
)
from broadcast.console.admin import authorities as admin_authorities
from broadcast.console.admin import calendars as admin_calendars
from broadcast.console.admin import clusters as admin_clusters
from broadcast.console.admin import enrolment as admin_enrolment
from broadcast.console.admin import imports as admin_imports
from broadcast.console.admin import index as admin_index
from broadcast.console.admin import keys as admin_keys
from broadcast.console.admin import mergers as admin_mergers
from broadcast.console.admin import plants as admin_plants
from broadcast.console.admin import refused as admin_refused
from broadcast.console.admin import register as admin_register
from broadcast.console.admin import regulations as admin_regulations
from broadcast.console.admin import restore as admin_restore
from broadcast.console.admin import stations as admin_stations
from broadcast.console.live import Hub
from broadcast.console.page import show_problem
from broadcast.console.people import accounts, audit, merged, own
from broadcast.console.shared import Shared

ROUTERS = (
    admin_clusters.router,
    admin_authorities.router,
    admin_calendars.router,
    admin_regulations.router,
    admin_enrolment.router,
    admin_imports.router,
    admin_index.router,
    admin_keys.router,
    admin_mergers.router,
    admin_plants.router,
    admin_refused.router,
    admin_register.router,
    admin_restore.router,
    admin_stations.router,
    areas.router,
    approvals.router,
    components.router,
    devices.router,
    display.router,
    earshot.router,
    alert_templates.router,  # `/emergency/templates` before `/emergency/{alert_id}`
    received.router,  # `/emergency/received` before `/emergency/{alert_id}`
    emergency.router,
    drills.router,
    events.router,
    incidents.router,
    grid.router,
    inbox.router,
    languages.router,
    indicators.router,
    maker.router,
    plays.router,
    portals.router,
    sources.router,
    schedule_new.router,
    schedule_import.router,  # `/schedule/import` before `/schedule/{schedule_id}`
    schedule_moves.router,
    schedule_days.router,
    schedule.router,
    sign_in.router,
    speech.router,
    today.router,
    wall.router,
    library.router,  # `/bulletins/{bulletin_id}` after `/bulletins/new`
    accounts.router,
    merged.router,
    own.router,
    audit.router,
)


def install(app: FastAPI, settings: config.Settings) -> None:
    """Give an application the pages."""
    app.state.show_problem = show_problem
    app.state.hub = Hub(settings)
    app.state.shared = Shared(app.state.hub)
    app.add_route("/assets/{name}", assets.answer, ["GET"], include_in_schema=False)
    for router in ROUTERS:
        app.include_router(router)
    app.state.pages = frozenset(
        route.path
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, Route) and "GET" in (route.methods or ())
    )


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[None]:
    """Stop to listen when the application ends."""
    yield
    await app.state.hub.stop()

"""Every route of the application, for tests that hold for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.routing import BaseRoute

from broadcast import api, config
from broadcast.api import create_app
from broadcast.auth.routing import Route
from broadcast.console import routes as console

NOWHERE = "postgresql+asyncpg://nobody@/nothing?host=/nowhere"


class Operation(NamedTuple):
    """A method on a path."""

    method: str
    path: str

    @property
    def url(self) -> str:
        """The path with something in place of each parameter."""
        return self.path.replace("{", "").replace("}", "")


def operations(app: FastAPI) -> Iterator[Operation]:
    """What an application answers, documented or not."""
    for route in iter_route_contexts(app.routes):
        assert route.path is not None, "a mount: say here how it is walked"
        for method in sorted(route.methods or ()):
            yield Operation(method, route.path)


def changing(app: FastAPI) -> Iterator[tuple[str, str, Route]]:
    """Method, path and route of what takes a body."""
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, Route):
            assert route.path is not None
            for method in sorted((route.methods or set()) - {"GET", "HEAD"}):
                yield method, route.path, route.original_route


_WORKED_OUT: dict[int, BaseRoute] = {}


def worked_out(app: FastAPI) -> FastAPI:
    """An application with the routes that another one of this process has worked out.

    Each works its routes out at its first request, which takes as long as thirty requests; they
    are the same in all: what they know of their application they ask the request for.
    """
    shared = {id(router) for router in (*api.ROUTERS, *console.ROUTERS)}
    for number, route in enumerate(app.router.routes):
        router = id(getattr(route, "original_router", None))
        if router in shared:
            app.router.routes[number] = _WORKED_OUT.setdefault(router, route)
    return app


def application() -> FastAPI:
    """The application as it is served, without its database."""
    settings = config.Settings(
        postgres=config.Postgres(dsn=SecretStr(NOWHERE)), content_dir=Path("/nowhere")
    )
    return worked_out(create_app(settings, create_async_engine(NOWHERE)))

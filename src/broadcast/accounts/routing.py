"""Routes that know their caller before they read what is sent."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from fastapi import APIRouter, Request, Response, Security
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from broadcast.accounts.auth import BEARER, OPEN, Admitted, authenticate


class Route(APIRoute):
    """A route that asks for token and role first; FastAPI would read and parse the body before."""

    def __init__(
        self, path: str, endpoint: Callable[..., Any], *, dependencies: Any = None, **more: Any
    ) -> None:
        asked = [] if path in OPEN else [Security(BEARER)]
        super().__init__(path, endpoint, dependencies=[*(dependencies or []), *asked], **more)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of FastAPI, behind the questions of this one."""
        handle = super().get_route_handler()
        if self.path in OPEN:
            return handle
        admitted = list(_admitted(self.dependant))

        async def asked(request: Request) -> Response:
            caller = await authenticate(request)
            for admits in admitted:
                admits(caller)
            return await handle(request)

        return asked


def _admitted(dependant: Dependant) -> Iterator[Admitted]:
    if isinstance(dependant.call, Admitted):
        yield dependant.call
    for part in dependant.dependencies:
        yield from _admitted(part)


class Router(APIRouter):
    """A router of such routes; every feature's is one."""

    def __init__(self, *, prefix: str = "", tags: list[str] | None = None) -> None:
        super().__init__(prefix=prefix, tags=[*(tags or [])], route_class=Route)

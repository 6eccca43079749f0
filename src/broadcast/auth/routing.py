"""Routes that know their caller before they read what is sent, and read no more than they take."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Iterator
from functools import cache, cached_property
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Request, Response, Security, params
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from starlette.routing import Match
from starlette.types import Scope

from broadcast.audit.recording import Record
from broadcast.auth import second_factor
from broadcast.auth.caller import BEARER, OPEN, SIGN_IN, RequiredPermission, authenticate
from broadcast.auth.permissions import Permission
from broadcast.auth.session import COOKIE_SCHEME
from broadcast.kit import clock
from broadcast.web import origin, preconditions
from broadcast.web import request as incoming
from broadcast.web.paths import check_rivals, template
from broadcast.web.rest import transaction

E = TypeVar("E", bound=Callable[..., Any])


def reads_its_body(endpoint: E) -> E:
    """Mark an endpoint that reads the body by itself, within limits of its own."""
    _READ_THEIR_BODY.add(endpoint)
    return endpoint


_READ_THEIR_BODY: set[Callable[..., Any]] = set()


def changes_nothing(endpoint: E) -> E:
    """Mark an endpoint that takes a POST and changes nothing, so that the audit knows nothing.

    Nothing, or only what is its caller's own and nobody else ever sees: a draft.
    """
    _CHANGE_NOTHING.add(endpoint)
    return endpoint


_CHANGE_NOTHING: set[Callable[..., Any]] = set()


def changes(endpoint: E) -> E:
    """Mark an endpoint that takes a GET and changes something: a browser is sent there."""
    _CHANGE.add(endpoint)
    return endpoint


_CHANGE: set[Callable[..., Any]] = set()


def exports(endpoint: E) -> E:
    """Mark an endpoint that gives much away at once, so that the audit tells who took it."""
    _EXPORT.add(endpoint)
    return endpoint


_EXPORT: set[Callable[..., Any]] = set()


class Route(APIRoute):
    """A route that asks for token, permission, names and size, in this order.

    FastAPI would read and parse the body before any of them.
    """

    def __init__(
        self, path: str, endpoint: Callable[..., Any], *, dependencies: Any = None, **more: Any
    ) -> None:
        self.is_open = path in OPEN or path in SIGN_IN
        security = [] if self.is_open else [Security(BEARER), Security(COOKIE_SCHEME)]
        super().__init__(path, endpoint, dependencies=[*(dependencies or []), *security], **more)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of FastAPI, behind the questions of this one."""
        handle = super().get_route_handler()
        required = list(_required_permissions(self.dependant))
        queries = incoming.query_parameters(self.dependant)
        paths = incoming.path_parameters(self.dependant)
        changes = not set(self.methods or ()) <= {"GET", "HEAD"}
        load = self._loader()
        is_recorded = self.is_recorded()
        if is_recorded and not _calls(self.dependant, transaction):
            raise TypeError(
                f"{self.path}: what it changes goes through `Session`, which writes the audit"
            )

        async def ask(request: Request) -> Response:
            check_rivals(request, self)
            if not self.is_open:
                caller = await authenticate(request)
                for require_permission in required:
                    require_permission(caller)
                    request.state.permission = require_permission.permission
                    if changes and require_permission.permission is Permission.ACCOUNT_WRITE:
                        second_factor.check(
                            caller.second_factor_until, Permission.ACCOUNT_WRITE, clock.now()
                        )
            if is_recorded:
                request.state.record = self._record(request)
            incoming.check_path(request.path_params, paths)
            incoming.check_parameters(request.query_params, queries)
            if changes:
                await preconditions.check(request)
            return await handle(await load(request))

        return ask

    def is_recorded(self) -> bool:
        """Tell whether the audit has an entry of every request that is granted."""
        changes = not set(self.methods or ()) <= {"GET", "HEAD"}
        return (
            changes and self.endpoint not in _CHANGE_NOTHING
        ) or self.endpoint in _EXPORT | _CHANGE

    def _record(self, request: Request) -> Record:
        record = Record(
            f"{request.method} {template(request)}",
            self.summary or "",
            request.scope["path"],
            origin.of(request),
        )
        record.who = getattr(request.state, "who", record.who)
        return record

    def _loader(self) -> Callable[[Request], Coroutine[Any, Any, Request]]:
        """Function that receives the body before FastAPI asks for it."""
        takes = self.body_field.field_info if self.body_field is not None else None
        fields = incoming.form_parameters(self.dependant)

        @cache
        def kind() -> TypeAdapter[Any]:  # when first asked: a hundred of them slow the start
            assert takes is not None
            return TypeAdapter(Annotated[takes.annotation, takes])  # type: ignore[arg-type]

        async def nothing(request: Request) -> Request:
            return request

        async def form(request: Request) -> Request:
            bounded = incoming.Bounded(request, incoming.FORM_BYTES)
            given = await bounded.load_form(incoming.FORM_SECONDS)
            try:
                incoming.check_parameters(given, fields)
            except Exception:
                await given.close()
                raise
            return bounded

        async def body(request: Request) -> Request:
            bounded = incoming.Bounded(request, incoming.JSON_BYTES)
            if await bounded.load(incoming.JSON_SECONDS) and takes is not None:
                incoming.check_strictly(await bounded.json(), kind())
            return bounded

        if set(self.methods or ()) <= {"GET", "HEAD"} or self.endpoint in _READ_THEIR_BODY:
            return nothing
        return form if isinstance(takes, params.Form) else body


def _calls(dependant: Dependant, call: Callable[..., Any]) -> bool:
    return dependant.call is call or any(_calls(part, call) for part in dependant.dependencies)


def _required_permissions(dependant: Dependant) -> Iterator[RequiredPermission]:
    if isinstance(dependant.call, RequiredPermission):
        yield dependant.call
    for part in dependant.dependencies:
        yield from _required_permissions(part)


class Router(APIRouter):
    """A router of such routes; every feature's is one."""

    def __init__(self, *, prefix: str = "", tags: list[str] | None = None) -> None:
        super().__init__(prefix=prefix, tags=[*(tags or [])], route_class=Route)

    @cached_property
    def _any_path(self) -> re.Pattern[str]:
        """What the path of one of its routes is like, once it has them all."""
        patterns = (route.path_regex.pattern for route in self.routes)  # type: ignore[attr-defined]
        return re.compile("|".join(_NAMES.sub("(", each) for each in patterns))

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As any router; one expression tells whether its routes have to be tried one by one.

        The application has hundreds: to try them all takes longer than most of them do. So each
        router is one of the application, and not of another router.
        """
        if not self._any_path.match(scope["path"].removeprefix(scope.get("root_path", ""))):
            return Match.NONE, {}
        return super().matches(scope)


_NAMES = re.compile(r"\(\?P<\w+>")

"""Finding the path of an address: of those that fit, the one with the fewest parameters.

`/schedules/preview` is no schedule named `preview`, whatever the method.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.exceptions import HTTPException


class _Path(NamedTuple):
    template: str
    pattern: re.Pattern[str]
    methods: frozenset[str]


class _Paths(NamedTuple):
    plain: dict[str, _Path]
    """Those without parameters, by themselves."""
    others: list[_Path]
    """The fewest parameters first."""


def _paths(app: FastAPI) -> _Paths:
    """Every path with its methods, kept with the application: routes do not change."""
    kept: _Paths | None = getattr(app.state, "paths", None)
    if kept is None:
        found: dict[str, _Path] = {}
        for route in iter_route_contexts(app.routes):
            pattern = getattr(route, "path_regex", None)
            if pattern is not None and route.path is not None:
                before = found.get(route.path)
                methods = frozenset(route.methods or ()) | (before.methods if before else set())
                found[route.path] = _Path(route.path, pattern, methods)
        others = [each for each in found.values() if "{" in each.template]
        kept = app.state.paths = _Paths(
            {template: path for template, path in found.items() if "{" not in template},
            sorted(others, key=lambda each: each.template.count("{")),
        )
    return kept


def allowed(request: Request) -> list[str]:
    """Methods of the path that the address of a request is."""
    return sorted(_methods(request, request.scope["path"]))


def template(request: Request) -> str:
    """The path of a request, with the names of its parameters in place of what was asked for."""
    known = _known(request, request.scope["path"])
    return request.scope["path"] if known is None else known.template


def _methods(request: Request, path: str) -> frozenset[str]:
    known = _known(request, path)
    return frozenset() if known is None else known.methods


def _known(request: Request, path: str) -> _Path | None:
    paths = _paths(request.app)
    return paths.plain.get(path) or next(
        (each for each in paths.others if each.pattern.match(path)), None
    )


def readable(request: Request, *, above: bool) -> str | None:
    """The address of a request where it can be read.

    Args:
        request: What is asked.
        above: Whether the nearest address above it will do, too.
    """
    path: str = request.scope["path"]
    while path:
        if "GET" in _methods(request, path):
            return path
        if not above:
            break
        path = path.rpartition("/")[0]
    return None


def items(request: Request) -> list[str]:
    """The single things that an address lies in, as far as they can be read; the widest first.

    Of `/bulletins/7/revisions/2/approve` the bulletin and its revision, and no list.
    """
    steps = request.scope["path"].split("/")
    found = []
    for length in range(2, len(steps) + 1):
        path = "/".join(steps[:length])
        known = _known(request, path)
        if known is not None and "GET" in known.methods and known.template.endswith("}"):
            found.append(path)
    return found


def check_rivals(request: Request, route: APIRoute) -> None:
    """Refuse a request whose address is another path, which lacks its method.

    Raises:
        HTTPException: 405.
    """
    if "{" in route.path and request.method not in allowed(request):
        raise HTTPException(405)

"""The table of the console's pages, for the walk of `tests/visibility/test_walk.py`.

A page of the console has its line here as a route of REST has in `tests/visibility/routes.py`.
"""

from __future__ import annotations

from broadcast.auth.permissions import Permission
from tests.visibility.routes import Kind, Rule

P = Permission

PAGES: dict[tuple[str, str], Rule] = {
    ("GET", "/sign-in"): Rule(Kind.OPEN),
    ("POST", "/sign-in"): Rule(Kind.OPEN),
    ("POST", "/sign-in/demo"): Rule(Kind.OPEN),
    ("POST", "/sign-out"): Rule(Kind.SELF),
    ("GET", "/setup"): Rule(Kind.OPEN),
    ("GET", "/display"): Rule(Kind.OPEN),
    ("GET", "/components"): Rule(Kind.SELF),
    ("GET", "/"): Rule(Kind.PUBLIC, P.READ),
    ("GET", "/today/day"): Rule(Kind.PUBLIC, P.READ),
    ("GET", "/bulletins/new"): Rule(Kind.PUBLIC, P.BULLETIN_WRITE),
    ("GET", "/bulletins/{bulletin_id}/edit"): Rule(
        Kind.CHANGE, P.BULLETIN_WRITE, path=lambda p: {"bulletin_id": p.bulletin}, is_content=True
    ),
    **{
        (method, f"/bulletin-drafts/{{page_name}}/{part}"): Rule(
            Kind.SELF,
            P.BULLETIN_WRITE,
            path=lambda p: {"page_name": "new"},
            body=None if method == "GET" else lambda p, n: {"text": "x", "area_code": p.commune},
            is_page=True,
        )
        for method, part in (
            *(("GET", "sound"), ("POST", "reading"), ("POST", "trim"), ("POST", "whole")),
            *(("POST", "sound/discard"), ("POST", "words"), ("POST", "correction")),
            *(("POST", "finish"), ("POST", "discard")),
        )
    },
    # the map: of the province for who reads it whole, else one's own unit
    ("GET", "/map/states"): Rule(Kind.WHOLE, P.READ),
    ("GET", "/areas/{code}"): Rule(Kind.READ, P.READ, path=lambda p: {"code": p.village}),
    ("GET", "/areas/{code}/state"): Rule(Kind.READ, P.READ, path=lambda p: {"code": p.village}),
    ("GET", "/wall"): Rule(Kind.WHOLE, P.READ),
    ("GET", "/wall/states"): Rule(Kind.WHOLE, P.READ),
    ("GET", "/wall/on-air"): Rule(Kind.WHOLE, P.READ),
    ("GET", "/wall/incidents"): Rule(Kind.WHOLE, P.READ),
    ("GET", "/wall/indicators"): Rule(Kind.WHOLE, P.READ),
}
"""Every page but `/events`, which does not end."""

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
    ("GET", "/bulletins"): Rule(Kind.LIST, P.CONTENT_READ),
    ("GET", "/bulletins/{bulletin_id}"): Rule(
        Kind.READ, P.CONTENT_READ, path=lambda p: {"bulletin_id": p.bulletin}, is_content=True
    ),
    ("POST", "/bulletins/{bulletin_id}/{number}/{action}"): Rule(
        Kind.CHANGE,
        P.BULLETIN_WRITE,
        is_page=True,
        there=P.BULLETIN_APPROVE,
        path=lambda p: {"bulletin_id": p.draft, "number": 1, "action": "withdraw"},
    ),
    ("POST", "/bulletins/{bulletin_id}/copies"): Rule(
        Kind.MAKE,
        P.BULLETIN_WRITE,
        path=lambda p: {"bulletin_id": p.bulletin},
        body=lambda p, n: {"area_code": p.commune},
        is_page=True,
    ),
    ("GET", "/approvals"): Rule(Kind.PUBLIC, P.BULLETIN_APPROVE),
    ("GET", "/approvals/{bulletin_id}/{number}"): Rule(
        Kind.READ,
        P.BULLETIN_APPROVE,
        path=lambda p: {"bulletin_id": p.bulletin, "number": 1},
        is_content=True,
    ),
    ("POST", "/approvals/{bulletin_id}/{number}/approve"): Rule(
        Kind.CHANGE,
        P.BULLETIN_APPROVE,
        path=lambda p: {"bulletin_id": p.draft, "number": 1},
        body=lambda p, n: {"heard_sha256": p.draft.hex * 2},
        is_page=True,
    ),
    ("POST", "/approvals/{bulletin_id}/{number}/return"): Rule(
        Kind.CHANGE,
        P.BULLETIN_APPROVE,
        path=lambda p: {"bulletin_id": p.draft, "number": 1},
        body=lambda p, n: {"note": "x"},
        is_page=True,
    ),
    ("GET", "/plays/{occurrence_id}"): Rule(
        Kind.READ, P.READ, path=lambda p: {"occurrence_id": p.occurrence}
    ),
    ("GET", "/plays/{occurrence_id}/result"): Rule(
        Kind.READ, P.READ, path=lambda p: {"occurrence_id": p.occurrence}
    ),
    ("GET", "/plays/{occurrence_id}/{cluster}"): Rule(
        Kind.READ, P.READ, path=lambda p: {"occurrence_id": p.occurrence, "cluster": p.cluster}
    ),
    ("GET", "/on-air"): Rule(Kind.PUBLIC, P.READ),
    ("GET", "/on-air/list"): Rule(Kind.PUBLIC, P.READ),
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
}
"""Every page but `/events`, which does not end."""

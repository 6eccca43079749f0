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
}
"""Every page but `/events`, which does not end."""

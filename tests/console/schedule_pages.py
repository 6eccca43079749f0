"""The pages of the calendar, for the walk of `tests/visibility/test_walk.py`."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

from broadcast.auth.permissions import Permission
from broadcast.kit import clock
from tests.visibility.routes import Kind, Rule, _start, calendar_file, standing
from tests.visibility.world import Place

P = Permission


def _soon(place: Place) -> dict[str, Any]:
    return {"on": str(clock.today() + timedelta(days=2))}


def _schedule(place: Place) -> dict[str, Any]:
    return {"schedule_id": place.schedule}


def _to(place: Place, now: datetime) -> dict[str, Any]:
    at = (now + timedelta(days=4)).astimezone(clock.LOCAL)
    return {"day": f"{at:%Y-%m-%d}", "time": "10:00"}


def _wish(place: Place, now: datetime) -> dict[str, Any]:
    return {
        "bulletin": str(place.bulletin), "revision": "1", "place": place.village, **_to(place, now)
    }  # fmt: skip


NO_ROWS = hashlib.sha256(b"").hexdigest()
"""What the preview of a calendar without events says."""

SCHEDULE: dict[tuple[str, str], Rule] = {
    ("GET", "/schedule"): Rule(Kind.PUBLIC, P.CONTENT_READ, query=_soon),
    ("GET", "/schedule/sheet"): Rule(Kind.PUBLIC, P.CONTENT_READ, query=_soon),
    ("GET", "/schedule/heard"): Rule(Kind.PUBLIC, P.CONTENT_READ, query=_soon),
    ("GET", "/schedule/feed"): Rule(Kind.PUBLIC, P.CONTENT_READ),
    ("POST", "/schedule/feed"): Rule(
        Kind.MAKE, P.CONTENT_READ, body=lambda p, n: {"area": standing(p)}, is_page=True
    ),
    ("GET", "/schedule/import"): Rule(Kind.SELF, P.SCHEDULE_WRITE),
    ("POST", "/schedule/import/preview"): Rule(
        Kind.MAKE, P.SCHEDULE_WRITE, body=lambda p, n: calendar_file(p), is_form=True
    ),
    ("POST", "/schedule/import"): Rule(
        Kind.MAKE,
        P.SCHEDULE_WRITE,
        body=lambda p, n: calendar_file(p) | {"digest": (None, NO_ROWS)},
        is_form=True,
    ),
    ("GET", "/schedule/new"): Rule(
        Kind.READ,
        P.SCHEDULE_WRITE,
        query=lambda p: {"revision": f"{p.bulletin}/1"},
        is_content=True,
    ),
    ("GET", "/schedule/{schedule_id}"): Rule(
        Kind.READ, P.CONTENT_READ, path=_schedule, is_content=True
    ),
    ("GET", "/schedule/{schedule_id}/edit"): Rule(
        Kind.READ, P.SCHEDULE_WRITE, path=_schedule, is_content=True
    ),
    ("POST", "/schedule/new"): Rule(Kind.MAKE, P.SCHEDULE_WRITE, body=_wish, is_page=True),
    ("POST", "/schedule/new/check"): Rule(Kind.MAKE, P.SCHEDULE_WRITE, body=_wish, is_page=True),
    ("POST", "/schedule/new/draft"): Rule(Kind.MAKE, P.SCHEDULE_WRITE, body=_wish, is_page=True),
    ("POST", "/schedule/new/discard"): Rule(Kind.SELF, P.SCHEDULE_WRITE, body=_wish, is_page=True),
    ("GET", "/schedule/new/map"): Rule(Kind.SELF, P.SCHEDULE_WRITE),
    ("POST", "/schedule/new/week"): Rule(Kind.MAKE, P.SCHEDULE_WRITE, body=_wish, is_page=True),
    ("POST", "/schedule/new/months"): Rule(Kind.MAKE, P.SCHEDULE_WRITE, body=_wish, is_page=True),
    ("POST", "/schedule/{schedule_id}/days/{change}"): Rule(
        Kind.CHANGE,
        P.SCHEDULE_WRITE,
        path=lambda p: {"schedule_id": p.schedule, "change": "leave-out"},
        body=lambda place, now: {"at": _start(now).isoformat()},
        is_content=True,
        is_page=True,
    ),
    ("POST", "/schedule/{schedule_id}/withdraw"): Rule(
        Kind.CHANGE, P.SCHEDULE_WRITE, path=_schedule, is_content=True
    ),
    ("POST", "/schedule/{schedule_id}/reinstate"): Rule(
        Kind.CHANGE, P.SCHEDULE_WRITE, path=_schedule, is_content=True
    ),
    ("POST", "/schedule/{schedule_id}/move-back"): Rule(
        Kind.CHANGE,
        P.SCHEDULE_WRITE,
        path=_schedule,
        body=lambda place, now: {"by": "600"},
        is_content=True,
        is_page=True,
    ),
    **{
        ("POST", f"/schedule/occurrences/{{occurrence_id}}/{step}"): Rule(
            Kind.CHANGE,
            P.SCHEDULE_WRITE,
            path=lambda p: {"occurrence_id": p.occurrence},
            body=body,
            is_content=True,
            is_page=body is not None,
        )
        for step, body in (
            ("move", _to),
            ("move/check", _to),
            ("cancel", None),
            ("reinstate", None),
        )
    },
}

"""The table of the console's pages, for the walk of `tests/visibility/test_walk.py`.

A page of the console has its line here as a route of REST has in `tests/visibility/routes.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from broadcast.auth.permissions import Permission
from tests.callers import LAN
from tests.console.schedule_pages import SCHEDULE
from tests.visibility.routes import (
    INCIDENT_STEPS,
    SHEET,
    Kind,
    Rule,
    _air_session,
    _marked,
    _portal,
    _portal_of,
    _regulation,
    _source,
    _source_of,
    _unit,
    device_of,
    incident_of,
)
from tests.visibility.world import LONG_AGO, Place

P = Permission


def _account(place: Place) -> dict[str, Any]:
    return {"account_id": LAN, "grant_id": place.grant}


def _nothing(place: Place, now: datetime) -> dict[str, Any]:
    return {}


def _given(**fields: str) -> Callable[[Place, datetime], Any]:
    return lambda place, now: fields


def _register(place: Place) -> dict[str, str]:
    return {"kind": "stations"}


def _station(place: Place) -> dict[str, Any]:
    return {"name": place.marker, "commune_code": place.commune, "valid_from": "2020-01-01"}


def _cluster(place: Place) -> dict[str, Any]:
    return {"name": place.marker, "plant_code": place.plant, "installed_on": "2020-01-01"}


def _register_step(thing: str, body: Callable[[Place], dict[str, Any]]) -> Rule:
    """A change of a station, plant or cluster."""
    return Rule(
        Kind.CHANGE,
        P.REGISTER_WRITE,
        path=lambda p: {"code": getattr(p, thing)},
        body=lambda p, n: body(p),
        is_page=True,
    )


PAGES: dict[tuple[str, str], Rule] = {
    **SCHEDULE,
    ("GET", "/grid"): Rule(Kind.LIST, P.CONTENT_READ),
    ("GET", "/grid/sheet"): Rule(Kind.LIST, P.CONTENT_READ),
    ("GET", "/grid/new"): Rule(Kind.PUBLIC, P.SCHEDULE_WRITE),
    ("POST", "/grid/new"): Rule(
        Kind.MAKE,
        P.SCHEDULE_WRITE,
        body=lambda p, n: {
            "area_code": p.commune,
            "name": "Buổi trưa",
            "time": "11:00",
            "minutes": "10",
            "weekday": "MO",
            "day": f"{n + timedelta(days=4):%Y-%m-%d}",
        },
        is_page=True,
    ),
    ("GET", "/grid/{air_session_id}"): Rule(
        Kind.READ, P.CONTENT_READ, path=_air_session, is_content=True
    ),
    **{
        ("POST", f"/grid/{{air_session_id}}/{step}"): Rule(
            Kind.CHANGE,
            P.SCHEDULE_WRITE,
            path=lambda p: _air_session(p) | {"item_id": p.air_session},
            body=lambda p, n, body=body: body(p, n),
            is_page=True,
            is_content=True,
        )
        for step, body in (
            ("order", _nothing),
            ("items", lambda p, n: {"bulletin_id": str(p.bulletin)}),
            ("items/{item_id}/remove", _nothing),
            (
                "items/{item_id}/relay",
                lambda p, n: {"relay_at": "11:05", "relay_minutes": "3"},
            ),
            (
                "settings",
                lambda p, n: {
                    "name": "Buổi",
                    "time": "11:00",
                    "minutes": "10",
                    "weekday": "MO",
                    "day": f"{n + timedelta(days=4):%Y-%m-%d}",
                },
            ),
            ("skip", lambda p, n: {"day": "2026-12-30"}),
            ("end", _nothing),
        )
    },
    ("GET", "/bulletins/{bulletin_id}/play-now"): Rule(
        Kind.READ, P.SCHEDULE_WRITE, path=lambda p: {"bulletin_id": p.bulletin}, is_content=True
    ),
    ("POST", "/bulletins/{bulletin_id}/play-now"): Rule(
        Kind.MAKE,
        P.SCHEDULE_WRITE,
        path=lambda p: {"bulletin_id": p.bulletin},
        body=lambda p, n: {"place": p.village or p.commune},
        is_page=True,
    ),
    ("GET", "/inbox"): Rule(Kind.LIST, P.CONTENT_READ),
    ("GET", "/inbox/list"): Rule(Kind.LIST, P.CONTENT_READ),
    ("GET", "/inbox/count"): Rule(Kind.PUBLIC, P.CONTENT_READ),
    ("GET", "/inbox/compliance"): Rule(Kind.PUBLIC, P.CONTENT_READ),
    ("GET", "/inbox/{item_id}"): Rule(
        Kind.READ, P.CONTENT_READ, path=lambda p: {"item_id": p.item}
    ),
    **{
        ("POST", f"/inbox/{{item_id}}/{step}"): Rule(
            Kind.CHANGE,
            P.SCHEDULE_WRITE,
            path=lambda p: {"item_id": p.item},
            of_commune=True,
            body=lambda p, n, body=body: body,
            is_page=True,
            is_absent=step == "order",
        )
        for step, body in (
            ("order", {"source_first": "true"}),
            ("decline", {"reason": "x"}),
            ("pick", {}),
        )
    },
    ("GET", "/languages"): Rule(Kind.LIST, P.CONTENT_READ),
    ("GET", "/languages/phrases"): Rule(Kind.PUBLIC, P.CONTENT_READ),
    ("GET", "/languages/served"): Rule(Kind.PUBLIC, P.CONTENT_READ),
    ("GET", "/bulletins/{bulletin_id}/versions"): Rule(
        Kind.READ, P.CONTENT_READ, path=lambda p: {"bulletin_id": p.bulletin}, is_content=True
    ),
    ("POST", "/bulletins/{bulletin_id}/versions"): Rule(
        Kind.CHANGE,
        P.BULLETIN_WRITE,
        path=lambda p: {"bulletin_id": p.bulletin},
        body=lambda p, n: {"language": "hre", "due_on": "2026-12-30", "reader_id": 1},
        is_content=True,
        is_page=True,
    ),
    ("POST", "/bulletins/{bulletin_id}/confirmation"): Rule(
        Kind.CHANGE,
        P.BULLETIN_APPROVE,
        path=lambda p: {"bulletin_id": p.bulletin},
        body=lambda p, n: {"revision": 1, "original_revision": 1},
        is_content=True,
        is_page=True,
    ),
    ("GET", "/admin/village-languages"): Rule(Kind.ANYWHERE, P.AREA_WRITE),
    ("POST", "/admin/village-languages/{code}"): Rule(
        Kind.MAKE,
        P.AREA_WRITE,
        path=lambda p: {"code": p.village},
        body=lambda p, n: {"languages": "hre:80"},
        is_page=True,
    ),
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
    ("GET", "/bulletins/{bulletin_id}/send"): Rule(
        Kind.CHANGE, P.SCHEDULE_WRITE, path=lambda p: {"bulletin_id": p.bulletin}, is_content=True
    ),
    ("GET", "/bulletins/{bulletin_id}/sent"): Rule(
        Kind.CHANGE, P.SCHEDULE_WRITE, path=lambda p: {"bulletin_id": p.bulletin}, is_content=True
    ),
    ("POST", "/bulletins/{bulletin_id}/send"): Rule(
        Kind.MAKE,
        P.SCHEDULE_WRITE,
        path=lambda p: {"bulletin_id": p.bulletin},
        body=lambda p, n: {"useful_until": "2026-12-30", "areas": p.commune},
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
            *(("POST", "finish"), ("POST", "discard"), ("POST", "composition")),
        )
    },
    # the map: of the province for who reads it whole, else one's own unit
    ("GET", "/map"): Rule(Kind.SELF),
    ("GET", "/map/states"): Rule(Kind.WHOLE, P.READ),
    ("GET", "/areas/{code}"): Rule(Kind.READ, P.READ, path=lambda p: {"code": p.village}),
    ("GET", "/areas/{code}/state"): Rule(Kind.READ, P.READ, path=lambda p: {"code": p.village}),
    ("GET", "/wall"): Rule(Kind.WHOLE, P.READ),
    ("POST", "/wall/keep"): Rule(Kind.WHOLE, P.READ, body=_nothing, is_form=True, is_absent=True),
    ("GET", "/wall/states"): Rule(Kind.WHOLE, P.READ),
    ("GET", "/wall/on-air"): Rule(Kind.WHOLE, P.READ),
    ("GET", "/wall/incidents"): Rule(Kind.WHOLE, P.READ),
    ("GET", "/wall/indicators"): Rule(Kind.WHOLE, P.READ),
    # people
    ("GET", "/admin/people"): Rule(Kind.WHOLE, P.ACCOUNT_WRITE),
    ("POST", "/admin/people"): Rule(Kind.WHOLE, P.ACCOUNT_WRITE, body=_nothing, is_form=True),
    ("GET", "/admin/people/new"): Rule(Kind.WHOLE, P.ACCOUNT_WRITE),
    ("GET", "/admin/people/villages"): Rule(
        Kind.WHOLE, P.ACCOUNT_WRITE, query=lambda p: {"area_code": p.commune}
    ),
    ("GET", "/admin/people/{account_id}"): Rule(Kind.WHOLE, P.ACCOUNT_WRITE, path=_account),
    **{
        ("POST", f"/admin/people/{{account_id}}/{step}"): Rule(
            Kind.WHOLE, P.ACCOUNT_WRITE, path=_account, body=_nothing, is_form=True
        )
        for step in (
            "name",
            "languages",
            "state",
            "invitation",
            "sessions/end",
            "grants",
            "tokens",
            "grants/{grant_id}/revoke",
        )
    },
    ("GET", "/admin/grants"): Rule(Kind.WHOLE, P.ACCOUNT_WRITE),
    ("POST", "/admin/grants/{grant_id}/{area_code}"): Rule(
        Kind.WHOLE,
        P.ACCOUNT_WRITE,
        body=_nothing,
        is_form=True,
        is_absent=True,
        path=lambda p: {"grant_id": p.grant, "area_code": p.commune},
    ),
    ("GET", "/admin/tokens"): Rule(Kind.WHOLE, P.ACCOUNT_WRITE),
    ("POST", "/admin/tokens/{token_id}/revoke"): Rule(
        Kind.WHOLE,
        P.ACCOUNT_WRITE,
        body=_nothing,
        is_form=True,
        is_absent=True,
        path=lambda p: {"token_id": 1},
    ),
    ("GET", "/admin/audit"): Rule(Kind.PUBLIC, P.AUDIT_READ),
    ("GET", "/me"): Rule(Kind.SELF),
    **{
        ("POST", f"/me/{step}"): Rule(Kind.SELF, body=_nothing, is_form=True)
        for step in (
            "password",
            "sessions/end",
            "totp",
            "totp/confirmation",
            "totp/remove",
            "recovery-codes",
        )
    },
    ("POST", "/me/sessions/{session_id}/end"): Rule(
        Kind.SELF, body=_nothing, is_form=True, path=lambda p: {"session_id": 1}
    ),
    ("POST", "/me/passkeys/{passkey_id}/remove"): Rule(
        Kind.SELF, body=_nothing, is_form=True, path=lambda p: {"passkey_id": 1}
    ),
    ("POST", "/me/tokens/{token_id}/revoke"): Rule(
        Kind.SELF, body=_nothing, is_form=True, path=lambda p: {"token_id": 1}
    ),
    # incidents
    ("GET", "/incidents"): Rule(Kind.LIST, P.READ),
    ("GET", "/incidents/list"): Rule(Kind.LIST, P.READ),
    **{
        ("GET", f"/incidents/{{incident_id}}{part}"): Rule(Kind.READ, P.READ, path=incident_of)
        for part in ("", "/state", "/more", "/devices")
    },
    **{
        ("POST", f"/incidents/{{incident_id}}/{step}"): Rule(
            Kind.CHANGE,
            P.INCIDENT_WRITE,
            path=incident_of,
            body=lambda p, n, given=given: given if "text" in given else {"seen": "1", **given},
            is_page=True,
        )
        for step, given in INCIDENT_STEPS.items()
    },
    ("GET", "/devices"): Rule(Kind.LIST, P.READ),
    ("GET", "/devices/{code}"): Rule(Kind.READ, P.READ, path=device_of),
    ("GET", "/devices/{code}/state"): Rule(Kind.READ, P.READ, path=device_of),
    ("GET", "/devices/{code}/chart"): Rule(Kind.READ, P.READ, path=device_of),
    ("GET", "/devices/{code}/commands"): Rule(Kind.READ, P.READ, path=device_of),
    ("POST", "/devices/{code}/commands"): Rule(
        Kind.CHANGE,
        P.COMMAND_SEND,
        path=device_of,
        body=lambda p, n: {"kind": "reboot"},
        is_page=True,
    ),
    ("POST", "/devices/{code}/install"): Rule(
        Kind.CHANGE,
        P.DEVICE_WRITE,
        path=device_of,
        body=lambda p, n: {"cluster": p.cluster},
        is_page=True,
    ),
    ("POST", "/devices/{code}/retire"): Rule(
        Kind.CHANGE, P.DEVICE_WRITE, path=device_of, body=lambda p, n: {}, is_page=True
    ),
    ("GET", "/admin"): Rule(Kind.PUBLIC, P.READ),
    ("GET", "/admin/stations"): Rule(Kind.LIST, P.READ),
    ("GET", "/admin/clusters"): Rule(Kind.LIST, P.READ),
    ("GET", "/admin/stations/new"): Rule(Kind.PUBLIC, P.REGISTER_WRITE),
    ("POST", "/admin/stations"): Rule(
        Kind.MAKE,
        P.REGISTER_WRITE,
        body=lambda p, n: {**_station(p), "code": "NEW-S", "status": "trial", "cause": "x"},
        is_page=True,
    ),
    ("GET", "/admin/stations/{code}"): Rule(
        Kind.READ, P.READ, path=lambda p: {"code": p.station}, heard=True
    ),
    ("POST", "/admin/stations/{code}"): _register_step("station", _station),
    ("POST", "/admin/stations/{code}/state"): _register_step(
        "station",
        lambda p: {"state_from": str(LONG_AGO), "status": "trial", "cause": "x"},
    ),
    ("POST", "/admin/stations/{code}/delete"): _register_step("station", lambda p: {}),
    ("GET", "/admin/plants/new"): Rule(Kind.PUBLIC, P.REGISTER_WRITE),
    ("POST", "/admin/plants"): Rule(
        Kind.MAKE,
        P.REGISTER_WRITE,
        body=lambda p, n: {
            "code": "NEW-P",
            "name": "x",
            "station_code": p.station,
            "technologies": "it",
            "valid_from": str(n.date()),
        },
        is_page=True,
    ),
    ("GET", "/admin/plants/{code}"): Rule(
        Kind.READ, P.READ, path=lambda p: {"code": p.plant}, heard=True
    ),
    ("POST", "/admin/plants/{code}"): _register_step("plant", lambda p: {"name": "x"}),
    ("POST", "/admin/plants/{code}/state"): _register_step(
        "plant",
        lambda p: {
            "state_from": str(LONG_AGO),
            "station_code": p.station,
            "technologies": "it",
            "status": "operating",
        },
    ),
    ("POST", "/admin/plants/{code}/delete"): _register_step("plant", lambda p: {}),
    ("GET", "/admin/clusters/new"): Rule(Kind.PUBLIC, P.REGISTER_WRITE),
    ("POST", "/admin/clusters"): Rule(
        Kind.MAKE,
        P.REGISTER_WRITE,
        body=lambda p, n: {
            **_cluster(p),
            "code": "NEW-C",
            "villages": f"{p.village}:primary",
        },
        is_page=True,
    ),
    ("GET", "/admin/clusters/{code}"): Rule(Kind.READ, P.READ, path=lambda p: {"code": p.cluster}),
    ("POST", "/admin/clusters/{code}"): _register_step("cluster", _cluster),
    ("POST", "/admin/clusters/{code}/villages"): _register_step(
        "cluster",
        lambda p: {"villages_from": "2020-01-01", "villages": f"{p.village}:primary"},
    ),
    ("POST", "/admin/clusters/{code}/delete"): _register_step("cluster", lambda p: {}),
    ("GET", "/admin/areas"): Rule(Kind.PUBLIC, P.READ),
    ("GET", "/earshot"): Rule(Kind.LIST, P.READ),
    ("GET", "/earshot/{cluster}"): Rule(Kind.READ, P.READ, path=lambda p: {"cluster": p.cluster}),
    ("POST", "/earshot/{cluster}/pairs"): Rule(
        Kind.CHANGE,
        P.REGISTER_WRITE,
        path=lambda p: {"cluster": p.cluster},
        body=lambda p, n: {"one": p.cluster, "other": p.quiet, "heard": "true"},
        is_page=True,
    ),
    ("GET", "/admin/authorities"): Rule(Kind.PUBLIC, P.CONTENT_READ),
    ("POST", "/admin/authorities"): Rule(
        Kind.WHOLE,
        P.EMERGENCY_WRITE,
        body=lambda p, n: {
            "order": "commune,district,province",
            "valid_from": str((n + timedelta(days=3)).date()),
        },
        is_page=True,
    ),
    ("GET", "/admin/calendars"): Rule(Kind.PUBLIC, P.READ),
    ("POST", "/admin/calendars"): Rule(Kind.MAKE, P.SCHEDULE_WRITE, body=_marked, is_page=True),
    ("POST", "/admin/calendars/check"): Rule(
        Kind.MAKE, P.SCHEDULE_WRITE, body=_marked, is_page=True
    ),
    **{
        ("POST", f"/admin/calendars/{{day_id}}/{step}"): Rule(
            Kind.CHANGE, P.SCHEDULE_WRITE, path=lambda p: {"day_id": p.calendar_day}, heard=True
        )
        for step in ("removal", "remove")
    },
    ("GET", "/sources"): Rule(Kind.PUBLIC, P.READ),
    ("GET", "/portals"): Rule(Kind.LIST, P.READ),
    ("GET", "/portals/new"): Rule(Kind.ANYWHERE, P.REGISTER_WRITE),
    ("GET", "/portals/{portal_id}"): Rule(Kind.READ, P.READ, path=_portal_of, heard=True),
    ("POST", "/portals"): Rule(Kind.MAKE, P.REGISTER_WRITE, body=_portal, is_page=True),
    ("POST", "/portals/trial"): Rule(
        Kind.ANYWHERE,
        P.REGISTER_WRITE,
        body=lambda p, n: {"source_url": "https://127.0.0.1/tin.rss", "kind": "feed"},
        is_page=True,
    ),
    ("POST", "/portals/rule"): Rule(
        Kind.WHOLE,
        P.AREA_WRITE,
        body=lambda p, n: {"items": 4, "days": 30, "document": "12/QĐ"},
        is_page=True,
    ),
    ("POST", "/portals/{portal_id}"): Rule(
        Kind.CHANGE, P.REGISTER_WRITE, path=_portal_of, body=_portal, heard=True, is_page=True
    ),
    ("POST", "/portals/{portal_id}/end"): Rule(
        Kind.CHANGE, P.REGISTER_WRITE, path=_portal_of, heard=True
    ),
    ("POST", "/portals/{portal_id}/items/{portal_item_id}"): Rule(
        Kind.CHANGE,
        P.BULLETIN_WRITE,
        path=_portal_of,
        body=lambda p, n: {"is_essential": "true"},
        heard=True,
        is_page=True,
    ),
    ("POST", "/sources"): Rule(Kind.MAKE, P.SCHEDULE_WRITE, body=_source, is_page=True),
    ("GET", "/sources/{source_id}"): Rule(Kind.READ, P.READ, path=_source_of, heard=True),
    ("POST", "/sources/{source_id}"): Rule(
        Kind.CHANGE, P.SCHEDULE_WRITE, path=_source_of, body=_source, heard=True, is_page=True
    ),
    ("POST", "/sources/{source_id}/end"): Rule(
        Kind.CHANGE, P.SCHEDULE_WRITE, path=_source_of, heard=True
    ),
    ("GET", "/schedule/relay/{source_id}"): Rule(
        Kind.READ, P.SCHEDULE_WRITE, path=_source_of, heard=True
    ),
    ("GET", "/admin/regulations"): Rule(Kind.PUBLIC, P.READ, query=lambda p: {"area": p.commune}),
    ("POST", "/admin/regulations"): Rule(
        Kind.MAKE, P.BULLETIN_APPROVE, body=_regulation, is_page=True
    ),
    ("POST", "/admin/regulations/check"): Rule(
        Kind.MAKE, P.BULLETIN_APPROVE, body=_regulation, is_page=True
    ),
    **{
        ("POST", f"/admin/regulations/{{regulation_id}}/{step}"): Rule(
            Kind.CHANGE,
            P.BULLETIN_APPROVE,
            path=lambda p: {"regulation_id": p.regulation},
            body=lambda p, n: {"silences": "true"},
            heard=True,
            is_page=True,
        )
        for step in ("withdrawal", "restoration", "withdraw", "reinstate")
    },
    ("GET", "/emergency/received"): Rule(Kind.WHOLE, P.CONTENT_READ),
    ("GET", "/emergency/received/list"): Rule(Kind.WHOLE, P.CONTENT_READ),
    ("GET", "/emergency/received/{message_id}"): Rule(
        Kind.WHOLE, P.CONTENT_READ, is_absent=True, path=lambda p: {"message_id": 1}
    ),
    ("GET", "/admin/refused"): Rule(Kind.WHOLE, P.UPKEEP_READ),
    ("GET", "/admin/import/{kind}"): Rule(Kind.WHOLE, P.REGISTER_WRITE, path=_register),
    ("GET", "/admin/import/{kind}/progress"): Rule(Kind.WHOLE, P.REGISTER_WRITE, path=_register),
    ("POST", "/admin/import/{kind}/preview"): Rule(
        Kind.WHOLE, P.REGISTER_WRITE, path=_register, body=lambda p, n: SHEET, is_form=True
    ),
    ("POST", "/admin/import/{kind}"): Rule(
        Kind.WHOLE, P.REGISTER_WRITE, path=_register, body=lambda p, n: SHEET, is_form=True
    ),
    ("GET", "/admin/keys"): Rule(Kind.WHOLE, P.UPKEEP_READ),
    ("GET", "/admin/restore"): Rule(Kind.WHOLE, P.UPKEEP_READ),
    ("POST", "/admin/restore"): Rule(
        Kind.WHOLE, P.RESTORE_DECIDE, body=lambda p, n: {"digest": "x"}, is_page=True
    ),
    ("GET", "/admin/enrolment"): Rule(Kind.PUBLIC, P.DEVICE_WRITE),
    ("POST", "/admin/enrolment"): Rule(
        Kind.CHANGE, P.DEVICE_WRITE, body=lambda p, n: {"codes": p.device}, is_page=True
    ),
    ("GET", "/admin/mergers"): Rule(Kind.WHOLE, P.AREA_WRITE),
    ("POST", "/admin/mergers/preview"): Rule(
        Kind.WHOLE, P.AREA_WRITE, body=lambda p, n: {"on": "2019-03-03"}, is_page=True
    ),
    ("POST", "/admin/mergers"): Rule(
        Kind.WHOLE, P.AREA_WRITE, body=lambda p, n: {"on": "2019-03-03"}, is_page=True
    ),
    # live speech
    ("GET", "/live"): Rule(Kind.LIST, P.CONTENT_READ),
    ("GET", "/live/now"): Rule(Kind.LIST, P.CONTENT_READ),
    ("POST", "/live"): Rule(
        Kind.MAKE,
        P.LIVE_SPEAK,
        is_page=True,
        body=lambda p, n: {"title": "x", "place": p.commune},
    ),
    **{
        ("GET", f"/live/{{live_id}}{part}"): Rule(
            Kind.READ, P.CONTENT_READ, path=lambda p: {"live_id": p.live}, is_content=True
        )
        for part in ("", "/now")
    },
    ("POST", "/live/{live_id}/end"): Rule(
        Kind.CHANGE,
        P.LIVE_SPEAK,
        path=lambda p: {"live_id": p.live},
        is_content=True,
        is_page=True,
        body=_nothing,
    ),
    # emergencies
    ("GET", "/emergency/templates"): Rule(Kind.LIST, P.CONTENT_READ),
    ("GET", "/emergency/templates/new"): Rule(Kind.PUBLIC, P.EMERGENCY_PROPOSE),
    ("POST", "/emergency/templates/new"): Rule(
        Kind.MAKE,
        P.EMERGENCY_PROPOSE,
        is_page=True,
        body=lambda p, n: {"title": "x", "event": "flood", "text": "x", "area_code": p.commune},
    ),
    **{
        ("GET", f"/emergency/templates/{{template_id}}{part}"): Rule(
            Kind.READ, P.CONTENT_READ, path=lambda p: {"template_id": p.template}, is_content=True
        )
        for part in ("", "/now")
    },
    **{
        ("POST", f"/emergency/templates/{{template_id}}/{step}"): Rule(
            Kind.CHANGE,
            permission,
            path=lambda p: {"template_id": p.template},
            is_content=True,
            is_page=True,
            body=_nothing,
        )
        for step, permission in (("submit", P.BULLETIN_WRITE), ("withdraw", P.EMERGENCY_WRITE))
    },
    ("GET", "/emergency"): Rule(Kind.LIST, P.CONTENT_READ),
    ("GET", "/emergency/now"): Rule(Kind.LIST, P.CONTENT_READ),
    ("GET", "/emergency/new"): Rule(Kind.LIST, P.EMERGENCY_PROPOSE),
    ("POST", "/emergency/new"): Rule(
        Kind.MAKE,
        P.EMERGENCY_PROPOSE,
        is_page=True,
        body=lambda p, n: {"headline": "x", "text": "x", "place": p.commune},
    ),
    **{
        ("GET", f"/emergency/{{alert_id}}{part}"): Rule(
            Kind.READ, P.CONTENT_READ, path=lambda p: {"alert_id": p.alert}, is_content=True
        )
        for part in ("", "/now", "/calls")
    },
    ("GET", "/emergency/{alert_id}/replace"): Rule(
        Kind.READ,
        P.EMERGENCY_PROPOSE,
        path=lambda p: {"alert_id": p.alert},
        is_content=True,
    ),
    **{
        ("POST", f"/emergency/{{alert_id}}/{step}"): Rule(
            Kind.CHANGE,
            permission,
            path=lambda p: {"alert_id": p.alert},
            is_content=True,
            is_page=True,
            body=body,
        )
        for step, permission, body in (
            ("propose", P.EMERGENCY_PROPOSE, _nothing),
            ("authorise", P.EMERGENCY_WRITE, _nothing),
            ("alone", P.EMERGENCY_ALONE, _given(reason="x")),
            ("cancel", P.EMERGENCY_PROPOSE, _given(reason="x")),
            ("debrief", P.EMERGENCY_WRITE, _given(debrief="x")),
            (
                "replace",
                P.EMERGENCY_PROPOSE,
                _given(kind="update", headline="x", text="x"),
            ),
        )
    },
    ("GET", "/drills"): Rule(Kind.LIST, P.CONTENT_READ),
    ("POST", "/drills"): Rule(
        Kind.MAKE,
        P.EMERGENCY_WRITE,
        is_page=True,
        body=lambda p, n: {
            "title": "x",
            "area_code": p.commune,
            "day": "2099-01-01",
            "begin": "08:00",
            "end": "09:00",
        },
    ),
    ("GET", "/drills/{drill_id}"): Rule(
        Kind.READ, P.CONTENT_READ, path=lambda p: {"drill_id": p.drill}, is_content=True
    ),
    # indicators: of a unit that the query names
    ("GET", "/indicators"): Rule(Kind.FIGURES, P.READ, query=_unit),
    ("GET", "/indicators/{code}/compare"): Rule(
        Kind.FIGURES, P.READ, path=lambda p: {"code": "1.1"}, query=_unit
    ),
    **{
        ("GET", f"/indicators/{{code}}/{{variant}}{part}"): Rule(
            Kind.FIGURES, P.READ, path=lambda p: {"code": "1.1", "variant": "TH"}, query=_unit
        )
        for part in ("", "/trend", "/needs")
    },
    ("GET", "/indicators/{code}/{variant}/why/{unit}"): Rule(
        Kind.FIGURES,
        P.READ,
        path=lambda p: {"code": "1.1", "variant": "TH", "unit": p.commune},
        query=_unit,
    ),
    ("GET", "/indicators/clusters/{code}"): Rule(
        Kind.READ, P.READ, path=lambda p: {"code": p.cluster}
    ),
    ("GET", "/indicators/clusters/{code}/days/{day}"): Rule(
        Kind.READ, P.READ, path=lambda p: {"code": p.cluster, "day": "2026-01-01"}
    ),
    ("GET", "/indicators/clusters/{code}/plays/{occurrence_id}"): Rule(
        Kind.READ, P.READ, path=lambda p: {"code": p.cluster, "occurrence_id": p.occurrence}
    ),
}
"""Every page but `/events`, which does not end."""

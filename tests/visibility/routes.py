"""The table of the walk: what each route needs, and of which place it speaks.

Expected answers come from here and from the table of permissions, never from the code under test.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from broadcast.auth.permissions import Permission
from broadcast.kit import clock
from tests.callers import LAN, TAM
from tests.visibility.world import LONG_AGO, Place

P = Permission


class Kind(Enum):
    """What a route answers, depending on the place that it is asked about."""

    OPEN = "open"
    """Without a token."""
    SELF = "self"
    """Of the caller's own account; whatever is answered, it names no place."""
    LIST = "list"
    """Whoever has the permission somewhere; of his places only."""
    PUBLIC = "public"
    """As a list, of what has no place."""
    WHOLE = "whole"
    """Who has the permission in the whole province."""
    READ = "read"
    """The thing of a place: 404 where it is not visible."""
    FIGURES = "figures"
    """The same, of a unit that a query names."""
    CHANGE = "change"
    """The same; 403 where it can be read only."""
    MAKE = "make"
    """Something new in a place that the body names: 403 outside of one's own."""
    ANYWHERE = "anywhere"
    """What has no place yet: who has the permission somewhere today."""


Fill = Callable[[Place], dict[str, Any]]


@dataclass
class Rule:
    """What a route needs."""

    kind: Kind
    permission: P | None = None
    path: Fill = lambda place: {}
    query: Fill = lambda place: {}
    body: Callable[[Place, datetime], Any] | None = None
    is_content: bool = False
    """The province has such a thing as well, heard by all."""
    there: Permission | None = None
    """A further permission, asked for once the thing is seen."""
    is_absent: bool = False
    """There is none in the world: 404 for who may see it."""
    of_commune: bool = False
    """The commune decides it: not even who holds the whole province may."""
    is_form: bool = False
    """Its body is CSV files."""
    is_page: bool = False
    """Its body is a form of the console."""
    heard: bool = False
    """A village sees that of the commune that it lies in, and may not change it."""


def _code(letter: str) -> Fill:
    return lambda place: {"code": getattr(place, letter)}


device_of = _code("device")


def _heard(place: Place) -> dict[str, Any]:
    """The dissolved commune is asked about a day on which there was one."""
    on = {"on": clock.today() - timedelta(days=5)} if place.marker == "zzc" else {}
    return {"area": place.commune, **on}


def _pair(place: Place) -> dict[str, Any]:
    return {"cluster": place.cluster, "other": place.quiet}


def _air_session(place: Place) -> dict[str, Any]:
    return {"air_session_id": place.air_session}


def _outage(place: Place, now: datetime) -> dict[str, Any]:
    return {
        "kind": "maintenance", "cluster_code": place.cluster, "area_code": None,
        "starts_at": now.isoformat(), "ends_at": (now + timedelta(hours=2)).isoformat(),
    }  # fmt: skip


def _marked(place: Place, now: datetime) -> dict[str, Any]:
    """Days long ago, of which nothing is planned any more."""
    return {
        "kind": "own", "name": place.marker, "area_code": place.commune, "first_on": "2025-07-10",
        "last_on": "2025-07-10",
    }  # fmt: skip


def standing(place: Place) -> str:
    """The commune, or the one into which it was dissolved."""
    return "20004" if place.marker == "zzc" else place.commune


def _source(place: Place, now: datetime) -> dict[str, Any]:
    return {
        "name": place.marker, "area_code": place.commune, "urls": ["https://radio.example/x"],
        "fallback_bulletin_id": str(place.bulletin),
    }  # fmt: skip


def _source_of(place: Place) -> dict[str, Any]:
    return {"source_id": place.source}


def _portal(place: Place, now: datetime) -> dict[str, Any]:
    return {
        "area_code": place.commune, "name": place.marker, "url": "https://xa.example/",
        "source_url": f"https://xa.example/{place.marker}.rss", "kind": "feed",
        "valid_from": now.date().isoformat(),
    }  # fmt: skip


def _portal_of(place: Place) -> dict[str, Any]:
    return {"portal_id": place.portal, "portal_item_id": place.portal_item}


def _regulation(place: Place, now: datetime) -> dict[str, Any]:
    """A Quy chế of a day far ahead, which silences nothing."""
    on = (now + timedelta(days=300)).date().isoformat()
    return {
        "number": place.marker, "area_code": place.commune, "signed_on": "2025-07-10",
        "valid_from": on, "minutes_per_day": 90,
    }  # fmt: skip


def _station(place: Place, now: datetime) -> dict[str, Any]:
    return {
        "name": place.marker, "commune_code": place.commune, "valid_from": "2020-01-01",
        "valid_to": None,
    }  # fmt: skip


def _cluster(place: Place, now: datetime) -> dict[str, Any]:
    return {
        "name": place.marker, "plant_code": place.plant, "evidence": "telemetry",
        "installed_on": "2020-01-01", "horns_count": 2,
    }  # fmt: skip


def _villages(place: Place, now: datetime) -> dict[str, Any]:
    villages = [{"village_code": place.village, "grade": "primary"}]
    return {"valid_from": "2020-01-01", "villages": villages}


def _schedule(place: Place, now: datetime) -> dict[str, Any]:
    return {
        "bulletin_id": str(place.bulletin), "targets": [{"area": place.commune}],
        "starts_at": (now + timedelta(days=3)).isoformat(),
    }  # fmt: skip


ALERT = {"headline": "Lũ", "event": "flood", "text": "Lũ về."}


def _alert(place: Place, now: datetime) -> dict[str, Any]:
    return {**ALERT, "targets": [{"area": place.commune}]}


def _template(place: Place, now: datetime) -> dict[str, Any]:
    return {"title": "x", "event": "flood", "area_code": place.commune, "text": "Lũ về."}


def _drill(place: Place, now: datetime) -> dict[str, Any]:
    ends_at = (now + timedelta(hours=1)).isoformat()
    return {
        "title": "x", "area_code": place.commune, "starts_at": now.isoformat(), "ends_at": ends_at,
    }  # fmt: skip


def _reason(place: Place, now: datetime) -> dict[str, Any]:
    return {"reason": "x"}


def _alert_of(place: Place) -> dict[str, Any]:
    return {"alert_id": place.alert}


def _live_of(place: Place) -> dict[str, Any]:
    return {"live_id": place.live}


def _moved(place: Place, now: datetime) -> dict[str, Any]:
    return {"starts_at": (now + timedelta(days=4)).isoformat()}


def _start(now: datetime) -> datetime:
    """When the world's schedules start."""
    return (now + timedelta(days=2)).replace(second=0, microsecond=0)


def _coming(place: Place) -> dict[str, Any]:
    """The days in which the world's occurrences start."""
    return {"from": str(clock.today()), "to": str(clock.today() + timedelta(days=10))}


def _unit(place: Place) -> dict[str, Any]:
    """A unit, on a day on which there is one: `c` has ended."""
    ended = {"as_of": str(clock.today() - timedelta(days=10))} if place.marker == "zzc" else {}
    return {"scope": place.commune, **ended}


def _account(place: Place) -> dict[str, Any]:
    return {"account_id": LAN, "grant_id": place.grant}


def _nothing(place: Place, now: datetime) -> dict[str, Any]:
    return {}


def incident_of(place: Place) -> dict[str, Any]:
    return {"incident_id": place.incident}


INCIDENT_STEPS: dict[str, dict[str, Any]] = {
    "assign": {"account_id": TAM},
    "release": {},
    "notes": {"text": "x"},
    "close": {"reason": "repaired"},
    "reopen": {},
}


def _revision(name: str = "bulletin") -> Fill:
    return lambda place: {"bulletin_id": getattr(place, name), "number": 1}


CSV = {"areas": ("areas.csv", b"code,level,kind,name,parent_code,valid_from,valid_to\n")}
OUTLINES = {"boundaries": ("xa.geojson", b"{}")}
SHEET = {"files": ("clusters.csv", b"code\n")}
VILLAGES = {"villages": ("villages.csv", b"code,kind,name,commune_code,valid_from,valid_to\n")}


def _village_row(place: Place) -> dict[str, Any]:
    return {"code": place.village, "valid_from": LONG_AGO}


R, C, V = "/api/v1", "/api/v1/clusters/{code}", "/api/v1/devices/{code}"
A = "/api/v1/accounts/{account_id}"
B = "/api/v1/bulletins/{bulletin_id}/revisions/{number}"
K = Kind


def calendar_file(place: Place) -> dict[str, Any]:
    """A calendar without events for a place, as a form sends it."""
    text = b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"
    return {"area": (None, standing(place)), "calendar": ("lich.ics", text)}


ROUTES: dict[tuple[str, str], Rule] = {
    ("GET", "/healthz"): Rule(K.OPEN),
    ("GET", "/readyz"): Rule(K.OPEN),
    ("GET", "/cap/feed.atom"): Rule(K.OPEN),
    ("GET", "/calendar/{secret}/{area_code}.ics"): Rule(
        K.OPEN, path=lambda p: {"secret": "x", "area_code": p.commune}
    ),
    ("POST", f"{R}/calendar-feeds"): Rule(
        K.MAKE, P.CONTENT_READ, body=lambda p, n: {"area_code": standing(p)}
    ),
    ("POST", f"{R}/schedules/import"): Rule(
        K.MAKE, P.SCHEDULE_WRITE, body=lambda p, n: calendar_file(p), is_form=True
    ),
    ("GET", "/cap/{identifier}.xml"): Rule(K.OPEN, path=lambda p: {"identifier": "none"}),
    ("GET", "/content/{sha256}"): Rule(K.OPEN, path=lambda p: {"sha256": p.bulletin.hex * 2}),
    ("POST", f"{R}/enrolments"): Rule(K.OPEN, body=_nothing),
    ("GET", f"{R}/me"): Rule(K.SELF),
    ("GET", f"{R}/audit"): Rule(K.PUBLIC, P.AUDIT_READ),
    ("GET", f"{R}/audit/export"): Rule(K.WHOLE, P.AUDIT_READ),
    ("GET", f"{R}/restore"): Rule(K.WHOLE, P.UPKEEP_READ, is_absent=True),
    ("POST", f"{R}/restore/acceptance"): Rule(
        K.WHOLE, P.RESTORE_DECIDE, is_absent=True, body=_nothing
    ),
    ("GET", f"{R}/keys"): Rule(K.WHOLE, P.UPKEEP_READ),
    # warnings of others are for the whole province
    ("POST", f"{R}/alerts/cap"): Rule(K.WHOLE, P.ALERT_SUBMIT, body=_nothing),
    ("GET", f"{R}/alerts/cap"): Rule(K.WHOLE, P.CONTENT_READ),
    ("GET", f"{R}/alerts/cap/feeds"): Rule(K.WHOLE, P.CONTENT_READ),
    ("GET", f"{R}/alerts/cap/{{message_id}}"): Rule(
        K.WHOLE, P.CONTENT_READ, is_absent=True, path=lambda p: {"message_id": 1}
    ),
    # areas: public knowledge; changed by the province
    ("GET", f"{R}/areas"): Rule(K.PUBLIC, P.READ),
    ("GET", f"{R}/areas/{{code}}"): Rule(K.PUBLIC, P.READ, path=lambda p: {"code": "51"}),
    ("GET", f"{R}/areas/{{code}}/lineage"): Rule(K.PUBLIC, P.READ, path=_code("commune")),
    ("GET", f"{R}/areas/{{code}}/history"): Rule(K.PUBLIC, P.READ, path=_code("commune")),
    ("POST", f"{R}/areas/import"): Rule(
        K.WHOLE, P.AREA_WRITE, body=lambda p, n: CSV, is_form=True
    ),
    ("POST", f"{R}/areas/load"): Rule(
        K.WHOLE, P.AREA_WRITE, query=lambda p: {"province": "51", "dry_run": "true"}
    ),
    ("POST", f"{R}/villages/import"): Rule(
        K.WHOLE, P.AREA_WRITE, body=lambda p, n: VILLAGES, is_form=True
    ),
    ("GET", f"{R}/areas/{{code}}/map"): Rule(K.PUBLIC, P.READ, path=lambda p: {"code": "51"}),
    ("GET", f"{R}/areas/{{code}}/situation"): Rule(K.READ, P.READ, path=_code("village")),
    ("POST", f"{R}/boundaries/import"): Rule(
        K.WHOLE, P.AREA_WRITE, body=lambda p, n: OUTLINES, is_form=True
    ),
    ("GET", f"{R}/villages/unplaced"): Rule(K.PUBLIC, P.READ),
    ("GET", f"{R}/villages/{{code}}"): Rule(K.PUBLIC, P.READ, path=_code("village")),
    ("GET", f"{R}/villages/{{code}}/{{valid_from}}"): Rule(
        K.PUBLIC, P.READ, path=_village_row
    ),
    ("PUT", f"{R}/villages/{{code}}/{{valid_from}}"): Rule(
        K.WHOLE, P.AREA_WRITE, path=_village_row,
        body=lambda p, n: {"kind": "thôn", "name": p.village, "commune_code": p.commune},
    ),
    ("DELETE", f"{R}/villages/{{code}}/{{valid_from}}"): Rule(
        K.WHOLE, P.AREA_WRITE, path=_village_row
    ),
    ("POST", f"{R}/mergers"): Rule(
        K.WHOLE, P.AREA_WRITE, body=lambda p, n: {"on": (None, "2019-03-03")}, is_form=True
    ),
    # stations and plants
    ("GET", f"{R}/stations"): Rule(K.LIST, P.READ),
    ("POST", f"{R}/stations"): Rule(
        K.MAKE, P.REGISTER_WRITE, body=lambda p, n: {**_station(p, n), "code": "NEW-S"}
    ),
    ("GET", f"{R}/stations/{{code}}"): Rule(K.READ, P.READ, path=_code("station"), heard=True),
    ("PUT", f"{R}/stations/{{code}}"): Rule(
        K.CHANGE, P.REGISTER_WRITE, path=_code("station"), body=_station
    ),
    ("DELETE", f"{R}/stations/{{code}}"): Rule(
        K.CHANGE, P.REGISTER_WRITE, path=_code("station")
    ),
    ("GET", f"{R}/stations/{{code}}/states"): Rule(
        K.READ, P.READ, path=_code("station"), heard=True
    ),
    ("PUT", f"{R}/stations/{{code}}/states/{{valid_from}}"): Rule(
        K.CHANGE, P.REGISTER_WRITE, path=lambda p: {"code": p.station, "valid_from": LONG_AGO},
        body=lambda p, n: {"status": "trial", "cause": "x", "document": "x"},
    ),
    ("POST", f"{R}/stations/import"): Rule(
        K.WHOLE, P.REGISTER_WRITE, body=lambda p, n: SHEET, is_form=True
    ),
    ("POST", f"{R}/stations/follow"): Rule(
        K.WHOLE, P.REGISTER_WRITE, body=lambda p, n: {"on": (None, "2025-07-01")}, is_form=True
    ),
    ("GET", f"{R}/plants"): Rule(K.LIST, P.READ),
    ("POST", f"{R}/plants"): Rule(
        K.MAKE, P.REGISTER_WRITE,
        body=lambda p, n: {"code": "NEW-P", "name": "x", "station_code": p.station,
                           "valid_from": str(n.date()), "technologies": ["it"]},
    ),
    ("GET", f"{R}/plants/{{code}}"): Rule(K.READ, P.READ, path=_code("plant"), heard=True),
    ("PUT", f"{R}/plants/{{code}}"): Rule(
        K.CHANGE, P.REGISTER_WRITE, path=_code("plant"), body=lambda p, n: {"name": "x"}
    ),
    ("DELETE", f"{R}/plants/{{code}}"): Rule(K.CHANGE, P.REGISTER_WRITE, path=_code("plant")),
    ("GET", f"{R}/plants/{{code}}/states"): Rule(K.READ, P.READ, path=_code("plant"), heard=True),
    ("PUT", f"{R}/plants/{{code}}/states/{{valid_from}}"): Rule(
        K.CHANGE, P.REGISTER_WRITE, path=lambda p: {"code": p.plant, "valid_from": LONG_AGO},
        body=lambda p, n: {"station_code": p.station, "technologies": ["it"]},
    ),
    ("GET", f"{R}/baseline"): Rule(K.LIST, P.READ),
    ("PUT", f"{R}/baseline/{{station_code}}"): Rule(
        K.WHOLE, P.REGISTER_WRITE, path=lambda p: {"station_code": p.station},
        body=lambda p, n: {"listed_on": "2021-01-01", "technologies": ["fm"]},
    ),
    ("DELETE", f"{R}/baseline/{{station_code}}"): Rule(
        K.WHOLE, P.REGISTER_WRITE, path=lambda p: {"station_code": p.station}
    ),
    # what people say of clusters
    ("GET", f"{R}/outages"): Rule(K.LIST, P.READ),
    ("POST", f"{R}/outages"): Rule(K.MAKE, P.OUTAGE_WRITE, body=_outage),
    ("GET", f"{R}/outages/{{outage_id}}"): Rule(
        K.READ, P.READ, path=lambda p: {"outage_id": p.outage}
    ),
    ("PUT", f"{R}/outages/{{outage_id}}"): Rule(
        K.CHANGE, P.OUTAGE_WRITE, path=lambda p: {"outage_id": p.outage}, body=_outage
    ),
    ("DELETE", f"{R}/outages/{{outage_id}}"): Rule(
        K.CHANGE, P.OUTAGE_WRITE, path=lambda p: {"outage_id": p.outage}
    ),
    ("GET", f"{R}/earshot-groups"): Rule(K.LIST, P.READ),
    ("GET", f"{R}/earshot-groups/{{cluster}}"): Rule(
        K.READ, P.READ, path=lambda p: {"cluster": p.cluster}
    ),
    ("GET", f"{R}/earshot-pairs/{{cluster}}/{{other}}"): Rule(K.READ, P.READ, path=_pair),
    ("PUT", f"{R}/earshot-pairs/{{cluster}}/{{other}}"): Rule(
        K.CHANGE, P.REGISTER_WRITE, path=_pair, body=lambda p, n: {"heard": True}
    ),
    ("DELETE", f"{R}/earshot-pairs/{{cluster}}/{{other}}"): Rule(
        K.CHANGE, P.REGISTER_WRITE, path=_pair
    ),
    ("GET", f"{R}/calendar"): Rule(K.PUBLIC, P.READ),
    ("GET", f"{R}/calendar-days"): Rule(K.LIST, P.READ),
    ("POST", f"{R}/calendar-days"): Rule(K.MAKE, P.SCHEDULE_WRITE, body=_marked),
    ("POST", f"{R}/calendar-days/check"): Rule(K.MAKE, P.SCHEDULE_WRITE, body=_marked),
    ("GET", f"{R}/calendar-days/{{day_id}}/removal"): Rule(
        K.CHANGE, P.SCHEDULE_WRITE, path=lambda p: {"day_id": p.calendar_day}, heard=True
    ),
    ("GET", f"{R}/calendar-days/{{day_id}}"): Rule(
        K.READ, P.READ, path=lambda p: {"day_id": p.calendar_day}, heard=True
    ),
    ("PUT", f"{R}/calendar-days/{{day_id}}"): Rule(
        K.CHANGE, P.SCHEDULE_WRITE, path=lambda p: {"day_id": p.calendar_day}, body=_marked,
        heard=True,
    ),
    ("DELETE", f"{R}/calendar-days/{{day_id}}"): Rule(
        K.CHANGE, P.SCHEDULE_WRITE, path=lambda p: {"day_id": p.calendar_day}, heard=True
    ),
    ("GET", f"{R}/portals"): Rule(K.LIST, P.READ),
    ("POST", f"{R}/portals"): Rule(K.MAKE, P.REGISTER_WRITE, body=_portal),
    ("POST", f"{R}/portals/trials"): Rule(
        K.ANYWHERE,
        P.REGISTER_WRITE,
        body=lambda p, n: {"source_url": "https://127.0.0.1/tin.rss", "kind": "feed"},
    ),
    ("GET", f"{R}/portals/{{portal_id}}"): Rule(K.READ, P.READ, path=_portal_of, heard=True),
    ("PUT", f"{R}/portals/{{portal_id}}"): Rule(
        K.CHANGE, P.REGISTER_WRITE, path=_portal_of, body=_portal, heard=True
    ),
    ("DELETE", f"{R}/portals/{{portal_id}}"): Rule(
        K.CHANGE, P.REGISTER_WRITE, path=_portal_of, heard=True
    ),
    ("GET", f"{R}/portals/{{portal_id}}/checks"): Rule(
        K.READ, P.READ, path=_portal_of, heard=True
    ),
    ("GET", f"{R}/portals/{{portal_id}}/items"): Rule(
        K.READ, P.READ, path=_portal_of, heard=True
    ),
    ("PUT", f"{R}/portals/{{portal_id}}/items/{{portal_item_id}}"): Rule(
        K.CHANGE, P.BULLETIN_WRITE, path=_portal_of, heard=True,
        body=lambda p, n: {"is_essential": True},
    ),
    ("GET", f"{R}/portal-standings"): Rule(K.FIGURES, P.READ, query=_unit),
    ("GET", f"{R}/portal-update-rules"): Rule(K.PUBLIC, P.READ),
    ("PUT", f"{R}/portal-update-rules/{{valid_from}}"): Rule(
        K.WHOLE, P.AREA_WRITE, path=lambda p: {"valid_from": "2026-01-01"},
        body=lambda p, n: {"items": 4, "days": 30, "document": "12/QĐ"},
    ),
    ("DELETE", f"{R}/portal-update-rules/{{valid_from}}"): Rule(
        K.WHOLE, P.AREA_WRITE, path=lambda p: {"valid_from": "2026-01-01"}, is_absent=True
    ),
    ("GET", f"{R}/stream-sources"): Rule(K.LIST, P.READ),
    ("POST", f"{R}/stream-sources"): Rule(K.MAKE, P.SCHEDULE_WRITE, body=_source),
    ("GET", f"{R}/stream-sources/{{source_id}}"): Rule(
        K.READ, P.READ, path=_source_of, heard=True
    ),
    ("PUT", f"{R}/stream-sources/{{source_id}}"): Rule(
        K.CHANGE, P.SCHEDULE_WRITE, path=_source_of, body=_source, heard=True
    ),
    ("DELETE", f"{R}/stream-sources/{{source_id}}"): Rule(
        K.CHANGE, P.SCHEDULE_WRITE, path=_source_of, heard=True
    ),
    ("GET", f"{R}/stream-sources/{{source_id}}/sound"): Rule(
        K.READ, P.SCHEDULE_WRITE, path=_source_of, heard=True
    ),
    ("GET", f"{R}/stream-sources/{{source_id}}/state"): Rule(
        K.READ, P.READ, path=_source_of, heard=True
    ),
    ("GET", f"{R}/stream-warnings"): Rule(K.LIST, P.READ),
    ("GET", f"{R}/regulations"): Rule(K.LIST, P.READ),
    ("GET", f"{R}/regulations/in-force"): Rule(
        K.PUBLIC, P.READ, query=lambda p: {"area": p.commune}
    ),
    ("POST", f"{R}/regulations"): Rule(K.MAKE, P.BULLETIN_APPROVE, body=_regulation),
    ("POST", f"{R}/regulations/import"): Rule(
        K.WHOLE, P.BULLETIN_APPROVE, is_form=True,
        body=lambda p, n: {
            "regulations": ("r.csv", b"area_code,number,signed_on,valid_from\n", "text/csv")
        },
    ),
    ("POST", f"{R}/regulations/check"): Rule(K.MAKE, P.BULLETIN_APPROVE, body=_regulation),
    ("GET", f"{R}/regulations/{{regulation_id}}"): Rule(
        K.READ, P.READ, path=lambda p: {"regulation_id": p.regulation}, heard=True
    ),
    ("POST", f"{R}/regulations/{{regulation_id}}/withdrawal"): Rule(
        K.CHANGE, P.BULLETIN_APPROVE, path=lambda p: {"regulation_id": p.regulation}, heard=True
    ),
    **{
        ("POST", f"{R}/regulations/{{regulation_id}}/{step}"): Rule(
            K.CHANGE, P.BULLETIN_APPROVE, path=lambda p: {"regulation_id": p.regulation},
            body=lambda p, n: {"silences": True}, heard=True,
        )
        for step in ("withdraw", "reinstate")
    },
    ("GET", f"{R}/attestations"): Rule(K.LIST, P.READ),
    ("POST", f"{R}/attestations"): Rule(
        K.MAKE, P.ATTESTATION_WRITE,
        body=lambda p, n: {"cluster_code": p.quiet, "attested_at": "2025-07-01T08:00:00+07:00",
                           "attested_by": "Lan", "reference": "x"},
    ),
    ("GET", f"{R}/attestations/{{attestation_id}}"): Rule(
        K.READ, P.READ, path=lambda p: {"attestation_id": p.attestation}
    ),
    ("DELETE", f"{R}/attestations/{{attestation_id}}"): Rule(
        K.CHANGE, P.ATTESTATION_WRITE, path=lambda p: {"attestation_id": p.attestation}
    ),
    # devices
    ("GET", f"{R}/devices"): Rule(K.LIST, P.READ),
    ("POST", f"{R}/devices"): Rule(
        K.ANYWHERE, P.DEVICE_WRITE, body=lambda p, n: {"code": "NEW-D", "codecs": ["opus"]}
    ),
    ("GET", V): Rule(K.READ, P.READ, path=_code("device")),
    ("PUT", V): Rule(
        K.CHANGE, P.DEVICE_WRITE, path=_code("device"), body=lambda p, n: {"codecs": ["opus"]}
    ),
    ("DELETE", V): Rule(K.CHANGE, P.DEVICE_WRITE, path=_code("device")),
    ("GET", f"{V}/installations"): Rule(K.READ, P.READ, path=_code("device")),
    ("POST", f"{R}/devices/import"): Rule(
        K.WHOLE, P.DEVICE_WRITE, body=lambda p, n: SHEET, is_form=True
    ),
    ("POST", f"{R}/devices/claims"): Rule(
        K.CHANGE, P.DEVICE_WRITE, body=lambda p, n: {"codes": [p.device]}
    ),
    ("POST", f"{V}/claim"): Rule(K.CHANGE, P.DEVICE_WRITE, path=_code("device")),
    ("POST", f"{V}/certificate"): Rule(
        K.CHANGE, P.DEVICE_WRITE, path=_code("device"), body=lambda p, n: {"csr": "x"}
    ),
    ("POST", f"{V}/password"): Rule(K.CHANGE, P.DEVICE_WRITE, path=_code("device")),
    ("GET", f"{V}/credentials"): Rule(K.READ, P.READ, path=_code("device")),
    ("DELETE", f"{V}/credentials"): Rule(K.CHANGE, P.DEVICE_WRITE, path=_code("device")),
    ("POST", f"{V}/commands"): Rule(
        K.CHANGE, P.COMMAND_SEND, path=_code("device"), body=lambda p, n: {"kind": "reboot"}
    ),
    ("GET", f"{R}/commands"): Rule(K.LIST, P.READ),
    ("GET", f"{R}/commands/{{command_id}}"): Rule(
        K.READ, P.READ, path=lambda p: {"command_id": p.command}
    ),
    ("GET", f"{R}/presence"): Rule(K.LIST, P.READ),
    ("GET", f"{V}/presence"): Rule(K.READ, P.READ, path=_code("device")),
    ("GET", f"{V}/presence/changes"): Rule(K.READ, P.READ, path=_code("device")),
    ("GET", f"{R}/faults"): Rule(K.LIST, P.READ),
    ("GET", f"{R}/dead-letters"): Rule(K.WHOLE, P.UPKEEP_READ),
    ("GET", f"{V}/health"): Rule(K.READ, P.READ, path=_code("device")),
    ("GET", f"{V}/chart"): Rule(K.READ, P.READ, path=_code("device")),
    ("GET", f"{R}/refusals"): Rule(K.LIST, P.READ),
    ("GET", f"{R}/fleet"): Rule(K.LIST, P.READ),
    ("GET", f"{R}/fleet/summary"): Rule(K.LIST, P.READ),
    # clusters
    ("GET", f"{C}/history"): Rule(K.READ, P.READ, path=_code("cluster")),
    ("POST", f"{C}/device"): Rule(
        K.CHANGE, P.DEVICE_WRITE, path=_code("cluster"), body=lambda p, n: {"device": p.device}
    ),
    ("DELETE", f"{C}/device"): Rule(K.CHANGE, P.DEVICE_WRITE, path=_code("cluster")),
    ("GET", f"{R}/clusters"): Rule(K.LIST, P.READ),
    ("POST", f"{R}/clusters"): Rule(
        K.MAKE, P.REGISTER_WRITE,
        body=lambda p, n: {**_cluster(p, n), "code": "NEW-K",
                           "villages": _villages(p, n)["villages"]},
    ),
    ("GET", C): Rule(K.READ, P.READ, path=_code("cluster")),
    ("PUT", C): Rule(K.CHANGE, P.REGISTER_WRITE, path=_code("cluster"), body=_cluster),
    ("DELETE", C): Rule(K.CHANGE, P.REGISTER_WRITE, path=_code("cluster")),
    ("GET", f"{C}/villages"): Rule(K.READ, P.READ, path=_code("cluster")),
    ("PUT", f"{C}/villages"): Rule(
        K.CHANGE, P.REGISTER_WRITE, path=_code("cluster"), body=_villages
    ),
    # emergencies
    ("GET", f"{R}/alerts"): Rule(K.LIST, P.CONTENT_READ),
    ("POST", f"{R}/alerts"): Rule(K.MAKE, P.EMERGENCY_PROPOSE, body=_alert),
    ("GET", f"{R}/alerts/{{alert_id}}"): Rule(
        K.READ, P.CONTENT_READ, path=_alert_of, is_content=True
    ),
    ("GET", f"{R}/alerts/{{alert_id}}/board"): Rule(  # none of them was authorised
        K.READ, P.CONTENT_READ, path=_alert_of, is_content=True, is_absent=True
    ),
    **{
        ("POST", f"{R}/alerts/{{alert_id}}/{step}"): Rule(
            K.CHANGE, permission, path=_alert_of, body=body, is_content=True
        )
        for step, permission, body in (
            ("propose", P.EMERGENCY_PROPOSE, None),
            ("authorise", P.EMERGENCY_WRITE, None),
            ("authorise-alone", P.EMERGENCY_ALONE, _reason),
            ("cancel", P.EMERGENCY_PROPOSE, _reason),
            ("debrief", P.EMERGENCY_WRITE, _reason),
            ("replacements", P.EMERGENCY_PROPOSE, lambda p, n: {"headline": "x", "text": "x"}),
        )
    },
    ("GET", f"{R}/live-sessions"): Rule(K.LIST, P.CONTENT_READ),
    ("POST", f"{R}/live-sessions"): Rule(
        K.MAKE,
        P.LIVE_SPEAK,
        body=lambda p, n: {"title": "x", "targets": [{"area": p.commune}]},
    ),
    ("GET", f"{R}/live-sessions/{{live_id}}"): Rule(
        K.READ, P.CONTENT_READ, path=_live_of, is_content=True
    ),
    ("POST", f"{R}/live-sessions/{{live_id}}/end"): Rule(
        K.CHANGE, P.LIVE_SPEAK, path=_live_of, is_content=True
    ),
    ("GET", f"{R}/alert-templates"): Rule(K.LIST, P.CONTENT_READ),
    ("POST", f"{R}/alert-templates"): Rule(K.MAKE, P.EMERGENCY_PROPOSE, body=_template),
    ("GET", f"{R}/alert-templates/{{template_id}}"): Rule(
        K.READ, P.CONTENT_READ, path=lambda p: {"template_id": p.template}, is_content=True
    ),
    ("POST", f"{R}/alert-templates/{{template_id}}/withdraw"): Rule(
        K.CHANGE, P.EMERGENCY_WRITE, path=lambda p: {"template_id": p.template}, is_content=True
    ),
    ("GET", f"{R}/drills"): Rule(K.LIST, P.CONTENT_READ),
    ("POST", f"{R}/drills"): Rule(K.MAKE, P.EMERGENCY_WRITE, body=_drill),
    **{
        ("GET", f"{R}/drills/{{drill_id}}{part}"): Rule(
            K.READ, P.CONTENT_READ, path=lambda p: {"drill_id": p.drill}, is_content=True
        )
        for part in ("", "/report")
    },
    ("POST", f"{R}/drills/{{drill_id}}/cancel"): Rule(
        K.CHANGE, P.EMERGENCY_WRITE, path=lambda p: {"drill_id": p.drill}, is_content=True
    ),
    ("GET", f"{R}/areas/{{code}}/contact"): Rule(K.READ, P.CONTENT_READ, path=_code("village")),
    ("PUT", f"{R}/areas/{{code}}/contact"): Rule(
        K.MAKE, P.OUTAGE_WRITE, path=_code("village"),
        body=lambda p, n: {"name": "Ba", "phone": "0900 000 000"},
    ),
    # incidents, plays, indicators
    ("GET", f"{R}/incidents"): Rule(K.LIST, P.READ),
    ("GET", f"{R}/incidents/work-list"): Rule(K.LIST, P.READ),
    **{
        ("GET", f"{R}/incidents/{{incident_id}}/{part}"): Rule(K.READ, P.READ, path=incident_of)
        for part in ("history", "commands", "handlers")
    },
    **{
        ("POST", f"{R}/incidents/{{incident_id}}/{step}"): Rule(
            K.CHANGE, P.INCIDENT_WRITE, path=incident_of, body=lambda p, n, given=given: given
        )
        for step, given in INCIDENT_STEPS.items()
    },
    ("GET", f"{R}/incidents/{{incident_id}}"): Rule(
        K.READ, P.READ, path=incident_of
    ),
    ("GET", f"{R}/plays"): Rule(
        K.LIST, P.READ, query=lambda p: {"from": "2020-01-01", "to": "2099-01-01"}
    ),
    ("GET", f"{R}/plays/clashes"): Rule(K.LIST, P.READ),
    ("GET", f"{R}/plays/occurrences"): Rule(K.LIST, P.READ, query=_coming),
    ("GET", f"{R}/plays/summary"): Rule(K.PUBLIC, P.READ),
    ("GET", f"{R}/plays/{{occurrence_id}}/{{cluster}}/explain"): Rule(
        K.READ, P.READ, path=lambda p: {"occurrence_id": p.occurrence, "cluster": p.cluster}
    ),
    ("GET", f"{R}/occurrences/{{occurrence_id}}/forecast"): Rule(
        K.READ, P.READ, path=lambda p: {"occurrence_id": p.occurrence}
    ),
    ("GET", f"{R}/occurrences/{{occurrence_id}}/certificate"): Rule(
        K.READ, P.CONTENT_READ, path=lambda p: {"occurrence_id": p.occurrence}
    ),
    ("GET", f"{R}/occurrences/{{occurrence_id}}/result"): Rule(
        K.READ, P.READ, path=lambda p: {"occurrence_id": p.occurrence}
    ),
    ("GET", f"{R}/indicators"): Rule(K.FIGURES, P.READ, query=_unit),
    ("GET", f"{R}/indicators/restatements"): Rule(K.WHOLE, P.READ),
    ("GET", f"{R}/indicators/{{code}}/{{variant}}"): Rule(
        K.FIGURES, P.READ, path=lambda p: {"code": "1.1", "variant": "TH"},
        query=_unit,
    ),
    ("GET", f"{R}/indicators/{{code}}/compare"): Rule(
        K.FIGURES, P.READ, path=lambda p: {"code": "1.1"}, query=_unit
    ),
    **{
        ("GET", f"{R}/indicators/{{code}}/{{variant}}/{part}"): Rule(
            K.FIGURES, P.READ, path=lambda p: {"code": "1.1", "variant": "TH"}, query=_unit
        )
        for part in ("trend", "needs")
    },
    ("GET", f"{R}/indicators/{{code}}/{{variant}}/why/{{unit}}"): Rule(
        K.FIGURES, P.READ,
        path=lambda p: {"code": "1.1", "variant": "TH", "unit": p.commune}, query=_unit,
    ),
    ("GET", f"{R}/clusters/{{cluster}}/operation"): Rule(
        K.READ, P.READ, path=lambda p: {"cluster": p.cluster}
    ),
    ("GET", f"{R}/village-exclusions"): Rule(K.LIST, P.READ),
    ("POST", f"{R}/village-exclusions"): Rule(
        K.WHOLE, P.AREA_WRITE,
        body=lambda p, n: {"village_code": "V-1", "valid_from": "2025-07-01", "document": "x"},
    ),
    ("GET", f"{R}/village-exclusions/{{village_code}}/{{valid_from}}"): Rule(
        K.READ, P.READ, path=lambda p: {"village_code": p.village, "valid_from": LONG_AGO}
    ),
    ("PATCH", f"{R}/village-exclusions/{{village_code}}/{{valid_from}}"): Rule(
        K.WHOLE, P.AREA_WRITE,
        path=lambda p: {"village_code": p.village, "valid_from": LONG_AGO},
        body=lambda p, n: {"valid_to": "2025-07-01"},
    ),
    ("GET", f"{R}/upkeep"): Rule(K.WHOLE, P.UPKEEP_READ),
    # content
    ("GET", f"{R}/bulletins"): Rule(K.LIST, P.CONTENT_READ),
    ("POST", f"{R}/bulletins"): Rule(
        K.MAKE, P.BULLETIN_WRITE,
        body=lambda p, n: {"title": "x", "class": "normal", "area_code": p.commune, "text": "x"},
    ),
    ("GET", f"{R}/bulletins/{{bulletin_id}}"): Rule(
        K.READ, P.CONTENT_READ, path=lambda p: {"bulletin_id": p.bulletin}, is_content=True
    ),
    **{
        (method, f"{R}/bulletin-drafts/{{page}}{rest}"): Rule(
            K.SELF, P.BULLETIN_WRITE, path=lambda p: {"page": "new"},
            body=_nothing if method in {"PUT", "POST"} else None,
        )
        for method, rest in (
            *(("GET", ""), ("PUT", ""), ("DELETE", "")),
            *(("GET", "/sound"), ("DELETE", "/sound"), ("PUT", "/sound/trim")),
            ("PUT", "/composition"),
            *(("GET", "/sound/audio"), ("POST", "/recording"), ("POST", "/reading")),
            ("POST", "/revision"),
        )
    },
    ("GET", f"{B}/outline"): Rule(K.READ, P.CONTENT_READ, path=_revision(), is_content=True),
    ("POST", f"{R}/bulletins/{{bulletin_id}}/copies"): Rule(
        K.MAKE, P.BULLETIN_WRITE, path=lambda p: {"bulletin_id": p.bulletin},
        body=lambda p, n: {"area_code": p.commune},
    ),
    ("GET", f"{B}/audio"): Rule(K.READ, P.CONTENT_READ, path=_revision(), is_content=True),
    ("POST", f"{R}/bulletins/{{bulletin_id}}/revisions"): Rule(
        K.CHANGE, P.BULLETIN_WRITE, path=lambda p: {"bulletin_id": p.bulletin},
        body=lambda p, n: {"text": "x"}, is_content=True,
    ),
    ("GET", B): Rule(K.READ, P.CONTENT_READ, path=_revision(), is_content=True),
    ("GET", f"{B}/preparation"): Rule(
        K.READ, P.CONTENT_READ, path=_revision(), is_content=True
    ),
    ("DELETE", f"{B}/preparation"): Rule(
        K.CHANGE, P.BULLETIN_WRITE, path=_revision(), is_content=True
    ),
    ("GET", f"{B}/withdrawal"): Rule(K.READ, P.CONTENT_READ, path=_revision(), is_content=True),
    ("POST", f"{B}/schedules"): Rule(
        K.CHANGE, P.SCHEDULE_WRITE, path=_revision(), is_content=True
    ),
    ("POST", f"{B}/{{action}}"): Rule(
        K.CHANGE, P.BULLETIN_WRITE, path=lambda p: {**_revision("draft")(p), "action": "approve"},
        there=P.BULLETIN_APPROVE,
    ),
    ("GET", f"{R}/lexicon"): Rule(
        K.READ, P.CONTENT_READ, query=lambda p: {"area": p.commune}, is_content=True
    ),
    ("GET", f"{R}/lexicon/{{area}}/{{written}}"): Rule(
        K.READ, P.CONTENT_READ, is_content=True,
        path=lambda p: {"area": p.commune, "written": f"từ{p.marker}"},
    ),
    ("PUT", f"{R}/lexicon/{{area}}/{{written}}"): Rule(
        K.MAKE, P.BULLETIN_WRITE, body=lambda p, n: {"spoken": "x"},
        path=lambda p: {"area": p.commune, "written": "mới"},
    ),
    ("DELETE", f"{R}/lexicon/{{area}}/{{written}}"): Rule(
        K.MAKE, P.BULLETIN_WRITE,
        path=lambda p: {"area": p.commune, "written": f"từ{p.marker}"},
    ),
    ("GET", f"{R}/approval-rules"): Rule(
        K.PUBLIC, P.CONTENT_READ, query=lambda p: {"area": p.commune}
    ),
    ("PUT", f"{R}/approval-rules/{{area}}/{{valid_from}}"): Rule(
        K.MAKE, P.BULLETIN_APPROVE, body=lambda p, n: {"second_person": False},
        path=lambda p: {"area": p.commune, "valid_from": clock.today() + timedelta(days=1)},
    ),
    ("GET", f"{R}/air-sessions"): Rule(K.LIST, P.CONTENT_READ),
    ("POST", f"{R}/air-sessions"): Rule(
        K.MAKE, P.SCHEDULE_WRITE,
        body=lambda p, n: {"area_code": p.commune, "name": "Buổi sáng", "seconds": 600,
                           "starts_at": (n + timedelta(days=1)).isoformat()},
    ),
    ("GET", f"{R}/air-sessions/{{air_session_id}}"): Rule(
        K.READ, P.CONTENT_READ, path=_air_session, is_content=True
    ),
    ("PATCH", f"{R}/air-sessions/{{air_session_id}}"): Rule(
        K.CHANGE, P.SCHEDULE_WRITE, path=_air_session, is_content=True,
        body=lambda p, n: {"name": p.marker},
    ),
    ("GET", f"{R}/air-sessions/{{air_session_id}}/days"): Rule(
        K.READ, P.CONTENT_READ, path=_air_session, is_content=True
    ),
    ("POST", f"{R}/air-sessions/{{air_session_id}}/end"): Rule(
        K.CHANGE, P.SCHEDULE_WRITE, path=_air_session, is_content=True
    ),
    ("POST", f"{R}/play-now"): Rule(
        K.MAKE, P.SCHEDULE_WRITE,
        body=lambda p, n: {"bulletin_id": str(p.bulletin), "targets": [{"area": p.commune}]},
    ),
    ("GET", f"{R}/heard"): Rule(
        K.FIGURES, P.CONTENT_READ, query=_heard
    ),
    ("GET", f"{R}/inbox-items"): Rule(K.LIST, P.CONTENT_READ),
    ("POST", f"{R}/inbox-items"): Rule(
        K.MAKE, P.SCHEDULE_WRITE,
        body=lambda p, n: {"bulletin_id": str(p.bulletin), "areas": [p.commune],
                           "useful_until": (n + timedelta(days=3)).isoformat()},
    ),
    ("GET", f"{R}/inbox-items/{{item_id}}"): Rule(
        K.READ, P.CONTENT_READ, path=lambda p: {"item_id": p.item}
    ),
    **{
        ("POST", f"{R}/inbox-items/{{item_id}}/{step}"): Rule(
            K.CHANGE, P.SCHEDULE_WRITE, path=lambda p: {"item_id": p.item}, of_commune=True,
            body=lambda p, n, body=body: body,
        )
        for step, body in (("decline", {"reason": "x"}), ("pick", {}))
    },
    ("GET", f"{R}/inbox-items/{{item_id}}/order"): Rule(
        K.READ, P.CONTENT_READ, path=lambda p: {"item_id": p.item}, is_absent=True
    ),
    ("PUT", f"{R}/inbox-items/{{item_id}}/order"): Rule(
        K.CHANGE, P.SCHEDULE_WRITE, path=lambda p: {"item_id": p.item}, of_commune=True,
        is_absent=True, body=lambda p, n: {"source_first": True},
    ),
    ("GET", f"{R}/village-languages"): Rule(K.PUBLIC, P.READ),
    ("GET", f"{R}/village-languages/{{code}}"): Rule(K.PUBLIC, P.READ, path=_code("village")),
    ("PUT", f"{R}/village-languages/{{code}}"): Rule(
        K.MAKE, P.AREA_WRITE, path=_code("village"),
        body=lambda p, n: {"languages": [{"language": "hre"}]},
    ),
    ("POST", f"{R}/village-languages/import"): Rule(
        K.WHOLE, P.AREA_WRITE, is_form=True,
        body=lambda p, n: {
            "village_languages": ("v.csv", b"code,languages,valid_from\n", "text/csv")
        },
    ),
    ("POST", f"{R}/readers/import"): Rule(
        K.WHOLE, P.ACCOUNT_WRITE, is_form=True,
        body=lambda p, n: {"readers": ("r.csv", b"name,languages\n", "text/csv")},
    ),
    ("PUT", f"{R}/accounts/{{account_id}}/languages"): Rule(
        K.WHOLE, P.ACCOUNT_WRITE, path=lambda p: {"account_id": TAM},
        body=lambda p, n: {"languages": ["hre"]},
    ),
    ("GET", f"{R}/bulletins/{{bulletin_id}}/withdrawn-starts"): Rule(
        K.READ, P.CONTENT_READ, path=lambda p: {"bulletin_id": p.bulletin}, is_content=True
    ),
    ("GET", f"{R}/bulletins/{{bulletin_id}}/versions"): Rule(
        K.READ, P.CONTENT_READ, path=lambda p: {"bulletin_id": p.bulletin}, is_content=True
    ),
    ("POST", f"{R}/bulletins/{{bulletin_id}}/versions"): Rule(
        K.CHANGE, P.BULLETIN_WRITE, path=lambda p: {"bulletin_id": p.bulletin}, is_content=True,
        body=lambda p, n: {"language": "hre", "reader_id": LAN,
                           "due_at": (n + timedelta(days=3)).isoformat()},
    ),
    ("POST", f"{R}/bulletins/{{bulletin_id}}/confirmation"): Rule(
        K.CHANGE, P.BULLETIN_APPROVE, path=lambda p: {"bulletin_id": p.bulletin}, is_content=True,
        body=lambda p, n: {"revision": 1, "original_revision": 1},
    ),
    ("GET", f"{R}/version-requests"): Rule(K.LIST, P.CONTENT_READ),
    ("DELETE", f"{R}/version-requests/{{request_id}}"): Rule(
        K.CHANGE, P.BULLETIN_WRITE, path=lambda p: {"request_id": p.version_request}
    ),
    ("GET", f"{R}/occurrences/{{occurrence_id}}/languages"): Rule(
        K.READ, P.CONTENT_READ, path=lambda p: {"occurrence_id": p.occurrence}, is_content=True
    ),
    ("GET", f"{R}/languages-served"): Rule(K.PUBLIC, P.CONTENT_READ),
    ("GET", f"{R}/languages-served.csv"): Rule(K.PUBLIC, P.CONTENT_READ),
    ("GET", f"{R}/inbox-compliance"): Rule(K.PUBLIC, P.CONTENT_READ),
    ("GET", f"{R}/inbox-compliance.csv"): Rule(K.PUBLIC, P.CONTENT_READ),
    ("GET", f"{R}/authority-orders"): Rule(K.PUBLIC, P.CONTENT_READ),
    ("PUT", f"{R}/authority-orders/{{valid_from}}"): Rule(
        K.WHOLE, P.EMERGENCY_WRITE,
        path=lambda p: {"valid_from": clock.today() + timedelta(days=1)},
        body=lambda p, n: {"levels": ["province", "district", "commune"]},
    ),
    ("GET", f"{R}/accounts"): Rule(K.WHOLE, P.ACCOUNT_WRITE),
    ("GET", f"{R}/tokens"): Rule(K.WHOLE, P.ACCOUNT_WRITE),
    ("POST", f"{R}/accounts"): Rule(
        K.WHOLE, P.ACCOUNT_WRITE, body=lambda p, n: {"name": "Nguyễn Thị Mới"}
    ),
    ("GET", A): Rule(K.WHOLE, P.ACCOUNT_WRITE, path=_account),
    ("PUT", A): Rule(
        K.WHOLE, P.ACCOUNT_WRITE, path=_account, body=lambda p, n: {"name": "Lan", "state": "x"}
    ),
    ("GET", f"{A}/grants"): Rule(K.WHOLE, P.ACCOUNT_WRITE, path=_account),
    ("POST", f"{A}/grants"): Rule(
        K.WHOLE, P.ACCOUNT_WRITE, path=_account, body=lambda p, n: {"role": "x"}
    ),
    ("GET", f"{A}/grants/{{grant_id}}"): Rule(K.WHOLE, P.ACCOUNT_WRITE, path=_account),
    ("DELETE", f"{A}/grants/{{grant_id}}"): Rule(K.WHOLE, P.ACCOUNT_WRITE, path=_account),
    ("GET", f"{A}/tokens"): Rule(K.SELF, path=_account),
    ("POST", f"{A}/tokens"): Rule(K.SELF, path=_account, body=_nothing),
    ("POST", f"{A}/invitation"): Rule(K.WHOLE, P.ACCOUNT_WRITE, path=_account),
    ("DELETE", f"{A}/sessions"): Rule(K.WHOLE, P.ACCOUNT_WRITE, path=_account),
    ("GET", f"{A}/identities"): Rule(K.WHOLE, P.ACCOUNT_WRITE, path=_account),
    ("POST", f"{A}/identities"): Rule(  # no provider is configured here
        K.WHOLE, P.ACCOUNT_WRITE, path=_account, body=lambda p, n: {"subject": "u-1"},
        is_absent=True,
    ),
    ("DELETE", f"{A}/identities/{{identity_id}}"): Rule(
        K.WHOLE, P.ACCOUNT_WRITE, path=lambda p: _account(p) | {"identity_id": 1}, is_absent=True
    ),
    ("GET", f"{R}/grants/proposals"): Rule(K.WHOLE, P.ACCOUNT_WRITE),
    ("POST", f"{R}/grants/proposals/{{grant_id}}/{{area_code}}/confirm"): Rule(
        K.WHOLE, P.ACCOUNT_WRITE, path=lambda p: {"grant_id": p.grant, "area_code": "20004"}
    ),
    ("POST", f"{R}/grants/proposals/{{grant_id}}/{{area_code}}/refuse"): Rule(
        K.WHOLE, P.ACCOUNT_WRITE, path=lambda p: {"grant_id": p.grant, "area_code": "20004"}
    ),
    ("POST", f"{R}/speech/words"): Rule(
        K.READ, P.CONTENT_READ, is_content=True,
        body=lambda p, n: {"area_code": p.commune, "text": "xin chào"},
    ),
    ("POST", f"{R}/schedules"): Rule(K.MAKE, P.SCHEDULE_WRITE, body=_schedule),
    ("GET", f"{R}/schedules"): Rule(K.LIST, P.CONTENT_READ),
    ("POST", f"{R}/schedules/preview"): Rule(K.MAKE, P.SCHEDULE_WRITE, body=_schedule),
    ("POST", f"{R}/schedules/check"): Rule(K.MAKE, P.SCHEDULE_WRITE, body=_schedule),
    ("POST", f"{R}/schedules/free-times"): Rule(
        K.MAKE, P.SCHEDULE_WRITE,
        body=lambda p, n: {"bulletin_id": str(p.bulletin), "targets": [{"area": p.commune}]},
    ),
    ("POST", f"{R}/schedules/{{schedule_id}}/check"): Rule(
        K.CHANGE, P.SCHEDULE_WRITE, path=lambda p: {"schedule_id": p.schedule}, body=_moved,
        is_content=True,
    ),
    ("GET", f"{R}/schedules/{{schedule_id}}/withdrawal"): Rule(
        K.READ, P.CONTENT_READ, path=lambda p: {"schedule_id": p.schedule}, is_content=True
    ),
    ("GET", f"{R}/schedules/{{schedule_id}}/starts"): Rule(
        K.READ, P.CONTENT_READ, path=lambda p: {"schedule_id": p.schedule}, is_content=True
    ),
    ("POST", f"{R}/schedules/{{schedule_id}}/starts"): Rule(
        K.CHANGE, P.SCHEDULE_WRITE, path=lambda p: {"schedule_id": p.schedule},
        body=lambda p, n: _moved(p, n) | {"recurrence_at": _start(n).isoformat()}, is_content=True,
    ),
    ("POST", f"{R}/schedules/{{schedule_id}}/reinstate"): Rule(
        K.CHANGE, P.SCHEDULE_WRITE, path=lambda p: {"schedule_id": p.schedule}, is_content=True
    ),
    ("POST", f"{R}/occurrences/{{occurrence_id}}/check"): Rule(
        K.CHANGE, P.SCHEDULE_WRITE, path=lambda p: {"occurrence_id": p.occurrence}, body=_moved,
        is_content=True,
    ),
    ("POST", f"{R}/occurrences/{{occurrence_id}}/reinstate"): Rule(
        K.CHANGE, P.SCHEDULE_WRITE, path=lambda p: {"occurrence_id": p.occurrence},
        is_content=True,
    ),
    ("GET", f"{R}/schedules/{{schedule_id}}"): Rule(
        K.READ, P.CONTENT_READ, path=lambda p: {"schedule_id": p.schedule}, is_content=True
    ),
    ("PATCH", f"{R}/schedules/{{schedule_id}}"): Rule(
        K.CHANGE, P.SCHEDULE_WRITE, path=lambda p: {"schedule_id": p.schedule}, body=_moved,
        is_content=True,
    ),
    ("POST", f"{R}/schedules/{{schedule_id}}/split"): Rule(
        K.CHANGE, P.SCHEDULE_WRITE, path=lambda p: {"schedule_id": p.schedule},
        body=lambda p, n: {"from": n.isoformat()}, is_content=True,
    ),
    ("POST", f"{R}/schedules/{{schedule_id}}/withdraw"): Rule(
        K.CHANGE, P.SCHEDULE_WRITE, path=lambda p: {"schedule_id": p.schedule}, is_content=True
    ),
    ("GET", f"{R}/occurrences"): Rule(K.LIST, P.CONTENT_READ),
    ("GET", f"{R}/occurrences/{{occurrence_id}}"): Rule(
        K.READ, P.CONTENT_READ, path=lambda p: {"occurrence_id": p.occurrence}, is_content=True
    ),
    ("PATCH", f"{R}/occurrences/{{occurrence_id}}"): Rule(
        K.CHANGE, P.SCHEDULE_WRITE, path=lambda p: {"occurrence_id": p.occurrence}, body=_moved,
        is_content=True,
    ),
}  # fmt: skip
"""What every route of the description needs, but those below `OF_THE_CALLER`."""

OF_THE_CALLER = tuple(f"{R}/{name}" for name in ("sign-in", "setup", "session", "tokens/"))
"""Signing in, and the account, sessions, second factors and tokens of who asks: of no place."""

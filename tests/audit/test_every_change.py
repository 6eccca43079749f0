"""Every route that changes something leaves one entry in the audit, and none when it fails.

A walk over the routes of the application: whoever adds one adds a request here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pyotp
import sqlalchemy as sa
from fastapi.routing import iter_route_contexts
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.accounts.people import create_with_token
from broadcast.areas.imports import official_files
from broadcast.audit.entry import Outcome
from broadcast.auth.model import Account
from broadcast.auth.permissions import Role
from broadcast.auth.routing import Route
from broadcast.auth.session import CSRF_HEADER
from broadcast.bulletins.model import Revision, RevisionState
from broadcast.bulletins.revision_audio import attach_audio
from broadcast.devices.model import Device
from broadcast.incidents.causes import Cause as Likely
from broadcast.incidents.grouping import Kind
from broadcast.incidents.model import Incident
from broadcast.kit import clock, db
from broadcast.portals.model import PortalItem
from broadcast.restore.model import Cause, Restore
from broadcast.schedules.model import Occurrence, OccurrenceState
from broadcast.wire.fields import BulletinClass
from tests.accounts.authenticator import Authenticator
from tests.accounts.browser import OTHER_PASSWORD, PASSWORD, invited
from tests.alerts.cap.messages import alert
from tests.audit.world import World
from tests.boundaries.maps import feature, geojson, square
from tests.bulletins import make
from tests.enrolment.fleet import csr, p256
from tests.inbox.conftest import place_all
from tests.schedules import province
from tests.stations import sample
from tests.web.routes import application

AFTER_A_MERGER = {
    f"POST /api/v1/grants/proposals/{{grant_id}}/{{area_code}}/{answer}"
    for answer in ("confirm", "refuse")
}
"""Possible only where communes have merged since a grant; `Route` asks `Session` of them, too."""
DRAFT = "/api/v1/bulletin-drafts/{page}"
CHANGE_NOTHING = {
    *(f"{method} {DRAFT}" for method in ("PUT", "DELETE")),
    *(f"POST {DRAFT}/{name}" for name in ("recording", "reading")),
    *(f"DELETE {DRAFT}/sound", f"PUT {DRAFT}/sound/trim", f"PUT {DRAFT}/composition"),
    "POST /api/v1/schedules/preview",
    "POST /api/v1/schedules/check",
    "POST /api/v1/calendar-days/check",
    "POST /api/v1/regulations/check",
    "POST /api/v1/portals/trials",
    "POST /api/v1/regulations/{regulation_id}/withdrawal",
    "POST /api/v1/schedules/free-times",
    "POST /api/v1/schedules/{schedule_id}/check",
    "POST /api/v1/occurrences/{occurrence_id}/check",
    "POST /api/v1/speech/words",
    "POST /api/v1/sign-in/passkey/options",
    "POST /api/v1/session/passkeys/options",
    "POST /api/v1/session/second-factor/passkey/options",
}
OUTAGE = {
    "kind": "power_cut", "area_code": "21253", "starts_at": "2024-12-28T07:00:00+07:00",
    "ends_at": "2024-12-28T11:30:00+07:00",
}  # fmt: skip
MARKED = {
    "kind": "mourning", "name": "Quốc tang", "area_code": "21253", "first_on": "2024-12-28",
    "last_on": "2024-12-29",
}  # fmt: skip
REGULATION = {
    "area_code": "21253", "number": "12/QC-UBND", "signed_on": "2024-12-20",
    "valid_from": "2024-12-30", "minutes_per_day": 90,
}  # fmt: skip
STATION = {
    "name": "Đài Sơn Tịnh", "commune_code": "21157", "valid_from": "2024-01-01",
}  # fmt: skip
CLUSTER = {"name": "Đình làng", "plant_code": "P-1", "installed_on": "2024-06-01"}
SERVES = [{"village_code": "T-1"}]
PLANT = {"station_code": "S-1", "technologies": ["fm"]}
INSTALLED = {"device": "D-9", "installed_at": "2024-12-27T08:00:00+07:00"}
NEW_UNIT = "21000,commune,xã,Xã Thử,522,2020-03-01,2024-12-31\n"
DAY_OFF = (
    "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:Nghỉ lễ\r\n"
    "DTSTART;VALUE=DATE:20241229\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
).encode()
OUTLINE = ("xa.geojson", geojson([feature("21262", square(0))]))
VILLAGE = {"kind": "thôn", "name": "Thôn Mới", "commune_code": "21253"}
TEXT = {
    "text": "Kính thưa bà con.",
    "title": "Tiêm phòng",
    "class": "normal",
    "area_code": "21262",
}


def csv(name: str, text: str) -> dict[str, Any]:
    return {"files": {name: (f"{name}.csv", text.encode(), "text/csv")}}


def changing() -> Iterator[str]:
    for each in iter_route_contexts(application().routes):
        route = getattr(each, "original_route", None) or each
        methods = set(each.methods or ()) - {"GET", "HEAD"}
        if isinstance(route, Route) and not route.include_in_schema:
            continue  # a page: `tests/console/test_frame.py`
        yield from (f"{method} {each.path}" for method in methods)
        assert not methods or isinstance(route, Route), each.path


ALL = frozenset(changing())


class Walk:
    """Does each change once, and looks at what the audit says of it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.done: set[str] = set()
        self.answer: Any = None

    async def do(self, template: str, path: str = "", who: str = "Quản", **more: Any) -> Any:
        method, _, pattern = template.partition(" ")
        before = len(await self.world.entries())
        answer = await self.world.call(method, path or pattern, who, **more)
        assert answer.status_code < 300, f"{template}: {answer.text}"
        self.answer = answer
        new = (await self.world.entries())[before:]
        route = f"{method} /api/v1{pattern}"
        assert [(each.action, each.who.name, each.outcome) for each in new] == [
            (route, who, Outcome.DONE)
        ]
        (entry,) = new
        assert entry.title
        assert entry.object == f"/api/v1{(path or pattern).partition('?')[0]}"
        assert entry.changes, route
        self.done.add(route)
        return answer.json() if answer.content else None


async def registers(walk: Walk) -> None:
    units, lineage = official_files()
    await walk.do(
        "POST /areas/import",
        files={
            "areas": ("areas.csv", sample._some(units, 1).data + NEW_UNIT.encode()),
            "lineage": ("lineage.csv", sample._some(lineage, 2).data),
        },
    )  # fmt: skip
    await walk.do("POST /areas/load", "/areas/load?province=01")
    await walk.do("POST /boundaries/import", files={"boundaries": OUTLINE})
    await walk.do(
        "POST /villages/import",
        **csv("villages", sample.VILLAGES + "T-5,thôn,Thôn Năm,21253,2020-02-01,\n"),
    )
    await walk.do("PUT /villages/{code}/{valid_from}", "/villages/T-6/2024-01-01", json=VILLAGE)
    await walk.do("DELETE /villages/{code}/{valid_from}", "/villages/T-6/2024-01-01")
    exclusion = {"village_code": "T-5", "valid_from": "2024-01-01", "document": "Công văn 12"}
    await walk.do("POST /village-exclusions", json=exclusion)
    await walk.do(
        "PATCH /village-exclusions/{village_code}/{valid_from}",
        "/village-exclusions/T-5/2024-01-01", json={"valid_to": "2024-12-31"},
    )  # fmt: skip


async def stations(walk: Walk) -> None:
    new = STATION | {"code": "S-9", "status": "operating", "cause": "thành lập"}
    await walk.do("POST /stations", json=new)
    await walk.do("PUT /stations/{code}", "/stations/S-9", json=STATION | {"name": "Đài mới"})
    state = {"status": "degraded", "cause": "hỏng"}
    await walk.do(
        "PUT /stations/{code}/states/{valid_from}", "/stations/S-9/states/2024-06-01", json=state
    )
    dated = {"name": "Hệ thống 9", "valid_from": "2024-01-01"}
    await walk.do("POST /plants", json=PLANT | dated | {"code": "P-9"})
    await walk.do("PUT /plants/{code}", "/plants/P-9", json={"name": "Hệ thống chín"})
    await walk.do(
        "PUT /plants/{code}/states/{valid_from}", "/plants/P-9/states/2024-06-01", json=PLANT
    )
    await walk.do("DELETE /plants/{code}", "/plants/P-9")
    listed = {"listed_on": "2024-07-09", "technologies": ["wired"]}
    await walk.do("PUT /baseline/{station_code}", "/baseline/S-9", json=listed)
    await walk.do("DELETE /baseline/{station_code}", "/baseline/S-9")
    await walk.do("DELETE /stations/{code}", "/stations/S-9")
    changed = sample.BASELINE.replace("S-3,2024-07-09", "S-3,2024-07-10")
    await walk.do("POST /stations/import", **csv("files", changed))
    await walk.do("POST /stations/follow", data={"on": "2025-01-01"})
    await walk.do("POST /mergers", data={"on": "2025-07-01"})
    outage = await walk.do("POST /outages", json=OUTAGE)
    there = f"/outages/{outage['id']}"
    await walk.do("PUT /outages/{outage_id}", there, json=OUTAGE | {"kind": "maintenance"})
    await walk.do("DELETE /outages/{outage_id}", there)
    marked = await walk.do("POST /calendar-days", json=MARKED)
    there = f"/calendar-days/{marked['id']}"
    await walk.do("PUT /calendar-days/{day_id}", there, json=MARKED | {"name": "Lễ tang"})
    await walk.do("DELETE /calendar-days/{day_id}", there)
    entered = await walk.do("POST /regulations", json=REGULATION)
    for step in ("withdraw", "reinstate"):
        operation = f"POST /regulations/{{regulation_id}}/{step}"
        await walk.do(operation, f"/regulations/{entered['id']}/{step}", json={})
    rows = b"area_code,number,signed_on,valid_from\n21262,3/QC,2024-12-20,2025-02-01\n"
    await walk.do("POST /regulations/import", files={"regulations": ("r.csv", rows, "text/csv")})
    attestation = {
        "cluster_code": "C-3", "attested_at": "2024-12-27T05:00:00+07:00",
        "attested_by": "Trưởng thôn", "reference": "anh/1.jpg",
    }  # fmt: skip
    made = await walk.do("POST /attestations", json=attestation)
    await walk.do("DELETE /attestations/{attestation_id}", f"/attestations/{made['id']}")


async def boxes(walk: Walk) -> None:
    await walk.do("POST /clusters", json=CLUSTER | {"code": "C-9", "villages": SERVES})
    await walk.do("PUT /clusters/{code}", "/clusters/C-9", json=CLUSTER | {"watts": 50})
    villages = {"valid_from": "2024-07-01", "villages": [{"village_code": "T-2"}]}
    await walk.do("PUT /clusters/{code}/villages", "/clusters/C-9/villages", json=villages)
    await walk.do("POST /clusters", json=CLUSTER | {"code": "C-8", "villages": SERVES})
    pair = "PUT /earshot-pairs/{cluster}/{other}", "/earshot-pairs/C-8/C-9"
    await walk.do(*pair, json={"heard": True})
    await walk.do("DELETE /earshot-pairs/{cluster}/{other}", pair[1])
    await walk.do("POST /devices", json={"code": "D-9", "codecs": ["opus"]})
    async with db.transaction(walk.world.engine) as session:
        earlier = province.NOW - timedelta(days=2)
        await session.execute(
            sa.update(Device).where(Device.code == "D-9").values(enrolled_at=earlier)
        )
    await walk.do("PUT /devices/{code}", "/devices/D-9", json={"codecs": ["opus"], "volume": 40})
    await walk.do("POST /clusters/{code}/device", "/clusters/C-9/device", json=INSTALLED)
    await walk.do(
        "POST /devices/{code}/commands", "/devices/D-9/commands", json={"kind": "reboot"}
    )
    await walk.do("DELETE /clusters/{code}/device", "/clusters/C-9/device")
    await credentials(walk)
    await walk.do("DELETE /devices/{code}", "/devices/D-9")
    await walk.do("POST /devices/import", **csv("files", "code,codecs\nD-10,opus\n"))
    await walk.do("POST /clusters", json=CLUSTER | {"code": "C-10", "villages": SERVES})
    await walk.do("DELETE /clusters/{code}", "/clusters/C-10")


async def incidents(walk: Walk) -> None:
    async with db.transaction(walk.world.engine) as session:
        at = province.NOW - timedelta(hours=1)
        incident = Incident(
            kind=Kind.COMMUNE, code="21253", name="xã", cause=Likely.AREA, opened_at=at,
            noticed_at=at, devices_count=0, down_count=0, villages_count=0, communes_count=1,
        )  # fmt: skip
        session.add(incident)
        await session.flush()
        there = f"/incidents/{incident.id}"
    me = (await walk.world.call("GET", "/me")).json()["id"]
    path = "POST /incidents/{incident_id}"
    await walk.do(f"{path}/assign", f"{there}/assign", json={"account_id": me})
    await walk.do(f"{path}/release", f"{there}/release")
    await walk.do(f"{path}/notes", f"{there}/notes", json={"text": "Đã hỏi Điện lực"})
    await walk.do(f"{path}/close", f"{there}/close", json={"reason": "planned"})
    await walk.do(f"{path}/reopen", f"{there}/reopen")


async def credentials(walk: Walk) -> None:
    await walk.do("POST /devices/claims", json={"codes": ["D-9"]})
    claim = await walk.do("POST /devices/{code}/claim", "/devices/D-9/claim")
    walk.world.tokens["D-9"] = "none: a box has none"
    asked = {"claim_code": claim["claim_code"], "csr": csr(p256())}
    await walk.do("POST /enrolments", who="D-9", json=asked)
    await walk.do(
        "POST /devices/{code}/certificate", "/devices/D-9/certificate", json={"csr": csr(p256())}
    )
    given = await walk.do("POST /devices/{code}/password", "/devices/D-9/password")
    await walk.do("DELETE /devices/{code}/credentials", "/devices/D-9/credentials")
    lines = "".join(await walk.world.lines())
    assert claim["claim_code"] not in lines
    assert given["password"] not in lines


async def bulletins(walk: Walk) -> None:
    made = await walk.do("POST /bulletins", who="Lan", json=TEXT)
    there = f"/bulletins/{made['id']}"
    await walk.do(
        "POST /bulletins/{bulletin_id}/revisions", f"{there}/revisions", "Lan",
        json={"text": "Kính thưa bà con, lần hai."},
    )  # fmt: skip
    await walk.do(
        "DELETE /bulletins/{bulletin_id}/revisions/{number}/preparation",
        f"{there}/revisions/2/preparation", "Lan",
    )  # fmt: skip
    await walk.do(
        "POST /bulletins/{bulletin_id}/copies", f"{there}/copies", "Lan",
        json={"area_code": made["area_code"], "revision": 1},
    )  # fmt: skip
    entry = {"spoken": "ô rê xôn"}
    written = {name: TEXT[name] for name in ("text", "title", "class", "area_code")}
    await walk.world.call("PUT", "/bulletin-drafts/new", json=written)
    await walk.do("POST /bulletin-drafts/{page}/revision", "/bulletin-drafts/new/revision")
    await walk.do("PUT /lexicon/{area}/{written:path}", "/lexicon/21262/oresol", json=entry)
    await walk.do("DELETE /lexicon/{area}/{written:path}", "/lexicon/21262/oresol")
    await walk.do(
        "PUT /approval-rules/{area}/{valid_from}", "/approval-rules/21262/2024-12-29",
        json={"second_person": False},
    )  # fmt: skip


async def portals(walk: Walk, engine: AsyncEngine) -> None:
    portal = {
        "area_code": "21262", "name": "Trang xã", "url": "https://xa.example/",
        "source_url": "https://xa.example/tin.rss", "kind": "feed", "valid_from": "2024-12-01",
    }  # fmt: skip
    made = await walk.do("POST /portals", json=portal)
    there = f"/portals/{made['id']}"
    await walk.do("PUT /portals/{portal_id}", there, json=portal | {"name": "Trang mới"})
    async with db.transaction(engine) as session:
        item = PortalItem(
            portal_id=made["id"], key="1", url="https://xa.example/1", title="Tin", tags=[],
            folded_tags=[], published_at=None, seen_at=province.NOW, is_old=False,
            is_essential=None, decided_by=None, decided_at=None,
        )  # fmt: skip
        session.add(item)
        await session.flush()
        number = item.id
    await walk.do(
        "PUT /portals/{portal_id}/items/{portal_item_id}", f"{there}/items/{number}",
        json={"is_essential": True},
    )  # fmt: skip
    await walk.do("DELETE /portals/{portal_id}", there)
    rule = {"items": 4, "days": 30, "document": "12/QĐ-UBND"}
    named, at = "/portal-update-rules/{valid_from}", "/portal-update-rules/2025-01-01"
    await walk.do(f"PUT {named}", at, json=rule)
    await walk.do(f"DELETE {named}", at)


async def schedules(walk: Walk, engine: AsyncEngine) -> None:
    world = walk.world
    source = {
        "name": "VOV1", "area_code": "21262", "urls": ["https://radio.example/vov1"],
        "fallback_bulletin_id": world.schedule()["bulletin_id"],
    }  # fmt: skip
    entered = await walk.do("POST /stream-sources", who="Hùng", json=source)
    there = f"/stream-sources/{entered['id']}"
    await walk.do("PUT /stream-sources/{source_id}", there, "Hùng", json=source | {"name": "VOV2"})
    await walk.do("DELETE /stream-sources/{source_id}", there, "Hùng")
    await portals(walk, engine)
    daily = world.schedule(rrule="FREQ=DAILY")
    await walk.do("POST /calendar-feeds", who="Hùng", json={"area_code": "21253"})
    await walk.do(
        "POST /schedules/import", who="Hùng", files={"calendar": DAY_OFF},
        data={"area": "21253"},
    )  # fmt: skip
    made = await walk.do("POST /schedules", who="Hùng", json=daily)
    there = f"/schedules/{made['id']}"
    await walk.do("PATCH /schedules/{schedule_id}", there, "Hùng", json={"volume": 40})
    await walk.do(
        "POST /schedules/{schedule_id}/split", f"{there}/split", "Hùng",
        json={"from": "2024-12-30T00:00:00+07:00", "volume": 60},
    )  # fmt: skip
    once = await walk.world.call("GET", f"{there}/starts")
    start = once.json()[0]["recurrence_at"]
    await walk.do(
        "POST /schedules/{schedule_id}/starts", f"{there}/starts", "Hùng",
        json={"recurrence_at": start, "cancelled": True},
    )  # fmt: skip
    async with db.transaction(engine) as session:
        ids = await session.scalars(
            sa.select(Occurrence.id)
            .where(
                Occurrence.schedule_id == made["id"],
                Occurrence.state == OccurrenceState.PLANNED,
            )
            .order_by(Occurrence.starts_at)
        )
        first = str(next(iter(ids)))
    await walk.do(
        "PATCH /occurrences/{occurrence_id}", f"/occurrences/{first}", "Hùng",
        json={"cancelled": True},
    )  # fmt: skip
    await walk.do(
        "POST /occurrences/{occurrence_id}/reinstate", f"/occurrences/{first}/reinstate", "Hùng"
    )
    async with db.transaction(engine) as session:
        bulletin = await session.get_one(make.Bulletin, world.bulletin)
        sound = make.prepared(world.content_dir, b"two", b"zwei")
        await make.revision(session, bulletin, sound, RevisionState.SUBMITTED)
    revision = f"/bulletins/{world.bulletin}/revisions/2"
    await walk.do(
        "POST /bulletins/{bulletin_id}/revisions/{number}/{action}", f"{revision}/approve", "Hùng"
    )
    await walk.do(
        "POST /bulletins/{bulletin_id}/revisions/{number}/schedules", f"{revision}/schedules",
        "Hùng",
    )  # fmt: skip
    await walk.do("POST /schedules/{schedule_id}/withdraw", f"{there}/withdraw", "Hùng")
    await walk.do("POST /schedules/{schedule_id}/reinstate", f"{there}/reinstate", "Hùng")


async def alerts(walk: Walk) -> None:
    async def ready(alert: dict[str, Any]) -> str:
        sound = make.prepared(walk.world.content_dir)
        async with db.transaction(walk.world.engine) as session:
            revision = await session.get_one(Revision, (UUID(alert["sound"]["bulletin_id"]), 1))
            attach_audio(session, revision, sound)
        return f"/alerts/{alert['id']}"

    now = clock.now()
    drill = {
        "title": "Diễn tập", "area_code": "21253", "starts_at": now.isoformat(),
        "ends_at": (now + timedelta(hours=1)).isoformat(),
    }  # fmt: skip
    made = await walk.do("POST /drills", who="Hùng", json=drill)
    await walk.do("POST /drills/{drill_id}/cancel", f"/drills/{made['id']}/cancel", "Hùng")
    said = {"event": "flood", "text": "Lũ về."}
    template = said | {"title": "Lũ", "area_code": "21262"}
    made = await walk.do("POST /alert-templates", who="Hùng", json=template)
    there = f"/alert-templates/{made['id']}/withdraw"
    await walk.do("POST /alert-templates/{template_id}/withdraw", there, "Hùng")
    alert = said | {"headline": "Lũ", "targets": [{"area": "21253"}]}
    one = await ready(await walk.do("POST /alerts", who="Hùng", json=alert))
    step = "POST /alerts/{alert_id}"
    await walk.do(f"{step}/propose", f"{one}/propose", "Hùng")
    await walk.do(f"{step}/authorise", f"{one}/authorise")
    update = {"headline": "Lũ rút", "text": "Lũ đang rút."}
    two = await ready(
        await walk.do(f"{step}/replacements", f"{one}/replacements", "Hùng", json=update)
    )
    why = {"reason": "không ai nghe máy"}
    await walk.do(f"{step}/authorise-alone", f"{two}/authorise-alone", json=why)
    await walk.do(f"{step}/debrief", f"{two}/debrief", "Hùng", json=why)
    await walk.do(f"{step}/cancel", f"{two}/cancel", "Hùng", json=why)
    spoken = {"title": "Bão", "targets": [{"area": "21253"}]}
    live = await walk.do("POST /live-sessions", who="Hùng", json=spoken)
    there = f"/live-sessions/{live['id']}/end"
    await walk.do("POST /live-sessions/{live_id}/end", there, "Hùng")
    head = {"name": "Đinh Văn Thôn", "phone": "0905 123 456"}
    await walk.do("PUT /areas/{code}/contact", "/areas/T-1/contact", json=head)


async def languages(walk: Walk, engine: AsyncEngine) -> None:
    """Who speaks what, who is asked to read a bulletin, and what becomes of it."""
    world = walk.world
    async with db.transaction(engine) as session:
        world.tokens["Đinh"] = await create_with_token(
            session, "Đinh", Role.PROVINCE_APPROVER, province.NOW, second_factor=True
        )
        reader = await session.scalar(sa.select(Account.id).where(Account.name == "Đinh"))
        original = await make.bulletin(session, area_code="51")
        sound = make.prepared(world.content_dir, b"opus of languages", b"mp3 of languages")
        await make.revision(session, original, sound, RevisionState.APPROVED)
        version = await make.bulletin(
            session, area_code="51", language="hre", version_of=original.id
        )
        await make.revision(session, version, sound, RevisionState.APPROVED)
    said = {"languages": [{"language": "hre", "share": 80}]}
    await walk.do("PUT /village-languages/{code}", "/village-languages/T-1", json=said)
    rows = ("l.csv", b"code,languages,valid_from\nT-2,cua:70,2024-12-01\n", "text/csv")
    await walk.do("POST /village-languages/import", files={"village_languages": rows})
    await walk.do(
        "PUT /accounts/{account_id}/languages", f"/accounts/{reader}/languages",
        json={"languages": ["hre"]},
    )  # fmt: skip
    rows = ("r.csv", "name,languages\nĐinh,hre cua\n".encode(), "text/csv")
    await walk.do("POST /readers/import", files={"readers": rows})
    there = f"/bulletins/{original.id}/versions"
    body = {"language": "hre", "reader_id": reader, "due_at": "2025-01-05T08:00:00+07:00"}
    asked = await walk.do("POST /bulletins/{bulletin_id}/versions", there, json=body)
    await walk.do(
        "POST /bulletins/{bulletin_id}/confirmation", f"/bulletins/{version.id}/confirmation",
        "Đinh", json={"revision": 1, "original_revision": 1},
    )  # fmt: skip
    await walk.do("DELETE /version-requests/{request_id}", f"/version-requests/{asked['id']}")


async def inbox(walk: Walk, engine: AsyncEngine) -> None:
    """What the province sends to a commune, and the commune does with it."""
    world = walk.world
    ids = []
    async with db.transaction(engine) as session:
        world.tokens["An"] = await create_with_token(
            session, "An", Role.COMMUNE_BROADCASTER, province.NOW, area_code="21262",
            second_factor=True,
        )  # fmt: skip
        for number, (area, class_) in enumerate(
            [("51", BulletinClass.NORMAL), ("51", BulletinClass.NORMAL),
             ("51", BulletinClass.PRIORITY), ("21262", BulletinClass.PRIORITY)]
        ):  # fmt: skip
            bulletin = await make.bulletin(session, area_code=area, class_=class_)
            body = f"inbox {number}".encode()
            sound = make.prepared(world.content_dir, b"opus" + body, b"mp3" + body)
            await make.revision(session, bulletin, sound, RevisionState.APPROVED)
            ids.append(str(bulletin.id))
    own = world.schedule(
        bulletin_id=ids.pop(), targets=[{"area": "21262"}], starts_at="2024-12-28T19:00:00+07:00"
    )
    await world.call("POST", "/schedules", "An", json=own)
    items = []
    for id_ in ids:
        body = {"bulletin_id": id_, "areas": ["21262"], "useful_until": "2025-01-20"}
        items += await walk.do("POST /inbox-items", who="Hùng", json=body)
    await place_all(engine, province.NOW)
    there = [f"/inbox-items/{each['id']}" for each in items]
    await walk.do("POST /inbox-items/{item_id}/pick", f"{there[0]}/pick", "An", json={})
    await walk.do(
        "POST /inbox-items/{item_id}/decline", f"{there[1]}/decline", "An", json={"reason": "Cũ"}
    )
    await walk.do(
        "PUT /inbox-items/{item_id}/order", f"{there[2]}/order", "An",
        json={"source_first": False},
    )  # fmt: skip
    await walk.do(
        "PUT /authority-orders/{valid_from}", "/authority-orders/2024-12-29",
        json={"levels": ["commune", "district", "province"]},
    )  # fmt: skip


async def grid(walk: Walk, engine: AsyncEngine) -> None:
    """A session of a commune, and what is played at once."""
    async with db.transaction(engine) as session:
        bulletin = await make.bulletin(session, area_code="21262")
        sound = make.prepared(walk.world.content_dir, b"opus grid", b"mp3 grid")
        await make.revision(session, bulletin, sound, RevisionState.APPROVED)
    body = {
        "area_code": "21262", "name": "Buổi tối", "starts_at": "2024-12-29T20:00:00+07:00",
        "seconds": 600, "items": [{"bulletin_id": str(bulletin.id)}],
    }  # fmt: skip
    made = await walk.do("POST /air-sessions", who="An", json=body)
    there = f"/air-sessions/{made['id']}"
    await walk.do("PATCH /air-sessions/{air_session_id}", there, "An", json={"seconds": 900})
    await walk.do("POST /air-sessions/{air_session_id}/end", f"{there}/end", "An")
    body = {"bulletin_id": str(bulletin.id), "targets": [{"area": "21262"}]}
    await walk.do("POST /play-now", who="An", json=body)


async def sessions(walk: Walk, engine: AsyncEngine) -> None:
    """Who signs in has no token; what follows comes with the cookie."""
    code = await invited(engine, "Lan", Role.PROVINCE_EDITOR, province.NOW, "lan")

    async def do(template: str, path: str = "", headers: Any = None, **more: Any) -> Any:
        given = {"Authorization": ""} | (headers or {})
        return await walk.do(template, path, "Lan", headers=given, **more)

    def cookie() -> dict[str, str]:
        """Of the newest session."""
        newest = walk.answer.headers["set-cookie"].partition(";")[0]
        return {"Cookie": newest, CSRF_HEADER: walk.answer.json()["csrf_token"]}

    await do("POST /setup", json={"code": code, "password": PASSWORD})
    first = cookie()
    begun = await do("POST /session/totp", headers=first)
    shown, next_shown = (
        pyotp.TOTP(begun["secret"]).at(province.NOW + timedelta(seconds=late)) for late in (-30, 0)
    )
    await do("POST /session/totp/confirmation", headers=first, json={"code": shown})
    rotated = {"Cookie": walk.answer.headers["set-cookie"].partition(";")[0]}
    seen = await walk.world.call("GET", "/session", headers={"Authorization": "", **rotated})
    rotated |= {CSRF_HEADER: seen.json()["csrf_token"]}
    await do("POST /session/second-factor", headers=rotated, json={"code": next_shown})
    rotated = cookie()
    await do("POST /session/recovery-codes", headers=rotated)
    await do("DELETE /session/totp", headers=rotated)
    await passkey(walk, do, cookie, rotated)
    await do("POST /sign-in", json={"login": "lan", "password": PASSWORD})
    changed = {"password": PASSWORD, "new_password": OTHER_PASSWORD}
    await do("PUT /session/password", headers=cookie(), json=changed)
    second = cookie()
    assert first != second
    third = await do("POST /sign-in", json={"login": "lan", "password": OTHER_PASSWORD})
    await do("DELETE /sessions/{session_id}", f"/sessions/{third['id']}", second)
    await do("POST /sign-in", json={"login": "lan", "password": OTHER_PASSWORD})
    await do("DELETE /sessions", headers=second)
    await do("DELETE /session", headers=second)


async def passkey(
    walk: Walk, do: Any, cookie: Callable[[], dict[str, str]], headers: dict[str, str]
) -> None:
    phone = Authenticator(str(walk.world.app.state.settings.web.public_url))

    async def asked(path: str, headers: dict[str, str]) -> dict[str, Any]:
        given = {"Authorization": "", **headers}
        answer = await walk.world.call("POST", f"{path}/options", headers=given)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    new = {
        "label": "Điện thoại",
        "credential": phone.create(await asked("/session/passkeys", headers)),
    }
    made = await do("POST /session/passkeys", headers=headers, json=new)
    assert "set-cookie" in walk.answer.headers
    signed = phone.get(await asked("/sign-in/passkey", {}))
    await do("POST /sign-in/passkey", json={"credential": signed})
    headers = cookie()
    shown = phone.get(await asked("/session/second-factor/passkey", headers))
    await do("POST /session/second-factor/passkey", headers=headers, json={"credential": shown})
    there = f"/session/passkeys/{made['id']}"
    await do("DELETE /session/passkeys/{passkey_id}", there, cookie())


async def accounts(walk: Walk) -> None:
    made = await walk.do("POST /accounts", json={"name": "Máy chủ tỉnh", "kind": "service"})
    there = f"/accounts/{made['id']}"
    grant = await walk.do(
        "POST /accounts/{account_id}/grants", f"{there}/grants", json={"role": "service"}
    )
    token = await walk.do(
        "POST /accounts/{account_id}/tokens", f"{there}/tokens",
        json={"label": "Thử", "expires_at": "2025-03-01T00:00:00+07:00"},
    )  # fmt: skip
    await walk.do("DELETE /tokens/{token_id}", f"/tokens/{token['id']}")
    await walk.do(
        "DELETE /accounts/{account_id}/grants/{grant_id}", f"{there}/grants/{grant['id']}"
    )
    somebody = {"subject": "u-1"}
    bound = await walk.do(
        "POST /accounts/{account_id}/identities", f"{there}/identities", json=somebody
    )
    gone = f"{there}/identities/{bound['id']}"
    await walk.do("DELETE /accounts/{account_id}/identities/{identity_id}", gone)
    body = {"name": "Máy chủ tỉnh", "state": "disabled"}
    await walk.do("PUT /accounts/{account_id}", there, json=body)
    made = await walk.do("POST /accounts", json={"name": "Hồ Thị Đài"})
    there = f"/accounts/{made['id']}"
    given = await walk.do("POST /accounts/{account_id}/invitation", f"{there}/invitation")
    code = given["link"].partition("#")[2]
    body = {"code": code, "login": "dai", "password": PASSWORD}
    assert (await walk.world.call("POST", "/setup", json=body)).status_code == 201
    await walk.do("DELETE /accounts/{account_id}/sessions", f"{there}/sessions")
    lines = "".join(await walk.world.lines())
    assert token["token"] not in lines
    assert code not in lines


async def warnings(walk: Walk) -> None:
    kind = {"content-type": "application/cap+xml"}
    await walk.do("POST /alerts/cap", content=alert(), headers=kind)


async def restores(walk: Walk) -> None:
    now = clock.now()
    async with db.transaction(walk.world.engine) as session:
        session.add(Restore(cause=Cause.COMMAND, found_at=now, lost_since=now, broker_read_at=now))
    found = await walk.world.call("GET", "/restore")
    digest = found.json()["comparison"]["digest"]
    await walk.do("POST /restore/acceptance", json={"digest": digest, "rest_as_proposed": True})


async def test_every_route_that_changes_something_leaves_one_entry(world: World) -> None:
    walk = Walk(world)
    await sessions(walk, world.engine)
    await registers(walk)
    await stations(walk)
    await boxes(walk)
    await incidents(walk)
    await bulletins(walk)
    await schedules(walk, world.engine)
    await alerts(walk)
    await inbox(walk, world.engine)
    await languages(walk, world.engine)
    await grid(walk, world.engine)
    await accounts(walk)
    await warnings(walk)
    await restores(walk)
    assert walk.done | AFTER_A_MERGER == ALL - CHANGE_NOTHING


async def test_previews_and_trials_leave_none(world: World) -> None:
    requests: list[tuple[str, dict[str, Any]]] = [
        ("/schedules/preview", {"json": world.schedule()}),
        ("/schedules/check", {"json": world.schedule()}),
        ("/calendar-days/check", {"json": MARKED}),
        ("/regulations/check", {"json": REGULATION}),
        ("/portals/trials", {"json": {"source_url": "http://127.0.0.1/x.rss", "kind": "feed"}}),
        ("/speech/words", {"json": {"text": "Chào bà con", "area_code": "21262"}}),
        ("/areas/load?province=01&dry_run=true", {}),
        ("/boundaries/import", {"files": {"boundaries": OUTLINE}, "data": {"dry_run": "true"}}),
        ("/stations/follow", {"data": {"on": "2025-01-01", "dry_run": "true"}}),
        ("/mergers", {"data": {"on": "2025-07-01", "dry_run": "true"}}),
        ("/villages/import", csv("villages", sample.VILLAGES) | {"data": {"dry_run": "true"}}),
        (
            "/schedules/import",
            {"files": {"calendar": DAY_OFF}, "data": {"area": "21253", "dry_run": "true"}},
        ),
        ("/stations/import", csv("files", sample.BASELINE) | {"data": {"dry_run": "true"}}),
        (
            "/regulations/import",
            csv("regulations", "area_code,number,signed_on,valid_from\n")
            | {"data": {"dry_run": "true"}},
        ),
    ]
    for path, more in requests:
        answer = await world.call("POST", path, **more)
        assert answer.status_code == 200, answer.text
    assert await world.entries() == []


async def test_what_is_rolled_back_leaves_none(world: World) -> None:
    for operation in sorted(ALL - CHANGE_NOTHING):
        method, _, path = operation.partition(" ")
        answer = await world.call(method, _filled(path.removeprefix("/api/v1")))
        assert 400 <= answer.status_code < 500, (operation, answer.text)
        assert await world.entries() == [], operation


def _filled(path: str) -> str:
    """A path whose names are of nothing that there is."""
    for name in ("incident_id", "outage_id", "attestation_id", "number", "session_id",
                 "passkey_id", "regulation_id",
                 "account_id", "grant_id", "token_id", "identity_id"):  # fmt: skip
        path = path.replace(f"{{{name}}}", "77")
    for name in ("schedule_id", "bulletin_id", "occurrence_id", "item_id"):
        path = path.replace(f"{{{name}}}", "3f2504e0-4f89-41d3-9a0c-0305e82c3301")
    path = path.replace("{valid_from}", "2024-01-01").replace("{action}", "approve")
    return path.replace("{", "").replace("}", "")

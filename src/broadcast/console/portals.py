"""Portals of communes: which are regularly updated, what each published, and their register."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Annotated

from fastapi import Depends, Form, Query, Request, Response
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.areas.model import Level
from broadcast.areas.units import units_on
from broadcast.auth.caller import AreaEditor, Author, Caller, Reader, RegisterEditor
from broadcast.auth.permissions import Permission
from broadcast.auth.routing import changes_nothing
from broadcast.console.admin.calendars import places_of
from broadcast.console.library import Blank
from broadcast.console.page import NEEDS_UNITS, PageRouter, given, page, redirect
from broadcast.console.people import forms
from broadcast.console.words import N_
from broadcast.kit import clock
from broadcast.kit.errors import InvalidInput
from broadcast.kit.text import Reference
from broadcast.portals import register
from broadcast.portals.model import CheckOutcome, PortalKind
from broadcast.portals.routes import trial
from broadcast.portals.schemas import DecisionIn, PortalIn, SourceIn, StandingOut, UpdateRuleIn
from broadcast.portals.standing import standings
from broadcast.portals.updating import Why
from broadcast.web.fields import Code
from broadcast.web.rest import AppSettings, Id, Paging, Session

router = PageRouter()

SHOWN = 200
"""Portals that are listed."""
ITEMS_SHOWN = 50
CHECKS_SHOWN = 10

KINDS = {
    PortalKind.FEED: N_("Tệp tin tức (RSS, Atom)"),
    PortalKind.SITEMAP: N_("Sơ đồ trang (sitemap)"),
    PortalKind.LIST: N_("Trang liệt kê tin"),
}

OUTCOMES = {
    CheckOutcome.ANSWERED: ("ok", N_("đọc được")),
    CheckOutcome.UNCHANGED: ("ok", N_("đọc được, không có gì mới")),
    CheckOutcome.FORBIDDEN: ("bad", N_("trang không cho đọc")),
    CheckOutcome.UNREACHABLE: ("bad", N_("không tải được")),
    CheckOutcome.UNREADABLE: ("bad", N_("không đọc được")),
    CheckOutcome.EMPTY: ("partial", N_("không thấy tin nào")),
}
"""Look and word of what came of a look (`ui.state`)."""

WHYS = {
    None: ("ok", N_("thường xuyên cập nhật")),
    Why.NO_PORTAL: ("unknown", N_("chưa ghi trang nào")),
    Why.NOT_READ: ("bad", N_("chưa đọc được trang")),
    Why.TOO_FEW: ("partial", N_("quá ít tin thiết yếu")),
}


@router.get("/portals", dependencies=NEEDS_UNITS)
async def show(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Reader,
    why: Annotated[Why | None, Blank, Query()] = None,
) -> Response:
    """Every commune with what its portals have published; the rule by which it is judged."""
    today = clock.today()
    readable = await scope.readable_scope(session, caller, Permission.READ)
    async with scope.whole(session):
        found = await standings(session, today)
    own = [StandingOut.of(each) for each in found.communes if each.code in readable]
    listed = (await register.list_portals(session, Paging(None, SHOWN), ended=False)).items
    undecided = [each for each in found.undecided if each.area_code in readable]
    here = {portal.id for each in own for portal in each.portals}
    here |= {each.id for each in undecided}
    return page(
        request, caller, "portals/index.html",
        rule=found.rule,
        own=own,
        communes=[each for each in own if why is None or each.why is why],
        updated=sum(each.why is None for each in own),
        portals={each.id: each for each in listed},
        undecided=undecided,
        moved=[each for each in listed if each.id not in here and each.valid_from <= today],
        whys=WHYS,
        why=why,
        outcomes=OUTCOMES,
        rules=await register.rules(session),
        may_add=bool(await _communes_of(session, caller, Permission.REGISTER_WRITE, today)),
        may_decide=scope.is_whole(caller, Permission.AREA_WRITE),
        today=today,
        hours=settings.portals.check_every // timedelta(hours=1),
    )  # fmt: skip


@router.get("/portals/new", dependencies=NEEDS_UNITS)
async def show_new(
    request: Request,
    session: Session,
    caller: RegisterEditor,
    area: Annotated[Code | None, Blank, Query()] = None,
) -> Response:
    """The form of a portal."""
    await scope.require_somewhere(session, caller, Permission.REGISTER_WRITE)
    today = clock.today()
    places = await _communes_of(session, caller, Permission.REGISTER_WRITE, today)
    return page(
        request, caller, "portals/new.html",
        places=places,
        kinds=forms.options(request, KINDS),
        area=area or "",
        today=today,
    )  # fmt: skip


@router.get("/portals/{portal_id}")
async def show_one(
    request: Request,
    session: Session,
    caller: Reader,
    portal_id: Id,
    counts: Annotated[bool | None, Blank, Query()] = None,
    cursor: Annotated[str | None, Blank, Query()] = None,
) -> Response:
    """One portal: how it answers, what it has published, and its form."""
    portal = await register.show(session, portal_id)
    today = clock.today()
    places = await _communes_of(session, caller, Permission.REGISTER_WRITE, today)
    territory = await scope.territory_of(session)
    changing, deciding = (
        scope.changeable(caller, each, territory)
        for each in (Permission.REGISTER_WRITE, Permission.BULLETIN_WRITE)
    )
    if portal.area_code not in dict(places):  # its commune has ended
        places = [(portal.area_code, portal.area_code), *places]
    query = given(counts={True: "true", False: "false", None: ""}[counts])
    return page(
        request, caller, "portals/show.html",
        portal=portal,
        found=await register.list_items(
            session, portal_id, Paging(cursor, ITEMS_SHOWN), counts=counts
        ),
        checks=(await register.list_checks(session, portal_id, Paging(None, CHECKS_SHOWN))).items,
        outcomes=OUTCOMES,
        kinds=forms.options(request, KINDS),
        places=places,
        counts=query.get("counts", ""),
        query=query,
        may_change=portal.area_code in changing,
        may_decide=portal.area_code in deciding,
    )  # fmt: skip


async def _communes_of(
    session: AsyncSession, caller: Caller, permission: Permission, on: date
) -> list[tuple[str, str]]:
    communes = {each.code for each in await units_on(session, on, level=Level.COMMUNE)}
    return [
        each for each in await places_of(session, caller, permission, on) if each[0] in communes
    ]


# --- the form ------------------------------------------------------------------------------------

Text = Annotated[str, Form(max_length=600)]


def _checked(fields: Mapping[str, object], model: type[SourceIn]) -> SourceIn:
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        told = str(first.get("ctx", {}).get("error", "")) or "viết sai dạng; kiểm tra lại"
        raise InvalidInput(str(first["loc"][0]), told) from None


def _source(
    source_url: Text = "",
    kind: Annotated[PortalKind, Form()] = PortalKind.FEED,
    item_class: Text = "",
    date_class: Text = "",
) -> SourceIn:
    fields = {
        "source_url": source_url.strip(), "kind": kind,
        "item_class": item_class.strip(), "date_class": date_class.strip(),
    }  # fmt: skip
    return _checked(fields, SourceIn)


GivenSource = Annotated[SourceIn, Depends(_source)]


def _portal(
    source: GivenSource,
    area_code: Annotated[str, Form(max_length=40)] = "",
    name: Text = "",
    url: Text = "",
    tags: Annotated[str, Form(max_length=2000)] = "",
    valid_from: Annotated[str, Form(max_length=10)] = "",
) -> PortalIn:
    labels = [each.strip() for each in tags.splitlines()]
    fields = source.model_dump() | {
        "area_code": area_code, "name": name, "url": url.strip(),
        "tags": [each for each in labels if each],
        "valid_from": forms.day("valid_from", valid_from) or clock.today(),
    }  # fmt: skip
    found = _checked(fields, PortalIn)
    assert isinstance(found, PortalIn)
    return found


GivenPortal = Annotated[PortalIn, Depends(_portal)]


@router.post("/portals", summary="Thêm trang thông tin điện tử")
async def create(
    request: Request, session: Session, caller: RegisterEditor, portal: GivenPortal
) -> Response:
    """Enter a portal."""
    made = await register.create(session, portal, caller, clock.now())
    return redirect(request, f"/portals/{made.id}")


@router.post("/portals/trial", summary="Thử đọc một trang, chưa ghi gì")
@changes_nothing
async def try_out(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: RegisterEditor,
    source: GivenSource,
) -> Response:
    """What a look finds now: a part of the form."""
    await scope.require_somewhere(session, caller, Permission.REGISTER_WRITE)
    register.require_readable_rule(source)
    await session.rollback()  # no connection is held while a stranger takes its time
    found = await trial(source, settings)
    return page(request, caller, "portals/_trial.html", found=found, outcomes=OUTCOMES)


@router.post("/portals/rule", summary="Quyết định thế nào là thường xuyên cập nhật")
async def decide_rule(
    request: Request,
    session: Session,
    caller: AreaEditor,
    document: Annotated[Reference, Form()],
    items: Annotated[int, Form(ge=1, le=1000)],
    days: Annotated[int, Form(ge=1, le=366)],
    valid_from: Annotated[str, Form(max_length=10)] = "",
) -> Response:
    """How much in how many days counts, from a day on."""
    on = forms.day("valid_from", valid_from) or clock.today()
    body = UpdateRuleIn(items=items, days=days, document=document)
    await register.put_rule(session, on, body, caller, clock.now())
    return redirect(request, "/portals")


@router.post("/portals/{portal_id}", summary="Sửa trang thông tin điện tử")
async def change(
    request: Request,
    session: Session,
    caller: RegisterEditor,
    portal_id: Id,
    portal: GivenPortal,
) -> Response:
    """Correct a portal; it is looked at anew."""
    await register.change(session, portal_id, portal, caller, clock.now())
    return redirect(request, f"/portals/{portal_id}")


@router.post("/portals/{portal_id}/end", summary="Ngừng theo dõi trang thông tin điện tử")
async def end(
    request: Request, session: Session, caller: RegisterEditor, portal_id: Id
) -> Response:
    """It counts up to today."""
    await register.end(session, portal_id, caller, clock.now())
    return redirect(request, "/portals")


@router.post(
    "/portals/{portal_id}/items/{portal_item_id}", summary="Tin này có là thông tin thiết yếu"
)
async def decide(
    request: Request,
    session: Session,
    caller: Author,
    portal_id: Id,
    portal_item_id: Id,
    is_essential: Annotated[bool | None, Form()] = None,
) -> Response:
    """A person's word goes before the tags; without one they decide again."""
    item = await register.decide(
        session,
        portal_id,
        portal_item_id,
        DecisionIn(is_essential=is_essential),
        caller,
        clock.now(),
    )
    return page(
        request, caller, "portals/_item.html", portal_id=portal_id, item=item, may_decide=True
    )

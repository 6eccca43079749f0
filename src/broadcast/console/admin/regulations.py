"""Quy chế: what holds in a place, in words; entering and withdrawing one, with its effects."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import Depends, Form, Request, Response
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.auth.caller import Caller, Reader
from broadcast.auth.routing import changes_nothing
from broadcast.console.admin.calendars import places_of, units_of
from broadcast.console.page import NEEDS_UNITS, PageRouter, language_of, page, redirect
from broadcast.console.people import forms
from broadcast.console.words import N_, translate
from broadcast.kit import clock
from broadcast.kit.errors import InvalidInput
from broadcast.kit.text import clean_filled_line
from broadcast.regulations import entering
from broadcast.regulations.rules import Weekend
from broadcast.regulations.schemas import RegulationIn, RegulationOut
from broadcast.regulations.sheet import read_windows, write_windows
from broadcast.schedules import regulation_effects
from broadcast.schedules.regulation_routes import Ruler
from broadcast.schedules.regulations_in_force import in_force
from broadcast.schedules.schemas import EffectOut
from broadcast.stations import clusters
from broadcast.web.fields import Code
from broadcast.web.rest import AppSettings, Id, Paging, Session

router = PageRouter()

INHERITED = N_("Theo cấp trên")
WEEKENDS = {
    "": INHERITED,
    Weekend.SILENT: N_("Không phát, trừ ngày được phép trong Lịch ngày"),
    Weekend.SOUNDS: N_("Phát như ngày thường"),
}
REPEATS = {"": INHERITED, "true": N_("Báo khi xếp lịch"), "false": N_("Không báo")}

SHOWN = 100
"""Quy chế of a unit that are listed."""


@router.get("/admin/regulations", dependencies=NEEDS_UNITS)
async def show(
    request: Request, session: Session, settings: AppSettings, caller: Reader, area: Code = ""
) -> Response:
    """What holds in a unit, what was entered for it, and the form for the next one."""
    today = clock.today()
    named = await units_of(session, today)
    mine = [code for code, _ in await places_of(session, caller, entering.NEEDED, today)]
    chosen = area or next(iter(mine), "") or next((code for code, _ in named), "")
    found = await entering.list_all(session, Paging(None, SHOWN), chosen)
    rules = await in_force(session, chosen, today, settings.rules)
    last = await entering.newest(session, chosen, [])
    return page(
        request, caller, "admin/regulations.html", area=chosen, units=named, names=dict(named),
        rules=rules, entered=found.items[::-1], today=today, may_change=chosen in mine,
        may_import=scope.is_whole(caller, entering.NEEDED),
        clusters=await clusters.names(session, {c for each in found.items for c in each.clusters}),
        holding={each.id for each in rules.sources},
        last=last, given=_typed(next((e for e in found.items if last and e.id == last.id), None)),
        weekends=forms.options(request, WEEKENDS), repeats=forms.options(request, REPEATS),
    )  # fmt: skip


def _typed(last: RegulationOut | None) -> dict[str, Any]:
    """The last one as its fields were filled in: most of a new one is the same."""
    if last is None:
        return dict.fromkeys(RegulationIn.model_fields, "")
    given = last.model_dump(by_alias=True)
    for name in ("silent", "limited"):
        if given[name] is not None:
            given[name] = write_windows(given[name])
    if given["warns_repeats"] is not None:
        given["warns_repeats"] = str(given["warns_repeats"]).lower()
    return {name: "" if value is None else value for name, value in given.items()}


def _windows(field: str, text: str, *, limited: bool) -> list[dict[str, Any]] | None:
    try:
        return read_windows(text, limited=limited) if text.strip() else None
    except ValueError as error:
        raise InvalidInput(field, str(error)) from None


def _given(
    area_code: Annotated[str, Form(max_length=40)],
    number: Annotated[str, Form(max_length=200)] = "",
    signed_on: Annotated[str, Form(max_length=10)] = "",
    valid_from: Annotated[str, Form(max_length=10)] = "",
    silent: Annotated[str, Form(max_length=200)] = "",
    limited: Annotated[str, Form(max_length=200)] = "",
    weekend: Annotated[str, Form(max_length=20)] = "",
    sessions_per_day: Annotated[str, Form(max_length=5)] = "",
    minutes_per_session: Annotated[str, Form(max_length=5)] = "",
    minutes_per_day: Annotated[str, Form(max_length=5)] = "",
    warns_repeats: Annotated[str, Form(max_length=5)] = "",
    clusters: Annotated[str, Form(max_length=5000)] = "",
    replaces: Annotated[str, Form(max_length=10)] = "",
    silences: Annotated[str, Form(max_length=5)] = "",
) -> RegulationIn:
    try:
        called = clean_filled_line(number)
    except ValueError:
        raise InvalidInput("number", "hãy ghi số, ký hiệu văn bản") from None
    days: dict[str, date] = {}
    for name, text in (("signed_on", signed_on), ("valid_from", valid_from)):
        day = forms.day(name, text)
        if day is None or not 2000 <= day.year < 2100:
            raise InvalidInput(name, "hãy chọn ngày")
        days[name] = day
    values: dict[str, Any] = {
        "area_code": area_code,
        "number": called,
        "silent": _windows("silent", silent, limited=False),
        "limited": _windows("limited", limited, limited=True),
        "weekend": weekend or None,
        "sessions_per_day": sessions_per_day or None,
        "minutes_per_session": minutes_per_session or None,
        "minutes_per_day": minutes_per_day or None,
        "warns_repeats": warns_repeats or None,
        "clusters": [code for code in clusters.replace(",", " ").split() if code],
        "replaces": replaces or None,
        "silences": silences == "true",
    } | {name: day.isoformat() for name, day in days.items()}
    try:
        return RegulationIn.model_validate(values)
    except ValidationError as error:
        wrong = error.errors()[0]
        field = str(wrong["loc"][0]) if wrong["loc"] else "number"
        raise InvalidInput(field, "không hợp lệ; hãy sửa theo gợi ý ở mục này") from None


Given = Annotated[RegulationIn, Depends(_given)]


async def _in_place(session: AsyncSession, body: RegulationIn) -> RegulationIn:
    """Of single clusters, the page does not know which one is the last."""
    if body.clusters:
        last = await entering.newest(session, body.area_code, body.clusters)
        body.replaces = None if last is None else last.id
    return body


@router.post("/admin/regulations/check")
@changes_nothing
async def check(request: Request, session: Session, caller: Ruler, given: Given) -> Response:
    """What it will silence, with the button that saves it."""
    body = await _in_place(session, given)
    found = await regulation_effects.of_entry(session, body, caller, clock.now())
    return _effect(
        request, caller, EffectOut.model_validate(found), N_("Nếu nhập Quy chế này"),
        "/admin/regulations", "#entering",
    )  # fmt: skip


@router.post("/admin/regulations", summary="Nhập Quy chế")
async def store(request: Request, session: Session, caller: Ruler, given: Given) -> Response:
    """Enter it."""
    body = await _in_place(session, given)
    await regulation_effects.enter(session, body, caller, clock.now())
    return redirect(request, f"/admin/regulations?area={body.area_code}")


@router.post("/admin/regulations/{regulation_id}/withdrawal")
@changes_nothing
async def check_withdrawal(
    request: Request, session: Session, caller: Ruler, regulation_id: Id
) -> Response:
    """What its withdrawal will change, with the button that withdraws it."""
    row = await entering.held(session, regulation_id, caller)
    found = await regulation_effects.of_withdrawal(session, row, caller, clock.now())
    return _effect(
        request, caller, EffectOut.model_validate(found), N_("Nếu rút Quy chế này"),
        f"/admin/regulations/{regulation_id}/withdraw",
    )  # fmt: skip


@router.post("/admin/regulations/{regulation_id}/restoration")
@changes_nothing
async def check_restoration(
    request: Request, session: Session, caller: Ruler, regulation_id: Id
) -> Response:
    """What taking back its withdrawal will change, with the button that does so."""
    row = await entering.held(session, regulation_id, caller)
    found = await regulation_effects.of_reinstatement(session, row, clock.now())
    return _effect(
        request, caller, EffectOut.model_validate(found), N_("Nếu khôi phục Quy chế này"),
        f"/admin/regulations/{regulation_id}/reinstate",
    )  # fmt: skip


Silences = Annotated[bool, Form()]


@router.post("/admin/regulations/{regulation_id}/withdraw", summary="Rút Quy chế")
async def withdraw(
    request: Request, session: Session, caller: Ruler, regulation_id: Id,
    silences: Silences = False,
) -> Response:  # fmt: skip
    """What was in force before holds again."""
    row = await entering.held(session, regulation_id, caller)
    await regulation_effects.withdraw(session, row, caller, clock.now(), silences=silences)
    return redirect(request, f"/admin/regulations?area={row.area_code}")


@router.post("/admin/regulations/{regulation_id}/reinstate", summary="Khôi phục Quy chế")
async def reinstate(
    request: Request, session: Session, caller: Ruler, regulation_id: Id,
    silences: Silences = False,
) -> Response:  # fmt: skip
    """Undo its withdrawal."""
    row = await entering.held(session, regulation_id, caller)
    await regulation_effects.reinstate(session, row, clock.now(), silences=silences)
    return redirect(request, f"/admin/regulations?area={row.area_code}")


def _effect(
    request: Request, caller: Caller, effect: EffectOut, title: str, path: str, form: str = ""
) -> Response:
    return page(
        request, caller, "admin/_regulation_effect.html", effect=effect,
        title=translate(language_of(request), title), path=path, form=form,
    )  # fmt: skip

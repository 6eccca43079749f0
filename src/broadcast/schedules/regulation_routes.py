"""REST of Quy chế: entered, withdrawn and read, with what they do to schedules."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, File, Form, Query, Request, Response, UploadFile

from broadcast.auth.caller import Caller, Reader, require
from broadcast.auth.routing import Router, changes_nothing
from broadcast.kit import clock
from broadcast.regulations import entering
from broadcast.regulations.schemas import (
    InForceOut,
    RegulationIn,
    RegulationOut,
    WithdrawalIn,
)
from broadcast.schedules import regulation_effects, regulation_import
from broadcast.schedules.regulations_in_force import in_force
from broadcast.schedules.schemas import EffectOut, RegulationsReport
from broadcast.web.fields import AsOf, Code, DryRun
from broadcast.web.files import received
from broadcast.web.idempotency import Created, Once
from broadcast.web.rest import AppSettings, Id, Page, PageQuery, Session

router = Router(prefix="/api/v1", tags=["regulations"])

Ruler = Annotated[Caller, Depends(require(entering.NEEDED))]


@router.get("/regulations", summary="Các Quy chế đã nhập, kể cả đã rút")
async def list_regulations(
    session: Session,
    caller: Reader,
    paging: PageQuery,
    area: Annotated[Code | None, Query(description="chỉ của chính đơn vị này")] = None,
) -> Page[RegulationOut]:
    """In the order in which they were entered."""
    return await entering.list_all(session, paging, area)


@router.get("/regulations/in-force", summary="Điều đang áp dụng ở một địa bàn")
async def show_in_force(
    session: Session, settings: AppSettings, caller: Reader, area: Code, on: AsOf = None
) -> InForceOut:
    """Each provision by the nearest Quy chế that says something of it."""
    return await in_force(session, area, on or clock.today(), settings.rules)


@router.get("/regulations/{regulation_id}", summary="Một Quy chế")
async def show(session: Session, caller: Reader, regulation_id: Id) -> RegulationOut:
    """One of them."""
    return await entering.show(session, regulation_id)


@router.post("/regulations", status_code=201, summary="Nhập Quy chế", response_model=RegulationOut)
async def enter(request: Request, session: Session, caller: Ruler, body: RegulationIn) -> Response:
    """Devices have it within minutes; `silences` says what becomes of what it forbids."""

    async def make() -> Created:
        row = await regulation_effects.enter(session, body, caller, clock.now())
        made = await entering.show(session, row.id)
        return Created(f"/api/v1/regulations/{made.id}", made)

    return await Once(request).run(session, caller.account_id, make)


@router.post("/regulations/import", summary="Nhập regulations.csv")
async def import_regulations(
    session: Session,
    caller: Ruler,
    file: Annotated[UploadFile, File(alias="regulations")],
    dry_run: DryRun = False,
    silences: Annotated[
        bool, Form(description="đồng ý để các buổi phát trái các Quy chế này im")
    ] = False,
) -> RegulationsReport:
    """Enter the rows, all or nothing; `errors` of a 422 name row, column and remedy."""
    return await regulation_import.import_rows(
        session, await received(file), caller, clock.now(), silences=silences, dry_run=dry_run
    )


@router.post("/regulations/check", summary="Quy chế như vậy thì buổi nào im")
@changes_nothing
async def check(session: Session, caller: Ruler, body: RegulationIn) -> EffectOut:
    """Starts of two months that would be silent, or sound again; saves nothing."""
    found = await regulation_effects.of_entry(session, body, caller, clock.now())
    return EffectOut.model_validate(found)


@router.post("/regulations/{regulation_id}/withdrawal", summary="Rút Quy chế thì buổi nào đổi")
@changes_nothing
async def check_withdrawal(session: Session, caller: Ruler, regulation_id: Id) -> EffectOut:
    """Starts of two months that would be silent, or sound again; saves nothing."""
    row = await entering.held(session, regulation_id, caller)
    found = await regulation_effects.of_withdrawal(session, row, caller, clock.now())
    return EffectOut.model_validate(found)


@router.post("/regulations/{regulation_id}/withdraw", summary="Rút Quy chế")
async def withdraw(
    session: Session, caller: Ruler, regulation_id: Id, body: WithdrawalIn
) -> RegulationOut:
    """What was in force before holds again."""
    row = await entering.held(session, regulation_id, caller)
    await regulation_effects.withdraw(session, row, caller, clock.now(), silences=body.silences)
    return await entering.show(session, regulation_id)


@router.post("/regulations/{regulation_id}/reinstate", summary="Khôi phục Quy chế đã rút")
async def reinstate(
    session: Session, caller: Ruler, regulation_id: Id, body: WithdrawalIn
) -> RegulationOut:
    """Undo its withdrawal."""
    row = await entering.held(session, regulation_id, caller)
    await regulation_effects.reinstate(session, row, clock.now(), silences=body.silences)
    return await entering.show(session, regulation_id)

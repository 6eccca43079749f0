"""REST of the drill calendar."""

from __future__ import annotations

from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Response

from broadcast.alerts import drills
from broadcast.alerts.drill_schemas import DrillIn, DrillOut, DrillReportOut
from broadcast.alerts.model import Drill
from broadcast.auth.caller import Authoriser, ContentReader
from broadcast.auth.people import people
from broadcast.auth.routing import Router
from broadcast.kit import clock
from broadcast.web.idempotency import Created, Once
from broadcast.web.rest import Page, PageQuery, Session, paged

router = Router(prefix="/api/v1", tags=["alerts"])


@router.get("/drills", summary="Lịch diễn tập")
async def list_drills(
    session: Session, caller: ContentReader, paging: PageQuery
) -> Page[DrillOut]:
    """By start."""
    found = await paged(session, drills.select_drills(), [Drill.starts_at, Drill.id], paging)
    known = await people(session, (row[0].created_by for row in found.rows))
    return found.page(partial(DrillOut.of, people=known))


@router.post("/drills", status_code=201, response_model=DrillOut, summary="Thêm đợt diễn tập")
async def create(
    session: Session, caller: Authoriser, once: Annotated[Once, Depends()], body: DrillIn
) -> Response:
    """Only while it is on may alerts of it sound."""
    now = clock.now()

    async def make() -> Created:
        drill = await drills.create(session, body, caller, now)
        known = await people(session, [drill.created_by])
        return Created(f"/api/v1/drills/{drill.id}", DrillOut.of(drill, known))

    return await once.run(session, caller.account_id, make, now=now)


@router.get("/drills/{drill_id}", summary="Một đợt diễn tập")
async def show(session: Session, caller: ContentReader, drill_id: UUID) -> DrillOut:
    """A drill by id."""
    drill = await drills.get_drill(session, drill_id)
    return DrillOut.of(drill, await people(session, [drill.created_by]))


@router.get("/drills/{drill_id}/report", summary="Kết quả đợt diễn tập: phát ở đâu, nơi nào không")
async def show_report(session: Session, caller: ContentReader, drill_id: UUID) -> DrillReportOut:
    """Of the caller's places, as far as is known."""
    drill = await drills.get_drill(session, drill_id)
    return await drills.report(session, drill, caller, clock.now())


@router.post("/drills/{drill_id}/cancel", summary="Hủy đợt diễn tập")
async def cancel(session: Session, caller: Authoriser, drill_id: UUID) -> DrillOut:
    """Nothing of it can be authorised any more; an alert that sounds is cancelled there."""
    drill = await drills.get_drill(session, drill_id, lock=True)
    await drills.cancel(session, drill, caller, clock.now())
    return DrillOut.of(drill, await people(session, [drill.created_by]))

"""REST of templates of alerts."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Response

from broadcast.alerts import templates
from broadcast.alerts.template_schemas import AlertTemplateIn, AlertTemplateOut
from broadcast.auth.caller import Authoriser, ContentReader, Proposer
from broadcast.auth.routing import Router
from broadcast.kit import clock
from broadcast.web.idempotency import Created, Once
from broadcast.web.rest import AppSettings, Page, PageQuery, Session

router = Router(prefix="/api/v1", tags=["alerts"])


@router.get("/alert-templates", summary="Mẫu cảnh báo soạn sẵn")
async def list_templates(
    session: Session,
    caller: ContentReader,
    paging: PageQuery,
    withdrawn: Annotated[bool, Query(description="những mẫu đã thôi dùng")] = False,
) -> Page[AlertTemplateOut]:
    """Oldest first."""
    return await templates.page_of(session, paging, withdrawn=withdrawn, newest_first=False)


@router.post(
    "/alert-templates",
    status_code=201,
    response_model=AlertTemplateOut,
    summary="Soạn sẵn một mẫu cảnh báo",
)
async def create(
    session: Session,
    settings: AppSettings,
    caller: Proposer,
    once: Annotated[Once, Depends()],
    body: AlertTemplateIn,
) -> Response:
    """Its bulletin is submitted and approved like any other; then loudspeakers fetch it ahead."""
    now = clock.now()

    async def make() -> Created:
        template = await templates.create(session, body, caller, settings, now)
        [shown] = await templates.shown(session, [template])
        return Created(f"/api/v1/alert-templates/{template.id}", shown)

    return await once.run(session, caller.account_id, make, now=now)


@router.get("/alert-templates/{template_id}", summary="Một mẫu cảnh báo")
async def show(session: Session, caller: ContentReader, template_id: UUID) -> AlertTemplateOut:
    """A template by id."""
    template = await templates.get_template(session, template_id)
    [shown] = await templates.shown(session, [template])
    return shown


@router.post("/alert-templates/{template_id}/withdraw", summary="Thôi dùng một mẫu cảnh báo")
async def withdraw(session: Session, caller: Authoriser, template_id: UUID) -> AlertTemplateOut:
    """What was made of it stays as it is."""
    template = await templates.get_template(session, template_id, lock=True)
    await templates.withdraw(session, template, caller, clock.now())
    [shown] = await templates.shown(session, [template])
    return shown

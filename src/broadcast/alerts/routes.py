"""REST of alerts: preparing one, the steps of two people, and the board of what became of it."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Response

from broadcast.alerts import board, queries, steps
from broadcast.alerts.board import BoardOut
from broadcast.alerts.model import Alert, Drill
from broadcast.alerts.schemas import AlertDetailOut, AlertIn, AlertOut, ReasonIn, ReplacementIn
from broadcast.auth.caller import Authoriser, ContentReader, LoneAuthoriser, Proposer
from broadcast.auth.routing import Router
from broadcast.kit import clock
from broadcast.web.idempotency import Created, Once
from broadcast.web.rest import AppSettings, Page, PageQuery, Rows, Session, paged, require_known

router = Router(prefix="/api/v1", tags=["alerts"])

OnceDep = Annotated[Once, Depends()]


@router.get("/alerts", summary="Cảnh báo khẩn cấp và diễn tập")
async def list_alerts(
    session: Session,
    caller: ContentReader,
    paging: PageQuery,
    drill: UUID | None = None,
    awaits_debrief: Annotated[
        bool, Query(description="chỉ những cảnh báo một người phát, chờ rút kinh nghiệm")
    ] = False,
) -> Page[AlertOut]:
    """Oldest first."""
    if drill is not None:
        await require_known(session, "drill", Drill.id, drill)
    statement = queries.select_alerts(drill_id=drill, awaits_debrief=awaits_debrief)
    found: Rows = await paged(session, statement, [Alert.created_at, Alert.id], paging)
    rows = [alert for (alert,) in found.rows]
    shown = await queries.shown(session, rows, clock.now())
    by_id = {each.id: each for each in shown}
    return found.page(lambda alert: by_id[alert.id])


@router.post(
    "/alerts", status_code=201, response_model=AlertDetailOut, summary="Soạn một cảnh báo"
)
async def prepare(
    session: Session, settings: AppSettings, caller: Proposer, once: OnceDep, body: AlertIn
) -> Response:
    """Nobody hears of it before it is proposed and authorised; the answer says where it sounds."""
    now = clock.now()

    async def make() -> Created:
        alert = await steps.prepare(session, body, caller, settings, now)
        return Created(f"/api/v1/alerts/{alert.id}", await queries.detail(session, alert, now))

    return await once.run(session, caller.account_id, make, now=now)


@router.get("/alerts/{alert_id}", summary="Một cảnh báo, và nơi nó phát")
async def show(session: Session, caller: ContentReader, alert_id: UUID) -> AlertDetailOut:
    """An alert by id."""
    alert = await queries.get_alert(session, alert_id)
    return await queries.detail(session, alert, clock.now())


@router.get("/alerts/{alert_id}/board", summary="Nơi nào đã nhận, đang phát, đã phát; gọi cho ai")
async def show_board(session: Session, caller: ContentReader, alert_id: UUID) -> BoardOut:
    """Of the caller's places; villages where nobody has heard it come first."""
    return await board.board(session, alert_id, caller)


@router.post("/alerts/{alert_id}/propose", summary="Đề nghị người thứ hai cho phép phát")
async def propose(session: Session, caller: Proposer, alert_id: UUID) -> AlertDetailOut:
    """It waits for half an hour."""
    now = clock.now()
    alert = await queries.get_alert(session, alert_id, lock=True)
    await steps.propose(session, alert, caller, now)
    return await queries.detail(session, alert, now)


@router.post("/alerts/{alert_id}/authorise", summary="Cho phép phát cảnh báo người khác đề nghị")
async def authorise(session: Session, caller: Authoriser, alert_id: UUID) -> AlertDetailOut:
    """By another account than the one that proposed it, with a second factor of its own."""
    now = clock.now()
    alert = await queries.get_alert(session, alert_id, lock=True)
    await steps.authorise(session, alert, caller, now)
    return await queries.detail(session, alert, now)


@router.post("/alerts/{alert_id}/authorise-alone", summary="Một mình cho phép phát, khi cấp bách")
async def authorise_alone(
    session: Session, caller: LoneAuthoriser, alert_id: UUID, body: ReasonIn
) -> AlertDetailOut:
    """Ends by itself after a quarter of an hour, and must be debriefed."""
    now = clock.now()
    alert = await queries.get_alert(session, alert_id, lock=True)
    await steps.authorise_alone(session, alert, body.reason, caller, now)
    return await queries.detail(session, alert, now)


@router.post(
    "/alerts/{alert_id}/replacements",
    status_code=201,
    response_model=AlertDetailOut,
    summary="Soạn tin cập nhật hoặc báo yên",
)
async def replace(
    session: Session,
    settings: AppSettings,
    caller: Proposer,
    once: OnceDep,
    alert_id: UUID,
    body: ReplacementIn,
) -> Response:
    """It takes the place of the alert once it is proposed and authorised itself."""
    now = clock.now()

    async def make() -> Created:
        alert = await queries.get_alert(session, alert_id, lock=True)
        new = await steps.replace(session, alert, body, caller, settings, now)
        return Created(f"/api/v1/alerts/{new.id}", await queries.detail(session, new, now))

    return await once.run(session, caller.account_id, make, now=now)


@router.post("/alerts/{alert_id}/cancel", summary="Hủy cảnh báo, loa dừng ngay")
async def cancel(
    session: Session, caller: Proposer, alert_id: UUID, body: ReasonIn
) -> AlertDetailOut:
    """One person is enough; what was authorised needs who may authorise."""
    now = clock.now()
    alert = await queries.get_alert(session, alert_id, lock=True)
    await steps.cancel(session, alert, body.reason, caller, now)
    return await queries.detail(session, alert, now)


@router.post("/alerts/{alert_id}/debrief", summary="Ghi kết quả rút kinh nghiệm")
async def debrief(
    session: Session, caller: Authoriser, alert_id: UUID, body: ReasonIn
) -> AlertDetailOut:
    """Of an alert that one person issued; by another one."""
    now = clock.now()
    alert = await queries.get_alert(session, alert_id, lock=True)
    await steps.debrief(session, alert, body.reason, caller, now)
    return await queries.detail(session, alert, now)

"""REST of the audit: search and export."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import StreamingResponse

from broadcast.areas import scope
from broadcast.audit import recording
from broadcast.audit.entry import MOST_OBJECT, Outcome
from broadcast.audit.model import AuditEntry
from broadcast.auditing import export, search
from broadcast.auditing.schemas import AuditEntryOut
from broadcast.auth.caller import AuditReader
from broadcast.auth.permissions import Permission
from broadcast.auth.routing import Router, exports
from broadcast.kit import clock
from broadcast.kit.errors import InvalidInput
from broadcast.kit.times import Moment
from broadcast.web import rest
from broadcast.web.fields import Code
from broadcast.web.rest import Page, PageQuery, Session, engine

router = Router(prefix="/api/v1", tags=["audit"])

DEFAULT = timedelta(days=7)
"""How far back is searched where nobody says otherwise."""

Since = Annotated[Moment | None, Query(alias="from", description="mặc định: 7 ngày trước")]
Text = Annotated[str | None, Query(min_length=1, max_length=MOST_OBJECT)]


@router.get("/audit", summary="Nhật ký kiểm toán: ai đã làm gì, lúc nào, từ đâu")
async def list_entries(
    session: Session,
    caller: AuditReader,
    paging: PageQuery,
    since: Since = None,
    until: Annotated[Moment | None, Query(description="trước lúc này")] = None,
    account: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="số tài khoản")] = None,
    name: Annotated[Text, Query(description="tên lúc đó")] = None,
    action: Annotated[Text, Query(description="một phần, ví dụ /withdraw")] = None,
    object_: Annotated[
        Text, Query(alias="object", description="địa chỉ đã gọi, hoặc bảng/khóa của mục đã đổi")
    ] = None,
    area: Annotated[Code | None, Query(description="mã đơn vị, kể cả các cấp dưới")] = None,
    outcome: Outcome | None = None,
) -> Page[AuditEntryOut]:
    """In the order in which they came about. Who may read a part of the province sees that."""
    now = clock.now()
    statement = await search.select_entries(
        session, clock.today(), since or now - DEFAULT, until or now + timedelta(days=1),
        account=account, name=name, action=action, object_=object_, area=area, outcome=outcome,
    )  # fmt: skip
    found = await rest.paged(session, statement, [AuditEntry.seq], paging)
    return found.page(AuditEntryOut.of)


@router.get(
    "/audit/export",
    summary="Xuất nhật ký thành tệp JSON Lines tự kiểm tra được",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/jsonl": {"schema": {"type": "string"}}}}},
)
@exports
async def export_entries(
    request: Request,
    session: Session,
    caller: AuditReader,
    since: Since = None,
    until: Annotated[Moment | None, Query(description="trước lúc này")] = None,
) -> StreamingResponse:
    """Entries of a time with their hashes and signatures; `broadcast audit verify FILE` reads it.

    That it was taken is an entry itself.
    """
    # Of a part nobody could tell that nothing is missing.
    scope.require_whole(session, caller, Permission.AUDIT_READ)
    now = clock.now()
    begin, end = since or now - DEFAULT, until or now
    if end <= begin:
        raise InvalidInput("until", "phải sau from")
    span = await export.span(session, begin, end)
    recording.say(session, since=begin, until=end, first=span.first, last=span.last)
    return StreamingResponse(
        export.lines(engine(request), span, begin, end, now),
        media_type="application/jsonl",
        headers={"Content-Disposition": f'attachment; filename="audit-{begin:%Y%m%d}.jsonl"'},
    )

"""The audit, as people read it."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Query, Request, Response

from broadcast.areas import scope
from broadcast.audit.entry import Outcome
from broadcast.audit.model import AuditEntry
from broadcast.auditing import search
from broadcast.auditing.routes import DEFAULT
from broadcast.auditing.schemas import AuditEntryOut
from broadcast.auth.caller import AuditReader
from broadcast.auth.permissions import Permission
from broadcast.console.page import PageRouter, page
from broadcast.console.people import audit_words
from broadcast.console.people.forms import begin_of, day, end_of, options
from broadcast.console.words import N_
from broadcast.kit import clock
from broadcast.web import rest
from broadcast.web.rest import PageQuery, Session

router = PageRouter()

OUTCOMES = {
    Outcome.DONE: ("ok", N_("đã làm")),
    Outcome.REFUSED: ("bad", N_("bị từ chối")),
}

Text = Annotated[str, Query(max_length=300)]


@router.get("/admin/audit")
async def show(
    request: Request,
    session: Session,
    caller: AuditReader,
    paging: PageQuery,
    since: Annotated[str, Query(alias="from", max_length=20)] = "",
    until: Annotated[str, Query(max_length=20)] = "",
    name: Text = "",
    action: Text = "",
    object_: Annotated[str, Query(alias="object", max_length=300)] = "",
    outcome: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """As `GET /api/v1/audit`; `until` is the last day."""
    now = clock.now()
    first, last = day("from", since), day("until", until)
    begin = begin_of(first) if first is not None else now - DEFAULT
    end = end_of(last) if last is not None else now + timedelta(days=1)
    statement = await search.select_entries(
        session, clock.today(), begin, end,
        name=name or None, action=action or None, object_=object_ or None,
        outcome=Outcome(outcome) if outcome in list(Outcome) else None,
    )  # fmt: skip
    found = await rest.paged(session, statement, [AuditEntry.seq], paging)
    chosen = {
        "from": since, "until": until, "name": name, "action": action, "object": object_,
        "outcome": outcome,
    }  # fmt: skip
    span = {"from": begin.isoformat(), **({} if last is None else {"until": end.isoformat()})}
    return page(
        request,
        caller,
        "people/audit.html",
        found=found.page(AuditEntryOut.of),
        chosen=chosen,
        begin=begin,
        outcomes=OUTCOMES,
        outcome_options=options(request, {each: name for each, (_, name) in OUTCOMES.items()}),
        tables=audit_words.TABLES,
        columns=audit_words.COLUMNS,
        said=audit_words.said,
        export=f"/api/v1/audit/export?{urlencode(span)}"
        if scope.is_whole(caller, Permission.AUDIT_READ)
        else None,
    )

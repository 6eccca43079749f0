"""Answers of the incidents, over REST and on the command line."""

from __future__ import annotations

import operator
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field

from broadcast.auth.people import PersonOut
from broadcast.incidents import texts
from broadcast.incidents.causes import Cause, Evidence
from broadcast.incidents.grouping import Kind
from broadcast.incidents.model import (
    ClosingReason,
    Incident,
    IncidentLoss,
)
from broadcast.incidents.texts import State
from broadcast.kit.english import Said
from broadcast.kit.text import FilledNote, Note
from broadcast.kit.times import Moment
from broadcast.web.fields import example
from broadcast.web.rest import Body, Page, UnreadableOut

EXAMPLE: dict[str, Any] = {
    "id": 12,
    "state": "open",
    "title": "Mất điện tuyến 471-E16.1: 38 cụm loa, 2 xã, từ 14:02",
    "advice": "Còn 38 cụm mất liên lạc: hỏi Điện lực giờ có điện lại; loa tự phát tiếp lịch khi"
    " có điện.",
    "kind": "power_feed",
    "code": "471-E16.1",
    "within": "",
    "name": "471-E16.1",
    "cause": "power",
    "opened_at": "2025-07-01T14:02:11+07:00",
    "noticed_at": "2025-07-01T14:05:15+07:00",
    "recovered_at": None,
    "closed_at": None,
    "superseded_by": None,
    "devices_count": 38,
    "down_count": 38,
    "villages_count": 9,
    "communes_count": 2,
    "assignee": {"id": 7, "name": "Lê Văn Hùng"},
    "closing": None,
    "version": 3,
}

FALL: dict[str, Any] = {
    "device": "QN-000417",
    "cluster": "QN-21025-01",
    "cluster_name": "Nhà văn hóa thôn Phú Bình",
    "fell_at": "2025-07-01T14:02:11+07:00",
    "noticed_at": "2025-07-01T14:05:15+07:00",
    "returned_at": None,
    "evidence": "power",
    "evidence_text": "mất điện",
}


class ClosingOut(BaseModel):
    """The closing of an incident by a person, in force."""

    reason: ClosingReason
    reason_text: Said
    note: str
    closed_by: PersonOut
    closed_at: Moment


class IncidentOut(BaseModel):
    """One event by which devices lost contact."""

    model_config = example(**EXAMPLE)

    id: int
    state: State
    title: Said
    """The event in one line, for people."""
    advice: Said
    """Progress so far, and what to do next."""
    kind: Kind
    code: str
    """Of the area, power feed, operator or device."""
    within: str
    """Commune, for an operator there; else empty."""
    name: str
    cause: Cause
    opened_at: Moment
    """Time at which the first of its devices was last heard of."""
    noticed_at: Moment
    recovered_at: Moment | None
    """Time at which the last of its devices returned."""
    closed_at: Moment | None
    superseded_by: int | None
    """Incident that took this one over."""
    devices_count: int
    down_count: int
    villages_count: int
    communes_count: int
    assignee: PersonOut | None
    """Who sees to it."""
    closing: ClosingOut | None
    """By a person; lapses when more devices are lost."""
    version: int
    """Grows with every step of a person and when more devices are lost."""

    @classmethod
    def of(
        cls,
        incident: Incident,
        on: date,
        assignee: PersonOut | None = None,
        closing: ClosingOut | None = None,
    ) -> Self:
        """An incident as it is shown on a day."""
        return cls(
            id=incident.id,
            state=texts.state_of(incident),
            title=texts.title(incident, on),
            advice=texts.advice(incident, on),
            kind=incident.kind,
            code=incident.code,
            within=incident.within,
            name=incident.name,
            cause=incident.cause,
            opened_at=incident.opened_at,
            noticed_at=incident.noticed_at,
            recovered_at=incident.recovered_at,
            closed_at=incident.closed_at,
            superseded_by=incident.superseded_by,
            devices_count=incident.devices_count,
            down_count=incident.down_count,
            villages_count=incident.villages_count,
            communes_count=incident.communes_count,
            assignee=assignee,
            closing=closing,
            version=incident.version,
        )


class ContactLossOut(BaseModel):
    """One absence of one device."""

    model_config = example(**FALL)

    device: str
    cluster: str
    cluster_name: str
    fell_at: Moment
    """Time at which it was last heard of before."""
    noticed_at: Moment
    returned_at: Moment | None
    evidence: Evidence
    """Evidence from the device itself."""
    evidence_text: Said

    @classmethod
    def of(cls, loss: IncidentLoss, device: str, cluster: str, cluster_name: str) -> Self:
        """A loss, with the codes of device and cluster, and the name of the latter."""
        return cls(
            device=device,
            cluster=cluster,
            cluster_name=cluster_name,
            fell_at=loss.fell_at,
            noticed_at=loss.noticed_at,
            returned_at=loss.returned_at,
            evidence=loss.evidence,
            evidence_text=texts.EVIDENCE[loss.evidence],
        )


class SilentVillageOut(BaseModel):
    """A village in which no loudspeaker is heard of any more."""

    code: str
    name: str
    silent_since: Moment
    """Since when the last of its clusters has been away."""


class EarlierOut(BaseModel):
    """An earlier incident of the same."""

    id: int
    title: Said
    opened_at: Moment
    closed_at: Moment | None


class RecurrenceOut(BaseModel):
    """How often the same has happened."""

    count: int
    """With this one."""
    days: int
    """Before this one, in which was looked."""
    text: Said
    """For people; empty for the first time."""
    earlier: list[EarlierOut]
    """The newest first, at most twenty."""


class IncidentDetailOut(IncidentOut):
    """An incident with its devices, a page at a time."""

    model_config = example(
        **EXAMPLE,
        silent_villages=[
            {"code": "T-0001", "name": "thôn Phú Bình", "silent_since": EXAMPLE["opened_at"]}
        ],
        recurrence={
            "count": 2,
            "days": 30,
            "text": "Lần thứ 2 trong 30 ngày trên tuyến điện này.",
            "earlier": [
                {
                    "id": 5,
                    "title": "Mất điện tuyến 471-E16.1: 36 cụm loa, từ 09:10 ngày 12/06/2025",
                    "opened_at": "2025-06-12T09:10:02+07:00",
                    "closed_at": "2025-06-12T11:41:40+07:00",
                }
            ],
        },
        falls={"items": [FALL], "next": None},
    )

    silent_villages: list[SilentVillageOut]
    """Villages of its clusters in which nothing is heard; of the caller's places."""
    recurrence: RecurrenceOut
    falls: Page[ContactLossOut]


# --- the work list -----------------------------------------------------------------------------


class Assigned(StrEnum):
    """Whose incidents are asked for."""

    ME = "me"
    NOBODY = "nobody"
    SOMEBODY = "somebody"


class WorkState(StrEnum):
    """State of an incident that is not closed."""

    OPEN = "open"
    RECOVERED = "recovered"


class WorkItemOut(IncidentOut):
    """An incident that is not closed, with what it costs."""

    silent_villages_count: int
    """Villages in which nothing is heard because of it."""
    silent_hours: float
    """Hours for which they have been silent, added up over the villages."""


class CountOut(BaseModel):
    """How many incidents have a value."""

    value: str
    count: int


class WorkListOut(BaseModel):
    """Incidents that are not closed, what hurts most first: silent villages × hours.

    All counts are of what the filter finds, not of the page.
    """

    as_of: Moment
    total: int
    silent_villages: int
    """Villages in which nothing is heard, each counted once."""
    mine: int
    unassigned: int
    state: list[CountOut]
    kind: list[CountOut]
    cause: list[CountOut]
    age: list[CountOut]
    """By hours since they began: `0` is less than one, then 1, 4, 24 and 72 and more."""
    items: list[WorkItemOut]
    next: str | None
    unreadable: list[UnreadableOut] = Field(default=[], exclude_if=operator.not_)


# --- history -----------------------------------------------------------------------------------


class EventKind(StrEnum):
    """What happened with an incident."""

    NOTICED = "noticed"
    MORE_LOST = "more_lost"
    RECOVERED = "recovered"
    ENDED = "ended"
    """Everything stayed back, or another incident took it over."""
    ASSIGNED = "assigned"
    RELEASED = "released"
    NOTED = "noted"
    CLOSED = "closed"
    REOPENED = "reopened"


class IncidentEventOut(BaseModel):
    """One thing that happened with an incident."""

    kind: EventKind
    at: Moment
    by: PersonOut | None
    """None: the server."""
    text: Said
    """For people."""
    note: str = ""


class HistoryOut(BaseModel):
    """What happened with an incident, the newest first."""

    items: list[IncidentEventOut]
    left_out: int
    """Older ones that are not listed."""


class HandlersOut(BaseModel):
    """Accounts that may see to an incident, by name."""

    items: list[PersonOut]


# --- what people do ------------------------------------------------------------------------------


class AssignIn(Body):
    """Who is to see to an incident."""

    model_config = example(account_id=7)

    account_id: Annotated[int, Field(ge=1, le=2**31 - 1)]


class NoteIn(Body):
    """What somebody found or did."""

    model_config = example(text="Đã hỏi Điện lực: 15 giờ có điện lại.")

    text: FilledNote


class CloseIn(Body):
    """Why an incident is closed."""

    model_config = example(reason="repaired", note="Thay cầu chì tại cột.")

    reason: ClosingReason
    note: Note = ""
    """Needed with the reason `other`."""

"""Answers of the incidents, over REST and on the command line."""

from __future__ import annotations

from datetime import date
from typing import Any, Self

from pydantic import BaseModel

from broadcast.incidents import texts
from broadcast.incidents.causes import Cause, Evidence
from broadcast.incidents.grouping import Kind
from broadcast.incidents.model import Incident, IncidentLoss
from broadcast.incidents.texts import State
from broadcast.kit.times import Moment
from broadcast.web.fields import example
from broadcast.web.rest import Page

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
}

FALL: dict[str, Any] = {
    "device": "QN-000417",
    "cluster": "QN-21025-01",
    "fell_at": "2025-07-01T14:02:11+07:00",
    "noticed_at": "2025-07-01T14:05:15+07:00",
    "returned_at": None,
    "evidence": "power",
    "evidence_text": "mất điện",
}


class IncidentOut(BaseModel):
    """One event by which devices lost contact."""

    model_config = example(**EXAMPLE)

    id: int
    state: State
    title: str
    """The event in one line, for people."""
    advice: str
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

    @classmethod
    def of(cls, incident: Incident, on: date) -> Self:
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
        )


class ContactLossOut(BaseModel):
    """One absence of one device."""

    model_config = example(**FALL)

    device: str
    cluster: str
    fell_at: Moment
    """Time at which it was last heard of before."""
    noticed_at: Moment
    returned_at: Moment | None
    evidence: Evidence
    """Evidence from the device itself."""
    evidence_text: str

    @classmethod
    def of(cls, loss: IncidentLoss, device: str, cluster: str) -> Self:
        """A loss, with the codes of device and cluster."""
        return cls(
            device=device,
            cluster=cluster,
            fell_at=loss.fell_at,
            noticed_at=loss.noticed_at,
            returned_at=loss.returned_at,
            evidence=loss.evidence,
            evidence_text=texts.EVIDENCE[loss.evidence],
        )


class IncidentDetailOut(IncidentOut):
    """An incident with its devices, a page at a time."""

    model_config = example(**EXAMPLE, falls={"items": [FALL], "next": None})

    falls: Page[ContactLossOut]

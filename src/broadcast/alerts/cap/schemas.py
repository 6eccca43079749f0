"""Answers about CAP messages."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel

from broadcast.alerts.cap.judge import Action
from broadcast.alerts.cap.model import CapMessage
from broadcast.kit.english import Said
from broadcast.kit.times import Moment


class TextOut(BaseModel):
    """What is told in one language."""

    language: str
    headline: str
    body: str


class CapMessageOut(BaseModel):
    """A CAP message that came, and what became of it."""

    id: int
    received_at: Moment
    sender: str | None
    identifier: str | None
    sent_at: Moment | None
    status: str | None
    action: Action
    reasons: list[Said]
    issuer: str
    event: str
    texts: list[TextOut]
    areas: list[str]
    starts_at: Moment | None
    ends_at: Moment | None
    alert_id: UUID | None
    """The alert that it was made, which waits for a second person."""
    ends: list[str]
    """Identifiers of messages that it puts an end to."""
    ended_by_id: int | None
    """The message that has put an end to it."""

    @classmethod
    def of(cls, row: CapMessage) -> CapMessageOut:
        """As it is stored."""
        return cls(
            id=row.id,
            received_at=row.received_at,
            sender=row.sender,
            identifier=row.identifier,
            sent_at=row.sent_at,
            status=row.status,
            action=row.action,
            reasons=row.reasons,
            issuer=row.issuer,
            event=row.event,
            texts=[TextOut(**text) for text in row.texts],
            areas=row.area_codes,
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            alert_id=row.alert_id,
            ends=row.ends,
            ended_by_id=row.ended_by_id,
        )

"""Entries of the audit as REST answers them."""

from __future__ import annotations

from typing import Any

import msgspec
from pydantic import BaseModel

from broadcast.audit.entry import Outcome, decode
from broadcast.audit.model import AuditEntry
from broadcast.kit.english import Said
from broadcast.kit.times import Moment


class AuditChangeOut(BaseModel):
    """One thing, before and after: what differs, or all of it where it came or went."""

    kind: str
    key: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class AuditEntryOut(BaseModel):
    """Who did what, when, from where; `hash` is its place in the chain."""

    seq: int
    hash: str
    at: Moment
    account_id: int | None
    name: str
    credential: str | None
    address: str
    agent: str
    outcome: Outcome
    action: str
    title: Said
    object: str
    areas: list[str]
    changes: list[AuditChangeOut]
    omitted: int
    details: dict[str, Any]

    @classmethod
    def of(cls, row: AuditEntry) -> AuditEntryOut:
        """The entry of a row, as its text has it.

        Raises:
            ValueError: The text was spoilt.
        """
        entry = decode(row.entry)
        assert row.seq is not None
        return cls(
            seq=row.seq,
            hash=row.hash or "",
            at=entry.at,
            account_id=entry.who.account,
            name=entry.who.name,
            credential=entry.who.credential,
            address=entry.origin.address,
            agent=entry.origin.agent,
            outcome=entry.outcome,
            action=entry.action,
            title=entry.title,
            object=entry.object,
            areas=list(entry.areas),
            changes=[AuditChangeOut(**msgspec.structs.asdict(change)) for change in entry.changes],
            omitted=entry.omitted,
            details=entry.details,
        )

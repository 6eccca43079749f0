"""What a merger changes, as it is answered."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel

from broadcast.areas.model import Part
from broadcast.auth.permissions import Role
from broadcast.kit.english import Said
from broadcast.kit.sheets import Report
from broadcast.kit.times import Day
from broadcast.stations.schemas import UndecidedOut


class UnitOut(BaseModel):
    """A commune that ends or begins."""

    code: str
    name: str
    of: list[str]
    """Codes of its successors, or of what it was made of."""


class ReachOut(BaseModel):
    """A schedule that other documents carry from then on, or that sounds elsewhere."""

    schedule_id: UUID
    title: str
    scopes_before: list[str]
    scopes_after: list[str]
    clusters_before: int
    clusters_after: int
    lost: int
    """Clusters that no longer hear it."""
    gained: int


class GrantOut(BaseModel):
    """A role whose area is rearranged, and a successor that a person has to decide on."""

    account: str
    role: Role
    area_code: str
    successor_code: str
    successor_name: str
    part: Part


class FigureChangeOut(BaseModel):
    """An indicator by the units before and after, with the same evidence; shares are 0–1."""

    code: str
    variant: str
    title: Said
    before: float | None
    after: float | None


class MergerOut(BaseModel):
    """Everything that a merger changes."""

    on: Day
    dry_run: bool
    units: Report | None
    """Of the files; null where the units were on record."""
    dissolved: list[UnitOut]
    created: list[UnitOut]
    stations: Report
    undecided: list[UndecidedOut]
    """Stations that a person has to decide about."""
    schedules: list[ReachOut]
    grants: list[GrantOut]
    indicators: list[FigureChangeOut]

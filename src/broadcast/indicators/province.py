"""A province on one day, as plain values: the input of the rules.

`figures.py` reads them from the database and a test writes them by hand; the rules cannot tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction
from typing import NamedTuple

from broadcast.portals.updating import Verdict
from broadcast.stations.model import Grade, PlantStatus, StationStatus, Technology


@dataclass(frozen=True, slots=True, kw_only=True)
class Commune:
    """A commune-level unit of the day."""

    code: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Village:
    """A village of the day."""

    code: str
    name: str
    commune: str | None
    """Unit it lies in; None: its commune was divided, and nobody has recorded where it went."""
    candidates: tuple[str, ...] = ()
    """Without a commune: those it may lie in."""
    excluded: str | None = None
    """Document by which it does not count, for want of homes."""


class Cluster(NamedTuple):
    """A cluster of the day and the evidence on it: thousands are made for every figure."""

    id: int
    code: str
    plant_id: int
    telemetry: bool
    """It is registered for telemetry."""
    device: bool
    """A device was installed on it at some moment of the window."""
    expected_minutes: int
    """Minutes of the window in which it was to be online."""
    online_minutes: int
    """Those of them in which its device reported."""
    completed: bool
    """A play was completed in the window."""
    broadcast_days: int
    """Days with a broadcast due on it after the day of the newest completed play; without one,
    in the whole window."""
    fault_since: datetime | None
    """Begin of the oldest open speaker fault on this cluster."""
    attested_at: datetime | None

    @property
    def reports(self) -> bool:
        """It is judged by telemetry; any other cluster by attestation."""
        return self.telemetry and self.device

    @property
    def online_share(self) -> Fraction | None:
        """Minutes online ÷ minutes expected; None when none was expected."""
        if not self.expected_minutes:
            return None
        return Fraction(self.online_minutes, self.expected_minutes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A cluster serves a village."""

    cluster_id: int
    village: str
    grade: Grade


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """A technical head-end as it stands on the day."""

    id: int
    code: str
    station_id: int
    technologies: frozenset[Technology]
    status: PlantStatus

    @property
    def carries_it(self) -> bool:
        """It carries sound by IT-telecom; older technology beside it may stay."""
        return Technology.IT in self.technologies

    @property
    def converted(self) -> bool:
        """It carries sound by IT-telecom and operates."""
        return self.carries_it and self.status is PlantStatus.OPERATING


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """A station on record, whether or not it exists on the day."""

    id: int
    code: str
    name: str
    exists: bool
    status: StationStatus | None
    """None: no state is on record by the day."""
    commune: str | None
    """The commune of the day that it is in, by lineage when its own has ended.

    None: its commune was divided, and nobody has recorded where the station went.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A wired/FM station of the list that was frozen when the plan began."""

    station_id: int
    plant_ids: tuple[int, ...]
    """Its plants on the day the list was frozen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Province:
    """Everything the indicators of one day and scope are computed from.

    `stations`, `plants`, `clusters` and `services` may reach beyond the scope; `communes`,
    `villages`, `station_ids` and `baseline` are the scope.
    """

    as_of: date
    at: datetime
    """End of `as_of`, or now on the day itself: no later evidence was looked at."""
    scope: str
    communes: Sequence[Commune]
    villages: Sequence[Village]
    clusters: Mapping[int, Cluster]
    services: Sequence[Service]
    stations: Mapping[int, Station]
    station_ids: Sequence[int]
    plants: Mapping[int, Plant]
    baseline: Sequence[Baseline] = field(default=())
    portals: Mapping[str, Verdict] = field(default_factory=dict)
    """What the portals of communes have published, of those that have any."""

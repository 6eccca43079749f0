"""Results of an indicator: its units one by one, and the figures that follow from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

from broadcast.indicators.definitions import Definition
from broadcast.portals.updating import Why
from broadcast.stations.model import Evidence


class Reason(StrEnum):
    """Reason why a unit is not in the numerator, or not in the denominator either."""

    VILLAGES_UNREACHED = "villages_unreached"
    NO_STATION = "no_station"
    STATION_NOT_OPERATING = "station_not_operating"
    PARTLY = "partly"
    NOT_CONVERTED = "not_converted"
    NOT_OPERATING = "not_operating"
    NOT_REPLACED = "not_replaced"
    NO_VILLAGE = "no_village"
    VILLAGES_UNPLACED = "villages_unplaced"
    NO_PLANT = "no_plant"
    NO_STATUS = "no_status"
    COMMUNE_DIVIDED = "commune_divided"
    NO_HOMES = "no_homes"
    NOT_YET = "not_yet"
    DECOMMISSIONED = "decommissioned"
    NO_PORTAL = Why.NO_PORTAL.value
    PORTAL_NOT_READ = Why.NOT_READ.value
    PORTAL_TOO_FEW = Why.TOO_FEW.value


class Gap(StrEnum):
    """Reason why a village is not reached."""

    NO_CLUSTER = "no_cluster"
    CLUSTER_DOWN = "cluster_down"
    PARTIAL = "partial"
    """An operating cluster covers a part of it."""
    NEIGHBOUR = "neighbour"
    """An operating cluster covers it, with another commune's programme."""
    UNPLACED = "unplaced"
    """Its commune is not on record."""


class Cause(StrEnum):
    """Reason why a cluster does not operate."""

    NOTHING_EXPECTED = "nothing_expected"
    OFFLINE = "offline"
    NO_BROADCAST = "no_broadcast"
    NO_COMPLETED_PLAY = "no_completed_play"
    SPEAKER_FAULT = "speaker_fault"
    NO_DEVICE = "no_device"
    NOT_ATTESTED = "not_attested"
    ATTESTATION_EXPIRED = "attestation_expired"


DATA_ERRORS: frozenset[str] = frozenset(
    {
        Reason.NO_VILLAGE,
        Reason.VILLAGES_UNPLACED,
        Reason.NO_PLANT,
        Reason.NO_STATUS,
        Reason.COMMUNE_DIVIDED,
        Gap.UNPLACED,
    }
)
"""The record is incomplete: somebody has to complete it before the figure can be trusted."""


class Member(NamedTuple):
    """One unit of a denominator."""

    code: str
    name: str
    reason: str | None
    """Reason why it does not count; None when it is in the numerator."""
    evidence: Evidence
    """Proof that it counts; `none` also when it does not count."""
    share: Fraction | None = None
    """1.1: villages reached ÷ villages. 1.2: villages served by converted plants ÷ by all of its
    plants. 1.3 TX: items ÷ items wanted, 1 at the most."""
    causes: tuple[str, ...] = ()
    """Codes of the villages that are not reached, or the causes of its clusters."""

    @property
    def counted(self) -> bool:
        """It is in the numerator."""
        return self.reason is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """A unit left out of the denominator."""

    code: str
    name: str
    reason: Reason
    document: str | None


Counting = tuple[list[Member], list[Exclusion]]
"""The denominator of a variant, and what is left out of it."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One variant of one indicator on one day, with its lists."""

    definition: Definition
    members: Sequence[Member]
    """The denominator, in the order of their codes."""
    excluded: Sequence[Exclusion]
    target: Fraction | None
    """Share that the plan requires in the year asked about."""

    @cached_property
    def numerator(self) -> list[Member]:
        """The units that count."""
        return [member for member in self.members if member.reason is None]

    @cached_property
    def partly(self) -> list[Member]:
        """1.2: units with converted plants and one left that is not."""
        return [member for member in self.members if member.reason == Reason.PARTLY]

    @cached_property
    def data_errors(self) -> list[Member]:
        """Units whose record is incomplete."""
        return [member for member in self.members if member.reason in DATA_ERRORS]

    @cached_property
    def value(self) -> Fraction | None:
        """Numerator ÷ denominator, None when there is nothing to count."""
        return self._ratio(len(self.numerator))

    @property
    def gap(self) -> Fraction | None:
        """Target of the year less value; negative when it is passed."""
        if self.target is None or self.value is None:
            return None
        return self.target - self.value

    def proven(self, evidence: Evidence) -> Fraction | None:
        """Part of `value` that rests on this evidence; the three parts add up to it."""
        return self._ratio(self._proofs[evidence])

    @cached_property
    def _proofs(self) -> Counter[Evidence]:
        return Counter(member.evidence for member in self.numerator)

    def _ratio(self, count: int) -> Fraction | None:
        return Fraction(count, len(self.members)) if self.members else None


Results = dict[str, dict[str, Result]]
"""Code → variant → result."""


def ratio(value: Fraction | None) -> float | None:
    """A share as JSON carries it: 0–1, six decimals."""
    return None if value is None else round(float(value), 6)

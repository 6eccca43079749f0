"""Is a commune regularly updating its portals: how much essential information, and when. Pure.

Plan 148/KH-UBND, indicator 1.3, wants essential information to be “regularly updated” and says
neither how much nor how often; the province decides it from a day on (`UpdateRule`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from enum import StrEnum
from typing import NamedTuple


class Why(StrEnum):
    """Why a commune's portals do not count as regularly updated."""

    NO_PORTAL = "no_portal"
    NOT_READ = "portal_not_read"
    """No look at them in the window found anything."""
    TOO_FEW = "portal_too_few"


class Tally(NamedTuple):
    """What a portal has published in a window (`published.tallies`)."""

    id: int
    name: str
    by_tag: int
    """Items of essential information, by a section or label of the portal."""
    by_person: int
    """Items of essential information, by a person's word."""
    others: int
    """No essential information as far as anybody knows."""
    newest_on: date | None
    """Local day of the newest that counts."""
    is_read: bool
    """A look in the window found the portal."""


class Rule(NamedTuple):
    """How much counts as regularly updated."""

    items: int
    """Least number of items of essential information."""
    days: int
    """In as many local days, the day asked about included."""


class Verdict(NamedTuple):
    """The portals of a commune in a window, judged together: each counts by its own tags."""

    portals: Sequence[Tally]
    rule: Rule

    @property
    def by_tag(self) -> int:
        """As of each portal."""
        return sum(each.by_tag for each in self.portals)

    @property
    def by_person(self) -> int:
        """As of each portal."""
        return sum(each.by_person for each in self.portals)

    @property
    def others(self) -> int:
        """As of each portal."""
        return sum(each.others for each in self.portals)

    @property
    def newest_on(self) -> date | None:
        """Local day of the newest item that counts."""
        return max((each.newest_on for each in self.portals if each.newest_on), default=None)

    @property
    def is_read(self) -> bool:
        """One of them was read in the window."""
        return any(each.is_read for each in self.portals)

    @property
    def counted(self) -> int:
        """Items of essential information."""
        return self.by_tag + self.by_person

    @property
    def why(self) -> Why | None:
        """Why they do not count; None: they are regularly updated."""
        if not self.portals:
            return Why.NO_PORTAL
        if self.counted >= self.rule.items:
            return None
        is_known = self.is_read or self.counted + self.others > 0
        return Why.TOO_FEW if is_known else Why.NOT_READ


FIRST_RULE = Rule(items=4, days=30)
"""As long as the province has decided nothing: one a week."""

"""What people say of single starts: left out, put back, added, dropped. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple


class Said(NamedTuple):
    """What people have said of single starts."""

    dates: tuple[datetime, ...]
    """Starts that they have named (RDATE), ascending."""
    exceptions: Mapping[datetime, datetime | None]
    """By start: moved to another time, or left out (None)."""


def leave_out(said: Said, at: datetime) -> Said:
    """A start does not sound, by whatever edit it returns later."""
    return said._replace(exceptions={**said.exceptions, at: None})


def put_back(said: Said, at: datetime) -> Said:
    """A start that was left out or moved sounds where the rule or a date has it."""
    return said._replace(exceptions=_without(said.exceptions, at))


def add(said: Said, at: datetime) -> Said:
    """A start that a person names sounds, also where it was left out before."""
    return Said(tuple(sorted({*said.dates, at})), _without(said.exceptions, at))


def drop(said: Said, at: datetime) -> Said:
    """A start that was added does not sound any more, unless the rule has it.

    If it was left out it stays so; if it was moved there is nothing left to move.
    """
    dates = tuple(each for each in said.dates if each != at)
    if said.exceptions.get(at) is None:
        return said._replace(dates=dates)
    return Said(dates, _without(said.exceptions, at))


def _without(
    exceptions: Mapping[datetime, datetime | None], at: datetime
) -> dict[datetime, datetime | None]:
    return {each: to for each, to in exceptions.items() if each != at}

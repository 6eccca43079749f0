"""What Quy chế provide, which provision holds at a place, and the hours that they come to. Pure.

Each provision is inherited by itself: a commune that says nothing of weekends keeps what its
province says of them. Of two that a place has side by side (a cluster between two villages)
both hold.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date
from enum import StrEnum
from typing import Any, NamedTuple

from broadcast.areas.model import Level
from broadcast.wire import quotas
from broadcast.wire.documents import Hours

WEEKEND = (6, 7)
"""Saturday and Sunday, ISO 8601."""


class Weekend(StrEnum):
    """What a Quy chế says of Saturday and Sunday."""

    SOUNDS = "sounds"
    SILENT = "silent"
    """But on days that a calendar marks `open` or `working`, with the document that says why."""


class Window(NamedTuple):
    """Local hours of every day, HH:MM; `until` ≤ `from_` passes midnight."""

    from_: str
    until: str
    volume: int | None = None
    """Most that the volume may be, per cent; None: nothing sounds."""


class Provisions(NamedTuple):
    """What one Quy chế provides; None: it says nothing of it."""

    silent: tuple[Window, ...] | None = None
    limited: tuple[Window, ...] | None = None
    weekend: Weekend | None = None
    sessions_per_day: int | None = None
    minutes_per_session: int | None = None
    minutes_per_day: int | None = None
    warns_repeats: bool | None = None
    """Say so where one audio is to sound twice on a day."""


class Limits(NamedTuple):
    """What a place allows on a day, with relays and what comes from above."""

    quotas: quotas.Limits = quotas.Limits()
    warns_repeats: bool = False


class Regulation(NamedTuple):
    """A Quy chế that has not been withdrawn."""

    id: int
    area_code: str
    """Unit, as it was on `valid_from`."""
    level: Level
    valid_from: date
    provisions: Provisions
    clusters: tuple[str, ...] = ()
    """Codes of the clusters that it is for; none: all of the unit."""

    @property
    def rank(self) -> tuple[int, date, int]:
        """Greater is nearer, and of equally near ones newer."""
        near = len(Level) if self.clusters else _DEPTHS.index(self.level)
        return near, self.valid_from, self.id


_DEPTHS = (Level.PROVINCE, Level.DISTRICT, Level.COMMUNE, Level.VILLAGE)


def in_force(regulations: Iterable[Regulation]) -> list[Regulation]:
    """Of those that cover a place the newest of each level, the nearest first."""
    newest = {each.rank[0]: each for each in sorted(regulations, key=lambda each: each.rank)}
    return [newest[near] for near in sorted(newest, reverse=True)]


def merged(nearest_first: Iterable[Provisions]) -> Provisions:
    """What holds at a place: of each provision what the nearest one says that says something."""
    found: dict[str, Any] = {}
    for provisions in nearest_first:
        for name, value in provisions._asdict().items():
            if value is not None:
                found.setdefault(name, value)
    return Provisions(**found)


def limits(side_by_side: Collection[Provisions]) -> Limits:
    """Quotas of a place for which several sets of provisions hold: the strictest of each."""

    def least(values: Iterable[int | None]) -> int | None:
        return min((each for each in values if each is not None), default=None)

    return Limits(
        quotas.Limits(
            least(each.sessions_per_day for each in side_by_side),
            least(each.minutes_per_session for each in side_by_side),
            least(each.minutes_per_day for each in side_by_side),
        ),
        any(each.warns_repeats for each in side_by_side),
    )


def hours(
    side_by_side: Iterable[Provisions],
    default: Sequence[Hours],
    first_on: date | None = None,
    last_on: date | None = None,
    except_on: Sequence[date] = (),
) -> list[Hours]:
    """Windows of a place, silent ones first.

    Args:
        side_by_side: What holds there.
        default: Silent where none of the Quy chế speaks of silent hours.
        first_on: First day on which the windows open.
        last_on: Last day on which they do.
        except_on: Weekend days that are not silent.
    """
    found: list[Hours] = []
    for each in side_by_side:
        silent = default if each.silent is None else map(_hours, each.silent)
        found += (_dated(window, first_on, last_on) for window in silent)
        if each.weekend is Weekend.SILENT:
            found.append(
                Hours(
                    from_="00:00", until="00:00", days=WEEKEND,
                    first_on=first_on, last_on=last_on, except_on=tuple(except_on),
                )
            )  # fmt: skip
        found += (_dated(_hours(window), first_on, last_on) for window in each.limited or ())
    unlike: list[Hours] = []
    for window in found:
        if window not in unlike:
            unlike.append(window)
    return sorted(unlike, key=lambda window: window.volume is not None)


def _hours(window: Window) -> Hours:
    return Hours(from_=window.from_, until=window.until, volume=window.volume)


def _dated(window: Hours, first_on: date | None, last_on: date | None) -> Hours:
    return Hours(
        from_=window.from_, until=window.until, volume=window.volume,
        first_on=first_on, last_on=last_on,
    )  # fmt: skip

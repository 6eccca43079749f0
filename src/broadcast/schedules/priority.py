"""Priority of a schedule, 0 to 255, from the class of its bulletin and the authority that speaks.

Pure, and the only place where a priority comes from; everything else compares numbers
(`broadcast.wire.order`), devices included.
"""

from __future__ import annotations

from collections.abc import Sequence

from broadcast.areas.model import Level
from broadcast.kit.errors import InvalidInput
from broadcast.wire.fields import BulletinClass

AUTHORITIES = (Level.PROVINCE, Level.DISTRICT, Level.COMMUNE)
"""Order of authorities where nobody has set another: the first goes before the others."""

LOWEST = {
    BulletinClass.NORMAL: 64,
    BulletinClass.PRIORITY: 128,
    BulletinClass.EMERGENCY: 224,
}
"""Of each class of Thông tư 39/2020/TT-BTTTT, for the last of the authorities."""

HIGHEST = {
    BulletinClass.NORMAL: 127,
    BulletinClass.PRIORITY: 223,
    BulletinClass.EMERGENCY: 254,
}
"""A lower class never gets above the lowest of the next one, and nothing above an alert (255)."""

LIVE = {
    BulletinClass.PRIORITY: HIGHEST[BulletinClass.PRIORITY],
    BulletinClass.EMERGENCY: LOWEST[BulletinClass.EMERGENCY],
}
"""Of live speech: above every programme but what was scheduled as an emergency, below alerts."""

STEP = 8
"""From one authority to the one before it: room for what a person names in between."""


def priority(class_: BulletinClass, level: Level, order: Sequence[Level] = AUTHORITIES) -> int:
    """Priority of a bulletin of an authority.

    Args:
        class_: Of the bulletin.
        level: Of the unit whose station speaks; a village speaks as its commune.
        order: Of the authorities, the first goes before the others.

    >>> priority(BulletinClass.PRIORITY, Level.PROVINCE)
    144
    >>> priority(BulletinClass.PRIORITY, Level.COMMUNE)
    128
    """
    authority = Level.COMMUNE if level is Level.VILLAGE else level
    return LOWEST[class_] + STEP * (len(order) - 1 - list(order).index(authority))


def check(class_: BulletinClass, named: int) -> int:
    """The priority that a person has named for one schedule, within the class.

    Raises:
        InvalidInput: It is above what the class of the bulletin allows.
    """
    if not 0 <= named <= HIGHEST[class_]:
        raise InvalidInput(
            "priority",
            f"bản tin mức {class_.value} được ưu tiên từ 0 đến {HIGHEST[class_]}, "
            f"không phải {named}",
        )
    return named


def is_complete(order: Sequence[Level]) -> bool:
    """Tell whether an order names every authority once."""
    return sorted(order) == sorted(AUTHORITIES)

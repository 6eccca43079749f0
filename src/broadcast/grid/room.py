"""What a Quy chế leaves of a day for a session: quotas, and what else is planned there. Pure.

Sounds count as devices count them (`wire.quotas`, docs/decisions/0075): what is planned, relays
and what comes from above among it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from uuid import UUID

from broadcast.wire import quotas
from broadcast.wire.quotas import Limits, Sound


class Room(NamedTuple):
    """Loudspeakers of a session where the same quotas hold and the same sounds besides."""

    limits: Limits
    others: Mapping[UUID, Sound]
    """Of the day, by occurrence; the items of the session apart."""

    def holds(self, sounds: Mapping[UUID, Sound]) -> bool:
        """Tell whether all of these may sound, and everything else that might without them."""
        over = quotas.over(self.limits, {**self.others, **sounds})
        return not over or over <= quotas.over(self.limits, self.others)


def rooms(
    limits: Mapping[int, Limits], heard: Iterable[tuple[UUID, Sound, frozenset[int]]]
) -> tuple[Room, ...]:
    """The different rooms of some clusters.

    Args:
        limits: Of the clusters of the session that have some on the day.
        heard: What else is planned on the day, and at which clusters.
    """
    others: defaultdict[int, dict[UUID, Sound]] = defaultdict(dict)
    for id_, sound, clusters in heard:
        for cluster in clusters & limits.keys():
            others[cluster][id_] = sound
    alike = {
        (limit, frozenset(others[cluster].items())): Room(limit, others[cluster])
        for cluster, limit in limits.items()
        if limit != Limits()
    }
    return tuple(alike.values())

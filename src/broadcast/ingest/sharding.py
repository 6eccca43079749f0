"""How several workers share what devices send.

Where the broker shares a subscription (MQTT 5 §4.8.2) it gives each message to one of them.
Elsewhere each worker hears everything and takes the devices that are its share. Both ways every
message is worked off by at least one, and whatever is done twice ends in the same rows.
"""

from __future__ import annotations

from typing import Literal, NamedTuple
from zlib import crc32

Kind = Literal["alone", "shared", "shards"]


class Share(NamedTuple):
    """The part of one worker."""

    kind: Kind
    worker: int = 1
    """Counted from 1."""
    workers: int = 1

    def is_ours(self, device_code: str) -> bool:
        """Tell whether this worker takes what a device says, once it has come.

        >>> shares = [Share("shards", worker, 3) for worker in (1, 2, 3)]
        >>> [share.is_ours("QN-000417") for share in shares].count(True)
        1
        """
        return (
            self.kind != "shards" or crc32(device_code.encode()) % self.workers == self.worker - 1
        )

    def filters(self, events: str) -> tuple[str, str]:
        """Topic filters: the one to follow, and the one of the other ways.

        A session that persists at the broker may still follow that.

        Args:
            events: Filter of everything that devices send.
        """
        shared = f"$share/ingest/{events}"
        return (shared, events) if self.kind == "shared" else (events, shared)

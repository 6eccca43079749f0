"""The devices of one worker, where several share what devices send.

Where the broker has shared subscriptions (MQTT 5 §4.8.2) it gives each message to one worker.
Elsewhere each worker receives everything and takes the devices whose hash is its own. Both ways
every message is processed by at least one, and what is done twice ends in the same rows.
"""

from __future__ import annotations

from typing import Literal, NamedTuple
from zlib import crc32

Mode = Literal["alone", "shared", "shards"]
"""`alone`: one worker. `shared`: a shared subscription. `shards`: by hash of the device code."""


class ShardAssignment(NamedTuple):
    """The part of one worker."""

    mode: Mode
    worker: int = 1
    """Counted from 1."""
    workers: int = 1

    def is_ours(self, device_code: str) -> bool:
        """Tell whether this worker takes a message of a device that it has received.

        >>> assignments = [ShardAssignment("shards", worker, 3) for worker in (1, 2, 3)]
        >>> [each.is_ours("QN-000417") for each in assignments].count(True)
        1
        """
        return (
            self.mode != "shards" or crc32(device_code.encode()) % self.workers == self.worker - 1
        )

    def filters(self, events: str) -> tuple[str, str]:
        """Topic filters: the one to subscribe to, and the one of the other modes.

        A session that persists at the broker may still be subscribed to that.

        Args:
            events: Filter of everything that devices send.
        """
        shared = f"$share/ingest/{events}"
        return (shared, events) if self.mode == "shared" else (events, shared)

"""Which of two items has the loudspeaker: one rule for server, documents and devices.

Pure. Numbers alone decide, 0 to 255; where they come from is the server's affair
(`broadcast.schedules.priority`). docs/wire.md tells the same in words ("One voice").
"""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar
from uuid import UUID

Id = TypeVar("Id", UUID, str)
"""An occurrence's id; its canonical text sorts alike."""


def first(priority: int, starts_at: datetime, occurrence_id: Id) -> tuple[int, datetime, Id]:
    """Key by which items that may sound at one moment are sorted: the smallest one sounds.

    The higher priority; of equals the earlier planned start, then the smaller id.
    """
    return (-priority, starts_at, occurrence_id)


def interrupts(priority: int, sounding: int) -> bool:
    """Tell whether an item takes the loudspeaker from one that sounds; an equal one waits.

    >>> interrupts(144, 128), interrupts(128, 128)
    (True, False)
    """
    return priority > sounding

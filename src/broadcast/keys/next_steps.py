"""What a person has to do about the keys next. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple, get_args

from broadcast.keys import states
from broadcast.keys.states import Ring, State
from broadcast.wire.envelope import Use


class Need(StrEnum):
    """What is to be done, or waited for."""

    CREATE = "create"
    """There is no key of this use."""
    WAIT = "wait"
    """A new key signs by itself once every device that was ever heard has pinned it."""
    KEEP = "keep"
    """An old key has to be named still: devices have not pinned the one in its place."""
    RETIRE = "retire"
    """An old key is needed no longer."""


class Step(NamedTuple):
    """One thing to do.

    Attributes:
        need: What.
        use: Of the key.
        kid: The key; empty where there is none.
        devices_count: Devices that are waited for.
        command: Line for whoever runs the server. A key changes nowhere else: who answers pages
            need not be able to reach private keys. Empty where waiting does it.
    """

    need: Need
    use: Use
    kid: str
    devices_count: int
    command: str


def next_steps(ring: Ring, waiting: Mapping[str, int]) -> list[Step]:
    """All that is open, programme before alert; empty where nothing is to be done.

    Args:
        ring: All keys.
        waiting: Devices that were heard and have not pinned a key, by key.
    """
    steps = []
    for use in get_args(Use):
        signer, coming = states.signing(ring, use), states.announced(ring, use)
        if signer is None and coming is None:
            steps.append(Step(Need.CREATE, use, "", 0, "broadcast keys create"))
        if coming is not None:
            left = waiting.get(coming.kid, 0)
            command = f"broadcast keys activate {coming.kid} --without-waiting" if left else ""
            steps.append(Step(Need.WAIT, use, coming.kid, left, command))
        for key in ring:
            if signer is None or key.use != use or key.state is not State.REPLACED:
                continue
            left = waiting.get(signer.kid, 0)
            need = Need.KEEP if left else Need.RETIRE
            command = "" if left else f"broadcast keys retire {key.kid}"
            steps.append(Step(need, use, key.kid, left, command))
    return steps

"""The ordinary heartbeat: a device that is online goes on being online.

Pure. Such a heartbeat changes a few columns of the latest state and tells nothing else. What the
state was is remembered from the batch before, so it need not be read: the statement names what it
expects (this session, online, an older heartbeat, holding what it held), and whatever differs (a
flip by the sweep, another worker, a batch that was rolled back) is left to the careful way in
`heartbeats`. So what is remembered may be wrong without harm.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from broadcast.telemetry.arrival import Arrival
from broadcast.telemetry.online_minutes import Reception
from broadcast.telemetry.presence import CLOCK_SET, Presence, State
from broadcast.wire.events import Boot, Gone, Heartbeat


class Lifelines(NamedTuple):
    """What a device hangs on, as it last said; a boot says nothing of it."""

    mains: bool | None
    operator: str | None
    """Of its network."""


def lifelines(message: Boot | Heartbeat) -> Lifelines:
    """What a device hung on when it said this."""
    supply = getattr(message, "supply", None)
    network = getattr(message, "network", None)
    return Lifelines(supply and supply.mains, network and network.operator)


@dataclass(slots=True)
class Remembered:
    """A device that was online, connected, and right about the time."""

    session: int
    seq: int
    last_seen_at: datetime
    held: Mapping[str, int]
    lifelines: Lifelines


class Step(NamedTuple):
    """Where the heartbeats of a batch take a device."""

    before: Remembered
    newest: Heartbeat
    last_seen_at: datetime
    place: int
    """Of its newest heartbeat in the batch."""


class Steady:
    """Remembers the devices of one process."""

    def __init__(self) -> None:
        self._known: dict[int, Remembered] = {}

    def remember(
        self,
        device_id: int,
        state: State | None,
        heard: Sequence[Boot | Heartbeat],
        *,
        clock_wrong: bool,
    ) -> None:
        """Take note of the state that a batch has come to, or forget the device.

        Args:
            device_id: The device.
            state: What has been stored of it; None for nothing.
            heard: What it said in the batch, in order; the last one tells what it holds.
            clock_wrong: Its time cannot be right.
        """
        self._known.pop(device_id, None)
        if state is None or not heard or state.gone or clock_wrong:
            return
        newest = heard[-1]
        is_newest = (newest.session, getattr(newest, "seq", 0)) == (state.session, state.seq)
        if state.presence is Presence.ONLINE and is_newest:
            self._known[device_id] = Remembered(
                state.session, state.seq, state.last_seen_at, newest.held, lifelines(newest)
            )

    def plain(
        self,
        boots: Sequence[Arrival[Boot]],
        beats: Sequence[Arrival[Heartbeat]],
        wills: Sequence[Arrival[Gone]],
        reception: Reception,
        *,
        live: bool,
    ) -> dict[int, Step]:
        """Devices of which the batch holds nothing but the next heartbeats, in order.

        The arguments are those of `heartbeats.record`.
        """
        known, received_at = self._known, reception.at
        set_at = received_at + CLOCK_SET
        steps: dict[int, Step] = {}
        other = {boot.device_id for boot in boots} | {will.device_id for will in wills}
        for place, (device_id, _, beat, _) in enumerate(beats):
            if device_id in other:
                continue
            step = steps.get(device_id)
            before = known.get(device_id) if step is None else step.before
            trusted = beat.clock.trusted
            if (
                before is None
                or beat.session != before.session
                or beat.seq <= (before.seq if step is None else step.newest.seq)
                or (beat.held is not before.held and beat.held != before.held)
                or lifelines(beat) != before.lifelines
                or (trusted and not reception.is_plausible(beat.sent_at))
                or before.last_seen_at > set_at
            ):
                other.add(device_id)
                steps.pop(device_id, None)
                continue
            at = received_at if live else reception.happened_at(beat.sent_at, trusted=trusted)
            seen = max(at, before.last_seen_at if step is None else step.last_seen_at)
            steps[device_id] = Step(before, beat, seen, place)
        return steps

    def took(self, steps: Mapping[int, Step], devices: Collection[int]) -> None:
        """Take note of which steps were stored; the other devices are forgotten.

        Args:
            steps: What `plain` found.
            devices: Those whose state was as remembered.
        """
        for device_id, (known, newest, last_seen_at, _) in steps.items():
            if device_id in devices:
                known.seq, known.last_seen_at = newest.seq, last_seen_at
                known.held = newest.held  # the same; but one object is compared sooner than two
            else:
                self._known.pop(device_id, None)

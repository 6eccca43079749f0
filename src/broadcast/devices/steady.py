"""The ordinary heartbeat: a device that is online goes on being online.

Pure. Such a heartbeat changes a few columns of the latest state and tells nothing else. What the
state was is remembered from the batch before, so it need not be read: the statement names what it
expects (this session, online, an older heartbeat, holding what it held), and whatever differs (a
flip by the sweep, another worker, a batch that was rolled back) is left to the careful way in
`heartbeats`. So what is remembered may be wrong without harm.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from broadcast.devices.arrival import Arrival
from broadcast.devices.online_minutes import happened_at, is_plausible
from broadcast.devices.presence import CLOCK_SET, Presence, State
from broadcast.wire.events import Boot, Gone, Heartbeat


class Remembered(NamedTuple):
    """A device that was online, connected, and right about the time."""

    session: int
    seq: int
    last_seen_at: datetime
    held: Mapping[str, int]


class Step(NamedTuple):
    """Where the heartbeats of a batch take a device."""

    before: Remembered
    seq: int
    last_seen_at: datetime
    place: int
    """Of its newest heartbeat in the batch."""


def sent_at(message: Boot | Heartbeat, received_at: datetime) -> datetime:
    """When a message was sent, by the better of two clocks."""
    return happened_at(message.sent_at, received_at, trusted=message.clock.trusted)


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
                state.session, state.seq, state.last_seen_at, newest.held
            )

    def plain(
        self,
        boots: Sequence[Arrival[Boot]],
        beats: Sequence[Arrival[Heartbeat]],
        wills: Sequence[Arrival[Gone]],
        received_at: datetime,
        *,
        live: bool,
    ) -> dict[int, Step]:
        """Devices of which the batch holds nothing but the next heartbeats, in order.

        The arguments are those of `heartbeats.record`.
        """
        known = self._known
        steps: dict[int, Step] = {}
        other = {boot.device_id for boot in boots} | {will.device_id for will in wills}
        for place, (device_id, _, beat) in enumerate(beats):
            if device_id in other:
                continue
            step = steps.get(device_id)
            before = known.get(device_id) if step is None else step.before
            if (
                before is None
                or beat.session != before.session
                or beat.seq <= (before.seq if step is None else step.seq)
                or beat.held != before.held
                or (beat.clock.trusted and not is_plausible(beat.sent_at, received_at))
                or before.last_seen_at > received_at + CLOCK_SET
            ):
                other.add(device_id)
                steps.pop(device_id, None)
                continue
            at = received_at if live else sent_at(beat, received_at)
            seen = max(at, before.last_seen_at if step is None else step.last_seen_at)
            steps[device_id] = Step(before, beat.seq, seen, place)
        return steps

    def took(self, steps: Mapping[int, Step], devices: Collection[int]) -> None:
        """Take note of which steps were stored; the other devices are forgotten.

        Args:
            steps: What `plain` found.
            devices: Those whose state was as remembered.
        """
        for device_id, step in steps.items():
            if device_id in devices:
                self._known[device_id] = step.before._replace(
                    seq=step.seq, last_seen_at=step.last_seen_at
                )
            else:
                self._known.pop(device_id, None)

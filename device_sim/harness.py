"""Players back to back with a server, without a network: one clock, one broker, no waiting.

The broker keeps what is retained and hands on the rest to whoever is connected; it may be told to
lose, repeat and delay. Power may be cut anywhere, also between two effects of one call. What the
loudspeakers really did is kept by true time, whatever the devices believe.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import heappop, heappush
from math import inf, nextafter
from typing import Protocol

from device_sim.box import Identity
from device_sim.effects import (
    CloseStream,
    DropContent,
    Effect,
    OpenStream,
    Persist,
    Publish,
    Restart,
    StartSound,
    StartStream,
    StopSound,
    StoreContent,
    Subscribe,
    Unsubscribe,
)
from device_sim.journal import Flash
from device_sim.player import Player
from device_sim.reports import BootReason
from device_sim.timekeeping import Now


class Server(Protocol):
    """Whoever listens to what devices say; it answers with `Harness.publish`."""

    def heard(self, device_id: str, kind: str, payload: bytes) -> None:
        """A message came on `device/{device_id}/event/{kind}`."""


Delays = Callable[["Device", str, bytes], Sequence[float]]
"""Fate of one message of a device's link: a delay in seconds for every copy that arrives."""


@dataclass(slots=True)
class Sound:
    """Sound of a loudspeaker, by true time."""

    occurrence_id: str
    sha256: str | None
    offset: float
    started_at: datetime
    ended_at: datetime | None = None

    @property
    def heard(self) -> tuple[float, float]:
        """Seconds of the audio that sounded, from and to."""
        assert self.ended_at is not None
        return self.offset, self.offset + (self.ended_at - self.started_at).total_seconds()


@dataclass(eq=False)
class Device:
    """A box of the harness: its flash, its files, its link, and the player while it has power.

    Attributes:
        skew: Wall clock minus true time.
        drift: Seconds that the clocks of the box gain in a second of true time.
        ntp: An NTP server is reached as soon as the link is up, and sets the wall clock.
        streams: Addresses under which there is sound; all when None. `set_streams` changes it.
        crash_after: Cut the power after so many further effects, in the middle of what it does.
    """

    identity: Identity
    flash: Flash
    skew: timedelta = timedelta(0)
    drift: float = 0.0
    ntp: bool = True
    streams: Collection[str] | None = None
    crash_after: int | None = None
    player: Player | None = None
    online: bool = False
    reachable: bool = True
    """The link comes up again with the power."""
    powered_at: float = 0.0
    wake: float = inf
    idle_ticks: int = 0
    filters: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    streamed: dict[str, str] = field(default_factory=dict)
    """Occurrence → address of its stream that is open, or tried."""
    sounds: list[Sound] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    """Everything the player asked for, but for content; cleared by whoever has read it."""
    watched: bool = False
    """Keep `effects`."""

    @property
    def sounding(self) -> Sound | None:
        """The sound that has not ended."""
        return self.sounds[-1] if self.sounds and self.sounds[-1].ended_at is None else None


class Harness:
    """A world of simulated devices whose time passes when it is told to.

    Args:
        starts_at: True time at the beginning.
        server: Who hears what the devices say.
        delays: Fate of messages; each arrives once and at once when not given.
        off_seconds: How long the power stays away after `crash_after`.
    """

    def __init__(
        self,
        starts_at: datetime,
        server: Server | None = None,
        delays: Delays | None = None,
        off_seconds: float = 3.0,
    ) -> None:
        self.server = server
        self.delays = delays
        self.off_seconds = off_seconds
        self.devices: dict[str, Device] = {}
        self.elapsed = 0.0
        self._starts_at = starts_at
        self._retained: dict[str, dict[str, bytes]] = {}
        self._followers: dict[str, list[Device]] = {}
        self._mail: deque[tuple[Device | None, str, bytes]] = deque()
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._pumping = False

    @property
    def now(self) -> datetime:
        """True time."""
        return self._starts_at + timedelta(seconds=self.elapsed)

    # The world -----------------------------------------------------------------------------------

    def add(self, device: Device, *, online: bool = True) -> Device:
        """Put up a box, give it power, and a link."""
        self.devices[device.identity.device_id] = device
        self.power_on(device)
        if online:
            self.connect(device)
        return device

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Publish as the server; topics are relative to the prefix."""
        parent, _, level = topic.rpartition("/")
        if retain and payload:
            self._retained.setdefault(parent, {})[level] = payload
        elif retain:
            self._retained.get(parent, {}).pop(level, None)
        for device in self._followers.get(parent, []):
            self._mail.append((device, topic, payload))
        self._pump()

    def deliver(self, device: Device, topic: str, payload: bytes) -> None:
        """Hand one message to one device, whatever it subscribed to."""
        self._hand(device, topic, payload)
        self._pump()

    def redeliver(self, device: Device) -> None:
        """Hand everything retained that the device follows to it once more, without loss."""
        for topic, payload in self._retained_under(device.filters):
            self._hand(device, topic, payload)
        self._pump()

    def at(self, delay: float, action: Callable[[], None]) -> None:
        """Do something after a number of seconds of true time."""
        self._count += 1
        heappush(self._agenda, (self.elapsed + delay, self._count, action))

    def advance(self, seconds: float) -> None:
        """Let time pass; everything happens in its order."""
        end = self.elapsed + seconds
        while self._agenda and self._agenda[0][0] <= end:
            at, _, action = heappop(self._agenda)
            self.elapsed = max(self.elapsed, at)
            action()
            self._pump()
        self.elapsed = end

    # One box ------------------------------------------------------------------------------------

    def power_on(self, device: Device, reason: BootReason = "power_on") -> None:
        """Give power."""
        if device.player is None:
            device.powered_at = self.elapsed
            now = self.look(device)
            device.player = Player(device.identity, device.flash.load(), now, reason)
            self._do(device, device.player.power_on(now))

    def power_cut(self, device: Device, off_seconds: float | None = None) -> None:
        """Take the power away, for so long or for good, and the link with it."""
        self._leave(device)
        device.player = None
        device.streamed.clear()
        device.wake = inf
        if device.sounding is not None:
            device.sounding.ended_at = self.now
        if off_seconds is not None:
            self.at(off_seconds, lambda: self._revive(device, "power_on"))

    def connect(self, device: Device) -> None:
        """Bring the link up."""
        device.reachable = True
        if device.player is None or device.online:
            return
        device.online = True
        self._do(device, device.player.connected(self.look(device)))
        if device.ntp and device.player is not None:
            device.skew = timedelta(0)
            self._do(device, device.player.synchronised(self.look(device)))
        self._pump()

    def disconnect(self, device: Device, seconds: float | None = None) -> None:
        """Take the link away, for so long or for good."""
        device.reachable = False
        if device.online and device.player is not None:
            self._leave(device)
            self._do(device, device.player.disconnected(self.look(device)))
        if seconds is not None:
            self.at(seconds, lambda: self.connect(device))

    def look(self, device: Device) -> Now:
        """Both clocks of a box."""
        powered = self.elapsed - device.powered_at
        gained = timedelta(0) if device.ntp else timedelta(seconds=powered * device.drift)
        return Now(self.now + device.skew + gained, powered * (1 + device.drift))

    def _leave(self, device: Device) -> None:
        device.online = False
        for topic_filter in device.filters:
            self._followers[topic_filter[:-2]].remove(device)
        device.filters.clear()

    def _revive(self, device: Device, reason: BootReason) -> None:
        self.power_on(device, reason)
        if device.reachable:
            self.connect(device)

    def _pump(self) -> None:
        """Hand out the mail; what that brings about joins the end of the queue."""
        if self._pumping:
            return
        self._pumping = True
        while self._mail:
            device, topic, payload = self._mail.popleft()
            if device is not None:
                self._carry(device, topic, payload, self._hand)
            elif self.server is not None:
                _, device_id, _, kind = topic.split("/")
                self.server.heard(device_id, kind, payload)
        self._pumping = False

    def _carry(
        self,
        device: Device,
        topic: str,
        payload: bytes,
        arrive: Callable[[Device, str, bytes], None],
    ) -> None:
        if self.delays is None:
            arrive(device, topic, payload)
            return
        for delay in self.delays(device, topic, payload):
            if delay:
                self.at(delay, lambda: arrive(device, topic, payload))
            else:
                arrive(device, topic, payload)

    def _hand(self, device: Device, topic: str, payload: bytes) -> None:
        if device.online and device.player is not None:
            self._do(device, device.player.received(topic, payload, self.look(device)))

    def _tick(self, device: Device, wake: float) -> None:
        if device.wake == wake and device.player is not None:
            device.wake = inf
            self._do(device, device.player.tick(self.look(device)))

    def _do(self, device: Device, effects: list[Effect]) -> None:
        """Carry out effects in order; the power may go between any two of them."""
        player = device.player
        for effect in effects:
            if device.crash_after is not None:
                if device.crash_after == 0:
                    device.crash_after = None
                    self.power_cut(device, self.off_seconds)
                    return
                device.crash_after -= 1
            if device.watched and not isinstance(effect, Persist):
                device.effects.append(effect)
            self._carry_out(device, effect)
            if device.player is not player:
                return
        self._set_alarm(device)

    def _set_alarm(self, device: Device) -> None:
        wakeup = device.player.next_wakeup() if device.player else None
        if wakeup is None:
            device.wake = inf
            return
        at = max(wakeup / (1 + device.drift) + device.powered_at, self.elapsed)
        while (at - device.powered_at) * (1 + device.drift) < wakeup:
            at = nextafter(at, inf)
        device.idle_ticks = device.idle_ticks + 1 if at == self.elapsed else 0
        assert device.idle_ticks < 100, "a player wakes itself in vain"
        if at != device.wake:
            device.wake = at
            self._count += 1
            heappush(self._agenda, (at, self._count, lambda: self._tick(device, at)))

    def _carry_out(self, device: Device, effect: Effect) -> None:
        match effect:
            case Persist(change):
                device.flash.write(change)
            case StoreContent(sha256):
                device.files.add(sha256)
            case DropContent(sha256):
                device.files.discard(sha256)
            case Publish() | Subscribe() | Unsubscribe():
                self._use_link(device, effect)
            case Restart():
                self.power_cut(device)
                self.at(self.off_seconds, lambda: self._revive(device, "reset"))
            case OpenStream(occurrence_id, url):
                device.streamed[occurrence_id] = url
                self.at(0.5, lambda: self._tell_stream(device, occurrence_id, url))
            case CloseStream(occurrence_id):
                device.streamed.pop(occurrence_id, None)
            case StartSound() | StartStream() | StopSound():
                self._use_loudspeaker(device, effect)

    def _use_link(self, device: Device, effect: Publish | Subscribe | Unsubscribe) -> None:
        match effect:
            case Publish(topic, payload):
                self._carry(device, topic, payload, self._reach_server)
            case Subscribe(filters):
                self._follow(device, filters)
            case Unsubscribe(filters):
                for topic_filter in device.filters.intersection(filters):
                    device.filters.remove(topic_filter)
                    self._followers[topic_filter[:-2]].remove(device)

    def _use_loudspeaker(
        self, device: Device, effect: StartSound | StartStream | StopSound
    ) -> None:
        match effect:
            case StartSound(occurrence_id, sha256, offset):
                assert device.sounding is None, "two voices"
                assert sha256 in device.files, "plays what it does not have"
                device.sounds.append(Sound(occurrence_id, sha256, offset, self.now))
            case StartStream(occurrence_id):
                assert device.sounding is None, "two voices"
                device.sounds.append(Sound(occurrence_id, None, 0.0, self.now))
            case StopSound():
                if device.sounding is not None:
                    device.sounding.ended_at = self.now

    def _reach_server(self, _device: Device, topic: str, payload: bytes) -> None:
        self._mail.append((None, topic, payload))

    def _follow(self, device: Device, filters: Sequence[str]) -> None:
        for topic_filter in filters:
            if topic_filter not in device.filters:
                device.filters.add(topic_filter)
                self._followers.setdefault(topic_filter[:-2], []).append(device)
        for topic, payload in self._retained_under(filters):
            self._mail.append((device, topic, payload))

    def _retained_under(self, filters: Iterable[str]) -> list[tuple[str, bytes]]:
        parents = sorted(topic_filter[:-2] for topic_filter in filters)
        return [
            (f"{parent}/{level}", payload)
            for parent in parents
            for level, payload in self._retained.get(parent, {}).items()
        ]

    def set_streams(self, device: Device, urls: Collection[str]) -> None:
        """From now on there is sound under these addresses only."""
        device.streams = urls
        for occurrence_id, url in list(device.streamed.items()):
            self._tell_stream(device, occurrence_id, url)

    def _tell_stream(self, device: Device, occurrence_id: str, url: str) -> None:
        if device.player is not None and device.streamed.get(occurrence_id) == url:
            now, sounds = self.look(device), device.streams is None or url in device.streams
            self._do(device, device.player.stream_told(occurrence_id, url, now, sounds=sounds))

"""One simulated box of a fleet: a player with its power, flash, clocks, link and loudspeaker.

It carries out what the player asks for, and lets happen what the faults of the run have in store.
What really happened is told to the fleet, whatever the player believes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from math import inf
from typing import Any

import msgspec

from broadcast.wire.events import Skipped
from device_sim import clock
from device_sim.box import Identity
from device_sim.commons import Commons
from device_sim.effects import (
    CloseStream,
    DropContent,
    Effect,
    KeepCertificate,
    LiveSound,
    OpenStream,
    Persist,
    Publish,
    Restart,
    StartSound,
    StartStream,
    StopSound,
    StoreContent,
    Subscribe,
    TestTone,
    Unsubscribe,
)
from device_sim.enrolling import Keeper, Refused
from device_sim.faults import SLOT_SECONDS, Trouble
from device_sim.journal import Change, Flash
from device_sim.link import Access, Link
from device_sim.player import Player, reconnect_seconds
from device_sim.reports import BootReason
from device_sim.timekeeping import LONG_AGO, Now

RESTART_SECONDS = 3.0

SIGNS_OF_LIFE = ("boot", "heartbeat")
"""Messages by which the server knows that a device is there; each one sent is told."""


@dataclass(slots=True)
class Sounding:
    """Sound on the loudspeaker."""

    occurrence_id: str
    sha256: str | None
    """None for a stream."""
    offset: float
    began: float


class Unit:
    """A box on a pole.

    Args:
        commons: What it shares with the others.
        identity: What it is.
        flash: What survives its power cuts.
        access: To the broker.
        recorded: What it sounds is written down.
        keeper: Of its certificate, if it has one.
    """

    __slots__ = (
        "_access",
        "_attempts",
        "_commons",
        "_connections",
        "_flash",
        "_keeper",
        "_link",
        "_moment",
        "_offline_until",
        "_received",
        "_recorded",
        "_sent",
        "_skew",
        "_sounding",
        "_streams",
        "_true",
        "identity",
        "online",
        "player",
        "wake",
    )

    def __init__(
        self,
        commons: Commons,
        identity: Identity,
        flash: Flash,
        access: Access,
        *,
        recorded: bool,
        keeper: Keeper | None = None,
    ) -> None:
        self.identity = identity
        self.player: Player | None = None
        self.online = False
        self.wake = inf
        self._commons = commons
        self._flash = flash
        self._access = access
        self._keeper = keeper
        self._recorded = recorded
        self._link: Link | None = None
        self._sounding: Sounding | None = None
        self._skew = timedelta(seconds=commons.faults.skew_seconds(identity.device_id))
        self._streams: set[str] = set()
        self._offline_until = 0.0
        self._moment = 0.0
        self._true = LONG_AGO
        self._connections = 0
        self._attempts = 0
        self._sent = 0
        self._received = 0

    # Power --------------------------------------------------------------------------------------

    def power_on(self, reason: BootReason = "power_on") -> None:
        """The power comes."""
        if self.player is not None:
            return
        self.player = Player(self.identity, self._flash.load(), self._now(), reason)
        self._link = Link(self, self.identity.device_id, self._access)
        self._tell("power_on", reason=reason)
        self._do(self.player.power_on(self._now()))
        self._attempts = 0
        self._reconnect()

    def power_off(self, seconds: float = inf, reason: BootReason = "power_on") -> None:
        """The power goes, and comes again after so long."""
        if self.player is None:
            return
        # What was due before the cut was done before the cut, however busy this process is.
        self.tick()
        if self.player is None:
            return
        self._silence("power_cut")
        self._leave(*self._streams)
        self._tell("power_off")
        self.player = None
        self.online = False
        self.wake = inf
        if self._link is not None:
            self._link.abandon()
            self._link = None
        if seconds != inf:
            self._commons.later(seconds, lambda: self.power_on(reason))

    def shut_down(self) -> None:
        """The simulation ends: leave in order, as a box never does."""
        self.tick()
        self._silence("stopped")
        self._leave(*self._streams)
        if self._link is not None:
            self._link.close()
        self.player = None

    def tick(self) -> None:
        """Time has passed."""
        if self.player is not None:
            self._do(self.player.tick(self._now()))

    def _set_alarm(self, wakeup: float | None) -> None:
        wake = inf if wakeup is None else wakeup
        if wake != self.wake:
            self.wake = wake
            if wake != inf:
                self._commons.at_monotonic(wake, lambda: self._wake_up(wake))

    def _wake_up(self, wake: float) -> None:
        if wake == self.wake:
            self.wake = inf
            self.tick()

    def keep_alive(self) -> None:
        """Ping the broker when it is time."""
        if self._link is not None and self.online:
            self._link.keep_alive()

    def suffer(self, trouble: Trouble) -> None:
        """Let something go wrong, unless the run has calmed down meanwhile."""
        if not self._commons.faults.any:
            return
        match trouble.kind:
            case "power_cut":
                self.power_off(trouble.seconds)
            case "clock_step":
                self._tell("clock_step", seconds=round(trouble.seconds, 1))
                self._skew += timedelta(seconds=trouble.seconds)
                self.tick()
            case "disconnect" | "offline":
                self._go_offline(trouble.seconds)

    def plan_troubles(self, slot: int) -> None:
        """Put on the fleet's agenda what goes wrong in a slot of time, and to look further."""
        for trouble in self._commons.faults.troubles(self.identity.device_id, slot):
            self._commons.at(trouble.at, partial(self.suffer, trouble))
        self._commons.at((slot + 1) * SLOT_SECONDS, lambda: self.plan_troubles(slot + 1))

    def _now(self) -> Now:
        """Both clocks of the box.

        What the player then decides happens at this moment: a sound that it stops and takes up
        again goes on at the very sample, however long this process needs for it.
        """
        self._true, self._moment = clock.look()
        return Now(self._true + self._skew, self._moment)

    # Link ---------------------------------------------------------------------------------------

    def link_up(self) -> None:
        """The broker has accepted us."""
        if self.player is None:
            return
        self.online = True
        self._attempts = 0
        self._connections += 1
        self._tell("connected")
        self._do(self.player.connected(self._now()))
        if self.player is not None and self._commons.has_ntp(self.identity.device_id):
            self._skew = timedelta(0)
            self._do(self.player.synchronised(self._now()))

    def link_down(self) -> None:
        """There is no connection, or no longer."""
        if self.player is None:
            return
        if self.online:
            self.online = False
            self._tell("disconnected")
            self._do(self.player.disconnected(self._now()))
        self._reconnect()

    def link_message(self, topic: str, payload: bytes) -> None:
        """A message came, or was lost on the way, or comes twice, or late."""
        self._received += 1
        faults, device_id = self._commons.faults, self.identity.device_id
        if topic.startswith("content/"):
            payload = self._commons.store.share(topic, payload)
            if faults.any:
                payload = faults.corrupted(device_id, payload, self._received)
        for copy in range(faults.copies(device_id, "down", self._received)):
            late = faults.held_back(device_id, "down", self._received, copy)
            if late:
                deliver = partial(self._deliver, topic, payload, self.player)
                self._commons.later(late, deliver)
            else:
                self._deliver(topic, payload, self.player)

    def _deliver(self, topic: str, payload: bytes, player: Player | None) -> None:
        if player is not None and player is self.player:
            self._do(player.received(topic, payload, self._now()))

    def _reconnect(self) -> None:
        """Try again, after the hashed wait that keeps a fleet from coming back in step."""
        self._attempts += 1
        wait = reconnect_seconds(self.identity.device_id, self._attempts)
        wait = max(wait, self._offline_until - self._commons.elapsed)
        attempt, player = self._attempts, self.player
        self._commons.later(wait, lambda: self._connect(attempt, player))

    def _connect(self, attempt: int, player: Player | None) -> None:
        still_meant = player is self.player and attempt == self._attempts and not self.online
        if self.player is not None and self._link is not None and still_meant:
            self._link.open(self.player.will())

    def _go_offline(self, seconds: float) -> None:
        self._offline_until = self._commons.elapsed + seconds
        if self._link is not None and self.online:
            self._tell("offline", seconds=round(seconds, 1))
            self._link.cut()
            self.link_down()

    # Effects ------------------------------------------------------------------------------------

    def _do(self, effects: list[Effect]) -> None:
        player = self.player
        for effect in effects:
            match effect:
                case Persist(change):
                    self._flash.write(change)
                    self._tell_records(change)
                case Publish() | Subscribe() | Unsubscribe():
                    self._send(effect)
                case KeepCertificate():
                    self._keep_certificate(effect)
                case StoreContent(sha256, blocks):
                    self._commons.keep(sha256, blocks)
                case DropContent(sha256):
                    self._commons.store.drop(sha256)
                case Restart():
                    self.power_off(RESTART_SECONDS, "reset")
                    return
                case _:
                    self._sound(effect)
        if self.player is player and player is not None:
            self._set_alarm(player.next_wakeup())

    def _keep_certificate(self, given: KeepCertificate) -> None:
        assert self._keeper is not None, "a box without a certificate asks for none"
        try:
            self._keeper.keep_renewed(given.certificate, given.renew_at, given.expires_at)
        except Refused as error:
            self._tell("certificate_refused", because=str(error))
            return
        self.identity = msgspec.structs.replace(self.identity, renew_at=given.renew_at)
        if self.player is not None:
            self.player.renewed(given.renew_at)
        self._tell("certificate_kept")

    def _send(self, effect: Publish | Subscribe | Unsubscribe) -> None:
        if self._link is None or not self.online:
            return
        match effect:
            case Publish():
                self._publish(effect)
            case Subscribe(filters):
                self._link.subscribe(filters)
            case Unsubscribe(filters):
                self._link.unsubscribe(filters)

    def _publish(self, message: Publish) -> None:
        """Send a message, unless it is lost on the way; it may go twice, or late."""
        self._sent += 1
        if message.topic.endswith("/refusal"):
            self._commons.counts["refused"] += 1
        faults, device_id = self._commons.faults, self.identity.device_id
        for copy in range(faults.copies(device_id, "up", self._sent)):
            late = faults.held_back(device_id, "up", self._sent, copy)
            if late:
                transmit = partial(self._transmit, message, self._sent, self._connections)
                self._commons.later(late, transmit)
            else:
                self._transmit(message, self._sent, self._connections)

    def _transmit(self, message: Publish, number: int, connection: int) -> None:
        """Hand a message to the link, if it is still the connection that it was meant for."""
        if self._link is None or not self.online or connection != self._connections:
            return
        kind = message.topic.rpartition("/")[2]
        left = partial(self._tell, "sent", kind=kind, number=number)
        self._link.publish(
            message.topic, message.payload, message.qos, left if kind in SIGNS_OF_LIFE else None
        )

    def _sound(self, effect: Effect) -> None:
        match effect:
            case StartSound(occurrence_id, sha256, offset):
                self._begin(occurrence_id, sha256, offset)
                if self._commons.sounds.is_broken(sha256):
                    self._commons.later(0, lambda: self.fail(sha256))
            case StartStream(occurrence_id):
                self._begin(occurrence_id, None, 0.0)
            case LiveSound():
                self._commons.hear(self.identity.device_id, effect, recorded=self._recorded)
            case StopSound():
                self._silence("stopped")
            case OpenStream(occurrence_id, url):
                tell = partial(self._tell_player, self.player, occurrence_id, url)
                self._streams.add(occurrence_id)
                self._commons.radio.tune((self, occurrence_id), url, tell)
            case CloseStream(occurrence_id):
                self._leave(occurrence_id)
            case TestTone():
                self._tell("test_tone", self._true)
            case _:
                pass

    def fail(self, sha256: str) -> None:
        """A file has turned out to be undecodable."""
        sounding = self._sounding
        if self.player is not None and sounding is not None and sounding.sha256 == sha256:
            self._do(self.player.sound_failed(sounding.occurrence_id, self._now()))

    def _tell_player(
        self, player: Player | None, occurrence_id: str, url: str, sounds: bool
    ) -> None:
        if player is not None and player is self.player:
            self._do(player.stream_told(occurrence_id, url, self._now(), sounds=sounds))

    def _leave(self, *occurrence_ids: str) -> None:
        for occurrence_id in occurrence_ids:
            self._streams.discard(occurrence_id)
            self._commons.radio.leave((self, occurrence_id))

    def _begin(self, occurrence_id: str, sha256: str | None, offset: float) -> None:
        self._sounding = Sounding(occurrence_id, sha256, offset, self._moment)
        planned = self.player.items.get(occurrence_id) if self.player else None
        if planned is not None and planned.stream is None and offset == 0:
            late = self._true - planned.starts_at
            self._commons.start_errors.append(late.total_seconds())
        self._tell(
            "started",
            self._true,
            occurrence_id=occurrence_id,
            sha256=sha256,
            offset=round(offset, 3),
        )

    def _silence(self, cause: str) -> None:
        """The loudspeaker falls silent; what it made audible is told and written down."""
        if self._sounding is None:
            return
        sounding, self._sounding = self._sounding, None
        if sounding.sha256 is None:
            self._leave(sounding.occurrence_id)
        start, end = sounding.offset, sounding.offset + self._moment - sounding.began
        occurrence_id = sounding.occurrence_id
        seconds = round(end - start, 3)
        self._tell("ended", self._true, occurrence_id=occurrence_id, seconds=seconds, cause=cause)
        if self._recorded and sounding.sha256 is not None:
            self._commons.record(
                self.identity.device_id, occurrence_id, sounding.sha256, start, end
            )
        elif self._recorded:
            self._commons.end_hearing(self.identity.device_id, occurrence_id)

    def _tell_records(self, change: Change) -> None:
        for record in change.records:
            self._tell(
                "journalled",
                journal_id=self._flash.journal_id,
                seq=record.seq,
                kind=record.__struct_config__.tag,
                occurrence_id=record.occurrence_id,
            )
            if isinstance(record, Skipped):
                occurrence_id, reason = record.occurrence_id, record.reason.value
                self._tell("skipped", occurrence_id=occurrence_id, reason=reason)

    def _tell(self, event: str, happened_at: datetime | None = None, **facts: Any) -> None:
        self._commons.tell(self.identity.device_id, event, happened_at, **facts)

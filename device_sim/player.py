"""The reference player: one device as the contract wants it, without any input or output.

It is told what happened and at what time, and answers with effects for its box to carry out in
order. The same calls at the same times give the same effects. What it knows is in seven parts:

* `Timekeeper`  what time it is, and whether that can be trusted;
* `Memory`      what survives a power cut;
* `Shelf`       the signed documents in force;
* `Stage`       who has the loudspeaker;
* `Content`     the audio that is fetched ahead;
* `Listening`   the live speech that is heard now;
* `Reports`     what is told to the server.

This file is the way in, and brings them together.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from math import inf

from broadcast.wire import WireError
from broadcast.wire.commands import (
    AnyCommand,
    Identify,
    JournalAck,
    NewCertificate,
    Reboot,
    Resend,
    SelfTest,
    SetVolume,
    TimeReply,
)
from broadcast.wire.documents import Alert, Alerts, Config, Item
from broadcast.wire.topics import (
    AREA_LIVE,
    AREA_STATE,
    CONTENT,
    DEVICE_COMMAND,
    scope_of,
    scope_topic,
)
from device_sim import effects
from device_sim.aim import Aim
from device_sim.backoff import doubled
from device_sim.box import Box, Identity
from device_sim.chance import fraction
from device_sim.content import Content
from device_sim.effects import Effect, Publish, Subscribe, Unsubscribe
from device_sim.journal import Airtime, Change, Memory
from device_sim.listening import Listening
from device_sim.reports import BootReason, Reports
from device_sim.sealed import stored, verifier
from device_sim.shelf import Refused, Shelf, refusal_reason
from device_sim.stage import MOMENT, Stage
from device_sim.timekeeping import Now

KEEP_SETTLED = timedelta(days=30)
"""How long a played occurrence is remembered after its `ends_by`. No signed programme lives that
long, so nothing that is forgotten can come back."""

RECONNECT_SECONDS = 10.0
"""A fleet spreads its first attempts over this time: three thousand devices after a restart of
the broker are three hundred connections a second. Every failure doubles it."""
LONGEST_RECONNECT_SECONDS = 300.0

HOUSEKEEPING_SECONDS = 3600.0
DISTRUST_SECONDS = 120.0
"""An untrusted clock is a fault when the server has not helped it for so long."""
MEASURE_SECONDS = 6 * 3600.0
"""A clock drifts; half a second is gone in six hours at 20 ppm."""
LITTLE = timedelta(seconds=1)
"""A correction within which no window passes that would not pass anyhow."""


def reconnect_seconds(device_id: str, attempt: int) -> float:
    """Seconds to wait before the n-th attempt to connect, counted from 1.

    The same device waits the same, and no two of a fleet in step.
    """
    window = doubled(RECONNECT_SECONDS, attempt - 1, LONGEST_RECONNECT_SECONDS)
    return window * fraction(device_id, "reconnect", attempt)


class Player:
    """One device from power-on until the power goes.

    Args:
        identity: What the box is.
        memory: What was on its flash; the player's own copy from here on.
        now: Both clocks at power-on.
        reason: Why the power came, for the first `boot` event.
    """

    def __init__(
        self, identity: Identity, memory: Memory, now: Now, reason: BootReason = "power_on"
    ) -> None:
        self._box = Box(identity, memory, now)
        self._content = Content(self._box)
        self._listening = Listening(self._box)
        self._stage = Stage(self._box, self._content, self._listening)
        self._reports = Reports(self._box, self._stage, self._content, reason)
        self._shelf = Shelf(self._box, self._reports.held)
        self._lapse_at = inf
        self._distrust_at = now.monotonic + DISTRUST_SECONDS
        self._distrusted = False
        self._keep_house_at = now.monotonic + HOUSEKEEPING_SECONDS
        self._measure_at = inf
        self._aim = Aim()
        self._renew_at = identity.renew_at
        self._may_renew_at = -inf
        self._wake = -inf

    @property
    def items(self) -> dict[str, Item]:
        """Items of the documents by occurrence; alerts as items."""
        return self._stage.items

    @property
    def held(self) -> dict[str, int]:
        """`{scope}/{kind}` → revision of the documents in force."""
        return self._reports.held

    @property
    def sounding(self) -> str | None:
        """Occurrence on the loudspeaker."""
        return self._stage.voice.item.occurrence_id if self._stage.voice else None

    @property
    def trusted(self) -> bool:
        """Tell whether the clock may start scheduled items."""
        return self._box.clock.trusted

    def will(self) -> Publish:
        """Last will to connect with; asked anew for every connection."""
        return self._reports.will()

    def next_wakeup(self) -> float | None:
        """Monotonic second of the next `tick` that will do something; None to be left alone."""
        return None if self._wake == inf else self._wake

    def power_on(self, now: Now) -> list[Effect]:
        """The power came: close what it cut off, take up what flash holds. Call it first, once."""
        self._box.write(Change(boots=self._box.memory.boots + 1))
        self._stage.recover()
        unsigned = self._shelf.load()
        if unsigned:
            self._box.write(Change(documents=dict.fromkeys(unsigned, b"")))
        self._rebuild(now, self._box.clock.time(now.monotonic))
        return self._act(now)

    def connected(self, now: Now) -> list[Effect]:
        """The link is up, with the session and the will that `will` named."""
        self._reports.on_connected(now)
        scope = self._box.identity.scope
        self._box.emit(
            Subscribe(
                (
                    f"{scope}/state/+",
                    f"{scope}/command/+",
                    f"{scope}/live/+",
                    *_followed(self._shelf.areas),
                    *self._content.filters(),
                    *self._listening.filters(),
                )
            )
        )
        self._content.connected(now.monotonic)
        self._listening.connected()
        self._renew(now)
        return self._act(now)

    def disconnected(self, now: Now) -> list[Effect]:
        """The link is down."""
        self._reports.on_disconnected()
        self._content.disconnected()
        self._listening.disconnected()
        return self._act(now)

    def received(self, topic: str, payload: bytes, now: Now) -> list[Effect]:
        """A message came, on a topic relative to the prefix."""
        self._reports.received(len(payload))
        if topic.startswith("live/"):
            if not self._packet(topic, payload, now):
                return self._effects()
        elif topic.startswith("content/"):
            if not self._block(topic, payload, now):
                return self._effects()
        elif DEVICE_COMMAND.match(topic):
            self._command(topic, payload, now)
        elif payload and scope_of(topic) is not None:
            # An empty payload only clears what the broker retains. It is not signed, so it is
            # no word of the server's.
            self._document(topic, payload, now)
        return self._act(now)

    def synchronised(self, now: Now) -> list[Effect]:
        """The box's NTP client has set the wall clock."""
        if self._box.clock.synchronised(now):
            self._time_known(now)
        return self._act(now)

    def sound_failed(self, occurrence_id: str, now: Now) -> list[Effect]:
        """The audio that was started cannot be decoded."""
        self._stage.failed(occurrence_id, now)
        return self._act(now)

    def stream_told(self, occurrence_id: str, url: str, now: Now, *, sounds: bool) -> list[Effect]:
        """Answer to `OpenStream`: there is sound in the stream, or there is none (any more)."""
        self._stage.stream_told(occurrence_id, url, now, sounds=sounds)
        return self._act(now)

    def renewed(self, renew_at: datetime) -> None:
        """The certificate of `KeepCertificate` is kept."""
        self._renew_at = renew_at

    def tick(self, now: Now) -> list[Effect]:
        """Time has passed."""
        if self._box.clock.stepped(now):
            self._note_time(now)
            self._reports.ask_time(now)
        elif now.monotonic < self._wake:
            return []
        if self._keep_house_at <= now.monotonic:
            self._keep_house(now)
            self._renew(now)
        if self._measure_at <= now.monotonic:
            self._measure_at = inf
            self._reports.ask_time(now)
        if self._aim.due(now.monotonic):
            self._reports.ask_time(now)
        return self._act(now)

    def _act(self, now: Now) -> list[Effect]:
        """Do what has come due, and find out when to look again."""
        records = self._box.memory.last_seq
        if self._lapse_at <= now.monotonic:
            self._rebuild(now, self._box.clock.time(now.monotonic))
        self._content.proceed(now.monotonic)
        self._stage.decide(now)
        if self._content.full and records != self._box.memory.last_seq:
            self._content.require(self._stage.wanted(), now.monotonic)
        self._tell_faults(now)
        self._reports.speak(now)
        start = self._stage.next_start if self._reports.connected else None
        self._aim.at(start, self._box.clock, now.monotonic, self._box.identity.device_id)
        if self._stage.closing and self._stage.voice is None:
            self._box.emit(effects.Restart())
        self._wake = min(
            self._stage.wake,
            self._content.wake(),
            self._reports.wake(),
            self._lapse_at,
            self._distrust_at,
            self._keep_house_at,
            self._measure_at,
            self._aim.wake,
        )
        return self._effects()

    def _effects(self) -> list[Effect]:
        done, self._box.effects = self._box.effects, []
        return done

    def _tell_faults(self, now: Now) -> None:
        if self._box.clock.trusted:
            self._distrust_at = inf
            self._distrusted = False
        elif self._distrust_at <= now.monotonic:
            self._distrust_at = inf
            self._distrusted = True
        self._reports.faults(
            {
                "storage_full": self._content.full,
                "bad_content": self._content.bad,
                "storage_error": self._box.memory.full,
                "clock_untrusted": self._distrusted,
            },
            now,
        )

    def _packet(self, topic: str, payload: bytes, now: Now) -> bool:
        """Take a packet of live speech; tell whether there is something to decide.

        Mostly there is not: eight come a second, and what sounds goes on.
        """
        reception = self._listening.packet(topic, payload, now.monotonic)
        if reception is None:
            return False
        if self.sounding == reception.session.session_id and now.monotonic < self._wake:
            self._stage.hear(now)
            # A wake-up that was meant for a stall is early now, which costs nothing.
            self._wake = min(self._wake, self._listening.wake())
            return False
        return True

    def _block(self, topic: str, payload: bytes, now: Now) -> bool:
        """Take a content block; tell whether it completed a file."""
        levels = CONTENT.match(topic)
        if levels is None or not levels["index"].isdecimal():
            return False
        index = int(levels["index"])
        if not self._content.block(levels["sha256"], index, payload, now.monotonic):
            return False
        self._reports.readiness_changed(now)
        return True

    def _document(self, topic: str, token: bytes, now: Now) -> None:
        """Accept a document, or refuse it and say why."""
        try:
            sealed = self._shelf.judge(topic, token, self._box.clock.time(now.monotonic))
        except Refused as refused:
            self._reports.refuse(topic, refused.reason, now, refused.detail)
            if refused.reason == "expired":
                self._reports.ask_time(now)
            elif refused.reason == "scope":
                self._unfollow(topic)
            return
        if sealed is None:
            return
        document = sealed.document
        if self._box.clock.not_before(document.issued_at, now.monotonic):
            self._reports.ask_time(now)
        followed = self._shelf.areas
        self._shelf.take(sealed)
        changes = {sealed.key: sealed.token}
        volume = None
        if isinstance(document, Config):
            changes |= dict.fromkeys(self._shelf.drop_unfounded(), b"")
            volume = -1
            self._follow(followed)
            self._reports.config_changed(now)
        elif isinstance(document, Alerts):
            for alert in document.alerts:
                self._admit(alert, topic, now)
        # What the new document lets pass is told before the old one, which named it, is
        # overwritten: a power cut between the two leaves nothing untold.
        self._rebuild(now, document.issued_at)
        bound = self._box.clock.time(now.monotonic)
        self._box.write(Change(documents=changes, bound=bound, volume=volume))

    def _follow(self, before: list[str]) -> None:
        """Subscribe to the areas of a new config, and to those it dropped no longer."""
        if not self._reports.connected:
            return
        areas = self._shelf.areas
        gone = _followed(code for code in before if code not in areas)
        new = _followed(code for code in areas if code not in before)
        if gone:
            self._box.emit(Unsubscribe(gone))
        if new:
            self._box.emit(Subscribe(new))

    def _unfollow(self, topic: str) -> None:
        """Leave an area that is not ours: the power went before we could, when it was dropped."""
        levels = AREA_STATE.match(topic) or AREA_LIVE.match(topic)
        if levels is not None and levels["code"] not in self._shelf.areas:
            self._box.emit(Unsubscribe(_followed([levels["code"]])))

    def _admit(self, alert: Alert, topic: str, now: Now) -> None:
        """Store the audio that an alert carries with it."""
        if alert.inline is None or not alert.audio:
            return
        audio = alert.audio[0]
        if audio.codec in self._box.identity.codecs and not self._content.admit(
            audio, alert.inline
        ):
            self._reports.refuse(topic, "malformed", now, f"inline audio of {alert.alert_id}")

    def _rebuild(self, now: Now, issued_at: datetime) -> None:
        """Go by what the documents in force say now, the newest being of `issued_at`."""
        merged = self._shelf.merge(self._box.clock.time(now.monotonic))
        self._stage.replace(merged, issued_at, now)
        self._content.require(self._stage.wanted(), now.monotonic)
        self._reports.readiness_changed(now)
        self._lapse_at = inf
        if merged.lapse_at is not None:
            self._lapse_at = self._box.clock.monotonic_at(merged.lapse_at + MOMENT)

    def _command(self, topic: str, token: bytes, now: Now) -> None:
        refuse = self._reports.refuse
        try:
            command = verifier(self._shelf.keys).command(token)
        except WireError as error:
            refuse(topic, refusal_reason(error), now, error.reason)
            return
        # The others may be obeyed any number of times, so they need no place in the memory of
        # ids; acknowledgements alone would fill it every hour. And they are obeyed whatever the
        # time: by one of them a clock that is years fast is set right.
        once = isinstance(command, SetVolume | Reboot | Identify | SelfTest)
        if command.scope != self._box.identity.scope or topic != _topic(command):
            refuse(topic, "scope", now, command.scope, command.command_id)
        elif not once:
            self._obey(command, topic, now)
        elif command.command_id in self._box.memory.commands:
            refuse(topic, "replayed", now, command_id=command.command_id)
        elif command.not_after < self._box.clock.time(now.monotonic):
            refuse(topic, "expired", now, command_id=command.command_id)
            self._reports.ask_time(now)
        else:
            self._obey_once(command, now)

    def _obey(self, command: AnyCommand, topic: str, now: Now) -> None:
        match command:
            case JournalAck(journal_id=journal_id, upto_seq=upto_seq):
                if journal_id == self._box.memory.journal_id:
                    self._reports.confirmed(upto_seq, now)
            case TimeReply(token=token, server_at=server_at):
                asked_at = self._reports.answered(token)
                if asked_at is not None:
                    self._replied(server_at, asked_at, now)
            case NewCertificate() if self._box.identity.csr is not None:
                self._box.emit(
                    effects.KeepCertificate(
                        command.certificate, command.renew_at, command.expires_at
                    )
                )
            case Resend(document=document):
                self._document(_addressed(document.encode()) or topic, document.encode(), now)

    def _obey_once(self, command: AnyCommand, now: Now) -> None:
        volume = command.volume if isinstance(command, SetVolume) else None
        self._box.write(Change(command=command.command_id, volume=volume))
        hush = self._stage.hush(now) if isinstance(command, Identify | SelfTest) else None
        if hush is not None:
            self._reports.result(command, "refused", now, hush.value)
            return
        match command:
            case SetVolume(volume=volume):
                voice = self._stage.voice
                if voice is not None and not self._stage.is_alert(voice.item):
                    self._box.emit(effects.SetVolume(min(volume, voice.loudest)))
            case Identify():
                self._box.emit(effects.Identify())
            case SelfTest():
                self._box.emit(effects.TestTone())
            case Reboot():
                self._stage.closing = True
        self._reports.result(command, "done", now)

    def _renew(self, now: Now) -> None:
        """Ask for the next certificate when it is time, once an hour."""
        csr, renew_at = self._box.identity.csr, self._renew_at
        if csr is None or renew_at is None or not self._reports.connected:
            return
        if self._box.clock.time(now.monotonic) < renew_at or now.monotonic < self._may_renew_at:
            return
        self._may_renew_at = now.monotonic + HOUSEKEEPING_SECONDS
        self._reports.ask_certificate(csr)

    def _replied(self, server_at: datetime, asked_at: float, now: Now) -> None:
        """The server has said the time; a clock that it only puts right goes on as it was."""
        clock = self._box.clock
        known = clock.time(now.monotonic) if clock.trusted else None
        if not clock.replied(server_at, asked_at, now):
            return
        if known is None or abs(clock.time(now.monotonic) - known) > LITTLE:
            self._time_known(now)
        else:
            self._measured(now)

    def _measured(self, now: Now) -> None:
        by_server = self._box.clock.measured_within(MEASURE_SECONDS, now.monotonic)
        self._reports.time_known(now, by_server=by_server)
        self._measure_at = now.monotonic + MEASURE_SECONDS

    def _time_known(self, now: Now) -> None:
        """The clock was set: windows may have passed meanwhile, documents may have lapsed."""
        self._note_time(now)
        self._renew(now)
        self._measured(now)
        airtime, today = self._box.memory.airtime, self._stage.today(now)
        if airtime is not None and today is not None and today < airtime.on:
            self._box.write(Change(airtime=Airtime(today, 0.0)))
        self._rebuild(now, self._box.clock.time(now.monotonic))

    def _note_time(self, now: Now) -> None:
        """Put on flash what a battery-backed clock needs after a power cut."""
        clock = self._box.clock
        lead = clock.lead.total_seconds() if clock.trusted else None
        self._box.write(Change(bound=clock.time(now.monotonic), lead_seconds=lead))

    def _keep_house(self, now: Now) -> None:
        self._keep_house_at = now.monotonic + HOUSEKEEPING_SECONDS
        self._note_time(now)
        issued_at = self._shelf.newest_issue
        if issued_at is None:
            return
        # By the server's clock: one of our own that is weeks fast would make all sound again.
        oldest = issued_at - KEEP_SETTLED
        memory = self._box.memory
        if any(at < oldest for at in (*memory.settled.values(), *memory.skipped.values())):
            self._box.write(Change(forget_before=oldest))


def _followed(codes: Iterable[str]) -> tuple[str, ...]:
    """Subscriptions of areas."""
    return tuple(topic.filter(code=code) for code in codes for topic in (AREA_STATE, AREA_LIVE))


def _topic(command: AnyCommand) -> str:
    """Topic a command belongs under."""
    kind = command.__struct_config__.tag
    return f"{command.scope}/command/{kind}"


def _addressed(token: bytes) -> str | None:
    """Topic that a re-sent document claims; whether it is true is for the signature to say."""
    try:
        sealed = stored(token)
    except WireError:
        return None
    return scope_topic(sealed.document.scope, sealed.kind)

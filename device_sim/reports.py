"""Everything a device says upward, and when it says it again.

Nothing is sent while the link is down. What must arrive is in the journal; the rest is either
state that the next connection tells anew or of no interest later.
"""

from __future__ import annotations

from itertools import islice
from math import inf
from typing import Literal

from broadcast.wire.codec import encode
from broadcast.wire.commands import AnyCommand, Identify, Reboot, SelfTest, SetVolume
from broadcast.wire.events import (
    Boot,
    CertificateRequest,
    CommandResult,
    Fault,
    Gone,
    Heartbeat,
    Network,
    Playback,
    Readiness,
    Ready,
    Refusal,
    Supply,
    TimeRequest,
)
from broadcast.wire.fields import Wire
from broadcast.wire.topics import DEVICE_EVENT
from device_sim.backoff import doubled
from device_sim.box import Box
from device_sim.chance import fraction
from device_sim.content import Content
from device_sim.effects import Publish
from device_sim.journal import CONNECTIONS_PER_BOOT, Change, FaultKind
from device_sim.shelf import RefusalReason
from device_sim.stage import Stage
from device_sim.timekeeping import Now

BATCH_RECORDS = 100
TELL_SECONDS = 3.0
"""New records are sent within this time, at a hashed moment: the thousands of devices that start a
province's bulletin in the same second must not all report in it."""
RESEND_SECONDS = 15.0
"""Wait for the first `journal_ack`; each repetition doubles it. Sooner would load a server that
is only slow, later would delay the proof after a single lost message."""
LONGEST_RESEND_SECONDS = 600.0
READINESS_SECONDS = 2.0
"""Changes are gathered this long, so that a new programme is one message and not two hundred."""
READINESS_ITEMS = 500
ASK_FIRST_SECONDS = 2.0
"""A device with NTP has the time by then, and need not ask."""
ASK_AGAIN_SECONDS = 10.0
LONGEST_ASK_SECONDS = 300.0
REFUSAL_SECONDS = 60.0
"""The same refusal is told once in this time; a flood of forgeries must not become our own."""
HEARTBEAT_SECONDS = 60

_KINDS: dict[type[AnyCommand], Literal["volume", "reboot", "identify", "self_test"]] = {
    SetVolume: "volume",
    Reboot: "reboot",
    Identify: "identify",
    SelfTest: "self_test",
}

BootReason = Literal["power_on", "reset", "update", "reconnect"]


class Reports:
    """The upward side of one device."""

    def __init__(self, box: Box, stage: Stage, content: Content, reason: BootReason) -> None:
        self._box = box
        self._stage = stage
        self._content = content
        self._reason: BootReason = reason
        self.connected = False
        self.held: dict[str, int] = {}
        """`{scope}/{kind}` → revision."""
        self._connections = 0
        self._beats = 0
        self._beat_at = inf
        self._paced_by = 0
        self._sent_upto = 0
        self._resend_at = inf
        self._tell_at = inf
        self._resends = 0
        self._ready: dict[str, Ready] = {}
        self._ready_at = inf
        self._asked: tuple[str, float] | None = None
        self._asks = 0
        """Questions for the time since the clock was last set."""
        self._questions = 0
        """Since power-on: a late answer must not be taken for that to another question."""
        self._ask_at = inf
        self._may_ask_at = -inf
        self._refused: dict[tuple[str, str], float] = {}
        self._bytes = 0

    @property
    def session(self) -> int:
        """Number of the connection that is or was last up."""
        return self._box.memory.session(self._connections)

    def will(self) -> Publish:
        """Last will of the next connection."""
        gone = Gone(session=self._box.memory.session(self._connections + 1))
        return Publish(self._topic("gone"), encode(gone))

    def on_connected(self, now: Now) -> None:
        """Say who is here; send anew what the last connection may have lost."""
        memory = self._box.memory
        self._connections += 1
        if self._connections == CONNECTIONS_PER_BOOT - 1:
            self._box.write(Change(boots=memory.boots + 1))
            self._connections = 1
        self.connected = True
        boot = Boot(
            session=self.session,
            sent_at=self._box.clock.reading(now),
            reason=self._reason,
            codecs=list(self._box.identity.codecs),
            clock=self._box.clock.report(now.monotonic),
            journal_id=memory.journal_id,
            held=self.held,
            firmware=self._box.identity.firmware,
            model=self._box.identity.model,
        )
        self._reason = "reconnect"
        self._publish("boot", boot)
        self._sent_upto = self._confirmed()
        self._resends = self._asks = self._beats = 0
        self._resend_at = inf
        self._tell_at = now.monotonic if memory.records else inf
        self._pace(now, self._jitter("beat", 0))
        self._ready_at = now.monotonic
        if self._box.clock.confirmed:
            self._ask_at = self._sometime(now)
        else:
            self._ask_at = now.monotonic + ASK_FIRST_SECONDS * (1 + self._jitter("ask", 0)) / 2

    def on_disconnected(self) -> None:
        """Nothing can be said until the next connection."""
        self.connected = False
        self._beat_at = self._tell_at = self._resend_at = self._ready_at = self._ask_at = inf
        self._asked = None

    def config_changed(self, now: Now) -> None:
        """A shorter interval between heartbeats holds at once, as after a connection."""
        if self.connected and self._interval() < self._paced_by:
            self._pace(now, self._jitter("beat", self._beats))

    def readiness_changed(self, now: Now) -> None:
        """Look at the coming items before long."""
        if self.connected:
            self._ready_at = min(self._ready_at, now.monotonic + READINESS_SECONDS)

    def refuse(
        self,
        topic: str,
        reason: RefusalReason,
        now: Now,
        detail: str = "",
        command_id: str | None = None,
    ) -> None:
        """Tell that something was not accepted."""
        key = (topic, reason)
        if now.monotonic < self._refused.get(key, -inf):
            return
        self._refused = {k: v for k, v in self._refused.items() if v > now.monotonic}
        if len(self._refused) < BATCH_RECORDS:
            self._refused[key] = now.monotonic + REFUSAL_SECONDS
            sent_at = self._box.clock.reading(now)
            refusal = Refusal(
                sent_at=sent_at,
                topic=topic[:200],
                reason=reason,
                detail=detail[:500],
                command_id=command_id,
            )
            self._publish("refusal", refusal)

    def result(
        self, command: AnyCommand, result: Literal["done", "refused"], now: Now, detail: str = ""
    ) -> None:
        """Tell what came of a command.

        A self-test is heard by its amplifier: a simulated box has no microphone.
        """
        tested = isinstance(command, SelfTest) and result == "done"
        message = CommandResult(
            sent_at=self._box.clock.reading(now),
            command_id=command.command_id,
            result=result,
            detail="amplifier ok, line ok" if tested else detail,
            kind=_KINDS.get(type(command)),
            heard="amplifier" if tested else None,
        )
        self._publish("command_result", message)

    def faults(self, found: dict[FaultKind, bool], now: Now) -> None:
        """Tell which faults have appeared and which have gone.

        What was told is on flash, so that a power cut leaves no fault open permanently.
        """
        told = self._box.memory.faults
        for kind, is_open in found.items():
            if self.connected and is_open != (kind in told):
                self._box.write(Change(faults={kind: is_open}))
                sent_at = self._box.clock.reading(now)
                self._publish("fault", Fault(sent_at=sent_at, kind=kind, open=is_open))

    def ask_time(self, now: Now) -> None:
        """Ask for the server's clock, and again until it answers in time."""
        if not self.connected or (self._asked and now.monotonic < self._ask_at):
            return
        if now.monotonic < self._may_ask_at:
            self._ask_at = min(self._ask_at, self._may_ask_at)
            return
        self._may_ask_at = now.monotonic + ASK_AGAIN_SECONDS
        self._asks += 1
        self._questions += 1
        token = f"{self.session}-{self._questions}"
        self._asked = (token, now.monotonic)
        seconds = doubled(ASK_AGAIN_SECONDS, self._asks - 1, LONGEST_ASK_SECONDS)
        self._ask_at = now.monotonic + seconds * (1 + self._jitter(token, 0) / 4)
        self._publish("time_request", TimeRequest(token=token), qos=0)

    def ask_certificate(self, csr: str) -> None:
        """Ask for the next client certificate."""
        self._publish("certificate_request", CertificateRequest(csr=csr))

    def answered(self, token: str) -> float | None:
        """Monotonic second at which this token was sent, None when it is not awaited."""
        if self._asked is None or self._asked[0] != token:
            return None
        return self._asked[1]

    def time_known(self, now: Now, *, by_server: bool) -> None:
        """The clock has been set: do not ask again, or not yet, where it was not the server."""
        self._asked = None
        self._ask_at = inf
        if by_server:
            self._asks = 0
        elif self.connected:
            self._ask_at = self._sometime(now)

    def confirmed(self, upto_seq: int, now: Now) -> None:
        """The server has stored the journal up to here: free it and go on."""
        upto_seq = min(upto_seq, self._box.memory.last_seq)
        if upto_seq <= self._confirmed():
            return
        self._box.write(Change(confirmed=upto_seq))
        self._resends = 0
        if self.connected:
            waiting = bool(self._box.memory.records)
            self._resend_at = now.monotonic + RESEND_SECONDS if waiting else inf

    def speak(self, now: Now) -> None:
        """Send what is due."""
        if not self.connected:
            return
        self._send_journal(now)
        if self._ready_at <= now.monotonic:
            self._send_readiness(now)
        if self._ask_at <= now.monotonic:
            self.ask_time(now)
        if self._beat_at <= now.monotonic:
            self._send_heartbeat(now)

    def wake(self) -> float:
        """Monotonic second at which `speak` has something to say."""
        return min(self._beat_at, self._tell_at, self._resend_at, self._ready_at, self._ask_at)

    def received(self, size: int) -> None:
        """Count what the link carried."""
        self._bytes += size

    def _send_journal(self, now: Now) -> None:
        """Send the oldest unconfirmed records when there are new ones, or again when it is time.

        Every batch begins with the oldest, although it may be on its way already: then there is
        no gap before a batch, and a server that confirms its last record confirms no lost one.
        """
        memory = self._box.memory
        batch = min(len(memory.records), BATCH_RECORDS)
        upto = self._confirmed() + batch
        again = self._resend_at <= now.monotonic
        if upto > self._sent_upto and self._tell_at == inf:
            spread = 0.0 if batch == BATCH_RECORDS else self._jitter("tell", upto)
            self._tell_at = now.monotonic + TELL_SECONDS * spread
        if not batch or not (again or self._tell_at <= now.monotonic):
            return
        self._tell_at = inf
        self._resends = self._resends + 1 if again else 0
        self._sent_upto = upto
        seconds = doubled(RESEND_SECONDS, self._resends, LONGEST_RESEND_SECONDS)
        jitter = self._jitter("resend", self._resends)
        self._resend_at = now.monotonic + seconds * (1 + jitter / 4)
        message = Playback(
            sent_at=self._box.clock.reading(now),
            journal_id=memory.journal_id,
            records=list(islice(memory.records, batch)),
            oldest_seq=memory.records[0].seq,
        )
        self._publish("playback", message)

    def _send_readiness(self, now: Now) -> None:
        self._ready_at = inf
        current: dict[str, Ready] = {}
        changed: list[Ready] = []
        for item in self._stage.undecided():
            if self._stage.is_alert(item):
                continue
            state = self._stage.readiness(item)
            told = self._ready.get(item.occurrence_id)
            if (
                told is None
                or told.state != state
                or told.bulletin_revision != item.bulletin_revision
            ):
                told = Ready(
                    occurrence_id=item.occurrence_id,
                    bulletin_revision=item.bulletin_revision,
                    state=state,
                )
                changed.append(told)
            current[item.occurrence_id] = told
        self._ready = current
        sent_at = self._box.clock.reading(now)
        for at in range(0, len(changed), READINESS_ITEMS):
            part = changed[at : at + READINESS_ITEMS]
            self._publish("readiness", Readiness(sent_at=sent_at, items=part))

    def _send_heartbeat(self, now: Now) -> None:
        self._beats += 1
        self._pace(now, 0.9 + 0.2 * self._jitter("beat", self._beats))
        voice = self._stage.voice
        state: Literal["idle", "playing", "alert", "muted"] = "idle"
        if self._box.memory.volume == 0:
            state = "muted"
        if voice is not None:
            state = "alert" if self._stage.is_alert(voice.item) else "playing"
        heartbeat = Heartbeat(
            session=self.session,
            seq=self._beats,
            sent_at=self._box.clock.reading(now),
            clock=self._box.clock.report(now.monotonic),
            held=self.held,
            uptime_seconds=round(self._box.clock.uptime_seconds(now.monotonic), 1),
            firmware=self._box.identity.firmware,
            state=state,
            occurrence_id=voice.item.occurrence_id if voice else None,
            volume=min(self._stage.volume(voice.item), voice.loudest) if voice else None,
            amplifier="on" if voice else "off",
            line="ok",
            supply=Supply(mains=True, volts=228.0),
            network=Network(
                interface="4g", signal_dbm=-70 - int(30 * self._jitter("signal", self._beats))
            ),
            data_used_bytes=self._bytes,
            storage_free_bytes=max(0, self._content.budget_bytes - self._content.used_bytes),
            journal_pending=len(self._box.memory.records),
            mode="ip",
            played_seconds_today=self._stage.played_today(now),
            boot_count=self._box.memory.boots,
        )
        self._publish("heartbeat", heartbeat, qos=0)

    def _publish(self, kind: str, message: Wire, qos: int = 1) -> None:
        if self.connected:
            payload = encode(message)
            self._bytes += len(payload)
            self._box.emit(Publish(self._topic(kind), payload, qos))

    def _topic(self, kind: str) -> str:
        return DEVICE_EVENT.build(device_id=self._box.identity.device_id, kind=kind)

    def _confirmed(self) -> int:
        records = self._box.memory.records
        return records[0].seq - 1 if records else self._box.memory.last_seq

    def _pace(self, now: Now, share: float) -> None:
        """The next heartbeat comes after this share of the interval."""
        self._paced_by = self._interval()
        self._beat_at = now.monotonic + share * self._paced_by

    def _sometime(self, now: Now) -> float:
        """A moment within one interval, so that a fleet does not ask all at once."""
        return now.monotonic + ASK_FIRST_SECONDS + self._interval() * self._jitter("ask", 0)

    def _interval(self) -> int:
        config = self._box.config
        return config.heartbeat_seconds if config else HEARTBEAT_SECONDS

    def _jitter(self, what: str, count: int) -> float:
        return fraction(self._box.identity.device_id, what, self.session, count)

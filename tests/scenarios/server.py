"""A server in memory, made of the rules of the real one and of nothing else that could be right.

Dicts stand where the real one has tables, the harness where it has a broker. What decides (when
something sounds, what a document says, who is behind, what became of a play) is the product's.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from uuid import UUID, uuid5

from broadcast.areas.model import Level
from broadcast.config import Rules
from broadcast.delivery.desired import SAME_AGAIN_AFTER
from broadcast.delivery.reconcile import Kept, behind, compare, resend_command
from broadcast.kit.clock import LOCAL
from broadcast.kit.quiet import OFFSET, daily
from broadcast.plays.forecast import Ahead, Planned, outranked
from broadcast.plays.settle import Circumstances, Facts, Report, Settlement, settle
from broadcast.programmes import compile as rule
from broadcast.programmes.compile import Carried
from broadcast.schedules import grid, priority, recurrence, rrule
from broadcast.telemetry.presence import Presence
from broadcast.wire import quotas
from broadcast.wire.codec import decode_event
from broadcast.wire.commands import JournalAck, Resend, TimeReply
from broadcast.wire.documents import (
    Alerts,
    Audio,
    Config,
    Document,
    Hours,
    Live,
    LiveSession,
    Passed,
    Programme,
    QuietHours,
    Quotas,
    Stream,
)
from broadcast.wire.envelope import Verifier, read_own
from broadcast.wire.events import (
    Boot,
    Ended,
    Fault,
    Heartbeat,
    Playback,
    Readiness,
    Record,
    Refusal,
    Skipped,
    Started,
    TimeRequest,
)
from broadcast.wire.fields import AlertMode, BulletinClass, OnPreempt
from broadcast.wire.hours import silent_window
from broadcast.wire.quotas import Sound
from broadcast.wire.topics import DEVICE_COMMAND, scope_topic
from device_sim.harness import Harness
from tests.device_sim.province import ALERT_KEY, KEYS, PROGRAMME_KEY, audio, audio_bytes

RULES = Rules()
NAMESPACE = UUID(int=0)
SLACK = timedelta(seconds=30)
AUDIO_BYTES = 2000
EVENTS = {Started: "started", Ended: "ended", Skipped: "skipped"}

Play = tuple[str, str]
"""Occurrence and device."""


@dataclass(eq=False)
class Schedule:
    """When and where one bulletin sounds."""

    name: str
    scope: str
    starts_at: datetime
    rrule: str | None = None
    seconds: float = 60
    class_: BulletinClass = BulletinClass.NORMAL
    late_limit_seconds: int = 300
    on_preempt: OnPreempt = OnPreempt.RESUME
    exceptions: dict[datetime, datetime | None] = field(default_factory=dict)
    withdrawn: bool = False
    stream: Stream | None = None
    """It is a relay of this for `seconds`, and its audio, a minute, the fallback."""

    @property
    def audio(self) -> Audio:
        seconds = self.seconds if self.stream is None else 60
        return audio(self.name, seconds, size=AUDIO_BYTES)


@dataclass(eq=False)
class Occurrence:
    """A dated firing: what programmes carry of it, and everything they ever carried."""

    schedule: Schedule
    recurrence_at: datetime
    carried: Carried
    versions: list[Carried]
    changed_at: datetime
    cancelled: str | None = None
    key: str | None = None
    """Of live speech: that of its packets."""

    @property
    def is_alert(self) -> bool:
        return self.carried.alert_mode is not None

    @property
    def is_live(self) -> bool:
        return self.key is not None

    @property
    def is_item(self) -> bool:
        """Programmes carry it."""
        return not (self.is_alert or self.is_live)

    @property
    def latest_at(self) -> datetime:
        return self.carried.starts_at + timedelta(seconds=self.carried.late_limit_seconds)


class Journals:
    """Records by (device, journal, seq), and how far each journal is complete."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str, int], Record] = {}
        self.received_at: dict[tuple[str, str, int], datetime] = {}
        self._upto: dict[tuple[str, str], int] = {}

    def take(self, device_id: str, message: Playback, now: datetime) -> int:
        """Store what is new; the number up to which nothing is missing."""
        journal = (device_id, message.journal_id)
        for record in message.records:
            held = self.records.setdefault((*journal, record.seq), record)
            assert held == record, "a record was told in two ways"
            first = self.received_at.get((*journal, record.seq), now)
            self.received_at[(*journal, record.seq)] = min(first, now)
        upto = max(self._upto.get(journal, 0), (message.oldest_seq or 1) - 1)
        while (*journal, upto + 1) in self.records:
            upto += 1
        self._upto[journal] = upto
        return upto

    def reports(self, numbers: dict[str, int]) -> dict[Play, list[Report]]:
        """Records as the ledger sees them."""
        found: defaultdict[Play, list[Report]] = defaultdict(list)
        for (device_id, journal_id, seq), record in self.records.items():
            found[record.occurrence_id, device_id].append(
                Report(
                    device_id=numbers[device_id],
                    journal_id=journal_id,
                    seq=seq,
                    event=EVENTS[type(record)],
                    at=record.at,
                    received_at=self.received_at[device_id, journal_id, seq],
                    reason="" if isinstance(record, Started) else record.reason.value,
                    offset_seconds=getattr(record, "offset_seconds", 0.0),
                    played_seconds=getattr(record, "played_seconds", 0.0),
                )
            )
        return found


class Server:
    """Schedules in, documents out; heartbeats and journals in, a ledger out."""

    def __init__(
        self,
        harness: Harness,
        heartbeat_seconds: int = 300,
        span: timedelta = RULES.programme_span,
    ) -> None:
        harness.server = self
        self.harness = harness
        self.heartbeat = timedelta(seconds=heartbeat_seconds)
        self.span = span
        self.horizon = span + timedelta(days=1)
        self.follows: dict[str, tuple[str, ...]] = {}
        """Device → scopes."""
        self.hours: dict[str, Sequence[Hours]] = {}
        """Device → windows of its Quy chế, where there is one."""
        self.quotas: dict[str, Quotas] = {}
        self.schedules: list[Schedule] = []
        self.occurrences: dict[str, Occurrence] = {}
        self.tokens: dict[str, tuple[int, bytes, datetime]] = {}
        """`{scope}/{kind}` → revision, document, and when it was published."""
        self.journals = Journals()
        self.playbacks: list[tuple[str, Playback, datetime]] = []
        self.away_since: datetime | None = None
        self._away: list[tuple[datetime, datetime]] = []
        self._blocks: dict[str, bytes] = {}
        self._carriers: defaultdict[str, list[tuple[str, int, datetime]]] = defaultdict(list)
        self._heard_at: defaultdict[str, list[datetime]] = defaultdict(list)
        self._receipts: dict[tuple[str, str, int], datetime] = {}
        self._boots: defaultdict[str, list[tuple[datetime, str]]] = defaultdict(list)
        self._held: dict[str, dict[str, int]] = {}
        """What each device said last that it holds."""
        self._readiness: dict[Play, str] = {}
        self._faults: defaultdict[str, list[tuple[datetime, str, bool]]] = defaultdict(list)
        self._refusals: defaultdict[str, list[tuple[datetime, str]]] = defaultdict(list)
        self._resent: dict[tuple[str, str, int], datetime] = {}
        self._verifier = Verifier(list(KEYS))

    # Plans ---------------------------------------------------------------------------------------

    def enrol(
        self,
        device_id: str,
        areas: Iterable[str],
        hours: Sequence[Hours] | None = None,
        quotas: Quotas | None = None,
    ) -> None:
        """Let a device follow these areas and itself, and keep to the Quy chế of its place."""
        if hours is not None:
            self.hours[device_id] = hours
        if quotas is not None:
            self.quotas[device_id] = quotas
        codes = list(areas)
        scope = f"device/{device_id}"
        self.follows[device_id] = (scope, *(f"area/{code}" for code in codes))
        quiet = [QuietHours(from_=f"{a:%H:%M}", until=f"{b:%H:%M}") for a, b in RULES.quiet_hours]
        now = self.harness.now
        config = Config(
            scope=scope,
            revision=1,
            issued_at=now,
            not_after=now,
            areas=codes,
            keys=list(KEYS),
            quiet_hours=quiet,
            heartbeat_seconds=int(self.heartbeat.total_seconds()),
            hours=None if hours is None else list(hours),
            quotas=[] if quotas is None else [quotas],
        )
        self._keep(config)

    def plan(self, schedule: Schedule, *, checked: bool = True) -> None:
        """Take in a schedule; `checked=False` as a server would that forgot its quiet hours."""
        parsed = self._rule(schedule)
        if parsed is not None:
            recurrence.check(parsed, schedule.starts_at, schedule.seconds, LOCAL)
        if checked:
            starts = recurrence.times_of_day(parsed, schedule.starts_at, LOCAL)
            day = schedule.starts_at.astimezone(LOCAL).date()
            moments = [datetime.combine(day, each, LOCAL) for each in starts]
            grid.check_quiet(moments, schedule.seconds, daily(RULES.quiet_hours), LOCAL)
        self.schedules.append(schedule)
        self._offer_audio(schedule)
        self.roll()

    def alert(self, name: str, scope: str, seconds: float, valid: timedelta) -> None:
        """Let an emergency sound at once, and for so long wherever it has not sounded yet."""
        now = self.harness.now
        at = now.replace(microsecond=now.microsecond // 1000 * 1000)
        schedule = Schedule(
            name,
            scope,
            at,
            seconds=seconds,
            class_=BulletinClass.EMERGENCY,
            late_limit_seconds=int(valid.total_seconds()),
        )
        self._offer_audio(schedule)
        carried = replace(
            self._carried(schedule, at, at), ends_by=at + valid, alert_mode=AlertMode.ACTUAL
        )
        alert = Occurrence(schedule, at, carried, [carried], at)
        self.occurrences[carried.occurrence_id] = alert
        self.roll()

    def speak(self, name: str, scope: str, seconds: float, key: str) -> Occurrence:
        """Let somebody speak at once, whose packets this key signs."""
        now = self.harness.now
        at = now.replace(microsecond=now.microsecond // 1000 * 1000)
        schedule = Schedule(
            name,
            scope,
            at,
            seconds=seconds,
            class_=BulletinClass.PRIORITY,
            late_limit_seconds=int((timedelta(seconds=seconds) + SLACK).total_seconds()),
        )
        carried = replace(
            self._carried(schedule, at, at),
            ends_by=at + timedelta(seconds=seconds) + SLACK,
            priority=priority.LIVE[schedule.class_],
        )
        spoken = Occurrence(schedule, at, carried, [carried], at, key=key)
        self.occurrences[carried.occurrence_id] = spoken
        self.roll()
        return spoken

    def move(self, occurrence: Occurrence, by: timedelta) -> None:
        """Move an occurrence that has not started."""
        to = occurrence.carried.starts_at + by
        seconds = occurrence.schedule.seconds
        now = self.harness.now
        if (
            occurrence.is_item
            and occurrence.carried.starts_at > now < to
            and silent_window(daily(RULES.quiet_hours), OFFSET, to, seconds) is None
        ):
            occurrence.schedule.exceptions[occurrence.recurrence_at] = to
            self.roll()

    def leave_out(self, occurrence: Occurrence) -> None:
        """Cancel one occurrence that has not ended."""
        occurrence.schedule.exceptions[occurrence.recurrence_at] = None
        occurrence.cancelled = "left out"
        self.roll()

    def withdraw(self, schedule: Schedule) -> None:
        """Cancel everything of a schedule that has not ended."""
        schedule.withdrawn = True
        for occurrence in self.coming():
            if occurrence.schedule is schedule:
                occurrence.cancelled = "withdrawn"
        self.roll()

    def coming(self) -> list[Occurrence]:
        """Occurrences that can still be changed."""
        now = self.harness.now
        open_ = (each for each in self.occurrences.values() if each.cancelled is None)
        return [each for each in open_ if each.carried.ends_by > now]

    @property
    def plays(self) -> list[Play]:
        """Every occurrence at every device that is to sound it."""
        followers: defaultdict[str, list[str]] = defaultdict(list)
        for device_id, scopes in self.follows.items():
            for scope in scopes:
                followers[scope].append(device_id)
        return [
            (occurrence_id, device_id)
            for occurrence_id, occurrence in self.occurrences.items()
            for device_id in followers[occurrence.schedule.scope]
        ]

    # What it does by the clock -------------------------------------------------------------------

    def roll(self) -> None:
        """Materialise, compile what has changed or grown old, publish."""
        if self.away_since is not None:
            return
        for schedule in self.schedules:
            if not schedule.withdrawn:
                self._materialise(schedule)
        carried: defaultdict[str, list[Carried]] = defaultdict(list)
        alerts: defaultdict[str, list[Carried]] = defaultdict(list)
        spoken: defaultdict[str, list[LiveSession]] = defaultdict(list)
        for occurrence in self.coming():
            scope = occurrence.schedule.scope
            if occurrence.key is not None:
                spoken[scope].append(_session(occurrence.carried, occurrence.key))
            else:
                to = alerts if occurrence.is_alert else carried
                to[scope].append(occurrence.carried)
        now = self.harness.now
        passed = self._passed()
        for scope in sorted({scope for scopes in self.follows.values() for scope in scopes}):
            items = rule.items(carried[scope], now, rule.held_until(now, self.span, LOCAL))
            if items or f"{scope}/programme" in self.tokens:
                self._keep(rule.programme(scope, items, 1, now, passed[scope]))
            if alerts[scope] or f"{scope}/alerts" in self.tokens:
                due = rule.alerts(alerts[scope], {}, now)
                self._keep(
                    Alerts(scope=scope, revision=1, issued_at=now, not_after=now, alerts=due)
                )
            if spoken[scope] or f"{scope}/live" in self.tokens:
                sessions = rule.sessions(spoken[scope])
                self._keep(
                    Live(scope=scope, revision=1, issued_at=now, not_after=now, sessions=sessions)
                )
        self.audit()

    def _passed(self) -> defaultdict[str, list[Passed]]:
        """What of today has ended, by scope and start."""
        now = self.harness.now
        midnight = datetime.combine(now.astimezone(LOCAL).date(), time(), LOCAL)
        found: defaultdict[str, list[Passed]] = defaultdict(list)
        over = (
            each
            for each in self.occurrences.values()
            if each.is_item and each.cancelled is None and each.carried.ends_by <= now
        )
        for each in sorted(over, key=lambda each: each.carried.starts_at):
            if each.carried.starts_at >= midnight:
                carried, seconds = each.carried, each.schedule.seconds
                found[each.schedule.scope].append(
                    Passed(carried.occurrence_id, carried.starts_at, seconds)
                )
        return found

    def audit(self) -> None:
        """Let the broker retain again what it has lost."""
        retained = {
            f"{parent}/{level}": payload
            for parent, levels in self.harness._retained.items()
            for level, payload in levels.items()
        }
        ours = {
            scope_topic(*key.rsplit("/", 1)): (revision, token)
            for key, (revision, token, _) in self.tokens.items()
        }
        kept = {topic: Kept(revision, token) for topic, (revision, token) in ours.items()}
        states = {
            topic: token
            for topic, token in retained.items()
            if "/state/" in topic or topic.endswith("/live/sessions")
        }
        missing, newer, spoilt = compare(kept, states, self._verifier)
        assert not newer
        assert not spoilt
        for topic in missing:
            self.harness.publish(topic, ours[topic][1], retain=True)
        for topic in self._blocks.keys() - retained.keys():
            self.harness.publish(topic, self._blocks[topic], retain=True)

    def go_away(self) -> None:
        """Neither hear nor say anything from here on."""
        self.away_since = self.away_since or self.harness.now

    def come_back(self) -> None:
        """Take up the work again."""
        if self.away_since is not None:
            self._away.append((self.away_since, self.harness.now))
            self.away_since = None
            self.roll()

    def _rule(self, schedule: Schedule) -> rrule.Rule | None:
        return None if schedule.rrule is None else rrule.parse(schedule.rrule, LOCAL)

    def _materialise(self, schedule: Schedule) -> None:
        now = self.harness.now
        planned = recurrence.occurrences_between(
            self._rule(schedule),
            schedule.starts_at,
            schedule.exceptions,
            now,
            now + self.horizon,
            LOCAL,
        )
        for recurrence_at, starts_at in planned:
            now_carried = self._carried(schedule, recurrence_at, starts_at)
            held = self.occurrences.get(now_carried.occurrence_id)
            if held is None:
                self.occurrences[now_carried.occurrence_id] = Occurrence(
                    schedule, recurrence_at, now_carried, [now_carried], now
                )
            elif held.carried.starts_at != starts_at:
                held.carried = now_carried
                held.versions.append(held.carried)
                held.changed_at = now

    def _carried(
        self, schedule: Schedule, recurrence_at: datetime, starts_at: datetime
    ) -> Carried:
        latest = starts_at + timedelta(seconds=schedule.late_limit_seconds)
        return Carried(
            occurrence_id=str(uuid5(NAMESPACE, f"{schedule.name} {recurrence_at}")),
            bulletin_id=schedule.name,
            bulletin_revision=1,
            title=schedule.name,
            class_=schedule.class_,
            priority=priority.priority(schedule.class_, Level.COMMUNE),
            on_preempt=schedule.on_preempt,
            volume=None,
            starts_at=starts_at,
            late_limit_seconds=schedule.late_limit_seconds,
            ends_by=(latest + SLACK if schedule.stream is None else starts_at)
            + timedelta(seconds=schedule.seconds),
            audio=(schedule.audio,),
            stream=schedule.stream,
        )

    def _offer_audio(self, schedule: Schedule) -> None:
        digest = schedule.audio.sha256
        self._blocks[f"content/{digest}/0"] = audio_bytes(schedule.name, AUDIO_BYTES)

    def _keep(self, document: Document) -> None:
        now = self.harness.now
        key = f"{document.scope}/{type(document).__struct_config__.tag}"
        previous = 0
        if key in self.tokens:
            previous, token, _ = self.tokens[key]
            held = read_own(token)
            if rule.is_equivalent(held, document, now) and not rule.is_stale(held, now, LOCAL):
                return
        issued = rule.issued(document, rule.next_revision(previous, now), now)
        token = (ALERT_KEY if isinstance(issued, Alerts | Live) else PROGRAMME_KEY).sign(issued)
        self.tokens[key] = (issued.revision, token, now)
        if isinstance(issued, Programme):
            for item in issued.items:
                self._carriers[item.occurrence_id].append((key, issued.revision, now))
        if isinstance(issued, Alerts):
            for alert in issued.alerts:
                self._carriers[alert.alert_id].append((key, issued.revision, now))
        if isinstance(issued, Live):
            for session in issued.sessions:
                self._carriers[session.session_id].append((key, issued.revision, now))
        self.harness.publish(scope_topic(*key.rsplit("/", 1)), token, retain=True)

    # What it hears -------------------------------------------------------------------------------

    def heard(self, device_id: str, kind: str, payload: bytes) -> None:
        if self.away_since is not None:
            return
        now = self.harness.now
        insort(self._heard_at[device_id], now)
        message = decode_event(kind, payload)
        match message:
            case Heartbeat(held=held):
                self._receive(device_id, held, now)
                self._heal(device_id, held, now)
            case Boot(held=held, reason=reason):
                self._boots[device_id].append((now, reason))
                self._receive(device_id, held, now)
            case Playback():
                self.playbacks.append((device_id, message, now))
                upto = self.journals.take(device_id, message, now)
                self._order(
                    JournalAck(
                        command_id=f"ack {now}",
                        scope=f"device/{device_id}",
                        not_after=now + timedelta(minutes=5),
                        journal_id=message.journal_id,
                        upto_seq=upto,
                    ),
                    device_id,
                )
            case TimeRequest(token=token):
                self._order(
                    TimeReply(
                        command_id=f"time {token}",
                        scope=f"device/{device_id}",
                        not_after=now + timedelta(minutes=5),
                        token=token,
                        server_at=now,
                    ),
                    device_id,
                )
            case Readiness(items=items):
                for ready in items:
                    self._readiness[ready.occurrence_id, device_id] = ready.state
            case Fault(kind=fault, open=is_open):
                self._faults[device_id].append((now, fault, is_open))
            case Refusal(topic=topic, reason=why) if why != "revision":
                self._refusals[device_id].append((now, topic))

    @property
    def refused(self) -> set[str]:
        """Devices that have refused a programme."""
        return {
            device_id
            for device_id, refusals in self._refusals.items()
            if any(topic.endswith("/state/programme") for _, topic in refusals)
        }

    def wanted(self, device_id: str) -> dict[str, int]:
        """Documents a device should hold, with their revisions."""
        keys = [f"device/{device_id}/config"]
        for scope in self.follows[device_id]:
            keys += [f"{scope}/programme", f"{scope}/alerts", f"{scope}/live"]
        return {key: self.tokens[key][0] for key in keys if key in self.tokens}

    def _receive(self, device_id: str, held: dict[str, int], now: datetime) -> None:
        self._held[device_id] = held
        for key, revision in held.items():
            self._receipts.setdefault((device_id, key, revision), now)

    def _heal(self, device_id: str, held: dict[str, int], now: datetime) -> None:
        wanted = self.wanted(device_id)
        told = {
            key: revision
            for key, revision in wanted.items()
            if self.tokens[key][2] + 2 * self.heartbeat <= now
        }
        for key in behind(held, told):
            again = (device_id, key, wanted[key])
            if again in self._resent and now < self._resent[again] + SAME_AGAIN_AFTER:
                continue
            self._resent[again] = now
            token = self.tokens[key][1]
            self._order(resend_command(token, device_id, now), device_id)

    def _order(self, command: JournalAck | TimeReply | Resend, device_id: str) -> None:
        kind = type(command).__struct_config__.tag
        topic = DEVICE_COMMAND.build(device_id=device_id, kind=str(kind))
        self.harness.publish(topic, PROGRAMME_KEY.sign(command), retain=False)

    # The ledger ----------------------------------------------------------------------------------

    def ledger(self, journals: Journals | None = None) -> dict[Play, Settlement]:
        """What became of every play, by the records of these journals."""
        numbers = {device_id: n for n, device_id in enumerate(self.follows, start=1)}
        reports = (journals or self.journals).reports(numbers)
        now = self.harness.now
        return {
            (occurrence_id, device_id): self._settled(
                self.occurrences[occurrence_id],
                reports.get((occurrence_id, device_id), []),
                self.circumstances(occurrence_id, device_id, numbers[device_id]),
                now,
            )
            for occurrence_id, device_id in self.plays
            if self.occurrences[occurrence_id].carried.ends_by + RULES.settle_after <= now
        }

    def _settled(
        self,
        occurrence: Occurrence,
        reports: list[Report],
        circumstances: Circumstances,
        now: datetime,
    ) -> Settlement:
        facts = Facts(
            starts_at=occurrence.carried.starts_at,
            ends_by=occurrence.carried.ends_by,
            on_preempt=occurrence.schedule.on_preempt,
            audio_seconds=occurrence.schedule.seconds,
            is_live=occurrence.is_live,
            cancelled=occurrence.cancelled,
            reports=reports,
            circumstances=circumstances,
        )
        return settle(facts, now, RULES.settle_after)

    def circumstances(self, occurrence_id: str, device_id: str, number: int) -> Circumstances:
        """What is known around a play: the query of `plays.surroundings`, over dicts."""
        occurrence = self.occurrences[occurrence_id]
        starts_at, latest_at = occurrence.carried.starts_at, occurrence.latest_at
        now = self.harness.now
        carriers = self._carriers[occurrence_id]
        published_at = min((at for _, _, at in carriers), default=None)
        told_by = latest_at + 2 * self.heartbeat
        later = [reason for at, reason in self._boots[device_id] if at > starts_at]
        faults = {
            kind: is_open
            for at, kind, is_open in self._faults[device_id]
            if at <= latest_at and (is_open or at <= starts_at)
        }
        away = [*self._away, (self.away_since or now, now)]
        return Circumstances(
            device_id=number,
            published=published_at is not None and published_at <= latest_at,
            received=any(
                self._receipts.get((device_id, key, revision), now) <= told_by
                for key, revision, _ in carriers
                if (device_id, key, revision) in self._receipts
            ),
            reachable=published_at is not None
            and self._online(device_id, published_at, latest_at),
            online=self._online(device_id, starts_at, latest_at),
            online_now=self._online(device_id, now, now),
            listening=not any(begin <= starts_at and latest_at <= end for begin, end in away),
            cold_boot=bool(later) and later[0] == "power_on",
            outage=None,
            refused=any(
                published_at is not None
                and published_at <= at <= told_by
                and any(topic.endswith(scope_topic(*k.rsplit("/", 1))) for k, _, _ in carriers)
                for at, topic in self._refusals[device_id]
            ),
            readiness=self._readiness.get((occurrence_id, device_id)),
            faults=frozenset(kind for kind, is_open in faults.items() if is_open),
        )

    def ahead(self, occurrence_id: str, device_id: str) -> Ahead:
        """What is known of a coming play: the queries of `plays.coming`, over dicts."""
        occurrence = self.occurrences[occurrence_id]
        carried, now = occurrence.carried, self.harness.now
        carriers = [
            (key, revision)
            for key, revision, at in self._carriers[occurrence_id]
            if self.tokens[key][0] == revision or at >= occurrence.changed_at
        ]
        told = {kind: is_open for _, kind, is_open in self._faults[device_id]}
        heard = bool(self._heard_at[device_id])
        return Ahead(
            starts_at=carried.starts_at,
            presence=Presence.NEVER_SEEN
            if not heard
            else Presence.ONLINE
            if self._online(device_id, now, now)
            else Presence.OFFLINE,
            published=bool(carriers),
            holds=any(
                self._held.get(device_id, {}).get(key) == revision for key, revision in carriers
            ),
            readiness=self._readiness.get((occurrence_id, device_id)),
            quiet=silent_window(daily(RULES.quiet_hours), OFFSET, carried.starts_at, 1)
            is not None,
            faults=frozenset(kind for kind, is_open in told.items() if is_open),
            over_quota=occurrence_id in self._over_quota(device_id, carried.starts_at),
            outranked=occurrence_id in outranked(self._planned(device_id)),
        )

    def _over_quota(self, device_id: str, at: datetime) -> frozenset[str]:
        """What is over quota at a device on the day of a moment."""
        held = self.quotas.get(device_id)
        if held is None:
            return frozenset()
        day = at.astimezone(LOCAL).date()
        sounds = {
            name: Sound(
                each.carried.starts_at,
                each.carried.starts_at + timedelta(seconds=each.schedule.seconds),
            )
            for name, each in self.occurrences.items()
            if each.schedule.scope in self.follows[device_id]
            and each.cancelled is None
            and each.is_item
            and each.carried.starts_at.astimezone(LOCAL).date() == day
        }
        return quotas.over(quotas.on_day([held], day), sounds)

    def _planned(self, device_id: str) -> list[Planned]:
        """What is to sound at a device around now."""
        scopes, near = self.follows[device_id], timedelta(hours=1)
        return [
            Planned(
                occurrence_id=name,
                priority=each.carried.priority,
                starts_at=each.carried.starts_at,
                latest_at=max(each.latest_at, each.carried.starts_at + timedelta(seconds=1)),
                ends_by=each.carried.ends_by,
                seconds=each.schedule.seconds,
                on_preempt=each.schedule.on_preempt,
            )
            for name, each in self.occurrences.items()
            if each.schedule.scope in scopes
            and each.cancelled is None
            and name not in self._over_quota(device_id, each.carried.starts_at)
            and abs(each.carried.starts_at - self.harness.now) < near
        ]

    def _online(self, device_id: str, begin: datetime, end: datetime) -> bool:
        heard_at = self._heard_at[device_id]
        place = bisect_right(heard_at, end)
        silence = RULES.silent_after_intervals * self.heartbeat
        return place > 0 and heard_at[place - 1] >= begin - silence


def _session(carried: Carried, key: str) -> LiveSession:
    return LiveSession(
        session_id=carried.occurrence_id,
        starts_at=carried.starts_at,
        ends_by=carried.ends_by,
        key=key,
        priority=carried.priority,
        class_=carried.class_,
        title=carried.title,
    )

"""The item on the loudspeaker, the items that wait for it, and those that missed their time.

An occurrence is *coming* until its start, *waiting* while something keeps it from starting,
*started* once it has sounded and may sound further, and *settled* when it is over for good.
Invariants, whatever is cut, repeated or reordered:

* a start is on flash before it sounds, and an end is one write with what may sound afterwards;
* an occurrence starts at offset 0 once, and only within its late limit. The one exception is
  `on_preempt: restart`: a restart is a start anew, so it too must lie within the late limit;
* after a power cut a sound goes on one checkpoint interval behind its last checkpoint, so that
  words may be lost but none is heard twice;
* one voice at a time; only a higher priority interrupts it, and of equals the earlier planned
  start comes first.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from math import inf

from broadcast.wire import order
from broadcast.wire.commands import LONGEST_TONE_SECONDS
from broadcast.wire.documents import Audio, Item
from broadcast.wire.events import Ended, EndReason, Record, Skipped, SkipReason, Started
from broadcast.wire.fields import OnPreempt
from device_sim.airtime import added
from device_sim.box import Box
from device_sim.content import SKIPS, Content, State
from device_sim.effects import LiveSound, StartSound, StartStream, StopSound
from device_sim.feeds import LEAD, Feeds
from device_sim.journal import Airtime, Change, Progress
from device_sim.listening import Listening
from device_sim.quiet import loudest, over_quota, quiet_from, quiet_until
from device_sim.reception import Reception
from device_sim.shelf import Merged
from device_sim.timekeeping import Now
from device_sim.voice import Part, Voice, latest_start, may_go_on, sources

CHECKPOINT_SECONDS = 5.0
"""Shorter wears the flash, longer loses more words to a power cut."""

UNHEARD_SECONDS = 0.1
"""An item that was interrupted so soon has not begun: it begins anew, and its latest start still
binds it. Or what nobody has heard yet could begin long after, as something that goes on. Longer
would repeat a syllable."""

MOMENT = timedelta(milliseconds=1)

LONGEST_TONE = timedelta(seconds=LONGEST_TONE_SECONDS)

ENOUGH_SECONDS = 0.01
"""A fallback with less than this left is at its end."""


class Stage:
    """The items of one device and its one loudspeaker."""

    def __init__(self, box: Box, content: Content, listening: Listening) -> None:
        self._box = box
        self._content = content
        self._listening = listening
        self.items: dict[str, Item] = {}
        self.voice: Voice | None = None
        self.closing = False
        """The box is about to restart: the voice may finish, nothing else starts."""
        self.wake = inf
        """Monotonic second at which there is something to decide."""
        self._alerts: frozenset[str] = frozenset()
        self._lapsed: frozenset[str] = frozenset()
        self._live: frozenset[str] = frozenset()
        self._over_quota: frozenset[str] = frozenset()
        self._coming: list[Item] = []
        self._waiting: dict[str, Item] = {}
        self._reasons: dict[str, SkipReason] = {}
        self._feeds = Feeds(box)
        self._relays: list[Item] = []
        """Coming items with a stream, the soonest last."""

    def recover(self) -> None:
        """At power-on: a start without an end was cut, and goes on a little later if it may."""
        for occurrence_id, progress in list(self._box.memory.started.items()):
            if not progress.sounding:
                continue
            ended = Ended(
                seq=self._box.memory.last_seq + 1,
                occurrence_id=occurrence_id,
                at=progress.at,
                reason=EndReason.POWER_CUT,
                played_seconds=progress.played,
                relayed_seconds=progress.relayed,
            )
            behind = 0.0 if progress.streaming else CHECKPOINT_SECONDS
            resumed = Progress(
                sounding=False,
                position=progress.position + behind,
                heard=progress.heard,
                least=progress.least,
                at=progress.at,
                ends_by=progress.ends_by,
                relayed=progress.relayed,
                seconds=progress.seconds,
                sha256=progress.sha256,
            )
            self._box.write(Change(records=[ended], started={occurrence_id: resumed}))

    def replace(self, merged: Merged, issued_at: datetime, now: Now) -> None:
        """Take over what the documents now say.

        What they no longer name was withdrawn, unless its window had passed when the document
        that changed it was issued: that is a miss to be told.
        """
        items = merged.items
        memory = self._box.memory
        for item in self.undecided():
            renewed = items.get(item.occurrence_id)
            ours = merged.not_before is None or item.starts_at >= merged.not_before
            if renewed is None and ours and latest_start(item) < issued_at:
                self._skip(item, now)
            elif renewed is None or renewed.starts_at != item.starts_at:
                self._reasons.pop(item.occurrence_id, None)
        self.items, self._alerts, self._lapsed = items, merged.alerts, merged.lapsed
        self._live = frozenset(merged.live)
        self._over_quota = over_quota(self._box.config, merged.counted)
        self._listening.follow(
            {name: each for name, each in merged.live.items() if name not in memory.settled}
        )
        self._waiting = {}
        self._coming = [
            item
            for occurrence_id, item in items.items()
            if occurrence_id not in memory.settled
            and occurrence_id not in memory.started
            and not self._was_missed(occurrence_id, now)
        ]
        self._coming.sort(key=lambda item: (item.starts_at, item.occurrence_id), reverse=True)
        self._relays = [item for item in self._coming if self._is_relay(item)]
        if self.voice and self.voice.item.occurrence_id in items:
            self.voice.item = items[self.voice.item.occurrence_id]

    @property
    def next_start(self) -> datetime | None:
        """Planned start of what comes next."""
        return self._coming[-1].starts_at if self._coming else None

    def undecided(self) -> list[Item]:
        """Items that have not started and may still, soonest first."""
        return [*self._waiting.values(), *reversed(self._coming)]

    def wanted(self) -> list[Audio]:
        """The renditions that may still sound, soonest first; then what prepared alerts need."""
        started = [self.items[k] for k in self._box.memory.started if k in self.items]
        chosen = (self._wanted(item) for item in (*started, *self.undecided()))
        sounding = self.voice.audio if self.voice else None
        config = self._box.config
        prepared = (
            [] if config is None else (self._content.rendition([a]) for a in config.prefetch)
        )
        return [audio for audio in (sounding, *chosen, *prepared) if audio is not None]

    def is_alert(self, item: Item) -> bool:
        """Tell whether it came as an alert, not in a programme."""
        return item.occurrence_id in self._alerts

    def readiness(self, item: Item) -> State:
        """Tell whether the item could sound right now."""
        if item.stream is not None and not item.stream.fallback:
            return "ready"
        return self._content.state(self._rendition(item)) if self._sources(item) else "waiting"

    def volume(self, item: Item) -> int:
        """Volume the item sounds at. A command outranks the item, for someone complained."""
        config, commanded = self._box.config, self._box.memory.volume
        if self.is_alert(item):
            own = config.alert_volume if config else 100
        elif commanded is not None:
            return commanded
        else:
            own = config.volume if config else 70
        return own if item.volume is None else item.volume

    def _loudest(self, item: Item, offset: float, audio: Audio | None, now: Now) -> int:
        """Limit of volume of an item that starts: the lowest that holds before it is over.

        A stream may sound until `ends_by`. Alerts have none.
        """
        if self.is_alert(item):
            return 100
        time = self._box.clock.time(now.monotonic)
        until = item.ends_by
        if audio is not None:
            until = min(until, time + timedelta(seconds=max(audio.seconds - offset, 0.0)))
        return loudest(self._box.config, time, max(until, time))

    def played_today(self, now: Now) -> float | None:
        """Seconds that have sounded since local midnight; None when the day is not known.

        What sounded within `CHECKPOINT_SECONDS` before a power cut is not counted.
        """
        if not self._box.clock.trusted:
            return None
        airtime = self._airtime(self.voice, now.monotonic)
        return round(airtime.seconds, 1) if airtime else None

    def today(self, now: Now) -> date | None:
        """Local day; None while it is not known."""
        config = self._box.config
        if config is None or not self._box.clock.trusted:
            return None
        time = self._box.clock.time(now.monotonic)
        return (time + timedelta(minutes=config.utc_offset_minutes)).date()

    def _airtime(self, voice: Voice | None, until: float) -> Airtime | None:
        seconds = 0.0
        if voice is not None:
            until = min(until, voice.ends_at)
            seconds = 0.0 if voice.part == "silence" else max(0.0, until - voice.counted_at)
        time = self._box.clock.time(until)
        return added(self._box.memory.airtime, self._box.config, time, seconds)

    def hush(self, now: Now) -> SkipReason | None:
        """Reason that keeps a tone or a chirp from sounding; None when it may sound to its end."""
        config, time = self._box.config, self._box.clock.time(now.monotonic)
        if not self._box.clock.trusted:
            return SkipReason.CLOCK_UNTRUSTED
        quiet = quiet_until(config, time) or quiet_until(config, time + LONGEST_TONE)
        return SkipReason.QUIET_HOURS if quiet else None

    def stream_told(self, occurrence_id: str, url: str, now: Now, *, sounds: bool) -> None:
        """Tell whether there is sound in a stream."""
        self._feeds.told(occurrence_id, url, sounds=sounds, monotonic=now.monotonic)

    def failed(self, occurrence_id: str, now: Now) -> None:
        """The audio cannot be decoded. A fallback counts as played to its end."""
        voice = self.voice
        if voice is None or voice.item.occurrence_id != occurrence_id or voice.part != "audio":
            return
        if voice.is_relay and voice.audio is not None:
            self.voice = voice.turned("silence", voice.audio, now.monotonic)
            self.voice.offset = voice.audio.seconds
            self._box.emit(StopSound(occurrence_id))
        else:
            self._stop(EndReason.DECODE_ERROR, now, now.monotonic)

    def decide(self, now: Now) -> None:
        """Bring everything to where it has to be at this moment.

        1. The voice ends when its time is over or it was withdrawn.
        2. What was interrupted is given up once it may not go on.
        3. What has come due waits; what has waited past its window is skipped.
        4. Of those who could sound, the first in rank takes the loudspeaker if it may.
        5. A relay turns to its stream, to its fallback, or to silence.
        6. The position of the voice is put on flash.
        """
        time = self._box.clock.time(now.monotonic)
        quiet = quiet_until(self._box.config, time)
        self._limit_voice(now, time, quiet)
        self.hear(now)
        self._end_voice(now)
        self._give_up(time)
        while self._coming and self._coming[-1].starts_at <= time:
            item = self._coming.pop()
            self._waiting[item.occurrence_id] = item
        for item in list(self._waiting.values()):
            if time > latest_start(item):
                self._skip(item, now)
        self._feeds.proceed(now.monotonic)
        self._feeds.keep(self._relaying(time), now.monotonic)
        voice = self.voice
        if not self.closing:
            self._cast(now, quiet is not None)
        if self.voice is not voice:
            self._limit_voice(now, time, quiet)
        self._turn(now)
        self._feeds.keep(self._relaying(time), now.monotonic)
        self._checkpoint(now)
        self.wake = self._next_decision(time, quiet)

    def _relaying(self, time: datetime) -> list[Item]:
        """Items whose stream is to be open: those that sound, wait, or come in a moment."""
        while self._relays and self._relays[-1].starts_at <= time:
            self._relays.pop()
        found = [item for item in self._waiting.values() if self._is_relay(item)]
        for occurrence_id in self._box.memory.started:
            item = self.items.get(occurrence_id)
            if item is not None and self._is_relay(item):
                found.append(item)
        for item in reversed(self._relays):
            if item.starts_at - LEAD > time:
                break
            found.append(item)
        return found

    def hear(self, now: Now) -> None:
        """Let live speech sound up to this moment."""
        voice = self.voice
        self._listening.proceed(now.monotonic, voice.item.occurrence_id if voice else None)
        reception = self._reception(voice.item) if voice else None
        if voice is None or reception is None:
            return
        voice.missed = reception.missed_seconds - voice.missed_before
        first, frames = reception.take_sound()
        if frames:
            at = reception.due(first)
            self._box.emit(LiveSound(voice.item.occurrence_id, first, at, tuple(frames)))

    def _reception(self, item: Item) -> Reception | None:
        name = item.occurrence_id
        return self._listening.get(name) if name in self._live else None

    def _limit_voice(self, now: Now, time: datetime, quiet: datetime | None) -> None:
        voice = self.voice
        if voice is None:
            return
        voice.until = self._box.clock.monotonic_at(voice.item.ends_by)
        if voice.item.occurrence_id in self._alerts:
            return
        hush = quiet_from(self._box.config, time)
        if quiet is not None:
            voice.until = now.monotonic
        elif hush is not None:
            voice.until = min(voice.until, self._box.clock.monotonic_at(hush))

    def _end_voice(self, now: Now) -> None:
        voice = self.voice
        if voice is None:
            return
        reception = self._reception(voice.item)
        if voice.item.occurrence_id not in self.items:
            self._stop(EndReason.WITHDRAWN, now, now.monotonic)
        elif not voice.is_relay and voice.ends_at <= min(now.monotonic, voice.until):
            self._stop(EndReason.COMPLETED, now, voice.ends_at)
        elif reception is not None and reception.ends_at <= min(now.monotonic, voice.until):
            self._stop(EndReason.COMPLETED, now, reception.ends_at)
        elif reception is not None and not reception.sounds(now.monotonic):
            self._stop(EndReason.STALLED, now, now.monotonic)
        elif voice.until <= now.monotonic:
            self._stop(EndReason.ENDS_BY, now, now.monotonic)

    def _give_up(self, time: datetime) -> None:
        for occurrence_id, progress in list(self._box.memory.started.items()):
            if progress.sounding:
                continue
            item = self.items.get(occurrence_id)
            if item is None or not may_go_on(item, progress, self._rendition(item), time):
                self._box.write(Change(settled={occurrence_id: progress.ends_by}))

    def _cast(self, now: Now, quiet: bool) -> None:
        started = self._box.memory.started
        candidates = list(self._waiting.values())
        candidates += [self.items[k] for k, progress in started.items() if not progress.sounding]
        candidates.sort(
            key=lambda item: order.first(item.priority, item.starts_at, item.occurrence_id)
        )
        for item in candidates:
            obstacle = self._obstacle(item, now, quiet)
            if obstacle is None:
                self._start(item, now)
            elif item.occurrence_id in self._waiting:
                self._reasons[item.occurrence_id] = obstacle

    def _obstacle(self, item: Item, now: Now, quiet: bool) -> SkipReason | None:
        """Reason that keeps an item from starting at this moment."""
        barred = self._bar(item, quiet)
        if barred is not None:
            return barred
        outranked = self.voice is not None and not order.interrupts(
            item.priority, self.voice.item.priority
        )
        missing = SKIPS.get(self._content.state(self._rendition(item)))
        if not self._sources(item):
            missing = SkipReason.NO_AUDIO
        if item.occurrence_id in self._live:
            missing = None if outranked else self._live_obstacle(item, now)
        elif item.stream is not None:
            part = self._part(item, self._rendition(item), self._offset(item))
            hurries = part == "audio" and self._feeds.may_open(item.occurrence_id)
            silent = hurries or part == "silence"
            missing = (missing or SkipReason.NO_AUDIO) if silent else None
        return missing or (SkipReason.PREEMPTED if outranked else None)

    def _bar(self, item: Item, quiet: bool) -> SkipReason | None:
        """Reason that keeps an item from starting, its audio apart; an alert by its document."""
        lapsed = item.occurrence_id in self._lapsed
        if item.occurrence_id in self._alerts:
            return SkipReason.LATE if lapsed else None
        if not self._box.clock.trusted:
            return SkipReason.CLOCK_UNTRUSTED
        if lapsed:
            return SkipReason.LATE
        if self._box.memory.full:
            return SkipReason.STORAGE_FULL
        if quiet:
            return SkipReason.QUIET_HOURS
        begins = item.occurrence_id not in self._box.memory.started
        return SkipReason.QUOTA if begins and item.occurrence_id in self._over_quota else None

    def _live_obstacle(self, item: Item, now: Now) -> SkipReason | None:
        reception = self._reception(item)
        if reception is None:
            return SkipReason.NO_CODEC
        return None if reception.sounds(now.monotonic) else SkipReason.NO_AUDIO

    def _is_relay(self, item: Item) -> bool:
        """Tell whether it has a stream to relay; live speech is none, it comes over the link."""
        return item.stream is not None and item.occurrence_id not in self._live

    def _part(self, item: Item, audio: Audio | None, offset: float) -> Part:
        """What of a relay can sound now: its stream, or what is left of its fallback."""
        if self._feeds.url(item.occurrence_id) is not None:
            return "stream"
        left = 0.0 if audio is None else audio.seconds - offset
        return "audio" if left > ENOUGH_SECONDS and self._is_ready(audio) else "silence"

    def _is_ready(self, audio: Audio | None) -> bool:
        return self._content.state(audio) == "ready"

    def _offset(self, item: Item) -> float:
        """Where the audio of an item goes on that may have sounded before."""
        progress = self._box.memory.started.get(item.occurrence_id)
        if progress is None or progress.restart:
            return 0.0
        audio = self._rendition(item)
        is_another = audio is not None and audio.sha256 != progress.sha256
        return 0.0 if self._is_relay(item) and is_another else progress.position

    def _turn(self, now: Now) -> None:
        """Have a relay go on with what can sound now."""
        voice = self.voice
        if voice is None or not voice.is_relay:
            return
        item, monotonic = voice.item, now.monotonic
        audio = voice.audio or self._rendition(item)
        part = self._part(item, audio, voice.position(monotonic))
        if part == voice.part:
            return
        self._write_progress(voice, now)
        self.voice = voice.turned(part, audio, monotonic)
        self._write_progress(self.voice, now)
        if voice.part != "silence":
            self._box.emit(StopSound(item.occurrence_id))
        self._sound(self.voice)

    def _sound(self, voice: Voice) -> None:
        """Have the loudspeaker sound what the voice says."""
        occurrence_id = voice.item.occurrence_id
        volume = min(self.volume(voice.item), voice.loudest)
        url = self._feeds.url(occurrence_id)
        if occurrence_id in self._live and voice.item.stream is not None:
            url = voice.item.stream.url
        if url is not None and (voice.part == "stream" or occurrence_id in self._live):
            self._box.emit(StartStream(occurrence_id, url, volume))
        elif voice.part == "audio" and voice.audio is not None:
            audio = voice.audio
            self._box.emit(StartSound(occurrence_id, audio.sha256, voice.offset, volume))

    def _sources(self, item: Item) -> list[Audio]:
        return sources(item, self._box.config)

    def _wanted(self, item: Item) -> Audio | None:
        """The rendition that is to be fetched, in the languages of the place."""
        return self._content.rendition(self._sources(item))

    def _rendition(self, item: Item) -> Audio | None:
        """The rendition that sounds now.

        What has begun goes on with the same sound. Where the languages of the place have not been
        fetched in time, the item's own sound is better than none.
        """
        wanted, own = self._wanted(item), self._content.rendition(item.audio)
        progress = self._box.memory.started.get(item.occurrence_id)
        if own is None or (progress is not None and progress.sha256 not in {own.sha256, None}):
            return wanted
        if progress is not None and progress.sha256 == own.sha256:
            return own
        is_behind = self._content.state(wanted) != "ready" and self._content.state(own) == "ready"
        return own if is_behind else wanted

    def _start(self, item: Item, now: Now) -> None:
        if self.voice is not None:
            self._stop(EndReason.PREEMPTED, now, now.monotonic)
        occurrence_id = item.occurrence_id
        progress = self._box.memory.started.get(occurrence_id)
        audio = self._rendition(item)
        again = progress is not None and progress.restart
        offset = self._offset(item)
        relays = self._is_relay(item)
        before = 0.0 if progress is None or progress.relayed is None else progress.relayed
        self.voice = Voice(
            item=item,
            audio=audio,
            began=now.monotonic,
            offset=offset,
            heard=0.0 if progress is None or again else progress.heard,
            least=0.0 if progress is None else progress.played if again else progress.least,
            checkpoint_at=now.monotonic + CHECKPOINT_SECONDS,
            counted_at=now.monotonic,
            part=self._part(item, audio, offset) if relays else "audio",
            relayed=before if relays else None,
            loudest=self._loudest(item, offset, audio, now),
        )
        reception = self._reception(item)
        if reception is not None:
            self.voice.missed_before = reception.missed_seconds
        self._waiting.pop(occurrence_id, None)
        self._reasons.pop(occurrence_id, None)
        sounds = audio if self.voice.part == "audio" else None
        started = Started(
            seq=self._box.memory.last_seq + 1,
            occurrence_id=occurrence_id,
            at=self._box.clock.reading(now),
            bulletin_revision=None if self.is_alert(item) else item.bulletin_revision,
            sha256=sounds.sha256 if sounds else None,
            offset_seconds=self.voice.heard if relays else offset,
            volume=min(self.volume(item), self.voice.loudest),
            clock_offset_ms=self._box.clock.error_ms(),
            clock_uncertainty_ms=self._box.clock.doubt_ms(now.monotonic),
        )
        self._write_progress(self.voice, now, started)
        self._sound(self.voice)

    def _stop(self, reason: EndReason, now: Now, ended_at: float) -> None:
        assert self.voice is not None
        voice, self.voice = self.voice, None
        item = voice.item
        self._box.emit(StopSound(item.occurrence_id))
        if voice.part == "stream":
            self._feeds.again(item.occurrence_id, now.monotonic)
        ended = Ended(
            seq=self._box.memory.last_seq + 1,
            occurrence_id=item.occurrence_id,
            at=self._box.clock.reading(now) - timedelta(seconds=now.monotonic - ended_at),
            reason=reason,
            played_seconds=round(max(voice.heard_at(ended_at), voice.least), 3),
            relayed_seconds=round(voice.relayed_at(ended_at), 3) if voice.is_relay else None,
        )
        interrupted = reason in {EndReason.PREEMPTED, EndReason.STALLED}
        if interrupted and item.on_preempt != OnPreempt.DROP:
            self._write_progress(voice, now, ended, sounding=False)
        else:
            settled = {item.occurrence_id: item.ends_by}
            airtime = self._airtime(voice, ended_at)
            self._box.write(Change(records=[ended], settled=settled, airtime=airtime))

    def _checkpoint(self, now: Now) -> None:
        if self.voice is not None and self.voice.checkpoint_at <= now.monotonic:
            self.voice.checkpoint_at = now.monotonic + CHECKPOINT_SECONDS
            self._write_progress(self.voice, now)

    def _write_progress(
        self, voice: Voice, now: Now, *records: Record, sounding: bool = True
    ) -> None:
        position = voice.position(now.monotonic)
        begins_again = not voice.is_relay and (
            voice.item.on_preempt == OnPreempt.RESTART or position < UNHEARD_SECONDS
        )
        progress = Progress(
            sounding=sounding,
            position=position,
            heard=voice.heard_at(now.monotonic),
            least=voice.least,
            at=self._box.clock.reading(now),
            ends_by=voice.item.ends_by,
            relayed=voice.relayed_at(now.monotonic) if voice.is_relay else None,
            streaming=voice.part == "stream",
            seconds=voice.audio.seconds if voice.audio else None,
            sha256=voice.audio.sha256 if voice.audio else None,
            restart=not sounding and begins_again,
        )
        change = Change(
            records=list(records),
            started={voice.item.occurrence_id: progress},
            airtime=self._airtime(voice, now.monotonic),
        )
        if self._box.config is not None:
            voice.counted_at = now.monotonic
        self._box.write(change)

    def _skip(self, item: Item, now: Now) -> None:
        self._waiting.pop(item.occurrence_id, None)
        reason = self._reasons.pop(item.occurrence_id, None) or self._absence(item, now)
        skipped = Skipped(
            seq=self._box.memory.last_seq + 1,
            occurrence_id=item.occurrence_id,
            at=self._box.clock.reading(now),
            reason=reason,
        )
        self._box.write(
            Change(records=[skipped], skipped={item.occurrence_id: latest_start(item)})
        )

    def _was_missed(self, occurrence_id: str, now: Now) -> bool:
        """Tell whether the item was skipped for good.

        A clock that was fast has let pass what is still to come; once it is set right, that counts
        as never skipped. Nothing of it has sounded.
        """
        passed = self._box.memory.skipped.get(occurrence_id)
        clock = self._box.clock
        return passed is not None and not (clock.confirmed and clock.time(now.monotonic) < passed)

    def _absence(self, item: Item, now: Now) -> SkipReason:
        """Reason why the item was not considered while it could have started."""
        clock = self._box.clock
        latest = latest_start(item)
        if latest < clock.booted_at(now.monotonic):
            return SkipReason.POWERED_OFF
        if clock.trusted_since is None or latest < clock.trusted_since:
            return SkipReason.CLOCK_UNTRUSTED
        return SkipReason.LATE

    def _next_decision(self, time: datetime, quiet: datetime | None) -> float:
        instants = [self._coming[-1].starts_at] if self._coming else []
        leads = (item.starts_at - LEAD for item in reversed(self._relays))
        instants += [lead for lead in leads if lead > time][:1]
        instants += [latest_start(item) + MOMENT for item in self._waiting.values()]
        for occurrence_id, progress in self._box.memory.started.items():
            if not progress.sounding:
                item = self.items[occurrence_id]
                instants.append(item.ends_by)
                if progress.restart:
                    instants.append(latest_start(item) + MOMENT)
        if quiet is not None and instants:
            instants.append(quiet)
        seconds = [self._box.clock.monotonic_at(min(instants))] if instants else []
        seconds.append(self._feeds.wake())
        if self.voice is not None:
            voice = self.voice
            seconds += [voice.ends_at, voice.until, voice.checkpoint_at]
        seconds.append(self._listening.wake())
        return min(seconds, default=inf)

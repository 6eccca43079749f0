"""The live sessions that a device follows, and the topics that it subscribes to for them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import inf

from broadcast.wire import WireError
from broadcast.wire.documents import LiveSession
from broadcast.wire.live import Packet, public_key, unseal
from broadcast.wire.topics import LIVE_SOUND
from device_sim.box import Box
from device_sim.effects import Subscribe, Unsubscribe
from device_sim.reception import Reception


class Listening:
    """What a device hears of live sessions."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self._receptions: dict[str, Reception] = {}
        self._connected = False

    def get(self, session_id: str) -> Reception | None:
        """What is heard of a session; None of one that is not followed."""
        return self._receptions.get(session_id)

    def filters(self) -> tuple[str, ...]:
        """Subscriptions in use."""
        return tuple(LIVE_SOUND.filter(session_id=each) for each in self._receptions)

    def connected(self) -> None:
        """The link is up; `filters` have just been subscribed."""
        self._connected = True

    def disconnected(self) -> None:
        """The link is down."""
        self._connected = False

    def follow(self, sessions: Mapping[str, LiveSession]) -> None:
        """Follow these sessions and no others."""
        codecs = self._box.identity.codecs
        wanted = {name: each for name, each in sessions.items() if each.codec in codecs}
        gone = tuple(
            LIVE_SOUND.filter(session_id=each) for each in self._receptions if each not in wanted
        )
        new = tuple(
            LIVE_SOUND.filter(session_id=each) for each in wanted if each not in self._receptions
        )
        for name, session in wanted.items():
            known = self._receptions.get(name)
            if known is None or (known.session.key, known.session.frame_ms) != (
                session.key,
                session.frame_ms,
            ):
                known = Reception(session)
            known.session = session
            self._receptions[name] = known
        self._receptions = {name: self._receptions[name] for name in wanted}
        if gone and self._connected:
            self._box.emit(Unsubscribe(gone))
        if new and self._connected:
            self._box.emit(Subscribe(new))

    def packet(self, topic: str, payload: bytes, at: float) -> Reception | None:
        """Take a packet; None where it is not one of a session that is followed.

        What is not signed by the session's key is thrown away without a word: forgeries come 25
        times a second, and a report of each would be the device's own flood.
        """
        levels = LIVE_SOUND.match(topic)
        reception = self._receptions.get(levels["session_id"]) if levels else None
        if reception is None:
            return None
        packet = _opened(payload, reception.session.session_id, reception.session.key)
        if packet is not None:
            reception.take(packet, at)
        return reception

    def proceed(self, at: float, sounding: str | None) -> None:
        """Time has passed; nothing is kept of sessions other than the one that sounds."""
        for name, reception in self._receptions.items():
            reception.proceed(at)
            if name != sounding:
                reception.skip(at)

    def wake(self) -> float:
        """Moment at which there is something to decide."""
        return min((each.wake() for each in self._receptions.values()), default=inf)


@lru_cache(maxsize=256)
def _opened(payload: bytes, session_id: str, key: str) -> Packet | None:
    """The packet in these bytes; verified once per process, since a fleet receives the same."""
    public = public_key(key)
    if public is None:
        return None
    try:
        return unseal(payload, session_id, public)
    except WireError:
        return None

"""What a broken or hostile device might say: valid messages of every kind, spoilt at random.

Seeded, so that a finding can be made again: `Hostile(seed)` says the same things every time.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from broadcast.telemetry.dead_letters import RejectReason
from broadcast.wire.codec import MAX_EVENT_BYTES
from broadcast.wire.events import EVENTS
from tests.ingest.inbox import PREFIX
from tests.wire.payloads import NAMES, payload, type_of

GOLDEN = [
    (kind, json.loads(payload(name)))
    for name in NAMES
    for kind, event in EVENTS.items()
    if type_of(name) is event
]
"""Kind → valid body: the golden payloads."""

NUMBERS: tuple[Any, ...] = (
    0, -1, 1, 2, 100, 101, 255, 2**31 - 1, 2**31, 2**32, 2**53 - 2, 2**53 - 1, 2**53, 2**60,
    2**63 - 1, 2**63, 2**64, -(2**31), -(2**53), -(2**63), 10**40, 0.5, -0.5,
    1e-300, 5e-324, 1e300, True, False,
)  # fmt: skip
TIMES = (
    "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "0001-01-02T00:00:00+23:59",
    "9999-12-31T23:59:59Z", "9999-12-30T23:59:59-23:59", "9999-12-31T00:00:00-12:00",
    "1969-12-31T23:59:59.999Z", "2016-12-31T23:59:60Z", "2025-02-29T00:00:00Z",
    "2025-07-01T00:00:00+23:59", "2025-07-01T00:00:00-23:59", "2025-07-01T00:00:00+07:00",
    "2025-07-01T00:00:00+16:00", "2025-07-01T24:00:00Z", "2025-07-01 00:00:00Z",
    "2025-07-01T00:00:00", "2025-07-01T00:00:00.123456789123Z", "2025-07-01", "now", "infinity",
    "-infinity", "4713-01-01T00:00:00Z BC", "2106-02-07T06:28:16Z", "2038-01-19T03:14:08Z",
)  # fmt: skip
TEXTS = (
    "", " ", "\0", "a\0b", "\\", "\\u0000", "'; DROP TABLE plays; --", "%s", "{}", "null", "NaN",
    "\u202e\u200b", "e\u0301" * 50, "😀" * 32, "x" * 64, "x" * 65, "x" * 500, "x" * 501,
    "\N{REPLACEMENT CHARACTER}", "\x7f\x01\x1b[31m", "ttn/v1/device/A/event/boot", "../../etc",
    "0F8A6C1E-3F0B-5D0E-9A57-6A4D3D1B2C01", "urn:uuid:0f8a6c1e-3f0b-5d0e-9a57-6a4d3d1b2c01",
    "{0f8a6c1e3f0b5d0e9a576a4d3d1b2c01}", "0f8a6c1e-3f0b-5d0e-9a57-6a4d3d1b2c01", "0" * 32,
)  # fmt: skip
TOPICS = (
    "", "/", "ttn", PREFIX, f"{PREFIX}/", f"{PREFIX}/device", f"{PREFIX}/device//event/boot",
    f"{PREFIX}/device/H-1/event", f"{PREFIX}/device/H-1/event/boot/more",
    f"{PREFIX}/device/H-1/state/config", f"{PREFIX}/device/H-1/command/reboot",
    f"{PREFIX}/area/51/state/programme", f"{PREFIX}/device/H 1/event/boot",
    f"{PREFIX}/device/H-1%/event/boot", f"{PREFIX}/device/{'x' * 65}/event/boot",
    f"{PREFIX}/device/H-1/event/{'x' * 65}", f"{PREFIX}/device/{'x' * 5000}/event/boot",
    f"other/{PREFIX}/device/H-1/event/boot", "ttn/v2/device/H-1/event/boot",
    f"{PREFIX.upper()}/device/H-1/event/boot", "device/H-1/event/boot", "$SYS/broker/uptime",
    f"{PREFIX}/device/\N{LATIN SMALL LETTER A WITH ACUTE}/event/boot",
    f"{PREFIX}/device/H-1\n/event/boot",
)  # fmt: skip


class Said(NamedTuple):
    """One message, and what must become of it where that is certain."""

    topic: str
    payload: bytes
    retain: bool
    why: RejectReason | None


class Hostile:
    """Says things for ever."""

    def __init__(self, seed: int, devices: Sequence[str], occurrences: Sequence[str]) -> None:
        """Make a source.

        Args:
            seed: Of everything that is said.
            devices: Enrolled devices that speak.
            occurrences: Ids of real occurrences, for records and readiness.
        """
        self._chance = random.Random(seed)
        self._devices = devices
        self._occurrences = occurrences
        self._ways: tuple[tuple[Callable[[], Said], int], ...] = (
            (self._spoilt_field, 40),
            (self._spoilt_bytes, 18),
            (self._plausible, 22),
            (self._at_the_limits, 3),
            (self._wrong_topic, 5),
            (self._wrong_kind, 3),
            (self._retained, 4),
            (self._unknown_device, 5),
        )

    def say(self, count: int) -> list[Said]:
        """The next messages."""
        ways, weights = zip(*self._ways, strict=True)
        return [way() for way in self._chance.choices(ways, weights, k=count)]

    # --- ways -----------------------------------------------------------------------------------

    def _spoilt_field(self) -> Said:
        kind, body = self._valid()
        for _ in range(self._chance.choice((1, 1, 1, 2, 5))):
            self._spoil(body)
        return self._said(kind, self._dump(body))

    def _spoilt_bytes(self) -> Said:
        kind, body = self._valid()
        return self._said(kind, self._spoil_bytes(self._dump(body)))

    def _spoil_bytes(self, raw: bytes) -> bytes:
        pick = self._chance.choice
        place = self._chance.randrange(len(raw))
        depth = pick((10, 900, 1500, 20_000))
        ways: tuple[Callable[[], bytes], ...] = (
            lambda: raw[:place],
            lambda: raw[:place] + self._chance.randbytes(1) + raw[place + 1 :],
            lambda: raw[:place] + pick((b"\xff", b"\xc0\xaf", b"\xed\xa0\x80")) + raw[place:],
            lambda: b"\xef\xbb\xbf" + raw,
            lambda: pick((b"", b"null", b"[]", b"0", b'"x"', b"{}", b"\0", b"NaN")),
            lambda: self._chance.randbytes(place + 1),
            lambda: raw + pick((b"}", b"{}", b"\0", b" garbage", b"\n\n")),
            lambda: raw[:-1] + b',"deep":' + b"[" * depth + pick((b"", b"]" * depth)) + b"}",
            lambda: raw[:-1] + b',"session":7,"sent_at":"2025-07-01T00:00:00Z"}',  # keys twice
            lambda: raw.replace(b"1", pick((b"NaN", b"Infinity", b"1e999", b"-0", b"01")), 1),
            lambda: raw.replace(b'"', pick((b'"\\ud800', b'"\\u0000', b'"\\udc00\\ud8', b"'")), 3),
            lambda: re.sub(rb'"(sent_at|at)": ?"....', rb'"\1":"\\u0030001', raw, count=1),
            lambda: b" " * pick((100, MAX_EVENT_BYTES, 300_000)) + raw,
        )  # fmt: skip
        return pick(ways)()

    def _plausible(self) -> Said:
        """Wholly valid, and meant badly."""
        kind, body = self._valid()
        if "session" in body:
            body["session"] = self._chance.choice(
                (1, 2, 131073, 2**53 - 1, self._chance.randrange(1, 2**53))
            )
        if kind == "heartbeat":
            body["seq"] = self._chance.choice((1, 2**53 - 1, self._chance.randrange(1, 1000)))
        if "held" in body:
            keys = [f"area/{n}/programme" for n in range(200)]
            body["held"] = {
                key: self._chance.choice((1, 2**53 - 1))
                for key in self._chance.sample(keys, self._chance.choice((0, 1, 5, 200)))
            }
        if kind == "playback":
            self._journal(body)
        if kind == "readiness":
            for item in body["items"]:
                item["occurrence_id"] = self._occurrence()
                item["bulletin_revision"] = self._chance.choice((1, 2, 2**31 - 1))
        if kind == "command_result":
            body["command_id"] = f"c{self._chance.randrange(50)}"
        if "sent_at" in body:
            body["sent_at"] = self._time()
        return self._said(kind, self._dump(body))

    def _journal(self, body: dict[str, Any]) -> None:
        body["journal_id"] = f"j{self._chance.choice((1, 1, 2, self._chance.randrange(10_000)))}"
        first = self._chance.choice((1, 1, 5, self._chance.randrange(1, 300), 2**53 - 6))
        for number, record in enumerate(body["records"]):
            record["seq"] = first + self._chance.choice((number, number, 0))
            record["occurrence_id"] = self._occurrence()
            record["at"] = self._time()
        body["oldest_seq"] = self._chance.choice((1, first, 2**53 - 1))

    def _at_the_limits(self) -> Said:
        """As much as the contract lets through, or a little more."""
        records = [
            {"event": "started", "seq": seq + 1, "occurrence_id": self._occurrence(),
             "at": self._time(), "volume": self._chance.choice((0, 100))}
            for seq in range(self._chance.choice((100, 100, 101, 0)))
        ]  # fmt: skip
        items = [
            {"occurrence_id": self._occurrence(), "bulletin_revision": 1, "state": "ready"}
            for _ in range(self._chance.choice((500, 501, 0)))
        ]
        held = {f"{'x' * 80}{n}": 2**53 - 1 - n for n in range(self._chance.choice((200, 201)))}
        now = self._time()
        kind, body = self._chance.choice((
            ("playback", {"sent_at": now, "journal_id": "big", "records": records}),
            ("readiness", {"sent_at": now, "items": items}),
            ("heartbeat", {"session": 9, "seq": self._chance.randrange(1, 99), "sent_at": now,
                           "clock": {"trusted": True}, "held": held}),
        ))  # fmt: skip
        return self._said(kind, self._dump(body))

    def _wrong_topic(self) -> Said:
        kind, body = self._valid()
        topic = self._chance.choice(TOPICS)
        if self._chance.random() < 0.1:
            topic = f"{PREFIX}/device/{self._chance.randrange(10**9)}/event/{kind}/x"
        return Said(topic, self._dump(body), self._chance.random() < 0.2, RejectReason.TOPIC)

    def _wrong_kind(self) -> Said:
        kind, body = self._valid()
        other = self._chance.choice(
            (kind.upper(), f"{kind}s", "x", "will", "journal_ack", "config")
        )
        return Said(self._topic(other), self._dump(body), False, RejectReason.KIND)

    def _retained(self) -> Said:
        kind, body = self._valid()
        return Said(self._topic(kind), self._dump(body), True, RejectReason.RETAINED)

    def _unknown_device(self) -> Said:
        kind, body = self._valid()
        code = self._chance.choice(("nobody", "H-1.", f"U-{self._chance.randrange(10**9)}"))
        topic = f"{PREFIX}/device/{code}/event/{kind}"
        return Said(topic, self._dump(body), False, RejectReason.UNKNOWN_DEVICE)

    # --- pieces ---------------------------------------------------------------------------------

    def _valid(self) -> tuple[str, dict[str, Any]]:
        kind, body = self._chance.choice(GOLDEN)
        return kind, _copy(body)

    def _topic(self, kind: str) -> str:
        return f"{PREFIX}/device/{self._chance.choice(self._devices)}/event/{kind}"

    def _said(self, kind: str, raw: bytes) -> Said:
        why = RejectReason.TOO_LARGE if len(raw) > MAX_EVENT_BYTES else None
        return Said(self._topic(kind), raw, False, why)

    def _occurrence(self) -> str:
        return str(self._chance.choice((*self._occurrences, *TEXTS[-5:], "alert-1")))

    def _time(self) -> str:
        return self._chance.choice(
            (*TIMES[2:3], *TIMES[9:13], *TIMES[-2:], "2025-07-01T01:00:01Z")
        )

    def _dump(self, body: Any) -> bytes:
        return json.dumps(body, ensure_ascii=self._chance.random() < 0.5).encode(
            "utf-8", "surrogatepass"
        )

    def _spoil(self, body: dict[str, Any]) -> None:
        holder: Any = body
        while holder:
            place = self._chance.choice(
                list(holder) if isinstance(holder, dict) else range(len(holder))
            )
            inner = holder[place]
            if not isinstance(inner, dict | list) or self._chance.random() < 0.3:
                break
            holder = inner
        else:
            return
        way = self._chance.randrange(8)
        if way == 0:
            del holder[place]
        elif way == 1 and isinstance(holder, dict):
            holder[self._text()] = self._anything()
        elif way == 2 and isinstance(inner, list):
            holder[place] = inner * self._chance.choice((0, 2, 60))
        else:
            holder[place] = self._other(inner)

    def _other(self, value: Any) -> Any:
        """A value of the same type, or of any."""
        if isinstance(value, bool) or self._chance.random() < 0.2:
            return self._anything()
        if isinstance(value, int | float):
            return self._chance.choice(NUMBERS)
        if isinstance(value, str) and value.startswith("20"):
            return self._chance.choice(TIMES)
        return self._text() if self._chance.random() < 0.7 else f"{value}{self._text()}"

    def _text(self) -> str:
        text = self._chance.choice((*TEXTS, "\ud800", "x\udfff", "y" * 10_000))
        return text if self._chance.random() < 0.999 else "z" * 1_000_000

    def _anything(self) -> Any:
        return self._chance.choice(
            (None, [], {}, [[]], {"": None}, *NUMBERS[:3], 2**63, "", self._text(),
             float("nan"), float("inf"), {"a": {"b": {"c": [1, {"d": []}]}}}, [None] * 1000)
        )  # fmt: skip


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_copy(inner) for inner in value]
    return value

"""Ten thousand altered, replayed, expired, wrong-area and wrong-key documents: none is obeyed.

Each is refused for the right reason, told to the server, and changes nothing on the flash, on the
loudspeaker or at the volume. What is right is said by this file, not by the player's own code.
"""

from __future__ import annotations

import base64
import json
import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

from broadcast.wire.commands import Identify, JournalAck, Reboot, Resend, SelfTest, SetVolume
from broadcast.wire.documents import Alerts, Config, Programme
from broadcast.wire.envelope import SigningKey
from broadcast.wire.topics import scope_topic
from device_sim.effects import Publish, Unsubscribe
from device_sim.harness import Device
from device_sim.journal import Memory
from tests.device_sim.province import (
    ALERT_KEY,
    KEYS,
    PROGRAMME_KEY,
    START,
    Province,
    alert,
    item,
)
from tests.examples import examples

COUNT = examples(10_000)

STRANGERS = [SigningKey.generate(use) for use in ("programme", "alert")]
RETIRED = SigningKey.generate("programme")
PINNED = {key.kid for key in KEYS}
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
DAY = timedelta(days=1)


class Forged(NamedTuple):
    """A document or command that must not be obeyed."""

    topic: str
    token: bytes
    reason: str | None
    """None: it is refused without a word, as the contract says."""


class Forger:
    """Makes what a hostile server, a hostile broker or a bad line might send."""

    def __init__(
        self, province: Province, obeyed: list[tuple[str, bytes]], in_force: bytes
    ) -> None:
        """Remember the commands that were obeyed once, and the document that is in force."""
        self.province = province
        self.random = random.Random(8)
        self.number = 10_000_000
        self.obeyed = obeyed
        self.in_force = in_force

    # What would be obeyed if it were genuine ----------------------------------------------------

    def _revision(self) -> int:
        self.number += 1
        return self.number

    def document(self, scope: str | None = None, **fields: Any) -> Any:
        """A document that would sound, or silence what sounds, at once."""
        scope = scope or self.random.choice(["area/51", "area/21172", "device/d1"])
        now = self.province.harness.now
        kind = self.random.choice(["programme", "alerts", "config"])
        base = {"revision": self._revision()} | fields
        name = f"evil-{self.number}"
        if kind == "programme" or (kind == "config" and not scope.startswith("device/")):
            return self.province.make(Programme, scope, items=[item(name, now)], **base)
        if kind == "alerts":
            return self.province.make(Alerts, scope, alerts=[alert(name, now)], **base)
        keys = [*KEYS, STRANGERS[0].public()]
        return self.province.make(
            Config, scope, areas=["99"], keys=keys, heartbeat_seconds=600, **base
        )

    def command(self, device_id: str = "d1", **fields: Any) -> tuple[str, Any]:
        """A command with its topic."""
        kind, more = self.random.choice([
            (SetVolume, {"volume": 100}), (Reboot, {}), (Identify, {}), (SelfTest, {}),
            (JournalAck, {"journal_id": "journal-d1", "upto_seq": 10**6}),
            (Resend, {"document": self.province.sign(self.document(), STRANGERS[0]).decode()}),
        ])  # fmt: skip
        base = {
            "command_id": f"evil-{self._revision()}",
            "scope": f"device/{device_id}",
            "not_after": self.province.harness.now + timedelta(minutes=5),
        }
        made = kind(**(base | more | fields))
        return f"device/{device_id}/command/{kind.__struct_config__.tag}", made

    def anything(self) -> tuple[str, Any]:
        if self.random.random() < 0.3:
            return self.command()
        document = self.document()
        return topic_of(document), document

    # What is wrong with it ----------------------------------------------------------------------

    def altered(self) -> Forged:
        """One place of a genuine one is changed, left out or put in, or its end is cut off."""
        topic, message = self.anything()
        token = self.province.sign(message).decode()
        while True:
            place = self.random.randrange(len(token))
            other = self.random.choice(ALPHABET + ".=+/ \n\x00é")
            changed = self.random.choice([
                token[:place] + other + token[place + 1 :], token[:place] + token[place + 1 :],
                token[:place] + other + token[place:], token[:place],
            ])  # fmt: skip
            if changed not in {token, ""}:
                return Forged(topic, changed.encode(), reason_of(changed))

    def resigned(self) -> Forged:
        """The payload of one, the signature of another, both genuine."""
        topic, one = self.anything()
        _, other = self.anything()
        key = ALERT_KEY if isinstance(one, Alerts) else PROGRAMME_KEY
        head, body, _ = self.province.sign(one, key).split(b".")
        signature = self.province.sign(other, key).rpartition(b".")[2]
        return Forged(topic, b".".join([head, body, signature]), "signature")

    def wrong_key(self) -> Forged:
        """Signed by a stranger, by a retired key, or by our key for other things."""
        topic, message = self.anything()
        ours_for_others = PROGRAMME_KEY if isinstance(message, Alerts) else ALERT_KEY
        key = self.random.choice([*STRANGERS, RETIRED, ours_for_others])
        return Forged(topic, self.province.sign(message, key), "key")

    def claimed_key(self) -> Forged:
        """Signed by a stranger who writes the name of our key into the header."""
        topic, message = self.anything()
        named = ALERT_KEY if isinstance(message, Alerts) else PROGRAMME_KEY
        head, body, signature = self.province.sign(message, STRANGERS[0]).split(b".")
        header = json.dumps({"alg": "Ed25519", "kid": named.kid}).encode()
        head = base64.urlsafe_b64encode(header).rstrip(b"=")
        return Forged(topic, b".".join([head, body, signature]), "signature")

    def wrong_area(self) -> Forged:
        """For an area or a device that is not this one's, under its own topic or under ours."""
        if self.random.random() < 0.3:
            topic, message = self.command("d2")
            ours = topic.replace("d2", "d1")
            return Forged(self.random.choice([topic, ours]), self.province.sign(message), "scope")
        document = self.document(scope=self.random.choice(["area/52", "area/21173", "device/d2"]))
        own = topic_of(document)
        ours = own.replace(document.scope, "area/51")
        return Forged(self.random.choice([own, ours]), self.province.sign(document), "scope")

    def wrong_topic(self) -> Forged:
        """For this device, under the topic of another kind."""
        topic, message = self.command()
        other = "volume" if not topic.endswith("/volume") else "reboot"
        wrong = f"device/d1/command/{other}"
        return Forged(wrong, self.province.sign(message), "scope")

    def expired(self) -> Forged:
        """Genuine, and its time is over."""
        over = self.province.harness.now - timedelta(seconds=self.random.uniform(1, 10**6))
        if self.random.random() < 0.3:
            while True:
                topic, message = self.command(not_after=over)
                if not isinstance(message, JournalAck | Resend):
                    return Forged(topic, self.province.sign(message), "expired")
        document = self.document(not_after=over, issued_at=over - DAY)
        return Forged(topic_of(document), self.province.sign(document), "expired")

    def replayed(self) -> Forged:
        """Genuine, in force once, and older than what is held; or obeyed already."""
        if self.random.random() < 0.3:
            topic, token = self.random.choice(self.obeyed)
            return Forged(topic, token, "replayed")
        document = self.document(scope="area/51", revision=1)
        return Forged(topic_of(document), self.province.sign(document), "revision")

    def held(self) -> Forged:
        """The very document that is in force."""
        return Forged("area/51/state/programme", self.in_force, None)


def topic_of(document: Any) -> str:
    return scope_topic(document.scope, type(document).__struct_config__.tag)


def reason_of(token: str) -> str:
    """The contract, section 4, by the letter: which step fails first for an altered token."""
    parts = token.split(".")
    if len(parts) != 3 or not all(map(canonical, parts)):
        return "signature"
    try:
        header = json.loads(base64.urlsafe_b64decode(parts[0] + "=" * (-len(parts[0]) % 4)))
    except ValueError:
        return "signature"
    if not isinstance(header, dict) or header.get("alg") != "Ed25519" or "crit" in header:
        return "signature"
    return "signature" if header.get("kid") in PINNED else "key"


def canonical(part: str) -> bool:
    if set(part) - set(ALPHABET) or len(part) % 4 == 1:
        return False
    decoded = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    return base64.urlsafe_b64encode(decoded).rstrip(b"=").decode() == part


def flash_of(device: Device) -> tuple[Any, ...]:
    memory = device.flash.load()
    names = [name for name in Memory.__slots__ if name not in {"bound", "lead_seconds"}]
    return tuple(getattr(memory, name) for name in names)


def test_none_of_ten_thousand_forged_documents_is_obeyed() -> None:
    province = Province()
    device = province.device(areas=("51", "21172"), watched=True)
    # What would be played is there, so that only the refusal keeps it from sounding.
    province.programme(item("genuine", START + 3 * DAY))
    province.alerts(alert("genuine-alert", START + 3 * DAY))
    obeyed = []
    for kind, fields in ((SetVolume, {"volume": 30}), (Identify, {}), (Reboot, {})):
        token = province.command(kind, **fields)
        obeyed.append((f"device/d1/command/{kind.__struct_config__.tag}", token))
        province.harness.advance(10)
    province.harness.advance(600)
    player = device.player
    assert player is not None
    assert player.trusted
    forger = Forger(province, obeyed, province._documents["area/51/programme"][1])
    kinds: list[Callable[[], Forged]] = [
        forger.altered, forger.altered, forger.altered, forger.resigned, forger.wrong_key,
        forger.claimed_key, forger.wrong_area, forger.wrong_topic, forger.expired,
        forger.replayed, forger.held,
    ]  # fmt: skip
    before = flash_of(device), dict(player.items), dict(player.held)
    reasons: Counter[str] = Counter()
    device.effects.clear()
    for number in range(COUNT):
        forged = kinds[number % len(kinds)]()
        player._reports._refused.clear()  # it tells the same once a minute; here each counts
        told = len(province.refusals())
        province.harness.deliver(device, forged.topic, forged.token)
        said = province.refusals()[told:]
        assert said == ([] if forged.reason is None else [forged.reason]), (number, forged)
        reasons[forged.reason or "in force"] += 1
        if number % 100 == 0:
            province.harness.advance(1)
    assert device.player is player, "it was not restarted"
    assert (flash_of(device), player.items, player.held) == before
    done = [each for each in device.effects if not isinstance(each, Publish)]
    assert {str(each) for each in done} == {
        str(Unsubscribe((f"area/{code}/state/+", f"area/{code}/live/+")))
        for code in ("52", "21173")
    }, "it did nothing but tell, and leave areas that are not its own"
    province.harness.advance(1_200)
    assert device.sounds == []
    assert province.journal() == []
    assert set(reasons) == {
        "signature", "key", "scope", "expired", "revision", "replayed", "in force",
    }  # fmt: skip
    assert sum(reasons.values()) == COUNT

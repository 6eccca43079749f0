"""The reference player lives by the golden payloads: page, bytes and player say the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from broadcast.wire.codec import decode
from broadcast.wire.documents import Config
from broadcast.wire.events import EVENTS, Playback, Refusal
from device_sim.box import Identity
from device_sim.effects import Publish, StartSound, StoreContent, Subscribe
from device_sim.journal import Memory
from device_sim.player import Player
from device_sim.timekeeping import Now
from tests.wire.payloads import NAMES, key, payload, signed, type_of

DEVICE = "device/QN-000417"
ISSUED_AT = datetime(2025, 11, 24, 12, 30, tzinfo=UTC)
TOPICS = {
    "config": f"{DEVICE}/state/config",
    "programme": "area/21034/state/programme",
    "programme-empty": "area/21034/state/programme",
    "alerts": "area/51/state/alerts",
    "alerts-none": "area/51/state/alerts",
    "live": "area/21034/live/sessions",
}


def at(instant: datetime) -> Now:
    return Now(instant, (instant - ISSUED_AT).total_seconds())


def player() -> Player:
    """The golden device, enrolled with the test keys, connected, its clock set by NTP."""
    keys = (key("programme").public(), key("alert").public())
    made = Player(Identity(device_id="QN-000417", keys=keys), Memory("j"), at(ISSUED_AT))
    for step in (made.power_on, made.connected, made.synchronised):
        step(at(ISSUED_AT))
    return made


def said(effects: list[Any], kind: str) -> list[Any]:
    topic = f"{DEVICE}/event/{kind}"
    return [
        decode(effect.payload, EVENTS[kind])
        for effect in effects
        if isinstance(effect, Publish) and effect.topic == topic
    ]


def test_it_accepts_every_golden_document_and_holds_the_newest() -> None:
    device = player()
    for name in ("config", "programme", "programme-empty"):
        assert said(device.received(TOPICS[name], signed(name), at(ISSUED_AT)), "refusal") == []
    assert device.held == {
        f"{DEVICE}/config": 1763900000000,
        "area/21034/programme": 1764000000000,
    }
    (refusal,) = said(
        device.received(TOPICS["programme"], signed("programme"), at(ISSUED_AT)), "refusal"
    )
    assert isinstance(refusal, Refusal)
    assert refusal.reason == "revision"


def test_the_config_makes_it_follow_its_areas() -> None:
    effects = player().received(TOPICS["config"], signed("config"), at(ISSUED_AT))
    filters = {f for e in effects if isinstance(e, Subscribe) for f in e.filters}
    areas = decode(payload("config"), Config).areas
    assert {f"area/{code}/state/+" for code in areas} <= filters


def test_an_alert_with_its_audio_sounds_at_once_and_is_reported() -> None:
    device = player()
    device.received(TOPICS["config"], signed("config"), at(ISSUED_AT))
    raised = ISSUED_AT + timedelta(minutes=31)
    effects = device.received(TOPICS["alerts"], signed("alerts"), at(raised))
    (alert,) = json.loads(payload("alerts"))["alerts"]
    stored = [e.sha256 for e in effects if isinstance(e, StoreContent)]
    assert stored == [alert["audio"][0]["sha256"]]
    (sound,) = [e for e in effects if isinstance(e, StartSound)]
    assert (sound.occurrence_id, sound.volume) == (alert["alert_id"], alert["volume"])
    # Within three seconds, at a hashed moment, so that a province does not report at once.
    (report,) = said(device.tick(at(raised + timedelta(seconds=3))), "playback")
    assert isinstance(report, Playback)
    assert {record.occurrence_id for record in report.records} == {alert["alert_id"]}


COMMANDS = [name for name in NAMES if name.startswith("command-")]


@pytest.mark.parametrize("name", COMMANDS)
def test_it_obeys_what_is_obeyed_once_in_time_and_the_rest_at_any_time(name: str) -> None:
    device = player()
    device.received(TOPICS["config"], signed("config"), at(ISSUED_AT))
    topic = f"{DEVICE}/command/{type_of(name).__struct_config__.tag}"
    not_after = datetime(2025, 11, 24, 22, 40, tzinfo=UTC)
    effects = device.received(topic, signed(name), at(not_after))
    assert said(effects, "refusal") == []
    late = at(not_after + timedelta(seconds=1))
    once = name.removeprefix("command-") in {"volume", "reboot", "identify", "self_test"}
    # What was obeyed is `replayed`, also when it is too late by now.
    refusals = said(device.received(topic, signed(name), late), "refusal")
    assert [refusal.reason for refusal in refusals] == ["replayed"] * once
    device = player()
    device.received(TOPICS["config"], signed("config"), at(ISSUED_AT))
    refusals = said(device.received(topic, signed(name), late), "refusal")
    assert [refusal.reason for refusal in refusals] == ["expired"] * once


@pytest.mark.parametrize("name", sorted(TOPICS))
def test_it_takes_no_document_with_a_changed_byte(name: str) -> None:
    device = player()
    if name != "config":
        device.received(TOPICS["config"], signed("config"), at(ISSUED_AT))
    token = bytearray(signed(name))
    token[len(token) // 2] ^= 1
    held = dict(device.held)
    effects = device.received(TOPICS[name], bytes(token), at(ISSUED_AT))
    assert [r.reason for r in said(effects, "refusal")] == ["signature"]
    assert device.held == held

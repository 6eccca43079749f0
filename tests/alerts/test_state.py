"""States and steps of an alert, and documents in any order at the reference player."""

from __future__ import annotations

import doctest
import itertools
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from broadcast.alerts import state
from broadcast.alerts.state import (
    PROPOSAL_VALID,
    TRANSITIONS,
    AlertState,
    AlertStep,
    allowed,
    follow,
    state_at,
)
from broadcast.kit.errors import Conflict
from broadcast.programmes import compile as rule
from broadcast.programmes.compile import Carried
from broadcast.wire.documents import Alerts, Audio, Config
from broadcast.wire.fields import AlertMode, BulletinClass, OnPreempt
from device_sim.box import Identity
from device_sim.effects import StartSound
from device_sim.journal import Memory
from device_sim.player import Player
from device_sim.timekeeping import Now
from tests.examples import examples
from tests.wire.payloads import key

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
DEVICE = "device/D-1"
SCOPES = ("area/51", "area/21001")
SOUNDS = {AlertMode.ACTUAL: b"siren and words", AlertMode.EXERCISE: b"this is a drill, words"}


def test_every_step_from_every_state_leads_somewhere_or_says_what_does() -> None:
    for before, step in itertools.product(AlertState, AlertStep):
        if (before, step) in TRANSITIONS:
            assert follow(before, step) is TRANSITIONS[before, step]
            continue
        with pytest.raises(Conflict) as refused:
            follow(before, step)
        assert refused.value.extra["allowed"] == [each.value for each in allowed(before)]


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(state).failed == 0


def test_nothing_leads_back_to_sounding() -> None:
    over = {AlertState.UPDATED, AlertState.ALL_CLEAR, AlertState.CANCELLED, AlertState.EXPIRED}
    reached = {TRANSITIONS[key] for key in TRANSITIONS if key[0] in over}
    assert reached <= over


@given(
    stored=st.sampled_from(
        [each for each in AlertState if each.value not in {"active", "expired"}]
    ),
    ages=st.tuples(*[st.none() | st.integers(-7200, 7200)] * 3),
)
def test_time_alone_only_begins_and_ends(
    stored: AlertState, ages: tuple[int | None, int | None, int | None]
) -> None:
    moments = [None if age is None else NOW - timedelta(seconds=age) for age in ages]
    found = state_at(stored, NOW, proposed_at=moments[0], starts_at=moments[1], ends_by=moments[2])
    assert found in {stored, AlertState.ACTIVE, AlertState.EXPIRED}
    if found is AlertState.ACTIVE:
        assert stored is AlertState.AUTHORISED
    if stored is AlertState.PROPOSED and moments[0] is not None:
        assert (found is AlertState.EXPIRED) == (moments[0] + PROPOSAL_VALID <= NOW)


# --- server and reference player back to back ----------------------------------------------------


def alert(number: int) -> Carried:
    mode = list(SOUNDS)[number % 2]
    sound = SOUNDS[mode]
    return Carried(
        occurrence_id=f"00000000-0000-4000-8000-{number:012}",
        bulletin_id="b",
        bulletin_revision=1,
        title=f"alert {number}",
        class_=BulletinClass.EMERGENCY,
        priority=255 - number,
        on_preempt=OnPreempt.RESUME,
        volume=None,
        starts_at=NOW,
        late_limit_seconds=3600,
        ends_by=NOW + timedelta(hours=1),
        audio=(Audio(sha256(sound).hexdigest(), len(sound), 5.0, "opus"),),
        alert_mode=mode,
    )


INLINE = {sha256(sound).hexdigest(): sound for sound in SOUNDS.values()}


class Server:
    """What is authorised and not cancelled, and every document that was ever signed of it."""

    def __init__(self) -> None:
        self.active: set[int] = set()
        self.cancelled: set[int] = set()
        self.sent: list[tuple[str, bytes]] = []
        self.newest: dict[str, bytes] = {}
        self._revisions = dict.fromkeys(SCOPES, 0)

    def change(self, number: int, *, cancel: bool, at: datetime) -> None:
        """Authorise or cancel an alert; what was cancelled never comes again."""
        if cancel:
            self.active.discard(number)
            self.cancelled.add(number)
        elif number not in self.cancelled:
            self.active.add(number)
        for scope in SCOPES:
            due = rule.alerts([alert(each) for each in sorted(self.active)], INLINE, at)
            document = Alerts(scope=scope, revision=1, issued_at=at, not_after=at, alerts=due)
            revision = self._revisions[scope] = rule.next_revision(self._revisions[scope], at)
            token = key("alert").sign(rule.issued(document, revision, at))
            self.newest[scope] = token
            self.sent.append((f"{scope}/state/alerts", token))


def player() -> Player:
    keys = [key("programme").public(), key("alert").public()]
    made = Player(Identity(device_id="D-1", keys=tuple(keys)), Memory("j"), at(0))
    for step in (made.power_on, made.connected, made.synchronised):
        step(at(0))
    areas = [scope.removeprefix("area/") for scope in SCOPES]
    config = Config(
        scope=DEVICE, revision=1, issued_at=NOW, not_after=NOW + timedelta(days=9), areas=areas,
        keys=keys,
    )  # fmt: skip
    made.received(f"{DEVICE}/state/config", key("programme").sign(config), at(0))
    return made


def at(seconds: float) -> Now:
    return Now(NOW + timedelta(seconds=seconds), seconds)


@given(
    changes=st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=8),
    deliveries=st.lists(st.integers(0, 99), max_size=20),
)
@example(changes=[(1, False), (0, False), (0, True), (1, True)], deliveries=[2, 1])
@settings(max_examples=examples(150))
def test_documents_in_any_order_end_in_what_the_server_says(
    changes: list[tuple[int, bool]], deliveries: list[int]
) -> None:
    server, device = Server(), player()
    for second, (number, cancel) in enumerate(changes):
        server.change(number, cancel=cancel, at=NOW + timedelta(seconds=second))
    seconds = float(len(changes))
    started = []
    for index in deliveries:
        topic, token = server.sent[index % len(server.sent)]
        started += device.received(topic, token, at(seconds))
    for scope, token in server.newest.items():
        started += device.received(f"{scope}/state/alerts", token, at(seconds))
    last = []
    for _ in range(40):
        seconds += 1
        last += device.tick(at(seconds))
    names = {alert(number).occurrence_id for number in server.active}
    held = {name for name in device.items if name.startswith("00000000-")}
    assert held == names
    assert device.sounding is None or device.sounding in names
    begun = {effect.occurrence_id for effect in last if isinstance(effect, StartSound)}
    assert begun <= names
    modes = {alert(number).occurrence_id: alert(number).alert_mode for number in range(5)}
    for effect in [*started, *last]:
        if isinstance(effect, StartSound):
            mode = modes[effect.occurrence_id]
            assert mode is not None
            assert effect.sha256 == sha256(SOUNDS[mode]).hexdigest()

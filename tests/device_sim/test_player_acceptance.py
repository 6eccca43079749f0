"""What a device takes from the wire, what it refuses, and what it says about that."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from broadcast.wire.codec import decode
from broadcast.wire.commands import (
    Identify,
    JournalAck,
    Reboot,
    Resend,
    SelfTest,
    SetVolume,
    TimeReply,
)
from broadcast.wire.documents import Alerts, Programme, QuietHours
from broadcast.wire.envelope import SigningKey
from broadcast.wire.events import (
    Boot,
    CommandResult,
    Fault,
    Gone,
    Heartbeat,
    Playback,
    Readiness,
    Refusal,
    TimeRequest,
)
from device_sim import effects
from device_sim.harness import Device
from device_sim.journal import Memory
from tests.device_sim.province import (
    ALERT_KEY,
    KEYS,
    START,
    Province,
    alert,
    at,
    audio,
    item,
)
from tests.device_sim.province import (
    told as record_told,
)

STRANGER = SigningKey.generate("programme")
RENEWED = SigningKey.generate("programme")


def flash_of(device: Device) -> tuple[Any, ...]:
    """Everything on flash that a bad message must not change."""
    memory = device.flash.load()
    names = [name for name in Memory.__slots__ if name != "bound"]
    return tuple(getattr(memory, name) for name in names)


def programme(province: Province, **changes: Any) -> Programme:
    fields = {"scope": "area/51", "items": [item("evil", at(5))]} | changes
    made: Programme = province.make(Programme, fields.pop("scope"), **fields)
    return made


FORGERIES = [
    ("signature", lambda p: p.sign(programme(p), ALERT_KEY)[:-8] + b"AAAAAAAA"),
    ("key", lambda p: p.sign(programme(p), STRANGER)),
    ("key", lambda p: p.sign(programme(p), ALERT_KEY)),
    ("scope", lambda p: p.sign(programme(p, scope="area/52"))),
    ("scope", lambda p: p.sign(p.make(Alerts, "area/51", alerts=[]))),
    ("expired", lambda p: p.sign(programme(p, not_after=at(-1)))),
    ("revision", lambda p: p.sign(programme(p, revision=1))),
    ("signature", lambda _: b"nonsense"),
    ("signature", lambda _: b"a.b.c"),
    ("malformed", lambda p: p.sign(programme(p, revision=-1))),
]


@pytest.mark.parametrize(("reason", "forge"), FORGERIES, ids=lambda value: str(value)[:12])
def test_a_bad_document_changes_nothing_and_is_reported(reason: str, forge: Any) -> None:
    province = Province()
    device = province.device()
    province.programme(item("a", at(30)))
    province.harness.advance(60)
    assert device.player
    before = flash_of(device), dict(device.player.items), dict(device.player.held)
    province.harness.deliver(device, "area/51/state/programme", forge(province))
    assert (flash_of(device), device.player.items, device.player.held) == before
    assert province.refusals() == [reason]
    province.harness.advance(600)
    assert not device.sounds


def test_a_document_for_another_device_is_refused() -> None:
    province = Province()
    device = province.device()
    token = province.sign(programme(province, scope="device/d2"))
    province.harness.deliver(device, "device/d2/state/programme", token)
    assert province.refusals() == ["scope"]


def test_the_same_document_again_is_no_refusal() -> None:
    province = Province()
    device = province.device()
    province.programme(item("a", at(5)))
    province.harness.redeliver(device)
    province.harness.redeliver(device)
    assert not province.refusals()


def test_a_flood_of_forgeries_is_reported_once_a_minute() -> None:
    province = Province()
    device = province.device()
    token = province.sign(programme(province), STRANGER)
    for _ in range(120):
        province.harness.deliver(device, "area/51/state/programme", token)
        province.harness.advance(1)
    assert 2 <= len(province.refusals()) <= 3


def test_an_emptied_topic_takes_no_item_away() -> None:
    province = Province()
    device = province.device()
    province.programme(item("a", at(5)))
    province.harness.publish("area/51/state/programme", b"", retain=True)
    province.harness.advance(600)
    assert [sound.occurrence_id for sound in device.sounds] == ["a"]


def test_a_config_without_a_programme_key_would_lock_the_device_out_and_is_refused() -> None:
    province = Province()
    province.device()
    province.config("d1", keys=[KEYS[1]])
    assert province.refusals() == ["malformed"]


def test_keys_are_rotated_by_config_and_the_old_key_loses_its_voice() -> None:
    province = Province()
    device = province.device()
    province.programme(item("old", at(30)))
    province.config("d1", keys=[RENEWED.public(), KEYS[1]])
    assert device.player
    assert not device.player.items
    token = province.sign(programme(province))
    province.harness.deliver(device, "area/51/state/programme", token)
    assert province.refusals() == ["key"]
    province.publish(programme(province, items=[item("new", at(30))]), RENEWED)
    assert set(device.player.items) == {"new"}
    province.harness.power_cut(device, 2)
    province.harness.advance(10)
    assert set(device.player.items) == {"new"}


def test_a_device_follows_what_its_config_says() -> None:
    province = Province()
    device = province.device(areas=("51", "21550"))
    assert {"area/51/state/+", "area/21550/state/+"} <= device.filters
    province.config("d1", ("51",))
    assert "area/21550/state/+" not in device.filters
    province.programme(item("a", at(5)), scope="area/21550")
    assert device.player
    assert not device.player.items


def test_where_documents_differ_the_highest_revision_speaks() -> None:
    province = Province()
    device = province.device(areas=("51", "21550"))
    newer = province.make(Programme, "area/21550", items=[item("a", at(9))], revision=900)
    older = province.make(Programme, "area/51", items=[item("a", at(5))], revision=800)
    for document in (newer, older):
        province.publish(document)
    assert device.player
    assert device.player.items["a"].starts_at == at(9)


def test_resend_takes_the_same_way_as_the_retained_document() -> None:
    province = Province()
    device = province.device()
    province.harness.delays = lambda _, topic, __: [] if "state/programme" in topic else [0]
    province.programme(item("a", at(30)))
    assert device.player
    assert not device.player.items
    token = province.sign(programme(province, items=[item("a", at(30))])).decode()
    province.command(Resend, document=token)
    assert set(device.player.items) == {"a"}
    forged = province.sign(programme(province), STRANGER).decode()
    province.command(Resend, document=forged)
    assert province.refusals() == ["key"]


def test_audio_that_came_with_an_alert_and_is_not_what_it_claims_is_fetched_instead() -> None:
    province = Province()
    device = province.device(watched=True)
    raised = alert("x", at(0), audio=[audio("notice", 20)], inline=b"something else")
    province.publish(province.make(Alerts, "area/51", alerts=[raised]))
    assert province.refusals() == ["malformed"]
    assert not device.files
    province.content(raised.audio[0])
    province.harness.advance(120)
    assert [sound.occurrence_id for sound in device.sounds] == ["x"]


# Commands ---------------------------------------------------------------------------------------


def test_a_repeated_command_is_obeyed_once() -> None:
    province = Province()
    device = province.device(watched=True)
    token = province.command(Identify)
    province.harness.deliver(device, "device/d1/command/identify", token)
    assert device.effects.count(effects.Identify()) == 1
    assert province.refusals() == ["replayed"]


def test_a_repeated_command_is_not_obeyed_after_a_power_cut_either() -> None:
    province = Province()
    device = province.device(watched=True)
    token = province.command(SetVolume, volume=20)
    province.command(SetVolume, volume=50)
    province.harness.power_cut(device, 2)
    province.harness.advance(10)
    province.harness.deliver(device, "device/d1/command/volume", token)
    assert device.flash.load().volume == 50


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("expired", {"not_after": START - timedelta(seconds=1)}),
        ("scope", {"scope": "device/d2"}),
    ],
)
def test_a_command_that_is_late_or_foreign_is_refused(reason: str, changes: Any) -> None:
    province = Province()
    device = province.device()
    fields = {"command_id": "x", "scope": "device/d1", "not_after": at(5), "volume": 3}
    token = province.sign(SetVolume(**(fields | changes)))
    province.harness.deliver(device, "device/d1/command/volume", token)
    assert province.refusals() == [reason]
    assert [refusal.command_id for refusal in province.of(Refusal)] == ["x"]
    assert device.flash.load().volume is None


def test_a_command_under_another_kind_of_topic_is_refused() -> None:
    province = Province()
    device = province.device()
    fields = {"command_id": "x", "scope": "device/d1", "not_after": at(5)}
    token = province.sign(Reboot(**fields))
    province.harness.deliver(device, "device/d1/command/identify", token)
    assert province.refusals() == ["scope"]


def test_an_alert_key_cannot_command() -> None:
    province = Province()
    device = province.device()
    command = SetVolume(command_id="x", scope="device/d1", not_after=at(5), volume=0)
    token = province.sign(command, ALERT_KEY)
    province.harness.deliver(device, "device/d1/command/volume", token)
    assert province.refusals() == ["key"]


def test_a_commanded_volume_holds_for_items_until_the_next_config_and_never_for_alerts() -> None:
    province = Province()
    device = province.device(watched=True)
    province.programme(item("a", at(5), volume=90), item("b", at(20)))
    province.harness.advance(301)
    province.command(SetVolume, volume=20)
    assert effects.SetVolume(20) in device.effects
    province.alerts(alert("x", at(5, 10)))
    province.harness.advance(600)
    province.config("d1")
    province.harness.advance(600)
    volumes = [e.volume for e in device.effects if isinstance(e, effects.StartSound)]
    assert volumes == [90, 100, 20, 70]


@pytest.mark.parametrize("by", ["config", "command"])
def test_a_muted_device_sounds_an_alert_at_its_own_volume_and_stays_muted(by: str) -> None:
    province = Province()
    device = province.device(watched=True)
    if by == "config":
        province.config("d1", volume=0, alert_volume=90)
    else:
        province.config("d1", alert_volume=90)
        province.command(SetVolume, volume=0)
    province.programme(item("a", at(5), volume=None), item("b", at(20)))
    province.harness.advance(310)
    province.alerts(alert("x", at(5, 10)))
    province.harness.advance(1500)
    volumes = [e.volume for e in device.effects if isinstance(e, effects.StartSound)]
    assert volumes == [0, 90, 0, 0]


def test_a_reboot_waits_for_the_sound_to_end() -> None:
    province = Province()
    device = province.device()
    province.programme(item("a", at(5)), item("b", at(6, 30)))
    province.harness.advance(330)
    province.command(Reboot)
    province.harness.advance(600)
    assert [r.reason for r in province.of(Boot)] == ["power_on", "reset"]
    assert province.journal() == [
        ("started", "a"),
        ("ended", "a", "completed"),
        ("started", "b"),
        ("ended", "b", "completed"),
    ]
    assert len(device.sounds) == 2


def test_a_self_test_is_answered() -> None:
    province = Province()
    device = province.device(watched=True)
    province.command(SelfTest)
    assert device.effects.count(effects.TestTone()) == 1
    assert [result.result for result in province.of(CommandResult)] == ["done"]


@pytest.mark.parametrize(
    ("seconds", "hears"),
    [
        (30 * 60 - 11, True),
        (30 * 60 - 9, False),
        (30 * 60, False),
        (60 * 60 - 1, False),
        (60 * 60, True),
    ],
)
@pytest.mark.parametrize(
    ("kind", "sound"), [(SelfTest, effects.TestTone()), (Identify, effects.Identify())]
)
def test_no_command_sounds_in_quiet_hours(
    kind: Any, sound: Any, seconds: float, hears: bool
) -> None:
    province = Province()
    device = province.device(watched=True, quiet_hours=[QuietHours(from_="08:30", until="09:00")])
    province.harness.advance(seconds)
    province.command(kind)
    assert device.effects.count(sound) == hears
    (result,) = province.of(CommandResult)
    if hears:
        assert result.result == "done"
    else:
        assert (result.result, result.detail, result.heard) == ("refused", "quiet_hours", None)


def test_a_command_that_was_refused_in_quiet_hours_is_not_obeyed_after_them() -> None:
    province = Province()
    device = province.device(watched=True, quiet_hours=[QuietHours(from_="07:00", until="08:02")])
    token = province.command(SelfTest)
    province.harness.advance(180)
    province.harness.deliver(device, "device/d1/command/self_test", token)
    assert effects.TestTone() not in device.effects
    assert province.refusals() == ["replayed"]


def test_no_command_sounds_while_the_hour_is_not_known() -> None:
    province = Province()
    province.answers_time = False
    device = province.device(watched=True, ntp=False)
    province.command(SelfTest)
    assert effects.TestTone() not in device.effects
    assert [(r.result, r.detail) for r in province.of(CommandResult)] == [
        ("refused", "clock_untrusted")
    ]


def test_other_commands_are_obeyed_in_quiet_hours() -> None:
    province = Province()
    device = province.device(quiet_hours=[QuietHours(from_="08:00", until="09:00")])
    province.command(SetVolume, volume=20)
    assert device.flash.load().volume == 20
    assert [result.result for result in province.of(CommandResult)] == ["done"]


def test_a_confirmation_for_another_journal_frees_nothing() -> None:
    province = Province()
    province.confirms = False
    device = province.device()
    province.programme(item("a", at(5)))
    province.harness.advance(600)
    province.command(JournalAck, journal_id="other", upto_seq=99)
    assert len(device.flash.load().records) == 2


def test_an_unconfirmed_journal_is_sent_again_ever_more_rarely() -> None:
    province = Province()
    province.confirms = False
    province.device()
    province.programme(item("a", at(5)))
    province.harness.advance(3 * 3600)
    sent = len(province.of(Playback))
    assert 15 < sent < 30
    province.confirms = True
    province.harness.advance(1200)
    assert len(province.of(Playback)) == sent + 1


def test_a_confirmation_taken_up_after_the_link_has_broken_wakes_nobody_for_nothing() -> None:
    # Found by `make chaos`: the repetition that it set off waited for a link, at a moment that had
    # passed, and the box did nothing else any more.
    province = Province()
    province.confirms = False
    device = province.device()
    province.programme(item("a", at(5)), item("b", at(20)))
    province.harness.advance(3000)
    late = province.command(
        JournalAck, "nobody", scope="device/d1", journal_id="journal-d1", upto_seq=1
    )
    province.harness.disconnect(device)
    assert device.player is not None
    topic = "device/d1/command/journal_ack"
    device.player.received(topic, late, province.harness.look(device))
    province.harness.advance(100)
    now = province.harness.look(device)
    device.player.tick(now)
    wake = device.player.next_wakeup()
    assert wake is None or wake > now.monotonic


@pytest.mark.parametrize(("seconds", "again"), [(60, True), (180, False)])
def test_what_was_interrupted_before_anybody_heard_it_begins_anew_in_time_or_never(
    seconds: int, again: bool
) -> None:
    # Found by `make chaos`: it went on at 0.3 ms, long after its latest start.
    province = Province()
    device = province.device()
    soon = timedelta(milliseconds=50)
    louder = item("b", at(5) + soon, priority=200, audio=[audio("music", seconds)])
    province.programme(item("a", at(5)), louder)
    province.harness.advance(1200)
    begun = [sound for sound in device.sounds if sound.occurrence_id == "a"]
    assert [sound.offset for sound in begun] == [0.0] * (1 + again)
    late = begun[-1].started_at - at(5)
    assert late.total_seconds() == pytest.approx(seconds + 0.05 if again else 0, abs=0.01)
    assert province.journal().count(("ended", "a", "completed")) == again


def test_a_time_reply_that_nobody_awaits_sets_no_clock() -> None:
    province = Province()
    province.answers_time = False
    device = province.device(ntp=False)
    province.command(TimeReply, token="guess", server_at=at(999))
    assert device.player
    assert not device.player.trusted


# What is told -----------------------------------------------------------------------------------


def test_every_connection_has_a_higher_session_than_the_one_before() -> None:
    province = Province()
    device = province.device()
    for _ in range(3):
        province.harness.disconnect(device, 5)
        province.harness.advance(60)
    province.harness.power_cut(device, 5)
    province.harness.advance(60)
    boots = province.of(Boot)
    assert [b.reason for b in boots] == ["power_on", *["reconnect"] * 3, "power_on"]
    sessions = [b.session for b in boots]
    assert sessions == sorted(set(sessions))


def test_the_will_carries_the_session_of_the_connection_it_is_made_for() -> None:
    province = Province()
    device = province.device()
    assert device.player
    province.harness.disconnect(device)
    will = device.player.will()
    assert will.topic == "device/d1/event/gone"
    province.harness.connect(device)
    assert decode(will.payload, Gone).session == province.of(Boot)[-1].session


def test_heartbeats_come_at_their_interval_within_a_tenth_and_count_up() -> None:
    province = Province()
    province.heals = False
    device = province.device(heartbeat_seconds=100, watched=True)
    heard: list[tuple[float, int]] = []
    for _ in range(3600):
        province.harness.advance(1)
        beats = [e for e in device.effects if getattr(e, "topic", "").endswith("heartbeat")]
        heard += [(province.harness.elapsed, decode(b.payload, Heartbeat).seq) for b in beats]
        device.effects.clear()
    gaps = [later - earlier for (earlier, _), (later, _) in pairwise(heard)]
    assert [seq for _, seq in heard] == list(range(1, len(heard) + 1))
    assert all(89 <= gap <= 111 for gap in gaps)
    assert len(set(gaps)) > 3


def test_a_shorter_interval_holds_at_once_and_another_config_changes_no_heartbeat() -> None:
    province = Province()
    province.heals = False
    device = province.device(heartbeat_seconds=3000, watched=True)
    province.harness.advance(4000)
    device.effects.clear()
    # Found by `make chaos`: the server called devices silent that knew nothing of its haste yet.
    province.config("d1", heartbeat_seconds=100)
    province.harness.advance(101)
    beats = [e for e in device.effects if getattr(e, "topic", "").endswith("heartbeat")]
    assert len(beats) in {1, 2}
    device.effects.clear()
    for _ in range(40):
        province.config("d1", heartbeat_seconds=100)
        province.harness.advance(10)
    beats = [e for e in device.effects if getattr(e, "topic", "").endswith("heartbeat")]
    assert 3 <= len(beats) <= 5


def test_a_heartbeat_tells_the_revisions_held() -> None:
    province = Province()
    device = province.device(watched=True)
    document = province.programme(item("a", at(5)))
    province.harness.advance(1300)
    beat = [e for e in device.effects if getattr(e, "topic", "").endswith("heartbeat")][-1]
    assert decode(beat.payload, Heartbeat).held["area/51/programme"] == document.revision


def test_readiness_is_told_when_the_audio_is_there() -> None:
    province = Province()
    province.device()
    wanted = item("a", at(30))
    province.publish(province.make(Programme, "area/51", items=[wanted]))
    province.harness.advance(10)
    assert province.readiness() == {"a": "waiting"}
    province.content(wanted.audio[0])
    province.harness.advance(10)
    assert province.readiness() == {"a": "ready"}
    assert len(province.of(Readiness)) == 2


def test_corrupt_audio_is_a_fault_until_it_has_been_fetched_again() -> None:
    province = Province()
    device = province.device()
    wanted = audio("music", 60, size=70_000)
    document = province.make(Programme, "area/51", items=[item("a", at(30), audio=[wanted])])
    province.content(wanted, corrupt=2)
    province.publish(document)
    province.harness.advance(5)
    assert province.readiness() == {"a": "bad_audio"}
    assert not device.files
    province.content(wanted)
    province.harness.advance(120)
    assert province.readiness() == {"a": "ready"}
    told = [(fault.kind, fault.open) for fault in province.of(Fault)]
    assert told == [("bad_content", True), ("bad_content", False)]
    province.harness.advance(3600)
    assert [sound.occurrence_id for sound in device.sounds] == ["a"]


def test_blocks_that_were_lost_are_asked_for_again() -> None:
    province = Province()
    lose = {"1"}
    province.harness.delays = lambda _, topic, __: (
        [] if topic.startswith("content/") and topic[-1] in lose else [0]
    )
    device = province.device()
    province.programme(item("a", at(30), audio=[audio("music", size=70_000)]))
    province.harness.advance(10)
    assert not device.files
    lose.clear()
    province.harness.advance(120)
    assert len(device.files) == 1


def test_content_is_followed_only_while_it_is_fetched() -> None:
    province = Province()
    device = province.device()
    province.programme(item("a", at(30)), item("b", at(40), audio=[audio("music")]))
    assert len(device.files) == 2
    assert not [f for f in device.filters if f.startswith("content/")]


def test_a_clock_nobody_helps_is_a_fault_until_it_is_set() -> None:
    province = Province()
    province.answers_time = False
    province.device(ntp=False)
    province.harness.advance(300)
    province.answers_time = True
    province.harness.advance(600)
    told = [(fault.kind, fault.open) for fault in province.of(Fault)]
    assert told == [("clock_untrusted", True), ("clock_untrusted", False)]
    assert len(province.of(TimeRequest)) < 10


def test_a_stepped_clock_neither_moves_a_start_nor_loses_trust() -> None:
    province = Province()
    device = province.device()
    province.programme(item("a", at(30)))
    province.harness.advance(600)
    device.skew = timedelta(hours=2)
    province.harness.advance(3600)
    assert [
        (s.occurrence_id, round((s.started_at - at(30)).total_seconds())) for s in device.sounds
    ] == [("a", 0)]


def test_a_late_answer_does_not_pass_for_that_to_a_later_question() -> None:
    answers: list[bytes] = []

    def delays(_device: Device, topic: str, payload: bytes) -> list[float]:
        """The first answer comes, later ones are lost."""
        if not topic.endswith("/time_reply"):
            return [0]
        answers.append(payload)
        return [0] if len(answers) == 1 else []

    province = Province(delays=delays)
    device = province.device(ntp=False)
    province.programme(item("a", at(30)))
    province.harness.advance(5)
    device.skew -= timedelta(minutes=29)
    while len(answers) < 2:
        province.harness.advance(1)
    assert device.player is not None
    topic = "device/d1/command/time_reply"
    device.player.received(topic, answers[0], province.harness.look(device))
    province.harness.advance(3600)
    (sound,) = device.sounds
    assert abs(sound.started_at - at(30)) < timedelta(seconds=1)


def test_a_battery_clock_is_trusted_after_a_power_cut_without_any_link() -> None:
    province = Province()
    device = province.device(ntp=False, battery_clock=True, skew=timedelta(minutes=-37))
    province.programme(item("a", at(30)))
    province.harness.advance(60)
    province.harness.disconnect(device)
    province.harness.power_cut(device, 60)
    province.harness.advance(3600)
    assert [s.occurrence_id for s in device.sounds] == ["a"]
    assert abs(device.sounds[0].started_at - at(30)) < timedelta(seconds=1)


def test_without_a_battery_nothing_starts_until_the_time_is_known_again() -> None:
    province = Province()
    device = province.device(ntp=False)
    province.programme(item("a", at(30)))
    province.harness.advance(60)
    province.harness.disconnect(device)
    province.harness.power_cut(device, 60)
    province.harness.advance(3600)
    assert not device.sounds


def test_a_full_journal_starts_no_item_but_still_sounds_alerts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("device_sim.journal.JOURNAL_LIMIT", 4)
    province = Province()
    province.confirms = False
    device = province.device()
    province.programme(*(item(f"i{n}", at(5 + 5 * n)) for n in range(4)))
    province.harness.advance(3600)
    province.alerts(alert("x", at(61)))
    province.harness.advance(600)
    assert [s.occurrence_id for s in device.sounds] == ["i0", "i1", "x"]
    told = [(fault.kind, fault.open) for fault in province.of(Fault)]
    assert told == [("storage_error", True)]
    journal = [record_told(record) for record in device.flash.load().records]
    assert journal[4:6] == [("skipped", "i2", "storage_full"), ("skipped", "i3", "storage_full")]
    assert journal[6:] == [("started", "x"), ("ended", "x", "completed")]

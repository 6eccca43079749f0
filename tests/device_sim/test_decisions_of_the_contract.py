"""What `docs/wire.md` decides where a maker could have guessed either way."""

from __future__ import annotations

from typing import Any

import pytest

from broadcast.wire.commands import Reboot, SetVolume
from broadcast.wire.events import Boot, CommandResult, Ended, Readiness
from device_sim.effects import StopSound, Unsubscribe
from device_sim.journal import Change
from tests.device_sim.province import Province, alert, at, audio, item


def test_what_sounds_goes_on_when_its_document_expires() -> None:
    province = Province()
    device = province.device()
    province.programme(item("a", at(5), audio=[audio("news", 300)]), not_after=at(6))
    province.harness.advance(900)
    assert province.journal() == [("started", "a"), ("ended", "a", "completed")]
    assert device.sounds[0].heard == (0, 300)


def test_an_alert_that_sounds_goes_on_when_its_document_expires() -> None:
    province = Province()
    device = province.device()
    province.alerts(alert("siren", at(5), audio=[audio("siren", 240)]), not_after=at(6))
    province.harness.advance(900)
    assert province.journal() == [("started", "siren"), ("ended", "siren", "completed")]
    assert device.sounds[0].heard == (0, 240)


def test_what_an_expired_document_names_does_not_begin_and_is_told() -> None:
    province = Province()
    province.device()
    province.alerts(alert("siren", at(10), ends_by=at(12)), not_after=at(6))
    province.programme(item("a", at(20)), not_after=at(6))
    province.harness.advance(3600)
    assert province.journal() == [("skipped", "siren", "late"), ("skipped", "a", "late")]


def test_a_missed_alert_is_told_like_a_missed_item() -> None:
    province = Province()
    device = province.device()
    province.alerts(alert("siren", at(5), ends_by=at(8)))
    province.harness.advance(60)
    province.harness.power_cut(device, 600)
    province.harness.advance(1200)
    assert province.journal() == [("skipped", "siren", "powered_off")]


def test_what_sounds_keeps_its_audio_when_the_document_names_another() -> None:
    province = Province()
    device = province.device(storage_bytes=45_000)
    province.programme(item("a", at(5), audio=[audio("news", 300)]))
    province.harness.advance(360)
    province.programme(
        item("a", at(5), bulletin_revision=2, audio=[audio("music", 200)]),
        item("b", at(60), audio=[audio("notice", 10)]),
    )
    province.harness.advance(600)
    (sound,) = device.sounds
    assert (sound.sha256, sound.heard) == (audio("news").sha256, (0, 300))
    assert province.journal() == [("started", "a"), ("ended", "a", "completed")]


def test_interrupted_it_is_over_when_its_audio_is_another_by_then() -> None:
    province = Province()
    province.device()
    province.programme(item("a", at(5), audio=[audio("news", 300)]))
    province.harness.advance(360)
    province.programme(item("a", at(5), bulletin_revision=2, audio=[audio("music", 200)]))
    province.alerts(alert("siren", at(6), audio=[audio("siren", 10)]))
    province.harness.advance(900)
    assert [each for each in province.journal() if each[1] == "a"] == [
        ("started", "a"), ("ended", "a", "preempted"),
    ]  # fmt: skip


@pytest.mark.parametrize("away", [1.0, 60.0])
def test_after_a_power_cut_five_seconds_of_audio_are_left_out_however_long_it_lasted(
    away: float,
) -> None:
    province = Province()
    device = province.device()
    province.programme(item("a", at(5), audio=[audio("news", 120)]))
    province.harness.advance(300 + 31)
    province.harness.power_cut(device, away)
    province.harness.advance(600)
    first, second = device.sounds
    assert first.offset == 0
    assert second.offset == 35.0


def test_what_sounds_again_after_a_restart_counts_once() -> None:
    province = Province()
    province.device()
    province.programme(
        item("a", at(5), on_preempt="restart", late_limit_seconds=600, audio=[audio("news", 100)])
    )
    province.alerts(alert("siren", at(6), audio=[audio("siren", 10)]))
    province.harness.advance(1200)
    ends = [r for r in province.records["d1"].values() if isinstance(r, Ended)]
    assert [(end.occurrence_id, end.played_seconds) for end in ends] == [
        ("a", 60), ("siren", 10), ("a", 100),
    ]  # fmt: skip


def test_a_command_that_was_obeyed_is_replayed_also_when_it_has_expired() -> None:
    province = Province()
    device = province.device()
    token = province.command(SetVolume, volume=30)
    province.harness.advance(600)
    province.harness.deliver(device, "device/d1/command/volume", token)
    assert province.refusals() == ["replayed"]


def test_a_reboot_is_answered_before_it_happens() -> None:
    province = Province()
    device = province.device()
    province.programme(item("a", at(5), audio=[audio("news", 60)]))
    province.harness.advance(310)
    province.command(Reboot)
    (result,) = province.of(CommandResult)
    assert (result.result, len(province.of(Boot))) == ("done", 1)
    assert device.sounding is not None, "it waits for the sound to end"
    province.harness.advance(120)
    assert [boot.reason for boot in province.of(Boot)] == ["power_on", "reset"]
    assert len(province.of(CommandResult)) == 1


def test_an_area_that_was_dropped_while_the_power_went_is_left_when_it_speaks() -> None:
    province = Province()
    device = province.device(areas=("51", "52"), watched=True)
    province.config("d1", ("51",))
    assert any(isinstance(e, Unsubscribe) and "area/52/state/+" in e.filters
               for e in device.effects)  # fmt: skip
    # The broker remembers a subscription that a power cut kept us from ending.
    device.effects.clear()
    token = province.sign(province.make(type(province.programme()), "area/52", items=[]))
    province.harness.deliver(device, "area/52/state/programme", token)
    assert province.refusals() == ["scope"]
    assert [e.filters for e in device.effects if isinstance(e, Unsubscribe)] == [
        ("area/52/state/+", "area/52/live/+")
    ]


FUTURE: list[tuple[dict[str, Any], list[tuple[str, ...]]]] = [
    ({"class_": "urgent"}, [("started", "a"), ("ended", "a", "completed")]),
    ({"on_preempt": "fade"}, [("started", "a"), ("ended", "a", "completed")]),
    ({"audio": [audio("music", codec="aac"), audio("news")]},  # type: ignore[arg-type]
     [("started", "a"), ("ended", "a", "completed")]),
    ({"audio": [audio("news", codec="aac")]}, [("skipped", "a", "no_codec")]),  # type: ignore[arg-type]
]  # fmt: skip


@pytest.mark.parametrize(("changes", "outcome"), FUTURE)
def test_what_a_device_does_not_know_yet_breaks_no_programme(
    changes: dict[str, Any], outcome: list[tuple[str, ...]]
) -> None:
    province = Province()
    province.device()
    province.programme(item("a", at(5), **changes), item("b", at(20)))
    province.harness.advance(3600)
    assert province.refusals() == []
    assert [each for each in province.journal() if each[1] == "a"] == outcome
    assert ("ended", "b", "completed") in province.journal()
    if outcome[0][0] == "skipped":
        assert any(i.state == "no_codec" for m in province.of(Readiness) for i in m.items)


def test_an_alert_of_an_unknown_mode_sounds() -> None:
    province = Province()
    province.device()
    province.alerts(alert("siren", at(5), mode="draft"))
    province.harness.advance(900)
    assert province.journal() == [("started", "siren"), ("ended", "siren", "completed")]


def test_an_unknown_rule_of_pre_emption_repeats_nothing() -> None:
    province = Province()
    device = province.device(watched=True)
    province.programme(item("a", at(5), on_preempt="fade", audio=[audio("news", 100)]))
    province.alerts(alert("siren", at(6), audio=[audio("siren", 10)]))
    province.harness.advance(1200)
    assert [(s.occurrence_id, s.offset) for s in device.sounds] == [
        ("a", 0), ("siren", 0), ("a", 60),
    ]  # fmt: skip
    assert any(isinstance(effect, StopSound) for effect in device.effects)


def test_a_box_that_lost_its_flash_begins_its_sessions_anew() -> None:
    """Lower numbers than before: the server believes them once the old ones have been silent."""
    province = Province()
    device = province.device()
    for _ in range(3):
        province.harness.power_cut(device, 5)
        province.harness.advance(60)
    before = province.of(Boot)[-1].session
    device.flash = type(device.flash)("journal-anew")
    device.flash.write(Change(boots=0))
    province.harness.power_cut(device, 5)
    province.harness.advance(60)
    last = province.of(Boot)[-1]
    assert last.session < before
    assert last.journal_id == "journal-anew"

"""Edge cases that the domain asks for, which server rules and a simulated player show in memory.

The whole list, with the tests of the other cases, is docs/cases.md.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from broadcast.plays.settle import PlayState, Settlement
from broadcast.wire.commands import SetVolume
from broadcast.wire.documents import Alerts, QuietHours
from broadcast.wire.events import Skipped
from device_sim.player import RECONNECT_SECONDS, reconnect_seconds
from tests.device_sim.province import START, Province, alert, at, item
from tests.scenarios.server import Play, Schedule
from tests.scenarios.test_back_to_back import COMMUNE, Plan, World

MINUTE = 60
HOUR = 3600

NEWS = Schedule("news", COMMUNE, START + timedelta(hours=2), seconds=300, late_limit_seconds=120)


def settled(world: World) -> dict[Play, Settlement]:
    """Let the day pass and heal; what the ledger says of the news."""
    world.live()
    return world.server.ledger()


def of(ledger: dict[Play, Settlement], device: str) -> tuple[PlayState, str]:
    (found,) = (each for (_, name), each in ledger.items() if name == device)
    return found.state, found.reason


def test_case_04_who_comes_back_20_minutes_after_the_slot_does_not_start_late() -> None:
    world = World(Plan([]))
    gone = world.devices[0]
    world.harness.disconnect(gone)
    world.harness.advance(HOUR)
    world.server.plan(NEWS)
    world.harness.at(HOUR + 20 * MINUTE, lambda: world.harness.connect(gone))
    ledger = settled(world)
    assert gone.sounds == []
    assert of(ledger, "d0")[0] is PlayState.MISSED
    assert of(ledger, "d1") == (PlayState.PLAYED, "")


@pytest.mark.parametrize("during", ["bulletin", "quiet hours", "muted"])
def test_case_05_an_emergency_passes_what_plays_quiet_hours_and_a_muted_cluster(
    during: str,
) -> None:
    province = Province()
    quiet = [QuietHours(from_="00:00", until="23:59")] if during == "quiet hours" else []
    device = province.device(quiet_hours=quiet)
    province.programme(item("news", at(1)))
    province.harness.advance(10)
    if during == "muted":
        province.command(SetVolume, volume=0)
    province.harness.advance(80)
    province.alerts(alert("siren", at(1.5)))
    province.harness.advance(60)
    heard = [each for each in device.sounds if each.occurrence_id == "siren"]
    assert len(heard) == 1
    if during == "bulletin":
        assert province.journal()[1] == ("ended", "news", "preempted")


def test_case_06_a_cancel_that_arrives_before_the_alert_keeps_it_silent() -> None:
    province = Province()
    device = province.device()
    province.harness.advance(10)
    warning = province.make(Alerts, "area/51", alerts=[alert("siren", at(1))])
    cancel = province.make(Alerts, "area/51", alerts=[])
    for document in (cancel, warning):
        token = province.sign(document)
        province.harness.deliver(device, "area/51/state/alerts", token)
    province.harness.advance(20 * MINUTE)
    assert device.sounds == []
    assert province.refusals() == ["revision"]


@pytest.mark.parametrize(
    ("away", "state"), [(30, (PlayState.PLAYED, "")), (HOUR, (PlayState.PARTIAL, "power_cut"))]
)
def test_case_07_after_a_power_cut_it_goes_on_if_it_may(
    away: int, state: tuple[PlayState, str]
) -> None:
    world = World(Plan([NEWS]))
    cut = world.devices[0]
    world.harness.at(2 * HOUR + 60.5, lambda: world.harness.power_cut(cut, away))
    ledger = settled(world)
    first, *rest = cut.sounds
    assert len(rest) == (1 if state[0] is PlayState.PLAYED else 0)
    if rest:
        assert first.heard[1] <= rest[0].offset <= first.heard[1] + 10, "nothing is heard twice"
    assert of(ledger, "d0") == state


def test_case_08_a_clock_8_hours_wrong_plays_alerts_only_until_the_server_says_the_time() -> None:
    province = Province()
    province.answers_time = False
    device = province.device(ntp=False, skew=timedelta(hours=-8))
    province.programme(item("news", at(10), late_limit_seconds=60), item("later", at(60)))
    province.alerts(alert("siren", at(5)))
    province.harness.advance(30 * MINUTE)
    assert [each.occurrence_id for each in device.sounds] == ["siren"]
    province.answers_time = True
    province.harness.advance(HOUR)
    assert [each.occurrence_id for each in device.sounds] == ["siren", "later"]
    (news,) = (r for r in province.records["d1"].values() if isinstance(r, Skipped))
    assert (news.occurrence_id, news.reason) == ("news", "clock_untrusted")


def test_case_19_a_bulletin_that_is_withdrawn_after_prefetch_is_silent() -> None:
    province = Province()
    device = province.device()
    province.programme(item("news", at(10)))
    province.harness.advance(MINUTE)
    assert province.readiness() == {"news": "ready"}
    assert len(device.files) == 1
    withdrawn = province.programme()
    province.harness.advance(HOUR)
    assert device.sounds == []
    assert device.player is not None
    assert device.player.held["area/51/programme"] == withdrawn.revision, "the proof"


def test_case_22_three_thousand_come_back_over_ten_seconds_and_never_in_step() -> None:
    firsts = [reconnect_seconds(f"QN-{number:06}", 1) for number in range(3000)]
    by_second = Counter(int(each) for each in firsts)
    assert max(firsts) <= RECONNECT_SECONDS
    assert max(by_second.values()) < 3000 / RECONNECT_SECONDS * 1.25
    again = [reconnect_seconds(f"QN-{number:06}", 2) for number in range(3000)]
    assert firsts != again


def test_the_leader_is_gone_half_a_second_before_a_start_and_it_sounds_once_on_time() -> None:
    world = World(Plan([NEWS]))
    world.harness.at(2 * HOUR - 0.5, world.server.go_away)
    world.harness.at(2 * HOUR + 1.5, world.server.come_back)
    ledger = settled(world)
    for name, device in world.harness.devices.items():
        (sound,) = device.sounds
        assert abs(sound.started_at - NEWS.starts_at) <= timedelta(seconds=2)
        assert of(ledger, name) == (PlayState.PLAYED, "")

"""The rules of a player, one scenario each: given, what happens when, what the journal says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from broadcast.wire.documents import Alerts, QuietHours, Stream
from broadcast.wire.fields import Codec, OnPreempt
from device_sim.harness import Device
from tests.device_sim.province import Province, alert, at, audio, audio_bytes, item, told

Step = Callable[[Province, Any], Any]

UNTRUSTED = {"ntp": False}
NIGHT = {"quiet_hours": [QuietHours(from_="08:30", until="09:00")]}
"""START is 08:00 local time, so these begin at minute 30 and end at minute 60."""


def programme(*items: Any, **changes: Any) -> Step:
    return lambda province, _: province.programme(*items, **changes)


def alerts(*raised: Any, **changes: Any) -> Step:
    return lambda province, _: province.alerts(*raised, **changes)


def cut(seconds: float) -> Step:
    return lambda province, device: province.harness.power_cut(device, seconds)


def unlink(province: Province, device: Device) -> None:
    province.harness.disconnect(device)


def link(province: Province, device: Device) -> None:
    province.harness.connect(device)


def no_clock(province: Province, _: Device) -> None:
    province.answers_time = False


def sync(province: Province, device: Device) -> None:
    assert device.player
    harness = province.harness
    harness._do(device, device.player.synchronised(harness.look(device)))


def alert_with_audio(province: Province, _: Device) -> None:
    raised = alert("x", at(5), audio=[audio("notice")], inline=audio_bytes("notice"))
    province.publish(province.make(Alerts, "area/51", alerts=[raised]))


@dataclass
class Scenario:
    name: str
    steps: list[tuple[float, Step]]
    journal: list[tuple[str, ...]]
    sounds: list[tuple[str, float, float]] | None = None
    """Occurrence, minute of true time at which it began, seconds it sounded."""
    device: dict[str, Any] = field(default_factory=dict)
    minutes: float = 120
    before: Step | None = None


def played(occurrence_id: str) -> list[tuple[str, ...]]:
    return [("started", occurrence_id), ("ended", occurrence_id, "completed")]


LONG = {"audio": [audio("music", 300)], "ends_by": at(30)}
URGENT = {"priority": 90}
RESTART = {"on_preempt": OnPreempt.RESTART}
DROP = {"on_preempt": OnPreempt.DROP}
STREAM = Stream(url="http://127.0.0.1/voh")
FALLBACK = Stream(url="http://127.0.0.1/voh", fallback=[audio("notice", 20)])

SCENARIOS = [
    Scenario(
        "an item plays at its time",
        [(0, programme(item("a", at(5))))],
        played("a"),
        [("a", 5, 60)],
    ),
    Scenario(
        "an item that was moved plays at the new time only",
        [(0, programme(item("a", at(5)))), (3, programme(item("a", at(50))))],
        played("a"),
        [("a", 50, 60)],
    ),
    Scenario(
        "an item that was moved after it played stays silent",
        [(0, programme(item("a", at(5)))), (10, programme(item("a", at(50))))],
        played("a"),
        [("a", 5, 60)],
    ),
    Scenario(
        "an item withdrawn before its time leaves no trace",
        [(0, programme(item("a", at(5)))), (3, programme())],
        [],
    ),
    Scenario(
        "an item withdrawn while it plays stops",
        [(0, programme(item("a", at(5)))), (5.5, programme())],
        [("started", "a"), ("ended", "a", "withdrawn")],
        [("a", 5, 30)],
    ),
    Scenario(
        "an item that arrives within its late limit starts late",
        [(6, programme(item("a", at(5))))],
        played("a"),
        [("a", 6, 60)],
    ),
    Scenario(
        "an item that arrives after its late limit is skipped",
        [(8, programme(item("a", at(5))))],
        [("skipped", "a", "late")],
    ),
    Scenario(
        "a late limit of zero allows a start on time",
        [(0, programme(item("a", at(5), late_limit_seconds=0)))],
        played("a"),
    ),
    Scenario(
        "sound stops at ends_by whatever remains",
        [(0, programme(item("a", at(5), ends_by=at(5, 20))))],
        [("started", "a"), ("ended", "a", "ends_by")],
        [("a", 5, 20)],
    ),
    Scenario(
        "a higher priority interrupts, and the lower goes on where it was",
        [(0, programme(item("a", at(5), **LONG), item("b", at(6), **URGENT)))],
        [
            ("started", "a"),
            ("ended", "a", "preempted"),
            *played("b"),
            ("started", "a"),
            ("ended", "a", "completed"),
        ],
        [("a", 5, 60), ("b", 6, 60), ("a", 7, 240)],
    ),
    Scenario(
        "an interrupted item that restarts begins again",
        [(0, programme(item("a", at(5), **(LONG | RESTART)), item("b", at(5.5), **URGENT)))],
        [
            ("started", "a"),
            ("ended", "a", "preempted"),
            *played("b"),
            ("started", "a"),
            ("ended", "a", "completed"),
        ],
        [("a", 5, 30), ("b", 5.5, 60), ("a", 6.5, 300)],
    ),
    Scenario(
        "a restart after the late limit is none",
        [(0, programme(item("a", at(5), **(LONG | RESTART)), item("b", at(6.5), **URGENT)))],
        [("started", "a"), ("ended", "a", "preempted"), *played("b")],
    ),
    Scenario(
        "an item of which nothing was heard may begin within its late limit only",
        [
            (0, programme(item("a", at(5), late_limit_seconds=10))),
            (5, alerts(alert("x", at(5)))),
        ],
        [("started", "a"), ("ended", "a", "preempted"), *played("x")],
    ),
    Scenario(
        "an interrupted item that drops stays away",
        [(0, programme(item("a", at(5), **(LONG | DROP)), item("b", at(6), **URGENT)))],
        [("started", "a"), ("ended", "a", "preempted"), *played("b")],
    ),
    Scenario(
        "an equal priority waits and starts within its late limit",
        [(0, programme(item("a", at(5)), item("b", at(5.5))))],
        [*played("a"), *played("b")],
        [("a", 5, 60), ("b", 6, 60)],
    ),
    Scenario(
        "an equal priority that waits too long is skipped",
        [(0, programme(item("a", at(5), **LONG), item("b", at(6))))],
        [("started", "a"), ("skipped", "b", "preempted"), ("ended", "a", "completed")],
    ),
    Scenario(
        "of two that wait, the higher priority comes first",
        [
            (
                0,
                programme(
                    item("a", at(5)),
                    item("b", at(5.1), priority=40, late_limit_seconds=300),
                    item("c", at(5.2), priority=50),
                ),
            )
        ],
        [*played("a"), *played("c"), *played("b")],
    ),
    Scenario(
        "of two that wait with equal priority, the earlier plan comes first",
        [(0, programme(item("a", at(5)), item("z", at(5.1)), item("b", at(5.2))))],
        [*played("a"), *played("z"), *played("b")],
    ),
    Scenario(
        "no item sounds in quiet hours",
        [(0, programme(item("a", at(40))))],
        [("skipped", "a", "quiet_hours")],
        device=NIGHT,
    ),
    Scenario(
        "an item that waits for the end of quiet hours starts then",
        [(0, programme(item("a", at(59))))],
        played("a"),
        [("a", 60, 60)],
        device=NIGHT,
    ),
    Scenario(
        "quiet hours end a sound that began before them",
        [(0, programme(item("a", at(29.5))))],
        [("started", "a"), ("ended", "a", "ends_by")],
        [("a", 29.5, 30)],
        device=NIGHT,
    ),
    Scenario(
        "an alert sounds in quiet hours",
        [(40, alerts(alert("x", at(40))))],
        played("x"),
        device=NIGHT,
    ),
    Scenario(
        "an alert interrupts within a second and the item goes on",
        [(0, programme(item("a", at(5)))), (5.5, alerts(alert("x", at(5.5))))],
        [
            ("started", "a"),
            ("ended", "a", "preempted"),
            *played("x"),
            ("started", "a"),
            ("ended", "a", "completed"),
        ],
        [("a", 5, 30), ("x", 5.5, 30), ("a", 6, 30)],
    ),
    Scenario(
        "an alert that is cleared stops",
        [(5, alerts(alert("x", at(5)))), (5.25, alerts())],
        [("started", "x"), ("ended", "x", "withdrawn")],
        [("x", 5, 15)],
    ),
    Scenario(
        "an update takes the place of an alert while it sounds, and it never comes back",
        [
            (5, alerts(alert("x", at(5)))),
            (5.25, alerts(alert("y", at(5.25)))),
            (5.5, alerts(alert("x", at(5)), alert("y", at(5.25)))),
        ],
        [("started", "x"), ("ended", "x", "withdrawn"), *played("y")],
        [("x", 5, 15), ("y", 5.25, 30)],
    ),
    Scenario(
        "a higher alert interrupts another, which goes on after it",
        [
            (5, alerts(alert("x", at(5), priority=240))),
            (5.25, alerts(alert("x", at(5), priority=240), alert("y", at(5.25), priority=255))),
        ],
        [
            ("started", "x"),
            ("ended", "x", "preempted"),
            *played("y"),
            ("started", "x"),
            ("ended", "x", "completed"),
        ],
        [("x", 5, 15), ("y", 5.25, 30), ("x", 5.75, 15)],
    ),
    Scenario(
        "an alert interrupts a stream that is relayed, which is joined again after it",
        [
            (0, programme(item("a", at(5), audio=[], stream=STREAM, ends_by=at(7)))),
            (5.5, alerts(alert("x", at(5.5)))),
        ],
        [
            ("started", "a"),
            ("ended", "a", "preempted"),
            *played("x"),
            ("started", "a"),
            ("ended", "a", "ends_by"),
        ],
    ),
    Scenario(
        "an alert sounds once however often it is published",
        [(5, alerts(alert("x", at(5)))), (7, alerts(alert("x", at(5)))), (8, cut(5))],
        played("x"),
    ),
    Scenario(
        "an alert may bring its own audio",
        [(5, alert_with_audio)],
        played("x"),
    ),
    Scenario("nothing is told when nothing was planned", [], []),
    Scenario(
        "an untrusted clock starts no item",
        [(0, no_clock), (0, programme(item("a", at(5)))), (60, sync)],
        [("skipped", "a", "clock_untrusted")],
        device=UNTRUSTED,
        before=no_clock,
    ),
    Scenario(
        "an untrusted clock does not silence an alert",
        [(5, alerts(alert("x", at(5))))],
        played("x"),
        device=UNTRUSTED | {"skew": timedelta(days=-2000)},
        before=no_clock,
    ),
    Scenario(
        "a clock that is hours wrong is set by the server",
        [(0, programme(item("a", at(5))))],
        played("a"),
        [("a", 5, 60)],
        device=UNTRUSTED | {"skew": timedelta(hours=-31)},
    ),
    Scenario(
        "an item whose window passed without power is accounted for",
        [(0, programme(item("a", at(5)))), (3, cut(1200))],
        [("skipped", "a", "powered_off")],
    ),
    Scenario(
        "a power cut resumes behind the last checkpoint",
        [(0, programme(item("a", at(5), **LONG))), (6.05, cut(57))],
        [
            ("started", "a"),
            ("ended", "a", "power_cut"),
            ("started", "a"),
            ("ended", "a", "completed"),
        ],
        [("a", 5, 63), ("a", 7, 235)],
    ),
    Scenario(
        "a power cut past ends_by ends it",
        [(0, programme(item("a", at(5)))), (5.5, cut(1200))],
        [("started", "a"), ("ended", "a", "power_cut")],
    ),
    Scenario(
        "a device plays on without its server",
        [
            (0, programme(item("a", at(5)), item("b", at(15)), item("c", at(70)))),
            (2, unlink),
            (60, link),
        ],
        [*played("a"), *played("b"), *played("c")],
    ),
    Scenario(
        "an item of a lapsed programme does not play",
        [(0, programme(item("a", at(5)), item("b", at(15)), not_after=at(10)))],
        [*played("a"), ("skipped", "b", "late")],
    ),
    Scenario(
        "an item without audio is skipped for that",
        [(0, programme(item("a", at(5), audio=[])))],
        [("skipped", "a", "no_audio")],
    ),
    Scenario(
        "an item in an unknown codec is skipped for that",
        [(0, programme(item("a", at(5), audio=[audio("news", codec=Codec.MP3)])))],
        [("skipped", "a", "no_codec")],
        device={"codecs": (Codec.OPUS,)},
    ),
    Scenario(
        "the first known codec is played",
        [
            (
                0,
                programme(
                    item("a", at(5), audio=[audio("news", codec=Codec.MP3), audio("notice", 20)])
                ),
            )
        ],
        played("a"),
        [("a", 5, 20)],
        device={"codecs": (Codec.OPUS,)},
    ),
    Scenario(
        "audio that does not fit is a reason of its own",
        [(0, programme(item("a", at(5)), item("b", at(15), audio=[audio("music", size=70_000)])))],
        [*played("a"), ("skipped", "b", "storage_full")],
        device={"storage_bytes": 50_000},
    ),
    Scenario(
        "room is made by what is no longer needed",
        [
            (0, programme(item("a", at(5), audio=[audio("news", size=40_000)]))),
            (20, programme(item("b", at(30), audio=[audio("music", size=40_000)]))),
        ],
        [*played("a"), *played("b")],
        device={"storage_bytes": 50_000},
    ),
    Scenario(
        "a stream plays until ends_by",
        [(0, programme(item("a", at(5), audio=[], stream=STREAM)))],
        [("started", "a"), ("ended", "a", "ends_by")],
        [("a", 5, 600)],
    ),
    Scenario(
        "a stream that cannot be had gives way to its fallback",
        [
            (0, lambda p, _: p.content(audio("notice", 20))),
            (0, programme(item("a", at(5), audio=[], stream=FALLBACK))),
        ],
        [("started", "a"), ("ended", "a", "ends_by")],
        [("a", 5, 20)],
        device={"streams": ()},
    ),
    Scenario(
        "a stream without a fallback that cannot be had is skipped",
        [(0, programme(item("a", at(5), audio=[], stream=STREAM)))],
        [("skipped", "a", "no_audio")],
        device={"streams": ()},
    ),
    Scenario(
        "an area that is followed no longer is silent",
        [(0, programme(item("a", at(5)))), (3, lambda p, d: p.config("d1", ("52",)))],
        [],
    ),
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_player_does_what_the_scenario_says(scenario: Scenario) -> None:
    province = Province()
    if scenario.before:
        scenario.before(province, None)
    device = province.device(**scenario.device)
    for minute, step in scenario.steps:
        province.harness.advance(minute * 60 - province.harness.elapsed)
        step(province, device)
    province.harness.advance(scenario.minutes * 60 - province.harness.elapsed)
    assert province.journal() == scenario.journal
    if scenario.sounds is not None:
        assert [
            (
                sound.occurrence_id,
                round((sound.started_at - at(0)).total_seconds() / 60, 2),
                round((sound.ended_at - sound.started_at).total_seconds(), 1),
            )
            for sound in device.sounds
            if sound.ended_at
        ] == [(name, round(minute, 2), seconds) for name, minute, seconds in scenario.sounds]


def test_every_record_stays_until_the_server_has_confirmed_it() -> None:
    province = Province()
    province.confirms = False
    device = province.device()
    province.programme(item("a", at(5)))
    province.harness.advance(600)
    assert [told(r) for r in device.flash.load().records] == played("a")
    province.confirms = True
    province.harness.advance(900)
    assert not device.flash.load().records


def test_the_audio_of_prepared_alerts_is_there_before_the_alert() -> None:
    province = Province()
    device = province.device()
    prepared = audio("siren")
    province.content(prepared)
    province.config("d1", prefetch=[prepared])
    province.programme(item("news", at(30)))
    province.harness.advance(600)
    assert prepared.sha256 in device.files
    province.harness.disconnect(device)
    province.config("d1", prefetch=[prepared])
    province.harness.connect(device)
    province.publish(
        province.make(Alerts, "area/51", alerts=[alert("x", at(11), audio=[prepared])])
    )
    province.harness.advance(120)
    assert device.player
    assert device.player.sounding == "x"

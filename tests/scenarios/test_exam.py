"""Hours of an exam: what the server plans around them is what a device plays, and nothing else."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broadcast.calendars.days import Kind, Mark, Marks
from broadcast.kit.clock import LOCAL
from broadcast.kit.quiet import daily
from device_sim.box import Identity
from device_sim.harness import Device
from tests.device_sim.province import KEYS
from tests.examples import examples
from tests.scenarios.server import RULES, Schedule
from tests.scenarios.test_back_to_back import (
    COMMUNE,
    NotingFlash,
    Plan,
    World,
    assert_promises,
)

DAY = date(2026, 3, 3)
MINUTE = timedelta(minutes=1)


def at(minutes: int) -> datetime:
    return datetime.combine(DAY, time(), LOCAL) + minutes * MINUTE


def clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


class Exam(World):
    """A device that is told the hours of an exam."""

    def __init__(self, schedules: list[Schedule], mark: Mark) -> None:
        self.mark = mark
        super().__init__(Plan(schedules, days=2, devices=1))

    def device(self, number: int) -> Device:
        assert self.mark.hours is not None
        hours = [self.mark.hours, *daily(RULES.quiet_hours)]
        self.server.enrol("d0", ["51", "21550"], hours=hours)
        return self.harness.add(
            Device(Identity(device_id="d0", keys=KEYS), NotingFlash("journal-d0"))
        )


@st.composite
def days(draw: st.DrawFn) -> tuple[Mark, list[Schedule]]:
    """An exam in the morning, and broadcasts every quarter of an hour around it."""
    begin = draw(st.integers(6 * 60, 9 * 60))
    end = begin + draw(st.integers(1, 150))
    mark = Mark(Kind.EXAM, "Thi", DAY, DAY, "21550", from_time=clock(begin), until_time=clock(end))
    schedules = [
        Schedule(
            f"each {number}",
            COMMUNE,
            at(5 * 60 + 30 + 15 * number + draw(st.integers(0, 4))),
            seconds=draw(st.integers(30, 550)),
            late_limit_seconds=draw(st.sampled_from([0, 300])),
        )
        for number in range(26)
    ]
    return mark, schedules


@given(days())
@settings(max_examples=examples(6), suppress_health_check=[HealthCheck.too_slow])
def test_the_plan_around_an_exam_is_what_a_device_plays(
    drawn: tuple[Mark, list[Schedule]],
) -> None:
    mark, schedules = drawn
    marks = Marks([mark])
    planned = [each for each in schedules if not marks.at(each.starts_at, each.seconds)]
    world = Exam(planned, mark)
    world.live()
    assert_promises(world)
    names = {id_: each.schedule.name for id_, each in world.server.occurrences.items()}
    sounds = world.devices[0].sounds
    assert sorted(names[each.occurrence_id] for each in sounds) == sorted(
        each.name for each in planned
    )


@given(days())
@settings(max_examples=examples(6), suppress_health_check=[HealthCheck.too_slow])
def test_a_device_is_silent_in_an_exam_whatever_it_was_told_to_play(
    drawn: tuple[Mark, list[Schedule]],
) -> None:
    mark, schedules = drawn
    world = Exam(schedules, mark)
    world.live()
    assert_promises(world)
    begin, end = (
        datetime.combine(DAY, time.fromisoformat(each or ""), LOCAL)
        for each in (mark.from_time, mark.until_time)
    )
    assert world.devices[0].sounds
    for sound in world.devices[0].sounds:
        slack = timedelta(seconds=1)
        assert sound.ended_at <= begin + slack or sound.started_at >= end - slack

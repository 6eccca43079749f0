"""Quotas of a Quy chế on a device: it does what the server says, whatever happens between them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broadcast.schedules.quotas import excesses
from broadcast.wire import quotas
from broadcast.wire.documents import Item, Passed, Quotas
from broadcast.wire.events import Skipped, Started
from tests.device_sim.province import Province, alert, at, audio, item
from tests.examples import examples

SCOPES = ("area/51", "device/d1")
LAST = 600
"""Minutes that a run lasts, all on one local day."""

limits = st.builds(
    Quotas,
    sessions_per_day=st.none() | st.integers(1, 4),
    minutes_per_session=st.none() | st.integers(5, 40),
    minutes_per_day=st.none() | st.integers(5, 90),
)
items = st.builds(
    lambda name, minute, late, length, priority, named: item(
        name,
        at(minute),
        late_limit_seconds=late,
        ends_by=at(minute + length, late + 30),
        priority=priority,
        audio=[audio(f"n{length}", length * 60)],
        seconds=length * 60.0 if named else None,
    ),
    st.sampled_from("abcdefghij"),
    st.integers(5, 500),
    st.sampled_from([0, 60, 300]),
    st.integers(1, 20),
    st.sampled_from([10, 50, 90]),
    st.booleans(),
)


@dataclass(frozen=True)
class Trouble:
    minute: int
    kind: str
    amount: int


troubles = st.builds(
    Trouble,
    st.integers(0, 500),
    st.sampled_from(["add", "withdraw", "move", "cut", "unlink", "repeat", "alert", "crash"]),
    st.integers(0, 40),
)


class Server:
    """A plan that is edited as the server lets people edit it, and one device that hears of it.

    Args:
        plan: What is planned at first, in the scope that its name says.
        limit: What the Quy chế allows.
        blind: Edits are made while the device is away, too.
    """

    def __init__(self, plan: list[Item], limit: Quotas, *, blind: bool) -> None:
        self.province = Province()
        self.limit = quotas.Limits(
            limit.sessions_per_day, limit.minutes_per_session, limit.minutes_per_day
        )
        self.blind = blind
        self.plan = {each.occurrence_id: each for each in plan}
        self.verdicts: list[frozenset[str]] = []
        self.province.config("d1", quotas=[limit])
        self.device = self.province.device(areas=())
        self.publish(*SCOPES)

    def run(self, some: list[Trouble]) -> None:
        for trouble in sorted(some, key=lambda each: each.minute):
            self.advance(trouble.minute)
            getattr(self, trouble.kind)(trouble.amount)
        self.device.crash_after = None
        self.advance(LAST)
        self.province.harness.power_on(self.device)
        self.province.harness.connect(self.device)
        self.advance(LAST + 60)

    def advance(self, minute: int) -> None:
        self.province.harness.advance(max(0, minute * 60 - self.province.harness.elapsed))

    @property
    def over(self) -> frozenset[str]:
        planned = {name: quotas.planned(each) for name, each in self.plan.items()}
        return quotas.over(self.limit, planned)

    def publish(self, *scopes: str) -> None:
        self.verdicts.append(self.over)
        now = self.province.harness.now
        for scope in scopes:
            mine = [each for each in self.plan.values() if scope_of(each) == scope]
            ended = [each for each in mine if each.ends_by <= now]
            self.province.programme(
                *(each for each in mine if each.ends_by > now),
                scope=scope,
                passed=[
                    Passed(each.occurrence_id, each.starts_at, length(each)) for each in ended
                ],
            )

    def editable(self, amount: int) -> Item | None:
        """One that has not begun; none when nobody may edit now."""
        if not (self.blind or self.device.online):
            return None
        now = self.province.harness.now
        coming = sorted(name for name, each in self.plan.items() if each.starts_at > now)
        return self.plan[coming[amount % len(coming)]] if coming else None

    def add(self, amount: int) -> None:
        if self.blind or self.device.online:
            minute = int(self.province.harness.elapsed // 60) + 1 + amount * 3
            name = f"new-{len(self.verdicts)}"
            length_ = 1 + amount % 20
            self.plan[name] = item(
                name, at(minute), ends_by=at(minute + length_, 150),
                audio=[audio(f"n{length_}", length_ * 60)],
            )  # fmt: skip
            self.publish(scope_of(self.plan[name]))

    def withdraw(self, amount: int) -> None:
        if gone := self.editable(amount):
            del self.plan[gone.occurrence_id]
            self.publish(scope_of(gone))

    def move(self, amount: int) -> None:
        if moved := self.editable(amount):
            shift = max(
                timedelta(minutes=3 * (amount - 20)),
                self.province.harness.now + timedelta(minutes=1) - moved.starts_at,
            )
            self.plan[moved.occurrence_id] = msgspec.structs.replace(
                moved, starts_at=moved.starts_at + shift, ends_by=moved.ends_by + shift
            )
            self.publish(scope_of(moved))

    def cut(self, amount: int) -> None:
        self.province.harness.power_cut(self.device, 1 + amount * 60)

    def crash(self, amount: int) -> None:
        if self.blind:
            self.device.crash_after = amount

    def unlink(self, amount: int) -> None:
        self.province.harness.disconnect(self.device, 1 + amount * 120)

    def repeat(self, _amount: int) -> None:
        if self.device.online:
            self.province.harness.redeliver(self.device)

    def alert(self, amount: int) -> None:
        self.province.alerts(alert(f"x{amount}", self.province.harness.now))

    def told(self) -> tuple[set[str], set[str]]:
        """What began, and what was skipped for a quota."""
        records = self.province.records.get("d1", {}).values()
        began = {each.occurrence_id for each in records if isinstance(each, Started)}
        refused = {
            each.occurrence_id
            for each in records
            if isinstance(each, Skipped) and each.reason == "quota"
        }
        return began, refused


def scope_of(each: Item) -> str:
    return SCOPES[each.occurrence_id < "d"]


def length(each: Item) -> float:
    return (quotas.planned(each).ends_at - each.starts_at).total_seconds()


plans = st.lists(items, min_size=1, max_size=10, unique_by=lambda each: each.occurrence_id)


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plans, limits, st.lists(troubles, max_size=10))
def test_what_the_server_counts_as_too_much_is_silent_and_nothing_else(
    plan: list[Item], limit: Quotas, some: list[Trouble]
) -> None:
    server = Server(plan, limit, blind=False)
    server.run(some)
    began, refused = server.told()
    over = server.over
    assert not began & over
    assert refused <= over
    assert not excesses(
        server.limit, [quotas.planned(server.plan[name]) for name in began - ALERTS]
    )


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plans, limits, st.lists(troubles, max_size=12))
def test_a_device_that_was_away_keeps_the_quotas_of_a_plan_that_the_server_had(
    plan: list[Item], limit: Quotas, some: list[Trouble]
) -> None:
    server = Server(plan, limit, blind=True)
    server.run(some)
    began, refused = server.told()
    for name in began - ALERTS:
        assert any(name not in verdict for verdict in server.verdicts)
    for name in refused:
        assert any(name in verdict for verdict in server.verdicts)


ALERTS = {f"x{amount}" for amount in range(41)}


def records_of(province: Province) -> list[tuple[str, ...]]:
    return [each for each in province.journal() if each[0] != "ended"]


def test_what_was_missed_counts_and_what_is_withdrawn_leaves_room() -> None:
    province = Province()
    province.config("d1", quotas=[Quotas(sessions_per_day=1)])
    device = province.device(areas=())
    first, second = item("a", at(10)), item("b", at(60), late_limit_seconds=600)
    province.programme(first, second, item("c", at(120)))
    province.harness.advance(300)
    province.harness.power_cut(device, 1200)
    province.harness.advance(60 * 60)
    assert records_of(province) == [("skipped", "a", "powered_off")]
    # a person withdraws the first one after all: the second waits, and has room now
    province.programme(second, item("c", at(120)))
    province.harness.advance(2 * 3600)
    assert records_of(province)[1:] == [("started", "b"), ("skipped", "c", "quota")]


def test_what_has_ended_is_told_as_passed_and_counts_for_who_comes_later() -> None:
    province = Province()
    province.config("d1", quotas=[Quotas(sessions_per_day=1)], not_before=at(30))
    province.device(areas=())
    province.programme(item("b", at(60)), passed=[Passed("a", at(5), 60.0)])
    province.harness.advance(2 * 3600)
    assert records_of(province) == [("skipped", "b", "quota")]
    province.programme(item("d", at(1500)))
    province.harness.advance(25 * 3600)
    assert records_of(province)[1:] == [("started", "d")]


def test_an_alert_passes_quotas_and_a_device_that_knows_none_plays_on() -> None:
    province = Province()
    province.config("d1", quotas=[Quotas(minutes_per_day=1)])
    province.device(areas=())
    province.programme(item("a", at(5)), item("b", at(20)), scope="area/51")
    province.harness.advance(600)
    province.alerts(alert("x", at(10)))
    province.harness.advance(1800)
    assert records_of(province) == [("started", "a"), ("started", "x"), ("skipped", "b", "quota")]
    province.config("d1")
    province.programme(item("c", at(50)))
    province.harness.advance(1800)
    assert records_of(province)[3:] == [("started", "c")]

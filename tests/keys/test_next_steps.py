"""What a person has to do about the keys: the whole course of a rotation."""

from __future__ import annotations

from broadcast.keys import states
from broadcast.keys.next_steps import Need, Step, next_steps
from broadcast.keys.states import Ring
from tests.keys.memory import LONG_AGO as NOW


def test_each_step_of_a_rotation_says_what_comes_next() -> None:
    assert [(each.need, each.use, each.command) for each in next_steps((), {})] == [
        (Need.CREATE, "programme", "broadcast keys create"),
        (Need.CREATE, "alert", "broadcast keys create"),
    ]
    ring: Ring = states.announce((), "old", "programme", NOW)
    ring = states.announce(ring, "alert", "alert", NOW)
    assert next_steps(ring, {"old": 3}) == []

    ring = states.announce(ring, "new", "programme", NOW)
    assert next_steps(ring, {"new": 2}) == [
        Step(Need.WAIT, "programme", "new", 2, "broadcast keys activate new --without-waiting")
    ]
    assert next_steps(ring, {}) == [Step(Need.WAIT, "programme", "new", 0, "")]

    ring = states.activate(ring, "new", NOW)
    assert next_steps(ring, {"new": 2}) == [Step(Need.KEEP, "programme", "old", 2, "")]
    assert next_steps(ring, {}) == [
        Step(Need.RETIRE, "programme", "old", 0, "broadcast keys retire old")
    ]
    assert next_steps(states.retire(ring, "old", NOW), {"new": 2}) == []

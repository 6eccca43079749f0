"""The rule of scope: what a grant opens on a day, whatever became of its area."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from broadcast.areas.model import Level
from broadcast.areas.placement import Registered, placed
from broadcast.areas.scope import WHOLE, Territory, changeable, readable
from broadcast.areas.tree import Lineage
from broadcast.auth.caller import Caller, HeldRole
from broadcast.auth.permissions import PERMISSIONS, Permission, Role
from tests.areas.worlds import BEGIN, World, worlds


def with_villages(world: World) -> Lineage:
    """Two villages in each commune of the first day, which follow it by the register's rule."""
    communes = Lineage(world.units, world.steps)
    villages = [
        Registered(f"V-{unit.code}-{number}", "thôn", "V", unit.code, BEGIN, None)
        for unit in communes.tree_on(BEGIN)
        if unit.level is Level.COMMUNE
        for number in (1, 2)
    ]
    spans = [span.unit for row in villages for span in placed([row], communes)]
    return Lineage([*world.units, *spans], world.steps)


def holding(*roles: HeldRole, scope: frozenset[Permission] | None = None) -> Caller:
    return Caller(1, "Lan", "token/1", roles, scope)


def territories(world: World) -> list[Territory]:
    lineage = with_villages(world)
    return [Territory(lineage, on) for on in world.days]


@given(worlds(), st.data())
def test_no_place_comes_into_a_scope_by_itself(world: World, data: st.DataObject) -> None:
    """Whatever happens to a commune, its grant reaches no village but those of the first day."""
    first, *later = territories(world)
    communes = [unit.code for unit in first.lineage.tree_on(BEGIN) if unit.level is Level.COMMUNE]
    code = data.draw(st.sampled_from(communes))
    caller = holding(HeldRole(Role.COMMUNE_APPROVER, code, BEGIN))
    villages = {f"V-{code}-1", f"V-{code}-2"}
    begun = readable(caller, Permission.READ, first).codes or frozenset()
    assert {each for each in begun if each.startswith("V-")} == villages
    for territory in later:
        reads = readable(caller, Permission.READ, territory).codes or frozenset()
        changes = changeable(caller, Permission.SCHEDULE_WRITE, territory).codes or frozenset()
        assert changes <= reads
        assert {each for each in reads if each.startswith("V-")} <= villages
        stands = territory.lineage.is_same(code, BEGIN, territory.on)
        assert bool(changes) == stands
        today = territory.lineage.tree_on(territory.on)
        for each in reads:  # no other commune, and none that took something in
            if each in today and today[each].level is Level.COMMUNE:
                assert territory.lineage.is_same(each, BEGIN, territory.on)


@given(worlds())
def test_who_held_a_commune_goes_on_reading_its_villages(world: World) -> None:
    """As long as they are the same villages; also where the commune's own code means another."""
    first, *later = territories(world)
    for unit in first.lineage.tree_on(BEGIN):
        if unit.level is not Level.COMMUNE:
            continue
        caller = holding(HeldRole(Role.COMMUNE_MONITOR, unit.code, BEGIN))
        ended_on = min(
            (day for day in world.days if not first.lineage.is_same(unit.code, BEGIN, day)),
            default=date.max,
        )
        for territory in later:
            if territory.on < ended_on:
                continue
            last = max(day for day in world.days if day < ended_on)
            held = {each.code for each in territory.lineage.tree_on(last).under(unit.code)}
            reads = readable(caller, Permission.READ, territory)
            assert all(code in reads for code in held)


@given(worlds())
def test_the_whole_province_stays_whole_and_nothing_stays_nothing(world: World) -> None:
    for territory in territories(world):
        for role, allowed in PERMISSIONS.items():
            for permission in Permission:
                whole = readable(holding(HeldRole(role, None)), permission, territory)
                assert (whole == WHOLE) == (permission in allowed)
                assert readable(holding(), permission, territory).codes == frozenset()
                narrowed = holding(HeldRole(role, None), scope=frozenset())
                assert changeable(narrowed, permission, territory).codes == frozenset()


@given(worlds(), st.data())
def test_two_roles_do_not_lend_each_other_their_areas(world: World, data: st.DataObject) -> None:
    """Who reads here and writes there does not write here."""
    territory = territories(world)[0]
    communes = [unit.code for unit in territory.lineage.tree_on(BEGIN) if unit.code != "51"]
    communes = [code for code in communes if not code.startswith("V-")]
    here, there = data.draw(st.sampled_from(communes)), data.draw(st.sampled_from(communes))
    caller = holding(
        HeldRole(Role.COMMUNE_MONITOR, here, BEGIN), HeldRole(Role.TECHNICIAN, there, BEGIN)
    )
    writes = changeable(caller, Permission.REGISTER_WRITE, territory)
    assert (here in writes) == (here == there)
    assert {here, there} <= (readable(caller, Permission.READ, territory).codes or frozenset())
    content = readable(caller, Permission.CONTENT_READ, territory)
    assert (there in content) == (here == there)

"""What a unit that was named on one day stands for on another. Pure."""

from __future__ import annotations

from datetime import date

from broadcast.areas.model import Level
from broadcast.areas.tree import Lineage


def resolve_area(lineage: Lineage, code: str, meant_on: date, on: date) -> list[str]:
    """Return the areas that a target named on one day stands for on another.

    1. A unit that goes on and took nothing in stands for itself.
    2. Any other stands for the villages it had, as they are called now, wherever they lie.
    3. A province or district that ended or grew stands for those communes that hold nothing but
       its villages, so that it does not come to a thousand documents.

    A unit that ended without villages on record stands for nothing.
    """
    meant, present = lineage.tree_on(meant_on), lineage.tree_on(on)
    if code not in meant:
        return []
    villages = set(meant.villages(code))
    heirs = {heir.code for each in villages for heir in lineage.successors(each, meant_on, on)}
    if lineage.is_same(code, meant_on, on) and not any(
        origin.code not in villages
        for village in set(present.villages(code)) - heirs
        for origin in lineage.origins(village, on, meant_on)
    ):
        return [code]
    if meant[code].level in {Level.COMMUNE, Level.VILLAGE}:
        return sorted(heirs)
    whole = {
        parent
        for parent in {present[each].parent_code for each in heirs}
        if parent is not None
        and present[parent].level is Level.COMMUNE
        and heirs.issuperset(present.villages(parent))
    }
    return sorted(whole | {each for each in heirs if present[each].parent_code not in whole})


def homes(lineage: Lineage, code: str, since: date, on: date) -> list[str]:
    """Communes in which something is on a day that was put into one `since`; several: undecided.

    It stays while its commune goes on, also when that gives a part away, and goes along when the
    commune becomes another. Empty when the commune ended and nothing succeeded it.
    """
    history = lineage.history(code)
    opened = max(since, history[0].valid_from) if history else since
    front = {code} if lineage.unit(code, opened) is not None else set()
    for day in lineage.days(opened, on):
        staying = {home for home in front if lineage.goes_on(home, day)}
        front = staying.union(*(lineage.next(home, day) for home in front - staying))
    return sorted(front)

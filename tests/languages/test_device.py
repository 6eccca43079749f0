"""A device of a place with languages of its own: what it fetches, plays, resumes and tells."""

from __future__ import annotations

from typing import Any

from broadcast.wire.documents import Programme, Version
from broadcast.wire.events import Started
from tests.device_sim.province import Province, at, audio, item

HRE = audio("n1", 20)
BOTH = audio("n2", 80)
VIETNAMESE = audio("news")
VERSIONS = [
    Version(languages=["hre"], audio=[HRE]),
    Version(languages=["hre", "vi"], audio=[BOTH]),
]


def sounds(languages: list[str], *steps: tuple[float, Any], **changes: Any) -> list[Any]:
    """SHA-256 of what was started, where these languages are spoken."""
    province = Province()
    province.device()
    province.config("d1", languages=languages)
    fields = {"audio": [VIETNAMESE], "versions": VERSIONS} | changes
    province.programme(item("a", at(5), **fields))
    for minute, step in steps:
        province.harness.advance(minute * 60 - province.harness.elapsed)
        step(province)
    province.harness.advance(30 * 60 - province.harness.elapsed)
    return [
        (each.sha256, each.offset_seconds)
        for _, each in sorted(province.records["d1"].items())
        if isinstance(each, Started)
    ]


def test_each_place_hears_its_languages_in_their_order() -> None:
    assert sounds(["hre", "vi"]) == [(BOTH.sha256, 0.0)]
    assert sounds(["hre"]) == [(HRE.sha256, 0.0)]


def test_a_place_without_its_language_hears_the_original() -> None:
    assert sounds(["cua", "vi"]) == [(VIETNAMESE.sha256, 0.0)]
    assert sounds(["vi", "hre"]) == [(HRE.sha256, 0.0)]
    assert sounds([]) == [(VIETNAMESE.sha256, 0.0)]


def test_what_was_interrupted_goes_on_in_the_same_languages() -> None:
    def interrupt(province: Province) -> None:
        urgent = item("b", at(5, 40), audio=[audio("notice", 10)], priority=90)
        mine = item("a", at(5), audio=[VIETNAMESE], versions=VERSIONS)
        province.programme(mine, urgent)

    first, between, again = sounds(["hre", "vi"], (5.5, interrupt))
    assert (first, between[0]) == ((BOTH.sha256, 0.0), audio("notice", 10).sha256)
    assert again[0] == BOTH.sha256
    assert again[1] > 20


def test_a_version_that_is_not_there_yet_gives_way_to_what_is() -> None:
    def add(province: Province) -> None:
        never = Version(languages=["hre", "vi"], audio=[audio("n3", 80)])
        new = item("a", at(5), audio=[VIETNAMESE], versions=[never])
        province.publish(province.make(Programme, "area/51", items=[new]))

    assert sounds(["hre", "vi"], (4, add), versions=[]) == [(VIETNAMESE.sha256, 0.0)]

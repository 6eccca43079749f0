"""The worked example of docs/indicators.md, computed."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

from broadcast.indicators.definitions import DEFINITIONS
from broadcast.indicators.figures import evaluate
from broadcast.indicators.province import (
    Baseline,
    Cluster,
    Commune,
    Plant,
    Province,
    Service,
    Station,
    Village,
)
from broadcast.indicators.results import Result, Results
from broadcast.indicators.texts import sentence
from broadcast.kit.clock import LOCAL
from broadcast.portals.updating import FIRST_RULE, Tally, Verdict
from broadcast.stations.model import Grade, PlantStatus, StationStatus, Technology

DOCUMENT = Path(__file__).parents[2] / "docs/indicators.md"
VARIANTS = [f"{each.code} {each.variant}" for each in DEFINITIONS]


@pytest.fixture(scope="module")
def example() -> dict[str, Any]:
    text = DOCUMENT.read_text()
    assert text.count("```yaml\n") == 1
    loaded: dict[str, Any] = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])
    return loaded


@pytest.fixture(scope="module")
def results(example: dict[str, Any]) -> Results:
    return evaluate(_province(example))


def _province(example: dict[str, Any]) -> Province:
    as_of: date = example["as_of"]
    station_ids = {code: number for number, code in enumerate(example["stations"], 1)}
    plant_ids = {code: number for number, code in enumerate(example["plants"], 1)}
    cluster_ids = {code: number for number, code in enumerate(example["clusters"], 1)}
    return Province(
        as_of=as_of,
        at=datetime.combine(as_of + timedelta(days=1), time(), LOCAL),
        scope="51",
        communes=[Commune(code=name, name=name) for name in example["communes"]],
        villages=[
            Village(
                code=village, name=village, commune=name, excluded=example["excluded"].get(village)
            )
            for name, commune in example["communes"].items()
            for village in commune["villages"]
        ],
        clusters={
            cluster_ids[code]: Cluster(
                id=cluster_ids[code],
                code=code,
                plant_id=plant_ids[cluster["plant"]],
                telemetry="online_minutes" in cluster,
                device="online_minutes" in cluster,
                expected_minutes=30 * 17 * 60 if "online_minutes" in cluster else 0,
                online_minutes=cluster.get("online_minutes", 0),
                completed=cluster.get("completed", False),
                broadcast_days=0,
                fault_since=None,
                attested_at=(
                    datetime.combine(cluster["attested_on"], time(2), UTC)
                    if "attested_on" in cluster
                    else None
                ),
            )
            for code, cluster in example["clusters"].items()
        },
        services=[
            Service(cluster_id=cluster_ids[code], village=village, grade=grade)
            for code, cluster in example["clusters"].items()
            for grade in Grade
            for village in cluster.get(grade.value, [])
        ],
        stations={
            station_ids[code]: Station(
                id=station_ids[code],
                code=code,
                name=code,
                exists=True,
                status=StationStatus(station["status"]),
                commune=station["commune"],
            )
            for code, station in example["stations"].items()
        },
        station_ids=list(station_ids.values()),
        plants={
            plant_ids[code]: Plant(
                id=plant_ids[code],
                code=code,
                station_id=station_ids[plant["station"]],
                technologies=frozenset(map(Technology, plant["technologies"])),
                status=PlantStatus(plant["status"]),
            )
            for code, plant in example["plants"].items()
        },
        baseline=[
            Baseline(
                station_id=station_ids[code],
                plant_ids=tuple(plant_ids[plant] for plant in plants),
            )
            for code, plants in example["baseline"].items()
        ],
        portals={
            name: Verdict(
                [Tally(1, name, **found, others=0, newest_on=None, is_read=True)], FIRST_RULE
            )
            for name, found in example["portals"].items()
        },
    )


def _of(results: Results, name: str) -> Result:
    code, variant = name.split()
    return results[code][variant]


@pytest.mark.parametrize("name", VARIANTS)
def test_the_example_comes_to_what_the_document_says(
    example: dict[str, Any], results: Results, name: str
) -> None:
    wanted, result = example["results"][name], _of(results, name)
    assert [member.code for member in result.numerator] == wanted["counted"]
    assert {m.code: m.reason for m in result.members if not m.counted} == wanted["not"]
    assert sentence(result) == wanted["text"]


def test_the_document_shows_every_variant(example: dict[str, Any]) -> None:
    assert sorted(example["results"]) == sorted(VARIANTS)


def test_the_example_lists_what_it_excludes_with_the_document(
    example: dict[str, Any], results: Results
) -> None:
    for variant in ("TH", "NG67", "NG80", "THON"):
        excluded = results["1.1"][variant].excluded
        assert {unit.code: unit.document for unit in excluded} == example["excluded"]


def test_the_example_weighs_what_is_partly_converted_by_villages(
    example: dict[str, Any], results: Results
) -> None:
    shares = {
        member.code: member.share
        for variant in ("BC", "XA")
        for member in results["1.2"][variant].partly
    }
    assert shares == {code: Fraction(share) for code, share in example["partly_share"].items()}


def test_the_example_is_held_against_the_targets_of_its_year(
    example: dict[str, Any], results: Results
) -> None:
    for name, target in example["targets"].items():
        result = _of(results, name)
        assert result.target == target
        assert result.gap == target - Fraction(1, 3)

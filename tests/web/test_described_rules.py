"""Rules between the fields of one body are in its description, and there as they are held to."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from jsonschema_rs import validator_for
from pydantic import TypeAdapter, ValidationError

from broadcast.commands.schemas import CommandIn
from broadcast.schedules.schemas import OccurrenceChangeIn, TargetIn
from broadcast.stations.schemas import OutageIn

MISSING = object()

AT = "2026-12-15T18:00:00+07:00"


@pytest.mark.parametrize(
    ("body", "values"),
    [
        (TargetIn, {"area": ["21262", None], "cluster": ["C-1", None]}),
        (OccurrenceChangeIn, {"starts_at": [AT, None], "cancelled": [True, False]}),
    ],
)
def test_what_is_described_is_what_is_taken(body: Any, values: dict[str, list[Any]]) -> None:
    described = validator_for(TypeAdapter(body).json_schema())
    for each in product(*([*some, MISSING] for some in values.values())):
        given = {name: value for name, value in zip(values, each, strict=True)
                 if value is not MISSING}  # fmt: skip
        try:
            body.model_validate(given)
        except ValidationError:
            is_taken = False
        else:
            is_taken = True
        assert described.is_valid(given) is is_taken, given


@pytest.mark.parametrize("kind", ["volume", "self_test", "identify", "reboot"])
@pytest.mark.parametrize("volume", [30, None, MISSING])
def test_a_volume_is_described_as_of_the_command_volume_alone(kind: str, volume: Any) -> None:
    """What `POST /devices/{code}/commands` refuses."""
    given = {"kind": kind} | ({} if volume is MISSING else {"volume": volume})
    described = validator_for(TypeAdapter(CommandIn).json_schema())
    assert described.is_valid(given) is ((kind == "volume") == (volume == 30))


@pytest.mark.parametrize("cluster", ["C-1", None, MISSING])
@pytest.mark.parametrize("area", ["21262", None, MISSING])
def test_an_outage_is_described_as_of_a_cluster_or_an_area(cluster: Any, area: Any) -> None:
    """What `POST /outages` refuses: tests/stations/test_station_routes.py."""
    places = {"cluster_code": cluster, "area_code": area}
    given = {name: value for name, value in places.items() if value is not MISSING}
    described = validator_for(TypeAdapter(OutageIn).json_schema())
    is_one = (cluster == "C-1") != (area == "21262")
    body = {"kind": "power_cut", "starts_at": AT, "ends_at": AT, **given}
    assert described.is_valid(body) is is_one

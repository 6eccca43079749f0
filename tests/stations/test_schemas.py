"""A field that is stated once reaches file, REST and database."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import BaseModel, Field, ValidationError

from broadcast.accounts import reader_import
from broadcast.areas import village_languages
from broadcast.areas.imports import AREAS, LINEAGE
from broadcast.areas.model import RegisteredVillage
from broadcast.areas.schemas import VillageIn
from broadcast.areas.villages import VILLAGES
from broadcast.clusters.schemas import ClusterOut
from broadcast.devices.imports import DEVICES
from broadcast.devices.model import Device
from broadcast.devices.schemas import DeviceIn
from broadcast.kit import sheets
from broadcast.kit.db import Base
from broadcast.kit.sheets import File, RowErrors, Sheet
from broadcast.regulations.sheet import SHEET as REGULATIONS
from broadcast.stations.imports import KINDS
from broadcast.stations.model import BaselineStation, Cluster, PlantState, Station, StationState
from broadcast.stations.schemas import (
    BaselineIn,
    ClusterIn,
    ClusterRow,
    PlantIn,
    StationIn,
    StationStateIn,
)

STORED: list[tuple[type[BaseModel], type[Base], dict[str, str]]] = [
    (StationIn, Station, {}),
    (StationStateIn, StationState, {}),
    (PlantIn, PlantState, {"station_code": "station_id"}),
    (ClusterIn, Cluster, {"plant_code": "plant_id"}),
    (BaselineIn, BaselineStation, {}),
    (DeviceIn, Device, {}),
    (VillageIn, RegisteredVillage, {}),
]


@pytest.mark.parametrize(("fields", "table", "renamed"), STORED)
def test_every_field_has_a_column(
    fields: type[BaseModel], table: type[Base], renamed: dict[str, str]
) -> None:
    columns = {renamed.get(name, name) for name in fields.model_fields}
    assert columns <= set(table.__table__.columns.keys())


def test_every_field_is_in_the_file_and_in_the_answer() -> None:
    by_kind = {kind.sheet.kind: set(kind.sheet.names) for kind in KINDS}
    assert set(ClusterIn.model_fields) <= by_kind["clusters"] & set(ClusterOut.model_fields)
    assert set(StationIn.model_fields) | set(StationStateIn.model_fields) <= by_kind["stations"]
    assert set(PlantIn.model_fields) <= by_kind["plants"]
    assert set(BaselineIn.model_fields) <= by_kind["baseline"]
    assert set(DeviceIn.model_fields) <= set(DEVICES.names)


def test_the_documentation_lists_the_columns_of_every_file() -> None:
    text = (Path(__file__).parents[2] / "docs" / "areas.md").read_text()
    listed = dict(re.findall(r"^\| (\w+)\.csv \| (.*?) \|", text, re.MULTILINE))
    sheets_ = [
        AREAS, LINEAGE, VILLAGES, *(kind.sheet for kind in KINDS), DEVICES,
        village_languages.SHEET, reader_import.SHEET, REGULATIONS,
    ]  # fmt: skip
    assert listed.keys() == {sheet.kind for sheet in sheets_}
    for sheet in sheets_:
        plain = re.sub(r" \(.*?\)", "", listed[sheet.kind])
        columns = {name.strip("*"): not name.startswith("*") for name in plain.split(", ")}
        assert columns == {column.name: column.required for column in sheet.columns}, sheet.kind


class Painted(ClusterRow):
    """A field more."""

    coats: Annotated[int | None, Field(ge=1, le=9)] = None


@pytest.mark.parametrize(
    ("cell", "taken"), [("1", True), ("9", True), ("0", False), ("10", False)]
)
def test_a_bound_holds_in_rest_and_in_files(cell: str, taken: bool) -> None:
    facts = {"code": "C-1", "name": "Cụm", "plant_code": "P-1", "installed_on": "2024-01-01"}
    try:
        Painted.model_validate(facts | {"coats": int(cell)})
        accepted = True
    except ValidationError:
        accepted = False
    assert accepted is taken
    text = f"{','.join(facts)},coats\n{','.join(facts.values())},{cell}\n"
    errors = RowErrors()
    sheets.read(Sheet("painted", Painted, ("code",)), File("x.csv", text.encode()), errors)
    found = [(error.row, error.column, error.detail) for error in errors.found]
    assert found == ([] if taken else [(2, "coats", f"{cell} nằm ngoài khoảng 1 đến 9")])

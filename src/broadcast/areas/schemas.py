"""Fields of administrative units and of the village register, for REST and CSV files alike."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from broadcast.areas.model import Level, Part
from broadcast.kit.codes import likeness
from broadcast.kit.text import FILLED_LINE, clean_filled_line
from broadcast.kit.times import Day
from broadcast.web.fields import Code, Name, Text, example
from broadcast.web.rest import Body

Kind = Annotated[
    str,
    Field(min_length=1, max_length=40, json_schema_extra={"pattern": FILLED_LINE}),
    AfterValidator(clean_filled_line),
]
"""The kind of a unit in words: thôn, tổ dân phố, xã."""


def village_code(code: str) -> str:
    """A code of a village: not one that the statistics office could give.

    Raises:
        ValueError: It is a number of at most five digits, or resembles one.
    """
    if re.fullmatch(r"[0-9]{1,5}", likeness(code)):
        raise ValueError(f"“{code}” giống mã của tỉnh, huyện hoặc xã; đặt mã khác cho thôn")
    return code


# --- files ---------------------------------------------------------------------------------------


class UnitRow(BaseModel):
    """A row of areas.csv."""

    code: Code
    level: Level
    kind: Kind
    name: Name
    parent_code: Code | None = None
    valid_from: Day
    valid_to: Day | None = None


class StepRow(BaseModel):
    """A row of lineage.csv."""

    old_code: Code
    new_code: Code
    effective_on: Day
    part: Part
    legal_act: Text = ""


class _VillageKey(Body):
    code: Annotated[Code, BeforeValidator(village_code)]


class VillageIn(Body):
    """From `valid_from` on, the village lies in this commune; afterwards it follows it."""

    model_config = example(kind="thôn", name="Thôn Phú Bình", commune_code="21253", valid_to=None)

    kind: Kind
    name: Name
    commune_code: Code
    valid_to: Day | None = None


class VillageRow(VillageIn, _VillageKey):
    """A row of villages.csv."""

    valid_from: Day


# --- answers -------------------------------------------------------------------------------------


class AreaOut(BaseModel):
    """A unit as it is on a day."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "example": {
                "code": "21262",
                "level": "commune",
                "kind": "xã",
                "name": "Xã An Phú",
                "parent_code": "522",
                "valid_from": "2025-01-01",
                "valid_to": "2025-06-30",
            }
        },
    )

    code: str
    level: Level
    kind: str
    name: str
    parent_code: str | None
    valid_from: Day
    valid_to: Day | None


class AreaDetailOut(AreaOut):
    """A unit with what is above it and how much is below."""

    chain: list[AreaOut]
    """Upward, nearest first."""
    counts: dict[Level, int]
    """Units of each level below it."""


class SuccessorOut(BaseModel):
    """A unit that another lives on in, or comes from."""

    code: str
    name: str
    part: Part


class ActOut(BaseModel):
    """A row of the lineage."""

    old_code: str
    new_code: str
    effective_on: Day
    part: Part
    legal_act: str


class LineageOut(BaseModel):
    """Origins and successors of a unit."""

    unit: AreaOut
    origins_on: Day
    origins: list[SuccessorOut]
    successors_on: Day
    successors: list[SuccessorOut]
    acts: list[ActOut]
    """Acts that named the unit as old or as new."""


class VillageOut(BaseModel):
    """A row of the register with its identity."""

    code: str
    kind: str
    name: str
    commune_code: str
    valid_from: Day
    valid_to: Day | None


class UnplacedOut(BaseModel):
    """A village that a person has to place, by a row of the register from `since`."""

    code: str
    name: str
    commune_code: str
    since: Day
    candidates: list[str]
    lies_in: str | None

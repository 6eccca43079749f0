"""docs/areas.md tells the columns of every file that people import."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from broadcast.areas import imports as areas
from broadcast.areas import villages
from broadcast.devices.imports import DEVICES
from broadcast.kit.sheets import Sheet
from broadcast.stations.imports import KINDS

PAGE = (Path(__file__).parents[2] / "docs/areas.md").read_text(encoding="utf-8")
MODULES = (areas, villages)
SHEETS = [DEVICES, *(kind.sheet for kind in KINDS)]
SHEETS += [each for module in MODULES for each in vars(module).values() if isinstance(each, Sheet)]


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.kind)
def test_the_page_tells_the_columns(sheet: Sheet[object]) -> None:
    [said] = re.findall(rf"^\| {sheet.kind}\.csv \| (.*?) \|", PAGE, re.MULTILINE)
    columns = re.sub(r" \([^)]*\)", "", said).split(", ")
    assert sorted(columns) == sorted(
        [each.name if each.required else f"*{each.name}*" for each in sheet.columns]
    )

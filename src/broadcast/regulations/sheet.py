"""How a Quy chế is written in the cells of a file, and in the fields of a form."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from broadcast.kit import cells
from broadcast.kit.cells import Cell
from broadcast.kit.sheets import Sheet
from broadcast.regulations.schemas import (
    MOST_CLUSTERS,
    MOST_WINDOWS,
    LimitedIn,
    ProvisionsIn,
    RegulationIn,
    RegulationText,
    WindowIn,
)
from broadcast.web.fields import Code

NONE = "không"
"""Written for: no such hours."""

_WINDOW = re.compile(r"(\d{1,2}:\d{2})\s*[-–]\s*(\d{1,2}:\d{2})(?:\s+(\d{1,3})\s*%)?")
_ANSWERS = {"có": True, "true": True, NONE: False, "false": False}


def read_windows(text: str, *, limited: bool) -> list[dict[str, Any]]:
    """Hours as people write them; with their volume where they are limited.

    Raises:
        ValueError: It cannot be read; says how to write it.

    >>> read_windows("5:00-06:00 40%", limited=True)
    [{'from': '05:00', 'until': '06:00', 'volume': 40}]
    """
    if text.strip().lower() == NONE:
        return []
    found: list[dict[str, Any]] = []
    for part in re.split("[,;]", text):
        match = _WINDOW.fullmatch(part.strip())
        if match is None or (match[3] is not None) != limited:
            example = "05:00-06:00 50%" if limited else "21:00-05:00"
            raise ValueError(f"chưa đọc được “{part.strip()[:40]}”; hãy ghi như {example}")
        window: dict[str, Any] = {"from": match[1].zfill(5), "until": match[2].zfill(5)}
        found.append(window | ({"volume": int(match[3])} if limited else {}))
    return found


def write_windows(windows: Sequence[Mapping[str, Any]]) -> str:
    """Hours as `read_windows` reads them."""
    return (
        ", ".join(
            f"{each['from']}-{each['until']}" + (f" {each['volume']}%" if "volume" in each else "")
            for each in windows
        )
        or NONE
    )


def _silent(cell: str) -> list[dict[str, Any]]:
    return read_windows(cell, limited=False)


def _limited(cell: str) -> list[dict[str, Any]]:
    return read_windows(cell, limited=True)


def _answer(cell: str) -> bool:
    if cell.lower() not in _ANSWERS:
        raise ValueError(f"“{cell[:40]}” không dùng được; chọn: có, không")
    return _ANSWERS[cell.lower()]


def _codes(cell: str) -> tuple[str, ...]:
    return tuple(sorted({cells.code(each) for each in re.split(r"[\s,;]+", cell) if each}))


class RegulationLine(ProvisionsIn, RegulationText):
    """A row of regulations.csv."""

    silent: Annotated[list[WindowIn] | None, Field(max_length=MOST_WINDOWS), Cell(_silent)] = None
    limited: Annotated[list[LimitedIn] | None, Field(max_length=MOST_WINDOWS), Cell(_limited)] = (
        None
    )
    warns_repeats: Annotated[bool | None, Cell(_answer)] = None
    clusters: Annotated[tuple[Code, ...], Field(max_length=MOST_CLUSTERS), Cell(_codes)] = ()

    def entered(self, replaces: int | None) -> RegulationIn:
        """What REST takes to enter it."""
        values = self.model_dump(by_alias=True) | {"clusters": list(self.clusters)}
        return RegulationIn.model_validate(values | {"replaces": replaces})


SHEET = Sheet(kind="regulations", model=RegulationLine, key=("area_code", "clusters"))

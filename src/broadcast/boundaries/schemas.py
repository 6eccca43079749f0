"""What REST answers of outlines."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from broadcast.boundaries.drawing import Drawing
from broadcast.web.fields import example

Source = Literal["boundary", "cell", "hexagon"]
"""Of an outline: the province's own file; what is nearer to the unit's point than to others; a
hexagon of its area, where others have outlines and it has not."""


class OutlineOut(BaseModel):
    """A unit on the map."""

    code: str
    name: str
    source: Source
    path: str
    """Data of an SVG path; fill by the rule `evenodd`."""
    label: tuple[int, int]
    """x and y at which its name may stand."""


class InsetOut(BaseModel):
    """Border of a part that lies far out and is drawn at a scale of its own."""

    x: int
    y: int
    width: int
    height: int


class FrameOut(BaseModel):
    """Place of a point in the drawing.

    x = (longitude - west) · x_scale + left, y = (north - latitude) · y_scale + top.
    """

    west: float
    north: float
    x_scale: float
    y_scale: float
    left: float
    top: float


class MapOut(BaseModel):
    """The units below one, drawn; the size is that of an SVG's `viewBox`."""

    model_config = example(
        code="51", name="Tỉnh Quảng Ngãi", width=2000, height=1720,
        areas=[{
            "code": "21262", "name": "Xã An Phú", "source": "cell", "path": "M10 10l5 0 0 5z",
            "label": [12, 12],
        }],
        insets=[], without_outline=[],
        frame={"west": 107.3, "north": 15.4, "x_scale": 1062.3, "y_scale": 1098.5,
               "left": 20, "top": 20},
    )  # fmt: skip

    code: str
    name: str
    width: int
    height: int
    areas: list[OutlineOut]
    insets: list[InsetOut]
    frame: FrameOut
    without_outline: list[str]
    """Units that cannot be drawn: no outline was imported, and no point of them is known."""

    @classmethod
    def of(
        cls,
        code: str,
        name: str,
        drawing: Drawing,
        names: dict[str, str],
        sources: dict[str, Source],
    ) -> MapOut:
        """A drawing with the names of its units and where their outlines come from."""
        return cls(
            code=code,
            name=name,
            width=drawing.width,
            height=drawing.height,
            areas=[
                OutlineOut(
                    code=each, name=names[each], source=sources[each], path=shape.path,
                    label=shape.label,
                )
                for each, shape in drawing.shapes.items()
            ],
            insets=[InsetOut(**box._asdict()) for box in drawing.insets],
            frame=FrameOut(**drawing.frame._asdict()),
            without_outline=[each for each in names if each not in drawing.shapes],
        )  # fmt: skip

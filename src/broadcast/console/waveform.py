"""The picture of a sound: how loud it is from its beginning to its end."""

from __future__ import annotations

from itertools import pairwise

from broadcast.bulletins.details import RevisionDetails
from broadcast.bulletins.schemas import OutlineOut

BARS = 300
"""Bars of a picture: a phone has room for so many."""


def wave(heights: list[int]) -> str:
    """Picture of sound as the path of an SVG, `BARS` wide and 100 high.

    >>> wave([0, 50])
    'M0.5 49.5V50.5M1.5 25V75'

    Args:
        heights: Of 0-100, of equal stretches.
    """
    count = min(BARS, len(heights))
    edges = [len(heights) * bar // count for bar in range(count + 1)] if count else []
    highest = (max(heights[a:b]) for a, b in pairwise(edges))
    return "".join(
        f"M{bar + 0.5:g} {50 - half:g}V{50 + half:g}"
        for bar, half in enumerate(max(height / 2, 0.5) for height in highest)
    )


def wave_of(details: RevisionDetails) -> str:
    """Picture of what sounds of a revision; empty where there is none (yet)."""
    return "" if details.revision.seconds is None else wave(OutlineOut.of(details).heights)

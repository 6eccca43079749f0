"""How many examples of a property are tried."""

from __future__ import annotations

import hypothesis


def examples(whole: int) -> int:
    """For a slow property: `whole` in the whole run, fewer by the same factor in the quick one."""
    return max(2, whole * hypothesis.settings().max_examples // 100)

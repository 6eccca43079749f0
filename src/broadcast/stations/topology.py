"""Counting changes of who hangs where; kept with the areas, which are changed below this layer."""

from broadcast.areas.topology import CHANNEL, touch

__all__ = ["CHANNEL", "touch"]

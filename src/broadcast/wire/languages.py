"""The rule by which a device chooses among the sounds of an item; the server forecasts by it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from broadcast.wire.documents import Audio, Item, Version


def version_for(versions: Iterable[Version], languages: Sequence[str]) -> Version | None:
    """The version with the most of these languages, in this order; of equals the first.

    None where there is no version with nothing but these: the item's own `audio` sounds.
    """
    fitting = (each for each in versions if _is_subsequence(each.languages, languages))
    return max(fitting, key=lambda each: len(each.languages), default=None)


def renditions_for(item: Item, languages: Sequence[str]) -> list[Audio]:
    """Renditions that a device of these languages plays of an item."""
    version = version_for(item.versions, languages)
    return item.audio if version is None else version.audio


def _is_subsequence(some: Sequence[str], of: Sequence[str]) -> bool:
    """Tell whether all of `some` are among `of`, in the same order.

    >>> _is_subsequence(["hre", "vi"], ["hre", "cua", "vi"])
    True
    >>> _is_subsequence(["vi", "hre"], ["hre", "vi"])
    False
    """
    rest = iter(of)
    return all(each in rest for each in some)

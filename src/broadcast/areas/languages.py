"""Languages of places: which one is the majority's, and the order for who serves several villages.

Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple


class Spoken(NamedTuple):
    """A language of a village.

    Attributes:
        language: BCP 47.
        share: Per cent of the people; None where nobody has counted.
    """

    language: str
    share: int | None = None


def majority(spoken: Sequence[Spoken]) -> str | None:
    """The language of most people; of equal or unknown shares the first.

    >>> majority([Spoken("vi", 30), Spoken("hre", 70)])
    'hre'
    >>> majority([Spoken("hre"), Spoken("vi", 15)])
    'hre'
    """
    if not spoken:
        return None
    return max(zip(_shares(spoken), spoken, strict=True), key=lambda each: each[0])[1].language


def _shares(spoken: Sequence[Spoken]) -> Iterator[float]:
    """Per cent of each.

    The first that nobody has counted has what the counted ones leave, each further one half of
    the one before it.
    """
    left = max(100.0 - sum(each.share or 0 for each in spoken), 0.0)
    for each in spoken:
        if each.share is None:
            yield left
            left /= 2
        else:
            yield float(each.share)


def together(villages: Iterable[Sequence[Spoken]]) -> list[str]:
    """Languages of several villages that hear the same loudspeakers, in one order.

    The order of a single village is its own. Of several with different orders the language of the
    larger shares together comes first.

    >>> together([[Spoken("hre", 80), Spoken("vi", 20)], [Spoken("cua", 60), Spoken("vi", 40)]])
    ['hre', 'vi', 'cua']
    """
    orders = [tuple(each) for each in villages if each]
    if len({tuple(one.language for one in order) for order in orders}) <= 1:
        return [one.language for one in orders[0]] if orders else []
    weights: dict[str, float] = {}
    for order in orders:
        for one, share in zip(order, _shares(order), strict=True):
            weights[one.language] = weights.get(one.language, 0.0) + share
    return sorted(weights, key=lambda language: -weights[language])


def sounding(order: Iterable[str], versions: Collection[str], original: str) -> list[str]:
    """Languages in which a bulletin is heard where these are spoken.

    Args:
        order: Of the place.
        versions: Languages other than the original's in which there is a version.
        original: Language of the bulletin itself.

    Returns:
        In the order of the place; the original alone where nothing fits, also where the place has
        no languages on record.

    >>> sounding(["hre", "vi"], {"hre", "cua"}, "vi")
    ['hre', 'vi']
    >>> sounding(["hre"], set(), "vi")
    ['vi']
    """
    return [each for each in order if each == original or each in versions] or [original]

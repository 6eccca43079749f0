"""Villages and what they heard in which language, as a CSV file for a spreadsheet."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from io import StringIO

from broadcast.kit.languages import LANGUAGES, named
from broadcast.languages.coverage import Village

_ANSWERS = {True: "có", False: "không", None: "chưa ghi tiếng"}


def sheet(villages: Iterable[Village]) -> str:
    """A line for each village."""
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(
        ["Mã thôn", "Thôn", "Mã xã", "Xã", "Tiếng của số đông", "Đã nghe bằng tiếng đó"]
        + [f"Buổi phát {named(each)}" for each in LANGUAGES]
    )
    for each in villages:
        main = "" if each.majority is None else named(each.majority)
        cells = [each.code, each.name, each.commune_code, each.commune, main]
        counts = [str(each.heard.get(language, 0)) for language in LANGUAGES]
        writer.writerow([*map(_plain, cells), _ANSWERS[each.is_served], *counts])
    return "\ufeff" + text.getvalue()  # by which a spreadsheet knows UTF-8


def _plain(text: str) -> str:
    """Text that a spreadsheet does not take for a formula."""
    return "'" + text if text.startswith(tuple("=+-@\t\r")) else text

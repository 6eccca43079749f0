"""Villages and what they heard in which language, as a CSV file for a spreadsheet."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from io import StringIO

from broadcast.kit.languages import LANGUAGES, named
from broadcast.kit.sheets import as_text
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
        writer.writerow([*map(as_text, cells), _ANSWERS[each.is_served], *counts])
    return "\ufeff" + text.getvalue()  # by which a spreadsheet knows UTF-8

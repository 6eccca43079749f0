"""Days and moments as people write and read them: one rule for REST, CSV files and commands.

A moment is RFC 3339 text. Without an offset it is the province's wall time, and a bare day is its
first minute; answers carry +07:00. Numbers and years that no register knows are refused, so that
no sum that follows can leave the calendar.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer
from pydantic.json_schema import JsonSchemaMode, JsonSchemaValue
from pydantic_core import CoreSchema

from broadcast.kit.clock import LOCAL

DAY_SAID = "phải là ngày, dạng 2025-03-08, từ năm 1900 đến 2099"
MOMENT_SAID = (
    "phải là thời điểm từ năm 2000 đến 2099, dạng 2025-03-08T05:00:00+07:00; không ghi múi giờ"
    " nghĩa là giờ Việt Nam; trong địa chỉ URL viết dấu + là %2B"
)


def _calendar(centuries: str, leaps: str) -> str:
    """Pattern of every day that exists in these centuries, and of no other."""
    year = rf"(?:{centuries})[0-9]{{2}}"
    return (
        rf"(?:{year}-(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
        rf"|{year}-(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
        rf"|{year}-02-(?:0[1-9]|1[0-9]|2[0-8])"
        rf"|(?:{leaps})-02-29)"
    )


_LEAP = "0[48]|[2468][048]|[13579][26]"
DAY_PATTERN = f"^{_calendar('19|20', f'(?:19|20)(?:{_LEAP})|2000')}$"
MOMENT_PATTERN = (
    f"^{_calendar('20', f'20(?:{_LEAP}|00)')}"
    r"(?:[Tt ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,9})?)?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])?)?$"
)
SHOWN_PATTERN = r"\+07:00$"


def day(text: str) -> date:
    """A calendar day, YYYY-MM-DD, of the years 1900 to 2099.

    Raises:
        ValueError: It is none.
    """
    if re.fullmatch(DAY_PATTERN[1:-1], text) is None:
        raise ValueError(DAY_SAID)
    return date.fromisoformat(text)


def moment(text: str) -> datetime:
    """A moment of the years 2000 to 2099, in UTC.

    >>> moment("2025-07-01T05:00") == moment("2025-07-01 05:00:00+07:00")
    True
    >>> moment("2025-07-01").isoformat()
    '2025-06-30T17:00:00+00:00'

    Raises:
        ValueError: It is none.
    """
    if re.fullmatch(MOMENT_PATTERN[1:-1], text) is None:
        raise ValueError(MOMENT_SAID)
    return _aware(datetime.fromisoformat(text.upper()))


def shown(at: datetime) -> str:
    """A moment as an answer for people carries it: wall time with +07:00."""
    return _aware(at).astimezone(LOCAL).isoformat()


def _aware(at: datetime) -> datetime:
    return (at if at.tzinfo else at.replace(tzinfo=LOCAL)).astimezone(UTC)


def _to_day(value: Any) -> Any:
    if isinstance(value, datetime) or not isinstance(value, date | str):
        raise ValueError(DAY_SAID)  # noqa: TRY004  pydantic takes no TypeError
    return day(value) if isinstance(value, str) else value


def _to_moment(value: Any) -> Any:
    if not isinstance(value, datetime | str):
        raise ValueError(MOMENT_SAID)  # noqa: TRY004  pydantic takes no TypeError
    if isinstance(value, str):
        return moment(value)
    try:
        shown(value)
    except OverflowError:  # infinity of PostgreSQL, or so near the end of time
        raise ValueError(MOMENT_SAID) from None
    return _aware(value)


class _Described:
    """The JSON schema of what is taken and of what is answered."""

    def __init__(self, taken: JsonSchemaValue, answered: JsonSchemaValue) -> None:
        self._taken = taken
        self._answered = answered

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: Any) -> JsonSchemaValue:
        mode: JsonSchemaMode = handler.mode
        return dict(self._taken if mode == "validation" else self._answered)


Day = Annotated[
    date,
    BeforeValidator(_to_day),
    _Described(
        {"type": "string", "pattern": DAY_PATTERN, "examples": ["2025-03-08"]},
        {"type": "string", "format": "date"},
    ),
]
"""A calendar day of the province."""

Moment = Annotated[
    datetime,
    BeforeValidator(_to_moment),
    PlainSerializer(shown, return_type=str, when_used="json"),
    _Described(
        {
            "type": "string",
            "pattern": MOMENT_PATTERN,
            "examples": ["2025-03-08T05:00:00+07:00", "2025-03-08T05:00"],
        },
        {"type": "string", "format": "date-time", "pattern": SHOWN_PATTERN},
    ),
]
"""A moment: taken as above, kept in UTC, answered with +07:00."""

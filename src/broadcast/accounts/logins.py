"""Names with which people sign in. Pure."""

from __future__ import annotations

import re
import unicodedata

from broadcast.kit.errors import InvalidInput

PATTERN = r"^[a-z0-9][a-z0-9._@-]{2,63}$"
"""Of a new login: plain letters, so that it is typed the same on every keyboard."""


def normalised(login: str) -> str:
    """A login as it is looked up, however it was typed.

    >>> normalised(" Lan.Nguyen ")
    'lan.nguyen'
    """
    return unicodedata.normalize("NFKC", login).strip().casefold()


def new(login: str) -> str:
    """A login as it is stored.

    Raises:
        InvalidInput: It has other letters than those of `PATTERN`, or is too short or too long.
    """
    name = normalised(login)
    if not re.fullmatch(PATTERN[1:-1], name):
        raise InvalidInput(
            "login",
            "gồm 3 đến 64 chữ thường không dấu, chữ số hoặc dấu “._@-”, đầu là chữ hoặc số",
        )
    return name

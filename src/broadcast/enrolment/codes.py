"""Claim codes as people copy them, and generated passwords. Pure, but for the randomness."""

from __future__ import annotations

import hashlib
import secrets

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: none of its characters looks like another."""

CODE_CHARACTERS = 12
"""60 bits: nobody guesses one that holds for an hour, and a plain hash of it tells nothing."""

_READ_AS = str.maketrans("OIL", "011")

PASSWORD_CHARACTERS = 24
"""120 bits, typed once."""


def new_code() -> str:
    """A claim code: three groups of four characters."""
    characters = _random(CODE_CHARACTERS)
    return "-".join(characters[start : start + 4] for start in range(0, CODE_CHARACTERS, 4))


def new_password() -> str:
    """A password for a box, of characters that cannot be mistaken for each other."""
    return _random(PASSWORD_CHARACTERS)


def code_digest(code: str) -> str:
    """Hash under which a claim code is stored; the same however somebody has copied it.

    >>> code_digest("7k2m-o9ab-l0zx") == code_digest(" 7K2M 09AB 10ZX")
    True
    """
    kept = "".join(character for character in code.upper() if character.isalnum())
    return hashlib.sha256(kept.translate(_READ_AS).encode()).hexdigest()


def _random(count: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(count))

"""Passwords: which may be chosen, and how they are stored.

After NIST SP 800-63B: long rather than colourful, none that is common, no expiry. Argon2id with
OWASP's first parameters (19 MiB, two passes, one lane; 34 ms on the machine this was written on).
Letters are composed first: a phone and a keyboard may send different bytes for the same password.
"""

from __future__ import annotations

import asyncio
import gzip
import re
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.resources import files
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from broadcast.kit.errors import InvalidInput

SHORTEST, LONGEST = 10, 128
"""In characters, after normalising."""

FEWEST_DIFFERENT = 5
"""Different characters."""

AT_ONCE = 2
"""Hashes computed at a time, of 19 MiB each; the others wait."""

HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)

_THREADS = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="argon2")

R = TypeVar("R")


def normalised(password: str) -> str:
    r"""A password as it is hashed.

    >>> len(normalised("Tua\u0302\u0301n"))
    4
    """
    return unicodedata.normalize("NFC", password)


def check(password: str, *about: str, field: str = "password") -> None:
    """Refuse a password that others would try.

    Args:
        password: As it was typed.
        about: Words about the account, such as its name and login.
        field: Named in the refusal.

    Raises:
        InvalidInput: It is too short, too long or too simple, it is common, or it is made of words
            about the account or the work.
    """
    chosen = normalised(password)
    if not SHORTEST <= len(chosen) <= LONGEST:
        raise InvalidInput(field, f"cần từ {SHORTEST} đến {LONGEST} ký tự")
    if len(set(chosen)) < FEWEST_DIFFERENT:
        raise InvalidInput(field, f"cần ít nhất {FEWEST_DIFFERENT} ký tự khác nhau")
    word = _letters(chosen)
    if not word:
        raise InvalidInput(field, "chỉ có chữ số và dấu nên dễ đoán; hãy ghép bốn, năm từ")
    own = {_letters(each) for each in about} | {
        _letters(part) for each in about for part in re.split(r"[\s.@_-]+", each)
    }
    if chosen.casefold() in _common() or word in _common() | _local_words() | own:
        raise InvalidInput(
            field, "nhiều người đặt như vậy nên dễ đoán; hãy ghép bốn, năm từ không liên quan"
        )


def _letters(text: str) -> str:
    """The word that a password is made of: without tones, marks, digits around it, and case.

    >>> _letters("Quảng Ngãi@2025")
    'quangngai'
    """
    plain = unicodedata.normalize("NFKD", text.casefold().replace("đ", "d"))
    kept = "".join(each for each in plain if each.isalnum())
    return kept.strip("0123456789")


@cache
def _common() -> frozenset[str]:
    packed = files("broadcast.accounts").joinpath("data/common-passwords.txt.gz").read_bytes()
    return frozenset(gzip.decompress(packed).decode().split("\n")) - {""}


@cache
def _local_words() -> frozenset[str]:
    text = files("broadcast.accounts").joinpath("data/local-words.txt").read_text()
    return frozenset(text.split())


async def hashed(password: str) -> str:
    """A password as it is stored."""
    return await _in_thread(lambda: HASHER.hash(normalised(password)))


async def verify(stored: str | None, password: str) -> bool:
    """Tell whether a password is the stored one; without a stored one it takes as long."""
    return await _in_thread(lambda: _matches(stored or _nobodys(), password) and bool(stored))


def is_outdated(stored: str) -> bool:
    """Tell whether a password is stored with other parameters than today's."""
    return HASHER.check_needs_rehash(stored)


def _matches(stored: str, password: str) -> bool:
    try:
        return HASHER.verify(stored, normalised(password))
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobodys() -> str:
    return HASHER.hash("of nobody")


async def _in_thread(work: Callable[[], R]) -> R:
    return await asyncio.get_running_loop().run_in_executor(_THREADS, work)

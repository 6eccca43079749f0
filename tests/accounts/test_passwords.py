"""Passwords: which are taken, how they are stored, and that letters may be composed or not."""

from __future__ import annotations

import asyncio
import threading
import unicodedata

import pytest
from argon2 import PasswordHasher

from broadcast.accounts import passwords
from broadcast.kit.errors import InvalidInput

GOOD = ["bốn con trâu ăn cỏ", "correct horse battery", "Trời9mưa-ở-Lý-Sơn", "ngãi ba chín hai"]
BAD = [
    "ngắn quá",
    "x" * 129,
    "aaaaaaaaaaaa",
    "1234567890",
    "qwertyuiop",
    "password2026!",
    "Matkhau@2026",
    "Mật khẩu 123",
    "Quảng Ngãi 2026",
    "TRUYENTHANH123",
    "Nguyễn Thị Lan 1990",
    "lan.nguyen.1990",
    "0905 123 456",
]


@pytest.mark.parametrize("password", GOOD)
def test_a_long_one_of_several_words_is_taken(password: str) -> None:
    passwords.check(password, "lan.nguyen", "Nguyễn Thị Lan")


@pytest.mark.parametrize("password", BAD)
def test_what_others_would_try_is_refused(password: str) -> None:
    with pytest.raises(InvalidInput, match=r"^password: "):
        passwords.check(password, "lan.nguyen", "Nguyễn Thị Lan")


def test_the_list_is_there() -> None:
    assert len(passwords._common()) > 19_000


async def test_composed_or_not_it_is_the_same_password() -> None:
    stored = await passwords.hashed(unicodedata.normalize("NFC", GOOD[0]))
    assert await passwords.verify(stored, unicodedata.normalize("NFD", GOOD[0]))
    assert not await passwords.verify(stored, GOOD[0] + "x")
    assert "$argon2id$v=19$m=19456,t=2,p=1$" in stored


async def test_nobody_s_password_is_never_right() -> None:
    assert not await passwords.verify(None, "of nobody")
    assert not await passwords.verify("not a hash", "not a hash")


def test_a_hash_of_other_parameters_is_outdated() -> None:
    assert passwords.is_outdated(PasswordHasher(1, 8, 1).hash(GOOD[0]))
    assert not passwords.is_outdated(passwords.HASHER.hash(GOOD[0]))


async def test_few_are_computed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes 19 MiB: a flood of sign-ins must not take the machine's memory."""
    at_once, most, lock = 0, 0, threading.Lock()
    gate = threading.Event()

    def hash_(_: str) -> str:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        gate.wait(0.02)
        with lock:
            at_once -= 1
        return ""

    class Counting:
        hash = staticmethod(hash_)

    monkeypatch.setattr(passwords, "HASHER", Counting())
    await asyncio.gather(*(passwords.hashed("x") for _ in range(20)))
    assert most == passwords.AT_ONCE

"""Encryption of secrets that are needed again, such as those of authenticator apps.

With a key in a file (`BROADCAST_SIGN_IN__SECRET_KEY_FILE`) a copy of the database alone gives none
of them away. Without one they stand there as they are: who reads the table can make the codes.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from broadcast.kit.errors import Unavailable, because

_ENCRYPTED, _PLAIN = "fernet:", "plain:"


class SecretKey:
    """Encrypts for one purpose each: a secret that was moved to another row is none there."""

    def __init__(self, keys: tuple[str, ...] = ()) -> None:
        """Take the keys of a file: the first encrypts, the others still decrypt.

        Raises:
            ValueError: One of them is no key.
        """
        self._fernet = MultiFernet([Fernet(key) for key in keys]) if keys else None
        # Without a file tickets are good in this process alone, until it ends.
        self._tickets = self._fernet or MultiFernet([Fernet(Fernet.generate_key())])

    def encrypt(self, secret: str, purpose: str) -> str:
        """A secret as it is stored."""
        if self._fernet is None:
            return _PLAIN + secret
        return _ENCRYPTED + self._fernet.encrypt(f"{purpose} {secret}".encode()).decode()

    def decrypt(self, stored: str, purpose: str) -> str:
        """The secret.

        Raises:
            Unavailable: It was encrypted with another key, or for another purpose.
        """
        if stored.startswith(_PLAIN):
            return stored.removeprefix(_PLAIN)
        named, _, secret = self._open(stored.removeprefix(_ENCRYPTED)).partition(" ")
        if named != purpose:
            raise Unavailable(
                "Không giải mã được bí mật đã lưu; hãy báo quản trị kiểm tra"
                " BROADCAST_SIGN_IN__SECRET_KEY_FILE."
            )
        return secret

    def _open(self, stored: str) -> str:
        try:
            return "" if self._fernet is None else self._fernet.decrypt(stored).decode()
        except InvalidToken:
            return ""

    def ticket(self, content: str, now: datetime) -> str:
        """A text that comes back from a browser, which can neither read nor change it."""
        return self._tickets.encrypt_at_time(content.encode(), int(now.timestamp())).decode()

    def open_ticket(self, ticket: str, valid: timedelta, now: datetime) -> str | None:
        """What a ticket says; None where it is none of ours, or older than `valid`."""
        seconds, at = int(valid.total_seconds()), int(now.timestamp())
        try:
            return self._tickets.decrypt_at_time(ticket, seconds, at).decode()
        except InvalidToken:
            return None

    def is_outdated(self, stored: str) -> bool:
        """Tell whether a secret is stored as it is, though there is a key."""
        return self._fernet is not None and stored.startswith(_PLAIN)


@cache
def load(file: Path | None) -> SecretKey:
    """The key of a file, one key a line, the newest first.

    Raises:
        Unavailable: There is no such file, or it holds something else.
    """
    if file is None:
        return SecretKey()
    try:
        return SecretKey(tuple(file.read_text().split()))
    except OSError as error:
        raise Unavailable(
            f"Không đọc được {file} ({because(error)}); hãy sửa"
            " BROADCAST_SIGN_IN__SECRET_KEY_FILE."
        ) from None
    except ValueError:
        raise Unavailable(
            f"{file} không chứa khóa; hãy tạo bằng broadcast accounts create-key."
        ) from None


def create(file: Path) -> None:
    """Put a new key into a file, before those that it holds.

    Raises:
        Unavailable: It cannot be written.
    """
    try:
        held = file.read_text() if file.exists() else ""
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_name(file.name + ".new")
        fresh.touch(mode=0o600, exist_ok=False)
        fresh.write_text(f"{Fernet.generate_key().decode()}\n{held}")
        fresh.replace(file)
    except OSError as error:
        raise Unavailable(
            f"Không ghi được {file} ({because(error)}); hãy chọn thư mục khác."
        ) from None

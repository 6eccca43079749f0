"""Where private keys lie: one interface, kept by files or by a device of its own (PKCS#11)."""

from __future__ import annotations

from typing import Protocol

from broadcast import config
from broadcast.kit.errors import BroadcastError
from broadcast.wire.envelope import SigningKey, Use


class UnusableKey(BroadcastError):
    """A key, or what protects it, is there and cannot be used."""

    slug = "unusable-key"
    title = "Khóa ký không dùng được"


class KeyStore(Protocol):
    """The private keys of this machine. Both methods may take long: call them in a thread."""

    @property
    def place(self) -> str:
        """Where it is, with the setting that says so; for messages."""

    def load(self) -> list[SigningKey]:
        """All keys, ready to sign; `SigningKey.sign` may be called from any thread.

        Raises:
            UnusableKey: One of them cannot be used.
            Unavailable: What holds or protects them is not there.
        """

    def create(self, use: Use) -> SigningKey:
        """Make a key, and keep it; durable when this returns.

        Raises:
            UnusableKey, Unavailable: As `load`.
        """


def open_store(settings: config.Keys) -> KeyStore:
    """The store that the settings name.

    Raises:
        Unavailable: The part of the program that it needs is not installed.
    """
    if settings.pkcs11_module is not None:
        from broadcast.keys.pkcs11_store import Pkcs11Store  # noqa: PLC0415  an optional extra

        return Pkcs11Store(settings)
    from broadcast.keys.file_store import FileStore  # noqa: PLC0415  as the other

    return FileStore(settings)

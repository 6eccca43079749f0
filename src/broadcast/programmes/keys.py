"""The province's signing keys: two files that nothing but this process need read."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import NamedTuple

from broadcast import config
from broadcast.kit.errors import BroadcastError, Unavailable, because
from broadcast.wire.documents import PublicKey
from broadcast.wire.envelope import SigningKey, Use

CREATE = "broadcast keys create"


class UnusableKey(BroadcastError):
    """A key file is there and cannot be used."""

    slug = "unusable-key"
    title = "Khóa ký không dùng được"


class Keys(NamedTuple):
    """Signing keys of the province."""

    programme: SigningKey
    """Programmes, configs and commands."""
    alert: SigningKey
    """Alerts and nothing else."""

    def public(self) -> list[PublicKey]:
        """Return the keys that devices pin, programme key first."""
        return [key.public() for key in self]


def load_keys(settings: config.Keys) -> Keys:
    """Read both keys.

    Raises:
        Unavailable: A file is missing; says how to make it.
        UnusableKey: A file is no private Ed25519 key, or everybody may read it.
    """
    return Keys(_load(settings.programme_file, "programme"), _load(settings.alert_file, "alert"))


def create_keys(settings: config.Keys) -> list[Path]:
    """Make the key files that do not exist, for their owner alone; an existing one stays.

    Returns:
        Files that were made.
    """
    expected: list[tuple[Path, Use]] = [
        (settings.programme_file, "programme"),
        (settings.alert_file, "alert"),
    ]
    return [path for path, use in expected if _create(path, use)]


_RESTORE = (
    f"hãy khôi phục từ bản sao lưu. Khóa mới (xóa tệp rồi `{CREATE}`) buộc mọi thiết bị phải đăng "
    "ký lại."
)


def _load(path: Path, use: Use) -> SigningKey:
    name = f"{path} (BROADCAST_KEYS__{use.upper()}_FILE)"
    try:
        text, mode = path.read_text(), path.stat().st_mode
    except FileNotFoundError:
        raise Unavailable(f"Chưa có khóa ký {name}; hãy chạy `{CREATE}`.") from None
    except OSError as error:
        raise UnusableKey(
            f"Không đọc được khóa ký {name}: {because(error)}; hãy cho tài khoản chạy chương "
            "trình quyền đọc tệp này."
        ) from None
    except UnicodeDecodeError:
        raise UnusableKey(f"{name} không phải khóa bí mật Ed25519; {_RESTORE}") from None
    if mode & 0o007:
        raise UnusableKey(f"Ai cũng đọc được khóa bí mật {name}; hãy chạy `chmod 600 {path}`.")
    try:
        return SigningKey.from_jwk(text, use)
    except ValueError:
        raise UnusableKey(f"{name} không phải khóa bí mật Ed25519; {_RESTORE}") from None


def _create(path: Path, use: Use) -> bool:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists():
        return False
    # Beside its place and then linked to it: nobody finds half a key, and none is overwritten.
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(SigningKey.generate(use).to_jwk() + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        Path(draft).unlink()
    return True

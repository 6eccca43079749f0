"""Private keys as files: PKCS#8, encrypted with a passphrase that lies elsewhere.

What that protects: a copy of the folder (a backup, a disk that is sold, a folder shared by
mistake) is worth nothing without the passphrase. What it does not: whoever is root on the running
machine, or the user of the services, has both.
"""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from pathlib import Path
from typing import get_args

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from broadcast import config
from broadcast.keys.stores import UnusableKey
from broadcast.kit.errors import Unavailable, because
from broadcast.wire.envelope import SigningKey, Use, private_of_jwk

DIR = "BROADCAST_KEYS__DIR"
PASSPHRASE_FILE = "BROADCAST_KEYS__PASSPHRASE_FILE"  # noqa: S105  the name of a setting

_NAME = re.compile(r"(programme|alert)-([A-Za-z0-9_-]{43})\.pem")
_RESTORE = "hãy khôi phục thư mục khóa và tệp mật khẩu từ cùng một bản sao lưu"


class FileStore:
    """A folder with a file for each key, `{use}-{kid}.pem`."""

    def __init__(self, settings: config.Keys) -> None:
        self._folder = settings.dir
        self._passphrase_file = settings.passphrase_file

    @property
    def place(self) -> str:
        """The folder."""
        return f"{self._folder} ({DIR})"

    def load(self) -> list[SigningKey]:
        """Read all keys, the oldest first; plain files of version 0.1 are encrypted before."""
        self._encrypt_jwks()
        return [self._read(path, use) for path, use in self._files()]

    def create(self, use: Use) -> SigningKey:
        """Make a key; and the passphrase, where there is no key yet that it must open."""
        return self._write(Ed25519PrivateKey.generate(), use)

    def _files(self) -> list[tuple[Path, Use]]:
        try:
            names = sorted(self._folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UnusableKey(
                f"Không đọc được thư mục khóa {self.place}: {because(error)}; hãy giao nó cho tài"
                " khoản chạy chương trình (broadcast)."
            ) from None
        found = []
        for path in names:
            match = _NAME.fullmatch(path.name)
            if match is not None:
                use: Use = "alert" if match[1] == "alert" else "programme"
                found.append((path, use))
        return found

    def _read(self, path: Path, use: Use) -> SigningKey:
        data = _read_secret(path, "khóa ký")
        passphrase = self._passphrase()
        try:
            private = load_pem_private_key(data, passphrase)
        except (ValueError, TypeError):
            raise UnusableKey(
                f"Không mở được khóa ký {path} bằng mật khẩu trong {self._passphrase_file}"
                f" ({PASSPHRASE_FILE}); {_RESTORE}."
            ) from None
        if not isinstance(private, Ed25519PrivateKey):
            raise UnusableKey(f"{path} không phải khóa bí mật Ed25519; {_RESTORE}.")
        key = SigningKey.from_private(private, use)
        if key.kid not in path.name:
            raise UnusableKey(f"{path} chứa khóa khác với tên của nó; {_RESTORE}.")
        return key

    def _write(self, private: Ed25519PrivateKey, use: Use) -> SigningKey:
        key = SigningKey.from_private(private, use)
        encryption = BestAvailableEncryption(self._passphrase(make=not self._files()))
        data = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
        _keep_secret(self._folder / f"{use}-{key.kid}.pem", data)
        return key

    def _passphrase(self, *, make: bool = False) -> bytes:
        path = self._passphrase_file
        if make and not path.exists():
            _keep_secret(path, secrets.token_hex(32).encode() + b"\n")
        try:
            passphrase = _read_secret(path, f"mật khẩu của khóa ký ({PASSPHRASE_FILE})").strip()
        except FileNotFoundError:
            raise Unavailable(
                f"Chưa có tệp mật khẩu của khóa ký {path} ({PASSPHRASE_FILE}); {_RESTORE}."
            ) from None
        if not passphrase:
            raise UnusableKey(
                f"Tệp mật khẩu của khóa ký {path} ({PASSPHRASE_FILE}) trống; {_RESTORE}."
            )
        return passphrase

    def _encrypt_jwks(self) -> None:
        """Replace the plain files of version 0.1; whatever dies meanwhile leaves one or both."""
        for use in get_args(Use):
            path = self._folder / f"{use}.jwk"
            if not path.exists():
                continue
            try:
                private = private_of_jwk(_read_secret(path, "khóa ký").decode())
            except ValueError:
                raise UnusableKey(f"{path} không phải khóa bí mật Ed25519; {_RESTORE}.") from None
            self._write(private, use)
            path.unlink(missing_ok=True)


def _read_secret(path: Path, what: str) -> bytes:
    """Bytes of a file that not everybody may read.

    Raises:
        FileNotFoundError: There is none.
        UnusableKey: It cannot be read, or everybody may read it.
    """
    try:
        data, mode = path.read_bytes(), path.stat().st_mode
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnusableKey(
            f"Không đọc được {what} {path}: {because(error)}; hãy cho tài khoản chạy chương trình"
            " quyền đọc tệp này."
        ) from None
    if mode & 0o007:
        raise UnusableKey(f"Ai cũng đọc được {what} {path}; hãy chạy `chmod 600 {path}`.")
    return data


def _keep_secret(path: Path, data: bytes) -> None:
    """Write a file for its owner alone, whole or not at all; one that is there stays.

    Root leaves it to the owner of the folder: the services read it, not root.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Beside its place and then linked to it: nobody finds half of it, and none is overwritten.
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                if os.geteuid() == 0:
                    owner = path.parent.stat()
                    os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, path)
        except FileExistsError:
            return
        finally:
            Path(draft).unlink()
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise UnusableKey(
            f"Không ghi được {path}: {because(error)}; hãy giao thư mục {path.parent} cho tài"
            " khoản chạy chương trình (broadcast)."
        ) from None

"""The list of all that a backup holds, with the SHA-256 of each file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from broadcast.kit.errors import BroadcastError, because

NAME = "manifest.json"
DATABASE = "database.dump"
"""Of `pg_dump --format=custom`."""
CONTENT = "content"
KEYS = "keys"
MARK = "database.mark"
"""File beside the keys that says how far the database had come: never put back."""
REVOKED = "revoked.json"
"""File beside the keys with what is revoked: put back only where there is none."""


class UnusableBackup(BroadcastError):
    """A folder that is no backup, or not any more what it was."""

    slug = "unusable-backup"
    title = "Bản sao lưu không dùng được"


class Digest(msgspec.Struct, frozen=True):
    """A file as it was written."""

    sha256: str
    size_bytes: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A backup.

    Attributes:
        format: Of this description.
        begun_at: When the database was read; all that was committed before is in it.
        server_version: Major version of PostgreSQL that wrote the dump.
        revision: Of the schema.
        missing: Audio that the database names and that was not in the store, by SHA-256.
        files: By their path inside the backup.
    """

    format: int = 1
    begun_at: datetime
    server_version: int
    revision: str
    missing: list[str]
    files: dict[str, Digest]


class Fault(NamedTuple):
    """A file that is not what the manifest says, and what is the matter."""

    path: str
    detail: str


def digest(path: Path) -> Digest:
    """Read a file and return what it is."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return Digest(sha256, file.tell())


def encode(manifest: Manifest) -> bytes:
    """The manifest as it is stored: to be read by people, too."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"


def read(folder: Path) -> Manifest:
    """Read the manifest of a backup.

    Raises:
        UnusableBackup: The folder is none, or its manifest cannot be read.
    """
    path = folder / NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except OSError as error:
        raise UnusableBackup(
            f"{path}: {because(error)}; hãy chỉ ra thư mục mà `broadcast backup create` đã in."
        ) from None
    except msgspec.MsgspecError:
        raise UnusableBackup(f"{path} bị hỏng; hãy dùng bản sao lưu khác.") from None


def faults(folder: Path, manifest: Manifest) -> Iterator[Fault]:
    """Compare every file of a backup with its manifest, byte for byte."""
    for name, expected in manifest.files.items():
        path = folder / name
        if ".." in Path(name).parts or not path.is_file() or path.is_symlink():
            yield Fault(name, "không có")
            continue
        try:
            found = digest(path)
        except OSError as error:
            yield Fault(name, because(error))
            continue
        if found.size_bytes != expected.size_bytes:
            yield Fault(name, f"dài {found.size_bytes} byte thay vì {expected.size_bytes}")
        elif found.sha256 != expected.sha256:
            yield Fault(name, "nội dung đã đổi")
    listed = manifest.files.keys() | {NAME}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_dir() and name not in listed:
            yield Fault(name, "không có trong danh sách")

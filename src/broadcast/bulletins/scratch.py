"""Files that are only there while somebody works on them, and the uploads that wait for it.

A process locks the file or folder that it works on (flock); the lock ends with the
process, however that ends. So leftovers of a killed process are told from what is in use without
guessing by age.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

UPLOADS = ".upload-"
"""Prefix of files that are being received."""

WORK = ".prepare-"
"""Prefix of folders in which something is prepared."""

SETTLING_SECONDS = 900.0
"""A source that no row names may belong to a transaction that is not yet committed."""


def clear(content_dir: Path) -> int:
    """Remove what processes that died have left; returns how many files and folders."""
    removed = 0
    for left in (*content_dir.glob(f"{UPLOADS}*"), *content_dir.glob(f"{WORK}*")):
        with suppress(OSError):
            held = _lock(left)
            try:
                shutil.rmtree(left) if left.is_dir() else left.unlink()
                removed += 1
            finally:
                os.close(held)
    return removed


def upload(content_dir: Path) -> tuple[int, Path]:
    """A new file to receive an upload in: its descriptor, open for writing, and its name."""
    content_dir.mkdir(parents=True, exist_ok=True)
    while True:
        descriptor, name = tempfile.mkstemp(prefix=UPLOADS, dir=content_dir)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        # Between its making and its locking somebody may have cleared it.
        if os.fstat(descriptor).st_nlink:
            return descriptor, Path(name)
        os.close(descriptor)


@contextmanager
def folder(content_dir: Path) -> Iterator[Path]:
    """A new folder to work in, removed at the end."""
    content_dir.mkdir(parents=True, exist_ok=True)
    while True:
        made = Path(tempfile.mkdtemp(prefix=WORK, dir=content_dir))
        with suppress(OSError):
            held = _lock(made)
            break
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(held)


def _lock(path: Path) -> int:
    """Descriptor of a file or folder that nobody else holds.

    Raises:
        OSError: Somebody does, or it is gone.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def source_path(content_dir: Path, name: str) -> Path:
    """Return the path of an uploaded file that waits for its preparation."""
    return content_dir / "sources" / name


def keep(content_dir: Path, received: Path) -> str:
    """Give a received file the name under which it waits for its preparation; returns that."""
    name = uuid4().hex
    kept = source_path(content_dir, name)
    kept.parent.mkdir(parents=True, exist_ok=True)
    received.rename(kept)
    for path in (kept, kept.parent):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return name


def forget(content_dir: Path, name: str) -> None:
    """Remove a source whose preparation is over."""
    source_path(content_dir, name).unlink(missing_ok=True)


def forget_all_but(content_dir: Path, needed: Collection[str], now: float) -> None:
    """Remove sources that no preparation needs; `now` is Unix time."""
    for path in source_path(content_dir, "x").parent.glob("*"):
        with suppress(OSError):
            if path.name not in needed and path.stat().st_mtime < now - SETTLING_SECONDS:
                path.unlink()

"""Making a backup: a folder with the database, the audio and the keys, and its manifest.

The database is read first. Audio is stored before a row names it and never changed, so that what
is copied afterwards has all that the database speaks of.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.backup import manifest, postgres
from broadcast.backup.manifest import Digest, Manifest
from broadcast.bulletins.audio.prepared import content_path
from broadcast.bulletins.model import Rendition
from broadcast.bulletins.version_model import MixSound
from broadcast.kit.errors import Conflict

PARTIAL = ".partial"
"""Ending of the name of a backup that is not finished: nobody takes it for one."""


class Source(NamedTuple):
    """What the database said before it was dumped."""

    server_version: int
    revision: str
    audio: frozenset[str]
    """SHA-256 of all renditions."""


async def look(session: AsyncSession) -> Source:
    """Read what the manifest tells of the database."""
    version = int(await session.scalar(sa.text("SHOW server_version_num")) or 0)
    revision = await session.scalar(sa.text("SELECT version_num FROM alembic_version"))
    audio = await session.scalars(
        sa.union(sa.select(Rendition.sha256), sa.select(MixSound.sha256))
    )
    return Source(version // 10_000, revision or "", frozenset(audio))


def create(settings: config.Settings, source: Source, into: Path, now: datetime) -> Path:
    """Make a backup in a new folder inside `into`; returns the folder.

    Audio is hard-linked where the store lies on the same file system, and copied elsewhere; each
    file is read and its SHA-256 compared with its name.

    Raises:
        Conflict: There is a backup of this second.
        Failed: The database could not be read.
        OSError: A file could not be read or written.
    """
    programs = postgres.find(source.server_version)
    folder = into / f"{now:%Y%m%dT%H%M%SZ}"
    if folder.exists():
        raise Conflict(f"{folder} đã có; hãy chạy lại sau một giây.")
    draft = folder.with_name(folder.name + PARTIAL)
    into.mkdir(mode=0o700, parents=True, exist_ok=True)
    if draft.exists():
        shutil.rmtree(draft)
    draft.mkdir(mode=0o700)
    dsn = settings.postgres.dsn.get_secret_value()
    postgres.dump(programs, postgres.address(dsn), draft / manifest.DATABASE)
    files = {manifest.DATABASE: _sealed(draft / manifest.DATABASE)}
    for name, path in key_files(settings.keys):
        files[f"{manifest.KEYS}/{name}"] = _copied(path, draft / manifest.KEYS / name)
    for name, path in _content(settings.content_dir):
        target = draft / manifest.CONTENT / name
        found = _linked(path, target)
        if content_path(Path(), found.sha256) == Path(name) or not _is_digest(path.name):
            files[f"{manifest.CONTENT}/{name}"] = found
        else:
            target.unlink()  # not what its name says: no audio of ours
    missing = [each for each in source.audio if _in_backup(each) not in files]
    made = Manifest(
        begun_at=now,
        server_version=source.server_version,
        revision=source.revision,
        missing=sorted(missing),
        files=files,
    )
    (draft / manifest.NAME).write_bytes(manifest.encode(made))
    _sealed(draft / manifest.NAME)
    for path in [*(each for each in draft.rglob("*") if each.is_dir()), draft]:
        _sync(path)
    draft.rename(folder)
    _sync(into)
    return folder


def forget(into: Path, keep: int) -> None:
    """Remove the oldest backups beyond the newest `keep`, and drafts of earlier attempts."""
    made = sorted(path.parent for path in into.glob(f"2*T*Z*/{manifest.NAME}"))
    finished = [folder for folder in made if not folder.name.endswith(PARTIAL)]
    for folder in [*finished[:-keep], *into.glob(f"2*T*Z{PARTIAL}")]:
        shutil.rmtree(folder)


def key_files(keys: config.Keys) -> Iterator[tuple[str, Path]]:
    """Every file that lies where the keys do, with its name there: encrypted, as they are at rest.

    What they are encrypted with is not among them: a backup alone makes nobody the province. The
    mark is not, either: it says how far the database has come, not how far the backup has.
    """
    for path in sorted(keys.dir.rglob("*")):
        if path.is_file() and not path.name.startswith(".") and path.name != manifest.MARK:
            yield path.relative_to(keys.dir).as_posix(), path


def _content(folder: Path) -> Iterator[tuple[str, Path]]:
    """Audio, and uploads that wait for their preparation; not what is just being received."""
    found = []
    for root, folders, files in os.walk(folder):  # goes on where a folder vanishes meanwhile
        folders[:] = [each for each in folders if not each.startswith(".")]
        found += [Path(root, each) for each in files if not each.startswith(".")]
    for path in sorted(found):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path


def _is_digest(name: str) -> bool:
    return len(name) == 64 and not set(name) - set("0123456789abcdef")


def _in_backup(sha256: str) -> str:
    return f"{manifest.CONTENT}/{content_path(Path(), sha256).as_posix()}"


def _linked(path: Path, target: Path) -> Digest:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        target.hardlink_to(path)
    except OSError:  # another file system, or a file that is not ours
        return _copied(path, target)
    return manifest.digest(target)


def _copied(path: Path, target: Path) -> Digest:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copyfile(path, target)
    return _sealed(target)


def _sealed(path: Path) -> Digest:
    """Have a file that was written reach the disk, for its owner alone."""
    path.chmod(0o600)
    _sync(path)
    return manifest.digest(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

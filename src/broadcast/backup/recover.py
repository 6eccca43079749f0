"""Putting a backup back: the database whole, of audio and keys what is missing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.backup import manifest, postgres
from broadcast.backup.create import key_files
from broadcast.backup.manifest import Fault, Manifest, UnusableBackup
from broadcast.kit.errors import Conflict

LISTED = 10
"""Faults that an error names."""


class Recovered(NamedTuple):
    """What was put back."""

    audio: int
    keys: list[str]


def verify(folder: Path) -> tuple[Manifest, list[Fault]]:
    """Read every byte of a backup; returns its manifest and all that is wrong with it.

    Raises:
        UnusableBackup: It has no manifest that can be read.
        Unavailable: The programs to read its dump are missing.
    """
    made = manifest.read(folder)
    wrong = list(manifest.faults(folder, made))
    if not any(fault.path == manifest.DATABASE for fault in wrong):
        said = postgres.check(postgres.find(made.server_version), folder / manifest.DATABASE)
        if said is not None:
            wrong.append(Fault(manifest.DATABASE, said))
    return made, wrong


async def server_version(session: AsyncSession) -> int:
    """Major version of the server into which a backup is to be put back."""
    return int(await session.scalar(sa.text("SHOW server_version_num")) or 0) // 10_000


async def refuse_while_used(session: AsyncSession) -> None:
    """Make sure that no role works on the database.

    Raises:
        Conflict: One does.
    """
    others = await session.scalars(
        sa.text("""
            SELECT DISTINCT application_name FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()
              AND application_name LIKE 'broadcast.%'
            ORDER BY application_name
        """)
    )
    names = ", ".join(others)
    if names:
        raise Conflict(
            f"Đang có tiến trình dùng cơ sở dữ liệu này ({names}); hãy dừng máy chủ trước"
            " (systemctl stop broadcast.target)."
        )


def recover(folder: Path, settings: config.Settings, version: int, closing: str = "") -> Recovered:
    """Verify a backup and put it back; repeating it ends in the same.

    Everything is looked at before anything is changed. Keys that are there stay: one of another
    content is an error, because the fleet obeys one of the two and only a person knows which.

    Args:
        folder: The backup.
        settings: Where database, audio and keys belong.
        version: Major version of the server.
        closing: Statements at the end of the transaction that replaces the database.

    Raises:
        UnusableBackup: It is not whole, or of another version of PostgreSQL.
        Conflict: A key of another content is there.
        Failed: The database would not take it; it is as it was.
        OSError: A file could not be written.
    """
    made, wrong = verify(folder)
    if wrong:
        listed = "; ".join(f"{fault.path}: {fault.detail}" for fault in wrong[:LISTED])
        raise UnusableBackup(
            f"{len(wrong)} tệp trong {folder} sai so với lúc sao lưu ({listed}); chưa đổi gì,"
            " hãy dùng bản sao lưu khác."
        )
    if version < made.server_version:
        raise UnusableBackup(
            f"Bản sao lưu của PostgreSQL {made.server_version}, máy chủ này là {version}; hãy"
            f" dùng PostgreSQL {made.server_version} trở lên."
        )
    keys = list(_missing_keys(folder, made, settings.keys))
    for source, target in keys:
        _put(source, target, 0o600)
    audio = 0
    for name in made.files:
        head, _, inside = name.partition("/")
        target = settings.content_dir / inside
        if head == manifest.CONTENT and not _is_same(target, made, name):
            _put(folder / name, target, 0o644)
            audio += 1
    dsn = settings.postgres.dsn.get_secret_value()
    programs = postgres.find(made.server_version)
    postgres.put_back(programs, folder / manifest.DATABASE, postgres.address(dsn), closing)
    return Recovered(audio, [target.name for _, target in keys])


def _missing_keys(folder: Path, made: Manifest, keys: config.Keys) -> Iterator[tuple[Path, Path]]:
    there = dict(key_files(keys))
    for name, expected in made.files.items():
        head, _, inside = name.partition("/")
        if head != manifest.KEYS:
            continue
        path = there.get(inside)
        if path is None:
            yield folder / name, keys.dir / inside
        elif inside != manifest.REVOKED and manifest.digest(path) != expected:
            raise Conflict(
                f"Khóa {path} khác với khóa trong bản sao lưu; chưa đổi gì. Thiết bị chỉ nghe một"
                " trong hai: hãy so với thiết bị, rồi dời khóa sai đi nơi khác và chạy lại."
            )


def _is_same(path: Path, made: Manifest, name: str) -> bool:
    return path.is_file() and manifest.digest(path) == made.files[name]


def _put(source: Path, target: Path, mode: int) -> None:
    """Copy a file beside its place and rename it there: nobody finds half of one."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.restored")
    shutil.copyfile(source, draft)
    draft.chmod(mode)
    draft.replace(target)

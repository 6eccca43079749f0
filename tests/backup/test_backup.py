"""A backup is made, verified, and put back; whatever is not whole is refused before any change."""

from __future__ import annotations

import asyncio
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner

from broadcast import config
from broadcast.auditing import sealing
from broadcast.auditing.verify import verify
from broadcast.backup import create as making
from broadcast.backup import manifest, postgres, recover
from broadcast.backup.manifest import UnusableBackup
from broadcast.bulletins.audio.prepared import content_path
from broadcast.bulletins.model import Bulletin, RevisionState
from broadcast.cli import app
from broadcast.keys.file_store import FileStore
from broadcast.kit import db
from broadcast.kit.errors import Conflict
from broadcast.kit.limited_role import ROLE
from broadcast.visibility import row_security
from tests.auditing import worlds as audit
from tests.bulletins import make

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


class Installation:
    """A database with a bulletin, its audio and the keys."""

    def __init__(self, engine: AsyncEngine, dsn: str, folder: Path) -> None:
        self.engine = engine
        self.backups = folder / "backups"
        keys = config.Keys(dir=folder / "keys", passphrase_file=folder / "keys.passphrase")
        self.settings = config.Settings(
            postgres=config.Postgres(dsn=SecretStr(dsn)),
            keys=keys,
            content_dir=folder / "content",
        )

    async def build(self) -> None:
        FileStore(self.settings.keys).create("programme")
        FileStore(self.settings.keys).create("alert")
        await self.bulletin("Tiêm phòng")

    async def bulletin(self, title: str) -> None:
        async with db.transaction(self.engine) as session:
            bulletin = await make.bulletin(session, area_code="21001", title=title)
            sound = make.prepared(self.settings.content_dir, opus=title.encode() * 1000)
            await make.revision(session, bulletin, sound, RevisionState.APPROVED)

    async def back_up(self, at: datetime = NOW) -> Path:
        async with db.transaction(self.engine) as session:
            source = await making.look(session)
        return making.create(self.settings, source, self.backups, at)

    async def recover(self, folder: Path, closing: str = "") -> recover.Recovered:
        async with db.transaction(self.engine) as session:
            version = await recover.server_version(session)
        await self.engine.dispose()
        return recover.recover(folder, self.settings, version, closing)

    @property
    def alert_file(self) -> Path:
        [path] = self.settings.keys.dir.glob("alert-*.pem")
        return path

    async def titles(self) -> list[str]:
        async with db.transaction(self.engine) as session:
            return sorted(await session.scalars(sa.select(Bulletin.title)))

    def audio(self) -> list[Path]:
        return [path for path in self.settings.content_dir.rglob("*") if path.is_file()]


@pytest.fixture
async def installation(engine: AsyncEngine, postgres_dsn: str, tmp_path: Path) -> Installation:
    installation = Installation(engine, postgres_dsn, tmp_path)
    await installation.build()
    return installation


@pytest.mark.postgres
async def test_what_was_backed_up_comes_back_and_what_came_since_is_gone(
    installation: Installation,
) -> None:
    folder = await installation.back_up()
    audio = {path: path.read_bytes() for path in installation.audio()}
    keys = {key.kid for key in FileStore(installation.settings.keys).load()}
    names = sorted(path.name for path in installation.settings.keys.dir.iterdir())
    await installation.bulletin("Sau bản sao lưu")
    shutil.rmtree(installation.settings.content_dir)
    shutil.rmtree(installation.settings.keys.dir)

    done = await installation.recover(folder)

    assert await installation.titles() == ["Tiêm phòng"]
    assert {path: path.read_bytes() for path in installation.audio()} == audio
    assert {key.kid for key in FileStore(installation.settings.keys).load()} == keys
    assert installation.alert_file.stat().st_mode & 0o077 == 0
    assert (done.audio, sorted(done.keys)) == (2, names)
    async with installation.engine.connect() as connection:
        assert await row_security.missing(connection) is None
        grants = sa.text(f"SELECT has_table_privilege('{ROLE}', 'bulletins', 'SELECT')")
        assert await connection.scalar(grants) is True

    again = await installation.recover(await installation.back_up(NOW + timedelta(hours=1)))
    assert again == recover.Recovered(0, [])
    assert await installation.titles() == ["Tiêm phòng"]


async def test_a_backup_lacks_what_the_keys_are_encrypted_with(installation: Installation) -> None:
    folder = await installation.back_up()
    passphrase = installation.settings.keys.passphrase_file.read_bytes().strip()
    kept = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert not [each for each in kept if passphrase in each]


async def test_nobody_but_its_owner_reads_a_backup(installation: Installation) -> None:
    folder = await installation.back_up()
    for path in (folder, *folder.rglob("*")):
        if manifest.CONTENT not in path.relative_to(folder).parts:
            assert path.stat().st_mode & 0o077 == 0, path


async def test_every_changed_byte_is_found_and_nothing_of_it_is_put_back(
    installation: Installation,
) -> None:
    folder = await installation.back_up()
    made, wrong = recover.verify(folder)
    assert wrong == []
    await installation.bulletin("Sau bản sao lưu")
    for name in made.files:
        path = folder / name
        whole = path.read_bytes()
        path.unlink()  # a hard link: what it leads to is not ours to change
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        assert [fault.path for fault in recover.verify(folder)[1]] == [name]
        with pytest.raises(UnusableBackup, match="chưa đổi gì"):
            await installation.recover(folder)
        path.write_bytes(whole[:-1])
        assert [fault.path for fault in recover.verify(folder)[1]] == [name]
        path.write_bytes(whole)
    assert len(await installation.titles()) == 2


async def test_what_is_missing_or_was_added_is_found(installation: Installation) -> None:
    folder = await installation.back_up()
    (folder / "keys/stranger.pem").write_text("{}")
    alert = f"keys/{installation.alert_file.name}"
    (folder / alert).unlink()
    faults = recover.verify(folder)[1]
    assert {fault.path: fault.detail for fault in faults} == {
        alert: "không có",
        "keys/stranger.pem": "không có trong danh sách",
    }


async def test_a_folder_that_is_no_backup_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableBackup, match="không có tệp"):
        recover.verify(tmp_path)
    (tmp_path / manifest.NAME).write_text('{"format": 1}')
    with pytest.raises(UnusableBackup, match="bị hỏng"):
        recover.verify(tmp_path)


async def test_another_key_is_never_overwritten(installation: Installation) -> None:
    folder = await installation.back_up()
    key, new = installation.alert_file, b"another content"
    key.write_bytes(new)
    await installation.bulletin("Sau bản sao lưu")
    with pytest.raises(Conflict, match="chưa đổi gì"):
        await installation.recover(folder)
    assert key.read_bytes() == new
    assert len(await installation.titles()) == 2


async def test_a_database_that_refuses_the_end_stays_as_it_was(installation: Installation) -> None:
    folder = await installation.back_up()
    await installation.bulletin("Sau bản sao lưu")
    with pytest.raises(postgres.Failed, match="chưa đổi gì"):
        await installation.recover(folder, "SELECT no_such_function();")
    assert len(await installation.titles()) == 2


async def test_audio_that_is_lost_or_damaged_is_told_and_no_backup_of_damage_is_made(
    installation: Installation,
) -> None:
    [first, second] = sorted(installation.audio())
    first.write_bytes(b"damaged")
    second.unlink()
    made = manifest.read(await installation.back_up())
    assert made.missing == sorted([first.name, second.name])
    assert not [name for name in made.files if name.startswith(manifest.CONTENT)]


async def test_audio_lies_once_on_the_disk_and_stays_when_the_store_loses_it(
    installation: Installation,
) -> None:
    folder = await installation.back_up()
    [path, _] = installation.audio()
    kept = folder / manifest.CONTENT / path.relative_to(installation.settings.content_dir)
    assert kept.samefile(path)
    path.unlink()
    assert kept.exists()


async def test_only_so_many_backups_are_kept(installation: Installation) -> None:
    made = [await installation.back_up(NOW + timedelta(days=day)) for day in range(4)]
    stranger = installation.backups / "notes"
    stranger.mkdir()
    (installation.backups / f"20260309T010000Z{making.PARTIAL}").mkdir()
    making.forget(installation.backups, 2)
    assert sorted(installation.backups.iterdir()) == [*made[2:], stranger]


async def test_by_the_command_line(
    installation: Installation, postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = installation.settings.keys
    for name, value in {
        "ENV_FILE": "",
        "POSTGRES__DSN": postgres_dsn,
        "KEYS__DIR": str(keys.dir),
        "KEYS__PASSPHRASE_FILE": str(keys.passphrase_file),
        "CONTENT_DIR": str(installation.settings.content_dir),
    }.items():
        monkeypatch.setenv(f"BROADCAST_{name}", value)

    async def broadcast(*words: str) -> str:
        result = await asyncio.to_thread(CliRunner().invoke, app, list(words))
        assert result.exit_code == 0, result.output
        return result.output

    folder = (await broadcast("backup", "create", str(installation.backups))).partition(":")[0]
    assert "tốt: 5 tệp" in await broadcast("backup", "verify", folder)
    await installation.bulletin("Sau bản sao lưu")
    await installation.engine.dispose()
    await broadcast("restore", "from", folder)
    assert await installation.titles() == ["Tiêm phòng"]


async def test_nothing_is_put_back_under_a_role_that_works(
    installation: Installation, postgres_dsn: str
) -> None:
    used = db.create_engine(config.Postgres(dsn=SecretStr(postgres_dsn)), "broadcast.ingest")
    async with used.connect() as connection:
        await connection.execute(sa.text("SELECT 1"))
        async with db.transaction(installation.engine) as session:
            with pytest.raises(Conflict, match=r"broadcast\.ingest"):
                await recover.refuse_while_used(session)
    await used.dispose()
    async with db.transaction(installation.engine) as session:
        await recover.refuse_while_used(session)


def test_content_is_found_under_the_path_of_the_store(tmp_path: Path) -> None:
    sha256 = "ab" * 32
    assert making._in_backup(sha256) == f"content/ab/{sha256}"
    assert content_path(tmp_path, sha256) == tmp_path / "ab" / sha256


@pytest.mark.postgres
async def test_the_audit_comes_back_whole_goes_on_and_misses_what_came_since(
    installation: Installation,
) -> None:
    engine = installation.engine
    await audit.append(engine, 1, 5)
    await sealing.sign_new(engine, audit.KEY, NOW)
    folder = await installation.back_up()
    await audit.append(engine, 6, 8)
    await sealing.sign_new(engine, audit.KEY, NOW)
    async with db.transaction(engine) as session:
        since = (await verify(session, audit.TRUSTED)).last

    await installation.recover(folder)

    async with db.transaction(engine) as session:
        restored = await verify(session, audit.TRUSTED)
    assert (restored.last.seq, restored.findings) == (5, [])
    await audit.append(engine, 9, 12)
    await sealing.sign_new(engine, audit.KEY, NOW)
    async with db.transaction(engine) as session:
        gone_on = await verify(session, audit.TRUSTED)
        held_against = await verify(session, audit.TRUSTED, [since])
        with pytest.raises(DBAPIError, match="append-only"):
            await session.execute(sa.text("DELETE FROM audit_entries"))
    assert (gone_on.last.seq, gone_on.findings) == (9, [])
    assert [each.seq for each in held_against.findings] == [8]

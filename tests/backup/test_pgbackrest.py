"""Point-in-time recovery with pgBackRest of Debian: what operations.md says, and it is noticed."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from broadcast import config
from broadcast.areas.model import Area, Level
from broadcast.embedded.child import make_private, run, unprivileged_user
from broadcast.embedded.postgres import EmbeddedPostgres
from broadcast.kit import db
from broadcast.restore import credentials, mark
from broadcast.restore.model import Cause, Restore
from tests.conftest import DEBIAN
from tests.province import area

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(shutil.which("pgbackrest") is None, reason="pgbackrest is not installed"),
    pytest.mark.skipif(DEBIAN is None, reason="PostgreSQL of Debian is not installed"),
]

T = TypeVar("T")
NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


class Archived:
    """A server whose log pgBackRest keeps, and the mark beside the keys."""

    def __init__(self, folder: Path) -> None:
        self._user = unprivileged_user()
        self._repository = folder / "repository"
        for kept in (self._repository, folder / "lock", folder / "spool"):
            make_private(kept, self._user)
        self.postgres = EmbeddedPostgres(folder / "pg", DEBIAN, durable=False)
        self._settings = folder / "repository" / "pgbackrest.conf"
        self.keys = config.Keys(dir=folder)
        self._program = f"{shutil.which('pgbackrest')} --config={self._settings}"
        self._program += " --stanza=broadcast --log-level-console=warn"
        self._settings.write_text(
            f"""
[global]
repo1-path={self._repository}
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass={uuid4()}
lock-path={folder / "lock"}
spool-path={folder / "spool"}
log-level-file=off
start-fast=y
[broadcast]
pg1-path={self.postgres.data_dir}
pg1-socket-path={self.postgres.data_dir}
pg1-user=broadcast
pg1-database=postgres
"""
        )
        self._settings.chmod(0o644)

    def start(self) -> None:
        self.postgres.start()
        if self._user is not None:  # pgBackRest connects as the user of the server
            with (self.postgres.data_dir / "pg_ident.conf").open("a") as names:
                names.write(f'owner "{self._user}" broadcast\n')
        self.ask("SELECT pg_reload_conf()")
        while self.ask("SELECT pg_is_in_recovery()") == "t":
            self.ask("SELECT pg_sleep(0.1)")

    def keep_the_log(self) -> None:
        with (self.postgres.data_dir / "postgresql.conf").open("a") as settings:
            settings.write("archive_mode = on\nmax_wal_senders = 3\nwal_level = replica\n")
            settings.write(f"archive_command = '{self._program} archive-push %p'\n")
        self.postgres.stop()
        self.start()
        if self._user is not None:  # what root has written there pgBackRest could not put back
            for path in self.postgres.data_dir.iterdir():
                shutil.chown(path, self._user, self._user)
        self.pgbackrest("stanza-create")
        self.pgbackrest("check")
        self.pgbackrest("backup", "--type=full")
        self.ask("SELECT pg_sleep(1.1)")  # its end is known to a second

    def pgbackrest(self, *words: str) -> None:
        run([*self._program.split(), *words], self._user)

    def ask(self, query: str) -> str:
        assert DEBIAN is not None
        address = ("--host", str(self.postgres.data_dir), "--username", "broadcast")
        command = [DEBIAN / "psql", "--tuples-only", "--no-align", *address]
        return run([*command, "--command", query, "broadcast"]).strip()

    def commit(self, code: str) -> None:
        """A change, after which the mark grows, in the database first."""

        async def work(session: AsyncSession) -> None:
            session.add(area(code, Level.PROVINCE))
            grown = await mark.advance(session, NOW)
            await session.commit()
            mark.write(mark.path(self.keys), grown)

        self._within(work)

    def state(self) -> tuple[list[str], Cause | None]:
        """What the database has, and the restore that a process notices as it starts."""

        async def work(session: AsyncSession) -> tuple[list[str], Cause | None]:
            await credentials.notice(session, self.keys, NOW)
            areas = list(await session.scalars(sa.select(Area.code).order_by(Area.code)))
            return areas, await session.scalar(sa.select(Restore.cause))

        return self._within(work)

    def _within(self, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
        async def main() -> T:
            engine = create_async_engine(db.async_url(self.postgres.dsn), poolclass=sa.NullPool)
            async with AsyncSession(engine) as session:
                return await work(session)

        return asyncio.run(main())

    def restore(self, *words: str) -> None:
        self.ask("SELECT pg_switch_wal()")
        self.postgres.stop()
        self.pgbackrest("restore", "--delta", *words)
        self.start()


@pytest.fixture
def archived(tmp_path: Path) -> Iterator[Archived]:
    archived = Archived(tmp_path)
    archived.start()
    asyncio.run(db.migrate(archived.postgres.dsn))
    archived.commit("01")
    archived.keep_the_log()
    yield archived
    archived.postgres.stop()


def test_the_database_is_what_it_was_at_a_moment_and_is_not_believed(archived: Archived) -> None:
    archived.commit("02")
    moment = archived.ask("SELECT clock_timestamp()")
    archived.commit("03")
    archived.restore("--type=time", f"--target={moment}", "--target-action=promote")
    assert archived.state() == (["01", "02"], Cause.MARK)


def test_a_recovery_to_the_end_of_the_log_has_lost_nothing(archived: Archived) -> None:
    archived.commit("02")
    archived.restore()
    assert archived.state() == (["01", "02"], None)

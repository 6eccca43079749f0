"""PostgreSQL's own programs, of the version of the server: dump, and dump → database."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from broadcast.embedded.postgres import wheel_bin_dir
from broadcast.kit.errors import BroadcastError, Unavailable
from broadcast.kit.limited_role import GRANT

DEBIAN = Path("/usr/lib/postgresql")


class Failed(BroadcastError):
    """One of the programs ended with an error."""

    slug = "database-program-failed"
    title = "Chương trình của PostgreSQL báo lỗi"


class Address(NamedTuple):
    """A database, as PostgreSQL's programs are told it: no password among the arguments."""

    url: str
    password: str | None

    def environment(self) -> dict[str, str]:
        """Return the environment of a program that logs in there."""
        secret = {} if self.password is None else {"PGPASSWORD": self.password}
        return os.environ | {"LC_ALL": "C.UTF-8"} | secret


def address(dsn: str) -> Address:
    """Take the password out of the address of a database.

    >>> address("postgresql+asyncpg://an:bí-mật@localhost/broadcast")
    Address(url='postgresql://an@localhost/broadcast', password='bí-mật')
    """
    url = make_url(dsn)
    bare = sa.URL.create(
        "postgresql", url.username, None, url.host, url.port, url.database, url.query
    )
    return Address(bare.render_as_string(hide_password=False), url.password)


def _folders() -> Iterator[Path]:
    found = shutil.which("pg_dump")
    if found is not None:
        yield Path(found).parent
    yield from sorted(DEBIAN.glob("*/bin"))
    try:
        wheel = wheel_bin_dir()
    except Unavailable:
        return
    yield from sorted(wheel.parents[1].glob("pginstall*/bin"))


def find(major: int) -> Path:
    """Folder with the programs of a server's version.

    A dump by newer ones cannot be put back by those of the server, so no others will do.

    Raises:
        Unavailable: They are not installed.
    """
    for folder in _folders():
        program = folder / "pg_dump"
        if not program.exists():
            continue
        said = subprocess.run(  # noqa: S603 — found above
            [program, "--version"], capture_output=True, text=True, check=False
        ).stdout
        words = said.split()
        if len(words) > 2 and words[2].partition(".")[0] == str(major):
            return folder
    raise Unavailable(
        f"Thiếu pg_dump, pg_restore và psql của PostgreSQL {major}; hãy cài postgresql-client-"
        f"{major} trên máy này."
    )


def dump(programs: Path, source: Address, target: Path) -> None:
    """Write a consistent dump of a database; whoever works on it is not held up.

    Raises:
        Failed: It could not be read or written.
    """
    done = subprocess.run(  # noqa: S603 — our own argument list
        [
            *(programs / "pg_dump", "--format=custom", "--no-password"),
            *("--file", target, "--dbname", source.url),
        ],
        env=source.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Failed(
            f"Lệnh pg_dump báo: {_last(done.stderr)}; hãy xem lại kết nối, quyền và chỗ trống."
        )


def check(programs: Path, path: Path) -> str | None:
    """Read a dump to its end without restoring it; returns what is wrong with it."""
    done = subprocess.run(  # noqa: S603 — our own argument list
        [programs / "pg_restore", "--file=/dev/null", path],
        capture_output=True,
        text=True,
        check=False,
    )
    return _last(done.stderr) if done.returncode else None


EMPTY = """
DROP SCHEMA IF EXISTS public CASCADE;
CREATE SCHEMA public AUTHORIZATION pg_database_owner;
GRANT USAGE ON SCHEMA public TO PUBLIC;
"""
"""As PostgreSQL makes it."""


def put_back(programs: Path, path: Path, target: Address, closing: str = "") -> None:
    """Replace all that a database holds by a dump, in one transaction: all of it or nothing.

    Privileges are given anew: a role of the dump may not be there on a new machine.

    Args:
        programs: Of the server's version.
        path: The dump.
        target: The database; nobody else may be working on it.
        closing: Statements at the end of the transaction.

    Raises:
        Failed: The database is as it was.
    """
    read = subprocess.Popen(  # noqa: S603 — our own argument list
        [programs / "pg_restore", "--file=-", "--no-owner", "--no-acl", path],
        stdout=subprocess.PIPE,
    )
    written = subprocess.Popen(  # noqa: S603 — our own argument list
        [
            *(
                programs / "psql",
                "--no-psqlrc",
                "--no-password",
                "--quiet",
                "--single-transaction",
            ),
            *("--set", "ON_ERROR_STOP=1", "--output", os.devnull, "--dbname", target.url),
        ],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=target.environment() | {"PGOPTIONS": "--client-min-messages=warning"},
    )
    with read, written:
        assert read.stdout is not None
        assert written.stdin is not None
        assert written.stderr is not None
        with suppress(BrokenPipeError):  # it has ended, and says why
            written.stdin.write(EMPTY.encode())
            shutil.copyfileobj(read.stdout, written.stdin, 2**20)
            if read.wait() != 0:
                written.kill()  # before the end of its input, which would commit
            written.stdin.write(f"RESET search_path;{GRANT}{closing}".encode())
        read.kill()
        with suppress(BrokenPipeError):
            written.stdin.close()
        said = written.stderr.read().decode(errors="replace")
        if written.wait() != 0:
            raise Failed(
                f"Lệnh psql báo: {_last(said)}; cơ sở dữ liệu vẫn như trước, chưa đổi gì."
            )


def _last(said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or ["không nói gì"])[0][:500]

"""Our runner of PostgreSQL, with the wheel's binaries and with Debian's where they are."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from broadcast.embedded.postgres import EmbeddedPostgres
from broadcast.kit.errors import Unavailable
from tests.conftest import POSTGRES
from tests.waiting import until

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module", params=POSTGRES)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddedPostgres]:
    folder = tmp_path_factory.mktemp("embedded")
    with EmbeddedPostgres(folder / "data", POSTGRES[request.param]) as server:
        yield server


def ask(dsn: str, *statements: str) -> object:
    """Run statements on a connection of their own; the answer of the last one."""

    async def run() -> object:
        connection = await asyncpg.connect(dsn)
        try:
            return [await connection.fetchval(statement) for statement in statements][-1]
        finally:
            await connection.close()

    return asyncio.run(run())


def test_it_speaks_utc_and_utf8_and_keeps_what_is_committed_on_disk(
    server: EmbeddedPostgres,
) -> None:
    answers = [
        ask(server.dsn, f"SHOW {name}")
        for name in ("timezone", "server_encoding", "fsync", "listen_addresses")
    ]
    assert answers == ["UTC", "UTF8", "on", ""]


def test_what_is_committed_survives_a_kill_at_the_same_address(server: EmbeddedPostgres) -> None:
    dsn = server.create_database("killed")
    ask(dsn, "CREATE TABLE plays AS SELECT 42 AS id")
    server.kill()
    server.start()
    assert ask(dsn, "SELECT id FROM plays") == 42


def test_a_start_waits_for_what_a_killed_server_left_at_work(server: EmbeddedPostgres) -> None:
    async def kill_at_work() -> None:
        connection = await asyncpg.connect(server.dsn)
        # Busy for a second or two: a backend that waits would notice the death of its server.
        busy = "SELECT count(*) FROM generate_series(1, 4000) a, generate_series(1, 4000) b"
        work = asyncio.create_task(connection.execute(busy))
        await asyncio.sleep(0.1)
        server.kill()
        work.cancel()
        await asyncio.wait([work])
        connection.terminate()

    asyncio.run(kill_at_work())
    server.start()
    assert ask(server.dsn, "SELECT 1") == 1


def test_a_restart_keeps_address_and_data(server: EmbeddedPostgres) -> None:
    dsn = server.create_database("restarted")
    ask(dsn, "CREATE TABLE plays AS SELECT 42 AS id")
    server.restart()
    assert ask(dsn, "SELECT id FROM plays") == 42


def test_a_database_can_be_a_copy_of_another(server: EmbeddedPostgres) -> None:
    ask(server.create_database("original"), "CREATE TABLE plays AS SELECT 42 AS id")
    copy = server.create_database("copy", template="original")
    assert ask(copy, "SELECT id FROM plays") == 42
    server.drop_database("copy")
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        ask(copy, "SELECT 1")


def test_a_second_server_in_the_same_folder_is_refused_and_the_first_stays(
    server: EmbeddedPostgres,
) -> None:
    with pytest.raises(Unavailable, match="đang dùng thư mục này"):
        EmbeddedPostgres(server.data_dir, server.bin_dir).start()
    server.create_database("still_there")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_of_the_machine_is_not_let_in(server: EmbeddedPostgres) -> None:
    program = f"""
import asyncio, asyncpg, os
os.setgroups([]); os.setgid(65534); os.setuid(65534)
asyncio.run(asyncpg.connect({server.dsn!r}))
"""
    server.data_dir.chmod(0o755)  # or they would not even come as far as the socket
    intruder = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    server.data_dir.chmod(0o700)
    assert "InvalidAuthorizationSpecificationError" in intruder.stderr


def test_a_path_too_long_for_a_socket_is_no_obstacle(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100)
    with EmbeddedPostgres(folder, durable=False) as server:
        assert ask(server.dsn, "SELECT 1") == 1
        elsewhere = Path(server.dsn.partition("?host=")[2])
        server.kill()
        server.start()
        assert ask(server.dsn, "SELECT 1") == 1
    assert not elsewhere.exists()


def test_it_runs_below_a_folder_that_is_private_to_us(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    with EmbeddedPostgres(private / "data", durable=False) as server:
        assert ask(server.dsn, "SELECT 1") == 1
    # Others may pass to what they own, not look around.
    assert not private.stat().st_mode & 0o066


def test_the_lock_of_a_dead_server_whose_id_is_taken_does_not_stop_a_start(
    tmp_path: Path,
) -> None:
    server = EmbeddedPostgres(tmp_path / "data", durable=False)
    server.start()
    server.kill()
    lock = server.data_dir / "postmaster.pid"
    with subprocess.Popen(["sleep", "60"], user=server._user) as stranger:
        lines = lock.read_text().splitlines()
        lock.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        try:
            with server:
                assert ask(server.dsn, "SELECT 1") == 1
        finally:
            stranger.kill()


def test_a_first_start_that_was_interrupted_is_done_again(tmp_path: Path) -> None:
    draft = tmp_path / "data.new"
    draft.mkdir()
    (draft / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(tmp_path / "data", durable=False) as server:
        server.create_database("province")
    assert not draft.exists()


def test_a_failure_says_what_the_server_said(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "data", durable=False)
    with server:
        pass
    (server.data_dir / "postgresql.conf").write_text("shared_buffers = plenty\n")
    with pytest.raises(Unavailable, match="shared_buffers"):
        server.start()


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="the kernel is asked by setpriv")
def test_it_ends_in_order_with_a_program_that_is_killed(tmp_path: Path) -> None:
    program = f"""
from pathlib import Path
from broadcast.embedded.postgres import EmbeddedPostgres
server = EmbeddedPostgres(Path({str(tmp_path)!r}, "data"), durable=False)
server.start()
print(server.pid, flush=True)
input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        pid = next(int(line) for line in parent.stdout if line.strip().isdigit())
        parent.kill()
    until(lambda: not Path(f"/proc/{pid}").exists())
    assert not (tmp_path / "data/postmaster.pid").exists()


def test_a_first_start_that_was_killed_before_its_database_was_there_is_finished(
    tmp_path: Path,
) -> None:
    with EmbeddedPostgres(tmp_path / "data", durable=False) as server:
        server.drop_database("broadcast")
    with EmbeddedPostgres(tmp_path / "data", durable=False) as server:
        assert ask(server.dsn, "SELECT current_database()") == "broadcast"

"""What tests share: PostgreSQL and a broker started here, and no way out of this machine.

Each worker starts its own servers (initdb takes half a second), on demand. Tests marked
`postgres` run on every PostgreSQL there is, tests marked `broker` on every broker; the others on
the one from the wheel and on the best one.

`pytest --quick` (`make quick`) leaves out what starts a server and what is marked `slow`, and
tries a tenth of the examples of each property.
"""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import itertools
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import hypothesis
import psutil
import pytest
import structlog
from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from broadcast.config import Mqtt
from broadcast.embedded.broker import Broker, Kind, mosquitto
from broadcast.embedded.postgres import EmbeddedPostgres
from broadcast.kit import db
from tests.callers import add_people

DEBIAN = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
POSTGRES = {"wheel": None} | ({"debian": DEBIAN} if DEBIAN else {})
BROKERS: tuple[Kind, ...] = ("mosquitto", "amqtt") if mosquitto() else ("amqtt",)

# A shared machine stalls a test now and then; that is no finding.
hypothesis.settings.register_profile("whole", deadline=None)
hypothesis.settings.register_profile("quick", deadline=None, max_examples=10)

# Fixtures that start a server; whoever starts one in another way is marked `servers`.
SERVERS = {"postgres", "broker"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--postgres",
        choices=[*POSTGRES, "both"],
        help="for all tests; by default both where a test is marked, else the wheel's",
    )
    parser.addoption(
        "--quick", action="store_true", help="without servers, slow tests and most examples"
    )
    parser.addoption("--screens", help="folder for pictures of every page (`make screens`)")
    parser.addoption(
        "--install", action="store_true", help="execute docs/operations.md on a bare Debian"
    )


def pytest_configure(config: pytest.Config) -> None:
    # Before the tests are imported: `examples` reads it.
    hypothesis.settings.load_profile("quick" if config.getoption("--quick") else "whole")
    if config.option.basetemp is None and not hasattr(config, "workerinput"):
        # pytest closes its usual folder to everybody but root at every start, also to the user
        # that the PostgreSQL of another run is working as.
        folder = tempfile.mkdtemp(prefix="broadcast-tests-")
        config.option.basetemp = folder
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    config.addinivalue_line("markers", "postgres: runs on every PostgreSQL of this machine")
    config.addinivalue_line("markers", "servers: starts a server; set by the fixtures used")
    config.addinivalue_line("markers", "slow: no server, yet too slow for `make quick`")
    config.addinivalue_line("markers", "install: the install page, executed; minutes long")
    config.addinivalue_line("markers", "broker: runs on every broker of this machine")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Keep settings of the system of the journeys, which lives on, from all other tests."""
    if "/journeys/" in item.nodeid:
        return (yield)
    kept = {name: os.environ.pop(name) for name in [*os.environ] if name.startswith("BROADCAST_")}
    try:
        return (yield)
    finally:
        os.environ.update(kept)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if not SERVERS.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker("servers")
    unwanted = set() if config.getoption("--install") else {"install"}
    if config.getoption("--quick"):
        unwanted |= {"servers", "slow"}
    left_out = [item for item in items if any(map(item.get_closest_marker, unwanted))]
    items[:] = [item for item in items if not any(map(item.get_closest_marker, unwanted))]
    config.hook.pytest_deselected(items=left_out)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "postgres" in metafunc.fixturenames:
        asked = metafunc.config.getoption("postgres")
        every = metafunc.definition.get_closest_marker("postgres") is not None
        kinds = list(POSTGRES) if asked == "both" or (every and not asked) else [asked or "wheel"]
        metafunc.parametrize("postgres", kinds, indirect=True, scope="session")
    if "broker" in metafunc.fixturenames:
        every = metafunc.definition.get_closest_marker("broker") is not None
        metafunc.parametrize("broker", BROKERS if every else BROKERS[:1], indirect=True)


@pytest.fixture(autouse=True)
def nothing_is_left_open() -> Iterator[None]:
    """What a test leaves open fails that test, and not whichever the collector comes by in."""
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def loopback_only() -> Iterator[None]:
    """A test that reaches for another machine fails here, not in somebody's network."""

    def guard(name: str) -> Any:
        connect = getattr(socket.socket, name)

        def guarded(self: socket.socket, address: Any) -> Any:
            if self.family in {socket.AF_INET, socket.AF_INET6}:
                host = address[0]
                if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
                    raise AssertionError(f"a test connects to {host}")
            return connect(self, address)

        return guarded

    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, guard(name))
        yield


@pytest.fixture(scope="session", autouse=True)
def loggers_are_not_cached() -> Iterator[None]:
    """A command under test configures logging; what later tests capture must not depend on it."""
    with pytest.MonkeyPatch.context() as patch:
        configure = structlog.configure
        patch.setattr(
            structlog,
            "configure",
            lambda **how: configure(**how | {"cache_logger_on_first_use": False}),
        )
        yield


@pytest.fixture(scope="session", autouse=True)
def only_marked_tests_start_servers(request: pytest.FixtureRequest) -> Iterator[None]:
    def refuse(*_: Any) -> None:
        raise AssertionError("a test that starts a server is marked `servers`")

    with pytest.MonkeyPatch.context() as patch:
        if request.config.getoption("--quick"):
            patch.setattr(EmbeddedPostgres, "start", refuse)
            patch.setattr(Broker, "start", refuse)
        yield


@pytest.fixture(scope="session")
def postgres(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddedPostgres]:
    """A server with the databases `template`, migrated, with `PEOPLE`, and `shared`, a copy."""
    with (
        _folder_of_databases(tmp_path_factory) as folder,
        EmbeddedPostgres(folder / request.param, POSTGRES[request.param], durable=False) as server,
    ):
        asyncio.run(_fill(server.create_database("template")))
        server.create_database("shared", template="template")
        yield server


MEMORY = Path("/dev/shm")
"""Where Linux has memory as a file system: to copy a database takes a twentieth of the time."""

ENOUGH_BYTES = 4 * 2**30


@contextmanager
def _folder_of_databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH_BYTES:
        with tempfile.TemporaryDirectory(prefix="broadcast-tests-", dir=MEMORY) as folder:
            yield Path(folder)
    else:
        yield tmp_path_factory.mktemp("postgres")


async def _fill(dsn: str) -> None:
    await db.migrate(dsn)
    engine = create_async_engine(db.async_url(dsn))
    async with db.transaction(engine) as session:
        await add_people(session)
    await engine.dispose()


@contextmanager
def frozen(postgres: EmbeddedPostgres) -> Iterator[None]:
    """Have the whole server stand still: connections stand, nothing answers."""
    server = psutil.Process(postgres.pid)
    server.suspend()  # first, so that it starts no other
    processes = [server, *server.children(recursive=True)]
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # a backend that was just ending
            process.suspend()
    try:
        yield
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()


numbers = itertools.count(1)


@pytest.fixture
def postgres_dsn(postgres: EmbeddedPostgres) -> Iterator[str]:
    """Address of a fresh database, empty but for `PEOPLE`, for tests that commit."""
    name = f"test_{next(numbers)}"
    yield postgres.create_database(name, template="template")
    postgres.drop_database(name)


@pytest.fixture
async def engine(postgres_dsn: str) -> AsyncIterator[AsyncEngine]:
    """Engine on a fresh database."""
    engine = create_async_engine(db.async_url(postgres_dsn))
    yield engine
    await last_tasks()
    await engine.dispose()


async def last_tasks() -> None:
    """Wait for what a test has begun and not awaited, such as the writing of refusals.

    An application that is called without its lifespan has nobody who waits for it; what holds a
    connection when the pool is closed would leave it open.
    """
    current = asyncio.current_task()
    tasks = {task for task in asyncio.all_tasks() if task is not current}
    if tasks:
        _, endless = await asyncio.wait(tasks, timeout=60)
        assert not endless, f"a test has left {endless} running"


@asynccontextmanager
async def rolled_back(postgres: EmbeddedPostgres) -> AsyncIterator[AsyncSession]:
    """A session whose work is undone at the end, commits included."""
    engine = create_async_engine(db.async_url(postgres.dsn_of("shared")), poolclass=NullPool)
    async with engine.connect() as connection:
        outer = await connection.begin()
        async with AsyncSession(
            connection, expire_on_commit=False, join_transaction_mode="create_savepoint"
        ) as session:
            yield session
        await outer.rollback()
    await engine.dispose()


@pytest.fixture
async def session(postgres: EmbeddedPostgres) -> AsyncIterator[AsyncSession]:
    """A session whose work is rolled back after the test: the cheap way."""
    async with rolled_back(postgres) as session:
        yield session


@pytest.fixture
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    """A fresh broker of the test's own, to be killed at will."""
    with Broker(tmp_path / "broker", kind=request.param, autosave_seconds=1) as broker:
        yield broker


@pytest.fixture
def mqtt(broker: Broker) -> Mqtt:
    """Settings of a client of `broker`."""
    return Mqtt(host=broker.host, port=broker.port, client_id="test")

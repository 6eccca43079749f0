"""The description of the interface tells the truth: schemathesis finds nothing, whoever asks.

Bounded: a deep look as administrator, a short one as everybody else and without a token.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import pytest
from fastapi.routing import iter_route_contexts
from sqlalchemy.ext.asyncio import create_async_engine

from broadcast.accounts.people import create_with_token
from broadcast.areas.imports import import_areas, official_files
from broadcast.auth.permissions import Role
from broadcast.auth.routing import Route
from broadcast.demo.world import _free_port
from broadcast.embedded.postgres import EmbeddedPostgres
from broadcast.keys import changes
from broadcast.kit import clock, db
from broadcast.web import docs
from tests.enrolment.fleet import installation
from tests.keys.memory import MemoryStore
from tests.web.routes import application

ROOT = Path(__file__).parents[2]
SEED = "8"
EXAMPLES = {Role.PROVINCE_ADMIN: 4}
PHASES = {Role.PROVINCE_ADMIN: "coverage,fuzzing"}
"""Who may everything says everything; the others are turned away whatever they say."""
FEW = 1
ROLES: dict[Role, str | None] = {
    Role.PROVINCE_ADMIN: None,
    Role.COMMUNE_APPROVER: "21196",
    Role.AUDITOR: None,
}
"""Who may everything, much in a part, and little everywhere; what each role may do where is walked
through in `tests/visibility`."""


DUMMIES = 20
SPEECH = "/api/v1/live-sessions/{live_id}/speech"
"""A WebSocket, which asks who speaks by itself: tests/live/test_microphone.py."""


class Served(NamedTuple):
    """A server with the areas of a province, and a token of each role."""

    url: str
    tokens: dict[Role, str]


@pytest.fixture(scope="module")
def served(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    dsn = postgres.create_database(f"described_{uuid4().hex}", template="template")
    tokens = asyncio.run(fill(dsn))
    settings = installation(folder)
    url = f"http://127.0.0.1:{_free_port()}"
    environment = {
        "BROADCAST_POSTGRES__DSN": dsn,
        "BROADCAST_WEB__PORT": url.rpartition(":")[2],
        "BROADCAST_CONTENT_DIR": str(folder / "content"),
        "BROADCAST_KEYS__DIR": str(settings.keys.dir),
        "BROADCAST_KEYS__PASSPHRASE_FILE": str(settings.keys.passphrase_file),
        "BROADCAST_ENROLMENT__AUTHORITY_DIR": str(settings.enrolment.authority_dir),
        "BROADCAST_WEB__PUBLIC_URL": str(settings.web.public_url),
        "BROADCAST_UPKEEP__DISK_FREE_BYTES": "1",
        "BROADCAST_LOG_LEVEL": "ERROR",
    }
    command = [sys.executable, "-m", "broadcast", "serve", "--role", "web"]
    with subprocess.Popen(command, env={**os.environ, **environment}) as server:
        try:
            yield Served(url, tokens)
        finally:
            server.kill()


async def fill(dsn: str) -> dict[Role, str]:
    engine = create_async_engine(db.async_url(dsn))
    async with db.transaction(engine) as session:
        await db.ensure_partitions(session, clock.today())
        await import_areas(session, *official_files())
        await changes.begin(session, MemoryStore(), clock.now())
        for _ in range(DUMMIES):  # small numbers are tried first, and tokens revoked by them
            await create_with_token(session, "Người khác", Role.AUDITOR, clock.now())
        tokens = {
            role: await create_with_token(
                session, role, role, clock.now(), area_code=area, second_factor=True
            )
            for role, area in ROLES.items()
        }
    await engine.dispose()
    return tokens


@pytest.mark.timeout(900)
@pytest.mark.parametrize("role", [None, *ROLES])
def test_nothing_is_found(served: Served, role: Role | None, tmp_path: Path) -> None:
    bearer = [] if role is None else ["-H", f"Authorization: Bearer {served.tokens[role]}"]
    phases = PHASES.get(role, "fuzzing")
    ended = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "schemathesis.cli",
                "--config-file",
                ROOT / "schemathesis.toml",
            ),
            *("run", f"{served.url}/openapi.json", *bearer),
            *(
                "--checks",
                "all",
                "--phases",
                phases,
                "--max-examples",
                str(EXAMPLES.get(role, FEW)),
            ),
            *("--wait-for-schema", "60", "--continue-on-failure", "--no-color", "--seed", SEED),
            *("--warnings", "off", "--no-shrink"),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HYPOTHESIS_STORAGE_DIRECTORY": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout


def test_every_exception_is_of_an_operation_that_there_is() -> None:
    exceptions = tomllib.loads((ROOT / "schemathesis.toml").read_text())["operations"]
    named = [name for each in exceptions for name in listed(each["include-name"])]
    paths = application().openapi()["paths"]
    there = {f"{method.upper()} {path}" for path in paths for method in paths[path]}
    assert len(named) == len(set(named))
    assert sorted(set(named) - there) == []


def listed(names: str | list[str]) -> list[str]:
    return [names] if isinstance(names, str) else names


def test_every_route_is_of_the_strict_kind() -> None:
    plain = {
        route.path
        for route in iter_route_contexts(application().routes)
        if not isinstance(route.original_route, Route)
    }
    assert plain == {"/openapi.json", "/assets/{name}", SPEECH, *docs.FILES}

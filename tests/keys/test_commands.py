"""Keys by the command line and over REST, and what the audit tells of them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from typer.testing import CliRunner

from broadcast.auth.permissions import Role
from broadcast.cli import app
from broadcast.keys import changes
from broadcast.kit import clock, db
from tests import province
from tests.keys.memory import MemoryStore
from tests.stations.client import client_of


@pytest.fixture
def dsn(postgres_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in {
        "ENV_FILE": "",
        "POSTGRES__DSN": postgres_dsn,
        "KEYS__DIR": str(tmp_path / "keys"),
        "KEYS__PASSPHRASE_FILE": str(tmp_path / "passphrase"),
    }.items():
        monkeypatch.setenv(f"BROADCAST_{name}", value)
    monkeypatch.setenv("COLUMNS", "200")
    return postgres_dsn


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["keys", *arguments])


def states() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key in json.loads(run("status", "--json").stdout)["keys"]:
        found.setdefault(key["state"], []).append(key["kid"])
    return found


def audited(dsn: str) -> list[tuple[str, str]]:
    """Action and state that a key came to, of every entry on keys."""

    async def read() -> list[tuple[str, str]]:
        engine = create_async_engine(db.async_url(dsn))
        async with db.transaction(engine) as session:
            rows = await session.scalars(sa.text("SELECT entry FROM audit_entries ORDER BY seq"))
            entries = [json.loads(row) for row in rows]
        await engine.dispose()
        return [
            (entry["action"], change["after"]["state"])
            for entry in entries
            for change in entry.get("changes", ())
            if change["kind"] == "signing_keys"
        ]

    return asyncio.run(read())


def test_a_key_is_changed_by_the_command_line_and_the_audit_tells_of_it(
    dsn: str, tmp_path: Path
) -> None:
    assert "Hãy sao lưu" in run("create").stdout
    shown = json.loads(run("show").stdout)
    assert [set(key) for key in shown] == [{"kid", "use", "x"}] * 2
    assert run("create").exit_code == 0
    assert json.loads(run("show").stdout) == shown
    old = shown[0]["kid"]

    assert run("rotate", "--use", "programme").exit_code == 0
    [new] = states()["announced"]
    assert "đã công bố" in run("status").stdout
    again = run("rotate")
    assert again.exit_code == 1
    assert "chưa ký" in again.stderr
    assert run("activate", new[:8]).exit_code == 0
    assert states()["replaced"] == [old]
    refused = run("retire", new)
    assert refused.exit_code == 1
    assert "đang ký" in refused.stderr
    assert run("retire", old).exit_code == 0
    assert states()["retired"] == [old]
    assert run("adopt").exit_code == 0
    assert len(list((tmp_path / "keys").iterdir())) == 3

    assert audited(dsn) == [
        ("broadcast keys create", "signing"),
        ("broadcast keys create", "signing"),
        ("broadcast keys rotate", "announced"),
        ("broadcast keys activate", "replaced"),
        ("broadcast keys activate", "signing"),
        ("broadcast keys retire", "retired"),
    ]


async def test_who_has_not_pinned_the_newest_key_is_told_over_rest(engine: AsyncEngine) -> None:
    store = MemoryStore()
    async with db.transaction(engine) as session:
        await changes.begin(session, store, clock.now())
        [new] = await changes.rotate(session, store, ["alert"], clock.now())
        session.add_all(province.device(code, clock.now()) for code in ("QN-1", "QN-2"))
    async with client_of(engine, Role.TECHNICIAN) as client:
        told: dict[str, Any] = (await client.get("/keys")).json()
    newest = told["keys"][0]
    assert (newest["use"], newest["state"]) == ("alert", "announced")
    assert (told["devices_count"], told["lacking_count"]) == (2, 2)
    assert [each["device"] for each in told["lacking"]] == ["QN-1", "QN-2"]
    assert new.kid in told["lacking"][0]["lacks"]
    async with client_of(engine, Role.PROVINCE_MONITOR) as client:
        assert (await client.get("/keys")).status_code == 403

"""`broadcast audit …`, and that commands which change something are in the audit."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from typer.testing import CliRunner, Result

from broadcast.audit import command
from broadcast.audit.entry import Entry, decode, encode
from broadcast.auditing import sealing
from broadcast.cli import app
from broadcast.kit import cli, clock, db
from broadcast.kit.errors import InvalidInput
from broadcast.wire import codec
from tests.auditing.worlds import KEY
from tests.stations import sample

CHANGING = {"areas", "stations", "devices"}


@pytest.fixture
def dsn(postgres_dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    monkeypatch.setenv("BROADCAST_POSTGRES__DSN", postgres_dsn)
    monkeypatch.setenv("BROADCAST_KEYS__DIR", str(tmp_path / "none"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("SUDO_USER", raising=False)
    return postgres_dsn


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def entries(dsn: str) -> list[Entry]:
    async def read() -> list[Entry]:
        engine = create_async_engine(db.async_url(dsn))
        async with db.transaction(engine) as session:
            rows = await session.scalars(sa.text("SELECT entry FROM audit_entries ORDER BY seq"))
            found = [decode(row) for row in rows]
        await engine.dispose()
        return found

    return asyncio.run(read())


def execute(dsn: str, work: Any) -> None:
    async def done() -> None:
        engine = create_async_engine(db.async_url(dsn))
        await work(engine)
        await engine.dispose()

    asyncio.run(done())


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_commands_that_change_something_are_told(dsn: str, tmp_path: Path) -> None:
    villages = written(tmp_path, "villages.csv", sample.VILLAGES)
    files = [written(tmp_path, file.name, file.data.decode()) for file in sample.FILES]
    devices = written(tmp_path, "devices.csv", "code,codecs\nD-1,opus\n")
    commands = [
        ("areas", "import", "--official"),
        ("areas", "load", "--province", "01"),
        ("areas", "import-villages", villages),
        ("stations", "import", *files),
        ("stations", "follow", "--on", "2025-01-01"),
        ("devices", "import", devices),
        ("backup", "create", tmp_path / "backups"),
        ("accounts", "setup"),
        ("accounts", "create-token", "Máy chủ tỉnh", "--role", "service"),
        ("accounts", "invite", "Lan", "--role", "province_editor", "--login", "lan"),
        ("accounts", "reset", "lan"),
    ]
    outputs = {}
    for each in commands:
        result = run(*each)
        assert result.exit_code == 0, result.output
        outputs[each[1]] = result.output
    token = outputs["create-token"].strip()
    revoked = CliRunner().invoke(app, ["accounts", "revoke-token"], input=f"{token}\n")
    assert revoked.exit_code == 0, revoked.output
    *told, last = entries(dsn)
    assert last.action == "broadcast accounts revoke-token"
    assert token not in "".join(map(encode, [*told, last]))
    assert [each.action for each in told] == [f"broadcast {a} {b}" for a, b, *_ in commands]
    user = pwd.getpwuid(os.geteuid()).pw_name
    assert {(each.who.name, each.who.credential) for each in told} == {
        (user, f"os/{os.geteuid()}")
    }
    assert [each.action for each in told if not each.changes] == ["broadcast backup create"]
    assert told[5].details["files"][0]["name"] == "devices.csv"


def test_a_trial_and_a_failure_are_not_told(dsn: str, tmp_path: Path) -> None:
    assert run("areas", "load", "--dry-run").exit_code == 0
    bad = written(tmp_path, "devices.csv", "code,codecs\nD-1,vinyl\n")
    assert run("devices", "import", bad).exit_code == 1
    assert entries(dsn) == []


def test_a_command_that_is_not_told_cannot_write(dsn: str) -> None:
    async def write(session: AsyncSession) -> None:
        await session.execute(sa.text("UPDATE accounts SET name = ''"))

    with pytest.raises(DBAPIError, match="read-only transaction"):
        cli.run(write)
    command.change("broadcast test", write)
    assert [each.action for each in entries(dsn)] == ["broadcast test"]


def test_who_became_root_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "lan")
    assert command.operator().name.startswith("lan (sudo ")


def test_verify_tells_what_it_saw_and_fails_for_what_is_broken(dsn: str, tmp_path: Path) -> None:
    keys = written(tmp_path, "public.json", f"[{codec.encode(KEY.public()).decode()}]")
    assert run("areas", "load", "--province", "01").exit_code == 0
    execute(dsn, lambda engine: sealing.sign_new(engine, KEY, clock.now()))
    whole = run("audit", "verify", "--keys", keys)
    assert whole.exit_code == 0, whole.output
    assert "Nguyên vẹn" in whole.output
    assert "dòng 1 đến 1, 1 chữ ký" in whole.output
    anchor = whole.output.partition("Mốc: ")[2].split()[0]
    assert run("audit", "verify", "--keys", keys, "--anchor", anchor).exit_code == 0
    without = run("audit", "verify")
    assert "chưa kiểm chữ ký" in without.output
    assert without.exit_code == 0

    async def alter(engine: Any) -> None:
        async with db.transaction(engine) as session:
            await session.execute(sa.text("SET LOCAL session_replication_role = replica"))
            await session.execute(sa.text("UPDATE audit_entries SET name = 'Ai đó'"))

    execute(dsn, alter)
    broken = run("audit", "verify", "--keys", keys, "--anchor", anchor)
    assert broken.exit_code == 1
    assert "cột name đã bị sửa" in broken.output


def test_an_export_is_told_and_verified_alone(dsn: str, tmp_path: Path) -> None:
    out = tmp_path / "audit.jsonl"
    run("areas", "load", "--province", "01")
    result = run("audit", "export", "--from", "2020-01-01", "--out", out)
    assert "đã ghi 1 dòng" in result.output
    assert entries(dsn)[-1].action == "broadcast audit export"
    assert run("audit", "verify", out).exit_code == 0
    head, line = out.read_text().splitlines()
    assert json.loads(head)["last"] == 1
    out.write_text(f"{head}\n{line.replace('Hà Nội', 'Hà Nam')}\n")
    assert run("audit", "verify", out).exit_code == 1
    assert run("audit", "export", "--from", "2020-01-01", "--out", out).exit_code == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("audit", "export", "--from", "2020-01-01", "--until", "2019-01-01"),
        ("audit", "verify", "--anchor", "x"),
        ("audit", "verify", "--keys", __file__),
        ("audit", "verify", __file__),
    ],
)
def test_a_mistake_is_told(dsn: str, arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code in {1, 2}, result.output
    assert not isinstance(result.exception, InvalidInput)
    assert result.stderr

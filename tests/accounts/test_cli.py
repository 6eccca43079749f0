"""`broadcast accounts` from making an account to ending it."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy.ext.asyncio import create_async_engine
from typer.testing import CliRunner

from broadcast.accounts.cli import app
from broadcast.auth.caller import Caller, caller_of_token
from broadcast.auth.permissions import Permission
from broadcast.kit import clock, db
from broadcast.kit.errors import BroadcastError, Unauthenticated


@pytest.fixture(autouse=True)
def database(postgres_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROADCAST_POSTGRES__DSN", postgres_dsn)
    monkeypatch.setenv("COLUMNS", "200")


def command(*words: str, typed: str = "") -> str:
    result = CliRunner().invoke(app, [*words], input=typed)
    if isinstance(result.exception, BroadcastError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def who(dsn: str, secret: str) -> Caller:
    async def look() -> Caller:
        engine = create_async_engine(db.async_url(dsn))
        try:
            async with db.transaction(engine) as session:
                return await caller_of_token(session, secret, clock.now())
        finally:
            await engine.dispose()

    return asyncio.run(look())


def test_an_account_from_its_making_to_its_end(postgres_dsn: str) -> None:
    number = command("create", "Hồ Thị Đài")
    command("grant", number, "technician")
    secret = command("token", number, "--label", "bảng", "--scope", "read", "--days", "9")
    caller = who(postgres_dsn, secret)
    assert (str(caller.account_id), caller.permissions) == (number, {Permission.READ})
    assert "technician · cả tỉnh" in command("list")
    command("disable", number)
    assert "Hồ Thị Đài" not in command("list")
    assert "disabled" in command("list", "--all")
    command("enable", number)
    with pytest.raises(Unauthenticated):
        who(postgres_dsn, secret)


@pytest.mark.parametrize("by", ["number", "itself"])
def test_a_token_is_revoked_by_its_number_or_by_itself(postgres_dsn: str, by: str) -> None:
    secret = command("create-token", "Nguyễn A", "--role", "province_monitor")
    caller = who(postgres_dsn, secret)
    number = caller.credential.removeprefix("token/")
    words = ["revoke-token", number] if by == "number" else ["revoke-token"]
    command(*words, typed=f"{secret}\n")
    with pytest.raises(Unauthenticated):
        who(postgres_dsn, secret)
    again = CliRunner().invoke(app, words, input=f"{secret}\n")
    assert (again.exit_code, "thu hồi" in again.stderr) == (1, True)

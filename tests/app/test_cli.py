"""The command line answers what goes wrong outside of it in one line."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from broadcast.cli import app


@pytest.mark.parametrize("dsn", ["garbage", "postgresql://x@127.0.0.1:1/x"])
def test_a_database_that_cannot_be_had_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, dsn: str
) -> None:
    monkeypatch.setenv("BROADCAST_POSTGRES__DSN", dsn)
    result = CliRunner().invoke(app, ["migrate"])
    assert (result.exit_code, len(result.output.splitlines())) == (1, 1)


def test_a_port_in_use_is_said_in_one_line_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        monkeypatch.setenv("BROADCAST_WEB__PORT", port)
        result = CliRunner().invoke(app, ["serve", "--role", "web"])
    assert result.exit_code == 1
    assert port in result.output.splitlines()[-1]


def test_a_setting_that_cannot_be_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROADCAST_WEB__PORT", "99999")
    result = CliRunner().invoke(app, ["serve"])
    assert (result.exit_code, len(result.output.splitlines())) == (1, 1)
    assert result.output.startswith("BROADCAST_WEB__PORT")


def test_an_unknown_role_is_refused_with_the_known_ones() -> None:
    result = CliRunner().invoke(app, ["serve", "--role", "nope"])
    assert result.exit_code == 2
    assert "dispatch" in result.output


def test_a_reader_that_goes_away_is_no_fault_of_the_database() -> None:
    command = f"{sys.executable} -m broadcast config | true"
    run = subprocess.run(command, shell=True, check=False, capture_output=True, text=True)
    assert (run.stdout, run.stderr) == ("", "")

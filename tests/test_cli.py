"""The command line answers what goes wrong outside of it in one line."""

from __future__ import annotations

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

"""Settings: the printed example is the truth."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from broadcast import config


def test_the_printed_example_says_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = 0
    for line in config.example().splitlines():
        if line.startswith("#BROADCAST_"):
            name, _, value = line[1:].partition("=")
            monkeypatch.setenv(name, value)
            settings += 1
    assert settings > 20
    assert config.Settings() == config.Settings.model_construct()


def test_an_invalid_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROADCAST_WEB__PORT", "eighty")
    with pytest.raises(ValidationError, match=r"web\.port"):
        config.Settings()


def test_the_database_password_is_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROADCAST_POSTGRES__DSN", "postgresql://broadcast:s3cret@db/broadcast")
    settings = config.Settings()
    assert "s3cret" not in repr(settings)
    assert "s3cret" in settings.postgres.dsn.get_secret_value()


def test_quiet_hours_can_be_given_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROADCAST_RULES__QUIET_HOURS", "[]")
    assert config.Settings().rules.quiet_hours == ()


def test_the_example_in_deploy_is_what_is_printed() -> None:
    example = Path(__file__).parents[2] / "deploy/broadcast.env.example"
    assert example.read_text() == config.example(), "renew it: .venv/bin/broadcast config"

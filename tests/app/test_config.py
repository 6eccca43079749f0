"""Settings: the printed example is the truth."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr, ValidationError
from sqlalchemy.engine import make_url

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


def test_the_database_password_comes_from_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text("p@ss:w/rd %\n")
    monkeypatch.setenv("BROADCAST_POSTGRES__PASSWORD_FILE", str(file))
    for dsn, host in (
        ("postgresql://broadcast@db:5433/broadcast", "db"),
        ("postgresql://broadcast@/broadcast?host=/run/postgresql", None),
    ):
        monkeypatch.setenv("BROADCAST_POSTGRES__DSN", dsn)
        settings = config.Settings()
        url = make_url(settings.postgres.dsn.get_secret_value())
        assert (url.username, url.password, url.host) == ("broadcast", "p@ss:w/rd %", host)
        assert url.query == make_url(dsn).query
        assert "w/rd" not in repr(settings)


@pytest.mark.parametrize("dsn", ["postgresql://broadcast:old@db/broadcast", "postgresql://db/x"])
def test_a_password_in_two_places_or_of_nobody_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, dsn: str
) -> None:
    (tmp_path / "password").write_text("new")
    monkeypatch.setenv("BROADCAST_POSTGRES__PASSWORD_FILE", str(tmp_path / "password"))
    monkeypatch.setenv("BROADCAST_POSTGRES__DSN", dsn)
    with pytest.raises(ValidationError, match="PASSWORD_FILE") as refused:
        config.Settings()
    assert "old" not in str(refused.value)


def test_what_a_refused_setting_says_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROADCAST_POSTGRES__DNS", "postgresql://broadcast:s3cret@db/broadcast")
    with pytest.raises(ValidationError) as refused:
        config.Settings()
    assert "s3cret" not in str(refused.value)


def secret_settings(model: type[BaseModel], path: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        if isinstance(field.default, BaseModel):
            yield from secret_settings(type(field.default), f"{path}{name}.")
        elif field.annotation is SecretStr or re.search("password|secret|token|pin$", name):
            yield f"{path}{name}"


def test_every_secret_comes_from_a_file() -> None:
    """What is named in the environment can be read there by whoever may see the process."""
    names = set(secret_settings(config.Settings))
    # Of a token of PKCS#11 the label is named; its PIN is in a file.
    no_secret = {"enrolment.password_port", "keys.pkcs11_token"}
    others = {name for name in names if not name.endswith("_file")}
    assert others - no_secret == {"postgres.dsn"}
    assert "postgres.password_file" in names


def test_quiet_hours_can_be_given_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROADCAST_RULES__QUIET_HOURS", "[]")
    assert config.Settings().rules.quiet_hours == ()


def test_the_example_in_deploy_is_what_is_printed() -> None:
    example = Path(__file__).parents[2] / "deploy/broadcast.env.example"
    assert example.read_text() == config.example(), "renew it: .venv/bin/broadcast config"

"""The province's keys on disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from broadcast import config
from broadcast.kit.errors import Unavailable
from broadcast.programmes.cli import app
from broadcast.programmes.keys import UnusableKey, create_keys, load_keys


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> config.Keys:
    folder = tmp_path / "keys"
    monkeypatch.setenv("BROADCAST_KEYS__PROGRAMME_FILE", str(folder / "programme.jwk"))
    monkeypatch.setenv("BROADCAST_KEYS__ALERT_FILE", str(folder / "alert.jwk"))
    return config.Settings().keys


def test_keys_are_made_once_and_for_their_owner_alone(settings: config.Keys) -> None:
    paths = [settings.programme_file, settings.alert_file]
    assert create_keys(settings) == paths
    assert [path.stat().st_mode & 0o777 for path in paths] == [0o600, 0o600]
    assert settings.programme_file.parent.stat().st_mode & 0o777 == 0o700
    made = [path.read_bytes() for path in paths]
    assert create_keys(settings) == []
    assert [path.read_bytes() for path in paths] == made
    settings.alert_file.unlink()
    assert create_keys(settings) == [settings.alert_file]
    assert settings.programme_file.read_bytes() == made[0]


def test_the_two_keys_differ_and_are_for_different_things(settings: config.Keys) -> None:
    create_keys(settings)
    keys = load_keys(settings)
    assert [key.use for key in keys.public()] == ["programme", "alert"]
    assert len({key.kid for key in keys}) == 2
    assert [key.kid for key in load_keys(settings)] == [key.kid for key in keys]


def test_a_missing_key_says_how_to_make_it(settings: config.Keys) -> None:
    with pytest.raises(Unavailable, match="broadcast keys create"):
        load_keys(settings)


def test_a_key_that_everybody_may_read_is_refused(settings: config.Keys) -> None:
    create_keys(settings)
    settings.alert_file.chmod(0o604)
    with pytest.raises(UnusableKey, match="chmod 600"):
        load_keys(settings)


@pytest.mark.parametrize("text", [b"", b"{}", b"\xff\xfe", b'{"kty":"oct","k":"AAAA"}', b"[1]"])
def test_what_is_no_key_is_refused(settings: config.Keys, text: bytes) -> None:
    create_keys(settings)
    settings.programme_file.write_bytes(text)
    with pytest.raises(UnusableKey, match=r"programme\.jwk"):
        load_keys(settings)


def test_a_public_key_cannot_sign(settings: config.Keys) -> None:
    create_keys(settings)
    public = json.loads(settings.programme_file.read_text())
    del public["d"]
    settings.programme_file.write_text(json.dumps(public))
    with pytest.raises(UnusableKey, match="khóa bí mật"):
        load_keys(settings)


def test_the_command_makes_keys_and_shows_only_their_public_half(settings: config.Keys) -> None:
    runner = CliRunner()
    assert "đã tạo" in runner.invoke(app, ["create"]).stdout
    assert "không thay đổi" in runner.invoke(app, ["create"]).stdout
    shown = json.loads(runner.invoke(app, ["show"]).stdout)
    assert [set(key) for key in shown] == [{"kid", "use", "x"}] * 2
    secret = json.loads(settings.programme_file.read_text())["d"]
    assert secret not in json.dumps(shown)

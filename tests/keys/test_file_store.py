"""The province's keys on disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from joserfc.jwk import OKPKey

from broadcast import config
from broadcast.keys.file_store import FileStore
from broadcast.keys.stores import KeyStore, UnusableKey, open_store
from broadcast.kit.errors import Unavailable
from broadcast.wire.envelope import Verifier
from tests.keys.messages import programme


@pytest.fixture
def settings(tmp_path: Path) -> config.Keys:
    return config.Keys(dir=tmp_path / "keys", passphrase_file=tmp_path / "passphrase")


def files(settings: config.Keys) -> list[Path]:
    return sorted(settings.dir.iterdir())


def test_keys_are_made_for_their_owner_alone_and_found_again(settings: config.Keys) -> None:
    store: KeyStore = open_store(settings)
    assert store.load() == []
    made = [store.create("alert"), store.create("programme")]
    assert settings.dir.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in files(settings)} == {0o600}
    assert settings.passphrase_file.stat().st_mode & 0o777 == 0o600
    found = open_store(settings).load()
    assert found == made
    signed = found[1].sign(programme())
    assert Verifier([key.public() for key in made]).document(signed) == programme()


def test_a_file_is_worth_nothing_without_its_passphrase(settings: config.Keys) -> None:
    store = FileStore(settings)
    store.create("programme")
    [path] = files(settings)
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in path.read_bytes()
    settings.passphrase_file.write_text("another")
    with pytest.raises(UnusableKey, match="BROADCAST_KEYS__PASSPHRASE_FILE"):
        store.load()
    settings.passphrase_file.write_text("\n")
    with pytest.raises(UnusableKey, match="trống"):
        store.load()
    settings.passphrase_file.unlink()
    with pytest.raises(Unavailable, match="cùng một bản sao lưu"):
        store.load()
    with pytest.raises(Unavailable, match="cùng một bản sao lưu"):
        store.create("alert")
    assert not settings.passphrase_file.exists(), "another one would hide what is wrong"


def test_a_passphrase_that_is_given_is_used(settings: config.Keys) -> None:
    settings.passphrase_file.write_text("given by systemd\n")
    settings.passphrase_file.chmod(0o600)
    made = FileStore(settings).create("programme")
    assert settings.passphrase_file.read_text() == "given by systemd\n"
    assert FileStore(settings).load() == [made]


@pytest.mark.parametrize("which", ["key", "passphrase"])
def test_a_secret_that_everybody_may_read_is_refused(settings: config.Keys, which: str) -> None:
    store = FileStore(settings)
    store.create("programme")
    path = files(settings)[0] if which == "key" else settings.passphrase_file
    path.chmod(0o604)
    with pytest.raises(UnusableKey, match=f"chmod 600 {path}"):
        store.load()


@pytest.mark.parametrize("text", [b"", b"{}", b"\xff\xfe", b"-----BEGIN PRIVATE KEY-----"])
def test_what_is_no_key_is_refused_by_name(settings: config.Keys, text: bytes) -> None:
    store = FileStore(settings)
    store.create("programme")
    [path] = files(settings)
    path.write_bytes(text)
    with pytest.raises(UnusableKey, match=path.name):
        store.load()


def test_a_key_under_the_name_of_another_is_refused(settings: config.Keys) -> None:
    store = FileStore(settings)
    store.create("programme")
    store.create("programme")
    first, second = files(settings)
    second.replace(first)
    with pytest.raises(UnusableKey, match="khác với tên"):
        store.load()


def test_what_else_lies_there_is_left_alone(settings: config.Keys) -> None:
    store = FileStore(settings)
    made = store.create("programme")
    (settings.dir / "notes.txt").write_text("vault 3")
    assert store.load() == [made]


def test_plain_files_of_the_first_version_are_encrypted(settings: config.Keys) -> None:
    settings.dir.mkdir()
    old = {use: OKPKey.generate_key("Ed25519", auto_kid=True) for use in ("programme", "alert")}
    for use, key in old.items():
        path = settings.dir / f"{use}.jwk"
        path.write_text(json.dumps(key.as_dict(private=True)))
        path.chmod(0o600)
    found = FileStore(settings).load()
    assert {key.use: key.kid for key in found} == {use: key.kid for use, key in old.items()}
    assert {path.suffix for path in files(settings)} == {".pem"}
    for key in old.values():
        secret = str(key.as_dict(private=True)["d"]).encode()
        assert not [path for path in files(settings) if secret in path.read_bytes()]
    assert FileStore(settings).load() == found


def test_a_folder_that_is_none_is_said_so(settings: config.Keys) -> None:
    settings.dir.write_text("")
    with pytest.raises(UnusableKey, match="BROADCAST_KEYS__DIR"):
        FileStore(settings).load()
    with pytest.raises(UnusableKey, match="BROADCAST_KEYS__DIR"):
        FileStore(settings).create("programme")

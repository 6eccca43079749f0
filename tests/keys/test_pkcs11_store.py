"""Keys in a token: SoftHSM from Debian, as a real HSM would be asked."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from broadcast import config
from broadcast.keys.stores import KeyStore, UnusableKey, open_store
from broadcast.kit.errors import Unavailable
from broadcast.wire.envelope import Verifier
from tests.keys.messages import programme

pytest.importorskip("pkcs11", reason="the extra pkcs11 is not installed")

MODULE = next(Path("/usr/lib").glob("**/softhsm/libsofthsm2.so"), None)
if MODULE is None or shutil.which("softhsm2-util") is None:
    pytest.skip("softhsm2 is not installed; apt install softhsm2", allow_module_level=True)

PIN = "123456"

TAKE_OUT = """
import sys
import pkcs11
from pkcs11 import Attribute
token = pkcs11.lib(sys.argv[1]).get_token(token_label=sys.argv[2])
session = token.open(user_pin=sys.argv[3])
[key] = session.get_objects({Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY})
assert key[Attribute.EXTRACTABLE] is False and key[Attribute.SENSITIVE] is True
try:
    key[Attribute.VALUE]
except pkcs11.exceptions.AttributeSensitive:
    print("sensitive")
"""


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> config.Keys:
    """A token of this test alone.

    SoftHSM reads its configuration once in a process, so each test has one of its own token name
    in the folder of the first.
    """
    if "SOFTHSM2_CONF" not in os.environ:
        folder = tmp_path / "tokens"
        folder.mkdir()
        conf = tmp_path / "softhsm2.conf"
        conf.write_text(f"directories.tokendir = {folder}\nobjectstore.backend = file\n")
        os.environ["SOFTHSM2_CONF"] = str(conf)
    del monkeypatch
    label = tmp_path.name[-32:]
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", PIN,
         "--so-pin", "87654321"],
        check=True, capture_output=True,
    )  # fmt: skip
    pin = tmp_path / "pin"
    pin.write_text(PIN + "\n")
    return config.Keys(pkcs11_module=MODULE, pkcs11_token=label, pkcs11_pin_file=pin)


def test_a_token_makes_keys_that_sign_as_ours_and_stay_in_it(token: config.Keys) -> None:
    store: KeyStore = open_store(token)
    assert store.load() == []
    made = [store.create("programme"), store.create("alert")]
    assert store.load() == made
    assert open_store(token).load() == made
    signed = made[0].sign(programme())
    assert Verifier([key.public() for key in made]).document(signed) == programme()


def test_keys_of_a_token_may_sign_in_threads(token: config.Keys) -> None:
    store = open_store(token)
    key = store.create("programme")
    verifier = Verifier([key.public()])
    with ThreadPoolExecutor(4) as pool:
        signed = list(pool.map(lambda number: key.sign(programme(number)), range(1, 41)))
    assert [verifier.document(each).revision for each in signed] == list(range(1, 41))


def test_the_private_half_cannot_be_taken_out(token: config.Keys) -> None:
    open_store(token).create("programme")
    done = subprocess.run(
        [sys.executable, "-c", TAKE_OUT, str(MODULE), token.pkcs11_token, PIN],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.strip() == "sensitive"


def test_a_wrong_pin_or_an_absent_token_says_which_setting(token: config.Keys) -> None:
    assert token.pkcs11_pin_file is not None
    token.pkcs11_pin_file.write_text("000000")
    with pytest.raises(Unavailable, match="BROADCAST_KEYS__PKCS11_PIN_FILE"):
        open_store(token).load()
    absent = token.model_copy(update={"pkcs11_token": "absent"})
    with pytest.raises(Unavailable, match="BROADCAST_KEYS__PKCS11_TOKEN"):
        open_store(absent).load()
    token.pkcs11_pin_file.unlink()
    with pytest.raises(UnusableKey, match="không có tệp"):
        open_store(token).load()

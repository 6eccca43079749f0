"""Nothing but our voice: what a verifier takes, and everything it must not."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import OctKey, OKPKey

from broadcast.wire import WireError
from broadcast.wire.codec import decode
from broadcast.wire.documents import Programme, PublicKey
from broadcast.wire.envelope import BadSignature, SigningKey, Verifier
from broadcast.wire.events import EVENTS
from tests.wire.payloads import FOLDER, NAMES, key, payload, signed, type_of

SIGNED = [name for name in NAMES if type_of(name) not in EVENTS.values()]
PROGRAMME, ALERT = key("programme"), key("alert")
PINNED = Verifier([PROGRAMME.public(), ALERT.public()])


def opened(name: str, token: bytes) -> Any:
    return PINNED.command(token) if name.startswith("command-") else PINNED.document(token)


def b64(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def with_header(token: bytes, **header: Any) -> bytes:
    """The token with another header, under its old signature."""
    _, body, signature = token.split(b".")
    return b".".join((b64(json.dumps(header).encode()), body, signature))


@pytest.mark.parametrize("name", SIGNED)
def test_a_golden_token_opens_to_its_golden_payload(name: str) -> None:
    token = (FOLDER / f"{name}.jws").read_bytes()
    assert opened(name, token) == decode(payload(name), type_of(name))


@pytest.mark.parametrize("name", SIGNED)
def test_golden_tokens_are_what_the_code_signs(name: str) -> None:
    assert (FOLDER / f"{name}.jws").read_bytes() == signed(name), "run `make golden`"


def test_the_key_id_is_the_thumbprint_of_rfc_8037() -> None:
    assert PROGRAMME.kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_a_token_is_three_parts_of_base64url_with_algorithm_and_key_id() -> None:
    header, body, signature = signed("programme").split(b".")
    decoded = [base64.urlsafe_b64decode(part + b"==") for part in (header, body, signature)]
    assert json.loads(decoded[0]) == {"alg": "Ed25519", "kid": PROGRAMME.kid}
    assert json.loads(decoded[1])["kind"] == "programme"
    assert len(decoded[2]) == 64


@pytest.mark.parametrize(
    ("name", "signer"),
    [("programme", ALERT), ("config", ALERT), ("alerts", PROGRAMME), ("command-reboot", ALERT)],
)
def test_a_key_signs_only_what_it_is_for(name: str, signer: SigningKey) -> None:
    message: Any = decode(payload(name), type_of(name))
    with pytest.raises(BadSignature, match="may not sign") as caught:
        opened(name, signer.sign(message))
    assert caught.value.field == "kid"


def test_a_key_that_is_not_pinned_signs_nothing() -> None:
    programme: Any = decode(payload("programme"), type_of("programme"))
    with pytest.raises(BadSignature, match="unknown key"):
        PINNED.document(SigningKey.generate("programme").sign(programme))


def test_another_key_under_a_pinned_key_id_signs_nothing() -> None:
    other = OKPKey.generate_key("Ed25519")
    token = jws.serialize_compact(
        {"alg": "Ed25519", "kid": PROGRAMME.kid},
        payload("programme"),
        other,
        algorithms=["Ed25519"],
    )
    with pytest.raises(BadSignature):
        PINNED.document(token.encode())


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none", "kid": PROGRAMME.kid},
        {"alg": "EdDSA", "kid": PROGRAMME.kid},
        {"alg": "HS256", "kid": PROGRAMME.kid},
        {"alg": "Ed25519"},
        {"alg": "Ed25519", "kid": None},
        {"alg": "Ed25519", "kid": [PROGRAMME.kid]},
        {"alg": "Ed25519", "kid": ALERT.kid},
        {"alg": "Ed25519", "kid": PROGRAMME.kid, "crit": ["b64"], "b64": False},
        {"kid": PROGRAMME.kid},
        {},
    ],
)
def test_no_other_header_passes(header: dict[str, Any]) -> None:
    with pytest.raises(BadSignature):
        PINNED.document(with_header(signed("programme"), **header))


def test_an_unsigned_token_is_refused() -> None:
    header = b64(json.dumps({"alg": "none", "kid": PROGRAMME.kid}).encode())
    with pytest.raises(BadSignature):
        PINNED.document(b".".join((header, b64(payload("programme")), b"")))


def test_the_public_key_is_no_shared_secret() -> None:
    secret = OctKey.import_key(PROGRAMME.public().x)
    header = {"alg": "HS256", "kid": PROGRAMME.kid}
    token = jws.serialize_compact(header, payload("programme"), secret, algorithms=["HS256"])
    with pytest.raises(BadSignature):
        PINNED.document(token.encode())


def test_a_signed_payload_that_breaks_the_contract_is_malformed_not_forged() -> None:
    token = jws.serialize_compact(
        {"alg": "Ed25519", "kid": PROGRAMME.kid},
        b'{"kind": "programme", "scope": "area/51"}',
        OKPKey.import_key(json.loads((FOLDER / "test-key-programme.jwk").read_text())),
        algorithms=["Ed25519"],
    )
    with pytest.raises(WireError, match="revision") as caught:
        PINNED.document(token.encode())
    assert not isinstance(caught.value, BadSignature)


def test_a_signed_command_is_no_document_and_a_document_no_command() -> None:
    with pytest.raises(WireError):
        PINNED.document(signed("command-reboot"))
    with pytest.raises(WireError):
        PINNED.command(signed("programme"))


@given(st.data())
def test_no_changed_bit_goes_unnoticed(data: st.DataObject) -> None:
    token = signed("config")
    at = data.draw(st.integers(0, len(token) - 1))
    flipped = bytearray(token)
    flipped[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(WireError):
        PINNED.document(bytes(flipped))


@pytest.mark.parametrize("name", SIGNED)
def test_the_unused_bits_of_the_last_character_are_not_free(name: str) -> None:
    """86 characters hold 516 bits, the signature 512: four spellings that a lax decoder takes."""
    token = (FOLDER / f"{name}.jws").read_bytes()
    accepted = []
    for last in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_":
        try:
            opened(name, token[:-1] + bytes([last]))
        except BadSignature:
            continue
        accepted.append(last)
    assert accepted == [token[-1]]


@pytest.mark.parametrize("name", SIGNED)
def test_a_golden_token_carries_its_golden_payload_to_the_byte(name: str) -> None:
    _, body, _ = (FOLDER / f"{name}.jws").read_bytes().split(b".")
    assert base64.urlsafe_b64decode(body + b"=" * (-len(body) % 4)) == payload(name)


SPELT_OTHERWISE = {
    "padded": lambda token: token + b"==",
    "a line end": lambda token: token + b"\n",
    "a blank": lambda token: token.replace(b".", b". ", 1),
    "base64, not base64url": lambda token: token[:-5] + b"+" + token[-4:],
    "two parts": lambda token: token.rpartition(b".")[0],
    "four parts": lambda token: token + b".",
    "detached payload": lambda token: b"..".join(token.split(b".")[::2]),
    "JSON serialisation": lambda token: b'{"payload": "", "signatures": []}',
    "no header": lambda token: b"." + token.split(b".", 1)[1],
    "header is a list": lambda token: b64(b"[]") + b"." + token.split(b".", 1)[1],
    "other algorithm": lambda token: with_header(token, alg="EdDSA", kid=PROGRAMME.kid),
    "crit": lambda token: with_header(token, alg="Ed25519", kid=PROGRAMME.kid, crit=[]),
    "other algorithm and unknown key": lambda token: with_header(token, alg="none", kid="x"),
}


@pytest.mark.parametrize("spelling", SPELT_OTHERWISE)
def test_another_form_is_no_signature(spelling: str) -> None:
    """Told as `signature`, before any key is looked for."""
    with pytest.raises(BadSignature) as caught:
        PINNED.document(SPELT_OTHERWISE[spelling](signed("programme")))
    assert caught.value.field == "$"


@pytest.mark.parametrize("kid", [None, "x", 7, ["x"], {}])
def test_an_unknown_key_is_told_as_such(kid: Any) -> None:
    with pytest.raises(BadSignature) as caught:
        PINNED.document(with_header(signed("programme"), alg="Ed25519", kid=kid))
    assert caught.value.field == "kid"


def test_a_key_of_tomorrow_breaks_no_verifier() -> None:
    longer = PublicKey(kid="ml-dsa", use="programme", x="x" * 500)
    other = PublicKey(kid=PROGRAMME.kid, use="content", x=PROGRAMME.public().x)
    with pytest.raises(BadSignature, match="may not sign"):
        Verifier([longer, other]).document(signed("programme"))


@given(st.binary(max_size=300) | st.lists(st.binary(max_size=40), max_size=5).map(b".".join))
def test_any_bytes_are_refused_and_raise_nothing_else(anything: bytes) -> None:
    with pytest.raises(WireError):
        PINNED.document(anything)
    with pytest.raises(WireError):
        PINNED.command(anything)


@given(st.dictionaries(st.text(max_size=6), st.none() | st.text(max_size=9) | st.integers()))
def test_any_header_is_refused_and_raises_nothing_else(header: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        PINNED.document(with_header(signed("programme"), **(header | {"kid": PROGRAMME.kid})))


def test_a_private_key_is_read_from_its_jwk_and_named_as_the_library_names_it() -> None:
    made = OKPKey.generate_key("Ed25519", auto_kid=True)
    read = SigningKey.from_jwk(json.dumps(made.as_dict(private=True)), "alert")
    assert read.public() == PublicKey(
        kid=str(made.kid), use="alert", x=str(made.as_dict(private=False)["x"])
    )


def test_what_we_sign_the_library_verifies() -> None:
    made = SigningKey.generate("programme")
    programme = decode(payload("programme"), Programme)
    public = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": made.x})
    read = jws.deserialize_compact(made.sign(programme), public, algorithms=["Ed25519"])
    assert decode(read.payload, Programme) == programme


def test_a_key_shows_nobody_its_private_half() -> None:
    assert "sign_bytes" not in repr(SigningKey.generate("programme"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"kty":"oct","k":"AAAA"}',
        json.dumps({"kty": "OKP", "crv": "Ed25519", "x": PROGRAMME.public().x}),
    ],
)
def test_what_is_no_private_ed25519_key_is_said_so(text: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        SigningKey.from_jwk(text, "programme")

"""The signature around everything downward: JWS compact (RFC 7515), Ed25519 (RFC 9864).

A device pins the province's keys at enrolment and accepts nothing else. Alerts have a key of
their own, so that a key for bulletins cannot raise an alarm.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from broadcast.wire import WireError
from broadcast.wire.codec import decode, encode
from broadcast.wire.commands import AnyCommand
from broadcast.wire.documents import Alerts, Document, PublicKey
from broadcast.wire.limits import COMMAND_BYTES, DOCUMENT_BYTES

ALGORITHM = "Ed25519"
"""RFC 9864 name; the older, ambiguous `EdDSA` is deprecated by it."""

Use = Literal["programme", "alert"]


class _Registry(jws.JWSRegistry):
    """Bounds of the library itself. Its default, 128 kB, would hold for reading only."""

    max_payload_length = COMMAND_BYTES


_REGISTRY = _Registry(algorithms=[ALGORITHM])

_PARTS = 3
_ED25519 = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True)
class SigningKey:
    """A private key and what it may sign."""

    key: OKPKey
    use: Use

    @classmethod
    def generate(cls, use: Use) -> SigningKey:
        """A fresh key; its `kid` is the RFC 7638 thumbprint."""
        return cls(OKPKey.generate_key("Ed25519", auto_kid=True), use)

    @classmethod
    def from_jwk(cls, text: str, use: Use) -> SigningKey:
        """Read a JWK.

        Raises:
            ValueError: It is no private Ed25519 key.
        """
        try:
            key = OKPKey.import_key(json.loads(text))
        except (JoseError, TypeError, ValueError) as error:
            raise ValueError(f"not a JWK: {error}") from None
        if not key.is_private or key.curve_name != "Ed25519":
            raise ValueError("not a private Ed25519 key")
        key.ensure_kid()
        return cls(key, use)

    def to_jwk(self) -> str:
        """Private JWK as JSON. Secret."""
        return json.dumps(self.key.as_dict(private=True))

    @property
    def kid(self) -> str:
        """Key id, the RFC 7638 thumbprint."""
        kid = self.key.kid
        assert kid is not None
        return kid

    def public(self) -> PublicKey:
        """The public key, which a device pins."""
        return PublicKey(kid=self.kid, use=self.use, x=str(self.key.as_dict(private=False)["x"]))

    def sign_bytes(self, text: bytes) -> bytes:
        """Ed25519 signature (64 bytes) of a text."""
        private = self.key.private_key
        assert isinstance(private, Ed25519PrivateKey)
        return private.sign(text)

    def sign(self, message: Document | AnyCommand) -> bytes:
        """JWS compact of a document or a command.

        Raises:
            WireError: It is longer than anybody would read.
        """
        header = {"alg": ALGORITHM, "kid": self.kid}
        token = jws.serialize_compact(header, encode(message), self.key, registry=_REGISTRY)
        _check_length(token, _most_bytes(message))
        return token.encode()


def read_own(token: bytes) -> Document:
    """Document of a token that we signed ourselves and kept; the signature is not looked at.

    Raises:
        WireError: It is none.
    """
    document: Document = decode(_extract(token).payload, Document)  # type: ignore[arg-type]
    return document


def kid_of(token: bytes) -> str | None:
    """Id of the key that the header of a token names.

    Raises:
        WireError: It is no token.
    """
    kid: str | None = _extract(token).headers().get("kid")
    return kid


def _extract(token: bytes) -> jws.CompactSignature:
    _check_length(token, DOCUMENT_BYTES)
    try:
        return jws.extract_compact(token, registry=_REGISTRY)
    except (JoseError, ValueError) as error:
        raise WireError(f"no JWS: {error}") from None


def _most_bytes(message: Document | AnyCommand) -> int:
    return DOCUMENT_BYTES if isinstance(message, Document) else COMMAND_BYTES


def _check_length(token: bytes | str, at_most: int) -> None:
    if len(token) > at_most:
        raise WireError(f"{len(token)} bytes, at most {at_most} are accepted")


class BadSignature(WireError):
    """Not signed by a pinned key that may sign this kind of message."""


class Verifier:
    """The pinned public keys of a device."""

    def __init__(self, keys: list[PublicKey]) -> None:
        self._keys: dict[str, tuple[str, OKPKey]] = {
            key.kid: (
                key.use,
                OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": key.x, "kid": key.kid}),
            )
            for key in keys
            if _ED25519.fullmatch(key.x)
        }

    def document(self, token: bytes) -> Document:
        """Signed document.

        Raises:
            BadSignature: Unknown key, wrong signature, or a key that may not sign this kind.
            WireError: It is too long, or the signed payload is malformed.
        """
        _check_length(token, DOCUMENT_BYTES)
        use, payload = self._open(token)
        document: Document = decode(payload, Document)  # type: ignore[arg-type]
        wanted: Use = "alert" if isinstance(document, Alerts) else "programme"
        if use != wanted:
            raise BadSignature(f"a {use} key may not sign this document", "kid")
        return document

    def command(self, token: bytes) -> AnyCommand:
        """Signed command; raises as `document` does."""
        _check_length(token, COMMAND_BYTES)
        use, payload = self._open(token)
        if use != "programme":
            raise BadSignature(f"a {use} key may not sign commands", "kid")
        command: AnyCommand = decode(payload, AnyCommand)  # type: ignore[arg-type]
        return command

    def _open(self, token: bytes) -> tuple[str, bytes]:
        header = _header(token)
        try:
            use, key = self._keys[header["kid"]]
        except (KeyError, TypeError):
            raise BadSignature("signed by an unknown key", "kid") from None
        try:
            verified = jws.deserialize_compact(token, key, registry=_REGISTRY)
        except (JoseError, ValueError) as error:
            raise BadSignature(f"no valid signature: {error}") from None
        return use, verified.payload


def _header(token: bytes) -> dict[str, Any]:
    """Protected header of what has the form of a token of ours.

    The library takes more than the contract: base64url that was never written so (its last
    character may carry bits that nobody reads), and other algorithms.

    Raises:
        BadSignature: It has another form.
    """
    parts = token.split(b".")
    if len(parts) != _PARTS:
        raise BadSignature(f"{len(parts)} parts, not {_PARTS}")
    try:
        decoded = [_decoded(part) for part in parts]
        header = json.loads(decoded[0])
    except (ValueError, RecursionError) as error:
        raise BadSignature(f"no JWS: {error}") from None
    if not isinstance(header, dict):
        raise BadSignature("the header is no object")
    if header.get("alg") != ALGORITHM:
        raise BadSignature(f"signed by another algorithm than {ALGORITHM}")
    if "crit" in header:
        raise BadSignature("the header has `crit`")
    return header


def _decoded(part: bytes) -> bytes:
    """Bytes of canonical base64url without padding (RFC 4648 §3.5, §5).

    Raises:
        ValueError: It is spelt otherwise.
    """
    decoded = base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
    if base64.urlsafe_b64encode(decoded).rstrip(b"=") != part:
        raise ValueError("not canonical base64url")
    return decoded

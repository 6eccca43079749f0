"""The signature around everything downward: JWS compact (RFC 7515), Ed25519 (RFC 9864).

A device pins the province's keys at enrolment and accepts nothing else. What sounds at once,
alerts and live speech, has a key of its own, so that a key for bulletins cannot raise an alarm.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from broadcast.wire import WireError
from broadcast.wire.codec import decode, encode
from broadcast.wire.commands import AnyCommand
from broadcast.wire.documents import Alerts, Document, Live, PublicKey
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
    """A key of ours and what it may sign; its private half may lie where nobody can read it.

    Attributes:
        use: What it may sign.
        x: Its public half: 32 bytes in base64url.
        kid: Its RFC 7638 thumbprint.
        sign_bytes: Ed25519 signature (64 bytes) of a text.
    """

    use: Use
    x: str
    kid: str
    sign_bytes: Callable[[bytes], bytes] = field(repr=False, compare=False)

    @classmethod
    def of(cls, use: Use, public: bytes, sign_bytes: Callable[[bytes], bytes]) -> SigningKey:
        """A key of which only the public half (32 bytes) and its way to sign are known."""
        x = _encoded(public).decode()
        return cls(use, x, thumbprint(x), sign_bytes)

    @classmethod
    def from_private(cls, private: Ed25519PrivateKey, use: Use) -> SigningKey:
        """A key that is held in memory."""
        return cls.of(use, private.public_key().public_bytes_raw(), private.sign)

    @classmethod
    def generate(cls, use: Use) -> SigningKey:
        """A fresh key in memory, and nowhere else."""
        return cls.from_private(Ed25519PrivateKey.generate(), use)

    @classmethod
    def from_jwk(cls, text: str, use: Use) -> SigningKey:
        """Read a JWK.

        Raises:
            ValueError: It is no private Ed25519 key.
        """
        return cls.from_private(private_of_jwk(text), use)

    def public(self) -> PublicKey:
        """The public key, which a device pins."""
        return PublicKey(kid=self.kid, use=self.use, x=self.x)

    def sign(self, message: Document | AnyCommand) -> bytes:
        """JWS compact of a document or a command.

        Raises:
            WireError: It is longer than anybody would read.
        """
        header = json.dumps({"alg": ALGORITHM, "kid": self.kid}, separators=(",", ":"))
        signed = _encoded(header.encode()) + b"." + _encoded(encode(message))
        token = signed + b"." + _encoded(self.sign_bytes(signed))
        _check_length(token, _most_bytes(message))
        return token


def private_of_jwk(text: str) -> Ed25519PrivateKey:
    """Private key of a JWK (RFC 8037).

    Raises:
        ValueError: It is no private Ed25519 key.
    """
    try:
        private = OKPKey.import_key(json.loads(text)).private_key
    except (JoseError, TypeError, ValueError) as error:
        raise ValueError(f"not a JWK: {error}") from None
    if not isinstance(private, Ed25519PrivateKey):
        raise ValueError("not a private Ed25519 key")  # noqa: TRY004  of a text, no argument
    return private


def thumbprint(x: str) -> str:
    """RFC 7638 thumbprint of an Ed25519 key, whose members RFC 8037 orders.

    >>> thumbprint("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
    'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k'
    """
    members = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": x}, separators=(",", ":"))
    return _encoded(hashlib.sha256(members.encode()).digest()).decode()


def _encoded(part: bytes) -> bytes:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(part).rstrip(b"=")


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
        wanted: Use = "alert" if isinstance(document, Alerts | Live) else "programme"
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
    if _encoded(decoded) != part:
        raise ValueError("not canonical base64url")
    return decoded

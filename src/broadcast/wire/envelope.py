"""The signature around everything downward: JWS compact (RFC 7515), Ed25519 (RFC 9864).

A device pins the province's keys at enrolment and accepts nothing else. Alerts have a key of
their own, so that whoever schedules bulletins cannot raise an alarm.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from broadcast.wire import WireError
from broadcast.wire.codec import decode, encode
from broadcast.wire.commands import AnyCommand
from broadcast.wire.documents import Alerts, Document, PublicKey

ALGORITHM = "Ed25519"
"""RFC 9864 name; the older, ambiguous `EdDSA` is deprecated by it."""

Use = Literal["programme", "alert"]


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
        """What a device pins."""
        return PublicKey(kid=self.kid, use=self.use, x=str(self.key.as_dict(private=False)["x"]))

    def sign(self, message: Document | AnyCommand) -> bytes:
        """JWS compact of a document or a command."""
        header = {"alg": ALGORITHM, "kid": self.kid}
        return jws.serialize_compact(
            header, encode(message), self.key, algorithms=[ALGORITHM]
        ).encode()


def read_own(token: bytes) -> Document:
    """Document of a token that we signed ourselves and kept; the signature is not looked at."""
    document: Document = decode(jws.extract_compact(token).payload, Document)  # type: ignore[arg-type]
    return document


def kid_of(token: bytes) -> str | None:
    """Id of the key that a token says it is signed by."""
    kid: str | None = jws.extract_compact(token).headers().get("kid")
    return kid


class BadSignature(WireError):
    """Not signed by a pinned key that may sign this kind of message."""


class Verifier:
    """The pinned public keys of a device."""

    def __init__(self, keys: list[PublicKey]) -> None:
        self._keys: dict[str, tuple[Use, OKPKey]] = {
            key.kid: (
                key.use,
                OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": key.x, "kid": key.kid}),
            )
            for key in keys
        }

    def document(self, token: bytes) -> Document:
        """Signed document.

        Raises:
            BadSignature: Unknown key, wrong signature, or a key that may not sign this kind.
            WireError: The signed payload is malformed.
        """
        use, payload = self._open(token)
        document: Document = decode(payload, Document)  # type: ignore[arg-type]
        wanted: Use = "alert" if isinstance(document, Alerts) else "programme"
        if use != wanted:
            raise BadSignature(f"a {use} key may not sign this document", "kid")
        return document

    def command(self, token: bytes) -> AnyCommand:
        """Signed command; raises as `document` does."""
        use, payload = self._open(token)
        if use != "programme":
            raise BadSignature(f"a {use} key may not sign commands", "kid")
        command: AnyCommand = decode(payload, AnyCommand)  # type: ignore[arg-type]
        return command

    def _open(self, token: bytes) -> tuple[Use, bytes]:
        try:
            unverified = jws.extract_compact(token)
            kid: Any = unverified.headers().get("kid")
            use, key = self._keys[kid]
            verified = jws.deserialize_compact(token, key, algorithms=[ALGORITHM])
        except (KeyError, TypeError):
            raise BadSignature("signed by an unknown key", "kid") from None
        except (JoseError, ValueError) as error:
            raise BadSignature(f"no valid signature: {error}") from None
        return use, verified.payload

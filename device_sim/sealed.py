"""Signed documents, opened once per process.

Verification is a pure function of the pinned keys and the bytes, and a thousand simulated
devices receive the same bytes. So the same immutable object is handed out to all of them for as
long as one of them holds it, which is also what keeps a device small.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Literal
from weakref import WeakValueDictionary

import msgspec

from broadcast.wire.codec import decode
from broadcast.wire.documents import Alerts, Config, Document, Live, Programme, PublicKey
from broadcast.wire.envelope import BadSignature, Verifier

Kind = Literal["programme", "alerts", "config", "live"]
Keys = tuple[PublicKey, ...]

_KINDS: dict[type[Document], Kind] = {
    Programme: "programme",
    Alerts: "alerts",
    Config: "config",
    Live: "live",
}


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Sealed:
    """A document with the bytes it came in and the key it was signed with."""

    token: bytes
    kid: str
    document: Document

    @property
    def kind(self) -> Kind:
        """Last level of the document's topic."""
        return _KINDS[type(self.document)]

    @property
    def key(self) -> str:
        """`{scope}/{kind}`, as in `held`."""
        return f"{self.document.scope}/{self.kind}"


_opened: WeakValueDictionary[tuple[Keys, bytes], Sealed] = WeakValueDictionary()


@lru_cache(maxsize=256)
def verifier(keys: Keys) -> Verifier:
    """The verifier of a set of pinned keys."""
    return Verifier(list(keys))


def verified(keys: Keys, token: bytes) -> Sealed:
    """Open a document that came from outside.

    Raises:
        BadSignature: Unknown key, wrong signature, or a key that may not sign this kind.
        WireError: The signed payload is malformed.
    """
    memo = (keys, blake2b(token, digest_size=20).digest())
    sealed = _opened.get(memo)
    if sealed is None:
        document = verifier(keys).document(token)
        sealed = _opened[memo] = Sealed(token, _parts(token)[0], document)
    return sealed


def stored(token: bytes) -> Sealed:
    """Open a document from the device's own flash, where only verified ones are written.

    A config needs this: it may have retired the very key it was signed with.
    """
    kid, payload = _parts(token)
    document: Document = decode(payload, Document)  # type: ignore[arg-type]
    return Sealed(token, kid, document)


def _parts(token: bytes) -> tuple[str, bytes]:
    try:
        header, payload, _ = token.split(b".")
        kid: str = msgspec.json.decode(_unpadded(header))["kid"]
        return kid, _unpadded(payload)
    except (binascii.Error, KeyError, ValueError) as error:
        raise BadSignature(f"not a JWS: {error}") from None


def _unpadded(part: bytes) -> bytes:
    return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))

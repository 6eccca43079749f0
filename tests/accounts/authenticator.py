"""A device with passkeys, in software, and the browser that asks it (WebAuthn Level 3)."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from webauthn.helpers import encode_cbor

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Held(NamedTuple):
    """A passkey on the device."""

    key: ec.EllipticCurvePrivateKey
    rp_id: str
    user_handle: str


class Authenticator:
    """A device.

    Attributes:
        is_verifying: Whether it asks for finger, face or PIN before it signs.
        count: Signatures so far.
    """

    def __init__(self, origin: str) -> None:
        self.origin = origin
        """What the browser's address bar says."""
        self.is_verifying = True
        self.count = 0
        self.held: dict[str, Held] = {}

    def create(self, options: dict[str, Any]) -> dict[str, Any]:
        """`navigator.credentials.create()`."""
        self._refuse_strangers(options["rp"]["id"])
        assert not {each["id"] for each in options["excludeCredentials"]} & self.held.keys()
        assert {"type": "public-key", "alg": -7} in options["pubKeyCredParams"]
        key = ec.generate_private_key(ec.SECP256R1())
        id_ = secrets.token_bytes(16)
        self.held[b64(id_)] = Held(key, options["rp"]["id"], options["user"]["id"])
        point = key.public_key().public_numbers()
        cose = encode_cbor(
            {1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")}
        )
        attested = bytes(16) + len(id_).to_bytes(2, "big") + id_ + cose
        data = self._data(options["rp"]["id"], ATTESTED) + attested
        return self._answer(
            b64(id_),
            {
                "clientDataJSON": b64(self._client_data("webauthn.create", options)),
                "attestationObject": b64(
                    encode_cbor({"fmt": "none", "attStmt": {}, "authData": data})
                ),
            },
        )

    def get(self, options: dict[str, Any]) -> dict[str, Any]:
        """`navigator.credentials.get()`, with the first passkey for that name."""
        self._refuse_strangers(options["rpId"])
        id_, held = next(
            (id_, held) for id_, held in self.held.items() if held.rp_id == options["rpId"]
        )
        self.count += 1
        data = self._data(held.rp_id, 0)
        client_data = self._client_data("webauthn.get", options)
        signature = held.key.sign(
            data + hashlib.sha256(client_data).digest(), ec.ECDSA(hashes.SHA256())
        )
        return self._answer(
            id_,
            {
                "clientDataJSON": b64(client_data),
                "authenticatorData": b64(data),
                "signature": b64(signature),
                "userHandle": held.user_handle,
            },
        )

    def _refuse_strangers(self, rp_id: str) -> None:
        host = urlsplit(self.origin).hostname or ""
        assert host == rp_id or host.endswith(f".{rp_id}"), "a browser refuses another's name"

    def _data(self, rp_id: str, flags: int) -> bytes:
        flags |= PRESENT | (VERIFIED if self.is_verifying else 0)
        named = hashlib.sha256(rp_id.encode()).digest()
        return named + bytes([flags]) + self.count.to_bytes(4, "big")

    def _client_data(self, kind: str, options: dict[str, Any]) -> bytes:
        said = {"type": kind, "challenge": options["challenge"], "origin": self.origin}
        return json.dumps(said | {"crossOrigin": False}).encode()

    @staticmethod
    def _answer(id_: str, response: dict[str, str]) -> dict[str, Any]:
        return {
            "id": id_,
            "rawId": id_,
            "type": "public-key",
            "response": response,
            "clientExtensionResults": {},
            "authenticatorAttachment": "platform",
        }

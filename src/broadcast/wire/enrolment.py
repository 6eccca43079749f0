"""What a box is given when it is enrolled, and how it asks for it. Not over MQTT: over HTTPS."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from broadcast.wire.documents import PublicKey
from broadcast.wire.fields import Code, Instant, Pem, Wire


class Claim(Wire, frozen=True):
    """What the QR code of a claim says."""

    url: str
    """Where the box sends its `EnrolmentRequest`, by POST."""
    device_id: Code
    claim_code: str


class EnrolmentRequest(Wire, frozen=True):
    """Sent by a box that was given a claim code."""

    claim_code: str
    """As printed; neither blanks, hyphens nor case matter."""
    csr: Pem
    """PKCS#10 in PEM. Of it only the public key is taken; the signature must be right."""


class Broker(Wire, frozen=True):
    """The broker, as a box reaches it: MQTT 3.1.1 over TLS ≥ 1.2."""

    host: str
    """Name that its certificate must bear."""
    port: Annotated[int, Meta(ge=1, le=65535)]
    authority: str
    """Certificate, in PEM, that must have signed the broker's; no other is to be trusted."""


class Bundle(Wire, frozen=True):
    """Everything that a box is given at enrolment.

    Either `certificate`, for the key that the box has made, or `username` and `password`.
    """

    device_id: Code
    prefix: str
    """First levels of every topic."""
    broker: Broker
    keys: list[PublicKey]
    certificate: str | None = None
    """Client certificate in PEM."""
    renew_at: Instant | None = None
    """From when on the box asks for the next certificate."""
    expires_at: Instant | None = None
    """Of the certificate."""
    username: str | None = None
    password: str | None = None

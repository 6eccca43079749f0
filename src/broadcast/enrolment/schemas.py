"""REST of enrolment."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from broadcast.enrolment.model import Because
from broadcast.kit.text import FilledLine
from broadcast.kit.times import Moment
from broadcast.web.fields import Code, example
from broadcast.web.rest import Body
from broadcast.wire.fields import PEM_BYTES

Csr = Annotated[
    str,
    Field(
        min_length=1,
        max_length=PEM_BYTES,
        pattern=r"^[\x20-\x7e\r\n]*$",
        description="PKCS#10 dạng PEM",
    ),
]


class CsrIn(Body):
    """A certificate signing request that a technician brings from a box."""

    csr: Csr


class EnrolmentIn(CsrIn):
    """A request of a box that was given a claim code."""

    claim_code: Annotated[
        FilledLine, Field(max_length=40, description="như đã in; không kể hoa thường, gạch")
    ]


class ClaimOut(BaseModel):
    """A claim code, shown once."""

    device_code: str
    claim_code: str
    expires_at: Moment
    qr_text: str
    """What the QR code says: JSON, `Claim` of docs/wire.md."""
    qr_svg: str
    """The QR code as an SVG image."""


MOST_CLAIMS = 60
"""Claims of one request: five sheets of labels."""


class ClaimsIn(Body):
    """Devices that are to get a claim code each."""

    model_config = example(codes=["QN-000417", "QN-000418"])

    codes: Annotated[list[Code], Field(min_length=1, max_length=MOST_CLAIMS)]


class KeyOut(BaseModel):
    """A public key of the province."""

    kid: str
    use: str
    x: str


class BrokerOut(BaseModel):
    """The broker, as a box reaches it."""

    host: str
    port: int
    authority: str
    """Certificate in PEM that must have signed the broker's."""


class BundleOut(BaseModel):
    """Everything that a box is given (docs/wire.md, section 2); absent fields do not apply."""

    device_id: str
    prefix: str
    broker: BrokerOut
    keys: list[KeyOut]
    certificate: str | None = None
    renew_at: Moment | None = None
    expires_at: Moment | None = None
    username: str | None = None
    password: str | None = None


class CertificateOut(BaseModel):
    """A certificate of a device."""

    serial: str
    issued_at: Moment
    expires_at: Moment
    revoked_at: Moment | None
    revoked_because: Because | None


class CredentialsOut(BaseModel):
    """By what a device may connect."""

    certificates: list[CertificateOut]
    """Newest first."""
    password_set_at: Moment | None
    claim_until: Moment | None
    """A claim code waits for its box until then."""

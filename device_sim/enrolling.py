"""Enrolment as a box does it: make a key, ask for its certificate, keep what is given.

The key never leaves the box. What is kept is whole or not there, over power cuts too.
"""

from __future__ import annotations

import json
import os
import ssl
import urllib.error
import urllib.request
from datetime import datetime
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from broadcast.wire.codec import decode, encode
from broadcast.wire.enrolment import Bundle, Claim, EnrolmentRequest
from device_sim.link import Access

PATIENCE_SECONDS = 20.0
ANSWER_BYTES = 64 * 1024


class Refused(Exception):
    """The server gives us nothing; the text says why."""


class Keeper:
    """What one box keeps of its enrolment, in a folder.

    Args:
        folder: Made where it is not there, for its owner alone.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def bundle(self) -> Bundle | None:
        """What was given; None of a box that was never enrolled."""
        path = self._folder / "bundle.json"
        return decode(path.read_bytes(), Bundle) if path.exists() else None

    @property
    def key_file(self) -> Path:
        """The private key in use."""
        return self._folder / "key.pem"

    @property
    def certificate_file(self) -> Path:
        """The certificate in use, in PEM."""
        return self._folder / "certificate.pem"

    def signing_request(self) -> str:
        """PKCS#10 for the box's key, which is made where there is none."""
        if not self.key_file.exists():
            _write(self.key_file, _new_key())
        key = serialization.load_pem_private_key(self.key_file.read_bytes(), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        request = x509.CertificateSigningRequestBuilder(x509.Name([])).sign(key, hashes.SHA256())
        return request.public_bytes(serialization.Encoding.PEM).decode()

    def keep(self, bundle: Bundle) -> None:
        """Keep what was given.

        Raises:
            Refused: The certificate is for another key.
        """
        if bundle.certificate is not None:
            self.keep_certificate(bundle.certificate)
        _write(self._folder / "bundle.json", encode(bundle))

    def keep_certificate(self, certificate: str) -> None:
        """Keep a certificate, which is used from the next connection on.

        Raises:
            Refused: It is none, or for another key.
        """
        try:
            given = x509.load_pem_x509_certificate(certificate.encode()).public_key()
        except ValueError:
            raise Refused("not a certificate") from None
        key = serialization.load_pem_private_key(self.key_file.read_bytes(), password=None)
        if given != key.public_key():
            raise Refused("a certificate for another key")
        _write(self.certificate_file, certificate.encode())

    def keep_renewed(self, certificate: str, renew_at: datetime, expires_at: datetime) -> None:
        """Keep the next certificate; the connection that stands was opened by the one before.

        Raises:
            Refused: It is none, or for another key, or ends no later.
        """
        bundle = self.bundle
        assert bundle is not None, "enrolled"
        if bundle.expires_at is None or expires_at <= bundle.expires_at:
            raise Refused("not newer")
        self.keep(
            msgspec.structs.replace(
                bundle, certificate=certificate, renew_at=renew_at, expires_at=expires_at
            )
        )

    def access(self) -> Access:
        """How the box meets the broker."""
        bundle = self.bundle
        assert bundle is not None, "enrolled"
        login = None
        if bundle.username is not None:
            login = (bundle.username, bundle.password or "")
        return Access((bundle.broker.host, bundle.broker.port), bundle.prefix, login, self.tls)

    def tls(self) -> ssl.SSLContext:
        """What the box trusts, the one authority that it was given, and what it shows."""
        bundle = self.bundle
        assert bundle is not None, "enrolled"
        context = ssl.create_default_context(cadata=bundle.broker.authority)
        if bundle.certificate is not None:
            context.load_cert_chain(self.certificate_file, self.key_file)
        return context


def enrol(claim: Claim, keeper: Keeper, trust: ssl.SSLContext | None = None) -> Bundle:
    """Ask for what a claim code promises, and keep it. May be repeated: the answer is the same.

    Args:
        claim: As the QR code says it.
        keeper: Where key and bundle are kept.
        trust: For HTTPS; what this machine trusts when None.

    Raises:
        Refused: The server refuses, cannot be reached, or gives what is not ours.
    """
    asked = EnrolmentRequest(claim_code=claim.claim_code, csr=keeper.signing_request())
    request = urllib.request.Request(  # noqa: S310 — the scheme is looked at
        claim.url, encode(asked), {"Content-Type": "application/json"}
    )
    if request.type not in {"http", "https"}:
        raise Refused(f"{claim.url}: neither http nor https")
    try:
        with urllib.request.urlopen(  # noqa: S310 — as above
            request, timeout=PATIENCE_SECONDS, context=trust
        ) as answer:
            bundle = decode(answer.read(ANSWER_BYTES), Bundle)
    except urllib.error.HTTPError as error:
        raise Refused(f"{error.code}: {_detail(error.read(ANSWER_BYTES))}") from None
    except (OSError, ValueError) as error:
        raise Refused(f"{claim.url}: {error}") from None
    if bundle.device_id != claim.device_id:
        raise Refused(f"asked for {claim.device_id}, given {bundle.device_id}")
    keeper.keep(bundle)
    return bundle


def _detail(problem: bytes) -> str:
    try:
        return str(json.loads(problem)["detail"])
    except (KeyError, TypeError, ValueError):
        return ""


def _new_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)

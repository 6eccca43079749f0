"""An installation with authorities, and boxes that ask for certificates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa

from broadcast import config
from broadcast.enrolment import authority_files

NOW = datetime(2025, 7, 1, 1, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)

Signing = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


def installation(folder: Path, **enrolment: object) -> config.Settings:
    """Settings of an installation whose authorities have been made in `folder`."""
    settings = config.Settings(
        keys=config.Keys(dir=folder / "keys", passphrase_file=folder / "keys.passphrase"),
        web=config.Web(public_url="https://tinh.example"),
        enrolment=config.Enrolment.model_validate(
            {
                "broker_host": "mqtt.tinh.example",
                "authority_dir": folder / "authority",
                "broker_dir": folder / "broker",
            }
            | enrolment
        ),
    )
    authority_files.create(
        settings.enrolment.authority_dir, ["mqtt.tinh.example"], settings.mqtt.client_id, NOW
    )
    return settings


def p256() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def csr(key: Signing | dsa.DSAPrivateKey, name: str = "whatever the box says") -> str:
    """A signing request of a box."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    request = x509.CertificateSigningRequestBuilder(subject).sign(key, algorithm)
    return request.public_bytes(serialization.Encoding.PEM).decode()

"""A certificate authority (X.509, RFC 5280) and what it signs. Pure: keys in memory, no files.

An installation has two. The *broker's* vouches for the broker and for the server; devices trust it
for good, and its key may be kept offline. The *devices'* vouches for devices; its key signs every
day. They are two so that no device can pass for the server or the broker, whatever its name.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from broadcast.kit.errors import InvalidInput

AUTHORITY_LIFE = timedelta(days=20 * 365)
MACHINE_LIFE = timedelta(days=10 * 365)
"""Of the certificates of broker and server, which a person renews."""

REVOCATION_LIST_LIFE = timedelta(days=30)
"""A broker with an expired list refuses every device, so it is made anew daily."""

CLOCKS_APART = timedelta(hours=1)
"""By which the clock of the broker may be behind ours."""

RSA_BITS = range(2048, 4096 + 1)

_CURVES = (ec.SECP256R1, ec.SECP384R1)

DeviceKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey
PrivateKey = ec.EllipticCurvePrivateKey


class Revoked(NamedTuple):
    """A certificate that is good no longer, although it has not expired."""

    serial: int
    at: datetime


@dataclass(frozen=True)
class Authority:
    """Certificate and private key of an authority."""

    certificate: x509.Certificate
    key: PrivateKey

    @classmethod
    def create(cls, name: str, now: datetime) -> Authority:
        """A new authority, which signs itself."""
        key = new_key()
        subject = _name(name)
        certificate = (
            _builder(subject, subject, key.public_key(), now, AUTHORITY_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(authority=True), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key)

    @classmethod
    def read(cls, certificate: bytes, key: bytes) -> Authority:
        """From PEM.

        Raises:
            ValueError: They are none, or do not belong together.
        """
        try:
            signed = x509.load_pem_x509_certificate(certificate)
            private = serialization.load_pem_private_key(key, password=None)
        except (TypeError, UnsupportedAlgorithm) as error:
            raise ValueError(str(error)) from None
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise ValueError("not an EC key")  # noqa: TRY004 — of the file, not of the argument
        if private.public_key() != signed.public_key():
            raise ValueError("the key is another certificate's")
        return cls(signed, private)

    def device(
        self, code: str, key: DeviceKey, now: datetime, life: timedelta
    ) -> x509.Certificate:
        """Certificate of a device; its common name is the device's code."""
        return self._leaf(code, key, now, life, ExtendedKeyUsageOID.CLIENT_AUTH)

    def server(self, name: str, key: PrivateKey, now: datetime) -> x509.Certificate:
        """Certificate by which the server logs in at the broker; `name` is its user there."""
        return self._leaf(
            name, key.public_key(), now, MACHINE_LIFE, ExtendedKeyUsageOID.CLIENT_AUTH
        )

    def broker(self, hosts: Sequence[str], key: PrivateKey, now: datetime) -> x509.Certificate:
        """Certificate of the broker under the names, and addresses, by which it is reached."""
        return self._leaf(
            hosts[0],
            key.public_key(),
            now,
            MACHINE_LIFE,
            ExtendedKeyUsageOID.SERVER_AUTH,
            x509.SubjectAlternativeName([_host(host) for host in hosts]),
        )

    def revocation_list(
        self, revoked: Iterable[Revoked], number: int, now: datetime
    ) -> x509.CertificateRevocationList:
        """Certificate revocation list; `number` grows with every one."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now - CLOCKS_APART)
            .next_update(now + REVOCATION_LIST_LIFE)
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(self._issuer_key(), critical=False)
        )
        for each in revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(each.serial)
                .revocation_date(each.at)
                .build()
            )
        return builder.sign(self.key, hashes.SHA256())

    def _issuer_key(self) -> x509.AuthorityKeyIdentifier:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())

    def _leaf(
        self,
        name: str,
        key: DeviceKey,
        now: datetime,
        life: timedelta,
        purpose: x509.ObjectIdentifier,
        names: x509.SubjectAlternativeName | None = None,
    ) -> x509.Certificate:
        life = min(life, self.certificate.not_valid_after_utc - now)
        builder = (
            _builder(_name(name), self.certificate.subject, key, now, life)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(self._issuer_key(), critical=False)
        )
        if names is not None:
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self.key, hashes.SHA256())


def new_key() -> PrivateKey:
    """A fresh key on P-256, which every TLS library knows."""
    return ec.generate_private_key(ec.SECP256R1())


def private_pem(key: PrivateKey) -> bytes:
    """PKCS#8, not encrypted. Secret."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def pem(signed: x509.Certificate | x509.CertificateRevocationList) -> str:
    """PEM of something public."""
    return signed.public_bytes(serialization.Encoding.PEM).decode()


def key_digest(key: DeviceKey) -> str:
    """SHA-256 of a public key (SubjectPublicKeyInfo): by it the same box is known again."""
    encoded = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    digest = hashes.Hash(hashes.SHA256())
    digest.update(encoded)
    return digest.finalize().hex()


def requested_key(csr: str) -> DeviceKey:
    """Public key of a certificate signing request, whose sender has the private one.

    Raises:
        InvalidInput: It is none, its signature is wrong, or the key is of a kind not taken.
    """
    try:
        request = x509.load_pem_x509_csr(csr.encode())
        key = request.public_key()
        signed = request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature):
        raise InvalidInput(
            "csr", "không phải yêu cầu cấp chứng chỉ PKCS#10 dạng PEM; tạo lại trên thiết bị"
        ) from None
    if not signed:
        raise InvalidInput("csr", "chữ ký của yêu cầu sai; tạo lại trên thiết bị bằng khóa của nó")
    match key:
        case ec.EllipticCurvePublicKey() if isinstance(key.curve, _CURVES):
            return key
        case ed25519.Ed25519PublicKey():
            return key
        case rsa.RSAPublicKey() if key.key_size in RSA_BITS:
            return key
    raise InvalidInput(
        "csr", "loại khóa không nhận; dùng EC P-256 (hoặc P-384), Ed25519, hoặc RSA 2048–4096 bit"
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: DeviceKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCKS_APART)
        .not_valid_after(now + life)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )

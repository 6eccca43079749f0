"""CAP messages for tests, each the sound one of `alert` with something changed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from broadcast.alerts.cap import reading, signature, writing
from broadcast.alerts.cap.places import Here
from broadcast.alerts.cap.policy import Issuer, Policy
from broadcast.alerts.cap.signature import Anchor, Signer
from broadcast.areas.model import Level, Part
from broadcast.areas.tree import Lineage, Step, Unit
from tests.boundaries.maps import square

NOW = datetime(2026, 11, 29, 5, 0, tzinfo=UTC)
SENDER = "canhbao@kttv.vn"
MERGED = date(2025, 7, 1)
SQUARE = "15.0,108.0 15.0,108.1 15.1,108.1 15.1,108.0 15.0,108.0"
"""All of commune A."""
HALF = "15.0,108.0 15.0,108.05 15.1,108.05 15.1,108.0 15.0,108.0"
"""Its western half, with village a1."""


def area(text: str = f"<polygon>{SQUARE}</polygon>", name: str = "Xã A") -> str:
    return f"<area><areaDesc>{name}</areaDesc>{text}</area>"


def info(
    *,
    language: str = "<language>vi-VN</language>",
    grades: str = "Immediate Extreme Observed",
    head: str = "<category>Met</category><event>Lũ quét</event>",
    times: str = "<expires>2026-11-29T15:00:00+07:00</expires>",
    text: str = "<headline>Lũ quét</headline><description>Nước lên nhanh.</description>"
    "<instruction>Lên chỗ cao ngay.</instruction>",
    areas: str = area(),
) -> str:
    urgency, severity, certainty = grades.split()
    return (
        f"<info>{language}{head}<urgency>{urgency}</urgency><severity>{severity}</severity>"
        f"<certainty>{certainty}</certainty>{times}{text}{areas}</info>"
    )


def alert(
    infos: str | None = None,
    *,
    begin: str = '<?xml version="1.0" encoding="UTF-8"?>',
    namespace: str = "urn:oasis:names:tc:emergency:cap:1.2",
    identifier: str = "<identifier>VN-KTTV-2026-0001</identifier>",
    sender: str = f"<sender>{SENDER}</sender>",
    sent: str = "2026-11-29T11:55:00+07:00",
    status: str = "Actual",
    kind: str = "Alert",
    scope: str = "<scope>Public</scope>",
    references: str = "",
    end: str = "",
) -> bytes:
    return (
        f'{begin}<alert xmlns="{namespace}">{identifier}{sender}<sent>{sent}</sent>'
        f"<status>{status}</status><msgType>{kind}</msgType>{scope}{references}"
        f"{info() if infos is None else infos}{end}</alert>"
    ).encode()


def references(*identifiers: str, sender: str = SENDER) -> str:
    named = " ".join(f"{sender},{each},2026-11-29T10:00:00+07:00" for each in identifiers)
    return f"<references>{named}</references>"


def here() -> Here:
    """Three communes side by side, each a tenth of a degree; one was made of two."""
    begun = date(2020, 1, 1)

    def unit(code: str, level: Level, parent: str | None, kind: str, **days: date | None) -> Unit:
        return Unit(
            code, level, kind, f"{kind} {code}".capitalize(), parent,
            days.get("since") or begun, days.get("until"),
        )  # fmt: skip

    before = MERGED - timedelta(days=1)
    commune, village = Level.COMMUNE, Level.VILLAGE
    units = [
        unit("51", Level.PROVINCE, None, "tỉnh"),
        unit("48", Level.PROVINCE, None, "tỉnh"),
        unit("00048", commune, "48", "xã"),
        unit("0000a", commune, "51", "xã", since=MERGED),
        unit("0000b", commune, "51", "xã"),
        unit("0000c", commune, "51", "xã"),
        unit("0old1", commune, "51", "xã", until=before),
        unit("0old2", commune, "51", "xã", until=before),
        unit("0lost", commune, "51", "xã", until=before),
        *(unit(code, village, "0000a", "thôn", since=MERGED) for code in ("a1", "a2", "a3")),
        *(unit(code, village, "0000b", "thôn") for code in ("b1", "b2")),
        unit("c1", village, "0000c", "thôn"),
    ]
    steps = [
        Step("0old1", "0000a", MERGED, Part.WHOLE, "1677"),
        Step("0old2", "0000a", MERGED, Part.PART, "1677"),
        Step("0old2", "0000b", MERGED, Part.PART, "1677"),
    ]
    return Here(
        "51",
        Lineage(units, steps),
        NOW.date(),
        {
            code: [[[(x, y) for x, y in square(column)]]]
            for column, code in enumerate(("0000a", "0000b", "0000c"))
        },
        {
            "a1": [(108.02, 15.05)],
            "a2": [(108.08, 15.05)],
            "b1": [(108.15, 15.05)],
            "b2": [(108.16, 15.05), (108.19, 15.05)],
        },
    )


class Authority:
    """Somebody who certifies and signs."""

    def __init__(self, folder: Path, name: str = "Authority") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._certify(self.name, self.key, is_authority=True)
        path = folder / f"{name}.pem"
        path.write_bytes(self.certificate.public_bytes(Encoding.PEM))
        self.anchor = Anchor(path, path.read_bytes())

    def _certify(
        self,
        name: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *,
        is_authority: bool = False,
        begins: datetime = NOW - timedelta(days=30),
        ends: datetime = NOW + timedelta(days=30),
    ) -> x509.Certificate:
        others = "content_commitment key_encipherment data_encipherment key_agreement"
        usage = dict.fromkeys((*others.split(), "encipher_only", "decipher_only"), False)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=True, key_cert_sign=is_authority, crl_sign=is_authority,
                    **usage,
                ),
                critical=True,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False
            )
            .add_extension(
                x509.SubjectAlternativeName([x509.DNSName("kttv.vn")]), critical=False
            )
            .sign(self.key, hashes.SHA256())
        )  # fmt: skip

    def signer(self, *, begins: datetime | None = None, ends: datetime | None = None) -> Signer:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._certify(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kttv.vn")]),
            key,
            begins=begins or NOW - timedelta(days=10),
            ends=ends or NOW + timedelta(days=10),
        )
        return Signer(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            certificate.public_bytes(Encoding.PEM),
        )


def sign(data: bytes, signer: Signer) -> bytes:
    return writing.write(signature.signed(reading.parse(data), signer))


def policy(anchor: Anchor | None = None) -> Policy:
    return Policy((Issuer(SENDER, "Đài khí tượng", anchor),), languages=("vi", "hre"))

"""Signatures of CAP messages (XML Signature, enveloped): whose is it, and is it unaltered.

A certificate counts if it holds at the moment at which the message says it was sent, so that an
alert stays verifiable when the certificate has run out, or when it is looked at: archives sign
again. What is taken from a signed message is what the
signature covers and nothing else.

signxml is imported when it is first used.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from broadcast.alerts.cap.reading import SIGNATURE


class BadSignature(ValueError):
    """The signature does not hold; the text says why and what to do."""


class Anchor(NamedTuple):
    """Certificates that an issuer is known by: its own, or the authorities that certify it."""

    path: Path
    """PEM."""
    pem: bytes


class Signer(NamedTuple):
    """What our messages are signed with."""

    key: bytes
    """PEM."""
    certificate: bytes
    """PEM; with the chain after it."""


def is_signed(root: Any) -> bool:
    """Tell whether a message has a signature, good or bad."""
    return root.find(f".//{SIGNATURE}") is not None


def verified(root: Any, anchor: Anchor, sent: datetime, now: datetime) -> Any:
    """The part of a message that its signature covers: the root element of it.

    Args:
        root: The message.
        anchor: What its issuer is known by.
        sent: When it says it was sent.
        now: Time.

    Raises:
        BadSignature: It does not hold.
    """
    from signxml.verifier import VerifyResult  # noqa: PLC0415

    if len(root.findall(f".//{SIGNATURE}")) != 1:
        raise BadSignature("có nhiều chữ ký; hãy ký một lần, cho cả bản tin")
    failures: list[BaseException] = []
    for tree, at in product((root, _without_indents(root)), (sent, now)):
        try:
            result = _verify(tree, anchor, at)
        except _failures() as failure:
            failures.append(failure)
            continue
        covered = result.signed_xml if isinstance(result, VerifyResult) else None
        if covered is None or covered.tag != root.tag:
            raise BadSignature(
                "chữ ký không trùm cả bản tin; hãy yêu cầu nơi phát ký phần tử <alert>"
            )
        return covered
    raise BadSignature(_why(failures))


def _verify(root: Any, anchor: Anchor, at: datetime) -> Any:
    from signxml.algorithms import SignatureMethod  # noqa: PLC0415
    from signxml.verifier import SignatureConfiguration, XMLVerifier  # noqa: PLC0415

    known = {_der(each): each for each in x509.load_pem_x509_certificates(anchor.pem)}
    own = known.get(_certificate(root) or b"")
    return XMLVerifier().verify(
        root,
        x509_cert=own,
        ca_pem_file=None if own is not None else str(anchor.path),
        expect_config=SignatureConfiguration(
            location="./",
            signature_methods=frozenset(
                each
                for each in SignatureMethod
                if not re.search("^HMAC|^DSA|SHA1(_|$)", each.name)
            ),
            verification_time=at,
        ),
    )


def _failures() -> tuple[type[Exception], ...]:
    """What signxml and its libraries raise at a signature that somebody else has made."""
    from lxml import etree  # noqa: PLC0415
    from signxml import exceptions  # noqa: PLC0415

    return (
        exceptions.SignXMLException,
        etree.LxmlError,
        UnsupportedAlgorithm,
        AttributeError,  # of elements that are not there
        LookupError,
        TypeError,
        ValueError,
    )


def _why(failures: Sequence[BaseException]) -> str:
    """The most telling of the failures of several attempts, in words."""
    from signxml import exceptions  # noqa: PLC0415

    if any(isinstance(each, exceptions.InvalidDigest) for each in failures):
        return "nội dung đã bị sửa sau khi ký; không dùng, hãy lấy lại bản gốc từ nơi phát"
    if all(isinstance(each, exceptions.InvalidCertificate) for each in failures):
        return (
            "chứng chỉ ký không thuộc nơi phát này hoặc không có hiệu lực lúc gửi; hãy hỏi nơi"
            " phát rồi cập nhật “certificates” trong tệp BROADCAST_CAP__FILE"
        )
    return (
        "chữ ký không khớp (bị sửa, sai khóa hoặc thuật toán cũ); hãy yêu cầu nơi phát ký lại,"
        " RSA hoặc ECDSA với SHA-256"
    )


def _without_indents(root: Any) -> Any:
    """A copy without the white space between elements.

    WMO's tools sign a message before they indent it, and leave that out again when they verify.
    What is taken is the copy, so nothing unsigned is.
    """
    from lxml import etree  # noqa: PLC0415

    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_blank_text=True)
    return etree.fromstring(etree.tostring(root), parser)


def _certificate(root: Any) -> bytes | None:
    """The certificate that a signature names first, as bytes."""
    text = root.findtext(f".//{SIGNATURE[:-9]}X509Certificate") or ""
    try:
        return base64.b64decode(text)
    except ValueError:
        return None


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def signed(root: Any, signer: Signer) -> Any:
    """A copy of a message with our signature.

    Raises:
        ValueError: Key or certificate cannot be read.
    """
    from signxml.signer import XMLSigner  # noqa: PLC0415

    key = load_pem_private_key(signer.key, None)
    return XMLSigner(
        signature_algorithm="ecdsa-sha256"
        if isinstance(key, EllipticCurvePrivateKey)
        else "rsa-sha256",
        digest_algorithm="sha256",
        c14n_algorithm="http://www.w3.org/2001/10/xml-exc-c14n#",
    ).sign(root, key=signer.key, cert=x509.load_pem_x509_certificates(signer.certificate))

"""What the authorities sign, and what they refuse to."""

from __future__ import annotations

import base64
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.x509 import verification

from broadcast.enrolment import authority_files
from broadcast.enrolment.authority import (
    REVOCATION_LIST_LIFE,
    Authority,
    Revoked,
    new_key,
    pem,
    requested_key,
)
from broadcast.enrolment.authority_files import BROKER_CA, DEVICE_CA, UnusableAuthority
from broadcast.kit.errors import InvalidInput, Unavailable
from tests.enrolment.fleet import DAY, NOW, csr, installation, p256

LIFE = 90 * DAY


@pytest.mark.parametrize("key", [p256(), ed25519.Ed25519PrivateKey.generate(),
                                 ec.generate_private_key(ec.SECP384R1()),
                                 rsa.generate_private_key(65537, 2048)],
                         ids=["P-256", "Ed25519", "P-384", "RSA"])  # fmt: skip
def test_a_device_is_called_by_its_code_and_only_a_client(key: object) -> None:
    authority = Authority.create("device-ca", NOW)
    asked = requested_key(csr(key, "QN-000099"))  # type: ignore[arg-type]
    signed = authority.device("QN-000417", asked, NOW, LIFE)
    assert signed.subject.rfc4514_string() == "CN=QN-000417"
    assert signed.public_key() == asked
    assert signed.not_valid_after_utc == NOW + LIFE
    purposes = signed.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [x509.ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not signed.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    signed.verify_directly_issued_by(authority.certificate)


def test_a_certificate_never_outlives_its_authority() -> None:
    authority = Authority.create("device-ca", NOW)
    last = authority.certificate.not_valid_after_utc
    late = authority.device("QN-1", p256().public_key(), last - DAY, LIFE)
    assert late.not_valid_after_utc == last


def test_the_broker_is_known_by_name_or_address() -> None:
    authority = Authority.create("broker-ca", NOW)
    for host, name in (("mqtt.example", x509.DNSName("mqtt.example")), ("127.0.0.1", None)):
        signed = authority.broker([host], new_key(), NOW)
        store = verification.Store([authority.certificate])
        if name is not None:
            builder = verification.PolicyBuilder().store(store).time(NOW)
            verifier = builder.build_server_verifier(name)
            assert verifier.verify(signed, [])[0] == signed
        names = signed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert len(list(names)) == 1


def test_a_revocation_list_names_what_was_revoked_and_holds_thirty_days() -> None:
    authority = Authority.create("device-ca", NOW)
    listed = authority.revocation_list([Revoked(17, NOW - DAY)], 4, NOW)
    assert listed.is_signature_valid(authority.key.public_key())
    assert [(each.serial_number, each.revocation_date_utc) for each in listed] == [(17, NOW - DAY)]
    assert listed.next_update_utc == NOW + REVOCATION_LIST_LIFE == NOW + timedelta(days=30)
    assert listed.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 4


def of_another_key() -> str:
    """A request whose public key was exchanged after it was signed."""
    one, other = (csr(p256(), "x").splitlines() for _ in range(2))
    raw = [base64.b64decode("".join(lines[1:-1])) for lines in (one, other)]
    start = raw[0].index(b"\x03\x42\x00\x04")
    forged = raw[0][:start] + raw[1][start : start + 68] + raw[0][start + 68 :]
    return (
        "-----BEGIN CERTIFICATE REQUEST-----\n"
        + base64.encodebytes(forged).decode()
        + "-----END CERTIFICATE REQUEST-----\n"
    )


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ("", "PKCS#10"),
        (csr(p256())[:200], "PKCS#10"),
        (pem(Authority.create("x", NOW).certificate), "PKCS#10"),
        (of_another_key(), "chữ ký"),
        (csr(rsa.generate_private_key(65537, 1024)), "loại khóa"),
        (csr(ec.generate_private_key(ec.SECP521R1())), "loại khóa"),
        (csr(dsa.generate_private_key(1024)), "loại khóa"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_a_request_is_refused_by_its_field(request_: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as error:
        requested_key(request_)
    assert error.value.field == "csr"


def test_files_are_made_once_and_keys_are_for_their_owner(tmp_path: Path) -> None:
    folder = installation(tmp_path).enrolment.authority_dir
    made = {path.name for path in folder.iterdir()}
    names = ("broker-ca", "device-ca", "broker", "server")
    assert made == {f"{name}.{kind}" for name in names for kind in ("crt", "key")}
    for path in folder.glob("*.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert authority_files.create(folder, ["mqtt.tinh.example"], "broadcast", NOW + DAY) == []
    (folder / "broker.crt").unlink()
    again = authority_files.create(folder, ["other.example"], "broadcast", NOW + DAY)
    assert [path.name for path in again] == ["broker.key", "broker.crt"]
    kept = {path for path in before if path.read_bytes() == before[path]}
    assert {path.name for path in before.keys() - kept} == {"broker.key", "broker.crt"}


def test_what_cannot_be_used_says_which_file(tmp_path: Path) -> None:
    folder = installation(tmp_path).enrolment.authority_dir
    (folder / "device-ca.key").chmod(0o644)
    with pytest.raises(UnusableAuthority, match=r"chmod 600 .*device-ca\.key"):
        authority_files.load(folder, DEVICE_CA)
    (folder / "device-ca.key").write_bytes((folder / "broker-ca.key").read_bytes())
    (folder / "device-ca.key").chmod(0o600)
    with pytest.raises(UnusableAuthority, match=r"device-ca\.crt"):
        authority_files.load(folder, DEVICE_CA)
    (folder / "broker-ca.crt").write_text("no certificate")
    with pytest.raises(UnusableAuthority, match=r"broker-ca\.crt"):
        authority_files.certificate(folder, BROKER_CA)
    with pytest.raises(Unavailable, match="broadcast authority create"):
        authority_files.load(tmp_path / "nowhere", DEVICE_CA)

"""The files of the two authorities, and of broker and server, in one folder.

`broker-ca`, `device-ca`, `broker` and `server`, each a `.crt`, which is public, and a `.key`, for
its owner alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from cryptography import x509

from broadcast import config
from broadcast.enrolment.authority import Authority, PrivateKey, new_key, pem, private_pem
from broadcast.kit import files
from broadcast.kit.errors import BroadcastError, Unavailable, because

CREATE = "broadcast authority create"

BROKER_CA, DEVICE_CA, BROKER, SERVER = "broker-ca", "device-ca", "broker", "server"


class UnusableAuthority(BroadcastError):
    """A file of an authority is there and cannot be used."""

    slug = "unusable-authority"
    title = "Nơi cấp chứng chỉ không dùng được"


def create(folder: Path, brokers: Sequence[str], user: str, now: datetime) -> list[Path]:
    """Make what does not exist; what exists stays, and signs what is made.

    Args:
        folder: Made, for its owner alone, where it is not there.
        brokers: Names and addresses under which the broker is reached; devices use the first.
        user: Name of the server's user at the broker.
        now: The present.

    Returns:
        Files that were made.

    Raises:
        UnusableAuthority: What is there cannot be used.
    """
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    made: list[Path] = []
    authorities = {}
    for name in (BROKER_CA, DEVICE_CA):
        if not _path(folder, name, "crt").exists():
            authority = Authority.create(f"{name} {brokers[0]}", now)
            made += _store(folder, name, authority.certificate, authority.key)
        authorities[name] = load(folder, name)
    vouch = authorities[BROKER_CA]
    machines: dict[str, Callable[[PrivateKey], x509.Certificate]] = {
        BROKER: lambda key: vouch.broker(brokers, key, now),
        SERVER: lambda key: vouch.server(user, key, now),
    }
    for name, sign in machines.items():
        if not _path(folder, name, "crt").exists():
            key = new_key()
            made += _store(folder, name, sign(key), key)
    return made


def load(folder: Path, name: str) -> Authority:
    """An authority with its key.

    Raises:
        Unavailable: It has not been made; says how.
        UnusableAuthority: A file cannot be read, is none, or everybody may read the key.
    """
    certificate, key = _path(folder, name, "crt"), _path(folder, name, "key")
    public, private = _read(certificate), _read(key)
    if key.stat().st_mode & 0o007:
        raise UnusableAuthority(f"Ai cũng đọc được khóa {key}; hãy chạy `chmod 600 {key}`.")
    try:
        return Authority.read(public, private)
    except ValueError:
        raise UnusableAuthority(
            f"{certificate} và {key} không phải chứng chỉ và khóa của nơi cấp chứng chỉ; khôi phục"
            " từ bản sao lưu."
        ) from None


def certificate(folder: Path, name: str) -> str:
    """Certificate in PEM, without the key, which may be elsewhere.

    Raises:
        Unavailable, UnusableAuthority: As `load`.
    """
    path = _path(folder, name, "crt")
    try:
        return pem(x509.load_pem_x509_certificate(_read(path)))
    except ValueError:
        raise UnusableAuthority(f"{path} không phải chứng chỉ; khôi phục bản sao lưu.") from None


def devices(settings: config.Enrolment) -> Authority:
    """The authority of devices; raises as `load`."""
    return load(settings.authority_dir, DEVICE_CA)


def _path(folder: Path, name: str, kind: str) -> Path:
    return folder / f"{name}.{kind}"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise Unavailable(f"Chưa có {path}; quản trị hệ thống cần chạy `{CREATE}`.") from None
    except OSError as error:
        raise UnusableAuthority(
            f"Không đọc được {path}: {because(error)}; sửa quyền đọc."
        ) from None


def _store(folder: Path, name: str, signed: x509.Certificate, key: PrivateKey) -> list[Path]:
    """Write key and certificate, in this order: who finds the certificate finds its key."""
    secret, public = _path(folder, name, "key"), _path(folder, name, "crt")
    files.replace(secret, private_pem(key), 0o600)
    files.replace(public, pem(signed).encode(), 0o644)
    return [secret, public]

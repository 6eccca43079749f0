"""deploy/mosquitto.conf, its ACL and its plugin, really run, in a folder and on free ports."""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from broadcast.config import Mqtt
from broadcast.embedded.broker import mosquitto
from broadcast.embedded.child import Child, make_private, unprivileged_user

DEPLOY = Path(__file__).parents[2] / "deploy"
NAME = "mqtt.tinh.example"
"""What the broker is called in its certificate; it is reached by address."""

needs_mosquitto = pytest.mark.skipif(
    mosquitto() is None or not Path("/usr/include/mosquitto.h").exists() or not shutil.which("cc"),
    reason="needs mosquitto, mosquitto-dev, libmosquitto-dev and a C compiler",
)


@dataclass(frozen=True)
class Deployed:
    """A broker as it is deployed.

    Attributes:
        folder: What /etc/mosquitto is on a real machine.
        inside: Port of the server on the same machine.
        outside: Port of the devices.
        remote: Port of a server on another machine.
        child: Its process.
    """

    folder: Path
    inside: int
    outside: int
    remote: int
    child: Child

    def user(self, name: str, port: int, **more: object) -> Mqtt:
        """Settings of a user; TLS except on the inside."""
        tls = {} if port == self.inside else {"tls_ca_file": self.folder / "certs/ca.crt"}
        return Mqtt.model_validate(
            {
                "host": "127.0.0.1",
                "port": port,
                "client_id": name,
                "username": name,
                "password_file": self.folder / f"{name}.password",
                **tls,
                **more,
            }
        )

    def server(self) -> Mqtt:
        """Settings of the server on the same machine."""
        return self.user("broadcast", self.inside)

    def device(self, name: str) -> Mqtt:
        """Settings of a device."""
        return self.user(name, self.outside)


@contextmanager
def deployed(
    folder: Path, users: Sequence[str], changes: Mapping[str, str] = {}
) -> Iterator[Deployed]:
    """The broker at work.

    Args:
        folder: Empty.
        users: Who gets a password, and a client certificate.
        changes: What stands instead of something else in the configuration.
    """
    user = unprivileged_user()
    etc = folder / "etc"
    make_private(etc, user)
    inside, outside, remote = ports = free_ports(3)
    conf = (DEPLOY / "mosquitto.conf").read_text()
    conf = re.sub(r"^#(?=listener 8884|\w+ \S+$)", "", conf, flags=re.MULTILINE)
    plugin = etc / "limits.so"
    for there, here in {
        **changes,
        "/usr/local/lib/mosquitto-device-limits.so": plugin,
        "/etc/mosquitto": etc,
        "/var/lib/mosquitto": etc,
        "listener 1883": f"listener {inside}",
        "listener 8883": f"listener {outside} 127.0.0.1",
        "listener 8884": f"listener {remote} 127.0.0.1",
        "log_dest syslog": "log_dest stderr",
    }.items():
        assert there in conf
        conf = conf.replace(there, str(here))
    (etc / "mosquitto.conf").write_text(conf)
    shutil.copy(DEPLOY / "mosquitto.acl", etc)
    compiled = ["cc", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-O2", "-o", plugin]
    subprocess.run([*compiled, DEPLOY / "mosquitto-device-limits.c"], check=True)
    certificates(etc / "certs", users)
    (etc / "passwords").touch()
    for name in users:
        (etc / f"{name}.password").write_text(f"secret of {name}\n")
        subprocess.run(
            ["mosquitto_passwd", "-b", etc / "passwords", name, f"secret of {name}"], check=True
        )
    for path in etc.rglob("*"):
        if user is not None:
            shutil.chown(path, user)
    program = mosquitto()
    assert program is not None
    child = Child("mosquitto", folder / "log", user)
    child.start(
        [program, "-c", etc / "mosquitto.conf"], lambda: all(accepts(port) for port in ports)
    )
    try:
        yield Deployed(etc, inside, outside, remote, child)
    finally:
        child.stop()


def free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def certificates(folder: Path, clients: Sequence[str] = ()) -> None:
    """An authority of its own (ca.crt), the broker's certificate, and one for each client."""
    folder.mkdir(exist_ok=True)
    authority = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "CA")])
    now = dt.datetime.now(dt.UTC)

    def issue(
        name: x509.Name, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType
    ) -> bytes:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(extension, critical=False)
            .sign(authority, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )

    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    (folder / "ca.crt").write_bytes(issue(issuer, authority, x509.BasicConstraints(True, None)))
    for file, common_name, names in [
        ("server", "broker", [loopback, x509.DNSName(NAME)]),
        *((name, name, [x509.DNSName(name)]) for name in clients),
    ]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
        alternative = x509.SubjectAlternativeName(names)
        (folder / f"{file}.crt").write_bytes(issue(subject, key, alternative))
        (folder / f"{file}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )

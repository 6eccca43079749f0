"""deploy/mosquitto.conf, its ACLs and its plugin, really run, in a folder and on free ports."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509

from broadcast import config
from broadcast.config import Mqtt
from broadcast.embedded.broker import mosquitto
from broadcast.embedded.child import Child, make_private, unprivileged_user
from broadcast.enrolment import authority_files, broker_files
from broadcast.enrolment.authority import new_key, pem, private_pem
from broadcast.enrolment.broker_files import PASSWORDS, REVOCATION_LIST, REVOKED
from broadcast.enrolment.credentials import password_hash

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
        dynamic: What /var/lib/broadcast-broker is: the files that the server writes.
        settings: Where its authorities are.
        server_port: Of the server.
        device_port: Of devices with a certificate.
        password_port: Of devices with a password.
        child: Its process.
    """

    folder: Path
    dynamic: Path
    settings: config.Enrolment
    server_port: int
    device_port: int
    password_port: int
    child: Child

    def server(self, **more: object) -> Mqtt:
        """Settings of the server."""
        folder = self.settings.authority_dir
        return self._tls(
            self.server_port,
            client_id="broadcast",
            tls_cert_file=folder / "server.crt",
            tls_key_file=folder / "server.key",
            **more,
        )

    def device(self, name: str, port: int | None = None) -> Mqtt:
        """Settings of a device with a certificate, which it is given at the first call."""
        folder = self.folder / "devices"
        if not (folder / f"{name}.crt").exists():
            self.certify(name)
        return self._tls(
            port or self.device_port,
            client_id=name,
            tls_cert_file=folder / f"{name}.crt",
            tls_key_file=folder / f"{name}.key",
        )

    def password_device(self, name: str) -> Mqtt:
        """Settings of a device with a password, `secret of {name}`, as the broker was told."""
        path = self.folder / f"{name}.password"
        path.write_text(f"secret of {name}\n")
        return self._tls(self.password_port, client_id=name, username=name, password_file=path)

    def certify(self, name: str, life: dt.timedelta = dt.timedelta(days=1)) -> x509.Certificate:
        """Give a device a certificate; the one before it stays valid."""
        folder = self.folder / "devices"
        folder.mkdir(exist_ok=True)
        key = new_key()
        authority = authority_files.devices(self.settings)
        signed = authority.device(name, key.public_key(), dt.datetime.now(dt.UTC), life)
        (folder / f"{name}.crt").write_text(pem(signed))
        (folder / f"{name}.key").write_bytes(private_pem(key))
        return signed

    def tell(self, **files: str | bytes) -> None:
        """Have the broker read files anew: `revoked`, `passwords`, `crl`."""
        names = {"revoked": REVOKED, "passwords": PASSWORDS, "crl": REVOCATION_LIST}
        for name, text in files.items():
            path = self.dynamic / names[name]
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        os.kill(self.child.pid, signal.SIGHUP)

    def _tls(self, port: int, **more: object) -> Mqtt:
        authority = self.settings.authority_dir / "broker-ca.crt"
        return Mqtt.model_validate(
            {"host": "127.0.0.1", "port": port, "tls_ca_file": authority, **more}
        )


def passwords_of(*names: str) -> str:
    """The password file for devices whose password is `secret of {name}`."""
    return "".join(
        f"{name}:{password_hash(f'secret of {name}', b'twelve bytes')}\n" for name in names
    )


@contextmanager
def deployed(
    folder: Path, passwords: Sequence[str] = (), changes: Mapping[str, str] = {}
) -> Iterator[Deployed]:
    """The broker at work.

    Args:
        folder: Empty.
        passwords: Devices with a password.
        changes: What stands instead of something else in the configuration.
    """
    user = unprivileged_user()
    etc, dynamic = folder / "etc", folder / "dynamic"
    make_private(etc, user)
    server, device, password = free_ports(3)
    now = dt.datetime.now(dt.UTC)
    settings = config.Enrolment(authority_dir=folder / "authority", broker_dir=dynamic)
    authority_files.create(settings.authority_dir, [NAME, "127.0.0.1"], "broadcast", now)
    make_private(dynamic, user)
    dynamic.chmod(0o2750)  # what the server writes there the broker may read by its group
    broker_files.create(dynamic, authority_files.devices(settings), now)
    (dynamic / PASSWORDS).write_text(passwords_of(*passwords))
    conf = (DEPLOY / "mosquitto.conf").read_text()
    plugin = etc / "devices.so"
    for there, here in {
        **changes,
        "/usr/local/lib/broadcast-mosquitto-devices.so": plugin,
        "/etc/mosquitto": etc,
        "/var/lib/mosquitto": etc,
        "/var/lib/broadcast-broker": dynamic,
        "listener 8884": f"listener {server} 127.0.0.1",
        "listener 8883": f"listener {device} 127.0.0.1",
        "listener 8885": f"listener {password} 127.0.0.1",
        "log_dest syslog": "log_dest stderr",
    }.items():
        assert there in conf
        conf = conf.replace(there, str(here))
    (etc / "mosquitto.conf").write_text(conf)
    for kind in ("server", "devices"):
        shutil.copy(DEPLOY / f"mosquitto-{kind}.acl", etc)
    (etc / "certs").mkdir()
    for name in ("broker-ca.crt", "device-ca.crt", "broker.crt", "broker.key"):
        shutil.copy(settings.authority_dir / name, etc / "certs")
    compiled = ["cc", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-O2", "-o", plugin]
    subprocess.run([*compiled, DEPLOY / "mosquitto-devices.c"], check=True)
    for path in (*etc.rglob("*"), *dynamic.rglob("*")):
        if user is not None:
            shutil.chown(path, user)
    program = mosquitto()
    assert program is not None
    child = Child("mosquitto", folder / "log", user)
    child.start(
        [program, "-c", etc / "mosquitto.conf"], lambda: works(server, settings.authority_dir)
    )
    try:
        yield Deployed(etc, dynamic, settings, server, device, password, child)
    finally:
        child.stop()


def works(port: int, authority: Path) -> bool:
    """Tell whether its loop runs: before, its ports are open and SIGHUP would be its end."""
    context = ssl.create_default_context(cafile=authority / "broker-ca.crt")
    context.load_cert_chain(authority / "server.crt", authority / "server.key")
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1"),
        ):
            return True
    except OSError:
        return False


def free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

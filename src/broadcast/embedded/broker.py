"""A broker for a machine that runs none: `mosquitto` where it is installed, else one in Python.

Both listen on loopback only and admit everyone there: who can open a loopback port already runs
programs on this machine, and what devices obey is signed. Mosquitto can also admit only who has a
certificate (`MutualTls`); the Python broker does not know whom a certificate names, so it cannot.
A broker that the network reaches is set up with deploy/mosquitto.conf instead.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from broadcast.embedded.child import Child, make_private, unprivileged_user
from broadcast.kit.errors import Unavailable

Kind = Literal["mosquitto", "amqtt"]

HOST = "127.0.0.1"

SBIN = ("/usr/local/sbin", "/usr/sbin")
"""Where distributions put mosquitto; not on the PATH of ordinary users."""

OPEN_LISTENER = """\
listener {port} {host}
allow_anonymous true
"""

TLS_LISTENERS = """\
per_listener_settings true
listener {port} {host}
cafile {folder}/broker-ca.crt
certfile {folder}/broker.crt
keyfile {folder}/broker.key
require_certificate true
use_identity_as_username true
acl_file {folder}/server.acl
listener {device_port} {host}
cafile {folder}/device-ca.crt
certfile {folder}/broker.crt
keyfile {folder}/broker.key
crlfile {broker_dir}/device-ca.crl
require_certificate true
use_identity_as_username true
use_username_as_clientid true
acl_file {folder}/devices.acl
"""
"""As deploy/mosquitto.conf, but for its plugin, which has to be compiled: how much a device may
say is not limited here, and a certificate that is revoked holds until its connection ends."""

SERVER_ACL = "user {user}\ntopic readwrite {prefix}/#\n"

DEVICES_ACL = """\
pattern read {prefix}/area/+/state/+
pattern read {prefix}/area/+/live/+
pattern read {prefix}/content/+/+
pattern read {prefix}/live/+/+
pattern read {prefix}/device/%u/live/+
pattern read {prefix}/device/%u/state/+
pattern read {prefix}/device/%u/command/+
pattern write {prefix}/device/%u/event/+
"""

MOSQUITTO_CONF = """\
{listeners}
persistence true
persistence_location {folder}/
autosave_interval {autosave_seconds}
max_queued_messages 100000
max_inflight_messages 10000
max_packet_size 12582912
set_tcp_nodelay true
log_dest stderr
log_type error
log_type warning
"""
"""Queue and window: with the defaults (1000, 20) the server, which acknowledges in batches after
commit, loses what comes while it is away and crawls when it is back. Without `set_tcp_nodelay` a
small message waits 40 ms."""

CONNECT = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x05\x00\x00"
"""MQTT 3.1.1 CONNECT: clean session, no client id, keep-alive 5 s."""
CONNACK = b"\x20\x02\x00\x00"
"""Accepted, no session present."""
DISCONNECT = b"\xe0\x00"


@dataclass(frozen=True)
class MutualTls:
    """Both sides show a certificate, and each may do what is its own.

    Attributes:
        authority_dir: `broker-ca`, `device-ca`, `broker` and `server`, each `.crt` and `.key`.
        broker_dir: Where `device-ca.crl` names the devices that are kept out. Made private to the
            broker, and the server's group may write to it.
        user: Common name of the server's certificate.
        prefix: First levels of every topic.
    """

    authority_dir: Path
    broker_dir: Path
    user: str
    prefix: str


def mosquitto() -> str | None:
    """Path of the installed mosquitto, if any."""
    return shutil.which("mosquitto", path=os.pathsep.join((os.environ.get("PATH", ""), *SBIN)))


class Broker:
    """A broker as a child process; also a context manager.

    The Python broker keeps everything in memory: a restart forgets sessions, what waits for them,
    and retained messages. It forgets a message that its receiver has not acknowledged within 5 s
    or before going away. It serves hundreds of clients, not thousands. So it is good for a demo,
    and for proving that the system stands a broker which forgets; use mosquitto for all else.

    Attributes:
        kind: Which program it is.
        host: Loopback.
        port: TCP port, the same after a restart; with TLS the one of the server.
        device_port: The one of devices.
        tls: Whom it admits; None for everyone.
    """

    host = HOST

    def __init__(
        self,
        work_dir: Path,
        port: int | None = None,
        *,
        kind: Kind | None = None,
        autosave_seconds: int = 10,
        tls: MutualTls | None = None,
    ) -> None:
        """Describe the broker.

        Args:
            work_dir: Keeps mosquitto's sessions and retained messages, and the log.
            port: Free port to use; any when None.
            kind: Insist on one; by default mosquitto where it is installed.
            autosave_seconds: What mosquitto may lose when it is killed; every save writes all it
                holds, so shorter is dearer.
            tls: Admit only who has a certificate; of mosquitto alone, others admit everyone.
        """
        self._folder = work_dir.resolve()
        self._program = mosquitto()
        self.kind: Kind = kind or ("mosquitto" if self._program else "amqtt")
        self.port = port or _claim(0)
        self._autosave_seconds = autosave_seconds
        self.tls = tls if self.kind == "mosquitto" else None
        self.device_port = self.port if self.tls is None else _claim(0)
        # The Python broker runs our interpreter, which another user may be unable to read.
        self._user = unprivileged_user() if self.kind == "mosquitto" else None
        self._child = Child(f"MQTT ({self.kind})", self._folder / "broker.log", self._user)

    def __enter__(self) -> Broker:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Process id of the running broker."""
        return self._child.pid

    def start(self) -> None:
        """Start, and return when it has accepted a connection.

        Raises:
            Unavailable: It cannot run here; the detail says why and ends with its log.
        """
        if self._child.alive:
            return
        make_private(self._folder, self._user)
        _claim(self.port)  # or the probe might be answered by a stranger
        if self.tls is not None:
            self._hand_over(self.tls)
        self._child.start(self._command(), self._is_ready)

    def reload(self) -> None:
        """Have it read anew who may connect."""
        if self.tls is not None and self.alive:
            os.kill(self.pid, signal.SIGHUP)

    def stop(self) -> None:
        """Stop in order; mosquitto saves its state."""
        self._child.stop()

    def kill(self) -> None:
        """Kill it as a power cut would."""
        self._child.kill()

    @property
    def name(self) -> str:
        """Name for people."""
        return self._child.name

    @property
    def alive(self) -> bool:
        """Tell whether the process is there."""
        return self._child.alive

    def answers(self) -> bool:
        """Tell whether it accepts a connection."""
        return self._is_ready()

    def destroy(self) -> None:
        """Kill it, whatever state it is in."""
        self._child.destroy()

    def restart(self) -> None:
        """Stop in order and start again on the same port."""
        self.stop()
        self.start()

    def _command(self) -> list[str | Path]:
        if self.kind == "amqtt":
            if find_spec("amqtt") is None:
                raise Unavailable("Thiếu broker kèm theo: cài mosquitto, hoặc `broadcast[demo]`.")
            return [sys.executable, "-m", "broadcast.embedded.python_broker", str(self.port)]
        if self._program is None:
            raise Unavailable("Chưa cài mosquitto: cài gói mosquitto, hoặc dùng broker kèm theo.")
        conf = self._folder / "mosquitto.conf"
        where = {"port": self.port, "host": HOST, "folder": self._folder}
        listeners = OPEN_LISTENER.format(**where)
        if self.tls is not None:
            listeners = TLS_LISTENERS.format(
                **where, device_port=self.device_port, broker_dir=self.tls.broker_dir
            )
        conf.write_text(
            MOSQUITTO_CONF.format(
                listeners=listeners, folder=self._folder, autosave_seconds=self._autosave_seconds
            )
        )
        conf.chmod(0o644)
        return [self._program, "-c", conf]

    def _hand_over(self, tls: MutualTls) -> None:
        """Give it what it shows and asks for, readable to its user."""
        make_private(tls.broker_dir, self._user)
        # What the server writes there later is of the folder's group, and so readable.
        tls.broker_dir.chmod(0o2750)
        given = {
            "server.acl": SERVER_ACL.format(user=tls.user, prefix=tls.prefix).encode(),
            "devices.acl": DEVICES_ACL.format(prefix=tls.prefix).encode(),
            **{
                name: (tls.authority_dir / name).read_bytes()
                for name in ("broker-ca.crt", "device-ca.crt", "broker.crt", "broker.key")
            },
        }
        for name, content in given.items():
            path = self._folder / name
            path.touch(mode=0o600)
            path.write_bytes(content)
        if self._user is not None:
            for path in (*(self._folder / name for name in given), *tls.broker_dir.iterdir()):
                shutil.chown(path, self._user, self._user)

    def _connect(self) -> socket.socket:
        plain = socket.create_connection((HOST, self.port), timeout=1)
        if self.tls is None:
            return plain
        folder = self.tls.authority_dir
        try:
            context = ssl.create_default_context(cafile=folder / "broker-ca.crt")
            context.load_cert_chain(folder / "server.crt", folder / "server.key")
            return context.wrap_socket(plain, server_hostname=HOST)
        except BaseException:
            plain.close()
            raise

    def _is_ready(self) -> bool:
        with suppress(OSError), self._connect() as probe:
            probe.sendall(CONNECT)
            answer = probe.recv(len(CONNACK))
            probe.sendall(DISCONNECT)
            return answer == CONNACK
        return False


def _claim(port: int) -> int:
    """Make sure that a port is free; 0 picks one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise Unavailable(
                f"Cổng {port} đang có chương trình khác dùng: chọn cổng khác hoặc dừng nó."
            ) from error
        claimed: int = probe.getsockname()[1]
        return claimed

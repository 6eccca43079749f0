"""A broker for a machine that runs none: `mosquitto` where it is installed, else one in Python.

Both listen on loopback only and admit everyone there: who can open a loopback port already runs
programs on this machine, and what devices obey is signed. A broker that the network reaches is
set up with deploy/mosquitto.conf instead.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from broadcast.embedded.child import Child, make_private, unprivileged_user
from broadcast.kit.errors import Unavailable

Kind = Literal["mosquitto", "amqtt"]

HOST = "127.0.0.1"

SBIN = ("/usr/local/sbin", "/usr/sbin")
"""Where distributions put mosquitto; not on the PATH of ordinary users."""

MOSQUITTO_CONF = """\
listener {port} {host}
allow_anonymous true
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
        port: TCP port, the same after a restart.
    """

    host = HOST

    def __init__(
        self,
        work_dir: Path,
        port: int | None = None,
        *,
        kind: Kind | None = None,
        autosave_seconds: int = 10,
    ) -> None:
        """Describe the broker.

        Args:
            work_dir: Keeps mosquitto's sessions and retained messages, and the log.
            port: Free port to use; any when None.
            kind: Insist on one; by default mosquitto where it is installed.
            autosave_seconds: What mosquitto may lose when it is killed; every save writes all it
                holds, so shorter is dearer.
        """
        self._folder = work_dir.resolve()
        self._program = mosquitto()
        self.kind: Kind = kind or ("mosquitto" if self._program else "amqtt")
        self.port = port or _claim(0)
        self._autosave_seconds = autosave_seconds
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
        self._child.start(self._command(), self._is_ready)

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
        conf.write_text(
            MOSQUITTO_CONF.format(
                port=self.port,
                host=HOST,
                folder=self._folder,
                autosave_seconds=self._autosave_seconds,
            )
        )
        conf.chmod(0o644)
        return [self._program, "-c", conf]

    def _is_ready(self) -> bool:
        with suppress(OSError), socket.create_connection((HOST, self.port), timeout=1) as probe:
            probe.sendall(CONNECT)
            answer = probe.recv(len(CONNACK), socket.MSG_WAITALL)
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

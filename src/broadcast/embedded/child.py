"""One server process in one folder: started, proved ready, and ended with us.

A child never outlives the program that started it: an orderly exit stops it (`atexit`), and where
the system has `setpriv` the kernel signals it when the program ends without one.
"""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypedDict

import structlog

from broadcast.kit.errors import Unavailable, because

log = structlog.get_logger()

SYSTEM_USER = "broadcast-embedded"
"""User of the children when we are root: PostgreSQL refuses root, and a broker needs none."""

TAIL_LINES = 8
"""Lines of the child's log that an error carries: enough for PostgreSQL's message and hint."""


def unprivileged_user() -> str | None:
    """Name of the user that children run as; None, meaning ourselves, unless we are root."""
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        run(["useradd", "--system", "--no-create-home", SYSTEM_USER])
    return SYSTEM_USER


def make_private(folder: Path, user: str | None) -> None:
    """Make `folder`, private to `user`, and let that user reach it."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(stat.S_IRWXU)
    if user is not None:
        shutil.chown(folder, user, user)
        let_through(folder, user)


def let_through(path: Path, user: str) -> None:
    """Let others pass (not list) every folder above `path` that is closed to them."""
    uid = pwd.getpwnam(user).pw_uid
    for folder in path.parents:
        status = folder.stat()
        if status.st_uid != uid and not status.st_mode & stat.S_IXOTH:
            folder.chmod(status.st_mode | stat.S_IXOTH)
            log.info("embedded.folder.opened", folder=str(folder), user=user)


def run(command: Sequence[str | Path], user: str | None = None) -> str:
    """Output of a short command.

    Raises:
        Unavailable: It cannot be run, or it failed; the detail ends with what it said.
    """
    name = Path(command[0]).name
    try:
        done = subprocess.run(  # noqa: S603 — our own argument lists, no shell
            command,
            **_identity(user),
            env=_environment(),
            cwd="/",
            capture_output=True,
            text=True,
            check=True,
        )
    except OSError as error:
        raise Unavailable(
            f"Không chạy được {name} ({because(error)}); hãy cài lại hoặc kiểm tra quyền chạy."
        ) from error
    except subprocess.CalledProcessError as error:
        raise _failure(name, error.stderr or error.stdout) from error
    return done.stdout


class Identity(TypedDict, total=False):
    """User and groups that a process runs as; empty means ourselves."""

    user: str
    group: str
    extra_groups: tuple[str, ...]


class Child:
    """A server process.

    Attributes:
        name: What people call it; errors begin with it.
    """

    def __init__(self, name: str, log_path: Path, user: str | None = None) -> None:
        self.name = name
        self._log_path = log_path
        self._log_start = 0
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        """The process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def started(self) -> bool:
        """It has been started."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """Process id; the child must have been started."""
        assert self._process is not None
        return self._process.pid

    def start(
        self,
        command: Sequence[str | Path],
        is_ready: Callable[[], bool],
        *,
        stop_signal: signal.Signals = signal.SIGTERM,
        timeout: float = 30.0,
    ) -> None:
        """Start `command` and return once `is_ready`.

        Args:
            command: What to run.
            is_ready: Asked every 10 ms.
            stop_signal: Signal that stops the server in order.
            timeout: Seconds until it is given up and killed.

        Raises:
            Unavailable: It ended, or was not ready in time; the detail ends with its log.
        """
        with self._log_path.open("ab") as output:
            self._log_start = output.tell()
            self._process = subprocess.Popen(  # noqa: S603 — our own argument lists, no shell
                [*_parent_death_prefix(stop_signal), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                **_identity(self._user),
                # Ctrl-C in a terminal is for us; we then stop the children in our own order.
                process_group=0,
                env=_environment(),
                cwd="/",
            )
        atexit.register(self.stop, stop_signal)
        deadline = time.monotonic() + timeout
        while not is_ready():
            self.check()
            if time.monotonic() > deadline:
                self.kill()
                raise _failure(
                    self.name, f"sau {timeout:.0f} giây vẫn chưa sẵn sàng\n{self.log_tail()}"
                )
            time.sleep(0.01)

    def check(self) -> None:
        """Make sure that it runs.

        Raises:
            Unavailable: It does not run; the detail ends with its log.
        """
        if not self.alive:
            raise _failure(self.name, self.log_tail())

    def stop(self, stop_signal: signal.Signals = signal.SIGTERM, timeout: float = 20.0) -> None:
        """End it in order; after `timeout` seconds by force."""
        if self._process is not None and self.alive:
            self._process.send_signal(stop_signal)
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                log.warning("embedded.child.killed", name=self.name, after_seconds=timeout)
                self.kill()
        atexit.unregister(self.stop)

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def destroy(self) -> None:
        """End it as `kill` does, with all its children: a stopped one would notice nothing."""
        if self._process is None:
            return
        family = _descendants(self._process.pid) if self.alive else []
        self.kill()
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def log(self) -> str:
        """All that it has ever written."""
        return self._log_path.read_text(errors="replace") if self._log_path.exists() else ""

    def log_tail(self) -> str:
        """Last lines that the process wrote since it was started."""
        with self._log_path.open("rb") as output:
            output.seek(self._log_start)
            lines = output.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-TAIL_LINES:])


def _descendants(pid: int) -> list[int]:
    """Processes below one, as Linux knows them; none where it does not tell."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [each for child in map(int, children) for each in (child, *_descendants(child))]


def _parent_death_prefix(number: signal.Signals) -> list[str]:
    """Prefix of a command that the kernel shall signal when we die.

    Linux watches the thread that started the child, not the process; in any other thread than the
    main one, which lasts, the signal would end the child with that thread.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None or threading.current_thread() is not threading.main_thread():
        return []
    return [setpriv, "--pdeathsig", number.name.removeprefix("SIG"), "--"]


def _identity(user: str | None) -> Identity:
    """Arguments of `subprocess` that drop root's groups along with its name."""
    return {} if user is None else {"user": user, "group": user, "extra_groups": ()}


def _environment() -> dict[str, str]:
    """Ours without libpq's variables (they would redirect the tools), with English messages."""
    return {k: v for k, v in os.environ.items() if not k.startswith("PG")} | {"LC_ALL": "C"}


def _failure(name: str, said: str) -> Unavailable:
    remedy = ""
    if "No space left on device" in said:
        remedy = " Đĩa đầy: giải phóng dung lượng rồi chạy lại."
    elif "Is another postmaster" in said:
        remedy = " Một máy chủ khác đang dùng thư mục này: dừng nó trước."
    return Unavailable(f"{name} không chạy được.{remedy}\n{said.strip()}", log=said)

"""A bare Debian in a folder: its own processes, its own loopback, its own root.

Made by debootstrap from where this machine's apt gets its packages, and kept for the next run.
Packages of Python are fetched by this machine's pip and handed in as files, so that they come
there by whatever way they come here. Once installed, nothing in it reaches any network.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

RELEASE = "bookworm"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "broadcast-install-test"
ROOT = Path(__file__).parents[2]

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
    "PIP_NO_INDEX": "1",
    "PIP_FIND_LINKS": "/var/cache/wheels",
    "PIP_ROOT_USER_ACTION": "ignore",
    "PIP_NO_CACHE_DIR": "1",
}


def why_not() -> str | None:
    """Why there can be no such machine here; None where there can."""
    if os.geteuid() != 0:
        return "needs root, for a chroot"
    missing = [tool for tool in ("debootstrap", "unshare", "nsenter", "ip", "git", "apt-get")
               if shutil.which(tool) is None]  # fmt: skip
    if missing:
        return f"needs {', '.join(missing)}"
    spaces = ["unshare", "--mount", "--pid", "--net", "--fork", "true"]
    if subprocess.run(spaces, capture_output=True, check=False).returncode:
        return "may not make namespaces here (needs CAP_SYS_ADMIN)"
    return None if sources() else "apt on this machine has no Debian source"


def sources() -> list[tuple[str, str, str]]:
    """Address, suite and component of every Debian source of this machine's apt."""
    said = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE) $(COMPONENT)",
         "Created-By: Packages", "Origin: Debian"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    found = [line.split() for line in dict.fromkeys(said.splitlines())]
    return [(words[0], words[1], words[2]) for words in found
            if len(words) == 3 and words[1].startswith(RELEASE)]  # fmt: skip


class Machine:
    """One such Debian, from boot to the end of the block.

    Attributes:
        root: Its file system.
    """

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self._base = _base()
        self._wheels = _wheels()

    def __enter__(self) -> Machine:
        subprocess.run(["cp", "-a", "--reflink=auto", self._base, self.root], check=True)
        self._furnish()
        archives = CACHE / "archives"
        (archives / "partial").mkdir(parents=True, exist_ok=True)
        root = self.root
        script = f"""
            set -e
            mount --make-rprivate /
            mount -t proc proc {root}/proc
            mount --rbind /sys {root}/sys
            mount --rbind /dev {root}/dev
            mkdir -p {root}/var/cache/wheels
            mount --bind {self._wheels} {root}/var/cache/wheels
            mount --bind {archives} {root}/var/cache/apt/archives
            ip link set lo up
            echo booted
            exec bash -c 'while :; do sleep 60; done'  # which buries orphans, as init does
        """
        self._init = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", "unshare", "--mount", "--pid", "--net",
             "--fork", "--kill-child", "sh", "-c", script],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._init.stdout is not None
        assert self._init.stdout.readline() == "booted\n", "the machine does not boot"
        [self._inside] = [
            int(pid)
            for pid in Path(f"/proc/{self._init.pid}/task/{self._init.pid}/children")
            .read_text()
            .split()
        ]
        return self

    def __exit__(self, *_: object) -> None:
        # The first process of a PID namespace takes all others with it.
        os.kill(self._inside, signal.SIGKILL)
        self._init.wait(30)
        if self._init.stdout is not None:
            self._init.stdout.close()
        for _attempt in range(20):
            if not os.path.ismount(self.root / "proc"):
                break
            time.sleep(0.1)
        shutil.rmtree(self.root, ignore_errors=True)

    def run(self, script: str, *, network: bool = False, seconds: float = 300) -> str:
        """What a script of root's says on both outputs; every command of it must succeed."""
        spaces = ["--mount", "--pid"] + ([] if network else ["--net"])
        done = subprocess.run(
            ["nsenter", "--target", str(self._inside), *spaces,
             "chroot", self.root, "bash", "-eux", "-o", "pipefail"],
            input=script, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=seconds, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{done.stdout[-6000:]}\n{self.logs()}"
        return done.stdout

    def say(self, command: str) -> str:
        """What a command of root's says on its standard output, and nothing else."""
        done: Any = subprocess.run(
            ["nsenter", "--target", str(self._inside), "--mount", "--pid", "--net",
             "chroot", self.root, "bash", "-e", "-o", "pipefail", "-c", command],
            env=ENVIRONMENT, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return str(done.stdout)

    def unpack(self, revision: str | None = None) -> None:
        """Put a release into /usr/src/broadcast: a revision of ours, or what is here now."""
        target = self.root / "usr/src/broadcast"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        if revision is None:
            files = "git ls-files --cached --others --exclude-standard -z"
            pack = f"{files} | xargs -0 ls -d 2>/dev/null | tar -cT -"
        else:
            pack = f"git archive {revision}"
        subprocess.run(
            ["sh", "-c", f"{pack} | tar -x --no-same-owner -C {target}"], cwd=ROOT, check=True
        )

    def logs(self) -> str:
        """The last lines of every service."""
        return "\n".join(
            f"--- {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-15:])
            for path in sorted((self.root / "var/log/units").glob("*"))
        )

    def _furnish(self) -> None:
        """What a machine has that somebody has just set up: sources, names, and no systemd."""
        etc = self.root / "etc"
        (etc / "apt/sources.list").write_text(
            "".join(f"deb {site} {suite} {part}\n" for site, suite, part in sources())
        )
        for path in Path("/etc/apt/apt.conf.d").glob("*"):
            if "proxy" in path.read_text(errors="replace").lower():
                shutil.copy(path, etc / "apt/apt.conf.d")
        shutil.copy("/etc/resolv.conf", etc)
        (etc / "hostname").write_text(f"{os.uname().nodename}\n")
        (etc / "hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {os.uname().nodename}\n")
        policy = self.root / "usr/sbin/policy-rc.d"
        policy.write_text("#!/bin/sh\nexit 101\n")
        systemctl = self.root / "usr/local/sbin/systemctl"
        shutil.copy(Path(__file__).with_name("systemctl.py"), systemctl)
        for path in (policy, systemctl):
            path.chmod(0o755)


def _base() -> Path:
    """The folder of a bare Debian, made once."""
    base = CACHE / f"{RELEASE}-base"
    if not base.exists():
        draft = CACHE / "draft"
        shutil.rmtree(draft, ignore_errors=True)
        CACHE.mkdir(parents=True, exist_ok=True)
        [(site, suite, _), *_] = sources()
        subprocess.run(
            ["debootstrap", "--variant=minbase", "--include=systemd,ca-certificates", suite,
             draft, site],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        draft.replace(base)
    return base


def _wheels() -> Path:
    """The folder of what requirements.lock names, and what builds the package."""
    wheels = CACHE / "wheels"
    download = [sys.executable, "-m", "pip", "--quiet", "download", "--only-binary", ":all:",
                "--dest", wheels]  # fmt: skip
    for what in (["--require-hashes", "-r", ROOT / "requirements.lock"], ["hatchling"]):
        subprocess.run([*download, *what], check=True, stderr=subprocess.DEVNULL)
    return wheels

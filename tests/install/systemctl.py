#!/usr/bin/python3
"""systemctl for a chroot in which no systemd runs: what units say, done by hand.

Enabling is left to the real one. Starting runs ExecStartPre= and ExecStart= as User=, in
WorkingDirectory=, with Environment=, EnvironmentFile= and LimitNOFILE=, drop-ins included. What
only a running systemd can do (sandboxing) is left out; `systemd-analyze verify` has read it.

Restart= is done for Debian's broker alone: Mosquitto 2.0.11 ends itself now and then when it reads
its passwords anew while a device with a delayed will is away. A service of ours that ends fails
the test.
"""

import os
import re
import resource
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

FOLDERS = [Path("/etc/systemd/system"), Path("/lib/systemd/system")]
STATE = Path("/run/units")
LOG = Path("/var/log/units")
SETTLE_SECONDS = 3
STOP_SECONDS = 30
RESTARTED = ("mosquitto.service",)


def full(name):
    return name if re.search(r"\.(service|target|path)$", name) else f"{name}.service"


def settings(name):
    """Key → values of a unit, with its instance filled in."""
    template, _, rest = name.partition("@")
    instance = rest.partition(".")[0]
    file = f"{template}@.service" if instance else name
    [path, *_] = [folder / file for folder in FOLDERS if (folder / file).exists()]
    found = {}
    for each in [path, *sorted(Path(f"/etc/systemd/system/{file}.d").glob("*.conf"))]:
        for line in each.read_text().splitlines():
            key, equals, value = line.partition("=")
            if equals and not line.startswith(("#", ";")):
                found.setdefault(key.strip(), []).append(value.strip().replace("%i", instance))
    return found


def pid_of(name):
    try:
        pid = int((STATE / name).read_text())
        os.kill(pid, 0)
    except (OSError, ValueError):
        return None
    return pid


def start(name):
    if name == "postgresql.service":
        subprocess.run(["pg_ctlcluster", "15", "main", "start"], check=True)
    elif name.endswith(".target"):
        for wanted in sorted(Path(f"/etc/systemd/system/{name}.wants").glob("*")):
            start(wanted.name)
    elif name.endswith(".path"):
        watch(name)
    elif settings(name).get("Type") == ["oneshot"]:
        LOG.mkdir(exist_ok=True)
        with (LOG / name).open("ab") as output:
            unit = settings(name)
            if spawn(unit, unit["ExecStart"][-1], output).wait():
                sys.exit(f"{name} failed\n{tail(name)}")
    elif pid_of(name) is None:
        run(name, settings(name))


def watch(name):
    """Start the service of the same name whenever a file changes."""
    STATE.mkdir(exist_ok=True)
    if pid_of(name) is None:
        watcher = detach("watch", name)
        (STATE / name).write_text(str(watcher.pid))


def detach(*words):
    """Go on with something when this command has ended."""
    return subprocess.Popen(
        [sys.executable, sys.argv[0], *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def revive(name, pid):
    """Start a service again when it ends without having been stopped."""
    while lives(pid):
        time.sleep(0.2)
    if (STATE / name).exists() and (STATE / name).read_text() == str(pid):
        run(name, settings(name))


def keep_watching(name):
    path, before = Path(settings(name)["PathChanged"][-1]), None
    while True:
        now = path.stat().st_mtime_ns if path.exists() else None
        if before is not None and now != before:
            subprocess.run(
                [sys.executable, sys.argv[0], "start", name.replace(".path", ".service")],
                check=False,
            )
        before = now or 0
        time.sleep(0.2)


def run(name, unit):
    """Start a service, and see whether it stays."""
    STATE.mkdir(exist_ok=True)
    LOG.mkdir(exist_ok=True)
    with (LOG / name).open("ab") as output:
        for command in unit.get("ExecStartPre", []):
            code = spawn(unit, command, output).wait()
            if code and not command.startswith("-"):
                sys.exit(f"{name}: {command} ended with {code}\n{tail(name)}")
        process = spawn(unit, unit["ExecStart"][-1], output)
    (STATE / name).write_text(str(process.pid))
    if name in RESTARTED:
        detach("revive", name, str(process.pid))
    time.sleep(SETTLE_SECONDS)
    if process.poll() is not None:
        sys.exit(f"{name} ended with {process.returncode}\n{tail(name)}")


def spawn(unit, command, output):
    """A process as the unit says."""
    user = unit.get("User", ["root"])[-1]
    files = unit.get("LimitNOFILE")
    words = shlex.split(command.lstrip("-"))
    if user != "root":
        words = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", *words]

    def limit():
        if files:
            # A container may not let even root go above its own limit.
            _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
            allowed = min(int(files[-1]), most)
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, allowed))

    return subprocess.Popen(
        words,
        env=environment(unit),
        cwd=unit.get("WorkingDirectory", ["/"])[-1],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        preexec_fn=limit,
        start_new_session=True,
    )


def environment(unit):
    found = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "LANG": "C.UTF-8"}
    lines = list(unit.get("Environment", []))
    for file in unit.get("EnvironmentFile", []):
        lines += Path(file.lstrip("-")).read_text().splitlines()
    for line in lines:
        if "=" in line and not line.startswith("#"):
            found.update([line.split("=", 1)])
    return found


def tail(name):
    return "\n".join((LOG / name).read_text().splitlines()[-30:])


def stop(name):
    if name.endswith(".target"):
        for file in sorted(STATE.glob("*")):
            if name in settings(file.name).get("PartOf", []):
                stop(file.name)
        return
    pid = pid_of(name)
    if pid is None:
        return
    (STATE / name).unlink()  # first: it is not to be revived
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while lives(pid):
        if time.monotonic() > deadline:
            sys.exit(f"{name} does not stop\n{tail(name)}")
        time.sleep(0.1)


def lives(pid):
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def enable(verb, names):
    """Have systemd read our units, then let the real systemctl make the links."""
    for name in names:
        if not name.startswith("broadcast"):
            continue
        done = subprocess.run(
            ["systemd-analyze", "verify", "--recursive-errors=no", name],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode or done.stderr.strip():
            sys.exit(f"systemd-analyze verify {name}: {done.stderr}")
    subprocess.run(["/usr/bin/systemctl", verb, *names], check=True, capture_output=True)


def main():
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    verb, names = words[0], [full(name) for name in words[1:]]
    if verb in ("enable", "disable"):
        enable(verb, names)
    if verb == "watch":
        keep_watching(names[0])
    if verb == "revive":
        revive(names[0], int(words[2]))
        return
    for name in names:
        if verb in ("stop", "restart"):
            stop(name)
        if verb in ("start", "restart") or "--now" in sys.argv:
            start(name)
        if verb == "reload":
            os.kill(pid_of(name), signal.SIGHUP)
            time.sleep(0.5)


main()

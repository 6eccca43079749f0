"""The files by which the broker knows who may connect, in one folder that it may read.

`device-ca.crl`: revoked certificates; `passwords`: of devices that log in by one; `revoked`:
devices that may do less than their credential says, or nothing, also over a connection that stands
(deploy/mosquitto-devices.c). `changed` is written last: whoever watches it has the broker read the
others again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from broadcast.enrolment.authority import Authority, pem
from broadcast.kit import files

REVOCATION_LIST, PASSWORDS, REVOKED, CHANGED = "device-ca.crl", "passwords", "revoked", "changed"

MODE = 0o640
"""For the broker by its group, which the folder hands on (`install -d -m 2750 -g mosquitto`)."""


def write(folder: Path, wanted: Mapping[str, bytes], now: datetime) -> list[str]:
    """Write those files that say something else; returns their names."""
    changed = []
    for name, content in wanted.items():
        path = folder / name
        if not path.exists() or path.read_bytes() != content:
            files.replace(path, content, MODE)
            changed.append(name)
    if changed:
        # In place, so that a watcher of the file sees it closed after writing.
        (folder / CHANGED).write_text(f"{now.isoformat()} {' '.join(changed)}\n")
    return changed


def create(folder: Path, devices: Authority, now: datetime) -> list[Path]:
    """Make files that name nobody where there are none, so that a broker can start."""
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    wanted = {
        REVOCATION_LIST: pem(devices.revocation_list([], 0, now)).encode(),
        PASSWORDS: b"",
        REVOKED: b"",
    }
    lacking = {name: text for name, text in wanted.items() if not (folder / name).exists()}
    return [folder / name for name in write(folder, lacking, now)]

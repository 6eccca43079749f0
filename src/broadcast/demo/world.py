"""The processes of a demo: PostgreSQL, broker, server and fleet, each a child of ours."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NoReturn

import httpx2 as httpx
from msgspec import to_builtins

from broadcast import config
from broadcast.config import Role
from broadcast.demo import portals
from broadcast.demo.people import LOGINS
from broadcast.embedded.broker import HOST, Broker, Kind, MutualTls
from broadcast.embedded.child import Child
from broadcast.embedded.postgres import EmbeddedPostgres
from broadcast.embedded.supervisor import Server
from broadcast.enrolment import authority_files, broker_files
from broadcast.kit import clock
from broadcast.wire.documents import PublicKey
from broadcast.wire.enrolment import Claim

START_SECONDS = 120.0
"""For which a server may start: it imports everything, on a machine that does much else."""

SERVER = "broadcast"
"""Common name of the server's certificate, its user name at the broker."""


class World:
    """One machine's worth of the system, all of it inside one folder.

    Attributes:
        folder: Where every child keeps its data and its log.
        url: Base address of the server.
        page_url: Its first page; passkeys need a name.
    """

    def __init__(
        self,
        folder: Path,
        broker: Kind | None = None,
        *,
        anew: bool = False,
        mutual_tls: bool = False,
    ) -> None:
        """Describe the world.

        Args:
            folder: May hold an earlier world, however that ended.
            broker: Insist on one.
            anew: What an earlier world left is not gone on with: its database, its broker's
                memory and its recordings are removed. Keys and audio stay.
            mutual_tls: Boxes enrol with a claim code and show their certificate to the broker, as
                the server does; where mosquitto is there. The Python broker admits everyone.
        """
        self.folder = folder = folder.resolve()
        self.postgres = EmbeddedPostgres(folder / "postgres")
        tls = MutualTls(folder / "authority", folder / "admitted", SERVER, config.Mqtt().prefix)
        self.broker = Broker(folder / "broker", kind=broker, tls=tls if mutual_tls else None)
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.page_url = f"http://localhost:{port}/"
        self._server = Child("broadcast", folder / "server.log")
        self._processes: dict[str, Child] = {}
        self._fleet = Child("device_sim", folder / "fleet.log")
        self._port = port
        self._anew = anew

    def __enter__(self) -> World:
        try:
            self.postgres.start()  # waits for what a killed world has left
            if self._anew:
                self._forget()
            if self.broker.tls is not None:
                _make_authority(self.broker.tls)
            self.broker.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _forget(self) -> None:
        self.postgres.renew_database()
        for left in ("broker", "recordings", "boxes"):
            shutil.rmtree(self.folder / left, ignore_errors=True)
        for left in ("truth.jsonl", "server.log", "fleet.log"):
            (self.folder / left).unlink(missing_ok=True)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._fleet.stop()
        for server in (self._server, *self._processes.values()):
            server.stop()
        self.broker.stop()
        self.postgres.stop()

    def environment(self, rules: Mapping[str, str]) -> dict[str, str]:
        """Settings of the world, as environment variables."""
        return {
            "BROADCAST_ENV_FILE": "",  # the settings of an installation are not ours
            "BROADCAST_POSTGRES__DSN": self.postgres.dsn,
            "BROADCAST_MQTT__HOST": self.broker.host,
            "BROADCAST_MQTT__PORT": str(self.broker.port),
            "BROADCAST_WEB__PORT": str(self._port),
            "BROADCAST_KEYS__DIR": str(self.folder / "keys"),
            "BROADCAST_KEYS__PASSPHRASE_FILE": str(self.folder / "keys.passphrase"),
            "BROADCAST_CONTENT_DIR": str(self.folder / "content"),
            "BROADCAST_PORTALS__PRIVATE_NETWORKS": json.dumps([portals.HOST]),
            "BROADCAST_SIGN_IN__DEMO": json.dumps(LOGINS),
            **self._tls_settings(),
            **{f"BROADCAST_RULES__{name.upper()}": value for name, value in rules.items()},
        }

    def _tls_settings(self) -> dict[str, str]:
        tls = self.broker.tls
        if tls is None:
            return {}
        return {
            "BROADCAST_MQTT__TLS_CA_FILE": str(tls.authority_dir / "broker-ca.crt"),
            "BROADCAST_MQTT__TLS_CERT_FILE": str(tls.authority_dir / "server.crt"),
            "BROADCAST_MQTT__TLS_KEY_FILE": str(tls.authority_dir / "server.key"),
            "BROADCAST_WEB__PUBLIC_URL": self.page_url.rstrip("/"),
            "BROADCAST_ENROLMENT__BROKER_PORT": str(self.broker.device_port),
            "BROADCAST_ENROLMENT__AUTHORITY_DIR": str(tls.authority_dir),
            "BROADCAST_ENROLMENT__BROKER_DIR": str(tls.broker_dir),
        }

    def configure(self, rules: Mapping[str, str]) -> config.Settings:
        """Point this process and its children at the world; returns the settings they see."""
        os.environ.update(self.environment(rules))
        return config.Settings()

    def start_server(self) -> None:
        """Start the server and return when it is ready.

        Call it in the main thread: a child that another one has started outlives us (`Child`).
        """
        command = [sys.executable, "-m", "broadcast", "serve"]
        self._server.start(command, self.ready, timeout=START_SECONDS)

    @property
    def server_pid(self) -> int:
        """Process of the server, once it runs."""
        return self._server.pid

    def servers(self) -> list[Server]:
        """Processes to be kept running, those that others need first; the server once it runs."""
        return [self.postgres, self.broker, _Serve(self, self._server)]

    def process(self, name: str) -> Child:
        """A server process of its own, beside or instead of the one of all roles."""
        return self._processes.setdefault(name, Child(name, self.folder / f"{name}.log"))

    def spawn(self, name: str, roles: Sequence[Role], worker: int = 1) -> None:
        """Start a server process of some roles, and do not wait for it, as systemd does.

        Args:
            name: What people call it.
            roles: What it does.
            worker: Which of the workers that share the inbound path it is.
        """
        chosen = [part for role in roles for part in ("--role", role.value)]
        command = [sys.executable, "-m", "broadcast", "serve", "--worker", str(worker), *chosen]
        self.process(name).start(command, lambda: True)

    def crash_server(self) -> None:
        """Kill the server as a power cut would."""
        self._server.kill()

    def start_fleet(
        self,
        devices: list[str],
        keys: list[PublicKey],
        faults: str,
        seed: int,
        claims: Mapping[str, Claim] | None = None,
    ) -> None:
        """Start the simulated devices; they connect on their own, and enrol first who has a claim.

        Args:
            devices: Their codes.
            keys: What those without a claim pin.
            faults: Profile of what goes wrong.
            seed: The same faults for the same seed.
            claims: What a technician scans at the box, by its code.
        """
        claims = claims or {}
        enrolment = self.folder / "devices.json"
        enrolment.write_text(
            json.dumps(
                {
                    "keys": [{"kid": key.kid, "use": key.use, "x": key.x} for key in keys],
                    "devices": [
                        {"device_id": code}
                        | ({"claim": to_builtins(claims[code])} if code in claims else {})
                        for code in devices
                    ],
                }
            )
        )
        keep = ("--keep", self.folder / "boxes") if claims else ()
        self._fleet.start(
            [
                *(sys.executable, "-m", "device_sim"),
                *("--host", self.broker.host, "--port", str(self.broker.port)),
                *("--devices-file", enrolment, "--faults", faults, "--seed", str(seed), *keep),
                *("--record", self.folder / "recordings", "--record-devices", "3"),
                *("--truth", self.folder / "truth.jsonl"),
            ],
            lambda: self._fleet.alive,
        )

    async def tell_broker(self) -> NoReturn:
        """Have the broker read anew who may connect, whenever the server has written it."""
        tls = self.broker.tls
        changed = None if tls is None else tls.broker_dir / broker_files.CHANGED
        told = None
        while True:
            written = changed.stat().st_mtime_ns if changed and changed.exists() else None
            if told not in {None, written}:
                self.broker.reload()
            told = written
            await asyncio.sleep(1)

    def calm_fleet(self) -> None:
        """Nothing goes wrong with the simulated devices any more."""
        os.kill(self._fleet.pid, signal.SIGUSR1)

    def check_fleet(self) -> None:
        """Raise `Unavailable` when the simulated devices are gone."""
        self._fleet.check()

    def ready(self) -> bool:
        """Tell whether the server answers that it is ready."""
        with suppress(httpx.HTTPError):
            return httpx.get(f"{self.url}/readyz", timeout=1).status_code == 200
        return False


class _Serve:
    """The server of a world, for the supervisor; before its first start it is not missed."""

    def __init__(self, world: World, child: Child) -> None:
        self._world = world
        self._child = child

    @property
    def name(self) -> str:
        return "máy chủ broadcast"

    @property
    def alive(self) -> bool:
        return self._child.alive or not self._child.started

    def answers(self) -> bool:
        if not self._child.started:
            return True
        with suppress(httpx.HTTPError):
            return httpx.get(f"{self._world.url}/healthz", timeout=2).is_success
        return False

    def start(self) -> None:
        self._world.start_server()

    def destroy(self) -> None:
        self._child.destroy()


def _make_authority(tls: MutualTls) -> None:
    now = clock.now()
    authority_files.create(tls.authority_dir, [HOST], tls.user, now)
    devices = authority_files.load(tls.authority_dir, authority_files.DEVICE_CA)
    broker_files.create(tls.broker_dir, devices, now)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

"""Whatever happens in a run, nothing that it writes holds one of its secrets."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import paho.mqtt.publish
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from broadcast import config
from broadcast.accounts.people import create_with_token
from broadcast.auth.permissions import Role
from broadcast.demo.world import _free_port
from broadcast.keys.file_store import FileStore
from broadcast.kit import clock, db
from broadcast.wire.codec import encode
from broadcast.wire.events import Clock, Heartbeat
from tests.app.test_app import answers, enrolled, until
from tests.deploy.broker import Deployed, deployed, needs_mosquitto

pytestmark = [needs_mosquitto, pytest.mark.servers]

PLAIN = "password-of-the-database"
"""Its part that looks the same however an address writes the rest."""
DATABASE_PASSWORD = f"{PLAIN}: @/%"
TYPED_PASSWORD = "typed-by-a-person-at-the-wrong-login"
TYPED_LINK = "code-of-a-link-that-nobody-has-given"
FORGED_TOKEN = "ttn_never-issued-but-somebody-s-all-the-same"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Deployed]:
    with deployed(tmp_path, ["QN-1"]) as broker:
        yield broker


@pytest.fixture
def environment(postgres_dsn: str, broker: Deployed, tmp_path: Path) -> dict[str, str]:
    keys = config.Keys(dir=tmp_path / "keys", passphrase_file=tmp_path / "keys.passphrase")
    FileStore(keys).create("programme")
    (tmp_path / "database.password").write_text(DATABASE_PASSWORD)
    mqtt = broker.server()
    return {
        **os.environ,
        "BROADCAST_POSTGRES__DSN": postgres_dsn,
        "BROADCAST_POSTGRES__PASSWORD_FILE": str(tmp_path / "database.password"),
        "BROADCAST_MQTT__HOST": mqtt.host,
        "BROADCAST_MQTT__PORT": str(mqtt.port),
        "BROADCAST_MQTT__TLS_CA_FILE": str(mqtt.tls_ca_file),
        "BROADCAST_MQTT__TLS_CERT_FILE": str(mqtt.tls_cert_file),
        "BROADCAST_MQTT__TLS_KEY_FILE": str(mqtt.tls_key_file),
        "BROADCAST_WEB__PORT": str(_free_port()),
        "BROADCAST_KEYS__DIR": str(keys.dir),
        "BROADCAST_KEYS__PASSPHRASE_FILE": str(keys.passphrase_file),
        "BROADCAST_CONTENT_DIR": str(tmp_path / "content"),
        "BROADCAST_UPKEEP__DISK_FREE_BYTES": "1",
        "BROADCAST_LOG_LEVEL": "DEBUG",
    }


async def issue_token(dsn: str) -> str:
    engine = create_async_engine(db.async_url(dsn))
    async with db.transaction(engine) as session:
        token = await create_with_token(session, "Tâm", Role.PROVINCE_ADMIN, clock.now())
    await engine.dispose()
    return token


async def execute(dsn: str, *statements: str) -> None:
    engine = create_async_engine(db.async_url(dsn))
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(sa.text(statement))
    await engine.dispose()


def ask_in_many_ways(base: str, token: str) -> list[httpx.Response]:
    """Requests that are answered, refused, malformed, and with a token where none belongs."""
    own = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=base, timeout=20) as client:
        return [
            client.get("/api/v1/stations", headers=own),
            client.get("/api/v1/stations", headers={"Authorization": f"Bearer {FORGED_TOKEN}"}),
            client.get("/api/v1/stations", params={"token": token}, headers=own),
            client.get(f"/api/v1/areas/{token}", headers=own),
            client.post("/api/v1/bulletins", content=token, headers=own),
            client.post("/api/v1/areas/load", json={"province": token}, headers=own),
            client.post("/api/v1/sign-in", json={"login": "an", "password": TYPED_PASSWORD}),
            client.post("/api/v1/sign-in", json={"login": TYPED_PASSWORD, "password": "x"}),
            client.post("/api/v1/setup", json={"code": TYPED_LINK, "password": TYPED_PASSWORD}),
            client.get("/metrics", headers=own),
            client.get("/readyz"),
            client.get("/openapi.json"),
        ]


def commands_that_fail(environment: dict[str, str]) -> Iterator[str]:
    """What commands say to a database that is not there, and to settings that are none."""
    elsewhere = {"BROADCAST_POSTGRES__DSN": "postgresql://broadcast@127.0.0.1:1/broadcast"}
    inline = {
        "BROADCAST_POSTGRES__DSN": str(
            make_url(elsewhere["BROADCAST_POSTGRES__DSN"])
            .set(password=DATABASE_PASSWORD)
            .render_as_string(hide_password=False)
        ),
        "BROADCAST_POSTGRES__PASSWORD_FILE": "",
    }
    misspelt = {"BROADCAST_POSTGRES__DNS": inline["BROADCAST_POSTGRES__DSN"]}
    no_address = {**inline, "BROADCAST_POSTGRES__DSN": f"broadcast:{DATABASE_PASSWORD}@db"}
    for change in (elsewhere, inline, misspelt, no_address):
        for command in ("doctor", "migrate", "serve"):
            ended = subprocess.run(
                [sys.executable, "-m", "broadcast", command],
                env={**environment, **change},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert ended.returncode == 1, (command, change)
            yield ended.stdout + ended.stderr


@pytest.mark.timeout(300)
def test_no_line_and_no_answer_holds_a_secret(
    environment: dict[str, str], broker: Deployed, postgres_dsn: str, tmp_path: Path
) -> None:
    token = asyncio.run(issue_token(postgres_dsn))
    asyncio.run(enrolled(postgres_dsn, "QN-1"))
    base = f"http://127.0.0.1:{environment['BROADCAST_WEB__PORT']}"
    log = tmp_path / "log"
    said: list[str] = []
    with log.open("wb") as written:
        process = subprocess.Popen(
            [sys.executable, "-m", "broadcast", "serve"],
            env=environment, stdout=written, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            until(lambda: answers(f"{base}/readyz"), process)
            said += [each.text for each in ask_in_many_ways(base, token)]
            device = broker.password_device("QN-1")
            for payload in (encode(Heartbeat(session=1, seq=1, sent_at=clock.now(),
                                             clock=Clock(trusted=True))), b"no JSON"):  # fmt: skip
                paho.mqtt.publish.single(
                    "ttn/v1/device/QN-1/event/heartbeat", payload, 1, hostname=device.host,
                    port=device.port, client_id="QN-1", tls={"ca_certs": device.tls_ca_file},
                    auth={"username": "QN-1", "password": "secret of QN-1"},
                )  # fmt: skip
            asyncio.run(execute(postgres_dsn, "ALTER TABLE stations RENAME TO gone"))
            said += [each.text for each in ask_in_many_ways(base, token)]
            asyncio.run(execute(
                postgres_dsn, "ALTER TABLE gone RENAME TO stations",
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()",
            ))  # fmt: skip
            broker.child.kill()
            until(lambda: not answers(f"{base}/readyz"), process)
            said += [each.text for each in ask_in_many_ways(base, token)]
        finally:
            process.terminate()
            process.wait(30)
    said += commands_that_fail(environment)

    lines = log.read_text()
    for event in ("app.process.started", "mqtt.link.connected", "web.request.failed"):
        assert event in lines, f"{event}: the run was not what it is meant to be"
    ours = {
        "password of the database": PLAIN,
        "password of a device": "secret of QN-1",
        "key of the server": (broker.settings.authority_dir / "server.key")
        .read_text()
        .splitlines()[1],
        "passphrase of the keys": (tmp_path / "keys.passphrase").read_text().strip(),
        **{
            f"key file {path.name}": path.read_text().splitlines()[1]
            for path in (tmp_path / "keys").glob("*.pem")
        },
    }
    theirs = {
        "token": token,
        "forged token": FORGED_TOKEN,
        "password that was typed": TYPED_PASSWORD,
        "code of a link": TYPED_LINK,
    }
    for name, secret in {**ours, **theirs}.items():
        assert secret not in lines, f"{name} in the log"
    for name, secret in ours.items():
        for text in said:
            assert secret not in text, f"{name} in an answer: {text[:300]}"

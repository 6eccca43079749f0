"""What keeps a program from starting is told in lines that name the setting and the remedy."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner

from broadcast import config
from broadcast.cli import app
from broadcast.config import Mqtt
from broadcast.demo.world import _free_port
from broadcast.embedded.postgres import EmbeddedPostgres
from broadcast.keys.file_store import FileStore
from broadcast.wire.envelope import Use


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment file of an installation whose database and broker are away."""
    keys = config.Keys(dir=tmp_path / "keys", passphrase_file=tmp_path / "passphrase")
    for use in get_args(Use):
        FileStore(keys).create(use)
    file = tmp_path / "broadcast.env"
    file.write_text(
        "BROADCAST_POSTGRES__DSN=postgresql://x@127.0.0.1:1/x\n"
        f"BROADCAST_WEB__PORT={_free_port()}\n"
        f"BROADCAST_KEYS__DIR={keys.dir}\n"
        f"BROADCAST_KEYS__PASSPHRASE_FILE={keys.passphrase_file}\n"
        f"BROADCAST_CONTENT_DIR={tmp_path / 'content'}\n"
        "BROADCAST_UPKEEP__DISK_FREE_BYTES=1\n"
    )
    monkeypatch.setenv("BROADCAST_ENV_FILE", str(file))
    return file


@pytest.fixture
def installed(environment: Path, postgres_dsn: str, mqtt: Mqtt) -> Path:
    """The environment file of an installation where everything is right."""
    there = (
        f"BROADCAST_POSTGRES__DSN={postgres_dsn}\n"
        f"BROADCAST_MQTT__HOST={mqtt.host}\nBROADCAST_MQTT__PORT={mqtt.port}\n"
    )
    environment.write_text(environment.read_text() + there)
    return environment


def run(*arguments: str) -> tuple[int, list[str]]:
    """Exit code and lines of a command, as a person sees them."""
    result = CliRunner().invoke(app, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output.splitlines()


PLACES = ["postgresql://x@no-such-host.invalid/x", "postgresql://x@127.0.0.1:1/x", "garbage",
          "postgresql://x@/x?host=/nowhere"]  # fmt: skip


@pytest.mark.parametrize("dsn", PLACES)
@pytest.mark.parametrize(
    "command", [("serve",), ("migrate",), ("upkeep",), ("incidents",),
                ("accounts", "create-token", "Nguyễn A", "--role", "province_admin")]
)  # fmt: skip
@pytest.mark.usefixtures("environment")
def test_a_database_that_cannot_be_had(
    command: tuple[str, ...], dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROADCAST_POSTGRES__DSN", dsn)
    code, lines = run(*command)
    assert code == 1
    assert len(lines) == 1, lines
    assert lines[0].startswith("BROADCAST_POSTGRES__DSN: ")


@pytest.mark.usefixtures("environment")
def test_a_schema_that_is_not_there(
    postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROADCAST_POSTGRES__DSN", postgres.create_database("empty_schema"))
    code, lines = run("serve")
    postgres.drop_database("empty_schema")
    assert (code, len(lines)) == (1, 1), lines
    assert "`broadcast migrate`" in lines[0]


FILES = {
    "BROADCAST_KEYS__DIR": "/etc/passwd",
    "BROADCAST_KEYS__PASSPHRASE_FILE": "/nowhere/passphrase",
    "BROADCAST_MQTT__PASSWORD_FILE": "/nowhere/password",
    "BROADCAST_MQTT__TLS_CA_FILE": "/nowhere/ca.crt",
    "BROADCAST_MQTT__TLS_CERT_FILE": "/etc/passwd",
    "BROADCAST_CONTENT_DIR": "/proc/content",
}


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("setting", FILES)
@pytest.mark.parametrize("roles", [(), ("--role", "dispatch", "--role", "web")])
def test_a_file_that_cannot_be_used(
    setting: str, roles: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROADCAST_MQTT__USERNAME", "broadcast")
    if "CERT" in setting:
        monkeypatch.setenv("BROADCAST_MQTT__TLS_CA_FILE", "/etc/ssl/certs/ca-certificates.crt")
    monkeypatch.setenv(setting, FILES[setting])
    code, lines = run("serve", *roles)
    assert (code, len(lines)) == (1, 1), lines
    assert setting in lines[0]
    assert FILES[setting].rpartition("/")[0] in lines[0]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("BROADCAST_WEB__PORT=99999", "BROADCAST_WEB__PORT: "),
        ("BROADCAST_WEB__PROT=8080", "BROADCAST_WEB__PORT?"),
        ("BROADCAST_PROVINSE=51", "BROADCAST_PROVINCE?"),
        ("BROADCAST_PROVINCE=051", "BROADCAST_PROVINCE: "),
        ("BROADCAST_RULES__QUIET_HOURS=22-05", "BROADCAST_RULES"),
        ('BROADCAST_RULES__QUIET_HOURS=[["22:00", "25:00"]]', "BROADCAST_RULES__QUIET_HOURS: "),
        ("BROADCAST_MQTT__TLS_SERVER_NAME=x", "BROADCAST_MQTT__TLS_CA_FILE"),
    ],
)
def test_a_setting_of_the_file_that_cannot_be(environment: Path, line: str, said: str) -> None:
    environment.write_text(f"{line}\n")
    code, lines = run("serve")
    assert (code, len(lines)) == (1, 1), lines
    assert said in lines[0]


def test_the_file_is_read_and_the_environment_wins(
    environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment.write_text("BROADCAST_WEB__PORT=9000\nBROADCAST_PROVINCE=62\n")
    monkeypatch.setenv("BROADCAST_PROVINCE", "01")
    assert (config.Settings().web.port, config.Settings().province) == (9000, "01")
    monkeypatch.setenv("BROADCAST_ENV_FILE", "")
    assert config.Settings().web.port == 8080


def examined() -> dict[str, list[dict[str, str]]]:
    """Findings of `broadcast doctor` by name; the exit code agrees with them."""
    result = CliRunner().invoke(app, ["doctor", "--json"])
    findings = json.loads(result.stdout)
    assert result.exit_code == any(finding["state"] == "wrong" for finding in findings)
    by_name: dict[str, list[dict[str, str]]] = {}
    for finding in findings:
        by_name.setdefault(finding["name"], []).append(finding)
    return by_name


@pytest.mark.usefixtures("installed")
def test_the_doctor_finds_nothing_wrong_where_all_is_right() -> None:
    found = examined()
    found.pop("files", None)  # of whatever else runs on this machine
    assert {"settings", "keys", "content", "database", "schema", "broker", "clock"} <= found.keys()
    assert found["row-security"]
    for findings in found.values():
        assert all(finding["state"] != "wrong" for finding in findings), findings


WRONG = {
    "BROADCAST_KEYS__DIR=/etc/passwd": ("keys", "BROADCAST_KEYS__DIR"),
    "BROADCAST_KEYS__PASSPHRASE_FILE=/nowhere/x": ("keys", "BROADCAST_KEYS__PASSPHRASE_FILE"),
    "BROADCAST_CONTENT_DIR=/proc/content": ("content", "BROADCAST_CONTENT_DIR"),
    "BROADCAST_POSTGRES__DSN=postgresql://x@127.0.0.1:1/x": (
        "database",
        "BROADCAST_POSTGRES__DSN",
    ),
    "BROADCAST_POSTGRES__POOL_SIZE=100": ("database", "max_connections"),
    "BROADCAST_MQTT__PORT=1": ("broker", "BROADCAST_MQTT__PORT"),
    "BROADCAST_MQTT__HOST=no-such-host.invalid": ("broker", "BROADCAST_MQTT__HOST"),
    "BROADCAST_UPKEEP__DISK_FREE_BYTES=999999999999999": ("disk", "RAW_DAYS"),
    "BROADCAST_WEB__PORT=0": ("settings", "BROADCAST_WEB__PORT"),
}


@pytest.mark.parametrize("line", WRONG)
def test_the_doctor_names_what_is_wrong_and_the_remedy(installed: Path, line: str) -> None:
    name, said = WRONG[line]
    installed.write_text(installed.read_text() + line + "\n")
    wrong = [each["detail"] for each in examined()[name] if each["state"] == "wrong"]
    assert wrong
    assert any(said in detail for detail in wrong), wrong


@pytest.mark.usefixtures("installed")
async def test_the_doctor_says_that_row_security_is_not_in_force(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(sa.text("ALTER TABLE plays DISABLE ROW LEVEL SECURITY"))
    [finding] = (await asyncio.to_thread(examined))["row-security"]
    assert finding["state"] == "wrong"
    assert "broadcast migrate" in finding["detail"]


def test_the_doctor_knows_a_machine_whose_keys_are_strange(
    installed: Path, postgres_dsn: str
) -> None:
    assert run("keys", "create")[0] == 0
    known = examined()["keys"]
    assert {each["state"] for each in known} == {"ok"}
    installed.write_text(installed.read_text() + f"BROADCAST_KEYS__DIR={installed.parent}/new\n")
    [finding] = examined()["keys"]
    assert finding["state"] == "wrong"
    assert "`broadcast keys adopt`" in finding["detail"]
    assert known[0]["detail"].split()[0] in finding["detail"]
    code, lines = run("keys", "status")
    assert (code, sum("KHÔNG" in line for line in lines)) == (0, 2)
    assert run("keys", "adopt")[0] == 0
    assert {each["state"] for each in examined()["keys"]} == {"ok"}


def test_the_doctor_names_a_port_that_speaks_no_mqtt(installed: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        installed.write_text(installed.read_text() + f"BROADCAST_MQTT__PORT={port}\n")
        [finding] = examined()["broker"]
    assert finding["state"] == "wrong"
    assert str(port) in finding["detail"]


UNNEEDED = {"alembic", "amqtt", "av", "broadcast.demo", "espeakng_loader", "onnxruntime", "piper",
            "pydub"}  # fmt: skip
"""What only the migration, the demo and the child that prepares sound use."""

BY_ROLE = {
    "broadcast.api": {"broadcast.ingest", "broadcast.delivery", "broadcast.mqtt.link"},
    "broadcast.ingest.worker": {"broadcast.api", "broadcast.areas.routes", "broadcast.demo"},
    "broadcast.delivery.dispatcher": {"broadcast.ingest", "broadcast.areas.routes"},
    "broadcast.bulletins.prepare_worker": {"broadcast.mqtt.link", "broadcast.areas.routes"},
}
"""What begins each role, and packages of others that it starts without."""


@pytest.mark.parametrize("first", BY_ROLE)
def test_a_process_loads_what_its_roles_need(first: str) -> None:
    seen = f"import sys, broadcast.cli, broadcast.app, {first}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", seen], check=True, capture_output=True, text=True
    )
    modules = set(loaded.stdout.split())
    assert {first, "broadcast.app"} <= modules
    assert UNNEEDED.isdisjoint(modules)
    assert BY_ROLE[first].isdisjoint(modules)


def test_a_server_starts_without_what_only_some_requests_need() -> None:
    """NumPy, the decoder and the patterns of reading cost a tenth of the start and more."""
    rooms = (
        "cli",
        "app",
        "api",
        "ingest.worker",
        "delivery.dispatcher",
        "bulletins.prepare_worker",
    )
    program = "".join(f"import broadcast.{room}\n" for room in rooms)
    said = subprocess.run(
        [sys.executable, "-c", f"{program}import sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert "broadcast.indicators.days" in said
    assert not {"numpy", "av", "pydub", "broadcast.bulletins.speech.reading"} & set(said)

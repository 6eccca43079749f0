"""From a claim code to the bundle of a box, over REST and by the command line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from typer.testing import CliRunner

from broadcast import cli, config
from broadcast.auth.permissions import Role
from broadcast.devices.enrolment import retire
from broadcast.enrolment import authority_files, credentials, enrolling
from broadcast.enrolment.attempts import AT_ONCE, REMEMBERED, SECONDS_EACH, Attempts
from broadcast.enrolment.claims import WrongCode
from broadcast.enrolment.codes import code_digest, new_code
from broadcast.enrolment.model import Certificate, Claim, Password
from broadcast.keys import changes
from broadcast.kit import db
from broadcast.kit.errors import Conflict, InvalidInput, Unavailable
from broadcast.wire.codec import decode
from broadcast.wire.enrolment import Bundle
from broadcast.wire.enrolment import Claim as Told
from tests.devices.fleet import enrol
from tests.enrolment.fleet import DAY, MINUTE, NOW, csr, installation, p256
from tests.keys.memory import MemoryStore
from tests.stations.client import client_of


@pytest.fixture
async def settings(session: AsyncSession, tmp_path: Path) -> config.Settings:
    await changes.begin(session, MemoryStore(), NOW)
    return installation(tmp_path)


async def redeem(
    session: AsyncSession,
    settings: config.Settings,
    code: str,
    key: ec.EllipticCurvePrivateKey,
    now: datetime = NOW,
) -> Bundle:
    return await enrolling.redeem(session, settings, code, csr(key), now)


@pytest.mark.postgres
async def test_a_box_gets_everything_for_its_claim_code(
    session: AsyncSession, settings: config.Settings
) -> None:
    await enrol(session, "QN-1")
    opened = await enrolling.open_claim(session, settings, "QN-1", NOW)
    told = decode(opened.qr_text.encode(), Told)
    assert told == Told("https://tinh.example/api/v1/enrolments", "QN-1", opened.claim_code)
    key = p256()
    bundle = await redeem(session, settings, opened.claim_code.lower().replace("-", " "), key)
    assert (bundle.device_id, bundle.prefix) == ("QN-1", "ttn/v1")
    assert (bundle.broker.host, bundle.broker.port) == ("mqtt.tinh.example", 8883)
    folder = settings.enrolment.authority_dir
    assert bundle.broker.authority == (folder / "broker-ca.crt").read_text()
    assert {each.use for each in bundle.keys} == {"programme", "alert"}
    assert bundle.certificate is not None
    given = x509.load_pem_x509_certificate(bundle.certificate.encode())
    given.verify_directly_issued_by(authority_files.devices(settings.enrolment).certificate)
    assert given.public_key() == key.public_key()
    assert given.subject.rfc4514_string() == "CN=QN-1"
    assert (bundle.renew_at, bundle.expires_at) == (NOW + 60 * DAY, NOW + 90 * DAY)
    assert (bundle.username, bundle.password) == (None, None)


async def test_the_answer_that_was_lost_is_given_again_to_the_same_key_only(
    session: AsyncSession, settings: config.Settings
) -> None:
    await enrol(session, "QN-1")
    opened = await enrolling.open_claim(session, settings, "QN-1", NOW)
    key = p256()
    first = await redeem(session, settings, opened.claim_code, key)
    again = await redeem(session, settings, opened.claim_code, key, NOW + 59 * MINUTE)
    assert again == first
    assert await session.scalar(sa.select(sa.func.count()).select_from(Certificate)) == 1
    with pytest.raises(WrongCode):
        await redeem(session, settings, opened.claim_code, p256())
    with pytest.raises(WrongCode):
        await redeem(session, settings, opened.claim_code, key, NOW + 60 * MINUTE)


async def test_a_code_is_over_with_its_time_with_the_next_one_and_with_the_device(
    session: AsyncSession, settings: config.Settings
) -> None:
    one, _ = await enrol(session, "QN-1", "QN-2")
    codes = [
        (await enrolling.open_claim(session, settings, code, NOW)).claim_code
        for code in ("QN-1", "QN-1", "QN-2")
    ]
    with pytest.raises(WrongCode):
        await redeem(session, settings, codes[0], p256(), NOW + MINUTE)
    with pytest.raises(WrongCode):
        await redeem(session, settings, codes[2], p256(), NOW + 60 * MINUTE)
    await retire(session, one, NOW + MINUTE)
    with pytest.raises(WrongCode):
        await redeem(session, settings, codes[1], p256(), NOW + MINUTE)
    with pytest.raises(WrongCode):
        await redeem(session, settings, new_code(), p256())
    with pytest.raises(Conflict, match="ngừng dùng"):
        await enrolling.open_claim(session, settings, "QN-1", NOW)


async def test_a_bad_request_does_not_use_the_code_up(
    session: AsyncSession, settings: config.Settings
) -> None:
    await enrol(session, "QN-1")
    opened = await enrolling.open_claim(session, settings, "QN-1", NOW)
    with pytest.raises(InvalidInput, match="csr"):
        await enrolling.redeem(session, settings, opened.claim_code, "no request", NOW)
    assert (await redeem(session, settings, opened.claim_code, p256())).certificate is not None


async def test_a_device_has_one_credential(
    session: AsyncSession, settings: config.Settings
) -> None:
    [device] = await enrol(session, "QN-1")
    first = await enrolling.sign(session, settings, "QN-1", csr(p256()), NOW)
    opened = await enrolling.open_claim(session, settings, "QN-1", NOW + DAY)
    shown = await enrolling.show(session, "QN-1", NOW + DAY)
    assert [each.revoked_at for each in shown.certificates] == [None], "until a box has used it"
    assert shown.claim_until == opened.expires_at
    await redeem(session, settings, opened.claim_code, p256(), NOW + DAY)
    shown = await enrolling.show(session, "QN-1", NOW + DAY)
    assert [each.revoked_at for each in shown.certificates] == [None, NOW + DAY]
    assert shown.claim_until is None
    password = await enrolling.give_password(session, settings, "QN-1", NOW + 2 * DAY)
    assert (password.username, password.broker.port) == ("QN-1", 8885)
    assert password.certificate is None
    assert first.password is None
    shown = await enrolling.show(session, "QN-1", NOW + 2 * DAY)
    assert all(each.revoked_at for each in shown.certificates)
    assert shown.password_set_at == NOW + 2 * DAY
    assert await enrolling.revoke(session, "QN-1", NOW + 3 * DAY) == 1
    assert await enrolling.revoke(session, "QN-1", NOW + 3 * DAY) == 0
    shown = await enrolling.show(session, "QN-1", NOW + 3 * DAY)
    assert shown.password_set_at is None
    await enrolling.sign(session, settings, "QN-1", csr(p256()), NOW + 4 * DAY)
    row = await session.get(Password, device.id)
    assert row is not None
    assert row.revoked_at == NOW + 3 * DAY


async def test_no_secret_is_stored(session: AsyncSession, settings: config.Settings) -> None:
    await enrol(session, "QN-1", "QN-2")
    opened = await enrolling.open_claim(session, settings, "QN-1", NOW)
    given = await enrolling.give_password(session, settings, "QN-2", NOW)
    assert given.password is not None
    rows = [
        str(row)
        for table in (Claim.__table__, Certificate.__table__, Password.__table__)
        for row in await session.execute(sa.select(table))
    ]
    assert len(rows) == 2
    for secret in (opened.claim_code, opened.claim_code.replace("-", ""), given.password):
        assert not any(secret in row for row in rows)
    assert code_digest(opened.claim_code) in rows[0]


@pytest.mark.parametrize("code", ["broadcast", "broadcast-dispatch", "broadcast-2"])
async def test_no_device_is_called_like_a_session_of_the_server(
    session: AsyncSession, settings: config.Settings, code: str
) -> None:
    await enrol(session, code)
    with pytest.raises(Conflict, match="BROADCAST_MQTT__CLIENT_ID"):
        await enrolling.open_claim(session, settings, code, NOW)
    with pytest.raises(Conflict):
        await enrolling.sign(session, settings, code, csr(p256()), NOW)
    with pytest.raises(Conflict):
        await enrolling.give_password(session, settings, code, NOW)


async def test_what_the_administrator_has_not_set_up_is_said_before_the_pole(
    session: AsyncSession, settings: config.Settings, tmp_path: Path
) -> None:
    await enrol(session, "QN-1")
    enrolment = settings.enrolment.model_copy(update={"authority_dir": tmp_path / "nowhere"})
    for change, says in (
        ({"web": config.Web()}, "BROADCAST_WEB__PUBLIC_URL"),
        ({"enrolment": enrolment}, "broadcast authority create"),
    ):
        lacking = settings.model_copy(update=change)
        with pytest.raises(Unavailable, match=says):
            await enrolling.open_claim(session, lacking, "QN-1", NOW)


def test_a_copied_code_is_the_same_code() -> None:
    code = new_code()
    assert code_digest(code) == code_digest(code.lower().replace("-", " "))
    assert code_digest("0O1I-LOO1-ILIL") == code_digest("0011 1001 1111")
    assert len({new_code() for _ in range(1_000)}) == 1_000


def test_renewal_begins_in_the_last_third() -> None:
    row = Certificate(issued_at=NOW, expires_at=NOW + 90 * DAY)
    assert credentials.renew_at(row) == NOW + 60 * DAY


# Guessing ---------------------------------------------------------------------------------------


def test_who_guesses_waits_and_nobody_else() -> None:
    attempts = Attempts()
    for _ in range(AT_ONCE):
        assert attempts.wait("a", 0) == 0
        attempts.wrong("a", 0)
    assert attempts.wait("a", 0) == SECONDS_EACH
    assert attempts.wait("b", 0) == 0
    assert attempts.wait("a", SECONDS_EACH) == 0
    attempts.wrong("a", SECONDS_EACH)
    assert attempts.wait("a", SECONDS_EACH) == SECONDS_EACH


def test_many_addresses_take_bounded_memory_and_the_worst_is_remembered() -> None:
    attempts = Attempts()
    for _ in range(AT_ONCE):
        attempts.wrong("worst", 0)
    for number in range(3 * REMEMBERED):
        attempts.wrong(str(number), 0)
    assert len(attempts._full_at) <= REMEMBERED
    assert attempts.wait("worst", 0) > 0


# Over REST --------------------------------------------------------------------------------------


@pytest.fixture
async def client(
    engine: AsyncEngine, settings: config.Settings
) -> AsyncIterator[httpx.AsyncClient]:
    async with db.transaction(engine) as session:
        await enrol(session, "QN-1", "QN-2")
        await changes.begin(session, MemoryStore(), NOW)
    async with client_of(engine, Role.TECHNICIAN, settings) as client:
        yield client


async def claim_of(client: httpx.AsyncClient, code: str) -> dict[str, Any]:
    answer = await client.post(f"/devices/{code}/claim")
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    body: dict[str, Any] = answer.json()
    return body


async def test_a_box_enrols_over_rest_without_a_token(client: httpx.AsyncClient) -> None:
    claim = await claim_of(client, "QN-1")
    assert claim["qr_svg"].startswith("<svg")
    asked = {"claim_code": claim["claim_code"], "csr": csr(p256())}
    del client.headers["Authorization"]
    answer = await client.post("/enrolments", json=asked)
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    bundle = decode(answer.content, Bundle)
    assert (bundle.device_id, bundle.broker.port) == ("QN-1", 8883)
    assert "password" not in answer.json()
    again = await client.post("/enrolments", json=asked)
    assert again.json() == answer.json()
    stranger = await client.post("/enrolments", json={**asked, "csr": csr(p256())})
    assert (stranger.status_code, stranger.json()["type"]) == (
        403, "urn:broadcast:problem:wrong-claim-code",
    )  # fmt: skip


async def test_guessing_is_slowed_down_and_says_for_how_long(client: httpx.AsyncClient) -> None:
    claim = await claim_of(client, "QN-1")
    for _ in range(AT_ONCE):
        body = {"claim_code": new_code(), "csr": csr(p256())}
        assert (await client.post("/enrolments", json=body)).status_code == 403
    right = {"claim_code": claim["claim_code"], "csr": csr(p256())}
    refused = await client.post("/enrolments", json=right)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= SECONDS_EACH


async def test_a_certificate_a_password_and_their_end_over_rest(
    client: httpx.AsyncClient,
) -> None:
    signed = await client.post("/devices/QN-1/certificate", json={"csr": csr(p256())})
    assert signed.json()["certificate"].startswith("-----BEGIN CERTIFICATE-----")
    bad = await client.post("/devices/QN-1/certificate", json={"csr": "x"})
    assert (bad.status_code, bad.json()["field"]) == (422, "csr")
    password = (await client.post("/devices/QN-2/password")).json()
    assert (password["username"], len(password["password"])) == ("QN-2", 24)
    shown = (await client.get("/devices/QN-2/credentials")).json()
    assert shown["password_set_at"] is not None
    assert password["password"] not in str(shown)
    for code in ("QN-1", "QN-2"):
        assert (await client.delete(f"/devices/{code}/credentials")).status_code == 204
    shown = (await client.get("/devices/QN-1/credentials")).json()
    assert [each["revoked_because"] for each in shown["certificates"]] == ["ordered"]
    assert (await client.post("/devices/QN-9/claim")).status_code == 404


# By the command line ----------------------------------------------------------------------------


@pytest.fixture
def run(postgres_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`broadcast …` on an installation with one device; the output as text."""
    monkeypatch.setenv("BROADCAST_POSTGRES__DSN", postgres_dsn)
    monkeypatch.setenv("BROADCAST_WEB__PUBLIC_URL", "https://tinh.example")
    monkeypatch.setenv("BROADCAST_ENROLMENT__BROKER_HOST", "mqtt.tinh.example")
    monkeypatch.chdir(tmp_path)

    async def one_device() -> None:
        engine = db.create_engine(config.Settings().postgres, "test")
        async with db.transaction(engine) as session:
            await enrol(session, "QN-1")
        await engine.dispose()

    asyncio.run(one_device())

    def command(*words: str, code: int = 0) -> str:
        result = CliRunner().invoke(cli.app, [*words])
        assert result.exit_code == code, result.output
        return result.output

    command("keys", "create")
    return command


def test_a_technician_enrols_by_the_command_line(run: Any, tmp_path: Path) -> None:
    said = run("devices", "enrol", "QN-1", code=1)
    assert "broadcast authority create" in said
    assert "đã tạo" in run("authority", "create")
    assert "không thay đổi gì" in run("authority", "create")
    shown = run("devices", "enrol", "QN-1", "--qr", "code.svg").splitlines()
    assert shown[-1].startswith("QN-1: ")
    assert "█" in "".join(shown)
    assert (tmp_path / "code.svg").read_text().endswith("</svg>\n")
    (tmp_path / "box.csr").write_text(csr(p256()))
    bundle = json.loads(run("devices", "enrol", "QN-1", "--csr", "box.csr"))
    assert bundle["broker"]["host"] == "mqtt.tinh.example"
    assert bundle["certificate"].startswith("-----BEGIN CERTIFICATE-----")
    assert "1 chứng chỉ" in run("devices", "revoke", "QN-1")
    bundle = json.loads(run("devices", "enrol", "QN-1", "--password"))
    assert len(bundle["password"]) == 24
    assert "--csr" in run("devices", "enrol", "QN-1", "--csr", "box.csr", "--password", code=1)

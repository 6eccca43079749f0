"""Accounts, roles and tokens over REST: who may, from when, and what ends at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.accounts import grants, people, tokens
from broadcast.areas.model import Area, Level
from broadcast.auth.model import Account, AccountKind, ApiToken
from broadcast.auth.permissions import Permission, Role
from broadcast.kit import clock, db
from broadcast.web.idempotency_keys import IdempotencyKey
from tests.accounts.browser import PASSWORD, Browser, application
from tests.accounts.conftest import Clock

UNITS = [
    ("51", Level.PROVINCE, None),
    ("21196", Level.COMMUNE, "51"),
    ("t1", Level.VILLAGE, "21196"),
]
NEXT_YEAR = timedelta(days=300)


class Someone(NamedTuple):
    """An account, and requests with its token."""

    id: int
    http: httpx.AsyncClient

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        return await self.http.request(method, f"/api/v1{path}", **more)

    async def get(self, path: str) -> Any:
        answer = await self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def make(self, path: str, body: dict[str, Any], **headers: str) -> Any:
        answer = await self.ask("POST", path, json=body, headers=headers)
        assert answer.status_code == 201, answer.text
        assert (await self.get(answer.headers["location"].removeprefix("/api/v1")))["id"]
        return answer.json()


@pytest.fixture
async def app(
    engine: AsyncEngine, postgres_dsn: str, tmp_path: Path, time: Clock
) -> AsyncIterator[FastAPI]:
    """On a day that does not end; with a commune and a village."""
    async with db.transaction(engine) as session:
        session.add_all(
            Area(
                code=code, level=level, kind="x", name=f"Đơn vị {code}", parent_code=parent,
                valid_from=date(2025, 7, 1), valid_to=None,
            )
            for code, level, parent in UNITS
        )  # fmt: skip
    async with application(engine, postgres_dsn, tmp_path) as app:
        yield app


async def someone(
    app: FastAPI,
    name: str,
    *held: tuple[Role, str | None],
    scope: set[Permission] | None = None,
    until: datetime | None = None,
    second_factor: bool = True,
) -> Someone:
    now = clock.now()
    async with db.transaction(app.state.engine) as session:
        account = await people.create_account(session, name, now)
        for role, area in held:
            await grants.grant(session, account.id, role, area, now)
        issued = await tokens.issue(
            session, account.id, now, until, scope=scope, second_factor=second_factor
        )
    secret = issued.secret
    return with_token(app, account.id, secret)


def with_token(app: FastAPI, account_id: int, secret: str) -> Someone:
    http = httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False),
        base_url="http://test",
        headers={"Authorization": f"Bearer {secret}"},
    )
    return Someone(account_id, http)


@pytest.fixture
async def admin(app: FastAPI) -> Someone:
    return await someone(app, "Nguyễn Thị Quản", (Role.PROVINCE_ADMIN, None))


# --- accounts ----------------------------------------------------------------------------------


async def test_an_account_is_made_given_a_role_and_found_by_it(admin: Someone) -> None:
    made = await admin.make("/accounts", {"name": "Hồ Thị Đài"})
    assert (made["state"], made["kind"], made["roles"]) == ("invited", "person", [])
    body = {"role": "commune_broadcaster", "area_code": "21196"}
    given = await admin.make(f"/accounts/{made['id']}/grants", body)
    assert given["granted_by"] == {"id": admin.id, "name": "Nguyễn Thị Quản"}
    assert given["area"] == {"code": "21196", "name": "Đơn vị 21196"}
    for found in ("role=commune_broadcaster", "area=21196", "state=invited"):
        items = (await admin.get(f"/accounts?{found}"))["items"]
        assert [(each["name"], len(each["roles"])) for each in items] == [("Hồ Thị Đài", 1)], found
    assert (await admin.get("/accounts?role=auditor"))["items"] == []


@pytest.mark.parametrize("name", ["", "   ", "Lаn", "x" * 101, "-"])
async def test_a_name_is_a_persons(admin: Someone, name: str) -> None:
    answer = await admin.ask("POST", "/accounts", json={"name": name})
    assert (answer.status_code, answer.json()["field"]) == (422, "name")


async def test_accounts_are_for_administrators(app: FastAPI, admin: Someone) -> None:
    lan = await someone(app, "Lan", (Role.PROVINCE_APPROVER, None), (Role.AUDITOR, None))
    own = f"/accounts/{lan.id}"
    for method, path in [
        ("GET", "/accounts"), ("POST", "/accounts"), ("GET", own), ("PUT", own),
        ("GET", f"{own}/grants"), ("POST", f"{own}/grants"), ("DELETE", f"{own}/grants/1"),
        ("GET", f"/accounts/{admin.id}/tokens"), ("GET", "/accounts/99999/tokens"),
    ]:  # fmt: skip
        answer = await lan.ask(method, path)
        assert answer.status_code == 403, (method, path, answer.text)


async def test_a_change_is_made_from_the_version_that_was_seen(admin: Someone) -> None:
    made = await admin.make("/accounts", {"name": "Lan", "kind": "service"})
    path = f"/accounts/{made['id']}"
    tag = (await admin.ask("GET", path)).headers["etag"]
    body = {"name": "Lan Anh", "state": "active"}
    changed = await admin.ask("PUT", path, json=body, headers={"If-Match": tag})
    assert (changed.status_code, changed.json()["name"]) == (200, "Lan Anh")
    again = await admin.ask("PUT", path, json=body, headers={"If-Match": tag})
    assert again.status_code == 412


async def test_an_invited_account_becomes_active_by_its_first_credential(admin: Someone) -> None:
    made = await admin.make("/accounts", {"name": "Lan"})
    path = f"/accounts/{made['id']}"
    answer = await admin.ask("PUT", path, json={"name": "Lan", "state": "active"})
    assert (answer.status_code, answer.json()["field"]) == (422, "state")
    renamed = await admin.ask("PUT", path, json={"name": "Lan Anh", "state": "invited"})
    assert renamed.json()["state"] == "invited"


async def test_disabling_ends_tokens_at_once_and_for_good(app: FastAPI, admin: Someone) -> None:
    lan = await someone(app, "Lan", (Role.AUDITOR, None))
    assert (await lan.ask("GET", "/me")).status_code == 200
    path = f"/accounts/{lan.id}"
    for state, roles in (("disabled", 1), ("active", 1)):
        answer = await admin.ask("PUT", path, json={"name": "Lan", "state": state})
        assert (answer.json()["state"], len(answer.json()["roles"])) == (state, roles)
        assert (await lan.ask("GET", "/me")).status_code == 401
        assert await admin.get(f"{path}/tokens") == []


async def test_who_was_invited_sets_a_password_and_signs_in(app: FastAPI, admin: Someone) -> None:
    made = await admin.make("/accounts", {"name": "Hồ Thị Đài"})
    path = f"/accounts/{made['id']}"
    old, new = [await admin.ask("POST", f"{path}/invitation") for _ in range(2)]
    codes = [answer.json()["link"].partition("#")[2] for answer in (old, new)]
    assert (new.status_code, new.headers["cache-control"]) == (201, "no-store")
    browser = Browser(app)
    for code, status in zip(codes, (401, 201), strict=True):
        body = {"code": code, "login": "dai", "password": PASSWORD}
        assert (await browser.ask("POST", "/setup", json=body)).status_code == status
    assert (await browser.ask("GET", "/me")).json()["signed_in_by"] == "session"
    assert (await admin.get(path))["state"] == "active"
    # Who can come in already is not taken over by a link.
    assert (await admin.ask("POST", f"{path}/invitation")).status_code == 409
    assert (await admin.ask("DELETE", f"{path}/sessions")).status_code == 204
    assert (await browser.ask("GET", "/me")).status_code == 401
    assert (await browser.sign_in("dai")).status_code == 201
    body = {"name": "Hồ Thị Đài", "state": "disabled"}
    assert (await admin.ask("PUT", path, json=body)).status_code == 200
    assert (await browser.ask("GET", "/me")).status_code == 401
    await admin.ask("PUT", path, json=body | {"state": "active"})
    assert (await browser.ask("GET", "/me")).status_code == 401


# --- roles -------------------------------------------------------------------------------------


async def test_a_role_holds_from_a_day_to_a_day(app: FastAPI, admin: Someone) -> None:
    lan = await someone(app, "Lan")
    tomorrow, path = clock.today() + timedelta(days=1), f"/accounts/{lan.id}/grants"
    span = {"valid_from": f"{tomorrow}", "valid_until": f"{tomorrow + timedelta(days=7)}"}
    await admin.make(path, {"role": "technician"} | span)
    assert (await lan.get("/me"))["roles"] == []
    await admin.make(path, {"role": "auditor", "valid_until": f"{clock.today()}"})
    assert [each["role"] for each in (await lan.get("/me"))["roles"]] == ["auditor"]
    for wrong, field in [
        ({"valid_from": f"{clock.today() - timedelta(days=1)}"}, "valid_from"),
        ({"valid_from": f"{tomorrow}", "valid_until": f"{clock.today()}"}, "valid_until"),
        ({"area_code": "99999"}, "area_code"),
        ({"area_code": "51"}, "area_code"),
    ]:
        answer = await admin.ask("POST", path, json={"role": "service"} | wrong)
        assert (answer.status_code, answer.json()["field"]) == (422, field)


async def test_a_role_is_given_once_at_a_time(app: FastAPI, admin: Someone) -> None:
    lan = await someone(app, "Lan")
    path, today = f"/accounts/{lan.id}/grants", clock.today()
    week = f"{today + timedelta(days=7)}"
    given = await admin.make(path, {"role": "technician", "valid_until": week})
    for body in ({}, {"valid_from": week}, {"valid_until": f"{today}"}):
        answer = await admin.ask("POST", path, json={"role": "technician"} | body)
        assert answer.status_code == 409, body
    later = f"{today + timedelta(days=8)}"
    await admin.make(path, {"role": "technician", "valid_from": later})
    await admin.make(path, {"role": "technician", "area_code": "21196"})
    assert (await admin.ask("DELETE", f"{path}/{given['id']}")).status_code == 204
    await admin.make(path, {"role": "technician", "valid_until": week})


async def test_a_revoked_role_ends_at_once_and_stays_in_the_history(
    app: FastAPI, admin: Someone
) -> None:
    lan = await someone(app, "Lan", (Role.TECHNICIAN, None))
    ((given,), path) = (await admin.get(f"/accounts/{lan.id}/grants")), f"/accounts/{lan.id}"
    assert (await lan.ask("GET", "/areas")).status_code == 200
    for _ in range(2):
        gone = await admin.ask("DELETE", f"{path}/grants/{given['id']}")
        assert gone.status_code == 204
    assert (await lan.ask("GET", "/areas")).status_code == 403
    assert (await admin.get(path))["roles"] == []
    (ended,) = await admin.get(f"{path}/grants")
    assert (given["revoked_at"], given["granted_by"]) == (None, None)
    assert ended == given | {"revoked_at": ended["revoked_at"]}
    elsewhere = f"/accounts/{admin.id}/grants/{given['id']}"
    assert (await admin.ask("DELETE", elsewhere)).status_code == 404


async def test_nobody_gives_a_role_to_themselves(admin: Someone) -> None:
    body = {"role": "province_approver"}
    answer = await admin.ask("POST", f"/accounts/{admin.id}/grants", json=body)
    assert answer.status_code == 403


async def test_the_last_administrator_stays(app: FastAPI, admin: Someone) -> None:
    path = f"/accounts/{admin.id}"
    (own,) = (await admin.get(path))["roles"]
    leave = [
        ("PUT", path, {"name": "Quản", "state": "disabled"}),
        ("DELETE", f"{path}/grants/{own['id']}", None),
    ]
    # None of these could take over for good.
    await someone(app, "Hệ thống", (Role.AUDITOR, None))
    invited = await admin.make("/accounts", {"name": "Mai"})
    await admin.make(f"/accounts/{invited['id']}/grants", {"role": "province_admin"})
    substitute = await someone(app, "Tạm")
    body = {"role": "province_admin", "valid_until": f"{clock.today()}"}
    await admin.make(f"/accounts/{substitute.id}/grants", body)
    for method, where, body_ in leave:
        answer = await admin.ask(method, where, json=body_)
        assert (answer.status_code, "cuối cùng" in answer.text) == (409, True), answer.text
    assert (await admin.get("/me"))["name"] == "Nguyễn Thị Quản"
    await someone(app, "Hùng", (Role.PROVINCE_ADMIN, None))
    assert (await admin.ask("DELETE", f"{path}/grants/{own['id']}")).status_code == 204


async def test_of_two_administrators_who_remove_each_other_one_stays(
    app: FastAPI, admin: Someone
) -> None:
    other = await someone(app, "Hùng", (Role.PROVINCE_ADMIN, None))
    body = {"name": "Ai đó", "state": "disabled"}
    answers = await asyncio.gather(
        admin.ask("PUT", f"/accounts/{other.id}", json=body),
        other.ask("PUT", f"/accounts/{admin.id}", json=body),
    )
    statuses = sorted(answer.status_code for answer in answers)
    # Who comes second is the last one, or is disabled before the request is looked at.
    assert statuses in ([200, 401], [200, 409])
    async with db.transaction(app.state.engine) as session:
        left = await session.scalars(
            sa.select(Account.state).where(Account.id.in_([admin.id, other.id]))
        )
    assert sorted(left) == ["active", "disabled"]


# --- tokens ------------------------------------------------------------------------------------


def token_body(**more: Any) -> dict[str, Any]:
    return {"label": "Bảng theo dõi", "expires_at": f"{clock.now() + NEXT_YEAR}"} | more


async def test_a_token_is_shown_once_and_listed_without_its_secret(app: FastAPI) -> None:
    lan = await someone(app, "Lan", (Role.AUDITOR, None))
    path = f"/accounts/{lan.id}/tokens"
    key = {"idempotency-key": "k"}
    issued = await lan.make(path, body := token_body(scope=["read"]), **key)
    secret = issued.pop("token")
    program = with_token(app, lan.id, secret)
    assert (await program.get("/me"))["permissions"] == ["read"]
    _, listed = await lan.get(path)
    assert listed == issued | {"last_used_on": f"{clock.today()}"}
    again = await lan.ask("POST", path, json=body, headers=key)
    assert (again.status_code, again.json()["token"]) == (201, None)
    async with db.transaction(app.state.engine) as session:
        kept = (await session.scalars(sa.select(IdempotencyKey.body))).all()
    assert len(kept) == 1
    assert secret.encode() not in kept[0]
    assert (await program.ask("DELETE", f"/tokens/{issued['id']}")).status_code == 204
    assert (await program.ask("GET", "/me")).status_code == 401
    assert len(await lan.get(path)) == 1


async def test_a_token_ends_within_a_year(app: FastAPI) -> None:
    lan = await someone(app, "Lan")
    for end in (clock.now() - timedelta(seconds=1), clock.now() + timedelta(days=367)):
        body = token_body(expires_at=f"{end}")
        answer = await lan.ask("POST", f"/accounts/{lan.id}/tokens", json=body)
        assert (answer.status_code, answer.json()["field"]) == (422, "expires_at")


async def test_no_token_makes_one_that_may_more_or_lives_longer(app: FastAPI) -> None:
    soon = clock.now() + timedelta(days=9)
    narrow = {Permission.READ, Permission.CONTENT_READ}
    lan = await someone(app, "Lan", (Role.AUDITOR, None), scope=narrow, until=soon)
    path, short = f"/accounts/{lan.id}/tokens", f"{clock.now() + timedelta(days=8)}"
    for scope in (None, ["read", "audit_read"]):
        body = token_body(expires_at=short, scope=scope)
        assert (await lan.ask("POST", path, json=body)).status_code == 403
    long = await lan.ask("POST", path, json=token_body(scope=["read"]))
    assert (long.status_code, long.json()["field"]) == (422, "expires_at")
    await lan.make(path, token_body(expires_at=short, scope=["read"]))


async def test_an_administrator_gives_tokens_to_systems_and_to_no_person(
    app: FastAPI, admin: Someone
) -> None:
    lan = await someone(app, "Lan", (Role.PROVINCE_APPROVER, None))
    answer = await admin.ask("POST", f"/accounts/{lan.id}/tokens", json=token_body())
    assert answer.status_code == 403
    system = await admin.make("/accounts", {"name": "Hệ thống nguồn", "kind": "service"})
    issued = await admin.make(f"/accounts/{system['id']}/tokens", token_body())
    me = await with_token(app, system["id"], issued["token"]).get("/me")
    assert (me["kind"], me["signed_in_by"], me["permissions"]) == ("service", "token", [])


async def test_tokens_of_others_are_not_there_but_for_administrators(
    app: FastAPI, admin: Someone
) -> None:
    lan, hung = [await someone(app, name, (Role.AUDITOR, None)) for name in ("Lan", "Hùng")]
    (token,) = await lan.get(f"/accounts/{lan.id}/tokens")
    for method in ("GET", "DELETE"):
        assert (await hung.ask(method, f"/tokens/{token['id']}")).status_code == 404
    answer = await hung.ask("POST", f"/accounts/{lan.id}/tokens", json=token_body())
    assert answer.status_code == 403
    assert (await lan.get("/me"))["name"] == "Lan"
    assert (await admin.ask("DELETE", f"/tokens/{token['id']}")).status_code == 204
    assert (await lan.ask("GET", "/me")).status_code == 401


async def test_tokens_of_an_account_are_bounded(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "MOST_TOKENS", 1)
    lan = await someone(app, "Lan")
    answer = await lan.ask("POST", f"/accounts/{lan.id}/tokens", json=token_body())
    assert answer.status_code == 409


async def test_a_use_is_noted_once_a_day(app: FastAPI) -> None:
    lan = await someone(app, "Lan")
    written = sa.select(sa.text("xmin::text")).select_from(ApiToken)
    async with db.transaction(app.state.engine) as session:
        unused = await session.scalar(written)
    seen = []
    for _ in range(2):
        await lan.get("/me")
        async with db.transaction(app.state.engine) as session:
            seen.append(await session.scalar(written))
    assert seen[0] == seen[1] != unused


async def test_what_others_depend_on_needs_a_second_factor(app: FastAPI) -> None:
    admin = await someone(app, "Quản", (Role.PROVINCE_ADMIN, None), second_factor=False)
    lan = await someone(app, "Lan")
    (token,) = await lan.get(f"/accounts/{lan.id}/tokens")
    async with db.transaction(app.state.engine) as session:
        system = await people.create_account(session, "Máy", clock.now(), AccountKind.SERVICE)
    own, body = f"/accounts/{admin.id}/tokens", token_body()
    for method, path, sent in [
        ("POST", "/accounts", {"name": "Mai"}),
        ("POST", f"/accounts/{lan.id}/grants", {"role": "auditor"}),
        ("POST", f"/accounts/{system.id}/tokens", body),
        ("DELETE", f"/tokens/{token['id']}", None),
        ("POST", own, token_body(approves=True)),
    ]:
        answer = await admin.ask(method, path, json=sent)
        assert (answer.status_code, "second-factor" in answer.text) == (403, True), path
    await admin.make(own, body)
    assert (await lan.make(f"/accounts/{lan.id}/tokens", token_body(approves=True)))["approves"]


async def test_a_system_approves_nothing(app: FastAPI, admin: Someone) -> None:
    system = await admin.make("/accounts", {"name": "Hệ thống nguồn", "kind": "service"})
    path = f"/accounts/{system['id']}/grants"
    for role in ("province_admin", "province_approver", "duty_officer"):
        answer = await admin.ask("POST", path, json={"role": role})
        assert (answer.status_code, answer.json()["field"]) == (422, "role")
    await admin.make(path, {"role": "service"})


# --- who am I ----------------------------------------------------------------------------------


async def test_everybody_is_told_who_they_are_and_what_they_may(app: FastAPI) -> None:
    held = [(Role.VILLAGE_HEAD, "t1"), (Role.AUDITOR, None)]
    lan = await someone(app, "Lan", *held, scope={Permission.OUTAGE_WRITE, Permission.READ})
    me = await lan.get("/me")
    assert (me["id"], me["name"], me["login"], me["signed_in_by"]) == (
        lan.id, "Lan", None, "token",
    )  # fmt: skip
    assert me["roles"] == [
        {
            "role": "village_head",
            "role_name": "trưởng thôn",
            "area": {"code": "t1", "name": "Đơn vị t1"},
        },
        {"role": "auditor", "role_name": "kiểm tra", "area": None},
    ]
    assert me["permissions"] == ["read", "outage_write"]
    nobody = await someone(app, "Tèo")
    assert (await nobody.get("/me"))["permissions"] == []


async def test_a_system_is_a_service_account(app: FastAPI) -> None:
    async with db.transaction(app.state.engine) as session:
        now = datetime.now(UTC)
        await people.create_with_token(session, "Hệ thống", Role.SERVICE, now)
        kinds = await session.scalars(sa.select(Account.kind).where(Account.name == "Hệ thống"))
    assert list(kinds) == [AccountKind.SERVICE]

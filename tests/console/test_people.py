"""The pages of people: what they show is what REST answers, and what they do is said before."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx2 as httpx
import pyotp
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.accounts import grants, passwords, people, setup, tokens
from broadcast.api import create_app
from broadcast.areas.model import AreaLineage, Level, Part
from broadcast.audit.model import AuditEntry
from broadcast.auth.model import Account, AccountKind
from broadcast.auth.permissions import Role
from broadcast.auth.session import CSRF_COOKIE, CSRF_HEADER
from broadcast.kit import clock, db
from tests import province as rows
from tests.callers import HUNG, LAN
from tests.console.conftest import BROWSER, Pages
from tests.web.routes import worked_out

PASSWORD = "mot cau ngan de nho"


@pytest.fixture(autouse=True)
async def units(engine: AsyncEngine) -> None:
    async with db.transaction(engine) as session:
        session.add_all([
            rows.area("51", Level.PROVINCE),
            rows.area("20001", Level.COMMUNE, "51"),
            rows.area("V-1", Level.VILLAGE, "20001"),
        ])  # fmt: skip


async def test_a_person_is_made_with_a_role_and_a_link_that_is_shown_once(
    pages: Pages, engine: AsyncEngine
) -> None:
    assert 'value="20001"' in (await pages.load("/admin/people/new")).text
    villages = await pages.load("/admin/people/villages", area_code="20001")
    assert 'value="V-1"' in villages.text
    made = await pages.submit(
        "/admin/people", name="Lê Thị Đài", role="village_head", area_code="20001",
        village_code="V-1",
    )  # fmt: skip
    assert made.status_code == 200
    assert made.headers["cache-control"] == "no-store"
    [link] = re.findall(r'value="([^"]+/setup#[^"]+)"', made.text)
    [number] = re.findall(r"/admin/people/(\d+)", made.text)
    shown = await pages.load(f"/admin/people/{number}")
    assert "chưa đặt mật khẩu" in shown.text
    assert "trưởng thôn" in shown.text
    assert link.partition("#")[2] not in shown.text
    again = await pages.submit(f"/admin/people/{number}/invitation")
    assert link not in again.text
    rest = await pages.client.get(f"/api/v1/accounts/{number}")
    assert rest.json()["roles"][0]["area"]["code"] == "V-1"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "Đài", "role": "village_head", "area_code": "20001"}, "area_code"),
        ({"name": "Đài", "kind": "robot"}, "kind"),
    ],
)
async def test_what_is_wrong_is_said_at_its_field_and_nobody_is_made(
    pages: Pages, engine: AsyncEngine, fields: dict[str, str], field: str
) -> None:
    answer = await pages.submit("/admin/people", **fields)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    async with db.transaction(engine) as session:
        assert await session.scalar(sa.select(Account.id).where(Account.name == "Đài")) is None


async def test_the_list_is_that_of_rest_and_can_be_searched(pages: Pages) -> None:
    rest = (await pages.client.get("/api/v1/accounts")).json()["items"]
    text = (await pages.load("/admin/people")).text
    assert [each["name"] for each in rest] == re.findall(r'/admin/people/\d+">([^<]+)</a>', text)
    await pages.submit(f"/admin/people/{HUNG}/grants", role="commune_approver", area_code="20001")
    found = (await pages.load("/admin/people", role="commune_approver", area="20001")).text
    assert re.findall(r'/admin/people/\d+">([^<]+)</a>', found) == ["Hùng"]
    assert (
        "Không có tài khoản nào như vậy"
        in (await pages.load("/admin/people", state="invited")).text
    )


async def test_each_step_says_its_consequence_and_is_done(
    pages: Pages, engine: AsyncEngine
) -> None:
    now = clock.now()
    async with db.transaction(engine) as session:
        await tokens.issue(session, HUNG, now, now + timedelta(days=9), label="Bảng tin")
    granted = await pages.submit(
        f"/admin/people/{HUNG}/grants", role="technician", valid_until="2099-01-31"
    )
    assert granted.headers["hx-redirect"] == f"/admin/people/{HUNG}"
    text = (await pages.load(f"/admin/people/{HUNG}")).text
    assert "Khóa Hùng: 0 phiên và 1 mã truy cập hết hiệu lực ngay" in text
    [revoke] = re.findall(r'hx-post="(/admin/people/\d+/grants/\d+/revoke)"', text)
    await pages.submit(revoke)
    former = (await pages.load(f"/admin/people/{HUNG}")).text
    assert revoke not in former
    assert "Vai trò trước đây" in former
    await pages.submit(f"/admin/people/{HUNG}/name", name="Trần Hùng")
    await pages.submit(f"/admin/people/{HUNG}/state", state="disabled")
    rest = (await pages.client.get(f"/api/v1/accounts/{HUNG}")).json()
    assert (rest["name"], rest["state"]) == ("Trần Hùng", "disabled")
    disabled = (await pages.load(f"/admin/people/{HUNG}")).text
    assert "Tài khoản đã khóa" in disabled
    assert "Bảng tin" not in disabled


async def test_a_token_of_a_system_is_shown_once_and_listed(
    pages: Pages, engine: AsyncEngine
) -> None:
    async with db.transaction(engine) as session:
        system = await people.create_account(
            session, "Nguồn trung ương", clock.now(), AccountKind.SERVICE
        )
    path = f"/admin/people/{system.id}/tokens"
    assert (await pages.submit(path, label="x")).json()["field"] == "expires_at"
    last = (clock.today() + timedelta(days=30)).isoformat()
    issued = await pages.submit(path, label="Tin hằng ngày", expires_at=last)
    [secret] = re.findall(r'value="(ttn_[^"]+)"', issued.text)
    listed = (await pages.load("/admin/tokens")).text
    assert "Tin hằng ngày" in listed
    assert secret not in listed
    rest = (await pages.client.get("/api/v1/tokens")).json()["items"]
    assert [each["label"] for each in rest] == ["Tin hằng ngày"]
    [revoke] = re.findall(r'hx-post="(/admin/tokens/\d+/revoke)"', listed)
    gone = await pages.submit(revoke)
    assert gone.headers["hx-redirect"] == "/admin/tokens"
    assert (await pages.client.get("/api/v1/tokens")).json()["items"] == []


async def test_a_role_of_a_merged_commune_is_confirmed_in_its_successor(
    pages: Pages, engine: AsyncEngine
) -> None:
    now, today = clock.now(), clock.today()
    async with db.transaction(engine) as session:
        session.add_all([
            rows.area("20003", Level.COMMUNE, "51", valid_to=today - timedelta(days=2)),
            rows.area("20004", Level.COMMUNE, "51", valid_from=today - timedelta(days=1)),
            AreaLineage(
                old_code="20003", new_code="20004", effective_on=today - timedelta(days=1),
                part=Part.WHOLE, legal_act="NQ 1",
            ),
        ])  # fmt: skip
        await session.flush()
        await session.execute(
            sa.text(
                "INSERT INTO grants (account_id, role, area_code, valid_from, granted_at)"
                " VALUES (:account, 'commune_approver', '20003', :on, :at)"
            ),
            {"account": LAN, "on": today - timedelta(days=90), "at": now - timedelta(days=90)},
        )
    waiting = (await pages.client.get("/api/v1/grants/proposals")).json()
    assert (
        f"{len(waiting)} vai trò ở đơn vị đã sáp nhập" in (await pages.load("/admin/people")).text
    )
    text = (await pages.load("/admin/grants")).text
    assert "Lan: duyệt tin xã" in text
    [path] = re.findall(r'hx-post="(/admin/grants/[^"]+)"', text)
    await pages.submit(path, decision="confirm")
    assert "Không có vai trò nào chờ xác nhận" in (await pages.load("/admin/grants")).text
    rest = (await pages.client.get(f"/api/v1/accounts/{LAN}")).json()
    assert [each["area"]["code"] for each in rest["roles"]] == ["20004"]


async def test_the_audit_says_in_words_what_was_changed(pages: Pages, engine: AsyncEngine) -> None:
    await pages.submit(f"/admin/people/{HUNG}/name", name="Trần Hùng")
    text = (await pages.load("/admin/audit")).text
    assert "Đổi tên tài khoản" in text
    assert "Tài khoản 1000002" in text
    row = re.search(r"<th scope=\"row\">tên</th><td>([^<]*)</td><td>([^<]*)</td>", text)
    assert row is not None
    assert row.groups() == ("Hùng", "Trần Hùng")
    assert "/api/v1/audit/export?from=" in text
    by_object = (await pages.load("/admin/audit", object=f"accounts/{HUNG}")).text
    assert "Đổi tên tài khoản" in by_object
    rest = (await pages.client.get("/api/v1/audit")).json()["items"]
    pages.client.cookies.set("language", "en")
    english = (await pages.load("/admin/audit")).text
    (title,) = {
        each["title"] for each in (await pages.client.get("/api/v1/audit")).json()["items"]
    }
    assert title in english
    assert title == "Rename an account"
    pages.client.cookies.delete("language")
    assert len(rest) == text.count('<li class="card">')
    for query in ({"name": "Không ai"}, {"until": "2020-01-01", "from": "2019-01-01"}):
        assert "Không có dòng nào như vậy" in (await pages.load("/admin/audit", **query)).text
    pages.called_by(Role.AUDITOR, "20001")
    part = (await pages.load("/admin/audit")).text
    assert "Đổi tên tài khoản" not in part
    assert "/api/v1/audit/export" not in part


async def test_who_may_not_does_not_see_the_pages(pages: Pages) -> None:
    for role in (Role.TECHNICIAN, Role.PROVINCE_APPROVER):
        pages.called_by(role)
        for path in ("/admin/people", "/admin/grants", "/admin/tokens", "/admin/audit"):
            assert (await pages.load(path)).status_code == 403
        assert 'href="/admin/people"' not in (await pages.load("/me")).text


# --- one's own account ---------------------------------------------------------------------------


@pytest.fixture
async def mine(pages: Pages, engine: AsyncEngine) -> AsyncIterator[httpx.AsyncClient]:
    """A browser of a commune's broadcaster who came by a one-time link."""
    now = clock.now()
    async with db.transaction(engine) as session:
        account = await people.create_account(session, "Lan Anh", now - timedelta(days=1))
        account.login = "lan.anh"
        await grants.grant(session, account.id, Role.COMMUNE_BROADCASTER, "20001", now)
        await setup.set_password(session, account.id, await passwords.hashed(PASSWORD), now)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(worked_out(create_app(pages.settings, engine))),
        base_url="https://127.0.0.1",
        headers=BROWSER,
    ) as client:
        yield client


async def enter(client: httpx.AsyncClient, password: str = PASSWORD) -> None:
    answer = await client.post("/sign-in", data={"login": "lan.anh", "password": password})
    assert answer.status_code == 303


async def send(client: httpx.AsyncClient, path: str, **fields: str) -> httpx.Response:
    headers = {CSRF_HEADER: client.cookies[CSRF_COOKIE], "HX-Request": "true"}
    return await client.post(path, data=fields, headers=headers)


async def test_sessions_are_those_of_rest_and_end_one_by_one(mine: httpx.AsyncClient) -> None:
    await enter(mine)
    first = dict(mine.cookies)
    await enter(mine)
    text = (await mine.get("/me")).text
    rest = (await mine.get("/api/v1/sessions", headers={"Accept": "application/json"})).json()
    ends = re.findall(r'hx-post="/me/sessions/(\d+)/end"', text)
    assert ends == [str(each["id"]) for each in rest["items"] if not each["is_current"]]
    await send(mine, f"/me/sessions/{ends[0]}/end")
    left = (await mine.get("/me")).text
    assert f"/me/sessions/{ends[0]}/end" not in left
    mine.cookies.clear()
    mine.cookies.update(first)
    assert (await mine.get("/me")).status_code == 303


async def test_a_screen_only_watches_and_stays_signed_in(
    mine: httpx.AsyncClient, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = clock.now()
    async with db.transaction(engine) as session:
        account = await session.scalar(sa.select(Account).where(Account.name == "Lan Anh"))
        assert account is not None
        await grants.grant(session, account.id, Role.PROVINCE_ADMIN, None, began)
    await enter(mine)
    before = dict(mine.cookies)
    assert 'hx-post="/wall/keep"' in (await mine.get("/wall")).text
    kept = await send(mine, "/wall/keep")
    assert (kept.status_code, kept.headers["hx-redirect"]) == (204, "/wall")
    wall = await mine.get("/wall")
    assert (wall.status_code, "/wall/keep" in wall.text) == (200, False)
    # It may look, and nothing else: its account is an administrator's.
    assert (await mine.get("/admin/people")).status_code == 403
    for path in ("/me/sessions/end", "/me/totp", "/admin/people", "/wall/keep"):
        refused = await send(mine, path)
        assert (refused.status_code, "treo màn hình" in refused.json()["detail"]) == (403, True)
    screen = dict(mine.cookies)
    mine.cookies.clear()
    mine.cookies.update(before)
    assert (await mine.get("/wall")).status_code == 303  # the cookie before is worthless

    def watch(**later: float) -> None:
        monkeypatch.setattr(clock, "now", lambda: began + timedelta(**later))
        mine.cookies.clear()
        mine.cookies.update(screen)

    watch(days=13)
    assert (await mine.get("/wall")).status_code == 200
    await enter(mine)
    assert "màn hình theo dõi" in (await mine.get("/me")).text
    watch(days=26)
    assert (await mine.get("/wall")).status_code == 200
    assert (await send(mine, "/sign-out")).status_code == 204
    watch(days=26)
    assert (await mine.get("/wall")).status_code == 303


async def test_the_password_is_changed_by_who_knows_it(mine: httpx.AsyncClient) -> None:
    await enter(mine)
    wrong = await send(mine, "/me/password", password="x", new_password="mot cau khac de nho")
    assert wrong.status_code == 401
    short = await send(mine, "/me/password", password=PASSWORD, new_password="ngan")
    assert (short.status_code, short.json()["field"]) == (422, "new_password")
    done = await send(mine, "/me/password", password=PASSWORD, new_password="mot cau khac de nho")
    assert done.headers["hx-redirect"] == "/me"
    assert (await mine.get("/me")).status_code == 200
    mine.cookies.clear()
    await enter(mine, "mot cau khac de nho")


async def test_an_authenticator_app_is_added_by_picture_and_code(
    mine: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    await enter(mine)
    refused = await send(mine, "/me/totp")
    assert refused.json()["type"].endswith(":second-factor-required")
    async with db.transaction(engine) as session:
        await session.execute(sa.text("UPDATE sessions SET method = 'link'"))
    begun = await send(mine, "/me/totp")
    assert "<svg" in begun.text
    assert begun.headers["cache-control"] == "no-store"
    [secret] = re.findall(r"<code>([A-Z2-7]{32})</code>", begun.text)
    confirmed = await send(mine, "/me/totp/confirmation", code=pyotp.TOTP(secret).now())
    codes = re.findall(r"<li><code>([^<]+)</code>", confirmed.text)
    assert len(codes) == 10
    text = (await mine.get("/me")).text
    assert "Còn 10 mã dự phòng" in text
    assert codes[0] not in text
    renewed = await send(mine, "/me/recovery-codes")
    assert not set(codes) & set(re.findall(r"<li><code>([^<]+)</code>", renewed.text))
    await send(mine, "/me/totp/remove")
    assert "Thêm ứng dụng xác thực" in (await mine.get("/me")).text


async def test_what_pages_change_is_in_the_audit(pages: Pages, engine: AsyncEngine) -> None:
    await pages.submit(f"/admin/people/{HUNG}/grants", role="technician")
    async with db.transaction(engine) as session:
        [entry] = await session.scalars(sa.select(AuditEntry))
    assert entry.action == "POST /admin/people/{account_id}/grants"
    assert "Cấp vai trò" in entry.entry

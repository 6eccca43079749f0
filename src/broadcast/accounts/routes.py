"""REST of accounts, their roles and their tokens."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request, Response

from broadcast.accounts import grants, people, queries, sessions, setup, tokens
from broadcast.accounts.account_schemas import (
    AccountChangeIn,
    AccountIn,
    AccountOut,
    GrantIn,
    GrantOut,
    InvitationOut,
    IssuedTokenOut,
    LanguagesIn,
    MeOut,
    TokenIn,
    TokenOut,
)
from broadcast.auth.caller import AccountEditor, CallerDep
from broadcast.auth.model import AccountState
from broadcast.auth.permissions import Role
from broadcast.auth.routing import Router
from broadcast.kit import clock
from broadcast.kit.errors import Forbidden
from broadcast.web.fields import Code
from broadcast.web.idempotency import Created, Once
from broadcast.web.rest import AppSettings, Id, Page, PageQuery, Session

router = Router(prefix="/api/v1", tags=["accounts"])


@router.get("/me", summary="Tài khoản đang dùng: vai trò, quyền, đăng nhập bằng gì")
async def show_me(session: Session, caller: CallerDep) -> MeOut:
    """The account of the request, with what it may do today."""
    return await queries.show_me(session, caller)


@router.get("/accounts", summary="Danh sách tài khoản với vai trò")
async def list_accounts(
    session: Session,
    caller: AccountEditor,
    paging: PageQuery,
    state: AccountState | None = None,
    role: Annotated[Role | None, Query(description="đang hoặc sẽ có vai trò này")] = None,
    area: Annotated[Code | None, Query(description="có vai trò ở đúng đơn vị này")] = None,
) -> Page[AccountOut]:
    """Accounts in the order in which they were made."""
    return await queries.list_accounts(
        session, paging, clock.today(), state=state, role=role, area=area
    )


@router.post("/accounts", status_code=201, summary="Tạo tài khoản", response_model=AccountOut)
async def create_account(
    request: Request, session: Session, caller: AccountEditor, body: AccountIn
) -> Response:
    """An account without roles; a person's is `invited` until it has a password or a token."""

    async def make() -> Created:
        account = await people.create_invited(session, body.name, body.kind, clock.now())
        shown = await queries.show_account(session, account, clock.today())
        return Created(f"/api/v1/accounts/{account.id}", shown)

    return await Once(request).run(session, caller.account_id, make)


@router.get("/accounts/{account_id}", summary="Một tài khoản")
async def show_account(session: Session, caller: AccountEditor, account_id: Id) -> AccountOut:
    """One account with its roles."""
    account = await people.get_account(session, account_id)
    return await queries.show_account(session, account, clock.today())


@router.put("/accounts/{account_id}", summary="Đổi tên, khóa hoặc mở lại tài khoản")
async def change_account(
    session: Session, caller: AccountEditor, account_id: Id, body: AccountChangeIn
) -> AccountOut:
    """Rename, disable or enable. Disabling ends all its tokens and sessions at once, for good."""
    account = await people.get_account(session, account_id, lock=True)
    await people.change(session, account, body.name, body.state, clock.now())
    return await queries.show_account(session, account, clock.today())


@router.put("/accounts/{account_id}/languages", summary="Ghi tiếng mà người này biết")
async def put_languages(
    session: Session, caller: AccountEditor, account_id: Id, body: LanguagesIn
) -> AccountOut:
    """By these somebody is asked to read, and may approve what others have read."""
    account = await people.get_account(session, account_id, lock=True)
    await people.put_languages(session, account, body.languages)
    return await queries.show_account(session, account, clock.today())


@router.post(
    "/accounts/{account_id}/invitation",
    status_code=201,
    summary="Tạo liên kết dùng một lần để người này đặt mật khẩu",
)
async def invite(
    session: Session,
    settings: AppSettings,
    caller: AccountEditor,
    account_id: Id,
    response: Response,
) -> InvitationOut:
    """A link, shown this once, for who cannot sign in yet; the one before it ends."""
    account = await people.get_account(session, account_id, lock=True)
    code, expires_at = await setup.invite(session, account, settings.sign_in, clock.now())
    response.headers["Cache-Control"] = "no-store"
    return InvitationOut(link=setup.link(settings, code), expires_at=expires_at)


@router.delete(
    "/accounts/{account_id}/sessions", status_code=204, summary="Kết thúc mọi phiên làm việc"
)
async def end_sessions(session: Session, caller: AccountEditor, account_id: Id) -> Response:
    """Sign somebody out everywhere, as after a lost phone; they may sign in again."""
    await people.get_account(session, account_id)
    await sessions.end_all(session, account_id, clock.now())
    return Response(status_code=204)


# --- roles ---------------------------------------------------------------------------------------


@router.get("/accounts/{account_id}/grants", summary="Vai trò của tài khoản, cả trước đây")
async def list_grants(session: Session, caller: AccountEditor, account_id: Id) -> list[GrantOut]:
    """Every role that was ever given, oldest first."""
    await people.get_account(session, account_id)
    return await queries.show_grants(session, await grants.history(session, account_id))


@router.post(
    "/accounts/{account_id}/grants",
    status_code=201,
    summary="Cấp vai trò ở một đơn vị",
    response_model=GrantOut,
)
async def grant_role(
    request: Request, session: Session, caller: AccountEditor, account_id: Id, body: GrantIn
) -> Response:
    """Give a role in an area for a span of days; nobody gives one to themselves."""

    async def make() -> Created:
        await people.get_account(session, account_id)
        row = await grants.grant(
            session, account_id, body.role, body.area_code, clock.now(), caller.account_id,
            valid_from=body.valid_from, valid_until=body.valid_until,
        )  # fmt: skip
        (shown,) = await queries.show_grants(session, [row])
        return Created(f"/api/v1/accounts/{account_id}/grants/{row.id}", shown)

    return await Once(request).run(session, caller.account_id, make)


@router.get("/accounts/{account_id}/grants/{grant_id}", summary="Một lần cấp vai trò")
async def show_grant(
    session: Session, caller: AccountEditor, account_id: Id, grant_id: Id
) -> GrantOut:
    """One grant."""
    row = await grants.get_grant(session, account_id, grant_id)
    (shown,) = await queries.show_grants(session, [row])
    return shown


@router.delete(
    "/accounts/{account_id}/grants/{grant_id}", status_code=204, summary="Thu hồi vai trò ngay"
)
async def revoke_grant(
    session: Session, caller: AccountEditor, account_id: Id, grant_id: Id
) -> Response:
    """Take a role from now on; it stays in the history. The last administrator's is kept."""
    row = await grants.get_grant(session, account_id, grant_id)
    await grants.revoke(session, row, clock.now())
    return Response(status_code=204)


# --- tokens --------------------------------------------------------------------------------------


@router.get("/accounts/{account_id}/tokens", summary="Mã truy cập còn hiệu lực của tài khoản")
async def list_tokens(session: Session, caller: CallerDep, account_id: Id) -> list[TokenOut]:
    """Valid tokens without their secrets; of others for administrators only."""
    if not tokens.may_see_tokens(caller, account_id):
        raise Forbidden("Chỉ xem được mã truy cập của chính mình.")
    await people.get_account(session, account_id)
    rows = await tokens.of_account(session, account_id, clock.now())
    return [TokenOut.model_validate(row) for row in rows]


@router.post(
    "/accounts/{account_id}/tokens",
    status_code=201,
    summary="Cấp mã truy cập cho một chương trình",
    response_model=IssuedTokenOut,
)
async def issue_token(
    request: Request, session: Session, caller: CallerDep, account_id: Id, body: TokenIn
) -> Response:
    """A token, shown this once. A person's own; of other systems for administrators."""
    tokens.require_control(caller, account_id, clock.now())

    async def make() -> Created:
        account = await people.get_account(session, account_id, lock=True)
        issued = await tokens.issue_for(
            session, caller, account, clock.now(), body.expires_at, body.label, body.scope,
            approves=body.approves,
        )  # fmt: skip
        return Created(
            f"/api/v1/tokens/{issued.row.id}",
            IssuedTokenOut.of(issued.row, issued.secret),
            kept=IssuedTokenOut.of(issued.row, None),
        )

    response = await Once(request).run(session, caller.account_id, make)
    response.headers["Cache-Control"] = "no-store"
    return response


@router.get("/tokens", summary="Mọi mã truy cập còn hiệu lực")
async def list_all_tokens(
    session: Session, caller: AccountEditor, paging: PageQuery
) -> Page[TokenOut]:
    """Of all accounts, without their secrets, oldest first."""
    return await queries.list_tokens(session, paging, clock.now())


@router.get("/tokens/{token_id}", summary="Một mã truy cập")
async def show_token(session: Session, caller: CallerDep, token_id: Id) -> TokenOut:
    """One token without its secret: the caller's own, or anybody's for administrators."""
    return TokenOut.model_validate(await tokens.get_token(session, token_id, caller))


@router.delete("/tokens/{token_id}", status_code=204, summary="Thu hồi mã truy cập ngay")
async def revoke_token(session: Session, caller: CallerDep, token_id: Id) -> Response:
    """Make a token useless at once: the caller's own, or anybody's for administrators."""
    row = await tokens.get_token(session, token_id, caller)
    tokens.require_control(caller, row.account_id, clock.now())
    await tokens.revoke(session, row, clock.now())
    return Response(status_code=204)

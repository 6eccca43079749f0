"""The accounts: who they are, what they may do where, and how they get in."""

from __future__ import annotations

from typing import Annotated

import sqlalchemy as sa
from fastapi import Form, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.accounts import grants, people, proposals, queries, sessions, setup, tokens
from broadcast.accounts.account_schemas import TokenOut
from broadcast.areas.model import Level
from broadcast.areas.units import units_on
from broadcast.auth.caller import AccountEditor
from broadcast.auth.model import Account, AccountKind, AccountState
from broadcast.auth.permissions import ROLE_NAMES, Role
from broadcast.console.bulletin_words import LANGUAGES
from broadcast.console.page import PageRouter, page, redirect
from broadcast.console.people.forms import (
    Choice,
    Line,
    day,
    end_of,
    options,
    secret,
    units,
)
from broadcast.console.words import N_
from broadcast.kit import clock
from broadcast.kit.errors import InvalidInput
from broadcast.kit.languages import Language
from broadcast.web.rest import AppSettings, Id, PageQuery, Session

router = PageRouter()

STATES = {
    AccountState.ACTIVE: ("ok", N_("đang dùng")),
    AccountState.INVITED: ("partial", N_("chưa đặt mật khẩu")),
    AccountState.DISABLED: ("unknown", N_("đã khóa")),
}
"""How a state looks, and is called."""

KINDS = {
    AccountKind.PERSON: N_("một người"),
    AccountKind.SERVICE: N_("một hệ thống khác"),
}


async def _communes(session: AsyncSession) -> list[tuple[str, str]]:
    return units(await units_on(session, clock.today(), level=Level.COMMUNE))


@router.get("/admin/people")
async def list_accounts(
    request: Request,
    session: Session,
    caller: AccountEditor,
    paging: PageQuery,
    state: Annotated[str, Query(max_length=20)] = "",
    role: Annotated[str, Query(max_length=40)] = "",
    area: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """Accounts with their roles, and what waits for an administrator."""
    found = await queries.list_accounts(
        session, paging, clock.today(),
        state=_state(state), role=_role(role), area=area or None,
    )  # fmt: skip
    return page(
        request,
        caller,
        "people/index.html",
        found=found,
        waiting=len(await proposals.proposals(session, clock.now())),
        communes=await _communes(session),
        chosen={"state": state, "role": role, "area": area},
        states=STATES,
        state_options=options(request, {state: name for state, (_, name) in STATES.items()}),
        role_options=options(request, ROLE_NAMES),
    )


def _state(text: str) -> AccountState | None:
    return AccountState(text) if text in list(AccountState) else None


def _role(text: str) -> Role | None:
    return Role(text) if text in list(Role) else None


@router.get("/admin/people/new")
async def ask(request: Request, session: Session, caller: AccountEditor) -> Response:
    """Ask who the new account is for."""
    return page(
        request,
        caller,
        "people/new.html",
        communes=await _communes(session),
        role_options=options(request, ROLE_NAMES),
        kinds=options(request, KINDS),
    )


@router.get("/admin/people/villages")
async def offer_villages(
    request: Request,
    session: Session,
    caller: AccountEditor,
    area_code: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """The villages of the commune that was chosen."""
    villages = (
        await units_on(session, clock.today(), level=Level.VILLAGE, under=area_code)
        if area_code
        else []
    )
    return page(
        request,
        caller,
        "people/_villages.html",
        villages=units(villages),
    )


@router.post("/admin/people", summary="Tạo tài khoản")
async def create(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: AccountEditor,
    name: Line = "",
    kind: Annotated[AccountKind, Form()] = AccountKind.PERSON,
    role: Choice = "",
    area_code: Choice = "",
    village_code: Choice = "",
) -> Response:
    """As `POST /api/v1/accounts`, with a first role, and the link of a person."""
    now = clock.now()
    account = await people.create_invited(session, name, kind, now)
    given = _role(role)
    if given is not None:
        place = village_code or area_code or None
        await grants.grant(session, account.id, given, place, now, caller.account_id)
    if kind is AccountKind.SERVICE:
        return redirect(request, f"/admin/people/{account.id}")
    code, expires_at = await setup.invite(session, account, settings.sign_in, now)
    return secret(
        request, caller, "people/_link.html", account=account,
        link=setup.link(settings, code), expires_at=expires_at,
    )  # fmt: skip


@router.get("/admin/people/{account_id}")
async def show(
    request: Request, session: Session, settings: AppSettings, caller: AccountEditor,
    account_id: Id,
) -> Response:  # fmt: skip
    """One account: its roles of now and before, its tokens, and what can be done with it."""
    now = clock.now()
    account = await people.get_account(session, account_id)
    history = await queries.show_grants(session, await grants.history(session, account_id))
    held = await queries.show_account(session, account, clock.today())
    current = {each.id for each in held.roles}
    rows = await tokens.of_account(session, account_id, now)
    return page(
        request,
        caller,
        "people/account.html",
        account=held,
        former=[each for each in history if each.id not in current],
        tokens=[TokenOut.model_validate(row) for row in rows],
        open_sessions=len(await sessions.list_open(session, account_id, settings.sign_in, now)),
        communes=await _communes(session),
        states=STATES,
        kinds=KINDS,
        role_options=options(request, ROLE_NAMES),
        language_options=[each for each in options(request, LANGUAGES) if each[0] != "vi"],
        today=clock.today(),
    )


def _address(account_id: int) -> str:
    return f"/admin/people/{account_id}"


@router.post("/admin/people/{account_id}/name", summary="Đổi tên tài khoản")
async def rename(
    request: Request, session: Session, caller: AccountEditor, account_id: Id, name: Line = ""
) -> Response:
    """Call somebody otherwise from now on."""
    account = await people.get_account(session, account_id, lock=True)
    await people.change(session, account, name, account.state, clock.now())
    return redirect(request, _address(account_id))


@router.post("/admin/people/{account_id}/languages", summary="Ghi tiếng mà người này biết")
async def put_languages(
    request: Request,
    session: Session,
    caller: AccountEditor,
    account_id: Id,
    languages: Annotated[list[Language] | None, Form()] = None,
) -> Response:
    """As `PUT …/languages` of REST."""
    account = await people.get_account(session, account_id, lock=True)
    await people.put_languages(session, account, languages or [])
    return redirect(request, _address(account_id))


@router.post("/admin/people/{account_id}/state", summary="Khóa hoặc mở lại tài khoản")
async def change_state(
    request: Request,
    session: Session,
    caller: AccountEditor,
    account_id: Id,
    state: Annotated[AccountState, Form()],
) -> Response:
    """Disable it, which ends its tokens and sessions, or enable it again."""
    account = await people.get_account(session, account_id, lock=True)
    await people.change(session, account, account.name, state, clock.now())
    return redirect(request, _address(account_id))


@router.post("/admin/people/{account_id}/invitation", summary="Tạo liên kết dùng một lần")
async def invite(
    request: Request, session: Session, settings: AppSettings, caller: AccountEditor,
    account_id: Id,
) -> Response:  # fmt: skip
    """A link by which somebody sets their password, shown this once."""
    account = await people.get_account(session, account_id, lock=True)
    code, expires_at = await setup.invite(session, account, settings.sign_in, clock.now())
    return secret(
        request, caller, "people/_link.html", account=account,
        link=setup.link(settings, code), expires_at=expires_at,
    )  # fmt: skip


@router.post("/admin/people/{account_id}/sessions/end", summary="Kết thúc mọi phiên làm việc")
async def end_sessions(
    request: Request, session: Session, caller: AccountEditor, account_id: Id
) -> Response:
    """Sign somebody out everywhere."""
    await people.get_account(session, account_id)
    await sessions.end_all(session, account_id, clock.now())
    return redirect(request, _address(account_id))


@router.post("/admin/people/{account_id}/grants", summary="Cấp vai trò")
async def grant(
    request: Request,
    session: Session,
    caller: AccountEditor,
    account_id: Id,
    role: Choice = "",
    area_code: Choice = "",
    village_code: Choice = "",
    valid_from: Choice = "",
    valid_until: Choice = "",
) -> Response:
    """Give a role in an area for a span of days."""
    given = _role(role)
    if given is None:
        raise InvalidInput("role", "hãy chọn một vai trò")
    await people.get_account(session, account_id)
    await grants.grant(
        session, account_id, given, village_code or area_code or None, clock.now(),
        caller.account_id,
        valid_from=day("valid_from", valid_from), valid_until=day("valid_until", valid_until),
    )  # fmt: skip
    return redirect(request, _address(account_id))


@router.post("/admin/people/{account_id}/grants/{grant_id}/revoke", summary="Thu hồi vai trò")
async def revoke(
    request: Request, session: Session, caller: AccountEditor, account_id: Id, grant_id: Id
) -> Response:
    """Take a role from now on."""
    row = await grants.get_grant(session, account_id, grant_id)
    await grants.revoke(session, row, clock.now())
    return redirect(request, _address(account_id))


# --- tokens --------------------------------------------------------------------------------------


@router.post("/admin/people/{account_id}/tokens", summary="Cấp mã truy cập cho một hệ thống")
async def issue_token(
    request: Request,
    session: Session,
    caller: AccountEditor,
    account_id: Id,
    label: Line = "",
    expires_at: Choice = "",
) -> Response:
    """A token of another system, shown this once; it ends with the day that is given."""
    if not label.strip():
        raise InvalidInput("label", "hãy ghi mã dùng cho việc gì")
    last = day("expires_at", expires_at)
    if last is None:
        raise InvalidInput("expires_at", "hãy chọn ngày hết hạn")
    now = clock.now()
    tokens.require_control(caller, account_id, now)
    account = await people.get_account(session, account_id, lock=True)
    issued = await tokens.issue_for(
        session, caller, account, now, end_of(last), label.strip(), None
    )
    return secret(request, caller, "people/_token.html", issued=issued, account=account)


@router.get("/admin/tokens")
async def list_tokens(
    request: Request, session: Session, caller: AccountEditor, paging: PageQuery
) -> Response:
    """Every token that is valid."""
    found = await queries.list_tokens(session, paging, clock.now())
    rows = await session.execute(
        sa.select(Account.id, Account.name).where(
            Account.id.in_({each.account_id for each in found.items})
        )
    )
    names = {row.id: row.name for row in rows}
    return page(request, caller, "people/tokens.html", found=found, names=names)


@router.post("/admin/tokens/{token_id}/revoke", summary="Thu hồi mã truy cập")
async def revoke_token(
    request: Request,
    session: Session,
    caller: AccountEditor,
    token_id: Id,
    back: Annotated[str, Form(max_length=100)] = "",
) -> Response:
    """Make a token useless at once."""
    now = clock.now()
    row = await tokens.get_token(session, token_id, caller)
    tokens.require_control(caller, row.account_id, now)
    await tokens.revoke(session, row, now)
    return redirect(request, _address(row.account_id) if back == "account" else "/admin/tokens")

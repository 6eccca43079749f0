"""Who knows which languages, from a file: by these people are asked to read."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Annotated

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.accounts import people
from broadcast.areas.row_imports import Kind
from broadcast.auth.model import Account, AccountKind, AccountState
from broadcast.kit.cells import Cell
from broadcast.kit.errors import InvalidInput
from broadcast.kit.languages import LANGUAGES, Language, named
from broadcast.kit.sheets import Action, Sheet
from broadcast.web.fields import Name
from broadcast.web.rest import Body


def _languages(cell: str) -> list[str]:
    found = [each.lower() for each in re.split(r"[\s,;]+", cell) if each]
    for each in found:
        if each not in LANGUAGES:
            raise ValueError(f"không có tiếng “{each[:40]}”; dùng {', '.join(LANGUAGES)}")
    return found


class ReaderRow(Body):
    """A row of readers.csv."""

    name: Name
    login: Annotated[str, Field(max_length=200)] | None = None
    """Needed where several have this name."""
    languages: Annotated[list[Language], Field(max_length=len(LANGUAGES)), Cell(_languages)] = []
    """Beside Vietnamese; none: none."""


SHEET = Sheet(kind="readers", model=ReaderRow, key=("name", "login"))

_Loaded = tuple[AsyncSession, dict[str, list[Account]]]


async def _load(session: AsyncSession, rows: Sequence[ReaderRow]) -> _Loaded:
    found = await session.scalars(
        sa.select(Account)
        .where(
            Account.name.in_([row.name for row in rows]),
            Account.kind == AccountKind.PERSON,
            Account.state != AccountState.DISABLED,
        )
        .order_by(Account.id)
        .with_for_update()
    )
    by_name: defaultdict[str, list[Account]] = defaultdict(list)
    for account in found:
        by_name[account.name].append(account)
    return session, by_name


async def _put(loaded: _Loaded, row: ReaderRow) -> tuple[Action, str]:
    session, by_name = loaded
    named_so = by_name.get(row.name, [])
    if not named_so:
        raise InvalidInput("name", "không có tài khoản đang dùng tên này; hãy tạo tài khoản trước")
    fitting = [each for each in named_so if row.login in (None, each.login)]
    if not fitting:
        raise InvalidInput("login", "người tên này đăng nhập bằng tên khác; kiểm tra lại")
    if len(fitting) > 1:
        raise InvalidInput("login", "nhiều người cùng tên; hãy ghi tên đăng nhập")
    (account,) = fitting
    before = list(account.languages)
    await people.put_languages(session, account, row.languages)
    if account.languages == before:
        return Action.UNCHANGED, _said(before)
    if not before:
        return Action.ADDED, _said(account.languages)
    return Action.CHANGED, f"{_said(before)} → {_said(account.languages)}"


def _said(languages: Iterable[str]) -> str:
    return ", ".join(map(named, languages)) or "–"


READERS = Kind(SHEET, _load, [_put], lambda row: row.name, touches=False)
"""Kind of readers.csv; people whom a file does not name keep their languages."""

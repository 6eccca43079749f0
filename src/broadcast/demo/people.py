"""The people of a demo: an account of every role, with a login and a token."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.accounts import grants, passwords, people, setup, tokens
from broadcast.areas.model import Area, Level
from broadcast.auth.model import AccountKind
from broadcast.auth.permissions import Role

NAMES = {
    Role.PROVINCE_ADMIN: ("Nguyễn Thị Quản", "quan"),
    Role.PROVINCE_EDITOR: ("Lê Thị Biên", "bien"),
    Role.PROVINCE_APPROVER: ("Phạm Văn Duyệt", "duyet"),
    Role.DUTY_OFFICER: ("Đỗ Văn Trực", "truc"),
    Role.PROVINCE_MONITOR: ("Võ Thị Xem", "xem"),
    Role.COMMUNE_BROADCASTER: ("Hồ Thị Đài", "dai"),
    Role.COMMUNE_APPROVER: ("Bùi Văn Xã", "bui.xa"),
    Role.COMMUNE_MONITOR: ("Phan Thị Dõi", "doi"),
    Role.VILLAGE_HEAD: ("Đinh Văn Thôn", "thon"),
    Role.TECHNICIAN: ("Trần Văn Kỹ", "tran.ky"),
    Role.AUDITOR: ("Ngô Thị Kiểm", "kiem"),
    Role.SERVICE: ("Hệ thống nguồn trung ương", None),
}
"""Name and login of one account for each role; a system has a token alone."""


LOGINS = [login for _, login in NAMES.values() if login is not None]
"""That anybody signs in as by one click (`BROADCAST_SIGN_IN__DEMO`)."""


class Door(NamedTuple):
    """How an account comes in."""

    login: str | None
    token: str


class Doors(NamedTuple):
    """The accounts of a demo."""

    password: str
    """Of all of them, another one each time."""
    by_role: dict[Role, Door]


async def seed_people(session: AsyncSession, village: Area, now: datetime) -> Doors:
    """Make an account for each role: of the province, or of a village and its commune."""
    password = secrets.token_urlsafe(9)
    hashed = await passwords.hashed(password)
    doors = {}
    for role, (name, login) in NAMES.items():
        kind = AccountKind.PERSON if login else AccountKind.SERVICE
        account = await people.create_account(session, name, now, kind)
        account.login = login
        await grants.grant(session, account.id, role, _area_of(role, village), now)
        if login is not None:
            await setup.set_password(session, account.id, hashed, now)
        issued = await tokens.issue(session, account.id, now, label="demo", second_factor=True)
        doors[role] = Door(login, issued.secret)
    return Doors(password, doors)


def _area_of(role: Role, village: Area) -> str | None:
    levels = grants.LEVELS[role]
    if None in levels:
        return None
    return village.code if Level.VILLAGE in levels else village.parent_code

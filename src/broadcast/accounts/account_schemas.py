"""Bodies of REST requests and answers about accounts, their roles and their tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from broadcast.accounts.tokens import LONGEST
from broadcast.auth.caller import Caller
from broadcast.auth.model import Account, AccountKind, AccountState, ApiToken, Grant
from broadcast.auth.people import People, PersonOut
from broadcast.auth.permissions import ROLE_NAMES, Permission, Role
from broadcast.kit.english import Said
from broadcast.kit.languages import LANGUAGES, Language
from broadcast.kit.text import Person
from broadcast.kit.times import Day, Moment
from broadcast.web.fields import Code, Name, example
from broadcast.web.rest import Body

AreaNames = Mapping[str, str]
"""Names of areas by code."""


class AccountIn(Body):
    """A new account."""

    name: Person = Field(examples=["Nguyễn Thị Lan"])
    kind: AccountKind = Field(
        AccountKind.PERSON, description="person một người; service một hệ thống khác"
    )


class AccountChangeIn(Body):
    """Name and state of an account."""

    name: Person = Field(examples=["Nguyễn Thị Lan"])
    state: AccountState = Field(
        description="disabled khóa ngay, mọi mã và phiên hết hiệu lực; active mở lại"
    )


class LanguagesIn(Body):
    """Languages that somebody speaks and understands beside Vietnamese."""

    model_config = example(languages=["hre"])

    languages: Annotated[list[Language], Field(max_length=len(LANGUAGES))] = Field(
        description="để giao đọc và duyệt bản các tiếng này"
    )


class GrantIn(Body):
    """A role in an area for a span of days."""

    role: Role
    area_code: Code | None = Field(None, description="đơn vị và mọi cấp dưới; null là cả tỉnh")
    valid_from: Day | None = Field(None, description="mặc định hôm nay")
    valid_until: Day | None = Field(None, description="ngày cuối, tính cả; null là không thời hạn")


class TokenIn(Body):
    """A new token."""

    label: Name = Field(description="dùng cho việc gì", examples=["Bảng theo dõi của tỉnh"])
    expires_at: Moment = Field(description=f"nhiều nhất {LONGEST.days} ngày nữa")
    scope: Annotated[list[Permission], Field(min_length=1, max_length=len(Permission))] | None = (
        Field(None, description="chỉ những quyền này; null là mọi quyền của tài khoản")
    )
    approves: bool = Field(
        False,
        description="mã được duyệt tin, phát khẩn cấp, sửa tài khoản; cần xác thực lần hai",
    )


class InvitationOut(BaseModel):
    """A link by which somebody sets their password."""

    link: str = Field(
        description="chỉ hiện một lần này; trao tận tay hoặc đọc qua điện thoại",
        examples=["https://ttn.example/setup#…"],
    )
    expires_at: Moment


class AreaNameOut(BaseModel):
    """A unit in which a role holds."""

    code: str
    name: str


class HeldRoleOut(BaseModel):
    """A role, and where it holds."""

    role: Role
    role_name: Said
    area: AreaNameOut | None = Field(description="null là cả tỉnh")

    @classmethod
    def at(cls, role: Role, area_code: str | None, areas: AreaNames) -> Self:
        """Name a role and its place."""
        return cls(**_place(role, area_code, areas))


def _place(role: Role, area_code: str | None, areas: AreaNames) -> dict[str, object]:
    area = area_code and AreaNameOut(code=area_code, name=areas.get(area_code, area_code))
    return {"role": role, "role_name": ROLE_NAMES[role], "area": area or None}


class GrantOut(HeldRoleOut):
    """A role that was given, from when until when."""

    id: int
    valid_from: Day
    valid_until: Day | None
    granted_by: PersonOut | None = Field(description="null: bằng dòng lệnh trên máy chủ")
    granted_at: Moment
    revoked_at: Moment | None

    @classmethod
    def of(cls, row: Grant, areas: AreaNames, people: People) -> Self:
        """Translate a row."""
        return cls(
            **_place(row.role, row.area_code, areas),
            id=row.id,
            valid_from=row.valid_from,
            valid_until=row.valid_until,
            granted_by=None if row.granted_by is None else people[row.granted_by],
            granted_at=row.granted_at,
            revoked_at=row.revoked_at,
        )


class AccountFieldsOut(BaseModel):
    """Fields of an account."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    login: str | None = Field(description="tên đăng nhập; null khi không đăng nhập bằng mật khẩu")
    kind: AccountKind
    state: AccountState = Field(
        description="invited chưa có mật khẩu hay mã; active đang dùng; disabled đã khóa"
    )
    created_at: Moment
    languages: list[str] = Field([], description="tiếng biết nói và nghe, ngoài tiếng Việt")


class AccountOut(AccountFieldsOut):
    """An account with the roles that it has or will have."""

    roles: list[GrantOut]

    @classmethod
    def of(
        cls, account: Account, roles: Mapping[int, Sequence[Grant]], areas: AreaNames,
        people: People,
    ) -> Self:  # fmt: skip
        """Translate an account with its grants."""
        return cls(
            **dict(AccountFieldsOut.model_validate(account)),
            roles=[GrantOut.of(row, areas, people) for row in roles.get(account.id, ())],
        )


class TokenOut(BaseModel):
    """A token, without its secret."""

    model_config = ConfigDict(from_attributes=True, validate_by_name=True, validate_by_alias=True)

    id: int
    account_id: int
    label: str
    scope: list[Permission] | None = Field(description="null: mọi quyền của tài khoản")
    approves: bool = Field(
        validation_alias="has_second_factor",
        description="được duyệt tin, phát khẩn cấp, sửa tài khoản",
    )
    created_at: Moment
    expires_at: Moment | None
    last_used_on: Day | None = Field(description="ngày dùng gần nhất; null: chưa dùng")
    revoked_at: Moment | None


class IssuedTokenOut(TokenOut):
    """A token that was just issued."""

    token: str | None = Field(
        description="chỉ hiện một lần này; null khi hỏi lại bằng cùng Idempotency-Key"
    )

    @classmethod
    def of(cls, row: ApiToken, secret: str | None) -> Self:
        """Translate a row, with its secret or without."""
        return cls(**dict(TokenOut.model_validate(row)), token=secret)


class SignedInBy(StrEnum):
    """What a request was sent with."""

    TOKEN = "token"  # noqa: S105
    SESSION = "session"


class MeOut(AccountFieldsOut):
    """The account of the request, and what it may do today."""

    model_config = example(
        id=7, name="Nguyễn Thị Lan", login="lan.nguyen", kind="person", state="active",
        created_at="2026-01-05T08:00:00+07:00", signed_in_by="session",
        roles=[{
            "role": "commune_broadcaster", "role_name": "cán bộ phụ trách đài xã",
            "area": {"code": "21196", "name": "Ba Tơ"},
        }],
        permissions=["read", "content_read"],
    )  # fmt: skip

    signed_in_by: SignedInBy
    roles: list[HeldRoleOut]
    permissions: list[Permission] = Field(
        description="làm được ít nhất ở một nơi; mã có phạm vi hẹp thì ít hơn vai trò"
    )

    @classmethod
    def of(cls, account: Account, caller: Caller, areas: AreaNames) -> Self:
        """What an account is told about itself."""
        return cls(
            **dict(AccountFieldsOut.model_validate(account)),
            signed_in_by=SignedInBy(caller.credential.partition("/")[0]),
            roles=[HeldRoleOut.at(held.role, held.area_code, areas) for held in caller.roles],
            permissions=[each for each in Permission if each in caller.permissions],
        )

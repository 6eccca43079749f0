"""Languages of the people of villages: a register of its own, row by row and from a file."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Self

import sqlalchemy as sa
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.areas.languages import Spoken
from broadcast.areas.model import Area, Level, VillageLanguages
from broadcast.areas.row_imports import Kind
from broadcast.areas.schemas import village_code
from broadcast.areas.topology import touch
from broadcast.auth.caller import Caller
from broadcast.auth.permissions import Permission
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import InvalidInput, NotFound
from broadcast.kit.languages import LANGUAGES, Language
from broadcast.kit.sheets import Action, Sheet
from broadcast.kit.times import Day
from broadcast.web.fields import Code, example
from broadcast.web.rest import Body


class SpokenIn(Body):
    """A language of a village."""

    language: Language
    share: Annotated[int, Field(ge=0, le=100)] | None = Field(
        None, description="phần trăm người dân; bỏ trống khi chưa thống kê"
    )


def _plausible(spoken: list[SpokenIn]) -> list[SpokenIn]:
    if len({each.language for each in spoken}) < len(spoken):
        raise ValueError("một tiếng ghi hai lần; mỗi tiếng ghi một lần")
    if sum(each.share or 0 for each in spoken) > 100:
        raise ValueError("các tỉ lệ cộng lại quá 100; hãy sửa tỉ lệ")
    return spoken


class VillageLanguagesIn(Body):
    """Languages of a village, in the order in which people are to hear them."""

    model_config = example(
        languages=[{"language": "hre", "share": 85}, {"language": "vi", "share": 15}],
        valid_from="2026-01-01",
    )

    languages: Annotated[
        list[SpokenIn], Field(max_length=len(LANGUAGES)), AfterValidator(_plausible)
    ] = Field(description="theo thứ tự phát; rỗng: chỉ tiếng của bản tin")
    valid_from: Day | None = Field(None, description="bỏ trống: hôm nay")


class VillageLanguagesOut(BaseModel):
    """Languages of a village from a day on."""

    village_code: str
    name: str
    parent_code: str | None
    valid_from: Day | None = Field(description="null: chưa ghi")
    languages: list[SpokenIn]

    @classmethod
    def of(cls, area: Area, row: VillageLanguages | None) -> Self:
        """Translate a village and what is on record of it."""
        return cls(
            village_code=area.code,
            name=area.name,
            parent_code=area.parent_code,
            valid_from=None if row is None else row.valid_from,
            languages=[] if row is None else [SpokenIn(**each) for each in row.languages],
        )


def read_list(text: str) -> list[SpokenIn]:
    """Languages as a cell of a file says them.

    Raises:
        ValueError: What is wrong with it.

    >>> [each.language for each in read_list("hre:85; vi")]
    ['hre', 'vi']
    """
    found = []
    for part in filter(None, (each.strip() for each in text.split(";"))):
        language, _, share = part.partition(":")
        language, share = language.strip().lower(), share.strip().removesuffix("%").strip()
        if language not in LANGUAGES:
            raise ValueError(f"không có tiếng “{language}”; dùng {', '.join(LANGUAGES)}")
        if share and not (share.isascii() and share.isdecimal() and int(share) <= 100):
            raise ValueError(f"tỉ lệ “{share}” phải là số từ 0 đến 100")
        found.append(SpokenIn(language=language, share=int(share) if share else None))
    return _plausible(found)


def _cell(value: Any) -> str:
    text = str(value or "")
    read_list(text)
    return text


class VillageLanguagesRow(Body):
    """A row of village_languages.csv."""

    code: Annotated[Code, BeforeValidator(village_code)]
    languages: Annotated[str, Field(max_length=200), AfterValidator(_cell)] = Field(
        description="tiếng và phần trăm theo thứ tự phát, ví dụ hre:85; vi:15"
    )
    valid_from: Day


_Known = tuple[AsyncSession, set[str]]
"""With the villages of a file that there are."""

SHEET = Sheet(kind="village_languages", model=VillageLanguagesRow, key=("code", "valid_from"))


async def spoken_on(
    session: AsyncSession, on: date, codes: Collection[str] | None = None
) -> dict[str, list[Spoken]]:
    """Languages of villages on a day; of all that have any on record, or of these."""
    statement = (
        sa.select(VillageLanguages.village_code, VillageLanguages.languages)
        .ext(distinct_on(VillageLanguages.village_code))
        .where(VillageLanguages.valid_from <= on)
        .order_by(VillageLanguages.village_code, VillageLanguages.valid_from.desc())
    )
    if codes is not None:
        statement = statement.where(VillageLanguages.village_code.in_(codes))
    return {
        code: [Spoken(each["language"], each.get("share")) for each in languages]
        for code, languages in await session.execute(statement)
    }


def select_villages(on: date, codes: Collection[str] | None) -> sa.Select[*tuple[Any, ...]]:
    """Statement of the villages of a day, all or some, with the languages on record then."""
    newest = (
        sa.select(VillageLanguages)
        .where(VillageLanguages.village_code == Area.code, VillageLanguages.valid_from <= on)
        .order_by(VillageLanguages.valid_from.desc())
        .limit(1)
        .correlate(Area)
        .subquery()
        .lateral()
    )
    row = sa.orm.aliased(VillageLanguages, newest)
    statement: sa.Select[*tuple[Any, ...]] = (
        sa.select(Area, row)
        .outerjoin(newest, sa.true())
        .where(
            Area.level == Level.VILLAGE,
            Area.valid_from <= on,
            sa.or_(Area.valid_to.is_(None), Area.valid_to >= on),
        )
    )
    return statement if codes is None else statement.where(Area.code.in_(codes))


async def show(session: AsyncSession, code: str, on: date) -> VillageLanguagesOut:
    """Languages of a village on a day.

    Raises:
        NotFound: There is no such village on that day.
    """
    row = (await session.execute(select_villages(on, [code]))).one_or_none()
    if row is None:
        raise NotFound(f"Không có thôn, tổ dân phố “{code}” trong ngày này.")
    return VillageLanguagesOut.of(*row)


async def put(
    session: AsyncSession, code: str, body: VillageLanguagesIn, caller: Caller, now: datetime
) -> VillageLanguagesOut:
    """Note the languages of a village from a day on, in place of what was noted for that day.

    Raises:
        NotFound: There is no such village today.
        Forbidden: The caller may not there.
    """
    today = now.astimezone(LOCAL).date()
    await show(session, code, today)
    await scope.require(session, caller, Permission.AREA_WRITE, [code])
    on = body.valid_from or today
    await _store(session, code, on, body.languages, caller.account_id, now)
    await touch(session)
    return await show(session, code, max(on, today))


async def _store(
    session: AsyncSession,
    code: str,
    on: date,
    languages: Iterable[SpokenIn],
    account_id: int,
    now: datetime,
) -> Action:
    said = [each.model_dump() for each in languages]
    row = await session.get(VillageLanguages, (code, on), with_for_update=True)
    if row is not None and row.languages == said:
        return Action.UNCHANGED
    action = Action.CHANGED if row is not None else Action.ADDED
    if row is None:
        row = VillageLanguages(village_code=code, valid_from=on)
        session.add(row)
    row.languages, row.changed_by, row.changed_at = said, account_id, now
    await session.flush()
    return action


def kind(caller: Caller, now: datetime) -> Kind[VillageLanguagesRow, _Known]:
    """Kind of village_languages.csv; rows that a file does not have stay."""

    async def load(session: AsyncSession, rows: Sequence[VillageLanguagesRow]) -> _Known:
        codes = await session.scalars(
            sa.select(Area.code).where(
                Area.level == Level.VILLAGE, Area.code.in_([row.code for row in rows])
            )
        )
        return session, set(codes)

    async def put_row(known: _Known, row: VillageLanguagesRow) -> tuple[Action, str]:
        session, codes = known
        if row.code not in codes:
            raise InvalidInput("code", "không có thôn này; nhập sổ thôn trước")
        said = read_list(row.languages)
        action = await _store(session, row.code, row.valid_from, said, caller.account_id, now)
        return action, row.languages

    return Kind(SHEET, load, [put_row], lambda row: f"{row.code} từ {row.valid_from}")

"""What REST takes and gives of versions, forecasts and what was heard in which language."""

from __future__ import annotations

from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from broadcast.auth.people import People, PersonOut
from broadcast.bulletins.model import Bulletin, RevisionState
from broadcast.bulletins.schemas import RevisionNumber
from broadcast.bulletins.version_model import VersionRequest
from broadcast.kit.english import Said
from broadcast.kit.languages import Language
from broadcast.kit.text import Note
from broadcast.kit.times import Day, Moment
from broadcast.languages.forecast import Hears, Lack
from broadcast.languages.state import VersionState
from broadcast.languages.versions import Standing
from broadcast.web.fields import Code, example
from broadcast.web.rest import Body


class ConfirmIn(Body):
    """Which revision was heard, and what it was held against."""

    revision: RevisionNumber = Field(description="phiên bản của bản đọc đã nghe")
    original_revision: RevisionNumber = Field(description="phiên bản của bản gốc đã xem")


class AskIn(Body):
    """Who is to read a bulletin, in which language, until when."""

    model_config = example(
        language="hre", reader_id=7, area_code="21262", due_at="2026-12-15T17:00:00+07:00",
        note="Đọc chậm tên các thôn.",
    )  # fmt: skip

    language: Language = Field(description="khác tiếng của bản tin")
    reader_id: Annotated[int, Field(ge=1, le=2**31 - 1)] = Field(
        description="tài khoản biết tiếng này và được soạn tin ở đài đọc"
    )
    area_code: Code | None = Field(None, description="đài đọc và duyệt; null: đài của bản tin gốc")
    due_at: Moment = Field(description="hạn đọc")
    note: Note = Field("", description="cho người đọc")


class RequestOut(BaseModel):
    """A request to read a bulletin in a language."""

    id: UUID
    version_id: UUID = Field(description="bản tin chứa bản đọc")
    original_id: UUID | None
    original_revision: int = Field(description="phiên bản gốc cần đọc")
    title: str
    language: str
    area_code: str = Field(description="đài đọc và duyệt")
    reader: PersonOut
    due_at: Moment
    note: str
    asked_by: PersonOut
    asked_at: Moment
    cancelled_at: Moment | None
    state: VersionState

    @classmethod
    def of(
        cls, row: VersionRequest, version: Bulletin, state: VersionState, people: People
    ) -> Self:
        """Translate rows."""
        return cls(
            id=row.id,
            version_id=version.id,
            original_id=version.version_of,
            original_revision=row.original_revision,
            title=version.title,
            language=version.language,
            area_code=version.area_code,
            reader=people[row.reader_id],
            due_at=row.due_at,
            note=row.note,
            asked_by=people[row.asked_by],
            asked_at=row.asked_at,
            cancelled_at=row.cancelled_at,
            state=state,
        )


class VersionOut(BaseModel):
    """A version of a bulletin in another language."""

    bulletin_id: UUID
    language: str
    area_code: str = Field(description="đài đọc và duyệt")
    state: VersionState = Field(
        description="so với phiên bản gốc mới nhất đã duyệt; stale: bản gốc đã đổi, cần xác nhận"
        " hoặc đọc lại"
    )
    original_revision: int | None
    revision: int | None = Field(description="phiên bản mới nhất của bản đọc")
    revision_state: RevisionState | None
    approved_revision: int | None
    seconds: float | None
    request: RequestOut | None = Field(description="việc giao đọc đang mở")

    @classmethod
    def of(cls, found: Standing, people: People) -> Self:
        """Translate a version and how it stands."""
        return cls(
            bulletin_id=found.version.id,
            language=found.version.language,
            area_code=found.version.area_code,
            state=found.state,
            original_revision=found.original_revision,
            revision=found.revision and found.revision.number,
            revision_state=found.revision and found.revision.state,
            approved_revision=found.approved_revision,
            seconds=found.revision and found.revision.seconds,
            request=None
            if found.request is None
            else RequestOut.of(found.request, found.version, found.state, people),
        )


class VersionsOut(BaseModel):
    """Versions of a bulletin."""

    versions: list[VersionOut]
    troubles: dict[str, Said] = Field(
        description="vì sao âm thanh ghép các tiếng này chưa phát được, theo mã tiếng hre,vi"
    )


class HearsOut(BaseModel):
    """What a village is going to hear."""

    model_config = ConfigDict(from_attributes=True)

    code: str
    name: str
    languages: list[str] = Field(description="của người dân, theo thứ tự phát")
    sounds: list[str] = Field(description="các tiếng sẽ nghe, theo thứ tự")
    lacks: dict[str, Lack] = Field(description="tiếng của dân mà chưa nghe được, và vì sao")
    is_served: bool | None = Field(description="nghe bằng tiếng của số đông; null: chưa ghi tiếng")
    detail: Said


class ForecastOut(BaseModel):
    """What every village is going to hear of an occurrence."""

    occurrence_id: UUID
    villages_count: int
    served: int = Field(description="thôn nghe bằng tiếng của số đông")
    fallback: int = Field(description="thôn phải nghe tiếng khác vì chưa có bản tiếng của mình")
    unknown: int = Field(description="thôn chưa ghi tiếng của người dân")
    villages: list[HearsOut]

    @classmethod
    def of(cls, occurrence_id: UUID, found: list[Hears]) -> Self:
        """Count and translate."""
        return cls(
            occurrence_id=occurrence_id,
            villages_count=len(found),
            served=sum(each.is_served is True for each in found),
            fallback=sum(each.is_served is False for each in found),
            unknown=sum(each.is_served is None for each in found),
            villages=[HearsOut.model_validate(each) for each in found],
        )


class LanguageOut(BaseModel):
    """A language over some days."""

    model_config = ConfigDict(from_attributes=True)

    language: str
    villages: int = Field(description="thôn mà số đông nói tiếng này")
    served: int = Field(description="trong đó đã nghe tin bằng tiếng này")
    heard_in: int = Field(description="thôn đã nghe tiếng này, bất kể dân nói tiếng gì")
    plays: int = Field(description="buổi phát bằng tiếng này, cộng theo thôn")


class CommuneOut(BaseModel):
    """Villages of a commune whose language is on record."""

    model_config = ConfigDict(from_attributes=True)

    commune_code: str
    name: str
    villages: int
    served: int


class UnservedOut(BaseModel):
    """A village that heard nothing in the language of most of its people."""

    model_config = ConfigDict(from_attributes=True)

    code: str
    name: str
    commune: str
    majority: str


MOST_UNSERVED = 500


class ServedOut(BaseModel):
    """Villages whose majority was spoken to in its language."""

    first_on: Day
    last_on: Day
    villages: int = Field(description="thôn đã ghi tiếng của người dân")
    served: int
    unknown: int = Field(description="thôn chưa ghi tiếng")
    languages: list[LanguageOut]
    communes: list[CommuneOut]
    unserved: list[UnservedOut] = Field(description=f"nhiều nhất {MOST_UNSERVED}; CSV có đủ")

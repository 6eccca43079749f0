"""Bulletins and revisions as REST takes and shows them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self
from uuid import UUID

import sqlalchemy as sa
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.bulletins import approval, revisions
from broadcast.bulletins.approval import Action
from broadcast.bulletins.model import (
    ApprovalStep,
    Bulletin,
    Preparation,
    PreparationState,
    Rendition,
    Revision,
    RevisionState,
    SourceKind,
)
from broadcast.bulletins.speech.script import LONGEST_TEXT
from broadcast.kit.text import FILLED_PROSE, FilledLine, Note, clean_filled_prose
from broadcast.kit.times import Moment
from broadcast.wire.fields import BulletinClass, Codec
from broadcast.wire.topics import CODE

Language = Literal["vi", "hre", "cua", "sed", "bdq", "jra", "jeh"]
"""BCP 47: Vietnamese and the languages of the province that have a code of their own."""

Script = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_TEXT, json_schema_extra={"pattern": FILLED_PROSE}),
    AfterValidator(clean_filled_prose),
]
"""What is read aloud."""
AreaCode = Annotated[str, StringConstraints(pattern=f"^{CODE}$")]


class Asked(BaseModel):
    """A request body; what it does not know it refuses, so that a slip is not ignored."""

    model_config = ConfigDict(extra="forbid", validate_by_name=False)


class RevisionIn(Asked):
    """The sound of a revision, where it is not an uploaded file."""

    text: Script | None = Field(
        None,
        description="Văn bản được đọc thành tiếng Việt",
        examples=["Ủy ban nhân dân xã thông báo: sáng thứ Bảy tiêm phòng trâu, bò tại thôn."],
    )


class BulletinIn(RevisionIn):
    """What a bulletin is."""

    title: FilledLine = Field(examples=["Lịch tiêm phòng gia súc đợt 2"])
    area_code: AreaCode = Field(
        description="Tỉnh hoặc xã có đài phát bản tin này", examples=["21034"]
    )
    class_: BulletinClass = Field(
        BulletinClass.NORMAL,
        alias="class",
        description="normal thông thường, priority ưu tiên, emergency khẩn cấp",
    )
    language: Language = Field(
        "vi",
        description="vi Việt, hre Hrê, cua Cor, sed Xơ Đăng và Ca Dong, bdq Ba Na, jra Gia Rai, "
        "jeh Giẻ Triêng. Văn bản chỉ đọc được bằng vi",
    )


class NoteIn(Asked):
    """Why a step is taken; a return must say it."""

    note: Note = Field("", examples=["Phút thứ 2 đọc sai ngày: thứ Bảy là ngày 8/3."])


class FromRow(BaseModel):
    """A representation of a row."""

    model_config = ConfigDict(from_attributes=True)


class RenditionOut(FromRow):
    """One encoding of a revision; once approved it is `/content/{sha256}`."""

    codec: Codec
    sha256: str
    size_bytes: int
    seconds: float


class StepOut(FromRow):
    """One step of the approval."""

    state: RevisionState
    actor: str
    at: Moment
    note: str


class PreparationOut(BaseModel):
    """How far the preparation of a revision's sound is."""

    state: PreparationState = Field(
        description="“waiting” chờ, “running” đang làm, “done” xong, “refused” nguồn không dùng "
        "được, “failed” máy chủ lỗi, “cancelled” đã hủy"
    )
    percent: int = Field(ge=0, le=100)
    detail: str = Field(description="Đang ở đâu, vì sao, và cần làm gì")
    asked_at: Moment | None
    finished_at: Moment | None
    url: str = Field(description="GET: hỏi lại; DELETE: hủy")

    @classmethod
    def of(cls, revision: Revision, row: Preparation | None) -> Self:
        """Of a revision; one without a row was prepared before there was a queue."""
        url = f"/api/v1/bulletins/{revision.bulletin_id}/revisions/{revision.number}/preparation"
        if row is None:
            at = revision.created_at
            done = PreparationState.DONE
            return cls(
                state=done,
                percent=100,
                detail=_DETAILS[done],
                asked_at=at,
                finished_at=at,
                url=url,
            )
        state = row.state
        if revision.state is RevisionState.WITHDRAWN and revision.seconds is None:
            state = PreparationState.CANCELLED
        elif revision.seconds is not None:
            # The queue may have begun it anew for somebody else, because its file was lost.
            state = PreparationState.DONE
        return cls(
            state=state,
            percent=100 if state is PreparationState.DONE else row.percent,
            detail=" ".join(filter(None, (row.detail, _DETAILS[state]))),
            asked_at=row.asked_at,
            finished_at=row.finished_at,
            url=url,
        )


_DETAILS = {
    PreparationState.WAITING: "Đang chờ tới lượt chuẩn bị âm thanh; hãy hỏi lại sau ít giây.",
    PreparationState.RUNNING: "Đang chuẩn bị âm thanh; hãy hỏi lại sau ít giây.",
    PreparationState.DONE: "Âm thanh đã sẵn sàng; hãy nghe thử rồi gửi duyệt.",
    PreparationState.REFUSED: "Phiên bản này không phát được; hãy tạo phiên bản mới.",
    PreparationState.FAILED: "Hãy báo quản trị, rồi tạo phiên bản mới.",
    PreparationState.CANCELLED: "Đã hủy; nếu vẫn cần, hãy tạo phiên bản mới.",
}


class WarningOut(BaseModel):
    """Something about a recording that its author ought to hear before submitting it."""

    kind: str = Field(description="clipping, hum, dead_air, soft, channel, tracks")
    at_seconds: float | None = Field(description="chỗ bắt đầu trong bản gốc; null: suốt bản ghi")
    seconds: float | None
    detail: str


class RevisionOut(BaseModel):
    """An immutable version of a bulletin's sound, and how far its approval has come."""

    number: int
    state: RevisionState
    allowed: list[Action] = Field(description="Các bước có thể làm tiếp, tùy vai trò")
    source_kind: SourceKind
    source_name: str
    text: str | None
    spoken: str | None = Field(
        description="Lời sẽ đọc lên, mỗi đoạn một dòng, # trước tiêu đề; hãy xem trước khi duyệt"
    )
    preparation: PreparationOut
    seconds: float | None = Field(description="null khi âm thanh chưa chuẩn bị xong")
    loudness_lufs: float | None
    true_peak_dbtp: float | None
    facts: dict[str, Any]
    warnings: list[WarningOut] = Field(description="Điều cần nghe lại trước khi gửi duyệt")
    created_by: str
    created_at: Moment
    renditions: list[RenditionOut]
    steps: list[StepOut]

    @classmethod
    def of(
        cls,
        revision: Revision,
        preparation: Preparation | None,
        renditions: list[Rendition],
        steps: list[ApprovalStep],
    ) -> Self:
        """From its rows."""
        columns = cls.model_fields.keys() - {
            "allowed",
            "preparation",
            "renditions",
            "steps",
            "warnings",
        }
        return cls(
            **{name: getattr(revision, name) for name in columns},
            allowed=approval.allowed(revision.state, is_prepared=revision.seconds is not None),
            preparation=PreparationOut.of(revision, preparation),
            warnings=revision.facts.get("warnings", []),
            renditions=[RenditionOut.model_validate(row) for row in renditions],
            steps=[StepOut.model_validate(row) for row in steps],
        )


class BulletinFacts(FromRow):
    """What a bulletin is."""

    id: UUID
    title: str
    class_: BulletinClass = Field(alias="class", validation_alias="class_")
    language: str
    area_code: str
    created_by: str
    created_at: Moment


class BulletinSummary(BulletinFacts):
    """A bulletin in a list, with the state of its newest revision."""

    revision: int = Field(description="Phiên bản mới nhất")
    state: RevisionState = Field(description="Trạng thái của phiên bản mới nhất")
    approved_revision: int | None = Field(description="Phiên bản mới nhất đã duyệt")


class BulletinOut(BulletinFacts):
    """A bulletin with all its revisions, newest first."""

    revisions: list[RevisionOut]


def facts(bulletin: Bulletin) -> dict[str, Any]:
    """The fields of `BulletinFacts`, to make a fuller representation with."""
    return {name: getattr(bulletin, name) for name in BulletinFacts.model_fields}


async def show_revision(session: AsyncSession, revision: Revision) -> RevisionOut:
    """A revision with its preparation, renditions and steps."""
    (shown,) = await _show(session, revision.bulletin_id, [revision])
    return shown


async def show_bulletin(session: AsyncSession, bulletin: Bulletin) -> BulletinOut:
    """A bulletin with its revisions, their preparations, renditions and steps."""
    found = await revisions.of_bulletin(session, bulletin.id)
    return BulletinOut(**facts(bulletin), revisions=await _show(session, bulletin.id, found))


async def _show(
    session: AsyncSession, bulletin_id: UUID, found: list[Revision]
) -> list[RevisionOut]:
    asked = {r.preparation_id for r in found if r.preparation_id is not None}
    rows = await session.scalars(sa.select(Preparation).where(Preparation.id.in_(asked)))
    preparations = {row.id: row for row in rows}
    for r in found:
        row = preparations.get(r.preparation_id or 0)
        if r.seconds is None and row is not None and row.state is PreparationState.DONE:
            await session.refresh(r)  # the preparation ended between the two statements
    renditions = await revisions.renditions(session, [(bulletin_id, r.number) for r in found])
    steps = await revisions.steps(session, bulletin_id)
    return [
        RevisionOut.of(
            r,
            preparations.get(r.preparation_id or 0),
            renditions.get((bulletin_id, r.number), []),
            steps.get(r.number, []),
        )
        for r in found
    ]

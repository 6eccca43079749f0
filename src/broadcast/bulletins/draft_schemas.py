"""Bodies of REST requests and answers about drafts and their sound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Self
from uuid import UUID

from fastapi import Path
from pydantic import AfterValidator, BaseModel, Field

from broadcast.bulletins.audio.prepared import Trim
from broadcast.bulletins.loudness_words import in_words
from broadcast.bulletins.model import PreparationState, SourceKind
from broadcast.bulletins.phrases import MOST_PHRASES
from broadcast.bulletins.schemas import RenditionOut, RevisionNumber, WarningOut
from broadcast.bulletins.speech.script import LONGEST_TEXT
from broadcast.kit.english import Said
from broadcast.kit.text import LINE, PROSE, clean_line, clean_prose
from broadcast.kit.times import Moment
from broadcast.web.rest import Body

if TYPE_CHECKING:
    from broadcast.bulletins.drafts import DraftDetails

_ID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

PagePath = Annotated[
    str,
    Path(
        pattern=f"^(new|alert|{_ID})$",
        description="new, alert (bản thu cho cảnh báo), hoặc mã bản tin cần phiên bản mới",
    ),
]

_Line = Annotated[
    str,
    Field("", max_length=200, json_schema_extra={"pattern": LINE}),
    AfterValidator(clean_line),
]
_Prose = Annotated[
    str,
    Field("", max_length=LONGEST_TEXT, json_schema_extra={"pattern": PROSE}),
    AfterValidator(clean_prose),
]


class DraftIn(Body):
    """A form as far as it is filled in; nothing is missing yet."""

    title: _Line = ""
    area_code: _Line = ""
    class_: _Line = Field("normal", alias="class")
    language: _Line = "vi"
    subject: _Line = "other"
    tags: _Line = ""
    phrase: _Line = ""
    text: _Prose = ""
    original_revision: RevisionNumber | None = Field(
        None, description="bản dịch: phiên bản của bản gốc mà người đọc đã xem"
    )


class CompositionIn(Body):
    """Phrases around a recording, in the order in which they are heard."""

    before: Annotated[list[UUID], Field(max_length=MOST_PHRASES)] = Field(
        default=[], description="câu mẫu (mã bản tin) trước bản thu"
    )
    after: Annotated[list[UUID], Field(max_length=MOST_PHRASES)] = Field(
        default=[], description="câu mẫu sau bản thu"
    )


class TrimIn(Body):
    """Part of a recording that is to be used; all of it by default."""

    start_seconds: float = Field(0.0, ge=0, le=86_400, description="làm tròn tới 0,1 giây")
    end_seconds: float | None = Field(
        None, gt=0, le=86_400, description="làm tròn tới 0,1 giây; null: tới hết bản thu"
    )

    def chosen(self) -> Trim:
        """In tenths of a second."""
        end = None if self.end_seconds is None else round(self.end_seconds, 1)
        return Trim(round(self.start_seconds, 1), end)


class LoudnessOut(BaseModel):
    """Loudness of the part of a source that is used, and what was done about it."""

    source_lufs: float
    source_true_peak_dbtp: float
    gain_db: float
    lufs: float = Field(description="sau khi chuẩn bị")
    true_peak_dbtp: float
    words: str


class SoundOut(BaseModel):
    """Sound of a draft."""

    kind: SourceKind
    name: str = Field(description="tên tệp đã tải lên")
    state: PreparationState
    percent: int
    detail: Said
    seconds: float | None = Field(description="độ dài khi phát; null khi chưa chuẩn bị xong")
    source_seconds: float | None
    trim_start_seconds: float | None = Field(description="null: dùng cả bản thu")
    trim_end_seconds: float | None
    outline: list[int] = Field(description="hình sóng của cả bản thu, mỗi đoạn bằng nhau 0–100")
    loudness: LoudnessOut | None
    renditions: list[RenditionOut] = Field(description="nghe tại …/sound/audio?sha256=…")
    warnings: list[WarningOut]

    @classmethod
    def of(cls, found: DraftDetails) -> Self | None:
        """Translate the sound of a draft; None where it has none."""
        row, prepared = found.preparation, found.prepared
        if row is None:
            return None
        values: dict[str, Any] = {
            "seconds": None, "source_seconds": None, "outline": [], "loudness": None,
            "renditions": [], "warnings": [],
        }  # fmt: skip
        if prepared is not None:
            values |= {
                "seconds": prepared.seconds,
                "source_seconds": prepared.source_seconds,
                "renditions": [RenditionOut.model_validate(each) for each in prepared.renditions],
                "warnings": [WarningOut.model_validate(each) for each in prepared.warnings],
            }
            if prepared.source is not None:
                peak = prepared.source.true_peak_dbtp
                values["outline"] = prepared.source.outline
                values["loudness"] = LoudnessOut(
                    source_lufs=prepared.source.loudness_lufs,
                    source_true_peak_dbtp=peak,
                    gain_db=prepared.gain_db,
                    lufs=prepared.loudness_lufs,
                    true_peak_dbtp=prepared.true_peak_dbtp,
                    words=in_words(prepared.gain_db, peak),
                )
        is_text = found.draft.source_file is None
        return cls(
            kind=SourceKind.TEXT if is_text else SourceKind.UPLOAD,
            name=found.draft.source_name,
            state=row.state,
            percent=row.percent,
            detail=" ".join(filter(None, (row.detail, _DETAILS[row.state]))),
            trim_start_seconds=row.trim_start_seconds,
            trim_end_seconds=row.trim_end_seconds,
            **values,
        )


_DETAILS = {
    PreparationState.WAITING: "Đang chờ tới lượt; có thể rời trang này.",
    PreparationState.RUNNING: "Đang chuẩn bị âm thanh; có thể rời trang này.",
    PreparationState.DONE: "Âm thanh đã sẵn sàng; hãy nghe thử.",
    PreparationState.REFUSED: "Hãy thu lại hoặc chọn tệp khác.",
    PreparationState.FAILED: "Hãy báo quản trị, rồi thử lại.",
    PreparationState.CANCELLED: "Đã hủy; nếu vẫn cần, hãy làm lại.",
}


class DraftOut(BaseModel):
    """A draft: the form as it was left, and its sound."""

    page: str
    title: str
    area_code: str
    class_: str = Field(alias="class", validation_alias="class")
    language: str
    subject: str
    tags: str
    phrase: str = ""
    text: str
    original_revision: int | None = None
    before: list[UUID] = Field(description="câu mẫu ghép trước bản thu")
    after: list[UUID]
    sound: SoundOut | None
    saved_at: Moment

    @classmethod
    def of(cls, found: DraftDetails) -> Self:
        """Translate a draft."""
        draft = found.draft
        return cls.model_validate(
            draft.form
            | {
                "page": draft.page,
                "before": draft.before,
                "after": draft.after,
                "sound": SoundOut.of(found),
                "saved_at": draft.saved_at,
            }
        )

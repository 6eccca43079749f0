"""Bodies of REST requests and answers about bulletins, revisions and lexicons."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from fastapi import Path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from broadcast.auth.people import People, PersonOut
from broadcast.bulletins import approval
from broadcast.bulletins.approval import Action
from broadcast.bulletins.details import BulletinDetails, RevisionDetails
from broadcast.bulletins.loudness_words import in_words
from broadcast.bulletins.model import (
    ApprovalStep,
    Bulletin,
    LexiconEntry,
    PhraseKind,
    Preparation,
    PreparationState,
    Revision,
    RevisionState,
    SourceKind,
    Subject,
)
from broadcast.bulletins.speech.script import LONGEST_TEXT
from broadcast.bulletins.words import Words
from broadcast.kit.english import Said
from broadcast.kit.errors import NotFound
from broadcast.kit.languages import Language as Language  # noqa: PLC0414 — re-exported
from broadcast.kit.text import (
    FILLED_LINE,
    FILLED_PROSE,
    FilledLine,
    Line,
    Note,
    clean_filled_line,
    clean_filled_prose,
)
from broadcast.kit.times import Moment
from broadcast.web.fields import Code
from broadcast.web.rest import Body
from broadcast.wire.fields import BulletinClass, Codec

MOST_NUMBER = 2**31 - 1

NumberPath = Annotated[int, Path(ge=1, le=MOST_NUMBER, description="số của phiên bản")]
RevisionNumber = Annotated[int, Field(ge=1, le=MOST_NUMBER)]

Script = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_TEXT, json_schema_extra={"pattern": FILLED_PROSE}),
    AfterValidator(clean_filled_prose),
]
"""Text that is read aloud."""


class RevisionIn(Body):
    """The sound of a revision, where it is not an uploaded file."""

    text: Script | None = Field(
        None,
        description="Văn bản được đọc thành tiếng Việt",
        examples=["Ủy ban nhân dân xã thông báo: sáng thứ Bảy tiêm phòng trâu, bò tại thôn."],
    )


class NextRevisionIn(RevisionIn):
    """The next revision of a bulletin that there is."""

    original_revision: RevisionNumber | None = Field(
        None, description="bản dịch: phiên bản của bản gốc mà người đọc đã xem, phải ghi rõ"
    )


class BulletinIn(RevisionIn):
    """A bulletin to be created."""

    title: FilledLine = Field(examples=["Lịch tiêm phòng gia súc đợt 2"])
    area_code: Code = Field(description="Tỉnh hoặc xã có đài phát bản tin này", examples=["21034"])
    class_: BulletinClass = Field(
        BulletinClass.NORMAL,
        alias="class",
        description="normal thông thường, priority ưu tiên, emergency khẩn cấp",
    )
    subject: Subject = Field(Subject.OTHER, description="Lĩnh vực")
    tags: Line = Field(
        "",
        description="Nhãn để tìm lại, cách nhau bằng dấu phẩy, nhiều nhất 10",
        examples=["tiêm phòng, trâu bò"],
    )
    phrase: PhraseKind | None = Field(
        None, description="loại câu mẫu, để ghép vào bản thu; null: bản tin thường"
    )
    language: Language = Field(
        "vi",
        description="vi Việt, hre Hrê, cua Cor, sed Xơ Đăng và Ca Dong, bdq Ba Na, jra Gia Rai, "
        "jeh Giẻ Triêng. Văn bản chỉ đọc được bằng vi",
    )


class CopyIn(Body):
    """A new bulletin that is made of one that there is."""

    area_code: Code = Field(description="Tỉnh hoặc xã có đài sẽ phát bản chép", examples=["21034"])
    title: FilledLine | None = Field(None, description="mặc định như bản gốc")
    tags: Line | None = Field(None, description="mặc định như bản gốc")
    revision: RevisionNumber | None = Field(
        None, description="số phiên bản cần chép; mặc định phiên bản mới nhất đã duyệt"
    )


class NoteIn(Body):
    """Reason of a step; a return must give it."""

    note: Note = Field("", examples=["Phút thứ 2 đọc sai ngày: thứ Bảy là ngày 8/3."])


class RowOut(BaseModel):
    """A representation of a row."""

    model_config = ConfigDict(from_attributes=True)


class RenditionOut(RowOut):
    """One encoding of a revision; once approved it is `/content/{sha256}`."""

    codec: Codec
    sha256: str
    size_bytes: int
    seconds: float


class StepOut(BaseModel):
    """One step of the approval."""

    state: RevisionState
    actor: PersonOut
    at: Moment
    note: str

    @classmethod
    def of(cls, step: ApprovalStep, people: People) -> Self:
        """Translate a row."""
        return cls(state=step.state, actor=people[step.actor], at=step.at, note=step.note)


class PreparationOut(BaseModel):
    """Progress of the preparation of a revision's sound."""

    state: PreparationState = Field(
        description="“waiting” chờ, “running” đang làm, “done” xong, “refused” nguồn không dùng "
        "được, “failed” máy chủ lỗi, “cancelled” đã hủy"
    )
    percent: int = Field(ge=0, le=100)
    detail: Said = Field(description="Đang ở đâu, vì sao, và cần làm gì")
    asked_at: Moment | None
    finished_at: Moment | None
    url: str = Field(description="GET: hỏi lại; DELETE: hủy")

    @classmethod
    def of(cls, revision: Revision, row: Preparation | None) -> Self:
        """Translate a row; a revision without one was prepared before there was a queue."""
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
    detail: Said


class RevisionOut(BaseModel):
    """An immutable version of a bulletin's sound, with the progress of its approval."""

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
    loudness_words: str | None = Field(description="độ to của bản gốc, bằng lời")
    trim_start_seconds: float | None = Field(
        description="đoạn của bản thu được dùng; null: dùng cả bản thu"
    )
    trim_end_seconds: float | None
    facts: dict[str, Any]
    warnings: list[WarningOut] = Field(description="Điều cần nghe lại trước khi gửi duyệt")
    created_by: PersonOut
    created_at: Moment
    renditions: list[RenditionOut]
    steps: list[StepOut]

    @classmethod
    def of(cls, details: RevisionDetails) -> Self:
        """Translate a revision with what belongs to it."""
        revision = details.revision
        columns = cls.model_fields.keys() - {
            "allowed",
            "created_by",
            "loudness_words",
            "preparation",
            "renditions",
            "steps",
            "warnings",
        }
        return cls(
            **{name: getattr(revision, name) for name in columns},
            allowed=approval.allowed(revision.state, is_prepared=revision.seconds is not None),
            loudness_words=_loudness_words(revision),
            preparation=PreparationOut.of(revision, details.preparation),
            warnings=revision.facts.get("warnings", []),
            renditions=[RenditionOut.model_validate(row) for row in details.renditions],
            created_by=details.people[revision.created_by],
            steps=[StepOut.of(row, details.people) for row in details.steps],
        )


def _loudness_words(revision: Revision) -> str | None:
    gain_db = revision.facts.get("gain_db")
    if gain_db is None:
        return None
    return in_words(gain_db, revision.facts.get("source_true_peak_dbtp"))


class OutlineOut(BaseModel):
    """Picture of the sound of a revision."""

    seconds: float
    heights: list[int] = Field(
        description="mỗi đoạn dài bằng nhau, 0–100; rỗng: chuẩn bị từ trước khi có hình sóng"
    )

    @classmethod
    def of(cls, details: RevisionDetails) -> Self:
        """Translate the result of a preparation.

        Raises:
            NotFound: There is none yet.
        """
        if details.revision.seconds is None:
            raise NotFound("Phiên bản này chưa có âm thanh; hãy chờ chuẩn bị xong.")
        row = details.preparation
        result = row.result if row is not None else None
        return cls(seconds=details.revision.seconds, heights=(result or {}).get("outline", []))


class BulletinFieldsOut(BaseModel):
    """Fields of a bulletin."""

    id: UUID
    title: str
    class_: BulletinClass = Field(alias="class", validation_alias="class_")
    language: str
    version_of: UUID | None = Field(description="bản tin gốc; null: chính nó là gốc")
    phrase: PhraseKind | None = Field(description="loại câu mẫu; null: không phải câu mẫu")
    subject: Subject
    tags: list[str]
    area_code: str
    created_by: PersonOut
    created_at: Moment


class BulletinSummaryOut(BulletinFieldsOut):
    """A bulletin in a list, with the state of its newest revision."""

    revision: int = Field(description="Phiên bản mới nhất")
    state: RevisionState = Field(description="Trạng thái của phiên bản mới nhất")
    approved_revision: int | None = Field(description="Phiên bản mới nhất đã duyệt")

    @classmethod
    def of(
        cls,
        bulletin: Bulletin,
        revision: int,
        state: RevisionState,
        approved: int | None,
        people: People,
    ) -> Self:
        """Translate a row of `queries.select_bulletins`."""
        return cls(
            **_fields_of(bulletin, people),
            revision=revision,
            state=state,
            approved_revision=approved,
        )


class BulletinOut(BulletinFieldsOut):
    """A bulletin with all its revisions, newest first."""

    revisions: list[RevisionOut]

    @classmethod
    def of(cls, details: BulletinDetails) -> Self:
        """Translate a bulletin with its revisions."""
        return cls(
            **_fields_of(details.bulletin, details.people),
            revisions=[RevisionOut.of(each) for each in details.revisions],
        )


def _fields_of(bulletin: Bulletin, people: People) -> dict[str, Any]:
    """Return the fields of `BulletinFieldsOut`, to make a fuller answer with."""
    columns = {name: getattr(bulletin, name) for name in BulletinFieldsOut.model_fields}
    return columns | {"created_by": people[bulletin.created_by]}


# --- lexicons ----------------------------------------------------------------------------------

_WORDS = r"^\s*[A-Za-z\u00c0-\u024f\u1e00-\u1eff]+([ ,]+[A-Za-z\u00c0-\u024f\u1e00-\u1eff]+)*\s*$"


def _spoken(text: str) -> str:
    line = clean_filled_line(text).lower()
    if not re.fullmatch(r"[^\W\d_]+(?:,? [^\W\d_]+)*", line):
        raise ValueError("chỉ gồm chữ, cách nhau bằng dấu cách; số và ký hiệu hãy viết thành chữ")
    return line


WrittenPath = Annotated[
    str,
    Path(min_length=1, max_length=60, json_schema_extra={"pattern": FILLED_LINE}),
    AfterValidator(clean_filled_line),
]
WrittenLine = Annotated[
    str,
    Field(min_length=1, max_length=60, json_schema_extra={"pattern": FILLED_LINE}),
    AfterValidator(clean_filled_line),
]


Spoken = Annotated[
    str,
    Field(min_length=1, max_length=200, json_schema_extra={"pattern": _WORDS}),
    AfterValidator(_spoken),
]


class EntryIn(Body):
    """Reading of a word by a station."""

    spoken: Spoken = Field(description="Như đọc lên, bằng chữ", examples=["đắc rơ ve"])


class EntryOut(BaseModel):
    """An entry, with the station that it is of."""

    area_code: str
    written: str
    spoken: str
    changed_by: PersonOut
    changed_at: Moment

    @classmethod
    def of(cls, entry: LexiconEntry, people: People) -> Self:
        """Translate a row."""
        return cls(
            area_code=entry.area_code,
            written=entry.written,
            spoken=entry.spoken,
            changed_by=people[entry.changed_by],
            changed_at=entry.changed_at,
        )


class LexiconOut(BaseModel):
    """Entries that hold for a unit: its own, and the province's that it does not override."""

    items: list[EntryOut]


class TextIn(Body):
    """A text, and the unit whose station would read it."""

    text: Script
    area_code: Code = Field(examples=["21034"])


class PartOut(RowOut):
    """A stretch of a line and its words."""

    written: str
    spoken: str = Field(description="rỗng: không đọc")
    kind: Literal["plain", "rule", "lexicon"] = Field(
        description="plain đọc như viết, rule theo quy tắc đọc, lexicon theo từ điển của đài"
    )


class SpokenOut(BaseModel):
    """The words of a text, and where each comes from."""

    spoken: str = Field(description="Mỗi đoạn một dòng, # trước tiêu đề")
    lines: list[list[PartOut]] = Field(description="Từng đoạn của văn bản, chia theo cách đọc")

    @classmethod
    def of(cls, words: Words) -> Self:
        """Translate what was read."""
        lines = [[PartOut.model_validate(part) for part in line] for line in words.lines]
        return cls(spoken=words.script, lines=lines)

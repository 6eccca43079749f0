"""REST of calendar files: what each component would become, and then the import itself."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Annotated

from fastapi import File, Form, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from broadcast.auth.caller import Scheduler
from broadcast.auth.routing import Router
from broadcast.kit import clock
from broadcast.kit.english import Said
from broadcast.kit.sheets import Fate
from broadcast.kit.times import Day, Moment
from broadcast.schedules import ics_import
from broadcast.schedules.ics_import import Row
from broadcast.web.fields import Code, DryRun
from broadcast.web.files import received
from broadcast.web.rest import AppSettings, Session

router = Router(prefix="/api/v1", tags=["schedules"])


class CalendarRowOut(BaseModel):
    """What becomes of one component of a calendar."""

    model_config = ConfigDict(from_attributes=True)

    number: int = Field(description="thứ tự trong tệp, không kể múi giờ")
    kind: str = Field(examples=["VEVENT"])
    title: str
    starts_at: Moment | None = Field(description="null: cả ngày, hoặc không đọc được")
    day: Day | None = Field(description="của sự kiện cả ngày")
    fate: Fate
    detail: Said = Field(description="thành gì, hoặc vì sao bỏ qua và cách sửa")
    notes: list[Said] = Field(description="điều được hiểu khác với tệp")


class CalendarImportOut(BaseModel):
    """What became of a calendar, or would become of it."""

    dry_run: bool
    added: int
    changed: int
    unchanged: int
    refused: int = Field(description="bỏ qua; các mục còn lại vẫn nhập")
    digest: str = Field(description="khác đi khi kết quả khác đi")
    rows: list[CalendarRowOut]

    @classmethod
    def of(cls, rows: Sequence[Row], *, dry_run: bool) -> CalendarImportOut:
        """Count the rows."""
        told = "\n".join(f"{row.number} {row.fate} {row.detail}" for row in rows)
        return cls(
            dry_run=dry_run,
            added=sum(row.fate is Fate.ADDED for row in rows),
            changed=sum(row.fate is Fate.CHANGED for row in rows),
            unchanged=sum(row.fate is Fate.UNCHANGED for row in rows),
            refused=sum(row.fate is Fate.REFUSED for row in rows),
            digest=hashlib.sha256(told.encode()).hexdigest(),
            rows=[CalendarRowOut.model_validate(row) for row in rows],
        )


@router.post("/schedules/import", summary="Nhập lịch phát từ tệp lịch (.ics)")
async def import_calendar(
    session: Session,
    settings: AppSettings,
    caller: Scheduler,
    calendar: Annotated[UploadFile, File()],
    area: Annotated[Code, Form(description="địa bàn của các lịch phát mới và ngày đánh dấu")],
    dry_run: DryRun = False,
) -> CalendarImportOut:
    """Each event with every check of a schedule; what is not understood is left out and says why.

    A title names a bulletin; the events of our own feed are its starts themselves.
    """
    file = await received(calendar)
    rows = await ics_import.import_calendar(
        session, file, area, caller, settings.rules, clock.now(), dry_run=dry_run
    )
    return CalendarImportOut.of(rows, dry_run=dry_run)

"""REST of what relies on stream sources, and of what devices must learn of them."""

from __future__ import annotations

from pydantic import BaseModel, Field

from broadcast.auth.caller import Reader, Scheduler
from broadcast.auth.routing import Router
from broadcast.kit import clock
from broadcast.kit.english import Said
from broadcast.kit.times import Day, Moment
from broadcast.schedules import relays
from broadcast.schedules.relays import AHEAD, Trouble
from broadcast.streams import register
from broadcast.streams.schemas import SourceCheckOut, SourceIn, SourceOut
from broadcast.web.rest import Id, Session

router = Router(prefix="/api/v1", tags=["streams"])


class SourceStateOut(SourceCheckOut):
    """Whether a source answers, and what relies on it."""

    starts_count: int = Field(description=f"số buổi tiếp âm trong {AHEAD.days} ngày tới")
    first_starts_at: Moment | None
    schedules_count: int


class TroubleOut(BaseModel):
    """A source without sound, or with a known end, that coming broadcasts rely on."""

    source_id: int
    name: str
    since: Moment | None = Field(description="không có tiếng từ lúc nào; null: nguồn sắp hết hạn")
    answered_at: Moment | None = Field(description="lần cuối có âm thanh")
    detail: Said
    last_day: Day | None = Field(description="ngày cuối còn dùng được; null: nguồn mất tiếng")
    starts_count: int
    first_starts_at: Moment
    text: Said = Field(description="cho người")

    @classmethod
    def of(cls, trouble: Trouble) -> TroubleOut:
        """Translate a trouble."""
        fields = {**trouble._asdict(), "first_starts_at": trouble.first, "text": trouble.text}
        return cls(**{name: fields[name] for name in cls.model_fields})


@router.put("/stream-sources/{source_id}", summary="Sửa nguồn tiếp âm")
async def change(session: Session, caller: Scheduler, source_id: Id, body: SourceIn) -> SourceOut:
    """Devices learn new addresses within seconds; a source that was ended is used again."""
    now = clock.now()
    changed = await register.change(session, source_id, body, caller, now)
    await relays.tell(session, source_id, now)
    return changed


@router.get(
    "/stream-sources/{source_id}/state", summary="Nguồn có âm thanh không, ai đang dựa vào"
)
async def show_state(session: Session, caller: Reader, source_id: Id) -> SourceStateOut:
    """As it was at the last look, which is every quarter of an hour."""
    await register.show(session, source_id)
    checked = (await register.checks(session, [source_id]))[source_id]
    relying = (await relays.reliance(session, [source_id], clock.now()))[source_id]
    return SourceStateOut(
        **dict(checked),
        starts_count=relying.starts_count,
        first_starts_at=relying.first,
        schedules_count=len(relying.schedules),
    )


@router.get("/stream-warnings", summary="Nguồn mất tiếng hoặc sắp hết hạn mà lịch phát dựa vào")
async def list_troubles(session: Session, caller: Reader) -> list[TroubleOut]:
    """What sounds soonest first."""
    return [TroubleOut.of(each) for each in await relays.troubles(session, clock.now())]

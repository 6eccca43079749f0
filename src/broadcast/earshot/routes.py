"""REST of groups within earshot."""

from __future__ import annotations

from fastapi import Response

from broadcast.auth.caller import Reader, RegisterEditor
from broadcast.auth.routing import Router
from broadcast.earshot import answers, corrections
from broadcast.earshot.schemas import GroupOut, PairIn, PairOut
from broadcast.kit import clock
from broadcast.web.fields import Code
from broadcast.web.rest import AppSettings, Session

router = Router(prefix="/api/v1", tags=["earshot"])


@router.get("/earshot-groups", summary="Các nhóm cụm loa nghe chung một nơi")
async def list_groups(session: Session, settings: AppSettings, caller: Reader) -> list[GroupOut]:
    """Each with how it began the last time within a day; who began apart first."""
    return await answers.list_groups(session, settings.rules.earshot_metres, clock.now())


@router.get("/earshot-groups/{cluster}", summary="Nhóm của một cụm loa, và đã bắt đầu đều chưa")
async def show_group(
    session: Session, settings: AppSettings, caller: Reader, cluster: Code
) -> GroupOut:
    """The starts of seven days: how far apart, who was out, and why."""
    return await answers.group_of(session, cluster, settings.rules.earshot_metres, clock.now())


@router.get(
    "/earshot-pairs/{cluster}/{other}", summary="Hai cụm loa được đặt tay là nghe chung hay không"
)
async def show_pair(session: Session, caller: Reader, cluster: Code, other: Code) -> PairOut:
    """What a person has said of them."""
    return await corrections.pair_of(session, cluster, other)


@router.put(
    "/earshot-pairs/{cluster}/{other}", summary="Đặt tay: hai cụm loa có nghe chung một nơi không"
)
async def put_pair(
    session: Session, caller: RegisterEditor, cluster: Code, other: Code, body: PairIn
) -> PairOut:
    """It counts before the distance."""
    return await corrections.say(session, cluster, other, body, caller, clock.now())


@router.delete(
    "/earshot-pairs/{cluster}/{other}",
    status_code=204,
    summary="Bỏ đặt tay, tính lại từ khoảng cách",
)
async def delete_pair(
    session: Session, caller: RegisterEditor, cluster: Code, other: Code
) -> Response:
    """Go by the distance again."""
    await corrections.forget(session, cluster, other, caller)
    return Response(status_code=204)

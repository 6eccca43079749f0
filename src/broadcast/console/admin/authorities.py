"""Which authority goes before which, from which day on, and choosing another order."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from typing import Annotated

from fastapi import Form, Request, Response

from broadcast.areas import scope
from broadcast.areas.model import Level
from broadcast.auth.caller import Caller, ContentReader
from broadcast.auth.permissions import Permission
from broadcast.console.page import PageRouter, language_of, page, redirect
from broadcast.console.people import forms
from broadcast.console.words import N_, translate
from broadcast.inbox.routes import Commander
from broadcast.kit import clock
from broadcast.kit.errors import InvalidInput
from broadcast.schedules import authority
from broadcast.schedules.priority import AUTHORITIES, priority
from broadcast.web.rest import Session
from broadcast.wire.fields import BulletinClass

router = PageRouter()

LEVELS = {Level.PROVINCE: N_("Tỉnh"), Level.DISTRICT: N_("Huyện"), Level.COMMUNE: N_("Xã")}

CLASSES = {
    BulletinClass.EMERGENCY: N_("Khẩn cấp"),
    BulletinClass.PRIORITY: N_("Ưu tiên"),
    BulletinClass.NORMAL: N_("Thông thường"),
}


@router.get("/admin/authorities")
async def show(request: Request, session: Session, caller: ContentReader) -> Response:
    """The order of today, those that were chosen, and the form for another one."""
    today = clock.today()
    now = await authority.order_on(session, today)
    chosen = await authority.orders(session)
    language = language_of(request)
    orders = [
        (",".join(order), " → ".join(translate(language, LEVELS[each]) for each in order))
        for order in permutations(AUTHORITIES)
    ]
    return page(
        request, caller, "admin/authorities.html",
        levels=LEVELS, classes=CLASSES, order=now, today=today, tomorrow=today + timedelta(days=1),
        chosen=[(each.valid_from, [Level(name) for name in each.levels]) for each in chosen],
        priorities={
            class_: [priority(class_, level, now) for level in now] for class_ in CLASSES
        },
        orders=orders, may_choose=_may_choose(caller),
    )  # fmt: skip


def _may_choose(caller: Caller) -> bool:
    return scope.is_whole(caller, Permission.EMERGENCY_WRITE)


@router.post("/admin/authorities", summary="Chọn thứ tự ưu tiên giữa các cấp")
async def choose(
    request: Request,
    session: Session,
    caller: Commander,
    order: Annotated[str, Form(max_length=40)] = "",
    valid_from: Annotated[str, Form(max_length=10)] = "",
) -> Response:
    """As `PUT /authority-orders/{valid_from}` of REST."""
    scope.require_whole(session, caller, Permission.EMERGENCY_WRITE)
    day = forms.day("valid_from", valid_from)
    if day is None:
        raise InvalidInput("valid_from", "hãy chọn ngày bắt đầu")
    try:
        levels = [Level(each) for each in order.split(",")]
    except ValueError:
        raise InvalidInput("order", "hãy chọn một thứ tự") from None
    await authority.choose(session, day, levels, caller.account_id, clock.now())
    return redirect(request, "/admin/authorities")

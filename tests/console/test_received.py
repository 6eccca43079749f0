"""The page of warnings that other authorities have sent."""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.alerts.cap import receiving
from broadcast.areas.model import Level
from broadcast.areas.topology import touch
from broadcast.auth.permissions import Role
from broadcast.kit import db
from tests.alerts.cap.messages import NOW, alert, area, info
from tests.callers import caller
from tests.console.conftest import Pages
from tests.province import area as unit


async def come(engine: AsyncEngine, folder: Path) -> None:
    path = folder / "cap.toml"
    path.write_text('[[issuer]]\nsender = "canhbao@kttv.vn"\nname = "Đài khí tượng"\n')
    settings = config.Settings(cap=config.Cap(file=path))
    code = "<geocode><valueName>VN-DVHC</valueName><value>21001</value></geocode>"
    taken = alert(info(areas=area(code), text="<headline><![CDATA[<b>Lũ</b>]]></headline>"))
    async with db.transaction(engine) as session:
        communes = [unit(each, Level.COMMUNE, "51") for each in ("21001", "21002")]
        session.add_all([unit("51", Level.PROVINCE), *communes])
        await session.flush()
        await touch(session)
        for data in (taken, alert(status="Draft"), b"<p>404"):
            await receiving.take(session, data, settings, caller("Hùng", Role.SERVICE), NOW)


async def test_people_on_duty_read_what_came_and_what_became_of_it(
    pages: Pages, engine: AsyncEngine, tmp_path: Path
) -> None:
    pages.called_by(Role.DUTY_OFFICER)
    assert "Chưa nhận cảnh báo nào" in (await pages.load("/emergency/received")).text
    await come(engine, tmp_path)
    html = (await pages.load("/emergency/received")).text
    for said in ("Khẩn cấp, chờ người thứ hai duyệt", "Không nhận", "Draft là dự thảo",
                 "không phải XML đọc được", "Đài khí tượng"):  # fmt: skip
        assert said in html
    narrowed = (await pages.load("/emergency/received", action="propose")).text
    assert "Draft là dự thảo" not in narrowed
    assert "Draft là dự thảo" in (await pages.load("/emergency/received", action="")).text
    links = re.findall(r'href="(/emergency/received/\d+)"', narrowed)
    one = (await pages.load(links[0])).text
    assert "&lt;b&gt;Lũ&lt;/b&gt;" in one
    assert "VN-KTTV-2026-0001" in one
    part = (await pages.load("/emergency/received/list")).text
    assert part.lstrip().startswith("<section")


async def test_it_is_for_the_whole_province(pages: Pages) -> None:
    pages.called_by(Role.COMMUNE_BROADCASTER, "21001")
    assert (await pages.load("/emergency/received")).status_code == 403
    pages.called_by(Role.TECHNICIAN)
    assert (await pages.load("/emergency/received")).status_code == 403

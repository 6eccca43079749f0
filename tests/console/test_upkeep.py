"""Pages of who runs the server: the signing keys, and the decisions after a restore."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.auth.permissions import Role
from broadcast.keys import changes
from broadcast.kit import clock, db
from tests.console.conftest import Pages
from tests.console.figures import compare
from tests.keys.memory import MemoryStore
from tests.restore.world import Restorable


async def test_keys_are_shown_with_the_command_to_run_next(
    pages: Pages, engine: AsyncEngine
) -> None:
    assert "broadcast keys create" in (await pages.load("/admin/keys")).text
    store, now = MemoryStore(), clock.now()
    async with db.transaction(engine) as session:
        await changes.begin(session, store, now)
    assert "Không có việc gì phải làm" in (await pages.load("/admin/keys")).text
    async with db.transaction(engine) as session:
        (new,) = await changes.rotate(session, store, ["programme"], now)
    assert await compare(pages, "/admin/keys") == 5
    html = (await pages.load("/admin/keys")).text
    assert f"mọi thiết bị đã nhận khóa mới {new.kid[:8]}" in html
    async with db.transaction(engine) as session:
        await changes.activate(session, store, new.kid, now, without_waiting=False)
    old = next(key.kid for key in store.all if key.use == "programme" and key.kid != new.kid)
    html = (await pages.load("/admin/keys")).text
    assert f"broadcast keys retire {old}" in html
    assert 'hx-post="/admin/keys' not in html
    pages.called_by(Role.PROVINCE_MONITOR)
    assert (await pages.load("/admin/keys")).status_code == 403


async def test_differences_after_a_restore_are_decided_on_the_page(
    engine: AsyncEngine, postgres_dsn: str, tmp_path: Path, pages: Pages,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    world = Restorable(engine, postgres_dsn, tmp_path)
    await world.build()
    await world.turn()
    assert "Chưa từng khôi phục" in (await pages.load("/admin/restore")).text
    daily = await world.schedule(await world.bulletin(b"a"), {"area": "21001"}, 3, "FREQ=DAILY")
    moved = await world.schedule(await world.bulletin(b"b"), {"area": "21001"}, 4)
    await world.turn()
    await world.back_up()
    await world.withdraw(daily)
    await world.move_some(moved, timedelta(minutes=30))
    await world.turn()
    await world.put_back(declared=True)
    monkeypatch.setattr(clock, "now", lambda: world.now)
    assert "chưa quyết định được" in (await pages.load("/admin/restore")).text
    await world.look()
    assert await compare(pages, "/admin/restore") == 4
    html = (await pages.load("/admin/restore")).text
    assert "Máy chủ chưa gửi gì mới cho loa" in html
    (digest,) = re.findall(r'name="digest" value="(\w+)"', html)
    names = re.findall(r'<option value="((?:withdrawn|moved)/[^=]+)=follow">', html)
    assert len(names) == 2
    withdrawn = next(name for name in names if name.startswith("withdrawn/"))
    wrong = await pages.submit("/admin/restore", digest=digest, choices=[f"{withdrawn}=never"])
    assert wrong.status_code == 422
    part = {"digest": digest, "choices": [f"{withdrawn}=keep", ""]}
    left = await pages.submit("/admin/restore", **part)
    assert (left.status_code, "Còn 1 khác biệt" in left.json()["detail"]) == (409, True)
    assert await world.restore() is not None
    done = await pages.submit("/admin/restore", **part, rest_as_proposed="true")
    assert done.headers["hx-redirect"] == "/admin/restore"
    assert await world.restore() is None
    assert "đã chấp nhận lúc" in (await pages.load("/admin/restore")).text
    assert await world.starts(daily) is not None
    pages.called_by(Role.TECHNICIAN)
    assert (await pages.load("/admin/restore")).status_code == 200
    assert (await pages.submit("/admin/restore", **part)).status_code == 403

"""What communes did with what was sent to them, counted."""

from __future__ import annotations

from csv import reader
from uuid import uuid4

from broadcast.inbox import compliance
from broadcast.inbox.model import InboxItem
from broadcast.kit import db
from broadcast.wire.fields import BulletinClass
from tests.inbox.conftest import AN, PHU, World

MOST_PARAMETERS = 32_767
"""Of one statement."""


async def test_a_priority_bulletin_that_was_declined_is_not_placed(world: World) -> None:
    bulletin = await world.bulletin(class_=BulletinClass.PRIORITY)
    items = await world.send(bulletin, AN, PHU, until="2024-12-28T08:12:00+07:00")
    assert {each["state"] for each in items} == {"waiting"}
    at = {each["commune_code"]: f"/inbox-items/{each['id']}" for each in items}
    await world.ok("An", "POST", f"{at[AN]}/decline", {"reason": "Quá muộn"})
    await world.ok("Phú", "POST", f"{at[PHU]}/pick", {"starts_at": "2024-12-28T08:11:00+07:00"})
    counts = (await world.ok("Lan", "GET", "/inbox-compliance"))["total"]
    assert (counts["priority"], counts["placed"], counts["priority_declined"]) == (2, 1, 1)
    assert counts["declined"] == 0  # of normal ones
    sheet = (await world.ask("Lan", "GET", "/inbox-compliance.csv")).text
    titles, *_, total = reader(sheet.splitlines())
    assert total[titles.index("Từ chối tin ưu tiên")] == "1"


async def test_a_year_of_a_province_is_counted(world: World) -> None:
    sent = [
        InboxItem(id=uuid4(), bulletin_id=uuid4(), commune_code=AN, schedule_id=uuid4())
        for _ in range(MOST_PARAMETERS + 1)
    ]
    async with db.transaction(world.engine) as session:
        assert await compliance._aired(session, sent, world.now) == {}
        assert await compliance._choices(session, sent, world.now) == {}

"""Templates: approved as every bulletin, held by devices beforehand, and what is made of them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from broadcast.alerts import board, queries, templates
from broadcast.alerts.model import AlertTemplate
from broadcast.alerts.template_schemas import AlertTemplateIn
from broadcast.bulletins import preparations
from broadcast.bulletins.model import Bulletin, Preparation, Revision, RevisionState
from broadcast.bulletins.queries import Wanted, select_bulletins
from broadcast.bulletins.revision_audio import attach_audio
from broadcast.kit import db
from broadcast.kit.errors import Conflict, InvalidInput
from tests.alerts.world import HUNG, LAN, AlertWorld
from tests.bulletins import make

TEMPLATE: dict[str, Any] = {
    "title": "Xả lũ", "event": "dam_release", "area_code": "21001", "text": "Hồ xả lũ.",
    "valid_minutes": 30,
}  # fmt: skip


async def template(world: AlertWorld, *, approved: bool = True, **changes: Any) -> AlertTemplate:
    async with db.transaction(world.engine) as session:
        body = AlertTemplateIn.model_validate(TEMPLATE | changes)
        made = await templates.create(session, body, LAN, world.settings, world.now)
        revision = await session.get_one(Revision, (made.bulletin_id, 1))
        attach_audio(session, revision, make.prepared(world.content_dir, opus=b"template"))
        if approved:
            revision.state = RevisionState.APPROVED
        return made


async def test_devices_hold_a_template_once_it_is_approved_and_until_it_is_withdrawn(
    world: AlertWorld,
) -> None:
    made = await template(world, approved=False)
    await world.turn()
    assert world.broker.document("device/D-V1/state/config").prefetch == []
    async with db.transaction(world.engine) as session:
        revision = await session.get_one(Revision, (made.bulletin_id, 1))
        revision.state = RevisionState.APPROVED
    await world.turn()
    [audio] = world.broker.document("device/D-V1/state/config").prefetch
    assert world.broker.files()[audio.sha256] == b"template"
    async with db.transaction(world.engine) as session:
        stored = await templates.get_template(session, made.id, lock=True)
        await templates.withdraw(session, stored, HUNG, world.now)
    await world.turn()
    assert world.broker.document("device/D-V1/state/config").prefetch == []


async def test_an_alert_of_a_template_sounds_what_devices_hold_and_brings_no_audio(
    world: AlertWorld,
) -> None:
    made = await template(world)
    await world.turn()
    said = {"text": None, "template_id": made.id}
    await world.issued(**said)
    await world.turn()
    [alert] = world.alerts().alerts
    [held] = world.broker.document("device/D-V1/state/config").prefetch
    assert (alert.audio[0].sha256, alert.inline) == (held.sha256, None)


async def test_what_people_read_is_what_is_spoken(world: AlertWorld) -> None:
    other = {"vi": "Lời khác.", "hre": "Đak"}
    made = await template(world, translations=other)
    assert made.texts == {"vi": "Hồ xả lũ.", "hre": "Đak"}
    alert_id = await world.prepared(text=None, template_id=made.id, translations=other)
    assert (await world.shown(alert_id)).texts == {"vi": "Hồ xả lũ.", "hre": "Đak"}


@pytest.mark.parametrize(("given", "minutes"), [({}, 30), ({"valid_minutes": 5}, 5)])
async def test_an_alert_is_valid_as_long_as_its_template_says_or_as_is_asked(
    world: AlertWorld, given: dict[str, int], minutes: int
) -> None:
    made = await template(world)
    said = {"text": None, "template_id": made.id}
    alert_id = await world.issued(**said, **given)
    assert (await world.shown(alert_id)).valid_minutes == minutes
    update = await world.replaced(alert_id, **said, **given)
    assert (await world.shown(update)).valid_minutes == minutes
    other = await world.prepared(**given)
    assert (await world.shown(other)).valid_minutes == given.get("valid_minutes", 60)


async def test_a_drill_of_a_template_is_made_anew_and_says_so(world: AlertWorld) -> None:
    made = await template(world)
    drill_id = await world.drill()
    await world.prepared(text=None, template_id=made.id, drill_id=drill_id)
    async with db.transaction(world.engine) as session:
        rows = await session.scalars(sa.select(Preparation).order_by(Preparation.id))
        framings = [preparations.framing_of(row) for row in rows]
        sounds = list(await session.scalars(sa.select(Revision.bulletin_id)))
    assert [framing and framing.is_drill for framing in framings] == [False, True]
    assert len(set(sounds)) == 2


async def test_what_is_not_approved_is_no_template_and_a_withdrawn_one_neither(
    world: AlertWorld,
) -> None:
    made = await template(world, approved=False)
    with pytest.raises(Conflict, match="chưa được duyệt"):
        await world.prepared(text=None, template_id=made.id)
    async with db.transaction(world.engine) as session:
        stored = await templates.get_template(session, made.id, lock=True)
        await templates.withdraw(session, stored, HUNG, world.now)
        assert (await session.get_one(Bulletin, made.bulletin_id)).kept_ready is False
    with pytest.raises(InvalidInput, match="thôi dùng"):
        await world.prepared(text=None, template_id=made.id)


async def test_the_board_counts_who_has_received_it_and_whom_to_call(world: AlertWorld) -> None:
    alert_id: UUID = await world.issued()
    await world.turn()
    revision = world.alerts().revision
    async with db.transaction(world.engine) as session:
        await session.execute(
            sa.text(
                "INSERT INTO receipts (device_id, document, revision, received_at)"
                " SELECT id, 'area/21001/alerts', :revision, now() FROM devices"
                " WHERE code = 'D-V1'"
            ),
            {"revision": revision},
        )
        found = await board.board(session, alert_id, HUNG)
    assert (found.clusters_count, found.received_count, found.started_count) == (2, 1, 0)
    assert found.counts == {board.Stage.RECEIVED: 1, board.Stage.NO_ANSWER: 1}
    assert found.to_call_count == 2


async def test_the_sound_of_alerts_and_templates_is_left_out_of_the_library_unless_asked_for(
    world: AlertWorld,
) -> None:
    ordinary = await world.bulletin()
    alert_id = await world.prepared()
    async with db.transaction(world.engine) as session:
        of_alert = (await queries.get_alert(session, alert_id)).bulletin_id
        found = {
            asked: set(
                await session.scalars(await select_bulletins(session, Wanted(is_of_alert=asked)))
            )
            for asked in (None, True, False)
        }
    ids = {asked: {each.id for each in some} for asked, some in found.items()}
    assert ids == {None: {ordinary, of_alert}, True: {of_alert}, False: {ordinary}}

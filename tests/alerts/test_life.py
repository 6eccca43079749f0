"""An alert from two people to the signed document and the ledger, and what ends it."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from broadcast.alerts import drills, steps
from broadcast.alerts.model import Alert
from broadcast.alerts.state import ALONE_AT_MOST, PROPOSAL_VALID, AlertState
from broadcast.auth.caller import Caller
from broadcast.auth.permissions import Role
from broadcast.auth.second_factor import SecondFactorRequired
from broadcast.bulletins.model import Revision
from broadcast.kit import db
from broadcast.kit.errors import Conflict, Forbidden, InvalidInput
from broadcast.plays.model import PlayState
from broadcast.schedules.model import Occurrence, Schedule
from broadcast.schedules.starts import SLACK
from broadcast.wire.envelope import BadSignature, Verifier
from broadcast.wire.limits import INLINE_BYTES, MOST_ALERTS
from tests.alerts.world import HUNG, LAN, AlertWorld
from tests.callers import caller
from tests.delivery.world import KEYS, PINNED


async def test_two_people_let_an_alert_sound_and_the_alert_key_signs_it(world: AlertWorld) -> None:
    alert_id = await world.prepared(opus=b"alarm")
    await world.propose(alert_id)
    await world.turn()
    assert "area/21001/state/alerts" not in world.broker.retained
    await world.authorise(alert_id)
    await world.turn()
    document = world.alerts()
    [alert] = document.alerts
    assert (alert.alert_id, alert.mode, alert.priority) == (str(alert_id), "actual", 255)
    assert alert.inline == b"alarm"
    assert alert.audio[0].codec == "opus"
    token = world.broker.retained["area/21001/state/alerts"]
    programme_key_alone = [key for key in PINNED if key.kid == KEYS[0].kid]
    with pytest.raises(BadSignature):
        Verifier(programme_key_alone).document(token)
    assert await world.plays() == [(PlayState.PLANNED, "")] * 2
    assert (await world.shown(alert_id)).state is AlertState.ACTIVE
    assert all(not items for items in world.items().values())


async def test_a_second_factor_is_needed_for_all_but_stopping(world: AlertWorld) -> None:
    alert_id = await world.prepared()
    with pytest.raises(SecondFactorRequired):
        await world.propose(alert_id, _without_second_factor(LAN))
    await world.propose(alert_id)
    with pytest.raises(SecondFactorRequired):
        await world.authorise(alert_id, _without_second_factor(HUNG))
    await world.cancel(alert_id, _without_second_factor(HUNG))


def _without_second_factor(who: Caller) -> Caller:
    return who._replace(second_factor_until=None)


async def test_who_prepared_or_proposed_an_alert_never_authorises_it(world: AlertWorld) -> None:
    alert_id = await world.prepared()
    await world.propose(alert_id, HUNG)
    for who in (LAN, HUNG):
        with pytest.raises(Forbidden, match="người thứ hai"):
            await world.authorise(alert_id, who)
    await world.authorise(alert_id, caller("Mai", Role.PROVINCE_APPROVER))


async def test_the_database_refuses_one_person_who_is_two(world: AlertWorld) -> None:
    alert_id = await world.issued()
    with pytest.raises(IntegrityError, match="two_people"):
        await _set(world, alert_id, authorised_by=LAN.account_id)


async def test_who_authorises_needs_the_permission_in_every_place(world: AlertWorld) -> None:
    alert_id = await world.prepared()
    await world.propose(alert_id)
    for who in (
        caller("Mai", Role.PROVINCE_EDITOR),
        caller("Mai", Role.COMMUNE_APPROVER, "V1"),
    ):
        with pytest.raises(Forbidden):
            await world.authorise(alert_id, who)
    await world.authorise(alert_id, caller("Mai", Role.COMMUNE_APPROVER, "21001"))


async def test_a_stale_proposal_is_not_authorised(world: AlertWorld) -> None:
    alert_id = await world.prepared()
    await world.propose(alert_id)
    world.now += PROPOSAL_VALID
    assert (await world.shown(alert_id)).state is AlertState.EXPIRED
    with pytest.raises(Conflict, match="hết hiệu lực"):
        await world.authorise(alert_id)


async def test_what_never_sounded_gets_no_all_clear(world: AlertWorld) -> None:
    alert_id = await world.prepared()
    await world.propose(alert_id)
    world.now += PROPOSAL_VALID
    assert (await world.shown(alert_id)).allowed == []
    with pytest.raises(Conflict, match="chưa từng phát"):
        await world.replaced(alert_id, "all_clear")


async def test_an_all_clear_that_waits_already_of_what_never_sounded_is_not_authorised(
    world: AlertWorld,
) -> None:
    first = await world.prepared()
    await world.propose(first)
    world.now += PROPOSAL_VALID
    clear = await world.prepared()
    await _set(world, clear, kind="all_clear", replaces_id=first)
    await world.propose(clear)
    with pytest.raises(Conflict, match="chưa từng phát"):
        await world.authorise(clear)


async def test_what_people_read_is_what_is_spoken(world: AlertWorld) -> None:
    other = {"vi": "Lời khác.", "hre": "Đak"}
    alert_id = await world.prepared(translations=other)
    spoken = "Hồ xả lũ. Bà con ven sông lên chỗ cao."
    assert (await world.shown(alert_id)).texts == {"vi": spoken, "hre": "Đak"}


@pytest.mark.parametrize(
    ("minutes", "lasts"),
    [(20, 20), (90, 60), (0.1, None)],
    ids=["until it expires", "as long as is asked", "said once at least"],
)
async def test_a_received_warning_ends_when_its_authority_says(
    world: AlertWorld, minutes: float, lasts: float | None
) -> None:
    alert_id = await world.received(timedelta(minutes=minutes))
    await world.authorise(alert_id)
    shown = await world.shown(alert_id)
    assert shown.starts_at is not None
    assert shown.ends_by is not None
    if lasts is None:
        assert shown.not_after is not None
        assert shown.ends_by > shown.not_after
        lasts = (SLACK.total_seconds() + 61.5) / 60
    assert shown.ends_by - shown.starts_at == timedelta(minutes=lasts)


async def test_a_received_warning_that_has_expired_does_not_sound(world: AlertWorld) -> None:
    alert_id = await world.received(timedelta(minutes=20))
    world.now += timedelta(minutes=20)
    with pytest.raises(Conflict, match="đã hết hiệu lực lúc 08:20"):
        await world.authorise(alert_id)
    with pytest.raises(Conflict, match="đã hết hiệu lực lúc 08:20"):
        await world.step(alert_id, lambda s, a: steps.authorise_alone(s, a, "gấp", LAN, world.now))


async def test_an_alert_whose_sound_is_not_ready_waits(world: AlertWorld) -> None:
    alert_id = await world.prepared()
    await world.propose(alert_id)
    async with db.transaction(world.engine) as session:
        await session.execute(sa.update(Revision).values(seconds=None))
    with pytest.raises(Conflict, match="chưa sẵn sàng"):
        await world.authorise(alert_id)


async def test_a_cancelled_alert_leaves_the_document_and_its_plays_are_cancelled(
    world: AlertWorld,
) -> None:
    alert_id = await world.issued()
    await world.turn()
    first = world.alerts().revision
    await world.cancel(alert_id)
    await world.turn()
    assert world.alerts().alerts == []
    assert world.alerts().revision > first
    assert await world.plays() == [(PlayState.CANCELLED, "nhầm")] * 2
    with pytest.raises(Conflict):
        await world.cancel(alert_id)


async def test_an_alert_that_is_cancelled_before_it_was_published_is_never_published(
    world: AlertWorld,
) -> None:
    await world.cancel(await world.issued())
    await world.turn()
    assert "area/21001/state/alerts" not in world.broker.retained


async def test_an_alert_that_is_over_leaves_the_document_by_itself(world: AlertWorld) -> None:
    alert_id = await world.issued(valid_minutes=5)
    await world.turn()
    await world.turn(after=timedelta(minutes=5))
    assert world.alerts().alerts == []
    assert (await world.shown(alert_id)).state is AlertState.EXPIRED
    count = len(world.broker.publishes)
    await world.turn()
    assert len(world.broker.publishes) == count


async def test_an_update_takes_its_place_once_it_is_authorised(world: AlertWorld) -> None:
    first = await world.issued()
    await world.turn()
    update = await world.replaced(first)
    await world.turn()
    assert [alert.alert_id for alert in world.alerts().alerts] == [str(first)]
    await world.authorise(update)
    await world.turn()
    assert [alert.alert_id for alert in world.alerts().alerts] == [str(update)]
    shown = await world.shown(first)
    assert (shown.state, shown.replaced_by_id) == (AlertState.UPDATED, update)


async def test_the_all_clear_is_given_also_after_the_end(world: AlertWorld) -> None:
    first = await world.issued(valid_minutes=5)
    await world.turn(after=timedelta(minutes=6))
    clear = await world.replaced(first, "all_clear")
    await world.authorise(clear)
    await world.turn()
    assert (await world.shown(first)).state is AlertState.ALL_CLEAR
    assert [alert.alert_id for alert in world.alerts().alerts] == [str(clear)]


async def test_a_second_alert_during_the_first_stands_beside_it(world: AlertWorld) -> None:
    first = await world.issued(priority=240)
    await world.turn()
    second = await world.issued(headline="Sóng thần", priority=255)
    await world.turn()
    assert [a.alert_id for a in world.alerts().alerts] == [str(second), str(first)]


async def test_an_alert_for_a_part_of_the_commune_is_in_no_other_document(
    world: AlertWorld,
) -> None:
    await world.issued(targets=[{"area": "V1"}])
    await world.turn()
    assert len(world.alerts("area/V1").alerts) == 1
    assert "area/21001/state/alerts" not in world.broker.retained
    assert len(await world.plays()) == 1


async def test_a_flood_of_alerts_is_refused_before_a_document_is_too_full(
    world: AlertWorld,
) -> None:
    first = await world.issued(valid_minutes=60)
    async with db.transaction(world.engine) as session:
        await _copies(session, first, MOST_ALERTS - 1)
    alert_id = await world.prepared()
    await world.propose(alert_id)
    with pytest.raises(Conflict, match=f"đã có {MOST_ALERTS} cảnh báo"):
        await world.authorise(alert_id)
    await world.turn()
    assert len(world.alerts().alerts) == MOST_ALERTS


async def _copies(session: sa.ext.asyncio.AsyncSession, alert_id: UUID, count: int) -> None:
    for number in range(count):
        for model in (Schedule, Occurrence):
            row = await session.get_one(model, alert_id)
            columns = {c.key: getattr(row, c.key) for c in sa.inspect(model).column_attrs}
            columns["id"] = UUID(int=number + 1)
            if model is Occurrence:
                columns["schedule_id"] = columns["id"]
            session.add(model(**columns))
            await session.flush()


async def test_a_long_alert_brings_no_sound_and_waits_for_its_audio(world: AlertWorld) -> None:
    await world.issued(opus=b"x" * (INLINE_BYTES + 1))
    await world.turn()
    [alert] = world.alerts().alerts
    assert alert.inline is None
    order = world.broker.publishes
    content = f"content/{alert.audio[0].sha256}/0"
    assert order.index(content) < order.index("area/21001/state/alerts")


# --- one person alone ----------------------------------------------------------------------------


async def test_one_person_alone_issues_it_for_a_short_time_and_it_is_debriefed(
    world: AlertWorld,
) -> None:
    alert_id = await world.prepared(valid_minutes=300)
    await world.step(
        alert_id, lambda s, a: steps.authorise_alone(s, a, "không ai nghe máy", LAN, world.now)
    )
    shown = await world.shown(alert_id)
    assert shown.ends_by == world.now + ALONE_AT_MOST
    assert (shown.is_alone, shown.awaits_debrief) == (True, True)
    with pytest.raises(Forbidden, match="không tự rút kinh nghiệm"):
        await world.step(alert_id, lambda s, a: steps.debrief(s, a, "ổn", LAN, world.now))
    await world.step(alert_id, lambda s, a: steps.debrief(s, a, "đúng quy trình", HUNG, world.now))
    shown = await world.shown(alert_id)
    assert (shown.awaits_debrief, shown.debrief) == (False, "đúng quy trình")
    assert [step.step for step in shown.steps] == ["prepare", "authorise_alone", "debrief"]


async def test_alone_needs_its_own_permission_and_a_reason(world: AlertWorld) -> None:
    alert_id = await world.prepared()
    with pytest.raises(Forbidden):
        await world.step(
            alert_id, lambda s, a: steps.authorise_alone(s, a, "gấp", HUNG, world.now)
        )
    with pytest.raises(InvalidInput, match="reason"):
        await world.step(alert_id, lambda s, a: steps.authorise_alone(s, a, " ", LAN, world.now))


# --- drills --------------------------------------------------------------------------------------


async def test_an_alert_of_a_drill_is_none_of_the_real_ones(world: AlertWorld) -> None:
    drill_id = await world.drill(hours=0.5)
    alert_id = await world.issued(drill_id=drill_id)
    await world.turn()
    [alert] = world.alerts().alerts
    assert alert.mode == "exercise"
    async with db.transaction(world.engine) as session:
        drill = await drills.get_drill(session, drill_id)
        assert alert.ends_by <= drill.ends_at
        assert await session.scalar(sa.select(Revision.is_drill)) is True
        report = await drills.report(session, drill, HUNG, world.now)
    assert report.alerts_count == 1
    assert (await world.shown(alert_id)).mode.value == "exercise"


async def test_a_drill_that_is_not_on_lets_nothing_sound(world: AlertWorld) -> None:
    drill_id = await world.drill(starts_at=world.now + timedelta(minutes=30))
    alert_id = await world.prepared(drill_id=drill_id)
    await world.propose(alert_id)
    with pytest.raises(Conflict, match="Ngoài giờ diễn tập"):
        await world.authorise(alert_id)
    world.now += timedelta(minutes=29)
    alert_id = await world.prepared(drill_id=drill_id)
    await world.propose(alert_id)
    world.now += timedelta(minutes=1)
    await world.authorise(alert_id)


async def test_a_drill_is_no_reason_to_act_alone(world: AlertWorld) -> None:
    alert_id = await world.prepared(drill_id=await world.drill())
    with pytest.raises(Conflict, match="Diễn tập"):
        await world.step(alert_id, lambda s, a: steps.authorise_alone(s, a, "gấp", LAN, world.now))


@pytest.mark.parametrize(
    "columns",
    [
        {"mode": "actual"},
        {"mode": "actual", "drill_id": None},
        {"mode": "actual", "drill_id": None, "is_drill": False},
        {"mode": "test"},
        {"is_drill": False},
    ],
)
async def test_the_database_never_lets_a_drill_become_actual(
    world: AlertWorld, columns: dict[str, object]
) -> None:
    alert_id = await world.issued(drill_id=await world.drill())
    with pytest.raises(IntegrityError):
        await _set(world, alert_id, **columns)


async def test_the_database_never_lets_the_occurrence_of_a_drill_become_actual(
    world: AlertWorld,
) -> None:
    alert_id = await world.issued(drill_id=await world.drill())
    with pytest.raises(IntegrityError):
        async with db.transaction(world.engine) as session:
            await session.execute(
                sa.update(Occurrence).where(Occurrence.id == alert_id).values(alert_mode="actual")
            )


async def test_the_database_never_lets_the_sound_of_a_drill_be_an_alert(
    world: AlertWorld,
) -> None:
    drill = await world.issued(drill_id=await world.drill())
    actual = await world.prepared()
    async with db.transaction(world.engine) as session:
        of_drill = await session.get_one(Alert, drill)
        key = {"bulletin_id": of_drill.bulletin_id, "bulletin_revision": 1}
    with pytest.raises(IntegrityError, match="fk_alerts_revision"):
        await _set(world, actual, **key)


async def _set(world: AlertWorld, alert_id: UUID, **columns: object) -> None:
    async with db.transaction(world.engine) as session:
        await session.execute(sa.update(Alert).where(Alert.id == alert_id).values(**columns))

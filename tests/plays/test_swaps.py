"""Each play is judged by the box that hung there when it was to start, whatever others say."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from broadcast.devices.model import Installation
from broadcast.plays.closer import close_due
from broadcast.plays.explain import explain
from broadcast.plays.model import JournalRecord
from broadcast.wire.events import Ended, EndReason, Skipped, SkipReason, Started
from tests.devices.fleet import EIGHT, MINUTE, SECOND
from tests.plays.world import BEFORE, CLOSED, WAIT, World, ended, skipped, started

HOUR = timedelta(hours=1)


async def test_a_replacement_does_not_rewrite_the_past(world: World) -> None:
    """It came an hour later, and reports that it had no power when it did not hang there."""
    occurrence = await world.planned()
    await world.report(started(1, occurrence), ended(2, occurrence))
    silent = await world.planned(recurrence_at=EIGHT + SECOND, starts_at=EIGHT + SECOND)
    await close_due(world.session, CLOSED + SECOND, WAIT)
    before = await world.plays(silent)
    await world.swap("D-3", "C-1", EIGHT + HOUR)
    told = [
        Skipped(seq=seq, occurrence_id=str(of.id), at=EIGHT + HOUR + MINUTE,
                reason=SkipReason.POWERED_OFF)
        for seq, of in enumerate((occurrence, silent), 1)
    ]  # fmt: skip
    await world.report(*told, device="D-3", at=EIGHT + HOUR + MINUTE)
    assert (await world.plays(occurrence))["C-1"] == ("played", "")
    assert await world.plays(silent) == before
    assert await world.changes(silent) == []
    # They are kept, and belong to no cluster.
    rows = await world.session.scalars(
        sa.select(JournalRecord.cluster_id).where(
            JournalRecord.device_id == world.devices["D-3"].id
        )
    )
    assert list(rows) == [None, None]


async def test_the_old_box_in_the_workshop_tells_truly_why_it_was_silent(world: World) -> None:
    occurrence = await world.planned()
    await world.swap("D-3", "C-1", EIGHT + HOUR)
    await world.report(skipped(1, occurrence, "powered_off"), at=EIGHT + 9 * HOUR)
    assert (await world.plays(occurrence))["C-1"] == ("missed", "powered_off")


async def test_what_it_begins_after_it_was_taken_down_sounded_elsewhere(world: World) -> None:
    occurrence = await world.planned(late_limit_seconds=86_400, ends_by=EIGHT + 20 * HOUR)
    await world.swap("D-3", "C-1", EIGHT + HOUR)
    begun = EIGHT + 2 * HOUR
    records = (started(1, occurrence, begun), ended(2, occurrence, begun + 120 * SECOND))
    await world.report(*records, at=EIGHT + 3 * HOUR)
    assert (await world.play(occurrence)).started_at is None


async def test_the_new_box_is_judged_from_its_first_minute(world: World) -> None:
    occurrence = await world.planned()
    await world.swap("D-3", "C-1", EIGHT)
    await world.report(started(1, occurrence), ended(2, occurrence), device="D-3")
    play = await world.play(occurrence)
    assert (play.state, play.device_id) == ("played", world.devices["D-3"].id)


async def test_nobody_is_asked_where_nothing_hung(world: World) -> None:
    occurrence = await world.planned()
    await world.session.execute(
        sa.update(Installation)
        .where(Installation.cluster_id == world.clusters["C-1"].id)
        .values(removed_at=EIGHT - MINUTE)
    )
    world.session.add(
        Installation(device_id=world.devices["D-3"].id, cluster_id=world.clusters["C-1"].id,
                     installed_at=EIGHT + 30 * SECOND)
    )  # fmt: skip
    await world.session.flush()
    await close_due(world.session, CLOSED, WAIT)
    assert (await world.plays(occurrence))["C-1"] == ("missed", "no_device")


async def test_the_explanation_names_the_box_that_hung_there(world: World) -> None:
    occurrence = await world.planned()
    await world.swap("D-3", "C-1", EIGHT + 30 * SECOND)
    await close_due(world.session, CLOSED, WAIT)
    assert (await explain(world.session, occurrence.id, "C-1")).device == "D-1"


@pytest.mark.parametrize("seed", range(12))
async def test_random_swaps_judge_each_play_by_the_box_of_its_start(
    world: World, seed: int
) -> None:
    """Boxes go up, come down, go elsewhere and come back; all of them claim every play."""
    chance = random.Random(seed)
    starts = [EIGHT + number * 10 * MINUTE for number in range(8)]
    occurrences = [await world.planned(recurrence_at=at, starts_at=at) for at in starts]
    hung = await random_history(world, chance)
    claims = {
        device: [
            record
            for number, (of, at) in enumerate(zip(occurrences, starts, strict=True))
            for record in claim(2 * number + 1, str(of.id), at, chance.random() < 0.5)
        ]
        for device in world.devices
    }
    for device in chance.sample(sorted(claims), len(claims)):
        await world.report(*claims[device], device=device, at=EIGHT + 5 * HOUR)
    await close_due(world.session, EIGHT + 5 * HOUR, WAIT)
    ids = {device.id: code for code, device in world.devices.items()}
    for occurrence, at in zip(occurrences, starts, strict=True):
        for cluster in ("C-1", "C-2"):
            play = await world.play(occurrence, cluster)
            there = [d for d, c, since, until in hung if c == cluster and since <= at < until]
            assert ids.get(play.device_id) == (there[0] if there else None)
            if not there:
                assert (play.state, play.reason) == ("missed", "no_device")
                continue
            said = [r for r in claims[there[0]] if r.occurrence_id == str(occurrence.id)]
            assert play.state == ("missed" if isinstance(said[0], Skipped) else "played")
            assert play.fresh_starts == (0 if isinstance(said[0], Skipped) else 1)


def claim(seq: int, of: str, at: datetime, sounded: bool) -> list[Started | Ended | Skipped]:
    if sounded:
        return [
            Started(seq=seq, occurrence_id=of, at=at),
            Ended(seq=seq + 1, occurrence_id=of, at=at + 120 * SECOND,
                  reason=EndReason.COMPLETED, played_seconds=120.0),
        ]  # fmt: skip
    later = at + 2 * MINUTE
    return [
        Skipped(seq=seq, occurrence_id=of, at=later, reason=SkipReason.POWERED_OFF),
        Skipped(seq=seq + 1, occurrence_id="other", at=later, reason=SkipReason.LATE),
    ]


async def random_history(
    world: World, chance: random.Random
) -> list[tuple[str, str, datetime, datetime]]:
    """Installations at random moments; no box hangs twice, no cluster has two."""
    await world.session.execute(sa.delete(Installation))
    never = EIGHT + 1000 * HOUR
    open_: dict[str, tuple[str, datetime]] = {"C-1": ("D-1", BEFORE), "C-2": ("D-2", BEFORE)}
    done: list[tuple[str, str, datetime, datetime]] = []
    for at in sorted(EIGHT + chance.randrange(0, 5000) * SECOND for _ in range(6)):
        cluster = chance.choice(["C-1", "C-2"])
        device = chance.choice([*world.devices, None])
        for place, (box, since) in list(open_.items()):
            if place == cluster or box == device:
                done.append((box, place, since, at))
                del open_[place]
        if device is not None:
            open_[cluster] = (device, at)
    done += [(box, place, since, never) for place, (box, since) in open_.items()]
    done = [row for row in done if row[2] < row[3]]
    for box, place, since, until in done:
        world.session.add(
            Installation(device_id=world.devices[box].id, cluster_id=world.clusters[place].id,
                         installed_at=since, removed_at=None if until == never else until)
        )  # fmt: skip
    await world.session.flush()
    return done
